"""Random numbers from a generator on any device, for data on any other."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def drawn(
    function: Callable[..., Tensor],
    *size: Any,
    generator: torch.Generator | None,
    device: torch.device,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """What a function of torch draws, where the data are.

    torch draws only where the generator is. So the numbers are drawn there and moved, and the same
    generator gives the same numbers for data on every device.

    Args:
        function: ``torch.randn``, ``torch.rand`` or ``torch.randperm``, for example.
        *size: Its first arguments.
        generator: Source of the randomness; None for torch's own on the device of the data.
        device: Device of the data.
        dtype: Type of the numbers; None for that which the function chooses.

    Returns:
        The draws, on the device of the data.
    """
    source = device if generator is None else generator.device
    return function(*size, generator=generator, device=source, dtype=dtype).to(device)
