"""The catalogue of masked objectives, each as its paper or code states it.

An entry states a recipe: its schedule, its factor, and what its sum over masked tokens is divided
by. The weighting follows. Its ``stated`` is the closed form that the literature gives or that
follows from it by hand, and tests hold it against the rule. Where a code trains on T steps, the
entry is the limit of many steps. What differs from token to token within a sequence is no weighting
over λ, and has no entry: schedules for each token, focal factors, and factors by the distance to
visible tokens, as in Dream's finetuning ("cart").
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit

from diffviz.checks import unknown
from diffviz.masked import schedules
from diffviz.masked.objectives import ElboRate, MaskedObjective, inverse_rate, kept_share
from diffviz.masked.schedules import COSINE, LINEAR, SINE, SQUARED_COSINE, squeezed

MDLM = "kuleshov-group/mdlm"
MD4 = "Shi et al. 2024 (arXiv 2406.04329); google-deepmind/md4 models/diffusion/md4.py"
MASKGIT = "Chang et al. 2022 (arXiv 2202.04200)"
YE = "Ye et al. 2024 (arXiv 2410.14157); HKUNLP/diffusion-vs-ar"
DPLM = "Wang et al. 2024 (arXiv 2402.18567); bytedance/dplm models/dplm/dplm.py"
GAT = "Gat et al. 2024 (arXiv 2407.15595); facebookresearch/flow_matching"

EPS = 1e-3  # of MDLM, SEDD and LLaDA
MDLM_LINEAR = squeezed(LINEAR, EPS * (1 - EPS), 1 - EPS)  # t from EPS to 1, and m = (1 − EPS) t
MDLM_COSINE = squeezed(COSINE, 0.0, 1 - EPS)
MDLM_SQUARED_COSINE = squeezed(SQUARED_COSINE, 0.0, 1 - EPS)
MDLM_GEOMETRIC = schedules.geometric(1e-3, 1.0)
MDLM_EXPONENTIAL = schedules.exponential(10.0)
MD4_LINEAR = squeezed(LINEAR, 1e-4, 1 - 1e-4)
MD4_COSINE = squeezed(SINE, 1e-4, 1 - 1e-4)
MD4_SQUARE = squeezed(schedules.power(2), 1e-4, 1 - 1e-4)
LLADA = squeezed(LINEAR, EPS, 1.0)
CUBIC = schedules.kept_power(3)
MAGE_LAW = stats.truncnorm((0.5 - 0.55) / 0.25, (1 - 0.55) / 0.25, loc=0.55, scale=0.25)


# --- closed forms of w(λ) on the cross-entropy summed over masked tokens --------------------------


def elbo(logsnr: NDArray) -> NDArray:
    """sigmoid(λ), the ELBO (Sahoo et al. 2024, with dλ = dalpha/(alpha m))."""
    return expit(logsnr)


def uniform_rate(logsnr: NDArray) -> NDArray:
    """sigmoid(λ) sigmoid(−λ), an unweighted sum under a uniform rate."""
    return expit(logsnr) * expit(-logsnr)


def uniform_rate_kept(logsnr: NDArray) -> NDArray:
    """sigmoid(λ)² sigmoid(−λ), a sum times 1 − m under a uniform rate."""
    return expit(logsnr) ** 2 * expit(-logsnr)


def arccosine_law(logsnr: NDArray) -> NDArray:
    """Rate m alpha/√(1 − m²), an unweighted sum under p(m) = (2/π)/√(1 − m²) (Muse)."""
    mask = expit(-logsnr)
    return mask * np.sqrt(expit(logsnr) / (1 + mask))


def arccosine_mean(logsnr: NDArray) -> NDArray:
    """alpha/√(1 − m²), a mean over masked tokens under the same law."""
    return np.sqrt(expit(logsnr) / (1 + expit(-logsnr)))


def square_mean(logsnr: NDArray) -> NDArray:
    """√alpha, a mean over masked tokens under m = 1 − r²."""
    return np.sqrt(expit(logsnr))


def cubic_mean(logsnr: NDArray) -> NDArray:
    """alpha^(1/3), a mean over masked tokens under m = 1 − r³."""
    return np.cbrt(expit(logsnr))


def square_root_mean(logsnr: NDArray) -> NDArray:
    """alpha², a mean over masked tokens under m = 1 − √r."""
    return expit(logsnr) ** 2


def cubic_law(logsnr: NDArray) -> NDArray:
    """alpha^(1/3) m, an unweighted sum under alpha = (1 − t)³."""
    return np.cbrt(expit(logsnr)) * expit(-logsnr)


def mage_mean(logsnr: NDArray) -> NDArray:
    """Share alpha exp(−(m − 0.55)²/(2 · 0.25²)), a mean over masked tokens under MAGE's law."""
    return expit(logsnr) * np.exp(-(((expit(-logsnr) - 0.55) / 0.25) ** 2) / 2)


