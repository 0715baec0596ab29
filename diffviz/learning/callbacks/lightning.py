"""The loss by log-SNR in a training with Lightning.

``training_step`` returns λ and the squared eps error of each sample beside the loss:

    return {"loss": loss, "logsnr": logsnr, "error": error}
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from diffviz import extras
from diffviz.learning.callbacks import pictures as sending
from diffviz.learning.callbacks.curve import NAME, PICTURES, Schedule
from diffviz.learning.tracking import LossByLogSNR

try:
    from lightning.pytorch.callbacks import Callback
except ModuleNotFoundError:
    try:  # the same under the name that it had before
        from pytorch_lightning.callbacks import Callback
    except ModuleNotFoundError:
        Callback = object  # refused when one is made

LEVEL = "logsnr"  # keys of what training_step returns
ERROR = "error"


class LightningCallback(Callback):
    """A callback that fills a tracker and logs its curve with the trainer's loggers.

    Args:
        tracker: The tracker to fill.
        every: Number of optimiser steps between two curves.
        base: Error that is logged: "eps", "x", "v" or "u".
        name: What the scalars are called, before their level.
        pictures: Number of curves of which one is drawn too, the first, where a logger takes
            pictures; 0 draws none.

    Raises:
        ModuleNotFoundError: Lightning is not installed.
        TypeError: An argument is of the wrong kind.
        ValueError: ``every`` is below 1, or the base is unknown.
    """

    def __init__(
        self,
        tracker: LossByLogSNR,
        every: int = 100,
        base: str = "eps",
        name: str = NAME,
        pictures: int = PICTURES,
    ):
        if Callback is object:
            with extras.needed_by("LightningCallback"):
                import_module("lightning")
        super().__init__()
        self.schedule = Schedule(tracker, every, base, name, pictures)
        self.logged_at = 0

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take in a batch, and log the curve where it is due.

        Raises:
            ValueError: ``training_step`` does not return what is needed.
        """
        if not isinstance(outputs, Mapping) or not {LEVEL, ERROR} <= outputs.keys():
            given = sorted(outputs) if isinstance(outputs, Mapping) else type(outputs).__name__
            raise ValueError(
                f"training_step must return a mapping with 'loss', {LEVEL!r} and {ERROR!r}, λ and "
                f"squared eps error of each sample; it returned {given}"
            )
        self.schedule.tracker.update(outputs[LEVEL], outputs[ERROR])
        step = int(trainer.global_step)
        # under accumulation of gradients several batches have the same step
        if self.schedule.is_due(step) and step != self.logged_at:
            self.logged_at = step
            curve = self.schedule.curve(step)
            for logger in trainer.loggers:
                logger.log_metrics(curve.values, step)
                if curve.figure is not None and trainer.is_global_zero:
                    sending.send(logger, curve.name, curve.figure, step)

    def state_dict(self) -> dict[str, Any]:
        """The tracker's state, which goes into Lightning's checkpoints."""
        return {"tracker": self.schedule.tracker.state_dict(), "logged_at": self.logged_at}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the state in a checkpoint."""
        self.schedule.tracker.load_state_dict(state_dict["tracker"])
        self.logged_at = state_dict["logged_at"]
