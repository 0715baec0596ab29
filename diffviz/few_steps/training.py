"""Training of few-step objectives: their losses, from the papers' formulas, and a short loop.

All losses take the same network u(z, r, t) on the linear path, so that they can be compared. A
consistency model is the network with r = 0: f(z, t) = z − t u(z, 0, t), for which f(z, 0) = z.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from scipy.special import expit
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import functional as F

from diffviz import checks
from diffviz.compute import gradients, threads
from diffviz.few_steps.maps import FlowMap, features, features_along, perceptron_along
from diffviz.few_steps.objectives import Adaptive, FewStep, few_step
from diffviz.learning.adam import Adam
from diffviz.learning.models import linear
from diffviz.learning.side_by_side import SideBySide

FAR = 10.0  # mean or standard deviation of data above which a training warns
Network = Callable[[Tensor, Tensor, Tensor], Tensor]  # the average velocity at (z, r, t)


class Source(Protocol):
    """Data that can be drawn, such as a toy."""

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw n points, shape (n, *shape)."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Data, noise and times of a training step.

    Several networks that are trained side by side have a batch each, along an axis before n.

    Attributes:
        x: Data, shape (n, dim).
        eps: Noise, shape (n, dim).
        t: Times where a jump starts, shape (n,).
        r: Times where it ends, shape (n,).

    Raises:
        TypeError: A part is no tensor.
        ValueError: The shapes do not fit together, so that parts would be spread over each other,
            or a number is NaN or infinite.
    """

    x: Tensor
    eps: Tensor
    t: Tensor
    r: Tensor

    def __post_init__(self) -> None:
        for name in ("x", "eps", "t", "r"):
            checks.instance(getattr(self, name), name, Tensor, "a tensor")
        checks.require(
            self.x.ndim > 1,
            f"x must have shape (n, dim), got {tuple(self.x.shape)}; x[:, None] makes "
            "points of one number each",
        )
        checks.require(
            self.eps.shape == self.x.shape,
            f"eps must have the shape of x, {tuple(self.x.shape)}, got {tuple(self.eps.shape)}",
        )
        for name in ("x", "eps"):
            checks.tensor(getattr(self, name), name)
        _check_times(self.x, t=self.t, r=self.r)

    def noisy(self, time: Tensor) -> Tensor:
        """States of the linear path at times (n,), shape (n, dim).

        Args:
            time: Times, shape (n,).

        Returns:
            The states, shape (n, dim).

        Raises:
            ValueError: There is not one time for each point.
        """
        _check_times(self.x, time=time)
        return (1 - time)[..., None] * self.x + time[..., None] * self.eps

    @property
    def z(self) -> Tensor:
        """States at t, shape (n, dim)."""
        return self.noisy(self.t)

    @property
    def u(self) -> Tensor:
        """Velocity eps − x of each pair, shape (n, dim)."""
        return self.eps - self.x


def _check_times(states: Tensor, **times: Tensor) -> None:
    """Refuse times that are not finite or not of the shape of the states without a last axis."""
    for name, time in times.items():
        if time.shape != states.shape[:-1]:
            raise ValueError(
                f"{name} must have one time for each point, shape {tuple(states.shape[:-1])}, got "
                f"{tuple(time.shape)}; {name}.reshape(-1) may be meant"
            )
        checks.tensor(time, name)


def _velocity(model: Network, z: Tensor, r: Tensor, t: Tensor) -> Tensor:
    """What the network says at (z, r, t); another shape than that of z would be spread over z."""
    u: Tensor = checks.returned_tensor(model(z, r, t), "model")
    if u.shape != z.shape:
        raise ValueError(
            f"model must return u in the shape of z, {tuple(z.shape)}, got {tuple(u.shape)}"
        )
    return u


def meanflow_errors(model: Network, batch: Batch) -> Tensor:
    """Errors of MeanFlow, u − sg[v − (t − r) du/dt].

    Source: arXiv 2505.13447, algorithm 1, without guidance.

    Args:
        model: The network.
        batch: Data, noise and times.

    Returns:
        Errors, shape (n, dim); the target has no gradient.
    """
    u, slope = _along(model, batch, batch.u)
    target = batch.u - (batch.t - batch.r)[..., None] * slope
    return u - target.detach()


