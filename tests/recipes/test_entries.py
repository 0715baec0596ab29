"""Each entry three times: derived by the rule, in closed form, and by the loss of its paper."""

import copy
import pickle
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from cells import in_one_test
from numpy import cosh, exp, log, maximum, minimum, pi, sqrt, where
from paper_losses import JUMPS, LOSSES, STEPS
from scipy import stats
from scipy.special import expit, ndtr

import diffviz as dv
from diffviz.recipes.entries import ENTRIES
from diffviz.theory import analysis
from diffviz.theory.analysis import verdict

ALL = list(dv.catalogue)
WITHOUT_CLOSED_FORM = {
    "kdiff-cosine-interpolated-soft-min-snr",
    "sd3-mode-1.29",
    "sd3-mode-1.75",
    "sd3-mode-minus0.5",
}
# its density falls as a log-normal's does towards a finite end, where a last digit of λ moves it in
# its tenth digit
STEEP = {"trellis"}
ROOT = Path(__file__).parents[2]
GROWING = {  # repositories whose recipes were added over years
    *("huggingface/diffusers", "kohya-ss/sd-scripts", "kohya-ss/musubi-tuner"),
    *("modelscope/DiffSynth-Studio", "NVIDIA/Isaac-GR00T"),
}


def inside(objective, low=-40.0, high=40.0, n=2001):
    """Grid over the support, a hair inside its ends, where anchoring is easy."""
    ends = objective.law.support()
    inset = 0.1 if objective.name in STEEP else 1e-9
    return np.linspace(max(low, ends[0]) + inset, min(high, ends[1]) - inset, n)


def deviation(w, other):
    """Largest relative difference of curves, anchored where the first peaks in the middle."""
    anchor = len(w) // 2
    return np.abs((w / w[anchor]) / (other / other[anchor]) - 1).max()


def test_the_catalogue_has_every_recipe():
    assert len(ALL) == len(ENTRIES) > 150  # no name twice
    assert {o.name for o in dv.catalogue.values() if o.stated is None} == WITHOUT_CLOSED_FORM
    assert all(
        o.source and 2011 <= o.year <= 2026 and name == o.name for name, o in dv.catalogue.items()
    )


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        ("README.md", r"this curve for (\d+) published objectives"),
        ("docs/index.md", r"this curve for (\d+)\s+published objectives"),
        ("docs/start.md", r"one of the (\d+) entries of dv.catalogue"),
        ("CHANGELOG.md", r"- (\d+) published objectives, each as its source states it"),
    ],
)
def test_pages_tell_the_number_of_objectives(page, sentence):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert re.findall(sentence, text) == [str(len(ALL))]


@in_one_test
@pytest.mark.parametrize("name", [name for name in ALL if name not in WITHOUT_CLOSED_FORM])
def test_derived_weighting_is_the_stated_one(name):
    o = dv.objective(name)
    grid = inside(o)
    assert deviation(o.weighting(grid), o.stated(grid)) < 1e-11


@in_one_test
@pytest.mark.parametrize("name", ALL)
def test_every_weighting_is_finite_positive_and_ends_with_its_support(name):
    o = dv.objective(name)
    low, high = o.law.support()
    w = o.weighting(inside(o))
    assert np.isfinite(w).all() and (w >= 0).all() and (w > 0).mean() > 0.99
    assert (
        o.weighting([max(low - 0.1, -40), min(high + 0.1, 40)])[
            [np.isfinite(low), np.isfinite(high)]
        ]
        == 0
    ).all()
    assert o.weighting(0.5 * (inside(o)[0] + inside(o)[-1])).shape == ()


def repository(entry):
    """The repository that a source begins with, if it does."""
    found = re.match(r"[\w-]+/[\w.-]+", entry.source)
    return found and found[0]


def test_the_year_is_that_of_the_paper_that_is_named():
    """Papers are named by author and year, or by their number on arXiv; some code by its year."""
    named = {}
    for entry in dv.catalogue.values():
        authors = re.findall(r"(?:et al\.|and [A-Z][\w-]+|^[A-Z][\w-]+) (20\d\d)\b", entry.source)
        numbers = re.findall(r"arXiv (\d\d)\d\d\.\d+", entry.source)
        of_code = [] if repository(entry) in GROWING else re.findall(r"\((20\d\d)\b", entry.source)
        if years := {*map(int, authors + of_code), *(2000 + int(number) for number in numbers)}:
            named[entry.name] = entry.year in years
    assert all(named.values()), [name for name, is_right in named.items() if not is_right]
    assert len(named) > 80


