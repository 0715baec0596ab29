"""Bounds with partly exact models on a line, by closed forms, by ``dv.elbo`` and by draws."""

import numpy as np
import pytest
import torch
from cells import in_one_test
from scipy.special import expit

import diffviz as dv
from diffviz.lab.experiments import bounds
from diffviz.lab.experiments.bounds import DATA, MODELS, Line, Mistaken

NORMAL = Line(np.array([1.0]), np.array([0.0]), np.array([1.0]))
STRETCHES = [(-10.0, 10.0), (-10.0, 0.0), (-3.0, 2.0), (0.0, 10.0)]


def kl(variance):
    """KL(N(0, 1) ‖ N(0, v))."""
    return (1 / variance - 1 + np.log(variance)) / 2


def decode(law, start, low, high):
    """Variance of z at ``high`` from that at ``low``, with the decoders of N(0, law).

    The joint law of both z under N(0, law) is Gaussian, with covariance alpha alpha′ law + r σ′².
    """
    noisy, clean = (expit(at) * law + expit(-at) for at in (low, high))
    ratio = np.sqrt(expit(low) / expit(high))
    slope = ratio * clean / noisy
    return clean - slope**2 * noisy + slope**2 * start


@in_one_test
@pytest.mark.parametrize("variance", [0.4, 2.0])
@pytest.mark.parametrize(("low", "high"), STRETCHES)
def test_divergences_of_a_gaussian_are_closed(variance, low, high):
    wrong = Line(np.array([1.0]), np.array([0.0]), np.array([np.sqrt(variance)]))
    mistaken = Mistaken(NORMAL, wrong)
    noised = decode(variance, 1.0, low, high)
    data = decode(1.0, noised, high, np.inf)
    of_data, of_noised = mistaken.divergences(low, high)
    assert of_noised == pytest.approx(kl(noised), abs=1e-7)
    assert of_data == pytest.approx(kl(data), abs=1e-7)
    ends = [kl(expit(at) * variance + expit(-at)) for at in (low, high)]
    assert mistaken.path_divergence(low, high) == pytest.approx(ends[1] - ends[0], abs=1e-9)


@in_one_test
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("low", "high"), STRETCHES)
def test_bounds_lie_above_what_they_bound(model, low, high):
    mistaken = Mistaken(DATA, MODELS[model])
    of_data, of_noised = mistaken.divergences(low, high)
    assert 0 < of_data <= of_noised + 1e-9
    assert of_noised <= mistaken.path_divergence(low, high) + 1e-9


@in_one_test
@pytest.mark.parametrize("model", MODELS)
def test_the_loss_is_that_of_draws(model):
    """E‖eps − eps_hat‖² of both denoisers at the same draws, within four standard errors."""
    mistaken, rng = Mistaken(DATA, MODELS[model]), np.random.default_rng(0)
    part = rng.choice(2, 40_000, p=DATA.weights)
    x = DATA.means[part] + DATA.stds[part] * rng.standard_normal(40_000)
    for level in (-2.0, 1.0, 4.0):
        eps = rng.standard_normal(40_000)
        z = np.sqrt(expit(level)) * x + np.sqrt(expit(-level)) * eps
        wrong, exact = ((x - line.denoise(z, level)) ** 2 for line in (mistaken.model, DATA))
        lost = np.exp(level) / 2 * (wrong - exact)
        assert abs(lost.mean() - mistaken.loss_at(level)) < 4 * lost.std() / 200
        assert mistaken.loss(level) == pytest.approx(mistaken.loss_at(level), rel=1e-6)


class PartlyExact:
    """The denoiser of one toy on a stretch of λ, and of another elsewhere."""

    def __init__(self, model, data, low, high):
        self.model, self.data, self.ends = model, data, (low, high)

    def denoise(self, z, logsnr):
        level = torch.as_tensor(logsnr).expand(len(z))
        learned = ((level > self.ends[0]) & (level < self.ends[1]))[:, None]
        return torch.where(learned, self.model.denoise(z, level), self.data.denoise(z, level))


