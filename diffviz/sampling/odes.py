"""torchdiffeq, which takes half a second to load, when it is first needed."""

from typing import Any

from diffviz import extras


def odeint(*arguments: Any, **options: Any) -> Any:
    """The solution of an ordinary differential equation by ``torchdiffeq.odeint``.

    Args:
        *arguments: Slope, first value and times.
        **options: Tolerances and method.

    Returns:
        The values at the times, as a tensor or a tuple of tensors like the first value.
    """
    with extras.needed_by("a solver of torchdiffeq"):
        import torchdiffeq
    return torchdiffeq.odeint(*arguments, **options)
