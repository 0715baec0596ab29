"""The explorer of schedules: a control is set, the curve or the words are read."""

import base64

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import expit

import diffviz as dv
from diffviz.lab.experiments import progress
from diffviz.lab.experiments import schedule as schedule_experiments
from diffviz.lab.experiments.elbo import known
from diffviz.lab.explorers.schedule import (
    ADAPTIVE,
    ADDS,
    ADDS_LEAST,
    ANALYTIC,
    BEFORE,
    BEST,
    DENSITIES,
    DRAWN,
    EXACT,
    GRID,
    LABELS,
    LIVE,
    LOOKS,
    NETWORK,
    NOW,
    SIX,
    SPENDS,
    UNSHIFTED,
    WEIGHTINGS,
    ScheduleExplorer,
)
from diffviz.theory.paths import COSINE, LINEAR
from diffviz.web.description import Slider

pytestmark = pytest.mark.slow

LONGEST = 60.0  # s that a test waits for long work


def curve(explorer, panel, name):
    return np.asarray(explorer.view.charts[panel].curves[name])


@pytest.fixture
def schedule():
    explorer = ScheduleExplorer()
    yield explorer
    explorer.close()


def test_flow_matchings_own_density_costs_a_little_more_than_the_best(schedule):
    text = schedule.view.text
    assert "E Y² = 7.712, smallest 7.402" in text and "ratio 1.0419" in text
    cost = 10 ** curve(schedule, 1, ADDS)  # its area is the ratio, but for the tails outside
    assert np.trapezoid(cost, GRID) == pytest.approx(
        (3 + 1.5 * np.pi) / (0.75 * np.pi**2), abs=1e-4
    )


@pytest.mark.parametrize("logvar", [-2.0, 0.0, 1.5])
def test_the_best_density_for_flow_matching_is_the_cosine_schedule_shifted_by_log_c(
    schedule, logvar
):
    schedule.set("density", "cosine")
    schedule.set("log_c", logvar)
    wanted = stats.hypsecant.pdf(GRID, -logvar, 2)
    # of the loss within the picture
    np.testing.assert_allclose(curve(schedule, 0, SPENDS), wanted, rtol=5e-3)
    assert ("ratio 1.0000" in schedule.view.text) == (logvar == 0)
    schedule.set("shift", float(np.exp(logvar / 2)))
    np.testing.assert_allclose(curve(schedule, 0, LOOKS), wanted, rtol=1e-9)
    np.testing.assert_allclose(curve(schedule, 1, ADDS), curve(schedule, 1, ADDS_LEAST), atol=1e-9)
    assert "ratio 1.0000" in schedule.view.text


@pytest.mark.parametrize("picture", ["one draw", SIX, LIVE])
@pytest.mark.parametrize("density", DENSITIES)
def test_each_density_brings_its_sliders_and_no_end_of_them_is_an_error(density, picture):
    explorer = ScheduleExplorer(density, picture=picture)
    shown = [explorer.description[name] for name in explorer.description.shown(explorer.state)]
    sliders = [one for one in shown if isinstance(one, Slider)]
    own = [one.label for one in sliders if one.when.get("density")]
    parameters = DENSITIES[density].parameters
    assert own == [LABELS.get(one.name, one.name) for one in parameters]
    for slider in sliders:
        for value in (slider.low, slider.high):
            explorer.set(slider.name, value)
            assert explorer.error == "" and "nan" not in explorer.view.text, (slider.name, value)


