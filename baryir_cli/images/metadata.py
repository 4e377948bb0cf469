"""XMP and Photoshop blocks, adapted to the upright, restored image."""

from __future__ import annotations

import re
import struct
from collections.abc import Container, Iterator
from dataclasses import dataclass

import numpy as np

EXIF_HEADER = b"Exif\0\0"
"""The start of JPEG APP1 segments with EXIF; other formats may repeat it."""
XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
"""The start of JPEG APP1 segments with XMP."""
PHOTOSHOP_HEADER = b"Photoshop 3.0\0"
"""The start of JPEG APP13 segments with Photoshop resources."""
IPTC_MARK = b"\x1c"
"""The start of each IPTC entry."""
INCHES_IN_METRE = 39.37007874
_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation(?:\s*=\s*[\"']|\s*>)\s*)([1-8])")
_PHOTOSHOP_THUMBNAILS = (1033, 1036)
_IPTC = 1028


def xmp_orientation(xmp: bytes | None) -> int | None:
    """The orientation that XMP names, 1 to 8; None if it names none."""
    found = _XMP_ORIENTATION.search(xmp or b"")
    return int(found.group(2)) if found else None


def upright_xmp(xmp: bytes) -> bytes:
    """XMP with its orientation, if any, set to 1."""
    return _XMP_ORIENTATION.sub(rb"\g<1>1", xmp)


def without_thumbnail(resources: bytes) -> bytes:
    """Photoshop's "8BIM" resources without the thumbnail; damaged ones stay as they are."""
    return _without(resources, _PHOTOSHOP_THUMBNAILS)


def iptc_of(resources: bytes | None) -> bytes | None:
    """The captions and keywords (IPTC) among Photoshop's resources; None if there are none."""
    blocks = _blocks(resources or b"")
    return next((block.data for block in blocks if block.kind == _IPTC and block.data), None)


def with_iptc(resources: bytes, iptc: bytes) -> bytes:
    """Photoshop's resources with these captions instead of their own."""
    # Some writers took the bytes for 32-bit numbers and swapped them.
    if iptc[:1] != IPTC_MARK and iptc[3:4] == IPTC_MARK and len(iptc) % 4 == 0:
        iptc = np.frombuffer(iptc, "<u4").byteswap().tobytes()
    head = b"8BIM" + struct.pack(">HHI", _IPTC, 0, len(iptc))
    return head + iptc + bytes(len(iptc) % 2) + without_iptc(resources)


def without_iptc(resources: bytes) -> bytes:
    """Photoshop's other resources: paths, printer settings and so on."""
    return _without(resources, (_IPTC,))


@dataclass(frozen=True)
class _Block:
    """One Photoshop resource: its number, its data, and all its bytes in the file."""

    kind: int | None
    data: bytes
    whole: bytes


def _without(resources: bytes, kinds: Container[int | None]) -> bytes:
    return b"".join(block.whole for block in _blocks(resources) if block.kind not in kinds)


def _blocks(resources: bytes) -> Iterator[_Block]:
    """Photoshop's resources one by one; from damage on, the rest as one without a number."""
    at = 0
    while at + 12 <= len(resources):
        kind, name = struct.unpack(">HB", resources[at + 4 : at + 7])
        # The name with its length byte, then the data, each padded to an even length.
        data_at = at + 6 + (name + 2) // 2 * 2 + 4
        data_end = data_at + int.from_bytes(resources[data_at - 4 : data_at], "big")
        if resources[at : at + 4] != b"8BIM" or data_end > len(resources):
            yield _Block(None, b"", resources[at:])
            return
        end = data_end + (data_end - data_at) % 2
        yield _Block(kind, resources[data_at:data_end], resources[at:end])
        at = end
