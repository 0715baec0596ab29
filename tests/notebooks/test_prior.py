"""Every number in the prose of notebook 7 is computed here again, and looked for in the text."""

import math
import re
from itertools import permutations

import numpy as np
import pytest
import torch
from notebook_prose import assert_says, cells, percent, printed
from scipy.special import expit, ndtr

import diffviz as dv
from diffviz.lab import figures
from diffviz.lab.exercises import check
from diffviz.lab.experiments import prior as prior_experiments
from diffviz.lab.experiments.prior import TERMINAL
from diffviz.lab.explorers import PriorExplorer
from diffviz.theory import prior

NOTEBOOK = "07_prior"

pytestmark = pytest.mark.slow

SD = prior_experiments.TERMINAL["Stable Diffusion"]
DDPM = prior_experiments.TERMINAL["DDPM linear"]
SIZES = prior_experiments.SIZES
V = prior_experiments.SIDE**2 * 0.05  # variance of the coefficient at frequency 0


def test_the_nats_are_right(text):
    total, felt = (nats.tolist() for nats in prior_experiments.kl([*TERMINAL.values()]))
    signal = expit(SD)
    power = prior_experiments.spectrum()
    texture = power.sum() - power[0, 0]
    assert texture / 64**2 == pytest.approx(0.15, rel=1e-12)
    v, shift = 1 + signal * (V - 1), signal * (0.6 * 64) ** 2
    assert_says(
        text,
        f"{total[0]:.2f} nats for 4,096 pixels, "
        f"or {total[0] / 4096 / math.log(2):.4f} bits a pixel",
        f"The first part is {total[0] - felt[0]:.2f} nats: what $z_T$ tells of $x$. "
        f"The second is {felt[0]:.2f} nats: how far the start is from what training left. "
        f"(Together they are {total[0]:.2f}.)",
        f"But the {felt[0]:.2f} nats",
        f"{(v - 1 - math.log(v) + shift) / 2:.2f} of them sit in *one* direction",
        f"linear schedule the prior term is {total[1]:.2g} nats",
        f"with iDDPM's cosine schedule {total[2]:.2g}",
        f"A cloudy texture of variance {texture / 64**2:.2f} lies on top",
        f"V = N · var(brightness), here {V:.0f}",
        f"{math.sqrt(0.05):.3f}",
    )
    centred, (of_centred,) = (v - 1 - math.log(v)) / 2, prior_experiments.kl([SD], mean=0.0)[1]
    assert_says(text, f"the same direction would hold {centred:.2f} of {of_centred:.2f} nats")
    # what z_T tells of x, by the coefficients' own signal-to-noise ratios
    information = np.log1p(math.exp(SD) * power).sum() / 2
    assert information == pytest.approx(total[0] - felt[0], rel=1e-9)


def test_gaussian_pixels_pass_black_as_often_as_is_said(text):
    below = ndtr((-1 + 0.6) / math.sqrt(0.05 + 0.15))
    assert_says(text, f"{percent(below, 0)} of these lie below -1")
    assert_says(text, "Below -1.2 they are drawn black")
    panels = figures.draw("brightness").figure.axes
    assert {image.get_clim()[0] for ax in panels for image in ax.images} == {-1.2}


def test_a_wrong_start_narrows_the_coarsest_waves_as_told(text):
    power = np.sort(prior_experiments.spectrum().ravel())[::-1]
    kept = 1 / np.sqrt(1 + expit(SD) * (power - 1))
    assert power[0] == pytest.approx(V)
    assert kept[1] == pytest.approx(kept[2])
    assert 1 - kept[1] == pytest.approx(0.2, abs=0.02)
    narrowed = (kept[1:] < 1).sum()
    assert_says(
        text,
        "in the orthonormal basis of cosine waves",
        "with its own $V_f$ in the place of $V$, and no mean",
        f"Besides the brightness, {narrowed} others of the 4,096 are narrowed in this way",
        f"The two coarsest are narrowed most: they keep {percent(kept[1], 0)} of their spread",
        "a fifth of the contrast of the two coarsest waves",
    )


