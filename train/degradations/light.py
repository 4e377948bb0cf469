"""Pixel values as they are stored, and parameters as they are drawn."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from models.light import Image

T = TypeVar("T")


def quantise(image: Image) -> NDArray[np.uint8]:
    """What a camera would have stored: clipped to [0, 1], rounded to 8 bits."""
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A draw whose logarithm is even between those of two numbers."""
    drawn: float = np.exp(rng.uniform(np.log(low), np.log(high)))
    return drawn


def noise_deviation(light: Image, shot: float, read: float) -> Image:
    """Standard deviation of a sensor's noise, whose variance is ``shot * light + read**2``.

    The Poisson-Gaussian model of raw data (Foi et al., "Practical Poissonian-Gaussian noise
    modeling and fitting for single-image raw-data", TIP 2008).

    Args:
        light: linear, at least 0.
    """
    return np.sqrt(np.float32(shot) * light + np.float32(read**2))


def given_or(given: T | None, drawn: T) -> T:
    """What was asked for, else what was drawn.

    The draw comes first either way, so that one given parameter changes no other.
    """
    return drawn if given is None else given
