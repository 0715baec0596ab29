"""Which weighting is best for a data set and a goal: measured, with its noise.

A search has two rounds.

1. Points of a Sobol design over the parameters of a family are trained side by side, once for each
   seed, and each gets the goal (less is better). A seed moves data, start, noise and held-out
   points, of all candidates alike. A quadratic goes through the means (``surface``), and the
   optimum is where that is least in the box.
2. The optimum was chosen with its luck, and a quadratic may miss the truth. So it is trained once
   more under fresh seeds, beside the catalogue's weightings and the one that theory predicts, and
   compared with them seed by seed.

Fresh seeds are fresh points of a toy, but other splits of the same images. An interval is then
about splits, starts and noise with these images, and is too short for other images (Nadeau and
Bengio 2003).
"""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffviz import checks
from diffviz.search import families
from diffviz.search.candidates import Candidate, member, published
from diffviz.search.design import sobol_points
from diffviz.search.measurement import train_and_measure
from diffviz.search.report import OPTIMUM, Search
from diffviz.search.results import Results
from diffviz.search.settings import Settings
from diffviz.search.surface import Surface, points_needed

TOGETHER = 32  # candidates trained as one batch
FRESH = 1000  # first seed of the second round
Tell = Callable[[str], Any]


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
    batch: int = 256,
    learning_rate: float = 1e-2,
    tell: Tell | None = None,
) -> Search:
    """Search a family of weightings for the best one.

    Args:
        data: A toy of ``diffviz.data.toys.TOYS``, or "digits" or "fashion" as images.
        goal: "likelihood", "sample" or "distortion"; see ``GOALS``.
        family: "logit-normal", "sigmoid" or "csf-mixture"; see ``FAMILIES``.
        points: Points of the design. More of them go on with the same file.
        seeds: Trainings of each point. More of them go on with the same file.
        steps: Steps of each training.
        out: CSV of finished trainings. What it holds is not trained again.
        law: How levels are drawn, "same" for all candidates or each its "own"; see ``candidates``.
        batch: Data points of each step.
        learning_rate: Of Adam, as for ``dv.fit``.
        tell: Called with a line of news after each batch, and with why a training failed.

    Returns:
        What was found; ``print`` shows it.

    Raises:
        TypeError: A number is none.
        ValueError: A name is unknown, a number is out of range, there are too few points for the
            family, or the file is of another search or damaged.
    """
    settings = Settings(data, goal, family, steps, batch, learning_rate, law)
    box = families.FAMILIES[family].box
    points = _checked_points(points, settings)
    seeds = _checked_seeds(seeds)
    results = Results(settings, out)

    places = sobol_points(box, points)
    first_round = [member(settings, place) for place in places]
    values = _measure(first_round, range(seeds), settings, results, tell)
    surface = Surface(box, places, values)

    rivals = published(settings)
    second_round = [member(settings, surface.least(), prefix=f"{OPTIMUM} "), *rivals]
    fresh_seeds = range(FRESH, FRESH + seeds)
    values = _measure(second_round, fresh_seeds, settings, results, tell)
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


def _measure(
    candidates: Sequence[Candidate],
    seeds: range,
    settings: Settings,
    results: Results,
    tell: Tell | None,
) -> NDArray:
    """Goals (candidates, seeds): what is known, and the rest trained and kept batch by batch."""
    for seed, batch in _missing(candidates, seeds, results):
        outcomes = train_and_measure(batch, seed, settings)
        names = [candidate.name for candidate in batch]
        results.append(names, seed, [outcome.value for outcome in outcomes])
        if tell is not None:
            for outcome in outcomes:
                if outcome.failure:
                    tell(outcome.failure)
            tell(f"seed {seed}: {len(batch)} trained")
    return np.array([[results.values[c.name, seed] for seed in seeds] for c in candidates])


def _missing(
    candidates: Sequence[Candidate], seeds: range, results: Results
) -> Iterator[tuple[int, list[Candidate]]]:
    """Each seed with the batches of candidates that were not trained with it yet."""
    for seed in seeds:
        missing = [c for c in candidates if (c.name, seed) not in results.values]
        for start in range(0, len(missing), TOGETHER):
            yield seed, missing[start : start + TOGETHER]
