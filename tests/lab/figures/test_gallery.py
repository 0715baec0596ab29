"""The registered figures show the numbers that they are there for, read from the artists."""

import re
from contextlib import nullcontext

import numpy as np
import pytest
from matplotlib.colors import to_hex
from pictures import check, check_nothing_is_cut, check_type, data
from scipy import stats

import diffviz as dv
from diffviz.compute import cache
from diffviz.lab import figures
from diffviz.lab.experiments import popular, strips
from diffviz.lab.experiments import schedule as schedule_experiments
from diffviz.lab.experiments import weighting as weighting_experiments
from diffviz.lab.experiments.perception import spectrum
from diffviz.lab.figures import gallery
from diffviz.recipes.entries import CATALOGUE
from diffviz.theory.paths import COSINE, LINEAR

NAMES = (
    "weightings",
    "fm-is-v-cosine",
    "sd3-vs-edm",
    "time-densities",
    "logsnr-densities",
    "base-switch",
    "loss-density",
    "heuristics",
)
NAMES += (
    "monotone",
    "edm-monotonic",
    "historical-bugs",
    "resolution-shift",
    "schedules",
    "equal-times",
    "cosine-six-panel",
    "invariance",
)


NAMES += ("popular-settings",)

DRAWN_BY = {  # the objective that draws from a density, whose colour that has
    "VP cosine": "iddpm-cosine",
    "cosine": "iddpm-cosine",
    "FM uniform t": "fm-ot",
    "EDM log-normal": "edm",
    "logit-normal(0, 1)": "sd3",
}

FOLDERS = ("off", "cold", "warm")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_figure_has_the_same_bytes_on_every_run_and_nothing_is_cut(name, tmp_path):
    check(name, tmp_path)


@pytest.mark.parametrize(
    ("words", "says"), [("high\n" * 30, "is cut"), ("wide " * 20, "run into"), ("middle", None)]
)
def test_what_is_cut_or_covers_another_title_is_found(words, says):
    left, middle, _ = dv.plots.axes(12, 4, columns=3)
    left.set_title("left")
    middle.set_title(words)
    with pytest.raises(AssertionError, match=says) if says else nullcontext():
        check_nothing_is_cut(left.figure)


OWNERS = {colour: name for name, colour in dv.plots.COLOURS.items() if name != "elbo"}


def test_the_palette_has_no_colour_of_an_objective():
    assert not set(dv.plots.PALETTE) & set(dv.plots.COLOURS.values())
    assert len(set(dv.plots.PALETTE)) == len(dv.plots.PALETTE)


@pytest.mark.parametrize("name", NAMES)
def test_the_colour_of_an_objective_means_that_objective(name):
    for ax in figures.draw(name).axes:
        for line in ax.lines:
            owner = OWNERS.get(to_hex(line.get_color()).upper())
            shown = str(line.get_gid()).split(":")[0]
            assert owner in (None, DRAWN_BY.get(shown, shown)), line.get_gid()


def test_every_figure_is_registered():
    assert set(NAMES) <= set(figures.FIGURES)


def test_an_unknown_figure_names_near_ones():
    with pytest.raises(ValueError, match="'weightings'"):
        figures.draw("weighting")


@pytest.mark.parametrize(
    ("name", "closed"),
    [
        ("elbo", lambda l: 0 * l),
        ("iddpm-cosine", lambda l: -np.log(np.cosh(l / 2))),
        ("fm-ot", lambda l: -l / 2),
        ("edm", lambda l: stats.norm.logpdf(l, 2.4, 2.4) + np.log(np.exp(-l) + 0.25)),
        ("indi", lambda l: -l - 2 * np.log(np.cosh(l / 4))),
        ("p2-gamma1", lambda l: -np.log(np.cosh(l / 2)) - np.log1p(np.exp(l))),
        ("min-snr-5-eps", lambda l: -np.log(np.cosh(l / 2)) + np.minimum(0, np.log(5) - l)),
        ("sd3", lambda l: stats.norm.logpdf(l, 0, 2) + 2 * np.log1p(np.exp(-l / 2))),
        ("sigmoid-bias2", lambda l: -np.log1p(np.exp(l - 2))),
    ],
)
def test_weightings_shows_the_classics(name, closed):
    x, y = data(figures.draw("weightings"), 0, name)
    np.testing.assert_allclose(y, (closed(x) - closed(np.zeros(1))) / np.log(10), atol=1e-9)


