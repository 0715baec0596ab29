"""Where a search measures: points that fill the box of the parameters evenly."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from diffviz import checks
from diffviz.compute import interrupts


def sobol_points(box: Sequence[tuple[str, float, float]], n: int) -> NDArray:
    """The first points of one scrambled Sobol sequence in a box.

    A larger number continues the same sequence, so that a search can go on with more points.

    Args:
        box: Name, lowest and highest value of each of d parameters.
        n: Number of points.

    Returns:
        The points, in the units of the parameters, shape (n, d).

    Raises:
        TypeError: n is no whole number.
        ValueError: n < 1.
    """
    n = checks.count(n, "n")
    low, high = np.array([ends for _, *ends in box]).T
    with interrupts.held_back():
        sequence = stats.qmc.Sobol(len(box), rng=np.random.default_rng(0))
    power_of_two = int(np.ceil(np.log2(n)))
    return low + (high - low) * sequence.random_base2(power_of_two)[:n]
