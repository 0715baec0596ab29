"""Data whose density, score and ideal denoiser are known at every noise level.

A law (``Mixture``, ``Circle``, ``Checkerboard``) states what z = alpha x + sigma eps says of x. A kernel density is a mixture,
so that any data set has an exact denoiser. With Tweedie (Efron 2011) eps_hat = −sigma score, and the eps-mmse is the mean of
tr Cov[eps|z]: nothing cancels at either end of the log-SNR. All is float64 and in log space.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from diffviz.checks import finite, positive, unknown
from diffviz.data.densities import Checkerboard, Circle, Mixture, Posterior, posterior_in_pieces
from diffviz.data.files import FOLDER, load

LOWEST, HIGHEST = (
    -690.0,
    55.0,
)  # λ: squares of alpha stay above 0, and noise above the rounding of z; nothing changes beyond


@dataclass(frozen=True, eq=False)
class Toy:
    """Data with everything known: a law, and the shape of one point.

    Points z (n, *shape) are of the frame alpha² = sigmoid(λ), sigma² = sigmoid(−λ); λ is (n,) or one, above 55 as at 55.
    What comes back has z's dtype, inside all is float64. NaN in z gives NaN. Raises ValueError where shapes do not fit.
    """

    law: Mixture | Circle | Checkerboard
    shape: tuple[int, ...]
    name: str = ""

    mean = property(
        lambda self: self.law.mean.reshape(self.shape), doc="Mean of x, shape (*shape)."
    )

    def unit(self) -> "Toy":
        """The same data, shifted and scaled to mean 0 and a variance of 1 per dimension."""
        return replace(
            self, law=self.law.unit() if isinstance(self.law, Mixture) else type(self.law)()
        )

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n points of x, float64, shape (n, *shape)."""
        if (
            not isinstance(n, int | np.integer)
            or n < 0
            or not isinstance(generator, torch.Generator)
        ):
            raise ValueError(
                f"n is whole and >= 0, generator torch.Generator().manual_seed(0) or so; got {n!r}, {generator!r}"
            )
        return self.law.draw(
            torch.rand(n, generator=generator, dtype=torch.float64), generator
        ).reshape(n, *self.shape)

    def _at(self, z: Tensor | ArrayLike, logsnr: Tensor | ArrayLike) -> Posterior:
        z = (
            z
            if isinstance(z, Tensor) and z.is_floating_point()
            else torch.as_tensor(np.asarray(z, dtype=float))
        )
        level = torch.as_tensor(logsnr, dtype=torch.float64, device=z.device).clamp(LOWEST, HIGHEST)
        if z.shape[1:] != self.shape or level.shape not in (z.shape[:1], ()) or level.isnan().any():
            raise ValueError(
                f"z must be {('n', *self.shape)}, logsnr (n,) or (); got {tuple(z.shape)}, {tuple(level.shape)}"
            )
        if isinstance(self.law, Circle) and (level == HIGHEST).any():
            raise ValueError(
                "a circle has no density in the plane without noise; give a logsnr below 55"
            )
        found = posterior_in_pieces(
            self.law, z.double().flatten(1), level.sigmoid().sqrt(), (-level).sigmoid().sqrt()
        )
        return Posterior(
            *(one.reshape(z.shape if one.ndim > 1 else z.shape[:1]).to(z.dtype) for one in found)
        )

    def log_prob(self, z: Tensor | ArrayLike, logsnr: Tensor | ArrayLike = math.inf) -> Tensor:
        """Log density of z in nats, shape (n,); without ``logsnr`` of the data, which a circle does not have."""
        return self._at(z, logsnr).log_prob

    def denoise(self, z: Tensor | ArrayLike, logsnr: Tensor | ArrayLike) -> Tensor:
        """E[x|z], like z."""
        return self._at(z, logsnr).x_hat

    def score(self, z: Tensor | ArrayLike, logsnr: Tensor | ArrayLike) -> Tensor:
        """Gradient of the log density at z, like z; eps_hat = −sigma score."""
        return self._at(z, logsnr).score

    def _expect(self, f: Callable, logsnr: ArrayLike, stderr: bool = False, draws: int = 4096):
        """Mean over z of f(posterior) at each level: by quadrature if the law has one, else by stratified draws."""
        levels, found = torch.as_tensor(logsnr, dtype=torch.float64).clamp(LOWEST, HIGHEST), []
        for alpha, sigma in zip(
            levels.sigmoid().sqrt().flatten(), (-levels).sigmoid().sqrt().flatten(), strict=True
        ):
            if nodes := self.law.quadrature(alpha, sigma):
                value = nodes[1] * nodes[0].log_prob.exp() * f(nodes[0])
                found.append(torch.stack([value.sum(-1), 0 * value[..., 0]]))
            else:
                generator = torch.Generator().manual_seed(
                    0
                )  # the same draws at each level: a smooth curve
                u = (
                    torch.arange(draws)
                    + torch.rand(draws, generator=generator, dtype=torch.float64)
                ) / draws
                z = alpha * (x := self.law.draw(u, generator)) + sigma * torch.empty_like(
                    x
                ).normal_(generator=generator)
                value = f(posterior_in_pieces(self.law, z, alpha, sigma))
                found.append(torch.stack([value.mean(-1), value.std(-1) / math.sqrt(draws)]))
        mean, error = torch.stack(found, -1).reshape(2, *value.shape[:-1], *levels.shape).numpy()
        return (mean, error) if stderr else mean

    def mmse(
        self, logsnr: ArrayLike, stderr: bool = False, draws: int = 4096
    ) -> NDArray | tuple[NDArray, NDArray]:
        """E‖eps_hat − eps‖² of the ideal denoiser, summed over dimensions, shape of logsnr; with its standard error if asked.

        By quadrature in one and two dimensions (relative error about 1e-11, standard error 0), else by stratified ``draws``.
        """
        return self._expect(lambda found: found.error, finite(logsnr, "logsnr"), stderr, draws)

    def moments(
        self, logsnr: ArrayLike, stderr: bool = False, draws: int = 4096
    ) -> NDArray | tuple[NDArray, NDArray]:
        """E‖eps_hat − eps‖² and E‖eps_hat − eps‖⁴, shape (2, *logsnr.shape), by the means of ``mmse``.

        The estimate of a loss from draws of λ varies least under the density p(λ) ∝ w sqrt(E‖eps_hat − eps‖⁴).
        """
        return self._expect(
            lambda found: torch.stack([found.error, found.fourth]),
            finite(logsnr, "logsnr"),
            stderr,
            draws,
        )

    def entropy(self, logsnr: float = math.inf) -> float:
        """Differential entropy of z in nats, by the means of ``mmse``; without ``logsnr`` of the data."""
        self._at(self.mean[None], logsnr)  # refuses what has no density
        return float(self._expect(lambda found: -found.log_prob, logsnr))


