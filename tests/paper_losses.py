"""The papers' own losses, each in its own time and target.

``u`` is uniform on [0, 1] and ``model(alpha, sigma)`` returns the errors of (x, eps) that a model makes.
"""

import numpy as np
from numpy import arctanh, exp, log, maximum, minimum, pi, sinh, sqrt, tan, where
from scipy.interpolate import PchipInterpolator
from scipy.special import expit, ndtr, ndtri


def cos_(t):
    return np.cos(pi * t / 2), np.sin(pi * t / 2)


def vp(t):
    b = 0.1 * t + 0.5 * t**2 * 19.9
    return exp(-b / 2), sqrt(-np.expm1(-b))


def ldm(t):
    start, slope = sqrt(0.00085), sqrt(0.012) - sqrt(0.00085)
    b = 1000 * (start**2 * t + start * slope * t**2 + slope**2 * t**3 / 3)
    return exp(-b / 2), sqrt(-np.expm1(-b))


def ztsnr(t):
    root, first, last = ldm(t)[0], 1.0, ldm(1.0)[0]
    root = (root - last) * first / (first - last)
    return root, sqrt((1 - root) * (1 + root))


def subvp(t):
    return vp(t)[0], vp(t)[1] ** 2


def iddpm(t, s=0.008):
    bar = np.cos((t + s) / (1 + s) * pi / 2) ** 2 / np.cos(s / (1 + s) * pi / 2) ** 2
    return sqrt(bar), sqrt(1 - bar)


def sigmoid_schedule(t):
    start, end = expit(-3.0), expit(3.0)
    gamma = (end - expit(t * 6 - 3)) / (end - start)
    return sqrt(gamma), sqrt(1 - gamma)


def from_logsnr(l):
    return sqrt(expit(l)), sqrt(expit(-l))


def linear(t):
    return 1 - t, t


def ve(low, high):
    return lambda t: (np.ones_like(t), low * (high / low) ** t)


def on_eps(schedule, weight=lambda snr, t: 1.0, start=0.0, end=1.0):
    def loss(u, model):
        t = start + (end - start) * u
        alpha, sigma = schedule(t)
        return weight((alpha / sigma) ** 2, t) * model(alpha, sigma)[1] ** 2

    return loss


def on_x(schedule, weight=lambda snr, t: 1.0):
    def loss(u, model):
        alpha, sigma = schedule(u)
        return weight((alpha / sigma) ** 2, u) * model(alpha, sigma)[0] ** 2

    return loss


def on_v(schedule, weight=lambda snr, t: 1.0):
    def loss(u, model):
        alpha, sigma = schedule(u)
        x, eps = model(alpha, sigma)
        return weight((alpha / sigma) ** 2, u) * (alpha * eps - sigma * x) ** 2

    return loss


def on_score(schedule, weight):
    def loss(u, model):
        alpha, sigma = schedule(u)
        return weight(sigma) * (-model(alpha, sigma)[1] / sigma) ** 2

    return loss


def flow(time, weight=lambda t: 1.0):
    def loss(u, model):
        t = time(u)
        x, eps = model(1 - t, t)
        return weight(t) * (eps - x) ** 2

    return loss


def velocity(schedule, start=0.0):
    """Conditional flow matching: the model predicts d/dt (alpha x + sigma eps); the derivatives by differences."""

    def loss(u, model):
        t = start + (1 - start) * u
        h = 1e-5 * minimum(t, 1 - t)
        before, after = schedule(t - h), schedule(t + h)
        x, eps = model(*schedule(t))
        rate = [(b - a) / (2 * h) for a, b in zip(before, after, strict=True)]
        return (rate[0] * x + rate[1] * eps) ** 2

    return loss


def edm(mean=-1.2, std=1.2, data=0.5, weight=lambda s, d: (s**2 + d**2) / (s * d) ** 2):
    def loss(u, model):
        sigma = exp(mean + std * ndtri(u))
        return weight(sigma, data) * model(1.0, sigma)[0] ** 2

    return loss


