"""Data whose density, score and ideal denoiser are known at every noise level.

A ``Toy`` joins a density (``Mixture``, ``Circle``, ``Checkerboard``) with the shape of one point.
A kernel density is a mixture, so that any data set has an exact denoiser. By Tweedie's formula
(Efron 2011) eps_hat = −sigma score, and the eps-mmse is the mean of tr Cov[eps|z]: nothing cancels
at either end of the log-SNR.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from diffviz.checks import (
    able,
    array,
    count,
    dense_tensor,
    finite,
    instance,
    number,
    one_of,
    positive,
    require,
    text,
    torch_generator,
    unknown,
)
from diffviz.compute import threads
from diffviz.data.densities import (
    CHUNK,
    Checkerboard,
    Circle,
    Estimate,
    KnownDensity,
    Mixture,
    estimate_in_pieces,
)
from diffviz.data.expectations import channel, entropy, moments
from diffviz.data.files import FOLDER, load
from diffviz.data.points import read_points, refuse_channels_last
from diffviz.delimited import Frame

# λ: below, squares of alpha would vanish; above, noise would drown in the rounding of z
LOWEST = -690.0
HIGHEST = 55.0
FINEST = 1e-9  # standard deviation of which the noise at λ = 55 is a thousandth
WIDEST = 1e9  # bandwidth in standard deviations of the data
DRAWS = 4096  # where there is no quadrature


def _work(toy: "Toy", *arguments: Any, **options: Any) -> float:
    """Multiply-adds of the largest operation of a method of a toy; see ``compute.threads``."""
    on_cpu = threads.on_cpu(*arguments, *options.values())
    return toy.multiply_adds(CHUNK) if on_cpu else math.inf


@dataclass(frozen=True, eq=False)
class Toy:
    """Data with everything known: a density, and the shape of one point.

    Points z are of the variance-preserving frame: alpha² = sigmoid(λ), sigma² = sigmoid(−λ). A λ
    above 55 counts as 55. What comes back has the dtype of z if that is a floating tensor, else
    float64; inside, all is float64. A NaN in a tensor z gives NaN, as solvers expect, and so does a
    number beyond 1e150, whose square float64 does not hold.

    Args:
        law: The density of x as vectors (d,).
        shape: Shape of one point, with the product d.
        name: What messages and plots call the data.

    Raises:
        ValueError: The shape does not fit the density, or a standard deviation is below 1e-9.

    Example:
        >>> toy = dv.toy("moons", unit=True)
        >>> toy.name, toy.shape, round(toy.std, 6)
        ('moons', (2,), 1.0)
    """

    law: KnownDensity
    shape: tuple[int, ...]
    name: str = ""

    def __post_init__(self) -> None:
        able(self.law, "law", ("posterior", "draw"), "a density such as Mixture or Circle")
        instance(self.shape, "shape", (tuple, torch.Size), "a tuple such as (2,)")
        self._check_size()
        self._check_scale()

    @threads.decided_by(_work)
    def _check_size(self) -> None:
        """Refuse a shape that does not hold as many numbers as the density has."""
        d = len(self.law.mean)
        require(
            math.prod(self.shape) == d,
            f"a point of shape {self.shape} has {math.prod(self.shape)} numbers, the density {d}",
        )

    @threads.decided_by(_work)
    def _check_scale(self) -> None:
        """Refuse data, or Gaussians of a mixture, that are drowned in the noise at the last λ."""
        widths = [math.sqrt(self.law.variance.item())]
        if isinstance(self.law, Mixture):
            widths.append(self.law.std.min().item())
        require(
            min(widths) >= FINEST,
            f"a standard deviation must be at least {FINEST:g}, got {min(widths):.3g}: the noise "
            "at λ = 55, the cleanest level of a toy, is 1.1e-12; rescale the data, or take a "
            "larger bandwidth",
        )

    def __repr__(self) -> str:
        return f"Toy({self.name!r}: {self.law!r}, points of shape {self.shape})"

    @property
    @threads.decided_by(_work)
    def mean(self) -> Tensor:
        """Mean of x, shape (*shape)."""
        return self.law.mean.reshape(self.shape)

    @property
    @threads.decided_by(_work)
    def std(self) -> float:
        """Standard deviation of x, the root of the variance averaged over all coordinates."""
        return math.sqrt(self.law.variance.item())

    def multiply_adds(self, n: int) -> int:
        """Multiply-adds of the largest operation on n points; see ``compute.threads``.

        Args:
            n: Number of points, which are computed in pieces of bounded size.

        Returns:
            The number.

        Raises:
            TypeError: ``n`` is no whole number.
            ValueError: ``n`` is negative.

        Example:
            >>> dv.toy("ring8").multiply_adds(100)  # 8 Gaussians, 32 for an exp
            25600
        """
        row = self.law.row_size
        piece = max(row, min(count(n, "n", least=0) * row, CHUNK))
        return piece * max(math.prod(self.shape), threads.ELEMENT)

    @threads.decided_by(_work)
    def unit(self) -> "Toy":
        """The same data, shifted and scaled to mean 0 and a variance of 1 per dimension.

        Example:
            >>> round(dv.mixture([[0.0], [6.0]], std=4.0).unit().std, 6)
            1.0
        """
        return replace(self, law=self.law.unit())

    @threads.decided_by(_work)
    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Points of x.

        Args:
            n: Number of points, from 0.
            generator: Source of the randomness.

        Returns:
            x in float64, shape (n, *shape).

        Raises:
            TypeError: ``n`` is no whole number, or ``generator`` no torch generator.
            ValueError: ``n`` is negative.

        Example:
            >>> dv.toy("ring8").sample(5, torch.Generator().manual_seed(0)).shape
            torch.Size([5, 2])
        """
        size = count(n, "n", least=0)
        torch_generator(generator)
        u = torch.rand(size, generator=generator, dtype=torch.float64)
        return self.law.draw(u, generator).reshape(size, *self.shape)

    @threads.decided_by(_work)
    def log_prob(self, z: Tensor | ArrayLike, logsnr: Tensor | ArrayLike = math.inf) -> Tensor:
        """Log density of z in nats.

        Args:
            z: Points, shape (n, *shape).
            logsnr: λ in nats, shape (n,) or (); by default that of the data themselves, where a
                circle has no density.

        Returns:
            log p(z), shape (n,).

        Raises:
            TypeError: An argument holds no real numbers.
            ValueError: The shapes do not fit, λ is NaN, or there is no density.

        Example:
            >>> dv.toy("gaussian").log_prob([[0.0], [1.0]]).round(decimals=3)
            tensor([-0.9190, -1.4190], dtype=torch.float64)
        """
        return self._estimate(z, logsnr).log_prob

    @threads.decided_by(_work)
    def denoise(self, z: Tensor | ArrayLike, logsnr: Tensor | ArrayLike) -> Tensor:
        """The ideal denoiser, E[x|z].

        Args:
            z: Points, shape (n, *shape).
            logsnr: λ in nats, shape (n,) or ().

        Returns:
            x_hat, like z.

        Raises:
            TypeError: An argument holds no real numbers.
            ValueError: The shapes do not fit, or λ is NaN.

        Example:
            >>> dv.toy("gaussian").denoise([[1.0], [2.0]], logsnr=0.0).round(decimals=3)
            tensor([[0.7070],
                    [1.4140]], dtype=torch.float64)
        """
        return self._estimate(z, logsnr).x_hat

    @threads.decided_by(_work)
    def score(self, z: Tensor | ArrayLike, logsnr: Tensor | ArrayLike) -> Tensor:
        """Gradient of the log density at z; eps_hat = −sigma score.

        Args:
            z: Points, shape (n, *shape).
            logsnr: λ in nats, shape (n,) or ().

        Returns:
            The score, like z.

        Raises:
            TypeError: An argument holds no real numbers.
            ValueError: The shapes do not fit, or λ is NaN.

        Example:
            >>> dv.toy("gaussian").score([[1.0], [2.0]], logsnr=0.0).round(decimals=3)
            tensor([[-1.],
                    [-2.]], dtype=torch.float64)
        """
        return self._estimate(z, logsnr).score

    @threads.decided_by(_work)
    def mmse(
        self, logsnr: ArrayLike, stderr: bool = False, draws: int = DRAWS
    ) -> NDArray | tuple[NDArray, NDArray]:
        """E‖eps_hat − eps‖² of the ideal denoiser, summed over dimensions.

        In one and two dimensions by quadrature (relative error about 1e-11, standard error 0), from
        a table for the toys by name (relative error below 1e-8). Else by stratified draws. What has
        been computed is remembered until the process ends.

        Args:
            logsnr: λ in nats, any shape.
            stderr: Whether to return the standard error too.
            draws: Number of draws where there is no quadrature, at least 2.

        Returns:
            The error, in the shape of λ; with its standard error if asked.

        Raises:
            TypeError: λ holds no real numbers, or ``draws`` is no whole number.
            ValueError: λ is not finite, ``draws`` is below 2, or ``stderr`` is no bool.


        Example:
            >>> dv.toy("gaussian").mmse([-2.0, 0.0, 2.0]).round(3)
            array([0.119, 0.5  , 0.881])
        """
        stderr = one_of(stderr, "stderr", (False, True))
        (mean, _), (error, _) = self._moments(logsnr, draws)
        return (mean, error) if stderr else mean

    @threads.decided_by(_work)
    def moments(
        self, logsnr: ArrayLike, stderr: bool = False, draws: int = DRAWS
    ) -> NDArray | tuple[NDArray, NDArray]:
        """E‖eps_hat − eps‖² and E‖eps_hat − eps‖⁴, computed as in ``mmse``.

        The estimate of a loss from draws of λ varies least under the density
        p(λ) ∝ w sqrt(E‖eps_hat − eps‖⁴).

        Args:
            logsnr: λ in nats, any shape.
            stderr: Whether to return the standard errors too.
            draws: Number of draws where there is no quadrature, at least 2.

        Returns:
            Both moments, shape (2, *logsnr.shape); with their standard errors if asked.

        Raises:
            TypeError: λ holds no real numbers, or ``draws`` is no whole number.
            ValueError: λ is not finite, ``draws`` is below 2, or ``stderr`` is no bool.


        Example:
            >>> dv.toy("gaussian").moments([0.0]).round(3)
            array([[0.5 ],
                   [0.75]])
        """
        stderr = one_of(stderr, "stderr", (False, True))
        mean, error = self._moments(logsnr, draws)
        return (mean, error) if stderr else mean

    @threads.decided_by(_work)
    def entropy(self, logsnr: float = math.inf) -> float:
        """Differential entropy of z in nats, computed as in ``mmse``.

        Args:
            logsnr: λ in nats; by default that of the data themselves.

        Returns:
            −E log p(z).

        Raises:
            ValueError: λ is NaN or no single number, or there is no density.

        Example:
            >>> round(dv.toy("gaussian").entropy(), 4)
            1.4189
        """
        self._estimate(self.mean[None], logsnr)  # refuses what has no density
        level = _as_levels(logsnr, torch.device("cpu")).reshape(())
        return entropy(self.law, level.detach(), DRAWS)

    def _estimate(self, z: Tensor | ArrayLike, logsnr: Tensor | ArrayLike) -> Estimate:
        """What z says of the mean of x, in the shape and dtype of z."""
        points = _as_points(z)
        level = _as_levels(logsnr, points.device)
        if points.shape[1:] != self.shape or level.shape not in (points.shape[:1], ()):
            raise ValueError(
                f"z must be {('n', *self.shape)}, logsnr (n,) or (); "
                f"got {tuple(points.shape)}, {tuple(level.shape)}"
            )
        require(
            self.law.has_density or not (level == HIGHEST).any(),
            f"{self.name or 'the law'} has no density without noise; give a logsnr below 55",
        )
        estimate = estimate_in_pieces(self.law, points.double().flatten(1), *channel(level))
        return Estimate(
            log_prob=estimate.log_prob.to(points.dtype),
            x_hat=estimate.x_hat.reshape(points.shape).to(points.dtype),
            score=estimate.score.reshape(points.shape).to(points.dtype),
        )

    def _moments(self, logsnr: ArrayLike, draws: int) -> tuple[NDArray, NDArray]:
        """Both moments and their standard errors, shape (2, *logsnr.shape) each."""
        levels = finite(logsnr, "logsnr").clip(LOWEST, HIGHEST)
        size = count(draws, "draws", least=2)
        require(levels.size, "logsnr must hold at least one level, got none")
        mean, error = moments(self.law, levels.ravel(), size)
        return mean.reshape(2, *levels.shape), error.reshape(2, *levels.shape)


