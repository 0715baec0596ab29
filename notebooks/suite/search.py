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

import argparse
import csv
import inspect
import json
import os
import sys
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft, stats

from diffviz.objectives import Objective, from_weighting
from diffviz.recipes import objective
from suite import families, sensitivities, spectra
from suite.surface import Surface

LOW, HIGH = -8.0, 10.0  # λ of training and of goals
CATALOGUE = ("fm-ot", "edm", "sd3", "iddpm-cosine", "elbo", "sigmoid-bias2")
RATE = 30.0  # pixels per degree at which images are looked at, by
EYE = sensitivities.mannos_sakrison
TOGETHER = 32  # candidates trained as one batch
FRESH = 1000  # first seed of the second round
OPTIMUM = "optimum"
IMAGES = "digits", "fashion"
LAWS = "same", "own"
Curve = Callable[[NDArray], NDArray]
Tell = Callable[[str], Any]


class Data(NamedTuple):
    """Points to train on and held-out ones, tensors (n, *shape)."""

    train: Any
    held: Any


@cache
def images(name: str) -> NDArray:
    """Grey images of ``data/`` on [−1, 1], float32."""
    from diffviz.data import load

    whole = load(name)["images"]
    return (whole / (16 if name == "digits" else 255) * 2 - 1).astype("f4")


@cache
def eye(name: str, rate: float = RATE) -> spectra.Implied:
    """What the eye implies for images of that name, seen at ``rate`` pixels per degree."""
    return spectra.implied(spectra.image_spectrum(images(name)), EYE, rate)


