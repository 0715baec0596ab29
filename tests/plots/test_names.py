"""Names in pictures: any text that can be written is drawn, and the rest is refused in words."""

from xml.etree import ElementTree

import numpy as np
import pytest

from diffviz import plots
from diffviz.web import Chart, View, figure

GRID = np.linspace(-4, 4, 9)
CURVE = np.exp(-GRID / 2)
ODD = {
    "5,000 letters": "long" * 1250,
    "5,000 letters without a break, wide": "W" * 5000,
    "markup": "<b>&amp;</b> \"quoted\" 'twice'",
    "two dollars": "cost $5 or $6_{",
    "half a formula": r"$\frac{1$",
    "a formula": r"$\gamma = 5$",
    "a long formula": "$" + "x + " * 50 + "y$",
    "an underscore at first": "_hidden",
    "format": "%s %d {0} {x}",
    "Greek": "λ ε σ",
    "right to left": "שלום",
    "a line break": "one\ntwo",
    "empty": "",
}
BAD = {
    "NUL": "a\x00b",
    "a colour of the terminal": "\x1b[31mred",
    "backspace": "a\x08",
    "delete": "a\x7f",
    "half a pair": "a\ud800",
}
DRAWN = {
    "lines": lambda name: plots.lines(GRID, {name: CURVE}, xlabel="x", ylabel="y"),
    "lines beside": lambda name: plots.lines(
        GRID, {name: CURVE}, xlabel="x", ylabel="y", outside=True
    ),
    "weightings": lambda name: plots.weighting_curves(GRID, {name: CURVE}),
    "losses": lambda name: plots.loss_curves(GRID, {name: CURVE}, errors={name: CURVE / 9}),
    "a view": lambda name: figure(View((Chart(GRID, {name: CURVE}, xlabel="x", ylabel="y"),))).axes[
        0
    ],
}


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_any_name_that_can_be_written_is_drawn_and_found(draw, tmp_path):
    for name in ODD.values():
        ax = draw(name)
        assert name in {line.get_gid() for line in ax.lines}
        tree = ElementTree.parse(plots.save(ax.figure, tmp_path / "a.svg"))
        if len(name) > 1000:
            assert any(one.get("id") == name for one in tree.iter())
        legend = ax.get_legend()
        assert legend is None or all(len(one.get_text()) <= 48 for one in legend.get_texts())


def test_a_picture_does_not_grow_with_a_name_that_is_cut():
    long, longer = (plots.weighting_curves(GRID, {"W" * n: CURVE}) for n in (49, 5000))
    np.testing.assert_array_equal(long.figure.get_size_inches(), longer.figure.get_size_inches())


def test_a_legend_is_not_made_again_for_the_same_long_name():
    ax = plots.lines(GRID, {"W" * 99: CURVE}, xlabel="x", ylabel="y")
    before = ax.get_legend()
    plots.lines(GRID, {"W" * 99: 2 * CURVE}, xlabel="x", ylabel="y", ax=ax)
    assert ax.get_legend() is before


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
@pytest.mark.parametrize("name", BAD.values(), ids=BAD)
def test_a_name_with_control_characters_is_refused(draw, name):
    with pytest.raises(ValueError, match="curves must hold no control character, got"):
        draw(name)


@pytest.mark.parametrize("name", [3, None, ("a", "b")])
def test_a_name_that_is_no_text_is_refused(name):
    with pytest.raises(TypeError, match="name of each of the curves must be text, got"):
        plots.lines(GRID, {name: CURVE}, xlabel="x", ylabel="y")


@pytest.mark.parametrize("what", ["xlabel", "ylabel", "title"])
def test_a_label_with_control_characters_is_refused(what):
    labels = {"xlabel": "x", "ylabel": "y", "title": "z"} | {what: "a\x00"}
    with pytest.raises(ValueError, match=rf"{what} must hold no control character, got '\\x00'"):
        plots.lines(GRID, {"a": CURVE}, **labels)


@pytest.mark.parametrize("text", ["a\x00b", "a\x1bb", "a\uffffb"])
def test_a_text_that_svg_cannot_hold_is_refused_when_a_figure_is_saved(text, tmp_path):
    ax = plots.lines(GRID, {"a": CURVE}, xlabel="x", ylabel="y")
    ax.lines[0].set_gid(text)
    with pytest.raises(ValueError, match="which cannot be written; leave it out"):
        plots.save(ax.figure, tmp_path / "a.svg")
    assert not list(tmp_path.iterdir())
