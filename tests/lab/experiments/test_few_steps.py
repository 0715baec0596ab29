"""Numbers about the jumps that few-step objectives draw."""

import dataclasses

import numpy as np
import pytest
import torch

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


def test_a_changed_meanflow_has_the_change_and_nothing_else():
    published = dv.few_step("meanflow")
    assert few_steps.changed(few_steps.PUBLISHED) == published
    plain = few_steps.changed(few_steps.NO_FACTOR)
    assert plain.adaptive is None and plain.pairs == published.pairs
    even = few_steps.changed(few_steps.UNIFORM)
    assert even.adaptive == published.adaptive
    t, r = (1 / (1 + np.exp(levels / 2)) for levels in even.draw(40_000, np.random.default_rng(0)))
    on = t == r
    assert on.mean() == published.diagonal_share
    np.testing.assert_allclose(np.quantile(t[on], [0.1, 0.5, 0.99]), [0.1, 0.5, 0.99], atol=0.02)
    np.testing.assert_allclose([t[~on].mean(), r[~on].mean()], [2 / 3, 1 / 3], atol=0.02)
    both = few_steps.changed(few_steps.BOTH)
    assert both == dataclasses.replace(even, adaptive=None)
    with pytest.raises(ValueError, match="change"):
        few_steps.changed("no change")


@pytest.mark.parametrize("t", [0.5, 0.9])
def test_the_mean_guess_is_that_of_the_exact_denoiser(t):
    z = np.array([-1.5, 0.0, 1.0])
    scaled = torch.from_numpy(z)[:, None] / np.hypot(1 - t, t)
    exact = dv.toy("gmm1").denoise(scaled, 2 * np.log((1 - t) / t)).ravel().numpy()
    np.testing.assert_allclose(few_steps.guesses(t, z).mean, exact, atol=1e-6)


def test_the_guess_with_the_factor_makes_its_loss_least():
    """A wide floor is a squared loss; a narrow one has no lower loss at any other guess."""
    z = np.array([-1.5, 0.0, 1.0])
    wide = few_steps.guesses(0.9, z, floor=1e4)
    np.testing.assert_allclose(wide.with_factor, wide.mean, atol=1e-3)
    found = few_steps.guesses(0.9, z).with_factor
    x = np.linspace(-7, 7, 20_001)
    prior = np.exp(dv.toy("gmm1").log_prob(torch.from_numpy(x)[:, None]).numpy())
    for state, guess in zip(z, found, strict=True):
        likely = prior * np.exp(-((state - 0.1 * x) ** 2) / (2 * 0.81))
        losses = [likely @ np.log(((x - at) / 0.9) ** 2 + 0.01) for at in np.linspace(-2, 1, 301)]
        assert likely @ np.log(((x - guess) / 0.9) ** 2 + 0.01) < min(losses) * (1 + 1e-6) + 1e-6


def test_guesses_refuse_what_is_out_of_range():
    for t in (0.0, 1.5, np.nan):
        with pytest.raises(ValueError, match=r"\bt\b"):
            few_steps.guesses(t, [0.0])
    with pytest.raises(ValueError, match="floor"):
        few_steps.guesses(0.5, [0.0], floor=0.0)
