"""Masked objectives: the rule, the closed forms, and weights by the number of masked tokens."""

import copy
import pickle
from itertools import pairwise

import numpy as np
import pytest
from cells import in_one_test
from scipy import integrate, special, stats

import diffviz as dv
from diffviz.masked import schedules
from diffviz.masked.entries import CATALOGUE, ELBOS, ENTRIES
from diffviz.masked.objectives import ElboRate, draw_masks, inverse_rate
from diffviz.theory import analysis

SCHEDULES = (
    schedules.LINEAR,
    schedules.SINE,
    schedules.COSINE,
    schedules.SQUARED_COSINE,
    schedules.power(3),
    schedules.kept_power(3),
    schedules.geometric(1e-6, 30.0),
    schedules.exponential(10.0),
)
GRID = np.linspace(-8, 8, 161)


def own(entry):
    low, high = entry.law.support()
    return np.linspace(max(low + 1e-6, -8.0), min(high - 1e-6, 8.0), 161)


def made(**parts):
    fields = {"name": "mine", "family": "own", "year": 2026, "source": "a test"}
    return dv.MaskedObjective(**fields, **({"schedule": schedules.LINEAR} | parts))


@in_one_test
@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_under_every_schedule_the_elbo_has_the_weighting_sigmoid(schedule):
    entry = made(schedule=schedule, multiplier=ElboRate(schedule))
    level = own(entry)
    assert entry.weighting(level) == pytest.approx(special.expit(level), rel=1e-9)


@in_one_test
@pytest.mark.parametrize("schedule", [*SCHEDULES[:6], schedules.kept_power(0.5)], ids=str)
def test_the_elbo_has_its_weighting_where_its_density_underflows(schedule):
    entry = made(schedule=schedule, multiplier=ElboRate(schedule))
    level = np.array([-690.0, -400.0, -80.0, 0.0])
    assert entry.weighting(level, base="elbo") == pytest.approx(1, rel=1e-9)
    assert entry.weighting(level) == pytest.approx(special.expit(level), rel=1e-9)


@in_one_test
@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_the_elbo_rate_is_minus_the_slope_of_alpha_over_the_rate(schedule):
    """−alpha′(t)/(1 − alpha(t)), by differences in time."""
    t = np.linspace(0.05, 0.95, 19)
    slope = (schedule.form.rates(t + 1e-6)[1] - schedule.form.rates(t - 1e-6)[1]) / 2e-6
    rate = -slope / schedule.form.rates(t)[0]
    assert ElboRate(schedule)(schedule.logsnr(t)) == pytest.approx(rate, rel=1e-6)


@in_one_test
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_each_entry_has_the_weighting_that_is_stated(entry):
    level = own(entry)
    ratio = entry.weighting(level) / entry.stated(level)
    assert np.ptp(ratio) < 1e-9 * ratio.mean()


@in_one_test
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_each_entry_has_its_weighting_by_a_histogram_of_draws(entry):
    """Factors summed over draws that fall into bins, as a training has them."""
    t = (np.arange(20_000) + 0.5) / 20_000
    level = entry.law.ppf(t)
    edges = np.quantile(level, np.linspace(0.1, 0.9, 9))
    sums = np.histogram(level, edges, weights=entry.factor(level) / len(t))[0]
    truth = [integrate.quad(entry.weighting, *ends)[0] for ends in pairwise(edges)]
    assert sums == pytest.approx(np.array(truth), rel=2e-3)


def test_the_elbos_are_one_class_and_nothing_else_joins_it_but_three_averages():
    groups = [{o.name for o in group} for group in dv.equivalent(CATALOGUE.values())]
    elbos = {entry.name for entry in ELBOS}
    assert groups[0] - elbos == {"any-order", "masked-mean", "maskgit-linear"}
    assert elbos < groups[0]
    assert len(groups) == 10


def test_the_number_of_entries():
    assert len(CATALOGUE) == 33
    assert all(entry.source and entry.stated for entry in ENTRIES)


def test_bases_differ_by_the_rate_and_by_alpha():
    entry = dv.masked_objective("maskgit")
    on_sum = entry.weighting(GRID)
    assert entry.weighting(GRID, "token") == pytest.approx(on_sum * special.expit(-GRID))
    assert entry.weighting(GRID, "elbo") == pytest.approx(on_sum / special.expit(GRID))
    with pytest.raises(ValueError, match="unknown base 'eps'"):
        entry.weighting(GRID, "eps")


# --- weights by count -----------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 2, 7, 33])
def test_the_elbo_has_the_weight_one_over_the_number_of_masked_tokens(length):
    masked = np.arange(1, length + 1)
    for schedule in SCHEDULES[:6]:
        entry = made(schedule=schedule, multiplier=ElboRate(schedule))
        assert entry.count_weights(length) == pytest.approx(1 / masked, rel=1e-9)


