"""Which weighting is best for a data set and a goal: measured, as a surface over the parameters of a family, with its noise.

Points of a Sobol design over the parameters are trained side by side, once for each seed, and each gets the goal (less is
better). A seed moves data, start, noise and held-out points, of all candidates alike. A quadratic goes through the means
(``surface``), and the optimum is where that is least in the box. It was chosen with its luck, and a quadratic may miss the
truth; so it is trained once more, under fresh seeds, beside the catalogue's weightings and the one that theory predicts, and
compared with them seed by seed. Fresh seeds are fresh points of a toy, but other splits of the same images: an interval is then
about splits, starts and noise with these images, and is too short for other images (Nadeau & Bengio 2003).

What is varied is w(λ) alone, on one range of λ. ``law`` says how levels are drawn: "same" for all (even in λ: then all
candidates see the same levels, data and noise, and differ by a factor), or each its "own", p ∝ w mmse of Gaussian data, where
the value of the loss is quiet. A result that needs one of them is one about gradient noise, not about weightings.
"""

import csv
import json
import os
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from diffviz.search.families import FAMILIES, Curve, published
from diffviz.search.goals import GOALS, HIGH, IMAGES, LOW, drawn
from diffviz.search.report import OPTIMUM, Search
from diffviz.search.surface import Surface
from diffviz.theory.objectives import Objective, from_weighting

CATALOGUE = ("fm-ot", "edm", "sd3", "iddpm-cosine", "elbo", "sigmoid-bias2")
TOGETHER = 32  # candidates trained as one batch
FRESH = 1000  # first seed of the second round
LAWS = "same", "own"
Tell = Callable[[str], Any]


@cache
def _gaussian(data: str) -> NDArray:
    """Variances of Gaussian data like these, (d,)."""
    return np.linalg.eigvalsh(np.cov(drawn(data, 0).train.flatten(1).numpy().T)).clip(0)


def candidate(data: str, name: str, w: Curve, law: str = "same") -> Objective:
    """A weighting as an objective on [LOW, HIGH], with the law of λ that the module's text says."""
    edges = np.linspace(LOW, HIGH, 181)
    middle = (edges[1:] + edges[:-1]) / 2
    mass = np.ones(len(middle))
    if law == "own":
        mass = w(middle) * (_gaussian(data) / (_gaussian(data) + np.exp(-middle)[:, None])).sum(1)
        mass = 0.9 * mass / mass.sum() + 0.1 / len(mass)  # no level is left out
    return from_weighting(w, stats.rv_histogram((mass, edges), density=False)(), name)


class Candidate(NamedTuple):
    """A weighting to train, by a name that no other has."""

    name: str
    w: Curve


def _read(file: Path, settings: Mapping[str, Any]) -> dict[tuple[str, int], float]:
    """Rows of a file, begun if it has none; a last line without its end, cut short by a crash, is taken off."""
    head = f"# diffviz search {json.dumps(settings)}\ncandidate,seed,value\n"
    text = file.read_text(errors="replace") if file.exists() else ""
    if head.startswith(text):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(head)
        return {}
    if not text.startswith(head):
        here, there = head.splitlines()[0], text.splitlines()[0][:200]
        raise ValueError(
            f"{file} is of another search, or of none; name another file\n  it says  {there}\n  this is  {here}"
        )
    whole = text[: text.rindex("\n") + 1]
    if whole != text:
        warnings.warn(
            f"{file}: the last row was cut short; it is taken off and measured again", stacklevel=3
        )
        fresh = file.with_name(f"{file.name}.tmp")
        fresh.write_text(whole)
        os.replace(fresh, file)
    rows: dict[tuple[str, int], float] = {}
    for place, row in enumerate(csv.reader(whole.splitlines()[2:]), 3):
        try:
            name, seed, value = row
            key, goal = (name, int(seed)), float(value)
        except ValueError as error:
            raise ValueError(
                f"{file}, line {place}: {','.join(row)!r} is no candidate, seed and value; delete it"
            ) from error
        if key in rows:
            raise ValueError(
                f"{file}, line {place}: {','.join(row)!r} is there twice; delete one of them"
            )
        rows[key] = goal
    return rows


def _trained(
    candidates: Sequence[Candidate], seed: int, settings: Mapping[str, Any], tell: Tell
) -> list[float]:
    """The goal of each candidate after training them side by side; NaN, and why, for one that fails."""
    from diffviz.learning.models import MLP
    from diffviz.learning.training import Diverged, fit

    name, data = settings["data"], drawn(settings["data"], seed)
    model = MLP(64, 2, ()) if name in IMAGES else MLP(32, 2)
    about = {key: settings[key] for key in ("steps", "batch", "learning_rate")} | {
        "seed": seed,
        "model": model,
        "progress": False,
    }
    try:
        runs = fit(
            [candidate(name, *one, settings["law"]) for one in candidates], data.train, **about
        )
    except Diverged as error:  # one of them: look for it by halves
        if len(candidates) == 1:
            tell(f"seed {seed}, {error}")
            return [np.nan]
        half = len(candidates) // 2
        return [
            value
            for part in (candidates[:half], candidates[half:])
            for value in _trained(part, seed, settings, tell)
        ]
    if len(runs[0].loss) < settings["steps"]:
        raise KeyboardInterrupt  # the stop button, which ``fit`` takes as an early end
    found = []
    for run in runs:
        try:
            found.append(GOALS[settings["goal"]].measure(run, data, name, seed))
        except (FloatingPointError, ValueError) as error:  # its denoiser returns NaN or inf
            tell(f"seed {seed}, {run.name}: {error}")
            found.append(np.nan)
    return found


