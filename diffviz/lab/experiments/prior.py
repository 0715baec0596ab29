"""Experiments on the start of sampling: terminal SNR, brightness, couplings and straightness."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, stats
from scipy.special import expit, logit

from diffviz import plots
from diffviz.theory import paths, prior

# pixels a side; mean and standard deviation of an image's mean brightness, in [−1, 1]
SIDE, MEAN, STD = 64, -0.6, np.sqrt(0.05)
TEXTURE = 0.15  # variance of a pixel about the brightness of its image
_COSINE = np.cos((np.arange(1001) / 1000 + 0.008) / 1.008 * np.pi / 2) ** 2
BETAS = {  # T = 1000 steps, as released
    "Stable Diffusion": np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2,  # "scaled-linear"
    "DDPM linear": np.linspace(1e-4, 0.02, 1000),
    "iDDPM cosine": np.minimum(1 - _COSINE[1:] / _COSINE[:-1], 0.999),
}
LEVELS = {
    name: logit(np.cumprod(1 - beta))[::-1] for name, beta in BETAS.items()
}  # λ, noise to data
TERMINAL = {name: float(level[0]) for name, level in LEVELS.items()}
ZERO = "zero terminal SNR"
SIZES = {16: plots.PALETTE[0], 64: plots.PALETTE[1], 256: plots.PALETTE[2]}
NOWHERE = -23.0  # where λ = −inf is drawn


def zero_grid(steps: int = 1000) -> NDArray:
    """Stable Diffusion's schedule moved to zero terminal SNR, levels even in time; the first, −inf, stands at −30."""
    from diffviz.sampling import grids

    return grids.grid(paths.zero_terminal_snr(paths.scaled_linear()).schedule, steps, low=-30)


def grids() -> dict[str, NDArray]:
    """Levels of the three tables and of ``zero_grid``, noise to data, by name."""
    return LEVELS | {ZERO: zero_grid()}


def spectrum(side: int = SIDE, std: float = STD) -> NDArray:
    """Variance of each coefficient of the orthonormal DCT of an image, (side, side): 1/f^2.5 texture and side² std² at frequency 0."""
    rate = np.hypot(*np.indices((side, side)))
    power = np.divide(1, rate**2.5, where=rate > 0, out=np.zeros_like(rate))
    power *= TEXTURE * side**2 / power.sum()
    power[0, 0] = side**2 * std**2
    return power


def kl(
    level: ArrayLike, side: int = SIDE, mean: float = MEAN, std: float = STD
) -> tuple[NDArray, NDArray]:
    """Prior KL of an image in nats, on average, and the part of it that sampling feels, both like λ (n,).

    The first, E KL(q(z|x) ‖ N(0, I)), is the term of the ELBO. The second, KL(q(z) ‖ N(0, I)), is what a start from the prior gets
    wrong; the rest is what z still tells of x.
    """
    level, power = np.atleast_1d(np.asarray(level, dtype=float)), spectrum(side, std).ravel()
    shift = np.r_[side * mean, np.zeros(side**2 - 1)]
    square = np.sqrt(power + shift**2)  # a point whose ‖x‖² is the mean one: the KL is linear in it
    total = np.concatenate([prior.prior_kl(one, square[None]) for one in level])
    excess = expit(level)[:, None] * (power - 1)  # of the variance of z over 1
    return total, (excess - np.log1p(excess) + expit(level)[:, None] * shift**2).sum(1) / 2


def _denoiser(mean, power):
    """x_hat of independent Gaussian coefficients; tensors of their means and variances, like one point."""

    def denoise(z, logsnr):
        alpha, noise = logsnr.sigmoid().sqrt(), (-logsnr).sigmoid()
        return mean + alpha * power / (alpha**2 * power + noise) * (z - alpha * mean)

    return denoise


