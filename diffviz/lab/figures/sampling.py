"""Figures of frames, straightness, solvers, grids, and when a sample is settled."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from diffviz import plots
from diffviz.lab.experiments.common import TIME
from diffviz.lab.experiments.sampling import (
    BANDS,
    COUNTS,
    GRIDS,
    HIGH,
    LAWS,
    LOW,
    OWN_GRIDS,
    SOLVERS,
    STEPS,
    Chain,
    Convergence,
    FrameWalks,
    OneStep,
    band_shares,
    churn_weights,
    convergence,
    ddpm_chain,
    ddpm_step,
    distance,
    exact_path,
    frame_walks,
    line_flow,
    off_chords,
    point_runs,
    settled,
    settled_bands,
    settled_photos,
)
from diffviz.lab.figures.registry import figure
from diffviz.lab.figures.style import (
    NEUTRAL,
    from_noise,
    label_ends,
    legend,
    line_of,
    name_curve,
    named_lines,
    one_of_row,
    share_height,
    title_over,
)
from diffviz.plots.style import BLUES, LIGHTER, LINE_BLUE, OTHERS, REFERENCE, VIVID
from diffviz.theory.paths import COSINE, LINEAR

if TYPE_CHECKING:
    from diffviz.sampling.integrate import Trajectory

FRAMES = {  # of titles
    "linear frame: paths go to the middle, then apart": LINEAR,
    "VP frame: the same paths over the same t, bent late": COSINE,
}
FRAME_SHARES = {"Euler, linear frame": 0.0, "Euler, half way": 0.5, "Euler, VP frame": 1.0}
OBJECTIVE_OF_GRID = dict(
    zip(GRIDS, ("fm-ot", "sd3", "v-cosine", "ddpm-linear", "edm"), strict=True)
)
EDMS = "EDM's grid"
# with ends of its own where all grids are cut to the same levels
CUT_NAMES = {name: name for name in GRIDS} | {
    EDMS: f"Karras, {LOW:g} to {HIGH:g}".replace("-", "−")
}
GRID_DASHES: dict[str, Any] = dict(
    zip(GRIDS, ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (7, 2, 1.5, 2)), "-"), strict=True)
)
BAND_COLOURS = *BLUES[:2], LINE_BLUE  # coarse to fine; no colour of a grid
BAND_NAMES = {"below 2": 0.2, "2 to 8": 0.32, "8 to 32": 0.62}  # where on FM's line each stands
CLUSTERS = {"ends below": plots.PALETTE[0], "ends above": plots.PALETTE[1]}
RK4, RK4_IN_ANGLE = "RK4 in λ", "RK4 in θ"  # one method in two variables
SOLVER_COLOURS = dict(
    zip(SOLVERS, (*OTHERS[:3], plots.PALETTE[0], VIVID[2], plots.PALETTE[4]), strict=True),
    DDPM=OTHERS[6],
)
EULER = "Euler"
EULER_SHADES = *LIGHTER, OTHERS[5]  # from the linear frame to the VP frame
CHURN_NAMES = {  # of lines of 100 steps: at which step, and how far from them, in points
    "DDIM": (8, (0, 9)),
    "half of DDPM's noise, η = 0.5": (76, (0, 9)),
    "DDPM, η = 1": (60, (-34, 6)),
}
NUMBERS_BELOW = 1, 4, 5, 6  # dots of the chain whose numbers stand below them
NOISE = "0.5"  # what is added on the way; no solver
VARIANCE_SHADES = ("0.64", "0.45", "0.25")  # from the least variance to the largest
ASKED = 0.3  # the share of the steps at which grids are compared
SMALL = FontProperties(size=9)
INSET, FRAME = 0.03, VIVID[2]  # of what marks a cell of the table
CALLS_ASKED = (12, 100)  # the calls at which the notebook asks for the best solver
DOT_WIDTHS = 13, 12, 10, 9, 8, 4.5  # of solvers from the back to the front, so that each is seen
MOST_CALLS = 1024  # where all lines of solvers end
STEP_COUNTS = tuple(2**power for power in range(3, 11))  # of solvers, up to those calls


def grid_colour(name: str) -> str:
    """The colour of a grid: that of the objective that it is the schedule of.

    Args:
        name: Name of a grid.

    Returns:
        A Matplotlib colour.
    """
    return plots.colour(OBJECTIVE_OF_GRID.get(name, name))


@figure(
    "two-frames",
    "Eleven paths of one flow in the linear and in the variance-preserving frame, coloured by "
    "where they end",
)
def two_frames(flow: "Trajectory | None" = None) -> Axes:
    """Draw the same paths in two frames over one time, coloured by the cluster they end in.

    Args:
        flow: A trajectory on the line, such as ``dv.sample`` returns; by default eleven points of
            noise that go to two clusters.

    Returns:
        The left panel.
    """
    panels = plots.axes(10.5, 4.2, columns=2)
    flow = line_flow() if flow is None else flow
    times, _ = flow.on(LINEAR)
    for ax, (name, path) in zip(panels, FRAMES.items(), strict=True):
        _, z = flow.on(path)
        _draw_frame(ax, times, np.asarray(z)[..., 0])
        ax.set(title=name, xlabel=TIME)
        ax.set_ylim(-2.3, 2.9)  # room for the legend
    panels[0].set_ylabel("z")
    legend(panels[0], _cluster_handles(), loc="upper center", ncols=3, columnspacing=1.2)
    return panels[0]


def _draw_frame(ax: Axes, times: NDArray, z: NDArray) -> None:
    """Paths (steps, n) over times (steps,), noise on the left, with their chords."""
    below, above = CLUSTERS.values()
    for k, path in enumerate(z.T):
        colour = below if path[-1] < 0 else above
        ax.plot(times, path, color=colour, lw=2, gid=f"path {k}")
        ax.plot(times[[0, -1]], path[[0, -1]], color="0.6", lw=0.8, ls=":", gid=f"chord {k}")
    from_noise(ax)


def _cluster_handles() -> list[Line2D]:
    """Handles of a legend for both clusters and the chords."""
    paths = [Line2D([], [], color=shade, lw=2, label=name) for name, shade in CLUSTERS.items()]
    return [*paths, Line2D([], [], color="0.6", lw=0.8, ls=":", label="straight line")]


@figure(
    "scaling-slider",
    "From the linear to the variance-preserving frame: DDIM does not move, Euler does (N(0, "
    "0.25), 6 steps)",
)
def scaling_slider(walks: FrameWalks | None = None) -> Axes:
    """Draw six steps in several frames, and where they end.

    Args:
        walks: What ``experiments.sampling.frame_walks`` returned; computed by default.

    Returns:
        The left panel.
    """
    left, right = plots.axes(10.5, 4.2, columns=2)
    walks = frame_walks() if walks is None else walks
    plots.lines(
        walks.time,
        walks.walks,
        xlabel=TIME,
        ylabel="z",
        title="6 steps from z = 1, all drawn in the VP frame",
        outside=None,
        colours=_walk_colour,
        ax=left,
    )
    name = "exact flow"
    left.plot(walks.exact_time, walks.exact, color=REFERENCE, lw=2, ls=":", gid=name, label=name)
    legend(left, handlelength=3)
    from_noise(left)
    colours = {"exact flow": REFERENCE, "DDIM": SOLVER_COLOURS["DDIM"], EULER: OTHERS[5]}
    plots.lines(
        walks.shares,
        walks.ends,
        xlabel="frame   [0 linear ← → 1 VP]",
        ylabel="where the 6 steps end",
        title="only Euler's end depends on the frame",
        colours=colours.__getitem__,
        ax=right,
    )
    line_of(right, "exact flow").set(ls=":", lw=2)
    for name, walk in walks.walks.items():  # where each line on the left ends, in its colour
        share = FRAME_SHARES.get(name)
        if share is not None:
            colour = line_of(left, name).get_color()
            right.plot([share], [walk[-1]], "o", color=colour, ms=7, gid=f"{name}, end", zorder=5)
    legend(right, handlelength=3)
    return left


def _walk_colour(name: str) -> str:
    """The colour of a walk: DDIM's own, or a shade for the frame of Euler's."""
    shades = dict(zip(FRAME_SHARES, EULER_SHADES, strict=True))
    return shades.get(name) or SOLVER_COLOURS[name]


def _draw_paths(ax: Axes, path: str, title: str, variances: Sequence[float]) -> None:
    """Exact paths of N(0, c) for several c, with their chords dotted."""
    t = np.linspace(0, 1, 201)
    curves = {f"c = {c:g}": exact_path(c, path, t) for c in variances}
    shades = dict(zip(curves, cycle(VARIANCE_SHADES), strict=False))
    colour = shades.__getitem__
    labels: dict[str, Any] = {"xlabel": TIME, "ylabel": "z", "title": title}
    plots.lines(t, curves, colours=colour, outside=None, ax=ax, **labels)
    for name in curves:
        line_of(ax, name).set_linestyle("-")  # the shades tell them apart
    for c in variances:
        ax.plot([0, 1], [np.sqrt(c), 1], color=colour(f"c = {c:g}"), lw=1, ls=":")
    ax.set_ylim(0, 1.05 * max(1.0, np.sqrt(max(variances))))
    from_noise(ax)
    ends = {name: (0.0, float(curve[0])) for name, curve in curves.items()}
    label_ends(ax, ends, colour, leaders=False)


@figure(
    "vp-vs-fm",
    "How straight an exact path is depends on the data: N(0, c) under flow matching and under "
    "VP-cosine",
)
def vp_vs_fm(shown: Sequence[float] = (0.01, 0.1, 1.0)) -> Axes:
    """Draw exact paths under both, and how far they leave their chords.

    Args:
        shown: Variances c of the data whose paths are drawn.

    Returns:
        The first panel.
    """
    linear, cosine, straight = plots.axes(12.5, 4.2, columns=3)
    linear.figure.subplots_adjust(wspace=0.46)  # for the names at the ends of paths
    _draw_paths(linear, "FM", "linear path (FM): bent more for larger c", shown)
    _draw_paths(cosine, "VP", "cosine path (VP): c = 1 does not move", shown)
    legend(linear, [Line2D([], [], color="0.5", lw=1, ls=":", label="chord")], loc="lower left")
    variances = np.geomspace(0.005, 4, 60)
    colours = {"FM": grid_colour("FM, uniform t"), "VP": grid_colour("VP cosine")}
    plots.lines(
        variances,
        off_chords(variances),
        xlabel="variance c of the data",
        ylabel="largest distance from the chord",
        title="which is straighter depends on c",
        outside=None,
        colours=colours.__getitem__,
        ax=straight,
    )
    named = [line_of(straight, name) for name in colours]
    legend(straight, named, labels=["linear path (FM)", "cosine path (VP)"], loc="upper left")
    for name, distances in off_chords(shown).items():
        straight.plot(shown, distances, "o", color=colours[name], gid=f"{name}, dots")
    straight.set_xscale("log")
    return linear


@figure(
    "churn",
    "Weight of each prediction in the final sample, 100 steps of the cosine grid: flat for DDIM, "
    "rising for DDPM",
)
def churn(weights: dict[float, NDArray] | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw how much each step's prediction counts, with several shares of DDPM's noise.

    Args:
        weights: What ``experiments.sampling.churn_weights`` returned; computed by default.
        ax: Axes to draw on; new ones by default.

    Returns:
        The Axes.
    """
    labels = {0.0: "DDIM", 0.5: "half of DDPM's noise, η = 0.5", 1.0: "DDPM, η = 1"}
    weights = churn_weights(tuple(labels)) if weights is None else weights
    curves = {labels.get(eta, f"η = {eta:g}"): weight for eta, weight in weights.items()}
    steps = len(next(iter(curves.values())))
    ax = plots.lines(
        np.arange(1, steps + 1),
        curves,
        xlabel="step   [noise ← → data]",
        ylabel="|direct weight| of its v̂ in the last z",
        title=f"DDIM counts each v̂ alike, DDPM forgets the early ones ({steps} steps)",
        colours=_churn_colours(curves),
        outside=None,
        ax=ax,
    )
    for name in curves:
        name_curve(ax, name, *CHURN_NAMES.get(name, (0.5 * steps, (0, 9))))
    flat = np.sin(np.pi / (2 * steps))
    ax.axhline(flat, color=NEUTRAL, ls=":", lw=1)
    ax.annotate(f"sin(π/{2 * steps}) = {flat:.6f}", (0.62 * steps, 0.91 * flat), fontsize=9)
    ax.title.set_fontsize(11)
    ax.set_ylim(0, None)
    ax.figure.subplots_adjust(left=0.13)
    return ax


