"""The loss by log-SNR in a training with the Trainer of Hugging Face."""

from typing import TYPE_CHECKING, Any

from diffviz import checks, extras
from diffviz.learning.callbacks import pictures as sending
from diffviz.learning.callbacks.curve import NAME, PICTURES, Schedule
from diffviz.learning.tracking import LossByLogSNR

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from transformers import Trainer

try:
    from transformers import TrainerCallback
except ModuleNotFoundError:
    TrainerCallback = object  # refused when a trainer is followed

GLOBAL_STEP = "train/global_step"  # the step under which the trainer's own numbers are in W&B


def follow_trainer(
    trainer: "Trainer",
    tracker: LossByLogSNR,
    *,
    every: int = 100,
    base: str = "eps",
    name: str = NAME,
    pictures: int = PICTURES,
) -> None:
    """Let a Trainer log the curve of a tracker, wherever it logs its loss.

    The tracker is filled by the trainer's ``compute_loss`` or by ``LossByLogSNR.watch``, since a
    callback does not see the single losses.

    Args:
        trainer: The trainer.
        tracker: The tracker.
        every: Number of optimiser steps between two curves.
        base: Error that is logged: "eps", "x", "v" or "u".
        name: What the scalars are called, before their level.
        pictures: Number of curves of which one is drawn too, the first, if the trainer reports to
            TensorBoard or W&B; 0 draws none.

    Raises:
        ModuleNotFoundError: transformers is not installed.
        TypeError: An argument is of the wrong kind.
        ValueError: ``every`` is below 1, or the base is unknown.
    """
    with extras.needed_by("follow_trainer"):
        from transformers import Trainer
    checks.require(
        isinstance(trainer, Trainer),
        f"trainer must be a transformers.Trainer, got {trainer!r}",
        TypeError,
    )
    schedule = Schedule(tracker, every, base, name, pictures)
    trainer.add_callback(_CurveCallback(trainer, schedule))


class _CurveCallback(TrainerCallback):
    """Logs the curve by the trainer's own ``log``, which serves all its trackers.

    Args:
        trainer: The trainer.
        schedule: What is logged, and when.
    """

    def __init__(self, trainer: "Trainer", schedule: Schedule):
        self.trainer = trainer
        self.schedule = schedule

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Log the curve where it is due."""
        if self.schedule.is_due(state.global_step):
            curve = self.schedule.curve(state.global_step)
            self.trainer.log(curve.values)
            if curve.figure is not None and state.is_world_process_zero:
                self._send(curve.name, curve.figure, state.global_step)

    def _send(self, name: str, figure: "Figure", step: int) -> None:
        """Hand a picture to the reports of the trainer that take one."""
        for report in self.trainer.callback_handler.callbacks:
            if getattr(report, "tb_writer", None) is not None:
                sending.send(report.tb_writer, name, figure, step)
            if getattr(getattr(report, "_wandb", None), "run", None) is not None:
                # as the trainer does, since W&B drops what has a step below its own count
                values = {name: sending.image_of_wandb(figure), GLOBAL_STEP: step}
                report._wandb.log(values)