def kdiff(sample, weighting, data=0.5):
    """layers.Denoiser.loss: ((model_output - target)² c_weight), target = (x - c_skip z)/c_out."""

    def loss(u, model):
        sigma = sample(u)
        c_out = sigma * data / sqrt(sigma**2 + data**2)
        weight = {
            "karras": 1.0,
            "snr": data**2 / (sigma**2 + data**2),
            "soft-min-snr": (sigma * data) ** 2 / (sigma**2 + data**2) ** 2,
        }[weighting]
        return weight * (model(1.0, sigma)[0] / c_out) ** 2

    return loss


def trigflow(u, model, data=0.5):
    t = np.arctan(exp(-1.73 + 1.4 * ndtri(u)) / data)
    x, eps = model(np.cos(t), data * np.sin(t))  # its noise z has std sigma_d
    return (np.cos(t) * data * eps - np.sin(t) * x) ** 2 / data**2


def icfm(u, model):
    t = (
        1 - u
    )  # torchcfm: data at 1; the part of x1 − x0 that its total noise tells, ((1−t) x0 + sigma e)/std
    std = np.hypot(1 - t, 0.1)
    x, eps = model(t, std)
    return (x - (1 - t) / std * eps) ** 2


def posterior_mean_step(u, model, steps=20_000_000):
    alpha, sigma = vp(u)
    beta = (
        (0.1 + 19.9 * u) / steps
    )  # mu_{t−1} = sqrt(a_{t−1}) b/(1−a_t) x + sqrt(1 − b)(1 − a_{t−1})/(1 − a_t) z, error over 1/T
    return (steps * alpha / sqrt(1 - beta) * beta / sigma**2 * model(alpha, sigma)[0]) ** 2


def jit(u, model):
    t = expit(-0.8 + 0.8 * ndtri(u))  # data fraction
    return (model(t, 1 - t)[0] / maximum(1 - t, 0.05)) ** 2


def sd3_script(time, weight=lambda s: 1.0, preconditioned=True):
    def loss(u, model):
        sigma = time(u)
        sigma = 3 * sigma / (1 + 2 * sigma)
        x, eps = model(1 - sigma, sigma)
        return weight(sigma) * ((-sigma * (eps - x)) ** 2 if preconditioned else (eps - x) ** 2)

    return loss


def logit_normal(mean, std, shift=1.0):
    return lambda u: (t := expit(mean + std * ndtri(u))) * shift / (1 + (shift - 1) * t)


def mode(s):
    return lambda u: 1 - u - s * (np.cos(pi * u / 2) ** 2 - 1 + u)


def elbo(schedule, rate, start=0.0):
    return on_eps(schedule, lambda snr, t: rate(t), start)


def vdm(u):
    return from_logsnr(-(-13.3 + 18.3 * u))


def cosine_interpolated(u, low=1e-3, high=1e3, data=0.5):
    """k-diffusion utils.rand_cosine_interpolated(256, 32, 256)."""

    def shifted(t, noise):
        shift = 2 * log(noise / 256)
        ends = np.array([-2 * log(low / data), -2 * log(high / data)]) - shift
        first, last = np.arctan(exp(-0.5 * ends))
        return -2 * log(tan(first + t * (last - first))) + shift

    l = u * shifted(u, 32) + (1 - u) * shifted(u, 256)
    return exp(-l / 2) * data


def kdiff_v(u, data=0.5, low=1e-3, high=1e3):
    first, last = np.arctan(low / data) * 2 / pi, np.arctan(high / data) * 2 / pi
    return tan((first + u * (last - first)) * pi / 2) * data


def split(u, mean=-1.2, below=0.8, above=1.6):
    """Two half normals: a draw falls below the mode with probability below/(below + above)."""
    share = below / (below + above)
    return exp(
        mean
        + where(
            u < share,
            below * ndtri(minimum(u / share, 1) / 2),
            -above * ndtri(maximum(1 - u, 0) / (1 - share) / 2),
        )
    )


