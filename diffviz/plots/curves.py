"""Ink: functions of arrays that draw on their own Matplotlib figure, never on pyplot's.

Every line carries its name as ``gid``; called again on the same Axes a function moves the lines that are there. One colour-blind-safe
colour per objective everywhere; where two of one colour meet, the dash tells them apart.
"""

from collections.abc import Callable, Mapping
from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from diffviz.plots.style import COLOURS, DASHES, PALETTE, colour

ERROR_OF = {"eps": "ε", "x": "x", "v": "v", "u": "u"}
LOGSNR = "log-SNR λ = log(α²/σ²)   [nats; noise ← → data]"


class Drawing(Figure):
    """A figure that a notebook shows by itself, without pyplot or a backend."""

    def _repr_png_(self) -> bytes:
        drawn, file = BytesIO(), BytesIO()
        self.savefig(drawn, format="png", metadata={"Software": None})
        Image.open(drawn).convert("RGB").quantize(255).save(
            file, "PNG", optimize=True
        )  # a third of the bytes in a notebook
        return file.getvalue()


def axes(
    width: float = 7.2, height: float = 4.2, columns: int = 1, rows: int = 1, legend: float = 0.0
) -> list[Axes]:
    """Axes, row by row, on a new Agg figure of that size in inches; ``legend`` is the width in inches kept free on the right."""
    figure = Drawing(figsize=(width, height), dpi=100)
    FigureCanvasAgg(figure)
    grid = list(np.ravel(figure.subplots(rows, columns)))
    room = {
        "left": 0.72 / width,
        "right": 1 - (legend + 0.15) / width,
        "bottom": 0.58 / height,
        "top": 1 - 0.4 / height,
    }
    figure.subplots_adjust(**room, wspace=0.28, hspace=0.42)
    for ax in grid:
        ax.grid(alpha=0.25)
        ax.spines[["top", "right"]].set_visible(False)
    return grid


def lines(
    x: ArrayLike | Mapping[str, ArrayLike], curves: Mapping[str, ArrayLike], *, xlabel: str, ylabel: str, title: str = "", outside: bool | None = False,
    colours: Callable[[str], str] | None = None, ax: Axes | None = None
) -> Axes:  # fmt: skip
    """One line per curve, with a dot where it starts or stops inside the picture.

    Args:
        x: shape (n,), or a mapping from name to (n,) where curves have their own.
        curves: name to values, shape (n,); NaN where there is nothing to draw.
        outside: put the legend to the right of the axes; no legend for None.
        colours: colour of a name; by default the next free one of the palette, an objective's own where it has one.
    Returns the Axes; each line's ``gid`` is its name, that of its end dots the name and ":ends".
    """
    ax = ax or axes(legend=1.9 if outside else 0.0)[0]
    wanted = {name: np.asarray(values, dtype=float) for name, values in curves.items()}
    free = iter(c for c in PALETTE * 9 if c not in {COLOURS.get(name) for name in wanted})
    ink = {name: colours(name) if colours else COLOURS.get(name) or next(free) for name in wanted}
    known = {line.get_gid(): line for line in ax.lines if line.get_gid()}
    for gid in known.keys() - {*wanted, *(f"{name}:ends" for name in wanted)}:
        known.pop(gid).remove()
    fresh = wanted.keys() - known.keys()
    for place, (name, values) in enumerate(wanted.items()):
        if name in fresh:  # a line over its like, in colour or in place, is dashed
            earlier = list(wanted)[:place]
            alike = sum(
                ink[o] == ink[name] or np.isclose(wanted[o], values, 1e-3, 1e-9).mean() > 0.25
                for o in earlier
            )
            (known[name],) = ax.plot(
                [],
                [],
                ls=DASHES[alike % len(DASHES)],
                label=name,
                gid=name,
                lw=2,
                zorder=3 + 0.1 * alike,
            )
            (known[f"{name}:ends"],) = ax.plot([], [], "o", ms=4, gid=f"{name}:ends")
        at = np.asarray(x[name] if isinstance(x, Mapping) else x, dtype=float)
        drawn = np.flatnonzero(np.isfinite(values))
        ends = [i for i in (*drawn[:1], *drawn[-1:]) if 0 < i < len(values) - 1]
        known[name].set(data=(at, values), color=ink[name])
        known[f"{name}:ends"].set(data=(at[ends], values[ends]), color=ink[name])
    words = {"xlabel": xlabel, "ylabel": ylabel, "title": title}
    ax.set(
        **{key: text for key, text in words.items() if text != getattr(ax, f"get_{key}")()}
    )  # only news make a figure stale
    legend = ax.get_legend()
    stale = outside is not None and list(wanted) != [
        text.get_text() for text in (legend.get_texts() if legend else ())
    ]
    if fresh or stale:
        ax.relim()
        ax.autoscale_view()
    if stale:
        room = (
            {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0}
            if outside
            else {"loc": "best"}
        )
        ax.legend(
            [known[name] for name in wanted],
            list(wanted),
            frameon=False,
            fontsize=9,
            handlelength=3,
            **room,
        )
    return ax


