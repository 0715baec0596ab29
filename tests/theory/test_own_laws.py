"""Laws of one's own with no more than the methods that ``protocols.Law`` asks for."""

import pickle
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import special, stats

import diffviz as dv
from diffviz.masked import schedules
from diffviz.theory import laws, paths

LEVELS = np.linspace(-5, 5, 11)
SHARES = np.linspace(0.05, 0.95, 7)


@dataclass
class Normal:
    """A normal law, which has no hash as it is not frozen."""

    mean: float = 0.0
    std: float = 2.0

    def pdf(self, x):
        return np.exp(-(((np.asarray(x) - self.mean) / self.std) ** 2) / 2) / (
            self.std * np.sqrt(2 * np.pi)
        )

    def cdf(self, x):
        return special.ndtr((np.asarray(x) - self.mean) / self.std)

    def ppf(self, q):
        return self.mean + self.std * special.ndtri(q)

    def support(self):
        return -np.inf, np.inf


class Uniform:
    """The uniform law on an interval, with an attribute of a name that SciPy uses too."""

    dist = "uniform"

    def __init__(self, low=0.0, high=1.0):
        self.low, self.high = low, high

    def pdf(self, x):
        inside = (np.asarray(x) >= self.low) & (np.asarray(x) <= self.high)
        return inside / (self.high - self.low)

    def cdf(self, x):
        return np.clip((np.asarray(x) - self.low) / (self.high - self.low), 0, 1)

    def ppf(self, q):
        return self.low + (self.high - self.low) * np.asarray(q)

    def support(self):
        return self.low, self.high


def numbers(law):
    """All methods of a law at some points."""
    inside = law.ppf(SHARES)
    with np.errstate(divide="ignore"):
        probabilities = [law.pdf(LEVELS), law.cdf(LEVELS), law.sf(LEVELS), law.logpdf(inside)]
    return np.concatenate([*probabilities, inside, law.isf(SHARES), law.stats("mv"), law.support()])


def same(one, other):
    np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


N = stats.norm(0, 2)
U = stats.uniform()


class LowerOfTwo(stats.rv_continuous):
    """The smaller of two draws of N by its own formulas."""

    def _cdf(self, x):
        return 1 - N.sf(x) ** 2

    def _pdf(self, x):
        return 2 * N.sf(x) * N.pdf(x)

    def _ppf(self, q):
        return N.isf(np.sqrt(1 - q))

    def _isf(self, q):
        return N.isf(np.sqrt(q))


PATH = dv.paths.Path("own", paths.VP, Normal())
CLOSED = {
    "truncated": (laws.truncated(Normal(), -3, 2), stats.truncnorm(-1.5, 1, 0, 2)),
    "truncated below": (laws.truncated(Normal(), -1, np.inf), stats.truncnorm(-0.5, np.inf, 0, 2)),
    "truncated uniform": (laws.truncated(Uniform(), 0.25, 3), stats.uniform(0.25, 0.75)),
    "lower of two": (laws.lower_of_two(Normal()), LowerOfTwo()()),
    "stretched": (laws.stretched(Normal(), 0.1, 0.9), stats.norm(0.1, 1.6)),
    "stretched uniform": (laws.stretched(Uniform(), 0.1, 0.9), stats.uniform(0.1, 0.8)),
    "stretched, not frozen": (laws.stretched(stats.logistic, 0.1, 0.9), stats.logistic(0.1, 0.8)),
    "moved": (laws.moved(Normal(), 1.5), stats.norm(1.5, 2)),
    "mixture of one": (laws.mixture([Normal(1, 2)], [3]), stats.norm(1, 2)),
    "time of one's own": (paths.push_forward(Uniform(), paths.LINEAR), stats.logistic(0, 2)),
    "quantiles of one's own": (laws.quantile_of(Uniform(), Normal()), N),
    "a schedule's": (PATH.schedule, N),
    "shifted": (paths.shifted(PATH, np.e).schedule, stats.norm(-2, 2)),
}


@pytest.mark.parametrize("kind", CLOSED)
def test_a_law_made_of_one_s_own_has_its_closed_form(kind):
    made, known = CLOSED[kind]
    same(numbers(made), numbers(known))


