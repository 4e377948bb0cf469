"""PNG chunks: what Pillow drops (text, colour space) and what it cannot do (16-bit colour)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from baryir_cli.images.colour import bands

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_XMP_KEYWORD = b"XML:com.adobe.xmp"
_EXIF_KEYWORD = b"Raw profile type exif"
# ImageMagick's hexadecimal copies of EXIF and XMP, which would keep the old orientation.
_STALE_TEXT = (_XMP_KEYWORD, _EXIF_KEYWORD, b"Raw profile type APP1", b"Raw profile type xmp")
_COLOUR_SPACE = frozenset({b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI"})
_TEXT = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_SINGLE = frozenset({b"iCCP", b"eXIf", b"pHYs", b"acTL", b"tRNS"})
_LARGEST_PROFILE = 64 << 20
_INCHES_IN_METRE = 39.37007874

# Fast, and within a few per cent of the slow ones on photographs.
COMPRESSION_LEVEL = 4
_SUB, _UP = 1, 2


@dataclass
class PngFile:
    """A PNG's header and metadata, undecoded."""

    width: int
    height: int
    depth: int
    colour_type: int
    single: dict[bytes, bytes] = field(default_factory=dict)
    texts: list[tuple[bytes, bytes]] = field(default_factory=list)
    colour_space: list[tuple[bytes, bytes]] = field(default_factory=list)

    @property
    def frames(self) -> int:
        control = self.single.get(b"acTL", b"")
        return int(struct.unpack(">I", control[:4])[0]) if len(control) >= 4 else 1

    @property
    def icc(self) -> bytes | None:
        packed = self.single.get(b"iCCP", b"").partition(b"\0")[2][1:]
        return _inflated(packed)

    @property
    def dpi(self) -> tuple[float, float] | None:
        density = self.single.get(b"pHYs", b"")
        if len(density) != 9 or density[8] != 1:
            return None
        across, down = struct.unpack(">II", density[:8])
        return across / _INCHES_IN_METRE, down / _INCHES_IN_METRE

    @property
    def exif(self) -> bytes | None:
        return self.single.get(b"eXIf") or self._exif_text()

    def _exif_text(self) -> bytes | None:
        """EXIF as ImageMagick once wrote it: a text chunk of three lines, then hexadecimal."""
        for kind, data in self.texts:
            keyword, _, rest = data.partition(b"\0")
            if keyword == _EXIF_KEYWORD and kind in (b"tEXt", b"zTXt"):
                text = (_inflated(rest[1:]) or b"") if kind == b"zTXt" else rest
                try:
                    return bytes.fromhex(b"".join(text.split(b"\n")[3:]).decode("ascii")) or None
                except ValueError:
                    return None
        return None

    @property
    def xmp(self) -> bytes | None:
        for kind, data in self.texts:
            keyword, _, rest = data.partition(b"\0")
            if kind == b"iTXt" and keyword == _XMP_KEYWORD and len(rest) >= 2:
                text = rest[2:].split(b"\0", 2)[-1]
                return _inflated(text) if rest[0] else text
        return None

    @property
    def kept(self) -> tuple[tuple[bytes, bytes], ...]:
        """The chunks to write back as they are: colour space first, then text."""
        texts = [text for text in self.texts if text[1].partition(b"\0")[0] not in _STALE_TEXT]
        return (*self.colour_space, *texts)


def _inflated(packed: bytes) -> bytes | None:
    """Deflated metadata unpacked; None where it is damaged, empty or absurdly long."""
    inflate = zlib.decompressobj()
    try:
        data = inflate.decompress(packed, _LARGEST_PROFILE)
    except zlib.error:
        return None
    return data if data and inflate.eof else None


def scan(stream: BinaryIO) -> PngFile:
    """Header and metadata of a PNG; ValueError if it does not begin with a header.

    Stops in silence where the file is cut off: the decoder is what reports that.
    """
    stream.seek(0)
    head = stream.read(33)
    if len(head) < 33 or head[:8] != SIGNATURE or head[12:16] != b"IHDR":
        raise ValueError("the PNG header is damaged")
    png = PngFile(*struct.unpack(">IIBB", head[16:26]))
    for kind, data in _chunks(stream):
        if kind in _SINGLE:
            png.single.setdefault(kind, data)
        elif kind in _TEXT:
            png.texts.append((kind, data))
        elif kind in _COLOUR_SPACE:
            png.colour_space.append((kind, data))
    return png


def _chunks(stream: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """The metadata chunks that come after the header; pixel data are skipped."""
    known = _SINGLE | _TEXT | _COLOUR_SPACE
    while len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IEND":
            return
        if kind not in known:
            stream.seek(length + 4, 1)
            continue
        data, checksum = stream.read(length), stream.read(4)
        if checksum == struct.pack(">I", zlib.crc32(kind + data)):
            yield kind, data


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunks(png: bytes, chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A PNG with (type, data) `chunks` put right behind its header."""
    return b"".join([png[:33], *(_chunk(kind, data) for kind, data in chunks), png[33:]])


def metadata_chunks(
    icc: bytes | None,
    exif: bytes | None,
    xmp: bytes | None,
    dpi: tuple[float, float] | None,
) -> list[tuple[bytes, bytes]]:
    """The chunks that hold a profile, EXIF, XMP and the resolution."""
    chunks = []
    if icc:
        chunks.append((b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc)))
    if dpi:
        across, down = (max(0, round(value * _INCHES_IN_METRE)) for value in dpi)
        chunks.append((b"pHYs", struct.pack(">IIB", across, down, 1)))
    if exif:
        chunks.append((b"eXIf", exif))
    if xmp:
        chunks.append((b"iTXt", _XMP_KEYWORD + b"\0\0\0\0\0" + xmp))
    return chunks


def encode_sixteen(
    height: int, width: int, channels: int, samples: Callable[[slice], np.ndarray]
) -> bytes:
    """A 16-bit PNG of 1 (grey) to 4 (RGB, alpha) channels, without metadata.

    `samples` gives (h, width, channels) uint16 for a slice of rows.
    """
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    parts = [SIGNATURE]
    parts.append(_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)))
    packer = zlib.compressobj(COMPRESSION_LEVEL)
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
    """Rows (h, bytes) as PNG filters them: each by its left or its upper neighbour.

    `above` (1, bytes) is the row before; `pixel` the bytes of one pixel. The filter with the
    smaller differences is taken, as the PNG specification advises.
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
