"""What an explorer shows: panels of curves, points, images, tables and notes.

Each is a frozen record of arrays and texts, without a trace of how it is drawn. The browser draws
it from a message (``to_message``), Matplotlib from the record itself (``figures``). Records are
written by Python and by the modules that compute in the browser, in the same form.

Example:
    >>> from diffviz.web import Chart, Note, View, pictures
    >>> view = View((Chart([0.0, 1.0], {"edm": [1.0, 2.0]}, xlabel="λ", ylabel="w"), Note("rises")))
    >>> message, buffers = pictures.to_message(view)
    >>> [panel["kind"] for panel in message["panels"]], len(buffers)
    (['chart', 'note'], 2)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffviz import checks, plots

Limits = tuple[float, float]
SYMBOLS = ("dot", "disc", "diamond", "star")  # all but the first are large, with a rim


@dataclass(frozen=True, eq=False)
class Chart:
    """Curves over one axis.

    Args:
        x: Places, shape (n,), or a mapping from name to places where curves have their own. They
            rise or fall throughout; NaN where a curve has no place.
        curves: Name to values, shape (n,). Nothing is drawn where a value is not finite. Where none
            is, the legend shows the dots or the band of that name.
        xlabel: Label of the horizontal axis.
        ylabel: Label of the vertical axis.
        title: What stands above.
        xscale: "linear" or "log".
        yscale: "linear" or "log".
        xlim: Ends of the horizontal axis, the left one first, which may be the larger; by default
            those of the places.
        ylim: Ends of the vertical axis; by default those of the values.
        colours: Name to "#RRGGBB"; by default each objective has its own.
        dashes: Name to an index of ``plots.DASHES``; by default the curves that would hide each
            other differ.
        faint: Names of curves that are drawn pale, such as those of an earlier run.
        marks: Vertical lines: label to place.
        bands: Name of a curve to the lower and the upper end of a band around it, each (n,).
        dots: Name to places and values of points without a line, two arrays (m,) each.
        under: Names of dots that lie under the curves, such as a cloud around a line.
        symbols: Name of dots to one of ``SYMBOLS``; small dots by default.
        xticks: Places at which the horizontal axis has ticks; round ones by default.
        yticks: Values at which the vertical axis has ticks; round ones by default.
        strokes: Name of the ``Points`` control that takes what a reader draws; none by default.
    """

    x: ArrayLike | Mapping[str, ArrayLike]
    curves: Mapping[str, ArrayLike]
    xlabel: str
    ylabel: str
    title: str = ""
    xscale: str = "linear"
    yscale: str = "linear"
    xlim: Limits | None = None
    ylim: Limits | None = None
    colours: Mapping[str, str] = field(default_factory=dict)
    dashes: Mapping[str, int] = field(default_factory=dict)
    faint: Sequence[str] = ()
    marks: Mapping[str, float] = field(default_factory=dict)
    bands: Mapping[str, tuple[ArrayLike, ArrayLike]] = field(default_factory=dict)
    dots: Mapping[str, tuple[ArrayLike, ArrayLike]] = field(default_factory=dict)
    under: Sequence[str] = ()
    symbols: Mapping[str, str] = field(default_factory=dict)
    xticks: Sequence[float] = ()
    yticks: Sequence[float] = ()
    strokes: str = ""

    def __post_init__(self) -> None:
        checks.instance(self.symbols, "symbols", Mapping, "a mapping from a name to its symbol")
        for symbol in self.symbols.values():
            checks.one_of(symbol, "symbol", SYMBOLS)

    def places(self, name: str) -> NDArray:
        """The places of a curve, shape (n,).

        Args:
            name: Name of the curve.

        Returns:
            The places.
        """
        return np.asarray(self.x[name] if isinstance(self.x, Mapping) else self.x, dtype=float)


@dataclass(frozen=True, eq=False)
class Cloud:
    """Points and trajectories in a plane.

    With paths there is time: the view plays, pauses and scrubs it. Each trajectory is pale where it
    will go, and a point stands where it is. The clouds of a view have one clock.

    Args:
        points: Name to points that stay, shape (n, 2).
        paths: Name to trajectories, shape (steps, n, 2).
        colours: Name to "#RRGGBB", or to one colour a point, shape (n, 3) with values in [0, 1].
        trails: How many trajectories of each name are drawn as lines; all by default. The others
            are points that move.
        strong: Names of trajectories that stand out.
        crosses: Names of points that are drawn as crosses over all else, such as goals.
        times: What the clock shows at each step, shape (steps,); the number of the step by default.
        clock: Name of that quantity, such as "λ".
        captions: What the clock says at each step instead.
        present: Share of the film that is over in a picture that does not move, from 0 to 1.
        arrows: Arrows as rows x, y, dx, dy, shape (m, 4), or (steps, m, 4) where they change.
        reach: Half width of both axes at each step, shape (steps,), for axes that grow and shrink
            with time; it stands in the place of ``xlim`` and ``ylim``.
        xlabel: Label of the horizontal axis.
        ylabel: Label of the vertical axis.
        title: What stands above.
        xlim: Ends of the horizontal axis; by default those of all points.
        ylim: Ends of the vertical axis; by default those of all points.
        equal: Whether both axes have the same unit.
        strokes: Name of the ``Points`` control that takes clicks and drawings; none by default.
    """

    points: Mapping[str, ArrayLike] = field(default_factory=dict)
    paths: Mapping[str, ArrayLike] = field(default_factory=dict)
    colours: Mapping[str, str | ArrayLike] = field(default_factory=dict)
    trails: int | None = None
    strong: Sequence[str] = ()
    crosses: Sequence[str] = ()
    times: ArrayLike = ()
    clock: str = "step"
    captions: Sequence[str] = ()
    present: float = 1.0
    arrows: ArrayLike = ()
    reach: ArrayLike = ()
    xlabel: str = ""
    ylabel: str = ""
    title: str = ""
    xlim: Limits | None = None
    ylim: Limits | None = None
    equal: bool = True
    strokes: str = ""

    def step(self, steps: int) -> int:
        """The step of a film at the present.

        Args:
            steps: How many it has.

        Returns:
            The step, from 0.
        """
        return round(self.present * max(0, checks.count(steps, "steps", least=0) - 1))


@dataclass(frozen=True, eq=False)
class Images:
    """Small images in rows.

    Args:
        pixels: Grey images (n, h, w) or images in colour (n, h, w, 3), values in [0, 1].
        labels: What stands under each image.
        columns: Images in a row; 0 for as many as fit.
        rows: What stands to the left of each row, where ``columns`` are given.
        title: What stands above.
    """

    pixels: ArrayLike
    labels: Sequence[str] = ()
    columns: int = 0
    rows: Sequence[str] = ()
    title: str = ""


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Args:
        head: Headings of the columns.
        rows: The cells of each row.
        colours: A colour in front of each row, "" for a row without one; none by default.
        title: What stands above.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    colours: Sequence[str] = ()
    title: str = ""


@dataclass(frozen=True)
class Note:
    """A paragraph.

    Args:
        text: Plain text.
        strong: Whether it stands out.
    """

    text: str
    strong: bool = False


Panel = Chart | Cloud | Images | Table | Note


@dataclass(frozen=True, eq=False)
class View:
    """What an explorer shows in one state.

    Args:
        panels: The panels. Charts, clouds and images come first, tables and notes below them.
        columns: Charts in a row.
        widths: Relative widths of the columns; alike by default, and wherever there is little room.
    """

    panels: Sequence[Panel]
    columns: int = 1
    widths: Sequence[float] = ()

    def __post_init__(self) -> None:
        widths = checks.array(self.widths, "widths", ndim=1)
        is_one_each = not widths.size or (len(widths) == self.columns and (widths > 0).all())
        wanted = f"widths must be a number above 0 for each of {self.columns} columns"
        checks.require(is_one_each, f"{wanted}, got {self.widths!r}")

    @property
    def charts(self) -> tuple[Chart, ...]:
        """The panels with curves."""
        return tuple(panel for panel in self.panels if isinstance(panel, Chart))

    @property
    def text(self) -> str:
        """All that the tables and notes say, in lines."""
        lines = []
        for panel in self.panels:
            if isinstance(panel, Note):
                lines.append(panel.text)
            elif isinstance(panel, Table):
                lines += ["  ".join(row) for row in (panel.head, *panel.rows)]
        return "\n".join(lines)


@dataclass(frozen=True)
class Working:
    """How far long work has come.

    Args:
        progress: Share that is done, from 0 to 1.
        text: What is done now.
    """

    progress: float
    text: str = ""

    def __post_init__(self) -> None:
        checks.number(self.progress, "progress", 0.0, 1.0)
        checks.text(self.text, "text")


# --- messages to the browser ----------------------------------------------------------------------

VIEW = "a view such as View((chart,))"
ARRAYS = ("x", "curves", "bands", "dots", "points", "paths", "times", "arrows", "reach", "pixels")


class Packer:
    """Takes the arrays out of a record, as the buffers of a message."""

    def __init__(self) -> None:
        self.buffers: list[bytes] = []

    def array(self, values: ArrayLike, kind: str = "float32") -> dict[str, Any]:
        """An array as a reference to its buffer, with its shape.

        Args:
            values: The array.
            kind: Type of its numbers in the buffer; bytes stay as they are.

        Returns:
            Plain data that ``unpacked`` of the browser knows.
        """
        numbers = np.asarray(values)
        kind = "uint8" if numbers.dtype == np.uint8 else kind
        self.buffers.append(np.ascontiguousarray(numbers, dtype=kind).tobytes())
        return {"buffer": len(self.buffers) - 1, "type": kind, "shape": list(numbers.shape)}

    def arrays(self, value: Any) -> Any:
        """The arrays of a mapping, of a pair, or one array."""
        if isinstance(value, Mapping):
            return {name: self.arrays(one) for name, one in value.items()}
        if isinstance(value, tuple) and value and np.ndim(value[0]) == 1:
            return [self.array(one) for one in value]
        return self.array(value)

    def colours(self, panel: Chart | Cloud) -> dict[str, Any]:
        """The colour of each name in a panel, or the colours of its points."""
        if isinstance(panel, Chart):
            named = {**panel.curves, **panel.dots}
        else:
            named = {**panel.points, **panel.paths}
        shades = {name: panel.colours.get(name, plots.colour(name)) for name in named}
        return {
            name: shade if isinstance(shade, str) else self.array(as_bytes(shade))
            for name, shade in shades.items()
        }

    def panel(self, panel: Panel) -> dict[str, Any]:
        """A panel as plain data with references to buffers.

        Args:
            panel: The panel.

        Returns:
            Its kind and its fields.
        """
        record: dict[str, Any] = {"kind": type(panel).__name__.lower()}
        for one in fields(panel):
            value = getattr(panel, one.name)
            if one.name == "pixels":
                record["pixels"] = self.array(as_bytes(value))
            elif one.name == "colours" and isinstance(panel, (Chart, Cloud)):
                record["colours"] = self.colours(panel)
            else:
                record[one.name] = self.arrays(value) if one.name in ARRAYS else plain(value)
        return record

    def view(self, view: View) -> dict[str, Any]:
        """A view as plain data with references to buffers.

        Args:
            view: The view.

        Returns:
            Its panels, and the number and the widths of its columns.
        """
        return {
            "panels": [self.panel(panel) for panel in view.panels],
            "columns": view.columns,
            "widths": [float(width) for width in view.widths],
        }

    def data(self, value: Any) -> Any:
        """What a module in the browser computes with, its arrays in float64 unless in float32.

        Args:
            value: Arrays and plain values in mappings and lists.

        Returns:
            The same, with references to buffers.
        """
        if isinstance(value, Mapping):
            return {name: self.data(one) for name, one in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.data(one) for one in value]
        if not isinstance(value, np.ndarray):
            return plain(value)
        return self.array(value, "float32" if value.dtype == np.float32 else "float64")


def as_bytes(values: ArrayLike) -> NDArray[np.uint8]:
    """Brightness in [0, 1] as whole numbers from 0 to 255.

    Args:
        values: Brightness; what lies outside is clipped.

    Returns:
        The numbers, in the same shape.
    """
    return np.round(255 * np.clip(np.asarray(values, dtype=float), 0, 1)).astype(np.uint8)


def plain(value: Any) -> Any:
    """A value as plain data for JSON: numbers of NumPy as numbers, tuples as lists.

    Args:
        value: A text, a number, None, or a mapping or sequence of such.

    Returns:
        The plain data.
    """
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value.item() if isinstance(value, np.generic) else value


def to_message(view: View) -> tuple[dict[str, Any], list[bytes]]:
    """A view as plain data with the buffers of its arrays.

    Args:
        view: The view.

    Returns:
        Plain data for JSON, in which an array is a reference to a buffer with its type and shape;
        and the buffers.
    """
    checks.instance(view, "view", View, VIEW)
    packer = Packer()
    return packer.view(view), packer.buffers


def columns_of(view: View) -> dict[str, NDArray]:
    """The curves and points of a view as columns of a table, for "save data".

    Args:
        view: The view.

    Returns:
        Name to values: the places of each chart, then its curves; the coordinates of the points of
        each cloud, and with their steps those of its trajectories. Shorter columns end in NaN.
    """
    checks.instance(view, "view", View, VIEW)
    clouds = [panel for panel in view.panels if isinstance(panel, Cloud)]
    pictures = len(view.charts) + len(clouds)
    columns: dict[str, NDArray] = {}
    for number, chart in enumerate(view.charts, start=1):
        prefix = f"{number}:" if len(view.charts) > 1 else ""
        columns |= {f"{prefix}{name}": one for name, one in _chart_columns(chart).items()}
    for number, cloud in enumerate(clouds, start=len(view.charts) + 1):
        prefix = f"{number}:" if pictures > 1 else ""
        columns |= {f"{prefix}{name}": one for name, one in _cloud_columns(cloud).items()}
    longest = max(map(len, columns.values()), default=0)
    return {
        name: np.pad(values, (0, longest - len(values)), constant_values=np.nan)
        for name, values in columns.items()
    }


def _chart_columns(chart: Chart) -> dict[str, NDArray]:
    """The places of a chart, then its curves."""
    own_places = isinstance(chart.x, Mapping)
    columns: dict[str, NDArray] = {}
    if not own_places and chart.curves:
        columns["x"] = np.asarray(chart.x, dtype=float)
    for name, values in chart.curves.items():
        if own_places:
            columns[f"x of {name}"] = chart.places(name)
        columns[name] = np.asarray(values, dtype=float)
    return columns


def _cloud_columns(cloud: Cloud) -> dict[str, NDArray]:
    """The coordinates of the points of a cloud, and with their steps those of its trajectories."""
    columns: dict[str, NDArray] = {}
    for name, points in cloud.points.items():
        places = np.asarray(points, dtype=float).reshape(-1, 2)
        columns |= {f"{name} x": places[:, 0], f"{name} y": places[:, 1]}
    for name, path in cloud.paths.items():
        steps, count, _ = np.shape(path)
        places = np.asarray(path, dtype=float).reshape(-1, 2)
        columns[f"{name} step"] = np.repeat(np.arange(steps, dtype=float), count)
        columns |= {f"{name} x": places[:, 0], f"{name} y": places[:, 1]}
    return columns
