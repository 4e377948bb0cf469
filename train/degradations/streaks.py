"""Rain: layers of streaks between camera and scene, and the veil of distant drops."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np

from models.light import Image
from train.degradations.draws import given_or, log_uniform

SATURATION = 4.0
"""Drops per pixel at which 2 % of the pixels have none; more would only cost memory."""

GUST = 6
"""Pixels between the nodes of a shower's gusts."""
SHOWERS = 0.55
"""Share of rainy photographs with showers; the others have layers of drops."""
SHINING = 0.15
"""Share of rainy photographs to which streaks are added, instead of screened."""
LEAST_ASPECT = 4
"""Least length of a drop's streak, in standard deviations of its width."""
BRIGHTEST = 4.0
"""Limit on a shower's streaks, relative to the brightest hundredth of its pixels."""


def rain_layer(
    shape: tuple[int, int],
    rng: np.random.Generator,
    *,
    angle: float,
    length: float,
    width: float,
    density: float,
    depth: float = 1.0,
) -> Image:
    """Falling drops as an exposure records them: values of a given shape, 0 to 1.2.

    Drops at random places are smeared along their path (the layers behind Rain100: Yang et al.,
    "Deep joint rain detection and removal from a single image", CVPR 2017).

    Args:
        angle: of the fall from the vertical, in degrees; positive leans right.
        length: of a streak, in pixels.
        width: standard deviation across a streak, in pixels.
        density: drops per pixel.
        depth: distance, relative to that at which ``length``, ``width`` and ``density`` hold. By
            perspective, streaks shrink with the distance, and their number per pixel grows with
            its square (Garg and Nayar, "Vision and rain", IJCV 2007, section 5). Streaks too fine
            for the pixels become fainter instead.
    """
    finest = 0.3
    dimming = min(width / depth / finest, 1.0)
    length, width, density = length / depth, max(width / depth, finest), density * depth**2
    kernel = _streak(angle, length, width)
    margin = kernel.shape[0] // 2
    padded = (shape[0] + 2 * margin, shape[1] + 2 * margin)
    drops = np.zeros(padded, np.float32)
    count = rng.poisson(min(density, SATURATION) * padded[0] * padded[1])
    rows, columns = rng.integers(0, padded[0], count), rng.integers(0, padded[1], count)
    drops[rows, columns] = rng.uniform(0.3, 1, count)
    layer = cv2.filter2D(drops, -1, kernel * np.float32(dimming), borderType=cv2.BORDER_CONSTANT)
    # OpenCV filters with a Fourier transform here, which leaves values slightly below 0.
    return np.clip(layer[margin : margin + shape[0], margin : margin + shape[1]], 0, 1.2)


