"""Memory that a door takes beside a file of random images that is larger than it may hold.

Each door runs in a process of its own, forked from one that has imported what all of them need.
What counts is anonymous memory (RssAnon of /proc/self/status, sampled every 10 ms): pages of a
mapped file belong to the file, and the system takes them back when it needs them.

Run: python benchmarks/memory.py [--megabytes 4096] [--folder DIR] [--doors NAME ...] [--limit MB]
"""

import argparse
import multiprocessing
import os
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

import diffviz as dv

MIB = 2**20
SHAPE = 3, 32, 32
PIECE = 8 * MIB  # bytes that are written at once
IMPORTED = ["diffviz.learning.training", "diffviz.learning.tracking", "diffviz.probing.measure"]
SETTINGS = {"steps": 20, "batch": 128, "progress": False}
MODEL = dv.models.MLP(width=32, depth=1, frequencies=())


def write(path: Path, megabytes: int, dtype: str) -> None:
    """Write random images (n, 3, 32, 32), none of it sparse."""
    rng = np.random.default_rng(0)
    size = np.dtype(dtype).itemsize * int(np.prod(SHAPE))
    left = megabytes * MIB // size
    with path.open("wb") as file:
        while left:
            n = min(left, PIECE // size)
            file.write(random_images(rng, n, dtype).tobytes())
            left -= n


def random_images(rng: np.random.Generator, n: int, dtype: str) -> NDArray:
    """Images of noise in float32, or of uint8."""
    if dtype == "u1":
        return rng.integers(0, 256, (n, *SHAPE), np.uint8)
    return rng.standard_normal((n, *SHAPE), "f4")


def images(path: Path, dtype: str = "f4") -> NDArray:
    """The images of a file, mapped into memory."""
    return np.memmap(path, dtype, "r").reshape(-1, *SHAPE)


def fit(path: Path) -> None:
    """A training on an array."""
    dv.fit("fm-ot", images(path), model=MODEL, **SETTINGS)


def fit_uint8(path: Path) -> None:
    """A training on bytes."""
    dv.fit("fm-ot", images(path, "u1"), model=MODEL, **SETTINGS)


def fit_loader(path: Path) -> None:
    """A training on a torch ``DataLoader``."""
    size = path.stat().st_size // 4
    tensor = torch.from_file(str(path), shared=True, size=size).view(-1, *SHAPE)
    loader = DataLoader(TensorDataset(tensor), batch_size=256)
    dv.fit("fm-ot", loader, model=MODEL, **SETTINGS)


def flow_loss(model: Callable[[Tensor, Tensor], Tensor], x: Tensor) -> Tensor:
    """Flow matching, to be probed."""
    t = torch.rand(len(x), 1, 1, 1)
    eps = torch.randn_like(x)
    return ((model((1 - t) * x + t * eps, t.flatten()) - (eps - x)) ** 2).mean()


def probe(path: Path) -> None:
    """A measurement with examples from a file."""
    size = path.stat().st_size // 4
    tensor = torch.from_file(str(path), shared=True, size=size).view(-1, *SHAPE)
    dv.probe(flow_loss, tensor, draws=400, batch=50)


def tracker(path: Path) -> None:
    """The loss by log-SNR of a run's log, as one batch and batch by batch."""
    numbers = np.memmap(path, "f4", "r").reshape(2, -1)
    follower = dv.LossByLogSNR(np.linspace(-4, 4, 41))
    follower.update(numbers[0], numbers[1])
    rows = numbers.reshape(2, 64, -1)
    follower.update_many(zip(rows[0], rows[1], strict=True))
    assert follower.count.sum() == 2 * numbers.shape[1]


DOORS: dict[str, Callable[[Path], None]] = {
    "fit": fit,
    "fit uint8": fit_uint8,
    "fit loader": fit_loader,
    "probe": probe,
    "tracker": tracker,
}


def status(name: str) -> float:
    """A number of /proc/self/status in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(f"{name}:")]
    return int(line.split()[1]) / 1024


class Peak:
    """Largest anonymous memory of this process while a block runs, in MiB."""

    def __init__(self) -> None:
        self.before = status("RssAnon")
        self.value = self.before
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def _sample(self) -> None:
        """Look every 10 ms."""
        while not self._done.wait(0.01):
            self.value = max(self.value, status("RssAnon"))

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def warm_up(door: str, folder: Path) -> None:
    """Run a door on a small file, so that what it imports and keeps is there beforehand."""
    small = folder / "small"
    write(small, 4, "u1" if door == "fit uint8" else "f4")
    DOORS[door](small)
    small.unlink()


def run_door(door: str, path: Path, limit: int | None) -> None:
    """Run one door in this process, and print what it took."""
    torch.set_num_threads(1)
    warm_up(door, path.parent)
    with Peak() as peak:
        if limit is not None:  # allocations beyond it fail, whether they are sampled or not
            most = int((status("VmData") + limit) * MIB)
            resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        start = time.process_time()
        DOORS[door](path)
        seconds = time.process_time() - start
    risen = peak.value - peak.before
    print(f"{door:12s}{peak.before:10.0f}{peak.value:10.0f}{risen:10.0f}{seconds:10.1f}")


def main() -> None:
    """Write the file, run each door on it in a process of its own, and remove the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=4096, help="size of the file")
    parser.add_argument("--folder", type=Path, help="where the file is written")
    parser.add_argument("--doors", nargs="+", choices=DOORS, default=list(DOORS))
    parser.add_argument("--limit", type=int, help="MiB beyond which a door fails")
    chosen = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(IMPORTED)
    print(f"{chosen.megabytes} MiB of random images; anonymous memory in MiB")
    print(f"{'':12s}{'before':>10s}{'most':>10s}{'risen':>10s}{'CPU s':>10s}", flush=True)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        for door in chosen.doors:
            path = Path(folder) / ("bytes" if door == "fit uint8" else "floats")
            if not path.exists():
                for old in Path(folder).iterdir():
                    old.unlink()
                write(path, chosen.megabytes, "u1" if door == "fit uint8" else "f4")
            process = processes.Process(target=run_door, args=(door, path, chosen.limit))
            process.start()
            process.join()
            if process.exitcode:
                sys.exit(f"{door} ended with status {process.exitcode}")


if __name__ == "__main__":
    main()