def sampled_brightness(eta):
    """Mean and deviation of the brightness of 2,000 samples from N(0, 1), DDIM or DDPM by eta."""
    data = dv.mixture([[-0.6 * 64]], 64 * math.sqrt(0.05))
    levels = prior_experiments.LEVELS["Stable Diffusion"]
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(2000, 1, generator=generator, dtype=torch.float64)
    walk = dv.sample(data, levels, solver="ddim", eta=eta, start=start, generator=generator)
    x = walk.samples / 64
    return x.mean().item(), x.std().item()


def test_the_brightness_of_samples_is_right(text):
    (mean, std), (ddpm_mean, ddpm_std) = sampled_brightness(0), sampled_brightness(1)
    closed, ratio = (float(value) for value in prior.terminal_bias(SD, -0.6, V))
    assert_says(
        text,
        f"their mean is {mean:.2f} instead of -0.6",
        f"leaves {percent(ratio, 0)} of the spread",
        f"The closed form says {closed:.3f} and {ratio:.3f}",
        f"the mean is {ddpm_mean:.2f}, and {percent(ddpm_std / 0.05**0.5, 0)} of the spread",
    )
    assert abs(mean - closed) < 3 * std / 2000**0.5 + 0.004
    assert std / 0.05**0.5 == pytest.approx(ratio, abs=0.03)


def test_the_start_of_the_sampler_itself_has_no_bias():
    data = dv.mixture([[-0.6 * 64]], 64 * math.sqrt(0.05))
    levels = prior_experiments.LEVELS["Stable Diffusion"]
    generator = torch.Generator().manual_seed(0)
    x = dv.sample(data, levels, solver="ddim", n=2000, generator=generator).samples / 64
    code = " ".join(cell.source for cell in cells(NOTEBOOK) if cell.cell_type == "code")
    assert "without start=, dv.sample would begin at the true mean and variance of z" in code
    assert x.mean().item() == pytest.approx(-0.6, abs=0.02)  # four standard errors
    assert x.std().item() == pytest.approx(0.05**0.5, rel=0.06)


def kept(level, side):
    """Share of the mean brightness that samples keep, as the prose writes it."""
    return percent(float(prior.terminal_bias(level, 1.0, side**2 * 0.05)[0]), 0)


def test_what_each_end_keeps_is_right(text):
    small, middle, large = (kept(SD, side) for side in SIZES)
    levels = prior_experiments.LEVELS["iDDPM cosine"]
    spread = float(prior_experiments.brightness(levels, 256)[1])
    lost = percent(1 - spread / math.sqrt(0.05), 0)
    assert_says(
        text,
        f"| Stable Diffusion's end | {small} | {middle} | {large} |",
        f"| DDPM's linear schedule | {kept(DDPM, 16)} | {kept(DDPM, 64)} | {kept(DDPM, 256)} |",
        f"with V = {256**2 * 0.05:.0f} even 1,000 steps of DDIM lose {lost} of the spread, "
        "where they begin at the end of the cosine schedule",
    )


def test_the_numbers_of_offset_noise_are_right(text):
    shift = prior.offset_shift(0.1, 64**2)
    mean, spread = prior_experiments.offset_bias(SD, 0.1)
    _, plain = prior_experiments.offset_bias(SD, 0.1, also_at_start=False)
    assert_says(
        text,
        f"by {shift:.3f} nats: there the noise has {math.exp(-shift):.2f} times the variance",
        f"{percent(mean, 0)} of the mean and {percent(spread, 0)} of the spread",
        f"but {percent(plain, 0)} of the spread is left",
    )
    (drawn,) = re.findall(r"^offset in the start too +\S+ ± (\S+)$", printed(NOTEBOOK), re.M)
    assert float(drawn) / 0.05**0.5 == pytest.approx(spread, abs=0.05)  # 2,000 draws


def test_what_the_settings_to_try_show_is_right(text):
    cosine = float(prior.terminal_bias(TERMINAL["iDDPM cosine"], 1.0, 512**2 * 0.22**2)[0])
    assert cosine > 0.99
    assert float(prior.terminal_bias(SD, 1.0, 512**2 * 0.22**2)[0]) < 0.05
    narrow = 1 - float(prior.terminal_bias(SD, 1.0, 64**2 * 0.02**2)[0])
    assert_says(
        text,
        "less than 1 % of the mean is lost, with Stable Diffusion's nearly all",
        f"only {percent(narrow, 0)} of the mean is lost",
    )


