"""Experiments on the start of sampling: terminal SNR, brightness, couplings and straightness.

An image of the Gaussian model has independent coefficients of the orthonormal cosine transform.
That at frequency 0 is its brightness, the mean of its pixels, times the side.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, stats
from scipy.special import expit, logit

from diffviz.checks import array, count, number, one_of, positive, require
from diffviz.compute import threads
from diffviz.compute.cache import cached
from diffviz.theory import paths, prior

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from diffviz.data.toys import Toy

# pixels a side; mean and standard deviation of an image's mean brightness, in [−1, 1]
SIDE, MEAN, STD = 64, -0.6, np.sqrt(0.05)
SIZES = (16, 64, 256)  # pixels a side
TEXTURE = 0.15  # variance of a pixel about the brightness of its image
_COSINE = np.cos((np.arange(1001) / 1000 + 0.008) / 1.008 * np.pi / 2) ** 2
BETAS = {  # T = 1000 steps, as released
    "Stable Diffusion": np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2,  # "scaled-linear"
    "DDPM linear": np.linspace(1e-4, 0.02, 1000),
    "iDDPM cosine": np.minimum(1 - _COSINE[1:] / _COSINE[:-1], 0.999),
}
# λ in nats, noise to data
LEVELS = {name: logit(np.cumprod(1 - beta))[::-1] for name, beta in BETAS.items()}
TERMINAL = {name: float(level[0]) for name, level in LEVELS.items()}
ZERO = "zero terminal SNR"
NO_SIGNAL = -30.0  # λ in nats that stands for −inf in computing


# --- grids -------------------------------------------------------------------------------------


def zero_grid(steps: int = 1000) -> NDArray:
    """Stable Diffusion's schedule moved to zero terminal SNR (Lin et al. 2023, arXiv 2305.08891).

    Args:
        steps: Number of steps, even in time.

    Returns:
        Levels in nats, noise to data, shape (steps + 1,). The first, −inf, stands at −30.

    Raises:
        ValueError: ``steps`` is not positive.
    """
    from diffviz.sampling import grids

    path = paths.zero_terminal_snr(paths.scaled_linear())
    return grids.grid(path.schedule, count(steps, "steps"), low=NO_SIGNAL)


def grids() -> dict[str, NDArray]:
    """Levels of the three tables and of ``zero_grid``, noise to data, by name."""
    return LEVELS | {ZERO: zero_grid()}


# --- the Gaussian model of images --------------------------------------------------------------


def spectrum(side: int = SIDE, std: float = STD) -> NDArray:
    """Variances of an image's coefficients: texture of power 1/f^2.5, and brightness.

    Args:
        side: Side of the image in pixels.
        std: Standard deviation of its brightness.

    Returns:
        The variances, shape (side, side); that at frequency 0 is side² std².

    Raises:
        TypeError: ``side`` is no whole number.
        ValueError: ``side`` is below 2, or ``std`` is not above 0.
    """
    side, std = count(side, "side", least=2), positive(std, "std")
    frequency = np.hypot(*np.indices((side, side)))
    power = np.divide(1, frequency**2.5, where=frequency > 0, out=np.zeros_like(frequency))
    power *= TEXTURE * side**2 / power.sum()
    power[0, 0] = side**2 * std**2
    return power


class Mismatch(NamedTuple):
    """Prior KL in nats.

    Attributes:
        total: E KL(q(z|x) ‖ N(0, I)), the term of the ELBO, shape (n,).
        felt: KL(q(z) ‖ N(0, I)), the part that a start from the prior gets wrong, shape (n,).
            The rest is what z still tells of x.
    """

    total: NDArray
    felt: NDArray


def kl(level: ArrayLike, side: int = SIDE, mean: float = MEAN, std: float = STD) -> Mismatch:
    """Prior KL of an image, on average, and the part of it that sampling feels.

    Args:
        level: λ at the end in nats, shape (n,) or one.
        side: Side of the image in pixels.
        mean: Mean brightness.
        std: Standard deviation of the brightness.

    Returns:
        Both in nats, each (n,).

    Raises:
        ValueError: A number is not finite, or a size or deviation is not positive.
    """
    level = np.atleast_1d(array(level, "level"))
    power = spectrum(side, std).ravel()
    shift = np.r_[side * number(mean, "mean"), np.zeros(side**2 - 1)]
    square = np.sqrt(power + shift**2)  # a point whose ‖x‖² is the mean one: the KL is linear in it
    total = np.concatenate([prior.prior_kl(end, square[None]) for end in level])
    signal = expit(level)[:, None]
    excess = signal * (power - 1)  # of the variance of z over 1
    return Mismatch(total, (excess - np.log1p(excess) + signal * shift**2).sum(1) / 2)


def terminal_bias(level: ArrayLike) -> dict[int, tuple[NDArray, NDArray]]:
    """Brightness of samples started from N(0, I), in closed form.

    Args:
        level: λ at the start in nats, shape (n,); −inf for zero terminal SNR.

    Returns:
        Mean over that of the data and standard deviation over that of the data by side of
        ``SIZES``, each (n,).

    Raises:
        ValueError: A level is NaN.
    """
    level = array(level, "level", infinite=True)
    bias = {side: prior.terminal_bias(level, side * MEAN, (side * STD) ** 2) for side in SIZES}
    return {side: (mean / (side * MEAN), spread) for side, (mean, spread) in bias.items()}


@dataclass(frozen=True, eq=False)
class Coefficients:
    """E[x|z] of independent Gaussian coefficients; a denoiser when it is called.

    Attributes:
        mean: Means of the coefficients, in the shape of a point.
        power: Their variances, in the same shape.
    """

    mean: "Tensor"
    power: "Tensor"

    def __call__(self, z: "Tensor", logsnr: "Tensor") -> "Tensor":
        """x_hat, like z, on the variance-preserving frame; ``logsnr`` in nats."""
        alpha, noise = logsnr.sigmoid().sqrt(), (-logsnr).sigmoid()
        gain = alpha * self.power / (alpha**2 * self.power + noise)
        return self.mean + gain * (z - alpha * self.mean)

    def multiply_adds(self, n: int) -> int:
        """Multiply-adds of the largest operation on n points; see ``compute.threads``."""
        return n * self.mean.numel() * threads.ELEMENT


def normal_quantiles(n: int) -> "Tensor":
    """Quantiles of N(0, 1) at n even levels, shape (n,), in float64."""
    import torch

    return torch.from_numpy(stats.norm.ppf((np.arange(n) + 0.5) / n))


def brightness(
    grid: ArrayLike,
    side: ArrayLike = SIDE,
    mean: ArrayLike = MEAN,
    std: ArrayLike = STD,
    n: int = 1000,
) -> tuple[NDArray, NDArray]:
    """Brightness of samples started from N(0, 1) at grid[0], by DDIM on the grid.

    The coefficients of a Gaussian image do not act on each other, so that the brightness is sampled
    alone, from n quantiles of N(0, 1).

    Args:
        grid: Increasing levels in nats.
        side: Sides of the image in pixels, shape (k,) or one.
        mean: Mean brightness, likewise.
        std: Standard deviation of the brightness, likewise.
        n: Number of starts.

    Returns:
        Mean and standard deviation of the brightness, both (k,).

    Raises:
        TypeError: ``n`` is no whole number.
        ValueError: A number is not finite, or ``n`` is below 2.
    """
    import torch

    from diffviz.sampling import integrate

    values = (array(side, "side"), array(mean, "mean"), array(std, "std"))
    copies = (broadcast.copy() for broadcast in np.broadcast_arrays(*values))
    sides, means, stds = (torch.from_numpy(copy) for copy in copies)
    start = normal_quantiles(count(n, "n", least=2))
    start = (start / start.std(correction=0)).reshape(-1, *[1] * sides.ndim).expand(n, *sides.shape)
    denoise = Coefficients(sides * means, (sides * stds) ** 2)
    walk = integrate.sample(denoise, array(grid, "grid"), solver="ddim", start=start)
    samples = walk.samples / sides
    return samples.mean(0).numpy(), samples.std(0, correction=0).numpy()


@cached
def measured_brightness() -> tuple[NDArray, NDArray]:
    """Means and deviations of brightness by schedule of ``grids`` and size, both (4, 3)."""
    pairs = [brightness(grid, list(SIZES)) for grid in grids().values()]
    mean, std = zip(*pairs, strict=True)
    return np.array(mean), np.array(std)


@cached
def gaussian_images(level: float, start: str, n: int = 48, steps: int = 80) -> NDArray:
    """Images of the Gaussian model by DDIM, from the same noise whatever the start.

    Args:
        level: λ at the start in nats.
        start: "data" for z ~ q(z), as training left it, or "prior" for N(0, I).
        n: Number of images.
        steps: Number of steps.

    Returns:
        The images, shape (n, 64, 64).

    Raises:
        ValueError: The level is not finite, the start is another, or a count is not positive.
    """
    import torch

    from diffviz.sampling import integrate

    level = number(level, "level")
    start = one_of(start, "start", ("data", "prior"))
    power = torch.from_numpy(spectrum()).float()
    mean = torch.zeros(SIDE, SIDE)
    mean[0, 0] = SIDE * MEAN
    z = _even_noise(count(n, "n", least=2))
    if start == "data":
        z = expit(level) ** 0.5 * mean + (expit(level) * power + expit(-level)).sqrt() * z
    grid = _levels_from(level, count(steps, "steps"))
    walk = integrate.sample(Coefficients(mean, power), grid, solver="ddim", start=z)
    return fft.idctn(walk.samples.numpy(), axes=(1, 2), norm="ortho")


def _even_noise(n: int) -> "Tensor":
    """Noise (n, 64, 64) whose brightness has a mean of 0 and a variance of 1 over the n draws."""
    import torch

    z = torch.randn(n, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    first = z[:, 0, 0]
    z[:, 0, 0] = (first - first.mean()) / first.std(correction=0)
    return z


def _levels_from(level: float, steps: int) -> NDArray:
    """Stable Diffusion's levels from a level on; those with zero terminal SNR from below −20."""
    from diffviz.sampling import grids as sampling_grids

    if level > -20:
        grid = sampling_grids.grid(paths.scaled_linear().schedule, steps)
    else:
        grid = zero_grid(steps)
    return np.r_[level, grid[grid > level + 1e-6]]


