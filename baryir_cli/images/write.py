"""Writes photographs in the format and layout they came in, or the nearest one."""

from __future__ import annotations

import io
import logging
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from baryir_cli.images import avif, bmp, colour, heic, ifd, jp2, jpeg2000, png, tiff
from baryir_cli.images.metadata import (
    EXIF_HEADER,
    PHOTOSHOP_HEADER,
    XMP_HEADER,
    iptc_of,
    without_iptc,
)
from baryir_cli.images.photo import (
    DEFAULT_QUALITY,
    FORMATS,
    Layout,
    Photo,
    failures_as_image_errors,
)
from models.light import full_scale

_log = logging.getLogger(__name__)

# What fits into one JPEG segment after its length.
_JPEG_SEGMENT = 65533
# EXIF of a header and a directory without tags.
_LEAST_EXIF = 14
# For a BMP without a resolution; Pillow would invent one.
_NO_RESOLUTION = (0.0, 0.0)


@dataclass(frozen=True)
class _Capability:
    """What a format can hold: layouts, which of them with alpha, metadata, 16 bits."""

    layouts: frozenset[Layout]
    alpha: frozenset[Layout]
    metadata: frozenset[str] = frozenset()
    deep: bool = False
    # Layouts with alpha at 16 bits, where they are fewer.
    deep_alpha: frozenset[Layout] | None = None


_GREY_AND_RGB: frozenset[Layout] = frozenset({"grey", "rgb"})
_USUAL = frozenset({"profile", "EXIF", "XMP"})
_PHOTOSHOP = frozenset({"IPTC", "Photoshop resources"})
_CAPABILITIES = {
    "png": _Capability(
        _GREY_AND_RGB | {"palette", "bilevel"},
        _GREY_AND_RGB | {"palette"},
        _USUAL | _PHOTOSHOP | {"PNG text", "PNG colour space", "CICP colour space"},
        deep=True,
    ),
    "jpeg": _Capability(_GREY_AND_RGB | {"cmyk"}, frozenset(), _USUAL | _PHOTOSHOP | {"comment"}),
    "webp": _Capability(frozenset({"rgb"}), frozenset({"rgb"}), _USUAL),
    "tiff": _Capability(
        _GREY_AND_RGB | {"palette", "bilevel", "cmyk"},
        _GREY_AND_RGB,
        _USUAL | _PHOTOSHOP | {"GeoTIFF"},
        deep=True,
    ),
    "bmp": _Capability(
        _GREY_AND_RGB | {"palette", "bilevel"}, frozenset({"rgb"}), frozenset({"profile"})
    ),
    "avif": _Capability(_GREY_AND_RGB, frozenset({"rgb"}), _USUAL | {"CICP colour space"}),
    "heic": _Capability(
        _GREY_AND_RGB, frozenset({"rgb"}), _USUAL | {"CICP colour space"}, deep=True
    ),
    "jp2": _Capability(
        _GREY_AND_RGB,
        _GREY_AND_RGB,
        _USUAL | {"GeoJP2", "JP2 boxes"},
        deep=True,
        deep_alpha=frozenset({"rgb"}),
    ),
    "j2k": _Capability(_GREY_AND_RGB, _GREY_AND_RGB, deep=True, deep_alpha=frozenset({"rgb"})),
}


