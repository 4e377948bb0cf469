"""Degradations: seeded, of the right type, and physically correct."""

from __future__ import annotations

import io
import re
import tracemalloc
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest

from train import degradations as d
from train.degradations.exposure import BLURRED_SIDE, backlit_depth
from train.sources import BLUR_MARGIN

MODELS: dict[str, Callable[..., d.Image]] = {name: kind.draw for name, kind in d.KINDS.items()}


@pytest.fixture
def photo() -> d.Image:
    """Smooth structure in the middle of the range, 64 x 48."""
    rows, columns = np.mgrid[0:64, 0:48].astype(np.float32)
    waves = [0.5 + 0.3 * np.sin(rows / (5 + k)) * np.cos(columns / (7 - k)) for k in range(3)]
    return np.stack(waves, -1).astype(np.float32)


@pytest.mark.parametrize("name", MODELS)
def test_seeds_decide_and_the_type_is_kept(name: str, photo: d.Image) -> None:
    before = photo.copy()
    varies = []
    for seed in range(8):
        first = MODELS[name](photo, np.random.default_rng(seed))
        again = MODELS[name](photo, np.random.default_rng(seed))
        other = MODELS[name](photo, np.random.default_rng(seed + 1000))
        assert first.dtype == np.float32
        assert first.shape == photo.shape
        assert np.isfinite(first).all()
        assert np.array_equal(first, again)
        varies.append(not np.array_equal(first, other))
    # Two seeds may draw the same JPEG quality.
    assert all(varies) if name != "jpeg" else any(varies)
    assert np.array_equal(photo, before), "the input is left alone"


@pytest.mark.parametrize("sigma", [5, 25, 75])
def test_noise_has_the_level_asked_for(sigma: float) -> None:
    grey = np.full((256, 256, 3), 0.5, np.float32)
    noise = 255 * (d.gaussian_noise(grey, np.random.default_rng(1), sigma) - grey)
    assert noise.std() == pytest.approx(sigma, rel=0.01)
    assert abs(noise.mean()) < sigma / 50


def test_sensor_noise_is_that_of_a_demosaiced_raw_image() -> None:
    light = np.full((400, 400, 3), [0.1, 0.2, 0.4], np.float32)
    gains = np.array([2.0, 1.0, 1.5], np.float32)
    shot, read = 1e-3, 5e-3
    noise = d.sensor_noise(light, np.random.default_rng(0), shot=shot, read=read, gains=gains)
    # A pixel's own value, or the mean of two or four: 1, 1/2 or 1/4 of the variance.
    kept = np.array([(1 + 1 / 2 + 1 / 2 + 1 / 4) / 4, (1 + 1 / 4) / 2, (1 + 2 / 2 + 1 / 4) / 4])
    raw = (shot * light[0, 0] / gains + read**2) * gains**2
    np.testing.assert_allclose(noise.var((0, 1)), kept * raw, rtol=0.05)
    assert abs(noise.mean()) < 1e-4


def neighbours(noise: np.ndarray) -> float:
    """Correlation of neighbouring pixels in a row."""
    return float(np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())[0, 1])


def test_camera_noise_is_as_coarse_and_coloured_as_asked() -> None:
    grey = np.full((256, 256, 3), 0.5, np.float32)

    def noise(**settings: Any) -> np.ndarray:
        seed = np.random.default_rng(2)
        return d.camera_noise(grey, seed, shot=5e-3, read=0.01, **settings) - grey

    fine, plain, coarse = (noise(grain=grain) for grain in (0.5, 1, 2))
    assert neighbours(fine) < neighbours(plain) < neighbours(coarse)
    assert neighbours(d.gaussian_noise(grey, np.random.default_rng(2), 25)) < 0.02
    assert np.ptp(noise(vividness=0), axis=2).max() < 1e-3
    assert np.ptp(noise(vividness=1.5), axis=2).mean() > 1.2 * np.ptp(plain, axis=2).mean()
    stored = np.clip(grey + plain, 0, 1)
    np.testing.assert_array_equal(noise(quality=60) + grey, d.jpeg(stored, 60))


