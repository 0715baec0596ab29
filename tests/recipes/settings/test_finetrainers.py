"""Settings of finetrainers against its own steps, written anew."""

import numpy as np
import pytest
from scipy.special import expit, ndtri
from trainer_draws import assert_agree, beta_draws, flow_draws, grid, masses, stable_diffusion

from diffviz.recipes.settings import explain, from_settings

TABLE = np.linspace(1000, 1, 1000) / 1000  # sigmas of the default scheduler


def settings(**options):
    """An objective of finetrainers."""
    return from_settings(options, trainer="finetrainers")


def index_draws(u, weight=None):
    """Levels of the entries int(1000 u)."""
    sigma = TABLE[(1000 * u).astype(int)]
    with np.errstate(divide="ignore"):
        return flow_draws(sigma, 1.0 if weight is None else weight(sigma))


def test_the_default_is_uniform_flow_matching():
    assert_agree(settings(model_name="wan"), index_draws(grid()))


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (0.5, 1.0), (-1.0, 0.6)])
def test_logit_normal_u_counts_a_falling_table(mean, std):
    u = expit(mean + std * ndtri(grid()))
    objective = settings(
        model_name="flux",
        flow_weighting_scheme="logit_normal",
        flow_logit_mean=mean,
        flow_logit_std=std,
    )
    assert_agree(objective, index_draws(u))
    assert objective.law.median() == pytest.approx(2 * mean, abs=0.02)  # positive: less noise


def test_mode():
    u = grid()
    u = 1 - u - 1.29 * (np.cos(np.pi * u / 2) ** 2 - 1 + u)
    assert_agree(settings(model_name="wan", flow_weighting_scheme="mode"), index_draws(u))


@pytest.mark.parametrize(
    ("scheme", "weight"),
    [
        ("sigma_sqrt", lambda sigma: sigma**-2.0),
        ("cosmap", lambda sigma: 2 / (np.pi * (1 - 2 * sigma + 2 * sigma**2))),
    ],
)
def test_weights_of_the_loss(scheme, weight):
    objective = settings(model_name="hunyuan_video", flow_weighting_scheme=scheme)
    assert_agree(objective, index_draws(grid(), weight))


def test_no_option_shifts():
    explained = explain(
        {"model_name": "wan", "flow_shift": 5, "flow_resolution_shifting": True},
        trainer="finetrainers",
    )
    assert_agree(explained.objective, index_draws(grid()))
    said = " ".join(explained.no_effect)
    assert "flow_shift" in said
    assert "flow_resolution_shifting" in said


def test_cogview4_shifts_by_tokens():
    sigma = TABLE[(1000 * grid()).astype(int)]
    mu = (4096 / 256) ** 0.5 * 0.75 + 0.25
    draws = flow_draws(mu / (mu + 1 / sigma - 1))
    objective = from_settings({"model_name": "cogview4"}, trainer="finetrainers", tokens=4096)
    assert_agree(objective, draws)
    assert objective.law.median() == pytest.approx(-2 * np.log(mu), abs=1e-4)
    with pytest.raises(ValueError, match="tokens="):
        settings(model_name="cogview4")


@pytest.mark.parametrize(("checkpoint", "scale"), [("THUDM/CogVideoX-5b", 1), ("CogVideoX-2b", 3)])
def test_cogvideox_is_the_v_loss(checkpoint, scale):
    product = stable_diffusion()
    product = product / (scale + (1 - scale) * product)
    root = np.sqrt(product)
    product = ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2
    with np.errstate(divide="ignore"):
        x_error = (1 - product) / product  # of an eps error of 1, squared
        draws = beta_draws(product)
        draws = type(draws)(draws.logsnr, x_error / (1 - product))
    objective = settings(model_name="cogvideox", pretrained_model_name_or_path=checkpoint)
    assert_agree(objective, draws)
    level, _ = masses(objective)
    assert len(level) == 999  # the last step has no signal