def test_straightness_over_the_energy_is_largest_where_the_spread_stays(text):
    found = {}
    for c in (0.01, 0.25, 0.8, 1.0, 1.25, 4.0, 100.0):
        bend = prior_experiments.straightness([c])[0]
        found[c] = bend / (bend + (1 - math.sqrt(c)) ** 2)  # the energy is S and the chord's square
    assert max(found, key=found.get) == 1
    assert found[1.0] == pytest.approx(1, abs=1e-3)
    for c in (0.01, 0.25, 0.8):
        assert found[c] == pytest.approx(found[1 / c], rel=1e-3)
        bends = prior_experiments.straightness([c, 1 / c])
        assert bends[0] / c == pytest.approx(bends[1], rel=1e-3)
    assert_says(
        text,
        "The ratio is largest at $c = 1$, and 1 there. Start and end have one law",
        "Why is it the same for $c$ and for $1/c$?",
    )


def test_the_answers_on_couplings_are_those_of_the_explorer(text):
    rows = PriorExplorer(shows="couplings").view.panels[1].rows
    shares, costs, lengths = (
        dict(zip((row[0].strip("▸ ") for row in rows), column, strict=True))
        for column in list(zip(*rows, strict=True))[1:]
    )
    assert (
        lengths["independent pairs"] == "1.000" and shares["exact flow"] == shares["reflow pairs"]
    )
    length = float(lengths["exact flow"])
    assert_says(
        text,
        f"the paths are {length:.2f} times as long as their chords",
        f"They do, {costs['reflow pairs']} against {costs['minibatch OT pairs']}",
    )
    ring, moons = prior_experiments.ring_and_moons()
    z = ring.sample(50, torch.Generator().manual_seed(0))
    velocity = prior_experiments.exact_velocity(ring, moons)(z, torch.tensor(1.0))
    to_one_point = z - velocity
    assert (to_one_point.std(0) < 1e-6).all()  # the mean of the data
    assert_says(text, "They go towards the middle, the mean of the data")


@pytest.fixture(scope="module")
def numbers():
    """Numbers of each coupling, by name."""
    return {name: found.numbers() for name, found in prior_experiments.coupled().items()}


COUPLING_CLAIMS = [  # claim, coupling, number, value as written, room for another machine
    ("Independent pairs cost 33.8", "independent, exact", "cost", 33.8, 0.05),
    ("S = 13.9", "independent, exact", "S", 13.9, 0.1),
    ("S is 9.3 for the learnt one", "independent, learnt", "S", 9.3, 0.4),
    ("and 14 for the exact one", "independent, exact", "S", 14, 0.2),
    ("1.53 times as long", "independent, exact", "path ratio", 1.53, 0.01),
    (
        "independent pairs ends 3.0 away",
        "independent, exact",
        "W2, 1",
        3.0,
        0.05,
    ),
    ("3 % cross, cost 8.3", "minibatch OT", "crossings", 0.03, 0.005),
    ("3 % cross, cost 8.3", "minibatch OT", "cost", 8.3, 0.05),
    ("The flow is straight, S = 0.07", "minibatch OT", "S", 0.07, 0.03),
    ("The flow is straight", "minibatch OT", "path ratio", 1.003, 0.002),
    ("0.55 against 0.50", "minibatch OT", "W2, 1", 0.55, 0.05),
    ("0.55 against 0.50", "minibatch OT", "W2, 8", 0.50, 0.05),
    ("4 % cross, cost 9.3, S = 0.27", "reflow", "crossings", 0.04, 0.005),
    ("4 % cross, cost 9.3, S = 0.27", "reflow", "cost", 9.3, 0.05),
    ("4 % cross, cost 9.3, S = 0.27", "reflow", "S", 0.27, 0.08),
    ("0.50 and 0.59 against 0.79", "reflow", "W2, 8", 0.59, 0.06),
    ("0.50 and 0.59 against 0.79", "independent, exact", "W2, 8", 0.79, 0.02),
    ("the exact flow reaches 0.32", "independent, exact", "W2, 64", 0.32, 0.01),
    ("still stand at 0.50 and 0.60", "minibatch OT", "W2, 64", 0.50, 0.05),
    ("still stand at 0.50 and 0.60", "reflow", "W2, 64", 0.60, 0.06),
    ("49 % of all pairs of pairs", "independent, exact", "crossings", 0.49, 0.02),
]


