"""Deconvolution of blurs whose kernel is known."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from models.deconvolution import deconvolved, periodic, plane, slopes, spectrum, transfer
from models.light import Image
from train.degradations import motion_blur

psnr = partial(peak_signal_noise_ratio, data_range=1)


def picture(height: int, width: int) -> Image:
    """Soft blobs of light, away from black and white."""
    noise = np.random.default_rng(0).random((height, width, 3), dtype=np.float32)
    blobs = cv2.GaussianBlur(noise, (0, 0), 3)
    return np.float32(0.3) + np.float32(0.4) * (blobs - blobs.min()) / np.ptp(blobs)


def kernel() -> Image:
    """An L whose centre of mass is off the middle."""
    values = np.zeros((9, 9), np.float32)
    values[2:7, 3] = 1
    values[6, 3:8] = 0.5
    return values / values.sum()


@pytest.mark.parametrize("size", [(96, 128), (61, 40)])
def test_a_known_blur_is_undone(size: tuple[int, int]) -> None:
    sharp = picture(*size)
    before = motion_blur(sharp, kernel())
    after = deconvolved(before, kernel())
    assert after.shape == sharp.shape
    assert after.dtype == np.float32
    assert psnr(after, sharp) > psnr(before, sharp) + 8
    turned = deconvolved(before, kernel()[::-1, ::-1])
    assert psnr(turned, sharp) < psnr(before, sharp), "the orientation of the kernel counts"


def test_without_a_blur_little_changes() -> None:
    sharp = picture(64, 64)
    point = np.zeros((5, 5), np.float32)
    point[2, 2] = 1
    assert np.abs(deconvolved(sharp, point) - sharp).max() < 0.01


def test_flat_images_stay_flat() -> None:
    flat = np.full((50, 70, 3), 0.6, np.float32)
    assert np.abs(deconvolved(flat, kernel()) - flat).max() < 1e-4


@pytest.mark.parametrize("size", [(8, 8), (17, 40), (1, 5)])
def test_periodic_has_no_jump_at_the_ends(size: tuple[int, int]) -> None:
    image = np.linspace(0, 1, size[0] * size[1], dtype=np.float32).reshape(size)
    wide = periodic(image, 10)
    np.testing.assert_array_equal(wide[10 : 10 + size[0], 10 : 10 + size[1]], image)
    within = max(np.abs(np.diff(image, axis=axis)).max(initial=0) for axis in (0, 1))
    for axis in (0, 1):
        first, last = np.take(wide, 0, axis), np.take(wide, -1, axis)
        assert np.abs(first - last).max() <= within + 0.15


def test_transfer_convolves() -> None:
    image = picture(30, 36)[..., 0]
    padded = np.pad(image, 4, mode="wrap")
    expected = cv2.filter2D(padded, -1, kernel()[::-1, ::-1])[4:-4, 4:-4]
    found = plane(transfer(kernel(), image.shape) * spectrum(image), image.shape)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_slopes_are_differences_to_the_next() -> None:
    image = picture(12, 15)[..., 0]
    for axis, slope in enumerate(slopes(image.shape)):
        found = plane(slope * spectrum(image), image.shape)
        np.testing.assert_allclose(found, np.roll(image, -1, axis) - image, atol=1e-6)
