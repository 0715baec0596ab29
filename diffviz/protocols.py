"""What a function accepts when it takes several kinds of thing.

A door that takes an objective, a measured loss or a trained run names one of these protocols instead
of asking for attributes one by one. They say what is used, and nothing more.
"""

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray


@runtime_checkable
class Law(Protocol):
    """A density over log-SNR: any frozen SciPy distribution, or what has these methods."""

    def pdf(self, x: ArrayLike) -> NDArray: ...

    def cdf(self, x: ArrayLike) -> NDArray: ...

    def ppf(self, q: ArrayLike) -> NDArray: ...

    def support(self) -> tuple[float, float]: ...


@runtime_checkable
class Weighting(Protocol):
    """Anything with a weighting w(λ) on the eps error."""

    def weighting(self, logsnr: ArrayLike) -> NDArray: ...


@runtime_checkable
class Trainable(Protocol):
    """What a trainer needs of an objective: its name, and draws of (log-SNR, factor)."""

    @property
    def name(self) -> str: ...

    def draw(
        self, n: int, rng: np.random.Generator, stratified: bool = True
    ) -> tuple[NDArray, NDArray]: ...


@runtime_checkable
class Denoiser(Protocol):
    """Anything with E[x|z]: a trained run, an exact mixture, a wrapped network.

    ``z`` is variance-preserving; tensors are annotated as Any so that nothing here loads torch.
    """

    def denoise(self, z: Any, logsnr: Any) -> Any: ...


@runtime_checkable
class Measured(Protocol):
    """A measured loss: its weighting averaged over bins of log-SNR, with standard errors."""

    @property
    def kind(self) -> str: ...

    @property
    def discrete(self) -> bool: ...

    def edges(self, bins: int = 160, mass: float = 0.998) -> NDArray: ...

    def weighting(self, edges: ArrayLike) -> tuple[NDArray, NDArray]: ...
