"""The figure of weighted losses as averages of bounds, and of how tight they are."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from diffviz import plots
from diffviz.lab.experiments import bounds
from diffviz.lab.figures.registry import figure
from diffviz.lab.figures.style import OTHERS, SHORT_LOGSNR, legend, line_of
from diffviz.recipes.entries import objective
from diffviz.theory.cascades import cascade

SHOWN = ("elbo", "sigmoid-bias2", "edm", "fm-ot")
PLACES = np.linspace(-10, 10, 401)  # λ in nats


def shares(names: Sequence[str] = SHOWN) -> dict[str, np.ndarray]:
    """Share of the bounds with the network's decoder at each λ of ``PLACES``.

    Args:
        names: Names of objectives.

    Returns:
        w over its maximum on [−10, 10], each (n,).
    """
    entries = {name: objective(name) for name in names}
    return {name: one.weighting(PLACES) / cascade(one).top for name, one in entries.items()}


def _draw_pairs(ax: Axes, pairs: Mapping[str, Mapping[str, tuple[float, float]]]) -> None:
    """A dot for each bound and a ring for its models, in a row for each weighting."""
    for (model, values), colour in zip(pairs.items(), OTHERS, strict=False):
        place = np.arange(len(values))
        bound, likelihood = np.array(list(values.values())).T
        ax.hlines(place, likelihood, bound, color=colour, lw=1)
        ax.plot(
            bound,
            place,
            "o",
            ms=4,
            color=colour,
            label=f"{model}: bound",
            gid=f"{model}: bound",
        )
        ax.plot(
            likelihood,
            place,
            "o",
            ms=8,
            color=colour,
            mfc="none",
            label=f"{model}: −log p",
            gid=f"{model}: −log p",
        )
        ax.set_yticks(place, list(values))
    right = ax.get_xlim()[1]
    ax.set(xlabel="nats over the entropy", ylim=(len(place) - 0.4, -0.6))
    ax.set_xlim(-0.03 * right, right)  # so that dots at 0 are whole
    _legend_below(ax)


def _legend_below(ax: Axes, *given: Any, **options: Any) -> None:
    """A legend in two columns under the label of the horizontal axis."""
    legend(ax, *given, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.13), **options)


@figure(
    "reweighted-bounds",
    "A weighted loss as an average of bounds with partly exact models: the share of them in which "
    "the network decodes at each λ, and bounds beside exact likelihoods, Gaussian and masked",
)
def reweighted_bounds(
    gaussian: Mapping[str, Sequence[bounds.Row]] | None = None, *, masked: bool = True
) -> Axes:
    """Draw the share of learned decoders, and bounds over likelihoods on one world or two.

    Args:
        gaussian: Model to rows, what ``experiments.bounds.rows`` returned for each; computed by
            default.
        masked: Whether masked tokens have a panel too.

    Returns:
        The left panel.
    """
    left, middle, *others = plots.axes(15 if masked else 11, 4.5, columns=3 if masked else 2)
    left.figure.subplots_adjust(wspace=0.55, bottom=0.24)
    rows = {model: bounds.rows(model) for model in bounds.MODELS} if gaussian is None else gaussian
    plots.lines(
        PLACES,
        shares(),
        xlabel=SHORT_LOGSNR,
        ylabel="w(λ) over its maximum",
        title="how many bounds have the network at λ",
        colours=plots.colour,
        ax=left,
    )
    left.set_xticks(range(-10, 11, 5))
    _legend_below(left, [line_of(left, name) for name in SHOWN], labels=SHOWN, handlelength=3)
    _draw_pairs(
        middle,
        {
            model: {row.name: (row.bound, row.likelihood) for row in table}
            for model, table in rows.items()
        },
    )
    middle.set_title("two wrong models of gmm1")
    for ax in others:
        _draw_pairs(
            ax,
            {
                predictor: {
                    name: (one.bound, one.likelihood)
                    for name, one in bounds.masked_rows(predictor).items()
                }
                for predictor in bounds.PREDICTORS
            },
        )
        ax.set_title("masked tokens: two wrong predictors")
    return left
