"""The explorer of the search: a weighting of the family, and where the surface has it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import RegularGridInterpolator

from diffviz import plots
from diffviz.lab.experiments import progress
from diffviz.lab.experiments import search as search_experiments
from diffviz.lab.experiments.perception import slopes
from diffviz.lab.explorers.colours import REFERENCE, SUBJECT
from diffviz.lab.explorers.view import Changed, ViewExplorer
from diffviz.lab.explorers.weighting import LOGARITHMIC, SHORT_LOGSNR, entry_chips
from diffviz.lab.explorers.work import Newest
from diffviz.lab.figures.search import (
    BEST,
    FLOOR,
    GUESS_COLOUR,
    GUESS_TEXT,
    OPTIMUM,
    PERCENT,
    Heights,
    above_least,
)
from diffviz.lab.figures.style import minus
from diffviz.plots.style import OTHERS
from diffviz.recipes.entries import CATALOGUE
from diffviz.search.families import FAMILIES
from diffviz.search.goals import HIGH, LOW
from diffviz.search.report import Search
from diffviz.search.smooth import SmoothSurface
from diffviz.search.surface import SURFACES
from diffviz.search.vision import PIXELS_PER_DEGREE
from diffviz.web.description import Action, Chips, Description, Slider, State
from diffviz.web.pictures import Chart, Note, Panel, View, Working

CHOSEN, GUESS = "chosen", GUESS_TEXT
GUESSED = (1.0, 0.0)  # power and octaves of theory's guess
GROUND = "the floor"
GROUND_COLOUR = OTHERS[7]  # a grey at the opacity of a band, and dark enough for a projector
SLICE, EDGE = "the surface", "the floor: 1 %"
LEAST, VALLEY = "the least", "best power"
(_, LEAST_POWER, MOST_POWER), (_, NEAREST, FARTHEST) = FAMILIES["csf-mixture"].box
CONTROLS = (
    Slider(
        "power",
        "power",
        LEAST_POWER,
        MOST_POWER,
        0.05,
        1.0,
        tip="The exponent of the eye's weighting: 0 is the ELBO.",
    ),
    Slider(
        "octaves",
        "octaves",
        NEAREST,
        FARTHEST,
        0.25,
        0.0,
        tip="How far the eye is: one octave more is twice as far.",
    ),
    Chips(
        "beside",
        "beside",
        entry_chips(),
        ("elbo", "fm-ot"),
        most=4,
        tip="Published objectives to compare with.",
    ),
    Slider(
        "surface",
        "surface",
        0,
        SURFACES,
        1,
        0,
        whole=True,
        tip="0 goes through what was measured; the others are as likely, with noise drawn again.",
    ),
    Action("search", "search", tip="Trains 102 small networks, unless that has been done before."),
)


@dataclass(frozen=True, eq=False)
class OtherSurface:
    """A surface that fits what was measured as well as the one that a search draws.

    Args:
        measured: The surface of a search over two parameters.
        number: Which of the likely surfaces, from 1 on.
    """

    measured: SmoothSurface
    number: int

    @cached_property
    def _interpolated(self) -> RegularGridInterpolator:
        """The goal between the nodes of the lattice."""
        first, second, heights = self.measured.likely.grid
        return RegularGridInterpolator((first, second), heights[..., self.number - 1].T)

    def at(self, points: ArrayLike) -> NDArray:
        """The surface at points of the box.

        Args:
            points: In the units of the parameters, shape (m, 2).

        Returns:
            The goal, shape (m,).
        """
        return np.asarray(self._interpolated(points))

    def least(self) -> NDArray:
        """Where the surface is least, shape (2,)."""
        nodes, heights = self.measured.likely
        return nodes[heights[:, self.number - 1].argmin()]


def surface_of(found: Search, number: int) -> Heights:
    """The surface of a search, or one that is as likely.

    Args:
        found: What the search found.
        number: 0 for the surface through what was measured, else which of the others.

    Returns:
        The surface.
    """
    measured = found.surface
    if number == 0 or not isinstance(measured, SmoothSurface):
        return measured
    return OtherSurface(measured, number)


def count_on_floor(measured: SmoothSurface, place: tuple[float, float]) -> int:
    """On how many of the likely surfaces a point lies within 1 % of the least.

    Args:
        measured: The surface of a search over two parameters.
        place: Power and octaves.

    Returns:
        How many of the 200 have it on the floor.
    """
    first, second, heights = measured.likely.grid
    at_nodes = RegularGridInterpolator((first, second), heights.transpose(1, 0, 2))
    (here,) = at_nodes([place])
    above = np.expm1(here - heights.min((0, 1)))
    return int((above <= FLOOR).sum())


class SearchExplorer(ViewExplorer):
    """What do power and distance do to a weighting, and to what an eye sees of the error?

    On the left is a weighting of the family in which the small search looks, on the right a map of
    the floor of the surface that it found, where a disc moves with the controls. Below are cuts
    through the surface at that disc. A slider shows other surfaces that fit the trained points as
    well, and the text counts those on whose floor the disc lies. The surface is in the cache once
    the search has run; a button runs it.

    Args:
        **state: Values of controls at first, such as ``power=0.5``.

    Raises:
        TypeError: A value is of the wrong kind.
        ValueError: A name is unknown, or a value is not allowed.
    """

    grid = np.linspace(LOW, HIGH, 145)  # λ in nats
    powers = np.linspace(LEAST_POWER, MOST_POWER, 81)
    distances = np.linspace(NEAREST, FARTHEST, 97)  # in octaves

    def __init__(self, **state: Any):
        self._results = Newest[str, Search](1)
        super().__init__(Description("Search", CONTROLS), state)

    def compute(self, state: State, changed: Changed) -> View | Iterator[View | Working]:
        """The weighting and the surface, or the search as it goes on.

        Args:
            state: A value for each control.
            changed: Names of the controls that were moved.

        Returns:
            The view, or one that comes when the search has ended.
        """
        return self._search() if "search" in changed else self._show(state)

    def _search(self) -> Iterator[View | Working]:
        """Run the small search, and show its surface."""
        yield Working(0.0, "the first weightings")
        for news in progress.followed(search_experiments.small):
            if isinstance(news, Search):
                self._results.keep("small", news)
            else:
                yield Working(news, "training the weightings")
        yield self._show(self.state)

    def _show(self, state: State) -> View:
        """The view of a state."""
        found = self._results.found("small", search_experiments.small)
        surface = None if found is None else surface_of(found, state["surface"])
        panels: tuple[Panel, ...] = (self._weightings(state),)
        if surface is not None:
            panels += (self._map(state, surface), *self._cuts(state, surface))
        on_floor = None
        if found is not None and isinstance(found.surface, SmoothSurface):
            on_floor = count_on_floor(found.surface, (state["power"], state["octaves"]))
        return View((*panels, Note(words(state, surface, on_floor))), columns=2)

    def _weightings(self, state: State) -> Chart:
        """log10 of the weighting that is chosen, of theory's guess and of those beside them."""
        curves = {
            CHOSEN: search_experiments.member(state["power"], state["octaves"]),
            GUESS: search_experiments.member(*GUESSED),
        }
        curves |= {name: CATALOGUE[name].weighting for name in state["beside"]}
        return Chart(
            self.grid,
            {
                name: plots.scaled(w(self.grid), self.grid, LOGARITHMIC)
                for name, w in curves.items()
            },
            xlabel=SHORT_LOGSNR,
            ylabel="log₁₀ w on the ε error",
            title="the weighting",
            colours={CHOSEN: SUBJECT, GUESS: GUESS_COLOUR},
            dashes={GUESS: 1},
        )

    def _map(self, state: State, surface: Heights) -> Chart:
        """The floor in the plane of power and distance, with the weighting that is chosen."""
        x, y = np.meshgrid(self.powers, self.distances)
        above = above_least(surface, np.c_[x.ravel(), y.ravel()]).reshape(x.shape)
        on_floor = above <= PERCENT * FLOOR
        crossed = on_floor.any(0)  # powers at which some distance is on the floor
        near = self.distances[on_floor.argmax(0)][crossed]
        far = self.distances[::-1][on_floor[::-1].argmax(0)][crossed]
        places = {
            LEAST: tuple(surface.least()),
            CHOSEN: (state["power"], state["octaves"]),
            GUESS: GUESSED,
        }
        dots = {name: (np.array([x]), np.array([y])) for name, (x, y) in places.items()}
        return Chart(
            self.powers[crossed],
            dict.fromkeys((GROUND, VALLEY, *dots), np.full(len(near), np.nan)),  # for the legend
            xlabel="power",
            ylabel="octaves   [near ← → far]",
            title="the floor, in grey",
            xlim=(LEAST_POWER, MOST_POWER),
            ylim=(NEAREST, FARTHEST),
            colours={
                GROUND: GROUND_COLOUR,
                VALLEY: BEST,
                LEAST: OPTIMUM,
                CHOSEN: SUBJECT,
                GUESS: GUESS_COLOUR,
            },
            dashes=dict.fromkeys((GROUND, VALLEY, *dots), 0),
            bands={GROUND: (near, far)},
            dots={VALLEY: (self.powers[above.argmin(1)][::3], self.distances[::3]), **dots},
            under=(VALLEY,),
            symbols={LEAST: "star", CHOSEN: "disc", GUESS: "diamond"},
        )

    def _cuts(self, state: State, surface: Heights) -> tuple[Chart, Chart]:
        """How far the surface lies above its least, along the power and along the distance."""
        power, octaves = state["power"], state["octaves"]
        along_power = np.c_[self.powers, np.full(len(self.powers), octaves)]
        along_distance = np.c_[np.full(len(self.distances), power), self.distances]
        return (
            _cut(
                surface, along_power, 0, power, "power", f"along the power, at octaves {octaves:g}"
            ),
            _cut(
                surface,
                along_distance,
                1,
                octaves,
                "octaves",
                f"along the distance, at power {power:g}",
            ),
        )


