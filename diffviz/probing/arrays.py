"""The probe for losses outside torch: JAX, Keras, MLX or NumPy.

Outside torch neither the random numbers of a loss nor its gradient can be taken hold of. So the
loss is told which data, noise and uniform numbers to use, and it says what it made of them. It is
then an ordinary squared loss, which ``measure`` reads.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from diffviz.checks import array, count, real_numbers, require

Step = Callable[..., Any]  # step(x, eps, u) -> z, target, weight


@dataclass(frozen=True)
class ArrayLoss:
    """A loss of torch with the noised data, target and weight of a step outside it.

    Attributes:
        step: ``step(x, eps, u)``, on NumPy arrays of float32.
        uniforms: Uniform numbers for each sample.
    """

    step: Step
    uniforms: int

    def __call__(self, model: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """The weighted squared error of a network's output."""
        u = torch.rand(len(x), self.uniforms)
        eps = torch.randn_like(x)
        result = self._result(x, eps, u.squeeze(1))
        require(
            isinstance(result, (tuple, list)) and len(result) == 3,
            f"step must return z, target and weight, got {type(result).__name__}",
            TypeError,
        )
        named = zip(result, ("z", "target", "weight"), strict=True)
        z, target, weight = (_tensor(value, name) for value, name in named)
        require(
            z.shape == target.shape and len(z) == len(x),
            f"z and target must have one shape, with a row for each of {len(x)} samples, got "
            f"{tuple(z.shape)} and {tuple(target.shape)}",
        )
        require(
            _is_weight_of(weight, z),
            f"weight must be one number, one for each of {len(x)} samples, or in the shape of z "
            f"{tuple(z.shape)} with 1 where it is the same, got {tuple(weight.shape)}",
        )
        if weight.ndim == 1:
            weight = weight.reshape(-1, *[1] * (z.ndim - 1))
        return (weight * (model(z) - target) ** 2).mean()

    def _result(self, x: Tensor, eps: Tensor, u: Tensor) -> Any:
        """What the step returns; shapes that do not fit are told with that of u."""
        try:
            return self.step(x.numpy(), eps.numpy(), u.numpy())
        except ValueError as error:
            if "broadcast" not in str(error):
                raise
            raise ValueError(
                f"step fails on x of shape {tuple(x.shape)}, where uniforms={self.uniforms} gives "
                f"u the shape {tuple(u.shape)}: {error}"
            ) from error


def _is_weight_of(weight: Tensor, z: Tensor) -> bool:
    """Whether a weight is one number, one for each sample, or can be broadcast to z."""
    if weight.ndim < 2:
        return weight.ndim == 0 or len(weight) == len(z)
    pairs = zip(weight.shape, z.shape, strict=False)
    return weight.ndim == z.ndim and all(size in (1, full) for size, full in pairs)


def _tensor(value: Any, name: str) -> Tensor:
    """An array of any library as a tensor of float32."""
    return torch.from_numpy(real_numbers(value, name).astype(np.float32))


def array_loss(step: Any, uniforms: Any) -> ArrayLoss:
    """Check a step, and make a loss of it.

    Args:
        step: ``step(x, eps, u) -> z, target, weight``.
        uniforms: Uniform numbers for each sample.

    Returns:
        The loss.

    Raises:
        TypeError: The step is not callable.
        ValueError: ``uniforms`` is below 1.
    """
    require(
        callable(step),
        f"step must be callable as step(x, eps, u), got {type(step).__name__}",
        TypeError,
    )
    return ArrayLoss(step, count(uniforms, "uniforms"))


def data_tensor(x: ArrayLike) -> Tensor:
    """Example data of any library as a tensor of float32.

    Args:
        x: The data, shape (n, ...).

    Returns:
        The tensor.

    Raises:
        TypeError: The data hold no real numbers, or are masked.
        ValueError: A number is not finite.
    """
    return torch.from_numpy(array(x, "x").astype(np.float32))
