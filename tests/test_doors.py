"""Every public function refuses bad input, and takes every form of good input alike.

``DOORS`` has a row for each public callable: a function whose defaults are a small valid call, and
what its arguments are. A public name without a row fails. Arrays hold whole numbers wherever they
can, so that an integer array must give the same result.
"""

import dataclasses
import inspect
import math
import re
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from cells import in_one_test

import diffviz as dv
from diffviz.data.toys import Toy
from diffviz.learning.floors.record import Floor
from diffviz.learning.logs.record import LossLog
from diffviz.masked.measurement import MaskedMeasured
from diffviz.reports.measurement import Report
from diffviz.reports.page import Page
from diffviz.sampling.integrate import Trajectory
from diffviz.sampling.likelihood import Bound
from diffviz.theory.cascades import Cascade

CLASSES = (
    dv.AdaptiveObjective,
    dv.LossByLogSNR,
    dv.MaskedObjective,
    dv.Objective,
    dv.Run,
    Bound,
    Cascade,
    LossLog,
    MaskedMeasured,
    Page,
    Floor,
    Report,
    Toy,
    Trajectory,
)
GRID = np.arange(-4.0, 5.0)
FALLING = np.arange(9.0, 0.0, -1.0)
POINTS = np.array([[0.0, 1.0], [2.0, -1.0], [1.0, 3.0], [-2.0, 0.0]])
EDGES = np.array([-20.0, -2.0, 0.0, 2.0, 20.0])
LEVELS = np.array([-1.0, 0.0, 1.0, 2.0])
LOSSES = np.array([2.0, 1.0, 3.0, 1.0])
SPREADS = np.array([1.0, 2.0, 1.0, 3.0])
SHARES = np.full(4, 0.25)
DECAYS = np.array([0.5, 0.75])
TABLE = np.column_stack([GRID, FALLING])
TWICE = 2 * FALLING
SET = np.array([[k % 5, k % 3] for k in range(24)], dtype=float)


class Door(NamedTuple):
    """A public callable: a valid call of it, and what its arguments are.

    ``arrays``, ``numbers``, ``counts``, ``seeds`` and ``names`` are arguments of ``call``. In those
    of ``infinite`` infinity has a meaning, in those of ``unknown`` NaN stays NaN, and those of
    ``fractions`` cannot be whole.
    """

    call: Callable[..., Any]
    arrays: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()
    seeds: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    infinite: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    fractions: tuple[str, ...] = ()


DOORS: dict[str, Door] = {}


def door(name: str, **arguments):
    """Enter a valid call of a public callable in the table."""

    def enter(call):
        DOORS[name] = Door(call, **{kind: tuple(said.split()) for kind, said in arguments.items()})
        return call

    return enter


def generator():
    return torch.Generator().manual_seed(0)


@cache
def ring():
    return dv.toy("ring8")


@cache
def run():
    data = ring().sample(64, generator()).float()
    return dv.fit("fm-ot", data, steps=4, batch=16, progress=False)[0]


@cache
def tracker():
    follower = dv.LossByLogSNR(EDGES, 0.9)
    rng = np.random.default_rng(0)
    for _ in range(20):
        follower.update(rng.uniform(-3, 3, 64), rng.uniform(0.5, 2, 64))
    return follower


@cache
def measured():
    def loss(model, x):
        t = torch.rand(len(x), 1)
        eps = torch.randn_like(x)
        return ((model((1 - t) * x + t * eps, t.flatten()) - (eps - x)) ** 2).mean()

    return dv.probe(loss, torch.randn(64, 2, generator=generator()), draws=4000)


# Objectives and their analysis


@door("objective", names="name")
def _(name="edm"):
    return dv.objective(name).weighting(GRID)


@door("few_step", names="name")
def _(name="meanflow"):
    return dv.few_step(name).pairs.mass(GRID)


@door("Objective")
def _():
    return dataclasses.replace(dv.objective("edm"), name="mine").weighting(GRID)


@door("Objective.weighting", arrays="logsnr", names="base", infinite="logsnr")
def _(logsnr=GRID, base="x"):
    return dv.objective("edm").weighting(logsnr, base)


