"""A valid call of each public function of the rooms that compute with torch, for any device.

``ROWS`` has one for each public function of ``MODULES``. A row takes a device, makes its data there
and returns what the function returned.
"""

import importlib
import inspect
import re
from functools import cache
from pathlib import Path

import elsewhere
import numpy as np
import torch

import diffviz as dv
from diffviz.learning import models, validation, variance, velocity
from diffviz.learning.training import Trainer
from diffviz.policy import bandit, methods, policies, steps, surrogates
from diffviz.sampling import couplings, trajectories
from diffviz.search import goals
from diffviz.search.datasets import split

MODULES = (
    "learning.floors.measure",
    "learning.training",
    "learning.validation",
    "learning.variance",
    "learning.velocity",
    "policy.bandit",
    "policy.policies",
    "policy.steps",
    "policy.surrogates",
    "probing.measure",
    "sampling.couplings",
    "sampling.trajectories",
    "search.goals",
)
PLAIN = {
    "learning.variance.draw_moments",
    "learning.variance.gains",
    "learning.variance.table",
    "policy.steps.check_rule",
    "policy.steps.scales",
    "search.goals.add_goal",
    "sampling.trajectories.band_masks",
    "sampling.trajectories.explained_in",
}  # these take and return NumPy arrays or nothing
PARTS = {
    "learning.floors.measure.generators",
    "learning.floors.measure.measured",
    "sampling.couplings.check_pairs",
    "sampling.couplings.step_vectors",
    "sampling.trajectories.ddim_error",
}  # these are parts of functions that have a row
GRID = np.arange(-4.0, 5.0)
ROWS = {}


def row(name):
    """Enter a call in the table."""

    def enter(call):
        ROWS[name] = call
        return call

    return enter


def functions():
    """Names of the public functions of ``MODULES``."""
    names = set()
    for name in MODULES:
        module = importlib.import_module(f"diffviz.{name}")
        for function, value in inspect.getmembers(module, inspect.isfunction):
            if value.__module__ == module.__name__ and not function.startswith("_"):
                names.add(f"{name}.{function}")
    return names


def documented(rooms):
    """Names of the modules of some rooms whose members are in the reference."""
    page = Path(__file__).parents[1] / "docs" / "reference" / "rooms.rst"
    found = re.findall(
        r"automodule:: diffviz\.(\w+\.\w+)\n +:members:", page.read_text(encoding="utf-8")
    )
    return {name for name in found if name.split(".")[0] in rooms}


def generator(device="cpu"):
    """A generator with the seed 0 on a device, which may be the simulated one."""
    if torch.device(device) == elsewhere.ELSEWHERE:
        return elsewhere.ElsewhereGenerator().manual_seed(0)
    return torch.Generator(device).manual_seed(0)


@cache
def points(device, n=64):
    """Points of the plane with two clusters."""
    x = torch.randn(n, 2, generator=generator())
    x[::2] += 3
    return x.to(device)


@cache
def images(device, n=64):
    return torch.randn(n, 4, 4, generator=generator()).to(device)


@cache
def run(device="cpu"):
    return dv.fit("fm-ot", points(device), steps=3, batch=16, progress=False)[0]


@cache
def run_on_images(device):
    network = models.MLP(width=8, depth=1, frequencies=())
    sizes = {"steps": 2, "batch": 16, "model": network, "progress": False}
    return dv.fit("fm-ot", images(device), **sizes)[0]


@cache
def trajectory(device="cpu"):
    start = points(device, 20)
    return dv.sample(run(device).denoise, GRID, "heun", start=start)


@cache
def moments():
    levels = torch.linspace(-2, 2, 5).numpy()
    return variance.exact(dv.toy("gaussian"), levels, draws=64)


@cache
def tables(device):
    return [torch.randn(3, 8, generator=generator()).to(device) + k for k in range(4)]


@cache
def pairs(device):
    return points(device), points(device).flip(0) + 1


@row("learning.training.fit")
def _(device):
    return dv.fit(["fm-ot", "edm"], images(device), steps=3, batch=8, progress=False)


@row("learning.training.Trainer")
def _(device):
    trainer = Trainer(["fm-ot", "edm"], points(device), steps=2, batch=16)
    return [trainer.advance(), trainer.advance(), trainer.runs()]


@row("learning.training.fit with other networks")
def _(device):
    network = models.MLP(width=8, depth=1, frequencies=())
    return dv.fit("edm", images(device), model=network, steps=2, batch=8, progress=False)


@row("learning.runs.Run")
def _(device):
    level = torch.zeros(64, device=device)
    return [
        run(device).denoise(points(device), 0.0),
        run(device).denoise(points(device), level),
        run(device).denoise(points(device).double(), np.zeros(64)),
    ]


