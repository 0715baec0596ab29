"""Objectives and their parts pickle and deep-copy, and do exactly the same afterwards."""

import copy
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from cells import in_one_test
from scipy import stats

import diffviz as dv
from diffviz.theory import families, frames, laws, multipliers, paths, targets
from diffviz.theory.objectives import from_weighting
from diffviz.theory.paths import COSINE, LINEAR

LOGSNR = np.linspace(-12, 12, 97)
TIMES = np.linspace(0, 1, 41)
SHARES = np.concatenate([[0.0, 1e-9], np.linspace(0.01, 0.99, 29), [1.0]])

FRAMES = {
    "VP": frames.VP,
    "linear": frames.STRAIGHT,
    "sub-VP": frames.SUB_VP,
    "VE": frames.VE,
    "trigonometric": frames.trigonometric(1, 0.5),
    "straight": frames.straight(0.1),
    "smoothed": frames.smoothed(0.1),
}
STRETCH = paths.restricted(LINEAR, 0.01, 0.98)
PATHS = {
    "linear": LINEAR,
    "cosine": COSINE,
    "GVP": paths.GVP,
    "cosine with offset": paths.cosine(0.008),
    "cosine with offset, not normalised": paths.cosine(0.008, normalise=False),
    "VP linear": paths.vp_linear(),
    "sub-VP": paths.sub_vp(),
    "scaled linear": paths.scaled_linear(),
    "zero terminal SNR": paths.zero_terminal_snr(paths.scaled_linear()),
    "VE": paths.ve(0.01, 50),
    "uniform": paths.uniform_logsnr(-5, 13.3),
    "EDM": paths.edm(),
    "Karras": paths.karras(),
    "sigmoid": paths.sigmoid(),
    "polynomial": paths.power(2),
    "linear VP": paths.linear_vp(),
    "I-CFM": paths.icfm(0.1),
    "sigma_min": paths.sigma_min_path(1e-4),
    "shifted": paths.shifted(COSINE, 3),
    "restricted": STRETCH,
    "from density": paths.from_density(stats.laplace(0, 0.5)),
    "interpolated": paths.interpolated(STRETCH, paths.ve(0.02, 70)),
    "discrete": paths.discrete(np.cumprod(1 - np.linspace(1e-4, 0.02, 50))),
    "scheduled": paths.scheduled("squares", frames.VE, np.log, np.exp, np.exp),
}
LAWS = {
    "logit-normal": laws.logit_normal(0.5, 0.6),
    "logit-normal λ": laws.logit_normal_logsnr(0.5, 0.6, 3),
    "log-logistic": laws.loglogistic_sigma(-0.7, 0.5),
    "log-uniform": laws.loguniform_sigma(0.01, 80),
    "split log-normal": laws.split_lognormal_sigma(-1.2, 0.8, 1.6),
    "mode": laws.mode(1.29),
    "CosMap": laws.cosmap(),
    "U-shaped": laws.u_shaped(4),
    "lower of two": laws.lower_of_two(stats.norm(0.8, 2)),
    "stretched": laws.stretched(laws.u_shaped(4), 0.1, 0.9),
    "truncated": laws.truncated(stats.norm(1, 2), -3, 2.5),
    "pushed forward": paths.push_forward(laws.mode(1.29), COSINE),
    "atoms": laws.atoms([-3.0, 0.0, 0.5, 4.0], [1, 2, 3, 4]),
}
MULTIPLIERS = {
    "constant": multipliers.constant,
    "snr": multipliers.snr,
    "truncated_snr": multipliers.truncated_snr,
    "snr_plus_one": multipliers.snr_plus_one,
    "min_snr eps": multipliers.min_snr(5),
    "min_snr x": multipliers.min_snr(5, "x"),
    "min_snr v": multipliers.min_snr(5, "v"),
    "soft_min_snr": multipliers.soft_min_snr(4),
    "p2": multipliers.p2(0.5, 2),
    "debiased": multipliers.debiased(),
    "debiased with cap": multipliers.debiased(1000),
    "likelihood": multipliers.likelihood(COSINE),
    "sigmoid": multipliers.sigmoid(2, COSINE),
    "edm": multipliers.edm(0.5),
    "edm_monotonic": multipliers.edm_monotonic(),
    "sigma_sqrt": multipliers.sigma_sqrt,
    "cosmap": multipliers.cosmap,
    "bell": multipliers.bell,
}
TARGETS = {
    **targets.TARGETS,
    "x_{t-1}": targets.PREVIOUS,
    "F, sigma_data 1": targets.edm_output(1.0),
}
TABLE = np.column_stack([np.linspace(-3, 5, 50), np.exp(-np.linspace(-3, 5, 50))])
TABLE_WITH_ZERO = np.vstack([[-4.0, 0.0], TABLE])
OBJECTIVES = {
    f"{name}, {column}": family.build(**{p[0]: p[value] for p in family.parameters})
    for name, family in families.FAMILIES.items()
    for column, value in (("default", 1), ("lowest", 2))
}
OBJECTIVES |= {
    "weighting, callable": from_weighting(multipliers.snr, stats.norm(0, 3)),
    "weighting, table": from_weighting(TABLE),
    "weighting, table with zero": from_weighting(TABLE_WITH_ZERO),
}
OBJECTIVES |= dv.catalogue


