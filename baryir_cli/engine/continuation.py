"""Continues a photograph where a network must not see what is there: frames, transparency."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from baryir_cli.bands import bands
from baryir_cli.engine.pixels import Pixels


def continued(pixels: Pixels, hidden: NDArray[np.bool_]) -> Pixels:
    """``(H, W, 3)`` whose hidden pixels continue the visible ones, mirrored at their edge.

    Their texture and noise go on, while a flat colour would be taken for a sign that the photograph
    is clean.
    """
    height, width = hidden.shape
    # Every pixel is labelled with the nearest visible one.
    labels = cv2.distanceTransformWithLabels(
        hidden.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )[1]
    nearest = np.zeros(labels.max() + 1, np.int32)
    for band in bands(height, width):
        rows, columns = np.nonzero(~hidden[band])
        rows += band.start
        nearest[labels[rows, columns]] = rows * width + columns
    result, colours, is_hidden = pixels.copy(), pixels.reshape(-1, 3), hidden.ravel()
    for band in bands(height, width):
        rows, columns = np.nonzero(hidden[band])
        rows += band.start
        edge = nearest[labels[rows, columns]]
        down, across = 2 * (edge // width) - rows, 2 * (edge % width) - columns
        inside = (down >= 0) & (down < height) & (across >= 0) & (across < width)
        mirrored = np.where(inside, down * width + across, edge)
        mirrored = np.where(is_hidden[mirrored], edge, mirrored)
        result[rows, columns] = colours[mirrored]
    return result