def _as_points(z: Tensor | ArrayLike) -> Tensor:
    """Points as a floating tensor, which keeps its gradient; integers become float64."""
    if not isinstance(z, Tensor):
        return torch.from_numpy(array(z, "z", infinite=True))
    require(not z.is_complex(), f"z must hold real numbers, got {z.dtype}", TypeError)
    dense_tensor(z, "z")
    return z if z.is_floating_point() else z.double()


def _as_levels(logsnr: Tensor | ArrayLike, device: torch.device) -> Tensor:
    """Levels in float64 on a device, within the range where float64 tells them apart."""
    if isinstance(logsnr, Tensor):
        real = not logsnr.is_complex()
        require(real, f"logsnr must hold real numbers, got {logsnr.dtype}", TypeError)
        dense_tensor(logsnr, "logsnr")
    else:
        logsnr = array(logsnr, "logsnr", infinite=True)
    level = torch.as_tensor(logsnr, dtype=torch.float64, device=device)
    require(not level.isnan().any(), "logsnr must not be NaN")
    return level.clamp(LOWEST, HIGHEST)


# --- toys of your own ---------------------------------------------------------------------------


def mixture(
    means: ArrayLike, std: ArrayLike, weights: ArrayLike | None = None, name: str = "mixture"
) -> Toy:
    """Mixture of isotropic Gaussians of your own, p(x) = Σ_k w_k N(x; m_k, s_k² I).

    Args:
        means: m_k, shape (k, *shape); k numbers on a line are (k, 1).
        std: s_k, one for all or shape (k,), at least 1e-9.
        weights: w_k, above 0 with sum 1, shape (k,); equal by default.
        name: What messages and plots call the data.

    Returns:
        The toy.

    Raises:
        TypeError: An argument holds no real numbers, or the name is no text.
        ValueError: The shapes do not fit, or a value is out of range.

    Example:
        >>> two = dv.mixture([[-1.0], [1.0]], std=0.1)
        >>> round(two.std, 3)
        1.005
    """
    centres = finite(means, "means")
    require(
        centres.ndim >= 2 and centres.size,
        f"means must be (k, *shape), got {centres.shape}; numbers on a line are means[:, None]",
    )
    k = len(centres)
    deviations = finite(std, "std")
    require(
        deviations.shape in ((), (1,), (k,)) and (deviations >= FINEST).all(),
        f"std must be one number of at least {FINEST:g}, or {k} of them, one for each of the "
        f"means, got {std!r}; rescale the data, since a toy has noise of 1.1e-12 where it is "
        "cleanest",
    )
    shares = np.full(k, 1 / k) if weights is None else finite(weights, "weights")
    require(
        shares.shape == (k,) and (shares > 0).all() and abs(shares.sum() - 1) <= 1e-9,
        f"weights must be {k} numbers > 0 with sum 1, one for each of the means; got {weights!r}",
    )
    text(name, "name")
    law = Mixture(
        torch.from_numpy(shares),
        torch.from_numpy(centres).flatten(1),
        torch.from_numpy(deviations).reshape(-1),
    )
    return Toy(law, centres.shape[1:], name)


