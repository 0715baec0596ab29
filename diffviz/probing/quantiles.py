"""Quantile functions of the random functions of torch and NumPy.

Each takes the probability u and the arguments of the function that it stands for. Functions of
torch that fill a tensor in place have that tensor as their first argument.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import special, stats
from torch import Tensor


def _unit_uniform(u: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Quantiles of ``rand`` and ``rand_like``."""
    return u


def _standard_normal(u: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Quantiles of ``randn`` and ``randn_like``."""
    return torch.special.ndtri(u)


def _integers(u: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Quantiles of ``randint``, ``randint_like`` and ``random_``: integers below high."""
    bounds = [value for value in args if isinstance(value, int)]
    bounds += [kwargs[name] for name in ("low", "from", "high", "to") if name in kwargs]
    high = bounds[-1]
    low = bounds[-2] if len(bounds) > 1 else 0
    return low + torch.floor(u * (high - low))


def _normal(u: Tensor, mean: Any = 0.0, std: Any = 1.0, *args: Any, **kwargs: Any) -> Tensor:
    """Quantiles of ``normal``."""
    return mean + std * torch.special.ndtri(u)


def _normal_in_place(u: Tensor, filled: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Quantiles of ``normal_``."""
    return _normal(u, *args, **kwargs)


def _log_normal_in_place(
    u: Tensor, filled: Tensor, mean: float = 1.0, std: float = 2.0, **kwargs: Any
) -> Tensor:
    """Quantiles of ``log_normal_``."""
    return _normal(u, mean, std).exp()


def _uniform_in_place(
    u: Tensor, filled: Tensor, low: float = 0.0, high: float = 1.0, **kwargs: Any
) -> Tensor:
    """Quantiles of ``uniform_``, whose bounds are called "from" and "to"."""
    low = kwargs.get("from", low)
    high = kwargs.get("to", high)
    return low + (high - low) * u


def _bernoulli(u: Tensor, input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Quantiles of ``bernoulli``, whose input is the probabilities."""
    return u < input


def _bernoulli_in_place(u: Tensor, filled: Tensor, p: Any = 0.5, **kwargs: Any) -> Tensor:
    """Quantiles of ``bernoulli_``."""
    return u < p


def _exponential_in_place(u: Tensor, filled: Tensor, lambd: float = 1.0, **kwargs: Any) -> Tensor:
    """Quantiles of ``exponential_``."""
    return -torch.log1p(-u) / lambd


def _cauchy_in_place(
    u: Tensor, filled: Tensor, median: float = 0.0, sigma: float = 1.0, **kwargs: Any
) -> Tensor:
    """Quantiles of ``cauchy_``."""
    return median + sigma * torch.tan(torch.pi * (u - 0.5))


def _categories(u: Tensor, input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Quantiles of ``multinomial``, whose input is the weights: the index of a weight."""
    cumulative = input.double().cumsum(-1)
    return torch.searchsorted(cumulative, u * cumulative[-1]).clamp(max=len(cumulative) - 1)


def _beta(u: Tensor, concentration: Tensor, **kwargs: Any) -> Tensor:
    """Quantiles of Beta(a, b), which torch draws as a Dirichlet distribution of two shares."""
    parameters = concentration.double().numpy(force=True).T
    first = special.betaincinv(*parameters, u[..., 0].numpy(force=True).T).T
    share = torch.from_numpy(first)
    return torch.stack([share, 1 - share], -1)


def distinct(u: NDArray, total: int, seed: int) -> NDArray:
    """A permutation of the whole numbers below a total, which starts with the quantiles of u.

    Numbers that are drawn without replacement have the uniform law each, and none comes twice.

    Args:
        u: Probabilities, shape (n,), n at most the total.
        total: Number of whole numbers.
        seed: Seed of the order of those that are not at the start.

    Returns:
        The permutation, int, shape (total,).
    """
    n = len(u)
    order = np.argsort(u, kind="stable")
    rank = np.arange(n)
    first = np.empty(n, int)
    pushed_up = rank + np.maximum.accumulate(np.floor(u[order] * total).astype(int) - rank)
    first[order] = np.minimum(pushed_up, total - n + rank)
    others = np.setdiff1d(np.arange(total), first)
    return np.concatenate([first, np.random.default_rng(seed).permutation(others)])


QUANTILES: dict[str, Callable[..., Tensor]] = {
    "rand": _unit_uniform,
    "rand_like": _unit_uniform,
    "randn": _standard_normal,
    "randn_like": _standard_normal,
    "randint": _integers,
    "randint_like": _integers,
    "random_": _integers,
    "normal": _normal,
    "normal_": _normal_in_place,
    "log_normal_": _log_normal_in_place,
    "uniform_": _uniform_in_place,
    "bernoulli": _bernoulli,
    "bernoulli_": _bernoulli_in_place,
    "exponential_": _exponential_in_place,
    "cauchy_": _cauchy_in_place,
    "multinomial": _categories,
    "_sample_dirichlet": _beta,
}


# NumPy -------------------------------------------------------------------------------------------
# The parameters have NumPy's names and order, since they are passed on as the loss gives them.


def _numpy_unit(u: NDArray, *args: Any, **kwargs: Any) -> NDArray:
    """Quantiles of ``random_sample`` and ``random``."""
    return u


def _numpy_uniform(u: NDArray, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> NDArray:
    """Quantiles of ``uniform``."""
    return low + (np.asarray(high) - low) * u


def _numpy_standard_normal(u: NDArray, *args: Any, **kwargs: Any) -> NDArray:
    """Quantiles of ``standard_normal``."""
    return special.ndtri(u)


def _numpy_normal(u: NDArray, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> NDArray:
    """Quantiles of ``normal``."""
    return loc + scale * special.ndtri(u)


def _numpy_lognormal(u: NDArray, mean: Any = 0.0, sigma: Any = 1.0, size: Any = None) -> NDArray:
    """Quantiles of ``lognormal``."""
    return np.exp(mean + sigma * special.ndtri(u))


def _numpy_logistic(u: NDArray, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> NDArray:
    """Quantiles of ``logistic``."""
    return loc + scale * special.logit(u)


def _numpy_laplace(u: NDArray, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> NDArray:
    """Quantiles of ``laplace``."""
    return stats.laplace.ppf(u, loc, scale)


def _numpy_exponential(u: NDArray, scale: Any = 1.0, size: Any = None) -> NDArray:
    """Quantiles of ``exponential``."""
    return -scale * np.log1p(-u)


def _numpy_beta(u: NDArray, a: Any, b: Any, size: Any = None) -> NDArray:
    """Quantiles of ``beta``."""
    return special.betaincinv(a, b, u)


def _numpy_gamma(u: NDArray, shape: Any, scale: Any = 1.0, size: Any = None) -> NDArray:
    """Quantiles of ``gamma``."""
    return scale * special.gammaincinv(shape, u)


def _numpy_chisquare(u: NDArray, df: Any, size: Any = None) -> NDArray:
    """Quantiles of ``chisquare``."""
    return 2 * special.gammaincinv(np.asarray(df) / 2, u)


def _numpy_standard_t(u: NDArray, df: Any, size: Any = None) -> NDArray:
    """Quantiles of ``standard_t``."""
    return special.stdtrit(df, u)


def _numpy_standard_cauchy(u: NDArray, size: Any = None) -> NDArray:
    """Quantiles of ``standard_cauchy``."""
    return np.tan(np.pi * (u - 0.5))


def _numpy_gumbel(u: NDArray, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> NDArray:
    """Quantiles of ``gumbel``."""
    return loc - scale * np.log(-np.log(u))


def _numpy_pareto(u: NDArray, a: Any, size: Any = None) -> NDArray:
    """Quantiles of ``pareto``, which starts at 0."""
    return np.expm1(-np.log1p(-u) / a)


def _numpy_power(u: NDArray, a: Any, size: Any = None) -> NDArray:
    """Quantiles of ``power``."""
    return u ** (1 / np.asarray(a))


def _numpy_rayleigh(u: NDArray, scale: Any = 1.0, size: Any = None) -> NDArray:
    """Quantiles of ``rayleigh``."""
    return scale * np.sqrt(-2 * np.log1p(-u))


def _numpy_triangular(u: NDArray, left: Any, mode: Any, right: Any, size: Any = None) -> NDArray:
    """Quantiles of ``triangular``."""
    width = np.asarray(right) - left
    rising = left + np.sqrt(u * width * (np.asarray(mode) - left))
    falling = right - np.sqrt((1 - u) * width * (np.asarray(right) - mode))
    return np.where(u * width < np.asarray(mode) - left, rising, falling)


def _numpy_weibull(u: NDArray, a: Any, size: Any = None) -> NDArray:
    """Quantiles of ``weibull``."""
    return (-np.log1p(-u)) ** (1 / np.asarray(a))


def _numpy_integers(
    u: NDArray,
    low: Any,
    high: Any = None,
    size: Any = None,
    dtype: Any = None,
    endpoint: bool = False,
) -> NDArray:
    """Quantiles of ``randint`` and ``integers``."""
    if high is None:
        low, high = 0, low
    return low + np.floor(u * (np.asarray(high) + endpoint - low))


NUMPY_QUANTILES: dict[str, Callable[..., NDArray]] = {
    "random_sample": _numpy_unit,
    "random": _numpy_unit,
    "uniform": _numpy_uniform,
    "standard_normal": _numpy_standard_normal,
    "normal": _numpy_normal,
    "lognormal": _numpy_lognormal,
    "logistic": _numpy_logistic,
    "laplace": _numpy_laplace,
    "exponential": _numpy_exponential,
    "beta": _numpy_beta,
    "gamma": _numpy_gamma,
    "chisquare": _numpy_chisquare,
    "standard_t": _numpy_standard_t,
    "standard_cauchy": _numpy_standard_cauchy,
    "gumbel": _numpy_gumbel,
    "pareto": _numpy_pareto,
    "power": _numpy_power,
    "rayleigh": _numpy_rayleigh,
    "triangular": _numpy_triangular,
    "weibull": _numpy_weibull,
    "randint": _numpy_integers,
    "integers": _numpy_integers,
}
