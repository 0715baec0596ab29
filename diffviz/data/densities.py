"""Densities whose noised versions are known exactly: mixtures, a circle, a checkerboard.

Each states what z = alpha x + sigma eps says of x. All is float64 and in log space.
"""

import math
from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

CHUNK = 2**17  # elements of a temporary: they stay in the cache
# what z says: its log density (n,), E[x|z] (n, d), score (n, d), and E[‖eps_hat − eps‖²|z] and E[‖eps_hat − eps‖⁴|z] (n,)
Posterior = namedtuple("Posterior", "log_prob x_hat score error fourth")


def posterior_in_pieces(law, z: Tensor, alpha: Tensor, sigma: Tensor) -> Posterior:
    """Of z (n, d), alpha and sigma (n, 1) or (), in pieces of rows that fit in the cache."""
    rows = max(1, CHUNK // (len(law.weights) if isinstance(law, Mixture) else 320))
    channel = z, alpha.reshape(-1, 1).expand(len(z), 1), sigma.reshape(-1, 1).expand(len(z), 1)
    pieces = zip(*(one.split(rows) for one in channel), strict=True)
    return Posterior(
        *map(torch.cat, zip(*(law.posterior(*piece) for piece in pieces), strict=True))
    )


def _legendre(breaks: Tensor, order: int) -> tuple[Tensor, Tensor]:
    """Gauss–Legendre nodes and weights of every panel between sorted breaks."""
    node, weight = (torch.from_numpy(one) for one in np.polynomial.legendre.leggauss(order))
    low, half = breaks[:-1, None], breaks.diff()[:, None] / 2
    return (low + half * (1 + node)).flatten(), (half * weight).flatten()


@dataclass(frozen=True, eq=False)
class Mixture:
    """Mixture of isotropic Gaussians: weights (k,), means (k, d), standard deviations (k,), or (1,) if all are equal."""

    weights: Tensor
    means: Tensor
    std: Tensor

    mean = property(lambda self: self.weights @ self.means)

    def draw(self, u: Tensor, generator: torch.Generator) -> Tensor:
        """x (n, d); the uniform u (n,) chooses the component."""
        k = torch.searchsorted(self.weights.cumsum(0), u).clamp(max=len(self.weights) - 1)
        means, std = self.means[k], self.std.expand_as(self.weights)[k, None]
        return means + std * torch.randn(means.shape, generator=generator, dtype=u.dtype)

    def unit(self) -> "Mixture":
        centred = self.means - self.mean
        scale = (self.weights @ (centred.square().mean(1) + self.std**2)).sqrt()
        return Mixture(self.weights, centred / scale, self.std / scale)

    def posterior(self, z: Tensor, alpha: Tensor, sigma: Tensor) -> Posterior:
        """At z (n, d) with alpha, sigma (n, 1); sigma near 0 asks for the density of x itself.

        From the mean, with v_k = alpha² s_k² + sigma², S² the mean of s_k², V = alpha² S² + sigma², c_k = alpha (S² − s_k²)/V,
        the score of component k is alpha (m_k − c_k z)/v_k − z/V: nothing cancels where noise makes all components alike.
        """
        weights, mean, s2 = (one.to(z.device) for one in (self.weights, self.mean, self.std**2))
        means, z = self.means.to(z.device) - mean, z - alpha * mean
        d, squares, zz, zm = (
            z.shape[1],
            means.square().sum(1),
            z.square().sum(1, keepdim=True),
            z @ means.T,
        )
        v, common = alpha**2 * s2 + sigma**2, alpha**2 * s2.mean() + sigma**2
        c = alpha * (s2.mean() - s2) / common
        terms = (
            weights.log()
            - d / 2 * (2 * math.pi * v).log()
            - (zz - 2 * alpha * zm + alpha**2 * squares) / (2 * v)
        )
        share, spread = terms.softmax(1), alpha**2 * s2 / v
        pull = share / v @ means - z * (share / v * c).sum(1, keepdim=True)
        inner = (pull @ means.T - (z * pull).sum(1, keepdim=True) * c) / v
        offset = (
            (squares - 2 * c * zm + c**2 * zz) / v**2
            - 2 * inner
            + pull.square().sum(1, keepdim=True)
        )
        offset = (alpha * sigma) ** 2 * offset.clamp(min=0)
        error = (
            offset + d * spread
        )  # of a Gaussian off the mean; its square has the variance 2 d spread² + 4 offset spread
        fourth = (share * (error**2 + 2 * d * spread**2 + 4 * offset * spread)).sum(1)
        x_hat = mean + alpha * s2.mean() * z / common + sigma**2 * pull
        return Posterior(
            terms.logsumexp(1), x_hat, alpha * pull - z / common, (share * error).sum(1), fourth
        )

    def quadrature(self, alpha: Tensor, sigma: Tensor) -> tuple[Posterior, Tensor] | None:
        """Posterior on a lattice and weights: the sum of weight * density * f is E f(z); None where that is too much."""
        sd = (alpha**2 * self.std**2 + sigma**2).sqrt().expand_as(self.weights)[:, None]
        step, centres, d = (
            sd.min() / 6,
            alpha * self.means,
            self.means.shape[1],
        )  # a sum over it is spectrally accurate
        low, high = (centres - 7 * sd).min(0).values, (centres + 7 * sd).max(0).values
        size = ((high - low) / step).ceil().long() + 1
        if d > 2 or size.double().prod() * max(64, len(centres)) > 2**28:
            return None
        z = torch.cartesian_prod(
            *(start + step * torch.arange(k) for start, k in zip(low, size, strict=True))
        ).reshape(-1, d)
        return posterior_in_pieces(self, z, alpha, sigma), (step**d).expand(len(z))


@dataclass(frozen=True, eq=False)
class Circle:
    """Uniform on a circle: with r = |z| and k = alpha R r/sigma², x_hat = R I₁(k)/I₀(k) z/r. It has no density of its own."""

    radius: float = math.sqrt(2)  # unit variance
    mean = torch.zeros(2, dtype=torch.float64)

    def draw(self, u: Tensor, generator: torch.Generator) -> Tensor:
        return self.radius * torch.stack([(2 * math.pi * u).cos(), (2 * math.pi * u).sin()], 1)

    def posterior(self, z: Tensor, alpha: Tensor, sigma: Tensor) -> Posterior:
        r, a = z.square().sum(1, keepdim=True).clamp(min=1e-300).sqrt(), alpha * self.radius
        k = (a * r / sigma**2).clamp(1e-150, 1e300)
        i0, x = torch.special.i0e(k), 1 / k.clamp(min=200)
        ratio = torch.special.i1e(k) / i0
        # mean and mean square of 1 − cos of the angle to z, by series (Abramowitz & Stegun 9.7.1) where they cancel
        series = x**2 / 4 + x**3 / 4 + 25 * x**4 / 64 + 13 * x**5 / 16 + 1073 * x**6 / 512
        loss = torch.where(k > 200, (x + series) / 2, 1 - ratio)
        square = torch.where(k > 200, series + x * loss, 2 * loss - ratio / k)
        log_prob = i0.log() - (r - a) ** 2 / (2 * sigma**2) - (2 * math.pi * sigma**2).log()
        score = (a - r - a * loss) / sigma**2 * z / r
        error = (a / sigma) ** 2 * loss * (2 - loss)
        fourth = (a / sigma) ** 4 * (loss**4 + 4 * ratio * loss**3 + 4 * ratio**2 * square)
        return Posterior(
            log_prob[:, 0], self.radius * ratio * z / r, score, error[:, 0], fourth[:, 0]
        )

    def quadrature(self, alpha: Tensor, sigma: Tensor) -> tuple[Posterior, Tensor]:
        """Along a radius: what is averaged depends on r only."""
        middle = alpha * self.radius
        r, weight = _legendre(
            torch.stack([(middle - 10 * sigma).clamp(min=0), middle, middle + 10 * sigma]), 150
        )
        return posterior_in_pieces(
            self, torch.stack([r, 0 * r], 1), alpha, sigma
        ), 2 * math.pi * r * weight


@dataclass(frozen=True, eq=False)
class Checkerboard:
    """Uniform on the 8 dark squares of the 4 x 4 board [−half, half]²: both coordinates in even intervals or both in odd."""

    half: float = math.sqrt(3)  # unit variance
    mean = torch.zeros(2, dtype=torch.float64)

    def draw(self, u: Tensor, generator: torch.Generator) -> Tensor:
        corner = (
            2 * torch.randint(2, (len(u), 2), generator=generator) + (u > 0.5).long()[:, None] - 2
        )
        return self.half / 2 * (corner + torch.rand(len(u), 2, generator=generator, dtype=u.dtype))

    def _coordinate(self, z: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Of a coordinate z (n, 1), by interval: log density, E[x|z], E[−eps|z] and its central moments 2 to 4, (6, n, 4).

        Within [a, b], −eps is a standard normal cut to [(alpha a − z)/sigma, (alpha b − z)/sigma]. 40 Gauss nodes where it
        is above e^−40 of its mode give all moments to rounding; differences of erf cancel in short or far intervals.
        """
        a = self.half * z.new_tensor([-1, -0.5, 0, 0.5])
        low, side = (alpha * a - z) / sigma, (alpha * self.half / (2 * sigma)).expand(len(z), 4)
        mode = torch.minimum((-low).clamp(min=0), side)
        reach = 81 / (9 + (low + mode).abs())
        start = (mode - reach).clamp(min=0)
        width = (torch.minimum(mode + reach, side) - start).clamp(min=1e-300)
        node, weight = (
            one.to(z) for one in _legendre(torch.tensor([0.0, 1.0], dtype=torch.float64), 40)
        )
        offset = width[..., None] * node
        inner = weight.log() - ((low + start)[..., None] + offset) ** 2 / 2
        share = inner.softmax(-1)
        middle = (share * offset).sum(-1)
        central = [(share * (offset - middle[..., None]) ** power).sum(-1) for power in (2, 3, 4)]
        terms = inner.logsumexp(-1) + (width / side).log() - math.log(2 * math.pi) / 2 - sigma.log()
        return torch.stack(
            [terms, a + sigma / alpha * (start + middle), low + start + middle, *central]
        )

    def _join(self, x: Tensor, y: Tensor, alpha: Tensor, sigma: Tensor) -> Posterior:
        """Both coordinates together: a mixture of eight squares."""
        dark = x[..., [0, 0, 2, 2, 1, 1, 3, 3]], y[..., [0, 2, 0, 2, 1, 3, 1, 3]]
        terms, x_hat, shift, second, third, fourth = torch.stack(dark, -1)
        share = terms.sum(-1).softmax(-1)[..., None]
        mean = (share * x_hat).sum(1)
        offset = (alpha / sigma)[..., None] * (x_hat - mean[:, None])
        square = second + offset**2  # of one coordinate of eps_hat − eps
        error = square.sum(-1, keepdim=True)
        excess = fourth + 4 * offset * third + 6 * offset**2 * second + offset**4 - square**2
        means = (
            (share * error).sum((1, 2)),
            (share * (error**2 + excess.sum(-1, keepdim=True))).sum((1, 2)),
        )
        return Posterior(
            terms.sum(-1).logsumexp(-1) - math.log(8), mean, (share * shift).sum(1) / sigma, *means
        )

    def posterior(self, z: Tensor, alpha: Tensor, sigma: Tensor) -> Posterior:
        x, y = (self._coordinate(one, alpha, sigma) for one in z.split(1, 1))
        return self._join(x, y, alpha, sigma)

    def quadrature(self, alpha: Tensor, sigma: Tensor) -> tuple[Posterior, Tensor]:
        """A square of panels that close in on the edges; half of it, since the board looks the same from both sides."""
        alpha, sigma = alpha.reshape(1, 1), sigma.reshape(1, 1)
        around = torch.tensor([-8, -5, -2.5, 0, 2.5, 5, 8], dtype=torch.float64)
        breaks = (
            alpha * self.half * torch.linspace(-1, 1, 5, dtype=torch.float64)[:, None]
            + sigma * around
        ).flatten()
        (x, w), (y, v) = (_legendre(one.unique(), 12) for one in (breaks.clamp(min=0), breaks))
        one, two = (self._coordinate(z[:, None], alpha, sigma) for z in (x, y))
        found = self._join(one.repeat_interleave(len(y), 1), two.repeat(1, len(x), 1), alpha, sigma)
        return found, 2 * torch.outer(w, v).flatten()
