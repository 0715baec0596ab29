"""Judges of notebook 4: which mistake a loss has, and what a probe reads from gradients."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffviz.lab.exercises.functions import judged
from diffviz.lab.exercises.registry import RIGHT, exercise

# What a mistake does to the measured weighting over the one that was meant; a test computes each.
TRACES = {
    "numerator": "leaves everything above SNR = 5 as it was meant, and adds weight below it",
    "max": "raises the weighting at both ends, the more the farther from SNR = 5",
    "no effect": "raises both ends alike, the more the farther from λ = 0",
    "wrong sign": "tilts the weighting by one factor for each nat, on the whole axis",
    "sigma_data": "steps from one level to another in the middle, and leaves both ends parallel",
}


@dataclass(frozen=True)
class MysteryJudge:
    """The judge of one mysterious loss.

    Attributes:
        letter: Its letter in ``losses.MYSTERIES``.
    """

    letter: str

    def __call__(self, answer: Any) -> str:
        """Judge the name of a mistake, one of ``losses.MISTAKES``."""
        from diffviz.lab import losses  # torch only for those who probe

        mistakes = ", ".join(losses.MISTAKES)
        if not isinstance(answer, str) or answer not in losses.MISTAKES:
            return f"The answer is one of {mistakes}."
        if answer == losses.MISTAKE_OF[losses.MYSTERIES[self.letter]]:
            return RIGHT
        return (
            f"{answer!r} {TRACES[answer]}. That is not what the ratio of mystery {self.letter} to "
            "what was meant does, the curve on the right."
        )


for _letter in "ABCDE":
    exercise(f"mystery-{_letter}")(MysteryJudge(_letter))


# --- the probe by hand ----------------------------------------------------------------------------


def _gain_squared(
    of_data: NDArray, of_noise: NDArray, change: NDArray, x: NDArray, eps: NDArray, ratio: float
) -> NDArray:
    """(b − a σ/α)², with a and b from gradients −2 c a x and −2 c b ε, and the change 2 c."""
    a, b = -of_data / (change * x), -of_noise / (change * eps)
    return (b - a * ratio) ** 2


@exercise("probe-by-hand")
def probe_by_hand(answer: Any) -> str:
    """gain² from three gradients of one squared loss, and σ/α."""
    rng = np.random.default_rng(6)
    cases = [_gradients(rng) for _ in range(3)]

    def with_signs(of_data: NDArray, of_noise: NDArray, *rest: Any) -> NDArray:
        return _gain_squared(-of_data, of_noise, *rest)

    def unscaled(
        of_data: NDArray, of_noise: NDArray, change: NDArray, x: NDArray, eps: NDArray, ratio: float
    ) -> NDArray:
        return _gain_squared(of_data, of_noise, np.ones_like(change), x, eps, ratio)

    def upside_down(
        of_data: NDArray, of_noise: NDArray, change: NDArray, x: NDArray, eps: NDArray, ratio: float
    ) -> NDArray:
        return _gain_squared(of_data, of_noise, change, x, eps, 1 / ratio)

    def swapped(of_data: NDArray, of_noise: NDArray, *rest: Any) -> NDArray:
        change, x, eps, ratio = rest
        return (-of_data / (change * x) + of_noise / (change * eps) * ratio) ** 2

    def of_the_target(of_data: NDArray, of_noise: NDArray, *rest: Any) -> NDArray:
        change, x, eps, _ = rest
        return (of_noise / (change * eps)) ** 2 + (of_data / (change * x)) ** 2

    mistakes = {
        "The square is missing: the squared error counts.": (
            lambda *arguments: np.sqrt(_gain_squared(*arguments))
        ),
        "The sign: more of ε̂ in z means less of x̂, so it is b − a σ/α.": with_signs,
        "Divide the gradients by 2 c, which is the change: the target does not depend on c.": (
            unscaled
        ),
        "It is σ/α, not α/σ: an error of ε̂ is an error of x̂ times σ/α.": upside_down,
        "a and b have changed places: the target is a x + b ε, so a comes from the gradient of the "
        "data and b from that of the noise.": swapped,
        "x̂ and ε̂ are no independent guesses: put x̂ = (z − σ ε̂)/α in.": (of_the_target),
    }
    hint = "a = −of_data/(change · x) and b = −of_noise/(change · eps); then (b − a σ/α)²."
    return judged(_for_each(answer), _gain_squared, cases, mistakes, hint)


def _for_each(answer: Any) -> Any:
    """The function, with one number repeated for each x: gain² is the same for all of them."""
    if not callable(answer):
        return answer

    def repeated(*arguments: Any) -> Any:
        said = answer(*arguments)
        is_number = isinstance(said, int | float | np.number | np.ndarray) and np.ndim(said) == 0
        return np.full(len(arguments[0]), said) if is_number else said

    return repeated


def _gradients(rng: np.random.Generator) -> tuple[Any, ...]:
    """Gradients of a loss with a hidden target and multiplier, for six values of x and ε."""
    a, b = rng.uniform(0.3, 2, 2) * rng.choice([-1, 1], 2)
    c, ratio = rng.uniform(0.5, 3, 2)
    x, eps = rng.standard_normal((2, 6))
    return -2 * c * a * x, -2 * c * b * eps, np.full(6, 2 * c), x, eps, float(ratio)
