import inspect
import multiprocessing
import os
import sys
import threading
from concurrent.futures import ProcessPoolExecutor

import pytest
import torch
from test_examples import run_session

from diffviz.compute import threads
from diffviz.data import toy
from diffviz.learning.models import MLP, Transformer, multiply_adds

LARGE = 2 * threads.SMALL


@pytest.fixture(autouse=True, params=["as it is here", "by torch alone"])
def given_back(request, monkeypatch):
    """The number of threads from before the test; each test runs with both ways to set it."""
    if request.param == "by torch alone":
        monkeypatch.setattr(threads, "_own_setters", tuple)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def number_of_a_new_thread():
    """How many threads torch uses in a thread that starts now."""
    return in_new_thread(torch.get_num_threads)


def set_in_new_thread(number):
    """Set the number of a thread that is new; at its first use torch overwrites what was set."""
    torch.get_num_threads()
    torch.set_num_threads(number)


def in_new_thread(function):
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


# --- the number, and the number afterwards ------------------------------------------------------


@pytest.mark.parametrize("caller", [1, 2, 4])
def test_small_work_has_one_thread_and_large_work_those_of_the_caller(caller):
    torch.set_num_threads(caller)
    with threads.suited(1000):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == caller
    with threads.suited(LARGE):
        assert torch.get_num_threads() == caller
    assert torch.get_num_threads() == caller


def test_work_of_unknown_size_has_the_threads_of_the_caller():
    torch.set_num_threads(3)
    with threads.suited(float("inf")):
        assert torch.get_num_threads() == 3


def test_work_on_another_device_changes_nothing():
    torch.set_num_threads(3)
    with threads.suited(1000, "meta"):
        assert torch.get_num_threads() == 3
    with threads.suited(1000, torch.device("cpu")):
        assert torch.get_num_threads() == 1


def test_the_number_comes_back_after_an_exception():
    torch.set_num_threads(3)
    with pytest.raises(ZeroDivisionError), threads.suited(1000):
        raise ZeroDivisionError
    assert torch.get_num_threads() == 3


def test_large_work_inside_small_work_stays_on_one_thread():
    torch.set_num_threads(3)
    with threads.suited(1000):
        with threads.suited(LARGE), threads.suited(1000):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3


def test_small_work_inside_large_work_has_one_thread():
    torch.set_num_threads(3)
    with threads.suited(LARGE):
        with threads.suited(1000):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3


def steps(seen):
    with threads.suited(1000):
        while True:
            seen.append(torch.get_num_threads())
            yield


@pytest.mark.parametrize("first_closed", [0, 1])
def test_generators_that_overlap_give_the_number_back(first_closed):
    torch.set_num_threads(3)
    seen = []
    generators = [steps(seen), steps(seen)]
    for generator in generators:
        next(generator)
    generators.pop(first_closed).close()
    generators[0].close()
    assert seen == [1, 1]
    assert torch.get_num_threads() == 3


def test_a_generator_that_is_forgotten_gives_the_number_back():
    torch.set_num_threads(3)
    generator = steps([])
    next(generator)
    del generator
    assert torch.get_num_threads() == 3


# --- threads of Python --------------------------------------------------------------------------


def test_a_thread_that_starts_meanwhile_has_the_number_of_the_caller():
    torch.set_num_threads(3)
    with threads.suited(1000):
        assert number_of_a_new_thread() == 3
        assert torch.get_num_threads() == 1
    assert number_of_a_new_thread() == 3


def test_torch_alone_would_hand_its_number_to_new_threads():
    """Why ``suited`` does more than to set the number and to set it back."""
    torch.set_num_threads(1)
    assert number_of_a_new_thread() == 1
    torch.set_num_threads(3)
    assert number_of_a_new_thread() == 3


