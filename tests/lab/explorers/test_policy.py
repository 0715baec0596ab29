"""The explorers of notebook 6: a control is set, the picture's artists are read."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from diffviz.lab.experiments import policy as policy_experiments
from diffviz.lab.explorers.base import Picture
from diffviz.lab.explorers.policy import LearningExplorer, PolicyExplorer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def explorer():
    return PolicyExplorer()


@pytest.fixture(scope="module")
def learning():
    return LearningExplorer()


def test_the_elbo_is_the_exact_log_ratio_at_every_scale(explorer):
    explorer.controls["weighting"].value, explorer.controls["draws"].value = "elbo", 0
    for log_c in (-4, -1, 1):
        explorer.controls["log c"].value = log_c
        x, y = explorer.dots.get_data()
        np.testing.assert_allclose(x, y, atol=1e-9)
        assert "correlation with the exact log-ratio 1.000" in explorer.text.value


@pytest.mark.parametrize(("log_c", "fine"), [(-2, 0.5), (-1, 0.2), (0, 0.5)])
def test_flow_matching_counts_the_fine_part_by_the_square_root_of_c(explorer, log_c, fine):
    explorer.controls["weighting"].value, explorer.controls["draws"].value = "fm-ot", 0
    (
        explorer.controls["log c"].value,
        explorer.controls["fine"].value,
        explorer.controls["size"].value,
    ) = log_c, fine, 0.8
    move = 0.8 * np.sqrt([1 - fine, fine])
    parts = explorer.x * move - move**2 / 2
    x, y = explorer.dots.get_data()
    np.testing.assert_allclose(x, parts.sum(1), atol=1e-12)
    np.testing.assert_allclose(y, parts @ [1, 10 ** (log_c / 2)], atol=1e-6)
    np.testing.assert_allclose(
        np.concatenate(explorer.here.get_data()), [log_c, log_c / 2], atol=1e-6
    )
    wanted = policy_experiments.two_scale_correlation(10 ** (log_c / 2), 1 - fine)
    assert f"over all actions: {wanted:.3f}" in explorer.text.value


def test_more_draws_come_closer_and_the_button_draws_others(explorer):
    explorer.controls["weighting"].value, explorer.controls["draws"].value = "fm-ot", 0
    exact, off = explorer.dots.get_ydata(), {}
    for m in (1, 8, 128):
        explorer.controls["draws"].value = m
        off[m] = np.std(explorer.dots.get_ydata() - exact)
    assert off[1] > 2 * off[8] > 6 * off[128] and "before the average" in explorer.text.value
    before = explorer.dots.get_ydata()
    explorer.controls["again"].click()
    assert not np.allclose(before, explorer.dots.get_ydata())


@pytest.mark.parametrize("name", policy_experiments.WEIGHTINGS)
def test_no_end_of_a_slider_is_an_error(explorer, name):
    explorer.controls["weighting"].value = name
    for slider in ("log c", "fine", "size"):
        for value in (explorer.controls[slider].min, explorer.controls[slider].max):
            explorer.controls[slider].value = value
            assert "Error" not in explorer.text.value and "nan" not in explorer.text.value, (
                slider,
                value,
            )


def test_a_slider_step_draws_what_a_full_redraw_draws_and_leaves_its_picture(explorer):
    explorer.controls["log c"].value = -1.3
    quick = np.asarray(Image.open(io.BytesIO(explorer.png)))
    np.testing.assert_array_equal(
        quick, np.asarray(Image.open(io.BytesIO(Picture(explorer.figure).png())))
    )
    assert base64.b64decode(explorer._repr_mimebundle_()["image/png"]) == explorer.png


def test_an_unknown_weighting_names_near_ones_and_two_actions_are_too_few():
    with pytest.raises(ValueError, match="'fm-ot'"):
        PolicyExplorer("fm-otx")
    with pytest.raises(ValueError, match="three actions or more, got 2"):
        PolicyExplorer(n=2)
    assert PolicyExplorer("p2-gamma1").controls["weighting"].value == "p2-gamma1"


@pytest.mark.parametrize("n", [True, 5.0, "5"])
def test_a_number_of_actions_that_is_no_whole_number_is_refused(n):
    with pytest.raises(TypeError, match="n must be a whole number"):
        PolicyExplorer(n=n)


def test_a_policy_learns_while_one_looks_on(learning):
    assert "press <b>Learn</b>" in learning.text.value and len(learning.reward.get_xdata()) == 0
    pictures, controls = [], learning.controls
    learning._image.observe(lambda change: pictures.append(change["new"]), "value")
    controls["batches"].value = 6
    controls["learn"].click()
    reward = np.asarray(learning.reward.get_ydata())
    assert (
        len(set(pictures)) >= 7
        and len(reward) == 7
        and reward[-1] > 0.4
        and list(learning.goals.get_ydata()) == [4] * 7
    )
    assert (
        f"<b>{reward[-1]:.2f}</b>" in learning.text.value and len(learning.cloud.get_xdata()) == 300
    )


@pytest.mark.parametrize("method", ["AWR", "DPO", "DDPO"])
def test_every_method_runs_with_a_kl_term(learning, method):
    controls = learning.controls
    controls["method"].value, controls["batches"].value, controls["keep"].value = method, 2, 0.1
    controls["learn"].click()
    assert "2 batches" in learning.text.value and "KL term 0.1" in learning.text.value
    assert ("no weighting" in learning.text.value) == (method == "DDPO")
