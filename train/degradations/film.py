"""Film grain, as in scans of negatives, slides and old prints."""

from __future__ import annotations

import cv2
import numpy as np

from models.light import Image
from train.degradations.draws import given_or, log_uniform

SIGMA = (3.0, 25.0)
"""Lowest and highest level that is drawn, in 8-bit steps in middle grey."""
SIZE = (0.3, 1.5)
"""Smallest and largest size that is drawn, in pixels."""
PROFILE = (0.2, 0.7)
"""Smallest and largest profile that is drawn: scans and prints have curves of their own."""
MONOCHROME = 0.5
"""Share of the films whose grain has no colour."""


def film_grain(
    image: Image,
    rng: np.random.Generator,
    *,
    sigma: float,
    size: float,
    colour: float = 0.0,
    profile: float = 0.5,
) -> Image:
    """Grain that is strongest in middle tones, and none in pure black and white.

    Where grains cover the share u of a film at random (the Boolean model of Newson, Delon and
    Galerne, "A stochastic film grain model for resolution-independent rendering", CGF 2017), their
    variance is about u (1 - u). Here u is the value itself, and the grain Gaussian.

    Args:
        sigma: standard deviation in middle grey, in 8-bit steps.
        size: standard deviation of the blur that makes grain of white noise, in pixels.
        colour: share of the variance that differs between the channels, as layers of dye do.
        profile: exponent of 4 u (1 - u) in the deviation; 0.5 is the model's.
    """
    height, width, channels = image.shape
    common = _grain((height, width, 1), rng, size)
    own = _grain((height, width, channels), rng, size)
    grain = np.float32((1 - colour) ** 0.5) * common + np.float32(colour**0.5) * own
    cover = np.clip(image, 0, 1)
    deviation = np.float32(sigma / 255) * (4 * cover * (1 - cover)) ** np.float32(profile)
    return image + deviation * grain


def _grain(shape: tuple[int, int, int], rng: np.random.Generator, size: float) -> Image:
    """White noise of deviation 1, blurred as grain of a size is, and then as strong as before."""
    reach = int(np.ceil(4 * size))  # the blur sees noise beyond the edges too
    height, width, channels = shape
    noise = rng.standard_normal((height + 2 * reach, width + 2 * reach, channels), dtype=np.float32)
    if not reach:
        return noise
    weights = cv2.getGaussianKernel(2 * reach + 1, size, cv2.CV_32F)
    weights = weights / np.linalg.norm(weights)
    blurred = np.asarray(cv2.sepFilter2D(noise, -1, weights, weights), np.float32)
    return blurred.reshape(noise.shape)[reach:-reach, reach:-reach]


def random_film_grain(
    image: Image,
    rng: np.random.Generator,
    *,
    sigma: float | None = None,
    size: float | None = None,
    colour: float | None = None,
) -> Image:
    """Fine or coarse grain, half of it without colour."""
    coloured = rng.random() >= MONOCHROME
    share = rng.random()
    return film_grain(
        image,
        rng,
        sigma=given_or(sigma, log_uniform(rng, *SIGMA)),
        size=given_or(size, log_uniform(rng, *SIZE)),
        colour=given_or(colour, share if coloured else 0.0),
        profile=rng.uniform(*PROFILE),
    )