# --- offset noise ------------------------------------------------------------------------------


def offset_shifts(strength: ArrayLike) -> dict[int, NDArray]:
    """Shift of λ at frequency 0 under offset noise.

    Args:
        strength: Strengths κ of the offset, from 0 up, shape (n,).

    Returns:
        −ln(1 + κ² N) in nats by side of ``SIZES``, each (n,).

    Raises:
        ValueError: A strength is negative or not finite.
    """
    strength = array(strength, "strength", ndim=1)
    return {
        side: np.array([prior.offset_shift(c, side**2) if c else 0.0 for c in strength])
        for side in SIZES
    }


def offset_bias(
    level: ArrayLike,
    strength: ArrayLike,
    side: int = SIDE,
    mean: float = MEAN,
    std: float = STD,
    also_at_start: bool = True,
) -> tuple[NDArray, NDArray]:
    """Brightness of samples of a model trained with offset noise, over that of the data.

    At frequency 0 the noise has the variance K = 1 + κ² N. Divided by √K it is the plain channel
    for data N(m/√K, V/K). A start from plain noise is one of standard deviation 1/√K there.

    Args:
        level: λ at the start in nats, shape (n,) or one; −inf for zero terminal SNR.
        strength: Strength κ of the offset, likewise.
        side: Side of the image in pixels.
        mean: Mean brightness, not 0.
        std: Standard deviation of the brightness.
        also_at_start: Whether sampling starts from noise with the offset too.

    Returns:
        Mean and standard deviation of the brightness over those of the data, both (n,).

    Raises:
        ValueError: A number is NaN, a size or deviation is not positive, or the mean is 0.
    """
    level, strength = array(level, "level", infinite=True), array(strength, "strength")
    side = count(side, "side")
    std = positive(std, "std")
    mean = number(mean, "mean")
    require(mean != 0, "mean must not be 0: the bias is a ratio to it")
    k = 1 + np.square(strength) * side**2
    scaled = side * mean / np.sqrt(k)
    mean_bias, spread = prior.terminal_bias(level, scaled, (side * std) ** 2 / k)
    return mean_bias / scaled, spread if also_at_start else spread / np.sqrt(k)


