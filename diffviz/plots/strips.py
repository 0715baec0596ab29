"""A strip under an axis of log-SNR: one example at several noise levels.

A number such as λ = −4 says little by itself. The strip shows what it means: under each level
stands the same example with as much noise as that level has.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from diffviz import checks

FILLED = 0.92  # of the width of a tile; the rest is the gap to the next
TALLEST = 0.8  # inches
LABELS = 0.62  # inches below the axes for the ticks and the label
GAP = 0.12  # inches below the strip
LARGEST = 2.5  # |z| at the edge of a tile, in standard deviations
INSIDE = 0.95  # of a tile in which points are drawn, so that no dot crosses its edge
TICK = 0.36  # inches of a number under the axis
INK = "0.25"  # of sounds and points; no curve above has it
FRAME = "0.6"
NAME = "strip"


@dataclass(frozen=True, eq=False)
class Strip:
    """One example at several noise levels.

    Args:
        logsnr: Increasing and evenly spaced levels in nats, shape (n,), at least two.
        z: The noisy examples, of unit variance: images, shape (n, height, width); sounds, shape
            (n, samples); or clouds of points in the plane, shape (n, points, 2).
        kind: "image", "sound" or "points".

    Raises:
        TypeError: An array holds no real numbers.
        ValueError: The kind is unknown, the levels are not evenly spaced, or the shape of ``z``
            does not fit the levels and the kind.

    Example:
        >>> sounds = np.zeros((3, 40))
        >>> dv.plots.Strip([-5.0, 0.0, 5.0], sounds, "sound").spacing
        5.0
    """

    logsnr: NDArray
    z: NDArray
    kind: str = "image"

    def __post_init__(self) -> None:
        checks.one_of(self.kind, "kind", TILES)
        logsnr = checks.increasing(self.logsnr, "logsnr")
        steps = np.diff(logsnr)
        checks.require(
            bool(np.allclose(steps, steps[0], rtol=1e-6)),
            f"logsnr must be evenly spaced, got steps from {steps.min():g} to {steps.max():g}",
        )
        z = checks.array(self.z, "z")
        axes_of = {"image": 3, "sound": 2, "points": 3}[self.kind]
        fits = z.ndim == axes_of and len(z) == len(logsnr) and z.size > 0
        fits = fits and (self.kind != "points" or z.shape[-1] == 2)
        wanted = {
            "image": "(n, height, width)",
            "sound": "(n, samples)",
            "points": "(n, points, 2)",
        }[self.kind]
        checks.require(
            fits,
            f"z must have the shape {wanted} with n = {len(logsnr)} levels of logsnr, "
            f"got {z.shape}",
        )
        object.__setattr__(self, "logsnr", logsnr)
        object.__setattr__(self, "z", z)

    @property
    def spacing(self) -> float:
        """From one level to the next, in nats."""
        return float(self.logsnr[1] - self.logsnr[0])

    @property
    def reach(self) -> float:
        """|z| at the edge of a tile; a sound is shown whole, with the same scale in all tiles."""
        return max(LARGEST, float(np.abs(self.z).max())) if self.kind == "sound" else LARGEST


def _draw_image(ax: Axes, z: NDArray, reach: float, left: float, right: float) -> None:
    """An image in grey between two places, as high as the axes; black and white at ±reach."""
    ax.imshow(
        z,
        cmap="gray",
        vmin=-reach,
        vmax=reach,
        extent=(left, right, 0, 1),
        aspect="auto",
        interpolation="nearest",
        clip_on=False,
    )


def _draw_sound(ax: Axes, z: NDArray, reach: float, left: float, right: float) -> None:
    """A sound over time, from one place to the other."""
    height = 0.5 + z / reach / 2
    ax.plot(np.linspace(left, right, len(z)), height, color=INK, lw=0.7, clip_on=False)


def _draw_points(ax: Axes, z: NDArray, reach: float, left: float, right: float) -> None:
    """Points of the plane that lie within a tile."""
    inside = z[(np.abs(z) < INSIDE * reach).all(1)]
    across, up = (inside / reach + 1).T / 2
    ax.plot(
        left + across * (right - left),
        up,
        ".",
        color=INK,
        ms=2.5,
        mew=0,
        clip_on=False,
    )


TILES: dict[str, Callable[[Axes, NDArray, float, float, float], None]] = {
    "image": _draw_image,
    "sound": _draw_sound,
    "points": _draw_points,
}


def draw_strip(ax: Axes, strip: Strip | Sequence[Strip]) -> Axes:
    """Draw a strip under an axis of log-SNR, each example under its level.

    The figure grows downwards by the height of the strip, so that nothing else changes its size.
    The ticks of the axis move to the levels of the strip, so that each can be read off. Called
    again on the same Axes it puts the new strip in the place of the old one.

    Args:
        ax: Axes over log-SNR in the lowest row of its figure. Levels beyond its limits are left
            out.
        strip: What stands under it, or several such strips, one below the other.

    Returns:
        The Axes of the strip, or of the first of several, whose label is "strip".

    Raises:
        TypeError: ``ax`` is no Axes of a figure, or ``strip`` no Strip.
        ValueError: There is no strip, or one has no level within the limits of ``ax``.

    Example:
        >>> ax = dv.plots.axes()[0]
        >>> _ = ax.set_xlim(-6, 6)
        >>> strip = dv.plots.Strip([-5.0, 0.0, 5.0], np.zeros((3, 8, 8)))
        >>> dv.plots.draw_strip(ax, strip).get_label()
        'strip'
    """
    checks.require(isinstance(ax, Axes), f"ax must be Matplotlib Axes, got {ax!r}", TypeError)
    strips = _listed(strip)
    limits = ax.get_xlim()
    shown = [_within(one, limits) for one in strips]
    figure = ax.get_figure(root=True)
    assert figure is not None
    scale = ax.get_position().width * figure.get_figwidth() / abs(limits[1] - limits[0])
    sides = [min(FILLED * one.spacing * scale, TALLEST) for one in strips]  # of square tiles
    if not _strips(*figure.axes):
        _grow(figure, sum(sides) + GAP * len(sides))
    for old in _strips(ax):
        old.remove()
    _set_ticks(ax, strips[0].logsnr[shown[0]], scale * strips[0].spacing)
    panels = []
    for row, (one, side) in enumerate(zip(strips, sides, strict=True)):
        panel = _panel(ax, LABELS + sum(sides[:row]) + GAP * row, side)
        _fill(panel, one, shown[row], side / scale / 2)
        panel.set(xlim=limits, ylim=(0, 1))
        panels.append(panel)
    return panels[0]


def _listed(strip: Strip | Sequence[Strip]) -> list[Strip]:
    """One strip or several as a list, each checked."""
    several = isinstance(strip, Sequence) and not isinstance(strip, str)
    strips: list[Strip] = list(cast(Sequence[Strip], strip)) if several else [cast(Strip, strip)]
    for one in strips:
        checks.instance(one, "strip", Strip, "a plots.Strip")
    checks.require(bool(strips), "strip must hold at least one plots.Strip, got none")
    return strips


def _within(strip: Strip, limits: tuple[float, float]) -> NDArray:
    """Which levels of a strip lie within the limits of an axis, shape (n,); at least one does."""
    low, high = min(limits), max(limits)
    shown = (strip.logsnr >= low) & (strip.logsnr <= high)
    checks.require(
        bool(shown.any()),
        f"no level of the strip lies within the limits of ax, {low:g} to {high:g}",
    )
    return np.asarray(shown)


def _set_ticks(ax: Axes, levels: NDArray, inches: float) -> None:
    """Put ticks at the levels, or at every second or third where numbers would touch.

    Args:
        ax: The Axes.
        levels: Levels in nats, shape (n,).
        inches: From one level to the next.
    """
    step = int(np.ceil(TICK / inches))
    start = int(np.abs(levels).argmin()) % step  # so that the level nearest to 0 has a tick
    ax.set_xticks(levels[start::step])


def _fill(panel: Axes, strip: Strip, shown: NDArray, half: float) -> None:
    """Draw the tiles of a strip, each with its frame; ``half`` is half of their width in nats."""
    for level, z in zip(strip.logsnr[shown], strip.z[shown], strict=True):
        left, right = level - half, level + half
        TILES[strip.kind](panel, z, strip.reach, left, right)
        frame = Rectangle((left, 0), right - left, 1, fill=False, ec=FRAME, lw=0.6)
        frame.set_clip_on(False)
        panel.add_patch(frame)


def _strips(*several: Axes) -> list[Axes]:
    """The strips that are there, under any of several Axes."""
    children = [child for ax in several for child in ax.child_axes]
    return [cast(Axes, child) for child in children if child.get_label() == NAME]


def _grow(figure: Figure, inches: float) -> None:
    """Let a figure grow downwards, so that its axes keep their size and place from the top."""
    height = figure.get_figheight()
    margins = figure.subplotpars
    figure.set_figheight(height + inches)
    figure.subplots_adjust(
        bottom=(margins.bottom * height + inches) / (height + inches),
        top=(margins.top * height + inches) / (height + inches),
    )


def _panel(ax: Axes, below: float, side: float) -> Axes:
    """Axes for tiles of that side, that far below ``ax``; both are in inches."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    inches = ax.get_position().height * figure.get_figheight()
    bounds = (0.0, -(below + side) / inches, 1.0, side / inches)
    panel = ax.inset_axes(bounds, label=NAME)
    panel.axis("off")
    return panel
