"""What a probe of 20,000 draws costs, beside three plain forward and backward passes of the same loss on as many draws.

Run: PYTHONPATH=notebooks python benchmarks/probing.py
"""

import torch
from timing import seconds

from diffviz.lab import losses
from diffviz.probing.measure import probe

DRAWS = 20_000


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

            probed, passed = (
                min(seconds([step] * 3)) for step in (lambda loss=loss, x=x: probe(loss, x), plain)
            )
            print(
                f"{shape!s:12} {name:14} {probed:5.2f} CPU s (budget 2), {probed / passed:.2f} times three plain passes"
            )


if __name__ == "__main__":
    main()
