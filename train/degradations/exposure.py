"""Low light: underexposure and the noise that it reveals."""

from __future__ import annotations

import cv2
import numpy as np

from models.light import Image, to_linear, to_srgb
from train.degradations.draws import given_or, log_uniform
from train.degradations.sensor import SHOT, noise_deviation, random_camera_noise

NIGHT = (1, 5)
"""Stops of underexposure at which a picture shows its camera's noise but is not yet black."""
BACKLIT = 0.5
"""Share of dark photographs with bright parts."""
BLURRED_SIDE = 512
"""Longest side at which bright parts are looked for."""


def low_light(
    image: Image,
    rng: np.random.Generator,
    *,
    exposure: Image | float,
    gamma: float = 1.0,
    gain: Image | float = 1.0,
    shot: float = 0.0,
    read: float = 0.0,
) -> Image:
    """An underexposed photograph: light to the power of gamma, scaled, with a cast and noise.

    The noise is a sensor's (:func:`train.degradations.sensor.noise_deviation`); power and scale
    follow Lv et al., "Attention guided low-light image enhancement", IJCV 2021.

    Args:
        exposure: factor on linear light, at most 1: a number, or one per pixel, ``(H, W, 1)``.
        gamma: exponent on linear light; above 1, shadows become deeper.
        gain: factor on each channel, the colour cast.
        shot: variance of the noise at light 1.
        read: standard deviation of the noise without light.
    """
    light = to_linear(image)
    if gamma != 1:
        light = np.maximum(light, 0) ** np.float32(gamma)
    light = light * np.asarray(gain, np.float32) * np.float32(exposure)
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    return to_srgb(light + noise * noise_deviation(light, shot, read))


def backlit_depth(image: Image, blur: float, share: float, softness: float) -> Image:
    """How much each pixel of a backlit photograph darkens, ``(H, W, 1)`` in [0, 1].

    People in front of a window, a street with its lamps: bright parts stay, the rest is dark. A
    soft threshold on the blurred photograph decides which parts are bright.

    Args:
        blur: sigma of the blur, relative to the longer side.
        share: share of the photograph below the threshold.
        softness: brightness over which the threshold is soft.
    """
    height, width = image.shape[:2]
    bright = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    # A wide blur of a large photograph would take minutes.
    if (scale := BLURRED_SIDE / max(height, width)) < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        bright = cv2.resize(bright, size, interpolation=cv2.INTER_AREA)
    bright = np.asarray(cv2.GaussianBlur(bright, (0, 0), max(bright.shape) * blur), np.float32)
    above = (bright - np.float32(np.quantile(bright, share))) / np.float32(softness)
    depth = 1 / (1 + np.exp(np.clip(above, -30, 30)))
    return np.asarray(cv2.resize(depth, (width, height)), np.float32)[..., None]


def random_low_light(
    image: Image,
    rng: np.random.Generator,
    *,
    stops: float | None = None,
    backlit: bool | None = None,
    gamma: float = 1.0,
    cast: float | None = None,
    shot: float | None = None,
    read: float | None = None,
) -> Image:
    """One to seven stops of underexposure, a mild cast, the noise of a small sensor.

    Args:
        stops: of underexposure; the factor is ``2**-stops``.
        backlit: whether bright parts stay (:func:`backlit_depth`); true in half of the draws.
        cast: standard deviation of the channels' log gains.
    """
    sunk = given_or(stops, rng.uniform(1, 7))
    is_backlit = given_or(backlit, rng.random() < BACKLIT)
    parts = rng.uniform(0.02, 0.1), rng.uniform(0.4, 0.95), rng.uniform(0.04, 0.15)
    return low_light(
        image,
        rng,
        exposure=2 ** (-np.float32(sunk) * (backlit_depth(image, *parts) if is_backlit else 1)),
        gamma=gamma,
        gain=np.exp(rng.normal(0, given_or(cast, 0.06), 3)).astype(np.float32),
        shot=given_or(shot, log_uniform(rng, 1e-5, 3e-4)),
        read=given_or(read, log_uniform(rng, 1e-4, 1e-3)),
    )


def random_night(image: Image, rng: np.random.Generator) -> Image:
    """A dark photograph from a camera: coarse or fine coloured noise, usually a JPEG.

    Brightened to normal, it has as much noise as :func:`random_camera_noise` gives.
    """
    stops = rng.uniform(*NIGHT)
    dark = random_low_light(image, rng, stops=stops, backlit=False, shot=0, read=0)
    shot = log_uniform(rng, *SHOT) * 2**-stops
    return random_camera_noise(dark, rng, shot=shot)