def _churn_colours(curves: Iterable[str]) -> Callable[[str], str]:
    """DDIM and DDPM in their own colours, what lies between in those of no solver."""
    others = cycle(("0.5", OTHERS[7], plots.PALETTE[2]))
    shades = {name: SOLVER_COLOURS.get(name.split(",")[0]) or next(others) for name in curves}
    return shades.__getitem__


def _draw_chain(ax: Axes, chain: Chain) -> None:
    """DDPM's steps as dots on a chain of DDIM steps and noise."""
    for step in range(len(chain.grid) - 1):
        first = 2 * step
        down, back = slice(first, first + 2), slice(first + 1, first + 3)
        ax.plot(
            chain.level[down],
            chain.z[down],
            color=SOLVER_COLOURS["DDIM"],
            lw=2,
            gid=f"down {step}",
            label="" if step else "DDIM, twice the length",
        )
        ax.plot(
            chain.level[back],
            chain.z[back],
            color=NOISE,
            lw=1.2,
            ls=plots.DASHES[2],
            label="" if step else "noise, half way back",
        )
    own: dict[str, Any] = {"color": SOLVER_COLOURS["DDPM"], "label": "DDPM, the same draws"}
    ax.plot(chain.grid, chain.ddpm, "o", ms=6, gid="DDPM", **own)
    for step, place in enumerate(zip(chain.grid, chain.ddpm, strict=True)):
        beside = (-3, -15) if step in NUMBERS_BELOW else (-5, 7)
        ax.annotate(
            str(step), place, beside, textcoords="offset points", color=SOLVER_COLOURS["DDPM"]
        )
    ax.margins(y=0.12)
    ax.set(
        xlabel="log-SNR λ   [nats; noise ← → data]",
        ylabel="z, VP frame",
        title="each DDPM step: a long DDIM step, and noise",
    )
    legend(ax)


