"""What the scripts of ``benchmarks`` know of the project is still so."""

import json
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]


def script(name):
    """The names of a script, which does nothing before it is run."""
    folder = str(ROOT / "benchmarks")
    sys.path.insert(0, folder)  # where scripts find each other
    try:
        return runpy.run_path(f"{folder}/{name}.py")
    finally:
        sys.path.remove(folder)


def test_each_line_whose_mutant_is_called_equivalent_stands_in_its_file():
    gone = [
        (file, line)
        for file, line, _ in script("mutants")["EQUIVALENT"]
        if line not in map(str.strip, (ROOT / file).read_text(encoding="utf-8").splitlines())
    ]
    assert not gone


@pytest.fixture
def environments():
    return script("environments")


def test_the_oldest_releases_are_those_that_the_bounds_name(environments):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lowest = environments["lowest_versions"](list(project["optional-dependencies"]))
    assert {f"numpy>={lowest['numpy']}", f"scipy>={lowest['scipy']}"} <= {*project["dependencies"]}
    packages = environments["requirements"]("lowest", ["torch"], ["scipy"])
    assert f"numpy=={lowest['numpy']}" in packages
    assert not any(one.startswith("scipy=") for one in packages)


def test_an_environment_gets_what_is_asked_for_and_what_borrowed_packages_need(
    environments, tmp_path, monkeypatch
):
    commands = []

    def noted(command, **settings):
        commands.append([str(part) for part in command])
        return SimpleNamespace(returncode=0, stdout="3 passed in 1 s\n", stderr="")

    monkeypatch.setattr(subprocess, "run", noted)
    site = tmp_path / "lib" / f"python{environments['HERE']}" / "site-packages"
    site.mkdir(parents=True)
    outcome = environments["pytest_outcome"](tmp_path, ["numpy==2.0"], ["joblib"], ["tests/x"])
    assert outcome == (True, "3 passed in 1 s")
    assert (site / "joblib").is_symlink()
    _, install, tests = commands
    needed = environments["requirements_of"]("joblib")
    options = ["install", "--quiet", "--no-compile"]
    assert install[install.index("install") :] == [*options, "numpy==2.0", *needed]
    assert tests[0] == str(tmp_path / "bin" / "python") and tests[-1] == "tests/x"


def test_releases_that_do_not_fit_together_are_named(environments, tmp_path, monkeypatch):
    said = "WARNING: slow\nERROR: Cannot install a==1 and b==2\nERROR: ResolutionImpossible\n"

    def refused(command, **settings):
        return SimpleNamespace(returncode=int("install" in command), stdout="", stderr=said)

    monkeypatch.setattr(subprocess, "run", refused)
    expected = (False, "ERROR: Cannot install a==1 and b==2")
    assert environments["pytest_outcome"](tmp_path, ["a==1", "b==2"], [], ["tests/x"]) == expected
    assert environments["resolution"]("3.12", ["a==1", "b==2"]) == expected


def test_what_a_command_said_last_fits_a_table(environments):
    last_line = environments["last_line"]
    assert last_line("1 passed\n2 errors in 3 s\n\n") == "2 errors in 3 s"
    assert last_line("") == "nothing was said"
    assert len(last_line("a" * 1000)) == 200


# --- mutants -------------------------------------------------------------------------------------

SOURCE = """
CAP = 3


def capped(x, low=0):
    if x > CAP:
        return CAP
    return max(
        x,
        low,
    )


def other():
    return 1
"""
SEEN = {6: {"above"}, 7: {"above"}, 8: {"below"}, 9: {"below"}, 15: {"other"}}


@pytest.fixture
def executed():
    return script("executed")


@pytest.fixture
def package(tmp_path):
    """A package of one module."""
    (tmp_path / "diffviz").mkdir()
    (tmp_path / "diffviz" / "module.py").write_text(SOURCE)
    return tmp_path


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (6, {"above"}),
        (7, {"above"}),
        (10, {"below"}),  # within a statement of several lines
        (15, {"other"}),
        (5, {"above", "below"}),  # a default: who calls the function
        (2, {"above", "below"}),  # a constant: who uses it
    ],
)
def test_the_tests_of_a_line_are_those_that_execute_it_or_use_its_name(
    executed, package, line, expected
):
    seen = executed["Executed"]({}, {"diffviz/module.py": SEEN})
    assert executed["tests_of_line"](seen, package, "diffviz/module.py", line) == expected


