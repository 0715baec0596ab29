"""Figures of their own: their size, their axes and their picture in a notebook."""

from io import BytesIO

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from diffviz import plots


def test_a_figure_shows_itself_in_a_notebook():
    ax = plots.axes(7, 4)[0]
    ax.figure.suptitle("a title at the upper edge", y=1.0)
    picture, size = ax.figure._repr_png_()
    assert picture.startswith(b"\x89PNG")
    assert size == {"width": 700, "height": 400}
    across, up = Image.open(BytesIO(picture)).size
    assert (across, up) == (1400, 800)


@pytest.mark.parametrize("title", ["", "short"])
def test_room_for_a_title_is_shown_only_where_there_is_one(title):
    ax = plots.axes(7, 4)[0]
    ax.set_title(title)
    picture, size = ax.figure._repr_png_()
    pixels = np.asarray(Image.open(BytesIO(picture)).convert("L"))
    inked = np.flatnonzero((pixels < 200).any(1))  # rows with something dark in them
    assert 5 < inked[0] < 40  # at 200 dots per inch
    assert size["width"] == 700
    assert pixels.shape == (2 * size["height"], 1400)
    assert tuple(ax.figure.get_size_inches()) == (7, 4)


def test_a_thin_mark_beside_many_shades_keeps_its_colour():
    """A palette of the commonest colours is 40 and more of 255 off there."""
    ax = plots.axes(6, 4)[0]
    shades = np.linspace(0, 1, 256)
    ax.imshow(np.stack([*np.meshgrid(shades, shades), np.full((256, 256), 0.5)], axis=-1))
    ax.plot([20, 100], [60, 200], color="#D55E00", linewidth=0.5)
    ax.plot([120, 200], [60, 200], color="#0072B2", linewidth=0.5)
    exact = BytesIO()
    ax.figure.savefig(exact, format="png", dpi=100)
    pixels, shown = (
        np.asarray(Image.open(one).convert("RGB")).astype(int)
        for one in (exact, BytesIO(ax.figure.png(100)))
    )
    assert abs(pixels - shown).max() < 25
    white = (pixels == 255).all(-1)
    assert white.any() and (shown[white] == 255).all()


def test_shades_keep_their_exact_colours():
    """A pale shade that is 14 of 255 off looked like the shade of another curve."""
    ax = plots.axes(6, 4)[0]
    x = np.linspace(0, 1, 50)
    for place, colour in enumerate(("#CC79A7", "#009E73", "#000000", "#D55E00", "#0072B2")):
        ax.fill_between(x, place + x, place + x + 0.5, color=colour, alpha=0.15, linewidth=0)
        ax.plot(x, place + x + 0.2, color=colour)
    exact = BytesIO()
    ax.figure.savefig(exact, format="png", dpi=100)
    counted = Image.open(exact).convert("RGB").getcolors(1 << 24)
    common = {colour for count, colour in counted if count > 200}
    shown = Image.open(BytesIO(ax.figure.png(100))).convert("RGB").getcolors(1 << 24)
    assert len(common) > 10
    assert common <= {colour for _, colour in shown}


@pytest.mark.parametrize("colours", [1, 3, 64, 65, 255, 4000])
def test_a_picture_of_so_many_colours_is_packed(colours):
    """Where the palette has room for all, nothing changes."""
    rng = np.random.default_rng(0)
    chosen = rng.integers(0, 256, (colours, 3), dtype=np.uint8)
    pixels = chosen[np.arange(8000) % colours].reshape(80, 100, 3)
    plain = BytesIO()
    Image.fromarray(pixels).save(plain, "PNG")
    packed = Image.open(BytesIO(plots.canvas.with_few_colours(plain)))
    assert packed.mode == "P"
    off = abs(np.asarray(packed.convert("RGB")).astype(int) - pixels).max()
    assert off == 0 if colours <= 64 else off < 60


def test_a_layout_is_held_at_rounded_places_while_a_figure_shows_itself(monkeypatch):
    figure = plots.canvas.Drawing(figsize=(5, 3), layout="constrained")
    FigureCanvasAgg(figure)
    axes = np.ravel(figure.subplots(2, 2))
    held = []
    show = plots.canvas.Drawing._encoded

    def watched(*arguments):
        held.extend(ax.get_position(original=True).extents for ax in axes)
        return show(*arguments)

    monkeypatch.setattr(plots.canvas.Drawing, "_encoded", watched)
    figure._repr_png_()
    np.testing.assert_array_equal(held, np.round(held, 9))
    assert all(ax.get_in_layout() for ax in axes)
    before = axes[0].get_position().x0
    axes[0].set_ylabel("a label that takes room")
    figure.draw_without_rendering()
    assert axes[0].get_position().x0 > before + 0.01  # the layout is at work again


def test_axes_come_row_by_row_on_a_figure_of_that_size():
    grid = plots.axes(np.float64(6), 4, columns=np.int64(3), rows=2)
    assert len(grid) == 6
    assert tuple(grid[0].figure.get_size_inches()) == (6, 4)
    assert grid[0].get_position().y0 > grid[3].get_position().y0


def test_room_for_a_legend_is_kept_on_the_right():
    plain, narrow = plots.axes(8.0)[0], plots.axes(8.0, legend=2.0)[0]
    room = (plain.get_position().x1 - narrow.get_position().x1) * 8.0
    assert room == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("bad", "error", "words"),
    [
        ({"width": 0}, ValueError, "width must be a finite number > 0"),
        ({"height": np.nan}, ValueError, "height must be a finite number > 0"),
        ({"columns": 0}, ValueError, "columns must be at least 1"),
        ({"rows": 1.0}, TypeError, "rows must be a whole number"),
        ({"columns": True}, TypeError, "columns must be a whole number"),
        ({"legend": -1}, ValueError, "legend must lie in"),
        ({"width": 2.0, "legend": 2.0}, ValueError, "has no room for axes"),
    ],
)
def test_sizes_without_a_meaning_are_refused(bad, error, words):
    with pytest.raises(error, match=words):
        plots.axes(**bad)