@row("learning.tracking.LossByLogSNR")
def _(device):
    tracker = dv.LossByLogSNR(GRID, [0.5, 0.9])
    uneven = dv.LossByLogSNR(GRID**3)
    for one in (tracker, uneven):
        for _ in range(3):
            one.update(points(device)[:, 0], images(device)[:, 0, 0])
        one.merge(one)
    law = dv.AdaptiveObjective(dv.objective("fm-ot"), tracker)
    return [tracker.mean, tracker.stderr, tracker.count, uneven.mean, law.law.ppf([0.5])]


@row("learning.floors.measure.floor")
def _(device):
    x = images(device)
    band = dv.floor(x, GRID, draws=32, denoiser=run_on_images(device), held_out=x)
    flat = dv.floor(points(device), GRID, draws=32)
    return [band.lower, band.upper, band.upper_stderr, flat.lower, flat.upper, flat.lower_stderr]


@row("learning.validation.validation_loss")
def _(device):
    objective = dv.objective("fm-ot")
    return validation.validation_loss(run(device).denoise, points(device), objective, levels=4)


@row("learning.variance.exact")
def _(device):
    return moments()


@row("learning.variance.trained")
def _(device):
    return variance.trained(run(device), points(device), np.linspace(-2, 2, 3))


@row("learning.variance.squared_errors")
def _(device):
    return variance.squared_errors(dv.toy("ring8"), GRID, generator())


@row("learning.variance.draws")
def _(device):
    objective = dv.objective("fm-ot")
    return variance.draws(objective, objective.law, dv.toy("ring8"), 100)


@row("learning.velocity.fit_velocity")
def _(device):
    learnt = velocity.fit_velocity(*pairs(device), generator(), steps=2, batch=8, width=8)
    return [learnt(points(device), torch.tensor(0.5, device=device))]


@row("data.toys.Toy")
def _(device):
    toys = [dv.toy(name) for name in ("ring8", "circle", "checkerboard")]
    level = torch.ones(64, device=device)
    z = points(device)
    return [
        result
        for toy in toys
        for result in (toy.denoise(z, level), toy.score(z, 0.5), toy.log_prob(z, 1.0))
    ]


@row("sampling.integrate.sample")
def _(device):
    start = points(device, 20)
    results = [dv.sample(dv.toy("ring8"), start=start).samples]
    for solver in dv.solvers.SOLVERS:
        options = {"start": start, "generator": generator(device)}
        results.append(dv.sample(run(device), GRID, solver, **options).samples)
    drawn = dv.sample(run(device), GRID, n=10, generator=generator(device))
    return [*results, drawn.samples, drawn.on(dv.paths.LINEAR)[1]]


@row("sampling.integrate.sample with noise")
def _(device):
    start = points(device, 20)
    options = {"start": start, "generator": generator(device), "eta": 1.0}
    return [dv.sample(run(device), GRID, solver, **options).samples for solver in ("ddim", "euler")]


@row("sampling.likelihood.elbo")
def _(device):
    bounds = [
        dv.elbo(run(device), points(device), levels=4, generator=generator()),
        dv.elbo(run(device), points(device), levels=4, finite=True, generator=generator()),
        dv.elbo(run(device), points(device, 1), low=-1, high=1, levels=1, exact=True),
    ]
    return [part for bound in bounds for part in (bound.nats, bound.weighted(dv.objective("edm")))]


@row("sampling.likelihood.log_likelihood")
def _(device):
    x = points(device, 4)
    return [
        *dv.log_likelihood(run(device), x, low=-2, high=2, steps=2),
        *dv.log_likelihood(
            run(device), x, low=-2, high=2, steps=2, probes=3, generator=generator()
        ),
        *dv.log_likelihood(dv.toy("ring8"), x, low=-1, high=1, steps=None, tolerance=0.1),
    ]


@row("sampling.couplings.independent")
def _(device):
    return couplings.independent(*pairs(device), generator(device))


@row("sampling.couplings.minibatch_ot")
def _(device):
    return couplings.minibatch_ot(*pairs(device), generator(device), batch=20)


def towards_zero(z, t):
    return z * t


@cache
def lines(device):
    return couplings.flow(towards_zero, points(device), 3)


@row("sampling.couplings.flow")
def _(device):
    learnt = velocity.fit_velocity(*pairs(device), generator(), steps=1, batch=8, width=8)
    return couplings.flow(learnt, points(device), 2)


@row("sampling.couplings.transport_cost")
def _(device):
    return couplings.transport_cost(*pairs(device))


@row("sampling.couplings.straightness")
def _(device):
    return couplings.straightness(*lines(device))


@row("sampling.couplings.path_ratio")
def _(device):
    return couplings.path_ratio(lines(device)[1])


@row("sampling.couplings.crossings")
def _(device):
    return couplings.crossings(*pairs(device))


