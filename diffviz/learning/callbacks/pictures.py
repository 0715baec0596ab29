"""The curve as a picture, in whatever form a tracker takes one.

A tracker that takes none, such as a file of CSV or a function, gets the numbers only.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diffviz import checks
from diffviz.learning.tracking import LossByLogSNR

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def drawn(tracker: LossByLogSNR, base: str = "eps") -> "Figure":
    """The curve of a tracker as a figure.

    Args:
        tracker: The tracker.
        base: Error that is meant: "eps", "x", "v" or "u".

    Returns:
        A new Matplotlib figure.
    """
    figure: Figure = tracker.plot(base=base).figure  # type: ignore[assignment]
    figure.set_layout_engine("tight")  # trackers cut off what stands outside the figure
    return figure


def pixels(figure: "Figure") -> NDArray[np.uint8]:
    """A figure as an image.

    Args:
        figure: The figure.

    Returns:
        Red, green and blue, shape (height, width, 3).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def send(logger: Any, name: str, figure: "Figure", step: int) -> bool:
    """Hand a figure to a logger.

    Args:
        logger: An ``Accelerator`` or one of its trackers, a ``SummaryWriter`` of TensorBoard, a run
            of W&B, or a logger of Lightning.
        name: Name of the picture.
        figure: The picture.
        step: The step.

    Returns:
        Whether the logger takes pictures.
    """
    if checks.has(logger, "trackers"):  # Accelerator; those of other processes log nothing
        is_main = checks.attribute(logger, "is_main_process", True)
        sent = [send(one, name, figure, step) for one in logger.trackers if is_main]
        return any(sent)
    if checks.has(logger, "add_figure"):  # TensorBoard
        logger.add_figure(name, figure, step, close=False)
        return True
    if _is_of_wandb(logger):
        logger.log({name: image_of_wandb(figure)}, step=step)
        return True
    if checks.has(logger, "log_image"):  # Lightning's logger for W&B
        logger.log_image(name, [pixels(figure)], step)
        return True
    return any(
        send(getattr(logger, inner), name, figure, step)
        for inner in ("experiment", "tracker")  # of a logger of Lightning, of accelerate
        if checks.attribute(logger, inner) is not None
    )


def _is_of_wandb(logger: Any) -> bool:
    """Whether a logger is a run of W&B."""
    return type(logger).__module__.partition(".")[0] == "wandb" and checks.has(logger, "log")


def image_of_wandb(figure: "Figure") -> Any:
    """A picture as W&B takes it.

    Args:
        figure: The picture.

    Returns:
        A ``wandb.Image``.
    """
    from wandb import Image

    return Image(pixels(figure))
