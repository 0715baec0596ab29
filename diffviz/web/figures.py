"""The same views as Matplotlib figures: for saved notebooks, and for files of publication quality.

Example:
    >>> from diffviz.web import Chart, View, figure
    >>> chart = Chart([0.0, 1.0], {"edm": [1.0, 2.0]}, xlabel="λ", ylabel="w")
    >>> [line.get_gid() for line in figure(View((chart,))).axes[0].lines]
    ['edm', 'edm:ends']
"""

from collections.abc import Callable, Mapping, Sequence
from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpecFromSubplotSpec, SubplotSpec
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator
from numpy.typing import NDArray

from diffviz import checks, plots
from diffviz.plots.canvas import Drawing
from diffviz.plots.curves import place_legend
from diffviz.plots.names import shown
from diffviz.web.pictures import Chart, Cloud, Images, Note, Panel, Table, View

WIDTH = 8.0  # inches
CHART_HEIGHT = 4.0
EQUAL_HEIGHT = 5.4  # of a cloud with the same unit on both axes
LINE_HEIGHT = 0.22  # of a row of text
COLUMN_WIDTH = 86  # characters of a row of a table
NOTE_WIDTH = 100  # characters of a note in a line
SPARE_LINES = 0.2  # under the last one
SQUARE_WIDTH = 0.6  # of a column of squares, over that of charts
SQUARES_FROM = 2  # columns beyond which charts beside a square are squares, too
SQUARES_HEIGHT = 3.2  # inches of a row of such panels
TEXT_SIZE = 9  # points
BETWEEN = " ·\u00a0"  # what stands between two parts of that paragraph, and at no end of a line
HEADING_WIDTH = 122  # of the paragraph above all panels, which is in thin type
TITLE_SIZE = 10  # points, where panels share the width
TITLE_WIDTH = 96  # characters of a title over the whole width
LEGEND_SIZE = 8  # points
FEW_TRAILS = 24  # trajectories up to which each is drawn well to be seen
SYMBOLS: dict[str, dict[str, Any]] = {  # all but the dot have a rim
    "dot": {"marker": "o", "ms": 4},
    "disc": {"marker": "o", "ms": 7, "mec": "black"},
    "diamond": {"marker": "D", "ms": 7, "mec": "black"},
    "star": {"marker": "*", "ms": 12, "mec": "black"},
}
BAND = 0.2  # opacity of a band
UNDER, OVER = 2, 5  # order of dots and of crosses; curves have 3 and more
CROSS_SIZE, CROSS_WIDTH = 120, 2  # of a cross: points squared, and points
MARK_LABEL = (4, -3)  # from the upper end of a mark to its label, in points
LEGEND_DROP = 4.6  # from the axes to a legend below, in LEGEND_SIZE: past the ticks and the label
TICKS, NARROW_TICKS = 9, 5  # most intervals of an axis, and where three charts share the width
TICK_STEPS = (1, 2, 5, 10)  # no quarters
IMAGE_GAP = 0.05  # between two small images, in widths of one
IMAGE_LABEL = 0.2  # room for a label above each, in heights of one
ROW_NAME = 14  # characters of the name of a row of images in a line
LEGEND_NAME = 16  # characters of names of which two stand side by side


