"""Small HTML views for notebooks: a table beside a curve, for ``_repr_html_``.

The views use nothing but the standard library and NumPy. Curves are inline SVG drawn in the colour
of the surrounding text, so that they are readable on a light and on a dark page, and nothing is
fetched. All text is escaped.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffviz.checks import offers
from diffviz.protocols import Weighting

WIDTH = 260  # of the drawn range, in pixels
BESIDE = 44  # room for the labels of the vertical axis, right of it
HEIGHT = 110
TOP = 6  # where the highest point is drawn
FLOOR = 94  # where the horizontal axis is drawn, and the lowest point
LOGSNR_RANGE = (-10.0, 10.0)  # in nats; the range of every weighting that is drawn
DECADES = 6  # how far below its top a curve is drawn
LEAST_SPAN = 0.1  # of the vertical axis, so that rounding errors look flat
LOSS_POINTS = 200  # points of a loss curve

Row = tuple[str, object]


def counted(number: float, noun: str) -> str:
    """A whole number with what it counts, such as "1 row" and "1,000 rows"."""
    return f"{number:,.0f} {noun}{'' if number == 1 else 's'}"


@dataclass(frozen=True, eq=False)
class Curve:
    """A curve to draw, with what is written below it.

    Args:
        x: Increasing, shape (n,).
        y: Heights, shape (n,); where they are not finite the line is broken.
        limits: Ends of the horizontal axis.
        caption: What is drawn, over which axis.
    """

    x: NDArray
    y: NDArray
    limits: tuple[float, float]
    caption: str


def _vertical_limits(y: NDArray) -> tuple[float, float]:
    """Ends of the vertical axis: all heights, but no more than some decades below the top."""
    finite = y[np.isfinite(y)]
    high = float(finite.max())
    low = max(float(finite.min()), high - DECADES)
    spare = max(0.0, LEAST_SPAN - (high - low)) / 2
    return low - spare, high + spare


def _strokes(curve: Curve) -> list[NDArray]:
    """Pixels of the unbroken pieces of a curve, each of shape (k, 2) with k > 1."""
    low, high = _vertical_limits(curve.y)
    left, right = curve.limits
    shown = np.isfinite(curve.y) & (curve.y >= low) & (curve.x >= left) & (curve.x <= right)
    across = (curve.x - left) / (right - left) * WIDTH
    with np.errstate(invalid="ignore"):
        down = (high - curve.y) / (high - low) * (FLOOR - TOP) + TOP
    pixels = np.column_stack([across, down])
    breaks = np.flatnonzero(np.diff(shown)) + 1
    pieces = np.split(np.arange(len(shown)), breaks)
    return [pixels[piece] for piece in pieces if shown[piece[0]] and len(piece) > 1]


def _polyline(pixels: NDArray) -> str:
    """One unbroken piece of a curve as SVG."""
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in pixels)
    return f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.5"/>'


def _label(value: float, x: float, y: float, anchor: str) -> str:
    """A number beside an axis as SVG."""
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-size="10" '
        f'fill="currentColor">{value:.3g}</text>'
    )


def _labels(curve: Curve) -> str:
    """The ends and the middle of the horizontal axis, and both ends of the vertical one."""
    left, right = curve.limits
    low, high = _vertical_limits(curve.y)
    below = HEIGHT - 3
    beside = WIDTH + 4
    return (
        _label(left, 0, below, "start")
        + _label((left + right) / 2, WIDTH / 2, below, "middle")
        + _label(right, WIDTH, below, "end")
        + _label(high, beside, TOP + 4, "start")
        + _label(low, beside, FLOOR, "start")
    )


def drawing(curve: Curve) -> str:
    """A curve as an inline SVG of fixed size.

    Args:
        curve: The curve.

    Returns:
        HTML: the drawing and its caption. Only the caption, if nothing can be drawn.
    """
    caption = escape(curve.caption)
    if not np.isfinite(curve.y).any():
        return f"<div>{caption}: nothing to draw</div>"
    size = WIDTH + BESIDE
    axis = (
        f'<line x1="0" y1="{FLOOR}" x2="{WIDTH}" y2="{FLOOR}" stroke="currentColor" '
        'stroke-opacity="0.4"/>'
    )
    lines = "".join(_polyline(pixels) for pixels in _strokes(curve))
    return (
        f'<div style="width:{size}px"><svg width="{size}" height="{HEIGHT}" '
        f'viewBox="0 0 {size} {HEIGHT}" role="img" aria-label="{caption}">'
        f"{axis}{lines}{_labels(curve)}</svg>"
        f'<div style="font-size:smaller">{caption}</div></div>'
    )


def table(rows: Iterable[Row]) -> str:
    """Names and values as an HTML table; rows without a value are left out.

    Args:
        rows: Pairs of a name and a value; any text in them is escaped.

    Returns:
        HTML.
    """
    cells = [
        '<tr><th style="text-align:left;vertical-align:top;white-space:nowrap">'
        f'{escape(str(name))}</th><td style="text-align:left">{escape(str(value))}</td></tr>'
        for name, value in rows
        if value not in ("", None)
    ]
    return f'<table style="color:inherit;max-width:44em">{"".join(cells)}</table>'


def view(rows: Iterable[Row], *curves: Curve) -> str:
    """A table beside its curves.

    Args:
        rows: Pairs of a name and a value.
        *curves: What is drawn beside them.

    Returns:
        HTML.
    """
    drawings = "".join(drawing(curve) for curve in curves)
    return (
        '<div style="display:flex;flex-wrap:wrap;gap:1.5em;align-items:flex-start">'
        f"{table(rows)}{drawings}</div>"
    )


def _log10(values: NDArray) -> NDArray:
    """log10 of what is above 0, NaN elsewhere."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10(np.where(values > 0, values, np.nan))


