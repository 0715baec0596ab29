"""Points are the same from arrays, frames and files, and bad cells are named."""

import sys

import numpy as np
import pytest
import torch

import diffviz as dv
from diffviz.data.points import read_points

POINTS = np.array([[1.5, -2.0], [3.0, 0.25], [0.0, 1.0]])


class TwoColumns:
    """A frame as pandas and polars have it: names, and a column for each."""

    def __init__(self, **columns):
        self.held = {name.replace("_", " "): values for name, values in columns.items()}

    @property
    def columns(self):
        return list(self.held)

    def __getitem__(self, name):
        return self.held[name]


def columns(**more):
    return TwoColumns(x=POINTS[:, 0], y=POINTS[:, 1], **more)


def write_all(folder):
    """The points in files of several kinds."""
    np.save(folder / "a.npy", POINTS)
    np.savez(folder / "one.npz", POINTS)
    np.savez(folder / "two.npz", points=POINTS, labels=np.arange(3))
    np.savetxt(folder / "a.csv", POINTS, delimiter=",", header="x,y", comments="")
    np.savetxt(folder / "a.txt", POINTS)
    np.savetxt(folder / "a.tsv", POINTS, delimiter="\t", header="x\ty")
    (folder / "decimal.csv").write_text("x;y\n1,5;-2\n3;0,25\n0;1\n")
    return [
        folder / name for name in ("a.npy", "one.npz", "a.csv", "a.txt", "a.tsv", "decimal.csv")
    ]


def test_points_are_the_same_from_every_file_and_form(tmp_path):
    leaf = torch.from_numpy(POINTS).requires_grad_()
    forms = [POINTS.tolist(), leaf, list(leaf), columns(), *write_all(tmp_path)]
    forms += [str(form) for form in forms if hasattr(form, "suffix")]
    for form in forms:
        np.testing.assert_array_equal(read_points(form), POINTS)
    np.testing.assert_array_equal(read_points(tmp_path / "two.npz", "points"), POINTS)


def test_a_dataset_is_that_of_its_file_and_has_its_name(tmp_path):
    write_all(tmp_path)
    same = dv.dataset(POINTS)
    for own in (dv.dataset(tmp_path / "two.npz", array="points"), dv.dataset(columns())):
        assert torch.equal(own.law.means, same.law.means)
    assert dv.dataset(tmp_path / "two.npz", array="points").name == "two"
    assert dv.dataset(columns(), name="mine").name == "mine"


def test_an_index_without_a_name_is_dropped_with_a_warning(tmp_path):
    (tmp_path / "a.csv").write_text(",x,y\n0,1.5,-2\n1,3,0.25\n2,0,1\n")
    with pytest.warns(UserWarning, match=r"a\.csv: the first column has no name"):
        np.testing.assert_array_equal(read_points(tmp_path / "a.csv"), POINTS)
    frame = TwoColumns(**{"Unnamed:_0": [0, 1, 2]}, x=POINTS[:, 0], y=POINTS[:, 1])
    with pytest.warns(UserWarning, match="data: the first column has no name"):
        np.testing.assert_array_equal(read_points(frame), POINTS)


def test_a_damaged_archive_is_named_with_its_path(tmp_path):
    file = tmp_path / "a.npz"
    np.savez_compressed(file, points=np.arange(1000.0).reshape(500, 2))
    good = file.read_bytes()
    entry = good.rindex(b"PK\x01\x02")
    content = 30 + sum(int.from_bytes(good[at : at + 2], "little") for at in (26, 28))
    for place in (content, entry // 2, entry + 6, entry + 10):  # also the version and the method
        file.write_bytes(good[:place] + b"\xff" + good[place + 1 :])
        with pytest.raises(ValueError, match=r"cannot read .*a\.npz: it is damaged .*; save it"):
            read_points(file)
    np.save(tmp_path / "a.npy", POINTS)
    header = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(header.replace(b"}", b"{"))
    with pytest.raises(ValueError, match=r"cannot read .*a\.npy: it is damaged .*; save it"):
        read_points(tmp_path / "a.npy")


class NAType:
    """Stands where pandas has NA: it is no number, and equals nothing."""

    def __eq__(self, other):
        raise TypeError("boolean value of NA is ambiguous")

    __hash__ = None


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        ([1.0, "oops", 2.0], r"data: row 2, column 2 \(y\): 'oops' is no number"),
        ([1.0, 2.0, "3"], r"row 3, column 2 \(y\): '3' is no number"),
        ([None, 1, 2], r"row 1, column 2 \(y\): the cell is missing"),
        ([1, NAType(), 2], r"row 2, column 2 \(y\): the cell is missing"),
        ([1.0, np.nan, 2.0], r"row 2, column 2 \(y\): the cell is missing"),
        ([1.0, np.inf, 2.0], r"row 2, column 2 \(y\): .*inf.* is not finite"),
        (np.array(["2026-01-01"] * 3, dtype="M8[D]"), r"row 1, column 2 \(y\): .* is no number"),
        (np.array(["2026-01-01"] * 3, dtype="M8[ns]"), r"row 1, column 2 \(y\): .* is no number"),
        (np.array([5, 6, 7], dtype="m8[ns]"), r"row 1, column 2 \(y\): .* is no number"),
        (np.array([1.0, 2j, 3.0]), r"row 1, column 2 \(y\): .* is no number"),
        ([1.0, np.complex128(2j), 3.0], r"row 2, column 2 \(y\): .* is no number"),
        ([1.0, np.timedelta64(2, "ns"), 3.0], r"row 2, column 2 \(y\): .* is no number"),
        ([1.0, np.ma.masked, 3.0], r"column 2 \(y\) holds a masked array"),
        ([[1.0], [2.0], [3.0]], r"column 2 \(y\): a cell holds one number"),
    ],
)
def test_a_bad_cell_of_a_frame_is_named_with_row_and_column(cells, says):
    with pytest.raises((ValueError, TypeError), match=says):
        dv.dataset(TwoColumns(x=[1.0, 2.0, 3.0], y=cells))


