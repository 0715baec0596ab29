"""Judges of notebook 4: which mistake a loss has, and what a probe reads from gradients."""

from dataclasses import dataclass
from typing import Any

from diffviz.lab.exercises.answers import number
from diffviz.lab.exercises.registry import RIGHT, exercise

# What a mistake does to the measured weighting over the one that was meant; a test computes each.
TRACES = {
    "numerator": "leaves everything above SNR = 5 as it was meant, and adds weight below it",
    "max": "raises the weighting at both ends, the more the farther from SNR = 5",
    "no effect": "raises both ends alike, the more the farther from λ = 0",
    "wrong sign": "tilts the weighting by one factor for each nat, on the whole axis",
    "sigma_data": "steps from one level to another in the middle, and leaves both ends parallel",
    "log sigma": "tilts the weighting towards noise, by one factor for each nat",
    "cap": "leaves everything below SNR = 5 as it was meant, and adds weight above it",
    "width": "lowers both ends alike, the more the farther from the middle",
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

ALPHA, SIGMA = 0.8, 0.6  # of the noisy example
CHANGE = 6.0  # of the gradient when F goes from 0 to 1; the others say that the target is x
FACTOR = CHANGE / 2 * (SIGMA / ALPHA) ** 2
# Numbers that come out where a part of the way is left out or turned round.
SLIPS = {
    (SIGMA / ALPHA) ** 2: "That is gain². The loss has a multiplier in front, too.",
    CHANGE / 2: "That is c, the factor on the error of x. How large is that error over ε's?",
    CHANGE * (SIGMA / ALPHA) ** 2: "The change is 2 c, not c.",
    CHANGE / 2 * SIGMA / ALPHA: "Squares are compared, so the gain is squared.",
    CHANGE / 2 * (ALPHA / SIGMA) ** 2: "An error of ε̂ is an error of x̂ times σ/α, not α/σ.",
    CHANGE / 2 * SIGMA**2: "gain² would be σ² if α were 1.",
}


@exercise("probe-by-hand")
def probe_by_hand(answer: Any) -> str:
    """The factor on the squared error of ε in a loss that predicts x, from its gradients."""
    factor = number(answer)
    if abs(factor - FACTOR) < 0.01:
        return RIGHT
    for wrong, hint in SLIPS.items():
        if abs(factor - wrong) < 0.01:
            return hint
    return "First a, b and c from the three gradients, then c · (b − a σ/α)²."
