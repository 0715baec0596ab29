"""Couplings: straightness against closed forms and exact velocities, transport costs in their
order, refusals.
"""

import math

import numpy as np
import pytest
import torch

from diffviz.sampling import couplings


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def gaussian_velocity(c):
    """E[source − x | z] for source N(0, 1), x N(0, c), independent: both are jointly Gaussian with
    z.
    """
    return lambda z, t: (t - (1 - t) * c) / (t**2 + (1 - t) ** 2 * c) * z


@pytest.mark.parametrize("c", [0.01, 0.25, 1.0, 4.0])
def test_straightness_between_gaussians_is_the_closed_form(c):
    source = torch.randn(20_000, 1, generator=generator(), dtype=torch.float64)
    source /= (
        source.square().mean().sqrt()
    )  # S is linear in the second moment: no sampling error is left
    t, z = couplings.flow(gaussian_velocity(c), source, 200)
    assert couplings.straightness(t, z) == pytest.approx(math.sqrt(c) * (2 - math.pi / 2), rel=5e-4)


def test_the_way_to_an_equal_gaussian_and_back_has_length_two_minus_root_two():
    source = torch.ones(1, 1, dtype=torch.float64)
    _, z = couplings.flow(gaussian_velocity(1), source, 200)
    assert z.diff(dim=0).abs().sum().item() == pytest.approx(2 - math.sqrt(2), abs=1e-4)
    assert z[-1].item() == pytest.approx(1, abs=1e-6)
    assert couplings.path_ratio(z) > 1e5


def test_a_straight_line_at_even_speed_is_straight_and_one_at_uneven_speed_is_not():
    t = np.linspace(1, 0, 11)
    line = torch.linspace(0, 3, 11, dtype=torch.float64)[:, None, None].expand(11, 4, 2)
    assert couplings.straightness(t, line) == pytest.approx(0, abs=1e-12) and couplings.path_ratio(
        line
    ) == pytest.approx(1)
    z = torch.tensor([0.0, 1, 2])[
        :, None, None
    ]  # velocities −4 for a quarter of the time and −4/3 for the rest, −2 in all
    assert couplings.straightness([1, 0.75, 0], z) == pytest.approx(
        0.25 * 2**2 + 0.75 * (2 / 3) ** 2
    )
    assert couplings.straightness(t**2, line) > 0.1 and couplings.straightness(
        t, line**2
    ) == pytest.approx(2 * 81 / 3, rel=0.02)


def mixtures(seed=0):
    """8 Gaussians of radius 5 and variance 0.1 as (means, variance), and two moons, 3x − 1, noise
    0.15, as 80 Gaussians.
    """
    angle = torch.arange(8, dtype=torch.float64) * math.pi / 4
    ring = 5 * torch.stack([angle.cos(), angle.sin()], 1)
    a = (torch.arange(40, dtype=torch.float64) + 0.5) * math.pi / 40
    moons = torch.cat(
        [torch.stack([a.cos(), a.sin()], 1), torch.stack([1 - a.cos(), 0.5 - a.sin()], 1)]
    )
    return (ring, 0.1), (3 * moons - 1, 0.15**2)


def draw(law, n, gen):
    means, variance = law
    noise = torch.randn(n, 2, generator=gen, dtype=torch.float64)
    return means[torch.randint(len(means), (n,), generator=gen)] + math.sqrt(variance) * noise


def exact_velocity(source, x):
    """E[source − x | z_t] of the independent coupling: a posterior over pairs of components, each
    jointly Gaussian.
    """
    (m, r), (k, s) = source, x
    n, m = m.repeat_interleave(len(k), 0), k.repeat(len(m), 1)  # source and data means of all pairs

    def velocity(z, t):
        variance = t**2 * r + (1 - t) ** 2 * s
        off = z[:, None] - (t * n + (1 - t) * m)
        share = (-off.square().sum(-1) / (2 * variance)).softmax(1)[..., None]
        return (share * (n - m + (t * r - (1 - t) * s) / variance * off)).sum(1)

    return velocity


@pytest.fixture(scope="module")
def exact_flow():
    source, x = mixtures()
    start = draw(source, 600, generator(1))
    return start, *couplings.flow(exact_velocity(source, x), start, 40)


@pytest.mark.slow
def test_the_independent_coupling_of_gaussians_and_moons_is_as_crooked_as_known(exact_flow):
    _, t, z = exact_flow
    assert couplings.straightness(t, z) == pytest.approx(13.97, rel=0.04)
    assert couplings.path_ratio(z) == pytest.approx(1.52, abs=0.04)


