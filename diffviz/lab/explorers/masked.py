"""The explorer of masked objectives: any entries on one axis, by length and on exact data."""

from collections.abc import Mapping
from functools import cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from diffviz.lab.experiments import masked as experiments
from diffviz.lab.explorers.view import Changed, ViewExplorer
from diffviz.lab.figures.masked import colour
from diffviz.masked.entries import CATALOGUE, masked_objective
from diffviz.masked.objectives import MaskedObjective, base_factor, inverse_rate, kept_share
from diffviz.masked.schedules import LINEAR, SINE, Schedule, kept_power
from diffviz.theory.analysis import verdict
from diffviz.theory.multipliers import constant
from diffviz.web.description import Chip, Chips, Control, Description, Menu, Slider, State, Switch
from diffviz.web.pictures import Chart, Note, Table, View

BASES = {
    "masked sum": "sum",
    "one token": "token",
    "over ELBO": "elbo",
}
BY_RATE, BY_COUNT, SPENT = "over λ", "by count", "on exact data"
TITLES = {
    BY_RATE: "the weighting over λ",
    BY_COUNT: "weight of sequences with k masked tokens, over the ELBO's",
    SPENT: "where each loss is spent on short sequences; heights are relative",
}
RATIO = "the ratio r to the ELBO's weighting"
START = ("mdlm", "maskgit", "simple")
MOST = 6
TOPS = 1.25, 1.6, 2.25, 3.0  # of the axis of a weighting
XLABEL = "log-SNR of masking λ   [masked ← → visible]"
DIVISORS = {  # of the cross-entropy that is summed over masked tokens
    "sum": "nothing",
    "length": "length",
    "masked": "masked tokens",
    "batch": "masked tokens of the batch",
}
LIMITS = {"masked": "long sequences", "batch": "large batches"}  # by what the sum is divided by
HEAD = ("", "rate m (ρ uniform)", "factor", "sum divided by", "what it is")
LENGTHS = range(2, 65)  # of sequences
OWN = "yours"  # the loss that a reader makes
OWN_SCHEDULES = (LINEAR, SINE, kept_power(0.5))
FACTORS = {"1": constant, "1/m": inverse_rate, "1 − m": kept_share}
ELBO_FACTOR = "−α′/m"  # under a schedule whose α has no constant slope
OWN_DIVISORS = tuple(DIVISORS.values())[1:]
RATES = {
    "linear": "ρ",
    "sine": "cosine (MaskGIT)",
    "cosine": "cosine (MDLM)",
}  # as the papers call them
MASKS = {"independent": "", "up": ", rounded up", "nearest": ", rounded to nearest"}


def masked_chips() -> tuple[Chip, ...]:
    """The entries of the catalogue, by family."""
    return tuple(
        Chip(entry.name, entry.family, f"{entry.year} {entry.source}", colour(entry.name))
        for entry in CATALOGUE.values()
    )


def masked_controls() -> tuple[Control, ...]:
    """The controls of the explorer."""
    on_bases = {"shows": (BY_RATE,)}
    on_length = {"shows": (BY_COUNT,)}
    return (
        Chips("names", "objectives", masked_chips(), START, most=MOST, tip="Published objectives."),
        Menu(
            "shows",
            "shows",
            (BY_RATE, BY_COUNT, SPENT),
            BY_RATE,
            buttons=True,
            tip="The weighting over λ, the weight of each number of masked tokens over that of the "
            "ELBO, or what each spends on sequences of a Markov chain.",
        ),
        Menu(
            "base",
            "base of w",
            tuple(BASES),
            "masked sum",
            buttons=True,
            when=on_bases,
            tip="The cross-entropy summed over masked tokens, that of one masked token, or the "
            "ELBO's own density, on which the ELBO is constant.",
        ),
        Slider(
            "anchor",
            "anchor λ",
            -6,
            6,
            0.25,
            0.0,
            unit="nats",
            when={"shows": (BY_RATE, SPENT)},
            tip="Where all curves are 1.",
        ),
        Slider(
            "length",
            "tokens",
            LENGTHS[0],
            LENGTHS[-1],
            1,
            16,
            whole=True,
            when=on_length,
            tip="Length of a sequence.",
        ),
        *own_controls(),
    )


