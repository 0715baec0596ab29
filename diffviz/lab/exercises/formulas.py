"""Judges of exercises in which a reader writes a formula as a function.

The inputs are drawn anew for each exercise and not shown, so that only the formula can be right.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from diffviz.checks import require
from diffviz.lab.exercises.functions import judged
from diffviz.lab.exercises.registry import RIGHT, exercise
from diffviz.recipes.entries import CATALOGUE
from diffviz.theory import analysis, multipliers, paths, targets
from diffviz.theory.objectives import Objective

SIDE_NOTE = "λ = log(α²/σ²), and here α² + σ² = 1."


def _rng(seed: int) -> np.random.Generator:
    """A generator for hidden inputs."""
    return np.random.default_rng(seed)


# --- what a recipe weights ----------------------------------------------------------------------


def _eps_on_a_line() -> Objective:
    """ε-prediction on the linear path with uniform times."""
    return Objective(
        name="",
        family="",
        year=0,
        source="",
        path=paths.LINEAR,
        target=targets.EPS,
        multiplier=multipliers.constant,
    )


def _anchored(function: Callable[[NDArray], Any]) -> Callable[[NDArray], Any]:
    """The function over its size at λ = 0, since the positive constant of a weighting is free."""

    def ratio(logsnr: NDArray) -> Any:
        values = function(logsnr)
        if values is None or values is Ellipsis:
            return values
        with np.errstate(divide="ignore", invalid="ignore"):  # a function that is 0 there
            return np.asarray(values, dtype=float) / abs(float(np.ravel(function(np.zeros(1)))[0]))

    return ratio


@exercise("weighting-of-a-recipe")
def weighting_of_a_recipe(answer: Any) -> str:
    """w(λ) of ε-prediction on the linear path with uniform times, up to a constant."""
    require(callable(answer), "the answer is a function here: def ...", TypeError)
    mistakes = {
        "That is flow matching's. Its target is ε − x, whose gain² is (1 + e^(−λ/2))²; "
        "the target here is ε itself.": lambda level: np.exp(-level / 2),
        "That is the density of the cosine schedule. On the line t = σ = sigmoid(−λ/2).": (
            lambda level: 1 / np.cosh(level / 2)
        ),
        "That is t as a function of λ. The density is its slope, |dt/dλ|.": (
            lambda level: 2 * expit(-level / 2)
        ),
        "σ = sigmoid(−λ/2), with half of λ: λ is the log of a ratio of squares.": (
            lambda level: 1 / np.cosh(level / 2) ** 2
        ),
    }
    hint = "With the target ε and no multiplier w is the density of λ: p(λ) = |dt/dλ|."
    logsnr = np.sort(_rng(0).uniform(-9, 9, 40))
    truth = _anchored(_eps_on_a_line().weighting)
    return judged(_anchored(answer), truth, [(logsnr,)], mistakes, hint)


@exercise("weighting-of-indi")
def weighting_of_indi(answer: Any) -> str:
    """w(λ) of x-prediction on the linear path with uniform times, up to a constant."""
    require(callable(answer), "the answer is a function here: def ...", TypeError)
    mistakes = {
        "The density of λ is missing: multiply gain² by p(λ) = |dt/dλ|.": lambda level: np.exp(
            -level
        ),
        "The gain has to be squared: the loss is a squared error.": lambda level: (
            np.exp(-level / 2) / np.cosh(level / 4) ** 2
        ),
        "The sign: an error of x is σ/α = e^(−λ/2) times the error of ε.": lambda level: (
            np.exp(level) / np.cosh(level / 4) ** 2
        ),
        "That is the density alone. The target is x, whose gain is σ/α.": lambda level: (
            1 / np.cosh(level / 4) ** 2
        ),
        "That is the density of the cosine path. On the line t = σ = sigmoid(−λ/2).": (
            lambda level: np.exp(-level) / np.cosh(level / 2)
        ),
        "σ = sigmoid(−λ/2), with half of λ: λ is the log of a ratio of squares.": lambda level: (
            np.exp(-level) / np.cosh(level / 2) ** 2
        ),
    }
    hint = "w is gain² · p, with the gain |b − a σ/α| of a = 1, b = 0, and p(λ) = |dt/dλ|."
    logsnr = np.sort(_rng(6).uniform(-9, 9, 40))
    truth = _anchored(CATALOGUE["indi"].weighting)
    return judged(_anchored(answer), truth, [(logsnr,)], mistakes, hint)


@exercise("objective-with-a-property")
def objective_with_a_property(answer: Any) -> str:
    """An objective whose weighting never rises and that spends half of its loss above λ = 2."""
    require(isinstance(answer, Objective), "a dv.Objective is needed", TypeError)
    verdict = analysis.verdict(answer)
    if not verdict.monotone:
        return f"Its weighting rises somewhere: {verdict}."
    share = analysis.share_below(answer, 2.0, mmse=analysis.gaussian_mmse)
    if abs(share - 0.5) < 0.01:
        return RIGHT
    side = "right" if share > 0.5 else "left"
    return f"{share:.1%} of its loss on N(0, I) lies below λ = 2. Move it to the {side}."


# --- schedules ----------------------------------------------------------------------------------


@exercise("importance-draw")
def importance_draw(answer: Any) -> str:
    """The value of one draw: w/(2p) times the squared error."""
    rng = _rng(1)
    cases = [tuple(rng.uniform(0.2, 3, (3, 12))) for _ in range(3)]
    mistakes = {
        "The ½ of the loss is missing: L = ½ ∫ w E‖ε̂ − ε‖² dλ.": lambda w, p, e: w / p * e,
        "Divide by p. Where you look often, each look must count less.": lambda w, p, e: w * p * e,
        "That would multiply by p and keep the ½: divide instead.": lambda w, p, e: w * p * e / 2,
        "The density p has to appear: without it the mean depends on where you look.": (
            lambda w, p, e: w * e / 2
        ),
        "The error that comes in is squared already.": lambda w, p, e: w / (2 * p) * e**2,
    }
    hint = "The mean over λ ~ p must be ½ ∫ w E‖ε̂ − ε‖² dλ. Which factor does that?"
    return judged(answer, lambda w, p, e: w / (2 * p) * e, cases, mistakes, hint)


@exercise("weighting-of-edm2-rule")
def weighting_of_edm2_rule(answer: Any) -> str:
    """w(λ) that EDM2's rule trains on N(0, 1) data under uniform t, up to a constant."""
    require(callable(answer), "the answer is a function here: def ...", TypeError)
    density = CATALOGUE["fm-ot"].law.pdf
    mistakes = {
        "That is the weighting that was asked. The rule does not look at it.": (
            CATALOGUE["fm-ot"].weighting
        ),
        "Divide by the least error. The rule divides each level's loss by that loss.": (
            lambda level: density(level) * expit(level)
        ),
        "The density is missing: a level that is drawn often counts often.": (
            lambda level: 1 / expit(level)
        ),
        "That is the density alone: it is divided by the least error, sigmoid(λ).": density,
        "The rule divides p by the error, and not the w that was asked.": lambda level: (
            np.exp(-level / 2) / expit(level)
        ),
    }
    hint = "The rule leaves p(λ) over the least error of the level."
    logsnr = np.sort(_rng(14).uniform(-9, 9, 40))
    truth = _anchored(lambda level: density(level) / analysis.gaussian_mmse(level))
    anchored = {words: _anchored(mistake) for words, mistake in mistakes.items()}
    return judged(_anchored(answer), truth, [(logsnr,)], anchored, hint)


