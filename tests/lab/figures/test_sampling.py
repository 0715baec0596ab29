"""The figures show their numbers, read from the artists; what they stand on is right."""

import math
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from pictures import check, check_type, data

import diffviz as dv
from diffviz.lab import figures
from diffviz.lab.experiments import sampling as sampling_experiments
from diffviz.lab.figures import sampling as sampling_figures
from diffviz.plots.style import COLOURS
from diffviz.sampling import couplings
from diffviz.theory import paths
from diffviz.theory.frames import VP
from diffviz.theory.paths import COSINE, LINEAR

pytestmark = pytest.mark.slow

NAMES = (
    "two-frames",
    "scaling-slider",
    "vp-vs-fm",
    "churn",
    "ddpm-is-ddim",
    "early-commitment",
    "solver-orders",
    "train-sample-schedules",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_has_the_same_bytes_on_every_run_and_nothing_is_cut(name, tmp_path):
    check(name, tmp_path)


def test_figures_are_importable_without_torch():
    code = "import sys; from diffviz.lab import figures; assert 'torch' not in sys.modules"
    root = Path(__file__).parents[3]
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        cwd=root / "notebooks",
        env={**os.environ, "PYTHONPATH": str(root)},
    )


@pytest.mark.parametrize("name", ["gmm1", "gmm2d", "ring8", "moons", "digits"])
@pytest.mark.parametrize("logsnr", [-14.0, -3.0, 0.0, 4.0, 14.0])
def test_the_light_denoiser_is_the_toys(name, logsnr):
    toy, level = dv.toy(name, unit=True), torch.tensor(logsnr, dtype=torch.float64)
    z = level.sigmoid().sqrt() * toy.sample(40, torch.Generator().manual_seed(0))
    z = z + (-level).sigmoid().sqrt() * sampling_experiments.normal(40, *toy.mean.shape, seed=1)
    assert (
        sampling_experiments.exact(name).denoise(z, level) - toy.denoise(z, level)
    ).abs().max() < 1e-8


def test_scaling_slider_holds_ddim_and_moves_euler(drawn):
    figure = drawn["scaling-slider"]
    share, ddim = data(figure, 1, "DDIM")
    _, euler = data(figure, 1, "Euler")
    assert (
        np.ptp(ddim) == 0
        and euler[0] == pytest.approx(ddim[0], abs=1e-7)
        and (np.diff(euler) > 0.003).all()
    )
    assert share[[0, -1]].tolist() == [0, 1] and data(figure, 1, "exact flow")[1] == pytest.approx(
        0.5
    )

    gain, t = (
        1.0,
        np.linspace(1, 0, 7),
    )  # Euler on dz/dt = (ds² − c (1 − t))/(c (1 − t)² + t²) z by hand, c = 0.25
    for here, there in pairwise(t):
        gain *= 1 + (there - here) * (here - 0.25 * (1 - here)) / (0.25 * (1 - here) ** 2 + here**2)
    assert ddim[0] == pytest.approx(gain, abs=1e-7)
    assert data(figure, 0, "DDIM")[1] == pytest.approx(
        data(figure, 0, "Euler, linear frame")[1], abs=1e-7
    )


def test_the_vp_end_of_the_slide_has_the_root(drawn):
    t = np.array([0.1, 0.5, 0.8])
    root = np.sqrt((1 - t) ** 2 + t**2)
    frame = sampling_experiments.between(1.0)
    assert frame.alpha(LINEAR.logsnr(t)) == pytest.approx((1 - t) / root) and frame.sigma(
        LINEAR.logsnr(t)
    ) == pytest.approx(t / root)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("FM", (0.065, 0.118, 0.150, 0.244, 0.293)), ("VP", (0.171, 0.132, 0.108, 0.036, 0.0))],
)
def test_vp_vs_fm_has_the_largest_distances(name, wanted, drawn):
    variances = sampling_experiments.VARIANCES
    assert variances == (0.01, 0.05, 0.1, 0.5, 1)
    assert sampling_experiments.off_chords(variances)[name] == pytest.approx(wanted, abs=5e-4)
    x, y = data(drawn["vp-vs-fm"], 2, f"{name}, dots")  # of the paths on the left
    assert x.tolist() == [0.01, 0.1, 1] and y == pytest.approx(wanted[::2], abs=5e-4)


