"""The likelihood of a sampler's steps: the other road from a diffusion policy to a likelihood.

A sampler with noise draws each state from a Gaussian around what the denoiser says:

    z' ~ N(mean(z, x_hat), std² I).

The likelihood of a whole trajectory is the product of these densities, and it is exact. Flow-GRPO,
DanceGRPO and coefficient-preserving sampling differ in the noise, and their code in what it calls
the log-probability. Every rule here states both: ``StepLaw.log_prob`` is the exact one, and
``NoisyStep.released`` what the published code computes.

Rules of the linear path are written with its time t = sigma = 1 − alpha. All of them move

    y = z/alpha    at    s = sigma/alpha = e^(−λ/2),

so that noise of two rules can be compared: ``ddim_eta`` says which η of DDIM adds as much.

Example:
    >>> FlowGRPOStep(0.7).ddim_eta(before=-0.01, after=0.0).round(3)
    np.float64(0.496)
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from diffviz import checks
from diffviz.compute import threads
from diffviz.policy.arguments import check_denoiser, check_states
from diffviz.protocols import Denoiser
from diffviz.sampling.draws import drawn
from diffviz.theory.frames import LARGEST_LEVEL, STRAIGHT, VP, Frame, noise_ratio

LOG_OF_ROOT = math.log(2 * math.pi) / 2  # of the normal density


class StepLaw(NamedTuple):
    """The Gaussian from which a step draws the next state.

    Attributes:
        mean: Mean, shape (n, *shape).
        std: Standard deviation of each component, above 0.
    """

    mean: Tensor
    std: float

    def log_densities(self, state: Tensor) -> Tensor:
        """Log-density of each component of a state.

        Args:
            state: The state after the step, shape (n, *shape).

        Returns:
            Logarithms of densities, shape (n, *shape), float32 or of more digits; differentiable in
            the mean.

        Raises:
            TypeError: The state is no tensor.
            ValueError: It is not finite, or has another shape than the mean.
        """
        return self._densities(state).to(self._dtype)

    def _densities(self, state: Tensor) -> Tensor:
        """The logarithms in float64: few digits of a state would be none of its density."""
        _check_like(state, self.mean, ("state", "the mean"))
        deviation = (state.double() - self.mean.double()) / self.std
        return -deviation.square() / 2 - math.log(self.std) - LOG_OF_ROOT

    @property
    def _dtype(self) -> torch.dtype:
        """That of the mean, and of half precision float32."""
        return torch.promote_types(self.mean.dtype, torch.float32)

    @threads.decided_by(threads.elements)
    def log_prob(self, state: Tensor) -> Tensor:
        """Exact log-density of a state, the sum over its components.

        Args:
            state: The state after the step, shape (n, *shape).

        Returns:
            Logarithms of densities, shape (n,); differentiable in the mean.
        """
        return self._densities(state).flatten(1).sum(1).to(self._dtype)

    def draw(self, generator: torch.Generator) -> Tensor:
        """Draw the next state, without a gradient.

        Args:
            generator: Torch generator.

        Returns:
            The state after the step, like the mean.
        """
        mean = self.mean.detach()
        noise = drawn(
            torch.randn, mean.shape, generator=generator, device=mean.device, dtype=mean.dtype
        )
        return mean + self.std * noise


class NoisyStep(ABC):
    """A rule of noise for the steps of a sampler.

    Attributes:
        frame: The frame of z.
    """

    frame: Frame = STRAIGHT

    @abstractmethod
    def std(self, before: float, after: float) -> float:
        """Standard deviation of the noise that a step adds to z.

        Args:
            before: λ in nats where the step starts.
            after: λ in nats where it ends, above ``before``.

        Returns:
            Standard deviation, in units of z at ``after``.
        """

    @abstractmethod
    def mean(self, z: Tensor, x_hat: Tensor, before: float, after: float) -> Tensor:
        """Mean of the next state.

        Args:
            z: State at ``before`` in this rule's frame, shape (n, *shape).
            x_hat: E[x|z], shape (n, *shape).
            before: λ in nats where the step starts.
            after: λ in nats where it ends, above ``before``.

        Returns:
            Mean of z at ``after``, shape (n, *shape).
        """

    def released(self, law: StepLaw, state: Tensor) -> Tensor:
        """What the published code of this rule calls the log-probability.

        Args:
            law: Law of the step.
            state: The state after the step, shape (n, *shape).

        Returns:
            One number for each state, shape (n,); by default the exact log-density.
        """
        return law.log_prob(state)

    def ddim_eta(self, before: ArrayLike, after: ArrayLike) -> np.float64:
        """The η of DDIM that adds as much noise in a step.

        Args:
            before: λ in nats where the step starts.
            after: λ in nats where it ends, above ``before``.

        Returns:
            η; above 1 where the step adds more noise than ancestral sampling does.

        Raises:
            ValueError: λ does not go up, or this rule cannot make the step.
        """
        levels = _checked_levels(before, after)
        ancestral = DDIMStep(1.0, self.frame).std(*levels)
        if not ancestral > 0:
            raise ValueError(
                f"ancestral sampling adds no noise from λ = {levels[0]:.4g} to {levels[1]:.4g}"
            )
        return np.float64(self.std(*levels) / ancestral)

    def law(self, z: Tensor, x_hat: Tensor, before: float, after: float) -> StepLaw:
        """The law of the next state.

        Args:
            z: State at ``before`` in this rule's frame, shape (n, *shape).
            x_hat: E[x|z], shape (n, *shape).
            before: λ in nats where the step starts.
            after: λ in nats where it ends, above ``before``.

        Returns:
            Mean and standard deviation.

        Raises:
            TypeError: z or x_hat is no tensor, or λ no number.
            ValueError: λ does not go up or leaves ±700 nats, x_hat has another shape than z, the
                step adds no noise, so that it has no density, or its mean is not finite.
        """
        check_states(z, name="z")
        return self._law(z, x_hat, *_checked_levels(before, after))

    def _law(self, z: Tensor, x_hat: Tensor, before: float, after: float) -> StepLaw:
        """``law`` for a state and levels that are checked."""
        _check_like(x_hat, z, ("x_hat", "z"))
        std = self.std(before, after)
        if not std > 0:
            raise ValueError(
                f"{self!r} adds no noise from λ = {before:.4g} to {after:.4g}, so that the step "
                "has no density; take an eta above 0 and a finite last level"
            )
        mean = self.mean(z, x_hat, before, after)
        if not torch.isfinite(mean).all():
            raise ValueError(
                f"the mean of the step from λ = {before:.4g} to {after:.4g} leaves {mean.dtype}; "
                "take levels nearer to 0, or states of more digits: z.double()"
            )
        return StepLaw(mean, std)


class _Preserving(NoisyStep):
    """A rule that keeps the amount of noise in z at sigma, whatever part of it is fresh."""

    def mean(self, z: Tensor, x_hat: Tensor, before: float, after: float) -> Tensor:
        """The mean alpha' x_hat + √(sigma'² − std²) eps_hat; see ``NoisyStep.mean``."""
        alpha, sigma = scales(self.frame, before)
        next_alpha, next_sigma = scales(self.frame, after)
        fresh = self.std(before, after)
        eps_hat = (z - alpha * x_hat) / sigma
        return next_alpha * x_hat + math.sqrt(next_sigma**2 - fresh**2) * eps_hat


@dataclass(frozen=True)
class DDIMStep(_Preserving):
    """DDIM with η, of which 1 is ancestral sampling as in DDPO.

    Sources: Song et al. 2020 (arXiv 2010.02502), eq. 12 and 16; DDPO, Black et al. 2023
    (arXiv 2305.13301).

    Args:
        eta: Share of ancestral sampling's noise, in (0, 1].
        frame: The frame of z.
    """

    eta: float = 1.0
    frame: Frame = VP

    def __post_init__(self) -> None:
        object.__setattr__(self, "eta", _checked_share(self.eta))
        if not isinstance(self.frame, Frame):
            raise TypeError(
                "frame must be that of a path, such as dv.paths.LINEAR.frame, "
                f"got {checks.brief(self.frame)}"
            )

    def std(self, before: float, after: float) -> float:
        """η sigma' √(1 − (s'/s)²); see ``NoisyStep.std``."""
        _, sigma = scales(self.frame, after)
        return self.eta * sigma * math.sqrt(-math.expm1(before - after))


@dataclass(frozen=True)
class CPSStep(_Preserving):
    """Coefficient-preserving sampling: a fixed share of the noise is fresh in every step.

    The share does not depend on the length of a step. As steps get shorter the noise therefore
    grows without bound against that of any SDE: the rule has no limit in continuous time.

    Source: arXiv 2509.05952. Its code returns −(z' − mean)², averaged over the components: without
    the factor 1/(2 std²), so that a ratio of two policies is tempered by 2 std²/d.

    Args:
        eta: Amount of noise, in (0, 1]; sin(η π/2) of the noise after a step is fresh.
    """

    eta: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "eta", _checked_share(self.eta))

    def std(self, before: float, after: float) -> float:
        """The part t' sin(η π/2); see ``NoisyStep.std``."""
        _, sigma = scales(self.frame, after)
        return sigma * math.sin(self.eta * math.pi / 2)

    def released(self, law: StepLaw, state: Tensor) -> Tensor:
        """−(z' − mean)², averaged over components; see ``NoisyStep.released``."""
        _check_like(state, law.mean, ("state", "the mean"))
        return -(state - law.mean).square().flatten(1).mean(1)


class _EulerMaruyama(NoisyStep):
    """Euler–Maruyama in the time of the linear path, with g² the variance of noise per time.

        z' = z − Δ u_hat − Δ g²/(2t) eps_hat + g √Δ ε,    Δ = t − t'.

    The term with g² turns the flow into an SDE with the same marginals (Song et al. 2021,
    arXiv 2011.13456).
    """

    @abstractmethod
    def variance_rate(self, logsnr: float) -> float:
        """g², variance of the noise per unit of time.

        Args:
            logsnr: λ in nats where the step starts.

        Returns:
            g², above 0.
        """

    def std(self, before: float, after: float) -> float:
        """The amount g √Δ; see ``NoisyStep.std``."""
        _, t = scales(self.frame, before)
        _, next_t = scales(self.frame, after)
        return math.sqrt(self.variance_rate(before) * (t - next_t))

    def mean(self, z: Tensor, x_hat: Tensor, before: float, after: float) -> Tensor:
        """The mean z − Δ u_hat − Δ g²/(2t) eps_hat; see ``NoisyStep.mean``."""
        alpha, t = scales(self.frame, before)
        _, next_t = scales(self.frame, after)
        eps_hat = (z - alpha * x_hat) / t
        drift = eps_hat - x_hat + self.variance_rate(before) / (2 * t) * eps_hat
        return z - (t - next_t) * drift

    def released(self, law: StepLaw, state: Tensor) -> Tensor:
        """The mean over components, not the sum; see ``NoisyStep.released``."""
        return law.log_densities(state).flatten(1).mean(1)


@dataclass(frozen=True)
class FlowGRPOStep(_EulerMaruyama):
    """Flow-GRPO's noise, g = a √(t/(1 − t)).

    In the limit of short steps it is DDIM with η = a/√2. The code averages the log-density over
    the components, so that its ratio of two policies is the d-th root of the exact one.

    Source: Liu et al. 2025 (arXiv 2505.05470), eq. 9 and its code.

    Args:
        scale: a, the amount of noise, above 0; the code's ``noise_level``.
    """

    scale: float = 0.7

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", checks.positive(self.scale, "scale"))

    def variance_rate(self, logsnr: float) -> float:
        """a² t/(1 − t), which is a² e^(−λ/2); see ``_EulerMaruyama.variance_rate``."""
        return self.scale**2 * math.exp(-logsnr / 2)


@dataclass(frozen=True)
class DanceGRPOStep(_EulerMaruyama):
    """DanceGRPO's noise, the same at all times: g = η.

    In the limit of short steps it is DDIM with η √((1 − t)/(2t)): little where there is much noise,
    and without bound near the data. The code averages over the components as Flow-GRPO's does.

    Source: Xue et al. 2025 (arXiv 2505.07818) and its code.

    Args:
        eta: Amount of noise, above 0.
    """

    eta: float = 0.3

    def __post_init__(self) -> None:
        object.__setattr__(self, "eta", checks.positive(self.eta, "eta"))

    def variance_rate(self, logsnr: float) -> float:
        """η²; see ``_EulerMaruyama.variance_rate``."""
        return self.eta**2


def step(
    model: Denoiser,
    z: Tensor,
    before: float,
    after: float,
    rule: NoisyStep,
    follow: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, StepLaw]:
    """One step up in λ, with the law from which it is drawn.

    Args:
        model: A policy, a denoiser.
        z: State at ``before`` in the frame of the rule, shape (n, *shape).
        before: λ in nats where the step starts.
        after: λ in nats where it ends, above ``before``.
        rule: How much noise is added, such as ``FlowGRPOStep(0.7)``.
        follow: The state at ``after`` whose probability is asked for; drawn by default.
        generator: Torch generator of the draw; needed unless ``follow`` is given.

    Returns:
        The state at ``after``, shape (n, *shape), and the law of the step, which is differentiable
        in the model.

    Raises:
        TypeError: z is no tensor, the model has no denoise(z, logsnr), the rule is none, or the
            generator not torch's.
        ValueError: λ does not go up or leaves ±700 nats, ``follow`` has another shape than z, there
            is nothing to draw with, or the step adds no noise.
    """
    before, after = _checked_levels(before, after)
    check_states(z, name="z")
    check_denoiser(model)
    check_rule(rule)
    if follow is None and generator is None:
        raise ValueError(
            "give follow, or a generator to draw with: torch.Generator().manual_seed(0)"
        )
    if follow is not None:
        _check_like(follow, z, ("follow", "z"))
    if generator is not None:
        checks.torch_generator(generator)
    with threads.suited(threads.denoising(model, len(z)), z.device):
        law = _law(model, z, (before, after), rule)
        if follow is None:
            assert generator is not None
            follow = law.draw(generator)
        return follow, law


def _law(model: Denoiser, z: Tensor, ends: tuple[float, float], rule: NoisyStep) -> StepLaw:
    """The law of a step for arguments that are checked; the denoiser sees z in the frame VP."""
    before, after = ends
    alpha, sigma = scales(rule.frame, before)
    in_vp = z / math.hypot(alpha, sigma)
    levels = z.new_tensor(before).expand(len(z))
    x_hat = checks.returned_tensor(model.denoise(in_vp, levels), "the denoiser")
    return rule._law(z, x_hat, before, after)


def log_probs(
    model: Denoiser,
    trajectory: list[Tensor] | tuple[Tensor, ...],
    levels: ArrayLike,
    rule: NoisyStep,
    released: bool = False,
) -> Tensor:
    """Log-probabilities of the steps of a trajectory, on any grid and under any rule of noise.

    Their sum is the exact log-likelihood of the trajectory, given where it starts.

    Args:
        model: A policy, a denoiser.
        trajectory: States in the frame of the rule, each (n, *shape), one for each level.
        levels: Increasing λ in nats, shape (steps + 1,).
        rule: How much noise was added, such as ``FlowGRPOStep(0.7)``.
        released: Whether to compute what the rule's published code does.

    Returns:
        One number for each step and trajectory, shape (steps, n), differentiable in the model.

    Raises:
        TypeError: A state is no tensor, the model has no denoise(z, logsnr), or the rule is none.
        ValueError: Levels do not increase, or are not as many as the states, a state is not finite
            or has another shape than the one before, or ``released`` is no bool.

    Example:
        >>> policy = dv.policy.bandit.Shift()
        >>> rule, levels = FlowGRPOStep(0.7), [-4.0, 0.0, 4.0]
        >>> states = walk(policy, 5, levels, rule, torch.Generator().manual_seed(0))
        >>> log_probs(policy, states, levels, rule).shape
        torch.Size([2, 5])
    """
    check_rule(rule)
    released = checks.one_of(released, "released", (False, True))
    grid = checks.increasing(levels, "levels")
    if not isinstance(trajectory, (list, tuple, Tensor)):
        raise TypeError(f"trajectory must be a list of states, got {type(trajectory).__name__}")
    if len(grid) != len(trajectory) or len(grid) < 2:
        raise ValueError(
            f"a trajectory has one state for each of two or more levels, got {len(trajectory)} "
            f"states and {len(grid)} levels"
        )
    rows = []
    check_denoiser(model)
    check_states(trajectory[0], name="each state of the trajectory")
    for z, follow in pairwise(trajectory):
        _check_like(follow, z, ("follow", "z"))
    _checked_levels(grid[0], grid[-1])
    with threads.suited(threads.denoising(model, len(trajectory[0])), trajectory[0].device):
        for (z, follow), levels in zip(pairwise(trajectory), pairwise(grid.tolist()), strict=True):
            law = _law(model, z, levels, rule)
            rows.append(rule.released(law, follow) if released else law.log_prob(follow))
    return torch.stack(rows)


@torch.no_grad()
def walk(
    model: Denoiser,
    n: int,
    levels: ArrayLike,
    rule: NoisyStep,
    generator: torch.Generator,
) -> list[Tensor]:
    """Trajectories of a policy of the plane, step by step with noise.

    They start from N(0, alpha² + sigma²), which is z of a policy that is N(0, I).

    Args:
        model: The policy, a denoiser of points of the plane.
        n: Number of trajectories.
        levels: Increasing λ in nats, shape (steps + 1,).
        rule: How much noise is added.
        generator: Torch generator, on the device of the policy.

    Returns:
        The states in the frame of the rule, one for each level, each (n, 2), float64.

    Raises:
        TypeError: n is no whole number, the generator is not torch's, or the rule none.
        ValueError: n < 1, or the levels do not increase.
    """
    n = checks.count(n, "n")
    check_rule(rule)
    checks.torch_generator(generator)
    grid = checks.increasing(levels, "levels")
    check_denoiser(model)
    device = generator.device
    with threads.suited(threads.denoising(model, n), device):
        start = drawn(torch.randn, (n, 2), generator=generator, device=device, dtype=torch.float64)
        states = [start * math.hypot(*scales(rule.frame, grid[0]))]
        for before, after in pairwise(grid):
            states.append(step(model, states[-1], before, after, rule, generator=generator)[0])
    return states


def check_rule(rule: NoisyStep) -> None:
    """Refuse what is no rule of noise.

    Args:
        rule: What should be a ``NoisyStep``.

    Raises:
        TypeError: It is not.
    """
    if not isinstance(rule, NoisyStep):
        raise TypeError(
            "rule must be a rule of noise such as FlowGRPOStep(0.7) or DDIMStep(1.0), "
            f"got {checks.brief(rule)}"
        )


def _check_like(state: Tensor, other: Tensor, names: tuple[str, str]) -> None:
    """Refuse what holds no finite floats in the shape of another state."""
    check_states(state, name=names[0])
    if state.shape != other.shape:
        raise ValueError(
            f"{names[0]} has shape {tuple(state.shape)}, {names[1]} {tuple(other.shape)}"
        )


def _checked_share(eta: float) -> float:
    """A share of noise in (0, 1]."""
    return checks.positive(checks.number(eta, "eta", low=0.0, high=1.0), "eta")


def scales(frame: Frame, level: float) -> tuple[float, float]:
    """Signal and noise of a frame at one λ.

    Args:
        frame: The frame of z.
        level: λ in nats.

    Returns:
        alpha and sigma.

    Raises:
        TypeError: The frame is none, or λ no number.
        ValueError: λ is not finite, or leaves ±700 nats.
    """
    checks.instance(frame, "frame", Frame, "that of a path, such as dv.paths.LINEAR.frame")
    return _scales(frame, checks.number(level, "level", -LARGEST_LEVEL, LARGEST_LEVEL))


@lru_cache(1024)
def _scales(frame: Frame, level: float) -> tuple[float, float]:
    """``scales`` for arguments that are checked: a trajectory asks for the same ones each time."""
    alpha = float(frame.alpha(np.array([level]))[0])
    return alpha, alpha * float(noise_ratio(level))


def _checked_levels(before: ArrayLike, after: ArrayLike) -> tuple[float, float]:
    """Two levels as numbers; a ValueError unless they go up within ±700 nats."""
    start = checks.number(before, "before", -LARGEST_LEVEL, LARGEST_LEVEL)
    end = checks.number(after, "after", -LARGEST_LEVEL, LARGEST_LEVEL)
    if not start < end:
        raise ValueError(f"a step goes up in λ, got before={start} and after={end}")
    return start, end