@door("Objective.factor", arrays="logsnr", infinite="logsnr")
def _(logsnr=GRID):
    return dv.objective("edm").factor(logsnr)


@door("Objective.draw", counts="n")
def _(n=4):
    return dv.objective("edm").draw(n, np.random.default_rng(0))


@door("from_weighting", arrays="w")
def _(w=TABLE):
    return dv.from_weighting(w).weighting([-1.0, 1.0])


@door("with_loss", arrays="errors", counts="components", names="loss")
def _(errors=FALLING, components=2, loss="huber"):
    levels = np.linspace(-4, 4, len(errors))
    return dv.with_loss(dv.objective("edm"), loss, (levels, errors), components).factor([-1.0, 1.0])


@door("from_diffusers", numbers="shift", counts="tokens", names="weighting")
def _(shift=3.0, tokens=4096, weighting="none"):
    config = {
        "_class_name": "FlowMatchEulerDiscreteScheduler",
        "num_train_timesteps": 1000,
        "shift": shift,
    }
    chosen = None if weighting == "none" else weighting
    fixed = dv.from_diffusers(config, chosen).law.ppf([0.25, 0.75])
    dynamic = dv.from_diffusers(config | {"use_dynamic_shifting": True}, tokens=tokens)
    return np.concatenate([fixed, dynamic.law.ppf([0.25, 0.75])])


@door("verdict", arrays="w logsnr")
def _(w=FALLING, logsnr=GRID):
    return dv.verdict(w, logsnr).monotone


@door("compare", arrays="a b logsnr")
def _(a=FALLING, b=TWICE, logsnr=GRID):
    return dv.compare(a, b, logsnr).same


@door("equivalent", numbers="tolerance")
def _(tolerance=1e-6):
    objectives = [dv.objective(name) for name in ("fm-ot", "v-cosine", "edm")]
    return [len(group) for group in dv.equivalent(objectives, tolerance)]


@door("share_below", numbers="at")
def _(at=1.0):
    return dv.share_below(dv.objective("edm"), at)


@door("loss_density", arrays="w logsnr")
def _(w=FALLING, logsnr=GRID):
    return dv.loss_density(w, logsnr)


@door("augmentation_density", arrays="w logsnr")
def _(w=FALLING, logsnr=GRID):
    return dv.augmentation_density(w, logsnr)


@door("cascade", numbers="low high", arrays="points")
def _(low=-10, high=10, points=GRID):
    return dv.cascade(dv.objective("edm"), low, high, points).learned


@door("Cascade.gap")
def _():
    return dv.cascade(dv.objective("edm")).gap(np.exp)


@door("Cascade.stretches", numbers="height", fractions="height")
def _(height=0.5):
    return dv.cascade(dv.objective("edm")).stretches(height)[0]


@door("rebase", arrays="w logsnr", names="base to")
def _(w=FALLING, logsnr=GRID, base="eps", to="x"):
    return dv.rebase(w, logsnr, base, to)


# Measuring


@door("probe", arrays="x", counts="draws")
def _(x=POINTS, draws=400):
    def loss(model, x):
        t = torch.rand(len(x), 1)
        eps = torch.randn_like(x)
        return ((model((1 - t) * x + t * eps, t.flatten()) - (eps - x)) ** 2).mean()

    return dv.probe(loss, floating(x), draws=draws).kind


@door("probe_arrays", arrays="x", counts="draws")
def _(x=POINTS, draws=400):
    def step(x, eps, u):
        return (1 - u[:, None]) * x + u[:, None] * eps, eps - x, 1.0

    return dv.probe_arrays(step, x, draws=draws).kind


@door("from_settings", numbers="discrete_flow_shift", counts="tokens", names="trainer")
def _(discrete_flow_shift=3.0, tokens=4096, trainer="musubi"):
    fixed = dv.from_settings(
        trainer=trainer, timestep_sampling="shift", discrete_flow_shift=discrete_flow_shift
    )
    by_size = dv.from_settings(trainer=trainer, timestep_sampling="flux_shift", tokens=tokens)
    return [fixed.law.median(), by_size.law.median()]


@door("closest", counts="k")
def _(k=2):
    return [match.name for match in dv.closest(measured(), k)]


# Masked diffusion