@pytest.mark.parametrize(("name", "path"), [("FM", LINEAR), ("VP", COSINE)])
def test_the_closed_path_is_what_the_sampler_walks(name, path):
    walk = dv.sample(
        dv.mixture([[0.0]], math.sqrt(0.1)),
        dv.grid(path.schedule, 400, -16, 16),
        start=torch.ones(1, 1, dtype=torch.float64),
    )
    t, z = walk.on(path)
    assert np.abs(z[:, 0, 0].numpy() - sampling_experiments.exact_path(0.1, name, t)).max() < 5e-4


def test_churn_is_flat_for_ddim_and_rises_for_ddpm(drawn):
    figure = drawn["churn"]
    step, flat = data(figure, 0, "DDIM")
    gain = np.cos(np.pi / 200) ** np.arange(99, -1, -1)
    assert flat == pytest.approx(np.sin(np.pi / 200) * gain, abs=1e-8) and flat[
        -1
    ] == pytest.approx(0.015707, abs=5e-7)
    rising = data(figure, 0, "DDPM, η = 1")[1]
    assert (
        (np.diff(rising[:80]) > 0).all()
        and rising[0] < 0.001
        and step.tolist() == list(range(1, 101))
    )


def test_ddpm_is_ddim_of_twice_the_length_and_noise(drawn):
    figure = drawn["ddpm-is-ddim"]
    level, z = data(figure, 0, "DDPM")
    for k in range(8):  # every long step starts on a dot, and is twice as long as from dot to dot
        x, y = data(figure, 0, f"down {k}")
        assert (x[0], y[0]) == pytest.approx((level[k], z[k]), abs=1e-9) and x[1] - x[
            0
        ] == pytest.approx(3.0)
    ends = [
        line.get_xydata()[1]
        for line in figure.axes[0].lines
        if line.get_gid() is None or "down" not in line.get_gid()
    ]
    assert np.abs(np.array(ends[:8]) - np.c_[level[1:], z[1:]]).max() < 1e-9
    s, e = (
        math.exp(0.5),
        math.exp(-0.5),
    )  # one step of DDPM: mean by x_hat, variance s_end² (1 − (s_end/s)²) of y
    x_hat = (
        dv.toy("gmm1", unit=True)
        .denoise(torch.tensor([[0.4]], dtype=torch.float64), torch.tensor(-1.0))
        .item()
    )
    alpha, y = float(VP.alpha(1.0)), 0.4 / float(VP.alpha(-1.0))
    mean, std = (
        alpha * (x_hat + (e / s) ** 2 * (y - x_hat)),
        alpha * e * math.sqrt(1 - (e / s) ** 2),
    )
    for name in ("DDPM step", "DDIM of twice the length, noise"):
        x, density = data(figure, 1, name)
        wanted = np.exp(-(((x - mean) / std) ** 2) / 2) / (std * math.sqrt(2 * math.pi))
        assert np.abs(density - wanted).max() < 0.01, name


def test_early_commitment_orders_the_grids(drawn):
    figure = drawn["early-commitment"]
    for panel, at in ((0, 30), (1, 18)):
        row = {name: data(figure, panel, name)[1][at] for name in sampling_experiments.GRIDS}
        late = [row[name] for name in ("DDPM linear β", "EDM's grid")]
        assert row["VP cosine"] > row["FM, uniform t"] > row["FM, shift 3"] + 0.1 > max(late) + 0.1
    coarse, middle, fine = (data(figure, 2, f"{band}, FM")[1] for band in sampling_figures.BANDS)
    assert (coarse[5:95] > middle[5:95]).all() and (middle[5:95] > fine[5:95]).all()


DIGITS = {  # R² after 10, 20, 30, 50 % of the steps in percent: as measured by another code
    "FM, uniform t": (29, 56, 80, 99),
    "FM, shift 3": (10, 22, 36, 69),
    "VP cosine": (39, 68, 86, 99),
    "DDPM linear β": (5, 11, 22, 63),
    "EDM's grid": (3, 6, 11, 47),
}


