"""Few-step objectives: what stands on their diagonal, and what the rest regresses on.

A network u(z, r, t) of two times is to carry z from noise level t to r in one step. Its training
has two parts. On the diagonal, r = t, it may be an ordinary diffusion loss, whose weighting is that
of an ``Objective``. Off the diagonal the target contains the network itself, so that there is no
weighting of a fixed target: only the law of (r, t) and a factor can be told.

An adaptive factor 1/(‖Δ‖² + c)^p depends on the error. On the diagonal it makes a *local*
weighting: ``FewStep.at_error`` says which, at errors that a network has.

Example:
    >>> meanflow = few_step_catalogue["meanflow"]
    >>> meanflow.diagonal_share, meanflow.diagonal.target.name
    (0.75, 'u')
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import ndtr, ndtri

from diffviz import checks
from diffviz.few_steps.pairs import (
    PairLaw,
    SortedPairs,
    adjacent,
    dyadic,
    karras_levels,
    lognormal_shares,
)
from diffviz.theory import multipliers
from diffviz.theory.laws import quantile
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import LINEAR
from diffviz.theory.targets import U


class _SmallerOfTwo(stats.rv_continuous):
    """The smaller of two standard normal numbers: the skew normal law with shape −1.

    It is above y where both are, so that its quantiles have a closed form; those of SciPy's
    ``skewnorm`` are searched for, which takes most of the time of a draw.
    """

    def _pdf(self, y: NDArray) -> NDArray:
        return 2 * np.exp(-(y**2) / 2) / np.sqrt(2 * np.pi) * ndtr(-y)

    def _cdf(self, y: NDArray) -> NDArray:
        return ndtr(y) * (1 + ndtr(-y))

    def _sf(self, y: NDArray) -> NDArray:
        return ndtr(-y) ** 2

    def _ppf(self, q: NDArray) -> NDArray:
        return ndtri(q / (1 + np.sqrt(1 - q)))  # 1 − √(1 − q) without a loss of digits

    def _isf(self, q: NDArray) -> NDArray:
        return -ndtri(np.sqrt(q))

    def _stats(self) -> tuple[float, float, None, None]:
        return -1 / np.sqrt(np.pi), 1 - 1 / np.pi, None, None


# t of MeanFlow is logit-normal(−0.4, 1), so that λ = −2 logit t is N(0.8, 2²).
LOGIT_NORMAL = stats.norm(0.8, 2.0)
# The larger of two such t has the smaller of two such λ.
LARGER_OF_TWO = _SmallerOfTwo(name="smaller of two")(0.8, 2.0)


@dataclass(frozen=True)
class Adaptive:
    """The factor 1/(‖Δ‖² + floor)^power on a loss ‖Δ‖², without a gradient of its own.

    Args:
        power: p, from 0 for none.
        floor: c, above 0.
    """

    power: float
    floor: float

    def __post_init__(self) -> None:
        checks.number(self.power, "power", low=0.0)
        checks.positive(self.floor, "floor")

    def __call__(self, squared: NDArray) -> NDArray:
        """The factor at squared errors, any shape."""
        return (np.asarray(squared, dtype=float) + self.floor) ** -self.power


@dataclass(frozen=True)
class AtError:
    """The multiplier of an adaptive factor, at the error that a network has at each λ.

    Args:
        base: The multiplier without the factor.
        adaptive: The factor.
        error: ‖Δ‖² of the target as a function of λ, summed over components.
    """

    base: Callable[[NDArray], NDArray]
    adaptive: Adaptive
    error: Callable[[NDArray], NDArray]

    def __call__(self, logsnr: NDArray) -> NDArray:
        """The multiplier at λ in nats, any shape."""
        return self.base(logsnr) * self.adaptive(self._errors(logsnr))

    def _errors(self, logsnr: NDArray) -> NDArray:
        """The error at λ in nats, checked."""
        error = checks.finite(self.error(logsnr), "the squared error that error returns")
        if (error < 0).any():
            raise ValueError(f"error returns {error.min():g}; a squared error is >= 0")
        shape = np.shape(logsnr)
        checks.require(
            error.shape in ((), shape),
            f"error returns the shape {error.shape} for logsnr of shape {shape}",
        )
        return error


@dataclass(frozen=True)
class FewStep:
    """A few-step objective.

    Args:
        name: Its key in ``few_step_catalogue``, or a name of one's own. By it ``training.loss``
            chooses the formula of its errors, and refuses a name that has none.
        year: Year of its source.
        source: Paper and code.
        diagonal_share: Share of the draws with r = t, from 0 to 1.
        diagonal: The diffusion loss there, without the adaptive factor; None if there is none.
        on_diagonal: What stands there, in words.
        pairs: Law of (λ_t, λ_r) off the diagonal.
        off_diagonal: What the network regresses on there, in words.
        adaptive: The factor on the loss that depends on its size; None if there is none.
        note: Traps and remarks.

    Raises:
        TypeError: A part is of the wrong kind.
        ValueError: The name is empty, the year negative, or the share outside [0, 1] or positive
            without a diagonal.
    """

    name: str
    year: int
    source: str
    diagonal_share: float
    diagonal: Objective | None
    on_diagonal: str
    pairs: PairLaw
    off_diagonal: str
    adaptive: Adaptive | None = None
    note: str = ""

    def __post_init__(self) -> None:
        for field in ("name", "source", "on_diagonal", "off_diagonal", "note"):
            checks.text(getattr(self, field), field)
        checks.require(self.name.strip(), f"name must not be empty, got {self.name!r}")
        checks.count(self.year, "year", least=0)
        share = checks.number(self.diagonal_share, "diagonal_share", low=0.0, high=1.0)
        self._check_kinds()
        checks.require(
            (share > 0) == (self.diagonal is not None),
            f"{self.name}: diagonal_share={share:g}, the share on the diagonal, needs "
            f"{'an objective' if share else 'no objective'} there",
        )

    def _check_kinds(self) -> None:
        """Refuse parts of the wrong kind where they are passed, not where they are used."""
        parts = (
            (
                "diagonal",
                isinstance(self.diagonal, Objective | None),
                "an objective such as dv.objective('fm-ot'), or None",
            ),
            (
                "pairs",
                checks.offers(self.pairs, PairLaw) and not isinstance(self.pairs, type),
                "a law of pairs such as diffviz.few_steps.pairs.dyadic(128)",
            ),
            ("adaptive", isinstance(self.adaptive, Adaptive | None), "an Adaptive, or None"),
        )
        for name, is_of_kind, words in parts:
            if not is_of_kind:
                raise TypeError(f"{name} must be {words}, got {getattr(self, name)!r:.80}")

    def draw(self, n: int, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
        """Draw levels of a batch; the first of them lie on the diagonal.

        Args:
            n: Size of the batch.
            rng: NumPy generator.

        Returns:
            λ_t and λ_r in nats, each of shape (n,). The share on the diagonal is exact up to
            rounding, as in the published codes.

        Raises:
            TypeError: n is no whole number, or rng no generator.
            ValueError: n < 1.
        """
        n = checks.count(n, "n")
        rng = checks.random_generator(rng)
        on = round(n * self.diagonal_share)
        levels = np.empty((2, n))
        if self.diagonal is not None and on:
            levels[:, :on] = quantile(self.diagonal.law, rng.random(on))
        if on < n:
            levels[:, on:] = self.pairs.draw(n - on, rng)
        return levels[0], levels[1]

    def at_error(self, error: Callable[[NDArray], NDArray]) -> Objective:
        """The local weighting on the diagonal, at the error that a network has.

        Args:
            error: ‖û − u‖² of the diagonal's target, summed over components, as a function of λ.
                A data set's own floor is gain² times its ``mmse``.

        Returns:
            The diagonal with the adaptive factor as its multiplier.

        Raises:
            TypeError: ``error`` is no function.
            ValueError: There is no diffusion loss on the diagonal. Where the objective is used, the
                error is negative, not finite or of another shape.
        """
        checks.function(error, "error")
        checks.require(
            self.diagonal is not None,
            f"{self.name} has no diffusion loss on its diagonal: {self.on_diagonal}",
        )
        assert self.diagonal is not None
        if self.adaptive is None:
            return self.diagonal
        factor = AtError(self.diagonal.multiplier, self.adaptive, error)
        return replace(self.diagonal, multiplier=factor, stated=None)


def _diagonal(name: str, year: int, source: str, law: object = None) -> Objective:
    """Flow matching on the linear path, under a law of λ."""
    return Objective(
        name=f"{name}, diagonal",
        family="few steps",
        year=year,
        source=source,
        path=LINEAR,
        target=U,
        multiplier=multipliers.constant,
        law=law,
    )


def _meanflow() -> FewStep:
    source = "Geng et al. 2025 (arXiv 2505.13447), and its JAX code"
    return FewStep(
        name="meanflow",
        year=2025,
        source=source,
        diagonal_share=0.75,
        diagonal=_diagonal("meanflow", 2025, source, LARGER_OF_TWO),
        on_diagonal="flow matching",
        pairs=SortedPairs(LOGIT_NORMAL),
        off_diagonal="u − (t − r) du/dt along u, where du/dt is that of the network itself",
        adaptive=Adaptive(1.0, 0.01),
        note=(
            "The code sorts two draws before it sets r = t, so t on the diagonal is the larger of "
            "the two: noisier than logit-normal(−0.4, 1). With guidance the target contains the "
            "network on the diagonal too, and then there is no diffusion loss."
        ),
    )


def _improved_meanflow() -> FewStep:
    source = "Geng et al. 2025 (arXiv 2512.02012), and a fork of its code"
    return FewStep(
        name="imeanflow",
        year=2025,
        source=source,
        diagonal_share=0.5,
        diagonal=_diagonal("imeanflow", 2025, source, LARGER_OF_TWO),
        on_diagonal="flow matching; with guidance the target contains the network",
        pairs=SortedPairs(LOGIT_NORMAL),
        off_diagonal="u, for û + (t − r) dû/dt with the network's own velocity as direction",
        adaptive=Adaptive(1.0, 0.01),
        note=(
            "The target is that of flow matching everywhere, and the network stands in the "
            "prediction. As published it is trained with guidance: then the target has a part of "
            "the network even at r = t. The entry is the training without guidance."
        ),
    )


def _shortcut() -> FewStep:
    source = "Frans et al. 2024 (arXiv 2410.12557), and its code"
    steps = 128
    return FewStep(
        name="shortcut",
        year=2024,
        source=source,
        diagonal_share=0.75,
        diagonal=_diagonal("shortcut", 2024, source),
        on_diagonal="flow matching at t uniform on multiples of 1/128",
        pairs=dyadic(steps),
        off_diagonal="the mean of two steps of half the length, by the network itself",
        note=(
            f"The diagonal's times are {steps} atoms, 0.0078 apart; the entry has their continuous "
            "limit. A quarter of the batch is off it (bootstrap_every = 4)."
        ),
    )


def _consistency() -> FewStep:
    return FewStep(
        name="consistency",
        year=2023,
        source="Song et al. 2023 (arXiv 2303.01469), algorithm 3",
        diagonal_share=0.0,
        diagonal=None,
        on_diagonal="f(z, 0) = z is built into the network: a boundary condition, no loss",
        pairs=adjacent(karras_levels(150)),
        off_diagonal="the network's own x̂ at the next cleaner level, from the same noise",
        note="The number of levels grows to 150 during training; the entry has the last grid.",
    )


def _improved_consistency() -> FewStep:
    grid = karras_levels(1281)
    return FewStep(
        name="ict",
        year=2023,
        source="Song and Dhariwal 2023 (arXiv 2310.14189), section 3",
        diagonal_share=0.0,
        diagonal=None,
        on_diagonal="f(z, 0) = z is built into the network: a boundary condition, no loss",
        pairs=adjacent(grid, lognormal_shares(grid)),
        off_diagonal="the network's own x̂ at the next cleaner level, with weight 1/Δσ",
        note=(
            "The loss is pseudo-Huber with c = 0.00054 √d. The number of steps grows from 10 to "
            "1,280; the entry has the last grid."
        ),
    )


few_step_catalogue: Mapping[str, FewStep] = MappingProxyType(
    {
        entry.name: entry
        for entry in (
            _meanflow(),
            _improved_meanflow(),
            _shortcut(),
            _consistency(),
            _improved_consistency(),
        )
    }
)


def few_step(name: str) -> FewStep:
    """A few-step objective by its name.

    Args:
        name: A key of ``few_step_catalogue``.

    Returns:
        The entry.

    Raises:
        ValueError: The name is unknown; the message lists near ones.

    Example:
        >>> dv.few_step("shortcut").off_diagonal
        'the mean of two steps of half the length, by the network itself'
    """
    if not isinstance(name, str) or name not in few_step_catalogue:
        raise checks.unknown("few-step objective", name, few_step_catalogue)
    return few_step_catalogue[name]
