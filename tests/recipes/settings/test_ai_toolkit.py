"""Settings of ai-toolkit against its own steps, written anew."""

import pickle

import numpy as np
import pytest
from scipy.special import expit, ndtri
from trainer_draws import assert_agree, beta_draws, flow_draws, grid, masses, stable_diffusion

from diffviz.recipes.settings import explain, from_settings

FLOW = {"noise_scheduler": "flowmatch"}


def settings(tokens=None, **options):
    """An objective of ai-toolkit."""
    return from_settings(options, trainer="ai-toolkit", tokens=tokens)


def drawn_indices(bias="balanced", first=0, last=999, flow=True):
    """Indices into the table of a batch, which starts at noise."""
    u = grid()
    if bias == "balanced":
        low, high = (first, last) if flow else (first + 1, last - 1)
        return low + (u * (high - low)).astype(int)
    cubic = 1000 * (u**3 if bias == "content" else 1 - u**3)
    mapped = first + cubic / 999 * (last - first)
    return np.clip(mapped.astype(int), first, last)


LINEAR = np.linspace(1000, 1, 1000) / 1000
BIASES = ["balanced", "content", "style"]
ENDS = [(0, 999), (200, 700)]


def options_of(kind, bias, ends):
    """Settings of a flow model."""
    return FLOW | {
        "timestep_type": kind,
        "content_or_style": bias,
        "min_denoising_steps": ends[0],
        "max_denoising_steps": ends[1],
    }


@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize("ends", ENDS)
def test_biases_of_the_linear_table(bias, ends):
    draws = flow_draws(LINEAR[drawn_indices(bias, *ends)])
    assert_agree(settings(**options_of("linear", bias, ends)), draws)


@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize("ends", ENDS)
def test_biases_of_sorted_sigmoids(bias, ends):
    """A table for each of 2,000 batches, and 50 indices of each."""
    rng = np.random.default_rng(0)
    tables = 1 - expit(rng.standard_normal((2000, 1000)))
    tables = np.sort(tables, axis=1)[:, ::-1]
    index = drawn_indices(bias, *ends)
    index = index[rng.permutation(len(index))].reshape(2000, 50)
    draws = flow_draws(np.take_along_axis(tables, index, axis=1).ravel())
    assert_agree(settings(**options_of("sigmoid", bias, ends)), draws, mass=6e-3)


def test_a_cubed_rank_is_often_the_noisiest_of_a_thousand():
    objective = settings(**FLOW, content_or_style="content")
    assert np.mean(drawn_indices("content") == 0) == pytest.approx(0.1, abs=0.001)
    median = -2 * ndtri(0.5 ** (1 / 1000))  # λ of the largest of a thousand normal draws
    assert objective.law.cdf(median) == pytest.approx(0.05, abs=0.005)
    copy = pickle.loads(pickle.dumps(objective))
    assert copy.identity == objective.identity


def test_the_default_type_is_sigmoid():
    assert settings(**FLOW).identity == settings(**FLOW, timestep_type="sigmoid").identity


def test_content_favours_noise():
    medians = [
        settings(**FLOW, content_or_style=bias).law.median()
        for bias in ("content", "balanced", "style")
    ]
    assert medians == sorted(medians)


def bell(index):
    """The bell over the rank, 0 at its least value."""
    ranks = np.arange(1000)
    weight = np.exp(-2 * ((ranks - 500) / 1000) ** 2)
    return (weight - weight.min())[index]


def half_bell(index):
    """The bell with its second half at the maximum."""
    weight = bell(np.arange(1000))
    weight[500:] = weight[500:].max()
    return weight[index]


@pytest.mark.parametrize(
    ("name", "weight"), [("linear_timesteps", bell), ("linear_timesteps2", half_bell)]
)
def test_bells(name, weight):
    index = drawn_indices()
    explained = explain(FLOW | {name: True, "timestep_type": "sigmoid"}, trainer="ai-toolkit")
    assert_agree(explained.objective, flow_draws(LINEAR[index], weight(index)))
    assert "timestep_type has no effect" in " ".join(explained.no_effect)


# entries of the trainer's table that are no knots: index and weight
ENTRIES = (
    *((45, 1.3556), (80, 1.4760), (115, 1.5141), (180, 1.4731), (270, 1.3187), (400, 1.0828)),
    *((450, 1.0004), (560, 0.8476), (610, 0.7955), (720, 0.7235), (800, 0.7160), (880, 0.7307)),
    *((915, 0.6914), (950, 0.5822), (990, 0.4521)),
)


