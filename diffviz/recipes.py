"""The catalogue: published training objectives, each as its paper or code states it.

An entry is (name, family, year, source; path, target; multiplier, density, stated form, note). Continuous limits are used where a
code trains on T steps of a table (``discrete`` paths and ``from_diffusers`` keep the steps). Where paper and code differ both stand.
λ is written l in the stated forms; they hold up to a constant.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from scipy import stats
from scipy.special import expit

from diffviz import densities, paths, targets, weightings
from diffviz import objectives as family
from diffviz.frames import VE, trigonometric
from diffviz.objectives import Objective, unknown
from diffviz.paths import COSINE, LINEAR, restricted
from diffviz.targets import EPS, PREVIOUS, SCORE, F, U, V, X

exp, norm = np.exp, stats.norm.pdf
VP_LINEAR, LDM = paths.vp_linear(), paths.scaled_linear()
SDE_VP, SDE_SUBVP, SDE_VE = (restricted(p, 1e-5, 1.0, p.name) for p in (VP_LINEAR, paths.sub_vp(), paths.ve(0.01, 50)))
SDE_VE_FULL = paths.ve(0.01, 50)
ZTSNR = paths.zero_terminal_snr(LDM)
SIT = restricted(LINEAR, 1e-3, 1 - 1e-3, "linear, ends cut")
LN3, LN5 = np.log(3), np.log(5)
LAPLACE = paths.from_density(stats.laplace(0, 0.5), name="Laplace(0, 0.5)")


# terms of the stated forms
one = np.ones_like
sech = lambda l: 1 / np.cosh(l)
fm = lambda l: exp(-l / 2)
softplus = lambda l: np.logaddexp(0, l)
rate = lambda l: np.sqrt(0.1**2 + 2 * 19.9 * softplus(-l))  # β(λ) of DDPM's linear table in continuous time
karras_gain = lambda l: exp(-l) + 0.25
split_normal = lambda l: exp(-(((l - 2.4) / np.where(l < 2.4, 3.2, 1.6)) ** 2) / 2)
# k-diffusion's weights on the F error, sigma_data ½
_soft = lambda l: 0.25 * exp(-l) / (exp(-l) + 0.25) ** 2
_snr = lambda l: 0.25 / (exp(-l) + 0.25)


def ldm_rate(l, depth=None):
    """β(λ) of Stable Diffusion's table in continuous time; ``depth`` is ∫β."""
    depth = softplus(-l) if depth is None else depth
    start, rise = np.sqrt(0.00085), np.sqrt(0.012) - np.sqrt(0.00085)
    return (start**3 + 3 * rise * depth / 1000) ** (2 / 3)


def ztsnr(l):
    """eps weighting of the rescaled table: alpha sigma²/(alpha_0 beta), alpha_0 = alpha (1 − alpha_T) + alpha_T before the rescaling."""
    start, end = np.sqrt(0.00085), np.sqrt(0.012)
    last = exp(-1000 * (end**2 + end * start + start**2) / 6)
    alpha, variance = np.sqrt(expit(l)), expit(-l)
    depth = -2 * np.log1p(-variance / (1 + alpha) * (1 - last))
    return alpha * variance / (exp(-depth / 2) * ldm_rate(l, depth))


def icfm_stated(l):
    s = 1.01 / (1 + np.sqrt(np.maximum(1.01 * exp(-l) - 0.01, 0)))
    return (1 - s + 0.01) / s


def iddpm_stated(l):
    top = np.cos(np.pi / 2 * 0.008 / 1.008) ** 2
    return np.sqrt(expit(l)) * expit(-l) / np.sqrt(1 - top * expit(l))


def sigmoid_schedule_stated(l):
    s = expit(-3) + expit(-l) * (expit(3) - expit(-3))
    return expit(l) * expit(-l) / (s * (1 - s))


def subvp_stated(l):
    depth = 2 * np.arcsinh(exp(-l / 2) / 2)
    return np.tanh(depth / 2) / np.sqrt(0.1**2 + 2 * 19.9 * depth)


