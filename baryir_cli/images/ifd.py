"""Reads, patches and writes TIFF directories (IFDs), as in TIFF files and EXIF blocks."""

from __future__ import annotations

import io
import logging
import struct
from collections.abc import Container
from dataclasses import dataclass
from typing import BinaryIO, Union

import numpy as np

_log = logging.getLogger(__name__)

WIDTH, HEIGHT, ORIENTATION = 256, 257, 274
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = RESOLUTION = 282, 283, 296
EXIF_IFD, GPS_IFD, INTEROP_IFD = 0x8769, 0x8825, 0xA005
_SUB_DIRECTORIES = frozenset({EXIF_IFD, GPS_IFD, INTEROP_IFD})
_PIXEL_WIDTH, _PIXEL_HEIGHT = 0xA002, 0xA003
_THUMBNAIL_AT, _THUMBNAIL_LENGTH = 513, 514
# How many of each unit are an inch. Without a unit, the values only give the pixels' shape.
_INCHES = {2: 1.0, 3: 2.54}

BYTE, SHORT, LONG, RATIONAL, UNDEFINED = 1, 3, 4, 5, 7
# Bytes per item of each type; the BigTIFF types come last.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES |= {16: 8, 17: 8, 18: 8}
_RATIONALS = frozenset({5, 10})
# Integer types and their struct codes; 13 is IFD.
_WHOLE = {1: "B", 3: "H", 4: "I", 6: "B", 7: "B", 8: "H", 9: "I", 13: "I"}
_WHOLE |= {16: "Q", 17: "Q", 18: "Q"}
# The most that a hostile file can make us read; honest files stay far below. Layers and other
# private data reach hundreds of megabytes, but no tag that we read does.
_MOST_BYTES = 64 << 20
_MOST_ENTRIES = 100_000
_MOST_TAGS, _MOST_DIRECTORIES = 4096, 4096
_MOST_NUMBERS = 4096
# Some writers let a few tags share a value.
_MOST_OVERLAP = 64 << 10


class HostileTagsError(ValueError):
    """Tags that no camera or program writes, made to waste time or memory."""


@dataclass(frozen=True)
class Value:
    """A tag's value: its TIFF type, the number of items, and the items as little-endian bytes."""

    kind: int
    count: int
    data: bytes

    def numbers(self) -> tuple[int, ...]:
        """The first items as unsigned integers (types BYTE, SHORT, LONG and LONG8)."""
        size = len(self.data) // max(self.count, 1) or 1
        return tuple(np.frombuffer(self.data[: size * _MOST_NUMBERS], f"<u{size}").tolist())

    def ratio(self) -> float:
        """The first item, a RATIONAL or an integer; 0 if its denominator is 0."""
        if self.kind not in _RATIONALS:
            return float(self.numbers()[0])
        above, below = np.frombuffer(self.data[:8], "<u4").tolist()
        return above / below if below else 0.0


Directory = dict[int, Union[Value, "Directory"]]


@dataclass(frozen=True)
class _Entry:
    """The position of a tag's value in the stream; its type is known."""

    tag: int
    kind: int
    count: int
    at: int

    @property
    def length(self) -> int:
        """Bytes of the value."""
        return _SIZES[self.kind] * self.count