def test_entries_of_one_repository_have_one_year_where_it_does_not_grow():
    """The repository of a paper is of one year; those of a paper that is named are tested above."""
    years = defaultdict(set)
    for entry in dv.catalogue.values():
        if repository(entry) and not re.search(r"20\d\d\)|arXiv", entry.source):
            years[repository(entry)].add(entry.year)
    several = {name for name, found in years.items() if len(found) > 1}
    assert several <= GROWING
    assert len(years) > 20


def test_a_scaled_input_keeps_noise_of_unit_size():
    """Chen 2023 with b = ½ on the cosine schedule: the data are scaled, the noise is not."""
    path = dv.objective("input-scaling-cosine-eps").path
    t = np.linspace(0.05, 0.95, 10)
    np.testing.assert_allclose(path.alpha(t), np.cos(pi * t / 2) / 2, rtol=1e-12)
    np.testing.assert_allclose(path.sigma(t), np.sin(pi * t / 2), rtol=1e-12)


def test_functions_of_the_entries_pickle_and_copy():
    functions = [
        function
        for o in dv.catalogue.values()
        for function in (o.stated, o.multiplier, o.target.a, o.target.b)
        if getattr(function, "__module__", "").startswith("diffviz.recipes")
    ]
    assert len(functions) > 90
    for function in functions:
        copies = pickle.loads(pickle.dumps(function)), copy.deepcopy(function)
        assert all(one == function for one in copies)  # the same, or with the same parameters


# closed forms once more, from the papers and the table of Kingma and Gao, not from the entries
def sech(l):
    return 1 / cosh(l)


def softplus(l):
    return np.logaddexp(0, l)


def normal(l, mean, std):
    return exp(-(((l - mean) / std) ** 2) / 2)


def beta_linear(l):
    return sqrt(0.1**2 + 2 * 19.9 * softplus(-l))


def beta_ldm(l, s0=0.0291547594742265, d=0.08038975202680673):
    return (s0**3 + 3 * d * softplus(-l) / 1000) ** (2 / 3)


