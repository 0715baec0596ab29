"""Exercises of the notebooks: ``check(name, answer)`` says whether an answer is right, or gives a hint; no answer is typed in here.

A judge computes the truth and returns "" for a right answer, else a hint.
"""

from collections.abc import Callable

import numpy as np

from diffviz import mixtures, weightings
from diffviz.objectives import flow, unknown
from diffviz.recipes import CATALOGUE, objective

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
        raise unknown("exercise", name, EXERCISES, "suite.exercises.EXERCISES")
    if answer is None:
        print(f"{name}: put your answer in place of None and run the cell again")
        return
    try:
        hint = EXERCISES[name](answer)
    except (TypeError, ValueError) as error:
        hint = f"{answer!r} is no answer of the right kind ({error})."
    print(f"{name}: " + (f"not yet. {hint}" if hint else "right!"))


@exercise("edm-peak")
def _edm_peak(answer) -> str:
    truth = weightings.verdict(CATALOGUE["edm"]).peak
    if abs(float(answer) - truth) < 0.02:
        return ""
    if abs(float(answer) - 2.4) < 0.1:
        return "That is where EDM looks most often, p(λ). Its weighting is p times gain² times the multiplier."
    side = "lower" if float(answer) > truth else "higher"
    return f"The peak lies at a {side} log-SNR; verdict(...).peak computes it."


@exercise("same-as-fm")
def _same_as_fm(answer) -> str:
    names = [answer] if isinstance(answer, str) else sorted({getattr(one, "name", one) for one in answer})
    fm = objective("fm-ot")
    wrong = [name for name in names if not weightings.compare(objective(name), fm).same]
    targets = {objective(name).target.name for name in names}
    if wrong:
        worst = weightings.compare(objective(wrong[0]), fm)
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
    share = weightings.share_below(o, mmse=lambda l: 1 / (1 + np.exp(-l)))
    if abs(share - 0.5) < 0.005:
        return ""
    return f"With this shift {share:.1%} of the loss lies below λ = 0; a shift s moves every λ by −2 log s."


def _mystery(letter: str) -> Callable[[object], str]:
    def judge(answer) -> str:
        from suite import losses  # torch only for those who probe

        if answer not in losses.MISTAKES:
            return f"The answer is one of {', '.join(losses.MISTAKES)}."
        truth = losses.MYSTERIES[letter].__name__.strip("_").replace("_", " ").replace("no sigma data", "sigma_data")
        return (
            ""
            if answer == truth
            else f"Plot mystery {letter} and what was meant, losses.INTENDED[{letter!r}]: where do they part?"
        )

    return judge


for _letter in "ABCDE":
    exercise(f"mystery-{_letter}")(_mystery(_letter))


@exercise("gain-one")
def _gain_one(answer) -> str:
    found = mixtures.gain(objective("fm-ot"), float(answer))
    if abs(found - 1) < 0.01:
        return ""
    return f"There flow matching counts a change {found:.3g} times; its gain grows with the square root of c."


@exercise("flat-above")
def _flat_above(answer) -> str:
    from suite import policy_figures

    if answer not in policy_figures.WEIGHTINGS or answer == "elbo":
        return f"One of {', '.join(name for name in policy_figures.WEIGHTINGS if name != 'elbo')}."
    ratio = {n: mixtures.gain(o, 10.0) / mixtures.gain(o) for n, o in policy_figures.WEIGHTINGS.items() if n != "elbo"}
    best = min(ratio, key=lambda name: abs(np.log(ratio[name])))
    return (
        "" if answer == best else f"{answer} counts the coarser change {ratio[answer]:.2f} times as often; one is closer to 1."
    )


@exercise("dpo-beta")
def _dpo_beta(answer) -> str:
    found = 2 / (float(answer) * mixtures.gain(objective("fm-ot")))
    return "" if abs(found - 2) < 0.02 else f"With that β the mean moves by {found:.3g}; the loss has a gain at c = 1."
