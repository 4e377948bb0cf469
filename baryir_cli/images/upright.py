"""The metadata of a photograph, adapted to its upright picture."""

from __future__ import annotations

from dataclasses import replace

from baryir_cli.images import ifd
from baryir_cli.images.metadata import (
    EXIF_HEADER,
    upright_xmp,
    without_thumbnail,
    xmp_orientation,
)
from baryir_cli.images.photo import Photo


def described(
    photo: Photo,
    orientation: int,
    *,
    icc: bytes | None = None,
    exif: bytes | None = None,
    xmp: bytes | None = None,
    photoshop: bytes | None = None,
    dpi: tuple[float, float] | None = None,
) -> Photo:
    """The photo with its metadata, adapted to the upright image.

    ``dpi`` is the file's own resolution; without one, EXIF's is used.
    """
    height, width = photo.pixels.shape[:2]
    on_its_side = orientation >= 5
    dpi = _plausible(dpi) or _plausible(ifd.dpi_of(ifd.first_directory(exif, ifd.RESOLUTION)))
    return replace(
        photo,
        icc=icc or None,
        exif=ifd.upright_exif(exif, width, height, on_its_side=on_its_side) if exif else None,
        xmp=upright_xmp(xmp) if xmp else None,
        photoshop=without_thumbnail(photoshop or b"") or None,
        dpi=dpi[::-1] if dpi and on_its_side else dpi,
    )


def orientation_of(exif: bytes | None, xmp: bytes | None) -> int:
    """The orientation of the pixels; XMP decides if EXIF has none, as in Pillow."""
    directory = ifd.first_directory(exif, {ifd.ORIENTATION})
    return ifd.orientation_of(directory) or xmp_orientation(xmp) or 1


def bare_exif(exif: bytes | None) -> bytes | None:
    """EXIF as a TIFF stream, without the prefix that JPEG files and some writers add."""
    return (exif or b"").removeprefix(EXIF_HEADER) or None


def _plausible(dpi: tuple[float, float] | None) -> tuple[float, float] | None:
    """The file's resolution, if it is plausible."""
    if not dpi:
        return None
    across, down = float(dpi[0]), float(dpi[1])
    return (across, down) if 0 < across < 1e6 and 0 < down < 1e6 else None
