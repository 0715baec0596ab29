"""torchdiffeq, which takes half a second to load, when it is first needed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from diffviz import extras
from diffviz.checks import positive, require

ADAPTIVE = ("dopri8", "dopri5", "bosh3", "fehlberg2", "adaptive_heun")
MOST_CALLS = 20_000  # of a slope by an adaptive solver; an exact denoiser needs 5,000 at 1e-13
LEAST_TOLERANCE = 1e-13  # below, the rounding of float64 decides the size of a step


def odeint(slope: Callable[..., Any], first: Any, times: Any, **options: Any) -> Any:
    """The solution of an ordinary differential equation by ``torchdiffeq.odeint``.

    Args:
        slope: Function of a time and a value.
        first: The first value.
        times: Where values are asked for.
        **options: Tolerances and method.

    Returns:
        The values at the times, as a tensor or a tuple of tensors like the first value.

    Raises:
        FloatingPointError: An adaptive solver finds no steps that keep the tolerance.
    """
    with extras.needed_by("a solver of torchdiffeq"):
        import torchdiffeq
    if options.get("method") not in ADAPTIVE:
        return torchdiffeq.odeint(slope, first, times, **options)
    try:
        return torchdiffeq.odeint(_Counted(slope), first, times, **options)
    except AssertionError as error:  # its word for steps of length 0 and for NaN
        raise _no_steps(str(error)) from error


def tolerance_for(value: Any) -> float:
    """A tolerance that an adaptive solver can keep in float64; a ValueError for any other."""
    tolerance = positive(value, "tolerance")
    require(
        tolerance >= LEAST_TOLERANCE,
        f"tolerance must be at least {LEAST_TOLERANCE:g}, got {tolerance:g}: float64 resolves no "
        "finer one",
    )
    return tolerance


@dataclass
class _Counted:
    """A slope that ends a walk of too many calls."""

    slope: Callable[..., Any]
    calls: int = 0

    def __call__(self, *arguments: Any) -> Any:
        """The slope."""
        self.calls += 1
        if self.calls > MOST_CALLS:
            raise _no_steps(f"{MOST_CALLS:,} calls were not enough")
        return self.slope(*arguments)


def _no_steps(why: str) -> FloatingPointError:
    """The error of an adaptive solver that finds no steps."""
    return FloatingPointError(
        f"the adaptive solver cannot keep its tolerance ({why}); either the denoiser is random, as "
        "with dropout that is switched on (call eval() of the network), or it is too rough: take "
        "fixed steps, such as RK4, or a larger tolerance"
    )
