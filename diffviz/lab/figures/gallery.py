"""The registered figures: each a function without arguments that draws and returns its first Axes, the same bytes on every run."""

from argparse import ArgumentParser
from pathlib import Path as File
from typing import cast

from matplotlib.figure import Figure

from diffviz import plots
from diffviz.checks import unknown
from diffviz.lab.figures import (  # each registers its figures
    elbo,  # noqa: F401
    perception,  # noqa: F401
    policy,  # noqa: F401
    prior,  # noqa: F401
    sampling,  # noqa: F401
    schedule,  # noqa: F401
    search,  # noqa: F401
    tracking,  # noqa: F401
    training,  # noqa: F401
    weighting,  # noqa: F401
)
from diffviz.lab.figures.registry import FIGURES


def draw(name: str) -> Figure:
    """The registered figure of that name; a ValueError lists near names."""
    if name not in FIGURES:
        raise unknown("figure", name, FIGURES, "python -m diffviz figures --list")
    return cast(Figure, FIGURES[name][0]().figure)


def write(names: list[str] | None, folder: str | File, ending: str = "svg") -> list[File]:
    """Write the named figures (all by default) to ``folder``."""
    drawn = {name: draw(name) for name in (names or FIGURES)}
    return [plots.save(one, File(folder) / f"{name}.{ending}") for name, one in drawn.items()]


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
