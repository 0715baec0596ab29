"""Figures 23 and 24: what a diffusion loss is worth in the place of log p, and what policies learn from it.

For a policy of independent directions the surrogate L_w(old) − L_w(new) is Σ κ_w(c) · log-ratio, one gain for each scale c; two
directions, one of variance 1 and one of variance c, are enough to see what a weighting that is not flat does.
"""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from diffviz import plots
from diffviz.lab.experiments.policy import (
    DEFAULT,
    DRAWS,
    RUNS,
    SCALES,
    WEIGHTINGS,
    actions,
    changes,
    counted,
    drawn,
    gains,
    learned,
)
from diffviz.lab.figures.registry import figure
from diffviz.theory import analysis

INK = {
    "FPO": "#D55E00",
    "AWR": "#0072B2",
    "DPO": "#009E73",
    "FPO + KL": "#CC79A7",
    "DDPO": "#7F7F7F",
}


@figure(
    "policy-gain",
    "The gain law: how often each weighting counts a change of the policy at scale c, over that "
    "at c = 1",
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
    "Surrogate against exact log-ratio: by weighting, by how flat its gain is, by the number of "
    "draws",
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
        falls = analysis.verdict(o).monotone
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


def _cloud(ax: Axes, name: str, title: str) -> None:
    from diffviz.policy import bandit

    ax.plot(*bandit.FourGoals.goals.T, "+", ms=12, mew=2, color="0.3", gid="goals")
    ax.plot(*actions(name).T, ".", ms=4, color=INK.get(name, "0.5"), alpha=0.6, mew=0, gid=name)
    ax.set(xlim=(-3, 3), ylim=(-3, 3), title=title, aspect="equal")


@figure(
    "policy-training",
    "Four goals in the plane: reward and goals kept by step, three seeds each; actions before and "
    "after",
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
