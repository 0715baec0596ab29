"""Families of weightings against the catalogue; what they build pickles."""

import pickle

import numpy as np
import pytest

import diffviz as dv
from diffviz.search import families, vision

GRID = np.linspace(-7.5, 9.5, 35)


@pytest.mark.parametrize(
    ("family", "x", "name"), [("logit-normal", (0, 1), "sd3"), ("sigmoid", (2,), "sigmoid-bias2")]
)
def test_members_of_a_family_are_the_catalogues(family, x, name):
    w = families.FAMILIES[family].build("ring8", *x)
    assert dv.compare(w(GRID), dv.objective(name).weighting(GRID), GRID).same


def test_the_whole_power_of_the_eyes_weighting_is_rate_distortion():
    w = families.FAMILIES["csf-mixture"].build("digits", 1.0, 0.0)
    np.testing.assert_allclose(w(GRID), families.published("digits", "rate-distortion")(GRID))
    np.testing.assert_allclose(w(GRID), vision.eye("digits").rate_distortion(GRID))


def test_the_projections_are_those_of_the_eye_and_pickle():
    implied = vision.eye("digits")
    for name, factor in (("projection", np.ones_like(GRID)), ("visible-error", np.exp(-GRID))):
        w = families.published("digits", name)
        np.testing.assert_allclose(w(GRID), factor * implied.projection(GRID))
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(w))(GRID), w(GRID))
    with pytest.raises(ValueError, match="base"):
        vision.ProjectedWeighting("digits", "v")


@pytest.mark.parametrize("family", families.FAMILIES.values(), ids=families.FAMILIES)
def test_what_a_family_builds_pickles_and_does_the_same(family):
    copied = pickle.loads(pickle.dumps(family))
    middle = [(low + high) / 2 for _, low, high in family.box]
    w = family.build("digits", *middle)
    again = pickle.loads(pickle.dumps(w))
    np.testing.assert_array_equal(again(GRID), w(GRID))
    np.testing.assert_array_equal(copied.build("digits", *middle)(GRID), w(GRID))


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        ("ring8", "fm-to", "unknown objective 'fm-to'"),
        ("ring8", "rate-distortion", "unknown images 'ring8'"),
        ("ring8", "projection", "unknown images 'ring8'"),
    ],
)
def test_an_unknown_weighting_is_refused(data, name, message):
    with pytest.raises(ValueError, match=message):
        families.published(data, name)