@pytest.mark.parametrize("name", DIGITS)
def test_digits_are_settled_as_measured_elsewhere(name):
    """On the levels that the other code had, which reach beyond those of the networks."""
    shares = sampling_experiments.settled("digits", name, ends=(-14.0, 14.0))
    assert 100 * shares[[6, 12, 18, 30]] == pytest.approx(DIGITS[name], abs=3)


def test_digits_are_drawn_on_the_levels_of_the_networks(drawn):
    for name in sampling_experiments.GRIDS:
        ends = sampling_experiments.LOW, sampling_experiments.HIGH
        shares = sampling_experiments.settled("digits", name, ends=ends)
        assert data(drawn["early-commitment"], 1, name)[1] == pytest.approx(shares)


@pytest.mark.parametrize(("place", "at"), [(0, 30), (1, 18)])
def test_grids_are_named_from_the_earliest_with_their_share(drawn, place, at):
    panel = drawn["early-commitment"].axes[place]
    lines = {str(line.get_gid()): line for line in panel.lines}
    texts = panel.get_legend().get_texts()
    rows = [text.get_text().split("  ") for text in texts]
    names = [name.removesuffix(", moved") for _, name in rows]
    assert sorted(names) == sorted(sampling_experiments.GRIDS)
    shares = [lines[name].get_ydata()[at] for name in names]
    assert shares == sorted(shares, reverse=True)
    assert [float(share) for share, _ in rows] == pytest.approx(shares, abs=0.0051)
    assert names[:3] == ["VP cosine", "FM, uniform t", "FM, shift 3"]
    for text, name in zip(texts, names, strict=True):
        assert text.get_color() == lines[name].get_color()


def test_the_share_of_a_spectrum_is_that_of_walks():
    """The sampler's own walks from noised data, one coefficient at a time."""
    power = np.array([[4.0, 1.0], [1.0, 0.25]])
    levels = np.linspace(-6, 8, 12)
    wanted = 0.0
    ends = 0.0
    for variance in power.ravel():
        data = dv.mixture([[0.0]], math.sqrt(variance))
        scale = math.sqrt((variance + math.exp(6)) / (1 + math.exp(6)))  # z of the VP frame
        start = torch.full((1, 1), scale, dtype=torch.float64)
        x_hat = dv.sample(data, levels, solver="ddim", start=start).x_hat[:, 0, 0].numpy()
        wanted = wanted + (x_hat - x_hat[-1]) ** 2
        ends += x_hat[-1] ** 2
    found = sampling_experiments.share_of_spectrum(power, levels)
    assert found == pytest.approx(1 - wanted / ends, abs=1e-9)
    assert found[-1] == 1


def test_the_share_of_a_spectrum_has_a_limit_of_many_steps():
    """Along the exact flow x_hat is √(c/(c + s²)) times the end."""
    power = np.array([4.0, 1.0, 0.25])
    levels = np.linspace(-16, 16, 4001)
    kept = np.sqrt(power / (power + np.exp(-levels)[:, None]))
    limit = 1 - (power * (1 - kept) ** 2).sum(1) / power.sum()
    assert sampling_experiments.share_of_spectrum(power, levels) == pytest.approx(limit, abs=5e-3)


def orders_beside(ax):
    """The orders that stand beside a panel of solvers, by the solver's short name."""
    rows = (text.get_text().split(": order ") for text in ax.texts if ": " in text.get_text())
    return {name: float(order) for name, order in rows}


def test_the_errors_of_one_method_in_two_variables_stand_beside_their_dots(drawn):
    ax = drawn["solver-orders"].axes[0]
    found = {text.get_gid(): text for text in ax.texts if text.get_gid()}
    written = {name: found[f"error of {name}"] for name in ("RK4 in λ", "RK4 in θ")}
    assert [text.get_text() for text in written.values()] == ["221", "0.0038"]
    low, high = ax.get_ylim()
    for text in written.values():
        calls, error = text.xy
        assert calls == 12 and low < error < high


