"""Settings of the two LTX trainers against their own steps, written anew."""

import numpy as np
import pytest
from scipy.special import expit, ndtri
from trainer_draws import assert_agree, flow_draws, grid

from diffviz.recipes.settings import from_settings
from diffviz.recipes.settings.ltx_trainer import StretchedQuantiles


def settings(trainer, tokens=None, mode="shifted_logit_normal", **parameters):
    """An objective of a trainer, from a nested file."""
    text = {
        "flow_matching": {
            "timestep_sampling_mode": mode,
            "timestep_sampling_params": parameters,
        },
        "optimization": {"learning_rate": 1e-4, "steps": 2000},
        "seed": 42,
    }
    return from_settings(text, trainer=trainer, tokens=tokens)


def mean_for(tokens):
    """The mean of logit sigma."""
    return 0.95 + (2.05 - 0.95) * (tokens - 1024) / (4096 - 1024)


@pytest.mark.parametrize("tokens", [1024, 2048, 6000])
def test_ltx_video_trainer(tokens):
    sigma = expit(ndtri(grid()) + mean_for(tokens))
    assert_agree(settings("ltx-video-trainer", tokens), flow_draws(sigma))


def test_std_is_an_option_and_mu_is_not():
    sigma = expit(0.5 * ndtri(grid()) + mean_for(4096))
    assert_agree(settings("ltx-video-trainer", 4096, std=0.5), flow_draws(sigma))
    with pytest.raises(ValueError, match="mean"):
        settings("ltx-video-trainer", 4096, mean=0.0)


@pytest.mark.parametrize("trainer", ["ltx-video-trainer", "ltx2-trainer"])
def test_uniform(trainer):
    assert_agree(settings(trainer, mode="uniform"), flow_draws(grid()))
    part = settings(trainer, mode="uniform", min_value=0.2, max_value=0.7)
    assert_agree(part, flow_draws(0.2 + 0.5 * grid()))


def stretched_sigmas(mu, std, eps, share):
    """Sigmas of the LTX-2 trainer, on a grid that counts both kinds of samples."""
    z = grid()
    raw = expit(ndtri(z) * std + mu)
    low, high = expit(mu - 2.5758 * std), expit(mu + 3.0902 * std)
    raw = (raw - low) / (high - low)
    raw = np.where(raw >= eps, raw, 2 * eps - raw)
    normal = np.clip(raw, 0, 1)
    even = eps + (1 - eps) * z
    whole = round(20 * share)
    return np.concatenate([np.tile(normal, 20 - whole), np.tile(even, whole)])


@pytest.mark.parametrize(
    ("tokens", "parameters"),
    [
        (1024, {}),
        (4096, {}),
        (20_000, {}),
        (2048, {"std": 0.5}),
        (2048, {"uniform_prob": 0.5, "eps": 0.01}),
        (2048, {"std": 2.0, "uniform_prob": 0.0}),
    ],
)
def test_ltx2_trainer(tokens, parameters):
    used = {"std": 1.0, "eps": 1e-3, "uniform_prob": 0.1} | parameters
    mu = mean_for(min(tokens, 4096))
    sigma = stretched_sigmas(mu, used["std"], used["eps"], used["uniform_prob"])
    objective = settings("ltx2-trainer", tokens, **parameters)
    assert_agree(objective, flow_draws(sigma))
    lost = np.mean(sigma == 1)
    assert f"(probability {lost:.2g})" in objective.note or lost == 0


def test_the_stretched_law_is_a_law():
    quantiles = StretchedQuantiles(mu=2.05, std=1.0, eps=1e-3, uniform=0.1)
    q = grid(1001)
    sigma = quantiles.forward(q)
    np.testing.assert_allclose(quantiles.inverse(sigma), q, atol=1e-9)
    step = 1e-6
    rise = (quantiles.inverse(sigma + step) - quantiles.inverse(sigma - step)) / (2 * step)
    inner = (sigma > 2e-3) & (sigma < 1 - 2e-6)
    np.testing.assert_allclose(quantiles.slope(sigma)[inner], rise[inner], rtol=1e-4)


def test_the_shifted_law_needs_tokens():
    with pytest.raises(ValueError, match="tokens="):
        settings("ltx2-trainer")


def test_long_videos_are_noisier_in_the_older_trainer_only():
    older = settings("ltx-video-trainer", 9000).law.median()
    newer = settings("ltx2-trainer", 9000).law
    assert older == pytest.approx(-2 * mean_for(9000))
    np.testing.assert_allclose(newer.median(), settings("ltx2-trainer", 4096).law.median())