def mixture(
    means: ArrayLike, std: ArrayLike, weights: ArrayLike | None = None, name: str = "mixture"
) -> Toy:
    """Mixture of isotropic Gaussians of your own.

    Args:
        means: shape (k, *shape); k numbers on a line are (k, 1).
        std: standard deviation of the components, one for all or shape (k,), above 0.
        weights: shape (k,), above 0, sum 1; equal by default.
    Raises ValueError if shapes do not fit or a value is out of range.
    """
    m, s = finite(means, "means"), finite(std, "std")
    if m.ndim < 2 or not m.size:
        raise ValueError(
            f"means must be (k, *shape), got {m.shape}; numbers on a line are means[:, None]"
        )
    w = np.full(len(m), 1 / len(m)) if weights is None else finite(weights, "weights")
    if (
        w.shape != m.shape[:1]
        or s.shape not in ((), (1,), w.shape)
        or min(w.min(), s.min()) <= 0
        or abs(w.sum() - 1) > 1e-9
    ):
        raise ValueError(
            f"weights are {len(m)} numbers > 0 with sum 1, std one > 0 or {len(m)}; got {weights!r} and {std!r}"
        )
    return Toy(
        Mixture(torch.tensor(w), torch.tensor(m).flatten(1), torch.tensor(s).reshape(-1)),
        m.shape[1:],
        name,
    )


