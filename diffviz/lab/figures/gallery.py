"""The registered figures: each a function that draws, the same bytes on every run."""

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterable
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path as File
from typing import cast

from matplotlib.figure import Figure

from diffviz import extras, plots
from diffviz.checks import count, number, one_of, require, unknown
from diffviz.lab.figures import (  # each registers its figures
    bounds,  # noqa: F401
    elbo,  # noqa: F401
    few_steps,  # noqa: F401
    masked,  # noqa: F401
    perception,  # noqa: F401
    policy,  # noqa: F401
    popular,  # noqa: F401
    prior,  # noqa: F401
    roads,  # noqa: F401
    sampling,  # noqa: F401
    schedule,  # noqa: F401
    search,  # noqa: F401
    tracking,  # noqa: F401
    training,  # noqa: F401
    weighting,  # noqa: F401
)
from diffviz.lab.figures.registry import FIGURES
from diffviz.plots.files import MOST_DPI
from diffviz.plots.themes import checked_size

ENDINGS = ("svg", "pdf", "png")
MOST_PIXELS = 20_000  # on a side of a picture; more would take gigabytes
SLOWEST = (
    *("few_steps", "policy", "roads", "sampling", "training"),
    *("tracking", "search", "elbo", "bounds", "prior", "masked"),
)


def _known(name: str) -> str:
    """The name of a registered figure; else a ValueError that lists near ones."""
    if not isinstance(name, str) or name not in FIGURES:
        raise unknown("figure", name, FIGURES, "python -m diffviz figures --list")
    return name


@dataclass(frozen=True)
class Look:
    """How figures are shown.

    Args:
        theme: One of ``plots.THEMES``; as the figure was drawn by default.
        size: Width and height, which give the proportions; those of the figure by default.
        dpi: Pixels per inch of a PNG. With a size, a PNG has ``dpi`` times its width in pixels.
    """

    theme: str | None = None
    size: tuple[float, float] | None = None
    dpi: float = 150.0

    def __post_init__(self) -> None:
        if self.theme is not None:
            one_of(self.theme, "theme", plots.THEMES)
        if self.size is not None:
            checked_size(self.size)
        width, height = self.size or (1.0, 1.0)
        number(self.dpi, "dpi", 1.0, MOST_DPI)
        require(
            max(width, height) * self.dpi < MOST_PIXELS,
            f"{width:g}x{height:g} inches at dpi {self.dpi:g} have more than {MOST_PIXELS} pixels "
            "on a side; take a smaller size or dpi",
        )

    def applied(self, figure: Figure) -> Figure:
        """The figure with this look; the same object."""
        if self.theme is None and self.size is None:
            return figure
        return plots.restyle(figure, self.theme or "paper", self.size)

    def dpi_of(self, figure: Figure) -> float:
        """Pixels per inch at which a figure gets the width that is asked for."""
        if self.size is None:
            return self.dpi
        return self.dpi * self.size[0] / figure.get_size_inches()[0]


def draw(name: str, theme: str | None = None, size: tuple[float, float] | None = None) -> Figure:
    """Draw a registered figure.

    Args:
        name: Name of the figure.
        theme: "slide", "dark" or "paper"; see ``plots.restyle``. As it is drawn by default.
        size: Width and height, such as (16, 9), which give the proportions.

    Returns:
        A new figure.

    Raises:
        TypeError: ``size`` holds no two numbers.
        ValueError: There is no such figure; the message lists near ones. Or the theme is unknown,
            or a side is not above 0.
        ModuleNotFoundError: The figure needs a package that is not installed.
    """
    function, _ = FIGURES[_known(name)]
    look = Look(theme, size)
    with extras.needed_by(f"the figure {name!r}"):
        return look.applied(cast(Figure, function().figure))


