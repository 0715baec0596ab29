"""Exercises of the notebooks: ``check(name, answer)`` says whether an answer is right, or gives a hint; no answer is typed in here.

A judge computes the truth and returns "" for a right answer, else a hint.
"""

from collections.abc import Callable

import numpy as np

from diffviz.checks import unknown
from diffviz.lab.experiments import schedule as schedule_experiments
from diffviz.recipes.entries import CATALOGUE, objective
from diffviz.theory import analysis, elbo_mixture
from diffviz.theory.families import flow, flow_uniform
from diffviz.theory.paths import COSINE

EXERCISES: dict[str, Callable[[object], str]] = {}


def exercise(name: str):
    """Register a judge under the name that the notebook uses."""

    def register(judge: Callable[[object], str]) -> Callable[[object], str]:
        EXERCISES[name] = judge
        return judge

    return register


def check(name: str, answer: object) -> None:
    """Print whether ``answer`` is right, with a hint if it is not; nothing is judged while it is None."""
    if name not in EXERCISES:
        raise unknown("exercise", name, EXERCISES, "diffviz.lab.exercises.EXERCISES")
    if answer is None:
        print(f"{name}: put your answer in place of None and run the cell again")
        return
    try:
        hint = EXERCISES[name](answer)
    except (ArithmeticError, TypeError, ValueError) as error:
        hint = f"{answer!r} is no answer of the right kind ({error})."
    print(f"{name}: " + (f"not yet. {hint}" if hint else "right!"))


@exercise("edm-peak")
def _edm_peak(answer) -> str:
    truth = analysis.verdict(CATALOGUE["edm"]).peak
    if abs(float(answer) - truth) < 0.02:
        return ""
    if abs(float(answer) - 2.4) < 0.1:
        return "That is where EDM looks most often, p(λ). Its weighting is p times gain² times the multiplier."
    side = "lower" if float(answer) > truth else "higher"
    return f"The peak lies at a {side} log-SNR; verdict(...).peak computes it."


@exercise("same-as-fm")
def _same_as_fm(answer) -> str:
    names = (
        [answer]
        if isinstance(answer, str)
        else sorted({getattr(one, "name", one) for one in answer})
    )
    fm = objective("fm-ot")
    wrong = [name for name in names if not analysis.compare(objective(name), fm).same]
    targets = {objective(name).target.name for name in names}
    if wrong:
        worst = analysis.compare(objective(wrong[0]), fm)
        return f"{wrong[0]} differs by {worst.deviation:.0%} at λ = {worst.at:.1f}."
    return (
        ""
        if len(targets - {"u"}) >= 2
        else "True so far; find two that use other targets than the velocity u. dv.classes helps."
    )


@exercise("centre-the-loss")
def _centre_the_loss(answer) -> str:
    if not 0.01 <= float(answer) <= 100:
        return "A shift is a positive factor; try between 0.1 and 10."
    o = flow(0.5, 0.6, float(answer))
    share = analysis.share_below(o, mmse=lambda l: 1 / (1 + np.exp(-l)))
    if abs(share - 0.5) < 0.005:
        return ""
    return f"With this shift {share:.1%} of the loss lies below λ = 0; a shift s moves every λ by −2 log s."


@exercise("shift-for-variance-4")
def _shift_for_variance_4(answer) -> str:
    second, least, _ = schedule_experiments.second_moment(
        CATALOGUE["fm-ot"], COSINE.schedule, shift=float(answer), variance=4.0
    )
    if second < 1.001 * least:
        return ""
    return f"With this shift E Y² is {second / least:.3f} times the least. The loss lies at λ = −log 4, a shift s moves every λ by −2 log s."


@exercise("decay-for-half-the-error")
def _decay_for_half_the_error(answer) -> str:
    decay = float(answer)
    if not 0 < decay < 1:
        return "A decay lies between 0 and 1."
    error = np.sqrt(
        (1 - decay) / (1 + decay) / ((1 - 0.99) / (1 + 0.99))
    )  # Σ weights² over (Σ weights)², weights decay^age
    return (
        ""
        if abs(error - 0.5) < 0.005
        else f"With this decay the standard error is {error:.3f} times that of 0.99."
    )


