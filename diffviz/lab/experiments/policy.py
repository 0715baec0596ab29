"""Experiments on policies: changes at two scales, what surrogates see of them, learning runs."""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from diffviz.checks import array, count, number, one_of, positive
from diffviz.compute.cache import cached
from diffviz.lab.experiments import progress
from diffviz.lab.experiments.common import chosen
from diffviz.recipes.entries import objective
from diffviz.theory import analysis, elbo_mixture
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import LINEAR
from diffviz.theory.targets import EPS

if TYPE_CHECKING:
    from torch import Tensor

    from diffviz.data.toys import Toy
    from diffviz.sampling.likelihood import Bound

DEFAULT = "FPO's default"  # eps loss on the linear path under uniform time
WEIGHTINGS = {
    **chosen("elbo"),
    DEFAULT: Objective(
        name=DEFAULT,
        family="policy",
        year=2025,
        source="arXiv 2507.21053",
        path=LINEAR,
        target=EPS,
    ),
    **chosen("iddpm-cosine", "edm", "sigmoid-bias2", "min-snr-5-eps", "fm-ot", "sd3", "indi"),
}
DRAWS = (1, 4, 8, 32, 128)  # of (λ, ε) per action
RATIO_DRAWS = 1280  # of each action, for the mean of an exponential with heavy tails
SCALES = np.logspace(-4, 1, 51)  # variances c of what changes
CHANGES = ("coarse", "fine", "both")


class Run(NamedTuple):
    """A learning run that a notebook has time for.

    Attributes:
        method: Name of the method.
        options: Its options.
        seeds: Number of seeds, from 0 on.
    """

    method: str
    options: dict[str, Any]
    seeds: int


RUNS = {
    "FPO": Run("fpo", {"iterations": 36, "draws": 4}, 3),
    "AWR": Run("awr", {"iterations": 10}, 3),
    "DPO": Run("dpo", {"iterations": 16, "batch": 1024, "epochs": 4, "beta": 1.0}, 3),
    "FPO + KL": Run("fpo", {"iterations": 36, "draws": 4, "keep": 0.3}, 3),
}


def known(name: str) -> Objective:
    """A weighting by name.

    Args:
        name: One of ``WEIGHTINGS``, else of the catalogue.

    Returns:
        The objective.

    Raises:
        ValueError: The name is unknown; the message lists near ones.
    """
    if isinstance(name, str) and name in WEIGHTINGS:
        return WEIGHTINGS[name]
    return objective(name)


# --- changes of a policy -----------------------------------------------------------------------


class Change(NamedTuple):
    """A change of a policy, at n actions of the old one.

    Attributes:
        exact: Exact log-ratio of new to old, shape (n,).
        surrogate: The surrogate L_w(old) − L_w(new) by weighting, each (n,).
    """

    exact: NDArray
    surrogate: dict[str, NDArray]

    def correlation(self, name: str) -> float:
        """Correlation of a weighting's surrogate with the exact log-ratio."""
        return float(np.corrcoef(self.surrogate[name], self.exact)[0, 1])

    def slope(self, name: str) -> float:
        """Slope of a weighting's surrogate on the exact log-ratio, by least squares."""
        return float(np.polyfit(self.exact, self.surrogate[name], 1)[0])


class Policies(NamedTuple):
    """A policy and its changes.

    Attributes:
        old: Five modes on a line, of width 0.1 at distances of 1.
        new: The same with other shares, other places, or both, by name of ``CHANGES``.
        x: 200 actions of the old one, shape (200, 1).
    """

    old: "Toy"
    new: "dict[str, Toy]"
    x: "Tensor"


@lru_cache
def _policies() -> Policies:
    """The policies that ``changes`` compares, made once."""
    import torch

    from diffviz.data import toys

    places = torch.linspace(-2, 2, 5, dtype=torch.float64)[:, None]
    even = torch.full((5,), 0.2, dtype=torch.float64)
    shares = torch.linspace(-0.6, 0.6, 5, dtype=torch.float64).softmax(0)
    signs = torch.tensor([1.0, -1.0, 1.0, 1.0, -1.0], dtype=torch.float64)[:, None]
    moved = places + 0.03 * signs
    old = toys.mixture(places, 0.1, even)
    new = {
        "coarse": toys.mixture(places, 0.1, shares),
        "fine": toys.mixture(moved, 0.1, even),
        "both": toys.mixture(moved, 0.1, shares),
    }
    return Policies(old, new, old.sample(200, torch.Generator().manual_seed(0)))


def _bound(policy: "Toy", x: "Tensor") -> "Bound":
    """The ELBO of actions by quadrature on λ in [−16, 16]."""
    from diffviz.sampling import likelihood

    return likelihood.elbo(policy, x, low=-16, high=16, levels=16, exact=True)