# --- entries --------------------------------------------------------------------------------------

ELBOS = (
    MaskedObjective(
        name="elbo",
        family="ELBO",
        year=2024,
        source="Shi et al. 2024 (arXiv 2406.04329)",
        schedule=LINEAR,
        multiplier=ElboRate(LINEAR),
        stated=elbo,
        note="The continuous limit of the bound of Austin et al. 2021 (D3PM, arXiv 2107.03006).",
    ),
    MaskedObjective(
        name="mdlm",
        family="ELBO",
        year=2024,
        source=f"Sahoo et al. 2024 (arXiv 2406.07524); {MDLM} diffusion.py",
        schedule=MDLM_LINEAR,
        multiplier=ElboRate(MDLM_LINEAR),
        average="length",
        stated=elbo,
        note="SUBS only sets logits: visible tokens are copied, and the mask is never predicted. "
        "It changes the network and not the weighting.",
    ),
    MaskedObjective(
        name="mdlm-cosine",
        family="ELBO",
        year=2024,
        source=f"{MDLM} noise_schedule.py, CosineNoise",
        schedule=MDLM_COSINE,
        multiplier=ElboRate(MDLM_COSINE),
        average="length",
        stated=elbo,
        note="alpha = cos(πt/2). MD4's schedule of the same name has alpha = 1 − sin(πt/2).",
    ),
    MaskedObjective(
        name="mdlm-squared-cosine",
        family="ELBO",
        year=2024,
        source=f"{MDLM} noise_schedule.py, CosineSqrNoise",
        schedule=MDLM_SQUARED_COSINE,
        multiplier=ElboRate(MDLM_SQUARED_COSINE),
        average="length",
        stated=elbo,
    ),
    MaskedObjective(
        name="mdlm-geometric",
        family="ELBO",
        year=2024,
        source=f"{MDLM} noise_schedule.py, GeometricNoise(1e-3, 1)",
        schedule=MDLM_GEOMETRIC,
        multiplier=ElboRate(MDLM_GEOMETRIC),
        average="length",
        stated=elbo,
        note="With the default ends of the class at most 63 % of the tokens are masked.",
    ),
    MaskedObjective(
        name="mdlm-exponential",
        family="ELBO",
        year=2024,
        source=f"{MDLM} noise_schedule.py, Linear(0, 10)",
        schedule=MDLM_EXPONENTIAL,
        multiplier=ElboRate(MDLM_EXPONENTIAL),
        average="length",
        stated=elbo,
        note="The code calls it linear, since −log alpha is linear in time.",
    ),
    MaskedObjective(
        name="md4",
        family="ELBO",
        year=2024,
        source=f"{MD4} ('linear')",
        schedule=MD4_LINEAR,
        multiplier=ElboRate(MD4_LINEAR),
        stated=elbo,
    ),
    MaskedObjective(
        name="md4-cosine",
        family="ELBO",
        year=2024,
        source=f"{MD4} ('cosine')",
        schedule=MD4_COSINE,
        multiplier=ElboRate(MD4_COSINE),
        stated=elbo,
        note="It draws the same rates as MaskGIT's cosine, and weights them back to the ELBO.",
    ),
    MaskedObjective(
        name="md4-square",
        family="ELBO",
        year=2024,
        source=f"{MD4} ('poly2')",
        schedule=MD4_SQUARE,
        multiplier=ElboRate(MD4_SQUARE),
        stated=elbo,
    ),
    MaskedObjective(
        name="sedd-absorb",
        family="ELBO",
        year=2023,
        source="Lou et al. 2023 (arXiv 2310.16834); louaaron/Score-Entropy-Discrete-Diffusion "
        "losses.py, LogLinearNoise",
        schedule=MDLM_LINEAR,
        multiplier=ElboRate(MDLM_LINEAR),
        stated=elbo,
        note="The score entropy is this cross-entropy only for absorbing noise and a score of the "
        "form e^(λ) p_hat with Σ p_hat = 1. A free score pays for its scale too.",
    ),
    MaskedObjective(
        name="llada",
        family="ELBO",
        year=2025,
        source="Nie et al. 2025 (arXiv 2502.09992), eq. 3; ML-GSAI/LLaDA GUIDELINES.md",
        schedule=LLADA,
        multiplier=inverse_rate,
        average="length",
        stated=elbo,
        note="1/t, divided by the length. In finetuning only the answer is masked, and the length "
        "is that of the answer.",
    ),
    MaskedObjective(
        name="bd3lm",
        family="ELBO",
        year=2025,
        source="Arriola et al. 2025 (arXiv 2503.09573); kuleshov-group/bd3lms noise_schedule.py",
        schedule=LLADA,
        multiplier=inverse_rate,
        average="length",
        stated=elbo,
        note="A rate for each block, with visible blocks before it. It is the ELBO of the blocks. "
        "Its clipped schedules keep the weighting between two rates, and drop the rest.",
    ),
    MaskedObjective(
        name="diffusion-vs-ar",
        family="ELBO",
        year=2024,
        source=f"{YE} (time_reweighting='original')",
        schedule=LINEAR,
        multiplier=inverse_rate,
        average="batch",
        stated=elbo,
        note="The limit of many steps; the code has 20. Its focal factor on tokens is left out.",
    ),
    MaskedObjective(
        name="dfm-generalized-kl",
        family="ELBO",
        year=2024,
        source=f"{GAT} MixturePathGeneralizedKL, PolynomialConvexScheduler(3)",
        schedule=CUBIC,
        multiplier=ElboRate(CUBIC),
        average="length",
        stated=elbo,
        note="From a masked source. The paper and the repository were not read here in full.",
    ),
)

