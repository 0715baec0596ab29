"""The catalogue: published training objectives, each as its paper or code states it.

An entry is (name, family, year, source; path, target; multiplier, density, stated form, note); ``_of`` gives short forms.
Continuous limits are used where a code trains on T steps of a table (``discrete`` paths and ``from_diffusers`` keep the steps).
Where paper and code differ both stand. λ is written l in the stated forms; they hold up to a constant.
"""

from collections.abc import Mapping
from functools import partial
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
VP_LINEAR, SUB_VP, SDE_VE_FULL, LDM = (
    paths.vp_linear(),
    paths.sub_vp(),
    paths.ve(0.01, 50),
    paths.scaled_linear(),
)
SDE_VP, SDE_SUBVP, SDE_VE = (
    restricted(p, 1e-5, 1.0, p.name) for p in (VP_LINEAR, SUB_VP, SDE_VE_FULL)
)
SIT = restricted(LINEAR, 1e-3, 1 - 1e-3, "linear, ends cut")
LN3, LN5, S0, S1 = (
    np.log(3),
    np.log(5),
    np.sqrt(0.00085),
    np.sqrt(0.012),
)  # S: sqrt β at the ends of Stable Diffusion's table
KDIFF_COSINE = densities.truncated(
    stats.hypsecant(2 * np.log(2), 2), -2 * np.log(1e3), 2 * np.log(1e3)
)
within = lambda path, low, high, name=None: restricted(
    path, float(path.time(high)), float(path.time(low)), name
)  # in λ
on_linear = lambda time: densities.push_forward(time, LINEAR)
LAPLACE, ZTSNR = (
    paths.from_density(stats.laplace(0, 0.5), name="Laplace(0, 0.5)"),
    paths.zero_terminal_snr(LDM),
)

# terms of the stated forms
one, sech, fm = np.ones_like, (lambda l: 1 / np.cosh(l)), (lambda l: exp(-l / 2))
depth = lambda l: np.logaddexp(0, -l)  # ∫β on a variance-preserving path
# β as a function of ∫β, in continuous time, of DDPM's linear table and of Stable Diffusion's
beta = lambda depth: np.sqrt(0.1**2 + 2 * 19.9 * depth)
ldm_beta = lambda depth: (S0**3 + 3 * (S1 - S0) * depth / 1000) ** (2 / 3)
rate, ldm_rate = (lambda l: beta(depth(l))), (lambda l: ldm_beta(depth(l)))
cosine_law, vp_law, ldm_law = (
    (lambda l: sech(l / 2)),
    (lambda l: expit(-l) / rate(l)),
    (lambda l: expit(-l) / ldm_rate(l)),
)
u_gain, v_gain = (
    (lambda l: (1 + exp(-l / 2)) ** 2),
    (lambda l: 1 + exp(-l)),
)  # squared, of the linear path's velocity and of v
clip = lambda l: np.minimum(1, 5 * exp(-l))  # min(SNR, 5)/SNR
karras_gain = lambda l: exp(-l) + 0.25
edm_law, edm_stated = (lambda l: norm(l, 2.4, 2.4)), (lambda l: norm(l, 2.4, 2.4) * karras_gain(l))
iddpm_stated = lambda l: (
    np.sqrt(expit(l)) * expit(-l) / np.sqrt(1 - np.cos(np.pi / 2 * 0.008 / 1.008) ** 2 * expit(l))
)
subvp_depth = lambda l: 2 * np.arcsinh(exp(-l / 2) / 2)  # ∫β
subvp_stated = lambda l: np.tanh(subvp_depth(l) / 2) / beta(subvp_depth(l))
icfm_alpha = lambda l: 1.01 / (1 + np.sqrt(np.maximum(1.01 * exp(-l) - 0.01, 0)))
icfm_stated = lambda l: (1 - icfm_alpha(l) + 0.01) / icfm_alpha(l)
sigmoid_noise = lambda l: expit(-3) + expit(-l) * (expit(3) - expit(-3))
sigmoid_stated = lambda l: expit(l) * expit(-l) / (sigmoid_noise(l) * (1 - sigmoid_noise(l)))
split_normal = lambda l: exp(-(((l - 2.4) / np.where(l < 2.4, 3.2, 1.6)) ** 2) / 2)
_soft = lambda l: (
    0.25 * exp(-l) / (exp(-l) + 0.25) ** 2
)  # k-diffusion's soft-Min-SNR on the F error, sigma_data ½