def kdiff_cosine_interpolated() -> paths.Path:
    """k-diffusion's ``rand_cosine_interpolated``, image 256, noise 32 to 256, sigma in [1e-3, 1e3]; logsnr in units of sigma_data."""
    low, high = -2 * np.log(1e3 / 0.5), -2 * np.log(1e-3 / 0.5)

    def shifted(noise):  # the code shifts its cut-offs back, so that the range stays [low, high]
        path = paths.shifted(COSINE, 256 / noise)
        return restricted(path, float(path.time(high)), float(path.time(low)))

    inner = paths.interpolated(shifted(32), shifted(256))
    return paths.Path("cosine-interpolated", VE, paths.shifted(inner, 0.5).schedule)


def _mode(name, scale):
    return family.mode(
        scale, name, family="flow", year=2024, source=SD3 + ", eq. 20", note="tails: w → e^(−λ/2)/(1 + s) at both ends"
    )


def _flow(name, mean, std, source, year=2024, note="", shift=1.0):
    return family.flow(mean, std, shift, name, family="flow", year=year, source=source, note=note)


def _edm(name, year, source, mean=-1.2, std=1.2, sigma_data=0.5, note=""):
    return family.edm(mean, std, sigma_data, name, family="EDM", year=year, source=source, note=note)


def _kdiff(name, year, density, weight, stated, note="", path=None):
    source = "crowsonkb/k-diffusion utils.rand_*, layers.Denoiser.loss"
    path = path or paths.from_density(density, VE, name.removeprefix("kdiff-"))
    return Objective(name, "k-diffusion", year, source, path, F, weight, density, stated, note)


SONG = "Song et al. 2021 (arXiv 2011.13456), yang-song/score_sde_pytorch losses.py"
SD3 = "Esser et al. 2024 (arXiv 2403.03206)"
KG = "Kingma & Gao 2023 (arXiv 2303.00848)"
SALIMANS = "Salimans & Ho 2022 (arXiv 2202.00512), diffusion_distillation dpm.py"
HANG = "Hang et al. 2023 (arXiv 2303.09556), TiankaiHang/Min-SNR-Diffusion-Training"
P2 = "Choi et al. 2022 (arXiv 2204.00227, eq. 8), jychoi118/P2-weighting"
KOHYA = "kohya-ss/sd-scripts custom_train_functions.apply_debiased_estimation"
DIFFUSERS_SD3 = "huggingface/diffusers examples/dreambooth/train_dreambooth_sd3.py, training_utils"
SIT_CODE = "willisma/SiT transport/transport.py"
FLOW_MATCHING = "facebookresearch/flow_matching path/scheduler"
HANG_GU = "Hang & Gu 2024 (arXiv 2407.03297)"
LUCIDRAINS = "lucidrains/denoising-diffusion-pytorch denoising_diffusion_pytorch.py"
LIKELIHOOD = weightings.likelihood
CONSTANT = weightings.constant

