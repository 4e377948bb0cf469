"""PNG: 16 bits, transparency, interlacing, and files that are damaged or absurd."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from baryir_cli.images import ImageError, encode_photo, read_photo
from tests.baryir_cli.images.samples import (
    assert_refused,
    deep_png,
    grey_profile,
    noise,
    pil_bytes,
    png_of,
    shallow_png,
    smooth,
    srgb_profile,
)


@pytest.mark.parametrize("mode", ["L", "RGB", "1"])
def test_the_transparent_colour_of_a_png_becomes_alpha(
    mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    image = Image.fromarray(smooth()).convert(mode)
    key = image.getpixel((3, 4))
    photo = read_photo(pil_bytes(image, "png", transparency=1 if mode == "1" else key))
    expected = np.asarray(image.convert("RGB")) == image.convert("RGB").getpixel((3, 4))
    if mode == "1":
        expected = np.asarray(image)[..., None].repeat(3, 2)
    assert photo.alpha is not None
    np.testing.assert_array_equal(photo.alpha == 0, expected.all(axis=2))
    deeper = "1 bit became 8 bits, because of the transparency"
    assert caplog.messages == ([deeper] if mode == "1" else [])


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_sixteen_bit_png_keeps_pixels_profile_and_resolution(channels: int) -> None:
    data = noise(channels=channels, bits=16)
    icc = grey_profile() if channels < 3 else srgb_profile()
    profile = (b"iCCP", b"any\0\0" + zlib.compress(icc))
    density = (b"pHYs", struct.pack(">IIB", 11811, 11811, 1))
    photo = read_photo(deep_png(data, profile, density))
    assert photo.pixels.dtype == np.uint16
    assert photo.layout == ("grey" if channels < 3 else "rgb")
    colours = data[..., :1] if channels < 3 else data[..., :3]
    np.testing.assert_array_equal(photo.pixels, np.broadcast_to(colours, photo.pixels.shape))
    written = encode_photo(photo)
    assert (written[24], written[25]) == (16, {1: 0, 2: 4, 3: 2, 4: 6}[channels])
    seen = cv2.imdecode(np.frombuffer(written, np.uint8), cv2.IMREAD_UNCHANGED)
    assert seen.dtype == np.uint16
    again = read_photo(written)
    np.testing.assert_array_equal(again.pixels, photo.pixels)
    if channels in (2, 4):
        assert again.alpha is not None
        np.testing.assert_array_equal(again.alpha, data[..., -1])
    assert again.icc == icc
    assert again.dpi == pytest.approx((300, 300), rel=1e-3)


@pytest.mark.parametrize("depth", [2, 4])
def test_the_transparent_grey_of_a_png_of_few_bits_becomes_alpha(depth: int) -> None:
    levels = np.random.default_rng(3).integers(0, 1 << depth, (8, 16))
    bits = (levels[..., None] >> np.arange(depth)[::-1] & 1).reshape(8, -1).astype(np.uint8)
    rows = b"".join(b"\0" + row.tobytes() for row in np.packbits(bits, axis=1))
    header = struct.pack(">IIBBBBB", 16, 8, depth, 0, 0, 0, 0)
    photo = read_photo(png_of(header, (b"tRNS", b"\0\x02"), (b"IDAT", zlib.compress(rows))))
    np.testing.assert_array_equal(photo.pixels[..., 0], levels * (255 // ((1 << depth) - 1)))
    np.testing.assert_array_equal(photo.alpha, np.where(levels == 2, 0, 255))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_transparent_colour_of_a_sixteen_bit_png_becomes_alpha(channels: int) -> None:
    data = noise(channels=channels, bits=16)
    data[2, 3] = data[0, 0]
    photo = read_photo(deep_png(data, (b"tRNS", data[0, 0].astype(">u2").tobytes())))
    assert photo.alpha is not None
    assert np.argwhere(photo.alpha == 0).tolist() == [[0, 0], [2, 3]]
    assert photo.alpha.max() == 65535


def test_a_sixteen_bit_png_of_many_rows_is_filtered() -> None:
    data = smooth(1100, 1024, top=65535)
    photo = read_photo(deep_png(data))
    written = encode_photo(photo)
    np.testing.assert_array_equal(read_photo(written).pixels, data)
    # Without filters, deflate alone gives more.
    assert len(written) < len(zlib.compress(data.astype(">u2").tobytes()))


def test_rows_equal_to_the_one_above_survive_the_edge_of_a_band() -> None:
    # Lone bright pixels in columns, so that the filter "up" wins on every row.
    row = np.where(noise(1, 1024) > 250, 9, 0).astype(np.uint16)
    data = np.tile(row, (1100, 1, 1))
    np.testing.assert_array_equal(read_photo(encode_photo(read_photo(deep_png(data)))).pixels, data)


def test_a_png_with_large_metadata_is_read() -> None:
    profile = bytearray(np.random.default_rng(5).bytes(2_000_000))
    profile[16:20] = b"RGB "
    text = b"Notes\0\0" + zlib.compress(bytes(2_000_000))
    chunks = (b"iCCP", b"a\0\0" + zlib.compress(bytes(profile))), (b"zTXt", text)
    photo = read_photo(shallow_png(20, *chunks))
    np.testing.assert_array_equal(photo.pixels, noise(20, 30))
    assert photo.icc == bytes(profile)
    assert (b"zTXt", text) in photo.chunks
    assert read_photo(encode_photo(photo)).icc == bytes(profile)


def test_absurd_metadata_of_a_png_is_reported_as_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bomb = zlib.compress(bytes(70 << 20), 9)
    chunks = (b"iCCP", b"a\0\0" + bomb), (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + bomb)
    photo = read_photo(shallow_png(20, *chunks))
    assert photo.icc is None
    assert photo.xmp is None
    assert "a profile of more than 64 MB is left out" in caplog.text


def test_damaged_metadata_of_a_png_is_reported_as_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = shallow_png(20, (b"tEXt", b"Author\0Ann")).replace(b"Ann", b"Bob")
    assert read_photo(data).chunks == ()
    assert "tEXt chunk is damaged" in caplog.text
    key = shallow_png(20, (b"tRNS", b"\0\1\0\2\0\3")).replace(b"\0\1\0\2\0\3", b"\0\1\0\2\0\4")
    assert_refused(key, "tRNS chunk is damaged")


def test_content_credentials_of_a_png_are_reported_as_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    photo = read_photo(shallow_png(20, (b"caBX", b"jumb")))
    assert "content credentials" in caplog.text
    assert b"caBX" not in encode_photo(photo)


def test_png_pixels_that_stop_early_are_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert_refused(shallow_png(10), "its pixels stop early")
    assert_refused(shallow_png(19), "its pixels stop early")
    deep = bytearray(deep_png(noise(10, 30, bits=16)))
    deep[16:33] = shallow_png()[16:33]
    deep[24] = 16
    deep[29:33] = struct.pack(">I", zlib.crc32(deep[12:29]))
    assert_refused(bytes(deep), "its pixels stop early")
    # More than enough, which some writers leave, does no harm, nor does a lost end.
    lost_end = deep_png(noise(bits=16))[:-12]
    for data in (shallow_png(20, extra=bytes(100)), shallow_png()[:-12], lost_end):
        read_photo(data)
    assert capfd.readouterr().err == ""


def interlaced_png(array: np.ndarray, depth: int, short: int = 0) -> bytes:
    """A grey (H, W) PNG in the seven passes of Adam7, without its last ``short`` bytes."""
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)]
    raw = b""
    for left, top, across, down in [*passes, (0, 1, 1, 2)]:
        for row in array[top::down, left::across]:
            if row.size:
                packed = np.packbits(row) if depth == 1 else row.astype(f">u{depth // 8}")
                raw += b"\0" + packed.tobytes()
    header = struct.pack(">IIBBBBB", *array.shape[::-1], depth, 0, 0, 0, 1)
    raw = raw[: len(raw) - short]
    return png_of(header, (b"IDAT", zlib.compress(raw)))


@pytest.mark.parametrize("depth", [1, 8, 16])
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (5, 2), (8, 9), (33, 47)])
def test_an_interlaced_png_is_read(depth: int, size: tuple[int, int]) -> None:
    array = noise(*size, 1, bits=16)[..., 0] >> (16 - depth)
    photo = read_photo(interlaced_png(array, depth))
    expected = array * (255 if depth == 1 else 1)
    np.testing.assert_array_equal(photo.pixels, np.repeat(expected[..., None], 3, axis=2))
    assert_refused(interlaced_png(array, depth, short=1), "its pixels stop early")


def test_damaged_sixteen_bit_pngs_print_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    profile = b"a\0\0" + zlib.compress(bytes(2_000_000))
    data = deep_png(smooth(top=65535), (b"iCCP", profile), (b"tEXt", b"Author\0Ann"))
    assert read_photo(data).icc == bytes(2_000_000)
    random = np.random.default_rng(3)
    for start in (8, data.index(b"IDAT"), len(data) - 20):
        for _ in range(40):
            damaged = bytearray(data)
            damaged[random.integers(start, min(len(data), start + 400))] ^= 0x55
            try:
                read_photo(bytes(damaged), max_megapixels=1)
            except ImageError as error:
                assert "\n" not in str(error)  # noqa: PT017
    assert capfd.readouterr().err == ""
