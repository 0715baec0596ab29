"""Laws that several trainers share: densities, quantiles and probabilities belong together."""

import numpy as np
import pytest
from scipy import stats

from diffviz.recipes.settings.draws import STEPS, UNIFORM_TIME, cut, on_levels, stretched
from diffviz.recipes.settings.levels import index_masses
from diffviz.theory import laws

LAWS = {
    "stretched uniform": stretched(UNIFORM_TIME, 0.1, 0.7),
    "stretched normal": stretched(stats.norm(-1, 2), 0.2, 1.0),
    "cut": cut(stats.norm(-1, 2), 0.2, 0.7),
    "mixture": laws.mixture((stats.norm(-2, 2), stats.norm(5, 1)), (3, 1)),
    "stretched mixture": stretched(
        laws.mixture((stats.norm(), stats.norm(5, 1)), (1, 1)), 0.1, 0.9
    ),
}


@pytest.mark.parametrize("name", LAWS)
def test_the_density_is_the_slope_of_the_probability_and_quantiles_invert_it(name):
    law = LAWS[name]
    logsnr = law.ppf(np.linspace(0.02, 0.98, 25))
    step = 1e-5
    slope = (law.cdf(logsnr + step) - law.cdf(logsnr - step)) / (2 * step)
    np.testing.assert_allclose(law.pdf(logsnr), slope, rtol=1e-6)
    np.testing.assert_allclose(law.cdf(logsnr), np.linspace(0.02, 0.98, 25), atol=1e-12)
    np.testing.assert_allclose(law.sf(logsnr), 1 - law.cdf(logsnr), atol=1e-12)


def test_a_full_range_leaves_the_law_as_it_is():
    assert stretched(UNIFORM_TIME, 0.0, 1.0) is UNIFORM_TIME
    assert cut(UNIFORM_TIME, 0.0, 1.0) is UNIFORM_TIME


def test_masses_of_an_index_within_a_range():
    mass = index_masses(stats.uniform(), STEPS, 100, 300)
    np.testing.assert_allclose(mass[100:300], 1 / 200)
    assert mass.sum() == pytest.approx(1) and not mass[:100].any() and not mass[300:].any()


def test_a_factor_on_levels_leaves_out_what_is_not_finite():
    factor = on_levels(np.array([3.0, 1.0, -np.inf]), np.array([5.0, 7.0, 9.0]))
    np.testing.assert_allclose(factor([1.0, 2.0, 3.0]), [7, 6, 5])
