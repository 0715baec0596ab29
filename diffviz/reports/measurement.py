"""A measured loss beside the catalogue, in words and as a picture."""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from torch import Tensor, nn

from diffviz import plots
from diffviz.data.toys import Toy
from diffviz.probing import arrays, measure
from diffviz.probing.measured import Measured
from diffviz.recipes.entries import CATALOGUE
from diffviz.recipes.nearest import COARSE, Match, closest, in_bins

EQUAL = 0.02  # largest deviation of weightings that are called equal
REACHED = 0.98  # share of the draws of an entry from which on it is not mentioned
BEYOND = 0.01  # share of the range beyond an entry's support up to which it is not mentioned
WHOLE = 0.99  # share of the draws from which on it is not mentioned
EXACT = 0.02  # relative standard error up to which it is not mentioned
CHANCE = 0.001  # probability below which a deviation of sampled levels is no chance
EVEN = 1e-3  # share of chance below which levels are even
SCATTER = 0.02  # relative step between factors of neighbouring draws from which on they scatter
SHOWN = 3  # entries that cannot be told apart, at most
NOT_TOLD_APART = "not told apart from"


def _sentence(match: Match, measured: Measured) -> str:
    """The closest entry, and over how much of the draws and how surely it is."""
    relation = _relation(match, measured)
    says_all = match.table.endswith(f" of {match.name}")  # the table, and of which entry it is
    entry = match.table if says_all else match.name
    table = f"{match.table}, " if match.table and not says_all else ""
    text = f"catalogue: {relation} {entry} up to a constant{_where(match, measured)}, {table}"
    if relation == NOT_TOLD_APART:
        text += "as all bins together deviate by no more than chance; "
    text += f"largest deviation {match.deviation:.2%} at λ = {match.at:.1f}"
    if match.beyond >= BEYOND:
        text += f", but {match.beyond:.1%} of the range lies beyond what the entry draws"
    if match.mass < WHOLE:
        text += f" over {match.mass:.0%} of its draws"
    if match.error > EXACT:
        text += f", ± {match.error:.1%} there: {_cause_of_error(measured)}"
    if match.alike:
        text += f"; these draws do not tell it from {', '.join(match.alike[:SHOWN])}"
    return text


def _cause_of_error(measured: Measured) -> str:
    """Why bins are not known exactly, in words."""
    if not measured.stratified:
        return "times were sampled, not stratified"
    if measured.residuals["factor"] > SCATTER:
        return "factors scatter"
    return "few draws in a bin"


def _relation(match: Match, measured: Measured) -> str:
    """How a measured loss stands to an entry, in words."""
    if not (measured.exact or measured.sampled) or match.beyond >= BEYOND:
        return "closest to"
    if match.deviation < EQUAL and measured.exact:
        return "equal to"
    return NOT_TOLD_APART if _is_within_chance(match, measured) else "closest to"


def _where(match: Match, measured: Measured) -> str:
    """Between which levels the loss is compared, where the entry draws many others; else empty."""
    low, high = measured.logsnr.min(), measured.logsnr.max()
    reached = float(np.diff(CATALOGUE[match.name].law.cdf([low, high]))[0])
    if reached >= REACHED:
        return ""
    return f" for λ from {low:.3g} to {high:.3g} alone, {reached:.0%} of what the entry draws"


def _is_within_chance(match: Match, measured: Measured) -> bool:
    """Whether levels are those of an entry as far as a chi-square test of all bins tells.

    The factors of a smooth loss are exact, so that bins scatter as their numbers of draws do, times
    the share of chance in them, and by one draw for the edges. Where levels are even, any deviation
    tells.
    """
    share = min(measured.residuals["levels"], 1.0)
    if share < EVEN:
        return False
    bins = in_bins(measured, COARSE)
    known = bins.average(CATALOGUE[match.name])
    drawn, _ = np.histogram(measured.logsnr, bins.edges)
    if (known <= 0).any():
        return False
    ratio = bins.w / known
    ratio /= np.average(ratio, weights=drawn)
    statistic = float(((drawn * (ratio - 1)) ** 2 / (share * drawn + 1)).sum())
    return bool(stats.chi2.sf(statistic, len(drawn) - 1) > CHANCE)


def _draw_as_points(ax: Axes, name: str) -> None:
    """Show a curve as black points over the others."""
    for line in ax.lines:
        if line.get_gid() == name:
            line.set(linestyle="", marker="o", ms=4, markevery=5, color="black", zorder=6)


