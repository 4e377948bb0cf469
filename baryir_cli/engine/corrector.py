"""A network's corrections of tiles: any size, finite, in the precision asked for."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from baryir_cli.engine.capacity import Capacity
from baryir_cli.engine.device import DTYPES
from baryir_cli.engine.tiles import Box
from baryir_cli.errors import UserError
from models.network import BaryIR, channels_last

Ends = tuple[int, int]
"""Pixels before the start and after the end of an axis."""


class NotFiniteError(UserError):
    """The network returned NaN or infinity, even in float32."""


@dataclass(frozen=True)
class Places:
    """Where tiles lie in their image, and its tone, for a network with a scene judge.

    Attributes:
        boxes: one per tile.
        size: height and width of the image.
        tone: ``(1, 6, D, h, w)`` float32 on the device, from the judge.
    """

    boxes: Sequence[Box]
    size: tuple[int, int]
    tone: Tensor

    def chosen(self, mask: Tensor) -> Places:
        """The tiles where ``mask``, ``(N,)`` of booleans, is true."""
        chosen = zip(self.boxes, mask.tolist(), strict=True)
        return replace(self, boxes=tuple(box for box, wanted in chosen if wanted))

    def of_padded(self, vertical: Ends, horizontal: Ends) -> Tensor:
        """The ``place`` of :class:`models.scene.Scene` for tiles padded by so many pixels."""
        (top, bottom), (left, right) = vertical, horizontal
        (height, width), device = self.size, self.tone.device
        padded = [(b[0] - top, b[1] - left, b[2] + bottom, b[3] + right) for b in self.boxes]
        place = torch.tensor(padded, dtype=torch.float32, device=device)
        place /= torch.tensor([height, width, height, width], device=device)
        return place


class Corrector:
    """A network on a device.

    Args:
        network: float32, on the CPU; copied if another device or precision is asked for.
        device: where it runs, and where tiles and corrections are.
        precision: ``fp32``, ``bf16`` or ``fp16``.

    Attributes:
        redone: tiles so far that overflowed in half precision and were done again in float32.
    """

    def __init__(self, network: BaryIR, device: torch.device, precision: str) -> None:
        self.device = device
        self.precision = precision
        self.config = network.config
        self.capacity = Capacity(network.config, device, precision)
        self.redone = 0
        self._master = network
        self._networks: dict[str, BaryIR] = {}

    def correct(
        self,
        tiles: Tensor,
        margins: tuple[Ends, Ends] = ((0, 0), (0, 0)),
        places: Places | None = None,
    ) -> Tensor:
        """Corrections of ``(N, 3, H, W)`` float32 tiles in [0, 1]; float32, finite.

        Args:
            margins: pixels to mirror at the tiles' vertical and horizontal ends.
            places: for a network with a judge.

        Raises:
            NotFiniteError: the network returns NaN or infinity, even in float32.
        """
        correction = self._corrected(tiles, margins, places, self.precision)
        broken = ~torch.isfinite(correction).flatten(1).all(1)
        if bool(broken.any()):
            if self.precision != "fp32":
                again = places and places.chosen(broken)
                correction[broken] = self._corrected(tiles[broken], margins, again, "fp32")
                self.redone += int(broken.sum())
            if not bool(torch.isfinite(correction).all()):
                raise NotFiniteError("the network returned NaN or infinity; nothing was written")
        return correction

    def _corrected(
        self, tiles: Tensor, margins: tuple[Ends, Ends], places: Places | None, precision: str
    ) -> Tensor:
        height, width = tiles.shape[-2:]
        (top, bottom), (left, right) = margins
        multiple = self.config.multiple
        bottom += -(top + height + bottom) % multiple
        right += -(left + width + right) % multiple
        rows = mirrored(height, top, bottom, self.device)
        columns = mirrored(width, left, right, self.device)
        padded = tiles.index_select(2, rows).index_select(3, columns)
        padded = padded.to(DTYPES[precision], memory_format=torch.channels_last)
        network = self._network(precision)
        if places is None:
            correction = network(padded).correction
        else:
            tone = places.tone.expand(len(padded), -1, -1, -1, -1)
            place = places.of_padded((top, bottom), (left, right))
            correction = network.with_tone(padded, tone, place).correction
        return correction[..., top : top + height, left : left + width].float()

    def _network(self, precision: str) -> BaryIR:
        if precision not in self._networks:
            network = self._master
            if self.device.type != "cpu" or precision != "fp32":
                network = copy.deepcopy(network).to(self.device, DTYPES[precision])
            self._networks[precision] = channels_last(network)
        return self._networks[precision]


def mirrored(length: int, before: int, after: int, device: torch.device) -> Tensor:
    """The pixels that continue an axis by mirroring, back and forth if it is short.

    Repeating the last pixels would turn noise into streaks, which no network takes for noise.
    """
    period = max(2 * (length - 1), 1)
    places = torch.arange(-before, length + after, device=device).remainder(period)
    return torch.minimum(places, period - places) if length > 1 else places