def test_measured_weights():
    objective = settings(**FLOW, timestep_type="weighted")
    index, weight = np.array(ENTRIES).T
    draws = flow_draws(LINEAR[index.astype(int)], weight)
    ratio = objective.factor(draws.logsnr) / draws.factor
    np.testing.assert_allclose(ratio, np.ones(len(ENTRIES)), rtol=0.006)
    plain = settings(**FLOW, timestep_type="linear")
    q = [0.1, 0.5, 0.9]
    np.testing.assert_array_equal(objective.law.ppf(q), plain.law.ppf(q))


# means of the trainer's table over each 50 entries, and some of its first entries, all jagged
MEANS = (
    *(1.1866, 1.4571, 1.5149, 1.4790, 1.4001, 1.3104, 1.2184, 1.1276, 1.0416, 0.9630),
    *(0.8923, 0.8318, 0.7828, 0.7457, 0.7221, 0.7142, 0.7217, 0.7290, 0.6617, 0.4999),
)
JAGGED = ((1, 0.9098), (5, 0.9622), (8, 1.0166), (14, 1.1016), (18, 1.1438), (22, 1.1867))


def test_measured_weights_hold_the_means_of_the_whole_table():
    objective = settings(**FLOW, timestep_type="weighted")
    draws = flow_draws(LINEAR[1:])
    weight = np.append(np.nan, objective.factor(draws.logsnr) / draws.factor)
    means = np.nanmean(weight.reshape(20, 50), axis=1)
    np.testing.assert_allclose(means[1:], MEANS[1:], rtol=0.002)
    assert means[0] == pytest.approx((50 * MEANS[0] - 0.9057) / 49, rel=0.002)
    assert np.nanmean(weight) == pytest.approx(1.0, abs=5e-4)
    index, expected = np.array(JAGGED).T
    np.testing.assert_allclose(weight[index.astype(int)], expected, rtol=0.0125)


def test_a_blend_of_log_normal_and_even_sigmas():
    """A table for each of 2,000 batches, and 50 indices of each."""
    rng = np.random.default_rng(0)
    draws = np.exp(0.333 * rng.standard_normal((2000, 750)))
    scaled = 1000 * (1 - draws / draws.max(axis=1, keepdims=True))
    even = np.broadcast_to(np.linspace(1000, 1, 250), (2000, 250))
    tables = np.sort(np.hstack([scaled, even]), axis=1)[:, ::-1].astype(int) / 1000
    index = drawn_indices()[rng.permutation(100_000)].reshape(2000, 50)
    sigma = np.take_along_axis(tables, index, axis=1).ravel()
    objective = settings(**FLOW, timestep_type="lognorm_blend")
    assert_agree(objective, flow_draws(sigma), mass=6e-3)
    # from 0.9 on there are even sigmas and hardly one of the others
    few = (even[0] >= 900).sum() - 1  # without pure noise
    share = objective.law.cdf(2 * np.log(0.1 / 0.9) + 1e-9)
    assert share == pytest.approx(few / 998, abs=2e-4)


def test_measured_weights_win_over_the_bells():
    explained = explain(
        FLOW | {"timestep_type": "weighted", "linear_timesteps": True}, trainer="ai-toolkit"
    )
    assert explained.objective.identity == settings(**FLOW, timestep_type="weighted").identity
    assert "linear_timesteps has no effect" in " ".join(explained.no_effect)


@pytest.mark.parametrize("kind", ["shift", "flux_shift", "lumina2_shift"])
def test_the_shift_of_flux_goes_by_resolution(kind):
    mu = 0.5 + (1.15 - 0.5) / (4096 - 256) * (1024 - 256)
    table = np.exp(mu) / (np.exp(mu) + 1 / LINEAR - 1)
    objective = settings(1024, **FLOW, timestep_type=kind, is_flux=True)
    assert_agree(objective, flow_draws(table[drawn_indices()]))


@pytest.mark.parametrize(
    ("model", "shift"), [({"arch": "zimage"}, 3), ({"arch": "lumina2"}, 6), ({"is_lumina2": 1}, 6)]
)
def test_a_fixed_shift_acts_twice_at_the_end(model, shift):
    """The table starts from the scheduler's own ends, which are shifted already."""
    least = shift * 0.001 / (1 + (shift - 1) * 0.001)
    table = np.linspace(1000, 1000 * least, 1000) / 1000
    table = shift * table / (1 + (shift - 1) * table)
    objective = settings(**FLOW, timestep_type="shift", **model)
    assert_agree(objective, flow_draws(table[drawn_indices()]))
    level, _ = masses(objective)
    assert level[-1] == pytest.approx(2 * np.log(1 / table[-2] - 1), abs=1e-9)