def test_solver_orders_have_the_slopes(drawn):
    figure = drawn["solver-orders"]
    for panel, grid in enumerate(sampling_experiments.LAWS):
        found = orders_beside(figure.axes[panel])
        assert found["DDIM"] == pytest.approx(1, abs=0.05), grid
        if grid in ("uniform in λ", "Karras ρ = 7"):
            assert [found[n] for n in ("Heun", "DPM++ 2M", "RK4 in λ")] == pytest.approx(
                [2, 2, 4], abs=0.1
            )
            assert found["AB3 in θ"] == pytest.approx(3, abs=0.15)
        assert found["RK4 in θ"] == pytest.approx(4, abs=0.2)
    for name, fewest in (("Heun", 8), ("RK4 in λ", 8)):
        calls, error = data(figure, 1, name)
        assert calls[0] == fewest
        assert error[0] > 0.5
    calls, error = data(figure, 1, "DDIM")
    assert calls.tolist() == [8, 12, *(2**power for power in range(4, 11))]
    assert (np.diff(error) < 0).all()
    for panel in range(4):
        calls = [data(figure, panel, name)[0] for name in sampling_experiments.SOLVERS]
        assert all(12 in one for one in calls)  # at which the notebook compares


def test_all_solvers_are_drawn_to_the_same_number_of_calls(drawn):
    """So that a name stands where its line leaves the panel, and no line seems to stay level."""
    for panel, ax in enumerate(drawn["solver-orders"].axes):
        assert ax.get_xlim()[1] == sampling_figures.MOST_CALLS
        for name in sampling_experiments.SOLVERS:
            calls, _ = data(drawn["solver-orders"], panel, name)
            assert calls.max() >= sampling_figures.MOST_CALLS
            assert sampling_figures.MOST_CALLS in calls
        lines = [line for line in ax.lines if len(line.get_xdata()) > 1]
        level = [line for line in lines if len(set(line.get_ydata())) == 1]
        assert [line.get_linestyle() for line in level] == [":"]  # the error that is asked for


PICTURES_OF_SOLVERS = ["scaling-slider", "solver-orders", "churn", "ddpm-is-ddim"]


@pytest.mark.parametrize("name", PICTURES_OF_SOLVERS)
def test_a_solver_has_one_colour_in_all_figures_and_it_is_no_objectives(drawn, name):
    colours = {
        str(line.get_gid()): line.get_color()
        for axes in drawn[name].axes
        for line in axes.lines
        if line.get_gid() and ":ends" not in str(line.get_gid())
    }
    assert not {to_hex(one).upper() for one in colours.values()} & set(COLOURS.values())
    drawn_as = {"down 0": "DDIM", "DDPM, η = 1": "DDPM", "DDPM step": "DDPM"}
    known = {drawn_as.get(gid, gid): colour for gid, colour in colours.items()}
    solvers = sampling_figures.SOLVER_COLOURS
    found = {solver: known[solver] for solver in solvers if solver in known}
    assert "DDIM" in found
    assert found == {solver: solvers[solver] for solver in found}
    others = {colour for gid, colour in known.items() if gid not in solvers and "DDIM" not in gid}
    others -= {known.get(f"down {k}") for k in range(8)}
    assert not others & set(solvers.values())


def test_paths_of_a_variance_are_not_black_which_is_the_elbos(drawn):
    for axes in drawn["vp-vs-fm"].axes[:2]:
        colours = {to_hex(line.get_color()).upper() for line in axes.lines}
        assert len(colours) == 3 and not colours & set(COLOURS.values())


def test_colours_of_solvers_differ():
    colours = sampling_figures.SOLVER_COLOURS
    assert len(set(colours.values())) == len(colours)


