"""Executors: the same results everywhere, workers that die, and ends that leave nothing behind."""

import json
import multiprocessing
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from pathlib import Path

import nbclient
import nbformat
import psutil
import pytest
from distributed import Client
from distributed.scheduler import KilledWorker
from joblib.externals.loky import get_reusable_executor
from workers import (
    OnlySubmits,
    die_in_the_middle_of_a_result,
    fail,
    fail_in_an_odd_way,
    interrupt,
    square,
    square_at_the_second_try,
    square_unless_3,
    surroundings,
    wait_forever,
    what_does_not_pickle,
)

import diffviz
from diffviz.compute import executors
from diffviz.compute.executors import WorkerDied, completed, executor, in_order

TASKS = [(x,) for x in range(6)]
SQUARES = [0, 1, 4, 9, 16, 25]


@pytest.fixture(scope="module")
def pool():
    """Two processes."""
    with executor(2) as started:
        yield started


def outcomes(finished):
    """Result, or the class of the error, of each task."""
    return {
        task: type(future.exception()) if future.exception() else future.result()
        for task, future in finished
    }


# --- in this process ----------------------------------------------------------------------------


def test_one_job_runs_here_when_it_is_submitted():
    with executor() as here:
        assert here.submit(os.getpid).result() == os.getpid()
        assert here.submit(what_does_not_pickle).done()
        with pytest.raises(ValueError, match="no 3"):
            here.submit(fail, 3).result()
        with pytest.raises(KeyboardInterrupt):
            here.submit(interrupt)


# --- any executor -------------------------------------------------------------------------------


def test_results_come_in_the_order_of_the_tasks(pool):
    with executor() as here:
        assert in_order(here, square, TASKS) == SQUARES
    assert in_order(pool, square, TASKS) == SQUARES
    assert in_order(pool, square, []) == []


def test_nothing_but_submit_is_needed_and_any_order_serves():
    finished = outcomes(completed(OnlySubmits(6), square, TASKS))
    assert list(finished) == [
        (4,),
        (3,),
        (2,),
        (1,),
        (0,),
        (5,),
    ]  # the last is done when it returns
    assert finished == dict(zip(TASKS, SQUARES, strict=True))
    assert in_order(OnlySubmits(6), square, TASKS) == SQUARES


def test_no_more_tasks_are_under_way_than_is_asked_for():
    drawn = []

    def tasks():
        for x in range(6):
            drawn.append(x)
            yield (x,)

    finished = completed(OnlySubmits(2), square, tasks(), ahead=2)
    next(finished)
    assert drawn == [0, 1]
    assert len(list(finished)) == 5


@pytest.mark.slow
def test_executors_of_others_serve(pool):
    with ThreadPoolExecutor(2) as threads:
        assert in_order(threads, square, TASKS) == SQUARES
    loky = get_reusable_executor(2)
    try:
        assert in_order(loky, square, TASKS) == SQUARES
    finally:
        loky.shutdown(kill_workers=True)


@pytest.mark.slow
def test_a_pool_of_others_that_breaks_is_an_error():
    with (
        ProcessPoolExecutor(1, mp_context=executors._context()) as other,
        pytest.raises(BrokenExecutor),
    ):
        list(completed(other, square_unless_3, TASKS, ahead=1))


@pytest.mark.parametrize("wrong", [None, 3, ThreadPoolExecutor])
def test_what_is_no_executor_is_refused(wrong):
    with pytest.raises(TypeError, match=r"must have submit\(function"):
        in_order(wrong, square, TASKS)


@pytest.mark.parametrize("wrong", [3, "34", {"x": 3}, None])
def test_a_task_that_is_no_tuple_is_refused(wrong):
    with executor() as here:
        with pytest.raises(TypeError, match="a task must be a tuple of the arguments"):
            in_order(here, max, [wrong])
        with pytest.raises(TypeError, match="function must be a function of a task, got 'max'"):
            in_order(here, "max", TASKS)


def test_an_executor_of_the_callers_is_left_open_and_given_alone(pool):
    with executors.chosen(pool) as same:
        assert same is pool
    assert pool.submit(square, 3).result() == 9
    with executors.chosen(None) as made:
        assert isinstance(made, executors.SerialExecutor)
    for beside in ({"jobs": 2}, {"cluster": "tcp://127.0.0.1:8786"}):
        with (
            pytest.raises(ValueError, match="give one of the three"),
            executors.chosen(pool, **beside),
        ):
            pass


# --- processes ----------------------------------------------------------------------------------


def test_workers_are_other_processes_with_one_thread(pool):
    process, threads, settings, preloaded = pool.submit(surroundings).result()
    assert process != os.getpid()
    assert (threads, settings) == (1, ["1", "1", "1"])
    assert preloaded == ("forkserver" in multiprocessing.get_all_start_methods())


