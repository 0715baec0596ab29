"""Settings of OneTrainer against its own steps, written anew."""

import numpy as np
import pytest
from scipy.special import betaincinv, expit, ndtri
from trainer_draws import assert_agree, beta_draws, flow_draws, grid, stable_diffusion

from diffviz.recipes.settings import explain, from_settings

SDXL = "STABLE_DIFFUSION_XL_10_BASE"
FLUX = "FLUX_DEV_1"


def settings(tokens=None, **options):
    """An objective of OneTrainer."""
    return from_settings(options, trainer="onetrainer", tokens=tokens)


def continuous_indices(kind, weight=0.0, bias=0.0, low=0.0, high=1.0, shift=1.0):
    """Indices of the laws that are shifted after they are drawn."""
    first, last = int(1000 * low), int(1000 * high)
    u = grid()
    if kind == "LOGIT_NORMAL":
        u = expit(bias + (weight + 1) * ndtri(u))
    if kind == "HEAVY_TAIL":
        u = 1 - u - weight * (np.cos(np.pi / 2 * u) ** 2 - 1 + u)
    if kind == "BETA":
        u = betaincinv(weight, bias, u)
    step = first + (last - first) * u
    return (1000 * shift * step / ((shift - 1) * step + 1000)).astype(int)


def discrete_indices(kind, weight=0.0, bias=0.0, low=0.0, high=1.0, shift=1.0):
    """Indices of the laws that are weights of the indices."""
    first, last = int(1000 * low), int(1000 * high)
    even = np.linspace(0, 1, last - first)
    x = even / (shift - shift * even + even)
    if kind == "COS_MAP":
        weights = 2 / (np.pi - 2 * np.pi * x + 2 * np.pi * x**2)
    if kind == "SIGMOID":
        again = x / (shift - shift * x + x)
        weights = 1 / (1 + np.exp(-weight * (again - bias - 0.5)))
    if kind == "INVERTED_PARABOLA":
        weights = np.maximum(-weight * (x - bias - 0.5) ** 2 + 2, 0)
    weights = weights * shift / (shift + even - even * shift) ** 2
    share = np.cumsum(weights) / weights.sum()
    return np.minimum(np.searchsorted(share, grid()), last - first - 1) + first


LAWS = [
    (continuous_indices, "UNIFORM", {}),
    (continuous_indices, "UNIFORM", {"low": 0.2, "high": 0.8, "shift": 3.0}),
    (continuous_indices, "LOGIT_NORMAL", {"bias": 0.5, "shift": 2.0}),
    (continuous_indices, "LOGIT_NORMAL", {"weight": 0.3, "bias": -0.4, "low": 0.1}),
    (continuous_indices, "HEAVY_TAIL", {"weight": 1.29, "shift": 3.0, "high": 0.9}),
    (continuous_indices, "BETA", {"weight": 0.8, "bias": 1.0}),
    (continuous_indices, "BETA", {"weight": 2.5, "bias": 1.4, "low": 0.1, "shift": 2.0}),
    (discrete_indices, "COS_MAP", {"shift": 3.0}),
    (discrete_indices, "SIGMOID", {"weight": 10.0, "bias": 0.1}),
    (discrete_indices, "SIGMOID", {"weight": 10.0, "bias": 0.1, "shift": 3.0, "low": 0.2}),
    (discrete_indices, "INVERTED_PARABOLA", {"weight": 7.7, "bias": -0.2, "shift": 2.0}),
]
NAMES = {
    "weight": "noising_weight",
    "bias": "noising_bias",
    "low": "min_noising_strength",
    "high": "max_noising_strength",
    "shift": "timestep_shift",
}


@pytest.mark.parametrize(("draw", "kind", "parameters"), LAWS)
@pytest.mark.parametrize("model", [FLUX, SDXL])
def test_laws_of_the_index(draw, kind, parameters, model):
    index = draw(kind, **parameters)
    options = {NAMES[name]: value for name, value in parameters.items()}
    objective = settings(model_type=model, timestep_distribution=kind, **options)
    if model == FLUX:
        sigma = np.arange(1, 1001) / 1000
        assert_agree(objective, flow_draws(sigma[index]))
    else:
        assert_agree(objective, beta_draws(stable_diffusion()[index]))


@pytest.mark.parametrize(
    ("model", "target"),
    [
        ("STABLE_DIFFUSION_15", "eps"),
        ("STABLE_DIFFUSION_20_BASE", "eps"),
        ("STABLE_DIFFUSION_20", "v"),
        ("STABLE_DIFFUSION_21_BASE", "eps"),
        ("STABLE_DIFFUSION_21", "v"),
    ],
)
def test_what_each_stable_diffusion_predicts(model, target):
    assert settings(model_type=model).target.name == target


def test_a_positive_bias_means_more_noise():
    """The table rises: λ of the median is −2 bias."""
    objective = settings(model_type=FLUX, timestep_distribution="LOGIT_NORMAL", noising_bias=0.5)
    assert objective.law.median() == pytest.approx(-1.0, abs=0.01)


