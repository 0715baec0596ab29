"""A measured loss beside the catalogue: which published objectives weight like it, in words and as a picture.

The probe itself reads nothing of the catalogue, so that each can check the other; here the two meet.
"""

from dataclasses import dataclass

import numpy as np

from diffviz.protocols import Measured
from diffviz.recipes.entries import CATALOGUE


@dataclass(frozen=True)
class Match:
    """An objective beside a measured loss: largest relative deviation of the ratio of weightings from its median, and at which λ."""

    name: str
    deviation: float
    at: float
    error: float  # standard error of the measured weighting there, relative
    mass: float  # central share of what the loss draws, over which they were compared


def closest(measured: Measured, k: int = 3) -> list[Match]:
    """The k catalogue entries whose weighting is nearest to a measured one up to a constant.

    Bins are compared with bin averages: 160 over 99.8 % of what the loss draws; 20 over 98 % for a table of levels, whose end cells are no
    part of a continuous law, and for times that were sampled, not stratified. Entries must have support on nine tenths of that stretch.

    Raises ValueError for k < 1, or a loss whose weighting could not be measured.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    for bins, mass in ((160, 0.998), (20, 0.98)):
        w, error = measured.weighting(edges := measured.edges(bins, mass))
        if not measured.discrete and np.median(error) < 0.01 * np.median(w):
            break
    middle, half = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / 2
    nodes, rule = np.polynomial.legendre.leggauss(480 // bins)
    found: list[tuple[float, bool, Match]] = []
    for objective in CATALOGUE.values():
        low, high = objective.law.support()
        inside = (edges[:-1] >= low) & (
            edges[1:] <= high
        )  # a table of steps reaches half a step beyond its continuous limit
        known = rule @ objective.weighting(middle + half * nodes[:, None])
        ratio = np.divide(w, known, out=np.zeros_like(w), where=inside & (known > 0))
        if inside.mean() > 0.9 and (ratio[inside] > 0).all():
            off = np.abs(ratio / np.median(ratio[inside]) - 1) * inside
            match = Match(
                objective.name,
                float(off[at := off.argmax()]),
                float(middle[at]),
                float(error[at] / w[at]),
                mass,
            )
            found.append((round(match.deviation, 3), objective.target.name != measured.kind, match))
    return [
        match for *_, match in sorted(found, key=lambda one: one[:2])[:k]
    ]  # of equals, the one with the same target first