@exercise("doublings-of-shift-3")
def _doublings_of_shift_3(answer) -> str:
    move, doubling = flow_uniform(3.0).law.median(), flow_uniform(2.0).law.median()
    if abs(float(answer) - move / doubling) < 0.01:
        return ""
    return f"A doubling of the side moves λ by {doubling:.3f}, shift 3 by {move:.3f}; how many of the one make the other?"


def _mystery(letter: str) -> Callable[[object], str]:
    def judge(answer) -> str:
        from diffviz.lab import losses  # torch only for those who probe

        if answer not in losses.MISTAKES:
            return f"The answer is one of {', '.join(losses.MISTAKES)}."
        truth = (
            losses.MYSTERIES[letter]
            .__name__.strip("_")
            .replace("_", " ")
            .replace("no sigma data", "sigma_data")
        )
        return (
            ""
            if answer == truth
            else f"Plot mystery {letter} and what was meant, losses.INTENDED[{letter!r}]: where do they part?"
        )

    return judge


for _letter in "ABCDE":
    exercise(f"mystery-{_letter}")(_mystery(_letter))


@exercise("smallest-lambda-max")
def _smallest_lambda_max(answer) -> str:
    from diffviz.lab.experiments.elbo import known

    ring, high = known("ring8"), float(answer)
    if not 2 <= high <= 20:
        return "λ_max lies between 2 and 20."
    gap = float(sum(ring.terms(-20.0, high)) - ring.entropy)
    return (
        ""
        if abs(gap / 1e-3 - 1) < 0.03
        else f"There the average gap is {gap:.3g} nats; it falls as e^(−λ_max)."
    )


@exercise("bits")
def _bits(answer) -> str:
    truth = (3 - np.log2(127.5)) * 3072 * np.log(2)
    if abs(float(answer) - truth) < 1:
        return ""
    if abs(float(answer) - 3 * 3072 * np.log(2)) < 1:
        return "Those are the nats of the pixels 0 to 255; on [−1, 1] a pixel step is 1/127.5 wide."
    return "Take log2(127.5) off the bits per dimension, times dimensions, times ln 2; a density may exceed 1."


@exercise("most-negative")
def _most_negative(answer) -> str:
    chosen = objective(getattr(answer, "name", answer))
    shares = {name: analysis.verdict(one).negative_share for name, one in CATALOGUE.items()}
    mine = shares[chosen.name]
    more = sum(share > mine for share in shares.values())
    return f"{chosen.name} has {mine:.2%}; {more} of the catalogue have more." if more else ""


def _near(answer, truth: float, hint: str) -> str:
    value = float(answer)
    if not np.isfinite(value):
        return "A finite number is wanted."
    near = abs(value - truth) <= max(
        0.005 * abs(truth), 0.0005
    )  # half a percent, or rounded to three decimals
    return "" if near else f"{hint} Yours is too {'low' if value < truth else 'high'}."


@exercise("terminal-level")
def _terminal_level(answer) -> str:
    from diffviz.theory import prior

    truth = prior.lowest_logsnr(0.05 * 256**2, 0.01)
    return _near(
        answer,
        truth,
        "The spread left is 1/√v, v = α²V + σ², with V = N·var and α² = sigmoid(λ); it shall be 0.99.",
    )


@exercise("offset-strength")
def _offset_strength(answer) -> str:
    from diffviz.lab.experiments.prior import TERMINAL

    gap = TERMINAL["Stable Diffusion"] - TERMINAL["DDPM linear"]
    return _near(
        answer,
        np.sqrt(np.expm1(gap) / 64**2),
        f"The shift −ln(1 + c² N) must be −{gap:.3f}, with N = 64².",
    )


