"""The wheel, installed outside a clone: commands, explorers, and messages without torch."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
from types import SimpleNamespace

import pytest

import diffviz as dv
from diffviz.lab import explorers

pytestmark = pytest.mark.slow

NEED_TORCH = {
    "AdaptiveObjective",
    "Diverged",
    "LossByLogSNR",
    "Run",
    "dataset",
    "elbo",
    "fit",
    "floor",
    "log_likelihood",
    "mixture",
    "models",
    "probe",
    "probe_arrays",
    "probe_masked",
    "read_log",
    "sample",
    "solvers",
    "toy",
}
EXPLORERS = [name for name in dir(explorers) if re.search(r"\w(Explorer|Dashboard)$", name)]

HIDE = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchdiffeq", "safetensors", "ipywidgets"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hidden())
"""

LOSS = """
import torch

def loss(model, x):
    t = torch.rand(len(x), 1)
    eps = torch.randn_like(x)
    return ((model((1 - t) * x + t * eps, t.flatten()) - (eps - x)) ** 2).mean()
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Run Python with the wheel installed, in an empty folder where the clone cannot be imported.

    What the package depends on comes from the environment of the tests.
    """
    home = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", home]
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    subprocess.run(build, cwd=root, check=True, capture_output=True)
    venv.create(home / "env", with_pip=False, symlinks=os.name != "nt")
    python = home / "env" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wheel = next(home.glob("*.whl"))
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q"]
    subprocess.run([*pip, "--no-deps", "--no-index", wheel], check=True)
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    # a folder named in a .pth file is searched, and .pth files in it, as of a clone, are not read
    with open(os.path.join(site.stdout.strip(), "dependencies.pth"), "w") as file:
        file.write(sysconfig.get_path("purelib") + "\n")
    hidden = home / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(HIDE)
    folder = home / "empty"
    folder.mkdir()

    def run(*arguments, base_only=False):
        """Run Python with these arguments; without the extras if ``base_only``."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        own["PYTHONUTF8"] = "1"
        if base_only:
            own["PYTHONPATH"] = str(hidden)
            own["DIFFVIZ_CACHE"] = "off"  # a result on disk may need nothing but NumPy to be drawn
        command = [python, "-W", "error", *arguments]
        return subprocess.run(
            command, cwd=folder, env=own, capture_output=True, text=True, timeout=300
        )

    return SimpleNamespace(run=run, folder=folder, home=home)


def printed(result):
    """What a process printed; a failed one fails the test with its error."""
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_package_comes_from_the_wheel(installed):
    where = printed(installed.run("-c", "import diffviz; print(diffviz.__file__)"))
    assert where.startswith(str(installed.home / "env"))


COMMANDS = """
import sys
from diffviz.__main__ import main

for line in sys.argv[1:]:
    try:
        status = main(line.split())
    except SystemExit as end:  # of --version
        status = end.code
    assert status == 0, line
    print("<end>")
"""


@pytest.mark.parametrize("base_only", [False, True], ids=["lab", "base"])
def test_commands_of_the_base_work(installed, base_only):
    lines = (
        "--version",
        "list",
        "show edm",
        "plot sd3 edm --out curves.svg",
        "figures --list",
        "figures weightings --out pictures --format png",
    )
    output = printed(installed.run("-c", COMMANDS, *lines, base_only=base_only))
    version, entries, facts, curves, figures, pictures, _ = output.split("<end>\n")
    assert version == f"diffviz {dv.__version__}\n"
    assert len(entries.splitlines()) == len(dv.catalogue) + 1
    assert "2206.00364" in facts
    assert curves == "curves.svg\n"
    assert "<svg" in (installed.folder / "curves.svg").read_text()
    assert "weightings" in figures
    assert "weightings.png" in pictures


def test_notebooks_are_copied_out_of_the_wheel(installed):
    out = printed(installed.run("-m", "diffviz", "notebooks", "course"))
    names = {file.name for file in (installed.folder / "course").iterdir()}
    assert {"01_weightings.ipynb", "09_perception.ipynb", "digits.png"} <= names
    assert "build.py" not in names
    assert "jupyter lab course" in out and "pip install" not in out
    without = printed(installed.run("-m", "diffviz", "notebooks", "other", base_only=True))
    assert "torch" in without and "pip install 'diffviz[lab]'" in without


def test_the_data_of_the_wheel_are_read(installed):
    code = (
        "from diffviz.data import files; import diffviz as dv, torch;"
        "dino = dv.dataset(files.FOLDER / 'dino.csv');"
        "print(len(files.load('digits')['images']), dino.sample(3, torch.Generator()).shape[1])"
    )
    assert printed(installed.run("-c", code)) == "1797 2\n"


FIGURE = "ddpm-is-ddim"  # one that needs torch, and little of it
SEARCH = "search --points 9 --seeds 3 --steps 10 --out search.csv"
WITH_TORCH = {
    "probe": "probe mine:loss --out mine.png",
    "search": SEARCH,
    "search again": SEARCH,
    "listed": "figures --list",
    "figures": f"figures {FIGURE} --out drawn",
}


@pytest.fixture(scope="module")
def told(installed):
    """What commands that need torch print, all in one process, which imports it once."""
    (installed.folder / "mine.py").write_text(LOSS)
    output = printed(installed.run("-c", COMMANDS, *WITH_TORCH.values()))
    return dict(zip(WITH_TORCH, output.split("<end>\n"), strict=False))


def test_a_loss_of_ones_own_is_probed(installed, told):
    assert "fm-ot" in told["probe"]
    assert (installed.folder / "mine.png").stat().st_size > 1000


def test_a_search_runs_and_is_resumed(installed, told):
    assert told["search"] and told["search again"] == told["search"]
    assert (installed.folder / "search.csv").exists()


def test_a_figure_that_needs_torch_is_drawn(installed, told):
    assert re.search(f"^{FIGURE} ", told["listed"], re.M)
    assert f"{FIGURE}.svg" in told["figures"]
    assert (installed.folder / "drawn" / f"{FIGURE}.svg").stat().st_size > 1000


def test_every_explorer_is_built(installed):
    built = "; ".join(f"assert len(explorers.{name}().png) > 1000, {name!r}" for name in EXPLORERS)
    printed(installed.run("-c", f"from diffviz.lab import explorers; {built}"))


def test_a_missing_extra_is_met_with_the_line_that_installs_it(installed):
    code = """
