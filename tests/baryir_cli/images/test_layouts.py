"""The output is laid out like the input: grey, colour, transparency, palette, bits, CMYK."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from baryir_cli.images import (
    FORMATS,
    READABLE_SUFFIXES,
    ImageError,
    Photo,
    colour,
    encode_photo,
    format_of,
    read_photo,
    with_pixels,
)
from tests.baryir_cli.images.samples import (
    LOSSLESS,
    PILLOW_NAMES,
    SOURCES,
    cmyk_profile,
    deep_png,
    noise,
    opened,
    pil_bytes,
    smooth,
    srgb_profile,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.JPG", "jpeg"), ("b.tiff", "tiff"), ("c.dib", "bmp"), ("d.mpo", "jpeg"), ("e.gif", None)],
)
def test_the_suffix_decides_the_format(name: str, expected: str | None) -> None:
    assert format_of(Path(name)) == expected
    assert (Path(name).suffix.lower() in READABLE_SUFFIXES) == (expected is not None)


def test_every_format_has_a_suffix_that_means_it() -> None:
    for name, suffix in FORMATS.items():
        assert format_of(Path("x" + suffix)) == name


@pytest.mark.parametrize("format_name", LOSSLESS)
@pytest.mark.parametrize("size", [(33, 47), (7, 5), (1, 1)])
def test_lossless_formats_keep_colour_exactly(format_name: str, size: tuple[int, int]) -> None:
    pixels = noise(*size)
    photo = read_photo(pil_bytes(Image.fromarray(pixels), format_name))
    assert (photo.format, photo.layout, photo.alpha) == (format_name, "rgb", None)
    np.testing.assert_array_equal(photo.pixels, pixels)
    again = opened(encode_photo(photo))
    assert again.format == PILLOW_NAMES.get(format_name, format_name.upper())
    assert again.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(again), pixels)


def test_more_than_one_band_of_rows_is_read_and_written() -> None:
    # Three bands, the last one short.
    pixels = noise(2100, 1024)
    for format_name in ("png", "tiff"):
        photo = read_photo(pil_bytes(Image.fromarray(pixels), format_name))
        np.testing.assert_array_equal(photo.pixels, pixels)
        np.testing.assert_array_equal(read_photo(encode_photo(photo)).pixels, pixels)


@pytest.mark.parametrize("format_name", ["png", "tiff", "bmp", "jpeg"])
def test_grey_stays_grey(format_name: str) -> None:
    pixels = smooth(channels=1)[..., 0]
    photo = read_photo(pil_bytes(Image.fromarray(pixels), format_name, quality=100))
    assert photo.layout == "grey"
    assert photo.pixels.shape == (33, 47, 3)
    again = opened(encode_photo(photo))
    assert again.mode == "L"
    difference = np.abs(np.asarray(again).astype(int) - pixels)
    assert difference.max() <= (4 if format_name == "jpeg" else 0)


def test_grey_is_the_mean_of_what_the_network_returns() -> None:
    photo = read_photo(pil_bytes(Image.fromarray(smooth(channels=1)[..., 0]), "png"))
    restored = np.full_like(photo.pixels, 0)
    restored[:] = (10, 20, 31)
    assert (np.asarray(opened(encode_photo(with_pixels(photo, restored)))) == 20).all()


@pytest.mark.parametrize(
    ("format_name", "mode"),
    [("png", "LA"), ("png", "RGBA"), ("tiff", "LA"), ("tiff", "RGBA"), ("webp", "RGBA")],
)
def test_alpha_is_kept(format_name: str, mode: str) -> None:
    data = noise(channels=len(mode))
    photo = read_photo(pil_bytes(Image.fromarray(data, mode), format_name))
    assert photo.alpha is not None
    np.testing.assert_array_equal(photo.alpha, data[..., -1])
    changed = with_pixels(photo, 255 - photo.pixels)
    again = opened(encode_photo(changed))
    assert again.mode == mode
    np.testing.assert_array_equal(np.asarray(again)[..., -1], data[..., -1])
    np.testing.assert_array_equal(np.asarray(again)[..., 0], 255 - data[..., 0])


@pytest.mark.parametrize("channels", [3, 4])
def test_a_bmp_gets_no_resolution_of_its_own(channels: int) -> None:
    photo = read_photo(pil_bytes(Image.fromarray(noise(channels=channels)), "png"))
    assert read_photo(encode_photo(photo, "bmp")).dpi is None


def test_alpha_of_a_bmp_is_kept() -> None:
    data = noise(channels=4)
    png = read_photo(pil_bytes(Image.fromarray(data), "png"))
    photo = read_photo(encode_photo(png, "bmp"))
    assert photo.format == "bmp"
    again = opened(encode_photo(photo))
    assert again.mode == "RGBA"
    np.testing.assert_array_equal(np.asarray(again), data)


def test_palette_stays_a_palette() -> None:
    image = Image.fromarray(smooth()).quantize(200)
    for format_name in ("png", "tiff", "bmp"):
        photo = read_photo(pil_bytes(image, format_name))
        assert photo.layout == "palette"
        again = opened(encode_photo(photo))
        assert again.mode == "P"
        np.testing.assert_array_equal(
            np.asarray(again.convert("RGB")), np.asarray(image.convert("RGB"))
        )


def test_a_restored_palette_image_gets_a_new_palette() -> None:
    photo = read_photo(pil_bytes(Image.fromarray(smooth()).quantize(4), "png"))
    restored = smooth(200, 300)
    photo.pixels = restored
    again = opened(encode_photo(photo))
    assert again.mode == "P"
    difference = np.abs(np.asarray(again.convert("RGB")).astype(int) - restored)
    assert difference.mean() < 3


@pytest.mark.parametrize("format_name", ["png", "tiff", "bmp"])
def test_a_palette_image_that_hardly_changed_stays_as_it_was(format_name: str) -> None:
    """A new palette would take more than the change gives."""
    picture = np.random.default_rng(0).normal(0, 20, (120, 160, 3)) + smooth(120, 160)
    image = Image.fromarray(picture.clip(0, 255).astype(np.uint8)).quantize(256)
    before = np.asarray(image.convert("RGB"))
    photo = read_photo(pil_bytes(image, format_name))
    for change, stays in ((1, True), (40, False)):
        changes = np.random.default_rng(1).integers(-change, change + 1, before.shape)
        restored = (before + changes).clip(0, 255).astype(np.uint8)
        again = opened(encode_photo(with_pixels(photo, restored)))
        assert again.mode == "P"
        assert np.array_equal(np.asarray(again.convert("RGB")), before) == stays


def test_a_palette_of_many_colours_is_close_to_the_picture() -> None:
    """Also in small parts of another colour."""
    picture = smooth(200, 300)
    picture[90:98, 90:102] = 230, 40, 40
    again = colour.indexed(picture, None)
    off = again.colours[again.indices].astype(int) - picture
    assert np.square(off).mean() < 6
    assert np.abs(off[92:96, 92:100]).max() < 12


@pytest.mark.parametrize("levels", [[0, 255], [0, 40, 128, 255], list(range(256))])
def test_palette_with_transparency_keeps_it_exactly(levels: list[int]) -> None:
    image = Image.fromarray(smooth(64, 64)).quantize(256)
    alphas = np.resize(levels, 256).astype(np.uint8)
    photo = read_photo(pil_bytes(image, "png", transparency=alphas.tobytes()))
    expected = alphas[np.asarray(image)]
    assert photo.layout == "palette"
    np.testing.assert_array_equal(photo.alpha, expected)
    again = opened(encode_photo(with_pixels(photo, photo.pixels // 2 + 30)))
    assert again.mode == "P"
    np.testing.assert_array_equal(np.asarray(again.convert("RGBA"))[..., 3], expected)


@pytest.mark.parametrize("format_name", ["png", "tiff", "bmp"])
def test_one_bit_stays_one_bit(format_name: str) -> None:
    image = Image.fromarray(noise()).convert("1")
    photo = read_photo(pil_bytes(image, format_name))
    assert photo.layout == "bilevel"
    again = opened(encode_photo(photo))
    assert again.mode == "1"
    np.testing.assert_array_equal(np.asarray(again), np.asarray(image))


def photograph() -> np.ndarray:
    """Tones from black to white."""
    return (
        (smooth(160, 200, channels=1)[..., 0].astype(int) * 5 // 4 - 30).clip(0, 255).astype("u1")
    )


@pytest.mark.parametrize("format_name", ["png", "tiff", "bmp"])
@pytest.mark.parametrize("value", [1, 254])
def test_one_bit_becomes_grey_if_it_has_a_grey(
    format_name: str, value: int, caplog: pytest.LogCaptureFixture
) -> None:
    photo = read_photo(pil_bytes(Image.fromarray(photograph()).convert("1"), format_name))
    pixels = photo.pixels.copy()
    pixels[-1, -1] = value
    again = opened(encode_photo(with_pixels(photo, pixels)))
    assert again.mode == "L"
    assert caplog.messages == ["1 bit became 8-bit grey, because there are greys now"]
    np.testing.assert_array_equal(np.asarray(again), pixels[..., 0])


@pytest.mark.parametrize("deep", [False, True])
def test_grey_has_no_colours_where_a_format_has_only_rgb(deep: bool) -> None:
    """Although a network adds traces of them."""
    photo = read_photo(pil_bytes(Image.fromarray(photograph()), "png"))
    coloured = np.clip(photo.pixels.astype(int) + (-6, 0, 6), 0, 255).astype(np.uint8)
    photo = with_pixels(photo, coloured)
    if deep:
        photo = replace(photo, pixels=coloured.astype(np.uint16) * 257)
    again = read_photo(encode_photo(photo, "webp", 100)).pixels.astype(int)
    assert np.ptp(again, axis=2).max() <= 3, "what the coding of colours leaves"
    assert np.abs(again[..., 1] - photograph()).mean() < 3


@pytest.mark.parametrize("format_name", ["jpeg", "tiff"])
@pytest.mark.parametrize("managed", [False, True], ids=["plain", "profile"])
def test_cmyk_stays_cmyk_with_its_profile(format_name: str, managed: bool) -> None:
    icc = cmyk_profile() if managed else None
    # Within the gamut of the profile.
    inks = Image.fromarray(smooth(48, 64) // 2 + 60).convert("CMYK")
    options = {"quality": 100, "subsampling": 0} if format_name == "jpeg" else {}
    photo = read_photo(
        pil_bytes(inks, format_name, **options, **({"icc_profile": icc} if icc else {}))
    )
    assert photo.layout == "cmyk"
    data = encode_photo(photo)
    again = opened(data)
    assert again.mode == "CMYK"
    assert again.info.get("icc_profile") == icc
    difference = np.abs(read_photo(data).pixels.astype(int) - photo.pixels)
    assert difference.mean() < 2
    assert difference.max() <= 12
    # Not inverted: light stays light.
    assert np.corrcoef(photo.pixels.ravel(), np.asarray(inks.convert("RGB")).ravel())[0, 1] > 0.9


def test_a_cmyk_profile_is_used_and_not_only_kept() -> None:
    # This profile has much darker inks than plain arithmetic gives.
    inks = Image.new("CMYK", (8, 8), (0, 0, 0, 128))
    plain = read_photo(pil_bytes(inks, "tiff")).pixels
    icc = bytearray(cmyk_profile())
    at = icc.index(b"mft1") + 48
    icc[at : at + 1024] = bytes(np.tile(np.minimum(np.arange(256) * 2, 255), 4).astype(np.uint8))
    managed = read_photo(pil_bytes(inks, "tiff", icc_profile=bytes(icc))).pixels
    assert managed.mean() < plain.mean() - 60


def test_a_broken_cmyk_profile_is_not_used() -> None:
    broken = b"\0" * 16 + b"CMYK" + b"\0" * 200
    inks = Image.fromarray(smooth()).convert("CMYK")
    photo = read_photo(pil_bytes(inks, "tiff", icc_profile=broken))
    np.testing.assert_array_equal(photo.pixels, np.asarray(inks.convert("RGB")))
    assert opened(encode_photo(photo)).mode == "CMYK"


def test_quality_has_an_effect_and_a_good_default() -> None:
    photo = read_photo(pil_bytes(Image.fromarray(noise()), "png"))
    for format_name in ("jpeg", "webp"):
        sizes = [len(encode_photo(photo, format_name, quality)) for quality in (20, None, 100)]
        assert sizes[0] < sizes[1] < sizes[2]
    jpeg = encode_photo(read_photo(pil_bytes(Image.fromarray(smooth()), "png")), "jpeg")
    assert np.abs(np.asarray(opened(jpeg)).astype(int) - smooth()).mean() < 1
    assert opened(jpeg).layer[0][1:3] == (1, 1)


def test_webp_stays_lossless_or_lossy() -> None:
    for lossless in (True, False):
        photo = read_photo(pil_bytes(Image.fromarray(noise()), "webp", lossless=lossless))
        assert photo.lossless == lossless
        again = read_photo(encode_photo(photo))
        assert again.lossless == lossless
    extended = pil_bytes(Image.fromarray(noise(channels=4)), "webp", icc_profile=srgb_profile())
    assert read_photo(extended).lossless
    assert not read_photo(encode_photo(read_photo(extended), quality=90)).lossless


# By source: the modes in PNG, TIFF, BMP, JPEG, WebP, AVIF, HEIC, JP2 and J2K. Pillow shows colours
# of more bits as 8.
_MODES = {
    "grey": "L L L L RGB L L L L",
    "grey+alpha": "LA LA RGBA L RGBA RGBA RGBA LA LA",
    "rgb": "RGB RGB RGB RGB RGB RGB RGB RGB RGB",
    "rgb+alpha": "RGBA RGBA RGBA RGB RGBA RGBA RGBA RGBA RGBA",
    "grey16": "I;16 I;16 L L RGB L I;16 I;16 I;16",
    "rgb16+alpha": "RGBA RGBA RGBA RGB RGBA RGBA RGBA RGBA RGBA",
    "palette": "P P P RGB RGB RGB RGB RGB RGB",
    "palette+alpha": "P RGBA RGBA RGB RGBA RGBA RGBA RGBA RGBA",
    "1 bit": "1 1 1 L RGB L L L L",
    "cmyk": "RGB CMYK RGB CMYK RGB RGB RGB RGB RGB",
}
_ORDER = ("png", "tiff", "bmp", "jpeg", "webp", "avif", "heic", "jp2", "j2k")


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("format_name", FORMATS)
def test_each_layout_goes_into_each_format(source: str, format_name: str) -> None:
    photo = read_photo(SOURCES[source]())
    again = opened(encode_photo(photo, format_name))
    mode = _MODES[source].split()[_ORDER.index(format_name)]
    assert (again.format, again.mode) == (PILLOW_NAMES.get(format_name, format_name.upper()), mode)
    read = read_photo(encode_photo(photo, format_name))
    if photo.alpha is not None and read.alpha is None:
        scale = np.iinfo(photo.alpha.dtype).max
        cover = photo.alpha[..., None] / scale
        expected = (photo.pixels / scale * cover + 1 - cover) * 255
    else:
        expected = photo.pixels / np.iinfo(photo.pixels.dtype).max * 255
    found = read.pixels / np.iinfo(read.pixels.dtype).max * 255
    assert np.abs(found - expected).mean() < (8 if source == "1 bit" else 3)


def test_sixteen_bits_are_rounded_to_eight() -> None:
    data = np.array([[[0, 128, 129], [65535, 65407, 65406]]], np.uint16)
    photo = read_photo(encode_photo(read_photo(deep_png(data)), "bmp"))
    assert photo.pixels.tolist() == [[[0, 0, 1], [255, 255, 254]]]


def test_a_size_that_a_format_cannot_hold_is_an_error() -> None:
    photo = Photo(np.zeros((1, 20_000, 3), np.uint8), None, "png", "rgb")
    with pytest.raises(ImageError, match="cannot be written as WEBP"):
        encode_photo(photo, "webp")
    with pytest.raises(ValueError, match="gif"):
        encode_photo(photo, "gif")


def test_new_pixels_must_have_the_shape_and_type_of_the_old() -> None:
    photo = read_photo(SOURCES["rgb"]())
    with pytest.raises(ValueError, match="expected uint8"):
        with_pixels(photo, photo.pixels[:5])
    with pytest.raises(ValueError, match="expected uint8"):
        with_pixels(photo, photo.pixels.astype(np.uint16))


@pytest.mark.parametrize("name", ["Füße.png", "写真.png", "фото 1.png", "🦉.png"])
def test_names_may_go_beyond_ascii(tmp_path: Path, name: str) -> None:
    for source, dtype in (("rgb", np.uint8), ("rgb16+alpha", np.uint16)):
        path = tmp_path / name
        path.write_bytes(SOURCES[source]())
        assert read_photo(path).pixels.dtype == dtype
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_threads_do_not_disturb_each_other() -> None:
    jobs = [(name, SOURCES[name]()) for name in SOURCES] * 4
    expected = {name: encode_photo(read_photo(data)) for name, data in jobs}
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda job: (job[0], encode_photo(read_photo(job[1]))), jobs)
        assert all(expected[name] == data for name, data in found)


def test_pillows_limit_is_restored_after_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    large = pil_bytes(Image.fromarray(noise(64, 64)), "tiff")
    small = pil_bytes(Image.fromarray(noise(8, 8)), "tiff")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read_photo, [large, small] * 40))
    assert Image.MAX_IMAGE_PIXELS == 1000


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.slow
def test_memory_stays_near_the_size_of_the_pixels() -> None:
    """For 12 megapixels, decoding and encoding take about three times the pixels' size."""
    pixels = smooth(3000, 4000)
    data = pil_bytes(Image.fromarray(pixels), "jpeg")
    peak = [0]
    done = threading.Event()

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

    def watch() -> None:
        while not done.wait(0.002):
            peak[0] = max(peak[0], resident())

    before = resident()
    watcher = threading.Thread(target=watch)
    watcher.start()
    photo = read_photo(data)
    encode_photo(photo)
    done.set()
    watcher.join()
    assert peak[0] - before < 3.2 * pixels.nbytes