def weighting_curve(logsnr: ArrayLike, w: ArrayLike) -> Curve:
    """The weighting on the eps error as log10 w, anchored at the drawn λ that is nearest to 0.

    Args:
        logsnr: Increasing λ in nats, shape (n,).
        w: The weighting, shape (n,). Where it is 0 nothing is drawn.

    Returns:
        The curve over [−10, 10].
    """
    grid = np.asarray(logsnr, dtype=float)
    height = _log10(np.asarray(w, dtype=float))
    low, high = LOGSNR_RANGE
    height = np.where((grid >= low) & (grid <= high), height, np.nan)
    drawn = np.flatnonzero(np.isfinite(height))
    anchor = drawn[np.abs(grid[drawn]).argmin()] if len(drawn) else None
    place = "0" if anchor is None or abs(grid[anchor]) < 0.1 else f"{grid[anchor]:.2g}"
    caption = f"log10 w on the eps error over log-SNR λ, anchored at λ = {place}"
    return Curve(
        x=grid,
        y=height if anchor is None else height - height[anchor],
        limits=LOGSNR_RANGE,
        caption=caption,
    )


def _objective_curve(objective: Any) -> list[Curve]:
    """The weighting of an objective, if it has one that can be computed."""
    if not offers(objective, Weighting):
        return []
    grid = np.linspace(*LOGSNR_RANGE, 201)
    try:
        w = objective.weighting(grid)
    except ValueError:  # refused where a view may not fail; ``weighting`` itself says why
        return []
    return [weighting_curve(grid, w)]


def loss_curve(loss: ArrayLike) -> Curve:
    """A training loss as log10 of its means over equal stretches of steps.

    Args:
        loss: Loss of each step, shape (steps,).

    Returns:
        The curve over the steps.
    """
    values = np.asarray(loss, dtype=float).ravel()
    steps = np.arange(len(values))
    pieces = np.array_split(steps, min(len(values), LOSS_POINTS)) if len(values) else []
    return Curve(
        x=np.array([piece.mean() for piece in pieces]),
        y=_log10(np.array([values[piece].mean() for piece in pieces])),
        limits=(0.0, float(max(1, len(values) - 1))),
        caption="log10 training loss over steps",
    )


def objective(item: Any) -> str:
    """The view of an objective.

    Args:
        item: The objective.

    Returns:
        HTML.
    """
    rows: list[Row] = [
        ("objective", item.name),
        ("family", item.family),
        ("year", item.year or None),
        ("target", item.target.name),
        ("path", item.path.name),
        ("source", item.source),
        ("note", item.note),
    ]
    return view(rows, *_objective_curve(item))


def verdict(item: Any) -> str:
    """The view of a verdict.

    Args:
        item: The verdict.

    Returns:
        HTML.
    """
    rises = ", ".join(f"[{first:.2f}, {last:.2f}]" for first, last in item.rises[:3])
    more = " ..." if len(item.rises) > 3 else ""
    outcome = "not monotone: some ELBOs of noised data count with a minus"
    if item.monotone:
        outcome = "monotone: a sum of ELBOs of noised data"
    rows: list[Row] = [
        ("verdict", outcome),
        ("rises on λ in", rises + more),
        ("peak at λ", "" if item.monotone else f"{item.peak:.3f}"),
        ("negative share of the ELBOs", f"{item.negative_share:.2%}"),
    ]
    return view(rows, weighting_curve(item.logsnr, item.w))


def comparison(item: Any) -> str:
    """The view of a comparison of two weightings.

    Args:
        item: The comparison.

    Returns:
        HTML.
    """
    rows: list[Row] = [
        ("comparison", item.outcome),
        ("largest deviation of the ratio", f"{item.deviation:.2g}"),
        ("at λ", f"{item.at:.2f}"),
    ]
    ends = (float(item.logsnr[0]), float(item.logsnr[-1]))
    caption = "log10 of the ratio of weightings over log-SNR λ, median 0"
    return view(rows, Curve(item.logsnr, _log10(item.ratio), ends, caption))


def measurement(item: Any) -> str:
    """The view of a measured loss: its summary, line by line, and its weighting.

    Args:
        item: The measurement.

    Returns:
        HTML.
    """
    parts = [line.partition(": ") for line in str(item.summary()).split("\n")]
    rows: list[Row] = [(name, value) for name, _, value in parts]
    try:
        edges = item.edges()
        averages, _ = item.weighting(edges)
    except ValueError:  # one level, or no weighting; the summary says which
        return view(rows)
    return view(rows, weighting_curve((edges[1:] + edges[:-1]) / 2, averages))


def run(item: Any) -> str:
    """The view of a trained run: its objective and its training loss.

    Args:
        item: The run.

    Returns:
        HTML.
    """
    losses = np.asarray(item.loss, dtype=float).ravel()
    tail = losses[-max(1, len(losses) // 20) :]
    rows: list[Row] = [
        ("run", item.name),
        ("network", type(item.model).__name__),
        ("output", item.output),
        ("steps", len(losses)),
        (
            "loss at the end",
            f"{tail.mean():.4g} (mean of the last 5% of steps)" if len(tail) else "",
        ),
    ]
    return view(rows, *_objective_curve(item.objective), loss_curve(losses))
