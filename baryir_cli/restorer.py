"""The Python interface: ``baryir restore`` for images in memory and for single files."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from baryir_cli import neighbours  # noqa: F401 (before models and train)
from baryir_cli.batch.pipeline import run
from baryir_cli.batch.restoring import restoring
from baryir_cli.engine import Engine
from baryir_cli.engine.visible import restore_visible
from baryir_cli.engine_options import EngineOptions
from baryir_cli.errors import ArgumentError, UserError
from baryir_cli.file_report import FileReport
from baryir_cli.files.atomic import make_folder
from baryir_cli.files.jobs import Job, Options
from baryir_cli.files.paths import settled
from baryir_cli.images import FORMATS, format_of, heic
from baryir_cli.images.colour import cmyk_transforms, grey_of
from baryir_cli.images.photo import DEFAULT_QUALITY
from baryir_cli.images.planes import samples_of
from baryir_cli.images.write import cmyk_image, palette_image
from baryir_cli.limits import (
    MAX_MEGAPIXELS,
    check_megapixels,
    checked_quality,
    checked_strength,
)
from baryir_cli.weights.references import find_weights, load
from models.wording import choices

Array = NDArray[Any]

log = logging.getLogger("baryir")

ONE_PICTURE = frozenset({"MPO", "PSD"})
"""Formats whose first frame is the whole picture, although Pillow counts several frames."""


class Restorer:
    """Restores images in memory, and files.

    >>> Restorer.from_weights("small").restore(Image.open("rain.png"))
    """

    def __init__(self, engine: Engine, weights: str) -> None:
        self.engine = engine
        self.weights = weights
        """A reference to them."""

    def __repr__(self) -> str:
        engine = self.engine
        return f"<Restorer {self.weights}, device {engine.device}, precision {engine.precision}>"

    @classmethod
    def from_weights(
        cls,
        reference: str | os.PathLike[str] | None = None,
        *,
        device: str | torch.device = "auto",
        precision: str = "auto",
        tile: int | None = None,
        overlap: int | None = None,
        keep_tones: bool = False,
        keep_shake: bool = False,
    ) -> Restorer:
        """A restorer with these weights.

        Args:
            reference: an embedded name such as ``small``, ``hf:owner/repo[@revision][:file]`` or
                the path of a safetensors file; None for the user's default, else ``small``.
            device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
            precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
            tile: side of a tile, 0 for the whole image, None to let free memory decide.
            overlap: pixels that neighbouring tiles share, at most half of ``tile``.
            keep_tones: leave haze and darkness as they are.
            keep_shake: leave camera shake to the network alone.

        Raises:
            ValueError: a bad ``device``, ``precision``, ``tile`` or ``overlap``; the message names
                it, as in ``tile=7``.
            baryir_cli.errors.UserError: the weights are not there, cannot be fetched, or are
                damaged.
        """
        weights = None if reference is None else os.fspath(reference)
        options = EngineOptions(
            weights, str(device), precision, tile, overlap, keep_tones, keep_shake
        )
        file = find_weights(weights)
        return cls(options.build(load(file), log.warning), file.pinned)

    @overload
    def restore(self, image: Image.Image, strength: float = 1.0) -> Image.Image: ...
    @overload
    def restore(self, image: Tensor, strength: float = 1.0) -> Tensor: ...
    @overload
    def restore(self, image: Array, strength: float = 1.0) -> Array: ...

    def restore(
        self, image: Image.Image | Array | Tensor, strength: float = 1.0
    ) -> Image.Image | Array | Tensor:
        """Restores one image and returns the same kind.

        Args:
            image: a Pillow image of mode 1, L, LA, P, PA, RGB, RGBA, RGBX, CMYK, YCbCr or I;16; an
                array ``(H, W)`` or ``(H, W, C)`` with C of 1, 3 or 4; or a tensor ``(C, H, W)`` or
                ``(N, C, H, W)`` with C of 1 or 3. Values are uint8, uint16, or floating in [0, 1];
                up to 0.5 beyond is accepted. Alpha, and the X of RGBX, pass through unchanged. PA,
                and images with a transparent colour, come back with an alpha channel. Images of one
                or two colours, and so of mode 1, come back as they are. The EXIF orientation is not
                applied; ``PIL.ImageOps.exif_transpose`` does that.
            strength: share of the correction to apply, 0 to 1.

        Raises:
            TypeError: another kind of object, or a masked array.
            ValueError: another mode, shape or value type, an animation, a file of several pages,
                or a strength out of range.
            baryir_cli.errors.UserError: the network returned NaN or infinity, or there is not
                enough memory.
        """
        strength = checked_strength(strength)
        if not isinstance(image, Image.Image | Tensor | np.ndarray):
            named = isinstance(image, str | os.PathLike)
            way = ", the name of a file; restore_file takes it" if named else ""
            raise TypeError(f"cannot restore a {type(image).__name__}{way}")
        shape = image.size if isinstance(image, Image.Image) else tuple(image.shape)
        if 0 in shape[-3:]:
            raise ValueError(f"an image of {' x '.join(map(str, shape))} has no pixels")
        if isinstance(image, Image.Image):
            return self._pillow(image, strength)
        if isinstance(image, Tensor):
            return self._tensor(image, strength)
        if isinstance(image, np.ma.MaskedArray):
            raise TypeError("cannot restore a masked array: its mask would be lost; fill it first")
        # No subclass such as numpy.matrix, whose shapes behave differently.
        return self._array(np.asarray(image), strength)

    def restore_file(
        self,
        source: str | os.PathLike[str],
        target: str | os.PathLike[str],
        *,
        strength: float = 1.0,
        quality: int | None = None,
        overwrite: bool = False,
        max_megapixels: float = MAX_MEGAPIXELS,
    ) -> FileReport:
        """Restores a file as ``baryir restore`` does: upright, with its profile and metadata.

        Args:
            source: an image file of one of the formats.
            target: the file to write; its suffix decides the format. Missing folders are made. It
                is complete or absent, whatever happens.
            strength: share of the correction to apply, 0 to 1.
            quality: 1 to 100, for JPEG, WebP, AVIF, HEIC and JPEG 2000; None for 95 (HEIC 75), or
                lossless WebP and JPEG 2000 as they were.
            overwrite: replace ``target`` if it exists; it may be ``source`` itself.
            max_megapixels: refuse larger images before decoding them.

        Returns:
            What ``--json`` tells of the image.

        Raises:
            ValueError: ``strength``, ``quality`` or ``max_megapixels`` is out of range, or the
                target's format has no quality.
            baryir_cli.errors.UserError: the file cannot be read, restored or written, or exists
                already. Nothing is written.
        """
        # Absolute, so that a file called - is not standard input.
        source, target = Path(source).absolute(), settled(Path(target))
        strength = checked_strength(strength)
        quality = checked_quality(quality)
        check_megapixels(max_megapixels)
        if format_of(target) is None:
            raise UserError(f"{target}: use a name that ends in {choices(FORMATS.values())}")
        if quality is not None and format_of(target) not in DEFAULT_QUALITY:
            raise ArgumentError("quality", quality, f"{target.suffix} has none; use None")
        if heic.is_missing_for(format_of(target)):
            raise UserError(f"{target}: {heic.INSTALL}")
        if target.is_dir():
            raise UserError(f"{target} is a folder; name a file in it")
        if os.path.exists(target) and not overwrite:
            raise UserError(f"{target} exists already; overwrite=True replaces it")
        make_folder(target.parent)

        options = Options(None, quality, max_megapixels, overwrite=overwrite)
        (result,) = run(
            [Job(source, target)],
            restoring(self.engine, strength, {}),
            options,
            lambda _job, _share: None,
        )
        if result.status == "failed":
            remedy = "; max_megapixels raises it" if result.too_large else ""
            raise UserError(f"{source}: {result.error}{remedy}")
        return FileReport.of(result)

    def _pillow(self, image: Image.Image, strength: float) -> Image.Image:
        frames = _frames(image)
        if frames > 1 and image.format not in ONE_PICTURE:
            raise ValueError(
                f"cannot restore an image of {frames} frames; give one of them: "
                "image.seek(0), then image.copy()"
            )
        if image.mode.startswith("I;16"):
            if image.has_transparency_data:
                raise ValueError("16-bit grey with transparency has no Pillow mode to come back in")
            restored = Image.fromarray(self._array(np.asarray(image, np.uint16), strength))
        elif image.mode in ("1", "L", "LA"):
            restored = self._pillow_grey(image, strength)
        elif image.mode == "CMYK":
            restored = self._pillow_cmyk(image, strength)
        elif image.mode in ("P", "PA", "RGB", "RGBA", "RGBX", "YCbCr"):
            working = "RGBA" if image.has_transparency_data else "RGB"
            restored = Image.fromarray(self._array(np.asarray(image.convert(working)), strength))
            if image.mode == "P":
                array, before = np.asarray(restored), np.asarray(image.convert("RGB"))
                alpha = array[..., 3] if working == "RGBA" else None
                restored = palette_image(np.ascontiguousarray(array[..., :3]), alpha, before)
            elif working == "RGB":
                restored = restored.convert(image.mode)
            if restored.mode == "RGBX":
                restored = Image.merge("RGBX", [*restored.split()[:3], image.getchannel("X")])
        else:
            # Pillow converts La only to LA, and clips I and F at 255.
            clipped = "convert it to an array of uint16 or of floats in [0, 1]"
            ways = {"La": "convert the image to LA", "I": clipped, "F": clipped}
            way = ways.get(image.mode, "convert the image to RGB or RGBA")
            raise ValueError(f"cannot restore mode {image.mode}; {way} first")
        # The index of a transparent colour means nothing in another palette.
        restored.info |= {k: v for k, v in image.info.items() if k != "transparency"}
        return restored

    def _pillow_grey(self, image: Image.Image, strength: float) -> Image.Image:
        if not image.has_transparency_data:
            restored = Image.fromarray(self._array(np.asarray(image.convert("L")), strength))
            return restored.convert(image.mode, dither=Image.Dither.NONE)
        array = samples_of(image, "LA")
        colour = np.repeat(array[..., :1], 3, axis=2)
        grey = grey_of(restore_visible(self.engine, colour, array[..., 1], strength)[0])
        return Image.merge("LA", [Image.fromarray(grey), Image.fromarray(array[..., 1])])

    def _pillow_cmyk(self, image: Image.Image, strength: float) -> Image.Image:
        """Through sRGB and the profile of the inks, as for files."""
        profile = image.info.get("icc_profile")
        transforms = cmyk_transforms(profile)
        rgb = image.convert("RGB") if transforms is None else transforms.to_rgb.apply(image)
        return cmyk_image(self._array(np.asarray(rgb), strength), profile)

    def _tensor(self, image: Tensor, strength: float) -> Tensor:
        shape = tuple(image.shape)
        if image.ndim not in (3, 4) or shape[-3] not in (1, 3):
            wanted = "(C, H, W) or (N, C, H, W) with C of 1 or 3"
            raise ValueError(f"a tensor must be {wanted}, not {shape}")
        if image.ndim == 4:
            if not len(image):
                return image.clone()
            return torch.stack([self._tensor(one, strength) for one in image])
        pixels = image.detach().cpu().permute(1, 2, 0)
        if pixels.is_floating_point():
            pixels = pixels.float()
        array = self._array(np.ascontiguousarray(pixels.numpy()), strength)
        return torch.from_numpy(array).permute(2, 0, 1).to(image.device, image.dtype)

    def _array(self, image: Array, strength: float) -> Array:
        if image.ndim not in (2, 3) or image.shape[2:] not in ((), (1,), (3,), (4,)):
            wanted = "(H, W) or (H, W, C) with C of 1, 3 or 4"
            raise ValueError(f"an array must be {wanted}, not {image.shape}")
        if image.dtype.kind == "f":
            pixels = image.astype(np.float32)
            if not -0.5 <= pixels.min(initial=0) <= pixels.max(initial=0) <= 1.5:
                raise ValueError("floating values must be from 0 to 1")
        elif image.dtype in (np.uint8, np.uint16, np.dtype(">u2")):
            pixels = image.astype(image.dtype.newbyteorder("="), copy=False)
        else:
            raise ValueError(f"values must be uint8, uint16 or floating, not {image.dtype}")
        if image.ndim == 2:
            return self._array(image[..., None], strength)[..., 0]
        if image.shape[2] == 1:
            colour = restore_visible(self.engine, np.repeat(pixels, 3, 2), None, strength)[0]
            if image.dtype.kind == "u":
                return grey_of(colour)[..., None].astype(image.dtype, copy=False)
            return colour.mean(2, keepdims=True).astype(image.dtype)
        colour = np.ascontiguousarray(pixels[..., :3])
        alpha = pixels[..., 3] if image.shape[2] == 4 else None
        result = restore_visible(self.engine, colour, alpha, strength)[0].astype(image.dtype)
        if alpha is not None:
            # Not ``pixels``, which may be of another type.
            result = np.concatenate([result, image[..., 3:]], 2)
        return result.astype(image.dtype, copy=False)


def _frames(image: Image.Image) -> int:
    """The number of frames; 1 if the file is closed, since no other can be reached."""
    try:
        return getattr(image, "n_frames", 1)
    except ValueError:
        return 1
