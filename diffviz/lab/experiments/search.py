"""The small search whose surface the figure and the notebook show."""

from typing import Any

from diffviz.compute.cache import cached
from diffviz.search import experiment as search_experiment
from diffviz.search import report as search_report

SMALL: dict[str, Any] = {
    "data": "digits",
    "goal": "distortion",
    "family": "csf-mixture",
    "points": 24,
    "seeds": 3,
    "steps": 250,
    "batch": 128,
    "surface": "smooth",
}


@cached
def small(law: str = "same") -> search_report.Search:
    """A search small enough to be run again for the figure: 96 trainings.

    Args:
        law: "same" where all weightings are trained under one law of λ, "own" for each its own.

    Returns:
        What the search found.

    Raises:
        ValueError: ``law`` is another.
    """
    return search_experiment.search(**SMALL, law=law)
