"""What explorers compute in the browser, beside Python, at random settings."""

import json

import numpy as np
import pytest
import web_panels

from diffviz.lab.experiments.walks import figure_of_eight
from diffviz.lab.explorers import (
    ElboExplorer,
    PerceptionExplorer,
    PriorExplorer,
    ScheduleExplorer,
    TrajectoryExplorer,
)
from diffviz.lab.explorers.elbo import ENTRIES
from diffviz.recipes.entries import CATALOGUE
from diffviz.theory.families import FAMILIES

PUBLISHED = tuple(name for name in ENTRIES if name in CATALOGUE)  # elbo.js has their formulas
DRAWINGS = ((), ((0.5, -1.0),), ((0.5, -1.0), (1.0, 0.5), (-1.2, 0.25)), figure_of_eight())
STARTS = ((), ((0.5, -1.0), (2.0, 2.0)))
SETTINGS = 40  # of each explorer; ten times as many in the slow test
MODULES = {
    "elbo.js": (ElboExplorer, {"weighting": (*FAMILIES, *PUBLISHED), "beside": ((), ("edm",), ("elbo", "sd3"))}),
    "perception.js": (PerceptionExplorer, {}),
    "prior.js": (PriorExplorer, {}),
    "sampling.js": (TrajectoryExplorer, {"drawing": DRAWINGS, "starts": STARTS}),
    "schedule.js": (ScheduleExplorer, {"picture": ("one draw", "six views")}),
}


def compare(ask, module, count, seed):
    """Compare the views of random states; what Python refuses the browser refuses."""
    kind, options = MODULES[module]
    rng = np.random.default_rng(seed)
    explorer = kind()
    states = []
    for _ in range(count):
        state = web_panels.random_state(rng, explorer.description)
        chosen = {name: values[rng.integers(len(values))] for name, values in options.items()}
        states.append(explorer.description.checked(state | chosen))
    data = web_panels.plain({**explorer.local_data(), **explorer.page_data()})
    views = ask("views", module=module, states=states, data=data)
    compared = 0
    for state, got in zip(states, views, strict=True):
        about = json.dumps(state, ensure_ascii=False)
        try:
            expected = explorer.compute(state, ())
        except ValueError:
            assert "error" in got, about
            continue
        assert got is not None, about
        assert "error" not in got, (got, about)
        assert got["columns"] == expected.columns
        assert len(got["panels"]) == len(expected.panels), about
        for panel, own in zip(got["panels"], expected.panels, strict=True):
            web_panels.assert_same(panel, own, about)
        compared += 1
    assert compared > 0.8 * count


@pytest.mark.parametrize("module", MODULES)
def test_the_browser_shows_what_python_shows(ask, module):
    compare(ask, module, SETTINGS, seed=3)
