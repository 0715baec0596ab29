"""What several experiments share: a grid of log-SNR, the axis of time, entries by name."""

import numpy as np

from diffviz.recipes.entries import objective
from diffviz.theory.objectives import Objective

WIDE = np.linspace(-10, 10, 801)  # log-SNR in nats, the range of most pictures
TIME = "time t   [0 data, 1 noise]"  # label of an axis


def chosen(*names: str) -> dict[str, Objective]:
    """Look up entries of the catalogue.

    Args:
        *names: Names of objectives.

    Returns:
        The objectives by name, in that order.

    Raises:
        ValueError: A name is not in the catalogue; the message lists near ones.
    """
    return {name: objective(name) for name in names}
