"""What a function accepts when it takes several kinds of thing.

A function that takes an objective, a measured loss or a trained run names one of these protocols
instead of asking for attributes one by one. They say what is used, and nothing more.
"""

from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Law(Protocol):
    """A density over log-SNR: any frozen SciPy distribution, or what has these methods.

    Those that it lacks follow from these: what lies above λ is 1 − cdf, which has few digits far
    out. A law with methods ``sf``, ``isf`` and ``logpdf`` of its own keeps them.
    """

    def pdf(self, x: ArrayLike) -> NDArray:
        """Density at λ = x."""

    def cdf(self, x: ArrayLike) -> NDArray:
        """Probability of a λ of at most x."""

    def ppf(self, q: ArrayLike) -> NDArray:
        """Quantile of the probability q."""

    def support(self) -> tuple[float, float]:
        """Least and largest λ."""


class Weighting(Protocol):
    """Anything with a weighting w(λ) on the eps error."""

    def weighting(self, logsnr: ArrayLike) -> NDArray:
        """The weighting on the eps error at λ, in the shape of ``logsnr``."""


class Trainable(Protocol):
    """What a trainer needs of an objective: its name, and draws of (log-SNR, factor)."""

    @property
    def name(self) -> str:
        """What messages and plots call it."""

    def draw(
        self, n: int, rng: np.random.Generator, stratified: bool = True
    ) -> tuple[NDArray, NDArray]:
        """Draw n levels λ and the factors on the squared eps error there, each of shape (n,)."""


class Denoiser(Protocol):
    """Anything with E[x|z]: a trained run, an exact mixture, a wrapped network.

    ``z`` is variance-preserving; tensors are annotated as Any so that nothing here loads torch.
    """

    def denoise(self, z: Any, logsnr: Any) -> Any:
        """x_hat like z, at λ of shape (n,) or ()."""


class Sized(Protocol):
    """A denoiser or network that knows how much it computes."""

    def multiply_adds(self, n: int) -> float:
        """Multiply-adds of the largest operation on n points."""


class Measured(Protocol):
    """A measured loss: its weighting averaged over bins of log-SNR, with standard errors."""

    @property
    def kind(self) -> str:
        """Name of the target, such as "eps" or "v"."""

    @property
    def discrete(self) -> bool:
        """Whether the loss draws from a table of levels."""

    def edges(self, bins: int = 160, mass: float = 0.998) -> NDArray:
        """Edges of bins over the central ``mass`` of the draws."""

    def weighting(self, edges: ArrayLike) -> tuple[NDArray, NDArray]:
        """The weighting averaged over each bin, and its standard error."""
