"""Experiments on policies: changes at two scales, what surrogates see of them, and learning runs."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from diffviz.lab.experiments.common import chosen
from diffviz.recipes.entries import objective
from diffviz.theory import elbo_mixture
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import LINEAR
from diffviz.theory.targets import EPS

DEFAULT = "FPO's default"  # eps loss on the linear path under uniform time
WEIGHTINGS = chosen("elbo") | {
    DEFAULT: Objective(DEFAULT, "policy", 2025, "arXiv 2507.21053", LINEAR, EPS)
}
WEIGHTINGS |= chosen(
    "iddpm-cosine", "edm", "sigmoid-bias2", "min-snr-5-eps", "fm-ot", "sd3", "indi"
)
DRAWS, SCALES = (1, 4, 8, 32, 128), np.logspace(-4, 1, 51)
RUNS: dict[
    str, tuple[str, dict[str, Any], int]
] = {  # method, options, seeds: what a notebook has time for
    "FPO": ("fpo", {"iterations": 36}, 3),
    "AWR": ("awr", {"iterations": 10}, 3),
    "DPO": ("dpo", {"iterations": 16, "batch": 1024, "epochs": 4, "beta": 1.0}, 3),
    "FPO + KL": ("fpo", {"iterations": 36, "keep": 0.3}, 2),
}


class Change(NamedTuple):
    """Exact log-ratio (n,) of a changed policy at n actions of the old one, and the surrogate (n,) of each weighting."""

    exact: NDArray
    surrogate: dict[str, NDArray]

    def correlation(self, name: str) -> float:
        """Of the surrogate with the exact log-ratio."""
        return float(np.corrcoef(self.surrogate[name], self.exact)[0, 1])

    def slope(self, name: str) -> float:
        """Of the surrogate on the exact log-ratio, least squares."""
        return float(np.polyfit(self.exact, self.surrogate[name], 1)[0])


@lru_cache
def _policies() -> tuple[Any, dict[str, Any], Any]:
    """Five modes on a line, of width 0.1 at distances of 1; changed in their shares, in their places, in both; 200 actions."""
    import torch

    from diffviz.data import toys

    places, even = (
        torch.linspace(-2, 2, 5, dtype=torch.float64)[:, None],
        torch.full((5,), 0.2, dtype=torch.float64),
    )
    share = torch.linspace(-0.6, 0.6, 5, dtype=torch.float64).softmax(0)
    moved = places + 0.03 * torch.tensor([1.0, -1.0, 1.0, 1.0, -1.0], dtype=torch.float64)[:, None]
    old = toys.mixture(places, 0.1, even)
    new = {"coarse": toys.mixture(places, 0.1, share), "fine": toys.mixture(moved, 0.1, even)}
    new["both"] = toys.mixture(moved, 0.1, share)
    return old, new, old.sample(200, torch.Generator().manual_seed(0))


@lru_cache
def changes() -> dict[str, Change]:
    """A coarse change of a policy, a fine one and both at once, by quadrature on λ in [−16, 16], without noise of draws."""
    from diffviz.sampling import likelihood

    old, new, x = _policies()
    errors = lambda toy: likelihood.elbo(toy, x, low=-16, high=16, levels=16, exact=True)
    before, found = errors(old), {}
    for name, toy in new.items():
        after, exact = errors(toy), (toy.log_prob(x) - old.log_prob(x)).numpy()
        # the catalogue's constant for the ELBO is w = 2; constants are free
        surrogate = {
            n: (before.weighted(o) - after.weighted(o)).numpy() for n, o in WEIGHTINGS.items()
        }
        found[name] = Change(exact, surrogate | {"elbo": surrogate["elbo"] / 2})
    return found


@lru_cache
def drawn(name: str, change: str = "coarse") -> dict[int, NDArray]:
    """Number of draws m to the surrogate's (m, n) single draws for a change of ``changes``, as an algorithm would see them."""
    from diffviz.policy import surrogates

    old, new, x = _policies()
    found = {}
    for m in DRAWS:
        at = surrogates.draws(WEIGHTINGS[name], x, m, np.random.default_rng(m))
        found[m] = (surrogates.losses(old, x, at) - surrogates.losses(new[change], x, at)).numpy()
    return found


def counted(ratio: float) -> float:
    """Correlation with the log-ratio of the mixed change, if its fine part were counted ``ratio`` times as its coarse part is."""
    coarse, fine, both = (changes()[name].exact for name in ("coarse", "fine", "both"))
    return float(np.corrcoef(coarse + ratio * fine, both)[0, 1])


@lru_cache
def gains(name: str) -> NDArray:
    """κ_w at ``SCALES`` over κ_w(1), shape of SCALES."""
    return np.array([elbo_mixture.gain(known(name), c) for c in SCALES]) / elbo_mixture.gain(
        known(name)
    )


def two_scale_correlation(ratio: float | NDArray, share: float = 0.5) -> float | NDArray:
    """Correlation with the log-ratio when its two independent parts are counted 1 and ``ratio`` times.

    Args:
        ratio: gain of the fine part over gain of the coarse part; share: of the log-ratio's variance that is coarse.
    """
    return (share + ratio * (1 - share)) / np.sqrt(share + ratio**2 * (1 - share))


def two_scales(
    x: NDArray, c: float, move: NDArray, at: tuple[NDArray, NDArray, NDArray]
) -> NDArray:
    """Single draws (m, n) of L_w(old) − L_w(new) for N(0, diag(1, c)) whose mean moves by ``move`` standard deviations.

    With s = sigmoid(λ + ln c) and r² = s (1 − s) the eps error of a direction is r (u − move) − s eps, u its standardised action.

    Args:
        x: standardised actions (n, 2); c: variance of the second direction; move: (2,).
        at: levels and factors (m, n), noise (m, n, 2), as from ``policy.draws``.
    """
    logsnr, factor, eps = at
    s = expit(logsnr[..., None] + np.array([0.0, np.log(c)]))
    r = np.sqrt(s * (1 - s))
    return factor * (r * move * (2 * (r * x - s * eps) - r * move)).sum(-1)


@lru_cache
def learned(name: str) -> list[Any]:
    """The histories of one of ``RUNS``, one for each seed, trained once in a process."""
    from diffviz.policy import bandit, surrogates

    method, options, seeds = RUNS[name]
    return [
        bandit.learn(method, seed=seed, objective=surrogates.MODES["eps"], **options)
        for seed in range(seeds)
    ]


@lru_cache
def actions(name: str) -> NDArray:
    """400 actions (400, 2) of the first seed's policy of ``RUNS`` after learning, or "before"."""
    import torch

    from diffviz.policy import bandit

    model = bandit.Flow(0) if name == "before" else learned(name)[0].model
    return bandit.act(model, 400, torch.Generator().manual_seed(1))[-1].numpy()


def known(name: str) -> Objective:
    """One of ``WEIGHTINGS``, else of the catalogue; a ValueError names near ones."""
    return WEIGHTINGS[name] if name in WEIGHTINGS else objective(name)
