"""The recipe composer: each control changes the view, and what it says is what the package says."""

import copy
import pickle

import numpy as np
import pytest

import diffviz as dv
from diffviz.lab.experiments import composer
from diffviz.lab.explorers.composer import ComposerExplorer

OTHERS = {
    "base": "x",
    "names": ("edm",),
    "below": 2.0,
    "scale": "w / max",
    "anchor": 1.5,
    "axis": "t, linear path",
    "path_shift": 2.0,
    "law_shift": 2.0,
}


@pytest.fixture
def explorer():
    return ComposerExplorer(path="cosine", target="v")


def curves(explorer):
    return {name: np.asarray(y) for name, y in explorer.view.charts[0].curves.items()}


def seen(explorer):
    """All that a view shows, in a form that can be compared."""
    chart = explorer.view.charts[0]
    values = [np.asarray(values).tobytes() for values in (chart.x, *chart.curves.values())]
    return values, chart.xlabel, chart.ylabel, chart.ylim, explorer.view.text


def test_the_logarithms_of_the_parts_add_up_to_that_of_w(explorer):
    parts = curves(explorer)
    sums = parts["p"] + parts["gain²"] + parts["c"]
    np.testing.assert_allclose(sums, parts["w"], atol=1e-12)


@pytest.mark.parametrize("name", OTHERS)
def test_every_control_changes_what_is_shown(explorer, name):
    explorer.set("law", "logit-normal t")
    explorer.set("target", "u")
    before = seen(explorer)
    explorer.set(name, OTHERS[name])
    assert explorer.error == "" and seen(explorer) != before


@pytest.mark.parametrize("menu", composer.MENUS)
def test_every_option_has_its_own_sliders_and_view(explorer, menu):
    for option, part in composer.MENUS[menu].items():
        explorer.set(menu, option)
        assert explorer.error == ""
        shown = set(explorer.description.shown(explorer.state))
        prefix = f"{menu}_{composer.slug(option)}_"
        own = {name for name in shown if name.startswith(f"{menu}_") and name != f"{menu}_shift"}
        assert own == {f"{prefix}{parameter.name}" for parameter in part.parameters}


def test_the_tables_say_what_the_package_says(explorer):
    explorer.set("names", ("edm", "fm-ot", "sd3"))
    text = explorer.view.text
    share = dv.share_below(dv.objective("fm-ot"), 0.0)
    assert f"monotone  {share:.1%}" in text
    assert "fm-ot  the same" in text
    assert "edm  over 1000" in text
    ordered = composer.distances(explorer.objective())
    near = next(one for one in ordered if 1 + 1e-6 < one.factor < 10)
    explorer.set("names", (near.name,))
    place = f"{near.at:g}".replace("-", "−")
    assert f"{near.name}  {near.factor:.3f}  {place}" in explorer.view.text


def test_the_recipe_is_named_among_the_published_ones(explorer):
    explorer.set("path", "linear")
    explorer.set("target", "u")
    ordered = composer.distances(explorer.objective())
    equal = [one.name for one in ordered if one.factor <= 1 + 1e-6]
    assert "fm-ot" in equal and len(equal) > 3
    assert f"is the weighting of {', '.join(equal)}." in explorer.view.text
    explorer.set("law", "logit-normal t")
    explorer.set("law_logit_normal_t_mean", 0.3)
    nearest = composer.distances(explorer.objective())[0]
    assert f"is new here; the nearest published one is {nearest.name}." in explorer.view.text


def test_the_share_is_marked_where_the_axis_has_its_level(explorer):
    explorer.set("below", 2.0)
    assert explorer.view.charts[0].marks == {"λ = 2": 2.0}
    explorer.set("axis", "t, linear path")
    assert explorer.view.charts[0].marks["λ = 2"] == pytest.approx(1 / (1 + np.e))


def test_what_does_not_go_together_is_said_in_words(explorer):
    before = seen(explorer)
    explorer.set("target", "u")
    explorer.set("multiplier", "min-SNR")
    assert "min-SNR is defined on eps, x, v, not on 'u'" in explorer.error
    explorer.set("multiplier", "constant")
    explorer.set("target", "v")
    assert explorer.error == "" and seen(explorer) == before
    with pytest.raises(ValueError, match="min-SNR"):
        ComposerExplorer(multiplier="min-SNR", target="u")
    with pytest.raises(ValueError, match="cosin"):
        ComposerExplorer(path="cosin")


def test_code_and_link_bring_the_objective_back(explorer):
    explorer.set("path", "cosine")
    explorer.set("path_cosine_offset", 0.008)
    explorer.set("law_shift", 1.5)
    names = {}
    exec(explorer.code(), names)
    assert names["objective"].identity == explorer.objective().identity
    back = ComposerExplorer.from_link(explorer.link())
    assert back.state == explorer.state and seen(back) == seen(explorer)
    assert repr(explorer).startswith("ComposerExplorer(path='cosine', ")


def test_the_description_travels(explorer):
    description = explorer.description
    assert pickle.loads(pickle.dumps(description)) == description
    assert copy.deepcopy(description).start == description.start
