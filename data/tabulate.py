"""Make the tables of the exact moments of the toys again: diffviz/data/moments.npz.

    python data/tabulate.py

To be run when a toy in the plane or on a line has changed; it takes a few minutes.
"""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from diffviz.data import expectations, tables
from diffviz.data.densities import KnownDensity
from diffviz.data.toys import DRAWS, TOYS, toy


def exact_moments(law: KnownDensity, logsnr: NDArray) -> NDArray:
    """Both moments (2, n) of a density at λ (n,), without the tables."""
    return expectations.computed_moments(law, logsnr, DRAWS)[0]


def main() -> None:
    """Write the tables of all toys of at most two dimensions."""
    arrays = {}
    names = []
    for name in TOYS:
        law = toy(name, unit=True).law
        if len(law.mean) > 2:
            continue
        kind = type(law).__name__
        moments = partial(exact_moments, law)
        table = tables.tabulate(moments, law.parameters(), tables.HIGHEST[kind])
        print(f"{name:14} {len(table.breaks) - 1} panels", flush=True)
        names.append(name)
        arrays[f"{name}.kind"] = np.array(kind)
        arrays[f"{name}.parameters"] = table.parameters
        arrays[f"{name}.breaks"] = table.breaks
        arrays[f"{name}.coefficients"] = table.coefficients
    np.savez_compressed(tables.FILE, names=np.array(names), **arrays)


if __name__ == "__main__":
    main()
