"""Figures of notebook 7, read from their artists, and their closed forms by a second route."""

import math

import matplotlib
import numpy as np
import pytest
import torch
from pictures import check, check_type, data
from scipy.special import expit

from diffviz.data.toys import mixture
from diffviz.lab import figures
from diffviz.lab.experiments import prior as prior_experiments
from diffviz.lab.experiments import starts, walks
from diffviz.lab.explorers.prior import pair_colours
from diffviz.lab.figures.prior import FLOWS, in_powers
from diffviz.sampling import couplings
from diffviz.theory import paths, prior

pytestmark = pytest.mark.slow

NAMES = ("prior-kl", "terminal-snr", "brightness", "offset-noise", "straightness", "couplings")
SD = prior_experiments.TERMINAL["Stable Diffusion"]


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_has_the_same_bytes_on_every_run_and_nothing_is_cut(name, tmp_path):
    check(name, tmp_path)


def test_the_last_levels_are_the_published_ones():
    assert [math.exp(SD), math.sqrt(expit(SD))] == pytest.approx([0.0046819, 0.0682649], rel=1e-5)
    assert prior_experiments.TERMINAL["DDPM linear"] == pytest.approx(-10.118, abs=5e-4)
    assert prior_experiments.TERMINAL["iDDPM cosine"] == pytest.approx(-19.84, abs=5e-3)
    assert paths.zero_terminal_snr(paths.scaled_linear()).logsnr(1.0) == -np.inf


def test_the_prior_kl_and_what_samples_feel_of_it_are_those_of_torch():
    rng, normal = np.random.default_rng(0), torch.distributions.Normal
    power, side, level = torch.from_numpy(prior_experiments.spectrum(16)), 16, -4.0
    mean = torch.zeros(side, side, dtype=torch.float64)
    mean[0, 0] = side * prior_experiments.MEAN
    alpha, noise = expit(level) ** 0.5, expit(-level)
    x = mean + power.sqrt() * torch.from_numpy(rng.normal(size=(4000, side, side)))
    per_image = torch.distributions.kl_divergence(
        normal(alpha * x, noise**0.5), normal(0.0, 1.0)
    ).sum((1, 2))
    total, felt = prior_experiments.kl(level, side)
    assert total[0] == pytest.approx(
        per_image.mean().item(), abs=4 * per_image.std().item() / 4000**0.5
    )
    marginal = normal(alpha * mean, (alpha**2 * power + noise).sqrt())
    assert felt[0] == pytest.approx(
        torch.distributions.kl_divergence(marginal, normal(0.0, 1.0)).sum().item(), rel=1e-10
    )
    assert 0 < felt[0] < total[0]


def test_what_samples_feel_sits_in_the_direction_of_brightness():
    v, shift = (
        expit(SD) * (prior_experiments.SIDE * prior_experiments.STD) ** 2 + expit(-SD),
        expit(SD) * (prior_experiments.SIDE * prior_experiments.MEAN) ** 2,
    )
    assert (v - 1 - math.log(v) + shift) / 2 > 0.94 * prior_experiments.kl(SD)[1][0]


def test_the_prior_kl_falls_with_slope_one():
    x, y = data(figures.draw("prior-kl"), 0, "prior KL, a term of the ELBO")
    slope = np.polyfit(x[x < -6], np.log(y[x < -6]), 1)[0]
    assert slope == pytest.approx(1, abs=2e-3)


def test_the_prior_kl_has_its_numbers_at_the_ends_of_schedules():
    ends = list(prior_experiments.TERMINAL.values())
    texts = [text.get_text() for text in figures.draw("prior-kl").axes[0].texts]
    raised = {f"e-{power:02d}": f"·10⁻{digit}" for power, digit in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}
    wanted = [f"{value:.3g}" for nats in prior_experiments.kl(ends) for value in nats]
    for plain, written in raised.items():
        wanted = [text.replace(plain, written) for text in wanted]
    assert [text for text in texts if text[0].isdigit()] == wanted
    assert "5.37" in wanted and "3.75" in wanted


@pytest.mark.parametrize(
    ("value", "text"),
    [(5.372, "5.37"), (0.046, "0.046"), (2.8e-6, "2.8·10⁻⁶"), (3e-12, "3·10⁻¹²"), (0.0, "0")],
)
def test_small_numbers_have_powers_of_ten(value, text):
    assert in_powers(value) == text


