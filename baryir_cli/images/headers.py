"""What the first bytes of a file tell, without decoding it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from PIL import Image

from baryir_cli.images.planes import unlimited
from baryir_cli.images.read import webp_size

_SIGNATURE = re.compile(
    rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|RIFF.{4}WEBP|II[*+]\0|MM\0[*+]|BM", re.DOTALL
)
_SIZED_BY_PILLOW = ("PNG", "JPEG", "TIFF", "BMP", "DIB")
_HEADER = 30
"""Bytes that tell the format of a file, and the size of a WebP."""


def looks_like_an_image(path: Path) -> bool:
    """Whether a file begins like a PNG, JPEG, WebP, TIFF or BMP."""
    try:
        if not path.is_file():  # a pipe would wait for a writer
            return False
        with path.open("rb") as stream:
            return _SIGNATURE.match(stream.read(_HEADER)) is not None
    except OSError:
        return False


def pixels_of(path: Path) -> int | None:
    """The number of pixels that an image file announces; None if it does not say."""
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEADER)
            if head[8:12] == b"WEBP":  # Pillow would read all of it
                width, height = webp_size(head)
            else:
                with unlimited(sys.maxsize):
                    width, height = Image.open(stream, formats=_SIZED_BY_PILLOW).size
    # Pillow raises almost anything on damaged data.
    except Exception:
        return None
    return width * height
