"""What sampling costs: 10,000 points of the plane, 50 Euler steps, with an MLP of the size that the notebooks train, and without.

Run: python benchmarks/samplers.py
"""

import statistics
import time
from itertools import pairwise
from types import SimpleNamespace

import torch

import diffviz as dv
from diffviz.sampling import grids
from diffviz.theory.paths import COSINE


def seconds(step, repeats: int = 5) -> float:
    """Median time of step(), in s, after one to warm up."""
    step()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    sizes = [3, 64, 64, 64]
    layers = [
        layer for i, o in pairwise(sizes) for layer in (torch.nn.Linear(i, o), torch.nn.SiLU())
    ]
    net = torch.nn.Sequential(*layers, torch.nn.Linear(64, 2))
    models = {
        "MLP 3 x 64": lambda z, logsnr: net(torch.cat([z, logsnr.expand(len(z), 1) / 10], 1)),
        "no network": lambda z, logsnr: logsnr.sigmoid().sqrt() * z,
    }
    grid = grids.grid(COSINE.schedule, 50)
    for name, denoise in models.items():
        model = SimpleNamespace(denoise=denoise, mean=torch.zeros(2))
        taken = seconds(lambda model=model: dv.sample(model, grid, solver="ddim", n=10_000))
        print(
            f"10,000 samples, 50 Euler steps, {name}  {taken:6.3f} s   (budget 1)   on {torch.get_num_threads()} threads"
        )


if __name__ == "__main__":
    main()
