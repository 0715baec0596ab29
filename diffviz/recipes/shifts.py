"""Flow matching on the linear path with logit-normal or uniform time, shifted for a resolution.

A time with the density f has the weighting f(t) e^(−λ/2) on the linear path, t = sigmoid(−λ/2).
"""

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit

from diffviz.recipes.closed_forms import flow_matching, squared_velocity_gain
from diffviz.recipes.resolution import shift_on_line
from diffviz.recipes.settings.ltx_trainer import FEW_TOKENS, MANY_TOKENS, stretched_levels
from diffviz.recipes.settings.musubi import CLEAN_LAW, POINTS, SHARES
from diffviz.theory import laws, paths
from diffviz.theory.families import flow, flow_uniform
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import LINEAR
from diffviz.theory.targets import U

RAE = "Zheng et al. 2025 (arXiv 2510.11690), bytetriper/RAE"
RAE_CONFIG = f"{RAE} configs/training/ImageNet256 (commit 34b0679)"
RAE_CODE = f"{RAE} stage2/transport/transport.py (commit 1266cf4)"
TRELLIS = "Xiang et al. 2024 (arXiv 2412.01506), microsoft/TRELLIS configs/generation (t_schedule)"
OMNIGEN = "VectorSpaceLab/OmniGen train_helper/loss.py (commit 97b45be)"
COSYVOICE = "FunAudioLLM/CosyVoice cosyvoice/flow/flow_matching.py (commit 0397ddb)"
STABLE_AUDIO = "Stability-AI/stable-audio-tools training/diffusion.py, inference/sampling.py (2025)"
MUSUBI = "kohya-ss/musubi-tuner training/timesteps.py, trainer_base.py (2026)"
LTX2 = "Lightricks/LTX-2 ltx_trainer/timestep_samplers.py (commit 32ac2e1)"
COSMOS = "nvidia-cosmos/cosmos-predict2 video2world_model.py, denoiser_scaling.py (2025)"
MAGE_FLOW = "kohya-ss/musubi-tuner mage_flow_train_network.py (2026, commit 25e7822)"
MUSUBI_GUIDES = "kohya-ss/musubi-tuner docs"
BAGEL = "ByteDance-Seed/Bagel modeling/bagel/bagel.py (commit 4d8a488)"

# √(768 · 16 · 16/4096), of the width of the latents against that of a base
RAE_SHIFT = float(np.sqrt(48))
LATENT_TOKENS = 4096  # of an image of 1024² pixels, in patches of 16²
QWEN_SHIFT = shift_on_line(LATENT_TOKENS, *POINTS["qwen_shift"])
KREA_SHIFT = shift_on_line(LATENT_TOKENS, *POINTS["krea2_shift"])
FLUX_SHIFT = shift_on_line(LATENT_TOKENS, *POINTS["flux_shift"])
TRELLIS_PATH = paths.sigma_min_path(1e-5)
AUDIO_CUT = 0.075  # share of data below which Stable Audio's truncated law draws nothing
AUDIO_LAW = laws.squeezed(
    laws.truncated(stats.norm(0, 2), 2 * np.log(AUDIO_CUT / (1 - AUDIO_CUT)), np.inf),
    low=0.0,
    high=1 / (1 - AUDIO_CUT),
)
COSMOS_LAW = laws.mixture(
    # σ is √24 times a log-normal draw for clips of 24 latent frames, or log-uniform
    [stats.norm(-np.log(24), 2), laws.loguniform_sigma(200, 1e5)],
    [0.95, 0.05],
)
LTX2_LOWEST, LTX2_HIGHEST, LTX2_LEAST = -2.5758, 3.0902, 1e-3


def logit_normal_density(time: NDArray, mean: float, std: float) -> NDArray:
    """Density of a t with logit t ~ N(mean, std²), 0 outside (0, 1)."""
    inside = (time > 0) & (time < 1)
    t = np.where(inside, time, 0.5)
    density = stats.norm.pdf(np.log(t) - np.log1p(-t), mean, std) / (t * (1 - t))
    return np.where(inside, density, 0.0)