@door("masked_objective", names="name")
def _(name="maskgit"):
    return dv.masked_objective(name).weighting(GRID)


@door("MaskedObjective")
def _():
    return dataclasses.replace(dv.masked_objective("maskgit"), name="mine").weighting(GRID)


@door("MaskedObjective.weighting", arrays="logsnr", names="base")
def _(logsnr=GRID, base="token"):
    return dv.masked_objective("maskgit").weighting(logsnr, base)


@door("MaskedObjective.over_elbo", arrays="logsnr")
def _(logsnr=GRID):
    return dv.masked_objective("maskgit").over_elbo(logsnr)


@door("MaskedObjective.factor", arrays="logsnr")
def _(logsnr=GRID):
    return dv.masked_objective("dplm-linear").factor(logsnr)


@door("MaskedObjective.draw", counts="n")
def _(n=4):
    return dv.masked_objective("maskgit").draw(n, np.random.default_rng(0))


@door("MaskedObjective.count_weights", counts="length")
def _(length=4):
    return dv.masked_objective("maskgit").count_weights(length)


TOKENS = torch.arange(64).reshape(4, 16) % 8


@cache
def masked_measured():
    return dv.probe_masked(hidden_loss, TOKENS, vocabulary=9, draws=64)


def hidden_loss(model, x):
    hidden = torch.rand(x.shape) < torch.rand(len(x), 1)
    logits = model(torch.where(hidden, 8, x))
    each = torch.nn.functional.cross_entropy(logits.mT, x, reduction="none")
    return (each * hidden).mean()


# whole numbers in any form are welcome, others are refused: see tests/masked/test_measurement.py
@door("probe_masked", counts="vocabulary")
def _(vocabulary=9):
    return dv.probe_masked(hidden_loss, TOKENS, vocabulary=vocabulary, draws=64).average


@door("MaskedMeasured.edges", counts="bins", numbers="mass")
def _(bins=8, mass=0.9):
    return masked_measured().edges(bins, mass)


@door("MaskedMeasured.density", arrays="edges")
def _(edges=GRID):
    return masked_measured().density(edges)


@door("MaskedMeasured.weighting", arrays="edges", names="base")
def _(edges=GRID, base="elbo"):
    return masked_measured().weighting(edges, base)


@door("MaskedMeasured.count_weights")
def _():
    return masked_measured().count_weights()


@door("MaskedMeasured.summary")
def _():
    return masked_measured().summary()


@cache
def page():
    """A small report."""
    return dv.report(dv.objective("fm-ot"))


@door("report")
def _():
    return dv.report(measured()).card.weighting.values


@door("Page.html")
def _():
    return page().html()


@door("Page.figure")
def _():
    return len(page().figure().axes)


@door("Page.save")
def _():
    with tempfile.TemporaryDirectory() as folder:
        return page().save(Path(folder, "card.html")).read_bytes()


@door("Page.text")
def _():
    return page().text()


@door("Report.edges", counts="bins", numbers="mass")
def _(bins=8, mass=0.9):
    return measured().edges(bins, mass)


@door("Report.density", arrays="edges")
def _(edges=GRID):
    return measured().density(edges)


@door("Report.weighting", arrays="edges")
def _(edges=GRID):
    return measured().weighting(edges)


@door("Report.without_atoms")
def _():
    return measured().without_atoms().levels()


@door("Report.levels")
def _():
    return measured().levels()


@door("Report.summary")
def _():
    return measured().summary()


@door("Report.plot", counts="k")
def _(k=2):
    return len(measured().plot(k).lines)


@door("Report.table")
def _():
    return measured().table()


@door("LossByLogSNR", arrays="edges decay", fractions="decay")
def _(edges=EDGES, decay=DECAYS):
    follower = dv.LossByLogSNR(edges, decay)
    follower.update([-1.0, 1.0], [1.0, 2.0])
    return follower.mean


# what is not finite is counted instead of refused: see tests/learning/test_tracking.py
@door("LossByLogSNR.update", arrays="logsnr loss", infinite="logsnr loss", unknown="logsnr loss")
def _(logsnr=LEVELS, loss=LOSSES):
    follower = dv.LossByLogSNR(EDGES, 0.5)
    follower.update(logsnr, loss)
    return follower.mean


