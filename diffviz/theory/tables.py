"""Weightings given as a table of two columns: what the levels are, and what the other column is.

The name of the first column says what the levels are. A table over ``logsnr`` (or ``lambda``) holds
the weighting w(λ) itself. A table over ``t``, ``sigma`` or ``timestep`` holds what a training has
there: the factor c on the squared eps error at levels that a path draws by uniform time. Both are
the same loss if

    w(λ) = 2 c(λ) p(λ),      p the density of λ under uniform time on the path,

so such a table needs a path. Without names the levels are λ, unless they cannot be.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as File
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffviz.checks import finite, increasing, offers, real_numbers, refuse_address, require
from diffviz.delimited import Columns, Frame, read_columns, read_file, read_frame, read_text
from diffviz.theory import laws
from diffviz.theory.atoms import AtomicLaw, FactorBetweenLevels, atomic, nearest_level
from diffviz.theory.frames import Curve
from diffviz.theory.paths import Path

Kind = Literal["logsnr", "t", "sigma", "timestep"]
# what a column of levels may be called, in small letters without spaces and strokes
KIND_OF: dict[str, Kind] = {
    "logsnr": "logsnr",
    "lambda": "logsnr",
    "λ": "logsnr",
    "t": "t",
    "time": "t",
    "sigma": "sigma",
    "sigmas": "sigma",
    "σ": "sigma",
    "timestep": "timestep",
    "timesteps": "timestep",
    "step": "timestep",
}
UNIT = re.compile(r"\s*[\[(]\s*(nats?|1|-|)\s*[\])]$")  # after a name, of what has none or nats
# names of a second column that is no weighting on the eps error
OTHER_BASE = re.compile(r"(w|weights?|weighting)(on)?(the)?(x0?|v|u|f|score|velocity)(error)?")
NO_WEIGHTING = re.compile(
    r"(log|ln|log10)(w|weights?|weighting)?|.*loss|mse|density|pdf|.*std(err)?"
)
CLOSE = 1e-9  # in nats, of ends that are the same
FARTHEST = 100.0  # |λ| in nats that no table of log-SNR has
FEW = 10  # rows below which whole numbers may be λ
LARGEST = 20.0  # λ in nats above which whole numbers from 0 are steps


@dataclass(frozen=True, eq=False)
class Table:
    """A weighting by linear interpolation, on log w if all w > 0; 0 outside the table.

    Args:
        logsnr: Increasing λ in nats, shape (n,).
        w: The weighting there, shape (n,).
    """

    logsnr: NDArray
    w: NDArray

    def __call__(self, logsnr: NDArray) -> NDArray:
        """The weighting at λ in nats, same shape."""
        if (self.w > 0).all():
            return np.exp(np.interp(logsnr, self.logsnr, np.log(self.w), -np.inf, -np.inf))
        return np.interp(logsnr, self.logsnr, self.w, 0, 0)


@dataclass(frozen=True, eq=False)
class FactorUnderLaw:
    """The weighting w = 2 c p of a factor on the eps squared error at levels of a law.

    Args:
        factor: c, a function of λ.
        law: Law of λ with the density p, a frozen SciPy distribution.
    """

    factor: Curve
    law: Any

    def __call__(self, logsnr: NDArray) -> NDArray:
        """The weighting at λ in nats, same shape."""
        return 2 * self.factor(logsnr) * self.law.pdf(logsnr)


@dataclass(frozen=True, eq=False)
class WeightTable:
    """A table as it was given.

    Args:
        kind: What its levels are.
        levels: The levels, shape (n,).
        weight: The other column, shape (n,): w over ``logsnr``, else the factor.
        named: Whether a name says what the levels are.
    """

    kind: Kind
    levels: NDArray
    weight: NDArray
    named: bool


def read(table: str | File | Frame | ArrayLike) -> WeightTable:
    """A table of levels and weights.

    Args:
        table: A CSV file or its text, JSON text, a frame or a mapping with named columns, or an
            array of shape (n, 2).

    Returns:
        The table as it was given.

    Raises:
        OSError: The file cannot be opened.
        ValueError: The table has not two columns of numbers and two rows, names do not say what the
            levels are, or a weight is below 0 or all are 0.
    """
    columns = _read_columns(table)
    rows = columns.values
    if rows.ndim != 2 or rows.shape[1] != 2 or len(rows) < 2:
        raise ValueError(
            "a weighting table has two columns, logsnr and w, and at least two rows; "
            f"got shape {rows.shape}"
        )
    kind, place = _kind_of(columns)
    if columns.names:
        _check_name_of_weight(columns.names[1 - place])
    weight = finite(rows[:, 1 - place], "second column (w)")
    require(
        (weight >= 0).all() and weight.any(),
        f"w must be >= 0 and somewhere positive; smallest {weight.min():g} in row "
        f"{weight.argmin() + 1}, largest {weight.max():g}",
    )
    levels = finite(rows[:, place], f"column of levels ({kind})")
    return WeightTable(kind, levels, weight, named=bool(columns.names))


def _read_columns(table: str | File | Frame | ArrayLike) -> Columns:
    """The columns of a table, with their names if it has any."""
    if is_json(table):
        return _read_columns(_of_json(str(table)))
    if isinstance(table, str) and (not table.strip() or re.search(r"[\n\r]", table)):
        return read_text(table, "the table").without_index()
    if isinstance(table, (str, File)):
        refuse_address(table)
        return read_file(File(table)).without_index()
    if offers(table, Frame):
        return read_frame(table, "the table").without_index()
    if isinstance(table, Mapping):
        return read_columns({str(name): cells for name, cells in table.items()}, "the table")
    try:
        cells = real_numbers(table, "table").astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"cannot read a table of numbers: {error}") from error
    _check_finite(cells)
    return Columns(cells, (), "the table")


def _check_finite(cells: NDArray) -> None:
    """Refuse an array in which a number is NaN or infinite; the message has its place."""
    bad = np.argwhere(~np.isfinite(cells))
    if len(bad):
        place = ", ".join(
            f"{name} {index + 1}"
            for name, index in zip(("row", "column"), bad[0].tolist(), strict=False)
        )
        raise ValueError(
            f"the table: {place}: {cells[tuple(bad[0])]} is not finite; correct the row or drop it"
        )


def is_json(table: Any) -> bool:
    """Whether a table is text of JSON: a list or an object, and no name of a file."""
    return isinstance(table, str) and re.match(r"\s*(\[\s*[\[{]|\{)", table) is not None


def _of_json(text: str) -> Any:
    """Rows, or a mapping from names to columns; of objects, one for each row, their columns."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"cannot read the table as JSON: {error}") from error
    if isinstance(content, list) and content and all(isinstance(row, Mapping) for row in content):
        return {name: [row.get(name) for row in content] for name in content[0]}
    return content


