"""The input of NIQE and PIQE: grey values, normalised by their neighbourhood."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.light import Pixels

Plane = NDArray[np.float64]

_SIZE, _SIGMA = 7, 7 / 6
_GAUSSIAN = np.exp(-0.5 * ((np.arange(_SIZE) - _SIZE // 2) / _SIGMA) ** 2)
_GAUSSIAN /= _GAUSSIAN.sum()
_RED, _GREEN, _BLUE, _BITS = 9798, 19235, 3735, 15


def grey_values(image: Pixels) -> Plane:
    """BT.601 luma as whole numbers 0 to 255, (H, W).

    Computed in 15-bit fixed point like OpenCV's. Both metrics are sensitive to the rounding of
    ties, and their figures must not depend on the version of the library.
    """
    red, green, blue = (image[..., channel].astype(np.int32) for channel in range(3))
    weighted = _RED * red + _GREEN * green + _BLUE * blue
    return ((weighted + (1 << _BITS - 1)) >> _BITS).astype(np.float64)


def normalised(plane: Plane) -> Plane:
    """MSCN coefficients: minus the local mean, divided by the local deviation plus one.

    The window is 7 x 7, Gaussian with sigma 7/6, edges repeated (Mittal et al., TIP 2012, eq. 1).
    """
    mean = _blurred(plane)
    variance = _blurred(plane * plane) - mean * mean
    coefficients = (plane - mean) / (np.sqrt(np.abs(variance)) + 1)
    # In flat regions this is rounding noise, and NIQE would count its sign.
    coefficients[np.abs(coefficients) < 1e-9] = 0
    return coefficients


def _blurred(plane: Plane) -> Plane:
    return np.asarray(
        cv2.sepFilter2D(plane, cv2.CV_64F, _GAUSSIAN, _GAUSSIAN, borderType=cv2.BORDER_REPLICATE)
    )