@cache
def log():
    return dv.read_log({"logsnr": LEVELS, "loss": LOSSES}, edges=EDGES, last=1.0)


# single arrays are refused with the column: see tests/learning/test_log_faults.py
@door("read_log", arrays="edges", numbers="last", counts="dim", names="base")
def _(edges=EDGES, last=1.0, dim=2, base="x"):
    rows = {"logsnr": LEVELS, "loss": LOSSES}
    return dv.read_log(rows, edges=edges, last=last, dim=dim, base=base).mean


@door("LossLog.share_below", numbers="logsnr")
def _(logsnr=1.0):
    return log().share_below(logsnr)


@door("LossLog.table")
def _():
    return log().table()


@door("LossLog.text")
def _():
    return log().text()


@door("LossLog.plot_spent")
def _():
    return log().plot_spent().lines[0].get_ydata()


@door("LossLog.take_batches")
def _():
    follower = dv.read_log({"logsnr": LEVELS, "loss": LOSSES}, edges=EDGES, last=1.0)
    follower.take_batches([LEVELS], [LOSSES])
    return follower.mean


@door("LossByLogSNR.update_many")
def _():
    follower = dv.LossByLogSNR(EDGES, 0.5)
    follower.update_many([(LEVELS, LOSSES), {"logsnr": LEVELS, "loss": LOSSES}])
    return follower.mean


@door("LossByLogSNR.watch")
def _():
    follower = dv.LossByLogSNR(EDGES, 0.5)
    network = torch.nn.Identity()
    with follower.watch(network, lambda arguments, output: (LEVELS, output)):
        network(torch.from_numpy(LOSSES))
    return follower.mean


@door("LossByLogSNR.plot", names="base")
def _(base="x"):
    return len(tracker().plot(band(), base).lines)


@door("LossByLogSNR.flush")
def _():
    return tracker().flush()


@door("LossByLogSNR.curve", names="base")
def _(base="x"):
    return tracker().curve(base)


@door("LossByLogSNR.weighted")
def _():
    return tracker().weighted(dv.objective("edm"))


@door("LossByLogSNR.state_dict")
def _():
    return list(tracker().state_dict())


@door("LossByLogSNR.load_state_dict")
def _():
    return dv.LossByLogSNR(EDGES, 0.9).load_state_dict(tracker().state_dict()).mean


@door("LossByLogSNR.merge")
def _():
    return dv.LossByLogSNR(EDGES, 0.9).merge(tracker()).mean


@door("LossByLogSNR.all_reduce")
def _():
    from torch import distributed

    alone = {"store": distributed.HashStore(), "rank": 0, "world_size": 1}
    distributed.init_process_group("gloo", **alone)
    try:
        return dv.LossByLogSNR(EDGES, 0.9).merge(tracker()).all_reduce().mean
    finally:
        distributed.destroy_process_group()


@cache
def band():
    return dv.floor(SET, LEVELS, draws=32)


@door("floor", arrays="data logsnr", counts="draws", seeds="seed")
def _(data=SET, logsnr=LEVELS, draws=32, seed=0):
    found = dv.floor(data, logsnr, draws=draws, seed=seed)
    return [found.lower, found.upper, found.lower_stderr, found.upper_stderr]


@door("Floor.known", numbers="within")
def _(within=0.5):
    return band().known(within)


@door("Floor.more_points")
def _():
    return band().more_points()


@door("Floor.excess", arrays="loss stderr")
def _(loss=LOSSES, stderr=SPREADS):
    return band().excess(loss, stderr)


@door("Floor.text")
def _():
    return band().text()


@door("Floor.band", numbers="errors", names="base")
def _(base="x", errors=1.0):
    return band().band(base, errors)


@door("Floor.plot", names="base")
def _(base="x"):
    return len(band().plot(base).lines)


# Data, learning, sampling and likelihood


@door("toy", names="name")
def _(name="ring8"):
    return dv.toy(name).mean


@door("mixture", arrays="means std weights", fractions="weights")
def _(means=POINTS, std=SPREADS, weights=SHARES):
    return dv.mixture(means, std, weights).mmse([0.0])


