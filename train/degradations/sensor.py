"""Camera noise: from the sensor, through its colour mosaic, resized, stored as a JPEG."""

from __future__ import annotations

import cv2
import numpy as np

from models.light import Image, to_linear, to_srgb
from train.degradations.compression import jpeg, stored_quality
from train.degradations.draws import given_or, log_uniform

SHOT = (2e-4, 8e-2)
"""Variance of the noise at light 1, from base sensitivity to beyond the highest."""
GRAIN = (0.5, 2.2)
"""Smallest and largest sensor pixel in pixels of the picture, which may have been resized."""
COMPRESSED = 0.7
"""Share of photographs that have been JPEGs."""
_GREEN = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]], np.float32) / 4
_RED_BLUE = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], np.float32) / 4


def noise_deviation(light: Image, shot: float, read: float) -> Image:
    """Standard deviation of a sensor's noise of variance ``shot * light + read**2``.

    The Poisson-Gaussian model of raw data (Foi et al., "Practical Poissonian-Gaussian noise
    modeling and fitting for single-image raw-data", TIP 2008).

    Args:
        light: linear, at least 0.
    """
    return np.sqrt(np.float32(shot) * light + np.float32(read**2))


def sensor_noise(
    light: Image, rng: np.random.Generator, *, shot: float, read: float, gains: Image
) -> Image:
    """The noise that a sensor with a Bayer mosaic adds to linear light, bilinearly demosaiced.

    In the raw data its deviation is :func:`noise_deviation`. The picture itself is not demosaiced:
    the blur of that is not noise.

    Args:
        light: ``(H, W, 3)``, linear, white balanced, at least 2 pixels a side.
        gains: white balance of each channel.
    """
    raw = np.clip(light, 0, None) / gains
    noise = rng.standard_normal(light.shape, dtype=np.float32)
    noise *= noise_deviation(raw, shot, read) * gains
    row, column = rng.integers(0, 2, 2)
    sites = np.zeros(light.shape, np.float32)
    sites[row::2, column::2, 0] = 1
    sites[1 - row :: 2, 1 - column :: 2, 2] = 1
    sites[..., 1] = 1 - sites[..., 0] - sites[..., 2]
    kernels = (_RED_BLUE, _GREEN, _RED_BLUE)
    planes = [cv2.filter2D((noise * sites)[..., k], -1, kernels[k]) for k in range(3)]
    return np.stack(planes, axis=2)


def camera_noise(
    image: Image,
    rng: np.random.Generator,
    *,
    shot: float,
    read: float,
    grain: float = 1.0,
    gains: Image | float = 1.0,
    vividness: float = 1.0,
    quality: int = 0,
) -> Image:
    """A photograph with realistic camera noise: coarse or fine, coloured, compressed.

    Args:
        shot: variance of the noise at light 1.
        read: standard deviation of the noise without light.
        grain: side of a sensor pixel, in pixels of the picture.
        gains: white balance of each channel.
        vividness: factor on the noise's colour: above 1 as from a camera's colour matrix, below 1
            as from its denoising.
        quality: libjpeg's factor, 0 for no JPEG.
    """
    light = to_linear(image)
    height, width = light.shape[:2]
    size = max(round(width / grain), 2), max(round(height / grain), 2)
    there = _resized(light, size)
    balance = np.full(3, gains, np.float32)
    noise = sensor_noise(there, rng, shot=shot, read=read, gains=balance)
    grey = noise.mean(axis=2, keepdims=True)
    noise = grey + np.float32(vividness) * (noise - grey)
    noisy = to_srgb(light + _resized(noise, (width, height)))
    return jpeg(noisy, quality) if quality else noisy


def _resized(image: Image, size: tuple[int, int]) -> Image:
    """At another width and height; area means when shrinking, as cameras do."""
    way = cv2.INTER_AREA if size[0] < image.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=way), np.float32)


def random_camera_noise(
    image: Image,
    rng: np.random.Generator,
    *,
    shot: float | None = None,
    read: float | None = None,
    grain: float | None = None,
    quality: int | None = None,
) -> Image:
    """Noise of any sensitivity in pictures of any scale, seven of ten stored as JPEGs.

    Read noise follows shot noise as in Brooks et al., "Unprocessing images for learned raw
    denoising", CVPR 2019.
    """
    strength = given_or(shot, log_uniform(rng, *SHOT))
    variance = np.exp(2.18 * np.log(max(strength, 1e-12)) + 1.2 + rng.normal(0, 0.5))
    stored = rng.random() < COMPRESSED
    drawn = stored_quality(rng)
    balance = np.exp(rng.uniform(0, 0.8, 3)).astype(np.float32)
    balance[1] = 1
    return camera_noise(
        image,
        rng,
        shot=strength,
        read=given_or(read, float(np.sqrt(variance))),
        grain=given_or(grain, log_uniform(rng, *GRAIN)),
        gains=balance,
        vividness=float(rng.uniform(0.5, 1.5)),
        quality=given_or(quality, drawn if stored else 0),
    )
