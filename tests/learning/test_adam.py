"""Adam for the parameters of a module."""

import copy

import pytest
import torch
from torch import nn

from diffviz.learning.adam import Adam

STEPS = 12


def network() -> nn.Sequential:
    """A small network whose weights are float32 and float64."""
    generator = torch.Generator().manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))
    net.extra = nn.Parameter(torch.ones(4, dtype=torch.float64))
    for parameter in net.parameters():
        nn.init.normal_(parameter, 0, 0.5, generator)
    return net


def trained(net, adam, after_step=lambda: None):
    """The weights after some steps on a loss whose slopes vary a lot."""
    x = torch.linspace(-2, 2, 12).reshape(4, 3)
    for _ in range(STEPS):
        adam.zero_grad()
        (net(x).pow(4).sum() + net.extra.pow(3).sum()).backward()
        adam.step()
        after_step()
    return [parameter.detach().clone() for parameter in net.parameters()]


@pytest.mark.parametrize("is_falling", [False, True])
def test_it_is_torch_s_own_bit_for_bit(is_falling):
    ours, theirs = network(), network()
    adam = Adam(ours.parameters(), 0.1, STEPS if is_falling else None)
    other = torch.optim.Adam(theirs.parameters(), 0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(other, STEPS)
    expected = trained(theirs, other, schedule.step if is_falling else lambda: None)
    for one, two in zip(trained(ours, adam), expected, strict=True):
        assert torch.equal(one, two)
    assert adam.rate == other.param_groups[0]["lr"]


def test_complex_numbers_are_pairs_of_real_ones():
    ours = nn.Parameter(torch.tensor([1 + 2j, -3 + 0.5j]))
    theirs = copy.deepcopy(ours)
    for parameter, adam in ((ours, Adam([ours], 0.1)), (theirs, torch.optim.Adam([theirs], 0.1))):
        for _ in range(3):
            adam.zero_grad()
            parameter.abs().pow(3).sum().backward()
            adam.step()
    assert torch.equal(ours, theirs)


def test_what_has_no_gradient_stays():
    used, unused = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))
    adam = Adam([used, unused], 0.1)
    used.sum().backward()
    adam.step()
    assert used.tolist() == pytest.approx([0.9, 0.9])
    assert unused.tolist() == [1.0, 1.0, 1.0]


def test_the_rate_stays_0_after_the_last_step():
    weight = nn.Parameter(torch.ones(1))
    adam = Adam([weight], 0.1, steps=2)
    for _ in range(4):
        adam.zero_grad()
        weight.sum().backward()
        adam.step()
    assert adam.rate == 0
