"""TIFF: reads 16-bit samples, which Pillow cuts to 8, and writes every TIFF."""

from __future__ import annotations

import io
import logging
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from mmap import mmap
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from baryir_cli.bands import bands
from baryir_cli.images import ifd, opencv
from baryir_cli.images.colour import unpremultiplied
from baryir_cli.images.ifd import Directory, Value
from baryir_cli.images.inflate import Meter
from baryir_cli.images.metadata import iptc_of, with_iptc
from baryir_cli.images.photo import ImageError
from baryir_cli.images.png import deflater

if TYPE_CHECKING:
    import tifffile

_KIND, _OLD_KIND, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 255, 258, 259, 262
_STRIPS, _SAMPLES, _ROWS, _STRIP_BYTES, _PLANAR, _PREDICTOR = 273, 277, 278, 279, 284, 317
_COLOUR_MAP, _SUB_IMAGES = 320, 330
_EXTRA, _SAMPLE_FORMAT = 338, 339
_XMP, _IPTC, _PHOTOSHOP, _ICC = 700, 33723, 34377, 34675

# Tags that describe the picture, not the file's layout: names, dates, rights, resolution, number
# and place of the page, Windows' titles and ratings. Others may hold offsets into the old file.
_DESCRIPTIVE = frozenset(
    {269, 270, 271, 272, 282, 283, 285, 286, 287, 296, 297, 305, 306, 315, 316, 33432, 18246, 18249}
    | {40091, 40092, 40093, 40094, 40095, ifd.EXIF_IFD, ifd.GPS_IFD}
)
# Where on Earth the pixels are (GeoTIFF, GDAL); they only mean something in a TIFF.
_GEOTIFF = frozenset({33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113})
_LAYOUT = frozenset(
    {
        _KIND,
        _OLD_KIND,
        ifd.WIDTH,
        ifd.HEIGHT,
        _BITS,
        _COMPRESSION,
        _PHOTOMETRIC,
        _SAMPLES,
        _SUB_IMAGES,
    }
    | {_PLANAR, _EXTRA, _SAMPLE_FORMAT}
)
_WANTED = _DESCRIPTIVE | _GEOTIFF | _LAYOUT | {ifd.ORIENTATION, _XMP, _IPTC, _PHOTOSHOP, _ICC}

# What a directory's image is, in bits; the older tag has numbers.
_REDUCED, _PAGE, _MASK = 1, 2, 4
_OLD_KINDS = {2: _REDUCED, 3: _PAGE}
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _SEPARATED = 0, 1, 2, 3, 5
_UNSPECIFIED, _PREMULTIPLIED, _UNASSOCIATED = 0, 1, 2
_DEFLATE = 8
CLASSIC_STARTS = (b"II*\0", b"MM\0*")
"""The first bytes of a classic TIFF, either byte order, and of EXIF."""
STARTS = (*CLASSIC_STARTS, b"II+\0", b"MM\0+")
"""The same with BigTIFF's."""
# Little-endian, with a pointer to the first directory that is yet to come.
_HEADER = struct.pack("<2sHI", b"II", 42, 0)
# Compressions that Pillow reads, and at 16 bits tifffile or OpenCV.
_READ = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 32771, 32773, 32946, 34925, 50000})
_READ_AT_SIXTEEN = frozenset({1, 5, 8, 32773, 32946})
_COMPRESSIONS = {6: "JPEG", 7: "JPEG", 34892: "JPEG", 34887: "LERC", 34925: "LZMA"}
_COMPRESSIONS |= {33003: "JPEG 2000", 33005: "JPEG 2000", 34712: "JPEG 2000"}
_COMPRESSIONS |= {34926: "Zstandard", 34927: "WebP", 50000: "Zstandard", 50001: "WebP"}
_COMPRESSIONS |= {50002: "JPEG XL", 52546: "JPEG XL"}
_LARGEST_OFFSET = 0xFFFFFFFF
# What tiles may hold beyond the image.
_LARGEST_MARGIN = 64 << 20


