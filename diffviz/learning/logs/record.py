"""A run's loss by log-SNR as its log tells it: in words, as numbers and as a picture."""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffviz import checks, markup
from diffviz.compute import threads
from diffviz.learning.doors import real_tensor
from diffviz.learning.tracking import Bins, LossByLogSNR
from diffviz.theory.objectives import Objective

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUARTERS = (0.25, 0.5, 0.75)
FEW = 10  # draws below which a bin is mentioned


@dataclass(frozen=True, eq=False)
class Spending:
    """What the training spends where, by the samples of a log.

    Args:
        loss: Share of the training loss in each bin, shape (bins + 2,); first below the edges, last
            above.
        weighting: The implied w(λ) on the eps error, averaged over each bin, shape (bins,).
    """

    loss: NDArray
    weighting: NDArray


@dataclass(frozen=True, eq=False)
class Reading:
    """How a log was read.

    Args:
        source: The log.
        form: Its format.
        columns: Its columns, in words.
        levels: How log-SNR was found, in words.
        loss: What the logged loss was taken for, in words.
        counted: Which samples count, in words.
        objective: The objective of the run; None if it was not said.
        spending: What the training spends where.
        notes: What else to know.
        base: The error that was logged: "eps", "x", "v" or "u".
    """

    source: str
    form: str
    columns: str
    levels: str
    loss: str
    counted: str
    objective: Objective | None
    spending: Spending
    notes: tuple[str, ...] = ()
    base: str = "eps"


def spending_of(bins: Bins, place: NDArray, spent: NDArray, factor: NDArray) -> Spending:
    """What samples spend by bin.

    With N draws, the weight of a bin is 2 · Σ factor/(N · width), since the loss is
    E[factor · ‖eps_hat − eps‖²] = ½ ∫ w E‖eps_hat − eps‖² dλ.

    Args:
        bins: The bins.
        place: Number of the bin of each sample, as ``Bins.find`` gives it, shape (n,).
        spent: Training loss of each sample, shape (n,).
        factor: What the training multiplies its squared eps error by, shape (n,).

    Returns:
        The shares of the loss and the implied weighting.
    """
    cells = len(bins) + 3
    drawn = place < cells - 1
    finite = np.isfinite(spent) & drawn
    sums = np.bincount(place[finite], spent[finite], cells)[:-1]
    factors = np.bincount(place[drawn], np.nan_to_num(factor[drawn], posinf=0), cells)[1:-2]
    whole = sums.sum()
    return Spending(
        loss=sums / whole if whole > 0 else np.full(len(sums), np.nan),
        weighting=2 * factors / (max(1, drawn.sum()) * bins.width),
    )


