"""The figure of few-step objectives: where they look, and what is learned of the flow map."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from numpy.typing import NDArray

from diffviz import plots
from diffviz.few_steps.objectives import few_step
from diffviz.lab.experiments import few_steps as experiments
from diffviz.lab.experiments.few_steps import (
    BOTH,
    DATA,
    EDGES,
    ENDS,
    NAMES,
    NO_FACTOR,
    PATH_STARTS,
    PUBLISHED,
    SEEDS,
    STEPS,
    UNIFORM,
    errors,
    errors_by_seed,
    learned_map,
    outcome,
    paths,
    plane,
    share_of_long_jumps,
)
from diffviz.lab.figures.registry import figure
from diffviz.lab.figures.style import NEUTRAL, label_ends, legend
from diffviz.plots.style import BEST, FOCUS

COLOURS = dict(zip(NAMES, plots.PALETTE, strict=False))
LEAST = 1e-5  # of the probability of a bin, below which the plane is left white
LONG = (0.9, 0.1)  # times between which a jump is long
FINDINGS = {
    DATA[0]: "one Gaussian: shortcut and ict are near in one step",
    DATA[1]: "two clusters: only shortcut is near throughout",
}
FORMS, OTHER_METHODS = NAMES[:2], NAMES[2:]  # of MeanFlow, and what is none
MAP_FINDINGS: dict[tuple[str, tuple[str, ...]], str] = {
    (DATA[0], FORMS): "one Gaussian: no MeanFlow follows the map",
    (DATA[0], OTHER_METHODS): "one Gaussian: shortcut and ict follow it",
    (DATA[1], FORMS): "two clusters: no MeanFlow follows the map",
    (DATA[1], OTHER_METHODS): "two clusters: shortcut steps near it, ict too far left",
}
CLUSTERS = {"30 % of the data": -1.5, "70 % of the data": 0.5}
EXACT, UNMOVED = "exact map", "not moved"
TITLES = {DATA[0]: "one Gaussian", DATA[1]: "two clusters"}
REACH = 2.5  # of states near pure noise that are drawn, in standard deviations
SIDE_BY_SIDE = 0.05  # by which share of their place points of neighbours are apart
HILL = 60.0  # height, in nats of the plane, of a bin that has all draws
WITHOUT, WITH = "without the factor", "with the factor"
FACTOR_COLOUR = plots.PALETTE[4]  # of what an adaptive factor makes of an objective


def colour(name: str) -> str:
    """The colour of a few-step objective, also with a remark, or of MeanFlow's adaptive factor."""
    if name in (WITHOUT, WITH):
        return FACTOR_COLOUR if name == WITH else COLOURS["meanflow"]
    return COLOURS.get(name.split(",")[0]) or NEUTRAL


def _mark_long_jumps(ax: Axes, share: float) -> None:
    """A dashed frame around the jumps from t > 0.9 to t < 0.1, with a word where it is empty."""
    left, bottom = (2 * np.log((1 - t) / t) for t in LONG)
    x = [EDGES[0], left, left]
    y = [bottom, bottom, EDGES[-1]]
    ax.plot(x, y, color=FOCUS, lw=1.2, ls=plots.DASHES[1], gid="long jumps")
    place = (EDGES[0] + 0.4, bottom + 0.3)
    words = "t > 0.9 to\nt < 0.1" + ("" if share else ":\nnone")
    ax.annotate(words, place, color=FOCUS, fontsize=10, va="bottom")


def _mark_whole_jump(ax: Axes, share: float) -> None:
    """The cell of the jump from pure noise to the data, where draws fall into it."""
    if share < LEAST:
        return
    words = f"from t = 1\nto r = 0:\n1 in {1 / share:,.0f}"
    cell = (EDGES[:2].mean(), EDGES[-2:].mean())
    ax.plot(*cell, "s", mec=FOCUS, mfc="none", ms=11, mew=1.4, clip_on=False, gid="whole jump")
    place = (EDGES[0] + 0.4, EDGES[-1] - 1.0)
    ax.annotate(words, place, color=FOCUS, fontsize=10, va="top")


def _plane_words(name: str) -> dict[str, str]:
    """Labels and title of a plane: jumps and how often they are long, or levels to compare."""
    share = share_of_long_jumps(name, *LONG)
    if share:
        return {
            "xlabel": "λ where a jump starts",
            "ylabel": "λ where it ends",
            "title": f"{name}: long jump 1 in {1 / share:,.0f}",
        }
    return {
        "xlabel": "λ of the noisier level",
        "ylabel": "λ of the level it is compared with",
        "title": f"{name}: compares neighbours",
    }