FLOW = lambda l: (1 + exp(-l / 2)) ** 2
EDM = lambda l, sd=0.5: exp(-l) + sd**2
CLOSED = {
    **dict.fromkeys(
        [
            "elbo",
            "vdm",
            "vdm-discrete",
            "score-sde-vp-likelihood",
            "score-sde-subvp-likelihood",
            "ncsnpp-ve",
            "edm-repo-ve",
        ],
        np.ones_like,
    ),
    **dict.fromkeys(
        [
            "fm-ot",
            "v-cosine",
            "pd-snr-plus-one",
            "fm-cosine",
            "rectified-flow",
            "fm-ot-sigma-min",
            "kdiff-v-diffusion-karras",
        ],
        lambda l: exp(-l / 2),
    ),
    **dict.fromkeys(
        ["iddpm-cosine", "pd-snr", "lucidrains-v", "lucidrains-x0"], lambda l: sech(l / 2)
    ),
    **dict.fromkeys(
        ["min-snr-5-eps", "min-snr-5-x", "min-snr-5-v"],
        lambda l: sech(l / 2) * minimum(1, 5 * exp(-l)),
    ),
    "iddpm-cosine-as-coded": lambda l: (
        expit(l) * expit(-l) / sqrt(expit(l) * (1 - np.cos(0.004 / 1.008 * pi) ** 2 * expit(l)))
    ),
    "ddpm-linear": lambda l: expit(-l) / beta_linear(l),
    "v-linear": lambda l: exp(-l) / beta_linear(l),
    "fm-vp": beta_linear,
    "ldm-scaled-linear": lambda l: expit(-l) / beta_ldm(l),
    "sd2-v-scaled-linear": lambda l: exp(-l) / beta_ldm(l),
    "dsm-unweighted-ve": exp,
    "simple-linear-eps": lambda l: sech(l / 2) ** 2,
    "input-scaling-cosine-eps": lambda l: sech(l / 2 + log(2)),
    "simple-diffusion-shifted-cosine-eps": lambda l: sech((l + 2 * log(4)) / 2),
    "laplace-eps": lambda l: exp(-2 * abs(l)),
    "laplace-v": lambda l: exp(-2 * abs(l)) * (1 + exp(-l)),
    "cauchy-eps": lambda l: 1 / (1 + 4 * l**2),
    "cosine-scaled-eps": sech,
    "x-cosine": lambda l: exp(-l) * sech(l / 2),
    "pd-truncated-snr": lambda l: sech(l / 2) * maximum(1, exp(-l)),
    "indi": lambda l: exp(-l) * sech(l / 4) ** 2,
    "ddpm-mu-unweighted": beta_linear,
    "p2-gamma1": lambda l: sech(l / 2) / (1 + exp(l)),
    "p2-gamma0.5": lambda l: sech(l / 2) / sqrt(1 + exp(l)),
    "p2-linear": lambda l: expit(-l) ** 2 / beta_linear(l),
    "min-snr-5-eps-scaled-linear": lambda l: expit(-l) / beta_ldm(l) * minimum(1, 5 * exp(-l)),
    "diffusers-sdxl-min-snr-v": lambda l: exp(-l) / beta_ldm(l) * (minimum(exp(l), 5) / exp(l) + 1),
    "soft-min-snr-4": lambda l: sech(l / 2) * 4 / (4 + exp(l)),
    "debiased-cosine": lambda l: sech(l / 2) * exp(-l / 2),
    "sigmoid-bias0": lambda l: expit(-l),
    "sigmoid-bias2": lambda l: expit(2 - l),
    "sigmoid-bias-3": lambda l: expit(-3 - l),
    "edm": lambda l: normal(l, 2.4, 2.4) * EDM(l),
    "edm2": lambda l: normal(l, 0.8, 2) * EDM(l),
    "edm-sd3-study": lambda l: normal(l, 0, 1.2) * EDM(l),
    "consistency-models-karras": lambda l: normal(l, 2.4, 2.4) * EDM(l),
    "sgm-edm-v": lambda l: normal(l, 2.4, 2.4) * EDM(l, 1.0),
    "sgm-edm-eps": lambda l: normal(l, 2.4, 2.4),
    "trigflow": lambda l: normal(l, 3.46, 2.8) * EDM(l),
    "kdiff-lognormal-karras": lambda l: normal(l, 2.4, 2.4) * EDM(l),
    "edm-monotonic": lambda l: where(
        l < -3.307777482987498,
        normal(-3.307777482987498, 2.4, 2.4) * EDM(-3.307777482987498),
        normal(l, 2.4, 2.4) * EDM(l),
    ),
    "kdiff-loguniform-karras": EDM,
    "kdiff-loglogistic-karras": lambda l: (
        sech(l / 4 - log(2) / 2) ** 2 * 0 + stats.logistic.pdf(l, 2 * log(2), 1) * EDM(l)
    ),
    "diffusers-edm-style": lambda l: exp(-l) * exp(-l / 14),
    "fm-polynomial2": lambda l: expit(-l / 2) / sqrt(expit(l / 2)),
    "fm-linear-vp": lambda l: sqrt(1 + exp(-l)),
    "sit-linear-eps": lambda l: sech(l / 4) ** 2,
    "sit-linear-eps-velocity-weighted": lambda l: exp(-l / 2),
    "sd3": lambda l: normal(l, 0, 2) * FLOW(l),
    "sd3-ln-1-0.6": lambda l: normal(l, -2, 1.2) * FLOW(l),
    "sd3-ln-0.5-0.6": lambda l: normal(l, -1, 1.2) * FLOW(l),
    "sd3-ln-minus0.5-1": lambda l: normal(l, 1, 2) * FLOW(l),
    "sd3-shift3": lambda l: normal(l, -2 * log(3), 2) * FLOW(l),
    "flux": lambda l: normal(l, -2.3, 2) * FLOW(l),
    "meanflow": lambda l: normal(l, 0.8, 2) * FLOW(l),
    "sd3-cosmap": lambda l: sech(l / 2) * FLOW(l),
    "jit": lambda l: normal(l, -1.6, 1.6) * exp(-l) / maximum(expit(-l / 2), 0.05) ** 2,
    "diffusers-sd3": lambda l: normal(l, -2 * log(3), 2) * exp(-l),
    "diffusers-sd3-ln0.5": lambda l: normal(l, 1 - 2 * log(3), 2) * FLOW(l),
    "smalldiffusion-v": lambda l: 1 + exp(-l),
    "rae-uniform": lambda l: sech(l / 4 + log(48) / 4) ** 2 * FLOW(l),
    "rae-logit-normal": lambda l: normal(l, -log(48), 2) * FLOW(l),
    "omnigen": lambda l: normal(l, 0, 2) * FLOW(l),
    "cosyvoice": lambda l: exp(-l / 2),
    "stable-audio-log-snr": lambda l: normal(l, -2.4, 4) * FLOW(l),
    "stable-audio-log-snr-uniform": FLOW,
    "musubi-hunyuan-video": lambda l: normal(l, -2 * log(7), 2) * FLOW(l),
    "musubi-qwen-image": lambda l: normal(l, -2 * log(2.2), 2) * FLOW(l),
    "musubi-qwen-shift": lambda l: normal(l, -1.3870967741935485, 2) * FLOW(l),
    "musubi-krea2-shift": lambda l: normal(l, -1.8125, 2) * FLOW(l),
    "musubi-ideogram4": lambda l: normal(l, -log(4), 3) * FLOW(l),
    "musubi-qinglong-flux": lambda l: (
        (0.4 * normal(l, -2.3, 2) + 0.075 * normal(l, 0, 1) + 0.125 * normal(l, 5.36, 1)) * FLOW(l)
    ),
    "cosmos-predict2-video": lambda l: (
        (
            0.95 / sqrt(8 * pi) * normal(l, -log(24), 2)
            + 0.05 / log(250000) * ((l > -log(1e10)) & (l < -log(40000)))
        )
        * FLOW(l)
    ),
    "diffsynth-z-image": lambda l: (
        sech(l / 4 + log(3) / 2) ** 2 * FLOW(l) * (exp(sech(l / 4) ** 2 / 2) - 1)
    ),
    "diffsynth-flux2": lambda l: sech(l / 4 + 0.4) ** 2 * FLOW(l) * (exp(sech(l / 4) ** 2 / 2) - 1),
    **{
        f"diffsynth-{name}": lambda l, mu=mu: (
            sech(l / 4 + mu / 2) ** 2 * FLOW(l) * (exp(sech(l / 4) ** 2 / 2) - 1)
        )
        for name, mu in {
            "boogu": 1.15,
            **dict.fromkeys(
                ["wan2.2-t2v-high", "wan2.2-t2v-low", "wan2.2-i2v-high", "wan2.2-i2v-low"], log(5)
            ),
        }.items()
    },
    "diffsynth-ideogram4": lambda l: (
        normal(l, -log(4), 3) * FLOW(l) * (exp(sech(l / 4) ** 2 / 2) - 1)
    ),
    "musubi-z-image": lambda l: normal(l, -log(4), 2) * FLOW(l),
    "musubi-ernie-image": lambda l: normal(l, 0, 2) * FLOW(l),
    "musubi-mage-flow": lambda l: normal(l, -log(36), 2) * FLOW(l),
    "bagel": lambda l: normal(l, 0, 2) * FLOW(l),
    "ace-step-1.5": lambda l: normal(l, 0.8, 2) * ndtr((0.8 - l) / 2) * FLOW(l),
    "musubi-hidream-o1": lambda l: exp(-l) * sech(l / 4 + log(8) / 2) ** 2,
    "smolvla": lambda l: sqrt(expit(-l / 2) - 0.001) * exp(-l / 2),
    "cosmos-policy": lambda l: (
        (
            0.7 / (2.4 * sqrt(2 * pi)) * normal(l, -log(144), 2.4)
            + 0.3 * exp(-l / 2) / 504 * ((l > -2 * log(255)) & (l < -2 * log(3)))
        )
        * FLOW(l)
    ),
    "equilibrium-matching": lambda l: exp(-l / 2) * minimum(1, 5 / (1 + exp(l / 2))) ** 2,
    "jit-512": lambda l: (
        normal(l, -2.98629436111989, 1.6) * exp(-l) / maximum(1 / (1 + 2 * exp(l / 2)), 0.05) ** 2
    ),
    "svd-xtend": lambda l: normal(l, -1.4, 3.2) * EDM(l, 1.0),
    "gr00t-n1": lambda l: exp(-l / 2) * (1 + exp(l / 2)) ** -0.5,
    "gr00t-n1.7": lambda l: sqrt(expit(-l / 2) - 0.001) * exp(-l / 2),
    "diffusion-lm": lambda l: (1 + exp(l)) ** -3.0,
    "gencast": lambda l: exp(-l / 14) * EDM(l, 1.0),
    "corrdiff": lambda l: normal(l, 0, 2.4) * EDM(l),
    "boltz": lambda l: normal(l, 2.4 - log(256), 3) * (exp(-l) + 256),
    "boltzgen": lambda l: normal(l, 2.4 - log(256), 3) * (exp(-l) + 256),
    "protenix": lambda l: normal(l, 2.4 - log(256), 3) * (exp(-l) + 256),
    "alphafold3": lambda l: (
        normal(l, 2.4 - log(256), 3) * (exp(-l) + 256) / (1 + 16 * exp(l / 2)) ** 2
    ),
    "simplefold": lambda l: (
        (0.98 / 3.4 / sqrt(2 * pi) * normal(l, 1.6, 3.4) + 0.02 / 8 * sech(l / 4) ** 2) * FLOW(l)
    ),
    "frameflow-translations": lambda l: exp(-l / 2) * minimum(1, 10 * expit(-l / 2)) ** 2,
    "mattergen-coordinates": np.ones_like,
}