ALIKE = {
    "mixture": lambda normal, uniform: laws.mixture([normal, uniform], [1, 2]),
    "blended": lambda normal, uniform: laws.blended(normal, 0.3),
    "squeezed": lambda normal, uniform: laws.squeezed(normal, 0.1, 0.9),
    "beta of quantiles": lambda normal, uniform: laws.quantile_of(stats.beta(2, 3), normal),
    "atoms of quantiles": lambda normal, uniform: laws.quantile_of(laws.atoms([0.1, 0.7]), normal),
    "restricted": lambda normal, uniform: (
        paths.restricted(dv.paths.Path("own", paths.VP, normal), 0.1, 0.9).schedule
    ),
    "interpolated": lambda normal, uniform: (
        paths.interpolated(
            dv.paths.Path("own", paths.VP, uniform), paths.restricted(paths.LINEAR, 0.1, 0.9)
        ).schedule
    ),
    "zero terminal SNR": lambda normal, uniform: (
        paths.zero_terminal_snr(dv.paths.Path("own", paths.VP, uniform)).schedule
    ),
    "masking rate": lambda normal, uniform: schedules.of_law(uniform).law,
}


@pytest.mark.parametrize("kind", ALIKE)
def test_a_law_made_of_one_s_own_is_that_of_scipy_s(kind):
    make = ALIKE[kind]
    own, known = make(Normal(), Uniform()), make(N, U)
    same(own.cdf(LEVELS), known.cdf(LEVELS))
    same(own.ppf(SHARES), known.ppf(SHARES))
    same(own.isf(SHARES), known.isf(SHARES))
    same(own.pdf(known.ppf(SHARES)), known.pdf(known.ppf(SHARES)))


def entry(law, path=paths.LINEAR):
    return dv.Objective("own", "test", 2026, "here", path, dv.targets.EPS, law=law)


def test_a_weighting_far_out_is_by_the_logarithm_of_the_density():
    """On x it is 2 p e^λ, while 2 p on eps is below what float64 holds with all its digits."""
    level = np.array([74.0])
    expected = 2 * np.exp(-(level**2) / 8 + level) / np.sqrt(8 * np.pi)
    np.testing.assert_allclose(entry(Normal()).weighting(level, "x"), expected, rtol=1e-9)


def test_a_law_without_a_hash_is_compared_with_a_table():
    """The table has 200 even quantiles of N, in the middle of each step."""
    levels = 2 * special.ndtri((np.arange(200) + 0.5) / 200)
    table = entry(laws.atoms(levels))
    assert dv.compare(table, entry(Normal())).same
    assert not dv.compare(table, entry(Normal(1.0))).same


def test_the_law_of_an_objective_stays_one_s_own():
    law = Normal()
    assert entry(law).law is law


def test_a_frozen_law_of_scipy_is_left_as_it_is():
    assert laws.completed(N) is N
    assert dv.paths.Path("scipy", paths.VP, N).schedule is N


def test_a_completed_law_pickles():
    copy = pickle.loads(pickle.dumps(laws.completed(Normal())))
    same(numbers(copy), numbers(N))


class WithSf(Normal):
    """A normal law that counts from above, but does not invert that."""

    def sf(self, x):
        return special.ndtr((self.mean - np.asarray(x)) / self.std)


@pytest.mark.parametrize("ends", [(16, 17), (16, np.inf)])
@pytest.mark.parametrize(
    "law",
    [Normal(), WithSf(), PATH.schedule, laws.stretched(Normal(), 0, 1), laws.moved(WithSf(), 0.0)],
)
def test_a_tail_whose_quantiles_are_rounded_is_refused(law, ends):
    with pytest.raises(ValueError, match=r"e-16 of its mass.*give it methods sf and isf"):
        laws.truncated(law, *ends)


@pytest.mark.parametrize("law", [Normal(), WithSf()])
def test_a_tail_that_1_less_the_cdf_gives_to_six_digits_is_taken(law):
    found = laws.truncated(law, 12, 14)
    np.testing.assert_allclose(
        found.ppf(SHARES), stats.truncnorm(6, 7, 0, 2).ppf(SHARES), rtol=1e-6
    )
    same(laws.truncated(law, -14, -12).ppf(SHARES), -laws.truncated(N, 12, 14).isf(SHARES))


def test_a_survival_function_of_one_s_own_is_used():
    class WithTail(Normal):
        def sf(self, x):
            return special.ndtr((self.mean - np.asarray(x)) / self.std)

        def isf(self, q):
            return self.mean - self.std * special.ndtri(q)

    made = laws.truncated(WithTail(), 12, 14)
    same(made.ppf(SHARES), stats.truncnorm(6, 7, 0, 2).ppf(SHARES))


def test_what_is_no_law_is_refused_by_name():
    with pytest.raises(TypeError, match="density must be a frozen SciPy distribution"):
        laws.stretched(1.0, 0, 1)
    with pytest.raises(TypeError, match="schedule must be a frozen SciPy distribution"):
        dv.paths.Path("own", paths.VP, "normal")


