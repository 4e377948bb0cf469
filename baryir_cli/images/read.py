"""Reads photographs: only supported formats, with sizes checked before decoding."""

from __future__ import annotations

import io
import re
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import BmpImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin

from baryir_cli.images import (
    avif,
    bmp,
    heic,
    heif,
    jpeg2000,
    opencv,
    png,
    tiff,
    webp,
)
from baryir_cli.images.checks import check_frames, check_size
from baryir_cli.images.libtiff import silence_libtiff
from baryir_cli.images.losses import OTHER_PICTURES, VIDEO, tell_what_is_left_out
from baryir_cli.images.metadata import PHOTOSHOP_HEADER, xmp_orientation
from baryir_cli.images.photo import (
    EXPORT_FIRST,
    FOREIGN_SUFFIXES,
    ImageError,
    Photo,
    failures_as_image_errors,
    naming_page,
)
from baryir_cli.images.planes import decoded, unlimited, upright_planes
from baryir_cli.images.upright import bare_exif, described, orientation_of
from baryir_cli.limits import MAX_MEGAPIXELS

_EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"
# The end mark, perhaps some padding, and the box that starts an MP4.
_VIDEO = re.compile(rb"\xff\xd9.{0,64}?\0\0\0[\x10-\x40]ftyp", re.DOTALL)
# A BMP without its file header, as in some .dib files, starts with the length of its info header.
_DIB_HEADERS = tuple(struct.pack("<I", size) for size in (12, 16, 40, 52, 56, 64, 108, 124))


def read_photo(
    source: Path | bytes, *, page: int | None = None, max_megapixels: float = MAX_MEGAPIXELS
) -> Photo:
    """Decodes a photograph of one of FORMATS: a file or its bytes; of an MPO the primary image.

    The content decides the format, not the name. Pixels and alpha come out upright. Safe to call
    from several threads. ``page`` is the number, from 0, of a page of a TIFF; with None, a TIFF of
    several pages is refused. Raises ImageError, one line without the file's name, for a missing or
    unreadable file, a folder, a pipe, an empty file, another format, damaged or truncated data,
    more than ``max_megapixels`` (TooLargeError, before decoding), several frames, a TIFF that
    begins with its thumbnail, an extra channel that is not transparency, 32-bit or floating-point
    samples, unsupported compression, a JPEG 2000 with a palette or channels of other kinds than
    grey, RGB and transparency, and a HEIC if pillow-heif is not installed.
    """
    with opened(source) as stream, failures_as_image_errors("cannot be decoded"):
        head = stream.read(heif.HEAD)
        limit = max_megapixels * 1e6
        if head.startswith(png.SIGNATURE):
            return _read_png(stream, limit)
        if head.startswith(b"\xff\xd8\xff"):
            return _read_jpeg(stream, limit)
        if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
            return webp.read(stream, limit)
        if _is_tiff(head, source):
            return _read_tiff(stream, limit, page)
        if head.startswith(b"BM") or head.startswith(_DIB_HEADERS):
            return _read_bmp(stream, limit)
        if content := heif.content_of(head):
            return (avif.read if content == "avif" else heic.read)(stream, limit)
        if head.startswith(jpeg2000.STARTS):
            return jpeg2000.read(stream, limit)
        if not head:
            raise ImageError("is empty (0 bytes)")
        hint = f"; {EXPORT_FIRST}" if _is_foreign(source) or head[4:8] == b"ftyp" else ""
        raise ImageError(
            f"is not a PNG, JPEG, WebP, TIFF, BMP, AVIF, HEIC or JPEG 2000 image{hint}"
        )


def count_pages(source: Path | bytes, *, max_megapixels: float = MAX_MEGAPIXELS) -> int:
    """The number of pages of a TIFF; 1 for anything else, even if it cannot be read.

    Raises ImageError if :func:`read_photo` would refuse one of several pages without decoding it.
    """
    with opened(source) as stream, failures_as_image_errors("cannot be decoded"):
        if not _is_tiff(stream.read(4), source):
            return 1
        pages = tiff.pages_of(stream)
        for number, page in enumerate(pages):
            if len(pages) > 1:
                with naming_page(number):
                    _check_page(page, max_megapixels * 1e6)
        return len(pages)


def _is_tiff(head: bytes, source: Path | bytes) -> bool:
    """Whether a file begins like a TIFF; camera raw files do too, with a preview first."""
    return head[:4] in tiff.STARTS and not _is_foreign(source)


def _is_foreign(source: Path | bytes) -> bool:
    return isinstance(source, Path) and source.suffix.lower() in FOREIGN_SUFFIXES