# --- training -----------------------------------------------------------------------------------


def _squared_length(x_hat: NDArray, exact: NDArray) -> NDArray:
    """‖x̂ − x̂*‖² of each point, shape (n,)."""
    return np.asarray(np.square(x_hat - exact).sum(1))


@exercise("excess-of-x")
def excess_of_x(answer: Any) -> str:
    """E‖ε̂ − ε̂*‖² at a level, from what a network and the exact denoiser say of x."""
    rng = _rng(7)
    cases = [
        (*rng.standard_normal((2, 9, 2)), float(level)) for level in rng.uniform(-4, 6, size=4)
    ]
    mistakes = {
        "The other way round: ε̂ − ε̂* is −α/σ times x̂ − x̂*, and α²/σ² = e^λ.": (
            lambda x_hat, exact, level: np.exp(-level) * _squared_length(x_hat, exact).mean()
        ),
        "A square is missing: the factor between squared errors is α²/σ², not α/σ.": (
            lambda x_hat, exact, level: np.exp(level / 2) * _squared_length(x_hat, exact).mean()
        ),
        "That is the error of x. The excess is counted on ε.": (
            lambda x_hat, exact, level: _squared_length(x_hat, exact).mean()
        ),
        "Sum over the two dimensions of a point, and average over the points only.": (
            lambda x_hat, exact, level: np.exp(level) * np.square(x_hat - exact).mean()
        ),
        "Average over the points: E is a mean.": (
            lambda x_hat, exact, level: np.exp(level) * np.square(x_hat - exact).sum()
        ),
    }
    hint = "z is the same for both, so α (x̂ − x̂*) = −σ (ε̂ − ε̂*). Square it, and solve."

    def truth(x_hat: NDArray, exact: NDArray, level: float) -> NDArray:
        return np.asarray(np.exp(level) * _squared_length(x_hat, exact).mean())

    return judged(answer, truth, cases, mistakes, hint)