def test_fm_is_v_cosine_by_two_routes():
    figure = figures.draw("fm-is-v-cosine")
    x, gain_u = data(figure, 0, "fm-ot: gain², u target")
    p_u, gain_v, p_v = (
        data(figure, 0, name)[1]
        for name in (
            "fm-ot: p(λ), logistic",
            "v-cosine: gain², v target",
            "v-cosine: p(λ), hypsecant",
        )
    )
    np.testing.assert_allclose(gain_u + p_u, np.log10(np.exp(-x / 2) / 2), atol=1e-12)
    np.testing.assert_allclose(gain_v + p_v, np.log10(np.exp(-x / 2) / np.pi), atol=1e-12)
    np.testing.assert_allclose(
        data(figure, 1, "fm-ot")[1], data(figure, 1, "v-cosine")[1], atol=1e-12
    )


def test_sd3_and_edm_are_nearly_twins():
    figure = figures.draw("sd3-vs-edm")
    a, b = data(figure, 0, "sd3")[1], data(figure, 0, "edm")[1]
    assert np.corrcoef(a, b)[0, 1] == pytest.approx(0.994, abs=5e-4)
    assert np.abs(a - b).max() == pytest.approx(0.129, abs=5e-4)
    (words,) = figure.axes[0].texts
    assert words.get_text() == "largest gap 0.129\ncorrelation 0.994"
    (where, _), ends = data(figure, 0, "gap")
    x = data(figure, 0, "sd3")[0]
    assert np.abs(np.diff(ends)) == pytest.approx(np.abs(a - b).max())
    assert np.abs(a - b)[np.abs(x - where).argmin()] == np.abs(a - b).max()


def test_time_densities_at_the_points_that_are_known():
    figure = figures.draw("time-densities")
    t, cosmap = data(figure, 0, "CosMap")
    assert cosmap[[0, 500, 1000]] == pytest.approx([2 / np.pi, 4 / np.pi, 2 / np.pi])
    assert np.trapezoid(cosmap, t) == pytest.approx(1, abs=1e-6)
    for s, value in ((1.29, 3.793), (0.81, 1.860), (-0.54, 0.764)):
        assert data(figure, 0, f"mode({s:g})")[1][500] == pytest.approx(value, abs=5e-4)


def test_logsnr_densities_have_their_names_and_spreads():
    figure = figures.draw("logsnr-densities")
    x, fm = data(figure, 0, "fm-ot")
    np.testing.assert_allclose(fm, stats.logistic.pdf(x, scale=2))
    np.testing.assert_allclose(
        data(figure, 0, "iddpm-cosine")[1], stats.hypsecant.pdf(x, scale=2), rtol=1e-9
    )
    np.testing.assert_allclose(
        data(figure, 0, "sd3-cosmap")[1], data(figure, 0, "iddpm-cosine")[1], rtol=1e-9
    )
    np.testing.assert_allclose(
        data(figure, 0, "sd3-ln-1-0.6")[1], stats.norm.pdf(x, -2, 1.2), rtol=1e-9
    )
    assert dv.objective("fm-ot").law.std() == pytest.approx(3.6276, abs=5e-5)
    assert dv.objective("iddpm-cosine").law.std() == pytest.approx(np.pi)


def test_base_switch_turns_flow_matching_round():
    figure = figures.draw("base-switch")
    x, eps = data(figure, 0, "fm-ot")
    np.testing.assert_allclose(eps, -x / 2 / np.log(10), atol=1e-9)
    np.testing.assert_allclose(data(figure, 1, "fm-ot")[1], x / 2 / np.log(10), atol=1e-9)
    np.testing.assert_allclose(
        data(figure, 3, "fm-ot")[1], np.log10(np.cosh(x / 4) ** -2), atol=1e-9
    )


