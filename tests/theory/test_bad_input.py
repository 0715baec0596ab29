"""Every public function of the theory refuses what is no number, and takes what people have."""

import numpy as np
import pytest
import torch
from cells import in_one_test
from scipy import stats

import diffviz as dv
from diffviz.theory import analysis, elbo_mixture, families, frames, laws, multipliers, paths, prior
from diffviz.theory import targets as tg
from diffviz.theory.objectives import Objective, from_weighting
from diffviz.theory.paths import COSINE, LINEAR

EDM = dv.objective("edm")
Z = np.ones(3)

# functions of a log-SNR, each as a call with one argument
OF_LOGSNR = {
    "Objective.weighting": EDM.weighting,
    "Objective.factor": EDM.factor,
    "Target.gain": lambda logsnr: tg.V.gain(logsnr, COSINE),
    "base_gain": lambda logsnr: tg.base_gain("u", logsnr),
    "convert": lambda logsnr: tg.convert(1.0, 1.0, logsnr, tg.X, tg.EPS, COSINE),
    "Path.time": LINEAR.time,
    "gaussian_mmse": analysis.gaussian_mmse,
    "gaussian_information": analysis.gaussian_information,
    "loss_density": lambda logsnr: analysis.loss_density(EDM, logsnr),
    "terminal_bias": lambda logsnr: prior.terminal_bias(logsnr, 1.0, 2.0)[0],
    "constant": multipliers.constant,
    "snr": multipliers.snr,
    "truncated_snr": multipliers.truncated_snr,
    "snr_plus_one": multipliers.snr_plus_one,
    "min_snr": multipliers.min_snr(5),
    "soft_min_snr": multipliers.soft_min_snr(4),
    "p2": multipliers.p2(1),
    "debiased": multipliers.debiased(),
    "likelihood": multipliers.likelihood(COSINE),
    "sigmoid": multipliers.sigmoid(2, COSINE),
    "edm": multipliers.edm(),
    "edm_monotonic": multipliers.edm_monotonic(),
    "sigma_sqrt": multipliers.sigma_sqrt,
    "cosmap": multipliers.cosmap,
    "bell": multipliers.bell,
}
NO_NUMBERS = {
    "complex": np.array([1j, 2j, 3j]),
    "dates": np.array(["2020-01-01"] * 3, dtype="datetime64[D]"),
    "text": np.array(["1", "2", "3"]),
    "objects": np.array([None, 1, 2]),
    "masked": np.ma.array([0.0, 1.0, 2.0], mask=[True, False, False]),
}


def frozen(values):
    values = np.array(values)
    values.flags.writeable = False
    return values


@in_one_test
@pytest.mark.parametrize("call", OF_LOGSNR.values(), ids=OF_LOGSNR)
@pytest.mark.parametrize("bad", NO_NUMBERS.values(), ids=NO_NUMBERS)
def test_a_logsnr_that_is_no_real_number_is_refused_by_name(call, bad):
    with pytest.raises(TypeError, match="logsnr"):
        call(bad)


@in_one_test
@pytest.mark.parametrize("call", OF_LOGSNR.values(), ids=OF_LOGSNR)
def test_nan_is_refused_by_name(call):
    with pytest.raises(ValueError, match=r"logsnr must (not be NaN|be finite), got nan"):
        call([0.0, np.nan, 1.0])


@in_one_test
@pytest.mark.parametrize("call", OF_LOGSNR.values(), ids=OF_LOGSNR)
def test_lists_integers_tensors_and_views_give_the_same(call):
    expected = call(np.array([-1.0, 0.0, 2.0]))
    assert expected.shape == (3,)
    for same in (
        [-1, 0, 2],
        (-1, 0, 2),
        np.array([-1, 0, 2]),
        np.array([2.0, 0.0, -1.0])[::-1],
        frozen([-1.0, 0.0, 2.0]),
        torch.tensor([-1.0, 0.0, 2.0], dtype=torch.float64, requires_grad=True),
    ):
        np.testing.assert_array_equal(call(same), expected)


