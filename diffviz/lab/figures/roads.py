"""The figure of two roads to a likelihood: noise of the rules, what it costs, what is learned."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from diffviz import plots
from diffviz.lab.experiments.forward_process import (
    FIRST,
    FORWARD,
    LEARNED,
    forward_gains,
    forward_objective,
)
from diffviz.lab.experiments.policy import DEFAULT, SCALES
from diffviz.lab.experiments.roads import (
    COUNTS,
    ENDS,
    ROADS,
    RULES,
    equal_etas,
    excess,
    learned,
    rule,
    step_costs,
)
from diffviz.lab.figures.registry import figure
from diffviz.lab.figures.style import SHORT_LOGSNR, draw_under, label_ends, legend, named_lines
from diffviz.plots.style import METHOD_COLOURS

AWM_RELEASED = FORWARD[2]
LEVELS = np.linspace(-2, 4, 121)  # λ in nats, around the shoulder
NOISES = (0.1, 0.3, 1, 3)  # ticks of noise over ancestral noise
POLICY_TITLES = {
    FIRST: "w at the first policy",
    LEARNED: "w at four goals: a shoulder",
}
RATIOS = (1, 2, 5, 10, 20)  # ticks of KL over KL
UNDER_FM = {  # elsewhere FPO has its default
    "FPO": "FPO under fm-ot",
    "FPO as released": "FPO under fm-ot, as released",
}
PAIRS = {  # roads that are drawn side by side: title to their names
    "steps: as released, Flow-GRPO learns faster": (
        "Flow-GRPO",
        "Flow-GRPO as released",
        "CPS as released",
    ),
    "losses: as released, FPO does, too": ("FPO", "FPO as released"),
}
GOALS = 4
WEIGHTING_LABELS = {"FPO": DEFAULT, "AWM": "AWM in the paper: flow matching"}
FRAME = {"left": 0.06, "right": 0.99, "bottom": 0.24, "top": 0.92}  # of three panels
PAPER = "AWM"  # drawn dashed, since AWM as released has its colour, too
ROAD_DASHES = {
    "AWM": plots.DASHES[1],
    "NFT": plots.DASHES[2],
    "FPO as released": plots.DASHES[1],
    "Flow-GRPO as released": plots.DASHES[1],
    "CPS as released": plots.DASHES[3],
}


def method_colour(name: str) -> str:
    """The colour of a method, whatever its settings and whether it is "as released".

    Args:
        name: A name that begins with that of a method, such as "CPS, η_C = 0.5".

    Returns:
        The colour.
    """
    return METHOD_COLOURS[name.split(",")[0].removesuffix(" as released")]


def draw_noise(
    ax: Axes, steps: int = 10, rules: Sequence[str] = RULES, *, at_ends: bool = False
) -> None:
    """Draw the noise of each step over that of ancestral sampling, which is the η of DDIM.

    Args:
        ax: Axes to draw on.
        steps: Number of equal steps of t.
        rules: Names of rules, of the experiment's ``RULES``.
        at_ends: Whether the names stand beside the lines, for which the right margin needs room;
            else there is a legend.
    """
    times = np.linspace(*ENDS, steps + 1)[:-1]
    for name in rules:
        ax.plot(times, equal_etas(name, steps), "o-", ms=4, color=method_colour(name), label=name)
    ax.invert_xaxis()
    ax.set(
        xlabel="t where a step starts   [noise → data]",
        ylabel="noise over ancestral noise",
        title=f"DanceGRPO adds little until the end ({steps} steps)",
        yscale="log",
    )
    ax.set_yticks(NOISES, [str(each) for each in NOISES])
    ax.minorticks_off()
    if at_ends:
        _name_rules(ax)
    else:
        legend(ax, loc="upper center")


def _name_rules(ax: Axes) -> None:
    """Write the name of each rule beside the end of its line."""
    ends = {}
    for line in ax.lines:
        x, y = np.asarray(line.get_data(), dtype=float)
        ends[str(line.get_label())] = (float(x[-1]), float(y[-1]))
    label_ends(ax, ends, method_colour)


def draw_excess(ax: Axes, rules: Sequence[str] = RULES, *, at_ends: bool = False) -> None:
    """Draw the KL of trajectories over that of the actions that they end in, by number of steps.

    Args:
        ax: Axes to draw on.
        rules: Names of rules, of the experiment's ``RULES``.
        at_ends: Whether the names stand beside the lines, as in ``draw_noise``.
    """
    for name in rules:
        ratios = [excess(name, each) for each in COUNTS]
        ax.plot(COUNTS, ratios, "o-", ms=4, color=method_colour(name), label=name)
    ax.set(
        xlabel="steps of a trajectory",
        ylabel="KL of trajectories / KL of actions",
        title="of these only ancestral sampling comes down to 1",
        xscale="log",
        yscale="log",
    )
    ax.set_xticks(COUNTS, [str(each) for each in COUNTS])
    ax.set_yticks(RATIOS, [str(each) for each in RATIOS])
    ax.minorticks_off()
    ax.set_ylim(0.8, 40)
    if at_ends:
        _name_rules(ax)
    else:
        legend(ax, loc="upper right")


def noise_and_cost(steps: int = 10) -> Axes:
    """Draw the noise of the rules and their excess KL, with the names at the lines.

    Args:
        steps: Number of equal steps of t in the first panel.

    Returns:
        The first panel.
    """
    noise, kl = plots.axes(11.8, 4.4, columns=2, legend=1.5)
    noise.figure.subplots_adjust(wspace=0.62)
    draw_noise(noise, steps, at_ends=True)
    draw_excess(kl, at_ends=True)
    return noise


def costs_of_steps(steps: int = 10) -> Axes:
    """Draw what each step adds to the KL of trajectories, over the KL of their actions.

    Args:
        steps: Number of equal steps of t.

    Returns:
        The Axes.
    """
    (ax,) = plots.axes(8.6, 4.2, legend=2.4)
    times = np.linspace(*ENDS, steps + 1)[:-1]
    ends = {}
    for name in RULES:
        costs = step_costs(rule(name), steps)
        colour = method_colour(name)
        ax.plot(times, costs, "o-", ms=5, color=colour, label=name, gid=name)
        ends[f"{name}: sum {costs.sum():.1f}"] = (float(times[-1]), float(costs[-1]))
    ax.set(xlim=(1.02, times[-1] - 0.03), ylim=(0, None))
    ax.set(
        xlabel="t where a step starts   [noise → data]",
        ylabel="KL of the step / KL of actions",
        title=f"DanceGRPO pays where it adds little noise ({steps} steps)",
    )
    label_ends(ax, ends, method_colour, size=10, apart=0.08)
    return ax


def tempered() -> Axes:
    """Draw what policies learn with the ratio as written and with the released one, road by road.

    Returns:
        The first panel.
    """
    panels = plots.axes(12.6, 4.8, columns=2, legend=1.5)
    panels[0].figure.subplots_adjust(wspace=0.62)
    for ax, (title, names) in zip(panels, PAIRS.items(), strict=True):
        draw_learning(ax, names, at_ends=True)
        ax.set_title(title)
    panels[1].set_ylabel("")
    most = max(ax.get_xlim()[1] for ax in panels)
    for ax in panels:
        ax.set_xlim(0, most)  # so that equal slopes are equally fast
    return panels[0]


def draw_learning(ax: Axes, roads: Sequence[str] = ROADS, *, at_ends: bool = False) -> None:
    """Draw the mean reward over the calls of the network for each action.

    Args:
        ax: Axes to draw on.
        roads: Names of roads, of the experiment's ``ROADS``.
        at_ends: Whether the names stand beside the ends of the lines, for which the right margin
            needs room; else there is a legend.
    """
    ends: dict[str, tuple[float, float]] = {}
    for name in roads:
        road = learned(name)
        colour, label = method_colour(name), UNDER_FM.get(name, name)
        dash = ROAD_DASHES.get(name, "-")
        low, high = road.reward.min(0), road.reward.max(0)
        ax.fill_between(road.calls, low, high, color=colour, alpha=0.15, lw=0)
        mean = road.reward.mean(0)
        ax.plot(road.calls, mean, color=colour, ls=dash, lw=1.8, label=label, gid=name)
        ends[name] = (road.calls[-1], mean[-1])
    ax.set(
        xlabel="calls of the network for each action",
        ylabel="mean reward",
        title="tempered, Flow-GRPO learns faster",
        ylim=(0, 1.02),
    )
    if at_ends:
        _name_roads(ax, ends)
    else:
        legend(ax, loc="upper left", handlelength=3)


def _name_roads(ax: Axes, ends: Mapping[str, tuple[float, float]]) -> None:
    """Write each name beside the end of its line, and under it how many goals are kept."""
    ax.set_xlim(0, max(calls for calls, _ in ends.values()))
    labels = {name: f"{name}:\n{_goals_text(name)}" for name in ends}
    label_ends(ax, ends, method_colour, labels=labels, leaders=False, size=10, apart=0.13)


def _goals_text(name: str) -> str:
    """How many goals a policy keeps in the end, over the seeds."""
    kept = learned(name).goals[:, -1]
    number = f"{kept.min()}" if kept.min() == kept.max() else f"{kept.min()} to {kept.max()}"
    return f"{number} of {GOALS} goals"


@figure(
    "two-roads",
    "Two roads to a likelihood: the noise of three samplers over ancestral noise, what "
    "trajectories add to a log-ratio, and what policies learn for their calls",
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


def draw_local(ax: Axes, policy: str = FIRST, methods: Sequence[str] = FORWARD) -> None:
    """Draw what methods of the forward process weight at the errors of a policy.

    Args:
        ax: Axes to draw on.
        policy: One of the experiment's ``POLICIES``.
        methods: Names of methods, of the experiment's ``FORWARD``.
    """
    curves = {
        name: plots.scaled(
            forward_objective(name, policy).weighting(LEVELS), LEVELS, "log10, anchored", 0.0
        )
        for name in methods
    }
    plots.lines(
        LEVELS,
        curves,
        xlabel=SHORT_LOGSNR,
        ylabel="log₁₀ w on the ε error, 0 at λ = 0",
        title=POLICY_TITLES[policy],
        colours=method_colour,
        outside=None,
        ax=ax,
    )
    _tell_apart(ax, methods)
    ax.set(xlim=(LEVELS[0], LEVELS[-1]), ylim=(-1.5, 0.9), xticks=range(-2, 5))


def _tell_apart(ax: Axes, methods: Sequence[str]) -> None:
    """Dash what a paper has, and draw what a code has wide and pale where another lies over it."""
    for line in named_lines(ax):
        line.set_linestyle(plots.DASHES[1] if line.get_gid() == PAPER else "-")
    if AWM_RELEASED in methods:
        draw_under(ax, AWM_RELEASED)  # that of NFT lies over it


def draw_forward_gains(ax: Axes, methods: Sequence[str] = FORWARD) -> None:
    """Draw how strongly methods of the forward process count a change, by its scale.

    Args:
        ax: Axes to draw on.
        methods: Names of methods, of the experiment's ``FORWARD``.
    """
    plots.lines(
        np.log10(SCALES),
        {name: np.log10(forward_gains(name)) for name in methods},
        xlabel="log₁₀ c, c the variance of what changes",
        ylabel="log₁₀ κ(c)/κ(1)",
        title="gain: the released are steepest",
        colours=method_colour,
        outside=None,
        ax=ax,
    )
    _tell_apart(ax, methods)
    ax.set_xlim(right=np.log10(SCALES[-1]))


@figure(
    "forward-process",
    "What methods of the forward process weight: FPO, advantage-weighted matching and "
    "DiffusionNFT at the errors of two policies, and how they count a change by its scale",
)
def forward_process() -> Axes:
    """Draw the local weightings at two policies, and the gains.

    Returns:
        The first panel.
    """
    first, learned_policy, gains = plots.axes(13.3, 4.8, columns=3)
    shown = cast(Figure, first.figure)
    grid = shown.add_gridspec(1, 3, width_ratios=(1, 1.6, 1), wspace=0.3, **FRAME)
    for column, ax in enumerate((first, learned_policy, gains)):
        place = grid[0, column]
        ax.set_subplotspec(place)
        ax.set_position(place.get_position(shown))
    draw_local(first, FIRST)
    draw_local(learned_policy, LEARNED)
    learned_policy.set_ylabel("")  # that of the first panel
    draw_forward_gains(gains)
    lines = [line for line in named_lines(first) if line.get_gid() in FORWARD]
    labels = [WEIGHTING_LABELS.get(str(line.get_gid()), str(line.get_gid())) for line in lines]
    style: dict[str, Any] = {"loc": "lower center", "ncols": len(lines), "frameon": False}
    first.figure.legend(lines, labels, fontsize=11, handlelength=3, **style)
    return first
