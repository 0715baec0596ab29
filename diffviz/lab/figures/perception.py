"""Figures of spectra, which λ is which frequency, what eyes and ears imply."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator
from numpy.typing import NDArray

from diffviz import plots
from diffviz.checks import one_of
from diffviz.lab.experiments.perception import (
    DIVISORS,
    SIDE,
    SPENDERS,
    TEXTURES,
    NoisedPower,
    Power,
    drowning,
    heard,
    implied_by_column,
    noised_power,
    photo_power,
    photo_spending,
    seen,
    sensitivity_curves,
)
from diffviz.lab.figures.registry import figure
from diffviz.lab.figures.style import (
    OTHERS,
    SHORT_LOGSNR,
    label_ends,
    last_points,
    legend,
    line_of,
    minus,
    name_curve,
    named_lines,
)
from diffviz.perception.sensitivities import Curve, a_weighting
from diffviz.perception.spectra import Implied
from diffviz.plots.style import BEST, FOCUS, SIZE_BLUES
from diffviz.recipes.entries import CATALOGUE

PROJECTION = "projection of ε"  # that of x is named where it is drawn
REFERENCES = ("elbo", "fm-ot")  # drawn beside what is implied
FREQUENCY = "spatial frequency   [cycles per image]"
DEGREES = "spatial frequency   [cycles per degree]"
GRID = np.linspace(-10, 10, 201)
# One colour for each eye in every picture, and none is that of an objective. Distances are dashes
# in the colour of their eye, and so are the two definitions of what an eye implies.
INDIGO, TEAL, WINE, LIME, PURPLE, _, GREEN, SLATE = OTHERS  # the sixth is "seen" in explorers
BLUE, ROSE, GOLD = plots.PALETTE[0], plots.PALETTE[1], plots.PALETTE[4]
EAR = plots.PALETTE[4]  # A-weighting, which is no eye
CURVE_COLOURS = {
    "Mannos–Sakrison 1974": INDIGO,
    "Barten 1999": TEAL,
    "Barten 2004": WINE,
    "Daly 1993": LIME,
    "Movshon–Kiorpes 1988": PURPLE,
    "human": PURPLE,
    "tree shrew": BLUE,
    "cat": GREEN,
    "triplefin": GOLD,
    "goldfish": ROSE,
    "mouse": SLATE,
    "10 pixels per degree": WINE,
    "30 pixels per degree": WINE,
    "60 pixels per degree": WINE,
    "rate–distortion": FOCUS,
    PROJECTION: FOCUS,
    "projection of x": FOCUS,
}
DASHED: dict[str, Any] = {  # what shares its colour, or its place, with another
    "Movshon–Kiorpes 1988": plots.DASHES[1],
    "triplefin": plots.DASHES[1],
    "10 pixels per degree": plots.DASHES[2],
    "30 pixels per degree": plots.DASHES[0],
    "60 pixels per degree": plots.DASHES[1],
    "rate–distortion": plots.DASHES[0],
    PROJECTION: plots.DASHES[1],
    "projection of x": plots.DASHES[2],
}
LABELS = {
    "human": "human, macaque",
    "elbo": "ELBO",
    "fm-ot": "flow matching",
    "edm": "EDM",
    "sd3": "SD3",
}
SHORT_LABELS = {  # where names stand beside lines
    **LABELS,
    "Mannos–Sakrison 1974": "Mannos–Sakrison",
    "Daly 1993": "Daly",
    "Movshon–Kiorpes 1988": "Movshon–Kiorpes",
}
FINDINGS = {  # what the two panels of a group of eyes show
    "five curves of people": (
        "rate–distortion: near flow matching in the middle",
        "projection of ε: nearly flat, rises from noise",
    ),
    "seven species, six lines": (
        "rate–distortion: low peaks weight noise most",
        "projection of ε: five lean to noise, one to data",
    ),
}
ANCHORED = "log₁₀ w on the ε error, 0 at λ = 0"
TWO_DEFINITIONS = "about noise the definitions disagree, and so do the bases"
SPENDING = "what objectives spend on photographs"
ABOVE_ZERO = "on photographs all of these spend most above λ = 0"
SPENDER_NAMES = {  # of loss densities: at which λ, and how far from it, in points
    "elbo": (7.6, (-16, 6)),
    "edm": (4.6, (0, 9)),
    "fm-ot": (-5.0, (-24, 13)),
    "sd3": (1.1, (0, 9)),
}
MAIN_EYE = "Barten 2004"  # which most pictures have
PEOPLE, ANIMALS = "people", "animals"
SENSITIVITY_PANELS = {  # title, and place of the legend
    PEOPLE: ("people see the middle best", "lower center"),
    ANIMALS: ("one shape, at published peaks", "lower left"),
}
SCENE, TEXTURE, ALL = "scenes", "close-ups", "all eight"
FITTED = 2.0, 64.0  # cycles per image between which slopes are taken
GROUP_COLOURS = {SCENE: "0.5", TEXTURE: plots.PALETTE[7], ALL: BEST}
NOISED = plots.PALETTE[2]


def colour_of(name: str) -> str:
    """The colour of a curve, an objective's own where it is one of the catalogue.

    Args:
        name: Name of the curve.

    Returns:
        A Matplotlib colour.
    """
    return CURVE_COLOURS.get(name) or plots.colour(name)


def shade_of(name: str) -> str:
    """The blue of a picture of that size, darker for the larger.

    Args:
        name: Such as "64² pixels", with a side that divides 256.

    Returns:
        A Matplotlib colour.
    """
    halved = SIDE // int(name.split("²")[0])
    return SIZE_BLUES[min(halved.bit_length() - 1, len(SIZE_BLUES) - 1)]


def _dash_curves(ax: Axes) -> None:
    """Dash the curves that share a colour or a place with another."""
    for line in named_lines(ax):
        line.set_linestyle(DASHED.get(str(line.get_gid()), "-"))


def _name_curves(ax: Axes, **options: Any) -> None:
    """Dash the curves that share a colour, and write a legend of all."""
    _dash_curves(ax)
    names = [str(line.get_gid()) for line in named_lines(ax)]
    labels = [LABELS.get(name, name) for name in names]
    legend(ax, named_lines(ax), labels=labels, **{"handlelength": 2.5, **options})


def _draw_implied(
    ax: Axes, curves: Mapping[str, Curve], *, title: str = "", xlabel: str = "", ylabel: str = ""
) -> None:
    """log10 of implied weightings, 0 at λ = 0, beside the references in pale thick lines."""
    references = {name: CATALOGUE[name].weighting for name in REFERENCES}
    values = {
        name: plots.scaled(w(GRID), GRID, "log10, anchored")
        for name, w in (references | dict(curves)).items()
    }
    plots.lines(
        GRID,
        values,
        xlabel=xlabel,
        ylabel=ylabel,
        title=title,
        outside=None,
        colours=colour_of,
        ax=ax,
    )
    line_of(ax, "elbo").set(zorder=2)
    line_of(ax, "fm-ot").set(lw=3, alpha=0.45, zorder=2)
    ax.set(xlim=(-10, 10), ylim=(-4, 5))
    ax.xaxis.set_major_locator(MultipleLocator(5))


def group_of(name: str) -> str:
    """Whether a photograph is a scene or a close-up; or all eight together.

    Args:
        name: Name of a photograph, or "all eight".

    Returns:
        A key of ``GROUP_COLOURS``.
    """
    if name == ALL:
        return ALL
    return TEXTURE if name in TEXTURES else SCENE


def _group_colour(name: str) -> str:
    """The colour of a photograph's group."""
    return GROUP_COLOURS[group_of(name)]


