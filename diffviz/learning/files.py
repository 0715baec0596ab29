"""Tensors with a JSON header in one file: safetensors, checked by a sum, replaced as a whole.

The header of safetensors holds three texts under "diffviz": kind and version of the file, a JSON
object, and a check sum of that and of the tensors. Nothing here is pickled.
"""

import json
import os
import zlib
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

VERSION = 1  # of the format; a file of a higher one is refused


class UnreadableFile(ValueError):
    """A file is damaged, cut, of another kind or of a newer version; its text says which."""


def write(
    path: str | os.PathLike, kind: str, header: dict[str, Any], tensors: dict[str, Tensor]
) -> None:
    """Write a file beside the path, then put it in the place of an old one.

    Args:
        path: Where to.
        kind: Kind of the file, such as "run"; ``read`` asks for the same.
        header: What JSON can hold.
        tensors: By name; they are written from the CPU.

    Raises:
        OSError: The file cannot be written. What stood at the path is still there.
    """
    # clones, since safetensors refuses tensors that share their memory
    content = {name: one.detach().cpu().contiguous().clone() for name, one in tensors.items()}
    text = json.dumps(header)
    metadata = {
        "diffviz": f"{kind} {VERSION}",
        "header": text,
        "sum": _check_sum(text, content),
    }
    fresh = Path(f"{os.fspath(path)}.{os.getpid()}.tmp")
    try:
        fresh.write_bytes(safetensors.torch.save(content, metadata))
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def read(path: str | os.PathLike, kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read what ``write`` has written.

    Args:
        path: Where from.
        kind: Kind of file that is asked for.

    Returns:
        The header, and the tensors on the CPU by name.

    Raises:
        FileNotFoundError: There is no file.
        UnreadableFile: It is damaged, of another kind or of a newer version.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"there is no file {os.fspath(path)}")
    try:
        with safe_open(path, "pt", device="cpu") as file:
            metadata = file.metadata() or {}
            _check_kind(metadata.get("diffviz", ""), kind)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise UnreadableFile(f"damaged, cut or no safetensors file: {error}") from error
    text = metadata.get("header", "")
    if metadata.get("sum") != _check_sum(text, tensors):
        raise UnreadableFile("damaged: its check sum is another")
    return json.loads(text), tensors


def _check_kind(stamp: str, kind: str) -> None:
    """Refuse the stamp "kind version" of another kind or of a newer version."""
    there, _, version = stamp.rpartition(" ")
    if there != kind or not version.isdecimal():
        raise UnreadableFile(f"no diffviz {kind}" + (f" but a {stamp!r}" if stamp else ""))
    if int(version) > VERSION:
        raise UnreadableFile(
            f"of version {version}, newer than {VERSION}, which this diffviz reads; update diffviz"
        )


def _check_sum(text: str, tensors: dict[str, Tensor]) -> str:
    """CRC-32 of the header and of the tensors with their names."""
    ordered = dict(sorted(tensors.items()))
    return str(zlib.crc32(safetensors.torch.save(ordered), zlib.crc32(text.encode())))
