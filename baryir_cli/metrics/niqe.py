"""NIQE: natural image quality evaluator (Mittal, Soundararajan, Bovik, SPL 2013).

Compares the statistics of an image's blocks with those of pristine photographs, in the model that
UT Austin released (``data/niqe_pris_params.npz``).
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import gamma

from baryir_cli.metrics.base import MetricUnavailable
from baryir_cli.metrics.grey import Plane, grey_values, normalised
from models.light import Pixels

BLOCK = 96
NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))

Array = NDArray[np.float64]

_SHAPES = np.arange(200, 10_001) / 1000
"""Shapes of generalised Gaussians that the fit chooses from."""
_RATIOS = gamma(2 / _SHAPES) ** 2 / (gamma(1 / _SHAPES) * gamma(3 / _SHAPES))
"""E[|x|]^2 / E[x^2] for each shape; increasing."""


def niqe(image: Pixels) -> float:
    """At least 0, lower is better. Incomplete blocks at the right and bottom are left out.

    Raises:
        MetricUnavailable: fewer than two blocks of 96 x 96 that are not flat.
    """
    height, width = image.shape[:2]
    rows, columns = height // BLOCK, width // BLOCK
    if rows * columns < 2:
        raise MetricUnavailable(
            f"NIQE needs at least two blocks of {BLOCK} x {BLOCK} pixels, "
            f"the image has {width} x {height}"
        )
    grey = grey_values(image[: rows * BLOCK, : columns * BLOCK])
    scales = (grey, BLOCK), (_halved(grey), BLOCK // 2)
    features = np.hstack([_features(plane, block) for plane, block in scales])
    whole = features[~np.isnan(features).any(1)]
    if len(whole) < 2:
        raise MetricUnavailable("NIQE needs at least two blocks that are not flat")
    mean, covariance = np.nanmean(features, 0), np.cov(whole, rowvar=False)
    pristine_mean, pristine_covariance = _pristine()
    apart = pristine_mean - mean
    inverse = np.linalg.pinv((pristine_covariance + covariance) / 2)
    return float(np.sqrt(apart @ inverse @ apart))


@cache
def _pristine() -> tuple[Array, Array]:
    """Mean (36,) and covariance (36, 36) of the pristine photographs' features."""
    source = files("baryir_cli.metrics") / "data" / "niqe_pris_params.npz"
    with source.open("rb") as file, np.load(file, allow_pickle=False) as data:
        return data["mu_pris_param"].ravel(), data["cov_pris_param"]


def _halved(plane: Plane) -> Plane:
    """Halves both sides, which are even: bicubic with antialiasing, like MATLAB's imresize."""
    near, far = np.array([0.25, 0.75]), np.array([1.25, 1.75])
    # Keys' kernel, a = -1/2, stretched to eight taps.
    half = np.concatenate(
        [1.5 * near**3 - 2.5 * near**2 + 1, -0.5 * far**3 + 2.5 * far**2 - 4 * far + 2]
    )
    taps = np.concatenate([half[::-1], half]) / 2
    smooth = cv2.sepFilter2D(
        plane, cv2.CV_64F, taps, taps, anchor=(3, 3), borderType=cv2.BORDER_REFLECT
    )
    return np.ascontiguousarray(smooth[::2, ::2])


def _features(plane: Plane, block: int) -> Array:
    """(blocks, 18): shape and scale of the coefficients, and four figures per neighbour."""
    strips = np.split(normalised(plane), plane.shape[0] // block)
    return np.vstack([_strip_features(strip, block) for strip in strips])


def _strip_features(strip: Plane, block: int) -> Array:
    """Features of one row of blocks, (block, W): a whole image would need much memory."""
    blocks = np.ascontiguousarray(strip.reshape(block, -1, block).swapaxes(0, 1))
    shape, left, right = _fit(blocks)
    found = [shape, (left + right) / 2]
    for neighbour in NEIGHBOURS:
        shape, left, right = _fit(blocks * np.roll(blocks, neighbour, (1, 2)))
        mean = (right - left) * gamma(2 / shape) / gamma(1 / shape)
        found += [shape, mean, left, right]
    return np.stack(found, 1)


def _fit(blocks: Array) -> tuple[Array, Array, Array]:
    """Fits asymmetric generalised Gaussians by their moments: shape, left and right scale.

    A scale is NaN for a block without values on that side of zero.
    """
    squares = blocks * blocks
    below, above = blocks < 0, blocks > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        left = np.sqrt((squares * below).sum((1, 2)) / below.sum((1, 2)))
        right = np.sqrt((squares * above).sum((1, 2)) / above.sum((1, 2)))
        balance = left / right
        ratio = np.abs(blocks).mean((1, 2)) ** 2 / squares.mean((1, 2))
        ratio *= (balance**3 + 1) * (balance + 1) / (balance**2 + 1) ** 2
    shape = _SHAPES[_nearest(ratio)]
    scale = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
    return shape, left * scale, right * scale


def _nearest(ratio: Array) -> NDArray[np.intp]:
    """Indices of the nearest ratios; 0 for NaN, like the original's minimum."""
    after = np.clip(np.searchsorted(_RATIOS, ratio), 1, len(_RATIOS) - 1)
    index = after - (ratio - _RATIOS[after - 1] <= _RATIOS[after] - ratio)
    return np.where(np.isnan(ratio), 0, index)
