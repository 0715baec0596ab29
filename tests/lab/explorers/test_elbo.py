"""The explorer of the ELBO: a control is set, the curve or the words are read."""

import re

import numpy as np
import pytest
from scipy.special import expit

import diffviz as dv
from diffviz import plots
from diffviz.lab.experiments.elbo import gaps, known, signed_mixture
from diffviz.lab.explorers.colours import SUBJECT
from diffviz.lab.explorers.elbo import (
    DATA,
    DIRECT,
    ENTRIES,
    GAP,
    LAW,
    MIXED,
    NEGATIVE,
    OVER_HIGH,
    OVER_LOW,
    OWN_TABLE,
    WEIGHTINGS,
    ElboExplorer,
    W,
)
from diffviz.web.description import Slider

pytestmark = pytest.mark.slow


@pytest.fixture
def explorer():
    return ElboExplorer()


def curve(explorer, panel, name):
    """Places and values of a curve."""
    chart = explorer.view.charts[panel]
    return chart.places(name), np.asarray(chart.curves[name])


def cells(explorer, table, row):
    """The cells of a row, without their units."""
    return explorer.view.panels[2 + table].rows[row]


def number(text):
    """The number that a text begins with."""
    return float(re.match(r"[\d.e+-]+", text.replace("−", "-")).group())


def test_the_first_view_is_edm_with_its_negative_shares(explorer):
    x, law = curve(explorer, 0, LAW)
    assert x[law < 0].max() == pytest.approx(-3.308, abs=0.05) and law.min() == -1
    assert cells(explorer, 0, 0)[2:] == ("0.29%", "0.35%", "0.66%")
    assert explorer.error == ""


def test_an_objective_has_its_own_colour(explorer):
    """EDM is green as everywhere; a family that is no objective has the colour of a subject."""
    for name, shade in (
        ("EDM", plots.colour("edm")),
        ("sd3", plots.colour("sd3")),
        ("Laplace", SUBJECT),
    ):
        explorer.set("weighting", name)
        left, right = explorer.view.charts
        assert left.colours[LAW] == right.colours[MIXED] == shade
        assert explorer.view.panels[2].colours[0] == shade
        assert explorer.local_data()["shades"][name] == shade


def test_a_slider_moves_the_law_to_that_of_its_closed_form(explorer):
    explorer.set("weighting", "sigmoid")
    explorer.set("sigmoid_bias", -1.0)
    x, law = curve(explorer, 0, LAW)
    wanted = expit(-1 - x) * expit(1 + x)  # of w = sigmoid(b − λ)
    np.testing.assert_allclose(law, wanted / wanted.max(), atol=2e-3)
    assert cells(explorer, 0, 0)[1] == "monotone: a sum of ELBOs"
    assert np.isnan(curve(explorer, 0, NEGATIVE)[1]).all()


def test_what_is_negative_of_the_shares_is_drawn_so_that_it_can_be_seen(explorer):
    """EDM's red would be a hundredth of the axis high; a spike's needs no enlargement."""
    chart = explorer.view.charts[1]
    (name,) = [one for one in chart.curves if one.startswith(NEGATIVE)]
    times = int(name.removeprefix(f"{NEGATIVE} × "))
    _, added = curve(explorer, 1, MIXED)
    _, red = curve(explorer, 1, name)
    bottom, top = chart.ylim
    assert np.nanmin(red) == pytest.approx(times * added.min())
    assert top / 6 < -np.nanmin(red) <= top / 2 <= -bottom
    explorer.set("weighting", "fm-ot")
    assert NEGATIVE in explorer.view.charts[1].curves
    explorer.set("weighting", "Laplace")
    explorer.set("laplace_scale", 0.2)
    assert NEGATIVE in explorer.view.charts[1].curves


def test_red_lies_where_the_law_is_negative(explorer):
    _, law = curve(explorer, 0, LAW)
    _, red = curve(explorer, 0, NEGATIVE)
    drawn = np.isfinite(red)
    assert drawn[law < 0].all()
    assert red[drawn] == pytest.approx(np.minimum(law, 0)[drawn])
    assert 0 <= drawn.sum() - (law < 0).sum() <= 2  # down to 0 at both ends
    assert np.nanmin(red) == pytest.approx(law.min(), abs=1e-3)
    low, high = explorer.view.charts[0].bands[NEGATIVE]
    np.testing.assert_array_equal(low, np.minimum(law, 0))
    assert not np.any(high)


