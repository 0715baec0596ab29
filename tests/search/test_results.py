"""The file of a search: it goes on, it is mended if cut short, and another search's is refused."""

import numpy as np
import pytest

from diffviz.search import candidates, experiment
from diffviz.search.results import Results, locked
from diffviz.search.settings import Settings


@pytest.fixture
def file(tmp_path):
    return tmp_path / "s.csv"


def test_a_second_run_trains_nothing_and_finds_the_same(untrained, fast, file):
    first = experiment.search(**fast, out=file)
    trained = len(untrained.batches)
    second = experiment.search(**fast, out=file)
    assert trained == len(untrained.batches) == 4
    assert str(first) == str(second)
    np.testing.assert_array_equal(first.surface.values, second.surface.values)
    rows = file.read_text().splitlines()
    assert len(rows) == 2 + 2 * (7 + 1 + len(candidates.CATALOGUE))


def test_more_points_and_seeds_train_only_what_is_missing(untrained, fast, file):
    small = experiment.search(**fast, out=file)
    untrained.batches.clear()
    large = experiment.search(points=9, seeds=3, steps=10, out=file)
    assert untrained.batches[:3] == [(2, 0), (2, 1), (9, 2)]
    np.testing.assert_array_equal(large.surface.points[:7], small.surface.points)
    np.testing.assert_array_equal(large.surface.values[:7, :2], small.surface.values)


def test_a_row_cut_short_is_told_and_trained_again(untrained, fast, file, tmp_path):
    whole = experiment.search(**fast, out=file)
    text = file.read_text()
    file.write_text(text[:-9])
    untrained.batches.clear()
    with pytest.warns(UserWarning, match="the last row was cut short"):
        again = experiment.search(**fast, out=file)
    assert untrained.batches == [(1, experiment.FRESH + 1)]
    assert len(file.read_text().splitlines()) == len(text.splitlines())
    assert again.second.keys() == whole.second.keys()
    assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize("left", [0, 20, 140])
def test_a_file_cut_short_before_its_first_row_is_begun_again(untrained, fast, file, left):
    experiment.search(**fast, out=file)
    whole = file.read_text()
    file.write_text(whole[:left])
    experiment.search(**fast, out=file)
    assert file.read_text() == whole


def test_a_file_that_is_no_text_is_refused_by_name(untrained, fast, file):
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"s\.csv is no file of a search"):
        experiment.search(**fast, out=file)
    assert file.read_bytes() == b"\xff\xfe\x00"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"steps": 10', '"steps": 20', "is of another search: steps is 20 there and 10 here"),
        ('"learning_rate"', '"rate"', "rate is 0.01 there and not stated here"),
        ("candidate,seed,value", "candidate,value", "its columns are other ones"),
        ("# diffviz search {", "# diffviz search {{", "is no file of a search"),
        ("elbo,1000,", "elbo,1000,x", "line .*: 'elbo,1000,x"),
        ("elbo,1000,", "elbo 1000 ", "is no candidate, seed and value"),
    ],
)
def test_a_file_that_is_damaged_or_of_another_search_is_refused_and_kept(
    untrained, fast, file, old, new, message
):
    experiment.search(**fast, out=file)
    changed = file.read_text().replace(old, new)
    file.write_text(changed)
    with pytest.raises(ValueError, match=message):
        experiment.search(**fast, out=file)
    assert file.read_text() == changed


@pytest.mark.parametrize("text", ["anything\n", "anything"])
def test_another_file_is_refused_and_kept(file, text):
    file.write_text(text)
    with pytest.raises(ValueError, match="is no file of a search: it begins 'anything'"):
        Results(Settings(), file)
    assert file.read_text() == text


def test_a_row_that_is_there_twice_is_refused(untrained, fast, file):
    experiment.search(**fast, out=file)
    doubled = file.read_text() + file.read_text().splitlines()[-1] + "\n"
    file.write_text(doubled)
    with pytest.raises(ValueError, match="is there twice"):
        experiment.search(**fast, out=file)
    assert file.read_text() == doubled


@pytest.mark.parametrize(
    "row",
    ["a,0,1,2", "a,-1,1", "a,0,", "", '"a,0,1', '"a"b,0,1', "a" * 200_000 + ",0,1", "a,0,\x00"],
)
def test_a_damaged_row_is_named_with_its_line_and_no_more_of_it_than_helps(file, row):
    Results(Settings(), file).append(["first"], 0, [1.0])
    with file.open("a", newline="") as end:
        end.write(f"{row}\nlast,0,2.0\n")
    with pytest.raises(ValueError, match=r"line 4: .*no candidate, seed and value") as refusal:
        Results(Settings(), file)
    assert len(str(refusal.value)) < 400


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ValueError, match="is a folder"):
        Results(Settings(), tmp_path)


@pytest.mark.parametrize(
    ("wrong", "kind", "message"),
    [
        (5, TypeError, "must be text or a path, got 5"),
        (b"s.csv", TypeError, "must be text or a path, got b's.csv'"),
        ("", ValueError, "empty or has a null character"),
        ("a\0b", ValueError, "empty or has a null character"),
        (".", ValueError, "is a folder"),
    ],
)
def test_what_is_no_file_is_refused_and_leaves_no_lock(tmp_path, monkeypatch, wrong, kind, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind, match=message), locked(wrong):
        pass
    assert not list(tmp_path.iterdir())


def test_a_file_and_a_link_to_it_have_one_lock_and_the_link_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    file, link = tmp_path / "s.csv", tmp_path / "link.csv"
    Results(Settings(), file).append(["a"], 0, [1.0])
    link.symlink_to(file)
    for one, other in ((file, link), (link, "~/s.csv"), ("s.csv", link)):
        with locked(one), pytest.raises(BlockingIOError, match="another search"), locked(other):
            pass
    file.write_text(file.read_text() + "b,0")
    with pytest.warns(UserWarning, match="the last row was cut short"):
        assert Results(Settings(), link).values == {("a", 0): 1.0}
    assert link.is_symlink()
    assert not file.read_text().endswith("b,0")


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    Results(Settings(), "~/new/s.csv")
    assert [entry.name for entry in tmp_path.iterdir()] == ["home"]
    assert (tmp_path / "home" / "new" / "s.csv").exists()


def test_without_a_file_results_are_kept_in_memory():
    results = Results(Settings())
    results.append(["a", "b"], 0, [1.0, float("nan")])
    assert results.values["a", 0] == 1
    assert np.isnan(results.values["b", 0])


def test_what_is_appended_is_read_again_to_the_last_digit(tmp_path):
    file = tmp_path / "new folder" / "s.csv"
    results = Results(Settings(), file)
    results.append(["a, with a comma"], 3, [np.float64(1) / 3])
    assert Results(Settings(), file).values == {("a, with a comma", 3): 1 / 3}
