"""Every number in the prose of the notebook on sampling is computed here again, and looked for in the text."""

import math
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from scipy.optimize import brentq

import diffviz as dv
from diffviz.lab.experiments import sampling as sampling_experiments
from diffviz.lab.figures import sampling as sampling_figures
from diffviz.sampling import couplings, trajectories
from diffviz.theory import paths
from diffviz.theory.paths import COSINE, LINEAR

pytestmark = pytest.mark.slow

FILE = Path(__file__).parents[2] / "notebooks" / "08_sampling.ipynb"
FM, SHIFT, VP, DDPM, EDM = sampling_experiments.GRIDS


@pytest.fixture(scope="module")
def text():
    cells = nbformat.read(FILE, 4).cells
    return re.sub(
        r"\s+",
        " ",
        " ".join(c.source for c in cells if c.cell_type == "markdown").replace("−", "-"),
    )


def test_euler_ends_where_it_is_said_to(text):
    right = sampling_figures.scaling_slider().figure.axes[1]
    ends = {line.get_gid(): line.get_ydata() for line in right.lines}
    assert (
        f"end at {ends['DDIM'][0]:.3f} in the one and at {ends['Euler'][-1]:.3f} in the other"
        in text
    )
    assert f"ends at {ends['exact flow'][0]:.3f}" in text


def test_paths_are_as_far_off_their_chords_as_is_said(text):
    off = sampling_experiments.off_chord
    assert f"goes in to {math.sqrt(0.5):.3f} and back out, {off(1, 'FM'):.3f} off its chord" in text
    assert f"{off(0.01, 'FM'):.3f} against {off(0.01, 'VP'):.3f}" in text
    assert f"equal near c = {brentq(lambda c: off(c, 'FM') - off(c, 'VP'), 0.01, 0.5):.3f}" in text


def test_flow_matching_is_the_more_curved_on_data_of_unit_variance(text):
    found = {}
    for name in ("gmm2d", "ring8", "moons"):
        walk = dv.sample(
            sampling_experiments.exact(name),
            dv.grid(LINEAR.schedule, 100, -12, 12),
            start=sampling_experiments.normal(500, 2),
        )
        found[name] = [couplings.straightness(*walk.on(path)) for path in (LINEAR, COSINE)]
        assert found[name][0] > found[name][1]
    assert "by {:.2f} to {:.2f} on `gmm2d`".format(*found["gmm2d"]) in text


def test_ddim_weighs_all_velocities_alike(text):
    grid = COSINE.logsnr(np.linspace(1 - 1e-9, 1e-9, 101))
    flat, rising = (
        np.abs(trajectories.prediction_weights(grid, eta=eta))[1:] for eta in (0.0, 1.0)
    )
    assert f"sin(π/200) = {flat[-1]:.6f} (to {100 * (1 - flat.min() / flat.max()):.1f} %)" in text
    assert f"up to {rising.max() / flat[-1]:.1f} times as much" in text


def test_ten_steps_leave_the_variances_that_are_said(text):
    ends = []
    for eta in (0.0, 1.0):
        draw = torch.Generator().manual_seed(0)
        first = torch.randn(400_000, 1, generator=draw, dtype=torch.float64)
        grid = COSINE.logsnr(np.linspace(1 - 2e-4 / np.pi, 2e-4 / np.pi, 11))
        found = dv.sample(
            dv.toy("gaussian"), grid, solver="ddim", start=first, generator=draw, eta=eta
        )
        ends.append(found.z[-1].var().item())
    stated = [
        float(word)
        for word in re.search(
            r"variance of ([\d.]+) with DDIM and of ([\d.]+) with DDPM", text
        ).groups()
    ]
    assert ends == pytest.approx(stated, abs=0.005)


def test_the_calls_are_those_of_the_table(text):
    def pair(solver, grid):
        return " / ".join(
            str(sampling_experiments.calls_to(solver, grid, data)) for data in ("gmm2d", "ring8")
        )

    t, even, _, measured = sampling_experiments.LAWS
    assert (
        f"takes {pair('DDIM', t)} calls, Heun {pair('Heun', t)}, 2M {pair('DPM++ 2M', t)}" in text
    )
    assert f"takes **{pair('AB3 on dz/dθ', t)}**" in text
    assert (
        f"a little, {pair('DDIM', measured)}, and harms Heun ({pair('Heun', measured)}) and RK4 ({pair('RK4', measured)})"
        in text
    )
    best = min(
        sampling_experiments.LAWS,
        key=lambda grid: sampling_experiments.calls_to("DPM++ 2M", grid, "ring8"),
    )
    assert (
        best == even
        and f"at its best, {sampling_experiments.calls_to('DPM++ 2M', even, 'ring8')} calls" in text
    )
    assert sampling_experiments.calls_to("RK4", t, "gmm2d") / sampling_experiments.calls_to(
        "RK4", even, "gmm2d"
    ) == pytest.approx(6, abs=0.5)