def brightness(
    grid: ArrayLike,
    side: ArrayLike = SIDE,
    mean: ArrayLike = MEAN,
    std: ArrayLike = STD,
    n: int = 1000,
) -> tuple[NDArray, NDArray]:
    """Mean and standard deviation of the brightness of samples started from N(0, 1) at grid[0], by DDIM on the grid.

    The coefficients of a Gaussian image do not talk to each other, so that of brightness, ``side`` times the mean of the pixels, is
    sampled alone, from n quantiles of N(0, 1). For numbers or arrays (k,) of sizes, means, standard deviations.
    """
    import torch

    from diffviz.sampling import integrate

    sides, means, stds = (
        torch.from_numpy(one)
        for one in np.broadcast_arrays(*(1.0 * np.asarray(x) for x in (side, mean, std)))
    )
    start = torch.from_numpy(stats.norm.ppf((np.arange(n) + 0.5) / n))
    start = (start / start.std(correction=0)).reshape(-1, *[1] * sides.ndim).expand(n, *sides.shape)
    found = (
        integrate.sample(
            _denoiser(sides * means, (sides * stds) ** 2), grid, solver="ddim", start=start
        ).samples
        / sides
    )
    return found.mean(0).numpy(), found.std(0, correction=0).numpy()


@lru_cache
def measured_brightness() -> tuple[NDArray, NDArray]:
    """Means and standard deviations by schedule and size, (4, 3) both."""
    mean, std = zip(*(brightness(grid, list(SIZES)) for grid in grids().values()), strict=True)
    return np.array(mean), np.array(std)


