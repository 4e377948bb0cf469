"""JP2 files (ISO/IEC 15444-1, annex I): the boxes around a codestream of JPEG 2000."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO, Literal

from baryir_cli.images import boxes, codestream
from baryir_cli.images.boxes import Box
from baryir_cli.images.checks import check_frames
from baryir_cli.images.codestream import Component, Header
from baryir_cli.images.losses import CREDENTIALS, tell_what_is_left_out
from baryir_cli.images.photo import EXPORT_FIRST, ImageError, Photo
from baryir_cli.images.upright import bare_exif

SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
"""The start of a JP2; a codestream alone starts with ``codestream.START``."""

_BRAND = b"jp2 "
_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_EXIF = b"JpgTiffExif->JP2"
_GEO = bytes.fromhex("b14bf8bd083d4b43a5ae8cd7d5a6ce03")
# What says something of the scene or the scan; GML, which gives a place on earth, is in asoc.
_KEPT = frozenset({b"uuid", b"xml ", b"uinf", b"asoc"})
_STRUCTURE = frozenset({b"jP  ", b"ftyp", b"jp2h", b"jp2c", b"rreq", b"free"})

_BY_NUMBER, _BY_PROFILE, _BY_ANY_PROFILE = 1, 2, 3
_SRGB, _GREY, _YCC = 16, 17, 18
_COLOURS_OF = {_SRGB: 3, _GREY: 1, _YCC: 3, b"RGB ": 3, b"GRAY": 1}
_COLOUR, _OPACITY, _PREMULTIPLIED = 0, 1, 2
_WHOLE_PICTURE = 0
_INCH = Fraction(254, 10000)
"""In metres."""
_MOST, _MOST_EXPONENT = 0xFFFF, 4


@dataclass(frozen=True)
class File:
    """What a file holds; of a codestream alone, there is nothing else."""

    format: Literal["jp2", "j2k"]
    codestream: bytes
    header: Header
    icc: bytes | None = None
    is_ycc: bool = False
    """Whether the colours are Y, Cb and Cr, over their whole range, without a profile."""
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    boxes: tuple[Box, ...] = ()
    """Further ones, to be kept."""


def opened(stream: BinaryIO) -> File:
    """Reads a JP2, or a codestream alone.

    Raises ValueError if it is cut off or damaged, ImageError for colours and channels that could
    not be written back.
    """
    stream.seek(0)
    if stream.read(len(SIGNATURE)) != SIGNATURE:
        stream.seek(0)
        data = stream.read()
        return File("j2k", data, _header(data))
    found = list(_boxes(stream))
    _check_is_plain(found)
    header = list(_boxes(io.BytesIO(_first(found, b"jp2h"))))
    data = _first(found, b"jp2c")
    coded = _header(data)
    icc, number = _colours(header, _checked_colours(header, len(coded.components)))
    others = [box for box in found if box[0] in _KEPT and not boxes.holds_credentials(*box)]
    file = File(
        "jp2",
        data,
        coded,
        icc,
        number == _YCC,
        bare_exif(_taken(others, _EXIF)),
        _taken(others, _XMP),
        _dpi(header),
        tuple(others),
    )
    unknown = any(kind not in _KEPT | _STRUCTURE for kind, _ in found)
    signed = any(boxes.holds_credentials(*box) for box in found)
    tell_what_is_left_out("JPEG 2000", {"further boxes": unknown, CREDENTIALS: signed})
    return file


def packed(data: bytes, photo: Photo) -> bytes:
    """A JP2 of a codestream, grey or RGB, perhaps with transparency, and a photo's metadata."""
    coded = codestream.header_of(data)
    width, height = coded.size
    count, bits = len(coded.components), coded.components[0].bits
    size = struct.pack(">IIHBBBB", height, width, count, bits - 1, 7, 0, 0)
    header = [boxes.box(b"ihdr", size), _colour_box(photo.icc, count)]
    if count % 2 == 0:
        header.append(_channel_box(count))
    if photo.dpi:
        header.append(boxes.box(b"res ", boxes.box(b"resc", _resolution(photo.dpi))))
    others = [boxes.box(kind, body) for kind, body in photo.boxes]
    if photo.xmp:
        others.append(boxes.box(b"uuid", _XMP, photo.xmp))
    if photo.exif:
        others.append(boxes.box(b"uuid", _EXIF, photo.exif))
    return b"".join(
        [
            SIGNATURE,
            boxes.box(b"ftyp", _BRAND, bytes(4), _BRAND),
            boxes.box(b"jp2h", *header),
            *others,
            boxes.box(b"jp2c", data),
        ]
    )


def has_geo(kept: Iterable[Box]) -> bool:
    """Whether there is GeoJP2, a place on earth, among the boxes."""
    return any(map(_is_geo, kept))


def has_others(kept: Iterable[Box]) -> bool:
    """Whether there is anything but GeoJP2 among the boxes."""
    return not all(map(_is_geo, kept))


def _is_geo(box: Box) -> bool:
    kind, data = box
    return kind == b"uuid" and data.startswith(_GEO)


def _boxes(stream: BinaryIO) -> Iterator[Box]:
    """The boxes one by one; raises ValueError if the header or the codestream is cut off."""
    length = stream.seek(0, io.SEEK_END)
    for kind, first, end in boxes.places(stream):
        if end <= length:
            yield kind, boxes.data_at(stream, first, end)
        # Metadata, or what is behind the boxes, do not matter as much.
        elif kind in (b"jp2h", b"jp2c"):
            raise ValueError(boxes.DAMAGED)


def _first(found: Iterable[Box], kind: bytes) -> bytes:
    data = next((data for there, data in found if there == kind), None)
    if data is None:
        raise ValueError(boxes.DAMAGED)
    return data


