"""Read your own picture or sound as samples on [−1, 1]."""

import warnings
from pathlib import Path as File

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from scipy.io import wavfile

from diffviz.checks import finite


def samples(values: ArrayLike, name: str = "values") -> NDArray:
    """Floats as they are, 8- and 16-bit integers from [min, max] to [−1, 1]; TypeError without a full scale, ValueError for NaN."""
    array = np.asarray(values)
    if array.dtype.kind in "iu" and array.dtype.itemsize <= 2:
        low, high = float(np.iinfo(array.dtype).min), float(np.iinfo(array.dtype).max)
        return (array - low) * (2 / (high - low)) - 1
    if array.dtype.kind != "f":
        raise TypeError(
            f"{name} of type {array.dtype} have no known full scale; divide by it, pass floats in [-1, 1]"
        )
    return finite(array, name)


def image(path: str | File) -> NDArray:
    """Your own picture: the middle square of an image file in grey, shape (n, n), black −1 and white 1; floats as they are.

    Raises:
        ValueError: for a file that is no image, has fewer than 8 pixels a side, or an alpha channel that hides something.
        TypeError: for integers of 32 bits, whose white is not known.
    """
    try:
        with Image.open(path) as picture:
            picture.load()
    except (
        OSError,
        SyntaxError,
        Image.DecompressionBombError,
    ) as error:  # a damaged PNG is a SyntaxError to Pillow
        raise ValueError(f"cannot read an image from {path}: {error}") from error
    if picture.has_transparency_data and picture.convert("RGBA").getchannel("A").getextrema() != (
        255,
        255,
    ):
        raise ValueError(
            f"{path} has an alpha channel: what shows through is not in the file; save it flat, on a background"
        )
    grey = (
        picture
        if picture.mode in ("F", "I", "L") or picture.mode.startswith("I;16")
        else picture.convert("L")
    )
    values = samples(np.asarray(grey), str(path))
    side = min(values.shape)
    if side < 8:
        raise ValueError(f"{path} has {values.shape} pixels; a spectrum needs at least 8 a side")
    top, left = (np.array(values.shape) - side) // 2
    return values[top : top + side, left : left + side]


def sound(path: str | File) -> tuple[NDArray, int]:
    """Your own sound: a WAV file's samples on [−1, 1], shape (n,), and how many there are a second.

    Raises:
        ValueError: for a file that is no WAV or shorter than its header says, or one of several channels.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Reached EOF", wavfile.WavFileWarning)
            rate, values = wavfile.read(path)
    except Exception as error:  # SciPy stumbles over a damaged header in many ways, a name that was never bound among them
        raise ValueError(f"cannot read a WAV file from {path}: {error}") from error
    if values.ndim != 1:
        raise ValueError(
            f"{path} has {values.shape[1]} channels; write one of them, or their mean, to a file of its own"
        )
    return samples(
        values / 2.0**31 if values.dtype == np.int32 else values, str(path)
    ), rate  # 24 and 32 bits: SciPy fills up int32
