"""Numbers about the jumps that few-step objectives draw."""

import numpy as np
import pytest

import diffviz as dv
from diffviz.lab.experiments import few_steps


@pytest.mark.parametrize("name", few_steps.NAMES)
def test_a_plane_holds_all_draws(name):
    mass, on = few_steps.plane(name, np.linspace(-40, 40, 161))
    assert mass.sum() + on.sum() == pytest.approx(1, abs=1e-6)


def test_the_jump_of_one_step_is_hardly_ever_drawn():
    """From t above 0.9 to below 0.1: 1 in 12,000 draws of MeanFlow, 1 in 28 of shortcut models."""
    shares = [few_steps.share_of_long_jumps(name) for name in few_steps.NAMES]
    np.testing.assert_allclose(shares, [8.49e-5, 1.70e-4, 1 / 28, 0], rtol=2e-3)


@pytest.mark.slow
def test_shortcut_models_learn_most_of_the_map():
    for data in few_steps.DATA:
        result = few_steps.errors("shortcut", data)
        assert result.rms.max() < 0.6 * result.unmoved
    assert np.isnan(few_steps.errors("ict", few_steps.DATA[0]).rms[1:]).all()


@pytest.mark.parametrize("std", [0.3, 1.0])
def test_the_least_error_of_u_is_that_of_the_toy(std):
    """Its closed form against the quadrature of the toy, by the gain of the target."""
    diagonal = dv.few_step("meanflow").diagonal
    level = np.array([-8.0, -2.0, 0.0, 3.0, 9.0])
    gain = diagonal.target.gain(level, diagonal.path)
    expected = gain**2 * dv.mixture([[0.0]], std).mmse(level)
    least = few_steps.LeastError(std)
    np.testing.assert_allclose(least(level), expected, rtol=1e-8)
    np.testing.assert_allclose(least([-2000.0, 2000.0]), [std**2, 1.0], rtol=1e-12)


def test_local_weightings_refuse_wrong_numbers():
    for settings in ({"std": 0.0}, {"power": -1.0}, {"floor": 0.0}, {"name": "ict"}):
        with pytest.raises(ValueError, match=r"std|power|floor|no diffusion loss"):
            few_steps.local(**{"name": "meanflow", **settings})
