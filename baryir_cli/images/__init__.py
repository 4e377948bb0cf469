"""Reads and writes image files: what came in goes out, upright, with its profile."""

from __future__ import annotations

from baryir_cli.images import heic
from baryir_cli.images.losses import losses
from baryir_cli.images.photo import (
    EXPORT_FIRST,
    FOREIGN_SUFFIXES,
    FORMATS,
    READABLE_SUFFIXES,
    ImageError,
    Photo,
    TooLargeError,
    format_of,
    naming_page,
    with_pixels,
)
from baryir_cli.images.read import count_pages, read_photo
from baryir_cli.images.tiff import Binder
from baryir_cli.images.write import encode_photo

__all__ = [
    "EXPORT_FIRST",
    "FOREIGN_SUFFIXES",
    "FORMATS",
    "READABLE_SUFFIXES",
    "Binder",
    "ImageError",
    "Photo",
    "TooLargeError",
    "count_pages",
    "encode_photo",
    "format_of",
    "heic",
    "losses",
    "naming_page",
    "read_photo",
    "with_pixels",
]
