"""What a page says about a training, as plain records: facts, curves, nearest entries, losses.

A ``Card`` is made from an objective, a measured loss or a loss by log-SNR. It holds arrays and
text and draws nothing, so that the page, the picture and the tests read the same numbers.
"""

import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from diffviz import __version__
from diffviz.checks import attribute, offers, require
from diffviz.markup import Row
from diffviz.recipes.entries import CATALOGUE
from diffviz.recipes.nearest import Match, closest
from diffviz.recipes.settings.door import AsMeasured
from diffviz.theory import analysis, atoms
from diffviz.theory.objectives import Objective
from diffviz.theory.weightings import MeasuredMasked, is_of_cross_entropy

if TYPE_CHECKING:
    from diffviz.learning.floors.record import Floor

POINTS = 481  # of a curve
INNER = 10.0  # λ in nats up to which a curve is drawn at least, to both sides
OUTER = 20.0  # and at most
TAIL = 1e-3  # of the draws that may lie beyond each end
NEAREST = 3  # entries that are named
VERSIONS = ("numpy", "scipy", "matplotlib")
KNOWN = "an objective, what dv.probe returns, or a loss by log-SNR (dv.LossByLogSNR, dv.read_log)"


class MeasuredLoss(Protocol):
    """A measured loss that can be told in words."""

    @property
    def kind(self) -> str:
        """Name of the target."""

    def edges(self, bins: int = 160, mass: float = 0.998) -> NDArray:
        """Edges of bins over the central ``mass`` of the draws."""

    def density(self, edges: ArrayLike) -> tuple[NDArray, NDArray]:
        """Density of log-SNR averaged over each bin, and its standard error."""

    def weighting(self, edges: ArrayLike) -> tuple[NDArray, NDArray]:
        """The weighting averaged over each bin, and its standard error."""

    def summary(self) -> str:
        """What was measured, a line for each fact."""


class LossByLevel(Protocol):
    """A loss by log-SNR: means over bins, with their errors."""

    @property
    def middle(self) -> NDArray:
        """Middles of the bins in nats, shape (bins,)."""

    @property
    def width(self) -> NDArray:
        """Widths of the bins in nats, shape (bins,)."""

    @property
    def count(self) -> NDArray:
        """Draws by bin, shape (bins + 2,)."""

    def curve(self, base: str = "eps") -> Any:
        """Mean, standard error and second moment on the error of a base."""


class TellsText(Protocol):
    """A record that says in words how it was made, a line for each fact."""

    def text(self) -> str:
        """The words."""


class Bracket(Protocol):
    """Two bounds of the least loss, by level."""

    logsnr: NDArray
    lower: NDArray
    upper: NDArray

    def band(self, base: str = "eps", errors: float = 2.0) -> tuple[NDArray, NDArray]:
        """Both bounds, moved outwards by their errors, on the error of a base."""

    def text(self) -> str:
        """What is known, in words."""


@dataclass(frozen=True, eq=False)
class Sampled:
    """A curve over log-SNR.

    Args:
        logsnr: Increasing λ in nats, shape (n,).
        values: Values there, shape (n,).
    """

    logsnr: NDArray
    values: NDArray


@dataclass(frozen=True, eq=False)
class Losses:
    """A loss by log-SNR, and what is known of the least loss.

    Args:
        logsnr: Middles of the bins in nats, shape (bins,).
        mean: Squared error summed over components, shape (bins,); NaN without draws.
        stderr: Its standard error, shape (bins,).
        band: λ and both ends of the floor, shape (levels,) each; None if no floor was given.
        base: The error that is meant: "eps", "x", "v" or "u".
    """

    logsnr: NDArray
    mean: NDArray
    stderr: NDArray
    band: tuple[NDArray, NDArray, NDArray] | None = None
    base: str = "eps"


@dataclass(frozen=True, eq=False)
class Card:
    """What a page says.

    Args:
        title: What the page is about.
        kind: Of what kind that is, in words.
        facts: Names and values.
        weighting: w(λ) on the eps error; None where there is none.
        law: Density of λ per nat; None where it is not known.
        nearest: Nearest entries of the catalogue.
        losses: Loss by log-SNR on the error that was logged; None where none was measured.
        notes: What else to know.
        again: The line that makes the page again; empty if it is not known.
        versions: Names and versions of what computed it.
    """

    title: str
    kind: str
    facts: tuple[Row, ...]
    weighting: Sampled | None
    law: Sampled | None
    nearest: tuple[Match, ...]
    losses: Losses | None
    notes: tuple[str, ...]
    again: str
    versions: str

    def text(self) -> str:
        """All of it in words, a line for each fact."""
        lines = [f"{self.title} ({self.kind})"]
        lines += [f"{name}: {value}" for name, value in self.facts]
        lines += [f"near: {match.name}, {distance(match)}" for match in self.nearest]
        lines += [f"note: {note}" for note in self.notes]
        lines += [f"again: {self.again}"] if self.again else []
        return "\n".join([*lines, f"versions: {self.versions}"])


