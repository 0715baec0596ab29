"""The explorer of few-step objectives: the local weighting that an adaptive factor makes."""

from typing import Any

import numpy as np

from diffviz import plots
from diffviz.few_steps.objectives import few_step, few_step_catalogue
from diffviz.lab.experiments import few_steps as experiments
from diffviz.lab.explorers.colours import BESIDE, REFERENCE, SUBJECT
from diffviz.lab.explorers.controls import require_option
from diffviz.lab.explorers.view import Changed, ViewExplorer
from diffviz.theory.analysis import verdict
from diffviz.theory.objectives import Objective
from diffviz.web.description import Description, Menu, Slider, State
from diffviz.web.pictures import Chart, Note, View

NAMES = tuple(name for name, entry in few_step_catalogue.items() if entry.diagonal is not None)
PLAIN, LOCAL = "without the factor", "with the factor"
SPENT_PLAIN, SPENT, DRAWN = "spent without it", "spent with it", "drawn"
COLOURS = {
    PLAIN: REFERENCE,
    LOCAL: SUBJECT,
    SPENT_PLAIN: REFERENCE,
    SPENT: SUBJECT,
    DRAWN: BESIDE,
}
CONTROLS = (
    Menu("name", "objective", NAMES, "meanflow", tip="Whose diagonal is shown."),
    Slider("std", "std", 0.05, 2, 0.05, 0.3, scale="log", tip="Standard deviation of the data."),
    Slider("power", "power p", 0, 1.5, 0.05, 1.0, tip="0 is no factor, 1 that of MeanFlow."),
    Slider("floor", "floor c", 1e-4, 10, 0.1, 0.01, scale="log", tip="Added to the error."),
)


class FewStepExplorer(ViewExplorer):
    """The diagonal of a few-step objective, and what its adaptive factor does there.

    The factor is taken at the least error for Gaussian data. On the left are the weightings with
    and without it; on the right is what the loss spends at each λ, beside what is drawn.

    Args:
        name: The objective at first, one with a loss on its diagonal.
        **state: Values of other controls at first, such as ``power=0.5``.

    Raises:
        ValueError: The name or a value is unknown.
    """

    grid = np.linspace(-10, 10, 161)  # λ in nats

    def __init__(self, name: str = "meanflow", **state: Any):
        require_option("few-step objective", name, NAMES, "the explorer's menu")
        description = Description("Few steps", CONTROLS, local="few_steps.js")
        super().__init__(description, {"name": name, **state})

    def local_data(self) -> dict[str, Any]:
        """The diagonals without the factor, and the labels and colours of the charts."""
        verdicts = {name: verdict(diagonal_of(name)) for name in NAMES}
        diagonals = {
            name: {
                "w": diagonal_of(name).weighting(self.grid),
                "density": diagonal_of(name).law.pdf(self.grid),
                "levels": found.logsnr,
                "fine": found.w,
            }
            for name, found in verdicts.items()
        }
        return {
            "grid": self.grid,
            "diagonals": diagonals,
            "label": plots.LOGSNR,
            "colours": COLOURS,
        }

    def compute(self, state: State, changed: Changed) -> View:
        """The weightings, and what is spent and drawn.

        Args:
            state: A value for each control.
            changed: Not used.

        Returns:
            Two charts and a sentence.
        """
        diagonal = diagonal_of(state["name"])
        local = experiments.local(state["name"], state["std"], state["power"], state["floor"])
        weightings = {
            name: plots.scaled(each.weighting(self.grid), self.grid, "log10, anchored")
            for name, each in ((PLAIN, diagonal), (LOCAL, local))
        }
        error = experiments.LeastError(state["std"])(self.grid)
        parts = {
            SPENT_PLAIN: diagonal.weighting(self.grid, "u") * error,
            SPENT: local.weighting(self.grid, "u") * error,
            DRAWN: diagonal.law.pdf(self.grid),
        }
        densities = {name: each / np.trapezoid(each, self.grid) for name, each in parts.items()}
        charts = (
            Chart(
                self.grid,
                weightings,
                plots.LOGSNR,
                "log₁₀ w on the ε error",
                ylim=(-6, 3),
                colours=COLOURS,
            ),
            Chart(
                self.grid,
                densities,
                plots.LOGSNR,
                "share per nat",
                colours=COLOURS,
                dashes={DRAWN: 1},
            ),
        )
        nat = float(np.diff(self.grid[:2]).item())
        overlap = float(np.minimum(densities[SPENT], densities[DRAWN]).sum() * nat)
        text = f"With the factor w is {verdict(local)}. What is spent and drawn overlap by "
        return View((*charts, Note(f"{text}{100 * overlap:.0f} %.")))


def diagonal_of(name: str) -> Objective:
    """The diffusion loss on the diagonal of a few-step objective.

    Args:
        name: One of ``NAMES``.

    Returns:
        The objective, without the adaptive factor.
    """
    diagonal = few_step(name).diagonal
    assert diagonal is not None
    return diagonal
