"""Low light: too little exposure, and the noise that it uncovers."""

from __future__ import annotations

import cv2
import numpy as np

from models.light import Image, to_linear, to_srgb
from train.degradations.draws import given_or, log_uniform
from train.degradations.sensor import SHOT, noise_deviation, random_camera_noise

NIGHT = (1, 5)
"""Stops of underexposure under which a picture shows its camera's noise, and still something."""
BACKLIT = 0.5
"""Share of dark photographs that have bright parts."""


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
    """An underexposed photograph: light to the power of gamma, scaled, cast, with noise.

    The noise is a sensor's (:func:`train.degradations.sensor.noise_deviation`); power and scale are
    those of Lv et al., "Attention guided low-light image enhancement", IJCV 2021.

    Args:
        exposure: factor on linear light, at most 1: a number, or ``(H, W, 1)``, one of each pixel.
        gamma: exponent on linear light; above 1 the shadows sink deeper.
        gain: of each channel, the colour cast.
        shot: variance of the noise for light 1.
        read: standard deviation of the noise without light.
    """
    light = to_linear(image)
    if gamma != 1:
        light = np.maximum(light, 0) ** np.float32(gamma)
    light = light * np.asarray(gain, np.float32) * np.float32(exposure)
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    return to_srgb(light + noise * noise_deviation(light, shot, read))


def backlit_depth(image: Image, rng: np.random.Generator) -> Image:
    """How far each pixel of a backlit photograph sinks, ``(H, W, 1)`` of values in [0, 1].

    People before a window, a street with its lamps: what is bright stays as it is, the rest is
    dark. What is bright is told from the photograph blurred, by a soft threshold.
    """
    bright = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.float32)
    width = max(image.shape[:2]) * rng.uniform(0.02, 0.1)
    bright = np.asarray(cv2.GaussianBlur(bright, (0, 0), width), np.float32)
    threshold = np.quantile(bright, rng.uniform(0.4, 0.95))
    above = (bright - np.float32(threshold)) / np.float32(rng.uniform(0.04, 0.15))
    return 1 / (1 + np.exp(np.clip(above, -30, 30)))[..., None]


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
    """One to seven stops under, a mild cast, noise of a small sensor.

    Args:
        stops: of underexposure; the factor is ``2**-stops``.
        backlit: whether bright parts stay as they are (:func:`backlit_depth`); in half of the
            draws.
        cast: standard deviation of the channels' log gains.
    """
    sunk = given_or(stops, rng.uniform(1, 7))
    is_backlit = given_or(backlit, rng.random() < BACKLIT)
    return low_light(
        image,
        rng,
        exposure=2 ** (-np.float32(sunk) * (backlit_depth(image, rng) if is_backlit else 1)),
        gamma=gamma,
        gain=np.exp(rng.normal(0, given_or(cast, 0.06), 3)).astype(np.float32),
        shot=given_or(shot, log_uniform(rng, 1e-5, 3e-4)),
        read=given_or(read, log_uniform(rng, 1e-4, 1e-3)),
    )


def random_night(image: Image, rng: np.random.Generator) -> Image:
    """A dark photograph as cameras make it: coarse or fine noise, coloured, most often a JPEG.

    Made as bright as it should be, it has as much noise as :func:`random_camera_noise` gives.
    """
    stops = rng.uniform(*NIGHT)
    dark = random_low_light(image, rng, stops=stops, backlit=False, shot=0, read=0)
    shot = log_uniform(rng, *SHOT) * 2**-stops
    return random_camera_noise(dark, rng, shot=shot)