def card_of(
    item: Any,
    *,
    objective: Objective | None = None,
    floor: "Floor | None" = None,
    title: str = "",
    again: str = "",
) -> Card:
    """What there is to say about a training.

    Args:
        item: An objective, a measured loss, or a loss by log-SNR.
        objective: What the run of a loss by log-SNR trains on; a log may know it by itself.
        floor: What ``dv.floor`` says about its data.
        title: What the page is about; by default the name of the objective, or the kind.
        again: The line that makes the page again.

    Returns:
        The card.

    Raises:
        TypeError: ``item`` or ``objective`` is of another kind.
        ValueError: ``objective`` or ``floor`` is given for what is no loss by log-SNR.
    """
    require(isinstance(title, str), f"title must be text, got {title!r}", TypeError)
    require(isinstance(again, str), f"again must be text, got {again!r}", TypeError)
    is_measured = offers(item, MeasuredLoss) or offers(item, LossByLevel)
    if isinstance(item, type) or not (is_measured or isinstance(item, Objective)):
        raise TypeError(f"a report is on {KNOWN}; got {item!r:.80}{_way_out(item)}")
    if offers(item, LossByLevel):
        return _of_losses(item, objective, floor, title, again)
    for name, value in (("objective", objective), ("floor", floor)):
        require(value is None, f"{name}= goes with a loss by log-SNR, leave it out here")
    if isinstance(item, Objective):
        return _of_objective(item, title, again)
    return _of_measured(item, title, again)


def _way_out(item: Any) -> str:
    """What to do with an item that no report is on, in words; empty where nothing is known."""
    if offers(item, MeasuredMasked):
        return (
            "; of a loss of masked diffusion print(measured) tells what it weights, and "
            "diffviz.masked.closest_masked(measured) the nearest entries"
        )
    if is_of_cross_entropy(item):
        return (
            "; dv.verdict and lab.explorers.MaskedExplorer are for objectives of masked diffusion"
        )
    is_name = isinstance(item, str) and item in CATALOGUE
    return f"; dv.objective({item!r}) is the entry" if is_name else ""


def distance(match: Match) -> str:
    """How far an entry is, in words.

    Args:
        match: The entry.

    Returns:
        The largest deviation, where it is met, and over how much of the draws.
    """
    table = f", {match.table}" if match.table else ""
    return (
        f"deviates by {match.deviation:.2%} at most, at λ = {match.at:.1f}, over "
        f"{match.mass:.0%} of the draws{table}"
    )


# --- an objective ---------------------------------------------------------------------------------


def _of_objective(item: Objective, title: str, again: str) -> Card:
    """The card of an objective."""
    is_entry = item.name in CATALOGUE and CATALOGUE[item.name].identity == item.identity
    own_line = f"dv.report(dv.objective({item.name!r}), {item.name + '.html'!r})"
    return Card(
        title=title or item.name,
        kind="objective",
        facts=(*recipe_facts(item), *_law_facts(item), *_weighting_facts(item)),
        weighting=_weighting_of(item),
        law=_law_of(item),
        nearest=_nearest(AsMeasured(item), without=item.name if is_entry else ""),
        losses=None,
        notes=(item.note,) if item.note else (),
        again=again or (own_line if is_entry else ""),
        versions=versions(),
    )


def recipe_facts(item: Objective) -> tuple[Row, ...]:
    """What an objective is made of.

    Args:
        item: The objective.

    Returns:
        Names and values.
    """
    year = f", {item.year}" if item.year else ""
    return (
        ("family", f"{item.family}{year}"),
        ("source", item.source),
        ("path", item.path.name),
        ("target", item.target.name),
    )


def _law_facts(item: Objective) -> tuple[Row, ...]:
    """Where an objective looks."""
    low, median, high = item.law.ppf([0.05, 0.5, 0.95])
    table = atoms.atomic(item.law)
    levels = "" if table is None else f"; a table of {len(table.levels)} levels"
    spread = f"median λ = {median:.2f}, nine tenths from {low:.2f} to {high:.2f}{levels}"
    return (("levels drawn", spread),)


