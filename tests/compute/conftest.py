"""A small package whose results are cached, in this process and in others."""

import importlib
import os
import subprocess
import sys
import textwrap
from itertools import count
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NUMBERS = count()
RESULTS = """
    from pathlib import Path

    from diffviz.compute.cache import cached
    from {name}.formulas import formula

    LOG = Path(__file__).with_name("computed.txt")


    @cached
    def measured(n, scale=1.0):
        with LOG.open("a") as log:
            log.write("once ")
        return scale * formula(n)


    @cached
    def content(value):
        with LOG.open("a") as log:
            log.write("once ")
        return repr(value)[:20]


    @cached
    def unpicklable():
        return lambda: 0
"""
FORMULAS = """
    def formula(n):
        from {name}.constants import FACTOR

        return FACTOR * n
"""


class Package:
    """A package of three modules: results, which imports formulas, which imports constants."""

    def __init__(self, folder, name):
        self.folder, self.name = folder / name, name
        self.folder.mkdir()
        self.write("__init__", "")
        self.write("constants", "FACTOR = 3.0")
        self.write("formulas", FORMULAS.format(name=name))
        self.write("results", RESULTS.format(name=name))

    def write(self, module, text):
        """Write a module, as if it had been there long before this process."""
        file = self.folder / f"{module}.py"
        file.write_text(textwrap.dedent(text))
        os.utime(file, (1e9, 1e9))

    def load(self, module="results"):
        """A module, in this process."""
        return importlib.import_module(f"{self.name}.{module}")

    def computed(self):
        """How often a function computed, in any process."""
        file = self.folder / "computed.txt"
        return len(file.read_text().split()) if file.exists() else 0

    def start(self, expression):
        """Start a process that prints an expression of the module ``results``."""
        code = f"from {self.name}.results import *\nprint({expression})"
        path = f"{self.folder.parent}{os.pathsep}{ROOT}"
        return subprocess.Popen(
            [sys.executable, "-B", "-W", "error", "-c", code],
            env=os.environ | {"PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, expression):
        """What such a process prints."""
        process = self.start(expression)
        output, errors = process.communicate()
        assert process.returncode == 0, errors
        return output.strip()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder of the cache."""
    monkeypatch.setenv("DIFFVIZ_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def package(tmp_path, monkeypatch, folder):
    """A package that no test has imported yet."""
    monkeypatch.syspath_prepend(tmp_path)
    made = Package(tmp_path, f"pretend{next(NUMBERS)}")
    yield made
    for name in [name for name in sys.modules if name.partition(".")[0] == made.name]:
        del sys.modules[name]
