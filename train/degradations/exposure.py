"""Low light: too little exposure, and the noise that it uncovers."""

from __future__ import annotations

import numpy as np

from models.light import Image, to_linear, to_srgb
from train.degradations.light import given_or


def low_light(
    image: Image,
    rng: np.random.Generator,
    *,
    exposure: float,
    gamma: float = 1.0,
    gain: Image | float = 1.0,
    shot: float = 0.0,
    read: float = 0.0,
) -> Image:
    """An underexposed photograph: light to the power of gamma, scaled, cast, with noise.

    The noise has the variance ``shot * light + read**2`` (the Poisson-Gaussian model of raw data,
    Foi et al., TIP 2008); power and scale are those of Lv et al., "Attention guided low-light
    image enhancement", IJCV 2021.

    Args:
        exposure: factor on linear light, below 1.
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
    return to_srgb(light + noise * np.sqrt(np.float32(shot) * light + np.float32(read**2)))


def random_low_light(
    image: Image,
    rng: np.random.Generator,
    *,
    stops: float | None = None,
    gamma: float = 1.0,
    cast: float | None = None,
    shot: float | None = None,
    read: float | None = None,
) -> Image:
    """One to seven stops under, a mild cast, noise of a small sensor.

    Args:
        stops: of underexposure; the factor is ``2**-stops``.
        cast: standard deviation of the channels' log gains.
    """
    return low_light(
        image,
        rng,
        exposure=2 ** -given_or(stops, rng.uniform(1, 7)),
        gamma=gamma,
        gain=np.exp(rng.normal(0, given_or(cast, 0.06), 3)).astype(np.float32),
        shot=given_or(shot, np.exp(rng.uniform(np.log(1e-5), np.log(3e-4)))),
        read=given_or(read, np.exp(rng.uniform(np.log(1e-4), np.log(1e-3)))),
    )
