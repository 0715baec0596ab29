"""How likely data are under a diffusion model: the ELBO behind the loss, and the flow's density.

With a variance-preserving denoiser, over λ from ``low`` to ``high`` (Kingma et al. 2021,
arXiv 2107.00630, eq. 11 and 17),

    −ELBO = KL(q(z_low|x) ‖ N(0, I)) + ½ ∫ E‖eps − eps_hat‖² dλ + E[−log N(x; z/alpha, s²)],

with z and s² = sigma²/alpha² of the last term at ``high``. It bounds the likelihood of the data
smoothed by the variance 2 e^(−high): for one x it may lie below −log p(x), and on average it is
above by ½ e^(−high) times the Fisher information.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy import stats
from torch import Tensor

from diffviz.checks import (
    brief,
    count,
    number,
    offers,
    one_of,
    require,
    returned_tensor,
    tensor,
    torch_generator,
)
from diffviz.compute import gradients, threads
from diffviz.protocols import Denoiser, Law
from diffviz.sampling import grids
from diffviz.sampling.calls import answer
from diffviz.sampling.draws import drawn
from diffviz.sampling.integrate import Scaled, check_shape, data_mean, data_std, spread_of_z
from diffviz.sampling.odes import odeint, tolerance_for
from diffviz.theory.analysis import evaluate
from diffviz.theory.frames import LARGEST_LEVEL

NODE, WEIGHT = map(torch.from_numpy, np.polynomial.legendre.leggauss(12))
LINE = torch.arange(-40, 41, dtype=torch.float64) / 5  # lattice of noise for exact expectations
POINTS_AT_ONCE = 2**16
NUMBERS_AT_ONCE = 2**19  # of a tensor, 4 MB in float64
BLOCK = 16  # normal numbers that torch draws together
LOG_TWO_PI = math.log(2 * math.pi)
LOWEST = -12.0  # λ where the flow of data of unit variance ends in noise
SIGNAL_LEFT = 0.1  # size of the data over the noise at which N(0, I) is off by 0.005 nats
ROUNDING = 1e-3  # nats that rounding may add to the bound for one number


@dataclass(frozen=True, eq=False)
class Bound:
    """The terms of −ELBO in nats, with the errors that they come from.

    Args:
        prior: KL(q(z_low|x) ‖ N(0, I)), shape (n,).
        diffusion: ½ ∫ E‖eps − eps_hat‖² dλ, shape (n,).
        reconstruction: E[−log N(x; z/alpha, sigma²/alpha²)] at the highest λ, shape (n,).
        logsnr: Levels of the quadrature in nats, shape (m, n).
        weight: Weights of the quadrature, shape (m, n).
        error: ‖eps − eps_hat‖² at the levels, summed over dimensions, shape (m, n).
        dimension: Number of dimensions of one datum.

    Example:
        >>> bound = dv.elbo(dv.toy("gaussian"), torch.ones(1, 1), levels=10, exact=True)
        >>> round(bound.nats.item(), 4), round(bound.bits.item(), 4)
        (1.419, 2.0471)
    """

    prior: Tensor
    diffusion: Tensor
    reconstruction: Tensor
    logsnr: Tensor
    weight: Tensor
    error: Tensor
    dimension: int

    def __repr__(self) -> str:
        nats = self.nats
        return f"Bound({nats.mean().item():.4g} nats on average over {len(nats)} data)"

    @property
    def nats(self) -> Tensor:
        """−ELBO of each datum, shape (n,); its mean is that of the data."""
        return self.prior + self.diffusion + self.reconstruction

    @property
    def bits(self) -> Tensor:
        """−ELBO in bits per dimension, shape (n,); for 8-bit data on [−1, 1] add log2(127.5)."""
        return self.nats / (self.dimension * math.log(2))

    def weighted(self, w: Any) -> Tensor:
        """½ ∫ w E‖eps − eps_hat‖² dλ from the same errors.

        Args:
            w: An objective, or a weighting on the eps error as a callable of λ.

        Returns:
            The weighted loss of each datum, shape (n,).

        Raises:
            TypeError: ``w`` is a name.
            ValueError: A value of w is negative or not finite.

        Example:
            >>> bound = dv.elbo(dv.toy("gaussian"), torch.ones(1, 1), levels=10, exact=True)
            >>> torch.allclose(bound.weighted(dv.multipliers.constant), bound.diffusion)
            True
        """
        factor = torch.from_numpy(evaluate(w, self.logsnr.cpu().numpy())).to(self.error)
        with threads.suited(threads.elements(self.error)):
            return (factor * self.weight * self.error).sum(0) / 2


# --- the evidence lower bound -------------------------------------------------------------------


@torch.no_grad()
def elbo(
    denoiser: Denoiser,
    x: ArrayLike | Tensor,
    *,
    low: float = -10.0,
    high: float = 10.0,
    levels: int = 128,
    law: Law | None = None,
    finite: bool = False,
    exact: bool = False,
    generator: torch.Generator | None = None,
) -> Bound:
    """Evidence lower bound of data under a denoiser.

    Args:
        denoiser: A run, a toy, anything with ``denoise(z, logsnr)`` → x_hat for
            variance-preserving z. z has float64; a network in another type is called in its own,
            whose rounding then enters the bound (``sampling.calls``).
        x: Data, shape (n, *shape); integers are made float.
        low: Noisiest level in nats.
        high: Cleanest level in nats. z in float64 resolves the noise up to about 67, and less far
            where data are larger than 1; more is refused.
        levels: Number of strata of λ, equally probable under ``law``, with one draw of λ and of
            noise for every datum in each. The expectation does not depend on it.
        law: Law of λ that covers all levels, uniform by default. The expectation does not depend
            on it.
        finite: Whether to bound a model of ``levels`` steps,
            ½ Σ expm1(Δλ) E‖eps − eps_hat‖² at their noisier ends (eq. 14).
        exact: Whether to integrate over noise on a lattice and over λ with 12 Gauss–Legendre nodes
            in each stratum (strata of 2 nats will do) instead of drawing both; for data of one or
            two dimensions.
        generator: Source of the draws; None for torch's own.

    Returns:
        The terms of the bound.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: Not low < high, ``high`` is beyond what float64 resolves, ``levels`` is below
            1, the law leaves levels out, x is not finite or has no shape (n, *shape), or the
            denoiser returns NaN, infinity or another shape.

    Example:
        >>> bound = dv.elbo(dv.toy("gaussian"), torch.ones(1, 1), levels=10, exact=True)
        >>> round(bound.nats.item(), 4)
        1.419
    """
    data = data_points(x)
    low, high = level_range(low, high)
    check_rounding(data, high)
    check_shape(data, denoiser, "x")
    d = data[0].numel()
    finite = one_of(finite, "finite", (False, True))
    exact = one_of(exact, "exact", (False, True))
    require(
        not exact or d <= 2,
        f"exact noise is for 1 or 2 dimensions, x has {d}: leave it to draws",
    )
    if generator is not None:
        torch_generator(generator)
    strata = level_strata(law, levels, low, high)
    evaluations = (len(strata) - 1) * len(data) * (len(NODE) * len(LINE) ** d if exact else 1)
    work = threads.denoising(denoiser, min(evaluations, POINTS_AT_ONCE))
    with threads.suited(work, data.device):
        return bound(denoiser, data, strata, finite, exact, generator)


def bound(
    denoiser: Denoiser,
    data: Tensor,
    strata: Tensor,
    finite: bool,
    exact: bool,
    generator: torch.Generator | None,
) -> Bound:
    """The terms of ``elbo``, whose arguments are checked.

    Args:
        denoiser: The denoiser.
        data: x in float64, shape (n, *shape).
        strata: Edges of the strata in nats, shape (levels + 1,).
        finite: Whether a stratum is a step of a finite model.
        exact: Whether to integrate over noise and λ instead of drawing both.
        generator: Source of the draws.

    Returns:
        The terms.
    """
    d = data[0].numel()
    low, high = strata[0].item(), strata[-1].item()
    logsnr, weight = (
        part.expand(-1, len(data)).to(data)
        for part in quadrature(strata, data, finite, exact, generator)
    )
    error = squared_errors(denoiser, data, logsnr, exact, generator)
    signal = data.new_tensor(low).sigmoid()
    noise = data.new_tensor(-low).sigmoid()
    prior = (d * (noise - 1 - noise.log()) + signal * data.square().flatten(1).sum(1)) / 2
    return Bound(
        prior=prior,
        diffusion=(weight * error).sum(0) / 2,
        reconstruction=torch.full_like(prior, d / 2 * (LOG_TWO_PI + 1 - high)),
        logsnr=logsnr,
        weight=weight,
        error=error,
        dimension=d,
    )


def level_strata(law: Law | None, levels: int, low: float, high: float) -> Tensor:
    """Edges of strata from ``low`` to ``high``, equally probable under a law.

    Args:
        law: Law of λ; None for a uniform one.
        levels: Number of strata.
        low: Noisiest level in nats.
        high: Cleanest level in nats.

    Returns:
        Edges in nats, shape (levels + 1,).

    Raises:
        TypeError: ``law`` is no law, or ``levels`` no whole number.
        ValueError: ``levels`` is below 1, or the law leaves out a part of the levels.
    """
    size = count(levels, "levels")
    uniform = stats.uniform(low, high - low)
    edges = grids.grid(uniform if law is None else law, size, low, high)
    require(
        edges[0] == low and edges[-1] == high,
        f"the law must cover all levels from low to high, {low:g} to {high:g}; "
        f"its own end at {edges[0]:g} and {edges[-1]:g}",
    )
    return torch.from_numpy(edges)


def quadrature(
    strata: Tensor, data: Tensor, finite: bool, exact: bool, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """Levels and weights of the integral over λ.

    Args:
        strata: Edges of the strata in nats, shape (levels + 1,).
        data: x, shape (n, *shape).
        finite: Whether a stratum is a step of a finite model, met at its noisier end.
        exact: Whether a stratum has Gauss–Legendre nodes; by default it has a draw for each datum.
        generator: Source of the draws.

    Returns:
        Levels, shape (m, n) or (m, 1), and weights, shape (m, 1).
    """
    start = strata[:-1, None]
    width = strata.diff()[:, None]
    if finite:
        return start, width.expm1()
    if exact:
        nodes = start + width * (1 + NODE) / 2
        return nodes.reshape(-1, 1), (width * WEIGHT / 2).reshape(-1, 1)
    size = (len(width), len(data))
    share = drawn(torch.rand, size, generator=generator, device=data.device, dtype=torch.float64)
    return start.to(share) + width.to(share) * share, width


def pairs_at_once(nodes: int, d: int) -> int:
    """How many pairs of a datum and a level are denoised together.

    Larger tensors than ``NUMBERS_AT_ONCE`` take twice as long for each number, since the system
    hands out their memory anew each time. Multiples of ``BLOCK`` leave the draws as they are:
    torch draws normal numbers in blocks of as many.

    Args:
        nodes: Values of the noise for each pair.
        d: Dimensions.

    Returns:
        Number of pairs, at least 1.
    """
    fitting = min(POINTS_AT_ONCE // nodes, NUMBERS_AT_ONCE // (nodes * d))
    return max(1, fitting - fitting % BLOCK if fitting > BLOCK else fitting)


def squared_errors(
    denoiser: Denoiser,
    data: Tensor,
    logsnr: Tensor,
    exact: bool,
    generator: torch.Generator | None,
) -> Tensor:
    """E‖eps − eps_hat‖² of each datum at its levels, by lattice or by one draw.

    Args:
        denoiser: The denoiser.
        data: x, shape (n, *shape).
        logsnr: Levels in nats, shape (m, n).
        exact: Whether the noise is a lattice instead of a draw.
        generator: Source of the draws.

    Returns:
        The errors, summed over dimensions, shape (m, n).
    """
    d = data[0].numel()
    nodes = torch.cartesian_prod(*[LINE] * d).reshape(-1, d) if exact else LINE.new_zeros(1, d)
    mass = (-nodes.square().sum(1) / 2).softmax(0).to(data)
    errors = []
    for pair in torch.arange(logsnr.numel()).split(pairs_at_once(len(nodes), d)):
        clean = data[(pair % len(data)).repeat_interleave(len(nodes))]
        level = logsnr.flatten()[pair].repeat_interleave(len(nodes))
        if exact:
            eps = nodes.repeat(len(pair), 1)
        else:
            size = (len(pair), d)
            eps = drawn(
                torch.randn, size, generator=generator, device=data.device, dtype=nodes.dtype
            )
        column = level.reshape(-1, *[1] * (data.ndim - 1))
        alpha, sigma = column.sigmoid().sqrt(), (-column).sigmoid().sqrt()
        z = alpha * clean + sigma * eps.reshape(clean.shape).to(clean)
        miss = (clean - denoised(denoiser, z, level)).square().flatten(1).sum(1)
        errors.append((level.exp() * miss).reshape(len(pair), -1) @ mass)
    return torch.cat(errors).reshape(logsnr.shape)


# --- the density of the probability-flow ODE ----------------------------------------------------


@gradients.recorded()
def log_likelihood(
    denoiser: Denoiser,
    x: ArrayLike | Tensor,
    *,
    low: float | None = None,
    high: float = 10.0,
    steps: int | None = 200,
    tolerance: float = 1e-6,
    probes: int | None = None,
    gaussian: bool = False,
    prior: Callable[[Tensor], Tensor] | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Log-likelihood by the probability-flow ODE: the density of z/alpha at ``high``, taken at x.

    With y = z/alpha the flow is dy/dλ = (x_hat − y)/2, and log p changes by its divergence (Song
    et al. 2021, arXiv 2011.13456, eq. 39). The divergence is exact, or estimated with Hutchinson
    probes, one set for a whole trajectory (Grathwohl et al. 2019, arXiv 1810.01367).

    Args:
        denoiser: As for ``elbo``; it must be differentiable, and each x_hat a function of its own
            z alone.
        x: Data, shape (n, *shape); integers are made float.
        low: Noisiest level in nats; by default −12, and without a prior 2 log std less for data
            whose standard deviation, as the denoiser states it, is above 1.
        high: Cleanest level in nats.
        steps: Steps of RK4, uniform in λ; None for the adaptive dopri5.
        tolerance: Relative and absolute tolerance of the adaptive solver, from 1e-13.
        probes: Number of Hutchinson probes; None for the exact trace, with a backward pass for
            each dimension.
        gaussian: Whether probes are normal draws instead of signs.
        prior: Log density of z at ``low``, (n, *shape) → (n,); by default normal, with the mean and
            the variance that z has there, from the ``mean`` and the ``std`` of the denoiser. Where
            it states neither, it is standard normal, and a warning says if the data are too large
            for that.
        generator: Source of the probes; None for torch's own.

    Returns:
        Log density in nats, shape (n,), and the standard error that the probes leave, shape (n,):
        0 for the exact trace, NaN for one probe.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: Not low < high, ``steps`` or ``probes`` is below 1, the denoiser or the prior
            returns NaN or another shape, or the denoiser has no gradient.
        FloatingPointError: The adaptive solver cannot keep its tolerance, as with a random
            denoiser.

    Example:
        >>> density, error = dv.log_likelihood(dv.toy("gaussian"), torch.ones(1, 1))
        >>> round(density.item(), 4)
        -1.4189
    """
    data = data_points(x)
    check_shape(data, denoiser, "x")
    if low is None:
        low = LOWEST - (2 * math.log(max(1.0, data_std(denoiser))) if prior is None else 0.0)
    low, high = level_range(low, high)
    if prior is None:
        warn_of_standard_normal(denoiser, data, low)
    method = ode_method(high - low, steps, tolerance)
    with threads.suited(threads.denoising(denoiser, len(data)), data.device):
        directions = probe_directions(data, probes, gaussian, generator)
        density, change = flow_density(denoiser, data, directions, (low, high), method, prior)
        if probes is None:
            return density, torch.zeros_like(density)
        return density, change.std(0, correction=0) / (len(directions) - 1) ** 0.5


