"""Blurred patches for a network whose photographs are deconvolved first."""

from __future__ import annotations

import cv2
import numpy as np

from models.deconvolution import deconvolved
from models.light import Image
from models.shake import MAX_RADIUS, MIN_RADIUS, radius
from train import degradations

FOUND = 0.8
"""How often the kernel of a sufficiently wide blur is found."""
COMPRESSED = 0.25
"""Share of blurred photographs that have been JPEGs."""


def random_deblurred(image: Image, rng: np.random.Generator) -> Image:
    """Camera shake from :func:`train.degradations.random_motion_blur`, deconvolved as in use:
    only if :mod:`models.shake` would find it, and with an inexact kernel."""
    blurred, kernel = degradations.random_shake(image, rng)
    if rng.random() < COMPRESSED:
        blurred = degradations.jpeg(blurred, int(rng.integers(75, 98)))
    if not MIN_RADIUS <= radius(kernel) <= MAX_RADIUS or rng.random() >= FOUND:
        return blurred
    return deconvolved(np.clip(blurred, 0, 1), mistaken(kernel, rng))


def mistaken(kernel: Image, rng: np.random.Generator) -> Image:
    """A kernel as an estimate would give it: softer, a little uneven, without its faintest weights
    and shifted by a fraction of a pixel. Modelled on real estimates (docs/training.md)."""
    soft = cv2.GaussianBlur(kernel, (0, 0), rng.uniform(0.25, 0.9))
    uneven = np.exp(rng.normal(0, rng.uniform(0, 0.4), kernel.shape)).astype(np.float32)
    values = np.maximum(soft * uneven - rng.uniform(0, 0.05) * soft.max(), 0)
    down, across = rng.normal(0, 0.3, 2)
    shift = np.array([[1, 0, across], [0, 1, down]], np.float32)
    moved = np.asarray(cv2.warpAffine(values, shift, kernel.shape[::-1]), np.float32)
    return moved / moved.sum()
