"""What adapting the density of log-SNR saves on the digits, for several weightings.

A number is a variance under an objective's own density over that under another density: how many
times fewer draws say as much. It is taken for the value of the loss and for its gradient, with all
λ in [−10, 10] and densities cut to that. ``diffviz.learning.variance.gains`` says what the columns
are.

The first table is for the ideal denoiser (the value only). The others are for networks that were
trained with flow matching, a short and a longer time: the gain depends on how much of the loss is
left.

Run: OMP_NUM_THREADS=1 python benchmarks/variance.py [--steps N N]
"""

import argparse
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

import diffviz as dv
from diffviz.learning import variance

WEIGHTINGS = "iddpm-cosine", "elbo", "sigmoid-bias2", "fm-ot", "sd3", "edm"
LEVELS = np.linspace(-10, 10, 41)
TRAIN, HELD = 20_000, 256


@dataclass(frozen=True)
class Network:
    """A network to train.

    Args:
        name: What the table calls it.
        model: The network.
        shape: Shape of the data that it takes, without the number of points.
    """

    name: str
    model: Any
    shape: tuple[int, ...]


NETWORKS = (
    Network("MLP", dv.models.MLP(128), (64,)),
    Network("transformer", dv.models.Transformer(), (8, 8)),
)


def trained_table(network: Network, steps: int, train: Tensor, held: Tensor) -> str:
    """The table of a trained network, with what it cost, as text."""
    start = time.process_time()
    (run,) = dv.fit(
        "fm-ot",
        train.reshape(-1, *network.shape),
        model=network.model,
        steps=steps,
        batch=256,
        learning_rate=3e-3,
        progress=False,
    )
    trained = time.process_time()
    value, gradient = variance.trained(run, held.reshape(-1, *network.shape), LEVELS)
    objectives = [dv.objective(name) for name in WEIGHTINGS]
    table = variance.table(objectives, value, gradient)
    spent = (
        f"{trained - start:.0f} CPU seconds of training, "
        f"{time.process_time() - trained:.0f} of measuring"
    )
    return f"{network.name}, {steps} steps ({spent})\n{table}"


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--steps", type=int, nargs=2, default=[200, 800], help="of the MLP and of the transformer"
    )
    steps = parser.parse_args().steps
    torch.set_num_threads(1)
    digits = dv.toy("digits")
    objectives = [dv.objective(name) for name in WEIGHTINGS]
    print("ideal denoiser\n" + variance.table(objectives, variance.exact(digits, LEVELS)))
    train = digits.sample(TRAIN, torch.Generator().manual_seed(TRAIN)).float()
    held = digits.sample(HELD, torch.Generator().manual_seed(HELD)).float()
    for network, count in zip(NETWORKS, steps, strict=True):
        print(trained_table(network, count, train, held), flush=True)


if __name__ == "__main__":
    main()