def _weighting_facts(item: Any) -> tuple[Row, ...]:
    """The verdict on a weighting, and what it spends below λ = 0."""
    shares = (
        f"{analysis.share_below(item):.1%} of w (eps base), "
        f"{analysis.share_below(item, mmse=expit):.1%} of the loss on N(0, I), both on [−10, 10]"
    )
    return (("verdict", str(analysis.verdict(item))), ("below λ = 0", shares))


def _grid_over(item: Objective) -> NDArray:
    """Places of the curves of an objective: a fixed range, wider if it draws beyond."""
    low, high = item.law.ppf([TAIL, 1 - TAIL])
    first = np.clip(np.floor(low), -OUTER, -INNER)
    last = np.clip(np.ceil(high), INNER, OUTER)
    return np.linspace(first, last, POINTS)


def _weighting_of(item: Objective) -> Sampled:
    """The weighting of an objective on the eps error."""
    grid = _grid_over(item)
    return Sampled(grid, item.weighting(grid))


def _law_of(item: Objective) -> Sampled:
    """The density of the levels that an objective draws."""
    grid = _grid_over(item)
    return Sampled(grid, atoms.density(item.law, grid))


def _nearest(measured: Any, without: str = "") -> tuple[Match, ...]:
    """The nearest entries but one; none for one level or without a weighting."""
    try:
        matches = closest(measured, NEAREST + 1)
    except ValueError:  # the facts and notes say why
        return ()
    return tuple([match for match in matches if match.name != without][:NEAREST])


# --- a measured loss ------------------------------------------------------------------------------


def _of_measured(item: MeasuredLoss, title: str, again: str) -> Card:
    """The card of a measured loss."""
    told = _rows_of(item.summary())
    refusals: list[str] = []
    edges = _or_refused(refusals, item.edges)
    law = weighting = None
    facts: tuple[Row, ...] = ()
    if edges is not None:
        middle = (edges[1:] + edges[:-1]) / 2
        law = Sampled(middle, item.density(edges)[0])
        averages = _or_refused(refusals, lambda: item.weighting(edges)[0])
        if averages is not None:
            weighting = Sampled(middle, averages)
            facts = _or_refused(refusals, lambda: _weighting_facts(item)) or ()
    notes = [value for name, value in told if name == "note"]
    return Card(
        title=title or "A measured training loss",
        kind="measured by dv.probe",
        facts=(*(row for row in told if row[0] != "note"), *facts),
        weighting=weighting,
        law=law,
        nearest=_nearest(item),
        losses=None,
        notes=(*notes, *(text for text in refusals if text not in notes)),
        again=again,
        versions=versions(),
    )


def _rows_of(text: str) -> tuple[tuple[str, str], ...]:
    """Text with a line for each fact, as names and values."""
    lines = [line.partition(": ") for line in text.split("\n")]
    return tuple((name, value) for name, _, value in lines)


def _or_refused(refusals: list[str], compute: Callable[[], Any]) -> Any:
    """What a function returns; None where it refuses, and the reason goes to the list."""
    try:
        return compute()
    except ValueError as refusal:
        refusals.append(str(refusal))
        return None


# --- a loss by log-SNR ----------------------------------------------------------------------------


def _of_losses(
    item: LossByLevel,
    objective: Objective | None,
    floor: "Floor | None",
    title: str,
    again: str,
) -> Card:
    """The card of a loss by log-SNR."""
    known = _trained_on(item, objective)
    require(
        floor is None or offers(floor, Bracket),
        f"floor must be what dv.floor returns, got {floor!r}",
        TypeError,
    )
    losses = losses_of(item, floor)
    words = _facts_in_words(item)
    rows = words or _counts_of(item)
    rows += _spent_facts(item, losses, None if words else known)  # a log has said it by sample
    rows += _floor_facts(item, losses, floor)
    notes = [str(value) for name, value in rows if name == "note"]
    of_run = _Part((), None, None, (), ()) if known is None else _part_of(known)
    return Card(
        title=title or f"Loss by log-SNR{f', trained on {known.name}' if known else ''}",
        kind="loss of a training",
        facts=(*(row for row in rows if row[0] != "note"), *of_run.facts),
        weighting=of_run.weighting,
        law=of_run.law,
        nearest=of_run.nearest,
        losses=losses_of(item, floor, attribute(item, "base", "eps")),
        notes=(*notes, *of_run.notes),
        again=again,
        versions=versions(),
    )


