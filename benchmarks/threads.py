"""Two threads of torch beside one, for each door that computes with it, small work and large.

For each door there are three times: on one thread; on two, as torch does it by itself ("torch");
and with the caller's setting at two, where the door decides ("decided", ``compute.threads``). The
table has the seconds of one thread and the ratios of the others to it, on the wall clock, the
medians of some calls that take turns. Large work is above ``threads.SMALL``.

"--busy" starts as many processes that only compute as there are cores. This is where threads that
wait for each other cost most, as on a machine that runs tests or several notebooks.

Before the table stands the size from which on two threads pay for one operation, a batched matrix
product and an exponential.

Run: python benchmarks/threads.py [--doors DOOR ...] [--busy] [--repeats N]
"""

import argparse
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cache, partial

import torch
from timing import machine, seconds

import diffviz as dv
from diffviz.compute import threads
from diffviz.lab import losses
from diffviz.learning.validation import validation_loss
from diffviz.learning.velocity import fit_velocity
from diffviz.policy import bandit
from diffviz.sampling import couplings
from diffviz.search import goals

Call = Callable[[], object]
SIZES = range(16, 31, 2)  # exponents of 2, of the multiply-adds of one operation
QUIET = {"progress": False, "batch": 256}


def generator() -> torch.Generator:
    """A generator of the same numbers at each call."""
    return torch.Generator().manual_seed(0)


@cache
def points(n: int, d: int = 2) -> torch.Tensor:
    """Standard normal points."""
    return torch.randn(n, d, generator=generator())


@cache
def run(width: int) -> dv.Run:
    """A run of a perceptron that is hardly trained."""
    model = dv.models.MLP(width=width)
    return dv.fit("fm-ot", points(1000), model=model, steps=2, **QUIET)[0]


def train(width: int, steps: int) -> object:
    """A short training."""
    model = dv.models.MLP(width=width)
    return dv.fit(["fm-ot", "edm"], points(5000), model=model, steps=steps, **QUIET)


def track(batch: int, steps: int) -> object:
    """The mean loss by log-SNR of some batches."""
    tracker = dv.LossByLogSNR(torch.linspace(-10, 10, 51))
    for _ in range(steps):
        tracker.update(points(batch)[:, 0], points(batch)[:, 1])
    return tracker.mean


def wide_dataset() -> dv.data.Toy:
    """Points in 3,072 dimensions with an exact denoiser."""
    return dv.data.dataset(points(400, 3072).numpy(), 0.5)


@cache
def wide() -> dv.data.Toy:
    """``wide_dataset``, made once."""
    return wide_dataset()


DOORS: dict[str, tuple[Call, Call]] = {
    "fit": (partial(train, 64, 50), partial(train, 1024, 1)),
    "Run.denoise": (
        lambda: run(64).denoise(points(1000), 0.0),
        lambda: run(1024).denoise(points(2000), 0.0),
    ),
    "sample": (
        lambda: dv.sample(run(64), start=points(1000)),
        lambda: dv.sample(run(1024), [-8.0, 0.0, 8.0], start=points(2000)),
    ),
    "elbo": (
        lambda: dv.elbo(run(64), points(100), levels=32, generator=generator()),
        lambda: dv.elbo(run(1024), points(100), levels=32, generator=generator()),
    ),
    "log_likelihood": (
        lambda: dv.log_likelihood(run(64), points(200), steps=5),
        lambda: dv.log_likelihood(run(1024), points(2000), low=-1, high=1, steps=1),
    ),
    "Toy.denoise": (
        lambda: dv.toy("moons").denoise(points(4000), 0.0),
        lambda: wide().denoise(points(400, 3072), 0.0),
    ),
    "Toy.mmse": (
        lambda: dv.toy("moons").mmse([0.0, 4.0]),
        lambda: wide().mmse([0.0], draws=400),
    ),
    "validation_loss": (
        lambda: validation_loss(run(64).denoise, points(1000), dv.objective("fm-ot"), 8),
        lambda: validation_loss(run(1024).denoise, points(2000), dv.objective("fm-ot"), 1),
    ),
    "fit_velocity": (
        lambda: fit_velocity(points(1000), points(1000) + 3, generator(), steps=50),
        lambda: fit_velocity(points(1000), points(1000) + 3, generator(), 1, 1000, 1024),
    ),
    "couplings": (
        lambda: couplings.crossings(points(500), points(500) + 1),
        lambda: couplings.crossings(points(4000), points(4000) + 1),
    ),
    "energy_distance": (
        lambda: goals.energy_distance(points(500), points(500) + 1),
        lambda: goals.energy_distance(points(4000), points(4000) + 1),
    ),
    "probe": (
        lambda: dv.probe(losses.LOSSES["flow matching"], points(64), draws=4000),
        lambda: dv.probe(losses.LOSSES["flow matching"], points(64, 2**18), draws=100, batch=50),
    ),
    "LossByLogSNR": (partial(track, 512, 200), partial(track, 2**24, 1)),
    "learn": (
        lambda: bandit.learn("fpo", iterations=1, epochs=4),
        lambda: bandit.learn("fpo", iterations=1, batch=9000, epochs=1),
    ),
}


