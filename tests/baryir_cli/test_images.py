"""Images in and out: what came in is what goes out, upright, with its profile."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, IptcImagePlugin, TiffImagePlugin
from PIL.PngImagePlugin import PngInfo

from baryir_cli.errors import UserError
from baryir_cli.images import (
    FORMATS,
    READABLE_SUFFIXES,
    ImageError,
    Photo,
    encode_photo,
    format_of,
    ifd,
    read_photo,
    with_pixels,
)

LOSSLESS = ["png", "webp", "tiff", "bmp"]
XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="6" dc:title="Owl"/></x:xmpmeta>'


def smooth(height: int = 33, width: int = 47, channels: int = 3, top: int = 255) -> np.ndarray:
    """A picture without hard edges, so that lossy formats stay close."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    planes = [0.5 + 0.4 * np.sin(3 * x + k) * np.cos(2 * y - k) for k in range(channels)]
    dtype = np.uint8 if top == 255 else np.uint16
    return (np.stack(planes, axis=-1) * top).round().astype(dtype)


def noise(height: int = 33, width: int = 47, channels: int = 3, bits: int = 8) -> np.ndarray:
    dtype = np.uint8 if bits == 8 else np.uint16
    shape = (height, width, channels)
    return np.random.default_rng(7).integers(0, 1 << bits, shape).astype(dtype)


