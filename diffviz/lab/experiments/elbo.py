"""Experiments on the ELBO: data whose terms are known, and how far bounds lie from the truth."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline
from scipy.special import expit

from diffviz.theory.elbo_mixture import NODE, WEIGHT


class Data(NamedTuple):
    """What the average ELBO of an exact denoiser needs to know of data: dimension, E‖x‖², entropy in nats, e(λ) and I(x; z_λ)."""

    dimension: int
    square: float
    entropy: float
    mmse: Callable
    information: Callable

    def terms(self, low, high) -> tuple:
        """Average prior, diffusion and reconstruction term of −ELBO, in nats, for λ from ``low`` to ``high`` in [−20, 20]."""
        prior = (
            self.dimension * (expit(-low) - 1 + np.logaddexp(0, low)) + expit(low) * self.square
        ) / 2
        diffusion = self.information(high) - self.information(low)
        return (
            prior + 0 * high,
            diffusion,
            self.dimension / 2 * (np.log(2 * np.pi) + 1 - high) + 0 * low,
        )


@lru_cache
def known(name: str) -> Data:
    """``Data`` of a toy: its eps-mmse by quadrature at 161 levels of [−20, 20], with a spline of degree 7 of its logarithm in between."""
    from diffviz.data import (
        densities,
        toys,  # torch only for those who ask
    )

    toy = toys.toy(name)
    if not isinstance(toy.law, densities.Mixture):
        raise ValueError(
            f"{name} has no entropy in closed reach; take a mixture such as gmm1, ring8 or gmm2d"
        )
    levels, law = np.linspace(-20, 20, 161), toy.law
    logs = make_interp_spline(levels, np.log(toy.mmse(levels)), k=7)
    half = (levels[1] - levels[0]) / 2
    panels = np.exp(logs(levels[:-1, None] + half * (1 + NODE))) @ WEIGHT * half
    start = np.exp(logs(-20.0)) / 2  # I = ½ ∫ e dλ, and e falls as e^λ to the left
    information = make_interp_spline(levels, np.log(start + np.r_[0, panels.cumsum()] / 2), k=5)
    d, square = (
        law.means.shape[1],
        float(law.weights @ (law.means.square().sum(1) + law.means.shape[1] * law.std**2)),
    )
    return Data(
        d, square, toy.entropy(), lambda l: np.exp(logs(l)), lambda l: np.exp(information(l))
    )


def divergence(
    name: str, x: NDArray, logsnr: NDArray, low: float = -20.0, high: float = 10.0
) -> NDArray:
    """L(λ; x) = KL(q(z_λ|x) ‖ p(z_λ)) of points x (n,) of a toy in nats, as ½ ∫ e(λ; x) dλ from ``low``: (n, *logsnr.shape)."""
    from diffviz.data import toys
    from diffviz.sampling import likelihood

    strata = int(4 * (high - low))
    bound = likelihood.elbo(
        toys.toy(name), x[:, None], low=low, high=high, levels=strata, exact=True
    )
    steps = (bound.weight * bound.error).reshape(strata, -1, len(x)).sum(1) / 2
    edges, values = (
        np.linspace(low, high, strata + 1),
        np.r_[np.zeros((1, len(x))), steps.cumsum(0)],
    )
    return make_interp_spline(edges, values, k=5)(logsnr).T
