"""Laws on a table of levels, and the curves, verdicts and shares that follow from their atoms."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
from numpy import exp, log
from scipy import stats
from scipy.special import expit

import diffviz as dv
from diffviz.theory import atoms, laws, paths
from diffviz.theory.elbo_mixture import masses

FLOW = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 3.0}
SD = {
    "_class_name": "DDPMScheduler",
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
}
V = {"prediction_type": "v_prediction"}
GRIDS = {
    "its own": None,
    "within": np.linspace(-10, 8, 777),
    "fine": np.linspace(-12, 12, 20_001),
    "coarse": np.linspace(-12, 12, 101),
    "wider than the table": np.linspace(-20, 20, 4001),
}
each_grid = pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)


def uneven():
    """An objective on four levels that are neither even nor equally likely."""
    return dv.Objective(
        name="uneven",
        family="test",
        year=2026,
        source="test",
        path=paths.LINEAR,
        target=dv.targets.U,
        law=laws.atoms([-3.0, 0.0, 0.5, 4.0], [1, 2, 3, 4]),
    )


def test_the_curve_of_flow_matching_is_the_weight_of_a_step_over_the_spacing():
    objective = dv.from_diffusers(FLOW)
    i = np.arange(1, 1000)
    logsnr = 2 * log(i / (1000 - i) / 3)
    factor = (1 + exp(-logsnr / 2)) ** 2
    spacing = (logsnr[2:] - logsnr[:-2]) / 2
    wanted = 2 * factor[1:-1] / 999 / spacing
    np.testing.assert_allclose(objective.weighting(logsnr[1:-1]), wanted, rtol=1e-12)
    middle = (logsnr[1:] + logsnr[:-1])[1:-1] / 2
    between = (wanted[1:] + wanted[:-1]) / 2
    np.testing.assert_allclose(objective.weighting(middle), between, rtol=1e-12)


@pytest.mark.parametrize("objective", [uneven(), dv.from_diffusers(FLOW), dv.from_diffusers(SD)])
def test_the_area_under_the_curve_is_the_sum_over_the_levels(objective):
    law = objective.law.dist
    knots = atoms.weighted_levels(objective).knots
    terms = 2 * objective.factor(law.levels) * law.mass
    assert np.trapezoid(objective.weighting(knots), knots) == pytest.approx(terms.sum(), rel=1e-12)
    density = atoms.density(objective.law, knots)
    assert np.trapezoid(density, knots) == pytest.approx(1, rel=1e-12)


def test_a_table_has_one_loss_in_every_base():
    objective = uneven()
    logsnr = np.linspace(-4, 5, 31)
    for base in ("x", "v", "u"):
        np.testing.assert_allclose(
            objective.weighting(logsnr, base),
            dv.rebase(objective.weighting(logsnr), logsnr, "eps", base),
            rtol=1e-12,
        )


def test_nothing_is_weighted_beyond_the_outer_cells():
    assert (uneven().weighting([-4.6, 5.8]) == 0).all()
    assert (uneven().weighting([-4.4, 5.7]) > 0).all()
    curve = atoms.LevelCurve(np.array([-3.0, 0.0]), np.array([1.0, 2.0]))
    np.testing.assert_allclose(curve(np.array([-5.0, -4.0, -1.5, 1.0, 2.0])), [0, 1, 1.5, 2, 0])


@each_grid
@pytest.mark.parametrize("config", [FLOW, SD | V], ids=["SD3", "SD 2"])
def test_a_falling_weighting_stays_monotone_on_its_table(config, grid):
    verdict = dv.verdict(dv.from_diffusers(config), grid)
    assert verdict.monotone and not verdict.rises
    assert verdict.negative_share == 0


@each_grid
def test_stable_diffusion_1_rises_once_as_its_continuous_limit_does(grid):
    verdict = dv.verdict(dv.from_diffusers(SD), grid)
    known = dv.verdict(dv.objective("ldm-scaled-linear"))
    assert len(verdict.rises) == len(known.rises) == 1
    assert verdict.negative_share == pytest.approx(known.negative_share, rel=0.01)
    assert verdict.peak == pytest.approx(known.peak, abs=0.25 if len(verdict.w) == 101 else 0.05)


@each_grid
def test_logit_normal_steps_rise_once(grid):
    verdict = dv.verdict(dv.from_diffusers(FLOW, "logit_normal"), grid)
    assert len(verdict.rises) == 1
    assert verdict.negative_share == pytest.approx(0.0033, abs=1e-4)


def test_the_verdict_on_a_table_comes_to_the_continuous_one_by_the_first_order():
    """A script draws u in a step and takes the level at its near end, half a step away."""
    limit = dv.verdict(dv.families.flow(0, 1, 3)).negative_share
    assert limit == pytest.approx(0.00337, abs=1e-5)
    apart = [
        limit
        - dv.verdict(
            dv.from_diffusers(FLOW | {"num_train_timesteps": steps}, "logit_normal")
        ).negative_share
        for steps in (1000, 2000, 4000)
    ]
    orders = -np.diff(np.log2(apart))
    assert ((orders > 0.9) & (orders < 1.1)).all()


def test_the_verdict_on_a_table_is_that_of_its_signed_mixture():
    objective = dv.from_diffusers(FLOW, "logit_normal")
    found = masses(objective)
    terms = (found.lump * np.logaddexp(0, found.level) / 2)[1:]
    negative = -terms[terms < 0].sum() / terms[terms > 0].sum()
    assert dv.verdict(objective).negative_share == pytest.approx(negative, rel=1e-3)


def test_the_mixture_of_a_table_has_one_panel_between_two_levels():
    objective = dv.from_diffusers(SD)
    levels = atoms.weighted_levels(objective)
    found = masses(objective)
    assert len(found.mass) == 12 * (len(levels.logsnr) + 1)
    summed = levels.terms @ expit(levels.logsnr)
    assert found.mass @ expit(found.logsnr) == pytest.approx(summed, rel=1e-4)


def test_a_share_is_that_of_the_levels_below():
    objective = uneven()
    terms = objective.factor([-3.0, 0.0, 0.5, 4.0]) * [1, 2, 3, 4]
    assert dv.share_below(objective, 0.2) == pytest.approx(terms[:2].sum() / terms.sum())
    assert dv.share_below(objective, 0.2, low=-1) == pytest.approx(terms[1] / terms[1:].sum())
    spent = terms * expit([-3.0, 0.0, 0.5, 4.0])
    assert dv.share_below(objective, 3.0, mmse=expit) == pytest.approx(
        spent[:3].sum() / spent.sum()
    )
    with pytest.raises(ValueError, match="no weight"):
        dv.share_below(objective, low=6, high=9)


def test_the_table_of_a_continuous_weighting_spends_as_much_below_a_level():
    for config, name in ((FLOW, "fm-shift3"), (SD, "ldm-scaled-linear")):
        table = dv.share_below(dv.from_diffusers(config), 1.0)
        assert table == pytest.approx(dv.share_below(dv.objective(name), 1.0), abs=3e-3)


def test_a_law_of_levels_travels_with_them():
    law = laws.atoms([2.0, -1.0, 0.0], [0.2, 0.5, 0.3], steps=4)
    for travelled in (pickle.loads(pickle.dumps(law)), copy.deepcopy(law), law.dist.freeze()):
        table = atoms.atomic(travelled)
        np.testing.assert_array_equal(table.levels, [-1, 0, 2])
        np.testing.assert_allclose(table.mass, [0.5, 0.3, 0.2])
        assert table.steps == 4
        np.testing.assert_array_equal(travelled.ppf([0.1, 0.9]), law.ppf([0.1, 0.9]))


def test_the_draws_of_a_table_are_its_levels():
    objective = uneven()
    levels, mass = objective.law.dist.levels, np.arange(1, 5) / 10
    drawn, factor = objective.draw(1000, np.random.default_rng(0))
    values, counts = np.unique(drawn, return_counts=True)
    np.testing.assert_array_equal(values, levels)
    np.testing.assert_allclose(counts, 1000 * mass, atol=1)
    np.testing.assert_array_equal(factor, objective.factor(drawn))
    values, counts = np.unique(objective.law.rvs(4000, random_state=1), return_counts=True)
    np.testing.assert_array_equal(values, levels)
    assert stats.chisquare(counts, 4000 * mass).pvalue > 0.01
    assert np.ndim(objective.law.rvs(random_state=1)) == 0


def test_quantiles_are_those_of_a_discrete_law_of_scipy():
    law = laws.atoms([-3.0, 0.0, 0.5, 4.0], [1, 2, 3, 4])
    known = stats.rv_discrete(values=([0, 1, 2, 3], [0.1, 0.2, 0.3, 0.4])).freeze()
    probability = np.array([1e-9, 0.05, 0.15, 0.31, 0.59, 0.61, 1.0])
    places = known.ppf(probability).astype(int)
    np.testing.assert_array_equal(atoms.quantiles(law, probability), law.dist.levels[places])
    np.testing.assert_array_equal(
        atoms.quantiles(stats.norm(), probability), stats.norm.ppf(probability)
    )


def test_a_table_stays_a_table_without_its_last_signal():
    """Zero terminal SNR as diffusers computes it, from the table of betas."""
    table = dv.from_diffusers(SD | V).path
    known = dv.from_diffusers(SD | V | {"rescale_betas_zero_snr": True}).path
    moved = atoms.atomic(paths.zero_terminal_snr(table).schedule)
    np.testing.assert_allclose(moved.levels, atoms.atomic(known.schedule).levels, rtol=1e-6)
    assert (len(moved.levels), moved.steps) == (999, 1000)


def test_a_stretch_of_a_table_has_the_levels_of_its_steps():
    table = paths.discrete(np.linspace(0.99, 0.01, 10))
    early = atoms.atomic(paths.restricted(table, 0.0, 0.35).schedule)
    levels = atoms.atomic(table.schedule).levels
    np.testing.assert_array_equal(early.levels, levels[-4:])
    np.testing.assert_allclose(early.mass, np.array([0.5, 1, 1, 1]) / 3.5)


def test_between_two_tables_lies_a_table():
    low, high = (paths.discrete(np.linspace(0.99, last, 5)) for last in (0.01, 0.2))
    found = atoms.atomic(paths.interpolated(low, high).schedule).levels
    time = np.array([0.9, 0.7, 0.5, 0.3, 0.1])
    ends = [atoms.atomic(path.schedule).levels for path in (low, high)]
    np.testing.assert_allclose(found, time * ends[0] + (1 - time) * ends[1])
    smooth = paths.restricted(paths.COSINE, 0.1, 0.9)
    mixed = atoms.atomic(paths.interpolated(smooth, high).schedule).levels
    np.testing.assert_allclose(mixed, time * smooth.logsnr(time) + (1 - time) * ends[1])
    other = paths.discrete(np.linspace(0.99, 0.2, 6))
    assert atoms.atomic(paths.interpolated(low, other).schedule) is None


def test_the_start_of_a_support_is_no_rise():
    """A grid beyond the support gives the verdict of the support alone."""
    grid = np.linspace(-20, 20, 40_001)
    for name in ("fm-ot", "edm"):
        objective = replace(dv.objective(name), law=laws.truncated(dv.objective(name).law, -5, 6))
        own, wide = (dv.verdict(objective, on, np.ones_like) for on in (None, grid))
        assert wide.monotone == own.monotone
        assert wide.negative_share == pytest.approx(own.negative_share, abs=1e-5)
        np.testing.assert_allclose(np.ravel(wide.rises), np.ravel(own.rises), atol=0.02)


def test_what_has_no_levels_has_no_atoms():
    law = laws.atoms([2.0, -1.0])
    histogram = stats.rv_histogram((np.ones(2), np.arange(3.0)), density=False).freeze()
    for other in (stats.norm(), histogram, law.dist(scale=-1.0), law.dist(loc=np.inf), None):
        assert atoms.atomic(other) is None
    for item in (dv.objective("edm"), dv.Objective, np.ones(3), law):
        assert atoms.weighted_levels(item) is None
    np.testing.assert_array_equal(atoms.density(stats.norm(), np.zeros(2)), stats.norm.pdf([0, 0]))


def test_a_law_of_levels_that_scipy_moves_and_scales_keeps_its_levels():
    law = laws.atoms([2.0, -1.0, 0.5], [0.2, 0.5, 0.3])
    for moved in (law.dist(1.0, 2.0), law.dist(loc=1.0, scale=2.0), law.dist(1.0, scale=2.0)):
        table = atoms.atomic(moved)
        np.testing.assert_allclose(table.levels, [-1.0, 2.0, 5.0])
        np.testing.assert_allclose(table.mass, [0.5, 0.3, 0.2])
        objective = replace(dv.objective("ddpm-linear"), law=moved)
        logsnr, _ = objective.draw(1000, np.random.default_rng(0))
        assert set(np.round(logsnr, 9)) == {-1.0, 2.0, 5.0}


def test_there_are_no_fewer_steps_than_levels():
    with pytest.raises(ValueError, match="steps must be at least 2"):
        laws.atoms([2.0, -1.0], steps=1)
    with pytest.raises(TypeError, match="steps must be a whole number"):
        laws.atoms([2.0, -1.0], steps=2.5)


def test_a_law_knows_every_step_of_its_table():
    table = np.array([np.inf, 4.0, 3.0, 1.0, 0.0, -2.0, -np.inf])
    law = laws.atoms([0.0, 3.0], [1, 3], table=table[::-1])
    np.testing.assert_array_equal(law.dist.table, table)
    assert law.dist.steps == 7
    expected = {
        "pickled": (pickle.loads(pickle.dumps(law)), table),
        "scaled": (law.dist(loc=1.0, scale=2.0), 1 + 2 * table),
        "moved": (paths.shifted(paths.from_density(law), 2.0).schedule, table - log(4)),
        "stretched": (laws.stretched(law, 1.0, 3.0), 1 + 2 * table),
        "truncated": (laws.truncated(law, -1, 4), table),
        "drawn by another time": (laws.quantile_of(stats.beta(2, 3), law), table),
        "lower of two": (laws.lower_of_two(law), table),
    }
    for name, (made, steps) in expected.items():
        np.testing.assert_allclose(atoms.atomic(made).table, steps, rtol=1e-12, err_msg=name)


def test_the_steps_of_a_part_are_moved_with_it():
    alpha = np.linspace(0.93, 0.03, 10)
    logsnr = log(alpha**2 / (1 - alpha**2))
    part = paths.from_density(laws.atoms(logsnr[2:6], table=logsnr))
    rescaled = np.maximum(alpha - alpha[5], 0) * alpha[2] / (alpha[2] - alpha[5])
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = log(rescaled**2 / (1 - rescaled**2))
    expected[0] = np.inf  # alpha would be 5/3 of 0.73
    found = atoms.atomic(paths.zero_terminal_snr(part).schedule).table
    np.testing.assert_allclose(found, expected, atol=1e-12)
    # four even steps: their times are 1/8, 3/8, 5/8 and 7/8, and those of the rest 0 and 1
    time = np.r_[0, 0, np.arange(1, 8, 2) / 8, 1, 1, 1, 1]
    other = paths.restricted(paths.LINEAR, 0.1, 0.9)
    between = paths.interpolated(part, other)
    expected = time * logsnr + (1 - time) * other.schedule.isf(time)
    np.testing.assert_allclose(atoms.atomic(between.schedule).table, expected, rtol=1e-12)
    of_tables = paths.interpolated(part, paths.shifted(part, 2.0))
    expected = logsnr - (1 - time) * log(4)
    np.testing.assert_allclose(atoms.atomic(of_tables.schedule).table, expected, rtol=1e-12)


def test_a_table_in_which_a_level_is_missing_is_refused():
    with pytest.raises(ValueError, match=r"but \[1.0\] does not: give table="):
        laws.atoms([0.0, 1.0], table=[0.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="pass steps= or table=, not both"):
        laws.atoms([0.0, 1.0], steps=3, table=[0.0, 1.0, 3.0])
    with pytest.raises(ValueError, match="must hold the logsnr of every step"):
        laws.atoms([0.0, 1.0], table=[np.inf])


def test_what_is_made_of_a_law_of_levels_has_levels():
    levels, mass = np.array([-3.0, 0.0, 0.5, 4.0]), np.array([0.1, 0.2, 0.3, 0.4])
    law = laws.atoms(levels, mass)
    lower = atoms.atomic(laws.lower_of_two(law))
    pairs = mass[:, None] * mass
    least = np.minimum.outer(np.arange(4), np.arange(4))
    np.testing.assert_allclose(lower.mass, np.bincount(least.ravel(), pairs.ravel()))
    kept = atoms.atomic(laws.truncated(law, -1, 2))
    np.testing.assert_array_equal(kept.levels, [0, 0.5])
    np.testing.assert_allclose(kept.mass, [0.4, 0.6])
    path = paths.shifted(paths.from_density(law), 2)
    np.testing.assert_allclose(atoms.atomic(path.schedule).levels, levels - log(4))
    np.testing.assert_allclose(atoms.atomic(path.schedule).mass, mass)


def test_fewer_than_two_levels_that_are_left_are_refused_and_do_not_become_continuous():
    law = laws.atoms([-3.0, 0.0, 0.5, 4.0])
    with pytest.raises(ValueError, match=r"\[-0.2, 0.2\] holds \[0.0\] of 4 discrete levels"):
        laws.truncated(law, -0.2, 0.2)
    with pytest.raises(ValueError, match=r"\[1, 2\] holds \[\] of 4 .* needs two or more"):
        laws.truncated(law, 1, 2)
    with pytest.raises(ValueError, match=r"the law of time draws \[4.0\] of 4 discrete levels"):
        paths.push_forward(stats.uniform(0.0, 0.1), paths.from_density(law))


def test_a_time_on_a_table_is_pushed_to_levels():
    """t = 0.25 and 0.75 of the linear path are at λ = ±2 log 3."""
    time = laws.atoms([0.25, 0.75], [1, 3])
    level = atoms.atomic(paths.push_forward(time, paths.LINEAR))
    np.testing.assert_allclose(level.levels, [-2 * log(3), 2 * log(3)])
    np.testing.assert_allclose(level.mass, [0.75, 0.25])
    moved = atoms.atomic(laws.stretched(time, 0.5, 0.9))
    np.testing.assert_allclose(moved.levels, [0.6, 0.8])
    np.testing.assert_allclose(moved.mass, [0.25, 0.75])


def test_a_law_of_time_on_a_table_draws_its_levels():
    """The cells of a table with equal masses are those in which a script draws u."""
    steps = 200
    table = dv.from_diffusers(SD | {"num_train_timesteps": steps})
    time = laws.logit_normal(0.3, 0.8)
    drawn = atoms.atomic(paths.push_forward(time, table.path))
    edges = np.arange(steps + 1) / steps
    np.testing.assert_array_equal(drawn.levels, table.law.dist.levels)
    np.testing.assert_allclose(drawn.mass, np.diff(time.cdf(edges))[::-1], atol=1e-12)


class Listed:
    """A measured loss on a table, with the members that are read here."""

    def __init__(self, factor, discrete=True):
        self.factor = np.array(factor)
        self.discrete = discrete

    def levels(self):
        return np.array([-1.0, 0.0, 2.0]), np.array([0.25, 0.5, 0.25]), self.factor


def test_a_measured_factor_is_log_linear_between_levels():
    found = atoms.measured_levels(Listed([1.0, 4.0, 1.0]))
    assert not found.is_even and found.steps == 3
    np.testing.assert_allclose(found.factor(np.array([-0.5, 1.0])), [2, 2])
    np.testing.assert_allclose(found.terms, [0.5, 4, 0.5])
    with_zero = atoms.measured_levels(Listed([0.0, 4.0, 1.0]))
    np.testing.assert_allclose(with_zero.factor(np.array([-0.5])), [2])
    assert atoms.measured_levels(Listed([1.0, 1.0, 1.0], discrete=False)) is None
    assert atoms.measured_levels(Listed) is None


LOGIT_NORMAL = ("logit_normal",)
COSINE_BETAS = SD | {"beta_schedule": "squaredcos_cap_v2"}


@pytest.mark.parametrize(
    ("config", "scheme"),
    [(FLOW, ()), (FLOW, LOGIT_NORMAL), (COSINE_BETAS, ())],
    ids=["flow", "logit-normal", "cosine"],
)
def test_tables_of_other_lengths_are_tables_of_one_weighting(config, scheme):
    """No entry is asked: the levels between those of the longer table are interpolated."""
    long, *others = (
        dv.from_diffusers(config | {"num_train_timesteps": steps}, *scheme)
        for steps in (1000, 999, 400, 50)
    )
    for other in others:
        found, turned = dv.compare(long, other), dv.compare(other, long)
        assert found.deviation < 1e-4
        assert turned.deviation == pytest.approx(found.deviation, abs=1e-8)
        assert found.outcome.startswith("same up to a constant, tables of one weighting with 1000")
    assert len(dv.equivalent([long, *others])) == 1


def test_tables_of_other_lengths_with_another_weighting_are_told_apart():
    """A shift of 3.03 in the place of 3 moves the weights by 1 %, and is none of rounding."""
    long = dv.from_diffusers(FLOW)
    for shift in (2.9, 3.03):
        other = dv.from_diffusers(FLOW | {"num_train_timesteps": 500, "shift": shift})
        assert not dv.compare(long, other).same
        assert len(dv.equivalent([long, other])) == 2
    few = replace(uneven(), law=laws.atoms(np.linspace(-4, 4, 5)))
    assert not dv.compare(few, long).same
