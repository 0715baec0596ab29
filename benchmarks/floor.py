"""How often the bracket of ``dv.floor`` holds the floor, and what it costs on a large file.

``coverage`` draws many data sets of a law whose floor is known. A row says how often the floor lies
above ``lower`` less two of its standard errors, below ``upper`` plus two, and between both: over
all levels, and at the worst level. Then comes the error of ``lower`` over its scatter from set to
set, the least and the mean over the levels where it is at least a twentieth of the floor. The last
columns are the medians of both bounds over the floor at the level where they are furthest apart,
and of the CPU seconds.

``latents`` writes a file of 100,000 points of 4,096 dimensions, maps it into memory and brackets
its floor in a process of its own. Memory is anonymous: pages of the file belong to the file.

Run: OMP_NUM_THREADS=1 python benchmarks/floor.py coverage [--laws NAME ...] [--counts N ...]
     OMP_NUM_THREADS=2 python benchmarks/floor.py latents [--folder DIR]
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from memory import Peak
from numpy.typing import NDArray

import diffviz as dv

LEVELS = np.linspace(-8, 12, 6)
REPEATS = {100: 200, 1000: 100, 10_000: 20, 100_000: 5}
NUMBERS = 2**26  # of a data set; larger ones are left out
LATENTS = 100_000, 4096


@dataclass(frozen=True)
class Law:
    """A law of data with a known floor.

    Args:
        sample: Points (n, *shape) from a number and a generator.
        floor: Least eps error at levels.
        size: Numbers in a point.
    """

    sample: Callable[[int, torch.Generator], torch.Tensor]
    floor: Callable[[NDArray], NDArray]
    size: int


def gaussian(variances: NDArray, shape: tuple[int, ...]) -> Law:
    """A Gaussian with independent coordinates."""
    std = torch.from_numpy(np.sqrt(variances))

    def sample(n: int, generator: torch.Generator) -> torch.Tensor:
        points = torch.randn(n, len(std), generator=generator, dtype=torch.float64) * std
        return points.float().reshape(n, *shape)

    def floor(logsnr: NDArray) -> NDArray:
        return (variances / (variances + np.exp(-logsnr)[:, None])).sum(1)

    return Law(sample, floor, len(std))


def of_toy(name: str) -> Law:
    """A toy by its name."""
    toy = dv.toy(name)
    return Law(toy.sample, toy.mmse, toy.mean.numel())


def mixture() -> Law:
    """A dozen Gaussians of three widths in the plane."""
    rng = np.random.default_rng(0)
    toy = dv.mixture(rng.normal(0, 2, (12, 2)), np.repeat([0.1, 0.3, 1.0], 4))
    return Law(toy.sample, toy.mmse, 2)


LAWS: dict[str, Callable[[], Law]] = {
    "Gaussian, d = 2": lambda: gaussian(np.array([1.0, 0.1]), (2,)),
    "Gaussian, d = 64": lambda: gaussian(1 / np.arange(1, 65.0), (64,)),
    "Gaussian, d = 3,072": lambda: gaussian(np.ones(3072), (3, 32, 32)),
    "spectrum, d = 3,072": lambda: gaussian(100 / np.arange(1, 3073.0) ** 1.2, (3072,)),
    "mixture": mixture,
    "gmm1": lambda: of_toy("gmm1"),
    "ring8": lambda: of_toy("ring8"),
    "moons": lambda: of_toy("moons"),
    "circle": lambda: of_toy("circle"),
    "checkerboard": lambda: of_toy("checkerboard"),
}


def row(name: str, law: Law, count: int, repeats: int) -> str:
    """How often the bracket of ``count`` points holds, as a line of the table."""
    truth = law.floor(LEVELS)
    above, below, seconds, low, high, errors = [], [], [], [], [], []
    for seed in range(repeats):
        x = law.sample(count, torch.Generator().manual_seed(seed))
        start = time.process_time()
        band = dv.floor(x, LEVELS, seed=seed, progress=False)
        seconds.append(time.process_time() - start)
        spare = 1e-9 * truth
        above.append(band.lower - 2 * band.lower_stderr <= truth + spare)
        below.append(truth - spare <= band.upper + 2 * band.upper_stderr)
        low.append(band.lower / truth)
        errors.append(band.lower_stderr / truth)
        high.append(band.upper / truth)
    sides = [np.array(side) for side in (above, below)]
    sides.append(sides[0] & sides[1])
    shares = "".join(f"{side.mean():8.1%} {side.mean(0).min():6.1%}" for side in sides)
    ends = np.median(low, 0), np.median(high, 0)
    seen = ends[0] > 0.05
    ratios = np.sqrt(np.mean(np.square(errors), 0)[seen]) / np.std(low, 0, ddof=1)[seen]
    at = int((ends[1] - ends[0]).argmax())
    return (
        f"{name:20s}{count:8,}{repeats:5d}{shares}{ratios.min():9.2f}{ratios.mean():6.2f}"
        f"{ends[0][at]:9.3f}{ends[1][at]:8.3f}"
        f"{LEVELS[at]:6.0f}{np.median(seconds):8.1f}"
    )


def coverage(laws: list[str], counts: list[int]) -> None:
    """Print the table of how often brackets hold."""
    print(
        f"{'law':20s}{'points':>8s}{'sets':>5s}{'over lower':>15s}{'under upper':>15s}"
        f"{'between':>15s}{'error/scatter':>15s}{'lower':>9s}{'upper':>8s}{'at λ':>6s}{'CPU s':>8s}"
    )
    for count in counts:
        for name in laws:
            law = LAWS[name]()
            repeats = REPEATS.get(count, 20)
            if law.size > 1000:
                repeats = max(3, repeats // 5)
            if count * law.size <= NUMBERS:
                print(row(name, law, count, repeats), flush=True)


def latent_variances() -> NDArray:
    """Falling variances of the coordinates of latents."""
    return 4 / np.arange(1, LATENTS[1] + 1.0) ** 0.5


def write_latents(path: Path) -> None:
    """Write Gaussian latents."""
    count, size = LATENTS
    std = np.sqrt(latent_variances()).astype("f4")
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        for _ in range(100):
            block = rng.standard_normal((count // 100, size), "f4")
            file.write((block * std).tobytes())


def bracket_latents(path: Path) -> None:
    """Bracket the floor of a file of latents in this process."""
    x = np.memmap(path, "f4", "r", shape=LATENTS)
    logsnr = np.linspace(-10, 10, 21)
    with Peak() as peak:
        wall, cpu = time.perf_counter(), time.process_time()
        band = dv.floor(x, logsnr, progress=False)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    truth = gaussian(latent_variances(), (LATENTS[1],)).floor(logsnr)
    print(band)
    print(np.column_stack([logsnr, band.lower / truth, band.upper / truth]).round(4))
    outside = (band.lower - 2 * band.lower_stderr > truth) | (
        truth > band.upper + 2 * band.upper_stderr
    )
    print(f"levels outside: {outside.sum()} of {len(logsnr)}")
    print(f"{wall:.0f} s, {cpu:.0f} CPU s, {peak.value:.0f} MiB, {torch.get_num_threads()} threads")


def latents(folder: Path | None) -> None:
    """Write the file and bracket it in a process of its own."""
    with tempfile.TemporaryDirectory(dir=folder) as made:
        path = Path(made) / "latents"
        write_latents(path)
        subprocess.run([sys.executable, __file__, "latents", "--file", str(path)], check=True)


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("coverage", "latents"))
    parser.add_argument("--laws", nargs="+", choices=LAWS, default=list(LAWS))
    parser.add_argument("--counts", nargs="+", type=int, default=list(REPEATS))
    parser.add_argument("--folder", type=Path, help="where the file is written")
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.what == "coverage":
        coverage(chosen.laws, chosen.counts)
    elif chosen.file is not None:
        bracket_latents(chosen.file)
    else:
        latents(chosen.folder)


if __name__ == "__main__":
    main()