@pytest.mark.parametrize("bad", NO_NUMBERS.values(), ids=NO_NUMBERS)
def test_times_and_tables_that_are_no_numbers_are_refused(bad):
    for call in (LINEAR.logsnr, LINEAR.alpha, LINEAR.slope, paths.discrete, laws.atoms):
        with pytest.raises(TypeError):
            call(bad)
    with pytest.raises(ValueError, match="cannot read a table of numbers"):
        from_weighting(np.column_stack([bad, bad]) if not np.ma.isMaskedArray(bad) else bad)


# constructors, as a function of one bad number
OF_NUMBER = {
    "paths.vp_linear": lambda bad: paths.vp_linear(bad, 20),
    "paths.scaled_linear": lambda bad: paths.scaled_linear(0.001, bad),
    "paths.cosine": paths.cosine,
    "paths.ve": lambda bad: paths.ve(0.01, bad),
    "paths.uniform_logsnr": lambda bad: paths.uniform_logsnr(bad, 3),
    "paths.edm": paths.edm,
    "paths.karras": lambda bad: paths.karras(rho=bad),
    "paths.sigmoid": lambda bad: paths.sigmoid(-3, bad),
    "paths.power": paths.power,
    "paths.icfm": paths.icfm,
    "paths.sigma_min_path": paths.sigma_min_path,
    "paths.shifted": lambda bad: paths.shifted(COSINE, bad),
    "paths.restricted": lambda bad: paths.restricted(COSINE, bad, 1.0),
    "frames.straight": frames.straight,
    "frames.trigonometric": frames.trigonometric,
    "frames.smoothed": frames.smoothed,
    "laws.logit_normal": laws.logit_normal,
    "laws.logit_normal_logsnr": laws.logit_normal_logsnr,
    "laws.loglogistic_sigma": lambda bad: laws.loglogistic_sigma(bad, 1),
    "laws.loguniform_sigma": lambda bad: laws.loguniform_sigma(bad, 1),
    "laws.split_lognormal_sigma": lambda bad: laws.split_lognormal_sigma(bad, 1, 1),
    "laws.mode": laws.mode,
    "laws.u_shaped": laws.u_shaped,
    "laws.stretched": lambda bad: laws.stretched(stats.uniform(), bad, 1),
    "laws.truncated": lambda bad: laws.truncated(stats.norm(), bad, 1),
    "multipliers.min_snr": multipliers.min_snr,
    "multipliers.soft_min_snr": multipliers.soft_min_snr,
    "multipliers.p2": multipliers.p2,
    "multipliers.debiased": multipliers.debiased,
    "multipliers.sigmoid": lambda bad: multipliers.sigmoid(bad, COSINE),
    "multipliers.edm": multipliers.edm,
    "multipliers.edm_monotonic": multipliers.edm_monotonic,
    "targets.edm_output": tg.edm_output,
    "prior.lowest_logsnr": prior.lowest_logsnr,
    "prior.offset_shift": lambda bad: prior.offset_shift(bad, 64),
    "elbo_mixture.gain": lambda bad: elbo_mixture.gain(EDM, bad),
    "elbo_mixture.masses": lambda bad: elbo_mixture.masses(EDM, bad),
} | {f"families.{name}": family.build for name, family in families.FAMILIES.items()}


@in_one_test
@pytest.mark.parametrize("call", OF_NUMBER.values(), ids=OF_NUMBER)
@pytest.mark.parametrize(
    "bad", [np.nan, None, "1", 1j, True, [0.5, 0.6], np.ma.masked], ids=lambda bad: str(bad)
)
def test_a_parameter_that_is_no_single_number_is_refused(call, bad):
    with pytest.raises((TypeError, ValueError), match=r"must|number|masked"):
        call(bad)


