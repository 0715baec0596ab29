"""Points are read piece by piece, whatever they are kept in, and are the same everywhere."""

import pickle
import zlib

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from diffviz.data import streams
from diffviz.data.streams import Batches, Stored, examples, source, statistics
from diffviz.learning.floors import parts


def values(n=300, shape=(3, 4), seed=0):
    return np.random.default_rng(seed).normal(5, 2, (n, *shape)).astype("f4")


def mapped(folder, array):
    """The array from a file that is mapped into memory, read-only."""
    np.save(folder / "x.npy", array)
    return np.load(folder / "x.npy", mmap_mode="r")


def from_file(folder, array):
    """A tensor whose storage is a file."""
    array.tofile(folder / "x.bin")
    flat = torch.from_file(str(folder / "x.bin"), size=array.size)
    return flat.view(*array.shape)


def untyped(folder, array):
    array.tofile(folder / "x.bin")
    storage = torch.UntypedStorage.from_file(str(folder / "x.bin"), False, array.nbytes)
    return torch.tensor([]).set_(storage).view(*array.shape)


class Labelled(Dataset):
    """Points with a label, one at a time."""

    def __init__(self, array):
        self.array = array

    def __len__(self):
        return len(self.array)

    def __getitem__(self, place):
        return {"image": torch.from_numpy(self.array[place]), "label": place}


class Unjoined(IterableDataset):
    """Points with a label, one at a time, for those that go through them."""

    def __init__(self, *samples):
        self.samples = samples

    def __iter__(self):
        return iter(self.samples)


class Refilled:
    """Batches in one array that is filled again for each."""

    def __init__(self, array, form):
        self.array = array
        self.form = form

    def __iter__(self):
        held = np.empty_like(self.array[:60])
        given = torch.from_numpy(held) if self.form == "tensor" else held
        for first in range(0, len(self.array), 60):
            held[:] = self.array[first : first + 60]
            yield given, np.zeros(60)


class Endless:
    """Batches that start afresh each time they are gone through."""

    def __init__(self, *batches):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)


# arrays


@pytest.mark.parametrize("kept", [mapped, from_file, untyped])
def test_a_mapped_file_gives_the_points_of_the_array(tmp_path, kept):
    array = values()
    points = source(kept(tmp_path, array))
    assert points.shape == (3, 4) and points.device == torch.device("cpu")
    places = torch.tensor([7, 0, 299, 7])
    np.testing.assert_array_equal(points.rows(places).numpy(), array[places.numpy()])
    np.testing.assert_array_equal(torch.cat(list(points.pieces())).numpy(), array)


@pytest.mark.parametrize("dtype", ["f2", "f8", ">f4", ">f8", "i2", "i8", "?"])
def test_arrays_of_any_type_and_byte_order_come_out_in_float32(tmp_path, dtype):
    array = values().astype(dtype)
    rows = source(mapped(tmp_path, array)).rows(torch.arange(300))
    assert rows.dtype == torch.float32
    np.testing.assert_array_equal(rows.numpy(), array.astype("f4"))


def test_points_are_a_copy_that_may_be_written_over(tmp_path):
    array = values()
    given = mapped(tmp_path, array)
    for points in (source(given), source(array)):
        points.rows(torch.arange(5)).zero_()
        next(points.pieces()).zero_()
    np.testing.assert_array_equal(given, array)
    assert array.all()


def test_negative_strides_and_transposed_arrays_are_read():
    array = values()
    for given in (array[::-1], array.transpose(0, 2, 1), array[:, ::2]):
        rows = source(given).rows(torch.arange(len(given)))
        np.testing.assert_array_equal(rows.numpy(), given)


@pytest.mark.parametrize("shape", [(20, 6, 5), (20, 6, 5, 3), (20, 3, 6, 5), (20, 6, 5, 1)])
def test_images_of_uint8_have_their_channels_first_on_minus_one_to_one(shape):
    array = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    array.flat[:2] = 0, 255
    expected = array / 127.5 - 1
    if len(shape) == 4 and shape[1] != 3:
        expected = np.moveaxis(expected, 3, 1)
    for given in (array, torch.from_numpy(array)):
        points = source(given)
        rows = points.rows(torch.arange(20)).numpy()
        assert points.shape == expected.shape[1:]
        assert rows.min() == -1 and rows.max() == 1
        np.testing.assert_allclose(rows, expected, atol=1e-6)


def test_points_of_uint8_stay_numbers():
    array = np.arange(40, dtype=np.uint8).reshape(20, 2)
    np.testing.assert_array_equal(source(array).rows(torch.arange(20)).numpy(), array)