def test_starting_workers_leaves_environment_and_main_module_as_they_were(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    before, main = dict(os.environ), sys.modules["__main__"]
    with executors.ProcessExecutor(1) as pool:
        assert dict(os.environ) == before
        assert sys.modules["__main__"] is main
        assert pool.submit(square, 3).result() == 9


def test_a_worker_that_dies_is_started_again_and_its_task_tried_again(pool, tmp_path):
    tasks = [(x, str(tmp_path)) for x in range(4)]
    assert in_order(pool, square_at_the_second_try, tasks) == [0, 1, 4, 9]
    assert len(list(tmp_path.iterdir())) == 4


def test_a_task_that_kills_each_worker_is_named_and_the_others_are_finished(pool):
    finished = outcomes(completed(pool, square_unless_3, TASKS))
    assert finished == dict(zip(TASKS, SQUARES, strict=True)) | {(3,): WorkerDied}
    with pytest.raises(WorkerDied, match=r"ran square_unless_3\(3,?\) died each time"):
        in_order(pool, square_unless_3, [(3,)])
    assert pool.submit(square, 4).result() == 16


def test_a_worker_that_dies_in_the_middle_of_a_result_is_missed(pool):
    assert isinstance(pool.submit(die_in_the_middle_of_a_result).exception(), WorkerDied)
    assert pool.submit(square, 4).result() == 16


def test_errors_come_back_with_the_place_where_they_arose(pool):
    error = pool.submit(fail, 3).exception()
    assert str(error) == "no 3"
    assert "in fail" in error.__notes__[0]
    assert isinstance(pool.submit(interrupt).exception(), KeyboardInterrupt)


def test_what_does_not_travel_fails_alone(pool):
    with pytest.raises(TypeError, match="cannot pickle"):
        pool.submit(square, what_does_not_pickle())
    assert isinstance(pool.submit(what_does_not_pickle).exception(), TypeError)
    odd = pool.submit(fail_in_an_odd_way).exception()
    assert isinstance(odd, TypeError)
    assert str(odd).startswith("NeedsTwo: 1 (this error does not pickle")
    assert "in fail_in_an_odd_way" in odd.__notes__[0]
    assert pool.submit(square, 4).result() == 16


@pytest.mark.slow
def test_an_error_in_the_block_ends_a_task_that_would_never_end(tmp_path):
    futures = []

    def interrupted_block():
        with executor(2) as pool:
            futures.extend(pool.submit(wait_forever, str(tmp_path)) for _ in range(5))
            while not (tmp_path / "started").exists():
                pass
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted_block()
    worker = int((tmp_path / "started").read_text())
    assert ended(worker)
    assert all(future.done() for future in futures)
    assert futures[-1].cancelled()


def test_an_executor_that_is_shut_down_takes_no_task():
    pool = executors.ProcessExecutor(1)
    pool.shutdown()
    with pytest.raises(RuntimeError, match="shut down"):
        pool.submit(square, 3)


@pytest.mark.slow
def test_a_program_ends_though_its_executor_was_not_shut_down():
    program = """
from diffviz.compute.executors import ProcessExecutor
print(ProcessExecutor(2).submit(pow, 2, 10).result())
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=with_tests(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("1024\n", "")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_copy_of_the_program_does_not_keep_the_workers():
    program = """
import os, signal, time
from diffviz.compute.executors import executor
with executor(2) as pool:
    pool.submit(pow, 2, 10).result()
    copy = os.fork()
    if not copy:
        time.sleep(3600)
print("ended")
os.kill(copy, signal.SIGKILL)
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env=with_tests(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=600,
    )
    assert done.stdout == "ended\n"


def ended(process):
    """Whether a process is gone, or dead and not yet reaped."""
    try:
        return psutil.Process(process).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_workers_have_the_environment_of_the_moment_in_which_they_start(monkeypatch):
    for value in ("first", "second"):
        monkeypatch.setenv("DIFFVIZ_TEST", value)
        with executor(jobs=2) as pool:
            assert pool.submit(os.getenv, "DIFFVIZ_TEST").result() == value


@pytest.mark.slow
def test_workers_do_not_outlive_a_parent_that_was_killed(tmp_path):
    script = f"""
import os, signal, sys, threading
from diffviz.compute import executor
from workers import wait_forever
with executor(2) as pool:
    pool.submit(wait_forever, {str(tmp_path)!r})
    while not os.path.exists({str(tmp_path / "started")!r}):
        pass
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], env=with_tests(), check=False)
    worker = int((tmp_path / "started").read_text())
    while not ended(worker):
        pass


# --- where a program may come from --------------------------------------------------------------

PROGRAM = """\
from diffviz.compute.executors import executor, in_order

OFFSET = 10

class Point:
    def __init__(self, x):
        self.x = x

def moved(point):
    return Point(point.x + OFFSET)

with executor(2) as pool:
    print([point.x for point in in_order(pool, moved, [(Point(1),), (Point(2),)])])
"""


def with_tests():
    """The environment of a process that finds the package and the modules of the tests."""
    root = Path(diffviz.__file__).parents[1]
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(root), str(root / "tests")])}


@pytest.mark.slow
@pytest.mark.parametrize("how", [["program.py"], ["-m", "program"], ["-c", PROGRAM], ["-"]])
def test_a_program_needs_no_guard_and_its_own_functions_and_classes_travel(how, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, *how],
        input=PROGRAM,
        cwd=tmp_path,
        env=with_tests(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[11, 12]\n"
    assert done.stderr == ""


@pytest.mark.slow
def test_functions_of_a_notebook_travel(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", with_tests()["PYTHONPATH"])
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(PROGRAM)])
    nbclient.NotebookClient(notebook, kernel_name="python3").execute()
    assert notebook.cells[0].outputs[0].text == "[11, 12]\n"


# --- a cluster ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_cluster_runs_tasks_names_the_deadly_one_and_finishes_the_others(cluster):
    with executor(cluster=cluster) as pool:
        assert pool.submit(os.getpid).result() != os.getpid()
        assert in_order(pool, square, TASKS) == SQUARES
        finished = outcomes(completed(pool, square_unless_3, TASKS))
    assert finished == dict(zip(TASKS, SQUARES, strict=True)) | {(3,): WorkerDied}


@pytest.mark.slow
def test_a_worker_that_dies_before_its_result_is_fetched_is_told(cluster, monkeypatch):
    async def killed(*_, **__):
        raise KilledWorker("square", None, 0)

    with executor(cluster=cluster) as pool:
        monkeypatch.setattr(Client, "_gather", killed)
        assert isinstance(pool.submit(square, 3).exception(timeout=60), KilledWorker)
        monkeypatch.undo()
        assert pool.submit(square, x=3).result(timeout=60) == 9


@pytest.mark.slow
def test_a_task_on_a_cluster_can_be_cancelled(cluster):
    with executor(cluster=cluster) as pool:
        future = pool.submit(time.sleep, 0.2)
        assert future.cancel()
        with pytest.raises(CancelledError):
            future.result(timeout=60)


class NoWorkers:
    """A client whose cluster has no workers until it is looked at."""

    def __init__(self):
        self.loop = self
        self.waiting = []

    def submit(self, function, *arguments, pure):
        return function(*arguments)

    def add_callback(self, _, result, future):
        self.waiting.append((future, result))

    def nthreads(self):
        for future, result in self.waiting:
            future.set_result(result)
        self.waiting.clear()
        return {}


def test_a_cluster_without_workers_is_waited_for_and_told(monkeypatch):
    monkeypatch.setattr(executors, "PATIENCE", 0.01)
    pool = executors.ClusterExecutor(NoWorkers())
    with pytest.warns(RuntimeWarning, match="the cluster has no workers, and the tasks wait"):
        assert in_order(pool, square, TASKS) == SQUARES


@pytest.mark.slow
def test_a_cluster_with_another_version_is_refused(cluster, monkeypatch):
    with Client(cluster) as client:
        client.wait_for_workers(2)  # the test before may have killed one
    monkeypatch.setattr(diffviz, "__version__", "9.9")
    with (
        pytest.raises(ValueError, match=r"2 of 2 workers .* another diffviz.*here it is 9\.9"),
        executor(cluster=cluster),
    ):
        pass


@pytest.mark.slow
def test_a_scheduler_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setattr(executors, "PATIENCE", 0.5)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{unused.getsockname()[1]}"
        with (
            pytest.raises(
                ConnectionError, match=f"no Dask scheduler answers at cluster='{address}"
            ),
            executor(cluster=address),
        ):
            pass
    with pytest.raises(ConnectionError, match=r"No such file"), executor(cluster="none.json"):
        pass


@pytest.mark.slow
def test_a_cluster_is_found_by_its_scheduler_file(cluster, tmp_path):
    file = tmp_path / "scheduler.json"
    file.write_text(json.dumps({"address": cluster}))
    with executor(cluster=str(file)) as pool:
        assert pool.submit(square, 3).result() == 9


@pytest.mark.parametrize("text", ["{}", "[1]", "null", '{"address": null}', '{"address": 8786}'])
def test_a_scheduler_file_without_an_address_is_refused(tmp_path, text):
    file = tmp_path / "scheduler.json"
    file.write_text(text)
    with pytest.raises(ConnectionError, match="states no address"), executor(cluster=str(file)):
        pass


def test_without_dask_the_line_that_installs_it_is_given(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(ModuleNotFoundError, match=r"pip install 'diffviz\[cluster\]'"),
        executor(cluster="tcp://127.0.0.1:8786"),
    ):
        pass


@pytest.mark.parametrize(
    ("wrong", "kind", "message"),
    [
        ({"jobs": 0}, ValueError, "jobs must be at least 1, got 0"),
        ({"jobs": 1.5}, TypeError, "jobs must be a whole number, got 1.5"),
        ({"jobs": 2, "cluster": "tcp://127.0.0.1:8786"}, ValueError, "jobs=2 .* give one"),
        ({"cluster": 8786}, TypeError, "cluster must be the address of a Dask scheduler"),
        ({"cluster": ""}, TypeError, "cluster must be the address of a Dask scheduler"),
    ],
)
def test_wrong_settings_are_refused(wrong, kind, message):
    with pytest.raises(kind, match=message), executor(**wrong):
        pass
