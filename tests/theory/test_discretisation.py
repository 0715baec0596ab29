"""Tables of continuous weightings: told from those of others, by levels made in several ways."""

import numpy as np
import pytest
from cells import in_one_test
from scipy import stats

import diffviz as dv
from diffviz.theory import atoms, discretisation, laws, paths
from diffviz.theory.weightings import resolve_curve

STEPS = (50, 100, 1000)
ENTRIES = (
    "fm-ot",
    "fm-shift3",
    "v-cosine",
    "iddpm-cosine",
    "iddpm-cosine-as-coded",
    "ddpm-linear",
    "ldm-scaled-linear",
    "min-snr-5-eps",
    "sd3-shift3",
    "laplace-eps",
    "sd3",
)
CLASSES = dv.equivalent(dv.catalogue.values())
# one T, and the rates of a scheduler with T steps that keep its β(t)
FLOW = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}
LINEAR = {"_class_name": "DDPMScheduler", "beta_schedule": "linear", "rates": (0.1, 20)}
SCALED = LINEAR | {"beta_schedule": "scaled_linear", "rates": (0.85, 12)}
COSINE = LINEAR | {"beta_schedule": "squaredcos_cap_v2"}
EDM = {
    "_class_name": "EDMEulerScheduler",
    "sigma_data": 0.5,
    "sigma_min": 0.002,
    "sigma_max": 80.0,
    "rho": 7.0,
    "sigma_schedule": "karras",
}
SCHEDULERS = {
    "fm-shift3": (FLOW, None),
    "sd3-shift3": (FLOW, "logit_normal"),
    "sd3-mode-1.29": (FLOW | {"shift": 1.0}, "mode"),
    "ddpm-linear": (LINEAR, None),
    "v-linear": (LINEAR | {"prediction_type": "v_prediction"}, None),
    "p2-linear": (LINEAR, "p2"),
    "ldm-scaled-linear": (SCALED, None),
    "sd2-v-scaled-linear": (SCALED | {"prediction_type": "v_prediction"}, None),
    "min-snr-5-eps-scaled-linear": (SCALED, "min_snr"),
    "debiased-scaled-linear": (SCALED, "debiased"),
    "iddpm-cosine-as-coded": (COSINE, None),
    "diffusers-edm-style": (EDM, None),
}


def scheduler_table(config, weighting, steps):
    """The objective of a scheduler of T steps."""
    config = dict(config) | {"num_train_timesteps": steps}
    first, last = config.pop("rates", (0.1, 20))
    config |= {"beta_start": first / steps, "beta_end": last / steps}
    return dv.from_diffusers(config, weighting)


def table(name, steps, place=0.5):
    """An entry on the levels that lie at one place of each of T equal shares of probability."""
    entry = dv.objective(name)
    share = (np.arange(steps) + place) / steps
    return dv.Objective(
        name=f"{name} on {steps}",
        family="test",
        year=2026,
        source="test",
        path=entry.path,
        target=entry.target,
        multiplier=entry.multiplier,
        law=laws.atoms(entry.law.ppf(share)),
    )


def require_own_class_only(objective, name, steps):
    """The table compares as that of its entry and of the entry's equals, and of no other."""
    for group in CLASSES:
        comparison = dv.compare(objective, group[0])
        is_own = any(member.name == name for member in group)
        assert comparison.same == is_own, (group[0].name, str(comparison))
    own = str(dv.compare(objective, dv.objective(name)))
    assert f"same up to a constant, the T = {steps} table of {name}" in own


@in_one_test
@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("name", ENTRIES)
def test_a_table_is_that_of_its_own_class_and_of_no_other(name, steps):
    require_own_class_only(table(name, steps), name, steps)


@pytest.mark.parametrize("steps", [8, 10])
def test_a_short_table_is_that_of_its_own_entry_and_of_no_far_one(steps):
    names = ("fm-ot", "fm-shift3", "sd3", "edm", "iddpm-cosine")
    for name in names:
        short = table(name, steps)
        comparisons = {other: dv.compare(short, dv.objective(other)) for other in names}
        assert [other for other in names if comparisons[other].same] == [name]
        assert comparisons[name].table == f"the T = {steps} table of {name}"


