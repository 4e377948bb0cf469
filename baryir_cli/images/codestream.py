"""The codestream of JPEG 2000 (ISO/IEC 15444-1, annex A): what its header says, and its parts."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from baryir_cli.images.photo import CUT_OFF

START = b"\xff\x4f\xff\x51"
PROGRESSION = "CPRL"
"""The order of packets that :func:`joined` needs: first by component."""

_CODING, _PART, _DATA, _END = b"\xff\x52", b"\xff\x90", b"\xff\x93", b"\xff\xd9"
# Where the number of components is, and three bytes for each behind it.
_COUNT, _COMPONENTS = 40, 42
_PART_HEAD = 12
_REVERSIBLE = 1


class Component(NamedTuple):
    """The samples of one channel, and how many pixels share one in each direction."""

    bits: int
    signed: bool
    across: int
    down: int


@dataclass(frozen=True)
class Header:
    """What the main header says of the picture."""

    size: tuple[int, int]
    starts_at_origin: bool
    """False for what was cut out of a larger picture without decoding it."""
    components: tuple[Component, ...]
    reversible: bool
    """Whether it is coded with the wavelet that loses nothing."""


def header_of(data: bytes) -> Header:
    """Reads the main header; raises ValueError if it is damaged or the codestream is cut off."""
    if not data.startswith(START) or len(data) < _COMPONENTS:
        raise ValueError(CUT_OFF)
    right, bottom, left, top = struct.unpack_from(">4I", data, 8)
    raw = data[_COMPONENTS : _COMPONENTS + 3 * _components(data)]
    coding = next((data[at:end] for kind, at, end in _segments(data) if kind == _CODING), b"")
    if not raw or len(raw) % 3 or len(coding) < 14 or not _is_whole(data):
        raise ValueError(CUT_OFF)
    return Header(
        (right - left, bottom - top),
        (left, top) == (0, 0),
        tuple(
            Component((depth & 0x7F) + 1, depth > 0x7F, across, down)
            for depth, across, down in struct.iter_unpack("3B", raw)
        ),
        coding[13] == _REVERSIBLE,
    )


def with_depth(data: bytes, bits: int) -> bytes:
    """A codestream whose samples are announced as unsigned of so many ``bits``."""
    count = _components(data)
    changed = bytearray(data)
    changed[_COMPONENTS : _COMPONENTS + 3 * count : 3] = bytes([bits - 1]) * count
    return bytes(changed)


def joined(channels: Sequence[bytes], *, transformed: bool) -> bytes:
    """One codestream of several that hold a channel each, coded alike in :data:`PROGRESSION`.

    As packets are sorted by component, a tile's packets are those of its channels, one after the
    other. ``transformed``: the first three are Y, Cb and Cr, which decoders turn into RGB (with the
    lossy wavelet). Raises ValueError if the channels do not fit together.
    """
    tiles = [list(_tiles(channel)) for channel in channels]
    parts = [_header(channels, transformed=transformed)]
    for number, bodies in enumerate(zip(*tiles, strict=True)):
        length = _PART_HEAD + len(_DATA) + sum(map(len, bodies))
        parts += [_PART, struct.pack(">HHIBB", 10, number, length, 0, 1), _DATA, *bodies]
    return b"".join([*parts, _END])


def _header(channels: Sequence[bytes], *, transformed: bool) -> bytes:
    """The main header for all channels, made of the first one's."""
    first, count = channels[0], len(channels)
    header = bytearray(first[: _first_part(first)])
    coding = next(at for kind, at, _ in _segments(first) if kind == _CODING)
    # Behind marker, length, style, progression and layers.
    header[coding + 8] = transformed
    component = header[_COMPONENTS : _COMPONENTS + 3]
    header[_COMPONENTS : _COMPONENTS + 3] = component * count
    struct.pack_into(">H", header, _COUNT, count)
    struct.pack_into(">H", header, 4, 38 + 3 * count)
    return bytes(header)


def _tiles(data: bytes) -> Iterator[bytes]:
    """The packets of each tile, all in one part without further headers, as Pillow writes them."""
    at = _first_part(data)
    while data[at : at + 2] == _PART:
        end = at + int.from_bytes(data[at + 6 : at + 10], "big")
        start = at + _PART_HEAD
        if data[start : start + 2] != _DATA or data[at + 10] != 0:
            raise ValueError("the tiles are not in one part each")
        yield data[start + 2 : end]
        at = end


def _components(data: bytes) -> int:
    return int.from_bytes(data[_COUNT : _COUNT + 2], "big")


def _segments(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The segments of the main header: their markers, and where they begin and end.

    There is at least one in what begins with :data:`START`.
    """
    at = 2
    while (kind := data[at : at + 2]) not in (_PART, _END) and kind[:1] == b"\xff":
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        yield kind, at, end
        at = end


def _first_part(data: bytes) -> int:
    return max(end for *_, end in _segments(data))


def _is_whole(data: bytes) -> bool:
    """Whether all parts are there, with the end mark behind them."""
    at = _first_part(data)
    seen: set[bytes] = set()
    while data[at : at + 2] == _PART:
        seen.add(data[at + 4 : at + 6])
        length = int.from_bytes(data[at + 6 : at + 10], "big")
        # 0 for a last one up to the end mark.
        at = at + max(length, _PART_HEAD) if length else data.rfind(_END)
    return data[at : at + 2] == _END and len(seen) >= _tile_count(data)


def _tile_count(data: bytes) -> int:
    right, bottom, _, _, width, height, left, top = struct.unpack_from(">8I", data, 8)
    across, down = right - left, bottom - top
    return -(-across // max(width, 1)) * -(-down // max(height, 1)) if min(across, down) > 0 else 0