@cached
def changes() -> dict[str, Change]:
    """A coarse change of a policy, a fine one and both at once, without noise of draws."""
    old, new, x = _policies()
    before = _bound(old, x)
    by_name = {}
    for name, policy in new.items():
        after = _bound(policy, x)
        surrogate = {
            weighting: (before.weighted(entry) - after.weighted(entry)).numpy()
            for weighting, entry in WEIGHTINGS.items()
        }
        # the catalogue's constant for the ELBO is w = 2; constants are free
        surrogate["elbo"] = surrogate["elbo"] / 2
        exact = (policy.log_prob(x) - old.log_prob(x)).numpy()
        by_name[name] = Change(exact, surrogate)
    return by_name


@lru_cache
def drawn(name: str, change: str = "coarse") -> dict[int, NDArray]:
    """Single draws of a surrogate, as an algorithm would see them.

    Args:
        name: One of ``WEIGHTINGS``.
        change: One of ``CHANGES``.

    Returns:
        By number of draws m of ``DRAWS``: the draws at n actions, each (m, n).

    Raises:
        ValueError: A name is unknown.
    """
    return {m: _single_draws(name, change, m, m) for m in DRAWS}


def _single_draws(name: str, change: str, m: int, seed: int | tuple[int, int]) -> NDArray:
    """Draws of a surrogate at n actions from a seed, shape (m, n)."""
    from diffviz.policy import surrogates

    entry = WEIGHTINGS[one_of(name, "weighting", WEIGHTINGS)]
    old, new, x = _policies()
    policy = new[one_of(change, "change", CHANGES)]
    at = surrogates.draws(entry, x, m, np.random.default_rng(seed))
    loss = surrogates.losses(old, x, at) - surrogates.losses(policy, x, at)
    return loss.numpy()


def counted(ratio: float) -> float:
    """Correlation with the log-ratio of the mixed change, if its parts were counted unequally.

    Args:
        ratio: How strongly the fine part is counted over the coarse one.

    Returns:
        The correlation.

    Raises:
        ValueError: ``ratio`` is not finite.
    """
    coarse, fine, both = (changes()[name].exact for name in CHANGES)
    return float(np.corrcoef(coarse + number(ratio, "ratio") * fine, both)[0, 1])


class Flatness(NamedTuple):
    """How evenly a weighting counts both scales, and what that does.

    Attributes:
        ratio: Gain of the fine change over that of the coarse one.
        correlation: Correlation of its surrogate with the log-ratio of the mixed change.
        monotone: Whether its w never rises.
    """

    ratio: float
    correlation: float
    monotone: bool


def flatness() -> dict[str, Flatness]:
    """Flatness of each of ``WEIGHTINGS``, by name."""
    by_change = changes()
    return {
        name: Flatness(
            ratio=by_change["fine"].slope(name) / by_change["coarse"].slope(name),
            correlation=by_change["both"].correlation(name),
            monotone=analysis.verdict(entry).monotone,
        )
        for name, entry in WEIGHTINGS.items()
    }


def noisy_correlations(name: str, change: str) -> list[float]:
    """Correlations of a surrogate's mean draw with the exact log-ratio, by ``DRAWS``.

    Args:
        name: One of ``WEIGHTINGS``.
        change: One of ``CHANGES``.

    Returns:
        A correlation for each number of draws.

    Raises:
        ValueError: A name is unknown.
    """
    singles = drawn(name, change)
    exact = changes()[change].exact
    return [np.corrcoef(draws.mean(0), exact)[0, 1] for draws in singles.values()]


@cached
def spread_of_draws(name: str, change: str = "both", sets: int = 8) -> NDArray:
    """The correlations of ``noisy_correlations`` for other sets of draws.

    Args:
        name: One of ``WEIGHTINGS``.
        change: One of ``CHANGES``.
        sets: Number of sets.

    Returns:
        Correlations with the exact log-ratio by set and by ``DRAWS``, shape (sets, 5).

    Raises:
        TypeError: ``sets`` is no whole number.
        ValueError: A name is unknown, or ``sets`` is not positive.
    """
    numbers = range(1, 1 + count(sets, "sets"))
    exact = changes()[one_of(change, "change", CHANGES)].exact
    by_set = [[_single_draws(name, change, m, (m, number)) for m in DRAWS] for number in numbers]
    return np.array(
        [[np.corrcoef(draws.mean(0), exact)[0, 1] for draws in by_count] for by_count in by_set]
    )


class Above(NamedTuple):
    """How closely a loss follows a fine change: whole, and with its cleaner levels alone.

    Attributes:
        whole: Correlation of the surrogate with the exact log-ratio.
        above: The same of the part of the surrogate above the level.
    """

    whole: float
    above: float


