"""Synthetic degradations with physical parameters.

Every function takes an RGB image, float32 ``(H, W, 3)`` sRGB values in [0, 1], and a
``numpy.random.Generator``, and returns a new one of the same kind: the same generator state gives
the same pixels. Each ``random_*`` draws its parameters as the training sources do.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]


def to_linear(image: Image) -> Image:
    """sRGB values to linear light (IEC 61966-2-1)."""
    return np.where(
        image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** np.float32(2.4)
    ).astype(np.float32)


def to_srgb(image: Image) -> Image:
    """Linear light to sRGB values, clipped to [0, 1] (IEC 61966-2-1)."""
    image = np.clip(image, 0, 1)
    curve = 1.055 * image ** np.float32(1 / 2.4) - 0.055
    return np.where(image <= 0.0031308, image * 12.92, curve).astype(np.float32)


def gaussian_noise(image: Image, rng: np.random.Generator, sigma: float) -> Image:
    """Additive white Gaussian noise; ``sigma`` is in 8-bit steps, as the field counts it."""
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    return image + noise * np.float32(sigma / 255)


def rain_layer(
    shape: tuple[int, int],
    rng: np.random.Generator,
    *,
    angle: float,
    length: float,
    width: float,
    density: float,
) -> Image:
    """Falling drops as the open shutter draws them: ``shape`` of values from 0 up to about 1.

    Drops at random places are smeared along their path (the model behind Rain100, Yang et al.
    2017).

    Args:
        angle: of the streaks against the vertical, in degrees.
        length: of a streak, in pixels.
        width: standard deviation across a streak, in pixels.
        density: drops a pixel.
    """
    size = int(np.ceil(length + 6 * width)) | 1
    offsets = (np.arange(size, dtype=np.float32) - size // 2)[None]
    x, y = offsets, offsets.T
    radians = np.deg2rad(angle)
    along = x * np.sin(radians) + y * np.cos(radians)
    across = x * np.cos(radians) - y * np.sin(radians)
    profile = np.clip((length / 2 + 0.5 - np.abs(along)) / max(length / 4, 1), 0, 1)
    kernel = profile * np.exp(-0.5 * (across / width) ** 2)
    padded = (shape[0] + size - 1, shape[1] + size - 1)
    drops = np.zeros(padded, np.float32)
    count = rng.poisson(density * padded[0] * padded[1])
    rows, columns = rng.integers(0, padded[0], count), rng.integers(0, padded[1], count)
    drops[rows, columns] = rng.uniform(0.3, 1, count)
    layer = cv2.filter2D(drops, -1, kernel.astype(np.float32), borderType=cv2.BORDER_CONSTANT)
    margin = size // 2
    # OpenCV filters by Fourier transform here, which leaves values just below 0.
    return np.clip(layer[margin : margin + shape[0], margin : margin + shape[1]], 0, 1.2)


def random_rain(image: Image, rng: np.random.Generator) -> Image:
    """One to three streak layers of one wind, added or screened, sometimes behind a veil."""
    result = image
    wind = rng.normal(0, 18)
    heavy = rng.random() < 0.15
    for _ in range(rng.integers(2, 4) if heavy else rng.integers(1, 3)):
        layer = rain_layer(
            image.shape[:2],
            rng,
            angle=wind + rng.normal(0, 3),
            length=np.exp(rng.uniform(np.log(8), np.log(60))),
            width=rng.uniform(0.4, 1.3),
            density=np.exp(rng.uniform(np.log(3e-4), np.log(8e-3))) * (2 if heavy else 1),
        )
        streaks = layer[..., None] * np.float32(rng.uniform(0.15, 0.85))
        if rng.random() < 0.7:
            result = result + streaks
        else:
            result = 1 - (1 - result) * (1 - np.minimum(streaks, 1))
    if rng.random() < 0.1:
        veil = np.float32(rng.uniform(0.05, 0.25))
        result = result * (1 - veil) + veil * np.float32(rng.uniform(0.6, 0.9))
    return result


def depth_field(shape: tuple[int, int], rng: np.random.Generator) -> Image:
    """A smooth scene depth, ``shape`` of values in about [0.1, 1.2], farther towards the top.

    A ground plane and coarse noise, seen through a window of a random part of the scene.
    """
    window = rng.uniform(0.15, 1)
    top = rng.uniform(0, 1 - window)
    plane = np.linspace(1 - top, 1 - top - window, shape[0], dtype=np.float32)[:, None]
    cells = 2 + int(5 * window)
    coarse = rng.random((cells, cells), dtype=np.float32)
    relief = cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    share = np.float32(rng.uniform(0.3, 1))
    return np.clip(0.15 + share * plane + (1 - share) * relief + 0.2 * (relief - 0.5), 0.05, 1.3)


def haze(image: Image, depth: Image, beta: float, airlight: Image | float) -> Image:
    """The scattering model I = J t + A (1 - t), t = exp(-beta d) (Koschmieder).

    Args:
        depth: ``(H, W)`` distances d.
        beta: scattering coefficient, per unit of depth.
        airlight: A, a number or three, in [0, 1].
    """
    transmission = np.exp(-np.float32(beta) * depth)[..., None]
    return image * transmission + np.asarray(airlight, np.float32) * (1 - transmission)


def random_haze(image: Image, rng: np.random.Generator) -> Image:
    """Haze of random density over a random depth field, its airlight nearly grey."""
    airlight = np.clip(rng.uniform(0.7, 1.0) + rng.normal(0, 0.015, 3), 0, 1).astype(np.float32)
    depth = depth_field(image.shape[:2], rng)
    if rng.random() < 0.5:
        depth = follow_edges(depth, image, rng)
    return haze(image, depth, rng.uniform(0.4, 2.4), airlight)


def follow_edges(depth: Image, image: Image, rng: np.random.Generator) -> Image:
    """A depth that steps where the picture does, as things stand before each other.

    Each of the picture's large areas of one colour moves nearer or farther by up to a half.
    """
    height, width = depth.shape
    small = np.asarray(cv2.resize(image, (max(width // 4, 1), max(height // 4, 1))), np.float32)
    colours = np.asarray(cv2.medianBlur(quantise(small), 5), np.float32) / np.float32(255)
    axis = rng.standard_normal(3).astype(np.float32)
    shade = colours @ (axis / np.linalg.norm(axis))
    steps = np.sin(shade * np.float32(rng.uniform(3, 10)) + np.float32(rng.uniform(0, 6.3)))
    steps = np.asarray(cv2.resize(steps, (width, height)), np.float32)
    return np.clip(depth * (1 + np.float32(0.5) * steps), 0.05, 1.5)


def shake_kernel(rng: np.random.Generator, extent: float) -> Image:
    """The path of a shaken camera as a blur kernel of sum 1.

    A random walk with momentum, scaled to ``extent`` pixels across and drawn with sub-pixel
    weights (after the trajectories of Boracchi and Foi 2012).
    """
    steps = 96
    momentum = rng.uniform(0.7, 0.97)
    pushes = rng.standard_normal((steps, 2)).astype(np.float32)
    velocity = rng.standard_normal(2).astype(np.float32)
    path = np.empty((steps, 2), np.float32)
    position = np.zeros(2, np.float32)
    for i in range(steps):
        velocity = momentum * velocity + (1 - momentum) * 2 * pushes[i]
        position = position + velocity
        path[i] = position
    path -= (path.max(0) + path.min(0)) / 2
    path *= extent / max(float(np.ptp(path, axis=0).max()), 1e-3)
    size = int(np.ceil(extent)) + 5 | 1
    kernel = np.zeros((size, size), np.float32)
    path += size // 2
    corner = np.floor(path).astype(int)
    part = path - corner
    for dy in (0, 1):
        for dx in (0, 1):
            weight = np.abs(1 - dy - part[:, 0]) * np.abs(1 - dx - part[:, 1])
            np.add.at(kernel, (corner[:, 0] + dy, corner[:, 1] + dx), weight)
    kernel = np.asarray(cv2.GaussianBlur(kernel, (3, 3), 0.5), np.float32)
    return kernel / kernel.sum()


def motion_blur(image: Image, kernel: Image) -> Image:
    """Camera shake: linear light convolved with ``kernel``, borders mirrored."""
    light = cv2.filter2D(to_linear(image), -1, kernel, borderType=cv2.BORDER_REFLECT_101)
    return to_srgb(np.asarray(light, np.float32))


def random_motion_blur(image: Image, rng: np.random.Generator) -> Image:
    """Camera shake of 3 to 26 pixels, half of it below 9, and a little sensor noise."""
    extent = np.exp(rng.uniform(np.log(3), np.log(26)))
    blurred = motion_blur(image, shake_kernel(rng, extent))
    return gaussian_noise(blurred, rng, rng.uniform(0, 2))


def low_light(
    image: Image,
    rng: np.random.Generator,
    *,
    exposure: float,
    gain: Image | float = 1.0,
    shot: float = 0.0,
    read: float = 0.0,
) -> Image:
    """An underexposed photograph: scaled linear light, shot and read noise, colour cast.

    Args:
        exposure: factor on linear light, below 1.
        gain: of each channel, the cast.
        shot: variance of the noise for light 1 (Poisson-Gaussian model, Foi et al. 2008).
        read: standard deviation of the noise without light.
    """
    light = to_linear(image) * np.asarray(gain, np.float32) * np.float32(exposure)
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    return to_srgb(light + noise * np.sqrt(shot * light + read**2, dtype=np.float32))


def random_low_light(image: Image, rng: np.random.Generator) -> Image:
    """Two to seven stops under, a mild cast, noise of a small sensor."""
    return low_light(
        image,
        rng,
        exposure=2 ** rng.uniform(-7, -2),
        gain=np.exp(rng.normal(0, 0.06, 3)),
        shot=np.exp(rng.uniform(np.log(1e-5), np.log(3e-4))),
        read=np.exp(rng.uniform(np.log(1e-4), np.log(1e-3))),
    )


def quantise(image: Image) -> NDArray[np.uint8]:
    """What a camera would have stored: clipped to [0, 1], rounded to 8 bits."""
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