def _kernel_density(points: NDArray, width: float) -> Mixture:
    """Gaussians of one width on points (n, *shape)."""
    means = torch.from_numpy(points).flatten(1)
    weights = torch.full((len(means),), 1 / len(means), dtype=means.dtype)
    return Mixture(weights, means, means.new_tensor([width]))


def dataset(
    source: ArrayLike | Frame | str | Path,
    bandwidth: float = 0.05,
    unit: bool = True,
    name: str = "data",
    array: str | None = None,
) -> Toy:
    """Your own data with an exact denoiser: the kernel density of the points.

    Args:
        source: Points (n, *shape), a frame of pandas or polars, a mapping from names to columns, or
            a file: .npy, .npz, .parquet, or a table in text, with commas, semicolons or tabs, under
            one line of names or none. A first column without a name is an index: it is dropped, and
            a warning says so.
        bandwidth: Standard deviation of the kernel, in standard deviations of the data; at most
            1e9.
        unit: Whether to shift and scale to mean 0 and a variance of 1 per dimension.
        name: What messages and plots call the data; a file has its own name.
        array: Name of the array, in an .npz file with several.

    Returns:
        The toy.

    Raises:
        TypeError: The points are no real numbers.
        ModuleNotFoundError: What reads parquet is not installed.
        ValueError: A file is missing or holds no points, a value is missing, text, NaN or
            infinite, images have their channels last, there are fewer than two points, or all
            are equal.

    Example:
        >>> points = [[0.0, 0.0], [4.0, 0.0], [0.0, 2.0], [4.0, 2.0]]
        >>> own = dv.dataset(points, bandwidth=0.1)
        >>> own.shape, round(own.std, 6)
        ((2,), 1.0)
    """
    unit = one_of(unit, "unit", (False, True))
    points = read_points(source, array)
    refuse_channels_last(points.shape)
    if isinstance(source, (str, Path)):
        name = Path(source).stem
    if points.ndim < 2 or (points == points[:1]).all():
        raise ValueError(
            f"data must be 2 or more different points (n, *shape), got {points.shape}; "
            "maybe data[:, None]"
        )
    spread = math.sqrt(points.var(0).mean())
    require(spread > 0, "the variance of the data is below what float64 holds; rescale them")
    text(name, "name")
    width = number(positive(bandwidth, "bandwidth"), "bandwidth", high=WIDEST)
    with threads.suited(threads.elements(points)):
        density = _kernel_density(points, width * spread)
        law = density.unit() if unit else density  # first, so that data may have any scale
    return Toy(law, points.shape[1:], name)


