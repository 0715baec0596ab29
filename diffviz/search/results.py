"""The file of a search: a CSV of finished trainings, from which the same search goes on.

The first line states the settings, the second the columns, and each of the others is one training:

    # diffviz search {"data": "ring8", "goal": "likelihood", ...}
    candidate,seed,value
    mean=-1.234 std=1.567,0,1.8123

A training that failed has the value "nan". Rows are appended batch by batch, so that a crash loses
the batches under way and no more. A lock beside the file, ``FILE.lock``, keeps other searches off
as long as this one runs; the system releases it when a process ends, however it ends, and the next
search on the file removes it.
"""

import csv
import json
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from diffviz import checks
from diffviz.compute import locks
from diffviz.search.settings import Settings

MAGIC = "# diffviz search "
COLUMNS = "candidate,seed,value\n"
LONGEST = 120  # characters of a row in a message
Key = tuple[str, int]  # a candidate's name, and a seed


class Results:
    """Goals of finished trainings, by candidate and seed.

    Args:
        settings: The settings of the search. A file that states others is refused.
        file: The CSV to read and to append to, begun if there is none; None keeps nothing.

    Attributes:
        values: The goal of each training; NaN for one that failed.

    Raises:
        TypeError: ``file`` is no path.
        ValueError: The file is of another search or is no file, or a row of it is damaged.
    """

    def __init__(self, settings: Settings, file: str | os.PathLike | None = None) -> None:
        """Read what the file holds; see the class."""
        self.file: Path | None = None
        self.values: dict[Key, float] = {}
        if file is not None:
            self.file = _checked_path(file)
            self.values = _read(self.file, settings)

    def append(self, names: Sequence[str], seed: int, values: Sequence[float]) -> None:
        """Add the trainings of one batch.

        Args:
            names: Names of the candidates.
            seed: Their seed.
            values: Their goals; NaN for one that failed.

        Raises:
            TypeError: The seed is no whole number.
            ValueError: There are not as many values as names.
        """
        seed = checks.seed(seed)
        rows = list(zip(names, values, strict=True))
        for name, value in rows:
            self.values[name, seed] = float(value)
        if self.file is not None:
            with self.file.open("a", newline="", encoding="utf-8") as end:
                writer = csv.writer(end, lineterminator="\n")
                writer.writerows((name, seed, repr(float(value))) for name, value in rows)


@contextmanager
def locked(file: str | os.PathLike | None) -> Iterator[None]:
    """Keep other searches off a file in a ``with`` block.

    Args:
        file: The file; None needs no lock.

    Raises:
        BlockingIOError: Another search has it.
        TypeError: It is no path.
        ValueError: It is empty, has a null character or is a folder.
    """
    if file is None:
        yield
        return
    target = _checked_path(file)
    with ExitStack() as stack:
        try:
            stack.enter_context(locks.held(Path(f"{target}.lock"), patience=0))
        except TimeoutError:
            raise BlockingIOError(
                f"another search is writing {os.fspath(file)}; wait until it ends, "
                "or name another file"
            ) from None
        yield


def _checked_path(file: Any) -> Path:
    """The file itself, behind links to it, so that all names of it have one lock.

    What can be no file is refused before a lock is made beside it.
    """
    checks.require(
        isinstance(file, str | os.PathLike),
        f"the file of a search must be text or a path, got {file!r}",
        TypeError,
    )
    name = os.fspath(file)
    checks.require(
        name and "\0" not in name,
        f"the path of the file of a search is empty or has a null character: {name!r}",
    )
    target = Path(os.path.realpath(checks.place(name)))
    checks.require(not target.is_dir(), f"{name} is a folder; name a file in it")
    return target


def _header(settings: Settings) -> str:
    """The first two lines of a file."""
    return f"{MAGIC}{json.dumps(settings.record())}\n{COLUMNS}"


def _read(file: Path, settings: Settings) -> dict[Key, float]:
    """The trainings of a file, which is begun if it is new and mended if it was cut short."""
    header = _header(settings)
    text = file.read_text(errors="replace", encoding="utf-8") if file.exists() else ""
    if header.startswith(text):  # new, or cut short before its first row
        file.parent.mkdir(parents=True, exist_ok=True)
        _write(file, header)
        return {}
    if not text.startswith(header):
        raise ValueError(f"{file} {_difference(text, settings)}; name another file")
    complete = text[: text.rindex("\n") + 1]
    if complete != text:
        warnings.warn(
            f"{file}: the last row was cut short; it is removed and trained again", stacklevel=4
        )
        mended = file.with_name(f"{file.name}.tmp")
        _write(mended, complete)
        os.replace(mended, file)
    return _parse(complete[len(header) :], file)


def _write(file: Path, text: str) -> None:
    """Write a text with the same bytes on every system."""
    file.write_text(text, encoding="utf-8", newline="\n")


def _parse(rows: str, file: Path) -> dict[Key, float]:
    """The rows below the header."""
    values: dict[Key, float] = {}
    for line, row in enumerate(rows.splitlines(), start=3):
        place = f"{file}, line {line}: {_shortened(row)!r}"
        try:
            ((name, seed, value),) = csv.reader([row], strict=True)
            key, goal = (name, checks.seed(int(seed))), float(value)
        except (ValueError, csv.Error) as error:
            raise ValueError(f"{place} is no candidate, seed and value; delete it") from error
        if key in values:
            raise ValueError(f"{place} is there twice; delete one of them")
        values[key] = goal
    return values


def _shortened(row: str) -> str:
    """A row as a message shows it."""
    return row if len(row) <= LONGEST else f"{row[:LONGEST]}…"


def _difference(text: str, settings: Settings) -> str:
    """How the settings of a file differ from those of this search, in words."""
    first, *_ = text.splitlines()
    try:
        there = json.loads(first.removeprefix(MAGIC)) if first.startswith(MAGIC) else None
    except ValueError:
        there = None
    if not isinstance(there, dict):
        return f"is no file of a search: it begins {first[:60]!r}"
    here = settings.record()
    changes = [
        f"{name} is {_stated(there, name)} there and {_stated(here, name)} here"
        for name in {**there, **here}
        if _stated(there, name) != _stated(here, name)
    ]
    return f"is of another search: {', '.join(changes) or 'its columns are other ones'}"


def _stated(record: dict[str, Any], name: str) -> str:
    """A setting as a file states it."""
    return json.dumps(record[name]) if name in record else "not stated"
