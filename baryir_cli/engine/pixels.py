"""Converts pixels of any type to images for the network, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from baryir_cli.bands import bands
from models.light import full_scale

Pixels = NDArray[Any]
"""``(H, W, 3)`` uint8, uint16 or float32 in [0, 1]."""
Mask = NDArray[np.bool_]
"""``(H, W)``"""


def on_device(array: NDArray[Any], device: torch.device) -> Tensor:
    """An array as a tensor of the same type on a device."""
    # torch would warn of read-only arrays, such as Pillow's.
    return torch.from_numpy(np.require(array, requirements=("C", "W"))).to(device)


def image_of(pixels: Pixels, device: torch.device) -> Tensor:
    """``(H, W, 3)`` of any type as ``(3, H, W)`` float32 in [0, 1] on a device."""
    if pixels.dtype == np.uint8:
        image = on_device(pixels, device).permute(2, 0, 1).float()
    else:
        image = on_device(pixels.astype(np.float32), device).permute(2, 0, 1)
    return image / full_scale(pixels.dtype)


def pixels_of(image: Tensor, dtype: np.dtype) -> Pixels:
    """``(3, H, W)`` float32, clipped to [0, 1], as ``(H, W, 3)`` of a type."""
    scale = full_scale(dtype)
    image = image.clamp(0, 1).permute(1, 2, 0)
    if scale != 1:
        image = image.mul_(scale).round_()
    if dtype == np.uint8:
        return image.to(torch.uint8).cpu().numpy()
    return image.cpu().numpy().astype(dtype)


def has_two_colours_at_most(pixels: Pixels) -> bool:
    """Whether an image has no third colour, as a blank page, a fax or a dithered picture."""
    first, second = pixels[0, 0], None
    for rows in bands(*pixels.shape[:2]):
        band = pixels[rows]
        others = band[(band != first).any(2)]
        if len(others):
            second = others[0] if second is None else second
            if (others != second).any():
                return False
    return True


def draw_back(restored: Pixels, pixels: Pixels, strength: float, device: torch.device) -> None:
    """Blends ``restored``, in place, with the original: all of that at a ``strength`` of 0."""
    for rows in bands(*pixels.shape[:2]):
        before, after = image_of(pixels[rows], device), image_of(restored[rows], device)
        restored[rows] = pixels_of(torch.lerp(before, after, strength), pixels.dtype)


def change_of(restored: Pixels, pixels: Pixels) -> float:
    """RMS of the restored image less the original, in steps of 8 bits."""
    total = 0.0
    for rows in bands(*pixels.shape[:2]):
        difference = restored[rows].astype(np.float32) - pixels[rows]
        total += float(np.square(difference).sum(dtype=np.float64))
    return 255 / full_scale(pixels.dtype) * (total / pixels.size) ** 0.5