def ztsnr(l):
    """eps weighting of the rescaled table: alpha sigma²/(alpha_0 beta), alpha_0 = alpha (1 − alpha_T) + alpha_T before the rescaling."""
    last, alpha, variance = exp(-1000 * (S1**2 + S1 * S0 + S0**2) / 6), np.sqrt(expit(l)), expit(-l)
    before = -2 * np.log1p(-variance / (1 + alpha) * (1 - last))
    return alpha * variance / (exp(-before / 2) * ldm_beta(before))


def kdiff_cosine_interpolated() -> paths.Path:
    """k-diffusion's ``rand_cosine_interpolated``, image 256, noise 32 to 256, sigma in [1e-3, 1e3]; logsnr in units of sigma_data."""
    low, high = -2 * np.log(1e3 / 0.5), -2 * np.log(1e-3 / 0.5)
    cut = [
        within(paths.shifted(COSINE, 256 / noise), low, high) for noise in (32, 256)
    ]  # the code shifts its cut-offs back
    return paths.Path(
        "cosine-interpolated", VE, paths.shifted(paths.interpolated(*cut), 0.5).schedule
    )


def _kdiff(name, density, weight, stated, note="", path=None):
    source = "crowsonkb/k-diffusion utils.rand_*, layers.Denoiser.loss"
    path = path or paths.from_density(density, VE, name.removeprefix("kdiff-"))
    return Objective(name, "k-diffusion", 2023, source, path, F, weight, density, stated, note)


def _of(kind, target):
    """Entries of one family and target: name, year, source, path, stated form; multiplier, density, note."""
    return lambda name, year, source, path, stated, multiplier=CONSTANT, law=None, note="": (
        Objective(name, kind, year, source, path, target, multiplier, law, stated, note)
    )


SONG = "Song et al. 2021 (arXiv 2011.13456), yang-song/score_sde_pytorch losses.py"
SD3, KG = "Esser et al. 2024 (arXiv 2403.03206)", "Kingma & Gao 2023 (arXiv 2303.00848)"
SALIMANS = "Salimans & Ho 2022 (arXiv 2202.00512), diffusion_distillation dpm.py"
HANG = "Hang et al. 2023 (arXiv 2303.09556), TiankaiHang/Min-SNR-Diffusion-Training"
P2 = "Choi et al. 2022 (arXiv 2204.00227, eq. 8), jychoi118/P2-weighting"
KOHYA = "kohya-ss/sd-scripts custom_train_functions.apply_debiased_estimation"
DIFFUSERS_SD3 = "huggingface/diffusers examples/dreambooth/train_dreambooth_sd3.py, training_utils"
SIT_CODE, FLOW_MATCHING = (
    "willisma/SiT transport/transport.py",
    "facebookresearch/flow_matching path/scheduler",
)
HANG_GU = "Hang & Gu 2024 (arXiv 2407.03297)"
LUCIDRAINS = "lucidrains/denoising-diffusion-pytorch denoising_diffusion_pytorch.py"
CONSTANT, LIKELIHOOD = weightings.constant, weightings.likelihood

_elbo, _eps, _v, _x, _u = (
    _of(*kind) for kind in (("ELBO", EPS), ("eps", EPS), ("v", V), ("x", X), ("flow", U))
)
_score, _reweighted, _edm_x, _flow_x = (
    _of("eps", SCORE),
    _of("reweighted", EPS),
    _of("EDM", X),
    _of("flow", X),
)
_flow, _edm = partial(family.flow, family="flow", year=2024), partial(family.edm, family="EDM")
_mode = partial(
    family.mode,
    family="flow",
    year=2024,
    source=SD3 + ", eq. 20",
    note="tails: w → e^(−λ/2)/(1 + s) at both ends",
)

