"""Where curves stand: values with gaps, and the horizontal places of each."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffviz import checks


def with_gaps(values: ArrayLike, name: str) -> NDArray:
    """Values of which some may be missing.

    Args:
        values: Numbers, shape (n,).
        name: Name of the argument, for messages.

    Returns:
        The numbers as float64; NaN and infinity stay, as places where nothing is drawn.

    Raises:
        TypeError: They are no real numbers.
        ValueError: They are not 1-D.
    """
    numbers = checks.real_numbers(values, name)
    checks.array(np.nan_to_num(numbers), name, ndim=1)
    return np.array(numbers, dtype=float)


def places_of(
    x: ArrayLike | Mapping[str, ArrayLike], curves: Mapping[str, ArrayLike], called: str = "x"
) -> dict[str, NDArray]:
    """Horizontal places of curves.

    Args:
        x: Places, shape (n,), or a mapping from name to places where curves have their own.
        curves: Name to values, shape (n,).
        called: Name of the places, for messages.

    Returns:
        Name to the places of a curve, as long as the curve.

    Raises:
        TypeError: Places hold no real numbers.
        ValueError: A curve has no places, or another number of them.
    """
    if isinstance(x, Mapping):
        missing = [name for name in curves if name not in x]
        checks.require(not missing, f"{called} has no places for the curves {', '.join(missing)}")
        places = {name: with_gaps(x[name], f"{called} of {checks.brief(name)}") for name in curves}
    else:
        places = dict.fromkeys(curves, with_gaps(x, called))
    for name, curve in curves.items():
        if np.shape(places[name]) != np.shape(curve):
            raise ValueError(
                f"curve {checks.brief(name)} has {np.size(curve)} values, but {called} "
                f"{len(places[name])}"
            )
    return places
