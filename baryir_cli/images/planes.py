"""Decoded pixels as arrays: upright RGB and alpha, in as little memory as possible."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
from PIL import Image

from baryir_cli.bands import bands
from baryir_cli.images.colour import as_stored, cmyk_transforms
from baryir_cli.images.photo import ImageError, Layout, Photo

_log = logging.getLogger(__name__)

_LAYOUTS: dict[str, Layout] = {
    "1": "bilevel",
    "L": "grey",
    "LA": "grey",
    "La": "grey",
    "P": "palette",
    "PA": "palette",
    "RGB": "rgb",
    "RGBA": "rgb",
    "YCbCr": "rgb",
    "CMYK": "cmyk",
}


class _PillowLimit:
    """Lifts Pillow's own size limit, which is global, while large images are decoded.

    Our limit has been checked before. ``users`` counts the threads that need Pillow's lifted.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0
        self.saved: int | None = None

    @contextmanager
    def lifted_for(self, pixels: int) -> Iterator[None]:
        with self.lock:
            usual = self.saved if self.users else Image.MAX_IMAGE_PIXELS
            needed = usual is not None and pixels > usual
            if needed:
                self.saved = usual
                self.users += 1
                Image.MAX_IMAGE_PIXELS = None
        try:
            yield
        finally:
            if needed:
                with self.lock:
                    self.users -= 1
                    if not self.users:
                        Image.MAX_IMAGE_PIXELS = self.saved


_PILLOW_LIMIT = _PillowLimit()


def unlimited(pixels: int) -> AbstractContextManager[None]:
    """Inside, Pillow accepts images of that many ``pixels``, whatever its own limit is."""
    return _PILLOW_LIMIT.lifted_for(pixels)


def _image_planes(image: Image.Image, orientation: int) -> tuple[np.ndarray, np.ndarray | None]:
    """A loaded Pillow image as upright uint8: RGB ``(H, W, 3)`` and alpha ``(H, W)`` or None."""
    transforms = cmyk_transforms(image.info.get("icc_profile")) if image.mode == "CMYK" else None
    mode = _target_mode(image)
    width, height = image.size
    shape = (width, height) if orientation >= 5 else (height, width)
    pixels = np.empty((*shape, 3), np.uint8)
    alpha = np.empty(shape, np.uint8) if mode in ("LA", "RGBA") else None
    stored = as_stored(pixels, orientation)
    for rows in bands(height, width):
        band = image.crop((0, rows.start, width, rows.stop))
        if transforms is not None:
            band = transforms.to_rgb.apply(band)
        samples = samples_of(band, mode).reshape(rows.stop - rows.start, width, -1)
        stored[rows] = samples[..., :3] if samples.shape[2] >= 3 else samples[..., :1]
        if alpha is not None:
            as_stored(alpha, orientation)[rows] = samples[..., -1]
    return pixels, alpha


def samples_of(band: Image.Image, mode: str) -> np.ndarray:
    """An image, or a band of it, in another Pillow mode, as an array."""
    if (band.mode, mode) == ("1", "LA"):
        # Pillow 11 looks for the transparent value, 0 or 1, among 0 and 255.
        white = np.asarray(band)
        seen = white != bool(band.info["transparency"])
        return np.stack([white, seen], axis=2).astype(np.uint8) * np.uint8(255)
    return np.asarray(band if band.mode == mode else band.convert(mode))


def _target_mode(image: Image.Image) -> str:
    """The Pillow mode, 8 bits per channel, that shows an image and its transparency."""
    grey = _LAYOUTS[image.mode] in ("grey", "bilevel")
    if image.has_transparency_data:
        return "LA" if grey else "RGBA"
    return "L" if grey else "RGB"


def upright_planes(
    colour: np.ndarray, alpha: np.ndarray | None, orientation: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Upright RGB ``(H, W, 3)`` and alpha from stored colour ``(H, W, 1 or 3)`` and alpha."""
    height, width = colour.shape[:2]
    shape = (width, height) if orientation >= 5 else (height, width)
    pixels = np.empty((*shape, 3), colour.dtype)
    stored = as_stored(pixels, orientation)
    for rows in bands(height, width):
        stored[rows] = colour[rows]
    if alpha is not None:
        turned = np.empty(shape, alpha.dtype)
        as_stored(turned, orientation)[:] = alpha
        alpha = turned
    return pixels, alpha


def decoded(image: Image.Image, format_name: str, orientation: int) -> Photo:
    """A Pillow image as a Photo without metadata; raises ImageError for unsupported modes."""
    if image.mode not in _LAYOUTS:
        raise ImageError(f"has pixels of an unsupported kind (Pillow mode {image.mode})")
    with unlimited(image.width * image.height):
        image.load()
        pixels, alpha = _image_planes(image, orientation)
    layout = _LAYOUTS[image.mode]
    if layout == "bilevel" and alpha is not None:
        _log.warning("1 bit became 8 bits, because of the transparency")
        layout = "grey"
    return Photo(pixels, alpha, format_name, layout)
