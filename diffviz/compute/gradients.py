"""Gradients for a training, whatever its caller has switched off."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module


@contextmanager
def recorded() -> Iterator[None]:
    """Let torch record gradients, inside ``torch.no_grad`` and ``torch.inference_mode`` too.

    A training that is called there would else end with torch's "does not require grad".

    Example:
        >>> import torch
        >>> from diffviz.compute import gradients
        >>> with torch.no_grad(), gradients.recorded():
        ...     torch.is_grad_enabled()
        True
    """
    torch = import_module("torch")  # by name: what is below learning must not reach torch
    with torch.inference_mode(False), torch.enable_grad():
        yield
