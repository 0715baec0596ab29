"""Make the tables of floors of the data in this folder again: diffviz/learning/floors/shipped.npz.

    python data/tabulate_floors.py

To be run when the images, their division or the computation of a floor has changed; it takes half a
minute.
"""

import numpy as np
import torch
from torch import Tensor

from diffviz.lab.experiments.training import IMAGE_LEVELS, fashion_parts
from diffviz.learning.floors import measure, shipped
from diffviz.learning.floors.parts import read

SEED = 0  # of dv.floor by default


def nothing(z: Tensor, logsnr: Tensor) -> Tensor:
    """A denoiser in the place of a network, which draws as much noise."""
    return torch.zeros_like(z)


def main() -> None:
    """Write the table of the floor that notebook 3 shows."""
    random = rng, _ = measure.generators(SEED)
    points, tried = (read(part, "data", rng) for part in fashion_parts())
    made = measure.measured(points, tried, IMAGE_LEVELS, None, nothing, random)
    kernels = made.trials.kernels
    first, second = (half["kernels"] for half in made.trials.losses)
    known = shipped.KnownFloor(made.own, len(kernels.points), kernels.ratios, (first, second))
    settings = {"draws": None, "seed": SEED, "network": True}
    name = shipped.digest(points, tried, IMAGE_LEVELS, **settings)
    shipped.write({name: (shipped.counts_of(points, tried, IMAGE_LEVELS), known)})
    print(f"{name}: {np.round(known.own.mean, 3)}")


if __name__ == "__main__":
    main()
