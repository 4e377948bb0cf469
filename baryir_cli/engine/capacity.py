"""How much of an image fits into memory at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from baryir_cli.engine.device import DTYPES, free_memory
from models.config import NetworkConfig

SMALLEST_TILE = 64
LARGEST_TILE = 2048
LARGEST_BATCH = 8
CPU_BUDGET = 384 << 20
"""The most bytes of a forward pass on a CPU or MPS, even if more are free."""
CPU_TILE = 256
"""Side of a tile that may exceed that budget, because smaller tiles would be mostly overlap."""
GPU_SHARE = 0.7
"""The share of a GPU's free memory that a forward pass may take."""


@dataclass(frozen=True)
class Capacity:
    """How much fits into a network's forward pass, judged by the memory free at that time."""

    config: NetworkConfig
    device: torch.device
    precision: str

    def largest_tile(self, held: int = 0) -> int:
        """Side of the largest square tile whose forward pass fits the budget.

        Args:
            held: bytes of main memory that the image takes beyond what images usually do.
        """
        side = int((self._budget(held) / self.pixel_bytes) ** 0.5)
        multiple = 2 * self.config.multiple
        return max(min(side, LARGEST_TILE) // multiple * multiple, SMALLEST_TILE)

    def batch(self, tile_pixels: int) -> int:
        """Tiles per forward pass: as many as fit on a GPU, one on a CPU."""
        if self.device.type == "cpu":
            return 1
        fits = int(self._budget() / (self.pixel_bytes * tile_pixels))
        return max(1, min(LARGEST_BATCH, fits))

    def _budget(self, held: int = 0) -> int:
        free = free_memory(self.device)
        if self.device.type == "cuda":
            return int(free * GPU_SHARE)
        return min(max(CPU_BUDGET - held, self.pixel_bytes * CPU_TILE**2), free // 3)

    @property
    def pixel_bytes(self) -> int:
        """Estimated peak memory of a forward pass, in bytes per pixel of the input.

        Proportional to the channels of the widest block, with its hidden channels counted nine
        times: that is what ``scripts/measure_memory.py --tile 0`` found for transformer blocks
        (``official`` 8 to 15 kB). A residual block counts as if it had twice its channels hidden.
        That is more than it needs (``small``: 0.65 kB in bf16, measured 0.39) and leaves room for
        the bands of wide images.
        """
        config = self.config
        finest = config.width * (2 if config.conditioning == "official" else 1)
        expansion = config.expansion if config.block == "transformer" else 2.0
        channels = finest * (9 * expansion + 8) / config.unshuffle**2
        return int(channels * DTYPES[self.precision].itemsize) + 24