def test_a_beta_weight_below_1_favours_little_noise():
    """With a bias of 1 it is a power of a uniform number."""
    objective = settings(
        model_type=SDXL, timestep_distribution="BETA", noising_weight=0.8, noising_bias=1
    )
    step = (1000 * grid() ** (1 / 0.8)).astype(int)
    assert_agree(objective, beta_draws(stable_diffusion()[step]))
    assert objective.law.median() > settings(model_type=SDXL).law.median()
    assert "BETA replaces" not in objective.note
    unset = settings(model_type=SDXL, timestep_distribution="BETA", noising_weight=0.8)
    assert "BETA replaces noising_bias by 0.0001:" in unset.note


@pytest.mark.parametrize(("model", "ends"), [(FLUX, (4096, 1.15)), ("QWEN", (8192, 0.9))])
def test_the_shift_by_resolution(model, ends):
    slope = (ends[1] - 0.5) / (ends[0] - 256)
    shift = np.exp(0.5 + slope * (1600 - 256))
    index = continuous_indices("UNIFORM", shift=shift)
    objective = settings(1600, model_type=model, dynamic_timestep_shifting=True)
    assert_agree(objective, flow_draws((index + 1) / 1000))


def test_sigma_weight():
    index = continuous_indices("UNIFORM")
    sigma = (index + 1) / 1000
    objective = settings(model_type="STABLE_DIFFUSION_35", loss_weight_fn="SIGMA")
    assert_agree(objective, flow_draws(sigma, sigma))
    assert "in reverse" in objective.note


def snr_of(product):
    """SNR of alpha²."""
    return product / (1 - product)


WEIGHTS = {
    ("MIN_SNR_GAMMA", "eps"): lambda snr: np.minimum(snr, 3) / snr,
    ("MIN_SNR_GAMMA", "v"): lambda snr: np.minimum(snr, 3) / (snr + 1),
    ("DEBIASED_ESTIMATION", "eps"): lambda snr: 1 / np.sqrt(np.minimum(snr, 1000)),
    ("DEBIASED_ESTIMATION", "v"): lambda snr: 1 / np.sqrt(np.minimum(snr, 1000) + 1),
    ("P2", "eps"): lambda snr: (1 + snr) ** -3.0,
    ("P2", "v"): lambda snr: (1 + (snr + 1)) ** -3.0,
}


@pytest.mark.parametrize(("name", "target"), WEIGHTS)
@pytest.mark.parametrize("zero_terminal", [False, True])
def test_weights_of_models_with_betas(name, target, zero_terminal):
    product = stable_diffusion(zero_terminal)
    if zero_terminal:
        product = product[:-1]
    draws = beta_draws(product, WEIGHTS[name, target](snr_of(product)), target)
    objective = settings(
        model_type=SDXL,
        loss_weight_fn=name,
        loss_weight_strength=3,
        force_v_prediction=target == "v",
        rescale_noise_scheduler_to_zero_terminal_snr=zero_terminal,
    )
    assert_agree(objective, draws, factor=1e-4 if zero_terminal else 1e-6)


def test_what_a_kind_of_model_does_not_know_has_no_effect():
    flow = explain({"model_type": FLUX, "loss_weight_fn": "MIN_SNR_GAMMA"}, trainer="onetrainer")
    assert "no effect on flow models" in " ".join(flow.no_effect)
    assert flow.objective.identity == settings(model_type=FLUX).identity
    betas = explain({"model_type": SDXL, "loss_weight_fn": "SIGMA"}, trainer="onetrainer")
    assert "no effect on models with a table of β" in " ".join(betas.no_effect)
    heavy = explain(
        {"model_type": FLUX, "timestep_distribution": "HEAVY_TAIL", "noising_bias": 0.3},
        trainer="onetrainer",
    )
    assert "noising_bias" in " ".join(heavy.no_effect)


def test_what_cannot_be_read_is_refused():
    with pytest.raises(ValueError, match="contradict"):
        settings(model_type=SDXL, force_v_prediction=True, force_epsilon_prediction=True)
    with pytest.raises(ValueError, match="tokens="):
        settings(model_type=FLUX, dynamic_timestep_shifting=True)
    with pytest.raises(ValueError, match="give timestep_shift"):
        settings(model_type="SANA", dynamic_timestep_shifting=True)
    with pytest.raises(ValueError, match="model_type"):
        settings(model_type="STABLE_CASCADE_1")
    with pytest.raises(ValueError, match="BETAS"):
        settings(model_type=SDXL, timestep_distribution="BETAS")
    with pytest.raises(ValueError, match="mse_strength"):
        settings(model_type=SDXL, mse_strength=0)
    with pytest.raises(ValueError, match="min_noising_strength"):
        settings(model_type=SDXL, min_noising_strength=0.9, max_noising_strength=0.5)


def test_what_no_weighting_holds_is_noted():
    note = settings(model_type=SDXL, perturbation_noise_weight=0.2, mae_strength=0.5).note
    assert "λ lies 0.0392 lower" in note
    assert "mae_strength" in note


def test_a_file_of_settings_is_recognised():
    text = (
        '{"training_method": "LORA", "model_type": "FLUX_DEV_1", "batch_size": 2, '
        '"timestep_distribution": "LOGIT_NORMAL", "noising_weight": 0.0, "noising_bias": 0.0, '
        '"timestep_shift": 3.0, "optimizer": {"optimizer": "ADAMW"}}'
    )
    explained = explain(text)
    assert explained.trainer.name == "onetrainer"
    assert explained.objective.law.median() == pytest.approx(-2 * np.log(3), abs=0.01)