@pytest.mark.parametrize(("claim", "coupling", "number", "written", "room"), COUPLING_CLAIMS)
def test_the_numbers_of_couplings_are_right(claim, coupling, number, written, room, text, numbers):
    assert_says(text, claim)
    assert numbers[coupling][number] == pytest.approx(written, abs=room)


def test_one_step_of_the_exact_flow_ends_at_the_mean_of_the_data(text, numbers):
    """Independent pairs: E[x − z|z] at the source is the mean of the data less z."""
    _, moons = prior_experiments.ring_and_moons()
    x = moons.sample(20_000, torch.Generator().manual_seed(5))
    spread = (x - x.mean(0)).square().sum(1).mean().sqrt().item()
    assert spread == pytest.approx(numbers["independent, exact"]["W2, 1"], rel=0.02)
    learnt = numbers["independent, learnt"]["W2, 1"]
    assert learnt == pytest.approx(1.88, abs=0.1) and learnt < 0.8 * spread
    assert_says(
        text,
        f"And {spread:.1f} is the spread of the data about their mean",
        "does better at one step, 1.88",
    )


def test_zero_terminal_snr_moves_every_level_towards_noise(text):
    """By the formula of the text, on Stable Diffusion's own table."""
    levels = np.sort(prior_experiments.LEVELS["Stable Diffusion"])[::-1]
    alpha = np.sqrt(expit(levels))
    moved = (alpha - alpha[-1]) / (alpha[0] - alpha[-1]) * alpha[0]
    move = np.log(moved[:-1] ** 2 / (1 - moved[:-1] ** 2)) - levels[:-1]
    assert move[0] == pytest.approx(0, abs=1e-9) and (move[1:] < 0).all()
    assert move[-1] == move.min() < -5
    assert_says(
        text, "Every $\\lambda$ after $t = 0$ moves towards noise, and most at the noise end"
    )


def test_straight_flows_lead_with_few_steps_only(text, numbers):
    exact, floors = numbers["independent, exact"], prior_experiments.floors()
    straight = [numbers["minibatch OT"], numbers["reflow"]]
    assert all(row["W2, 8"] < exact["W2, 8"] for row in straight)
    assert all(row["W2, 64"] > floors.max() > exact["W2, 64"] for row in straight)
    assert abs(exact["W2, 64"] - floors.mean()) < floors.std()
    assert all(abs(row["W2, 64"] - row["W2, 8"]) < 0.05 for row in straight)
    learnt = numbers["independent, learnt"]
    for steps in (1, 2, 4, 8):
        assert all(learnt[f"W2, {steps}"] > row[f"W2, {steps}"] for row in straight)
    assert abs(learnt["W2, 64"] - straight[0]["W2, 64"]) < np.ptp(floors) / 2
    assert learnt["W2, 64"] < straight[1]["W2, 64"]
    assert_says(
        text,
        "as close as two draws of the data are to each other",
        "that of independent pairs is the worst up to eight steps",
        f"it has {learnt['W2, 64']:.2f}, next to the {straight[0]['W2, 64']:.2f} of",
    )


def test_the_pairs_of_the_first_flow_are_near_the_least_cost(text, numbers):
    least = prior_experiments.least_cost()
    assert_says(
        text,
        f"at a cost 22 % above the least possible, {least:.1f}. Random pairs cost 4.5 times",
    )
    assert least < numbers["minibatch OT"]["cost"] < numbers["reflow"]["cost"]
    assert numbers["reflow"]["cost"] / least == pytest.approx(1.22, abs=0.01)
    assert numbers["independent, exact"]["cost"] / least == pytest.approx(4.45, abs=0.02)


