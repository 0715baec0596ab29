"""Results are found again where they are the same, and computed again where they are not."""

import doctest
import os
import pickle
import shutil
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from scipy import stats

import diffviz as dv
from diffviz.__main__ import main
from diffviz.compute import cache, sources

ROOT = Path(__file__).parents[2]


def fresh(function):
    """A cached function as another process finds it: it remembers nothing."""
    return cache.cached(function.__wrapped__)


def entries(folder):
    return sorted(folder.rglob("output.pkl"))


# --- found again ---------------------------------------------------------------------------------


def test_a_result_is_computed_once_and_found_in_memory_and_on_disk(package, folder):
    measured = package.load().measured
    first = measured(2)
    assert measured(2) is first and fresh(measured)(2) == first == 6.0
    assert package.computed() == 1 and cache.size().entries == len(entries(folder)) == 1


def test_equal_calls_are_one_key(package):
    measured = package.load().measured
    calls = [measured(2), measured(2, 1.0), measured(n=2), measured(np.int64(2), scale=1.0)]
    assert set(calls) == {6.0} and package.computed() == 1
    assert measured(2, 2.0) == 12.0 and measured(3) == 9.0 and package.computed() == 3


VALUES = {
    "array": (lambda: np.arange(4.0), lambda: np.arange(4.0) + 1e-12),
    "tensor": (lambda: torch.arange(4.0), lambda: torch.arange(4.0).nextafter(torch.ones(4))),
    "type of a tensor": (lambda: torch.zeros(2), lambda: torch.zeros(2, dtype=torch.float64)),
    "shape of a tensor": (lambda: torch.zeros(2, 3), lambda: torch.zeros(3, 2)),
    "list": (lambda: [1, [2.0, "x"]], lambda: [1, [2.0, "y"]]),
    "mapping": (lambda: {"a": 1}, lambda: {"a": 2}),
    "objective": (lambda: dv.objective("edm"), lambda: dv.objective("fm-ot")),
    "law": (lambda: stats.norm(0, 2), lambda: stats.norm(0, 2.001)),
    "toy": (lambda: dv.toy("ring8"), lambda: dv.toy("moons")),
    "mixture": (lambda: dv.mixture([[0.0]], 0.5), lambda: dv.mixture([[0.0]], 0.25)),
    "number and text": (lambda: 1, lambda: "1"),
    "whether and how often": (lambda: True, lambda: 1),
}


@pytest.mark.parametrize("kind", VALUES)
def test_arguments_are_compared_by_content(package, kind):
    one, other = VALUES[kind]
    content = package.load().content
    content(one())
    fresh(content)(one())
    assert package.computed() == 1
    content(other())
    assert package.computed() == 2


def test_a_used_objective_is_the_same_key(package):
    content, entry = package.load().content, dv.objective("sd3")
    content(entry)
    entry.draw(4, np.random.default_rng(0))
    entry.law.ppf(0.3)
    np.random.standard_normal(3)  # noqa: NPY002  (SciPy's laws refer to the global generator)
    fresh(content)(entry)
    assert package.computed() == 1


@pytest.mark.slow
def test_keys_are_the_same_in_every_process(package):
    for seed in ("1", "2"):
        os.environ["PYTHONHASHSEED"] = seed
        call = "[__import__('diffviz').objective(name) for name in ('edm', 'sd3-cosmap', 'sd3')]"
        package.run(f"content({call})")
    del os.environ["PYTHONHASHSEED"]
    assert package.computed() == 1


# --- computed again ------------------------------------------------------------------------------


def test_a_changed_formula_two_imports_away_shows_a_new_result(package):
    assert package.run("measured(2)") == "6.0"
    package.write("constants", "FACTOR = 4.0")
    assert package.run("measured(2)") == "8.0"
    package.write("constants", "FACTOR = 3.0")
    assert package.run("measured(2)") == "6.0" and package.computed() == 2


