"""Recipes from menus: what they are by another route, the code that makes them, what is near."""

import numpy as np
import pytest
import web_settings
from scipy import stats

import diffviz as dv
from diffviz.lab.experiments import composer
from diffviz.theory import analysis, laws, paths
from diffviz.theory.families import FAMILIES

GRID = np.linspace(-11, 11, 89)
PUBLISHED = {
    "fm-ot": {"path": "linear", "target": "u"},
    "iddpm-cosine": {"path": "cosine", "target": "eps"},
    "v-cosine": {"path": "cosine", "target": "v"},
    "edm": {"path": "EDM", "target": "x", "multiplier": "EDM"},
    "edm-monotonic": {"path": "EDM", "target": "x", "multiplier": "EDM monotonic"},
    "sd3": {"path": "linear", "law": "logit-normal t", "target": "u"},
    "sd3-mode-1.29": {"path": "linear", "law": "mode t", "target": "u"},
    "sd3-cosmap": {"path": "linear", "law": "CosMap t", "target": "u"},
    "min-snr-5-eps": {"path": "cosine", "target": "eps", "multiplier": "min-SNR"},
    "p2-gamma1": {"path": "cosine", "target": "eps", "multiplier": "P2"},
    "sigmoid-bias2": {"path": "cosine", "target": "x", "multiplier": "sigmoid"},
    "elbo": {"path": "cosine", "target": "eps", "multiplier": "−dλ/dt (ELBO)"},
}


def state(**changes):
    return composer.start() | changes


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_recipe_as_its_paper_states_it_is_the_entry_of_the_catalogue(name):
    if name not in dv.catalogue:
        pytest.fail(f"{name} is not in the catalogue")
    composed = composer.compose(state(**PUBLISHED[name]))
    compared = dv.compare(composed, dv.objective(name))
    assert compared.same, compared


def test_the_start_is_flow_matching_and_the_nearest_entry_says_so():
    nearest = composer.distances(composer.compose(composer.start()))[0]
    assert nearest.name == "fm-ot" and nearest.factor - 1 < 1e-9


def test_a_shift_of_the_law_is_that_of_the_family():
    composed = composer.compose(state(law="logit-normal t", law_shift=3.0))
    family = FAMILIES["flow logit-normal"].build(shift=3.0)
    np.testing.assert_allclose(composed.weighting(GRID), family.weighting(GRID), rtol=1e-9)


def test_a_shift_of_the_path_is_that_of_the_family():
    composed = composer.compose(state(path="cosine", target="eps", path_shift=2.0))
    family = FAMILIES["cosine shifted"].build(shift=2.0)
    np.testing.assert_allclose(composed.weighting(GRID), family.weighting(GRID), rtol=1e-12)


def test_a_law_that_leaves_the_path_is_cut_to_it():
    composed = composer.compose(state(path="uniform λ", law="normal ln σ", target="v"))
    plain = stats.norm(2.4, 2.4)
    mass = plain.cdf(10) - plain.cdf(-10)
    assert composed.law.support() == (-10, 10)
    np.testing.assert_allclose(composed.law.pdf([-10, 0, 10]), plain.pdf([-10, 0, 10]) / mass)


def test_the_parts_multiply_to_the_weighting():
    composed = composer.compose(state(path="VP linear β", law="Beta t", multiplier="SNR"))
    parts = composer.parts(composed, GRID, base="x")
    product = 2 * parts["p"] * parts["gain²"] * parts["c"]
    np.testing.assert_allclose(product, parts["w"], rtol=1e-13)
    np.testing.assert_allclose(parts["w"], composed.weighting(GRID, "x"), rtol=1e-15)
    assert parts["w"][0] == 0 and parts["w"][-1] > 0  # the path ends at λ = −10.05


@pytest.mark.parametrize("seed", range(30))
def test_the_code_makes_the_same_objective(seed):
    drawn = web_settings.recipe(np.random.default_rng(seed))["state"]
    drawn = drawn | ({"target": "v"} if drawn["multiplier"] == "min-SNR" else {})
    names = {}
    exec(composer.code(drawn), names)
    composed = composer.compose(drawn)
    assert names["objective"].identity == composed.identity


def test_parts_that_do_not_go_together_are_refused():
    with pytest.raises(ValueError, match="min-SNR is defined on eps, x, v"):
        composer.compose(state(multiplier="min-SNR"))
    with pytest.raises(ValueError, match="path"):
        composer.compose(state(path="lin"))
    with pytest.raises(ValueError, match="mass"):
        composer.compose(state(path="VE", path_ve_sigma_max=1, law="uniform λ", law_shift=1e9))


def test_distances_are_those_of_a_comparison_on_the_same_stretch():
    composed = composer.compose(state(law="logit-normal t"))
    by_name = {one.name: one for one in composer.distances(composed)}
    low, high = stats.norm(0, 2).ppf([0.001, 0.999])
    grid = composer.LEVELS[(low <= composer.LEVELS) & (high >= composer.LEVELS)]
    for name in ("sd3", "edm", "fm-ot", "elbo"):
        published = dv.objective(name)
        logs = np.log(composed.weighting(grid)) - np.log(published.weighting(grid))
        off = np.exp(np.abs(logs - np.median(logs)).max())
        assert by_name[name].factor == pytest.approx(off, rel=1e-9)
        above = 1 + analysis.compare(composed, published, grid).deviation
        assert by_name[name].factor >= above * (1 - 1e-9)
    factors = np.array([one.factor for one in composer.distances(composed)])
    assert (np.diff(factors) > -1e-6).all()


def test_a_ratio_far_below_its_median_is_many_times_off():
    """A deviation would end at 100 %: flow matching beside x on the cosine path."""
    composed = composer.compose(state(path="cosine", target="x"))
    near = {one.name: one for one in composer.distances(composed)}["fm-ot"]
    grid = composer.LEVELS[abs(composer.LEVELS) <= 12]
    ratio = composed.weighting(grid) / dv.objective("fm-ot").weighting(grid)
    ratio /= np.median(ratio)
    assert analysis.compare(composed, dv.objective("fm-ot"), grid).deviation == pytest.approx(
        abs(ratio - 1).max()
    )
    assert near.factor > 10


def test_an_entry_with_too_little_support_is_left_out():
    names = {one.name for one in composer.distances(composer.compose(state(path="EDM")))}
    entries = [entry for entry in dv.catalogue.values() if entry.law.support()[1] < 6]
    assert entries and not names & {entry.name for entry in entries}


def test_every_parameter_changes_what_its_option_makes():
    base = state(target="v")
    for menu, options in composer.MENUS.items():
        for option, part in options.items():
            for parameter in part.parameters:
                chosen = base | {menu: option}
                name = composer.name_of(menu, option, parameter.name)
                first, last = (
                    composer.compose(chosen | {name: value}).weighting(GRID)
                    for value in (parameter.low, parameter.high)
                )
                assert not np.allclose(first, last, rtol=1e-3, atol=0), name


def test_laws_of_levels_and_of_times_are_told_apart():
    assert not set(composer.LAWS_OF_TIME) & set(composer.LAWS_OF_LEVELS)
    whole = composer.whole_law(state(law="two-piece normal ln σ"), paths.LINEAR)
    known = laws.split_lognormal_sigma(-1.2, 1.2, 0.8)
    np.testing.assert_allclose(whole.pdf(GRID), known.pdf(GRID))
