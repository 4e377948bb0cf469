"""Lays flat parts over patches: mounts, slanted scans, round pictures, clipped skies, signs.

A network that has seen none takes what is clean in one place for a sign that all of it is clean.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from train.degradations import Image, floating, quantise
from train.parts import Pair

Shape = Callable[[Image, Image], Image]
"""Distances from a flat part at places of a scene, below 0 inside it. Right and down, and the
distances, are in sides of the scene."""

EXTREME = 0.8
"""Share of the flat parts that are black or white, or nearly so."""
GRAINY, GRAIN = 0.3, 1.5
"""Share of the flat parts with grain, and its greatest deviation in 8-bit steps."""


def surround(pair: Pair, rng: np.random.Generator) -> Pair:
    """A pair with the same flat part in its patch and in its scene, degraded and as target."""
    shape = _shape(rng)
    black_or_white = float(rng.random() < 0.5) + rng.normal(0, 0.02, 3)
    drawn = black_or_white if rng.random() < EXTREME else rng.uniform(0, 1, 3)
    colour: Image = drawn.clip(0, 1).astype(np.float32)
    grain = rng.uniform(0, GRAIN / 255) if rng.random() < GRAINY else 0.0
    softness = rng.uniform(1, 3)

    def covering(side: int, place: tuple[float, float, float, float]) -> Image:
        """How much the part covers each of ``side**2`` pixels, ``(side, side, 1)``."""
        top, left, bottom, right = place
        centres: Image = ((np.arange(side) + 0.5) / max(side, 1)).astype(np.float32)
        down, across = top + (bottom - top) * centres, left + (right - left) * centres
        distance = shape(across[None, :], down[:, None]) * side / (bottom - top)
        return np.clip(0.5 - distance / softness, 0, 1)[..., None].astype(np.float32)

    patch = covering(len(pair.degraded), pair.place)
    grainy = colour + rng.normal(0, grain, pair.degraded.shape).astype(np.float32)
    scene = covering(len(pair.scene), (0, 0, 1, 1))
    return Pair(
        quantise(_under(floating(pair.degraded), patch, grainy)),
        quantise(_under(floating(pair.target), patch, grainy)),
        _under(pair.scene, scene, colour * 255),
        _under(pair.scene_target, scene, colour * 255),
        pair.place,
    )


def _under(image: Image, covering: Image, colour: Image) -> Image:
    return (1 - covering) * image + covering * colour


def _shape(rng: np.random.Generator) -> Shape:
    kinds = (_around_a_rectangle, _around_an_ellipse, _sky)
    kind = kinds[int(rng.choice(len(kinds), p=(0.5, 0.25, 0.25)))]
    return kind(rng)


def _around_a_rectangle(rng: np.random.Generator) -> Shape:
    """What lies around a photograph that may be turned a little; a quarter are signs within it."""
    is_sign = rng.random() < 0.25
    slant = np.radians(rng.normal(0, 4) if rng.random() < 0.7 else rng.uniform(-45, 45))
    half = rng.uniform(0.1, 0.4, 2) if is_sign else rng.uniform(0.25, 0.55, 2)
    middle = rng.uniform(0.2, 0.8, 2) if is_sign else rng.uniform(0.35, 0.65, 2)

    def distance(across: Image, down: Image) -> Image:
        x, y = across - middle[0], down - middle[1]
        along = np.abs(x * np.cos(slant) + y * np.sin(slant)) - half[0]
        beyond = np.maximum(along, np.abs(y * np.cos(slant) - x * np.sin(slant)) - half[1])
        return beyond if is_sign else -beyond

    return distance


def _around_an_ellipse(rng: np.random.Generator) -> Shape:
    """What lies around a round picture; a quarter are round things within one."""
    is_thing = rng.random() < 0.25
    axes = rng.uniform(0.1, 0.4, 2) if is_thing else rng.uniform(0.3, 0.6, 2)
    middle = rng.uniform(0.2, 0.8, 2) if is_thing else rng.uniform(0.35, 0.65, 2)

    def distance(across: Image, down: Image) -> Image:
        radius = np.hypot((across - middle[0]) / axes[0], (down - middle[1]) / axes[1])
        beyond = (radius - 1) * axes.min()
        return beyond if is_thing else -beyond

    return distance


def _sky(rng: np.random.Generator) -> Shape:
    """What lies above a skyline."""
    height = rng.uniform(0.05, 0.7)
    waves = np.array([1, 2, 4, 8, 16], np.float32)
    size, phase = rng.normal(0, 0.1, len(waves)) / waves, rng.uniform(0, 2 * np.pi, len(waves))

    def distance(across: Image, down: Image) -> Image:
        turns = 2 * np.pi * waves * across[..., None] + phase
        return down - height - (size * np.sin(turns)).sum(-1)

    return distance
