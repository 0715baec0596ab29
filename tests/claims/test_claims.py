"""The claims of the talk, each computed again; the table beside this file has what the page says.

The values of the table are those of these tests, and the page prints them.
"""

import ast
import tomllib
from functools import cache
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from cells import in_one_test
from scipy import integrate
from scipy.special import expit

import diffviz as dv
from diffviz.lab import figures
from diffviz.lab.experiments import prior, sampling, schedule
from diffviz.perception import sensitivities
from diffviz.theory import analysis, elbo_mixture, multipliers
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import COSINE, LINEAR
from diffviz.theory.targets import EPS, V, X

ROOT = Path(__file__).parents[2]
CLAIMS = tomllib.loads((Path(__file__).parent / "table.toml").read_text(encoding="utf-8"))["claim"]
BY_KEY = {claim["key"]: claim for claim in CLAIMS}
VERDICTS = {"confirmed", "true under a condition", "corrected"}
GRID = np.linspace(-10, 10, 401)


def values(key):
    """What the page says, by name."""
    return BY_KEY[key]["values"]


def near(key, name, digits):
    """The value of the table, to its last digit."""
    return pytest.approx(values(key)[name], abs=0.51 * 10.0**-digits)


# --- the table ------------------------------------------------------------------------------------


@cache
def functions(file):
    """Names of the tests of a file."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@cache
def headings(notebook):
    """Headings of a notebook."""
    cells = nbformat.read(ROOT / "notebooks" / f"{notebook}.ipynb", as_version=4).cells
    lines = [
        line for one in cells if one.cell_type == "markdown" for line in one.source.split("\n")
    ]
    return {line.lstrip("# ") for line in lines if line.startswith("#")}


@in_one_test
@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim["key"])
def test_what_a_claim_names_is_there(claim):
    assert claim["verdict"] in VERDICTS
    assert claim["tests"]
    for test in claim["tests"]:
        file, _, name = test.partition("::")
        assert name.startswith("test_")
        assert name in functions(file), test
    assert claim["figure"] in figures.FIGURES
    assert claim["section"] in headings(claim["notebook"])
    claim["finding"].format(**claim.get("values", {}))
    for name in claim.get("values", {}):
        assert f"{{{name}:" in claim["finding"], f"the page does not say {name}"


def test_every_test_of_a_claim_is_in_the_table():
    about_the_table = {
        "test_what_a_claim_names_is_there",
        "test_every_test_of_a_claim_is_in_the_table",
        "test_claims_have_names_of_their_own",
    }
    named = {test.partition("::")[2] for claim in CLAIMS for test in claim["tests"]}
    here = {name for name in functions("tests/claims/test_claims.py") if name.startswith("test_")}
    assert here - about_the_table <= named


def test_claims_have_names_of_their_own():
    assert len(BY_KEY) == len(CLAIMS)
    assert all(
        claim["tests"][0].startswith("tests/claims/") for claim in CLAIMS if "values" in claim
    )


# --- one family -----------------------------------------------------------------------------------


def test_flow_matching_and_v_prediction_have_one_weighting():
    flow, cosine = (dv.objective(name).weighting(GRID) for name in ("fm-ot", "v-cosine"))
    ratio = flow / cosine
    assert np.abs(ratio / ratio[200] - 1).max() < values("one-family")["deviation"]


def test_a_target_changes_only_the_factor():
    """The gains by hand: an x error is e^(λ/2) of an ε error, a v error on the cosine path 1/α."""
    written = {
        EPS: multipliers.constant,
        X: multipliers.snr,
        V: lambda level: expit(np.asarray(level, dtype=float)),  # α²
    }
    curves = [
        Objective("own", "test", 2026, "by hand", COSINE, target, factor).weighting(GRID)
        for target, factor in written.items()
    ]
    spread = np.ptp([curve / curve[200] for curve in curves], axis=0) / curves[0] * curves[0][200]
    assert spread.max() < values("only-the-weighting")["deviation"]


def test_the_bound_of_a_gaussian_is_its_entropy():
    """The sum of the two terms that are left where the noise ends in N(0, 1), up to λ = 16.

    The error of the exact denoiser of N(0, 1) is sigmoid(λ), and z at λ = 16 leaves a Gaussian of
    variance e^(−16) to be said.
    """
    high = 16.0
    error, _ = integrate.quad(expit, -60, high, limit=200)
    rest = 0.5 * np.log(2 * np.pi * np.e) - high / 2
    assert error / 2 + rest == near("stacked-vaes", "nats", 4)
    draws = torch.linspace(-2, 2, 5, dtype=torch.float64)[:, None]
    bound = dv.elbo(dv.mixture([[0.0]], 1.0), draws, low=-high, high=high, levels=64, exact=True)
    surprise = 0.5 * draws[:, 0] ** 2 + 0.5 * np.log(2 * np.pi)
    assert bound.nats.numpy() == pytest.approx(surprise.numpy(), abs=1e-3)


# --- which noise levels count ---------------------------------------------------------------------


def loss_below_zero(name):
    """Share of the loss on N(0, 1) below λ = 0, by a sum over a fine grid."""
    fine = np.linspace(-10, 10, 20_001)
    spent = dv.objective(name).weighting(fine) * expit(fine)
    return np.trapezoid(spent[:10_001], fine[:10_001]) / np.trapezoid(spent, fine)


def test_shares_of_the_loss_below_zero():
    for label, name in (("eps", "iddpm-cosine"), ("edm", "edm"), ("flow", "fm-ot")):
        assert loss_below_zero(name) == near("low-snr", label, 3)


def test_eyes_see_best_in_the_middle():
    peaks = []
    for curve in sensitivities.SENSITIVITIES.values():
        frequency = np.geomspace(0.05, 50, 2001)
        place = int(np.argmax(curve(frequency)))
        assert 0 < place < 2000
        peaks.append(frequency[place])
    assert min(peaks) == near("eyes-are-low-pass", "low", 1)
    assert max(peaks) == near("eyes-are-low-pass", "high", 1)


def test_flow_matchings_weight_is_low_in_one_base_only():
    flow = dv.objective("fm-ot")
    assert analysis.share_below(flow) == near("fm-almost-all", "weight", 3)
    assert loss_below_zero("fm-ot") == near("fm-almost-all", "loss", 2)
    assert (np.diff(flow.weighting(GRID, "x")) > 0).all()
    assert (np.diff(flow.weighting(GRID, "eps")) < 0).all()


def test_grids_spend_their_steps_at_different_levels():
    assert LINEAR.schedule.cdf(-4.0) == near("fm-is-early", "flow", 2)
    # Karras' σ(t) = (σ₁^(1/7) + t (σ₂^(1/7) − σ₁^(1/7)))^7 is above e² where λ is below −4
    ends = 0.002 ** (1 / 7), 80 ** (1 / 7)
    share = (ends[1] - np.exp(2 / 7)) / (ends[1] - ends[0])
    assert share == near("fm-is-early", "karras", 2)


def test_sd3_trims_both_ends_alike():
    ratio = dv.objective("sd3").weighting(GRID) / dv.objective("fm-ot").weighting(GRID)
    np.testing.assert_allclose(ratio, ratio[::-1], rtol=1e-9)
    assert ratio[0] < ratio[100] < ratio[200]
    assert loss_below_zero("sd3") == near("sd3-middle", "share", 2)
    fine = np.linspace(-40, 40, 40_001)
    for name, label in (("fm-ot", "before"), ("sd3", "after")):
        spent = dv.objective(name).weighting(fine) * expit(fine)
        spread = np.sqrt(np.trapezoid(spent * fine**2, fine) / np.trapezoid(spent, fine))
        assert spread == near("sd3-middle", label, 2)


# --- the schedule ---------------------------------------------------------------------------------


def test_the_mean_stays_and_the_variance_does_not():
    """Y = ½w/p · E‖error‖², on N(0, 1) with w = e^(−λ/2) and the exact denoiser, by quadrature."""

    def moment(law, order):
        def integrand(level):
            """E of Y^order over noise; the error is normal with the variance sigmoid(λ)."""
            own = 3 if order == 2 else 1
            weighted = np.exp(-level / 2) * expit(level) / (2 * law.pdf(level))
            return own * weighted**order * law.pdf(level)

        return integrate.quad(integrand, -60, 60, limit=400)[0]

    for name, path in (("cosine", COSINE), ("flow", LINEAR)):
        first, second = moment(path.schedule, 1), moment(path.schedule, 2)
        assert first == near("importance-sampling", "mean", 4)
        assert second - first**2 == near("importance-sampling", name, 2)


def test_an_average_of_the_loss_is_not_the_weighting():
    levels = np.array([-8.0, 0.0])
    weighting = dv.objective("fm-ot").weighting(levels)
    average = weighting * expit(levels)
    assert average[0] / average[1] == near("ema", "average", 3)
    assert weighting[0] / weighting[1] == near("ema", "weighting", 1)


def test_the_best_schedule_gains_four_percent_on_flow_matching():
    """E Y² under uniform time is 3 + 3π/2, and 3π²/4 under the cosine schedule."""
    gain = (3 + 1.5 * np.pi) / (0.75 * np.pi**2)
    assert gain == near("less-variance", "gain", 4)
    flow = dv.objective("fm-ot")
    least = schedule.over_least(flow, flow.law.pdf(schedule.bin_middles()))
    assert least == pytest.approx(gain, abs=0.01)


def test_straightness_depends_on_the_data():
    for name, variance, path in (
        ("flow", 1.0, "FM"),
        ("cosine", 1.0, "VP"),
        ("narrow_flow", 0.01, "FM"),
        ("narrow_cosine", 0.01, "VP"),
    ):
        assert sampling.off_chord(variance, path) == near("straight", name, 3)


def test_heuristics_on_one_axis():
    capped, plain = (
        dv.objective(name).weighting(GRID) for name in ("min-snr-5-eps", "iddpm-cosine")
    )
    ratio = capped / plain
    falls = GRID[np.abs(ratio / ratio[0] - 1) > 1e-6]
    kink = values("heuristics")["kink"]
    assert np.log(5) == near("heuristics", "kink", 3)
    assert kink <= falls[0] < kink + 0.05
    assert dv.compare(dv.objective("debiased-cosine"), dv.objective("sigmoid-bias0")).same


# --- likelihood -----------------------------------------------------------------------------------


def test_a_falling_weighting_is_a_density_of_noise():
    w = dv.objective("sigmoid-bias2").weighting
    fine = np.linspace(-40, 40, 40_001)
    density = -np.gradient(w(fine) / w(-40.0), fine)
    assert (density >= -1e-9).all()
    assert np.trapezoid(density, fine) == near("elbo", "mass", 4)


def test_what_rises_rises_by_little():
    verdicts = [dv.verdict(entry) for entry in dv.catalogue.values()]
    rising = [one.negative_share for one in verdicts if not one.monotone]
    assert 0.4 < len(rising) / len(verdicts) < 0.6
    assert np.median(rising) < 0.05
    for label, name in (("edm", "edm"), ("sd3", "sd3"), ("cosine", "iddpm-cosine")):
        assert dv.verdict(dv.objective(name)).negative_share == near("monotone", label, 4)


def test_a_surrogate_counts_scales_by_its_gain():
    flow, elbo = dv.objective("fm-ot"), dv.objective("elbo")
    assert elbo_mixture.gain(flow) / elbo_mixture.gain(flow, 0.01) == near(
        "likelihood-to-loss", "flow", 1
    )
    assert elbo_mixture.gain(elbo) == pytest.approx(elbo_mixture.gain(elbo, 0.01), rel=1e-6)


def test_stable_diffusion_ends_before_the_noise():
    """ᾱ by the product over its 1,000 steps, and by the level of the project's grid."""
    beta = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    signal = np.prod(1 - beta)
    assert np.sqrt(signal) == near("gaussian-source", "alpha", 4)
    assert signal / (1 - signal) == near("gaussian-source", "snr", 5)
    lowest = min(levels.min() for name, levels in prior.grids().items() if "Stable" in name)
    assert np.exp(lowest) == near("gaussian-source", "snr", 5)