def test_the_loss_of_each_objective_is_drawn_on_both_data():
    """The title has the shares below λ = 0, and the losses have unit area."""
    spent = weighting_experiments.spending_on_data(("elbo", "fm-ot", "edm", "sd3"))
    figure = figures.weighting.loss_by_data(spent, title="what is seen").figure
    assert figure.get_suptitle() == "what is seen"
    for panel, (name, shares) in enumerate(
        {"elbo": "7% → 1%", "fm-ot": "50% → 26%", "edm": "31% → 11%", "sd3": "50% → 35%"}.items()
    ):
        assert figure.axes[panel].get_title() == f"{name}: {shares} below 0"
        for place, of_data in spent.items():
            x, density = data(figure, panel, f"{name}:{place}")
            assert np.trapezoid(density, x) == pytest.approx(1)
            below = np.trapezoid(np.where(x <= 0, density, 0), x)
            assert below == pytest.approx(of_data[name].loss_below, abs=0.01)
    check_nothing_is_cut(figure)
    check_type(figure)
    with pytest.raises(ValueError, match="two rows"):
        figures.weighting.loss_by_data(weighting_experiments.spending_on_data(("elbo",)))


def test_the_classics_are_named_at_their_ends_and_no_tail_is_cut():
    left, right = figures.draw("weightings").axes
    names = {text.get_text(): to_hex(text.get_color()) for text in left.texts}
    assert names == {name: dv.plots.colour(name).lower() for name in weighting_experiments.CLASSICS}
    low, high = left.get_ylim()
    for line, other in zip(left.lines, right.lines, strict=True):
        y = np.asarray(line.get_ydata())
        assert y.size == 0 or low < y.min() <= y.max() < high
        assert line.get_linestyle() == other.get_linestyle()
    assert not left.get_legend() and not right.get_legend()


def test_loss_density_prints_the_shares_below_zero():
    figure = figures.draw("loss-density")
    words = " ".join(text.get_text() for text in figure.axes[2].get_legend().get_texts())
    for name, shares in {
        "elbo": ".500 / 0.069",
        "fm-ot": ".993 / 0.500",
        "iddpm-cosine": ".500 / 0.183",
        "edm": ".817 / 0.312",
    }.items():
        assert f"{name}  0{shares}" in words
    assert "sd3  0.898 / 0.500" in words and "sd3-cosmap  0.989 / 0.500" in words
    photographs = spectrum().mmse
    for name in ("elbo", "fm-ot", "edm"):
        x, density = data(figure, 2, name)
        wanted = dv.objective(name).weighting(x) * photographs(x)
        np.testing.assert_allclose(density, wanted / np.trapezoid(wanted, x), rtol=1e-9)
        below = np.trapezoid(np.where(x <= 0, density, 0), x)
        (said,) = re.findall(rf"{name}  [\d.]+ / [\d.]+ / ([\d.]+)", words)
        assert float(said) == pytest.approx(below, abs=0.01)
    x, fm = data(figure, 1, "fm-ot")
    wanted = 1 / np.cosh(x / 2) / 2
    np.testing.assert_allclose(fm, wanted / np.trapezoid(wanted, x), rtol=1e-9)


def test_heuristics_are_all_there():
    figure = figures.draw("heuristics")
    drawn = {
        line.get_gid()
        for ax in figure.axes
        for line in ax.lines
        if not line.get_gid().endswith(":ends")
    }
    assert len(drawn) == 15 and "max-SNR-5 (the bug)" in drawn
    x, plain = data(figure, 0, "constant")
    np.testing.assert_allclose(
        data(figure, 0, "SNR + 1 on x")[1],
        np.log10((1 + np.exp(-x)) / np.cosh(x / 2) / 2),
        atol=1e-9,
    )
    np.testing.assert_allclose(plain, -np.log10(np.cosh(x / 2)), atol=1e-9)