def flow_density(
    denoiser: Denoiser,
    data: Tensor,
    directions: Tensor,
    ends: tuple[float, float],
    method: dict[str, Any],
    prior: Callable[[Tensor], Tensor] | None,
) -> tuple[Tensor, Tensor]:
    """The density of ``log_likelihood``, whose arguments are checked.

    Args:
        denoiser: The denoiser.
        data: x in float64, shape (n, *shape).
        directions: What ``probe_directions`` returned, shape (k, n, *shape).
        ends: Noisiest and cleanest level in nats.
        method: What ``ode_method`` returned.
        prior: Log density of z at ``low``; None for the normal one of ``normal_prior``.

    Returns:
        Log density in nats, shape (n,), and its change along each direction, shape (k, n).
    """
    flow = DivergenceFlow(denoiser, directions)
    low, high = ends
    levels = data.new_tensor([high, low])
    first = (data.clone(), data.new_zeros(len(directions), len(data)))
    (_, y), (_, change) = odeint(flow, first, levels, **method)
    alpha = levels[1].sigmoid().sqrt()
    d = data[0].numel()
    prior = normal_prior(denoiser, low) if prior is None else prior
    density = prior_density(prior, alpha * y) + d * alpha.log() + change.mean(0)
    return density, change


@dataclass(frozen=True, eq=False)
class DivergenceFlow:
    """The flow dy/dλ = (x_hat − y)/2 with its divergence along each direction.

    Args:
        denoiser: The denoiser.
        directions: Vectors v whose mean v·(∂f/∂y)·v is the divergence, shape (k, n, *shape).
    """

    denoiser: Denoiser
    directions: Tensor

    def __call__(self, logsnr: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Slopes of y (n, *shape) and of the change of log density (k, n) at a level ()."""
        with torch.enable_grad():
            y = state[0].detach().requires_grad_()
            x_hat = denoised(self.denoiser, logsnr.sigmoid().sqrt() * y, logsnr.expand(len(y)))
            pulled = torch.stack([self._pulled(x_hat, y, v) for v in self.directions])
        divergence = (self.directions * (pulled - self.directions)).flatten(2).sum(2) / 2
        return (x_hat - y).detach() / 2, divergence

    def _pulled(self, x_hat: Tensor, y: Tensor, direction: Tensor) -> Tensor:
        """vᵀ ∂x_hat/∂y for a direction v."""
        pulled = None
        if x_hat.requires_grad:
            pulled = torch.autograd.grad(x_hat, y, direction, True, allow_unused=True)[0]
        if pulled is None:
            raise ValueError(
                "the denoiser cuts the gradient (no_grad or detach inside), "
                "which the divergence needs"
            )
        return pulled


def ode_method(span: float, steps: int | None, tolerance: float) -> dict[str, Any]:
    """Arguments of torchdiffeq's ``odeint`` for RK4 with a number of steps, or for dopri5."""
    tolerance = tolerance_for(tolerance)
    both = {"rtol": tolerance, "atol": tolerance}
    if steps is None:
        return {"method": "dopri5", **both}
    step_size = span / count(steps, "steps")
    return {"method": "rk4", "options": {"step_size": step_size}, **both}


def probe_directions(
    data: Tensor, probes: int | None, gaussian: bool, generator: torch.Generator | None
) -> Tensor:
    """Directions along which the divergence is taken.

    Args:
        data: x, shape (n, *shape).
        probes: Number of Hutchinson probes; None for sqrt(d) times the d unit vectors, whose mean
            is the trace.
        gaussian: Whether probes are normal draws instead of signs.
        generator: Source of the probes.

    Returns:
        Directions, shape (probes or d, n, *shape).
    """
    if generator is not None:
        torch_generator(generator)
    gaussian = one_of(gaussian, "gaussian", (False, True))
    if probes is None:
        d = data[0].numel()
        units = math.sqrt(d) * torch.eye(d).to(data)
        return units.reshape(d, 1, *data.shape[1:]).expand(d, *data.shape)
    size = count(probes, "probes")
    draws = drawn(
        torch.randn,
        size,
        *data.shape,
        generator=generator,
        device=data.device,
        dtype=data.dtype,
    )
    return draws if gaussian else draws.sign()


def normal_prior(denoiser: Denoiser, low: float) -> Callable[[Tensor], Tensor]:
    """Log density of the normal law that has the mean and the variance of z at a level.

    Args:
        denoiser: The denoiser, which may state the ``mean`` and the ``std`` of the data.
        low: The level in nats.

    Returns:
        A function of z (n, *shape) with the log density, (n,).
    """
    mean, spread = data_mean(denoiser), spread_of_z(denoiser, low)

    def log_prob(z: Tensor) -> Tensor:
        centre = 0.0 if mean is None else z.new_tensor(low).sigmoid().sqrt() * mean.to(z)
        unit = (z - centre) / spread
        constant = z[0].numel() * (LOG_TWO_PI + 2 * math.log(spread))
        return -(unit.square().flatten(1).sum(1) + constant) / 2

    return log_prob


def warn_of_standard_normal(denoiser: Denoiser, data: Tensor, low: float) -> None:
    """Warn the caller of ``log_likelihood`` of data that are too large for N(0, I) at ``low``.

    Args:
        denoiser: The denoiser; where it states the mean or the ``std`` of its data, all is well.
        data: x in float64, shape (n, *shape).
        low: Noisiest level in nats.
    """
    if data_mean(denoiser) is not None or offers(denoiser, Scaled):
        return
    with threads.suited(threads.elements(data), data.device):
        size = data.square().mean().sqrt().item()
    signal = size * math.exp(low / 2)
    if signal > SIGNAL_LEFT:
        enough = 2 * math.log(SIGNAL_LEFT / size)
        warnings.warn(
            f"at low = {low:g} data of size {size:.3g} are not noise yet, and the denoiser states "
            "no mean and std, so that N(0, I) is taken for z there; give a prior, a denoiser with "
            f"mean and std, or low={math.floor(enough)}",
            stacklevel=4,  # past the decorator of the door
        )


def prior_density(prior: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    """Log density of z (n, *shape) at the noisy end, (n,), by a function that is checked."""
    require(callable(prior), f"prior must be a function of z or None, got {prior!r}", TypeError)
    density = returned_tensor(prior(z), "prior", "of shape (n,)").detach()
    require(
        density.shape == (len(z),) and not density.isnan().any(),
        f"prior must give a log density (n,) without NaN for z {tuple(z.shape)}, "
        f"got {tuple(density.shape)}",
    )
    return density


# --- input --------------------------------------------------------------------------------------


def data_points(x: ArrayLike | Tensor) -> Tensor:
    """Data in float64, (n, *shape) with n of at least 1."""
    data = tensor(x, "x").double()
    require(
        data.ndim >= 2 and data.numel(),
        f"x must be (n, *shape), got {tuple(data.shape)}; numbers on a line are x[:, None]",
    )
    return data


def level_range(low: float, high: float) -> tuple[float, float]:
    """Both ends of λ as numbers, in order."""
    noisy = number(low, "low", -LARGEST_LEVEL, LARGEST_LEVEL)
    clean = number(high, "high", -LARGEST_LEVEL, LARGEST_LEVEL)
    require(
        noisy < clean,
        f"need low < high (λ runs from noise to data), got {low} and {high}",
    )
    return noisy, clean


def check_rounding(data: Tensor, high: float) -> None:
    """Refuse a level at which the rounding of z in float64 counts in the bound.

    A number x is rounded by up to u|x| with u = 2⁻⁵³, and so is x_hat. Up to λ = high this adds
    ½ ∫ e^λ (u x)² dλ = ½ e^high (u x)² nats to the bound.

    Args:
        data: x in float64, shape (n, *shape).
        high: Cleanest level in nats.

    Raises:
        ValueError: Rounding adds more than ``ROUNDING`` nats for a number of the data.
    """
    with threads.suited(threads.elements(data), data.device):
        size = max(1.0, data.abs().max().item())
    unit = torch.finfo(torch.float64).eps / 2
    highest = math.log(2 * ROUNDING / (unit * size) ** 2)
    require(
        high <= highest,
        f"high must be at most {highest:.1f} nats for x up to {size:.3g}, got {high:g}: above, "
        "the rounding of float64 enters the bound; take a lower high",
    )


def denoised(denoiser: Denoiser, z: Tensor, logsnr: Tensor) -> Tensor:
    """x_hat of z (n, *shape) at levels (n,); a ValueError for NaN, infinity or another shape."""
    if not offers(denoiser, Denoiser):
        raise TypeError(
            f"the denoiser must have denoise(z, logsnr), as a run or a toy; got {brief(denoiser)}"
        )
    x_hat = returned_tensor(answer(denoiser.denoise, z, logsnr), "the denoiser")
    require(
        x_hat.shape == z.shape,
        f"the denoiser returned {tuple(x_hat.shape)} for z {tuple(z.shape)}; "
        "it must return x_hat, like z",
    )
    failed = logsnr[~torch.isfinite(x_hat).flatten(1).all(1)]
    if len(failed):
        raise ValueError(
            f"the denoiser returned NaN or inf at logsnr {failed[0]:.4g}; "
            "take levels at which it is finite, or mend it"
        )
    return x_hat
