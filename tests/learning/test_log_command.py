"""The command that reads a log."""

import numpy as np
import pytest
from scipy.special import expit

import diffviz as dv
from diffviz.__main__ import main


@pytest.fixture
def file(tmp_path):
    rng = np.random.default_rng(0)
    sigma = rng.uniform(0.05, 0.95, 400)
    eps_error = 2 * expit(2 * np.log((1 - sigma) / sigma))
    rows = [f"{s!r},{v!r}" for s, v in zip(sigma.tolist(), eps_error.tolist(), strict=True)]
    name = tmp_path / "log.csv"
    name.write_text("sigma,loss\n" + "\n".join(rows) + "\n")
    return name


def test_the_command_prints_and_writes_what_the_function_says(file, tmp_path, capsys):
    table, picture = tmp_path / "loss.csv", tmp_path / "loss.png"
    options = ["--scheduler", "fm-ot", "--base", "eps", "--last", "1"]
    assert main(["log", str(file), *options, "--csv", str(table), "--out", str(picture)]) == 0
    said = capsys.readouterr().out
    log = dv.read_log(file, scheduler="fm-ot", base="eps", last=1.0)
    assert said.startswith(log.text())
    written = np.genfromtxt(table, delimiter=",", names=True)
    assert written.dtype.names == ("logsnr", "loss", "stderr", "spent", "weighting")
    for name, values in (
        ("logsnr", log.middle),
        ("loss", log.mean),
        ("stderr", log.stderr),
        ("spent", log.spent[1:-1]),
        ("weighting", log.table()[:, 1]),
    ):
        np.testing.assert_allclose(written[name], values, err_msg=name)
    assert picture.stat().st_size > 5000


def test_a_wrong_option_is_said_in_one_sentence(file, capsys):
    assert main(["log", str(file), "--loss", "los"]) == 2
    assert "did you mean 'loss'" in capsys.readouterr().err
    assert main(["log", str(file), "--out", "no/such/folder.png"]) == 2
    assert "folder of 'no/such/folder.png' does not exist" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--csv", "log.csv"], ["--csv", "link.csv"]])
@pytest.mark.parametrize("log", ["log.csv", "."])
def test_an_output_that_is_the_log_is_refused_and_the_log_stays(
    file, log, options, monkeypatch, capsys
):
    monkeypatch.chdir(file.parent)
    if "link.csv" in options:
        (file.parent / "link.csv").symlink_to(file)
    before = file.read_bytes()
    assert main(["log", log, "--scheduler", "fm-ot", *options]) == 2
    message = capsys.readouterr().err
    assert f"{options[0]} {options[1]!r} is also the file of the log" in message
    assert "name another file" in message
    assert file.read_bytes() == before


def test_an_output_is_no_other_file_of_the_line(file, monkeypatch, capsys):
    monkeypatch.chdir(file.parent)
    for name in ("data.npy", "scheduler.json"):
        (file.parent / name).write_text("{}")
    line = ["log", "log.csv", "--data", "data.npy", "--scheduler", "scheduler.json"]
    for options, what in (
        (["--csv", "data.npy"], "--data"),
        (["--csv", "scheduler.json"], "--scheduler"),
        (["--out", "new.png", "--report", "./new.png"], "--out"),
    ):
        assert main([*line, *options]) == 2
        assert f"is also the file of {what}," in capsys.readouterr().err
    assert (file.parent / "data.npy").read_text() == "{}"


def test_a_log_without_a_name_is_not_the_current_folder(file, monkeypatch, capsys):
    monkeypatch.chdir(file.parent)
    assert main(["log", ""]) == 2
    assert "the name of the log is empty; '.' is the current folder" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["table", "uint8"])
def test_the_floor_of_a_file_is_that_of_its_points_as_they_are(file, kind, tmp_path, monkeypatch):
    """Points of standard deviation 3 are not rescaled; images of uint8 are, as by ``dv.floor``."""
    rng = np.random.default_rng(0)
    if kind == "table":
        points = 3 * rng.standard_normal((40, 2))
        data = tmp_path / "points.csv"
        np.savetxt(data, points, delimiter=",", fmt="%.17g")
    else:
        points = rng.integers(0, 256, (40, 1, 2, 2), dtype=np.uint8)
        data = tmp_path / "images.npy"
        np.save(data, points)
    floors = []
    floor = dv.floor
    monkeypatch.setattr(dv, "floor", lambda *given: floors.append(floor(*given)) or floors[0])
    outputs = [tmp_path / name for name in ("loss.csv", "loss.svg", "report.html")]
    options = zip(("--csv", "--out", "--report"), map(str, outputs), strict=True)
    line = ["log", str(file), "--scheduler", "fm-ot", "--base", "eps", "--data", str(data)]
    assert main([*line, *(word for option in options for word in option)]) == 0
    assert all(output.stat().st_size for output in outputs)
    expected = floor(points, dv.read_log(file, scheduler="fm-ot", base="eps").middle)
    np.testing.assert_array_equal(floors[0].lower, expected.lower)
    np.testing.assert_array_equal(floors[0].upper, expected.upper)