def test_the_grid_decides_with_few_steps_and_the_training_with_many(text):
    rows = [
        [sampling_experiments.distance(one, grid, 16) for grid in sampling_experiments.GRIDS]
        for one in sampling_experiments.point_runs()
    ]
    ratio = lambda values: max(values) / min(values)
    stated = re.search(
        r"factor of ([\d.]+) in a row, the rows by at most ([\d.]+) in a column", text
    ).groups()
    assert [max(map(ratio, rows)), max(map(ratio, zip(*rows, strict=True)))] == pytest.approx(
        [float(s) for s in stated], abs=0.1
    )
    on_fm, on_karras = (
        float(s) for s in re.search(r"Karras' \(([\d.]+) against ([\d.]+)\)", text).groups()
    )
    assert rows[3][0] == pytest.approx(on_fm, abs=0.01) and rows[3][4] == pytest.approx(
        on_karras, abs=0.01
    )
    assert rows[3][2] < rows[3][4] and "about 0.03 for v-cosine, 0.04 for EDM" in text
    for name, value in (("v-cosine", 0.03), ("edm", 0.04)):
        assert [
            sampling_experiments.distance(name, grid, 128) for grid in sampling_experiments.GRIDS
        ] == pytest.approx([value] * 5, abs=0.005)


def test_the_exact_denoiser_is_early_done_as_is_said(text):
    photos = {
        size: {
            name: sampling_experiments.settled_photos(path, size)[30]
            for name, path in sampling_experiments.GRIDS.items()
        }
        for size in (64, 256)
    }
    digits = {
        name: sampling_experiments.settled("digits", name)[18]
        for name in sampling_experiments.GRIDS
    }
    assert (
        f"{photos[64][FM]:.2f} of the variance of images with the spectrum of photographs at 64² ({photos[256][FM]:.2f} at 256²) and {digits[FM]:.2f}"
        in text
    )
    assert (
        f"earlier still**: {photos[64][VP]:.2f}, {photos[256][VP]:.2f} and {digits[VP]:.2f}" in text
    )
    assert f"{photos[64][SHIFT]:.2f}, {photos[64][DDPM]:.2f}, {photos[64][EDM]:.2f} at 64²" in text
    level = dv.grid(LINEAR.schedule, 100, -16, 16)[30]
    power = sampling_experiments.spectrum().ravel()
    rate = np.sqrt(
        power / (power + math.exp(-level))
    )  # DDIM keeps a Gaussian's z in its own units: x_hat = rate · x
    own = 1 - (power * (1 - rate) ** 2).sum() / power.sum()
    assert (
        f"more for photographs too: {own:.2f} on flow matching's grid in place of {photos[64][FM]:.2f}"
        in text
    )
    shares = [100 * sampling_experiments.GRIDS[name].schedule.cdf(-4) for name in (FM, VP, EDM)]
    assert (
        "spends {:.0f} % of its steps below λ = -4 and cosine {:.0f} %, Karras' grid {:.0f} %".format(
            *shares
        )
        in text
    )


def test_the_training_moves_it_little_and_the_grid_much(text):
    found = {
        (one, grid): sampling_experiments.settled("digits", grid, one)[18]
        for one in sampling_experiments.TRAINED
        for grid in sampling_experiments.GRIDS
    }
    number = r"([\d.]*\d)"
    late, early, own = re.search(
        rf"is late \({number}\); .* is early \({number}, .* own: {number}\)", text
    ).groups()
    stated = [float(late), float(early), float(own)]
    assert [found["fm-ot", EDM], found["edm", FM], found["fm-ot", FM]] == pytest.approx(
        stated, abs=0.03
    )
    over = [
        np.ptp([found[one, grid] for one in sampling_experiments.TRAINED]) for grid in (FM, EDM)
    ]
    across = min(
        np.ptp([found[one, grid] for grid in sampling_experiments.GRIDS])
        for one in sampling_experiments.TRAINED
    )
    stated = re.search(
        rf"by {number} on FM's grid and by {number} on Karras', the grids by {number} and more",
        text,
    ).groups()
    assert [*over, across] == pytest.approx([float(word) for word in stated], abs=0.03)


def test_a_shift_of_the_grid_alone_slows_generation_down(text):
    shift = brentq(
        lambda s: sampling_experiments.settled_photos(paths.shifted(LINEAR, s))[50] - 0.5,
        1,
        20,
        xtol=1e-4,
    )
    assert f"`answer = {shift:.2f}`" in text