def shower_layer(
    shape: tuple[int, int],
    rng: np.random.Generator,
    *,
    angle: float,
    length: float,
    width: float,
    cover: float,
    fade: float = 0.25,
    gusts: float = 0.0,
    contrast: float = 1.0,
) -> Image:
    """Rain as photo editors make it, and as in Rain100: smeared noise of which the crests are kept.

    Most streaks are faint, few are bright, and they merge. The values, of a given shape, start at
    0; 1 is the brightest hundredth of all pixels (or tenth of the covered ones, if that is less).

    Args:
        angle, length, width: as in :func:`rain_layer`.
        cover: share of the pixels that are covered, at most 0.9.
        fade: share of a streak at either end over which it fades, at most a half.
        gusts: unevenness of the rain: standard deviation of the noise's log amplitude between
            nodes of a grid, :data:`GUST` pixels apart.
        contrast: exponent on the crests; above 1, fewer are bright.
    """
    kernel = _streak(angle, length, width, fade)
    margin = kernel.shape[0] // 2
    rows, columns = shape[0] + 2 * margin, shape[1] + 2 * margin
    noise = rng.standard_normal((rows, columns), dtype=np.float32)
    if gusts:
        coarse = rng.standard_normal((rows // GUST + 1, columns // GUST + 1), dtype=np.float32)
        uneven = cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_LINEAR)
        noise *= np.exp(np.float32(gusts) * uneven)
    drawn = cv2.filter2D(noise, -1, kernel / np.linalg.norm(kernel))
    drawn = drawn[margin : margin + shape[0], margin : margin + shape[1]]
    level, bright = np.quantile(drawn, [1 - cover, 1 - min(0.01, cover / 10)])
    crests = np.maximum(drawn - level, 0) / max(bright - level, 1e-6)
    return np.minimum(crests.astype(np.float32) ** np.float32(contrast), BRIGHTEST)


def _streak(angle: float, length: float, width: float, fade: float = 0.25) -> Image:
    """A streak with peak 1 and faded ends, in the middle of a square of odd size."""
    reach = int(np.ceil(length + 6 * width)) // 2
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    sine, cosine = math.sin(math.radians(angle)), math.cos(math.radians(angle))
    along, across = x * sine + y * cosine, x * cosine - y * sine
    ends = np.clip((length / 2 + 0.5 - np.abs(along)) / max(length * fade, 2 * width, 1), 0, 1)
    return np.asarray(ends * np.exp(-0.5 * (across / width) ** 2), np.float32)


def rain(image: Image, layer: Image, strength: float, *, screen: bool = False) -> Image:
    """A layer of streaks over an image.

    Args:
        layer: ``(H, W)`` from :func:`rain_layer` or :func:`shower_layer`.
        strength: brightness of the streaks, 0 to 1.
        screen: use ``1 - (1 - J)(1 - S)``, which stays in range: drops hardly show in front of
            bright things. Otherwise ``J + S``, as in Rain100.
    """
    streaks = layer[..., None] * np.float32(strength)
    if screen:
        return 1 - (1 - image) * (1 - np.minimum(streaks, 1))
    return image + streaks


def veil(image: Image, share: float, light: float) -> Image:
    """Drops too distant to be seen singly: a uniform fog (Li et al., CVPR 2019).

    Args:
        share: share of the light that comes from the fog, 0 to 1.
        light: the fog's value.
    """
    return image * np.float32(1 - share) + np.float32(share * light)


def random_rain(
    image: Image,
    rng: np.random.Generator,
    *,
    angle: float | None = None,
    length: float | None = None,
    width: float | None = None,
    density: float | None = None,
    strength: float | None = None,
    layers: int | None = None,
    depth: float = 1.0,
    screen: bool | None = None,
    fog: float | None = None,
    cover: float | None = None,
) -> Image:
    """One to three layers with a common wind, added or screened, sometimes with a veil.

    Args:
        depth: of the farthest layer, as in :func:`rain_layer`; the nearest is at 1.
        fog: share of the veil.
        cover: of a :func:`shower_layer`; 0 means layers of drops instead. By default
            :data:`SHOWERS` of them are showers, unless ``density``, ``layers`` or ``depth`` ask for
            drops.
    """
    wind = given_or(angle, rng.normal(0, 18))
    showers, covered = rng.random() < SHOWERS, rng.uniform(0.1, 0.45)
    if density is not None or layers is not None or depth != 1:
        showers = False
    cover = given_or(cover, covered if showers else 0.0)
    alike: dict[str, Any] = {
        "length": length,
        "width": width,
        "strength": strength,
        "screen": screen,
    }
    if cover > 0:
        result = _shower(image, rng, wind, cover, **alike)
    else:
        result = _drops(image, rng, wind, density=density, layers=layers, depth=depth, **alike)
    drawn = rng.uniform(0.05, 0.25) if rng.random() < 0.1 else 0.0
    return veil(result, given_or(fog, drawn), rng.uniform(0.6, 0.9))


def _shower(
    image: Image,
    rng: np.random.Generator,
    wind: float,
    cover: float,
    *,
    length: float | None,
    width: float | None,
    strength: float | None,
    screen: bool | None,
) -> Image:
    """A shower over an image; arguments as in :func:`random_rain`."""
    layer = shower_layer(
        image.shape[:2],
        rng,
        angle=wind,
        length=given_or(length, log_uniform(rng, 20, 140)),
        width=given_or(width, rng.uniform(0.35, 1.0)),
        cover=cover,
        fade=rng.uniform(0.1, 0.5),
        gusts=rng.uniform(0, 0.8),
        contrast=rng.uniform(1, 1.5),
    )
    bright = given_or(strength, log_uniform(rng, 0.08, 0.5))
    return rain(image, layer, bright, screen=given_or(screen, rng.random() >= SHINING))


def _drops(
    image: Image,
    rng: np.random.Generator,
    wind: float,
    *,
    length: float | None,
    width: float | None,
    strength: float | None,
    screen: bool | None,
    density: float | None,
    layers: int | None,
    depth: float,
) -> Image:
    """Layers of single drops over an image; arguments as in :func:`random_rain`."""
    result = image
    screened = given_or(screen, rng.random() >= SHINING)
    count = given_or(layers, int(rng.integers(1, 4)))
    for distance in np.geomspace(1, depth, count) if count > 1 else [1.0]:
        across = given_or(width, log_uniform(rng, 0.4, 2))
        along = given_or(length, max(log_uniform(rng, 5, 60), LEAST_ASPECT * across))
        # About 2.5 standard deviations of a streak's width are seen.
        covering = log_uniform(rng, 0.01, 0.35) / (2.5 * across * along)
        layer = rain_layer(
            image.shape[:2],
            rng,
            angle=wind + rng.normal(0, 3),
            length=along,
            width=across,
            density=given_or(density, covering),
            depth=distance,
        )
        result = rain(result, layer, given_or(strength, rng.uniform(0.1, 0.8)), screen=screened)
    return result
