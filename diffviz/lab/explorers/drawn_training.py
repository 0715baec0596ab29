"""A weighting that is drawn by hand, trained beside two others.

The training is that of ``TrainingDashboard``: it reports as it goes on, can be stopped, and is
found again in the cache.
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from diffviz.lab.experiments.side_by_side import TOYS, Training, known, known_objective
from diffviz.lab.explorers import training_views as views
from diffviz.theory.objectives import Objective
from diffviz.web.description import Action, Control, Menu, Slider, State, Switch
from diffviz.web.pictures import Chart, Cloud, Note, Table, View

WEIGHTINGS, TRAINING = "weightings", "training"
OTHERS = 2  # objectives that a drawn weighting is trained beside
USUAL = ("fm-ot", "edm")  # where fewer are chosen


def controls(drawing: Mapping[str, tuple[Any, ...]]) -> tuple[Control, ...]:
    """What is trained on and how long, and the button.

    Args:
        drawing: When they are shown, as ``when`` of a control.

    Returns:
        The controls.
    """
    trained = {**drawing, "picture": (TRAINING,)}
    even = "All draw λ from one uniform law, so that what differs is w alone."
    return (
        Menu("picture", "picture", (WEIGHTINGS, TRAINING), WEIGHTINGS, buttons=True, when=drawing),
        Menu("toy", "train on", TOYS, TOYS[0], tip="Points of the plane.", when=trained),
        Slider("steps", "steps", 100, 2000, 100, 600, whole=True, when=trained),
        Switch("even", "same λ for all", True, tip=even, when=trained),
        Action(
            "train",
            "Train this",
            tip="Train the drawn weighting beside the first two others.",
            when=drawing,
        ),
    )


def training_of(state: State, objectives: Mapping[str, Objective], drawn: str) -> Training:
    """The training of a drawn weighting beside the first two others.

    Args:
        state: A value for each control.
        objectives: The objectives on show, by name.
        drawn: Name of the drawn one.

    Returns:
        The training.

    Raises:
        ValueError: Nothing is drawn yet.
    """
    if drawn not in objectives:
        raise ValueError("there is no drawn weighting yet: switch on 'draw a w' and drag")
    usual = {name: known_objective(name) for name in USUAL}
    others = {**objectives, **usual}
    del others[drawn]
    chosen = islice(others.values(), OTHERS)
    return Training(
        (objectives[drawn], *chosen), state["toy"], steps=state["steps"], even=state["even"]
    )


def invitation(state: State) -> Note:
    """What can be trained once something is drawn.

    Args:
        state: A value for each control.

    Returns:
        The note.
    """
    levels = ", with one law of λ for all" if state["even"] else ""
    return Note(
        f"Drag over the chart to draw a weighting; it can then be trained on {state['toy']} for "
        f"{state['steps']} steps beside two others{levels}.",
        strong=True,
    )


def view(
    training: Training, results: views.Trainings, chart: Chart, shades: dict[str, str]
) -> View:
    """The weightings, and how far their training has come.

    Args:
        training: What it depends on.
        results: Trainings that are remembered.
        chart: The weightings; those that are not trained are shown faintly.
        shades: Name to the colour of a curve, where it has one of its own.

    Returns:
        The chart, the excess, the loss by noise level, samples, and words.
    """
    untrained = tuple(name for name in chart.curves if name not in training.names)
    weightings = replace(chart, faint=untrained)
    data = known(training.data)
    trained = views.found(training, results)
    samples = views.point_cloud("data", data.points)
    if trained is not None:
        samples = views.sample_cloud(training, data.points, trained)
    panels: tuple[Chart | Cloud, ...] = (
        views.excess_chart(training, trained),
        views.level_chart(training, data, trained),
        samples,
    )
    coloured = [_in_own_colours(one, shades) for one in panels]
    table = views.result_table(training, data, trained)
    return View(
        (weightings, *coloured, _state_note(training, trained), _coloured(table, training, shades)),
        columns=2,
    )


def _in_own_colours(panel: Chart | Cloud, shades: dict[str, str]) -> Chart | Cloud:
    """A picture with the colours that curves have of their own."""
    colours: dict[str, Any] = {**panel.colours, **shades}
    return replace(panel, colours=colours)


def _state_note(training: Training, trained: views.Trained | None) -> Note:
    """What will be trained, or how far it has come."""
    if trained is not None:
        return views.state_note(training, trained)
    names = " and ".join(training.names[1:])
    return Note(
        f"{views.training_text(training)}: the button trains {training.names[0]} beside {names}"
    )


def _coloured(table: Table, training: Training, shades: dict[str, str]) -> Table:
    """The table with the colours that curves have of their own."""
    pairs = zip(training.names, table.colours, strict=True)
    return replace(table, colours=[shades.get(name, colour) for name, colour in pairs])
