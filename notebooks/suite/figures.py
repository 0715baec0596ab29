"""The registered figures: each a function without arguments that draws and returns its first Axes, the same bytes on every run."""

from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path as File
from typing import cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from diffviz import plots
from diffviz.objectives import Objective, unknown
from diffviz.recipes import CATALOGUE

FIGURES: dict[str, tuple[Callable[[], Axes], str]] = {}
WIDE = np.linspace(-10, 10, 801)


def figure(name: str, caption: str):
    """Register a figure under a name, with the caption that ``python -m diffviz figures --list`` prints."""

    def register(draw: Callable[[], Axes]) -> Callable[[], Axes]:
        FIGURES[name] = (draw, caption)
        return draw

    return register


def draw(name: str) -> Figure:
    """The registered figure of that name; a ValueError lists near names."""
    if name not in FIGURES:
        raise unknown("figure", name, FIGURES, "python -m diffviz figures --list")
    return cast(Figure, FIGURES[name][0]().figure)


def write(names: list[str] | None, folder: str | File, ending: str = "svg") -> list[File]:
    """Write the named figures (all by default) to ``folder``."""
    chosen = {name: draw(name) for name in (names or FIGURES)}
    return [plots.save(one, File(folder) / f"{name}.{ending}") for name, one in chosen.items()]


def main(argv: list[str]) -> None:
    """``python -m diffviz figures``."""
    parser = ArgumentParser(
        "python -m diffviz figures", description="Write the figures, all by default."
    )
    parser.add_argument("names", nargs="*")
    parser.add_argument("--list", action="store_true", help="list them instead")
    parser.add_argument("--out", default="figures", help="folder (default: figures)")
    parser.add_argument("--format", default="svg", choices=("svg", "pdf", "png"))
    args = parser.parse_args(argv)
    captions = [f"{name:20} {caption}" for name, (_, caption) in FIGURES.items()]
    print(*(captions if args.list else write(args.names, args.out, args.format)), sep="\n")


def chosen(*names: str) -> dict[str, Objective]:
    """Entries of the catalogue by name, in that order."""
    return {name: CATALOGUE[name] for name in names}


from suite import (  # noqa: E402  they register their figures
    elbo_figures,  # noqa: F401
    perception_figures,  # noqa: F401
    policy_figures,  # noqa: F401
    prior_figures,  # noqa: F401
    sampling_figures,  # noqa: F401
    schedule_figures,  # noqa: F401
    search_figures,  # noqa: F401
    tracking_figures,  # noqa: F401
    training_figures,  # noqa: F401
    weighting_figures,  # noqa: F401
)
