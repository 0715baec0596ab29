"""How likely data are under a diffusion model: the ELBO behind the loss, and the probability-flow ODE.

With a variance-preserving denoiser, over λ from ``low`` to ``high`` (Kingma et al. 2021, arXiv 2107.00630, eq. 11 and 17),

    −ELBO = KL(q(z_low|x) ‖ N(0, I)) + ½ ∫ E‖eps − eps_hat‖² dλ + E[−log N(x; z_high/alpha, sigma²/alpha²)].

For p smoothed by variance 2 e^(−high): it may lie below −log p(x), on average it is above by ½ e^(−high) Fisher information.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy import stats
from torch import Tensor
from torchdiffeq import odeint

from diffviz.sampling import grids
from diffviz.theory.analysis import evaluate

NODE, WEIGHT = (torch.from_numpy(one) for one in np.polynomial.legendre.leggauss(12))


@dataclass(frozen=True)
class Bound:
    """Terms of −ELBO (n,) in nats; squared eps error (m, n), summed over dimensions, at levels with quadrature weights."""

    prior: Tensor
    diffusion: Tensor
    reconstruction: Tensor
    logsnr: Tensor
    weight: Tensor
    error: Tensor
    dimension: int

    @property
    def nats(self) -> Tensor:
        """−ELBO of each datum, (n,); its mean is that of the data."""
        return self.prior + self.diffusion + self.reconstruction

    @property
    def bits(self) -> Tensor:
        """−ELBO in bits per dimension, (n,); for 8-bit data mapped to [−1, 1] add log2(127.5)."""
        return self.nats / (self.dimension * math.log(2))

    def weighted(self, w: Any) -> Tensor:
        """½ ∫ w E‖eps − eps_hat‖² dλ from the same errors, (n,), for an objective or a callable of λ."""
        return (
            torch.from_numpy(evaluate(w, self.logsnr.cpu().numpy())).to(self.error)
            * self.weight
            * self.error
        ).sum(0) / 2


def _points(x: Any, low: float, high: float) -> tuple[Tensor, int]:
    data = torch.as_tensor(x).detach().double()
    if data.ndim < 2 or not data.numel() or not torch.isfinite(data).all():
        raise ValueError(
            f"x must be finite and (n, *shape), got {tuple(data.shape)}; numbers on a line are x[:, None]"
        )
    if not -math.inf < low < high < math.inf:
        raise ValueError(
            f"need finite low < high (λ runs from noise to data), got {low} and {high}"
        )
    return data, data[0].numel()


def _denoised(model: Any, z: Tensor, logsnr: Tensor) -> Tensor:
    x_hat = model.denoise(z, logsnr)
    if x_hat.shape != z.shape:
        raise ValueError(
            f"the denoiser returned {tuple(x_hat.shape)} for z {tuple(z.shape)}; it must return x_hat, like z"
        )
    if len(bad := logsnr[~torch.isfinite(x_hat).flatten(1).all(1)]):
        raise ValueError(
            f"the denoiser returned NaN or inf at logsnr {bad[0]:.4g}; narrow low and high, or mend it"
        )
    return x_hat


@torch.no_grad()
def elbo(
    model: Any, x: ArrayLike | Tensor, *, low: float = -10.0, high: float = 10.0, levels: int = 128, law: Any = None,
    finite: bool = False, exact: bool = False, generator: torch.Generator | None = None,
) -> Bound:  # fmt: skip
    """Evidence lower bound of data under a denoiser.

    Args:
        model: anything with ``denoise(z, logsnr)`` → x_hat on the variance-preserving frame: a run, a toy; x: data (n, *shape).
        levels: strata of λ, equally probable under ``law`` (frozen SciPy distribution, uniform by default), one draw of λ and
            noise for every datum in each. The expectation depends on neither.
        finite: the bound of T = ``levels`` steps, ½ Σ expm1(Δλ) E‖eps − eps_hat‖² at the noisier ends (eq. 14).
        exact: no draws: noise on a lattice, 12 Gauss–Legendre nodes in each stratum (2 nats will do); 1 or 2 dimensions.
    Raises ValueError for low >= high, levels < 1, x that is not finite, or a denoiser that returns NaN or another shape.
    """
    data, d = _points(x, low, high)
    if exact and d > 2:
        raise ValueError(f"exact noise is for 1 or 2 dimensions, x has {d}: leave it to draws")
    grid = torch.from_numpy(grids.grid(law or stats.uniform(low, high - low), levels, low, high))
    logsnr, weight, line = (
        grid[:-1, None],
        grid.diff()[:, None],
        torch.arange(-40, 41, dtype=torch.float64) / 5,
    )
    if finite:
        weight = weight.expm1()
    elif exact:
        logsnr, weight = (
            (logsnr + weight * (1 + NODE) / 2).reshape(-1, 1),
            (weight * WEIGHT / 2).reshape(-1, 1),
        )
    else:
        logsnr = logsnr + weight * torch.rand(
            levels, len(data), generator=generator, dtype=torch.float64
        )
    logsnr, weight = (one.expand(-1, len(data)).to(data) for one in (logsnr, weight))
    nodes = torch.cartesian_prod(*[line] * d).reshape(-1, d) if exact else line.new_zeros(1, d)
    mass, errors = (-nodes.square().sum(1) / 2).softmax(0).to(data), []
    for pair in torch.arange(logsnr.numel()).split(max(1, 2**16 // len(nodes))):  # points at once
        clean = data[(pair % len(data)).repeat_interleave(len(nodes))]
        level = logsnr.flatten()[pair].repeat_interleave(len(nodes))
        eps = (
            nodes.repeat(len(pair), 1)
            if exact
            else torch.randn(len(pair), d, generator=generator, dtype=nodes.dtype)
        )
        alpha, sigma = (
            one.sigmoid().sqrt().reshape(-1, *[1] * (data.ndim - 1)) for one in (level, -level)
        )
        miss = clean - _denoised(
            model, alpha * clean + sigma * eps.reshape(clean.shape).to(clean), level
        )
        errors.append((level.exp() * miss.square().flatten(1).sum(1)).reshape(len(pair), -1) @ mass)
    error = torch.cat(errors).reshape(logsnr.shape)
    signal, noise = (data.new_tensor(one).sigmoid() for one in (low, -low))
    prior = (d * (noise - 1 - noise.log()) + signal * data.square().flatten(1).sum(1)) / 2
    reconstruction = torch.full_like(prior, d / 2 * (math.log(2 * math.pi) + 1 - high))
    return Bound(prior, (weight * error).sum(0) / 2, reconstruction, logsnr, weight, error, d)


def log_likelihood(
    model: Any, x: ArrayLike | Tensor, *, low: float = -12.0, high: float = 10.0, steps: int | None = 200,
    tolerance: float = 1e-6, probes: int | None = None, gaussian: bool = False,
    prior: Callable[[Tensor], Tensor] | None = None, generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Log-likelihood by the probability-flow ODE: the density of z/alpha at ``high``, seen as that of x.

    With y = z/alpha the flow is dy/dλ = (x_hat − y)/2, and log p changes by its divergence (Song et al. 2021, arXiv 2011.13456,
    eq. 39), by Hutchinson probes, one set for a whole trajectory (Grathwohl et al. 2019, arXiv 1810.01367), or exactly.

    Args:
        model, x: as for ``elbo``; the denoiser must be differentiable, each x_hat a function of its own z alone.
        steps: steps of RK4, uniform in λ; None for an adaptive solver (dopri5) at ``tolerance``.
        probes: number of Hutchinson probes, signs or ``gaussian``; None: the exact trace, a backward pass for each dimension.
        prior: log density of z at ``low``, (n, *shape) → (n,); standard normal by default.
    Returns log density (n,) in nats, and the standard error (n,) that the probes leave: 0 for an exact trace, NaN for one probe.
    Raises ValueError for low >= high, steps or probes < 1, a denoiser or prior that gives NaN or another shape, or no gradient.
    """
    data, d = _points(x, low, high)
    if not all(count is None or count >= 1 for count in (probes, steps)) or not tolerance > 0:
        raise ValueError(
            f"need probes and steps >= 1, or None, and tolerance > 0; got {probes}, {steps} and {tolerance}"
        )
    if probes is None:  # sqrt(d) times the unit vectors: their mean is the trace
        directions = math.sqrt(d) * torch.eye(d).to(data).reshape(d, 1, *data.shape[1:]).expand(
            d, *data.shape
        )
    else:
        directions = torch.randn(probes, *data.shape, generator=generator, dtype=data.dtype).to(
            data
        )
        directions = directions if gaussian else directions.sign()

    def flow(logsnr: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            y = state[0].detach().requires_grad_()
            x_hat = _denoised(model, logsnr.sigmoid().sqrt() * y, logsnr.expand(len(y)))
            pulled = [
                torch.autograd.grad(x_hat, y, v, True, allow_unused=True)[0]
                for v in directions
                if x_hat.requires_grad
            ]
            if not pulled or pulled[0] is None:
                raise ValueError(
                    "the denoiser cuts the gradient (no_grad or detach inside), which the divergence needs"
                )
        return (x_hat - y).detach() / 2, (directions * (torch.stack(pulled) - directions)).flatten(
            2
        ).sum(2) / 2

    ends, first = data.new_tensor([high, low]), (data, data.new_zeros(len(directions), len(data)))
    how = (
        {"method": "rk4", "options": {"step_size": (high - low) / steps}}
        if steps
        else {"method": "dopri5"}
    )
    (_, y), (_, change) = odeint(flow, first, ends, rtol=tolerance, atol=tolerance, **how)
    z = (alpha := ends[1].sigmoid().sqrt()) * y
    start = (
        prior(z).detach()
        if prior
        else -(z.square().flatten(1).sum(1) + d * math.log(2 * math.pi)) / 2
    )
    if start.shape != (len(z),) or start.isnan().any():
        raise ValueError(
            f"prior must give a log density (n,) without NaN for z {tuple(z.shape)}, got {tuple(start.shape)}"
        )
    return start + d * alpha.log() + change.mean(0), change.std(0, False) / (
        probes - 1
    ) ** 0.5 if probes else 0 * change[0]
