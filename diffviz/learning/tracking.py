"""Loss by noise level in anybody's training loop, and laws of λ that adapt to it.

A bin of λ keeps moving averages over batches of its number of draws, of their losses ‖eps_hat − eps‖², and of their squares. A
mean is the ratio of two: a draw counts decay^(age in batches), so it is biased by neither the start nor the law that draws λ.

    Y = w/(2p) ‖eps_hat − eps‖², λ ~ p:   E Y = ½ ∫ w E‖·‖² dλ for any p,   E Y² = ¼ ∫ w² E‖·‖⁴/p dλ, least at p ∝ w sqrt(E‖·‖⁴)

An adaptive law changes p, never w. What p ∝ w sqrt(E‖·‖⁴) makes quiet is the value of the loss, not its gradient.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, distributed

from diffviz.checks import increasing
from diffviz.theory.analysis import evaluate
from diffviz.theory.multipliers import constant
from diffviz.theory.targets import base_gain


class LossByLogSNR:
    """Moving average of the eps squared error in bins of λ; on the device of the losses, which is waited for once a buffer.

    Args:
        edges: increasing edges of the bins in nats, shape (bins + 1,); draws outside are only counted.
        decay: of the average per batch, in (0, 1). With several, shape (k,), curves are (k, bins); adaptive laws use the first.
        buffer: how many samples are collected and then binned together.
    """

    def __init__(self, edges: ArrayLike, decay: ArrayLike = 0.99, buffer: int = 2**15):
        self.edges, self.decay = increasing(edges, "edges"), np.array(decay, dtype=float)
        if (
            self.decay.ndim > 1
            or not self.decay.size
            or not ((self.decay > 0) & (self.decay < 1)).all()
        ):
            raise ValueError(
                f"a decay lies in (0, 1), one number or several in a row; got {decay!r}"
            )
        self.width, self.middle = np.diff(self.edges), (self.edges[1:] + self.edges[:-1]) / 2
        self._even, slack = np.ptp(self.width) < 1e-9 * self.width[0], 2e-7 * abs(self.edges).max()
        self._ends = (
            float(self.edges[0] - slack),
            float(self.edges[-1] + slack),
        )  # an end in float32 is not outside
        d = torch.from_numpy(
            self.decay
        )  # rows: draws, loss, loss², draws by squared weight, draws ever
        self._rates = torch.stack([d, d, d, d**2, torch.ones_like(d)], -1)[..., None]
        self._averages = torch.zeros(
            *d.shape, 5, len(self.width) + 2, dtype=torch.float64
        )  # with a bin beyond each end
        self._pairs, self._buffer = list[Tensor](), buffer

    def update(self, logsnr: Tensor | ArrayLike, loss: Tensor | ArrayLike) -> None:
        """Take in a batch: λ and eps squared error (summed over dimensions) of each sample, tensors or arrays of one shape."""
        logsnr, loss = (
            o if isinstance(o, Tensor) else torch.tensor(np.asarray(o)) for o in (logsnr, loss)
        )
        if logsnr.shape != loss.shape or not loss.ndim:
            raise ValueError(
                f"one λ for each loss: logsnr is {tuple(logsnr.shape)}, loss {tuple(loss.shape)}"
            )
        pair = torch.stack((logsnr, loss)).detach()  # a copy: the loop may write over its own
        if self._pairs and (
            len(self._pairs) * loss.numel() >= self._buffer or self._pairs[0].shape != pair.shape
        ):
            self.flush()
        self._pairs.append(pair)

    def flush(self) -> None:
        """Bin the collected batches, as readers do. A loss or λ that is not finite: ValueError, and the batches are lost."""
        if not self._pairs:
            return
        (logsnr, loss), self._pairs = (
            torch.stack(self._pairs, 1).flatten(2),
            [],
        )  # each (batches, n)
        device, calls, bins, (low, high) = loss.device, len(loss), len(self.width), self._ends
        if self._even:  # no search, it would cost more than all the rest
            cell = (
                (logsnr - low)
                .mul_(bins / (high - low))
                .add_(1)
                .clamp_(0, bins + 1)
                .nan_to_num_(0)
                .long()
            )
        else:
            cell = torch.bucketize(
                logsnr, torch.from_numpy(np.r_[low, self.edges[1:-1], high]).to(logsnr), right=True
            )
        place = (cell + (bins + 2) * torch.arange(calls, device=device)[:, None]).flatten()
        power = torch.add(
            loss.double(), logsnr.clamp(low, high), alpha=0
        ).flatten()  # NaN in λ spreads to the sums
        sums = torch.zeros(3, calls * (bins + 2), dtype=torch.float64, device=device)
        for row, values in zip(sums, (torch.ones_like(power), power, power**2), strict=True):
            row.scatter_add_(0, place, values)
        if not np.isfinite(float(sums[2].sum())):
            bad = ~(power**2).isfinite()
            raise ValueError(
                f"loss {loss.flatten()[bad][0]:g} at logsnr {logsnr.flatten()[bad][0]:g}: both must be finite"
            )
        rates, ages = self._rates.to(device), torch.arange(calls - 1, -1, -1, device=device)
        fresh = (rates**ages)[..., None, :] @ sums[[0, 1, 2, 0, 0]].unflatten(1, (calls, -1))
        self._averages = rates**calls * self._averages.to(device) + fresh[..., 0, :]

    def curve(self, base: str = "eps") -> tuple[NDArray, NDArray, NDArray]:
        """Mean squared error of ``base`` (eps, x, v, u; by the gain at a bin's middle), its standard error, the second moment.

        NaN in a bin without draws, or whose draws have decayed to 1e-100; no standard error from less than two effective draws.
        """
        self.flush()
        rows, gain = self._averages[..., 1:-1].cpu().numpy(), base_gain(base, self.middle) ** 2
        draws, loss, squared, spread, _ = np.moveaxis(
            np.where(rows[..., :1, :] < 1e-100, np.nan, rows), -2, 0
        )
        mean, second, effective = loss / draws, squared / draws, draws**2 / spread
        spare = np.where(effective > 1.999, effective - 1, np.nan)
        return (
            gain * mean,
            gain * np.sqrt(np.maximum(second - mean**2, 0) / spare),
            gain**2 * second,
        )

    mean = property(
        lambda self: self.curve()[0],
        doc="Mean eps squared error, shape (bins,) or (k, bins); see ``curve``.",
    )
    stderr = property(lambda self: self.curve()[1], doc="Its standard error, like ``mean``.")

    @property
    def count(self) -> NDArray:
        """Draws ever taken in, shape (bins + 2,): first those below the edges, last those above."""
        self.flush()
        return self._averages.reshape(-1, 5, len(self.width) + 2)[0, 4].cpu().numpy().copy()

    def weighted(self, w=constant) -> tuple[NDArray, NDArray, float]:
        """½ ∫ w E‖eps_hat − eps‖² dλ over the bins seen, its standard error (NaN if a bin has none), share of the range seen.

        w is an objective or a callable of λ on the eps error. w = 1 gives the diffusion term of the negative ELBO in nats;
        the prior term KL(q(z₁|x) ‖ N(0, I)), the reconstruction term and the λ not seen are missing.
        """
        mass, (mean, stderr, _) = evaluate(w, self.middle) * self.width, self.curve()
        seen = np.isfinite(mean)
        loss, error = np.where(seen, mass * mean, 0), np.where(seen & (mass > 0), mass * stderr, 0)
        return (
            loss.sum(-1) / 2,
            np.sqrt((error**2).sum(-1)) / 2,
            float(np.atleast_2d(seen)[0] @ self.width / self.width.sum()),
        )

    def state_dict(self) -> dict[str, Tensor]:
        """All that ``load_state_dict`` needs, as tensors on the CPU."""
        self.flush()
        return {
            "edges": torch.tensor(self.edges),
            "decay": torch.tensor(self.decay),
            "averages": self._averages.cpu().clone(),
        }

    def load_state_dict(self, *states: Mapping[str, Tensor]) -> "LossByLogSNR":
        """Become the tracker of a state, or of all draws of several. Raises ValueError for one of other edges or decays."""
        if not all(
            np.array_equal(state[name], getattr(self, name))
            for state in states
            for name in ("edges", "decay")
        ):
            bins = f"{len(self.width)} bins on [{self.edges[0]:g}, {self.edges[-1]:g}]"
            raise ValueError(
                f"the state of a tracker with other edges or decays; this one has {bins}, decay {self.decay}"
            )
        self._averages, self._pairs = (
            torch.stack([state["averages"] for state in states]).sum(0),
            [],
        )
        return self

    def merge(self, other: "LossByLogSNR") -> "LossByLogSNR":
        """A new tracker of the draws of both, latest batches side by side. Raises ValueError for other edges or decays."""
        return LossByLogSNR(self.edges, self.decay).load_state_dict(
            self.state_dict(), other.state_dict()
        )

    def all_reduce(self, group=None) -> "LossByLogSNR":
        """A new tracker of the draws of all processes of ``group``, the same in each; to be called in each."""
        states = [self.state_dict()] * distributed.get_world_size(group)
        distributed.all_gather_object(states, self.state_dict(), group)
        return LossByLogSNR(self.edges, self.decay).load_state_dict(*states)
