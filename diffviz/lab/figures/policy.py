"""Figures of a diffusion loss in the place of log p, and what policies learn from it.

For a policy of independent directions the surrogate L_w(old) − L_w(new) is Σ κ_w(c) · log-ratio,
one gain for each scale c. Two directions, one of variance 1 and one of variance c, are enough to
see what a weighting does whose gain is not flat.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.transforms import offset_copy
from numpy.typing import NDArray

from diffviz import plots
from diffviz.checks import number
from diffviz.lab.experiments.policy import (
    DEFAULT,
    DRAWS,
    RUNS,
    SCALES,
    WEIGHTINGS,
    actions,
    changes,
    counted,
    fine_above,
    flatness,
    gains,
    goals,
    learned,
    mean_ratios,
    noisy_correlations,
    spread_of_draws,
)
from diffviz.lab.figures.registry import figure
from diffviz.lab.figures.style import NEUTRAL, label_ends, last_points, legend, line_of
from diffviz.plots.style import BEST, FOCUS, METHOD_COLOURS
from diffviz.policy.environment import FourGoals

RATIO_COLOURS = {
    "exponential first": FOCUS,
    "average first": plots.colour("fm-ot"),
    "FM without noise": plots.colour("fm-ot"),
    "exact ratio": BEST,
}
RATIO_LABELS = {"FM without noise": "fm-ot without noise"}
LABEL_OFFSETS = {  # in points
    "elbo": (-34, -14),
    "min-snr-5-eps": (9, -4),
    "sd3": (9, -12),
    "indi": (14, -11),
}
# How far labels at the ends of lines are moved from them, in units of log₁₀ κ.
END_OFFSETS = {"min-snr-5-eps": 0.06, "sd3": -0.09, "iddpm-cosine": -0.02}
GOALS_TITLE = "goals kept, a line for each seed"
LEARNERS = ("FPO", "AWR", "DPO")
AT_ONE_REWARD = "at an equal reward AWR has kept fewer goals"
REWARDS = np.arange(0.08, 1.0, 0.01)  # at which goals are counted
ROOM = 1.22  # for the names at the ends of lines, over the length of the longest
SHARES_AT = 3.2  # distance of the shares of goals from the horizontal axis of actions
BELOW, ABOVE = -9, 8  # points from the end of a line to its name
BAR_STEP = 0.16  # from one bar to the next, in doublings of the draws
APART = 3.0  # points between lines that would lie over one another
SEED_WIDTH = 1.4  # points of the line of a seed
COMPARED = ("FPO", "AWR")  # runs that come to rewards at which goals are lost
UNFINISHED = ("DPO",)  # runs that stop long before


@figure(
    "policy-gain",
    "The gain law: how often each weighting counts a change of the policy at scale c, over that "
    "at c = 1",
)
def gain_law(
    names: Sequence[str] = tuple(WEIGHTINGS), finest: float = SCALES[0], ax: Axes | None = None
) -> Axes:
    """Draw the gain of each weighting over the scale of a change.

    Each line is named where it starts. If that is another scale than the finest of the experiment's
    ``SCALES``, it is named where it ends, with how many times less the weighting counts a change at
    its start.

    Args:
        names: Weightings, of the experiment's ``WEIGHTINGS``, else of the catalogue.
        finest: The variance c at which the lines start.
        ax: Axes to draw on; new ones by default.

    Returns:
        The Axes.

    Raises:
        ValueError: A name is unknown, or ``finest`` is below ``SCALES`` or above 1.
    """
    finest = number(finest, "finest", SCALES[0], 1.0)
    start = np.log10(finest)
    whole = finest == SCALES[0]
    if ax is None:
        ax = plots.axes(8.4, 4.8, legend=0.0 if whole else 2.7)[0]
    log_c = np.r_[start, np.log10(SCALES[finest * 1.001 < SCALES])]
    curves = {name: np.interp(log_c, np.log10(SCALES), np.log10(gains(name))) for name in names}
    ax = plots.lines(
        log_c,
        curves,
        xlabel="log₁₀ c, c the variance of what changes   [fine ← → coarse]",
        ylabel="log₁₀ κ(c)/κ(1)",
        title="only a constant w counts fine and coarse changes alike",
        outside=None,
        colours=plots.colour,
        ax=ax,
    )
    lowest = min(curve[0] for curve in curves.values())
    ax.set(xlim=(start, 1.05), ylim=(lowest - 0.2, 0.8))
    ax.set_xticks(range(int(np.ceil(start)), 2))
    if whole:
        _name_starts(ax, start, curves)
    else:
        _name_ends(ax, finest, curves)
    return ax


def _name_ends(ax: Axes, finest: float, curves: Mapping[str, NDArray]) -> None:
    """Write beside the end of each line its name, and how many times less it counts its start."""
    words = {name: f"{name}: {_times_less(curve[0], finest)}" for name, curve in curves.items()}
    label_ends(ax, last_points(ax), plots.colour, labels=words, size=10)


def _name_starts(ax: Axes, start: float, curves: Mapping[str, NDArray]) -> None:
    """Write the name of each line on the left of its start, and make room for it."""
    ax.set(xlim=(start - 1.05, 1.05), ylim=(ax.get_ylim()[0], 1.1))
    for name, curve in curves.items():
        height = curve[0] + END_OFFSETS.get(name, 0.0)
        style = {"color": plots.colour(name), "fontsize": 9, "ha": "right", "va": "center"}
        ax.text(start - 0.06, height, name, style)


def _times_less(log_ratio: float, finest: float) -> str:
    """How many times less something is counted at a variance, of the log₁₀ of a ratio."""
    less = 10**-log_ratio
    if np.isclose(less, 1):
        return "alike"
    return f"{less:.{0 if less > 9.9 else 1}f} × less at c = {finest:g}"


def _draw_surrogates(ax: Axes) -> None:
    """Surrogates of two weightings over the exact log-ratio of the mixed change."""
    both = changes()["both"]
    diagonal = np.array([-1.6, 1.6])
    ax.plot(diagonal, diagonal, color="0.5", lw=1, ls=":", gid="exact")
    for name, marker in (("fm-ot", "o"), ("elbo", ".")):
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
        style: dict[str, Any] = {"textcoords": "offset points", "fontsize": 10, "color": colour}
        ax.annotate(name, place, offset, **style)
    marks = [
        Line2D([], [], marker="o", ms=8, mec=NEUTRAL, mfc=face, mew=2, ls="", label=label)
        for label, face in (("w never rises", NEUTRAL), ("w rises somewhere", "white"))
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


def draws_needed(
    which: Sequence[str] = ("both",),
    ax: Axes | None = None,
    names: Sequence[str] = ("elbo", "fm-ot", DEFAULT),
) -> Axes:
    """Draw the correlation of noisy surrogates with the exact log-ratio by number of draws.

    Dotted lines are the surrogates of the change in both at once without noise. With that change
    alone, a pale bar reaches from the least to the largest of eight other sets of draws.

    Args:
        which: Changes of the policy, of the experiment's ``CHANGES``.
        ax: Axes to draw on; new ones by default.
        names: Weightings, of the experiment's ``WEIGHTINGS``.

    Returns:
        The Axes.

    Raises:
        ValueError: A change or a weighting is unknown.
    """
    ax = ax or plots.axes(8.4, 4.4, legend=1.1)[0]
    for name in names:
        for change in which:
            ax.plot(
                np.log2(DRAWS),
                noisy_correlations(name, change),
                "o",
                ls="-" if change == "both" else plots.DASHES[1],
                color=plots.colour(name),
                lw=2,
                ms=4,
                gid=f"{name}, {change}",
                label=f"{name}, {change}" if len(which) > 1 else name,
            )
        if "both" in which:
            ceiling = changes()["both"].correlation(name)
            style: dict[str, Any] = {"color": plots.colour(name), "lw": 2, "ls": ":"}
            gid, label = f"{name}, both, without noise", f"{name}, without noise"
            ax.axhline(ceiling, gid=gid, label=label, zorder=1, **style)
    _mark_draws(ax)
    ax.set(
        xlabel="draws of (λ, ε) per action",
        ylabel="correlation with the exact log-ratio",
        title="the flatter gain pays with many draws only",
        ylim=(0.1, 1.08),
    )
    if len(which) > 1:
        legend(ax, loc="lower right", handlelength=4)
        return ax
    ends = {name: (np.log2(DRAWS[-1]), noisy_correlations(name, *which)[-1]) for name in names}
    ax.set_xlim(right=np.log2(DRAWS[-1]) + 0.08)  # dotted lines end before the names
    label_ends(ax, ends, plots.colour, size=10)
    if "both" in which:  # alone, since there is one change
        _draw_other_draws(ax, names)
    return ax


def _draw_other_draws(ax: Axes, names: Sequence[str]) -> None:
    """The range of other sets of draws for the mixed change; what bars and dots mean is told."""
    dotted = (0.0, max(changes()["both"].correlation(name) for name in names))
    words = "dotted: without noise;  bars: the range of eight other sets of draws"
    ax.annotate(words, dotted, (0, 4), textcoords="offset points", size=9)
    for place, name in enumerate(names):
        spread = spread_of_draws(name)
        beside = np.log2(DRAWS) + BAR_STEP * (place - (len(names) - 1) / 2)
        style: dict[str, Any] = {"lw": 5, "alpha": 0.45, "zorder": 1}
        gid = f"{name}: other draws"
        ax.vlines(beside, spread.min(0), spread.max(0), color=plots.colour(name), gid=gid, **style)


def fine_alone() -> Axes:
    """Draw how closely each weighting follows a fine change, whole and above λ = 2 alone.

    Returns:
        The Axes, a row for each of the experiment's ``WEIGHTINGS``.
    """
    (ax,) = plots.axes(7.6, 3.9)
    ax.figure.subplots_adjust(left=0.2)
    parts = fine_above()
    for row, (name, part) in enumerate(parts.items()):
        shade = plots.colour(name)
        ax.plot([part.whole, part.above], [row, row], color=shade, lw=1.2, zorder=1)
        ax.plot(part.whole, row, "o", ms=8, color=shade, gid=f"{name}: whole")
        ax.plot(part.above, row, "o", ms=8, mec=shade, mfc="white", mew=2, gid=f"{name}: above")
    ax.set(
        xlabel="correlation with the exact log-ratio of the fine change",
        title="above λ = 2 alone, every loss follows the fine change",
        ylim=(len(parts) - 0.5, -0.7),
        yticks=range(len(parts)),
        yticklabels=list(parts),
    )
    marks = [
        Line2D([], [], marker="o", ms=8, mec=NEUTRAL, mfc=face, mew=2, ls="", label=label)
        for label, face in (("the whole loss", NEUTRAL), ("its part above λ = 2", "white"))
    ]
    legend(ax, marks, loc="upper left", handletextpad=0.2)
    return ax


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
    noise, ratio = plots.axes(12, 4.6, columns=2, legend=1.4)
    draws_needed(("coarse", "both"), noise, ("fm-ot", DEFAULT))
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
        title="the mean ratio of fm-ot: averaging first brings it down",
        outside=None,
        colours=RATIO_COLOURS.__getitem__,
        ax=ax or plots.axes(8.0, 4.4, legend=1.4)[0],
    )
    _mark_draws(ax)
    for name in ("FM without noise", "exact ratio"):
        line_of(ax, name).set_linestyle(plots.DASHES[1])
    ax.set_ylim(0.8, 2.8)
    label_ends(ax, last_points(ax), RATIO_COLOURS.__getitem__, labels=RATIO_LABELS, size=10)
    return ax


def _draw_range(ax: Axes, names: Sequence[str], records: Mapping[str, NDArray]) -> None:
    """Mean of the seeds of each run by batch in a line, their range as a band behind it."""
    for name in names:
        _draw_band(ax, name, np.arange(records[name].shape[1]), records[name])
    ax.set(xlabel="batches of actions", xlim=(0, None))
    ax.margins(x=0)


def _draw_band(ax: Axes, name: str, at: NDArray, values: NDArray) -> None:
    """Mean of the seeds (n, k) at places (k,) in a line, their range as a band behind it."""
    colour = METHOD_COLOURS[name]
    low, high = values.min(0), values.max(0)
    ax.fill_between(at, low, high, color=colour, alpha=0.18, lw=0, gid=f"{name}:range")
    ax.plot(at, values.mean(0), color=colour, lw=2, gid=name, label=name)


def _draw_reward(ax: Axes, names: Sequence[str], title: str) -> None:
    """Mean reward by batch, mean and range of the seeds, each line named at its end."""
    rewards = {name: np.array([history.reward for history in learned(name)]) for name in names}
    _draw_range(ax, names, rewards)
    _name_last(ax, rewards, BELOW)
    ax.set(ylabel="mean reward", ylim=(0, 1.02), title=title)


def _name_last(ax: Axes, records: Mapping[str, NDArray], offset: int) -> None:
    """Write the name of each run beside the end of its line, wherever that is."""
    for name, values in records.items():
        end = (values.shape[1] - 1, values[:, -1].mean())
        style: dict[str, Any] = {"color": METHOD_COLOURS[name], "fontsize": 10, "va": "center"}
        ax.annotate(name, end, (6, offset), textcoords="offset points", gid=f"{name}:end", **style)
    longest = max(values.shape[1] for values in records.values()) - 1
    ax.set_xlim(0, ROOM * longest)
    ax.set_xticks([tick for tick in ax.get_xticks() if 0 <= tick <= longest])


def _draw_steps(ax: Axes, at: Mapping[str, NDArray], kept: Mapping[str, NDArray]) -> None:
    """Goals of each seed as steps, one line a seed, a little apart since many keep all for long.

    Args:
        ax: The Axes.
        at: Name of a run to the places of its values, shape (k,).
        kept: Name to the goals of its seeds, shape (seeds, k).
    """
    lines = [(name, seed) for name, of_seeds in kept.items() for seed in range(len(of_seeds))]
    for place, (name, seed) in enumerate(lines):
        rise = APART * ((len(lines) - 1) / 2 - place)
        moved = offset_copy(ax.transData, ax.get_figure(root=True), y=rise, units="points")
        ax.step(
            at[name],
            kept[name][seed],
            where="post",
            color=METHOD_COLOURS[name],
            lw=SEED_WIDTH,
            gid=f"{name}: seed {seed}",
            transform=moved,
        )


def _draw_goals_kept(ax: Axes, names: Sequence[str], title: str = GOALS_TITLE) -> None:
    """Goals kept by batch, a line for each seed."""
    kept = {name: np.array([history.goals for history in learned(name)]) for name in names}
    _draw_steps(ax, {name: np.arange(values.shape[1]) for name, values in kept.items()}, kept)
    _name_last(ax, kept, ABOVE)
    ax.set(xlabel="batches of actions")
    ax.set(ylabel="goals kept", ylim=(0, 4.6), title=title, yticks=range(5))


def _goals_when_passing(histories: Sequence[Any]) -> NDArray:
    """Goals of each run (n, k) when it first passes those of ``REWARDS`` that all runs reach."""
    rewards = [np.array(history.reward) for history in histories]
    reached = REWARDS[min(reward.max() for reward in rewards) > REWARDS]
    first = [(reward[:, None] > reached).argmax(0) for reward in rewards]
    return np.array([np.array(h.goals)[at] for h, at in zip(histories, first, strict=True)])


def _draw_goals_by_reward(ax: Axes, names: Sequence[str]) -> None:
    """Goals kept by the reward that a run has got to, a line for each seed."""
    kept = {name: _goals_when_passing(learned(name)) for name in names}
    _draw_steps(ax, {name: REWARDS[: values.shape[1]] for name, values in kept.items()}, kept)
    for name, values in kept.items():
        end = (REWARDS[values.shape[1] - 1], values[:, -1].mean())
        style: dict[str, Any] = {"color": METHOD_COLOURS[name], "fontsize": 10, "va": "center"}
        ax.annotate(name, end, (7, 0), textcoords="offset points", gid=f"{name}:end", **style)
    title = AT_ONE_REWARD if tuple(names) == COMPARED else GOALS_TITLE
    ax.set(xlabel="mean reward, when it is first passed", ylabel="goals kept", title=title)
    ax.set(xlim=(0, 1.12), ylim=(0, 4.6), yticks=range(5))


def _shares(found: NDArray) -> NDArray:
    """Share of each goal among the actions within two widths of a goal, for actions (n, 2)."""
    distance = np.linalg.norm(found[:, None] - goals(), axis=-1)
    nearest = distance.argmin(1)[distance.min(1) < 2 * FourGoals.width]
    return np.bincount(nearest, minlength=len(goals())) / max(len(nearest), 1)


def _draw_actions(ax: Axes, name: str, title: str) -> None:
    """Actions of a policy as dots, the goals as crosses with their shares of what comes near."""
    ax.plot(*goals().T, "+", ms=20, mew=1.5, color="black", gid="goals", zorder=3)
    colour = METHOD_COLOURS.get(name, "0.5")
    ax.plot(*actions(name).T, "o", ms=4, color=colour, alpha=0.5, mew=0, gid=name)
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
    for goal, share in zip(goals(), _shares(actions(name)), strict=True):
        place = (goal[0], SHARES_AT * np.sign(goal[1]))
        style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 9, "bbox": box}
        ax.text(*place, f"{share:.0%}".replace("%", " %"), gid=f"{name}:share", **style)
    ax.set(
        xlim=(-3.6, 3.6),
        ylim=(-3.6, 3.6),
        xticks=(-2, 0, 2),
        yticks=(-2, 0, 2),
        title=title,
        aspect="equal",
        xlabel="first component of an action",
        ylabel="second component",
    )


def learning_curves(runs: Sequence[str] = LEARNERS) -> Axes:
    """Draw reward by batch, mean and range of the seeds, and goals kept by reward, seed by seed.

    Args:
        runs: Some of the experiment's ``RUNS``. DPO's end before the goals can be compared, and
            stand in the left panel only.

    Returns:
        The panel of the reward.

    Raises:
        ValueError: A run is unknown.
    """
    reward, kept = plots.axes(11, 4.2, columns=2)
    _draw_reward(reward, runs, "reward: mean and range of three seeds")
    _draw_goals_by_reward(kept, [name for name in runs if name not in UNFINISHED])
    return reward


def clouds(runs: Sequence[str] = ("FPO", "AWR", "DPO")) -> Axes:
    """Draw actions before learning and after each run, with the four goals.

    Args:
        runs: Some of the experiment's ``RUNS``.

    Returns:
        The first panel.

    Raises:
        ValueError: A run is unknown.
    """
    panels = plots.axes(0.9 + 2.8 * (len(runs) + 1), 3.5, columns=len(runs) + 1)
    _draw_clouds(panels, runs)
    for ax in panels[1:]:
        ax.set_ylabel("")
    return panels[0]


def _draw_clouds(panels: Sequence[Axes], runs: Sequence[str]) -> None:
    """Actions before learning in the first panel, after each run in the others."""
    before, *after = panels
    _draw_actions(before, "before", "before learning")
    for ax, name in zip(after, runs, strict=True):
        batches = RUNS[name].options["iterations"]
        _draw_actions(ax, name, f"{name}, {batches} batches")


@figure(
    "policy-training",
    "Four goals in the plane: reward and goals kept by batch, three seeds; actions "
    "before and after",
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
    reward, kept, *rest = panels
    _draw_reward(reward, runs, "reward of three seeds each")
    _draw_goals_kept(kept, runs)
    _draw_clouds(rest, runs)
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
    _draw_goals_kept(kept, runs, "up to batch 36 the KL term keeps more goals")
    _draw_actions(after, "FPO + KL", "with the KL term, 36 batches")
    for ax in (reward, kept):
        ax.set_box_aspect(1)  # as high as the square of the actions
    return reward
