"""What a search can measure of a trained denoiser, and the data that it trains on."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from diffviz.perception import sensitivities, spectra
from diffviz.recipes.entries import objective

LOW, HIGH = -8.0, 10.0  # λ of training and of goals
RATE = 30.0  # pixels per degree at which images are looked at, by
EYE = sensitivities.mannos_sakrison
IMAGES = "digits", "fashion"


class Data(NamedTuple):
    """Points to train on and held-out ones, tensors (n, *shape)."""

    train: Any
    held: Any


@cache
def images(name: str) -> NDArray:
    """Grey images of ``data/`` on [−1, 1], float32."""
    from diffviz.data.files import load

    whole = load(name)["images"]
    return (whole / (16 if name == "digits" else 255) * 2 - 1).astype("f4")


@cache
def eye(name: str, rate: float = RATE) -> spectra.Implied:
    """What the eye implies for images of that name, seen at ``rate`` pixels per degree."""
    return spectra.implied(spectra.image_spectrum(images(name)), EYE, rate)


def drawn(name: str, seed: int) -> Data:
    """Data of a seed: 20,000 and 1,000 fresh points of a toy of unit variance, or a fresh split of images (500 or a fifth)."""
    import torch

    from diffviz.data.toys import toy

    if name in IMAGES:
        whole = torch.from_numpy(
            images(name)[np.random.default_rng(seed).permutation(len(images(name)))]
        )
        held = min(500, len(whole) // 5)
        return Data(whole[held:], whole[:held])
    generator = torch.Generator().manual_seed(seed)
    return Data(*toy(name, unit=True).sample(21_000, generator).float().split([20_000, 1_000]))


def likelihood(run, data: Data, name: str, seed: int) -> float:
    """−ELBO of held-out points, nats for each."""
    import torch

    from diffviz.sampling.likelihood import elbo

    draw = torch.Generator().manual_seed(seed)
    return elbo(run, data.held, low=LOW, high=HIGH, levels=32, generator=draw).nats.mean().item()


def energy(x, y) -> float:
    """Root of 2 E|x − y| − E|x − x'| − E|y − y'|, energy distance, over all pairs of points (n, d) (Székely & Rizzo 2013)."""
    import torch

    apart = lambda a, b: (
        torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").mean().item()
    )
    return max(2 * apart(x, y) - apart(x, x) - apart(y, y), 0.0) ** 0.5


def sample(run, data: Data, name: str, seed: int) -> float:
    """ln of the energy distance of samples from held-out points, over its floor: the median of 8 draws of training points."""
    import torch

    from diffviz.sampling import grids, integrate

    grid, draw = (
        grids.grid(objective("fm-ot").law, 24, LOW, HIGH),
        torch.Generator().manual_seed(seed),
    )
    made = integrate.sample(
        run.denoise, grid, "heun", start=torch.randn(data.held.shape, generator=draw)
    ).samples
    made, true, known = (one.double().flatten(1) for one in (made, data.held, data.train))
    floor = np.median(
        [
            energy(known[torch.randperm(len(known), generator=draw)[: len(true)]], true)
            for _ in range(8)
        ]
    )
    return float(np.log(energy(made, true) / floor))


def seen(miss: NDArray) -> NDArray:
    """Squared orthonormal DCT coefficients of errors (n, h, h), weighed by the squared sensitivity of the eye: sum, (n,)."""
    h = miss.shape[-1]
    axis = np.arange(h) / (2 * h)
    radius = np.hypot.outer(axis, axis)
    ring = np.rint(radius / axis[1]).astype(int)  # as in the spectrum
    middle = np.bincount(ring.ravel(), radius.ravel()) / np.bincount(ring.ravel())
    q = np.r_[0, EYE(RATE * middle[1:]) ** 2]  # an eye senses change, and not the mean
    return (q[ring] * fft.dctn(miss, axes=(1, 2), norm="ortho") ** 2).sum((1, 2))


def distortion(run, data: Data, name: str, seed: int, levels: int = 32) -> float:
    """ln of ∫ D dλ, the distortion of x_hat that the eye sees, over that of the best denoiser of Gaussian data like these."""
    import torch

    draw, whole = torch.Generator().manual_seed(seed), []
    for k in range(levels):  # one draw in each stratum of λ
        level = LOW + (HIGH - LOW) / levels * (k + torch.rand(len(data.held), generator=draw))
        alpha, sigma = (one.sigmoid().sqrt()[:, None, None] for one in (level, -level))
        with torch.no_grad():
            x_hat = run.denoise(
                alpha * data.held + sigma * torch.randn(data.held.shape, generator=draw), level
            )
        whole.append(seen((x_hat - data.held).double().numpy()).mean())
    grid = np.linspace(LOW, HIGH, 1001)
    return float(
        np.log(np.mean(whole) / (np.trapezoid(eye(name).distortion(grid), grid) / (HIGH - LOW)))
    )


class Goal(NamedTuple):
    """What is measured, in which unit, and the weightings that theory predicts for it."""

    measure: Callable[[Any, Data, str, int], float]
    unit: str
    predictions: tuple[str, ...] = ()


GOALS: Mapping[str, Goal] = {
    "likelihood": Goal(likelihood, "held-out −ELBO [nats]", ("elbo",)),
    "sample": Goal(sample, "ln(energy distance / floor)"),
    "distortion": Goal(
        distortion, "ln(visible distortion / Gaussian denoiser's)", ("rate-distortion",)
    ),
}
