"""A velocity field learnt from pairs, for any source: flow matching without a log-SNR."""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from diffviz import checks
from diffviz.compute import gradients, threads
from diffviz.learning.adam import Adam
from diffviz.sampling.couplings import check_pairs
from diffviz.sampling.draws import drawn

LEARNING_RATE = 3e-3  # of Adam, at the start


@dataclass(frozen=True, eq=False)
class Velocity:
    """A learnt velocity u(z, t).

    Args:
        net: Network of (z − mean of z at t)/scale and 2t − 1, in float32.
        scale: Scale of points and velocities.
        source_mean: Mean of the source in float64, shape (d,); 0 where it is within the spread.
        x_mean: That of the data, likewise.
    """

    net: nn.Module
    scale: float
    source_mean: Tensor
    x_mean: Tensor

    def __call__(self, z: Tensor, t: Tensor) -> Tensor:
        """The velocity at points and a time.

        Args:
            z: Points, shape (n, d).
            t: Time, shape () or (n,).

        Returns:
            The velocity, like z.

        Raises:
            ValueError: z has another shape.
        """
        checks.require(z.ndim == 2, f"z must have shape (n, d), got {tuple(z.shape)}")
        with threads.suited(self.multiply_adds(len(z)), z.device):
            time = t.to(torch.float32).expand(len(z)).reshape(-1, 1)
            mean = self.x_mean.lerp(self.source_mean, time.double())
            unit = self.in_units(((z.double() - mean) / self.scale).float(), time)
            return (self.scale * unit.double() + (self.source_mean - self.x_mean)).to(z)

    def in_units(self, z: Tensor, time: Tensor) -> Tensor:
        """The velocity less its mean, for points less theirs, both in units of the scale, (n, d).

        Args:
            z: Points in float32, shape (n, d).
            time: Their times, shape (n, 1).
        """
        unit: Tensor = self.net(torch.cat([z, 2 * time - 1], 1))
        return unit

    def multiply_adds(self, n: int) -> int:
        """Multiply-adds of the largest layer on n points."""
        return n * max(weight.numel() for weight in self.net.parameters())


def _network(d: int, width: int, generator: torch.Generator) -> nn.Sequential:
    """Three hidden layers from (d + 1) to d units; the generator alone draws the weights."""
    sizes = [d + 1, width, width, width, d]
    device = generator.device
    linears = [nn.utils.skip_init(nn.Linear, i, o, device=device) for i, o in pairwise(sizes)]
    for linear in linears:
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu", generator=generator)
        nn.init.zeros_(linear.bias)
    activated = [part for linear in linears[1:] for part in (nn.SiLU(), linear)]
    return nn.Sequential(linears[0], *activated)


def _far_mean(points: Tensor) -> Tensor:
    """The mean (d,) of points that lie farther from 0 than they spread; else 0."""
    mean = points.mean(0)
    is_far = mean.abs().max() > (points - mean).std()
    return mean if is_far else torch.zeros_like(mean)


@gradients.recorded()
def fit_velocity(
    source: Tensor,
    x: Tensor,
    generator: torch.Generator,
    steps: int = 3000,
    batch: int = 256,
    width: int = 64,
) -> Velocity:
    """Train u(z, t) on E‖u − (source − x)‖², with z = (1 − t) x + t source and t uniform.

    This is Lipman et al. 2022 (arXiv 2210.02747), eq. 23, with t = 0 at the data.

    Args:
        source: Points of the source, shape (n, d).
        x: The data that belong to them, shape (n, d).
        generator: Generator of start, batches and times.
        steps: Number of steps of Adam.
        batch: Pairs in a step.
        width: Units in each of three hidden layers.

    Returns:
        A function of z (n, d) and a time () for ``couplings.flow``.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: The points are no pairs of vectors, all points are alike, or their standard
            deviation is not finite.
        FloatingPointError: The loss is not finite; the message has the step.
    """
    source = checks.tensor(source, "source")
    x = checks.tensor(x, "x")
    checks.torch_generator(generator)
    steps = checks.count(steps, "steps")
    batch = checks.count(batch, "batch")
    width = checks.count(width, "width")
    check_pairs(source, x, least=2)
    with threads.suited(threads.elements(source), x.device):
        source, x = source.double(), x.double()
        means = _far_mean(source), _far_mean(x)
        source, x = source - means[0], x - means[1]
        scale = max(source.std(), x.std()).item()
    if x.ndim != 2 or scale == 0:
        raise ValueError(
            "source and x are vectors (n, d) and not all alike, "
            f"got {tuple(x.shape)}; images: x.flatten(1)"
        )
    if not math.isfinite(scale):
        raise ValueError(
            f"the standard deviation of source and x is {scale} in float64; scale both down first"
        )
    velocity = Velocity(_network(x.shape[1], width, generator).to(x.device), scale, *means)
    with threads.suited(velocity.multiply_adds(batch), x.device):
        _train(velocity, (source / scale).float(), (x / scale).float(), generator, steps, batch)
    return velocity


def _train(
    velocity: Velocity,
    source: Tensor,
    x: Tensor,
    generator: torch.Generator,
    steps: int,
    batch: int,
) -> None:
    """Train the network of a velocity on pairs in units of its scale, without their means."""
    adam = Adam(velocity.net.parameters(), LEARNING_RATE, steps)
    for step in range(steps):
        rows = drawn(torch.randint, len(x), (batch,), generator=generator, device=x.device)
        t = drawn(torch.rand, batch, generator=generator, device=x.device)[:, None]
        z = x[rows].lerp(source[rows], t)
        error = velocity.in_units(z, t) - (source - x)[rows]
        loss = error.square().mean()
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss.item()} at step {step}")
        adam.zero_grad()
        loss.backward()
        adam.step()
