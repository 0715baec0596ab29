"""The page that trains two objectives side by side, and what its browser begins with.

Laws and factors of the objectives, points, floors and exact answers are tabulated here; the browser
draws from the tables, and the network, its training and the samples are its own.
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from diffviz import plots
from diffviz.lab.experiments.side_by_side import BATCH, SAMPLES, TOYS, known, known_objective
from diffviz.lab.experiments.training import GRID, Truth
from diffviz.lab.experiments.walks import DRAWN
from diffviz.lab.explorers import training, training_views
from diffviz.lab.explorers.colours import REFERENCE
from diffviz.lab.explorers.controls import EXAMPLE
from diffviz.lab.explorers.view import Changed, ViewExplorer
from diffviz.lab.explorers.weighting import entry_chips
from diffviz.recipes.entries import CATALOGUE
from diffviz.sampling import grids
from diffviz.theory.objectives import Objective
from diffviz.web.description import Action, Chip, Chips, Control, Description, Points, Slider, State
from diffviz.web.pictures import View

NODES = 193  # quantiles of a law that the browser draws between
LAST_ODDS = 9.0  # log-odds of the last of them; the same in draws.js
CURVE = np.linspace(-8, 14, 89)  # λ of the weightings that are drawn
POINTS = 4096  # of each data set
FIXED_POINTS = 64  # noisy points of each level, at which the excess is measured
SAMPLER_STEPS = 10
WEIGHTING = ((-8.0, -1.5), (-2.0, 0.5), (4.0, 0.5), (12.0, -2.5))  # λ and log10 w


def controls() -> tuple[Control, ...]:
    """What is trained, on what, and how."""
    drawn = Chip(DRAWN, "of your own", "a weighting that you draw", plots.colour(DRAWN))
    of_notebook = {control.name: control for control in training.training_controls()}
    return (
        Chips(
            "names",
            "objectives",
            (drawn, *entry_chips()),
            training.START,
            most=2,
            tip="One or two, from the same start on the same data and noise.",
        ),
        Points("drawn", "own w", WEIGHTING, tip="Draw over the first chart."),
        *training.data_controls(),
        Slider("width", "width", 8, 128, 8, 64, whole=True, tip="Three hidden layers."),
        Slider("steps", "steps", 100, 2000, 100, 800, whole=True),
        of_notebook["rate"],
        Slider("seed", "seed", 0, 99, 1, 0, whole=True, rare=True),
        Action("train", "Train", main=True, tip="In your browser; nothing is sent anywhere."),
        Action("pause", "Pause or go on"),
        Action("forget", "Forget", tip="End the training, and begin anew."),
    )


class TrainingPage(ViewExplorer):
    """The explorer of the page, which has no kernel: the browser computes and trains."""

    def __init__(self) -> None:
        super().__init__(Description("Training", controls(), local="training.js"))

    def compute(self, state: State, changed: Changed) -> View:
        """An empty view, in whose place the browser draws its own."""
        return View(())

    def page_data(self) -> dict[str, Any]:
        """Tables of objectives and data."""
        trained = [known_objective(name) for name in CATALOGUE]
        greys = dict.fromkeys((training_views.FLOOR, training_views.DATA), REFERENCE)
        return {
            "grid": GRID,
            "curveGrid": CURVE,
            "places": {name: place(name) for name in TOYS},
            "draws": {one.name: draws(one) for one in trained},
            "weightings": {one.name: curve(one) for one in trained},
            "colours": {name: plots.colour(name) for name in (*CATALOGUE, DRAWN)} | greys,
            "starts": starts(),
            "levels": grids.grid(known_objective("fm-ot").law, SAMPLER_STEPS),
            "labels": {
                "logsnr": training_views.LOGSNR,
                "excess": training_views.EXCESS,
                "weighting": "log₁₀ w",
            },
            "example": EXAMPLE,
            "weighting": WEIGHTING,
            "fixed": {"batch": BATCH, "depth": 3},
        }


def draws(objective: Objective) -> dict[str, NDArray]:
    """λ and factor of an objective at quantiles whose log-odds lie evenly.

    Args:
        objective: The objective.

    Returns:
        Both by name, shape (nodes,) each.
    """
    logsnr = objective.law.ppf(expit(np.linspace(-LAST_ODDS, LAST_ODDS, NODES)))
    return {"logsnr": logsnr.astype("f4"), "factor": objective.factor(logsnr).astype("f4")}


def curve(objective: Objective) -> NDArray:
    """log10 w of an objective, 0 at λ = 0.

    Args:
        objective: The objective.

    Returns:
        The curve on ``CURVE``.
    """
    w = objective.weighting(CURVE)
    return np.asarray(plots.scaled(w, CURVE, "log10, anchored", 0.0), "f4")


@cache
def place(name: str) -> dict[str, Any]:
    """Data to train on, and what is known of them.

    Args:
        name: Name of a toy.

    Returns:
        Points, noisy points with their exact answers, floor and distance.
    """
    truth = Truth(name, points=FIXED_POINTS)
    facts = known(name)
    return {
        "points": truth.data[:POINTS].numpy(),
        "z": truth.z.float().numpy(),
        "xHat": truth.x_hat.float().numpy(),
        "floor": facts.floor,
        "reference": facts.points.astype("f4"),
        "distance": facts.distance,
    }


def starts() -> NDArray:
    """Noise that samples start from, the same for all objectives, shape (samples, 2)."""
    return np.random.default_rng(0).standard_normal((SAMPLES, 2))
