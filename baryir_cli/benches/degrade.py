"""Degradations made on the fly, with the same pixels on every machine."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np

from baryir_cli.seeds import seed_of
from models.light import Pixels
from models.wording import numbers


@dataclass(frozen=True)
class Degradation:
    """Degrades clean photographs with Gaussian noise or JPEG compression."""

    noise: float | None = None
    """Standard deviation, on a scale of 0 to 255."""
    jpeg: int | None = None
    """Pillow's quality, 1 to 100, with its default 4:2:0 chroma."""

    def __post_init__(self) -> None:
        if (self.noise is None) == (self.jpeg is None):
            raise ValueError("a degradation is either noise or jpeg")
        if self.noise is not None and not 0 < self.noise <= 255:
            raise ValueError(f"noise {self.noise}: use {numbers(above=0, high=255)}")
        if self.jpeg is not None and not 1 <= self.jpeg <= 100:
            raise ValueError(f"jpeg {self.jpeg}: use {numbers(1, 100, whole=True)}")

    def __str__(self) -> str:
        if self.jpeg is not None:
            return f"JPEG quality {self.jpeg}, made by Pillow"
        return f"Gaussian noise, sigma {self.noise:g}, seeded by the name"

    @property
    def short(self) -> str:
        """Short form for labels of sets."""
        return f"JPEG {self.jpeg}" if self.noise is None else f"sigma {self.noise:g}"

    def __call__(self, clean: Pixels, name: str) -> Pixels:
        """Degrades a photograph. ``name`` (of its file, without suffix) seeds the noise."""
        if self.noise is not None:
            return noisy(clean, self.noise, name)
        assert self.jpeg is not None  # noqa: S101 (checked at construction)
        return compressed(clean, self.jpeg)


def noisy(clean: Pixels, sigma: float, name: str) -> Pixels:
    """``clip(round(clean + n))`` as uint8, n normal of standard deviation ``sigma``.

    n is drawn from ``numpy.random.default_rng([crc32(name), round(sigma)])``, with the channels
    R, G, B of a pixel in sequence. The case of ``name`` does not matter.
    """
    rng = np.random.default_rng([seed_of(name.lower()), round(sigma)])
    values = clean + rng.normal(0, sigma, clean.shape)
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def compressed(clean: Pixels, quality: int) -> Pixels:
    """Compresses to JPEG and decodes again."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(clean).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as image:
        return np.asarray(image.convert("RGB"))
