"""Read your own picture or sound as samples on [−1, 1]."""

import io
import warnings
from pathlib import Path as File

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from scipy.io import wavfile

from diffviz.checks import brief, cut, finite, holds_mask, instance, real_numbers, require

BYTES = (bytes, bytearray, memoryview)
LONGEST = 200  # characters of a path in a message
SMALLEST_SIDE = 8  # pixels; a spectrum needs that many
GREY_MODES = ("F", "I", "L")  # Pillow's modes of one channel, beside "I;16" and its kin


def samples(values: ArrayLike, name: str = "values") -> NDArray:
    """Samples on [−1, 1] from numbers of a known full scale.

    Args:
        values: Floats, which stay as they are, or integers of 8 or 16 bits, whose range is mapped
            to [−1, 1]; any shape.
        name: Name of the argument, for messages.

    Returns:
        The samples in float64, same shape.

    Raises:
        TypeError: The values have no full scale that is known, or are masked.
        ValueError: A value is NaN or infinite, or rows differ in length.
    """
    if holds_mask(values):
        return finite(values, name)  # refuses it
    try:
        numbers = np.asarray(values)
    except ValueError as error:  # rows of different length
        raise ValueError(f"{name} must be an array of numbers: {error}") from error
    except (TypeError, RuntimeError):  # tensors that NumPy does not read by itself
        numbers = real_numbers(values, name)
    if numbers.dtype.kind in "iu" and numbers.dtype.itemsize <= 2:
        limits = np.iinfo(numbers.dtype)
        return (numbers - float(limits.min)) * (2 / (float(limits.max) - float(limits.min))) - 1
    require(
        numbers.dtype.kind == "f",
        f"{name} of type {numbers.dtype} have no known full scale; "
        "divide by it, pass floats in [-1, 1]",
        TypeError,
    )
    return finite(numbers, name)


def image(path: str | File) -> NDArray:
    """Your own picture: the middle square of an image file in grey.

    Args:
        path: The image file.

    Returns:
        Grey values, black −1 and white 1, shape (n, n); floats stay as they are.

    Raises:
        TypeError: ``path`` is no path, or the pixels are integers of 32 bits, whose white is not
            known.
        ValueError: The file is no image, has fewer than 8 pixels a side, or an alpha channel that
            hides something.
    """
    if not isinstance(path, str | File):
        raise TypeError(f"an image must be a path, got {brief(path)}")
    return _middle_square(_open_picture(path, str(path)), str(path))


def image_of_bytes(content: bytes, name: str = "the file") -> NDArray:
    """Your own picture from the bytes of a file; see ``image``.

    Args:
        content: The bytes.
        name: Name of the file, for messages.

    Returns:
        Grey values, black −1 and white 1, shape (n, n); floats stay as they are.

    Raises:
        TypeError: The pixels are integers of 32 bits, whose white is not known.
        ValueError: The bytes are no image, it has fewer than 8 pixels a side, or an alpha channel
            that hides something.
    """
    instance(content, "content", BYTES, "the bytes of an image file")
    return _middle_square(_open_picture(io.BytesIO(content), name), name)


def _middle_square(picture: Image.Image, name: str) -> NDArray:
    """The middle square of a picture in grey, shape (n, n)."""
    require(
        not _shows_through(picture),
        f"{name} has an alpha channel: what shows through is not in the file; "
        "save it flat, on a background",
    )
    is_grey = picture.mode in GREY_MODES or picture.mode.startswith("I;16")
    grey = picture if is_grey else picture.convert("L")
    values = samples(np.asarray(grey), name)
    side = min(values.shape)
    require(
        side >= SMALLEST_SIDE,
        f"{name} has {values.shape} pixels; a spectrum needs at least {SMALLEST_SIDE} a side",
    )
    top, left = (np.array(values.shape) - side) // 2
    return values[top : top + side, left : left + side]


def _open_picture(source: str | File | io.BytesIO, name: str) -> Image.Image:
    """An image file, read as a whole; a ValueError if that fails."""
    try:
        with Image.open(source) as picture:
            picture.load()
    # a damaged PNG is a SyntaxError to Pillow
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(
            f"cannot read an image from {name[:LONGEST]}: {cut(str(error))}"
        ) from error
    return picture


def _shows_through(picture: Image.Image) -> bool:
    """Whether some pixel is not opaque."""
    if not picture.has_transparency_data:
        return False
    return picture.convert("RGBA").getchannel("A").getextrema() != (255, 255)


def sound(path: str | File) -> tuple[NDArray, int]:
    """Your own sound: the samples of a WAV file.

    Args:
        path: A WAV file of one channel.

    Returns:
        Samples on [−1, 1], shape (n,), and the number of samples a second.

    Raises:
        ValueError: The file is no WAV, is shorter than its header says, or has several channels.
    """
    instance(path, "path", (str, File), "text or a path")
    return _read_wav(path, str(path))


def sound_of_bytes(content: bytes, name: str = "the file") -> tuple[NDArray, int]:
    """Your own sound from the bytes of a WAV file; see ``sound``.

    Args:
        content: The bytes.
        name: Name of the file, for messages.

    Returns:
        Samples on [−1, 1], shape (n,), and the number of samples a second.

    Raises:
        ValueError: The bytes are no WAV file, fewer than its header says, or have several channels.
    """
    instance(content, "content", BYTES, "the bytes of a WAV file")
    return _read_wav(io.BytesIO(content), name)


def _read_wav(source: str | File | io.BytesIO, name: str) -> tuple[NDArray, int]:
    """The samples of a WAV file and their rate."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Reached EOF", wavfile.WavFileWarning)
            rate, values = wavfile.read(source)
    # SciPy fails on a damaged header in many ways, even with an UnboundLocalError
    except Exception as error:
        raise ValueError(
            f"cannot read a WAV file from {name[:LONGEST]}: {cut(str(error))}"
        ) from error
    require(
        values.ndim == 1,
        f"{name} has {values.shape[-1]} channels; "
        "write one of them, or their mean, to a file of its own",
    )
    if values.dtype == np.int32:  # SciPy reads 24 and 32 bits as int32, filled up to full scale
        values = values / 2.0**31
    return samples(values, name), rate