def pil_bytes(image: Image.Image, format_name: str, **options: object) -> bytes:
    if format_name == "webp":
        options.setdefault("lossless", True)
        options.setdefault("exact", True)
    out = io.BytesIO()
    image.save(out, format_name.upper(), **options)
    return out.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(header: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of a header and further chunks, by the book and not by what is tested."""
    parts = [(b"IHDR", header), *chunks, (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*part) for part in parts)


def deep_png(array: np.ndarray, *chunks: tuple[bytes, bytes]) -> bytes:
    """A 16-bit PNG of (H, W, 1 to 4)."""
    height, width, channels = array.shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    raw = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    return png_of(header, *chunks, (b"IDAT", zlib.compress(raw)))


def deep_tiff(array: np.ndarray, **options: object) -> bytes:
    out = io.BytesIO()
    photometric = "rgb" if array.ndim == 3 and array.shape[-1] >= 3 else "minisblack"
    tifffile.imwrite(out, array, **{"photometric": photometric, **options})
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def exif_of(orientation: int = 1, thumbnail: bytes = b"") -> bytes:
    """A big-endian EXIF block by hand: orientation, maker, an EXIF directory with a maker note
    and sizes, a GPS directory, and a second directory with a thumbnail."""

    def entry(tag: int, kind: int, count: int, value: int, short: bool = False) -> bytes:
        body = struct.pack(">HH", value, 0) if short else struct.pack(">I", value)
        return struct.pack(">HHI", tag, kind, count) + body

    first = 8
    exif = first + 2 + 4 * 12 + 4
    gps = exif + 2 + 3 * 12 + 4
    second = gps + 2 + 12 + 4
    heap = second + 2 + 2 * 12 + 4
    block = b"MM\0*" + struct.pack(">I", first)
    block += struct.pack(">H", 4) + entry(271, 2, 8, heap)
    block += entry(274, 3, 1, orientation, short=True)
    block += entry(0x8769, 4, 1, exif) + entry(0x8825, 4, 1, gps)
    block += struct.pack(">I", second if thumbnail else 0)
    block += struct.pack(">H", 3) + entry(0x927C, 7, 10, heap + 8)
    block += entry(0xA002, 4, 1, 9999) + entry(0xA003, 4, 1, 8888) + bytes(4)
    block += struct.pack(">H", 1) + entry(1, 2, 2, int.from_bytes(b"N\0\0\0", "big")) + bytes(4)
    block += struct.pack(">H", 2) + entry(513, 4, 1, heap + 18)
    block += entry(514, 4, 1, len(thumbnail)) + bytes(4)
    return block + b"Acme Co\0" + b"MAKERNOTE!" + thumbnail


def with_exif(pixels: np.ndarray, format_name: str, exif: bytes, xmp: bytes = b"") -> bytes:
    image = Image.fromarray(pixels)
    if format_name == "png":
        text = PngInfo()
        text.add_itxt("XML:com.adobe.xmp", xmp.decode())
        return pil_bytes(image, "png", exif=exif, pnginfo=text)
    if format_name == "tiff":
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        if exif:
            tags[274] = struct.unpack(">H", exif[30:32])[0]
        tags[271] = "Acme Co"
        tags[700] = xmp
        return pil_bytes(image, "tiff", tiffinfo=tags)
    prefix = b"Exif\0\0" if exif and format_name == "jpeg" else b""
    return pil_bytes(image, format_name, exif=prefix + exif, xmp=xmp)


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def grey_profile() -> bytes:
    """A profile whose header says grey; nothing here looks further."""
    profile = bytearray(srgb_profile())
    profile[16:20] = b"GRAY"
    return bytes(profile)


def cmyk_profile() -> bytes:
    """A small but working CMYK printer profile: plain inks, tables of both directions in Lab."""

    def lut(inputs: int, outputs: int, grid: int, table: np.ndarray) -> bytes:
        ramp_in = np.tile(np.arange(256, dtype=np.uint8), inputs).tobytes()
        ramp_out = np.tile(np.arange(256, dtype=np.uint8), outputs).tobytes()
        identity = struct.pack(">9i", *(65536 * v for v in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
        head = b"mft1" + bytes(4) + bytes([inputs, outputs, grid, 0]) + identity
        return head + ramp_in + table.astype(np.uint8).tobytes() + ramp_out

    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    to_lab = ImageCms.buildTransform(srgb, lab, "RGB", "LAB", intent)
    from_lab = ImageCms.buildTransform(lab, srgb, "LAB", "RGB", intent)
    inks = np.stack(np.meshgrid(*[np.linspace(0, 1, 9)] * 4, indexing="ij"), -1).reshape(-1, 4)
    rgb = (255 * (1 - inks[:, :3]) * (1 - inks[:, 3:])).round().astype(np.uint8)
    signed = np.asarray(to_lab.apply(Image.fromarray(rgb[None])))[0]
    a2b = signed ^ np.array([0, 128, 128], np.uint8)
    points = np.linspace(0, 255, 33).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(points, points, points, indexing="ij"), -1).reshape(1, -1, 3)
    grid = np.ascontiguousarray(grid ^ np.array([0, 128, 128], np.uint8))
    colours = Image.frombuffer("LAB", grid.shape[1::-1], grid, "raw", "LAB", 0, 1)
    light = np.asarray(from_lab.apply(colours))[0].astype(int)
    b2a = np.concatenate([255 - light, np.zeros((len(light), 1), int)], axis=1)
    white = struct.pack(">4sI3i", b"XYZ ", 0, 63190, 65536, 54061)
    text = b"test\0"
    described = b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78)
    tags = [
        (b"desc", described),
        (b"wtpt", white),
        (b"A2B0", lut(4, 3, 9, a2b)),
        (b"B2A0", lut(3, 4, 33, b2a)),
    ]
    table, body, at = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, data in tags:
        data += bytes(-len(data) % 4)
        table += struct.pack(">4sII", name, at + len(body), len(data))
        body += data
    size = 128 + len(table) + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"test", 0x02400000, b"prtr", b"CMYK", b"Lab ")
    head += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28)
    head += struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + body


def turned(stored: np.ndarray, orientation: int) -> np.ndarray:
    """What EXIF says, told by the corner that the first row and column belong to."""
    return {
        1: stored,
        2: np.fliplr(stored),
        3: np.rot90(stored, 2),
        4: np.flipud(stored),
        5: np.swapaxes(stored, 0, 1),
        6: np.rot90(stored, -1),
        7: np.rot90(np.swapaxes(stored, 0, 1), 2),
        8: np.rot90(stored),
    }[orientation]


# Names and formats


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.JPG", "jpeg"), ("b.tiff", "tiff"), ("c.dib", "bmp"), ("d.mpo", "jpeg"), ("e.gif", None)],
)
def test_format_is_read_off_the_suffix(name: str, expected: str | None) -> None:
    assert format_of(Path(name)) == expected
    assert (Path(name).suffix.lower() in READABLE_SUFFIXES) == (expected is not None)


def test_every_format_has_a_suffix_that_means_it() -> None:
    for name, suffix in FORMATS.items():
        assert format_of(Path("x" + suffix)) == name


# What came in is what goes out


@pytest.mark.parametrize("format_name", LOSSLESS)
@pytest.mark.parametrize("size", [(33, 47), (7, 5), (1, 1)])
def test_colour_comes_back_exactly(format_name: str, size: tuple[int, int]) -> None:
    pixels = noise(*size)
    photo = read_photo(pil_bytes(Image.fromarray(pixels), format_name))
    assert (photo.format, photo.layout, photo.alpha) == (format_name, "rgb", None)
    np.testing.assert_array_equal(photo.pixels, pixels)
    again = opened(encode_photo(photo))
    assert (again.format, again.mode) == (format_name.upper(), "RGB")
    np.testing.assert_array_equal(np.asarray(again), pixels)


def test_more_than_one_band_of_rows_is_read_and_written() -> None:
    # Three bands; a short last one.
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
def test_alpha_is_carried_over(format_name: str, mode: str) -> None:
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
def test_a_bmp_has_no_resolution_that_nobody_gave(channels: int) -> None:
    photo = read_photo(pil_bytes(Image.fromarray(noise(channels=channels)), "png"))
    assert read_photo(encode_photo(photo, "bmp")).dpi is None


def test_alpha_of_a_bmp_is_carried_over() -> None:
    data = noise(channels=4)
    png = read_photo(pil_bytes(Image.fromarray(data), "png"))
    photo = read_photo(encode_photo(png, "bmp"))
    assert photo.format == "bmp"
    again = opened(encode_photo(photo))
    assert again.mode == "RGBA"
    np.testing.assert_array_equal(np.asarray(again), data)


@pytest.mark.parametrize("mode", ["L", "RGB", "1"])
def test_the_transparent_colour_of_a_png_becomes_alpha(mode: str) -> None:
    image = Image.fromarray(smooth()).convert(mode)
    key = image.getpixel((3, 4))
    photo = read_photo(pil_bytes(image, "png", transparency=1 if mode == "1" else key))
    expected = np.asarray(image.convert("RGB")) == image.convert("RGB").getpixel((3, 4))
    if mode == "1":
        expected = np.asarray(image)[..., None].repeat(3, 2)
    assert photo.alpha is not None
    np.testing.assert_array_equal(photo.alpha == 0, expected.all(axis=2))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bit_png(channels: int) -> None:
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


def test_sixteen_bit_png_of_many_rows() -> None:
    data = smooth(1100, 1024, top=65535)
    photo = read_photo(deep_png(data))
    written = encode_photo(photo)
    np.testing.assert_array_equal(read_photo(written).pixels, data)
    # Filtered, that is: plain deflate makes more of it.
    assert len(written) < len(zlib.compress(data.astype(">u2").tobytes()))


def test_rows_like_the_one_above_across_a_band() -> None:
    # Lone bright pixels in columns: the filter that looks up wins on every row.
    row = np.where(noise(1, 1024) > 250, 9, 0).astype(np.uint16)
    data = np.tile(row, (1100, 1, 1))
    np.testing.assert_array_equal(read_photo(encode_photo(read_photo(deep_png(data)))).pixels, data)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bit_tiff(channels: int, order: str) -> None:
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
def test_sixteen_bit_tiff_laid_out_otherwise(options: dict[str, object]) -> None:
    data = noise(bits=16)
    np.testing.assert_array_equal(read_photo(deep_tiff(data, **options)).pixels, data)


def test_sixteen_bit_tiff_in_planes() -> None:
    data = noise(bits=16)
    source = deep_tiff(
        np.ascontiguousarray(data.transpose(2, 0, 1)), planarconfig="separate", photometric="rgb"
    )
    np.testing.assert_array_equal(read_photo(source).pixels, data)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("compression", [5, 32773], ids=["lzw", "packbits"])
def test_sixteen_bit_tiff_with_a_compression_of_libtiff(channels: int, compression: int) -> None:
    data = noise(channels=channels, bits=16)
    stored = data if channels == 1 else data[..., [2, 1, 0, 3][:channels]]
    _, source = cv2.imencode(
        ".tif", np.ascontiguousarray(stored), [cv2.IMWRITE_TIFF_COMPRESSION, compression]
    )
    photo = read_photo(source.tobytes())
    np.testing.assert_array_equal(photo.pixels, np.broadcast_to(data[..., :3], photo.pixels.shape))
    assert (photo.alpha is None) == (channels != 4)


def with_tags(tiff: bytes, numbers: dict[int, int]) -> bytes:
    """A TIFF with more tags, of one short number each."""
    shorts = {tag: ifd.Value(ifd.SHORT, 1, struct.pack("<H", n)) for tag, n in numbers.items()}
    return with_values(tiff, shorts)


def with_values(tiff: bytes, values: dict[int, ifd.Value]) -> bytes:
    """A TIFF with more tags, or others."""
    tags = ifd.read_directories(io.BytesIO(tiff))[0] | values
    tiff += bytes(len(tiff) % 2)
    return tiff[:4] + struct.pack("<I", len(tiff)) + tiff[8:] + ifd.serialise(tags, len(tiff))


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
    """OpenCV would make noise of them."""
    _, lzw = cv2.imencode(".tif", noise(bits=16), [cv2.IMWRITE_TIFF_COMPRESSION, 5])
    assert_refused(with_tags(lzw.tobytes(), {284: 2}), "channels that lie apart, not read in")


@pytest.mark.parametrize("bits", [8, 16])
def test_a_channel_that_is_no_transparency_is_refused(bits: int) -> None:
    """At 8 bits it would be lost, at 16 it would become transparency."""
    data = noise(channels=4, bits=bits)
    tiff = deep_tiff(data, photometric="rgb", extrasamples=["unspecified"])
    assert_refused(tiff, "has a channel beside its colours")


@pytest.mark.parametrize("bits", [8, 16])
def test_resolution_of_a_tiff(bits: int) -> None:
    data = noise(bits=bits)

    def dpi(**options: object) -> tuple[float, float] | None:
        return read_photo(deep_tiff(data, photometric="rgb", **options)).dpi

    assert dpi(resolution=(300, 150), resolutionunit="inch") == (300, 150)
    assert dpi(resolution=(100, 50), resolutionunit="centimeter") == pytest.approx((254, 127))
    # Without a unit it is a shape of pixels; Pillow would call it 1 dpi where there is none.
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


def test_a_restored_palette_image_gets_the_colours_that_suit_it() -> None:
    photo = read_photo(pil_bytes(Image.fromarray(smooth()).quantize(4), "png"))
    restored = smooth(200, 300)
    photo.pixels = restored
    again = opened(encode_photo(photo))
    assert again.mode == "P"
    difference = np.abs(np.asarray(again.convert("RGB")).astype(int) - restored)
    assert difference.mean() < 3


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


def test_greys_that_one_bit_cannot_hold_are_lost_with_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pixels = np.full((20, 20, 3), 255, np.uint8)
    pixels[0] = 128
    letters = Photo(pixels.copy(), None, "png", "bilevel")
    encode_photo(letters)
    assert not caplog.messages
    pixels[:10] = 128
    screen = Photo(pixels, None, "png", "bilevel")
    encode_photo(screen, "jpeg")
    assert not caplog.messages
    encode_photo(screen, "tiff")
    (said,) = caplog.messages
    assert said == "50 % of the pixels are grey and cut to 1 bit; --format jpeg keeps the grey"


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


def test_a_cmyk_profile_is_used_and_not_just_carried() -> None:
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


# Upright, with metadata


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_name", ["jpeg", "png", "webp", "tiff"])
def test_orientation_is_applied_and_reset(format_name: str, orientation: int) -> None:
    stored = smooth(24, 40)
    xmp = XMP.replace(b"6", str(orientation).encode())
    photo = read_photo(with_exif(stored, format_name, exif_of(orientation), xmp))
    expected = turned(stored, orientation)
    assert photo.pixels.shape == expected.shape
    assert np.abs(photo.pixels.astype(int) - expected).max() <= (25 if format_name == "jpeg" else 0)
    data = encode_photo(photo)
    again = opened(data)
    assert again.size == expected.shape[1::-1]
    assert again.getexif().get(274, 1) == 1
    assert again.getexif()[271] == "Acme Co"
    assert b'tiff:Orientation="1"' in data
    np.testing.assert_array_equal(read_photo(data).pixels.shape, expected.shape)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_turns_alpha_and_sixteen_bits(orientation: int) -> None:
    data = noise(12, 17, channels=4, bits=16)
    expected = turned(data, orientation)
    png = read_photo(deep_png(data, (b"eXIf", exif_of(orientation))))
    tiff = read_photo(
        deep_tiff(data, extrasamples=["unassalpha"], extratags=[(274, 3, 1, orientation, True)])
    )
    for photo in (png, tiff):
        np.testing.assert_array_equal(photo.pixels, expected[..., :3])
        np.testing.assert_array_equal(photo.alpha, expected[..., 3])
        np.testing.assert_array_equal(read_photo(encode_photo(photo)).pixels, expected[..., :3])


@pytest.mark.parametrize("format_name", ["jpeg", "png", "webp", "tiff"])
@pytest.mark.parametrize(("exif", "shape"), [(b"", (40, 24, 3)), (exif_of(1), (24, 40, 3))])
def test_xmp_says_the_orientation_where_exif_is_silent(
    format_name: str, exif: bytes, shape: tuple[int, int, int]
) -> None:
    photo = read_photo(with_exif(smooth(24, 40), format_name, exif, XMP))
    assert photo.pixels.shape == shape
    assert photo.xmp == XMP.replace(b"6", b"1")


@pytest.mark.parametrize("format_name", ["jpeg", "png", "tiff"])
def test_the_resolution_is_turned_with_the_pixels(format_name: str) -> None:
    exif = Image.Exif()
    exif[274], exif[282], exif[283], exif[296] = 6, 204.0, 98.0, 2
    out = io.BytesIO()
    Image.fromarray(smooth(24, 40)).save(out, format_name, exif=exif.tobytes(), dpi=(204, 98))
    photo = read_photo(out.getvalue())
    assert photo.dpi == pytest.approx((98, 204), abs=0.1)
    again = opened(encode_photo(photo))
    assert again.info["dpi"] == pytest.approx((98, 204), abs=0.1)
    if format_name != "tiff":
        assert (again.getexif()[282], again.getexif()[283]) == (98, 204)


@pytest.mark.parametrize("format_name", ["jpeg", "png"])
def test_a_file_says_its_resolution_and_not_its_exif(format_name: str) -> None:
    exif = Image.Exif()
    exif[282], exif[283], exif[296] = 72.0, 72.0, 2
    out = io.BytesIO()
    Image.fromarray(smooth()).save(out, format_name, exif=exif.tobytes(), dpi=(300, 300))
    for target in ("jpeg", "png", "tiff"):
        again = opened(encode_photo(read_photo(out.getvalue()), target))
        assert again.info["dpi"] == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize("format_name", ["jpeg", "png", "webp"])
@pytest.mark.parametrize(
    ("tags", "dpi"),
    [
        ({282: 204.0, 283: 98.0, 296: 2}, (204, 98)),
        ({282: 100.0, 283: 50.0, 296: 3}, (254, 127)),
        ({282: 2.0, 283: 1.0, 296: 1}, None),
        ({271: "Acme"}, None),
    ],
    ids=["inches", "centimetres", "no unit", "none"],
)
def test_exif_says_the_resolution_where_the_file_is_silent(
    format_name: str, tags: dict[int, object], dpi: tuple[float, float] | None
) -> None:
    exif = Image.Exif()
    exif.update(tags)
    photo = read_photo(pil_bytes(Image.fromarray(smooth()), format_name, exif=exif.tobytes()))
    assert photo.dpi == dpi
    bmp = read_photo(encode_photo(photo, "bmp")).dpi
    assert bmp == (None if dpi is None else pytest.approx(dpi, abs=0.1))


@pytest.mark.parametrize("number", [0, 0xFFFFFFFF])
def test_an_absurd_resolution_of_a_png_is_none(number: int) -> None:
    resolution = struct.pack(">IIB", number, number, 1)
    photo = read_photo(shallow_png(20, (b"pHYs", resolution)))
    assert photo.dpi is None
    for format_name in FORMATS:
        encode_photo(photo, format_name)


def test_sizes_in_exif_are_those_of_the_upright_image() -> None:
    """As some phones write them, beside those of the EXIF directory."""
    size = {tag: ifd.Value(ifd.LONG, 1, struct.pack("<I", n)) for tag, n in ((256, 64), (257, 48))}
    turn = ifd.Value(ifd.SHORT, 1, struct.pack("<H", 6))
    exif = ifd.exif_block({**size, ifd.ORIENTATION: turn})
    assert exif is not None
    kept = read_photo(with_exif(smooth(48, 64), "jpeg", exif)).exif
    assert kept is not None
    (tags,) = ifd.read_directories(io.BytesIO(kept))
    found = {tag: value.numbers() for tag, value in tags.items() if isinstance(value, ifd.Value)}
    assert found == {256: (48,), 257: (64,), ifd.ORIENTATION: (1,)}


@pytest.mark.parametrize("format_name", ["jpeg", "png", "webp"])
def test_exif_stays_byte_for_byte_but_for_what_is_stale(format_name: str) -> None:
    thumbnail = b"\xff\xd8" + b"STALE" * 20 + b"\xff\xd9"
    exif = exif_of(6, thumbnail)
    photo = read_photo(with_exif(smooth(24, 40), format_name, exif))
    data = encode_photo(photo)
    assert b"STALE" not in data
    assert b"MAKERNOTE!" in data
    kept = read_photo(data).exif
    assert kept is not None
    expected = bytearray(exif_of(1, thumbnail)[: -len(thumbnail)])
    struct.pack_into(">I", expected, 58, 0)
    for at, number in (
        (expected.index(b"\0\0\x27\x0f"), 24),
        (expected.index(b"\0\0\x22\xb8"), 40),
    ):
        struct.pack_into(">I", expected, at, number)
    assert kept == bytes(expected)


def test_exif_and_gps_go_into_a_tiff_and_come_back() -> None:
    photo = read_photo(with_exif(smooth(24, 40), "jpeg", exif_of(1)))
    tiff = encode_photo(photo, "tiff")
    exif = opened(tiff).getexif()
    assert exif[271] == "Acme Co"
    assert exif.get_ifd(0x8769)[0x927C] == b"MAKERNOTE!"
    assert exif.get_ifd(0x8825)[1] == "N"
    jpeg = encode_photo(read_photo(tiff), "jpeg")
    assert opened(jpeg).getexif().get_ifd(0x8825)[1] == "N"
    deep = Photo(noise(bits=16), None, "tiff", "rgb", exif=exif_of(1))
    assert opened(encode_photo(deep)).getexif().get_ifd(0x8769)[0x927C] == b"MAKERNOTE!"


@pytest.mark.parametrize(("kind", "count"), [(1, 1), (3, 2), (8, 1), (9, 1)])
def test_an_orientation_of_another_type_is_reset_as_well(kind: int, count: int) -> None:
    """What has been heeded must not be heeded again."""
    exif = ifd.exif_block({ifd.ORIENTATION: ifd.Value(kind, count, b"\6\0\0\0")})
    assert exif is not None
    once = encode_photo(read_photo(with_exif(smooth(24, 40), "jpeg", exif)))
    assert read_photo(once).pixels.shape == (40, 24, 3)


def test_exif_is_heeded_whatever_lies_behind_its_first_directory() -> None:
    """Some writers leave nonsense where the place of the thumbnail's directory would be."""
    exif = bytearray(exif_of(6))
    struct.pack_into(">I", exif, 58, 0xFFFF)
    photo = read_photo(with_exif(smooth(24, 40), "jpeg", bytes(exif)))
    assert photo.pixels.shape == (40, 24, 3)
    assert opened(encode_photo(photo, "tiff")).getexif()[271] == "Acme Co"


def test_damaged_exif_does_no_harm() -> None:
    far_away = b"II+\0\x08\0\0\0" + b"\xff" * 8
    for exif in (b"MM\0*\0\0\xff\xff", b"junk", exif_of(3)[:40], far_away):
        photo = read_photo(with_exif(smooth(), "png", exif))
        assert photo.pixels.shape == (33, 47, 3)
        for format_name in FORMATS:
            encode_photo(photo, format_name)


@pytest.mark.parametrize("shift", [4, 100_000], ids=["overlapping", "beyond the end"])
def test_a_resolution_that_is_not_there_is_not_turned(shift: int) -> None:
    ratios = (ifd.Value(ifd.RATIONAL, 1, struct.pack("<II", number, 1)) for number in (204, 98))
    exif = ifd.exif_block(dict(zip((ifd.X_RESOLUTION, ifd.Y_RESOLUTION), ratios, strict=True)))
    assert exif is not None
    damaged = bytearray(exif)
    # The second entry's offset, of which the first one's is 38.
    struct.pack_into("<I", damaged, 30, 38 + shift)
    assert ifd.upright_exif(bytes(damaged), 9, 9, on_its_side=True) == damaged


@pytest.mark.parametrize("format_name", ["jpeg", "png", "webp", "tiff"])
def test_the_profile_and_the_resolution_stay(format_name: str) -> None:
    icc = srgb_profile()
    options: dict[str, object] = {} if format_name == "webp" else {"dpi": (200, 200)}
    image = Image.fromarray(smooth())
    photo = read_photo(pil_bytes(image, format_name, icc_profile=icc, **options))
    again = opened(encode_photo(photo))
    assert again.info["icc_profile"] == icc
    if options:
        assert [round(float(v)) for v in again.info["dpi"]] == [200, 200]


def test_png_text_and_colour_space_stay() -> None:
    text = PngInfo()
    text.add_text("Author", "Ansel")
    text.add_text("Title", "Ümlaut", zip=True)
    text.add_itxt("Description", "Zwölf Eulen", "de")
    text.add(b"gAMA", struct.pack(">I", 45455))
    text.add_text("Raw profile type exif", "\nexif\n    4\n" + exif_of(6).hex())
    image = opened(
        encode_photo(read_photo(pil_bytes(Image.fromarray(smooth(24, 40)), "png", pnginfo=text)))
    )
    assert image.size == (24, 40)
    assert image.text["Author"] == "Ansel"
    assert image.text["Title"] == "Ümlaut"
    assert image.text["Description"] == "Zwölf Eulen"
    assert image.info["gamma"] == pytest.approx(0.45455)
    assert "Raw profile type exif" not in image.text
    assert image.getexif()[274] == 1


def resource(kind: int, data: bytes) -> bytes:
    """One of Photoshop's resources."""
    return b"8BIM" + struct.pack(">HHI", kind, 0, len(data)) + data + bytes(len(data) % 2)


def iptc_in(data: bytes) -> dict[tuple[int, int], bytes] | None:
    """IPTC of a TIFF or JPEG, as Pillow finds it."""
    return IptcImagePlugin.getiptcinfo(opened(data))


@pytest.mark.parametrize("kind", [ifd.UNDEFINED, ifd.LONG])
@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(
    "resources",
    [
        b"",
        resource(1005, b"odd"),
        resource(1028, b"\x1colder"),
        resource(1005, b"odd") + b"8BIM, damaged",
        b"no resources",
    ],
)
def test_captions_go_from_a_tiff_into_a_jpeg_and_back(
    kind: int, swapped: bool, resources: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caption = b"\x1c\x02\x78\0\x06An owl\0"
    stored = np.frombuffer(caption, "<u4").byteswap().tobytes() if swapped else caption
    source = with_values(
        pil_bytes(Image.fromarray(smooth()), "tiff"),
        {
            33723: ifd.Value(kind, len(stored) // (4 if kind == ifd.LONG else 1), stored),
            34377: ifd.Value(ifd.UNDEFINED, len(resources), resources),
        },
    )
    photo = read_photo(source)
    jpeg = encode_photo(photo, "jpeg")
    again = encode_photo(read_photo(jpeg), "tiff")
    for data in (jpeg, encode_photo(photo), again):
        assert iptc_in(data) == {(2, 120): b"An owl"}
        assert b"older" not in data
        for kept in (b"odd", b"damaged"):
            assert (kept in data) == (kept in resources)
    png = encode_photo(photo, "png")
    assert iptc_in(encode_photo(read_photo(png), "jpeg")) == {(2, 120): b"An owl"}
    assert not caplog.messages
    encode_photo(photo, "webp")
    others = ", Photoshop resources" if b"odd" in resources or resources[:2] == b"no" else ""
    assert caplog.messages == [f"IPTC{others} cannot be kept in WEBP"]


@pytest.mark.parametrize("name", ["iptc", "8bim"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("bare", [False, True])
def test_captions_of_a_png_are_those_that_other_programs_write(
    name: str, packed: bool, bare: bool
) -> None:
    """Of Photoshop's resources, or IPTC alone; in lines of 72 digits below name and length."""
    caption = b"\x1c\x02\x78\0\x06An owl"
    stored = caption if bare else resource(1028, caption) + resource(1036, b"STALETHUMB")
    digits = stored.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    text = PngInfo()
    keyword = f"Raw profile type {name}"
    text.add_text(keyword, f"\n{name}\n{len(stored):8}\n{lines}\n", zip=packed)
    photo = read_photo(pil_bytes(Image.fromarray(smooth()), "png", pnginfo=text))
    assert iptc_in(encode_photo(photo, "jpeg")) == {(2, 120): b"An owl"}
    kept = opened(encode_photo(photo)).text
    resources = resource(1028, caption)
    wanted = f"\niptc\n{len(resources):8}\n{resources.hex()}\n"
    assert kept == {"Raw profile type iptc": wanted}


def test_many_captions_do_not_close_a_png_to_other_programs() -> None:
    resources = resource(1028, b"\x1c\x02\x78" + bytes(600_000)) + resource(1005, b"odd")
    photo = Photo(smooth(), None, "png", "rgb", photoshop=resources)
    data = encode_photo(photo)
    assert opened(data).size == (47, 33)
    assert read_photo(data).photoshop == resources


def test_damaged_captions_of_a_png_are_left_out_with_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    text = b"Raw profile type iptc\0\niptc\n       4\n1c0z"
    assert read_photo(shallow_png(20, (b"tEXt", text))).photoshop is None
    assert caplog.messages == ["the PNG's iptc text is damaged and left out"]


@pytest.mark.parametrize("name", ["exif", "APP1"])
def test_exif_in_the_text_of_a_png_is_read(name: str) -> None:
    exif = b"Exif\0\0" + exif_of(6)
    text = f"Raw profile type {name}\0\n{name}\n{len(exif):8}\n{exif.hex()}\n".encode()
    photo = read_photo(shallow_png(20, (b"tEXt", text)))
    assert photo.pixels.shape == (30, 20, 3)
    assert opened(encode_photo(photo)).getexif()[271] == "Acme Co"


def test_jpeg_keeps_subsampling_progression_comment_and_captions() -> None:
    body = b"Photoshop 3.0\0" + resource(1028, b"CAPTION") + resource(1036, b"STALETHUMB")
    segment = b"\xff\xed" + struct.pack(">H", len(body) + 2) + body
    source = pil_bytes(
        Image.fromarray(smooth()),
        "jpeg",
        subsampling=2,
        progressive=True,
        comment=b"hello",
        extra=segment,
    )
    photo = read_photo(source)
    data = encode_photo(photo)
    again = opened(data)
    assert again.layer == opened(source).layer
    assert again.info["progressive"]
    assert again.info["comment"] == b"hello"
    assert b"CAPTION" in data
    assert b"STALETHUMB" not in data


def test_quality_has_an_effect_and_a_good_default() -> None:
    photo = read_photo(pil_bytes(Image.fromarray(noise()), "png"))
    for format_name in ("jpeg", "webp"):
        sizes = [len(encode_photo(photo, format_name, quality)) for quality in (20, None, 100)]
        assert sizes[0] < sizes[1] < sizes[2]
    jpeg = encode_photo(read_photo(pil_bytes(Image.fromarray(smooth()), "png")), "jpeg")
    assert np.abs(np.asarray(opened(jpeg)).astype(int) - smooth()).mean() < 1
    assert opened(jpeg).layer[0][1:3] == (1, 1)


def test_webp_is_lossless_only_if_it_was() -> None:
    for lossless in (True, False):
        photo = read_photo(pil_bytes(Image.fromarray(noise()), "webp", lossless=lossless))
        assert photo.lossless == lossless
        again = read_photo(encode_photo(photo))
        assert again.lossless == lossless
    extended = pil_bytes(Image.fromarray(noise(channels=4)), "webp", icc_profile=srgb_profile())
    assert read_photo(extended).lossless
    assert not read_photo(encode_photo(read_photo(extended), quality=90)).lossless


def test_metadata_too_long_for_a_jpeg_are_left_out_with_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    photo = read_photo(pil_bytes(Image.fromarray(smooth()), "png"))
    photo.xmp, photo.exif = b"x" * 70_000, exif_of() + bytes(70_000)
    assert "exif" not in opened(encode_photo(photo, "jpeg")).info
    assert "EXIF of" in caplog.text
    assert "XMP of" in caplog.text


def test_what_else_a_jpeg_holds_is_left_out_with_a_word(caplog: pytest.LogCaptureFixture) -> None:
    def segment(kind: int, body: bytes) -> bytes:
        return b"\xff" + bytes([kind]) + struct.pack(">H", len(body) + 2) + body

    plain = pil_bytes(Image.fromarray(smooth()), "jpeg", comment=b"hello")
    read_photo(plain)
    assert not caplog.messages
    more = (
        segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(40)),
        segment(0xE2, b"MPF\0" + bytes(40)),
        segment(0xEB, b"JP" + bytes(40)),
        segment(0xFE, b"another"),
    )
    video = b"\0\0\0\x18ftypmp42" + bytes(500)
    read_photo(plain[:2] + b"".join(more) + plain[2:] + video)
    assert len(caplog.messages) == 5
    for word in ("comments", "gain map", "XMP", "credentials", "video"):
        assert word in caplog.text


# From one format to another


def test_metadata_that_a_format_cannot_hold_are_left_out_with_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    photo = read_photo(pil_bytes(Image.fromarray(smooth()), "png", icc_profile=srgb_profile()))
    encode_photo(photo, "webp")
    assert not caplog.messages
    photo.comment, photo.photoshop = b"hello", resource(1028, b"\x1cowl") + resource(1005, b"odd")
    photo.chunks = ((b"sRGB", b"\0"), (b"tEXt", b"Title\0Owl"))
    encode_photo(photo, "bmp")
    encode_photo(photo, "tiff")
    assert caplog.messages == [
        "profile, IPTC, Photoshop resources, comment, PNG text cannot be kept in BMP",
        "comment, PNG text cannot be kept in TIFF",
    ]


SOURCES = {
    "grey": lambda: pil_bytes(Image.fromarray(smooth()).convert("L"), "png"),
    "grey+alpha": lambda: pil_bytes(Image.fromarray(smooth(channels=4)).convert("LA"), "png"),
    "rgb": lambda: pil_bytes(Image.fromarray(smooth()), "png"),
    "rgb+alpha": lambda: pil_bytes(Image.fromarray(smooth(channels=4)), "png"),
    "grey16": lambda: deep_png(smooth(channels=1, top=65535)),
    "rgb16+alpha": lambda: deep_png(smooth(channels=4, top=65535)),
    "palette": lambda: pil_bytes(Image.fromarray(smooth()).quantize(256), "png"),
    "palette+alpha": lambda: pil_bytes(
        Image.fromarray(smooth()).quantize(256), "png", transparency=bytes(range(256))
    ),
    "1 bit": lambda: pil_bytes(Image.fromarray(smooth()).convert("1"), "png"),
    "cmyk": lambda: pil_bytes(
        Image.fromarray(smooth()).convert("CMYK"), "tiff", icc_profile=cmyk_profile()
    ),
}
MODES = {
    "grey": {"jpeg": "L", "webp": "RGB", "tiff": "L", "bmp": "L", "png": "L"},
    "grey+alpha": {"jpeg": "L", "webp": "RGBA", "tiff": "LA", "bmp": "RGBA", "png": "LA"},
    "rgb": dict.fromkeys(FORMATS, "RGB"),
    "rgb+alpha": {**dict.fromkeys(FORMATS, "RGBA"), "jpeg": "RGB"},
    "grey16": {"jpeg": "L", "webp": "RGB", "tiff": "I;16", "bmp": "L", "png": "I;16"},
    "rgb16+alpha": {**dict.fromkeys(FORMATS, "RGBA"), "jpeg": "RGB"},
    "palette": {"jpeg": "RGB", "webp": "RGB", "tiff": "P", "bmp": "P", "png": "P"},
    "palette+alpha": {"jpeg": "RGB", "webp": "RGBA", "tiff": "RGBA", "bmp": "RGBA", "png": "P"},
    "1 bit": {"jpeg": "L", "webp": "RGB", "tiff": "1", "bmp": "1", "png": "1"},
    "cmyk": {"jpeg": "CMYK", "webp": "RGB", "tiff": "CMYK", "bmp": "RGB", "png": "RGB"},
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("format_name", FORMATS)
def test_each_layout_goes_into_each_format(source: str, format_name: str) -> None:
    photo = read_photo(SOURCES[source]())
    again = opened(encode_photo(photo, format_name))
    assert (again.format, again.mode) == (format_name.upper(), MODES[source][format_name])
    read = read_photo(encode_photo(photo, format_name))
    if photo.alpha is not None and read.alpha is None:
        scale = np.iinfo(photo.alpha.dtype).max
        cover = photo.alpha[..., None] / scale
        expected = (photo.pixels / scale * cover + 1 - cover) * 255
    else:
        expected = photo.pixels / np.iinfo(photo.pixels.dtype).max * 255
    found = read.pixels / np.iinfo(read.pixels.dtype).max * 255
    assert np.abs(found - expected).mean() < (8 if source == "1 bit" else 3)


def test_sixteen_bits_are_rounded_not_cut() -> None:
    data = np.array([[[0, 128, 129], [65535, 65407, 65406]]], np.uint16)
    photo = read_photo(encode_photo(read_photo(deep_png(data)), "bmp"))
    assert photo.pixels.tolist() == [[[0, 0, 1], [255, 255, 254]]]


def test_a_profile_goes_only_where_its_colours_go() -> None:
    cmyk = read_photo(SOURCES["cmyk"]())
    assert read_photo(encode_photo(cmyk, "png")).icc is None
    assert read_photo(encode_photo(cmyk, "jpeg")).icc == cmyk.icc
    grey = Photo(smooth(), None, "png", "grey", icc=grey_profile())
    assert read_photo(encode_photo(grey, "png")).icc == grey.icc
    assert read_photo(encode_photo(grey, "webp")).icc is None


def test_a_size_that_a_format_cannot_hold_is_an_error() -> None:
    photo = Photo(np.zeros((1, 20_000, 3), np.uint8), None, "png", "rgb")
    with pytest.raises(ImageError, match="cannot be written as WEBP"):
        encode_photo(photo, "webp")
    with pytest.raises(ValueError, match="gif"):
        encode_photo(photo, "gif")


def test_a_tiff_beyond_its_offsets_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Long(io.BytesIO):
        def tell(self) -> int:
            return super().tell() + (1 << 32)

    monkeypatch.setattr("baryir_cli.images.tiff.io", SimpleNamespace(BytesIO=Long))
    with pytest.raises(ImageError, match="larger than 4 GiB"):
        encode_photo(Photo(noise(), None, "tiff", "rgb"))


def test_other_pixels_must_be_alike() -> None:
    photo = read_photo(SOURCES["rgb"]())
    with pytest.raises(ValueError, match="expected uint8"):
        with_pixels(photo, photo.pixels[:5])
    with pytest.raises(ValueError, match="expected uint8"):
        with_pixels(photo, photo.pixels.astype(np.uint16))


# Hostile and bad input


def assert_refused(source: Path | bytes, match: str, **options: float) -> None:
    with pytest.raises(ImageError, match=match) as caught:
        read_photo(source, **options)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, UserError)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "empty"),
        (b"hello, world, this is text", "is not a PNG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "is not a PNG"),
        (b"GIF89a" + bytes(100), "is not a PNG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "export as TIFF"),
        (b"\x89PNG\r\n\x1a\n", "cannot be decoded"),
        (b"\xff\xd8\xff\xe0", "cannot be decoded"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "cannot be decoded"),
        (b"II*\0\x08\0\0\0", "cannot be decoded"),
        (b"BM", "cannot be decoded"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path: Path, data: bytes, match: str) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(data)
    assert_refused(path, match)
    assert_refused(data, match)


def test_raw_data_in_the_clothes_of_a_tiff_are_refused(tmp_path: Path) -> None:
    preview = pil_bytes(Image.fromarray(noise(8, 8)), "tiff")
    (tmp_path / "a.NEF").write_bytes(preview)
    assert_refused(tmp_path / "a.NEF", "export as TIFF")
    assert read_photo(preview).pixels.shape == (8, 8, 3)


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("part", [0.1, 0.5, 0.95])
def test_cut_off_files_are_refused(
    format_name: str, part: float, capfd: pytest.CaptureFixture[str]
) -> None:
    data = pil_bytes(Image.fromarray(noise(64, 64)), format_name)
    assert_refused(data[: int(len(data) * part)], "cannot be decoded: the file is cut off")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("part", [0.5, 0.95])
def test_cut_off_webp_says_so(part: float) -> None:
    data = pil_bytes(Image.fromarray(noise(64, 64)), "webp")
    assert_refused(data[: int(len(data) * part)], "the file is cut off")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.95])
def test_cut_off_sixteen_bit_files_are_refused(
    part: float, capfd: pytest.CaptureFixture[str]
) -> None:
    data = noise(64, 64, bits=16)
    _, lzw = cv2.imencode(".tif", data, [cv2.IMWRITE_TIFF_COMPRESSION, 5])
    for source in (
        deep_png(data),
        deep_tiff(data),
        deep_tiff(data, compression="zlib"),
        lzw.tobytes(),
    ):
        assert_refused(source[: int(len(source) * part)], "cannot be decoded")
    assert capfd.readouterr().err == ""


def shallow_png(rows: int = 20, *chunks: tuple[bytes, bytes], extra: bytes = b"") -> bytes:
    """An 8-bit PNG that announces 30 x 20 pixels and holds that many ``rows``."""
    header = struct.pack(">IIBBBBB", 30, 20, 8, 2, 0, 0, 0)
    raw = b"".join(b"\0" + row.tobytes() for row in noise(20, 30)[:rows]) + extra
    return png_of(header, *chunks, (b"IDAT", zlib.compress(raw)))


def test_large_metadata_of_a_png_are_no_reason_to_refuse_it() -> None:
    profile = bytearray(np.random.default_rng(5).bytes(2_000_000))
    profile[16:20] = b"RGB "
    text = b"Notes\0\0" + zlib.compress(bytes(2_000_000))
    chunks = (b"iCCP", b"a\0\0" + zlib.compress(bytes(profile))), (b"zTXt", text)
    photo = read_photo(shallow_png(20, *chunks))
    np.testing.assert_array_equal(photo.pixels, noise(20, 30))
    assert photo.icc == bytes(profile)
    assert (b"zTXt", text) in photo.chunks
    assert read_photo(encode_photo(photo)).icc == bytes(profile)


def test_absurd_metadata_of_a_png_are_left_out_with_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bomb = zlib.compress(bytes(70 << 20), 9)
    chunks = (b"iCCP", b"a\0\0" + bomb), (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + bomb)
    photo = read_photo(shallow_png(20, *chunks))
    assert photo.icc is None
    assert photo.xmp is None
    assert "a profile of more than 64 MB is left out" in caplog.text


def test_damaged_metadata_of_a_png_are_left_out_with_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = shallow_png(20, (b"tEXt", b"Author\0Ann")).replace(b"Ann", b"Bob")
    assert read_photo(data).chunks == ()
    assert "tEXt chunk is damaged" in caplog.text
    key = shallow_png(20, (b"tRNS", b"\0\1\0\2\0\3")).replace(b"\0\1\0\2\0\3", b"\0\1\0\2\0\4")
    assert_refused(key, "tRNS chunk is damaged")


def test_content_credentials_of_a_png_are_left_out_with_a_word(
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
    # More than enough, as some writers have it, does no harm, nor does a lost end.
    lost_end = deep_png(noise(bits=16))[:-12]
    for data in (shallow_png(20, extra=bytes(100)), shallow_png()[:-12], lost_end):
        read_photo(data)
    assert capfd.readouterr().err == ""


def interlaced_png(array: np.ndarray, depth: int, short: int = 0) -> bytes:
    """A grey (H, W) PNG in the seven passes of Adam7, its last ``short`` bytes missing."""
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
def test_interlaced_png(depth: int, size: tuple[int, int]) -> None:
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


def tiff_of(tags: dict[int, tuple[int, int, int]], body: bytes) -> bytes:
    """A little-endian TIFF: ``body`` from byte 8 on, then a directory of (type, count, value)."""
    body += bytes(len(body) % 2)
    directory = b"".join(struct.pack("<HHII", tag, *tags[tag]) for tag in sorted(tags))
    head = struct.pack("<2sHI", b"II", 42, 8 + len(body))
    return head + body + struct.pack("<H", len(tags)) + directory + bytes(4)


def small_tiff(body: bytes, pixels_at: int, bits: int = 8, **more: tuple[int, int, int]) -> bytes:
    """A grey TIFF of 8 x 8 in a strip at ``pixels_at``; ``more`` are further tags, as t34665=..."""
    tags = {256: (3, 1, 8), 257: (3, 1, 8), 258: (3, 1, bits), 259: (3, 1, 1), 262: (3, 1, 1)}
    tags |= {273: (4, 1, pixels_at), 277: (3, 1, 1), 278: (3, 1, 8), 279: (4, 1, 64)}
    return tiff_of(tags | {int(name[1:]): value for name, value in more.items()}, body)


def directory_of(tags: int, kind: int, count: int, value: int, tag: int | None = None) -> bytes:
    """A directory of so many ``tags``, all alike: numbered from 1000, or all the same ``tag``."""
    rows = (struct.pack("<HHII", tag or 1000 + k, kind, count, value) for k in range(tags))
    return struct.pack("<H", tags) + b"".join(rows) + bytes(4)


def in_time(data: bytes) -> Photo | ImageError:
    """What comes of a hostile file, within about a second and few megabytes."""
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


def test_tiff_directories_that_lie_in_each_other_are_refused() -> None:
    # Each 14 bytes further, and each of 4000 tags: the link of one lands on the next.
    one = struct.pack("<HHHII", 4000, 254, 4, 1, 1)
    body = one * 8000
    data = struct.pack("<2sHI", b"II", 42, 8) + body
    assert isinstance(in_time(data), ImageError)
    pages, tags = 300, 1000
    link = 2 + 12 * tags
    chain = bytearray(link + 4 + 14 * pages)
    for k in range(pages):
        struct.pack_into("<H", chain, 14 * k, tags)
    # Tags that read as nothing, since their type is 0, but for where counts and links are.
    for k in range(pages - 1):
        struct.pack_into("<I", chain, link + 14 * k, 8 + 14 * (k + 1))
    assert "more than 100,000 tags" in str(in_time(struct.pack("<2sHI", b"II", 42, 8) + chain))


@pytest.mark.parametrize("tiled", [False, True])
def test_deflated_tiff_samples_that_are_no_end_are_refused(tiled: bool) -> None:
    bomb = zlib.compress(bytes(100_000_000), 9)
    strip = {"t259": (3, 1, 8), "t279": (4, 1, len(bomb))}
    if tiled:
        strip |= {"t322": (4, 1, 1 << 16), "t323": (4, 1, 1 << 16)}
        strip |= {"t324": (4, 1, 8), "t325": (4, 1, len(bomb))}
    found = in_time(small_tiff(bomb, 8, bits=16, **strip))
    assert isinstance(found, ImageError)
    assert "strips hold more" in str(found) or "not laid out" in str(found)


def test_a_tiff_with_one_tag_too_long_loses_that_tag(caplog: pytest.LogCaptureFixture) -> None:
    body = bytes(64) + bytes(65 << 20)
    photo = read_photo(small_tiff(body, 8, t34675=(7, 65 << 20, 72)))
    assert photo.icc is None
    assert "tag 34675 of 68157440 bytes is too long" in caplog.text


@pytest.mark.parametrize("format_name", FORMATS)
def test_damaged_files_give_an_image_or_an_image_error(format_name: str) -> None:
    data = pil_bytes(Image.fromarray(smooth()), format_name)
    random = np.random.default_rng(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(60):
            damaged = bytearray(data)
            for at in random.integers(0, min(len(data), 400), 4):
                damaged[at] = random.integers(0, 256)
            try:
                read_photo(bytes(damaged), max_megapixels=1)
            except ImageError as error:
                assert "\n" not in str(error)  # noqa: PT017


def test_folders_and_unreadable_files_are_refused(tmp_path: Path) -> None:
    assert_refused(tmp_path, "is a folder")
    assert_refused(tmp_path / "none.png", "No such file")
    if os.name != "nt" and os.geteuid() != 0:
        path = tmp_path / "locked.png"
        path.write_bytes(SOURCES["rgb"]())
        path.chmod(0)
        assert_refused(path, "Permission denied")


@pytest.mark.skipif(os.name == "nt", reason="POSIX only")
def test_pipes_devices_and_sockets_are_refused_unopened(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    # A reader that waits for a writer would hold up the whole run: watched from outside.
    code = "import sys; from pathlib import Path; from baryir_cli.images import read_photo\n"
    code += "read_photo(Path(sys.argv[1]))"
    found = subprocess.run(
        [sys.executable, "-c", code, str(pipe)], capture_output=True, text=True, timeout=60
    )
    assert "ImageError: is not a regular file" in found.stderr
    assert_refused(Path("/dev/null"), "is not a regular file")
    (tmp_path / "link.png").symlink_to(pipe)
    assert_refused(tmp_path / "link.png", "is not a regular file")


def huge_header(format_name: str) -> bytes:
    """A small file that announces 100,000 x 100,000 pixels (WebP: 16,384 x 16,384)."""
    side = 100_000
    if format_name == "png":
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        return png_of(header, (b"IDAT", zlib.compress(bytes(1000))))
    data = bytearray(pil_bytes(Image.new("RGB", (16, 16)), format_name))
    if format_name == "jpeg":
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = b"\xff\xff\xff\xff"
    elif format_name == "webp":
        return b"RIFF\x30\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff\x3f\0" * 2 + bytes(40)
    elif format_name == "bmp":
        struct.pack_into("<ii", data, 18, side, side)
    else:
        directory = struct.unpack_from("<I", data, 4)[0]
        for at in range(directory + 2, directory + 26, 12):
            if struct.unpack_from("<H", data, at)[0] in (256, 257):
                struct.pack_into("<HII", data, at + 2, 4, 1, side)
    return bytes(data)


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_header_that_announces_too_much_is_refused(format_name: str) -> None:
    limit = 100 if format_name == "webp" else 512
    match = rf"above the limit of {limit} megapixels; --max-megapixels"
    assert_refused(huge_header(format_name), match, max_megapixels=limit)


@pytest.mark.parametrize("format_name", FORMATS)
def test_ours_is_the_one_limit(format_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = pil_bytes(Image.fromarray(noise(64, 64)), format_name)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_photo(data).pixels.shape == (64, 64, 3)
    assert Image.MAX_IMAGE_PIXELS == 1000
    assert read_photo(data, max_megapixels=0.0041).pixels.shape == (64, 64, 3)
    assert_refused(data, "limit of 0.004 megapixels", max_megapixels=0.004)


def test_several_frames_are_refused() -> None:
    frames = [Image.fromarray(noise() // k) for k in (1, 2, 3)]
    for format_name, what in (("png", "frames"), ("webp", "frames"), ("tiff", "pages")):
        data = pil_bytes(frames[0], format_name, save_all=True, append_images=frames[1:])
        assert_refused(data, f"has 3 {what}")


def test_a_thumbnail_in_a_tiff_is_no_page() -> None:
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as writer:
        writer.write(noise(), photometric="rgb")
        writer.write(noise(8, 8), photometric="rgb", subfiletype=1)
    np.testing.assert_array_equal(read_photo(out.getvalue()).pixels, noise())


def test_a_tiff_that_begins_with_a_thumbnail_is_refused() -> None:
    """The photograph behind it would be lost."""
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


def test_of_an_mpo_the_primary_image_is_read() -> None:
    first, second = Image.fromarray(smooth()), Image.fromarray(255 - smooth())
    out = io.BytesIO()
    first.save(out, "MPO", save_all=True, append_images=[second])
    photo = read_photo(out.getvalue())
    assert photo.format == "jpeg"
    assert np.abs(photo.pixels.astype(int) - smooth()).mean() < 5


@pytest.mark.parametrize(
    ("dtype", "match"),
    [
        ("f4", "32-bit floating"),
        ("u4", "32-bit unsigned"),
        ("i2", "16-bit signed"),
        ("f8", "64-bit"),
    ],
)
def test_depths_that_are_not_supported_are_refused(dtype: str, match: str) -> None:
    assert_refused(deep_tiff(np.zeros((8, 8), dtype)), match)


def test_channels_that_would_be_lost_are_refused() -> None:
    five = deep_tiff(noise(channels=5), photometric="rgb", planarconfig="contig")
    assert_refused(five, "5 channels")
    inks = deep_tiff(noise(channels=4, bits=16), photometric="separated")
    assert_refused(inks, "neither grey nor RGB")


@pytest.mark.parametrize(
    ("bits", "layout", "tags", "match"),
    [
        (8, {"photometric": "miniswhite"}, {}, "stored white as zero; save it as RGB or PNG"),
        (8, {"planarconfig": "separate"}, {}, "stored apart from each other; save it as RGB or"),
        (8, {"planarconfig": "separate", "compression": "zlib"}, {}, "stored apart from each"),
        (16, {}, {259: 5}, "16-bit grey with transparency, not read in this compression; save it"),
    ],
)
def test_grey_and_transparency_that_nothing_here_reads_is_refused(
    bits: int, layout: dict[str, str], tags: dict[int, int], match: str
) -> None:
    data = noise(channels=2, bits=bits)
    if layout.get("planarconfig") == "separate":
        data = np.ascontiguousarray(np.moveaxis(data, 2, 0))
    options = {"photometric": "minisblack", "planarconfig": "contig", **layout}
    assert_refused(with_tags(deep_tiff(data, extrasamples=["unassalpha"], **options), tags), match)


def test_colours_that_are_not_read_are_named() -> None:
    lab = pil_bytes(Image.fromarray(noise()).convert("LAB"), "tiff")
    assert_refused(lab, r"not supported \(CIELab\); save it as RGB first")


# Names, threads, files


@pytest.mark.parametrize("name", ["Füße.png", "写真.png", "фото 1.png", "🦉.png"])
def test_names_beyond_ascii(tmp_path: Path, name: str) -> None:
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


def test_pillows_limit_comes_back_after_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    large = pil_bytes(Image.fromarray(noise(64, 64)), "tiff")
    small = pil_bytes(Image.fromarray(noise(8, 8)), "tiff")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read_photo, [large, small] * 40))
    assert Image.MAX_IMAGE_PIXELS == 1000


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.slow
def test_memory_stays_near_the_size_of_the_pixels() -> None:
    """12 megapixels: decoding and encoding take a few times the pixels, never many."""
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
