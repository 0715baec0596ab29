"""What was passed as a log: a file, a folder with one, a frame, rows or columns in memory."""

import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from diffviz.checks import attribute, brief, has, offers, require
from diffviz.delimited import Frame, columns_of_frame
from diffviz.learning.logs import delimited, events, lines, table, text
from diffviz.learning.logs.table import Table

TEXT = {".jsonl", ".ndjson", ".json", ".csv", ".tsv"}  # endings that a folder is searched for
PACKED = ".gz"
EVENTS = "tfevents"  # in the name of each event file of TensorBoard
BINARY = {
    b"PAR1": "a parquet file: pass pandas.read_parquet(file)",
    b"\xff\xfe": "text in UTF-16: save it as UTF-8",
    b"\xfe\xff": "text in UTF-16: save it as UTF-8",
    b"PK": "an archive: unpack it first",
    b":W&B": "the binary log of W&B: pass wandb.Api().run(path).history(pandas=True), or its CSV",
}


def table_of(log: Any) -> Table:
    """The table of whatever was passed as a log.

    Args:
        log: A file, a folder with one log, a frame of pandas, polars or Arrow, a mapping from names
            to columns, or rows that are mappings.

    Returns:
        The table.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: The log is none of these, or a frame that is not computed yet.
        ValueError: It is empty or cannot be read, or a folder holds no log or several.
    """
    if isinstance(log, str | Path):
        require(log != "", "the name of the log is empty; '.' is the current folder")
        return _of_path(Path(log))
    if isinstance(log, Mapping):
        for name, column in log.items():
            if not isinstance(column, Iterable) or attribute(column, "ndim", 1) == 0:
                raise TypeError(
                    f"a column of a log has a cell for each row, got {brief(column)} for {name!r}; "
                    f"pass [{brief(column)}]"
                )
        named = {str(name): column for name, column in log.items()}
        return table.of_columns(_cells_of(named), "the log", "columns")
    require(not has(log, "collect"), "the log is a lazy frame: pass its collect()", TypeError)
    if offers(log, Frame):
        return table.of_columns(_cells_of(columns_of_frame(log, "the log")), "the log", "frame")
    if not isinstance(log, Iterable):
        raise TypeError(
            f"a log is a file, a folder, a frame or a list of mappings, got {brief(log)}"
        )
    return table.of_rows(list(log), "the log", "rows")


def _cells_of(columns: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The cells of columns as plain Python objects, what is missing as None or NaN."""
    return {name: _plain(column) for name, column in columns.items()}


def _plain(column: Any) -> list[Any]:
    """The cells of one column: by Arrow's method, by that of NumPy and of frames, or as listed."""
    for method in ("to_pylist", "tolist"):
        if has(column, method):
            return list(getattr(column, method)())
    return list(column)


def _of_path(path: Path) -> Table:
    """The table of a file, or of the one log in a folder."""
    if not path.exists():
        raise FileNotFoundError(f"there is no log {str(path)!r}; the folder is {Path.cwd()}")
    return _of_folder(path) if path.is_dir() else _of_file(path)


def files_behind(path: str | Path) -> list[Path]:
    """The files that are read for a path: itself, or in a folder those that may be logs.

    Args:
        path: A file or a folder.

    Returns:
        The files; none where there is nothing.
    """
    if not Path(path).is_dir():
        return [Path(path)] * Path(path).is_file()
    return [*itertools.chain(*_logs_in(Path(path)))]


def _logs_in(folder: Path) -> tuple[list[Path], list[Path]]:
    """The event files in a folder and below it, and the logs in text that lie in it."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    recorded = [file for file in files if EVENTS in file.name]
    return recorded, [
        file for file in files if file.suffix.lower() in TEXT and file.parent == folder
    ]


def _of_folder(folder: Path) -> Table:
    """The table of the one log in a folder, or of its event files."""
    recorded, written = _logs_in(folder)
    if len(written) == 1 and not recorded:
        return _of_file(written[0])
    found = [str(file.relative_to(folder)) for file in written]
    found += ["event files of TensorBoard"] if recorded else []
    require(
        found,
        f"{folder} holds no log: no {', '.join(sorted(TEXT))} file and no event file",
    )
    require(len(found) == 1, f"{folder} holds several logs; pass one of {', '.join(found)}")
    return events.read_events(recorded, folder)


def _of_file(file: Path) -> Table:
    """The table of a file, whose first bytes tell its format."""
    head = text.head_of(file)
    require(head.strip(), f"{file} is empty")
    if EVENTS in file.name:
        return events.read_events([file], file.parent)
    for mark, advice in BINARY.items():
        require(not head.startswith(mark), f"{file} is {advice}")
    require(b"\0" not in head, f"{file} is no text; a log is JSON lines, CSV or an event file")
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    ending = Path(file.stem).suffix if file.suffix.lower() == PACKED else file.suffix
    if start in (b"{", b"[") or ending.lower() in (".jsonl", ".ndjson", ".json"):
        return lines.read_json(file)
    return delimited.read_csv(file)
