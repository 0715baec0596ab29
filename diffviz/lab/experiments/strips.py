"""One photograph, one sound and one cloud of points at several noise levels."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from diffviz import checks, plots
from diffviz.data import files, toys

LEVELS = np.arange(-10.0, 11.0, 2.0)  # λ in nats
PHOTO, SHOWN_SIDE = "chelsea", 64  # the cat; pixels a side
SAMPLES = 240  # of the sound
HARMONICS = (3.0, 6.0, 9.0)  # cycles in the sound
POINTS = 160


def photograph() -> NDArray:
    """A photograph of unit variance and mean 0, shape (64, 64)."""
    return standardised(shrunk(files.load("photos")[PHOTO].astype(float)))


def shrunk(pixels: NDArray) -> NDArray:
    """A square picture by the means of its blocks, shape (64, 64)."""
    block = len(pixels) // SHOWN_SIDE
    return pixels.reshape(SHOWN_SIDE, block, SHOWN_SIDE, block).mean((1, 3))


def noised_then_shrunk(logsnr: ArrayLike = LEVELS, seed: int = 0) -> plots.Strip:
    """The photograph with noise in all of its 256² pixels, shrunk to 64² for show.

    The average of a block of pixels has less noise than one of them. So coarse structure is seen at
    lower levels than in ``noised``, where the photograph is shrunk first.

    Args:
        logsnr: Evenly spaced levels in nats, shape (n,).
        seed: Seed of the noise.

    Returns:
        The strip, each of its pictures brought to mean 0 and variance 1.

    Raises:
        TypeError: The levels are no real numbers, or the seed is no whole number.
        ValueError: The levels are not evenly spaced.

    Example:
        >>> dv.lab.experiments.strips.noised_then_shrunk([-4.0, 0.0, 4.0]).z.shape
        (3, 64, 64)
    """
    levels = checks.increasing(logsnr, "logsnr")
    pixels = files.load("photos")[PHOTO].astype(float) / 127.5 - 1
    x = pixels - pixels.mean()
    noise = np.random.default_rng(checks.seed(seed)).standard_normal(x.shape)
    z = [standardised(shrunk(mixed(x, noise, level))) for level in levels]
    return plots.Strip(levels, np.stack(z), "image")


def note() -> NDArray:
    """A plucked string of unit variance: three harmonics that die away, shape (240,)."""
    time = np.linspace(0, 1, SAMPLES)
    harmonics = [np.sin(2 * np.pi * cycles * time) / cycles for cycles in HARMONICS]
    return standardised(np.exp(-2.5 * time) * np.sum(harmonics, axis=0))


def cloud() -> NDArray:
    """Points of two moons, of unit variance on average over both axes, shape (160, 2)."""
    import torch

    points = toys.toy("moons").sample(POINTS, torch.Generator().manual_seed(0)).numpy()
    return standardised(points - points.mean(0))


def standardised(values: NDArray) -> NDArray:
    """The values less their mean, over their standard deviation."""
    return (values - values.mean()) / values.std()


def _own_example(x: ArrayLike) -> NDArray:
    """An example of a reader's own, of mean 0 and variance 1."""
    values = checks.finite(x, "x")
    checks.require(values.size > 0 and np.ptp(values) > 0, "x is constant: give one that varies")
    return standardised(values)


EXAMPLES: dict[str, Callable[[], NDArray]] = {
    "image": photograph,
    "sound": note,
    "points": cloud,
}


def example(kind: str = "image", seed: int = 0) -> tuple[NDArray, NDArray]:
    """An example and noise of its shape.

    Args:
        kind: "image", "sound" or "points".
        seed: Seed of the noise.

    Returns:
        The example x, of mean 0 and variance 1, and the noise ε, both of the shape of that kind.

    Raises:
        TypeError: The seed is no whole number.
        ValueError: The kind is unknown.

    Example:
        >>> x, eps = dv.lab.experiments.strips.example("sound")
        >>> x.shape, eps.shape, round(float(x.var()), 6)
        ((240,), (240,), 1.0)
    """
    checks.one_of(kind, "kind", EXAMPLES)
    x = EXAMPLES[kind]()
    return x, np.random.default_rng(checks.seed(seed)).standard_normal(x.shape)


def mixed(x: ArrayLike, eps: ArrayLike, logsnr: float) -> NDArray:
    """Data with the noise of one level.

    Args:
        x: Data of any shape.
        eps: Noise of the same shape.
        logsnr: λ in nats.

    Returns:
        z = α x + σ ε with α² = sigmoid(λ) and σ² = sigmoid(−λ), in that shape.

    Raises:
        TypeError: An array holds no real numbers, or λ is no number.
        ValueError: The shapes differ, or a value is not finite.

    Example:
        >>> dv.lab.experiments.strips.mixed([1.0, -1.0], [0.0, 0.0], 0.0).round(4).tolist()
        [0.7071, -0.7071]
    """
    data, noise = checks.finite(x, "x"), checks.finite(eps, "eps")
    message = f"eps must have the shape {data.shape} of x, got {noise.shape}"
    checks.require(data.shape == noise.shape, message)
    level = checks.number(logsnr, "logsnr")
    return np.sqrt(expit(level)) * data + np.sqrt(expit(-level)) * noise


def noised(
    kind: str = "image",
    logsnr: ArrayLike = LEVELS,
    seed: int = 0,
    x: ArrayLike | None = None,
) -> plots.Strip:
    """One example at several noise levels, with the same noise at all of them.

    z = α x + σ ε with α² = sigmoid(λ) and σ² = sigmoid(−λ), so that z has unit variance everywhere.

    Args:
        kind: "image", "sound" or "points".
        logsnr: Evenly spaced levels in nats, shape (n,).
        seed: Seed of the noise.
        x: An example of your own, which is brought to mean 0 and variance 1: an image, shape
            (height, width), a sound, shape (samples,), or points, shape (n, 2).

    Returns:
        The strip, for the argument ``strip`` of a plot.

    Raises:
        TypeError: The levels or the example are no real numbers, or the seed is no whole number.
        ValueError: The kind is unknown, the levels are not evenly spaced, or the example has the
            wrong shape or is constant.

    Example:
        >>> dv.lab.experiments.strips.noised("sound", [-4.0, 0.0, 4.0]).z.shape
        (3, 240)
    """
    checks.one_of(kind, "kind", EXAMPLES)
    levels = checks.increasing(logsnr, "logsnr")
    x = EXAMPLES[kind]() if x is None else _own_example(x)
    noise = np.random.default_rng(checks.seed(seed)).standard_normal(x.shape)
    alpha, sigma = np.sqrt(expit(levels)), np.sqrt(expit(-levels))
    z = np.multiply.outer(alpha, x) + np.multiply.outer(sigma, noise)
    return plots.Strip(levels, z, kind)