@pytest.mark.parametrize("name", ["EDM", "Min-SNR", "sigmoid", "fm-ot", "elbo", "Laplace"])
@pytest.mark.parametrize("data", DATA)
def test_errors_and_elbos_add_up_to_the_same_loss(name, data):
    explorer = ElboExplorer(name, data)
    x, direct = curve(explorer, 1, DIRECT)
    assert np.trapezoid(direct, x) == pytest.approx(1, abs=1e-9)
    errors, elbos = (number(cells(explorer, 1, row)[1]) for row in (0, 1))
    assert errors == pytest.approx(elbos, rel=2e-3)
    shares = [number(cell) for cell in cells(explorer, 1, 1)[2:]]
    assert sum(shares) == pytest.approx(100, abs=0.35)


def test_what_is_missing_from_the_elbos_sits_at_the_end_of_the_range(explorer):
    explorer.set("weighting", "fm-ot")
    explorer.set("high", 6.0)
    x, mixed = curve(explorer, 1, MIXED)
    at_end = number(cells(explorer, 1, 1)[3]) / 100
    assert np.trapezoid(mixed, x) + at_end == pytest.approx(1, abs=5e-3) and at_end > 0.02


def test_a_loss_that_starts_high_has_an_end_that_is_subtracted(explorer):
    explorer.set("weighting", "indi")
    explorer.set("low", -3.0)
    between, at_high, at_low = (number(cell) for cell in cells(explorer, 1, 1)[2:])
    data, w = known("gmm1"), dv.objective("indi").weighting(np.array([-3.0, 10.0]))
    loss = number(cells(explorer, 1, 0)[1])
    assert at_low == pytest.approx(-100 * w[0] * data.information(-3.0) / loss, abs=0.1)
    assert at_high == pytest.approx(100 * w[1] * data.information(10.0) / loss, abs=0.1)
    assert at_low < -1 and between + at_high + at_low == pytest.approx(100, abs=0.35)


def test_a_constant_weighting_has_no_law_but_one_lump(explorer):
    explorer.set("weighting", "elbo")
    assert (curve(explorer, 0, LAW)[1] == 0).all()
    assert number(cells(explorer, 1, 1)[3]) == 100


def test_holding_w_at_its_peak_makes_it_monotone_and_costs_what_the_closed_form_says(explorer):
    explorer.set("held", True)
    x, w = curve(explorer, 0, W)
    held = dv.objective("edm-monotonic").weighting(x)
    np.testing.assert_allclose(w, held / held.max(), rtol=2e-3)
    assert cells(explorer, 0, 0)[1] == "monotone: a sum of ELBOs"
    plain, mmse = dv.objective("edm").weighting(x), known("gmm1").mmse(x)
    added = (
        np.trapezoid(held / held.max() * plain.max() * mmse, x) / np.trapezoid(plain * mmse, x) - 1
    )
    written = re.search(r"([\d.]+)% added", cells(explorer, 1, 0)[0]).group(1)
    assert float(written) / 100 == pytest.approx(added, abs=2e-4)


def gap(explorer):
    """The gap in the note."""
    return float(re.search(r"gap ([\d.e+-]+)$", explorer.view.text.replace("−", "-")).group(1))


def test_the_gap_falls_with_lambda_max_as_the_fisher_information_says(explorer):
    explorer.set("data", "ring of 8 (ring8)")
    for high in (10.0, 12.0):
        explorer.set("high", high)
        assert gap(explorer) == pytest.approx(100 * np.exp(-high), rel=0.02)