COUNTED = (
    MaskedObjective(
        name="any-order",
        family="counted",
        year=2021,
        source="Hoogeboom et al. 2021 (arXiv 2110.02037)",
        schedule=LINEAR,
        average="masked",
        masks="up",
        stated=elbo,
        note="The number of masked tokens is uniform, and their mean counts. It is the ELBO at "
        "every length, over the length.",
    ),
    MaskedObjective(
        name="masked-mean",
        family="counted",
        year=2025,
        source="the mean over the masked tokens of each sequence, under a uniform rate",
        schedule=LINEAR,
        average="masked",
        stated=elbo,
        note="A uniform rate and the mean over the masked tokens of each sequence. That is the "
        "ELBO over L + 1 at every length L, although nothing divides by the rate.",
    ),
    MaskedObjective(
        name="mask-predict",
        family="counted",
        year=2019,
        source="Ghazvininejad et al. 2019 (arXiv 1904.09324); facebookresearch/Mask-Predict",
        schedule=LINEAR,
        average="batch",
        masks="up",
        stated=uniform_rate,
        note="The number of masked tokens is uniform, and tokens are averaged over the batch.",
    ),
)

SIMPLE = (
    MaskedObjective(
        name="simple",
        family="simple",
        year=2024,
        source="the ELBO without its factor, under a uniform rate",
        schedule=LINEAR,
        average="length",
        stated=uniform_rate,
    ),
    MaskedObjective(
        name="simple-batch",
        family="simple",
        year=2024,
        source="torch.nn.functional.cross_entropy(..., ignore_index=...) under a uniform rate",
        schedule=LINEAR,
        average="batch",
        stated=uniform_rate,
        note="The default mean is over the masked tokens of the whole batch.",
    ),
    MaskedObjective(
        name="dplm",
        family="simple",
        year=2024,
        source=f"{DPLM} (weighting='constant')",
        schedule=LINEAR,
        average="batch",
        stated=uniform_rate,
        note="The limit of many steps; the code has 500.",
    ),
    MaskedObjective(
        name="dplm-linear",
        family="kept share",
        year=2024,
        source=f"{DPLM} (weighting='linear')",
        schedule=LINEAR,
        multiplier=kept_share,
        average="batch",
        stated=uniform_rate_kept,
        note="The factor is 1 − (t − 1)/T, from Zheng et al. 2023 (arXiv 2302.05737).",
    ),
    MaskedObjective(
        name="diffusion-vs-ar-linear",
        family="kept share",
        year=2024,
        source=f"{YE} (time_reweighting='linear')",
        schedule=LINEAR,
        multiplier=kept_share,
        average="batch",
        stated=uniform_rate_kept,
        note="The limit of many steps; the code has 20. Its focal factor on tokens is left out.",
    ),
    MaskedObjective(
        name="dream-linear",
        family="kept share",
        year=2025,
        source="Ye et al. 2025 (arXiv 2508.15487); DreamLM/Dream fsdp_sft_trainer.py "
        "(time_reweighting='linear')",
        schedule=LLADA,
        multiplier=kept_share,
        average="batch",
        stated=uniform_rate_kept,
        note="Read in copies of the trainer. The factor by the distance to visible tokens (cart) "
        "differs within a sequence, and is left out.",
    ),
    MaskedObjective(
        name="dfm-cross-entropy",
        family="simple",
        year=2024,
        source=f"{GAT} examples/text, loss_function='cross_entropy', PolynomialConvexScheduler(3)",
        schedule=CUBIC,
        average="length",
        stated=cubic_law,
        note="From a masked source, and on masked tokens: visible ones are known. The paper and "
        "the repository were not read here in full.",
    ),
)

