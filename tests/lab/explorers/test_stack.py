"""The explorer of a stack of VAEs: what layers cost and where nats are lost, by second routes."""

import numpy as np
import pytest
import torch
from scipy.special import expit

import diffviz as dv
from diffviz.lab.experiments.elbo import LAYER_COUNTS, known, layer_costs, stack_costs
from diffviz.lab.explorers.elbo import DATA
from diffviz.lab.explorers.stack import (
    AT_DATA,
    AT_NOISE,
    BY_STEPS,
    IN_ALL,
    LAYERS,
    LEAST_SHOWN,
    LIMIT,
    RING,
    StackExplorer,
)

GAUSS = "N(0, 1)"


@pytest.fixture
def explorer():
    return StackExplorer()


def curve(explorer, panel, name):
    """Places and values of a curve."""
    chart = explorer.view.charts[panel]
    return chart.places(name), np.asarray(chart.curves[name])


def cells(explorer, table, row):
    """The numbers of a row."""
    texts = explorer.view.panels[2 + table].rows[row][1:]
    return [float(text.removeprefix("below ").replace("−", "-")) for text in texts]


@pytest.mark.parametrize("layers", [1, 10, 100])
def test_layers_cost_what_the_bound_of_a_network_says(layers):
    """A point with x² = 1 stands for all of N(0, 1), whose error is linear in x²."""
    gauss, one = dv.toy("gaussian"), torch.ones(1, 1)
    bound = dv.elbo(gauss, one, levels=layers, finite=True, exact=True)
    costs = layer_costs(known("gaussian"), -10.0, 10.0, layers)
    assert costs.shape == (layers,)
    assert costs.sum() == pytest.approx(bound.diffusion.item(), rel=1e-5)


def test_what_a_gaussian_loses_has_a_closed_form():
    for low, high in ((-8.0, 6.0), (-3.0, 12.0)):
        costs = stack_costs(known("gaussian"), low, high, 64)
        edges = np.linspace(low, high, 65)
        summed = np.expm1(edges[1] - edges[0]) / 2 * expit(edges[:-1]).sum()
        limit = (np.logaddexp(0, high) - np.logaddexp(0, low)) / 2
        assert costs.by_steps == pytest.approx(summed - limit, rel=1e-6)
        assert costs.at_data == pytest.approx(np.log1p(np.exp(-high)) / 2, rel=1e-4)
        assert costs.at_noise == pytest.approx(0, abs=1e-9)  # z is N(0, 1) at every level


@pytest.mark.parametrize("name", ["gmm1", "ring8"])
def test_what_is_lost_adds_up_and_the_data_end_is_smoothed_data(name):
    data, toy = known(name), dv.toy(name)
    costs = stack_costs(data, -4.0, 7.0, 30)
    assert costs.nats - data.entropy == pytest.approx(costs.lost, abs=1e-9)
    scale = data.dimension / 2 * np.log(expit(7.0))
    assert costs.at_data == pytest.approx(toy.entropy(7.0) - scale - data.entropy, abs=1e-6)
    assert min(costs.at_noise, costs.by_steps, costs.at_data) > 0


def test_the_stairs_have_the_area_of_the_diffusion_term(explorer):
    for layers in (8, 33, 900):
        explorer.set("layers", layers)
        places, costs = curve(explorer, 0, LAYERS)
        assert len(np.unique(costs)) >= min(layers, 8)
        area = costs.mean() * (explorer.state["high"] - explorer.state["low"])
        assert area == pytest.approx(cells(explorer, 0, 0)[1], abs=1e-4)
        low, high = explorer.view.charts[0].bands[LAYERS]
        between = np.mean(np.subtract(high, low)) * 20
        assert between == pytest.approx(cells(explorer, 1, 0)[1], rel=0.05)
        assert places[0] > explorer.state["low"] and places[-1] < explorer.state["high"]
    level, limit = curve(explorer, 0, LIMIT)
    np.testing.assert_allclose(limit, known("ring8").mmse(level) / 2)


