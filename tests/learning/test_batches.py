"""Data and draws of a training: the same whatever keeps the data, and never read as a whole."""

import os
import pickle
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import diffviz as dv
from diffviz.data.streams import Batches
from diffviz.learning import batches
from diffviz.learning.batches import BLOCK, NoiseRows, training_data
from diffviz.learning.models import MLP
from diffviz.learning.training import Trainer

SETTINGS = {"steps": 70, "batch": 16, "progress": False, "model": MLP(width=8, depth=1)}
POINTS = (np.random.default_rng(0).normal(3, 2, (500, 4)) ** 2).astype("f4")


def train(data, **settings):
    (run,) = dv.fit("fm-ot", data, **(SETTINGS | settings))
    return run


def same(a, b):
    states = [torch.equal(a.state[key], b.state[key]) for key in a.state | b.state]
    return all(states) and np.array_equal(a.loss, b.loss) and torch.equal(a.mean, b.mean)


def mapped(folder, array, name="x"):
    np.save(folder / f"{name}.npy", array)
    return np.load(folder / f"{name}.npy", mmap_mode="r")


def loader(array, **options):
    dataset = TensorDataset(torch.from_numpy(array), torch.zeros(len(array)))
    return DataLoader(dataset, batch_size=90, **options)


@pytest.fixture(params=["few", "many"])
def amount(request, monkeypatch):
    """Whether the scaled data are kept in memory, or computed where they are drawn."""
    if request.param == "many":
        monkeypatch.setattr(batches, "FEW", 0)


def test_a_mapped_file_trains_bit_for_bit_as_the_array(tmp_path, amount):
    plain = train(POINTS.copy())
    shared = torch.from_file(str(tmp_path / "t"), shared=True, size=POINTS.size)
    shared.copy_(torch.from_numpy(POINTS).flatten())
    for data in (
        mapped(tmp_path, POINTS),
        mapped(tmp_path, POINTS.astype(">f8"), "wide"),
        np.memmap(tmp_path / "x.npy", "f4", "r", offset=128, shape=POINTS.shape),
        shared.view(POINTS.shape),
        torch.from_numpy(POINTS),
    ):
        assert same(train(data), plain)


def test_many_points_train_bit_for_bit_as_few(monkeypatch):
    images = POINTS.reshape(-1, 2, 2)  # points of the plane are drawn evenly where they are few
    few = train(images)
    monkeypatch.setattr(batches, "FEW", 0)
    assert not isinstance(training_data(images).unit, torch.Tensor)
    assert same(train(images), few)


def test_the_spread_is_that_of_all_points():
    data = training_data(POINTS)
    exact = POINTS.astype("f8")
    np.testing.assert_allclose(data.mean, exact.mean(0), rtol=1e-7)
    assert data.std == pytest.approx(np.sqrt(exact.var(0).mean()), rel=1e-12)
    unit = data.unit[torch.arange(500)].double().numpy()
    np.testing.assert_allclose(unit.mean(0), 0, atol=1e-6)
    assert unit.var(0).mean() == pytest.approx(1, rel=1e-6)


def test_images_of_uint8_train_as_their_floats(tmp_path):
    kept = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), np.uint8)
    floats = np.moveaxis(kept.astype("f4"), 3, 1) / np.float32(127.5) - 1
    settings = {"steps": 3, "batch": 8, "model": None}
    run = train(mapped(tmp_path, kept), **settings)
    assert run.mean.shape == (3, 8, 8)
    assert same(run, train(np.ascontiguousarray(floats), **settings))


# batches


def test_points_of_batches_are_used_in_their_order():
    trainer = Trainer("fm-ot", loader(POINTS), batch=16, steps=70, model=SETTINGS["model"])
    data = trainer.data
    used = []
    for _ in range(70):
        trainer.advance()
        places = trainer._drawn.block.index[(trainer.step - 1) % BLOCK]
        used.append(places.numpy())
    np.testing.assert_array_equal(np.concatenate(used), np.arange(70 * 16))
    unit = data.unit[torch.arange(490, 520)] * data.std + data.mean
    expected = POINTS[np.arange(490, 520) % 500]
    np.testing.assert_allclose(unit, expected, rtol=1e-4, atol=1e-4)