def _draw_photographs(ax: Axes, power: Power) -> None:
    """Power of photographs, scenes and close-ups in a colour each, that of all in a dark one."""
    plots.lines(
        power.frequency,
        power.curves,
        xlabel=FREQUENCY,
        ylabel="power per coefficient",
        title="from 2 to 64 cycles scenes fall faster",
        colours=_group_colour,
        ax=ax,
    )
    for line in named_lines(ax):
        is_mean = line.get_gid() == ALL
        line.set(lw=2.8 if is_mean else 0.8, ls="-", alpha=1 if is_mean else 0.35)
    handles = {group: _draw_group(ax, power, group) for group in (SCENE, TEXTURE)}
    handles[ALL] = line_of(ax, ALL)
    drawn = legend(ax, handles.values(), loc="lower left")
    for text, group in zip(drawn.get_texts(), handles, strict=True):
        text.set_text(group if group == ALL else f"{group}: each, and their slope")


def _draw_group(ax: Axes, power: Power, group: str) -> Line2D:
    """A straight line of the mean slope, at the mean height, of the photographs of one group."""
    names = [name for name in power.slopes if group_of(name) == group]
    slope = np.mean([power.slopes[name] for name in names])
    ends = np.array(FITTED)
    fitted = (power.frequency >= ends[0]) & (power.frequency <= ends[1])
    place = np.log(power.frequency[fitted])
    heights = np.mean([np.log(power.curves[name][fitted]) for name in names], axis=0)
    height = np.average(heights + slope * place, weights=1 / power.frequency[fitted])  # by octaves
    powers = np.exp(height) / ends**slope
    (line,) = ax.plot(ends, powers, gid=group, color=GROUP_COLOURS[group])
    line.set(lw=3.2, zorder=4, solid_capstyle="butt")
    return line


