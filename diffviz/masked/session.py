"""All runs of a masked loss, from which its rates, weights and average follow.

- A number for each token that is drawn decides about its mask. By bisection of it, its masking rate
  is found to all digits. Where the number of masked tokens is fixed, it is counted.
- What weights are divided by follows from runs with the same rates and other masks, and from
  sequences of half the length.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffviz.checks import require
from diffviz.masked.readings import COARSE, Loss, Reading, read, see
from diffviz.masked.replay import Plan

BISECTIONS = 24  # of a float32 in [0, 1)
AGREE = 5e-3  # relative difference up to which weights are the same
FAINT = 1e-5  # of the largest weight, below which a weight is not compared between runs
CHECKS = 2  # runs in which masked tokens are counted
BATCHES_OF_ONE_RATE = 64
RUNS = 6  # with other masks, to see each token masked
LEAST_RATE = 1e-6  # that float32 tells from 0
NEVER = 13.8  # λ of tokens that are never masked, such as those of a prompt
COUNTED_RUNS = 6  # of which masked tokens are counted
MOST_LOGITS = 2**25  # 128 MB of float32, of which ten copies are made, some of float64
COUNTED_MASKS = 28  # that must have equal counts: for two tokens at rate 1/2 once in 2^28
ESTIMATES = 64  # masks from which rates are estimated where they cannot be bisected


@dataclass(frozen=True, eq=False)
class Rates:
    """Masking rates of one batch, and how they were found."""

    rate: Tensor  # shape (n, L)
    masks: str
    is_estimated: bool = False


@dataclass(frozen=True, eq=False)
class Findings:
    """What all runs together show.

    Args:
        logsnr: Log-SNR of each draw in nats, increasing, shape (n,).
        multiplier: Factor on the cross-entropy before it is averaged, shape (n,).
        average: What the sum over masked tokens is divided by, as in ``MaskedObjective``.
        masks: "independent", or "counted" where the number of masked tokens is fixed.
        length: Number of tokens of a sequence that may be masked.
        smoothing: How much labels are smoothed.
        notes: Further sentences.
    """

    logsnr: NDArray
    multiplier: NDArray
    average: str
    masks: str
    length: int
    smoothing: float
    notes: tuple[str, ...]


class Session:
    """All runs of one loss.

    Args:
        loss: ``loss(model, x)``.
        x: Tokens, shape (n, L).
        batches: Number of batches over which times are even.
        vocabulary: Number of logits; None takes one more than the largest token.
    """

    def __init__(self, loss: Loss, x: Tensor, batches: int, vocabulary: int | None):
        self.loss = loss
        self.x = x
        self.batches = batches
        largest = int(x.max()) + 1
        z, draws = see(loss, x, self._plan(0), largest)
        self.vocabulary = max(largest, int(z.max()) + 1) if vocabulary is None else vocabulary
        require(
            self.vocabulary >= largest,
            f"vocabulary must be above the largest token {largest - 1}, got {self.vocabulary}",
        )
        logits = x.numel() * self.vocabulary
        require(
            logits <= MOST_LOGITS,
            f"{x.numel()} tokens of x with {self.vocabulary} logits each (one for each token up to "
            f"the largest) are {logits:.2g} numbers, and {MOST_LOGITS:.2g} are held at most; "
            "give fewer sequences, or number the tokens from 0",
        )
        self.has_mask_draw = draws.found_mask
        self.names = draws.names
        self.mask_token = self._mask_token()

    def _plan(self, batch: int, seed: int = 0, fill: Tensor | None = None) -> Plan:
        return Plan(batch, self.batches, shape_of(self.x), seed, fill)

    def _see(self, batch: int, seed: int = 0, fill: Tensor | None = None) -> Tensor:
        z, _ = see(self.loss, self.x, self._plan(batch, seed, fill), self.vocabulary)
        return z

    def _read(self, batch: int, seed: int = 0, logits: int = 0) -> Reading:
        plan = self._plan(batch, seed)
        return read(self.loss, self.x, plan, self.vocabulary, logits)

    def _mask_token(self) -> int:
        """The token that replaces others, or a ValueError."""
        changed = []
        for seed in range(4):
            z = self._see(0, seed)
            changed.append(z[z != self.x])
        require(
            torch.equal(self._see(0, 0), self._see(0, 0)),
            "two runs with the same draws mask different tokens: the loss draws outside torch, as "
            "by numpy or random; draw by torch",
        )
        values, counts = torch.cat(changed).unique(return_counts=True)
        require(len(values) > 0, "the loss gives x to its network as it is: nothing is masked")
        share = float(counts.max() / counts.sum())
        require(
            share > 0.999,
            f"what is not kept becomes one of {len(values)} tokens, and the most frequent only in "
            f"{share:.0%} of the cases: that is noise by other tokens, which has no weighting of a "
            "cross-entropy",
        )
        token = int(values[counts.argmax()])
        require(
            not (self.x == token).any(),
            f"the token {token} that replaces others is in x too, where nothing tells it from a "
            "mask; give x without it",
        )
        return token

    # --- rates ---------------------------------------------------------------------------------

    def rates(self, batch: int) -> Rates:
        """Masking rates of a batch, from whole numbers of masked tokens or by bisection."""
        counts = self._fixed_counts(batch)
        if counts is not None:
            rate = counts[:, None].double() / self.x.shape[1]
            return Rates(rate.expand(self.x.shape), "counted")
        if self.has_mask_draw:
            return Rates(self._bisected(batch), "independent")
        more = [self._see(batch, seed) == self.mask_token for seed in range(ESTIMATES)]
        rate = torch.stack(more).double().mean((0, 2))
        return Rates(rate[:, None].expand(self.x.shape), "independent", is_estimated=True)

    def _fixed_counts(self, batch: int) -> Tensor | None:
        """Numbers of masked tokens, shape (n,), if all masks of a batch have the same; else None.

        A few masks agree by chance where there are few tokens. Numbers that are 0 or all tokens
        show nothing.
        """
        length = self.x.shape[1]
        counts = (self._see(batch, 0) == self.mask_token).sum(-1)
        if not ((counts > 0) & (counts < length)).any():
            return None
        for seed in range(1, COUNTED_MASKS):
            if not torch.equal((self._see(batch, seed) == self.mask_token).sum(-1), counts):
                return None
        return counts

    def _bisected(self, batch: int) -> Tensor:
        """The number at which each token changes from masked to kept, shape (n, L)."""
        low = torch.zeros(self.x.shape, dtype=torch.float64)
        high = torch.ones(self.x.shape, dtype=torch.float64)
        at_low = self._see(batch, fill=low.float()) == self.mask_token
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            as_at_low = (self._see(batch, fill=middle.float()) == self.mask_token) == at_low
            low = torch.where(as_at_low, middle, low)
            high = torch.where(as_at_low, high, middle)
        turn = (low + high) / 2
        never = high == 1.0
        turn = torch.where(never, torch.ones_like(turn), turn)
        return torch.where(at_low, turn, 1 - turn)

    # --- weights -------------------------------------------------------------------------------

    def measure(self) -> Findings:
        """Read all batches, and conclude."""
        self._take_more_batches()
        first = self._read(0)
        _require_weights(first.weight)
        self._require_no_focus(first)
        rates = [self.rates(batch) for batch in range(self.batches)]
        self._require_consistent(rates)
        average = self._average(rates)
        parts = [self._levels(batch, rates[batch], average) for batch in range(self.batches)]
        logsnr, multiplier = (np.concatenate(column) for column in zip(*parts, strict=True))
        order = np.argsort(logsnr, kind="stable")
        logsnr = logsnr[order]
        multiplier = _completed(logsnr, multiplier[order])
        length = self._maskable(rates)
        if average == "sum" and self._is_divided_by_length(rates[0]):
            average, multiplier = "length", multiplier * length
        return Findings(
            logsnr=logsnr,
            multiplier=multiplier,
            average=average,
            masks=rates[0].masks,
            length=length,
            smoothing=first.smoothing if abs(first.smoothing) > 1e-3 else 0.0,
            notes=tuple(self._notes(first, rates)),
        )

    def _take_more_batches(self) -> None:
        """Where a batch has one rate only, so many batches that they show its law."""
        rate = self.rates(0).rate
        if float(rate.max() - rate.min()) < 1e-6:
            self.batches = max(self.batches, BATCHES_OF_ONE_RATE)

    def _require_no_focus(self, first: Reading) -> None:
        """Refuse weights that depend on the error, as focal factors do."""
        other = self._read(0, logits=1)
        # the least weights may be 0 in one run and at the limit of what is read in the other
        counted = (first.weight.abs() > FAINT * first.weight.abs().max()) & (other.weight != 0)
        ratio = other.weight[counted] / first.weight[counted]
        is_even = bool((ratio - 1).abs().max() < AGREE)
        require(
            is_even or not first.is_coarse,
            f"the weight of a token differs between runs by more than {AGREE:g}. {COARSE}",
        )
        require(
            is_even,
            "the weight of a token depends on its own cross-entropy, as a focal factor does: it is "
            "no function of the masking rate. Probe the loss without it",
        )

    def _require_consistent(self, rates: list[Rates]) -> None:
        """Refuse rates that do not say how often tokens are masked, in tenths of the rates."""
        rate = torch.stack([one.rate for one in rates]).numpy()
        tenth = np.minimum((10 * rate).astype(int), 9).ravel()
        expected = CHECKS * np.bincount(tenth, rate.ravel(), 10)
        spread = np.sqrt(CHECKS * np.bincount(tenth, (rate * (1 - rate)).ravel(), 10))
        found = np.zeros(10)
        for seed in range(11, 11 + CHECKS):
            hidden = [self._see(batch, seed) == self.mask_token for batch in range(self.batches)]
            found += np.bincount(tenth, torch.stack(hidden).double().numpy().ravel(), 10)
        off = np.abs(found - expected) > 6 * spread + 1e-3 * expected + 1
        if off.any():
            worst = int(off.argmax())
            raise ValueError(
                f"{found[worst]:.0f} tokens are masked where {expected[worst]:.0f} are expected "
                "from the rates that were found: the mask does not follow from one uniform number "
                "for each token"
            )

    def _average(self, rates: list[Rates]) -> str:
        """What weights are divided by, from runs with the same rates and other masks."""
        readings = [self._read(0, seed) for seed in (0, 5, 9)]
        for reading in readings:
            self._require_even(reading, rates[0].rate)
        if rates[0].masks == "counted":
            return self._average_of_counted()
        spreads = {}
        for name in ("sum", "masked", "batch"):
            spreads[name] = _spread(torch.stack([self._scaled(one, name) for one in readings]))
        steady = [name for name, spread in spreads.items() if spread < AGREE]
        require(
            steady,
            "the weights of one masking rate change with the mask, and not as 1/(masked tokens of "
            "the sequence) or of the batch: they are no function of the masking rate",
        )
        return steady[0]

    def _scaled(self, reading: Reading, average: str) -> Tensor:
        """Weights of masked tokens times what they may be divided by; NaN where there are none."""
        masked = reading.z == self.mask_token
        hidden = masked.sum(1, keepdim=True).double()
        n = len(self.x)
        scales = {"sum": torch.tensor(float(n)), "masked": hidden * n, "batch": hidden.sum()}
        counted = masked & (reading.weight > 0)
        return torch.where(counted, reading.weight * scales[average], torch.nan)

    def _average_of_counted(self) -> str:
        """What weights are divided by where the rate fixes the number of masked tokens.

        Sequences of one number are compared between batches, whose totals differ.
        """
        by_number: dict[int, list[Tensor]] = {}
        for seed in range(1, 1 + COUNTED_RUNS):
            plan = Plan(0, 1, shape_of(self.x), seed, times="drawn")
            reading = read(self.loss, self.x, plan, self.vocabulary)
            hidden = (reading.z == self.mask_token).sum(1)
            values = [self._scaled(reading, name).nanmean(1) for name in ("sum", "batch", "masked")]
            for number, row in zip(hidden.tolist(), torch.stack(values, -1), strict=True):
                by_number.setdefault(number, []).append(row)
        rows = [torch.stack(rows) for rows in by_number.values() if len(rows) > 1]
        require(rows, "no number of masked tokens comes twice; give more sequences")
        within = torch.stack([one.amax(0) / one.amin(0) - 1 for one in rows]).amax(0)
        if within[1] < AGREE <= within[0]:
            return "batch"
        require(
            bool(within[0] < AGREE),
            "sequences with as many masked tokens have different weights: they are no function of "
            "the masking rate",
        )
        means = torch.stack([one[:, 2].mean() for one in rows])
        return "masked" if bool(means.max() / means.min() - 1 < AGREE) else "sum"

    def _require_even(self, reading: Reading, rate: Tensor) -> None:
        """Refuse weights that differ between tokens of one sequence and one rate."""
        weight = self._scaled(reading, "sum")
        for row, rates in zip(weight, rate.round(decimals=6), strict=True):
            for level in rates.unique():
                same = row[(rates == level) & row.isfinite()]
                require(
                    not len(same) or bool(same.max() - same.min() <= AGREE * same.max()),
                    "tokens of one sequence and one masking rate have different weights, as where "
                    "the distance to visible tokens counts: that is no weighting over λ",
                )

    def _levels(self, batch: int, rates: Rates, average: str) -> tuple[NDArray, NDArray]:
        """Log-SNR and factor of each sequence or block of a batch; NaN where nothing was masked."""
        length = self.x.shape[1]
        total = torch.full(self.x.shape, torch.nan, dtype=torch.float64)
        for seed in range(RUNS):
            found = self._scaled(self._read(batch, seed), average)
            total = torch.where(total.isnan(), found, total)
        least = 0.5 / length if rates.masks == "counted" else LEAST_RATE
        rate = rates.rate.clamp(least, 1 - least)
        logsnr = (torch.log1p(-rate) - rate.log()).round(decimals=9).numpy()
        levels = []
        factors = []
        for row, values in zip(logsnr, total.numpy(), strict=True):
            for level in np.unique(row[row < NEVER]):
                known = values[(row == level) & np.isfinite(values)]
                levels.append(level)
                factors.append(known.mean() if len(known) else np.nan)
        return np.array(levels), np.array(factors)

    def _is_divided_by_length(self, rates: Rates) -> bool:
        """Whether weights double where sequences have half the length."""
        half = self.x[:, : self.x.shape[1] // 2]
        weights = []
        sizes = []
        for tokens in (half, self.x):
            shape = shape_of(tokens)
            fill = None if rates.masks == "counted" else torch.zeros(shape)
            plan = Plan(0, 1, shape, 0, fill, times="middle")
            try:
                reading = read(self.loss, tokens, plan, self.vocabulary)
            except (ValueError, RuntimeError, IndexError):
                return False
            weights.append(reading.weight.amax(1))
            hidden = (reading.z == self.mask_token).sum(1)
            sizes.append(hidden if fill is not None else torch.full_like(hidden, shape[1]))
        return bool((sizes[1] / sizes[0] * weights[1] / weights[0] - 1).abs().median() < 0.05)

    def _maskable(self, rates: list[Rates]) -> int:
        """Number of tokens of a sequence that may be masked."""
        ever = torch.stack([one.rate for one in rates]).amax(0) > LEAST_RATE
        return max(int(ever.sum(1).double().mean().round()), 1)

    def _notes(self, first: Reading, rates: list[Rates]) -> list[str]:
        """Further sentences."""
        notes = []
        visible = first.weight[(first.z != self.mask_token) & (first.weight.abs() > 0)]
        if len(visible):
            notes.append("tokens that are visible count too; they are not in the weighting")
        never = self.x.shape[1] - self._maskable(rates)
        if never:
            notes.append(
                f"tokens that are never masked, as those of a prompt: {never} of {self.x.shape[1]}"
            )
        if first.shift:
            notes.append("the logits of a token stand one place before it")
        if any(one.is_estimated for one in rates):
            notes.append(
                f"rates are estimated from {ESTIMATES} masks: no draw has one number for each token"
            )
        return notes


def shape_of(x: Tensor) -> tuple[int, int]:
    """Shape (n, L) of tokens."""
    n, length = x.shape
    return n, length


def _require_weights(weight: Tensor) -> None:
    """Refuse weights that are 0 at all tokens, or negative at some."""
    largest = float(weight.abs().max())
    require(
        largest > 0,
        "the gradient of the loss in the logits is 0: no cross-entropy counts; does the loss have "
        "a factor of 0, or use a detached output?",
    )
    least = float(weight.min())
    require(
        least > -AGREE * largest,
        f"the cross-entropy of some tokens has a negative weight, such as {least:.3g}: the loss "
        "falls as it grows; has the loss its sign the other way round?",
    )


def _spread(values: Tensor) -> float:
    """Largest relative difference between runs of one token, shape (runs, n, L)."""
    known = values.isfinite().sum(0) > 1
    require(bool(known.any()), "no token is masked twice in three runs; give more tokens")
    high = values.nan_to_num(-torch.inf).amax(0)[known]
    low = values.nan_to_num(torch.inf).amin(0)[known]
    return float((high / low - 1).max())


def _completed(logsnr: NDArray, factor: NDArray) -> NDArray:
    """Factors at all levels: log-linear where rates were so small that no token was masked."""
    known = np.isfinite(factor) & (factor > 0)
    require(known.any(), "no token was masked in any run; give longer sequences")
    return np.where(
        np.isfinite(factor),
        factor,
        np.exp(np.interp(logsnr, logsnr[known], np.log(factor[known]))),
    )
