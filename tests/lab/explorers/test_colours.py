"""One colour for one objective: what is none has another, in every explorer and picture."""

import re
from pathlib import Path

import pytest

from diffviz import plots
from diffviz.lab import explorers
from diffviz.lab.explorers import colours
from diffviz.lab.explorers.elbo import ENTRY_OF, LAW, MIXED
from diffviz.lab.explorers.schedule import ADDS, LOOKS
from diffviz.lab.explorers.training_views import BEFORE
from diffviz.plots.style import BEST, DRAWN, FOCUS, METHOD_COLOURS, NEGATIVE, OTHERS, REFERENCE
from diffviz.recipes.entries import CATALOGUE
from diffviz.web.pictures import Chart, Cloud, Table

ROOT = Path(__file__).parents[3]
OWNERS = {colour: name for name, colour in plots.COLOURS.items()}
KINDS = [name for name in explorers.__all__ if isinstance(getattr(explorers, name), type)]
FREE = {*plots.PALETTE, *OTHERS, *METHOD_COLOURS.values(), BEST, DRAWN, FOCUS, NEGATIVE, REFERENCE}
COLOUR = re.compile(r"""["'\s]#(?:[0-9A-Fa-f]{6}|[0-9A-Fa-f]{3})\b""")
GREYS = ("#000000", "#7F7F7F")  # of objectives
# what is no curve: the ground and the ink of a page, and the contrast that is measured against
GROUNDS = {"#181818", "#ffffff", "#fff", "#0a0b0c", "#1a1c1e", "#15171a"}
DRAWN_BY = {  # the objective that draws from a density
    "cosine": "iddpm-cosine",
    "FM, uniform t": "fm-ot",
    "SD3, logit-normal t": "sd3",
    "EDM, log-normal σ": "edm",
}
WITH_LOOKS = ("plots/style.py", "plots/themes.py", "reports/page.py")
STATES = {
    "ComposerExplorer": ({"names": ("elbo", "fm-ot")},),
    "ElboExplorer": (
        {"beside": ("elbo", "sd3")},
        {"right": "gap of the ELBO"},
        {"weighting": "sd3"},
        {"weighting": "Laplace"},
    ),
    "PriorExplorer": ({"shows": "couplings"},),
    "ProbeExplorer": ({"nearest": True},),
    "StackExplorer": ({"layers": 2048},),
    "ScheduleExplorer": ({"picture": "six views"}, {"picture": "live loss"}),
    "WeightingExplorer": ({"names": ("elbo", "edm"), "drawing": True, "drawn": ((0, 1), (2, 0))},),
}


def shades(panel):
    """Pairs of a name and its colour in a panel."""
    if isinstance(panel, Table):
        return [(row[0], shade) for row, shade in zip(panel.rows, panel.colours, strict=False)]
    if isinstance(panel, Chart):
        names = (*panel.curves, *panel.dots)
    elif isinstance(panel, Cloud):
        names = (*panel.points, *panel.paths)
    else:
        return []
    return [(name, panel.colours.get(name, plots.colour(name))) for name in names]


def objective_of(name, state):
    """The name of the objective that a curve shows, also in a training before or by its density."""
    if name in (LOOKS, ADDS, state.get("density")):
        return DRAWN_BY.get(state["density"], name)
    if name in (LAW, MIXED, state.get("weighting")):
        return ENTRY_OF.get(state["weighting"], state["weighting"])
    return name.removesuffix(BEFORE)


def views(kind):
    """The first view of an explorer, and those of a few other states, each with its state."""
    explorer = getattr(explorers, kind)()
    for changes in ({}, *STATES.get(kind, ())):
        state = explorer.description.checked(explorer.state | changes)
        yield explorer.compute(state, ()), state
    explorer.close()


@pytest.mark.parametrize("kind", KINDS)
def test_the_colour_of_an_objective_is_on_nothing_else_in_an_explorer(kind):
    seen = [
        (name, objective_of(name, state), shade)
        for view, state in views(kind)
        for panel in view.panels
        for name, shade in shades(panel)
        if isinstance(shade, str)  # not one colour a point, by where it ends
        if shade  # not a row of a table that no curve belongs to
    ]
    assert seen
    for name, objective, shade in seen:
        if objective in plots.COLOURS:
            assert shade == plots.colour(objective), name
        else:
            assert shade in FREE, (name, shade, OWNERS.get(shade))


def test_roles_have_colours_that_no_objective_has_and_that_differ():
    roles = [getattr(colours, name) for name in colours.__all__]
    assert not set(roles) & {plots.colour(name) for name in CATALOGUE}
    assert not set(roles) & {*plots.COLOURS.values(), *plots.PALETTE}
    assert len(set(roles)) == len(roles)


def sources():
    """Files that draw, but for the tables of colours themselves."""
    package = ROOT / "diffviz"
    for file in [*package.rglob("*.py"), *(package / "web").glob("*.js"), *ROOT.glob("docs/*.py")]:
        if not file.as_posix().endswith(WITH_LOOKS):
            yield file


def test_colours_are_written_down_in_one_place():
    """Elsewhere are only names of them, and greys."""
    found = []
    for file in sources():
        for literal in COLOUR.findall(file.read_text(encoding="utf-8")):
            colour = literal[1:]
            is_grey = len(set(re.findall("..", colour[1:].lower()))) == 1
            if colour in GROUNDS or (is_grey and colour.upper() not in GREYS):
                continue
            found.append(f"{file.relative_to(ROOT)}: {colour}")
    assert not found


def test_a_colour_literal_is_seen():
    text = 'BLUE = "#0072B2"; outline: 2px solid #D55E00;'
    assert COLOUR.findall(text) == ['"#0072B2', " #D55E00"]
