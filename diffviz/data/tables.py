"""Tables of the exact moments of the toys that ship with the package.

The error of the ideal denoiser only depends on the signal-to-noise ratio times the variance of the
data. So one table serves a density at every scale. It holds log E‖eps_hat − eps‖² and
log E‖eps_hat − eps‖⁴ as Chebyshev series on panels of λ, and beyond the outer panels what they tend
to: e^λ and e^2λ where noise is all, a constant where it is nothing.

A table is found by the parameters of the density, never by its name. A toy that is changed is
computed again, until ``data/tabulate.py`` has made its table anew.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from diffviz.data.densities import Checkerboard, Circle, KnownDensity, Mixture

FILE = Path(__file__).with_name("moments.npz")
LOWEST = -30.0  # λ of data of unit variance below which noise is all, to 1e-12
# and above which it is nothing, to 1e-10: the edges of squares are seen longest
HIGHEST = {"Mixture": 40.0, "Circle": 24.0, "Checkerboard": 50.0}
DEGREE = 19  # of the series on a panel
FIRST_PANELS = 8  # before any is cut
NARROWEST = 0.5  # width of a panel in nats that is not cut again
TOLERANCE = 3e-12  # last coefficients of a series, relative error of the moments
LIMIT_SLOPES = np.array([[1.0], [2.0]])  # d log moment/dλ as λ falls
SAME = 1e-12  # parameters of data of unit variance that count as the same

Curve = Callable[[NDArray], NDArray]


@dataclass(frozen=True, eq=False)
class MomentTable:
    """Both moments of a density of unit variance as functions of λ.

    Args:
        parameters: Those of the density, shape (m,).
        breaks: Ends of the panels in nats, increasing, shape (n + 1,).
        coefficients: Chebyshev series of the logs on each panel, shape (degree + 1, 2, n).
    """

    parameters: NDArray
    breaks: NDArray
    coefficients: NDArray

    def __call__(self, logsnr: NDArray) -> NDArray:
        """Both moments at λ (n,) in nats, shape (2, n)."""
        within = np.clip(logsnr, self.breaks[0], self.breaks[-1])
        panel = np.searchsorted(self.breaks, within, side="right") - 1
        panel = np.minimum(panel, len(self.breaks) - 2)
        low = self.breaks[panel]
        place = 2 * (within - low) / (self.breaks[panel + 1] - low) - 1
        logs = chebyshev.chebval(place, self.coefficients[:, :, panel], tensor=False)
        below = np.minimum(logsnr - self.breaks[0], 0)
        return np.exp(logs + LIMIT_SLOPES * below)


def tabulated_moments(law: KnownDensity, logsnr: NDArray) -> NDArray | None:
    """Both moments of a density from the table of a toy, if it is one at any scale.

    Args:
        law: The density.
        logsnr: λ in nats, shape (n,).

    Returns:
        E‖eps_hat − eps‖² and E‖eps_hat − eps‖⁴, shape (2, n), or None if there is no table.
    """
    if not isinstance(law, Mixture | Circle | Checkerboard):
        return None
    table = _find(type(law).__name__, law.unit().parameters())
    if table is None:
        return None
    return table(logsnr + math.log(law.variance))


def _find(kind: str, parameters: NDArray) -> MomentTable | None:
    """The table of a density of unit variance, found by its parameters."""
    for table in shipped().get(kind, ()):
        known = table.parameters
        if known.shape == parameters.shape and np.allclose(known, parameters, rtol=0, atol=SAME):
            return table
    return None


@cache
def shipped() -> dict[str, list[MomentTable]]:
    """The tables of the package, by the kind of their density."""
    tables: dict[str, list[MomentTable]] = {}
    with np.load(FILE, allow_pickle=False) as arrays:
        for name in arrays["names"]:
            parts = [arrays[f"{name}.{part}"] for part in ("parameters", "breaks", "coefficients")]
            tables.setdefault(str(arrays[f"{name}.kind"]), []).append(MomentTable(*parts))
    return tables


def tabulate(moments: Curve, parameters: NDArray, highest: float) -> MomentTable:
    """The table of a density of unit variance.

    Panels are halved until the last coefficients of their series have died out.

    Args:
        moments: Both moments (2, n) at λ (n,).
        parameters: Those of the density, shape (m,).
        highest: λ in nats above which both moments are constant.

    Returns:
        The table.
    """
    ends = np.linspace(LOWEST, highest, FIRST_PANELS + 1).tolist()
    pending = list(pairwise(ends))[::-1]
    breaks = [LOWEST]
    series = []
    while pending:
        low, high = pending.pop()
        coefficients = _series(moments, low, high)
        if np.abs(coefficients[-2:]).max() > TOLERANCE and high - low > NARROWEST:
            middle = (low + high) / 2
            pending += [(middle, high), (low, middle)]
        else:
            breaks.append(high)
            series.append(coefficients)
    return MomentTable(parameters, np.array(breaks), np.stack(series, -1))


def _series(moments: Curve, low: float, high: float) -> NDArray:
    """Chebyshev coefficients of the log moments on a panel, shape (degree + 1, 2)."""
    nodes = chebyshev.chebpts1(DEGREE + 1)
    logs = np.log(moments((low + high) / 2 + (high - low) / 2 * nodes))
    return chebyshev.chebfit(nodes, logs.T, DEGREE)