def test_one_method_in_two_variables_is_told_apart_by_dashes(drawn):
    for ax in drawn["solver-orders"].axes:
        lines = {line.get_gid(): line for line in ax.lines}
        dashed = [name for name in sampling_experiments.SOLVERS if lines[name].is_dashed()]
        assert dashed == ["RK4 in λ"]
    key = drawn["solver-orders"].axes[0].get_legend()
    names = [text.get_text() for text in key.get_texts()]
    assert names == ["RK4 in λ", "RK4 in θ", "at 12 calls"]
    assert [handle.is_dashed() for handle in key.legend_handles[:2]] == [True, False]


def test_a_dot_marks_each_solver_at_twelve_calls(drawn):
    for ax, grid in zip(drawn["solver-orders"].axes, sampling_experiments.LAWS, strict=True):
        records = sampling_experiments.convergence(grid, "gmm2d")
        dots = {str(dot.get_gid()): dot for dot in ax.collections}
        assert set(dots) == {f"{name}, 12 calls" for name in records}
        for name, record in records.items():
            ((calls, error),) = dots[f"{name}, 12 calls"].get_offsets()
            assert calls == 12 and error == record.errors[record.calls == 12][0]
        sizes = {name: float(dot.get_sizes()[0]) for name, dot in dots.items()}
        assert min(sizes, key=sizes.get) == "RK4 in θ, 12 calls"  # which lies in front


def test_the_fewest_calls_are_the_fewest():
    for solver, grid in (("DPM++ 2M", "uniform in λ"), ("AB3 in θ", "FM, uniform t")):
        n = sampling_experiments.calls_to(solver, grid, "gmm2d")
        assert (
            sampling_experiments.rms(solver, grid, "gmm2d", n)[0]
            <= 1e-2
            < min(sampling_experiments.rms(solver, grid, "gmm2d", k)[0] for k in range(2, n))
        )
    assert sampling_experiments.calls_to("DDIM", "Karras ρ = 7", "gmm2d", 1e-3) is None


@pytest.mark.parametrize("name", ["gmm2d", "ring8"])
def test_the_reference_is_that_of_other_solvers_in_another_variable(name):
    toy, start, end = sampling_experiments.best(name)
    fine = dv.sample(
        toy, np.linspace(*sampling_experiments.RANGE, 1025), solver="rk4", start=start
    ).z[-1]
    assert (fine - end).abs().max() < 1e-8
    adaptive = dv.sample(toy, sampling_experiments.RANGE, solver="adaptive", start=start).z[-1]
    assert (adaptive - end).square().mean().sqrt() < 1e-8


def test_the_own_grids_are_framed_and_the_best_of_each_row_is_bold(drawn):
    table = drawn["train-sample-schedules"].axes[-1]
    rows = [label.get_text() for label in table.get_yticklabels()]
    grids = list(sampling_experiments.GRIDS)
    frames = [patch for patch in table.patches if patch.get_gid() == "own grid"]
    places = {
        (round(f.get_x() + f.get_width() / 2), round(f.get_y() + f.get_height() / 2))
        for f in frames
    }
    own = sampling_experiments.OWN_GRIDS
    assert places == {(grids.index(grid), rows.index(name)) for name, grid in own.items()}
    bold = {text.xy for text in table.texts if text.get_fontweight() == "bold"}
    assert bold == {
        (int(np.argmin([sampling_experiments.distance(name, grid, 16) for grid in grids])), row)
        for row, name in enumerate(rows)
    }


def test_a_grid_off_its_range_is_refused():
    with pytest.raises(ValueError, match="-10 to 12"):
        sampling_experiments.error_of("ddim", [-9, 0, 12], "gmm2d")


def test_training_and_sampling_schedules_are_told_apart(drawn):
    table = np.array(
        [
            [
                sampling_experiments.distance(trained, name, 16)
                for name in sampling_experiments.GRIDS
            ]
            for trained in sampling_experiments.point_runs()
        ]
    )
    assert (table.max(1) / table.min(1) > 1.5).all() and (table.max(0) / table.min(0) < 1.4).all()
    late = np.array(
        [
            [sampling_experiments.distance(one, name, 128) for name in sampling_experiments.GRIDS]
            for one in sampling_experiments.TRAINED
        ]
    )
    assert (np.ptp(late, axis=1) < 0.3 * late.mean(1)).all()
    x, y = data(drawn["train-sample-schedules"], 2, "exact: VP cosine")
    assert x.tolist() == list(sampling_experiments.COUNTS) and y[2] == pytest.approx(table[0, 2])
    shown = [float(text.get_text()) for text in drawn["train-sample-schedules"].axes[5].texts]
    assert shown == pytest.approx(table.ravel(), abs=6e-4)