def encode_photo(photo: Photo, format: str | None = None, quality: int | None = None) -> bytes:
    """The bytes of an image file in ``format``, a key of FORMATS; None keeps the photo's own.

    Grey, alpha, 16 bits, palette (256 colours, no dithering), 1 bit (unless there are greys by now,
    which is logged), CMYK, profile, EXIF, XMP and resolution are kept if the format can hold them.
    If not, alpha is put on white (JPEG), 16 bits are rounded to 8 (JPEG, WebP, BMP, AVIF) or 10
    (HEIC), palettes become RGB (JPEG, WebP, AVIF, HEIC, JPEG 2000; TIFF and BMP with alpha), 1 bit
    becomes grey (JPEG, AVIF, HEIC, JPEG 2000), grey becomes RGB (WebP; BMP, AVIF, HEIC and, at 16
    bits, JPEG 2000 with alpha), and CMYK becomes sRGB without its profile (PNG, WebP, BMP, AVIF,
    HEIC, JPEG 2000). Of metadata, BMP holds the profile and the resolution, and a codestream
    (``j2k``) nothing. A profile for another colour space than the output's is dropped. Lost depth,
    transparency, CMYK and metadata are logged.

    ``quality``, 1 to 100, is for JPEG, WebP, AVIF, HEIC and JPEG 2000, with DEFAULT_QUALITY if
    None, or lossless for a WebP or JPEG 2000 that was lossless. JPEG, AVIF and HEIC keep the chroma
    subsampling that a photo came with; without one, it is 4:4:4, in HEIC 4:2:0. PNG, TIFF and BMP
    are lossless.

    Safe to call from several threads. Raises ImageError for what the format cannot hold at all,
    such as a WebP of 20,000 pixels a side, and ValueError for an unknown ``format``.
    """
    target = photo.format if format is None else format
    if target not in FORMATS:
        raise ValueError(f"unknown format: {target}")
    with failures_as_image_errors(f"cannot be written as {target.upper()}"):
        capability = _CAPABILITIES[target]
        fitted = _fitted(photo, capability)
        lost = [what for what in _metadata(fitted) if what not in capability.metadata]
        if lost := _picture_losses(photo, fitted) + lost:
            _log.warning("%s cannot be kept in %s", ", ".join(lost), target.upper())
        if quality is None:
            return _ENCODERS[target](fitted, DEFAULT_QUALITY.get(target, 100))
        return _ENCODERS[target](replace(fitted, lossless=False), quality)


def _picture_losses(photo: Photo, fitted: Photo) -> list[str]:
    """What a photo loses of its picture in the form that the format can hold."""
    alpha, inks = photo.alpha, photo.layout == "cmyk"
    there = {
        f"{photo.bits or 16}-bit depth": photo.pixels.dtype != fitted.pixels.dtype,
        "transparency": alpha is not None
        and fitted.alpha is None
        and alpha.min() < full_scale(alpha.dtype),
        "CMYK": inks and fitted.layout != "cmyk",
        # The profile of inks was applied; a grey one describes values that stay.
        "the grey profile": not inks and photo.icc is not None and fitted.icc is None,
    }
    return [name for name, lost in there.items() if lost]


def _metadata(photo: Photo) -> list[str]:
    """The kinds of metadata that a photo has, without its resolution."""
    there = {
        "profile": photo.icc,
        "EXIF": photo.exif and not ifd.tells_resolution_only(photo.exif),
        "XMP": photo.xmp,
        "IPTC": iptc_of(photo.photoshop),
        "Photoshop resources": without_iptc(photo.photoshop or b""),
        "GeoTIFF": photo.geotiff,
        "comment": photo.comment,
        "PNG text": png.has_text(photo.chunks),
        "CICP colour space": photo.colours_by_number,
        "PNG colour space": png.has_other_colours(photo.chunks),
        "GeoJP2": jp2.has_geo(photo.boxes),
        "JP2 boxes": jp2.has_others(photo.boxes),
    }
    return [name for name, data in there.items() if data]


def _fitted(photo: Photo, capability: _Capability) -> Photo:
    """The photo in a form that the format can hold."""
    pixels, alpha, layout = photo.pixels, photo.alpha, photo.layout
    if layout not in capability.layouts:
        layout = "grey" if layout == "bilevel" and "grey" in capability.layouts else "rgb"
    elif layout == "bilevel" and not colour.is_black_and_white(pixels):
        _log.warning("1 bit became 8-bit grey, because there are greys now")
        layout = "grey"
    if pixels.dtype != np.uint8 and not capability.deep:
        pixels = colour.eight_bits(pixels)
        alpha = None if alpha is None else colour.eight_bits(alpha)
    with_alpha = capability.alpha
    if pixels.dtype != np.uint8 and capability.deep_alpha is not None:
        with_alpha = capability.deep_alpha
    if alpha is not None and layout not in with_alpha:
        if "rgb" in with_alpha:
            layout = "rgb"
        else:
            pixels, alpha = colour.on_white(pixels, alpha), None
    if layout == "rgb" and photo.layout in ("grey", "bilevel"):
        # What was grey has no colours, although a network adds traces of them.
        pixels = np.repeat(colour.grey_of(pixels)[..., None], 3, axis=2)
    icc = photo.icc
    if icc and layout != photo.layout:
        space = b"GRAY" if layout in ("grey", "bilevel") else b"RGB "
        icc = icc if icc[16:20] == space else None
    return replace(photo, pixels=pixels, alpha=alpha, layout=layout, icc=icc)


