"""The registry of figures: a name, a caption and the function that draws."""

from collections.abc import Callable
from typing import TypeVar

from matplotlib.axes import Axes

from diffviz.checks import require

Draw = TypeVar("Draw", bound=Callable[..., Axes])

FIGURES: dict[str, tuple[Callable[..., Axes], str]] = {}


def figure(name: str, caption: str) -> Callable[[Draw], Draw]:
    """Register a figure.

    Args:
        name: Name of the figure; the file that it is written to has the same.
        caption: One line, printed by ``python -m diffviz figures --list``.

    Returns:
        A decorator for a function that can be called without arguments, draws and returns its
        first Axes. It gives the same bytes on every run.

    Raises:
        TypeError: The name or the caption is no text.
        ValueError: The name is taken by another function.
    """
    require(isinstance(name, str), f"name must be text, got {name!r}", TypeError)
    require(isinstance(caption, str), f"caption must be text, got {caption!r}", TypeError)

    def register(draw: Draw) -> Draw:
        known = FIGURES.get(name, (draw, ""))[0]
        require(
            (known.__module__, known.__qualname__) == (draw.__module__, draw.__qualname__),
            f"there is a figure {name!r} already, by {known.__module__}.{known.__qualname__}; "
            "choose another name",
        )
        FIGURES[name] = (draw, caption)
        return draw

    return register
