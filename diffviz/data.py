"""Data whose density, score and ideal denoiser are known at every noise level.

A law (``Mixture``, ``Circle``, ``Checkerboard``) states what the channel z = alpha x + sigma eps makes of its x: the density of z, E[x|z], the score and Cov[eps|z]. With Tweedie
(Efron 2011) eps_hat = −sigma score, and the eps-mmse is the mean of tr Cov[eps|z] (Guo, Shamai & Verdú 2005): an integral of a positive
function, so that nothing cancels at either end of the log-SNR. Means over z are sums over a lattice or Gauss–Legendre panels in the
line and the plane, and Monte Carlo over stratified components in more dimensions. Everything is float64 and in log space.

Mixtures of isotropic Gaussians serve for nearly all: a kernel density estimate is one, so a data set has an exact denoiser too.
"""

import csv
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

CHUNK = 2**21  # elements of a temporary, 16 MB
HERE = Path(__file__).parent
FOLDERS = HERE / "_data", HERE.parent / "data"  # installed; checkout


class Posterior(NamedTuple):
    """What z says: log density of z (n,), x_hat (n, d), score (n, d), tr Cov[eps|z] (n,)."""

    log_prob: Tensor
    x_hat: Tensor
    score: Tensor
    error: Tensor


def _rows(posterior: Callable, z: Tensor, alpha: Tensor, sigma: Tensor, columns: int) -> Posterior:
    """``posterior`` of z (n, d) in pieces that bound the memory; alpha and sigma are (n, 1), or () for all."""
    pieces = zip(
        *(
            one.reshape(-1, one.shape[-1] if one.ndim else 1).expand(len(z), -1).split(max(1, CHUNK // columns))
            for one in (z, alpha, sigma)
        ),
        strict=True,
    )
    return Posterior(*map(torch.cat, zip(*(posterior(*piece) for piece in pieces), strict=True)))


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

    def draw(self, u: Tensor, generator: torch.Generator) -> Tensor:
        k = torch.searchsorted(self.weights.cumsum(0), u).clamp(max=len(self.weights) - 1)
        noise = torch.randn(len(u), self.means.shape[1], generator=generator, dtype=u.dtype)
        return self.means[k] + self.std.expand_as(self.weights)[k, None] * noise

    def unit(self) -> "Mixture":
        centred, variance = self.means - self.mean, self.std.expand_as(self.weights) ** 2
        scale = (self.weights @ (centred.square().mean(1) + variance)).sqrt()
        return Mixture(self.weights, centred / scale, self.std / scale)

    def posterior(self, z: Tensor, alpha: Tensor, sigma: Tensor) -> Posterior:
        """Sums over components of z's density; shifted by the mean, and split so that equal spreads cancel by algebra.

        With var_k = alpha² s_k² + sigma², S² the mean of s_k², V = alpha² S² + sigma² and c_k = alpha (S² − s_k²)/V, the score of
        component k is alpha (m_k − c_k z)/var_k − z/V.
        """
        weights, mean, s2 = (one.to(z.device) for one in (self.weights, self.mean, self.std**2))
        means, z = self.means.to(z.device) - mean, z - alpha * mean
        d, squares, zz, zm = z.shape[1], means.square().sum(1), z.square().sum(1, keepdim=True), z @ means.T
        var, common = alpha**2 * s2 + sigma**2, alpha**2 * s2.mean() + sigma**2
        distance = zz - 2 * alpha * zm + alpha**2 * squares
        terms = weights.log() - d / 2 * (2 * math.pi * var).log() - distance / (2 * var)
        share = terms.softmax(1) / var
        c = alpha * (s2.mean() - s2) / common
        u = share @ means - z * (share * c).sum(1, keepdim=True)
        spread = (share / var * (squares - 2 * c * zm + c**2 * zz)).sum(1) - u.square().sum(1)
        return Posterior(
            log_prob=terms.logsumexp(1),
            x_hat=mean + alpha * s2.mean() * z / common + sigma**2 * u,
            score=alpha * u - z / common,
            error=d * (share * alpha**2 * s2).sum(1) + (alpha * sigma)[:, 0] ** 2 * spread.clamp(min=0),
        )

    def quadrature(self, alpha: Tensor, sigma: Tensor) -> tuple[Posterior, Tensor] | None:
        """Lattice of a seventh of the least standard deviation, out to 7.5 from each mean: spectrally accurate."""
        centres = (alpha * self.means).double()
        sd = (alpha**2 * self.std**2 + sigma**2).sqrt().expand_as(self.weights)
        step, d = sd.min() / 7, centres.shape[1]
        reach = (7.5 * sd / step).ceil().long()
        low = centres.min(0).values - (reach.max() + 1) * step
        size = ((centres.max(0).values - low) / step).ceil().long() + reach.max() + 2
        if d > 2 or size.double().prod() > 2e7 or size.double().prod() * len(centres) > 4e9:
            return None
        near = torch.zeros(*size, dtype=torch.bool)
        for centre, r in zip(((centres - low) / step).round().long(), reach.tolist(), strict=True):
            near[tuple(slice(c - r, c + r + 1) for c in centre.tolist())] = True
        z = low + near.nonzero() * step
        return _rows(self.posterior, z, alpha, sigma, len(centres)), (step**d).expand(len(z))


@dataclass(frozen=True, eq=False)
class Circle:
    """Uniform on a circle: with r = |z| and k = alpha R r/sigma², x_hat = R I₁(k)/I₀(k) z/r. It has no density of its own."""

    radius: float
    mean: Tensor = torch.zeros(2, dtype=torch.float64)  # noqa: RUF009 (never written to)

    def draw(self, u: Tensor, generator: torch.Generator) -> Tensor:
        return self.radius * torch.stack([(2 * math.pi * u).cos(), (2 * math.pi * u).sin()], 1)

    def unit(self) -> "Circle":
        return Circle(math.sqrt(2))

    def posterior(self, z: Tensor, alpha: Tensor, sigma: Tensor) -> Posterior:
        r, a = z.square().sum(1, keepdim=True).clamp(min=1e-300).sqrt(), alpha * self.radius
        k = a * r / sigma**2
        i0, x = torch.special.i0e(k), 1 / k.clamp(min=200)
        # 1 − I₁/I₀ from its asymptotic series (Abramowitz & Stegun 9.7.1), where the difference would cancel
        series = x / 2 + x**2 / 8 + x**3 / 8 + 25 * x**4 / 128 + 13 * x**5 / 32 + 1073 * x**6 / 1024
        loss = torch.where(k > 200, series, 1 - torch.special.i1e(k) / i0)
        ratio = torch.where(k > 200, 1 - series, torch.special.i1e(k) / i0)
        log_prob = i0.log() - (r - a) ** 2 / (2 * sigma**2) - (2 * math.pi * sigma**2).log()
        score = (a - r - a * loss) / sigma**2 * z / r
        return Posterior(log_prob[:, 0], self.radius * ratio * z / r, score, ((a / sigma) ** 2 * loss * (2 - loss))[:, 0])

    def quadrature(self, alpha: Tensor, sigma: Tensor) -> tuple[Posterior, Tensor]:
        """Along a radius: what is averaged depends on r only."""
        middle = alpha * self.radius
        r, weight = _legendre(torch.stack([(middle - 10 * sigma).clamp(min=0), middle, middle + 10 * sigma]), 150)
        return _rows(self.posterior, torch.stack([r, 0 * r], 1), alpha, sigma, 1), 2 * math.pi * r * weight


@dataclass(frozen=True, eq=False)
class Checkerboard:
    """Uniform on the 8 dark squares of the 4 x 4 board [−half, half]²; its noised moments are those of truncated normals."""

    half: float
    mean: Tensor = torch.zeros(2, dtype=torch.float64)  # noqa: RUF009 (never written to)

    CELLS = torch.tensor([(i, j) for i in range(4) for j in range(4) if (i + j) % 2 == 0]).T

    def draw(self, u: Tensor, generator: torch.Generator) -> Tensor:
        corner = self.CELLS.T[(8 * u).long().clamp(max=7)] - 2
        return self.half / 2 * (corner + torch.rand(len(u), 2, generator=generator, dtype=u.dtype))

    def unit(self) -> "Checkerboard":
        return Checkerboard(math.sqrt(3))

    def _intervals(self, z: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Of one coordinate under each of the four intervals: log density, E[x|z], E[−eps|z], Var[eps|z]; (4, *z.shape, 4).

        −eps is a standard normal cut to [(alpha a − z)/sigma, (alpha b − z)/sigma]: 40 Gauss–Legendre nodes on the nine standard
        deviations around its mode give all moments to rounding; differences of erf cancel where the interval is short or far.
        """
        sigma = sigma.clamp(min=1e-12)[..., None]  # density of x itself: sharper than any level that is asked for
        a = self.half * (torch.arange(4, dtype=z.dtype, device=z.device) / 2 - 1)
        alpha, side = alpha[..., None], self.half / 2 * alpha[..., None] / sigma
        low = (alpha * a - z[..., None]) / sigma
        mode = torch.minimum((-low).clamp(min=0), side)
        far = (low + mode).abs()
        reach = 81 / ((far**2 + 81).sqrt() + far)
        start = (mode - reach).clamp(min=0)
        width = torch.minimum(mode + reach, side) - start
        node, weight = _legendre(torch.tensor([0.0, 1.0], dtype=torch.float64), 40)
        offset = width[..., None] * node.to(z)
        terms = weight.to(z).log() - (low + start)[..., None].add(offset).square() / 2
        share, first = terms.softmax(-1), low + start
        middle = (share * offset).sum(-1)
        log_prob = terms.logsumexp(-1) + (width / side).log() - math.log(2 * math.pi) / 2 - sigma.log()
        spread = (share * (offset - middle[..., None]).square()).sum(-1)
        return torch.stack([log_prob, a + sigma / alpha * (start + middle), first + middle, spread])

    def _join(self, x: Tensor, y: Tensor, scale: Tensor) -> Posterior:
        """Sum over the dark squares, from what the intervals say about each coordinate."""
        log_prob, x_hat, shift, spread = torch.stack([x[..., self.CELLS[0]], y[..., self.CELLS[1]]], -1)
        terms = log_prob.sum(-1) - math.log(8)
        share = terms.softmax(-1)[..., None]
        mean, error = (
            (share * x_hat).sum(-2),
            spread + (scale[..., None] * (x_hat - (share * x_hat).sum(-2, keepdim=True))) ** 2,
        )
        return Posterior(terms.logsumexp(-1), mean, (share * shift).sum(-2), (share * error).sum((-2, -1)))

    def posterior(self, z: Tensor, alpha: Tensor, sigma: Tensor) -> Posterior:
        parts = self._intervals(z, alpha, sigma)
        found = self._join(parts[..., 0, :], parts[..., 1, :], alpha / sigma.clamp(min=1e-12))
        return found._replace(score=found.score / sigma.clamp(min=1e-12))

    def quadrature(self, alpha: Tensor, sigma: Tensor) -> tuple[Posterior, Tensor]:
        """A square of panels that close in on the edges; each coordinate is integrated over the truncated normals once."""
        edges = alpha * self.half * torch.linspace(-1, 1, 5, dtype=torch.float64)
        around = torch.tensor([-9, -6, -4, -2.5, -1.2, 0, 1.2, 2.5, 4, 6, 9], dtype=torch.float64)
        node, weight = _legendre((edges[:, None] + sigma * around).flatten().unique(), 10)
        part = self._intervals(node, alpha, sigma)
        n = len(node)
        grid = part[:, :, None].expand(4, n, n, 4).flatten(1, 2), part[:, None].expand(4, n, n, 4).flatten(1, 2)
        found = self._join(*grid, (alpha / sigma.clamp(min=1e-12)).reshape(1, 1))
        return found._replace(score=found.score / sigma.clamp(min=1e-12)), torch.outer(weight, weight).flatten()


@dataclass(frozen=True, eq=False)
class Toy:
    """Data with everything known: a law, and the shape of one point.

    Points z (n, *shape) are of the variance-preserving frame alpha² = sigmoid(λ), sigma² = sigmoid(−λ); λ is (n,) or one for all. What
    comes back has z's dtype; inside all is float64. A NaN in z gives NaN.
    """

    law: Mixture | Circle | Checkerboard
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
        z = torch.as_tensor(z)
        level = torch.as_tensor(logsnr, dtype=torch.float64, device=z.device)
        if z.shape[1:] != self.shape or level.shape not in (z.shape[:1], ()) or level.isnan().any():
            want = ("n", *self.shape)
            raise ValueError(f"z must be {want} and logsnr (n,) or a number, got {tuple(z.shape)} and {logsnr}")
        flat, level = z.double().flatten(1), level.reshape(-1, 1)
        columns = len(self.law.weights) if isinstance(self.law, Mixture) else 320
        found = _rows(self.law.posterior, flat, level.sigmoid().sqrt(), (-level).sigmoid().sqrt(), columns)
        return z, found

    def log_prob(self, z: Tensor | ArrayLike, logsnr: Tensor | ArrayLike = math.inf) -> Tensor:
        """Log density of z in nats, shape (n,); by default of the data themselves.

        Raises:
            ValueError: if shapes do not fit, or for a circle without noise.
        """
        if isinstance(self.law, Circle) and np.isinf(np.asarray(logsnr)).any():
            raise ValueError("a circle has no density in the plane; give a finite logsnr")
        z, found = self._posterior(z, logsnr)
        return found.log_prob.to(z.dtype)

    def denoise(self, z: Tensor | ArrayLike, logsnr: Tensor | ArrayLike) -> Tensor:
        """E[x|z], like z."""
        z, found = self._posterior(z, logsnr)
        return found.x_hat.reshape(z.shape).to(z.dtype)

    def score(self, z: Tensor | ArrayLike, logsnr: Tensor | ArrayLike) -> Tensor:
        """Gradient of the log density at z, like z; eps_hat = −sigma score."""
        z, found = self._posterior(z, logsnr)
        return found.score.reshape(z.shape).to(z.dtype)

    def _expect(self, f: Callable[[Posterior], Tensor], logsnr: float, draws: int = 4096) -> tuple[float, float]:
        """Mean of f over z and its standard error, 0 by quadrature; Monte Carlo has the same draws at each call and level."""
        level = torch.tensor(logsnr, dtype=torch.float64)
        alpha, sigma = level.sigmoid().sqrt(), (-level).sigmoid().sqrt()
        if (nodes := self.law.quadrature(alpha, sigma)) is not None:
            return float((nodes[1] * nodes[0].log_prob.exp() * f(nodes[0])).sum()), 0.0
        generator = torch.Generator().manual_seed(0)
        u = (torch.arange(draws) + torch.rand(draws, generator=generator, dtype=torch.float64)) / draws
        x = self.law.draw(u, generator)
        z = alpha * x + sigma * torch.randn(x.shape, generator=generator, dtype=torch.float64)
        value = f(self._posterior(z.reshape(-1, *self.shape), level)[1])
        return float(value.mean()), float(value.std() / math.sqrt(draws))

    def mmse(self, logsnr: ArrayLike, stderr: bool = False) -> NDArray | tuple[NDArray, NDArray]:
        """E‖eps_hat − eps‖² of the ideal denoiser, summed over dimensions, shape of logsnr; with its standard error if asked.

        By quadrature in one and two dimensions (to about 1e-11, standard error 0), else by 4,096 stratified draws.
        """
        levels = np.asarray(logsnr, dtype=float)
        found = np.array([self._expect(lambda p: p.error, float(one)) for one in levels.flat]).reshape(*levels.shape, 2)
        return (found[..., 0], found[..., 1]) if stderr else found[..., 0]

    def entropy(self, logsnr: float = math.inf) -> float:
        """Differential entropy of z in nats, by the means of ``mmse``; by default of the data."""
        return self._expect(lambda p: -p.log_prob, logsnr)[0]

    def fisher(self, logsnr: float = math.inf) -> float:
        """Fisher information E‖score‖² of z, by the means of ``mmse``; by default of the data."""
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
    mu, s = (torch.tensor(np.asarray(one, dtype=float)) for one in (means, std))
    if mu.ndim < 2 or not mu.numel() or not mu.isfinite().all():
        raise ValueError(f"means must be finite and (k, *shape), got {tuple(mu.shape)}; numbers on a line are means[:, None]")
    w = torch.full((len(mu),), 1 / len(mu), dtype=torch.float64)
    w = w if weights is None else torch.tensor(np.asarray(weights, dtype=float))
    if w.shape != mu.shape[:1] or not (w > 0).all() or abs(w.sum() - 1) > 1e-9:
        raise ValueError(f"weights must be {len(mu)} positive numbers that sum to 1, got {weights}")
    if s.shape not in ((), (1,), w.shape) or not ((s > 0) & s.isfinite()).all():
        raise ValueError(f"std must be one positive number or {len(mu)}, got {std}")
    return Toy(Mixture(w, mu.flatten(1), s.reshape(-1)), tuple(mu.shape[1:]), name)


def load(name: str) -> dict[str, NDArray]:
    """Arrays of a file in ``data/``: "digits" and "fashion" (images, labels), "photos" (eight by name), "dino" (points).

    Raises:
        ValueError: if there is no such file.
    """
    files = {file.stem: file for folder in FOLDERS if folder.is_dir() for file in folder.iterdir() if file.suffix in READERS}
    if name not in files:
        raise ValueError(f"no data file {name!r}; there are {', '.join(sorted(files)) or 'none'}")
    found = READERS[files[name].suffix](files[name])
    return {"points": found} if isinstance(found, np.ndarray) else dict(found)


def _csv(path: Path) -> NDArray:
    """Numbers of a table, columns divided by comma, semicolon, tab or blanks; a first line of names is skipped."""
    lines = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    divider = next((one for one in ",;\t" if lines and one in lines[0]), " ")
    rows = list(csv.reader(lines, delimiter=divider, skipinitialspace=True))

    def numbers(row: list[str]) -> list[float]:
        return [float(one) for one in row if one or divider != " "]

    try:
        numbers(rows[0] if rows else [])
    except ValueError:
        rows = rows[1:]
    try:
        table = np.array([numbers(row) for row in rows])
    except ValueError as error:
        raise ValueError(f"{path}: {error}; each line needs as many numbers as the first, and nothing else") from None
    if table.ndim != 2 or table.shape[1] < 2:
        raise ValueError(f"{path} has one column or none; for points on a line pass an array (n, 1), np.loadtxt(path)[:, None]")
    return table


READERS: dict[str, Callable] = {".csv": _csv, ".txt": _csv, ".npy": np.load, ".npz": np.load}


def dataset(
    source: ArrayLike | Tensor | str | os.PathLike, bandwidth: float = 0.05, unit: bool = True, name: str = "data"
) -> Toy:
    """Your own data with an exact denoiser: the kernel density of the points.

    Args:
        source: points (n, *shape), or the path of a .csv, .txt or .npy file.
        bandwidth: standard deviation of the kernel, in standard deviations of the data.
        unit: shift and scale to mean 0 and a variance of 1 per dimension.
    Raises:
        ValueError: if a file is missing or no table of numbers, for NaN or inf, fewer than 2 points, or points that are all equal.
    """
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        if not path.is_file() or path.suffix not in (".csv", ".txt", ".npy"):
            raise ValueError(f"{path} is no .csv, .txt or .npy file; the working directory is {Path.cwd()}")
        source, name = READERS[path.suffix](path), path.stem
    points = np.asarray(source, dtype=float)
    if points.ndim < 2 or len(points) < 2 or not points.size:
        raise ValueError(
            f"data must be two or more points (n, *shape), got {points.shape}; numbers on a line are data[:, None]"
        )
    if len(bad := np.flatnonzero(~np.isfinite(points.reshape(len(points), -1)).all(1))):
        raise ValueError(f"data has NaN or inf in {len(bad)} rows, the first is row {bad[0]}; drop them")
    std = math.sqrt(points.var(0).mean())
    if std == 0 or not 0 < bandwidth < math.inf:
        raise ValueError(
            f"the points must differ and the bandwidth be above 0; standard deviation {std}, bandwidth {bandwidth}"
        )
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
