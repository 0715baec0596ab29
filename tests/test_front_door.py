"""The public names: what ``dir(diffviz)`` shows, of which type, and how a wrong one is met."""

import importlib
import inspect
import os
import pkgutil
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

import diffviz as dv

CLASSES = {"AdaptiveObjective", "Diverged", "LossByLogSNR", "MaskedObjective", "Objective", "Run"}
MODULES = {
    "families",
    "lab",
    "laws",
    "losses",
    "models",
    "multipliers",
    "paths",
    "plots",
    "solvers",
    "targets",
}
FUNCTIONS = {
    "augmentation_density",
    "cascade",
    "closest",
    "compare",
    "dataset",
    "elbo",
    "equivalent",
    "few_step",
    "fit",
    "floor",
    "from_diffusers",
    "from_settings",
    "from_weighting",
    "grid",
    "log_likelihood",
    "loss_density",
    "masked_objective",
    "mixture",
    "objective",
    "probe",
    "probe_arrays",
    "probe_masked",
    "read_log",
    "rebase",
    "report",
    "sample",
    "share_below",
    "toy",
    "verdict",
    "with_loss",
}
KINDS = {
    **dict.fromkeys(CLASSES, type),
    **dict.fromkeys(MODULES, ModuleType),
    **dict.fromkeys(FUNCTIONS, FunctionType),
    "catalogue": Mapping,
    "few_step_catalogue": Mapping,
    "masked_catalogue": Mapping,
}


def every_module():
    """All modules of the package but the command line, imported."""
    names = [found.name for found in pkgutil.walk_packages(dv.__path__, "diffviz.")]
    return [importlib.import_module(name) for name in names if not name.endswith("__main__")]


def packages():
    """The package, its rooms and the parts of the lab."""
    return [dv, *(module for module in every_module() if hasattr(module, "__path__"))]


def test_the_front_door_shows_the_public_names_and_no_others():
    assert dir(dv) == sorted(KINDS)
    assert sorted(dv.__all__) == sorted(KINDS)


def test_every_public_name_keeps_its_type_once_every_module_is_imported():
    every_module()
    for name, kind in KINDS.items():
        assert isinstance(getattr(dv, name), kind), name


# One process for all, which forgets the package in between, and keeps torch.
FIRST = """
import importlib, sys
from types import FunctionType

for module in sys.argv[1:]:
    importlib.import_module(module)
    import diffviz as dv

    functions = (dv.probe, dv.sample, dv.objective, dv.grid)
    print(all(isinstance(one, FunctionType) for one in functions))
    for name in [name for name in sys.modules if name.partition(".")[0] == "diffviz"]:
        del sys.modules[name]
"""


@pytest.mark.slow
def test_the_public_names_are_the_same_whichever_module_is_imported_first():
    modules = ("diffviz.probing.measure", "diffviz.lab.explorers.probe")
    result = subprocess.run(
        [sys.executable, "-c", FIRST, *modules], check=True, capture_output=True
    )
    assert result.stdout.split() == [b"True"] * len(modules)


def test_no_module_takes_the_name_of_a_public_object():
    """Python binds a submodule to its name in the package, over an object of the same name."""
    for package in packages():
        submodules = {found.name for found in pkgutil.iter_modules(package.__path__)}
        for name in submodules & set(package.__all__):
            full = f"{package.__name__}.{name}"
            assert inspect.ismodule(getattr(package, name)), f"{full} is a module and an object"
    rooms = {found.name for found in pkgutil.iter_modules(dv.__path__)}
    assert rooms & set(dv.__all__) == {"lab", "plots"}


def test_every_name_of_every_room_is_there():
    for package in packages():
        if "__dir__" in vars(package):  # names load when they are first used
            assert dir(package) == sorted(set(package.__all__)), package.__name__
        for name in package.__all__:
            assert getattr(package, name) is not None, f"{package.__name__}.{name}"


def test_every_room_says_in_a_paragraph_what_lives_there():
    for package in packages():
        assert len(package.__doc__.split()) > 10, package.__name__


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("Adaptive", "'AdaptiveObjective'"),
        ("classes", "'closest'"),
        ("samplers", "'sample'"),
        ("Objektive", "'objective'"),
        ("log_likelyhood", "'log_likelihood'"),
    ],
)
def test_an_unknown_name_is_met_with_near_ones(name, near):
    with pytest.raises(AttributeError, match=f"{name!r}; did you mean .*{near}"):
        getattr(dv, name)


def test_an_unknown_name_without_near_ones_is_met_with_the_name():
    with pytest.raises(AttributeError, match=r"diffviz has no public name '__qqq__'$"):
        dv.__qqq__  # noqa: B018
    assert not hasattr(dv, "Qqqqqqqq")


def test_an_error_inside_a_module_is_not_taken_for_a_missing_extra():
    from diffviz import extras

    missing = pytest.raises(ModuleNotFoundError, match="No module named 'no_such_module'")
    with missing, extras.needed_by("x"):
        importlib.import_module("no_such_module")
    with pytest.raises(ImportError, match="cannot import name"), extras.needed_by("x"):
        raise ImportError("cannot import name 'old' from 'torch'", name="torch")


@pytest.mark.slow
def test_a_type_checker_sees_the_types_through_the_front_door(tmp_path):
    names = sorted(FUNCTIONS | CLASSES | {"catalogue"})
    snippet = tmp_path / "snippet.py"
    lines = ["import diffviz as dv", *(f"reveal_type(dv.{name})" for name in names)]
    lines += [
        "reveal_type(dv.objective('edm').weighting([0.0]))",
        "reveal_type(dv.fit('edm', [[0.0], [1.0]])[0].denoise)",
        "reveal_type(dv.plots.weighting_curves)",
        "dv.objective(3)",
    ]
    snippet.write_text("\n".join(lines) + "\n")
    command = [sys.executable, "-m", "mypy", snippet, "--ignore-missing-imports"]
    root = Path(dv.__file__).parents[1]
    if (root / ".mypy_cache").exists():  # of make lint; mypy looks again at what has changed since
        with suppress(shutil.Error):  # make lint may be at work on it, and a file is gone
            shutil.copytree(root / ".mypy_cache", tmp_path / "cache")
    command += ["--cache-dir", tmp_path / "cache"]
    where = os.environ | {"MYPYPATH": str(root)}
    result = subprocess.run(command, env=where, capture_output=True, text=True)
    report = result.stdout
    revealed = [line for line in report.splitlines() if "Revealed type is" in line]
    assert len(revealed) == len(lines) - 2, report + result.stderr
    for line in revealed:
        assert not line.endswith(('is "Any"', 'is "builtins.object"')), line
    assert 'incompatible type "int"; expected "str"' in report