def either(share, first, second):
    """One of two samplers, each with its share of u."""

    def time(u):
        return where(
            u < share, first(minimum(u / share, 1)), second(maximum(u - share, 0) / (1 - share))
        )

    return time


def from_linear_logsnr(l):
    return expit(-l / 2)


def qinglong(shift):
    """0.80 of the draws shifted, 0.075 with a plain law of λ, 0.125 clean."""
    return either(
        0.075,
        lambda u: from_linear_logsnr(ndtri(u)),
        either(
            0.80 / 0.925, logit_normal(0, 1, shift), lambda u: from_linear_logsnr(5.36 + ndtri(u))
        ),
    )


def ltx2(mean):
    """Stretched by two quantiles, reflected below eps; a tenth of the draws uniform.

    The draws beyond the upper quantile, which are cut to 1, hold no data and are left out.
    """
    kept = ndtr(3.0902)

    def stretched(u):
        low, high = expit(mean - 2.5758), expit(mean + 3.0902)
        raw = (expit(mean + ndtri(kept * u)) - low) / (high - low)
        return where(raw >= 1e-3, raw, 2 * 1e-3 - raw)

    return either(0.1 / (0.1 + 0.9 * kept), lambda u: 1e-3 + (1 - 1e-3) * u, stretched)


def truncated_audio(u):
    """The share of data is logit-normal above 0.075, stretched to [0, 1]; then flipped.

    ``truncated_logistic_normal_rescaled`` of stable-audio-tools.
    """
    lower = ndtr(log(0.075 / 0.925))
    return 1 - (expit(ndtri(lower + (1 - lower) * u)) - 0.075) / 0.925


def trellis(u, model):
    t = expit(1 + ndtri(u))
    x, eps = model(1 - t, 1e-5 + (1 - 1e-5) * t)
    return ((1 - 1e-5) * eps - x) ** 2


def cosmos_video(u, model):
    high = lambda u: exp(log(200) + (log(1e5) - log(200)) * (1 - u))
    sigma = either(0.05, high, lambda u: sqrt(24) * exp(-ndtri(u)))(u)
    x, _ = model(1 / (1 + sigma), sigma / (1 + sigma))
    return (1 + sigma) ** 2 / sigma**2 * x**2


def cosmos_policy(u, model):
    high = lambda u: 1.0 + (85.0 - 1.0) * u
    sigma = sqrt(9) * either(0.3, high, lambda u: exp(1.3862943611198906 + 1.2 * ndtri(u)))(u)
    x, _ = model(1 / (1 + sigma), sigma / (1 + sigma))
    return (1 + sigma) ** 2 / sigma**2 * x**2


def wan_part(first, last):
    """DiffSynth's loss on the indices from one share of Wan's falling table to another."""

    def time(u):
        sigma = 1 - (first + (last - first) * u)
        return 5 * sigma / (1 + 4 * sigma)

    return flow(time, lambda t: exp(-2 * (t - 0.5) ** 2) - exp(-0.5))


def hidream(u, model):
    return model(1 - u, 8 * u)[0] ** 2  # the predicted pixels, under louder noise


def bell_table(shift, low=0.0, terminal=0.0):
    """DiffSynth's table of sigmas, with its training weight."""

    def time(u):
        sigma = low + (1 - low) * u
        sigma = shift / (shift + (1 / sigma - 1))
        return 1 - (1 - sigma) * (1 - terminal)

    return flow(time, lambda t: exp(-2 * (t - 0.5) ** 2) - exp(-0.5))


def jit_512(u, model):
    t = expit(-0.8 + 0.8 * ndtri(u))  # data fraction; the noise has twice the size
    return (model(t, 2 * (1 - t))[0] / maximum(1 - t, 0.05)) ** 2


def alphafold(weight):
    def loss(u, model):
        sigma = 16 * exp(-1.2 + 1.5 * ndtri(u))
        return weight(sigma) * model(1.0, sigma)[0] ** 2

    return loss


