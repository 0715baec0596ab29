"""Every number in the prose of notebooks 1, 2 and 4 is computed here again, and looked for."""

import re

import numpy as np
import pytest
import torch
from notebook_prose import assert_says, percent, printed, prose
from scipy import stats
from scipy.special import erf, expit

import diffviz as dv
from diffviz.lab import explorers, losses
from diffviz.lab.experiments import perception as perception_experiments
from diffviz.lab.experiments import schedule as schedule_experiments
from diffviz.lab.experiments import tracking as tracking_experiments
from diffviz.lab.experiments import walks
from diffviz.lab.experiments import weighting as weighting_experiments
from diffviz.lab.experiments.tracking import FM, GRIDS, MIDDLE, TRAINED, over_least, ring_moments
from diffviz.learning import validation, variance
from diffviz.theory import analysis, paths

pytestmark = pytest.mark.slow

SCHEDULES = "02_noise_schedules"
FLOW = "flow_logit_normal"  # what the names of its sliders begin with
SHOWN = (  # how notebook 1 opens its explorers of weightings
    {"names": ("sd3", "edm"), "scale": "loss density", f"{FLOW}_mean": 1.0},
    {"names": ("iddpm-cosine", "fm-ot", "edm", "sd3"), f"{FLOW}_shift": 3.0},
)
IDDPM = dv.objective("iddpm-cosine")


def generator(seed):
    return torch.Generator().manual_seed(seed)


# --- notebook 1 --------------------------------------------------------------------------------


def loss_share(name):
    """Share of an objective's loss below λ = 0 on N(0, I), as the prose writes it."""
    return percent(dv.share_below(dv.objective(name), mmse=analysis.gaussian_mmse))


def white_share(name):
    """Share of an objective's loss below λ = 0 on N(0, I)."""
    return dv.share_below(dv.objective(name), mmse=analysis.gaussian_mmse)


def offset_ratio(level):
    """Weighting with the paper's offset over that without, at one λ and relative to λ = 0.

    From the squared cosine of the paper, which is α² up to a constant.
    """
    offset, t = 0.008, np.linspace(1e-4, 0.999, 400_001)
    cosine = np.cos(np.pi / 2 * (t + offset) / (1 + offset)) ** 2
    alpha_squared = cosine / np.cos(np.pi / 2 * offset / (1 + offset)) ** 2
    logsnr = np.log(alpha_squared / (1 - alpha_squared))
    slope = 1 / np.abs(np.gradient(logsnr, t))  # the density of λ, since t is uniform
    found, middle = (slope[np.abs(logsnr - place).argmin()] for place in (level, 0.0))
    return found / middle * np.cosh(level / 2)


def negative_share(name):
    """Negative share of an objective's mixture of ELBOs, as the prose writes it."""
    return percent(dv.verdict(dv.objective(name)).negative_share, 2)


def peak(name):
    """λ at which an objective's weighting is largest, as the prose writes it."""
    return f"{dv.verdict(dv.objective(name)).peak:.3f}"


def spread(name):
    """Standard deviation of an objective's loss density on N(0, I), in nats."""
    grid = np.linspace(-60, 60, 24001)
    spent = dv.loss_density(dv.objective(name), grid)
    return np.sqrt(np.trapezoid(grid**2 * spent, grid) / np.trapezoid(spent, grid))


def count_of_groups():
    """Number of classes of equal objectives with more than one member."""
    return sum(len(group) > 1 for group in dv.equivalent(dv.catalogue.values()))


def claim_of_likeness():
    correlation, gap = weighting_experiments.likeness("sd3", "edm", np.linspace(-10, 10, 2001))
    return f"correlation {correlation:.3f} and a largest gap of {gap:.3f}"


def claim_of_peaks():
    names = ("edm", "sd3", "p2-gamma1")
    return ", ".join(f"`{name}` (λ = {peak(name)})" for name in names)


def share_on_photographs(name):
    """Share of an objective's loss below λ = 0 on photographs, as the prose writes it."""
    spectrum = perception_experiments.spectrum()
    return percent(dv.share_below(dv.objective(name), mmse=spectrum.mmse))


def claim_of_photographs():
    return f"On photographs {share_on_photographs('fm-ot')} of it lies below λ = 0"


CLAIMS = {
    "peaks": claim_of_peaks,
    "draws of the cosine schedule": lambda: (
        f"More than half of the draws, {percent(np.diff(IDDPM.law.cdf([-2, 2]))[0], 0)}, lie"
    ),
    "classes": lambda: (
        f"Among the {len(dv.catalogue)} published recipes, {count_of_groups()} groups of two or "
        "more share a weighting"
    ),
    "twins": claim_of_likeness,
    "offset of the cosine schedule": lambda: (
        f"it leaves {offset_ratio(8.6):.2f} of it at λ = 8.6, "
        f"and {offset_ratio(10.0):.2f} at λ = 10"
    ),
    "FM's weight below 0": lambda: (
        f"{percent(dv.share_below(FM))} of the weight on [-10, 10] lies below"
    ),
    "loss on photographs": claim_of_photographs,
    "SD3's loss below 0": lambda: f"stays {loss_share('sd3')}",
    "spread of the loss density": lambda: (
        f"standard deviation of {spread('fm-ot'):.2f} nats to {spread('sd3'):.2f}"
    ),
    "ELBO's loss on a wider range": lambda: (
        "On [-15, 15] it is "
        + percent(
            dv.share_below(dv.objective("elbo"), mmse=analysis.gaussian_mmse, low=-15, high=15)
        )
    ),
    "EDM on the data that it expects": lambda: (
        "On such data, N(0, ¼), its share is "
        + percent(dv.share_below(dv.objective("edm"), mmse=lambda level: expit(level - np.log(4))))
    ),
    "SD3 on photographs": lambda: (
        f"rises from {share_on_photographs('fm-ot')} to {share_on_photographs('sd3')}"
    ),
    "peak of EDM2": lambda: f"gives {peak('edm2')}",
}


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_weightings_says_what_is_computed(claim):
    assert_says(prose("01_weightings"), claim())


def test_weightings_prints_the_negative_shares():
    found = dict(
        re.findall(
            r"^(\S+) +not monotone: .*; negative share ([\d.]+)%$", printed("01_weightings"), re.M
        )
    )
    assert set(found) == {"iddpm-cosine", "edm", "sd3", "min-snr-5-eps"}
    grid = np.linspace(-25, 25, 50_001)
    middles = (grid[1:] + grid[:-1]) / 2
    for name, said in found.items():
        counted = np.diff(dv.objective(name).weighting(grid)) * np.log1p(np.exp(middles)) / 2
        share = counted[counted > 0].sum() / -counted[counted < 0].sum()
        assert float(said) == pytest.approx(100 * share, abs=0.01)
        assert f"{float(said):.2f} %" == negative_share(name)
    assert_says(
        prose("01_weightings"), "Two of the six are sums of ELBOs. The other four are mixtures"
    )