# --- toys by name -------------------------------------------------------------------------------


def plane(points: NDArray) -> NDArray:
    """Complex numbers (k,) as points (k, 2) of the plane."""
    return np.stack([points.real, points.imag], 1)


ARC = plane(np.exp(1j * np.pi * (np.arange(40) + 0.5) / 40))  # half a turn, (40, 2)


def eight_directions(radius: float) -> NDArray:
    """Eight points on a circle, (8, 2)."""
    return radius * plane(np.exp(2j * np.pi * np.arange(8) / 8))


def gaussian() -> Toy:
    """N(0, 1) on a line."""
    return mixture([[0.0]], 1.0)


def gmm1() -> Toy:
    """Two unequal Gaussians on a line."""
    return mixture([[-1.5], [0.5]], [0.3, 0.2], [0.3, 0.7])


def gmm2d() -> Toy:
    """Three unequal Gaussians in the plane."""
    return mixture([[-1.2, -0.4], [0.9, 0.8], [0.6, -1.0]], [0.4, 0.3, 0.5], [0.5, 0.3, 0.2])


def ring8() -> Toy:
    """Eight narrow Gaussians on a circle of radius 2."""
    return mixture(eight_directions(2), 0.1)


def eight_gaussians() -> Toy:
    """Eight Gaussians of variance 0.1 on a circle of radius 5; torchcfm's have √0.1."""
    return mixture(eight_directions(5), math.sqrt(0.1))