@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        (np.ma.masked_array(np.ones((3, 2))), TypeError, "data is a masked array"),
        (np.ones((3, 2)) * 1j, TypeError, "complex"),
        (torch.ones(3, 2) * 1j, TypeError, "complex"),
        (np.array([["a", "b"]]), TypeError, "text"),
        ([[1.0, 2.0], [3.0]], ValueError, "no array of numbers"),
        (torch.ones(3, 2).to_sparse(), TypeError, "dense tensor"),
        (torch.ones(3, 2, device="meta"), TypeError, "dense tensor"),
    ],
)
def test_what_holds_no_real_numbers_is_refused(data, error, says):
    with pytest.raises(error, match=says):
        source(data)


# batches


def kinds_of_batches(array):
    """The same points in the same order, batch by batch in every form."""
    tensor = torch.from_numpy(array)
    label = torch.arange(len(array))
    return {
        "loader of tensors": DataLoader(tensor, batch_size=70),
        "loader of tuples": DataLoader(TensorDataset(tensor, label), batch_size=64),
        "loader of mappings": DataLoader(Labelled(array), batch_size=33),
        "list of pairs": [(array[:200], label[:200]), (array[200:], label[200:])],
        "list of mappings": [{"x": array[:10]}, {"x": array[10:]}],
        "iterable of arrays": Endless(array[:100], array[100:]),
    }


@pytest.mark.parametrize("kind", kinds_of_batches(values()))
def test_batches_of_every_kind_give_their_points_again_and_again(kind):
    array = values()
    points = source(kinds_of_batches(array)[kind])
    assert isinstance(points, Batches) and points.shape == (3, 4)
    np.testing.assert_array_equal(torch.cat(list(points.pieces())).numpy(), array)
    twice = np.concatenate([array, array])
    for first in range(0, 520, 130):
        rows = points.rows(torch.arange(first, first + 130))
        np.testing.assert_array_equal(rows.numpy(), twice[first : first + 130])


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("form", ["tensor", "array"])
def test_a_loader_may_fill_one_array_again_and_again(form, dtype):
    array = values().astype(dtype)
    points = source(Refilled(array, form))
    for read in (torch.float32, torch.float64):
        assert torch.equal(torch.cat(list(points.pieces(read))), torch.from_numpy(array).to(read))
    np.testing.assert_array_equal(points.rows(torch.arange(300)), array.astype("f4"))
    np.testing.assert_array_equal(examples(Refilled(array, form)), array)
    stored, _ = parts._kept(points, np.random.default_rng(0))
    np.testing.assert_array_equal(stored.values, array.astype("f4"))


def test_a_data_set_that_gives_batches_is_read_through_a_loader():
    array = values()
    loader = DataLoader(Unjoined(array[:100], array[100:]), batch_size=None)
    np.testing.assert_array_equal(torch.cat(list(source(loader).pieces())), array)
    for data in (Unjoined(array), Labelled(array)):
        with pytest.raises(TypeError, match="data is a Dataset, which gives single points"):
            examples(data)


def test_batches_are_found_again_at_any_place():
    array = values()
    points = source(DataLoader(torch.from_numpy(array), batch_size=70))
    for first in (410, 5, 6, 299):
        places = np.arange(first, first + 20)
        rows = points.rows(torch.from_numpy(places))
        np.testing.assert_array_equal(rows.numpy(), array[places % 300])


def test_a_list_of_numbers_or_of_arrays_is_one_array():
    array = values(4, (2, 2))
    for given in (array.tolist(), list(array), tuple(torch.from_numpy(array))):
        points = source(given)
        assert isinstance(points, Stored)
        np.testing.assert_array_equal(points.rows(torch.arange(4)).numpy(), array)


@pytest.mark.parametrize("shape", [(3,), (3, 4), (3, 8, 8)])
def test_a_list_of_batches_is_read_as_batches_or_refused_and_never_as_points(shape):
    array = values(100, shape)
    for kind in (np.asarray, torch.from_numpy):
        points = source([kind(array[:60]), kind(array[60:])])
        assert points.shape == shape
        np.testing.assert_array_equal(torch.cat(list(points.pieces())).numpy(), array)
        for halves in ([array[:50], array[50:]], (array[:50], array[50:])):
            if len(shape) < 3:
                with pytest.raises(ValueError, match=r"2 arrays of shape \(50, .* torch.cat, and"):
                    source([kind(half) for half in halves])
    many = list(values(3 * 100, (3,)).reshape(100, 3, 3))
    assert source(many).shape == (3, 3)
    with pytest.raises(ValueError, match=r"which may be batches or single points; join"):
        source(list(values(200, (2,)).reshape(100, 2, 2).repeat(2, axis=1)))


