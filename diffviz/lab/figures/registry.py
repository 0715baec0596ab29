"""The registry of figures: a name, a caption and the function that draws."""

from collections.abc import Callable

from matplotlib.axes import Axes

FIGURES: dict[str, tuple[Callable[[], Axes], str]] = {}


def figure(name: str, caption: str):
    """Register a figure under a name, with the caption that ``python -m diffviz figures --list`` prints."""

    def register(draw: Callable[[], Axes]) -> Callable[[], Axes]:
        FIGURES[name] = (draw, caption)
        return draw

    return register
