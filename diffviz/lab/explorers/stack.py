"""The explorer of a stack of VAEs: what its layers cost, and where its ELBO loses nats."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffviz import plots
from diffviz.lab.experiments.elbo import (
    HIGHEST,
    LAYER_COUNTS,
    LOWEST,
    Data,
    StackCosts,
    known,
    layer_costs,
    stack_costs,
)
from diffviz.lab.explorers.colours import BEST, REFERENCE
from diffviz.lab.explorers.controls import require_option
from diffviz.lab.explorers.elbo import DATA, all_data, known_data
from diffviz.lab.explorers.view import Changed, ViewExplorer
from diffviz.plots.style import OTHERS, PALETTE
from diffviz.web.description import Control, Description, Menu, Slider, State
from diffviz.web.pictures import Chart, Limits, Table, View

RING = "ring of 8 (ring8)"
MOST_LAYERS = LAYER_COUNTS[-1]
SMOOTH = 800  # points of the stairs at least
RANGE = (LOWEST, HIGHEST)  # λ in nats
SHOWN = (-10.0, 10.0)  # λ of the left chart at least, in nats
LEAST_SHOWN = 1e-3  # nats; what is lost below that is told by the table alone
LEAST = 1e-9  # nats, below which a difference of terms is only rounding
HEAD = ("nats", "prior", "diffusion", "reconstruction", "−ELBO", "nats / (d log 2)")

# curves: the names in the legends
LAYERS, LIMIT = "layers", "in the limit"
AT_NOISE, BY_STEPS, AT_DATA, IN_ALL = "at λₘᵢₙ", "by the steps", "at λₘₐₓ", "in all"
LOST_HEAD = ("lost", AT_NOISE, BY_STEPS, AT_DATA, IN_ALL)
# the colours that the figures of the ELBO give to prior, diffusion, reconstruction and −ELBO
COLOURS = {
    LIMIT: REFERENCE,
    LAYERS: OTHERS[0],
    AT_NOISE: OTHERS[2],
    BY_STEPS: OTHERS[0],
    AT_DATA: PALETTE[0],
    IN_ALL: BEST,
}


def stack_controls() -> tuple[Control, ...]:
    """The controls of the explorer."""
    return (
        Menu("data", "data", tuple(DATA), RING, tip="The denoiser is exact on them."),
        Slider("low", "λₘᵢₙ", LOWEST, 0, 0.25, -10.0, unit="nats", tip="The noisiest level."),
        Slider("high", "λₘₐₓ", 1, HIGHEST, 0.25, 10.0, unit="nats", tip="The cleanest level."),
        Slider(
            "layers",
            "layers T",
            LAYER_COUNTS[0],
            MOST_LAYERS,
            0.05,
            32,
            scale="log",
            whole=True,
            tip="Steps from λₘᵢₙ to λₘₐₓ, all of one thickness.",
        ),
    )


class StackExplorer(ViewExplorer):
    """A stack of VAEs between two levels of noise, with as many layers as one likes.

    On the left is what a layer costs, over the same without steps; on the right how many nats the
    stack loses to the entropy of the data: at its noise end, by its steps and at its data end, by
    the number of layers. The tables have the three terms of the ELBO, and what is lost.

    Args:
        data: Data at first, a key of ``diffviz.lab.explorers.elbo.DATA``.
        **state: Values of other controls at first, such as ``layers=100``.

    Raises:
        TypeError: A value is of the wrong kind.
        ValueError: The data are unknown, or a value is not allowed.
    """

    def __init__(self, data: str = RING, **state: Any):
        require_option("data", data, DATA, "diffviz.lab.explorers.elbo.DATA")
        description = Description("Stack of VAEs", stack_controls(), local="stack.js")
        super().__init__(description, {"data": data, **state})

    def local_data(self) -> dict[str, Any]:
        """What is known of the data, and the colours and label that the browser writes with."""
        return {
            "known": {name: known_data(data) for name, data in zip(DATA, all_data(), strict=True)},
            "label": plots.LOGSNR,
            "colours": COLOURS,
        }

    def compute(self, state: State, changed: Changed) -> View:
        """What the layers cost, what the stack loses, and the numbers.

        Args:
            state: A value for each control.
            changed: Not used.

        Returns:
            Two charts and two tables.
        """
        data = known(DATA[state["data"]])
        low, high, layers = state["low"], state["high"], state["layers"]
        costs = stack_costs(data, low, high, layers)
        panels = (
            cost_chart(data, low, high, layers),
            lost_chart(data, low, high, layers),
            terms_table(costs, layers, data.dimension),
            lost_table(costs, data.entropy),
        )
        return View(panels, columns=2)


def stairs(data: Data, low: float, high: float, layers: int) -> tuple[NDArray, NDArray]:
    """What each layer costs per nat of λ, as a curve with a stair for each.

    Args:
        data: The data.
        low: λ_min in nats.
        high: λ_max in nats.
        layers: Number of layers.

    Returns:
        Places in nats and costs, both of shape (n,).
    """
    of_layer = -(-SMOOTH // layers)  # points
    points = of_layer * layers
    places = low + (high - low) * (np.arange(points) + 0.5) / points
    costs = layer_costs(data, low, high, layers) * layers / (high - low)
    return places, np.repeat(costs, of_layer)


def cost_chart(data: Data, low: float, high: float, layers: int) -> Chart:
    """The cost of layers over λ, and without steps; what lies between is lost by the steps.

    Args:
        data: The data.
        low: λ_min in nats.
        high: λ_max in nats.
        layers: Number of layers.

    Returns:
        The chart.
    """
    places, costs = stairs(data, low, high, layers)
    whole = np.linspace(*RANGE, 401)
    return Chart(
        {LIMIT: whole, LAYERS: places},
        {LIMIT: data.mmse(whole) / 2, LAYERS: costs},
        xlabel=plots.LOGSNR,
        ylabel="nats per nat of λ",
        title="what a layer costs",
        xlim=(min(low, SHOWN[0]), max(high, SHOWN[1])),
        ylim=cost_limits(costs),
        colours=COLOURS,
        dashes={LIMIT: 1, LAYERS: 0},
        bands={LAYERS: (data.mmse(places) / 2, costs)},
    )


def cost_limits(costs: NDArray) -> Limits:
    """Ends of the vertical axis in steps of √2, so that a slider seldom moves them.

    Args:
        costs: What layers cost, shape (n,).

    Returns:
        The ends.
    """
    top = 2 ** (np.ceil(2 * np.log2(1.05 * max(costs.max(), 1.0))) / 2)
    return 0.0, float(top)


def lost_chart(data: Data, low: float, high: float, layers: int) -> Chart:
    """What is lost by number of layers: at both ends, by the steps, and in all.

    Args:
        data: The data.
        low: λ_min in nats.
        high: λ_max in nats.
        layers: Number of layers that is chosen.

    Returns:
        The chart.
    """
    counts = np.array(LAYER_COUNTS)
    found = [stack_costs(data, low, high, number) for number in LAYER_COUNTS]
    here = stack_costs(data, low, high, layers)
    curves = {
        IN_ALL: [one.lost for one in found],
        AT_NOISE: [one.at_noise for one in found],
        BY_STEPS: [one.by_steps for one in found],
        AT_DATA: [one.at_data for one in found],
    }
    return Chart(
        counts,
        {name: drawn(values) for name, values in curves.items() if is_within(values)},
        xlabel="layers T",
        ylabel="nats",
        title="what the stack loses",
        xscale="log",
        yscale="log",
        xlim=(LAYER_COUNTS[0], MOST_LAYERS),
        ylim=lost_limits(curves[IN_ALL]),
        colours=COLOURS,
        dashes={IN_ALL: 0, AT_NOISE: 2, BY_STEPS: 1, AT_DATA: 3},
        dots={IN_ALL: (np.array([layers]), np.array([here.lost]))},
    )


def lost_limits(lost: list[float]) -> Limits:
    """Ends of the axis of what is lost, in whole decades, so that a slider seldom moves them.

    Args:
        lost: What stacks lose in all, in nats.

    Returns:
        The ends in nats.
    """
    return LEAST_SHOWN, float(10 ** np.ceil(np.log10(max(lost))))


def is_within(values: list[float]) -> bool:
    """Whether a curve of nats comes above the lower end of the axis.

    Args:
        values: The nats.

    Returns:
        Whether there is anything to draw.
    """
    return max(values) >= LEAST_SHOWN


def drawn(values: list[float]) -> NDArray:
    """Nats on a logarithmic axis: NaN where there is only rounding.

    Args:
        values: The nats.

    Returns:
        The nats that are drawn, shape (n,).
    """
    return np.array([value if value >= LEAST else np.nan for value in values])


def terms_table(costs: StackCosts, layers: int, dimension: int) -> Table:
    """The three terms and their sum, for the stack and without steps.

    Args:
        costs: What the stack costs.
        layers: Number of layers.
        dimension: Number of dimensions of the data.

    Returns:
        The table.
    """
    rows = []
    for words, diffusion in ((f"{layers} layers", costs.diffusion), (LIMIT, costs.limit)):
        total = costs.prior + diffusion + costs.reconstruction
        bits = total / dimension / np.log(2)
        terms = (costs.prior, diffusion, costs.reconstruction, total, bits)
        rows.append((words, *(f"{term:.4f}".replace("-", "−") for term in terms)))
    return Table(HEAD, rows, [COLOURS[LAYERS], COLOURS[LIMIT]])


def lost_table(costs: StackCosts, entropy: float) -> Table:
    """What the stack loses to the entropy, and where.

    Args:
        costs: What the stack costs.
        entropy: Entropy of the data in nats.

    Returns:
        The table.
    """
    lost = (costs.at_noise, costs.by_steps, costs.at_data, costs.lost)
    words = f"over the entropy {entropy:.4f}"
    return Table(LOST_HEAD, [(words, *map(nats_text, lost))], [COLOURS[IN_ALL]])


def nats_text(nats: float) -> str:
    """Nats that are lost, in two figures.

    Args:
        nats: The nats.

    Returns:
        The text.
    """
    return "below 1e−9" if nats < LEAST else f"{nats:.2g}".replace("-", "−")