# --- the ELBO -----------------------------------------------------------------------------------


@exercise("layer-cost")
def layer_cost(answer: Any) -> str:
    """KL of one layer of the stack: ½ expm1(Δλ) E‖ε̂ − ε‖² at the noisier end."""
    rng = _rng(2)
    cases = [
        (np.sort(rng.uniform(-6, 0, 9)), np.sort(rng.uniform(0, 6, 9)), rng.uniform(0, 2, 9))
        for _ in range(3)
    ]
    mistakes = {
        "That is the limit of thin layers. A layer of length Δλ costs e^Δλ − 1 in place of Δλ.": (
            lambda low, high, error: (high - low) * error / 2
        ),
        "The ½ is missing.": lambda low, high, error: np.expm1(high - low) * error,
        "The sign: the layer goes up from logsnr to next_logsnr, so Δλ is above 0.": (
            lambda low, high, error: np.expm1(low - high) * error / 2
        ),
        "Take 1 off: a layer of no length costs nothing.": (
            lambda low, high, error: np.exp(high - low) * error / 2
        ),
    }
    hint = "Both Gaussians have one variance, so the KL is (difference of means)²/(2 variance)."

    def truth(low: NDArray, high: NDArray, error: NDArray) -> NDArray:
        return np.expm1(high - low) * error / 2

    return judged(answer, truth, cases, mistakes, hint)


# --- the prior ----------------------------------------------------------------------------------


@exercise("crosses")
def crosses(answer: Any) -> str:
    """Which of two pairs would be closer with their partners swapped."""
    require(callable(answer), "the answer is a function here: def ...", TypeError)
    rng = _rng(3)
    cases = [tuple(rng.normal(size=(4, 40, 2))) for _ in range(3)]

    def said(*pairs: NDArray) -> Any:
        found = answer(*pairs)
        is_truth = np.asarray(found).dtype == bool
        return np.asarray(found, dtype=float) if is_truth else found

    def product(x1: NDArray, e1: NDArray, x2: NDArray, e2: NDArray) -> NDArray:
        return ((x1 - x2) * (e1 - e2)).sum(-1)

    mistakes = {
        "Those are the pairs that do not cross: the sign.": (
            lambda *pairs: (product(*pairs) > 0).astype(float)
        ),
        "That is the product. Two pairs cross where it is below 0.": product,
        "Take the difference of the two data points, and that of the two source points.": (
            lambda x1, e1, x2, e2: (product(x1, x2, e1, e2) < 0).astype(float)
        ),
        "That looks at one coordinate. Sum the product over both.": (
            lambda x1, e1, x2, e2: ((x1 - x2) * (e1 - e2) < 0)[:, 0].astype(float)
        ),
    }
    hint = (
        "Swapped, they would have ‖x1 − e2‖² + ‖x2 − e1‖². Multiply this and what they have now "
        "out, and see what is left of the difference."
    )
    return judged(said, lambda *pairs: (product(*pairs) < 0).astype(float), cases, mistakes, hint)


# --- sampling -----------------------------------------------------------------------------------


def _scales(logsnr: float) -> tuple[float, float]:
    """α and σ with α² + σ² = 1."""
    return float(np.sqrt(expit(logsnr))), float(np.sqrt(expit(-logsnr)))


def _ddim(z: NDArray, x_hat: NDArray, logsnr: float, next_logsnr: float) -> NDArray:
    """One step of DDIM in the variance-preserving frame."""
    (alpha, sigma), (next_alpha, next_sigma) = _scales(logsnr), _scales(next_logsnr)
    return next_alpha * x_hat + next_sigma * (z - alpha * x_hat) / sigma


def _ddim_without_alpha(z: NDArray, x_hat: NDArray, logsnr: float, next_logsnr: float) -> NDArray:
    """DDIM with ε̂ = (z − x̂)/σ, α forgotten."""
    (_, sigma), (next_alpha, next_sigma) = _scales(logsnr), _scales(next_logsnr)
    return next_alpha * x_hat + next_sigma * (z - x_hat) / sigma