def test_a_normal_density_under_a_heavier_tailed_weighting_is_called_infinite(schedule):
    schedule.set("density", "EDM, log-normal σ")
    text = schedule.view.text
    assert "E Y² is infinite" in text and "within |λ| ≤ 20" in text
    cost = curve(schedule, 1, ADDS)
    assert cost[[0, -1]].min() > cost.min() + 2  # it turns up at both ends
    schedule.set("weighting", "edm")
    assert "infinite" not in schedule.view.text


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_on_a_bounded_range_every_weighting_has_a_finite_cost(weighting):
    schedule = ScheduleExplorer("uniform λ", weighting)
    schedule.set("uniform_low", -3)
    schedule.set("uniform_high", 4)
    assert ", ratio " in schedule.view.text and "never seen" in schedule.view.text
    drawn = np.isfinite(curve(schedule, 1, ADDS))
    np.testing.assert_allclose(GRID[drawn][[0, -1]], [-3, 4], atol=1e-9)


def test_a_loss_without_end_is_called_infinite(schedule):
    schedule.set("weighting", "elbo")
    assert "the loss itself is infinite" in schedule.view.text


def test_only_a_shift_that_moves_something_has_a_note(schedule):
    for picture in ("one draw", SIX, LIVE):
        schedule.set("picture", picture)
        schedule.set("shift", 1.0)
        assert "shift" not in schedule.view.text
        schedule.set("shift", 2.0)
        assert "shift 2 moves λ by −2 log s = −1.386" in schedule.view.text


def test_each_panel_of_one_draw_names_its_own_curves(schedule):
    left, right = schedule.view.charts
    assert ([*left.curves], [*right.curves]) == ([LOOKS, SPENDS], [ADDS, ADDS_LEAST])
    for looks, adds in ((LOOKS, ADDS), (SPENDS, ADDS_LEAST)):
        assert left.colours[looks] == right.colours[adds]
    assert all(ax.get_legend() for ax in schedule.figure().axes[:2])


def test_the_law_that_adapts_has_one_colour_whoever_draws(schedule):
    schedule.set("picture", LIVE)
    for adapts in (False, True):
        schedule.set("adapts", adapts)
        shades = schedule.view.charts[1].colours
        assert shades[ADAPTIVE] == dv.plots.style.FOCUS != shades[DRAWN]


def test_it_leaves_its_picture(schedule):
    schedule.set("shift", 1.3)
    content, _ = schedule._repr_mimebundle_()
    assert base64.b64decode(content["image/png"]) == schedule.png
    (left, _) = schedule.figure().axes[:2]
    line = next(line for line in left.lines if line.get_gid() == LOOKS)
    np.testing.assert_array_equal(line.get_ydata(), curve(schedule, 0, LOOKS))


@pytest.mark.parametrize(
    ("names", "near"), [(("cosin", "fm-ot"), "'cosine'"), (("cosine", "fm-otx"), "'fm-ot'")]
)
def test_a_schedule_explorer_of_unknown_names_is_refused_with_near_ones(names, near):
    with pytest.raises(ValueError, match=near):
        ScheduleExplorer(*names)


# --- six views ------------------------------------------------------------------------------------