def test_measured_brightness_lies_on_the_closed_form():
    figure = figures.draw("terminal-snr")
    for side in prior_experiments.SIZES:
        for panel, far in ((0, 0.005), (1, 0.01)):
            grid, curve = data(figure, panel, f"{side}² pixels")
            place, found = data(figure, panel, f"{side}² measured")
            gap = found[:3] - np.interp(place[:3], grid, curve)
            # DDIM's own error grows with the coefficient's variance and the range of the grid
            assert abs(gap).max() < (far if side < 256 else 0.04) and abs(gap[0]) < 0.003, (
                side,
                panel,
                gap,
            )


def test_stable_diffusions_end_loses_the_mean_and_zero_terminal_snr_mends_it():
    figure = figures.draw("terminal-snr")
    mean, spread = (data(figure, panel, "64² measured")[1] for panel in (0, 1))
    assert [mean[0], spread[0]] == pytest.approx([0.3004, 0.7162], abs=0.001)
    assert [mean[3], spread[3]] == pytest.approx([1, 1], abs=0.005)
    assert data(figure, 0, "256² measured")[1][[0, 3]] == pytest.approx([0.031, 1], abs=0.002)


def test_the_pictures_differ_in_brightness_and_not_in_texture():
    left = prior_experiments.gaussian_images(SD, "data")
    grey, mended = (
        prior_experiments.gaussian_images(SD, "prior"),
        prior_experiments.gaussian_images(-30.0, "prior"),
    )
    centred = lambda images: images - images.mean((1, 2), keepdims=True)
    assert np.corrcoef(centred(left).ravel(), centred(grey).ravel())[0, 1] > 0.99
    assert np.corrcoef(centred(left).ravel(), centred(mended).ravel())[0, 1] > 0.98
    assert [one.mean() for one in (left, grey, mended)] == pytest.approx(
        [-0.6, -0.18, -0.6], abs=0.01
    )
    rows = [ax.images[0].get_array().mean() for ax in figures.draw("brightness").axes]
    assert rows[1] - rows[0] > 0.3 and abs(rows[2] - rows[0]) < 0.03