def test_film_grain_is_as_strong_coarse_and_coloured_as_asked() -> None:
    grey = np.full((256, 256, 3), 0.5, np.float32)

    def grain(**settings: float) -> d.Image:
        return d.film_grain(grey, np.random.default_rng(3), **settings) - grey

    def alike(grain: d.Image, shift: int) -> float:
        return float(np.corrcoef(grain[:, :-shift].ravel(), grain[:, shift:].ravel())[0, 1])

    for size in (0.0, 0.5, 1.5):
        assert grain(sigma=20, size=size).std() * 255 == pytest.approx(20, rel=0.05)
        assert grain(sigma=20, size=size)[:2].std() * 255 == pytest.approx(20, rel=0.15)
    assert abs(alike(grain(sigma=20, size=0), 1)) < 0.02
    assert alike(grain(sigma=20, size=0.7), 1) > 0.3
    assert alike(grain(sigma=20, size=1.5), 2) > alike(grain(sigma=20, size=0.7), 2) + 0.2
    assert np.ptp(grain(sigma=20, size=1), axis=2).max() < 1e-6
    coloured = grain(sigma=20, size=1, colour=1)
    assert abs(np.corrcoef(coloured[..., 0].ravel(), coloured[..., 2].ravel())[0, 1]) < 0.05


def test_film_grain_is_drawn_as_documented_unless_it_is_given() -> None:
    grey = np.full((96, 96, 3), 0.5, np.float32)

    def grains(**given: float) -> list[d.Image]:
        draws = (np.random.default_rng(seed) for seed in range(60))
        return [d.random_film_grain(grey, draw, **given) - grey for draw in draws]

    levels = [float(grain.std()) * 255 for grain in grains(size=0)]
    assert 3 * 0.95 < min(levels) < 5
    assert 20 < max(levels) < 25 * 1.05
    assert np.std([grain.std() for grain in grains(sigma=20, size=0)]) < 0.02
    colourless = [bool(np.ptp(grain, axis=2).max() < 1e-6) for grain in grains()]
    assert 0.3 < np.mean(colourless) < 0.7
    assert not any(np.ptp(grain, axis=2).max() < 1e-6 for grain in grains(colour=1))

    def likeness(grain: d.Image) -> float:
        return float(np.corrcoef(grain[:, :-2].ravel(), grain[:, 2:].ravel())[0, 1])

    drawn = [likeness(grain) for grain in grains()]
    assert min(drawn) < 0.1
    assert 0.4 < max(drawn) < 0.75
    assert min(likeness(grain) for grain in grains(size=3)) > 0.75


def test_film_grain_is_strongest_in_middle_tones() -> None:
    def level(value: float) -> float:
        flat = np.full((128, 128, 3), value, np.float32)
        return float(d.film_grain(flat, np.random.default_rng(3), sigma=20, size=1).std())

    assert level(0) == level(1) == 0
    assert level(0.1) == pytest.approx(0.6 * level(0.5), rel=0.02)


def test_camera_noise_may_be_none_and_may_fall_on_one_pixel() -> None:
    photo = np.random.default_rng(0).random((24, 40, 3), dtype=np.float32)
    none = d.random_camera_noise(photo, np.random.default_rng(1), shot=0, read=0, quality=0)
    assert np.abs(none - photo).max() < 1e-5
    one = d.random_camera_noise(photo[:1, :1], np.random.default_rng(1))
    assert one.shape == (1, 1, 3)


def test_transfer_curve_round_trip() -> None:
    values = np.linspace(0, 1, 1001, dtype=np.float32)
    assert np.abs(d.to_srgb(d.to_linear(values)) - values).max() < 1e-6
    assert d.to_linear(np.float32([0.5]))[0] == pytest.approx(0.2140411, abs=1e-6)


def test_haze_follows_its_equation(photo: d.Image) -> None:
    depth = np.linspace(0, 3, photo.shape[0] * photo.shape[1], dtype=np.float32)
    depth = depth.reshape(photo.shape[:2])
    t = np.exp(-1.5 * depth.astype(float))[..., None]
    expected = photo * t + 0.9 * (1 - t)
    assert np.abs(d.haze(photo, depth, 1.5, 0.9) - expected).max() < 1e-6
    assert np.array_equal(d.haze(photo, depth, 0.0, 0.9), photo)
    assert np.array_equal(d.random_haze(photo, np.random.default_rng(0), beta=0), photo)