def test_the_curves_over_layers_are_those_of_the_table(explorer):
    explorer.set("low", -3.0)
    explorer.set("layers", 96)
    counts, total = curve(explorer, 1, IN_ALL)
    assert tuple(counts) == LAYER_COUNTS
    at = LAYER_COUNTS.index(96)
    found = [curve(explorer, 1, name)[1][at] for name in (AT_NOISE, BY_STEPS, AT_DATA, IN_ALL)]
    assert found == pytest.approx(cells(explorer, 1, 0), rel=0.05)
    assert sum(found[:3]) == pytest.approx(found[3])
    (place,), (value,) = explorer.view.charts[1].dots[IN_ALL]
    assert place == 96 and value == pytest.approx(total[at])
    steps = curve(explorer, 1, BY_STEPS)[1]
    assert (np.diff(steps) < 0).all()
    assert steps[-1] / steps[-3] == pytest.approx(0.5, rel=0.01)  # it falls as 1/T


def test_what_lies_below_the_axis_has_no_line_and_no_name(explorer):
    assert cells(explorer, 1, 0)[0] < LEAST_SHOWN
    assert set(explorer.view.charts[1].curves) == {IN_ALL, BY_STEPS, AT_DATA}
    explorer.set("low", -3.0)
    assert cells(explorer, 1, 0)[0] > LEAST_SHOWN
    assert set(explorer.view.charts[1].curves) == {IN_ALL, AT_NOISE, BY_STEPS, AT_DATA}
    explorer.set("high", 20.0)
    assert AT_DATA not in explorer.view.charts[1].curves


def test_each_end_moves_what_is_lost_at_it_and_nothing_else(explorer):
    before = cells(explorer, 1, 0)
    explorer.set("high", 8.0)
    assert cells(explorer, 1, 0)[2] == pytest.approx(100 * np.exp(-8), rel=0.05)
    assert cells(explorer, 1, 0)[0] == before[0]
    explorer.set("high", 10.0)
    explorer.set("low", -3.0)
    assert cells(explorer, 1, 0)[0] > 1e3 * before[0]
    assert cells(explorer, 1, 0)[2] == before[2]


def test_terms_add_up_and_bits_are_per_dimension(explorer):
    for name in DATA:
        explorer.set("data", name)
        for row in (0, 1):
            prior, diffusion, reconstruction, total, bits = cells(explorer, 0, row)
            assert prior + diffusion + reconstruction == pytest.approx(total, abs=2e-4)
            dimension = known(DATA[name]).dimension
            assert bits == pytest.approx(total / dimension / np.log(2), abs=1e-4)


def test_no_end_of_a_slider_is_an_error(explorer):
    for name in DATA:
        explorer.set("data", name)
        for settings in ((-20.0, 20.0, 8), (0.0, 1.0, 2048), (-20.0, 1.0, 2048), (0.0, 20.0, 8)):
            for control, value in zip(("low", "high", "layers"), settings, strict=True):
                explorer.set(control, value)
            assert explorer.error == "" and "nan" not in explorer.view.text
            top = explorer.view.charts[0].ylim[1]
            assert curve(explorer, 0, LAYERS)[1].max() < top
            low, high = explorer.view.charts[1].ylim
            most = curve(explorer, 1, IN_ALL)[1].max()
            assert low == LEAST_SHOWN and high / 10 < most <= high
    explorer.set("data", GAUSS)
    assert explorer.view.panels[3].rows[0][1] == "below 1e−9"


def test_what_does_not_fit_is_refused_and_a_picture_is_kept(explorer):
    with pytest.raises(ValueError, match="ring of 8"):
        StackExplorer("ring8")
    with pytest.raises(ValueError, match="layers"):
        StackExplorer(layers=7)
    with pytest.raises(ValueError, match="high must be above low"):
        layer_costs(known("gmm1"), 2.0, 2.0, 4)
    with pytest.raises(TypeError, match="layers must be a whole number"):
        stack_costs(known("gmm1"), -2.0, 2.0, 4.5)
    content, _ = explorer._repr_mimebundle_()
    assert "image/png" in content and explorer.state["data"] == RING