def moons() -> Toy:
    """The two arcs of scikit-learn's ``make_moons``, each as a string of 40 Gaussians."""
    return mixture(np.concatenate([ARC, [1, 0.5] - ARC]), 0.1)


def swissroll() -> Toy:
    """A spiral of one and a half turns, as a string of 240 Gaussians."""
    turn = np.pi * (1.5 + 3 * (np.arange(240) + 0.5) / 240)
    return mixture(plane(turn / 10 * np.exp(1j * turn)), 0.05)


def circle() -> Toy:
    """Uniform on the unit circle."""
    return Toy(Circle(1.0), (2,))


def checkerboard() -> Toy:
    """Uniform on the dark squares of a board of side 8."""
    return Toy(Checkerboard(4.0), (2,))


def dino() -> Toy:
    """The kernel density of the 142 points of the Datasaurus."""
    return dataset(FOLDER / "dino.csv")


def digits() -> Toy:
    """The kernel density of the 1,797 digits of 8 × 8 pixels, on [−1, 1]."""
    return dataset(load("digits")["images"] / 8 - 1, unit=False)


def fashion() -> Toy:
    """The kernel density of 5,000 images of Fashion-MNIST in 14 × 14 pixels, on [−1, 1]."""
    return dataset(load("fashion")["images"] / 127.5 - 1, unit=False)


TOYS: dict[str, Callable[[], Toy]] = {
    "gaussian": gaussian,
    "gmm1": gmm1,
    "gmm2d": gmm2d,
    "ring8": ring8,
    "8gaussians": eight_gaussians,
    "moons": moons,
    "swissroll": swissroll,
    "circle": circle,
    "checkerboard": checkerboard,
    "dino": dino,
    "digits": digits,
    "fashion": fashion,
}


def toy(name: str, unit: bool = False) -> Toy:
    """A toy by its name.

    Args:
        name: One of ``TOYS``.
        unit: Whether to shift and scale to mean 0 and a variance of 1 per dimension.

    Returns:
        The toy.

    Raises:
        TypeError: The name is no text.
        ValueError: There is no such toy; the message has near names.

    Example:
        >>> dv.toy("ring8").shape
        (2,)
        >>> round(dv.toy("ring8", unit=True).std, 6)
        1.0
    """
    require(isinstance(name, str), f"a toy is named by text, got {name!r}", TypeError)
    if name not in TOYS:
        raise unknown("toy", name, TOYS, "diffviz.data.TOYS")
    unit = one_of(unit, "unit", (False, True))
    named = replace(TOYS[name](), name=name)
    return named.unit() if unit else named