@door("dataset", arrays="source", numbers="bandwidth")
def _(source=POINTS, bandwidth=1.0):
    return dv.dataset(source, bandwidth).mmse([0.0])


@door("Toy.unit")
def _():
    return ring().unit().mean


@door("Toy.multiply_adds", counts="n")
def _(n=4):
    return ring().multiply_adds(n)


@door("Toy.sample", counts="n")
def _(n=4):
    return ring().sample(n, generator())


@door("Toy.log_prob", arrays="z logsnr", infinite="z logsnr", unknown="z")
def _(z=POINTS, logsnr=LEVELS):
    return ring().log_prob(z, logsnr)


@door("Toy.denoise", arrays="z logsnr", infinite="z logsnr", unknown="z")
def _(z=POINTS, logsnr=LEVELS):
    return ring().denoise(z, logsnr)


@door("Toy.score", arrays="z logsnr", infinite="z logsnr", unknown="z")
def _(z=POINTS, logsnr=LEVELS):
    return ring().score(z, logsnr)


@door("Toy.mmse", arrays="logsnr", counts="draws", infinite="logsnr")
def _(logsnr=GRID, draws=64):
    return ring().mmse(logsnr, draws=draws)


@door("Toy.moments", arrays="logsnr", counts="draws", infinite="logsnr")
def _(logsnr=GRID, draws=64):
    return ring().moments(logsnr, draws=draws)


@door("Toy.entropy", numbers="logsnr", infinite="logsnr")
def _(logsnr=1.0):
    return dv.toy("gmm1").entropy(logsnr)


@door("fit", arrays="data", counts="steps batch", seeds="seed", names="objectives output schedule")
def _(objectives="fm-ot", data=POINTS, steps=3, batch=4, seed=0, output="v", schedule="cosine"):
    (one,) = dv.fit(
        objectives,
        data,
        steps=steps,
        batch=batch,
        seed=seed,
        output=output,
        schedule=schedule,
        progress=False,
    )
    return one.loss


@door("Diverged")
def _():
    assert issubclass(dv.Diverged, Exception)


@door("Run")
def _():
    return dataclasses.replace(run(), ema=run().ema).loss


@door("Run.denoise", arrays="z logsnr", infinite="z logsnr")
def _(z=POINTS, logsnr=LEVELS):
    return run().denoise(z, logsnr)


@door("Run.denoise_with")
def _():
    trained = run()
    z = torch.from_numpy(POINTS).float()
    return trained.denoise_with(trained.state[trained.ema], z, torch.zeros(4))


@door("Run.multiply_adds", counts="n")
def _(n=4):
    return run().multiply_adds(n)


@door("Run.at", numbers="ema")
def _(ema=0.05):
    return run().at(ema).ema


@door("Run.save")
def _():
    with tempfile.TemporaryDirectory() as folder:
        run().save(Path(folder) / "run.safetensors")


@door("Run.load")
def _():
    with tempfile.TemporaryDirectory() as folder:
        run().save(file := Path(folder) / "run.safetensors")
        return dv.Run.load(file).denoise(torch.zeros(1, 2), 0.0)


@door("AdaptiveObjective", numbers="uniform", names="rule")
def _(uniform=0.05, rule="kingma-gao"):
    objective = dv.objective("fm-ot")
    return dv.AdaptiveObjective(objective, tracker(), rule=rule, uniform=uniform).law.ppf([0.5])


@door("AdaptiveObjective.draw", counts="n")
def _(n=4):
    adaptive = dv.AdaptiveObjective(dv.objective("fm-ot"), tracker())
    return adaptive.draw(n, np.random.default_rng(0))


@door("grid", counts="steps", numbers="low high", infinite="low high")
def _(steps=4, low=-6.0, high=8.0):
    return dv.grid(dv.objective("fm-ot").law, steps, low, high)


@door("sample", arrays="grid start", counts="n", names="solver")
def _(grid=GRID, start=POINTS, n=4, solver="heun"):
    start = floating(start) if n == 4 else None
    return dv.sample(ring(), grid, solver=solver, n=n, start=start, generator=generator()).samples


@door("Trajectory.on")
def _():
    trajectory = dv.sample(ring(), GRID, n=2, generator=generator())
    return trajectory.on(dv.objective("fm-ot").path)


