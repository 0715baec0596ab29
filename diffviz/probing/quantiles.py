"""Quantile functions of torch's random functions.

Each takes the probability u and the arguments of the torch function that it stands for. Functions
that fill a tensor in place have that tensor as their first argument.
"""

from collections.abc import Callable
from typing import Any

import torch
from scipy import special
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