@figure(
    "ddpm-is-ddim",
    "A DDPM step is a DDIM step of twice the length in log-SNR, and noise half of the way back",
)
def ddpm_is_ddim(chain: Chain | None = None, step: OneStep | None = None) -> Axes:
    """Draw one chain both ways, and both laws of one step.

    Args:
        chain: What ``experiments.sampling.ddpm_chain`` returned; computed by default.
        step: What ``experiments.sampling.ddpm_step`` returned; computed by default.

    Returns:
        The left panel.
    """
    left, right = plots.axes(10.5, 4.2, columns=2)
    _draw_chain(left, ddpm_chain() if chain is None else chain)
    step = ddpm_step() if step is None else step
    shades = SOLVER_COLOURS["DDPM"], SOLVER_COLOURS["DDIM"]
    colours = dict(zip(step.densities, shades, strict=False))
    plots.lines(
        step.middle,
        step.densities,
        xlabel="z at λ = 1, one step after z = 0.4 at λ = −1",
        ylabel="density",
        title="one step, drawn both ways: one law",
        outside=None,
        colours=colours.__getitem__,
        ax=right,
    )
    right.lines[2].set_linestyle(plots.DASHES[1])  # two samples of one law
    labels = [name.replace(", noise", " + noise") for name in step.densities]
    legend(right, named_lines(right), labels=labels, loc="upper right", handlelength=3)
    right.set_ylim(0, 1.35 * max(density.max() for density in step.densities.values()))
    return left


