"""XMP and Photoshop blocks, made to fit the upright, restored image."""

from __future__ import annotations

import re
import struct

PHOTOSHOP_HEADER = b"Photoshop 3.0\0"
"""What a JPEG's APP13 segments of Photoshop's resources begin with."""
INCHES_IN_METRE = 39.37007874
_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation(?:\s*=\s*[\"']|\s*>)\s*)([1-8])")
_PHOTOSHOP_THUMBNAILS = (1033, 1036)


def xmp_orientation(xmp: bytes | None) -> int | None:
    """The orientation, 1 to 8, that XMP asks for; None where it names none."""
    found = _XMP_ORIENTATION.search(xmp or b"")
    return int(found.group(2)) if found else None


def upright_xmp(xmp: bytes) -> bytes:
    """XMP with its orientation, if it names one, set to 1."""
    return _XMP_ORIENTATION.sub(rb"\g<1>1", xmp)


def without_thumbnail(resources: bytes) -> bytes:
    """Photoshop's "8BIM" resources without the thumbnail; unchanged where they are damaged."""
    kept = bytearray()
    at = 0
    while at + 12 <= len(resources):
        kind, name = struct.unpack(">HB", resources[at + 4 : at + 7])
        # The name with its length byte, then the data, each padded to an even length.
        data_at = at + 6 + (name + 2) // 2 * 2 + 4
        length = int.from_bytes(resources[data_at - 4 : data_at], "big")
        end = data_at + length + length % 2
        if resources[at : at + 4] != b"8BIM" or data_at + length > len(resources):
            return resources
        if kind not in _PHOTOSHOP_THUMBNAILS:
            kept += resources[at:end]
        at = end
    return bytes(kept)