def improved_meanflow_errors(model: Network, batch: Batch) -> Tensor:
    """Errors of improved MeanFlow, u + (t − r) sg[du/dt] − v along the network's own velocity.

    Source: arXiv 2512.02012, without guidance and without the second output for v.

    Args:
        model: The network.
        batch: Data, noise and times.

    Returns:
        Errors, shape (n, dim).
    """
    with torch.no_grad():
        own = _velocity(model, batch.z, batch.t, batch.t)
    u, slope = _along(model, batch, own)
    return u + (batch.t - batch.r)[..., None] * slope.detach() - batch.u


def shortcut_errors(model: Network, batch: Batch) -> Tensor:
    """Errors of a shortcut model: u − v on the diagonal, else u less two steps of half the length.

    Source: arXiv 2410.12557, eq. 5.

    Args:
        model: The network.
        batch: Data, noise and times.

    Returns:
        Errors, shape (n, dim); the target has no gradient.
    """
    half = (batch.t + batch.r) / 2
    with torch.no_grad():
        first = _velocity(model, batch.z, half, batch.t)
        middle = batch.z - (batch.t - half)[..., None] * first
        second = _velocity(model, middle, batch.r, half)
    on = (batch.t == batch.r)[..., None]
    target = torch.where(on, batch.u, (first + second) / 2)
    return _velocity(model, batch.z, batch.r, batch.t) - target


def consistency_errors(model: Network, batch: Batch) -> Tensor:
    """Errors of consistency training, f(z_t, t) − sg[f(z_r, r)] with the same noise in both.

    Source: arXiv 2303.01469, algorithm 3, with the squared distance.

    Args:
        model: The network.
        batch: Data, noise and times.

    Returns:
        Errors of x̂, shape (n, dim); the target has no gradient.
    """
    with torch.no_grad():
        target = clean(model, batch.noisy(batch.r), batch.r)
    return clean(model, batch.z, batch.t) - target


def clean(model: Network, z: Tensor, t: Tensor) -> Tensor:
    """The network's data for noisy states in one step, z − t u(z, 0, t).

    Args:
        model: The network.
        z: States at t, shape (n, dim).
        t: Times, shape (n,).

    Returns:
        f(z, t), shape (n, dim); z itself at t = 0.

    Raises:
        TypeError: The network returns no tensor.
        ValueError: There is not one time for each state, or the network returns another shape.
    """
    _check_times(z, t=t)
    return z - t[..., None] * _velocity(model, z, torch.zeros_like(t), t)


def _along(model: Network, batch: Batch, direction: Tensor) -> tuple[Tensor, Tensor]:
    """What the network says at (z, r, t), and its derivative along (direction, 0, 1)."""
    # no subclass: its own forward may be another one than the rule by hand stands for
    if type(model) is FlowMap or type(model) is _SideBySide:
        return model.along(batch.z, batch.r, batch.t, direction)
    with warnings.catch_warnings(), forward_ad.dual_level():
        # torch's own rules for forward mode are made by a function that torch deprecates
        warnings.filterwarnings("ignore", ".*torch.jit.script", DeprecationWarning)
        z = forward_ad.make_dual(batch.z, direction)
        t = forward_ad.make_dual(batch.t, torch.ones_like(batch.t))
        u, slope = forward_ad.unpack_dual(_velocity(model, z, batch.r, t))
    assert slope is not None
    return u, slope


ERRORS: dict[str, Callable[[Network, Batch], Tensor]] = {
    "meanflow": meanflow_errors,
    "imeanflow": improved_meanflow_errors,
    "shortcut": shortcut_errors,
    "consistency": consistency_errors,
    "ict": consistency_errors,
}


def loss(entry: FewStep, model: Network, batch: Batch) -> Tensor:
    """The loss of a few-step objective.

    Args:
        entry: The objective.
        model: The network.
        batch: Data, noise and times.

    Returns:
        The mean over the batch, a scalar.

    Raises:
        TypeError: An argument is of the wrong kind, or the network returns no tensor.
        ValueError: No formula has the name of the entry, its formula has no place for a part of
            the entry or of the batch, or the network returns another shape than that of z.
    """
    checks.instance(entry, "entry", FewStep, "a few-step objective, as dv.few_step('meanflow')")
    checks.one_of(entry.name, "name of entry", ERRORS)
    checks.function(model, "model")
    checks.instance(batch, "batch", Batch, "a Batch(x, eps, t, r)")
    if entry.name == "ict":
        checks.require(
            entry.adaptive is None,
            f"the loss of 'ict' has no adaptive factor, got {entry.adaptive!r}; leave it out",
        )
        checks.require(
            bool((batch.r < batch.t).all()),
            "the loss of 'ict' has the weight 1/(sigma_t - sigma_r): every r must be below its t",
        )
    squared = ERRORS[entry.name](model, batch).square().sum(-1)
    if entry.name == "ict":
        return _weighted_pseudo_huber(squared, batch).mean()
    return (_factor(entry.adaptive, squared) * squared).mean()


