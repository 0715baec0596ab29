"""Public functions of the data room: what they refuse, what they welcome, and what pickles."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch

from diffviz.data import Checkerboard, Circle, Mixture, dataset, image, load, mixture, samples, toy
from diffviz.data.densities import angle_moments, posterior_in_pieces
from diffviz.data.toys import TOYS, Toy

COPIES = {
    "pickle": lambda item: pickle.loads(pickle.dumps(item)),
    "deepcopy": copy.deepcopy,
}
PLAIN = np.array([[0.5, -1.0], [2.0, 1.0], [0.0, 3.0]])
NO_NUMBERS = {
    "masked": np.ma.masked_invalid([[0.0, math.nan], [1.0, 2.0]]),
    "masked rows": list(np.ma.masked_invalid([[0.0, math.nan], [1.0, 2.0]])),
    "complex": np.array([[1j, 2.0], [0.0, 1.0]]),
    "dates": np.array([["2020-01-01", "2020-01-02"]], dtype="datetime64[D]"),
    "text": [["a", "b"], ["c", "d"]],
    "objects": [[None, None], [None, 1.0]],
}


def ones(k):
    return torch.ones(k, dtype=torch.float64)


def generator():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("name", ["gmm2d", "moons", "circle", "checkerboard", "digits"])
def test_a_copy_of_a_toy_does_exactly_the_same(name, duplicate):
    known = toy(name)
    copied = duplicate(known)
    z = known.sample(5, generator())
    assert copied.name == name and copied.shape == known.shape and copied.std == known.std
    assert torch.equal(copied.denoise(z, 1.0), known.denoise(z, 1.0))
    assert torch.equal(copied.sample(3, generator()), known.sample(3, generator()))


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
def test_a_copy_of_a_posterior_and_of_the_catalogue_of_toys_is_the_same(duplicate):
    law = toy("gmm2d").law
    posterior = posterior_in_pieces(law, torch.from_numpy(PLAIN), ones(()) / 2, ones(()) / 2)
    copied = duplicate(posterior)
    assert type(copied) is type(posterior)
    assert all(torch.equal(a, b) for a, b in zip(copied, posterior, strict=True))
    assert duplicate(TOYS).keys() == TOYS.keys()


@pytest.mark.parametrize("name", list(TOYS))
def test_the_standard_deviation_of_a_toy_is_that_of_its_samples(name):
    known = toy(name)
    x = known.sample(20_000 if math.prod(known.shape) < 3 else 4000, generator())
    assert known.std == pytest.approx(x.var(0).mean().sqrt().item(), rel=0.03)
    assert known.unit().std == pytest.approx(1)


def test_angles_have_the_moments_of_a_plain_sum():
    angle = torch.linspace(-math.pi, math.pi, 20_001, dtype=torch.float64)[:-1]
    k = torch.tensor([0.1, 3.0, 199.0, 201.0, 1000.0], dtype=torch.float64)
    share = (k[:, None] * (angle.cos() - 1)).softmax(1)
    loss = 2 * (angle / 2).sin() ** 2
    for moment, values in zip(angle_moments(k), (angle.cos(), loss, loss**2), strict=True):
        torch.testing.assert_close(moment, share @ values, rtol=1e-9, atol=0)


# --- what z and logsnr may be -------------------------------------------------------------------


@pytest.mark.parametrize("method", ["denoise", "score", "log_prob"])
def test_integers_are_made_float_and_never_cast_back(method):
    call = getattr(toy("ring8"), method)
    whole = torch.tensor([[1, 0], [2, 1]])
    expected = call(whole.double(), 0.5)
    for z in (whole, whole.int(), whole.to(torch.uint8), whole.numpy(), whole.tolist()):
        result = call(z, 0.5)
        assert result.dtype == torch.float64
        assert torch.equal(result, expected)


def test_lists_read_only_arrays_and_negative_strides_are_welcome():
    known = toy("gmm2d")
    expected = known.denoise(torch.from_numpy(PLAIN), 1.0)
    locked = PLAIN.copy()
    locked.setflags(write=False)
    assert torch.equal(known.denoise(PLAIN.tolist(), 1), expected)
    assert torch.equal(known.denoise(locked, np.float32(1)), expected)
    assert torch.equal(known.denoise(PLAIN[::-1], [1.0] * 3), expected.flip(0))
    assert torch.equal(known.denoise(PLAIN[:, ::-1][:, ::-1], np.ones(3, int)), expected)


def test_a_nan_in_a_tensor_gives_nan_and_in_an_array_is_refused():
    z = torch.tensor([[math.nan, 0.0], [1.0, 0.0]], dtype=torch.float64)
    x_hat = toy("gmm2d").denoise(z, 0.0)
    assert x_hat[0].isnan().all() and x_hat[1].isfinite().all()
    with pytest.raises(ValueError, match="z must not be NaN"):
        toy("gmm2d").denoise(z.numpy(), 0.0)


@pytest.mark.parametrize("kind", NO_NUMBERS)
def test_what_holds_no_real_numbers_is_refused_everywhere(kind):
    bad = NO_NUMBERS[kind]
    known = toy("gmm2d")
    calls = [
        lambda: known.denoise(bad, 0.0),
        lambda: known.denoise(PLAIN, bad),
        lambda: known.mmse(bad),
        lambda: mixture(bad, 1.0),
        lambda: mixture(PLAIN, bad),
        lambda: mixture(PLAIN, 1.0, bad),
        lambda: dataset(bad),
        lambda: samples(bad),
    ]
    for call in calls:
        with pytest.raises(TypeError, match=r"real numbers|masked|full scale"):
            call()


def test_complex_tensors_are_refused():
    with pytest.raises(TypeError, match=r"z must hold real numbers, got torch\.complex"):
        toy("gmm2d").denoise(torch.ones(2, 2) * 1j, 0.0)
    with pytest.raises(TypeError, match="logsnr must hold real numbers"):
        toy("gmm2d").denoise(PLAIN, torch.tensor(1j))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: toy("digits").mmse(0.0, draws=1), ValueError, "draws must be at least 2, got 1"),
        (lambda: toy("gmm1").mmse(0.0, draws=9.5), TypeError, "draws must be a whole number"),
        (lambda: toy("gmm1").entropy([0.0, 1.0]), ValueError, r"logsnr \(n,\) or \(\)"),
        (lambda: toy(None), TypeError, "named by text, got None"),
        (lambda: toy(["ring8"]), TypeError, "named by text"),
        (lambda: image(3), TypeError, "an image must be a path, got 3"),
        (lambda: samples([[1.0], [1.0, 2.0]]), ValueError, "values must be an array of numbers"),
        (lambda: load(3), TypeError, "named by text, got 3"),
        (lambda: mixture(PLAIN, 1.0, name=3), TypeError, "name must be text, got 3"),
        (lambda: dataset(PLAIN, "wide"), ValueError, "bandwidth must be"),
        (lambda: Toy(Circle(), (3,)), ValueError, "3 numbers, the density 2"),
        (lambda: Circle(0.0), ValueError, "radius must be"),
        (lambda: Checkerboard(math.nan), ValueError, "half must be"),
        (lambda: Mixture(ones(2), ones((2, 1)), ones(3)), ValueError, r"std \(k,\) or \(1,\)"),
        (lambda: Mixture(ones(2), ones(2), ones(2)), ValueError, r"means \(k, d\)"),
    ],
)
def test_bad_input_is_refused_with_its_name(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_entropy_tends_to_that_of_the_noise():
    noise = 0.5 * math.log(2 * math.pi * math.e)
    assert toy("gmm1").entropy(-math.inf) == pytest.approx(noise)
    assert toy("gmm1").entropy(torch.tensor(-600.0)) == pytest.approx(noise)
    assert toy("gmm1").entropy(np.array([-600.0])) == pytest.approx(noise)
