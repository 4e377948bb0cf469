"""What a HEIF file (ISO/IEC 23008-12), the container of HEIC and AVIF, says of its pictures."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import BinaryIO, Literal, NamedTuple

from baryir_cli.images import boxes

HEAD = 64
"""Bytes that tell what a file holds: the first box, with its list of brands."""

_AVIF = frozenset({b"avif", b"avis"})
_HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_GAIN_MAP = b"tmap"
_PICTURES = frozenset({b"av01", b"hvc1", b"grid", b"iden", b"iovl"})
"""Types of items that are pictures: coded, put together or taken from others."""
_PARTS = frozenset({b"thmb", b"auxl"})
"""How an item refers to the picture that it belongs to."""
_SRGB_PRIMARIES, _SRGB_TRANSFER = (1, 2), (1, 2, 6, 13)


class Cicp(NamedTuple):
    """Colours by number (ITU-T H.273), as HEIF and PNG name them instead of by a profile."""

    primaries: int
    transfer: int
    matrix: int
    full_range: int

    @property
    def is_known(self) -> bool:
        """Whether the standard has these numbers, which decoders and encoders insist on."""
        primaries = self.primaries in (1, 2, *range(4, 13), 22)
        matrix = self.matrix in (0, 1, 2, *range(4, 15))
        return primaries and self.transfer in (1, 2, *range(4, 19)) and matrix

    @property
    def is_srgb(self) -> bool:
        """Whether they are what is assumed of pictures that name no colours, or close to it."""
        return self.primaries in _SRGB_PRIMARIES and self.transfer in _SRGB_TRANSFER


@dataclass(frozen=True)
class Properties:
    """What a file says of its pictures, the thumbnails and gain maps among them."""

    size: tuple[int, int]
    """Width and height of the largest, before it is turned upright; 0 if none is named."""
    bits: int
    """Of the deepest AV1 picture; 8 for others."""
    subsampling: int | None
    """Of the first AV1 picture in colour: Pillow's 0 = 4:4:4, 1 = 4:2:2, 2 = 4:2:0."""
    cicp: Cicp | None
    """The first that is named, if it is known."""
    pictures: int
    """How many there are to see, without thumbnails, gain maps and the like."""
    has_gain_map: bool
    is_cropped: bool
    """Whether a part is to be shown only (a clean aperture)."""
    has_video: bool
    has_credentials: bool


def content_of(head: bytes) -> Literal["avif", "heic"] | None:
    """What a file holds, by its first :data:`HEAD` bytes; None for anything else."""
    if head[4:8] != b"ftyp":
        return None
    length = int.from_bytes(head[:4], "big")
    brands = {head[8:12], *_fours(head[16:length])}
    if brands & _AVIF:
        return "avif"
    return "heic" if brands & _HEIC else None


def properties_of(stream: BinaryIO) -> Properties:
    """Reads a file's properties; raises ValueError if the file is cut off or has none."""
    outer = list(boxes.places(stream))
    _check_is_whole(outer, stream.seek(0, io.SEEK_END))
    meta = _inside(stream, 0, b"meta")
    found = list(_properties(meta))
    sizes = [struct.unpack(">II", data[4:12]) for kind, data in found if kind == b"ispe"]
    codings = [data[2] for kind, data in found if kind == b"av1C"]
    colours = [data[4:11] for kind, data in found if kind == b"colr" and data[:4] == b"nclx"]
    stream.seek(0)
    return Properties(
        max(sizes, key=prod, default=(0, 0)),
        max(map(_bits, codings), default=8),
        next((_subsampling(coding) for coding in codings if not coding & 0x10), None),
        _cicp(colours[0]) if colours else None,
        _count_pictures(meta),
        _GAIN_MAP in _fours(stream.read(HEAD)[16:]),
        any(kind == b"clap" for kind, _ in found),
        any(kind == b"mpvd" for kind, *_ in outer),
        any(
            boxes.holds_credentials(kind, boxes.data_at(stream, first, first + 16))
            for kind, first, _ in outer
        ),
    )


def with_colours(avif: bytes, cicp: Cicp) -> bytes:
    """An AVIF with other primaries and another transfer function in its first colour box."""
    at = avif.index(b"colrnclx") + 8
    return avif[:at] + struct.pack(">HH", cicp.primaries, cicp.transfer) + avif[at + 4 :]


def _cicp(data: bytes) -> Cicp | None:
    primaries, transfer, matrix, flags = struct.unpack(">HHHB", data)
    cicp = Cicp(primaries, transfer, matrix, flags >> 7)
    return cicp if cicp.is_known else None


def _fours(data: bytes) -> list[bytes]:
    return [data[at : at + 4] for at in range(0, len(data), 4)]


def _bits(coding: int) -> int:
    return (12 if coding & 0x20 else 10) if coding & 0x40 else 8


def _subsampling(coding: int) -> int:
    """Pillow's number for the flags of the horizontal and the vertical direction."""
    return (coding >> 3 & 1) + (coding >> 2 & 1)


def _check_is_whole(outer: list[tuple[bytes, int, int]], length: int) -> None:
    """Raises ValueError for a file that ends before its header or its data do."""
    # What some phones put behind them is of no use here.
    if any(end > length for kind, _, end in outer if kind in (b"meta", b"mdat")):
        raise ValueError(boxes.DAMAGED)


def _properties(meta: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """The item properties, as (type, data)."""
    # This box begins with a version and flags.
    container = _inside(_inside(meta, 4, b"iprp"), 0, b"ipco")
    for kind, first, last in boxes.places(container):
        yield kind, boxes.data_at(container, first, last)


def _count_pictures(meta: BinaryIO) -> int:
    """The pictures among the items: neither hidden, nor parts of others or made into others."""
    primary, visible, belonging, used = 0, set(), set(), set()
    # This box begins with a version and flags, and so do those in it.
    for kind, first, last in boxes.places(meta, 4):
        data = boxes.data_at(meta, first, last)
        wide = "I" if data[:1] > b"\0" else "H"
        body = io.BytesIO(data[4:])
        if kind == b"pitm":
            (primary,) = struct.unpack_from(f">{wide}", data, 4)
        elif kind == b"iinf":
            visible = set(_visible(body, struct.calcsize(wide)))
        elif kind == b"iref":
            for how, at, end in boxes.places(body):
                numbers = boxes.data_at(body, at, end)
                source, count = struct.unpack_from(f">{wide}H", numbers)
                offset = struct.calcsize(f">{wide}H")
                targets = struct.unpack_from(f">{count}{wide}", numbers, offset)
                belonging |= {source} if how in _PARTS else set()
                used |= set(targets) if how == b"dimg" else set()
    return len((visible - belonging - used) | {primary})


def _visible(items: BinaryIO, start: int) -> Iterator[int]:
    """The numbers of the items that are pictures and not hidden."""
    for _, first, last in boxes.places(items, start):
        data = boxes.data_at(items, first, last)
        # Before version 2, items have no type, and are no pictures.
        if data[0] >= 2:
            number = "I" if data[0] > 2 else "H"
            item, _, kind = struct.unpack_from(f">{number}H4s", data, 4)
            if kind in _PICTURES and not data[3] & 1:
                yield item


def _inside(stream: BinaryIO, start: int, kind: bytes) -> BinaryIO:
    """The first box of a kind, as a stream of its own."""
    for found, first, last in boxes.places(stream, start):
        if found == kind:
            return io.BytesIO(boxes.data_at(stream, first, last))
    raise ValueError(boxes.DAMAGED)