# --- a source that is paired with the data ------------------------------------------------------


class PairedErrors(NamedTuple):
    """What a denoiser of noise that is paired with the data keeps, and what it loses.

    Attributes:
        ratio: Mean squared error of x_hat over that of eps_hat; e^−λ by z = αx + σε alone.
        score: Slope over z of the score over that of −eps_hat/σ, of the best straight lines; 1 for
            Gaussian noise that is independent of the data.
    """

    ratio: float
    score: float


def paired_errors(x: ArrayLike, eps: ArrayLike, logsnr: float, degree: int = 3) -> PairedErrors:
    """Errors of a polynomial denoiser where noise of any law depends on the data.

    The score s of any law of z has E[s(z)(z − E z)] = −1 (integrate by parts), so the best straight
    line through it has the slope −1/var z.

    Args:
        x: Data, shape (n,).
        eps: Noise of each point, shape (n,).
        logsnr: λ in nats, on the variance-preserving frame.
        degree: Degree of the polynomial that is fitted to x over z.

    Returns:
        Both numbers.

    Raises:
        TypeError: ``degree`` is no whole number.
        ValueError: An array is not 1-D or not finite, they differ in length, or a number is not
            finite or not positive.
    """
    x, eps = array(x, "x", ndim=1), array(eps, "eps", ndim=1)
    require(len(x) == len(eps), f"x and eps must be equally long, got {len(x)} and {len(eps)}")
    degree, level = count(degree, "degree"), number(logsnr, "logsnr")
    require(len(x) > degree + 1, f"x must have more than degree + 1 points, got {len(x)}")
    alpha, sigma = expit(level) ** 0.5, expit(-level) ** 0.5
    z = alpha * x + sigma * eps
    x_hat = np.polynomial.Polynomial.fit(z, x, degree)(z)
    eps_hat = (z - alpha * x_hat) / sigma
    variance = z.var()
    slope = -np.mean((eps_hat - eps_hat.mean()) * (z - z.mean())) / (sigma * variance)
    ratio = np.mean((x_hat - x) ** 2) / np.mean((eps_hat - eps) ** 2)
    return PairedErrors(float(ratio), float(-1 / variance / slope))


