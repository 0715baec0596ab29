"""Numbers about the jumps that few-step objectives draw."""

import numpy as np
import pytest

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