@in_one_test
@pytest.mark.parametrize("name", CLOSED)
def test_derived_weighting_is_the_papers_closed_form(name):
    o = dv.objective(name)
    grid = inside(o, -20, 20)
    assert deviation(o.weighting(grid), CLOSED[name](grid)) < 1e-10


@pytest.mark.slow
@in_one_test
@pytest.mark.parametrize("centre", [-1.5, 1.0, 3.5])
@pytest.mark.parametrize("name", LOSSES)
def test_the_papers_own_loss_is_half_the_integral_of_w(name, centre):
    def bump(logsnr):  # what an imaginary model's eps error is at each level
        return exp(-((logsnr - centre) ** 2) / 2)

    def model(alpha, sigma):
        eps = sqrt(bump(2 * log(alpha / sigma)))
        return -sigma / alpha * eps, eps

    # u = Phi(z): the ends of the unit interval, or of a component's share, as fine as its middle
    z = np.linspace(-7.5, 7.5, 20_001)
    ends = np.array([0, *JUMPS.get(name, ()), 1])
    with np.errstate(under="ignore"):
        trained = sum(
            width
            * np.trapezoid(LOSSES[name](start + width * ndtr(z), model) * stats.norm.pdf(z), z)
            for start, width in zip(ends[:-1], np.diff(ends), strict=True)
        )
    o = dv.objective(name)
    first, last = o.law.support()
    low = maximum(first, minimum(centre, last) - 9)
    high = minimum(last, maximum(centre, first) + 9)
    edges = (
        np.linspace(np.cbrt(low), np.cbrt(high), 40_001) ** 3
    )  # fine about 0, where mode(1.75) has its spike
    edges = np.sort([*edges, *(step for step in STEPS.get(name, ()) if low < step < high)])
    grid = (edges[1:] + edges[:-1]) / 2
    assert 0.5 * (o.weighting(grid) * bump(grid) * np.diff(edges)).sum() == pytest.approx(
        trained, rel=2e-6
    )


