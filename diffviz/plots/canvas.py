"""Figures of their own, never pyplot's, with one or several axes."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from numpy.typing import NDArray
from PIL import Image

from diffviz import checks

LEAST_DPI = 5.0  # below it letters have no pixel
MOST_DPI = 1200.0
SHARP = 200  # dots per inch of what a notebook shows and keeps
DIGITS = 9  # of a place in a figure, whose width and height are 1
ABOVE = 0.08  # inches that stay free above what is drawn
COLOURS = 255  # of a picture, which makes it a third as large
EXACT = 64  # of them, which are the commonest and stay as they are


class Drawing(Figure):
    """A figure that a notebook shows by itself, without pyplot or a backend."""

    def png(self, dpi: float = 100) -> bytes:
        """The figure as a PNG of 255 colours, a third of the usual bytes in a saved notebook.

        Args:
            dpi: Dots per inch.

        Returns:
            The bytes.
        """
        return self._encoded(checks.number(dpi, "dpi", LEAST_DPI, MOST_DPI))

    def _encoded(self, dpi: float, part: Bbox | None = None) -> bytes:
        """The figure, or a part of it in inches, as a PNG of 255 colours."""
        return png_of(self, dpi, part)

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """The figure with many dots, and the size in which it is shown."""
        with self._laid_out():
            part = self._below_the_blank()
            width, height = (round(length * self.dpi) for length in (part.width, part.height))
            return self._encoded(SHARP, part), {"width": width, "height": height}

    @contextmanager
    def _laid_out(self) -> Iterator[None]:
        """Hold the places that a layout gives, rounded, since its solver's last digits vary."""
        engine = self.get_layout_engine()
        if engine is None:
            yield
            return
        self.draw_without_rendering()  # a layout takes its room when it is drawn
        self.set_layout_engine("none")
        for ax in self.axes:
            in_layout = ax.get_in_layout()
            places = ax.get_position(original=True).extents
            ax.set_position(Bbox.from_extents(*np.round(places, DIGITS)))
            ax.set_in_layout(in_layout)
        try:
            yield
        finally:
            self.set_layout_engine(engine)

    def _below_the_blank(self) -> Bbox:
        """The figure in inches, without the room that is kept for a title where there is none."""
        width, height = self.get_size_inches()
        drawn = self.get_tightbbox(self.canvas.get_renderer())  # type: ignore[attr-defined]
        top = np.ceil((drawn.y1 + ABOVE) * self.dpi) / self.dpi  # at a whole dot
        return Bbox.from_extents(0, 0, width, min(height, top))


def png_of(figure: Figure, dpi: float, part: Bbox | None = None) -> bytes:
    """A figure as a PNG of 255 colours.

    Args:
        figure: The figure.
        dpi: Dots per inch.
        part: What of it is shown, in inches; all by default.

    Returns:
        The bytes.
    """
    full = BytesIO()
    packing = {"compress_level": 0}  # it is read at once
    figure.savefig(full, format="png", dpi=dpi, bbox_inches=part, pil_kwargs=packing)
    return with_few_colours(full)


def with_few_colours(picture: BytesIO) -> bytes:
    """A picture as a PNG of 255 colours.

    The commonest colours stay as they are, since a pale shade that is only a little off may take
    the hue of another curve. The other places of the palette are spread over all colours that are
    left, so that a thin mark beside many shades keeps its own.

    Args:
        picture: A file that Pillow reads.

    Returns:
        The bytes. Pillow's usual packing is used: the closest one takes seven times as long and
        saves a twelfth of the bytes.
    """
    image = Image.open(picture).convert("RGB")
    counted = sorted(image.getcolors(image.width * image.height) or [], reverse=True)
    colours = np.array([colour for _, colour in counted], dtype=np.uint8)
    palette, places = colours[:EXACT], np.arange(min(len(colours), EXACT), dtype=np.uint8)
    if len(colours) > EXACT:
        others = Image.fromarray(colours[None, EXACT:])
        spread = others.quantize(COLOURS - EXACT, method=Image.Quantize.MAXCOVERAGE)
        found = np.array(spread.getpalette(), dtype=np.uint8).reshape(-1, 3)
        palette = np.concatenate([palette, found[: COLOURS - EXACT]])
        places = np.concatenate([places, np.asarray(spread)[0] + EXACT])
    place = np.zeros(1 << 24, dtype=np.uint8)  # in the palette, of each colour that there is
    place[_packed(colours)] = places
    indexed = Image.fromarray(place[_packed(np.asarray(image))], mode="P")
    indexed.putpalette(palette.tobytes())
    small = BytesIO()
    indexed.save(small, "PNG")
    return small.getvalue()


def _packed(colours: NDArray) -> NDArray:
    """Colours as one number each."""
    red, green, blue = np.moveaxis(colours.astype(np.uint32), -1, 0)
    return red << 16 | green << 8 | blue


def axes(
    width: float = 7.2, height: float = 4.2, columns: int = 1, rows: int = 1, legend: float = 0.0
) -> list[Axes]:
    """Axes on a new figure.

    Args:
        width: Width of the figure in inches.
        height: Height of the figure in inches.
        columns: Number of axes in a row.
        rows: Number of rows.
        legend: Width in inches that is kept free on the right, for a legend beside the axes.

    Returns:
        The axes, row by row.

    Raises:
        TypeError: A size is no number, or a count no whole number.
        ValueError: A size or a count is not positive, or no room is left beside the legend.
    """
    width = checks.positive(width, "width")
    height = checks.positive(height, "height")
    columns = checks.count(columns, "columns")
    rows = checks.count(rows, "rows")
    legend = checks.number(legend, "legend", low=0.0)
    figure = Drawing(figsize=(width, height), dpi=100)
    FigureCanvasAgg(figure)
    grid = list(np.ravel(figure.subplots(rows, columns)))
    _set_margins(figure, width, height, legend)
    for ax in grid:
        ax.grid(alpha=0.25)
        ax.spines[["top", "right"]].set_visible(False)
    return grid


def _set_margins(figure: Figure, width: float, height: float, legend: float) -> None:
    """Set the margins of a figure; they have the same size in inches in every figure."""
    left, right, bottom, top = 0.72, legend + 0.15, 0.58, 0.4
    if left + right >= width or bottom + top >= height:
        raise ValueError(
            f"a figure with a width of {width:g} and a height of {height:g} inches has no room for "
            f"axes: its margins take {left + right:g} x {bottom + top:g}"
        )
    figure.subplots_adjust(
        left=left / width,
        right=1 - right / width,
        bottom=bottom / height,
        top=1 - top / height,
        wspace=0.28,
        hspace=0.42,
    )
