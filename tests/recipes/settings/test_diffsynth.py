"""Settings of DiffSynth-Studio against its own steps, written anew."""

import numpy as np
import pytest
import torch
from trainer_draws import assert_agree, flow_draws

from diffviz.recipes.settings import explain, from_settings
from diffviz.recipes.settings.diffsynth import TEMPLATES, bfloat16, looked_up


def settings(model, **options):
    """An objective of DiffSynth-Studio."""
    return from_settings(options, trainer="diffsynth", model=model)


def even(count, last):
    """The sigmas before the shift: with both ends, or without the last of one more."""
    return np.linspace(1, last, count) if last else np.linspace(1, 0, count + 1)[:-1]


def by_mu(sigma, mu):
    """The exponential form of a shift."""
    with np.errstate(divide="ignore"):
        return np.exp(mu) / (np.exp(mu) + 1 / sigma - 1)


def to_terminal(sigma, terminal):
    """The table stretched so that it ends at the terminal sigma."""
    rest = 1 - sigma
    return 1 - rest / (rest[-1] / (1 - terminal))


SIGMAS = {
    "FLUX.1": 3 * even(1000, 0.003 / 1.002) / (1 + 2 * even(1000, 0.003 / 1.002)),
    "FLUX.2": by_mu(even(1000, 1 / 1000), 0.8),
    "Wan": 5 * even(1000, 0) / (1 + 4 * even(1000, 0)),
    "Qwen-Image": to_terminal(by_mu(even(1000, 0), 0.8), 0.02),
    "Z-Image": 3 * even(1000, 0) / (1 + 2 * even(1000, 0)),
    "LTX-2": to_terminal(by_mu(even(1000, 0), 2.05), 0.1),
}


def weights(sigma):
    """The bell over the steps, shifted to 0 at its least value and with mean 1."""
    bell = np.exp(-2 * ((1000 * sigma - 500) / 1000) ** 2)
    raised = bell - bell.min()
    return raised * 1000 / raised.sum()


@pytest.mark.parametrize("model", sorted(TEMPLATES))
def test_every_template_has_its_table_and_the_bell(model):
    sigma = SIGMAS[model]
    np.testing.assert_allclose(TEMPLATES[model].sigmas(), sigma, atol=1e-12)
    assert_agree(settings(model), flow_draws(sigma, weights(sigma)), factor=1e-6)


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.358), (0.358, 1.0), (0.1, 0.5)])
def test_boundaries_count_from_noise(low, high):
    """The two experts of Wan 2.2 meet at sigma = 0.9."""
    sigma = SIGMAS["Wan"]
    kept = slice(int(low * 1000), int(high * 1000))
    draws = flow_draws(sigma[kept], weights(sigma)[kept])
    boundaries = {"min_timestep_boundary": low, "max_timestep_boundary": high}
    assert_agree(settings("Wan", **boundaries), draws, factor=1e-6)
    explained = explain(boundaries, trainer="diffsynth", model="Wan")
    first, *_, last = sigma[kept]
    assert f"from {first:.4g} to {last:.4g}" in explained.sentence


@pytest.mark.parametrize(
    ("identifier", "template"),
    [
        ("Wan-AI/Wan2.1-T2V-1.3B:diffusion_pytorch_model*.safetensors", "Wan"),
        ("Qwen/Qwen-Image:transformer/diffusion_pytorch_model*.safetensors", "Qwen-Image"),
        ("black-forest-labs/FLUX.1-dev:flux1-dev.safetensors", "FLUX.1"),
        ("Tongyi-MAI/Z-Image-Turbo:transformer/*.safetensors", "Z-Image"),
    ],
)
def test_a_command_line_names_the_model(identifier, template):
    line = (
        "accelerate launch examples/x/model_training/train.py --dataset_base_path data "
        f'--model_id_with_origin_paths "{identifier}" --learning_rate 1e-4 --num_epochs 5 '
        '--remove_prefix_in_ckpt "pipe.dit." --height 480 --width 832 --lora_rank 32'
    )
    explained = explain(line)
    assert explained.trainer.name == "diffsynth"
    assert f"template {template}:" in explained.sentence
    assert {"height", "width"} <= {setting.name for setting in explained.passed_over}


def test_the_step_is_rounded_as_by_torch():
    values = np.linspace(0.3, 1000, 5001, dtype=np.float32)
    rounded = torch.tensor(values).to(torch.bfloat16).float().numpy()
    np.testing.assert_array_equal(bfloat16(values), rounded)


@pytest.mark.parametrize("model", ["Wan", "FLUX.1"])
def test_the_note_counts_the_entries_that_are_used(model):
    sigma = TEMPLATES[model].sigmas()
    steps = torch.tensor(sigma * 1000, dtype=torch.float32)
    cast = steps.to(torch.bfloat16).float()
    entries = (steps[None, :] - cast[:, None]).abs().argmin(dim=1).numpy()
    np.testing.assert_array_equal(looked_up(sigma), entries)
    note = settings(model).note
    assert f"of 1000 entries {len(np.unique(entries))} are used" in note
    assert f"{np.mean(entries == 0):.2g} of the draws are pure noise" in note


def test_what_cannot_be_read_is_refused():
    with pytest.raises(ValueError, match="no plain denoising loss"):
        settings("Wan", task="direct_distill")
    with pytest.raises(ValueError, match="model="):
        from_settings({"model_id_with_origin_paths": "a/b:c"}, trainer="diffsynth")
    with pytest.raises(ValueError, match="min_timestep_boundary"):
        settings("Wan", min_timestep_boundary=0.9, max_timestep_boundary=0.4)
