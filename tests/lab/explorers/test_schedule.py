"""The explorer of schedules: a control is set, the line is read."""

import base64
import io

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from diffviz.lab.explorers.base import Picture
from diffviz.lab.explorers.schedule import DENSITIES, LOOKS, SPENDS, WEIGHTINGS, ScheduleExplorer

pytestmark = pytest.mark.slow


def curve(explorer, panel, name):
    return next(line for line in explorer.panels[panel].lines if line.get_gid() == name).get_ydata()


@pytest.fixture
def schedule():
    return ScheduleExplorer()


def test_flow_matchings_own_density_costs_a_little_more_than_the_best(schedule):
    assert (
        "E Y² = 7.712, smallest 7.402" in schedule.text.value
        and "ratio 1.0419" in schedule.text.value
    )
    cost = 10 ** curve(
        schedule, 1, LOOKS
    )  # its area is the ratio, but for the tails outside the picture
    assert np.trapezoid(cost, schedule.grid) == pytest.approx(
        (3 + 1.5 * np.pi) / (0.75 * np.pi**2), abs=1e-4
    )


@pytest.mark.parametrize("logvar", [-2.0, 0.0, 1.5])
def test_the_best_density_for_flow_matching_is_the_cosine_schedule_shifted_by_log_c(
    schedule, logvar
):
    schedule.controls["density"].value, schedule.controls["log c"].value = "cosine", logvar
    wanted = stats.hypsecant.pdf(schedule.grid, -logvar, 2)
    np.testing.assert_allclose(
        curve(schedule, 0, SPENDS), wanted, rtol=5e-3
    )  # of the loss within the picture
    assert ("ratio 1.0000" in schedule.text.value) == (logvar == 0)
    schedule.controls["shift"].value = float(np.exp(logvar / 2))
    np.testing.assert_allclose(curve(schedule, 0, LOOKS), wanted, rtol=1e-9)
    np.testing.assert_allclose(curve(schedule, 1, LOOKS), curve(schedule, 1, SPENDS), atol=1e-9)
    assert "ratio 1.0000" in schedule.text.value


@pytest.mark.parametrize("density", DENSITIES)
def test_each_density_brings_its_sliders_and_no_end_of_them_is_an_error(schedule, density):
    schedule.controls["density"].value = density
    sliders = [schedule.controls[name] for name in ("p0", "p1")]
    assert [s.description for s in sliders if s.layout.display != "none"] == [
        p[0] for p in DENSITIES[density][1]
    ]
    sliders = sliders[: len(DENSITIES[density][1])]
    for slider in (*sliders, schedule.controls["shift"], schedule.controls["log c"]):
        for value in (slider.min, slider.max):
            slider.value = value
            assert "Error" not in schedule.text.value and "nan" not in schedule.text.value, (
                slider.description,
                value,
            )


def test_a_normal_density_under_a_heavier_tailed_weighting_is_called_infinite(schedule):
    schedule.controls["density"].value = "EDM, log-normal σ"
    assert (
        "E Y² is <b>infinite</b>" in schedule.text.value
        and "within |λ| ≤ 20" in schedule.text.value
    )
    assert (
        curve(schedule, 1, LOOKS)[[0, -1]].min() > curve(schedule, 1, LOOKS).min() + 2
    )  # it turns up at both ends
    schedule.controls["weighting"].value = "edm"
    assert "infinite" not in schedule.text.value


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_on_a_bounded_range_every_weighting_has_a_finite_cost(schedule, weighting):
    schedule.controls["weighting"].value, schedule.controls["density"].value = (
        weighting,
        "uniform λ",
    )
    schedule.controls["p0"].value, schedule.controls["p1"].value = -3, 4
    assert "<b>ratio" in schedule.text.value and "never seen" in schedule.text.value
    drawn = np.isfinite(curve(schedule, 1, LOOKS))
    np.testing.assert_allclose(schedule.grid[drawn][[0, -1]], [-3, 4], atol=1e-9)


def test_a_loss_without_end_is_called_infinite(schedule):
    schedule.controls["weighting"].value = "elbo"
    assert "the loss itself is <b>infinite</b>" in schedule.text.value


def test_a_slider_step_draws_what_a_full_redraw_draws_and_leaves_its_picture(schedule):
    schedule.controls["shift"].value = 1.3
    quick = np.asarray(Image.open(io.BytesIO(schedule.png)))
    np.testing.assert_array_equal(
        quick, np.asarray(Image.open(io.BytesIO(Picture(schedule.figure).png())))
    )
    assert base64.b64decode(schedule._repr_mimebundle_()["image/png"]) == schedule.png


@pytest.mark.parametrize(
    ("names", "near"), [(("cosin", "fm-ot"), "'cosine'"), (("cosine", "fm-otx"), "'fm-ot'")]
)
def test_a_schedule_explorer_of_unknown_names_is_refused_with_near_ones(names, near):
    with pytest.raises(ValueError, match=near):
        ScheduleExplorer(*names)
