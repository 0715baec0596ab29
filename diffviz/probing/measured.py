"""What a probe measured, draw by draw, with its densities, weightings and summary."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffviz import markup
from diffviz.checks import brief, count, increasing, number, require
from diffviz.probing.binning import (
    Levels,
    are_smooth,
    atoms_of,
    bin_averages,
    cells,
    describe_family,
    pooled_errors,
    smoothed,
    smoothing_reach,
)
from diffviz.probing.draws import REPLICATES


@dataclass(frozen=True, eq=False, repr=False)
class Measured:
    """What a loss optimises, draw by draw; arrays of shape (draws,), float64.

    Attributes:
        logsnr: Log-SNR of each draw in nats.
        alpha: Coefficient of the data in z.
        sigma: Coefficient of the noise in z.
        a: Coefficient of the data in the target a x + b eps.
        b: Coefficient of the noise in the target.
        multiplier: Factor c on the target's own squared error, summed over components. For a loss
            that is one number it is that of a batch mean. NaN where it could not be read.
        label: A whole number that draws of one discrete level share.
        order: Place of each draw in the stratified sequence.
        kind: Name of the target.
        frame: Name of the path's frame.
        scale: The data inside the loss are this times x (plus a constant); alpha counts those.
        stratified: Whether times were quantiles of their law; otherwise they are the loss's own
            draws.
        residuals: By what relative amount each assumption fails.
        notes: What the method assumes and the loss breaks, in words.
        exact: Whether log-SNR and weighting describe the loss up to rounding; a note says why not.
        refusal: Why there is no weighting, although factors were read; empty where there is one.
        parts: The same of each group of components, where a sample holds several noise levels.
        sampled: Levels could not be put in even order, and nothing else keeps it from being exact.
    """

    logsnr: NDArray
    alpha: NDArray
    sigma: NDArray
    a: NDArray
    b: NDArray
    multiplier: NDArray
    label: NDArray
    order: NDArray
    kind: str
    frame: str
    scale: float
    stratified: bool
    residuals: dict[str, float]
    notes: tuple[str, ...]
    exact: bool = True
    refusal: str = ""
    parts: tuple["Measured", ...] = ()
    sampled: bool = False

    @property
    def target(self) -> tuple[NDArray, NDArray]:
        """(a, b) with target = a x + b eps."""
        return self.a, self.b

    @property
    def gain(self) -> NDArray:
        """|b - a sigma/alpha|, the factor by which an error in eps_hat shows up in the target."""
        return np.abs(self.b - self.a * self.sigma / self.alpha)

    @property
    def factor(self) -> NDArray:
        """Factor on the eps squared error at each drawn log-SNR."""
        return self.multiplier * self.gain**2

    @property
    def discrete(self) -> bool:
        """Whether the draws repeat, as those of a table of noise levels do.

        A continuous law with atoms, such as that of clamped times, is no table.
        """
        rest = self.without_atoms()
        if rest is not self:
            return rest.discrete
        return bool(self.label.max() + 1 < min(self.samples, len(self.label) / 2))

    @property
    def samples(self) -> int:
        """Number of samples that were drawn; one may have several rows.

        NumPy's ``unique`` finds whole numbers by a hash, which takes a hundred times as long for a
        sequence in mixed order.
        """
        return 1 + int(np.count_nonzero(np.diff(np.sort(self.order))))

    def _selected(self, part: Any) -> NDArray:
        """Labels of a part of the draws; a TypeError if it is no slice, indices or mask."""
        try:
            selected = self.label[part]
        except (IndexError, RuntimeError, TypeError):
            selected = None
        if selected is None or selected.ndim > 1:  # a part of None adds a dimension
            raise TypeError(
                f"part must be a slice, indices or a mask of the draws, got {brief(part)}"
            )
        return selected

    def without_atoms(self) -> Self:
        """The draws of a continuous law without those at levels that come back, its atoms.

        A loss that clamps its times draws the levels at the ends again and again. They have no
        density, so that curves are those of all other draws.

        Returns:
            The same with fewer draws; itself where there are no atoms.

        Example:
            >>> def loss(model, x):
            ...     t = torch.rand(len(x)).clamp(min=0.25)
            ...     noise = torch.randn_like(x)
            ...     z = (1 - t)[:, None] * x + t[:, None] * noise
            ...     return ((model(z, t) - (noise - x)) ** 2).mean()
            >>> measured = dv.probe(loss, torch.linspace(-1, 1, 128).reshape(64, 2), draws=2000)
            >>> len(measured.without_atoms().logsnr)
            1500
        """
        atoms = atoms_of(self.label)
        if not atoms.any():
            return self
        kept = ~atoms[self.label]
        names = ("logsnr", "alpha", "sigma", "a", "b", "multiplier", "order")
        arrays = {name: getattr(self, name)[kept] for name in names}
        number = np.cumsum(~atoms & (np.bincount(self.label) > 0)) - 1
        return replace(self, label=number[self.label[kept]], **arrays)

    def levels(self, part: Any = slice(None)) -> tuple[NDArray, NDArray, NDArray]:
        """Distinct log-SNR with their probabilities and factors.

        Args:
            part: The draws that count: a slice, indices or a mask. All by default.

        Returns:
            Log-SNR in increasing order, probability, and mean factor, each of shape (levels,).

        Raises:
            TypeError: ``part`` is no part of the draws.
            ValueError: No draw is left.

        Example:
            >>> x = torch.linspace(-1, 1, 128).reshape(64, 2)
            >>> logsnr, probability, factor = dv.probe(dv.lab.losses.edm, x, draws=2000).levels()
            >>> round(float(probability.sum()), 6)
            1.0
        """
        label = np.atleast_1d(self._selected(part))
        if not len(label):  # its repr takes longer than all else here
            raise ValueError(f"part must leave at least one draw, got {part!r}")
        _, position, repeats = np.unique(label, return_inverse=True, return_counts=True)
        logsnr = np.bincount(position, np.atleast_1d(self.logsnr[part])) / repeats
        factor = np.bincount(position, np.atleast_1d(self.factor[part])) / repeats
        order = np.argsort(logsnr)
        return logsnr[order], repeats[order] / repeats.sum(), factor[order]

    def edges(self, bins: int = 160, mass: float = 0.998) -> NDArray:
        """Equal bins over the middle of the density.

        Args:
            bins: Number of bins.
            mass: Probability that they cover, in (0, 1]; as much is left out on either side.

        Returns:
            Edges, shape (bins + 1,). For discrete levels each bin holds whole ones, so that there
            may be fewer bins.

        Raises:
            ValueError: The loss trains at one noise level, or an argument is out of range.
            TypeError: An argument is no number.

        Example:
            >>> x = torch.linspace(-1, 1, 128).reshape(64, 2)
            >>> dv.probe(dv.lab.losses.edm, x, draws=2000).edges(bins=2, mass=0.9).round(1)
            array([-1.5,  2.4,  6.3])
        """
        bins = count(bins, "bins")
        mass = number(mass, "mass", 0, 1)
        require(mass > 0, f"mass must be above 0, got {mass}")
        logsnr, share, _ = self.without_atoms().levels()
        middle = np.cumsum(share) - share / 2
        low, high = np.interp([(1 - mass) / 2, (1 + mass) / 2], middle, logsnr)
        require(
            high - low >= 1e-6,
            f"a mass of {mass} is at one noise level, λ = {logsnr.mean():.4g}: a factor there, "
            "and no density",
        )
        grid = np.linspace(low, high, bins + 1)
        if not self.discrete:
            return grid
        ends = cells(logsnr)
        nearest = np.abs(ends[:, None] - grid).argmin(0)
        return np.unique(ends[nearest])

    def density(self, edges: ArrayLike) -> tuple[NDArray, NDArray]:
        """Density of log-SNR, averaged over each bin.

        Args:
            edges: Increasing edges of the bins, shape (bins + 1,).

        Returns:
            p(λ) and its standard error, each of shape (bins,). Levels to which clamped times come
            back have no density and are left out; the integral is then below 1.

        Raises:
            ValueError: The edges do not increase or are not finite.
            TypeError: The edges are no real numbers.

        Example:
            >>> x = torch.linspace(-1, 1, 128).reshape(64, 2)
            >>> density, error = dv.probe(dv.lab.losses.edm, x, draws=2000).density([0.0, 2.4, 4.8])
            >>> density.round(2)
            array([0.14, 0.14])
        """
        return self._binned(increasing(edges, "edges"), weighted=False)

    def weighting(self, edges: ArrayLike) -> tuple[NDArray, NDArray]:
        """Weighting w(λ) = 2 factor p(λ) on the eps squared error, averaged over each bin.

        Args:
            edges: Increasing edges of the bins, shape (bins + 1,).

        Returns:
            w(λ) and its standard error, each of shape (bins,).

        Raises:
            ValueError: The edges do not increase or are not finite, or the loss has no factor that
                does not mix components; ``notes`` says why.
            TypeError: The edges are no real numbers.

        Example:
            >>> x = torch.linspace(-1, 1, 128).reshape(64, 2)
            >>> w, error = dv.probe(dv.lab.losses.edm, x, draws=2000).weighting([0.0, 2.0, 4.0])
            >>> (w / w[0]).round(1)
            array([1. , 0.5])
        """
        grid = increasing(edges, "edges")
        require(not self.refusal, self.refusal)
        require(
            np.isfinite(self.factor).all(),
            f"no weighting could be measured, only the density: {'; '.join(self.notes)}",
        )
        return self._binned(grid, weighted=True)

    def _binned(self, grid: NDArray, *, weighted: bool) -> tuple[NDArray, NDArray]:
        """Averages over bins, and their standard errors, of the draws that are in no atom."""
        rest = self.without_atoms()
        share = len(rest.label) / len(self.label)
        mean, error = rest._binned_without_atoms(grid, weighted=weighted)
        return share * mean, share * error

    def _binned_without_atoms(self, grid: NDArray, *, weighted: bool) -> tuple[NDArray, NDArray]:
        """Averages over bins, and their standard errors from replicates."""
        discrete = self.discrete
        reach = self._smoothing_reach() if weighted else 0
        averages = partial(
            self._averages, grid=grid, weighted=weighted, discrete=discrete, reach=reach
        )
        mean = averages(slice(None))
        groups = [np.flatnonzero(self.order % REPLICATES == group) for group in range(REPLICATES)]
        groups = [group for group in groups if len(group)]
        if len(groups) < 2:
            return mean, np.full_like(mean, np.nan)
        is_counted = not (discrete or are_smooth(Levels(*self.levels())))
        counts = partial(self._counted, grid=grid, weighted=weighted)
        replicates = [(counts if is_counted else averages)(group) for group in groups]
        error = np.std(replicates, axis=0, ddof=1) / len(replicates) ** 0.5
        if discrete or not (is_counted or reach):
            return mean, error
        draws, _ = np.histogram(self.logsnr, grid)
        return mean, pooled_errors(mean, error, draws)

    def _counted(self, part: NDArray, grid: NDArray, weighted: bool) -> NDArray:
        """Averages over bins from counts of draws, which have all the scatter that chance makes."""
        value = 2 * self.factor[part] if weighted else None
        total, _ = np.histogram(self.logsnr[part], grid, weights=value)
        return total / len(part) / np.diff(grid)

    def _smoothing_reach(self) -> int:
        """Over how many draws to either side the multiplier is averaged; 0 if it has no scatter."""
        return smoothing_reach(self.logsnr, self.multiplier)

    def _averages(
        self, part: Any, *, grid: NDArray, weighted: bool, discrete: bool, reach: int
    ) -> NDArray:
        """Averages over bins from some of the draws."""
        levels = Levels(*self.levels(part))
        if weighted and not discrete and len(levels.logsnr) == len(self.logsnr[part]):
            levels = self._without_scatter(part, reach)
        return bin_averages(levels, grid, weighted=weighted, discrete=discrete)

    def _without_scatter(self, part: Any, reach: int) -> Levels:
        """Draws as levels, whose multiplier is a function of log-SNR also where it scatters."""
        order = np.argsort(self.logsnr[part])
        logsnr = self.logsnr[part][order]
        share = len(logsnr) / len(self.logsnr)
        if reach:
            reach = max(1, round(reach * share))
        factor = smoothed(logsnr, self.multiplier[part][order], reach)
        factor = factor * self.gain[part][order] ** 2
        return Levels(logsnr, np.full(len(logsnr), 1 / len(logsnr)), factor)

    def summary(self) -> str:
        """Target, path, density and weighting in words.

        Returns:
            A line for each, and one for each note.
        """
        levels = Levels(*self.without_atoms().levels())
        lines = [f"target: {self.kind}", f"path: {self.frame}"]
        if self.scale != 1:
            lines[-1] += f", data times {self.scale:.4g}"
        first, last = levels.logsnr[[0, -1]]
        family = describe_family(levels, discrete=self.discrete)
        lines.append(f"density over log-SNR: {family}, {first:.3g} to {last:.3g}")
        weights = self._relative_weights(levels)
        if weights:
            text = ", ".join(f"{weight:.3g} at λ = {at:.3g}" for at, weight in weights.items())
            lines.append(f"weighting on the eps error: {text}")
        for numbers, part in self._alike_parts():
            lines += [f"part {numbers}: {line}" for line in part.split("\n")]
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(lines)

    def _alike_parts(self) -> list[tuple[str, str]]:
        """Summaries of the parts without their notes, each with the numbers of its parts."""
        numbers: dict[str, list[str]] = {}
        for place, part in enumerate(self.parts):
            text, *_ = part.summary().partition("\nnote:")
            numbers.setdefault(text, []).append(str(place))
        return [(", ".join(alike), text) for text, alike in numbers.items()]

    def _relative_weights(self, levels: Levels) -> dict[float, float]:
        """The weighting at a few log-SNR, relative to that at λ = 0 or the nearest of them."""
        if len(levels.logsnr) < 2 or self.refusal or not np.isfinite(levels.factor).all():
            return {}
        middle_of_mass = np.cumsum(levels.mass) - levels.mass / 2
        low, high = np.interp([0.05, 0.95], middle_of_mass, levels.logsnr)
        anchor = np.clip(0.0, low, high)
        shown = anchor + np.array([-6.0, -4, -2, 0, 2, 4, 6])
        inside = (shown > levels.logsnr[0] + 0.5) & (shown < levels.logsnr[-1] - 0.5)
        rest = self.without_atoms()  # the share of the others is the same at each log-SNR
        discrete = rest.discrete
        reach = rest._smoothing_reach()
        weights = {}
        for logsnr in shown[inside].tolist():
            grid = np.array([logsnr - 0.25, logsnr + 0.25])
            average = rest._averages(
                slice(None), grid=grid, weighted=True, discrete=discrete, reach=reach
            )
            weights[logsnr] = average.item()
        positive = [logsnr for logsnr, weight in weights.items() if weight > 0]
        if not positive:
            return {}
        unit = weights[min(positive, key=lambda logsnr: abs(logsnr - anchor))]
        return {logsnr: weight / unit for logsnr, weight in weights.items()}

    __str__ = __repr__ = summary

    def _repr_html_(self) -> str:
        return markup.measurement(self)