class _Reader:
    """Random access to a TIFF stream, classic or BigTIFF, in either byte order.

    Raises ValueError if the stream is not TIFF or ends too early.
    """

    def __init__(self, stream: BinaryIO, *, overlap: bool = True) -> None:
        self.stream = stream
        # Whether the values together may be longer than the file.
        self.overlap = overlap
        self.size = stream.seek(0, io.SEEK_END)
        self.bytes_left, self.entries_left = _MOST_BYTES, _MOST_ENTRIES
        # Sub-directories already followed; each is followed once.
        self.followed: set[int] = set()
        self.complained = False
        head = self.bytes_at(0, 8)
        orders = {b"II": "<", b"MM": ">"}
        if head[:2] not in orders:
            raise ValueError("the TIFF header is damaged")
        self.order = orders[head[:2]]
        version = struct.unpack(self.order + "H", head[2:4])[0]
        if version not in (42, 43):
            raise ValueError("the TIFF header is damaged")
        self.big = version == 43
        # Where the pointer to the first directory is.
        self.start = 8 if self.big else 4
        self.first = self.pointer(self.start)

    def bytes_at(self, offset: int, length: int) -> bytes:
        # Check before seeking: a stream may not accept a 64-bit offset.
        if offset + length > self.size:
            raise ValueError("the directory of tags is cut off")
        self.stream.seek(offset)
        return self.stream.read(length)

    def unpack(self, layout: str, offset: int) -> tuple[int, ...]:
        layout = self.order + layout
        return struct.unpack(layout, self.bytes_at(offset, struct.calcsize(layout)))

    def entries(self, offset: int) -> list[_Entry]:
        """The entries of the directory at ``offset``."""
        head, size, row = (8, 20, "HHQ") if self.big else (2, 12, "HHI")
        total = self.unpack("Q" if self.big else "H", offset)[0]
        if total > _MOST_TAGS:
            raise ValueError("the directory of tags is damaged")
        self.entries_left -= total
        if self.entries_left < 0:
            raise HostileTagsError(f"it holds more than {_MOST_ENTRIES:,} tags")
        table = self.bytes_at(offset + head, total * size)
        room = 8 if self.big else 4
        layout = struct.Struct(f"{self.order}{row}{'Q' if self.big else 'I'}")
        found = []
        for number, (tag, kind, count, pointer) in enumerate(layout.iter_unpack(table)):
            length = _SIZES.get(kind, 0) * count
            if length:
                inline = offset + head + (number + 1) * size - room
                found.append(_Entry(tag, kind, count, pointer if length > room else inline))
        return found

    def link(self, offset: int) -> int:
        """The offset of the pointer from the directory at ``offset`` to the next one."""
        head, size = (8, 20) if self.big else (2, 12)
        return offset + head + self.unpack("Q" if self.big else "H", offset)[0] * size

    def pointer(self, at: int) -> int:
        return self.unpack("Q" if self.big else "I", at)[0]

    def value(self, entry: _Entry) -> Value:
        length = entry.length
        if length > self.bytes_left:
            self._complain(f"tag {entry.tag} of {length} bytes is too long and left out")
            raise ValueError("a tag is too long")
        self.bytes_left -= length
        data = self.bytes_at(entry.at, length)
        unit = 4 if entry.kind in _RATIONALS else _SIZES[entry.kind]
        if self.order == ">" and unit > 1:
            data = np.frombuffer(data, f">u{unit}").astype(f"<u{unit}").tobytes()
        return Value(entry.kind, entry.count, data)

    def _complain(self, message: str) -> None:
        """Logs the first complaint; there may be thousands."""
        if not self.complained:
            _log.warning(message)
        self.complained = True

    def directory(self, offset: int, wanted: Container[int] | None, depth: int = 0) -> Directory:
        """The ``wanted`` tags (None: all) at ``offset``, without damaged ones."""
        self.followed.add(offset)
        found: Directory = {}
        entries = self.entries(offset)
        if not self.overlap:
            self._check_overlap(entries)
        # Sub-directories last, so that their contents take no room from the other tags.
        for entry in sorted(entries, key=lambda entry: entry.tag in _SUB_DIRECTORIES):
            if wanted is not None and entry.tag not in wanted:
                continue
            try:
                if entry.tag not in _SUB_DIRECTORIES:
                    found[entry.tag] = self.value(entry)
                elif depth < 2:
                    at = self.value(entry).numbers()[0]
                    if at not in self.followed:
                        found[entry.tag] = self.directory(at, None, depth + 1)
            except HostileTagsError:
                raise
            except ValueError:
                continue
        return found

    def _check_overlap(self, entries: list[_Entry]) -> None:
        """Raises HostileTagsError if the values together are longer than the file."""
        lengths = [entry.length for entry in entries if entry.length <= self.size]
        if sum(lengths) > self.size + _MOST_OVERLAP:
            raise HostileTagsError("its tags overlap")