def _draw_bands(ax: Axes) -> None:
    """R² in bands of frequency: a blue for each band, and for each grid its dash and a key."""
    bands = settled_bands()
    curves = {f"{band}, {grid[:2]}": values for (grid, band), values in bands.items()}
    colours = {name: BAND_COLOURS[k % len(BANDS)] for k, name in enumerate(curves)}
    plots.lines(
        np.linspace(0, 1, 101),
        curves,
        xlabel=STEPS,
        ylabel="R² in bands of cycles per image",
        title="photographs: coarse first",
        colours=colours.__getitem__,
        outside=None,
        ax=ax,
    )
    for grid, band in bands:
        line_of(ax, f"{band}, {grid[:2]}").set_linestyle(GRID_DASHES[grid])
    for band, share in band_shares().items():
        label = f"{band}\n({share:.0%})"
        name_curve(ax, f"{band}, FM", BAND_NAMES[band], (9, -14), label=label, ha="left")
    grids = dict.fromkeys(grid for grid, _ in bands)
    keys = [
        Line2D([], [], color=NEUTRAL, lw=2, ls=GRID_DASHES[grid], label=grid.split(",")[0])
        for grid in grids
    ]
    legend(ax, keys, loc="lower right", handlelength=2.5)


def _name_by_share(ax: Axes, names: Mapping[str, str], handlelength: float) -> None:
    """A legend from the earliest grid to the latest, with R² after ``ASKED`` of the steps."""

    def share(name: str) -> float:
        x, y = (np.asarray(values, dtype=float) for values in line_of(ax, name).get_data())
        return float(np.interp(ASKED, x, y))

    ordered = sorted(names, key=share, reverse=True)
    lines = [line_of(ax, name) for name in ordered]
    labels = [f"{share(name):.2f}  {names[name]}" for name in ordered]
    place: dict[str, Any] = {"loc": "lower right", "handlelength": handlelength}
    drawn = legend(ax, lines, labels=labels, handletextpad=handlelength / 4, **place)
    drawn.set_title(f"R² after {ASKED:.0%} of the steps".replace("%", " %"), prop=SMALL)
    for text, line in zip(drawn.get_texts(), lines, strict=True):
        text.set_color(line.get_color())
    ax.axvline(ASKED, color=NEUTRAL, ls=":", lw=1, gid="asked")


