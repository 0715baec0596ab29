"""Digits from ``dv.fit``: are samples recognisable, and what does it cost?

1,500 of the 1,797 digits train, the rest are held out. An image is recognised if its five nearest
training digits have one label. That is asked of 1,000 samples (Heun, 24 steps), of the held-out
digits, and of images of the second-order statistics only (a normal law with the data's mean and
covariance). The distance to the nearest training digit, beside that of the held-out ones, shows
that samples are no copies.

Run: python benchmarks/digits.py [--steps N] [--picture FILE.png]
"""

import argparse
import time

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import diffviz as dv
from diffviz.data.files import load
from diffviz.learning.runs import Run
from diffviz.sampling import grids

SAMPLES = 1000
NEIGHBOURS = 5
TRAIN = 1500
SAMPLING_STEPS = 24


def judge(x: Tensor, known: Tensor, labels: Tensor) -> tuple[float, float, list[int]]:
    """Whether images look like known digits.

    Args:
        x: Images, shape (n, 64).
        known: Known digits, shape (m, 64).
        labels: Their labels, shape (m,).

    Returns:
        Share of x whose nearest known digits have one label, median distance to the nearest, and
        how often each label came.
    """
    distance, nearest = torch.cdist(x, known).topk(NEIGHBOURS, largest=False)
    neighbours = labels[nearest]
    agree = (neighbours == neighbours[:, :1]).all(1)
    share = agree.double().mean().item()
    counts = neighbours[agree, 0].bincount(minlength=10).tolist()
    return share, distance[:, 0].median().item(), counts


def shuffled_digits() -> tuple[Tensor, Tensor]:
    """All digits on [−1, 1], shape (n, 8, 8), and their labels, in mixed order."""
    file = load("digits")
    order = np.random.default_rng(0).permutation(len(file["images"]))
    images = torch.from_numpy(file["images"][order].astype("f4") / 8 - 1)
    labels = torch.from_numpy(file["labels"][order].astype("i8"))
    return images, labels


def normal_images(known: Tensor) -> Tensor:
    """Images with the mean and covariance of digits, shape (n, 64)."""
    points = known.numpy()
    draw = np.random.default_rng(1).multivariate_normal(
        points.mean(0), np.cov(points.T), size=SAMPLES
    )
    return torch.from_numpy(draw.astype("f4"))


def save_picture(samples: Tensor, file: str) -> None:
    """Save 40 samples as a sheet of 4 x 10."""
    frame = ((0, 0), (1, 1), (1, 1))
    tiles = np.pad(samples[:40].clamp(-1, 1).numpy(), frame, constant_values=-1.0)
    sheet = tiles.reshape(4, 10, 10, 10).transpose(0, 2, 1, 3).reshape(40, 100)
    pixels = (127.5 * (1 - sheet)).round().astype("u1")
    Image.fromarray(pixels).resize((600, 240), Image.Resampling.NEAREST).save(file)


def train(images: Tensor, steps: int) -> Run:
    """A run on digits; prints what it cost."""
    wall, cpu = time.perf_counter(), time.process_time()
    (run,) = dv.fit("fm-ot", images, steps=steps, batch=128, learning_rate=3e-3, progress=False)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{steps} steps: {wall:.1f} s, {cpu:.1f} CPU s")
    return run


def sample(run: Run) -> Tensor:
    """Samples of a run, shape (n, 8, 8); prints what they cost."""
    start = time.perf_counter()
    grid = grids.grid(dv.objective("fm-ot").law, SAMPLING_STEPS, low=-8, high=8)
    generator = torch.Generator().manual_seed(0)
    samples = dv.sample(run, grid, "heun", n=SAMPLES, generator=generator).samples
    print(f"{SAMPLES} samples: {time.perf_counter() - start:.1f} s")
    return samples


def main() -> None:
    """Train, sample, and print how many are recognised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000, help="steps of the training")
    parser.add_argument("--picture", default="", help="file for a picture of samples")
    options = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} thread(s)")
    images, labels = shuffled_digits()
    known, held = images[:TRAIN].flatten(1), images[TRAIN:].flatten(1)
    samples = sample(train(images[:TRAIN], options.steps))
    groups = {"samples": samples.flatten(1), "held out": held, "normal law": normal_images(known)}
    for name, x in groups.items():
        share, distance, counts = judge(x, known, labels[:TRAIN])
        print(f"{name:>10}: {share:.1%} recognised, nearest at {distance:.2f}, labels {counts}")
    if options.picture:
        save_picture(samples, options.picture)


if __name__ == "__main__":
    main()