def _draw_noised(ax: Axes, power: NoisedPower) -> None:
    """Power of one photograph under noise: measured in pale thick lines, predicted in thin ones."""
    curves: dict[str, NDArray] = {power.name: power.image, "noise, λ = 0": power.noise}
    colours = {power.name: BEST, "noise, λ = 0": "0.75"}
    for level in power.measured:
        name = minus(f"λ = {level:g}")
        curves[f"{name}, noised"] = power.measured[level]
        curves[name] = power.predicted[level]
        colours[f"{name}, noised"] = colours[name] = NOISED
    plots.lines(
        power.frequency,
        curves,
        xlabel=FREQUENCY,
        ylabel="power per coefficient",
        title="noise fills the spectrum up from the right",
        outside=None,
        colours=colours.__getitem__,
        ax=ax,
    )
    for line in named_lines(ax):
        if str(line.get_gid()).endswith("noised"):
            line.set(ls="-", lw=4.5, alpha=0.3, zorder=3)
        else:
            line.set(ls="-", lw=1.4, alpha=1, zorder=4)
    for level in power.measured:
        _label_plateau(ax, minus(f"λ = {level:g}"))
    first = minus(f"λ = {next(iter(power.measured)):g}")
    handles = [line_of(ax, name) for name in (power.name, "noise, λ = 0", first)]
    handles.append(line_of(ax, f"{first}, noised"))
    labels = [power.name, "noise alone, λ = 0", "noised, by the formula", "noised, measured"]
    legend(ax, handles, labels=labels, loc="lower left")


def _label_plateau(ax: Axes, name: str) -> None:
    """Write the name of a curve above its right end."""
    line = line_of(ax, name)
    _, height = np.asarray(line.get_xydata())[-1]
    ax.annotate(
        name,
        (1, height),
        (-4, 7),
        xycoords=ax.get_yaxis_transform(),
        textcoords="offset points",
        ha="right",
        color=line.get_color(),
        fontsize=10,
    )


@figure(
    "spectra",
    "Power of natural images by spatial frequency; with noise, a hinge that moves with λ.",
)
def spectra(power: Power | None = None, noised: NoisedPower | None = None) -> Axes:
    """Draw the power of photographs, and of one with noise.

    Args:
        power: What ``experiments.perception.photo_power`` returned; computed by default.
        noised: What ``experiments.perception.noised_power`` returned; computed by default.

    Returns:
        The left panel.
    """
    left, right = plots.axes(11.0, 4.6, columns=2)
    _draw_photographs(left, photo_power() if power is None else power)
    _draw_noised(right, noised_power() if noised is None else noised)
    for ax in (left, right):
        ax.set(xscale="log", yscale="log", xlim=(0.9, 140), ylim=(1e-4, 3e3))
    return left


@figure(
    "frequency-map",
    "Which λ drowns which spatial frequency, by resolution; where objectives spend their loss on "
    "photographs.",
)
def frequency_map(times: Sequence[int] = DIVISORS[:4], names: Sequence[str] = SPENDERS) -> Axes:
    """Draw where frequencies drown, and loss densities on photographs.

    Args:
        times: Sides in pixels of the squares that are averaged, powers of 2 up to 128.
        names: Objectives of the catalogue.

    Returns:
        The left panel.

    Raises:
        ValueError: A number is no such power, or a name is unknown.
    """
    left, right = plots.axes(11.0, 4.6, columns=2)
    for position, each in enumerate(times):
        name = f"{SIDE // each}² pixels"
        dash = plots.DASHES[position % len(plots.DASHES)]
        left.plot(*drowning(each), color=shade_of(name), ls=dash, lw=2, gid=name, label=name)
    left.set(xscale="log", xlim=(0.9, 140), ylim=(-7.5, 7.5))
    left.set(
        xlabel=FREQUENCY,
        ylabel="λ = −ln S   [nats; noise below, data above]",
        title="where a frequency drowns",
    )
    legend(left, loc="upper left", handlelength=3)
    _draw_spending(right, names)
    return left