def dataset(
    source: ArrayLike | str | Path, bandwidth: float = 0.05, unit: bool = True, name: str = "data"
) -> Toy:
    """Your own data with an exact denoiser: the kernel density of the points.

    Args:
        source: points (n, *shape), or the path of a .csv: numbers with commas, under one line of names or none.
        bandwidth: standard deviation of the kernel, in standard deviations of the data.
        unit: shift and scale to mean 0 and a variance of 1 per dimension.
    Raises ValueError if a file is missing or holds no points, for NaN or inf, fewer than 2 points, or points that are all equal.
    """
    if isinstance(source, (str, Path)):
        name, path = Path(source).stem, Path(source)
        try:
            source = np.genfromtxt(path, delimiter=",", ndmin=2, encoding="utf-8-sig")
        except (OSError, ValueError) as error:
            raise ValueError(
                f"cannot read {path}: {error}; a .csv holds numbers with commas, for .npy pass np.load"
            ) from error
        if source.shape[1] == 1:
            raise ValueError(
                f"{path} has only one column; for points on a line pass np.loadtxt(path)[:, None]"
            )
        source = source[1:] if np.isnan(source[:1]).all() else source  # names
    points = finite(source, "data")
    if points.ndim < 2 or (points == points[:1]).all():
        raise ValueError(
            f"data must be 2 or more different points (n, *shape), got {points.shape}; maybe data[:, None]"
        )
    made = mixture(
        points, positive(bandwidth, "bandwidth") * math.sqrt(points.var(0).mean()), name=name
    )
    return made.unit() if unit else made


# complex numbers, seen as points (k, 2) of the plane
EIGHT = np.exp(2j * np.pi * np.arange(8) / 8)[:, None].view(float)
ARC = np.exp(1j * np.pi * (np.arange(40) + 0.5) / 40)[:, None].view(float)
TURN = np.pi * (1.5 + 3 * (np.arange(240) + 0.5) / 240)
SPIRAL = (TURN / 10 * np.exp(1j * TURN))[:, None].view(float)
TOYS: dict[str, Callable[[], Toy]] = {
    "gaussian": lambda: mixture([[0.0]], 1.0),
    "gmm1": lambda: mixture([[-1.5], [0.5]], [0.3, 0.2], [0.3, 0.7]),
    "gmm2d": lambda: mixture(
        [[-1.2, -0.4], [0.9, 0.8], [0.6, -1.0]], [0.4, 0.3, 0.5], [0.5, 0.3, 0.2]
    ),
    "ring8": lambda: mixture(2 * EIGHT, 0.1),
    "8gaussians": lambda: mixture(5 * EIGHT, math.sqrt(0.1)),  # variance 0.1; torchcfm's has 0.316
    "moons": lambda: mixture(
        np.r_[ARC, [1, 0.5] - ARC], 0.1
    ),  # both arcs of scikit-learn's make_moons
    "swissroll": lambda: mixture(SPIRAL, 0.05),
    "circle": lambda: Toy(Circle(1.0), (2,)),
    "checkerboard": lambda: Toy(Checkerboard(4.0), (2,)),
    "dino": lambda: dataset(FOLDER / "dino.csv"),
    "digits": lambda: dataset(load("digits")["images"] / 8 - 1, unit=False),
    "fashion": lambda: dataset(load("fashion")["images"] / 127.5 - 1, unit=False),
}


def toy(name: str, unit: bool = False) -> Toy:
    """A toy by its name in ``TOYS``, with unit variance if asked; ValueError with near names if there is none."""
    if name not in TOYS:
        raise unknown("toy", name, TOYS, "diffviz.data.TOYS")
    made = replace(TOYS[name](), name=name)
    return made.unit() if unit else made