@figure(
    "early-commitment",
    "Share of the final sample already explained along the steps: it is the grid and the "
    "spectrum, with no weighting at all",
)
def early_commitment(size: int = 64) -> Axes:
    """Draw R² along the steps for photographs, digits and bands.

    Args:
        size: Pixels a side of the images on the left, up to 256.

    Returns:
        The first panel.
    """
    panels = plots.axes(12, 4.8, columns=3)
    photos, digits, bands = panels
    plots.lines(
        np.linspace(0, 1, 101),
        {name: settled_photos(path, size) for name, path in GRIDS.items()},
        xlabel=STEPS,
        ylabel="R² of x̂ with the end of the walk",
        title=f"photographs {size}²: two are early",
        colours=grid_colour,
        outside=None,
        ax=photos,
    )
    plots.lines(
        np.linspace(0, 1, 61),
        {name: settled("digits", name) for name in GRIDS},
        xlabel=STEPS,
        ylabel="",
        title="digits: the same two are early",
        colours=grid_colour,
        outside=None,
        ax=digits,
    )
    for name in GRIDS:  # one dash for one grid, in both panels
        for ax in (photos, digits):
            line_of(ax, name).set_linestyle(GRID_DASHES[name])
    for ax in (photos, digits):
        line_of(ax, EDMS).set(lw=3.5, zorder=1.9)  # seen under the dashes that lie on it
    names = {name: name for name in GRIDS}
    _name_by_share(photos, names, handlelength=3)
    _name_by_share(digits, names | {EDMS: f"{EDMS}, moved"}, handlelength=0)  # short of room
    _draw_bands(bands)
    for ax in panels:
        ax.set_ylim(-0.02, 1.02)
    return photos


