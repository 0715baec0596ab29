"""musubi-tuner: its own steps, written anew, draw what the objective says."""

import numpy as np
import pytest
from scipy.special import expit
from trainer_draws import N, check_factor, check_law, density, grid, logsnr_of, normal, on_velocity

import diffviz as dv
from diffviz.recipes import settings

SCRIPT = "accelerate launch src/musubi_tuner/wan_train_network.py --task t2v-14B "
TABLE = np.linspace(1, 0, 1001)[:-1]


def shifted_sigmoid(shift=1.0, scale=1.0):
    t = expit(scale * normal())
    return t * shift / (1 + (shift - 1) * t)


def line_through(tokens, low, high):
    """exp of mu, linear in the tokens."""
    slope = (high[1] - low[1]) / (high[0] - low[0])
    return np.exp(slope * tokens + low[1] - slope * low[0])


def by_index(scheme, first=0, last=1000, **options):
    return TABLE[(density(scheme, **options) * (last - first) + first).astype(int)]


TOKENS = 4096
CASES = {
    "": by_index("none"),
    "--weighting_scheme logit_normal --logit_mean 1 --logit_std 0.5": by_index(
        "logit_normal", mean=1.0, std=0.5
    ),
    "--weighting_scheme mode --min_timestep 100 --max_timestep 600": by_index(
        "mode", first=100, last=600
    ),
    "--timestep_sampling uniform": grid(),
    "--timestep_sampling sigmoid --sigmoid_scale 2": shifted_sigmoid(scale=2.0),
    "--timestep_sampling shift --discrete_flow_shift 3": shifted_sigmoid(3.0),
    "--timestep_sampling logsnr --logit_mean 5.36 --logit_std 1.5": expit(
        -(5.36 + 1.5 * normal()) / 2
    ),
    "--timestep_sampling shift --discrete_flow_shift 5 --min_timestep 875": 0.875
    + 0.125 * shifted_sigmoid(5.0),
    "--timestep_sampling uniform --min_timestep 100 --max_timestep 300": 0.1 + 0.2 * grid(),
}
BY_SIZE = {
    "flux_shift": line_through(TOKENS, (256, 0.5), (4096, 1.15)),
    "flux2_shift": line_through(TOKENS, (256, 0.5), (4096, 1.15)),
    "qwen_shift": line_through(TOKENS, (256, 0.5), (8192, 0.9)),
    "krea2_shift": line_through(TOKENS, (256, 0.5), (6400, 1.15)),
}


@pytest.mark.parametrize("line", CASES)
def test_the_levels_are_those_of_its_own_steps(line):
    sigma = CASES[line]
    objective = dv.from_settings(SCRIPT + line)
    check_law(objective, logsnr_of(sigma))
    check_factor(objective, logsnr_of(sigma), on_velocity(sigma))


@pytest.mark.parametrize("method", BY_SIZE)
def test_shifts_by_resolution_are_those_of_its_own_steps(method):
    objective = dv.from_settings(SCRIPT + f"--timestep_sampling {method}", tokens=TOKENS)
    check_law(objective, logsnr_of(shifted_sigmoid(BY_SIZE[method])))


def test_a_range_cuts_the_law_where_its_shape_is_preserved():
    line = "--timestep_sampling shift --discrete_flow_shift 3 --min_timestep 200 --max_timestep 700"
    objective = dv.from_settings(SCRIPT + line + " --preserve_distribution_shape")
    sigma = shifted_sigmoid(3.0)
    kept = (sigma >= 0.2) & (sigma <= 0.7)
    middle = logsnr_of(np.quantile(sigma[kept], [0.25, 0.5, 0.75], method="inverted_cdf"))
    np.testing.assert_allclose(objective.law.cdf(middle), [0.75, 0.5, 0.25], atol=2e-4)


IDEOGRAM = "accelerate launch ideogram4_train_network.py --dit d.safetensors "


def test_ideogram_draws_a_normal_logit_whose_mean_grows_with_the_pixels():
    objective = dv.from_settings(IDEOGRAM, tokens=TOKENS)
    sigma = expit(0.5 * np.log(1024 * 1024 / (512 * 512)) + 1.5 * normal())
    check_law(objective, logsnr_of(sigma))
    check_factor(objective, logsnr_of(sigma), on_velocity(sigma))
    chosen = dv.from_settings(SCRIPT + "--timestep_sampling ideogram4_shift", tokens=TOKENS)
    assert dv.compare(objective, chosen).same


def test_ideogram_refuses_a_weighting_scheme():
    with pytest.raises(ValueError, match="refused by the scripts for Ideogram 4"):
        dv.from_settings(IDEOGRAM + "--weighting_scheme cosmap", tokens=TOKENS)


def test_a_file_without_a_script_is_not_taken_for_ideogram():
    text = (
        'dit = "d.safetensors"\ntimestep_sampling = "sigma"\npreserve_distribution_shape = true\n'
    )
    assert settings.explain(text).trainer.name == "musubi"


HIDREAM = "accelerate launch src/musubi_tuner/hidream_o1_train_network.py --dit d.safetensors "