def _pillow_image(photo: Photo) -> Image.Image:
    """An 8-bit photo as a Pillow image of its layout; palettes with alpha carry "transparency"."""
    if photo.layout == "palette":
        return palette_image(photo.pixels, photo.alpha, photo.before)
    if photo.layout == "bilevel":
        return Image.fromarray(photo.pixels[..., 0] > 0)
    if photo.layout == "cmyk":
        return cmyk_image(photo.pixels, photo.icc)
    grey = photo.layout == "grey"
    plane = colour.grey_of(photo.pixels) if grey else np.ascontiguousarray(photo.pixels)
    image = Image.fromarray(plane)
    if photo.alpha is not None:
        # In place, without a copy of the colours.
        image.putalpha(Image.fromarray(np.ascontiguousarray(photo.alpha)))
    return image


def cmyk_image(pixels: np.ndarray, icc: bytes | None) -> Image.Image:
    """sRGB ``(H, W, 3)`` uint8 in a profile's inks, as a Pillow image of mode CMYK."""
    inks = colour.cmyk_of(pixels, icc)
    return Image.frombuffer("CMYK", inks.shape[1::-1], inks, "raw", "CMYK", 0, 1)


def palette_image(
    pixels: np.ndarray, alpha: np.ndarray | None, before: np.ndarray | None
) -> Image.Image:
    """A Pillow image of mode P; arguments as those of :func:`colour.indexed`."""
    found = colour.indexed(pixels, alpha, before)
    image = Image.fromarray(found.indices)
    image.putpalette(found.colours.tobytes())
    if found.alphas is not None:
        image.info["transparency"] = found.alphas.astype(np.uint8).tobytes()
    return image


def _encode_png(photo: Photo) -> bytes:
    if photo.pixels.dtype == np.uint16:
        height, width, channels, samples = _interleaved(photo)
        data = png.encode_sixteen(height, width, channels, samples)
    else:
        out = io.BytesIO()
        _pillow_image(photo).save(out, "PNG", compress_level=png.COMPRESSION_LEVEL)
        data = out.getvalue()
    metadata = png.metadata_chunks(photo.icc, photo.exif, photo.xmp, photo.photoshop, photo.dpi)
    if photo.colours_by_number:
        metadata.append(png.cicp_chunk(photo.colours_by_number))
    return png.with_chunks(data, [*photo.chunks, *metadata])


def _interleaved(photo: Photo) -> tuple[int, int, int, Callable[[slice], np.ndarray]]:
    """Height, width, channels, and a function from rows to (h, W, channels), for grey and RGB."""
    height, width = photo.pixels.shape[:2]
    colours = 1 if photo.layout == "grey" else 3
    alpha = photo.alpha

    def samples(rows: slice) -> np.ndarray:
        band = photo.pixels[rows]
        if colours == 1:
            band = colour.grey_of(band)[..., None]
        return band if alpha is None else np.concatenate([band, alpha[rows, :, None]], axis=2)

    return height, width, colours + (alpha is not None), samples


def _encode_jpeg(photo: Photo, quality: int) -> bytes:
    sampling = photo.subsampling if photo.layout == "rgb" else None
    exif = EXIF_HEADER + photo.exif if photo.exif else None
    options = {
        "icc_profile": photo.icc,
        "exif": _if_it_fits(exif, "EXIF", _JPEG_SEGMENT),
        "xmp": _if_it_fits(photo.xmp, "XMP", _JPEG_SEGMENT - len(XMP_HEADER)),
        "comment": _if_it_fits(photo.comment, "comment", _JPEG_SEGMENT),
        "dpi": photo.dpi,
        "extra": _photoshop_segments(photo.photoshop),
    }
    out = io.BytesIO()
    _pillow_image(photo).save(
        out,
        "JPEG",
        quality=quality,
        subsampling=0 if sampling is None else sampling,
        progressive=photo.progressive,
        **{name: value for name, value in options.items() if value},
    )
    return out.getvalue()


def _if_it_fits(data: bytes | None, name: str, limit: int) -> bytes | None:
    """Metadata that fit into one JPEG segment; longer ones are dropped and logged."""
    if data and len(data) > limit:
        _log.warning("%s of %d bytes is too long for JPEG and left out", name, len(data))
        return None
    return data