@figure(
    "solver-orders",
    "Error against calls, by solver and grid, on a mixture with the exact denoiser; slopes are "
    "the solvers' orders",
)
def solver_orders(data: str = "gmm2d") -> Axes:
    """Draw errors by calls, one panel for each grid.

    Args:
        data: Name of a toy.

    Returns:
        The first panel.

    Raises:
        ValueError: There is no such toy.
    """
    panels = plots.axes(13.0, 8.0, columns=2, rows=2)
    for ax, grid in zip(panels, LAWS, strict=True):
        records = convergence(grid, data, STEP_COUNTS)
        plots.lines(
            {name: record.calls for name, record in records.items()},
            {name: record.errors for name, record in records.items()},
            xlabel="calls of the denoiser",
            ylabel="rms error of the last z",
            title=f"{grid}: {_winners(records)}",
            colours=SOLVER_COLOURS.__getitem__,
            outside=None,
            ax=ax,
        )
        for name in records:
            dash: Any = plots.DASHES[name == RK4]
            line_of(ax, name).set_linestyle(dash)
        ax.axhline(1e-2, color=NEUTRAL, ls=":", lw=1)
        for calls in CALLS_ASKED:
            ax.axvline(calls, color=NEUTRAL, ls=":", lw=1)
        ax.set(xscale="log", yscale="log", xlim=(7, MOST_CALLS), ylim=(1e-11, 2e3))
        _mark_calls(ax, records, CALLS_ASKED[0])
        _name_ends(ax, records)
    for ax in (panels[1], panels[3]):
        ax.set_ylabel("")
    _explain_dashes(panels[0])
    _write_errors(panels[0], convergence(LAWS[0], data, STEP_COUNTS), CALLS_ASKED[0])
    panels[0].figure.subplots_adjust(hspace=0.34, wspace=0.62, right=0.84)
    return panels[0]


def _mark_calls(ax: Axes, records: dict[str, Convergence], calls: int) -> None:
    """A dot for each solver at one number of calls, the smaller ones in front."""
    ordered = sorted(records.items(), key=_is_in_front)
    for (name, record), width in zip(ordered, DOT_WIDTHS, strict=True):
        style: dict[str, Any] = {"s": width**2, "color": SOLVER_COLOURS[name], "zorder": 3}
        ax.scatter([calls], [_error_at(record, calls)], gid=f"{name}, {calls} calls", **style)


def _error_at(record: Convergence, calls: int) -> float:
    """The error of a solver at one of its numbers of calls."""
    return float(record.errors[record.calls == calls].item())


def _write_errors(ax: Axes, records: dict[str, Convergence], calls: int) -> None:
    """The errors of RK4 in both variables, beside their dots."""
    for name, place in {RK4: (8, 3), RK4_IN_ANGLE: (24, -26)}.items():
        error = _error_at(records[name], calls)
        ax.annotate(
            f"{error:.2g}" if error < 1 else f"{error:.0f}",
            (calls, error),
            place,
            textcoords="offset points",
            ha="left" if name == RK4 else "right",
            color=SOLVER_COLOURS[name],
            fontsize=11,
            fontweight="bold",
            gid=f"error of {name}",
        )


def _is_in_front(record: tuple[str, Convergence]) -> bool:
    """Whether the dot of a solver lies before the others."""
    return record[0] == RK4_IN_ANGLE


def _explain_dashes(ax: Axes) -> None:
    """A legend of the two lines of RK4, and of the dots."""
    keys = [
        Line2D([], [], color=SOLVER_COLOURS[RK4], lw=2.5, ls=plots.DASHES[1], label=RK4),
        Line2D([], [], color=SOLVER_COLOURS[RK4_IN_ANGLE], lw=2.5, label=RK4_IN_ANGLE),
        Line2D([], [], color="0.4", marker="o", ls="", label=f"at {CALLS_ASKED[0]} calls"),
    ]
    drawn = legend(ax, keys, loc="lower left", bbox_to_anchor=(0.12, 0), handlelength=4)
    drawn.set_title("one method", prop=SMALL)


def _winners(records: dict[str, Convergence]) -> str:
    """The solvers with the least error at few and at many calls, on the lines that are drawn."""
    best = []
    for calls in CALLS_ASKED:
        errors = {
            name: np.interp(np.log(calls), np.log(one.calls), np.log(one.errors))
            for name, one in records.items()
            if one.calls[0] <= calls
        }
        name = min(errors, key=lambda name: errors[name])
        best.append(name)
    few, many = best
    fewest, most = CALLS_ASKED
    if few == many:
        return f"{few} best at {fewest} and {most}"
    return f"{few} best at {fewest}, {many} at {most}"


def _name_ends(ax: Axes, records: dict[str, Convergence]) -> None:
    """Names and orders of the solvers beside the axes, where their lines leave them."""
    ends = {name: (MOST_CALLS, _error_at(record, MOST_CALLS)) for name, record in records.items()}
    labels = {name: f"{name}: order {record.order:.2f}" for name, record in records.items()}
    colours = SOLVER_COLOURS.__getitem__
    label_ends(ax, ends, colours, labels=labels, apart=0.08, size=10)