def test_every_recipe_has_its_papers_loss_but_the_two_with_another_route():
    assert set(ALL) - set(LOSSES) == {
        "vdm-discrete",
        "edm-monotonic",
    }  # a T-step sum and a definition by the curve itself


def test_the_discrete_vdm_loss_is_its_sum_over_steps():
    o, steps = dv.objective("vdm-discrete"), np.arange(1, 1001) / 1000
    gamma = lambda t: -13.3 + 18.3 * t
    bump = lambda l: exp(-((l - 1) ** 2) / 18)
    summed = (
        0.5 * 1000 * np.expm1(gamma(steps) - gamma(steps - 1e-3)) * bump(-gamma(steps))
    ).mean()
    low, high = o.law.support()
    grid = np.linspace(low, high, 200_001)
    grid = (grid[1:] + grid[:-1]) / 2
    assert 0.5 * (o.weighting(grid) * bump(grid)).mean() * (high - low) == pytest.approx(
        summed, rel=1e-4
    )


@in_one_test
@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("ddpm-linear", -10.049957, np.inf),
        ("vdm", -5, 13.3),
        ("score-sde-vp", -10.049957, 13.814516),
        ("ncsnpp-ve", -7.824046, 9.210170),
        ("ncsnv2", -7.824046, 9.210340),
        ("ncsn", 0, 9.210340),
        ("score-sde-subvp", -10.049914, 27.629032),
        ("fm-ot-sigma-min", -np.inf, 18.420681),
        ("torchcfm-icfm", -np.inf, 4.605170),
        ("ldm-scaled-linear", -5.343145, np.inf),
        ("sit-linear-eps", -13.813510, 13.813510),
        ("edm-repo-ve", -9.210340, 7.824046),
        ("smalldiffusion", -4.605170, 7.824046),
        ("kdiff-loguniform-karras", -8.764053, 9.210340),
        ("pi0", -np.inf, 13.813510),
        ("ztsnr-v", -np.inf, np.inf),
        ("kdiff-v-diffusion-snr", -13.815511, 13.815511),
        ("kdiff-cosine-interpolated-soft-min-snr", -13.815511, 13.815511),
        ("simple-diffusion-shifted-cosine-eps", -17.772589, 12.227411),
        ("diffusers-edm-style", -8.764053, 12.429216),
        ("rectified-flow", -13.813510, np.inf),
        ("jit", -np.inf, np.inf),
        ("trellis", -np.inf, 23.025851),
        ("cosyvoice", -np.inf, 27.631021),
        ("stable-audio-log-snr-uniform", -12, 10),
        ("ltx2-trainer-4096", -np.inf, 13.813510),
        ("diffsynth-flux1", -np.inf, 9.419060),
        ("diffsynth-qwen-image", -np.inf, 7.783641),
        ("diffsynth-ltx2", -np.inf, 4.394449),
        ("diffsynth-wan2.2-t2v-high", -np.inf, -3.889078),
        ("diffsynth-wan2.2-i2v-low", -4.386986, np.inf),
        ("frameflow-translations", -9.190240, 9.190240),
        ("gencast", -8.954674, 7.824046),
        ("mattergen-coordinates", -3.218876, 10.596635),
    ],
)
def test_supports_are_the_known_ones(name, low, high):
    np.testing.assert_allclose(dv.objective(name).law.support(), (low, high), atol=1e-6)


