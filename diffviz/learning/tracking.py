"""Loss by log-SNR in anybody's training loop.

A bin of λ keeps moving averages over batches of its number of draws, of their losses
‖eps_hat − eps‖², and of the squares of these. A mean is the ratio of two averages. A draw counts
decay^(age in batches), so that neither the start nor the law that draws λ biases the mean.

What is not finite, as under fp16, enters no average. It is counted where it was met.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, distributed, nn
from torch.utils.hooks import RemovableHandle

from diffviz import checks
from diffviz.compute import threads
from diffviz.learning.doors import real_tensor
from diffviz.theory.analysis import evaluate
from diffviz.theory.multipliers import constant
from diffviz.theory.targets import base_gain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from diffviz.learning.floors.record import Floor

# rows of the averages
DRAWS, LOSS, SQUARED_LOSS, DRAWS_BY_SQUARED_WEIGHT, DRAWS_EVER = range(5)
FORGOTTEN = 1e-100  # average number of draws below which a bin counts as empty
LARGE = 2**20  # samples of a batch beyond which it is binned piece by piece
EDGE = 4  # roundings of the largest number, by which λ on an edge is in the bin above


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
        """Both ends in nats, a little further out, so that an end in float32 is inside.

        Its place among the bins is rounded three times, by 6e-8 of the largest number each.
        """
        slack = 1e-6 * abs(self.edges).max()
        return float(self.edges[0] - slack), float(self.edges[-1] + slack)

    @cached_property
    def even(self) -> bool:
        """Whether all bins are of one width."""
        return bool(np.ptp(self.width) < 1e-9 * self.width[0])

    def find(self, logsnr: Tensor) -> Tensor:
        """Number of the bin of each λ: 0 below the edges, bins + 1 above, bins + 2 for NaN."""
        low, high = self.ends
        nowhere = len(self) + 2
        if logsnr.dtype.itemsize < 4:  # half a width of a bin is lost in 8 or 11 bits
            logsnr = logsnr.float()
        if self.even:  # no search, which would cost more than all the rest
            first, last = self.edges[[0, -1]].tolist()
            bins_a_nat = len(self) / (last - first)
            rounding = torch.finfo(logsnr.dtype).eps * max(-first, last, last - first)
            place = (logsnr - first).mul_(bins_a_nat).add_(1 + EDGE * rounding * bins_a_nat)
            outside = (logsnr > high).to(place.dtype).sub_((logsnr < low).to(place.dtype))
            place.clamp_(1, len(self) + 0.5).add_(outside)  # the last bin has both its ends
            return place.nan_to_num_(nowhere).long()
        edges = torch.from_numpy(np.r_[low, self.edges[1:-1], high, np.inf])
        # NaN is sorted behind infinity, and the clamp keeps an infinite λ before it
        largest = torch.finfo(logsnr.dtype).max
        return torch.bucketize(logsnr.clamp(max=largest), edges.to(logsnr), right=True)

    def sums(self, logsnr: Tensor, loss: Tensor) -> Tensor:
        """Number of draws, losses and squared losses in each bin, batch by batch.

        Args:
            logsnr: λ in nats, shape (batches, n).
            loss: Losses, shape (batches, n).

        Returns:
            Sums, shape (3, batches, bins + 3); the last are those where λ is NaN.
        """
        place = self.find(logsnr)
        value = loss.double()
        cells = len(self) + 3
        sums = torch.zeros(3, len(loss), cells, dtype=torch.float64, device=loss.device)
        for row, values in zip(sums, (torch.ones_like(value), value, value**2), strict=True):
            row.scatter_add_(1, place, values)
        return sums


@dataclass(frozen=True, eq=False)
class Ages:
    """How strongly some batches count together, and what went before them.

    Args:
        share: decay^(age in batches), shape (..., batches).
        share_of_squares: Its square, like it.
        kept: What the rows of the averages are multiplied by, shape (..., 5, 1).
    """

    share: Tensor
    share_of_squares: Tensor
    kept: Tensor

    @classmethod
    def of(cls, decay: NDArray, batches: int) -> "Ages":
        """The ages under decays of shape (...)."""
        share = decay[..., None] ** np.arange(batches - 1, -1, -1)
        first = decay**batches
        kept = np.stack([first, first, first, first**2, np.ones_like(first)], -1)[..., None]
        return cls(*(torch.from_numpy(part) for part in (share, share**2, kept)))

    @property
    def batches(self) -> int:
        """Number of batches."""
        return self.share.shape[-1]

    def to(self, device: torch.device) -> "Ages":
        """The same on a device."""
        if self.share.device == device:
            return self
        return Ages(self.share.to(device), self.share_of_squares.to(device), self.kept.to(device))


STATE = {"edges", "decay", "averages", "not_finite"}


def _size(value: Tensor | ArrayLike) -> int:
    """Number of elements of a tensor or array; 0 for what is neither, which is small."""
    if isinstance(value, Tensor):
        return value.numel()
    return value.size if isinstance(value, np.ndarray) else 0


def _check_shapes(logsnr: tuple[int, ...], loss: tuple[int, ...]) -> None:
    """Refuse levels and losses that do not belong together."""
    if logsnr == loss == ():
        raise ValueError("one λ for each loss of a batch, got a single number; give it as [λ]")
    if logsnr != loss or not loss:
        raise ValueError(f"one λ for each loss: logsnr is {tuple(logsnr)}, loss {tuple(loss)}")


def _pair(batch: Any) -> tuple[Any, Any]:
    """λ and loss of a batch: a pair, or a mapping with keys ``logsnr`` and ``loss``."""
    if isinstance(batch, Mapping) and {"logsnr", "loss"} <= batch.keys():
        return batch["logsnr"], batch["loss"]
    if isinstance(batch, tuple | list) and len(batch) == 2:
        return batch[0], batch[1]
    raise TypeError(
        f"a batch must be a pair (logsnr, loss) or have these keys, got {type(batch).__name__}"
    )


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
        self._not_finite = torch.zeros(len(self.bins) + 3, dtype=torch.float64, device="cpu")
        self._pairs: list[Tensor] = []
        self._ages = Ages.of(self.decay, 1)

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

        A loss that is not finite and a λ that is NaN enter no average. They are counted in
        ``not_finite``, and the first of them is named in a warning, when a buffer is binned.

        Args:
            logsnr: λ of each sample in nats, any shape but (). An array may be memory-mapped:
                beyond 2²⁰ samples a batch is read and binned piece by piece.
            loss: Its eps squared error, summed over dimensions, same shape. λ may lie on another
                device, and is taken to that of the loss.

        Raises:
            TypeError: An argument is masked, complex or no numbers.
            ValueError: The shapes differ.

        Example:
            >>> tracker = dv.LossByLogSNR([-4.0, 0.0, 4.0])
            >>> tracker.update([-9.0, -1.0, 2.0, 3.0], [0.1, 0.5, 1.0, 2.0])
            >>> tracker.count
            array([1., 1., 2., 0.])
        """
        if _size(loss) > LARGE:
            self._update_in_pieces(logsnr, loss)
            return
        logsnr = real_tensor(logsnr, "logsnr")
        loss = real_tensor(loss, "loss").detach()
        _check_shapes(logsnr.shape, loss.shape)
        levels = logsnr.to(loss.device)
        pair = torch.stack((levels, loss))  # a copy: the loop may write over its own
        if pair.requires_grad:  # of a λ that is learned
            pair = pair.detach()
        if self._pairs and self._must_flush(pair):
            self.flush()
        self._pairs.append(pair)

    def _must_flush(self, pair: Tensor) -> bool:
        """Whether the buffer is full, or its batches are of another shape or on another device."""
        full = len(self._pairs) * pair.numel() >= 2 * self.buffer
        first = self._pairs[0]
        return full or first.shape != pair.shape or first.device != pair.device

    def _update_in_pieces(self, logsnr: Tensor | ArrayLike, loss: Tensor | ArrayLike) -> None:
        """Take in a batch of which no copy is made as a whole."""
        levels = logsnr if isinstance(logsnr, Tensor) else checks.real_numbers(logsnr, "logsnr")
        losses = loss if isinstance(loss, Tensor) else checks.real_numbers(loss, "loss")
        _check_shapes(tuple(levels.shape), tuple(losses.shape))
        self.flush()
        rows = max(1, LARGE * len(losses) // _size(losses))
        sums = torch.zeros(3, 1, len(self.bins) + 2, dtype=torch.float64, device="cpu")
        spoilt = []
        for start in range(0, len(losses), rows):
            part = slice(start, start + rows)
            level = real_tensor(levels[part], "logsnr").detach().reshape(1, -1)
            error = real_tensor(losses[part], "loss").detach().reshape(1, -1)
            more, bad = self._finite_sums(level.to(error.device), error)
            sums = sums.to(more.device).add_(more)
            if bad.numel():  # small tensors kept between large ones would split the heap
                spoilt.append(bad)
        self._age(sums)
        if spoilt:
            self._count_not_finite(torch.cat(spoilt, 1))

    def update_many(self, batches: Iterable[Any]) -> None:
        """Take in batches one after another, such as those of a finished run.

        Args:
            batches: Pairs (logsnr, loss), or mappings with these keys: a torch ``DataLoader``, a
                list, ``zip`` of two memory-mapped arrays (steps, n). A generator is used up.

        Raises:
            TypeError: ``batches`` is no iterable, or one of them is no such pair.
            ValueError: The shapes of a pair differ.

        Example:
            >>> tracker = dv.LossByLogSNR([-4.0, 0.0, 4.0], decay=0.9)
            >>> logsnr = np.array([[-3.0, 2.0], [-1.0, 3.0]])  # two steps
            >>> tracker.update_many(zip(logsnr, np.ones((2, 2))))
            >>> tracker.count
            array([0., 2., 2., 0.])
        """
        try:
            pairs = iter(batches)
        except TypeError:  # nothing to go through, such as an array without dimensions
            raise TypeError(
                f"batches must be an iterable of pairs (logsnr, loss), got {checks.brief(batches)}"
            ) from None
        for batch in pairs:
            self.update(*_pair(batch))

    def watch(
        self,
        network: nn.Module,
        read: Callable[[tuple[Any, ...], Any], tuple[Tensor | ArrayLike, Tensor | ArrayLike]],
    ) -> RemovableHandle:
        """Follow a training loop that does not return its prediction, by a hook on the network.

        After each call of the network that will be differentiated, ``read`` gets its arguments,
        those by keyword behind the others, and its output. What it returns is taken in. Calls under
        ``torch.no_grad`` or in evaluation, such as those of a sampler, are left alone.

        Args:
            network: The network of the loop.
            read: A function of (arguments, output) that returns (logsnr, loss) as ``update`` takes
                them. It runs without gradients.

        Returns:
            torch's handle: ``remove()`` ends it, and so does the end of a ``with`` block.

        Raises:
            TypeError: ``network`` is no module or ``read`` is no function.

        Example:
            >>> network = torch.nn.Linear(2, 2)
            >>> eps = torch.ones(3, 2)
            >>> def read(arguments, eps_hat):
            ...     return torch.zeros(3), (eps_hat - eps).square().sum(1)
            >>> tracker = dv.LossByLogSNR([-4.0, -1.0, 4.0])
            >>> with tracker.watch(network, read):
            ...     loss = (network(eps) - eps).square().mean()
            >>> tracker.count
            array([0., 0., 3., 0.])
        """
        checks.require(
            isinstance(network, nn.Module),
            f"network must be a torch.nn.Module, got {network!r}",
            TypeError,
        )
        checks.require(
            callable(read),
            f"read must be a function of (arguments, output), got {read!r}",
            TypeError,
        )

        def hook(
            module: nn.Module, positional: tuple[Any, ...], named: dict[str, Any], output: Any
        ) -> None:
            if not (module.training and torch.is_grad_enabled()):
                return
            with torch.no_grad():
                self.update(*_pair(read((*positional, *named.values()), output)))

        return network.register_forward_hook(hook, with_kwargs=True)

    def flush(self) -> None:
        """Bin the collected batches; everything that reads the tracker does this first.

        Warns:
            RuntimeWarning: For the first time a loss is not finite or a λ is NaN.

        Example:
            >>> tracker = dv.LossByLogSNR([-4.0, 0.0, 4.0])
            >>> tracker.update([-1.0, 2.0], [0.5, 1.0])
            >>> tracker.flush()
            >>> tracker
            LossByLogSNR(2 bins on [-4, 4], decay 0.99)
        """
        if not self._pairs:
            return
        logsnr, loss = torch.stack(self._pairs, 1).flatten(2)  # (batches, n) each
        self._pairs = []
        with threads.suited(threads.elements(loss), loss.device):
            self._take(logsnr, loss)

    def _take(self, logsnr: Tensor, loss: Tensor) -> None:
        """Bin batches, shape (batches, n) both."""
        sums, spoilt = self._finite_sums(logsnr, loss)
        self._age(sums)
        self._count_not_finite(spoilt)

    def _finite_sums(self, logsnr: Tensor, loss: Tensor) -> tuple[Tensor, Tensor]:
        """Sums over all that is finite, and what is not.

        Args:
            logsnr: λ in nats, shape (batches, n).
            loss: Losses, shape (batches, n).

        Returns:
            Sums as those of ``Bins.sums``, shape (3, batches, bins + 2); then λ and loss of the
            samples that are left out, shape (2, m).
        """
        sums = self.bins.sums(logsnr, loss)
        placed = sums[DRAWS, :, -1].sum() == 0
        # a division by False makes what is not finite, so that the device is asked but once
        if np.isfinite(float(sums[SQUARED_LOSS].sum() / placed)):
            return sums[..., :-1], logsnr.new_empty(2, 0)
        bad = ~(loss.double() ** 2).isfinite() | logsnr.isnan()
        # without a level it comes last, where the sums are cut
        kept = self.bins.sums(logsnr.masked_fill(bad, np.nan), loss.masked_fill(bad, 0))
        return kept[..., :-1], torch.stack((logsnr[bad], loss[bad]))

    def _count_not_finite(self, spoilt: Tensor) -> None:
        """Count samples that entered no average, λ and loss (2, m), and warn of the very first."""
        if not spoilt.numel():
            return
        logsnr, loss = spoilt
        first = not self._not_finite.any()
        counts = torch.bincount(self.bins.find(logsnr), minlength=len(self._not_finite))
        self._not_finite = self._not_finite + counts.cpu()
        if first:
            warnings.warn(
                f"loss {loss[0]:g} at logsnr {logsnr[0]:g}: what is not finite enters no average; "
                "not_finite of the tracker counts it by level",
                RuntimeWarning,
                stacklevel=3,
            )

    def _age(self, sums: Tensor) -> None:
        """Let the averages grow older by the batches of ``_finite_sums``, and add these."""
        ages = self._ages_of(sums.shape[1]).to(sums.device)
        draws = sums[DRAWS]
        fresh = [ages.share @ row for row in sums]
        fresh += [ages.share_of_squares @ draws, draws.sum(0).expand_as(fresh[DRAWS])]
        self._averages = ages.kept * self._averages.to(sums.device) + torch.stack(fresh, -2)

    def _ages_of(self, batches: int) -> Ages:
        """The ages of a number of batches, which in most loops is that of last time."""
        if batches != self._ages.batches:
            self._ages = Ages.of(self.decay, batches)
        return self._ages

    # --- reading --------------------------------------------------------------------------------

    def curve(self, base: str = "eps") -> Curve:
        """Mean squared error by λ, its standard error, and the second moment.

        They are NaN in a bin without draws, or whose draws have decayed to 1e-100. There is no
        standard error from less than two effective draws. It is that of independent draws: those of
        ``dv.fit`` are spread evenly, which leaves less noise than it says.

        Args:
            base: Error that is meant: "eps", "x", "v" or "u", by the gain at a bin's middle.

        Returns:
            The curve.

        Raises:
            ValueError: The base is unknown.

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

    @property
    def not_finite(self) -> NDArray:
        """Draws that entered no average since their loss or λ was not finite, shape (bins + 3,).

        First those below the edges, then those of each bin, those above, and those without a λ.
        """
        self.flush()
        return self._not_finite.numpy().copy()

    def weighted(self, w: Any = constant) -> WeightedLoss:
        """The loss under a weighting, over the bins seen.

        w = 1 gives the diffusion term of the negative ELBO in nats. The prior term
        KL(q(z₁|x) ‖ N(0, I)), the reconstruction term and the λ not seen are missing.

        Args:
            w: An objective, or a callable of λ on the eps error.

        Returns:
            The loss, its standard error and the share of the range seen.

        Raises:
            ValueError: w is negative or not finite.

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

    def plot(
        self, floor: "Floor | None" = None, base: str = "eps", ax: "Axes | None" = None
    ) -> "Axes":
        """The loss by log-SNR with one standard error, over what is known of the least loss.

        Args:
            floor: What ``dv.floor`` says about the data, drawn as a band with two errors.
            base: Error that is drawn: "eps", "x", "v" or "u"; see ``curve``.
            ax: Axes to draw on; by default those of a new figure.

        Returns:
            The axes. A line has the ``gid`` "loss", or "decay 0.9" where there are several decays,
            the band "floor".

        Raises:
            TypeError: ``floor`` is none.
            ValueError: The base is unknown.

        Example:
            >>> tracker = dv.LossByLogSNR([-4.0, 0.0, 4.0])
            >>> tracker.update([-3.0, -1.0, 2.0, 3.0], [0.25, 0.75, 1.0, 1.2])
            >>> x = dv.toy("gaussian").sample(500, torch.Generator().manual_seed(0))
            >>> ax = tracker.plot(floor=dv.floor(x, [-4.0, 0.0, 4.0]))
            >>> [shade.get_gid() for shade in ax.collections]
            ['loss:stderr', 'floor']
        """
        from diffviz import plots
        from diffviz.learning.floors.record import Floor

        checks.require(
            floor is None or isinstance(floor, Floor),
            f"floor must be what dv.floor returns, got {floor!r}",
            TypeError,
        )
        curve = self.curve(base)
        several = [f"decay {decay:g}" for decay in np.atleast_1d(self.decay)]
        names = several if self.decay.ndim else ["loss"]
        return plots.loss_curves(
            self.middle,
            dict(zip(names, np.atleast_2d(curve.mean), strict=True)),
            errors=dict(zip(names, np.atleast_2d(curve.stderr), strict=True)),
            band=None if floor is None else (floor.logsnr, *floor.band(base)),
            base=base,
            title="loss by log-SNR",
            ax=ax,
        )

    # --- saving and joining ---------------------------------------------------------------------

    def state_dict(self) -> dict[str, Tensor]:
        """All that ``load_state_dict`` needs, as tensors on the CPU.

        Example:
            >>> sorted(dv.LossByLogSNR([-4.0, 0.0, 4.0]).state_dict())
            ['averages', 'decay', 'edges', 'not_finite']
        """
        self.flush()
        return {
            "edges": torch.tensor(self.edges),
            "decay": torch.tensor(self.decay),
            "averages": self._averages.cpu().clone(),
            "not_finite": self._not_finite.clone(),
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
        self._not_finite = torch.stack([state["not_finite"].cpu() for state in states]).sum(0)
        self._pairs = []
        return self

    def _fits(self, state: Mapping[str, Tensor]) -> bool:
        """Whether a state is of these edges and decays."""
        if not isinstance(state, Mapping) or not state.keys() >= STATE:
            return False
        if not all(isinstance(state[name], Tensor) for name in STATE):
            return False
        return (
            np.array_equal(state["edges"].cpu(), self.edges)
            and np.array_equal(state["decay"].cpu(), self.decay)
            and state["averages"].shape == self._averages.shape
            and state["not_finite"].shape == self._not_finite.shape
        )

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
