"""Families of weightings to search in, and weightings by their names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from numpy.typing import ArrayLike, NDArray

from diffviz.protocols import Weighting
from diffviz.recipes.entries import objective
from diffviz.search.surface import Parameter
from diffviz.search.vision import EyeWeighting
from diffviz.theory import families
from diffviz.theory.frames import Curve

RATE_DISTORTION = "rate-distortion"


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
class ObjectiveWeighting:
    """The weighting of an objective, as a function of λ alone.

    Args:
        objective: The objective.
    """

    objective: Weighting

    def __call__(self, logsnr: ArrayLike) -> NDArray:
        """The weighting on the eps error at λ, same shape."""
        return self.objective.weighting(logsnr)


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
        named = dict(zip(self.parameters, values, strict=True))
        return ObjectiveWeighting(families.FAMILIES[self.family].build(**named))


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
        box=(Parameter("share", 0.0, 1.5), Parameter("octaves", -2.0, 2.0)),
        needs_images=True,
    ),
}


def published(data: str, name: str) -> Curve:
    """A weighting by its name.

    Args:
        data: Name of the data, which "rate-distortion" depends on.
        name: Of the catalogue, or "rate-distortion", which the eye implies for the images.

    Returns:
        w(λ).

    Raises:
        ValueError: The name is unknown, or the data are no images.
    """
    if name == RATE_DISTORTION:
        return EyeWeighting(data)
    return ObjectiveWeighting(objective(name))
