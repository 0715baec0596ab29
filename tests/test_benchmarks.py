"""What the scripts of ``benchmarks`` know of the project is still so."""

import runpy
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def script(name):
    """The names of a script, which does nothing before it is run."""
    return runpy.run_path(str(ROOT / "benchmarks" / f"{name}.py"))


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


def test_what_a_command_said_last_fits_a_table(environments):
    last_line = environments["last_line"]
    assert last_line("1 passed\n2 errors in 3 s\n\n") == "2 errors in 3 s"
    assert last_line("") == "nothing was said"
    assert len(last_line("a" * 1000)) == 200