@pytest.mark.parametrize("kind", ["array", "tensor", "batches", "moved"])
def test_points_are_read_in_float64_where_that_is_asked_for(kind):
    array = values().astype("f8") + 1e7
    given = torch.from_numpy(array)
    points = {
        "array": source(array),
        "tensor": source(given),
        "batches": source(DataLoader(given, batch_size=70)),
        "moved": streams.Moved(source(array), torch.device("cpu")),
    }[kind]
    rows = points.rows(torch.arange(300), torch.float64)
    np.testing.assert_array_equal(rows.numpy(), array, strict=True)
    pieces = torch.cat(list(points.pieces(torch.float64)))
    np.testing.assert_array_equal(pieces.numpy(), array, strict=True)
    assert points.rows(torch.arange(300)).dtype == torch.float32


def test_what_float32_leaves_of_points_enters_mean_spread_and_checksum():
    array = values().astype("f8") + 1e9  # steps of 64 in float32
    found = statistics(source(array))
    assert found.std == pytest.approx(np.sqrt(array.var(0).mean()), rel=1e-6)
    np.testing.assert_allclose(found.mean.numpy(), array.mean(0), rtol=1e-14)
    assert not found.equal
    moved = array.copy()
    moved[0, 0, 0] += 1.0
    assert np.array_equal(moved.astype("f4"), array.astype("f4"))
    assert statistics(source(moved)).checksum != found.checksum


@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        ((one for one in [values()]), TypeError, "data is a generator, which is used up"),
        (Labelled(values()), TypeError, r"torch.utils.data.DataLoader\(dataset"),
        (Endless(), ValueError, "no batch"),
        (Endless(values(0), values(0)), ValueError, "no batch"),
        (Endless(values(3, ()), values()), TypeError, "a batch of data must be"),
        (Endless({"a": values(), "b": values()}), ValueError, "several arrays, 'a', 'b'"),
        (Endless({"label": torch.arange(3)}), TypeError, "a mapping with one"),
        (Endless(values() * 1j), TypeError, "complex"),
        (Unjoined((values(3, (8, 8)), 7)), TypeError, "DataLoader.*batch_size=None if it gives"),
        (Endless((values(3, (8, 8)), 7)), ValueError, "one label, 7, beside an array of shape"),
        (Endless((values(3, (8, 8)), torch.tensor(7))), ValueError, "let a .*DataLoader join"),
        (Endless({"x": values(8, (8,)), "y": np.int64(7)}), ValueError, "a single sample"),
        ([(values(8, (8,)), "seven")] * 2, ValueError, "one label, 'seven', beside"),
        (Endless((values(3, (8, 8)), np.eye(10)[7])), ValueError, r"shape \(10,\), beside an a"),
        (Endless((values(3, (8, 8)), torch.zeros(8, 8))), ValueError, r"shape \(8, 8\), beside"),
        (Endless({"x": values(8, (8,)), "y": np.zeros(3)}), ValueError, "a single sample"),
    ],
)
def test_batches_that_cannot_be_read_are_refused_with_the_way_out(data, error, says):
    with pytest.raises(error, match=says):
        source(data)


def test_a_batch_of_another_shape_is_named():
    points = source(Endless(values(), values(shape=(4, 4))))
    with pytest.raises(ValueError, match=r"batch 1 of data has points of shape \(4, 4\).*\(3, 4\)"):
        list(points.pieces())


def test_a_batch_of_another_scale_is_named():
    images = np.arange(3 * 8 * 8, dtype=np.uint8).reshape(3, 8, 8)
    for first, second in ((images, images / 255.0), (images / 255.0, images)):
        points = source(Endless(first, first, second))
        with pytest.raises(ValueError, match=r"batch 2 of data is of type .* uint8, or none"):
            list(points.pieces())


def test_batches_without_a_point_are_passed_over():
    points = source(Endless(values(0), values(5), values(0), values(3, seed=1)))
    expected = np.concatenate([values(5), values(3, seed=1)]).astype(np.float32)
    np.testing.assert_array_equal(torch.cat(list(points.pieces())).numpy(), expected)
    np.testing.assert_array_equal(points.rows(torch.arange(8)).numpy(), expected)
    assert statistics(points).count == 8