def _log_anchored(w: NDArray, logsnr: NDArray, anchor: float) -> NDArray:
    inside = np.flatnonzero(w > 0)
    logs = np.log10(np.where(w > 0, w, np.nan))
    return logs - logs[inside[np.abs(logsnr[inside] - anchor).argmin()]]


SCALES: dict[str, tuple[Callable, str]] = {  # w, logsnr and anchor to what is drawn
    "log10, anchored": (_log_anchored, "log₁₀ w on the {} error, 0 at λ = {:g}"),
    "w / max": (lambda w, *_: w / w.max(), "w(λ) / max on the {} error"),
    "unit area": (
        lambda w, logsnr, _: w / np.trapezoid(w, logsnr),
        "share per nat, on the {} error",
    ),
}


def scaled(w: NDArray, logsnr: NDArray, scale: str, anchor: float = 0.0) -> NDArray:
    """Values of w in one of the ``SCALES``, shape (n,); NaN where w is 0, so that nothing is drawn there."""
    inside = w > 0
    return np.where(inside, SCALES[scale][0](w, logsnr, anchor) if inside.any() else np.nan, np.nan)


def weighting_curves(
    logsnr: ArrayLike, curves: Mapping[str, object], *, base: str = "eps", scale: str = "log10, anchored", anchor: float = 0.0,
    title: str = "", outside: bool | None = True, ax: Axes | None = None
) -> Axes:  # fmt: skip
    """Weightings over log-SNR, on the error of ``base``; nothing is drawn outside a support.

    Args:
        logsnr: grid in nats, shape (n,).
        curves: name to an objective (anything with ``weighting(logsnr, base)``) or to values of w already in ``base``, shape (n,).
        scale: "log10, anchored" (0 at ``anchor``, or at the end of the support nearest to it), "w / max" or "unit area".
    Raises ValueError for an unknown base or scale.
    """
    if scale not in SCALES or base not in ERROR_OF:
        raise ValueError(
            f"scale is one of {', '.join(SCALES)} and base of {', '.join(ERROR_OF)}; got {scale!r}, {base!r}"
        )
    grid = np.asarray(logsnr, dtype=float)
    values = {
        n: np.asarray(c.weighting(grid, base) if hasattr(c, "weighting") else c, dtype=float)
        for n, c in curves.items()
    }
    shown = {name: scaled(w, grid, scale, anchor) for name, w in values.items()}
    label = SCALES[scale][1].format(ERROR_OF[base], anchor)
    ax = ax or axes(legend=0.6 + 0.085 * max(map(len, curves), default=0) if outside else 0.0)[0]
    ax.xaxis.set_major_locator(MultipleLocator(5))
    return lines(
        grid,
        shown,
        xlabel=LOGSNR,
        ylabel=label,
        title=title,
        outside=outside,
        colours=colour,
        ax=ax,
    )
