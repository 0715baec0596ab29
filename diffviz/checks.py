"""Checks at public doors: what is wrong is named, with the way out."""

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