def test_monotone_shades_only_what_is_negative():
    figure = figures.draw("monotone")
    titles = {ax.get_title().split(":")[0]: ax for ax in figure.axes}
    for name in ("elbo", "fm-ot", "indi", "sigmoid-bias2", "edm-monotonic"):
        assert titles[name].get_title() == f"{name}: monotone"
    for name, share in {
        "iddpm-cosine": "3.75%",
        "edm": "0.29%",
        "sd3": "0.51%",
        "min-snr-5-eps": "5.67%",
        "p2-gamma1": "4.07%",
    }.items():
        assert share in titles[name].get_title()
        x, y = data(figure, figure.axes.index(titles[name]), name)
        peak = dv.verdict(dv.objective(name)).peak
        assert (y[x < peak - 0.05] < 0).all() and (y[x > peak + 0.05] >= 0).all()


def test_a_negative_part_too_small_to_be_seen_is_enlarged():
    panels = figures.weighting.monotone(("edm", "fm-ot", "sd3", "min-snr-5-eps")).figure.axes
    enlarged = {panel.get_title().split(":")[0]: panel.child_axes for panel in panels}
    assert {name: len(inside) for name, inside in enlarged.items()} == {
        "edm": 1,
        "fm-ot": 0,
        "sd3": 1,
        "min-snr-5-eps": 0,
    }
    for panel in (panels[0], panels[2]):
        (inset,) = panel.child_axes
        panel.figure.canvas.draw()
        nats = [ax.get_window_extent().height / np.ptp(ax.get_ylim()) for ax in (inset, panel)]
        assert f"× {nats[0] / nats[1]:.0f}" in inset.get_title()
        for level in inset.get_xlim():  # each λ stands above its place in the panel
            places = [ax.transData.transform((level, 0))[0] for ax in (inset, panel)]
            assert places[0] == pytest.approx(places[1])


def area(figure, panel, gid):
    """Area between a filled curve and 0."""
    (fill,) = (c for c in figure.axes[panel].collections if c.get_gid() == gid)
    x, y = fill.get_paths()[0].vertices.T
    return abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2


@pytest.mark.parametrize("name", ["edm", "sd3", "iddpm-cosine", "min-snr-5-eps"])
def test_the_red_area_over_the_rest_is_the_negative_share(name):
    """By a quadrature of its own; the picture ends at λ = ±10, and the share does not."""
    figure = figures.weighting.monotone((name, "fm-ot")).figure
    ratio = area(figure, 0, f"{name}:negative") / area(figure, 0, f"{name}:positive")
    grid = np.linspace(-10, 10, 20_001)
    middles = (grid[1:] + grid[:-1]) / 2
    counted = np.diff(dv.objective(name).weighting(grid)) * np.log1p(np.exp(middles)) / 2
    wanted = counted[counted > 0].sum() / -counted[counted < 0].sum()
    assert ratio == pytest.approx(wanted, rel=0.02)
    assert wanted == pytest.approx(dv.verdict(dv.objective(name)).negative_share, rel=0.06)
    assert area(figure, 1, "fm-ot:negative") == 0


@pytest.mark.parametrize(
    "name",
    [
        "weightings",
        "fm-is-v-cosine",
        "sd3-vs-edm",
        "base-switch",
        "loss-density",
        "monotone",
        "edm-monotonic",
        "historical-bugs",
    ],
)
def test_type_is_large_enough(name):
    check_type(figures.draw(name))


def test_monotone_fills_two_rows():
    with pytest.raises(ValueError, match="two rows"):
        figures.weighting.monotone(("edm", "sd3", "fm-ot"))


