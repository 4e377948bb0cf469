"""Images as network inputs, with arithmetic that gives the same figures on every device."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from models.light import Pixels


def dtype_on(device: torch.device) -> torch.dtype:
    """Float64 on CUDA, where float32 convolutions may have only ten bits (TF32); else float32."""
    return torch.float64 if device.type == "cuda" else torch.float32


def to_tensor(image: Pixels, device: torch.device) -> Tensor:
    """Converts (H, W, 3) to (1, 3, H, W), still 0 to 255."""
    planes = np.ascontiguousarray(image.transpose(2, 0, 1), np.float32)
    return torch.from_numpy(planes)[None].to(device, dtype_on(device))