@pytest.mark.parametrize("target", ["eps", "v"])
@pytest.mark.parametrize(
    ("name", "weight"),
    [
        (None, lambda snr: 1.0),
        ("min_snr_gamma", lambda snr: np.minimum(5 / snr, 1)),
        ("snr_gamma", lambda snr: 5 / snr),
    ],
)
@pytest.mark.parametrize("bias", ["balanced", "style"])
def test_stable_diffusion(target, name, weight, bias):
    product = stable_diffusion()[::-1][drawn_indices(bias, flow=False)]
    draws = beta_draws(product, weight(product / (1 - product)), target)
    options = {} if name is None else {name: 5}
    objective = settings(is_v_pred=target == "v", content_or_style=bias, **options)
    assert_agree(objective, draws)


@pytest.mark.parametrize("model", [{"arch": "pixart"}, {"is_pixart_sigma": True}])
def test_pixart_has_linear_betas(model):
    product = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))[::-1][drawn_indices(flow=False)]
    objective = settings(noise_scheduler="ddpm", **model)
    assert_agree(objective, beta_draws(product))
    assert "PixArt's table" in objective.note


def test_pixart_sigma_by_its_arch_has_the_table_of_stable_diffusion():
    objective = settings(arch="pixart_sigma:2k")
    assert objective.identity == settings().identity
    assert "arch pixart_sigma trains on Stable Diffusion's table" in objective.note


def test_snr_gamma_wins_and_has_no_bound():
    explained = explain({"snr_gamma": 5, "min_snr_gamma": 1}, trainer="ai-toolkit")
    assert explained.objective.identity == settings(snr_gamma=5).identity
    assert "min_snr_gamma" in " ".join(explained.no_effect)
    assert "no bound" in " ".join(explained.notes)


def test_what_a_kind_of_model_ignores():
    flow = explain(FLOW | {"min_snr_gamma": 5}, trainer="ai-toolkit")
    assert flow.objective.identity == settings(**FLOW).identity
    assert "min_snr_gamma" in " ".join(flow.no_effect)
    betas = explain({"timestep_type": "sigmoid"}, trainer="ai-toolkit")
    assert "flowmatch only" in " ".join(betas.no_effect)


def test_changes_of_the_noise_are_noted():
    note = settings(**FLOW, noise_multiplier=2, noise_offset=0.1).note
    assert "the true λ lies 1.39 lower" in note
    assert "noise_offset" in note
    assert "noise" not in settings(**FLOW).note


@pytest.mark.parametrize(
    ("name", "value"), [("loss_type", "mae"), ("loss_target", "source"), ("train_turbo", True)]
)
def test_other_losses_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        settings(**FLOW, **{name: value})


def test_what_cannot_be_read_is_refused():
    with pytest.raises(ValueError, match="pure noise alone"):
        settings(**FLOW, timestep_type="one_step")
    with pytest.raises(ValueError, match="balanced"):
        settings(**FLOW, timestep_type="lognorm_blend", content_or_style="style")
    with pytest.raises(ValueError, match="next sample"):
        settings(**FLOW, timestep_type="next_sample")
    with pytest.raises(ValueError, match="arch 'wan21'"):
        settings(**FLOW, timestep_type="shift", arch="wan21")
    with pytest.raises(ValueError, match="tokens="):
        settings(**FLOW, timestep_type="shift", arch="flux")
    with pytest.raises(ValueError, match="min_denoising_steps"):
        settings(**FLOW, min_denoising_steps=800, max_denoising_steps=200)


def test_a_job_is_recognised():
    text = """
job: extension
config:
  name: my_lora
  process:
    - type: sd_trainer
      training_folder: output
      network: {type: lora, linear: 16}
      train:
        batch_size: 1
        steps: 2000
        noise_scheduler: flowmatch
        timestep_type: linear
        content_or_style: balanced
        optimizer: adamw8bit
        lr: 1e-4
      model: {name_or_path: black-forest-labs/FLUX.1-dev, is_flux: true, quantize: true}
      sample: {sampler: flowmatch, sample_every: 250}
"""
    explained = explain(text)
    assert explained.trainer.name == "ai-toolkit"
    assert_agree(explained.objective, flow_draws(LINEAR[drawn_indices()]))
