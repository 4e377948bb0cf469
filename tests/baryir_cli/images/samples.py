"""Images for the tests, and checks that several of them share."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import tifffile
from PIL import Image, ImageCms, IptcImagePlugin, TiffImagePlugin
from PIL.PngImagePlugin import PngInfo

from baryir_cli.errors import UserError
from baryir_cli.images import ImageError, ifd, read_photo

pillow_heif.register_heif_opener()

PILLOW_NAMES = {"heic": "HEIF", "jp2": "JPEG2000", "j2k": "JPEG2000"}
LOSSLESS = ["png", "webp", "tiff", "bmp", "jp2", "j2k"]


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
    if format_name == "j2k":
        options["no_jp2"] = True
    out = io.BytesIO()
    image.save(out, PILLOW_NAMES.get(format_name, format_name.upper()), **options)
    return out.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(header: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of a header and further chunks, made without the code under test."""
    parts = [(b"IHDR", header), *chunks, (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*part) for part in parts)


def deep_png(array: np.ndarray, *chunks: tuple[bytes, bytes]) -> bytes:
    """A 16-bit PNG of an array of (H, W, 1 to 4)."""
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
    """A profile whose header says grey, which is all that is read here."""
    profile = bytearray(srgb_profile())
    profile[16:20] = b"GRAY"
    return bytes(profile)


def cmyk_profile() -> bytes:
    """A small but working CMYK printer profile: plain inks, with tables from and to Lab."""

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
    """``stored`` upright, for an EXIF orientation."""
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


def with_tags(tiff: bytes, numbers: dict[int, int]) -> bytes:
    """A TIFF with more tags, each a short number."""
    shorts = {tag: ifd.Value(ifd.SHORT, 1, struct.pack("<H", n)) for tag, n in numbers.items()}
    return with_values(tiff, shorts)


def with_values(tiff: bytes, values: dict[int, ifd.Value]) -> bytes:
    """A TIFF with tags added or replaced."""
    tags = ifd.read_directories(io.BytesIO(tiff))[0] | values
    tiff += bytes(len(tiff) % 2)
    return tiff[:4] + struct.pack("<I", len(tiff)) + tiff[8:] + ifd.serialise(tags, len(tiff))


def resource(kind: int, data: bytes) -> bytes:
    """One of Photoshop's resources."""
    return b"8BIM" + struct.pack(">HHI", kind, 0, len(data)) + data + bytes(len(data) % 2)


def iptc_in(data: bytes) -> dict[tuple[int, int], bytes] | None:
    """The IPTC of a TIFF or JPEG, as Pillow reads it."""
    return IptcImagePlugin.getiptcinfo(opened(data))


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


def assert_refused(source: Path | bytes, match: str, **options: float) -> None:
    with pytest.raises(ImageError, match=match) as caught:
        read_photo(source, **options)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, UserError)


def shallow_png(rows: int = 20, *chunks: tuple[bytes, bytes], extra: bytes = b"") -> bytes:
    """An 8-bit PNG that announces 30 x 20 pixels and holds that many ``rows``."""
    header = struct.pack(">IIBBBBB", 30, 20, 8, 2, 0, 0, 0)
    raw = b"".join(b"\0" + row.tobytes() for row in noise(20, 30)[:rows]) + extra
    return png_of(header, *chunks, (b"IDAT", zlib.compress(raw)))