def drowned(levels: Mapping[str, tuple[NDArray, NDArray]]) -> Axes:
    """Draw at which λ the frequencies of one picture drown, by its size; lines are named.

    Args:
        levels: Such as "64² pixels" to cycles per image and λ, as ``experiments.perception.
            drowning`` returns them.

    Returns:
        The Axes.
    """
    ax = plots.lines(
        {name: cycles for name, (cycles, _) in levels.items()},
        {name: drowns for name, (_, drowns) in levels.items()},
        xlabel="cycles per image",
        ylabel="λ at which it drowns, −log S",
        title="the smaller picture drowns at a higher λ",
        colours=shade_of,
        outside=None,
    )
    for name, (cycles, _) in levels.items():
        name_curve(ax, name, float(cycles[-1]), (-6, 10), ha="right")
    highest = max(float(np.max(drowns)) for _, drowns in levels.values())
    ax.set(xscale="log", ylim=(None, highest + 1.4))
    return ax


def spending(
    logsnr: NDArray, spent: Mapping[str, NDArray], strip: plots.Strip | None = None
) -> Axes:
    """Draw loss densities of objectives on photographs, each of unit area and named.

    Args:
        logsnr: λ in nats, shape (n,).
        spent: Name of an objective to its loss at each λ, shape (n,), as ``experiments.perception.
            photo_spending`` returns it.
        strip: Pictures under the axis; none by default.

    Returns:
        The Axes.
    """
    density = {name: plots.scaled(loss, logsnr, "unit area") for name, loss in spent.items()}
    above = [np.trapezoid(np.where(logsnr > 0, loss, 0), logsnr) for loss in density.values()]
    ax = plots.lines(
        logsnr,
        density,
        xlabel=plots.LOGSNR,
        ylabel="share of the loss per nat",
        title=ABOVE_ZERO if min(above) > 0.5 else SPENDING,
        colours=plots.colour,
        outside=None,
        strip=strip,
    )
    ax.axvline(0, color="0.5", lw=0.8, zorder=1)
    for name in spent:
        place = SPENDER_NAMES.get(name, (0.0, (0, 9)))
        name_curve(ax, name, *place, label=LABELS.get(name, name))
    return ax


def _draw_spending(ax: Axes, names: Sequence[str]) -> None:
    """Loss densities of objectives on photographs, each of unit area."""
    spent = {
        name: plots.scaled(loss, GRID, "unit area")
        for name, loss in photo_spending(GRID, names).items()
    }
    plots.lines(
        GRID,
        spent,
        xlabel=plots.LOGSNR,
        ylabel="share of the loss per nat",
        title=SPENDING,
        colours=plots.colour,
        ax=ax,
    )
    ax.axvline(0, color="0.5", lw=0.8)
    ax.set(xlim=(-10, 10), ylim=(0, None))
    ax.xaxis.set_major_locator(MultipleLocator(5))
    legend(ax, [line_of(ax, name) for name in spent], fontsize=8, loc="upper left")


@figure(
    "contrast-sensitivity",
    "Published contrast sensitivity curves, and the human one at the scale of other eyes.",
)
def contrast_sensitivity(
    frequency: NDArray | None = None, of: Sequence[str] = (PEOPLE, ANIMALS)
) -> Axes:
    """Draw sensitivities of people and of species over their maxima, a panel for each.

    The eye that the other pictures have, Barten's of 2004, is drawn wider. In a single panel the
    lines are named where they begin, in two there are legends.

    Args:
        frequency: Cycles per degree, shape (n,); 400 from 0.02 to 80 by default.
        of: "people", "animals" or both.

    Returns:
        The first panel.

    Raises:
        ValueError: A frequency is not finite and above 0, or ``of`` names something else.
    """
    for group in of:
        one_of(group, "of", (PEOPLE, ANIMALS))
    wide = 10.0 if len(of) > 1 else 8.4
    panels = plots.axes(wide, 4.4, columns=len(of))
    frequency = np.geomspace(0.02, 80, 400) if frequency is None else frequency
    curves = dict(zip((PEOPLE, ANIMALS), sensitivity_curves(frequency), strict=True))
    for ax, group in zip(panels, of, strict=True):
        title, place = SENSITIVITY_PANELS[group]
        plots.lines(
            frequency,
            curves[group],
            xlabel=DEGREES,
            ylabel="sensitivity / its maximum",
            title=title,
            outside=None,
            colours=colour_of,
            ax=ax,
        )
        ax.set(xscale="log", yscale="log", xlim=(frequency[0], frequency[-1]), ylim=(3e-3, 1.5))
        _widen_main_eye(ax)
        if len(of) == 1:
            _dash_curves(ax)
            _name_beginnings(ax)
        else:
            _name_curves(ax, loc=place, handlelength=2.4)
    return panels[0]


