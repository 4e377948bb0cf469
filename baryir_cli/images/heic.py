"""Reads and writes HEIC, as phones store photographs, with the optional package pillow-heif."""

from __future__ import annotations

import io
import logging
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from typing import Any, BinaryIO

import numpy as np

from baryir_cli.images import heif
from baryir_cli.images.checks import check_frames, check_size
from baryir_cli.images.colour import narrowed, widened
from baryir_cli.images.heif import Cicp
from baryir_cli.images.losses import (
    CREDENTIALS,
    OTHER_PICTURES,
    VIDEO,
    tell_what_is_left_out,
)
from baryir_cli.images.photo import ImageError, Photo
from baryir_cli.images.planes import upright_planes
from baryir_cli.images.upright import bare_exif, described

_log = logging.getLogger(__name__)

INSTALL = "to read and write HEIC, pip install pillow-heif"
# A tenth of the time of x265's own "slow", for files that are a seventh larger.
_SPEED = {"preset": "ultrafast"}
_CHROMA = (444, 422, 420)
_DEPTHS = (10, 12)
# Colours that the profile alone defines, coded as JPEG codes them.
_BY_PROFILE = Cicp(2, 2, 6, 1)
_SRGB = Cicp(1, 13, 6, 1)


@cache
def is_installed() -> bool:
    """Whether pillow-heif is there."""
    return find_spec("pillow_heif") is not None


def is_missing_for(format_name: str | None) -> bool:
    """Whether a format, a key of ``FORMATS``, needs pillow-heif, which is not there."""
    return format_name == "heic" and not is_installed()


def read(stream: BinaryIO, limit: float) -> Photo:
    """The primary photograph in a HEIC; errors as in ``read_photo``.

    10 and 12 bits become 16, over the full range.
    """
    if not is_installed():
        raise ImageError(f"is a HEIC image; {INSTALL}")
    import pillow_heif

    # Before libheif, whose messages do not say what happened to a file.
    stored = heif.properties_of(stream)
    check_size(*stored.size, limit)
    check_frames(stored.pictures, "pictures")
    stream.seek(0)
    file = pillow_heif.open_heif(stream, convert_hdr_to_8bit=False, hdr_to_16bit=False)
    image = file[file.primary_index]
    check_size(*image.size, limit)
    if image.premultiplied_alpha:
        raise ImageError("has colours multiplied by their transparency; save it as PNG first")
    info: dict[str, Any] = image.info
    colour, alpha = _planes(np.asarray(image), image.has_alpha, info["bit_depth"])
    # The decoder has turned it upright.
    pixels, alpha = upright_planes(colour, alpha, 1)
    photo = Photo(pixels, alpha, "heic", "grey" if colour.shape[2] == 1 else "rgb")
    photo = described(
        photo,
        1,
        icc=info.get("icc_profile"),
        exif=bare_exif(info["exif"]),
        xmp=info.get("xmp"),
    )
    there = len(file) > 1 or info["depth_images"] or info.get("aux")
    tell_what_is_left_out(
        "HEIC",
        {
            OTHER_PICTURES: bool(there),
            "further metadata": bool(info["metadata"]),
            VIDEO: stored.has_video,
            CREDENTIALS: stored.has_credentials,
        },
    )
    chroma = info.get("chroma")
    return replace(
        photo,
        bits=info["bit_depth"] if info["bit_depth"] > 8 else None,
        subsampling=_CHROMA.index(chroma) if chroma in _CHROMA else None,
        cicp=_cicp(info.get("nclx_profile")),
    )


def encode(samples: np.ndarray, photo: Photo, quality: int) -> bytes:
    """A HEIC of ``(H, W, C)``, grey, RGB or RGBA, with a photo's metadata.

    8 bits stay 8. Of 16 bits, as many are kept as the photo came with if they are 10 or 12,
    or else 10.
    """
    import pillow_heif

    height, width, channels = samples.shape
    bits = 8 if samples.dtype == np.uint8 else _deep_bits(photo.bits or 16)
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels] + (f";{bits}" if bits > 8 else "")
    colours = _BY_PROFILE if photo.icc else photo.cicp or _SRGB
    metadata = {"icc_profile": photo.icc, "exif": photo.exif, "xmp": photo.xmp}
    out = io.BytesIO()
    pillow_heif.encode(
        mode,
        (width, height),
        (samples if bits == 8 else narrowed(samples, bits)).tobytes(),
        out,
        quality=quality,
        # 4:4:4, which not every device shows, only where the photo had it.
        chroma=_CHROMA[2 if photo.subsampling is None else photo.subsampling],
        bit_depth=bits,
        enc_params=dict(_SPEED),
        color_primaries=colours.primaries,
        transfer_characteristics=colours.transfer,
        matrix_coefficients=colours.matrix,
        full_range_flag=colours.full_range,
        **{name: value for name, value in metadata.items() if value},
    )
    return out.getvalue()


def _deep_bits(wanted: int) -> int:
    """How many of more than 8 bits are written; what is lost of them is logged."""
    bits = wanted if wanted in _DEPTHS else _DEPTHS[0]
    if bits < wanted:
        _log.warning("of %d bits, HEIC keeps %d", wanted, bits)
    return bits


def _cicp(nclx: dict[str, Any] | None) -> Cicp | None:
    if nclx is None:
        return None
    names = (
        "color_primaries",
        "transfer_characteristics",
        "matrix_coefficients",
        "full_range_flag",
    )
    return Cicp(*(int(nclx[name]) for name in names))


def _planes(
    samples: np.ndarray, has_alpha: bool, bits: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Colour ``(H, W, 1 or 3)`` and alpha ``(H, W)`` or None, over the range of their dtype."""
    samples = samples.reshape(*samples.shape[:2], -1)
    if bits > 8:
        samples = widened(samples, bits)
    return (samples[..., :-1], samples[..., -1]) if has_alpha else (samples, None)
