"""The shift of flow matching, which some schedulers make depend on the resolution.

A shift s moves time to s t / (1 + (s − 1) t), and λ by −2 log s. With ``use_dynamic_shifting`` a
config states no shift but a straight line of μ over the number of tokens:

    μ(n) = base_shift + (max_shift − base_shift) (n − n_base) / (n_max − n_base),

where n_base is ``base_image_seq_len`` and n_max ``max_image_seq_len``. The shift is e^μ if
``time_shift_type`` is "exponential", and μ itself if it is "linear" (diffusers, ``calculate_shift``
of the pipelines and ``time_shift`` of the schedulers).

The line is that of the pipelines whose type is "exponential". Those of type "linear" have laws of
their own that no config states: CogView4's μ grows with the root of n. There μ has to be given.
FLUX.2's pipeline also takes a μ of its own, which depends on the number of sampling steps.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffviz.checks import count, number, one_of, positive, require

Config = Mapping[str, Any]
LINE = ("base_shift", "max_shift", "base_image_seq_len", "max_image_seq_len")
EXPONENTIAL = "exponential"
LINEAR = "linear"


@dataclass(frozen=True)
class Shift:
    """The shift that a config states, and what to note about it.

    Args:
        value: s, above 0.
        remark: A sentence, or nothing.
    """

    value: float
    remark: str = ""


def flag_of(config: Config, name: str) -> bool:
    """An entry that is true or false, and false if it is missing or None; text is refused."""
    value = config.get(name)
    require(
        not isinstance(value, str),
        f"unknown {name} {value!r}: it is text, so leave out its quotes and take true or false",
    )
    return False if value is None else one_of(value, name, (False, True))


def interpolated_mu(tokens: float, low: tuple[float, float], high: tuple[float, float]) -> float:
    """Logarithm of a resolution-dependent shift, on the straight line through two points.

    Source: Black Forest Labs, FLUX; diffusers, ``calculate_shift``.

    Args:
        tokens: Length of the sequence of tokens.
        low: Number of tokens and mu of the first point.
        high: The same of the second point.

    Returns:
        The value of mu = log shift.
    """
    slope = (high[1] - low[1]) / (high[0] - low[0])
    return low[1] + slope * (tokens - low[0])


def shift_on_line(tokens: float, low: tuple[float, float], high: tuple[float, float]) -> float:
    """The shift e^μ with μ on the straight line through two points (tokens, μ)."""
    return float(np.exp(interpolated_mu(tokens, low, high)))


def mu_of_tokens(config: Config, tokens: int) -> float:
    """μ at a number of tokens, on the line of a config.

    Args:
        config: Config of a scheduler with dynamic shifting.
        tokens: Number of tokens of an image or a clip, such as 4,096 for 1024² pixels in FLUX.

    Returns:
        μ.

    Raises:
        ValueError: The config states no line.
    """
    require(
        config.get("time_shift_type", EXPONENTIAL) != LINEAR,
        f"tokens={tokens} does not give the shift where time_shift_type is 'linear', since each "
        "pipeline has its own law there: pass mu=, which is the shift itself",
    )
    missing = [name for name in LINE if config.get(name) is None]
    require(
        not missing,
        f"the config lacks {', '.join(missing)}, so tokens={tokens} says nothing: pass mu=",
    )
    low, high = (number(config[name], name) for name in LINE[:2])
    first, last = (count(config[name], name) for name in LINE[2:])
    require(first != last, f"base_image_seq_len and max_image_seq_len are both {first}: pass mu=")
    return interpolated_mu(tokens, (first, low), (last, high))


def shift_of_mu(config: Config, mu: float) -> float:
    """The shift that a scheduler makes of μ; a ValueError if it is not above 0."""
    kind = config.get("time_shift_type", EXPONENTIAL)
    if one_of(kind, "time_shift_type", (EXPONENTIAL, LINEAR)) == EXPONENTIAL:
        return float(np.exp(number(mu, "mu", -40.0, 40.0)))
    return positive(mu, "mu (the shift itself, as time_shift_type is 'linear')")


def shift_of(config: Config, tokens: int | None = None, mu: float | None = None) -> Shift:
    """The shift under which a flow scheduler trains.

    Args:
        config: Config with ``shift``, and ``use_dynamic_shifting`` or not.
        tokens: Number of tokens, with dynamic shifting only.
        mu: μ itself, with dynamic shifting only.

    Returns:
        The shift. Without ``tokens`` and ``mu`` a dynamic shift is 1, as in the scheduler's own
        table, and the remark says what was left out.

    Raises:
        TypeError: ``tokens`` is no whole number, or ``mu`` no number.
        ValueError: Both are given, or one without dynamic shifting.
    """
    if not flag_of(config, "use_dynamic_shifting"):
        given = [name for name, value in (("tokens", tokens), ("mu", mu)) if value is not None]
        require(
            not given,
            f"{' and '.join(given)} has no effect without use_dynamic_shifting, where the shift is "
            f"{config.get('shift')}: leave it out, or change shift in the config",
        )
        return Shift(positive(config["shift"], "shift"))
    require(tokens is None or mu is None, "tokens gives mu: pass one of them, not both")
    if tokens is not None:
        mu = mu_of_tokens(config, count(tokens, "tokens"))
    if mu is not None:
        mu = number(mu, "mu")
        shift = shift_of_mu(config, mu)
        return Shift(shift, f"Shift {shift:.4g}, by mu = {mu:.4g}.")
    return Shift(1.0, _left_out(config))


def _left_out(config: Config) -> str:
    """What to note where the resolution that a dynamic shift depends on is not known."""
    sentence = "The shift by resolution is left out (use_dynamic_shifting)"
    linear = config.get("time_shift_type") == LINEAR
    if linear or any(config.get(name) is None for name in LINE):
        return f"{sentence}: pass mu=."
    ends = [count(config[name], name) for name in LINE[2:]]
    shifts = [shift_of_mu(config, number(config[name], name)) for name in LINE[:2]]
    at = " and ".join(
        f"{shift:.4g} at {end:,} tokens" for shift, end in zip(shifts, ends, strict=True)
    )
    return f"{sentence}: it would be {at}. Pass tokens= or mu=."
