"""JPEG 2000: what archives store is kept, or reported as lost."""

from __future__ import annotations

import base64
import struct
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from baryir_cli.images import ImageError, Photo, boxes, encode_photo, jpeg2000, read_photo
from baryir_cli.images.headers import looks_like_an_image, pixels_of
from tests.baryir_cli.images.samples import (
    XMP,
    assert_refused,
    exif_of,
    grey_profile,
    noise,
    opened,
    pil_bytes,
    smooth,
    srgb_profile,
    turned,
)

XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
EXIF_UUID = b"JpgTiffExif->JP2"
GEO_UUID = bytes.fromhex("b14bf8bd083d4b43a5ae8cd7d5a6ce03")
START = b"\xff\x4f\xff\x51"

# By opj_compress, of what other_pixels() gives: RGB of 12 bits and grey of 10.
RGB_12 = base64.b64decode(
    "/0//UQAvAAAAAAAHAAAABQAAAAAAAAAAAAAABwAAAAUAAAAAAAAAAAADCwEBCwEBCwEB/1IADAAAAAEBAQQEAAH/XAAH"
    "QGBoaHD/ZAAlAAFDcmVhdGVkIGJ5IE9wZW5KUEVHIHZlcnNpb24gMi41LjD/kAAKAAAAAABWAAH/k8/kSAdIXvh/xfrv"
    "9YOTb11k8lEPS8/kSBE1uUnv3B3CdddmeTTgqNv4H8/kSBJFYKT37g7hOuuzPJpwVG38D8AHwhgI7IuAgP/Z"
)
GREY_10 = base64.b64decode(
    "/0//UQApAAAAAAAHAAAABQAAAAAAAAAAAAAABwAAAAUAAAAAAAAAAAABCQEB/1IADAAAAAEAAQQEAAH/XAAHQFBYWGD/"
    "ZAAlAAFDcmVhdGVkIGJ5IE9wZW5KUEVHIHZlcnNpb24gMi41LjD/kAAKAAAAAAAoAAH/k9+wgAbFcl2k3fB88z4DEVmB"
    "rzPAHwhgCOyL/9k="
)


def other_pixels(channels: int, bits: int) -> np.ndarray:
    y, x = np.mgrid[0:5, 0:7]
    planes = [x * x * 7 + y * 131 + k * 977 + x * y * k * 13 for k in range(channels)]
    return np.stack(planes, axis=-1) % (1 << bits)


def box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(data), kind) + data


def parts_of(data: bytes) -> list[tuple[bytes, bytes]]:
    parts, at = [], 0
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        parts.append((kind, data[at + 8 : at + length]))
        at += length
    return parts


def with_boxes(
    data: bytes, *others: bytes, header: tuple[bytes, ...] = (), without: tuple[bytes, ...] = ()
) -> bytes:
    """A JP2 with more boxes in front of the codestream and in its header, some without others."""
    parts = dict(parts_of(data))
    kept = [box(*part) for part in parts_of(parts[b"jp2h"]) if part[0] not in without]
    new_header = box(b"jp2h", b"".join([*kept, *header]))
    start = box(b"jP  ", parts[b"jP  "]) + box(b"ftyp", parts[b"ftyp"]) + new_header
    return start + b"".join(others) + box(b"jp2c", parts[b"jp2c"])


def colours(method: int, data: bytes) -> bytes:
    return box(b"colr", bytes([method, 0, 0]) + data)


def channels_of(*defined: tuple[int, int, int]) -> bytes:
    body = b"".join(struct.pack(">3H", *channel) for channel in defined)
    return box(b"cdef", struct.pack(">H", len(defined)) + body)


def resolution(kind: bytes, down: int, across: int) -> bytes:
    """In pixels a metre: numerators, denominators and powers of 10."""
    return box(kind, struct.pack(">4H2b", down, 100, across, 10, 2, 1))


def plain(channels: int = 3, **options: object) -> bytes:
    samples = smooth(24, 40, channels)
    image = Image.fromarray(samples[..., 0] if channels == 1 else samples)
    return pil_bytes(image, "jp2", **options)


def raw(data: bytes) -> np.ndarray:
    """What OpenCV reads, unscaled, as ``(H, W, C)``: grey, RGB or RGBA."""
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return found[..., None] if found.ndim == 2 else found[..., [2, 1, 0, 3][: found.shape[2]]]