def test_some_hazy_photographs_are_exposed_for_the_haze(photo: d.Image) -> None:
    """In haze this dense only the airlight is seen, so its value gives the exposure."""
    dim = 0.3 * photo
    seen = [
        float(d.random_haze(dim, np.random.default_rng(i), beta=1e3, airlight=0.9).mean()) / 0.9
        for i in range(100)
    ]
    assert 0.25 < np.mean(np.array(seen) < 0.95) < 0.5
    assert min(seen) > 0.55
    one = d.random_haze(dim, np.random.default_rng(0), beta=1e3, airlight=0.9, exposure=0.7)
    assert one.mean() == pytest.approx(0.63, abs=0.02)


def test_contrast_falls_with_the_transmission(photo: d.Image) -> None:
    """A hazy picture has the clear one's contrast times t."""
    near, far = (np.full(photo.shape[:2], depth, np.float32) for depth in (0.4, 1.4))
    ratio = d.haze(photo, far, 0.8, 0.7).std() / d.haze(photo, near, 0.8, 0.7).std()
    assert ratio == pytest.approx(np.exp(-0.8 * (1.4 - 0.4)), rel=1e-4)


@pytest.mark.parametrize("extent", [4, 15.5, 26])
def test_shake_kernels_are_normalised_and_fit_the_margin(extent: float) -> None:
    for seed in range(10):
        kernel = d.shake_kernel(np.random.default_rng(seed), extent)
        assert kernel.sum() == pytest.approx(1, abs=1e-5)
        assert kernel.min() >= 0
        assert kernel.shape[0] == kernel.shape[1]
        assert kernel.shape[0] % 2 == 1
        assert kernel.shape[0] // 2 <= BLUR_MARGIN, "the margin that sources leave around a patch"


def test_blur_keeps_the_light() -> None:
    image = np.full((48, 48, 3), 0.2, np.float32)
    image[24, 24] = 0.9
    blurred = d.motion_blur(image, d.shake_kernel(np.random.default_rng(3), 12))
    assert d.to_linear(blurred).mean() == pytest.approx(float(d.to_linear(image).mean()), rel=1e-4)


def test_a_long_path_has_no_gaps() -> None:
    for seed in range(5):
        kernel = d.shake_kernel(np.random.default_rng(seed), 150)
        drawn = (kernel > 0).astype(np.uint8)
        assert cv2.connectedComponents(drawn)[0] == 2, "the path and its background"


def test_shake_has_the_extent_asked_for() -> None:
    rows, columns = np.nonzero(d.shake_kernel(np.random.default_rng(1), 20) > 1e-4)
    assert 20 <= max(np.ptp(rows), np.ptp(columns)) <= 24


def test_low_light_scales_linear_light(photo: d.Image) -> None:
    dark = d.low_light(photo, np.random.default_rng(0), exposure=0.5)
    assert np.abs(d.to_linear(dark) - 0.5 * d.to_linear(photo)).max() < 1e-5
    deep = d.low_light(photo, np.random.default_rng(0), exposure=0.25, gamma=2, gain=0.5)
    assert np.abs(d.to_linear(deep) - 0.125 * d.to_linear(photo) ** 2).max() < 1e-5
    quiet = d.random_low_light(
        photo, np.random.default_rng(0), stops=3, backlit=False, cast=0, shot=0, read=0
    )
    assert np.abs(d.to_linear(quiet) - d.to_linear(photo) / 8).max() < 1e-5


@pytest.mark.parametrize("seed", range(8))
def test_bright_parts_of_a_backlit_photograph_stay(seed: int) -> None:
    window = np.full((60, 80, 3), 0.1, np.float32)
    window[:, 60:] = 0.9
    dark = d.random_low_light(
        window, np.random.default_rng(seed), stops=3, backlit=True, cast=0, shot=0, read=0
    )
    kept = d.to_linear(dark) / d.to_linear(window)
    assert kept.min() > 0.124
    assert kept.max() < 1.001
    assert kept[:, -1].min() > 2 * kept[:, 0].max()