def test_batches_that_have_come_to_an_end_are_noticed():
    class Tiring:
        times = 2

        def __iter__(self):
            self.times -= 1
            return iter([values(10)] if self.times >= 0 else [])

    points = source(Tiring())
    with pytest.raises(ValueError, match="no batch to give any more"):
        points.rows(torch.arange(20))


# statistics


@pytest.mark.parametrize("far", [0.0, 1e4])
def test_one_pass_finds_mean_and_spread(monkeypatch, far):
    array = values() + np.float32(far)
    monkeypatch.setattr(streams, "PIECE", 100)
    found = statistics(Stored(array))
    exact = array.astype("f8")
    np.testing.assert_allclose(found.mean.numpy(), exact.mean(0), rtol=1e-14)
    assert found.std == pytest.approx(np.sqrt(exact.var(0).mean()), rel=1e-12)
    assert found.count == 300 and not found.equal and found.bad == 0
    assert found.checksum == zlib.crc32(array.tobytes())


def test_statistics_do_not_depend_on_what_keeps_the_points(tmp_path):
    array = values(1000, (40, 40))
    found = [
        statistics(source(given))
        for given in (array, mapped(tmp_path, array), torch.from_numpy(array), array.astype("f8"))
    ]
    assert len({(one.std, one.checksum, one.mean.numpy().tobytes()) for one in found}) == 1
    batches = statistics(source(DataLoader(torch.from_numpy(array), batch_size=64)))
    assert batches.std == pytest.approx(found[0].std, rel=1e-12)
    torch.testing.assert_close(batches.mean, found[0].mean, rtol=1e-12, atol=0)


def test_points_that_are_not_finite_are_counted_and_the_first_is_named(monkeypatch):
    monkeypatch.setattr(streams, "PIECE", 100)
    array = values()
    array[[40, 41, 250], 0, 0] = np.nan, np.inf, np.nan
    found = statistics(Stored(array))
    assert (found.bad, found.first_bad) == (3, 40)


@pytest.mark.filterwarnings("error")
def test_too_large_a_number_for_float32_is_not_finite():
    array = np.full((4, 2), 1e300)
    assert statistics(Stored(array)).bad == 4


def test_equal_points_are_noticed_only_if_all_pieces_agree(monkeypatch):
    monkeypatch.setattr(streams, "PIECE", 4)
    array = np.ones((40, 2))
    assert statistics(Stored(array)).equal
    array[-1] = 2
    assert not statistics(Stored(array)).equal


# examples


def test_examples_keep_their_type_and_are_cut_where_they_are_many(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "MOST_NUMBERS", 12 * 50)
    monkeypatch.setattr(streams, "MOST_SAMPLES", 40)
    array = values().astype("f8")
    tensor = torch.from_numpy(array)
    for given in (mapped(tmp_path, array), tensor):
        one = examples(given)
        assert one.dtype == torch.float64
        np.testing.assert_array_equal(one.numpy(), array[:50])
    swapped = examples(mapped(tmp_path, array.astype(">f8")))
    np.testing.assert_array_equal(swapped.numpy(), array[:50])
    assert examples(tensor).data_ptr() == tensor.data_ptr()
    read = []

    def batches():
        for first in range(0, 300, 30):
            read.append(first)
            yield tensor[first : first + 30], torch.arange(30)

    np.testing.assert_array_equal(examples(batches()).numpy(), array[:40])
    assert read == [0, 30]


@pytest.mark.parametrize("data", ["data", None, [[1.0, 2.0]], np.ones((3, 2)), 3.0])
def test_what_are_no_examples_comes_back_as_it_is(data):
    assert examples(data) is data


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_mapped_file_travels_to_another_process_as_its_name(tmp_path, order):
    values = np.asarray(np.random.default_rng(0).normal(size=(20_000, 3)), order=order)
    np.save(tmp_path / "points.npy", values)
    points = streams.source(np.load(tmp_path / "points.npy", mmap_mode="r"))
    pickled = pickle.dumps(points)
    assert len(pickled) < 2000
    places = torch.tensor([0, 7, 19_999])
    assert torch.equal(pickle.loads(pickled).rows(places), points.rows(places))
    part = streams.source(points.values[5:50])
    assert torch.equal(pickle.loads(pickle.dumps(part)).rows(places[:2]), part.rows(places[:2]))


def test_moved_points_are_those_of_their_source_on_another_device():
    points = streams.source(np.arange(12.0).reshape(6, 2))
    moved = streams.Moved(points, torch.device("meta"))
    assert moved.shape == points.shape
    assert moved.ordered
    assert {piece.device.type for piece in moved.pieces()} == {"meta"}
    assert moved.rows(torch.tensor([1])).device.type == "meta"
