"""The boxes that HEIF and JPEG 2000 files consist of (ISO/IEC 14496-12 and 15444-1)."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO

C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
"""The UUID of content credentials, which vouch for the unchanged picture alone."""
DAMAGED = "the file is cut off, or its header is damaged"
MOST = 100_000
"""The most boxes beside each other that a hostile file can make us read. Honest files have one for
each tile of the picture, some thousands."""

Box = tuple[bytes, bytes]
"""The type of a box, and its data."""


def places(stream: BinaryIO, start: int = 0) -> Iterator[tuple[bytes, int, int]]:
    """The boxes from ``start`` on: their types, and where their data begin and end.

    The last one may end beyond the stream. Raises ValueError for an impossible length, or more
    than :data:`MOST` boxes.
    """
    length = stream.seek(0, io.SEEK_END)
    at, count = start, 0
    while at + 8 <= length:
        count += 1
        if count > MOST:
            raise ValueError(f"it consists of more than {MOST:,} boxes")
        stream.seek(at)
        size, kind = struct.unpack(">I4s", stream.read(8))
        first = at + 8
        if size == 1:
            size, first = int.from_bytes(stream.read(8), "big"), at + 16
        end = at + size if size else length
        if end < first:
            raise ValueError(DAMAGED)
        yield kind, first, end
        at = end


def data_at(stream: BinaryIO, first: int, end: int) -> bytes:
    """What :func:`places` found there, or as much of it as there is."""
    stream.seek(first)
    return stream.read(end - first)


def holds_credentials(kind: bytes, data: bytes) -> bool:
    """Whether a box has content credentials, judging by its type and the start of its data."""
    return kind == b"uuid" and data.startswith(C2PA)


def box(kind: bytes, *data: bytes) -> bytes:
    """A box of that type with these data, one after the other."""
    length = 8 + sum(map(len, data))
    if length < 1 << 32:
        return b"".join([struct.pack(">I4s", length, kind), *data])
    return b"".join([struct.pack(">I4sQ", 1, kind, length + 8), *data])