def trellis_density(logsnr: NDArray) -> NDArray:
    """f(t) e^(−λ/2) on the path with sigma_min = 1e-5, where t = (r − s)/(1 + r − s), r = e^(−λ/2).

    Here s is sigma_min.
    """
    ratio = 1e-5 * np.expm1(-logsnr / 2 - np.log(1e-5))
    logit = np.log(ratio)
    return stats.norm.pdf(logit, 1, 1) * (1 + ratio) ** 2 / ratio * np.exp(-logsnr / 2)


def truncated_audio(logsnr: NDArray) -> NDArray:
    """f(0.925 t) e^(−λ/2), f the logit-normal density: its noisiest part, stretched to [0, 1]."""
    time = (1 - AUDIO_CUT) * expit(-logsnr / 2)
    return logit_normal_density(time, 0, 1) * np.exp(-logsnr / 2)


def qinglong(logsnr: NDArray, shift: float) -> NDArray:
    """Three normal densities in the shares 0.80, 0.075 and 0.125, times (1 + e^(−λ/2))²."""
    middle = stats.norm.pdf(logsnr, -2 * np.log(shift), 2)
    noisy = stats.norm.pdf(logsnr, 0, 1)
    clean = stats.norm.pdf(logsnr, 5.36, 1)
    return (0.8 * middle + 0.075 * noisy + 0.125 * clean) * squared_velocity_gain(logsnr)


def qinglong_flux(logsnr: NDArray) -> NDArray:
    """``qinglong`` with the shift e^1.15."""
    return qinglong(logsnr, np.exp(1.15))


def qinglong_qwen(logsnr: NDArray) -> NDArray:
    """``qinglong`` with the shift of Qwen-Image at 4,096 tokens."""
    return qinglong(logsnr, QWEN_SHIFT)


def ltx2(logsnr: NDArray, mean: float) -> NDArray:
    """f(t) e^(−λ/2), with f = 0.9 (g(t) + g(2 · 0.001 − t)) + 0.1/0.999 above t = 0.001.

    Here g is a logit-normal density whose quantiles at 0.5 % and 99.9 % are stretched to 0 and 1.
    """
    low = expit(mean + LTX2_LOWEST)
    width = expit(mean + LTX2_HIGHEST) - low
    t = expit(-logsnr / 2)
    folded = sum(
        width * logit_normal_density(low + width * time, mean, 1) for time in (t, 0.002 - t)
    )
    return (0.9 * folded + 0.1 / (1 - LTX2_LEAST)) * np.exp(-logsnr / 2)


def ltx2_few_tokens(logsnr: NDArray) -> NDArray:
    """``ltx2`` at 1,024 tokens, where the mean of the logit is 0.95."""
    return ltx2(logsnr, FEW_TOKENS[1])


def ltx2_many_tokens(logsnr: NDArray) -> NDArray:
    """``ltx2`` from 4,096 tokens on, where the mean of the logit is 2.05."""
    return ltx2(logsnr, MANY_TOKENS[1])


def cosmos_video(logsnr: NDArray) -> NDArray:
    """0.95 N(λ; −log 24, 2²) and a uniform 0.05 from σ = 200 to 100,000, times (1 + e^(−λ/2))²."""
    drawn = stats.norm.pdf(logsnr, -np.log(24), 2)
    high = (logsnr >= -2 * np.log(1e5)) & (logsnr <= -2 * np.log(200))
    density = 0.95 * drawn + 0.05 * high / (2 * np.log(500))
    return density * squared_velocity_gain(logsnr)