def test_weightings_derives_edms_weighting():
    """By the rule: c · gain² · p with the normal law of ln σ, in σ and not in λ."""
    sigma = np.geomspace(0.01, 80, 41)
    multiplier = (sigma**2 + 0.5**2) / (sigma * 0.5) ** 2
    density = stats.norm.pdf(np.log(sigma), -1.2, 1.2) / 2  # of λ = −2 ln σ
    by_hand = 2 * multiplier * sigma**2 * density
    level = -2 * np.log(sigma)
    formula = 2 * (1 + np.exp(-level) / 0.25) * stats.norm.pdf(level, 2.4, 2.4)
    np.testing.assert_allclose(by_hand, formula, rtol=1e-9)
    np.testing.assert_allclose(dv.objective("edm").weighting(level[::-1]), formula[::-1], rtol=1e-9)
    text = prose("01_weightings")
    assert_says(text, "N(\\lambda; 2.4, 2.4^2)", "EDM draws ln σ from N(-1.2, 1.2²)")


def test_sd3_and_edm_part_towards_clean_data():
    grid = np.linspace(-10, 10, 2001)
    sd3, edm = (dv.objective(name).weighting(grid) for name in ("sd3", "edm"))
    at_9 = np.abs(grid - 9).argmin()
    assert (sd3 / sd3.max() / (edm / edm.max()))[at_9] == pytest.approx(1e-3, rel=0.3)
    text = prose("01_weightings")
    assert_says(text, "At λ = 9 SD3's curve is about a thousandth of EDM's")
    spent = [w * expit(grid) for w in (sd3, edm)]
    middle = (grid >= 2) & (grid <= 7)
    (there, theirs), (beyond, _) = (
        [one[part].sum() / one.sum() for one in reversed(spent)] for part in (middle, grid > 8)
    )
    assert beyond < 0.01
    assert_says(
        text,
        f"{percent(there, 0)} of EDM's loss lies from λ = 2 to λ = 7, and {percent(theirs, 0)} of",
        "EDM has more of its loss on the data side than SD3",
        "Where the two weightings part most, beyond λ = 8, hardly any loss lies",
    )


def test_nearly_half_of_edms_slope_lies_below_zero():
    slope = -np.diff(dv.objective("edm").weighting(np.linspace(-10, 10, 4001)))
    assert 0.48 < -slope[slope < 0].sum() / abs(slope).sum() < 0.5
    whole = -np.diff(dv.objective("edm").weighting(np.linspace(-60, 60, 24_001)))
    assert -whole[whole < 0].sum() / abs(whole).sum() == pytest.approx(0.5, abs=1e-6)
    assert_says(prose("01_weightings"), "On the whole axis it is exactly half")
    said = "For EDM nearly half of the area of this curve lies below zero"
    assert_says(prose("01_weightings"), said)


def test_a_level_of_flow_matching_counts_e_times_as_much_as_is_said():
    level = np.array([1.99, 2.01, 3.99, 4.01])
    (at_2, _, at_4) = -np.diff(dv.objective("fm-ot").weighting(level))
    assert at_2 / at_4 == pytest.approx(np.e, rel=1e-6)
    said = "For flow matching the level λ = 2 counts $e$ times as much as λ = 4"
    assert_says(prose("01_weightings"), said)


def test_the_factor_of_the_composers_table_is_about_the_median():
    """Half of the levels above, half below, and the worst of them."""
    composer = explorers.ComposerExplorer(path="cosine", target="x")
    ours, grid = composer.objective(), np.linspace(-10, 10, 2001)
    ratio = ours.weighting(grid) / dv.objective("edm").weighting(grid)
    scaled = ratio / np.median(ratio)
    assert abs((scaled > 1).mean() - 0.5) < 1e-3
    assert_says(prose("01_weightings"), "so that each is the higher one on half of the levels")


def test_holding_edm_at_its_peak_costs_as_little_as_is_said():
    grid = np.linspace(-30, 30, 12_001)
    edm, held = (dv.objective(name).weighting(grid) for name in ("edm", "edm-monotonic"))
    before, after = (np.trapezoid(w / w.max() * expit(grid), grid) for w in (edm, held))
    said = f"the loss of the exact denoiser becomes {percent(after / before - 1, 2)} larger"
    assert_says(prose("01_weightings"), said)


def test_both_misleading_names_weight_as_is_printed():
    rows = re.findall(
        r"^(\S+) +has the weighting of (\S+) *: (\w+)$", printed("01_weightings"), re.M
    )
    assert rows == [
        ("lucidrains-v", "iddpm-cosine", "True"),
        ("debiased-cosine", "sigmoid-bias0", "True"),
    ]
    level = np.linspace(-8, 8, 17)
    debiased = np.exp(-level / 2) / np.cosh(level / 2)
    np.testing.assert_allclose(debiased, 2 * expit(-level), rtol=1e-12)
    np.testing.assert_allclose((np.exp(level) + 1) / np.exp(level), 1 + np.exp(-level), rtol=1e-12)


def test_p2_and_indi_have_one_weighting_towards_clean_data():
    level = np.linspace(8, 16, 17)
    grid = np.append([0.0], level)
    one, other = (
        w[1:] / w[0] for w in (dv.objective(n).weighting(grid) for n in ("p2-gamma1", "indi"))
    )
    assert one / other == pytest.approx(np.ones(17), rel=0.05)
    assert np.diff(np.log(other[-2:])) / 0.5 == pytest.approx(-1.5, abs=1e-2)
    assert_says(prose("01_weightings"), "both fall as $e^{-3\\lambda/2}$")


def test_what_stands_at_the_ends_vanishes_but_for_the_elbo():
    """w · L on N(0, 1) data far out, against its largest value."""
    ends = np.array([-38.0, 38.0])
    grid = np.linspace(-38, 38, 1001)
    classics = weighting_experiments.CLASSICS
    assert len(classics) == 9
    for name in classics:
        w = dv.objective(name)
        top = (w.weighting(grid) * np.log1p(np.exp(grid))).max()
        vanishes = (w.weighting(ends) * np.log1p(np.exp(ends)) / top < 1e-5).all()
        assert vanishes == (name != "elbo"), name
    said = "It vanishes at both ends for eight of the nine classics. The ninth is the ELBO itself"
    assert_says(prose("01_weightings"), said)


def test_both_forms_of_flow_matchings_loss_are_half_of_pi():
    """The left side and the mixture of ELBOs of the worked example, by two quadratures."""
    level = np.linspace(-60, 60, 24_001)
    w = np.exp(-level / 2)
    left = np.trapezoid(w * expit(level), level) / 2
    bound = np.logaddexp(0, level) / 2  # L(λ)
    right = np.trapezoid(-np.gradient(w, level) * bound, level)
    assert left == pytest.approx(np.pi / 2, rel=1e-6)
    assert right == pytest.approx(np.pi / 2, rel=1e-4)
    assert_says(prose("01_weightings"), "Both sides come to the same", "= \\frac\\pi2")


