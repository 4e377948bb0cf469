"""Continues a photograph where a network must not see what is there: frames, transparency."""

from __future__ import annotations

import math
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from baryir_cli.bands import bands
from baryir_cli.engine.pixels import Mask, Pixels

SEARCHED = 1 << 24
"""Pixels among which the nearest visible one is searched for; larger images are shrunk for that."""


def continued(pixels: Pixels, hidden: Mask) -> Pixels:
    """``(H, W, 3)`` whose hidden pixels continue the visible ones, mirrored at their edge.

    Their texture and noise go on, while a flat colour would be taken for a sign that the photograph
    is clean. Above :data:`SEARCHED` pixels, up to twice a cell's side may be left out at the edge.
    """
    height, width = hidden.shape
    labels, cells, side = _nearest(hidden)
    result = pixels.copy()
    for band in bands(height, width):
        rows, columns = np.nonzero(hidden[band])
        rows += band.start
        tops, lefts = np.divmod(cells[labels[rows // side, columns // side]], labels.shape[1])
        edge_rows = rows.clip(side * tops, side * tops + side - 1)
        edge_columns = columns.clip(side * lefts, side * lefts + side - 1)
        down, across = 2 * edge_rows - rows, 2 * edge_columns - columns
        is_seen = (down >= 0) & (down < height) & (across >= 0) & (across < width)
        is_seen[is_seen] = ~hidden[down[is_seen], across[is_seen]]
        down, across = np.where(is_seen, down, edge_rows), np.where(is_seen, across, edge_columns)
        result[rows, columns] = pixels[down, across]
    return result


def _nearest(hidden: Mask) -> tuple[NDArray[np.int32], NDArray[np.int32], int]:
    """The nearest cell, of those that are visible throughout.

    Returns:
        The label of every cell's nearest one; the cells with these labels, counted row by row; and
        the side of a cell in pixels.
    """
    side = math.ceil((hidden.size / SEARCHED) ** 0.5)
    covered = _in_cells(hidden, side)
    if covered.all():  # Nothing as large as a cell is visible.
        side, covered = 1, hidden
    labels = cv2.distanceTransformWithLabels(
        covered.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )[1]
    cells = np.zeros(labels.max() + 1, np.int32)
    for band in bands(*covered.shape):
        rows, columns = np.nonzero(~covered[band])
        rows += band.start
        cells[labels[rows, columns]] = rows * covered.shape[1] + columns
    return np.asarray(labels, np.int32), cells, side


def _in_cells(hidden: Mask, side: int) -> Mask:
    """Whether something is hidden in each cell of ``side`` x ``side`` pixels."""
    height, width = (-(-length // side) for length in hidden.shape)
    covered = np.zeros((height, width), bool)
    for down, across in product(range(side), repeat=2):
        part = hidden[down::side, across::side]
        covered[: part.shape[0], : part.shape[1]] |= part
    return covered