def _kind_of(columns: Columns) -> tuple[Kind, int]:
    """What the levels of a table are, and in which column they stand."""
    if not columns.names:
        return "logsnr", 0
    plain = [_plain(UNIT.sub("", name.lower())) for name in columns.names]
    known = [(KIND_OF[name], place) for place, name in enumerate(plain) if name in KIND_OF]
    require(
        len(known) == 1,
        f"{columns.source} has the columns {' and '.join(columns.names)}: call one of them logsnr "
        "(or t, sigma or timestep with path=), and the other w or weight",
    )
    return known[0]


def _plain(name: str) -> str:
    """A name without spaces, strokes and brackets, in small letters."""
    return name.lower().translate(str.maketrans("", "", " _-[]()"))


def _check_name_of_weight(name: str) -> None:
    """Refuse a second column whose name says that it is no weighting on the eps error."""
    plain = _plain(name)
    require(
        not OTHER_BASE.fullmatch(plain),
        f"the column {name} is a weighting on another error, but eps is meant here: "
        "dv.rebase(w, logsnr, base, 'eps') makes one of it",
    )
    require(
        not NO_WEIGHTING.fullmatch(plain),
        f"the column {name} is no weighting: give w itself, and call it w",
    )


def _check_logsnr(table: WeightTable) -> None:
    """Refuse levels that cannot be log-SNR, such as the steps of a schedule."""
    levels = table.levels
    far = np.abs(levels).max() > FARTHEST
    if not table.named and len(levels) >= FEW and (levels >= 0).all() and (levels <= 1).all():
        raise ValueError(
            f"levels from {levels.min():g} to {levels.max():g} may be times, sigmas or log-SNR; "
            "say by names of the columns what they are: 't,weight' with path=, or 'logsnr,w'"
        )
    whole = (levels == np.round(levels)).all() and len(set(np.diff(levels))) == 1
    counts = whole and len(levels) >= FEW and 0 <= levels[0] <= 1 and levels[-1] > LARGEST
    if far or (counts and not table.named):
        raise ValueError(
            f"levels from {levels.min():g} to {levels.max():g} are no log-SNR in nats, but may be "
            "timesteps; say by names of the columns what they are: 'timestep,weight' with path=, "
            "or 'logsnr,w'"
        )