def test_bright_parts_are_found_in_a_shrunk_photograph() -> None:
    small = np.random.default_rng(0).random((96, BLURRED_SIDE, 3), np.float32)
    large = small.repeat(4, 0).repeat(4, 1)
    depth = backlit_depth(small, 0.02, 0.5, 0.04)
    assert np.ptp(depth) > 0.1
    shrunk = backlit_depth(large, 0.02, 0.5, 0.04).reshape(96, 4, BLURRED_SIDE, 4).mean((1, 3))
    assert np.abs(shrunk - depth[..., 0]).max() < 0.01


def test_backlight_changes_neither_cast_nor_noise() -> None:
    grey = np.full((16, 16, 3), 0.5, np.float32)

    def cast(backlit: bool) -> d.Image:
        rng = np.random.default_rng(0)
        light = d.to_linear(d.random_low_light(grey, rng, backlit=backlit, shot=0, read=0))
        return light[0, 0] / light[0, 0].sum()

    assert np.allclose(cast(True), cast(False), rtol=1e-4)


def test_half_of_the_dark_photographs_are_backlit() -> None:
    ramp = np.tile(np.linspace(0.05, 0.95, 32, dtype=np.float32)[None, :, None], (32, 1, 3))
    rng = np.random.default_rng(0)

    def is_backlit() -> bool:
        dark = d.random_low_light(ramp, rng, stops=4, cast=0, shot=0, read=0)
        kept = d.to_linear(dark) / d.to_linear(ramp)
        return bool(np.ptp(kept) > 0.1)

    assert 80 < sum(is_backlit() for _ in range(200)) < 120


@pytest.mark.parametrize("value", [0.3, 0.6, 0.9])
def test_low_light_noise_has_shot_and_read_parts(value: float) -> None:
    flat = np.full((200, 200, 3), value, np.float32)
    shot, read = 2e-4, 1e-3
    dark = d.low_light(flat, np.random.default_rng(0), exposure=0.5, shot=shot, read=read)
    light = 0.5 * float(d.to_linear(flat)[0, 0, 0])
    assert d.to_linear(dark).var() == pytest.approx(shot * light + read**2, rel=0.03)
    assert d.to_linear(dark).mean() == pytest.approx(light, rel=1e-3)


def test_a_brightened_night_is_as_noisy_as_a_day() -> None:
    grey = np.full((64, 64, 3), 0.6, np.float32)

    def noise(seed: int) -> tuple[float, float]:
        """Relative to the light, by night and by day."""
        shown = [
            d.to_linear(np.clip(kind(grey, np.random.default_rng(seed)), 0, 1))
            for kind in (d.random_night, d.random_camera_noise)
        ]
        return tuple(float((light.std((0, 1)) / light.mean((0, 1))).mean()) for light in shown)

    night, day = np.median([noise(seed) for seed in range(40)], axis=0)
    assert 0.5 < night / day < 2
    dark = [d.random_night(grey, np.random.default_rng(seed)) for seed in range(40)]
    assert all(image.mean() < 0.5 for image in dark)


KIND = {"angle": 10.0, "length": 20.0, "width": 0.8}


def test_a_rain_layer_is_bounded_and_empty_without_drops() -> None:
    layer = d.rain_layer((40, 60), np.random.default_rng(0), density=0.01, **KIND)
    assert layer.shape == (40, 60)
    assert 0 <= layer.min() <= layer.max() <= 1.2
    assert layer.max() > 0.2
    assert not d.rain_layer((40, 60), np.random.default_rng(0), density=0, **KIND).any()


@pytest.mark.parametrize("angle", [-40.0, -10.0, 0.0, 25.0, 60.0])
def test_rain_falls_at_the_angle_asked_for(angle: float) -> None:
    layer = d.rain_layer(
        (300, 300), np.random.default_rng(3), angle=angle, length=30, width=1, density=2e-3
    )
    # The structure tensor: brightness changes least along the streaks.
    down, right = np.gradient(cv2.GaussianBlur(layer, (0, 0), 1))
    moments = [(right * right).sum(), (right * down).sum(), (down * down).sum()]
    _, directions = np.linalg.eigh([[moments[0], moments[1]], [moments[1], moments[2]]])
    x, y = directions[:, 0] * np.sign(directions[1, 0] or 1)
    assert np.degrees(np.arctan2(x, y)) == pytest.approx(angle, abs=2)