def test_a_logit_normal_flow_meets_edm_on_one_kind_of_data_only():
    """The answer beside the explorer, by sums over the weighting times the error."""
    grid = np.linspace(-10, 10, 4001)
    photographs = perception_experiments.spectrum().mmse(grid)

    def shares(entry):
        spent = [entry.weighting(grid) * error for error in (expit(grid), photographs)]
        return [loss[grid <= 0].sum() / loss.sum() for loss in spent]

    (edm_white, edm_photo), (white, photo) = map(
        shares, (dv.objective("edm"), dv.families.flow(-0.55, 1.0, 1.0))
    )
    assert percent(edm_white, 0) == percent(white, 0) == "31 %"
    said = f"EDM has {percent(edm_photo)} there and the family {percent(photo)}"
    assert_says(prose("01_weightings"), "With the mean −0.55 both have 31 %", said)


def test_little_is_gained_by_a_shift_of_flow_matching():
    grid = np.linspace(-10, 10, 2001)
    shifts = np.linspace(0.5, 1.5, 101)
    edm = dv.objective("edm").weighting(grid)
    flows = [dv.families.flow(0.0, 1.0, shift).weighting(grid) for shift in shifts]
    gaps = np.array([abs(w / w.max() - edm / edm.max()).max() for w in flows])
    assert shifts[gaps.argmin()] == pytest.approx(0.9, abs=0.011)
    said = (
        f"largest gap over the maxima {gaps.min():.3f}, where that of SD3 itself is {gaps[50]:.3f}"
    )
    assert_says(prose("01_weightings"), "helps most is near 0.9", said)


def test_on_x_the_family_and_edm_come_down_again():
    grid = np.linspace(-10, 10, 2001)
    tops = {}
    for name in ("iddpm-cosine", "fm-ot", "edm", "sd3", "sd3-shift3"):
        on_x = dv.objective(name).weighting(grid) * np.exp(grid)
        tops[name] = grid[on_x.argmax()]
        assert (np.diff(on_x[: on_x.argmax()]) > 0).all()
    family, sd3, edm = (tops.pop(name) for name in ("sd3-shift3", "sd3", "edm"))
    assert edm == pytest.approx(8.0, abs=0.2)
    assert set(tops.values()) == {10.0}
    said = f"from λ = {family:.1f} on, SD3 from {sd3:.1f} on, and EDM from 8 on. The other two rise"
    assert_says(prose("01_weightings"), said.replace("-", "−"))


def test_the_family_of_the_explorers_is_sd3_where_it_is_said_to_be():
    mean, shift = dv.families.flow(0.0, 1.0, 1.0), dv.families.flow(0.0, 1.0, 3.0)
    assert dv.compare(mean, dv.objective("sd3")).same
    assert dv.compare(shift, dv.objective("sd3-shift3")).same
    first, second = (explorers.WeightingExplorer(**state) for state in SHOWN)
    for one, settings in ((first, (1.0, 1.0)), (second, (0.0, 3.0))):
        assert (one.state[f"{FLOW}_mean"], one.state[f"{FLOW}_shift"]) == settings
        assert one.state[f"{FLOW}_std"] == 1
    assert_says(
        prose("01_weightings"),
        "It starts with the mean 1, and with 0 it is SD3",
        "starts as SD3 with the shift 3. With the shift 1 it is SD3 itself",
    )


def test_each_mistake_shows_at_the_end_that_is_named():
    """Wrong over meant, relative to λ = 0, at both ends."""
    level = np.array([-8.0, 0.0, 8.0])
    *first, last = (
        np.divide(*(curve.weighting(level) for curve in (wrong, meant)))
        for meant, wrong in (pair.values() for pair in weighting_experiments.bugs().values())
    )
    noise, clean = ([ratio[end] / ratio[1] for ratio in first] for end in (0, 2))
    assert noise == pytest.approx([1500, 3000, 37], rel=0.012)
    assert clean[0] < 1 < min(clean[1:])
    assert all(one > other for one, other in zip(noise, clean, strict=True))
    assert last[2] / last[1] == pytest.approx(2.5, abs=0.05)
    assert last[0] / last[1] > 1 / 2
    assert_says(
        prose("01_weightings"),
        "λ = −8 counts 1,500, 3,000 and 37 times as much as was meant",
        "In the second and the third panel the data end counts too much as well",
        "In the last panel it is the data end, by a factor of 2.5",
    )


def test_the_composers_line_names_what_is_said():
    def named(path, target):
        view = explorers.ComposerExplorer(path=path, target=target).view
        (line,) = [panel.text for panel in view.panels if getattr(panel, "strong", False)]
        return set(line.rstrip(".").partition("weighting of ")[2].split(", "))

    assert {"fm-ot", "v-cosine"} <= named("linear", "u") == named("cosine", "v")
    assert not {"fm-ot", "v-cosine"} & named("cosine", "eps")
    assert_says(
        prose("01_weightings"),
        "Both times the line names the same objectives, `fm-ot` and `v-cosine` among them",
    )


def test_the_loss_of_a_logit_normal_flow_is_even_only_after_the_shift():
    """The solution of exercise 5, and that the loss is not symmetric about the mean before."""
    level = np.linspace(-6, 6, 25)
    product = (1 + np.exp(-level / 2)) ** 2 * expit(level)
    np.testing.assert_allclose(product, 1 + 1 / np.cosh(level / 2), rtol=1e-12)
    before, after = (dv.families.flow(0.5, 0.6, shift) for shift in (1.0, np.exp(-0.5)))
    spent = dv.loss_density(before, level) / before.law.pdf(level)
    np.testing.assert_allclose(spent / spent[12], product / product[12], rtol=1e-9)
    even = dv.loss_density(after, level)
    np.testing.assert_allclose(even, even[::-1], rtol=1e-9)
    about_mean = dv.share_below(before, -1.0, mmse=analysis.gaussian_mmse)
    assert about_mean < 0.48
    assert_says(prose("01_weightings"), "is *not* symmetric about $-2m$")


SHARES = {"elbo": 0.069, "iddpm-cosine": 0.183, "edm": 0.312, "fm-ot": 0.5, "sd3": 0.5}


@pytest.mark.parametrize("name", SHARES)
def test_weightings_prints_where_the_loss_lies(name):
    """The first column of the printed table: w · sigmoid, by another quadrature than the door's."""
    (row,) = re.findall(rf"^{name} +([\d.]+)% +([\d.]+)%$", printed("01_weightings"), re.M)
    grid = np.linspace(-10, 10, 20_001)
    spent = dv.objective(name).weighting(grid) / (1 + np.exp(-grid))
    share = np.trapezoid(spent[grid <= 0], grid[grid <= 0]) / np.trapezoid(spent, grid)
    assert share == pytest.approx(SHARES[name], abs=1e-3)
    assert float(row[0]) == pytest.approx(100 * share, abs=0.06)