# --- straightness ------------------------------------------------------------------------------

C_VALUES = (0.01, 0.25, 1.0, 4.0)  # variances of the data


@dataclass(frozen=True)
class GaussianVelocity:
    """dz/dt of flow matching's exact flow between N(0, 1) and N(0, c), paired at random.

    Attributes:
        variance: c.
    """

    variance: float

    def __call__(self, z: "Tensor", t: "Tensor | float") -> "Tensor":
        """The velocity, like z; t = 0 is data."""
        c = self.variance
        return (t - (1 - t) * c) / (t**2 + (1 - t) ** 2 * c) * z

    def multiply_adds(self, n: int) -> int:
        """Multiply-adds of the largest operation on n points; see ``compute.threads``."""
        return n * threads.ELEMENT


def gaussian_flow(c: float, n: int = 1000, steps: int = 100) -> "tuple[Tensor, Tensor]":
    """Flow matching's exact flow from N(0, 1) to data N(0, c), paired at random.

    Args:
        c: Variance of the data.
        n: Number of paths, started at quantiles of N(0, 1).
        steps: Number of steps.

    Returns:
        Times (steps + 1,) and z (steps + 1, n, 1).

    Raises:
        ValueError: The variance is not above 0, or a count is not positive.
    """
    from diffviz.sampling.couplings import flow

    start = normal_quantiles(count(n, "n", least=2))[:, None]
    start = start / start.square().mean().sqrt()
    return flow(GaussianVelocity(positive(c, "c")), start, count(steps, "steps"))


def straightness(variances: Sequence[float] = C_VALUES) -> list[float]:
    """Straightness S of the exact flow (Liu et al. 2022, arXiv 2209.03003, eq. 4).

    Args:
        variances: Variances of the data.

    Returns:
        S for each, integrated along the flow; √c (2 − π/2) in closed form.

    Raises:
        ValueError: A variance is not above 0.
    """
    from diffviz.sampling import couplings

    return [couplings.straightness(*gaussian_flow(c)) for c in variances]


# --- couplings ---------------------------------------------------------------------------------

EULER = (1, 2, 4, 8, 64)  # numbers of steps
COUPLINGS = ("independent, exact", "independent, learnt", "minibatch OT", "reflow")


