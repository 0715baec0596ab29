"""What is named beside a measurement of few draws, on losses whose entry is known.

The losses are the papers' own, as in ``tests/probing/test_papers.py``.
"""

from itertools import product

import numpy as np
import pytest
import torch
from cells import in_one_test
from paper_losses import LOSSES

import diffviz as dv
from diffviz.reports.measurement import EQUAL

pytestmark = pytest.mark.slow

X = torch.randn(64, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
NAMES = (
    "ddpm-linear",
    "edm",
    "elbo",
    "fm-ot",
    "iddpm-cosine",
    "kohya-debiased-v",
    "ldm-scaled-linear",
    "min-snr-5-eps",
    "min-snr-5-v",
    "sd3",
    "sigmoid-bias-3",
    "v-cosine",
)
FACTORS = {
    "plain": lambda n: 1.0,
    "weighted by sample": lambda n: torch.rand(n, 1),
    "masked": lambda n: (torch.rand(n, 1) < 0.7) * 1.0,
}
CLASSES = {
    objective.name: {other.name for other in group}
    for group in dv.equivalent(dv.catalogue.values())
    for objective in group
}


def as_training_loss(name, factor_of):
    """The loss of a paper on eps, with a further factor that does not depend on the level."""

    def loss(model, x):
        u = torch.rand(len(x), dtype=x.dtype).numpy()
        eps = torch.randn_like(x)
        scales = []

        def unit(alpha, sigma):
            scales.append((alpha, sigma))
            return -sigma / alpha, np.ones_like(sigma)

        factor = LOSSES[name](u, unit)
        alpha, sigma, factor = (
            torch.from_numpy(np.broadcast_to(value, u.shape).copy())[:, None]
            for value in (*scales[-1], factor)
        )
        errors = model(alpha * x + sigma * eps) - eps
        return (factor_of(len(x)) * factor * errors**2).mean()

    return loss


CELLS = [
    *product(NAMES, [1000], ["plain", "weighted by sample"]),
    *product(NAMES, [5000], ["plain"]),
    *zip(NAMES, [20_000] * len(NAMES), ["plain", "weighted by sample", "masked"] * 4, strict=True),
]


@in_one_test
@pytest.mark.parametrize(("name", "draws", "factor"), CELLS)
def test_no_other_entry_is_named_however_few_the_draws(name, draws, factor):
    # 10 calls of the loss instead of 62 or 100: its levels are the same in batches of any size
    measured = dv.probe(as_training_loss(name, FACTORS[factor]), X, draws=draws, batch=draws // 10)
    match = dv.closest(measured, 1)[0]
    assert CLASSES[name] & {match.name, *match.alike}
    if factor == "plain":
        assert match.name in CLASSES[name]
        assert match.deviation < EQUAL
    assert match.deviation < max(EQUAL, 6 * match.error)


def test_what_few_draws_do_not_tell_apart_is_said():
    measured = dv.probe(as_training_loss("edm", FACTORS["plain"]), X, draws=1000)
    (match,) = dv.closest(measured, 1)
    assert match.mass == 0.98
    assert match.alike == ("edm-monotonic",)
    assert "over 98% of its draws" in str(measured)
    assert "these draws do not tell it from edm-monotonic" in str(measured)


def test_steep_weights_of_few_draws_are_no_scatter():
    measured = dv.probe(as_training_loss("min-snr-5-v", FACTORS["plain"]), X, draws=1000)
    edges = measured.edges()
    w, _ = measured.weighting(edges)
    nodes = np.linspace(edges[:-1], edges[1:], 401)
    known = np.trapezoid(dv.objective("min-snr-5-v").weighting(nodes), nodes, axis=0)
    ratio = w * np.diff(edges) / known
    assert np.abs(ratio / np.median(ratio) - 1).max() < 0.01