@dataclass
class TiffFile:
    """One of a TIFF's images, not decoded: the directory at ``place`` among all of them."""

    tags: Directory
    place: int = 0

    def numbers(self, tag: int, default: tuple[int, ...]) -> tuple[int, ...]:
        return ifd.numbers_of(self.tags, tag, default)

    def data(self, tag: int) -> bytes | None:
        value = self.tags.get(tag)
        return value.data if isinstance(value, Value) else None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as stored."""
        return self.numbers(ifd.WIDTH, (0,))[0], self.numbers(ifd.HEIGHT, (0,))[0]

    @property
    def kind(self) -> int:
        """What its image is, in bits; 0 for the plain case."""
        old = _OLD_KINDS.get(self.numbers(_OLD_KIND, (0,))[0], 0)
        return self.numbers(_KIND, (old,))[0]

    @property
    def bits(self) -> tuple[int, ...]:
        return self.numbers(_BITS, (1,))

    @property
    def floating(self) -> bool:
        return 3 in self.numbers(_SAMPLE_FORMAT, (1,))

    @property
    def signed(self) -> bool:
        return 2 in self.numbers(_SAMPLE_FORMAT, (1,))

    @property
    def samples(self) -> int:
        return self.numbers(_SAMPLES, (1,))[0]

    @property
    def unexplained(self) -> bool:
        """Whether it does not say what its extra channel is."""
        return self.numbers(_EXTRA, (_UNASSOCIATED,))[0] == _UNSPECIFIED

    @property
    def premultiplied(self) -> bool:
        """Whether its colours are multiplied by its transparency (associated alpha)."""
        return self.numbers(_EXTRA, (_UNSPECIFIED,))[0] == _PREMULTIPLIED

    @property
    def compression(self) -> int:
        return self.numbers(_COMPRESSION, (1,))[0]

    @property
    def photometric(self) -> int:
        return self.numbers(_PHOTOMETRIC, (_BLACK_IS_ZERO,))[0]

    @property
    def colour_space(self) -> str:
        """The photometric kind, by name if known."""
        names = {4: "a mask", 8: "CIELab", 9: "ICCLab", 10: "ITULab", 32803: "a camera's raw data"}
        return names.get(self.photometric, f"TIFF's kind {self.photometric}")

    @property
    def unread_compression(self) -> str | None:
        """Its compression, by name if known, if it is not supported; else None."""
        if self.compression in (_READ_AT_SIXTEEN if 16 in self.bits else _READ):
            return None
        return _COMPRESSIONS.get(self.compression, f"TIFF's kind {self.compression}")

    @property
    def white_is_zero(self) -> bool:
        return self.photometric == _WHITE_IS_ZERO

    @property
    def apart(self) -> bool:
        """Whether its channels are stored one after the other (planar), not pixel by pixel."""
        return self.numbers(_PLANAR, (1,))[0] == 2

    @property
    def colours(self) -> int:
        """The number of colour channels; 0 for an unsupported photometric kind."""
        grey = (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _PALETTE)
        if self.photometric in grey:
            return 1
        # 6 is YCbCr, found in JPEG-compressed TIFFs.
        return {_RGB: 3, 6: 3, _SEPARATED: 4}.get(self.photometric, 0)

    @property
    def deep(self) -> bool:
        """Whether its 16-bit samples are grey or RGB."""
        return self.photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB)

    @property
    def orientation(self) -> int | None:
        return ifd.orientation_of(self.tags)

    @property
    def icc(self) -> bytes | None:
        return self.data(_ICC)

    @property
    def xmp(self) -> bytes | None:
        return self.data(_XMP)

    @property
    def photoshop(self) -> bytes | None:
        """Photoshop's resources, with the IPTC that a TIFF stores separately."""
        resources, iptc = self.data(_PHOTOSHOP), self.data(_IPTC)
        return with_iptc(resources or b"", iptc) if iptc else resources

    @property
    def exif(self) -> bytes | None:
        """The descriptive tags, with the EXIF and GPS directories, as an EXIF block."""
        return self._block(_DESCRIPTIVE)

    @property
    def geotiff(self) -> bytes | None:
        """The GeoTIFF tags, in a block of the same form."""
        return self._block(_GEOTIFF)

    def _block(self, tags: frozenset[int]) -> bytes | None:
        return ifd.exif_block({tag: self.tags[tag] for tag in tags & set(self.tags)})


