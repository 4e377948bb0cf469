"""SSIM: structural similarity (Wang et al., TIP 2004), in scikit-image's form."""

from __future__ import annotations

from skimage.metrics import structural_similarity

from baryir_cli.metrics.base import MetricUnavailable
from models.light import Pixels

WINDOW = 7


def ssim(restored: Pixels, target: Pixels) -> float:
    """Mean over pixels and channels, at most 1: uniform 7 x 7 window, sample covariance.

    Raises:
        MetricUnavailable: a side is shorter than the window.
    """
    height, width = target.shape[:2]
    if min(height, width) < WINDOW:
        raise MetricUnavailable(
            f"SSIM needs at least {WINDOW} x {WINDOW} pixels, the image has {width} x {height}"
        )
    return float(structural_similarity(target, restored, channel_axis=2, data_range=255))
