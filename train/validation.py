"""Validation on photographs that are not trained on: PSNR of every source, and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from models.config import NetworkConfig
from models.files import replacing
from models.network import BaryIR
from models.scene import Scene
from train.parts import Window
from train.sources import Batch, Patches, Source, SourceError, skipped_of

SEED = 20_000
"""Seed of the patches: the same in every run."""
GAP = 4
"""White pixels between the picture's samples."""


class Validation:
    """Fixed patches, ``each`` of every source with usable images, of side ``size`` or less.

    ``skipped`` has a line for every unusable image; ``inputs`` is the mean PSNR in dB of every
    source's degraded patches.

    Args:
        config: the network's, which decides the sides of patches and scenes.
    """

    def __init__(
        self, sources: Sequence[Source], config: NetworkConfig, size: int = 128, each: int = 8
    ) -> None:
        size = max(size - size % config.multiple, config.multiple)
        window = Window(size, 2 * size if config.scene else 0, picture=config.scene)
        notes = skipped_of(sources)
        self.patches: dict[str, Batch] = {}
        for source in sources:
            patches = Patches([source], [1.0], window, SEED, skipped=notes)
            with suppress(SourceError):  # all images are unusable, and named in ``skipped``
                drawn = [patches[i] for i in range(each)]
                self.patches[source.name] = Batch(*map(torch.stack, zip(*drawn, strict=True)))
        self.skipped = notes.lines()
        self.inputs = {
            name: _mean_psnr(batch.degraded, batch.target) for name, batch in self.patches.items()
        }

    @torch.no_grad()
    def psnr(self, network: BaryIR, picture: Path | None = None) -> dict[str, float]:
        """Mean PSNR in dB of every source's restored patches, rounded to 8 bits.

        Args:
            picture: file for degraded, restored and target of every source's first two patches, a
                row per source.
        """
        device = next(network.parameters()).device
        result, rows = {}, []
        for name, batch in self.patches.items():
            ready = batch.ready(device)
            correction = network(ready.degraded, Scene(ready.scene, ready.place)).correction
            restored = (ready.degraded + correction).clamp(0, 1).mul(255).round().cpu()
            result[name] = _mean_psnr(restored, batch.target)
            tiles = batch.degraded, restored.byte(), batch.target
            shown = [tile[i] for i in (0, 1) for tile in tiles]
            rows.append(torch.cat([F.pad(tile, (0, GAP, 0, GAP), value=255) for tile in shown], 2))
        if picture and rows:
            _write(picture, torch.cat(rows, 1))
        return result


def _mean_psnr(image: Tensor, target: Tensor) -> float:
    """Mean PSNR in dB of ``(N, 3, H, W)`` patches of 8-bit values."""
    error = (image.float() - target.float()).square().flatten(1).mean(1)
    return float((10 * torch.log10(255**2 / error.clamp(min=1e-2))).mean())


def _write(path: Path, image: Tensor) -> None:
    path.parent.mkdir(exist_ok=True)
    pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy()[..., ::-1])
    _, data = cv2.imencode(".png", pixels)
    # Not cv2.imwrite, which hides a full disk.
    with replacing(path) as temporary:
        temporary.write_bytes(data.tobytes())
