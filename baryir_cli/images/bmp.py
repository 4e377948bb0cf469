"""BMP: embedded profiles and transparency, neither of which Pillow handles."""

from __future__ import annotations

import io
import logging
import struct
from typing import BinaryIO

import numpy as np

from baryir_cli.images.inflate import LARGEST_METADATA
from baryir_cli.images.metadata import INCHES_IN_METRE

_log = logging.getLogger(__name__)

FILE_HEADER = 14
# Info headers with colour masks (V4), and with a profile too (V5); offsets count from their start.
_V4, _V5 = 108, 124
_COLOUR_SPACE_AT, _INTENT_AT = 56, 108
# PROFILE_EMBEDDED, the number "MBED".
_EMBEDDED = b"DEBM"
_PERCEPTUAL = 4


def profile(stream: BinaryIO, at: int) -> bytes | None:
    """The profile embedded in a BMP whose info header lies at ``at``; None if there is none."""
    stream.seek(at)
    header = stream.read(_V5)
    if len(header) < _V5 or int.from_bytes(header[:4], "little") != _V5:
        return None
    if header[_COLOUR_SPACE_AT : _COLOUR_SPACE_AT + 4] != _EMBEDDED:
        return None
    offset, length = struct.unpack_from("<II", header, _INTENT_AT + 4)
    size = stream.seek(0, io.SEEK_END)
    if offset < _V5 or not 0 < length <= min(LARGEST_METADATA, size - at - offset):
        _log.warning("the BMP's profile is damaged or too long and left out")
        return None
    stream.seek(at + offset)
    return stream.read(length)


def with_profile(bmp: bytes, icc: bytes) -> bytes:
    """A BMP with an embedded profile; its info header is extended to a BITMAPV5HEADER."""
    old = int.from_bytes(bmp[FILE_HEADER : FILE_HEADER + 4], "little")
    header = bytearray(bmp[FILE_HEADER : FILE_HEADER + old].ljust(_V5, b"\0"))
    rest = memoryview(bmp)[FILE_HEADER + old :]
    struct.pack_into("<I", header, 0, _V5)
    struct.pack_into("<4s", header, _COLOUR_SPACE_AT, _EMBEDDED)
    struct.pack_into("<III", header, _INTENT_AT, _PERCEPTUAL, _V5 + len(rest), len(icc))
    start = int.from_bytes(bmp[10:FILE_HEADER], "little") + _V5 - old
    size = FILE_HEADER + _V5 + len(rest) + len(icc)
    return b"".join([_file_header(size, start), header, rest, icc])


def with_alpha(pixels: np.ndarray, alpha: np.ndarray, dpi: tuple[float, float]) -> bytes:
    """A 32-bit BMP whose header declares alpha (Pillow's does not); rows run upwards."""
    height, width = alpha.shape
    rows = np.empty((height, width, 4), np.uint8)
    rows[..., :3] = pixels[::-1, :, ::-1]
    rows[..., 3] = alpha[::-1]
    across, down = (round(value * INCHES_IN_METRE) for value in dpi)
    # 32 bits in bit fields; masks of red, green, blue, alpha; sRGB; no end points.
    header = struct.pack(
        "<IiiHHIIiiII", _V4, width, height, 1, 32, 3, rows.nbytes, across, down, 0, 0
    )
    masks = struct.pack("<4I4s", 0xFF0000, 0xFF00, 0xFF, 0xFF000000, b"BGRs") + bytes(48)
    start = FILE_HEADER + len(header) + len(masks)
    return b"".join([_file_header(start + rows.nbytes, start), header, masks, rows.tobytes()])


def _file_header(size: int, start: int) -> bytes:
    """The file header for ``size`` bytes with pixels that begin at ``start``."""
    return struct.pack("<2sIHHI", b"BM", size, 0, 0, start)
