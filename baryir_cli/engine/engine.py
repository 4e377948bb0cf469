"""Restores images of any size on a device: in tiles as large as fit into its memory."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from baryir_cli.engine.capacity import SMALLEST_TILE
from baryir_cli.engine.corrector import Corrector
from baryir_cli.engine.device import (
    give_back,
    is_slowed_by,
    lack_of_memory_as_user_error,
    out_of_memory,
    resolve_device,
    resolve_precision,
)
from baryir_cli.engine.pixels import Pixels, change_of
from baryir_cli.engine.regions import Region, regions
from baryir_cli.engine.restoration import PhotographRestorer, Progress
from baryir_cli.engine.tiled_pass import TiledPass, part
from baryir_cli.engine.tiles import Axis, Tiling
from baryir_cli.errors import UserError
from baryir_cli.limits import check_tiles
from baryir_cli.memory import return_freed_memory
from baryir_cli.report import Report
from models.network import BaryIR

log = logging.getLogger("baryir")


class Engine:
    """Runs a network over images, tile by tile; threads that share it take turns.

    Args:
        network: float32, on the CPU; copied if another device or precision is asked for.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        tile: side of a tile in pixels, 0 for the whole image. None lets free memory decide; then
            an overview of the image decides on haze and darkness, unless the network has a scene
            judge.
        overlap: pixels that neighbouring tiles share; None for the default.
        keep_tones: leave haze and darkness, which a scene judge finds, as they are.
        keep_shake: leave camera shake, which is deconvolved otherwise, to the network.
        notify: told, in a sentence, of every step down to less memory, and of a slow precision.

    Raises:
        ArgumentError: an argument has a value that it does not take.
    """

    def __init__(
        self,
        network: BaryIR,
        *,
        device: str = "auto",
        precision: str = "auto",
        tile: int | None = None,
        overlap: int | None = None,
        keep_tones: bool = False,
        keep_shake: bool = False,
        notify: Callable[[str], None] = log.warning,
    ) -> None:
        resolved = resolve_device(device)
        check_tiles(tile, overlap)
        self.network = network
        self.asked = precision
        self.corrector = Corrector(network, resolved, resolve_precision(precision, resolved))
        self.tiling = Tiling(tile, overlap, network.config.multiple, network.config.margin)
        # A network with a scene judge needs one only where tones change.
        self.with_overview = tile is None and network.judge is None
        self.keep_tones = keep_tones
        if keep_tones and network.judge is None:
            notify("tones are kept anyway: this network has no scene judge")
        self.keep_shake = keep_shake
        if keep_shake and not network.config.deconvolve:
            notify("shake is kept anyway: this network has no deconvolution")
        self.notify = notify
        self._turn = threading.RLock()
        if is_slowed_by(self.precision, self.device):
            notify(
                f"{self.precision} is slower than fp32 on this {self.device.type}; "
                "precision auto is better"
            )

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_turn"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _turn=threading.RLock())

    @property
    def device(self) -> torch.device:
        """The device in use; the CPU, once a GPU has run out of memory."""
        return self.corrector.device

    @property
    def precision(self) -> str:
        """``fp32``, ``bf16`` or ``fp16``."""
        return self.corrector.precision

    def restore(
        self,
        pixels: Pixels,
        *,
        strength: float = 1.0,
        progress: Progress = lambda _share: None,
    ) -> tuple[Pixels, Report]:
        """Restores the photographs in an RGB image, but no flat frame or ground around them.

        Args:
            pixels: ``(H, W, 3)`` uint8, uint16 or float32 in [0, 1]; any H and W.
            strength: share of the network's correction to add, 0 to 1.
            progress: called with the share of the image that is done.

        Returns:
            An array of the same shape and type, and a report.

        Raises:
            NotFiniteError: the network returns NaN or infinity even in float32.
            UserError: not even the smallest tile fits into memory.
        """
        # An image uses all cores, and two would share the memory that tiles are made for.
        with self._turn, lack_of_memory_as_user_error():
            found = regions(pixels)
            return_freed_memory(pixels.nbytes)
            if found[0].pixels is pixels:
                return self._fitting(found[0], strength, progress)
            return self._one_by_one(pixels, found, strength, progress)

    def _one_by_one(
        self, pixels: Pixels, found: Sequence[Region], strength: float, progress: Progress
    ) -> tuple[Pixels, Report]:
        """Restores the photographs in an image, each by itself."""
        whole, reports, done = pixels, list[Report](), 0.0
        size = sum(region.pixels.size for region in found)
        for region in found:
            upto = done + region.pixels.size / size
            restored, report = self._fitting(region, strength, part(progress, done, upto))
            return_freed_memory(pixels.nbytes)
            if whole is pixels:  # not before, since it is as large as the image
                whole = pixels.copy()
            region.put_into(whole, restored)
            reports.append(report)
            done = upto
        joined = Report.of_parts(reports)
        joined.change = change_of(whole, pixels)
        return whole, joined

    def _fitting(
        self, region: Region, strength: float, progress: Progress
    ) -> tuple[Pixels, Report]:
        """Restores a photograph with tiles that fit into memory."""
        before = self.tiling, self.corrector
        while True:
            tile, failure = 0, ""
            try:
                height, width = region.pixels.shape[:2]
                largest = partial(self.corrector.capacity.largest_tile, region.held)
                axes = self.tiling.axes(height, width, largest)
                tile = max(axis.largest for axis in axes)
                return self._restored(region, *axes, strength, progress)
            except Exception as error:
                if not out_of_memory(error):
                    raise
                failure = str(error) or "out of memory"
            # Outside the handler, whose traceback would keep the tensors alive.
            if not self._step_down(tile):
                # The tiles' size was not the reason, so the next images keep it.
                self.tiling, self.corrector = before
                raise UserError(
                    f"not enough memory, even for tiles of {tile} pixels ({failure[:120]})"
                )

    def _step_down(self, tile: int) -> bool:
        """After running out of memory, takes smaller tiles, then the CPU; reports each step once.

        Args:
            tile: side of the largest tile that failed; 0 if there was no memory at all.

        Returns:
            Whether there was a step left.
        """
        multiple = self.tiling.multiple
        smaller = tile // 2 // multiple * multiple
        gc.collect()
        give_back(self.device)
        if smaller >= SMALLEST_TILE:
            self.tiling = replace(self.tiling, tile=smaller, overlap=None)
            self.notify(
                f"out of memory on {self.device}: continuing with tiles of {smaller} pixels"
            )
        elif self.device.type != "cpu":
            cpu = torch.device("cpu")
            precision = resolve_precision("fp32" if self.asked == "fp32" else "auto", cpu)
            self.notify(f"out of memory on {self.device}: continuing on the CPU in {precision}")
            left = self.device
            self.corrector = Corrector(self.network, cpu, precision)
            self.tiling = replace(self.tiling, tile=None)
            give_back(left)
        else:
            return False
        return True

    @torch.inference_mode()
    def _restored(
        self,
        region: Region,
        vertical: Axis,
        horizontal: Axis,
        strength: float,
        progress: Progress,
    ) -> tuple[Pixels, Report]:
        pixels, keep_tones = region.pixels, self.keep_tones or region.keep_tones
        restored = np.empty(pixels.shape, pixels.dtype)
        restorer = PhotographRestorer(
            self.network,
            self.corrector,
            TiledPass(pixels, vertical, horizontal),
            restored,
            keep_tones=keep_tones,
            keep_shake=self.keep_shake,
            with_overview=self.with_overview,
        )
        return restored, restorer.restore(strength, progress)