@pytest.mark.parametrize("place", [0.25, 0.75])
def test_levels_may_lie_anywhere_in_their_steps(place):
    require_own_class_only(table("iddpm-cosine", 100, place), "iddpm-cosine", 100)


@pytest.mark.parametrize("side", ["near", "far"])
def test_levels_that_are_drawn_unequally_may_lie_at_either_end_of_their_steps(side):
    entry, steps = dv.objective("sd3"), 50
    ends = 2 * np.log(np.arange(1, steps) / np.arange(steps - 1, 0, -1))
    mass = np.diff(entry.law.cdf(ends))
    law = laws.atoms(ends[:-1] if side == "near" else ends[1:], mass)
    objective = dv.Objective("on steps", "test", 2026, "test", entry.path, entry.target, law=law)
    require_own_class_only(objective, "sd3", steps - 2)
    assert dv.compare(objective, entry).deviation < 1e-6


@in_one_test
@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_table_of_a_scheduler_is_that_of_its_entry(name, steps):
    objective = scheduler_table(*SCHEDULERS[name], steps)
    require_own_class_only(objective, name, steps)
    assert dv.compare(objective, dv.objective(name)).deviation < 1e-6


def test_levels_by_products_are_those_of_the_papers_table():
    """Ho et al. 2020: β from 1e-4 to 0.02 in 1000 steps."""
    alphas = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    levels = np.sort(np.log(alphas) - np.log1p(-alphas))
    own = discretisation.product_levels(dv.objective("ddpm-linear").law, 1000)
    np.testing.assert_allclose(own, levels, rtol=1e-6, atol=1e-7)
    assert discretisation.product_levels(dv.objective("ddpm-linear").law, 15) is None  # β > 1


def test_the_other_order_has_the_inverse_ratio():
    objective, entry = table("sd3", 100), dv.objective("edm")
    one, other = dv.compare(objective, entry), dv.compare(entry, objective)
    np.testing.assert_allclose(one.ratio * other.ratio, 1)
    assert not one.same and str(one).startswith("different: ") and not one.table
    same = dv.compare(dv.objective("sd3"), objective)
    assert same.same and same.table == "the T = 100 table of sd3"


def test_a_step_without_signal_counts_among_the_steps():
    objective = dv.from_diffusers(FLOW | {"num_train_timesteps": 1000})
    assert len(objective.law.dist.levels) == 999 and objective.law.dist.steps == 1000


def test_a_factor_that_differs_by_a_few_per_cent_is_seen():
    entry = dv.objective("fm-ot")
    bent = dv.from_weighting(
        lambda logsnr: np.exp(-logsnr / 2) * (1 + 0.03 * np.tanh(logsnr)), stats.norm(0, 3)
    )
    comparison = dv.compare(table("fm-ot", 1000), bent)
    assert not comparison.same
    assert comparison.deviation == pytest.approx(0.03, abs=0.004)
    ratio = comparison.ratio * (1 + 0.03 * np.tanh(comparison.logsnr))
    np.testing.assert_allclose(ratio, np.median(ratio), rtol=2e-3)
    assert dv.compare(table("fm-ot", 1000), entry, tolerance=0.1).same


def test_a_weighting_that_stops_is_not_that_of_a_table_that_goes_on():
    stops = dv.from_weighting(
        lambda logsnr: np.exp(-logsnr / 2) * (np.abs(logsnr) < 3), stats.norm(0, 3)
    )
    comparison = dv.compare(table("fm-ot", 100), stops)
    assert not comparison.same and comparison.deviation == np.inf


