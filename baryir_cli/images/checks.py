"""Refuses what is too large or has several pictures."""

from __future__ import annotations

from baryir_cli.images.photo import ImageError, TooLargeError
from baryir_cli.shell.units import megapixels


def check_size(width: int, height: int, limit: float) -> None:
    """Raises ImageError for an image without pixels, TooLargeError for more than ``limit``."""
    if width < 1 or height < 1:
        raise ImageError(f"announces an impossible size of {width} x {height} pixels")
    if width * height > limit:
        size = f"{width} x {height} pixels, {megapixels(width * height)}"
        raise TooLargeError(f"announces {size}, above the limit of {limit / 1e6:g} MP")


def check_frames(count: int, what: str) -> None:
    """Raises ImageError for several frames or pages, because all but one would be lost."""
    if count > 1:
        raise ImageError(
            f"has {count} {what}; only single images are supported: split it into one file each"
        )
