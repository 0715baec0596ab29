"""What a training of objectives side by side looks like, before, while and after it runs.

``watched`` is the long work of an explorer. The other functions turn what is known of the data, and
what is trained so far, into panels.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from diffviz import plots
from diffviz.lab.experiments import progress, side_by_side
from diffviz.lab.experiments.side_by_side import Known, Trained, Training, least_loss
from diffviz.lab.experiments.training import GRID
from diffviz.lab.explorers.colours import REFERENCE
from diffviz.lab.explorers.work import Newest
from diffviz.web.pictures import Chart, Cloud, Note, Table, View, Working

Trainings = Newest[Training, Trained]
KEPT = 6  # trainings that an explorer remembers
FLOOR, DATA = "exact floor", "data"
BEFORE = ", before"  # behind the name of an objective, of a training before
LOGSNR = "λ   [nats; noise ← → data]"
EXCESS = "log₁₀ excess ε error"
LEVEL_LIMITS, EXCESS_LIMITS = (-8.5, 14.5), (-6.5, 1.0)
LOSS_LIMITS, RATIO_LIMITS = (0.0, 3.0), (0.9, 2.0)
REACH = 2.6  # half width of the axes of points
PLACES = 200  # of a curve over steps
SMOOTH = 0.05  # share of the steps over which a loss is averaged
TOLD = (-4, 4, 10)  # λ whose excess stands in the table
LAST = 50  # steps whose mean loss stands in the table
SHOWN = 400  # points of the data
OVERLAID = 150  # samples of each objective in one picture


def watched(
    training: Training, results: Trainings, show: Callable[[], View]
) -> Iterator[View | Working]:
    """A training as the long work of an explorer.

    Args:
        training: What it depends on.
        results: Takes how far the training has come.
        show: Returns the view of the explorer as it is now.

    Yields:
        The view after each report, and the progress.
    """
    yield Working(0.0, "the first steps")
    for trained in progress.followed(side_by_side.trained, training):
        results.keep(training, trained)
        yield show()
        share = trained.step / training.steps
        yield Working(share, f"{trained.step} of {training.steps} steps")


def found(training: Training, results: Trainings) -> Trained | None:
    """How far a training has come, or its result in the cache.

    Args:
        training: What it depends on.
        results: Trainings that are remembered; what was in the cache joins them.

    Returns:
        The training; None if it has not begun.
    """
    return results.found(training, side_by_side.trained, training)


# --- charts --------------------------------------------------------------------------------------


def smoothed(values: NDArray, window: int) -> NDArray:
    """The mean of each value and those before it.

    Args:
        values: Values, shape (..., n).
        window: Number of values in a mean; fewer at the start.

    Returns:
        The means, shape (..., n).
    """
    sums = np.cumsum(values, axis=-1, dtype=float)
    sums[..., window:] = sums[..., window:] - sums[..., :-window]
    return sums / np.minimum(np.arange(values.shape[-1]) + 1, window)


def logs_of(trained: Trained) -> NDArray:
    """log10 of the excess of a training, −inf where there is none.

    Args:
        trained: The training.

    Returns:
        The logarithms, shape (seeds, k, levels).
    """
    with np.errstate(divide="ignore"):
        return np.asarray(np.log10(trained.excess))


def _ends(values: NDArray) -> tuple[NDArray, NDArray]:
    """The lowest and the highest of several seeds, of shape (seeds, n)."""
    return values.min(0), values.max(0)


def step_chart(training: Training, known: Known, trained: Trained | None) -> Chart:
    """The own loss of each objective by step, over the loss of the exact denoiser.

    Args:
        training: What the training depends on.
        known: What is known of the data.
        trained: How far it has come; None before it has begun.

    Returns:
        The chart; a band reaches from the lowest to the highest seed.
    """
    curves: dict[str, NDArray] = {FLOOR: np.ones(2)}
    places: dict[str, NDArray] = {FLOOR: np.array([0.0, training.steps])}
    bands = {}
    if trained is not None:
        at = np.unique(np.linspace(0, trained.step - 1, PLACES).astype(int))
        window = max(5, round(SMOOTH * training.steps))
        for k, objective in enumerate(training.trained_objectives):
            ratio = smoothed(trained.loss[:, k], window)[:, at] / least_loss(objective, known)
            curves[objective.name] = ratio.mean(0)
            places[objective.name] = at + 1.0
            bands[objective.name] = _ends(ratio)
    return Chart(
        places,
        curves,
        xlabel="step",
        ylabel="own loss / least loss",
        title="loss by step",
        xlim=(0.0, float(training.steps)),
        ylim=RATIO_LIMITS,
        colours=_colours(curves),
        dashes={FLOOR: 1},
        bands=bands if len(training.seeds) > 1 else {},
    )


def level_chart(training: Training, known: Known, trained: Trained | None) -> Chart:
    """The loss of each objective by noise level, over the exact floor.

    Args:
        training: What the training depends on.
        known: What is known of the data.
        trained: How far it has come; None before it has begun.

    Returns:
        The chart.
    """
    curves: dict[str, NDArray] = {}
    if trained is not None:
        curves |= dict(zip(training.names, trained.by_level, strict=True))
    curves[FLOOR] = known.floor  # over the lines, which would hide it
    return Chart(
        GRID,
        curves,
        xlabel=LOGSNR,
        ylabel="E‖ε̂ − ε‖²",
        title="loss by noise level",
        xlim=LEVEL_LIMITS,
        ylim=LOSS_LIMITS,
        colours=_colours(curves),
        dashes={FLOOR: 1},
    )


def excess_chart(
    training: Training,
    trained: Trained | None,
    before: tuple[Training, Trained] | None = None,
) -> Chart:
    """What each objective has left to win, by noise level.

    Args:
        training: What the training depends on.
        trained: How far it has come; None before it has begun.
        before: Another training of the same data, which is drawn pale; none by default.

    Returns:
        The chart; a band reaches from the lowest to the highest seed.
    """
    curves, bands, faint = {}, {}, []
    if before is not None:
        other, result = before
        for name, of_seeds in zip(other.names, logs_of(result).mean(0), strict=True):
            curves[name + BEFORE] = of_seeds
            faint.append(name + BEFORE)
    if trained is not None:
        logs = logs_of(trained)
        for k, name in enumerate(training.names):
            curves[name] = logs[:, k].mean(0)
            bands[name] = _ends(logs[:, k])
    return Chart(
        GRID,
        curves or {name: np.full(len(GRID), np.nan) for name in training.names},
        xlabel=LOGSNR,
        ylabel=EXCESS,
        title="excess over the floor",
        xlim=LEVEL_LIMITS,
        ylim=EXCESS_LIMITS,
        colours=_colours(curves),
        faint=faint,
        bands=bands if len(training.seeds) > 1 else {},
    )


def _colours(names: Iterable[str]) -> dict[str, str]:
    """Grey for the floor, the colour of each objective, also of a training before."""
    return {
        name: REFERENCE if name == FLOOR else plots.colour(name.removesuffix(BEFORE))
        for name in names
    }


# --- points --------------------------------------------------------------------------------------


def point_cloud(
    title: str, points: NDArray, samples: dict[str, NDArray] | None = None, strokes: str = ""
) -> Cloud:
    """Samples over points of the data.

    Args:
        title: What stands above.
        points: Points of the data, shape (n, 2).
        samples: Samples by objective, shape (m, 2) each; none by default.
        strokes: Name of the control that takes what a reader draws; none by default.

    Returns:
        The cloud.
    """
    shown = samples or {}
    return Cloud(
        {DATA: points[:SHOWN], **shown},
        colours={DATA: REFERENCE, **{name: plots.colour(name) for name in shown}},
        title=title,
        xlim=(-REACH, REACH),
        ylim=(-REACH, REACH),
        strokes=strokes,
    )


def sample_clouds(training: Training, points: NDArray, trained: Trained) -> tuple[Cloud, ...]:
    """Samples of each objective over points of the data, side by side.

    Args:
        training: What the training depends on.
        points: Points of the data, shape (n, 2).
        trained: How far it has come.

    Returns:
        A cloud for each objective.
    """
    pairs = zip(training.names, trained.samples, strict=True)
    return tuple(point_cloud(name, points, {name: samples}) for name, samples in pairs)


def sample_cloud(training: Training, points: NDArray, trained: Trained, strokes: str = "") -> Cloud:
    """Samples of all objectives in one picture, over points of the data.

    Args:
        training: What the training depends on.
        points: Points of the data, shape (n, 2).
        trained: How far it has come.
        strokes: Name of the control that takes what a reader draws; none by default.

    Returns:
        The cloud.
    """
    pairs = zip(training.names, trained.samples, strict=True)
    few = {name: samples[:OVERLAID] for name, samples in pairs}
    return point_cloud("samples over the data", points, few, strokes)


# --- words ---------------------------------------------------------------------------------------


def result_table(training: Training, known: Known, trained: Trained | None) -> Table:
    """How each objective has done; before the training, what it can come to.

    Args:
        training: What the training depends on.
        known: What is known of the data.
        trained: How far it has come; None before it has begun.

    Returns:
        The table, a row for each objective.
    """
    rows = []
    for k, objective in enumerate(training.trained_objectives):
        least = least_loss(objective, known)
        results = () if trained is None else _results(trained, k, least)
        rows.append((objective.name, f"{least:.3g}", *results))
    levels = [f"λ = {level:g}".replace("-", "−") for level in TOLD]
    levels[0] = f"log₁₀ excess: {levels[0]}"
    head = ("", "least loss", "loss / least", *levels, "distance of samples")
    return Table(head[: len(rows[0])], rows, [plots.colour(name) for name in training.names])


def _results(trained: Trained, k: int, least: float) -> tuple[str, ...]:
    """The last cells of the row of an objective."""
    excess = logs_of(trained)[:, k].mean(0)
    logs = [f"{np.interp(level, GRID, excess):.2f}".replace("-", "−") for level in TOLD]
    ratio = trained.loss[:, k, -LAST:].mean() / least
    return f"{ratio:.3f}", *logs, f"{trained.distance[k]:.1f} × truth"


def training_text(training: Training) -> str:
    """A training in words.

    Args:
        training: What it depends on.

    Returns:
        The words.
    """
    seeds = training.seeds
    several = f"seeds {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"
    levels = ", λ uniform on [−10, 14] for all" if training.even else ""
    return (
        f"{training.data}, width {training.width}, {training.steps} steps, "
        f"rate {training.rate:.2g}, {several}{levels}"
    )


def state_note(training: Training, trained: Trained | None) -> Note:
    """What will be trained, or how far it has come.

    Args:
        training: What it depends on.
        trained: How far it has come; None before it has begun.

    Returns:
        The note.
    """
    words = training_text(training)
    if trained is None:
        count = len(training.names)
        networks = "one network" if count == 1 else f"{count} networks"
        text = f"{words}: press Train for {networks}; nothing is trained yet"
    elif trained.step < training.steps:
        text = f"{words}: {trained.step} steps are done"
    else:
        text = f"{words}: done"
    return Note(text, strong=trained is not None)
