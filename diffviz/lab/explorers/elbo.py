"""The explorer of the ELBO: which ELBOs a weighted loss is a mixture of."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffviz import plots
from diffviz.lab.experiments.elbo import (
    Data,
    LogSpline,
    SignedMixture,
    gaps,
    known,
    negative_elbo,
    signed_mixture,
)
from diffviz.lab.explorers.colours import BESIDE, REFERENCE, SUBJECT
from diffviz.lab.explorers.colours import NEGATIVE as NEGATIVE_COLOUR
from diffviz.lab.explorers.controls import require_option, table_box
from diffviz.lab.explorers.view import Changed, ViewExplorer
from diffviz.lab.explorers.weighting import (
    OWN_TABLE,
    entry_chips,
    family_sliders,
    family_values,
    log10,
    own_table,
    parameter_name,
)
from diffviz.recipes.entries import CATALOGUE
from diffviz.theory.families import FAMILIES
from diffviz.theory.objectives import Objective
from diffviz.web.description import Chips, Control, Description, Menu, Slider, State, Switch
from diffviz.web.pictures import Chart, Limits, Note, Table, View

DATA = {"N(0, 1)": "gaussian", "two modes (gmm1)": "gmm1", "ring of 8 (ring8)": "ring8"}
SHORT = ("on N(0, 1)", "on two modes", "on ring of 8")  # DATA as the heads of columns
VERDICT_HEAD = ("", "verdict", f"negative {SHORT[0]}", *SHORT[1:])
ENTRIES = (
    "elbo",
    "fm-ot",
    "iddpm-cosine",
    "ddpm-linear",
    "edm",
    "sd3",
    "min-snr-5-eps",
    "p2-gamma1",
    "indi",
)
WEIGHTINGS = (*FAMILIES, *ENTRIES, OWN_TABLE)
ENTRY_OF = {"EDM": "edm"}  # of a family that bears an objective's name
SHARES, GAP = "shares of the loss", "gap of the ELBO"
RANGE = (-20.0, 20.0)  # λ in nats

# curves: the names in the legends
LAW, W, NEGATIVE = "−dw/dλ", "w", "negative"
MIXED, DIRECT = "−w′·L", "½w·mmse"
TIMES = 2, 5, 10, 20, 50, 100, 200, 500, 1000  # larger, in which what is below 0 is drawn
ROUNDING = 1e-9  # of the axis: what is less below 0 is not drawn larger
OVER_HIGH, OVER_LOW = "λₘₐₓ moves", "λₘᵢₙ moves"
COLOURS = {
    W: REFERENCE,
    LAW: SUBJECT,
    NEGATIVE: NEGATIVE_COLOUR,
    DIRECT: REFERENCE,
    MIXED: SUBJECT,
    OVER_HIGH: SUBJECT,
    OVER_LOW: BESIDE,
}


def elbo_controls() -> tuple[Control, ...]:
    """The controls of the explorer."""
    return (
        Menu("weighting", "weighting", WEIGHTINGS, "EDM", tip="A family or a published objective."),
        *family_sliders("weighting"),
        Switch(
            "held",
            "hold at peak",
            tip="Hold w at its peak to the left: the least curve above it that never rises.",
        ),
        Menu("data", "data", tuple(DATA), "two modes (gmm1)", tip="The denoiser is exact on them."),
        Slider("low", "λₘᵢₙ", -20, -3, 0.25, -16.0, unit="nats", tip="The noisiest level."),
        Slider("high", "λₘₐₓ", 3, 20, 0.25, 10.0, unit="nats", tip="The cleanest level."),
        Menu("right", "right", (SHARES, GAP), SHARES, tip="What the picture on the right shows."),
        Chips(
            "beside",
            "beside",
            entry_chips(),
            most=2,
            tip="Published objectives whose laws are drawn beside it.",
        ),
        table_box("A weighting of your own."),
    )


class ElboExplorer(ViewExplorer):
    """Any weighting as a mixture of ELBOs.

    On the left is the signed law of noise levels −dw/dλ, its negative part red; on the right what
    each level adds to the loss, as an ELBO and as an error, or how the gap of the unweighted ELBO
    to −log p depends on the ends of λ. The texts give the verdict, the loss by both routes with the
    parts that sit at its ends, and the gap.

    Args:
        weighting: Parametric family or entry of the catalogue at first, one of ``WEIGHTINGS``.
        data: Data at first, a key of ``DATA``.
        **state: Values of other controls at first, such as ``held=True``.

    Raises:
        TypeError: A value is of the wrong kind.
        ValueError: A name is unknown, or a value is not allowed.
    """

    def __init__(self, weighting: str = "EDM", data: str = "two modes (gmm1)", **state: Any):
        module = "diffviz.lab.explorers.elbo"
        require_option("weighting", weighting, WEIGHTINGS, f"{module}.WEIGHTINGS")
        require_option("data", data, DATA, f"{module}.DATA")
        description = Description("ELBO", elbo_controls(), local="elbo.js")
        super().__init__(description, {"weighting": weighting, "data": data, **state})

    def settled(self, state: State, changed: str) -> State:
        """A table that is pasted is what is looked at."""
        if changed == "table" and state["table"].strip():
            state["weighting"] = OWN_TABLE
        return state

    def local_data(self) -> dict[str, Any]:
        """What is known of the data, and the names and colours that the browser writes with."""
        return {
            "known": {name: known_data(data) for name, data in zip(DATA, all_data(), strict=True)},
            "parameters": {
                family: {one.name: parameter_name(family, one.name) for one in offered.parameters}
                for family, offered in FAMILIES.items()
            },
            "head": VERDICT_HEAD,
            "label": plots.LOGSNR,
            "colours": {name: plots.colour(name) for name in CATALOGUE} | COLOURS,
            "shades": {name: shade_of(name) for name in WEIGHTINGS},
        }

    def objective(self) -> Objective:
        """The objective that is chosen in the menu, with the values of the sliders."""
        return chosen_objective(self.state)

    def compute(self, state: State, changed: Changed) -> View:
        """The law, what each level adds to the loss or the gap, and the numbers.

        Args:
            state: A value for each control.
            changed: Not used.

        Returns:
            Two charts, two tables and a note.

        Raises:
            ValueError: The chosen table is missing or cannot be read.
        """
        mixture = mixture_of(chosen_objective(state), state)
        besides = {name: mixture_of(CATALOGUE[name], state) for name in state["beside"]}
        ends = state["low"], state["high"]
        shade = shade_of(state["weighting"])
        right = gap_chart(state) if state["right"] == GAP else shares_chart(mixture, ends, shade)
        verdicts = verdict_table([(state["weighting"], mixture), *besides.items()])
        panels = (
            law_chart(mixture, besides, ends, shade),
            right,
            verdicts,
            parts_table(mixture),
            gap_note(state),
        )
        return View(panels, columns=2)


def known_data(data: Data) -> dict[str, Any]:
    """What the browser needs to know of data.

    Args:
        data: The data.

    Returns:
        Numbers, and splines by their knots, coefficients and degree.
    """
    return {
        "dimension": data.dimension,
        "square": data.square,
        "entropy": data.entropy,
        "mmse": spline_data(data.mmse),
        "information": spline_data(data.information),
    }


def spline_data(curve: LogSpline) -> dict[str, Any]:
    """The spline of a curve's logarithm.

    Args:
        curve: The curve.

    Returns:
        Knots, coefficients and degree.
    """
    spline = curve.logarithm
    return {"knots": spline.t, "coefficients": spline.c, "degree": int(spline.k)}


def chosen_objective(state: State) -> Objective:
    """The objective of a state.

    Args:
        state: A value for each control.

    Returns:
        The objective.

    Raises:
        ValueError: The chosen table is missing or cannot be read.
    """
    name = state["weighting"]
    if name in CATALOGUE:
        return CATALOGUE[name]
    if name in FAMILIES:
        return FAMILIES[name].build(**family_values(state | {"family": name}))
    if not state["table"].strip():
        raise ValueError("there is no table of your own yet: paste one under 'more'")
    return own_table(state["table"])


def shade_of(weighting: str) -> str:
    """The colour of what is looked at: an objective has its own in every picture.

    Args:
        weighting: One of ``WEIGHTINGS``.

    Returns:
        The colour as "#RRGGBB".
    """
    name = ENTRY_OF.get(weighting, weighting)
    return plots.colour(name) if name in CATALOGUE else SUBJECT


def mixture_of(objective: Objective, state: State) -> SignedMixture:
    """An objective as a signed mixture on the chosen data between the chosen ends.

    Args:
        objective: The objective.
        state: A value for each control.

    Returns:
        The mixture.
    """
    data = known(DATA[state["data"]])
    return signed_mixture(objective, data, state["low"], state["high"], held=state["held"])


# --- the charts -----------------------------------------------------------------------------------


def negative(values: NDArray) -> NDArray:
    """The part of a curve below 0 with the next point on each side, which is 0; NaN elsewhere.

    Args:
        values: The curve, shape (n,).

    Returns:
        The part, shape (n,).
    """
    below = values < 0
    near = below.copy()
    near[1:] |= below[:-1]
    near[:-1] |= below[1:]
    return np.where(near, np.minimum(values, 0), np.nan)


def band_below(values: NDArray) -> tuple[NDArray, NDArray]:
    """The area between the part of a curve below 0 and the axis.

    Args:
        values: The curve, shape (n,).

    Returns:
        Lower and upper end, both of shape (n,).
    """
    return np.minimum(values, 0), 0 * values


def law_chart(
    mixture: SignedMixture, besides: dict[str, SignedMixture], ends: Limits, shade: str = SUBJECT
) -> Chart:
    """The weighting and the signed law of noise levels, each over its largest value.

    Args:
        mixture: The chosen weighting.
        besides: Other weightings by name.
        ends: λ_min and λ_max, the ends of the axis.
        shade: Colour of the law.

    Returns:
        The chart.
    """
    law = mixture.scaled_law
    places = dict.fromkeys((W, LAW, NEGATIVE), mixture.logsnr)
    return Chart(
        places | {name: other.logsnr for name, other in besides.items()},
        {W: mixture.w / mixture.w.max()}
        | {name: other.scaled_law for name, other in besides.items()}
        | {LAW: law, NEGATIVE: negative(law)},
        xlabel=plots.LOGSNR,
        ylabel="over its largest size",
        title="−dw/dλ, a law only where it is positive",
        xlim=ends,
        ylim=(-1.1, 1.1),
        colours=COLOURS | {LAW: shade},
        dashes={W: 1, LAW: 0, NEGATIVE: 0} | dict.fromkeys(besides, 2),
        bands={NEGATIVE: band_below(law)},
    )


def shares_chart(mixture: SignedMixture, ends: Limits, shade: str = SUBJECT) -> Chart:
    """What each level adds to the loss, as an error and as an ELBO.

    Args:
        mixture: The chosen weighting.
        ends: λ_min and λ_max, the ends of the axis.
        shade: Colour of the curve by ELBOs.

    Returns:
        The chart.
    """
    as_elbos = mixture.augmentation * mixture.information / mixture.loss
    as_errors = mixture.w * mixture.mmse / 2 / mixture.loss
    top = steady_top(np.concatenate([as_elbos, as_errors]))
    times = enlargement(as_elbos, top)
    below = NEGATIVE if times == 1 else f"{NEGATIVE} × {times}"
    enlarged = times * as_elbos
    least = float(enlarged.min())
    bottom = -top / 8 if least > -top / 9 else min(-top / 2, 1.1 * least)
    return Chart(
        mixture.logsnr,
        {DIRECT: as_errors, MIXED: as_elbos, below: negative(enlarged)},
        xlabel=plots.LOGSNR,
        ylabel="share per nat of λ",
        title="what each level adds to the loss",
        xlim=ends,
        ylim=(bottom, top),
        colours=COLOURS | {MIXED: shade, below: COLOURS[NEGATIVE]},
        dashes={DIRECT: 1, MIXED: 0, below: 0},
        bands={below: band_below(enlarged)},
    )


def gap_chart(state: State) -> Chart:
    """The gap of the unweighted ELBO as either end moves and the other stays.

    Args:
        state: A value for each control.

    Returns:
        The chart.
    """
    found = gaps(known(DATA[state["data"]]), state["low"], state["high"])
    here = log10(np.array([found.gap]))
    return Chart(
        {OVER_HIGH: found.high, OVER_LOW: found.low},
        {OVER_HIGH: log10(found.over_high), OVER_LOW: log10(found.over_low)},
        xlabel="the end that moves, λ in nats",
        ylabel="log₁₀ of the gap in nats",
        title="gap of the unweighted ELBO",
        xlim=RANGE,
        ylim=(-8.5, 2.5),
        colours=COLOURS,
        dashes={OVER_HIGH: 0, OVER_LOW: 1},
        dots={
            OVER_HIGH: (np.array([state["high"]]), here),
            OVER_LOW: (np.array([state["low"]]), here),
        },
    )


def steady_top(values: NDArray) -> float:
    """The upper end of the vertical axis, a power of two, so that a slider seldom moves it.

    Args:
        values: All values that are drawn, shape (n,).

    Returns:
        The end.
    """
    return float(0.1 * 2 ** max(0.0, np.ceil(np.log2(max(values.max(), 1e-9) / 0.095))))


def enlargement(values: NDArray, top: float) -> int:
    """How many times what is below 0 is drawn, so that it can be seen below the axis.

    Args:
        values: The curve, shape (n,).
        top: The upper end of the vertical axis.

    Returns:
        One of ``TIMES``: the largest that leaves the part within half of the upper end. 1 where
        nothing is below 0 but for rounding.
    """
    depth = -float(values.min())
    if depth < ROUNDING * top:
        return 1
    return max((times for times in TIMES if times * depth <= top / 2), default=1)


# --- the texts ------------------------------------------------------------------------------------


@lru_cache(1)
def all_data() -> tuple[Data, ...]:
    """What is known of each of ``DATA``, in their order."""
    return tuple(known(toy) for toy in DATA.values())


def verdict_table(mixtures: list[tuple[str, SignedMixture]]) -> Table:
    """The verdict on each weighting, and the negative share of its mixture on all data.

    Args:
        mixtures: Name and mixture of each, the chosen one first.

    Returns:
        The table.
    """
    rows = [(name, *verdict_cells(mixture)) for name, mixture in mixtures]
    colours = [shade_of(mixtures[0][0]), *(plots.colour(name) for name, _ in mixtures[1:])]
    return Table(VERDICT_HEAD, rows, colours)


def verdict_cells(mixture: SignedMixture) -> tuple[str, ...]:
    """The verdict on a weighting in words, and its negative shares.

    Args:
        mixture: The weighting.

    Returns:
        The words, and a share for each of ``DATA``.
    """
    verdicts = [mixture.verdict(data) for data in all_data()]
    if verdicts[0].monotone:
        return "monotone: a sum of ELBOs", *("0" for _ in verdicts)
    peak = f"{round(verdicts[0].peak, 2) + 0.0:.2f}".replace("-", "−")
    return f"not monotone: peak {peak}", *(f"{one.negative_share:.2%}" for one in verdicts)


def parts_table(mixture: SignedMixture) -> Table:
    """The loss by both routes, and the parts of it that sit at the ends.

    Args:
        mixture: The weighting.

    Returns:
        The table.
    """
    parts = (mixture.between, mixture.at_high, mixture.at_low)
    shares = [percent(part / mixture.loss) for part in parts]
    head = ("the loss", "in nats", "between the ends", "at λₘₐₓ", "at λₘᵢₙ")
    errors = "as errors ½∫w·mmse dλ"
    if mixture.w is not mixture.plain:
        errors += f", {mixture.added:.2%} added by the hold"
    rows = (
        (errors, f"{mixture.loss:.4g}", "100%", "", ""),
        ("as ELBOs −∫w′L dλ + ends", f"{mixture.mixture:.4g}", *shares),
    )
    return Table(head, rows)


def percent(share: float) -> str:
    """A share in per cent, with one figure after the point and without a negative zero.

    Args:
        share: The share.

    Returns:
        The text.
    """
    return f"{round(share, 3) + 0.0:.1%}".replace("-", "−")


def gap_note(state: State) -> Note:
    """The unweighted ELBO of the data between the ends of λ, beside their entropy.

    Args:
        state: A value for each control.

    Returns:
        The note.
    """
    data = known(DATA[state["data"]])
    low, high = state["low"], state["high"]
    nats = float(negative_elbo(data, low, high))
    text = (
        f"E[−ELBO] = {nats:.5f} nats on [{low:g}, {high:g}], entropy {data.entropy:.5f}, "
        f"gap {nats - data.entropy:.2g}"
    )
    return Note(text.replace("-", "−"))
