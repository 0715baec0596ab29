"""Settings of SimpleTuner against its own steps, written anew."""

import numpy as np
import pytest
from scipy import integrate
from scipy.special import betaincinv, expit, ndtri
from trainer_draws import assert_agree, beta_draws, flow_draws, grid, masses, stable_diffusion

from diffviz.recipes.settings import explain, from_settings


def settings(tokens=None, **options):
    """An objective of SimpleTuner."""
    return from_settings(options, trainer="simpletuner", tokens=tokens)


def shifted(sigma, shift):
    """The shift of the trainer."""
    return sigma * shift / (1 + (shift - 1) * sigma)


# --- flow models ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 3.0), (0.5, 1.0), (1.6, 6.0)])
def test_the_default_is_a_scaled_sigmoid_after_a_shift(scale, shift):
    sigma = shifted(expit(scale * ndtri(grid())), shift)
    objective = settings(model_family="sd3", flow_sigmoid_scale=scale, flow_schedule_shift=shift)
    assert_agree(objective, flow_draws(sigma))


def test_the_default_shift_is_3():
    assert settings(model_family="flux").law.median() == pytest.approx(-2 * np.log(3))


def test_uniform_wins_over_beta():
    explained = explain(
        {
            "model_family": "flux",
            "flow_use_uniform_schedule": True,
            "flow_use_beta_schedule": True,
            "flow_sigmoid_scale": 2,
        },
        trainer="simpletuner",
    )
    assert_agree(explained.objective, flow_draws(shifted(grid(), 3.0)))
    said = " ".join(explained.no_effect)
    assert "flow_use_beta_schedule" in said
    assert "flow_sigmoid_scale" in said


@pytest.mark.parametrize(("alpha", "beta"), [(2.0, 2.0), (8.0, 2.0), (0.7, 1.5)])
def test_beta(alpha, beta):
    sigma = shifted(betaincinv(alpha, beta, grid()), 2.0)
    objective = settings(
        model_family="auraflow",
        flow_use_beta_schedule=True,
        flow_beta_schedule_alpha=alpha,
        flow_beta_schedule_beta=beta,
        flow_schedule_shift=2,
    )
    assert_agree(objective, flow_draws(sigma))


@pytest.mark.parametrize(
    ("family", "low", "high"),
    [
        ("flux", (256, 0.5), (4096, 1.15)),
        ("qwen_image", (256, 0.5), (8192, 0.9)),
        ("ltxvideo", (1024, 0.95), (4096, 2.05)),
    ],
)
def test_auto_shift(family, low, high):
    tokens = 2304
    shift = np.exp(low[1] + (high[1] - low[1]) / (high[0] - low[0]) * (tokens - low[0]))
    sigma = shifted(expit(ndtri(grid())), shift)
    objective = settings(
        tokens, model_family=family, flow_schedule_shift=0, flow_schedule_auto_shift=True
    )
    assert_agree(objective, flow_draws(sigma))


def test_auto_shift_contradicts_a_shift():
    with pytest.raises(ValueError, match="flow_schedule_shift = 3"):
        settings(4096, model_family="flux", flow_schedule_auto_shift=True)


def test_the_fast_schedule_has_four_levels():
    sigma = np.repeat([1.0, 0.75, 0.5, 0.25], [7, 1, 1, 1])
    objective = settings(model_family="flux", flux_fast_schedule=True)
    assert_agree(objective, flow_draws(sigma))
    assert "probability 0.7" in objective.note


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_chroma_trains_the_ends_only(shift):
    sigma = shifted(expit(ndtri(grid())), shift)
    sigma = np.where(sigma < 0.5, sigma**2, 1 - (1 - sigma) ** 2)
    objective = settings(model_family="chroma", flow_schedule_shift=shift)
    assert_agree(objective, flow_draws(sigma))
    gap = np.linspace(-2, 2, 9)  # sigma between 0.27 and 0.73
    law = objective.law
    np.testing.assert_array_equal(law.pdf(gap), 0.0)
    share = np.linspace(0.005, 0.995, 100)
    np.testing.assert_allclose(law.cdf(law.ppf(share)), share, rtol=1e-9)
    ends = 2 * np.log(3)  # of the gap, whose sigma are 1/4 and 3/4
    mass = [integrate.quad(law.pdf, *part)[0] for part in ((-30, -ends), (ends, 30))]
    np.testing.assert_allclose(mass, [law.cdf(0), law.sf(0)], rtol=1e-6)
    uniform = settings(model_family="chroma", flow_schedule_shift=1, flow_use_uniform_schedule=True)
    assert_agree(uniform, flow_draws(grid()))


