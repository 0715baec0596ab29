"""The small search that figures, explorer and notebook show, and how its goal is made."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, special

from diffviz import checks
from diffviz.compute.cache import cached
from diffviz.lab.experiments import progress
from diffviz.perception import spectra
from diffviz.search import candidates, datasets, experiment, families, vision
from diffviz.search import report as search_report
from diffviz.search.goals import HIGH, LOW
from diffviz.search.settings import Settings
from diffviz.theory.frames import Curve

SMALL: dict[str, Any] = {
    "data": "digits",
    "goal": "distortion",
    "family": "csf-mixture",
    "points": 24,
    "seeds": 3,
    "steps": 250,
    "batch": 128,
    "surface": "smooth",
}
BATCHES = 9  # that the small search trains: two for each seed, and one when it trains again
GAUSSIAN = "the Gaussian denoiser"  # the best for that spectrum, and mean zero
LINEAR = "linear, knows the mean"
LEVELS = np.linspace(LOW, HIGH, 37)  # λ in nats at which an error is looked at
MEMBERS = {  # power and octaves of each, by what is varied
    "power": ((0.0, 0.0), (0.5, 0.0), (1.0, 0.0), (2.0, 0.0)),
    "octaves": ((1.0, -3.0), (1.0, 0.0), (1.0, 2.0), (1.0, 3.0), (1.0, 4.0), (1.0, 5.0)),
}


@cached
def small(law: str = "same") -> search_report.Search:
    """A search small enough to be run again: 102 trainings. It reports the share that is done.

    Args:
        law: "same" where all weightings are trained under one law of λ, "own" for each its own.

    Returns:
        What the search found.

    Raises:
        ValueError: ``law`` is another.
    """
    progress.begin()
    batches = 0

    def tell(_: str) -> None:
        nonlocal batches
        batches += 1
        progress.report(min(batches / BATCHES, 1.0))

    return experiment.search(**SMALL, law=law, tell=tell)


@dataclass(frozen=True, eq=False)
class LinearDenoiser:
    """The best linear denoiser of images whose mean and covariance are known.

    Args:
        mean: Of each pixel, shape (d,).
        variances: Of the principal components, shape (d,).
        components: Orthonormal, one in each column, shape (d, d).
    """

    mean: NDArray
    variances: NDArray
    components: NDArray

    def denoise(self, z: Any, logsnr: Any) -> Any:
        """E[x|z] on the variance-preserving path, if x were Gaussian.

        Args:
            z: Noisy images, a tensor of shape (n, *shape).
            logsnr: λ of each, a tensor of shape (n,).

        Returns:
            x_hat, a tensor of the shape of z.
        """
        import torch

        level = logsnr.double().numpy()[:, None]
        alpha = np.sqrt(special.expit(level))
        known = self.variances / (self.variances + np.exp(-level))
        seen = (z.double().flatten(1).numpy() / alpha - self.mean) @ self.components
        x_hat = self.mean + (known * seen) @ self.components.T
        return torch.from_numpy(x_hat).to(z).reshape(z.shape)


def linear_denoiser(data: datasets.Split) -> LinearDenoiser:
    """The best linear denoiser with the mean and the covariance of training images.

    Args:
        data: Images of a seed.

    Returns:
        The denoiser.
    """
    pixels = data.train.double().flatten(1).numpy()
    variances, components = np.linalg.eigh(np.cov(pixels.T))
    return LinearDenoiser(pixels.mean(0), variances.clip(0), components)


@dataclass(frozen=True, eq=False)
class GoalParts:
    """What the goal of the small search is made of.

    Attributes:
        cycles: Frequency of each ring of coefficients, in cycles per image, shape (k,).
        level: λ of ``left``, in nats.
        left: Name of a denoiser to its squared error at that level, summed over each ring, (k,).
        sensitivity: Squared sensitivity of the eye at each frequency, shape (k,).
        logsnr: λ in nats, shape (n,).
        seen: Name of a denoiser to the error that the eye sees at each λ, D(λ), shape (n,).
    """

    cycles: NDArray
    level: float
    left: Mapping[str, NDArray]
    sensitivity: NDArray
    logsnr: NDArray
    seen: Mapping[str, NDArray]


@cached
def goal_parts(names: tuple[str, ...] = ("fm-ot", "elbo"), level: float = 0.0) -> GoalParts:
    """The error that networks of the small search leave, and what an eye sees of it.

    Args:
        names: Weightings that are trained, as ``search.families.published`` knows them.
        level: λ at which the error is split by frequency, one of ``LEVELS``.

    Returns:
        Errors of the networks and of the best linear denoiser that knows the mean, on held-out
        digits, and of the Gaussian denoiser, which does not know it.

    Raises:
        ValueError: A name is unknown.
    """
    data = datasets.split(SMALL["data"], experiment.FRESH)
    spectrum = spectra.image_spectrum(datasets.images(data.name))
    rings = {name: _error_by_ring(run, data) for name, run in _trained(names, data).items()}
    rings[LINEAR] = _error_by_ring(linear_denoiser(data), data)
    rings[GAUSSIAN] = spectrum.remaining(LEVELS) * spectrum.count
    q = vision.SENSITIVITY(vision.PIXELS_PER_DEGREE * spectrum.frequency) ** 2
    place = int(abs(LEVELS - level).argmin())
    return GoalParts(
        cycles=spectrum.frequency * data.train.shape[-1],
        level=float(LEVELS[place]),
        left={name: error[place] for name, error in rings.items()},
        sensitivity=q,
        logsnr=LEVELS,
        seen={name: error @ q for name, error in rings.items()},
    )


def _trained(names: tuple[str, ...], data: datasets.Split) -> dict[str, Any]:
    """The networks of the small search under some weightings, by name."""
    from diffviz.learning.models import MLP
    from diffviz.learning.training import fit

    chosen = ("data", "goal", "family", "steps", "batch")
    settings = Settings(**{name: SMALL[name] for name in chosen})
    weightings = [candidates.Candidate(one, families.published(data.name, one)) for one in names]
    runs = fit(
        [candidates.training_objective(one, settings) for one in weightings],
        data.train,
        model=MLP(64, 2, ()),
        steps=settings.steps,
        batch=settings.batch,
        learning_rate=settings.learning_rate,
        seed=experiment.FRESH,
        progress=False,
    )
    return dict(zip(names, runs, strict=True))


def _error_by_ring(denoiser: Any, data: datasets.Split) -> NDArray:
    """Mean squared error of x_hat at each of ``LEVELS``, summed over each ring; shape (n, k)."""
    import torch

    generator = torch.Generator().manual_seed(experiment.FRESH)
    noise = torch.randn(data.held.shape, generator=generator)  # the same at all levels
    rows = []
    for level in torch.from_numpy(LEVELS).float():
        z = level.sigmoid().sqrt() * data.held + (-level).sigmoid().sqrt() * noise
        with torch.no_grad():
            x_hat = denoiser.denoise(z, level.expand(len(z)))
        rows.append(_power_by_ring((x_hat - data.held).double().numpy()))
    return np.stack(rows)


def _power_by_ring(error: NDArray) -> NDArray:
    """Mean square of images' cosine coefficients, summed over rings of frequency, without 0."""
    side = error.shape[-1]
    ring = np.rint(np.hypot.outer(np.arange(side), np.arange(side))).astype(int)
    power = (fft.dctn(error, axes=(1, 2), norm="ortho") ** 2).mean(0)
    return np.bincount(ring.ravel(), power.ravel())[1:]


def member(power: float, octaves: float) -> Curve:
    """A weighting of the family that the small search looks in.

    Args:
        power: Of the rate–distortion weighting, an exponent.
        octaves: The eye is at 30 · 2^octaves pixels per degree.

    Returns:
        w(λ) for the digits.

    Raises:
        TypeError: A number is none.
        ValueError: A number is not finite.
    """
    return vision.EyeWeighting(SMALL["data"], power, octaves)


def members(varied: str) -> dict[str, Curve]:
    """Weightings of the family that differ in one of their two numbers.

    Args:
        varied: "power" or "octaves".

    Returns:
        Such as "power 0.5" to w(λ).

    Raises:
        ValueError: ``varied`` is neither.
    """
    checks.one_of(varied, "varied", MEMBERS)
    place = tuple(MEMBERS).index(varied)
    return {
        f"{varied} {numbers[place]:g}".replace("-", "−"): member(*numbers)
        for numbers in MEMBERS[varied]
    }
