"""Figures of spectra, which λ is which frequency, what eyes and ears imply."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MultipleLocator
from numpy.typing import NDArray

from diffviz import plots
from diffviz.lab.experiments.perception import (
    SIDE,
    drowning,
    heard,
    implied_by_column,
    noised_power,
    photo_power,
    photo_spending,
    sensitivity_curves,
)
from diffviz.lab.figures.registry import figure
from diffviz.lab.figures.style import legend, line_of, minus, named_lines
from diffviz.perception.sensitivities import Curve, a_weighting
from diffviz.recipes.entries import CATALOGUE

REFERENCES = ("elbo", "fm-ot")  # drawn beside what is implied
FREQUENCY = "spatial frequency   [cycles per image]"
DEGREES = "spatial frequency   [cycles per degree]"
GRID = np.linspace(-10, 10, 201)
# One colour for each name in every picture, and one where two names stand for the same curve.
# None is that of a reference.
CURVE_COLOURS = {
    "Mannos–Sakrison 1974": "#0072B2",
    "Barten 1999": "#009E73",
    "Barten 2004": "#CC79A7",
    "Daly 1993": "#E69F00",
    "Movshon–Kiorpes 1988": "#56B4E9",
    "human": "#56B4E9",
    "tree shrew": "#009E73",
    "cat": "#CC79A7",
    "triplefin": "#882255",
    "goldfish": "#E69F00",
    "mouse": "#0072B2",
    "10 pixels per degree": "#7A7A00",
    "30 pixels per degree": "#CC79A7",
    "60 pixels per degree": "#882255",
    "rate–distortion": "#004488",
    "projection": "#5588BB",
}


def colour_of(name: str) -> str:
    """The colour of a curve, an objective's own where it is one of the catalogue.

    Args:
        name: Name of the curve.

    Returns:
        A Matplotlib colour.
    """
    return CURVE_COLOURS.get(name) or plots.colour(name)


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
    for name in REFERENCES:
        line_of(ax, name).set(lw=3, alpha=0.45, zorder=2)
    ax.set(xlim=(-10, 10), ylim=(-4, 4.2))
    ax.xaxis.set_major_locator(MultipleLocator(5))


def _draw_photographs(ax: Axes) -> None:
    """Power of eight photographs, that of all in black."""
    frequency, curves = photo_power()
    colours = dict(zip(curves, (*plots.PALETTE[:8], "black"), strict=True))
    plots.lines(
        frequency,
        curves,
        xlabel=FREQUENCY,
        ylabel="power per coefficient",
        title="eight photographs",
        colours=colours.__getitem__,
        ax=ax,
    )
    for line in named_lines(ax):
        line.set(lw=1.1, ls="-")
    line_of(ax, "all eight").set(lw=2.8)
    legend(ax, named_lines(ax), fontsize=8, ncols=2, loc="lower left")


def _draw_noised(ax: Axes) -> None:
    """Power of one photograph under noise: measured in pale thick lines, predicted in thin ones."""
    power = noised_power("camera")
    curves: dict[str, NDArray] = {"camera": power.image, "noise, λ = 0": power.noise}
    colours = {"camera": plots.PALETTE[0], "noise, λ = 0": "0.55"}
    for level, colour in zip(power.measured, plots.PALETTE[1:4], strict=True):
        name = minus(f"λ = {level:g}")
        curves[f"{name}, noised"] = power.measured[level]
        curves[name] = power.predicted[level]
        colours[f"{name}, noised"] = colours[name] = colour
    plots.lines(
        power.frequency,
        curves,
        xlabel=FREQUENCY,
        ylabel="power per coefficient",
        title="camera + noise of power e^(−λ)",
        colours=colours.__getitem__,
        ax=ax,
    )
    thin = []
    for line in named_lines(ax):
        if str(line.get_gid()).endswith("noised"):
            line.set(ls="-", lw=4.5, alpha=0.3, zorder=3)
        else:
            line.set(ls="-", lw=1.4, alpha=1, zorder=4)
            thin.append(line)
    legend(ax, thin)


@figure(
    "spectra",
    "Power of natural images by spatial frequency; with noise, a hinge that moves with λ.",
)
def spectra() -> Axes:
    """Draw the power of photographs, and of one with noise; returns the left panel."""
    left, right = plots.axes(11.0, 4.6, columns=2)
    _draw_photographs(left)
    _draw_noised(right)
    for ax in (left, right):
        ax.set(xscale="log", yscale="log", xlim=(0.9, 140), ylim=(3e-4, 3e3))
    return left


@figure(
    "frequency-map",
    "Which λ drowns which spatial frequency, by resolution; where objectives spend their loss on "
    "photographs.",
)
def frequency_map() -> Axes:
    """Draw where frequencies drown, and loss densities on photographs; returns the left panel."""
    left, right = plots.axes(11.0, 4.6, columns=2)
    for times, colour, dash in zip((1, 2, 4, 8), plots.PALETTE, plots.DASHES, strict=False):
        name = f"{SIDE // times}² pixels"
        left.plot(*drowning(times), color=colour, ls=dash, lw=2, gid=name, label=name)
    left.set(xscale="log", xlim=(0.9, 140), ylim=(-7.5, 7.5))
    left.set(
        xlabel=FREQUENCY,
        ylabel="λ = −ln S   [nats; noise below, data above]",
        title="where a frequency drowns",
    )
    legend(left, loc="upper left", handlelength=3)
    spent = {
        name: plots.scaled(loss, GRID, "unit area") for name, loss in photo_spending(GRID).items()
    }
    plots.lines(
        GRID,
        spent,
        xlabel=plots.LOGSNR,
        ylabel="share of the loss per nat",
        title="what objectives spend on photographs",
        colours=plots.colour,
        ax=right,
    )
    right.axvline(0, color="0.5", lw=0.8)
    right.set(xlim=(-10, 10), ylim=(0, None))
    right.xaxis.set_major_locator(MultipleLocator(5))
    legend(right, [line_of(right, name) for name in spent], fontsize=8, loc="upper left")
    return left


@figure(
    "contrast-sensitivity",
    "Published contrast sensitivity curves, and the human one at the scale of other eyes.",
)
def contrast_sensitivity() -> Axes:
    """Draw sensitivities of people and of species over their maxima; returns the left panel."""
    left, right = plots.axes(11.0, 4.4, columns=2)
    frequency = np.geomspace(0.02, 80, 400)
    models, animals = sensitivity_curves(frequency)
    panels = (
        (left, models, "people", "lower center"),
        (right, animals, "one shape, moved to published peaks", "lower left"),
    )
    for ax, curves, title, place in panels:
        plots.lines(
            frequency,
            curves,
            xlabel=DEGREES,
            ylabel="sensitivity / its maximum",
            title=title,
            colours=colour_of,
            ax=ax,
        )
        ax.set(xscale="log", yscale="log", xlim=(0.02, 80), ylim=(3e-3, 1.5))
        legend(ax, named_lines(ax), loc=place)
    return left


@figure(
    "csf-weighting",
    "The weightings that contrast sensitivity implies, by model, distance and species, beside "
    "ELBO and FM.",
)
def csf_weighting() -> Axes:
    """Draw implied weightings, a row for each kind of weighting; returns the first panel."""
    panels = plots.axes(13.2, 8.0, columns=3, rows=2)
    upper, lower = panels[:3], panels[3:]
    columns = implied_by_column()
    for ax, (title, views) in zip(upper, columns.items(), strict=True):
        curves = {name: view.rate_distortion for name, view in views.items()}
        _draw_implied(ax, curves, title=title)
        legend(ax, named_lines(ax), fontsize=8, handlelength=3)
    for ax, views in zip(lower, columns.values(), strict=True):
        curves = {name: view.projection for name, view in views.items()}
        _draw_implied(ax, curves, xlabel=plots.LOGSNR)
    for ax, kind in ((upper[0], "rate–distortion"), (lower[0], "projection")):
        ax.set_ylabel(f"log₁₀ w, {kind}")
    panels[0].figure.subplots_adjust(hspace=0.12)
    return panels[0]


@figure("hearing", "A-weighting, and the weightings that it implies on pink noise.")
def hearing() -> Axes:
    """Draw A-weighting and what it implies; returns the left panel."""
    left, right = plots.axes(11.0, 4.4, columns=2)
    frequency = np.geomspace(20, 20000, 300)
    decibels = {"A-weighting": 20 * np.log10(a_weighting(frequency))}
    plots.lines(
        frequency,
        decibels,
        xlabel="frequency   [Hz]",
        ylabel="gain   [dB, 0 at 1 kHz]",
        title="IEC 61672-1",
        ax=left,
    )
    left.set(xscale="log", xlim=(20, 20000), ylim=(-55, 5))
    view = heard()
    _draw_implied(
        right,
        {"rate–distortion": view.rate_distortion, "projection": view.projection},
        title="pink noise of variance 1, 44.1 kHz",
        xlabel=plots.LOGSNR,
        ylabel="log₁₀ w on the ε error, 0 at λ = 0",
    )
    legend(right, named_lines(right), fontsize=8, handlelength=3)
    right.set_ylim(-4.2, 2.4)
    return left