def test_the_least_cost_is_that_of_the_best_of_all_pairings():
    ring, moons = prior_experiments.ring_and_moons()
    source, x = (
        toy.sample(7, torch.Generator().manual_seed(seed)) for seed, toy in ((0, ring), (1, moons))
    )
    costs = (source[:, None] - x).square().sum(2)
    rows = torch.arange(7)
    best = min(costs[rows, list(order)].mean().item() for order in permutations(range(7)))
    assert prior_experiments.least_cost(7) == pytest.approx(best, rel=1e-9)


@pytest.mark.parametrize("level", [-3.0, 0.0, 1.5])
def test_the_gain_holds_for_any_pair_and_the_score_does_not(level, text):
    """Jointly Gaussian pairs, whose regressions and score are known in closed form."""
    rng, rho = np.random.default_rng(3), -0.4
    x, other = rng.normal(size=(2, 200_000))
    eps = rho * x + (1 - rho**2) ** 0.5 * other
    errors = prior_experiments.paired_errors(x, eps, level, degree=1)
    assert errors.ratio == pytest.approx(math.exp(-level), rel=1e-9)
    assert 1 / errors.score == pytest.approx(1 + rho * math.exp(level / 2), abs=0.02)
    alone = prior_experiments.paired_errors(x, other, level, degree=1)
    assert alone.score == pytest.approx(1, abs=0.02)
    assert_says(text, "the ratio is $1/(1 + 0.6\\,e^{\\lambda/2})$")


def test_the_skewed_pair_of_the_text_has_the_correlation_that_it_says(text):
    rng = np.random.default_rng(0)
    x, skewed = rng.normal(size=100_000), rng.exponential(size=100_000) - 1
    for level in (-2, 0, 2):
        errors = prior_experiments.paired_errors(x, 0.6 * x + 0.8 * skewed, level)
        assert errors.ratio == pytest.approx(math.exp(-level), rel=1e-9)
        assert errors.score == pytest.approx(1 / (1 + 0.6 * math.exp(level / 2)), abs=0.01)
        alone = prior_experiments.paired_errors(x, skewed, level)
        assert alone.score == pytest.approx(1, abs=0.02)
    assert_says(text, "A skewed source alone would pass it, though its score is no straight line")


def test_the_closed_forms_of_the_exercises_are_right(text):
    gap = SD - DDPM
    assert_says(
        text,
        f"gives {prior.lowest_logsnr(256**2 * 0.05):.2f}",
        f"ends at {DDPM:.2f}",
        f"gives {math.sqrt(math.expm1(gap)) / 64:.3f}: log(1 + κ² N) = {gap:.3f}",
        f"(λ = {SD:.3f})",
        f"({DDPM:.3f})",
        f"gives {(0.1 / (2 - np.pi / 2)) ** 2:.3f}: the smaller",
    )


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("terminal-level", -7.6),
        ("terminal-level", 11.99),
        ("offset-strength", 0.0281),
        ("offset-strength", 0.1),
        ("straight-variance", 0.233),
        ("straight-variance", 0.055),
        ("straight-variance", float("nan")),
    ],
)
def test_a_wrong_answer_gets_a_hint(name, wrong, capsys):
    check(name, wrong)
    said = capsys.readouterr().out
    assert "not yet" in said
    assert ("too" in said) == math.isfinite(wrong)


@pytest.mark.parametrize(
    ("name", "slip", "hint"),
    [
        ("terminal-level", 11.99, "negative"),
        ("offset-strength", 0.02807, "That is κ²"),
        ("offset-strength", 10.72, "That is κ √N"),
        ("straight-variance", 0.233, "standard deviation"),
    ],
)
def test_a_usual_slip_is_named(name, slip, hint, capsys):
    check(name, slip)
    assert hint in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "rounded"),
    [("terminal-level", -11.99), ("offset-strength", 0.168), ("straight-variance", 0.054)],
)
def test_an_answer_rounded_as_in_the_solution_is_right(name, rounded, capsys):
    check(name, rounded)
    assert "right!" in capsys.readouterr().out
