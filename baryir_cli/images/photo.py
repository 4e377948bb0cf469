"""A decoded photograph: the pixels to restore, and what it takes to write it back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from baryir_cli.errors import UserError
from baryir_cli.images.boxes import Box
from baryir_cli.images.heif import Cicp

Layout = Literal["grey", "rgb", "palette", "bilevel", "cmyk"]

FORMATS: dict[str, str] = {
    "png": ".png",
    "jpeg": ".jpg",
    "webp": ".webp",
    "tiff": ".tif",
    "bmp": ".bmp",
    "avif": ".avif",
    "heic": ".heic",
    "jp2": ".jp2",
    "j2k": ".j2k",
}

DEFAULT_QUALITY = {"jpeg": 95, "webp": 95, "avif": 95, "heic": 75, "jp2": 95, "j2k": 95}
"""By format; the scale of HEIC is another. Formats that are not here are lossless."""

FORMAT_OF_SUFFIX: dict[str, str] = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".jpe": "jpeg",
    ".jfif": "jpeg",
    ".mpo": "jpeg",
    ".webp": "webp",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".bmp": "bmp",
    ".dib": "bmp",
    ".avif": "avif",
    ".heic": "heic",
    ".heif": "heic",
    ".hif": "heic",
    ".jp2": "jp2",
    ".jpf": "jp2",
    ".jpx": "jp2",
    ".j2k": "j2k",
    ".j2c": "j2k",
    ".jpc": "j2k",
}

READABLE_SUFFIXES: frozenset[str] = frozenset(FORMAT_OF_SUFFIX)

_PHONES_AND_STUDIOS = ".heics .avifs .jxl .psd .psb .exr .hdr .gif .tga .ppm .pgm .pnm"
_RAW = (
    ".dng .nef .nrw .cr2 .cr3 .crw .arw .srf .sr2 .orf .raf .rw2 .pef .srw .3fr .fff .iiq .x3f .rwl"
    " .gpr .erf .kdc .dcr .mrw .mef .mos"
)
FOREIGN_SUFFIXES: frozenset[str] = frozenset(f"{_PHONES_AND_STUDIOS} {_RAW}".split())
"""Photographs that only other programs read."""
EXPORT_FIRST = "export as TIFF, PNG or JPEG first"


CUT_OFF = "the file is cut off, or its picture stops early"
# What Pillow, tifffile and struct say of it.
_SAYS_CUT_OFF = re.compile(
    "truncated|^failed to read |^broken data stream|requires a buffer of",
    re.IGNORECASE,
)


class ImageError(UserError):
    """An image cannot be read or written; one line says why, without the file's name."""


class TooLargeError(ImageError):
    """An image has more pixels than the limit, which can be raised."""


@contextmanager
def failures_as_image_errors(what: str) -> Iterator[None]:
    """Turns any failure inside into an ImageError of one line that begins with ``what``."""
    try:
        yield
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError(f"{what}: not enough memory") from error
    # Decoders raise almost anything on damaged data, and one file must not end a whole folder.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        # These count bytes, or errors, instead of saying what happened to the file.
        if _SAYS_CUT_OFF.search(reason):
            reason = CUT_OFF
        elif reason.startswith("not identified "):
            reason = "the file is cut off, or its header is damaged or of an unsupported kind"
        elif reason.startswith("decoder error"):
            reason = "its compressed pixels are damaged"
        raise ImageError(f"{what}: {reason}") from error


@contextmanager
def naming_page(number: int) -> Iterator[None]:
    """Begins the message of a UserError inside with the page's number, counted from 1."""
    try:
        yield
    except UserError as error:
        kind = TooLargeError if isinstance(error, TooLargeError) else ImageError
        raise kind(f"page {number + 1}: {error}") from error


def format_of(path: Path) -> str | None:
    """The output format for a path's suffix; None for other suffixes."""
    return FORMAT_OF_SUFFIX.get(path.suffix.lower())


@dataclass
class Photo:
    """One photograph, upright, with what is needed to write it back as it was.

    ``pixels`` are ``(H, W, 3)`` RGB, uint8 or uint16, full range: grey is replicated, palettes are
    looked up, CMYK is converted to sRGB. ``alpha`` is ``(H, W)`` of the same dtype, or None.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None
    format: str
    layout: Layout
    # Palettes only: the pixels as they were read, which may be closer than a new palette.
    before: np.ndarray | None = None
    # Counted from 0, in a file of several pages.
    page: int = 0
    icc: bytes | None = None
    # A self-contained TIFF stream, orientation 1, without JPEG's "Exif\0\0" prefix.
    exif: bytes | None = None
    xmp: bytes | None = None
    # Photoshop's "8BIM" resources: captions and keywords (IPTC), paths.
    photoshop: bytes | None = None
    # TIFF only: the GeoTIFF tags, in a TIFF stream of their own.
    geotiff: bytes | None = None
    dpi: tuple[float, float] | None = None
    comment: bytes | None = None
    # PNG only: text and colour space chunks, as (type, data).
    chunks: tuple[tuple[bytes, bytes], ...] = ()
    # JPEG, AVIF and HEIC only: Pillow's 0 = 4:4:4, 1 = 4:2:2, 2 = 4:2:0.
    subsampling: int | None = None
    progressive: bool = False
    # WebP and JPEG 2000 only.
    lossless: bool = False
    # AVIF and HEIC only: the colours, of use where there is no profile.
    cicp: Cicp | None = None
    # HEIC and JPEG 2000 only: 9 to 15 if the file has so many, as 16 in the pixels.
    bits: int | None = None
    # JP2 only: further boxes around the picture.
    boxes: tuple[Box, ...] = ()

    @property
    def colours_by_number(self) -> Cicp | None:
        """The numbers that alone say that the colours are not sRGB, if there are any."""
        return None if self.cicp is None or self.icc or self.cicp.is_srgb else self.cicp


def with_pixels(photo: Photo, pixels: np.ndarray) -> Photo:
    """The photograph with new ``pixels``; raises ValueError if shape or dtype differ."""
    if pixels.shape != photo.pixels.shape or pixels.dtype != photo.pixels.dtype:
        raise ValueError(
            f"expected {photo.pixels.dtype} {photo.pixels.shape}, got {pixels.dtype} {pixels.shape}"
        )
    before = photo.pixels if photo.layout == "palette" else None
    return replace(photo, pixels=pixels, before=before)
