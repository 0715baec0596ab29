"""A fingerprint changes with every source that a result depends on, and with no other."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from diffviz import extras
from diffviz.compute import sources

ROOT = Path(__file__).parents[2]
CACHES = (sources.find, sources.imports, sources.dependencies, sources.fingerprint)


def fingerprint(name):
    """The fingerprint that a fresh process computes."""
    for function in (*CACHES, sources.surroundings, sources._public):
        function.cache_clear()
    return sources.fingerprint(name)


def names(module):
    return {one.name for one in sources.dependencies(module)}


def test_a_fingerprint_follows_imports_inside_functions_and_through_other_modules(package):
    package.load()
    assert names(f"{package.name}.results") >= {
        f"{package.name}{end}" for end in ("", ".results", ".formulas", ".constants")
    }
    assert "diffviz.compute.cache" in names(f"{package.name}.results")
    assert "numpy" not in {name.partition(".")[0] for name in names(f"{package.name}.results")}


@pytest.mark.parametrize("module", ["results", "formulas", "constants", "__init__"])
def test_a_change_in_any_module_on_the_way_changes_the_fingerprint(package, module):
    package.load()
    before = fingerprint(f"{package.name}.results")
    assert fingerprint(f"{package.name}.results") == before
    package.write(module, (package.folder / f"{module}.py").read_text() + "\nCHANGED = 1\n")
    assert fingerprint(f"{package.name}.results") != before


def test_a_module_that_is_not_imported_does_not_count(package):
    package.load()
    before = fingerprint(f"{package.name}.results")
    package.write("other", "VALUE = 1")
    assert fingerprint(f"{package.name}.results") == before


IMPORTS = {
    "import {p}.constants": "constants",
    "import {p}.constants as c": "constants",
    "from {p} import constants": "constants",
    "from . import constants": "constants",
    "from .constants import FACTOR": "constants",
    "from {p}.constants import FACTOR as f": "constants",
    "from {p} import lazy\nlazy.f": "lazy.inner",
    "from {p}.lazy import f": "lazy.inner",
    "from {p} import lazy\nfunctions = [lazy]": "lazy.outer",
    "import {p}.lazy as lazy\nprint(lazy.f, lazy)": "lazy.outer",
    "from {p}.lazy import *": "lazy.outer",
    "def f():\n    if 1:\n        from .lazy import inner": "lazy.inner",
}


@pytest.mark.parametrize("statement", IMPORTS)
def test_every_form_of_an_import_is_followed(package, statement):
    (package.folder / "lazy").mkdir()
    package.write("lazy/__init__", "")
    package.write("lazy/inner", "def f(): ...")
    package.write("lazy/outer", "def g(): ...")
    (package.folder / "lazy" / "__init__.pyi").write_text(
        "from .inner import f\nfrom .outer import g\n"
    )
    package.write("reader", statement.format(p=package.name))
    package.load("constants")
    found = names(f"{package.name}.reader")
    assert f"{package.name}.{IMPORTS[statement]}" in found
    if "lazy.f" in statement and "print" not in statement:
        assert f"{package.name}.lazy.outer" not in found


def test_modules_that_import_one_another_end(package):
    package.write("constants", f"import {package.name}.formulas\nFACTOR = 3.0")
    package.load("constants")
    assert f"{package.name}.formulas" in names(f"{package.name}.constants")


EXPERIMENTS = {
    "sampling": "sampling.settled('ring8', 'VP cosine', steps=4)",
    "tracking": "tracking.tracked_training(2)",
    "policy": "policy.drawn('fm-ot')",
    "perception": "perception.slopes(perception.heard().projection)",
}


# One process for all, which forgets the package in between, and keeps the libraries.
LOADED = """
import json, sys

loaded = {}
for room, call in json.loads(sys.argv[1]).items():
    exec(f"from diffviz.lab.experiments import {room}; {call}", {})
    loaded[room] = [name for name in sys.modules if name.partition(".")[0] == "diffviz"]
    for name in loaded[room]:
        del sys.modules[name]
print(json.dumps(loaded))
"""


@pytest.fixture(scope="module")
def loaded():
    """Names of the modules of the package that each experiment loads."""
    environment = os.environ | {"DIFFVIZ_CACHE": "off", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", LOADED, json.dumps(EXPERIMENTS)]
    run = subprocess.run(command, env=environment, capture_output=True)
    assert run.returncode == 0, run.stderr.decode()
    return json.loads(run.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("room", EXPERIMENTS)
def test_whatever_an_experiment_loads_is_among_what_its_source_imports(loaded, room):
    own = f"diffviz.lab.experiments.{room}"
    assert own in loaded[room]
    assert set(loaded[room]) - names(own) == set()


def test_the_versions_of_libraries_and_the_shipped_data_count(monkeypatch, tmp_path):
    before = fingerprint("diffviz.theory.laws")
    with monkeypatch.context() as patch:
        patch.setattr(sources.metadata, "version", "{}-of-another-year".format)
        assert fingerprint("diffviz.theory.laws") != before
    with monkeypatch.context() as patch:
        (tmp_path / "digits.npz").write_bytes(b"other digits")
        patch.setattr(sources, "DATA_FOLDERS", (tmp_path,))
        assert fingerprint("diffviz.theory.laws") != before
    assert fingerprint("diffviz.theory.laws") == before


def test_the_data_that_ships_is_found():
    files = [file for folder in sources.DATA_FOLDERS for file in folder.glob("*.npz")]
    assert {file.stem for file in files} >= {"digits", "fashion", "photos"}


def test_a_source_that_is_newer_than_the_process_is_noticed(package):
    package.load()
    name = f"{package.name}.results"
    assert not sources.changed(name)
    os.utime(package.folder / "constants.py", (extras.STARTED + 1, extras.STARTED + 1))
    assert sources.changed(name)
    (package.folder / "constants.py").unlink()
    assert sources.changed(name)


def test_what_has_no_source_is_refused():
    with pytest.raises(ValueError, match=r"no source of 'math' is found"):
        sources.fingerprint("math")
    with pytest.raises(TypeError, match="module must be named by text, got 3"):
        sources.fingerprint(3)
