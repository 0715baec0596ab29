"""Families of weightings to search in, and weightings by their names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from numpy.typing import ArrayLike, NDArray

from diffviz.recipes.entries import objective
from diffviz.search.surface import Parameter
from diffviz.search.vision import EyeWeighting, ProjectedWeighting
from diffviz.theory import families
from diffviz.theory.frames import Curve
from diffviz.theory.objectives import Objective

RATE_DISTORTION = "rate-distortion"
PROJECTIONS = {"projection": "eps", "visible-error": "x"}  # name to the base of the error


@dataclass(frozen=True)
class Family:
    """A family of weightings.

    Args:
        build: Function of the name of the data and of one value for each parameter; it returns
            w(λ).
        box: The parameters with their ranges.
        needs_images: Whether its weightings are made for images only.
    """

    build: Callable[..., Curve]
    box: tuple[tuple[str, float, float], ...]
    needs_images: bool = False


@dataclass(frozen=True)
class CatalogueWeighting:
    """The weighting of an objective of the catalogue, which travels by its name.

    Args:
        name: Name of the objective.

    Raises:
        ValueError: The name is unknown.
    """

    name: str

    def __post_init__(self) -> None:
        objective(self.name)

    def __call__(self, logsnr: ArrayLike) -> NDArray:
        """The weighting on the eps error at λ, same shape."""
        return objective(self.name).weighting(logsnr)


@dataclass(frozen=True)
class MemberWeighting:
    """The weighting of a member of a family of ``diffviz.theory.families``.

    It travels by the values of its parameters: 200 bytes, where its objective has 11,000.

    Args:
        family: Name of the family there.
        parameters: Names and values of those parameters that are not the family's defaults.
    """

    family: str
    parameters: tuple[tuple[str, float], ...]

    def __post_init__(self) -> None:
        _member(self.family, self.parameters)

    def __call__(self, logsnr: ArrayLike) -> NDArray:
        """The weighting on the eps error at λ, same shape."""
        return _member(self.family, self.parameters).weighting(logsnr)


@lru_cache(maxsize=1024)
def _member(family: str, parameters: tuple[tuple[str, float], ...]) -> Objective:
    """The member of a family at some values of its parameters."""
    return families.FAMILIES[family].build(**dict(parameters))


@dataclass(frozen=True)
class ParametricFamily:
    """Builds the members of a family of ``diffviz.theory.families``.

    Args:
        family: Name of the family there.
        parameters: Names of the parameters that are searched, in order.
    """

    family: str
    parameters: tuple[str, ...]

    def __call__(self, data: str, *values: float) -> Curve:
        """The member at these values; it does not depend on the data."""
        named = zip(self.parameters, map(float, values), strict=True)
        return MemberWeighting(self.family, tuple(named))


FAMILIES: Mapping[str, Family] = {
    "logit-normal": Family(
        build=ParametricFamily("flow logit-normal", ("mean", "std")),
        box=(Parameter("mean", -2.5, 0.5), Parameter("std", 0.8, 2.4)),
    ),
    "sigmoid": Family(
        build=ParametricFamily("sigmoid", ("bias",)),
        box=(Parameter("bias", -4.0, 10.0),),
    ),
    "csf-mixture": Family(
        build=EyeWeighting,
        box=(Parameter("power", 0.0, 2.0), Parameter("octaves", -3.0, 5.0)),
        needs_images=True,
    ),
}


def published(data: str, name: str) -> Curve:
    """A weighting by its name.

    Args:
        data: Name of the data, which what an eye implies depends on.
        name: Of the catalogue, or what the eye implies for the images: "rate-distortion",
            "projection" on the error of eps, or "visible-error", the projection on the error of x.

    Returns:
        w(λ).

    Raises:
        ValueError: The name is unknown, or the data are no images.
    """
    if name == RATE_DISTORTION:
        return EyeWeighting(data)
    if name in PROJECTIONS:
        return ProjectedWeighting(data, PROJECTIONS[name])
    return CatalogueWeighting(name)
