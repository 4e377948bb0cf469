"""Gaussian noise, the field's standard benchmark of denoising."""

from __future__ import annotations

import numpy as np

from models.light import Image
from train.degradations.draws import given_or

SIGMA = (15.0, 50.0)
"""Lowest and highest level of the paper's benchmarks."""


def gaussian_noise(image: Image, rng: np.random.Generator, sigma: float) -> Image:
    """Additive white Gaussian noise; ``sigma`` is in 8-bit steps, as the field counts it."""
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    return image + noise * np.float32(sigma / 255)


def random_noise(image: Image, rng: np.random.Generator, *, sigma: float | None = None) -> Image:
    """Gaussian noise of 15 to 50."""
    return gaussian_noise(image, rng, given_or(sigma, rng.uniform(*SIGMA)))
