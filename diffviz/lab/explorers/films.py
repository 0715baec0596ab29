"""Pictures one after the other as a file: a GIF, or a video where ffmpeg is installed."""

import io
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path as File

from PIL import Image

from diffviz import checks

REST = 1500  # ms for which a GIF shows its last picture
COLOURS = 64  # of a picture in a GIF


def save_film(pictures: Iterable[Image.Image], file: str | File, step_seconds: float) -> File:
    """Write pictures as an animation.

    Args:
        pictures: The pictures, all of one size.
        file: Where to write: a .gif, or an .mp4 where ffmpeg is installed.
        step_seconds: How long each picture is shown.

    Returns:
        The path of the file.

    Raises:
        ValueError: The file has another ending, ffmpeg is missing, or ``step_seconds`` is not
            above 0.
    """
    path = film_path(file)
    checks.positive(step_seconds, "step_seconds")
    if path.suffix.lower() == ".gif":
        _write_gif(pictures, path, step_seconds)
    else:
        _write_mp4(pictures, path, step_seconds)
    return path


def film_path(file: str | File) -> File:
    """The path of an animation, if it can be written.

    Args:
        file: Where to write.

    Returns:
        The path.

    Raises:
        ValueError: The file has another ending than .gif and .mp4, or ffmpeg is missing.
    """
    path = File(file)
    ending = path.suffix.lower()
    if ending not in (".gif", ".mp4"):
        raise ValueError(
            f"cannot write {path.name!r}: the ending is .gif, or .mp4 where ffmpeg is installed"
        )
    if ending == ".mp4" and not shutil.which("ffmpeg"):
        raise ValueError("an .mp4 needs ffmpeg, which is not installed here; take a .gif")
    return path


def _write_gif(pictures: Iterable[Image.Image], file: File, step_seconds: float) -> None:
    """Write pictures as a GIF, which rests at the end."""
    first, *others = (picture.quantize(COLOURS) for picture in pictures)
    milliseconds = max(20, round(1000 * step_seconds))
    durations = [milliseconds] * len(others) + [REST]
    first.save(file, save_all=True, append_images=others, duration=durations, loop=0)


def _write_mp4(pictures: Iterable[Image.Image], file: File, step_seconds: float) -> None:
    """Write pictures as a video, with ffmpeg."""
    stream = io.BytesIO()
    for picture in pictures:
        picture.save(stream, "PNG")
    rate = f"{1 / step_seconds:.3f}"
    source = ["-loglevel", "error", "-f", "image2pipe", "-framerate", rate, "-i", "-"]
    video = ["-pix_fmt", "yuv420p", "-r", "25", str(file)]
    program = str(shutil.which("ffmpeg"))
    subprocess.run([program, "-y", *source, *video], input=stream.getvalue(), check=True)
