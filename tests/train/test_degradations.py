"""Degradations: seeded, of the promised kind, and physically what they say."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from train import degradations as d

MODELS: dict[str, Callable[[d.Image, np.random.Generator], d.Image]] = {
    "noise": lambda image, rng: d.gaussian_noise(image, rng, 25),
    "rain": d.random_rain,
    "haze": d.random_haze,
    "blur": d.random_motion_blur,
    "dark": d.random_low_light,
}


@pytest.fixture
def photo() -> d.Image:
    """Smooth structure in the middle of the range, 64 x 48."""
    rows, columns = np.mgrid[0:64, 0:48].astype(np.float32)
    waves = [0.5 + 0.3 * np.sin(rows / (5 + k)) * np.cos(columns / (7 - k)) for k in range(3)]
    return np.stack(waves, -1).astype(np.float32)


@pytest.mark.parametrize("name", MODELS)
def test_seeded_and_kind(name: str, photo: d.Image) -> None:
    before = photo.copy()
    for seed in range(8):
        first = MODELS[name](photo, np.random.default_rng(seed))
        again = MODELS[name](photo, np.random.default_rng(seed))
        other = MODELS[name](photo, np.random.default_rng(seed + 100))
        assert first.dtype == np.float32
        assert first.shape == photo.shape
        assert np.isfinite(first).all()
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)
    assert np.array_equal(photo, before), "the input is left alone"


@pytest.mark.parametrize("sigma", [5, 25, 75])
def test_noise_level(sigma: float) -> None:
    grey = np.full((256, 256, 3), 0.5, np.float32)
    noise = 255 * (d.gaussian_noise(grey, np.random.default_rng(1), sigma) - grey)
    assert noise.std() == pytest.approx(sigma, rel=0.01)
    assert abs(noise.mean()) < sigma / 50


def test_transfer_curve_round_trip() -> None:
    values = np.linspace(0, 1, 1001, dtype=np.float32)
    assert np.abs(d.to_srgb(d.to_linear(values)) - values).max() < 1e-6
    assert d.to_linear(np.float32([0.5]))[0] == pytest.approx(0.2140411, abs=1e-6)


def test_haze_closed_form(photo: d.Image) -> None:
    depth = np.full(photo.shape[:2], 0.7, np.float32)
    t = np.exp(-1.5 * 0.7)
    expected = photo * t + 0.9 * (1 - t)
    assert np.abs(d.haze(photo, depth, 1.5, 0.9) - expected).max() < 1e-6
    assert np.array_equal(d.haze(photo, depth, 0.0, 0.9), photo)


@pytest.mark.parametrize("extent", [4, 15.5, 26])
def test_shake_kernel(extent: float) -> None:
    for seed in range(10):
        kernel = d.shake_kernel(np.random.default_rng(seed), extent)
        assert kernel.sum() == pytest.approx(1, abs=1e-5)
        assert kernel.min() >= 0
        assert kernel.shape[0] == kernel.shape[1]
        assert kernel.shape[0] % 2 == 1
        assert kernel.shape[0] // 2 <= 16, "the margin that sources leave around a patch"


def test_blur_keeps_the_light() -> None:
    image = np.full((48, 48, 3), 0.2, np.float32)
    image[24, 24] = 0.9
    blurred = d.motion_blur(image, d.shake_kernel(np.random.default_rng(3), 12))
    assert d.to_linear(blurred).mean() == pytest.approx(float(d.to_linear(image).mean()), rel=1e-4)


def test_low_light_is_linear(photo: d.Image) -> None:
    dark = d.low_light(photo, np.random.default_rng(0), exposure=0.5)
    assert np.abs(d.to_linear(dark) - 0.5 * d.to_linear(photo)).max() < 1e-5


def test_rain_layer() -> None:
    kind = {"angle": 10.0, "length": 20.0, "width": 0.8}
    layer = d.rain_layer((40, 60), np.random.default_rng(0), density=0.01, **kind)
    assert layer.shape == (40, 60)
    assert 0 <= layer.min() <= layer.max() <= 1.2
    assert layer.max() > 0.2
    assert not d.rain_layer((40, 60), np.random.default_rng(0), density=0, **kind).any()


def test_depth_field() -> None:
    for seed in range(20):
        depth = d.depth_field((33, 47), np.random.default_rng(seed))
        assert depth.shape == (33, 47)
        assert 0.05 <= depth.min() <= depth.max() <= 1.3


def test_quantise() -> None:
    values = np.float32([-1, 0, 0.5, 1, 7])
    assert d.quantise(values).tolist() == [0, 0, 128, 255, 255]