def _cut(
    surface: Heights, places: NDArray, axis: int, here: float, xlabel: str, title: str
) -> Chart:
    """The surface along a line through the weighting that is chosen.

    Args:
        surface: The surface.
        places: Points of the line, shape (n, 2).
        axis: Which of the two parameters changes.
        here: Its value of the weighting that is chosen.
        xlabel: Its name.
        title: What stands above.

    Returns:
        The chart.
    """
    x, above = places[:, axis], above_least(surface, places)
    height = np.interp(here, x, above)
    return Chart(
        x,
        {SLICE: above, EDGE: np.full(len(x), PERCENT * FLOOR)},
        xlabel=xlabel,
        ylabel="above the least   [%]",
        title=minus(title),
        ylim=(0, 14),
        colours={SLICE: SUBJECT, EDGE: REFERENCE, CHOSEN: SUBJECT},
        dashes={EDGE: 1},
        dots={CHOSEN: (np.array([here]), np.array([height]))},
        symbols={CHOSEN: "disc"},
    )


def middle_slope(state: State) -> float:
    """Slope of log w from λ = −4 to 2 of the weighting that is chosen.

    Args:
        state: A value for each control.

    Returns:
        The slope; that of flow matching is −0.5.
    """
    (slope,) = slopes(search_experiments.member(state["power"], state["octaves"]), (-4.0, 2.0))
    return float(slope)