@exercise("straight-variance")
def _straight_variance(answer) -> str:
    return _near(
        answer, (0.1 / (2 - np.pi / 2)) ** 2, "S = √c (2 − π/2) for N(0, 1) → N(0, c); solve for c."
    )


@exercise("equally-straight")
def _equally_straight(answer) -> str:
    from diffviz.lab.experiments import sampling as sampling_experiments

    if not 0 < float(answer) < np.inf:
        return "A variance is a finite number above 0."
    flow, vp = (sampling_experiments.off_chord(float(answer), path) for path in ("FM", "VP"))
    if abs(flow - vp) < 0.004:
        return ""
    return f"There the exact path leaves its chord by {flow:.3f} under flow matching and by {vp:.3f} under VP: not the same."


@exercise("sixteen-calls")
def _sixteen_calls(answer) -> str:
    from diffviz.lab.experiments import sampling as sampling_experiments

    solver, levels = answer
    if solver not in sampling_experiments.SOLVERS.values():
        return f"The solver is one of {', '.join(sampling_experiments.SOLVERS.values())}."
    error, calls = sampling_experiments.error_of(solver, levels, "gmm2d")
    if calls > 16:
        return f"That takes {calls} calls."
    return (
        ""
        if error <= 1e-2
        else f"{calls} calls, rms error {error:.4f}. One of the solvers gets by with a single call a step."
    )


@exercise("slow-down")
def _slow_down(answer) -> str:
    from diffviz.lab.experiments import sampling as sampling_experiments
    from diffviz.theory import paths

    if not 1 <= float(answer) <= 100:
        return "A shift above 1 spends more steps on noise; try between 1 and 20."
    reached = sampling_experiments.settled_photos(paths.shifted(paths.LINEAR, float(answer)))[50]
    return (
        ""
        if abs(reached - 0.5) < 0.01
        else f"With this shift R² is {reached:.3f} after half of the steps."
    )


@exercise("gain-one")
def _gain_one(answer) -> str:
    found = elbo_mixture.gain(objective("fm-ot"), float(answer))
    if abs(found - 1) < 0.01:
        return ""
    return f"There flow matching counts a change {found:.3g} times; its gain grows with the square root of c."


@exercise("flat-above")
def _flat_above(answer) -> str:
    from diffviz.lab.experiments import policy as policy_experiments

    answer = getattr(answer, "name", answer)
    if answer not in policy_experiments.WEIGHTINGS or answer == "elbo":
        return (
            f"One of {', '.join(name for name in policy_experiments.WEIGHTINGS if name != 'elbo')}."
        )
    ratio = {
        n: elbo_mixture.gain(o, 10.0) / elbo_mixture.gain(o)
        for n, o in policy_experiments.WEIGHTINGS.items()
        if n != "elbo"
    }
    best = min(ratio, key=lambda name: abs(np.log(ratio[name])))
    return (
        ""
        if answer == best
        else f"{answer} counts the coarser change {ratio[answer]:.2f} times as often; one is closer to 1."
    )


@exercise("dpo-beta")
def _dpo_beta(answer) -> str:
    found = 2 / (float(answer) * elbo_mixture.gain(objective("fm-ot")))
    return (
        ""
        if abs(found - 2) < 0.02
        else f"With that β the mean moves by {found:.3g}; the loss has a gain at c = 1."
    )


@exercise("least-possible-loss")
def _least_possible_loss(answer) -> str:
    from diffviz.lab.experiments import (
        training as training_experiments,  # torch only for those who train
    )

    grid, fm = np.linspace(-30, 30, 61), objective("fm-ot")
    truth, value = (
        fm.weighting(grid) @ training_experiments.floor(tuple(grid)) / 2,
        float(answer),
    )  # ½ ∫ w·mmse dλ in steps of one nat
    if abs(value - truth) < 0.02 * truth:
        return ""
    if value == 0:
        return "Even the exact denoiser cannot know the noise: its eps error is mmse(λ), dotted in the pictures."
    if value < truth:
        return "No denoiser gets there. Average factor(λ)·mmse(λ) over the density that fm-ot draws λ from."
    return "An exact denoiser does better: average factor(λ)·mmse(λ) over the density that fm-ot draws λ from, far into both tails."