@in_one_test
@pytest.mark.parametrize("call", OF_NUMBER.values(), ids=OF_NUMBER)
def test_a_parameter_may_be_any_kind_of_single_number(call):
    name = next(name for name, known in OF_NUMBER.items() if known is call)
    value = 2 if name == "prior.lowest_logsnr" else 0.5
    for same in (np.float32(value), np.array(value), torch.tensor(value)):
        assert repr(call(same)).split(" at 0x")[0] == repr(call(value)).split(" at 0x")[0]


@in_one_test
@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: paths.from_density("norm"), "frozen SciPy distribution"),
        (lambda: paths.from_density(stats.norm(), frame="VP"), "frame must be a Frame"),
        (lambda: paths.shifted("cosine", 2), "path must be a path"),
        (lambda: paths.interpolated(COSINE, None), "high must be a path"),
        (lambda: paths.push_forward("uniform", COSINE), "time must be a frozen"),
        (lambda: paths.push_forward(stats.uniform(), 3), "path must be a path"),
        (lambda: laws.lower_of_two(None), "density must be a frozen"),
        (lambda: laws.truncated(np.ones(3), 0, 1), "density must be a frozen"),
        (lambda: multipliers.likelihood("cosine"), "path must be a path"),
        (lambda: multipliers.sigmoid(0, None), "path must be a path"),
        (lambda: tg.V.gain(0.0, "cosine"), "path must be a path"),
        (lambda: from_weighting(EDM), "pass o.weighting"),
        (lambda: from_weighting(Objective), "callable of λ or a table"),
        (lambda: from_weighting(np.ones_like, path=3), "path must be a path"),
        (lambda: EDM.draw(True, np.random.default_rng(0)), "whole number"),
        (lambda: EDM.draw(4, np.random), "default_rng"),
    ],
)
def test_a_part_of_the_wrong_kind_is_refused_with_the_way_out(call, says):
    with pytest.raises(TypeError, match=says):
        call()


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ({"name": 3}, "name must be text"),
        ({"path": "cosine"}, "path must be a path"),
        ({"target": "eps"}, "target must be a target"),
        ({"multiplier": 1.0}, "multiplier must be a function"),
        ({"law": 2}, "law must be a frozen"),
        ({"stated": "sech"}, "stated must be a function"),
    ],
)
def test_an_objective_refuses_a_part_of_the_wrong_kind(part, says):
    parts = {"name": "mine", "path": COSINE, "target": tg.EPS} | part
    with pytest.raises(TypeError, match=says):
        Objective(family="", year=0, source="", **parts)


def test_a_count_may_be_a_numpy_integer():
    logsnr, _ = EDM.draw(np.int64(5), np.random.default_rng(0))
    assert logsnr.shape == (5,)


def test_the_prior_refuses_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match="one for each of the 3 points"):
        prior.prior_kl([0.0, 1.0], np.ones((3, 2)))
    with pytest.raises(ValueError, match="share between 0 and 1"):
        prior.lowest_logsnr(40, 0)


@pytest.mark.parametrize(
    "make",
    [families.flow, families.edm, paths.edm, laws.logit_normal_logsnr],
    ids=lambda f: f.__name__,
)
def test_a_mean_whose_level_float64_does_not_hold_is_refused(make):
    with pytest.raises(ValueError, match=r"mean must lie in \[-1e\+300, 1e\+300\]"):
        make(mean=np.finfo(float).max)


@pytest.mark.parametrize(
    "multiplier",
    [multipliers.sigmoid(2.0, COSINE), multipliers.edm_monotonic()],
    ids=["sigmoid", "edm_monotonic"],
)
def test_a_multiplier_without_a_value_at_an_infinite_level_is_refused(multiplier):
    with pytest.raises(ValueError, match="the multiplier has no value at logsnr -inf"):
        multiplier([0.0, -np.inf])
    assert np.isfinite(multiplier(np.array([-30.0, 0.0, 30.0]))).all()