def _check_is_plain(found: list[Box]) -> None:
    """Raises ImageError for pictures of several codestreams, and files that are no JP2."""
    kinds = [kind for kind, _ in found]
    brands = _first(found, b"ftyp")
    check_frames(kinds.count(b"jp2c"), "codestreams")
    if _BRAND not in (brands[at : at + 4] for at in range(0, len(brands), 4)):
        raise ImageError(f"is a JPX or another extension of JPEG 2000; {EXPORT_FIRST}")


def _header(data: bytes) -> Header:
    """A codestream's header; ImageError for samples that could not be written back."""
    header = codestream.header_of(data)
    first, count = header.components[0], len(header.components)
    if not 8 <= first.bits <= 16 or first.signed:
        kind = "signed" if first.signed else "unsigned"
        raise ImageError(
            f"has {first.bits}-bit {kind} samples; 8 to 16 bits, unsigned, are supported"
        )
    if count > 4:
        raise ImageError(f"has {count} channels per pixel, which is not supported")
    if {*header.components} != {Component(first.bits, False, 1, 1)}:
        raise ImageError("has channels of unequal depth or size; save it as RGB or PNG first")
    return header


def _checked_colours(header: list[Box], count: int) -> int:
    """The number of colours among the channels; ImageError unless only transparency is added.

    It must be the last channel, and the colours must be in their usual order.
    """
    kinds = {kind for kind, _ in header}
    if b"pclr" in kinds:
        raise ImageError("has a palette, which is not supported in JPEG 2000; save it as RGB first")
    colours = count - (count % 2 == 0)
    if b"cdef" not in kinds:
        if colours < count:
            raise ImageError("has an extra channel that is not transparency; remove it")
        return colours
    data = _first(header, b"cdef")[2:]
    defined = sorted(struct.iter_unpack(">3H", data[: len(data) // 6 * 6]))
    if any(kind == _PREMULTIPLIED for _, kind, _ in defined):
        raise ImageError("has colours multiplied by their transparency; save it as PNG first")
    usual = [(number, _COLOUR, number + 1) for number in range(colours)]
    if colours < count:
        usual.append((colours, _OPACITY, _WHOLE_PICTURE))
    if defined != usual:
        raise ImageError("has channels in an order or of a kind that is not supported")
    return colours


def _colours(header: list[Box], count: int) -> tuple[bytes | None, int | None]:
    """The profile, or else the number of the colour space, of so many colours."""
    for kind, data in header:
        if kind != b"colr" or len(data) < 7:
            continue
        method, name = data[0], data[3:]
        if method in (_BY_PROFILE, _BY_ANY_PROFILE):
            space = name[16:20].decode("latin-1").strip()
            _check_colours(count, name[16:20], space if space.isprintable() else "unknown")
            return name, None
        if method == _BY_NUMBER:
            number = int.from_bytes(name[:4], "big")
            _check_colours(count, number, f"number {number}")
            return None, number
    return None, None


def _check_colours(count: int, space: int | bytes, name: str) -> None:
    if _COLOURS_OF.get(space) != count:
        raise ImageError(
            f"has {count} channels of colours that are not supported ({name}); save it as RGB first"
        )


def _taken(others: list[Box], uuid: bytes) -> bytes | None:
    """The data of the first box with this UUID, which is taken out of the others."""
    for box in others:
        if box[0] == b"uuid" and box[1].startswith(uuid):
            others.remove(box)
            return box[1][len(uuid) :]
    return None


def _dpi(header: list[Box]) -> tuple[float, float] | None:
    """The resolution of the scan, or else the one to show it at."""
    found = next((data for kind, data in header if kind == b"res "), b"")
    inside = dict(_boxes(io.BytesIO(found)))
    data = inside.get(b"resc") or inside.get(b"resd") or b""
    if len(data) < 10:
        return None
    above, below, above_across, below_across, power, power_across = struct.unpack(
        ">4H2b", data[:10]
    )
    if not below or not below_across:
        return None
    across = above_across / below_across * 10.0**power_across
    return across * float(_INCH), above / below * 10.0**power * float(_INCH)


def _resolution(dpi: tuple[float, float]) -> bytes:
    across, down = map(_ratio, dpi)
    return struct.pack(">4H2b", *down[:2], *across[:2], down[2], across[2])


def _ratio(dpi: float) -> tuple[int, int, int]:
    """Pixels in a metre, as closely as 16 bits allow: numerator, denominator, power of 10."""
    wanted = Fraction(dpi).limit_denominator(1000) / _INCH

    def candidate(power: int) -> tuple[Fraction, int]:
        value = wanted / 10**power
        return value.limit_denominator(max(1, min(_MOST, int(_MOST / max(value, 1))))), power

    fitting = [c for c in map(candidate, range(_MOST_EXPONENT + 1)) if c[0].numerator <= _MOST]
    ratio, power = min(fitting, key=lambda c: abs(c[0] * 10 ** c[1] - wanted))
    return ratio.numerator, ratio.denominator, power


def _colour_box(icc: bytes | None, count: int) -> bytes:
    if icc:
        return boxes.box(b"colr", bytes([_BY_PROFILE, 0, 0]), icc)
    number = _GREY if count < 3 else _SRGB
    return boxes.box(b"colr", struct.pack(">3BI", _BY_NUMBER, 0, 0, number))


def _channel_box(count: int) -> bytes:
    """Says that the last channel is the transparency of all others."""
    defined = [(number, _COLOUR, number + 1) for number in range(count - 1)]
    defined.append((count - 1, _OPACITY, _WHOLE_PICTURE))
    return boxes.box(b"cdef", struct.pack(">H", count), *(struct.pack(">3H", *d) for d in defined))