def own_controls() -> tuple[Control, ...]:
    """The controls of a loss that the reader makes."""
    is_own = {"own": (True,)}
    return (
        Switch("own", "make a loss", tip="A loss of three parts, beside the published ones."),
        Menu(
            "rate",
            "rate m",
            tuple(own_schedules()),
            "ρ",
            buttons=True,
            when=is_own,
            tip="How the masking rate m is drawn, with ρ uniform in [0, 1].",
        ),
        Menu(
            "factor",
            "factor",
            tuple(FACTORS),
            "1",
            buttons=True,
            when=is_own,
            tip="What the cross-entropy of a masked token is multiplied by.",
        ),
        Menu(
            "divisor",
            "divided by",
            OWN_DIVISORS,
            DIVISORS["length"],
            buttons=True,
            when=is_own,
            tip="What the sum over masked tokens is divided by.",
        ),
    )


class MaskedExplorer(ViewExplorer):
    """Masked objectives beside each other.

    The chart shows the weighting over the log-SNR of masking, on the cross-entropy of a base; or
    the weight of each number of masked tokens, relative to the ELBO; or the loss of the exact
    predictor on short sequences by λ. The table gives the recipe and the verdict of each. Beside
    published objectives there may be one that the reader makes of a rate, a factor and a divisor.

    Args:
        names: Entries of ``dv.masked_catalogue`` at first.
        **state: Values of other controls at first, such as ``base="over ELBO"``.

    Raises:
        TypeError: A value is of the wrong kind.
        ValueError: A name is unknown, or a value is not allowed.
    """

    def __init__(self, names: tuple[str, ...] = START, **state: Any):
        description = Description("Masked", masked_controls(), local="masked.js")
        super().__init__(description, {"names": names, **state})

    def local_data(self) -> dict[str, Any]:
        """The weightings of all entries, what changes their base, and what the table says."""
        levels = experiments.LEVELS
        entries = CATALOGUE.values()
        shown = {entry.name: entry for entry in entries} | own_objectives()
        weightings = {name: experiments.inside(entry, levels) for name, entry in shown.items()}
        return {
            "levels": levels,
            "weightings": {name: np.nan_to_num(w) for name, w in weightings.items()},
            "inside": {name: np.isfinite(w).astype(np.uint8) for name, w in weightings.items()},
            "factors": {label: base_factor(base, levels) for label, base in BASES.items()},
            "floor": experiments.WORLD.floor(levels),
            "rows": {name: recipe(entry) for name, entry in shown.items()},
            "limits": {name: limit_of(entry) for name, entry in shown.items()},
            "head": HEAD,
            "label": XLABEL,
            "colours": {entry.name: colour(entry.name) for entry in entries} | {OWN: colour(OWN)},
        }

    def page_data(self) -> dict[str, Any]:
        """Weights of all entries by count, for one length after the other."""
        counts = {name: weights_of_lengths(entry) for name, entry in CATALOGUE.items()}
        of_own = {
            key: weights_of_lengths(entry)
            for key, entry in own_objectives().items()
            if entry.average != "batch"  # in proportion to those of the length
        }
        return {"counts": counts | of_own}

    def compute(self, state: State, changed: Changed) -> View:
        """The chart and the table.

        Args:
            state: A value for each control.
            changed: Not used.

        Returns:
            A chart of the chosen objectives, what each is, and where they are compared.
        """
        entries = [masked_objective(name) for name in state["names"]]
        if state["own"]:
            entries.append(own_objectives()[own_key(state)])
        if state["shows"] == BY_COUNT:
            chart = count_chart(entries, state["length"])
        else:
            chart = level_chart(entries, state)
        return View((chart, recipes(entries), Note(where(state, entries))))


