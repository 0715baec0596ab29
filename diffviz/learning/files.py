"""Tensors with a JSON header in one file: safetensors, checked by a sum, replaced as a whole.

A file that is replaced keeps its permissions, and where the path is a symbolic link, the link stays
and what it points to is replaced.

The metadata of safetensors has one entry, "diffviz". It is a JSON object of the kind of the file,
the version of the format, the header, and a check sum of header and tensors. One entry, since
safetensors writes several in an order that changes. Nothing here is pickled.
"""

import json
import os
import re
import secrets
import shutil
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from diffviz.checks import refuse_address
from diffviz.compute import locks

ENTRY = "diffviz"
VERSION = 1  # of the format; a file of another version is refused
DIGITS = 8  # in the name of a file that is being written


class UnreadableFile(ValueError):
    """A file is damaged, cut, of another kind or of a newer version; its text says which."""


def checked_path(path: Any) -> str:
    """The path of a file as text.

    Args:
        path: Text, bytes or a path. A number is none, although ``open`` takes it for a descriptor.

    Returns:
        The path.

    Raises:
        TypeError: It is no path.
        ValueError: It is empty or has a null character.
    """
    if not isinstance(path, (str, bytes, os.PathLike)):
        raise TypeError(f"the path of a file must be text or a path, got {path!r}")
    text = os.fsdecode(path)
    if not text or "\0" in text:
        raise ValueError(f"the path of a file is empty or has a null character: {text!r}")
    return text


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
        TypeError: The path is no path.
        ValueError: The path is empty or has a null character.
    """
    target = _target(checked_path(path))
    # clones, since safetensors refuses tensors that share their memory
    content = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    stamp = {
        "kind": kind,
        "version": VERSION,
        "header": header,
        "sum": check_sum(header, content),
    }
    _replace(target, safetensors.torch.save(content, {ENTRY: json.dumps(stamp)}))


def _target(path: str) -> Path:
    """The file itself where the path is a link; refused where it can be no file."""
    refuse_address(path)
    if os.path.isdir(path):
        raise IsADirectoryError(f"{path} is a folder; name a file in it")
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        home = f", where ~ is no home: pass {os.path.expanduser(path)!r}" * path.startswith("~")
        raise FileNotFoundError(f"the folder of {path!r} does not exist; make it first{home}")
    if target.exists() and not target.is_file():
        raise OSError(f"{path} is a device or a pipe; name a file")
    return target


def _replace(target: Path, content: bytes) -> None:
    """Put content in the place of a file, which keeps its permissions.

    The content is on the disk before the file is replaced, so that even where the power fails
    there is either the old file or the new one.
    """
    fresh = target.with_name(f"{target.name}.{secrets.token_hex(DIGITS // 2)}.tmp")
    try:
        with fresh.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, fresh)
        os.replace(fresh, target)
    finally:
        fresh.unlink(missing_ok=True)
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Bring the names of a folder to the disk, where the system can."""
    with suppress(OSError):  # Windows opens no folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def alone(path: str | os.PathLike | None, patience: float = 0) -> Iterator[None]:
    """Keep other processes off a file in a ``with`` block, and clear what killed ones left.

    The lock is a file beside it, ``FILE.lock``. The system releases it when a process ends,
    however it ends. Where the folder has no locks, there is none.

    Args:
        path: The file; None needs no lock.
        patience: How long to wait for another process, in seconds.

    Raises:
        BlockingIOError: Another process has it.
        TypeError: The path is no path.
        ValueError: The path is empty or has a null character.
    """
    target = None if path is None else Path(os.path.realpath(checked_path(path)))
    if target is None or target.is_dir() or not target.parent.is_dir():
        yield
        return
    with ExitStack() as stack:
        try:
            is_locked = stack.enter_context(locks.held(Path(f"{target}.lock"), patience))
        except TimeoutError:
            raise BlockingIOError(
                f"another training or process is writing {target}; wait until it ends, "
                "or name another file"
            ) from None
        if is_locked:
            _clear(target)
        yield


def _clear(target: Path) -> None:
    """Remove what killed processes had begun to write in the place of a file."""
    begun = re.compile(rf"{re.escape(target.name)}\.[0-9a-f]{{{DIGITS}}}\.tmp")
    for file in target.parent.iterdir():
        if begun.fullmatch(file.name):
            with suppress(OSError):
                file.unlink()


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
    path = checked_path(path)
    if not os.path.isfile(path):
        hint = "; it is a folder, name a file in it" if os.path.isdir(path) else ""
        raise FileNotFoundError(f"there is no file {path}{hint}")
    try:
        with safe_open(path, "pt", device="cpu") as file:
            stamp = _stamp(file.metadata() or {}, kind)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise UnreadableFile(f"damaged, cut or no safetensors file: {error}") from error
    if stamp["sum"] != check_sum(stamp["header"], tensors):
        raise UnreadableFile("damaged: its check sum is another")
    return stamp["header"], tensors


def _stamp(metadata: dict[str, str], kind: str) -> dict[str, Any]:
    """The entry of a file's metadata, refused if it is of another kind or of a newer version."""
    if ENTRY not in metadata:
        raise UnreadableFile(f"no file of diffviz, and so no {kind}")
    try:
        stamp = json.loads(metadata[ENTRY])
        there, version = stamp["kind"], stamp["version"]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise UnreadableFile("damaged: its header is no JSON of diffviz") from error
    if there != kind:
        raise UnreadableFile(f"a diffviz {there}, no {kind}")
    if version != VERSION:
        raise UnreadableFile(
            f"of version {version} of the format, this diffviz reads {VERSION}; update diffviz"
        )
    if not {"header", "sum"} <= stamp.keys() or not isinstance(stamp["header"], dict):
        raise UnreadableFile("damaged: its header is cut")
    return stamp


def check_sum(header: dict[str, Any], tensors: dict[str, Tensor]) -> int:
    """CRC-32 of a header and of tensors with their names.

    Args:
        header: What JSON can hold.
        tensors: By name, on the CPU.

    Returns:
        The sum.
    """
    text = json.dumps(header)
    return zlib.crc32(safetensors.torch.save(tensors), zlib.crc32(text.encode()))