@exercise("who-is-best-where")
def _who_is_best_where(answer) -> str:
    from diffviz.lab.experiments import training as training_experiments

    found, places = training_experiments.excesses(training_experiments.SMALL), (-6.0, 10.0)
    best = [
        min(
            training_experiments.NAMES,
            key=lambda name: found[name].mean(0)[abs(training_experiments.GRID - at).argmin()],
        )
        for at in places
    ]
    given = list(answer)
    if len(given) != 2 or set(given) - set(training_experiments.NAMES):
        return f"Two names of {', '.join(training_experiments.NAMES)}: the best at λ = −6, the best at λ = 10."
    wrong = [
        f"{at:g}".replace("-", "−")
        for at, name, one in zip(places, given, best, strict=True)
        if name != one
    ]
    return (
        f"Look again at λ = {wrong[0]}: which curve is lowest there, and which weighting is largest?"
        if wrong
        else ""
    )


@exercise("buy-the-middle")
def _buy_the_middle(answer) -> str:
    from diffviz.lab.experiments import training as training_experiments

    chosen = objective(answer) if isinstance(answer, str) else answer
    at = abs(training_experiments.GRID - 4).argmin()
    excess = 10 ** training_experiments.excess_of(chosen, training_experiments.SMALL)[at]
    least, name = min(
        (10 ** training_experiments.excesses(training_experiments.SMALL)[name][0, at], name)
        for name in training_experiments.NAMES
    )
    if excess < 0.8 * least:
        return ""
    return f"At λ = 4 it leaves {excess:.2f}, the best of the five ({name}) {least:.2f}; wanted is 20 % less. Weight λ = 4 and little else."


@exercise("twice-as-far")
def _twice_as_far(answer) -> str:
    from diffviz.perception import sensitivities, spectra

    f = np.geomspace(1e-7, 1e12, 4001)
    endless = spectra.Spectrum(f, f[None] ** -2.0, f**2)
    near, far = (
        spectra.implied(endless, sensitivities.barten_2004, rate).rate_distortion
        for rate in (30, 60)
    )
    level, grid = np.array(-12.0), np.linspace(-8, 8, 3201)
    truth = grid[abs(np.gradient(np.log(far(level + grid)), grid) - _slope(near, level)).argmin()]
    value = float(answer)
    if abs(value - truth) < 0.03:
        return ""
    if abs(value + truth) < 0.03:
        return "The other way: from farther off, a cycle per degree is a coarser structure of the picture, which drowns at a lower λ."
    return "The eye's peak moves to half the cycles per image, an octave down; an octave of f^−β is β ln 2 in λ."


def _slope(w, at, h: float = 1e-3) -> float:
    return float(np.log(w(at + h) / w(at - h)) / (2 * h))


@exercise("eight-cycles")
def _eight_cycles(answer) -> str:
    from diffviz.lab.experiments import perception as perception_experiments

    level, spectrum = float(answer), perception_experiments.spectrum()
    known = float(np.interp(8 / 256, spectrum.frequency, spectrum.captured(level)))
    return (
        ""
        if abs(known - 0.5) < 0.02
        else f"At that λ {known:.0%} of the power at 8 cycles is known; half is −ln S there."
    )


@exercise("as-steep-as-fm")
def _as_steep_as_fm(answer) -> str:
    from diffviz.lab.experiments import perception as perception_experiments

    if not 1 <= float(answer) <= 200:
        return (
            "Pixels per degree: a monitor has about 10 from 14 cm, 42 from 60 cm, 100 from 143 cm."
        )
    steep = perception_experiments.slopes(
        perception_experiments.seen("movshon_kiorpes", float(answer)).rate_distortion
    )[1]
    return (
        ""
        if abs(steep + 0.5) < 0.01
        else f"There the slope from −4 to 2 is {steep:.2f}; from farther off it is steeper.".replace(
            "-", "−"
        )
    )
