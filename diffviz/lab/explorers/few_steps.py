"""The explorer of few-step objectives: the map of the flow, and what an adaptive factor does."""

from typing import Any

import numpy as np

from diffviz import plots
from diffviz.few_steps.objectives import few_step, few_step_catalogue
from diffviz.lab.experiments import few_steps as experiments
from diffviz.lab.explorers.colours import BESIDE, REFERENCE, SUBJECT, THIRD
from diffviz.lab.explorers.controls import require_option
from diffviz.lab.explorers.view import Changed, ViewExplorer
from diffviz.lab.figures.style import minus
from diffviz.theory.objectives import Objective
from diffviz.web.description import Description, Menu, Slider, State
from diffviz.web.pictures import Chart, Note, View

NAMES = tuple(name for name, entry in few_step_catalogue.items() if entry.diagonal is not None)
PLAIN, LOCAL = "without the factor", "with the factor"
SPENT_PLAIN, SPENT, DRAWN = "spent without it", "spent with it", "drawn"
FACTOR, MAP = "adaptive factor", "flow map"
PATH, JUMP, EULER = "path of the flow", "jump by u", "one Euler step"
OTHERS = {f"from {minus(f'{start:g}')}": start for start in (-0.6, 1.5)}  # other paths
OTHER_DASHES = dict(zip(OTHERS, (2, 0), strict=True))
COLOURS = {
    PLAIN: REFERENCE,
    LOCAL: SUBJECT,
    SPENT_PLAIN: REFERENCE,
    SPENT: SUBJECT,
    DRAWN: BESIDE,
    PATH: SUBJECT,
    JUMP: BESIDE,
    EULER: THIRD,
} | dict.fromkeys(OTHERS, REFERENCE)
SHORTEST = 0.01  # of a jump, in t
IN_FACTOR, IN_MAP = {"shows": (FACTOR,)}, {"shows": (MAP,)}
CONTROLS = (
    Menu("shows", "shows", (FACTOR, MAP), FACTOR, buttons=True, tip="What the charts show."),
    Menu("name", "objective", NAMES, "meanflow", when=IN_FACTOR, tip="Whose diagonal is shown."),
    Slider(
        "std",
        "std",
        0.05,
        2,
        0.05,
        0.3,
        scale="log",
        when=IN_FACTOR,
        tip="Standard deviation of the data.",
    ),
    Slider(
        "power",
        "power p",
        0,
        1.5,
        0.05,
        1.0,
        when=IN_FACTOR,
        tip="0 is no factor, 1 that of MeanFlow.",
    ),
    Slider(
        "floor",
        "floor c",
        1e-4,
        10,
        0.1,
        0.01,
        scale="log",
        when=IN_FACTOR,
        tip="Added to the error.",
    ),
    Menu("data", "data", experiments.DATA, "gmm1", when=IN_MAP, tip="Data on a line."),
    Slider("z", "z at t = 0.99", -2, 2, 0.05, -1.0, when=IN_MAP, tip="Where the path starts."),
    Slider("t", "t", 0.05, 0.99, 0.01, 0.99, when=IN_MAP, tip="Time at which a jump starts."),
    Slider("r", "r", 0.01, 0.95, 0.01, 0.01, when=IN_MAP, tip="Time at which it ends, below t."),
)


class FewStepExplorer(ViewExplorer):
    """The map of the flow that few-step networks learn, or the diagonal of their objectives.

    With ``shows="flow map"`` a state is followed along the exact flow of data on a line. A jump
    from t to r by the average velocity lands where the flow does, one by the velocity at t does
    not. On the right is the map from all states at t to those at r.

    With ``shows="adaptive factor"`` the factor is taken at the least error for Gaussian data. On
    the left are the weightings with and without it; on the right is what the loss spends at each λ,
    beside what is drawn.

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
        diagonals = {
            name: {
                "w": diagonal_of(name).weighting(self.grid, "u"),
                "density": diagonal_of(name).law.pdf(self.grid),
            }
            for name in NAMES
        }
        return {
            "grid": self.grid,
            "diagonals": diagonals,
            "paths": {data: experiments.paths(data)._asdict() for data in experiments.DATA},
            "times": experiments.PATH_TIMES,
            "starts": experiments.PATH_STARTS,
            "label": plots.LOGSNR,
            "colours": COLOURS,
        }

    def compute(self, state: State, changed: Changed) -> View:
        """Two charts and a sentence on what was chosen.

        Args:
            state: A value for each control.
            changed: Not used.

        Returns:
            The view.
        """
        return map_view(state) if state["shows"] == MAP else self._factor_view(state)

    def _factor_view(self, state: State) -> View:
        """The weightings, and what is spent and drawn."""
        diagonal = diagonal_of(state["name"])
        local = experiments.local(state["name"], state["std"], state["power"], state["floor"])
        weightings = {
            name: plots.scaled(each.weighting(self.grid, "u"), self.grid, "unit area")
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
                "w on the error of u",
                title="the weighting",
                colours=COLOURS,
            ),
            Chart(
                self.grid,
                densities,
                plots.LOGSNR,
                "share per nat",
                title="what the loss spends",
                colours=COLOURS,
                dashes={DRAWN: 1},
            ),
        )
        nat = float(np.diff(self.grid[:2]).item())
        overlap = float(np.minimum(densities[SPENT], densities[DRAWN]).sum() * nat)
        text = "What is spent with the factor and what is drawn overlap by "
        return View((*charts, Note(f"{text}{100 * overlap:.0f} %.")), columns=2)


def map_view(state: State) -> View:
    """A path and two jumps along it, the map of all states, and where the jumps end.

    Args:
        state: A value for each control.

    Returns:
        The view.
    """
    paths = experiments.paths(state["data"])
    t = state["t"]
    r = min(state["r"], t - SHORTEST)
    before, after = paths.at(t), paths.at(r)
    starts = experiments.PATH_STARTS
    here, slope = (float(np.interp(state["z"], starts, row)) for row in before)
    end = float(np.interp(state["z"], starts, after.states))
    euler = here - (t - r) * slope
    progress = 1 - experiments.PATH_TIMES
    jump = np.array([1 - t, 1 - r])
    followed = {
        name: np.array([np.interp(start, starts, row) for row in paths.states])
        for name, start in {PATH: state["z"], **OTHERS}.items()
    }
    jumps = {JUMP: np.array([here, end]), EULER: np.array([here, euler])}
    along = Chart(
        dict.fromkeys(jumps, jump) | dict.fromkeys(followed, progress),
        jumps | followed,
        xlabel="1 − t   [noise ← → data]",
        ylabel="z",
        title="one state on its way",
        xlim=(0.0, 1.0),
        ylim=(-2.5, 2.5),
        colours=COLOURS,
        dashes={JUMP: 0, EULER: 1, PATH: 0} | OTHER_DASHES,
        faint=tuple(OTHERS),
    )
    through = Chart(
        before.states,
        {JUMP: after.states, EULER: before.states - (t - r) * before.velocity},
        xlabel="z at t",
        ylabel="z at r",
        title="all states: from t to r",
        xlim=(-3.0, 3.0),
        ylim=(-2.5, 2.5),
        colours=COLOURS,
        dashes={JUMP: 0, EULER: 1},
        dots={PATH: (np.array([here]), np.array([end]))},
    )
    average = (here - end) / (t - r)
    words = (
        f"From t = {t:.2f} to r = {r:.2f} the average velocity is u = {average:.3f}, the velocity "
        f"at t is {slope:.3f}. The flow ends at z = {end:.3f}, one Euler step at {euler:.3f}."
    )
    return View((along, through, Note(minus(words))), columns=2)


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
