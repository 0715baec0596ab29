"""A control of the explorer is set, the line or the words are read."""

import re

import numpy as np
import pytest
from scipy.special import expit

import diffviz as dv
from diffviz.lab.explorers.elbo import DATA, DIRECT, ENTRIES, LAW, MIXED, NEGATIVE, ElboExplorer, W

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shared():
    return ElboExplorer()


@pytest.fixture
def explorer(shared):
    shared.redraw()
    start = {
        "weighting": "EDM",
        "p0": -1.2,
        "p1": 1.2,
        "p2": 0.5,
        "held": False,
        "data": "two modes (gmm1)",
        "low": -20.0,
        "high": 10.0,
    }
    for name, value in start.items():
        shared.controls[name].value = value
    return shared


def curve(explorer, panel, name):
    line = next(line for line in explorer.panels[panel].lines if line.get_gid() == name)
    return (np.asarray(one, dtype=float) for one in line.get_data())


def number(explorer, pattern):
    return float(re.search(pattern, explorer.text.value.replace("−", "-")).group(1))


def test_the_first_view_is_edm_with_its_negative_shares(explorer):
    x, law = curve(explorer, 0, LAW)
    assert x[law < 0].max() == pytest.approx(-3.308, abs=0.05) and law.min() == -1
    text = explorer.text.value
    assert (
        "0.29% on N(0, 1)" in text and "0.35% on two modes" in text and "0.66% on ring of 8" in text
    )


def test_a_slider_moves_the_law_to_that_of_its_closed_form(explorer):
    explorer.controls["weighting"].value = "sigmoid"
    explorer.controls["p0"].value = -1.0
    x, law = curve(explorer, 0, LAW)
    wanted = expit(-1 - x) * expit(1 + x)  # of w = sigmoid(b − λ)
    np.testing.assert_allclose(law, wanted / wanted.max(), atol=2e-3)
    assert (
        "monotone: an ELBO" in explorer.text.value
        and np.isnan(next(iter([*curve(explorer, 0, NEGATIVE)][1:]))).all()
    )


def test_red_lies_where_the_law_is_negative(explorer):
    _, law = curve(explorer, 0, LAW)
    _, red = curve(explorer, 0, NEGATIVE)
    assert (np.isfinite(red) == (law < 0)).all() and np.nanmin(red) == pytest.approx(
        law.min(), abs=1e-3
    )


@pytest.mark.parametrize("name", ["EDM", "Min-SNR", "sigmoid", "fm-ot", "elbo", "Laplace"])
@pytest.mark.parametrize("data", DATA)
def test_errors_and_elbos_add_up_to_the_same_loss(explorer, name, data):
    explorer.controls["weighting"].value, explorer.controls["data"].value = name, data
    x, direct = curve(explorer, 1, DIRECT)
    assert np.trapezoid(direct, x) == pytest.approx(1, abs=1e-9)
    assert number(explorer, r"dλ = ([\d.e+-]+),") == pytest.approx(
        number(explorer, r"ELBOs ([\d.e+-]+);"), rel=2e-3
    )


def test_what_is_missing_from_the_elbos_sits_at_the_end_of_the_range(explorer):
    explorer.controls["weighting"].value = "fm-ot"
    explorer.controls["high"].value = 6.0
    x, mixed = curve(explorer, 1, MIXED)
    at_end = number(explorer, r"alone ([\d.]+)%") / 100
    assert np.trapezoid(mixed, x) + at_end == pytest.approx(1, abs=5e-3) and at_end > 0.02


def test_a_constant_weighting_has_no_law_but_one_lump(explorer):
    explorer.controls["weighting"].value = "elbo"
    assert (next(iter([*curve(explorer, 0, LAW)][1:])) == 0).all() and number(
        explorer, r"alone ([\d.]+)%"
    ) == 100


def test_holding_w_at_its_peak_makes_it_monotone_and_costs_what_the_closed_form_says(explorer):
    explorer.controls["held"].value = True
    x, w = curve(explorer, 0, W)
    held = dv.objective("edm-monotonic").weighting(x)
    np.testing.assert_allclose(w, held / held.max(), rtol=2e-3)
    assert "monotone: an ELBO" in explorer.text.value
    plain, mmse = dv.objective("edm").weighting(x), explorer.data["two modes (gmm1)"].mmse(x)
    added = (
        np.trapezoid(held / held.max() * plain.max() * mmse, x) / np.trapezoid(plain * mmse, x) - 1
    )
    assert number(explorer, r"added ([\d.]+)%") / 100 == pytest.approx(added, abs=2e-4)


def test_the_gap_falls_with_lambda_max_as_the_fisher_information_says(explorer):
    explorer.controls["data"].value, gaps = "ring of 8 (ring8)", []
    for high in (10.0, 12.0):
        explorer.controls["high"].value = high
        gaps.append(number(explorer, r"gap ([\d.e+-]+)<"))
        assert gaps[-1] == pytest.approx(100 * np.exp(-high), rel=0.02)


def test_no_choice_and_no_end_of_a_slider_is_an_error(explorer):
    for name in explorer.controls["weighting"].options:
        explorer.controls["weighting"].value = name
        for slider in (explorer.controls[f"p{i}"] for i in range(3)):
            for value in (slider.min, slider.max) if slider.layout.display != "none" else ():
                slider.value = value
                assert "Error" not in explorer.text.value and "nan" not in explorer.text.value, (
                    name,
                    slider.description,
                    value,
                )
    for name in ("low", "high"):
        for value in (explorer.controls[name].min, explorer.controls[name].max):
            explorer.controls[name].value = value
            assert "Error" not in explorer.text.value and "nan" not in explorer.text.value


def test_unknown_names_are_met_with_near_ones():
    with pytest.raises(ValueError, match="'edm'"):
        ElboExplorer("EDN")
    with pytest.raises(ValueError, match="ring of 8"):
        ElboExplorer(data="ring8")


def test_all_fixed_weightings_are_in_the_catalogue_and_a_picture_is_kept(explorer):
    assert set(ENTRIES) <= set(dv.catalogue)
    assert "image/png" in explorer._repr_mimebundle_() and explorer.png[:4] == b"\x89PNG"