class Coupled(NamedTuple):
    """One way to couple source and data.

    Attributes:
        source: Starts of the pairs that were trained on, shape (n, 2).
        x: Their ends, shape (n, 2).
        t: Times of the flow, shape (steps + 1,).
        z: Its points, shape (steps + 1, k, 2).
        euler: W2 to the data by number of Euler steps.
    """

    source: NDArray
    x: NDArray
    t: NDArray
    z: NDArray
    euler: dict[int, float]

    def numbers(self) -> dict[str, float]:
        """Crossings, transport cost and straightness, by label.

        Returns:
            Share of crossing pairs, their cost, the flow's cost, its straightness S, S over the
            mean of ∫‖velocity‖² dt, its path ratio, and W2 by number of Euler steps.
        """
        import torch

        from diffviz.sampling import couplings

        source, x, z = (torch.from_numpy(points) for points in (self.source, self.x, self.z))
        carried = couplings.transport_cost(z[0], z[-1])
        bend = couplings.straightness(self.t, z)
        return {
            "crossings": couplings.crossings(source[:1000], x[:1000]),
            "cost": couplings.transport_cost(source, x),
            "flow's cost": carried,
            "S": bend,
            "S/energy": bend / (bend + carried),
            "path ratio": couplings.path_ratio(z),
            **{f"W2, {steps}": distance for steps, distance in self.euler.items()},
        }


def ring_and_moons() -> "tuple[Toy, Toy]":
    """Source and data of figure 26.

    Returns:
        Eight Gaussians on a circle of radius 5 with variance 0.1, and two moons, 3 x − 1, with
        standard deviation 0.15.
    """
    from diffviz.data import toys

    moons = 3 * np.r_[toys.ARC, [1, 0.5] - toys.ARC] - 1
    return toys.toy("8gaussians"), toys.mixture(moons, 0.15, name="two moons")


@dataclass(frozen=True, eq=False)
class PairVelocity:
    """E[source − x | z] of two mixtures paired at random.

    It is a posterior over pairs of components, each jointly Gaussian with z.

    Attributes:
        source_means: Mean of the source's component for each pair, shape (m, d).
        x_means: Mean of the data's component for each pair, shape (m, d).
        source_variance: Variance of every component of the source.
        x_variance: Variance of every component of the data.
    """

    source_means: "Tensor"
    x_means: "Tensor"
    source_variance: "Tensor"
    x_variance: "Tensor"

    def __call__(self, z: "Tensor", t: "Tensor | float") -> "Tensor":
        """The velocity at z (n, d) and time t; t = 0 is data."""
        variance = t**2 * self.source_variance + (1 - t) ** 2 * self.x_variance
        mean = t * self.source_means + (1 - t) * self.x_means
        gain = (t * self.source_variance - (1 - t) * self.x_variance) / variance
        share = ((z @ mean.T - mean.square().sum(1) / 2) / variance).softmax(1)
        return share @ (self.source_means - self.x_means - gain * mean) + gain * z

    def multiply_adds(self, n: int) -> int:
        """Multiply-adds of the largest operation on n points; see ``compute.threads``."""
        return n * len(self.x_means) * threads.ELEMENT


def exact_velocity(source: "Toy", x: "Toy") -> PairVelocity:
    """The velocity of flow matching's exact flow between two toys paired at random.

    Args:
        source: A mixture whose components are equally probable and equally wide.
        x: Another.

    Returns:
        A function of z (n, d) and t.

    Raises:
        TypeError: A toy is no mixture.
    """
    from diffviz.data.densities import Mixture

    for name, toy in (("source", source), ("x", x)):
        law = getattr(toy, "law", None)
        require(isinstance(law, Mixture), f"{name} must be a mixture, got {toy!r}", TypeError)
    first: Any = source.law
    second: Any = x.law
    return PairVelocity(
        source_means=first.means.repeat_interleave(len(second.means), 0),
        x_means=second.means.repeat(len(first.means), 1),
        source_variance=first.std[0] ** 2,
        x_variance=second.std[0] ** 2,
    )


def _generator(seed: int) -> "Generator":
    """A fresh Torch generator."""
    import torch

    return torch.Generator().manual_seed(seed)


def _distance(points: "Tensor", truth: "Tensor") -> float:
    """W2 between two sets of as many points, by optimal transport."""
    from diffviz.sampling import couplings

    pairs = couplings.minibatch_ot(points, truth, _generator(6), batch=len(truth))
    return couplings.transport_cost(*pairs) ** 0.5