def test_a_strip_stands_under_the_lowest_axes():
    strip = strips.noised("image", np.arange(-8.0, 9, 4))
    for drawn, count in (
        (figures.weighting.classics(("elbo", "edm"), strip), 2),
        (figures.weighting.base_switch(("elbo", "edm"), strip), 2),
        (figures.weighting.edm_monotonic(strip=strip), 1),
    ):
        under = [
            ax for ax in drawn.figure.axes if any(c.get_label() == "strip" for c in ax.child_axes)
        ]
        assert len(under) == count
        check_nothing_is_cut(drawn.figure)


def test_edm_monotonic_is_flat_left_of_the_peak():
    figure = figures.draw("edm-monotonic")
    x, y = data(figure, 0, "edm-monotonic")
    np.testing.assert_allclose(y[x < -3.3078], 1, rtol=1e-6)
    np.testing.assert_allclose(y[x > -3.3077], data(figure, 0, "edm")[1][x > -3.3077], rtol=1e-4)
    assert data(figure, 0, "edm")[1][np.abs(x).argmin()] == pytest.approx(0.465, abs=1e-3)
    assert data(figure, 0, "peak")[0][0] == pytest.approx(-3.3078, abs=5e-4)


def test_historical_bugs_show_the_wrong_form_beside_the_right_one():
    figure = figures.draw("historical-bugs")
    x, wrong = data(figure, 0, "min-snr-5 v, SNR + 1 (wrong)")
    low = x < np.log(4)  # there the numerator is not capped: the wrong weight is the plain v loss
    np.testing.assert_allclose(np.diff(wrong[low]), -np.diff(x[low]) / 2 / np.log(10), atol=1e-9)
    x, random_factor = data(figure, 2, "sd3, random factor (wrong)")
    table = dv.objective("fm-shift3").weighting(x)
    sigma = 1 / (1 + np.exp(x / 2))  # on the linear path
    wanted = np.log10(sigma**2 * table)
    np.testing.assert_allclose(random_factor, wanted - wanted[np.abs(x).argmin()], atol=1e-9)


def test_resolution_shift_moves_by_minus_two_log_s():
    figure = figures.draw("resolution-shift")
    _, plain = data(figure, 0, "shift 1")
    np.testing.assert_allclose(
        data(figure, 0, "shift 2 (one doubling)")[1] - plain, -1.386, atol=5e-4
    )
    np.testing.assert_allclose(data(figure, 0, "shift 3")[1] - plain, -2.197, atol=5e-4)
    x, law = data(figure, 1, "shift 3")
    assert x[law.argmax()] == pytest.approx(-2.197, abs=0.02)


def test_schedules_show_the_total_standard_deviation():
    figure = figures.draw("schedules")
    t, total = data(figure, 0, "total √(α² + σ²)")
    np.testing.assert_allclose(total, 1)
    assert (
        data(figure, 1, "total √(α² + σ²)")[1][200] == pytest.approx(1 / np.sqrt(2))
        and t[200] == 0.5
    )


def test_equal_times_are_led_down_to_their_levels():
    upper, lower = figures.schedule.equal_times(n=8).figure.axes
    times = (np.arange(8) + 0.5) / 8
    levels = -2 * np.log(np.tan(np.pi * times / 2))
    across, down = (
        next(np.array(c.get_segments()) for c in upper.collections if c.get_gid() == name)
        for name in ("times", "levels")
    )
    np.testing.assert_allclose(across[:, 1], np.column_stack([levels, times]), atol=1e-9)
    np.testing.assert_allclose(down[:, 1], np.column_stack([levels, times]), atol=1e-9)
    (below,) = (np.array(c.get_segments()) for c in lower.collections)
    height = 1 / (2 * np.pi * np.cosh(levels / 2))
    np.testing.assert_allclose(below[:, 1], np.column_stack([levels, height]), rtol=1e-6)


def test_the_six_panels_show_one_schedule():
    figure = figures.draw("cosine-six-panel")
    t, logsnr = data(figure, 0, "s = 0")
    np.testing.assert_allclose(logsnr, -2 * np.log(np.tan(np.pi * t / 2)), atol=1e-9)
    assert figure.axes[0].texts[0].get_text() == "λ(0) = 8.769"
    sigma, density = data(figure, 4, "s = 0")
    np.testing.assert_allclose(density[1:700], np.gradient(t, sigma)[1:700], rtol=1e-3)


