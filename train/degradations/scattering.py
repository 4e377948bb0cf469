"""Haze: light scattered out of and into the line of sight, depending on depth."""

from __future__ import annotations

import cv2
import numpy as np

from models.light import Image, floating, quantise
from train.degradations.draws import given_or

METERED = 0.4
"""Share of hazy photographs that are exposed for the haze."""
LEAST_METERED = 0.6
"""Smallest factor on the values of such a photograph."""


def haze(image: Image, depth: Image, beta: float, airlight: Image | float) -> Image:
    """The scattering model I = J t + A (1 - t), t = exp(-beta d) (Koschmieder 1924).

    Applied to sRGB values, as in RESIDE (Li et al., TIP 2019).

    Args:
        depth: ``(H, W)`` distances d.
        beta: scattering coefficient, per unit of depth.
        airlight: A, one number or three, in [0, 1].
    """
    transmission = np.exp(-np.float32(beta) * depth)[..., None]
    return image * transmission + np.asarray(airlight, np.float32) * (1 - transmission)


def depth_field(
    shape: tuple[int, int],
    rng: np.random.Generator,
    *,
    window: float | None = None,
    relief: float | None = None,
) -> Image:
    """A smooth scene depth of a given shape, values in [0.05, 1.4], farther towards the top.

    A ground plane plus coarse noise, seen through a window on a random part of the scene.

    Args:
        window: the part's height, 1 for the whole scene; by default 0.5 to 1, since a narrower
            part does not show how much haze there is.
        relief: share of the noise, the rest is the plane; by default 0 to 0.6, mostly small. A
            large share trains well, but looks like drifting fog in a whole scene.
    """
    window = given_or(window, rng.uniform(0.5, 1))
    top = rng.uniform(0, 1 - window)
    plane = np.linspace(1 - top, 1 - top - window, shape[0], dtype=np.float32)[:, None]
    cells = 2 + int(5 * window)
    coarse = rng.random((cells, cells), dtype=np.float32)
    noise = cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    share = np.float32(given_or(relief, 0.6 * rng.uniform() ** 2))
    # Even the nearest things are hazy if the photograph begins some way off.
    nearest = np.float32(rng.uniform(-0.05, 0.25))
    return np.clip(nearest + (1 - share) * plane + (share + 0.2) * noise, 0.05, 1.4)


def follow_edges(depth: Image, image: Image, rng: np.random.Generator) -> Image:
    """A depth with steps where the picture has edges, as objects occlude each other.

    Every large area of one colour moves nearer or farther by up to a half.
    """
    height, width = depth.shape
    small = np.asarray(cv2.resize(image, (max(width // 4, 1), max(height // 4, 1))), np.float32)
    colours = floating(np.asarray(cv2.medianBlur(quantise(small), 5), np.uint8))
    axis = rng.standard_normal(3).astype(np.float32)
    shade = colours @ (axis / np.linalg.norm(axis))
    steps = np.sin(shade * np.float32(rng.uniform(3, 10)) + np.float32(rng.uniform(0, 6.3)))
    steps = np.asarray(cv2.resize(steps, (width, height)), np.float32)
    return np.clip(depth * (1 + np.float32(0.5) * steps), 0.05, 1.5)


def random_haze(
    image: Image,
    rng: np.random.Generator,
    *,
    beta: float | None = None,
    airlight: float | None = None,
    exposure: float | None = None,
    window: float | None = None,
    relief: float | None = None,
) -> Image:
    """Haze of random density over a random depth field, with a nearly grey airlight.

    Haze is bright, and many cameras expose less for it. Then objects in it are darker than in the
    clear photograph, and the haze itself is a middle grey.

    Args:
        exposure: factor on all values of the hazy photograph.
        window, relief: as in :func:`depth_field`.
    """
    bright = given_or(airlight, rng.uniform(0.7, 1.0))
    colour = np.clip(bright + rng.normal(0, 0.015, 3), 0, 1).astype(np.float32)
    depth = depth_field(image.shape[:2], rng, window=window, relief=relief)
    if rng.random() < 0.25:
        depth = follow_edges(depth, image, rng)
    hazy = haze(image, depth, given_or(beta, rng.uniform(0.2, 2.1)), colour)
    return hazy * np.float32(given_or(exposure, _metered(hazy.mean(), image.mean(), rng)))


def _metered(hazy: float, clear: float, rng: np.random.Generator) -> float:
    """The exposure factor of a hazy photograph, from its mean value and that without haze."""
    share = rng.uniform() if rng.random() < METERED else 0.0
    if hazy <= clear:
        return 1.0
    return max((clear / hazy) ** share, LEAST_METERED)
