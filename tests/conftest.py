"""What all tests share: fixed examples, seeds, and one process for each topic.

The experiments, figures, explorers and notebooks of a subject use the same trainings. Their tests
run in one process. Their results are kept in a folder that is empty when the tests begin, so that
each training runs once and none is older than the tests.
"""

import gc
import os
import re
import shutil
import sys
import tempfile
from contextlib import contextmanager, nullcontext
from pathlib import Path

import elsewhere
import hypothesis
import pytest
import torch
from cells import seed_globals
from filelock import FileLock
from xdist.scheduler import LoadScopeScheduling

TOPIC = re.compile(
    r"tests/(?:notebooks|lab/experiments|lab/figures|lab/explorers)/"
    r"test_(elbo|perception|policy|prior|sampling|schedule|search|tracking|training|weighting)"
)

# The longest come first, so that no process works alone at the end. The browser waits more than it
# works, and the notebooks train what later tests find in the cache.
LONGEST = (
    "tests/test_browser.py",
    "notebooks/",
    "tests/probing/test_matrix.py",
    "tests/web/test_explorers.py",
    "tests/web/test_local.py",
    "tests/test_site.py",
    "tests/test_install.py",
    "tests/web/",
)

COLLECTING = ".collecting"  # added to the name of the folder of results
PATIENCE = 10  # niceness of what gives way to a browser that looks how soon a picture comes
HAS_BEGUN = pytest.StashKey[bool]()

# The same examples everywhere and no time limit, so that neither luck nor load fails a test.
hypothesis.settings.register_profile("everywhere", derandomize=True, deadline=None)
hypothesis.settings.load_profile("everywhere")


@pytest.fixture(autouse=True)
def seeded_globals():
    """What a test draws without a generator of its own does not depend on the tests before it."""
    seed_globals()


def devices():
    """The devices that are there, and the simulated one that is everywhere."""
    real = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return ["cpu", *(name for name, is_there in real.items() if is_there), "elsewhere"]


@pytest.fixture(params=devices())
def device(request):
    """Each device in turn."""
    if request.param != "elsewhere":
        yield torch.device(request.param)
        return
    with elsewhere.simulated() as simulated:
        yield simulated


@pytest.fixture(scope="session")
def cluster():
    """A Dask cluster of two worker processes on this machine."""
    import dask
    from distributed import LocalCluster

    settings = {
        "distributed.scheduler.allowed-failures": 0,  # each death is seen here
        "distributed.worker.memory.terminate": False,
        "distributed.admin.log-format": "%(message)s",
    }
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # any free port: two test runs may meet
            silence_logs="CRITICAL",
        ) as started,
    ):
        yield started.scheduler_address


class ByTopic(LoadScopeScheduling):
    """Give all tests of a topic to one worker, and any other file to whichever is free.

    With a file its worker gets what the tests of the file compute once. Single tests would also
    cost the scheduler more than most of them cost the workers: it counts all that it has given away
    whenever one ends.
    """

    def _split_scope(self, nodeid):
        """The name of the topic, or of the file where it belongs to none."""
        topic = TOPIC.match(nodeid)
        return topic[1] if topic else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config, log):
    """The scheduler that pytest-xdist uses."""
    return ByTopic(config, log)


def pytest_runtest_setup(item):
    """Let a worker that does not begin with the browser give way to the one that does."""
    if not hasattr(item.config, "workerinput") or HAS_BEGUN in item.config.stash:
        return
    item.config.stash[HAS_BEGUN] = True
    if not item.nodeid.startswith(LONGEST[0]) and hasattr(os, "nice"):  # not on Windows
        os.nice(PATIENCE)


@pytest.hookimpl(optionalhook=True)  # without xdist there is no such hook
def pytest_configure_node(node):
    """Tell a worker whether the tests have been compiled before."""
    compiled = (Path(__file__).parent / "__pycache__").glob("test_*.pyc")
    node.workerinput["are_compiled"] = any(compiled)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session):
    """In a fresh clone, let one worker collect after the other.

    The first compiles the tests and what they import, which takes twice as long as the rest. The
    others read what it has written, while other work has the second core.
    """
    turn = nullcontext()
    if not getattr(session.config, "workerinput", {"are_compiled": True})["are_compiled"]:
        turn = FileLock(os.environ["DIFFVIZ_CACHE"] + COLLECTING)
    with turn, kept_objects():
        return (yield)


@contextmanager
def kept_objects():
    """Look for no garbage in the meantime, and never afterwards among what is there by then.

    Modules and collected tests stay until the end. To go through their two million objects again
    and again takes a sixth of the time of collecting, and half a second in each test that looks for
    garbage of its own.
    """
    gc.disable()
    try:
        yield
    finally:
        if sys.version_info < (3, 14):  # there hypothesis looks for what refers to its generator
            gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items):
    """Put the longest files first; pytest itself orders what lies in one folder by name."""
    items.sort(key=_rank)


def _rank(item):
    """The place of a test's file among the longest ones."""
    starts = (item.nodeid.startswith(prefix) for prefix in LONGEST)
    return next((place for place, is_there in enumerate(starts) if is_there), len(LONGEST))


def pytest_configure(config):
    """Give all workers and kernels one empty folder for the cache of results."""
    if not hasattr(config, "workerinput"):
        config.results_folder = tempfile.mkdtemp(prefix="diffviz-tests-")
        os.environ["DIFFVIZ_CACHE"] = config.results_folder


def pytest_unconfigure(config):
    """Remove that folder after the last test."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(config.results_folder, ignore_errors=True)
        Path(config.results_folder + COLLECTING).unlink(missing_ok=True)