def test_what_a_test_executes_is_recorded_and_kept(executed, package, monkeypatch):
    pytest.importorskip("coverage")
    file = package / "diffviz" / "module.py"
    module = {}
    exec(compile(SOURCE, str(file), "exec"), module)

    def tests(plugins):
        (recorder,) = plugins
        for name, argument in (("above", 4), ("below", 1)):
            recorder.pytest_runtest_logstart(name)
            module["capped"](argument)
            recorder.pytest_runtest_logfinish(name)
        return 0

    seen = executed["recorded"](package, tests)
    assert seen["lines"]["above"] == {"diffviz/module.py": [6, 7]}
    assert {6, 8, 9, 10} >= set(seen["lines"]["below"]["diffviz/module.py"]) >= {6, 9}
    kept, test = package / "kept", package / "test_module.py"
    test.write_text("")
    executed["keep"](test.name, package, kept, seen)
    assert executed["read"](package, kept).by("diffviz/module.py", [7]) == {"above"}
    assert executed["is_known"](test.name, package, kept)
    test.write_text("assert True")
    assert not executed["is_known"](test.name, package, kept)


def test_lines_that_have_moved_since_are_followed(executed, package):
    seen = {"seconds": {"a": 1.0}, "lines": {"a": {"diffviz/module.py": [2, 7, 15]}}}
    test, file = package / "test_module.py", package / "diffviz" / "module.py"
    test.write_text("")
    executed["keep"](test.name, package, package / "kept", seen)
    file.write_text(SOURCE.replace("CAP = 3", "LOW = 0\nCAP = 4").replace("return 1", "return 2"))
    now = executed["read"](package, package / "kept").tests["diffviz/module.py"]
    assert now == {8: frozenset("a")}  # the other two are other lines now


def test_a_mutant_changes_one_expression_and_types_and_messages_stay():
    mutants = script("mutants")
    file = ROOT / "diffviz" / "theory" / "prior.py"
    text = file.read_bytes()
    found = list(mutants["mutants_of"](file))
    assert len(found) > 20
    for mutant in found:
        changed = mutants["applied"](mutant, text)
        assert changed != text
        compile(changed, str(file), "exec")


def test_mutants_keep_name_and_order_when_lines_move(tmp_path, monkeypatch):
    mutants = script("mutants")
    monkeypatch.setitem(mutants["mutants_of"].__globals__, "ROOT", tmp_path)
    (tmp_path / "diffviz" / "room").mkdir(parents=True)
    file = tmp_path / "diffviz" / "room" / "module.py"
    options = SimpleNamespace(rooms=["room"], seed=0, sample=4)
    file.write_text(SOURCE)
    first = mutants["sampled"](options)
    file.write_text("FIRST = 1\n" + SOURCE.replace("return 1", "return 1 + 0"))
    names = [
        one.key for one in mutants["sampled"](SimpleNamespace(**vars(options) | {"sample": 99}))
    ]
    assert len(first) == 4 and len({*names}) == len(names)
    kept = [one.key for one in first if "return 1" not in one.key]
    assert [name for name in names if name in kept] == kept
    other = mutants["sampled"](SimpleNamespace(**vars(options) | {"seed": 1}))
    assert [one.key for one in other] != names[:4]


def test_the_tests_of_a_batch_come_in_its_order_and_once():
    batch = script("mutants")["Batch"]
    items = [SimpleNamespace(nodeid=name) for name in "abcd"]
    left_out = []
    hook = SimpleNamespace(pytest_deselected=lambda items: left_out.extend(items))
    config = SimpleNamespace(hook=hook)
    chosen = list(items)
    batch(("x",), only=("c", "a")).pytest_collection_modifyitems(config, chosen)
    assert [one.nodeid for one in chosen] == ["c", "a"]
    assert [one.nodeid for one in left_out] == ["b", "d"]
    batch(("x",), without=frozenset("ac")).pytest_collection_modifyitems(config, items)
    assert [one.nodeid for one in items] == ["b", "d"]


# --- the audit -----------------------------------------------------------------------------------

WEAK = {"id": "PYSEC-1", "fix_versions": ["2.1"]}


def printed(*packages):
    return json.dumps({"dependencies": list(packages), "fixes": []})


def test_an_audit_tells_weaknesses_from_silence():
    audit = script("audit")
    understood, told = audit["understood"], audit["told"]
    good = {"name": "a", "version": "1", "vulns": []}
    bad = {"name": "b", "version": "2.0", "vulns": [WEAK]}
    skipped = {"name": "c", "skip_reason": "not found"}
    found = understood(printed(good, bad, skipped), "")
    assert found == (2, ("b 2.0: PYSEC-1, mended in 2.1",), ("c",), "")
    assert "1 weaknesses are known" in told("lock", "pypi", found)
    assert understood(printed(good), "").weak == ()
    silent = understood("", "WARNING: slow\nConnectionError: no route")
    assert silent.error == "ConnectionError: no route"
    assert "did not answer" in told("lock", "osv", silent)
    assert understood(printed(skipped), "").error == "it knows none of 1 packages"
    assert understood("", "").error
