"""A measured loss beside the catalogue, in words and as a picture."""

from contextlib import suppress

import numpy as np
from matplotlib.axes import Axes

from diffviz import plots
from diffviz.probing import measure
from diffviz.probing.measured import Measured
from diffviz.recipes.entries import CATALOGUE
from diffviz.recipes.nearest import closest


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
    return Report(**vars(measure.probe(*args, **kwargs)))
