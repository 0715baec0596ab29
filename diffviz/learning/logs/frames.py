"""The framing of event files: records with their lengths and checksums (TFRecord).

A record is its length in 8 bytes, a checksum of these, its bytes, and a checksum of them. The
checksum is CRC-32C (Castagnoli), turned and shifted so that a checksum of checksums is harmless.
TensorBoard computes it byte by byte in Python, which takes most of its time; here records of one
length are checked together.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from struct import Struct

import numpy as np
from numpy.typing import NDArray

POLYNOMIAL = 0x82F63B78  # of CRC-32C, its bits turned round
MASK = 0xA282EAD8  # what TFRecord adds
BEFORE = 12  # bytes of a length and its checksum
AFTER = 4  # bytes of the checksum of a record
TOGETHER = 2**22  # bytes that are checked together


@dataclass(frozen=True, eq=False)
class Records:
    """The records of a file.

    Args:
        content: The file, shape (bytes,), uint8.
        start: Place of the first byte of each record, shape (n,).
        length: Number of its bytes, shape (n,).
        remarks: What was met on the way.
    """

    content: NDArray[np.uint8]
    start: NDArray[np.int64]
    length: NDArray[np.int64]
    remarks: tuple[str, ...] = ()

    def pieces(self, together: int) -> Iterator[tuple[NDArray, int]]:
        """Places of records of one length, and this length, at most so many bytes together."""
        for length in np.unique(self.length).tolist():
            places = np.flatnonzero(self.length == length)
            count = max(1, together // (length + BEFORE + AFTER))
            for first in range(0, len(places), count):
                yield places[first : first + count], length

    def of_length(self, places: NDArray, length: int) -> NDArray[np.uint8]:
        """The bytes of some records that are of one length, shape (records, length)."""
        return self.content[self.start[places][:, None] + np.arange(length)]

    def record(self, place: int) -> bytes:
        """The bytes of one record."""
        start = self.start[place]
        return self.content[start : start + self.length[place]].tobytes()


def _table() -> NDArray:
    """The checksum of each byte, shape (256,)."""
    values: NDArray = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        values = (values >> 1) ^ (np.uint32(POLYNOMIAL) * (values & 1))
    return values


TABLE = _table()


def checksums(rows: NDArray[np.uint8]) -> NDArray:
    """The masked checksum of each row of bytes, as TFRecord writes it.

    Args:
        rows: Bytes, shape (n, length).

    Returns:
        Checksums, shape (n,).
    """
    value: NDArray = np.full(len(rows), 0xFFFFFFFF, dtype=np.uint32)
    for column in np.ascontiguousarray(rows.T):
        value = TABLE[(value ^ column) & 0xFF] ^ (value >> 8)
    value = ~value
    return ((value >> 15) | (value << 17)) + np.uint32(MASK)


def read_records(file: Path) -> Records:
    """The records of a file up to the first that is broken or cut.

    Args:
        file: The file.

    Returns:
        Its records, and a remark if the file does not end behind one.
    """
    content = np.fromfile(file, dtype=np.uint8)
    start, length = _places(content)
    records = Records(content, start, length)
    good = _count_of_good(records)
    end = int(start[good - 1] + length[good - 1] + AFTER) if good else 0
    if end == len(content):
        return records
    remark = f"{file.name} is cut or broken behind record {good:,}: the rest was left out"
    return Records(content, start[:good], length[:good], (remark,))


def _places(content: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where records start and how long they are; each says where the next one is."""
    starts, lengths = array("q"), array("q")
    unpack = Struct("<Q").unpack_from
    buffer = content.data
    size = len(content)
    place = 0
    while place + BEFORE <= size:
        (length,) = unpack(buffer, place)
        place += BEFORE
        if place + length + AFTER > size:
            break
        starts.append(place)
        lengths.append(length)
        place += length + AFTER
    return np.array(starts, dtype=np.int64), np.array(lengths, dtype=np.int64)


def _count_of_good(records: Records) -> int:
    """Number of records before the first whose checksum is wrong."""
    wrong = [len(records.start)]
    for places, length in records.pieces(TOGETHER):
        bad = places[~_are_good(records, places, length)]
        wrong += bad[:1].tolist()
    return min(wrong)


def _are_good(records: Records, places: NDArray, length: int) -> NDArray[np.bool_]:
    """Whether records of one length have the checksums that are written with them, shape (n,)."""
    begin = records.start[places][:, None] - BEFORE
    rows = records.content[begin + np.arange(BEFORE + length + AFTER)]
    head, body = rows[:, :8], rows[:, BEFORE:-AFTER]
    of_head = np.ascontiguousarray(rows[:, 8:BEFORE]).view("<u4")[:, 0]
    of_body = np.ascontiguousarray(rows[:, -AFTER:]).view("<u4")[:, 0]
    return (checksums(head) == of_head) & (checksums(body) == of_body)