def simplefold_sum():
    """The quantiles of 0.98 L + 0.02 U, by the averaged probability on a fine grid."""
    share = np.linspace(0, 1, 801)[1::2]  # middles of 400 equal parts
    z = np.linspace(-9, 9, 2401)
    data = expit(0.8 + 1.7 * z)  # a grid of times that is fine at both ends
    with np.errstate(all="ignore"):
        inner = np.clip((data[:, None] - 0.02 * share) / 0.98, 0, 1)
        below = ndtr((log(inner) - np.log1p(-inner) - 0.8) / 1.7).mean(1)
    kept = np.flatnonzero((below > 1e-15) & (below < 1 - 1e-15))
    quantile = PchipInterpolator(ndtri(below[kept]), z[kept])

    def loss(u, model):
        t = expit(0.8 + 1.7 * quantile(np.clip(ndtri(u), -7.9, 7.9)))
        x, eps = model(t, 1 - t)  # without the code's t (1 − 2e-4) + 1e-4
        return (x - eps) ** 2

    return loss


def protein_flow(time):
    """Velocity from the x error, with the time of the share of data."""

    def loss(u, model):
        t = time(u)
        return model(t, 1 - t)[0] ** 2 / ((1 - t) ** 2 + 1e-5)

    return loss


def frameflow(u, model):
    t = u * (1 - 2e-2) + 1e-2
    return (model(t, 1 - t)[0] / (1 - minimum(t, 0.9))) ** 2


def molecules(t):
    """alpha² = (1 − 2 · 1e-5)(1 − t²)² + 1e-5 in the code; without the precision here."""
    return 1 - t**2, t * sqrt(2 - t**2)


def gencast(u, model):
    sigma = (0.02 ** (1 / 7) + u * (88 ** (1 / 7) - 0.02 ** (1 / 7))) ** 7
    c_out = sigma * (sigma**2 + 1) ** -0.5
    return c_out**-2.0 * model(1.0, sigma)[0] ** 2


def scaled_linear(first, last, steps):
    def schedule(t):
        start, slope = sqrt(first), sqrt(last) - sqrt(first)
        b = steps * (start**2 * t + start * slope * t**2 + slope**2 * t**3 / 3)
        return exp(-b / 2), sqrt(-np.expm1(-b))

    return schedule


def cogvideox(t, scale=3.0):
    def shifted(t):
        bar = exp(2 * log(ldm(t)[0]))
        return sqrt(bar / (scale + (1 - scale) * bar))

    last = shifted(1.0)
    root = (shifted(t) - last) / (1 - last)
    return root, sqrt((1 - root) * (1 + root))


def diffusion_lm(t):
    alpha2 = 1 - sqrt(t * (1 - 1e-4) + 1e-4)
    return sqrt(alpha2), sqrt(1 - alpha2)


def equilibrium(u, model):
    c = 4 * minimum(1, (1 - (1 - u)) / (1 - 0.8))
    x, eps = model(1 - u, u)
    return (c * (eps - x)) ** 2


