"""The Python interface: the same engine as ``baryir restore`` for images in memory."""

from __future__ import annotations

from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from baryir_cli.engine import Engine
from baryir_cli.references import resolve_weights
from models.weights import load_network, read_weights

Array = NDArray[Any]


class Restorer:
    """Restores images that are already in memory.

    >>> Restorer.from_weights("small").restore(Image.open("rain.png"))
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def from_weights(
        cls,
        reference: str = "small",
        *,
        device: str = "auto",
        precision: str = "auto",
        tile: int | None = None,
        overlap: int | None = None,
    ) -> Restorer:
        """A restorer with these weights.

        Args:
            reference: a name such as ``small`` (embedded) or the path of a safetensors file.
            device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
            precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
            tile: side of a tile, 0 for the whole image, None to let free memory decide.
            overlap: pixels that neighbouring tiles share.

        Raises:
            baryir_cli.errors.UserError: no such weights, or a setting is out of range.
            models.weights.WeightsError: the file does not hold a network.
        """
        network = load_network(read_weights(resolve_weights(reference)))
        return cls(Engine(network, device=device, precision=precision, tile=tile, overlap=overlap))

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
            image: a Pillow image; an array ``(H, W)``, ``(H, W, 3)`` or ``(H, W, 4)``, uint8,
                uint16 or floating in [0, 1]; or a tensor ``(C, H, W)`` or ``(N, C, H, W)`` with
                C of 1 or 3, uint8 or floating in [0, 1]. Alpha passes through unchanged.
            strength: share of the correction that is applied, 0 to 1.

        Raises:
            TypeError: another kind of object.
            ValueError: another shape or value type, or a strength out of range.
        """
        if not 0 <= strength <= 1:
            raise ValueError(f"strength must be from 0 to 1, not {strength}")
        if isinstance(image, Image.Image):
            return self._pillow(image, strength)
        if isinstance(image, Tensor):
            return self._tensor(image, strength)
        if isinstance(image, np.ndarray):
            return self._array(image, strength)
        raise TypeError(f"cannot restore a {type(image).__name__}")

    def _pillow(self, image: Image.Image, strength: float) -> Image.Image:
        if image.mode.startswith("I;16"):
            return Image.fromarray(self._array(np.asarray(image, np.uint16), strength))
        has_alpha = image.mode in ("LA", "RGBA", "PA") or "transparency" in image.info
        grey = image.mode in ("1", "L", "LA")
        working = {(True, True): "LA", (True, False): "L", (False, True): "RGBA"}.get(
            (grey, has_alpha), "RGB"
        )
        array = np.asarray(image.convert(working))
        if working == "LA":
            grey_channel = self._array(np.ascontiguousarray(array[..., 0]), strength)
            restored = Image.fromarray(np.stack([grey_channel, array[..., 1]], -1), "LA")
        else:
            restored = Image.fromarray(self._array(array, strength))
        restored.info = dict(image.info)
        return restored if restored.mode == image.mode else restored.convert(image.mode)

    def _tensor(self, image: Tensor, strength: float) -> Tensor:
        if image.ndim == 4:
            return torch.stack([self._tensor(one, strength) for one in image])
        if image.ndim != 3 or image.shape[0] not in (1, 3):
            raise ValueError(
                f"a tensor must be (C, H, W) with C of 1 or 3, not {tuple(image.shape)}"
            )
        pixels = image.detach().cpu().permute(1, 2, 0)
        if pixels.is_floating_point():
            pixels = pixels.float()
        array = self._array(np.ascontiguousarray(pixels.numpy()), strength)
        return torch.from_numpy(array).permute(2, 0, 1).to(image.device, image.dtype)

    def _array(self, image: Array, strength: float) -> Array:
        if image.dtype.kind == "f":
            pixels = image.astype(np.float32)
        elif image.dtype in (np.uint8, np.uint16):
            pixels = image
        else:
            raise ValueError(f"an array must be uint8, uint16 or floating, not {image.dtype}")
        if image.ndim == 2:
            return self._array(image[..., None], strength)[..., 0]
        if image.ndim != 3 or image.shape[2] not in (1, 3, 4) or 0 in image.shape:
            raise ValueError(f"an array must be (H, W), (H, W, 3) or (H, W, 4), not {image.shape}")
        if image.shape[2] == 1:
            colour = self.engine.restore(np.repeat(pixels, 3, 2), strength=strength)[0]
            mean = colour.astype(np.float64).mean(2, keepdims=True)
            return (np.rint(mean) if image.dtype.kind == "u" else mean).astype(image.dtype)
        restored = self.engine.restore(np.ascontiguousarray(pixels[..., :3]), strength=strength)[0]
        if image.shape[2] == 4:
            restored = np.concatenate([restored, pixels[..., 3:]], 2)
        return restored.astype(image.dtype)