def read_directories(
    stream: BinaryIO,
    wanted: Container[int] | None = None,
    *,
    place: int = 0,
    elsewhere: Container[int] = frozenset(),
    overlap: bool = True,
) -> list[Directory]:
    """The chain of directories of a TIFF stream.

    The one at ``place`` has the ``wanted`` tags (None: all), the others those in ``elsewhere``.
    EXIF, GPS and interoperability directories are nested. Raises ValueError if the stream is not
    TIFF, is cut off, links its directories in a circle, or holds too much. Without ``overlap``, it
    also raises if values share bytes, because some decoders read every tag.
    """
    reader = _Reader(stream, overlap=overlap)
    found: list[Directory] = []
    seen: set[int] = set()
    offset = reader.first
    while offset:
        if offset in seen or len(seen) == _MOST_DIRECTORIES:
            raise ValueError("the directories of tags run in a circle")
        seen.add(offset)
        found.append(reader.directory(offset, wanted if len(found) == place else elsewhere))
        offset = reader.pointer(reader.link(offset))
    return found


def serialise(directory: Directory, start: int) -> bytes:
    """A directory and its values as little-endian TIFF, to be placed at even offset ``start``."""
    heap_at = start + 2 + 12 * len(directory) + 4
    table, heap = bytearray(struct.pack("<H", len(directory))), bytearray()
    for tag in sorted(directory):
        item = directory[tag]
        here = heap_at + len(heap)
        if isinstance(item, dict):
            heap += serialise(item, here)
            item = Value(LONG, 1, struct.pack("<I", here))
            field = item.data
        elif len(item.data) > 4:
            heap += item.data + bytes(len(item.data) % 2)
            field = struct.pack("<I", here)
        else:
            field = item.data.ljust(4, b"\0")
        table += struct.pack("<HHI", tag, item.kind, item.count) + field
    return bytes(table) + bytes(4) + bytes(heap)


def exif_block(directory: Directory) -> bytes | None:
    """A directory as a self-contained EXIF block; None if it is empty."""
    if not directory:
        return None
    return struct.pack("<2sHI", b"II", 42, 8) + serialise(directory, 8)


def first_directory(block: bytes | None, wanted: Container[int] | None = None) -> Directory:
    """The ``wanted`` tags (None: all) of an EXIF block; none if it cannot be read.

    Whatever follows its first directory, usually a thumbnail, may be damaged.
    """
    try:
        reader = _Reader(io.BytesIO(block or b""))
        return reader.directory(reader.first, wanted)
    except ValueError:
        return {}


def numbers_of(directory: Directory, tag: int, default: tuple[int, ...]) -> tuple[int, ...]:
    """A tag's numbers; ``default`` if it has none."""
    value = directory.get(tag)
    return value.numbers() if isinstance(value, Value) and value.count else default


def orientation_of(directory: Directory) -> int | None:
    """The directory's orientation, 1 to 8; None if it has no valid one."""
    value = directory.get(ORIENTATION)
    # Only types that _patch can reset.
    if not isinstance(value, Value) or value.kind not in _WHOLE:
        return None
    number = value.numbers()[0]
    return number if 1 <= number <= 8 else None


def dpi_of(directory: Directory) -> tuple[float, float] | None:
    """Pixels per inch, across and down; None if the directory lacks one of them or the unit."""
    found = [directory.get(tag) for tag in (X_RESOLUTION, Y_RESOLUTION)]
    per_inch = _INCHES.get(numbers_of(directory, RESOLUTION_UNIT, (2,))[0])
    values = [value.ratio() for value in found if isinstance(value, Value) and value.count]
    if per_inch is None or len(values) < 2:
        return None
    return values[0] * per_inch, values[1] * per_inch


