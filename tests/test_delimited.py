"""Tables of numbers in text are read as they are written, or refused with row and column."""

import numpy as np
import pytest

from diffviz.delimited import read_columns, read_file, read_text

NUMBERS = [[1.5, -2.0], [3.0, 0.25]]
SAME = {
    "commas": "x,y\n1.5,-2\n3,0.25\n",
    "no names": "1.5,-2\n3,0.25\n",
    "spaces": "x y\n1.5 -2\n 3   0.25 \n",
    "commas and spaces": "x, y\n1.5, -2\n3, 0.25",
    "semicolons": "x;y\n1.5;-2\n3;0.25\n",
    "semicolons and decimal commas": "x;y\n1,5;-2\n3;0,25\n",
    "tabs": "x\ty\n1.5\t-2\n3\t0.25\n",
    "tabs and decimal commas": "x\ty\n1,5\t-2\n3\t0,25\n",
    "quotes": '"x","y"\n"1.5","-2"\n"3","0.25"\n',
    "blank lines and comments": "# made by hand\n\nx,y\n1.5,-2\n\n# the other\n3,0.25\n\n",
    "names in a comment": "# x,y\n1.5,-2\n3,0.25\n",
    "exponents": "x,y\n1.5e0,-2E+0\n3,2.5e-1\n",
    "Windows": "x,y\r\n1.5,-2\r\n3,0.25\r\n",
    "old Macs": "x,y\r1.5,-2\r3,0.25\r",
    "byte order mark": "\ufeffx,y\n1.5,-2\n3,0.25\n",
    "separator at the end": "x,y,\n1.5,-2,\n3,0.25,\n",
    "spreadsheet": "sep=;\nx;y\n1,5;-2\n3;0,25\n",
}


@pytest.mark.parametrize("kind", SAME)
def test_the_same_table_is_read_however_it_is_written(kind):
    table = read_text(SAME[kind], "text")
    np.testing.assert_array_equal(table.values, NUMBERS)
    assert table.names == (() if kind == "no names" else ("x", "y"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_is_read_as_its_text(tmp_path, encoding):
    (tmp_path / "a.csv").write_text("α,y\n1.5,-2\n3,0.25\n", encoding=encoding)
    table = read_file(tmp_path / "a.csv")
    np.testing.assert_array_equal(table.values, NUMBERS)
    assert table.names == ("α", "y") and table.source.endswith("a.csv")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "T is empty"),
        (" \n\n", "T is empty"),
        ("# a comment\n", "T is empty"),
        ("x,y\n", r"names of columns \(x, y\) but no numbers"),
        ("x,y\n1,2\n3,oops\n", r"T: row 2 \(line 3\), column 2 \(y\): 'oops' is no number"),
        ("x,y\n1,\n", r"row 1 \(line 2\), column 2 \(y\): the cell is empty"),
        ("x;y\n;2\n", r"row 1 \(line 2\), column 1 \(x\): the cell is empty"),
        ("x\ty\n1\t2\n\n\t3\n", r"row 2 \(line 4\), column 1 \(x\): the cell is empty"),
        ("1,2\n3,inf\n", r"row 2 \(line 2\), column 2: 'inf' is not finite"),
        ("1,2\n3,NaN\n", r"row 2 \(line 2\), column 2: 'NaN' is not finite"),
        ("1,2\n3,4,5\n", r"row 2 \(line 2\) has 3 cells, not 2"),
        ("x,y\n1,2,3\n4,5,6\n", r"row 1 \(line 2\) has 3 cells, not 2"),
        ("x;y\n1.234,5;2\n", r"row 1 \(line 2\), column 1 \(x\): '1.234,5' is no number"),
        ("x,y\n2026-01-01,2\n", r"row 1 \(line 2\), column 1 \(x\): '2026-01-01' is no number"),
    ],
)
def test_what_cannot_be_read_is_named_with_row_and_column(text, says):
    with pytest.raises(ValueError, match=says):
        read_text(text, "T")


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ValueError, match="as text"):
        read_file(tmp_path / "a.csv")


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "__index_level_0__"])
def test_a_first_column_without_a_name_is_dropped_with_a_warning(name):
    table = read_text(f"{name},x,y\n0,1.5,-2\n1,3,0.25\n", "T")
    with pytest.warns(UserWarning, match="T: the first column has no name and is dropped"):
        kept = table.without_index()
    np.testing.assert_array_equal(kept.values, NUMBERS)
    assert kept.names == ("x", "y")
    named = read_text("x,y\n1.5,-2\n3,0.25\n", "T")
    assert named.without_index() is named


def test_an_index_that_pandas_stored_is_dropped_wherever_it_stands():
    table = read_text("x,__index_level_0__,y,__index_level_1__\n1.5,0,-2,7\n3,1,0.25,7\n", "T")
    with (
        pytest.warns(UserWarning, match="T: column 2 has no name and is dropped as an index"),
        pytest.warns(UserWarning, match="T: column 4 has no name and is dropped as an index"),
    ):
        kept = table.without_index()
    np.testing.assert_array_equal(kept.values, NUMBERS)
    assert kept.names == ("x", "y")
    indexes = read_text("__index_level_0__,__index_level_1__\n1,2\n", "T")
    assert indexes.without_index() is indexes


def test_a_large_table_is_exact():
    numbers = np.random.default_rng(0).normal(size=(2000, 3))
    text = "\n".join(";".join(map(repr, row)) for row in numbers.tolist())
    np.testing.assert_array_equal(read_text(text, "T").values, numbers)
    german = text.replace(".", ",")
    np.testing.assert_array_equal(read_text(german, "T").values, numbers)


def test_numbers_of_columns_after_an_empty_cell_are_names():
    table = read_text(",0,1\n0,1.5,-2\n1,3,0.25\n", "text")
    assert table.names == ("", "0", "1")
    with pytest.warns(UserWarning, match="no name and is dropped"):
        np.testing.assert_array_equal(table.without_index().values, NUMBERS)


def test_a_number_with_a_stroke_is_named_with_its_place():
    with pytest.raises(ValueError, match=r"row 2 \(line 3\), column 1 \(x\): '1_0' is no number"):
        read_text("x,y\n1,2\n1_0,2\n", "text")


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match=r"data \(x, y\) differ in length: \[2, 3\]"):
        read_columns({"x": [1, 2], "y": [1, 2, 3]}, "data")
