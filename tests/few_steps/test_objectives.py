"""Few-step objectives: laws of two times, the diagonal, and the local weighting of its factor."""

import math
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import integrate, stats

import diffviz as dv
from diffviz.few_steps import objectives, pairs, training
from diffviz.few_steps.maps import FlowMap

EDGES = np.linspace(-30, 30, 241)
NAMES = list(dv.few_step_catalogue)


@pytest.mark.parametrize("name", NAMES)
def test_masses_are_those_of_the_draws(name):
    entry = dv.few_step(name)
    mass = entry.pairs.mass(EDGES)
    assert mass.sum() == pytest.approx(1, abs=1e-9)
    assert np.allclose(np.tril(mass, -1), 0)
    start, end = entry.pairs.draw(4000, np.random.default_rng(0))
    assert (start <= end).all()
    for cut in (-2.0, 1.0):
        place = np.searchsorted(EDGES, cut)
        share = mass[:place].sum()
        spread = math.sqrt(share * (1 - share) / 4000)
        assert np.mean(start < cut) == pytest.approx(share, abs=6 * spread + 1e-12)
    assert pickle.loads(pickle.dumps(entry)).name == name


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_has_its_share_on_the_diagonal(name):
    entry = dv.few_step(name)
    start, end = entry.draw(400, np.random.default_rng(0))
    assert np.mean(start == end) == pytest.approx(entry.diagonal_share)
    if entry.diagonal is None:
        assert not (start == end).any()


def test_the_larger_of_two_logit_normal_times_has_a_skew_normal_level():
    """Its density over t is 2 p(t) P(t), by the law of a maximum."""
    time = np.linspace(0.02, 0.98, 49)
    logit = np.log(time / (1 - time))
    single = stats.norm(-0.4, 1)
    expected = 2 * single.pdf(logit) * single.cdf(logit) / (time * (1 - time))
    level = -2 * logit
    jacobian = 2 / (time * (1 - time))  # |dλ/dt|
    np.testing.assert_allclose(objectives.LARGER_OF_TWO.pdf(level) * jacobian, expected, rtol=1e-10)


def test_the_law_of_the_smaller_level_is_scipys_skew_normal():
    """Its closed forms against SciPy's integrals and searches."""
    law, scipys = objectives.LARGER_OF_TWO, stats.skewnorm(-1.0, 0.8, 2.0)
    level, share = np.linspace(-9, 9, 37), np.linspace(0.001, 0.999, 41)
    for name, at in (("pdf", level), ("cdf", level), ("sf", level), ("ppf", share), ("isf", share)):
        np.testing.assert_allclose(getattr(law, name)(at), getattr(scipys, name)(at), rtol=1e-7)
    np.testing.assert_allclose(law.stats("mv"), scipys.stats("mv"), rtol=1e-12)
    tiny = np.array([1e-300, 1e-20, 0.5, 1 - 1e-12])
    np.testing.assert_allclose(law.cdf(law.ppf(tiny)), tiny, rtol=1e-10)


def test_the_diagonal_of_meanflow_is_noisier_than_its_logit_normal_law():
    """By 0.56 standard deviations of λ, the mean of the larger of two normal numbers."""
    diagonal = dv.few_step("meanflow").diagonal
    shift = objectives.LOGIT_NORMAL.mean() - diagonal.law.mean()
    assert shift == pytest.approx(2 / math.sqrt(math.pi), rel=1e-9)
    assert dv.compare(diagonal, dv.few_step("imeanflow").diagonal).same


def test_the_diagonal_of_shortcut_models_is_flow_matching():
    assert dv.compare(dv.few_step("shortcut").diagonal, dv.objective("fm-ot")).same


def test_jumps_of_shortcut_models_are_dyadic():
    jumps = pairs.dyadic(8)
    times = [1 / (1 + np.exp(np.array(each) / 2)) for each in (jumps.start, jumps.end)]
    lengths, counts = np.unique(np.round(times[0] - times[1], 12), return_counts=True)
    np.testing.assert_allclose(lengths, [1 / 4, 1 / 2, 1])
    assert counts.tolist() == [4, 2, 1]
    shares = np.array(jumps.share)
    np.testing.assert_allclose([shares[0], shares[1:3].sum(), shares[3:].sum()], 1 / 3)


def test_shares_of_improved_consistency_are_those_of_a_discrete_lognormal():
    grid = pairs.karras_levels(11)
    assert grid[0] == pytest.approx(0.002) and grid[-1] == pytest.approx(80)
    shares = pairs.lognormal_shares(grid)
    law = stats.norm(-1.1, 2.0)
    mass = np.diff(law.cdf(np.log(grid)))
    np.testing.assert_allclose(shares, mass / mass.sum(), rtol=1e-9)