@pytest.mark.slow
def test_a_changed_formula_of_this_package_shows_a_new_result(tmp_path, folder):
    for name in ("diffviz", "data"):
        shutil.copytree(ROOT / name, tmp_path / "copy" / name)
    formula = tmp_path / "copy" / "diffviz" / "theory" / "weightings.py"
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def gain():
        code = "from diffviz.lab.experiments import policy; print(policy.gains('fm-ot')[0])"
        command = [sys.executable, "-B", "-c", code]
        run = subprocess.run(command, cwd=tmp_path / "copy", env=plain, capture_output=True)
        assert run.returncode == 0, run.stderr.decode()
        return float(run.stdout)

    assert gain() == gain() == pytest.approx(0.01, rel=1e-4)
    kept = len(entries(folder))
    text = formula.read_text()
    formula.write_text(
        f"{text}\n\n_plain = evaluate\n\n\n"
        "def evaluate(w, logsnr):\n    return _plain(w, logsnr) * np.exp(np.asarray(logsnr) / 4)\n"
    )
    os.utime(formula, (1e9, 1e9))
    assert gain() == pytest.approx(0.1, rel=1e-4)
    assert len(entries(folder)) == kept + 1
    formula.write_text(text)
    os.utime(formula, (1e9, 1e9))
    assert gain() == pytest.approx(0.01, rel=1e-4)
    assert len(entries(folder)) == kept + 1


def test_a_source_that_changed_under_a_process_is_done_without_the_disk(package, folder):
    measured = package.load().measured
    measured(2)
    os.utime(package.folder / "constants.py")
    assert fresh(measured)(2) == 6.0 and package.computed() == 2
    assert measured(3) == 9.0 and len(entries(folder)) == 1


def test_a_source_that_changes_while_a_result_is_computed_keeps_nothing(
    package, folder, monkeypatch
):
    def formula(n):
        os.utime(package.folder / "constants.py")
        return 3.0 * n

    monkeypatch.setattr(package.load(), "formula", formula)
    assert package.load().measured(2) == 6.0 and not entries(folder)