@contextmanager
def never_decided() -> Iterator[None]:
    """Leave all work to torch, as if it were large."""
    small = threads.SMALL
    threads.SMALL = -1.0
    try:
        yield
    finally:
        threads.SMALL = small


def timed(call: Call, number: int, decided: bool = True) -> float:
    """Seconds of a call with a number of threads on the wall clock."""
    torch.set_num_threads(number)
    with nullcontext() if decided else never_decided():
        (spent,) = seconds([call], time.perf_counter)
    return spent


def compare(call: Call, repeats: int) -> tuple[float, float, float]:
    """Medians of the seconds of one thread, of two, and of two where the door decides."""
    call()
    rounds = [(timed(call, 1), timed(call, 2, False), timed(call, 2)) for _ in range(repeats)]
    one, both, decided = (statistics.median(column) for column in zip(*rounds, strict=True))
    return one, both, decided


def operations(size: int) -> dict[str, Call]:
    """A matrix product and an exponential of about a number of multiply-adds."""
    rows = max(1, size // 64**2)
    x, weight, bias = torch.randn(1, rows, 64), torch.randn(1, 64, 64), torch.randn(1, 1, 64)
    numbers = torch.randn(max(1, size // threads.ELEMENT))
    return {"product": partial(torch.baddbmm, bias, x, weight), "exp": numbers.exp}


def print_operations(repeats: int) -> None:
    """Print how much faster two threads are than one, by the size of an operation."""
    print(
        f"{'multiply-adds':>14}{'product, us':>14}{'speed-up':>10}{'exp, us':>14}{'speed-up':>10}"
    )
    for exponent in SIZES:
        row = f"{f'2^{exponent}':>14}"
        for call in operations(2**exponent).values():
            one, both, _ = compare(call, 3 * repeats)
            row += f"{1e6 * one:14.1f}{one / both:10.2f}"
        print(row, flush=True)


def print_doors(names: list[str], repeats: int) -> None:
    """Print the table of the doors."""
    print(f"{'':24}{'one thread, s':>14}{'two: torch':>12}{'two: decided':>14}")
    for name in names:
        for size, call in zip(("small", "large"), DOORS[name], strict=True):
            one, both, decided = compare(call, repeats)
            ratios = f"{both / one:12.2f}{decided / one:14.2f}"
            print(f"{f'{name}, {size}':24}{one:14.4f}{ratios}", flush=True)


def spin() -> None:
    """Compute until the end."""
    while True:
        sum(range(10_000))


@contextmanager
def busy(is_busy: bool) -> Iterator[None]:
    """Keep all cores busy with other processes, or leave them as they are."""
    spawn = multiprocessing.get_context("spawn")
    count = os.cpu_count() if is_busy else 0
    others = [spawn.Process(target=spin, daemon=True) for _ in range(count or 0)]
    for other in others:
        other.start()
    try:
        yield
    finally:
        for other in others:
            other.terminate()


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--doors", nargs="*", default=list(DOORS), choices=DOORS)
    parser.add_argument("--busy", action="store_true", help="keep all cores busy meanwhile")
    parser.add_argument("--repeats", type=int, default=5, help="calls of each kind")
    arguments = parser.parse_args()
    print(machine() + (", all cores kept busy" if arguments.busy else ""))
    with busy(arguments.busy):
        print_operations(arguments.repeats)
        print_doors(arguments.doors, arguments.repeats)


if __name__ == "__main__":
    main()
