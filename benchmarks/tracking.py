"""What tracking the loss by log-SNR adds to a training step, in CPU seconds of one thread.

It is compared with two usual ways, a mask for each bin and ``.item()`` for each sample. Draws of an
adaptive objective are compared with those of a fixed one. At last come the slopes of the tracker's
cost with the batch size: an exponent of 1 is in proportion, and what a batch costs beside its
samples makes it less.

Run: python benchmarks/tracking.py [--batches N ...]
"""

import argparse
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from timing import seconds
from torch import Tensor, nn

from diffviz.learning.adaptive import AdaptiveObjective
from diffviz.learning.tracking import LossByLogSNR
from diffviz.theory.families import flow_uniform

BINS = 100
LOW, HIGH = -10.0, 10.0
EDGES = np.linspace(LOW, HIGH, BINS + 1)
UNEVEN_EDGES = np.sort(
    np.concatenate([[LOW, HIGH], np.random.default_rng(0).uniform(LOW, HIGH, BINS - 1)])
)
SIZES = 64, 256, 1024, 4096, 16384
DRAW_STEPS = 32  # steps that draw their levels at once


def cost(step: Callable[[], object], repeats: int) -> float:
    """CPU seconds of one step: the least of five blocks, after one that warms up."""

    def block() -> None:
        for _ in range(repeats):
            step()

    step()
    return min(seconds([block] * 5)) / repeats


def training_step(batch: int) -> Callable[[], object]:
    """A step of Adam on an MLP with three hidden layers of 128, for points of the plane."""
    layers: list[nn.Module] = []
    for inputs in (3, 128, 128):
        layers += [nn.Linear(inputs, 128), nn.SiLU()]
    network = nn.Sequential(*layers, nn.Linear(128, 2))
    adam = torch.optim.Adam(network.parameters())
    z, noise = torch.randn(batch, 3), torch.randn(batch, 2)

    def step() -> None:
        adam.zero_grad()
        (network(z) - noise).square().sum(1).mean().backward()
        adam.step()

    return step


def by_masks(logsnr: Tensor, loss: Tensor, means: Tensor) -> None:
    """Averages by one boolean mask for each bin."""
    for i, (low, high) in enumerate(pairwise(EDGES)):
        inside = (logsnr >= low) & (logsnr < high)
        if inside.any():
            means[i] = 0.99 * means[i] + 0.01 * loss[inside].mean()


def by_items(logsnr: Tensor, loss: Tensor, means: list[float]) -> None:
    """Averages by one ``.item()`` for each sample."""
    for level, value in zip(logsnr, loss, strict=True):
        i = int((level.item() - LOW) * BINS / (HIGH - LOW))
        if 0 <= i < BINS:
            means[i] = 0.99 * means[i] + 0.01 * value.item()


def costs(batch: int) -> dict[str, float]:
    """CPU seconds of each way for one batch."""
    logsnr, loss = 3 * torch.randn(batch), 2 * torch.rand(batch, requires_grad=True)
    plain = LossByLogSNR(EDGES)
    trackers = {
        "tracker": plain,
        "tracker, three decays": LossByLogSNR(EDGES, (0.9, 0.99, 0.999)),
        "tracker, uneven bins": LossByLogSNR(UNEVEN_EDGES),
    }
    rows = {
        name: cost(partial(tracker.update, logsnr, loss), 640) for name, tracker in trackers.items()
    }
    fixed, rng = flow_uniform(), np.random.default_rng(0)
    for objective in (AdaptiveObjective(fixed, plain), fixed):
        draw = partial(objective.draw, DRAW_STEPS * batch, rng)
        rows[f"draws of {objective.name}"] = cost(draw, 5) / DRAW_STEPS
    values = loss.detach()
    rows["a mask for each bin"] = cost(partial(by_masks, logsnr, values, torch.ones(BINS)), 5)
    rows[".item() for each sample"] = cost(partial(by_items, logsnr, values, [1.0] * BINS), 2)
    return rows


def print_slopes() -> None:
    """Print how the cost of an update grows with the batch, and what a batch and a sample cost."""
    added = {}
    for batch in SIZES:
        tracker = LossByLogSNR(EDGES)
        logsnr, loss = 3 * torch.randn(batch), 2 * torch.rand(batch, requires_grad=True)
        added[batch] = cost(partial(tracker.update, logsnr, loss), 640)
    print("an update, by the size of the batch:")
    for batch, seconds_added in added.items():
        print(f"  {batch:8d}{1e6 * seconds_added:10.1f} microseconds")
    for low, high in pairwise(SIZES):
        exponent = np.log(added[high] / added[low]) / np.log(high / low)
        print(f"  exponent from {low} to {high}: {exponent:.2f}")
    slope, start = np.polyfit(SIZES, [1e6 * added[batch] for batch in SIZES], 1)
    print(f"  a line: {start:.1f} microseconds a batch and {1e3 * slope:.1f} ns a sample")


def main() -> None:
    """Print what each way adds to a step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, nargs="+", default=[256, 4096], help="batch sizes")
    torch.set_num_threads(1)
    for batch in parser.parse_args().batches:
        training = cost(training_step(batch), 100)
        print(f"batch {batch}: a training step takes {1e6 * training:.0f} microseconds")
        for name, added in costs(batch).items():
            share = added / training
            print(f"  {name:40s}{1e6 * added:10.1f} microseconds  {share:9.2%} of the step")
    print_slopes()


if __name__ == "__main__":
    main()