def test_straightness_of_flow_matching_on_unit_gaussian_data():
    walk = dv.sample(
        dv.toy("gaussian"),
        dv.grid(LINEAR.schedule, 200, -12, 12),
        start=sampling_experiments.normal(400, 1),
    )
    second = sampling_experiments.normal(400, 1).square().mean().item()
    assert couplings.straightness(*walk.on(LINEAR)) == pytest.approx(
        (2 - math.pi / 2) * second, rel=0.01
    )


def test_karras_law_has_these_ends():
    assert sampling_experiments.karras(-10, 12).support() == pytest.approx((-10, 12))
    assert sampling_experiments.unit_grid("EDM's grid").schedule.support()[0] == pytest.approx(
        paths.karras().schedule.support()[0] - 2 * math.log(2)
    )


def test_one_flow_in_two_frames_has_the_same_colours_and_ends(drawn):
    left, right = drawn["two-frames"].axes
    for k in range(11):
        (here,) = (line for line in left.lines if line.get_gid() == f"path {k}")
        (there,) = (line for line in right.lines if line.get_gid() == f"path {k}")
        assert here.get_color() == there.get_color()
        # at t = 0 and t = 1 the two frames are one
        assert here.get_ydata()[[0, -1]] == pytest.approx(there.get_ydata()[[0, -1]], abs=0.01)
    colours = {line.get_color() for line in left.lines if "path" in line.get_gid()}
    assert len(colours) == 2
    assert left.get_xlim() == right.get_xlim() == (1, 0)
    labels = [ax.get_xlabel().split("   ")[0] for ax in (left, right)]
    assert labels == ["time t", "time t"]


def test_a_grid_has_one_dash_in_all_panels(drawn):
    photos, digits, bands = drawn["early-commitment"].axes
    for grid in sampling_experiments.BANDED:
        (whole,) = [line for line in photos.lines if line.get_gid() == grid]
        own = [line for line in bands.lines if str(line.get_gid()).endswith(f", {grid[:2]}")]
        assert len(own) == len(sampling_figures.BANDS)
        assert {line.get_linestyle() for line in own} == {whole.get_linestyle()}
    for name in sampling_experiments.GRIDS:
        dashes = [
            line.get_linestyle()
            for ax in (photos, digits)
            for line in ax.lines
            if line.get_gid() == name
        ]
        assert len(dashes) == 2
        assert dashes[0] == dashes[1]


@pytest.mark.parametrize("steps", [16, 128])
def test_the_title_of_the_table_has_its_largest_ratios(steps):
    table = sampling_figures.train_sample_schedules(steps=steps).figure.axes[-1]
    values = np.array([float(text.get_text()) for text in table.texts]).reshape(5, 5)
    said = [float(word.split()[-1]) for word in table.get_title().split("-fold")[:2]]
    ratios = [(values.max(axis) / values.min(axis)).max() for axis in (1, 0)]
    assert said == pytest.approx(ratios, rel=0.1)  # the table's numbers are rounded
    if steps == 128:  # with many steps the training matters more than the grid
        assert said[1] > said[0]


def test_a_panel_for_each_grid_holds_its_line_and_all_trainings(drawn):
    panels = drawn["train-sample-schedules"].axes[:-1]
    *names, last = [ax.get_title() for ax in panels]
    assert names == list(sampling_experiments.GRIDS)[:-1]
    assert last == "Karras, −9 to 9"  # between the ends of all these walks, not those of the paper
    assert (sampling_experiments.LOW, sampling_experiments.HIGH) == (-9, 9)
    assert len({ax.get_ylim() for ax in panels}) == 1
    for ax, grid in zip(panels, sampling_experiments.GRIDS, strict=True):
        (line,) = ax.lines
        assert line.get_gid() == f"exact: {grid}"
        (band,) = ax.collections
        assert band.get_gid() == f"trained: {grid}"
        heights = band.get_paths()[0].vertices[:, 1]
        at_16 = [
            sampling_experiments.distance(name, grid, 16) for name in sampling_experiments.TRAINED
        ]
        for value in (min(at_16), max(at_16)):
            assert np.abs(heights - value).min() < 1e-9
        assert ax.get_ylim()[0] < heights.min() and heights.max() < ax.get_ylim()[1]