def test_the_adaptive_factor_makes_a_local_weighting():
    """w is divided by the squared error, which the floor of a Gaussian gives in closed form."""
    entry = dv.few_step("meanflow")
    gaussian = dv.toy("gaussian")

    def error(level):
        gain = entry.diagonal.target.gain(level, entry.diagonal.path)
        return gain**2 * np.array([float(gaussian.mmse(each)) for each in level])

    level = np.linspace(-6, 6, 13)
    local = entry.at_error(error)
    ratio = local.weighting(level) / entry.diagonal.weighting(level)
    time = 1 / (1 + np.exp(level / 2))
    of_u = 1 / ((1 - time) ** 2 + time**2)  # E‖u − E[u|z]‖² for N(0, 1)
    np.testing.assert_allclose(ratio, 1 / (of_u + 0.01), rtol=1e-6)


def test_local_weightings_need_a_loss_on_the_diagonal():
    with pytest.raises(ValueError, match="no diffusion loss on its diagonal"):
        dv.few_step("ict").at_error(np.ones_like)
    plain = dv.few_step("shortcut")
    assert plain.at_error(np.ones_like) is plain.diagonal


def test_the_mass_of_sorted_pairs_is_an_integral():
    law = stats.norm(0.8, 2)
    mass = pairs.SortedPairs(law).mass([-3.0, 0.0, 2.0])
    inside, _ = integrate.dblquad(lambda end, start: 2 * law.pdf(start) * law.pdf(end), -3, 0, 0, 2)
    assert mass[0, 1] == pytest.approx(inside, rel=1e-8)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: dv.few_step("mean flow"), "meanflow"),
        (lambda: pairs.dyadic(100), "power of two"),
        (lambda: pairs.adjacent([1.0]), "sigma"),
        (lambda: pairs.adjacent([2.0, 1.0]), "sigma"),
        (lambda: pairs.adjacent([-1.0, 1.0]), "above 0"),
        (lambda: pairs.Jumps((0.0,), (0.0,), (1.0,)), "goes up"),
        (lambda: pairs.Jumps((0.0,), (1.0,), (-1.0,)), "probabilities"),
        (lambda: pairs.Jumps((0.0,), (1.0, 2.0), (1.0,)), "one shape"),
        (lambda: pairs.karras_levels(1), "count"),
        (lambda: pairs.karras_levels(5, 2, 1), "low < high"),
        (lambda: objectives.Adaptive(-1, 1), "power"),
        (lambda: objectives.Adaptive(1, 0), "floor"),
        (lambda: dv.few_step("ict").draw(0, np.random.default_rng(0)), "n must"),
    ],
)
def test_what_makes_no_sense_is_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def own(**parts):
    """A few-step objective of one's own."""
    usual = {
        "name": "own",
        "year": 2026,
        "source": "a test",
        "diagonal_share": 0.5,
        "diagonal": dv.objective("fm-ot"),
        "on_diagonal": "flow matching",
        "pairs": pairs.SortedPairs(stats.norm(0, 2)),
        "off_diagonal": "itself",
    }
    return objectives.FewStep(**usual | parts)


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: own(name=3), TypeError, "name must be text, got 3"),
        (lambda: own(name=" "), ValueError, "name must not be empty"),
        (lambda: own(year="2026"), TypeError, "year must be a whole number"),
        (lambda: own(year=-1), ValueError, "year must be at least 0"),
        (lambda: own(source=None), TypeError, "source must be text, got None"),
        (lambda: own(off_diagonal=0), TypeError, "off_diagonal must be text"),
        (lambda: own(note=b"x"), TypeError, "note must be text"),
        (lambda: own(diagonal="fm-ot"), TypeError, "diagonal must be an objective"),
        (lambda: own(pairs=stats.norm(0, 2)), TypeError, "pairs must be a law of pairs"),
        (lambda: own(adaptive=0.5), TypeError, "adaptive must be an Adaptive"),
        (lambda: own(diagonal_share="half"), TypeError, "diagonal_share"),
        (lambda: own(diagonal_share=np.nan), ValueError, "diagonal_share"),
        (lambda: own().at_error("mmse"), TypeError, "error must be a function"),
        (lambda: local(lambda l: l * np.nan), ValueError, "error returns must be finite"),
        (lambda: local(lambda l: 0 * l - 5), ValueError, "error returns -5"),
        (lambda: local(lambda l: np.ones(3)), ValueError, r"the shape \(3,\)"),
        (lambda: pairs.Jumps("a", "b", "c"), TypeError, "start must hold real numbers"),
    ],
)
def test_parts_of_the_wrong_kind_are_named(make, error, says):
    with pytest.raises(error, match=says):
        make()


def local(error):
    """MeanFlow's local weighting at a few levels."""
    return dv.few_step("meanflow").at_error(error).weighting(np.linspace(-4, 4, 5))


def test_a_law_of_ones_own_draws_a_whole_number_of_the_diagonal():
    entry = own(diagonal_share=np.float32(0.25), pairs=pairs.SortedPairs(stats.uniform(-3, 6)))
    start, end = entry.draw(np.int64(40), np.random.default_rng(0))
    assert (start == end).sum() == 10
    assert (start[10:] < end[10:]).all()


