"""What a search found, in numbers and in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from diffviz import checks
from diffviz.search import goals
from diffviz.search.smooth import SmoothSurface
from diffviz.search.surface import Surface

OPTIMUM = "optimum"
ALIKE = "not distinguishable from the optimum"
BETTER = "better"
WORSE = "worse"
NO_VERDICT = "no verdict"


@dataclass(frozen=True, eq=False)
class Search:
    """What a search found.

    Attributes:
        settings: Its settings by name, as ``settings.Settings.record`` gives them.
        surface: The surface of the first round.
        second: Goals of the second round by the candidate's name, each of shape (seeds,); NaN for a
            training that failed.

    Raises:
        ValueError: The second round has no "optimum".
    """

    settings: Mapping[str, Any]
    surface: Surface | SmoothSurface
    second: Mapping[str, NDArray]

    def __post_init__(self) -> None:
        if not isinstance(self.second, Mapping):
            raise TypeError(f"second must map names to goals, got {checks.brief(self.second)}")
        checks.require(OPTIMUM in self.second, f"the second round must have an {OPTIMUM!r}")

    @property
    def optimum(self) -> NDArray:
        """Where the surface is least, shape (d,)."""
        return self.surface.least()

    @cached_property
    def beside(self) -> dict[str, tuple[float, float]]:
        """How much each candidate of the second round differs from the optimum.

        For each name, the mean over seeds of its goal less that of the optimum, and half of
        Student's 95 % interval. The mean is NaN if a training failed, the interval also if there is
        one seed. An interval without 0 is what "distinguishable" means.
        """
        best = self.second[OPTIMUM]
        others = {name: values for name, values in self.second.items() if name != OPTIMUM}
        return {name: paired_interval(values - best) for name, values in others.items()}

    def apart(self, name: str, other: str) -> tuple[float, float]:
        """How much one candidate of the second round differs from another, seed by seed.

        Args:
            name: A key of ``second``.
            other: The one that it is compared with.

        Returns:
            The mean over seeds of the goal of ``name`` less that of ``other``, and half of
            Student's 95 % interval; NaN as in ``beside``.

        Raises:
            ValueError: A name is unknown.
        """
        for each in (name, other):
            checks.one_of(each, "candidate", self.second)
        return paired_interval(self.second[name] - self.second[other])

    @property
    def verdicts(self) -> dict[str, list[str]]:
        """Names of the second round by how they compare with the optimum, at 95 % for each."""
        names: dict[str, list[str]] = {kind: [] for kind in (ALIKE, BETTER, WORSE, NO_VERDICT)}
        for name, (difference, half_width) in self.beside.items():
            names[_verdict(difference, half_width)].append(name)
        return names

    def __str__(self) -> str:
        parts = [
            _heading(self),
            _points_table(self.surface),
            _shape_lines(self.surface),
            _misfit(self.surface),
            _optimum_lines(self),
            _second_round_table(self),
            _verdict_lines(self),
        ]
        return "\n".join(line for part in parts for line in part)


def paired_interval(differences: NDArray) -> tuple[float, float]:
    """Mean of paired differences, and half of Student's 95 % interval.

    Args:
        differences: One for each pair, shape (n,).

    Returns:
        The mean, and half of the interval; that is NaN for one pair.

    Example:
        >>> mean, half = paired_interval(np.array([0.006, 0.009, 0.005, 0.008]))
        >>> f"{mean:.4f} ± {half:.4f}"
        '0.0070 ± 0.0029'
    """
    mean = float(differences.mean())
    seeds = len(differences)
    if seeds < 2:
        return mean, np.nan
    quantile = stats.t.isf(0.025, seeds - 1)
    return mean, float(quantile / seeds**0.5 * differences.std(ddof=1))


def _verdict(difference: float, half_width: float) -> str:
    """How a candidate compares with the optimum."""
    if np.isnan(half_width):
        return NO_VERDICT
    if abs(difference) <= half_width:
        return ALIKE
    return WORSE if difference > 0 else BETTER


def _heading(found: Search) -> list[str]:
    """Goal, data, family, and how much was trained."""
    settings = found.settings
    points, seeds = found.surface.values.shape
    unit = goals.GOALS[settings["goal"]].unit
    return [
        f"{settings['goal']} on {settings['data']}: {unit}, less is better",
        f"{settings['family']}, {points} points x {seeds} seeds, "
        f"{settings['steps']} steps of {settings['batch']}, levels by law {settings['law']!r}",
    ]


def _points_table(surface: Surface | SmoothSurface) -> list[str]:
    """Each point of the design: its mean, standard error, and the surface there."""
    names = [*(name for name, *_ in surface.box), "mean", "s.e.", "surface"]
    lines = ["\n" + "".join(f"{name:>10}" for name in names)]
    means, heights = surface.alone.mean(1), surface.at(surface.points)
    for i, point in enumerate(surface.points):
        place = "".join(_cell(value, digits=2) for value in point)
        measured = _cell(means[i]) + _cell(surface.stderr[i]) + _cell(heights[i])
        lines.append(place + measured + _failures(surface.values[i]))
    return lines


def _shape_lines(surface: Surface | SmoothSurface) -> list[str]:
    """What the surface is made of."""
    if isinstance(surface, SmoothSurface):
        return _scales_lines(surface)
    return _coefficients_table(surface)


def _scales_lines(surface: SmoothSurface) -> list[str]:
    """Size and lengths of a smooth surface, the lengths in the units of the parameters."""
    size, lengths = surface.scales
    ranges = zip(surface.box, lengths, strict=True)
    along = [f"{length * (high - low) / 2:.2f} in {name}" for (name, low, high), length in ranges]
    return [f"\nsmooth surface: size {size:.4f}, lengths {', '.join(along)}"]


def _coefficients_table(surface: Surface) -> list[str]:
    """Each coefficient of the quadratic with its standard error."""
    rows = zip(surface.names, surface.coefficients, surface.errors, strict=True)
    return [
        f"\n{'s.e.':>20}   of the coefficients; parameters on [-1, 1]",
        *(f"{_cell(value)}{_cell(error)}   {name}" for name, value, error in rows),
    ]


def _misfit(surface: Surface | SmoothSurface) -> list[str]:
    """Whether the surface describes the points."""
    if surface.values.shape[1] < 2:
        return ["one seed: no estimate of the noise"]
    return [f"misfit: χ² of {surface.misfit:.2f} for each degree of freedom"]


def _optimum_lines(found: Search) -> list[str]:
    """Each parameter of the optimum, its 95 % interval, and whether it is at an end of the box."""
    lines = []
    columns = zip(found.surface.box, found.optimum, found.surface.optima.T, strict=True)
    for (name, low, high), best, spread in columns:
        line = f"optimum: {name} {best:.2f}"
        if len(spread):
            first, last = np.quantile(spread, [0.025, 0.975])
            line += f" (95 %: {first:.2f} to {last:.2f})"
        if min(best - low, high - best) < 1e-3 * (high - low):
            line += ", an end of the box"
        lines.append(line)
    return lines


def _second_round_table(found: Search) -> list[str]:
    """Each candidate of the second round, and how much it differs from the optimum."""
    lines = [
        f"\n{'trained again':20}{'mean':>10}{'s.e.':>10}     less that of the optimum, each 95 %"
    ]
    for name, values in found.second.items():
        seeds = len(values)
        error = values.std(ddof=1) / seeds**0.5 if seeds > 1 else np.nan
        difference, half_width = found.beside.get(name, (np.nan, np.nan))
        has_interval = np.isfinite([difference, half_width]).all()
        interval = f"{difference:+14.4f} ± {half_width:.4f}" if has_interval else ""
        row = f"{name:20}{_cell(values.mean())}{_cell(error)}"
        lines.append(row + interval + _failures(values))
    return lines


def _verdict_lines(found: Search) -> list[str]:
    """The verdicts that some candidate has."""
    return [f"{kind}: {', '.join(names)}" for kind, names in found.verdicts.items() if names]


def _cell(value: float, digits: int = 4) -> str:
    """A number in a column of ten characters; a dash for NaN."""
    return f"{value:10.{digits}f}" if np.isfinite(value) else f"{'-':>10}"


def _failures(values: NDArray) -> str:
    """How many trainings of a candidate failed, in words."""
    failed = int(np.isnan(values).sum())
    return f"   {failed} of {len(values)} trainings failed" if failed else ""