@pytest.mark.parametrize("theme", [None, "slide"])
def test_each_column_of_the_table_stands_under_its_grid(theme):
    figure = figures.draw("train-sample-schedules", theme, (16, 9) if theme else None)
    figure.canvas.draw()
    *panels, table = figure.axes
    for column, ax in enumerate(panels):
        place = table.transData.transform((column, 0))[0]
        box = ax.get_window_extent()
        assert box.x0 < place < box.x1


def test_the_names_of_bands_say_how_much_variance_they_hold(drawn):
    labels = [text.get_text() for text in drawn["early-commitment"].axes[2].texts]
    shares = sampling_experiments.band_shares()
    assert sum(shares.values()) == pytest.approx(1, abs=0.02)  # the corners are left out
    assert [label.split("\n")[0] for label in labels] == list(shares)
    said = [float(label.split("(")[1].split("%")[0]) / 100 for label in labels]
    assert said == pytest.approx(list(shares.values()), abs=0.005)


def test_the_key_of_the_bands_has_the_dashes_of_their_lines(drawn):
    ax = drawn["early-commitment"].axes[2]
    key = ax.get_legend()
    names = [text.get_text() for text in key.get_texts()]
    assert names == ["FM", "VP cosine"]
    for name, handle in zip(names, key.legend_handles, strict=True):
        (line,) = (each for each in ax.lines if each.get_gid() == f"below 2, {name[:2]}")
        assert handle.is_dashed() == line.is_dashed()


def test_the_orders_beside_a_panel_are_its_own_and_its_title_names_the_best(drawn):
    for ax, grid in zip(drawn["solver-orders"].axes, sampling_experiments.LAWS, strict=True):
        records = sampling_experiments.convergence(grid, "gmm2d")
        wanted = {name: round(one.order, 2) for name, one in records.items()}
        assert orders_beside(ax) == wanted
        heights = [text.xyann[1] for text in ax.texts]
        assert np.diff(np.sort(heights)).min() > 0.0799  # of the height: names do not touch
        assert ax.get_title() == f"{grid}: RK4 in θ best at 12 and 100"


@pytest.mark.parametrize("panel", range(4))
def test_the_name_of_a_solver_stands_where_its_line_leaves_the_panel(drawn, panel):
    ax = drawn["solver-orders"].axes[panel]
    shares = (ax.transScale + ax.transLimits).transform
    points = {text.get_text().split(":")[0]: text.xy for text in ax.texts}
    for name in sampling_experiments.SOLVERS:
        calls, errors = data(drawn["solver-orders"], panel, name)
        end = shares((sampling_figures.MOST_CALLS, errors[calls == sampling_figures.MOST_CALLS][0]))
        assert points[name] == pytest.approx(tuple(end))


def test_edms_grid_is_called_moved_on_the_digits(drawn):
    photos, digits, _ = drawn["early-commitment"].axes
    for ax, name in ((photos, "EDM's grid"), (digits, "EDM's grid, moved")):
        (words,) = [text for text in ax.get_legend().get_texts() if "EDM" in text.get_text()]
        assert words.get_text().endswith(f"  {name}")


def test_the_columns_of_the_table_are_named(drawn):
    labels = drawn["train-sample-schedules"].axes[-1].get_xticklabels()
    titles = [ax.get_title() for ax in drawn["train-sample-schedules"].axes[:-1]]
    assert [label.get_text() for label in labels] == titles


@pytest.mark.parametrize("name", NAMES)
def test_type_is_large_enough(name, drawn):
    check_type(drawn[name])
