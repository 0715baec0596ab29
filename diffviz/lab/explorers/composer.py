"""The recipe composer: a path, a law of times, a target and a multiplier, and what they weight."""

from typing import Any

import numpy as np

from diffviz import plots
from diffviz.lab.experiments import composer
from diffviz.lab.experiments.composer import Distance
from diffviz.lab.explorers.colours import BESIDE, OWN, SUBJECT, THIRD
from diffviz.lab.explorers.controls import anchor_slider, base_menu, parameter_slider
from diffviz.lab.explorers.view import Changed, ViewExplorer
from diffviz.lab.explorers.weighting import (
    AXES,
    LOGARITHMIC,
    LOOKS,
    Axis,
    drawn_limits,
    entry_chips,
    look_data,
    verdict_cells,
)
from diffviz.recipes.entries import CATALOGUE
from diffviz.theory.objectives import Objective
from diffviz.web.description import Chips, Control, Description, Menu, Slider, State
from diffviz.web.pictures import Chart, Note, Table, View

LABELS = {
    "path": "path",
    "law": "times",
    "target": "target",
    "multiplier": "multiplier",
}
TIPS = {
    "path": "alpha(t) and sigma(t), and with them λ(t).",
    "law": "The law that draws times t, or noise levels themselves.",
    "target": "What the network's squared error is taken on.",
    "multiplier": "The factor c(λ) on the target's squared error.",
}
COLOURS = {"p": SUBJECT, "gain²": BESIDE, "c": THIRD, "w": OWN}
YLABELS = {  # on each scale; a loss density has no parts
    LOGARITHMIC: "log₁₀, 0 at λ = {:g}",
    "w / max": "over its maximum",
}
TITLE = "p, gain², c and their product w, on the {} error"
LOOKS_OF_PARTS = tuple(YLABELS)
NEAREST = 3  # published objectives that are listed
NAMED = 12  # published objectives of the same weighting that are named
SAME = 1 + 1e-6  # factor up to which two weightings are the same
FAR = 1000  # factor from which on a number says no more
MOST = 4  # published objectives that are drawn


def part_controls(menu: str) -> tuple[Control, ...]:
    """The menu of a part of the recipe, and the sliders of its options.

    Args:
        menu: "path", "law", "target" or "multiplier".

    Returns:
        The menu, then the sliders, each shown with its option only.
    """
    options = composer.MENUS[menu]
    chosen = composer.start()[menu]
    sliders = [
        parameter_slider(composer.name_of(menu, option, parameter.name), parameter, menu, option)
        for option, part in options.items()
        for parameter in part.parameters
    ]
    return Menu(menu, LABELS[menu], tuple(options), chosen, tip=TIPS[menu]), *sliders


def shift_slider(name: str, label: str, tip: str) -> Slider:
    """A slider for a factor on sigma/alpha.

    Args:
        name: Name in the state.
        label: What stands beside it.
        tip: A sentence that explains it.

    Returns:
        The slider, folded away at first.
    """
    return Slider(name, label, 0.25, 8, 0.025, 1.0, scale="log", tip=tip, rare=True)


def composer_controls() -> tuple[Control, ...]:
    """The controls of the composer."""
    parts = [control for menu in composer.MENUS for control in part_controls(menu)]
    return (
        *parts,
        base_menu("The error on which gain² and w act."),
        Chips(
            "names",
            "beside",
            entry_chips(),
            (),
            most=MOST,
            tip="Published objectives to compare with.",
        ),
        Slider("below", "share below λ", -8, 8, 0.25, 0.0, unit="nats"),
        Menu("scale", "scale", LOOKS_OF_PARTS, LOGARITHMIC, rare=True),
        anchor_slider(when={"scale": (LOGARITHMIC,)}, rare=True),
        Menu("axis", "axis", tuple(AXES), "λ", rare=True),
        shift_slider("path_shift", "shift of path", "Factor on sigma/alpha along the path."),
        shift_slider("law_shift", "shift of times", "Factor on sigma/alpha where loss is drawn."),
    )


