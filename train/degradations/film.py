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
    common = rng.standard_normal((*image.shape[:2], 1), dtype=np.float32)
    own = rng.standard_normal(image.shape, dtype=np.float32)
    grain = np.float32((1 - colour) ** 0.5) * common + np.float32(colour**0.5) * own
    if size > 0:
        grain = np.asarray(cv2.GaussianBlur(grain, (0, 0), size), np.float32).reshape(image.shape)
        grain *= np.float32(_strengthening(size))
    cover = np.clip(image, 0, 1)
    return (
        image + np.float32(sigma / 255) * (4 * cover * (1 - cover)) ** np.float32(profile) * grain
    )


def _strengthening(size: float) -> float:
    """What gives white noise its deviation back after the blur."""
    weights = cv2.getGaussianKernel(2 * int(np.ceil(4 * size)) + 1, size)
    return float(1 / np.square(weights).sum())


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
