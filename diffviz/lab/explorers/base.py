"""Explorers: controls by name, one drawing function, and a picture that a reader without a kernel sees too.

The picture is a PNG in an ``Image`` widget, fed by an Agg figure. While axes, labels and legend stay, only the lines are drawn, over a
cached background; anything else takes the full path once. Nothing is written through ``Output`` or ``interact``.
"""

import base64
import html
import io
from collections.abc import Callable
from typing import Any, cast

import ipywidgets as w
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image as Pillow

WIDE = {"description_width": "92px"}


class Picture:
    """PNG of a figure; its texts, lines and images with a ``gid`` move over a cached background until something else changes."""

    def __init__(self, figure: Figure):
        self.figure, self._background = figure, None

    def png(self) -> bytes:
        """The figure as it is now."""
        canvas = cast(FigureCanvasAgg, self.figure.canvas)
        moving: list[tuple[Any, Any]] = [
            (self.figure, one) for one in self.figure.texts if one.get_gid()
        ]
        moving += [
            (ax, one) for ax in self.figure.axes for one in (*ax.images, *ax.lines) if one.get_gid()
        ]
        for _, one in moving:
            one.set_animated(True)
        if self._background is None or self.figure.stale:  # an animated artist makes nothing stale
            canvas.draw()
            self._background = canvas.copy_from_bbox(self.figure.bbox)
        canvas.restore_region(self._background)
        for owner, one in sorted(moving, key=lambda pair: pair[1].get_zorder()):
            owner.draw_artist(one)
        file = io.BytesIO()
        Pillow.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]).save(
            file, "PNG", compress_level=1
        )
        return file.getvalue()


class Explorer(w.VBox):
    """Controls beside a picture.

    Args:
        figure: the Agg figure that ``draw`` moves the lines of.
        controls: name to widget; a change of a ``value`` or a press of a button redraws.
        draw: called with the name of that control ("" at first), returns HTML for the text under the picture.
        panel: how the controls are laid out; one under the other by default.
    """

    def __init__(
        self,
        figure: Figure,
        controls: dict[str, Any],
        draw: Callable[[str], str],
        panel: w.Widget | None = None,
    ):
        self.controls, self.figure = controls, figure
        self._draw, self._picture, self._busy = draw, Picture(figure), False
        width, height = (f"{int(x)}px" for x in figure.get_size_inches() * figure.dpi)
        self.text = w.HTML(draw(""), layout=w.Layout(max_width=width))
        layout = w.Layout(width=width, height=height, max_width="100%", object_fit="contain")
        self._image = w.Image(value=self._picture.png(), format="png", layout=layout)
        panel = panel or w.VBox(list(controls.values()), layout=w.Layout(width="350px"))
        super().__init__(
            [
                w.HBox(
                    [panel, w.VBox([self._image, self.text])], layout=w.Layout(flex_flow="row wrap")
                )
            ]
        )
        for name, control in controls.items():
            if isinstance(control, w.Button):
                control.on_click(lambda _, name=name: self.redraw(name))
            else:
                control.observe(lambda _, name=name: self.redraw(name), "value")

    def redraw(self, name: str = "") -> None:
        """Draw again after the control ``name`` changed; an error is shown under the picture, which stays as it was."""
        if self._busy:  # a control set by the drawing itself
            return
        self._busy = True
        try:
            self.text.value = self._draw(name)
            self._image.value = self._picture.png()
        except Exception as error:  # shown here, or it would end in a log console that nobody opens
            self.text.value = (
                f"<b style='color:#CC3311'>{type(error).__name__}: {html.escape(str(error))}</b>"
            )
        finally:
            self._busy = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self.controls)})"

    @property
    def png(self) -> bytes:
        """The picture on show."""
        return self._image.value

    def _repr_mimebundle_(self, **kwargs):
        return super()._repr_mimebundle_(**kwargs) | {
            "image/png": base64.b64encode(self.png).decode()
        }


def control(kind: type[w.Widget], description: str, *args, **options) -> Any:
    """A control as wide as the others, with room for its name and a layout of its own (some are hidden at times)."""
    return kind(
        *args, description=description, style=WIDE, layout=w.Layout(width="330px"), **options
    )


def show(control: w.Widget, on: bool) -> None:
    """Show or hide a control that has nothing to say in the present view."""
    control.layout.display = "" if on else "none"


def offer(
    sliders: list[w.FloatSlider], parameters: tuple[tuple[str, float, float, float, float], ...]
) -> None:
    """Make sliders those of these parameters (name, default, lowest, highest, step); hide the ones left over."""
    for i, slider in enumerate(sliders):
        show(slider, i < len(parameters))
    for slider, (name, default, low, high, step) in zip(sliders, parameters, strict=False):
        slider.min, slider.max = min(low, slider.min), high  # never min > max on the way
        slider.min, slider.step, slider.description, slider.value = low, step, name, default
