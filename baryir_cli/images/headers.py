"""What the first bytes of a file tell, without decoding it."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path

from PIL import Image

from baryir_cli.images import heif, jpeg2000, tiff, webp
from baryir_cli.images.photo import ImageError
from baryir_cli.images.planes import unlimited
from baryir_cli.images.read import opened

_SIGNATURE = re.compile(rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|RIFF.{4}WEBP|BM.{4}\0{4}", re.DOTALL)
_SIZED_BY_PILLOW = ("PNG", "JPEG", "BMP", "DIB", "JPEG2000")


def looks_like_an_image(path: Path) -> bool:
    """Whether a file begins like one of the formats."""
    try:
        with opened(path) as stream:
            head = stream.read(heif.HEAD)
            if head.startswith((*tiff.STARTS, *jpeg2000.STARTS)) or heif.content_of(head):
                return True
            return _SIGNATURE.match(head) is not None
    except (ImageError, OSError):
        return False


def pixels_of(path: Path) -> int | None:
    """The pixels that an image file announces, on all pages; None if it does not say."""
    try:
        with opened(path) as stream:
            head = stream.read(heif.HEAD)
            if head[:4] in tiff.STARTS:
                return sum(math.prod(page.size) for page in tiff.pages_of(stream))
            if head[8:12] == b"WEBP":  # Pillow would read all of it
                return math.prod(webp.size_of(head))
            if heif.content_of(head):
                return math.prod(heif.properties_of(stream).size) or None
            with unlimited(sys.maxsize):
                return math.prod(Image.open(stream, formats=_SIZED_BY_PILLOW).size)
    # Pillow raises almost anything on damaged data.
    except Exception:
        return None