def test_the_order_on_photographs_is_nearly_that_on_white_data():
    rows = re.findall(r"^[a-z0-9-]+ +([\d.]+)% +([\d.]+)%$", printed("01_weightings"), re.M)
    white, photographs = np.array(rows, dtype=float).T
    assert len(white) == 6
    assert stats.kendalltau(white, photographs).statistic > 0.7
    assert (photographs < white).all()


def test_the_gains_of_the_table_are_those_of_the_targets():
    level = np.linspace(-8, 8, 9)
    table = {
        dv.targets.EPS: (paths.COSINE, np.ones(9), "| $\\varepsilon$ | 0 | 1 | 1 |"),
        dv.targets.X: (paths.COSINE, np.exp(-level), "| $x$ | 1 | 0 | $e^{-\\lambda}$ |"),
        dv.targets.V: (paths.COSINE, 1 + np.exp(-level), "| $-\\sigma$ | $\\alpha$ | $1 +"),
        dv.targets.U: (paths.LINEAR, (1 + np.exp(-level / 2)) ** 2, "| −1 | 1 | $(1 + e^{"),
        dv.targets.SCORE: (paths.COSINE, 1 + np.exp(level), "| 0 | $-1/\\sigma$ | $1 + e^{"),
    }
    text = prose("01_weightings")
    for target, (path, squared, row) in table.items():
        np.testing.assert_allclose(target.gain(level, path) ** 2, squared, rtol=1e-9)
        assert_says(text, row)


def test_ddpm_by_hand_is_the_catalogues_entry():
    out = printed("01_weightings")
    difference, top = re.findall(r"largest difference ([\d.e-]+)   w\(0\) = ([\d.]+)", out)[0]
    assert float(difference) < 1e-4
    assert float(top) == pytest.approx(1 / np.pi, abs=1e-4)


def test_the_products_of_flow_matching_and_v_prediction_are_as_derived():
    level = np.linspace(-8, 8, 33)
    u = (1 + np.exp(-level / 2)) ** 2 / np.cosh(level / 4) ** 2 / 8
    v = (1 + np.exp(-level)) / np.cosh(level / 2) / (2 * np.pi)
    np.testing.assert_allclose(u, np.exp(-level / 2) / 2, rtol=1e-12)
    np.testing.assert_allclose(v, np.exp(-level / 2) / np.pi, rtol=1e-12)
    np.testing.assert_allclose(FM.weighting(level), 2 * u, rtol=1e-9)


@pytest.mark.parametrize("name", ["fm-ot", "edm", "sd3", "elbo"])
def test_the_gain_integral_is_the_slope_of_the_loss_in_log_variance(name):
    """By a difference of two losses of exact denoisers, and the row that is printed."""
    entry, grid = dv.objective(name), np.linspace(-60, 60, 24_001)
    w = entry.weighting(grid) if name != "elbo" else np.ones_like(grid)

    def loss(log_variance):
        return np.trapezoid(w / (1 + np.exp(-grid - log_variance)), grid)

    def kappa(variance):
        at, step = np.log(variance), 1e-3
        return (loss(at + step) - loss(at - step)) / (2 * step)

    (row,) = re.findall(rf"κ\(c\)/κ\(1\) {name} +(.+)", printed("01_weightings"))
    wanted = [kappa(c) / kappa(1) for c in (10, 1, 0.1, 0.01)]
    assert [float(one) for one in row.split()] == pytest.approx(wanted, abs=1e-3)
    if name == "fm-ot":
        assert kappa(0.01) == pytest.approx(np.pi / 2 * 0.1, rel=1e-4)


def test_hubers_factor_is_the_error_function_and_is_largest_where_errors_are_small():
    level = np.linspace(-8, 8, 9)
    mmse = 1 / (1 + np.exp(-level))
    for name, error in (("iddpm-cosine", mmse), ("x-cosine", np.exp(-level) * mmse)):
        plain = dv.objective(name)
        local = dv.with_loss(plain, dv.losses.huber(0.5), analysis.gaussian_mmse)
        factor = local.weighting(level) / plain.weighting(level)
        np.testing.assert_allclose(factor, erf(0.5 / np.sqrt(2 * error)), rtol=1e-6)
        falls, rises = (np.diff(factor) <= 0).all(), (np.diff(factor) >= 0).all()
        assert (falls, rises) == (name == "iddpm-cosine", name == "x-cosine")


def test_the_slope_of_a_mean_in_the_variance_is_half_its_second_derivative():
    """For Huber's loss of a Gaussian error, by the trapezoidal rule: the remark beside φ."""
    delta, m, step = 0.5, 0.7, 1e-4
    r = np.linspace(-12, 12, 240_001)

    def mean_loss(variance):
        square, line = r**2, delta * (2 * abs(r) - delta)
        loss = np.where(abs(r) < delta, square, line)
        return np.trapezoid(loss * stats.norm.pdf(r, 0, np.sqrt(variance)), r)

    slope = (mean_loss(m + step) - mean_loss(m - step)) / (2 * step)
    within = np.diff(stats.norm.cdf([-delta, delta], 0, np.sqrt(m)))[0]
    assert slope == pytest.approx(within, rel=1e-5)
    assert within == pytest.approx(erf(delta / np.sqrt(2 * m)), rel=1e-9)
    assert_says(prose("01_weightings"), "So $\\varphi$ is the share of errors below the threshold")


def test_sd3_over_fm_is_even():
    grid = np.linspace(-20, 20, 401)
    ratio = dv.objective("sd3").weighting(grid) / dv.objective("fm-ot").weighting(grid)
    closed = 8 * np.exp(-(grid**2) / 8) / (2 * np.sqrt(2 * np.pi)) * np.cosh(grid / 4) ** 2
    np.testing.assert_allclose(ratio / ratio[200], closed / closed[200], rtol=1e-12)


# --- notebook 4 --------------------------------------------------------------------------------


def test_probe_your_loss_says_what_is_measured():
    x = torch.randn(256, 2, generator=generator(0))
    text = prose("04_probe_your_loss")
    edm = dv.probe(losses.edm, x)
    nearest = dv.closest(edm)[0]
    assert nearest.name == "edm"
    assert nearest.deviation < 2e-4
    first = r"^edm +deviates by ([\d.]+)% at most, over ([\d.]+)% of the draws$"
    ((deviation, mass),) = re.findall(first, printed("04_probe_your_loss"), re.M)
    assert_says(text, f"deviate by {deviation} % at most over {mass} %")
    assert len(edm.logsnr) == 20_000
    assert_says(text, "20,000 levels")
    assert "norm(loc=2.4, scale=2.4)" in str(edm)
    assert_says(text, "mean 2.4 and standard deviation 2.4")
    assert "logistic(loc=0, scale=2)" in str(dv.probe(losses.MYSTERIES["B"], x))
    assert_says(text, "logistic with scale 2")
    assert "norm(loc=1, scale=2)" in str(dv.probe(losses.MYSTERIES["D"], x))
    assert_says(text, "The measured mean is +1")
    assert "not a squared loss" in str(dv.probe(losses.huber, x))


