"""The command line says what it found, or what is wrong."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import diffviz as dv
from diffviz import __main__ as command
from diffviz.__main__ import main


def test_list_names_every_objective(capsys):
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert all(f"{name} " in out for name in dv.catalogue) and len(out.splitlines()) == 1 + len(
        dv.catalogue
    )


def test_list_of_one_family(capsys):
    assert main(["list", "--family", "sigmoid"]) == 0
    family = [name for name, o in dv.catalogue.items() if o.family == "sigmoid"]
    assert len(family) > 1
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == family


def test_show_prints_the_recipe_and_the_curve(capsys):
    assert main(["show", "edm"]) == 0
    out = capsys.readouterr().out
    assert (
        "2206.00364" in out
        and "consistency-models-karras" in out
        and "peak at -3.308" in out
        and "31.2% of the loss" in out
    )


@pytest.mark.slow
def test_figures_are_written_by_name(tmp_path, capsys):
    assert main(["figures", "sd3-vs-edm", "--out", str(tmp_path), "--format", "png"]) == 0
    assert (tmp_path / "sd3-vs-edm.png").exists() and "sd3-vs-edm.png" in capsys.readouterr().out


def test_figures_can_be_listed(capsys):
    assert main(["figures", "--list"]) == 0
    assert "loss-density" in capsys.readouterr().out


def test_plot_writes_the_named_curves(tmp_path, capsys):
    assert main(["plot", "sd3", "edm", "--base", "x", "--out", str(tmp_path / "f.svg")]) == 0
    assert "<svg" in (tmp_path / "f.svg").read_text()


def test_notebooks_are_copied_into_a_new_folder_with_their_pictures(tmp_path, capsys):
    folder = tmp_path / "new" / "notebooks"
    assert main(["notebooks", str(folder)]) == 0
    source = Path(__file__).parents[1] / "notebooks"
    shipped = [*source.glob("*.ipynb"), *source.glob("*.png")]
    expected = {file.name: file.read_bytes() for file in shipped}
    assert "01_weightings.ipynb" in expected
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == expected
    assert f"jupyter lab {folder}" in capsys.readouterr().out


def test_a_tilde_before_the_folder_of_the_notebooks_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert main(["notebooks", "~/suite"]) == 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["home"]
    assert (tmp_path / "home" / "suite" / "01_weightings.ipynb").exists()


def test_notebooks_of_ones_own_are_not_overwritten_unless_forced(tmp_path, capsys):
    mine = tmp_path / "05_elbo.ipynb"
    mine.write_text("my solutions")
    assert main(["notebooks", str(tmp_path)]) == 2
    assert "05_elbo.ipynb" in (message := capsys.readouterr().err) and "--force" in message
    assert [file.name for file in tmp_path.iterdir()] == ["05_elbo.ipynb"]
    assert mine.read_text() == "my solutions"
    assert main(["notebooks", str(tmp_path), "--force"]) == 0
    assert mine.read_text() != "my solutions"


def test_notebooks_need_a_folder_and_not_a_file(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["notebooks", str(tmp_path / "file")]) == 2
    assert "is a file" in capsys.readouterr().err


def test_an_option_that_no_command_has_is_refused(capsys):
    for argv in (["list", "--colour"], ["figures", "--colour"]):
        with pytest.raises(SystemExit):
            main(argv)
        assert "unrecognized arguments: --colour" in capsys.readouterr().err


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"diffviz {dv.__version__}\n"


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["show", "sd33"], "'sd3'"),
        (["list", "--family", "flwo"], "'flow'"),
        (["figures", "weighting"], "'weightings'"),
        (["plot", "sd3", "--out", "x.gif"], ".svg, .pdf, .png"),
        (["probe", "diffviz.lab.losses"], "module:function"),
        (["probe", "diffviz.lab.losses:missing"], "module:function"),
        (["probe", "diffviz.lab.losses:ddpm", "--shape", "2x2"], "--shape"),
        (["probe", "no_such_module:loss"], "no_such_module"),
    ],
)
def test_wrong_input_is_a_sentence_not_a_traceback(argv, says, capsys):
    assert main(argv) == 2
    assert says in capsys.readouterr().err


def test_a_missing_module_is_said_with_the_place_that_was_searched(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["probe", "no_such_package.train:loss"]) == 2
    message = capsys.readouterr().err
    assert "no module 'no_such_package.train'" in message and str(tmp_path) in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def loss(:\n", "SyntaxError"),
        ("raise RuntimeError('no data')\n", "RuntimeError: no data"),
        ("import sys\nsys.exit(1)\n", "SystemExit: 1"),
    ],
)
def test_a_module_that_fails_when_it_is_imported_is_said(text, says, capsys, tmp_path, monkeypatch):
    name = f"train_failing_with_{says[:4].lower()}"
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    assert main(["probe", f"{name}:loss"]) == 2
    message = capsys.readouterr().err
    assert f"module '{name}' fails when it is imported, with {says}" in message
    assert "__main__" in message


def test_a_module_that_lacks_another_says_which(capsys, tmp_path, monkeypatch):
    (tmp_path / "train_needing_more.py").write_text("import no_such_dependency\n")
    monkeypatch.chdir(tmp_path)
    assert main(["probe", "train_needing_more:loss"]) == 2
    assert "no_such_dependency" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["show", "plot", "probe", "notebooks", "figures"])
def test_every_option_of_a_command_is_explained(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    starts = [i for i, line in enumerate(lines) if not line.startswith("   ")]
    for first in starts:
        words = lines[first].split("  ")
        is_alone = len([word for word in words if word]) == 1
        assert not is_alone or lines[first + 1].startswith("      "), lines[first]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["notebooks", ""], "the name of the folder is empty"),
        (
            ["probe", "diffviz.lab.losses:flow_matching", "--batch", "-1"],
            "--batch must be at least 1",
        ),
        (["probe", "diffviz.lab.losses:flow_matching", "--shape", "²"], "--shape must be sizes"),
        (["plot", "edm", "--out", "."], "cannot write '.'"),
        (
            ["probe", "diffviz.lab.losses:ddpm", "--shape", "100000000,1000000"],
            "--shape 100000000,1000000 with --batch 64 holds more numbers than the memory",
        ),
        (
            ["probe", "diffviz.lab.losses:ddpm", "--shape", "10000000000,10000000000"],
            "ask for a smaller shape or batch",
        ),
        (
            ["probe", "diffviz.lab.losses:ddpm", "--shape", "9" * 20],
            "--shape must be at most 2**53, got " + "9" * 20,
        ),
        (["probe", "diffviz.lab.losses:ddpm", "--shape", "3,0"], "--shape must be at least 1"),
    ],
)
def test_bad_arguments_are_refused_by_name(capsys, arguments, says):
    assert main(arguments) == 2
    assert says in capsys.readouterr().err


def test_figures_are_not_drawn_for_a_folder_that_is_a_file(tmp_path, capsys):
    file = tmp_path / "a file"
    file.touch()
    assert main(["figures", "--out", str(file)]) == 2
    assert f"{file} is a file; name a folder for the figures" in capsys.readouterr().err


def test_a_terminal_without_greek_letters_shows_their_codes_and_loses_nothing(monkeypatch):
    written = io.BytesIO()
    terminal = io.TextIOWrapper(written, encoding="ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", terminal)
    assert main(["show", "iddpm-cosine-as-coded"]) == 0
    terminal.flush()
    text = written.getvalue().decode("ascii")
    assert "\\u03bb" in text or "\\u03b1" in text
    assert text.startswith("name     iddpm-cosine-as-coded")


def test_json_stays_json_on_a_terminal_without_its_letters(monkeypatch):
    written = io.BytesIO()
    terminal = io.TextIOWrapper(written, encoding="ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", terminal)
    content = {"note": "σ² of λ, 𝜆"}
    print(command._json_for_stdout(content))
    assert json.loads(written.getvalue().decode("ascii")) == content


def test_a_measurement_is_written_in_utf_8_whatever_the_locale(tmp_path, monkeypatch):
    class Measured:
        kind, frame, scale, logsnr, exact, notes = "eps", "vp", 1.0, (), True, ("λ² > 0",)

        def table(self):
            return np.zeros((1, 2))

    write = Path.write_text
    asked = []
    monkeypatch.setattr(
        Path,
        "write_text",
        lambda self, *args, **more: asked.append(more["encoding"]) or write(self, *args, **more),
    )
    command._write_json(Measured(), str(tmp_path / "m.json"))
    assert json.loads((tmp_path / "m.json").read_bytes())["notes"] == ["λ² > 0"]
    assert asked == ["utf-8"]


def test_an_output_is_not_the_module_of_the_loss(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def loss(model, x): ...\n")
    for option in ("--json", "--csv"):
        assert main(["probe", "mine:loss", option, "mine.py"]) == 2
        assert f"{option} 'mine.py' is also the file of the loss" in capsys.readouterr().err
    assert "def loss" in (tmp_path / "mine.py").read_text()