@pytest.mark.slow
def test_the_bound_of_a_partly_exact_model_is_the_elbo_of_its_denoiser():
    """``dv.elbo`` at points, averaged over the data; strata of 2 nats end at the stretch."""
    exact, wrong = dv.toy("gmm1"), dv.mixture([[-1.5], [0.5]], [0.3, 0.2], [0.5, 0.5])
    line = torch.linspace(-3, 1.7, 236, dtype=torch.float64)[:, None]
    mass = exact.log_prob(line).exp() * 0.02
    average = lambda denoiser: (mass @ dv.elbo(denoiser, line, levels=10, exact=True).nats).item()
    mistaken = Mistaken(DATA, MODELS["wrong shares"])
    for low, high in ((-10.0, 2.0), (-4.0, 4.0)):
        lost = average(PartlyExact(wrong, exact, low, high)) - average(exact)
        assert lost == pytest.approx(mistaken.path_divergence(low, high), abs=1e-6)


def test_heights_integrate_what_stretches_do():
    height, weight = bounds.heights()
    assert weight.sum() == pytest.approx(1, abs=1e-6)
    assert weight @ -np.log(height) == pytest.approx(1, abs=1e-4)
    assert weight @ np.sqrt(1 - height) == pytest.approx(2 / 3, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_the_table_is_in_order_and_adds_up(model):
    mistaken = Mistaken(DATA, MODELS[model])
    table = {row.name: row for row in bounds.rows(model)}
    elbo = table["elbo"]
    assert elbo.likelihood == pytest.approx(elbo.bound, abs=2e-4)  # beyond λ = 10 all is exact
    for name, row in table.items():
        assert 0 < row.likelihood < row.bound + 1e-6
        assert row.bound <= elbo.bound + 1e-12
        found = dv.cascade(dv.objective(name))
        path = bounds.average(found, lambda *ends: (mistaken.path_divergence(*ends), 0.0))[0]
        assert path == pytest.approx(row.bound, rel=1e-3, abs=1e-7)
        if row.shape in ("flat", "falling"):
            # the network starts from the exact law at λ = −10, not from its own
            assert row.noised == pytest.approx(row.bound, rel=2e-3, abs=4e-6)
        else:
            assert np.isnan(row.noised)


@pytest.mark.parametrize("earlier", [0.3, 1.5, 2.0, 4.0])
def test_late_decoders_can_repair_a_variance(earlier):
    """By the recursion over levels; exact decoders of late steps keep the mistake of early ones."""
    found = bounds.repaired(earlier)
    noised = decode(earlier, 1.0, -60.0, 0.0)
    assert decode(found.later, noised, 0.0, np.inf) == pytest.approx(1, abs=1e-9)
    assert found.divergence == pytest.approx(0, abs=1e-12)
    kept = kl(decode(1.0, noised, 0.0, np.inf))
    assert found.partly_exact_divergence == pytest.approx(kept, abs=1e-12)
    assert found.divergence < found.partly_exact_divergence < found.partly_exact_bound < found.bound


@pytest.mark.parametrize("value", [0, -1.0, np.nan, "2"])
def test_a_variance_is_above_0(value):
    with pytest.raises((ValueError, TypeError), match="earlier"):
        bounds.repaired(value)


def test_the_masked_table_has_its_order():
    for predictor in bounds.PREDICTORS:
        table = bounds.masked_rows(predictor)
        assert set(table) == set(bounds.MASKED_WEIGHTINGS)
        for one in table.values():
            assert 0 < one.likelihood <= one.bound + 1e-12 <= table["elbo"].bound + 2e-12


def test_what_is_not_there_is_refused():
    with pytest.raises(ValueError, match="unknown model 'wide'"):
        bounds.rows("wide")
    with pytest.raises(ValueError, match="unknown predictor"):
        bounds.masked_rows("none")
    with pytest.raises(ValueError, match="several peaks"):
        bounds.row("sd3-mode-1.29", Mistaken(DATA, MODELS["too wide"]))