@pytest.mark.parametrize("form", [TwoColumns, dict])
def test_masked_columns_are_refused_and_tensors_of_any_kind_read(form):
    masked = np.ma.masked_array([1.0, 2.0, 999.0], mask=[False, False, True])
    with pytest.raises(TypeError, match=r"data, column 2 \(y\) is a masked array; fill it or drop"):
        read_points(form(x=[1.0, 2.0, 3.0], y=masked))
    tensor = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    read = read_points(form(x=tensor, y=tensor.bfloat16()))
    np.testing.assert_array_equal(read, [[1, 1], [2, 2], [3, 3]])
    np.testing.assert_array_equal(read_points(form(x=list(tensor), y=list(tensor))), read)


def test_masked_rows_in_a_list_are_refused():
    rows = [np.ma.masked_array([1.0, 999.0], mask=[False, True])] * 3
    with pytest.raises(TypeError, match="data holds a masked array; fill it or drop"):
        dv.dataset(rows)


def test_whole_numbers_of_any_kind_are_numbers():
    from decimal import Decimal
    from fractions import Fraction

    mixed = TwoColumns(x=[Decimal("0.5"), 1, 2.0], y=[Fraction(1, 2), np.int8(3), True])
    np.testing.assert_array_equal(read_points(mixed), [[0.5, 0.5], [1, 3], [2, 1]])


def test_what_is_no_table_is_refused(tmp_path):
    files = write_all(tmp_path)
    (tmp_path / "cut.npy").write_bytes(files[0].read_bytes()[:40])
    (tmp_path / "cut.npz").write_bytes(files[1].read_bytes()[:40])
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object))
    np.savez(tmp_path / "none.npz")
    cases = {
        "cut.npy": "cannot read .*cut.npy",
        "cut.npz": "cannot read .*cut.npz",
        "objects.npy": "cannot read .*objects.npy",
        "none.npz": "holds no array",
        "two.npz": "two.npz holds points, labels: say which by array=$",
        "missing.npz": "cannot read",
        "missing.csv": "cannot read",
    }
    for name, says in cases.items():
        with pytest.raises(ValueError, match=says):
            dv.dataset(tmp_path / name)
    with pytest.raises(ValueError, match=r"say which by array=, got 'x'"):
        dv.dataset(tmp_path / "two.npz", array="x")
    for source in (POINTS, tmp_path / "a.csv"):
        with pytest.raises(ValueError, match="array='x' has no effect"):
            dv.dataset(source, array="x")
    with pytest.raises(ValueError, match="has no columns"):
        dv.dataset(TwoColumns())
    with pytest.raises(ValueError, match=r"has columns \(x, y\) but no rows"):
        dv.dataset(TwoColumns(x=[], y=[]))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_with_channels_last_are_refused(channels):
    images = np.random.default_rng(0).normal(size=(5, 8, 6, channels))
    with pytest.raises(ValueError, match=r"pass data\.transpose\(0, 3, 1, 2\)"):
        dv.dataset(images)
    with pytest.raises(ValueError, match="channels last"):
        dv.dataset(torch.from_numpy(images))
    assert dv.dataset(images.transpose(0, 3, 1, 2)).shape == (channels, 8, 6)


def test_images_with_channels_last_are_named_by_their_shape_in_a_training():
    with pytest.raises(ValueError, match=r"data of shape \(n, 8, 6, 3\) look like images"):
        dv.fit([dv.objective("edm")], torch.zeros(5, 8, 6, 3), steps=1)