def gaussian_images(level: float, start: str, n: int = 48, steps: int = 80):
    """Images (n, 64, 64) of the Gaussian model by DDIM from a level, the same noise whatever the ``start``: "data" or "prior"."""
    import torch

    from diffviz.sampling import grids as sampling_grids
    from diffviz.sampling import integrate

    power, mean = torch.from_numpy(spectrum()).float(), torch.zeros(SIDE, SIDE)
    mean[0, 0] = SIDE * MEAN
    z = torch.randn(n, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    first = z[:, 0, 0]
    z[:, 0, 0] = (first - first.mean()) / first.std(
        correction=0
    )  # brightness without the accidents of n draws
    if start == "data":
        z = expit(level) ** 0.5 * mean + (expit(level) * power + expit(-level)).sqrt() * z
    grid = (
        sampling_grids.grid(paths.scaled_linear().schedule, steps)
        if level > -20
        else zero_grid(steps)
    )
    grid = np.r_[level, grid[grid > level + 1e-6]]
    found = integrate.sample(_denoiser(mean, power), grid, solver="ddim", start=z)
    return fft.idctn(found.samples.numpy(), axes=(1, 2), norm="ortho")


def offset_bias(
    level: ArrayLike,
    strength: ArrayLike,
    side: int = SIDE,
    mean: float = MEAN,
    std: float = STD,
    also_at_start: bool = True,
) -> tuple[NDArray, NDArray]:
    """Mean brightness of samples over the data's, and standard deviations likewise, of a model trained with offset noise.

    At frequency 0 the noise has the variance K = 1 + c² N. Divided by √K it is the plain channel for data N(m/√K, V/K); a start from
    plain noise is one of standard deviation 1/√K there.
    """
    k = 1 + np.square(strength) * side**2
    found, spread = prior.terminal_bias(level, side * mean / np.sqrt(k), (side * std) ** 2 / k)
    return found / (side * mean / np.sqrt(k)), spread if also_at_start else spread / np.sqrt(k)


C_VALUES = (0.01, 0.25, 1.0, 4.0)


def gaussian_flow(c: float, n: int = 1000, steps: int = 100):
    """Times and paths of flow matching's exact flow from N(0, 1) to data N(0, c), paired at random; from n quantiles."""
    import torch

    from diffviz.sampling.couplings import flow

    start = torch.from_numpy(stats.norm.ppf((np.arange(n) + 0.5) / n))[:, None]
    start = start / start.square().mean().sqrt()
    return flow(lambda z, t: (t - (1 - t) * c) / (t**2 + (1 - t) ** 2 * c) * z, start, steps)


class Coupled(NamedTuple):
    """One way to couple: pairs (n, 2) that were trained on, times and z (steps + 1, k, 2) of the flow, W2 to the data by Euler steps."""

    source: NDArray
    x: NDArray
    t: NDArray
    z: NDArray
    euler: dict[int, float]

    def numbers(self) -> dict[str, float]:
        """Crossings, transport cost and straightness of the pairs' flow, S over the cost, and path ratio."""
        import torch

        from diffviz.sampling import couplings

        source, x, z = (torch.from_numpy(one) for one in (self.source, self.x, self.z))
        cost, carried, s = (
            couplings.transport_cost(source, x),
            couplings.transport_cost(z[0], z[-1]),
            couplings.straightness(self.t, z),
        )
        found = {
            "crossings": couplings.crossings(source[:1000], x[:1000]),
            "cost": cost,
            "flow's cost": carried,
            "S": s,
        }
        found |= {
            "S/energy": s / (s + carried),
            "path ratio": couplings.path_ratio(z),
        }  # energy: the mean of ∫‖velocity‖² dt
        return found | {f"W2, {k}": w for k, w in self.euler.items()}


EULER = (1, 2, 4, 8)
COUPLINGS = ("independent, exact", "independent, learnt", "minibatch OT", "reflow")


def ring_and_moons():
    """Source and data of figure 26: 8 Gaussians of radius 5 and variance 0.1; two moons, 3 x − 1, of standard deviation 0.15."""
    from diffviz.data import toys

    moons = 3 * np.r_[toys.ARC, [1, 0.5] - toys.ARC] - 1
    return toys.toy("8gaussians"), toys.mixture(moons, 0.15, name="two moons")


def exact_velocity(source, x):
    """E[source − x | z] of two toys paired at random: a posterior over pairs of components, each jointly Gaussian with z."""
    m, k = source.law.means, x.law.means
    r, s = source.law.std[0] ** 2, x.law.std[0] ** 2  # one standard deviation for all components
    n, m = m.repeat_interleave(len(k), 0), k.repeat(len(m), 1)

    def velocity(z, t):
        variance = t**2 * r + (1 - t) ** 2 * s
        mean, gain = t * n + (1 - t) * m, (t * r - (1 - t) * s) / variance
        share = ((z @ mean.T - mean.square().sum(1) / 2) / variance).softmax(1)
        return share @ (n - m - gain * mean) + gain * z

    return velocity


@lru_cache
def coupled(steps: int = 1500, n: int = 2048, shown: int = 600) -> dict[str, Coupled]:
    """The four of ``COUPLINGS``, by name: the exact flow of independent pairs, and three learnt from n pairs in that many steps."""
    import torch

    from diffviz.learning.velocity import fit_velocity
    from diffviz.sampling import couplings

    seed = lambda k: torch.Generator().manual_seed(k)
    ring, moons = ring_and_moons()
    source, x = ring.sample(n, seed(0)), moons.sample(n, seed(1))
    fresh, truth, exact = (
        ring.sample(shown, seed(2)),
        moons.sample(shown, seed(3)),
        exact_velocity(ring, moons),
    )
    pairs = {name: couplings.independent(source, x, seed(4)) for name in COUPLINGS[:2]}
    pairs |= {
        "minibatch OT": couplings.minibatch_ot(source, x, seed(4)),
        "reflow": (source, couplings.flow(exact, source, 20)[1][-1]),
    }
    found = {}
    for name, (one, two) in pairs.items():
        velocity = exact if name == COUPLINGS[0] else fit_velocity(one, two, seed(5), steps=steps)
        ends = {k: couplings.flow(velocity, fresh, k, "euler")[1][-1] for k in EULER}
        euler = {
            k: couplings.transport_cost(*couplings.minibatch_ot(end, truth, seed(6), batch=shown))
            ** 0.5
            for k, end in ends.items()
        }
        t, z = couplings.flow(velocity, fresh, 30)
        found[name] = Coupled(one.numpy(), two.numpy(), t.numpy(), z.numpy(), euler)
    return found


def floor(shown: int = 600) -> float:
    """W2 between two draws of the data, as many as ``coupled`` compares: what perfect samples would have."""
    import torch

    from diffviz.sampling import couplings

    moons = ring_and_moons()[1]
    one, two = (moons.sample(shown, torch.Generator().manual_seed(k)) for k in (7, 3))
    return (
        couplings.transport_cost(
            *couplings.minibatch_ot(one, two, torch.Generator().manual_seed(6), batch=shown)
        )
        ** 0.5
    )


def table() -> str:
    """The numbers of ``coupled``, a row each."""
    rows = {name: one.numbers() for name, one in coupled().items()}
    head = [f"{name:>13}" for name in rows[COUPLINGS[0]]]
    lines = [
        f"{name:20}" + "".join(f"{value:13.3f}" for value in row.values())
        for name, row in rows.items()
    ]
    return "\n".join(
        [" " * 20 + "".join(head), *lines, f"W2 of two draws of the data: {floor():.3f}"]
    )