def level_chart(entries: list[MaskedObjective], state: State) -> Chart:
    """Weightings over λ, or what they spend on the exact data.

    Args:
        entries: Masked objectives.
        state: A value for each control.

    Returns:
        The chart, whose curves are 1 at the anchor where they reach it.
    """
    logsnr = experiments.LEVELS
    spends = state["shows"] == SPENT
    base = "sum" if spends else BASES[state["base"]]
    factor = experiments.WORLD.floor(logsnr) if spends else np.ones_like(logsnr)
    curves = {entry.name: experiments.inside(entry, logsnr, base) * factor for entry in entries}
    curves = {name: anchored(logsnr, values, state["anchor"]) for name, values in curves.items()}
    ratio = not spends and base == "elbo"
    label = "ratio r" if ratio else f"w ({state['base']})"
    label = "loss of the exact predictor" if spends else label
    return Chart(
        logsnr,
        curves,
        xlabel=XLABEL,
        ylabel=f"{label}, 1 at λ = {state['anchor']:g}",
        title=RATIO if ratio else TITLES[state["shows"]],
        ylim=None if spends else (0, top_of(curves)),
        colours=colours_of(entries),
    )


def top_of(curves: Mapping[str, NDArray]) -> float:
    """The upper end of an axis on which all curves are 1 at one place.

    Args:
        curves: Values by name, some of which may be NaN.

    Returns:
        The least of ``TOPS`` that is above all values, or the last of them.
    """
    highest = max((float(np.nanmax(values)) for values in curves.values()), default=0.0)
    return next((top for top in TOPS if highest < top), TOPS[-1])


def anchored(logsnr: NDArray, values: NDArray, anchor: float) -> NDArray:
    """Values over that at an anchor, or over the largest where there is none.

    Args:
        logsnr: λ in nats, shape (n,).
        values: Values, some of which may be NaN, shape (n,).
        anchor: λ in nats.

    Returns:
        The ratio, shape (n,).
    """
    at = np.interp(anchor, logsnr, values)
    return values / (at if np.isfinite(at) and at > 0 else np.nanmax(values))


def count_chart(entries: list[MaskedObjective], length: int) -> Chart:
    """Weights of each number of masked tokens over those of the ELBO, on average 1.

    Args:
        entries: Masked objectives.
        length: Number of tokens.

    Returns:
        The chart.
    """
    curves = {entry.name: relative_weights(entry, length) for entry in entries}
    counts = np.arange(1, length + 1)
    return Chart(
        counts,
        curves,
        xlabel=f"masked tokens k of {length}",
        ylabel="k · weight, 1 on average",
        title=TITLES[BY_COUNT],
        xlim=(0.5, length + 0.5),  # whole dots at both ends
        ylim=(0, max([3.0, *(float(values.max()) for values in curves.values())])),
        colours=colours_of(entries),
        dots={name: (counts, values) for name, values in curves.items()},
    )


def colours_of(entries: list[MaskedObjective]) -> dict[str, str]:
    """The colour of each objective by its name.

    Args:
        entries: Masked objectives.

    Returns:
        The colours.
    """
    return {entry.name: colour(entry.name) for entry in entries}


def relative_weights(entry: MaskedObjective, length: int) -> NDArray:
    """Weights of each number of masked tokens over those of the ELBO, on average 1.

    Args:
        entry: A masked objective.
        length: Number of tokens n.

    Returns:
        The weights for 1 to n masked tokens, shape (n,).
    """
    relative = entry.count_weights(length) * np.arange(1, length + 1)
    return relative / relative.mean()


@cache
def weights_of_lengths(entry: MaskedObjective) -> NDArray:
    """Relative weights of an entry for one length after the other.

    Args:
        entry: A masked objective.

    Returns:
        The weights, of all lengths in one array that cannot be written to.
    """
    weights = np.concatenate([relative_weights(entry, length) for length in LENGTHS])
    weights.flags.writeable = False
    return weights


