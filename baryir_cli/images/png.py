"""PNG chunks: those that Pillow drops (text, colour space), and 16-bit colour, which it lacks."""

from __future__ import annotations

import io
import logging
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from baryir_cli.bands import bands
from baryir_cli.images.heif import Cicp
from baryir_cli.images.inflate import Meter, inflated
from baryir_cli.images.losses import CREDENTIALS, tell_what_is_left_out
from baryir_cli.images.metadata import (
    EXIF_HEADER,
    INCHES_IN_METRE,
    IPTC_MARK,
    XMP_HEADER,
    with_iptc,
)

_log = logging.getLogger(__name__)

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_XMP_KEYWORD = b"XML:com.adobe.xmp"
# Metadata in hexadecimal, an ImageMagick convention; PNG has no other place for IPTC.
_RAW_PROFILE = b"Raw profile type "
# Read and rewritten, because they hold the old orientation and thumbnail.
_STALE_TEXT = (
    _XMP_KEYWORD,
    *(_RAW_PROFILE + name for name in (b"exif", b"APP1", b"xmp", b"iptc", b"8bim")),
)
_COLOUR_SPACE = frozenset({b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI"})
_TEXT = frozenset({b"tEXt", b"zTXt", b"iTXt"})
# They vouch for the very bytes that are about to change.
_CREDENTIALS = b"caBX"
_SINGLE = frozenset({b"iCCP", b"eXIf", b"pHYs", b"acTL", b"tRNS"})
_METADATA = _SINGLE | _TEXT | _COLOUR_SPACE | {b"PLTE"}
# Needed to decode pixels: damage here is an error, elsewhere a loss.
_CRITICAL = frozenset({b"PLTE", b"tRNS", b"IDAT"})
# Samples per pixel, and the depths they may have, by colour type.
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
# The passes of an interlaced file: first column and row, steps across and down.
_PASSES = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)

# Fast, and on photographs within a few per cent of the slow levels.
COMPRESSION_LEVEL = 4
_SUB, _UP = 1, 2


@dataclass
class PngFile:
    """The header and metadata of a PNG, not decoded."""

    width: int
    height: int
    depth: int
    colour_type: int
    interlaced: bool
    header: bytes
    single: dict[bytes, bytes] = field(default_factory=dict)
    texts: list[tuple[bytes, bytes]] = field(default_factory=list)
    colour_space: list[tuple[bytes, bytes]] = field(default_factory=list)
    palette: bytes | None = None
    # Positions and lengths of the pixel chunks, up to the first gap, where decoders stop too.
    pixels: list[tuple[int, int]] = field(default_factory=list)

    @property
    def pixel_bytes(self) -> int:
        """Length of the inflated pixels; each row has one more byte, which names its filter."""
        bits = self.depth * _SAMPLES[self.colour_type]
        passes = _PASSES if self.interlaced else ((0, 0, 1, 1),)
        total = 0
        for left, top, across, down in passes:
            columns = max(0, -(-(self.width - left) // across))
            rows = max(0, -(-(self.height - top) // down))
            total += rows * (1 + (columns * bits + 7) // 8) if columns else 0
        return total

    @property
    def clear_grey(self) -> int | None:
        """The transparent grey of a 2- or 4-bit image, at 8 bits: Pillow only scales samples."""
        key = self.single.get(b"tRNS", b"")
        if self.colour_type or self.depth not in (2, 4) or len(key) != 2:
            return None
        top = (1 << self.depth) - 1
        return (int.from_bytes(key, "big") & top) * 255 // top

    @property
    def frames(self) -> int:
        control = self.single.get(b"acTL", b"")
        return int(struct.unpack(">I", control[:4])[0]) if len(control) >= 4 else 1

    @property
    def icc(self) -> bytes | None:
        packed = self.single.get(b"iCCP", b"").partition(b"\0")[2][1:]
        return inflated(packed, "a profile")

    @property
    def dpi(self) -> tuple[float, float] | None:
        density = self.single.get(b"pHYs", b"")
        if len(density) != 9 or density[8] != 1:
            return None
        across, down = struct.unpack(">II", density[:8])
        return across / INCHES_IN_METRE, down / INCHES_IN_METRE

    @property
    def exif(self) -> bytes | None:
        found = self.single.get(b"eXIf") or self._raw_profile(b"exif")
        return found or self._raw_profile(b"APP1", EXIF_HEADER)

    @property
    def photoshop(self) -> bytes | None:
        """Photoshop's resources, with IPTC among them."""
        found = self._raw_profile(b"iptc") or self._raw_profile(b"8bim")
        return with_iptc(b"", found) if found and found.startswith(IPTC_MARK) else found

    def _raw_profile(self, name: bytes, start: bytes = b"") -> bytes | None:
        """Metadata starting with ``start`` from a text chunk: name, length, hexadecimal digits.

        One name may occur twice: EXIF and XMP are both called APP1.
        """
        for kind, data in self.texts:
            keyword, _, text = data.partition(b"\0")
            if keyword == _RAW_PROFILE + name and kind in (b"tEXt", b"zTXt"):
                what = name.decode("ascii")
                if kind == b"zTXt":
                    text = inflated(text[1:], what) or b""
                try:
                    found = bytes.fromhex(b"".join(text.split()[2:]).decode("ascii"))
                except ValueError:
                    _log.warning("the PNG's %s text is damaged and left out", what)
                    continue
                if found.startswith(start):
                    return found
        return None

    @property
    def xmp(self) -> bytes | None:
        for kind, data in self.texts:
            keyword, _, rest = data.partition(b"\0")
            if kind == b"iTXt" and keyword == _XMP_KEYWORD and len(rest) >= 2:
                text = rest[2:].split(b"\0", 2)[-1]
                return inflated(text, "XMP") if rest[0] else text
        found = self._raw_profile(b"xmp") or self._raw_profile(b"APP1", XMP_HEADER)
        return found.removeprefix(XMP_HEADER) if found else None

    @property
    def kept(self) -> tuple[tuple[bytes, bytes], ...]:
        """The chunks to write back unchanged: colour space first, then text."""
        texts = [text for text in self.texts if text[1].partition(b"\0")[0] not in _STALE_TEXT]
        return (*self.colour_space, *texts)


def has_text(chunks: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether there is text among the chunks that a PNG keeps."""
    return any(kind in _TEXT for kind, _ in chunks)


def has_other_colours(chunks: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether they say, without a profile, that the colours are not sRGB."""
    kinds = {kind for kind, _ in chunks} & _COLOUR_SPACE
    return bool(kinds) and b"sRGB" not in kinds


def scan(stream: BinaryIO) -> PngFile:
    """The header and metadata of a PNG; raises ValueError if the header is not valid.

    Stops silently where the file is cut off; ``bare`` reports that.
    """
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    png = _header(stream.read(33))
    for kind, at, length in _chunks(stream, size):
        if kind == b"IDAT":
            if not png.pixels or png.pixels[-1][0] + png.pixels[-1][1] + 12 == at:
                png.pixels.append((at, length))
        elif kind in _METADATA:
            _keep(png, kind, _checked(stream, kind, at, length))
        elif kind == _CREDENTIALS:
            tell_what_is_left_out("PNG", {CREDENTIALS: True})
    return png


def _header(head: bytes) -> PngFile:
    """The file that the first 33 bytes announce; raises ValueError if PNG has no such thing."""
    if len(head) == 33 and head[:16] == SIGNATURE + b"\0\0\0\rIHDR":
        width, height, depth, colour_type, *methods = struct.unpack(">II5B", head[16:29])
        valid = head[29:] == _checksum(b"IHDR", head[16:29])
        if valid and depth in _DEPTHS.get(colour_type, ()) and methods in ([0, 0, 0], [0, 0, 1]):
            return PngFile(width, height, depth, colour_type, bool(methods[2]), head)
    raise ValueError("the PNG header is damaged")


def _chunks(stream: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Type, data position and data length of each complete chunk after the header."""
    at = 33 + 8
    stream.seek(33)
    while len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IEND" or at + length + 4 > size:
            return
        yield kind, at, length
        at += length + 12
        stream.seek(at - 8)


def _keep(png: PngFile, kind: bytes, data: bytes | None) -> None:
    """Notes a chunk of metadata, unless it was damaged."""
    if data is None:
        _log.warning("the PNG's %s chunk is damaged and left out", kind.decode("ascii"))
    elif kind == b"PLTE":
        png.palette = png.palette or data
    elif kind in _SINGLE:
        png.single.setdefault(kind, data)
    elif kind in _TEXT:
        png.texts.append((kind, data))
    else:
        png.colour_space.append((kind, data))


def _checked(stream: BinaryIO, kind: bytes, at: int, length: int) -> bytes | None:
    """A chunk's data; on a wrong checksum None, or ValueError if the pixels need it."""
    stream.seek(at)
    data = stream.read(length)
    if stream.read(4) == _checksum(kind, data):
        return data
    if kind in _CRITICAL:
        raise ValueError(f"its {kind.decode('ascii')} chunk is damaged")
    return None


def bare(stream: BinaryIO, file: PngFile, *, transparency: bool) -> BinaryIO:
    """The PNG without metadata, over which decoders would fail or print warnings.

    Raises ValueError if pixels are missing or damaged.
    """
    out = io.BytesIO()
    out.write(file.header)
    if file.colour_type == 3 and file.palette:
        out.write(_chunk(b"PLTE", file.palette))
    if transparency and b"tRNS" in file.single and file.colour_type in (0, 2, 3):
        out.write(_chunk(b"tRNS", file.single[b"tRNS"]))
    meter = Meter(file.pixel_bytes)
    for at, length in file.pixels:
        data = _checked(stream, b"IDAT", at, length) or b""
        meter.feed(data)
        out.write(_chunk(b"IDAT", data))
    if meter.length < file.pixel_bytes:
        raise ValueError("the file is cut off, or its pixels stop early")
    out.write(_chunk(b"IEND", b""))
    out.seek(0)
    return out


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + _checksum(kind, data)


def _checksum(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def with_chunks(png: bytes, chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A PNG with (type, data) ``chunks`` inserted after its header."""
    return b"".join([png[:33], *(_chunk(kind, data) for kind, data in chunks), png[33:]])


def metadata_chunks(
    icc: bytes | None,
    exif: bytes | None,
    xmp: bytes | None,
    photoshop: bytes | None,
    dpi: tuple[float, float] | None,
) -> list[tuple[bytes, bytes]]:
    """The chunks for a profile, EXIF, XMP, Photoshop's resources and the resolution."""
    chunks = []
    if icc:
        chunks.append((b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc)))
    if dpi:
        across, down = (max(0, round(value * INCHES_IN_METRE)) for value in dpi)
        chunks.append((b"pHYs", struct.pack(">IIB", across, down, 1)))
    if exif:
        chunks.append((b"eXIf", exif))
    if xmp:
        chunks.append((b"iTXt", _XMP_KEYWORD + b"\0\0\0\0\0" + xmp))
    if photoshop:
        # Uncompressed: some programs, such as Pillow, inflate at most one megabyte.
        text = f"\niptc\n{len(photoshop):8}\n{photoshop.hex(chr(10), -36)}\n".encode()
        chunks.append((b"tEXt", _RAW_PROFILE + b"iptc\0" + text))
    return chunks


def cicp_chunk(cicp: Cicp) -> tuple[bytes, bytes]:
    """The chunk that names colours by number; a PNG's samples are RGB (matrix 0), full range."""
    return b"cICP", bytes((cicp.primaries, cicp.transfer, 0, 1))


def deflater(dtype: np.dtype) -> zlib._Compress:
    """A zlib compressor that suits photographs of this depth."""
    # 3 times faster: the low bytes of 16 bits are noise, with no repeats worth a search.
    strategy = zlib.Z_RLE if dtype == np.uint16 else zlib.Z_DEFAULT_STRATEGY
    return zlib.compressobj(COMPRESSION_LEVEL, strategy=strategy)


def encode_sixteen(
    height: int, width: int, channels: int, samples: Callable[[slice], np.ndarray]
) -> bytes:
    """A 16-bit PNG of 1 (grey) to 4 (RGB, alpha) channels, without metadata.

    ``samples`` gives (h, width, channels) uint16 for a slice of rows.
    """
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    parts = [SIGNATURE]
    parts.append(_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)))
    packer = deflater(np.dtype(np.uint16))
    above = np.zeros((1, width * channels * 2), np.uint8)
    for rows in bands(height, width):
        band = samples(rows).astype(">u2").view(np.uint8).reshape(-1, above.shape[1])
        data = packer.compress(_filtered(band, above, channels * 2))
        if data:
            parts.append(_chunk(b"IDAT", data))
        above = band[-1:]
    parts.append(_chunk(b"IDAT", packer.flush()))
    parts.append(_chunk(b"IEND", b""))
    return b"".join(parts)


def _filtered(rows: np.ndarray, above: np.ndarray, pixel: int) -> bytes:
    """Rows (h, bytes) filtered for PNG, each by its left or its upper neighbour.

    ``above`` (1, bytes) is the previous row, ``pixel`` the bytes per pixel. Each row takes the
    filter with the smaller differences, as the PNG specification advises.
    """
    up = rows - np.concatenate([above, rows[:-1]])
    sub = rows.copy()
    sub[:, pixel:] -= rows[:, :-pixel]
    cost = [np.abs(each.view(np.int8).astype(np.int16)).sum(axis=1) for each in (sub, up)]
    left = cost[0] <= cost[1]
    out = np.empty((len(rows), rows.shape[1] + 1), np.uint8)
    out[:, 0] = np.where(left, _SUB, _UP)
    out[:, 1:] = np.where(left[:, None], sub, up)
    return out.tobytes()