# --- notebook 2: computed ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def schedules():
    return prose(SCHEDULES)


def test_noise_schedules_says_what_draws_do(schedules):
    outside = 2 * paths.COSINE.schedule.sf(10)
    start = float(paths.cosine(0.008, normalise=False).logsnr(0))
    laws = schedule_experiments.SAMPLERS
    noise = {name: schedule_experiments.draw_variance(law) for name, law in laws.items()}
    assert_says(
        schedules,
        f"{percent(outside, 2)} of the draws lie beyond |λ| = 10",
        f"λ(0) = {start:.3f}",
        f"{noise['cosine']:.2f} under the cosine density, {noise['FM uniform t']:.2f} under",
        f"{noise['uniform λ on [−15, 15]']:.2f} under uniform λ, four times the first",
    )
    assert noise["uniform λ on [−15, 15]"] / noise["cosine"] == pytest.approx(4, abs=0.1)
    assert np.isinf([noise["EDM log-normal"], noise["logit-normal(0, 1)"]]).all()
    drawn = schedule_experiments.draws(n=20_000, seed=0)
    open_dots = [drawn[name].mean for name in ("EDM log-normal", "logit-normal(0, 1)")]
    assert 0.95 * np.pi / 2 < min(open_dots) and max(open_dots) < np.pi / 2
    assert_says(schedules, "Both open dots lie a little below $\\pi/2$")


def test_a_shift_moves_two_views_and_leaves_two_as_they_are(schedules):
    time = np.linspace(0.01, 0.99, 99)
    plain, moved = (
        schedule_experiments.views(paths.COSINE.schedule, shift, time=time) for shift in (1.0, 2.0)
    )
    step = moved.logsnr - plain.logsnr
    assert step == pytest.approx(np.full(99, -2 * np.log(2)))
    assert moved.logsnr_density == pytest.approx(plain.logsnr_density)  # at levels moved by a step
    assert moved.slope == pytest.approx(plain.slope)
    for view in (plain, moved):
        assert view.sigma**2 == pytest.approx(expit(-view.logsnr))
    assert np.ptp(moved.sigma - plain.sigma) > 0.1
    others = np.interp(plain.sigma, moved.sigma, moved.sigma_density)
    assert np.ptp(np.log(others / plain.sigma_density)[10:90]) > 0.1
    assert_says(
        schedules,
        "only moves down or up, and the density over $\\lambda$ only moves to the left or right",
        "Two views do not change at all: the speed, and $\\sigma$ over $\\lambda$",
    )


def test_noise_schedules_says_what_the_second_moment_is(schedules):
    value, least, _ = schedule_experiments.second_moment(FM, FM.law)
    assert (value, least) == pytest.approx((3 + 1.5 * np.pi, 0.75 * np.pi**2), rel=1e-7)
    wide = np.linspace(-20, 20, 81)
    loss = np.trapezoid(FM.weighting(wide) / 2 * dv.toy("ring8").mmse(wide), wide)
    assert_says(
        schedules,
        f"| 3 + 3π/2 = {value:.4f} |",
        f"| 3π²/4 = {least:.4f} |",
        f"ratio, {value / least:.4f}",
        f"the exact {loss:.3f}",
        f"-log 4 = {-np.log(4):.3f} per doubling",
        f"shift 3 is {-2 * np.log(3):.3f}",
        f"{(1 + 0.99) / (1 - 0.99):.0f} at 0.99",
    )


def test_the_answers_of_the_explorer_of_densities_are_right(schedules):
    """E Y² over its least value, and where the curve of EDM's density turns up."""
    edm_law = dv.objective("edm").law
    wide = np.linspace(-20, 20, 4001)
    spent = np.log(FM.weighting(wide) * analysis.gaussian_mmse(wide))
    slope = np.gradient(2 * spent - edm_law.logpdf(wide), wide)
    assert (slope[wide < -3] < 0).all() and (slope[wide > 8.5] > 0).all()
    falls = (wide > -1) & (wide < 8)
    assert (slope[falls] < 0).all()
    found = {}
    for name, law in (
        ("own", edm_law),
        ("shifted", stats.norm(2.4 - 2 * np.log(1.75), 2.4)),
    ):
        value, least, _ = schedule_experiments.second_moment(dv.objective("edm"), law)
        found[name] = value / least
    flow, least, _ = schedule_experiments.second_moment(FM, FM.law)
    assert 2 * np.log(2) == pytest.approx(1.4, abs=0.02)
    assert_says(
        schedules,
        f"The ratio is {flow / least:.4f}",
        "it moves λ by -2 log s, which is nearly -1.4",
        "soon at the noise end, and beyond λ = 8 at the data end",
        f"With EDM's own density the ratio is {found['own']:.2f}. The shift 1.75 takes it to "
        f"{found['shifted']:.2f}",
    )


def test_noise_schedules_says_what_laws_cost(schedules):
    kingma_gao = FM.weighting(MIDDLE) * ring_moments()[0]
    even = np.full(100, 0.01)
    mixed = 0.95 * kingma_gao / kingma_gao.sum() + 0.05 * even
    # the uniform share costs nothing that is seen
    assert over_least(mixed) == pytest.approx(over_least(kingma_gao), abs=2e-3)
    flow, cosine, uniform = (
        over_least(law.pdf(MIDDLE))
        for law in (FM.law, paths.COSINE.schedule, stats.uniform(-10, 20))
    )
    assert_says(
        schedules,
        f"Without the noise of the tracker it would end at {over_least(kingma_gao):.2f}",
        f"uniform λ on [-10, 10], at {uniform:.2f} times the least",
        f"own uniform t has {flow:.2f} and the plain cosine schedule {cosine:.2f}",
    )