@pytest.mark.slow
def test_the_exact_flow_ends_in_the_data(exact_flow):
    (means, variance), end = mixtures()[1], exact_flow[2][-1]
    truth = (means.T @ means + len(means) * variance * torch.eye(2, dtype=torch.float64)) / len(
        means
    )
    assert (end.mean(0) - means.mean(0)).abs().max() < 4 * math.sqrt(truth.max() / len(end))
    assert (end.T @ end / len(end) - truth).abs().max() < 0.8


def test_costs_fall_from_independent_to_reflow_to_optimal(exact_flow):
    start, _, z = exact_flow
    x = draw(mixtures()[1], 600, generator(2))
    cost = {
        "independent": couplings.transport_cost(*couplings.independent(start, x, generator(3))),
        "batches of 20": couplings.transport_cost(
            *couplings.minibatch_ot(start, x, generator(3), batch=20)
        ),
        "reflow": couplings.transport_cost(start, z[-1]),
        "optimal": couplings.transport_cost(
            *couplings.minibatch_ot(start, x, generator(3), batch=600)
        ),
    }
    assert sorted(cost.values(), reverse=True) == list(cost.values()), cost
    assert cost["optimal"] == pytest.approx(8.08, rel=0.1) and cost["reflow"] == pytest.approx(
        9.29, rel=0.1
    )


def test_optimal_transport_on_a_line_sorts_and_keeps_all_points():
    source, x = (torch.randn(24, 1, generator=generator(k)) for k in (1, 2))
    first, second = couplings.minibatch_ot(source, x, generator(3), batch=24)
    assert torch.equal(first, source)
    assert torch.equal(second[first[:, 0].argsort(), 0], x[:, 0].sort().values)
    _, rest = couplings.minibatch_ot(source, x, generator(3), batch=7)  # the last batch is smaller
    assert torch.equal(rest.flatten().sort().values, x.flatten().sort().values)


