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

from baryir_cli.bands import bands
from baryir_cli.images import codestream, jp2, opencv
from baryir_cli.images.checks import check_size
from baryir_cli.images.colour import eight_bits, narrowed, rgb_of_ycc, widened, ycc_of
from baryir_cli.images.photo import ImageError, Photo
from baryir_cli.images.planes import decoded, unlimited, upright_planes
from baryir_cli.images.upright import described, orientation_of
from models.formats import WIDEST_JPEG

STARTS = (jp2.SIGNATURE, codestream.START)
"""The first bytes of a JP2, or of a codestream."""

# OpenJPEG's mean square errors are larger than what it aims at by up to that, a decibel and a half.
_MISSED = 1.41
# Of samples that are rounded to 8 bits; and the least to aim at.
_ROUNDING, _LEAST = 1 / 12, 0.01
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
    if it has transparency, or if a side is below 16 pixels. Else at least as close to the samples
    as a JPEG of that ``quality``, up to about 51 dB: for photographs, 40 to 43 dB at 95, in two
    thirds of its bytes.
    """
    # Transparency must not change.
    clear = photo.alpha is not None
    lossless = photo.lossless or clear or min(samples.shape[:2]) < _SHORT
    error = None if lossless else _error_of_jpeg(samples[:WIDEST_JPEG, :WIDEST_JPEG], quality)
    if samples.dtype == np.uint16:
        return _encode_deep(samples, photo.bits or 16, error)
    if error is not None:
        error = max(error - _ROUNDING, _LEAST)
    return _coded(samples, error, mct=1)


def _encode_deep(samples: np.ndarray, bits: int, error: float | None) -> bytes:
    """A codestream of uint16 ``(H, W, C)``; the error is in 255ths, None for lossless."""
    # One channel at a time, because Pillow writes 16 bits of grey only.
    transformed = error is not None and samples.shape[2] == 3
    if error is None:
        samples = _exact(samples, bits)
    else:
        samples = _scaled(samples, bits)
        # Those of Y, Cb and Cr add up.
        error = error / 3 if transformed else error
    coded = [
        _coded(samples[..., number], error, progression=codestream.PROGRESSION)
        for number in range(samples.shape[2])
    ]
    return codestream.with_depth(codestream.joined(coded, transformed=transformed), bits)


def _error_of_jpeg(samples: np.ndarray, quality: int) -> float | None:
    """The mean square error to aim at to be as close to ``(H, W, C)`` as a JPEG, in 255ths.

    None if a JPEG loses nothing. A number that does not depend on the picture would be too coarse
    for a smooth one, or too fine for others.
    """
    plain = samples if samples.dtype == np.uint8 else eight_bits(samples)
    jpeg = io.BytesIO()
    _image(plain).save(jpeg, "JPEG", quality=quality, subsampling=0)
    with unlimited(plain.shape[0] * plain.shape[1]):
        found = np.asarray(Image.open(jpeg, formats=["JPEG"])).reshape(plain.shape)
    total = 0.0
    for rows in bands(*plain.shape[:2]):
        total += float(np.square(plain[rows].astype(np.float32) - found[rows]).sum(dtype=float))
    return total / plain.size / _MISSED if total else None


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
    return samples if samples.shape[2] == 1 else ycc_of(samples)


def _coded(samples: np.ndarray, error: float | None, **options: Any) -> bytes:
    """A codestream of ``(H, W)`` or ``(H, W, C)`` with that error, in 255ths; None for lossless."""
    height, width = samples.shape[:2]
    strips = -(-height * width // _TILE_PIXELS)
    options["tile_size"] = (width, -(-height // strips))
    if error is not None:
        decibels = 10 * log10(255**2 / error)
        options |= {"irreversible": True, "quality_mode": "dB", "quality_layers": [decibels]}
    out = io.BytesIO()
    _image(samples).save(out, "JPEG2000", no_jp2=True, **options)
    return out.getvalue()


def _image(samples: np.ndarray) -> Image.Image:
    grey = samples.ndim == 3 and samples.shape[2] == 1
    return Image.fromarray(np.ascontiguousarray(samples[..., 0] if grey else samples))


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
