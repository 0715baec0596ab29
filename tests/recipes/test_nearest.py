"""The nearest entries of measurements that are made from closed forms, without a probe."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

import diffviz as dv
from diffviz.recipes import closest, nearest


@dataclass
class Known:
    """A measured loss whose weighting is that of an objective."""

    objective: dv.Objective
    kind: str = "eps"
    discrete: bool = False
    error: float = 1e-4

    def edges(self, bins=160, mass=0.998):
        tail = (1 - mass) / 2
        return np.linspace(*self.objective.law.ppf([tail, 1 - tail]), bins + 1)

    def weighting(self, edges):
        nodes, weights = np.polynomial.legendre.leggauss(12)
        middles = (edges[1:] + edges[:-1]) / 2
        fine = middles + np.diff(edges) / 2 * nodes[:, None]
        w = 7 * weights @ self.objective.weighting(fine)
        return w, self.error * w


def test_a_tenth_of_a_standard_error_is_no_difference_and_a_deviation_is_one():
    """Distances are in standard errors but where every bin is known."""

    def rounded(distance, is_even):
        distances = {"edm": 1.0, "sd3": distance}
        ranking = nearest.Ranking("eps", is_even, distances, count=10, whole=None)
        return ranking._rounded["sd3"]

    assert rounded(1.05, is_even=False) == 1.0
    assert rounded(1.15, is_even=False) == 1.15
    assert rounded(1.05, is_even=True) == 1.05


@pytest.mark.parametrize("name", ["edm", "sd3", "laplace-eps", "elbo"])
def test_an_entry_is_nearest_to_itself_up_to_a_constant(name):
    match = closest(Known(dv.objective(name)), 1)[0]
    assert match.deviation < 1e-3 and match.mass == 0.998
    assert dv.compare(dv.objective(match.name), dv.objective(name)).deviation < 1e-3


@pytest.mark.parametrize("name", ["cosmos-predict2-video", "simplefold", "musubi-qinglong-flux"])
@pytest.mark.parametrize("binning", [*nearest.FINE[:1], nearest.COARSE])
def test_a_mixture_is_averaged_right_over_bins_in_which_its_law_jumps(name, binning):
    """The second route: 4,000 even points in a bin. Few nodes of Gauss's are 80 % off at a jump."""
    objective = dv.objective(name)
    measured = nearest.in_bins(Known(objective), binning)
    shares = (np.arange(4000) + 0.5) / 4000
    points = measured.edges[:-1] + shares[:, None] * np.diff(measured.edges)
    exact = objective.weighting(points).mean(0)
    np.testing.assert_allclose(measured.average(objective), exact, rtol=5e-3)


def test_averages_are_kept_for_the_same_bins_and_no_others():
    objective = dv.objective("edm")
    first, again = (nearest.in_bins(Known(objective), nearest.COARSE) for _ in range(2))
    finer = nearest.in_bins(Known(objective), nearest.Binning(bins=40, mass=0.98))
    moved = nearest.Bins(first.edges + 0.1, first.w, first.error, first.binning)
    assert first.average(objective) is again.average(objective)
    assert len(finer.average(objective)) == 40
    assert (moved.average(objective) != first.average(objective)).all()
    assert (first.average(dv.objective("sd3")) != first.average(objective)).all()


def test_of_equals_the_one_with_the_same_target_comes_first():
    flow = dv.objective("fm-ot")
    assert closest(Known(flow, kind="u"), 1)[0].name == "fm-ot"
    first = closest(Known(flow, kind="v"), 1)[0].name
    assert dv.objective(first).target.name == "v"


def test_matches_come_nearest_first_and_as_many_as_asked():
    matches = closest(Known(dv.objective("sd3")), np.int64(5))
    deviations = [round(match.deviation, 3) for match in matches]
    assert len(matches) == 5 and deviations == sorted(deviations)


def test_the_deviation_is_the_largest_and_its_place_is_named():
    bent = dv.from_weighting(
        lambda logsnr: np.exp(-logsnr / 2) * np.where(logsnr > 4, 1.3, 1.0), stats.norm(0, 2)
    )
    matches = {match.name: match for match in closest(Known(bent, kind="u"), len(dv.catalogue))}
    assert matches["fm-ot"].deviation == pytest.approx(0.3, abs=1e-3)
    assert matches["fm-ot"].at > 4
    assert matches["fm-ot"].error == pytest.approx(1e-4)


