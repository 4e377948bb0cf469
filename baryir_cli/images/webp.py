"""Reads WebP files."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from typing import BinaryIO

from PIL import WebPImagePlugin

from baryir_cli.images.checks import check_frames, check_size
from baryir_cli.images.photo import Photo
from baryir_cli.images.planes import decoded, unlimited
from baryir_cli.images.upright import bare_exif, described, orientation_of


def read(stream: BinaryIO, limit: float) -> Photo:
    """The photograph in a WebP; errors as in ``read_photo``."""
    stream.seek(0)
    width, height = size_of(stream.read(30))
    check_size(width, height, limit)
    _check_is_whole(stream)
    lossless = _is_lossless(stream)
    stream.seek(0)
    # Pillow allocates the picture and checks its size on opening.
    with unlimited(width * height):
        image = WebPImagePlugin.WebPImageFile(stream)
        check_size(*image.size, limit)
        check_frames(getattr(image, "n_frames", 1), "frames")
        exif, xmp = bare_exif(image.info.get("exif")), image.info.get("xmp")
        orientation = orientation_of(exif, xmp)
        photo = decoded(image, "webp", orientation)
    photo = described(photo, orientation, icc=image.info.get("icc_profile"), exif=exif, xmp=xmp)
    return replace(photo, lossless=lossless)


def size_of(head: bytes) -> tuple[int, int]:
    """Width and height from a WebP's first 30 bytes; raises ValueError if they are not there."""
    kind = head[12:16]
    if len(head) < 30 or kind not in (b"VP8X", b"VP8L", b"VP8 "):
        raise ValueError("the WebP header is damaged")
    if kind == b"VP8X":
        width, height = head[24:27], head[27:30]
        return int.from_bytes(width, "little") + 1, int.from_bytes(height, "little") + 1
    if kind == b"VP8L":
        sizes = int.from_bytes(head[21:25], "little")
        return (sizes & 0x3FFF) + 1, (sizes >> 14 & 0x3FFF) + 1
    width, height = struct.unpack("<HH", head[26:30])
    return width & 0x3FFF, height & 0x3FFF


def _check_is_whole(stream: BinaryIO) -> None:
    """Raises ValueError for a file shorter than it says; Pillow's message gives no reason."""
    stream.seek(4)
    announced = 8 + int.from_bytes(stream.read(4), "little")
    if stream.seek(0, io.SEEK_END) < announced:
        raise ValueError("the file is cut off")


def _is_lossless(stream: BinaryIO) -> bool:
    """Whether the (first) picture in a WebP is lossless."""
    stream.seek(12)
    while len(head := stream.read(8)) == 8:
        kind, length = struct.unpack("<4sI", head)
        if kind in (b"VP8L", b"VP8 "):
            return kind == b"VP8L"
        stream.seek(length + length % 2, 1)
    return False
