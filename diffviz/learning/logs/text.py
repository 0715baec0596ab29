"""The text of a log in pieces, from a file in UTF-8 that may be packed by gzip."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

SIZE = 2**20  # characters that are read together
PACKED = b"\x1f\x8b"  # the first bytes of a file that is packed by gzip


def head_of(file: Path, size: int = 1024) -> bytes:
    """The first bytes of a file, unpacked.

    Args:
        file: The file.
        size: Number of bytes.

    Returns:
        At most so many bytes.

    Raises:
        ValueError: The file is packed and cannot be unpacked.
    """
    with file.open("rb") as stream:
        head = stream.read(size)
    if not head.startswith(PACKED):
        return head
    try:
        with gzip.open(file) as packed:
            return packed.read(size)
    except (OSError, EOFError, zlib.error) as error:
        raise _unpacking_error(file, error) from error


def pieces_of(file: Path, size: int = SIZE) -> Iterator[list[str]]:
    """The lines of a file, some at a time, with their ends.

    Args:
        file: The file.
        size: Characters that are read together.

    Yields:
        Lines.

    Raises:
        ValueError: The file is no text in UTF-8, or it is packed and cannot be unpacked.
    """
    with file.open("rb") as stream:
        is_packed = stream.read(len(PACKED)) == PACKED
    opened = gzip.open if is_packed else open
    with opened(file, "rt", encoding="utf-8-sig", newline="") as text:
        while True:
            try:
                lines = text.readlines(size)
            except UnicodeDecodeError as error:
                raise ValueError(f"{file} is no text in UTF-8: {error}") from error
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                raise _unpacking_error(file, error) from error
            if not lines:
                return
            yield lines


def whole_of(file: Path) -> str:
    """All of the text of a file; see ``pieces_of``."""
    return "".join(line for lines in pieces_of(file) for line in lines)


def _unpacking_error(file: Path, error: Exception) -> ValueError:
    """What to raise for a file that cannot be unpacked."""
    return ValueError(
        f"{file} is compressed, and cut or broken ({error}); unpack it first, as far as it goes, "
        "with gzip -dc"
    )