@contextmanager
def opened(source: Path | bytes) -> Iterator[BinaryIO]:
    """A stream of the source's bytes; raises ImageError if the system refuses it."""
    if isinstance(source, bytes):
        yield io.BytesIO(source)
        return
    # Windows calls a folder "permission denied".
    if source.is_dir():
        raise ImageError("is a folder, not an image")
    try:
        # Check before opening: a pipe would wait for a writer, a device may never end.
        if not stat.S_ISREG(source.stat().st_mode):
            raise ImageError("is not a regular file")
        file = source.open("rb")
    except OSError as error:
        if isinstance(error, FileNotFoundError) and source.is_symlink():
            raise ImageError("is a link that leads nowhere") from None
        raise ImageError(f"cannot be opened: {error.strerror or error}") from error
    with file:
        yield file


def _read_png(stream: BinaryIO, limit: float) -> Photo:
    file = png.scan(stream)
    check_size(file.width, file.height, limit)
    check_frames(file.frames, "frames")
    exif, xmp = bare_exif(file.exif), file.xmp
    orientation = orientation_of(exif, xmp)
    if file.depth == 16:
        photo = _read_deep_png(stream, file, orientation)
    else:
        clear = file.clear_grey
        bare = png.bare(stream, file, transparency=clear is None)
        photo = decoded(PngImagePlugin.PngImageFile(bare), "png", orientation)
        if clear is not None:
            photo.alpha = np.where(photo.pixels[..., 0] == clear, np.uint8(0), np.uint8(255))
    photo = described(
        photo,
        orientation,
        icc=file.icc,
        exif=exif,
        xmp=xmp,
        photoshop=file.photoshop,
        dpi=file.dpi,
    )
    return replace(photo, chunks=file.kept)


def _read_deep_png(stream: BinaryIO, file: png.PngFile, orientation: int) -> Photo:
    # Transparent colours are handled here, because OpenCV ignores them in grey images.
    colour, alpha = opencv.decode(png.bare(stream, file, transparency=False))
    if colour.dtype != np.uint16 or colour.shape[:2] != (file.height, file.width):
        raise ValueError("OpenCV read it as something else")
    key = file.single.get(b"tRNS", b"")
    if alpha is None and len(key) == 2 * colour.shape[2]:
        clear = (colour == np.frombuffer(key, ">u2")).all(axis=2)
        alpha = np.where(clear, 0, 65535).astype(np.uint16)
    grey = file.colour_type in (0, 4)
    pixels, alpha = upright_planes(colour, alpha, orientation)
    return Photo(pixels, alpha, "png", "grey" if grey else "rgb")


def _read_jpeg(stream: BinaryIO, limit: float) -> Photo:
    stream.seek(0)
    # Not Image.open: this class gives the primary image of an MPO.
    image = JpegImagePlugin.JpegImageFile(stream)
    check_size(*image.size, limit)
    exif, xmp = bare_exif(image.info.get("exif")), image.info.get("xmp")
    orientation = orientation_of(exif, xmp)
    photo = decoded(image, "jpeg", orientation)
    resources = b"".join(
        data.removeprefix(PHOTOSHOP_HEADER)
        for name, data in image.applist
        if name == "APP13" and data.startswith(PHOTOSHOP_HEADER)
    )
    photo = described(
        photo,
        orientation,
        icc=image.info.get("icc_profile"),
        exif=exif,
        xmp=xmp,
        photoshop=resources,
        # Not Pillow's reading of EXIF: it uses one value for both sides, ignores the unit, or
        # invents 72.
        dpi=image.info.get("dpi") if image.info.get("jfif_unit") else None,
    )
    segments = image.applist
    tell_what_is_left_out(
        "JPEG",
        {
            "further comments": sum(name == "COM" for name, _ in segments) > 1,
            OTHER_PICTURES: any(
                name == "APP2" and data.startswith(b"MPF\0") for name, data in segments
            ),
            "the part of XMP that is too long for one segment": any(
                name == "APP1" and data.startswith(_EXTENDED_XMP) for name, data in segments
            ),
            "the content credentials (JUMBF)": any(name == "APP11" for name, _ in segments),
            VIDEO: _ends_with_a_video(stream),
        },
    )
    sampling = JpegImagePlugin.get_sampling(image)
    return replace(
        photo,
        comment=image.info.get("comment") or None,
        subsampling=sampling if sampling >= 0 else None,
        progressive=bool(image.info.get("progressive")),
    )