def test_the_batch_says_what_it_does_not_change():
    explained = explain({"model_family": "chroma", "train_batch_size": 8}, trainer="simpletuner")
    assert explained.no_effect == (
        "train_batch_size has no effect on the levels of a flow model: each sample draws its own.",
    )
    assert explained.objective.identity == settings(model_family="chroma").identity


def test_wan_2_2_sets_its_shift():
    explained = explain(
        {"model_family": "wan", "model_flavour": "i2v-14b-2.2-high", "flow_schedule_shift": 3},
        trainer="simpletuner",
    )
    assert_agree(explained.objective, flow_draws(shifted(expit(ndtri(grid())), 5.0)))
    assert "flow_schedule_shift has no effect" in " ".join(explained.no_effect)


@pytest.mark.parametrize(
    ("name", "value"),
    [("snr_gamma", 5), ("loss_type", "huber"), ("timestep_bias_strategy", "later")],
)
def test_what_flow_models_ignore(name, value):
    explained = explain({"model_family": "flux", name: value}, trainer="simpletuner")
    assert f"{name} has no effect on flow models" in " ".join(explained.no_effect)
    assert explained.objective.identity == settings(model_family="flux").identity


# --- models with a table of β --------------------------------------------------------------------


def segment_masses(weights, batch, start=None, end=0):
    """Probability of each step if every sample of a batch has a segment of its own."""
    left = weights.astype(float).copy()
    start = len(left) - 1 if start is None else start
    mass = np.zeros_like(left)
    size = max((start - end + 1) // batch, 1)
    for sample in range(batch):
        high = start - sample * size
        low = max(high - size, end) if sample != batch - 1 else end
        part = left[low : high + 1]
        part /= part.sum()  # in place: the next segment sees the shared step so
        mass[low : high + 1] += part / batch
    return mass


def assert_steps(objective, product, mass, factor):
    """Levels, probabilities and factors of an objective on a table of β."""
    level, share = masses(objective)
    held = (product > 0) & (mass > 0)
    expected = np.log(product / (1 - product), where=held, out=np.zeros_like(product))[held]
    np.testing.assert_allclose(level, expected[::-1], atol=1e-9)
    np.testing.assert_allclose(share, mass[held][::-1] / mass[held].sum(), rtol=1e-9)
    ratio = objective.factor(level) / factor[held][::-1]
    np.testing.assert_allclose(ratio, np.median(ratio), rtol=1e-7)


@pytest.mark.parametrize("batch", [1, 4, 7])
def test_uniform_steps(batch):
    product = stable_diffusion()
    mass = np.ones(1000) if batch == 1 else segment_masses(np.ones(1000), batch)
    objective = settings(model_family="sdxl", train_batch_size=batch)
    assert_steps(objective, product, mass, np.ones(1000))


BIASES = {
    "later": slice(750, 1000),
    "earlier": slice(0, 250),
    "range": slice(200, 500),
}


@pytest.mark.parametrize("strategy", BIASES)
@pytest.mark.parametrize("segments", [False, True])
def test_bias(strategy, segments):
    weights = np.ones(1000)
    weights[BIASES[strategy]] *= 4
    mass = segment_masses(weights, 4) if segments else weights
    objective = settings(
        model_family="sd1x",
        timestep_bias_strategy=strategy,
        timestep_bias_multiplier=4,
        timestep_bias_begin=200,
        timestep_bias_end=500,
        disable_segmented_timestep_sampling=not segments,
    )
    assert_steps(objective, stable_diffusion(), mass, np.ones(1000))
    assert ("within the segment" in objective.note) == segments


def test_a_bias_of_one_segment_has_nearly_no_effect():
    """The last quarter of the steps is the segment of one of four samples: its share stays."""
    weights = np.ones(1000)
    weights[750:] *= 4
    level, share = masses(
        settings(model_family="sdxl", timestep_bias_strategy="later", timestep_bias_multiplier=4)
    )
    product = stable_diffusion()
    border = np.log(product[750] / (1 - product[750]))
    assert share[level < border].sum() == pytest.approx(0.25, abs=0.002)
    assert weights[750:].sum() / weights.sum() > 0.57  # what the bias asks for


def test_draws_of_the_segments():
    """A simulation of the segments, sample by sample, instead of their probabilities."""
    rng = np.random.default_rng(0)
    steps = []
    for sample, (low, high) in enumerate([(749, 999), (499, 749), (249, 499), (0, 249)]):
        weights = np.ones(high - low + 1)
        if sample:
            weights[-1] = 1 / 251  # shared with the segment before, which normalised it
        steps.append(rng.choice(np.arange(low, high + 1), 50_000, p=weights / weights.sum()))
    product = stable_diffusion()[np.concatenate(steps)]
    assert_agree(settings(model_family="sdxl"), beta_draws(product), mass=6e-3)


@pytest.mark.parametrize(
    ("family", "kind", "weight"),
    [
        ("sdxl", None, lambda snr: np.minimum(snr, 5) / snr),
        ("sd2x", None, lambda snr: np.minimum(snr, 5) / (snr + 1)),
        ("sdxl", "v_prediction", lambda snr: np.minimum(snr, 5) / snr),  # the checkpoint's
        ("sd2x", "epsilon", lambda snr: np.minimum(snr, 5) / (snr + 1)),
    ],
)
def test_min_snr_is_that_of_the_checkpoint(family, kind, weight):
    product = stable_diffusion()
    target = {None: "v" if family == "sd2x" else "eps", "epsilon": "eps", "v_prediction": "v"}[kind]
    draws = beta_draws(product, weight(product / (1 - product)), target)
    objective = settings(model_family=family, prediction_type=kind, snr_gamma=5, train_batch_size=1)
    assert_steps(objective, product, np.ones(1000), draws.factor)


def test_zero_terminal_snr():
    product = stable_diffusion(zero_terminal=True)
    draws = beta_draws(product, target="v")
    objective = settings(model_family="sd2x", rescale_betas_zero_snr=True, train_batch_size=1)
    assert_steps(objective, product, np.ones(1000), draws.factor)
    broken = settings(model_family="sdxl", rescale_betas_zero_snr=True, snr_gamma=5)
    assert "0/0" in broken.note


@pytest.mark.parametrize("inverted", [False, True])
def test_refiner_training(inverted):
    ends = (999, 200) if inverted else (199, 0)
    mass = segment_masses(np.ones(1000), 4, *ends)
    objective = settings(
        model_family="sdxl", refiner_training=True, refiner_training_invert_schedule=inverted
    )
    assert_steps(objective, stable_diffusion(), mass, np.ones(1000))
    alone = explain(
        {"model_family": "sdxl", "refiner_training": True, "train_batch_size": 1},
        trainer="simpletuner",
    )
    assert "refiner_training has no effect" in " ".join(alone.no_effect)


def test_kolors_has_1100_steps():
    product = stable_diffusion(end=0.014, steps=1100)
    objective = settings(model_family="kolors", train_batch_size=1)
    assert_steps(objective, product, np.ones(1100), np.ones(1100))


def test_soft_min_snr_is_never_used():
    explained = explain(
        {"model_family": "sdxl", "snr_gamma": 5, "use_soft_min_snr": True}, trainer="simpletuner"
    )
    assert "use_soft_min_snr is parsed and never used" in " ".join(explained.no_effect)
    assert explained.objective.identity == settings(model_family="sdxl", snr_gamma=5).identity


def test_what_cannot_be_read_is_refused():
    with pytest.raises(ValueError, match="model_family"):
        settings(model_family="sana")
    with pytest.raises(ValueError, match="tokens="):
        settings(model_family="flux", flow_schedule_shift=0, flow_schedule_auto_shift=True)
    with pytest.raises(ValueError, match="prediction_type"):
        settings(model_family="sdxl", prediction_type="sample")
    with pytest.raises(ValueError, match="distillation_method"):
        settings(model_family="flux", distillation_method="lcm")


def test_input_perturbation_is_noted():
    note = settings(model_family="sdxl", input_perturbation=0.1).note
    assert "the true λ lies 0.00995 lower" in note


def test_a_file_of_settings_is_recognised():
    text = (
        '{"--model_family": "flux", "--model_type": "lora", "--data_backend_config": "x.json", '
        '"--flow_schedule_shift": 3, "--train_batch_size": 1, "--optimizer": "adamw_bf16"}'
    )
    explained = explain(text)
    assert explained.trainer.name == "simpletuner"
    assert explained.objective.law.median() == pytest.approx(-2 * np.log(3))