@pytest.mark.parametrize(
    ("line", "scale", "sigma"),
    [
        ("--timestep_sampling uniform --weighting_scheme none", 8.0, grid()),
        ("--model_type dev", 7.5, by_index("none")),
        ("--timestep_sampling shift --discrete_flow_shift 3 --noise_scale_start 2", 2.0, None),
    ],
)
def test_hidream_compares_pixels_under_loud_noise(line, scale, sigma):
    """(1 − σ) x + σ · scale · ε, and the mean squared error of x."""
    sigma = shifted_sigmoid(3.0) if sigma is None else sigma
    objective = dv.from_settings(HIDREAM + line)
    sigma = sigma[(sigma > 0) & (sigma < 1)]
    loud = logsnr_of(sigma) - 2 * np.log(scale)
    check_law(objective, loud)
    # an error of ε_hat is one of x_hat times (noise over signal), σ · scale/(1 − σ)
    check_factor(objective, loud, (sigma * scale / (1 - sigma)) ** 2)
    assert objective.target.name == "x"


def test_what_hidream_does_to_its_noise_is_said():
    assert (
        "cut off at 2.5 standard deviations" in dv.from_settings(HIDREAM + "--model_type dev").note
    )
    assert "cut off" not in dv.from_settings(HIDREAM).note
    assert not settings.explain(HIDREAM + "--model_type dev").no_effect
    with pytest.raises(ValueError, match="refused by the script for HiDream-O1"):
        dv.from_settings(HIDREAM + "--weighting_scheme mode")
    with pytest.raises(ValueError, match="noise_scale_start=8 and noise_scale_end=3"):
        dv.from_settings(HIDREAM + "--noise_scale_end 3")


@pytest.mark.parametrize("line", ["", " --min_timestep 100 --max_timestep 900"])
def test_qinglong_draws_from_three_laws(line):
    objective = dv.from_settings(
        SCRIPT + "--timestep_sampling qinglong_flux --logit_mean -1 --logit_std 2" + line,
        tokens=TOKENS,
    )
    clean = expit(-(5.36 + normal()) / 2)
    plain = expit(-(-1 + 2 * normal()) / 2)
    sigma = np.concatenate([shifted_sigmoid(BY_SIZE["flux_shift"]), plain, clean])
    share = np.repeat([0.8, 0.075, 0.125], N) / N
    sigma = 0.1 + 0.8 * sigma if line else sigma
    check_law(objective, logsnr_of(sigma), share)
    q = np.linspace(0.001, 0.999, 31)
    np.testing.assert_allclose(objective.law.cdf(objective.law.ppf(q)), q, atol=1e-12)


def nearest_weight(scheme, sigma):
    """The weight at the entry of the table that is nearest to the timestep 1000 sigma + 1."""
    entry = TABLE[np.abs(1000 * TABLE[:, None] - (1000 * sigma + 1)).argmin(axis=0)]
    return entry**-2.0 if scheme == "sigma_sqrt" else 2 / (np.pi * (1 - 2 * entry + 2 * entry**2))


@pytest.mark.parametrize("scheme", ["sigma_sqrt", "cosmap"])
def test_the_weight_counts_whatever_draws_the_timesteps(scheme):
    line = f"--weighting_scheme {scheme} --timestep_sampling uniform"
    objective = dv.from_settings(SCRIPT + line)
    sigma = np.arange(1, 1000) / 1000
    factor = nearest_weight(scheme, sigma) * on_velocity(sigma)
    check_factor(objective, logsnr_of(sigma), factor)


@pytest.mark.parametrize("scheme", ["sigma_sqrt", "cosmap"])
def test_an_index_is_weighted_at_its_own_entry(scheme):
    objective = dv.from_settings(SCRIPT + f"--weighting_scheme {scheme}")
    sigma = TABLE[1:]
    weight = sigma**-2.0 if scheme == "sigma_sqrt" else 2 / np.pi / (1 - 2 * sigma * (1 - sigma))
    check_factor(objective, logsnr_of(sigma), weight * on_velocity(sigma))


@pytest.mark.parametrize(
    ("line", "idle"),
    [
        ("--discrete_flow_shift 7", "discrete_flow_shift has no effect with timestep_sampling"),
        ("--timestep_sampling shift --logit_mean 1", "logit_mean has no effect with timestep"),
        ("--logit_mean 1", "logit_mean has no effect with weighting_scheme='none'"),
        ("--preserve_distribution_shape", "preserve_distribution_shape has no effect with"),
        ("--timestep_sampling uniform --weighting_scheme mode", "only 'sigma' draws by it"),
    ],
)
def test_options_without_effect_are_named_with_the_reason(line, idle):
    (sentence,) = settings.explain(SCRIPT + line).no_effect
    assert idle in sentence


def test_the_direction_of_an_index_is_named():
    line = "--weighting_scheme logit_normal --logit_mean 1 --max_timestep 500"
    note = dv.from_settings(SCRIPT + line).note
    assert "a positive logit_mean means less noise" in note
    assert "from the noisy end" in note


def test_an_empty_range_is_refused():
    with pytest.raises(ValueError, match="min_timestep=900 must lie below max_timestep=500"):
        dv.from_settings(SCRIPT + "--min_timestep 900 --max_timestep 500")