@row("sampling.trajectories.explained")
def _(device):
    return trajectories.explained(trajectory(device))


@row("sampling.trajectories.error_law")
def _(device):
    return trajectories.error_law(trajectory(device)).ppf([0.5])


@row("sampling.trajectories.prediction_weights")
def _(device):
    return trajectories.prediction_weights(GRID, "heun")


def loss_on(device):
    """Flow matching with draws on a device."""

    def loss(model, x):
        t = torch.rand(len(x), 1, device=device)
        eps = torch.randn_like(x)
        return ((model((1 - t) * x + t * eps, t.flatten()) - (eps - x)) ** 2).mean()

    return loss


@row("probing.measure.probe")
def _(device):
    measured = dv.probe(loss_on(device), points(device), draws=400)
    return [measured.weighting(GRID)[0], measured.density(GRID)]


@row("policy.bandit.learn")
def _(device):
    sizes = {"iterations": 1, "batch": 8, "epochs": 1, "keep": 0.1}
    return [bandit.learn(method, **sizes).reward for method in methods.METHODS]


@row("policy.policies.act")
def _(device):
    flow = policies.Flow()
    return [
        policies.act(flow, 8, generator())[-1],
        policies.act(policies.Shift(), 8, generator(), GRID)[-1],
    ]


@cache
def policy(device):
    return policies.Flow().to(device)


@row("policy.surrogates.draws")
def _(device):
    actions = points(device, 8)
    return surrogates.draws(dv.objective("fm-ot"), actions, 3, np.random.default_rng(0))


@row("policy.surrogates.losses")
def _(device):
    actions = points(device, 8)
    at = surrogates.draws(dv.objective("fm-ot"), actions, 3, np.random.default_rng(0))
    return surrogates.losses(policy(device), actions, at)


@row("policy.surrogates.chain")
def _(device):
    z = points(device, 8)
    step = surrogates.chain(policy(device), z, -1.0, 1.0, generator=generator(device))
    return [*step, surrogates.chain(policy(device), z, -1.0, 1.0, follow=step[0])[1]]


@row("policy.surrogates.noisy")
def _(device):
    actions = points(device, 8)
    at = surrogates.draws(dv.objective("fm-ot"), actions, 3, np.random.default_rng(0))
    return surrogates.noisy(actions, at)


@row("policy.steps.step")
def _(device):
    z = points(device, 8)
    state, law = steps.step(
        policy(device), z, -1.0, 1.0, steps.CPSStep(0.5), generator=generator(device)
    )
    return [state, law.mean, law.log_prob(state)]


@row("policy.steps.walk")
def _(device):
    return steps.walk(policy(device), 8, GRID, steps.FlowGRPOStep(0.7), generator(device))


@row("policy.steps.log_probs")
def _(device):
    states = [points(device, 8) for _ in GRID]
    return steps.log_probs(policy(device), states, GRID, steps.DanceGRPOStep(0.3))


@row("policy.surrogates.ddpo")
def _(device):
    old, new, *_ = tables(device)
    return surrogates.ddpo(old, new, np.arange(8.0))


@row("policy.surrogates.fpo")
def _(device):
    old, new, *_ = tables(device)
    return surrogates.fpo(old, new, torch.arange(8.0, device=device))


@row("policy.surrogates.awr")
def _(device):
    return surrogates.awr(tables(device)[0], np.arange(8.0))


@row("policy.surrogates.awm")
def _(device):
    old, new, *_ = tables(device)
    return surrogates.awm(old, new, np.arange(8.0))


@row("policy.surrogates.nft")
def _(device):
    old, new = (points(device, 24).reshape(3, 8, -1) for _ in range(2))
    return surrogates.nft(old, new, np.linspace(0, 1, 8))


@row("policy.surrogates.local_factor")
def _(device):
    return surrogates.local_factor(points(device, 24).reshape(3, 8, -1))


@row("policy.surrogates.dpo")
def _(device):
    return surrogates.dpo(*tables(device))


@cache
def halves():
    return split("ring8", 0)


@row("search.goals.likelihood")
def _(device):
    return goals.likelihood(run(), halves(), 0)


@row("search.goals.sample_quality")
def _(device):
    return goals.sample_quality(run(), halves(), 0)


@cache
def digits():
    return split("digits", 0)


@cache
def run_on_digits():
    model = models.MLP(width=4, depth=1, frequencies=())
    sizes = {"steps": 2, "batch": 16, "model": model, "progress": False}
    return dv.fit("fm-ot", digits().train, **sizes)[0]


@row("search.goals.distortion")
def _(device):
    return goals.distortion(run_on_digits(), digits(), 0, levels=2)


@row("search.goals.energy_distance")
def _(device):
    return goals.energy_distance(*pairs(device))