def weighting_over_logsnr(table: WeightTable) -> Table:
    """The weighting of a table over log-SNR; a ValueError if its levels do not increase."""
    _check_logsnr(table)
    falls = np.flatnonzero(np.diff(table.levels) <= 0)
    if falls.size:
        raise ValueError(
            f"first column (logsnr) must be strictly increasing, but row {falls[0] + 2} is not "
            "above the row before; sort the rows by level, and keep one of each level"
        )
    grid = increasing(table.levels, "first column (logsnr)")
    return Table(grid, table.weight)


def tabulated(table: str | File | ArrayLike) -> tuple[Curve, float, float]:
    """A weighting and its ends, from a table: linear in λ, on log w if all w > 0, 0 outside.

    Args:
        table: A CSV file or its text, a frame, or an array of two columns, λ and w, shape (n, 2).

    Returns:
        The weighting, and the least and the largest λ of the table.

    Raises:
        OSError: The file cannot be opened.
        ValueError: The table is not two numeric columns with increasing λ and w >= 0, is 0
            throughout, or holds something else than log-SNR.
    """
    given = read(table)
    require(
        given.kind == "logsnr",
        f"a table over {given.kind} is no weighting over log-SNR without a path",
    )
    curve = weighting_over_logsnr(given)
    return curve, float(curve.logsnr[0]), float(curve.logsnr[-1])


# --- tables over time


def factor_over_path(table: WeightTable, path: Path) -> Table:
    """The factor of a table over ``t`` or ``sigma``, as a function of λ.

    Args:
        table: The table.
        path: The path whose time or sigma the levels are.

    Returns:
        c(λ) between the levels of the table.

    Raises:
        ValueError: The levels do not rise or fall throughout, or one has no finite λ on the path.
    """
    logsnr = _logsnr_of(table, path)
    bad = np.flatnonzero(~np.isfinite(logsnr))
    if bad.size:
        row = int(bad[0])
        raise ValueError(
            f"row {row + 1}: {table.kind} = {table.levels[row]:g} has no finite log-SNR on the "
            f"path {path.name!r}, where nothing is learned; drop the row"
        )
    falls = logsnr[-1] < logsnr[0]
    order = slice(None, None, -1) if falls else slice(None)
    grid = increasing(logsnr[order], f"column of levels ({table.kind}), as log-SNR")
    return Table(grid, table.weight[order])


def _logsnr_of(table: WeightTable, path: Path) -> NDArray:
    """λ of the levels of a table over ``t`` or ``sigma``."""
    if table.kind == "t":
        return path.logsnr(table.levels)
    return logsnr_of_sigma(table.levels, path)


