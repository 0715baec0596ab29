"""Small transformers on the exact world."""

import dataclasses
import math

import numpy as np
import pytest
import torch

import diffviz as dv
from diffviz.masked import MarkovWorld, Settings, fit_masked
from diffviz.masked.networks import SideBySide, laws, transformer
from diffviz.masked.training import cross_entropies, fit_masked_seeds

WORLD = MarkovWorld([0.7, 0.3], [[0.9, 0.1], [0.2, 0.8]], 3)
pytestmark = pytest.mark.slow

QUICK = Settings(steps=120, batch=32, width=8, layers=1, learning_rate=2e-2)


@pytest.fixture(scope="module")
def runs():
    return fit_masked([dv.masked_objective(n) for n in ("any-order", "simple")], WORLD, QUICK)


def test_a_training_comes_near_the_entropy(runs):
    independent = -sum(  # the best predictor that ignores the other tokens
        p @ np.log(p) for p in WORLD.posterior(np.full((1, 3), 2))[0]
    )
    for run in runs:
        known = run.assess()
        bound, likely = known.mean(-known.elbo), known.mean(-known.log_likelihood)
        assert WORLD.entropy < likely <= bound + 1e-9
        assert bound - WORLD.entropy < 0.5 * (independent - WORLD.entropy)


def test_the_likelihood_of_a_network_is_that_of_a_law(runs):
    known = runs[0].assess()
    assert np.exp(known.log_likelihood).sum() == pytest.approx(1, abs=1e-12)


def test_the_tracker_sees_the_cross_entropy_of_the_network():
    """With a learning rate near 0 the network stays, so that its exact loss is known."""
    still = Settings(steps=150, batch=64, width=8, layers=1, learning_rate=1e-9, decay=0.999)
    run = fit_masked([dv.masked_objective("elbo")], WORLD, still)[0]
    curve = run.tracker.curve()
    truth = run.assess().cross_entropy(run.tracker.middle)
    seen = run.tracker.count[1:-1] > 100
    assert seen.sum() > 10
    # within a bin the loss bends, by less than 0.05 nats here
    assert (np.abs(curve.mean - truth)[seen] < 6 * curve.stderr[seen] + 0.05).all()


def test_the_loss_that_is_minimised_is_the_exact_one():
    """Mean of the losses of a network that does not move, over many batches."""
    still = Settings(steps=150, batch=64, width=8, layers=1, learning_rate=1e-9)
    for name in ("any-order", "simple"):
        run = fit_masked([dv.masked_objective(name)], WORLD, still)[0]
        error = run.losses.std() / np.sqrt(len(run.losses))
        truth = run.assess().loss(run.objective)
        assert run.losses.mean() == pytest.approx(truth, abs=5 * error)


def test_the_same_seed_gives_the_same_network(runs):
    again = fit_masked([dv.masked_objective("any-order")], WORLD, QUICK)[0]
    assert np.array_equal(again.losses, runs[0].losses)
    assert np.array_equal(again.assess().table, runs[0].assess().table)


def test_networks_side_by_side_are_the_same_networks():
    """By a second route: torch's own layers, one network after the other."""
    networks = [transformer(3, 4, 8, 2, start).train() for start in (0, 1, 2)]
    z = torch.randint(0, 4, (3, 5, 4), generator=torch.Generator().manual_seed(0))
    alone = torch.stack([network(each) for network, each in zip(networks, z, strict=True)])
    together = SideBySide(networks)
    torch.testing.assert_close(together(z), alone, rtol=1e-5, atol=1e-6)
    slopes = torch.autograd.grad(alone.pow(3).sum(), list(networks[1].parameters()))
    stacked = torch.autograd.grad(together(z).pow(3).sum(), list(together.parameters()))
    for slope, all_slopes in zip(slopes, stacked, strict=True):
        torch.testing.assert_close(all_slopes[1], slope, rtol=1e-4, atol=1e-5)


def test_seeds_side_by_side_are_trained_as_alone(runs):
    members = [dv.masked_objective(name) for name in ("any-order", "simple")]
    by_seed = fit_masked_seeds(members, WORLD, (4, QUICK.seed), QUICK)
    for one, alone in zip(by_seed[1], runs, strict=True):
        assert one.losses == pytest.approx(alone.losses, rel=1e-3)
        assert one.tracker.mean == pytest.approx(alone.tracker.mean, rel=1e-3, nan_ok=True)
    assert not np.allclose(by_seed[0][0].losses, runs[0].losses, rtol=0.1)
    with pytest.raises(ValueError, match="seeds is empty"):
        fit_masked_seeds(members, WORLD, (), QUICK)
    with pytest.raises(TypeError, match="seeds must be a dense tensor with values"):
        fit_masked_seeds(members, WORLD, torch.zeros(2, device="meta"), QUICK)