def test_two_rules_that_gain_nothing_end_where_it_is_said(schedules):
    """As the panels count: the median over the second half of the steps."""
    ratios = tracking_experiments.variance_ratios()[1]
    ends = {name: np.median(ratio[len(ratio) // 2 :]) for name, ratio in ratios.items()}
    ragged, warp = ends["second moment (iDDPM)"], ends["time warp (CDCD)"]
    still = [ends[name] for name in tracking_experiments.STILL]
    assert ragged == pytest.approx(1.18, abs=0.02)
    assert ragged > max(still) - 0.01
    assert warp == pytest.approx(1.47, abs=0.02) and warp > max(still)
    assert_says(
        schedules,
        "at 1.18 it is no better than uniform t",
        "At about 1.5 it is worse than both densities that learn nothing",
    )


def test_every_path_is_rescaled_where_the_text_says(schedules):
    """At λ = 0 the paths themselves have other scales; over √(α² + σ²) they are one."""
    sigmas = {}
    for path in (paths.LINEAR, paths.COSINE):
        time = path.time([0.0])[0]
        alpha, sigma = path.alpha(time), path.sigma(time)
        sigmas[path.name] = sigma
        assert sigma / np.hypot(alpha, sigma) == pytest.approx(0.5**0.5)
    assert sigmas["linear"] == pytest.approx(0.5)
    assert sigmas["cosine"] == pytest.approx(0.5**0.5)
    assert_says(schedules, r"is rescaled so that $\alpha^2 + \sigma^2 = 1$")


def test_noise_schedules_says_what_the_tracker_covers(schedules):
    """The loss on the tracker's bins, and that the network's numbers lie near it."""
    fine = np.linspace(-10, 10, 4001)
    exact = np.trapezoid(FM.weighting(fine) / 2 * dv.toy("ring8").mmse(fine), fine)
    assert_says(schedules, f"the exact loss of flow matching is {exact:.3f}")
    (row,) = re.findall(r"^fm-ot +([\d.]+) ± ([\d.]+) ([\d.]+) ± ", printed(SCHEDULES), re.M)
    assert abs(float(row[0]) - exact) < 2 * float(row[1])
    assert float(row[2]) > exact


def test_a_loss_that_fills_in_is_ragged_where_draws_are_few_and_the_error_is_not_small(schedules):
    share = 1 / (1 + np.exp(4.0))  # of uniform t beyond λ = 8, where t = sigmoid(−λ/2)
    assert_says(
        schedules,
        f"{percent(share, 1)} of its draws lie beyond λ = 8",
        f"about {schedule_experiments.BATCH * share:.0f} of a batch",
    )
    *_, end = schedule_experiments.filling(FM, paths.LINEAR.schedule, decay=0.9)
    middle = schedule_experiments.bin_middles()
    off = np.nan_to_num(end.mean - 1 / (1 + np.exp(-middle)))
    noise, data = (np.sqrt((off[where] ** 2).mean()) for where in (middle < -8, middle > 8))
    assert noise < 1e-3 < 0.1 < data


def test_the_first_three_densities_agree_and_the_last_two_have_no_variance(schedules):
    """On the ring: E Y² grows with the range under a density with Gaussian tails."""
    told = re.findall(r"^(.+?) +([\d.]+) ± ([\d.]+)$", printed(SCHEDULES), re.M)
    rows = [row for row in told if row[0] in schedule_experiments.SAMPLERS]
    names = [name for name, _, _ in rows]
    assert names == [*schedule_experiments.SAMPLERS]
    wide = np.linspace(-20, 20, 4001)
    ring = dv.toy("ring8")
    exact = np.trapezoid(FM.weighting(wide) / 2 * ring.mmse(wide), wide)
    for _, mean, error in rows[:3]:
        assert abs(float(mean) - exact) < 2 * float(error)
    levels = np.linspace(-40, 40, 1601)
    square = FM.weighting(levels) ** 2 * ring.moments(levels)[1]
    for name, law in schedule_experiments.SAMPLERS.items():
        if name.startswith("uniform"):
            continue
        parts = square * np.exp(-law.logpdf(levels))
        inner = abs(levels) < 30
        grows = parts.sum() > 1.5 * parts[inner].sum()
        assert grows == (name in names[3:])
    assert_says(schedules, "The first three do so within two standard errors")


def test_at_the_dip_the_noise_is_between_the_width_of_a_mode_and_the_gap(schedules):
    ring = dv.toy("ring8")
    points = ring.sample(4000, generator(0)).numpy()
    angle = np.round(np.arctan2(points[:, 1], points[:, 0]) / (np.pi / 4)) % 8
    modes = [points[angle == k] for k in range(8)]
    width = max(mode.std(0).max() for mode in modes)
    gap = np.linalg.norm(modes[0].mean(0) - modes[1].mean(0))
    level = MIDDLE[40 + ring_moments()[0][40:80].argmin()]
    assert level == pytest.approx(3, abs=0.5)
    assert 1.5 * width < np.exp(-level / 2) < gap / 2
    assert_says(schedules, "smaller than the gap between two modes and larger than one mode")


def test_noise_schedules_says_which_weighting_and_densities_it_uses(schedules):
    assert FM.weighting(MIDDLE) == pytest.approx(np.exp(-MIDDLE / 2))
    assert_says(schedules, "Flow matching has $w = e^{-\\lambda/2}$")
    elbo = dv.objective("elbo")
    assert elbo.law.pdf(MIDDLE) == pytest.approx(paths.COSINE.schedule.pdf(MIDDLE))
    assert_says(schedules, "Here it draws from the cosine schedule")
    ends = {(grid[0], grid[-1]) for grid in (dv.grid(law, 8) for law in GRIDS.values())}
    assert ends == {(-10.0, 14.0)}
    assert_says(schedules, "All three grids begin at λ = -10 and end at λ = 14")
    assert dv.toy("ring8").law.means.norm(dim=1).numpy() == pytest.approx(np.full(8, 2.0))
    assert_says(schedules, "of radius 2; notebook 3 scales it to unit variance")


def test_the_best_density_is_w_mmse_for_a_gaussian_error_only(schedules):
    """Kingma and Gao's density, w times mmse, is not the best one on the ring."""
    mmse, square = ring_moments()
    assert over_least(FM.weighting(MIDDLE) * np.sqrt(square)) == pytest.approx(1)
    assert over_least(FM.weighting(MIDDLE) * mmse) > 1.1
    assert_says(schedules, "On other data it is not, as section 5 shows")


def test_800_steps_are_fewer_than_the_longest_memory(schedules):
    """What a mean with weights γ^k is worth, in batches: (Σ γ^k)² / Σ γ^2k."""
    medium, long = (
        (share := decay ** np.arange(800)).sum() ** 2 / (share**2).sum() for decay in (0.99, 0.999)
    )
    assert medium == pytest.approx(199, rel=0.01)
    assert 800 < 1.999 / 0.001
    assert (medium / long) ** 0.5 == pytest.approx(0.5, abs=0.03)
    assert_says(schedules, "only 800 steps", "about half of the one before, and not a third")


def test_the_fourth_moment_of_a_gaussian_error_is_as_said_in_any_dimension(schedules):
    for d in (1, 2, 5):
        size = np.random.default_rng(d).chisquare(d, 400_000)
        assert (size**2).mean() == pytest.approx(d * (d + 2), rel=0.03)
    assert_says(schedules, r"= d\,(d+2)\operatorname{sigmoid}^2(\lambda)")


def test_on_white_data_edm2_changes_the_weighting_by_a_factor_of_two(schedules):
    level = np.linspace(-40, 40, 8001)
    ratio = FM.law.pdf(level) / analysis.gaussian_mmse(level) / FM.weighting(level)
    ratio *= 2 / ratio[4000]
    np.testing.assert_allclose(ratio, 4 - 2 / np.cosh(level / 4) ** 2, rtol=1e-6)
    assert_says(
        schedules,
        "which is 2 at λ = 0 and 4 at both ends",
        "the rule changes $w$ by a factor of 2 at most",
    )


def test_the_answers_of_the_explorer_of_grids_are_right(schedules):
    def walked(grid, steps):
        return walks.walk(walks.Setting("moons", grid=grid, steps=steps))

    def error(grid, steps):
        return walks.error_of_end(walked(grid, steps))

    even, cosine = error("uniform in λ", 8), error("VP cosine", 8)
    assert error("uniform in λ", 18) > cosine + 1e-3 > cosine >= error("uniform in λ", 19) - 2e-4
    assert_says(
        schedules,
        f"It falls from {even:.3f} to {cosine:.3f}, by a factor of {even / cosine:.2f}",
        "It needs 19 steps",
        "the first two and the last two steps hardly move a point",
        "On `VP cosine` every step moves the points",
    )
    far = {}
    for grid in ("uniform in λ", "VP cosine"):
        walk = walked(grid, 8)
        ways = np.diff(np.asarray(walk.trajectory.on(walk.setting.path)[1]), axis=0)
        far[grid] = np.linalg.norm(ways, axis=-1).mean(1)
    assert max(far["uniform in λ"][[0, 1, 6, 7]]) < 0.01 < 0.02 < min(far["VP cosine"])
    assert min(far["uniform in λ"][2:6]) > 0.05


def test_edm2_gives_ten_times_more_at_the_dip(schedules):
    """The weighting 2p/E‖ε̂ − ε‖² of EDM2's rule with the exact denoiser, over the one asked."""
    ratio = 2 * FM.law.pdf(MIDDLE) / ring_moments()[0] / FM.weighting(MIDDLE)
    far = np.array([-30.0, -29.0])
    trained = FM.law.pdf(far) / dv.toy("ring8").moments(far)[0]
    assert np.log(trained[1] / trained[0]) == pytest.approx(-0.5, abs=1e-3)
    ratio /= np.interp(0.0, MIDDLE, ratio)
    assert ratio[MIDDLE < -4].max() < 1.6 * ratio[MIDDLE < -4].min()
    assert np.interp(3.0, MIDDLE, ratio) == pytest.approx(10, rel=0.3)
    assert_says(
        schedules,
        "Towards noise the two happen to be parallel: both fall as $e^{-\\lambda/2}$",
        "the line gives about ten times more",
    )


# --- notebook 2: trained -----------------------------------------------------------------------
# Rounded in the prose, since the last digits of a training are the machine's.

NAMES = ("iddpm-cosine", "elbo", "sigmoid-bias2", "fm-ot", "sd3")
BUT_ELBO = [0, 2, 3, 4]
LEVELS = np.linspace(-10, 10, 41)


@pytest.fixture(scope="module")
def ring_points():
    return dv.toy("ring8").sample(50_000, generator(0)).float()


@pytest.fixture(scope="module")
def ring_run(ring_points):
    return dv.fit("fm-ot", ring_points, progress=False)[0]


@pytest.fixture(scope="module")
def digits():
    return dv.toy("digits").sample(20_000, generator(1)).float().flatten(1)


@pytest.fixture(scope="module")
def moments(digits, ring_points, ring_run):
    """Moments of value and gradient by level, on digits and on the ring."""
    (digit_run,) = dv.fit(
        "fm-ot",
        digits,
        model=dv.models.MLP(128),
        steps=200,
        batch=256,
        learning_rate=3e-3,
        progress=False,
    )
    return {
        "digits": variance.trained(digit_run, digits[:128], LEVELS),
        "ring": variance.trained(ring_run, ring_points[:256], LEVELS),
    }


@pytest.fixture(scope="module")
def gains(moments):
    """Gains of better laws on both data, a row for each of ``NAMES``."""
    rows = {
        data: np.array([variance.gains(dv.objective(name), *found) for name in NAMES])
        for data, found in moments.items()
    }
    drawn = tracking_experiments.variance_gains(NAMES)  # what the notebook draws
    for data, found in zip(("ring", "digits"), drawn.values(), strict=True):
        assert np.array([*found.values()]) == pytest.approx(rows[data], rel=1e-6)
    return rows


def test_a_long_memory_is_late_and_the_network_ends_near_its_floor(schedules, ring_run):
    over = tracking_experiments.tracked_training().tracker.curve()[0] / ring_moments()[0]
    near_3 = slice(62, 67)  # bins of λ from 2.4 to 3.4
    assert over[2, near_3].mean() == pytest.approx(1.23, rel=0.06)
    assert_says(
        schedules,
        "is smooth and *late*. From λ = 2.4 to 3.4, where the eight modes are told apart",
        "it shows the loss about 23 % above the least that is possible",
    )
    ring, level = dv.toy("ring8"), torch.tensor(2.9, dtype=torch.float64)
    held = ring.sample(40_000, generator(1)).double()
    eps = torch.randn(held.shape, generator=generator(2), dtype=held.dtype)
    z = level.sigmoid().sqrt() * held + (-level).sigmoid().sqrt() * eps
    network, floor = ((model.denoise(z, level) - held).square().sum() for model in (ring_run, ring))
    assert network / floor == pytest.approx(1.09, rel=0.044)
    assert tracking_experiments.watched_loss().measured[near_3].mean() == pytest.approx(
        1.07 * ring_moments()[0][near_3].mean(), rel=0.044
    )
    assert_says(
        schedules,
        "Over the same range the finished network, the dark line, is about 7 % above the least",
    )


def test_the_bands_are_wider_than_the_noise_of_even_draws(schedules, ring_points):
    means, stderrs = [], []
    for seed in range(6):
        tracker = dv.LossByLogSNR(tracking_experiments.EDGES, 0.99)

        def watch(step, tracker=tracker):
            tracker.update(step.logsnr, step.error)

        dv.fit("fm-ot", ring_points, seed=seed, progress=False, callback=watch)
        mean, stderr, _ = tracker.curve()
        means.append(mean)
        stderrs.append(stderr)
    share = np.std(means, axis=0, ddof=1) / np.mean(stderrs, axis=0)
    low = slice(30, 50)  # bins of λ from -4 to 0
    high = slice(55, 75)  # bins of λ from 1 to 5
    assert share[low].mean() == pytest.approx(0.4, abs=0.12)
    assert share[high].mean() == pytest.approx(0.67, abs=0.15)
    assert_says(
        schedules,
        "from λ = -4 to 0 about two fifths of the band, from 1 to 5 about two thirds",
    )


def test_adapted_laws_end_as_near_the_least_as_is_said(schedules):
    kingma_gao, least = (
        over_least(tracking_experiments.adapted(name)[0])[-1]
        for name in ("Kingma–Gao", "minimum variance")
    )
    assert kingma_gao == pytest.approx(1.14, abs=0.02)
    assert least < 1.03
    assert tracking_experiments.variance_ratios()[0][-1] == 1600
    assert_says(schedules, "about 1.14 times the least", "comes within 3 % of the least")
    assert_says(schedules, "the density of a rule after 1,600 steps", "20,000 draws under each")


def test_what_laws_gain_in_the_value_is_as_told(schedules, gains):
    on_digits, on_ring = gains["digits"][:, 0], gains["ring"][:, 0]
    assert on_digits[BUT_ELBO] == pytest.approx([24, 12, 3, 2], rel=0.15)
    assert on_digits[1] == pytest.approx(370, rel=0.15)
    assert (on_ring[BUT_ELBO] < 2).all()
    assert on_ring[1] == pytest.approx(20, rel=0.15)
    others = [found[1, column] for found in gains.values() for column in (2, 3)]
    assert min(others) == pytest.approx(5, rel=0.15)
    assert max(others) == pytest.approx(11, rel=0.15)
    assert_says(
        schedules,
        "| best density, one draw | 24 | 12 | 3 | 2 |",
        "it gains 370 for one draw of the digits and about 20 on the ring",
        "With stratified draws and in the gradient it still gains 5 to 11",
        "on the ring, the gains are below 2 but for the ELBO",
        "under ε-cosine a 24th of the variance is left",
        "The own densities of flow matching and SD3 fit better, and gain only two to three times",
    )


def test_where_the_published_cosine_schedule_ends_is_as_told(schedules):
    offset = 0.008
    angle = np.pi / 2 * (1 / 4000 + offset) / (1 + offset)
    first = np.cos(angle) ** 2 / np.cos(np.pi / 2 * offset / (1 + offset)) ** 2
    level = np.log(first / (1 - first))
    assert level == pytest.approx(float(paths.cosine(offset).logsnr(1 / 4000)), abs=1e-6)
    assert level == pytest.approx(11.5, abs=0.05)
    assert_says(schedules, "its first step of 4,000 lies at λ = 11.5")


def test_a_shift_changes_the_shape_of_a_weighting_on_u(schedules):
    s, ends = 3.0, np.array([-30.0, 30.0])
    law = stats.logistic(0, 2)
    shifted = law.pdf(ends + 2 * np.log(s))
    np.testing.assert_allclose(shifted / law.pdf(ends), [s, 1 / s], rtol=1e-5)
    assert_says(schedules, "$w$ becomes $s$ times as large at the noise end and $1/s$ times at the")


def test_what_laws_gain_in_the_gradient_is_as_told(schedules, gains):
    for found in gains.values():
        assert (found[BUT_ELBO, 2] < 2).all()
        assert (found[BUT_ELBO, 3] < 2).all()
    on_digits = gains["digits"]
    assert (on_digits[[3, 4], 2] < 1.05).all()
    assert on_digits[[0, 2, 3], 3] == pytest.approx([1.7, 1.55, 1.1], rel=0.08)
    assert on_digits[4, 3] == pytest.approx(1.06, rel=0.08)
    assert (gains["ring"][[3, 4], 3] < 0.95).all()
    for found in gains.values():
        assert found[1, 3] > 4  # the ELBO
    assert on_digits[BUT_ELBO, 2] == pytest.approx([1.76, 1.44, 1.03, 1.02], rel=0.06)
    assert_says(
        schedules,
        "It gains less than a factor of 2, again but for the ELBO",
        "| best density, both stratified | 1.8 | 1.4 | 1.0 | 1.0 |",
        "less than 2 for all but the ELBO",
        "nothing for flow matching and SD3 on the digits",
        "| best density, gradient | 1.7 | 1.6 | 1.1 | 1.1 |",
        "*worse* for flow matching's gradient",
    )


def test_the_error_at_a_level_varies_by_a_quarter(schedules, moments):
    value, _ = moments["digits"]
    mean_square = np.prod(value.means, axis=0).sum(1)
    scatter = np.sqrt(value.second / mean_square - 1)
    counts = IDDPM.weighting(LEVELS) * np.sqrt(value.second)
    assert scatter @ counts / counts.sum() == pytest.approx(0.24, abs=0.05)
    assert_says(schedules, "its standard deviation is about a quarter of its mean")


def stratifying(moment, name):
    """How many times less variance stratified draws have."""
    entry = dv.objective(name)
    return moment.variance(entry) / moment.variance(entry, stratified=True)


def test_stratifying_helps_the_value_and_not_the_gradient(schedules, moments):
    value, gradient = moments["digits"]
    ratios = np.array([stratifying(value, name) for name in NAMES])
    assert ratios[BUT_ELBO] == pytest.approx([13.4, 8.6, 3.1, 2.2], rel=0.15)
    for name in NAMES:
        for found in (gradient, moments["ring"][1]):
            assert stratifying(found, name) == pytest.approx(1, abs=0.05)
    assert_says(
        schedules,
        "| stratified draws alone | 13 | 9 | 3 | 2 |",
        "Stratifying does nothing for the gradient",
    )


def test_a_difference_on_the_same_draws_has_far_less_error(schedules, ring_run):
    ring, entry = dv.toy("ring8"), dv.objective("fm-ot")
    mine, exact = (
        validation.validation_loss(model.denoise, ring.sample(2000, generator(7)).float(), entry)
        for model in (ring_run, ring)
    )
    gap = mine[2] - exact[2]
    assert gap.std() / len(gap) ** 0.5 == pytest.approx(float(mine[1]) / 12, rel=0.2)
    assert_says(
        schedules,
        "far less error than each has by itself",
        "about a twelfth of the error of either",
    )


def test_noise_schedules_says_what_grids_do(schedules):
    distances = tracking_experiments.density_or_grid().distances
    eight = tracking_experiments.STEPS.index(8)
    found = np.array([[distances[place, name][eight] for name in TRAINED] for place in GRIDS])
    assert found[2] / found[0] == pytest.approx([2.1, 2.1], abs=0.25)
    assert np.abs(np.log(found[:, 0] / found[:, 1])).max() < np.log(1.15)  # either may be ahead
    assert found[:, 1].argmax() == 2
    many = tracking_experiments.STEPS.index(32)
    last = np.array([[distances[place, name][many] for name in TRAINED] for place in GRIDS])
    assert last[2] / last[0] == pytest.approx([1.6, 1.6], abs=0.2)
    assert np.abs(last[:, 0] / last[:, 1] - 1).max() < 0.22
    assert_says(
        schedules,
        "At 32 steps the grids differ by a factor of about 1.6, and the networks by up to a fifth",
        "uniform-λ grid is about twice as far from the truth as the cosine grid",
        "the two networks differ by less than 15 %",
        "*worst* on the uniform-λ grid",
    )
