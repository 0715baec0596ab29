"""Goals by a second route: a filter that is known to be best, SciPy, exact denoisers."""

import pickle

import numpy as np
import pytest
import torch
from scipy import fft, stats

import diffviz as dv
from diffviz.perception import spectra
from diffviz.search import datasets, goals


class Denoiser:
    """A denoiser from a function of (z, logsnr)."""

    def __init__(self, estimate):
        self.denoise = estimate


def test_distortion_of_the_best_filter_is_what_the_spectrum_says():
    """A Wiener filter on each ring of frequencies has the distortion of the Gaussian channel.

    That holds whatever the data, since only second moments count.
    """
    spectrum = spectra.image_spectrum(goals.images("digits"))
    axis = np.arange(8) / 16
    ring = np.rint(16 * np.hypot.outer(axis, axis)).astype(int)
    power = np.r_[1.0, spectrum.power][ring]

    def wiener(z, logsnr):
        alpha = logsnr.sigmoid().sqrt().numpy()[:, None, None]
        sigma = (-logsnr).sigmoid().sqrt().numpy()[:, None, None]
        gain = alpha * power / (alpha**2 * power + sigma**2)
        filtered = gain * fft.dctn(z.numpy(), axes=(1, 2), norm="ortho")
        return torch.from_numpy(fft.idctn(filtered, axes=(1, 2), norm="ortho"))

    def nothing(z, logsnr):
        return 0 * z

    whole = torch.from_numpy(goals.images("digits"))
    data = datasets.Split("digits", train=whole, held=whole)
    best = goals.distortion(Denoiser(wiener), data, 0, levels=64)
    assert best == pytest.approx(0, abs=0.01)
    assert goals.distortion(Denoiser(nothing), data, 0) > 0.3


def test_energy_distance_is_that_of_scipy():
    x, y = np.random.default_rng(0).standard_normal((2, 300))
    distance = goals.energy_distance(
        torch.from_numpy(x)[:, None], torch.from_numpy(y + 0.5)[:, None]
    )
    assert distance == pytest.approx(stats.energy_distance(x, y + 0.5), rel=1e-9)


def test_energy_distance_takes_integers_of_any_size():
    beyond = 2**24 + 1
    assert goals.energy_distance([[beyond]], [[beyond - 2]]) == pytest.approx(2)


def test_an_exact_denoiser_samples_at_the_floor_and_has_the_entropy_as_its_bound():
    """Over six seeds, within five standard errors.

    One seed's bound is off by 0.06 nats, and the logarithm of its distance over the floor by 0.24.
    """
    toy = dv.toy("ring8", unit=True)
    above_floor, above_entropy = [], []
    for seed in range(6):
        data = datasets.split("ring8", seed)
        entropy = -toy.log_prob(data.held.double()).mean().item()
        above_floor.append(goals.sample_quality(toy, data, seed))
        above_entropy.append(goals.likelihood(toy, data, seed) - entropy)
    assert abs(np.mean(above_floor)) < 5 * 0.24 / 6**0.5
    assert abs(np.mean(above_entropy)) < 5 * 0.06 / 6**0.5


@pytest.mark.parametrize("together", [1, 3, 12])
def test_the_distortion_does_not_depend_on_how_many_levels_are_measured_together(
    monkeypatch, together
):
    """Each level has the same draws, also where the last piece is shorter."""

    def rescaled(z, logsnr):
        return logsnr.sigmoid().sqrt()[:, None, None] * z

    data = datasets.split("digits", 0)
    expected = goals.distortion(Denoiser(rescaled), data, 0, levels=10)
    monkeypatch.setattr(goals, "AT_ONCE", together)
    found = goals.distortion(Denoiser(rescaled), data, 0, levels=10)
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("measure", [goals.likelihood, goals.sample_quality])
def test_a_goal_is_the_same_each_time_and_moves_with_the_seed(measure):
    toy, data = dv.toy("ring8", unit=True), datasets.split("ring8", 0)
    first = measure(toy, data, 0)
    assert first == measure(toy, data, 0)
    assert first != measure(toy, data, 1)


@pytest.mark.parametrize("goal", goals.GOALS.values())
def test_goals_pickle(goal):
    assert pickle.loads(pickle.dumps(goal)) == goal


@pytest.mark.parametrize("measure", [goals.likelihood, goals.sample_quality, goals.distortion])
@pytest.mark.parametrize(
    ("denoiser", "data", "message"),
    [
        (None, datasets.Split("digits", None, None), "denoiser must have denoise"),
        (Denoiser(torch.mul), (None, None), r"datasets\.split"),
    ],
)
def test_goals_refuse_what_is_no_denoiser_and_no_split(measure, denoiser, data, message):
    with pytest.raises(TypeError, match=message):
        measure(denoiser, data, 0)


def test_distortion_refuses_data_that_are_no_images():
    with pytest.raises(ValueError, match="unknown images 'ring8'"):
        goals.distortion(dv.toy("ring8", unit=True), datasets.split("ring8", 0), 0)


PLANE = torch.zeros(3, 2)


@pytest.mark.parametrize(
    ("x", "y", "kind", "message"),
    [
        (PLANE, PLANE[:, :1], ValueError, r"got shapes \(3, 2\) and \(3, 1\)"),
        (PLANE[0], PLANE, ValueError, "need points"),
        (PLANE * np.nan, PLANE, ValueError, "x must be finite"),
        (PLANE, PLANE * 1j, TypeError, "y must hold real numbers"),
    ],
)
def test_energy_distance_refuses_what_are_no_points(x, y, kind, message):
    with pytest.raises(kind, match=message):
        goals.energy_distance(x, y)


def constant(denoiser, data, seed):
    """A goal that no training changes."""
    return 1.0 + seed


def test_a_goal_of_ones_own_is_known_by_its_name(monkeypatch):
    monkeypatch.setattr(goals, "GOALS", dict(goals.GOALS))
    added = goals.add_goal("constant", constant, unit="one")
    assert goals.GOALS["constant"] is added
    assert added.measure(None, None, 2) == 3.0
    again = goals.add_goal("constant", constant, unit="two")
    assert goals.GOALS["constant"] is again
    assert not again.needs_images


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("likelihood", constant, "nats"), ValueError, "'likelihood' is a goal already"),
        (("", constant, "nats"), ValueError, "must not be empty"),
        ((3, constant, "nats"), TypeError, "name must be text"),
        (("mine", 3.0, "nats"), TypeError, "measure must be a function"),
        (("mine", constant, None), TypeError, "unit must be text"),
    ],
)
def test_a_goal_that_is_none_is_refused(arguments, error, message, monkeypatch):
    monkeypatch.setattr(goals, "GOALS", dict(goals.GOALS))
    with pytest.raises(error, match=message):
        goals.add_goal(*arguments)
    assert tuple(goals.GOALS) == goals.BUILT_IN