def test_the_gap_is_drawn_as_either_end_moves(explorer):
    explorer.set("right", GAP)
    explorer.set("low", -4.0)
    for name, end in ((OVER_HIGH, "high"), (OVER_LOW, "low")):
        x, logs = curve(explorer, 1, name)
        here = explorer.state[end]
        (place,), (value,) = explorer.view.charts[1].dots[name]
        assert place == here and 10**value == pytest.approx(gap(explorer), rel=0.05)
        assert np.interp(here, x, logs) == pytest.approx(value, abs=1e-3)
        explorer.set(end, float(x[30]))
        assert gap(explorer) == pytest.approx(10 ** logs[30], rel=0.06)
        explorer.set(end, here)


def test_the_gap_is_the_sum_of_those_at_both_ends():
    data = known("ring8")
    over = gaps(data, -5.0, 9.0)
    prior = sum(data.terms(-5.0, 20.0)) - data.entropy
    reconstruction = sum(data.terms(-20.0, 9.0)) - data.entropy
    assert over.gap == pytest.approx(prior + reconstruction, rel=1e-3)


def test_objectives_beside_have_their_own_laws_and_verdicts(explorer):
    explorer.set("beside", ("sd3", "fm-ot"))
    chart = explorer.view.charts[0]
    x, law = curve(explorer, 0, "sd3")
    w = dv.objective("sd3").weighting(x)
    wanted = dv.augmentation_density(w, x)
    np.testing.assert_allclose(law, wanted / np.abs(wanted).max())
    assert chart.dashes["sd3"] != chart.dashes[LAW]
    table = explorer.view.panels[2]
    assert [row[0] for row in table.rows] == ["EDM", "sd3", "fm-ot"]
    assert table.rows[2][1] == "monotone: a sum of ELBOs" and table.rows[1][3] != table.rows[0][3]
    assert table.colours[1] == dv.plots.colour("sd3")


def test_a_pasted_table_is_looked_at_and_a_missing_one_is_asked_for(explorer):
    explorer.set("weighting", OWN_TABLE)
    assert "paste one" in explorer.error
    places = np.linspace(-20, 20, 401)
    rows = [f"{x}, {w}" for x, w in zip(places, expit(-1 - places), strict=True)]
    explorer.set("table", "\n".join(rows))
    assert explorer.error == "" and explorer.state["weighting"] == OWN_TABLE
    x, law = curve(explorer, 0, LAW)
    np.testing.assert_allclose(law, 4 * expit(-1 - x) * expit(1 + x), atol=0.02)
    explorer.set("table", "words")
    assert explorer.error and curve(explorer, 0, LAW)[1] is not None
    fresh = ElboExplorer()
    fresh.set("table", "\n".join(rows))
    assert (
        fresh.state["weighting"] == OWN_TABLE
        and cells(fresh, 0, 0)[1] == "monotone: a sum of ELBOs"
    )


def test_no_choice_and_no_end_of_a_slider_is_an_error(explorer):
    def check(*setting):
        assert explorer.error == "" and "nan" not in explorer.view.text, setting

    for name in WEIGHTINGS[:-1]:
        explorer.set("weighting", name)
        check(name)
        shown = map(explorer.description.__getitem__, explorer.description.shown(explorer.state))
        for slider in [one for one in shown if isinstance(one, Slider)]:
            for value in (slider.low, slider.high, slider.value):
                explorer.set(slider.name, value)
                check(name, slider.name, value)


@pytest.mark.parametrize(("low", "high"), [(-21.0, 10.0), (-3.0, 21.0), (-3.0, np.nan)])
def test_an_end_where_nothing_is_known_is_refused(low, high):
    with pytest.raises(ValueError, match=r"(low|high) must"):
        signed_mixture(dv.objective("edm"), known("gaussian"), low, high)
    with pytest.raises(ValueError, match=r"(low|high) must"):
        gaps(known("gaussian"), low, high)


def test_unknown_names_are_met_with_near_ones():
    with pytest.raises(ValueError, match="'edm'"):
        ElboExplorer("EDN")
    with pytest.raises(ValueError, match="ring of 8"):
        ElboExplorer(data="ring8")


def test_all_fixed_weightings_are_in_the_catalogue_and_a_picture_is_kept(explorer):
    assert set(ENTRIES) <= set(dv.catalogue)
    content, _ = explorer._repr_mimebundle_()
    assert "image/png" in content and explorer.png[:4] == b"\x89PNG"