@dataclass(frozen=True, eq=False)
class _Part:
    """What the objective of a run adds to its card; each as in ``Card``."""

    facts: tuple[Row, ...]
    weighting: Sampled | None
    law: Sampled | None
    nearest: tuple[Match, ...]
    notes: tuple[str, ...]


def _part_of(known: Objective) -> _Part:
    """What the objective of a run adds to its card."""
    path_and_target = recipe_facts(known)[2:]
    return _Part(
        facts=(
            ("trained on", known.name),
            *path_and_target,
            *_law_facts(known),
            *_weighting_facts(known),
        ),
        weighting=_weighting_of(known),
        law=_law_of(known),
        nearest=_nearest(AsMeasured(known)),
        notes=(known.note,) if known.note else (),
    )


def _trained_on(item: LossByLevel, objective: Objective | None) -> Objective | None:
    """The objective of a run: the one that is given, or the one that its log says."""
    known = attribute(item, "objective") if objective is None else objective
    require(
        known is None or isinstance(known, Objective),
        f"objective must be an objective, such as dv.objective('edm'); got {known!r}",
        TypeError,
    )
    return known


def losses_of(item: LossByLevel, floor: "Floor | None" = None, base: str = "eps") -> Losses:
    """The loss of a tracker; of several decays that of the first.

    Args:
        item: The tracker.
        floor: What is known of the least loss.
        base: Error that is meant: "eps", "x", "v" or "u".

    Returns:
        The loss on the error of the base, with the band of the floor.
    """
    curve = item.curve(base)
    mean, stderr = (np.atleast_2d(part)[0] for part in (curve.mean, curve.stderr))
    band = None if floor is None else (floor.logsnr, *floor.band(base))
    return Losses(item.middle, mean, stderr, band, base)


def _facts_in_words(item: LossByLevel) -> tuple[Row, ...]:
    """What a log says about itself; empty for a tracker, which was not read from anywhere."""
    if not offers(item, TellsText):
        return ()
    return _rows_of(item.text())


def _counts_of(item: LossByLevel) -> tuple[Row, ...]:
    """How many draws a tracker has seen, and where."""
    low = item.middle[0] - item.width[0] / 2
    high = item.middle[-1] + item.width[-1] / 2
    count = item.count
    text = f"{count.sum():,.0f}, in {len(item.middle)} bins on λ from {low:.3g} to {high:.3g}"
    outside = count[0] + count[-1]
    return (("draws", text + (f", {outside:,.0f} outside" if outside else "")),)


def _spent_facts(item: LossByLevel, losses: Losses, objective: Objective | None) -> tuple[Row, ...]:
    """Loss as nats of an ELBO, and the share of the training loss below λ = 0."""
    seen = np.isfinite(losses.mean)
    if not seen.any():
        return (("loss", "no bin has been seen"),)
    spent = np.where(seen, losses.mean, 0) * item.width
    facts: tuple[Row, ...] = (
        ("negative ELBO", f"{spent.sum() / 2:.4g} nats, its diffusion term over the bins seen"),
    )
    if objective is None:
        return facts
    weighted = spent * objective.weighting(losses.logsnr)
    if not weighted.sum() > 0:
        return facts
    share = weighted[losses.logsnr < 0].sum() / weighted.sum()
    return (*facts, ("spent below λ = 0", f"{share:.0%} of the training loss, by bins"))


def _floor_facts(item: LossByLevel, losses: Losses, floor: "Floor | None") -> tuple[Row, ...]:
    """What is known of the floor, and how much of the loss lies above it."""
    if floor is None:
        return ()
    facts: tuple[Row, ...] = _rows_of(floor.text())
    inside = (losses.logsnr >= floor.logsnr[0]) & (losses.logsnr <= floor.logsnr[-1])
    inside &= np.isfinite(losses.mean)
    if not inside.any():
        return facts
    at = losses.logsnr[inside]
    width = item.width[inside]
    loss = (losses.mean[inside] * width).sum()
    lower, upper = (
        (np.interp(at, floor.logsnr, bound) * width).sum() for bound in (floor.lower, floor.upper)
    )
    excess = (
        f"{1 - upper / loss:.0%} to {1 - lower / loss:.0%} of the summed eps error over λ from "
        f"{at[0]:.3g} to {at[-1]:.3g}"
    )
    return (*facts, ("above the floor", excess))


def versions() -> str:
    """Names and versions of what computes a report; of torch where it is loaded."""
    loaded = ("torch",) if "torch" in sys.modules else ()
    packages = [f"{name} {version(name)}" for name in (*VERSIONS, *loaded)]
    own = f"diffviz {__version__}, Python {platform.python_version()}"
    return ", ".join([own, *packages])
