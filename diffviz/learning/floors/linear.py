"""Linear denoisers: Wiener filters in an orthonormal basis, and the two that know least.

In a basis u_k, with the mean m and variances v_k of the data along u_k, the filter is

    x_hat = m + Σ_k g_k u_k u_k·(y − m),    g_k = v_k / (v_k + e^(−λ)),    y = x + e^(−λ/2) eps.

For a point x with the coefficients c_k = u_k·(x − m) its squared eps error has the mean

    Σ_k g_k² + c_k² e^(−λ) / (v_k + e^(−λ))²

over the noise, which is therefore not drawn. Variances along eigenvectors are measured on points
that the eigenvectors were not made from. This is the shrinkage that is best for these eigenvectors
(Lam 2016, Annals of Statistics 44, 928): the eigenvalues of the sample are too large at one end and
too small at the other, and a filter with them can be worse than none.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft
from torch import Tensor

LARGEST_MATRIX = 4096  # side of a matrix whose eigenvectors are computed
LARGEST_AXIS = 4096  # length of an axis with a cosine transform
MOST_CHANNELS = 64
BLOCK = 1024  # points that are computed at once

Projection = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Filter:
    """A Wiener filter.

    Args:
        name: What it is called in ``Floor.method``.
        mean: m, shape (d,).
        project: Coefficients (n, k) of vectors (n, d) in an orthonormal basis of k directions.
        variances: v_k, shape (k,).
        rest: Variance along each of the d − k directions that are not in the basis.
    """

    name: str
    mean: Tensor
    project: Projection
    variances: Tensor
    rest: float

    def errors(self, x: Tensor, logsnr: NDArray) -> Tensor:
        """Squared eps errors of points x (n, d), averaged over the noise, shape (levels, n)."""
        return torch.cat([self._errors(block, logsnr) for block in x.split(BLOCK)], 1)

    def _errors(self, x: Tensor, logsnr: NDArray) -> Tensor:
        """``errors`` of as many points as are computed at once."""
        centred = x - self.mean
        squares = self.project(centred).square()
        others = (centred.square().sum(1) - squares.sum(1)).clamp(min=0)
        noise = torch.exp(-torch.from_numpy(logsnr).to(x.device))[:, None]  # s²
        total = self.variances + noise
        missing = len(self.mean) - len(self.variances)
        passed = (self.variances / total).square().sum(1, keepdim=True)
        passed = passed + missing * (self.rest / (self.rest + noise)).square()
        lost = (noise / total.square()) @ squares.T
        return passed + lost + others * noise / (self.rest + noise).square()


def nothing(centred: Tensor) -> Tensor:
    """The coefficients in a basis without directions."""
    return centred[:, :0]


def everything(centred: Tensor) -> Tensor:
    """The coefficients in the basis of the coordinates."""
    return centred


@dataclass(frozen=True, eq=False)
class Matrix:
    """Coefficients by an orthonormal matrix of directions (d, k)."""

    directions: Tensor

    def __call__(self, centred: Tensor) -> Tensor:
        """Coefficients (n, k) of vectors (n, d)."""
        return centred @ self.directions


@dataclass(frozen=True, eq=False)
class Cosines:
    """Coefficients of a cosine transform along axes, in channels that are made independent.

    Args:
        shape: Shape of one point, the channels first.
        channels: Orthonormal matrix of the channels, shape (c, c).
        transforms: Orthonormal matrices of the other axes, shape (n, n) each.
    """

    shape: tuple[int, ...]
    channels: Tensor
    transforms: tuple[Tensor, ...]

    def __call__(self, centred: Tensor) -> Tensor:
        """Coefficients (n, d) of vectors (n, d)."""
        values = centred.reshape(-1, *self.shape)
        for axis, matrix in enumerate((self.channels, *self.transforms), start=1):
            values = torch.tensordot(values, matrix, dims=([axis], [1])).movedim(-1, axis)
        return values.flatten(1)


def filters(x: Tensor, shape: tuple[int, ...]) -> list[Filter]:
    """The linear denoisers that are made from points.

    Args:
        x: Points, shape (n, d).
        shape: Shape of one point.

    Returns:
        The mean, and Wiener filters in the bases of the coordinates, of cosines and of the
        eigenvectors of the covariance; those whose matrices would be too large are left out.
    """
    mean = x.mean(0)
    made = [
        Filter("mean", mean, nothing, mean[:0], 0.0),
        _measured("Wiener, coordinates", mean, everything, x),
    ]
    channels_first = shape if len(shape) > 2 else (1, *shape)
    if max(channels_first[1:]) <= LARGEST_AXIS and channels_first[0] <= MOST_CHANNELS:
        cosines = _cosines(x, mean, channels_first)
        made.append(_measured("Wiener, spectrum", mean, cosines, x))
    first, second = x[: len(x) // 2], x[len(x) // 2 :]
    made.append(_measured("Wiener, covariance", mean, Matrix(_eigenvectors(first)), second))
    return made


def _measured(name: str, mean: Tensor, project: Projection, x: Tensor) -> Filter:
    """A filter whose variances are measured on points (n, d)."""
    variances = torch.zeros((), dtype=x.dtype, device=x.device)
    total = 0.0
    for block in x.split(BLOCK):
        centred = block - mean
        variances = variances + project(centred).square().sum(0) / len(x)
        total += float(centred.square().sum()) / len(x)
    missing = len(mean) - len(variances)
    rest = max(0.0, total - float(variances.sum())) / missing if missing else 0.0
    return Filter(name, mean, project, variances, rest)


def _eigenvectors(x: Tensor) -> Tensor:
    """Eigenvectors of the covariance of points (n, d) as columns, at most 4,096 and n − 1."""
    if len(x) > x.shape[1] and x.shape[1] <= LARGEST_MATRIX:
        mean = x.mean(0)
        covariance = torch.zeros(x.shape[1], x.shape[1], dtype=x.dtype, device=x.device)
        for block in x.split(BLOCK):
            centred = block - mean
            covariance.addmm_(centred.T, centred)
        return torch.linalg.eigh(covariance)[1]
    centred = x[:LARGEST_MATRIX] - x[:LARGEST_MATRIX].mean(0)
    values, vectors = torch.linalg.eigh(centred @ centred.T)
    seen = values > values[-1] * 1e-10
    return torch.linalg.qr(centred.T @ vectors[:, seen])[0]


def _cosines(x: Tensor, mean: Tensor, shape: tuple[int, ...]) -> Cosines:
    """The cosine transform for points (n, d) of a shape with channels first."""
    covariance = torch.zeros(shape[0], shape[0], dtype=x.dtype, device=x.device)
    for block in x.split(BLOCK):
        values = (block - mean).reshape(len(block), shape[0], -1)
        covariance = covariance + torch.einsum("nap,nbp->ab", values, values)
    transforms = [
        torch.from_numpy(fft.dct(np.eye(length), axis=0, norm="ortho")) for length in shape[1:]
    ]
    return Cosines(
        shape=shape,
        channels=torch.linalg.eigh(covariance)[1].T,
        transforms=tuple(matrix.to(x.device) for matrix in transforms),
    )
