"""Digits from ``dv.fit``: are samples recognisable, and what does it cost?

1,500 of the 1,797 digits train, the rest are held out. Recognisable: the five nearest training digits have one label. That is asked
of 1,000 samples (Heun, 24 steps), of the held-out digits, and of digits of the second-order statistics only (a normal law with the
data's mean and covariance). Distance to the nearest training digit, beside that of the held-out ones: not copies.

Run: python benchmarks/digits.py [steps] [picture.png]
"""

import os
import sys
import time

import numpy as np
import torch
from PIL import Image

import diffviz as dv
from diffviz.data.files import load
from diffviz.sampling import grids

SAMPLES, NEAR = 1000, 5


def judge(
    x: torch.Tensor, known: torch.Tensor, labels: torch.Tensor
) -> tuple[float, float, list[int]]:
    """Share of x (n, 64) whose nearest known digits agree, median distance to the nearest, and how often each label came."""
    distance, nearest = torch.cdist(x, known).topk(NEAR, largest=False)
    found = labels[nearest]
    agree = (found == found[:, :1]).all(1)
    return (
        agree.double().mean().item(),
        distance[:, 0].median().item(),
        found[agree, 0].bincount(minlength=10).tolist(),
    )


def main(steps: str = "2000", picture: str = "") -> None:
    file = load("digits")
    order = np.random.default_rng(0).permutation(len(file["images"]))
    images = torch.from_numpy(file["images"][order].astype("f4") / 8 - 1)
    labels = torch.from_numpy(file["labels"][order].astype("i8"))
    known, held = images[:1500].flatten(1), images[1500:].flatten(1)
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads of {os.cpu_count()}, load {os.getloadavg()[0]:.1f}"
    )

    wall, cpu = time.perf_counter(), time.process_time()
    (run,) = dv.fit(
        "fm-ot", images[:1500], steps=int(steps), batch=128, learning_rate=3e-3, progress=False
    )
    print(
        f"{steps} steps: {time.perf_counter() - wall:.1f} s, {time.process_time() - cpu:.1f} CPU s"
    )
    wall = time.perf_counter()
    grid = grids.grid(dv.objective("fm-ot").law, 24, low=-8, high=8)
    drawn = dv.sample(
        run, grid, "heun", n=SAMPLES, generator=torch.Generator().manual_seed(0)
    ).samples
    print(f"{SAMPLES} samples: {time.perf_counter() - wall:.1f} s")

    rng = np.random.default_rng(1)
    normal = torch.from_numpy(
        rng.multivariate_normal(known.numpy().mean(0), np.cov(known.numpy().T), SAMPLES).astype(
            "f4"
        )
    )
    for name, x in {"samples": drawn.flatten(1), "held out": held, "normal law": normal}.items():
        share, distance, counts = judge(x, known, labels[:1500])
        print(f"{name:>10}: {share:.1%} recognised, nearest at {distance:.2f}, labels {counts}")
    if picture:
        tiles = np.pad(
            drawn[:40].clamp(-1, 1).numpy(), ((0, 0), (1, 1), (1, 1)), constant_values=-1.0
        )
        sheet = tiles.reshape(4, 10, 10, 10).transpose(0, 2, 1, 3).reshape(40, 100)
        Image.fromarray((127.5 * (1 - sheet)).round().astype("u1")).resize(
            (600, 240), Image.Resampling.NEAREST
        ).save(picture)


if __name__ == "__main__":
    main(*sys.argv[1:])
