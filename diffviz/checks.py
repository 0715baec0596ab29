"""Checks at public doors: what is wrong is named, with the way out."""

from collections.abc import Collection
from difflib import get_close_matches

import numpy as np
from numpy.typing import ArrayLike, NDArray


def finite(value: ArrayLike, name: str) -> NDArray:
    """``value`` as float64, refused with a ValueError where it is NaN or infinite."""
    array = np.asarray(value, dtype=float)
    if not np.isfinite(array).all():
        raise ValueError(
            f"{name} must be finite, got {array[~np.isfinite(array)][0]}; drop or mask such entries first"
        )
    return array


def increasing(value: ArrayLike, name: str) -> NDArray:
    """``value`` as a finite 1-D float64 grid, refused where it does not strictly increase."""
    grid = finite(value, name)
    if grid.ndim != 1 or len(grid) < 2 or (np.diff(grid) <= 0).any():
        raise ValueError(
            f"{name} must be 1-D and strictly increasing (shape {grid.shape}); np.unique sorts it"
        )
    return grid


def positive(value: float, name: str) -> float:
    """``value`` as a float, refused where it is not a finite number above 0."""
    if not isinstance(value, int | float | np.number) or not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be a finite number > 0, got {value!r}")
    return float(value)


def unknown(kind: str, name: object, known: Collection, listing: str) -> ValueError:
    """The error for a name that is not there, with near names and where all are listed.

    Args:
        kind: What the name should be one of.
        name: The name.
        known: All that there are.
        listing: Where they are listed.

    Returns:
        The error, to be raised.
    """
    lower = {str(one).lower(): one for one in known}
    near = [lower[one] for one in get_close_matches(str(name).lower(), lower, 3, 0.4)]
    hint = f"; did you mean {', '.join(map(repr, near))}?" if near else ""
    return ValueError(f"unknown {kind} {name!r}{hint} ({listing} lists all {len(known)})")


def require(holds, words: str, error: type[Exception] = ValueError) -> None:
    if not holds:
        raise error(words)