def test_pairs_keep_shapes_and_the_same_seed_gives_the_same_pairs():
    source, x = torch.zeros(6, 3, 2), torch.arange(36.0).reshape(6, 3, 2)
    for couple in (couplings.independent, couplings.minibatch_ot):
        one, two = (couple(source, x, generator(4)) for _ in range(2))
        assert one[1].shape == (6, 3, 2) and torch.equal(one[1], two[1])
    t, z = couplings.flow(lambda z, t: -z, x, 5, "euler")
    assert t.shape == (6,) and z.shape == (6, 6, 3, 2)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: couplings.independent(torch.zeros(3, 2), torch.zeros(4, 2), generator()),
            r"\(3, 2\) and \(4, 2\)",
        ),
        (
            lambda: couplings.minibatch_ot(
                torch.zeros(3, 2), torch.zeros(3, 2), generator(), batch=0
            ),
            "batch",
        ),
        (
            lambda: couplings.minibatch_ot(
                torch.full((3, 2), math.nan), torch.zeros(3, 2), generator()
            ),
            "finite",
        ),
        (
            lambda: couplings.independent(torch.zeros(0, 2), torch.zeros(0, 2), generator()),
            "n >= 1",
        ),
        (
            lambda: couplings.minibatch_ot(torch.zeros(3), torch.zeros(3), generator()),
            r"\(n, \*shape\).* \(3,\) and \(3,\)",
        ),
        (
            lambda: couplings.transport_cost(torch.zeros(3, 2), torch.zeros(1, 2)),
            r"\(3, 2\) and \(1, 2\)",
        ),
        (lambda: couplings.crossings(torch.zeros(1, 2), torch.zeros(1, 2)), "n >= 2"),
        (lambda: couplings.crossings(torch.zeros(3, 2), torch.full((3, 2), math.nan)), "finite"),
        (lambda: couplings.flow(lambda z, t: z, torch.full((3, 2), math.inf), 3), "finite"),
        (
            lambda: couplings.flow(lambda z, t: z[:1], torch.zeros(3, 2), 3),
            r"like z, \(3, 2\), got \(1, 2\)",
        ),
        (
            lambda: couplings.straightness([1, 0], torch.zeros(3, 2, 2)),
            "one for each of the 3 places",
        ),
        (
            lambda: couplings.straightness([1, math.nan, 0], torch.zeros(3, 2, 2)),
            "times must be finite",
        ),
        (lambda: couplings.straightness([1, 0.5, 0], torch.full((3, 2, 2), math.nan)), "finite"),
        (lambda: couplings.straightness([1], torch.zeros(1, 2, 2)), "at least one step"),
        (lambda: couplings.path_ratio(torch.zeros(3, 2)), r"\(steps \+ 1, n, \*shape\)"),
        (lambda: couplings.path_ratio(torch.ones(3, 2, 2)), "no trajectory moves"),
        (lambda: couplings.flow(lambda z, t: z, torch.zeros(3, 2), 0), "steps must be at least 1"),
        (lambda: couplings.straightness([1, 1, 0], torch.zeros(3, 2, 2)), "rise or fall"),
    ],
)
def test_bad_input_is_refused_with_the_way_out(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_a_velocity_that_is_not_finite_is_named_with_its_time():
    with pytest.raises(FloatingPointError, match=r"from t = 0\.2 on"):
        couplings.flow(lambda z, t: z * (math.nan if t < 0.5 else 1), torch.ones(3, 2), 5, "euler")


SOURCE = np.array([[0.0, 1.0], [2.0, -1.0], [3.0, 0.5]])


def test_costs_are_summed_in_double_precision():
    beyond = 2**24 + 1
    assert couplings.transport_cost([[beyond]], [[beyond - 1]]) == 1
    ones = torch.ones(4, 70_000, dtype=torch.float16)
    assert couplings.transport_cost(ones, 0 * ones) == 70_000


def test_optimal_transport_far_from_zero_is_that_near_zero():
    near = torch.rand(2, 40, 1, generator=generator(), dtype=torch.float64)
    for offset in (0.0, 1e8):
        source, x = couplings.minibatch_ot(near[0] + offset, near[1] + offset, generator())
        assert torch.equal(source[:, 0].argsort().argsort(), x[:, 0].argsort().argsort())
        assert couplings.crossings(source, x) == 0
        assert couplings.crossings(source, -x) == 1


def test_integers_lists_and_read_only_arrays_are_welcome():
    whole = torch.tensor([[0, 1], [2, -1], [3, 5]])
    _, z = couplings.flow(lambda z, t: z / 2, whole, 3)
    assert z.dtype == torch.float32
    assert torch.equal(z, couplings.flow(lambda z, t: z / 2, whole.float(), np.int64(3))[1])
    locked = SOURCE[::-1]
    locked.setflags(write=False)
    assert couplings.transport_cost(locked, SOURCE.tolist()) == pytest.approx(
        ((locked - SOURCE) ** 2).sum(1).mean()
    )
    assert couplings.path_ratio(np.stack([SOURCE, SOURCE + 1])) == pytest.approx(1)


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: couplings.independent(SOURCE, SOURCE, 0), TypeError, "must be a torch.Generator"),
        (
            lambda: couplings.minibatch_ot(SOURCE, SOURCE, generator(), batch=2.5),
            TypeError,
            "batch must be a whole number, got 2.5",
        ),
        (lambda: couplings.flow(lambda z, t: z, SOURCE, 1.5), TypeError, "steps must be a whole"),
        (
            lambda: couplings.flow(lambda z, t: z, SOURCE, 3, "eulr"),
            ValueError,
            "unknown method 'eulr'; did you mean 'euler'",
        ),
        (
            lambda: couplings.transport_cost(np.ma.masked_less(SOURCE, 0), SOURCE),
            TypeError,
            "source is a masked array",
        ),
        (lambda: couplings.crossings(SOURCE, 1j * SOURCE), TypeError, "x must hold real numbers"),
        (lambda: couplings.path_ratio([["a", "b"]]), TypeError, "must hold real numbers"),
        (lambda: couplings.straightness([[1, 0]], SOURCE[None]), ValueError, "at least one step"),
        (
            lambda: couplings.straightness(3.0, np.stack([SOURCE, SOURCE])),
            ValueError,
            "one for each of the 2 places",
        ),
        *(
            (
                lambda times=times: couplings.straightness(times, np.stack([SOURCE] * 3)),
                ValueError,
                "must rise or fall at every step",
            )
            for times in ([0, 1, 0.5], [1, 0, 0.5], [0, 1, 1], [0, 1, 0], [1, 1, 1])
        ),
    ],
)
def test_a_wrong_kind_of_thing_is_refused(make, error, says):
    with pytest.raises(error, match=says):
        make()
