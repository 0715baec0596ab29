"""The probe of masked losses: what a training loss on tokens weights, measured from outside.

The loss runs with a stand-in for its network. From its draws and gradients follow

- the masking rate of each token, by bisection of the number that decides about its mask, or as the
  number of masked tokens where that is fixed;
- the weight of each cross-entropy, by ``readings``;
- what the weights are divided by, from runs with the same rates and other masks, and with
  sequences of half the length;
- the law of rates, by its quantiles.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from diffviz.checks import (
    MOST,
    brief,
    count,
    dense_tensor,
    increasing,
    number,
    one_of,
    positive,
    real_numbers,
    require,
)
from diffviz.compute import threads
from diffviz.masked import rate_laws, schedules
from diffviz.masked.objectives import BASES, base_factor, binomial_probabilities
from diffviz.masked.session import Session
from diffviz.probing.binning import Levels, bin_averages

FEWEST_BATCHES = 16  # over which a draw of a single number is even
USUAL_VOCABULARY = 1024  # by which work is estimated where it is not known
NEAR_ELBO = 0.03  # share of the weight that may be elsewhere
AVERAGE_WORDS = {
    "sum": "summed over masked tokens",
    "length": "summed over masked tokens and divided by the length",
    "masked": "the mean over the masked tokens of each sequence",
    "batch": "the mean over the masked tokens of the batch",
}


@dataclass(frozen=True, eq=False)
class MaskedMeasured:
    """What a masked loss weights, from ``dv.probe_masked``.

    Args:
        logsnr: Log-SNR of each draw in nats, increasing, shape (n,).
        multiplier: Factor on the cross-entropy before it is averaged, shape (n,).
        average: What the sum over masked tokens is divided by, as in ``MaskedObjective``.
        masks: "independent", or "counted" where the number of masked tokens is fixed.
        length: Number of tokens of a sequence that may be masked.
        rate_law: The law of masking rates in words.
        smoothing: How much labels are smoothed.
        notes: Further sentences.

    Example:
        >>> def loss(model, x):
        ...     mask = torch.rand(x.shape) < torch.rand(len(x), 1)
        ...     logits = model(x.masked_fill(mask, 10))
        ...     each = torch.nn.functional.cross_entropy(logits.mT, x, reduction="none")
        ...     return ((each * mask).sum(1) / mask.sum(1).clamp(min=1)).mean()
        >>> x = torch.arange(128).reshape(8, 16) % 10
        >>> measured = dv.probe_masked(loss, x, draws=256)
        >>> measured.average, measured.masks, measured.is_elbo
        ('masked', 'independent', True)
    """

    logsnr: NDArray
    multiplier: NDArray
    average: str
    masks: str
    length: int
    rate_law: str
    smoothing: float = 0.0
    notes: tuple[str, ...] = ()

    def edges(self, bins: int = 24, mass: float = 0.98) -> NDArray:
        """Edges of bins over the middle of the draws.

        Args:
            bins: Number of bins.
            mass: Share of the draws that they hold, in (0, 1].

        Returns:
            Edges in nats, shape (bins + 1,).

        Raises:
            ValueError: All draws have one log-SNR.

        Example:
            >>> def loss(model, x):
            ...     mask = torch.rand(x.shape) < torch.rand(len(x), 1)
            ...     logits = model(x.masked_fill(mask, 10))
            ...     each = torch.nn.functional.cross_entropy(logits.mT, x, reduction="none")
            ...     return (each * mask).mean()
            >>> x = torch.arange(128).reshape(8, 16) % 10
            >>> measured = dv.probe_masked(loss, x, draws=256)
            >>> measured.edges(bins=4).shape
            (5,)
        """
        tail = (1 - positive(number(mass, "mass", 0.0, 1.0), "mass")) / 2
        low, high = np.quantile(self.logsnr, [tail, 1 - tail])
        require(
            high > low,
            f"a mass of {mass} of the draws has the one log-SNR {low:g}; there is no curve "
            "through one",
        )
        return np.linspace(low, high, count(bins, "bins") + 1)

    def density(self, edges: ArrayLike) -> NDArray:
        """Density of log-SNR, averaged over bins.

        Args:
            edges: Increasing edges in nats, shape (bins + 1,).

        Returns:
            The density, shape (bins,).

        Example:
            >>> def loss(model, x):
            ...     mask = torch.rand(x.shape) < torch.rand(len(x), 1)
            ...     logits = model(x.masked_fill(mask, 10))
            ...     each = torch.nn.functional.cross_entropy(logits.mT, x, reduction="none")
            ...     return (each * mask).mean()
            >>> x = torch.arange(128).reshape(8, 16) % 10
            >>> measured = dv.probe_masked(loss, x, draws=256)
            >>> measured.density([-1.0, 0.0, 1.0]).round(2)
            array([0.23, 0.23])
        """
        return self._averages(increasing(edges, "edges"), np.ones_like(self.logsnr))

    def weighting(self, edges: ArrayLike, base: str = "sum") -> NDArray:
        """Weighting of the cross-entropy, averaged over bins.

        Args:
            edges: Increasing edges in nats, shape (bins + 1,).
            base: "sum", "token" or "elbo", as in ``MaskedObjective.weighting``.

        Returns:
            The weighting, shape (bins,). Under the average "masked" it is that of long sequences.

        Raises:
            ValueError: The base is unknown, or the edges do not increase.

        Example:
            >>> def loss(model, x):
            ...     mask = torch.rand(x.shape) < torch.rand(len(x), 1)
            ...     logits = model(x.masked_fill(mask, 10))
            ...     each = torch.nn.functional.cross_entropy(logits.mT, x, reduction="none")
            ...     return (each * mask).mean()
            >>> x = torch.arange(128).reshape(8, 16) % 10
            >>> measured = dv.probe_masked(loss, x, draws=256)
            >>> measured.weighting([-1.0, 0.0, 1.0], base="elbo").round(1)
            array([0.6, 0.4])
        """
        factor = self.multiplier * base_factor(one_of(base, "base", BASES), self.logsnr)
        if self.average == "masked":
            factor = factor / schedules.rates_at(self.logsnr)[0]
        return self._averages(increasing(edges, "edges"), factor)

    def _averages(self, edges: NDArray, factor: NDArray) -> NDArray:
        """Averages of factor · density over bins."""
        is_counted = self.masks == "counted"
        level, place = np.unique(self.logsnr, return_inverse=True)
        if not is_counted and len(level) > len(self.logsnr) / 2:
            mass = np.full(len(self.logsnr), 1 / len(self.logsnr))
            levels = Levels(self.logsnr, mass, factor)
            return bin_averages(levels, edges, weighted=True, discrete=False) / 2
        number = np.bincount(place)
        mean = np.bincount(place, factor) / number
        levels = Levels(level, number / len(self.logsnr), mean)
        return bin_averages(levels, edges, weighted=True, discrete=True) / 2

    def count_weights(self) -> NDArray:
        """Weight of each number of masked tokens, as ``MaskedObjective.count_weights`` has it.

        Returns:
            Weights of k = 1 to L masked tokens up to a constant, shape (L,).

        Example:
            >>> def loss(model, x):
            ...     mask = torch.rand(x.shape) < torch.rand(len(x), 1)
            ...     logits = model(x.masked_fill(mask, 10))
            ...     each = torch.nn.functional.cross_entropy(logits.mT, x, reduction="none")
            ...     return (each * mask).mean()
            >>> x = torch.arange(128).reshape(8, 16) % 10
            >>> measured = dv.probe_masked(loss, x, draws=256)
            >>> measured.count_weights().shape
            (16,)
        """
        masked = np.arange(1, self.length + 1)
        if self.masks == "counted":
            rate, _ = schedules.rates_at(self.logsnr)
            hidden = np.maximum(np.round(rate * self.length + 1e-6), 1)
            chance = (hidden == masked[:, None]).astype(float)
        else:
            chance = binomial_probabilities(masked, self.length, self.logsnr)
        weights = chance @ self.multiplier / len(self.logsnr)
        return weights / masked if self.average == "masked" else weights

    @property
    def is_elbo(self) -> bool:
        """Whether the weighting is that of the ELBO up to a constant."""
        elbo = 1 / np.arange(1, self.length + 1)
        if np.ptp(self.logsnr) == 0:
            return False
        return weight_elsewhere(self.count_weights(), elbo) < NEAR_ELBO

    def summary(self) -> str:
        """What was measured, in lines.

        Returns:
            The text.

        Example:
            >>> def loss(model, x):
            ...     mask = torch.rand(x.shape) < torch.rand(len(x), 1)
            ...     logits = model(x.masked_fill(mask, 10))
            ...     each = torch.nn.functional.cross_entropy(logits.mT, x, reduction="none")
            ...     return (each * mask).mean()
            >>> x = torch.arange(128).reshape(8, 16) % 10
            >>> measured = dv.probe_masked(loss, x, draws=256)
            >>> measured.summary().splitlines()[1]
            'uniform masking rate; masks independent'
        """
        what = "It is the ELBO up to a constant" if self.is_elbo else "It is not the ELBO"
        lines = [
            f"cross-entropy of masked tokens, {AVERAGE_WORDS[self.average]}",
            f"{self.rate_law}; masks {self.masks}",
            f"{what}: w(λ)/sigmoid(λ) {'is constant' if self.is_elbo else 'changes with λ'}",
        ]
        if self.smoothing:
            lines.append(f"labels are smoothed by {self.smoothing:.3g}")
        return "\n".join([*lines, *self.notes])

    def __str__(self) -> str:
        return self.summary()


def probe_masked(
    loss: Callable[..., Any],
    x: Any,
    *,
    vocabulary: int | None = None,
    draws: int = 1024,
) -> MaskedMeasured:
    """Measure what a training loss of masked diffusion weights.

    The loss runs with a stand-in for its network, which answers with logits. The answer has itself
    as ``.logits`` too. Nothing of the catalogue enters.

    Args:
        loss: ``loss(model, x)``, which masks x, calls ``model`` once on the masked tokens and
            returns one number. It draws by torch.
        x: Tokens as the loss takes them, whole numbers of shape (n, L), n and L at least 2. They
            are taken to the CPU.
        vocabulary: Number of logits of the network. By default it is one more than the largest
            token of x or of the masked tokens.
        draws: Number of rates, at least 64.

    Returns:
        The measurement.

    Raises:
        TypeError: The loss is not callable, or x holds no whole numbers.
        ValueError: The loss is no weighted cross-entropy of masked tokens, or its weights do not
            follow from the masking rate; the message says what it is instead. Or tokens are
            negative, or need more logits than the memory should hold.

    Example:
        >>> def loss(model, x):
        ...     t = torch.rand(len(x), 1)
        ...     mask = torch.rand(x.shape) < t
        ...     logits = model(x.masked_fill(mask, 10))
        ...     each = torch.nn.functional.cross_entropy(logits.mT, x, reduction="none")
        ...     return (each * mask / t).sum() / x.numel()
        >>> print(dv.probe_masked(loss, torch.arange(128).reshape(8, 16) % 10))
        cross-entropy of masked tokens, summed over masked tokens and divided by the length
        uniform masking rate; masks independent
        It is the ELBO up to a constant: w(λ)/sigmoid(λ) is constant
    """
    require(callable(loss), f"loss must be callable, got {type(loss).__name__}", TypeError)
    tokens = _checked_tokens(x)
    if vocabulary is not None:
        vocabulary = count(vocabulary, "vocabulary")
    batches = max(-(-count(draws, "draws", least=64) // len(tokens)), FEWEST_BATCHES)
    logits = tokens.numel() * (vocabulary or USUAL_VOCABULARY)
    suited = threads.suited(threads.ELEMENT * logits)
    with suited, torch.random.fork_rng(devices=[]), torch.enable_grad():
        found = Session(loss, tokens.long().cpu(), batches, vocabulary).measure()
    return MaskedMeasured(
        logsnr=found.logsnr,
        multiplier=found.multiplier,
        average=found.average,
        masks=found.masks,
        length=found.length,
        rate_law=rate_laws.in_words(found.logsnr, found.masks, found.length),
        smoothing=found.smoothing,
        notes=found.notes,
    )


def _checked_tokens(x: Any) -> Tensor:
    """Tokens of shape (n, L)."""
    values = dense_tensor(x, "x") if isinstance(x, Tensor) else _tensor_of(x)
    require(
        not values.is_floating_point() and not values.is_complex() and values.dtype != torch.bool,
        f"x must hold tokens, whole numbers, got {values.dtype}; dv.probe takes data with noise",
        TypeError,
    )
    require(
        values.ndim == 2 and min(values.shape) >= 2,
        f"x must have shape (n, L) with n and L of at least 2, got {tuple(values.shape)}",
    )
    least, largest = values.cpu().numpy().min(), values.cpu().numpy().max()
    require(least >= 0, f"x must hold tokens of at least 0, got {least}; leave out padding of -100")
    require(largest <= MOST, f"x must hold tokens of at most 2**53, got {largest}")
    return values


def _tensor_of(x: Any) -> Tensor:
    """An array or nested lists as a tensor."""
    try:
        return torch.as_tensor(np.array(real_numbers(x, "x")))
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"x must be an array of tokens of shape (n, L), all rows of one length, got {brief(x)}"
        ) from error


def weight_elsewhere(one: NDArray, other: NDArray) -> float:
    """Share of the weight by which two losses differ, counted relative to the ELBO.

    Args:
        one: Weights of k = 1 to L masked tokens up to a constant, shape (L,).
        other: The same of another loss.

    Returns:
        Half the sum of the absolute differences of k · weight, each with the sum 1.
    """
    masked = np.arange(1, len(one) + 1)
    first = masked * one / (masked @ one)
    second = masked * other / (masked @ other)
    return float(np.abs(first - second).sum() / 2)
