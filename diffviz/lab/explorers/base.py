"""What all explorers are made of: controls by name, a picture, and a text under it.

The picture is a PNG in an ``Image`` widget, drawn by Agg, so a reader without a kernel sees it too.
While axes, labels and legend stay, only the lines are drawn, over a cached background; after any
other change the whole figure is drawn once. Nothing is written through ``Output`` or ``interact``.
"""

import base64
import html
import io
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, cast

import ipywidgets as widgets
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from diffviz import checks

RED = "#CC3311"  # of messages; no objective has it


class Picture:
    """A PNG of a figure that is quick to draw again.

    Texts, lines and images with a ``gid`` are drawn over a cached background, which is drawn again
    only when anything else has changed.

    Args:
        figure: A figure with an Agg canvas.
    """

    def __init__(self, figure: Figure):
        self.figure = figure
        self._background: Any = None

    def png(self) -> bytes:
        """The figure as it is now, as the bytes of a PNG."""
        canvas = cast(FigureCanvasAgg, self.figure.canvas)
        moving = self._moving_artists()
        for _, artist in moving:
            artist.set_animated(True)
        if self._background is None or self.figure.stale:  # no animated artist makes it stale
            canvas.draw()
            self._background = canvas.copy_from_bbox(self.figure.bbox)
        canvas.restore_region(self._background)
        for owner, artist in sorted(moving, key=lambda pair: pair[1].get_zorder()):
            owner.draw_artist(artist)
        pixels = np.asarray(canvas.buffer_rgba())[..., :3]
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG", compress_level=1)
        return file.getvalue()

    def _moving_artists(self) -> list[tuple[Any, Artist]]:
        """The artists with a ``gid``, each with the figure or the axes that draw it."""
        artists: list[tuple[Any, Artist]] = [(self.figure, text) for text in self.figure.texts]
        for ax in self.figure.axes:
            artists += [(ax, artist) for artist in (*ax.images, *ax.lines)]
        return [(owner, artist) for owner, artist in artists if artist.get_gid()]


class Explorer(widgets.VBox):
    """Controls beside a picture, with a text under it.

    Args:
        figure: The Agg figure whose lines ``update`` moves.
        controls: Name to widget. A change of a widget's ``value``, or a press of a button, draws
            again.
        update: Called with the name of the control that changed ("" at first). It changes the
            figure, and returns the text under the picture as HTML.
        panel: The controls as they are laid out; one under the other by default.
    """

    def __init__(
        self,
        figure: Figure,
        controls: dict[str, Any],
        update: Callable[[str], str],
        panel: widgets.Widget | None = None,
    ):
        self.figure = figure
        self.controls = controls
        self._update_view = update
        self._picture = Picture(figure)
        self._is_updating = False
        width, height = (f"{int(length)}px" for length in figure.get_size_inches() * figure.dpi)
        self.text = widgets.HTML(update(""), layout=widgets.Layout(max_width=width))
        image_layout = widgets.Layout(
            width=width, height=height, max_width="100%", object_fit="contain"
        )
        self._image = widgets.Image(value=self._picture.png(), format="png", layout=image_layout)
        view = widgets.VBox([self._image, self.text])
        if panel is None:
            panel = widgets.VBox(list(controls.values()), layout=widgets.Layout(width="350px"))
        row = widgets.HBox([panel, view], layout=widgets.Layout(flex_flow="row wrap"))
        super().__init__([row])
        for name, widget in controls.items():
            self._listen(name, widget)

    def _listen(self, name: str, widget: Any) -> None:
        """Draw again whenever a control changes or a button is pressed."""
        if isinstance(widget, widgets.Button):
            widget.on_click(partial(self._on_change, name))
        else:
            widget.observe(partial(self._on_change, name), "value")

    def _on_change(self, name: str, event: Any) -> None:
        """Draw again; ``event`` is the button or the change of value, which is not needed."""
        self.redraw(name)

    def redraw(self, name: str = "") -> None:
        """Draw again after a control changed.

        An error is shown under the picture, which stays as it was.

        Args:
            name: Name of the control that changed, "" for none.
        """
        if self._is_updating:  # the update itself has set a control
            return
        self._is_updating = True
        try:
            self.text.value = self._update_view(name)
            self._show_picture()
        except Exception as error:  # in a callback it would end in a log that nobody opens
            message = html.escape(str(error))
            self.text.value = f"<b style='color:{RED}'>{type(error).__name__}: {message}</b>"
        finally:
            self._is_updating = False

    def _show_picture(self) -> None:
        """Show the figure as it is now."""
        self._image.value = self._picture.png()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self.controls)})"

    @property
    def png(self) -> bytes:
        """The picture on show, as the bytes of a PNG."""
        return self._image.value

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """The widget, and its picture for a reader without a kernel."""
        picture = base64.b64encode(self.png).decode()
        return super()._repr_mimebundle_(**kwargs) | {"image/png": picture}


def control(kind: type[widgets.Widget], description: str, *args: Any, **options: Any) -> Any:
    """A control as wide as the others, with room for its name.

    Args:
        kind: Class of the widget, such as ``ipywidgets.FloatSlider``.
        description: Name that stands beside the control.
        *args: Passed to the class; most widgets take their value first.
        **options: Passed to the class.

    Returns:
        The widget.
    """
    style = {"description_width": "92px"}
    layout = widgets.Layout(width="330px")
    return kind(*args, description=description, style=style, layout=layout, **options)


def require_option(kind: str, value: object, options: Iterable[str], listing: str) -> None:
    """Refuse a value that is not among the options of a control.

    Args:
        kind: What is chosen, such as "weighting".
        value: The value.
        options: What can be chosen.
        listing: Where all options are listed, for the message.

    Raises:
        ValueError: The value is not an option; near ones are named.
    """
    known = list(options)
    if not isinstance(value, str) or value not in known:
        raise checks.unknown(kind, value, known, listing)


def name_tuple(names: Iterable[str], argument: str) -> tuple[str, ...]:
    """Several names as a tuple.

    Args:
        names: The names.
        argument: Name of the argument, for the message.

    Returns:
        The names.

    Raises:
        TypeError: The names are one text, or nothing to go through.
    """
    message = f"{argument} must be a list of names, such as ['edm', 'sd3'], got {names!r}"
    checks.require(not isinstance(names, (str, bytes)), message, TypeError)
    try:
        return tuple(names)
    except TypeError as error:  # nothing to go through, such as an array without dimensions
        raise TypeError(message) from error


def figure_of(ax: Axes) -> Figure:
    """The figure of Axes.

    Args:
        ax: The Axes.

    Returns:
        Their figure.
    """
    return cast(Figure, ax.figure)