ENTRIES = (
    flow_uniform(
        shift=RAE_SHIFT,
        name="rae-uniform",
        family="flow",
        year=2025,
        source=RAE_CONFIG,
        note="The shift is the root of the latent's dimension over 4,096. "
        "This config draws uniform time.",
    ),
    flow(
        mean=0.0,
        std=1.0,
        shift=RAE_SHIFT,
        name="rae-logit-normal",
        family="flow",
        year=2025,
        source=RAE_CODE,
        note="The code also takes logit-normal time before the shift. "
        "No config with it was read here.",
    ),
    Objective(
        name="trellis",
        family="flow",
        year=2024,
        source=TRELLIS,
        path=TRELLIS_PATH,
        target=U,
        law=laws.moved(laws.squeezed(stats.norm(-2, 2), 1e-5, 1.0), -2 * np.log1p(-1e-5)),
        stated=trellis_density,
        note="The config was read in copies of it. sigma_min is 1e-5, so λ stays below 23.03.",
    ),
    flow(
        mean=0.0,
        std=1.0,
        shift=1.0,
        name="omnigen",
        family="flow",
        year=2024,
        source=OMNIGEN,
        note="Its t runs from noise to data. It is SD3's law with m = 0 and s = 1.",
    ),
    Objective(
        name="cosyvoice",
        family="flow",
        year=2024,
        source=COSYVOICE,
        path=paths.sigma_min_path(1e-6),
        target=U,
        stated=flow_matching,
        note="The loss draws uniform time: t_scheduler = 'cosine' changes the sampler only. "
        "Matcha-TTS trains in the same way. sigma_min = 1e-6 is its config's, not read here.",
    ),
    flow(
        mean=1.2,
        std=2.0,
        shift=1.0,
        name="stable-audio-log-snr",
        family="flow",
        year=2025,
        source=f"{STABLE_AUDIO} (log_snr)",
        note="Its log-SNR is log((1 − t)/t), half of λ, with mean −1.2 and standard deviation 2. "
        "The code clamps t to [1e-4, 1 − 1e-4], which is left out.",
    ),
    Objective(
        name="stable-audio-log-snr-uniform",
        family="flow",
        year=2025,
        source=f"{STABLE_AUDIO} (log_snr_uniform)",
        path=LINEAR,
        target=U,
        law=stats.uniform(-12, 22),
        stated=squared_velocity_gain,
        note="Its log-SNR is half of λ, and is uniform on [−6, 5].",
    ),
    Objective(
        name="stable-audio-trunc-logit-normal",
        family="flow",
        year=2025,
        source=f"{STABLE_AUDIO} (trunc_logit_normal)",
        path=LINEAR,
        target=U,
        law=AUDIO_LAW,
        stated=truncated_audio,
        note="The share of data is logit-normal above 0.075, and stretched to [0, 1].",
    ),
    flow(
        mean=0.0,
        std=1.0,
        shift=7.0,
        name="musubi-hunyuan-video",
        family="flow",
        year=2025,
        source=f"{MUSUBI} (shift)",
        note="discrete_flow_shift = 7, by its guide for HunyuanVideo, which was not read.",
    ),
    flow(
        mean=0.0,
        std=1.0,
        shift=2.2,
        name="musubi-qwen-image",
        family="flow",
        year=2025,
        source=f"{MUSUBI} (shift)",
        note="discrete_flow_shift = 2.2, the value that users of Qwen-Image set.",
    ),
    flow(
        mean=0.0,
        std=1.0,
        shift=QWEN_SHIFT,
        name="musubi-qwen-shift",
        family="flow",
        year=2025,
        source=f"{MUSUBI} (qwen_shift)",
        note="At 1024² pixels: 4,096 tokens, mu = 0.694.",
    ),
    flow(
        mean=0.0,
        std=1.0,
        shift=KREA_SHIFT,
        name="musubi-krea2-shift",
        family="flow",
        year=2026,
        source=f"{MUSUBI} (krea2_shift)",
        note="At 1024² pixels: 4,096 tokens, mu = 0.906.",
    ),
    flow(
        mean=float(np.log(2)),
        std=1.5,
        shift=1.0,
        name="musubi-ideogram4",
        family="flow",
        year=2026,
        source=f"{MUSUBI} (ideogram4_shift)",
        note="At 1024² pixels. The mean of the logit is half the log of the pixels over 512².",
    ),
    Objective(
        name="musubi-qinglong-flux",
        family="flow",
        year=2025,
        source=f"{MUSUBI} (qinglong_flux)",
        path=LINEAR,
        target=U,
        law=laws.mixture(
            [laws.logit_normal_logsnr(0, 1, FLUX_SHIFT), stats.norm(), CLEAN_LAW], SHARES
        ),
        stated=qinglong_flux,
        note="At 1024² pixels, with logit_mean = 0 and logit_std = 1 for the law of λ itself.",
    ),
    Objective(
        name="musubi-qinglong-qwen",
        family="flow",
        year=2025,
        source=f"{MUSUBI} (qinglong_qwen)",
        path=LINEAR,
        target=U,
        law=laws.mixture(
            [laws.logit_normal_logsnr(0, 1, QWEN_SHIFT), stats.norm(), CLEAN_LAW], SHARES
        ),
        stated=qinglong_qwen,
        note="At 1024² pixels, with logit_mean = 0 and logit_std = 1 for the law of λ itself.",
    ),
    Objective(
        name="ltx2-trainer-1024",
        family="flow",
        year=2026,
        source=LTX2,
        path=LINEAR,
        target=U,
        law=stretched_levels(FEW_TOKENS[1], 1.0, LTX2_LEAST, 0.1).law,
        stated=ltx2_few_tokens,
        note="A sample of 1,024 tokens. 0.1 % of the logit-normal draws become pure noise.",
    ),
    Objective(
        name="ltx2-trainer-4096",
        family="flow",
        year=2026,
        source=LTX2,
        path=LINEAR,
        target=U,
        law=stretched_levels(MANY_TOKENS[1], 1.0, LTX2_LEAST, 0.1).law,
        stated=ltx2_many_tokens,
        note="A sample of 4,096 tokens or more. 0.1 % of the logit-normal draws become pure noise.",
    ),
    flow(
        mean=0.0,
        std=1.0,
        shift=2.0,
        name="musubi-z-image",
        family="flow",
        year=2026,
        source=f"{MUSUBI_GUIDES}/zimage.md (commit 867ab25), shift",
        note="discrete_flow_shift = 2, the start that its guide gives for Z-Image. The guide says "
        "that the best settings are not known.",
    ),
    flow(
        mean=0.0,
        std=1.0,
        shift=1.0,
        name="musubi-ernie-image",
        family="flow",
        year=2026,
        source=f"{MUSUBI_GUIDES}/ernie_image.md (commit 3c4aa62), shift",
        note="discrete_flow_shift = 1, the start that its guide gives for ERNIE-Image: SD3's law "
        "with m = 0 and s = 1.",
    ),
    flow(
        mean=0.0,
        std=1.0,
        shift=6.0,
        name="musubi-mage-flow",
        family="flow",
        year=2026,
        source=MAGE_FLOW,
        note="Shift 6 and no weight are the defaults of the script for Mage-Flow, at every "
        "resolution.",
    ),
    flow(
        mean=0.0,
        std=1.0,
        shift=1.0,
        name="bagel",
        family="flow",
        year=2025,
        source=BAGEL,
        note="timestep_shift = 1 is the default; what the model was trained with was not read. The "
        "draw from N(0, 1) was read in copies of its data loader.",
    ),
    Objective(
        name="cosmos-predict2-video",
        family="flow",
        year=2025,
        source=COSMOS,
        path=LINEAR,
        target=U,
        law=COSMOS_LAW,
        stated=cosmos_video,
        note=(
            "The x error has the weight (1 + σ)²/σ², which is the velocity error. The mixture was "
            "read; that ln σ is standard normal before the factor √24 was not."
        ),
    ),
)
