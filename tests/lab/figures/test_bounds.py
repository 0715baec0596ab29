"""The figure of weighted losses as averages of bounds, read from its artists."""

import numpy as np
import pytest
from pictures import check, check_type, data

import diffviz as dv
from diffviz.lab.experiments import bounds

pytestmark = pytest.mark.slow

NAMES = ("reweighted-bounds",)


@pytest.mark.parametrize("name", NAMES)
def test_the_figure_has_the_same_bytes_on_every_run_and_nothing_is_cut(name, tmp_path):
    check(name, tmp_path)


def test_shares_are_weightings_over_their_maximum(drawn):
    grid = np.linspace(-10, 10, 100_001)
    for name in ("elbo", "sigmoid-bias2", "edm", "fm-ot"):
        level, share = data(drawn["reweighted-bounds"], 0, name)
        top = dv.objective(name).weighting(grid).max()
        assert share == pytest.approx(dv.objective(name).weighting(level) / top, rel=1e-6)


@pytest.mark.parametrize(("panel", "models"), [(1, bounds.MODELS), (2, bounds.PREDICTORS)])
def test_rings_lie_left_of_dots_and_all_left_of_the_elbo(panel, models, drawn):
    for model in models:
        dots, _ = data(drawn["reweighted-bounds"], panel, f"{model}: bound")
        ring, place = data(drawn["reweighted-bounds"], panel, f"{model}: −log p")
        assert (ring <= dots + 1e-6).all() and (dots <= dots[0] + 1e-12).all()
        labels = drawn["reweighted-bounds"].axes[panel].get_yticklabels()
        assert labels[0].get_text() == "elbo" and len(labels) == len(place)


@pytest.mark.parametrize("name", NAMES)
def test_type_is_large_enough(name, drawn):
    check_type(drawn[name])