def test_invariance_has_one_mean_and_the_exact_variances():
    figure = figures.draw("invariance")
    for law in schedule_experiments.SAMPLERS.values():
        grid = np.linspace(max(-60, law.support()[0]), min(60, law.support()[1]), 200_001)
        with np.errstate(invalid="ignore", divide="ignore"):
            mass = np.where(
                law.pdf(grid) > 0, 0.5 / np.cosh(grid / 2), 0
            )  # w·mmse = p · (w·mmse/p): twice the mean under any p
        assert np.trapezoid(mass, grid) / 2 == pytest.approx(np.pi / 2, rel=1e-3)
    assert schedule_experiments.draw_variance(
        schedule_experiments.SAMPLERS["cosine"]
    ) == pytest.approx(np.pi**2 / 2, rel=1e-6)
    assert schedule_experiments.draw_variance(
        schedule_experiments.SAMPLERS["FM uniform t"]
    ) == pytest.approx(3 + 1.5 * np.pi - np.pi**2 / 4, rel=1e-6)
    assert schedule_experiments.draw_variance(
        schedule_experiments.SAMPLERS["uniform λ on [−15, 15]"]
    ) == pytest.approx((90 - np.pi**2) / 4, rel=1e-4)
    assert np.isinf(
        schedule_experiments.draw_variance(schedule_experiments.SAMPLERS["EDM log-normal"])
    )
    drawn = {c.get_label(): c for c in figure.axes[0].containers}
    assert len(drawn) == 5
    heads = [patch for patch in figure.axes[1].patches if patch.get_gid() == "head"]
    rows = sorted(round(head.get_xy()[:, 1].mean() * 4) / 4 for head in heads)
    assert len(rows) == 2 and max(rows) < 1.5  # the two infinite variances, below


def test_the_second_moment_of_a_draw_has_its_closed_forms():
    fm, uniform = CATALOGUE["fm-ot"], stats.uniform(-10, 20)
    second, smallest, missed = schedule_experiments.second_moment(fm, LINEAR.schedule)
    assert (second, smallest, missed) == pytest.approx(
        (3 + 1.5 * np.pi, 0.75 * np.pi**2, 0), rel=1e-7, abs=1e-7
    )
    second, smallest, missed = schedule_experiments.second_moment(
        fm, COSINE.schedule, shift=2.0, variance=4.0
    )  # moved by log c: the best
    assert second == pytest.approx(smallest, rel=1e-7) and smallest == pytest.approx(
        0.75 * 4 * np.pi**2, rel=1e-7
    )
    second, smallest, missed = schedule_experiments.second_moment(fm, uniform)
    inside = 4 * np.arctan(np.tanh(2.5))  # ∫ ½ sech(λ/2) on [−10, 10]
    assert second == pytest.approx(15 * np.tanh(5), rel=1e-6) and smallest == pytest.approx(
        0.75 * inside**2, rel=1e-6
    )
    assert missed == pytest.approx(1 - inside / np.pi, rel=1e-5)


def test_the_second_moment_is_that_of_drawn_errors():
    rng = np.random.default_rng(0)
    edm, law, shift, variance = CATALOGUE["edm"], stats.logistic(0, 2), 1.5, 0.3
    logsnr = law.rvs(400_000, random_state=rng) - 2 * np.log(shift)
    error = rng.standard_normal(len(logsnr)) * np.sqrt(
        variance * np.exp(logsnr) / (1 + variance * np.exp(logsnr))
    )
    squared = (edm.weighting(logsnr) / law.pdf(logsnr + 2 * np.log(shift)) * error**2 / 2) ** 2
    second, smallest, _ = schedule_experiments.second_moment(edm, law, shift, variance)
    assert abs(squared.mean() - second) < 4 * squared.std() / np.sqrt(len(squared)) < 0.05 * second
    assert smallest < second


