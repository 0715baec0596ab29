"""Tables of floors: what is in them, found by content, and nothing else changed by them."""

from dataclasses import fields

import numpy as np
import pytest
import torch

import diffviz as dv
from diffviz.lab.experiments.training import IMAGE_LEVELS, fashion_parts
from diffviz.learning.floors import kernels, measure, own, parts, shipped

SETTINGS = {"draws": None, "seed": 0, "network": True}  # of the table that ships
FEW = np.array([-1.0, 2.0])


def halved(z, logsnr):
    return z / 2


def read(*data):
    rng, generator = measure.generators(0)
    return [parts.read(each, "data", rng) for each in data], (rng, generator)


@pytest.fixture(scope="module")
def images():
    """The images, and their table."""
    both, _ = read(*fashion_parts())
    return both, shipped.find(*both, IMAGE_LEVELS, **SETTINGS)


@pytest.mark.slow
def test_the_table_of_the_images_has_what_is_computed(images):
    """Level by level with the same noise: the floor of the set, and both trials of the kernels."""
    _, known = images
    (points, tried), (rng, generator) = read(*fashion_parts())
    places = [6, 9]  # λ = −2 and 1, where a bound is neither 0 nor that of noise
    levels = IMAGE_LEVELS[places]
    found = own.own_floor(points, levels, own.MOST_DRAWS, rng, generator, progress=False)
    for name in ("mean", "stderr", "half"):
        expected = getattr(known.own, name)[places]
        np.testing.assert_allclose(getattr(found, name), expected, rtol=1e-8)
    assert known.own.points == found.points == known.kernels == points.count

    divided = parts.divide(points, tried, rng)
    first, half = divided.made_from, divided.halves[0]
    ratios = kernels.kernel_denoiser(first, levels, measure._noise(half, kernels.TRIALS, generator))
    np.testing.assert_array_equal(ratios.ratios, known.ratios[places])
    errors = []
    for _ in range(4):  # 1,973 noisy points are allowed, and there are 500
        eps = measure._noise(half, len(half), generator)
        pairs = zip(levels, ratios.ratios, strict=True)
        errors.append([straight_errors(first, half, eps, *pair) for pair in pairs])
    mean = np.mean(errors, 0)
    np.testing.assert_allclose(known.losses[0].mean[places], mean.mean(1), rtol=1e-8)
    stderr = mean.std(1, ddof=1) / np.sqrt(len(half))
    np.testing.assert_allclose(known.losses[0].stderr[places], stderr, rtol=1e-8)


def straight_errors(centres, x, eps, logsnr, ratio):
    """Squared eps errors of the posterior mean under kernels, from the definition."""
    s = np.exp(-logsnr / 2)
    y = x + s * eps
    weight = torch.softmax(-torch.cdist(y, centres).square() / (2 * (1 + ratio) * s**2), 1)
    x_hat = (weight @ centres + ratio * y) / (1 + ratio)
    return ((x - x_hat) / s).square().sum(1).numpy()


def test_a_table_is_found_by_content_and_settings_alone(images):
    (points, tried), known = images
    assert known is not None
    for other in ({"draws": 64}, {"seed": 1}, {"network": False}):
        assert shipped.find(points, tried, IMAGE_LEVELS, **(SETTINGS | other)) is None
    assert shipped.find(points, tried, IMAGE_LEVELS + 1e-9, **SETTINGS) is None
    assert shipped.find(points, None, IMAGE_LEVELS, **SETTINGS) is None
    for place in (0, 1):
        data = [each.clone() for each in fashion_parts()]
        data[place][-1, -1, -1] += 1e-6
        (points, tried), _ = read(*data)
        assert shipped.find(points, tried, IMAGE_LEVELS, **SETTINGS) is None


def test_a_floor_with_a_table_is_the_one_without(monkeypatch):
    """The noise that a network sees is the same, though nobody computes with what comes before."""
    data, held = torch.randn(2, 40, 3, generator=torch.Generator().manual_seed(0))
    (points, tried), random = read(data, held)
    made = measure.measured(points, tried, FEW, None, halved, random)
    losses = tuple(half["kernels"] for half in made.trials.losses)
    ratios = made.trials.kernels.ratios
    known = shipped.KnownFloor(made.own, len(made.trials.kernels.points), ratios, losses)
    options = {"denoiser": halved, "held_out": held, "progress": False}
    computed = dv.floor(data, FEW, **options)
    name = shipped.digest(points, tried, FEW, **SETTINGS)
    tables = {shipped.counts_of(points, tried, FEW): {name: known}}
    monkeypatch.setattr(shipped, "shipped", lambda: tables)
    monkeypatch.setattr(own, "_add", None)  # fails where it is called
    monkeypatch.setattr(kernels, "_errors", None)
    tabulated = dv.floor(data, FEW, **options)
    for field in fields(computed):
        one, other = (getattr(each, field.name) for each in (computed, tabulated))
        if field.name == "tried":
            assert one.keys() == other.keys()
            for each in one:
                np.testing.assert_array_equal(one[each], other[each])
        else:
            np.testing.assert_array_equal(one, other)


def test_a_table_comes_back_from_its_file(monkeypatch, tmp_path, images):
    (points, tried), known = images
    counts = shipped.counts_of(points, tried, IMAGE_LEVELS)
    monkeypatch.setattr(shipped, "FILE", tmp_path / "floors.npz")
    shipped.write({"name": (counts, known)})
    again = shipped.shipped.__wrapped__()[counts]["name"]
    for part, values in known.arrays().items():
        np.testing.assert_array_equal(again.arrays()[part], values)
