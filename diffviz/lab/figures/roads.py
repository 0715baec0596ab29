"""The figure of two roads to a likelihood: noise of the rules, what it costs, what is learned."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from diffviz import plots
from diffviz.lab.experiments.roads import COUNTS, ENDS, ROADS, RULES, equal_etas, excess, learned
from diffviz.lab.figures.registry import figure
from diffviz.lab.figures.style import legend

RULE_COLOURS = dict(zip(RULES, ("#0072B2", "#009E73", "#D55E00", "#7F7F7F"), strict=True))
ROAD_COLOURS = dict(
    zip(ROADS, ("#CC79A7", "#56B4E9", "#E69F00", "#0072B2", "#0072B2", "#D55E00"), strict=True)
)
ROAD_DASHES = {
    "AWM": plots.DASHES[1],
    "NFT": plots.DASHES[2],
    "Flow-GRPO as released": plots.DASHES[1],
    "CPS as released": plots.DASHES[3],
}


def draw_noise(ax: Axes, steps: int = 10, rules: Sequence[str] = RULES) -> None:
    """Draw the η of DDIM that adds as much noise as each rule does.

    Args:
        ax: Axes to draw on.
        steps: Number of equal steps of t.
        rules: Names of rules, of the experiment's ``RULES``.
    """
    times = np.linspace(*ENDS, steps + 1)[:-1]
    for name in rules:
        ax.plot(times, equal_etas(name, steps), "o-", ms=4, color=RULE_COLOURS[name], label=name)
    ax.invert_xaxis()
    ax.set(
        xlabel="t where a step starts   [noise → data]",
        ylabel="η of DDIM with as much noise",
        title=f"{steps} equal steps of t",
    )
    ax.set_ylim(bottom=0)


def draw_excess(ax: Axes, rules: Sequence[str] = RULES) -> None:
    """Draw the KL of trajectories over that of the actions, by the number of steps.

    Args:
        ax: Axes to draw on.
        rules: Names of rules, of the experiment's ``RULES``.
    """
    for name in rules:
        ratios = [excess(name, each) for each in COUNTS]
        ax.plot(COUNTS, ratios, "o-", ms=4, color=RULE_COLOURS[name], label=name)
    ax.set(
        xlabel="steps of a trajectory",
        ylabel="KL of trajectories / KL of actions",
        title="what the log-ratio of a trajectory adds",
        xscale="log",
        yscale="log",
    )
    ax.set_xticks(COUNTS, [str(each) for each in COUNTS])
    ax.minorticks_off()
    ax.set_ylim(0.8, 150)  # room for the legend above the curves
    legend(ax, loc="upper right", fontsize=8.5)


def draw_learning(ax: Axes, roads: Sequence[str] = ROADS) -> None:
    """Draw the mean reward over the calls of the network for each action.

    Args:
        ax: Axes to draw on.
        roads: Names of roads, of the experiment's ``ROADS``.
    """
    for name in roads:
        road = learned(name)
        colour = ROAD_COLOURS[name]
        dash = ROAD_DASHES.get(name, "-")
        low, high = road.reward.min(0), road.reward.max(0)
        ax.fill_between(road.calls, low, high, color=colour, alpha=0.15, lw=0)
        ax.plot(road.calls, road.reward.mean(0), color=colour, ls=dash, lw=1.8, label=name)
    ax.set(
        xlabel="calls of the network for each action",
        ylabel="mean reward",
        title="four goals: mean and range of three seeds",
        ylim=(0, 1.02),
    )
    legend(ax, loc="upper left", fontsize=8.5, handlelength=3)


@figure(
    "two-roads",
    "Two roads to a likelihood: the noise of three samplers as η of DDIM, what trajectories add to "
    "a log-ratio, and what policies learn for their calls",
)
def two_roads(steps: int = 10) -> Axes:
    """Draw the noise of the rules, their excess KL and what is learned.

    Args:
        steps: Number of steps of the first panel.

    Returns:
        The first panel.
    """
    noise, kl, learning = plots.axes(13.6, 4.4, columns=3)
    draw_noise(noise, steps)
    draw_excess(kl)
    draw_learning(learning)
    return noise
