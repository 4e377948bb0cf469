"""Files that are not images, damaged, too large or of another kind are refused in one line."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from baryir_cli.images import FORMATS, ImageError, boxes, read_photo
from tests.baryir_cli.images.samples import (
    SOURCES,
    assert_refused,
    deep_png,
    deep_tiff,
    noise,
    pil_bytes,
    png_of,
    smooth,
    with_tags,
)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "empty"),
        (b"hello, world, this is text", "is not a PNG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "is not a PNG"),
        (b"GIF89a" + bytes(100), "is not a PNG"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "export as TIFF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "cannot be decoded: the file is cut off"),
        (b"\0\0\0\x18ftypavif\0\0\0\0mif1avif", "cannot be decoded: the file is cut off"),
        (b"\x89PNG\r\n\x1a\n", "cannot be decoded"),
        (b"\xff\xd8\xff\xe0", "cannot be decoded: the file is cut off"),
        (
            b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0",
            "cannot be decoded: the file is cut off",
        ),
        (b"RIFF\0\0\0\0WEBPVP8 ", "cannot be decoded"),
        (b"II*\0\x08\0\0\0", "cannot be decoded"),
        (b"BM", "cannot be decoded: the file is cut off"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "cannot be decoded: the file is cut off"),
        (b"\xff\x4f\xff\x51", "cannot be decoded: the file is cut off"),
    ],
)
def test_files_that_are_not_images_are_refused(tmp_path: Path, data: bytes, match: str) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(data)
    assert_refused(path, match)
    assert_refused(data, match)


@pytest.mark.parametrize("format_name", ["avif", "heic", "jp2"])
def test_a_file_of_countless_boxes_is_refused(format_name: str) -> None:
    data = pil_bytes(Image.fromarray(smooth()), format_name) + boxes.MOST * boxes.box(b"free")
    assert_refused(data, "cannot be decoded: it consists of more than 100,000 boxes")


def test_raw_files_that_look_like_a_tiff_are_refused(tmp_path: Path) -> None:
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
        assert_refused(source[: int(len(source) * part)], "cannot be decoded: .*cut off")
    assert capfd.readouterr().err == ""


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
    # In a process of its own: a reader that waits for a writer would wait for ever.
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
    elif format_name in ("avif", "heic"):
        struct.pack_into(">II", data, data.index(b"ispe") + 8, side, side)
    elif format_name in ("jp2", "j2k"):
        # In one tile.
        sizes = (side, side, 0, 0, side, side)
        struct.pack_into(">6I", data, data.index(b"\xff\x4f\xff\x51") + 8, *sizes)
    elif format_name == "bmp":
        struct.pack_into("<ii", data, 18, side, side)
    else:
        directory = struct.unpack_from("<I", data, 4)[0]
        for at in range(directory + 2, directory + 26, 12):
            if struct.unpack_from("<H", data, at)[0] in (256, 257):
                struct.pack_into("<HII", data, at + 2, 4, 1, side)
    return bytes(data)


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_header_that_announces_too_many_pixels_is_refused(format_name: str) -> None:
    limit = 100 if format_name == "webp" else 512
    match = rf"above the limit of {limit} MP$"
    assert_refused(huge_header(format_name), match, max_megapixels=limit)


@pytest.mark.parametrize("format_name", FORMATS)
def test_only_our_own_limit_applies(format_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = pil_bytes(Image.fromarray(noise(64, 64)), format_name)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_photo(data).pixels.shape == (64, 64, 3)
    assert Image.MAX_IMAGE_PIXELS == 1000
    assert read_photo(data, max_megapixels=0.0041).pixels.shape == (64, 64, 3)
    assert_refused(data, "limit of 0.004 MP", max_megapixels=0.004)


def test_several_frames_are_refused() -> None:
    frames = [Image.fromarray(noise() // k) for k in (1, 2, 3)]
    for format_name, what in (("png", "frames"), ("webp", "frames"), ("tiff", "pages")):
        data = pil_bytes(frames[0], format_name, save_all=True, append_images=frames[1:])
        assert_refused(data, f"has 3 {what}")


def test_the_primary_image_of_an_mpo_is_read() -> None:
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
        (8, {"photometric": "miniswhite"}, {}, "stored with white as zero; save it as RGB or PNG"),
        (8, {"planarconfig": "separate"}, {}, "stored in separate planes; save it as RGB"),
        (8, {"planarconfig": "separate", "compression": "zlib"}, {}, "stored in separate"),
        (16, {}, {259: 5}, "16-bit grey with transparency in an unsupported compression; save"),
    ],
)
def test_grey_and_transparency_that_no_library_reads_are_refused(
    bits: int, layout: dict[str, str], tags: dict[int, int], match: str
) -> None:
    data = noise(channels=2, bits=bits)
    if layout.get("planarconfig") == "separate":
        data = np.ascontiguousarray(np.moveaxis(data, 2, 0))
    options = {"photometric": "minisblack", "planarconfig": "contig", **layout}
    assert_refused(with_tags(deep_tiff(data, extrasamples=["unassalpha"], **options), tags), match)


def test_premultiplied_planes_that_no_library_reads_are_refused() -> None:
    contiguous = smooth(channels=4)
    layout = {"photometric": "rgb", "extrasamples": ["assocalpha"]}
    whole = read_photo(deep_tiff(contiguous, planarconfig="contig", **layout)).pixels
    planes = np.ascontiguousarray(np.moveaxis(contiguous, 2, 0))
    layout["planarconfig"] = "separate"
    assert_refused(deep_tiff(planes, **layout), "^has planar channels .* save it with LZW")
    packed = read_photo(deep_tiff(planes, compression="zlib", **layout)).pixels
    np.testing.assert_array_equal(packed, whole)


def test_a_big_endian_bigtiff_is_read_at_sixteen_bits_only() -> None:
    options = {"byteorder": ">", "bigtiff": True}
    assert_refused(deep_tiff(noise(), **options), "^is a big-endian BigTIFF.* save it as a plain")
    deep = noise(bits=16)
    np.testing.assert_array_equal(read_photo(deep_tiff(deep, **options)).pixels, deep)


@pytest.mark.parametrize(
    ("bits", "compression", "match"),
    [
        (16, 7, "JPEG, which is not supported at 16 bits"),
        (16, 34925, "LZMA, which is not supported at 16 bits"),
        (16, 50000, "Zstandard, which is not supported at 16 bits"),
        (16, 50002, "JPEG XL, which is not supported at 16 bits"),
        (8, 50001, "WebP, which is not supported; save it with LZW"),
        (8, 50002, "JPEG XL, which is not supported; save it with LZW"),
        (8, 65000, "TIFF's kind 65000, which is not supported; save it with LZW"),
    ],
)
def test_compressions_that_are_not_read_are_named(
    bits: int, compression: int, match: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert_refused(with_tags(deep_tiff(noise(bits=bits)), {259: compression}), match)
    # libtiff would print warnings.
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("compression", ["jpeg", "lzma", "packbits", "tiff_lzw", "zstd"])
def test_compressions_of_eight_bits_are_read(compression: str) -> None:
    pixels = smooth()
    photo = read_photo(pil_bytes(Image.fromarray(pixels), "tiff", compression=compression))
    assert np.abs(photo.pixels.astype(int) - pixels).max() < 40


def test_colours_that_are_not_read_are_named() -> None:
    lab = pil_bytes(Image.fromarray(noise()).convert("LAB"), "tiff")
    assert_refused(lab, r"not supported \(CIELab\); save it as RGB first")
