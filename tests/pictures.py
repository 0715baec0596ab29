"""What every registered figure has to hold, and how its lines are read."""

from itertools import pairwise

import numpy as np

from diffviz import plots
from diffviz.lab import figures


def data(figure, panel, name):
    """x and y of the one line of that name."""
    found = [line for line in figure.axes[panel].lines if line.get_gid() == name]
    assert len(found) == 1, f"{name} is drawn {len(found)} times"
    return np.asarray(found[0].get_xdata(), dtype=float), np.asarray(
        found[0].get_ydata(), dtype=float
    )


def check_nothing_is_cut(figure):
    """All text and the ticks in sight lie within the figure, and titles do not meet."""
    figure.draw_without_rendering()
    texts = list(figure.texts)
    for ax in figure.axes:
        texts += [ax.title, *ax.texts, *(ax.get_legend().get_texts() if ax.get_legend() else ())]
        for axis, ends in [(ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())] * ax.axison:
            ticks = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
            texts += [axis.label, *(label for at, label in ticks if min(ends) <= at <= max(ends))]
    boxes = {
        text: text.get_window_extent() for text in texts if text.get_text() and text.get_visible()
    }
    frame = figure.bbox
    for text, box in boxes.items():
        within = (
            box.x0 >= frame.x0 and box.y0 >= frame.y0 and box.x1 <= frame.x1 and box.y1 <= frame.y1
        )
        assert within, f"{text.get_text()!r} is cut: {box} in {frame}"
    titles = [boxes[ax.title] for ax in figure.axes if ax.title.get_text()]
    for a, b in pairwise(sorted(titles, key=lambda box: (round(-box.y0), box.x0))):
        assert a.x1 < b.x0 or a.y0 >= b.y1 or b.y0 >= a.y1, "titles run into one another"


def check_type(figure, least=9.0, in_legends=8.0):
    """Type has at least these sizes in points, in legends and elsewhere."""
    for ax in figure.axes:
        legend = ax.get_legend()
        small = list(legend.get_texts()) if legend else []
        assert all(text.get_fontsize() >= in_legends for text in small)
        labels = [ax.title, ax.xaxis.label, ax.yaxis.label, *ax.texts]
        labels += [*ax.get_xticklabels(), *ax.get_yticklabels()] * ax.axison
        for text in labels:
            size = text.get_fontsize()
            assert not text.get_text() or size >= least, f"{text.get_text()!r} has {size:g} points"


def check(name, folder):
    """The same bytes on every run, and nothing cut."""
    (written,) = figures.write([name], folder / "first")
    figure = figures.draw(name)
    again = plots.save(figure, folder / "second" / written.name)
    assert written.read_bytes() == again.read_bytes()
    check_nothing_is_cut(figure)
