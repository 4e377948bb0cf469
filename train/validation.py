"""What a run is worth on photographs it does not train on: PSNR of every source, and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from models.network import BaryIR
from train.parts import Window
from train.sources import Patches, Source, skipped_of

SEED = 20_000
"""Of the patches: the same in every run, whatever its own seed."""
GAP = 4
"""White pixels between the samples of the picture."""


class Validation:
    """Fixed patches of every source, ``each`` of side ``size`` or less.

    ``skipped`` has a line for every image that no patch could be made of, ``inputs`` the mean PSNR
    in dB of every source's degraded patches.

    Args:
        multiple: what the side has to be one of, for the network.
    """

    def __init__(
        self, sources: Sequence[Source], size: int = 128, each: int = 8, multiple: int = 1
    ) -> None:
        size = max(size - size % multiple, multiple)
        notes = skipped_of(sources)
        self.patches: dict[str, tuple[Tensor, Tensor]] = {}
        for source in sources:
            patches = Patches([source], [1.0], Window(size), SEED, skipped=notes)
            drawn = [patches[i] for i in range(each)]
            self.patches[source.name] = (
                torch.stack([degraded for degraded, _, _ in drawn]),
                torch.stack([target for _, target, _ in drawn]),
            )
        self.skipped = notes.news()
        self.inputs = {
            name: _mean_psnr(degraded, target) for name, (degraded, target) in self.patches.items()
        }

    @torch.no_grad()
    def psnr(self, network: BaryIR, picture: Path | None = None) -> dict[str, float]:
        """Mean PSNR in dB of every source's patches, rounded to 8 bits.

        Args:
            picture: where to write degraded, restored and target of the first two patches of
                every source, a row each.
        """
        device = next(network.parameters()).device
        result, rows = {}, []
        for name, (degraded, target) in self.patches.items():
            image = degraded.to(device).float() / 255
            image = image.contiguous(memory_format=torch.channels_last)
            restored = (image + network(image).correction).clamp(0, 1).mul(255).round().cpu()
            result[name] = _mean_psnr(restored, target)
            shown = [tile[i] for i in (0, 1) for tile in (degraded, restored.byte(), target)]
            rows.append(torch.cat([F.pad(tile, (0, GAP, 0, GAP), value=255) for tile in shown], 2))
        if picture:
            _write(picture, torch.cat(rows, 1))
        return result


def _mean_psnr(image: Tensor, target: Tensor) -> float:
    """Of ``(N, 3, H, W)`` patches of 8-bit values."""
    error = (image.float() - target.float()).square().flatten(1).mean(1)
    return float((10 * torch.log10(255**2 / error.clamp(min=1e-2))).mean())


def _write(path: Path, image: Tensor) -> None:
    path.parent.mkdir(exist_ok=True)
    pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy()[..., ::-1])
    cv2.imwrite(str(path), pixels)
