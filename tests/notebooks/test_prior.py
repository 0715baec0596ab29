"""Every number in the prose of notebook 7 is computed here again, and looked for in the text."""

import math

import numpy as np
import pytest
import torch
from notebook_prose import assert_says, percent
from scipy.special import expit

import diffviz as dv
from diffviz.lab.exercises import check
from diffviz.lab.experiments import prior as prior_experiments
from diffviz.lab.experiments.prior import TERMINAL
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
    v, shift = 1 + signal * (V - 1), signal * (0.6 * 64) ** 2
    assert_says(
        text,
        f"{total[0]:.1f} nats for 4,096 pixels, "
        f"or {total[0] / 4096 / math.log(2):.4f} bits a pixel",
        f"taken over all images: {felt[0]:.1f} nats",
        f"But the {felt[0]:.1f} nats",
        f"{(v - 1 - math.log(v) + shift) / 2:.1f} of them sit in *one* direction",
        f"linear schedule it is {total[1]:.2g} nats, with iDDPM's cosine schedule {total[2]:.2g}",
        f"keeps SNR_T = {math.exp(SD):.4f}",
        f"V = N · var, here {V:.0f}",
        f"{math.sqrt(0.05):.3f}",
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
        f"{mean:.2f} instead of -0.6, with {percent(ratio, 0)}",
        f"The closed form says {closed:.3f} and {ratio:.3f}",
        f"its start: {ddpm_mean:.2f}, {percent(ddpm_std / 0.05**0.5, 0)} of the spread",
    )
    assert abs(mean - closed) < 3 * std / 2000**0.5 + 0.004
    assert std / 0.05**0.5 == pytest.approx(ratio, abs=0.03)


def test_the_start_of_the_sampler_itself_has_no_bias(text):
    data = dv.mixture([[-0.6 * 64]], 64 * math.sqrt(0.05))
    levels = prior_experiments.LEVELS["Stable Diffusion"]
    generator = torch.Generator().manual_seed(0)
    x = dv.sample(data, levels, solver="ddim", n=2000, generator=generator).samples / 64
    assert x.mean().item() == pytest.approx(-0.6, abs=0.02)  # four standard errors
    assert x.std().item() == pytest.approx(0.05**0.5, rel=0.06)
    assert_says(text, "starts with the mean and the variance that z has at the first level")


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
        f"with V = {256**2 * 0.05:.0f} even 1,000 steps of DDIM lose {lost} of the spread",
    )


def test_the_numbers_of_offset_noise_are_right(text):
    shift = prior.offset_shift(0.1, 64**2)
    mean, spread = prior_experiments.offset_bias(SD, 0.1)
    _, plain = prior_experiments.offset_bias(SD, 0.1, also_at_start=False)
    assert_says(
        text,
        f"{shift:.3f}, a factor {math.exp(-shift):.2f} of variance",
        f"{percent(mean, 0)} of the mean and {percent(spread, 0)} of the spread",
        f"but {percent(plain, 0)} of the spread is left",
    )


@pytest.fixture(scope="module")
def numbers():
    """Numbers of each coupling, by name."""
    return {name: found.numbers() for name, found in prior_experiments.coupled().items()}


COUPLING_CLAIMS = [  # claim, coupling, number, value as written, room for another machine
    ("Independent pairs cost 33.8", "independent, exact", "cost", 33.8, 0.05),
    ("their flow has S = 13.9", "independent, exact", "S", 13.9, 0.1),
    ("60 % of its energy", "independent, exact", "S/energy", 0.60, 0.01),
    ("1.53 times as long", "independent, exact", "path ratio", 1.53, 0.01),
    ("ends 3.0 away", "independent, exact", "W2, 1", 3.0, 0.05),
    ("3 % cross, cost 8.3", "minibatch OT", "crossings", 0.03, 0.005),
    ("3 % cross, cost 8.3", "minibatch OT", "cost", 8.3, 0.05),
    ("The flow is straight, S = 0.07", "minibatch OT", "S", 0.07, 0.03),
    ("The flow is straight", "minibatch OT", "path ratio", 1.003, 0.002),
    ("0.55 against 0.50", "minibatch OT", "W2, 1", 0.55, 0.05),
    ("0.55 against 0.50", "minibatch OT", "W2, 8", 0.50, 0.05),
    ("4 % cross, cost 9.3, S = 0.27", "reflow", "crossings", 0.04, 0.005),
    ("4 % cross, cost 9.3, S = 0.27", "reflow", "cost", 9.3, 0.05),
    ("4 % cross, cost 9.3, S = 0.27", "reflow", "S", 0.27, 0.08),
    ("(S = 9.3 against 13.9)", "independent, learnt", "S", 9.3, 0.6),
]


@pytest.mark.parametrize(("claim", "coupling", "number", "written", "room"), COUPLING_CLAIMS)
def test_the_numbers_of_couplings_are_right(claim, coupling, number, written, room, text, numbers):
    assert_says(text, claim)
    assert numbers[coupling][number] == pytest.approx(written, abs=room)


def test_couplings_compare_as_said(text, numbers):
    exact, floor = numbers["independent, exact"], prior_experiments.floor()
    assert floor == pytest.approx(0.44, abs=0.005)
    assert_says(text, "above the 0.44 of two draws")
    assert exact["crossings"] == pytest.approx(0.5, abs=0.02)
    assert min(row["W2, 8"] for row in numbers.values()) > floor
    # the first flow's own pairs are near-optimal
    assert exact["flow's cost"] < 1.15 * numbers["minibatch OT"]["cost"]


def test_the_closed_forms_of_the_exercises_are_right(text):
    gap = SD - DDPM
    assert_says(
        text,
        f"gives {prior.lowest_logsnr(256**2 * 0.05):.2f}",
        f"ends at {DDPM:.2f}",
        f"gives {math.sqrt(math.expm1(gap)) / 64:.3f}: ln(1 + c² N) = {gap:.3f}",
        f"(λ = {SD:.3f})",
        f"({DDPM:.3f})",
        f"gives {(0.1 / (2 - np.pi / 2)) ** 2:.3f}: the closer",
    )


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("terminal-level", -7.6),
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
    ("name", "rounded"),
    [("terminal-level", -11.99), ("offset-strength", 0.168), ("straight-variance", 0.054)],
)
def test_an_answer_rounded_as_in_the_solution_is_right(name, rounded, capsys):
    check(name, rounded)
    assert "right!" in capsys.readouterr().out
