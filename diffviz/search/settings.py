"""What a search depends on: data, goal, family, and how each candidate is trained."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

from diffviz import checks
from diffviz.search import families, goals
from diffviz.search.datasets import IMAGES

LAWS = "same", "own"


@dataclass(frozen=True)
class Settings:
    """What the goal of a candidate depends on, besides its weighting and the seed.

    Args:
        data: A toy of ``diffviz.data.toys.TOYS``, or "digits" or "fashion" as images.
        goal: A name of ``goals.GOALS``.
        family: A name of ``families.FAMILIES``.
        steps: Steps of a training.
        batch: Data points of a step.
        learning_rate: Of Adam, as for ``dv.fit``.
        law: How levels are drawn, "same" for all candidates or each its "own"; see ``candidates``.

    Raises:
        TypeError: A number is none.
        ValueError: A name is unknown, a number is out of range, or goal or family need images.
    """

    data: str = "ring8"
    goal: str = "likelihood"
    family: str = "logit-normal"
    steps: int = 400
    batch: int = 256
    learning_rate: float = 1e-2
    law: str = "same"

    def __post_init__(self) -> None:
        for name, options in choices().items():
            checks.one_of(getattr(self, name), name, options)
        object.__setattr__(self, "steps", checks.count(self.steps, "steps"))
        object.__setattr__(self, "batch", checks.count(self.batch, "batch"))
        rate = checks.rate(self.learning_rate, "learning_rate")
        object.__setattr__(self, "learning_rate", rate)
        needs_images = (
            goals.GOALS[self.goal].needs_images or families.FAMILIES[self.family].needs_images
        )
        if needs_images and self.data not in IMAGES:
            raise ValueError(
                f"goal {self.goal!r} with family {self.family!r} is about what an eye sees: it "
                f"needs data digits or fashion, not {self.data!r}"
            )

    def record(self) -> dict[str, Any]:
        """The settings as the first line of a file of results states them."""
        return asdict(self)


def choices() -> dict[str, Collection[str]]:
    """The names that a setting may have.

    Returns:
        Setting to names, for those settings that are names.
    """
    from diffviz.data.toys import TOYS

    return {"data": TOYS, "goal": goals.GOALS, "family": families.FAMILIES, "law": LAWS}