class LossLog(LossByLogSNR):
    """The loss by log-SNR of a finished run: a tracker that was filled from a log.

    It does all that ``LossByLogSNR`` does. ``reading`` says how the log was understood.

    Args:
        edges: Increasing edges of the bins in nats, shape (bins + 1,).
        decay: Decay of the average per batch, in (0, 1).
        reading: How the log was read.

    Example:
        >>> rows = [{"logsnr": level, "loss": 1.0} for level in (-3.0, -1.0, 1.0, 3.0)]
        >>> log = dv.read_log(rows, edges=[-4.0, 0.0, 4.0], last=1.0)
        >>> log.mean
        array([1., 1.])
        >>> log.share_below(0.0)
        0.5
    """

    def __init__(self, edges: ArrayLike, decay: ArrayLike, reading: Reading):
        super().__init__(edges, decay)
        self.reading = reading

    def take_batches(self, logsnr: ArrayLike, loss: ArrayLike) -> None:
        """Take in batches of one size, the same as if each were passed to ``update``.

        Args:
            logsnr: λ in nats, shape (batches, n).
            loss: Squared eps errors, summed over components, same shape.

        Raises:
            TypeError: An argument is masked, complex or no numbers.
            ValueError: The shapes differ or are no two numbers.

        Example:
            >>> log = dv.read_log({"logsnr": [0.0], "loss": [1.0]}, edges=[-4.0, 4.0])
            >>> log.take_batches([[1.0, 2.0], [3.0, 9.0]], [[1.0, 1.0], [1.0, 1.0]])
            >>> log.count
            array([0., 4., 1.])
        """
        levels = checks.real_numbers(logsnr, "logsnr")
        losses = checks.real_numbers(loss, "loss")
        checks.require(
            levels.shape == losses.shape and losses.ndim == 2,
            f"logsnr and loss are of shape (batches, n), got {levels.shape} and {losses.shape}",
        )
        self.flush()
        rows = max(1, self.buffer // max(1, losses.shape[1]))
        for start in range(0, len(losses), rows):
            level = real_tensor(levels[start : start + rows], "logsnr")
            loss_there = real_tensor(losses[start : start + rows], "loss")
            with threads.suited(threads.elements(loss_there), loss_there.device):
                self._take(level, loss_there)

    @property
    def notes(self) -> tuple[str, ...]:
        """What else to know of the log."""
        return self.reading.notes

    @property
    def base(self) -> str:
        """The error that was logged, one of "eps", "x", "v" and "u"; "eps" for any other."""
        return self.reading.base

    @property
    def objective(self) -> Objective | None:
        """The objective of the run; None if it was not said."""
        return self.reading.objective

    @property
    def spent(self) -> NDArray:
        """Share of the training loss in each bin, shape (bins + 2,), first those below the edges.

        The training loss is that of the run's objective; the logged loss where it was not said.
        """
        return self.reading.spending.loss.copy()

    def table(self) -> NDArray:
        """λ and the implied weighting by the logged levels, which ``dv.from_weighting`` takes.

        Returns:
            Middles of the bins in nats and bin averages of w on the eps error, shape (bins, 2).

        Example:
            >>> rows = [{"sigma": sigma, "loss": 0.5} for sigma in (0.2, 0.4, 0.6, 0.8)]
            >>> log = dv.read_log(rows, scheduler="fm-ot", edges=[-4.0, 0.0, 4.0], last=1.0)
            >>> log.table().round(2)
            array([[-2.  ,  3.91],
                   [ 2.  ,  0.54]])
        """
        return np.column_stack([self.middle, self.reading.spending.weighting])

    def share_below(self, logsnr: float) -> float:
        """Share of the training loss that is spent below a level.

        Within a bin it is spread evenly.

        Args:
            logsnr: λ in nats, within the edges.

        Returns:
            The share, between 0 and 1.

        Raises:
            TypeError: ``logsnr`` is no number.
            ValueError: It lies outside the edges.

        Example:
            >>> rows = [{"logsnr": level, "loss": 1.0} for level in (-3.0, -1.0, 1.0, 3.0)]
            >>> dv.read_log(rows, edges=[-4.0, 0.0, 4.0], last=1.0).share_below(-2.0)
            0.25
        """
        low, high = self.edges[[0, -1]]
        at = checks.number(logsnr, "logsnr", low, high)
        return float(np.interp(at, self.edges, self._below_edges()))

    def _below_edges(self) -> NDArray:
        """Share of the loss below each edge, shape (bins + 1,)."""
        return np.cumsum(self.reading.spending.loss)[:-1]

    def _spent_per_nat(self) -> NDArray:
        """Share of the loss in each bin over its width, shape (bins,)."""
        return self.reading.spending.loss[1:-1] / self.width

    def plot_spent(self, ax: "Axes | None" = None) -> "Axes":
        """What the training spends per nat, over log-SNR.

        Args:
            ax: Axes to draw on; by default those of a new figure.

        Returns:
            The axes. The line has the ``gid`` "spent".

        Example:
            >>> rows = [{"logsnr": level, "loss": 1.0} for level in (-3.0, -1.0, 1.0, 3.0)]
            >>> log = dv.read_log(rows, edges=[-4.0, 0.0, 4.0], last=1.0)
            >>> log.plot_spent().lines[0].get_ydata()
            array([0.125, 0.125])
        """
        from diffviz import plots

        return plots.lines(
            self.middle,
            {"spent": self._spent_per_nat()},
            xlabel=plots.LOGSNR,
            ylabel="share of the training loss per nat",
            title="what the run spends where",
            outside=None,
            ax=ax,
        )

    # --- in words -------------------------------------------------------------------------------

    def text(self) -> str:
        """How the log was read, and where its loss is, in words.

        Example:
            >>> rows = [{"logsnr": level, "loss": 1.0} for level in (-3.0, -1.0, 1.0, 3.0)]
            >>> log = dv.read_log(rows, edges=[-4.0, 0.0, 4.0], last=1.0)
            >>> print(log.text().splitlines()[1])
            columns: loss 'loss', logsnr 'logsnr', no step ('loss', 'logsnr' by name)
        """
        return "\n".join(f"{name}: {value}" for name, value in self._rows())

    __str__ = __repr__ = text

    def _rows(self) -> list[markup.Row]:
        """What there is to say, by name."""
        reading = self.reading
        rows: list[markup.Row] = [
            ("log", f"{reading.source} ({reading.form}), {reading.counted}"),
            ("columns", reading.columns),
            ("levels", f"{reading.levels}; {self._range()}"),
            ("loss", reading.loss),
            ("spent", self._spent_text()),
            ("not finite", self._not_finite_text()),
            ("outside the bins", self._outside_text()),
            ("few draws", self._few_text()),
            *(("note", note) for note in reading.notes),
        ]
        return [(name, value) for name, value in rows if value]

    def _spent_text(self) -> str:
        """Where the training loss is spent."""
        below = self._below_edges()
        if not np.isfinite(below).all():
            return ""
        quarters = [self._level_below_which(share, below) for share in QUARTERS]
        text = f"a quarter below λ = {quarters[0]}, half below {quarters[1]}, three quarters below "
        text += quarters[2]
        if self.edges[0] < 0 < self.edges[-1]:
            text += f"; {self.share_below(0.0):.0%} below λ = 0"
        return text

    def _level_below_which(self, share: float, below: NDArray) -> str:
        """λ below which a share of the loss is spent, in words."""
        if not below[0] <= share <= below[-1]:
            return f"the bins ({'below' if share < below[0] else 'above'} them)"
        return f"{np.interp(share, below, self.edges):.2g}"

    def _not_finite_text(self) -> str:
        """How many losses are not finite, and where."""
        counts = self.not_finite
        if not counts.any():
            return ""
        parts = [
            f"{number:.0f} {where}"
            for number, where in (
                (counts[0], f"below λ = {self.edges[0]:g}"),
                (counts[-2], f"above λ = {self.edges[-1]:g}"),
                (counts[-1], "without a level"),
            )
            if number
        ]
        inside = np.flatnonzero(counts[1:-2])
        if len(inside):
            low, high = self.edges[inside[0]], self.edges[inside[-1] + 1]
            number = counts[1:-2].sum()
            parts.insert(0, f"{number:.0f} at λ from {low:g} to {high:g}")
        return f"{', '.join(parts)}; they enter no average"

    def _outside_text(self) -> str:
        """How many draws lie beyond the edges."""
        below, above = self.count[[0, -1]]
        parts = [f"{markup.counted(below, 'draw')} below"] if below else []
        parts += [f"{markup.counted(above, 'draw')} above"] if above else []
        return ", ".join(parts)

    def _few_text(self) -> str:
        """How many bins have few draws."""
        few = int(((self.count[1:-1] < FEW) & (self.count[1:-1] > 0)).sum())
        empty = int((self.count[1:-1] == 0).sum())
        parts = [f"fewer than {FEW} in {markup.counted(few, 'bin')}"] if few else []
        parts += [f"none in {markup.counted(empty, 'bin')}"] if empty else []
        return ", ".join(parts)

    def _repr_html_(self) -> str:
        """A table beside what is spent, for notebooks."""
        ends = (float(self.edges[0]), float(self.edges[-1]))
        caption = "share of the training loss per nat over log-SNR λ"
        curve = markup.Curve(self.middle, self._spent_per_nat(), ends, caption)
        return markup.view(self._rows(), curve)


def fill(log: LossLog, logsnr: NDArray, loss: NDArray, starts: NDArray) -> None:
    """Take in the samples of a log; what is not finite is counted, and said in its text.

    Args:
        log: The record to fill.
        logsnr: λ in nats, shape (n,).
        loss: Squared eps errors, shape (n,).
        starts: Places where a batch begins, increasing from 0, shape (batches,).
    """
    sizes = np.diff(np.r_[starts, len(loss)])
    stretches = np.split(np.arange(len(sizes)), np.flatnonzero(np.diff(sizes)) + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the record says it in words
        for batches in stretches:
            size = int(sizes[batches[0]])
            first = int(starts[batches[0]])
            part = slice(first, first + size * len(batches))
            if len(batches) == 1:  # in pieces where it is large
                log.update(logsnr[part], loss[part])
            else:
                log.take_batches(logsnr[part].reshape(-1, size), loss[part].reshape(-1, size))
        log.flush()