IMAGES = (
    MaskedObjective(
        name="maskgit",
        family="MaskGIT",
        year=2022,
        source=f"{MASKGIT}; google-research/maskgit libml/losses.py",
        schedule=SINE,
        average="masked",
        masks="up",
        stated=arccosine_mean,
        note="The code takes the mean over the masked tokens of each image, with labels smoothed "
        "by 0.1.",
    ),
    MaskedObjective(
        name="maskgit-linear",
        family="MaskGIT",
        year=2022,
        source=f"{MASKGIT} ('linear')",
        schedule=LINEAR,
        average="masked",
        masks="up",
        stated=elbo,
        note="The linear schedule makes it the ELBO.",
    ),
    MaskedObjective(
        name="maskgit-square",
        family="MaskGIT",
        year=2022,
        source=f"{MASKGIT} ('square')",
        schedule=schedules.kept_power(2),
        average="masked",
        masks="up",
        stated=square_mean,
    ),
    MaskedObjective(
        name="maskgit-cubic",
        family="MaskGIT",
        year=2022,
        source=f"{MASKGIT} ('cubic')",
        schedule=CUBIC,
        average="masked",
        masks="up",
        stated=cubic_mean,
    ),
    MaskedObjective(
        name="maskgit-square-root",
        family="MaskGIT",
        year=2022,
        source=f"{MASKGIT} ('square root')",
        schedule=schedules.kept_power(0.5),
        average="masked",
        masks="up",
        stated=square_root_mean,
    ),
    MaskedObjective(
        name="muse",
        family="MaskGIT",
        year=2023,
        source="Chang et al. 2023 (arXiv 2301.00704)",
        schedule=SINE,
        average="batch",
        stated=arccosine_law,
        note="The paper gives the law of rates. How its code averages is not public.",
    ),
    MaskedObjective(
        name="amused",
        family="MaskGIT",
        year=2024,
        source="huggingface/diffusers examples/amused/train_amused.py",
        schedule=SINE,
        average="batch",
        masks="nearest",
        stated=arccosine_law,
        note="PyTorch's mean is over the batch. MaskGIT divides by the masked tokens of each "
        "image, so the same schedule has another weighting.",
    ),
    MaskedObjective(
        name="show-o",
        family="MaskGIT",
        year=2024,
        source="showlab/Show-o training/prompting_utils.py, mask_or_random_replace_tokens",
        schedule=SINE,
        average="batch",
        masks="nearest",
        stated=arccosine_law,
        note="Image tokens.",
    ),
    MaskedObjective(
        name="mage",
        family="MaskGIT",
        year=2022,
        source="Li et al. 2022 (arXiv 2211.09117); LTH14/mage models_mage.py",
        schedule=schedules.of_law(MAGE_LAW),
        average="masked",
        masks="up",
        stated=mage_mean,
        note="One rate for the whole batch, so that the mean over the batch is that of each image. "
        "Never below one half.",
    ),
)

ENTRIES: tuple[MaskedObjective, ...] = (*ELBOS, *COUNTED, *SIMPLE, *IMAGES)
CATALOGUE: Mapping[str, MaskedObjective] = MappingProxyType({one.name: one for one in ENTRIES})
masked_catalogue = CATALOGUE  # as ``dv.masked_catalogue``


def masked_objective(name: str) -> MaskedObjective:
    """The entry of the catalogue of masked objectives with this name.

    Args:
        name: Name of the entry, such as "mdlm" or "maskgit".

    Returns:
        The entry.

    Raises:
        ValueError: There is no entry of this name. The message lists names that are near.

    Example:
        >>> print(dv.verdict(dv.masked_objective("mdlm")))
        monotone: a sum of ELBOs of noised data
        >>> dv.compare(dv.masked_objective("llada"), dv.masked_objective("md4-cosine")).same
        True
    """
    if not isinstance(name, str) or name not in CATALOGUE:
        raise unknown("masked objective", name, CATALOGUE, "dv.masked_catalogue")
    return CATALOGUE[name]
