"""Mends what the network left of noise, band by band, so that memory stays small."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from baryir_cli.bands import bands
from baryir_cli.engine.corrector import mirrored
from baryir_cli.engine.pixels import Pixels, image_of, pixels_of
from models.finish import STEP, Finish

LEAST = 2 / 255
"""Standard deviation of the noise below which a photograph stays as it is. Clean ones and those
with rain are below."""


def finish(restored: Pixels, mend: Finish, noise: float, device: torch.device) -> None:
    """Mends a result in place.

    Args:
        noise: standard deviation of the noise that was in the photograph, in [0, 1].
    """
    is_wide = restored.shape[1] > restored.shape[0]

    def turned(pixels: Pixels) -> Pixels:
        # Bands across the longer side read the least twice; the tables are of what is upright.
        return pixels.swapaxes(0, 1) if is_wide else pixels

    image = turned(restored)
    waiting: tuple[slice, Pixels] | None = None
    for rows, around in _bands(image):
        mended = pixels_of(mend(image_of(turned(around), device), noise), image.dtype)
        # Written later, because the next band reads the last rows of this one.
        if waiting is not None:
            image[waiting[0]] = waiting[1]
        waiting = rows, turned(mended)[: rows.stop - rows.start, : image.shape[1]]
    if waiting is not None:
        image[waiting[0]] = waiting[1]


def _bands(image: Pixels) -> Iterator[tuple[slice, Pixels]]:
    """Rows of an image, and these with ``STEP`` more all around, mirrored; whole steps."""
    cpu = torch.device("cpu")
    tall, wide = (
        mirrored(length, STEP, STEP + -length % STEP, cpu).numpy() for length in image.shape[:2]
    )
    # What is mirrored behind the last band is of that one and of the one before, still unmended.
    for rows in bands(len(image), image.shape[1], 2 * STEP):
        whole = -(-rows.stop // STEP) * STEP
        yield rows, image[np.ix_(tall[rows.start : whole + 2 * STEP], wide)]
