"""The floor of data between two bounds: in words, as numbers and as a picture."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffviz import checks, markup
from diffviz.theory.targets import base_gain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WITHIN = 0.1  # distance of the bounds, as a share of the upper one, up to which a floor is known
NOTHING = 1e-3  # lower bound as a share of the upper one that is not worth its digits
SETTLED_BY = 100.0  # times as many points that somebody may find
CROSSED = 4.0  # standard errors by which bounds do not cross by chance
STEADY = 0.05  # relative change from half the points to all of a bound that does not rise any more
REASONS = (
    "the points are not independent, those that are held out are of another law, or a few points "
    "far out decide"
)


class Loss(NamedTuple):
    """Squared eps error of a denoiser on points that it was not made from.

    Args:
        mean: The error, shape (levels,).
        stderr: Its standard error, shape (levels,).
    """

    mean: NDArray
    stderr: NDArray


class Excess(NamedTuple):
    """How far a loss is above the floor, each of shape (levels,).

    Args:
        least: Loss over the upper bound.
        most: Loss over the lower bound.
        stderr_of_least: Standard error of ``least``.
        stderr_of_most: Standard error of ``most``.
    """

    least: NDArray
    most: NDArray
    stderr_of_least: NDArray
    stderr_of_most: NDArray


@dataclass(frozen=True, eq=False)
class Floor:
    """What is known about the least squared eps error on data, summed over components.

    In expectation over sets of points, the floor of the law of the data is at least ``lower`` and
    at most ``upper``. Two standard errors outwards cover what one set may deviate.

    Args:
        logsnr: λ in nats, shape (levels,).
        lower: Least error on the data set itself, shape (levels,).
        upper: Error of a denoiser on points that it was not made from, shape (levels,).
        lower_stderr: Standard error of ``lower``, shape (levels,).
        upper_stderr: Standard error of ``upper`` over the points that denoisers were tried on,
            shape (levels,). Other points to make denoisers from would move ``upper``, too, but in
            expectation never below the floor.
        method: Name of the denoiser of ``upper`` by level; two where its halves chose differently.
        tried: Loss of each denoiser by its name, "network" for one that was given. The least of
            them is too small an upper bound, since it is the least of noisy numbers.
        lower_of_half: ``lower`` as it is with half the points, shape (levels,).
        points: Number of points that ``lower`` was computed from.
        total: Number of points of the data.
        shape: Shape of one point.
        notes: What else to know.

    Example:
        >>> x = dv.toy("ring8").sample(500, torch.Generator().manual_seed(0))
        >>> band = dv.floor(x, np.linspace(-6, 6, 7))
        >>> bool((band.lower <= band.upper + 2 * band.upper_stderr).all())
        True
    """

    logsnr: NDArray
    lower: NDArray
    upper: NDArray
    lower_stderr: NDArray
    upper_stderr: NDArray
    method: tuple[str, ...]
    tried: Mapping[str, Loss]
    lower_of_half: NDArray
    points: int
    total: int
    shape: tuple[int, ...]
    notes: tuple[str, ...] = ()

    def known(self, within: float = WITHIN) -> NDArray:
        """Where the bounds meet.

        Args:
            within: Distance of the bounds as a share of the upper one that counts as met, if it is
                not within two standard errors anyway.

        Returns:
            By level whether they meet, shape (levels,). They do not where the lower one is above
            the upper one by more than four standard errors.

        Raises:
            ValueError: ``within`` is not above 0.

        Example:
            >>> x = dv.toy("gaussian").sample(2000, torch.Generator().manual_seed(0))
            >>> dv.floor(x, [-8.0, 20.0]).known()
            array([ True, False])
        """
        share = checks.positive(within, "within")
        gap = self.upper - self.lower
        met = gap <= np.maximum(share * self.upper, 2 * self._error())
        return met & ~self._crossed()

    def _error(self) -> NDArray:
        """Standard error of the distance of the bounds, shape (levels,)."""
        return np.hypot(self.lower_stderr, self.upper_stderr)

    def _crossed(self) -> NDArray:
        """Where the lower bound is above the upper one by more than chance, shape (levels,)."""
        return self.lower - self.upper > CROSSED * self._error()

    def more_points(self) -> NDArray:
        """How many times as many points would let the bounds meet.

        Each doubling is taken to raise the lower bound as much as the last one did. At high
        log-SNR that is too slow to matter, and only a better denoiser narrows the gap.

        Returns:
            The factor by level, 1 where the bounds meet already and infinite where the last
            doubling changed nothing or the bounds contradict each other, shape (levels,).

        Example:
            >>> x = dv.toy("gaussian").sample(500, torch.Generator().manual_seed(0))
            >>> dv.floor(x, [-8.0, 30.0]).more_points()
            array([ 1., inf])
        """
        missing = (1 - WITHIN) * self.upper - self.lower
        gained = self.lower - self.lower_of_half
        rises = (gained > 0.01 * self.upper) & ~self._crossed()
        doublings = np.where(rises, missing / np.where(rises, gained, 1), np.inf)
        factor = np.exp2(np.maximum(doublings, 0).clip(max=1000))
        return np.where(self.known(), 1.0, np.where(np.isinf(doublings), np.inf, factor))

    def excess(self, loss: ArrayLike, stderr: ArrayLike = 0.0) -> Excess:
        """How far a loss at the same levels is above the floor.

        Args:
            loss: Squared eps error on points that were not trained on, shape (levels,).
            stderr: Its standard error, shape () or (levels,).

        Returns:
            The least and the most that it can be, with standard errors.

        Raises:
            ValueError: The shapes do not fit, or a number is not finite.

        Example:
            >>> x = dv.toy("gaussian").sample(2000, torch.Generator().manual_seed(0))
            >>> excess = dv.floor(x, [-4.0, 0.0]).excess([0.02, 0.6])
            >>> bool((excess.least <= excess.most).all())
            True
        """
        values = checks.finite(loss, "loss")
        error = checks.finite(stderr, "stderr")
        if values.shape != self.logsnr.shape or error.shape not in ((), values.shape):
            raise ValueError(
                f"loss must have the shape {self.logsnr.shape} of the floor's levels, stderr this "
                f"shape or (); got {values.shape}, {error.shape}"
            )
        return Excess(
            least=values - self.upper,
            most=values - self.lower,
            stderr_of_least=np.hypot(error, self.upper_stderr),
            stderr_of_most=np.hypot(error, self.lower_stderr),
        )

    # --- in words ---------------------------------------------------------------------------------

    def _rows(self) -> list[markup.Row]:
        """What there is to say, by name."""
        crossed = self._crossed()
        known = self.known() | crossed
        factor = self.more_points()
        soon = ~known & (factor <= SETTLED_BY)
        gained = self.lower - self.lower_of_half
        steady = (abs(gained) < STEADY * self.lower) & (self.lower_stderr < STEADY * self.lower)
        converged = ~known & ~soon & steady
        far = ~known & ~soon & ~converged
        shape = " × ".join(map(str, self.shape))
        gap = np.where(known, 0, self.upper - self.lower) / np.where(self.upper > 0, self.upper, 1)
        widest = int(gap.argmax())
        open_at = f"{self._at(widest)} at λ = {self.logsnr[widest]:.3g}"
        rows: list[markup.Row] = [
            (
                "floor",
                f"{self.total:,} points of shape {shape}, eps error summed over components",
            ),
            (f"known within {WITHIN:.0%} or two errors", self._where(self.known())),
            ("bounds contradict each other", self._contradiction(crossed)),
            ("more points would settle", self._soon(soon, factor)),
            ("a better denoiser would settle", self._where(converged)),
            (f"more than {SETTLED_BY:g} times as many points needed", self._where(far)),
            ("widest", open_at if gap[widest] > 0 else ""),
            ("upper bound by", self._methods()),
            *(("note", note) for note in self.notes),
        ]
        return [(name, value) for name, value in rows if value]

    def text(self) -> str:
        """Where the floor is known, and what would settle the rest, in words.

        Example:
            >>> x = dv.toy("gaussian").sample(500, torch.Generator().manual_seed(0))
            >>> print(dv.floor(x, [-8.0, 0.0]).text().splitlines()[0])
            floor: 500 points of shape 1, eps error summed over components
        """
        return "\n".join(f"{name}: {value}" for name, value in self._rows())

    __str__ = __repr__ = text

    def _at(self, level: int) -> str:
        """Both bounds at a level, with their errors."""
        lower, upper = self.lower[level], self.upper[level]
        low = f"{lower:.3g} ± {self.lower_stderr[level]:.1g}"
        if lower < NOTHING * upper:
            low = "nearly 0"
        return f"{low} to {upper:.3g} ± {self.upper_stderr[level]:.1g}"

    def _where(self, chosen: NDArray) -> str:
        """Levels as ranges, in words; empty if there is none."""
        ranges = _runs(chosen.tolist())
        return ", ".join(self._range(*ends) for ends in ranges if chosen[ends[0]])

    def _contradiction(self, crossed: NDArray) -> str:
        """Levels where the bounds cross, and what may be the reason."""
        if not crossed.any():
            return ""
        return f"{self._where(crossed)} ({REASONS})"

    def _soon(self, chosen: NDArray, factor: NDArray) -> str:
        """Levels that more points would settle, and how many."""
        if not chosen.any():
            return ""
        low, high = (max(2, math.ceil(end)) for end in (factor[chosen].min(), factor[chosen].max()))
        times = f"{low}" if low == high else f"{low} to {high}"
        return f"{self._where(chosen)} ({times} times as many, at the rate of the last doubling)"

    def _methods(self) -> str:
        """Denoisers with the levels where they are chosen."""
        ranges = _runs(self.method)
        return ", ".join(f"{self.method[ends[0]]} ({self._range(*ends)})" for ends in ranges)

    def _range(self, first: int, last: int) -> str:
        """The levels from one to another, in words."""
        low, high = self.logsnr[[first, last]]
        return f"λ = {low:.3g}" if first == last else f"λ from {low:.3g} to {high:.3g}"

    # --- as a picture -----------------------------------------------------------------------------

    def band(self, base: str = "eps", errors: float = 2.0) -> tuple[NDArray, NDArray]:
        """Both bounds, moved outwards by their errors, on the error of a base.

        Args:
            base: "eps", "x", "v" or "u".
            errors: Standard errors that are added to each side.

        Returns:
            Lower end, at least 0, and upper end, shape (levels,) each.

        Raises:
            ValueError: The base is unknown, or ``errors`` is negative.

        Example:
            >>> x = dv.toy("gaussian").sample(500, torch.Generator().manual_seed(0))
            >>> low, high = dv.floor(x, [-8.0, 0.0, 8.0]).band()
            >>> bool((low < high).all())
            True
        """
        spare = checks.number(errors, "errors", low=0.0)
        gain = base_gain(base, self.logsnr) ** 2
        low = np.maximum(self.lower - spare * self.lower_stderr, 0)
        return gain * low, gain * (self.upper + spare * self.upper_stderr)

    def plot(self, base: str = "eps", ax: "Axes | None" = None) -> "Axes":
        """Both bounds over log-SNR, and the band between them with two errors on each side.

        Args:
            base: Error that is drawn: "eps", "x", "v" or "u".
            ax: Axes to draw on; by default those of a new figure.

        Returns:
            The axes. The band has the ``gid`` "floor", the lines "lower" and "upper", and
            "network" if one was given.

        Raises:
            ValueError: The base is unknown.

        Example:
            >>> x = dv.toy("gaussian").sample(500, torch.Generator().manual_seed(0))
            >>> [line.get_gid() for line in dv.floor(x, [-8.0, 0.0, 8.0]).plot().lines][::2]
            ['lower', 'upper']
        """
        from diffviz import plots

        gain = base_gain(base, self.logsnr) ** 2
        curves = {"lower": gain * self.lower, "upper": gain * self.upper}
        if "network" in self.tried:
            curves["network"] = gain * self.tried["network"].mean
        ends = self.logsnr, *self.band(base)
        title = f"floor of {self.total:,} points"
        return plots.loss_curves(self.logsnr, curves, band=ends, base=base, title=title, ax=ax)

    def _repr_html_(self) -> str:
        """A table beside the bounds, for notebooks."""
        ends = (float(self.logsnr[0]), float(self.logsnr[-1]))
        if ends[0] == ends[1]:
            return markup.view(self._rows())
        with np.errstate(divide="ignore"):
            heights = [np.log10(np.maximum(bound, 0)) for bound in (self.lower, self.upper)]
        names = ("lower", "upper")
        curves = [
            markup.Curve(self.logsnr, height, ends, f"log10 of the {name} bound over log-SNR λ")
            for name, height in zip(names, heights, strict=True)
        ]
        return markup.view(self._rows(), *curves)


def _runs(values: Sequence[object]) -> list[tuple[int, int]]:
    """First and last index of each run of equal values."""
    runs = []
    for _, group in groupby(range(len(values)), key=lambda index: values[index]):
        members = list(group)
        runs.append((members[0], members[-1]))
    return runs
