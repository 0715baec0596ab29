"""A search on executors: the same numbers to the last digit, whoever dies and whatever stops it."""

import os
import pickle
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from distributed import Client
from workers import Bells, OnlySubmits

from diffviz.__main__ import main
from diffviz.compute.executors import executor
from diffviz.search import candidates, experiment, families
from diffviz.search.design import sobol_points
from diffviz.search.measurement import train_and_measure
from diffviz.search.results import Results
from diffviz.search.settings import Settings
from diffviz.search.tasks import Plan, missing

TINY = {"points": 5, "seeds": 2, "steps": 6, "batch": 16, "family": "bells", "together": 2}
BOX = (("mean", -4.0, 6.0),)
DEADLY = float(sobol_points(BOX, 5)[2, 0])


def family(monkeypatch, **settings):
    """Make the family of bells known, with members that may kill."""
    bells = families.Family(Bells(**settings), BOX)
    monkeypatch.setattr(families, "FAMILIES", {"bells": bells})


@pytest.fixture(scope="module")
def serial():
    """The search in this process."""
    with pytest.MonkeyPatch.context() as patch:
        family(patch)
        return experiment.search(**TINY)


@pytest.fixture(scope="module")
def pool():
    """Two processes."""
    with executor(2) as started:
        yield started


@pytest.fixture(scope="module")
def dask_pool(cluster):
    """The executor of a cluster of two processes."""
    with executor(cluster=cluster) as started:
        yield started


@pytest.fixture(params=["pool", "dask_pool"])
def workers(request):
    """Processes here, and a cluster."""
    return request.getfixturevalue(request.param)


def assert_same(found, expected):
    """The same numbers to the last digit."""
    np.testing.assert_array_equal(found.surface.values, expected.surface.values)
    assert list(found.second) == list(expected.second)
    for name, values in found.second.items():
        np.testing.assert_array_equal(values, expected.second[name])


# --- the same numbers ---------------------------------------------------------------------------


@pytest.mark.slow
def test_the_numbers_do_not_depend_on_where_the_trainings_run(
    monkeypatch, workers, serial, tmp_path
):
    family(monkeypatch)
    file = tmp_path / "s.csv"
    assert_same(experiment.search(**TINY, executor=workers, out=file), serial)
    again = experiment.search(**TINY, out=file, executor=OnlySubmits(0))  # which runs nothing
    assert_same(again, serial)


def test_the_numbers_do_not_depend_on_the_order(monkeypatch, serial):
    family(monkeypatch)
    # 3 batches of the design and 4 of the optimum with its rivals, each for two seeds
    assert_same(experiment.search(**TINY, executor=InTurn([6, 8])), serial)


class InTurn:
    """An executor for rounds of known numbers of tasks, each run from its last to its first."""

    def __init__(self, numbers):
        self.rounds = [OnlySubmits(number) for number in numbers]

    def submit(self, function, *arguments):
        future = self.rounds[0].submit(function, *arguments)
        if not self.rounds[0].waiting:
            self.rounds.pop(0)
        return future


def test_a_task_depends_on_the_design_alone_and_travels_in_few_bytes():
    settings = Settings()
    places = sobol_points(families.FAMILIES[settings.family].box, 40)
    points = [candidates.member(settings, place) for place in places]
    results = Results(settings)
    plan = Plan(settings, results, OnlySubmits(0), together=16)
    tasks = list(missing(points, range(2), plan))
    assert [(len(batch), seed) for batch, seed, _ in tasks] == [
        (16, 0), (16, 0), (8, 0), (16, 1), (16, 1), (8, 1)
    ]  # fmt: skip
    results.append([points[20].name], 0, [1.0])  # the batches after it stay as they were
    assert [len(batch) for batch, *_ in missing(points, [0], plan)] == [16, 15, 8]
    assert len(pickle.dumps((train_and_measure, *tasks[0]))) < 4096
    assert (
        len(pickle.dumps((train_and_measure, candidates.published(settings), 0, settings))) < 1024
    )


# --- workers that die ---------------------------------------------------------------------------


@pytest.mark.slow
def test_a_worker_that_dies_in_a_training_changes_nothing(monkeypatch, workers, serial, tmp_path):
    family(monkeypatch, folder=str(tmp_path))
    assert_same(experiment.search(**TINY, executor=workers), serial)
    assert (tmp_path / "0").exists()  # one has died


@pytest.mark.slow
def test_a_worker_that_is_killed_from_outside_changes_nothing(
    monkeypatch, cluster, serial, tmp_path
):
    family(monkeypatch)
    file = tmp_path / "s.csv"

    with Client(cluster) as client:
        client.wait_for_workers(2)
        alive = list(client.run(os.getpid).values())

    def kill(news):
        if alive:
            os.kill(alive.pop(), signal.SIGKILL)

    assert_same(experiment.search(**TINY, cluster=cluster, out=file, tell=kill), serial)
    assert not alive
    rows = file.read_text().splitlines()[2:]
    assert len(rows) == len(set(rows)) == 2 * (5 + 1 + len(candidates.CATALOGUE))


