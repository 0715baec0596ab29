"""Call a denoiser, also one that takes only its own type of numbers or one level for each sample.

A network in float32 refuses z in float64. It is then asked in its own type, and its answer taken
back to that of z. Such an answer has the digits of the network's type and no more: x_hat in float32
is off by 6e-8 of its size. A bound up to λ = high grows by ½ e^high times the square of that for
each number, and an adaptive solver cannot keep a tolerance below it.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from diffviz.checks import attribute, has

# what torch says of a product, a convolution or a norm of numbers of two types
OTHER_TYPE = re.compile("same dtype|scalar type|type.* should be the same|mixed dtype")


def answer(denoise: Callable[[Tensor, Tensor], Any], z: Tensor, logsnr: Tensor) -> Any:
    """What a denoiser says of z, asked as it is and then as a network of its own takes it.

    Args:
        denoise: x_hat from (z, logsnr).
        z: Variance-preserving z, shape (n, *shape).
        logsnr: λ in nats, shape () or (n,). One that is () is given as (n,) where the denoiser
            looks for an axis.

    Returns:
        What the denoiser returns; a tensor from a call in its own type is in that of z.

    Raises:
        RuntimeError, IndexError, TypeError: The denoiser takes neither. A note says what it was
            given.
    """
    try:
        return _in_its_own_type(denoise, z, logsnr)
    except (RuntimeError, IndexError, TypeError) as error:
        if logsnr.ndim == 0:
            try:
                return answer(denoise, z, logsnr.expand(len(z)))
            except (RuntimeError, IndexError, TypeError):
                if not isinstance(error, RuntimeError):  # it was for want of an axis
                    raise
        error.add_note(
            f"The denoiser was given z of {z.dtype} and shape {tuple(z.shape)}, and logsnr of "
            f"shape {tuple(logsnr.shape)}. It must take both, and return x_hat like z; "
            "z.to(dtype) makes numbers of its type, logsnr.expand(len(z)) one level for each z."
        )
        raise


def _in_its_own_type(denoise: Callable[[Tensor, Tensor], Any], z: Tensor, logsnr: Tensor) -> Any:
    """What a denoiser says of z, in the type of its parameters if it refuses that of z."""
    try:
        return denoise(z, logsnr)
    except RuntimeError as error:
        own = _own_type(denoise)
        if own == z.dtype or not OTHER_TYPE.search(str(error)):
            raise
    x_hat = denoise(z.to(own), logsnr.to(own))
    return x_hat.to(z.dtype) if isinstance(x_hat, Tensor) else x_hat


def _own_type(denoise: Any) -> torch.dtype:
    """Type of the first parameter of a denoiser or of the object of a method; float32 if none."""
    owner = attribute(denoise, "__self__", denoise)
    parameters: Iterator[Tensor] = owner.parameters() if has(owner, "parameters") else iter(())
    floating = (each.dtype for each in parameters if each.is_floating_point())
    return next(floating, torch.float32)