def _factor(adaptive: Adaptive | None, squared: Tensor) -> Tensor:
    """The adaptive factor of each sample, without a gradient."""
    if adaptive is None:
        return torch.ones_like(squared)
    return (squared.detach() + adaptive.floor) ** -adaptive.power


def _weighted_pseudo_huber(squared: Tensor, batch: Batch) -> Tensor:
    """√(‖Δ‖² + c²) − c over the difference of the noise levels; arXiv 2310.14189, section 3."""
    c = 0.00054 * math.sqrt(batch.x.shape[-1])
    width = batch.t / (1 - batch.t) - batch.r / (1 - batch.r)  # sigma of the exploding path
    return ((squared + c**2).sqrt() - c) / width


class _SideBySide(SideBySide):
    """Several flow maps of the same size."""

    def _layers(self) -> list[tuple[Tensor, Tensor]]:
        """Weights (k, i, o) and biases (k, 1, o)."""
        weights = list(self.weights)
        pairs = zip(weights[::2], weights[1::2], strict=True)
        return [(weight.mT, bias[:, None]) for weight, bias in pairs]

    def forward(self, z: Tensor, r: Tensor, t: Tensor) -> Tensor:
        """Average velocities of states (k, n, dim) at times (k, n)."""
        x = features(z, r, t)
        *hidden, last = self._layers()
        for weight, bias in hidden:
            x = F.silu(linear(x, weight, bias))
        return linear(x, *last)

    def along(self, z: Tensor, r: Tensor, t: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
        """Average velocities and their derivatives, as those of a single map."""
        slope = features_along(r, t, direction)
        return perceptron_along(self._layers(), features(z, r, t), slope)


def train(
    objective: str | FewStep,
    data: Source,
    *,
    steps: int = 3000,
    batch: int = 256,
    rate: float = 2e-3,
    width: int = 128,
    seed: int = 0,
) -> FlowMap:
    """Train a small network under a few-step objective.

    Args:
        objective: A key of ``few_step_catalogue``, or an entry with a law or a factor of one's own,
            whose name chooses the formula of the errors; see ``loss``.
        data: What has ``sample(n, generator)``, such as a toy; its points have one axis.
        steps: Steps of Adam, whose rate falls to 0 by a half cosine.
        batch: Points of a step.
        rate: Learning rate at the start, at most 1e30.
        width: Units of a hidden layer.
        seed: Seed of weights, data, noise and times.

    Returns:
        The network.

    Raises:
        TypeError: A number is none, or the data cannot be drawn.
        ValueError: The name is unknown, a number is out of range, points have several axes, or data
            are not finite in float32.
        FloatingPointError: The loss is not finite; the message has the step.
    """
    checks.seed(seed)
    settings = {"steps": steps, "batch": batch, "width": width}
    (model,) = train_seeds(objective, data, (seed,), rate=rate, **settings)
    return model


@gradients.recorded()
def train_seeds(
    objective: str | FewStep,
    data: Source,
    seeds: Sequence[int],
    *,
    steps: int = 3000,
    batch: int = 256,
    rate: float = 2e-3,
    width: int = 128,
) -> list[FlowMap]:
    """Train one network for each seed, side by side: in less time than one after the other.

    Each has draws and weights of its own, those of ``train`` with its seed, so that it becomes what
    it would become alone but for rounding.

    Args:
        objective: A key of ``few_step_catalogue``, or an entry with a law or a factor of one's own,
            whose name chooses the formula of the errors; see ``loss``.
        data: What has ``sample(n, generator)``, such as a toy; its points have one axis.
        seeds: Seeds of weights, data, noise and times.
        steps: Steps of Adam, whose rate falls to 0 by a half cosine.
        batch: Points of a step of each network.
        rate: Learning rate at the start, at most 1e30.
        width: Units of a hidden layer.

    Returns:
        The networks, in the order of the seeds.

    Raises:
        TypeError: A number is none, or the data cannot be drawn.
        ValueError: The name is unknown, a number is out of range, there is no seed, points have
            several axes, or data are not finite in float32.
        FloatingPointError: A loss is not finite; the message has the step.

    Example:
        >>> settings = {"steps": 2, "batch": 8, "width": 8}
        >>> maps = few_steps.train_seeds("shortcut", dv.toy("gaussian"), (0, 1), **settings)
        >>> len(maps)
        2
    """
    entry = objective if isinstance(objective, FewStep) else few_step(objective)
    steps = checks.count(steps, "steps")
    batch = checks.count(batch, "batch", least=4)
    rate = checks.rate(rate, "rate")
    checks.require(checks.has(data, "sample"), f"data must have sample(n), got {data!r}", TypeError)
    each_seed = checks.seeds(seeds)
    draws = [_Draws(entry, data, seed) for seed in each_seed]
    maps = [FlowMap(each.dim, width, each.seed) for each in draws]
    together = _SideBySide(maps)
    optimiser = Adam(together.parameters(), rate, steps)
    with threads.suited(maps[0].multiply_adds(batch * len(maps))):
        for step in range(steps):
            # the sum over networks, so that each has the gradient that it would have alone
            stacked = _stacked(draws, batch)
            value = len(maps) * loss(entry, together, stacked)
            if not torch.isfinite(value):
                raise _diverged(value.item(), step, stacked.x)
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
    together.hand_back(maps)
    return [each.requires_grad_(False) for each in maps]


class _Draws:
    """What one training draws, from generators of its own."""

    def __init__(self, entry: FewStep, data: Source, seed: int) -> None:
        self.entry = entry
        self.data = data
        self.seed = seed
        self.generator = torch.Generator().manual_seed(seed)
        self.rng = np.random.default_rng(seed)
        first = checks.returned_tensor(data.sample(2, self.generator), "data.sample", "(n, dim)")
        checks.require(first.ndim == 2, f"points need one axis, got shape {tuple(first.shape[1:])}")
        self.dim = first.shape[1]
        self._step = 0

    def parts(self, n: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Data, noise and times of one step, as a ``Batch`` has them, float32."""
        x = self.data.sample(n, self.generator).float()
        _check_finite(x, self._step)
        if self._step == 0:
            _warn_of_scale(x)
        self._step += 1
        eps = torch.randn(x.shape, generator=self.generator)
        t, r = (
            torch.from_numpy(expit(-levels / 2)).float() for levels in self.entry.draw(n, self.rng)
        )  # t = sigma of the linear path
        return x, eps, t, r


def _check_finite(x: Tensor, step: int) -> None:
    """Refuse data that float32 does not hold."""
    finite = torch.isfinite(x)
    if not finite.all():
        raise ValueError(
            f"data must be finite in float32, got {x[~finite][0].item()} ({int((~finite).sum())} "
            f"of {x.numel()} numbers of step {step}); drop such points, or scale the data down"
        )


def _diverged(value: float, step: int, x: Tensor) -> FloatingPointError:
    """The error for a loss that is not finite, of finite data."""
    if step:
        return FloatingPointError(f"the loss is {value} at step {step}; lower rate")
    return FloatingPointError(
        f"the loss is {value} at step 0, before the network learned: the data reach "
        f"{float(x.abs().max()):.3g}; shift and scale them to about 0 and 1 first"
    )


def _warn_of_scale(x: Tensor) -> None:
    """Warn of data far from 0, which the network takes as they are and can hardly learn."""
    spread = float(x.var(0).mean().sqrt())
    largest = float(x.mean(0).abs().max())
    if max(spread, largest) > FAR:
        warnings.warn(
            f"the data have a mean of up to {largest:.3g} and a standard deviation of "
            f"{spread:.3g}, and the network takes them as they are; shift and scale them to about "
            "0 and 1 first, as .unit() of a toy does",
            stacklevel=4,
        )


def _stacked(draws: Sequence[_Draws], n: int) -> Batch:
    """A batch for each network, along a first axis."""
    parts = zip(*(each.parts(n) for each in draws), strict=True)
    return Batch(*(torch.stack(part) for part in parts))
