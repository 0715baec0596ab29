"""The site: explorers, notebooks, gallery, catalogue, claims and the docs as static files.

Each module of ``docs/pages`` writes Markdown into the folder ``.site``, from which Sphinx makes
the pages with the settings of the docs. Figures and the pages of objectives are made in several
processes. Nothing is fetched, and the same sources give the same bytes.

Run: python docs/make_site.py --out site
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import Executor, Future
from pathlib import Path

from diffviz.compute.executors import executor
from diffviz.lab.figures.gallery import groups

HERE = Path(__file__).parent
ROOT = HERE.parent
SOURCE = ROOT / ".site"
sys.path.insert(0, str(HERE))

from pages import catalogue, claims, explorers, gallery, notebooks, popular  # noqa: E402
from pages.folders import Folders, Selection  # noqa: E402

EPOCH = "1735689600"  # the date that Sphinx would write, fixed
FIRST = "composer"  # the explorer of the first page, whose links move its controls
CHUNK = 13  # objectives whose pages one process makes at a time


def merged(futures: list[Future]) -> dict:
    """The results of several calls as one."""
    return {name: result for future in futures for name, result in future.result().items()}


def start_drawing(pool: Executor, folders: Folders, selection: Selection) -> list[Future]:
    """Begin to draw the figures, those of one subject in one process."""
    place = folders.place("figures/x").parent
    subjects = groups(selection.figures)
    return [pool.submit(gallery.draw_files, tuple(names), str(place)) for names in subjects]


def start_objectives(pool: Executor, selection: Selection) -> list[Future]:
    """Begin to make the pages of the objectives."""
    names = selection.objectives
    parts = [names[start : start + CHUNK] for start in range(0, len(names), CHUNK)]
    return [pool.submit(catalogue.pages, part, names) for part in parts]


def copy_docs(folders: Folders, selection: Selection) -> None:
    """Copy the pages of ``docs`` that the site takes as they are."""
    left_out = shutil.ignore_patterns(
        "_*", "pages", "*.py", "index.md", "popular.md", *([] if selection.reference else ["*.rst"])
    )
    shutil.copytree(HERE, folders.source, ignore=left_out, dirs_exist_ok=True)
    if not selection.reference:
        folders.write("reference/index.md", "# Reference\n\nThis build leaves it out.\n")


def write_start(folders: Folders, selection: Selection, shown: tuple) -> None:
    """Write the first page, and the instructor's guide without the answers to its exercises."""
    guide = (HERE / "pages" / "instructors.md").read_text(encoding="utf-8")
    folders.write("instructors.md", guide)
    text = (HERE / "pages" / "start.md").read_text(encoding="utf-8")
    first = next(page for page in shown if page.name == FIRST)
    place = explorers.host(first, "", at_once=True)
    text = text.replace("EXPLORER\n", place).replace("COUNT", str(len(selection.objectives)))
    folders.write("index.md", text)


def run_sphinx(folders: Folders, jobs: int) -> None:
    """Make the pages from their sources; a warning is an error."""
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-q", "-W", "--keep-going", "-E"]
    command += ["-j", str(jobs), "-t", "site", "-c", str(HERE)]
    command += ["-d", str(folders.source / "_doctrees")]
    environment = os.environ | {"SOURCE_DATE_EPOCH": EPOCH}
    subprocess.run([*command, str(folders.source), str(folders.site)], check=True, env=environment)
    for name in (".buildinfo", "objects.inv"):
        (folders.site / name).unlink(missing_ok=True)
    shutil.rmtree(folders.site / "_sources", ignore_errors=True)


def build(
    site: Path, selection: Selection | None = None, jobs: int = 2, source: Path = SOURCE
) -> None:
    """Make the site.

    Args:
        site: Folder that it goes to; what is in it is removed.
        selection: Which parts; all by default.
        jobs: Processes at the same time.
        source: Folder of the sources, beside ``docs``; what is in it is removed.
    """
    selection = selection or Selection()
    folders = Folders(source, site.absolute())
    for folder in (folders.source, folders.site):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    with executor(jobs) as pool:
        drawing = start_drawing(pool, folders, selection)
        describing = start_objectives(pool, selection)
        copy_docs(folders, selection)
        shown = explorers.write(folders)
        notebooks.write(folders, selection, {page.kind: page.name for page in shown})
        popular.write(folders, selection)
        claims.write(folders, selection)
        write_start(folders, selection, shown)
        catalogue.write(folders, selection, merged(describing))
        gallery.write(folders, selection, merged(drawing))
    run_sphinx(folders, jobs)
    notebooks.copy_downloads(folders, selection)
    explorers.copy_modules(folders, shown)
    gallery.write_decks(folders, selection)


def main() -> None:
    """Read the options and make the site."""
    parser = argparse.ArgumentParser(description="Make the site as static files.")
    parser.add_argument("--out", default="site", help="folder (default: site)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--objectives", nargs="*", help="only the pages of these objectives")
    parser.add_argument("--figures", nargs="*", help="only these figures")
    parser.add_argument("--notebooks", nargs="*", help="only these notebooks")
    parser.add_argument("--no-reference", action="store_true", help="leave the reference out")
    args = parser.parse_args()
    selection = Selection.of(args.objectives, args.figures, args.notebooks, not args.no_reference)
    start = time.perf_counter()
    build(Path(args.out), selection, args.jobs)
    print(f"{args.out}: {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