def frame_curves(frame):
    return [frame.alpha(LOGSNR), frame.sigma(LOGSNR), frame.slope(LOGSNR)]


def law_curves(law):
    points = np.concatenate([LOGSNR, TIMES])
    drawn = law.rvs(9, random_state=np.random.default_rng(0))
    ends = np.array(law.support())
    curves = [law.pdf(points), law.cdf(points), law.sf(points)]
    return [*curves, law.ppf(SHARES), law.isf(SHARES), drawn, ends]


def path_curves(path):
    with np.errstate(divide="ignore", invalid="ignore"):
        scales = [path.alpha(TIMES), path.sigma(TIMES), path.slope(TIMES)]
    return [path.logsnr(TIMES), path.time(LOGSNR), *scales, *law_curves(path.schedule)]


def target_curves(target):
    parts = [(target.a, LINEAR), (target.b, LINEAR), (target.gain, LINEAR), (target.gain, COSINE)]
    return [part(LOGSNR, path) for part, path in parts]


def multiplier_curves(multiplier):
    return [multiplier(LOGSNR)]


def objective_curves(objective):
    logsnr, factor = objective.draw(50, np.random.default_rng(0))
    with np.errstate(all="ignore"):  # a closed form may end with the support
        stated = [] if objective.stated is None else [objective.stated(LOGSNR)]
    return [objective.weighting(LOGSNR), logsnr, factor, *stated, *path_curves(objective.path)]


PARTS = {
    "frame": (FRAMES, frame_curves),
    "path": (PATHS, path_curves),
    "law": (LAWS, law_curves),
    "multiplier": (MULTIPLIERS, multiplier_curves),
    "target": (TARGETS, target_curves),
    "objective": (OBJECTIVES, objective_curves),
}
CASES = [
    pytest.param(item, curves, id=f"{kind} {name}")
    for kind, (items, curves) in PARTS.items()
    for name, item in items.items()
]
COPIES = {
    "pickle protocol 2": lambda item: pickle.loads(pickle.dumps(item, protocol=2)),
    "pickle protocol 5": lambda item: pickle.loads(pickle.dumps(item, protocol=5)),
    "deepcopy": copy.deepcopy,
}


def assert_same(curves, expected):
    assert len(curves) == len(expected)
    for curve, values in zip(curves, expected, strict=True):
        np.testing.assert_array_equal(curve, values, strict=True)


def everything():
    return {kind: items for kind, (items, _) in PARTS.items()}


def curves_of_everything(parts):
    return {
        (kind, name): PARTS[kind][1](item)
        for kind, items in parts.items()
        for name, item in items.items()
    }


@pytest.mark.slow
@in_one_test
@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize(("item", "curves"), CASES)
def test_a_copy_does_exactly_the_same(item, curves, duplicate):
    copied = duplicate(item)
    assert type(copied) is type(item)
    assert_same(curves(copied), curves(item))


@in_one_test
@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
def test_a_copy_of_an_objective_keeps_its_identity(objective, duplicate):
    copied = duplicate(objective)
    assert copied.identity == objective.identity
    assert repr(copied) == repr(objective)


def test_an_objective_in_use_is_pickled_as_before():
    """Results on disk are found by the pickle of their arguments."""
    mine = dv.families.edm(mean=-0.3)
    before = pickle.dumps(mine)
    mine.weighting(np.linspace(-4, 4, 5))
    assert dv.verdict(mine).peak < 0
    assert pickle.dumps(mine) == before
    assert pickle.dumps(copy.deepcopy(mine)) == before


def report(parts):
    """What another process finds and sends back: curves, identities, and the parts themselves."""
    identities = {name: one.identity for name, one in parts["objective"].items()}
    return curves_of_everything(parts), identities, parts


@pytest.mark.slow
def test_another_process_gets_the_same_and_sends_it_back():
    parts = everything()
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as pool:
        curves, identities, returned = pool.submit(report, parts).result()
    expected = curves_of_everything(parts)
    assert curves.keys() == expected.keys()
    for key, values in curves.items():
        assert_same(values, expected[key])
    for key, values in curves_of_everything(returned).items():
        assert_same(values, expected[key])
    assert identities == {name: one.identity for name, one in OBJECTIVES.items()}


