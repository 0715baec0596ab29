"""The trainings of a round as tasks of an executor: what is missing, and how it is run.

A task is a batch of candidates with a seed. Batches follow from the order of the candidates alone,
and a task depends on nothing but its arguments, so that the numbers do not depend on where the
tasks run or on the order in which they finish.

If the process of a task dies again and again, its candidates are trained one by one. A candidate
that kills its process even alone has failed in this search. That is not written to the file, since
another machine may be able to train it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffviz.compute.executors import WorkerDied, completed
from diffviz.search.candidates import Candidate
from diffviz.search.measurement import Outcome
from diffviz.search.results import Results
from diffviz.search.settings import Settings

Tell = Callable[[str], Any]
Task = tuple[list[Candidate], int, Settings]
Train = Callable[[list[Candidate], int, Settings], list[Outcome]]


@dataclass(frozen=True, eq=False)
class Plan:
    """How the trainings of a search are run.

    Args:
        settings: What they depend on.
        results: Where their goals are kept.
        pool: Where they run.
        together: Candidates trained as one batch, at most.
        tell: Called with a line of news after each batch, and with why a training failed.
    """

    settings: Settings
    results: Results
    pool: Executor
    together: int
    tell: Tell | None = None


def train_missing(
    candidates: Sequence[Candidate], seeds: Sequence[int], plan: Plan, train: Train
) -> None:
    """Train what has no goal yet; goals are kept as they come.

    Args:
        candidates: What is trained.
        seeds: Seeds of the trainings of each.
        plan: How it is trained.
        train: The function that trains a batch.

    Raises:
        KeyboardInterrupt: The stop button was pressed.
    """
    deadly = []
    for task, outcomes in _outcomes(missing(candidates, seeds, plan), plan, train):
        if outcomes is None:
            deadly.append(task)
        else:
            _keep(task, outcomes, plan)
    one_by_one = [
        ([candidate], seed, settings) for batch, seed, settings in deadly for candidate in batch
    ]
    for task, outcomes in _outcomes(one_by_one, plan, train):
        if outcomes is None:
            _fail(task, plan)
        else:
            _keep(task, outcomes, plan)


def missing(candidates: Sequence[Candidate], seeds: Sequence[int], plan: Plan) -> Iterator[Task]:
    """The tasks of a round, each without those candidates that have a goal already.

    Args:
        candidates: What is trained.
        seeds: Seeds of the trainings of each.
        plan: How it is trained.

    Yields:
        Candidates, seed and settings, seed by seed.
    """
    for seed in seeds:
        for start in range(0, len(candidates), plan.together):
            batch = candidates[start : start + plan.together]
            left = [one for one in batch if (one.name, seed) not in plan.results.values]
            if left:
                yield left, seed, plan.settings


def _outcomes(
    tasks: Iterable[Task], plan: Plan, train: Train
) -> Iterator[tuple[Task, list[Outcome] | None]]:
    """Tasks with their outcomes as they finish; None where the process died."""
    for task, future in completed(plan.pool, train, tasks):
        error = future.exception()
        if error is None:
            yield task, future.result()
        elif isinstance(error, WorkerDied):
            yield task, None
        else:
            raise error


def _keep(task: Task, outcomes: Sequence[Outcome], plan: Plan) -> None:
    """Write down the goals of a batch, and tell of it."""
    batch, seed, _ = task
    names = [candidate.name for candidate in batch]
    plan.results.append(names, seed, [outcome.value for outcome in outcomes])
    if plan.tell is not None:
        for outcome in outcomes:
            if outcome.failure:
                plan.tell(outcome.failure)
        plan.tell(f"seed {seed}: {len(batch)} trained")


def _fail(task: Task, plan: Plan) -> None:
    """Take a candidate that kills its process as failed, without writing it down."""
    (candidate,), seed, _ = task
    plan.results.values[candidate.name, seed] = np.nan
    if plan.tell is not None:
        plan.tell(f"seed {seed}, {candidate.name}: the process that trained it died each time")
