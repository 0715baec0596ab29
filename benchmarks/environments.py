"""The tests with the oldest and with the newest releases that pyproject.toml allows.

Each environment is a folder of its own, made by pip: "lowest" has exactly the version that each
bound names, "newest" what pip takes by itself. What serves the tests alone (pytest, hypothesis) is
of the versions in constraints.txt. ``--dry-run`` only asks whether there is such a set of wheels,
for any Python, also one that is not here.

Packages named by ``--borrow`` are not installed but taken from the environment that runs this, as
torch is where only a CPU build of one version is at hand.

Run: python benchmarks/environments.py [--bounds lowest newest] [--extras torch ...]
    [--python 3.12 3.13 --dry-run] [--borrow torch ...] [--tests tests/theory tests/recipes]
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = ["torch", "lab", "peers", "cluster", "jax", "site"]
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
BOUND = re.compile(r"([A-Za-z0-9_.-]+)>=([0-9.]+)")


class Outcome(NamedTuple):
    """What became of an environment.

    Attributes:
        passed: Whether the tests passed, or pip found a set of wheels.
        words: What the table says of it.
    """

    passed: bool
    words: str


def lowest_versions(extras: list[str]) -> dict[str, str]:
    """Lowest version by name of all that the package and some extras ask for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = project["optional-dependencies"]
    left, lines = list(extras), list(project["dependencies"])
    while left:
        for line in groups[left.pop()]:
            inner = re.fullmatch(r"diffviz\[(.*)\]", line)
            left += inner[1].split(",") if inner else []
            lines += [] if inner else [line]
    bounds = [(line, BOUND.fullmatch(line)) for line in lines]
    unread = [line for line, bound in bounds if bound is None]
    if unread:
        raise SystemExit(f"no bound of the form NAME>=VERSION: {unread}")
    return dict(bound.groups() for _, bound in bounds)


def tools() -> list[str]:
    """Names of what serves the tests alone: pytest, a browser, types, style."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = project["optional-dependencies"]["test"]
    return [re.split(r"[\[>=]", line)[0] for line in lines if not line.startswith("diffviz[")]


def requirements(bounds: str, extras: list[str], borrowed: list[str]) -> list[str]:
    """What pip is asked for."""
    sign = {"lowest": "==", "newest": ">="}[bounds]
    pins = re.findall(r"^(\S+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M)
    lowest = lowest_versions(extras)
    own = [f"{name}{sign}{low}" for name, low in lowest.items() if name not in borrowed]
    return own + [f"{name}=={version}" for name, version in pins if name in tools()]


def resolution(python: str, packages: list[str]) -> Outcome:
    """Whether there is a set of wheels for a Python, or what pip says it lacks."""
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet"]
    with tempfile.TemporaryDirectory() as folder:
        command = [*pip, "--target", folder, "--python-version", python]
        command += ["--only-binary", ":all:", *packages]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return Outcome(True, "resolves")
    return Outcome(False, error_of_pip(done.stderr))


def error_of_pip(text: str) -> str:
    """The first error of pip, which names the packages, not too long for a table."""
    errors = [line for line in text.splitlines() if line.startswith("ERROR: ")]
    return last_line(errors[0] if errors else text)


def last_line(text: str) -> str:
    """The last line of what a command has said, not too long for a table."""
    lines = text.strip().splitlines() or ["nothing was said"]
    return lines[-1][:200]


def borrow(name: str, folder: Path) -> None:
    """Take a package and its metadata from the environment that runs this, by links."""
    files = distribution(name).files or []
    for top in {file.parts[0] for file in files if not file.parts[0].startswith((".", "_"))}:
        place = folder / top
        if not place.exists():
            place.symlink_to(distribution(name).locate_file(top))


def requirements_of(name: str) -> list[str]:
    """Names of the packages that a borrowed one needs, where they are installed here."""
    lines = [line for line in distribution(name).requires or [] if "extra ==" not in line]
    names = [re.match(r"[A-Za-z0-9_.-]+", line)[0] for line in lines]
    return [one for one in names if is_here(one)]


def is_here(name: str) -> bool:
    """Whether a package is installed in the environment that runs this."""
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def pytest_outcome(
    place: Path, packages: list[str], borrowed: list[str], tests: list[str]
) -> Outcome:
    """What pytest says at last in a new environment."""
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    python = place / "bin" / "python"
    site = place / "lib" / f"python{HERE}" / "site-packages"
    for name in borrowed:  # first, so that pip sees what is there already
        borrow(name, site)
    pip = [python, "-m", "pip", "install", "--quiet", "--no-compile"]
    needed = [one for name in borrowed for one in requirements_of(name) if one not in borrowed]
    made = subprocess.run([*pip, *packages, *needed], capture_output=True, text=True, check=False)
    if made.returncode:
        return Outcome(False, error_of_pip(made.stderr))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    command = [python, "-m", "pytest", "-q", "-rf", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    print(done.stdout[-4000:])
    return Outcome(done.returncode == 0, last_line(done.stdout or done.stderr))


def main() -> None:
    """Go through Python and bounds, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bounds", nargs="+", default=["lowest", "newest"])
    parser.add_argument("--python", nargs="+", default=[HERE], help="such as 3.12, to dry-run")
    parser.add_argument("--extras", nargs="*", default=EXTRAS, help="of the package")
    parser.add_argument("--borrow", nargs="*", default=[], help="packages of this environment")
    parser.add_argument("--tests", nargs="+", default=["tests"])
    parser.add_argument("--dry-run", action="store_true", help="ask pip for the wheels only")
    parser.add_argument("--place", type=Path, help="folder of the environments, which are kept")
    options = parser.parse_args()
    rows = ["| Python | bounds | result |", "| --- | --- | --- |"]
    outcomes = []
    for python in options.python:
        for bounds in options.bounds:
            packages = requirements(bounds, options.extras, options.borrow)
            if options.dry_run or python != HERE:
                outcome = resolution(python, packages)
            else:
                place = (options.place or Path(tempfile.mkdtemp())) / f"{bounds}-{python}"
                outcome = pytest_outcome(place, packages, options.borrow, options.tests)
            outcomes.append(outcome)
            rows.append(f"| {python} | {bounds} | {outcome.words} |")
    print("\n".join(rows))
    sys.exit(0 if all(outcome.passed for outcome in outcomes) else 1)


if __name__ == "__main__":
    main()