@in_one_test
@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize(
    "item",
    [*FRAMES.values(), *TARGETS.values(), multipliers.min_snr(5), multipliers.edm_monotonic()],
)
def test_parts_of_plain_numbers_are_equal_by_value(item, duplicate):
    assert duplicate(item) == item
    assert hash(duplicate(item)) == hash(item)


def test_frames_differ_by_their_numbers():
    assert frames.straight(0.1) == frames.straight(0.1)
    assert frames.straight(0.1) != frames.straight(0.1 + 1e-12)  # of the same name
    assert frames.VP != frames.STRAIGHT
    assert frames.VP != "VP"


def test_a_copied_path_is_still_variance_preserving():
    copied = copy.deepcopy(paths.scaled_linear())
    moved = paths.zero_terminal_snr(copied)
    assert_same(path_curves(moved), path_curves(PATHS["zero terminal SNR"]))


def test_a_schedule_of_lambdas_does_not_pickle_and_still_works():
    path = paths.scheduled("mine", frames.VE, lambda t: -t, lambda l: -l, np.ones_like)
    assert path.logsnr(0.25) == -0.25
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(path)


# --- identity -----------------------------------------------------------------------------------


def test_identities_are_16_hexadecimal_digits_and_differ():
    # equal entries of the catalogue have equal identities
    identities = [one.identity for name, one in OBJECTIVES.items() if name not in dv.catalogue]
    assert all(len(one) == 16 and int(one, 16) >= 0 for one in identities)
    assert len(set(identities)) == len(identities)


def test_identity_differs_with_the_parameters():
    assert families.flow(mean=0).identity != families.flow(mean=3).identity
    assert families.edm(sigma_data=0.5).identity != families.edm(sigma_data=0.51).identity


def test_identity_differs_for_two_weightings_of_the_same_name():
    one = from_weighting(multipliers.constant)
    two = from_weighting(multipliers.snr_plus_one)
    assert one.name == two.name
    assert one.identity != two.identity


def test_identity_does_not_depend_on_name_note_or_source():
    plain = families.flow()
    named = families.flow(name="mine", family="flow", year=2030, source="here", note="mine too")
    assert plain.identity == named.identity


def test_identity_is_that_of_what_the_objective_does():
    # eps target with a constant multiplier, and x target with multiplier SNR: one factor, 1
    on_eps = dv.Objective("eps", "test", 0, "here", COSINE, targets.EPS)
    on_x = dv.Objective("x", "test", 0, "here", COSINE, targets.X, multipliers.snr)
    assert on_eps.identity == on_x.identity
    linear = dv.Objective("eps", "test", 0, "here", LINEAR, targets.EPS)
    assert on_eps.identity != linear.identity


def test_identity_survives_rounding_errors():
    law = stats.norm(0.0, 2.0)
    moved = stats.norm(1e-15, 2.0 * (1 + 1e-15))
    one = from_weighting(multipliers.snr_plus_one, law)
    two = from_weighting(multipliers.snr_plus_one, moved)
    assert one.identity == two.identity
    to_zero = from_weighting(multipliers.constant, stats.uniform(-3.0, 3.0))
    nearly = from_weighting(multipliers.constant, stats.uniform(-3.0, 3.0 - 1e-15))
    assert nearly.law.ppf(1.0) < 0 == to_zero.law.ppf(1.0)
    assert to_zero.identity == nearly.identity


@in_one_test
@pytest.mark.parametrize("name", dv.catalogue)
def test_every_entry_has_an_identity(name):
    entry = dv.objective(name)
    assert len(entry.identity) == 16
    assert entry.identity != families.flow(mean=0.123).identity


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_identity_of_an_objective_with_refused_factors_is_defined(value):
    def multiplier(logsnr):
        return np.where(logsnr > 1, value, 1.0)

    odd = dv.Objective("odd", "test", 0, "here", LINEAR, targets.EPS, multiplier)
    with pytest.raises(ValueError, match="finite and >= 0"):
        odd.factor(2.0)
    assert odd.identity == odd.identity
    assert odd.identity != dv.Objective("even", "test", 0, "here", LINEAR, targets.EPS).identity


def test_identity_of_a_law_with_infinite_quantiles_is_defined():
    class Lump(stats.rv_continuous):
        """Half of the mass at λ = −inf."""

        def _ppf(self, q):
            return np.where(q < 0.5, -np.inf, 2 * q - 1)

    law = Lump(b=1.0)()
    lump = dv.Objective("lump", "test", 0, "here", LINEAR, targets.X, law=law)
    assert lump.identity != dv.Objective("x", "test", 0, "here", LINEAR, targets.X).identity