def test_a_network_starts_from_its_seed_alone():
    torch.manual_seed(1)
    first = transformer(3, 4, 8, 1, start=2)
    torch.manual_seed(9)
    second = transformer(3, 4, 8, 1, start=2)
    z = WORLD.states[:4, :3]
    assert np.array_equal(laws(first, z), laws(second, z))
    assert laws(first, z).sum(-1) == pytest.approx(np.ones((4, 3)), abs=1e-12)


def test_only_masked_tokens_count():
    network = transformer(2, 3, 8, 1)
    x = np.array([[0, 1, 1], [1, 0, 0]])
    nothing = cross_entropies(network, x, np.zeros((2, 3), bool), 2)
    assert nothing.tolist() == [0.0, 0.0]
    everything = cross_entropies(network, x, np.ones((2, 3), bool), 2)
    law = laws(network, np.full((1, 3), 2))[0]
    truth = [-np.log(law[range(3), row]).sum() for row in x]
    assert everything.tolist() == pytest.approx(truth, rel=1e-5)


def test_logits_of_tokens_that_are_not_masked_may_be_infinite_and_none_is_nan():
    """The padding, token 2, has the logit −inf: its cross-entropy is infinite, and left out."""
    logits = torch.tensor([0.0, 1.0, -math.inf])
    x, mask = [[0, 1, 2], [1, 2, 2]], [[True, True, False], [True, False, False]]
    found = cross_entropies(lambda z: logits.expand(*z.shape, 3), x, mask, 3)
    zero, one = math.log1p(math.e), math.log1p(math.exp(-1))
    assert found.tolist() == pytest.approx([zero + one, one])
    logits[1] = math.nan
    with pytest.raises(ValueError, match="returned NaN for masked tokens of 2 of 2 sequences"):
        cross_entropies(lambda z: logits.expand(*z.shape, 3), x, mask, 3)


@pytest.mark.parametrize("steps", [1, 4])
def test_a_training_that_diverges_is_no_run(steps, monkeypatch):
    broken = Settings(steps=steps, learning_rate=1e30, width=8, layers=1)
    if steps == 1:  # what the last step spoils is seen in the weights alone
        monkeypatch.setattr("diffviz.masked.training.Adam", NaNs)
    members = [dv.masked_objective("elbo")]
    said = r"elbo: the .* is (nan|inf); try a learning_rate below 1e\+30"
    with pytest.raises(FloatingPointError, match=said):
        fit_masked(members, WORLD, broken)


class NaNs:
    """An optimiser that makes all weights NaN."""

    def __init__(self, parameters, *_):
        self.parameters = list(parameters)

    def zero_grad(self):
        """Nothing to do."""

    @torch.no_grad()
    def step(self):
        """Write NaN."""
        for parameter in self.parameters:
            parameter.fill_(torch.nan)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_a_multiplier_that_is_no_weight_is_not_trained_on(value):
    one = dataclasses.replace(
        dv.masked_objective("elbo"), name="own", multiplier=lambda logsnr: np.full(64, value)
    )
    with pytest.raises(ValueError, match=rf"own: the factor is {value} at .* mend the multiplier"):
        fit_masked([one], WORLD, Settings(steps=2))


@pytest.mark.parametrize(
    ("x", "said"),
    [
        ([[0, -100, 1]], r"x must hold tokens.* got \[-100\.\] \(1 of 3\); give padding"),
        ([[0, 1.7, 1]], r"x must hold tokens.* got \[1\.7\]"),
        ([[0, 2.0**63, 1]], r"x must hold tokens.* got \[9\.2.*e\+18\] \(1 of 3\)"),
        ([[0, 2, 1]], r"x holds the token 2, but network returns logits of 2 tokens"),
    ],
)
def test_what_is_no_token_has_no_cross_entropy(x, said):
    network = transformer(2, 3, 8, 1)
    with pytest.raises(ValueError, match=said):
        cross_entropies(network, np.array(x), np.array([[False, True, False]]), 2)


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match=r"learning_rate must lie in .*got 1e\+38"):
        Settings(learning_rate=1e38)
    with pytest.raises(ValueError, match="at least one masked objective"):
        fit_masked([], WORLD)
    with pytest.raises(TypeError, match="must be a masked objective"):
        fit_masked([dv.objective("edm")], WORLD)
    with pytest.raises(ValueError, match="steps must be at least 1"):
        Settings(steps=0)
    with pytest.raises(ValueError, match="width must be a multiple of 2"):
        transformer(3, 4, 9)
