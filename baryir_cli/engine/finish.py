"""Mends what the network left of noise, strip by strip, so that memory stays small."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from baryir_cli.engine.corrector import mirrored
from baryir_cli.engine.pixels import STRIP, Pixels, image_of, pixels_of
from models.finish import STEP, Finish

LEAST = 2 / 255
"""Standard deviation of the noise below which a photograph stays as it is. Clean ones and those
with rain are below."""


def finish(restored: Pixels, mend: Finish, noise: float, device: torch.device) -> None:
    """Mends a result in place.

    Args:
        noise: standard deviation of the noise that was in the photograph, in [0, 1].
    """
    if restored.shape[1] > restored.shape[0]:
        restored = restored.swapaxes(0, 1)
    waiting: tuple[slice, Pixels] | None = None
    for rows, around in _strips(restored):
        result = pixels_of(mend(image_of(around, device), noise), restored.dtype)
        # Written later, because the next strip reads the last rows of this one.
        if waiting is not None:
            restored[waiting[0]] = waiting[1]
        waiting = rows, result[: rows.stop - rows.start, : restored.shape[1]]
    if waiting is not None:
        restored[waiting[0]] = waiting[1]


def _strips(image: Pixels) -> Iterator[tuple[slice, Pixels]]:
    """Rows of an image, and these with ``STEP`` more all around, mirrored; whole steps."""
    cpu = torch.device("cpu")
    tall, wide = (
        mirrored(length, STEP, STEP + -length % STEP, cpu).numpy() for length in image.shape[:2]
    )
    for top in range(0, image.shape[0], STRIP):
        rows = slice(top, min(top + STRIP, image.shape[0]))
        yield rows, image[np.ix_(tall[top : top + STRIP + 2 * STEP], wide)]
