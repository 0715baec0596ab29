"""A measured loss beside the catalogue: which published objectives weight like it, in words and as a picture.

The probe itself reads nothing of the catalogue, so that each can check the other; here the two meet.
"""

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from diffviz import plots, probing
from diffviz.measured import Measured
from diffviz.recipes import CATALOGUE


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


class Report(Measured):
    """What ``dv.probe`` returns: the measurement, with its place in the catalogue."""

    def table(self) -> np.ndarray:
        """λ and measured w in two columns, shape (160 or fewer, 2): what ``dv.from_weighting`` takes."""
        edges = self.edges()
        return np.column_stack([(edges[1:] + edges[:-1]) / 2, self.weighting(edges)[0]])

    def plot(self, k: int = 3, ax: Axes | None = None) -> Axes:
        """The measured weighting over the closest catalogue curves, anchored at λ = 0 (``gid`` "measured")."""
        middle, w = self.table().T
        curves = {match.name: CATALOGUE[match.name].weighting(middle) for match in closest(self, k)}
        title = f"measured: {self.kind} target, {len(self.logsnr):,} draws"
        ax = plots.weighting_curves(middle, curves | {"measured": w}, title=title, ax=ax)
        for line in [one for one in ax.lines if one.get_gid() == "measured"]:
            line.set(linestyle="", marker="o", ms=4, markevery=5, color="black", zorder=6)
        ax.legend(
            loc="upper left",
            bbox_to_anchor=(1.01, 1.0),
            borderaxespad=0,
            frameon=False,
            fontsize=9,
            handlelength=3,
        )
        return ax

    def summary(self) -> str:
        """Target, path, density, weighting, and the closest entry of the catalogue, in words."""
        lines = super().summary().split("\n")
        with suppress(
            ValueError, IndexError
        ):  # one level, no weighting, or no entry as wide: the notes say which
            best = closest(self, 1)[0]
            same = "equal to" if best.deviation < 0.02 else "closest to"
            off = f"largest deviation {best.deviation:.1%} at λ = {best.at:.1f}"
            word = f"weighting: {same} {best.name} up to a constant, {off}"
            word += f" over {best.mass:.0%} of its draws" * (best.mass < 0.99)
            word += f", ± {best.error:.1%} there: times were sampled, not stratified" * (
                best.mass < 0.99 and best.error > 0.02
            )
            lines.insert(
                next((i for i, line in enumerate(lines) if line.startswith("note:")), len(lines)),
                word,
            )
        return "\n".join(lines)

    __str__ = __repr__ = summary


def probe(*args, **kwargs) -> Report:
    """``diffviz.probing.probe`` with the catalogue beside the result; same arguments, see there."""
    return Report(**vars(probing.probe(*args, **kwargs)))