def test_coverage_follows_the_density_of_the_rain() -> None:
    def coverage(density: float, depth: float = 1) -> float:
        rng = np.random.default_rng(0)
        kind = {"angle": 0.0, "length": 24.0, "width": 1.2}
        return float(d.rain_layer((400, 400), rng, density=density, depth=depth, **kind).mean())

    assert coverage(2e-3) / coverage(1e-3) == pytest.approx(2, rel=0.15)
    # Twice as far: four times the drops, each a quarter of the area.
    assert coverage(1e-3, 2) / coverage(1e-3) == pytest.approx(1, rel=0.2)


def test_rain_is_added_or_screened(photo: d.Image) -> None:
    layer = d.rain_layer(photo.shape[:2], np.random.default_rng(0), density=0.01, **KIND)
    added = d.rain(photo, layer, 0.5)
    screened = d.rain(photo, layer, 0.5, screen=True)
    assert np.abs(added - photo - 0.5 * layer[..., None]).max() < 1e-6
    assert np.abs(1 - screened - (1 - photo) * (1 - 0.5 * layer[..., None])).max() < 1e-6
    assert (screened <= added + 1e-6).all()
    assert np.array_equal(d.rain(photo, layer, 0), photo)


def test_a_veil_mixes_in_its_light(photo: d.Image) -> None:
    assert np.abs(d.veil(photo, 0.25, 0.8) - (0.75 * photo + 0.2)).max() < 1e-6


def test_given_parameters_leave_other_draws_alone(photo: d.Image) -> None:
    def drops(**given: float) -> np.ndarray:
        rng = np.random.default_rng(11)
        return d.random_rain(np.zeros_like(photo), rng, screen=False, layers=1, fog=0, **given)

    assert np.abs(drops(strength=0.6) - 2 * drops(strength=0.3)).max() < 1e-6


@pytest.mark.parametrize("quality", [10, 40, 95])
def test_jpegs_equal_those_of_pillow(photo: d.Image, quality: int) -> None:
    data = io.BytesIO()
    PIL.Image.fromarray(d.quantise(photo)).save(data, "JPEG", quality=quality, subsampling=2)
    with PIL.Image.open(data) as image:
        others = np.asarray(image, np.float32) / 255
    ours = d.jpeg(photo, quality)
    assert np.abs(ours - others).max() <= 3.01 / 255, "decoders round differently"
    assert np.abs(ours - photo).mean() < 0.05


def test_lower_jpeg_quality_is_worse(photo: d.Image) -> None:
    rng = np.random.default_rng(0)
    noisy = d.gaussian_noise(photo, rng, 10)
    errors = [np.abs(d.jpeg(noisy, q) - np.clip(noisy, 0, 1)).mean() for q in (95, 50, 10, 2)]
    assert errors == sorted(errors)


def test_underwater_follows_its_equation(photo: d.Image) -> None:
    rates = np.array([0.4, 0.1, 0.2])
    distance = np.full(photo.shape[:2], 2.5, np.float32)
    seen = d.underwater(photo, distance, attenuation=(0.4, 0.1, 0.2), depth=3, scatter=0.5)
    ambient = np.exp(-(rates - rates.min()) * 3)
    t = np.exp(-rates * 2.5)
    expected = ambient * (d.to_linear(photo) * t + 0.5 * rates.min() / rates * (1 - t))
    assert np.abs(d.to_linear(seen) - expected).max() < 1e-5


def test_underwater_at_the_lens_is_the_photograph(photo: d.Image) -> None:
    here = np.zeros(photo.shape[:2], np.float32)
    for rates in d.JERLOV.values():
        seen = d.underwater(photo, here, attenuation=rates, depth=0)
        assert np.abs(seen - photo).max() < 1e-5