def _ddim_squared(z: NDArray, x_hat: NDArray, logsnr: float, next_logsnr: float) -> NDArray:
    """DDIM with α² and σ² in the places of α and σ."""
    alpha, sigma = expit(logsnr), expit(-logsnr)
    return expit(next_logsnr) * x_hat + expit(-next_logsnr) * (z - alpha * x_hat) / sigma


def _ddim_undivided(z: NDArray, x_hat: NDArray, logsnr: float, next_logsnr: float) -> NDArray:
    """DDIM with σ ε̂ in the place of ε̂."""
    (alpha, _), (next_alpha, next_sigma) = _scales(logsnr), _scales(next_logsnr)
    return next_alpha * x_hat + next_sigma * (z - alpha * x_hat)


def _ddim_of_old_sigma(z: NDArray, x_hat: NDArray, logsnr: float, next_logsnr: float) -> NDArray:
    """DDIM with σ in the place of σ′."""
    (alpha, _), (next_alpha, _) = _scales(logsnr), _scales(next_logsnr)
    return next_alpha * x_hat + z - alpha * x_hat


def _ddim_of_unrooted_alpha(
    z: NDArray, x_hat: NDArray, logsnr: float, next_logsnr: float
) -> NDArray:
    """DDIM with α² in the place of α, and σ as it belongs to that."""
    alpha, next_alpha = expit(logsnr), expit(next_logsnr)
    sigma, next_sigma = np.sqrt(1 - alpha**2), np.sqrt(1 - next_alpha**2)
    return next_alpha * x_hat + next_sigma * (z - alpha * x_hat) / sigma


def _ddim_of_unrooted_alpha_alone(
    z: NDArray, x_hat: NDArray, logsnr: float, next_logsnr: float
) -> NDArray:
    """DDIM with α² in the place of α, and the right σ."""
    (_, sigma), (_, next_sigma) = _scales(logsnr), _scales(next_logsnr)
    return expit(next_logsnr) * x_hat + next_sigma * (z - expit(logsnr) * x_hat) / sigma


def _ddim_of_half(z: NDArray, x_hat: NDArray, logsnr: float, next_logsnr: float) -> NDArray:
    """DDIM with λ = log(α/σ), which is half of ours."""
    return _ddim(z, x_hat, 2 * logsnr, 2 * next_logsnr)


@exercise("ddim-step")
def ddim_step(answer: Any) -> str:
    """One step of DDIM from a log-SNR to the next, by the predicted x."""
    rng = _rng(4)
    cases = [
        (rng.standard_normal(8), rng.standard_normal(8), *np.sort(rng.uniform(-6, 6, 2)).tolist())
        for _ in range(4)
    ]
    mistakes = {
        "A square root is missing: sigmoid(λ) is α², not α.": _ddim_squared,
        "The old σ stands before ε̂: the new z has the noise of next_logsnr.": _ddim_of_old_sigma,
        "α is the root of sigmoid(λ): yours is sigmoid(λ) itself.": _ddim_of_unrooted_alpha,
        "α is missing a root: sigmoid(λ) is α². Your σ is right.": _ddim_of_unrooted_alpha_alone,
        "Time runs the other way round: you step from next_logsnr to logsnr.": (
            lambda z, x_hat, level, end: _ddim(z, x_hat, end, level)
        ),
        "ε̂ = (z − α x̂)/σ: the α is missing.": _ddim_without_alpha,
        "ε̂ = (z − α x̂)/σ: divide by σ before you scale it again.": _ddim_undivided,
        "Your λ is log(α/σ). " + SIDE_NOTE: _ddim_of_half,
        "That is where the step begins; use the scales of next_logsnr for the new z.": (
            lambda z, x_hat, level, end: _ddim(z, x_hat, level, level)
        ),
    }
    how = "Find ε̂ here from z = α x̂ + σ ε̂, and mix x̂ and ε̂ with the scales there."
    hint = f"{how} {SIDE_NOTE}"
    return judged(answer, _ddim, cases, mistakes, hint)


# --- policies -----------------------------------------------------------------------------------


def _mean_last(values: NDArray) -> NDArray:
    """Mean over the last axis."""
    return np.asarray(values).mean(-1)