def figure(view: View, size: tuple[float, float] | None = None, heading: str = "") -> Drawing:
    """A view as a figure: panels in rows, texts below.

    Args:
        view: The view.
        size: Width and height in inches; by default what the panels need.
        heading: A paragraph above the panels, such as what the controls say; none by default.

    Returns:
        The figure. The artists of a chart have the ``gid`` of ``plots.lines``.
    """
    checks.instance(view, "view", View, "a view such as View((chart,))")
    lines = wrap(checks.text(heading, "heading"), HEADING_WIDTH)
    above = [line.rstrip(BETWEEN) for line in lines]
    if size is not None:
        _check_size(size)
    pictures = [panel for panel in view.panels if not isinstance(panel, (Table, Note))]
    columns = min(view.columns, max(1, len(pictures)))
    heights = _part_heights(view, pictures, columns, above)
    drawing = Drawing(figsize=size or (WIDTH, max(1.0, sum(heights))), dpi=100)
    FigureCanvasAgg(drawing)
    drawing.set_layout_engine("constrained")
    grid = drawing.add_gridspec(len(heights), 1, height_ratios=heights)
    *top, middle, bottom = [grid[row, 0] for row in range(len(heights))]
    for part in top:
        _write_heading(drawing, part, above)
    _draw_pictures(drawing, middle, view, pictures, columns)
    if _has_text(view):
        _draw_texts(drawing, bottom, view)
    return drawing


def _has_text(view: View) -> bool:
    """Whether a view has a table or a note."""
    return any(isinstance(panel, (Table, Note)) for panel in view.panels)