@pytest.mark.parametrize("length", [1, 5, 20])
def test_a_mean_over_masked_tokens_under_a_uniform_rate_is_the_elbo_at_every_length(length):
    masked = np.arange(1, length + 1)
    mean = made(average="masked").count_weights(length)
    assert mean == pytest.approx(1 / (masked * (length + 1)), rel=1e-10)
    counted = made(average="masked", masks="up").count_weights(length)
    assert counted == pytest.approx(1 / (masked * length), rel=1e-10)


STEEP = (  # rates that grow or fall as a small or large power of time near one of the ends
    *[schedules.power(exponent) for exponent in (0.05, 0.3, 20)],
    *[schedules.kept_power(exponent) for exponent in (0.05, 0.3, 20)],
    schedules.geometric(1e-9, 200.0),
    schedules.of_law(stats.beta(0.5, 0.5)),
    schedules.of_law(stats.beta(2, 5)),
    schedules.of_law(stats.beta(8, 8)),
    schedules.of_law(stats.beta(1, 10)),
    schedules.of_law(stats.beta(2, 3, 0.1, 0.8)),
    schedules.of_law(stats.truncnorm(-2, 2, 0.5, 0.25)),
    schedules.of_law(stats.uniform(0.2, 0.5)),
    schedules.squeezed(schedules.of_law(stats.beta(3, 3)), 0, 0.9),
    schedules.squeezed(schedules.SINE, 0, 0.5),
)


@in_one_test
@pytest.mark.parametrize("schedule", STEEP, ids=str)
def test_weights_by_count_are_exact_for_steep_schedules(schedule):
    """k times the weight of the ELBO is ∫ k C(L, k) m^(k−1) (1 − m)^(L−k) dm, a beta law."""
    entry = made(schedule=schedule, multiplier=ElboRate(schedule))
    masked = np.arange(1, 7)
    least, most = special.expit(-np.array(entry.law.support()[::-1]))
    inside = np.diff([special.betainc(masked, 7 - masked, end) for end in (least, most)], axis=0)[0]
    np.testing.assert_allclose(entry.count_weights(6) * masked, inside, rtol=1e-12)


@in_one_test
@pytest.mark.parametrize("first", [0.3, 2, 30])
@pytest.mark.parametrize("second", [0.3, 5, 30])
def test_weights_by_count_under_a_beta_law_are_beta_binomial(first, second):
    entry = made(schedule=schedules.of_law(stats.beta(first, second)))
    truth = stats.betabinom(9, first, second).pmf(np.arange(1, 10))
    np.testing.assert_allclose(entry.count_weights(9), truth, rtol=1e-11)


def test_weights_by_count_of_a_law_of_λ_are_those_of_adaptive_quadrature():
    """With a mixture as the law, and a factor of its own."""
    law = dv.laws.mixture([stats.norm(-3, 0.5), stats.logistic(2, 1)], [0.2, 0.8])
    entry = made(law=law, multiplier=lambda level: 1 + special.expit(level))
    masked = np.arange(1, 6)
    spent = lambda level: entry.weighting(level) * stats.binom.pmf(masked, 5, special.expit(-level))
    truth = sum(integrate.quad_vec(spent, *ends)[0] for ends in ((-40, 0), (0, 60)))
    assert entry.count_weights(5) == pytest.approx(truth, abs=1e-10)


class OwnLaw:
    """A law with the methods that are asked for, and no more."""

    pdf, cdf, ppf = stats.logistic.pdf, stats.logistic.cdf, stats.logistic.ppf

    def support(self):
        return (-np.inf, np.inf)


def test_a_law_without_a_survival_function_has_weights_by_count_too():
    assert made(law=OwnLaw()).count_weights(9) == pytest.approx(np.full(9, 0.1), rel=1e-10)


def test_what_has_no_weights_by_count_is_refused():
    with pytest.raises(ValueError, match="must be finite and >= 0"):
        made(multiplier=np.negative).count_weights(4)
    with pytest.raises(ValueError, match="returns the shape"):
        made(multiplier=lambda level: level[:2] ** 2).count_weights(4)
    with pytest.raises(ValueError, match="beyond ±700 nats"):
        made(law=stats.norm(1e4, 1)).count_weights(4)
    with pytest.raises(ValueError, match="stay within ±700 nats"):
        made().weighting([-800.0], base="elbo")


def test_a_plain_sum_counts_every_number_alike():
    assert made().count_weights(9) == pytest.approx(np.full(9, 0.1), rel=1e-10)
    assert made(average="length").count_weights(9) == pytest.approx(np.full(9, 0.1 / 9), rel=1e-10)


def test_weights_by_count_are_integrals_of_the_weighting():
    """Σ_k weight_k S_k and ∫ w S dλ, for S_k = k: every masked token costs one nat."""
    for name in ("dplm-linear", "muse", "dfm-cross-entropy", "md4-cosine"):
        entry = dv.masked_objective(name)
        low, high = np.clip(entry.law.support(), -100, 100)
        length = 6
        spent = lambda level: entry.weighting(level) * length * special.expit(-level)  # noqa: B023
        integral = integrate.quad(spent, low, high, limit=400, points=[0])[0]
        weights = dv.masked_objective(name).count_weights(length) @ np.arange(1, 7)
        divisor = {"length": length, "batch": _mean_count(entry, length), "sum": 1.0}
        assert weights == pytest.approx(integral / divisor[entry.average], rel=1e-7)