class Watched:
    """Batches that say how many of their points are still held."""

    def __init__(self):
        self.most = 0

    def __iter__(self):
        batches = [torch.full((10, 1), float(number)) for number in range(60)]
        held = [weakref.ref(batch) for batch in batches]
        while batches:
            yield {"x": batches.pop(0)}
            self.most = max(self.most, sum(one() is not None for one in held) - len(batches))


def test_points_that_are_passed_over_are_not_kept():
    points = Batches(Watched())
    assert points.rows(torch.arange(555, 560)).flatten().tolist() == [55.0] * 5
    assert points.batches.most <= 3
    assert points.rows(torch.arange(560, 572)).flatten().tolist() == [56.0] * 10 + [57.0] * 2


def test_batches_pickle_and_begin_anew():
    points = Batches(loader(POINTS))
    points.rows(torch.arange(3))
    copied = pickle.loads(pickle.dumps(points))
    for one in (copied, points):
        np.testing.assert_allclose(one.rows(torch.arange(3, 8)), POINTS[3:8], rtol=1e-6)


def test_batches_of_any_size_and_form_train_alike():
    plain = train(loader(POINTS))
    mappings = [{"x": POINTS[:123]}, {"x": POINTS[123:]}]
    other = train(mappings)
    # mean and spread may differ in their last digit, since sums are joined in another order
    assert other.std == pytest.approx(plain.std, rel=1e-12)
    np.testing.assert_allclose(other.loss, plain.loss, rtol=1e-3)


def test_the_batches_of_a_training_are_read_once_in_each_epoch_and_once_before():
    class Counted:
        def __init__(self):
            self.begun = 0

        def __iter__(self):
            self.begun += 1
            return iter(torch.from_numpy(POINTS).split(100))

    counted = Counted()
    train(counted)  # 70 steps of 16 points are 2.24 epochs of 500
    assert counted.begun == 1 + 1 + 3  # the shape, mean and spread, epochs


@pytest.mark.parametrize("kind", ["file", "batches"])
def test_a_training_resumes_bit_for_bit(tmp_path, amount, kind):
    def stop(step):
        if step.step == 45:
            raise KeyboardInterrupt

    def data():
        return mapped(tmp_path, POINTS) if kind == "file" else loader(POINTS)

    path = tmp_path / "checkpoint"
    train(data(), checkpoint=path, callback=stop)
    assert same(train(data(), checkpoint=path), train(data()))


def test_a_checkpoint_of_other_data_is_refused(tmp_path):
    path = tmp_path / "checkpoint"
    train(POINTS, checkpoint=path, steps=2)
    other = POINTS.copy()
    other[77, 1] += 1
    for data in (other, POINTS[:-1], POINTS.reshape(1000, 2)):
        with pytest.raises(ValueError, match="data in the file is another"):
            train(data, checkpoint=path, steps=2)
    train(mapped(tmp_path, POINTS), checkpoint=path, steps=2)


def test_a_checkpoint_does_not_read_the_data_again(tmp_path, monkeypatch):
    trainer = Trainer("fm-ot", POINTS, batch=16, steps=4, model=SETTINGS["model"])

    def refused(self):
        raise AssertionError("the data are read again")

    monkeypatch.setattr(batches.Stored, "pieces", refused)
    trainer.save(tmp_path / "checkpoint")
    trainer.resume(tmp_path / "checkpoint")