def _couple(
    velocity: Callable, pairs: "tuple[Tensor, Tensor]", fresh: "Tensor", truth: "Tensor"
) -> Coupled:
    """The flow of a velocity from fresh starts, and its distance to the truth by Euler steps."""
    from diffviz.sampling import couplings

    t, z = couplings.flow(velocity, fresh, 30)
    euler = {
        steps: _distance(couplings.flow(velocity, fresh, steps, "euler")[1][-1], truth)
        for steps in EULER
    }
    source, x = pairs
    return Coupled(source.numpy(), x.numpy(), t.numpy(), z.numpy(), euler)


@cached
def coupled(steps: int = 1500, n: int = 2048, shown: int = 600) -> dict[str, Coupled]:
    """Four ways to couple a ring with two moons.

    Args:
        steps: Training steps of each learnt velocity.
        n: Number of pairs that are trained on.
        shown: Number of paths of the flow.

    Returns:
        The four of ``COUPLINGS``, by name: the exact flow of independent pairs, and three learnt.

    Raises:
        TypeError: A count is no whole number.
        ValueError: A count is not positive.
    """
    from diffviz.learning.velocity import fit_velocity
    from diffviz.sampling import couplings

    steps, n, shown = count(steps, "steps"), count(n, "n"), count(shown, "shown")
    ring, moons = ring_and_moons()
    source, x = ring.sample(n, _generator(0)), moons.sample(n, _generator(1))
    fresh, truth = ring.sample(shown, _generator(2)), moons.sample(shown, _generator(3))
    exact = exact_velocity(ring, moons)
    independent = couplings.independent(source, x, _generator(4))
    pairs = {
        "independent, exact": independent,
        "independent, learnt": independent,
        "minibatch OT": couplings.minibatch_ot(source, x, _generator(4)),
        "reflow": (source, couplings.flow(exact, source, 20)[1][-1]),
    }
    flows = {}
    for name, pair in pairs.items():
        learnt = name != "independent, exact"
        velocity = fit_velocity(*pair, _generator(5), steps=steps) if learnt else exact
        flows[name] = _couple(velocity, pair, fresh, truth)
    return flows


def floors(shown: int = 600, draws: int = 20) -> NDArray:
    """W2 between pairs of draws of the data, which perfect samples would have.

    Args:
        shown: Size of each draw, as many as ``coupled`` compares.
        draws: Number of fresh draws, each compared with the one that ``coupled`` compares with.

    Returns:
        The distances, shape (draws,).

    Raises:
        TypeError: A count is no whole number.
        ValueError: A count is not positive.
    """
    shown, draws = count(shown, "shown"), count(draws, "draws")
    moons = ring_and_moons()[1]
    truth = moons.sample(shown, _generator(3))
    seeds = range(7, 7 + draws)
    return np.array([_distance(moons.sample(shown, _generator(seed)), truth) for seed in seeds])


@cached
def least_cost(n: int = 2048) -> float:
    """Least mean squared distance of the pairs that ``coupled`` trains on, in any pairing.

    Args:
        n: Number of pairs.

    Returns:
        The cost of the optimal pairing of all n points.

    Raises:
        TypeError: ``n`` is no whole number.
        ValueError: ``n`` is not positive.
    """
    from diffviz.sampling import couplings

    n = count(n, "n")
    ring, moons = ring_and_moons()
    source, x = ring.sample(n, _generator(0)), moons.sample(n, _generator(1))
    return couplings.transport_cost(*couplings.minibatch_ot(source, x, _generator(4), batch=n))


def pairs_table() -> str:
    """Pairs and paths of ``coupled`` as text, and the least cost of any pairing."""
    rows = _coupling_rows(("crossings", "cost", "S", "path ratio"))
    return f"{rows}\nleast cost of any pairing: {least_cost():.3f}"


def steps_table() -> str:
    """How far Euler steps of ``coupled`` end from the data as text, and how far two draws are."""
    rows = _coupling_rows([f"W2, {steps}" for steps in EULER])
    distances = floors()
    spread = f"{distances.min():.2f} to {distances.max():.2f}"
    return f"{rows}\nW2 of two draws of the data: {distances.mean():.3f} on average ({spread})"


def _coupling_rows(columns: Sequence[str]) -> str:
    """Some of the numbers of all couplings, a row for each."""
    lines = [" " * 20 + "".join(f"{column:>12}" for column in columns)]
    for name, coupling in coupled().items():
        row = coupling.numbers()
        lines.append(f"{name:20}" + "".join(f"{row[column]:12.3f}" for column in columns))
    return "\n".join(lines)
