"""Metrics for restored images: PSNR, SSIM, LPIPS, FID, NIQE and PIQE.

All take uint8 RGB and whole images without cutting a border. ``docs/metrics.md`` has the
definitions, the sources of the weights and the agreement with the original implementations.

>>> from baryir_cli.metrics import scorer
>>> scorer("psnr")(restored, target)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, overload

import numpy as np

from baryir_cli.metrics.base import (
    Features,
    ImageScorer,
    Metric,
    MetricUnavailable,
    SetScorer,
)
from models.light import Pixels

__all__ = [
    "METRICS",
    "Features",
    "ImageScorer",
    "Metric",
    "MetricUnavailable",
    "SetScorer",
    "scorer",
]

METRICS = {
    metric.name: metric
    for metric in (
        Metric("psnr", "PSNR", "higher", needs_target=True, per_image=True, digits=2),
        Metric("ssim", "SSIM", "higher", needs_target=True, per_image=True, digits=4),
        Metric("lpips", "LPIPS", "lower", needs_target=True, per_image=True, digits=4),
        Metric("fid", "FID", "lower", needs_target=True, per_image=False, digits=2),
        Metric("niqe", "NIQE", "lower", needs_target=False, per_image=True, digits=2),
        Metric("piqe", "PIQE", "lower", needs_target=False, per_image=True, digits=2),
    )
}
"""In the order of tables."""


@overload
def scorer(name: Literal["fid"], device: str = ..., *, download: bool = ...) -> SetScorer: ...
@overload
def scorer(
    name: Literal["psnr", "ssim", "lpips", "niqe", "piqe"],
    device: str = ...,
    *,
    download: bool = ...,
) -> ImageScorer: ...
@overload
def scorer(name: str, device: str = ..., *, download: bool = ...) -> ImageScorer | SetScorer: ...
def scorer(name: str, device: str = "cpu", *, download: bool = True) -> ImageScorer | SetScorer:
    """Returns the scorer of a metric in :data:`METRICS`. Scorers are safe to use from threads.

    A scorer raises MetricUnavailable for an image that is too small for its metric, and ValueError
    for a missing target, one of another size, or pixels that are not uint8.

    Args:
        device: where the networks of LPIPS and FID run, as in ``--device``. The others use the CPU.
        download: whether weights that are not cached may be fetched.

    Raises:
        KeyError: no such metric.
        UsageError: no such device.
        MetricUnavailable: its weights are not cached and cannot be fetched.
    """
    metric = METRICS[name]
    # Imported when needed: torch and scikit-image take a second to start.
    if name == "fid":
        from baryir_cli.metrics.fid import FID

        return FID.load(device, download=download)
    if name == "lpips":
        from baryir_cli.metrics.lpips import LPIPS

        return _against_target(metric, LPIPS.load(device, download=download))
    if name == "psnr":
        from baryir_cli.metrics.psnr import psnr

        return _against_target(metric, psnr)
    if name == "ssim":
        from baryir_cli.metrics.ssim import ssim

        return _against_target(metric, ssim)
    if name == "niqe":
        from baryir_cli.metrics.niqe import niqe

        return _alone(niqe)
    from baryir_cli.metrics.piqe import piqe

    return _alone(piqe)


def _against_target(metric: Metric, score: Callable[[Pixels, Pixels], float]) -> ImageScorer:
    def scored(restored: Pixels, target: Pixels | None) -> float:
        if target is None:
            raise ValueError(f"{metric.label} needs a target")
        _check(restored)
        _check(target)
        if restored.shape != target.shape:
            raise ValueError(f"sizes differ: {restored.shape[:2]} and {target.shape[:2]}")
        return float(score(restored, target))

    return scored


def _alone(score: Callable[[Pixels], float]) -> ImageScorer:
    def scored(restored: Pixels, target: Pixels | None = None) -> float:  # noqa: ARG001
        _check(restored)
        return float(score(restored))

    return scored


def _check(image: Pixels) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"metrics take uint8 (H, W, 3), not {image.dtype} {image.shape}")
