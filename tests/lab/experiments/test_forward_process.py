"""The local weightings of methods of the forward process, from their losses themselves."""

import pickle

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from scipy.special import expit, ndtri

import diffviz as dv
from diffviz.lab.experiments import forward_process
from diffviz.lab.experiments.policy import SCALES
from diffviz.policy import surrogates

LEVELS = np.array([-6.0, -2.0, 0.0, 1.5, 5.0])
STANDARD = torch.from_numpy(ndtri((np.arange(2000) + 0.5) / 2000))  # an error of variance 1


def assert_proportional(one, other, rtol=1e-9):
    np.testing.assert_allclose(one / one[0], other / other[0], rtol=rtol)


def pull(loss, size):
    """By how much a loss falls as an error of a given size shrinks, over that of its square."""
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    error = size * STANDARD
    (slope,) = torch.autograd.grad(loss(error, scale * error), scale)
    return float(slope / error.square().mean())


def nft_of(old, new):
    """DiffusionNFT's loss of actions that are wholly good, one component each."""
    tables = [each[None, :, None] for each in (old, new)]
    return surrogates.nft(*tables, share=torch.ones(len(old)))


def test_the_weighting_of_nft_is_that_of_its_gradient():
    """On N(0, 1) the mean squared error of x is sigmoid(−λ)."""
    factors = np.array([pull(nft_of, np.sqrt(expit(-at))) for at in LEVELS])
    density = stats.logistic(scale=2).pdf(LEVELS)  # of uniform time
    expected = factors * np.exp(-LEVELS) * density
    w = forward_process.forward_objective("NFT as released").weighting(LEVELS)
    assert_proportional(w, expected)


def test_the_weighting_of_awm_as_released_is_that_of_its_formula():
    """(mean e²)^¼ t/¼ of the error of u, whose mean square on N(0, 1) is 1/((1 − t)² + t²)."""

    def released(old, new, time):
        return (new.square() ** 0.25).mean() * time / 0.25

    expected = []
    for at in LEVELS:
        time = 1 / (1 + np.exp(at / 2))
        size = ((1 - time) ** 2 + time**2) ** -0.5
        factor = pull(lambda old, new, t=time: released(old, new, t), size)
        expected.append(factor * np.exp(-at / 2))
    w = forward_process.forward_objective("AWM as released").weighting(LEVELS)
    assert_proportional(w, np.array(expected))


def test_awm_in_the_paper_is_flow_matching():
    assert dv.compare(forward_process.forward_objective("AWM"), dv.objective("fm-ot")).same
    w = forward_process.forward_objective("FPO").weighting(LEVELS)
    assert_proportional(w, np.cosh(LEVELS / 4) ** -2)


def test_the_errors_at_four_goals_are_those_of_a_mixture_of_four():
    corners = [[x, y] for x in (-1.5, 1.5) for y in (-1.5, 1.5)]
    known = dv.mixture(corners, 0.2).mmse(LEVELS) / 2
    errors = forward_process.policy_errors(forward_process.LEARNED)
    np.testing.assert_allclose(errors(LEVELS), known, rtol=1e-8)


def rise(name, policy, at=1.2):
    """The weighting where the goals are decided, over that at λ = 0."""
    start, end = forward_process.forward_objective(name, policy).weighting(np.array([0.0, at]))
    return end / start


@pytest.mark.parametrize("name", ["AWM as released", "NFT as released"])
def test_losses_that_are_not_squared_pull_harder_where_the_goals_are_decided(name):
    """The error falls there, and the factor rises."""
    first, learned = (rise(name, policy) for policy in forward_process.POLICIES)
    assert learned > 1.5 * first
    assert rise("AWM", "four goals") == rise("AWM", "N(0, I)") == pytest.approx(np.exp(-0.6))


def test_awm_as_released_is_an_elbo_at_first_only():
    first, learned = (
        dv.verdict(forward_process.forward_objective("AWM as released", policy))
        for policy in forward_process.POLICIES
    )
    assert first.monotone and not learned.monotone
    assert [round(end, 1) for end in learned.rises[0]] == [0.3, 1.1]


@pytest.mark.parametrize("name", forward_process.FORWARD)
def test_gains_are_integrals(name):
    gains = forward_process.forward_gains(name)
    w = forward_process.forward_objective(name).weighting

    def kappa(c):  # another quadrature than the package's
        def inside(at):
            level = at + np.log(c)
            return float(w(np.array([at]))[0] * expit(level) * expit(-level))

        return integrate.quad(inside, -60, 60, limit=400, points=[-np.log(c)])[0]

    assert gains[40] == pytest.approx(1, rel=1e-12) and SCALES[40] == pytest.approx(1)
    assert gains[10] == pytest.approx(kappa(SCALES[10]) / kappa(1.0), rel=1e-6)


def test_they_pickle_and_are_refused_by_name():
    objective = forward_process.forward_objective("NFT as released", "four goals")
    again = pickle.loads(pickle.dumps(objective))
    np.testing.assert_array_equal(again.weighting(LEVELS), objective.weighting(LEVELS))
    with pytest.raises(ValueError, match="NFT as released"):
        forward_process.forward_objective("NFT")
    with pytest.raises(ValueError, match="four goals"):
        forward_process.forward_objective("AWM", "4 goals")
