"""Judges of notebook 4: which mistake a loss has."""

from dataclasses import dataclass
from typing import Any

from diffviz.lab.exercises.registry import RIGHT, exercise


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
            f"Plot mystery {self.letter} and what was meant, "
            f"losses.INTENDED[{self.letter!r}]: where do they part?"
        )


for _letter in "ABCDE":
    exercise(f"mystery-{_letter}")(MysteryJudge(_letter))
