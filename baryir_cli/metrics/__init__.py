"""Metrics of restored images. Importing this imports neither torch nor scikit-image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Metric:
    """A figure of merit."""

    name: str
    label: str
    better: Literal["higher", "lower"]
    needs_target: bool
    per_image: bool
    digits: int


METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        Metric("psnr", "PSNR", "higher", True, True, 2),
        Metric("ssim", "SSIM", "higher", True, True, 3),
        Metric("lpips", "LPIPS", "lower", True, True, 3),
        Metric("fid", "FID", "lower", True, False, 2),
        Metric("niqe", "NIQE", "lower", False, True, 2),
        Metric("piqe", "PIQE", "lower", False, True, 2),
    )
}


class MetricUnavailable(Exception):  # noqa: N818 (it is no failure)
    """One line: why a metric is not computed and what to do."""


ImageScorer = Callable[[Pixels, "Pixels | None"], float]


class SetScorer(Protocol):
    """A metric of whole sets."""

    def features(self, image: Pixels) -> NDArray[np.float64]: ...

    def distance(self, a: NDArray[np.float64], b: NDArray[np.float64]) -> float: ...


def scorer(
    name: str,
    device: str = "cpu",  # noqa: ARG001
    *,
    download: bool = True,  # noqa: ARG001
) -> ImageScorer | SetScorer:
    """What computes the metric ``name``."""
    if name == "psnr":
        return _psnr
    if name == "ssim":
        return _ssim
    raise MetricUnavailable(f"{METRICS[name].label} is not there yet")


def _psnr(restored: Pixels, target: Any) -> float:
    from skimage.metrics import peak_signal_noise_ratio

    with np.errstate(divide="ignore"):
        return float(peak_signal_noise_ratio(target, restored, data_range=255))


def _ssim(restored: Pixels, target: Any) -> float:
    from skimage.metrics import structural_similarity

    return float(structural_similarity(target, restored, channel_axis=2, data_range=255))
