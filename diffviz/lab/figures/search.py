"""What a search found, drawn: the surface with its points and their noise, and the optimum beside the catalogue."""

import numpy as np
from matplotlib.axes import Axes

from diffviz import plots
from diffviz.lab.experiments.search import small
from diffviz.lab.figures.registry import figure
from diffviz.search import goals as search_goals
from diffviz.search import report as search_report

RED = "#8B0000"  # no objective's colour


def surface(found: search_report.Search, ax: Axes) -> None:
    """The surface over one or two parameters, points with mean ± standard error, optimum and its spread."""
    s = found.surface
    (name, low, high), *second = s.box
    mean, ok, best = s.alone.mean(1), s.kept, found.optimum
    if second:
        ((other, bottom, top),) = second
        x, y = np.meshgrid(np.linspace(low, high, 61), np.linspace(bottom, top, 61))
        z = s.at(np.c_[x.ravel(), y.ravel()]).reshape(x.shape)
        shades = ax.contourf(x, y, z, 12, cmap="viridis", alpha=0.45)
        bar = ax.figure.colorbar(shades, cax=ax.inset_axes((1.02, 0, 0.025, 1)))
        bar.set_label(search_goals.GOALS[found.settings["goal"]].unit, fontsize=9)
        bar.ax.tick_params(labelsize=8)
        ax.plot(
            *s.optima.T, ".", ms=3, color=RED, alpha=0.35, gid="optima", zorder=2, clip_on=False
        )
        ax.plot(*s.points[ok].T, "o", ms=4, color="black", gid="points", zorder=3)
        ax.plot(*s.points[~ok].T, "x", ms=7, color="red", gid="failed", zorder=3)
        ax.plot(
            *best[:, None],
            "*",
            ms=15,
            color=RED,
            mec="black",
            gid="optimum",
            zorder=4,
            clip_on=False,
        )
        for point, value, error in zip(s.points[ok], mean[ok], s.stderr[ok], strict=True):
            side = "left" if point[0] < (low + high) / 2 else "right"
            shift = (
                5 if side == "left" else -5,
                4 if point[1] < top - (top - bottom) / 10 else -14,
            )  # stars may lie on top
            words = (
                f"{value:.4f} ± {error:.4f}" if np.isfinite(error) else f"{value:.4f}"
            ).replace("-", "−")
            box = {"fc": "white", "ec": "none", "alpha": 0.75, "pad": 0.5}
            ax.annotate(
                words,
                point,
                shift,
                textcoords="offset points",
                fontsize=8,
                ha=side,
                bbox=box,
                zorder=5,
            )
        ax.set(ylim=(bottom, top), ylabel=other)
    else:
        x = np.linspace(low, high, 201)
        ax.plot(x, s.at(x[:, None]), color="#0072B2", gid="surface")
        ax.errorbar(
            s.points[ok, 0],
            mean[ok],
            s.stderr[ok],
            fmt="o",
            ms=4,
            color="black",
            capsize=3,
            gid="points",
        )
        for at in s.points[~ok, 0]:
            ax.axvline(at, color="red", ls=":", gid="failed")
        height = s.at(best[None])[0]
        ax.plot(
            s.optima[:, 0],
            np.full(len(s.optima), height),
            "|",
            ms=9,
            color=RED,
            alpha=0.35,
            gid="optima",
        )
        ax.plot(best, [height], "*", ms=15, color=RED, mec="black", gid="optimum", zorder=4)
        ax.set_ylabel(search_goals.GOALS[found.settings["goal"]].unit)
    ax.set(xlim=(low, high), xlabel=name)
    ax.set_title(f"{found.settings['goal']} on {found.settings['data']}: less is better", pad=12)


def beside(found: search_report.Search, ax: Axes) -> None:
    """Candidates of the second round: goal less the optimum's, with 95 % intervals."""
    rows = sorted(found.beside.items(), key=lambda one: (np.isnan(one[1][0]), one[1][0]))
    for place, (name, (off, half)) in enumerate(rows):
        ax.errorbar(
            [off],
            [place],
            xerr=[[half], [half]],
            fmt="o",
            ms=5,
            capsize=4,
            color=plots.colour(name),
            gid=name,
        )
        words = (
            f"{off:+.4f} ± {half:.4f}"
            if np.isfinite(half)
            else f"{off:+.4f}"
            if np.isfinite(off)
            else "failed"
        )
        ax.text(
            1.02,
            place,
            words.replace("-", "−"),
            transform=ax.get_yaxis_transform(),
            va="center",
            fontsize=9,
            gid=f"{name}:words",
        )
    ax.axvline(0, color=RED, lw=1.5, zorder=1, gid="optimum")
    unit = search_goals.GOALS[found.settings["goal"]].unit
    ax.set(
        yticks=range(len(rows)),
        yticklabels=[name for name, _ in rows],
        ylim=(len(rows) - 0.5, -0.5),
    )
    ax.set(
        xlabel=f"{unit},\nless the optimum's", title="trained again under fresh seeds, each 95 %"
    )


def drawn(found: search_report.Search) -> Axes:
    """Both panels; returns that of the surface."""
    left, right = plots.axes(12.5, 5.0, columns=2, legend=1.3)
    surface(found, left)
    beside(found, right)
    left.figure.subplots_adjust(left=0.06, bottom=0.16, right=0.885, wspace=0.52)
    return left


@figure(
    "search",
    "Which weighting is best, measured: the surface of a search with its noise, and its optimum "
    "beside the catalogue",
)
def searched() -> Axes:
    return drawn(small())