def own_schedules() -> dict[str, Schedule]:
    """The schedules that a reader can choose, by their rates in words."""
    return {rate_words(schedule.name): schedule for schedule in OWN_SCHEDULES}


@cache
def own_objectives() -> dict[str, MaskedObjective]:
    """All losses that a reader can make, by their keys."""
    averages = {divisor: average for average, divisor in DIVISORS.items()}
    parts = product(own_schedules().items(), FACTORS.items(), OWN_DIVISORS)
    return {
        f"{rate} {factor} {divisor}": MaskedObjective(
            name=OWN,
            family=OWN,
            year=2026,
            source=f"made here, with the factor {factor}",
            schedule=schedule,
            multiplier=multiplier,
            average=averages[divisor],
        )
        for (rate, schedule), (factor, multiplier), divisor in parts
    }


def own_key(state: State) -> str:
    """The key of the loss that a reader has made.

    Args:
        state: A value for each control.

    Returns:
        The key.
    """
    return f"{state['rate']} {state['factor']} {state['divisor']}"


def where(state: State, entries: list[MaskedObjective]) -> str:
    """Where the curves are compared, in words.

    Args:
        state: A value for each control.
        entries: The masked objectives that are shown.

    Returns:
        A sentence.
    """
    if state["shows"] == BY_COUNT:
        return "The ELBO is 1 at each number of masked tokens."
    anchor = state["anchor"]
    text = (
        f"All curves are 1 at λ = {anchor:g}, where {expit(anchor):.1%} of the tokens are visible."
    )
    for entry in entries:
        w = experiments.inside(entry, experiments.LEVELS)
        if not np.interp(anchor, experiments.LEVELS, w) > 0:
            text += f" {entry.name} has no weight there, and is shown over its largest value."
    for limit in LIMITS.values():
        drawn = [entry.name for entry in entries if limit_of(entry) == limit]
        if drawn:
            text += f" In the limit of {limit}: {', '.join(drawn)}."
    return text


def limit_of(entry: MaskedObjective) -> str:
    """In which limit the loss of an objective is a weighting over λ.

    Args:
        entry: A masked objective.

    Returns:
        A value of ``LIMITS``, or "" if it is one for all sequences and batches.
    """
    if experiments.is_elbo(verdict(entry)) and entry.average == "masked":
        return ""  # a uniform rate makes it the ELBO at every length
    return LIMITS.get(entry.average, "")


def recipes(entries: list[MaskedObjective]) -> Table:
    """What each objective is.

    Args:
        entries: Masked objectives.

    Returns:
        A table with a row for each.
    """
    colours = [colour(entry.name) for entry in entries]
    return Table(HEAD, [recipe(entry) for entry in entries], colours)


def recipe(entry: MaskedObjective) -> tuple[str, str, str, str, str]:
    """What an objective is.

    Args:
        entry: A masked objective.

    Returns:
        Its row of the table.
    """
    return (
        entry.name,
        rate_words(entry.schedule.name) + MASKS[entry.masks],
        factor_words(entry),
        DIVISORS[entry.average],
        experiments.verdict_words(entry),
    )


def factor_words(entry: MaskedObjective) -> str:
    """What an objective multiplies the cross-entropy of a masked token by.

    Args:
        entry: A masked objective.

    Returns:
        A key of ``FACTORS`` where it is one of these up to a constant, otherwise ``ELBO_FACTOR``.
    """
    for words, factor in FACTORS.items():
        if entry.multiplier == factor:
            return words
    slope_is_constant = entry.schedule.name.startswith("linear")
    return "1/m" if slope_is_constant else ELBO_FACTOR


def rate_words(schedule: str) -> str:
    """How the masking rate is drawn, as the papers call it, or as a function of a uniform ρ.

    Args:
        schedule: Name of the schedule.

    Returns:
        The words, such as "1 − ρ^0.5".
    """
    form, space, rest = schedule.partition(" ")
    if form == "kept":
        return f"1 − ρ^{rest.removeprefix('power ')}"
    return RATES.get(form, form) + space + rest
