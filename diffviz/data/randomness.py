"""Sources of randomness: the check of a torch generator at public doors."""

from typing import Any

import torch


def torch_generator(value: Any, name: str = "generator") -> torch.Generator:
    """A torch generator.

    Args:
        value: What was given.
        name: Name of the argument, for messages.

    Returns:
        The generator.

    Raises:
        TypeError: The value is anything else, such as a seed or a NumPy generator.
    """
    if not isinstance(value, torch.Generator):
        raise TypeError(
            f"{name} must be a torch.Generator such as torch.Generator().manual_seed(0), "
            f"got {value!r}"
        )
    return value


def optional_generator(value: Any, name: str = "generator") -> torch.Generator | None:
    """A torch generator, or None for torch's own; a TypeError for anything else."""
    return None if value is None else torch_generator(value, name)