@pytest.mark.parametrize(
    ("std", "finite"), [(1.0, True), (0.8, False)]
)  # p ~ e^(−λ²/2s²) may be 1/√2 as wide as w, not less
def test_under_a_normal_weighting_a_normal_density_may_be_narrower_by_root_two_only(std, finite):
    assert (
        np.isfinite(schedule_experiments.second_moment(CATALOGUE["edm"], stats.norm(0, 2 * std))[0])
        == finite
    )


def test_a_loss_that_does_not_fall_off_is_infinite_but_finite_on_a_range():
    assert np.isinf(
        schedule_experiments.second_moment(CATALOGUE["elbo"], COSINE.schedule)[:2]
    ).all()
    second, smallest, missed = schedule_experiments.second_moment(
        CATALOGUE["elbo"], stats.uniform(-10, 20)
    )
    grid = np.linspace(-10, 10, 20_001)
    assert second == pytest.approx(60 * np.trapezoid((1 + np.exp(-grid)) ** -2.0, grid), rel=1e-5)
    assert smallest == pytest.approx(300, rel=1e-5) and np.isnan(missed)


@pytest.mark.parametrize("bad", [{"shift": 0.0}, {"variance": -1.0}, {"law": stats.uniform(50, 1)}])
def test_a_second_moment_out_of_range_is_refused(bad):
    with pytest.raises(ValueError, match=r"must be a finite number > 0|do not overlap"):
        schedule_experiments.second_moment(CATALOGUE["fm-ot"], **({"law": COSINE.schedule} | bad))


@pytest.mark.slow
def test_the_bytes_are_the_same_in_two_processes_and_from_disk(tmp_path, monkeypatch):
    names = ["policy-gain", "weightings"]
    monkeypatch.setenv("DIFFVIZ_CACHE", "off")
    gallery.main([*names, "--out", str(tmp_path / "off")])
    monkeypatch.setenv("DIFFVIZ_CACHE", str(tmp_path / "cache"))
    for folder in ("cold", "warm"):
        gallery.main([*names, "--out", str(tmp_path / folder), "--jobs", "2"])
        assert cache.size().entries == 9
    for name in names:
        kinds = {(tmp_path / folder / f"{name}.svg").read_bytes() for folder in FOLDERS}
        assert len(kinds) == 1


def test_figures_of_a_subject_are_drawn_by_one_process_and_the_slowest_first():
    groups = gallery.groups(figures.FIGURES)
    assert sorted(name for group in groups for name in group) == sorted(figures.FIGURES)
    assert groups[:2] == [
        ["few-steps"],
        [name for name in figures.FIGURES if name.startswith("policy-")],
    ]


def test_a_number_of_processes_is_at_least_one(tmp_path):
    with pytest.raises(ValueError, match="--jobs must be"):
        gallery.main(["weightings", "--out", str(tmp_path), "--jobs", "0"])


def test_popular_settings_are_drawn_where_the_table_has_them():
    drawn = figures.draw("popular-settings")
    table = popular.rows()
    for panel, name in ((0, "median"), (1, "below")):
        dots = np.hstack([data(drawn, panel, f"{name}:{kind}") for kind in ("monotone", "rising")])
        values = {int(place): value for value, place in dots.T}
        assert sorted(values) == list(range(len(table)))
        scale = 100 if name == "below" else 1
        for place, row in enumerate(table):
            assert values[place] == pytest.approx(scale * getattr(row, name))
    rising = data(drawn, 0, "median:rising")[1]
    assert [int(place) for place in rising] == [
        place for place, row in enumerate(table) if not row.is_monotone
    ]
    (bars,) = [shape for shape in drawn.axes[0].collections if shape.get_gid() == "quartiles"]
    ends = [segment[:, 0] for segment in bars.get_segments()]
    assert np.allclose(ends, [(row.quartiles[0], row.quartiles[2]) for row in table])
