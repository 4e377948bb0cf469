"""PSNR: peak signal-to-noise ratio over all three channels."""

from __future__ import annotations

import numpy as np
from skimage.metrics import peak_signal_noise_ratio

from models.light import Pixels


def psnr(restored: Pixels, target: Pixels) -> float:
    """In dB, 10 log10(255^2 / MSE); infinite for equal images."""
    with np.errstate(divide="ignore"):
        return float(peak_signal_noise_ratio(target, restored, data_range=255))
