"""Figures of a diffusion loss in the place of log p, and what policies learn from it.

For a policy of independent directions the surrogate L_w(old) − L_w(new) is Σ κ_w(c) · log-ratio,
one gain for each scale c. Two directions, one of variance 1 and one of variance c, are enough to
see what a weighting does whose gain is not flat.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

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
    flatness,
    gains,
    goals,
    learned,
    mean_ratios,
    noisy_correlations,
)
from diffviz.lab.figures.registry import figure
from diffviz.lab.figures.style import NEUTRAL, legend, line_of
from diffviz.plots.style import FOCUS, OTHERS

# One colour for each method of learning, in all figures; the same in those of two roads.
METHOD_COLOURS = {
    "FPO": plots.PALETTE[1],
    "AWR": plots.PALETTE[0],
    "DPO": plots.PALETTE[2],
    "FPO + KL": plots.PALETTE[8],
    "DDPO": plots.PALETTE[9],
    "AWM": plots.PALETTE[5],
    "NFT": plots.PALETTE[4],
    "Flow-GRPO": OTHERS[5],
    "DanceGRPO": OTHERS[3],
    "CPS": plots.PALETTE[6],
    "DDIM": OTHERS[7],
}
RATIO_COLOURS = {
    "exponential first": FOCUS,
    "average first": plots.colour("fm-ot"),
    "FM without noise": plots.colour("fm-ot"),
    "exact ratio": plots.colour("elbo"),
}
LABEL_OFFSETS = {"elbo": (-34, -14), "min-snr-5-eps": (9, -4), "sd3": (9, -12)}  # in points
# How far labels at the ends of lines are moved from them, in units of log₁₀ κ.
END_OFFSETS = {"min-snr-5-eps": 0.06, "sd3": -0.09, "iddpm-cosine": -0.02}
GOALS_TITLE = "goals kept: those with ≥ 5 % of the hits"


@figure(
    "policy-gain",
    "The gain law: how often each weighting counts a change of the policy at scale c, over that "
    "at c = 1",
)
def gain_law(ax: Axes | None = None) -> Axes:
    """Draw the gain of each weighting over the scale of a change.

    Args:
        ax: Axes to draw on; new ones by default.

    Returns:
        The Axes.
    """
    curves = {name: np.log10(gains(name)) for name in WEIGHTINGS}
    ax = plots.lines(
        np.log10(SCALES),
        curves,
        xlabel="log₁₀ c, c the variance of what changes   [fine ← → coarse]",
        ylabel="log₁₀ κ(c)/κ(1)",
        title="only a constant w counts fine and coarse changes alike",
        outside=None,
        colours=plots.colour,
        ax=ax or plots.axes(8.4, 4.8)[0],
    )
    for name, curve in curves.items():
        height = curve[0] + END_OFFSETS.get(name, 0.0)
        style = {"color": plots.colour(name), "fontsize": 9, "ha": "right", "va": "center"}
        ax.text(np.log10(SCALES[0]) - 0.06, height, name, style)
    ax.set(xlim=(-5.05, 1.05), ylim=(-3.8, 1.1), xticks=range(-4, 2))
    return ax


def _draw_surrogates(ax: Axes) -> None:
    """Surrogates of three weightings over the exact log-ratio of the mixed change."""
    both = changes()["both"]
    diagonal = np.array([-1.6, 1.6])
    ax.plot(diagonal, diagonal, color="0.5", lw=1, ls=":", gid="exact")
    for name, marker in (("fm-ot", "o"), (DEFAULT, "s"), ("elbo", ".")):
        ax.plot(
            both.exact,
            both.surrogate[name] / both.slope(name),
            marker,
            ms=4,
            color=plots.colour(name),
            alpha=0.75,
            mew=0,
            label=f"{name}, correlation {both.correlation(name):.3f}",
            gid=name,
        )
    ax.set(
        xlabel="exact log-ratio",
        ylabel="surrogate / its slope",
        title="coarse and fine at once: one dot an action",
        ylim=(-2.8, 2.2),
    )
    legend(ax, loc="lower right", handletextpad=0.2)


def _draw_flatness(ax: Axes) -> None:
    """Correlation over how flat a gain is, hollow where w rises somewhere."""
    ratio = np.linspace(0, 1.02, 200)
    law = [counted(each) for each in ratio]
    ax.plot(ratio, law, color="0.5", lw=1.2, ls="--", gid="law", zorder=1)
    for name, flat in flatness().items():
        place = (flat.ratio, flat.correlation)
        colour = plots.colour(name)
        face = colour if flat.monotone else "white"
        ax.plot(*place, "o", ms=8, mec=colour, mfc=face, mew=2, gid=name)
        offset = LABEL_OFFSETS.get(name, (9, -7))
        ax.annotate(name, place, offset, textcoords="offset points", fontsize=9)
    marks = [
        Line2D([], [], marker="o", ms=8, mec=NEUTRAL, mfc=face, mew=2, ls="", label=label)
        for label, face in (("w falls everywhere", NEUTRAL), ("w rises somewhere", "white"))
    ]
    legend(ax, marks, loc="lower right", handletextpad=0.2)
    ax.set(
        xlabel="gain of the fine change / gain of the coarse one",
        ylabel="correlation with the exact log-ratio",
        title="the flatter the gain, the closer to log p",
        xlim=(-0.03, 1.05),
        ylim=(0.79, 1.01),
    )


def _mark_draws(ax: Axes) -> None:
    """Ticks at the numbers of draws, on an axis of their base-2 logarithm."""
    ax.set_xticks(np.log2(DRAWS), [str(m) for m in DRAWS])


def _draw_noise(ax: Axes) -> None:
    """Correlation over the number of draws, for two weightings and two changes."""
    for name in ("fm-ot", DEFAULT):
        for change, dash in (("coarse", "-"), ("both", plots.DASHES[1])):
            ax.plot(
                np.log2(DRAWS),
                noisy_correlations(name, change),
                "o",
                ls=dash,
                color=plots.colour(name),
                lw=2,
                ms=5,
                gid=f"{name}, {change}",
                label=f"{name}, {change}",
            )
    _mark_draws(ax)
    ax.set(
        xlabel="draws of (λ, ε) per action",
        ylabel="correlation with the exact log-ratio",
        title="more draws come closer to the log-ratio",
        ylim=(0.3, 1.03),
    )
    legend(ax, loc="lower right", handlelength=3)


@figure(
    "policy-ratio",
    "Surrogate against exact log-ratio: by weighting, and by how flat its gain is",
)
def policy_ratio() -> Axes:
    """Draw surrogates, and their correlation by flatness; returns the first panel."""
    scatter, flat = plots.axes(11, 4.8, columns=2)
    _draw_surrogates(scatter)
    _draw_flatness(flat)
    return scatter


@figure(
    "policy-draws",
    "How many draws: what they do for the correlation with the log-ratio, and for the mean of the "
    "ratio, averaged before the exponential and after it",
)
def policy_draws() -> Axes:
    """Draw correlations and mean ratios by the number of draws; returns the first panel."""
    noise, ratio = plots.axes(11, 4.6, columns=2)
    _draw_noise(noise)
    jensen(ratio)
    return noise


def jensen(ax: Axes | None = None) -> Axes:
    """Draw the mean ratio of new to old by number of draws.

    Args:
        ax: Axes to draw on; new ones by default.

    Returns:
        The Axes.
    """
    ax = plots.lines(
        np.log2(DRAWS),
        mean_ratios(),
        xlabel="draws of (λ, ε) per action",
        ylabel="mean of new / old over actions",
        title="the mean ratio: averaging first brings it down",
        colours=RATIO_COLOURS.__getitem__,
        ax=ax or plots.axes(6.6, 4.4)[0],
    )
    _mark_draws(ax)
    for name in ("FM without noise", "exact ratio"):
        line_of(ax, name).set_linestyle(plots.DASHES[1])
    ax.set_ylim(0.8, 2.8)
    legend(ax, loc="center right", handlelength=3)
    return ax


def _draw_reward(ax: Axes, names: Sequence[str], title: str) -> None:
    """Mean reward by batch, one line for each seed."""
    for name in names:
        for seed, history in enumerate(learned(name)):
            _draw_seed(ax, name, seed, np.array(history.reward, dtype=float))
    ax.set(xlabel="batches of actions", ylabel="mean reward", ylim=(0, 1.02), title=title)
    ax.legend(frameon=False, loc="lower right")


def _draw_goals_kept(ax: Axes, names: Sequence[str]) -> None:
    """Goals kept by batch, one line for each seed, slightly apart so that all are seen."""
    for place, name in enumerate(names):
        for seed, history in enumerate(learned(name)):
            apart = 0.03 * (place - len(names) / 2 + seed / 4)
            _draw_seed(ax, name, seed, np.array(history.goals, dtype=float) + apart)
    ax.set(
        xlabel="batches of actions",
        ylabel="goals kept",
        ylim=(0, 4.3),
        title=GOALS_TITLE,
        yticks=range(5),
    )


def _draw_seed(ax: Axes, name: str, seed: int, values: NDArray) -> None:
    """One line in the colour of the run and the dash of the seed."""
    ax.plot(
        values,
        color=METHOD_COLOURS[name],
        ls=plots.DASHES[seed],
        lw=1.6,
        gid=f"{name}, seed {seed}",
        label=None if seed else name,
    )


def _draw_actions(ax: Axes, name: str, title: str) -> None:
    """Actions of a policy as dots, the goals as crosses."""
    ax.plot(*goals().T, "+", ms=14, mew=2, color="0.2", gid="goals", zorder=3)
    colour = METHOD_COLOURS.get(name, "0.5")
    ax.plot(*actions(name).T, "o", ms=4, color=colour, alpha=0.5, mew=0, gid=name)
    ax.set(
        xlim=(-3, 3),
        ylim=(-3, 3),
        title=title,
        aspect="equal",
        xlabel="first component of an action",
        ylabel="second component",
    )


@figure(
    "policy-training",
    "Four goals in the plane: reward and goals kept by step, three seeds each; actions before and "
    "after",
)
def policy_training(runs: Sequence[str] = ("FPO", "AWR", "DPO")) -> Axes:
    """Draw reward and goals by batch, and actions before and after.

    Args:
        runs: Three of the experiment's ``RUNS``.

    Returns:
        The first panel.

    Raises:
        ValueError: A run is unknown, or there are not three.
    """
    panels = plots.axes(12, 7.8, columns=3, rows=2)
    panels[0].figure.subplots_adjust(hspace=0.36)
    reward, kept, before, *after = panels
    _draw_reward(reward, runs, "reward of three seeds each")
    _draw_goals_kept(kept, runs)
    for ax in (reward, kept):
        ax.set_xlim(0, 36)
    _draw_actions(before, "before", "before learning: N(0, I)")
    for ax, name in zip(after, runs, strict=True):
        batches = RUNS[name].options["iterations"]
        _draw_actions(ax, name, f"{name} after {batches} batches, seed 0")
    return reward


@figure(
    "policy-collapse",
    "Run longer, FPO loses goals; a KL term to the first policy holds them longer",
)
def policy_collapse() -> Axes:
    """Draw reward and goals with and without a KL term, and actions; returns the first panel."""
    reward, kept, after = plots.axes(12, 4.4, columns=3)
    runs = ("FPO", "FPO + KL")
    _draw_reward(reward, runs, "a KL term costs reward")
    _draw_goals_kept(kept, runs)
    _draw_actions(after, "FPO + KL", "with the KL term, 36 batches")
    return reward