def _part_heights(
    view: View, pictures: Sequence[Panel], columns: int, above: Sequence[str]
) -> list[float]:
    """The heights of the paragraph above, if there is one, of the pictures and of the texts."""
    rows = -(-len(pictures) // columns)
    middle = rows * max(map(_height, pictures), default=CHART_HEIGHT)
    middle /= 1 if columns == 1 else 1.4
    if _are_squares(pictures, columns):
        middle = rows * SQUARES_HEIGHT
    bottom = LINE_HEIGHT * (_count_lines(view) + SPARE_LINES) if _has_text(view) else 0.0
    top = [LINE_HEIGHT * len(above)] if above else []
    return [*top, max(middle, 0.1), max(bottom, 0.01)]


def _draw_pictures(
    drawing: Figure, part: SubplotSpec, view: View, pictures: Sequence[Panel], columns: int
) -> None:
    """Draw charts, clouds and images in rows."""
    rows = max(1, -(-len(pictures) // columns))
    legends = _legend_places(pictures, columns)
    are_set = len(view.widths) == columns
    widths = view.widths if are_set else _column_widths(pictures, columns)
    cells = GridSpecFromSubplotSpec(rows, columns, part, width_ratios=widths)
    for number, panel in enumerate(pictures):
        row, column = divmod(number, columns)
        is_alone = _takes_the_row(panel, column, number == len(pictures) - 1)
        cell = cells[row, :] if is_alone else cells[row, column]
        _draw(drawing, cell, panel, columns, has_legend=number in legends)
    if _are_squares(pictures, columns):
        for ax in drawing.axes[-len(pictures) :]:
            ax.set_box_aspect(1)


def _are_squares(pictures: Sequence[Panel], columns: int) -> bool:
    """Whether charts stand in a row with a square: then all are squares of one height."""
    is_chart = [isinstance(panel, Chart) for panel in pictures]
    is_square = [isinstance(panel, Cloud) and panel.equal for panel in pictures]
    alone = all(one or other for one, other in zip(is_chart, is_square, strict=True))
    return columns > SQUARES_FROM and alone and any(is_chart) and any(is_square)


def _legend_places(pictures: Sequence[Panel], columns: int) -> set[int]:
    """Which pictures have a legend: where several say the same, one for all of them.

    Where several rows are alike it stands below them, else under the first chart that has all.
    """
    entries = {
        number: _legend_entries(panel)
        for number, panel in enumerate(pictures)
        if isinstance(panel, Chart) and _needs_legend(panel)
    }
    last = len(pictures) - columns
    if last > 0 and len(entries) == len(pictures) and len(set(entries.values())) == 1:
        return {last + columns // 2}
    return {
        number
        for number, own in entries.items()
        if not any(
            own < other or (own == other and before < number) for before, other in entries.items()
        )
    }


def _legend_entries(chart: Chart) -> frozenset[tuple[str, str, int | None]]:
    """What a legend of a chart says: the name, the colour and the dashes of each curve."""
    colour = _colour_function(chart.colours)
    return frozenset((name, colour(name), chart.dashes.get(name)) for name in chart.curves)


def _takes_the_row(panel: Panel, column: int, is_last: bool) -> bool:
    """Whether a panel is of images and alone in its row."""
    return isinstance(panel, Images) and column == 0 and is_last


def _height(panel: Panel) -> float:
    """The height of a panel that has a row for itself, in inches."""
    is_equal = isinstance(panel, Cloud) and panel.equal
    return EQUAL_HEIGHT if is_equal else CHART_HEIGHT


def _write_heading(drawing: Figure, cell: SubplotSpec, lines: list[str]) -> None:
    """Write a paragraph above the pictures."""
    ax = drawing.add_subplot(cell)
    ax.set_axis_off()
    for number, line in enumerate(lines):
        _write(ax, 0.0, number, len(lines), line, color="0.35")


def _column_widths(pictures: Sequence[Panel], columns: int) -> list[float]:
    """How wide the columns are: one of square pictures alone would have a blank beside them."""
    if _are_squares(pictures, columns):
        return [1.0] * columns
    widths = []
    for column in range(columns):
        panels = pictures[column::columns]
        is_square = bool(panels) and all(isinstance(one, Cloud) and one.equal for one in panels)
        widths.append(SQUARE_WIDTH if is_square else 1.0)
    return widths


def _check_size(size: Any) -> None:
    """Refuse what is no width and height."""
    sides = checks.array(size, "size", ndim=1)
    is_size = sides.shape == (2,) and (sides > 0).all()
    checks.require(is_size, f"size must be a width and a height above 0, got {size!r}")


def _draw(
    drawing: Figure, cell: SubplotSpec, panel: Panel, columns: int, *, has_legend: bool
) -> None:
    """Draw one panel in its cell."""
    if isinstance(panel, Images):
        _draw_images(drawing, cell, panel, TITLE_SIZE if columns > 1 else None)
        return
    ax = drawing.add_subplot(cell)
    ax.grid(alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)
    if isinstance(panel, Chart):
        _draw_chart(ax, panel, columns, has_legend=has_legend)
    elif isinstance(panel, Cloud):
        _draw_cloud(ax, panel, columns)
    if columns > 1:
        ax.title.set_fontsize(TITLE_SIZE)


def _colour_function(colours: Mapping[str, str]) -> Callable[[str], str]:
    """The colour of each curve: its own of the chart, or that of the objective."""
    return lambda name: colours.get(name) or plots.colour(name)


def _draw_chart(ax: Axes, chart: Chart, columns: int, *, has_legend: bool) -> None:
    """Draw the curves of a chart, with its bands, dots and marks."""
    colour = _colour_function(chart.colours)
    ax.set(xscale=chart.xscale, yscale=chart.yscale)
    plots.lines(
        {name: chart.places(name) for name in chart.curves},
        chart.curves,
        xlabel=chart.xlabel,
        ylabel=chart.ylabel,
        title=chart.title,
        outside=None,
        colours=colour,
        ax=ax,
    )
    _dash_lines(list(ax.lines), chart)
    _drop_joints(ax, chart)
    if chart.xscale == "linear":
        most = NARROW_TICKS if columns > 2 else TICKS
        ax.xaxis.set_major_locator(MaxNLocator(most, steps=TICK_STEPS))
    for name, (low, high) in chart.bands.items():
        band = ax.fill_between(chart.places(name), low, high, color=colour(name), alpha=BAND)
        band.set_gid(f"{name}:band")
    _draw_dots(ax, chart)
    if has_legend:
        _draw_legend(ax, chart, columns)
    _draw_marks(ax, chart)
    ax.set(xlim=chart.xlim or _ends(chart), ylim=chart.ylim)
    _set_ticks(ax, chart)


def _draw_dots(ax: Axes, chart: Chart) -> None:
    """Draw the points that have no line, over the curves or under them."""
    colour = _colour_function(chart.colours)
    for name, (x, y) in chart.dots.items():
        order = UNDER if name in chart.under else OVER
        symbol = SYMBOLS[chart.symbols.get(name, "dot")]
        ax.plot(x, y, ls="", color=colour(name), gid=name, label=name, zorder=order, **symbol)


def _draw_legend(ax: Axes, chart: Chart, columns: int) -> None:
    """Draw a legend of the curves, and of the dots and bands that stand in the place of one."""
    handles = {name: _legend_handle(ax, chart, name) for name in chart.curves}
    if columns == 1:
        place_legend(ax, [], outside=True, shades=handles)
    else:
        _place_legend_below(ax, handles)


def _legend_handle(ax: Axes, chart: Chart, name: str) -> Artist:
    """What a legend shows of a name: its line, or else its dots or its band."""
    line, *dots = [one for one in ax.lines if one.get_gid() == name]
    if np.isfinite(np.asarray(chart.curves[name], dtype=float)).any():
        return line
    if dots:
        return dots[0]
    bands = [one for one in ax.collections if one.get_gid() == f"{name}:band"]
    return bands[0] if bands else line


def _draw_marks(ax: Axes, chart: Chart) -> None:
    """Draw vertical lines with their labels."""
    for label, place in chart.marks.items():
        ax.axvline(place, color="0.5", lw=1, gid=f"{label}:mark")
        ax.annotate(
            label,
            (place, 1),
            xytext=MARK_LABEL,
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            fontsize=9,
            color="0.3",
            va="top",
        )


def _set_ticks(ax: Axes, chart: Chart) -> None:
    """Put ticks where a chart asks for them."""
    for axis, places in ((ax.xaxis, chart.xticks), (ax.yaxis, chart.yticks)):
        if places:
            axis.set_ticks(places, [f"{place:g}" for place in places])
            axis.set_minor_locator(NullLocator())


def _needs_legend(chart: Chart) -> bool:
    """Whether the label of the vertical axis does not yet say what is drawn."""
    names = list(chart.curves)
    return len(names) > 1 or (len(names) == 1 and names[0] not in chart.ylabel)


def _place_legend_below(ax: Axes, handles: Mapping[str, Artist]) -> None:
    """Put a legend under the label of the horizontal axis, in columns where names are short."""
    names = list(handles)
    is_short = max(map(len, map(shown, names))) <= LEGEND_NAME
    columns = 2 if is_short and len(names) > 1 else 1
    order = [name for first in range(columns) for name in names[first::columns]]  # read by rows
    ax.legend(
        [handles[name] for name in order],
        list(map(shown, order)),
        ncols=columns,
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        borderaxespad=LEGEND_DROP,
        frameon=False,
        fontsize=LEGEND_SIZE,
        handlelength=3.6,
        columnspacing=1.2,
    )


def _dash_lines(lines: list[Line2D], chart: Chart) -> None:
    """Give the lines of curves their dashes, and make the faint ones pale."""
    for line in lines:
        name = str(line.get_gid() or line.get_label())
        if name in chart.dashes:
            dash: Any = plots.DASHES[chart.dashes[name] % len(plots.DASHES)]
            line.set_linestyle(dash)
        if name.removesuffix(":ends") in chart.faint:
            line.set_alpha(0.4)


def _drop_joints(ax: Axes, chart: Chart) -> None:
    """Take the dot away from an end that lies on another curve: what is drawn goes on there."""
    lines = {str(line.get_gid()): line for line in ax.lines}
    for name in chart.curves:
        dots = lines[f"{name}:ends"]
        x, y = np.asarray(dots.get_data(), dtype=float)
        is_joint = np.zeros(x.shape, dtype=bool)
        for other in set(chart.curves) - {name}:
            places, values = lines[other].get_data()
            is_on = (places == x[:, None]) & (values == y[:, None])
            is_joint |= is_on.any(1)
        dots.set_data(x[~is_joint], y[~is_joint])


def _ends(chart: Chart) -> tuple[float, float] | None:
    """The least and the largest place of a chart; None where it has none or only one."""
    drawn = [chart.places(name) for name in chart.curves]
    dotted = [np.asarray(x, dtype=float) for x, _ in chart.dots.values()]
    places = np.concatenate([*drawn, *dotted, np.empty(0)])
    finite = places[np.isfinite(places)]
    return (finite.min(), finite.max()) if finite.size and np.ptp(finite) > 0 else None


def _draw_cloud(ax: Axes, cloud: Cloud, columns: int) -> None:
    """Draw points, arrows, and trajectories with a dot where each is at the present."""
    for name, values in cloud.points.items():
        x, y = np.asarray(values, dtype=float).reshape(-1, 2).T
        opacity = 0.5 if cloud.paths else 1.0  # what moves stands out
        style: dict[str, Any] = {"s": 8, "linewidths": 0, "alpha": opacity}
        if name in cloud.crosses:
            style = {"s": CROSS_SIZE, "linewidths": CROSS_WIDTH, "marker": "+", "zorder": OVER}
        ax.scatter(x, y, c=_shades(cloud, name), gid=name, **style)
    for name, path in cloud.paths.items():
        _draw_trajectories(ax, cloud, name, np.asarray(path, dtype=float))
    arrows = np.asarray(cloud.arrows, dtype=float)
    if arrows.ndim == 3:
        arrows = arrows[cloud.step(len(arrows))]
    if arrows.size:
        ax.quiver(*arrows.T, angles="xy", scale_units="xy", scale=1, color="0.6", width=0.003)
    ax.autoscale_view()
    ax.set(xlabel=cloud.xlabel, ylabel=cloud.ylabel)
    caption = cloud.captions[cloud.step(len(cloud.captions))] if cloud.captions else ""
    widest = int(TITLE_WIDTH / columns)
    lines = [line for text in (cloud.title, caption) for line in wrap(text, widest)]
    ax.set_title("\n".join(lines), fontsize=TITLE_SIZE)
    limits = _cloud_limits(cloud)
    ax.set(**limits)
    if cloud.equal:
        ax.set_aspect("equal", adjustable="box")


def _cloud_limits(cloud: Cloud) -> dict[str, tuple[float, float]]:
    """Limits of the axes that are given; Matplotlib would take None as fixed."""
    reach = np.asarray(cloud.reach, dtype=float)
    if reach.size:
        half = float(reach[cloud.step(len(reach))])
        return {"xlim": (-half, half), "ylim": (-half, half)}
    limits = {"xlim": cloud.xlim, "ylim": cloud.ylim}
    return {name: limit for name, limit in limits.items() if limit}


def _draw_trajectories(ax: Axes, cloud: Cloud, name: str, path: NDArray) -> None:
    """Draw trajectories (steps, n, 2): pale where they will go, and a dot at the present."""
    step = cloud.step(len(path))
    shades = _shades(cloud, name)
    lines = path[:, : cloud.trails].transpose(1, 0, 2)
    line_shades = shades if isinstance(shades, str) else shades[: cloud.trails]
    is_strong = name in cloud.strong
    to_come, width = (0.5, 1.3) if len(lines) <= FEW_TRAILS else (0.25, 0.8)
    width = 1.8 if is_strong else width
    for part, opacity, gid in ((lines, to_come, "paths"), (lines[:, : step + 1], 1.0, "so far")):
        trails = LineCollection(list(part), colors=line_shades, linewidths=width, alpha=opacity)
        trails.set_gid(f"{name}:{gid}")
        ax.add_collection(trails)
    x, y = path[step].T
    ax.scatter(x, y, s=30 if is_strong else 10, c=shades, gid=name, linewidths=0)


def _shades(cloud: Cloud, name: str) -> Any:
    """The colour of some points, or their colours."""
    return cloud.colours.get(name, plots.colour(name))


def _draw_images(
    drawing: Figure, cell: SubplotSpec, images: Images, title_size: float | None
) -> None:
    """Draw small images in rows."""
    pixels = np.asarray(images.pixels, dtype=float)
    columns = images.columns or min(len(pixels), 8) or 1
    rows = -(-len(pixels) // columns) or 1
    height, width = pixels.shape[1:3]
    gap = IMAGE_GAP * width
    above = IMAGE_LABEL * height if images.labels else 0.0
    ax = drawing.add_subplot(cell)
    ax.set_axis_off()
    ax.set_title(images.title, fontsize=title_size)
    for number, image in enumerate(pixels):
        row, column = divmod(number, columns)
        left, top = column * (width + gap), row * (height + gap + above)
        extent = (left, left + width, top + height, top)
        ax.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest", extent=extent)
        if number < len(images.labels):
            middle = left + width / 2
            style: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": TEXT_SIZE}
            ax.text(middle, top - gap / 2, images.labels[number], **style)
    for row, name in enumerate(images.rows):
        middle = row * (height + gap + above) + height / 2
        text = "\n".join(wrap(name, ROW_NAME))
        ax.text(-2 * gap, middle, text, ha="right", va="center", fontsize=TEXT_SIZE)
    right, bottom = columns * (width + gap) - gap, rows * (height + gap + above) - gap - above
    ax.set(xlim=(0, right), ylim=(bottom, -above), anchor="N")


def _wrapped(note: Note) -> list[str]:
    """The lines of a note, those that are too long broken between words."""
    return [
        line for row in note.text.splitlines() or [""] for line in wrap(row, NOTE_WIDTH) or [""]
    ]


def _count_lines(view: View) -> int:
    """Lines of all tables and notes."""
    tables = sum(1 + len(panel.rows) for panel in view.panels if isinstance(panel, Table))
    return tables + sum(len(_wrapped(panel)) for panel in view.panels if isinstance(panel, Note))


def _draw_texts(drawing: Figure, cell: SubplotSpec, view: View) -> None:
    """Write tables and notes, one line under the other."""
    ax = drawing.add_subplot(cell)
    ax.set_axis_off()
    lines = _count_lines(view) + SPARE_LINES
    line = 0
    for panel in view.panels:
        if isinstance(panel, Table):
            _draw_table(ax, panel, line, lines)
            line += 1 + len(panel.rows)
        elif isinstance(panel, Note):
            weight = "bold" if panel.strong else "normal"
            for text in _wrapped(panel):
                _write(ax, 0.0, line, lines, text, weight=weight)
                line += 1


def _write(ax: Axes, x: float, line: int, lines: float, text: str, **style: Any) -> None:
    """Write a text at a line of the area under the pictures."""
    ax.text(
        x, 1 - line / lines, text, transform=ax.transAxes, fontsize=TEXT_SIZE, va="top", **style
    )


def _draw_table(ax: Axes, table: Table, line: int, lines: float) -> None:
    """Write the cells of a table in columns as wide as their longest texts."""
    cells = [table.head, *table.rows]
    count = max(map(len, cells))
    widths = [max(len(row[k]) if k < len(row) else 0 for row in cells) + 3 for k in range(count)]
    starts = np.cumsum([0, *widths]) / max(COLUMN_WIDTH, sum(widths))
    for number, row in enumerate(cells):
        for start, cell in zip(starts, row, strict=False):
            _write(
                ax, start + 0.02, line + number, lines, cell, weight="normal" if number else "bold"
            )
        if 0 < number <= len(table.colours) and table.colours[number - 1]:
            _write(ax, 0.0, line + number, lines, "■", color=table.colours[number - 1])