@cached
def fine_above(level: float = 2.0) -> dict[str, Above]:
    """How closely each weighting follows the fine change alone, with and without noisy levels.

    Args:
        level: λ in nats, above which the second correlation looks.

    Returns:
        Both correlations for each of ``WEIGHTINGS``.

    Raises:
        TypeError: ``level`` is no number.
        ValueError: ``level`` is not finite.
    """
    least = number(level, "level")
    old, new, x = _policies()
    bounds = [_bound(policy, x) for policy in (old, new["fine"])]
    fine = changes()["fine"]
    by_name = {}
    for name, entry in WEIGHTINGS.items():
        weighting = _Clean(entry, least)
        part = (bounds[0].weighted(weighting) - bounds[1].weighted(weighting)).numpy()
        above = float(np.corrcoef(part, fine.exact)[0, 1])
        by_name[name] = Above(fine.correlation(name), above)
    return by_name


@dataclass(frozen=True)
class _Clean:
    """The weighting of an objective above a level λ, and 0 below it."""

    entry: Objective
    least: float

    def __call__(self, logsnr: NDArray) -> NDArray:
        """The weighting at each λ, in the shape of ``logsnr``."""
        w = self.entry.weighting(np.ravel(logsnr)).reshape(np.shape(logsnr))
        return np.asarray(w * (np.asarray(logsnr) > self.least))


@cached
def mean_ratios() -> dict[str, NDArray]:
    """Mean ratio of new to old over actions for the coarse change, flow matching's surrogate.

    All numbers of draws share the same single draws, in groups. So the mean of single exponentials
    is one number, however many of them make a group.

    Returns:
        By label: with the exponential before the mean of the draws or after it, without noise of
        draws, and exact; each for ``DRAWS``.
    """
    from diffviz.policy import surrogates

    policies = _policies()
    at = surrogates.draws(
        WEIGHTINGS["fm-ot"], policies.x, RATIO_DRAWS, np.random.default_rng(RATIO_DRAWS)
    )
    old, new = (
        surrogates.losses(policy, policies.x, at)
        for policy in (policies.old, policies.new["coarse"])
    )
    singles = (old - new).numpy()
    groups = [singles.reshape(-1, m, singles.shape[1]).mean(1) for m in DRAWS]
    coarse = changes()["coarse"]
    return {
        "exponential first": np.full(len(DRAWS), np.exp(singles).mean()),
        "average first": np.array([np.exp(group).mean() for group in groups]),
        "FM without noise": np.full(len(DRAWS), np.exp(coarse.surrogate["fm-ot"]).mean()),
        "exact ratio": np.full(len(DRAWS), np.exp(coarse.exact).mean()),
    }


# --- the gain law ------------------------------------------------------------------------------


@lru_cache(64)
def gain_masses(name: str) -> elbo_mixture.Masses:
    """A weighting as masses on levels, from which its gain at any scale is one sum.

    Args:
        name: One of ``WEIGHTINGS``, else of the catalogue.

    Returns:
        The masses.

    Raises:
        ValueError: The name is unknown.
    """
    return elbo_mixture.masses(known(name), -elbo_mixture.FAR, elbo_mixture.FAR)


@cached
def gains(name: str) -> NDArray:
    """How strongly a weighting counts changes at scale c, over that at c = 1.

    Args:
        name: One of ``WEIGHTINGS``, else of the catalogue.

    Returns:
        κ_w(c)/κ_w(1) at ``SCALES``.

    Raises:
        ValueError: The name is unknown.
    """
    parts = gain_masses(name)
    return parts.gain(SCALES) / parts.gain(1.0)


def two_scale_correlation(ratio: ArrayLike, share: float = 0.5) -> float | NDArray:
    """Correlation with the log-ratio when its two independent parts are counted unequally.

    Args:
        ratio: Gain of the fine part over that of the coarse one, any shape.
        share: Share of the log-ratio's variance that is coarse, in [0, 1].

    Returns:
        The correlation, in the shape of ``ratio``.

    Raises:
        ValueError: A ratio is not finite, or the share is outside [0, 1].
    """
    ratio = array(ratio, "ratio")
    share = number(share, "share", 0, 1)
    return (share + ratio * (1 - share)) / np.sqrt(share + ratio**2 * (1 - share))


