"""Corrects tiles by the whole image, restored at a small size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

SMALLEST_WINDOW = 32
"""The smallest window, in pixels, in which a tile and the overview are compared."""
POINTS = 8
"""Points along a window's side at which the overview is sampled."""
TOLERANCE = 2 / 255
"""Differences below this come from noise and stay; larger ones are corrected."""


@dataclass(frozen=True)
class Overview:
    """The correction of the whole image at a small scale, with which its tiles must agree.

    A tile sees too little of a scene to judge its haze or darkness as the whole image would, and
    neighbours that judge differently show a seam. Details remain each tile's own.

    Attributes:
        correction: ``(3, h, w)`` float32 on the CPU.
        size: height and width of the whole image.
    """

    correction: Tensor
    size: tuple[int, int]

    def turned(self) -> Overview:
        """The overview of the image with its axes swapped."""
        return Overview(self.correction.transpose(1, 2), (self.size[1], self.size[0]))

    def hold(self, corrections: Tensor, rows: slice, columns: slice) -> Tensor:
        """A tile's corrections, ``(1, 3, h, w)``, with their coarse part drawn to the overview."""
        sides = zip(self.size, self.correction.shape[1:], strict=True)
        window = max(SMALLEST_WINDOW, *(4 * whole // small for whole, small in sides))
        own = F.avg_pool2d(corrections, window, ceil_mode=True)
        lead = self._windows(rows, columns, window) - own.cpu()
        lead *= lead.square() / (lead.square() + TOLERANCE**2)
        lead = F.interpolate(lead.to(own.device), scale_factor=window, mode="bilinear")
        return corrections + lead[..., : corrections.shape[2], : corrections.shape[3]]

    def _windows(self, rows: slice, columns: slice, window: int) -> Tensor:
        """The overview's means over a tile's windows, of which the last may be narrower."""
        spans = (columns, self.size[1]), (rows, self.size[0])
        shares = [(span.stop - span.start) / side for span, side in spans]
        middles = [(span.start + span.stop) / side - 1 for span, side in spans]
        place = torch.tensor([[shares[0], 0, middles[0]], [0, shares[1], middles[1]]])
        lengths = (span.stop - span.start for span in (rows, columns))
        points = [1, 3, *(-(-length * POINTS // window) for length in lengths)]
        grid = F.affine_grid(place[None], points, align_corners=False)
        found = F.grid_sample(
            self.correction[None], grid, padding_mode="border", align_corners=False
        )
        return F.avg_pool2d(found, POINTS, ceil_mode=True)


def shrunk(pixels: NDArray[Any], tile: int) -> NDArray[Any]:
    """``(H, W, 3)``, shrunk to at most a tile's area and twice its side."""
    height, width = pixels.shape[:2]
    share = min(tile / (height * width) ** 0.5, 2 * tile / max(height, width))
    size = max(1, round(width * share)), max(1, round(height * share))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
