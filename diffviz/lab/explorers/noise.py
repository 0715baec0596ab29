"""The explorer of noise levels: a photograph and points at a λ, and what counts there."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from diffviz import plots
from diffviz.lab.experiments import strips
from diffviz.lab.explorers.colours import THIRD
from diffviz.lab.explorers.training_views import LOGSNR as SHORT_LOGSNR
from diffviz.lab.explorers.view import Changed, ViewExplorer
from diffviz.recipes.entries import CATALOGUE
from diffviz.web.description import Chip, Chips, Description, Menu, Slider, State
from diffviz.web.pictures import Chart, Cloud, Images, Note, Table, View

SHARES, WEIGHTS = "shares of z", "weights"
DATA, NOISE = "data, α²", "noise, σ²"
POINTS = "two moons"
COLOURS = {DATA: plots.PALETTE[0], NOISE: plots.PALETTE[1], POINTS: THIRD}  # as ``plots.lines``
RECIPES = {  # the entries of the catalogue whose weights can be shown, in plain words
    "fm-ot": "flow matching",
    "iddpm-cosine": "DDPM, cosine schedule",
    "edm": "EDM",
    "sd3": "Stable Diffusion 3",
    "elbo": "likelihood bound",
}
FIRST = ("fm-ot", "iddpm-cosine")
TITLES = {
    "image": "a photograph with noise",
    POINTS: "two moons with noise",
    SHARES: "what z is made of",
    WEIGHTS: "how strongly errors count",
}
HEAD = ("name", "recipe", "weight at this λ, over that at λ = 0")
REACH = 2.5  # |z| that is black or white, in standard deviations
SPREAD = 3.9  # |z| at the edge of the points
CONTROLS = (
    Slider(
        "logsnr",
        "level λ",
        -10,
        10,
        0.1,
        0.0,
        unit="nats",
        tip="Noise on the left, data on the right.",
    ),
    Menu(
        "shows",
        "chart",
        (SHARES, WEIGHTS),
        SHARES,
        buttons=True,
        tip="What stands beside the pictures.",
    ),
    Chips(
        "names",
        "recipes",
        tuple(Chip(name, colour=plots.colour(name), keywords=RECIPES[name]) for name in RECIPES),
        FIRST,
        most=len(RECIPES),
        when={"shows": (WEIGHTS,)},
        tip="Whose weights are drawn.",
    ),
)


class NoiseExplorer(ViewExplorer):
    """One photograph and one cloud of points at a noise level, and what counts at that level.

    The slider moves λ. The noise is the same at all levels, so that the picture comes out of it.
    The chart marks λ on the shares of data and noise in z, or on the weightings of recipes.

    Args:
        **state: Values of controls at first, such as ``logsnr=-2.0`` or ``shows="weights"``.

    Raises:
        TypeError: A value is of the wrong kind.
        ValueError: A control is unknown, or a value is not allowed.

    Example:
        >>> explorer = dv.lab.explorers.NoiseExplorer(logsnr=0.0)
        >>> explorer.view.text
        'At λ = 0 the variance of z is 50.0% data and 50.0% noise.'
    """

    grid = np.linspace(-10, 10, 201)  # λ in nats

    def __init__(self, **state: Any):
        super().__init__(Description("Noise level", CONTROLS, local="noise.js"), state)

    def local_data(self) -> dict[str, Any]:
        """The examples with their noise, and words and colours of the charts."""
        names = {name: plots.colour(name) for name in RECIPES}
        return {
            "grid": self.grid,
            "image": list(_example("image")),
            "points": list(_example("points")),
            "reach": REACH,
            "spread": SPREAD,
            "label": SHORT_LOGSNR,
            "titles": TITLES,
            "recipes": RECIPES,
            "head": list(HEAD),
            "colours": names | COLOURS,
        }

    def compute(self, state: State, changed: Changed) -> View:
        """The examples at λ, a chart on which λ is marked, and what that says.

        Args:
            state: A value for each control.
            changed: Not used.

        Returns:
            An image, points, a chart, and a sentence or a table.
        """
        level = state["logsnr"]
        words: Note | Table
        if state["shows"] == WEIGHTS:
            chart, words = self._weights(level, state["names"])
        else:
            chart, words = self._shares(level)
        return View((image_at(level), points_at(level), chart, words), columns=3)

    def _shares(self, level: float) -> tuple[Chart, Note]:
        """The shares of data and noise in the variance of z."""
        curves = {DATA: expit(self.grid), NOISE: expit(-self.grid)}
        here = {DATA: float(expit(level)), NOISE: float(expit(-level))}
        chart = self._chart(level, curves, here, SHARES, "share of the variance", (-0.04, 1.04))
        text = (
            f"At λ = {level:g} the variance of z is {here[DATA]:.1%} data "
            f"and {here[NOISE]:.1%} noise."
        )
        return chart, Note(text.replace("-", "−"), strong=True)

    def _weights(self, level: float, names: tuple[str, ...]) -> tuple[Chart, Table]:
        """The weightings of recipes, all of them 1 at λ = 0."""
        drawn = {name: CATALOGUE[name].weighting(self.grid) for name in names}
        curves = {name: plots.scaled(w, self.grid, "log10, anchored") for name, w in drawn.items()}
        ratios = {name: ratio_to_zero(name, level) for name in names}
        here = {name: float(np.log10(ratio)) for name, ratio in ratios.items()}
        chart = self._chart(level, curves, here, WEIGHTS, "log₁₀ w, 0 at λ = 0", None)
        rows = [(name, RECIPES[name], f"{ratio:.3g}") for name, ratio in ratios.items()]
        return chart, Table(HEAD, rows, [plots.colour(name) for name in names])

    def _chart(
        self,
        level: float,
        curves: dict[str, NDArray],
        here: dict[str, float],
        shows: str,
        ylabel: str,
        ylim: tuple[float, float] | None,
    ) -> Chart:
        """Curves with a line and dots at the present λ."""
        dots = {name: (np.array([level]), np.array([value])) for name, value in here.items()}
        return Chart(
            self.grid,
            curves,
            xlabel=SHORT_LOGSNR,
            ylabel=ylabel,
            title=TITLES[shows],
            ylim=ylim,
            colours={name: COLOURS.get(name, plots.colour(name)) for name in curves},
            marks={f"λ = {level:g}".replace("-", "−"): level},
            dots=dots,
        )


@cache
def _example(kind: str) -> tuple[NDArray, NDArray]:
    """An example and its noise, made once."""
    return strips.example(kind)


def image_at(level: float) -> Images:
    """The photograph with the noise of a level.

    Args:
        level: λ in nats.

    Returns:
        One image.
    """
    z = strips.mixed(*_example("image"), level)
    return Images((z / REACH + 1)[None] / 2, columns=1, title=TITLES["image"])


def points_at(level: float) -> Cloud:
    """The two moons with the noise of a level.

    Args:
        level: λ in nats.

    Returns:
        The points, on axes that do not change.
    """
    return Cloud(
        {POINTS: strips.mixed(*_example("points"), level)},
        colours=COLOURS,
        title=TITLES[POINTS],
        xlim=(-SPREAD, SPREAD),
        ylim=(-SPREAD, SPREAD),
    )


def ratio_to_zero(name: str, level: float) -> float:
    """The weight of a recipe at a level over that at λ = 0, on the error of ε.

    Args:
        name: Name of the catalogue.
        level: λ in nats.

    Returns:
        The ratio.
    """
    here, zero = CATALOGUE[name].weighting(np.array([level, 0.0]))
    return float(here / zero)
