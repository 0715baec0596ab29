"""Every number in the prose of notebook 7 is computed here again, and looked for in the text."""

import math

import numpy as np
import pytest
import torch
from notebook_prose import prose
from scipy.special import expit

import diffviz as dv
from diffviz.lab.experiments import prior as prior_experiments
from diffviz.theory import prior

pytestmark = pytest.mark.slow

SD = prior_experiments.TERMINAL["Stable Diffusion"]
V = prior_experiments.SIDE**2 * 0.05


@pytest.fixture(scope="module")
def text():
    return prose("07_prior")


def test_the_nats_are_right(text):
    total, felt = (
        one.tolist() for one in prior_experiments.kl(list(prior_experiments.TERMINAL.values()))
    )
    assert (
        f"{total[0]:.1f} nats for 4,096 pixels, or {total[0] / 4096 / math.log(2):.4f} bits a pixel"
        in text
    )
    assert (
        f"taken over all images: {felt[0]:.1f} nats" in text
        and f"But the {felt[0]:.1f} nats" in text
    )
    v, shift = 1 + expit(SD) * (V - 1), expit(SD) * (0.6 * 64) ** 2
    assert f"{(v - 1 - math.log(v) + shift) / 2:.1f} of them sit in *one* direction" in text
    assert (
        f"linear schedule it is {total[1]:.2g} nats, with iDDPM's cosine schedule {total[2]:.2g}"
        in text
    )
    assert (
        f"keeps SNR_T = {math.exp(SD):.4f}" in text
        and f"V = N · var, here {V:.0f}" in text
        and f"{math.sqrt(0.05):.3f}" in text
    )


def test_the_brightness_of_samples_is_right(text):
    data, found = dv.mixture([[-0.6 * 64]], 64 * math.sqrt(0.05)), {}
    for eta in (0, 1):
        seed = torch.Generator().manual_seed(0)
        x = (
            dv.sample(
                data,
                prior_experiments.LEVELS["Stable Diffusion"],
                solver="ddim",
                eta=eta,
                n=2000,
                generator=seed,
            ).samples
            / 64
        )
        found[eta] = x.mean().item(), x.std().item()
    mean, ratio = (float(one) for one in prior.terminal_bias(SD, -0.6, V))
    assert f"{found[0][0]:.2f} instead of -0.6, with {ratio:.0%}".replace("%", " %") in text
    assert f"The closed form says {mean:.3f} and {ratio:.3f}" in text
    assert (
        abs(found[0][0] - mean) < 3 * found[0][1] / 2000**0.5 + 0.004
        and abs(found[0][1] / 0.05**0.5 - ratio) < 0.03
    )
    assert (
        f"its start: {found[1][0]:.2f}, {100 * found[1][1] / 0.05**0.5:.0f} % of the spread" in text
    )


def test_what_each_end_keeps_is_right(text):
    kept = {
        (s, n): float(prior.terminal_bias(level, 1.0, s * s * 0.05)[0])
        for s in prior_experiments.SIZES
        for n, level in prior_experiments.TERMINAL.items()
    }
    sd, ddpm = "Stable Diffusion", "DDPM linear"
    shares = [f"{100 * kept[s, sd]:.0f} %" for s in prior_experiments.SIZES]
    assert (
        f"keeps {shares[0]} of the mean at 16² pixels, {shares[1]} at 64² and {shares[2]} at 256²"
        in text
    )
    assert (
        f"fine at 64² ({100 * kept[64, ddpm]:.0f} %)" in text
        and f"at 256² ({100 * kept[256, ddpm]:.0f} %)" in text
    )
    loss = 1 - prior_experiments.brightness(prior_experiments.LEVELS["iDDPM cosine"], 256)[
        1
    ] / math.sqrt(0.05)
    assert (
        f"with V = {256**2 * 0.05:.0f} even 1,000 steps of DDIM lose {100 * loss:.0f} % of the spread"
        in text
    )


