"""Weightings given as a table of two columns, log-SNR and w."""

from dataclasses import dataclass
from pathlib import Path as File

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffviz.checks import array, finite, increasing
from diffviz.theory.frames import Curve


@dataclass(frozen=True, eq=False)
class Table:
    """A weighting by linear interpolation, on log w if all w > 0; 0 outside the table.

    Args:
        logsnr: Increasing λ in nats, shape (n,).
        w: The weighting there, shape (n,).
    """

    logsnr: NDArray
    w: NDArray

    def __call__(self, logsnr: NDArray) -> NDArray:
        """The weighting at λ in nats, same shape."""
        if (self.w > 0).all():
            return np.exp(np.interp(logsnr, self.logsnr, np.log(self.w), -np.inf, -np.inf))
        return np.interp(logsnr, self.logsnr, self.w, 0, 0)


def _read_rows(table: str | File | ArrayLike) -> NDArray:
    """The numbers of a table, without a header."""
    if not isinstance(table, (str, File)):
        try:
            return array(table, "table")
        except (TypeError, ValueError) as error:
            raise ValueError(f"cannot read a table of numbers: {error}") from error
    try:
        rows = np.genfromtxt(table, delimiter=",")
    except ValueError as error:
        raise ValueError(f"cannot read a table of numbers from {table}: {error}") from error
    has_header = rows.ndim == 2 and len(rows) > 0 and np.isnan(rows[0]).all()
    return rows[1:] if has_header else rows


def tabulated(table: str | File | ArrayLike) -> tuple[Curve, float, float]:
    """A weighting and its ends, from a table: linear in λ, on log w if all w > 0, 0 outside.

    Args:
        table: A CSV file or an array of two columns, λ and w, shape (n, 2).

    Returns:
        The weighting, and the least and the largest λ of the table.

    Raises:
        OSError: The file cannot be opened.
        ValueError: The table is not two numeric columns with increasing λ and w >= 0, or is 0
            throughout.
    """
    rows = _read_rows(table)
    if rows.ndim != 2 or rows.shape[1] != 2 or len(rows) < 2:
        raise ValueError(
            "a weighting table has two columns, logsnr and w, and at least two rows; "
            f"got shape {rows.shape}"
        )
    grid = increasing(rows[:, 0], "first column (logsnr)")
    w = finite(rows[:, 1], "second column (w)")
    if (w < 0).any() or not w.any():
        raise ValueError(
            f"w must be >= 0 and somewhere positive; smallest {w.min():g}, largest {w.max():g}"
        )
    return Table(grid, w), float(grid[0]), float(grid[-1])