MONOTONE = [
    "elbo",
    "vdm",
    "score-sde-vp-likelihood",
    "ncsnpp-ve",
    "v-cosine",
    "v-linear",
    "sd2-v-scaled-linear",
    "x-cosine",
    "pd-truncated-snr",
    "pd-snr-plus-one",
    "indi",
    "debiased-cosine",
    "sigmoid-bias0",
    "sigmoid-bias2",
    "sigmoid-bias-3",
    "edm-monotonic",
    "edm-repo-ve",
    "kdiff-loguniform-karras",
    "fm-ot",
    "fm-vp",
    "sd3-cosmap",
    "smalldiffusion",
    "smalldiffusion-v",
    "cosyvoice",
    "rae-uniform",
    "gencast",
    "diffusion-lm",
    "gr00t-n1",
    "proteina",
    "equilibrium-matching",
    "mattergen-coordinates",
    "simplefold",
]
RISING = [
    "dsm-unweighted-ve",
    "iddpm-cosine",
    "ddpm-linear",
    "score-sde-vp",
    "ldm-scaled-linear",
    "simple-linear-eps",
    "laplace-eps",
    "cauchy-eps",
    "pd-snr",
    "lucidrains-v",
    "p2-gamma1",
    "min-snr-5-eps",
    "min-snr-5-x",
    "min-snr-5-v",
    "soft-min-snr-4",
    "edm",
    "edm2",
    "edm-sd3-study",
    "consistency-models-karras",
    "kdiff-lognormal-karras",
    "sit-linear-eps",
    "sd3",
    "sd3-ln-1-0.6",
    "meanflow",
    "boltz",
    "alphafold3",
    "trellis",
    "musubi-qinglong-flux",
    "stable-audio-log-snr",
    "simplefold-as-coded",
]


@in_one_test
@pytest.mark.parametrize("name", MONOTONE + RISING)
def test_monotone_or_not_as_known(name):
    assert verdict(dv.objective(name)).monotone == (name in MONOTONE)