def _photoshop_segments(resources: bytes | None) -> bytes:
    """Photoshop's resources as JPEG APP13 segments."""
    room = _JPEG_SEGMENT - len(PHOTOSHOP_HEADER)
    segments = b""
    for start in range(0, len(resources or b""), room):
        body = PHOTOSHOP_HEADER + (resources or b"")[start : start + room]
        segments += b"\xff\xed" + struct.pack(">H", len(body) + 2) + body
    return segments


def _encode_webp(photo: Photo, quality: int) -> bytes:
    out = io.BytesIO()
    _pillow_image(photo).save(
        out,
        "WEBP",
        lossless=photo.lossless,
        # For lossless files this is the effort.
        quality=50 if photo.lossless else quality,
        # Keep colours under transparent pixels.
        exact=True,
        icc_profile=photo.icc or b"",
        exif=photo.exif or b"",
        xmp=photo.xmp or b"",
    )
    return out.getvalue()


def _encode_avif(photo: Photo, quality: int) -> bytes:
    return avif.encode(_pillow_image(photo), _without_damaged_exif(photo), quality)


def _encode_heic(photo: Photo, quality: int) -> bytes:
    return heic.encode(_samples(photo), _without_damaged_exif(photo), quality)


def _encode_jp2(photo: Photo, quality: int) -> bytes:
    return jp2.packed(_encode_j2k(photo, quality), photo)


def _encode_j2k(photo: Photo, quality: int) -> bytes:
    return jpeg2000.encode(_samples(photo), photo, quality)


def _samples(photo: Photo) -> np.ndarray:
    """All of :func:`_interleaved`'s samples."""
    *_, samples = _interleaved(photo)
    return samples(slice(None))


def _without_damaged_exif(photo: Photo) -> Photo:
    """The photo without EXIF that both encoders would refuse, which is logged."""
    exif = photo.exif
    if not exif or (exif.startswith(tiff.CLASSIC_STARTS) and len(exif) >= _LEAST_EXIF):
        return photo
    _log.warning("EXIF is damaged and left out")
    return replace(photo, exif=None)


def _encode_tiff(photo: Photo) -> bytes:
    return tiff.encode(
        _tiff_samples(photo),
        icc=photo.icc,
        exif=photo.exif,
        xmp=photo.xmp,
        photoshop=photo.photoshop,
        geotiff=photo.geotiff,
        dpi=photo.dpi,
    )


def _tiff_samples(photo: Photo) -> tiff.Samples:
    """A photo of any layout as the samples of a TIFF."""
    if photo.layout == "bilevel":
        return tiff.bilevel(photo.pixels[..., 0] > 0)
    if photo.layout == "palette":
        found = colour.indexed(photo.pixels, None, photo.before)
        return tiff.palette(found.indices, found.colours)
    if photo.layout == "cmyk":
        inks = colour.cmyk_of(photo.pixels, photo.icc)
        height, width, channels = inks.shape
        return tiff.plain(height, width, channels, 8, inks.__getitem__, alpha=False)
    bits = photo.pixels.dtype.itemsize * 8
    height, width, channels, samples = _interleaved(photo)
    return tiff.plain(height, width, channels, bits, samples, alpha=photo.alpha is not None)


def _encode_bmp(photo: Photo) -> bytes:
    dpi = photo.dpi or _NO_RESOLUTION
    if photo.alpha is not None:
        data = bmp.with_alpha(photo.pixels, photo.alpha, dpi)
    else:
        out = io.BytesIO()
        _pillow_image(photo).save(out, "BMP", dpi=dpi)
        data = out.getvalue()
    return bmp.with_profile(data, photo.icc) if photo.icc else data


_ENCODERS: dict[str, Callable[[Photo, int], bytes]] = {
    "png": lambda photo, _quality: _encode_png(photo),
    "jpeg": _encode_jpeg,
    "webp": _encode_webp,
    "tiff": lambda photo, _quality: _encode_tiff(photo),
    "bmp": lambda photo, _quality: _encode_bmp(photo),
    "avif": _encode_avif,
    "heic": _encode_heic,
    "jp2": _encode_jp2,
    "j2k": _encode_j2k,
}