def _place_legend(ax: Axes) -> None:
    """Put the legend to the right of the axes."""
    ax.legend(
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        borderaxespad=0,
        frameon=False,
        fontsize=9,
        handlelength=3,
    )


class Report(Measured):
    """What ``dv.probe`` returns: the measurement, with its place in the catalogue.

    Example:
        >>> x = torch.linspace(-1, 1, 128).reshape(64, 2)
        >>> measured = dv.probe(dv.lab.losses.edm, x, draws=2000)
        >>> measured.kind, len(measured.logsnr)
        ('x', 2000)
    """

    def table(self) -> NDArray:
        """λ and the measured w, which ``dv.from_weighting`` takes.

        Returns:
            Middles of the bins in nats and bin averages of w, shape (n, 2), n at most 160.

        Raises:
            ValueError: The loss trains at one level, or has no weighting.

        Example:
            >>> x = torch.linspace(-1, 1, 128).reshape(64, 2)
            >>> measured = dv.probe(dv.lab.losses.edm, x, draws=2000)
            >>> dv.from_weighting(measured.table(), name="measured").name
            'measured'
        """
        edges = self.edges()
        w, _ = self.weighting(edges)
        return np.column_stack([(edges[1:] + edges[:-1]) / 2, w])

    def plot(self, k: int = 3, ax: Axes | None = None) -> Axes:
        """The measured weighting over the closest catalogue curves, anchored at λ = 0.

        Args:
            k: Number of catalogue entries.
            ax: Axes to draw on; by default those of a new figure.

        Returns:
            The axes. The measured points have the ``gid`` "measured".

        Raises:
            TypeError: k is no whole number.
            ValueError: k < 1, or the loss has no weighting.

        Example:
            >>> x = torch.linspace(-1, 1, 128).reshape(64, 2)
            >>> ax = dv.probe(dv.lab.losses.edm, x, draws=2000).plot(k=1)
            >>> "measured" in [line.get_gid() for line in ax.lines]
            True
        """
        logsnr, w = self.table().T
        names = [match.name for match in closest(self, k)]
        curves = {name: CATALOGUE[name].weighting(logsnr) for name in names}
        curves["measured"] = w
        title = f"measured: {self.kind} target, {len(self.logsnr):,} draws"
        ax = plots.weighting_curves(logsnr, curves, title=title, ax=ax)
        _draw_as_points(ax, "measured")
        _place_legend(ax)
        return ax

    def _closest_entry(self) -> Match | None:
        """The closest entry; None for one level, no weighting, or no entry of its width."""
        try:
            matches = closest(self, 1)
        except ValueError:  # the notes of the measurement say which
            return None
        return matches[0] if matches else None

    def summary(self) -> str:
        """Target, path, density, weighting, and the closest entry of the catalogue, in words.

        Example:
            >>> x = torch.linspace(-1, 1, 128).reshape(64, 2)
            >>> dv.probe(dv.lab.losses.flow_matching, x, draws=2000).summary().splitlines()[:2]
            ['target: u', 'path: linear (alpha + sigma = 1)']
        """
        lines = super().summary().split("\n")
        match = self._closest_entry()
        if match is not None:
            notes = (place for place, line in enumerate(lines) if line.startswith("note:"))
            lines.insert(next(notes, len(lines)), _sentence(match, self))
        return "\n".join(lines)

    __str__ = __repr__ = summary