def draw_plane(ax: Axes, name: str, *, bar: bool = True) -> None:
    """Draw the probability of jumps over the plane (λ_t, λ_r), and below it that of the diagonal.

    The darker, the more often; jumps from pure noise or to the data stand at the edges. The hill at
    the bottom shows how often each level is drawn on the diagonal, on one scale in all planes.

    Args:
        ax: Axes to draw on.
        name: A key of ``dv.few_step_catalogue``.
        bar: Whether a bar beside the plane says what a shade means, which is the same for all.
    """
    mass, on = plane(name)
    shown = np.log10(np.where(mass < LEAST, np.nan, mass))
    mesh = ax.pcolormesh(EDGES, EDGES, shown.T, cmap="Greys", vmin=-5.5, vmax=-1.5, lw=0)
    ax.plot(EDGES[[0, -1]], EDGES[[0, -1]], color="0.6", lw=0.8, ls=":")
    _draw_hill(ax, name, on)
    _mark_long_jumps(ax, share_of_long_jumps(name, *LONG))
    _mark_whole_jump(ax, mass[0, -1])
    if bar:
        _explain_shades(ax, mesh)
    ax.set(xlim=EDGES[[0, -1]], ylim=EDGES[[0, -1]], **_plane_words(name))


def _explain_shades(ax: Axes, mesh: QuadMesh) -> None:
    """A bar on the right of a plane, which keeps its size."""
    place = ax.inset_axes((1.03, 0, 0.035, 1))
    shades = ax.figure.colorbar(mesh, cax=place, ticks=[-5, -4, -3, -2])
    place.set_ylim(bottom=np.log10(LEAST))  # the plane is white below
    place.set_yticklabels(["10⁻⁵", "10⁻⁴", "10⁻³", "10⁻²"], fontsize=9)
    shades.set_label("probability of a cell", fontsize=9)


def _draw_hill(ax: Axes, name: str, on: NDArray) -> None:
    """How often each level is drawn on the diagonal, as a hill on the lower edge of the plane."""
    share = few_step(name).diagonal_share
    text, ink = "neighbours, less than a cell\napart: no loss on the diagonal", "0.2"
    if on.any():
        height = EDGES[0] + HILL * on
        ax.stairs(
            height, EDGES, baseline=EDGES[0], fill=True, color=COLOURS[name], gid=f"{name} diagonal"
        )
        text, ink = f"{share:.0%} of the draws lie\non the diagonal,\nat these λ", COLOURS[name]
    ax.text(0.98, 0.04, text, transform=ax.transAxes, ha="right", fontsize=10, color=ink)