def _draw_distances(ax: Axes, grid: str, counts: Sequence[int]) -> None:
    """Distances by steps on one grid: the exact denoiser, and from best to worst network."""
    trainings = [name for name in point_runs() if name != "exact"]
    exact = [distance("exact", grid, steps) for steps in counts]
    learnt = [[distance(name, grid, steps) for steps in counts] for name in trainings]
    colour = grid_colour(grid)
    label = "exact denoiser"
    ax.plot(counts, exact, color=colour, lw=2, gid=f"exact: {grid}", label=label)
    ax.fill_between(
        counts,
        np.min(learnt, axis=0),
        np.max(learnt, axis=0),
        color=colour,
        alpha=0.35,
        lw=0,
        gid=f"trained: {grid}",
        label="four networks",
    )
    ax.set(xscale="log", yscale="log", xlabel="DDIM steps", title=CUT_NAMES[grid])
    ax.set(xticks=counts, xticklabels=counts)
    ax.minorticks_off()


def _draw_table(ax: Axes, steps: int) -> None:
    """Distances at one number of steps: rows are trainings, columns sampling grids."""
    rows = list(point_runs())
    table = np.array([[distance(trained, grid, steps) for grid in GRIDS] for trained in rows])
    shade = np.log(table / table.min()) / np.log(table.max() / table.min())
    ax.imshow(np.log(table), cmap="viridis_r", aspect="auto", gid="table")
    ax.grid(False)
    for (row, column), value in np.ndenumerate(table):
        colour = "white" if shade[row, column] > 0.5 else "black"
        ax.annotate(
            f"{value:.3f}",
            (column, row),
            ha="center",
            va="center",
            color=colour,
            fontsize=10,
            fontweight="bold" if value == table[row].min() else "normal",
        )
    for trained, grid in OWN_GRIDS.items():
        corner = list(GRIDS).index(grid) - 0.5 + INSET, rows.index(trained) - 0.5 + 2 * INSET
        width, height = 1 - 2 * INSET, 1 - 4 * INSET
        ax.add_patch(Rectangle(corner, width, height, fill=False, ec=FRAME, lw=2, gid="own grid"))
    ax.set(xticks=range(len(GRIDS)), xticklabels=list(CUT_NAMES.values()))
    ax.set(yticks=range(len(rows)), yticklabels=rows)
    ax.tick_params(axis="x", bottom=False, top=False, labeltop=True, labelbottom=False, pad=2)
    by_grid, by_training = (np.max(table.max(axis) / table.min(axis)) for axis in (1, 0))
    factors = f"{by_grid:.1f}-fold by the grid, {by_training:.1f}-fold by the training"
    title = f"distance after {steps} steps (yellow is near): up to {factors}"
    ax.set_title(title, fontsize=11, pad=26)


@figure(
    "train-sample-schedules",
    "Models of four trainings on five sampling grids: with few steps quality is set by the grid, "
    "with many by the error of the network",
)
def train_sample_schedules(steps: int = 16, counts: Sequence[int] = COUNTS) -> Axes:
    """Draw distances by steps, a panel for each grid, and a table at one number of steps.

    Args:
        steps: Number of steps of the table.
        counts: Numbers of steps above the table.

    Returns:
        The first panel.
    """
    panels = plots.axes(12.5, 6.6, columns=len(GRIDS), rows=2)
    upper, lower = panels[: len(GRIDS)], panels[len(GRIDS) :]
    for ax, grid in zip(upper, GRIDS, strict=True):
        _draw_distances(ax, grid, counts)
    share_height(upper)
    upper[0].set_yticks([0.01, 0.03, 0.1, 0.3], ["0.01", "0.03", "0.1", "0.3"])
    upper[0].set_ylabel("rms distance from the exact end")
    legend(upper[0], loc="lower left", handlelength=1.5)
    table = one_of_row(lower, 1)
    table.figure.subplots_adjust(bottom=0.03, top=0.9, wspace=0.1, hspace=0.45)
    title = "with few steps the networks do as the exact denoiser does, with many they do not"
    title_over(upper, title, 1.15, 11)
    _draw_table(table, steps)
    return upper[0]