@pytest.mark.parametrize(
    ("name", "peak", "share"),
    [
        ("edm", -3.307777567, 0.0029),
        ("sd3", -3.375787961, 0.0051),
        ("p2-gamma1", -log(3), 0.0407),
        ("edm2", -3.158, None),
        ("ddpm-linear", -0.921886659, 0.0078),
        ("iddpm-cosine", 0, 0.0375),
        ("min-snr-5-eps", 0, 0.0567),
        ("sit-linear-eps", 0, 0.0195),
    ],
)
def test_peaks_and_negative_shares_are_the_known_ones(name, peak, share):
    v = verdict(dv.objective(name))
    assert v.peak == pytest.approx(peak, abs=1e-3 if name == "edm2" else 2e-7)
    assert share is None or v.negative_share == pytest.approx(share, abs=5.1e-5)


def test_identical_weightings_form_the_known_classes():
    classes = {
        frozenset(o.name for o in group)
        for group in dv.equivalent(dv.catalogue.values())
        if len(group) > 1
    }
    assert classes == {
        frozenset(
            [
                "elbo",
                "vdm",
                "vdm-discrete",
                "score-sde-vp-likelihood",
                "score-sde-ve-likelihood",
                "score-sde-subvp-likelihood",
                "sit-linear-likelihood",
                "ncsnpp-ve",
                "ncsn",
                "ncsnv2",
                "edm-repo-ve",
                "smalldiffusion",
                "mattergen-coordinates",
            ]
        ),
        frozenset(
            [
                "v-cosine",
                "pd-snr-plus-one",
                "kdiff-v-diffusion-karras",
                "fm-ot",
                "rectified-flow",
                "fm-ot-sigma-min",
                "fm-cosine",
                "sit-linear-eps-velocity-weighted",
                "cosyvoice",
            ]
        ),
        frozenset(["iddpm-cosine", "pd-snr", "lucidrains-v", "lucidrains-x0"]),
        frozenset(["min-snr-5-eps", "min-snr-5-x", "min-snr-5-v"]),
        frozenset(["edm", "consistency-models-karras", "kdiff-lognormal-karras"]),
        frozenset(["ddpm-linear", "score-sde-vp"]),
        frozenset(["ddpm-mu-unweighted", "fm-vp"]),
        frozenset(["debiased-cosine", "sigmoid-bias0"]),
        frozenset(["fm-shift3", "diffusers-sd3-sigma-sqrt"]),
        frozenset(["iddpm-cosine-as-coded", "diffusion-policy"]),
        frozenset(["ztsnr-v", "cogvideox-5b"]),
        frozenset(["sd3", "omnigen", "musubi-ernie-image", "bagel"]),
        frozenset(["meanflow-as-coded", "ace-step-1.5"]),
        frozenset(
            [
                "wan-bell",
                "diffsynth-wan2.2-t2v-high",
                "diffsynth-wan2.2-t2v-low",
                "diffsynth-wan2.2-i2v-high",
                "diffsynth-wan2.2-i2v-low",
            ]
        ),
        frozenset(["pi0", "gr00t-n1.7", "smolvla"]),
        frozenset(["boltz", "protenix", "boltzgen"]),
        frozenset(["diffsynth-flux1", "diffsynth-z-image"]),  # where both train
    }


def test_boltz_is_edm_in_units_of_its_data_but_for_the_width():
    """λ moved by 2 log 16 is EDM's with P_std = 1.5 and sigma_data = 1; EDM's own is another."""
    boltz = dv.objective("boltz")
    l = np.linspace(-12, 12, 401)
    in_units = dv.families.edm(mean=-1.2, std=1.5, sigma_data=1.0)
    moved = boltz.weighting(l - 2 * log(16))
    assert deviation(moved, in_units.weighting(l)) < 1e-12
    assert deviation(moved, normal(l, 2.4, 3) * (1 + exp(-l))) < 1e-12
    for move in np.linspace(-12, 12, 49):
        assert not dv.compare(
            boltz, lambda at, move=move: dv.objective("edm").weighting(at + move)
        ).same


