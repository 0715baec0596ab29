"""Checks for tensors whose NaN is met later, and for those that keep their gradients.

A loss that is not finite is reported with its log-SNR when it is binned, since asking a device for
values at each batch would slow a training down. A denoiser is differentiated, so that its arguments
must keep their graph.
"""

from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from diffviz import checks


def real_tensor(value: ArrayLike | Tensor, name: str) -> Tensor:
    """Real numbers as a floating-point tensor, without a look at their values.

    Args:
        value: Numbers: a list, array or tensor.
        name: Name of the argument, for messages.

    Returns:
        The tensor that was given if it is of floating point, else a new one. Integers become
        float64, so that they lie in the same bins as floats.

    Raises:
        TypeError: The value is masked, complex, a date, text or an object, or no dense tensor.
        ValueError: Rows differ in length.
    """
    if isinstance(value, Tensor):
        numbers = checks.dense_tensor(value, name)
    else:
        numbers = torch.from_numpy(checks.for_torch(checks.real_numbers(value, name)))
    if numbers.is_floating_point():
        return numbers
    if numbers.is_complex():
        raise TypeError(f"{name} must hold real numbers, got complex numbers ({numbers.dtype})")
    return numbers.double()


def floating_tensor(value: Any, name: str) -> Tensor:
    """Finite real numbers as a floating-point tensor that keeps its gradient.

    Args:
        value: Numbers: a list, array or tensor. Integers become float.
        name: Name of the argument, for messages.

    Returns:
        The tensor that was given if it is of floating point, else a new one.

    Raises:
        TypeError: The value is masked, complex, a date, text or an object.
        ValueError: A number is NaN or infinite.
    """
    numbers = checks.tensor(value, name)
    given = isinstance(value, Tensor) and value.is_floating_point()
    return value if given else numbers