def _name_beginnings(ax: Axes) -> None:
    """Name curves to the left of where they begin; the vertical axis moves to the right."""
    ax.figure.subplots_adjust(left=0.24, right=0.9)
    _axis_on_the_right(ax)
    ends = {str(line.get_gid()): _first_point(line) for line in named_lines(ax)}
    label_ends(ax, ends, colour_of, labels=LABELS, side="left", apart=0.055)


def _axis_on_the_right(ax: Axes) -> None:
    """Put the vertical axis on the right, where names of lines stand on the left."""
    ax.yaxis.tick_right()
    ax.yaxis.set_label_position("right")
    ax.spines["left"].set_visible(False)
    ax.spines["right"].set_visible(True)


def _widen_main_eye(ax: Axes) -> None:
    """Draw the eye that most pictures have wider than the others."""
    for line in named_lines(ax):
        if line.get_gid() == MAIN_EYE:
            line.set(lw=3, zorder=3)


def _both(view: Implied) -> dict[str, Curve]:
    """Both weightings of one eye or ear, by name."""
    return {"rate–distortion": view.rate_distortion, PROJECTION: view.projection}


def _draw_both(ax: Axes, view: Implied, title: str) -> None:
    """Both weightings of one eye or ear, beside the references."""
    _draw_implied(ax, _both(view), title=title, xlabel=plots.LOGSNR, ylabel=ANCHORED)
    ax.set_ylim(-4.2, 2.4)


def two_definitions(view: Implied | None = None) -> Axes:
    """Draw the rate–distortion weighting of one eye, and its projection with both bases.

    Args:
        view: What ``experiments.perception.seen`` returned; Barten's eye of 2004 by default.

    Returns:
        The Axes.
    """
    (ax,) = plots.axes(8.4, 4.4, legend=1.2)
    view = seen() if view is None else view
    curves = _both(view) | {"projection of x": view.projection_of_x}
    _draw_implied(ax, curves, title=TWO_DEFINITIONS, xlabel=plots.LOGSNR, ylabel=ANCHORED)
    ax.set_ylim(-5.0, 4.3)
    _name_ends(ax)
    return ax


def _name_ends(ax: Axes) -> None:
    """Dash the curves that share a colour, and name all where they end."""
    _dash_curves(ax)
    label_ends(ax, last_points(ax), colour_of, labels=SHORT_LABELS, apart=0.06)


@figure(
    "csf-weighting",
    "The weightings that contrast sensitivity implies, by model, distance and species, beside "
    "ELBO and FM.",
)
def csf_weighting(columns: Mapping[str, Mapping[str, Implied]] | None = None) -> Axes:
    """Draw implied weightings, a column for each title, a row for each kind of weighting.

    A single title has its two kinds side by side.

    Args:
        columns: Title to weightings by name, as ``experiments.perception.implied_by_column``
            returns them; computed by default.

    Returns:
        The first panel.
    """
    columns = implied_by_column() if columns is None else columns
    if len(columns) == 1:
        return _draw_side_by_side(columns)
    number = len(columns)
    panels = plots.axes(1.0 + 3.5 * number, 7.0, columns=number, rows=2)
    figure, upper, lower = panels[0].figure, panels[:number], panels[number:]
    for ax, (title, views) in zip(upper, columns.items(), strict=True):
        curves = {name: view.rate_distortion for name, view in views.items()}
        _draw_implied(ax, curves, title=title)
        _name_curves(ax, loc="lower left", borderaxespad=0.2)
    for ax, views in zip(lower, columns.values(), strict=True):
        curves = {name: view.projection for name, view in views.items()}
        _draw_implied(ax, curves, xlabel=SHORT_LOGSNR)
        _dash_curves(ax)
        ax.set_ylim(-2.4, 2.4)
    for ax, kind in ((upper[0], "rate–distortion"), (lower[0], PROJECTION)):
        ax.set_ylabel(f"{kind}: log₁₀ w, 0 at λ = 0")
    _scale_alike(upper[0], lower[0])
    figure.subplots_adjust(hspace=0.17, wspace=0.16)
    return panels[0]