def differ(first: np.ndarray, second: np.ndarray) -> float:
    """The root mean square, in steps of 8 bits."""
    scaled = [array * (255 / np.iinfo(array.dtype).max) for array in (first, second)]
    return float(np.sqrt(np.mean(np.subtract(*scaled) ** 2)))


@pytest.mark.parametrize(("data", "bits"), [(RGB_12, 12), (GREY_10, 10)])
def test_every_depth_is_read_over_the_full_range(data: bytes, bits: int) -> None:
    photo = read_photo(data)
    assert (photo.format, photo.bits, photo.lossless) == ("j2k", bits, True)
    stored = other_pixels(3 if bits == 12 else 1, bits)
    expected = np.rint(stored / ((1 << bits) - 1) * 65535).astype(int)
    assert photo.layout == ("rgb" if bits == 12 else "grey")
    np.testing.assert_array_equal(photo.pixels, np.broadcast_to(expected, photo.pixels.shape))
    np.testing.assert_array_equal(raw(encode_photo(photo)), stored)


@pytest.mark.parametrize("format_name", ["jp2", "j2k"])
@pytest.mark.parametrize("bits", [9, 12, 15, 16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_lossless_picture_keeps_every_value_and_its_depth(
    channels: int, bits: int, format_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    top = (1 << bits) - 1
    stored = noise(channels=channels, bits=bits)
    stored[0, :2] = [[0], [top]]
    full = np.rint(stored / top * 65535).astype(np.uint16)
    pixels = np.broadcast_to(full[..., :3], (33, 47, 3))
    photo = Photo(
        np.ascontiguousarray(pixels),
        full[..., 3] if channels == 4 else None,
        format_name,
        "grey" if channels == 1 else "rgb",
        lossless=True,
        bits=bits if bits < 16 else None,
    )
    data = encode_photo(photo)
    np.testing.assert_array_equal(raw(data), stored)
    again = read_photo(data)
    assert (again.format, again.layout, again.bits) == (format_name, photo.layout, photo.bits)
    assert again.lossless
    np.testing.assert_array_equal(again.pixels, photo.pixels)
    if channels == 4:
        np.testing.assert_array_equal(again.alpha, photo.alpha)
    assert not caplog.messages
    encode_photo(photo, "jpeg")
    assert f"{bits}-bit depth" in caplog.text


@pytest.mark.parametrize("grain", [0, 8, 25])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_lossy_picture_stays_lossy_and_is_as_close_as_a_jpeg(
    channels: int, bits: int, grain: int
) -> None:
    texture = noise(96, 96).astype(int) * grain // 256
    samples = (smooth(96, 96) + texture).astype(np.uint8)
    samples = samples if bits == 8 else samples.astype(np.uint16) * 257
    pixels = samples if channels > 1 else samples[..., :1].repeat(3, axis=2)
    photo = Photo(
        pixels,
        None,
        "jp2",
        "grey" if channels == 1 else "rgb",
        bits=bits if 8 < bits < 16 else None,
    )
    again = read_photo(encode_photo(photo))
    assert (again.bits, again.lossless, again.layout) == (photo.bits, False, photo.layout)
    jpeg = read_photo(encode_photo(photo, "jpeg"))
    assert differ(again.pixels, pixels) < 1.02 * differ(jpeg.pixels, pixels)
    sizes = [len(encode_photo(photo, quality=quality)) for quality in (20, 75, None, 100)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2] / 1.1


def test_lossless_stays_lossless_unless_a_quality_is_given() -> None:
    pixels = noise(64, 64)
    photo = read_photo(pil_bytes(Image.fromarray(pixels), "jp2", mct=1))
    again = read_photo(encode_photo(photo))
    assert again.lossless
    np.testing.assert_array_equal(again.pixels, pixels)
    assert not read_photo(encode_photo(photo, quality=90)).lossless
    assert not read_photo(plain(irreversible=True)).lossless


@pytest.mark.parametrize("size", [(1, 1), (15, 40), (40, 2)])
def test_short_pictures_are_lossless(size: tuple[int, int]) -> None:
    photo = Photo(noise(*size), None, "png", "rgb")
    np.testing.assert_array_equal(read_photo(encode_photo(photo, "jp2")).pixels, photo.pixels)


@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("bits", [8, 16])
def test_large_pictures_are_written_in_strips(
    bits: int, lossless: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = smooth(70, 90, top=255 if bits == 8 else 65535)
    photo = Photo(pixels, None, "j2k", "rgb", lossless=lossless)
    whole = encode_photo(photo)
    monkeypatch.setattr(jpeg2000, "_TILE_PIXELS", 2000)
    data = encode_photo(photo)
    assert (whole.count(b"\xff\x93"), data.count(b"\xff\x93")) == (1, 4)
    again = read_photo(data).pixels
    assert differ(again, pixels) < (1e-9 if lossless else 1.1)
    np.testing.assert_array_equal(raw(data), again)


def test_grey_of_sixteen_bits_with_transparency_becomes_rgb(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pixels = smooth(top=65535, channels=1).repeat(3, axis=2)
    photo = Photo(pixels, pixels[..., 0], "png", "grey", icc=grey_profile(), lossless=True)
    again = read_photo(encode_photo(photo, "jp2"))
    assert (again.layout, again.icc) == ("rgb", None)
    np.testing.assert_array_equal(again.pixels, pixels)
    np.testing.assert_array_equal(again.alpha, pixels[..., 0])
    assert caplog.messages == ["the grey profile cannot be kept in JP2"]


def test_y_cb_and_cr_become_rgb() -> None:
    ycc = Image.fromarray(smooth(24, 40)).convert("YCbCr")
    stored, expected = np.asarray(ycc), np.asarray(ycc.convert("RGB"))
    deep = Photo(stored.astype(np.uint16) * 256, None, "jp2", "rgb", lossless=True)
    for data in (pil_bytes(Image.fromarray(stored), "jp2"), encode_photo(deep)):
        name = colours(1, struct.pack(">I", 18))
        photo = read_photo(with_boxes(data, header=(name,), without=(b"colr",)))
        scale = 256 if photo.pixels.dtype == np.uint16 else 1
        assert np.abs(photo.pixels / scale - expected).max() <= 1
        assert colours(1, struct.pack(">I", 16)) in encode_photo(photo)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_reset(orientation: int) -> None:
    data = with_boxes(plain(), box(b"uuid", EXIF_UUID + exif_of(orientation)))
    photo = read_photo(data)
    np.testing.assert_array_equal(photo.pixels, turned(smooth(24, 40), orientation))
    again = read_photo(encode_photo(photo))
    np.testing.assert_array_equal(again.pixels, photo.pixels)
    assert b"Acme Co\0MAKERNOTE!" in (again.exif or b"")


def test_metadata_survive_byte_for_byte(caplog: pytest.LogCaptureFixture) -> None:
    icc, xmp = srgb_profile(), XMP.replace(b"6", b"1")
    kept = [
        box(b"uuid", GEO_UUID + b"II*\0, a GeoTIFF"),
        box(b"xml ", b"<scan/>"),
        box(b"uuid", b"0123456789abcdefown"),
        box(b"asoc", box(b"lbl ", b"gml.data")),
    ]
    data = with_boxes(
        plain(),
        *kept,
        box(b"uuid", XMP_UUID + xmp),
        box(b"uuid", EXIF_UUID + exif_of(1)),
        header=(colours(2, icc),),
        without=(b"colr",),
    )
    photo = read_photo(data)
    assert (photo.icc, photo.xmp) == (icc, xmp)
    written = encode_photo(photo)
    for part in (*kept, colours(2, icc), box(b"uuid", XMP_UUID + xmp)):
        assert part in written
    again = read_photo(written)
    assert (again.exif, again.xmp, again.boxes) == (photo.exif, photo.xmp, photo.boxes)
    assert not caplog.messages
    encode_photo(photo, "png")
    encode_photo(photo, "j2k")
    assert caplog.messages == [
        "GeoJP2, JP2 boxes cannot be kept in PNG",
        "profile, EXIF, XMP, GeoJP2, JP2 boxes cannot be kept in J2K",
    ]


@pytest.mark.parametrize("wanted", [(300, 299.72), (72, 72), (0.5, 1e5), (1200, 4000)])
def test_the_resolution_is_kept(wanted: tuple[float, float]) -> None:
    data = encode_photo(Photo(smooth(), None, "png", "rgb", dpi=wanted), "jp2")
    assert opened(data).info["dpi"] == pytest.approx(wanted, rel=1e-6)
    assert read_photo(data).dpi == pytest.approx(wanted, rel=1e-6)
    assert read_photo(encode_photo(Photo(smooth(), None, "png", "rgb"), "jp2")).dpi is None


@pytest.mark.parametrize(
    ("found", "dpi"),
    [
        ([resolution(b"resc", 5000, 10000)], (254, 127)),
        ([resolution(b"resd", 5000, 10000)], (254, 127)),
        ([resolution(b"resd", 2000, 2000), resolution(b"resc", 5000, 10000)], (254, 127)),
        ([box(b"resc", bytes(10))], None),
        ([box(b"resc", b"short")], None),
    ],
    ids=["of the scan", "to show it at", "both", "zeros", "damaged"],
)
def test_the_resolution_of_other_programs_is_read(
    found: list[bytes], dpi: tuple[float, float] | None
) -> None:
    photo = read_photo(with_boxes(plain(), header=(box(b"res ", b"".join(found)),)))
    assert photo.dpi == (pytest.approx(dpi) if dpi else None)


def test_a_codestream_alone_stays_one() -> None:
    photo = read_photo(pil_bytes(Image.fromarray(smooth()), "j2k"))
    assert photo.format == "j2k"
    assert encode_photo(photo).startswith(START)
    assert encode_photo(photo, "jp2").startswith(b"\0\0\0\x0cjP  ")


def test_extended_files_are_read_if_they_are_plain() -> None:
    data = plain()
    assert read_photo(data.replace(b"ftypjp2 ", b"ftypjpx ")).pixels.shape == (24, 40, 3)
    assert_refused(
        data.replace(b"jp2 \0\0\0\0jp2 ", b"jpx \0\0\0\0jpx "), "is a JPX.*export as TIFF"
    )
    assert_refused(data + box(b"jp2c", b"another"), "has 2 codestreams")


def test_unknown_boxes_are_reported_as_left_out(caplog: pytest.LogCaptureFixture) -> None:
    read_photo(with_boxes(plain(), box(b"free", b"room"), box(b"uinf", b"")))
    assert not caplog.messages
    read_photo(with_boxes(plain(), box(b"jp2i", b"rights")))
    assert caplog.messages == ["further boxes in the JPEG 2000 cannot be kept"]


def test_data_behind_the_boxes_do_not_matter() -> None:
    for format_name in ("jp2", "j2k"):
        data = pil_bytes(Image.fromarray(smooth()), format_name)
        assert read_photo(data + b"\0\0\1\0abcd, too short").pixels.shape == (33, 47, 3)


def test_transparency_is_kept() -> None:
    for channels in (2, 4):
        photo = read_photo(plain(channels))
        again = read_photo(encode_photo(photo))
        assert photo.layout == again.layout == ("grey" if channels == 2 else "rgb")
        for kept in (photo, again):
            np.testing.assert_array_equal(kept.alpha, smooth(24, 40, channels)[..., -1])


@pytest.mark.parametrize("bits", [8, 16])
def test_transparency_does_not_change_by_lossy_colours(bits: int) -> None:
    top = (1 << bits) - 1
    alpha = (noise(40, 50, 1, bits)[..., 0] > top // 2) * np.array(top, smooth(top=top).dtype)
    photo = Photo(smooth(40, 50, top=top), alpha, "png", "rgb")
    for quality in (None, 50):
        again = read_photo(encode_photo(photo, "jp2", quality))
        np.testing.assert_array_equal(again.alpha, alpha)


def test_content_credentials_are_reported_as_left_out(caplog: pytest.LogCaptureFixture) -> None:
    photo = read_photo(with_boxes(plain(), boxes.box(b"uuid", boxes.C2PA, b"signed")))
    assert caplog.messages == ["the content credentials (C2PA) in the JPEG 2000 cannot be kept"]
    assert b"signed" not in encode_photo(photo)


def test_a_picture_without_all_of_its_tiles_is_refused() -> None:
    whole = plain(tile_size=(20, 24), no_jp2=True)
    assert read_photo(whole).pixels.shape == (24, 40, 3)
    last = whole.rindex(b"\xff\x90\0\x0a")
    assert_refused(whole[:last] + b"\xff\xd9", "cannot be decoded: the file is cut off")


def components(data: bytes, *wanted: tuple[int, int, int]) -> bytes:
    """With other depths and subsampling of the first channels in the codestream's header."""
    at = data.index(START) + 42
    changed = b"".join(bytes(component) for component in wanted)
    return data[:at] + changed + data[at + len(changed) :]


FIVE_CHANNELS = (
    RGB_12[:4] + b"\0\x35" + RGB_12[6:40] + b"\0\5" + bytes([11, 1, 1] * 5) + RGB_12[51:]
)
GREY = struct.pack(">I", 17)
OPAQUE, MULTIPLIED, OTHER = (3, 1, 0), (3, 2, 0), (3, 65535, 65535)
RGB_ORDER = ((0, 0, 1), (1, 0, 2), (2, 0, 3))


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (components(plain(), (3, 1, 1)), "has 4-bit unsigned samples; 8 to 16 bits"),
        (components(plain(), (0x87, 1, 1)), "has 8-bit signed samples"),
        (components(plain(), (17, 1, 1)), "has 18-bit unsigned samples"),
        (components(plain(), (7, 1, 1), (7, 2, 2), (7, 2, 2)), "of unequal depth or size"),
        (components(plain(), (7, 1, 1), (9, 1, 1)), "of unequal depth or size"),
        (with_boxes(plain(1), header=(box(b"pclr", bytes(20)),)), "has a palette"),
        (with_boxes(plain(4), without=(b"cdef",)), "an extra channel that is not transparency"),
        (
            with_boxes(plain(4), header=(channels_of(*RGB_ORDER, MULTIPLIED),), without=(b"cdef",)),
            "multiplied by their transparency; save it as PNG",
        ),
        (
            with_boxes(plain(4), header=(channels_of(*RGB_ORDER, OTHER),), without=(b"cdef",)),
            "channels in an order or of a kind",
        ),
        (
            with_boxes(plain(), header=(channels_of((0, 0, 3), (1, 0, 2), (2, 0, 1)),)),
            "channels in an order or of a kind",
        ),
        (
            with_boxes(plain(), header=(colours(1, GREY),), without=(b"colr",)),
            r"has 3 channels of colours that are not supported \(number 17\); save it as RGB",
        ),
        (
            with_boxes(plain(4), header=(colours(1, b"\0\0\0\x0c"),), without=(b"colr",)),
            r"\(number 12\)",
        ),
        (
            with_boxes(plain(), header=(colours(2, grey_profile()),), without=(b"colr",)),
            r"\(GRAY\)",
        ),
        (components(plain(2), (9, 1, 1), (9, 1, 1)), "has 10-bit grey with transparency"),
        (RGB_12[:8] + struct.pack(">6I", 9, 6, 2, 1, 9, 6) + RGB_12[32:], "cut out of a larger"),
        (FIVE_CHANNELS, "has 5 channels per pixel"),
    ],
)
def test_what_could_not_be_kept_is_refused(data: bytes, match: str) -> None:
    assert_refused(data, match)


@pytest.mark.parametrize("part", [0.1, 0.3, 0.7, 0.99])
@pytest.mark.parametrize("bits", [8, 16])
def test_cut_off_and_damaged_files_print_nothing(
    bits: int, part: float, capfd: pytest.CaptureFixture[str]
) -> None:
    photo = Photo(noise(64, 64, bits=bits), None, "j2k", "rgb", lossless=True)
    data = encode_photo(photo)
    for kept in (data[: int(len(data) * part)], data[: int(len(data) * part)] + b"\xff\xd9"):
        assert_refused(kept, "cannot be decoded: the file is cut off")
    damaged = bytearray(data)
    damaged[int(len(data) * part)] ^= 0x55
    with suppress(ImageError):
        read_photo(bytes(damaged))
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_the_depth_of_another_format_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("pillow_heif")
    deep = {bits: Photo(smooth(top=65535), None, "jp2", "rgb", bits=bits) for bits in (9, 12, 14)}
    assert read_photo(encode_photo(deep[12], "heic")).bits == 12
    assert read_photo(encode_photo(deep[9], "heic")).bits == 10
    assert not caplog.messages
    assert read_photo(encode_photo(deep[14], "heic")).bits == 10
    assert caplog.messages == ["of 14 bits, HEIC keeps 10"]
    heic = read_photo(encode_photo(deep[12], "heic"))
    assert read_photo(encode_photo(heic, "jp2")).bits == 12


def test_a_deep_picture_tells_its_size(tmp_path: Path) -> None:
    path = tmp_path / "a.jpf"
    path.write_bytes(with_boxes(plain(), box(b"xml ", b"<a/>")))
    assert looks_like_an_image(path)
    assert pixels_of(path) == 960
    path.write_bytes(RGB_12)
    assert looks_like_an_image(path)
    assert pixels_of(path) == 35