def pages_of(stream: BinaryIO) -> list[TiffFile]:
    """The pages of a TIFF, with the tags of their layout.

    Reduced copies of an image (thumbnails, pyramids) do not count. Raises ValueError if the tags
    cannot be read, and ImageError for a file whose images are not a row of pages.
    """
    directories = ifd.read_directories(stream, _LAYOUT, elsewhere=_LAYOUT, overlap=False)
    if not directories:
        raise ValueError("the TIFF holds no image")
    files = [TiffFile(tags, place) for place, tags in enumerate(directories)]
    pages = [file for file in files if not file.kind & _REDUCED]
    hiding = [file for file in files if file.kind & _REDUCED and _SUB_IMAGES in file.tags]
    if hiding or (files[0].kind & _REDUCED and len(files) > 1):
        raise ImageError("begins with a thumbnail of its image; save it as a plain TIFF first")
    if len(pages) > 1:
        _check_kinds(pages)
    return pages or files


def _check_kinds(pages: list[TiffFile]) -> None:
    """Raises ImageError if a page is something else than a picture of its own."""
    if any(page.kind & _MASK for page in pages):
        raise ImageError(
            "has a transparency mask beside its pictures, which cannot be kept; save it with "
            "the transparency in the picture, or without"
        )
    if strange := [page.kind for page in pages if page.kind & ~_PAGE]:
        raise ImageError(
            f"has an image that is not a page (TIFF's kind {strange[0]}); save it as a plain TIFF"
        )


def described(stream: BinaryIO, page: TiffFile) -> TiffFile:
    """A page with all its tags."""
    place = page.place
    tags = ifd.read_directories(stream, _WANTED, place=place, overlap=False)[place]
    return TiffFile(tags, place)


def read_sixteen(stream: BinaryIO, file: TiffFile) -> tuple[np.ndarray, np.ndarray | None]:
    """Colour ``(H, W, 1 or 3)`` and alpha ``(H, W)`` or None, both uint16, as stored.

    Raises whatever tifffile raises on damaged data, ValueError if OpenCV reads nothing, and
    ImageError if OpenCV would read it wrongly.
    """
    width, height = file.size
    samples = _by_tifffile(stream, file)
    if samples is None:
        stream.seek(0)
        # OpenCV turns a TIFF upright, but our caller does that for all of them.
        colour, alpha = opencv.decode(io.BytesIO(ifd.unturned(stream.read(), file.place)))
    else:
        samples = samples.reshape(height, width, -1)
        colour = samples[..., : file.colours]
        alpha = samples[..., -1] if file.samples > file.colours else None
    if colour.dtype != np.uint16 or colour.shape != (height, width, file.colours):
        raise ValueError("the samples are not laid out as the tags say")
    if (alpha is not None) != (file.samples > file.colours):
        raise ValueError("the samples are not laid out as the tags say")
    if file.white_is_zero:
        colour = ~colour
    if alpha is not None and file.premultiplied:
        colour = unpremultiplied(colour, alpha)
    return colour, alpha


def _by_tifffile(stream: BinaryIO, file: TiffFile) -> np.ndarray | None:
    """Samples, channels last; None for compressions for which tifffile needs ``imagecodecs``."""
    # Imported here because few images need it.
    import tifffile

    # It would print lines about tags that are not needed here.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    stream.seek(0)
    with tifffile.TiffFile(stream) as tiff:
        page = tiff.pages[file.place]
        if page.compression not in (1, 8, 32946):
            apart = file.apart and file.samples > 1
            # OpenCV garbles the first and drops the transparency of the second.
            if apart or file.samples == 2:
                what = "planar channels" if apart else "grey with transparency"
                raise ImageError(
                    f"has 16-bit {what} in an unsupported compression; save it uncompressed first"
                )
            return None
        if page.compression != 1:
            _check_segments(page)
        # One worker, because the caller's threads work on other images.
        samples = np.asarray(page.asarray(maxworkers=1))
        if file.apart and samples.ndim == 3:
            return np.moveaxis(samples, 0, -1)
        return samples