@door("elbo", arrays="x", counts="levels", numbers="low high")
def _(x=POINTS, levels=8, low=-6.0, high=6.0):
    return dv.elbo(ring(), x, low=low, high=high, levels=levels, generator=generator()).nats


@door("Bound.weighted")
def _():
    bound = dv.elbo(ring(), POINTS, levels=8, generator=generator())
    return bound.weighted(dv.objective("edm"))


@door("log_likelihood", arrays="x", counts="steps", numbers="low high")
def _(x=POINTS, steps=4, low=-6.0, high=6.0):
    return dv.log_likelihood(ring(), x, low=low, high=high, steps=steps)[0]


def floating(value):
    """A tensor of floats from an ordinary array of them, and anything else as it is."""
    ordinary = type(value) is np.ndarray and value.dtype.kind == "f"
    return torch.from_numpy(value.copy()) if ordinary else value


# What is tried


def defaults(call):
    return {name: item.default for name, item in inspect.signature(call).parameters.items()}


def spoilt(value, number):
    """A copy of an array whose first number is another."""
    copy = np.array(value)
    copy.flat[0] = number
    return copy


BAD_ARRAYS = {
    "masked": lambda value: np.ma.masked_array(value, mask=value == value.flat[0]),
    "complex": lambda value: value + 1j,
    "dates": lambda value: value.astype(int).astype("M8[D]"),
    "text": lambda value: value.astype(str),
    "objects": lambda value: value.astype(object),
    "ragged": lambda value: [[1.0, 2.0], [3.0]],
    "NaN": lambda value: spoilt(value, math.nan),
    "infinite": lambda value: spoilt(value, math.inf),
}
SIGNS = {
    "masked": "masked",
    "complex": "complex",
    "dates": "date",
    "text": "text",
    "objects": "object",
    "ragged": "inhomogeneous",
    "NaN": "nan",
    "infinite": "inf",
}
GOOD_ARRAYS = {
    "list": lambda value: value.tolist(),
    "read-only": lambda value: frozen(value),
    "negative strides": lambda value: np.flip(np.flip(value).copy()),
    "integers": lambda value: value.astype(int),
    "tensor": lambda value: torch.from_numpy(np.array(value)),
}
BAD_NUMBERS = {
    "text": "many",
    "NaN": math.nan,
    "complex": 1j,
    "masked": np.ma.masked_array([1.0], mask=[True]),
    "date": np.datetime64("2020-01-01"),
}
BAD_COUNTS = {"a fraction": 2.5, "text": "3", "NaN": math.nan, "a bool": True, "negative": -1}
BAD_SEEDS = {"a fraction": 0.5, "text": "a", "negative": -1, "NaN": math.nan}
BAD_NAMES = {"unknown": "no-such-name", "a number": 3}


def frozen(value):
    copy = value.copy()
    copy.flags.writeable = False
    return copy


def cases(kind, variants):
    """A test case for each door, each argument of a kind and each variant of it."""
    return [
        pytest.param(name, argument, variant, id=f"{name}-{argument}-{variant}")
        for name, entry in DOORS.items()
        for argument in getattr(entry, kind)
        for variant in variants
        if not (variant == "infinite" and argument in entry.infinite)
        if not (variant == "NaN" and argument in entry.unknown)
        if not (variant == "integers" and argument in entry.fractions)
        if not (name == "probe" and argument == "x" and variant in ("list", "integers"))
    ]


def refused(name, argument, value, *signs):
    """A door raises ValueError or TypeError, and says which argument or which value it is."""
    with pytest.raises((ValueError, TypeError)) as raised:
        DOORS[name].call(**{argument: value})
    message = str(raised.value).lower()
    named = re.search(rf"\b{argument}\b", message)
    shown = (repr(value), str(value), *signs)
    assert named or any(sign.lower() in message for sign in shown), message


def numbers(result):
    """A result as arrays and plain values that can be compared."""
    if isinstance(result, (tuple, list)):
        return [numbers(part) for part in result]
    if isinstance(result, torch.Tensor):
        return result.detach().numpy()
    return result


