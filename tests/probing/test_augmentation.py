"""Losses that change their data at random before they add noise: log-SNR is that of what is noised.

Each has the weighting of flow matching, and its target is u, whatever is done to the data.
"""

import random

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from diffviz.probing.measure import probe

X = torch.randn(64, 2, 6, 6, generator=torch.Generator().manual_seed(0))


def wide(values):
    return values.reshape(-1, 1, 1, 1)


def sign(x):
    return x * (wide(torch.rand(len(x)) < 0.5) * 2.0 - 1)


def flip_of_each(x):
    return torch.where(wide(torch.rand(len(x)) < 0.5), x.flip(-1), x)


def flip_of_all(x):
    return x.flip(-1) if random.random() < 0.5 else x


def padded_crop(x):
    row, column = torch.randint(0, 3, (2,)).tolist()
    return F.pad(x, (1, 1, 1, 1))[..., row : row + 6, column : column + 6]


def padded_crop_of_each(x):
    return torch.cat([padded_crop(one[None]) for one in x])


def cutout(x):
    place = int(torch.randint(0, 4, (1,)))
    kept = torch.ones(6, 6)
    kept[place : place + 3, place : place + 3] = 0
    return x * kept


def quarter_turns(x):
    return torch.rot90(x, int(torch.randint(0, 4, (1,))), (-2, -1))


def rolled(x):
    return torch.roll(x, int(torch.randint(0, 6, (1,))), -1)


def loss_on(change):
    def loss(model, x):
        x = change(x)
        t = torch.rand(len(x))
        noise = torch.randn_like(x)
        z = (1 - wide(t)) * x + wide(t) * noise
        return ((model(z, t) - (noise - x)) ** 2).mean()

    return loss


@pytest.mark.parametrize(
    "change",
    [
        sign,
        flip_of_each,
        flip_of_all,
        padded_crop,
        padded_crop_of_each,
        cutout,
        quarter_turns,
        rolled,
    ],
)
def test_an_augmentation_is_named_and_leaves_the_weighting_as_it_is(change):
    measured = probe(loss_on(change), X, draws=1000)
    assert measured.kind == "u"
    assert any("at random" in note for note in measured.notes)
    edges = np.linspace(-4, 4, 9)
    ratio = measured.weighting(edges)[0] / (-np.diff(np.exp(-edges / 2)) / np.diff(edges))
    np.testing.assert_allclose(ratio / ratio.mean(), 1, atol=0.01)


def test_a_sign_of_the_data_is_told_from_an_x_prediction_too():
    def loss(model, x):
        x = sign(x)
        t = torch.rand(len(x))
        z = (1 - wide(t)) * x + wide(t) * torch.randn_like(x)
        return ((model(z, t) - x) ** 2).mean()

    measured = probe(loss, X, draws=1000)
    assert measured.kind == "x"
    assert any("0.5 of the samples have their sign changed" in note for note in measured.notes)


def test_a_common_shift_of_the_data_is_noise_that_components_share():
    """It is said once, and not counted among the data."""
    measured = probe(loss_on(lambda x: x + 0.3 * torch.randn(len(x), 2, 1, 1)), X, draws=1000)
    assert measured.kind == "u"
    (note,) = measured.notes
    assert note.startswith("noise shared by components is added")


def test_dropped_numbers_scale_the_rest_of_the_data():
    measured = probe(loss_on(lambda x: F.dropout(x, 0.5)), X, draws=1000)
    assert measured.kind == "u"
    assert "data in units of 0.5" in measured.frame


def test_a_mixture_of_samples_is_not_exact():
    def mixed(x):
        share = wide(torch.rand(len(x)))
        return share * x + (1 - share) * x[torch.randperm(len(x))]

    measured = probe(loss_on(mixed), X, draws=500)
    assert not measured.exact
    assert any("|alpha| is a ratio of sizes" in note for note in measured.notes)


def test_a_path_that_crosses_zero_keeps_its_sign():
    def loss(model, x):
        angle = wide(torch.rand(len(x)) * 2.5)
        noise = torch.randn_like(x)
        z = angle.cos() * x + angle.sin() * noise
        target = angle.cos() * noise - angle.sin() * x
        return ((model(z, angle) - target) ** 2).mean()

    measured = probe(loss, X, draws=1000)
    assert measured.kind == "u"  # dz/d angle
    assert (measured.alpha < 0).any()


# Functions of the data ---------------------------------------------------------------------------

MATRIX = torch.tensor([[0.5, -0.3], [1.0, 1.5]])


def mixed_by_a_matrix(x):
    return torch.einsum("oc,nchw->nohw", MATRIX, x)


def bent(x):
    return torch.tanh(x)


def clamped(x):
    return x.clamp(-1.5, 1.5)


def mixed_in_pairs(x):
    share = wide(torch.from_numpy(np.random.beta(0.4, 0.4, len(x))).float())  # noqa: NPY002
    return share * x + (1 - share) * x[torch.randperm(len(x))]


@pytest.mark.parametrize("change", [mixed_by_a_matrix, bent, clamped, mixed_in_pairs])
def test_a_function_of_the_data_is_named_and_leaves_the_curve_of_what_is_noised(change):
    measured = probe(loss_on(change), X, draws=1000)
    assert measured.kind == "u"
    assert any("|alpha| is a ratio of sizes" in note for note in measured.notes)
    assert not measured.exact
    edges = np.linspace(-4, 4, 9)
    ratio = measured.weighting(edges)[0] / (-np.diff(np.exp(-edges / 2)) / np.diff(edges))
    np.testing.assert_allclose(ratio / ratio.mean(), 1, atol=0.01)


def test_random_brightness_counts_as_data():
    measured = probe(loss_on(lambda x: x * (0.5 + wide(torch.rand(len(x))))), X, draws=1000)
    assert measured.kind == "u"
    assert any("multiplied by 0.51 to 1.5 at random" in note for note in measured.notes)
    np.testing.assert_allclose(measured.alpha + measured.sigma, 1, atol=1e-4)


def test_several_sizes_are_refused_in_words():
    def loss(model, x):
        size = random.choice([3, 6])
        return loss_on(lambda x: x[..., :size, :])(model, x)

    with pytest.raises(ValueError, match="crops or resizes x to several sizes, probe each"):
        probe(loss, X, draws=1000)
