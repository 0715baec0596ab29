"""Points of one's own, from arrays, frames and files.

A file is known by its ending: ``.npy``, ``.npz``, ``.parquet`` or ``.pq``; any other is a table in
text. ``diffviz.delimited`` reads these and the frames of pandas and polars, which are not needed to
read the other kinds. Arrays are loaded with ``allow_pickle=False``: a file of objects is refused.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffviz.checks import finite, has, offers, real_numbers, refuse_address, require
from diffviz.delimited import Frame, read_columns, read_file, read_frame

ARRAYS = (".npy", ".npz")
PARQUET = (".parquet", ".pq")
CHANNELS = (1, 3, 4)  # of images in grey, in colour, in colour with opacity


def read_points(source: ArrayLike | Frame | str | Path, array: str | None = None) -> NDArray:
    """Points as an array of finite numbers.

    Args:
        source: An array or tensor of any shape, a list of tensors, a frame, columns by name, or a
            file.
        array: Name of the array, in an ``.npz`` file with several.

    Returns:
        The points in float64; those of a table have the shape (rows, columns).

    Raises:
        TypeError: The points are no real numbers.
        ModuleNotFoundError: What reads parquet is not installed.
        ValueError: A file cannot be read, or a value is missing, text, NaN or infinite.
    """
    is_archive = isinstance(source, (str, Path)) and Path(source).suffix.lower() == ".npz"
    require(array is None or is_archive, f"array={array!r} has no effect: it names one of a .npz")
    if isinstance(source, (str, Path)):
        return _read_file(Path(source), array)
    if offers(source, Frame):
        return read_frame(source, "data").without_index().values
    if isinstance(source, Mapping):
        return read_columns({str(name): values for name, values in source.items()}, "data").values
    if isinstance(source, (list, tuple)) and source and all(has(x, "detach") for x in source):
        return _stacked(source)
    return finite(source, "data")


def read_stored(file: str | Path) -> NDArray:
    """The points of a file in the type that they have there, so that images of uint8 stay such.

    Args:
        file: A file that ``read_points`` takes.

    Returns:
        The points; those of a table have the shape (rows, columns).

    Raises:
        ModuleNotFoundError: What reads parquet is not installed.
        TypeError: The points are no real numbers.
        ValueError: The file cannot be read, or a value is missing, text, NaN or infinite.
    """
    points = _stored(Path(file), None)
    finite(points, f"data of {file}")
    return points


def _stacked(tensors: Sequence[Any]) -> NDArray:
    """The points of a list of tensors; a ValueError if their shapes differ."""
    rows = [real_numbers(x, "data") for x in tensors]
    shapes = {row.shape for row in rows}
    require(len(shapes) == 1, f"data holds tensors of different shapes: {shapes}; pad or cut")
    return finite(np.stack(rows), "data")


def refuse_channels_last(shape: Sequence[int]) -> None:
    """A ValueError for images (n, height, width, channels), which networks read as if h were c.

    Args:
        shape: Shape of the data, with their number first, 0 where it is not known.

    Raises:
        ValueError: The shape is that of images with their channels last.
    """
    if len(shape) != 4:
        return
    number, height, width, channels = shape
    require(
        channels not in CHANNELS or min(height, width) <= max(CHANNELS),
        f"data of shape ({number or 'n'}, {height}, {width}, {channels}) look like images with "
        "their channels last; images are (n, channels, height, width): pass "
        "data.transpose(0, 3, 1, 2); of a tensor it is called permute",
    )


def _read_file(path: Path, array: str | None) -> NDArray:
    """The points in a file in float64."""
    return finite(_stored(path, array), f"data of {path}")


def _stored(path: Path, array: str | None) -> NDArray:
    """What a file holds, read by its ending; arrays keep their type."""
    refuse_address(path)
    suffix = path.suffix.lower()
    try:
        if suffix in ARRAYS:
            return _load(path, array)
        if suffix in PARQUET:
            return read_columns(_parquet_columns(path), str(path)).without_index().values
        return _read_table(path)
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error}") from error


def _load(path: Path, array: str | None) -> NDArray:
    """The array of a .npy file, or one of a .npz file."""
    with path.open("rb") as file:
        # a pickle could run any code
        loaded = _unpickled(partial(np.load, allow_pickle=False), file, path)
        if isinstance(loaded, np.ndarray):
            return loaded
        return _unpickled(loaded.__getitem__, _chosen(list(loaded), array, path), path)


def _unpickled(read: Callable[[Any], Any], source: Any, path: Path) -> Any:
    """What a reader of NumPy returns; a ValueError with the path where it fails."""
    try:
        return read(source)
    except (ValueError, OSError, MemoryError) as error:
        reason = str(error)
    except Exception as error:  # zlib, zipfile and tokenize have errors of their own for damage
        reason = f"it is damaged ({error}); save it again by np.save or np.savez"
    if "pickle" in reason:
        reason = "it holds objects or is no file of NumPy; save an array of numbers by np.save"
    raise ValueError(f"cannot read {path}: {reason}")


def _chosen(names: list[str], array: str | None, path: Path) -> str:
    """The array of a file that is asked for: the one that is named, or the only one."""
    require(names, f"{path} holds no array")
    one = names[0] if array is None and len(names) == 1 else array
    got = "" if array is None else f", got {array!r}"
    require(one in names, f"{path} holds {', '.join(names)}: say which by array={got}")
    return str(one)


def _parquet_columns(path: Path) -> dict[str, Any]:
    """The columns of a parquet file by name."""
    try:
        parquet = import_module("pyarrow.parquet")
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            f"reading {path} needs pyarrow, which is not installed; pip install pyarrow "
            "installs it, or pass the frame that another package reads",
            name="pyarrow",
        ) from None
    try:
        table = parquet.read_table(path)
    except (OSError, ValueError) as error:  # no parquet, or one that is cut off
        raise ValueError(f"cannot read {path}: {error}") from error
    return {name: table[name].to_numpy() for name in table.column_names}


def _read_table(path: Path) -> NDArray:
    """The points of a table in text, one a row; a warning where the first may be names."""
    table = read_file(path).without_index()
    values = table.values
    if not table.names and np.array_equal(values[0], np.arange(values.shape[1])):
        warnings.warn(
            f"{path}: the first row counts 0, 1, ... and is read as a point; if it numbers the "
            "columns, drop it",
            stacklevel=4,
        )
    require(
        values.shape[1] > 1,
        f"{path} has only one column; for points on a line pass "
        "np.loadtxt(path, ndmin=2, skiprows=1 under a line of names)",
    )
    return values