def two_scales(
    x: ArrayLike, c: float, move: ArrayLike, at: tuple[ArrayLike, ArrayLike, ArrayLike]
) -> NDArray:
    """Single draws of L_w(old) − L_w(new) for N(0, diag(1, c)) whose mean moves.

    With s = sigmoid(λ + ln c) and r² = s (1 − s) the eps error of a direction is
    r (u − move) − s eps, where u is its standardised action.

    Args:
        x: Standardised actions, shape (n, 2).
        c: Variance of the second direction.
        move: Move of the mean in standard deviations, shape (2,).
        at: Levels and factors (m, n) and noise (m, n, 2), as from ``surrogates.draws``.

    Returns:
        The draws, shape (m, n).

    Raises:
        ValueError: A number is not finite, or the variance is not above 0.
    """
    x = array(x, "x", ndim=2)
    move = array(move, "move", ndim=1)
    c = positive(c, "c")
    names = ("levels", "factors", "noise")
    logsnr, factor, eps = (array(part, name) for part, name in zip(at, names, strict=True))
    s = expit(logsnr[..., None] + np.array([0.0, np.log(c)]))
    r = np.sqrt(s * (1 - s))
    return factor * (r * move * (2 * (r * x - s * eps) - r * move)).sum(-1)


# --- learning ----------------------------------------------------------------------------------


@cached
def learned(name: str) -> list[Any]:
    """The histories of a learning run.

    Args:
        name: One of ``RUNS``.

    Returns:
        A history for each seed.

    Raises:
        ValueError: The name is unknown.
    """
    from diffviz.policy import bandit, surrogates

    method, options, seeds = RUNS[one_of(name, "run", RUNS)]
    return [
        bandit.learn(method, seed=seed, objective=surrogates.MODES["eps"], **options)
        for seed in range(seeds)
    ]


METHODS = {"FPO": "fpo", "AWR": "awr", "DPO": "dpo", "DDPO": "ddpo"}
PREFERENCE_OPTIONS: dict[str, Any] = {"batch": 1024, "epochs": 4, "beta": 1.0}  # of DPO
SHOWN_ACTIONS = 300


@dataclass(frozen=True)
class Learning:
    """What a learning run depends on.

    Args:
        method: A key of ``METHODS``.
        weighting: Name of the weighting of the surrogate.
        keep: Factor of the KL term to the first policy.
        batches: Number of batches of actions.
        seed: Seed of policy and actions.

    Raises:
        ValueError: The method or the weighting is unknown.
    """

    method: str = "FPO"
    weighting: str = DEFAULT
    keep: float = 0.0
    batches: int = 12
    seed: int = 0

    def __post_init__(self) -> None:
        one_of(self.method, "method", METHODS)
        known(self.weighting)

    def __str__(self) -> str:
        method = f"{self.method}, weighting of {self.weighting}"
        if self.method == "DDPO":
            method = "DDPO on the sampling chain (it has no weighting)"
        kl_term = f"KL term {self.keep:g}" if self.keep else "no KL term"
        return f"{method}, {kl_term}, seed {self.seed}, {self.batches} batches"


class Learned(NamedTuple):
    """How a policy has learned, batch by batch.

    Attributes:
        reward: Mean reward before each batch of updates and at the end, shape (k,).
        goals: Number of goals that were kept, shape (k,).
        actions: Actions from the same noise each time, shape (k, 300, 2).
    """

    reward: NDArray
    goals: NDArray
    actions: NDArray


@cached
def learning(settings: Learning) -> Learned:
    """A learning run, which reports how the policy has learned so far.

    Args:
        settings: What it depends on.

    Returns:
        How the policy has learned.
    """
    progress.begin()
    import torch

    from diffviz.policy import bandit

    shown = []

    def follow(history: Any) -> None:
        drawn = bandit.act(history.model, SHOWN_ACTIONS, torch.Generator().manual_seed(1))[-1]
        shown.append(drawn.numpy().astype(np.float32))
        progress.report(_learned(history, shown))

    history = bandit.learn(
        METHODS[settings.method],
        iterations=settings.batches,
        callback=follow,
        objective=known(settings.weighting),
        keep=settings.keep,
        seed=settings.seed,
        **(PREFERENCE_OPTIONS if settings.method == "DPO" else {}),
    )
    return _learned(history, shown)


def _learned(history: Any, shown: list[NDArray]) -> Learned:
    """The record of a history and of the actions after each batch."""
    return Learned(np.array(history.reward), np.array(history.goals), np.stack(shown))


@lru_cache
def actions(name: str) -> NDArray:
    """Actions of a policy after learning with the first seed.

    Args:
        name: One of ``RUNS``, or "before" for the policy before learning.

    Returns:
        400 actions, shape (400, 2).

    Raises:
        ValueError: The name is unknown.
    """
    import torch

    from diffviz.policy import bandit

    one_of(name, "run", ("before", *RUNS))
    model = bandit.Flow(0) if name == "before" else learned(name)[0].model
    return bandit.act(model, 400, torch.Generator().manual_seed(1))[-1].numpy()


def goals() -> NDArray:
    """The four goals in the plane, shape (4, 2)."""
    from diffviz.policy.environment import FourGoals

    return np.asarray(FourGoals.goals)