def test_the_numbers_of_offset_noise_are_right(text):
    shift, (mean, spread) = prior.offset_shift(0.1, 64**2), prior_experiments.offset_bias(SD, 0.1)
    plain = prior_experiments.offset_bias(SD, 0.1, also_at_start=False)[1]
    assert f"{shift:.3f}, a factor {math.exp(-shift):.2f} of variance" in text
    assert f"{100 * mean:.0f} % of the mean and {100 * spread:.0f} % of the spread" in text
    assert f"but {100 * plain:.0f} % of the spread is left" in text


def test_the_numbers_of_couplings_are_right(text):
    row = {name: one.numbers() for name, one in prior_experiments.coupled().items()}
    exact, learnt, ot, reflow = (row[name] for name in prior_experiments.COUPLINGS)
    stated = [  # as written, what it is, how far a training elsewhere may be off
        ("Independent pairs cost 33.8", exact["cost"], 33.8, 0.05), ("their flow has S = 13.9", exact["S"], 13.9, 0.1),
        ("60 % of its energy", exact["S/energy"], 0.60, 0.01), ("1.53 times as long", exact["path ratio"], 1.53, 0.01),
        ("ends 3.0 away", exact["W2, 1"], 3.0, 0.05), ("3 % cross, cost 8.3", ot["crossings"], 0.03, 0.005),
        ("3 % cross, cost 8.3", ot["cost"], 8.3, 0.05), ("S = 0.07, path ratio 1.003", ot["S"], 0.07, 0.03),
        ("S = 0.07, path ratio 1.003", ot["path ratio"], 1.003, 0.002), ("0.55 against 0.50", ot["W2, 1"], 0.55, 0.05),
        ("0.55 against 0.50", ot["W2, 8"], 0.50, 0.05), ("4 % cross, cost 9.3, S = 0.27", reflow["crossings"], 0.04, 0.005),
        ("4 % cross, cost 9.3, S = 0.27", reflow["cost"], 9.3, 0.05), ("4 % cross, cost 9.3, S = 0.27", reflow["S"], 0.27, 0.08),
        ("above the 0.44 of two draws", prior_experiments.floor(), 0.44, 0.005), ("(S = 9.3 against 13.9)", learnt["S"], 9.3, 0.6),
    ]  # fmt: skip
    for words, value, written, far in stated:
        assert words in text and abs(value - written) <= far, (words, value)
    assert exact["crossings"] == pytest.approx(0.5, abs=0.02)
    assert min(one["W2, 8"] for one in row.values()) > prior_experiments.floor()
    assert exact["flow's cost"] < 1.15 * ot["cost"]  # the first flow's own pairs are near-optimal


def test_the_closed_forms_of_the_exercises_are_right(text):
    assert (
        f"gives {prior.lowest_logsnr(256**2 * 0.05):.2f}" in text
        and f"ends at {prior_experiments.TERMINAL['DDPM linear']:.2f}" in text
    )
    gap = SD - prior_experiments.TERMINAL["DDPM linear"]
    assert f"gives {math.sqrt(math.expm1(gap)) / 64:.3f}: ln(1 + c² N) = {gap:.3f}" in text
    assert (
        f"(λ = {SD:.3f})" in text and f"({prior_experiments.TERMINAL['DDPM linear']:.3f})" in text
    )
    assert f"gives {(0.1 / (2 - np.pi / 2)) ** 2:.3f}: the closer" in text


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("terminal-level", -7.6), ("offset-strength", 0.1), ("straight-variance", 0.233), ("straight-variance", 0.055),
     ("straight-variance", float("nan"))],
)  # fmt: skip
def test_a_wrong_answer_gets_a_hint(name, wrong, capsys):
    from diffviz.lab.exercises import check

    check(name, wrong)
    said = capsys.readouterr().out
    assert "not yet" in said and ("too" in said) == math.isfinite(wrong)


@pytest.mark.parametrize(
    ("name", "rounded"),
    [("terminal-level", -11.99), ("offset-strength", 0.168), ("straight-variance", 0.054)],
)
def test_an_answer_rounded_as_in_the_solution_is_right(name, rounded, capsys):
    from diffviz.lab.exercises import check

    check(name, rounded)
    assert "right!" in capsys.readouterr().out
