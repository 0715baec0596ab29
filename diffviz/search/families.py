"""Families of weightings to search in."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffviz.recipes.entries import objective
from diffviz.search.goals import RATE, eye
from diffviz.theory import families

Curve = Callable[[NDArray], NDArray]


class Family(NamedTuple):
    """A family of weightings: ``build(data name, *values)`` → w, and (name, lowest, highest) of each parameter."""

    build: Callable[..., Curve]
    box: tuple[tuple[str, float, float], ...]


def mixture(name: str, share: float, octaves: float) -> Curve:
    """w_rd^share, geometric mixture of ELBO (share 0) and rate-distortion weighting (1) at 30 · 2^octaves pixels per degree."""
    w = eye(name, RATE * 2.0**octaves).rate_distortion
    return lambda logsnr: w(np.asarray(logsnr, dtype=float)) ** share


def _parametric(family: str, *names: str) -> Callable[..., Curve]:
    return lambda _, *values: (
        families.FAMILIES[family].build(**dict(zip(names, values, strict=True))).weighting
    )


FAMILIES: Mapping[str, Family] = {
    "logit-normal": Family(
        _parametric("flow logit-normal", "mean", "std"), (("mean", -2.5, 0.5), ("std", 0.8, 2.4))
    ),
    "sigmoid": Family(_parametric("sigmoid", "bias"), (("bias", -4.0, 10.0),)),
    "csf-mixture": Family(mixture, (("share", 0.0, 1.5), ("octaves", -2.0, 2.0))),
}


def published(data: str, name: str) -> Curve:
    """The weighting of a name: of the catalogue, or "rate-distortion", which the eye implies for the images."""
    return eye(data).rate_distortion if name == "rate-distortion" else objective(name).weighting
