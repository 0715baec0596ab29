"""Figures 23 and 24: what a diffusion loss is worth in the place of log p, and what policies learn from it.

For a policy of independent directions the surrogate L_w(old) − L_w(new) is Σ κ_w(c) · log-ratio, one gain for each scale c; two
directions, one of variance 1 and one of variance c, are enough to see what a weighting that is not flat does.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy.special import expit

from diffviz import plots, weightings
from diffviz.objectives import Objective
from diffviz.paths import LINEAR
from diffviz.recipes import objective
from diffviz.targets import EPS
from suite import mixtures
from suite.figures import chosen, figure

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
INK = {
    "FPO": "#D55E00",
    "AWR": "#0072B2",
    "DPO": "#009E73",
    "FPO + KL": "#CC79A7",
    "DDPO": "#7F7F7F",
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

    from diffviz import data

    places, even = (
        torch.linspace(-2, 2, 5, dtype=torch.float64)[:, None],
        torch.full((5,), 0.2, dtype=torch.float64),
    )
    share = torch.linspace(-0.6, 0.6, 5, dtype=torch.float64).softmax(0)
    moved = places + 0.03 * torch.tensor([1.0, -1.0, 1.0, 1.0, -1.0], dtype=torch.float64)[:, None]
    old = data.mixture(places, 0.1, even)
    new = {"coarse": data.mixture(places, 0.1, share), "fine": data.mixture(moved, 0.1, even)}
    new["both"] = data.mixture(moved, 0.1, share)
    return old, new, old.sample(200, torch.Generator().manual_seed(0))


@lru_cache
def changes() -> dict[str, Change]:
    """A coarse change of a policy, a fine one and both at once, by quadrature on λ in [−16, 16], without noise of draws."""
    from diffviz import likelihood

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
    from suite import policy

    old, new, x = _policies()
    found = {}
    for m in DRAWS:
        at = policy.draws(WEIGHTINGS[name], x, m, np.random.default_rng(m))
        found[m] = (policy.losses(old, x, at) - policy.losses(new[change], x, at)).numpy()
    return found


def counted(ratio: float) -> float:
    """Correlation with the log-ratio of the mixed change, if its fine part were counted ``ratio`` times as its coarse part is."""
    coarse, fine, both = (changes()[name].exact for name in ("coarse", "fine", "both"))
    return float(np.corrcoef(coarse + ratio * fine, both)[0, 1])


@lru_cache
def gains(name: str) -> NDArray:
    """κ_w at ``SCALES`` over κ_w(1), shape of SCALES."""
    return np.array([mixtures.gain(known(name), c) for c in SCALES]) / mixtures.gain(known(name))


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
    from suite import bandit, policy

    method, options, seeds = RUNS[name]
    return [
        bandit.learn(method, seed=seed, objective=policy.MODES["eps"], **options)
        for seed in range(seeds)
    ]


@figure(
    "policy-gain",
    "The gain law: how often each weighting counts a change of the policy at scale c, over that at c = 1",
)
def gain_law() -> Axes:
    ax = plots.axes(8.4, 4.4, legend=1.75)[0]
    curves = {name: np.log10(gains(name)) for name in WEIGHTINGS}
    plots.lines(np.log10(SCALES), curves, xlabel="log₁₀ c, c the variance of what changes   [fine ← → coarse]",
                ylabel="log₁₀ κ(c)/κ(1)", outside=True, colours=plots.colour, ax=ax)  # fmt: skip
    ax.set_ylim(-3.6, 1.1)
    return ax


@figure(
    "policy-ratio",
    "Surrogate against exact log-ratio: by weighting, by how flat its gain is, by the number of draws",
)
def policy_ratio() -> Axes:
    scatter, flat, noise = plots.axes(13.2, 4.6, columns=3)
    found = changes()
    exact = found["both"].exact
    line = np.array([-1.6, 1.6])
    scatter.plot(line, line, color="0.5", lw=1, ls=":", gid="exact")
    for name, mark in (("fm-ot", "o"), (DEFAULT, "s"), ("elbo", ".")):
        y = found["both"].surrogate[name] / found["both"].slope(name)
        label = f"{name}, correlation {found['both'].correlation(name):.3f}"
        scatter.plot(
            exact, y, mark, ms=4, color=plots.colour(name), alpha=0.75, mew=0, label=label, gid=name
        )
    scatter.set(
        xlabel="exact log-ratio",
        ylabel="surrogate / its slope",
        title="a coarse and a fine change at once",
        ylim=(-2.6, 2.2),
    )
    scatter.legend(frameon=False, fontsize=8.5, loc="lower right", handletextpad=0.2)

    r = np.linspace(0, 1.02, 200)
    flat.plot(r, [counted(one) for one in r], color="0.5", lw=1.2, ls="--", gid="law", zorder=1)
    for name, o in WEIGHTINGS.items():
        at = (
            found["fine"].slope(name) / found["coarse"].slope(name),
            found["both"].correlation(name),
        )
        falls = weightings.verdict(o).monotone
        face = plots.colour(name) if falls else "white"
        flat.plot(*at, "o", ms=8, mec=plots.colour(name), mfc=face, mew=2, gid=name)
        place = {"elbo": (-34, -14), "min-snr-5-eps": (9, -4), "sd3": (9, -10)}.get(name, (9, -7))
        flat.annotate(name, at, place, textcoords="offset points", fontsize=8.5)
    flat.set(xlabel="gain of the fine change / gain of the coarse one", ylabel="correlation with the exact log-ratio",
             title="filled: w falls everywhere; hollow: it does not", xlim=(-0.03, 1.05), ylim=(0.79, 1.01))  # fmt: skip

    for name in ("fm-ot", DEFAULT):
        for change, dash in (("coarse", "-"), ("both", plots.DASHES[1])):
            noisy = [
                np.corrcoef(one.mean(0), found[change].exact)[0, 1]
                for one in drawn(name, change).values()
            ]
            noise.plot(
                np.log2(DRAWS),
                noisy,
                "o",
                ls=dash,
                color=plots.colour(name),
                lw=2,
                ms=5,
                gid=f"{name}, {change}",
                label=f"{name}, {change}",
            )
    noise.set_xticks(np.log2(DRAWS), [str(m) for m in DRAWS])
    noise.set(
        xlabel="draws of (λ, ε) per action",
        ylabel="correlation with the exact log-ratio",
        title="noise of the draws",
        ylim=(0.3, 1.03),
    )
    noise.legend(frameon=False, fontsize=8.5, loc="lower right", handlelength=3)
    return scatter


@figure(
    "policy-draws",
    "Jensen: the mean of the ratio, with draws averaged before the exponential and after it",
)
def jensen() -> Axes:
    ax = plots.axes(6.6, 4.0)[0]
    singles = drawn("fm-ot")
    curves: dict[str, Any] = {
        "exponential first": [one.mean() for one in map(np.exp, singles.values())],
        "average first": [np.exp(one.mean(0)).mean() for one in singles.values()],
        "FM without noise": np.full(
            len(DRAWS), np.exp(changes()["coarse"].surrogate["fm-ot"]).mean()
        ),
        "exact ratio": np.full(len(DRAWS), np.exp(changes()["coarse"].exact).mean()),
    }
    plots.lines(
        np.log2(DRAWS),
        curves,
        xlabel="draws of (λ, ε) per action",
        ylabel="mean over actions of new / old",
        ax=ax,
    )
    ax.set_xticks(np.log2(DRAWS), [str(m) for m in DRAWS])
    for line in ax.lines[4::2]:
        line.set_linestyle(plots.DASHES[1])
    ax.set_ylim(0.8, 2.8)
    ax.legend(frameon=False, fontsize=9, loc="center right")
    return ax


def _curves(ax: Axes, names: tuple[str, ...], what: str) -> None:
    """One line a seed, slightly apart where it counts goals."""
    for place, name in enumerate(names):
        for seed, history in enumerate(learned(name)):
            y = np.array(getattr(history, what), dtype=float)
            off = 0.03 * (place - len(names) / 2 + seed / 4) if what == "goals" else 0.0
            ax.plot(
                y + off,
                color=INK[name],
                ls=plots.DASHES[seed],
                lw=1.6,
                gid=f"{name}, seed {seed}",
                label=name if not seed else None,
            )
    ax.set_xlabel("batches of actions")


@lru_cache
def actions(name: str) -> NDArray:
    """400 actions (400, 2) of the first seed's policy of ``RUNS`` after learning, or "before"."""
    import torch

    from suite import bandit

    model = bandit.Flow(0) if name == "before" else learned(name)[0].model
    return bandit.act(model, 400, torch.Generator().manual_seed(1))[-1].numpy()