def drawn(name: str, seed: int) -> Data:
    """Data of a seed: 20,000 and 1,000 fresh points of a toy of unit variance, or a fresh split of images (500 or a fifth)."""
    import torch

    from diffviz.data import toy

    if name in IMAGES:
        whole = torch.from_numpy(
            images(name)[np.random.default_rng(seed).permutation(len(images(name)))]
        )
        held = min(500, len(whole) // 5)
        return Data(whole[held:], whole[:held])
    generator = torch.Generator().manual_seed(seed)
    return Data(*toy(name, unit=True).sample(21_000, generator).float().split([20_000, 1_000]))


def likelihood(run, data: Data, name: str, seed: int) -> float:
    """−ELBO of held-out points, nats for each."""
    import torch

    from diffviz.likelihood import elbo

    draw = torch.Generator().manual_seed(seed)
    return elbo(run, data.held, low=LOW, high=HIGH, levels=32, generator=draw).nats.mean().item()


def energy(x, y) -> float:
    """Root of 2 E|x − y| − E|x − x'| − E|y − y'|, energy distance, over all pairs of points (n, d) (Székely & Rizzo 2013)."""
    import torch

    apart = lambda a, b: (
        torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").mean().item()
    )
    return max(2 * apart(x, y) - apart(x, x) - apart(y, y), 0.0) ** 0.5


def sample(run, data: Data, name: str, seed: int) -> float:
    """ln of the energy distance of samples from held-out points, over its floor: the median of 8 draws of training points."""
    import torch

    from diffviz import samplers

    grid, draw = (
        samplers.grid_of(objective("fm-ot").law, 24, LOW, HIGH),
        torch.Generator().manual_seed(seed),
    )
    made = samplers.sample(
        run.denoise, grid, start=torch.randn(data.held.shape, generator=draw)
    ).samples
    made, true, known = (one.double().flatten(1) for one in (made, data.held, data.train))
    floor = np.median(
        [
            energy(known[torch.randperm(len(known), generator=draw)[: len(true)]], true)
            for _ in range(8)
        ]
    )
    return float(np.log(energy(made, true) / floor))


def seen(miss: NDArray) -> NDArray:
    """Squared orthonormal DCT coefficients of errors (n, h, h), weighed by the squared sensitivity of the eye: sum, (n,)."""
    h = miss.shape[-1]
    axis = np.arange(h) / (2 * h)
    radius = np.hypot.outer(axis, axis)
    ring = np.rint(radius / axis[1]).astype(int)  # as in the spectrum
    middle = np.bincount(ring.ravel(), radius.ravel()) / np.bincount(ring.ravel())
    q = np.r_[0, EYE(RATE * middle[1:]) ** 2]  # an eye senses change, and not the mean
    return (q[ring] * fft.dctn(miss, axes=(1, 2), norm="ortho") ** 2).sum((1, 2))


def distortion(run, data: Data, name: str, seed: int, levels: int = 32) -> float:
    """ln of ∫ D dλ, the distortion of x_hat that the eye sees, over that of the best denoiser of Gaussian data like these."""
    import torch

    draw, whole = torch.Generator().manual_seed(seed), []
    for k in range(levels):  # one draw in each stratum of λ
        level = LOW + (HIGH - LOW) / levels * (k + torch.rand(len(data.held), generator=draw))
        alpha, sigma = (one.sigmoid().sqrt()[:, None, None] for one in (level, -level))
        with torch.no_grad():
            x_hat = run.denoise(
                alpha * data.held + sigma * torch.randn(data.held.shape, generator=draw), level
            )
        whole.append(seen((x_hat - data.held).double().numpy()).mean())
    grid = np.linspace(LOW, HIGH, 1001)
    return float(
        np.log(np.mean(whole) / (np.trapezoid(eye(name).distortion(grid), grid) / (HIGH - LOW)))
    )


class Goal(NamedTuple):
    """What is measured, in which unit, and the weightings that theory predicts for it."""

    measure: Callable[[Any, Data, str, int], float]
    unit: str
    predictions: tuple[str, ...] = ()


GOALS: Mapping[str, Goal] = {
    "likelihood": Goal(likelihood, "held-out −ELBO [nats]", ("elbo",)),
    "sample": Goal(sample, "ln(energy distance / floor)"),
    "distortion": Goal(
        distortion, "ln(visible distortion / Gaussian denoiser's)", ("rate-distortion",)
    ),
}


class Family(NamedTuple):
    """A family of weightings: ``build(data name, *values)`` → w, and (name, lowest, highest) of each parameter."""

    build: Callable[..., Curve]
    box: tuple[tuple[str, float, float], ...]


def mixture(name: str, share: float, octaves: float) -> Curve:
    """w_rd^share, geometric mixture of ELBO (share 0) and rate-distortion weighting (1) at 30 · 2^octaves pixels per degree."""
    w = eye(name, RATE * 2.0**octaves).rate_distortion
    return lambda logsnr: w(np.asarray(logsnr, dtype=float)) ** share


def _parametric(family: str, *names: str) -> Callable[..., Curve]:
    return lambda _, *values: (
        families.FAMILIES[family].build(**dict(zip(names, values, strict=True))).weighting
    )


FAMILIES: Mapping[str, Family] = {
    "logit-normal": Family(
        _parametric("flow logit-normal", "mean", "std"), (("mean", -2.5, 0.5), ("std", 0.8, 2.4))
    ),
    "sigmoid": Family(_parametric("sigmoid", "bias"), (("bias", -4.0, 10.0),)),
    "csf-mixture": Family(mixture, (("share", 0.0, 1.5), ("octaves", -2.0, 2.0))),
}


def published(data: str, name: str) -> Curve:
    """The weighting of a name: of the catalogue, or "rate-distortion", which the eye implies for the images."""
    return eye(data).rate_distortion if name == "rate-distortion" else objective(name).weighting


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


def number(value: float, digits: int = 4) -> str:
    """In a column; a dash for NaN."""
    return f"{value:10.{digits}f}" if np.isfinite(value) else f"{'-':>10}"


def failures(values: NDArray) -> str:
    """How many trainings of a candidate failed, in words."""
    failed = int(np.isnan(values).sum())
    return f"   {failed} of {len(values)} trainings failed" if failed else ""


@dataclass(frozen=True)
class Search:
    """What a search found: settings, the surface of its first round, and the values of its second, by candidate, (seeds,)."""

    settings: Mapping[str, Any]
    surface: Surface
    second: Mapping[str, NDArray]

    @property
    def optimum(self) -> NDArray:
        """Where the surface is least, (d,)."""
        return self.surface.least()

    @cached_property
    def beside(self) -> dict[str, tuple[float, float]]:
        """Goal of each candidate of the second round less the optimum's, by seed: mean, and half of Student's 95 % interval.

        NaN where a training failed or there is one seed; an interval without 0 is what "distinguishable" means.
        """
        best, seeds = self.second[OPTIMUM], len(self.second[OPTIMUM])
        reach = stats.t.isf(0.025, seeds - 1) / seeds**0.5 if seeds > 1 else np.nan
        off = {name: values - best for name, values in self.second.items() if name != OPTIMUM}
        return {
            name: (float(d.mean()), float(reach * (d.std(ddof=1) if seeds > 1 else np.nan)))
            for name, d in off.items()
        }

    @property
    def verdicts(self) -> dict[str, list[str]]:
        """Names of the second round by how they compare with the optimum, each at 95 % by itself."""
        alike, better, worse, none = kinds = (
            "not distinguishable from the optimum",
            "better",
            "worse",
            "no verdict",
        )
        found: dict[str, list[str]] = {kind: [] for kind in kinds}
        for name, (off, half) in self.beside.items():
            kind = (
                none
                if np.isnan(half)
                else alike
                if abs(off) <= half
                else worse
                if off > 0
                else better
            )
            found[kind].append(name)
        return found

    def __str__(self) -> str:
        s, has = self.surface, self.settings
        seeds = s.values.shape[1]
        lines = [
            f"{has['goal']} on {has['data']}: {GOALS[has['goal']].unit}, less is better",
            f"{has['family']}, {len(s.points)} points x {seeds} seeds, {has['steps']} steps of {has['batch']}, levels by law {has['law']!r}",
            "\n"
            + "".join(
                f"{name:>10}" for name in [*(name for name, *_ in s.box), "mean", "s.e.", "surface"]
            ),
        ]
        for x, values, *row in zip(
            s.points, s.values, s.alone.mean(1), s.stderr, s.at(s.points), strict=True
        ):
            lines.append("".join([*(number(v, 2) for v in x), *map(number, row), failures(values)]))
        lines.append(f"\n{'s.e.':>20}   of the coefficients; parameters on [-1, 1]")
        lines += [
            number(c) + number(error) + f"   {name}"
            for name, c, error in zip(s.names, s.coefficients, s.errors, strict=True)
        ]
        lines.append(
            f"misfit: χ² of {s.misfit:.2f} for each degree of freedom"
            if seeds > 1
            else "one seed: no estimate of the noise"
        )
        for (name, low, high), at, spread in zip(s.box, self.optimum, s.optima.T, strict=True):
            line = f"optimum: {name} {at:.2f}"
            if len(spread):
                line += " (95 %: {:.2f} to {:.2f})".format(*np.quantile(spread, [0.025, 0.975]))
            lines.append(
                line + ", an end of the box" * bool(min(at - low, high - at) < 1e-3 * (high - low))
            )
        lines.append(
            f"\n{'trained again':20}{'mean':>10}{'s.e.':>10}     less that of the optimum, each 95 %"
        )
        for name, values in self.second.items():
            error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else np.nan
            off = (
                "{:+14.4f} ± {:.4f}".format(*self.beside[name])
                if np.isfinite(self.beside.get(name, np.nan)).all()
                else ""
            )
            lines.append(f"{name:20}{number(values.mean())}{number(error)}{off}{failures(values)}")
        return "\n".join(
            lines
            + [f"{kind}: {', '.join(names)}" for kind, names in self.verdicts.items() if names]
        )


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
    from diffviz.models import MLP
    from diffviz.training import Diverged, fit

    name, data = settings["data"], drawn(settings["data"], seed)
    model = MLP(64, 2, ()) if name in IMAGES else MLP(32, 2)
    about = {key: settings[key] for key in ("steps", "batch", "rate")} | {
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
    from diffviz.data import TOYS

    return {"data": TOYS, "goal": GOALS, "family": FAMILIES, "law": LAWS}


def search(
    data: str = "ring8", goal: str = "likelihood", family: str = "logit-normal", points: int = 16, seeds: int = 4,
    steps: int = 400, out: str | os.PathLike | None = None, *, law: str = "same", batch: int = 256, rate: float = 1e-2,
    tell: Tell = lambda _: None,
) -> Search:  # fmt: skip
    """Search a family of weightings for the best one, and report the surface with its noise.

    Args:
        data: a toy of ``dv.data.TOYS``, or "digits", "fashion" as images; goal: of ``GOALS``; family: of ``FAMILIES``.
        points, seeds: of the design, and trainings of each; more of either go on with the same file.
        out: CSV of finished trainings; what it holds is not trained again. A failed one is a row with "nan".
        law: of λ, "same" for all candidates or each its "own"; steps, batch, rate: of each training, as for ``dv.fit``.
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
        "rate": rate,
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


def main(argv: list[str]) -> None:
    """``python -m diffviz search``; Ctrl-C loses the batch under way and no more, and ends it with status 1."""
    parser = argparse.ArgumentParser(
        "python -m diffviz search", description=(__doc__ or "").partition("\n")[0]
    )
    words = {
        "points": "of the design", "seeds": "trainings of each point", "steps": "of a training", "batch": "data points a step",
        "rate": "of learning", "law": "of noise levels", "out": "CSV of finished trainings, from which it goes on",
    }  # fmt: skip
    for name, about in inspect.signature(search).parameters.items():
        if name != "tell":
            default, names = "search.csv" if name == "out" else about.default, choices().get(name)
            says = filter(None, (words.get(name), ", ".join(names or ()), "default: %(default)s"))
            parser.add_argument(
                f"--{name}", default=default, type=type(default), help="; ".join(says)
            )
    options = vars(parser.parse_args(argv))
    try:
        print(search(**options, tell=lambda news: print(news, file=sys.stderr)))
    except KeyboardInterrupt:
        raise SystemExit(
            f"stopped; what is finished stands in {options['out']}, and the same command goes on from there"
        ) from None
