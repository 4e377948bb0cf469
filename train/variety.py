"""Varies a photograph's tones, so that a judge learns haze instead of remembering scenes."""

from __future__ import annotations

import numpy as np

from models.light import Pixels
from train import degradations
from train.degradations import Image

UNCHANGED = 0.25
"""Share of the photographs that keep their tone."""
TONED = 0.3
"""Share of the photographs in one colour that are toned, not grey."""
CONTRAST = 0.1
"""Mean log of the contrast factor: today's photographs have more contrast than BSDS."""


def vary_tone(photograph: Pixels, rng: np.random.Generator, amount: float) -> Pixels:
    """A photograph as another camera and editor might have made it.

    Gamma, contrast, black and white points, saturation and white balance are drawn.

    Args:
        amount: of variety; at 1, results still look like photographs.
    """
    if rng.random() < UNCHANGED:
        return photograph
    values = degradations.floating(photograph)
    values **= np.float32(np.exp(rng.normal(0, 0.3 * amount)))
    middle = values.mean()
    values = middle + (values - middle) * np.float32(np.exp(rng.normal(CONTRAST, 0.2) * amount))
    black = rng.uniform(-0.06, 0.06) * amount
    white = 1 + rng.uniform(-0.12, 0.12) * amount
    values = np.float32(black) + np.float32(white - black) * values
    grey = values.mean(2, keepdims=True)
    values = grey + (values - grey) * np.float32(np.exp(rng.normal(0, 0.25 * amount)))
    return degradations.quantise(values * _tint(rng, 0.05 * amount))


def vary_exposure(
    degraded: Pixels, target: Pixels, rng: np.random.Generator, amount: float
) -> tuple[Pixels, Pixels]:
    """A pair with its degraded image exposed a little longer or shorter, both in another tint.

    Args:
        amount: of variety; 1 is a standard deviation of a quarter of a stop.
    """
    light = degradations.to_linear(degradations.floating(degraded))
    exposed = degradations.to_srgb(light * np.float32(2 ** rng.normal(0, 0.25 * amount)))
    tint = _tint(rng, 0.03 * amount)
    after = degradations.floating(target)
    return degradations.quantise(exposed * tint), degradations.quantise(after * tint)


def one_colour(rng: np.random.Generator) -> Image:
    """A filter to black and white, or to the tone of an old print, ``(3, 3)``.

    Pixels are multiplied by it. The weights of the channels are random and mostly favour one, so
    that noise becomes the same in all channels without becoming weaker.
    """
    seen = rng.dirichlet((0.3, 0.3, 0.3))
    shown = np.ones(3)
    if rng.random() < TONED:  # warm
        shown = np.exp(np.sort(rng.normal(0, 0.12, 3))[::-1])
    return np.outer(seen, shown / shown.max()).astype(np.float32)


def _tint(rng: np.random.Generator, deviation: float) -> Image:
    """A random factor for each channel."""
    return np.exp(rng.normal(0, deviation, 3)).astype(np.float32)
