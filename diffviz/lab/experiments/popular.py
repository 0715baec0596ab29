"""What popular settings of models and trainers really weight.

Each row is something that people run: a line of a trainer's documentation or example, or the
scheduler of a published model, with which the examples of diffusers train. Options that have
nothing to do with the objective are left out. Nothing is typed in but the settings.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scipy.special import expit

from diffviz.compute.cache import cached
from diffviz.recipes.diffusers import from_diffusers
from diffviz.recipes.nearest import Match, closest
from diffviz.recipes.settings.door import AsMeasured, from_settings
from diffviz.theory import analysis
from diffviz.theory.objectives import Objective

SCHEDULER = "scheduler"  # the trainer of a row whose text is a scheduler's config
SLIGHT = 0.0005  # negative share that would be rounded to nothing
EQUAL = 0.02  # deviation up to which an entry is named as the same


@dataclass(frozen=True)
class PopularSetting:
    """Settings that people train with.

    Args:
        title: What is trained, in a few words.
        trainer: Name of the trainer, or "scheduler".
        text: A command line or YAML; the JSON of a config for a scheduler.
        model: Name of the model, where the text does not say it.
        tokens: Number of tokens of an image or video, where a shift depends on it.
    """

    title: str
    trainer: str
    text: str
    model: str | None = None
    tokens: int | None = None

    def objective(self) -> Objective:
        """What these settings train."""
        if self.trainer == SCHEDULER:
            return from_diffusers(json.loads(self.text), tokens=self.tokens)
        return from_settings(self.text, trainer=self.trainer, model=self.model, tokens=self.tokens)


DIFFUSERS = (
    PopularSetting(
        "SD 1.5",
        "diffusers",
        "train_text_to_image.py "
        "--pretrained_model_name_or_path=stable-diffusion-v1-5/stable-diffusion-v1-5",
    ),
    PopularSetting(
        "SD 1.5, Min-SNR",
        "diffusers",
        "train_text_to_image_lora.py --snr_gamma=5.0 "
        "--pretrained_model_name_or_path=stable-diffusion-v1-5/stable-diffusion-v1-5",
    ),
    PopularSetting(
        "SD 2.1 (v)",
        "diffusers",
        "train_dreambooth.py --pretrained_model_name_or_path=stabilityai/stable-diffusion-2-1",
    ),
    PopularSetting(
        "SD 2.1 (v), Min-SNR",
        "diffusers",
        "train_dreambooth.py --snr_gamma=5.0 "
        "--pretrained_model_name_or_path=stabilityai/stable-diffusion-2-1",
    ),
    PopularSetting(
        "SDXL",
        "diffusers",
        "train_dreambooth_lora_sdxl.py "
        "--pretrained_model_name_or_path=stabilityai/stable-diffusion-xl-base-1.0",
    ),
    PopularSetting(
        "SDXL, biased to later steps",
        "diffusers",
        "train_text_to_image_sdxl.py --timestep_bias_strategy later "
        "--timestep_bias_multiplier 3 "
        "--pretrained_model_name_or_path=stabilityai/stable-diffusion-xl-base-1.0",
    ),
    PopularSetting(
        "Playground 2.5, EDM style",
        "diffusers",
        "train_dreambooth_lora_sdxl.py "
        "--pretrained_model_name_or_path=playgroundai/playground-v2.5-1024px-aesthetic",
    ),
    PopularSetting(
        "SD 3",
        "diffusers-flow",
        "train_dreambooth_sd3.py "
        "--pretrained_model_name_or_path=stabilityai/stable-diffusion-3-medium-diffusers",
    ),
    PopularSetting(
        "SD 3, logit-normal on the velocity",
        "diffusers-flow",
        "train_dreambooth_lora_sd3.py --weighting_scheme=logit_normal --precondition_outputs=0 "
        "--pretrained_model_name_or_path=stabilityai/stable-diffusion-3-medium-diffusers",
    ),
    PopularSetting(
        "FLUX.1 dev",
        "diffusers-flow",
        "train_dreambooth_lora_flux.py "
        "--pretrained_model_name_or_path=black-forest-labs/FLUX.1-dev",
    ),
    PopularSetting(
        "FLUX.1 dev, logit-normal",
        "diffusers-flow",
        "train_dreambooth_lora_flux.py --weighting_scheme=logit_normal "
        "--pretrained_model_name_or_path=black-forest-labs/FLUX.1-dev",
    ),
    PopularSetting(
        "Sana 1.6B",
        "diffusers-flow",
        "train_dreambooth_lora_sana.py "
        "--pretrained_model_name_or_path=Efficient-Large-Model/Sana_1600M_1024px",
    ),
)


def betas(schedule: str, start: float, end: float, prediction: str, **more: object) -> str:
    """The config of a scheduler with a table of β, as JSON.

    Args:
        schedule: Name of the schedule of β.
        start: First β.
        end: Last β.
        prediction: What is predicted.
        **more: Further entries.

    Returns:
        The config.
    """
    entries = {
        "_class_name": "DDPMScheduler",
        "num_train_timesteps": 1000,
        "beta_schedule": schedule,
        "beta_start": start,
        "beta_end": end,
        "prediction_type": prediction,
    }
    return json.dumps(entries | more)


def flow(shift: float, **more: object) -> str:
    """The config of a scheduler for flow matching, as JSON.

    Args:
        shift: Its fixed shift.
        **more: Further entries.

    Returns:
        The config.
    """
    entries = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000}
    return json.dumps(entries | {"shift": shift} | more)


BY_RESOLUTION = {
    "use_dynamic_shifting": True,
    "base_shift": 0.5,
    "base_image_seq_len": 256,
}
SCHEDULERS = (
    PopularSetting("DDPM CelebA-HQ", SCHEDULER, betas("linear", 0.0001, 0.02, "epsilon")),
    PopularSetting("DeepFloyd IF", SCHEDULER, betas("squaredcos_cap_v2", 0.0001, 0.02, "epsilon")),
    PopularSetting("Kandinsky 2.2", SCHEDULER, betas("linear", 0.00085, 0.012, "epsilon")),
    PopularSetting("AudioLDM 2", SCHEDULER, betas("scaled_linear", 0.0015, 0.0195, "epsilon")),
    PopularSetting(
        "CogVideoX 2B (v, zero SNR)",
        SCHEDULER,
        betas(
            "scaled_linear",
            0.00085,
            0.012,
            "v_prediction",
            _class_name="CogVideoXDDIMScheduler",
            rescale_betas_zero_snr=True,
            snr_shift_scale=3.0,
        ),
    ),
    PopularSetting("HunyuanVideo", SCHEDULER, flow(7.0)),
    PopularSetting("Z-Image", SCHEDULER, flow(6.0)),
    PopularSetting(
        "FLUX.1 dev at 1024²",
        SCHEDULER,
        flow(3.0, max_shift=1.15, max_image_seq_len=4096, **BY_RESOLUTION),
        tokens=4096,
    ),
    PopularSetting(
        "Qwen-Image at 1024²",
        SCHEDULER,
        flow(1.0, max_shift=0.9, max_image_seq_len=8192, **BY_RESOLUTION),
        tokens=4096,
    ),
)
SD_SCRIPTS = (
    PopularSetting("SD 1.5", "sd-scripts", "train_network.py --learning_rate 1e-4"),
    PopularSetting("SDXL, Min-SNR", "sd-scripts", "sdxl_train_network.py --min_snr_gamma 5"),
    PopularSetting(
        "SDXL, debiased", "sd-scripts", "sdxl_train_network.py --debiased_estimation_loss"
    ),
    PopularSetting(
        "SDXL (v, zero SNR)",
        "sd-scripts",
        "sdxl_train_network.py --v_parameterization --zero_terminal_snr",
    ),
    PopularSetting(
        "SDXL (v, zero SNR), Min-SNR",
        "sd-scripts",
        "sdxl_train_network.py --v_parameterization --zero_terminal_snr --min_snr_gamma 5",
    ),
    PopularSetting(
        "FLUX.1 dev, as its guide says",
        "sd-scripts-flux",
        "flux_train_network.py --timestep_sampling shift --discrete_flow_shift 3.1582 "
        "--model_prediction_type raw --guidance_scale 1.0",
    ),
    PopularSetting("FLUX.1 dev, defaults", "sd-scripts-flux", "flux_train_network.py --seed 42"),
    PopularSetting(
        "FLUX.1 dev, shift by resolution",
        "sd-scripts-flux",
        "flux_train_network.py --timestep_sampling flux_shift --model_prediction_type raw "
        "--resolution 1024,1024",
    ),
    PopularSetting("SD 3", "sd-scripts-sd3", "sd3_train_network.py --seed 42"),
    PopularSetting("Lumina-Image 2.0", "sd-scripts-lumina", "lumina_train_network.py --seed 42"),
    PopularSetting(
        "HunyuanImage 2.1", "sd-scripts-hunyuan-image", "hunyuan_image_train_network.py --seed 42"
    ),
    PopularSetting("Anima", "sd-scripts-anima", "anima_train_network.py --seed 42"),
)
MUSUBI = (
    PopularSetting(
        "HunyuanVideo",
        "musubi",
        "hv_train_network.py --timestep_sampling shift --discrete_flow_shift 7.0",
    ),
    PopularSetting(
        "Wan 2.1",
        "musubi",
        "wan_train_network.py --timestep_sampling shift --discrete_flow_shift 3.0",
    ),
    PopularSetting(
        "Wan 2.2, noisy half",
        "musubi",
        "wan_train_network.py --timestep_sampling shift --discrete_flow_shift 3.0 "
        "--min_timestep 875 --max_timestep 1000 --preserve_distribution_shape",
    ),
    PopularSetting(
        "Wan 2.2, clean half",
        "musubi",
        "wan_train_network.py --timestep_sampling shift --discrete_flow_shift 3.0 "
        "--min_timestep 0 --max_timestep 875 --preserve_distribution_shape",
    ),
    PopularSetting(
        "FLUX.1 Kontext",
        "musubi",
        "flux_kontext_train_network.py --timestep_sampling flux_shift",
        tokens=4096,
    ),
    PopularSetting(
        "Qwen-Image",
        "musubi",
        "qwen_image_train_network.py --timestep_sampling qwen_shift",
        tokens=4096,
    ),
    PopularSetting(
        "Ideogram 4", "musubi-ideogram4", "ideogram4_train_network.py --seed 42", tokens=4096
    ),
    PopularSetting(
        "HiDream-O1",
        "musubi-hidream-o1",
        "hidream_o1_train_network.py --timestep_sampling uniform",
    ),
)
OTHERS = (
    PopularSetting("FLUX.1 dev", "simpletuner", "model_family: flux"),
    PopularSetting("SDXL, Min-SNR", "simpletuner", "model_family: sdxl\nsnr_gamma: 5"),
    PopularSetting(
        "SD 3, Beta(2, 2) times",
        "simpletuner",
        "model_family: sd3\nflow_use_beta_schedule: true",
    ),
    PopularSetting("SD 1.5", "onetrainer", "model_type: STABLE_DIFFUSION_15"),
    PopularSetting(
        "SDXL, Min-SNR",
        "onetrainer",
        "model_type: STABLE_DIFFUSION_XL_10_BASE\nloss_weight_fn: MIN_SNR_GAMMA",
    ),
    PopularSetting(
        "FLUX.1 dev, logit-normal",
        "onetrainer",
        "model_type: FLUX_DEV_1\ntimestep_distribution: LOGIT_NORMAL",
    ),
    PopularSetting("FLUX.1 dev", "ai-toolkit", "noise_scheduler: flowmatch"),
    PopularSetting(
        "FLUX.1 dev, weighted",
        "ai-toolkit",
        "noise_scheduler: flowmatch\ntimestep_type: weighted",
    ),
    PopularSetting("Wan 2.1 14B", "diffsynth", "train.py --task sft", model="Wan"),
    PopularSetting(
        "LTX-Video, logit-normal",
        "finetrainers",
        "model_name: ltx_video\nflow_weighting_scheme: logit_normal",
    ),
    PopularSetting("Wan 2.1", "finetrainers", "model_name: wan"),
    PopularSetting(
        "LTX-Video",
        "ltx-video-trainer",
        "timestep_sampling_mode: shifted_logit_normal",
        tokens=4096,
    ),
    PopularSetting(
        "LTX-2", "ltx2-trainer", "timestep_sampling_mode: shifted_logit_normal", tokens=4096
    ),
)
POPULAR = (*DIFFUSERS, *SCHEDULERS, *SD_SCRIPTS, *MUSUBI, *OTHERS)


@dataclass(frozen=True)
class PopularRow:
    """What settings weight.

    Args:
        setting: The settings.
        quartiles: λ below which a quarter, half and three quarters of the draws lie, in nats.
        is_monotone: Whether the weighting never rises, so that the loss is a sum of ELBOs.
        negative_share: Share of the ELBOs with a negative sign.
        below: Share of the loss on N(0, I) below λ = 0.
        nearest: Nearest entry of the catalogue; None if no entry has weight over the levels.
    """

    setting: PopularSetting
    quartiles: tuple[float, float, float]
    is_monotone: bool
    negative_share: float
    below: float
    nearest: Match | None

    @property
    def median(self) -> float:
        """Median λ of the levels that are drawn, in nats."""
        return self.quartiles[1]

    @property
    def spread(self) -> float:
        """Distance of the outer quartiles in nats."""
        return self.quartiles[2] - self.quartiles[0]

    @property
    def verdict(self) -> str:
        """The verdict in a few words."""
        if self.is_monotone:
            return "monotone"
        if self.negative_share < SLIGHT:
            return "under 0.1% negative"
        return f"{self.negative_share:.1%} negative"

    @property
    def entry(self) -> str:
        """The nearest entry, and how far it is where it is not the same."""
        if self.nearest is None:
            return "none"
        if self.nearest.deviation <= EQUAL:
            return self.nearest.name
        return f"{self.nearest.name} (deviates by {self.nearest.deviation:.0%})"


def row_of(setting: PopularSetting) -> PopularRow:
    """What settings weight.

    Args:
        setting: The settings.

    Returns:
        The row.

    Raises:
        ValueError: The settings cannot be read.
    """
    objective = setting.objective()
    first, median, third = objective.law.ppf([0.25, 0.5, 0.75])
    verdict = analysis.verdict(objective)
    matches = closest(AsMeasured(objective), 1)
    return PopularRow(
        setting=setting,
        quartiles=(float(first), float(median), float(third)),
        is_monotone=verdict.monotone,
        negative_share=verdict.negative_share,
        below=analysis.share_below(objective, mmse=expit),
        nearest=matches[0] if matches else None,
    )


@cached
def rows(settings: Sequence[PopularSetting] = POPULAR) -> list[PopularRow]:
    """What popular settings weight.

    Args:
        settings: The settings.

    Returns:
        A row for each, in their order.
    """
    return [row_of(setting) for setting in settings]


# --- as a table -----------------------------------------------------------------------------------

HEAD = (
    "trained",
    "trainer",
    "median λ",
    "quartiles apart",
    "verdict",
    "loss below λ = 0",
    "nearest entry",
)


def cells(row: PopularRow) -> tuple[str, ...]:
    """What a row says, a text for each column of ``HEAD``.

    Args:
        row: The row.

    Returns:
        The texts.
    """
    return (
        row.setting.title,
        row.setting.trainer,
        f"{round(row.median, 2) + 0.0:.2f}",  # + 0 makes −0 a 0
        f"{row.spread:.2f}",
        row.verdict,
        f"{row.below:.0%}",
        row.entry,
    )


def markdown(table: Iterable[PopularRow]) -> str:
    """The rows as a table in Markdown, with the settings in a list below it.

    Args:
        table: The rows.

    Returns:
        Markdown.
    """
    found = list(table)
    lines = [HEAD, ("---",) * len(HEAD), *map(cells, found)]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    settings = "\n".join(_with_settings(row.setting) for row in found)
    return f"{text}\n\n## The settings\n\n{settings}\n"


def _with_settings(setting: PopularSetting) -> str:
    """One line of a list: what is trained, and by which settings."""
    words = " ".join(setting.text.split("\n"))
    details = [f"model {setting.model}"] if setting.model else []
    details += [f"{setting.tokens} tokens"] if setting.tokens else []
    tail = f" ({', '.join(details)})" if details else ""
    return f"- {setting.title}, {setting.trainer}: `{words}`{tail}"
