"""What several experiments share: a grid of log-SNR and entries of the catalogue by name."""

import numpy as np

from diffviz.recipes.entries import CATALOGUE
from diffviz.theory.objectives import Objective

WIDE = np.linspace(-10, 10, 801)


def chosen(*names: str) -> dict[str, Objective]:
    """Entries of the catalogue by name, in that order."""
    return {name: CATALOGUE[name] for name in names}