@pytest.mark.parametrize("shape", [(5, 3, 8, 3), (5, 4, 4, 4), (5, 8, 6, 5), (5, 3), (5, 2, 3)])
def test_what_is_no_image_with_channels_last_is_taken(shape):
    points = np.random.default_rng(0).normal(size=shape)
    assert dv.dataset(points).shape == shape[1:]


def test_parquet_without_its_reader_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ModuleNotFoundError, match="pip install pyarrow"):
        dv.dataset(tmp_path / "a.parquet")


def test_parquet_is_read_as_its_columns(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"x": POINTS[:, 0], "y": POINTS[:, 1]})
    parquet.write_table(table, tmp_path / "a.parquet")
    np.testing.assert_array_equal(read_points(tmp_path / "a.parquet"), POINTS)
    table = table.append_column("__index_level_0__", [[7, 8, 9]])  # where pandas puts its index
    parquet.write_table(table, tmp_path / "indexed.parquet")
    with pytest.warns(UserWarning, match="column 3 has no name and is dropped as an index"):
        np.testing.assert_array_equal(read_points(tmp_path / "indexed.parquet"), POINTS)
    bad = pyarrow.table({"x": [1, 2], "y": [1, None]})
    parquet.write_table(bad, tmp_path / "bad.parquet")
    with pytest.raises(ValueError, match=r"row 2, column 2 \(y\): the cell is missing"):
        read_points(tmp_path / "bad.parquet")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match="cannot read"):
        read_points(tmp_path / "cut.parquet")


@pytest.mark.parametrize(
    ("package", "maker"),
    [
        ("pandas", "DataFrame"),
        ("polars", "DataFrame"),
        ("pyarrow", "table"),
        ("pyarrow", "record_batch"),
    ],
)
def test_frames_of_the_real_packages_are_read(package, maker):
    frame_of = getattr(pytest.importorskip(package), maker)
    frame = frame_of({"x": POINTS[:, 0], "y": POINTS[:, 1]})
    np.testing.assert_array_equal(read_points(frame), POINTS)
    for cells, says in (
        (["a", "b"], "'a' is no number"),
        ([1, None], r"row 2, column 1 \(x\): the cell is missing"),
    ):
        with pytest.raises(ValueError, match=says):
            read_points(frame_of({"x": cells, "y": [1.0, 2.0]}))


class TwoOfAName(TwoColumns):
    """A frame whose columns are called 0 and "0", which pandas allows."""

    @property
    def columns(self):
        return [0, "0"]


class Lazy(TwoColumns):
    """A frame whose values are not there yet, as that of polars."""

    def collect(self):
        return TwoColumns(**self.held)


class Arrow:
    """A table as PyArrow has it: its columns are values, and its names stand apart."""

    columns = list(POINTS.T)
    column_names = ("x", "y")

    def __getitem__(self, name):
        return POINTS[:, self.column_names.index(name)]


def test_columns_of_other_kinds_are_read():
    for form in ({"x": POINTS[:, 0], "y": POINTS[:, 1]}, Arrow()):
        np.testing.assert_array_equal(read_points(form), POINTS)


def test_frames_that_cannot_be_read_say_why():
    with pytest.raises(ValueError, match="two columns of the name 0"):
        read_points(TwoOfAName())
    with pytest.raises(TypeError, match=r"lazy frame: pass its collect\(\)"):
        read_points(Lazy(x=POINTS[:, 0]))
    cells = np.empty(2, dtype=object)
    cells[:] = [np.ones(2), np.ones(2)]
    with pytest.raises(ValueError, match=r"row 1, column 1 \(x\): array.* is no number"):
        read_points({"x": cells})
    with pytest.raises(ValueError, match="tensors of different shapes"):
        read_points([torch.ones(2), torch.ones(3)])


def test_endings_in_capitals_are_the_same(tmp_path):
    np.savez(tmp_path / "a.npz", points=POINTS, labels=np.arange(3))
    capitals = (tmp_path / "a.npz").rename(tmp_path / "A.NPZ")
    np.testing.assert_array_equal(read_points(capitals, "points"), POINTS)


def test_objects_in_a_file_are_named_with_its_path(tmp_path):
    np.savez(tmp_path / "a.npz", np.array([{}, 1], dtype=object))
    (tmp_path / "b.npy").write_text("1,2")
    for name in ("a.npz", "b.npy"):
        with pytest.raises(ValueError, match=f"{name}: it holds objects or is no file of NumPy"):
            read_points(tmp_path / name)


def test_a_first_row_that_counts_is_a_point_with_a_warning(tmp_path):
    (tmp_path / "a.csv").write_text("0,1\n3,4\n")
    with pytest.warns(UserWarning, match="the first row counts 0, 1, .* read as a point"):
        points = read_points(tmp_path / "a.csv")
    np.testing.assert_array_equal(points, [[0, 1], [3, 4]])
