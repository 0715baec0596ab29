"""What a search found: the surface of its first round, the comparison of its second, in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from diffviz.search.goals import GOALS
from diffviz.search.surface import Surface

OPTIMUM = "optimum"


def number(value: float, digits: int = 4) -> str:
    """In a column; a dash for NaN."""
    return f"{value:10.{digits}f}" if np.isfinite(value) else f"{'-':>10}"


def failures(values: NDArray) -> str:
    """How many trainings of a candidate failed, in words."""
    failed = int(np.isnan(values).sum())
    return f"   {failed} of {len(values)} trainings failed" if failed else ""


@dataclass(frozen=True)
class Search:
    """What a search found: settings, the surface of its first round, and the values of its second, by candidate, (seeds,)."""

    settings: Mapping[str, Any]
    surface: Surface
    second: Mapping[str, NDArray]

    @property
    def optimum(self) -> NDArray:
        """Where the surface is least, (d,)."""
        return self.surface.least()

    @cached_property
    def beside(self) -> dict[str, tuple[float, float]]:
        """Goal of each candidate of the second round less the optimum's, by seed: mean, and half of Student's 95 % interval.

        NaN where a training failed or there is one seed; an interval without 0 is what "distinguishable" means.
        """
        best, seeds = self.second[OPTIMUM], len(self.second[OPTIMUM])
        reach = stats.t.isf(0.025, seeds - 1) / seeds**0.5 if seeds > 1 else np.nan
        off = {name: values - best for name, values in self.second.items() if name != OPTIMUM}
        return {
            name: (float(d.mean()), float(reach * (d.std(ddof=1) if seeds > 1 else np.nan)))
            for name, d in off.items()
        }

    @property
    def verdicts(self) -> dict[str, list[str]]:
        """Names of the second round by how they compare with the optimum, each at 95 % by itself."""
        alike, better, worse, none = kinds = (
            "not distinguishable from the optimum",
            "better",
            "worse",
            "no verdict",
        )
        found: dict[str, list[str]] = {kind: [] for kind in kinds}
        for name, (off, half) in self.beside.items():
            kind = (
                none
                if np.isnan(half)
                else alike
                if abs(off) <= half
                else worse
                if off > 0
                else better
            )
            found[kind].append(name)
        return found

    def __str__(self) -> str:
        s, has = self.surface, self.settings
        seeds = s.values.shape[1]
        lines = [
            f"{has['goal']} on {has['data']}: {GOALS[has['goal']].unit}, less is better",
            f"{has['family']}, {len(s.points)} points x {seeds} seeds, {has['steps']} steps of {has['batch']}, levels by law {has['law']!r}",
            "\n"
            + "".join(
                f"{name:>10}" for name in [*(name for name, *_ in s.box), "mean", "s.e.", "surface"]
            ),
        ]
        for x, values, *row in zip(
            s.points, s.values, s.alone.mean(1), s.stderr, s.at(s.points), strict=True
        ):
            lines.append("".join([*(number(v, 2) for v in x), *map(number, row), failures(values)]))
        lines.append(f"\n{'s.e.':>20}   of the coefficients; parameters on [-1, 1]")
        lines += [
            number(c) + number(error) + f"   {name}"
            for name, c, error in zip(s.names, s.coefficients, s.errors, strict=True)
        ]
        lines.append(
            f"misfit: χ² of {s.misfit:.2f} for each degree of freedom"
            if seeds > 1
            else "one seed: no estimate of the noise"
        )
        for (name, low, high), at, spread in zip(s.box, self.optimum, s.optima.T, strict=True):
            line = f"optimum: {name} {at:.2f}"
            if len(spread):
                line += " (95 %: {:.2f} to {:.2f})".format(*np.quantile(spread, [0.025, 0.975]))
            lines.append(
                line + ", an end of the box" * bool(min(at - low, high - at) < 1e-3 * (high - low))
            )
        lines.append(
            f"\n{'trained again':20}{'mean':>10}{'s.e.':>10}     less that of the optimum, each 95 %"
        )
        for name, values in self.second.items():
            error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else np.nan
            off = (
                "{:+14.4f} ± {:.4f}".format(*self.beside[name])
                if np.isfinite(self.beside.get(name, np.nan)).all()
                else ""
            )
            lines.append(f"{name:20}{number(values.mean())}{number(error)}{off}{failures(values)}")
        return "\n".join(
            lines
            + [f"{kind}: {', '.join(names)}" for kind, names in self.verdicts.items() if names]
        )
