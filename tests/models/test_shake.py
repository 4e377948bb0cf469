"""Camera shake is found where there is some, and nowhere else."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np
import pytest
import skimage.data
from skimage.metrics import peak_signal_noise_ratio

from models.deconvolution import deconvolved
from models.light import Image
from models.shake import SIDE, find_shake, likeness, radius, smoothness
from train import degradations

psnr = partial(peak_signal_noise_ratio, data_range=1)


@pytest.fixture(scope="module")
def sharp() -> Image:
    part = skimage.data.astronaut()[60:380, 90:410]
    return np.float32(1 / 255) * part.astype(np.float32)


def hook() -> Image:
    """A shake of about ten pixels, with its centre of mass in the middle."""
    path = np.zeros((SIDE, SIDE), np.float32)
    cv2.polylines(path, [np.array([[10, 9], [13, 17], [18, 18], [20, 13]])], False, 1.0, 1)
    path = cv2.GaussianBlur(path, (3, 3), 0.5)
    path /= path.sum()
    far = np.arange(SIDE) - SIDE // 2
    down, across = round(float(path.sum(1) @ far)), round(float(path.sum(0) @ far))
    return np.roll(path, (-down, -across), (0, 1))


def shaken(image: Image, kernel: Image) -> np.ndarray:
    blurred = degradations.motion_blur(image, kernel)
    return degradations.quantise(degradations.gaussian_noise(blurred, np.random.default_rng(0), 1))


def test_shake_is_found_and_removed(sharp: Image) -> None:
    before = shaken(sharp, hook())
    found = find_shake(before)
    assert found is not None
    assert found.sum() == pytest.approx(1, abs=1e-5)
    assert likeness(found, hook()) > 0.85
    assert radius(found) == pytest.approx(radius(hook()), rel=0.25)
    values = before.astype(np.float32) / 255
    assert psnr(deconvolved(values, found), sharp) > psnr(values, sharp) + 2
    deep = find_shake(before.astype(np.uint16) * 257)
    assert deep is not None
    assert likeness(found, deep) > 0.999


def test_sharp_noisy_and_small_photographs_are_left_alone(sharp: Image) -> None:
    assert find_shake(sharp) is None
    noisy = shaken(sharp, hook()) + np.random.default_rng(1).normal(0, 15, sharp.shape)
    assert find_shake(np.clip(noisy, 0, 255).astype(np.uint8)) is None
    assert find_shake(shaken(sharp, hook())[:100, :100]) is None


def test_a_sharp_thing_in_front_of_a_blurred_background_is_not_shaken(sharp: Image) -> None:
    whole = np.tile(sharp, (2, 3, 1))
    scene = shaken(whole, hook())
    assert find_shake(scene) is not None
    scene[100:240, 500:640] = np.rint(255 * whole[100:240, 500:640])
    assert find_shake(scene) is None


@pytest.mark.parametrize("value", [0, 128, 255])
def test_nothing_is_found_in_a_flat_image(value: int) -> None:
    assert find_shake(np.full((200, 300, 3), value, np.uint8)) is None


@pytest.mark.parametrize("period", [6, 8])
def test_a_regular_pattern_is_not_taken_for_shake(period: int) -> None:
    """Its kernel would be many equal specks, none of them heavy."""
    wave = np.sin(2 * np.pi * np.arange(256) / period)
    values = 0.5 + 0.2 * wave[:, None] + 0.2 * wave
    assert find_shake(np.repeat(values[..., None], 3, 2).astype(np.float32)) is None


def test_a_wide_shake_is_found_at_half_the_size() -> None:
    astronaut = np.float32(1 / 255) * skimage.data.astronaut().astype(np.float32)
    kernel = degradations.shake_kernel(np.random.default_rng(1), 38)
    before = shaken(astronaut, kernel)
    found = find_shake(before)
    assert found is not None
    assert len(found) > SIDE
    assert radius(found) == pytest.approx(radius(kernel), rel=0.1)
    values = before.astype(np.float32) / 255
    assert psnr(deconvolved(values, found), astronaut) > psnr(values, astronaut) + 4


def test_shake_too_wide_to_be_found_is_left_alone(sharp: Image) -> None:
    path = np.zeros((81, 81), np.float32)
    cv2.polylines(path, [np.array([[10, 20], [40, 30], [45, 60], [70, 55]])], False, 1.0, 1)
    assert find_shake(shaken(np.tile(sharp, (2, 2, 1)), path / path.sum())) is None


def test_smoothness_tells_blur_from_noise(sharp: Image) -> None:
    noise = np.random.default_rng(0).random((64, 64, 3), dtype=np.float32)
    assert smoothness(noise) == pytest.approx(-0.5, abs=0.1)
    assert smoothness(sharp) < 0.4
    assert smoothness(shaken(sharp, hook()).astype(np.float32)) > 0.6


def test_likeness_ignores_position_but_not_orientation() -> None:
    assert likeness(hook(), hook()) == pytest.approx(1)
    assert likeness(hook(), np.roll(hook(), (1, -1), (0, 1))) == pytest.approx(1, abs=1e-3)
    assert likeness(hook(), hook()[::-1, ::-1]) < 0.9
