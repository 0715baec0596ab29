"""Checks for numbers whose NaN is met later, and for tensors that keep their gradients.

A loss that is not finite is reported with its log-SNR when it is binned, since asking a device for
values at each batch would slow a training down. A denoiser is differentiated, so that its arguments
must keep their graph.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from diffviz import checks


def real_array(value: ArrayLike | Tensor, name: str) -> NDArray:
    """An array of real numbers of any type, in which NaN and infinity may stand.

    Args:
        value: Numbers: a scalar, list, array or tensor.
        name: Name of the argument, for messages.

    Returns:
        The numbers, in the shape and type that they came in.

    Raises:
        TypeError: The value is masked, complex, a date, text or an object, or no dense tensor.
        ValueError: Rows differ in length.
    """
    if np.ma.isMaskedArray(value):
        checks.array(value, name)  # refuses it
    if isinstance(value, Tensor):
        value = checks.dense(value, name).detach().cpu()
    try:
        numbers = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} is no array of numbers: {error}") from error
    checks.array(np.empty(0, numbers.dtype), name)  # the kind of number without the numbers
    return numbers


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
        numbers = checks.dense(value, name)
    else:
        # a copy, since torch takes neither negative strides nor read-only arrays
        numbers = torch.from_numpy(np.array(real_array(value, name)))
    if numbers.is_floating_point():
        return numbers
    if numbers.is_complex():
        raise TypeError(f"{name} must hold real numbers, got complex numbers ({numbers.dtype})")
    return numbers.double()


def floating_tensor(value: Any, name: str) -> Tensor:
    """Finite real numbers as a floating-point tensor that keeps its gradient.

    Args:
        value: Numbers: a list, array or tensor. Integers become float32.
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
