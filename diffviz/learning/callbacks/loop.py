"""The loss by log-SNR in a loop of one's own, such as those that use accelerate."""

from collections.abc import Callable
from functools import partial
from typing import Any

from numpy.typing import ArrayLike
from torch import Tensor

from diffviz import checks
from diffviz.learning.callbacks import pictures as sending
from diffviz.learning.callbacks.curve import NAME, PICTURES, Schedule
from diffviz.learning.tracking import LossByLogSNR

Log = Callable[[dict[str, float], int], Any]


def follow_loop(
    logger: Any,
    tracker: LossByLogSNR,
    *,
    every: int = 100,
    base: str = "eps",
    name: str = NAME,
    pictures: int = PICTURES,
) -> "Follower":
    """Follow a loop: call what is returned with the levels and losses of each step.

    Args:
        logger: Where the curve goes: an ``Accelerator`` with trackers, a ``SummaryWriter`` of
            TensorBoard, a run of W&B, a logger of Lightning, or a function of (values, step).
        tracker: The tracker to fill.
        every: Number of steps between two curves.
        base: Error that is logged: "eps", "x", "v" or "u".
        name: What the scalars are called, before their level.
        pictures: Number of curves of which one is drawn too, the first, if the logger takes
            pictures; 0 draws none.

    Returns:
        A function of (logsnr, loss).

    Raises:
        TypeError: Nothing can be logged with ``logger``, or an argument is of the wrong kind.
        ValueError: ``every`` is below 1, or the base is unknown.

    Example:
        >>> from diffviz.learning.callbacks import follow_loop
        >>> follow = follow_loop(print, dv.LossByLogSNR([-4.0, 0.0, 4.0]), every=2)
        >>> for step in range(2):
        ...     follow([-1.0, 2.0], [0.5, 1.0])  # λ and eps squared error of each sample
        {'loss_by_logsnr/-02.00': 0.5, 'loss_by_logsnr/+02.00': 1.0} 2
    """
    return Follower(logger, Schedule(tracker, every, base, name, pictures))


class Follower:
    """A loop that is followed; ``follow_loop`` makes it.

    Args:
        logger: Where the curve goes.
        schedule: What is logged, and when.
    """

    def __init__(self, logger: Any, schedule: Schedule):
        self.logger = logger
        self.log = _log_of(logger)
        self.schedule = schedule
        self.step = 0

    def __call__(self, logsnr: Tensor | ArrayLike, loss: Tensor | ArrayLike) -> None:
        """Take in a step, and log the curve where it is due; to be called in each process.

        Args:
            logsnr: λ of each sample in nats, any shape but ().
            loss: Its eps squared error, summed over dimensions, same shape.
        """
        self.schedule.tracker.update(logsnr, loss)
        self.step += 1
        if self.schedule.is_due(self.step):
            curve = self.schedule.curve(self.step)
            self.log(curve.values, self.step)
            if curve.figure is not None:
                sending.send(self.logger, curve.name, curve.figure, self.step)


def _log_of(logger: Any) -> Log:
    """A function of (values, step) that logs."""
    if checks.has(logger, "log_metrics"):  # Lightning
        return logger.log_metrics
    if checks.has(logger, "add_scalar"):  # TensorBoard
        return partial(_log_one_by_one, logger)
    if checks.has(logger, "log"):  # accelerate, W&B
        return partial(_log_with_keyword, logger)
    checks.require(
        callable(logger),
        "logger must have log (accelerate, W&B), add_scalar (TensorBoard) or log_metrics "
        f"(Lightning), or be a function of (values, step); got {logger!r}",
        TypeError,
    )
    return logger


def _log_one_by_one(writer: Any, values: dict[str, float], step: int) -> None:
    """Log values with a writer that takes a single one at a time."""
    for name, value in values.items():
        writer.add_scalar(name, value, step)


def _log_with_keyword(logger: Any, values: dict[str, float], step: int) -> None:
    """Log values with what takes the step as a keyword only."""
    logger.log(values, step=step)
