"""Where the site is made, and which parts of it."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from diffviz.checks import one_of
from diffviz.lab.slides import decks
from diffviz.recipes.entries import CATALOGUE

ROOT = Path(__file__).parents[2]
FIGURES = tuple(slide.name for slide in decks.slides())  # in the order of the talk
NOTEBOOKS = tuple(sorted(file.stem for file in (ROOT / "notebooks").glob("*.ipynb")))
ADDRESS = "DIFFVIZ_REPOSITORY"  # variable of the environment; see repository()


def repository() -> str:
    """The address of the repository, such as "https://github.com/someone/diffviz".

    It is the one setting of the links that open a notebook elsewhere. The workflow that publishes
    the site sets it by the variable ``DIFFVIZ_REPOSITORY``; without it there are no such links.
    """
    return os.environ.get(ADDRESS, "").rstrip("/").removesuffix(".git")


@dataclass(frozen=True)
class Selection:
    """Which parts are made; all of them by default.

    Args:
        objectives: Names of catalogue entries that have a page.
        figures: Names of figures.
        notebooks: Names of notebooks without their ending.
        reference: Whether the reference is made.
    """

    objectives: tuple[str, ...] = tuple(CATALOGUE)
    figures: tuple[str, ...] = FIGURES
    notebooks: tuple[str, ...] = NOTEBOOKS
    reference: bool = True

    @classmethod
    def of(
        cls,
        objectives: Iterable[str] | None = None,
        figures: Iterable[str] | None = None,
        notebooks: Iterable[str] | None = None,
        reference: bool = True,
    ) -> "Selection":
        """The selection of some names; None stands for all.

        Raises:
            ValueError: A name is unknown.
        """
        chosen = {
            "objectives": _known(objectives, "objective", tuple(CATALOGUE)),
            "figures": _known(figures, "figure", FIGURES),
            "notebooks": _known(notebooks, "notebook", NOTEBOOKS),
        }
        return cls(**chosen, reference=reference)


def _known(names: Iterable[str] | None, kind: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """The names in the order in which they are known."""
    if names is None:
        return known
    wanted = {one_of(name, kind, known) for name in names}
    return tuple(name for name in known if name in wanted)


@dataclass(frozen=True)
class Folders:
    """Where sources and pages go.

    Args:
        source: What Sphinx reads. It lies beside ``docs``, whose pages include files above it.
        site: The finished pages.
    """

    source: Path
    site: Path

    def write(self, name: str, text: str) -> None:
        """Write a source page.

        Args:
            name: Path inside the sources.
            text: What it says.
        """
        file = self.source / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")

    def place(self, name: str) -> Path:
        """Where a file of the finished site goes that Sphinx does not make; its folder is made.

        Args:
            name: Path inside the site.

        Returns:
            The path.
        """
        file = self.site / name
        file.parent.mkdir(parents=True, exist_ok=True)
        return file