def test_two_threads_that_overlap_keep_their_own_numbers():
    """One enters before and leaves after the other, and both see what they have set."""
    torch.set_num_threads(4)
    steps_together = threading.Barrier(2, timeout=60)
    seen = {"first": [], "second": []}

    def first():
        set_in_new_thread(2)
        steps_together.wait()  # both have their own numbers
        with threads.suited(1000):
            steps_together.wait()  # the first is inside
            steps_together.wait()  # both are inside
            seen["first"].append(torch.get_num_threads())
            steps_together.wait()  # both have looked
        seen["first"].append(torch.get_num_threads())
        steps_together.wait()  # the first is outside
        steps_together.wait()  # both are outside

    def second():
        set_in_new_thread(3)
        steps_together.wait()
        steps_together.wait()
        with threads.suited(1000):
            steps_together.wait()
            seen["second"].append(torch.get_num_threads())
            steps_together.wait()
            steps_together.wait()
            seen["second"].append(torch.get_num_threads())
        seen["second"].append(torch.get_num_threads())
        steps_together.wait()

    both = [threading.Thread(target=first), threading.Thread(target=second)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert seen == {"first": [1, 2], "second": [1, 1, 3]}
    assert torch.get_num_threads() == 4


def test_what_another_thread_sets_for_new_threads_meanwhile_stays():
    torch.set_num_threads(3)
    with threads.suited(1000):
        in_new_thread(lambda: set_in_new_thread(2))
    assert torch.get_num_threads() == 3
    assert number_of_a_new_thread() == 2


def test_many_threads_at_once_leave_everything_as_it_was():
    torch.set_num_threads(3)
    start = threading.Barrier(8, timeout=60)
    seen = []

    def work():
        start.wait()
        for _ in range(20):
            before = torch.get_num_threads()
            with threads.suited(1000):
                inside = torch.get_num_threads()
            seen.append((before, inside, torch.get_num_threads()))

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(seen) == 160
    assert {inside for _, inside, _ in seen} == {1}
    assert all(before == after for before, _, after in seen)
    assert number_of_a_new_thread() == 3


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere torch sets the number")
def test_openmp_and_mkl_are_found_and_obey(request):
    """MKL says what was set before, 0 if nothing was."""
    request.getfixturevalue("monkeypatch").undo()
    setters = threads._own_setters()
    torch.set_num_threads(3)
    assert len(setters) == 1 + torch.backends.mkl.is_available()
    with threads.suited(1000):
        numbers = [torch.get_num_threads(), *(set_own(1) for set_own in setters[1:])]
        assert set(numbers) == {1}
    assert {set_own(3) for set_own in setters[1:]} <= {3}


# --- how large work is --------------------------------------------------------------------------


def test_a_decorated_function_is_what_it_was_and_runs_on_suited_threads():
    @threads.decided_by(threads.elements)
    def product(x: torch.Tensor, factor: float = 2.0) -> tuple[float, int]:
        """A product."""
        return (factor * x).sum().item(), torch.get_num_threads()

    torch.set_num_threads(3)
    assert product(torch.ones(4), factor=3.0) == (12.0, 1)
    assert product(torch.ones(1).expand(2**24)) == (2.0**25, 3)
    assert product.__doc__ == "A product."
    assert list(inspect.signature(product).parameters) == ["x", "factor"]


def test_elements_are_those_of_the_largest_argument():
    assert threads.elements(torch.zeros(3), "text", y=torch.zeros(4, 5)) == 20 * threads.ELEMENT
    assert threads.elements() == threads.ELEMENT
    assert threads.elements(torch.zeros(3), torch.zeros(3, device="meta")) == float("inf")


def test_a_denoiser_says_how_much_it_computes_and_a_function_does_not():
    ring = toy("ring8")
    assert threads.denoising(ring, 100) == threads.denoising(ring.denoise, 100) == 25_600
    assert threads.denoising(lambda z, logsnr: z, 100) == float("inf")


def largest_product(model, shape, n):
    """Multiply-adds of the largest matrix product, counted as torch computes it."""
    counts = []

    class Counter(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            name = function.overloadpacket.__name__
            if name in ("bmm", "baddbmm"):
                left = args[-2] if name == "baddbmm" else args[0]
                counts.append(result.numel() * left.shape[-1])
            return result

    weights = [torch.zeros(1, *size) for size, _ in model.weights(shape)]
    attend = torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)
    with Counter(), attend:
        model(weights, torch.zeros(1, n, *shape), torch.zeros(1, n))
    return max(counts)


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (MLP(), (2,)),
        (MLP(width=5, depth=1), (40,)),
        (Transformer(), (8, 8)),
        (Transformer(width=8, heads=2, patch=1), (8, 8)),
        (Transformer(width=8, heads=2, patch=8), (3, 8, 8)),
    ],
)
def test_the_work_of_a_network_is_that_of_its_largest_product(model, shape):
    assert multiply_adds(model, shape, 5) == largest_product(model, shape, 5)


class Unknown:
    """A network that does not say how much it computes."""

    def weights(self, shape):
        return [((3, 4), 1.0), ((1, 4), 0.0)]

    def __call__(self, weights, z, logsnr):
        return z


def test_the_work_of_an_unknown_network_follows_from_its_weights_for_vectors_alone():
    assert multiply_adds(Unknown(), (2,), 10) == 120
    assert multiply_adds(Unknown(), (2, 2), 10) == float("inf")


# --- processes ----------------------------------------------------------------------------------


def threads_of_a_worker():
    """Numbers of torch in the main thread and a new one, and the settings for other libraries."""
    return (
        torch.get_num_threads(),
        number_of_a_new_thread(),
        [os.environ.get(name) for name in threads.ONE_THREAD],
    )


@pytest.mark.slow
def test_a_process_of_a_pool_has_one_thread(monkeypatch):
    for name in threads.ONE_THREAD:
        monkeypatch.setenv(name, "3")
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, initializer=threads.one_per_process) as pool:
        assert pool.submit(threads_of_a_worker).result() == (1, 1, ["1", "1", "1"])


def test_torch_that_is_loaded_already_is_told(monkeypatch):
    for name in threads.ONE_THREAD:
        monkeypatch.setenv(name, "3")
    torch.set_num_threads(3)
    threads.one_per_process()
    assert torch.get_num_threads() == 1
    assert [os.environ[name] for name in threads.ONE_THREAD] == ["1", "1", "1"]


@pytest.mark.parametrize("name", ["suited", "decided_by", "elements", "on_cpu", "denoising"])
def test_the_examples_run(name):
    run_session(inspect.getdoc(getattr(threads, name)), name)