def parts(**changed):
    """Parts of a batch of three points."""
    usual = {
        "x": torch.ones(3, 2),
        "eps": torch.zeros(3, 2),
        "t": torch.full((3,), 0.5),
        "r": torch.full((3,), 0.25),
    }
    return usual | changed


@pytest.mark.parametrize(
    ("changed", "error", "says"),
    [
        (
            {"t": torch.ones(3, 1)},
            ValueError,
            r"t must have one time.*\(3,\), got \(3, 1\); t.resh",
        ),
        ({"r": torch.ones(3, 1)}, ValueError, r"r must have one time.*\(3,\), got \(3, 1\)"),
        ({"t": torch.ones(())}, ValueError, r"t must have one time.*got \(\)"),
        ({"eps": torch.ones(2)}, ValueError, r"eps must have the shape of x, \(3, 2\), got \(2,\)"),
        ({"x": torch.ones(3)}, ValueError, r"x must have shape \(n, dim\), got \(3,\)"),
        ({"t": np.ones(3)}, TypeError, "t must be a tensor"),
    ],
)
def test_parts_of_a_batch_fit_together(changed, error, says):
    with pytest.raises(error, match=says):
        training.Batch(**parts(**changed))


@pytest.mark.parametrize("name", ["t", "r"])
@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_times_that_are_not_finite_are_refused(name, wrong):
    with pytest.raises(ValueError, match=f"{name} must be finite, got {wrong}"):
        training.Batch(**parts(**{name: torch.tensor([0.5, wrong, 0.5])}))
    batch = training.Batch(**parts())
    with pytest.raises(ValueError, match="time must be finite"):
        batch.noisy(torch.full((3,), wrong))
    with pytest.raises(ValueError, match="t must be finite"):
        training.clean(lambda z, r, t: z, batch.x, torch.full((3,), wrong))


def test_times_of_another_shape_are_refused():
    batch = training.Batch(**parts())
    with pytest.raises(ValueError, match=r"time must have one time.*got \(3, 1\)"):
        batch.noisy(batch.t[:, None])
    with pytest.raises(ValueError, match=r"t must have one time.*got \(3, 1\)"):
        training.clean(lambda z, r, t: z, batch.x, batch.t[:, None])


@pytest.mark.parametrize("name", training.ERRORS)
def test_a_network_of_ones_own_returns_what_is_like_z(name):
    batch, entry = training.Batch(**parts()), dv.few_step(name)
    assert torch.isfinite(training.loss(entry, lambda z, r, t: z * t[:, None], batch))
    with pytest.raises(ValueError, match=r"model must return u in the shape of z, \(3, 2\), got"):
        training.loss(entry, lambda z, r, t: z[:, :1] * t[:, None], batch)
    with pytest.raises(TypeError, match="model must return a tensor like z, got list"):
        training.loss(entry, lambda z, r, t: [z * t[:, None]], batch)


def lossy(entry, end=0.25):
    """The loss of an entry on one pair of times."""
    rows = torch.ones(2, 1)
    batch = training.Batch(rows, rows, torch.full((2,), 0.5), torch.full((2,), end))
    return training.loss(entry, FlowMap(1, 4), batch)


def test_a_formula_is_chosen_by_the_name_and_takes_all_parts_of_the_entry():
    assert torch.isfinite(lossy(dv.few_step("ict")))
    with pytest.raises(ValueError, match="unknown name of entry 'own'"):
        lossy(own())
    with pytest.raises(ValueError, match="'ict' has no adaptive factor"):
        lossy(own(name="ict", adaptive=objectives.Adaptive(1, 0.01)))
    with pytest.raises(ValueError, match="every r must be below its t"):
        lossy(own(name="ict"), end=0.5)


def test_a_law_of_levels_draws_its_levels_alone():
    levels = [-3.0, 0.0, 0.5, 4.0]
    law = dv.laws.atoms(levels, [0.1, 0.2, 0.3, 0.4])
    both = pairs.SortedPairs(law)
    start, end = both.draw(20_000, np.random.default_rng(0))
    assert set(start) | set(end) == set(levels)
    edges = [-4.0, -1.0, 0.2, 2.0, 5.0]
    drawn = np.histogram2d(start, end, bins=edges)[0] / 20_000
    np.testing.assert_allclose(both.mass(edges), drawn, atol=0.02)
    np.testing.assert_allclose(np.diag(both.mass(edges)), [0.01, 0.04, 0.09, 0.16])
    diagonal = replace(dv.objective("fm-ot"), law=law)
    entry = replace(dv.few_step("meanflow"), diagonal=diagonal)
    on, _ = entry.draw(1000, np.random.default_rng(0))
    assert set(on[:750]) == set(levels)