def write(
    names: Iterable[str] | None, folder: str | File, ending: str = "svg", look: Look | None = None
) -> list[File]:
    """Write figures to files.

    Args:
        names: Names of figures; all of them if there are none.
        folder: Where the files go.
        ending: "svg", "pdf" or "png".
        look: Theme, proportions and resolution; as they are drawn by default.

    Returns:
        The files.

    Raises:
        NotADirectoryError: The folder is a file; nothing has been drawn then.
        TypeError: ``names`` is one text, not several.
        ValueError: A figure or the ending is unknown; nothing has been drawn then.
    """
    require(
        not isinstance(names, str),
        f"names must be a list of names, got {names!r}; write [{names!r}]",
        TypeError,
    )
    one_of(ending, "ending", ENDINGS)
    chosen = [_known(name) for name in names or ()] or list(FIGURES)
    if File(folder).exists() and not File(folder).is_dir():
        raise NotADirectoryError(f"{folder} is a file; name a folder for the figures")
    look = look or Look()
    figures = {name: draw(name, look.theme, look.size) for name in chosen}
    return [
        plots.save(figure, File(folder) / f"{name}.{ending}", look.dpi_of(figure))
        for name, figure in figures.items()
    ]


def _write_each(names: list[str], folder: str, ending: str, look: Look) -> list[str]:
    """Write figures one after another; returns their files."""
    return [str(file) for name in names for file in write([name], folder, ending, look)]


def groups(names: Iterable[str]) -> list[list[str]]:
    """Figures by their subject, those that take longest first.

    The figures of a subject share trainings, so that no process waits for another's.
    """
    subjects: dict[str, list[str]] = {subject: [] for subject in SLOWEST}
    for name in names:
        subject = FIGURES[name][0].__module__.rpartition(".")[2]
        subjects.setdefault(subject, []).append(name)
    return [group for group in subjects.values() if group]


def _write_in_processes(
    names: Iterable[str], folder: str, ending: str, look: Look, jobs: int
) -> None:
    """Write figures in several processes, and print their files as they come."""
    from diffviz.compute.executors import executor

    with executor(jobs) as pool:
        futures = [pool.submit(_write_each, group, folder, ending, look) for group in groups(names)]
        for future in as_completed(futures):
            print(*future.result(), sep="\n", flush=True)


def read_size(text: str) -> tuple[float, float]:
    """Proportions as they are typed.

    Args:
        text: Width and height with an x or a colon between them, such as "16x9".

    Returns:
        Both.

    Raises:
        ArgumentTypeError: The text has another form, or a side is not above 0.
    """
    try:
        width, height = (float(side) for side in text.lower().replace(":", "x").split("x"))
        return checked_size((width, height))
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no size such as 16x9 ({error})") from error


def main(argv: list[str]) -> None:
    """Run ``python -m diffviz figures``.

    Args:
        argv: Arguments after ``figures``.

    Raises:
        SystemExit: The arguments cannot be read.
        ValueError: A figure is unknown, or ``--jobs`` is below 1.
    """
    parser = ArgumentParser(
        "python -m diffviz figures", description="Write the figures, all by default."
    )
    parser.add_argument("names", nargs="*", help="names of figures, as --list shows them")
    parser.add_argument("--list", action="store_true", help="list all figures instead")
    parser.add_argument("--out", default="figures", help="folder (default: figures)")
    parser.add_argument(
        "--format", default="svg", choices=ENDINGS, help="ending of the files (default: svg)"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, help="processes that draw at the same time (default: 1)"
    )
    parser.add_argument(
        "--theme", choices=plots.THEMES, help="look of the figures (default: as they are drawn)"
    )
    parser.add_argument(
        "--size",
        type=read_size,
        help="proportions, such as 16x9; a PNG has dpi times these pixels",
    )
    parser.add_argument("--dpi", type=float, default=150.0, help="of a PNG (default: 150)")
    args = parser.parse_args(argv)
    count(args.jobs, "--jobs")
    look = Look(args.theme, args.size, args.dpi)
    if args.list:
        print(*(f"{name:20} {caption}" for name, (_, caption) in FIGURES.items()), sep="\n")
        return
    names = [_known(name) for name in args.names] or list(FIGURES)
    if args.jobs > 1:
        _write_in_processes(names, args.out, args.format, look, args.jobs)
        return
    for name in names:
        print(*write([name], args.out, args.format, look), flush=True)