def _measured(
    candidates: Sequence[Candidate],
    seeds: range,
    rows: dict,
    file: Path | None,
    settings,
    tell: Tell,
) -> NDArray:
    """Goals (candidates, seeds): from ``rows``, else trained, and written down batch by batch."""
    for seed in seeds:
        todo = [one for one in candidates if (one.name, seed) not in rows]
        for batch in (todo[k : k + TOGETHER] for k in range(0, len(todo), TOGETHER)):
            values = _trained(batch, seed, settings, tell)
            rows |= {(one.name, seed): value for one, value in zip(batch, values, strict=True)}
            if file:
                with file.open("a", newline="") as end:
                    lines = ((one.name, seed, repr(float(rows[one.name, seed]))) for one in batch)
                    csv.writer(end, lineterminator="\n").writerows(lines)
            tell(f"seed {seed}: {len(batch)} trained")
    return np.array([[rows[one.name, seed] for seed in seeds] for one in candidates])


def choices() -> dict[str, Collection[str]]:
    """What each setting may be."""
    from diffviz.data.toys import TOYS

    return {"data": TOYS, "goal": GOALS, "family": FAMILIES, "law": LAWS}


def search(
    data: str = "ring8", goal: str = "likelihood", family: str = "logit-normal", points: int = 16, seeds: int = 4,
    steps: int = 400, out: str | os.PathLike | None = None, *, law: str = "same", batch: int = 256, learning_rate: float = 1e-2,
    tell: Tell = lambda _: None,
) -> Search:  # fmt: skip
    """Search a family of weightings for the best one, and report the surface with its noise.

    Args:
        data: a toy of ``dv.data.TOYS``, or "digits", "fashion" as images; goal: of ``GOALS``; family: of ``FAMILIES``.
        points, seeds: of the design, and trainings of each; more of either go on with the same file.
        out: CSV of finished trainings; what it holds is not trained again. A failed one is a row with "nan".
        law: of λ, "same" for all candidates or each its "own"; steps, batch, learning_rate: of each training, as for ``dv.fit``.
        tell: gets a line of news after each batch, and why a training failed.
    Returns:
        What was found; ``print`` shows it.
    Raises:
        ValueError: for an unknown name, numbers below 1, too few points for the family, or a file of another search or damaged.
    """
    for (kind, names), value in zip(choices().items(), (data, goal, family, law), strict=True):
        if value not in names:
            raise ValueError(f"unknown {kind} {value!r}; there is {', '.join(names)}")
    if data not in IMAGES and (goal == "distortion" or family == "csf-mixture"):
        raise ValueError(
            f"an eye looks at images: goal {goal!r} with family {family!r} needs data digits or fashion, not {data!r}"
        )
    box = FAMILIES[family].box
    least, counts = (
        (len(box) + 1) * (len(box) + 2) // 2 + 1,
        {"points": points, "seeds": seeds, "steps": steps, "batch": batch},
    )
    if (
        not all(isinstance(n, int) and n >= 1 for n in counts.values())
        or points < least
        or seeds > FRESH
    ):
        raise ValueError(
            f"counts are whole and above 0, seeds at most {FRESH}, and {family} needs {least} points or more; got {counts}"
        )
    settings = {
        "data": data,
        "goal": goal,
        "family": family,
        "steps": steps,
        "batch": batch,
        "learning_rate": learning_rate,
        "law": law,
    }
    file = None if out is None else Path(out)
    rows = _read(file, settings) if file else {}

    def member(x: NDArray, words: str = "") -> Candidate:
        name = " ".join(f"{name}={v:.4g}" for (name, *_), v in zip(box, x, strict=True))
        return Candidate(words + name, FAMILIES[family].build(data, *x))

    low, high = np.array([ends for _, *ends in box]).T
    sobol = stats.qmc.Sobol(len(box), rng=np.random.default_rng(0)).random_base2(
        int(np.ceil(np.log2(points)))
    )
    design = low + (high - low) * sobol[:points]
    values = _measured([member(x) for x in design], range(seeds), rows, file, settings, tell)
    surface = Surface(box, design, values)
    names = [*dict.fromkeys([*CATALOGUE, *GOALS[goal].predictions])]
    second = [
        member(surface.least(), f"{OPTIMUM} "),
        *(Candidate(name, published(data, name)) for name in names),
    ]
    again = _measured(second, range(FRESH, FRESH + seeds), rows, file, settings, tell)
    return Search(settings, surface, dict(zip([OPTIMUM, *names], again, strict=True)))