def draw_maps(
    ax: Axes,
    data: str,
    names: Sequence[str] = NAMES,
    *,
    ylim: tuple[float, float] | None = None,
) -> None:
    """Draw where one step of each network ends, over where it starts, beside the exact map.

    A line is one seed. A name stands at the right, where the middle one of its lines ends.

    Args:
        ax: Axes to draw on.
        data: One of the experiment's ``DATA``.
        names: Objectives to show, of the experiment's ``NAMES``.
        ylim: Ends of the vertical axis; by default those of the lines.
    """
    likely = _likely()
    tips = {EXACT: float(_exact_ends(data)[-1])}
    for name in names:
        of_seeds = learned_map(name, data)[:, likely]
        tips[name] = float(np.sort(of_seeds[:, -1])[len(of_seeds) // 2])
        _draw_ends(ax, of_seeds, COLOURS[name], name)
    _draw_exact_ends(ax, data)
    ax.set_title(MAP_FINDINGS.get((data, tuple(names)), TITLES[data]))
    ax.set_ylim(ylim)
    last = float(PATH_STARTS[likely][-1])
    ends_of_lines = {name: (last, tip) for name, tip in tips.items()}
    label_ends(ax, ends_of_lines, (COLOURS | {EXACT: BEST}).__getitem__)


def _draw_ends(ax: Axes, of_seeds: NDArray, colour: str, name: str) -> None:
    """Draw where one step of each seed ends, over where it starts; ``of_seeds`` is (k, n)."""
    for seed, ends in enumerate(of_seeds):
        ax.plot(PATH_STARTS[_likely()], ends, color=colour, lw=1.5, gid=f"{name}:{seed}")
    ax.set(
        xlabel=f"z at t = {ENDS[0]:g}   [a line for each of {len(SEEDS)} seeds]",
        ylabel=f"z at r = {ENDS[1]:g}, after one step",
        xlim=(-REACH, REACH),
    )
    ax.set_xticks(range(-2, 3))
    ax.locator_params(axis="y", nbins=5)  # of one digit, so that the label has room


def _draw_exact_ends(ax: Axes, data: str) -> None:
    """Draw where the exact flow ends."""
    starts = PATH_STARTS[_likely()]
    ax.plot(starts, _exact_ends(data), color=BEST, lw=2.6, ls=plots.DASHES[1], gid="exact")


def _exact_ends(data: str) -> NDArray:
    """Where the exact flow carries the states that are drawn, shape (n,)."""
    return paths(data).at(ENDS[1]).states[_likely()]


def one_step_maps() -> Axes:
    """Draw the maps of one step beside the exact one: a row for each data set.

    On the left are the forms of MeanFlow, on the right the others. Both have one scale.

    Returns:
        The first panel.
    """
    panels = plots.axes(11.4, 8.6, columns=2, rows=2, legend=1.0)
    panels[0].figure.subplots_adjust(wspace=0.5, hspace=0.34)
    places = iter(panels)
    for data in DATA:
        for names in (FORMS, OTHER_METHODS):
            ylim = _heights([learned_map(name, data) for name in NAMES])
            draw_maps(next(places), data, names, ylim=ylim)
    return panels[0]


def changes() -> Axes:
    """Draw the maps of one step of MeanFlow on two clusters, with changes of its training.

    In the lower row times are uniform, and in the right column there is no adaptive factor. The
    titles have the RMS distance from the exact map, the mean of the seeds. All panels have one
    scale.

    Returns:
        The first panel.
    """
    panels = plots.axes(11.4, 8.6, columns=2, rows=2)
    panels[0].figure.subplots_adjust(wspace=0.24, hspace=0.34)
    found = {change: outcome(change) for change in (PUBLISHED, NO_FACTOR, UNIFORM, BOTH)}
    exact = paths(DATA[1]).at(ENDS[1]).states
    ylim = _heights([exact, *(learned.ends for learned in found.values())])
    for ax, (change, learned) in zip(panels, found.items(), strict=True):
        _draw_ends(ax, learned.ends[:, _likely()], COLOURS["meanflow"], change)
        _draw_exact_ends(ax, DATA[1])
        ax.set(title=f"{change}: {learned.rms[:, 0].mean():.2f} off", ylim=ylim)
    lines = panels[0].lines
    legend(panels[0], [lines[0], lines[-1]], labels=["a network", EXACT], loc="lower right")
    return panels[0]


def guesses(t: float = 0.9) -> Axes:
    """Draw what the best network says of the data of two clusters, with and without the factor.

    Args:
        t: Time of the linear path, between 0 and 1.

    Returns:
        The axes.

    Raises:
        ValueError: The time is out of range.
    """
    z = np.linspace(-REACH, REACH, 121)
    found = experiments.guesses(t, z)
    (ax,) = plots.axes(7.6, 4.2)
    for name, centre in CLUSTERS.items():
        ax.axhline(centre, color=NEUTRAL, lw=1.2, ls=":")
        ax.text(REACH, centre + 0.09, name, ha="right", color="0.3", fontsize=9)
    ax.plot(z, found.mean, color=BEST, lw=2.6, ls=plots.DASHES[1], label=f"{WITHOUT}: the mean")
    ax.plot(z, found.with_factor, color=FACTOR_COLOUR, lw=2.0, label=WITH)
    ax.set(
        xlabel=f"z at t = {t:g}",
        ylabel="guess of x at which the loss is least",
        title="with the factor the best guess is a cluster, not the mean",
        xlim=(-REACH, REACH),
        ylim=(-1.8, 0.9),
    )
    legend(ax, loc="center left", bbox_to_anchor=(0.0, 0.3))
    return ax


def _heights(maps: Sequence[NDArray]) -> tuple[float, float]:
    """Ends of an axis that holds where several maps end, each (..., 121) over ``PATH_STARTS``."""
    ends = np.concatenate([each[..., _likely()].ravel() for each in maps])
    margin = 0.05 * float(np.ptp(ends))
    return float(ends.min()) - margin, float(ends.max()) + margin


def _likely() -> NDArray:
    """Which of the experiment's ``PATH_STARTS`` are drawn, shape (n,)."""
    return np.abs(PATH_STARTS) <= REACH


def distances(names: Sequence[str] = NAMES) -> Axes:
    """Draw the errors of one, two and four steps, a panel for each data set, with names at lines.

    Args:
        names: Objectives to show, of the experiment's ``NAMES``.

    Returns:
        The first panel.
    """
    return _by_data(partial(draw_errors, names=names, at_ends=True))


def _by_data(draw: Callable[[Axes, str], None]) -> Axes:
    """Draw each data set in a panel with room for names on its right; the first panel."""
    panels = plots.axes(11.4, 4.5, columns=2, legend=1.0)
    panels[0].figure.subplots_adjust(wspace=0.5)
    for ax, data in zip(panels, DATA, strict=True):
        draw(ax, data)
    return panels[0]


def draw_errors(
    ax: Axes, data: str, names: Sequence[str] = NAMES, *, at_ends: bool = False
) -> None:
    """Draw the error of one, two and four steps.

    Args:
        ax: Axes to draw on.
        data: One of the experiment's ``DATA``.
        names: Objectives to show, of the experiment's ``NAMES``.
        at_ends: Whether the names stand beside the lines, for which the right margin needs room;
            else there is a legend.
    """
    ends_of_lines: dict[str, tuple[float, float]] = {}
    for number, name in enumerate(names):
        by_seed = errors_by_seed(name, data)
        mean = by_seed.mean(0)
        place = np.array(STEPS) * (1 + SIDE_BY_SIDE * (number - (len(names) - 1) / 2))
        ax.plot(place, mean, "o-", color=COLOURS[name], ms=5, label=name)
        last = np.flatnonzero(np.isfinite(mean))[-1]
        ends_of_lines[name] = (place[last], mean[last])
        ends = mean - by_seed.min(0), by_seed.max(0) - mean
        ax.errorbar(place, mean, ends, fmt="none", color=COLOURS[name], lw=1.4, capsize=4)
    unmoved = errors(names[0], data).unmoved
    is_whole = set(names) == set(NAMES)
    ax.axhline(unmoved, color="0.3", lw=1.4, ls="--", label=UNMOVED)
    ax.set(
        xlabel=f"steps   [mean and range of {len(SEEDS)} seeds]",
        ylabel="RMS distance from the exact map",
        title=(FINDINGS if is_whole else TITLES)[data],
        xscale="log",
        xlim=(0.85, 4.5),
    )
    ax.set_ylim(0, 1.1 * max(unmoved, ax.dataLim.y1))
    ax.set_xticks(STEPS, [str(each) for each in STEPS])
    ax.minorticks_off()
    if at_ends:
        _name_errors(ax, ends_of_lines, unmoved)
    elif data == DATA[0]:  # where the lines leave room
        legend(ax, loc="center right", bbox_to_anchor=(1.0, 0.6))
    else:
        legend(ax, loc="upper right")


def _name_errors(ax: Axes, ends: dict[str, tuple[float, float]], unmoved: float) -> None:
    """Write names at the ends of lines, and beside a point where there is but one."""
    whole = {name: (ax.get_xlim()[1], height) for name, (at, height) in ends.items() if at > 2}
    colours = COLOURS | {UNMOVED: "0.3"}
    label_ends(ax, whole | {UNMOVED: (ax.get_xlim()[1], unmoved)}, colours.__getitem__)
    for name in ends.keys() - whole.keys():
        style: dict[str, Any] = {"color": COLOURS[name], "fontsize": 9, "va": "center"}
        ax.annotate(name, ends[name], (9, 8), textcoords="offset points", **style)


@figure(
    "few-steps",
    "Where four few-step objectives look in the plane of two levels, and how far one, two and four "
    "steps of a small network are from the exact flow map",
)
def few_steps(names: Sequence[str] = NAMES) -> Axes:
    """Draw the plane of each objective, and the errors on two data sets.

    Args:
        names: Four objectives, of the experiment's ``NAMES``.

    Returns:
        The first panel.
    """
    panels = plots.axes(15.8, 8.4, columns=3, rows=2)
    panels[0].figure.subplots_adjust(wspace=0.42)
    planes = (panels[0], panels[1], panels[3], panels[4])
    for ax, name in zip(planes, names, strict=True):
        draw_plane(ax, name, bar=ax is panels[1])
    for ax, data in zip((panels[2], panels[5]), DATA, strict=True):
        draw_errors(ax, data, names)
    return panels[0]
