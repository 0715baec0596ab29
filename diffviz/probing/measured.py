"""What a probe found, draw by draw, and what follows: densities and weightings in bins, and a summary in words.

Stratified draws are quantiles of the law of λ, so p(λ) is the derivative of a quantile function; it is taken in log-odds, where the tails of
the usual laws are straight lines.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from diffviz import markup
from diffviz.checks import increasing

GROUPS = 10  # replicates for a standard error
FAMILIES = (stats.hypsecant, stats.logistic, stats.norm, stats.uniform, stats.laplace, stats.cauchy)


@dataclass(frozen=True, eq=False, repr=False)
class Measured:
    """What a loss optimises, draw by draw; arrays of shape (draws,), float64.

    ``multiplier`` is c on the target's own squared error, summed over components; for a loss that is one number, of a batch mean.
    ``scale``: the data inside the loss are ``scale`` times x (plus a constant); alpha counts those. ``residuals``: by what relative
    amount each assumption failed.
    """

    logsnr: NDArray
    alpha: NDArray
    sigma: NDArray
    a: NDArray
    b: NDArray
    multiplier: NDArray
    label: NDArray  # equal for draws of one discrete level
    order: NDArray  # place in the stratified sequence
    kind: str
    frame: str
    scale: float
    stratified: bool
    residuals: dict[str, float]
    notes: tuple[str, ...]

    @property
    def target(self) -> tuple[NDArray, NDArray]:
        """(a, b) with target = a x + b eps."""
        return self.a, self.b

    @property
    def gain(self) -> NDArray:
        """|b − a sigma/alpha|: the factor by which an error in eps_hat shows up in the target."""
        return np.abs(self.b - self.a * self.sigma / self.alpha)

    @property
    def factor(self) -> NDArray:
        """Factor on the eps squared error at each drawn λ."""
        return self.multiplier * self.gain**2

    @property
    def discrete(self) -> bool:
        """Whether the draws repeat: a table of noise levels."""
        return self.label.max() < len(self.label) / 2

    def levels(self, part=slice(None)) -> tuple[NDArray, NDArray, NDArray]:
        """Distinct λ in increasing order, their probability and their mean factor, over the draws ``part``."""
        _, at, count = np.unique(self.label[part], return_inverse=True, return_counts=True)
        logsnr, factor = (
            np.bincount(at, values[part]) / count for values in (self.logsnr, self.factor)
        )
        order = np.argsort(logsnr)
        return logsnr[order], count[order] / count.sum(), factor[order]

    def edges(self, bins: int = 160, mass: float = 0.998) -> NDArray:
        """Equal bins over the central ``mass`` of the density, shape (bins + 1,); of discrete levels each bin holds whole ones."""
        logsnr, share, _ = self.levels()
        ends = np.interp([(1 - mass) / 2, (1 + mass) / 2], np.cumsum(share) - share / 2, logsnr)
        if ends[1] - ends[0] < 1e-6:
            raise ValueError(
                f"the loss trains at one noise level, λ = {logsnr.mean():.4g}: a factor there, and no density"
            )
        grid, cells = np.linspace(ends[0], ends[1], bins + 1), _cells(logsnr)
        return np.unique(cells[np.abs(cells[:, None] - grid).argmin(0)]) if self.discrete else grid

    def _binned(self, edges: ArrayLike, weighted: bool) -> tuple[NDArray, NDArray]:
        grid = increasing(edges, "edges")
        if weighted and not np.isfinite(self.factor).all():
            raise ValueError(
                f"no weighting could be measured, only the density: {'; '.join(self.notes)}"
            )
        parts = [np.flatnonzero(self.order % GROUPS == g) for g in range(GROUPS)]
        replicates = [
            _bin_average(*self.levels(part), grid, weighted, self.discrete) for part in parts
        ]
        return _bin_average(*self.levels(), grid, weighted, self.discrete), np.std(
            replicates, axis=0, ddof=1
        ) / GROUPS**0.5

    def density(self, edges: ArrayLike) -> tuple[NDArray, NDArray]:
        """p(λ), averaged over each bin, and its standard error; edges (bins + 1,), results (bins,)."""
        return self._binned(edges, weighted=False)

    def weighting(self, edges: ArrayLike) -> tuple[NDArray, NDArray]:
        """w(λ) = 2 factor p(λ) on the eps squared error, averaged over each bin, and its standard error; shapes as ``density``.

        Raises ValueError for bad edges, or where the loss has no factor that does not mix components (``notes`` says why).
        """
        return self._binned(edges, weighted=True)

    def summary(self) -> str:
        """Target, path, density and weighting in words."""
        logsnr, mass, factor = self.levels()
        lines = [
            f"target: {self.kind}",
            f"path: {self.frame}" + (f", data times {self.scale:.4g}" if self.scale != 1 else ""),
        ]
        lines += [
            f"density over log-SNR: {_family(logsnr, mass)}, {logsnr[0]:.3g} to {logsnr[-1]:.3g}"
        ]
        if len(logsnr) > 1 and np.isfinite(factor).all():
            middle = np.clip(0.0, *np.interp([0.05, 0.95], np.cumsum(mass) - mass / 2, logsnr))
            shown = middle + np.array([-6.0, -4, -2, 0, 2, 4, 6])
            shown = shown[(shown > logsnr[0] + 0.5) & (shown < logsnr[-1] - 0.5)]
            w = [self.weighting([at - 0.25, at + 0.25])[0].item() for at in shown]
            here = dict(zip(shown, w, strict=True)).get(middle, np.nan)
            words = ", ".join(
                f"{v / here:.3g} at λ = {at:.3g}" for at, v in zip(shown, w, strict=True)
            )
            lines += [f"weighting on the eps error: {words}"]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    __str__ = __repr__ = summary

    def _repr_html_(self) -> str:
        return markup.measurement(self)


def _cells(logsnr):
    """Ends of the cells of increasing levels: midpoints, and as far again beyond the first and the last; shape (levels + 1,)."""
    middle = (logsnr[1:] + logsnr[:-1]) / 2
    ends = (
        (2 * logsnr[0] - middle[0], 2 * logsnr[-1] - middle[-1])
        if len(middle)
        else (logsnr[0], logsnr[0])
    )
    return np.concatenate([ends[:1], middle, ends[1:]])


def _bin_average(logsnr, mass, factor, grid, weighted, discrete):
    """Bin averages of p or 2 factor p: from the quantile function where the draws are regular, else by what falls into each bin."""
    value, cells, gaps = (
        2 * factor if weighted else np.ones_like(factor),
        _cells(logsnr),
        np.diff(logsnr),
    )
    regular = not discrete and len(gaps) > 200 and np.ptp(mass) == 0 and gaps.min() > 0
    smooth = regular and np.median(np.abs(np.diff(np.log(gaps)))) < 0.2
    if not smooth:
        return np.diff(np.interp(grid, cells, np.append(0, np.cumsum(mass * value)))) / np.diff(
            grid
        )
    place, n = np.arange(len(logsnr)), len(logsnr)
    share = (place + 0.5) / n
    reach = np.maximum(1, np.round(0.01 * np.minimum(place, n - 1 - place))).astype(int)
    low, high = np.maximum(place - reach, 0), np.minimum(place + reach, n - 1)
    odds = special.logit(share)  # in log-odds the tails of logistic and hypsecant are straight
    log_p = np.log(share * (1 - share) * (odds[high] - odds[low]) / (logsnr[high] - logsnr[low]))
    left, right = np.maximum(grid[:-1], cells[0]), np.minimum(grid[1:], cells[-1])
    half, (nodes, rule) = np.maximum(right - left, 0) / 2, np.polynomial.legendre.leggauss(5)
    at = left + half * (1 + nodes[:, None])
    return (
        rule
        @ (np.exp(np.interp(at, logsnr, log_p)) * np.interp(at, logsnr, value))
        * half
        / np.diff(grid)
    )


def _family(logsnr, mass):
    """Nearest of a few SciPy families by the largest difference of the cdf, location and scale from three quantiles."""
    if len(logsnr) < 20:
        return f"{len(logsnr)} level{'s' * (len(logsnr) > 1)}"
    cdf = np.cumsum(mass) - mass / 2
    low, middle, high = np.interp([0.1, 0.5, 0.9], cdf, logsnr)

    def fit(family):
        scale = (high - low) / (family.ppf(0.9) - family.ppf(0.1))
        loc = middle - scale * family.ppf(0.5)
        return np.abs(family(loc, scale).cdf(logsnr) - cdf).max(), family.name, loc, scale

    off, name, loc, scale = min(map(fit, FAMILIES))
    atoms = (
        f" on {len(logsnr)} levels"
        if mass.max() > 1.5 * mass.min() or len(logsnr) < 0.5 / mass.min()
        else ""
    )
    near = "" if off < 0.004 else "about " if off < 0.03 else "unnamed, nearest "
    return f"{near}{name}(loc={loc if abs(loc) > 5e-3 else 0:.3g}, scale={scale:.3g}){atoms}, cdf within {off:.1g}"
