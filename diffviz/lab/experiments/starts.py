"""What a start makes of photographs, and how a source is paired with data.

Photographs stand in for images of any size: their cosine coefficients are taken as independent
Gaussians, each with the power of its frequency, so the exact flow of each is known.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft
from scipy.special import expit

from diffviz.checks import array, count, number, one_of, positive, require
from diffviz.data import files
from diffviz.lab.experiments import prior
from diffviz.lab.experiments.sampling import PHOTOS, spectrum

SIDE = 64  # pixels a side of the photographs that are shown
PAIRS = 256  # pairs that are shown
STEPS = 30
QUANTILES = np.array([-1.2, -0.6, 0.0, 0.6, 1.2])  # of the photographs' brightness, in deviations
INDEPENDENT, OPTIMAL = "independent pairs", "minibatch OT pairs"
FLOW, REFLOW = "exact flow", "reflow pairs"
COUPLINGS = (INDEPENDENT, OPTIMAL, FLOW, REFLOW)
COUPLING_REACH = 4.0  # half the side of the square whose corners colour the ends of pairs

# --- photographs ---------------------------------------------------------------------------------


@lru_cache
def photographs() -> NDArray:
    """The photographs of ``PHOTOS`` in grey, on [−1, 1], shape (5, 64, 64)."""
    stored = files.load("photos")
    images = np.stack([stored[name] for name in PHOTOS]) / 127.5 - 1
    block = images.shape[1] // SIDE
    return images.reshape(len(images), SIDE, block, SIDE, block).mean((2, 4))


def as_bright(mean: float = prior.MEAN, std: float = prior.STD) -> NDArray:
    """The photographs, each moved to a brightness of the data's law.

    Args:
        mean: Mean brightness of the data.
        std: Standard deviation of the brightness.

    Returns:
        The photographs with the brightness mean + std · ``QUANTILES``, shape (5, 64, 64); values
        may leave [−1, 1].

    Raises:
        ValueError: The mean is not finite, or the deviation is not above 0.

    Example:
        >>> as_bright(0.1, 0.2).mean((1, 2)).round(2).tolist()
        [-0.14, -0.02, 0.1, 0.22, 0.34]
    """
    brightness = number(mean, "mean") + positive(std, "std") * QUANTILES
    images = photographs()
    return images + (brightness - images.mean((1, 2)))[:, None, None]


def power(side: int = SIDE) -> NDArray:
    """Power of each coefficient of an image that is shown, in an image of ``side`` pixels.

    Args:
        side: Side of the image, in pixels.

    Returns:
        The powers, shape (64, 64).
    """
    return spectrum(SIDE) * (side / SIDE) ** 2


def started(
    images: ArrayLike,
    level: float,
    offset: float = 0.0,
    side: int = prior.SIDE,
    mean: float = prior.MEAN,
    std: float = prior.STD,
    also_at_start: bool = True,
) -> NDArray:
    """Images as they come out of a start from N(0, I) in the place of z at the end of training.

    A coefficient x = m + √V q, which the flow makes of a start at the quantile q of the z of
    training, becomes bias + √(V/v) q from the same quantile of N(0, 1), with v = alpha² V + sigma²;
    see ``theory.prior.terminal_bias``. Means other than that of the brightness are 0. A coefficient
    of an image of ``side`` pixels is larger than here by side/64.

    Args:
        images: Images on [−1, 1], shape (n, 64, 64).
        level: λ at the end of training in nats; −inf for zero terminal SNR.
        offset: Strength c of offset noise.
        side: Side of the images that they stand for, in pixels.
        mean: Mean brightness of the data.
        std: Standard deviation of the brightness.
        also_at_start: Whether sampling starts from noise with the offset too.

    Returns:
        The images, like ``images``; values may leave [−1, 1].

    Raises:
        ValueError: A number is NaN, the images are not (n, 64, 64), or a size or deviation is not
            positive.
    """
    pixels = array(images, "images")
    shape = pixels.shape
    require(shape[1:] == (SIDE, SIDE), f"images must be (n, {SIDE}, {SIDE}), got {shape}")
    level = float(array(level, "level", infinite=True, ndim=0))
    mean = number(mean, "mean")
    ratios = prior.offset_bias(level, offset, side, 1.0, std, also_at_start)
    mean_ratio, std_ratio = map(float, ratios)
    waves = fft.dctn(pixels, axes=(1, 2), norm="ortho")
    brightness = waves[:, 0, 0] / SIDE
    waves /= np.sqrt(expit(level) * power(side) + expit(-level))
    waves[:, 0, 0] = SIDE * (mean * mean_ratio + (brightness - mean) * std_ratio)
    return fft.idctn(waves, axes=(1, 2), norm="ortho")


# --- couplings -----------------------------------------------------------------------------------


class Pairing(NamedTuple):
    """Source and data of a coupling, and the ways between them.

    Attributes:
        z: Points on the way from source to data, shape (steps + 1, n, 2).
        share: Share of the way that is done, shape (steps + 1,).
        numbers: Share of crossing pairs, cost (mean squared distance), and path ratio.
    """

    z: NDArray
    share: NDArray
    numbers: dict[str, float]


@lru_cache(8)
def paired(coupling: str, n: int = PAIRS) -> Pairing:
    """A ring of eight Gaussians coupled with two moons; nothing is trained.

    Args:
        coupling: One of ``COUPLINGS``: pairs on straight lines, at random, by optimal transport in
            batches of 128, or from each start to where the exact flow of random pairs takes it; or
            that flow itself.
        n: Number of pairs.

    Returns:
        The ways and the numbers of the coupling.

    Raises:
        TypeError: ``n`` is no whole number.
        ValueError: The coupling is unknown, or ``n`` is below 2.
    """
    import torch

    from diffviz.sampling import couplings

    one_of(coupling, "coupling", COUPLINGS)
    ring, moons = prior.ring_and_moons()
    size = count(n, "n", least=2)
    source, x = (
        toy.sample(size, torch.Generator().manual_seed(seed))
        for seed, toy in enumerate((ring, moons))
    )
    share = torch.linspace(0, 1, STEPS + 1, dtype=torch.float64)
    if coupling in (FLOW, REFLOW):
        _, z = couplings.flow(prior.exact_velocity(ring, moons), source, STEPS)
        x = z[-1]
    elif coupling == OPTIMAL:
        source, x = couplings.minibatch_ot(source, x, torch.Generator().manual_seed(2))
    if coupling != FLOW:
        z = torch.lerp(source, x, share[:, None, None])
    numbers = {
        "crossings": couplings.crossings(source, x),
        "cost": couplings.transport_cost(source, x),
        "path ratio": couplings.path_ratio(z),
    }
    return Pairing(z.numpy(), share.numpy(), numbers)