@pytest.mark.parametrize("rough", [{"discrete": True}, {"error": 0.05}])
def test_rough_measurements_are_compared_in_wide_bins(rough):
    match = closest(Known(dv.objective("fm-ot"), **rough), 1)[0]
    assert match.mass == 0.98


@dataclass
class KnownTable(Known):
    """A measured loss on T levels of an objective, drawn evenly or a few times each."""

    steps: int = 1000
    draws: int = 0
    discrete: bool = True

    def levels(self):
        share = (np.arange(self.steps) + 0.5) / self.steps
        logsnr = self.objective.law.ppf(share)
        mass = np.full(self.steps, 1 / self.steps)
        if self.draws:
            drawn = np.random.default_rng(3).multinomial(self.draws, mass)
            logsnr, mass = logsnr[drawn > 0], drawn[drawn > 0] / self.draws
        return logsnr, mass, self.objective.factor(logsnr)


@pytest.mark.parametrize("steps", [50, 100, 1000])
@pytest.mark.parametrize("name", ["iddpm-cosine", "iddpm-cosine-as-coded", "edm2", "v-linear"])
def test_a_table_is_nearest_to_its_own_entry_and_is_called_its_table(name, steps):
    matches = closest(KnownTable(dv.objective(name), steps=steps), len(dv.catalogue))
    own = [match for match in matches if match.table]
    equals = next(
        group
        for group in dv.equivalent(dv.catalogue.values())
        if name in [objective.name for objective in group]
    )
    # the factor is known at the levels only, which leaves an error of the second order
    assert matches[0].deviation < 10 / steps**2 and matches[0].mass == 0.98
    assert {match.name for match in own} <= {objective.name for objective in equals}
    assert f"the T = {steps} table of {name}" in [match.table for match in own]


def test_a_table_that_was_sampled_is_one_of_so_many_levels():
    match = closest(KnownTable(dv.objective("sd3"), draws=4_000_000, steps=200), 1)[0]
    assert match.table == "a table of sd3, 200 levels drawn"
    assert match.deviation < 0.02


def test_a_table_far_from_every_entry_is_called_no_table():
    bent = dv.from_weighting(
        lambda logsnr: np.exp(-logsnr / 2) * np.where(logsnr > 4, 1.3, 1.0), stats.norm(0, 2)
    )
    match = closest(KnownTable(bent), 1)[0]
    assert match.table == "" and match.deviation > 0.1


def test_entries_without_support_there_are_left_out():
    names = [match.name for match in closest(Known(dv.objective("fm-ot")), len(dv.catalogue))]
    assert "ncsn" not in names and "fm-ot" in names


@pytest.mark.parametrize(
    ("measured", "k", "error", "says"),
    [
        (None, 0, ValueError, "k must be at least 1"),
        (None, 1.5, TypeError, "k must be a whole number"),
        (None, True, TypeError, "k must be a whole number"),
        ("edm", 1, TypeError, "measured must be what dv.probe returns, got str"),
        (dv.objective("edm"), 1, TypeError, "dv.compare takes two objectives"),
    ],
)
def test_what_cannot_be_compared_is_refused(measured, k, error, says):
    with pytest.raises(error, match=says):
        nearest.closest(Known(dv.objective("edm")) if measured is None else measured, k)


class Wider(Known):
    """A loss with the weighting of an entry, and a little more than its range of levels."""

    def edges(self, bins=160, mass=0.998):
        low, high = super().edges(bins, 1.0)[[0, -1]]
        return np.linspace(low, high + 0.05 * (high - low), bins + 1)


def test_what_lies_beyond_the_support_of_an_entry_is_said():
    uniform = next(o for o in dv.catalogue.values() if o.name == "vdm")
    (match,) = (m for m in closest(Wider(uniform), len(dv.catalogue)) if m.name == "vdm")
    assert match.beyond == pytest.approx(0.05, abs=0.01)
    (match,) = (m for m in closest(Known(uniform), len(dv.catalogue)) if m.name == "vdm")
    assert match.beyond < 0.01
