"""Views for notebooks: a table and a curve, self-contained, escaped, and readable on any page."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from cells import in_one_test

import diffviz as dv
from diffviz import markup

GRID = np.linspace(-10, 10, 201)


class Checker(HTMLParser):
    """Collects tags and attributes, and holds that every tag is closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.attributes, self.texts = [], [], []

    def handle_starttag(self, tag, attrs):
        self.attributes += attrs
        self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def read(html):
    checker = Checker()
    checker.feed(html)
    checker.close()
    assert checker.open == []
    return checker


def points(html):
    """Pixels of all strokes, shape (n, 2)."""
    strokes = re.findall(r'<polyline points="([^"]+)"', html)
    return np.array([[float(n) for n in pair.split(",")] for s in strokes for pair in s.split()])


@in_one_test
@pytest.mark.parametrize("name", dv.catalogue)
def test_every_entry_of_the_catalogue_has_a_view_with_a_curve(name):
    html = dv.objective(name)._repr_html_()
    assert name in read(html).texts
    assert len(points(html)) > 10


def test_a_view_needs_nothing_from_elsewhere_and_no_colour_of_its_own():
    for item in (dv.objective("edm"), dv.verdict(dv.objective("edm"))):
        html = item._repr_html_()
        checker = read(html)
        names = {name for name, _ in checker.attributes}
        assert names.isdisjoint({"src", "href", "xlink:href", "class", "id", "onload"})
        assert not re.search(r"url\(|@import|<script|<style|<link", html)
        colours = {value for name, value in checker.attributes if name in ("stroke", "fill")}
        assert colours == {"currentColor", "none"}


def test_all_text_is_escaped():
    nasty = '<script>alert("&")</script>'
    objective = dv.from_weighting(np.ones_like, name=nasty)
    html = objective._repr_html_()
    assert "<script" not in html and nasty in read(html).texts
    assert "<b" not in markup.table([("<b>", "<b>")])
    assert "<b" not in markup.drawing(markup.Curve(GRID, GRID, (-10, 10), "<b>"))


def test_the_curve_is_log_w_anchored_at_zero():
    curve = markup.weighting_curve(GRID, 7 * np.exp(-GRID / 2))
    np.testing.assert_allclose(curve.y, -GRID / 2 / np.log(10), atol=1e-12)
    assert "anchored at λ = 0" in curve.caption
    away = markup.weighting_curve([2.0, 3.0, 4.0], [1.0, 2.0, 4.0])
    np.testing.assert_allclose(away.y, np.log10([1.0, 2.0, 4.0]))
    assert "anchored at λ = 2" in away.caption


def test_the_drawn_line_is_the_curve_in_pixels():
    line = points(markup.drawing(markup.Curve(GRID, -GRID / 4, (-10, 10), "a line")))
    np.testing.assert_allclose(line[[0, -1], 0], [0, markup.WIDTH])
    np.testing.assert_allclose(line[[0, -1], 1], [markup.TOP, markup.FLOOR])
    assert np.abs(np.diff(line[:, 1], 2)).max() < 0.25  # pixels are written to a tenth


def test_a_curve_breaks_where_there_is_nothing():
    height = np.where(np.abs(GRID) < 1, np.nan, GRID / 4)
    html = markup.drawing(markup.Curve(GRID, height, (-10, 10), "two pieces"))
    assert html.count("<polyline") == 2
    empty = markup.drawing(markup.weighting_curve(GRID, np.zeros_like(GRID)))
    assert "nothing to draw" in empty and "<svg" not in empty


def test_rounding_errors_look_flat():
    noise = 1e-9 * np.sin(40 * GRID)
    line = points(markup.drawing(markup.Curve(GRID, noise, (-10, 10), "flat")))
    assert np.ptp(line[:, 1]) < 0.2


def test_a_verdict_and_a_comparison_say_what_they_found():
    edm, sd3 = dv.objective("edm"), dv.objective("sd3")
    verdict = read(dv.verdict(edm)._repr_html_()).texts
    assert (
        "not monotone: some ELBOs of noised data count with a minus" in verdict
        and "-3.308" in verdict
    )
    falling = read(dv.verdict(dv.objective("fm-ot"))._repr_html_()).texts
    assert any(text.startswith("monotone") for text in falling)
    different = read(dv.compare(edm, sd3)._repr_html_()).texts
    assert "different" in different
    equal = read(dv.compare(edm, edm)._repr_html_()).texts
    assert "same up to a constant" in equal


def test_a_weighting_that_cannot_be_computed_leaves_the_table():
    steep = dv.from_weighting(lambda logsnr: -np.ones_like(logsnr))
    with pytest.raises(ValueError, match=">= 0"):
        steep.weighting(GRID)
    html = steep._repr_html_()
    assert "custom" in read(html).texts and "<svg" not in html


class Trained:
    """What the view of a run needs of it."""

    name = "edm <1>"
    model = object()
    output = "F"
    objective = dv.objective("edm")
    loss = np.geomspace(10, 0.1, 1000)


def test_the_view_of_a_run_shows_its_objective_and_its_loss():
    html = markup.run(Trained())
    texts = read(html).texts
    assert "edm <1>" in texts and "1000" in texts and html.count("<svg") == 2
    assert any("training loss" in text for text in texts)


@pytest.mark.parametrize("loss", [np.empty(0), np.array([2.0]), np.array([np.nan, np.inf, 1.0])])
def test_the_view_of_a_run_bears_any_loss(loss):
    run = Trained()
    run.loss = loss
    assert str(len(loss)) in read(markup.run(run)).texts


def test_a_loss_curve_is_the_mean_over_equal_stretches():
    curve = markup.loss_curve(np.repeat([1.0, 100.0], 500))
    assert len(curve.x) == markup.LOSS_POINTS
    np.testing.assert_allclose(curve.y[[0, -1]], [0, 2])


def test_the_view_of_a_monotone_verdict_names_no_peak():
    assert "peak at λ" not in read(dv.verdict(dv.objective("fm-ot"))._repr_html_()).texts
    assert "peak at λ" in read(dv.verdict(dv.objective("edm"))._repr_html_()).texts