def words(state: State, surface: Heights | None, on_floor: int | None) -> str:
    """What the weighting is, and where it lies on the surface.

    Args:
        state: A value for each control.
        surface: The surface that is shown; None if the search has not run.
        on_floor: On how many of the likely surfaces it lies on the floor; None if that is unknown.

    Returns:
        Three lines, or up to five.
    """
    rate = PIXELS_PER_DEGREE * 2.0 ** state["octaves"]
    first = (
        f"an eye at {rate:.3g} pixels per degree, to the power {state['power']:g}\n"
        f"slope of log w from −4 to 2: {middle_slope(state):.2f} (flow matching: −0.50)"
    )
    if surface is None:
        number = state["surface"]
        second = f"surface {number} of the search is not known yet: press search (about a minute)"
    else:
        (above,) = above_least(surface, np.array([[state["power"], state["octaves"]]]))
        least_power, least_octaves = surface.least()
        place = "on the floor" if above <= PERCENT * FLOOR else "not on the floor"
        second = (
            f"{above:.1f} % above the least of the surface: {place}\n"
            f"least at power {least_power:.2f}, octaves {least_octaves:.2f}"
        )
        if on_floor is not None:
            second += f"\nit lies on the floor of {on_floor} of the {SURFACES} other surfaces"
    return minus(f"{first}\n{second}")