def test_water_takes_red_first_in_the_ocean_and_blue_at_the_coast() -> None:
    def colour(water: str) -> np.ndarray:
        grey = np.full((32, 32, 3), 0.5, np.float32)
        rng = np.random.default_rng(0)
        return d.random_underwater(grey, rng, water=water, depth=8, distance=4).mean((0, 1))

    assert np.argmin(colour("I")) == 0
    assert np.argmax(colour("I")) == 2
    assert np.argmax(colour("5C")) == 1
    assert np.argmin(colour("9C")) == 2


def shower(cover: float, **given: float) -> d.Image:
    rng = np.random.default_rng(0)
    return d.shower_layer((300, 300), rng, angle=10, length=30, width=0.6, cover=cover, **given)


def test_a_shower_covers_the_share_asked_for() -> None:
    for cover, gusts in ((0.05, 0.0), (0.3, 0.0), (0.3, 0.8)):
        layer = shower(cover, gusts=gusts)
        assert (layer > 0).mean() == pytest.approx(cover, rel=0.01)
        brightest = 100 * (1 - min(0.01, cover / 10))
        assert np.percentile(layer, brightest) == pytest.approx(1, rel=0.01)
        assert np.median(layer[layer > 0]) < 0.5 * np.percentile(layer, 99), "most of it is faint"


def test_gusts_and_contrast_leave_fewer_bright_streaks() -> None:
    def brightest(**given: float) -> float:
        layer = shower(0.3, **given)
        return float(np.percentile(layer, 99.9) / np.percentile(layer, 90))

    plain = brightest()
    assert brightest(gusts=0.8) > 1.15 * plain
    assert brightest(contrast=1.5) > 1.15 * plain


def test_rain_is_drops_or_showers() -> None:
    flat = np.full((64, 64, 3), 0.2, np.float32)

    def drawn(**given: Any) -> list[bytes]:
        return [
            d.random_rain(flat, np.random.default_rng(seed), **given).tobytes()
            for seed in range(20)
        ]

    either, drops, showers = drawn(), drawn(cover=0), drawn(cover=0.2)
    alike = sum(a == b for a, b in zip(either, drops, strict=True))
    assert 2 <= alike <= 10, "three of ten are drops"
    assert not set(drops) & set(showers)
    # A property that only drops have gives drops.
    assert drawn(layers=2) == drawn(layers=2, cover=0)


def test_depth_fields_stay_in_their_range() -> None:
    for seed in range(20):
        depth = d.depth_field((33, 47), np.random.default_rng(seed))
        assert depth.shape == (33, 47)
        assert 0.05 <= depth.min() <= depth.max() <= 1.4


def test_quantise_rounds_and_clips() -> None:
    values = np.float32([-1, 0, 0.5, 1, 7])
    assert d.quantise(values).tolist() == [0, 0, 128, 255, 255]


def test_parse_reads_kinds_and_parameters() -> None:
    steps = d.parse(" Haze:1.5:airlight=0.9 , noise:25,rain:layers=2:screen=1,underwater:3c")
    assert [s.kind.name for s in steps] == ["haze", "noise", "rain", "underwater"]
    assert steps[0].given == {
        "beta": 1.5,
        "airlight": 0.9,
        "exposure": 1.0,
        "window": 1.0,
        "relief": 0.1,
    }
    assert steps[1].given == {"sigma": 25.0}
    assert steps[2].given == {"layers": 2, "screen": True, "depth": 1.0}
    assert steps[3].given["water"] == "3C"
    with pytest.raises(d.DegradationError, match="use noise, camera, film"):
        d.parse("snow")


def test_every_parameter_is_accepted(photo: d.Image) -> None:
    for kind in d.KINDS.values():
        for parameter in kind.parameters:
            value = re.split(", | to | or ", parameter.allowed)[-1]
            (step,) = d.parse(f"{kind.name}:{parameter.name}={value}")
            result = d.degrade(photo, [step], np.random.default_rng(0))
            assert result.shape == photo.shape
            assert 0 <= result.min() <= result.max() <= 1


def test_the_densest_rain_takes_bounded_memory() -> None:
    """With everything at its largest, 51 drops per pixel are asked for."""
    (step,) = d.parse("rain:density=0.2:depth=16:layers=2:length=8")
    image = np.full((300, 300, 3), 0.5, np.float32)
    tracemalloc.start()
    step(image, np.random.default_rng(0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300 * 300 * 200