import json
import diffviz as dv
from diffviz.lab import explorers

messages = {}
for package in (dv, explorers):
    for name in dir(package):
        try:
            getattr(package, name)
        except ImportError as error:
            messages[f"{package.__name__}.{name}"] = str(error)
print(json.dumps(messages))
"""
    messages = json.loads(printed(installed.run("-c", code, base_only=True)))
    top = [name for name in messages if name.count(".") == 1]
    assert top == [f"diffviz.{name}" for name in sorted(NEED_TORCH)]
    for name in top:
        assert re.match(
            rf"{re.escape(name)} needs (torch|torchdiffeq|safetensors),", messages[name]
        )
        assert "pip install 'diffviz[torch]'" in messages[name]
    for name in (f"diffviz.lab.explorers.{one}" for one in EXPLORERS):
        assert messages[name].startswith(f"{name} needs ")
        assert re.search(r"pip install 'diffviz\[(torch|lab)\]'", messages[name])
    assert "diffviz[lab]" in messages["diffviz.lab.explorers.WeightingExplorer"]


# One process for all; what a command lets through ends it.
REFUSED = """
import contextlib, io, json, sys
from diffviz.__main__ import main

refusals = []
for line in sys.argv[1:]:
    with contextlib.redirect_stderr(io.StringIO()) as told:
        refusals.append([main(line.split()), told.getvalue()])
print(json.dumps(refusals))
"""


def test_a_command_that_needs_torch_says_how_to_install_it(installed):
    alone = installed.run("-m", "diffviz", "probe", "mine:loss", base_only=True)
    assert alone.returncode == 2
    lines = ("search", f"figures {FIGURE}")
    others = json.loads(printed(installed.run("-c", REFUSED, *lines, base_only=True)))
    for code, told in [(alone.returncode, alone.stderr), *others]:
        assert code == 2
        assert "needs torch" in told
        assert "pip install 'diffviz[torch]'" in told
        assert "Traceback" not in told


def test_theory_catalogue_and_plots_work_without_torch(installed):
    code = """
import sys
import numpy as np
import diffviz as dv

logsnr = np.linspace(-10, 10, 101)
edm = dv.objective("edm")
assert not dv.verdict(edm).monotone
assert dv.compare(dv.objective("fm-ot"), dv.objective("v-cosine")).same
assert len(dv.equivalent(dv.catalogue.values())) < len(dv.catalogue)
assert 0 < dv.share_below(edm) < 1
assert dv.loss_density(edm, logsnr).shape == (101,)
assert len(edm.draw(8, np.random.default_rng(0))[0]) == 8
custom = dv.from_weighting([[-8, 1.0], [0, 2.0], [8, 0.5]])
ax = dv.plots.weighting_curves(logsnr, {"edm": edm, "custom": custom})
print(dv.plots.save(ax.figure, "theory.png"))
assert "torch" not in sys.modules
"""
    assert printed(installed.run("-c", code, base_only=True)) == "theory.png\n"