def test_six_views_of_the_cosine_law_are_those_of_its_path():
    time = np.linspace(0.01, 0.99, 99)
    view = schedule_experiments.views(COSINE.schedule, time=time)
    known = schedule_experiments.cosine_views(time)
    for name in view._fields:
        np.testing.assert_allclose(getattr(view, name), getattr(known, name), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("law", [LINEAR.schedule, stats.norm(2.4, 2.4)], ids=["linear", "edm"])
def test_six_views_agree_with_each_other(law):
    view = schedule_experiments.views(law, shift=2.0, time=np.linspace(1e-4, 1 - 1e-4, 20_001))
    np.testing.assert_allclose(
        np.gradient(view.logsnr, view.time)[1000:-1000], view.slope[1000:-1000], rtol=1e-5
    )
    inside = slice(200, -200)
    share = integrate.trapezoid(view.sigma_density[inside], view.sigma[inside])
    assert share == pytest.approx(0.98, abs=2e-3)
    np.testing.assert_allclose(law.sf(view.logsnr + 2 * np.log(2)), view.time, rtol=1e-6)


def test_the_chosen_density_is_drawn_in_six_views(schedule):
    schedule.set("picture", SIX)
    schedule.set("shift", 3.0)
    charts = schedule.view.charts
    assert len(charts) == 6 and schedule.view.columns == 3
    view = schedule_experiments.views(LINEAR.schedule, 3.0)
    wanted = (
        view.logsnr,
        view.sigma,
        view.sigma,
        view.logsnr_density,
        view.sigma_density,
        view.slope,
    )
    for chart, values in zip(charts, wanted, strict=True):
        np.testing.assert_array_equal(chart.curves["FM, uniform t"], values)
        assert [*chart.curves] == ["FM, uniform t", UNSHIFTED]
    plain = schedule_experiments.views(LINEAR.schedule)
    np.testing.assert_array_equal(charts[0].curves[UNSHIFTED], plain.logsnr)
    schedule.set("shift", 1.0)
    assert [*schedule.view.charts[0].curves] == ["FM, uniform t"]


def test_noise_is_on_the_left_of_all_six_views(schedule):
    schedule.set("picture", SIX)
    for chart in schedule.view.charts:
        name = schedule.state["density"]
        sigma = schedule_experiments.views(LINEAR.schedule).sigma
        left, right = (abs(chart.places(name) - end).argmin() for end in chart.xlim)
        assert sigma[left] > 0.99 and sigma[right] < 0.01


def test_a_density_has_the_colour_of_the_objective_that_draws_from_it(schedule):
    assert schedule.view.charts[0].colours[LOOKS] == dv.plots.colour("fm-ot")
    schedule.set("density", "cosine")
    for picture in ("one draw", SIX):
        schedule.set("picture", picture)
        first, *_ = schedule.view.charts[0].colours.values()
        assert first == dv.plots.colour("iddpm-cosine")


# --- the live loss --------------------------------------------------------------------------------


def last(*arguments, **options):
    """The last step of a filling."""
    return [*schedule_experiments.filling(*arguments, **options)][-1]


def test_the_average_fills_in_around_the_exact_loss():
    fm = dv.objective("fm-ot")
    steps = [*schedule_experiments.filling(fm, LINEAR.schedule, variance=2.0, batches=100)]
    assert [one.batches for one in steps] == [*range(8, 97, 8), 100]
    seen = [np.isfinite(one.mean).sum() for one in steps]
    assert seen[-1] >= seen[0]
    middle = schedule_experiments.bin_middles()
    exact = expit(middle + np.log(2.0))
    inside = np.isfinite(steps[-1].stderr) & (np.abs(middle) < 6)
    deviations = (steps[-1].mean - exact)[inside] / steps[-1].stderr[inside]
    assert np.sqrt(np.mean(deviations**2)) == pytest.approx(1, abs=0.35)
    np.testing.assert_array_equal(steps[-1].density, LINEAR.schedule.pdf(middle))


@pytest.mark.parametrize("rule", ["kingma-gao", "minimum-variance"])
def test_the_adaptive_law_comes_near_the_best(rule):
    fm = dv.objective("fm-ot")
    uniform = stats.uniform(-12, 24)
    found = last(fm, uniform, rule=rule, adapts=True, batches=200)
    ratios = [schedule_experiments.over_least(fm, p) for p in (found.adaptive, found.density)]
    even = schedule_experiments.over_least(fm, uniform.pdf(schedule_experiments.bin_middles()))
    assert even > 2.3 and max(ratios) < 1.1


def test_the_best_density_costs_the_least_and_one_with_a_hole_without_end():
    middle = schedule_experiments.bin_middles()
    fm = dv.objective("fm-ot")
    best = fm.weighting(middle) * expit(middle + np.log(3.0))
    assert schedule_experiments.over_least(fm, best, 3.0) == pytest.approx(1, abs=1e-12)
    assert schedule_experiments.over_least(fm, np.where(middle < 0, best, 0.0), 3.0) == np.inf
    with pytest.raises(ValueError, match="60 values"):
        schedule_experiments.over_least(fm, best[1:])


@pytest.mark.parametrize(
    ("setting", "words"),
    [({"rule": "kingmagao"}, "kingma-gao"), ({"batches": 0}, "batches"), ({"decay": 1.0}, "decay")],
)
def test_a_filling_refuses_what_makes_no_sense(setting, words):
    with pytest.raises(ValueError, match=words):
        next(schedule_experiments.filling(dv.objective("fm-ot"), LINEAR.schedule, **setting))


def test_the_loss_is_drawn_as_it_fills_in_and_the_run_before_stays_pale(schedule):
    schedule.set("picture", LIVE)
    assert "Nothing is drawn yet" in schedule.view.text
    assert np.isnan(curve(schedule, 0, NOW)).all()
    schedule.act("draw")
    schedule.wait(LONGEST)
    assert schedule.error == "" and "200 batches of 256" in schedule.view.text
    first = curve(schedule, 0, NOW)
    middle = schedule_experiments.bin_middles()
    np.testing.assert_allclose(curve(schedule, 0, EXACT), expit(middle))
    assert BEFORE not in schedule.view.charts[0].curves
    drawn, best = curve(schedule, 1, DRAWN), curve(schedule, 1, BEST)
    assert np.abs(curve(schedule, 1, ADAPTIVE) - best).max() < 0.05
    np.testing.assert_allclose(drawn, LINEAR.schedule.pdf(middle))
    schedule.set("adapts", True)
    assert "Nothing is drawn yet" in schedule.view.text
    schedule.act("draw")
    schedule.wait(LONGEST)
    np.testing.assert_array_equal(curve(schedule, 0, BEFORE), first)
    assert schedule.view.charts[0].faint == (BEFORE,)
    assert np.abs(curve(schedule, 1, DRAWN) - best).max() < 0.05
    schedule.set("adapts", False)  # what was drawn is there at once
    np.testing.assert_array_equal(curve(schedule, 0, NOW), first)


@pytest.mark.parametrize("adapts", [False, True])
def test_a_network_learns_the_exact_error_and_its_run_is_known_the_next_time(adapts):
    fm = dv.objective("fm-ot")
    settings = {"variance": 2.0, "adapts": adapts, "batches": 100}
    arguments = schedule_experiments.training, fm, LINEAR.schedule
    steps = [*progress.followed(*arguments, **settings)]
    assert [one.batches for one in steps] == [*range(8, 97, 8), 100]
    middle = schedule_experiments.bin_middles()
    exact = known("gmm1").mmse(middle + np.log(2.0))
    inside = np.abs(middle) < 4
    excess = [np.nanmean((one.mean / exact)[inside]) - 1 for one in (steps[0], steps[-1])]
    assert excess[0] > 0.1 and abs(excess[1]) < 0.6 * excess[0]
    found = progress.kept(*arguments, **settings)
    np.testing.assert_array_equal(found.mean, steps[-1].mean)
    assert progress.kept(*arguments, **settings | {"decay": 0.9}) is None


def test_a_trained_network_is_shown_at_once_by_another_explorer():
    settings = {"picture": LIVE, "denoiser": NETWORK, "shift": 1.7}
    first, second = ScheduleExplorer(**settings), ScheduleExplorer(**settings)
    assert "The button trains a network" in first.view.text
    first.act("draw")
    first.wait(LONGEST)
    assert first.error == "" and "200 batches of 256" in first.view.text
    np.testing.assert_array_equal(curve(second, 0, NOW), curve(first, 0, NOW))
    middle = schedule_experiments.bin_middles()
    inside = np.abs(middle) < 4
    exact = curve(first, 0, EXACT)
    x = dv.toy("gmm1")
    np.testing.assert_allclose(exact[inside], x.mmse(middle[inside]), rtol=1e-6)
    assert np.abs(curve(first, 0, NOW) / exact - 1)[inside].mean() < 0.1
    second.set("denoiser", ANALYTIC)
    assert "The button draws" in second.view.text