def test_tables_with_the_same_levels_are_compared_level_by_level():
    plain = scheduler_table(SCALED, None, 1000)
    v = scheduler_table(SCALED | {"prediction_type": "v_prediction"}, None, 1000)
    comparison = dv.compare(v, plain)
    levels = plain.law.dist.levels
    ratio = 1 + np.exp(-levels)
    np.testing.assert_allclose(comparison.ratio, ratio / np.median(ratio), rtol=1e-9)
    assert not comparison.same and dv.compare(plain, plain).deviation == 0


def test_few_levels_are_compared_as_curves():
    few = table("fm-ot", 6)
    comparison = dv.compare(few, dv.objective("fm-ot"))
    assert len(comparison.logsnr) == 2001 and not comparison.same
    assert (
        discretisation.by_quantiles(
            atoms.weighted_levels(few), resolve_curve(dv.objective("fm-ot"), "test")
        )
        is None
    )


def test_few_levels_are_grouped_too():
    few = [table(name, 6) for name in ("fm-ot", "edm", "fm-ot")]
    groups = dv.equivalent(few)
    assert [len(group) for group in groups] == [2, 1]
    assert groups[0][0] is few[0] and groups[0][1] is few[2]


def test_a_grid_of_ones_own_compares_the_curves():
    grid = np.linspace(-6, 6, 50)
    comparison = dv.compare(table("fm-ot", 1000), dv.objective("fm-ot"), grid)
    np.testing.assert_array_equal(comparison.logsnr, grid)
    rank = 1000 / (1 + np.exp(3))  # of the level at λ = 6, where the spacing varies most
    assert 0 < comparison.deviation < 1 / (3 * rank**2)


def test_tables_join_the_group_of_their_entry_in_whatever_order():
    members = [
        table("fm-ot", 500),
        dv.objective("edm"),
        table("fm-ot", 1000),
        dv.objective("v-cosine"),
        table("edm", 1000),
        table("sd3", 100),
        dv.objective("fm-ot"),
    ]
    wanted = [
        ["fm-ot on 500", "fm-ot on 1000", "v-cosine", "fm-ot"],
        ["edm", "edm on 1000"],
        ["sd3 on 100"],
    ]
    found = dv.equivalent(members)
    assert [[member.name for member in group] for group in found] == wanted
    backwards = dv.equivalent(members[::-1])
    assert [{member.name for member in group} for group in backwards] == [set(g) for g in wanted]


def test_tables_without_an_entry_are_grouped_by_their_levels():
    one, other = table("sd3", 100), table("sd3", 100)
    groups = dv.equivalent([one, table("edm", 100), other])
    assert [len(group) for group in groups] == [2, 1]
    assert groups[0] == [one, other]


def test_the_nearest_entry_gets_a_short_table():
    """On 20 levels the cosine schedule with and without its offset differ by 0.3 % at most."""
    short = table("iddpm-cosine-as-coded", 20)
    members = [dv.objective("iddpm-cosine"), dv.objective("iddpm-cosine-as-coded"), short]
    assert dv.equivalent(members)[0] == members[1:]


def test_a_shift_of_a_table_is_the_table_of_the_shift():
    entry, steps = dv.objective("v-cosine"), (np.arange(1000) + 0.5) / 1000
    path = paths.shifted(paths.from_density(laws.atoms(entry.law.ppf(steps))), 4)
    moved = dv.Objective("moved", "test", 2026, "test", path, dv.targets.V)
    whole = paths.shifted(entry.path, 4)
    continuous = dv.Objective("whole", "test", 2026, "test", whole, dv.targets.V)
    assert dv.compare(moved, continuous).table == "the T = 1000 table of whole"


@pytest.mark.parametrize("steps", STEPS)
def test_the_tables_of_schedulers_add_no_class_to_the_catalogue(steps):
    tables = {name: scheduler_table(*case, steps) for name, case in SCHEDULERS.items()}
    groups = dv.equivalent([*dv.catalogue.values(), *tables.values()])
    assert len(groups) == len(CLASSES)
    for name, objective in tables.items():
        assert any(objective in group and dv.objective(name) in group for group in groups), name
