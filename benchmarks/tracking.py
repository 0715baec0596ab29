"""What tracking the loss by log-SNR adds to a training step, in CPU seconds of one thread, beside the usual ways to do it.

Run: python benchmarks/tracking.py
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from timing import seconds
from torch import nn

from diffviz.learning.adaptive import AdaptiveObjective
from diffviz.learning.tracking import LossByLogSNR
from diffviz.theory.families import flow_uniform

EDGES = np.linspace(-10, 10, 101)
UNEVEN = np.sort(np.r_[-10, 10, np.random.default_rng(0).uniform(-10, 10, 99)])


def cost(step: Callable[[], object], repeats: int) -> float:
    """CPU seconds of one step: the least of five blocks, after one that warms up."""
    step()
    return min(seconds([lambda: [step() for _ in range(repeats)]] * 5)) / repeats


def training_step(batch: int) -> Callable[[], object]:
    """A step of Adam on an MLP with three hidden layers of 128 for points of the plane."""
    net = nn.Sequential(
        nn.Linear(3, 128),
        nn.SiLU(),
        nn.Linear(128, 128),
        nn.SiLU(),
        nn.Linear(128, 128),
        nn.SiLU(),
        nn.Linear(128, 2),
    )
    adam = torch.optim.Adam(net.parameters())
    z, noise = torch.randn(batch, 3), torch.randn(batch, 2)

    def step():
        adam.zero_grad()
        (net(z) - noise).square().sum(1).mean().backward()
        adam.step()

    return step


def by_masks(logsnr: torch.Tensor, loss: torch.Tensor, means: torch.Tensor) -> None:
    """One boolean mask for each bin."""
    for i, (low, high) in enumerate(pairwise(EDGES)):
        inside = (logsnr >= low) & (logsnr < high)
        if inside.any():
            means[i] = 0.99 * means[i] + 0.01 * loss[inside].mean()


def by_items(logsnr: torch.Tensor, loss: torch.Tensor, means: list[float]) -> None:
    """One ``.item()`` for each sample."""
    for at, value in zip(logsnr, loss, strict=True):
        cell = int((at.item() + 10) * 5)
        if 0 <= cell < 100:
            means[cell] = 0.99 * means[cell] + 0.01 * value.item()


def costs(batch: int) -> dict[str, float]:
    """Seconds of each way for one batch."""
    logsnr, loss = 3 * torch.randn(batch), torch.rand(batch, requires_grad=True) * 2
    trackers = {
        "": LossByLogSNR(EDGES),
        ", three decays": LossByLogSNR(EDGES, (0.9, 0.99, 0.999)),
        ", uneven bins": LossByLogSNR(UNEVEN),
    }
    rows = {
        f"tracker{name}": cost(partial(one.update, logsnr, loss), 640)
        for name, one in trackers.items()
    }
    objective, rng, steps = flow_uniform(), np.random.default_rng(0), 32
    for law in (AdaptiveObjective(objective, trackers[""]), objective):
        rows[f"draws of {law.name}"] = cost(partial(law.draw, steps * batch, rng), 5) / steps
    rows["a mask for each bin"] = cost(partial(by_masks, logsnr, loss.detach(), torch.ones(100)), 5)
    rows[".item() for each sample"] = cost(partial(by_items, logsnr, loss.detach(), [1.0] * 100), 2)
    return rows


def main() -> None:
    torch.set_num_threads(1)
    for batch in (256, 4096):
        training = cost(training_step(batch), 100)
        print(f"batch {batch}: a training step takes {1e6 * training:.0f} microseconds")
        for name, added in costs(batch).items():
            print(
                f"  {name:40s}{1e6 * added:10.1f} microseconds  {added / training:9.2%} of the step"
            )


if __name__ == "__main__":
    main()
