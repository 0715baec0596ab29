"""Loss by log-SNR in anybody's training loop.

A bin of λ keeps moving averages over batches of its number of draws, of their losses
‖eps_hat − eps‖², and of the squares of these. A mean is the ratio of two averages. A draw counts
decay^(age in batches), so that neither the start nor the law that draws λ biases the mean.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, distributed

from diffviz import checks
from diffviz.compute import threads
from diffviz.learning.doors import real_tensor
from diffviz.theory.analysis import evaluate
from diffviz.theory.multipliers import constant
from diffviz.theory.targets import base_gain

# rows of the averages
DRAWS, LOSS, SQUARED_LOSS, DRAWS_BY_SQUARED_WEIGHT, DRAWS_EVER = range(5)
FORGOTTEN = 1e-100  # average number of draws below which a bin counts as empty


class Curve(NamedTuple):
    """A loss by log-SNR; each field has shape (bins,), or (k, bins) with k decays.

    Args:
        mean: Mean squared error.
        stderr: Its standard error.
        second: Mean of the squared squared error.
    """

    mean: NDArray
    stderr: NDArray
    second: NDArray


class WeightedLoss(NamedTuple):
    """A loss under a weighting.

    Args:
        loss: ½ ∫ w E‖eps_hat − eps‖² dλ over the bins seen, shape () or (k,) with k decays.
        stderr: Its standard error, like ``loss``; NaN if a bin with weight has none.
        seen: Share of the range of λ whose bins have been seen.
    """

    loss: NDArray
    stderr: NDArray
    seen: float


@dataclass(frozen=True, eq=False)
class Bins:
    """Bins of λ, with one more beyond each end.

    Args:
        edges: Increasing edges in nats, shape (bins + 1,).
    """

    edges: NDArray

    def __len__(self) -> int:
        return len(self.edges) - 1

    @cached_property
    def width(self) -> NDArray:
        """Widths in nats, shape (bins,)."""
        return np.diff(self.edges)

    @cached_property
    def middle(self) -> NDArray:
        """Middles in nats, shape (bins,)."""
        return (self.edges[1:] + self.edges[:-1]) / 2

    @cached_property
    def ends(self) -> tuple[float, float]:
        """Both ends in nats, a little further out, so that an end in float32 is inside."""
        slack = 2e-7 * abs(self.edges).max()
        return float(self.edges[0] - slack), float(self.edges[-1] + slack)

    @cached_property
    def even(self) -> bool:
        """Whether all bins are of one width."""
        return bool(np.ptp(self.width) < 1e-9 * self.width[0])

    def find(self, logsnr: Tensor) -> Tensor:
        """Number of the bin of each λ: 0 below the edges, bins + 1 above."""
        low, high = self.ends
        if self.even:  # no search, which would cost more than all the rest
            place = (logsnr - low).mul_(len(self) / (high - low)).add_(1)
            return place.clamp_(0, len(self) + 1).nan_to_num_(0).long()
        edges = torch.from_numpy(np.r_[low, self.edges[1:-1], high])
        return torch.bucketize(logsnr, edges.to(logsnr), right=True)

    def sums(self, logsnr: Tensor, loss: Tensor) -> Tensor:
        """Number of draws, losses and squared losses in each bin, batch by batch.

        A λ that is NaN makes the sums NaN.

        Args:
            logsnr: λ in nats, shape (batches, n).
            loss: Losses, shape (batches, n).

        Returns:
            Sums, shape (3, batches, bins + 2).
        """
        batches, cells = len(loss), len(self) + 2
        offset = cells * torch.arange(batches, device=loss.device)[:, None]
        place = (self.find(logsnr) + offset).flatten()
        # adds 0 · λ: NaN in λ spreads, and the clamp keeps an infinite λ from making one
        value = torch.add(loss.double(), logsnr.clamp(*self.ends), alpha=0).flatten()
        sums = torch.zeros(3, batches * cells, dtype=torch.float64, device=loss.device)
        for row, values in zip(sums, (torch.ones_like(value), value, value**2), strict=True):
            row.scatter_add_(0, place, values)
        return sums.unflatten(1, (batches, cells))


def _decays(decay: ArrayLike) -> NDArray:
    """One decay or several in a row, each in (0, 1)."""
    numbers = checks.array(decay, "decay")
    if numbers.ndim > 1 or not numbers.size or not ((numbers > 0) & (numbers < 1)).all():
        raise ValueError(f"decay lies in (0, 1), one number or several in a row; got {decay!r}")
    return numbers


class LossByLogSNR:
    """Moving average of the eps squared error in bins of λ.

    It lives on the device of the losses, which is waited for once a buffer.

    Args:
        edges: Increasing edges of the bins in nats, shape (bins + 1,). Draws outside are only
            counted.
        decay: Decay of the average per batch, in (0, 1). With several, shape (k,), curves are
            (k, bins), and adaptive laws use the first.
        buffer: How many samples are collected and then binned together.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: The edges do not increase, a decay lies outside (0, 1), or the buffer is empty.

    Example:
        >>> tracker = dv.LossByLogSNR([-4.0, 0.0, 4.0], decay=0.9)
        >>> tracker.update([-3.0, -1.0, 2.0], [0.25, 0.75, 1.0])
        >>> tracker.mean
        array([0.5, 1. ])
    """

    def __init__(self, edges: ArrayLike, decay: ArrayLike = 0.99, buffer: int = 2**15):
        self.bins = Bins(checks.increasing(edges, "edges"))
        self.decay = _decays(decay)
        self.buffer = checks.count(buffer, "buffer")
        self._averages = torch.zeros(*self.decay.shape, 5, len(self.bins) + 2, dtype=torch.float64)
        self._pairs: list[Tensor] = []

    def __repr__(self) -> str:
        return f"LossByLogSNR({self._range()}, decay {self.decay})"

    def _range(self) -> str:
        """Number and range of the bins, for messages."""
        return f"{len(self.bins)} bins on [{self.edges[0]:g}, {self.edges[-1]:g}]"

    @property
    def edges(self) -> NDArray:
        """Edges of the bins in nats, shape (bins + 1,)."""
        return self.bins.edges

    @property
    def middle(self) -> NDArray:
        """Middles of the bins in nats, shape (bins,)."""
        return self.bins.middle

    @property
    def width(self) -> NDArray:
        """Widths of the bins in nats, shape (bins,)."""
        return self.bins.width

    # --- taking in ------------------------------------------------------------------------------

    def update(self, logsnr: Tensor | ArrayLike, loss: Tensor | ArrayLike) -> None:
        """Take in a batch.

        Args:
            logsnr: λ of each sample in nats, any shape but ().
            loss: Its eps squared error, summed over dimensions, same shape.

        Raises:
            TypeError: An argument is masked, complex or no numbers.
            ValueError: The shapes differ. Or a buffer is full and holds a loss that is not finite
                or a λ that is NaN; see ``flush``.

        Example:
            >>> tracker = dv.LossByLogSNR([-4.0, 0.0, 4.0])
            >>> tracker.update([-9.0, -1.0, 2.0, 3.0], [0.1, 0.5, 1.0, 2.0])
            >>> tracker.count
            array([1., 1., 2., 0.])
        """
        logsnr = real_tensor(logsnr, "logsnr")
        loss = real_tensor(loss, "loss")
        if logsnr.shape != loss.shape or not loss.ndim:
            raise ValueError(
                f"one λ for each loss: logsnr is {tuple(logsnr.shape)}, loss {tuple(loss.shape)}"
            )
        pair = torch.stack((logsnr, loss)).detach()  # a copy: the loop may write over its own
        if self._must_flush(pair):
            self.flush()
        self._pairs.append(pair)

    def _must_flush(self, pair: Tensor) -> bool:
        """Whether the buffer is full, or its batches are of another shape."""
        if not self._pairs:
            return False
        full = len(self._pairs) * pair[1].numel() >= self.buffer
        return full or self._pairs[0].shape != pair.shape

    def flush(self) -> None:
        """Bin the collected batches; everything that reads the tracker does this first.

        Raises:
            ValueError: A loss is not finite or a λ is NaN. The collected batches are lost.

        Example:
            >>> tracker = dv.LossByLogSNR([-4.0, 0.0, 4.0])
            >>> tracker.update([-1.0], [float("nan")])
            >>> tracker.flush()
            Traceback (most recent call last):
                ...
            ValueError: loss nan at logsnr -1: both must be finite
        """
        if not self._pairs:
            return
        logsnr, loss = torch.stack(self._pairs, 1).flatten(2)  # (batches, n) each
        self._pairs = []
        with threads.suited(threads.elements(loss), loss.device):
            self._take(logsnr, loss)

    def _take(self, logsnr: Tensor, loss: Tensor) -> None:
        """Bin batches, shape (batches, n) both."""
        sums = self.bins.sums(logsnr, loss)
        if not np.isfinite(float(sums[SQUARED_LOSS].sum())):
            raise self._not_finite(logsnr, loss)
        self._age(sums)

    @staticmethod
    def _not_finite(logsnr: Tensor, loss: Tensor) -> ValueError:
        """The error for the first sample whose squared loss is not finite or whose λ is NaN."""
        bad = ~(loss.double() ** 2).isfinite() | logsnr.isnan()
        return ValueError(
            f"loss {loss[bad][0]:g} at logsnr {logsnr[bad][0]:g}: both must be finite"
        )

    def _rates(self) -> Tensor:
        """What each row of the averages is multiplied by at a batch, shape (..., 5, 1)."""
        decay = torch.from_numpy(self.decay)
        return torch.stack([decay, decay, decay, decay**2, torch.ones_like(decay)], -1)[..., None]

    def _age(self, sums: Tensor) -> None:
        """Let the averages grow older by the batches of ``Bins.sums``, and add these."""
        batches = sums.shape[1]
        rates = self._rates().to(sums.device)
        ages = torch.arange(batches - 1, -1, -1, device=sums.device)
        rows = sums[[DRAWS, LOSS, SQUARED_LOSS, DRAWS, DRAWS]]
        fresh = (rates**ages)[..., None, :] @ rows
        self._averages = rates**batches * self._averages.to(sums.device) + fresh[..., 0, :]

    # --- reading --------------------------------------------------------------------------------

    def curve(self, base: str = "eps") -> Curve:
        """Mean squared error by λ, its standard error, and the second moment.

        They are NaN in a bin without draws, or whose draws have decayed to 1e-100. There is no
        standard error from less than two effective draws.

        Args:
            base: Error that is meant: "eps", "x", "v" or "u", by the gain at a bin's middle.

        Returns:
            The curve.

        Raises:
            ValueError: The base is unknown, or what was collected is not finite; see ``flush``.

        Example:
            >>> tracker = dv.LossByLogSNR([-4.0, 0.0, 4.0])
            >>> tracker.update([-3.0, -1.0, 1.0, 3.0], [0.25, 0.75, 1.0, 1.0])
            >>> tracker.curve().mean
            array([0.5, 1. ])
            >>> tracker.curve(base="x").mean.round(3)
            array([3.695, 0.135])
        """
        self.flush()
        gain = base_gain(base, self.middle) ** 2
        inside = self._averages[..., 1:-1].cpu().numpy()
        inside = np.where(inside[..., :1, :] < FORGOTTEN, np.nan, inside)
        rows = np.moveaxis(inside, -2, 0)
        draws = rows[DRAWS]
        mean = rows[LOSS] / draws
        second = rows[SQUARED_LOSS] / draws
        effective = draws**2 / rows[DRAWS_BY_SQUARED_WEIGHT]
        spare = np.where(effective > 1.999, effective - 1, np.nan)
        stderr = np.sqrt(np.maximum(second - mean**2, 0) / spare)
        return Curve(gain * mean, gain * stderr, gain**2 * second)

    @property
    def mean(self) -> NDArray:
        """Mean eps squared error, shape (bins,) or (k, bins); see ``curve``."""
        return self.curve().mean

    @property
    def stderr(self) -> NDArray:
        """Standard error of ``mean``, like it."""
        return self.curve().stderr

    @property
    def count(self) -> NDArray:
        """Draws ever taken in, shape (bins + 2,), first those below the edges, last those above."""
        self.flush()
        rows = self._averages.reshape(-1, 5, len(self.bins) + 2)
        return rows[0, DRAWS_EVER].cpu().numpy().copy()

    def weighted(self, w: Any = constant) -> WeightedLoss:
        """The loss under a weighting, over the bins seen.

        w = 1 gives the diffusion term of the negative ELBO in nats. The prior term
        KL(q(z₁|x) ‖ N(0, I)), the reconstruction term and the λ not seen are missing.

        Args:
            w: An objective, or a callable of λ on the eps error.

        Returns:
            The loss, its standard error and the share of the range seen.

        Raises:
            ValueError: w is negative or not finite, or what was collected is not; see ``flush``.

        Example:
            >>> tracker = dv.LossByLogSNR([-4.0, 0.0, 4.0])
            >>> tracker.update([-3.0, -1.0, 1.0, 3.0], [0.25, 0.75, 1.0, 1.0])
            >>> float(tracker.weighted().loss)
            3.0
        """
        mass = evaluate(w, self.middle) * self.width
        curve = self.curve()
        seen = np.isfinite(curve.mean)
        loss = np.where(seen, mass * curve.mean, 0)
        error = np.where(seen & (mass > 0), mass * curve.stderr, 0)
        return WeightedLoss(
            loss=loss.sum(-1) / 2,
            stderr=np.sqrt((error**2).sum(-1)) / 2,
            seen=float(np.atleast_2d(seen)[0] @ self.width / self.width.sum()),
        )

    # --- saving and joining ---------------------------------------------------------------------

    def state_dict(self) -> dict[str, Tensor]:
        """All that ``load_state_dict`` needs, as tensors on the CPU.

        Example:
            >>> sorted(dv.LossByLogSNR([-4.0, 0.0, 4.0]).state_dict())
            ['averages', 'decay', 'edges']
        """
        self.flush()
        return {
            "edges": torch.tensor(self.edges),
            "decay": torch.tensor(self.decay),
            "averages": self._averages.cpu().clone(),
        }

    def load_state_dict(self, *states: Mapping[str, Tensor]) -> "LossByLogSNR":
        """Become the tracker of a state, or of all draws of several.

        Args:
            *states: What ``state_dict`` returned, of trackers with the same edges and decays.

        Returns:
            This tracker.

        Raises:
            ValueError: A state is of other edges or decays, or there is none.

        Example:
            >>> first = dv.LossByLogSNR([-4.0, 0.0, 4.0])
            >>> first.update([-1.0, 2.0], [0.5, 1.0])
            >>> dv.LossByLogSNR([-4.0, 0.0, 4.0]).load_state_dict(first.state_dict()).mean
            array([0.5, 1. ])
        """
        checks.require(states, "load_state_dict needs a state, as state_dict returns it")
        if not all(self._fits(state) for state in states):
            raise ValueError(
                "the state of a tracker with other edges or decays; "
                f"this one has {self._range()}, decay {self.decay}"
            )
        self._averages = torch.stack([state["averages"].cpu() for state in states]).sum(0)
        self._pairs = []
        return self

    def _fits(self, state: Mapping[str, Tensor]) -> bool:
        """Whether a state is of these edges and decays."""
        if not isinstance(state, Mapping) or not {"edges", "decay", "averages"} <= state.keys():
            return False
        edges, decay, averages = (state[name] for name in ("edges", "decay", "averages"))
        same_settings = np.array_equal(edges, self.edges) and np.array_equal(decay, self.decay)
        return same_settings and averages.shape == self._averages.shape

    def merge(self, other: "LossByLogSNR") -> "LossByLogSNR":
        """A new tracker of the draws of both, as if their latest batches were drawn side by side.

        Args:
            other: A tracker with the same edges and decays.

        Returns:
            The new tracker.

        Raises:
            TypeError: ``other`` is no tracker.
            ValueError: The edges or decays are others.

        Example:
            >>> first = dv.LossByLogSNR([-4.0, 0.0, 4.0])
            >>> second = dv.LossByLogSNR([-4.0, 0.0, 4.0])
            >>> first.update([-1.0], [0.5])
            >>> second.update([2.0], [1.0])
            >>> first.merge(second).mean
            array([0.5, 1. ])
        """
        checks.require(
            isinstance(other, LossByLogSNR), f"other must be a tracker, got {other!r}", TypeError
        )
        merged = LossByLogSNR(self.edges, self.decay, self.buffer)
        return merged.load_state_dict(self.state_dict(), other.state_dict())

    def all_reduce(self, group: Any = None) -> "LossByLogSNR":
        """A new tracker of the draws of all processes; to be called in each of them.

        Args:
            group: Process group of ``torch.distributed``; by default the one of all processes.

        Returns:
            The new tracker, the same in each process.

        Raises:
            ValueError: The edges or decays of a process are others.
        """
        states = [self.state_dict()] * distributed.get_world_size(group)
        distributed.all_gather_object(states, self.state_dict(), group)
        return LossByLogSNR(self.edges, self.decay, self.buffer).load_state_dict(*states)
