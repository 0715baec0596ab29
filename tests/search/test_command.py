"""The command line: its options are the arguments of ``search``; it stops, goes on and refuses."""

import inspect

import pytest

from diffviz.__main__ import main
from diffviz.search import command, experiment


def test_each_argument_is_an_option_with_the_same_default(monkeypatch, capsys):
    calls = []
    monkeypatch.setattr(command, "search", lambda **options: calls.append(options))
    command.main(["--batch", "128", "--learning-rate", "0.02", "--points", "9"])
    command.main([])
    capsys.readouterr()
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(experiment.search).parameters.items()
    }
    del defaults["executor"]  # a Python object; --jobs and --cluster make one
    defaults |= {"out": "search.csv", "tell": command._tell}
    changed = {"batch": 128, "learning_rate": 0.02, "points": 9}
    assert calls == [defaults | changed, defaults]


@pytest.mark.parametrize("argv", [["--rate", "0.02"], ["--points", "many"], ["--steps", "1.5"]])
def test_an_option_that_is_unknown_or_no_number_ends_with_status_2(argv, capsys):
    with pytest.raises(SystemExit) as exit_:
        command.main(argv)
    assert exit_.value.code == 2
    assert argv[0] in capsys.readouterr().err


def test_ctrl_c_loses_the_batch_under_way_and_no_more(untrained, tmp_path, capsys):
    file = tmp_path / "s.csv"
    argv = ["--points", "7", "--seeds", "2", "--steps", "10", "--out", str(file)]
    untrained.interrupt_at = 1
    with pytest.raises(SystemExit, match="the same command goes on"):
        command.main(argv)
    assert len(file.read_text().splitlines()) == 2 + 7
    untrained.interrupt_at = None
    untrained.batches.clear()
    command.main(argv)
    assert "optimum" in capsys.readouterr().out
    seeds = [seed for _, seed in untrained.batches]
    assert seeds == [1, experiment.FRESH, experiment.FRESH + 1]


def test_the_command_line_searches_and_goes_on(tmp_path, capsys):
    argv = ["search", "--family", "sigmoid", "--points", "4", "--seeds", "2", "--steps", "8"]
    argv += ["--out", str(tmp_path / "s.csv")]
    assert main(argv) == 0
    first = capsys.readouterr()
    assert "likelihood on ring8" in first.out
    assert first.err.count("trained") == 4
    assert main(argv) == 0
    second = capsys.readouterr()
    assert second.out == first.out
    assert not second.err
    assert main([*argv, "--goal", "beauty"]) == 2
    assert "unknown goal 'beauty'" in capsys.readouterr().err
    assert main([*argv, "--steps", "9"]) == 2
    assert "another search: steps is 8 there and 9 here" in capsys.readouterr().err
