"""Which weighting is best for a data set and a goal: measured, with its noise.

A search has two rounds.

1. Points of a Sobol design over the parameters of a family are trained side by side, once for each
   seed, and each gets the goal (less is better). A seed moves data, start, noise and held-out
   points, of all candidates alike. A surface goes through the means, a quadratic (``surface``) or
   a smooth one of any shape (``smooth``), and the optimum is where that is least in the box.
2. The optimum was chosen with its luck, and a surface may miss the truth. So it is trained once
   more under fresh seeds, beside the catalogue's weightings and the one that theory predicts, and
   compared with them seed by seed.

Fresh seeds are fresh points of a toy, but other splits of the same images. An interval is then
about splits, starts and noise with these images, and is too short for other images (Nadeau and
Bengio 2003).
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from diffviz import checks
from diffviz.compute import executors
from diffviz.search import families
from diffviz.search.candidates import Candidate, member, published
from diffviz.search.design import sobol_points
from diffviz.search.measurement import train_and_measure
from diffviz.search.report import OPTIMUM, Search
from diffviz.search.results import Key, Results, locked
from diffviz.search.settings import Settings
from diffviz.search.smooth import SmoothSurface
from diffviz.search.surface import Surface, points_needed
from diffviz.search.tasks import Plan, Tell, train_missing

TOGETHER = 16  # of 32 each costs 8 % less, of 4 40 % more, of 1 three times as much
FRESH = 1000  # first seed of the second round
SURFACES: Mapping[str, Callable[..., Surface | SmoothSurface]] = {
    "quadratic": Surface,
    "smooth": SmoothSurface,
}


class Stopped(KeyboardInterrupt):
    """Ctrl-C or the stop button ended a search.

    Args:
        values: What was trained until then: the goal by candidate and seed.
    """

    def __init__(self, values: dict[Key, float]) -> None:
        super().__init__(f"stopped after {len(values)} trainings")
        self.values = values


def search(
    data: str = "ring8",
    goal: str = "likelihood",
    family: str = "logit-normal",
    points: int = 16,
    seeds: int = 4,
    steps: int = 400,
    out: str | os.PathLike | None = None,
    *,
    law: str = "same",
    surface: str = "quadratic",
    batch: int = 256,
    learning_rate: float = 1e-2,
    tell: Tell | None = None,
    together: int = TOGETHER,
    jobs: int = 1,
    cluster: str | None = None,
    executor: Executor | None = None,
) -> Search:
    """Search a family of weightings for the best one.

    The result does not depend on where the trainings run. If the process of a training dies, the
    training is run again; a candidate that kills each process that trains it has failed.

    Args:
        data: A toy of ``diffviz.data.toys.TOYS``, or "digits" or "fashion" as images.
        goal: "likelihood", "sample" or "distortion"; see ``GOALS``.
        family: "logit-normal", "sigmoid" or "csf-mixture"; see ``FAMILIES``.
        points: Points of the design. More of them go on with the same file.
        seeds: Trainings of each point. More of them go on with the same file.
        steps: Steps of each training.
        out: CSV of finished trainings. What it holds is not trained again.
        law: How levels are drawn, "same" for all candidates or each its "own"; see ``candidates``.
        surface: "quadratic", or "smooth" where the χ² of a quadratic is well above 1: a surface of
            any shape, which needs more points and two seeds. Trainings do not depend on it.
        batch: Data points of each step.
        learning_rate: Of Adam, as for ``dv.fit``.
        tell: Called with a line of news after each batch, and with why a training failed.
        together: Candidates trained as one batch, at most. Fewer make more and smaller tasks.
        jobs: Processes on this machine that train.
        cluster: Address of a Dask scheduler whose workers train.
        executor: Any executor that trains, in the place of ``jobs`` and ``cluster``.

    Returns:
        What was found; ``print`` shows it.

    Raises:
        BlockingIOError: Another search is writing the file.
        ConnectionError: The cluster does not answer.
        Stopped: Ctrl-C was pressed, a KeyboardInterrupt with what was trained until then.
        TypeError: A number is none.
        ValueError: A name is unknown, a number is out of range, there are too few points for the
            family, or the file is of another search or damaged.
    """
    settings = Settings(data, goal, family, steps, batch, learning_rate, law)
    points = _checked_points(points, settings)
    fit = SURFACES[checks.one_of(surface, "surface", SURFACES)]
    seeds = _checked_seeds(seeds)
    checks.require(surface != "smooth" or seeds > 1, "a smooth surface needs two seeds or more")
    together = checks.count(together, "together")
    if tell is not None:
        checks.function(tell, "tell")
    with locked(out), executors.chosen(executor, jobs, cluster) as pool:
        plan = Plan(settings, Results(settings, out), pool, together, tell)
        with _stopped_with_results(plan.results):
            return _both_rounds(points, seeds, fit, plan)


@contextmanager
def _stopped_with_results(results: Results) -> Iterator[None]:
    """Turn Ctrl-C into ``Stopped``, which has what was trained."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise Stopped(results.values) from error


def _both_rounds(
    points: int, seeds: int, fit: Callable[..., Surface | SmoothSurface], plan: Plan
) -> Search:
    """Train and fit the design, then train the optimum and its rivals under fresh seeds."""
    settings = plan.settings
    box = families.FAMILIES[settings.family].box
    places = sobol_points(box, points)
    first_round = [member(settings, place) for place in places]
    surface = fit(box, places, _measure(first_round, range(seeds), plan))

    rivals = published(settings)
    second_round = [member(settings, surface.least(), prefix=f"{OPTIMUM} "), *rivals]
    values = _measure(second_round, range(FRESH, FRESH + seeds), plan)
    names = [OPTIMUM, *(rival.name for rival in rivals)]
    return Search(settings.record(), surface, dict(zip(names, values, strict=True)))


def _checked_points(points: int, settings: Settings) -> int:
    """The number of points, if it is enough for the quadratic of the family."""
    needed = points_needed(len(families.FAMILIES[settings.family].box))
    points = checks.count(points, "points")
    if points < needed:
        raise ValueError(f"family {settings.family!r} needs {needed} points or more, got {points}")
    return points


def _checked_seeds(seeds: int) -> int:
    """The number of seeds, if those of the two rounds do not meet."""
    seeds = checks.count(seeds, "seeds")
    if seeds > FRESH:
        raise ValueError(f"seeds must be at most {FRESH}, got {seeds}")
    return seeds


def _measure(candidates: Sequence[Candidate], seeds: range, plan: Plan) -> NDArray:
    """Goals (candidates, seeds): what is known, and the rest trained."""
    train_missing(candidates, seeds, plan, train_and_measure)
    known = plan.results.values
    return np.array([[known[one.name, seed] for seed in seeds] for one in candidates])
