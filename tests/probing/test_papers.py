"""The third route: the papers' own losses, run as training losses and probed.

They are those of ``paper_losses``, in each paper's time and scales.
"""

import numpy as np
import pytest
import torch
from paper_losses import JUMPS, LOSSES

import diffviz as dv
from diffviz.probing.measure import probe

pytestmark = pytest.mark.slow

# 10 calls of the loss instead of 100: the levels are the same, and so are deviations to 1e-10
BATCH = 2000
X = torch.randn(128, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def as_training_loss(paper):
    """Make loss(model, x) of a paper's loss.

    u and eps are drawn. z and the factor of a unit eps error are the paper's. The target is eps.
    """

    def loss(model, x):
        scales = []

        def unit(alpha, sigma):
            scales.append((alpha, sigma))
            return -sigma / alpha, np.ones_like(sigma)

        u, eps = torch.rand(len(x), dtype=x.dtype).numpy(), torch.randn_like(x)
        with np.errstate(all="ignore"):
            factor = paper(u, unit)
        alpha, sigma, factor = (
            torch.from_numpy(np.broadcast_to(v, u.shape).copy())[:, None]
            for v in (*scales[-1], factor)
        )
        return (factor * (model(alpha * x + sigma * eps) - eps) ** 2).mean()

    return loss


def ratio_of_weightings(measured, known, edges):
    """Measured over known weighting in bins, anchored at their median."""
    points = np.linspace(edges[:-1], edges[1:], 401)[:-1] + np.diff(edges) / 800
    ratio = measured.weighting(edges)[0] / known.weighting(points).mean(0)
    return ratio / np.median(ratio)


@pytest.mark.parametrize("name", [name for name in LOSSES if name not in JUMPS])
def test_the_papers_loss_weights_as_the_entry_says(name):
    measured, known = probe(as_training_loss(LOSSES[name]), X, batch=BATCH), dv.objective(name)
    mass, bound = {"cauchy-eps": (0.98, 0.01), "sd3-mode-1.75": (0.998, 0.03)}.get(
        name, (0.998, 0.01)
    )  # clips at 60; has a spike at 0
    ratio = ratio_of_weightings(measured, known, measured.edges(mass=mass))
    assert measured.kind == "eps"
    assert np.abs(ratio - 1).max() < bound


@pytest.mark.parametrize("name", JUMPS)
def test_the_papers_mixture_weights_as_the_entry_says(name):
    """λ jumps where a draw passes from one law to the next, so that even draws help less.

    Bins are wide, and those that few draws reach have a wide bound.
    """
    measured, known = probe(as_training_loss(LOSSES[name]), X, batch=BATCH), dv.objective(name)
    edges = measured.edges(bins=16, mass=0.98)
    ratio = ratio_of_weightings(measured, known, edges)
    often = np.diff(known.law.cdf(edges)) > 0.02
    assert measured.kind == "eps" and often.sum() > 5
    assert np.abs(ratio - 1)[often].max() < 0.04
    assert np.abs(ratio - 1).max() < 0.25
