"""What a trajectory tells: how much of the sample is settled at each step, where a solver errs, and what each prediction counts."""

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import fft, stats
from torch import Tensor

from diffviz.checks import increasing
from diffviz.sampling.integrate import Trajectory, sample
from diffviz.theory.frames import noise_ratio
from diffviz.theory.paths import LINEAR
from diffviz.theory.targets import Target, V


def explained(found: Trajectory, edges: ArrayLike | None = None) -> NDArray:
    """R² of every x_hat with the final sample, 1 − E‖x_hat − x‖²/Var x, shape (steps + 1,).

    For images, with increasing ``edges`` of bands in cycles per image, (steps + 1, bands). Raises ValueError for edges that do not
    increase, for what are no images then, and for a band without variance.
    """
    x, mask = found.x_hat.double().cpu().numpy(), np.full((1, *found.x_hat.shape[2:]), True)
    if edges is not None:
        if x.ndim < 4:
            raise ValueError(
                f"bands are of images, (n, ..., height, width), got samples of {x.shape[1:]}; leave edges out"
            )
        edges = increasing(edges, "edges of bands")
        x, rate = fft.dctn(x, axes=(-2, -1), norm="ortho"), np.hypot(*np.indices(x.shape[-2:])) / 2
        mask = np.array(
            [np.broadcast_to((a <= rate) & (rate < b), x.shape[2:]) for a, b in pairwise(edges)]
        )
    error, spread = ((x - x[-1]) ** 2).mean(1), x[-1].var(0)
    total = np.array([spread[band].sum() for band in mask])
    if not (total > 0).all():
        raise ValueError(f"the samples do not vary in band {total.argmin()} of {len(mask)}")
    shares = 1 - np.stack([error[:, band].sum(1) for band in mask], 1) / total
    return shares if edges is not None else shares[:, 0]


def error_law(pilot: Trajectory) -> Any:
    """Law of λ for ``grid_of`` under which the steps of DDIM err alike, measured on a fine trajectory of another solver.

    The local error, root mean square in z, goes with the square of a step: the mass of a step is its root. Raises ValueError for 0.
    """
    s = noise_ratio(pilot.logsnr).tolist()
    steps = zip(pilot.x_hat, pairwise(pilot.z), pairwise(s), pairwise(np.hypot(1, s)), strict=False)
    error = [
        ((x + e / s * (z * a - x)) / b - after).norm().item()
        for x, (z, after), (s, e), (a, b) in steps
    ]
    if not min(error) > 0:
        raise ValueError("a step of the pilot has no local error; take a solver such as 'heun'")
    return stats.rv_histogram((np.sqrt(error), pilot.logsnr), density=False)()


def prediction_weights(
    grid: ArrayLike, solver: str = "ddim", target: Target = V, **options: Any
) -> NDArray:
    """Weight of the start and of each call's prediction in the last z, by the solver's own coefficients, shape (1 + calls,).

    For a network that puts out ``target``; of the mean where the solver adds noise. Raises ValueError for "adaptive", which has none.
    """
    if solver == "adaptive":
        raise ValueError(
            "the calls of the adaptive solver depend on the data; take one with fixed steps"
        )
    units = iter(torch.eye(4 * np.size(grid), dtype=torch.float64)[:, None])

    def predict(z: Tensor, level: Tensor) -> Tensor:  # the k-th prediction is the k-th unit vector
        a, b, minus_sigma, alpha = (
            float(part(level.numpy(), LINEAR)) for part in (target.a, target.b, V.a, V.b)
        )
        return (b * z + minus_sigma * next(units)) / (b * alpha + a * minus_sigma)

    found = sample(
        predict, grid, solver=solver, start=next(units), noise=torch.zeros_like, **options
    )
    return found.z[-1, 0, : found.calls].numpy()