CATALOGUE: Mapping[str, Objective] = MappingProxyType({o.name: o for o in (
    # the ELBO under several names
    _elbo("elbo", 2021, "Kingma et al. 2021 (arXiv 2107.00630, eq. 17-18)", COSINE, one, LIKELIHOOD(COSINE),
          note="any monotone path gives the same; cosine here"),
    _elbo("vdm", 2021, "google-research/vdm model_vdm.py, configs/cifar10.py", paths.uniform_logsnr(-5, 13.3), one, LIKELIHOOD(paths.uniform_logsnr(-5, 13.3)),
          note="γ = −λ, end points as at initialisation; the code adds prior and reconstruction"),
    _elbo("vdm-discrete", 2021, "google-research/vdm model_vdm.py (T = 1000)",
          paths.from_density(paths.atoms(13.3 - 18.3 * np.arange(1, 1001) / 1000), name="VDM, T = 1000"), one, lambda l: one(l) * 500 * np.expm1(18.3 / 1000),
          note="expm1(Δλ)/Δλ = 1.0092 above the continuous ELBO"),
    _elbo("score-sde-vp-likelihood", 2021, SONG + "; arXiv 2101.09258, eq. 7", SDE_VP, one, LIKELIHOOD(VP_LINEAR),
          note="g² = sigma²·(−dλ/dt) for each of the three SDEs"),
    _elbo("score-sde-ve-likelihood", 2021, SONG + "; arXiv 2101.09258, eq. 7", SDE_VE, one, LIKELIHOOD(SDE_VE_FULL)),
    _elbo("score-sde-subvp-likelihood", 2021, SONG + "; arXiv 2101.09258, eq. 7", SDE_SUBVP, one, LIKELIHOOD(SUB_VP)),
    _elbo("sit-linear-likelihood", 2024, SIT_CODE + " (LIKELIHOOD)", SIT, one, lambda l: 1 / (expit(l / 2) * expit(-l / 2)),
          note="drift_var/sigma² = 1/(alpha sigma)"),
    # eps prediction: w is the density itself
    _eps("iddpm-cosine", 2021, "Nichol & Dhariwal 2021 (arXiv 2102.09672, eq. 17), s = 0", COSINE, cosine_law,
         note="the s = 0 idealisation of Kingma & Gao's table"),
    _eps("iddpm-cosine-as-coded", 2021, "openai/improved-diffusion get_named_beta_schedule('cosine')", paths.cosine(0.008), iddpm_stated,
         note="s = 0.008: 0.74 of sech(λ/2) at λ = 8.6, 0.20 at 12"),
    _eps("ddpm-linear", 2020, "Ho et al. 2020 (arXiv 2006.11239, eq. 14), hojonathanho/diffusion", VP_LINEAR, vp_law),
    _eps("score-sde-vp", 2021, SONG + "; NVlabs/edm VPLoss", SDE_VP, vp_law),
    _eps("score-sde-subvp", 2021, SONG + ", sde_lib.subVPSDE", SDE_SUBVP, subvp_stated),
    _eps("ldm-scaled-linear", 2022, "CompVis/latent-diffusion make_beta_schedule('linear')", LDM, ldm_law,
         note="LDM calls this schedule linear; its sqrt_linear is DDPM's linear"),
    _score("ncsnpp-ve", 2021, SONG + ", sde_lib.VESDE", SDE_VE, one, lambda l: exp(-l), note="score matching with sigma² is the ELBO weighting on its support"),
    _score("ncsn", 2019, "ermongroup/ncsn losses/dsm.py, anneal.yml", paths.ve(0.01, 1), one, lambda l: exp(-l) / 2,
           note="sigma stops at 1: nothing below λ = 0"),
    _score("ncsnv2", 2020, "ermongroup/ncsnv2 losses/dsm.py, cifar10.yml", SDE_VE_FULL, one, lambda l: exp(-l) / 2),
    _score("dsm-unweighted-ve", 2011, "Vincent 2011; ermongroup/ncsn dsm_score_estimation", SDE_VE_FULL, exp,
           note="increasing: all the weight on the finest noise"),
    _eps("sigmoid-schedule-eps", 2022, "Jabri et al. 2022 (arXiv 2212.11972), google-research/pix2seq", paths.sigmoid(), sigmoid_stated),
    _eps("simple-linear-eps", 2023, "Chen 2023 (arXiv 2301.10972), google-research/pix2seq", paths.from_density(stats.logistic(), name="alpha² = 1 - t"),
         lambda l: cosine_law(l) ** 2),
    _eps("input-scaling-cosine-eps", 2023, "Chen 2023 (arXiv 2301.10972), pix2seq b_scale = 0.5",
         paths.Path("cosine, x scaled by 0.5", trigonometric(0.5, 1), paths.shifted(COSINE, 2).schedule), lambda l: sech((l - 2 * np.log(0.5)) / 2),
         note="scaling x by b moves λ by 2 log b"),
    _eps("simple-diffusion-shifted-cosine-eps", 2023, "Hoogeboom et al. 2023 (arXiv 2301.11093); lucidrains simple_diffusion",
         paths.shifted(within(COSINE, -15, 15, "cosine, |logsnr| < 15"), 4), lambda l: sech(l / 2 + np.log(4)),
         note="the range moves with the shift; k-diffusion moves the cut-offs back"),
    _eps("laplace-eps", 2024, HANG_GU, LAPLACE, lambda l: exp(-np.abs(l) / 0.5), note="ComfyUI applies the Laplace quantile to ln sigma: λ-scale 2b"),
    _v("laplace-v", 2024, HANG_GU, LAPLACE, lambda l: exp(-np.abs(l) / 0.5) * v_gain(l)),
    _eps("cauchy-eps", 2024, HANG_GU + ", table not read", paths.from_density(stats.cauchy(0, 0.5), name="Cauchy(0, 0.5)"), lambda l: 1 / (1 + (l / 0.5) ** 2)),
    _eps("cosine-scaled-eps", 2024, HANG_GU + ", table not read", paths.from_density(stats.hypsecant(scale=1), name="cosine scaled, s = 2"), sech),
    # v prediction
    _v("v-cosine", 2022, SALIMANS, COSINE, fm, note="the code clips λ to [-20, 20]"),
    _v("v-linear", 2024, SD3 + ", sec. 5.1 v/linear", VP_LINEAR, lambda l: exp(-l) / rate(l)),
    _v("sd2-v-scaled-linear", 2022, "Stable Diffusion 2; diffusers DDPMScheduler(v_prediction)", LDM, lambda l: exp(-l) / ldm_rate(l)),
    _v("ztsnr-v", 2023, "Lin et al. 2023 (arXiv 2305.08891, algorithm 1)", ZTSNR, lambda l: ztsnr(l) * v_gain(l),
       note="the table keeps its first step; this is its continuous limit"),
    _eps("ztsnr-eps", 2023, "Lin et al. 2023 (arXiv 2305.08891, algorithm 1)", ZTSNR, ztsnr,
         note="at the last step of the table z holds no x: eps is no target there"),
    # x prediction
    _x("x-cosine", 2022, SALIMANS + " ('constant')", COSINE, lambda l: exp(-l) * cosine_law(l)),
    _x("pd-snr", 2022, SALIMANS + " ('snr')", COSINE, cosine_law, weightings.snr),
    _x("pd-truncated-snr", 2022, SALIMANS + " ('snr_trunc'), eq. 9", COSINE, lambda l: cosine_law(l) * np.maximum(1, exp(-l)), weightings.truncated_snr),
    _x("pd-snr-plus-one", 2022, SALIMANS + ", eq. 9; openai/consistency_models", COSINE, fm, weightings.snr_plus_one),
    _x("indi", 2023, "Delbracio & Milanfar 2023 (arXiv 2303.11435); " + KG + ", app. D", LINEAR, lambda l: exp(-l) * sech(l / 4) ** 2,
       note="paper not read here, weighting as in Kingma & Gao"),
    Objective("ddpm-mu-unweighted", "x", 2020, "hojonathanho/diffusion model_mean_type='xprev'", VP_LINEAR, PREVIOUS, stated=rate, note="limit of many steps"),
    _v("lucidrains-v", 2022, LUCIDRAINS + " (pred_v)", COSINE, cosine_law, lambda l: expit(l),
       note="its SNR/(SNR + 1) cancels the v factor: the eps weighting, not Salimans & Ho's v; later versions default to a sigmoid schedule"),
    _x("lucidrains-x0", 2022, LUCIDRAINS + " (pred_x0)", COSINE, cosine_law, weightings.snr, note="the default weight SNR makes it the eps loss"),
    # reweighted
    family.p2(1, 1, "p2-gamma1", family="reweighted", year=2022, source=P2, note="cosine as in Kingma & Gao's table"),
    family.p2(0.5, 1, "p2-gamma0.5", family="reweighted", year=2022, source=P2),
    _reweighted("p2-linear", 2022, P2 + " README", VP_LINEAR, lambda l: expit(-l) ** 2 / rate(l), weightings.p2(1, 1),
                note="the repository's own runs use linear β, not cosine"),
    family.min_snr(5, "min-snr-5-eps", family="reweighted", year=2023, source=HANG),
    Objective("min-snr-5-x", "reweighted", 2023, HANG, COSINE, X, weightings.min_snr(5, "x"), stated=lambda l: cosine_law(l) * clip(l)),
    Objective("min-snr-5-v", "reweighted", 2023, HANG, COSINE, V, weightings.min_snr(5, "v"), stated=lambda l: cosine_law(l) * clip(l),
              note="min(SNR, 5) over SNR + 1, as the paper"),
    _reweighted("min-snr-5-eps-scaled-linear", 2023, "huggingface/diffusers train_text_to_image.py", LDM, lambda l: ldm_law(l) * clip(l), weightings.min_snr(5)),
    Objective("diffusers-sdxl-min-snr-v", "reweighted", 2024, "huggingface/diffusers train_dreambooth_lora_sdxl.py", LDM, V,
              lambda l: np.minimum(1, 5 * exp(-l)) + 1, stated=lambda l: exp(-l) / ldm_rate(l) * (clip(l) + 1),
              note="min(SNR, 5)/SNR + 1 is not Min-SNR for v; train_text_to_image.py divides by SNR + 1"),
    family.soft_min_snr(4, "soft-min-snr-4", family="reweighted", year=2024, source="Crowson et al. 2024 (arXiv 2401.11605)"),
    _reweighted("debiased-cosine", 2023, "Yu et al. 2023 (arXiv 2310.08442); " + KOHYA, COSINE, lambda l: expit(-l), weightings.debiased(),
                note="exactly the sigmoid weighting with bias 0"),
    _reweighted("debiased-scaled-linear", 2023, KOHYA, LDM, lambda l: ldm_law(l) * np.maximum(exp(-l / 2), 1000**-0.5), weightings.debiased(1000)),
    Objective("kohya-debiased-v", "reweighted", 2024, KOHYA + "(v_prediction=True)", LDM, V, lambda l: 1 / (np.minimum(exp(l), 1000) + 1),
              stated=lambda l: exp(-l) / ldm_rate(l) / (np.minimum(exp(l), 1000) + 1), note="1/SNR on eps, while the eps branch is 1/sqrt(SNR)"),
    # sigmoid
    *(family.sigmoid(b, f"sigmoid-bias{b}", family="sigmoid", year=y, source=KG + "; Hoogeboom et al. 2024 (arXiv 2410.19324, eq. 4)")
      for b, y in ((0, 2023), (2, 2023), (-3, 2024))),
    # EDM
    _edm_x("edm-monotonic", 2023, KG + ", sec. 5 (not read; from its description)", paths.edm(),
           lambda l: np.where(l < -3.307777482987498, 0.27102715714696646, edm_stated(l)), weightings.edm_monotonic(),
           note="EDM held at its maximum below the peak"),
    _edm(-1.2, 1.2, 0.5, "edm", year=2022, source="Karras et al. 2022 (arXiv 2206.00364, eq. 8, table 1), NVlabs/edm EDMLoss"),
    _edm(-0.4, 1.0, 0.5, "edm2", year=2024, source="Karras et al. 2024 (arXiv 2312.02696, eq. 14-16), NVlabs/edm2",
         note="learned log-variance frozen at 0; at its optimum w = p/E‖eps error‖², which depends on data and model"),
    _edm(0.0, 0.6, 0.5, "edm-sd3-study", year=2024, source=SD3 + ", sec. 5.1 edm(0.00, 0.60)"),
    _edm_x("consistency-models-karras", 2023, "openai/consistency_models KarrasDenoiser ('karras', lognormal)", paths.edm(), edm_stated, lambda l: exp(l) + 4),
    _edm(-1.2, 1.2, 1.0, "sgm-edm-v", year=2023, source="Stability-AI/generative-models EDMSampling, VWeighting",
         note="what the library offers; CosXL's own training density was not found"),
    _edm_x("sgm-edm-eps", 2023, "Stability-AI/generative-models EDMSampling, EpsWeighting", paths.edm(), edm_law, weightings.snr),
    _edm_x("edm-repo-ve", 2022, "NVlabs/edm training/loss.py VELoss", paths.ve(0.02, 100), one, weightings.snr),
    Objective("trigflow", "EDM", 2024, "Lu & Song 2024 (arXiv 2410.11081); xandergos/sCM-mnist train_diffusion.py",
              paths.from_density(stats.norm(3.46, 2.8), trigonometric(1, 0.5), "TrigFlow(-1.73, 1.4)"),
              targets.Target("v (TrigFlow)", lambda l, p: -trigonometric(1, 0.5).sigma(l) / 0.5, lambda l, p: 0.5 * trigonometric(1, 0.5).alpha(l)),
              lambda l: 4 * one(l), stated=lambda l: norm(l, 3.46, 2.8) * karras_gain(l), note="cos·z − sin·x with noise of std sigma_data = 0.5"),
    # k-diffusion's densities and weights, sigma_data = 0.5
    _kdiff("kdiff-lognormal-karras", densities.logit_normal_logsnr(-1.2, 1.2), CONSTANT, edm_stated),
    _kdiff("kdiff-lognormal-soft-min-snr", densities.logit_normal_logsnr(-1.2, 1.2), _soft, lambda l: norm(l, 2.4, 2.4) * 4 / (4 + exp(l))),
    _kdiff("kdiff-loglogistic-karras", densities.loglogistic_sigma(np.log(0.5), 0.5), CONSTANT, lambda l: fm(l) * sech(l / 2 - np.log(2))),
    _kdiff("kdiff-loguniform-karras", densities.loguniform_sigma(0.01, 80), CONSTANT, karras_gain),
    _kdiff("kdiff-v-diffusion-karras", KDIFF_COSINE, CONSTANT, fm, "a cosine density in units of sigma_data: flow matching's weighting"),
    _kdiff("kdiff-v-diffusion-snr", KDIFF_COSINE, lambda l: 0.25 / (exp(-l) + 0.25), lambda l: sech(l / 2 - np.log(2))),
    _kdiff("kdiff-split-lognormal-karras", densities.split_lognormal_sigma(-1.2, 0.8, 1.6), CONSTANT, lambda l: split_normal(l) * karras_gain(l)),
    _kdiff("kdiff-cosine-interpolated-soft-min-snr", None, _soft, None, "logsnr_min and logsnr_max are swapped in the code, harmlessly",
           kdiff_cosine_interpolated()),
    _edm_x("diffusers-edm-style", 2024, "huggingface/diffusers train_dreambooth_lora_sdxl.py (do_edm_style_training)", paths.karras(),
           lambda l: exp(-15 * l / 14), note="neither EDM's weight nor its density"),
    # flow matching
    family.flow_uniform(1.0, "fm-ot", family="flow", year=2022, source="Liu et al. 2022 (arXiv 2209.03003), Lipman et al. 2022 (arXiv 2210.02747)",
                        note="straight-line paths, uniform t"),
    _u("rectified-flow", 2022, "gnobitab/RectifiedFlow get_rectified_flow_loss_fn (eps = 1e-3)", LINEAR, fm, law=restricted(LINEAR, 0, 1 - 1e-3).schedule,
       note="its t runs from noise to data"),
    _u("fm-ot-sigma-min", 2022, "Lipman et al. 2022 (arXiv 2210.02747, eq. 20-23), torchcfm TargetConditionalFlowMatcher", paths.sigma_min_path(1e-4), fm,
       note="e^(−λ/2) for every sigma_min, up to λ = −2 log sigma_min"),
    _u("torchcfm-icfm", 2023, "Tong et al. 2023, atong01/conditional-flow-matching ConditionalFlowMatcher(sigma=0.1)", paths.icfm(0.1), icfm_stated,
       note="regression on the total noise; λ < 4.605"),
    _u("fm-polynomial2", 2024, FLOW_MATCHING + " PolynomialConvexScheduler(n=2)", paths.power(2), lambda l: expit(-l / 2) / np.sqrt(expit(l / 2))),
    _u("fm-linear-vp", 2024, FLOW_MATCHING + " LinearVPScheduler", paths.linear_vp(), lambda l: np.sqrt(1 + exp(-l))),
    _u("fm-cosine", 2024, FLOW_MATCHING + " CosineScheduler; SiT GVP; stochastic interpolants 'trig'", paths.GVP, fm),
    _u("fm-vp", 2024, FLOW_MATCHING + " VPScheduler; SiT VPCPlan", VP_LINEAR, rate),
    Objective("sit-linear-eps-velocity-weighted", "flow", 2024, SIT_CODE + " (VELOCITY)", SIT, EPS, lambda l: expit(l / 2) ** -2.0, stated=fm),
    Objective("sit-linear-eps", "flow", 2024, SIT_CODE + " (NONE)", SIT, EPS, stated=lambda l: sech(l / 4) ** 2),
    _flow(0.0, 1.0, 1.0, "sd3", source=SD3 + ", eq. 19 rf/lognorm(0, 1); cloneofsimo/minRF"),
    _flow(1.0, 0.6, 1.0, "sd3-ln-1-0.6", source=SD3 + ", eq. 19 rf/lognorm(1, 0.6)"),
    _flow(0.5, 0.6, 1.0, "sd3-ln-0.5-0.6", source=SD3 + ", eq. 19 rf/lognorm(0.5, 0.6)"),
    _flow(-0.5, 1.0, 1.0, "sd3-ln-minus0.5-1", source=SD3 + ", eq. 19 rf/lognorm(-0.5, 1)"),
    _flow(0.0, 1.0, 3.0, "sd3-shift3", source=SD3 + ", eq. 23, shift 3 at 1024²"),
    _flow(0.0, 1.0, float(exp(1.15)), "flux", source="kohya-ss/sd-scripts flux_train_utils; black-forest-labs/flux time_shift, mu = 1.15"),
    _flow(-0.4, 1.0, 1.0, "meanflow", year=2025, source="Geng et al. 2025 (arXiv 2505.13447), r = t part as its text reads",
          note="the adaptive norm_p = 1 weight also divides by the loss"),
    _u("meanflow-as-coded", 2025, "Gsunshine/meanflow sample_tr; py-meanflow time_sampler", LINEAR,
       lambda l: norm(l, 0.8, 2) * stats.norm.sf(l, 0.8, 2) * u_gain(l), law=densities.lower_of_two(densities.logit_normal_logsnr(-0.4, 1)),
       note="r is set to t after the swap, so t is the larger of two draws: mean λ −0.33 instead of 0.8"),
    _flow_x("jit", 2025, "Li & He 2025 (arXiv 2511.13720), JiT denoiser.py (fork read)", LINEAR,
            lambda l: norm(l, -1.6, 1.6) * exp(-l) / np.maximum(expit(-l / 2), 0.05) ** 2, lambda l: 1 / np.maximum(expit(-l / 2), 0.05) ** 2,
            densities.logit_normal_logsnr(0.8, 0.8), note="its t is the data fraction, so P_mean = −0.8 means more noise; v loss clamped above λ = 5.89"),
    _u("sd3-cosmap", 2024, SD3 + ", eq. 21; lucidrains/rectified-flow-pytorch", LINEAR, lambda l: cosine_law(l) * u_gain(l),
       law=on_linear(densities.cosmap()), note="CosMap time on the linear path is the cosine density"),
    *(_mode(scale, name) for scale, name in ((1.29, "sd3-mode-1.29"), (1.75, "sd3-mode-1.75"), (-0.5, "sd3-mode-minus0.5"))),
    family.flow_uniform(3.0, "fm-shift3", family="flow", year=2024, source="diffusers FlowMatchEulerDiscreteScheduler(shift=3); " + SD3 + ", eq. 23"),
    _u("wan-bell", 2025, "modelscope/DiffSynth-Studio flow_match.py (Wan)", LINEAR,
       lambda l: sech(l / 4 + LN5 / 2) ** 2 * u_gain(l) * np.expm1(2 * expit(-l / 2) * expit(l / 2)), weightings.bell, stats.logistic(-2 * LN5, 2),
       note="the multiplier, not w, vanishes at both ends: the noisiest step is dropped"),
    _u("pi0", 2024, "Physical-Intelligence/openpi pi0.py sample_time", LINEAR, lambda l: np.sqrt(expit(-l / 2) - 0.001) * fm(l),
       law=on_linear(stats.beta(1.5, 1, 0.001, 0.999))),
    _u("u-shaped", 2024, "Lee et al. 2024 (arXiv 2405.20320), sangyun884/rfpp t_dist.py", LINEAR,
       lambda l: np.cosh(4 * ((expit(-l / 2) - 1e-5) / (1 - 2e-5) - 0.5)) * fm(l), law=on_linear(densities.stretched(densities.u_shaped(4), 1e-5, 1 - 1e-5)),
       note="used with coupled (x, eps), where the eps identity does not hold literally"),
    _flow_x("diffusers-sd3", 2024, DIFFUSERS_SD3, LINEAR, lambda l: norm(l, -2 * LN3, 2) * exp(-l), law=densities.logit_normal_logsnr(0, 1, 3),
            note="precondition_outputs = 1 is the default: plain x error, sigma² times SD3's"),
    _flow_x("diffusers-sd3-sigma-sqrt", 2024, DIFFUSERS_SD3 + " (sigma_sqrt)", paths.shifted(LINEAR, 3), lambda l: sech(l / 4 + LN3 / 2) ** 2 * u_gain(l),
            weightings.sigma_sqrt, note="the weight is sigma^−2, whatever its name"),
    _flow_x("diffusers-sd3-cosmap", 2024, DIFFUSERS_SD3 + " (cosmap)", paths.shifted(LINEAR, 3),
            lambda l: sech(l / 4 + LN3 / 2) ** 2 * exp(-l) / (1 - 2 * expit(-l / 2) * expit(l / 2)), weightings.cosmap,
            note="a loss weight here, a time density in SD3; equal only for shift 1 without preconditioning"),
    _u("diffusers-sd3-ln0.5", 2024, DIFFUSERS_SD3 + " (logit_mean = 0.5, precondition_outputs = 0)", LINEAR, lambda l: norm(l, 1 - 2 * LN3, 2) * u_gain(l),
       law=densities.logit_normal_logsnr(-0.5, 1, 3), note="u indexes a falling sigma table: logit_mean has the opposite sign to SD3's m"),
    _eps("smalldiffusion", 2024, "yuanchenyang/smalldiffusion ScheduleLogLinear", paths.ve(0.02, 10), one),
    _v("smalldiffusion-v", 2024, "yuanchenyang/smalldiffusion PredV", paths.ve(0.02, 10), v_gain),
)})  # fmt: skip


def objective(name: str) -> Objective:
    """The catalogue's entry of that name; a ValueError lists near names."""
    if not isinstance(name, str) or name not in CATALOGUE:
        raise unknown("objective", name, CATALOGUE, "dv.catalogue")
    return CATALOGUE[name]
