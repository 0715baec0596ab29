"""Means over z of what z says of x: by table, on a lattice, by quadrature, else by draws."""

import math
from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from hashlib import sha256

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffviz.data import separable
from diffviz.data.densities import (
    Checkerboard,
    KnownDensity,
    Mixture,
    Posterior,
    posterior_in_pieces,
)
from diffviz.data.tables import tabulated_moments

REMEMBERED = 256  # results of ``remembered`` that are kept

Statistic = Callable[[Posterior], Tensor]


def channel(logsnr: Tensor) -> tuple[Tensor, Tensor]:
    """Scales alpha and sigma of the variance-preserving frame at λ, the same shape."""
    return logsnr.sigmoid().sqrt(), (-logsnr).sigmoid().sqrt()


def surprise(posterior: Posterior) -> Tensor:
    """−log p(z), (n,)."""
    return -posterior.log_prob


def both_moments(posterior: Posterior) -> Tensor:
    """E[‖eps_hat − eps‖²|z] and E[‖eps_hat − eps‖⁴|z], (2, n)."""
    return torch.stack([posterior.error, posterior.fourth])


def remembered(function: Callable[..., NDArray]) -> Callable[..., NDArray]:
    """Keep the last results of a pure function of arrays and numbers, in memory.

    Args:
        function: Its positional arguments alone decide the result, an array.

    Returns:
        The function; what it returns is a copy that the caller may change.
    """
    results: OrderedDict[str, NDArray] = OrderedDict()

    @wraps(function)
    def recall(*arguments: NDArray | int) -> NDArray:
        key = content_key(*arguments)
        result = results.get(key)
        if result is None:
            result = function(*arguments)
        results[key] = result
        results.move_to_end(key)
        while len(results) > REMEMBERED:
            results.popitem(last=False)
        return result.copy()

    return recall


def content_key(*arguments: NDArray | int) -> str:
    """A hash of the types, shapes and bytes of arrays and numbers."""
    digest = sha256()
    for argument in arguments:
        array = np.ascontiguousarray(argument)
        digest.update(f"{array.dtype} {array.shape} ".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def moments(law: KnownDensity, logsnr: NDArray, draws: int) -> NDArray:
    """E‖eps_hat − eps‖² and E‖eps_hat − eps‖⁴ of the ideal denoiser, with standard errors.

    Args:
        law: The density of x.
        logsnr: λ in nats, shape (n,).
        draws: Number of draws at levels where nothing better is known.

    Returns:
        Means and standard errors of both moments, shape (2, 2, n).
    """
    tabulated = tabulated_moments(law, logsnr)
    if tabulated is not None:
        return np.stack([tabulated, np.zeros_like(tabulated)])
    return computed_moments(law, logsnr, draws)


def computed_moments(law: KnownDensity, logsnr: NDArray, draws: int) -> NDArray:
    """What ``moments`` returns, without the tables.

    Args:
        law: The density of x.
        logsnr: λ in nats, shape (n,).
        draws: Number of draws at levels where nothing better is known.

    Returns:
        Means and standard errors of both moments, shape (2, 2, n).
    """
    if type(law) is Mixture:
        parts = (part.numpy() for part in (law.weights, law.means, law.std))
        return mixture_moments(*parts, logsnr, draws)
    if isinstance(law, Checkerboard):
        exact = np.stack([law.moments(float(level)) for level in logsnr], -1)
        return np.stack([exact, np.zeros_like(exact)])
    return expectation(law, both_moments, logsnr, draws)


@remembered
def mixture_moments(
    weights: NDArray, means: NDArray, std: NDArray, logsnr: NDArray, draws: int
) -> NDArray:
    """Both moments of a mixture of Gaussians, and their standard errors.

    Args:
        weights: w_k, above 0 with sum 1, shape (k,).
        means: m_k, shape (k, d).
        std: s_k, above 0, shape (k,), or (1,) if all are equal.
        logsnr: λ in nats, shape (n,).
        draws: Number of draws at levels where there is no quadrature.

    Returns:
        Means and standard errors, shape (2, 2, n).
    """
    exact = separable.mixture_moments(weights, means, std, logsnr)
    result = np.stack([exact, np.zeros_like(exact)])
    rest = np.isnan(exact[0])
    if rest.any():
        law = Mixture(*map(torch.from_numpy, (weights, means, std)))
        result[..., rest] = expectation(law, both_moments, logsnr[rest], draws)
    return result


def entropy(law: KnownDensity, logsnr: Tensor, draws: int) -> float:
    """Differential entropy of z in nats.

    Args:
        law: The density of x.
        logsnr: λ in nats, shape ().
        draws: Number of draws where there is no quadrature.

    Returns:
        −E log p(z).
    """
    exact = law.entropy(*channel(logsnr)) if type(law) is Mixture else None
    if exact is None:
        exact, _ = _expectation_at(law, surprise, logsnr, draws)
    return exact.item()


def expectation(law: KnownDensity, statistic: Statistic, logsnr: NDArray, draws: int) -> NDArray:
    """Mean over z of a statistic of the posterior, and its standard error, at each level.

    Args:
        law: The density of x.
        statistic: What is averaged, (..., n) at n points.
        logsnr: λ in nats, shape (n,).
        draws: Number of draws at levels where there is no quadrature.

    Returns:
        Mean and standard error, shape (2, ..., n).
    """
    levels = torch.from_numpy(logsnr)
    values = [_expectation_at(law, statistic, level, draws) for level in levels]
    return torch.stack(values, -1).numpy()


def _expectation_at(law: KnownDensity, statistic: Statistic, level: Tensor, draws: int) -> Tensor:
    """Mean of a statistic at one level and its standard error: by quadrature, else by draws."""
    alpha, sigma = channel(level)
    nodes = law.quadrature(alpha, sigma)
    if nodes is None:
        return _drawn_expectation(law, statistic, alpha, sigma, draws)
    posterior, weight = nodes
    values = weight * posterior.log_prob.exp() * statistic(posterior)
    return torch.stack([values.sum(-1), torch.zeros_like(values[..., 0])])


def _drawn_expectation(
    law: KnownDensity, statistic: Statistic, alpha: Tensor, sigma: Tensor, draws: int
) -> Tensor:
    """Mean of a statistic over stratified draws, and its standard error.

    The draws are the same at each level, which makes the curve over λ smooth.
    """
    generator = torch.Generator().manual_seed(0)
    jitter = torch.rand(draws, generator=generator, dtype=torch.float64)
    x = law.draw((torch.arange(draws) + jitter) / draws, generator)
    eps = torch.empty_like(x).normal_(generator=generator)
    values = statistic(posterior_in_pieces(law, alpha * x + sigma * eps, alpha, sigma))
    return torch.stack([values.mean(-1), values.std(-1) / math.sqrt(draws)])