DAMAGES = {
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "one bit": lambda data: data[:-20] + bytes([data[-20] ^ 1]) + data[-19:],
    "text": lambda data: b"not a pickle at all",
    "foreign": lambda data: pickle.dumps({"result": 7}),
    "foreign of the same form": lambda data: pickle.dumps((("a", "b", "c"), "d", b"e")),
    "unknown class": lambda data: b"cno_such_module\nthing\n.",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_computed_again(package, folder, damage, capfd):
    measured = package.load().measured
    measured(2)
    (file,) = entries(folder)
    good = file.read_bytes()
    file.write_bytes(DAMAGES[damage](good))
    assert fresh(measured)(2) == 6.0 and package.computed() == 2
    assert file.read_bytes() == good
    assert fresh(measured)(2) == 6.0 and package.computed() == 2
    assert capfd.readouterr() == ("", "")


def test_every_flipped_bit_is_noticed(package, folder):
    measured = package.load().measured
    measured(2)
    (file,) = entries(folder)
    good = file.read_bytes()
    for place in range(0, len(good), 7):
        file.write_bytes(good[:place] + bytes([good[place] ^ 4]) + good[place + 1 :])
        assert fresh(measured)(2) == 6.0


def test_an_entry_of_another_call_is_not_taken(package, folder):
    measured = package.load().measured
    measured(2)
    (first,) = entries(folder)
    measured(3)
    (second,) = set(entries(folder)) - {first}
    shutil.copy(first, second)
    assert fresh(measured)(3) == 9.0


# --- no cache ------------------------------------------------------------------------------------


def test_the_cache_can_be_off(package, folder, monkeypatch, capsys):
    monkeypatch.setenv("DIFFVIZ_CACHE", "off")
    measured = package.load().measured
    assert measured(2) is measured(2)
    assert fresh(measured)(2) == 6.0 and package.computed() == 2
    assert cache.folder() is None and cache.size() == (0, 0) and not folder.exists()
    cache.clear()
    assert main(["cache"]) == 0 and capsys.readouterr().out == "off, by DIFFVIZ_CACHE\n"


def test_an_unwritable_folder_is_said_once_and_done_without(package, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DIFFVIZ_CACHE", str(tmp_path / "file" / "inside"))
    measured = package.load().measured
    with pytest.warns(UserWarning, match=r"results cannot be kept in .*inside.*DIFFVIZ_CACHE"):
        assert measured(2) == 6.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert measured(3) == 9.0


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are those of POSIX")
def test_a_full_disk_is_said_once_and_done_without(package, folder):
    package.write(
        "results",
        (package.folder / "results.py").read_text()
        + "\n\n@cached\ndef blob(n):\n    return 'x' * n\n\n\n"
        "import resource, warnings\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))\n"
        "warnings.simplefilter('default')\n",
    )
    process = package.start("[len(blob(10_000)), len(blob(20_000)), measured(2), measured(3)]")
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert output.strip() == "[10000, 20000, 6.0, 9.0]"
    assert errors.count("results cannot be kept") == 1 and "File too large" in errors
    assert not list(folder.rglob("output.pkl*"))


def test_code_of_a_notebook_is_computed_and_not_kept(package, folder):
    content = package.load().content
    function = type(main)(main.__code__, {"__name__": "__main__"}, "mine")
    function.__module__ = "__main__"
    content({"multiplier": function})
    content({"multiplier": function})
    assert package.computed() == 2 and not entries(folder)


def test_a_function_without_a_name_is_an_argument_that_is_not_kept(package, folder):
    content = package.load().content
    local = type(main)(main.__code__, {}, "f")
    local.__module__, local.__qualname__ = "diffviz.theory.laws", "law.<locals>.f"
    content(local)
    content(local)
    assert package.computed() == 2 and not entries(folder)


def test_a_function_of_no_module_is_an_argument_that_is_not_kept(package, folder):
    content = package.load().content
    evaluated = eval("lambda logsnr: logsnr", {})
    assert evaluated.__module__ is None
    content(evaluated)
    content(evaluated)
    assert package.computed() == 2
    assert not entries(folder)


def test_a_function_inside_a_function_is_kept_in_memory_only(folder):
    @cache.cached
    def inner(n):
        return [n]

    assert inner(1) is inner(1) and not entries(folder)


def test_what_does_not_pickle_is_refused_at_once(package):
    results = package.load()
    with pytest.raises(TypeError, match=r"the result of .*unpicklable cannot be kept"):
        results.unpicklable()
    with pytest.raises(TypeError, match=r"the arguments of content cannot be told apart"):
        results.content(value=(k for k in range(3)))


def test_an_error_is_raised_and_not_kept(package, folder):
    measured = package.load().measured
    for _ in range(2):
        with pytest.raises(TypeError, match="can't multiply"):
            measured("text", scale=0.5)
    assert package.computed() == 2 and not entries(folder)
    assert not list((folder / "locks").iterdir())


def test_a_folder_for_reading_only_is_read(package, monkeypatch):
    measured = package.load().measured
    measured(2)

    def refuse(*args):
        raise PermissionError("read-only")

    monkeypatch.setattr(cache.os, "utime", refuse)
    assert fresh(measured)(2) == 6.0 and package.computed() == 1


# --- several processes ---------------------------------------------------------------------------


@pytest.mark.slow
def test_processes_that_need_one_result_compute_it_once(package):
    processes = [package.start("measured(2)") for _ in range(4)]
    answers = [process.communicate() for process in processes]
    assert answers == [("6.0\n", "")] * 4 and package.computed() == 1


def test_whoever_comes_while_a_result_is_computed_waits_for_it(package, monkeypatch):
    measured = package.load().measured
    answers = []
    other = threading.Thread(target=lambda: answers.append(fresh(measured)(2)))

    def formula(n):
        if not other.ident:
            other.start()
            other.join(timeout=1)  # without a lock it computes, and ends, at once
            assert other.is_alive() and not answers
        return 3.0 * n

    monkeypatch.setattr(package.load(), "formula", formula)
    assert measured(2) == 6.0
    other.join()
    assert answers == [6.0] and package.computed() == 1


def test_a_function_that_calls_another_with_its_arguments_does_not_wait_for_itself(package):
    package.write(
        "nested",
        """
        from diffviz.compute.cache import cached


        @cached
        def inner(n):
            return n + 1


        @cached
        def outer(n):
            return 2 * inner(n)
        """,
    )
    assert package.load("nested").outer(3) == 8
    assert cache.size().entries == 2


@pytest.mark.slow
def test_a_process_that_dies_while_it_computes_holds_nobody_up(package):
    package.write("formulas", "def formula(n):\n    import os\n    os._exit(3)\n")
    process = package.start("measured(2)")
    process.communicate()
    assert process.returncode == 3
    text = "def formula(n):\n    from {name}.constants import FACTOR\n    return FACTOR * n\n"
    package.write("formulas", text.format(name=package.name))
    assert package.run("measured(2)") == "6.0"


def test_a_folder_that_is_cleared_meanwhile_is_made_again(package, folder):
    measured = package.load().measured
    measured(2)
    shutil.rmtree(folder)
    assert fresh(measured)(2) == 6.0 and len(entries(folder)) == 1


# --- size ----------------------------------------------------------------------------------------


def test_the_results_that_were_not_read_for_long_go_first(package, folder):
    content = package.load().content
    for n in range(4):
        content("x" * 10 + str(n))
    results = {pickle.loads(joblib.load(file)[2]): file for file in entries(folder)}
    files = [results[repr("x" * 10 + str(n))] for n in range(4)]
    for n, file in enumerate(files):
        os.utime(file, (1e9 + n, 1e9 + n))
    fresh(content)("x" * 10 + "0")  # read, so that the oldest is now the one of 1
    each = cache.size().bytes // 4
    cache.trim(3 * each)
    assert not files[1].exists() and files[0].exists() and files[3].exists()


def test_the_size_is_looked_at_when_results_are_written(package, folder, monkeypatch):
    looked = []
    monkeypatch.setattr(cache, "trim", lambda: looked.append(1))
    measured = package.load().measured
    for n in range(2 * cache.TRIMMED_EVERY):
        measured(n)
    assert len(looked) == 2


def test_the_command_prints_and_clears(package, folder, capsys):
    package.load().measured(2)
    assert main(["cache"]) == 0
    assert capsys.readouterr().out == f"{folder}: 0.0 MB, 1 results\n"
    (folder / "a file of mine").write_text("")
    assert main(["cache", "clear"]) == 0
    assert capsys.readouterr().out.endswith(", 0 results\n")
    assert not list(folder.rglob("*.pkl")) and (folder / "a file of mine").exists()


def test_files_of_others_in_the_folder_do_not_count(package, folder):
    package.load().measured(2)
    before = cache.size()
    (folder / "a file of mine").write_text("x" * 1000)
    assert cache.size() == before and before.entries == 1


def test_the_command_says_that_the_folder_is_a_file(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DIFFVIZ_CACHE", str(tmp_path / "file"))
    assert main(["cache", "clear"]) == 2
    assert "which is a file; name a folder, or off" in capsys.readouterr().err


def test_the_command_says_what_it_could_not_remove(package, folder, monkeypatch, capsys):
    package.load().measured(2)
    monkeypatch.setattr(cache.shutil, "rmtree", lambda *a, **k: None)
    assert main(["cache", "clear"]) == 2
    assert f"1 results are still in {folder}" in capsys.readouterr().err


def test_the_home_of_nobody_is_refused_by_name(monkeypatch, capsys):
    monkeypatch.setenv("DIFFVIZ_CACHE", "~no-such-user/cache")
    assert main(["cache"]) == 2
    assert "DIFFVIZ_CACHE is '~no-such-user/cache'" in capsys.readouterr().err


def test_the_default_folder_is_that_of_the_user(monkeypatch, tmp_path):
    monkeypatch.delenv("DIFFVIZ_CACHE")
    monkeypatch.setattr(cache.platformdirs, "user_cache_dir", lambda *a, **k: str(tmp_path))
    assert cache.folder() == tmp_path
    monkeypatch.setenv("DIFFVIZ_CACHE", "mine")
    assert cache.folder() == Path.cwd() / "mine"


def test_a_limit_is_a_positive_whole_number(folder):
    with pytest.raises(ValueError, match="limit"):
        cache.trim(0)
    with pytest.raises(TypeError, match="limit"):
        cache.trim(1.5)


@pytest.mark.parametrize("module", [cache, sources])
def test_the_examples_run(module, folder):
    assert doctest.testmod(module).failed == 0


def test_a_function_that_exec_made_is_kept_in_memory(folder):
    names = {"cached": cache.cached, "computed": []}
    exec("@cached\ndef square(n):\n    computed.append(n)\n    return n**2", names)
    assert [names["square"](3), names["square"](n=3)] == [9, 9]
    assert names["computed"] == [3] and cache.size().entries == 0