def _check_segments(page: tifffile.TiffPage) -> None:
    """Raises ValueError for deflated strips or tiles that hold more than they should."""
    most = 2 * math.prod(page.chunks)
    if most > page.nbytes + _LARGEST_MARGIN or len(page.dataoffsets) > math.prod(page.chunked):
        raise ValueError("the samples are not laid out as the tags say")
    for offset, length in zip(page.dataoffsets, page.databytecounts, strict=True):
        meter = Meter(most)
        page.parent.filehandle.seek(offset)
        meter.feed(page.parent.filehandle.read(length))
        if meter.length > most:
            raise ValueError("its strips hold more than the image")


@dataclass
class Samples:
    """A TIFF's samples; ``rows`` gives (h, W, channels) uint8 or uint16, or packed bits."""

    width: int
    height: int
    channels: int
    bits: int
    photometric: int
    rows: Callable[[slice], np.ndarray]
    alpha: bool = False
    # (N, 3) uint8, for palettes.
    colours: np.ndarray | None = None


def plain(
    height: int,
    width: int,
    channels: int,
    bits: int,
    rows: Callable[[slice], np.ndarray],
    alpha: bool,
) -> Samples:
    """Grey, RGB or CMYK with 8 or 16 ``bits``; with ``alpha``, it is the last channel."""
    photometric = {1: _BLACK_IS_ZERO, 3: _RGB, 4: _SEPARATED}[channels - alpha]
    return Samples(width, height, channels, bits, photometric, rows, alpha)


def bilevel(black_and_white: np.ndarray) -> Samples:
    """``(H, W)`` of booleans, True for white, at one bit per pixel."""
    height, width = black_and_white.shape
    return Samples(
        width=width,
        height=height,
        channels=1,
        bits=1,
        photometric=_BLACK_IS_ZERO,
        rows=lambda rows: np.packbits(black_and_white[rows], axis=1)[..., None],
    )


def palette(indices: np.ndarray, colours: np.ndarray) -> Samples:
    """Indices ``(H, W)`` uint8 into colours ``(N, 3)`` uint8."""
    height, width = indices.shape
    return Samples(
        width=width,
        height=height,
        channels=1,
        bits=8,
        photometric=_PALETTE,
        rows=lambda rows: indices[rows][..., None],
        colours=colours,
    )


def encode(
    samples: Samples,
    *,
    icc: bytes | None = None,
    exif: bytes | None = None,
    xmp: bytes | None = None,
    photoshop: bytes | None = None,
    geotiff: bytes | None = None,
    dpi: tuple[float, float] | None = None,
) -> bytes:
    """A little-endian TIFF of one page, in deflated strips, with its metadata.

    Raises ValueError if it would exceed the 4 GiB of a classic TIFF.
    """
    predict = samples.bits > 1 and samples.colours is None
    out = io.BytesIO()
    out.write(_HEADER)
    offsets, lengths = [], []
    strips = list(bands(samples.height, samples.width))
    for rows in strips:
        strip = _packed(samples.rows(rows), predict)
        offsets.append(out.tell())
        lengths.append(len(strip))
        out.write(strip)
        _check_length(out.tell())
    start = out.tell() + out.tell() % 2
    tags = _descriptive_tags(exif, dpi) | ifd.first_directory(geotiff, _GEOTIFF)
    iptc = iptc_of(photoshop)
    for tag, data in ((_ICC, icc), (_XMP, xmp), (_IPTC, iptc), (_PHOTOSHOP, photoshop)):
        if data:
            tags[tag] = Value(ifd.BYTE if tag == _XMP else ifd.UNDEFINED, len(data), data)
    tags |= _layout_tags(samples, predict)
    tags |= {_STRIPS: _longs(*offsets), _STRIP_BYTES: _longs(*lengths)}
    tags[_ROWS] = _longs(strips[0].stop)
    directory = ifd.serialise(tags, start)
    _check_length(start + len(directory))
    out.seek(start)
    out.write(directory)
    out.seek(4)
    out.write(struct.pack("<I", start))
    return out.getvalue()