def same(name, **arguments):
    """A door gives the result of its valid call for another form of the same arguments."""
    expected, result = numbers(DOORS[name].call()), numbers(DOORS[name].call(**arguments))
    if getattr(result, "dtype", None) == getattr(expected, "dtype", None):
        np.testing.assert_equal(result, expected)
    else:  # integers are computed with in single precision
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


def public_callables():
    """Names of all public functions, classes and methods."""
    names = {name for name in dir(dv) if callable(getattr(dv, name))}
    for kind in CLASSES:
        above = {object, *CLASSES} - {kind}  # what is inherited from these has its own row
        own = {name for base in kind.__mro__ if base not in above for name in vars(base)}
        fields = (
            {field.name for field in dataclasses.fields(kind)}
            if dataclasses.is_dataclass(kind)
            else set()
        )
        names |= {
            f"{kind.__name__}.{name}"
            for name in own - fields
            if not name.startswith("_") and callable(getattr(kind, name))
        }
    return names


def test_every_public_callable_has_a_row():
    missing = public_callables() - DOORS.keys()
    assert not missing, f"enter a valid call of {sorted(missing)} in DOORS"


def test_every_row_is_of_a_public_callable():
    assert not DOORS.keys() - public_callables()


@in_one_test
@pytest.mark.parametrize("name", DOORS)
def test_a_valid_call_works_and_repeats(name):
    first = numbers(DOORS[name].call())
    np.testing.assert_equal(numbers(DOORS[name].call()), first)


@in_one_test
@pytest.mark.parametrize(("name", "argument", "variant"), cases("arrays", BAD_ARRAYS))
def test_an_array_that_holds_no_finite_real_numbers_is_refused(name, argument, variant):
    value = BAD_ARRAYS[variant](defaults(DOORS[name].call)[argument])
    refused(name, argument, value, SIGNS[variant])


@in_one_test
@pytest.mark.parametrize(("name", "argument", "variant"), cases("arrays", GOOD_ARRAYS))
def test_the_form_of_an_array_does_not_matter(name, argument, variant):
    same(name, **{argument: GOOD_ARRAYS[variant](defaults(DOORS[name].call)[argument])})


@in_one_test
@pytest.mark.parametrize(("name", "argument", "variant"), cases("numbers", BAD_NUMBERS))
def test_a_number_that_is_no_real_number_is_refused(name, argument, variant):
    refused(name, argument, BAD_NUMBERS[variant])


@in_one_test
@pytest.mark.parametrize(("name", "argument", "variant"), cases("counts", BAD_COUNTS))
def test_a_count_that_is_no_whole_number_is_refused(name, argument, variant):
    refused(name, argument, BAD_COUNTS[variant])


@in_one_test
@pytest.mark.parametrize(("name", "argument", "variant"), cases("seeds", BAD_SEEDS))
def test_a_seed_that_is_no_whole_number_is_refused(name, argument, variant):
    refused(name, argument, BAD_SEEDS[variant])


@in_one_test
@pytest.mark.parametrize(("name", "argument", "variant"), cases("names", BAD_NAMES))
def test_an_unknown_name_is_refused(name, argument, variant):
    refused(name, argument, BAD_NAMES[variant])


@in_one_test
@pytest.mark.parametrize(("name", "argument", "variant"), cases("counts", ["int64", "uint16"]))
def test_a_numpy_integer_counts_as_an_int(name, argument, variant):
    value = defaults(DOORS[name].call)[argument]
    same(name, **{argument: np.dtype(variant).type(value)})


@in_one_test
@pytest.mark.parametrize(("name", "argument", "variant"), cases("seeds", ["int64", "uint8"]))
def test_a_numpy_integer_is_a_seed(name, argument, variant):
    same(name, **{argument: np.dtype(variant).type(defaults(DOORS[name].call)[argument])})


@in_one_test
@pytest.mark.parametrize(("name", "argument", "variant"), cases("numbers", ["float32", "array"]))
def test_a_numpy_number_is_a_number(name, argument, variant):
    value = defaults(DOORS[name].call)[argument]
    exact = float(np.float32(value)) == value
    given = np.float32(value) if variant == "float32" and exact else np.float64(value)
    same(name, **{argument: given})
