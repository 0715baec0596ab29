"""Data whose density, score and ideal denoiser are known at every noise level.

A law (``Mixture``, ``Circle``, ``Checkerboard``) states what the channel z = alpha x + sigma eps makes of its x: the density of z, E[x|z],
the score and Cov[eps|z]. With Tweedie (Efron 2011) eps_hat = −sigma score, and the eps-mmse is the mean of tr Cov[eps|z]: an integral
of a positive function, so that nothing cancels at either end of the log-SNR. Means over z are sums over a lattice or Gauss–Legendre
panels on the line and the plane, and Monte Carlo in more dimensions. All is float64 and in log space.

Mixtures of isotropic Gaussians serve for nearly everything: a kernel density estimate is one, so that any data set has an exact denoiser.
"""

import difflib
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

CHUNK = 2**17  # elements of a temporary: they stay in the cache
HERE = Path(__file__).parent
FOLDERS = HERE / "_data", HERE.parent / "data"  # installed; checkout


class Posterior(NamedTuple):
    """What z says: its log density (n,), x_hat (n, d), score (n, d), tr Cov[eps|z] (n,)."""

    log_prob: Tensor
    x_hat: Tensor
    score: Tensor
    error: Tensor


def _in_pieces(posterior: Callable) -> Callable:
    """``posterior`` of z (n, d), alpha and sigma (n, 1) or (), in pieces of rows that fit in the cache."""

    def pieces(self, z: Tensor, alpha: Tensor, sigma: Tensor) -> Posterior:
        rows = max(1, CHUNK // self.columns)
        channel = z, alpha.reshape(-1, 1).expand(len(z), 1), sigma.reshape(-1, 1).expand(len(z), 1)
        found = [posterior(self, *piece) for piece in zip(*(one.split(rows) for one in channel), strict=True)]
        return found[0] if len(found) == 1 else Posterior(*map(torch.cat, zip(*found, strict=True)))

    return pieces


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

    @property
    def mean(self) -> Tensor:
        return self.weights @ self.means

    @property
    def columns(self) -> int:
        """Elements that one point needs of a temporary."""
        return len(self.weights)

    def draw(self, u: Tensor, generator: torch.Generator) -> Tensor:
        """x (n, d); the uniform u (n,) chooses the component."""
        k = torch.searchsorted(self.weights.cumsum(0), u).clamp(max=len(self.weights) - 1)
        noise = torch.randn(len(u), self.means.shape[1], generator=generator, dtype=u.dtype)
        return self.means[k] + self.std.expand_as(self.weights)[k, None] * noise

    def unit(self) -> "Mixture":
        centred = self.means - self.mean
        scale = (self.weights @ (centred.square().mean(1) + self.std**2)).sqrt()
        return Mixture(self.weights, centred / scale, self.std / scale)

    @_in_pieces
    def posterior(self, z: Tensor, alpha: Tensor, sigma: Tensor) -> Posterior:
        """At z (n, d) with alpha, sigma (n, 1); sigma = 0 asks for the density of x itself.

        Seen from the mean, with v_k = alpha² s_k² + sigma², S² the mean of s_k², V = alpha² S² + sigma² and c_k = alpha (S² − s_k²)/V, the
        score of component k is alpha (m_k − c_k z)/v_k − z/V: written so, nothing cancels where noise makes all components alike.
        """
        weights, mean, s2 = (one.to(z.device) for one in (self.weights, self.mean, self.std**2))
        means, z = self.means.to(z.device) - mean, z - alpha * mean
        d, squares, zz, zm = z.shape[1], means.square().sum(1), z.square().sum(1, keepdim=True), z @ means.T
        v, common = alpha**2 * s2 + sigma**2, alpha**2 * s2.mean() + sigma**2
        c = alpha * (s2.mean() - s2) / common
        distance = zz - 2 * alpha * zm + alpha**2 * squares
        terms = weights.log() - d / 2 * (2 * math.pi * v).log() - distance / (2 * v)
        share = terms.softmax(1) / v
        pull = share @ means - z * (share * c).sum(1, keepdim=True)
        spread = (share / v * (squares - 2 * c * zm + c**2 * zz)).sum(1) - pull.square().sum(1)
        return Posterior(
            log_prob=terms.logsumexp(1),
            x_hat=mean + alpha * s2.mean() * z / common + sigma**2 * pull,
            score=alpha * pull - z / common,
            error=d * (share * alpha**2 * s2).sum(1) + (alpha * sigma)[:, 0] ** 2 * spread.clamp(min=0),
        )

    def quadrature(self, alpha: Tensor, sigma: Tensor) -> tuple[Posterior, Tensor] | None:
        """Posterior at nodes and weights, for which the sum of weight * density * f is E f(z); None where that is too much.

        The nodes: a lattice of a sixth of the least standard deviation, out to 7 from each mean. Spectrally accurate.
        """
        sd = (alpha**2 * self.std**2 + sigma**2).sqrt().expand_as(self.weights)
        step, centres, d = sd.min() / 6, alpha * self.means, self.means.shape[1]
        reach = (7 * sd / step).ceil().long()
        low = centres.min(0).values - reach.max() * step
        places = ((centres - low) / step).round().long()
        size = places.max(0).values + reach.max() + 1
        if d > 2 or size.double().prod() * len(centres) > 2e9:
            return None
        near = torch.zeros(*size, dtype=torch.bool)
        for place, r in zip(places.tolist(), reach.tolist(), strict=True):
            near[tuple(slice(max(0, i - r), i + r + 1) for i in place)] = True
        z = low + near.nonzero() * step
        return self.posterior(z, alpha, sigma), (step**d).expand(len(z))


@dataclass(frozen=True, eq=False)
class Circle:
    """Uniform on a circle: with r = |z| and k = alpha R r/sigma², x_hat = R I₁(k)/I₀(k) z/r. It has no density of its own."""

    radius: float
    columns = 8
    mean = torch.zeros(2, dtype=torch.float64)

    def draw(self, u: Tensor, generator: torch.Generator) -> Tensor:
        return self.radius * torch.stack([(2 * math.pi * u).cos(), (2 * math.pi * u).sin()], 1)

    def unit(self) -> "Circle":
        return Circle(math.sqrt(2))

    @_in_pieces
    def posterior(self, z: Tensor, alpha: Tensor, sigma: Tensor) -> Posterior:
        r, a = z.square().sum(1, keepdim=True).clamp(min=1e-300).sqrt(), alpha * self.radius
        k = (a * r / sigma**2).clamp(max=1e300)
        i0, x = torch.special.i0e(k), 1 / k.clamp(min=200)
        ratio = torch.special.i1e(k) / i0
        # 1 − I₁/I₀ by its asymptotic series (Abramowitz & Stegun 9.7.1) where the difference would cancel
        series = x / 2 + x**2 / 8 + x**3 / 8 + 25 * x**4 / 128 + 13 * x**5 / 32 + 1073 * x**6 / 1024
        loss = torch.where(k > 200, series, 1 - ratio)
        log_prob = i0.log() - (r - a) ** 2 / (2 * sigma**2) - (2 * math.pi * sigma**2).log()
        score = (a - r - a * loss) / sigma**2 * z / r
        return Posterior(log_prob[:, 0], self.radius * ratio * z / r, score, ((a / sigma) ** 2 * loss * (2 - loss))[:, 0])

    def quadrature(self, alpha: Tensor, sigma: Tensor) -> tuple[Posterior, Tensor]:
        """Along a radius: what is averaged depends on r only."""
        middle = alpha * self.radius
        r, weight = _legendre(torch.stack([(middle - 10 * sigma).clamp(min=0), middle, middle + 10 * sigma]), 150)
        return self.posterior(torch.stack([r, 0 * r], 1), alpha, sigma), 2 * math.pi * r * weight


def _pool(terms: Tensor, x_hat: Tensor, shift: Tensor, spread: Tensor, scale: Tensor) -> tuple[Tensor, ...]:
    """Mean, shift and spread of a mixture over the last axis; ``scale`` brings x to units of the noise."""
    share = terms.softmax(-1)
    mean = (share * x_hat).sum(-1)
    return mean, (share * shift).sum(-1), (share * (spread + (scale * (x_hat - mean[..., None])) ** 2)).sum(-1)


@dataclass(frozen=True, eq=False)
class Checkerboard:
    """Uniform on the 8 dark squares of the 4 x 4 board [−half, half]²: both coordinates in even intervals, or both in odd ones."""

    half: float
    columns = 320
    mean = torch.zeros(2, dtype=torch.float64)

    def draw(self, u: Tensor, generator: torch.Generator) -> Tensor:
        corner = 2 * torch.randint(2, (len(u), 2), generator=generator) + (u > 0.5).long()[:, None] - 2
        return self.half / 2 * (corner + torch.rand(len(u), 2, generator=generator, dtype=u.dtype))

    def unit(self) -> "Checkerboard":
        return Checkerboard(math.sqrt(3))

    def _coordinate(self, z: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Of one coordinate in even or odd intervals: log density, E[x|z], E[−eps|z], Var[eps|z]; z (..., 1) gives (4, ..., 2).

        Within [a, b], −eps is a standard normal cut to [(alpha a − z)/sigma, (alpha b − z)/sigma]. 40 Gauss–Legendre nodes over nine
        standard deviations around its mode give all moments to rounding; differences of erf cancel in short or far intervals.
        """
        a = self.half * (torch.arange(4, dtype=z.dtype, device=z.device).reshape(2, 2).T / 2 - 1)
        alpha, sigma, z = (one[..., None, None] for one in (alpha, sigma, z))
        low, side = (alpha * a - z) / sigma, (alpha * self.half / (2 * sigma)).expand_as(z + a)
        mode = torch.minimum((-low).clamp(min=0), side)
        far = (low + mode).abs()
        reach = 81 / ((far**2 + 81).sqrt() + far)
        start = (mode - reach).clamp(min=0)
        width = (torch.minimum(mode + reach, side) - start).clamp(min=1e-30)
        node, weight = (one.to(z) for one in _legendre(torch.tensor([0.0, 1.0], dtype=torch.float64), 40))
        offset = width[..., None] * node
        inner = weight.log() - ((low + start)[..., None] + offset) ** 2 / 2
        share = inner.softmax(-1)
        middle = (share * offset).sum(-1)
        spread = (share * (offset - middle[..., None]) ** 2).sum(-1)
        terms = inner.logsumexp(-1) + (width / side).log() - math.log(2 * math.pi) / 2 - sigma.log()
        x_hat, shift = a + sigma / alpha * (start + middle), low + start + middle
        return torch.stack([terms.logsumexp(-1) - math.log(2), *_pool(terms, x_hat, shift, spread, alpha / sigma)])

    def _join(self, part: Tensor, alpha: Tensor, sigma: Tensor) -> Posterior:
        """Both coordinates (4, n, 2 coordinates, 2 kinds of interval) together."""
        terms = part[0].sum(-2)
        x_hat, shift, spread = _pool(terms[..., None, :], part[1], part[2], part[3], (alpha / sigma)[..., None])
        return Posterior(terms.logsumexp(-1) - math.log(2), x_hat, shift / sigma, spread.sum(-1))

    @_in_pieces
    def posterior(self, z: Tensor, alpha: Tensor, sigma: Tensor) -> Posterior:
        sigma = sigma.clamp(min=1e-12)  # the density of x itself: sharper than any level that is asked for
        return self._join(self._coordinate(z, alpha, sigma), alpha, sigma)

    def quadrature(self, alpha: Tensor, sigma: Tensor) -> tuple[Posterior, Tensor]:
        """A square of panels that close in on the edges; half of it, since the board looks the same from both sides."""
        sigma = sigma.clamp(min=1e-12)
        around = torch.tensor([-8, -5, -2.5, 0, 2.5, 5, 8], dtype=torch.float64)
        breaks = (alpha * self.half * torch.linspace(-1, 1, 5, dtype=torch.float64)[:, None] + sigma * around).flatten()
        (x, w), (y, v) = (_legendre(one.unique(), 12) for one in (breaks.clamp(min=0), breaks))
        pair = torch.broadcast_tensors(*(self._coordinate(one, alpha, sigma) for one in (x[:, None], y[None])))
        found = self._join(torch.stack(pair, -2).flatten(1, 2), alpha.reshape(1, 1), sigma.reshape(1, 1))
        return found, 2 * torch.outer(w, v).flatten()


Law = Mixture | Circle | Checkerboard


@dataclass(frozen=True, eq=False)
class Toy:
    """Data with everything known: a law, and the shape of one point.

    Points z (n, *shape) are of the variance-preserving frame alpha² = sigmoid(λ), sigma² = sigmoid(−λ); λ is (n,) or one for all. What
    comes back has z's dtype, inside all is float64. NaN in z gives NaN. Raises ValueError where shapes do not fit.
    """

    law: Law
    shape: tuple[int, ...]
    name: str = ""

    @property
    def mean(self) -> Tensor:
        """Mean of x, shape (*shape)."""
        return self.law.mean.reshape(self.shape)

    def unit(self) -> "Toy":
        """The same data, shifted and scaled to mean 0 and a variance of 1 per dimension."""
        return replace(self, law=self.law.unit())

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n points of x, float64, shape (n, *shape)."""
        u = torch.rand(n, generator=generator, dtype=torch.float64)
        return self.law.draw(u, generator).reshape(n, *self.shape)

    def _posterior(self, z: Tensor | ArrayLike, logsnr: Tensor | ArrayLike) -> tuple[Tensor, Posterior]:
        z = z if isinstance(z, Tensor) else torch.as_tensor(np.asarray(z, dtype=float))
        level = torch.as_tensor(logsnr, dtype=torch.float64, device=z.device)
        if z.shape[1:] != self.shape or level.shape not in (z.shape[:1], ()) or level.isnan().any():
            want = ("n", *self.shape)
            raise ValueError(f"z must be {want} and logsnr (n,) or a number, got {tuple(z.shape)} and {logsnr!r}")
        return z, self.law.posterior(z.double().flatten(1), level.sigmoid().sqrt(), (-level).sigmoid().sqrt())

    def log_prob(self, z: Tensor | ArrayLike, logsnr: Tensor | ArrayLike | None = None) -> Tensor:
        """Log density of z in nats, shape (n,); without ``logsnr`` of the data, which a circle does not have."""
        if logsnr is None and isinstance(self.law, Circle):
            raise ValueError("a circle has no density in the plane without noise; give logsnr")
        z, found = self._posterior(z, math.inf if logsnr is None else logsnr)
        return found.log_prob.to(z.dtype)

    def denoise(self, z: Tensor | ArrayLike, logsnr: Tensor | ArrayLike) -> Tensor:
        """E[x|z], like z."""
        z, found = self._posterior(z, logsnr)
        return found.x_hat.reshape(z.shape).to(z.dtype)

    def score(self, z: Tensor | ArrayLike, logsnr: Tensor | ArrayLike) -> Tensor:
        """Gradient of the log density at z, like z; eps_hat = −sigma score."""
        z, found = self._posterior(z, logsnr)
        return found.score.reshape(z.shape).to(z.dtype)

    def _expect(self, f: Callable[[Posterior], Tensor], logsnr: float | None, draws: int = 4096) -> tuple[float, float]:
        """Mean of f over z and its standard error: 0 by quadrature; Monte Carlo takes the same draws at each call and level."""
        level = torch.tensor(math.inf if logsnr is None else logsnr, dtype=torch.float64)
        alpha, sigma = level.sigmoid().sqrt(), (-level).sigmoid().sqrt()
        if nodes := self.law.quadrature(alpha, sigma):
            return float((nodes[1] * nodes[0].log_prob.exp() * f(nodes[0])).sum()), 0.0
        generator = torch.Generator().manual_seed(0)
        u = (torch.arange(draws) + torch.rand(draws, generator=generator, dtype=torch.float64)) / draws
        x = self.law.draw(u, generator)
        noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        value = f(self.law.posterior(alpha * x + sigma * noise, alpha, sigma))
        return float(value.mean()), float(value.std() / math.sqrt(draws))

    def mmse(self, logsnr: ArrayLike, stderr: bool = False, draws: int = 4096) -> NDArray | tuple[NDArray, NDArray]:
        """E‖eps_hat − eps‖² of the ideal denoiser, summed over dimensions, shape of logsnr; with its standard error if asked.

        By quadrature in one and two dimensions (relative error about 1e-11, standard error 0), else by stratified ``draws``.
        """
        levels = np.asarray(logsnr, dtype=float)
        found = np.array([self._expect(lambda p: p.error, float(one), draws) for one in levels.flat]).reshape(*levels.shape, 2)
        return (found[..., 0], found[..., 1]) if stderr else found[..., 0]

    def entropy(self, logsnr: float | None = None) -> float:
        """Differential entropy of z in nats, by the means of ``mmse``; without ``logsnr`` of the data."""
        return self._expect(lambda p: -p.log_prob, logsnr)[0]

    def fisher(self, logsnr: float | None = None) -> float:
        """Fisher information E‖score‖² of z, by the means of ``mmse``; without ``logsnr`` of the data."""
        return self._expect(lambda p: p.score.square().sum(1), logsnr)[0]


def mixture(means: ArrayLike, std: ArrayLike, weights: ArrayLike | None = None, name: str = "mixture") -> Toy:
    """Mixture of isotropic Gaussians of your own.

    Args:
        means: shape (k, *shape); k numbers on a line are (k, 1).
        std: standard deviation of the components, one for all or shape (k,), above 0.
        weights: shape (k,), above 0, sum 1; equal by default.
    Raises:
        ValueError: if shapes do not fit or a value is out of range.
    """
    m, s = (torch.tensor(np.asarray(one, dtype=float)) for one in (means, std))
    if m.ndim < 2 or not m.numel() or not m.isfinite().all():
        raise ValueError(f"means must be finite and (k, *shape), got {tuple(m.shape)}; numbers on a line are means[:, None]")
    w = torch.tensor(np.full(len(m), 1 / len(m)) if weights is None else np.asarray(weights, dtype=float))
    if w.shape != m.shape[:1] or not (w > 0).all() or not abs(w.sum() - 1) < 1e-9:
        raise ValueError(f"weights must be {len(m)} positive numbers that sum to 1, got {weights!r}")
    if s.shape not in ((), (1,), w.shape) or not ((s > 0) & s.isfinite()).all():
        raise ValueError(f"std must be one positive number or {len(m)}, got {std!r}")
    return Toy(Mixture(w, m.flatten(1), s.reshape(-1)), tuple(m.shape[1:]), name)


def _csv(path: Path) -> NDArray:
    """Numbers of a table, divided by commas; a first line of names is skipped."""
    lines = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    try:
        float(lines[0].split(",")[0] if lines else 0)
    except ValueError:
        lines = lines[1:]
    table = np.loadtxt(lines, delimiter=",", ndmin=2) if lines else np.empty((0, 2))
    if table.shape[1] < 2:
        raise ValueError("only one column; for points on a line pass the array np.loadtxt(path)[:, None]")
    return table


READERS: dict[str, Callable] = {".csv": _csv, ".npy": np.load, ".npz": lambda path: dict(np.load(path))}


def load(name: str) -> dict[str, NDArray]:
    """Arrays of a file of ``data/``: "digits" and "fashion" (images, labels), "photos" (eight by name), "dino" (points).

    Raises:
        ValueError: if there is no such file.
    """
    files = {file.stem: file for folder in FOLDERS for file in sorted(folder.glob("*")) if file.suffix in READERS}
    if name not in files:
        raise ValueError(f"no data file {name!r}; there are {', '.join(files) or 'none: the installation is not complete'}")
    found = READERS[files[name].suffix](files[name])
    return found if isinstance(found, dict) else {"points": found}


def dataset(source: ArrayLike | str | os.PathLike, bandwidth: float = 0.05, unit: bool = True, name: str = "data") -> Toy:
    """Your own data with an exact denoiser: the kernel density of the points.

    Args:
        source: points (n, *shape), or the path of a .csv or .npy file.
        bandwidth: standard deviation of the kernel, in standard deviations of the data.
        unit: shift and scale to mean 0 and a variance of 1 per dimension.
    Raises:
        ValueError: if a file is missing or holds no points, for NaN or inf, fewer than 2 points, or points that are all equal.
    """
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        if not path.is_file() or path.suffix not in (".csv", ".npy"):
            raise ValueError(f"{path} is no .csv or .npy file (looked from {Path.cwd()})")
        try:
            source, name = READERS[path.suffix](path), path.stem
        except (ValueError, EOFError) as error:
            raise ValueError(f"{path}: {error}; a .csv holds numbers with commas, under one line of names or none") from error
    points = np.asarray(source, dtype=float)
    if points.ndim < 2 or len(points) < 2 or not points.size:
        raise ValueError(f"data must be 2 or more points (n, *shape), got {points.shape}; numbers on a line are data[:, None]")
    if len(bad := np.flatnonzero(~np.isfinite(points.reshape(len(points), -1)).all(1))):
        raise ValueError(f"data has NaN or inf in {len(bad)} rows, the first is row {bad[0]}; drop them")
    std = math.sqrt(points.var(0).mean())
    if std == 0 or not 0 < bandwidth < math.inf:
        raise ValueError(f"points must differ (standard deviation {std:.3g}) and the bandwidth be above 0, got {bandwidth}")
    made = mixture(points, bandwidth * std, name=name)
    return made.unit() if unit else made


def _on(curve: Callable[[NDArray], tuple], low: float, high: float, k: int, std: float) -> Toy:
    """Noise around a curve: k components at the middles of equal steps of its parameter."""
    return mixture(np.stack(curve(low + (high - low) * (np.arange(k) + 0.5) / k), 1), std)


def _moon(t: NDArray) -> tuple:
    """Both arcs of scikit-learn's make_moons, one after the other."""
    return np.r_[np.cos(t), 1 - np.cos(t)], np.r_[np.sin(t), 0.5 - np.sin(t)]


def _ring(radius: float, std: float) -> Toy:
    return _on(lambda t: (radius * np.cos(t), radius * np.sin(t)), -np.pi / 8, 15 * np.pi / 8, 8, std)


TOYS: dict[str, Callable[[], Toy]] = {
    "gaussian": lambda: mixture([[0.0]], 1.0),
    "gmm1": lambda: mixture([[-1.5], [0.5]], [0.3, 0.2], [0.3, 0.7]),
    "gmm2d": lambda: mixture([[-1.2, -0.4], [0.9, 0.8], [0.6, -1.0]], [0.4, 0.3, 0.5], [0.5, 0.3, 0.2]),
    "ring8": lambda: _ring(2.0, 0.1),
    "8gaussians": lambda: _ring(5.0, math.sqrt(0.1)),  # variance 0.1; torchcfm's has 0.316
    "moons": lambda: _on(_moon, 0, np.pi, 40, 0.1),
    "swissroll": lambda: _on(lambda t: (t * np.cos(t) / 10, t * np.sin(t) / 10), 1.5 * np.pi, 4.5 * np.pi, 240, 0.05),
    "circle": lambda: Toy(Circle(1.0), (2,)),
    "checkerboard": lambda: Toy(Checkerboard(4.0), (2,)),
    "dino": lambda: dataset(load("dino")["points"]),
    "digits": lambda: dataset(load("digits")["images"] / 8 - 1, unit=False),
    "fashion": lambda: dataset(load("fashion")["images"] / 127.5 - 1, unit=False),
}


def toy(name: str, unit: bool = False) -> Toy:
    """A toy by its name in ``TOYS``, with unit variance if asked.

    Raises:
        ValueError: if there is none; it lists near names.
    """
    if name not in TOYS:
        near = difflib.get_close_matches(name, TOYS, 3, 0.5)
        hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
        raise ValueError(f"unknown toy {name!r}; {hint}(there are {', '.join(TOYS)})")
    made = replace(TOYS[name](), name=name)
    return made.unit() if unit else made
