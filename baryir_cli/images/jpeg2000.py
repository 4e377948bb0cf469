"""Reads and writes the pixels of JPEG 2000, with 8 to 16 bits a channel.

Pillow writes all, and reads 8 bits. OpenCV reads more bits, of which Pillow keeps 8 in colours.
"""

from __future__ import annotations

import io
from dataclasses import replace
from math import log10
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, Jpeg2KImagePlugin

from baryir_cli.images import codestream, jp2, opencv
from baryir_cli.images.checks import check_size
from baryir_cli.images.colour import narrowed, rgb_of_ycc, widened, ycc_of
from baryir_cli.images.photo import ImageError, Photo
from baryir_cli.images.planes import decoded, upright_planes
from baryir_cli.images.upright import described, orientation_of

# The root mean square error for each step of quality below 101, of 255.
_ERROR = 0.17
# Y, Cb and Cr that are all so much closer make RGB as close as is wanted.
_CLOSER = 10 * log10(3)
# The lossy wavelet does not come closer than a few steps along shorter sides.
_SHORT = 16
# OpenJPEG holds a tile at a time. Each is as wide as the picture, because Pillow takes the wrong
# samples for tiles of 16 bits that are beside others.
_TILE_PIXELS = 1 << 22


def read(stream: BinaryIO, limit: float) -> Photo:
    """The photograph in a JP2 or a codestream; errors as in ``read_photo``.

    9 to 15 bits become 16, over the full range. Y, Cb and Cr become RGB.
    """
    file = jp2.opened(stream)
    check_size(*file.header.size, limit)
    orientation = orientation_of(file.exif, file.xmp)
    bits = file.header.components[0].bits
    decode = _decoded if bits == 8 else _decoded_deep
    photo = decode(file, orientation)
    if file.is_ycc:
        photo.pixels = rgb_of_ycc(photo.pixels)
    photo = described(photo, orientation, icc=file.icc, exif=file.exif, xmp=file.xmp, dpi=file.dpi)
    return replace(
        photo,
        bits=bits if 8 < bits < 16 else None,
        lossless=file.header.reversible,
        boxes=file.boxes,
    )


def encode(samples: np.ndarray, photo: Photo, quality: int) -> bytes:
    """A codestream of ``(H, W, C)``: grey or RGB, 8 bits also with transparency, 16 bits RGB only.

    8 bits stay 8. Of 16 bits, as many are kept as the photo came with. Lossless if the photo was,
    or if a side is below 16 pixels. Else the error aimed at, root mean square, is
    0.17 (101 - ``quality``) of 255: 48 dB at 95, 35 dB at 75, 29 dB at 50. In colour, 95 comes
    closer to photographs than JPEG's 95 (41.6 dB on average, at most 46.5), in as many bytes.
    """
    decibels = None
    if not photo.lossless and min(samples.shape[:2]) >= _SHORT:
        decibels = 20 * log10(255 / (_ERROR * (101 - quality)))
    if samples.dtype == np.uint8:
        return _coded(samples, decibels, mct=1)
    bits = photo.bits or 16
    channels, transformed = _exact(samples, bits), False
    if decibels is not None:
        channels, transformed = _scaled(samples, bits), samples.shape[2] >= 3
        decibels += _CLOSER if transformed else 0
    # One by one, because Pillow writes 16 bits of grey only.
    coded = [
        _coded(channels[..., number], decibels, progression=codestream.PROGRESSION)
        for number in range(samples.shape[2])
    ]
    return codestream.with_depth(codestream.joined(coded, transformed=transformed), bits)


def _exact(samples: np.ndarray, bits: int) -> np.ndarray:
    """Samples of 16 bits that the lossless wavelet codes as if they had fewer ``bits``.

    Coding subtracts the middle of the range first, of 16 bits here and of fewer in decoders.
    """
    if bits == 16:
        return samples
    return narrowed(samples, bits) + np.uint16((1 << 15) - (1 << bits - 1))


def _scaled(samples: np.ndarray, bits: int) -> np.ndarray:
    """Samples of 16 bits that the lossy wavelet codes as if they had fewer ``bits``, for which
    decoders scale them down; in colour as Y, Cb and Cr.
    """
    if bits < 16:
        samples = narrowed(samples, bits) << np.uint16(16 - bits)
    if samples.shape[2] < 3:
        return samples
    return np.concatenate([ycc_of(samples[..., :3]), samples[..., 3:]], axis=2)


def _coded(samples: np.ndarray, decibels: float | None, **options: Any) -> bytes:
    """A codestream of ``(H, W)`` or ``(H, W, C)`` as close as that, or lossless with None."""
    height, width = samples.shape[:2]
    strips = -(-height * width // _TILE_PIXELS)
    options["tile_size"] = (width, -(-height // strips))
    if decibels is not None:
        options |= {"irreversible": True, "quality_mode": "dB", "quality_layers": [decibels]}
    if samples.shape[2:] == (1,):
        samples = samples[..., 0]
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(samples)).save(out, "JPEG2000", no_jp2=True, **options)
    return out.getvalue()


def _decoded(file: jp2.File, orientation: int) -> Photo:
    image = Jpeg2KImagePlugin.Jpeg2KImageFile(io.BytesIO(file.codestream))
    return decoded(image, file.format, orientation)


def _decoded_deep(file: jp2.File, orientation: int) -> Photo:
    header = file.header
    bits, count = header.components[0].bits, len(header.components)
    if count == 2:
        raise ImageError(f"has {bits}-bit grey with transparency; save it as RGB or PNG first")
    if not header.starts_at_origin:
        raise ImageError(
            f"is cut out of a larger picture, which is not supported at {bits} bits; save it as "
            "TIFF or PNG first"
        )
    # The codestream alone, because OpenCV gets Y, Cb and Cr wrong.
    colour, alpha = opencv.decode(io.BytesIO(file.codestream))
    if colour.dtype != np.uint16 or colour.shape[1::-1] != header.size:
        raise ValueError("OpenCV read it as something else")
    if bits < 16:
        colour = widened(colour, bits)
        alpha = None if alpha is None else widened(alpha, bits)
    pixels, alpha = upright_planes(colour, alpha, orientation)
    return Photo(pixels, alpha, file.format, "grey" if colour.shape[2] == 1 else "rgb")
