"""What a search trains on: fresh points of a toy, or a fresh split of the images of ``data/``."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffviz import checks

IMAGES = "digits", "fashion"
BRIGHTEST = {"digits": 16, "fashion": 255}  # value of white in the file
TOY_POINTS = 20_000
TOY_HELD_OUT = 1_000
IMAGES_HELD_OUT = 500  # at most, and at most a fifth


@dataclass(frozen=True, eq=False)
class Split:
    """The data of a seed.

    Attributes:
        name: Name of the data set.
        train: What is trained on, a tensor of shape (n, *shape).
        held: What is held out for the goal, a tensor of shape (m, *shape).
    """

    name: str
    train: Any
    held: Any


@cache
def images(name: str) -> NDArray[np.float32]:
    """Grey images of ``data/`` on [−1, 1].

    Args:
        name: "digits" or "fashion".

    Returns:
        The images, float32, shape (n, height, width).

    Raises:
        ValueError: There are no images of that name.
    """
    from diffviz.data.files import load

    checks.one_of(name, "images", IMAGES)
    values = load(name)["images"] / BRIGHTEST[name]
    return (values * 2 - 1).astype("f4")


def split(name: str, seed: int) -> Split:
    """The data of a seed.

    Args:
        name: A toy of ``diffviz.data.toys.TOYS``, which is scaled to unit variance, or "digits" or
            "fashion" as images.
        seed: Seed of the points, or of how the images are split.

    Returns:
        20,000 points to train on and 1,000 held-out ones, all fresh; of images, 500 or a fifth are
        held out.

    Raises:
        TypeError: The seed is no whole number.
        ValueError: There are no such data, or the seed is below 0.
    """
    seed = checks.seed(seed)
    return _split_images(name, seed) if name in IMAGES else _split_toy(name, seed)


def _split_images(name: str, seed: int) -> Split:
    """Images in a fresh order, the first of them held out."""
    import torch

    order = np.random.default_rng(seed).permutation(len(images(name)))
    shuffled = torch.from_numpy(images(name)[order])
    held = min(IMAGES_HELD_OUT, len(shuffled) // 5)
    return Split(name, train=shuffled[held:], held=shuffled[:held])


def _split_toy(name: str, seed: int) -> Split:
    """Fresh points of a toy of unit variance."""
    import torch

    from diffviz.data.toys import toy

    generator = torch.Generator().manual_seed(seed)
    points = toy(name, unit=True).sample(TOY_POINTS + TOY_HELD_OUT, generator).float()
    train, held = points.split([TOY_POINTS, TOY_HELD_OUT])
    return Split(name, train=train, held=held)
