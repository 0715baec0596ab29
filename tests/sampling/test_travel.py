"""What the sampling room makes pickles and deep-copies."""

import copy
import pickle

import pytest
import torch

import diffviz as dv
from diffviz.sampling.integrate import StandardNormal, Stopped, Trajectory
from diffviz.sampling.likelihood import DivergenceFlow
from diffviz.sampling.solvers import SOLVERS, Call

pytestmark = pytest.mark.slow

COPIES = {
    "pickle": lambda item: pickle.loads(pickle.dumps(item)),
    "deepcopy": copy.deepcopy,
}
copies = pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)


def points(n=4):
    return dv.toy("gmm2d").sample(n, torch.Generator().manual_seed(0))


def assert_same_fields(copied, item, names):
    for name in names:
        one, other = getattr(copied, name), getattr(item, name)
        same = torch.equal(one, other) if isinstance(one, torch.Tensor) else (one == other)
        assert same if isinstance(same, bool) else same.all()


@copies
def test_a_copy_of_a_trajectory_is_the_same(duplicate):
    trajectory = dv.sample(dv.toy("gmm2d"), start=points())
    copied = duplicate(trajectory)
    assert_same_fields(copied, trajectory, ("logsnr", "z", "x_hat", "calls", "samples"))
    assert torch.equal(
        copied.on(dv.paths.LINEAR)[1],
        trajectory.on(dv.paths.LINEAR)[1],
    )


@copies
def test_a_copy_of_a_bound_is_the_same(duplicate):
    bound = dv.elbo(dv.toy("gmm2d"), points(), levels=5, exact=True)
    copied = duplicate(bound)
    assert_same_fields(copied, bound, ("nats", "bits", "logsnr", "weight", "error", "dimension"))


@copies
def test_a_copy_of_a_stop_keeps_the_message_and_the_steps_before(duplicate):
    trajectory = dv.sample(dv.toy("gmm2d"), start=points())
    copied = duplicate(Stopped("step 3 of 20: NaN", trajectory))
    assert str(copied) == "step 3 of 20: NaN"
    assert isinstance(copied.trajectory, Trajectory)
    assert torch.equal(copied.trajectory.z, trajectory.z)


@copies
def test_a_copy_of_a_solver_steps_alike(duplicate):
    for name, solver in duplicate(SOLVERS).items():
        result = [
            dv.sample(
                dv.toy("gmm2d"),
                [-4, -1, 2],
                one,
                start=points(),
                generator=torch.Generator().manual_seed(3),
            ).z
            for one in (solver, name)
        ]
        assert torch.equal(*result)


@copies
def test_parts_of_a_walk_have_copies(duplicate):
    x = points()
    call = Call(0.5, x, 2 * x)
    assert torch.equal(duplicate(call).x_hat, call.x_hat)
    flow = DivergenceFlow(dv.toy("gmm2d"), torch.ones(1, 4, 2, dtype=torch.float64))
    state = (x, torch.zeros(1, 4, dtype=torch.float64))
    level = torch.tensor(1.0, dtype=torch.float64)
    for one, other in zip(duplicate(flow)(level, state), flow(level, state), strict=True):
        assert torch.equal(one, other)
    assert duplicate(StandardNormal(None)) == StandardNormal(None)