def logsnr_of_sigma(sigma: NDArray, path: Path) -> NDArray:
    """λ at which the noise of a path has a scale, by halving.

    Args:
        sigma: Scales of the noise, shape (n,).
        path: The path; its frame decides.

    Returns:
        λ in nats, shape (n,).

    Raises:
        ValueError: A sigma lies outside what the frame has.
    """
    low = np.full_like(sigma, -2 * FARTHEST)
    high = np.full_like(sigma, 2 * FARTHEST)
    most = path.frame.sigma(low)
    least = path.frame.sigma(high)
    outside = ~((sigma > least) & (sigma < most))
    if outside.any():
        raise ValueError(
            f"sigma must lie within ({least[0]:.3g}, {most[0]:.3g}) on the path {path.name!r}, "
            f"got {sigma[outside][0]:g}; drop the row, or take the path of the training"
        )
    for _ in range(80):  # 400 nats to the last digit
        middle = (low + high) / 2
        is_noisier = path.frame.sigma(middle) > sigma
        low = np.where(is_noisier, middle, low)
        high = np.where(is_noisier, high, middle)
    return (low + high) / 2


def factor_over_steps(table: WeightTable, path: Path) -> tuple[FactorBetweenLevels, Any]:
    """The factor of a table over timesteps, and the law of the levels that it lists.

    Args:
        table: The table; step 0 is the one with the least noise.
        path: A path whose schedule is a table of levels, as that of a scheduler with betas.

    Returns:
        c(λ), and the law of those levels.

    Raises:
        ValueError: The path has no steps, or a step is not one of them or listed twice.
    """
    steps = atomic(path.schedule)
    if steps is None:
        raise ValueError(
            f"timesteps are those of a table of levels, but the path {path.name!r} is continuous: "
            "pass path=dv.from_diffusers(scheduler).path, or a column t of times in [0, 1]"
        )
    return _factor_at_atoms(table, steps)


def _factor_at_atoms(table: WeightTable, steps: AtomicLaw) -> tuple[FactorBetweenLevels, Any]:
    """The factor at the atoms that a table lists, and their law."""
    index = table.levels.astype(int)
    known = (index == table.levels) & (index >= 0) & (index < steps.steps)
    if not known.all():
        wrong = table.levels[~known][0]
        raise ValueError(
            f"timesteps are whole numbers from 0 to {steps.steps - 1} on this path, got "
            f"{wrong:g}; drop the row, or take the path of the training"
        )
    require(len(set(index.tolist())) == len(index), "a timestep stands in the table twice")
    places = _places(index, steps)
    order = np.argsort(places)
    place = places[order]
    levels = steps.levels[place]
    factor = FactorBetweenLevels(levels, table.weight[order])
    law = laws.atoms(levels, steps.mass[place], table=steps.table)
    _check_cells(law, steps)
    return factor, law


def _places(index: NDArray, steps: AtomicLaw) -> NDArray:
    """The places of steps among the levels of a law; a ValueError if one is never drawn."""
    logsnr = steps.table[index]
    places = nearest_level(steps.levels, logsnr)
    undrawn = index[~np.isclose(logsnr, steps.levels[places], rtol=CLOSE, atol=CLOSE)]
    require(
        not undrawn.size,
        f"timestep {undrawn[:1]} is never drawn on this path, or holds no signal ({undrawn.size} "
        f"of {index.size} rows); drop such rows, or take the path of the whole table",
    )
    return places


def _check_cells(law: Any, steps: AtomicLaw) -> None:
    """Refuse levels so far apart that the outer cells reach beyond the path."""
    low, high = law.support()
    first, last = laws.atoms(steps.levels).support()
    require(
        low >= first - CLOSE and high <= last + CLOSE,
        "the timesteps at an end of the table stand so far apart that they say nothing of what "
        "lies beyond: list the steps beside the first and the last too, or every step",
    )