class ComposerExplorer(ViewExplorer):
    """A recipe from four menus: what it weights, and which published objective is nearest.

    The picture shows the density p of log-SNR, gain², the multiplier c, and their product w, one
    over the other. On the scale of logarithms they add up. Under it stand the verdict, the shares
    of w and of the loss below a λ, and how far the ratio to published weightings is from constant.

    Args:
        **state: Values of controls at first, such as ``path="cosine"`` and ``target="v"``; by
            default the recipe is that of flow matching.

    Raises:
        TypeError: A value is of the wrong kind.
        ValueError: A control is unknown, a value is not allowed, or the parts do not go together.

    Example:
        >>> explorer = dv.lab.explorers.ComposerExplorer(path="cosine", target="v")
        >>> dv.compare(explorer.objective(), dv.objective("fm-ot")).same
        True
    """

    grid = np.linspace(-12, 12, 601)  # λ in nats

    def __init__(self, **state: Any):
        description = Description("Recipe composer", composer_controls(), local="composer.js")
        super().__init__(description, state)
        self.objective()

    def objective(self) -> Objective:
        """The objective on show."""
        return composer.compose(self.state)

    def compute(self, state: State, changed: Changed) -> View:
        """The parts, the verdict, and the nearest published objectives.

        Args:
            state: A value for each control.
            changed: Not used.

        Returns:
            A chart, a sentence on what the recipe is, and two tables.

        Raises:
            ValueError: The parts do not go together.
        """
        objective = composer.compose(state)
        below = f"λ = {state['below']:g}"
        verdict = Table(
            ("verdict", f"w below {below}", f"loss below {below}"),
            [verdict_cells(objective, state["below"])],
        )
        ordered = composer.distances(objective)
        nearness = nearness_table(ordered, state["names"])
        place = Note(place_text(ordered), strong=True)
        return View((self._chart(objective, state), place, verdict, nearness))

    def local_data(self) -> dict[str, Any]:
        """What the browser composes and compares recipes with."""
        shared = look_data(self.grid)
        return shared | {
            "levels": composer.published(),
            "labels": YLABELS,
            "title": TITLE,
            "targets": {entry.name: entry.target.name for entry in CATALOGUE.values()},
            # they are drawn only, and in float64 they would be half of the page
            "entries": {name: w.astype(np.float32) for name, w in shared["entries"].items()},
            "colours": shared["colours"] | COLOURS,
        }

    def code(self) -> str:
        """The cell that makes the same objective."""
        return composer.code(self.state)

    def _chart(self, objective: Objective, state: State) -> Chart:
        """The parts of the recipe, and the chosen objectives beside their product."""
        look = LOOKS[state["scale"]]
        axis = AXES[state["axis"]]
        base = state["base"]
        values = composer.parts(objective, self.grid, base)
        for name in state["names"]:
            values[name] = CATALOGUE[name].weighting(self.grid, base)
        curves = {
            name: plots.scaled(w, self.grid, look.scale, state["anchor"])
            for name, w in values.items()
        }
        return Chart(
            axis.place(self.grid),
            curves,
            xlabel=axis.label,
            ylabel=YLABELS[state["scale"]].format(state["anchor"]),
            title=TITLE.format(plots.ERROR_OF[base]),
            xscale=axis.scale,
            ylim=drawn_limits(curves, look),
            colours=COLOURS,
            marks=level_mark(state["below"], axis),
        )


def level_mark(logsnr: float, axis: Axis) -> dict[str, float]:
    """A vertical line at a λ, where the axis has it.

    Args:
        logsnr: λ in nats.
        axis: The horizontal axis.

    Returns:
        Label to place; empty outside a path.
    """
    place = float(axis.place(np.array([logsnr]))[0])
    return {f"λ = {logsnr:g}": place} if np.isfinite(place) else {}


def place_text(ordered: list[Distance]) -> str:
    """Where a recipe stands among the published ones, in a sentence.

    Args:
        ordered: The distances, the nearest first.

    Returns:
        The sentence.
    """
    same = [one.name for one in ordered if one.factor <= SAME]
    if not ordered:
        return "w = 2 · c · gain² · p, where no published objective has support."
    if not same:
        return f"w = 2 · c · gain² · p is new here; the nearest published one is {ordered[0].name}."
    rest = f" and {len(same) - NAMED} more" if len(same) > NAMED else ""
    return f"w = 2 · c · gain² · p is the weighting of {', '.join(same[:NAMED])}{rest}."


def nearness_row(name: str, distance: Distance | None) -> tuple[str, str, str]:
    """A row of the table of published objectives.

    Args:
        name: The objective.
        distance: How far it is; None where it has too little support.

    Returns:
        Its name, the factor in words, and the λ at which it is met.
    """
    if distance is None:
        return name, "elsewhere", ""
    if distance.factor <= SAME:
        return name, "the same", ""
    return name, factor_words(distance.factor), f"{distance.at:g}".replace("-", "−")


def factor_words(factor: float) -> str:
    """A factor with three digits after the point below 10, and one above.

    Args:
        factor: The factor, at least 1.

    Returns:
        The text.
    """
    if factor > FAR:
        return f"over {FAR}"
    return f"{factor:.3f}" if factor < 10 else f"{factor:.1f}"


def nearness_table(ordered: list[Distance], names: tuple[str, ...]) -> Table:
    """How near the published objectives are: the nearest ones, then those that are chosen.

    Args:
        ordered: The distances, the nearest first.
        names: The chosen objectives.

    Returns:
        The table.
    """
    known = {one.name: one for one in ordered}
    nearest = [one.name for one in ordered[:NEAREST]]
    listed = list(dict.fromkeys([*nearest, *names]))
    rows = [nearness_row(name, known.get(name)) for name in listed]
    colours = [plots.colour(name) if name in names else "" for name in listed]  # of what is drawn
    return Table(("nearest published", "ratio off by a factor of", "at λ"), rows, colours)