@pytest.mark.slow
def test_a_candidate_that_kills_each_worker_is_named_and_the_rest_is_finished(
    monkeypatch, pool, tmp_path
):
    options = TINY | {"together": 1, "seeds": 1, "points": 6}
    file = tmp_path / "s.csv"
    news = []
    family(monkeypatch)
    whole = experiment.search(**options)
    family(monkeypatch, deadly=DEADLY)
    found = experiment.search(**options, executor=pool, out=file, tell=news.append)
    alive = np.arange(6) != 2
    np.testing.assert_array_equal(found.surface.values[alive], whole.surface.values[alive])
    assert np.isnan(found.surface.values[2]).all()
    assert [line for line in news if "died" in line] == [
        f"seed 0, mean={DEADLY:.4g}: the process that trained it died each time"
    ]
    assert "1 of 1 trainings failed" in str(found)
    assert f"mean={DEADLY:.4g},0" not in file.read_text()  # another machine may be able to
    family(monkeypatch)
    mended = experiment.search(**options, out=file)
    np.testing.assert_array_equal(mended.surface.values, whole.surface.values)


@pytest.mark.slow
def test_a_batch_with_a_deadly_candidate_is_trained_one_by_one(monkeypatch, pool):
    family(monkeypatch, deadly=DEADLY)
    options = TINY | {"together": 5, "seeds": 1, "points": 5}
    found = experiment.search(**options, executor=pool)
    assert np.isnan(found.surface.values[:, 0]).tolist() == [False, False, True, False, False]


# --- what stops it ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("where", [{}, {"jobs": 2}, {"cluster": ""}], ids=["here", "jobs", "dask"])
def test_ctrl_c_returns_what_is_done_and_another_machine_goes_on(
    monkeypatch, request, where, serial, tmp_path
):
    if "cluster" in where:
        where = {"cluster": request.getfixturevalue("cluster")}
    family(monkeypatch)
    news, file = [], tmp_path / "s.csv"

    def stop_at_the_third(line):
        news.append(line)
        if len(news) == 3:
            raise KeyboardInterrupt

    with pytest.raises(experiment.Stopped, match="stopped after") as stopped:
        experiment.search(**TINY, **where, out=file, tell=stop_at_the_third)
    values = stopped.value.values
    assert len(values) >= 5  # at least two whole batches and one of the last candidate alone
    assert Results(Settings(**settings_of(TINY)), file).values == values
    elsewhere = tmp_path / "elsewhere" / "s.csv"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(file.read_bytes())
    assert_same(experiment.search(**TINY, out=elsewhere), serial)


def settings_of(options):
    """Those options of a search that its file states."""
    return {name: options[name] for name in ("steps", "batch", "family")}


def test_an_error_in_a_training_is_raised_and_what_is_done_stays(monkeypatch, tmp_path):
    family(monkeypatch)
    calls, file = [], tmp_path / "s.csv"

    def break_down(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise RuntimeError("no space left")
        return train_and_measure(*arguments)

    monkeypatch.setattr(experiment, "train_and_measure", break_down)
    with ThreadPoolExecutor(1) as threads, pytest.raises(RuntimeError, match="no space left"):
        experiment.search(**TINY, out=file, executor=threads)
    assert len(file.read_text().splitlines()) == 2 + 2


# --- one file -----------------------------------------------------------------------------------


def test_two_searches_on_one_file_refuse(untrained, fast, tmp_path):
    file = tmp_path / "s.csv"
    refused = []

    def search_too(news):
        with pytest.raises(BlockingIOError, match=r"another search is writing .*s\.csv; wait"):
            experiment.search(**fast, out=file)
        refused.append(news)

    found = experiment.search(**fast, out=file, tell=search_too)
    assert len(refused) == 4
    assert str(experiment.search(**fast, out=file)) == str(found)


def test_the_lock_of_a_dead_process_does_not_block(untrained, fast, tmp_path):
    file = tmp_path / "s.csv"
    script = f"""
import os, signal
from diffviz.search.results import locked
with locked({str(file)!r}):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], check=False)
    assert (tmp_path / "s.csv.lock").exists()
    experiment.search(**fast, out=file)


def test_the_lock_is_released_when_a_search_stops(untrained, fast, tmp_path):
    file = tmp_path / "s.csv"
    untrained.interrupt_at = 1
    with pytest.raises(experiment.Stopped) as stopped:
        experiment.search(**fast, out=file)
    assert len(stopped.value.values) == 7
    untrained.interrupt_at = None
    experiment.search(**fast, out=file)


# --- what is asked for --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "kind", "message"),
    [
        ({"together": 0}, ValueError, "together must be at least 1, got 0"),
        ({"jobs": 0}, ValueError, "jobs must be at least 1, got 0"),
        ({"executor": 3}, TypeError, r"must have submit\(function"),
        ({"executor": OnlySubmits(0), "jobs": 2}, ValueError, "give one of the three"),
    ],
)
def test_wrong_input_is_refused(untrained, fast, wrong, kind, message):
    with pytest.raises(kind, match=message):
        experiment.search(**fast, **wrong)
    assert not untrained.batches


@pytest.mark.slow
def test_the_command_line_trains_in_processes(tmp_path, capsys):
    argv = ["search", "--family", "sigmoid", "--points", "4", "--seeds", "1", "--steps", "4"]
    assert main([*argv, "--out", str(tmp_path / "here.csv")]) == 0
    here = capsys.readouterr().out
    assert main([*argv, "--out", str(tmp_path / "there.csv"), "--jobs", "2"]) == 0
    assert capsys.readouterr().out == here
