"""LPIPS: learned perceptual image patch similarity (Zhang et al., CVPR 2018), AlexNet, v0.1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources import files

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from baryir_cli.engine.device import resolve_device
from baryir_cli.metrics.base import MetricUnavailable
from baryir_cli.metrics.exact import dtype_on, to_tensor
from baryir_cli.metrics.weights import ALEXNET
from models.light import Pixels

SMALLEST = 31
"""Shortest side in pixels that AlexNet's second pooling leaves non-empty."""
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""ImageNet's mean and standard deviation, for values in [-1, 1]."""

Arrays = Mapping[str, NDArray[np.float32]]


class LPIPS:
    """The distance between two images in AlexNet's features, weighted by five linear heads."""

    def __init__(self, alexnet: Arrays, heads: Arrays, device: torch.device) -> None:
        def tensor(values: NDArray[np.float32]) -> Tensor:
            return torch.from_numpy(values).to(device, dtype_on(device))

        self.device = device
        self.layers = [
            (tensor(alexnet[f"conv{n}.weight"]), tensor(alexnet[f"conv{n}.bias"])) for n in range(5)
        ]
        self.heads = [tensor(heads[f"head{n}"]) for n in range(5)]
        self.shift = tensor(np.array(SHIFT, np.float32)).view(3, 1, 1)
        self.scale = tensor(np.array(SCALE, np.float32)).view(3, 1, 1)

    @classmethod
    def load(cls, device: str = "cpu", *, download: bool = True) -> LPIPS:
        """Loads the genuine weights. The heads ship with the package.

        Raises:
            MetricUnavailable: AlexNet's are not cached and cannot be fetched.
        """
        resolved = resolve_device(device)
        return cls(ALEXNET.load(download=download), heads(), resolved)

    @torch.inference_mode()
    def __call__(self, restored: Pixels, target: Pixels) -> float:
        """At least 0, lower is better.

        Raises:
            MetricUnavailable: a side is shorter than 31 pixels.
        """
        height, width = target.shape[:2]
        if min(height, width) < SMALLEST:
            raise MetricUnavailable(
                f"LPIPS needs at least {SMALLEST} x {SMALLEST} pixels, "
                f"the image has {width} x {height}"
            )
        stages = zip(self._features(restored), self._features(target), self.heads, strict=True)
        # Eq. 1, one stage at a time: all stages of a large image would not fit into memory.
        return sum(float(head @ (a - b).square().mean((1, 2))) for a, b, head in stages)

    def _features(self, image: Pixels) -> Iterator[Tensor]:
        """(C, H, W) after each of the five rectifiers, normalised to length 1 at every pixel."""
        x = to_tensor(image, self.device) / 127.5 - 1
        x = (x - self.shift) / self.scale
        for number, (weight, bias) in enumerate(self.layers):
            if number in (1, 2):
                x = F.max_pool2d(x, 3, 2)
            stride, padding = (4, 2) if number == 0 else (1, weight.shape[-1] // 2)
            x = F.relu(F.conv2d(x, weight, bias, stride, padding))
            yield (x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10))[0]


def heads() -> dict[str, NDArray[np.float32]]:
    """``head0`` to ``head4``, (C,) each: version 0.1's weights for AlexNet's channels."""
    source = files("baryir_cli.metrics") / "data" / "lpips_alex_v0.1.npz"
    with source.open("rb") as file, np.load(file, allow_pickle=False) as data:
        return dict(data)
