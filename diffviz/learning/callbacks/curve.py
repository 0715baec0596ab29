"""What all callbacks share: the curve as scalars and as a picture, and when it is due."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import distributed

from diffviz import checks
from diffviz.learning.callbacks import pictures
from diffviz.learning.tracking import LossByLogSNR
from diffviz.theory.targets import BASES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "loss_by_logsnr"  # what the scalars are called, before their level
PICTURE = "curve"  # what the picture is called, behind that
PICTURES = 10  # curves of which one is drawn


@dataclass(frozen=True, eq=False)
class Curve:
    """What is logged at a step.

    Args:
        values: The curve as numbers with names.
        name: Name of the picture.
        figure: The curve as a picture; None where none is due.
    """

    values: dict[str, float]
    name: str
    figure: "Figure | None"


@dataclass(frozen=True, eq=False)
class Schedule:
    """What is logged, and when.

    Args:
        tracker: The tracker that is followed.
        every: Number of steps between two curves.
        base: Error that is meant: "eps", "x", "v" or "u".
        name: What the scalars are called, before their level.
        pictures: Number of curves of which one is drawn, the first; 0 draws none.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: ``every`` is below 1, or the base is unknown.
    """

    tracker: LossByLogSNR
    every: int = 100
    base: str = "eps"
    name: str = NAME
    pictures: int = PICTURES

    def __post_init__(self) -> None:
        checks.require(
            isinstance(self.tracker, LossByLogSNR),
            f"tracker must be a dv.LossByLogSNR, got {self.tracker!r}",
            TypeError,
        )
        checks.count(self.every, "every")
        checks.count(self.pictures, "pictures", least=0)
        checks.one_of(self.base, "base", BASES)
        checks.require(
            isinstance(self.name, str) and self.name,
            f"name must be text that is not empty, got {self.name!r}",
            TypeError,
        )

    def is_due(self, step: int) -> bool:
        """Whether a curve is to be logged after so many steps."""
        return step > 0 and step % self.every == 0

    def curve(self, step: int) -> Curve:
        """The curve of the draws of all processes; to be called in each of them."""
        whole = _of_all_processes(self.tracker)
        is_drawn = self.pictures > 0 and (step // self.every - 1) % self.pictures == 0
        return Curve(
            values=scalars(whole, self.base, self.name),
            name=f"{self.name}/{PICTURE}",
            figure=pictures.drawn(whole, self.base) if is_drawn else None,
        )


def _of_all_processes(tracker: LossByLogSNR) -> LossByLogSNR:
    """A tracker of the draws of all processes, where there are several."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return tracker
    return tracker.all_reduce() if distributed.get_world_size() > 1 else tracker


def scalars(tracker: LossByLogSNR, base: str = "eps", name: str = NAME) -> dict[str, float]:
    """The curve of a tracker as numbers with names, for any logger.

    Args:
        tracker: The tracker. With several decays, the first counts.
        base: Error that is meant: "eps", "x", "v" or "u".
        name: What the scalars are called, before their level.

    Returns:
        A scalar for each bin that has been seen, such as "loss_by_logsnr/-03.50", by the middle of
        the bin in nats.

    Raises:
        ValueError: The base is unknown.

    Example:
        >>> from diffviz.learning.callbacks import scalars
        >>> tracker = dv.LossByLogSNR([-4.0, 0.0, 4.0, 8.0])
        >>> tracker.update([-3.0, -1.0, 2.0], [0.25, 0.75, 1.0])
        >>> scalars(tracker)
        {'loss_by_logsnr/-02.00': 0.5, 'loss_by_logsnr/+02.00': 1.0}
    """
    mean = np.atleast_2d(tracker.curve(base).mean)[0]
    return {
        f"{name}/{middle:+06.2f}": float(value)
        for middle, value in zip(tracker.middle, mean, strict=True)
        if np.isfinite(value)
    }
