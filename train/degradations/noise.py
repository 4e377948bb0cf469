"""Gaussian noise, the standard benchmark of denoising."""

from __future__ import annotations

import numpy as np

from models.light import Image
from train.degradations.draws import given_or

SIGMA = (15.0, 50.0)
"""Lowest and highest level in the paper's benchmarks."""


def gaussian_noise(image: Image, rng: np.random.Generator, sigma: float) -> Image:
    """Additive white Gaussian noise; ``sigma`` is in 8-bit steps, as usual."""
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    return image + noise * np.float32(sigma / 255)


def random_noise(image: Image, rng: np.random.Generator, *, sigma: float | None = None) -> Image:
    """Gaussian noise of sigma 15 to 50."""
    return gaussian_noise(image, rng, given_or(sigma, rng.uniform(*SIGMA)))