def _cloud(ax: Axes, name: str, title: str) -> None:
    from suite import bandit

    ax.plot(*bandit.FourGoals.goals.T, "+", ms=12, mew=2, color="0.3", gid="goals")
    ax.plot(*actions(name).T, ".", ms=4, color=INK.get(name, "0.5"), alpha=0.6, mew=0, gid=name)
    ax.set(xlim=(-3, 3), ylim=(-3, 3), title=title, aspect="equal")


@figure(
    "policy-training",
    "Four goals in the plane: reward and goals kept by step, three seeds each; actions before and after",
)
def policy_training() -> Axes:
    panels = plots.axes(12, 7.4, columns=3, rows=2)
    reward, goals = panels[:2]
    names = ("FPO", "AWR", "DPO")
    for ax, what, label in ((reward, "reward", "mean reward"), (goals, "goals", "goals kept")):
        _curves(ax, names, what)
        ax.set(ylabel=label, xlim=(0, 36))
    reward.set(ylim=(0, 1.02), title="reward: three seeds each")
    goals.set(ylim=(0, 4.3), title="goals with ≥ 5 % of the hits", yticks=range(5))
    reward.legend(frameon=False, loc="lower right")
    _cloud(panels[2], "before", "before: N(0, I)")
    for ax, name in zip(panels[3:], names, strict=True):
        _cloud(ax, name, f"{name} after {RUNS[name][1]['iterations']} batches, seed 0")
    return reward


@figure(
    "policy-collapse",
    "Run longer, FPO loses goals; a KL term to the first policy holds them longer",
)
def policy_collapse() -> Axes:
    panels = plots.axes(12, 4.0, columns=3)
    _curves(panels[0], ("FPO", "FPO + KL"), "reward")
    _curves(panels[1], ("FPO", "FPO + KL"), "goals")
    panels[0].set(ylabel="mean reward", ylim=(0, 1.02), title="reward")
    panels[0].legend(frameon=False, loc="lower right")
    panels[1].set(
        ylabel="goals kept", ylim=(0, 4.3), title="goals with ≥ 5 % of the hits", yticks=range(5)
    )
    _cloud(panels[2], "FPO + KL", "with the KL term, seed 0")
    return panels[0]


def known(name: str) -> Objective:
    """One of ``WEIGHTINGS``, else of the catalogue; a ValueError names near ones."""
    return WEIGHTINGS[name] if name in WEIGHTINGS else objective(name)