def test_a_weighting_that_is_given_is_0_where_the_law_draws_nothing():
    """Between two uniform pieces no λ is drawn; far out in a tail the weighting stays."""
    pieces = stats.rv_histogram(([1.0, 0, 1], [-3.0, -1, 1, 3]), density=False)()
    given = dv.from_weighting(np.ones_like, pieces)
    assert given.weighting([-2.0, 0.0, 2.0]).tolist() == [1, 0, 1]
    np.testing.assert_allclose(
        given.weighting([-2.0, 0.0, 2.0], base="x"), [np.exp(-2), 0, np.exp(2)]
    )
    assert dv.share_below(given, 1.0) == pytest.approx(2 / 4, abs=1e-3)
    apart = dv.laws.mixture([stats.norm(-300, 1), stats.norm(300, 1)], [0.5, 0.5])
    far = dv.from_weighting(np.ones_like, apart).weighting([-345.0, -300.0, 300.0, 345.0])
    assert far.tolist() == [1, 1, 1, 1]


def test_a_valley_in_which_float64_has_no_density_is_no_gap():
    narrow = dv.laws.mixture([stats.norm(-4, 0.1), stats.norm(4, 0.1)], [0.5, 0.5])
    level = np.array([-4.0, 0.0, 3.0, 4.0])
    terms = [stats.norm(centre, 0.1).logpdf(level) + np.log(0.5) for centre in (-4, 4)]
    np.testing.assert_allclose(narrow.logpdf(level), np.logaddexp(*terms), rtol=1e-12)
    given = dv.from_weighting(np.ones_like, narrow)
    assert given.weighting(level).tolist() == [1, 1, 1, 1]
    assert dv.verdict(given).monotone


NARROW = dv.laws.mixture([stats.norm(-4, 0.1), stats.norm(4, 0.1)], [0.5, 0.5])


@dataclass
class WithoutLogarithm:
    """A law whose density underflows between its parts, and which has no logarithm of it."""

    def pdf(self, x):
        return NARROW.pdf(x)

    def cdf(self, x):
        return NARROW.cdf(x)

    def ppf(self, q):
        return NARROW.ppf(q)

    def support(self):
        return -np.inf, np.inf


WITHOUT_A_GAP = {
    "truncated": laws.truncated(NARROW, -5.0, 5.0),
    "lower of two": laws.lower_of_two(NARROW),
    "without a logarithm": WithoutLogarithm(),
    "one point without density": stats.dgamma(3.0, 0, 1.0),
}
PIECES = ([-5.0, -3, -1, 1, 3, 5], [1.0, 0, 1, 0, 1])
WITH_GAPS = {
    "histogram": stats.rv_histogram((np.array(PIECES[1]), np.array(PIECES[0])), density=False)(),
    "uniform pieces": dv.laws.mixture(
        [stats.uniform(-5, 2), stats.uniform(-1, 2), stats.uniform(3, 2)], [0.2, 0.5, 0.3]
    ),
    "pieces that end smoothly": dv.laws.mixture(
        [stats.beta(5, 5, -5, 2), stats.beta(5, 5, -1, 2), stats.beta(5, 5, 3, 2)], [0.2, 0.5, 0.3]
    ),
}


@pytest.mark.parametrize("law", WITHOUT_A_GAP.values(), ids=WITHOUT_A_GAP)
def test_where_a_density_underflows_a_weighting_that_is_given_stays(law):
    given = dv.from_weighting(np.ones_like, law)
    assert (given.weighting(np.linspace(-4.9, 4.9, 99)) == 1).all()
    assert dv.verdict(given).monotone


@pytest.mark.parametrize("law", WITH_GAPS.values(), ids=WITH_GAPS)
def test_in_each_gap_of_a_law_a_weighting_that_is_given_is_0(law):
    given = dv.from_weighting(np.ones_like, law)
    level = np.array([-4.0, -2.9, -2.0, -1.1, 0.0, 1.1, 2.0, 2.9, 4.0])
    assert given.weighting(level).tolist() == [1, 0, 0, 0, 1, 0, 0, 0, 1]


def test_probabilities_keep_their_digits_in_both_tails():
    edges = np.linspace(-30, 30, 121)
    below = laws.probabilities(stats.norm(), edges)
    np.testing.assert_allclose(below, below[::-1], rtol=1e-12)
    assert below.sum() == pytest.approx(1)
    assert 0 < below[-1] < 1e-190


class Interpolated(Normal):
    """A normal law whose quantiles are read from a table, to about 1e-5."""

    def ppf(self, q):
        grid = np.linspace(-20, 20, 401)
        return np.interp(q, self.cdf(grid), grid)


def test_quantiles_that_are_interpolated_are_taken_where_the_mass_is_large():
    quantiles = laws.truncated(Interpolated(), -5, 5).ppf([0.1, 0.5, 0.9])
    np.testing.assert_allclose(
        quantiles, laws.truncated(stats.norm(0, 2), -5, 5).ppf([0.1, 0.5, 0.9]), atol=0.01
    )