def test_simplefold_sums_where_its_formula_mixes():
    """The sum has no time beyond 0.98 of noise but by the uniform part: half its weight there."""
    mixed, summed = dv.objective("simplefold").law, dv.objective("simplefold-as-coded").law
    noisy = -2 * log(0.99 / 0.01)
    assert mixed.cdf(noisy) == pytest.approx(
        0.98 * ndtr((noisy - 1.6) / 3.4) + 0.02 * 0.01, rel=1e-12
    )
    assert summed.cdf(noisy) < 0.2 * mixed.cdf(noisy)


@pytest.mark.parametrize(
    ("name", "of_w", "of_loss"),
    [
        ("elbo", 0.5, 0.069),
        ("fm-ot", 0.993, 0.5),
        ("iddpm-cosine", 0.5, 0.183),
        ("edm", 0.817, 0.312),
        ("sd3", 0.898, 0.5),
        ("sd3-cosmap", 0.989, 0.5),
    ],
)
def test_shares_below_zero_are_the_known_ones(name, of_w, of_loss):
    o = dv.objective(name)
    assert dv.share_below(o) == pytest.approx(of_w, abs=5.1e-4)
    assert dv.share_below(o, mmse=analysis.gaussian_mmse) == pytest.approx(of_loss, abs=5.1e-4)


def test_fm_is_v_cosine_with_the_constants_of_the_identity():
    l = np.linspace(-40, 40, 801)
    np.testing.assert_allclose(
        dv.objective("fm-ot").weighting(l), exp(-l / 2), rtol=1e-12
    )  # L_w itself, no constant
    np.testing.assert_allclose(
        (1 + exp(-l / 2)) ** 2 * cosh(l / 4) ** -2.0 / 8, exp(-l / 2) / 2, rtol=1e-12
    )
    np.testing.assert_allclose(
        dv.objective("v-cosine").weighting(l) / 2, exp(-l / 2) / pi, rtol=1e-12
    )


def test_sd3_over_fm_is_the_known_even_function():
    l = np.linspace(-40, 40, 801)
    ratio = dv.objective("sd3").weighting(l) / dv.objective("fm-ot").weighting(l)
    np.testing.assert_allclose(ratio, 8 * stats.norm.pdf(l, 0, 2) * cosh(l / 4) ** 2, rtol=1e-11)
    np.testing.assert_allclose(ratio, ratio[::-1], rtol=1e-11)


def test_sd3_and_edm_look_alike_after_scaling_to_the_maximum():
    l = np.linspace(-10, 10, 20_001)
    a, b = (
        o.weighting(l) / o.weighting(l).max() for o in (dv.objective("sd3"), dv.objective("edm"))
    )
    assert np.corrcoef(a, b)[0, 1] == pytest.approx(0.994, abs=6e-4)
    assert np.abs(a - b).max() == pytest.approx(0.129, abs=6e-4)
    assert dv.objective("edm").weighting(0.0) / dv.objective("edm").weighting(
        -3.307777567
    ) == pytest.approx(0.465, abs=6e-4)


def test_loss_density_of_fm_on_unit_gaussian_data_is_sech_with_integral_pi():
    l = np.linspace(-60, 60, 12_001)
    spent = dv.loss_density(dv.objective("fm-ot"), l) / 2
    np.testing.assert_allclose(spent, sech(l / 2) / 4, rtol=1e-10)
    assert np.trapezoid(2 * spent, l) == pytest.approx(pi, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("edm", 1.62755103),
        ("sd3", 1.74126369),
        ("fm-ot", 1.55732064),
        ("elbo", 2 * 5.0),
        ("sigmoid-bias2", 2 * 1.15632724),
    ],
)
def test_losses_on_unit_gaussian_data_are_the_known_ones(name, loss):
    l = np.linspace(-10, 10, 20_001)
    assert np.trapezoid(dv.loss_density(dv.objective(name), l), l) / 2 == pytest.approx(
        loss, abs=2e-7
    )


def test_an_unknown_name_is_answered_with_near_names():
    everything = rf"unknown objective 'flwo'.*dv\.catalogue lists all {len(ALL)}"
    with pytest.raises(ValueError, match=everything):
        dv.objective("flwo")
    with pytest.raises(ValueError, match="did you mean 'min-snr-5-eps'"):
        dv.objective("minsnr-5-eps")


def test_the_catalogue_cannot_be_changed():
    with pytest.raises(TypeError):
        dv.catalogue["mine"] = dv.objective("edm")
