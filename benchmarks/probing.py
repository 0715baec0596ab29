"""What a probe of 20,000 draws costs, beside three plain forward and backward passes of the same loss on as many draws.

Run: python benchmarks/probing.py
"""

import sys
import time
from pathlib import Path

import torch

from diffviz.probing import probe

sys.path.insert(0, str(Path(__file__).parents[1] / "notebooks"))
from suite import losses

DRAWS = 20_000


def seconds(step) -> float:
    """Shortest CPU time of step() of three."""
    times = []
    for _ in range(3):
        start = time.process_time()
        step()
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    torch.set_num_threads(1)
    for shape in ((2,), (3, 32, 32)):
        x = torch.randn(64, *shape, generator=torch.Generator().manual_seed(0))
        batch = x[torch.arange(min(DRAWS, 2**18 // x[0].numel())) % 64]
        for name in ("flow matching", "EDM"):
            loss, bias = losses.LOSSES[name], torch.zeros(shape, requires_grad=True)

            def plain(loss=loss, batch=batch, bias=bias):
                for _ in range(3 * DRAWS // len(batch)):
                    torch.autograd.grad(loss(lambda z, t: 0 * z + bias, batch), bias)

            ours, theirs = seconds(lambda loss=loss, x=x: probe(loss, x)), seconds(plain)
            print(
                f"{shape!s:12} {name:14} {ours:5.2f} s (budget 2)   three plain passes {theirs:5.2f} s   ratio {ours / theirs:.2f}"
            )


if __name__ == "__main__":
    main()