def tells_resolution_only(block: bytes) -> bool:
    """Whether an EXIF block holds nothing but the resolution, as one made of a TIFF's tags may."""
    tags = first_directory(block)
    return bool(tags) and tags.keys() <= set(RESOLUTION)


def upright_exif(exif: bytes, width: int, height: int, *, on_its_side: bool = False) -> bytes:
    """The EXIF block for the upright, restored image of ``width`` x ``height``.

    Orientation becomes 1, the sizes are updated, the thumbnail of the old image is removed, and an
    image that lay ``on_its_side`` gets its resolutions across and down exchanged. All this happens
    in place, because maker notes hold offsets that break when a block is rewritten. An unreadable
    block comes back unchanged.
    """
    patched = bytearray(exif)
    try:
        reader = _Reader(io.BytesIO(exif))
        entries = reader.entries(reader.first)
        _patch(patched, reader, entries, {ORIENTATION: 1, WIDTH: width, HEIGHT: height})
        if on_its_side:
            _exchange(patched, entries, X_RESOLUTION, Y_RESOLUTION)
        for entry in entries:
            if entry.tag == EXIF_IFD:
                below = reader.entries(reader.value(entry).numbers()[0])
                _patch(patched, reader, below, {_PIXEL_WIDTH: width, _PIXEL_HEIGHT: height})
        _cut_thumbnail(patched, reader, reader.link(reader.first))
    except ValueError:
        return bytes(patched)
    return bytes(patched)


def unturned(data: bytes, place: int) -> bytes:
    """A TIFF stream that begins with the directory at ``place``, and has orientation 1 there.

    For decoders that read the first image and would turn it themselves.
    """
    patched = bytearray(data)
    reader = _Reader(io.BytesIO(data))
    offset = reader.first
    for _ in range(place):
        offset = reader.pointer(reader.link(offset))
    struct.pack_into(reader.order + ("Q" if reader.big else "I"), patched, reader.start, offset)
    _patch(patched, reader, reader.entries(offset), {ORIENTATION: 1})
    return bytes(patched)


def _patch(
    block: bytearray, reader: _Reader, entries: list[_Entry], numbers: dict[int, int]
) -> None:
    """Overwrites the first integer of ``entries`` whose values lie within ``block``."""
    for entry in entries:
        layout = _WHOLE.get(entry.kind)
        if entry.tag in numbers and layout and entry.at + entry.length <= len(block):
            number = numbers[entry.tag]
            if number < 1 << 8 * _SIZES[entry.kind]:
                struct.pack_into(reader.order + layout, block, entry.at, number)


def _exchange(block: bytearray, entries: list[_Entry], one: int, other: int) -> None:
    """Swaps two single RATIONAL values of ``entries`` in ``block``, if both lie within it."""
    single = {e.tag: e.at for e in entries if e.kind == RATIONAL and e.count == 1}
    if one in single and other in single:
        low, high = sorted((single[one], single[other]))
        if low + 8 <= high <= len(block) - 8:
            a, b = slice(low, low + 8), slice(high, high + 8)
            block[a], block[b] = block[b], block[a]


def _cut_thumbnail(block: bytearray, reader: _Reader, link: int) -> None:
    """Unlinks the second directory, at ``link``, and blanks (at the end: removes) its thumbnail."""
    second = reader.pointer(link)
    if not second:
        return
    struct.pack_into(reader.order + "I", block, link, 0)
    tags = reader.directory(second, {_THUMBNAIL_AT, _THUMBNAIL_LENGTH})
    at, length = tags.get(_THUMBNAIL_AT), tags.get(_THUMBNAIL_LENGTH)
    if not isinstance(at, Value) or not isinstance(length, Value):
        return
    start, end = at.numbers()[0], at.numbers()[0] + length.numbers()[0]
    if start < 8 or end > len(block):
        return
    if end >= len(block) - 1:
        del block[start:]
    else:
        block[start:end] = bytes(end - start)
