"""Trainings and gradients do not depend on whether the caller has switched gradients off."""

import numpy as np
import pytest
import torch

import diffviz as dv
from diffviz import few_steps
from diffviz.learning.velocity import fit_velocity
from diffviz.masked import MarkovWorld, Settings, fit_masked
from diffviz.masked.training import fit_masked_seeds
from diffviz.policy import bandit


def trained():
    x = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    return dv.fit("fm-ot", x, steps=2, batch=8, progress=False)[0].loss


def with_few_steps():
    toy = dv.toy("gaussian")
    (network,) = few_steps.train_seeds("shortcut", toy, (0,), steps=2, batch=8, width=8)
    return next(network.parameters()).numpy()


def masked():
    world = MarkovWorld([0.5, 0.5], [[0.9, 0.1], [0.1, 0.9]], length=3)
    settings = Settings(steps=2, batch=4, width=8, layers=1)
    return fit_masked([dv.masked_objective("elbo")], world, settings)[0].losses


def masked_side_by_side():
    world = MarkovWorld([0.5, 0.5], [[0.9, 0.1], [0.1, 0.9]], length=3)
    settings = Settings(steps=2, batch=4, width=8, layers=1)
    by_seed = fit_masked_seeds([dv.masked_objective("elbo")], world, (0, 1), settings)
    return [run.losses for (run,) in by_seed]


def velocity():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(8, 2, generator=generator)
    field = fit_velocity(x, x + 1, generator, steps=2, batch=4, width=8)
    return field(x, torch.tensor(0.5)).detach().numpy()


def policy():
    return np.asarray(bandit.learn("fpo", iterations=1, batch=8, epochs=1).reward)


def density():
    x = torch.zeros(2, 1, dtype=torch.float64)
    return dv.log_likelihood(dv.toy("gaussian"), x, steps=2)[0].numpy()


def probed():
    def loss(network, x):
        eps = torch.randn_like(x)
        t = torch.rand(len(x))[:, None]
        return (network((1 - t) * x + t * eps, t[:, 0]) - (eps - x)).square().mean()

    return dv.probe(loss, torch.ones(8, 2), draws=256).weighting([-1.0, 0.0, 1.0])[0]


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize(
    "call",
    [
        trained,
        with_few_steps,
        masked,
        masked_side_by_side,
        velocity,
        policy,
        density,
        probed,
    ],
    ids=lambda call: call.__name__,
)
def test_a_caller_without_gradients_gets_the_same(call, off):
    with off():
        found = call()
        assert not torch.is_grad_enabled()
    assert np.array_equal(found, call())