def _draw_side_by_side(columns: Mapping[str, Mapping[str, Implied]]) -> Axes:
    """Both kinds of weighting of one group of eyes, at one scale; returns the first panel."""
    ((title, views),) = columns.items()
    left, right = plots.axes(12.0, 4.8, columns=2)
    left.figure.subplots_adjust(left=0.122, right=0.94, wspace=0.53)
    kinds = {
        "rate–distortion": {name: view.rate_distortion for name, view in views.items()},
        PROJECTION: {name: view.projection for name, view in views.items()},
    }
    for ax, (kind, curves) in zip((left, right), kinds.items(), strict=True):
        _draw_implied(ax, curves, title=f"{kind}: {title}", xlabel=plots.LOGSNR)
        _axis_on_the_right(ax)
        _widen_main_eye(ax)
        _dash_curves(ax)
    lines = [line for ax in (left, right) for line in named_lines(ax)]
    heights = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in lines])
    for ax in (left, right):
        ax.set_ylim(heights.min() - 0.3, heights.max() + 0.3)
        ends = {str(line.get_gid()): _first_point(line) for line in named_lines(ax)}
        label_ends(ax, ends, colour_of, labels=SHORT_LABELS, side="left", apart=0.055)
        ax.set_ylabel(ANCHORED)
    for ax, finding in zip((left, right), FINDINGS.get(title, ()), strict=False):
        ax.set_title(finding)
    return left


def _first_point(line: Line2D) -> tuple[float, float]:
    """The place where a line begins."""
    x, y = np.asarray(line.get_data(), dtype=float)
    return float(x[0]), float(y[0])


def slopes_by_distance(rates: NDArray, slopes: Mapping[str, NDArray]) -> Axes:
    """Draw the slope in the middle of what eyes imply by distance, each line named at its end.

    Args:
        rates: Pixels per degree, shape (n,).
        slopes: Name of an eye or of an objective to slopes of log w, shape (n,).

    Returns:
        The Axes.
    """
    (ax,) = plots.axes(8.4, 4.4)
    plots.lines(
        rates,
        slopes,
        xlabel="pixels per degree   [near ← → far]",
        ylabel="slope of log w, λ from −4 to 2",
        title="each line crosses flow matching's at a distance of its own",
        outside=None,
        colours=colour_of,
        ax=ax,
    )
    ax.figure.subplots_adjust(right=0.84)
    _dash_curves(ax)
    ends = {name: (float(rates[-1]), float(np.asarray(each)[-1])) for name, each in slopes.items()}
    label_ends(ax, ends, colour_of, labels=SHORT_LABELS, apart=0.055)
    return ax


def _scale_alike(above: Axes, below: Axes) -> None:
    """Give the two rows of these panels heights in the ratio of their vertical ranges."""
    grid = above.get_gridspec()
    if grid is not None:
        grid.set_height_ratios([float(np.ptp(ax.get_ylim())) for ax in (above, below)])


@figure("hearing", "A-weighting, and the weightings that it implies on pink noise.")
def hearing(view: Implied | None = None) -> Axes:
    """Draw A-weighting and what it implies.

    Args:
        view: What ``experiments.perception.heard`` returned; computed by default.

    Returns:
        The left panel.
    """
    left, right = plots.axes(11.0, 4.4, columns=2)
    frequency = np.geomspace(20, 20000, 300)
    decibels = {"A-weighting": 20 * np.log10(a_weighting(frequency))}
    plots.lines(
        frequency,
        decibels,
        xlabel="frequency   [Hz]",
        ylabel="A-weighting   [dB, 0 at 1 kHz]",
        title="low tones are heard far softer",
        colours=lambda _: EAR,
        outside=None,
        ax=left,
    )
    left.set(xscale="log", xlim=(20, 20000), ylim=(-55, 5))
    view = heard() if view is None else view
    _draw_both(right, view, "towards noise an ear's weighting stops rising")
    left.figure.subplots_adjust(right=0.88)
    _name_ends(right)
    return left
