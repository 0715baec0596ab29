"""``read_log``: a finished run's log as its loss by log-SNR."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from diffviz import checks, markup
from diffviz.compute import threads
from diffviz.learning.logs import cells, columns, levels, record, runs, sources
from diffviz.learning.logs.cells import Samples
from diffviz.learning.logs.levels import Errors
from diffviz.learning.logs.record import LossLog, Reading
from diffviz.learning.tracking import Bins
from diffviz.theory.objectives import Objective

BIN = 0.5  # width of the bins in nats, if nothing is said
WIDEST = 20.0  # log-SNR beyond which they do not reach
LAST = 0.5  # share of the steps that count, if nothing is said
DECAY = 0.99  # of a record that is filled further


def read_log(
    log: Any,
    *,
    loss: str | None = None,
    timestep: str | None = None,
    sigma: str | None = None,
    logsnr: str | None = None,
    step: str | None = None,
    run: Any = None,
    scheduler: Any = None,
    base: Any = None,
    dim: int | None = None,
    edges: ArrayLike | None = None,
    last: float | None = None,
    decay: float | None = None,
) -> LossLog:
    """The loss by log-SNR of a finished run, from its log.

    A row holds a noise level and the loss there, for one sample or as lists for a batch. Columns
    that are not named are guessed from their names. ``print`` of the record says how the log was
    read, and what can no longer be told.

    Args:
        log: A file (JSON lines, CSV, an event file of TensorBoard, an export of W&B), a folder with
            one, a frame of pandas, polars or Arrow, a mapping from names to columns, or a list of
            mappings.
        loss: Name of the column of losses.
        timestep: Name of the column of timesteps.
        sigma: Name of the column of sigmas, in the place of timesteps.
        logsnr: Name of the column of log-SNR, in the place of timesteps.
        step: Name of the column of training steps.
        run: Name of the run, or its number where the log has no names; a list takes several
            together.
        scheduler: What the run trained: a scheduler of diffusers, its config or the JSON file of
            it, an objective, the name of an entry, or the text of a trainer's settings as
            ``dv.from_settings`` takes it. Timesteps have no log-SNR without it.
        base: What the logged loss is: the squared error "eps", "x", "v" or "u", "weighted" for the
            loss of the run's objective, or an objective. By default "weighted" with a scheduler,
            "eps" without.
        dim: Number of components that the logged loss is a mean over. By default it is a sum.
        edges: Increasing edges of the bins in nats, shape (bins + 1,). By default bins of half a
            nat over the levels of the log.
        last: Share of the steps, at the end, that count alike. By default a half.
        decay: Decay of a moving average per step, in the place of ``last``, as in
            ``dv.LossByLogSNR``.

    Returns:
        The record, a ``LossByLogSNR``.

    Raises:
        FileNotFoundError: There is no such file.
        ModuleNotFoundError: An event file needs TensorBoard, which is not installed.
        TypeError: An argument is of the wrong kind.
        ValueError: The log is empty or cannot be read, a column is not there, it holds several
            runs, a loss is a mean over several levels, or levels need a scheduler.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> sigma = rng.random(4000)
        >>> log = dv.read_log({"sigma": sigma, "loss": 1 + 0 * sigma}, scheduler="fm-ot")
        >>> round(log.share_below(0.0), 1)
        0.5
        >>> print(log.reading.columns)
        loss 'loss', sigma 'sigma', no step ('loss', 'sigma' by name)
    """
    checks.require(
        last is None or decay is None,
        "last= and decay= are two ways to forget; pass one of them",
    )
    known = levels.objective_of(scheduler)
    meant = levels.base_of(base, known)
    components = 1 if dim is None else checks.count(dim, "dim")
    table = sources.table_of(log)
    chosen = columns.choose(
        table.names,
        table.source,
        loss=loss,
        levels={"timestep": timestep, "sigma": sigma, "logsnr": logsnr},
        step=step,
    )
    read = cells.samples_of(table, chosen)
    whole, notes = runs.one_run(read, run)
    levels.check_squares(whole.loss)
    found = levels.levels_of(whole.level, chosen.kind, known)
    notes += runs.changes(whole, found.logsnr) + levels.unlike_law(found.logsnr, known)
    counts = _counts(whole, last, decay)
    kept = whole.at(counts)
    at = found.logsnr[counts]
    errors = levels.errors_of(kept.loss, at, meant, components, known)
    grid = _edges_over(at) if edges is None else checks.increasing(edges, "edges")
    reading = Reading(
        source=table.source,
        form=table.form,
        columns=chosen.text(),
        levels=found.meaning,
        loss=errors.meaning,
        counted=_counted(read, whole, kept, chosen.step),
        objective=known,
        spending=_spending(Bins(grid), at, errors),
        base=levels.error_of(meant),
        notes=(*read.remarks, *_general_notes(read, dim, base, known, chosen.run), *notes),
    )
    result = LossLog(grid, DECAY if decay is None else decay, reading)
    record.fill(result, at, errors.squared, _starts(kept.step, decay))
    return result


def _counts(whole: Samples, last: float | None, decay: float | None) -> NDArray:
    """By sample whether it counts, shape (n,)."""
    if decay is not None:
        return np.ones(len(whole), dtype=bool)
    share = LAST if last is None else checks.number(last, "last", 0.0, 1.0)
    checks.require(share > 0, "last must be above 0, got 0; it is a share of the steps")
    return runs.is_among_last_steps(whole, share)


def _edges_over(logsnr: NDArray) -> NDArray:
    """Edges of bins over levels, which are whole or half numbers."""
    inside = logsnr[np.isfinite(logsnr) & (abs(logsnr) <= WIDEST)]
    checks.require(len(inside), "no level of the log lies within ±20 nats; pass edges=")
    low = np.floor(inside.min() / BIN)
    high = np.floor(inside.max() / BIN) + 1
    return np.arange(low, high + 1) * BIN


def _counted(read: Samples, whole: Samples, kept: Samples, step: str | None) -> str:
    """Which samples count, in words."""
    what = "row" if step is None else "step"
    steps = len(np.unique(kept.step))
    text = f"{len(kept):,} of {markup.counted(len(read), 'loss value')}"
    text += f" count, those of {markup.counted(steps, what)}"
    if len(kept) == len(whole):
        return text
    return f"{text} from {kept.step.min():g} on"


def _spending(bins: Bins, logsnr: NDArray, errors: Errors) -> record.Spending:
    """What the samples spend where."""
    level = torch.from_numpy(logsnr)
    with threads.suited(threads.elements(level), level.device):
        place = bins.find(level).numpy()
    with np.errstate(invalid="ignore"):
        spent = errors.squared * errors.factor
    return record.spending_of(bins, place, spent, errors.factor)


def _general_notes(
    read: Samples, dim: int | None, base: Any, known: Objective | None, run: str | None
) -> Iterator[str]:
    """What to note whatever the run."""
    if read.passed_over:
        yield f"passed over: {markup.counted(read.passed_over, 'row')} without a level or a loss"
    if base is None and known is None:
        yield "base= was not given: the logged loss is taken for the squared eps error"
    if dim is None:
        yield (
            "dim= was not given: the loss is taken for a sum over components; pass their number "
            "if it is a mean, as that of torch's mse_loss"
        )
    if known is None:
        yield (
            "scheduler= was not given: what is spent where is that of the logged loss, and there "
            "is no weighting besides"
        )


def _starts(step: NDArray, decay: float | None) -> NDArray:
    """Places where a batch begins: at each step under a decay, else only the first."""
    if decay is None:
        return np.zeros(1, dtype=int)
    return np.r_[0, np.flatnonzero(np.diff(step)) + 1]