@pytest.mark.parametrize("kind", ["array", "tensor", "batches"])
def test_data_far_from_zero_train_as_those_at_zero(amount, kind):
    """Unit variance around 10⁷ has 8 different values in float32."""
    near = np.round(np.random.default_rng(0).normal(size=(500, 2)) * 2**20) / 2**20
    make = {
        "array": np.asarray,
        "tensor": torch.from_numpy,
        "batches": lambda array: DataLoader(torch.from_numpy(array), batch_size=100),
    }[kind]
    far = training_data(make(near + 1e7))
    here = training_data(make(near))
    assert far.std == pytest.approx(here.std, rel=1e-7)
    np.testing.assert_allclose(far.mean - 1e7, here.mean, atol=1e-8)
    places = torch.arange(500)
    assert len(far.unit[places][:, 0].unique()) > 490
    torch.testing.assert_close(far.unit[places], here.unit[places], rtol=0, atol=1e-6)


def test_a_denoiser_of_data_far_from_zero_is_the_shifted_one():
    near = np.random.default_rng(0).normal(size=(500, 2))
    few = {"steps": 2, "batch": 16}
    far, here = train(near + 1e7, **few), train(near, **few)
    z = torch.from_numpy(near[:9])
    alpha = torch.sigmoid(torch.tensor(1.0, dtype=torch.float64)).sqrt()
    shifted = far.denoise(z + alpha * 1e7, 1.0) - 1e7
    torch.testing.assert_close(shifted, here.denoise(z, 1.0), rtol=0, atol=1e-5)


@pytest.mark.parametrize("scale", [1e25, 1e-30])
def test_a_spread_beyond_float32_is_refused(scale):
    with pytest.raises(ValueError, match="standard deviation of data is"):
        train(POINTS * np.float32(scale))


@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        ((one for one in [POINTS]), TypeError, "DataLoader"),
        (TensorDataset(torch.from_numpy(POINTS)), TypeError, "DataLoader"),
        ([{"x": np.ones((4, 1, 1, 1, 1))}], ValueError, "must be real"),
        ([{"x": np.ones((4, 2))}], ValueError, "equal"),
        ([{"x": np.full((4, 2), np.nan)}], ValueError, "too large for float32 in 4 rows"),
    ],
)
def test_unusable_batches_are_refused(data, error, says):
    with pytest.raises(error, match=says):
        train(data)


# draws


@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 7)])
def test_rows_of_noise_are_those_of_the_whole_block(shape):
    rng = np.random.default_rng(3)
    rng.integers(9, size=7)  # leaves half a word in the generator
    whole = np.random.default_rng(3)
    whole.integers(9, size=7)
    expected = whole.standard_normal((BLOCK, *shape), "f4")
    rows = NoiseRows(rng, (BLOCK, *shape), torch.device("cpu"))
    for row in (0, 1, 5, 5, 2, 31, 0):
        np.testing.assert_array_equal(rows[row], expected[row])


# memory

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux' /proc")
def test_a_large_file_is_not_copied(tmp_path):
    """256 MB on disk, at most 200 MB more in memory, by a limit that the system enforces."""
    doors = ["fit", "fit loader", "probe", "tracker", "fit uint8"]  # four share a file
    command = [sys.executable, str(FOLDER / "memory.py"), "--megabytes", "256"]
    command += ["--limit", "200", "--folder", str(tmp_path), "--doors", *doors]
    place = os.environ | {"PYTHONPATH": str(Path(dv.__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, env=place, check=False)
    assert done.returncode == 0, done.stderr
    for door in doors:
        assert f"\n{door} " in done.stdout


@pytest.mark.parametrize("channels", [1, 3])
def test_images_with_their_channels_last_are_refused(channels):
    images = np.random.default_rng(0).normal(size=(6, 8, 8, channels))
    for form in (images, torch.from_numpy(images), DataLoader(torch.from_numpy(images), 3)):
        with pytest.raises(ValueError, match=r"pass data\.transpose\(0, 3, 1, 2\)"):
            batches.training_data(form)
    kept = batches.training_data(images.transpose(0, 3, 1, 2))
    assert kept.mean.shape == (channels, 8, 8)