@exercise("fpo-ratio")
def fpo_ratio(answer: Any) -> str:
    """FPO's ratio of one action: exp of the mean of old loss less new loss over the draws."""
    rng = _rng(5)
    cases = [tuple(rng.uniform(0, 2, (2, 5, 8))) for _ in range(3)]
    mistakes = {
        "The sign: a loss that fell must raise the ratio above 1.": (
            lambda old, new: np.exp(_mean_last(new - old))
        ),
        "Average before you take exp: the mean of exps is larger, and far noisier.": (
            lambda old, new: _mean_last(np.exp(old - new))
        ),
        "Take exp: the difference of losses stands for a difference of logarithms.": (
            lambda old, new: _mean_last(old - new)
        ),
        "Take the mean over the draws, not their sum.": (
            lambda old, new: np.exp(np.asarray(old - new).sum(-1))
        ),
        "One ratio for each action: average over the draws only, the last axis.": (
            lambda old, new: np.exp(np.mean(old - new))
        ),
        "The losses stand for log-likelihoods: take their difference, not their quotient.": (
            lambda old, new: _mean_last(old) / _mean_last(new)
        ),
    }
    hint = "−loss stands for log π. The ratio of policies is exp(log π_new − log π_old)."
    return judged(answer, lambda old, new: np.exp(_mean_last(old - new)), cases, mistakes, hint)


@exercise("released-clip")
def released_clip(answer: Any) -> str:
    """The exact ratio at which a clip at 1 + δ stops the d-th root of it: (1 + δ)^d."""
    rng = _rng(8)
    cases = [(rng.integers(2, 9, 5), rng.uniform(0.02, 0.3, 5)) for _ in range(3)]
    mistakes = {
        "The other way round: that is what the root of 1 + δ is, and the exact ratio is larger.": (
            lambda d, delta: (1 + delta) ** (1 / d)
        ),
        "That is where the released ratio is clipped. Which exact ratio has it as its root?": (
            lambda d, delta: 1 + delta
        ),
        "For A > 0 the clip stops a ratio that rises: the upper end counts.": (
            lambda d, delta: (1 - delta) ** d
        ),
        "Only for small δ: a power is a product of d factors, not a sum.": (
            lambda d, delta: 1 + d * delta
        ),
    }
    hint = "The released ratio is the d-th root of the exact one, and stops at 1 + δ."
    return judged(answer, lambda d, delta: (1 + delta) ** d, cases, mistakes, hint)


def _slope(logsnr: NDArray, variance: float) -> NDArray:
    """Slope of sigmoid(λ + ln c) in λ."""
    level = logsnr + np.log(variance)
    return expit(level) * expit(-level)


@exercise("gain-integral")
def gain_integral(answer: Any) -> str:
    """κ_w(c) = ∫ w(λ) sigmoid′(λ + log c) dλ, for weights on a grid."""
    logsnr = np.linspace(-25, 25, 2001)
    names = ("fm-ot", "edm", "elbo", "min-snr-5-eps")
    cases = [
        (CATALOGUE[name].weighting(logsnr), logsnr, variance)
        for name, variance in zip(names, (0.3, 1.0, 2.0, 4.0), strict=True)
    ]

    def integral(slope: Callable[[NDArray, float], NDArray]) -> Callable[..., Any]:
        return lambda w, level, c: np.trapezoid(w * slope(level, c), level)

    mistakes = {
        "The sign of log c: larger variance moves the scale to lower λ, sigmoid′(λ + log c).": (
            integral(lambda level, c: _slope(level, 1 / c))
        ),
        "The logarithm is missing: λ moves by log c, not by c.": (
            integral(lambda level, c: _slope(level, np.exp(c)))
        ),
        "That integrates w times sigmoid. What counts is its slope, sigmoid · (1 − sigmoid).": (
            integral(lambda level, c: expit(level + np.log(c)))
        ),
        "The variance c does not appear: it says at which λ the scale is decided.": (
            integral(lambda level, c: _slope(level, 1.0))
        ),
        "That is the integral of sigmoid′ alone: the weighting is missing.": (
            lambda w, level, c: np.trapezoid(_slope(level, c), level)
        ),
        "Multiply by the spacing of λ: a sum over the grid is no integral.": (
            lambda w, level, c: (w * _slope(level, c)).sum()
        ),
    }
    hint = (
        "κ_w(c) = ∫ w(λ) sigmoid′(λ + log c) dλ with sigmoid′ = sigmoid · (1 − sigmoid); "
        "np.trapezoid integrates."
    )
    return judged(answer, integral(_slope), cases, mistakes, hint)
