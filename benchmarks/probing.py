"""What a probe costs, beside three plain passes of the same loss on as many draws.

A pass is forward and backward. Both are timed for points of the plane and for images of 32 x 32.
The peak of the memory of the process is taken after the plain passes and again after the probes.

Run: python benchmarks/probing.py [--draws N]
"""

import argparse
import resource
from collections.abc import Callable
from functools import partial

import torch
from timing import seconds

from diffviz.lab import losses
from diffviz.probing.measure import probe

BATCH_SIZE = 2**18  # numbers in a batch of the plain passes, at most
PASSES = 3


def plain_passes(loss: Callable, x: torch.Tensor, draws: int) -> None:
    """Three forward and backward passes on that many draws, for a network that is a bias."""
    bias = torch.zeros(x.shape[1:], requires_grad=True)
    size = min(draws, BATCH_SIZE // x[0].numel())
    batch = x[torch.arange(size) % len(x)]

    def network(z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return 0 * z + bias

    for _ in range(PASSES * draws // size):
        torch.autograd.grad(loss(network, batch), bias)


def peak_memory() -> float:
    """Largest memory of the process so far, in GB; Linux counts it in kB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    """Print CPU seconds of a probe, how many times the plain passes that is, and its memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=20_000, help="draws of a probe")
    draws = parser.parse_args().draws
    torch.set_num_threads(1)
    for shape in ((2,), (3, 32, 32)):
        x = torch.randn(64, *shape, generator=torch.Generator().manual_seed(0))
        for name in ("flow matching", "EDM"):
            loss = losses.LOSSES[name]
            passed = min(seconds([partial(plain_passes, loss, x, draws)] * 3))
            before = peak_memory()
            probed = min(seconds([partial(probe, loss, x, draws=draws)] * 3))
            print(
                f"{shape!s:12} {name:14} {probed:5.2f} CPU s (budget 2), "
                f"{probed / passed:.2f} times three plain passes (budget 1.5 for images), "
                f"{peak_memory() - before:.2f} GB more"
            )


if __name__ == "__main__":
    main()
