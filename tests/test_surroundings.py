"""The package where no one has prepared a place for it, and under other kernels of linear algebra.

The checkout is for reading only and has a space and a λ in its path, no HOME is set, the locale is
C, and the user is "nobody" where the tests may choose. That user may read all files, since Python
may lie in the home of another, and may write where everybody may.
"""

import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("diffviz", "data", "notebooks", "pyproject.toml", "README.md")
TESTS = (
    "tests/test_delimited.py",
    "tests/theory/test_tables.py",
    "tests/plots/test_files.py",
    "tests/search/test_results.py",
    "tests/learning/test_files.py",
)
HELPERS = ("tests/conftest.py", "tests/cells.py", "tests/elsewhere.py", "tests/search/conftest.py")
KERNELS = """
import numpy as np, torch
import diffviz as dv
data = dv.toy("ring8").sample(64, torch.Generator().manual_seed(0))
(run,) = dv.fit("fm-ot", data, steps=12, batch=16, progress=False)
bound = dv.elbo(dv.mixture([[-1.0], [1.0]], 0.5), torch.tensor([[0.3]]), levels=60, exact=True)
gram = np.linalg.eigvalsh(np.cov(data.numpy().T))
print(*run.loss.tolist(), bound.nats.item(), *gram.tolist())
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the project that nobody may write, in a folder that everybody may enter."""
    base = tmp_path_factory.mktemp("surroundings")
    open_to_all(base)
    place = base / "sp ace λ"
    place.mkdir()
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
        copy(ROOT / part, place / part)
    for file in (*TESTS, *HELPERS):
        (place / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / file, place / file)
    for path in (place, *place.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield place
    for path in (place, *place.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)


def open_to_all(path):
    """Let everybody enter a folder, as far as it lies below that of temporary files."""
    top = Path(tempfile.gettempdir())
    for folder in (path, *path.parents):
        if top in folder.parents:  # with several processes of pytest there is one folder more
            folder.chmod(stat.S_IMODE(folder.stat().st_mode) | 0o055)


def as_nobody():
    """What stands before a command that "nobody" runs, where the tests may choose."""
    setpriv = shutil.which("setpriv")
    if os.getuid() != 0 or setpriv is None:
        return []
    nobody = pwd.getpwnam("nobody")
    capability = "-all,+dac_read_search"  # of all that root may do, only to read
    user = [f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    return [setpriv, *user, f"--inh-caps={capability}", f"--ambient-caps={capability}"]


def bare(checkout, temporary):
    """An environment without HOME, in the locale C."""
    return {
        "PATH": os.environ["PATH"],
        "LANG": "C",
        "LC_ALL": "C",
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join([str(checkout), str(checkout / "tests")]),
        "TMPDIR": str(temporary),
    }


@pytest.fixture
def temporary(tmp_path):
    """A folder for temporary files, for anybody."""
    open_to_all(tmp_path)
    tmp_path.chmod(0o777)
    return tmp_path


def ran(checkout, temporary, *arguments):
    """A command of this Python in the bare environment, in the checkout."""
    return subprocess.run(
        [*as_nobody(), sys.executable, *arguments],
        cwd=checkout,
        env=bare(checkout, temporary),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


WHO = """
import os
from pathlib import Path

print(os.geteuid(), "HOME" in os.environ, Path.cwd().name)
for place in (Path("own"), Path("diffviz/__init__.py")):
    try:
        place.open("a").close()
    except OSError as error:
        print(type(error).__name__)
"""


def test_commands_are_run_by_whom_nothing_belongs_to(checkout, temporary):
    done = ran(checkout, temporary, "-X", "utf8", "-c", WHO)
    who = pwd.getpwnam("nobody").pw_uid if as_nobody() else os.geteuid()
    expected = f"{who} False sp ace λ\n"
    if who != 0:
        expected += "PermissionError\nPermissionError\n"
    assert done.stdout == expected, done.stderr


@pytest.mark.slow
def test_tests_pass_where_nothing_is_prepared(checkout, temporary):
    options = ["-q", "-p", "no:cacheprovider", "-m", "not slow", "--basetemp", temporary / "base"]
    done = ran(checkout, temporary, "-m", "pytest", *options, *TESTS)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert " passed" in done.stdout.splitlines()[-1]


@pytest.mark.slow
def test_commands_run_where_nothing_is_prepared(checkout, temporary):
    figure = temporary / "a λ.svg"
    for command in (("list",), ("plot", "edm", "fm-ot", "--out", str(figure))):
        done = ran(checkout, temporary, "-m", "diffviz", *command)
        assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-1000:]
    assert figure.exists()


@pytest.mark.slow
def test_numbers_do_not_depend_on_the_kernels_of_linear_algebra():
    """Those that a processor chooses for itself, against the plainest ones."""
    kernels = (
        {},
        {"OPENBLAS_CORETYPE": "Prescott", "ATEN_CPU_CAPABILITY": "default"},
        {"OPENBLAS_CORETYPE": "Haswell", "ATEN_CPU_CAPABILITY": "avx2", "OMP_NUM_THREADS": "2"},
    )
    lines = [
        subprocess.run(
            [sys.executable, "-c", KERNELS],
            env=os.environ | {"OMP_NUM_THREADS": "1"} | chosen,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for chosen in kernels
    ]
    first, *others = [[float(number) for number in line.split()] for line in lines]
    for other in others:
        assert other == pytest.approx(first, rel=2e-4)