class Binder:
    """Joins TIFFs of one page, as :func:`encode` makes them, into one of several pages."""

    def __init__(self, out: BinaryIO) -> None:
        self.out = out
        # Where the pointer to the next directory is.
        self.link = out.write(_HEADER) - 4

    def add(self, tiff: bytes | mmap) -> None:
        """Adds a page; raises ValueError beyond the 4 GiB of a classic TIFF."""
        (end,) = struct.unpack_from("<I", tiff, 4)
        (tags,) = ifd.read_directories(io.BytesIO(tiff))
        at = self.out.seek(0, io.SEEK_END)
        start = at + end - len(_HEADER)
        strips = [strip + at - len(_HEADER) for strip in ifd.numbers_of(tags, _STRIPS, ())]
        tags |= {_KIND: _longs(_PAGE), _STRIPS: _longs(*strips)}
        directory = ifd.serialise(tags, start)
        _check_length(start + len(directory))
        # Offsets are even.
        padding = bytes(len(directory) % 2)
        self.out.write(tiff[len(_HEADER) : end] + directory + padding)
        self.out.seek(self.link)
        self.out.write(struct.pack("<I", start))
        self.link = start + 2 + 12 * len(tags)


def _check_length(length: int) -> None:
    """Raises ValueError beyond the reach of a classic TIFF's offsets."""
    if length > _LARGEST_OFFSET:
        raise ValueError("a TIFF cannot be larger than 4 GiB; split it")


def _packed(rows: np.ndarray, predict: bool) -> bytes:
    """Rows (h, W, channels), little-endian and deflated; ``predict``: as differences."""
    if predict:
        ahead = rows[:, :-1]
        rows = rows.copy()
        rows[:, 1:] -= ahead
    packer = deflater(rows.dtype)
    data = rows.astype(rows.dtype.newbyteorder("<"), copy=False).tobytes()
    return packer.compress(data) + packer.flush()


def _layout_tags(samples: Samples, predict: bool) -> Directory:
    """The tags that say how to read the strips."""
    tags: Directory = {
        ifd.WIDTH: _longs(samples.width),
        ifd.HEIGHT: _longs(samples.height),
        _BITS: _shorts(*[samples.bits] * samples.channels),
        _COMPRESSION: _shorts(_DEFLATE),
        _PHOTOMETRIC: _shorts(samples.photometric),
        ifd.ORIENTATION: _shorts(1),
        _SAMPLES: _shorts(samples.channels),
        _PLANAR: _shorts(1),
        _PREDICTOR: _shorts(2 if predict else 1),
    }
    if samples.alpha:
        tags[_EXTRA] = _shorts(_UNASSOCIATED)
    if samples.colours is not None:
        table = np.zeros((3, 256), np.uint16)
        table[:, : len(samples.colours)] = samples.colours.T.astype(np.uint16) * 257
        tags[_COLOUR_MAP] = _shorts(*table.ravel().tolist())
    return tags


def _descriptive_tags(exif: bytes | None, dpi: tuple[float, float] | None) -> Directory:
    """The tags of an EXIF block that belong in a TIFF's own directory, with ``dpi`` for theirs."""
    tags = ifd.first_directory(exif, _DESCRIPTIVE)
    # An unchanged resolution keeps its form, which may be centimetres.
    if dpi and dpi != ifd.dpi_of(tags):
        for tag, value in zip((ifd.X_RESOLUTION, ifd.Y_RESOLUTION), dpi, strict=True):
            fraction = struct.pack("<II", min(round(value * 1000), _LARGEST_OFFSET), 1000)
            tags[tag] = Value(ifd.RATIONAL, 1, fraction)
        tags[ifd.RESOLUTION_UNIT] = _shorts(2)
    return tags


def _shorts(*numbers: int) -> Value:
    return Value(ifd.SHORT, len(numbers), struct.pack(f"<{len(numbers)}H", *numbers))


def _longs(*numbers: int) -> Value:
    return Value(ifd.LONG, len(numbers), struct.pack(f"<{len(numbers)}I", *numbers))
