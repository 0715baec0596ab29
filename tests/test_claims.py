"""Every number in a notebook's prose is computed here again, and looked for in the text."""

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest

import diffviz as dv

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def prose(name: str) -> str:
    cells = nbformat.read(NOTEBOOKS / f"{name}.ipynb", 4).cells
    return re.sub(r"\s+", " ", " ".join(c.source for c in cells if c.cell_type == "markdown").replace("−", "-"))


def loss_share(name):
    return dv.share_below(dv.objective(name), mmse=dv.gaussian_mmse)


def spread(name):
    grid = np.linspace(-60, 60, 24001)
    spent = dv.loss_density(dv.objective(name), grid)
    return np.sqrt(np.trapezoid(grid**2 * spent, grid) / np.trapezoid(spent, grid))


def twins():
    grid = np.linspace(-10, 10, 2001)
    a, b = (dv.objective(n).weighting(grid) for n in ("sd3", "edm"))
    return a / a.max(), b / b.max()


WEIGHTINGS = [
    (f"EDM (peak at λ = {dv.verdict(dv.objective('edm')).peak:.3f})", "peak of EDM"),
    (f"SD3 ({dv.verdict(dv.objective('sd3')).peak:.3f})", "peak of SD3"),
    (f"P2 ({dv.verdict(dv.objective('p2-gamma1')).peak:.3f})", "peak of P2"),
    (
        f"The {len(dv.catalogue)} published recipes hold {sum(len(g) > 1 for g in dv.classes(dv.catalogue.values()))} groups",
        "classes",
    ),
    (f"correlation {np.corrcoef(*twins())[0, 1]:.3f} and a largest gap of {np.abs(np.subtract(*twins())).max():.3f}", "twins"),
    (f"{100 * dv.share_below(dv.objective('fm-ot')):.1f} % of the weight on [-10, 10] lies below", "FM's weight below 0"),
    (
        f"ELBO {100 * loss_share('elbo'):.1f} %, ε-cosine {100 * loss_share('iddpm-cosine'):.1f} %, EDM {100 * loss_share('edm'):.1f} %, "
        f"flow matching and SD3 {100 * loss_share('fm-ot'):.1f} %",
        "loss below 0",
    ),
    (f"stays {100 * loss_share('sd3'):.1f} %", "SD3's loss below 0"),
    (f"standard deviation of {spread('fm-ot'):.2f} nats to {spread('sd3'):.2f}", "spread of the loss density"),
    (
        f"{100 * dv.verdict(dv.objective('edm')).negative_share:.2f} % for EDM, {100 * dv.verdict(dv.objective('sd3')).negative_share:.2f} % for SD3, "
        f"{100 * dv.verdict(dv.objective('iddpm-cosine')).negative_share:.2f} % for ε with the cosine schedule, "
        f"{100 * dv.verdict(dv.objective('min-snr-5-eps')).negative_share:.2f} % for Min-SNR-5",
        "negative shares",
    ),
]


@pytest.mark.parametrize(("claim", "what"), WEIGHTINGS, ids=[what for _, what in WEIGHTINGS])
def test_weightings_says_what_is_computed(claim, what):
    assert claim in prose("01_weightings"), f"{what}: the prose does not say {claim!r}"


def test_sd3_over_fm_is_even():
    grid = np.linspace(-20, 20, 401)
    ratio = dv.objective("sd3").weighting(grid) / dv.objective("fm-ot").weighting(grid)
    closed = 8 * np.exp(-(grid**2) / 8) / (2 * np.sqrt(2 * np.pi)) * np.cosh(grid / 4) ** 2
    np.testing.assert_allclose(ratio / ratio[200], closed / closed[200], rtol=1e-12)


def test_probe_your_loss_says_what_is_measured():
    import torch

    from suite import losses

    x = torch.randn(256, 2, generator=torch.Generator().manual_seed(0))
    edm = dv.probe(losses.edm, x)
    text = prose("04_probe_your_loss")
    assert dv.closest(edm)[0].name == "edm" and dv.closest(edm)[0].deviation < 2e-4 and "within 0.02 % over 99.8 %" in text
    assert len(edm.logsnr) == 20_000 and "20,000 draws" in text
    assert "norm(loc=2.4, scale=2.4)" in str(edm) and "mean 2.4 and standard deviation 2.4" in text
    assert "logistic(loc=0, scale=2)" in str(dv.probe(losses.MYSTERIES["B"], x)) and "logistic with scale 2" in text
    assert "norm(loc=1, scale=2)" in str(dv.probe(losses.MYSTERIES["D"], x)) and "The measured mean is +1" in text
    assert "not a squared loss" in str(dv.probe(losses.huber, x))