def probe(
    loss: Callable,
    x: Tensor | np.memmap | Toy | Iterable[Any],
    *,
    inputs: int | str | Callable | None = None,
    output: str | Callable | None = None,
    model: nn.Module | str | None = None,
    call: int = -1,
    scale: float | None = None,
    draws: int = 20_000,
    batch: int | None = None,
    mode: Literal["stratified", "as-is"] = "stratified",
    generator: torch.Generator | None = None,
    error: float | Literal["mmse"] | Callable[[NDArray], ArrayLike] | None = None,
    loss_key: str | None = None,
    progress: bool = True,
) -> Report:
    """Measure what a training loss optimises: path, target, density and weighting.

    The loss runs with a stand-in for its network. The result stands beside the nearest entries of
    the catalogue; ``diffviz.probing.measure.probe`` measures the same without the catalogue.

    Args:
        loss: ``loss(model, x)``, which returns a tensor (one number, one for each sample, or one
            for each component). It is ``loss(x)`` if ``model`` is a name.
        x: Example data as the loss takes them, float, shape (n, ...), with at least 2 numbers for
            each sample. They are used in turn. A tensor, a toy, a memory-mapped array, or batches
            as a ``DataLoader`` or a generator gives them. No more than the first 2²⁴
            numbers are used, and of batches the first 20,000 samples.
        inputs: z among the arguments of the network: a position, a keyword, or a function of the
            arguments. By default it is the first of the size of x.
        output: How the network answers: a name (``out.sample``, ``out["sample"]``, ``out[0]``) or
            a function of the plain tensor.
        model: Network that is handed to the loss, or its dotted name in the loss. Its attributes
            are read, and its forward is replaced meanwhile.
        call: Which of several calls of the network with gradients is probed.
        scale: Factor by which the loss multiplies x before noise is added. By default it is found
            for x -> 2x − 1.
        draws: Number of draws, at least 100.
        batch: Draws in one call of the loss. By default as many as memory allows; give it where
            the loss fixes it.
        mode: "stratified", or "as-is" for the random numbers of the loss itself.
        generator: Seeds the draws. By default they are always the same.
        error: Root mean square error of a component of the target at which a loss that is not
            squared is read: a number, a function of log-SNR, or "mmse" for the least error where x
            is a toy or mixture. By default it is 0.1.
        loss_key: Name of the loss in the dict or object that the loss returns. By default it is
            "loss".
        progress: Whether a probe of more than 5 s shows a bar with the time that it still takes.

    Returns:
        The measurement, with its place in the catalogue.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: The loss cannot be probed; the message says what to change.

    Example:
        >>> def loss(model, x):
        ...     t = torch.rand(len(x), 1)
        ...     eps = torch.randn_like(x)
        ...     return ((model((1 - t) * x + t * eps, t) - (eps - x)) ** 2).mean()
        >>> measured = dv.probe(loss, torch.linspace(-1, 1, 128).reshape(64, 2), draws=2000)
        >>> measured.kind, dv.closest(measured, 1)[0].deviation < 0.01
        ('u', True)
    """
    measured = measure.probe(
        loss,
        x,
        inputs=inputs,
        output=output,
        model=model,
        call=call,
        scale=scale,
        draws=draws,
        batch=batch,
        mode=mode,
        generator=generator,
        error=error,
        loss_key=loss_key,
        progress=progress,
    )
    return Report(**vars(measured))


def probe_arrays(
    step: Callable[..., Any],
    x: ArrayLike,
    *,
    uniforms: int = 1,
    scale: float | None = None,
    draws: int = 20_000,
    batch: int | None = None,
    generator: torch.Generator | None = None,
    progress: bool = True,
) -> Report:
    """Measure what a loss outside torch optimises, such as one of JAX, Keras or MLX.

    The loss is the weighted squared error of a network's output, ``weight * |output − target|²``.
    It is given as a step without its network, which gets data, noise and uniform numbers.

    Args:
        step: ``step(x, eps, u)``, which returns z, target and weight. It gets NumPy arrays: x and
            eps of shape (n, ...), u of shape (n,), or (n, uniforms) where there are several. z and
            target have the shape (n, ...). The weight is a number, or has shape (n,), or that of z.
            Times must be made from u by their quantile function.
        x: Example data, an array of shape (n, ...), with at least 2 numbers for each sample.
        uniforms: Number of uniform numbers for each sample.
        scale: Factor by which the loss multiplies x before noise is added. By default it is found
            for x -> 2x − 1.
        draws: Number of draws, at least 100.
        batch: Draws in one call of the step.
        generator: Seeds the draws. By default they are always the same.
        progress: Whether a probe of more than 5 s shows a bar with the time that it still takes.

    Returns:
        The measurement, with its place in the catalogue.

    Raises:
        TypeError: An argument is of the wrong kind, or the step returns something else.
        ValueError: The step cannot be read; the message says what to change.

    Example:
        >>> def step(x, eps, u):
        ...     t = u[:, None]
        ...     return (1 - t) * x + t * eps, eps - x, 1.0
        >>> x = np.linspace(-1, 1, 128).reshape(64, 2)
        >>> measured = dv.probe_arrays(step, x, draws=2000)
        >>> measured.kind, dv.closest(measured, 1)[0].deviation < 0.01
        ('u', True)
    """
    loss = arrays.array_loss(step, uniforms)
    data = arrays.data_tensor(x)
    return probe(
        loss,
        data,
        scale=scale,
        draws=draws,
        batch=batch,
        generator=generator,
        progress=progress,
    )