def _mean_count(entry, length):
    rate = lambda level: special.expit(-level) * entry.law.pdf(level)
    low, high = np.clip(entry.law.support(), -100, 100)
    return length * integrate.quad(rate, low, high, limit=400, points=[0])[0]


@pytest.mark.parametrize("name", ["maskgit", "amused", "mage", "masked-mean", "md4-cosine"])
def test_weights_by_count_are_those_of_drawn_masks(name):
    entry = dv.masked_objective(name)
    length = 6
    batch = draw_masks(entry, 40_000, length, np.random.default_rng(0))
    hidden = batch.mask.sum(1)
    drawn = np.array([batch.weight[hidden == k].sum() for k in range(1, length + 1)]) / 40_000
    weights = entry.count_weights(length)
    assert drawn == pytest.approx(weights, abs=0.02 * weights.max())


def test_the_cosine_of_maskgit_has_the_probabilities_of_its_law():
    """P(⌈cos(πr/2) L⌉ = k) for L = 4, by the arcsine."""
    ends = 2 / np.pi * np.arcsin(np.arange(5) / 4)
    entry = dv.masked_objective("maskgit")
    assert entry.count_weights(4) == pytest.approx(np.diff(ends) / np.arange(1, 5), rel=1e-12)


# --- what the analysis says -----------------------------------------------------------------------


def test_verdicts_are_taken_over_the_elbo():
    assert dv.verdict(dv.masked_objective("llada")).monotone
    assert dv.verdict(dv.masked_objective("maskgit")).monotone
    rising = dv.verdict(dv.masked_objective("maskgit-square-root"))
    assert not rising.monotone and rising.negative_share == pytest.approx(0.5, abs=1e-4)
    tilted = dv.verdict(dv.masked_objective("dplm-linear"))
    # w over the ELBO's is alpha m, and ∫ (alpha m)′ alpha dλ = 1/24 below 0 and −5/24 above
    assert tilted.peak == pytest.approx(0, abs=1e-6)
    assert tilted.negative_share == pytest.approx(0.2, abs=1e-4)


def test_an_augmentation_density_is_that_of_the_relative_weighting():
    entry = dv.masked_objective("simple")  # w over the ELBO's is m
    density = dv.augmentation_density(entry, GRID)[5:-5]
    level = GRID[5:-5]
    assert density == pytest.approx(special.expit(level) * special.expit(-level), rel=2e-3)


def test_loss_density_and_share_use_the_cross_entropy_of_independent_tokens():
    entry = dv.masked_objective("elbo")
    expected = special.expit(GRID) * special.expit(-GRID)
    assert dv.loss_density(entry, GRID) == pytest.approx(expected, rel=1e-9)
    share = dv.share_below(entry, 0.0, mmse=analysis.constant, low=-30, high=30)
    assert 0 < share < 0.05


def test_two_kinds_of_error_are_not_compared():
    masked, gaussian = dv.masked_objective("mdlm"), dv.objective("edm")
    with pytest.raises(TypeError, match="weights a cross-entropy"):
        dv.compare(masked, gaussian)
    with pytest.raises(TypeError, match="weights a cross-entropy"):
        dv.equivalent([gaussian, masked])


# --- identity and refusals ------------------------------------------------------------------------


def test_identity_tells_averages_masks_schedules_and_factors_apart():
    kinds = [
        made(),
        made(average="masked"),
        made(masks="up"),
        made(schedule=schedules.SINE),
        made(multiplier=inverse_rate),
        made(law=stats.logistic(0.1)),
    ]
    identities = [one.identity for one in kinds]
    assert len(set(identities)) == len(kinds)
    assert made(note="other").identity == made().identity


def test_objectives_travel():
    for entry in ENTRIES:
        for twin in (pickle.loads(pickle.dumps(entry)), copy.deepcopy(entry)):
            assert twin.identity == entry.identity


@pytest.mark.parametrize(
    ("parts", "error", "words"),
    [
        ({"average": "mean"}, ValueError, "unknown average 'mean'"),
        ({"masks": "fixed"}, ValueError, "unknown masks 'fixed'"),
        ({"schedule": dv.paths.LINEAR}, TypeError, "schedule must be a masking schedule"),
        ({"multiplier": 2.0}, TypeError, "multiplier must be a function"),
        ({"stated": 2.0}, TypeError, "stated must be a function"),
        ({"law": 2.0}, TypeError, "law must be a frozen SciPy distribution"),
    ],
)
def test_wrong_parts_are_refused(parts, error, words):
    with pytest.raises(error, match=words):
        made(**parts)


def test_a_factor_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="must be finite and >= 0"):
        made(multiplier=np.negative).factor([1.0])


def test_an_unknown_entry_is_met_with_near_ones():
    with pytest.raises(ValueError, match="did you mean 'llada'"):
        dv.masked_objective("lada")