def _ends_with_a_video(stream: BinaryIO) -> bool:
    """Whether an MP4 follows the picture's end mark, as phones put it there."""
    stream.seek(0)
    return _VIDEO.search(stream.read()) is not None


def _read_tiff(stream: BinaryIO, limit: float, number: int | None) -> Photo:
    pages = tiff.pages_of(stream)
    if number is None:
        check_frames(len(pages), "pages")
    page = pages[number or 0]
    _check_page(page, limit)
    file = tiff.described(stream, page)
    orientation = file.orientation or xmp_orientation(file.xmp) or 1
    if 16 in file.bits:
        photo = _read_deep_tiff(stream, file, orientation)
    else:
        photo = _read_plain_tiff(stream, file)
    photo = described(
        photo,
        orientation,
        icc=file.icc,
        exif=file.exif,
        xmp=file.xmp,
        photoshop=file.photoshop,
    )
    return replace(photo, geotiff=file.geotiff, page=number or 0)


def _check_page(page: tiff.TiffFile, limit: float) -> None:
    """Raises ImageError for a page that is too large or cannot be read, judging by its tags."""
    check_size(*page.size, limit)
    _check_samples(page)
    if compression := page.unread_compression:
        depth = " at 16 bits" if 16 in page.bits else ""
        raise ImageError(
            f"is compressed with {compression}, which is not supported{depth}; save it with LZW "
            "or Deflate first"
        )


def _check_samples(file: tiff.TiffFile) -> None:
    """Raises ImageError for samples that could not be written back as they are."""
    bits = max(file.bits)
    if file.floating or file.signed or bits not in (1, 2, 4, 8, 16):
        kind = "floating point" if file.floating else "signed" if file.signed else "unsigned"
        raise ImageError(f"has {bits}-bit {kind} samples; 8 and 16 bits, unsigned, are supported")
    if not file.colours:
        raise ImageError(
            f"has colours that are not supported ({file.colour_space}); save it as RGB first"
        )
    extra = file.samples - file.colours
    if extra < 0 or extra > (0 if file.colours == 4 else 1):
        raise ImageError(f"has {file.samples} channels per pixel, which is not supported")
    if extra and file.unexplained:
        raise ImageError("has an extra channel that is not transparency; remove it")
    if bits == 16 and (set(file.bits) != {16} or not file.deep):
        raise ImageError(
            "has 16-bit samples that are neither grey nor RGB; save it with 8 bits first"
        )
    # Pillow has no modes for these, or mistakes other data for the transparency.
    if bits == 8 and extra and file.colours == 1 and (file.white_is_zero or file.apart):
        layout = "with white as zero" if file.white_is_zero else "in separate planes"
        raise ImageError(f"has grey and transparency stored {layout}; save it as RGB or PNG first")
    if bits == 8 and file.apart and file.premultiplied and file.compression == 1:
        raise ImageError(
            "has planar channels with premultiplied transparency, uncompressed; save it with LZW "
            "or Deflate first"
        )


def _read_plain_tiff(stream: BinaryIO, file: tiff.TiffFile) -> Photo:
    stream.seek(0)
    # Pillow finds no tags in these.
    if stream.read(4) == b"MM\0+":
        raise ImageError(
            "is a big-endian BigTIFF, which is only read at 16 bits; save it as a plain TIFF first"
        )
    stream.seek(0)
    silence_libtiff()
    with unlimited(file.size[0] * file.size[1]):
        image = TiffImagePlugin.TiffImageFile(stream)
        image.seek(file.place)
        check_size(*image.size, file.size[0] * file.size[1])
        # Pillow would keep an earlier page's.
        image.info["icc_profile"] = file.icc
        # Pillow turns TIFFs upright itself, and only TIFFs.
        return decoded(image, "tiff", 1)


def _read_deep_tiff(stream: BinaryIO, file: tiff.TiffFile, orientation: int) -> Photo:
    colour, alpha = tiff.read_sixteen(stream, file)
    pixels, alpha = upright_planes(colour, alpha, orientation)
    return Photo(pixels, alpha, "tiff", "grey" if file.colours == 1 else "rgb")


def _read_bmp(stream: BinaryIO, limit: float) -> Photo:
    stream.seek(0)
    with_header = stream.read(2) == b"BM"
    stream.seek(0)
    opener = BmpImagePlugin.BmpImageFile if with_header else BmpImagePlugin.DibImageFile
    image = opener(stream)
    check_size(*image.size, limit)
    photo = decoded(image, "bmp", 1)
    icc = bmp.profile(stream, bmp.FILE_HEADER if with_header else 0)
    return described(photo, 1, icc=icc, dpi=image.info.get("dpi"))