tokens_1024 = lambda first, last, most: exp(first + (last - first) * (4096 - 256) / (most - 256))
snr5 = lambda snr, t: minimum(snr, 5)
LOSSES = {
    "elbo": elbo(cos_, lambda t: 2 * pi / np.sin(pi * t)),
    "vdm": elbo(vdm, lambda t: 18.3),
    "score-sde-vp-likelihood": on_eps(vp, lambda snr, t: (0.1 + 19.9 * t) * (1 + snr), 1e-5),
    "score-sde-ve-likelihood": on_eps(ve(0.01, 50), lambda snr, t: 2 * log(50 / 0.01), 1e-5),
    "score-sde-subvp-likelihood": on_eps(
        subvp,
        lambda snr, t: (
            (0.1 + 19.9 * t) * -np.expm1(-2 * (0.1 * t + 9.95 * t**2)) / subvp(t)[1] ** 2
        ),
        1e-5,
    ),
    "sit-linear-likelihood": on_eps(linear, lambda snr, t: 1 / (t * (1 - t)), 1e-3, 1 - 1e-3),
    "iddpm-cosine": on_eps(cos_),
    "iddpm-cosine-as-coded": on_eps(iddpm),
    "ddpm-linear": on_eps(vp),
    "score-sde-vp": on_eps(vp, start=1e-5),
    "score-sde-subvp": on_eps(subvp, start=1e-5),
    "ldm-scaled-linear": on_eps(ldm),
    "ncsnpp-ve": on_score(lambda u: ve(0.01, 50)(1e-5 + (1 - 1e-5) * u), lambda s: s**2),
    "ncsn": on_score(ve(0.01, 1), lambda s: s**2 / 2),
    "ncsnv2": on_score(ve(0.01, 50), lambda s: s**2 / 2),
    "dsm-unweighted-ve": on_score(ve(0.01, 50), lambda s: 1.0),
    "sigmoid-schedule-eps": on_eps(sigmoid_schedule),
    "simple-linear-eps": on_eps(lambda t: (sqrt(1 - t), sqrt(t))),
    "input-scaling-cosine-eps": on_eps(lambda t: (0.5 * cos_(t)[0], cos_(t)[1])),
    "simple-diffusion-shifted-cosine-eps": on_eps(
        lambda t: from_logsnr(
            -2 * log(tan(np.arctan(exp(-7.5)) + t * (np.arctan(exp(7.5)) - np.arctan(exp(-7.5)))))
            + 2 * log(64 / 256)
        )
    ),
    "laplace-eps": on_eps(
        lambda t: from_logsnr(-0.5 * np.sign(0.5 - t) * log(1 - 2 * abs(0.5 - t)))
    ),
    "laplace-v": on_v(lambda t: from_logsnr(-0.5 * np.sign(0.5 - t) * log(1 - 2 * abs(0.5 - t)))),
    "cauchy-eps": on_eps(lambda t: from_logsnr(np.clip(0.5 * tan(pi / 2 * (1 - 2 * t)), -60, 60))),
    "cosine-scaled-eps": on_eps(lambda t: from_logsnr(-log(tan(pi * t / 2)))),
    "v-cosine": on_v(cos_),
    "v-linear": on_v(vp),
    "sd2-v-scaled-linear": on_v(ldm),
    "ztsnr-v": on_v(ztsnr),
    "ztsnr-eps": on_eps(ztsnr),
    "x-cosine": on_x(cos_),
    "pd-snr": on_x(cos_, lambda snr, t: snr),
    "pd-truncated-snr": on_x(cos_, lambda snr, t: maximum(snr, 1)),
    "pd-snr-plus-one": on_x(cos_, lambda snr, t: snr + 1),
    "indi": on_x(linear),
    "ddpm-mu-unweighted": posterior_mean_step,
    "lucidrains-v": on_v(cos_, lambda snr, t: snr / (snr + 1)),
    "lucidrains-x0": on_x(cos_, lambda snr, t: snr),
    "p2-gamma1": on_eps(cos_, lambda snr, t: 1 / (1 + snr)),
    "p2-gamma0.5": on_eps(cos_, lambda snr, t: (1 + snr) ** -0.5),
    "p2-linear": on_eps(vp, lambda snr, t: 1 / (1 + snr)),
    "min-snr-5-eps": on_eps(cos_, lambda snr, t: minimum(snr, 5) / snr),
    "min-snr-5-x": on_x(cos_, snr5),
    "min-snr-5-v": on_v(cos_, lambda snr, t: minimum(snr, 5) / (snr + 1)),
    "min-snr-5-eps-scaled-linear": on_eps(ldm, lambda snr, t: minimum(snr, 5) / snr),
    "diffusers-sdxl-min-snr-v": on_v(ldm, lambda snr, t: minimum(snr, 5) / snr + 1),
    "soft-min-snr-4": on_x(cos_, lambda snr, t: 1 / (1 / snr + 1 / 4)),
    "debiased-cosine": on_eps(cos_, lambda snr, t: 1 / sqrt(snr)),
    "debiased-scaled-linear": on_eps(ldm, lambda snr, t: 1 / sqrt(minimum(snr, 1000))),
    "kohya-debiased-v": on_v(ldm, lambda snr, t: 1 / (minimum(snr, 1000) + 1)),
    **{
        f"sigmoid-bias{b}": on_x(
            cos_, lambda snr, t, b=b: 2 * pi / np.sin(pi * t) * exp(b) * expit(log(snr) - b)
        )
        for b in (0, 2, -3)
    },
    "edm": edm(),
    "edm2": edm(-0.4, 1.0),
    "edm-sd3-study": edm(0.0, 0.6),
    "sgm-edm-v": edm(data=1.0),
    "sgm-edm-eps": edm(weight=lambda s, d: s**-2.0),
    "consistency-models-karras": edm(weight=lambda s, d: s**-2.0 + d**-2.0),
    "edm-repo-ve": on_x(ve(0.02, 100), lambda snr, t: snr),
    "trigflow": trigflow,
    "kdiff-lognormal-karras": kdiff(lambda u: exp(-1.2 + 1.2 * ndtri(u)), "karras"),
    "kdiff-lognormal-soft-min-snr": kdiff(lambda u: exp(-1.2 + 1.2 * ndtri(u)), "soft-min-snr"),
    "kdiff-loglogistic-karras": kdiff(
        lambda u: exp(log(0.5) + 0.5 * 2 * arctanh(2 * u - 1)), "karras"
    ),
    "kdiff-loguniform-karras": kdiff(lambda u: 0.01 * 8000**u, "karras"),
    "kdiff-v-diffusion-karras": kdiff(kdiff_v, "karras"),
    "kdiff-v-diffusion-snr": kdiff(kdiff_v, "snr"),
    "kdiff-split-lognormal-karras": kdiff(split, "karras"),
    "kdiff-cosine-interpolated-soft-min-snr": kdiff(cosine_interpolated, "soft-min-snr"),
    "diffusers-edm-style": on_x(
        lambda u: (np.ones_like(u), (80 ** (1 / 7) + u * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7)
    ),
    "fm-ot": flow(lambda u: u),
    "rectified-flow": flow(lambda u: 1 - (1e-3 + (1 - 1e-3) * u)),
    "fm-ot-sigma-min": velocity(lambda t: (1 - t, 1e-4 + (1 - 1e-4) * t)),
    "torchcfm-icfm": icfm,
    "fm-polynomial2": velocity(lambda t: ((1 - t) ** 2, 1 - (1 - t) ** 2)),
    "fm-linear-vp": velocity(lambda t: (1 - t, sqrt(1 - (1 - t) ** 2))),
    "fm-cosine": velocity(cos_),
    "fm-vp": velocity(vp),
    "sit-linear-eps": on_eps(linear, start=1e-3, end=1 - 1e-3),
    "sit-linear-eps-velocity-weighted": on_eps(
        linear, lambda snr, t: (1 - t) ** -2.0, 1e-3, 1 - 1e-3
    ),
    "sd3": flow(logit_normal(0, 1)),
    "sd3-ln-1-0.6": flow(logit_normal(1, 0.6)),
    "sd3-ln-0.5-0.6": flow(logit_normal(0.5, 0.6)),
    "sd3-ln-minus0.5-1": flow(logit_normal(-0.5, 1)),
    "sd3-shift3": flow(logit_normal(0, 1, 3)),
    "flux": flow(lambda u: exp(1.15) / (exp(1.15) + (1 / expit(ndtri(u)) - 1))),
    "meanflow": flow(logit_normal(-0.4, 1)),
    "meanflow-as-coded": flow(lambda u: logit_normal(-0.4, 1)(sqrt(u))),
    "ace-step-1.5": flow(lambda u: expit(-0.4 + ndtri(sqrt(u)))),
    "jit": jit,
    "sd3-cosmap": flow(lambda u: 1 - 1 / (tan(pi * u / 2) + 1)),
    "sd3-mode-1.29": flow(mode(1.29)),
    "sd3-mode-1.75": flow(mode(1.75)),
    "sd3-mode-minus0.5": flow(mode(-0.5)),
    "fm-shift3": flow(lambda u: 3 * u / (1 + 2 * u)),
    "wan-bell": flow(lambda u: 5 * u / (1 + 4 * u), lambda t: exp(-2 * (t - 0.5) ** 2) - exp(-0.5)),
    "pi0": flow(lambda u: 0.999 * u ** (1 / 1.5) + 0.001),
    "u-shaped": flow(lambda u: 1e-5 + (1 - 2e-5) * (0.5 + np.arcsinh((2 * u - 1) * sinh(2)) / 4)),
    "diffusers-sd3": sd3_script(logit_normal(0, 1)),
    "diffusers-sd3-sigma-sqrt": sd3_script(lambda u: u, lambda s: s**-2.0),
    "diffusers-sd3-cosmap": sd3_script(lambda u: u, lambda s: 2 / (pi * (1 - 2 * s + 2 * s**2))),
    "diffusers-sd3-ln0.5": sd3_script(logit_normal(-0.5, 1), preconditioned=False),
    "smalldiffusion": on_eps(ve(0.02, 10)),
    "smalldiffusion-v": lambda u, model: (
        lambda s, off: (off[1] / np.hypot(1, s) - s / np.hypot(1, s) * off[0]) ** 2
    )(ve(0.02, 10)(u)[1], model(*ve(0.02, 10)(u))),
    "rae-uniform": flow(lambda u: sqrt(48) * u / (1 + (sqrt(48) - 1) * u)),
    "rae-logit-normal": flow(logit_normal(0, 1, sqrt(196608 / 4096))),
    "trellis": trellis,
    "omnigen": lambda u, model: (lambda t, off: (off(t, 1 - t)[0] - off(t, 1 - t)[1]) ** 2)(
        1 / (1 + exp(-ndtri(u))), model
    ),
    "cosyvoice": velocity(lambda t: (1 - t, 1 - (1 - 1e-6) * (1 - t))),
    "stable-audio-log-snr": flow(lambda u: expit(-(-1.2 + 2 * ndtri(u)))),
    "stable-audio-log-snr-uniform": flow(lambda u: expit(-(-6 + 11 * u))),
    "stable-audio-trunc-logit-normal": flow(truncated_audio),
    "musubi-hunyuan-video": flow(logit_normal(0, 1, 7)),
    "musubi-qwen-image": flow(logit_normal(0, 1, 2.2)),
    "musubi-qwen-shift": flow(logit_normal(0, 1, tokens_1024(0.5, 0.9, 8192))),
    "musubi-krea2-shift": flow(logit_normal(0, 1, tokens_1024(0.5, 1.15, 6400))),
    "musubi-ideogram4": flow(lambda u: expit(0.5 * log(1024**2 / 512**2) + 1.5 * ndtri(u))),
    "musubi-qinglong-flux": flow(qinglong(exp(1.15))),
    "musubi-qinglong-qwen": flow(qinglong(tokens_1024(0.5, 0.9, 8192))),
    "ltx2-trainer-1024": flow(ltx2(0.95)),
    "ltx2-trainer-4096": flow(ltx2(2.05)),
    "musubi-z-image": flow(logit_normal(0, 1, 2)),
    "musubi-ernie-image": flow(lambda u: expit(ndtri(u))),
    "musubi-mage-flow": flow(logit_normal(0, 1, 6)),
    "bagel": flow(lambda u: (lambda t: 1.0 * t / (1 + (1.0 - 1) * t))(expit(ndtri(u)))),
    "cosmos-predict2-video": cosmos_video,
    "diffsynth-flux1": bell_table(3, low=0.003 / 1.002),
    "diffsynth-z-image": bell_table(3),
    "diffsynth-flux2": bell_table(exp(0.8)),
    "diffsynth-qwen-image": bell_table(exp(0.8), terminal=0.02),
    "diffsynth-ltx2": bell_table(exp(2.05), terminal=0.1),
    "diffsynth-boogu": bell_table(exp(1.15)),
    "diffsynth-ideogram4": flow(
        lambda u: 1 - (1 - expit(0.5 * log(4) + 1.5 * ndtri(u))),
        lambda t: exp(-2 * (t - 0.5) ** 2) - exp(-0.5),
    ),
    "diffsynth-wan2.2-t2v-high": wan_part(0, 0.417),
    "diffsynth-wan2.2-t2v-low": wan_part(0.417, 1),
    "diffsynth-wan2.2-i2v-high": wan_part(0, 0.358),
    "diffsynth-wan2.2-i2v-low": wan_part(0.358, 1),
    "jit-512": jit_512,
    "musubi-hidream-o1": hidream,
    "equilibrium-matching": equilibrium,
    "audioldm": on_eps(scaled_linear(0.0015, 0.0195, 1000)),
    "hunyuan-dit": on_v(scaled_linear(0.00085, 0.03, 1000)),
    "cogvideox-2b": on_v(cogvideox),
    "cogvideox-5b": on_v(ztsnr),
    "svd-xtend": edm(0.7, 1.6, weight=lambda s, d: (1 + s**2) / s**2),
    "vibevoice": on_v(iddpm),
    "diffusion-lm": on_x(diffusion_lm),
    "gr00t-n1": flow(lambda u: u ** (1 / 1.5)),
    "gr00t-n1.7": flow(lambda u: 1 - 0.999 * (1 - u ** (1 / 1.5))),
    "smolvla": flow(lambda u: u ** (2 / 3) * 0.999 + 0.001),
    "cosmos-policy": cosmos_policy,
    "rdt": on_x(iddpm),
    "diffusion-policy": on_eps(iddpm),
    "gencast": gencast,
    "corrdiff": edm(0.0, 1.2),
    "boltz": alphafold(lambda s: (s**2 + 16**2) / (16 * s) ** 2),
    "protenix": alphafold(lambda s: (s**2 + 16**2) / (16 * s) ** 2),
    "boltzgen": alphafold(lambda s: (s**2 + 16**2) / (16 * s) ** 2),
    "alphafold3": alphafold(lambda s: (s**2 + 16**2) / (s + 16) ** 2),
    "simplefold": flow(
        either(0.02, lambda u: u, lambda u: expit(-(0.8 + 1.7 * ndtri(u)))),
    ),
    "simplefold-as-coded": simplefold_sum(),
    "proteina": protein_flow(either(0.02, lambda u: u, lambda u: u ** (1 / 1.9))),
    "la-proteina-latents": protein_flow(
        either(0.02, lambda u: u, lambda u: 1 - (1 - u) ** (1 / 1.5))
    ),
    "frameflow-translations": frameflow,
    "e3-diffusion": on_eps(molecules),
    "mattergen-coordinates": on_eps(ve(0.005, 5.0)),
}

# where the share of u of one component of a mixture ends and that of the next begins
JUMPS = {
    "musubi-qinglong-flux": (0.075, 0.875),
    "musubi-qinglong-qwen": (0.075, 0.875),
    "ltx2-trainer-1024": (0.1 / (0.1 + 0.9 * ndtr(3.0902)),),
    "ltx2-trainer-4096": (0.1 / (0.1 + 0.9 * ndtr(3.0902)),),
    "cosmos-predict2-video": (0.05,),
    "cosmos-policy": (0.3,),
    "simplefold": (0.02,),
    "proteina": (0.02,),
    "la-proteina-latents": (0.02,),
}

# λ at which a weighting jumps between the ends of its support
STEPS = {"cosmos-policy": (-2 * log(255), -2 * log(3))}