@pytest.mark.parametrize("also_at_start", [True, False])
def test_the_bias_under_offset_noise_is_that_of_the_flow_of_images(also_at_start):
    """Whole images, with offset noise, down the exact flow; no rescaling of the channel."""
    side, c, level, n = 4, 0.4, -2.0, 4000
    power = torch.from_numpy(prior_experiments.spectrum(side, 0.5)).flatten()
    noise = torch.ones(side**2, dtype=torch.float64)
    noise[0] = 1 + c**2 * side**2
    mean = torch.zeros(side**2, dtype=torch.float64)
    mean[0] = side * 0.7
    start = torch.randn(n, side**2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    start = (
        (start - start.mean(0))
        / start.std(0, correction=0)
        * (noise.sqrt() if also_at_start else 1)
    )
    alpha, sigma2 = expit(level) ** 0.5, expit(-level)
    x = mean + (power / (alpha**2 * power + sigma2 * noise)).sqrt() * (
        start - alpha * mean
    )  # z and x, standardised, are equal
    kept, spread = prior_experiments.offset_bias(level, c, side, 0.7, 0.5, also_at_start)
    assert x[:, 0].mean().item() / mean[0] == pytest.approx(kept, rel=1e-9)
    assert x[:, 0].std(correction=0).item() / math.sqrt(power[0]) == pytest.approx(spread, rel=1e-9)


def test_offset_noise_shows_its_numbers():
    figure = figures.draw("offset-noise")
    assert data(figure, 0, "κ = 0.1")[1] == pytest.approx(-3.737, abs=5e-4)
    c, mean = data(figure, 1, "mean")
    at = np.abs(c - 0.1).argmin()
    ends = [
        data(figure, 1, f"spread, {kind}")[1][at]
        for kind in ("offset in the start too", "plain start")
    ]
    assert [mean[at], *ends] == pytest.approx([0.8505, 0.9911, 0.1530], abs=1e-4)
    names = "mean", "spread, offset in the start too", "spread, plain start"
    marked = [data(figure, 1, f"κ = 0.1: {name}")[1].item() for name in names]
    assert marked == pytest.approx([0.8505, 0.9911, 0.1530], abs=1e-4)
    assert prior_experiments.offset_bias(SD, 0.0)[0] == pytest.approx(
        prior.terminal_bias(SD, 1.0, (prior_experiments.SIDE * prior_experiments.STD) ** 2)[0]
    )


def test_straightness_is_the_closed_form_and_paths_go_in_to_0_707():
    found = prior_experiments.straightness(prior_experiments.C_VALUES)
    closed = np.sqrt(prior_experiments.C_VALUES) * (2 - math.pi / 2)
    assert found == pytest.approx(closed, rel=2e-3)
    figure = figures.draw("straightness")
    c, share = data(figure, 1, "measured")
    for variance, drawn in zip(c, share, strict=True):
        t, z = prior_experiments.gaussian_flow(variance)
        slopes = np.diff(z[..., 0].numpy(), axis=0) / np.diff(np.asarray(t))[:, None]
        energy = (slopes**2).mean(1) @ np.abs(np.diff(np.asarray(t)))
        bend = np.sqrt(variance) * (2 - math.pi / 2)
        assert drawn == pytest.approx(bend / energy, rel=5e-3)
    grid, curve = data(figure, 1, "closed form")
    assert grid[curve.argmax()] == pytest.approx(1, rel=0.1)
    assert curve.max() == pytest.approx(1, abs=1e-2)
    for k in range(9):
        path = data(figure, 0, f"path {k}")[1]
        assert path[-1] == pytest.approx(path[0], abs=1e-5) and path[
            len(path) // 2
        ] == pytest.approx(path[0] / 2**0.5, abs=1e-5)


def test_the_exact_velocity_is_the_mean_over_pairs():
    ring, moons = prior_experiments.ring_and_moons()
    n, t = 400_000, 0.6
    source, x = (
        one.sample(n, torch.Generator().manual_seed(k)) for k, one in enumerate((ring, moons))
    )
    z = t * source + (1 - t) * x
    middle = torch.tensor([[2.0, 1.5]], dtype=torch.float64)
    near = (z - middle).norm(dim=1) < 0.12
    pairs, wanted = (
        (source - x)[near],
        prior_experiments.exact_velocity(ring, moons)(z[near], t).mean(0),
    )
    assert near.sum() > 500
    assert ((pairs.mean(0) - wanted).abs() < 4 * pairs.std(0) / near.sum() ** 0.5).all()


def test_the_exact_velocity_between_two_gaussians_is_the_regression_of_pairs():
    source, x = mixture([[1.0, 2.0]], 0.5), mixture([[0.0, -1.0]], 0.3)
    one, two = (
        toy.sample(200_000, torch.Generator().manual_seed(k)) for k, toy in enumerate((source, x))
    )
    for t in (0.2, 0.7):
        z, u = t * one + (1 - t) * two, one - two
        slope = ((z - z.mean(0)) * (u - u.mean(0))).mean(0) / z.var(0)
        at = torch.tensor([[0.5, -0.5], [1.0, 1.5]], dtype=torch.float64)
        wanted = u.mean(0) + slope * (at - z.mean(0))
        assert (
            prior_experiments.exact_velocity(source, x)(at, torch.tensor(t)) - wanted
        ).abs().max() < 0.04


def test_the_table_of_couplings_is_as_known():
    row = {name: one.numbers() for name, one in prior_experiments.coupled().items()}
    assert row["independent, exact"]["S"] == pytest.approx(13.97, rel=0.03)
    assert row["independent, exact"]["S/energy"] == pytest.approx(0.60, abs=0.02)
    assert row["independent, exact"]["path ratio"] == pytest.approx(1.52, abs=0.03)
    assert row["independent, learnt"]["S"] == pytest.approx(9.4, rel=0.1)
    assert row["minibatch OT"]["S"] < 0.15 and row["minibatch OT"]["path ratio"] < 1.01
    assert row["reflow"]["S"] < 0.5 and row["reflow"]["path ratio"] < 1.02
    costs = [row[name]["cost"] for name in ("independent, exact", "reflow", "minibatch OT")]
    assert costs == sorted(costs, reverse=True)
    assert row["minibatch OT"]["W2, 1"] < 0.7 < 2.5 < row["independent, exact"]["W2, 1"]
    one = prior_experiments.coupled()["independent, exact"]
    dt, dz = np.diff(one.t), np.diff(one.z, axis=0)
    energy = ((dz / dt[:, None, None]) ** 2).sum(-1).mean(1) @ abs(dt)
    assert row["independent, exact"]["S/energy"] == pytest.approx(
        row["independent, exact"]["S"] / energy, rel=1e-9
    )


def collection(figure, panel, name, row):
    """The lines of a coupling: its pairs in the upper row, the paths of its flow in the lower."""
    gid = f"{name}: {('pairs', 'paths')[row]}"
    (found,) = (one for one in figure.axes[panel].collections if one.get_gid() == gid)
    return found


def test_pairs_and_paths_have_the_colours_of_the_explorer():
    """Each by where it ends, and so do its start and its end; data are grey."""
    figure = figures.draw("couplings")
    optimal = prior_experiments.coupled()["minibatch OT"]
    for row, ends in enumerate((optimal.x[:80], optimal.z[-1, :80])):
        wanted = walks.end_colours(ends, starts.COUPLING_REACH)
        panel = (1, 5)[row]
        lines = collection(figure, panel, "minibatch OT", row)
        np.testing.assert_allclose(lines.get_colors()[:, :3], wanted)
        dots = {one.get_gid(): one for one in figure.axes[panel].collections}
        for gid in ("source", "ends"):
            np.testing.assert_allclose(dots[gid].get_facecolors()[:80, :3], wanted)
        np.testing.assert_array_equal(dots["data"].get_offsets(), optimal.x[:300])
        grey = matplotlib.colors.to_rgb(walks.GREY)
        np.testing.assert_allclose(dots["data"].get_facecolors()[0, :3], grey)
    pairing = starts.paired(starts.REFLOW)
    shown = walks.end_colours(pairing.z[-1], starts.COUPLING_REACH)
    np.testing.assert_array_equal(pair_colours(pairing), shown)


def test_no_path_of_a_coupling_leaves_its_panel():
    ax = figures.draw("couplings").figure.axes[3]
    ends = ax.get_xlim(), ax.get_ylim()
    for name in FLOWS:
        z = prior_experiments.coupled()[name].z[:, :300]
        for place, (low, high) in enumerate(ends):
            assert low < z[..., place].min() and z[..., place].max() < high


def test_the_figure_of_couplings_says_what_is_measured():
    figure = figures.draw("couplings")
    one = prior_experiments.coupled()["minibatch OT"]
    pairs, paths = (collection(figure, (1, 5)[row], "minibatch OT", row) for row in (0, 1))
    np.testing.assert_array_equal(np.array(pairs.get_segments())[:, 0], one.source[:80])
    np.testing.assert_array_equal(np.array(pairs.get_segments())[:, 1], one.x[:80])
    np.testing.assert_array_equal(np.array(paths.get_segments()), one.z[:, :80].transpose(1, 0, 2))
    assert f"{one.numbers()['cost']:.1f}" in figure.axes[1].get_title()
    assert f"S = {one.numbers()['S']:.2g}," in figure.axes[5].get_title()


def test_crossings_on_a_line_are_pairs_whose_paths_meet_and_optimal_pairs_have_none():
    source, x = (
        torch.randn(60, 1, generator=torch.Generator().manual_seed(k), dtype=torch.float64)
        for k in (0, 1)
    )
    met = [
        (source[i] - source[j]) * (x[i] - x[j]) < 0 for i in range(60) for j in range(i)
    ]  # the order at the start is not that at the end
    assert couplings.crossings(source, x) == pytest.approx(
        np.mean([bool(m) for m in met]), abs=1e-12
    )
    assert (
        couplings.crossings(
            *couplings.minibatch_ot(source, x, torch.Generator().manual_seed(2), batch=60)
        )
        == 0
    )
    plane = [torch.randn(300, 2, generator=torch.Generator().manual_seed(k)) for k in (3, 4)]
    assert couplings.crossings(*plane) == pytest.approx(0.5, abs=0.05)
    assert (
        couplings.crossings(
            *couplings.minibatch_ot(*plane, torch.Generator().manual_seed(2), batch=300)
        )
        == 0
    )


def test_sizes_have_one_dash_and_no_curve_runs_under_a_name():
    figure = figures.draw("terminal-snr")
    for ax in figure.axes:
        curves = [line for line in ax.lines if str(line.get_gid()).endswith("pixels")]
        assert len(curves) == 3
        assert {line.get_linestyle() for line in curves} == {"-"}
    figure.canvas.draw()
    names = [text for text in figure.axes[0].texts if "\n" in text.get_text()]
    assert len(names) == 4
    top = figure.axes[0].get_window_extent().y1
    assert all(text.get_window_extent().y0 >= top for text in names)


def test_the_couplings_are_those_of_networks_of_one_training():
    figure = figures.draw("couplings")
    titles = [ax.get_title().split("\n")[0] for ax in figure.axes]
    assert titles[:3] == ["independent pairs", "minibatch OT pairs", "reflow pairs"]
    assert titles[3:] == list(FLOWS.values())
    for ax, name in zip(figure.axes[3:], FLOWS, strict=True):
        one = prior_experiments.coupled()[name].numbers()
        assert f"S = {one['S']:.2g}, path ratio {one['path ratio']:.2f}" in ax.get_title()


@pytest.mark.parametrize("name", NAMES)
def test_type_is_large_enough(name):
    check_type(figures.draw(name))
