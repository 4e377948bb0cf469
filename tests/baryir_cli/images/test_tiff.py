"""TIFF: its many layouts, and files that are damaged or hostile."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc
import zlib
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from baryir_cli.images import ImageError, Photo, encode_photo, read_photo
from tests.baryir_cli.images.samples import (
    assert_refused,
    deep_tiff,
    noise,
    smooth,
    srgb_profile,
    turned,
    with_tags,
)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_sixteen_bit_tiff_keeps_pixels_tags_and_profile(channels: int, order: str) -> None:
    data = noise(channels=channels, bits=16)
    extra = {"extrasamples": ["unassalpha"]} if channels in (2, 4) else {}
    icc = srgb_profile()
    array = data[..., 0] if channels == 1 else data
    source = deep_tiff(
        array.astype(order + "u2"),
        byteorder=order,
        planarconfig="contig",
        resolution=(300, 300),
        resolutionunit="INCH",
        extratags=[(315, 2, 0, "Ansel", True), (34675, 7, len(icc), icc, True)],
        **extra,
    )
    photo = read_photo(source)
    assert photo.pixels.dtype == np.uint16
    written = encode_photo(photo)
    with tifffile.TiffFile(io.BytesIO(written)) as tiff:
        page = tiff.pages[0]
        np.testing.assert_array_equal(page.asarray().reshape(data.shape), data)
        assert page.tags["Artist"].value == "Ansel"
        assert page.tags["XResolution"].value == (300, 1)
    again = read_photo(written)
    assert again.icc == icc
    np.testing.assert_array_equal(again.pixels, photo.pixels)
    if channels in (2, 4):
        np.testing.assert_array_equal(again.alpha, data[..., -1])


@pytest.mark.parametrize(
    "options", [{"tile": (16, 16)}, {"compression": "zlib"}, {"rowsperstrip": 5}]
)
def test_sixteen_bit_tiffs_may_have_tiles_strips_and_compression(
    options: dict[str, object],
) -> None:
    data = noise(bits=16)
    np.testing.assert_array_equal(read_photo(deep_tiff(data, **options)).pixels, data)


def test_sixteen_bit_tiffs_may_have_planes() -> None:
    data = noise(bits=16)
    source = deep_tiff(
        np.ascontiguousarray(data.transpose(2, 0, 1)), planarconfig="separate", photometric="rgb"
    )
    np.testing.assert_array_equal(read_photo(source).pixels, data)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("compression", [5, 32773], ids=["lzw", "packbits"])
def test_sixteen_bit_tiffs_may_have_a_compression_of_libtiff(
    channels: int, compression: int
) -> None:
    data = noise(channels=channels, bits=16)
    stored = data if channels == 1 else data[..., [2, 1, 0, 3][:channels]]
    _, source = cv2.imencode(
        ".tif", np.ascontiguousarray(stored), [cv2.IMWRITE_TIFF_COMPRESSION, compression]
    )
    photo = read_photo(source.tobytes())
    np.testing.assert_array_equal(photo.pixels, np.broadcast_to(data[..., :3], photo.pixels.shape))
    assert (photo.alpha is None) == (channels != 4)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(12, 17), (16, 16)])
def test_a_tiff_that_opencv_reads_is_turned_once(orientation: int, size: tuple[int, int]) -> None:
    data = noise(*size, channels=4, bits=16)
    _, lzw = cv2.imencode(
        ".tif", np.ascontiguousarray(data[..., [2, 1, 0, 3]]), [cv2.IMWRITE_TIFF_COMPRESSION, 5]
    )
    photo = read_photo(with_tags(lzw.tobytes(), {274: orientation}))
    expected = turned(data, orientation)
    np.testing.assert_array_equal(photo.pixels, expected[..., :3])
    np.testing.assert_array_equal(photo.alpha, expected[..., 3])


def test_compressed_planes_of_sixteen_bits_are_refused() -> None:
    """OpenCV would read noise."""
    _, lzw = cv2.imencode(".tif", noise(bits=16), [cv2.IMWRITE_TIFF_COMPRESSION, 5])
    assert_refused(with_tags(lzw.tobytes(), {284: 2}), "planar channels in an unsupported")


@pytest.mark.parametrize("bits", [8, 16])
def test_an_extra_channel_that_is_not_transparency_is_refused(bits: int) -> None:
    """At 8 bits it would be lost; at 16 it would become transparency."""
    data = noise(channels=4, bits=bits)
    tiff = deep_tiff(data, photometric="rgb", extrasamples=["unspecified"])
    assert_refused(tiff, "has an extra channel")


@pytest.mark.parametrize("bits", [8, 16])
def test_the_resolution_of_a_tiff_needs_a_unit(bits: int) -> None:
    data = noise(bits=bits)

    def dpi(**options: object) -> tuple[float, float] | None:
        return read_photo(deep_tiff(data, photometric="rgb", **options)).dpi

    assert dpi(resolution=(300, 150), resolutionunit="inch") == (300, 150)
    assert dpi(resolution=(100, 50), resolutionunit="centimeter") == pytest.approx((254, 127))
    # Without a unit it is the pixels' shape. Where there is none, Pillow would say 1 dpi.
    assert dpi(resolution=(2, 1), resolutionunit="none") is None
    bare = io.BytesIO()
    Image.fromarray(smooth()).save(bare, "TIFF")
    photo = read_photo(bare.getvalue())
    assert photo.dpi is None
    assert "dpi" not in Image.open(io.BytesIO(encode_photo(photo, "png"))).info


def test_white_is_zero_and_premultiplied_alpha_are_undone() -> None:
    data = noise(channels=1, bits=16)[..., 0]
    photo = read_photo(deep_tiff(data, photometric="miniswhite"))
    np.testing.assert_array_equal(photo.pixels[..., 0], 65535 - data)
    rgba = smooth(channels=4, top=65535)
    premultiplied = rgba.copy()
    premultiplied[..., :3] = rgba[..., :3] * (rgba[..., 3:] / 65535)
    photo = read_photo(deep_tiff(premultiplied, extrasamples=["assocalpha"]))
    assert np.abs(photo.pixels.astype(int) - rgba[..., :3]).max() <= 12


def test_a_tiff_larger_than_its_offsets_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Long(io.BytesIO):
        def tell(self) -> int:
            return super().tell() + (1 << 32)

    monkeypatch.setattr("baryir_cli.images.tiff.io", SimpleNamespace(BytesIO=Long))
    with pytest.raises(ImageError, match="larger than 4 GiB"):
        encode_photo(Photo(noise(), None, "tiff", "rgb"))


def tiff_of(tags: dict[int, tuple[int, int, int]], body: bytes) -> bytes:
    """A little-endian TIFF: ``body`` from byte 8 on, then a directory of (type, count, value)s."""
    body += bytes(len(body) % 2)
    directory = b"".join(struct.pack("<HHII", tag, *tags[tag]) for tag in sorted(tags))
    head = struct.pack("<2sHI", b"II", 42, 8 + len(body))
    return head + body + struct.pack("<H", len(tags)) + directory + bytes(4)


def small_tiff(body: bytes, pixels_at: int, bits: int = 8, **more: tuple[int, int, int]) -> bytes:
    """A grey 8 x 8 TIFF with one strip at ``pixels_at``; ``more`` are further tags: t34665=..."""
    tags = {256: (3, 1, 8), 257: (3, 1, 8), 258: (3, 1, bits), 259: (3, 1, 1), 262: (3, 1, 1)}
    tags |= {273: (4, 1, pixels_at), 277: (3, 1, 1), 278: (3, 1, 8), 279: (4, 1, 64)}
    return tiff_of(tags | {int(name[1:]): value for name, value in more.items()}, body)


def directory_of(tags: int, kind: int, count: int, value: int, tag: int | None = None) -> bytes:
    """A directory of ``tags`` equal entries, numbered from 1000 or all with the same ``tag``."""
    rows = (struct.pack("<HHII", tag or 1000 + k, kind, count, value) for k in range(tags))
    return struct.pack("<H", tags) + b"".join(rows) + bytes(4)


def in_time(data: bytes) -> Photo | ImageError:
    """What becomes of a hostile file, within seconds and a few megabytes."""
    tracemalloc.start()
    start = time.process_time()
    try:
        photo = read_photo(data)
        assert len(encode_photo(photo)) < 1_000_000
        return photo
    except ImageError as error:
        return error
    finally:
        taken, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert taken < 3
        assert peak < 16_000_000


def test_tiff_tags_that_share_one_long_value_are_refused() -> None:
    blob = bytes(400_000)
    below = directory_of(1000, 7, len(blob), 8)
    body = blob + below + bytes(64)
    exif_at, pixels_at = 8 + len(blob), 8 + len(blob) + len(below)
    hidden = small_tiff(body, pixels_at, t34665=(4, 1, exif_at))
    assert "its tags overlap" in str(in_time(hidden))
    more = {f"t{60000 + k}": (7, len(blob), 8) for k in range(1000)}
    assert "its tags overlap" in str(in_time(small_tiff(body, pixels_at, **more)))


def test_sub_directories_of_a_tiff_are_followed_once() -> None:
    below = directory_of(700, 4, 1, 5)
    between = directory_of(700, 4, 1, 8, tag=0x8825)
    body = below + between + bytes(64)
    exif_at, pixels_at = 8 + len(below), 8 + len(below) + len(between)
    found = in_time(small_tiff(body, pixels_at, t34665=(4, 1, exif_at)))
    assert isinstance(found, Photo)
    assert found.pixels.shape == (8, 8, 3)


def test_overlapping_tiff_directories_are_refused() -> None:
    # Each lies 14 bytes further and has 4000 tags, and its link lands on the next.
    one = struct.pack("<HHHII", 4000, 254, 4, 1, 1)
    body = one * 8000
    data = struct.pack("<2sHI", b"II", 42, 8) + body
    assert isinstance(in_time(data), ImageError)
    pages, tags = 300, 1000
    link = 2 + 12 * tags
    chain = bytearray(link + 4 + 14 * pages)
    for k in range(pages):
        struct.pack_into("<H", chain, 14 * k, tags)
    # The tags have type 0 and so mean nothing, except where counts and links are.
    for k in range(pages - 1):
        struct.pack_into("<I", chain, link + 14 * k, 8 + 14 * (k + 1))
    assert "more than 100,000 tags" in str(in_time(struct.pack("<2sHI", b"II", 42, 8) + chain))


@pytest.mark.parametrize("tiled", [False, True])
def test_deflated_tiff_samples_without_end_are_refused(tiled: bool) -> None:
    bomb = zlib.compress(bytes(100_000_000), 9)
    strip = {"t259": (3, 1, 8), "t279": (4, 1, len(bomb))}
    if tiled:
        strip |= {"t322": (4, 1, 1 << 16), "t323": (4, 1, 1 << 16)}
        strip |= {"t324": (4, 1, 8), "t325": (4, 1, len(bomb))}
    found = in_time(small_tiff(bomb, 8, bits=16, **strip))
    assert isinstance(found, ImageError)
    assert "strips hold more" in str(found) or "not laid out" in str(found)


def test_a_tiff_loses_a_tag_that_is_too_long(caplog: pytest.LogCaptureFixture) -> None:
    body = bytes(64) + bytes(65 << 20)
    photo = read_photo(small_tiff(body, 8, t34675=(7, 65 << 20, 72)))
    assert photo.icc is None
    assert "tag 34675 of 68157440 bytes is too long" in caplog.text


def test_a_thumbnail_in_a_tiff_is_not_a_page() -> None:
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as writer:
        writer.write(noise(), photometric="rgb")
        writer.write(noise(8, 8), photometric="rgb", subfiletype=1)
    np.testing.assert_array_equal(read_photo(out.getvalue()).pixels, noise())


def test_a_tiff_that_begins_with_a_thumbnail_is_refused() -> None:
    """The photograph after it would be lost."""
    pages, nested = io.BytesIO(), io.BytesIO()
    with tifffile.TiffWriter(pages) as writer:
        writer.write(noise(8, 8), photometric="rgb", subfiletype=1)
        writer.write(noise(), photometric="rgb")
    with tifffile.TiffWriter(nested) as writer:
        writer.write(noise(8, 8), photometric="rgb", subfiletype=1, subifds=1)
        writer.write(noise(), photometric="rgb")
    for tiff in (pages, nested):
        assert_refused(tiff.getvalue(), "begins with a thumbnail")
    alone = io.BytesIO()
    tifffile.imwrite(alone, noise(8, 8), photometric="rgb", subfiletype=1)
    np.testing.assert_array_equal(read_photo(alone.getvalue()).pixels, noise(8, 8))
