"""The explorer of few-step objectives: the flow, its average velocity, and an adaptive factor."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffviz import plots
from diffviz.few_steps.objectives import few_step, few_step_catalogue
from diffviz.lab.experiments import few_steps as experiments
from diffviz.lab.explorers.colours import BESIDE, REFERENCE, SUBJECT, THIRD
from diffviz.lab.explorers.controls import require_option
from diffviz.lab.explorers.view import Changed, ViewExplorer
from diffviz.lab.figures.few_steps import FACTOR_COLOUR
from diffviz.lab.figures.few_steps import colour as objective_colour
from diffviz.lab.figures.style import minus
from diffviz.theory.objectives import Objective
from diffviz.web.description import Description, Menu, Slider, State
from diffviz.web.pictures import Chart, Note, View

NAMES = tuple(name for name, entry in few_step_catalogue.items() if entry.diagonal is not None)
PLAIN, LOCAL = "without the factor", "with the factor"
ITSELF = "the factor itself, scaled"
SPENT_PLAIN, SPENT, DRAWN = "spent without it", "spent with it", "drawn"
FACTOR, MAP, IDENTITY = "adaptive factor", "flow map", "identity"
PATH, JUMP, EULER = "path of the flow", "jump by the average u", "Euler step by u*"
AVERAGE, VELOCITY, TARGET = "average u", "velocity u*", "u* − (t − r) u̇"
OTHERS = {f"from {minus(f'{start:g}')}": start for start in (-0.6, 1.5)}  # other paths
OTHER_DASHES = dict(zip(OTHERS, (2, 0), strict=True))
COLOURS = {
    LOCAL: FACTOR_COLOUR,
    ITSELF: FACTOR_COLOUR,
    SPENT_PLAIN: REFERENCE,
    SPENT: FACTOR_COLOUR,
    PATH: SUBJECT,
    JUMP: BESIDE,
    EULER: THIRD,
    AVERAGE: BESIDE,  # a jump goes by it
    VELOCITY: THIRD,  # an Euler step goes by it
    TARGET: REFERENCE,
} | dict.fromkeys(OTHERS, REFERENCE)
ON_ITS_WAY: dict[str, Any] = {  # axes of a chart of paths
    "xlabel": "time t   [noise ← → data]",
    "ylabel": "z",
    "title": "one state on its way",
    "xlim": (1.0, 0.0),
    "colours": COLOURS,
}
STATES: tuple[float, float] = (-2.5, 2.5)  # ends of an axis of all states

SHORTEST = 0.01  # of a jump, in t
IN_FACTOR, IN_MAP, IN_IDENTITY = ({"shows": (each,)} for each in (FACTOR, MAP, IDENTITY))
ON_PATHS = {"shows": (MAP, IDENTITY)}
CONTROLS = (
    Menu("shows", "shows", (FACTOR, MAP, IDENTITY), FACTOR, buttons=True, tip="What is shown."),
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
    Menu("data", "data", experiments.DATA, "gmm1", when=ON_PATHS, tip="Data on a line."),
    Slider("z", "z at t = 0.99", -2, 2, 0.05, -1.0, when=ON_PATHS, tip="Where the path starts."),
    Slider("t", "t", 0.05, 0.99, 0.01, 0.99, when=IN_MAP, tip="Time at which a jump starts."),
    Slider("r", "r", 0.01, 0.95, 0.01, 0.01, when=IN_MAP, tip="Time at which it ends, below t."),
    Slider("at", "t", 0.05, 0.97, 0.02, 0.71, when=IN_IDENTITY, tip="The later time."),
    Slider("end", "r", 0.01, 0.93, 0.02, 0.21, when=IN_IDENTITY, tip="The time that stays."),
)


class FewStepExplorer(ViewExplorer):
    """The map of the flow that few-step networks learn, or the diagonal of their objectives.

    With ``shows="flow map"`` a state is followed along the exact flow of data on a line. A jump
    from t to r by the average velocity lands where the flow does, one by the velocity at t does
    not. On the right is the map from all states at t to those at r.

    With ``shows="identity"`` the average velocity to a time r that stays is drawn along one path,
    beside the velocity, and beside what MeanFlow's identity makes of that.

    With ``shows="adaptive factor"`` the factor is taken at the least error for Gaussian data. On
    the left are the weightings with and without it, and the factor. On the right is what the loss
    spends at each λ, beside what is drawn.

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
                "colour": objective_colour(name),
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
        if state["shows"] == FACTOR:
            return self._factor_view(state)
        return map_view(state) if state["shows"] == MAP else identity_view(state)

    def _factor_view(self, state: State) -> View:
        """The weightings, and what is spent and drawn."""
        diagonal = diagonal_of(state["name"])
        local = experiments.local(state["name"], state["std"], state["power"], state["floor"])
        weightings = {
            name: plots.scaled(each.weighting(self.grid, "u"), self.grid, "unit area")
            for name, each in ((PLAIN, diagonal), (LOCAL, local))
        }
        error = experiments.LeastError(state["std"])(self.grid)
        factor = (error + state["floor"]) ** -state["power"]
        highest = max(float(each.max()) for each in weightings.values())
        weightings[ITSELF] = highest * factor / factor.max()
        parts = {
            SPENT_PLAIN: diagonal.weighting(self.grid, "u") * error,
            SPENT: local.weighting(self.grid, "u") * error,
            DRAWN: diagonal.law.pdf(self.grid),
        }
        densities = {name: each / np.trapezoid(each, self.grid) for name, each in parts.items()}
        colours = COLOURS | dict.fromkeys((PLAIN, DRAWN), objective_colour(state["name"]))
        charts = (
            Chart(
                self.grid,
                weightings,
                plots.LOGSNR,
                "w on the error of u",
                title="the weighting",
                colours=colours,
                dashes={ITSELF: 2},
            ),
            Chart(
                self.grid,
                densities,
                plots.LOGSNR,
                "share per nat",
                title="what the loss spends",
                colours=colours,
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
    jump = np.array([t, r])
    followed = {
        name: np.array([np.interp(start, starts, row) for row in paths.states])
        for name, start in {PATH: state["z"], **OTHERS}.items()
    }
    curves = {PATH: followed.pop(PATH), JUMP: np.array([here, end]), EULER: np.array([here, euler])}
    along = Chart(
        dict.fromkeys((PATH, *followed), experiments.PATH_TIMES)
        | dict.fromkeys((JUMP, EULER), jump),
        curves | followed,
        **ON_ITS_WAY,
        dashes={JUMP: 0, EULER: 1, PATH: 0} | OTHER_DASHES,
    )
    through = Chart(
        before.states,
        {JUMP: after.states, EULER: before.states - (t - r) * before.velocity},
        xlabel="z at t",
        ylabel="z at r",
        title="all states: from t to r",
        xlim=(-3.0, 3.0),
        ylim=STATES,
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


def identity_view(state: State) -> View:
    """A path with a jump to a time that stays, and the velocities on the way, by the later time.

    Both times are moved to rows of the table of paths. The derivative of the average velocity is
    the difference of the rows on both sides of a time.

    Args:
        state: A value for each control.

    Returns:
        The view.
    """
    paths, times = experiments.paths(state["data"]), experiments.PATH_TIMES
    column = _nearest(experiments.PATH_STARTS, state["z"])
    last = _nearest(times, state["end"])
    here = min(_nearest(times, state["at"]), last - 1)
    states, velocity = paths.states[:, column], paths.velocity[:, column]
    r = times[last]
    average = velocity[: last + 1].copy()  # on the diagonal it is the velocity itself
    average[:last] = (states[:last] - states[last]) / (times[:last] - r)
    change = np.gradient(average, times[: last + 1])
    inside = slice(1, last)  # rows with a neighbour on both sides
    target = velocity[inside] - (times[inside] - r) * change[inside]
    curves = {
        VELOCITY: velocity[inside],
        AVERAGE: average[inside],
        TARGET: target,
    }
    place = times[here : here + 1]
    along = Chart(
        {PATH: times, JUMP: times[[here, last]]},
        {PATH: states, JUMP: states[[here, last]]},
        **ON_ITS_WAY,
        dashes={PATH: 0, JUMP: 0},
    )
    velocities = Chart(
        times[inside],
        curves,
        xlabel=f"time t   [r stays at {r:.2f}]",
        ylabel="velocity",
        title="its velocities, at each t",
        xlim=(1.0, 0.0),
        colours=COLOURS,
        dashes={VELOCITY: 0, AVERAGE: 0, TARGET: 2},
        dots={name: (place, curves[name][here - 1 : here]) for name in (VELOCITY, AVERAGE)},
    )
    words = (
        f"At t = {times[here]:.2f} the velocity is u* = {velocity[here]:.3f}, and the average "
        f"velocity changes at the rate u̇ = {change[here]:.3f}. So u* − (t − r) u̇ = "
        f"{target[here - 1]:.3f}; the average velocity itself is u = {average[here]:.3f}."
    )
    return View((along, velocities, Note(minus(words))), columns=2)


def _nearest(places: NDArray, value: float) -> int:
    """The index of the place that is nearest to a value."""
    return int(np.abs(places - value).argmin())


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