_ENTRIES = (
    # the ELBO under several names
    Objective("elbo", "ELBO", 2021, "Kingma et al. 2021 (arXiv 2107.00630, eq. 17-18)", COSINE, EPS, LIKELIHOOD(COSINE), stated=one,
              note="any monotone path gives the same; cosine here"),
    Objective("vdm", "ELBO", 2021, "google-research/vdm model_vdm.py, configs/cifar10.py", paths.uniform_logsnr(-5, 13.3), EPS,
              LIKELIHOOD(paths.uniform_logsnr(-5, 13.3)), stated=one, note="γ = −λ, end points as at initialisation; the code adds prior and reconstruction"),
    Objective("vdm-discrete", "ELBO", 2021, "google-research/vdm model_vdm.py (T = 1000)", paths.from_density(
                  paths.atoms(13.3 - 18.3 * np.arange(1, 1001) / 1000), name="VDM, T = 1000"), EPS,
              lambda l: one(l) * 500 * np.expm1(18.3 / 1000), stated=one, note="expm1(Δλ)/Δλ = 1.0092 above the continuous ELBO"),
    Objective("score-sde-vp-likelihood", "ELBO", 2021, SONG + "; arXiv 2101.09258, eq. 7", SDE_VP, EPS, LIKELIHOOD(VP_LINEAR), stated=one,
              note="g² = sigma²·(−dλ/dt) for each of the three SDEs"),
    Objective("score-sde-ve-likelihood", "ELBO", 2021, SONG + "; arXiv 2101.09258, eq. 7", SDE_VE, EPS, LIKELIHOOD(SDE_VE_FULL), stated=one),
    Objective("score-sde-subvp-likelihood", "ELBO", 2021, SONG + "; arXiv 2101.09258, eq. 7", SDE_SUBVP, EPS, LIKELIHOOD(paths.sub_vp()), stated=one),
    Objective("sit-linear-likelihood", "ELBO", 2024, SIT_CODE + " (LIKELIHOOD)", SIT, EPS,
              lambda l: 1 / (expit(l / 2) * expit(-l / 2)), stated=one, note="drift_var/sigma² = 1/(alpha sigma)"),
    # eps prediction: w is the density itself
    Objective("iddpm-cosine", "eps", 2021, "Nichol & Dhariwal 2021 (arXiv 2102.09672, eq. 17), s = 0", COSINE, EPS, stated=lambda l: sech(l / 2),
              note="the s = 0 idealisation of Kingma & Gao's table"),
    Objective("iddpm-cosine-as-coded", "eps", 2021, "openai/improved-diffusion get_named_beta_schedule('cosine')", paths.cosine(0.008), EPS,
              stated=iddpm_stated, note="s = 0.008: 0.74 of sech(λ/2) at λ = 8.6, 0.20 at 12"),
    Objective("ddpm-linear", "eps", 2020, "Ho et al. 2020 (arXiv 2006.11239, eq. 14), hojonathanho/diffusion", VP_LINEAR, EPS,
              stated=lambda l: expit(-l) / rate(l)),
    Objective("score-sde-vp", "eps", 2021, SONG + "; NVlabs/edm VPLoss", SDE_VP, EPS, stated=lambda l: expit(-l) / rate(l)),
    Objective("score-sde-subvp", "eps", 2021, SONG + ", sde_lib.subVPSDE", SDE_SUBVP, EPS, stated=subvp_stated),
    Objective("ldm-scaled-linear", "eps", 2022, "CompVis/latent-diffusion make_beta_schedule('linear')", LDM, EPS,
              stated=lambda l: expit(-l) / ldm_rate(l), note="LDM calls this schedule linear; its sqrt_linear is DDPM's linear"),
    Objective("ncsnpp-ve", "eps", 2021, SONG + ", sde_lib.VESDE", SDE_VE, SCORE, lambda l: exp(-l), stated=one,
              note="score matching with sigma² is the ELBO weighting on its support"),
    Objective("ncsn", "eps", 2019, "ermongroup/ncsn losses/dsm.py, anneal.yml", paths.ve(0.01, 1), SCORE, lambda l: exp(-l) / 2, stated=one,
              note="sigma stops at 1: nothing below λ = 0"),
    Objective("ncsnv2", "eps", 2020, "ermongroup/ncsnv2 losses/dsm.py, cifar10.yml", SDE_VE_FULL, SCORE, lambda l: exp(-l) / 2, stated=one),
    Objective("dsm-unweighted-ve", "eps", 2011, "Vincent 2011; ermongroup/ncsn dsm_score_estimation", SDE_VE_FULL, SCORE, stated=exp,
              note="increasing: all the weight on the finest noise"),
    Objective("sigmoid-schedule-eps", "eps", 2022, "Jabri et al. 2022 (arXiv 2212.11972), google-research/pix2seq", paths.sigmoid(), EPS,
              stated=sigmoid_schedule_stated),
    Objective("simple-linear-eps", "eps", 2023, "Chen 2023 (arXiv 2301.10972), google-research/pix2seq",
              paths.from_density(stats.logistic(), name="alpha² = 1 - t"), EPS, stated=lambda l: sech(l / 2) ** 2),
    Objective("input-scaling-cosine-eps", "eps", 2023, "Chen 2023 (arXiv 2301.10972), pix2seq b_scale = 0.5",
              paths.Path("cosine, x scaled by 0.5", trigonometric(0.5, 1), paths.shifted(COSINE, 2).schedule), EPS,
              stated=lambda l: sech((l - 2 * np.log(0.5)) / 2), note="scaling x by b moves λ by 2 log b"),
    Objective("simple-diffusion-shifted-cosine-eps", "eps", 2023, "Hoogeboom et al. 2023 (arXiv 2301.11093); lucidrains simple_diffusion",
              paths.shifted(restricted(COSINE, float(COSINE.time(15)), float(COSINE.time(-15)), "cosine, |logsnr| < 15"), 4), EPS,
              stated=lambda l: sech(l / 2 + np.log(4)), note="the range moves with the shift; k-diffusion moves the cut-offs back"),
    Objective("laplace-eps", "eps", 2024, HANG_GU, LAPLACE, EPS, stated=lambda l: exp(-np.abs(l) / 0.5),
              note="ComfyUI applies the Laplace quantile to ln sigma: λ-scale 2b"),
    Objective("laplace-v", "v", 2024, HANG_GU, LAPLACE, V, stated=lambda l: exp(-np.abs(l) / 0.5) * (1 + exp(-l))),
    Objective("cauchy-eps", "eps", 2024, HANG_GU + ", table not read", paths.from_density(stats.cauchy(0, 0.5), name="Cauchy(0, 0.5)"), EPS,
              stated=lambda l: 1 / (1 + (l / 0.5) ** 2)),
    Objective("cosine-scaled-eps", "eps", 2024, HANG_GU + ", table not read",
              paths.from_density(stats.hypsecant(scale=1), name="cosine scaled, s = 2"), EPS, stated=sech),
    # v prediction
    Objective("v-cosine", "v", 2022, SALIMANS, COSINE, V, stated=fm, note="the code clips λ to [-20, 20]"),
    Objective("v-linear", "v", 2024, SD3 + ", sec. 5.1 v/linear", VP_LINEAR, V, stated=lambda l: exp(-l) / rate(l)),
    Objective("sd2-v-scaled-linear", "v", 2022, "Stable Diffusion 2; diffusers DDPMScheduler(v_prediction)", LDM, V, stated=lambda l: exp(-l) / ldm_rate(l)),
    Objective("ztsnr-v", "v", 2023, "Lin et al. 2023 (arXiv 2305.08891, algorithm 1)", ZTSNR, V, stated=lambda l: ztsnr(l) * (1 + exp(-l)),
              note="the table keeps its first step; this is its continuous limit"),
    Objective("ztsnr-eps", "eps", 2023, "Lin et al. 2023 (arXiv 2305.08891, algorithm 1)", ZTSNR, EPS, stated=ztsnr,
              note="at the last step of the table z holds no x: eps is no target there"),
    # x prediction
    Objective("x-cosine", "x", 2022, SALIMANS + " ('constant')", COSINE, X, stated=lambda l: exp(-l) * sech(l / 2)),
    Objective("pd-snr", "x", 2022, SALIMANS + " ('snr')", COSINE, X, weightings.snr, stated=lambda l: sech(l / 2)),
    Objective("pd-truncated-snr", "x", 2022, SALIMANS + " ('snr_trunc'), eq. 9", COSINE, X, weightings.truncated_snr,
              stated=lambda l: sech(l / 2) * np.maximum(1, exp(-l))),
    Objective("pd-snr-plus-one", "x", 2022, SALIMANS + ", eq. 9; openai/consistency_models", COSINE, X, weightings.snr_plus_one, stated=fm),
    Objective("indi", "x", 2023, "Delbracio & Milanfar 2023 (arXiv 2303.11435); " + KG + ", app. D", LINEAR, X,
              stated=lambda l: exp(-l) * sech(l / 4) ** 2, note="paper not read here, weighting as in Kingma & Gao"),
    Objective("ddpm-mu-unweighted", "x", 2020, "hojonathanho/diffusion model_mean_type='xprev'", VP_LINEAR, PREVIOUS, stated=rate,
              note="limit of many steps"),
    Objective("lucidrains-v", "v", 2022, LUCIDRAINS + " (pred_v)", COSINE, V, lambda l: expit(l), stated=lambda l: sech(l / 2),
              note="its SNR/(SNR + 1) cancels the v factor: the eps weighting, not Salimans & Ho's v; later versions default to a sigmoid schedule"),
    Objective("lucidrains-x0", "x", 2022, LUCIDRAINS + " (pred_x0)", COSINE, X, weightings.snr, stated=lambda l: sech(l / 2),
              note="the default weight SNR makes it the eps loss"),
    # reweighted
    family.p2(1, 1, "p2-gamma1", family="reweighted", year=2022, source=P2, note="cosine as in Kingma & Gao's table"),
    family.p2(0.5, 1, "p2-gamma0.5", family="reweighted", year=2022, source=P2),
    Objective("p2-linear", "reweighted", 2022, P2 + " README", VP_LINEAR, EPS, weightings.p2(1, 1),
              stated=lambda l: expit(-l) ** 2 / rate(l), note="the repository's own runs use linear β, not cosine"),
    family.min_snr(5, "min-snr-5-eps", family="reweighted", year=2023, source=HANG),
    Objective("min-snr-5-x", "reweighted", 2023, HANG, COSINE, X, weightings.min_snr(5, "x"),
              stated=lambda l: sech(l / 2) * np.minimum(1, 5 * exp(-l))),
    Objective("min-snr-5-v", "reweighted", 2023, HANG, COSINE, V, weightings.min_snr(5, "v"),
              stated=lambda l: sech(l / 2) * np.minimum(1, 5 * exp(-l)), note="min(SNR, 5) over SNR + 1, as the paper"),
    Objective("min-snr-5-eps-scaled-linear", "reweighted", 2023, "huggingface/diffusers train_text_to_image.py", LDM, EPS, weightings.min_snr(5),
              stated=lambda l: expit(-l) / ldm_rate(l) * np.minimum(1, 5 * exp(-l))),
    Objective("diffusers-sdxl-min-snr-v", "reweighted", 2024, "huggingface/diffusers train_dreambooth_lora_sdxl.py", LDM, V,
              lambda l: np.minimum(1, 5 * exp(-l)) + 1, stated=lambda l: exp(-l) / ldm_rate(l) * (np.minimum(1, 5 * exp(-l)) + 1),
              note="min(SNR, 5)/SNR + 1 is not Min-SNR for v; train_text_to_image.py divides by SNR + 1"),
    family.soft_min_snr(4, "soft-min-snr-4", family="reweighted", year=2024, source="Crowson et al. 2024 (arXiv 2401.11605)"),
    Objective("debiased-cosine", "reweighted", 2023, "Yu et al. 2023 (arXiv 2310.08442); " + KOHYA, COSINE, EPS, weightings.debiased(),
              stated=lambda l: expit(-l), note="exactly the sigmoid weighting with bias 0"),
    Objective("debiased-scaled-linear", "reweighted", 2023, KOHYA, LDM, EPS, weightings.debiased(1000),
              stated=lambda l: expit(-l) / ldm_rate(l) * np.maximum(exp(-l / 2), 1000**-0.5)),
    Objective("kohya-debiased-v", "reweighted", 2024, KOHYA + "(v_prediction=True)", LDM, V, lambda l: 1 / (np.minimum(exp(l), 1000) + 1),
              stated=lambda l: exp(-l) / ldm_rate(l) / (np.minimum(exp(l), 1000) + 1), note="1/SNR on eps, while the eps branch is 1/sqrt(SNR)"),
    # sigmoid
    *(family.sigmoid(b, f"sigmoid-bias{b}", family="sigmoid", year=y, source=KG + "; Hoogeboom et al. 2024 (arXiv 2410.19324, eq. 4)")
      for b, y in ((0, 2023), (2, 2023), (-3, 2024))),
    # EDM
    Objective("edm-monotonic", "EDM", 2023, KG + ", sec. 5 (not read; from its description)", paths.edm(), X, weightings.edm_monotonic(),
              stated=lambda l: np.where(l < -3.307777482987498, 0.27102715714696646, norm(l, 2.4, 2.4) * karras_gain(l)),
              note="EDM held at its maximum below the peak"),
    _edm("edm", 2022, "Karras et al. 2022 (arXiv 2206.00364, eq. 8, table 1), NVlabs/edm EDMLoss"),
    _edm("edm2", 2024, "Karras et al. 2024 (arXiv 2312.02696, eq. 14-16), NVlabs/edm2", -0.4, 1.0,
         note="learned log-variance frozen at 0; at its optimum w = p/E‖eps error‖², which depends on data and model"),
    _edm("edm-sd3-study", 2024, SD3 + ", sec. 5.1 edm(0.00, 0.60)", 0.0, 0.6),
    Objective("consistency-models-karras", "EDM", 2023, "openai/consistency_models KarrasDenoiser ('karras', lognormal)", paths.edm(), X,
              lambda l: exp(l) + 4, stated=lambda l: norm(l, 2.4, 2.4) * karras_gain(l)),
    _edm("sgm-edm-v", 2023, "Stability-AI/generative-models EDMSampling, VWeighting", -1.2, 1.2, 1.0,
         note="what the library offers; CosXL's own training density was not found"),
    Objective("sgm-edm-eps", "EDM", 2023, "Stability-AI/generative-models EDMSampling, EpsWeighting", paths.edm(), X, weightings.snr,
              stated=lambda l: norm(l, 2.4, 2.4)),
    Objective("edm-repo-ve", "EDM", 2022, "NVlabs/edm training/loss.py VELoss", paths.ve(0.02, 100), X, weightings.snr, stated=one),
    Objective("trigflow", "EDM", 2024, "Lu & Song 2024 (arXiv 2410.11081); xandergos/sCM-mnist train_diffusion.py",
              paths.from_density(stats.norm(3.46, 2.8), trigonometric(1, 0.5), "TrigFlow(-1.73, 1.4)"),
              targets.Target("v (TrigFlow)", lambda l, p: -trigonometric(1, 0.5).sigma(l) / 0.5,
                             lambda l, p: 0.5 * trigonometric(1, 0.5).alpha(l)),
              lambda l: 4 * one(l), stated=lambda l: norm(l, 3.46, 2.8) * karras_gain(l), note="cos·z − sin·x with noise of std sigma_data = 0.5"),
    # k-diffusion's densities and weights, sigma_data = 0.5
    _kdiff("kdiff-lognormal-karras", 2023, densities.lognormal_sigma(-1.2, 1.2), CONSTANT, lambda l: norm(l, 2.4, 2.4) * karras_gain(l)),
    _kdiff("kdiff-lognormal-soft-min-snr", 2023, densities.lognormal_sigma(-1.2, 1.2), _soft, lambda l: norm(l, 2.4, 2.4) * 4 / (4 + exp(l))),
    _kdiff("kdiff-loglogistic-karras", 2023, densities.loglogistic_sigma(np.log(0.5), 0.5), CONSTANT, lambda l: fm(l) * sech(l / 2 - np.log(2))),
    _kdiff("kdiff-loguniform-karras", 2023, densities.loguniform_sigma(0.01, 80), CONSTANT, karras_gain),
    _kdiff("kdiff-v-diffusion-karras", 2023, densities.truncated(stats.hypsecant(2 * np.log(2), 2), -2 * np.log(1e3), 2 * np.log(1e3)),
           CONSTANT, fm, "a cosine density in units of sigma_data: flow matching's weighting"),
    _kdiff("kdiff-v-diffusion-snr", 2023, densities.truncated(stats.hypsecant(2 * np.log(2), 2), -2 * np.log(1e3), 2 * np.log(1e3)),
           _snr, lambda l: sech(l / 2 - np.log(2))),
    _kdiff("kdiff-split-lognormal-karras", 2023, densities.split_lognormal_sigma(-1.2, 0.8, 1.6), CONSTANT,
           lambda l: split_normal(l) * karras_gain(l)),
    _kdiff("kdiff-cosine-interpolated-soft-min-snr", 2023, None, _soft, None,
           "logsnr_min and logsnr_max are swapped in the code, harmlessly", kdiff_cosine_interpolated()),
    Objective("diffusers-edm-style", "EDM", 2024, "huggingface/diffusers train_dreambooth_lora_sdxl.py (do_edm_style_training)", paths.karras(), X,
              stated=lambda l: exp(-15 * l / 14), note="neither EDM's weight nor its density"),
    # flow matching
    family.flow_uniform(1.0, "fm-ot", family="flow", year=2022, source="Liu et al. 2022 (arXiv 2209.03003), Lipman et al. 2022 (arXiv 2210.02747)",
                        note="straight-line paths, uniform t"),
    Objective("rectified-flow", "flow", 2022, "gnobitab/RectifiedFlow get_rectified_flow_loss_fn (eps = 1e-3)",
              LINEAR, U, density=restricted(LINEAR, 0, 1 - 1e-3).schedule, stated=fm, note="its t runs from noise to data"),
    Objective("fm-ot-sigma-min", "flow", 2022, "Lipman et al. 2022 (arXiv 2210.02747, eq. 20-23), torchcfm TargetConditionalFlowMatcher",
              paths.sigma_min_path(1e-4), U, stated=fm, note="e^(−λ/2) for every sigma_min, up to λ = −2 log sigma_min"),
    Objective("torchcfm-icfm", "flow", 2023, "Tong et al. 2023, atong01/conditional-flow-matching ConditionalFlowMatcher(sigma=0.1)",
              paths.icfm(0.1), U, stated=icfm_stated, note="regression on the total noise; λ < 4.605"),
    Objective("fm-polynomial2", "flow", 2024, FLOW_MATCHING + " PolynomialConvexScheduler(n=2)", paths.power(2), U,
              stated=lambda l: expit(-l / 2) / np.sqrt(expit(l / 2))),
    Objective("fm-linear-vp", "flow", 2024, FLOW_MATCHING + " LinearVPScheduler", paths.linear_vp(), U, stated=lambda l: np.sqrt(1 + exp(-l))),
    Objective("fm-cosine", "flow", 2024, FLOW_MATCHING + " CosineScheduler; SiT GVP; stochastic interpolants 'trig'", paths.GVP, U, stated=fm),
    Objective("fm-vp", "flow", 2024, FLOW_MATCHING + " VPScheduler; SiT VPCPlan", VP_LINEAR, U, stated=rate),
    Objective("sit-linear-eps-velocity-weighted", "flow", 2024, SIT_CODE + " (VELOCITY)", SIT, EPS, lambda l: expit(l / 2) ** -2.0, stated=fm),
    Objective("sit-linear-eps", "flow", 2024, SIT_CODE + " (NONE)", SIT, EPS, stated=lambda l: sech(l / 4) ** 2),
    _flow("sd3", 0.0, 1.0, SD3 + ", eq. 19 rf/lognorm(0, 1); cloneofsimo/minRF"),
    _flow("sd3-ln-1-0.6", 1.0, 0.6, SD3 + ", eq. 19 rf/lognorm(1, 0.6)"),
    _flow("sd3-ln-0.5-0.6", 0.5, 0.6, SD3 + ", eq. 19 rf/lognorm(0.5, 0.6)"),
    _flow("sd3-ln-minus0.5-1", -0.5, 1.0, SD3 + ", eq. 19 rf/lognorm(-0.5, 1)"),
    _flow("sd3-shift3", 0.0, 1.0, SD3 + ", eq. 23, shift 3 at 1024²", shift=3.0),
    _flow("flux", 0.0, 1.0, "kohya-ss/sd-scripts flux_train_utils; black-forest-labs/flux time_shift, mu = 1.15", shift=float(exp(1.15))),
    _flow("meanflow", -0.4, 1.0, "Geng et al. 2025 (arXiv 2505.13447), r = t part as its text reads", 2025,
          note="the adaptive norm_p = 1 weight also divides by the loss"),
    Objective("meanflow-as-coded", "flow", 2025, "Gsunshine/meanflow sample_tr; py-meanflow time_sampler", LINEAR, U,
              density=densities.lower_of_two(densities.logit_normal_logsnr(-0.4, 1)),
              stated=lambda l: norm(l, 0.8, 2) * stats.norm.sf(l, 0.8, 2) * (1 + exp(-l / 2)) ** 2,
              note="r is set to t after the swap, so t is the larger of two draws: mean λ −0.33 instead of 0.8"),
    Objective("jit", "flow", 2025, "Li & He 2025 (arXiv 2511.13720), JiT denoiser.py (fork read)", LINEAR, X,
              lambda l: 1 / np.maximum(expit(-l / 2), 0.05) ** 2, density=densities.logit_normal_logsnr(0.8, 0.8),
              stated=lambda l: norm(l, -1.6, 1.6) * exp(-l) / np.maximum(expit(-l / 2), 0.05) ** 2,
              note="its t is the data fraction, so P_mean = −0.8 means more noise; v loss clamped above λ = 5.89"),
    Objective("sd3-cosmap", "flow", 2024, SD3 + ", eq. 21; lucidrains/rectified-flow-pytorch", LINEAR, U,
              density=densities.push_forward(densities.cosmap(), LINEAR), stated=lambda l: sech(l / 2) * (1 + exp(-l / 2)) ** 2,
              note="CosMap time on the linear path is the cosine density"),
    _mode("sd3-mode-1.29", 1.29),
    _mode("sd3-mode-1.75", 1.75),
    _mode("sd3-mode-minus0.5", -0.5),
    family.flow_uniform(3.0, "fm-shift3", family="flow", year=2024, source="diffusers FlowMatchEulerDiscreteScheduler(shift=3); " + SD3 + ", eq. 23"),
    Objective("wan-bell", "flow", 2025, "modelscope/DiffSynth-Studio flow_match.py (Wan)", LINEAR, U, weightings.bell, stats.logistic(-2 * LN5, 2),
              stated=lambda l: sech(l / 4 + LN5 / 2) ** 2 * (1 + exp(-l / 2)) ** 2 * np.expm1(2 * expit(-l / 2) * expit(l / 2)),
              note="the multiplier, not w, vanishes at both ends: the noisiest step is dropped"),
    Objective("pi0", "flow", 2024, "Physical-Intelligence/openpi pi0.py sample_time", LINEAR, U,
              density=densities.push_forward(stats.beta(1.5, 1, 0.001, 0.999), LINEAR), stated=lambda l: np.sqrt(expit(-l / 2) - 0.001) * fm(l)),
    Objective("u-shaped", "flow", 2024, "Lee et al. 2024 (arXiv 2405.20320), sangyun884/rfpp t_dist.py", LINEAR, U,
              density=densities.push_forward(densities.stretched(densities.u_shaped(4), 1e-5, 1 - 1e-5), LINEAR),
              stated=lambda l: np.cosh(4 * ((expit(-l / 2) - 1e-5) / (1 - 2e-5) - 0.5)) * fm(l),
              note="used with coupled (x, eps), where the eps identity does not hold literally"),
    Objective("diffusers-sd3", "flow", 2024, DIFFUSERS_SD3, LINEAR, X, density=densities.logit_normal_logsnr(0, 1, 3),
              stated=lambda l: norm(l, -2 * LN3, 2) * exp(-l), note="precondition_outputs = 1 is the default: plain x error, sigma² times SD3's"),
    Objective("diffusers-sd3-sigma-sqrt", "flow", 2024, DIFFUSERS_SD3 + " (sigma_sqrt)", paths.shifted(LINEAR, 3), X, weightings.sigma_sqrt,
              stated=lambda l: sech(l / 4 + LN3 / 2) ** 2 * (1 + exp(-l / 2)) ** 2, note="the weight is sigma^−2, whatever its name"),
    Objective("diffusers-sd3-cosmap", "flow", 2024, DIFFUSERS_SD3 + " (cosmap)", paths.shifted(LINEAR, 3), X, weightings.cosmap,
              stated=lambda l: sech(l / 4 + LN3 / 2) ** 2 * exp(-l) / (1 - 2 * expit(-l / 2) * expit(l / 2)),
              note="a loss weight here, a time density in SD3; equal only for shift 1 without preconditioning"),
    Objective("diffusers-sd3-ln0.5", "flow", 2024, DIFFUSERS_SD3 + " (logit_mean = 0.5, precondition_outputs = 0)", LINEAR, U,
              density=densities.logit_normal_logsnr(-0.5, 1, 3), stated=lambda l: norm(l, 1 - 2 * LN3, 2) * (1 + exp(-l / 2)) ** 2,
              note="u indexes a falling sigma table: logit_mean has the opposite sign to SD3's m"),
    Objective("smalldiffusion", "eps", 2024, "yuanchenyang/smalldiffusion ScheduleLogLinear", paths.ve(0.02, 10), EPS, stated=one),
    Objective("smalldiffusion-v", "v", 2024, "yuanchenyang/smalldiffusion PredV", paths.ve(0.02, 10), V, stated=lambda l: 1 + exp(-l)),
)  # fmt: skip

CATALOGUE: Mapping[str, Objective] = MappingProxyType({o.name: o for o in _ENTRIES})


def objective(name: str) -> Objective:
    """The catalogue's entry of that name; a ValueError lists near names."""
    if not isinstance(name, str) or name not in CATALOGUE:
        raise unknown("objective", name, CATALOGUE, "dv.catalogue")
    return CATALOGUE[name]
