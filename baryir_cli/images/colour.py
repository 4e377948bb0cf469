"""Conversions of decoded pixels, in bands of rows, so that no second full copy is made."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageCms

from baryir_cli.bands import bands

# Every orientation is its own inverse except the quarter turns.
_INVERSE = {6: 8, 8: 6}


def upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """A view of ``(H, W, ...)``, turned upright according to EXIF ``orientation`` (1 to 8)."""
    if orientation >= 5:
        array = array.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return array


def as_stored(array: np.ndarray, orientation: int) -> np.ndarray:
    """A view of an upright ``(H, W, ...)`` as the file stores it: the inverse of ``upright``."""
    return upright(array, _INVERSE.get(orientation, orientation))


def grey_of(pixels: np.ndarray) -> np.ndarray:
    """``(H, W, 3)`` to ``(H, W)``: the rounded mean of the channels, exact for replicated grey."""
    grey = np.empty(pixels.shape[:2], pixels.dtype)
    for rows in bands(*grey.shape):
        grey[rows] = (pixels[rows].sum(axis=2, dtype=np.uint32) + 1) // 3
    return grey


def is_black_and_white(pixels: np.ndarray) -> bool:
    """Whether ``(H, W, 3)`` uint8 has neither greys nor colours."""
    whole = (0, 0, 0), (255, 255, 255)
    return all(
        bool(np.any([(pixels[rows] == shade).all(2) for shade in whole], axis=0).all())
        for rows in bands(*pixels.shape[:2])
    )


def eight_bits(array: np.ndarray) -> np.ndarray:
    """uint16 of any shape to uint8, rounded (65535 becomes 255)."""
    out = np.empty(array.shape, np.uint8)
    for rows in bands(array.shape[0], array.shape[1]):
        out[rows] = (array[rows].astype(np.uint32) * 255 + 32767) // 65535
    return out


def widened(samples: np.ndarray, bits: int) -> np.ndarray:
    """uint16 ``(H, W, C)`` of fewer ``bits``, stretched to the full range, rounded."""
    return _stretched(samples, (1 << bits) - 1, 65535)


def narrowed(samples: np.ndarray, bits: int) -> np.ndarray:
    """uint16 ``(H, W, C)`` of the full range in fewer ``bits``: the inverse of ``widened``."""
    return _stretched(samples, 65535, (1 << bits) - 1)


def _stretched(samples: np.ndarray, top: int, new_top: int) -> np.ndarray:
    stretched = np.empty_like(samples)
    for rows in bands(*samples.shape[:2]):
        wide = samples[rows].astype(np.uint32)
        stretched[rows] = (wide * new_top + top // 2) // top
    return stretched


_YCC = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)
"""From RGB to Y, Cb and Cr, of which the last two are 0 for grey (JPEG 2000 calls it ICT)."""


def ycc_of(pixels: np.ndarray) -> np.ndarray:
    """RGB ``(H, W, 3)``, uint8 or uint16, as Y, Cb and Cr of its dtype, with grey in the middle."""
    return _transformed(pixels, _YCC)


def rgb_of_ycc(pixels: np.ndarray) -> np.ndarray:
    """The inverse of :func:`ycc_of`; what is outside RGB is cut."""
    return _transformed(pixels, np.linalg.inv(_YCC))


def _transformed(pixels: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The pixels times a matrix, counted from the middle of their range."""
    top = int(np.iinfo(pixels.dtype).max)
    middle = np.float32(top // 2 + 1)
    out = np.empty_like(pixels)
    for rows in bands(*pixels.shape[:2]):
        values = (pixels[rows].astype(np.float32) - middle) @ matrix.T + middle
        out[rows] = np.rint(values).clip(0, top)
    return out


def on_white(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """``(H, W, 3)`` over white with ``(H, W)`` ``alpha``, both uint8 or both uint16."""
    top = int(np.iinfo(pixels.dtype).max)
    out = np.empty_like(pixels)
    for rows in bands(*alpha.shape):
        cover = alpha[rows, :, None].astype(np.uint64)
        out[rows] = (pixels[rows] * cover + top * (top - cover) + top // 2) // top
    return out


def unpremultiplied(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Premultiplied ``(H, W, 3)`` divided by its ``(H, W)`` alpha; 0 where alpha is 0."""
    top = int(np.iinfo(pixels.dtype).max)
    out = np.empty_like(pixels)
    for rows in bands(*alpha.shape):
        cover = np.maximum(alpha[rows, :, None].astype(np.uint64), 1)
        scaled = pixels[rows].astype(np.uint64) * top
        out[rows] = np.minimum((scaled + cover // 2) // cover, top)
    return out


@dataclass(frozen=True)
class CmykTransforms:
    """Colour transforms between a CMYK profile and sRGB, both ways."""

    to_rgb: ImageCms.ImageCmsTransform
    from_rgb: ImageCms.ImageCmsTransform


def cmyk_transforms(icc: bytes | None) -> CmykTransforms | None:
    """Transforms for a CMYK profile; None without one, or if it does not work both ways."""
    if icc is None or icc[16:20] != b"CMYK":
        return None
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    try:
        cmyk = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        srgb = ImageCms.createProfile("sRGB")
        return CmykTransforms(
            ImageCms.buildTransform(cmyk, srgb, "CMYK", "RGB", intent, flags),
            ImageCms.buildTransform(srgb, cmyk, "RGB", "CMYK", intent, flags),
        )
    except (OSError, ImageCms.PyCMSError):
        return None


def cmyk_of(pixels: np.ndarray, icc: bytes | None) -> np.ndarray:
    """sRGB ``(H, W, 3)`` uint8 to ``(H, W, 4)`` inks, through the profile or else by arithmetic."""
    transforms = cmyk_transforms(icc)
    out = np.empty((*pixels.shape[:2], 4), np.uint8)
    for rows in bands(*pixels.shape[:2]):
        if transforms is None:
            out[rows] = _plain_cmyk(pixels[rows])
        else:
            band = Image.fromarray(np.ascontiguousarray(pixels[rows]))
            out[rows] = np.asarray(transforms.from_rgb.apply(band))
    return out


def _plain_cmyk(pixels: np.ndarray) -> np.ndarray:
    """The inverse of Pillow's CMYK to RGB, with as much black as the colour allows."""
    light = pixels.max(axis=2, keepdims=True).astype(np.uint32)
    inks = ((light - pixels) * 255 + light // 2) // np.maximum(light, 1)
    return np.concatenate([inks, 255 - light], axis=2).astype(np.uint8)


SETTLED = 1000
"""A palette is good if no more than one pixel in this many changes its colour in the last round."""


@dataclass(frozen=True)
class Indexed:
    """A palette image, uint8: indices ``(H, W)``, colours ``(N, 3)``, their alpha ``(N,)``."""

    indices: np.ndarray
    colours: np.ndarray
    alphas: np.ndarray | None


def indexed(
    pixels: np.ndarray, alpha: np.ndarray | None, before: np.ndarray | None = None
) -> Indexed:
    """256 good colours for ``(H, W, 3)`` uint8 (k-means), without dithering.

    Args:
        alpha: ``(H, W)``, kept exactly: each of its levels gets a share of the palette.
        before: the palette picture that ``pixels`` were made from. It stays as it was if a new
            palette would be further from ``pixels``, as it is after a small change.
    """
    found = _exact(pixels, alpha)
    if found is None:
        found = _reduced(pixels, alpha)
        old = None if before is None else _exact(before, alpha)
        if old is not None and _distance(old, pixels) <= _distance(found, pixels):
            return old
    return found


def _exact(pixels: np.ndarray, alpha: np.ndarray | None) -> Indexed | None:
    """The picture as it is; None if it has more than 256 colours with their alpha."""

    def codes(rows: slice) -> np.ndarray:
        opacity = np.uint32(0) if alpha is None else alpha[rows].astype(np.uint32) << 24
        return np.asarray(pixels[rows] @ np.array([1 << 16, 1 << 8, 1], np.uint32) | opacity)

    known = np.zeros(0, np.uint32)
    for rows in bands(*pixels.shape[:2]):
        known = np.union1d(known, codes(rows))
        if len(known) > 256:
            return None
    indices = np.empty(pixels.shape[:2], np.uint8)
    for rows in bands(*pixels.shape[:2]):
        indices[rows] = np.searchsorted(known, codes(rows))
    colours = (known[:, None] >> np.array([16, 8, 0], np.uint32)).astype(np.uint8)
    return Indexed(indices, colours, None if alpha is None else (known >> 24).astype(np.uint8))


def _distance(found: Indexed, pixels: np.ndarray) -> int:
    """The sum of squared differences from ``(H, W, 3)`` uint8."""
    total = 0
    for rows in bands(*found.indices.shape):
        difference = found.colours[found.indices[rows]].astype(np.int32) - pixels[rows]
        total += int(np.square(difference).sum(dtype=np.int64))
    return total


def _reduced(pixels: np.ndarray, alpha: np.ndarray | None) -> Indexed:
    if alpha is None:
        return Indexed(*_quantised(pixels, 256), None)
    levels, counts = np.unique(alpha, return_counts=True)
    shares = _shares(levels, counts)
    indices = np.empty(alpha.shape, np.uint8)
    colours: list[np.ndarray] = []
    used = 0
    for level, share in zip(levels, shares, strict=True):
        inside = alpha == level
        local, palette = _quantised(pixels[inside][None], int(share))
        indices[inside] = local[0] + used
        colours.append(palette)
        used += len(palette)
    alphas = np.repeat(levels, [len(palette) for palette in colours])
    return Indexed(indices, np.concatenate(colours), alphas)


def _shares(levels: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """How many of 256 colours each level of alpha gets: at least one, and one if invisible."""
    weights = np.sqrt(counts) * (levels > 0)
    spare = 256 - len(levels)
    total = weights.sum()
    extra = np.floor(spare * weights / total) if total else np.zeros(len(levels))
    return 1 + extra.astype(int)


def _quantised(pixels: np.ndarray, colours: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices ``(H, W)`` and at most ``colours`` colours ``(N, 3)``."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    # Improved until few pixels change their colour: 1 to 2 dB for hardly any time.
    settled = max(1, image.width * image.height // SETTLED)
    reduced = image.quantize(
        colours, Image.Quantize.MEDIANCUT, kmeans=settled, dither=Image.Dither.NONE
    )
    indices = np.asarray(reduced)
    flat = np.array(reduced.getpalette("RGB"), np.uint8).reshape(-1, 3)
    return indices, flat[: int(indices.max()) + 1]
