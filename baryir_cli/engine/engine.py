"""Restores an image in tiles as large as fit, with as many looks as it needs."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.fft
import torch
from torch import Tensor, nn

from baryir_cli.device import emulates, out_of_memory, resolve_device, resolve_precision
from baryir_cli.engine import looks
from baryir_cli.engine.capacity import SMALLEST_TILE
from baryir_cli.engine.corrector import Corrector, Places
from baryir_cli.engine.course import Course, part
from baryir_cli.engine.finish import LEAST, finish
from baryir_cli.engine.overview import Overview, shrunk
from baryir_cli.engine.pixels import Pixels, change_of, draw_back, image_of
from baryir_cli.engine.tiles import Axis, Tiling
from baryir_cli.errors import UserError
from baryir_cli.limits import check_tiles
from baryir_cli.report import Report
from models.finish import Finish, noise_of
from models.light import Image, full_scale
from models.network import BaryIR
from models.scene import FIELDS, SHADES, picture_of
from models.shake import find_shake, radius

SEARCH = 1_000_000
"""Pixels that the embedded network restores on a CPU in the time of one search for a shake."""

Progress = Callable[[float], None]
"""Called with the share of the image that is done."""

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
        notify: Callable[[str], None] = log.warning,
    ) -> None:
        resolved = resolve_device(device)
        check_tiles(tile, overlap)
        self.network = network
        self.asked = precision
        self.corrector = Corrector(network, resolved, resolve_precision(precision, resolved))
        self.tiling = Tiling(tile, overlap, network.config.multiple, network.config.margin)
        # A network with a scene judge needs no overview.
        self.with_overview = tile is None and network.judge is None
        self.notify = notify
        self._turn = threading.RLock()
        if emulates(self.precision, self.device):
            notify(
                f"{self.device} only emulates {self.precision}, which is slow; "
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
        """Restores one RGB image.

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
        with self._turn:
            return self._fitting(pixels, strength, progress)

    def _fitting(
        self, pixels: Pixels, strength: float, progress: Progress
    ) -> tuple[Pixels, Report]:
        """Restores an image with tiles that fit into memory."""
        before = self.tiling, self.corrector
        while True:
            tile, failure = 0, ""
            try:
                height, width = pixels.shape[:2]
                axes = self.tiling.axes(height, width, self.corrector.capacity.largest_tile)
                tile = max(axis.tile for axis in axes)
                with scipy.fft.set_workers(torch.get_num_threads()):
                    return self._restored(pixels, *axes, strength, progress)
            except (RuntimeError, MemoryError) as error:
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
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if smaller >= SMALLEST_TILE:
            self.tiling = replace(self.tiling, tile=smaller, overlap=None)
            self.notify(
                f"out of memory on {self.device}: continuing with tiles of {smaller} pixels"
            )
        elif self.device.type != "cpu":
            cpu = torch.device("cpu")
            precision = resolve_precision("fp32" if self.asked == "fp32" else "auto", cpu)
            self.notify(f"out of memory on {self.device}: continuing on the CPU in {precision}")
            self.corrector = Corrector(self.network, cpu, precision)
            self.tiling = replace(self.tiling, tile=None)
            torch.cuda.empty_cache()
        else:
            return False
        return True

    @torch.inference_mode()
    def _restored(
        self,
        pixels: Pixels,
        vertical: Axis,
        horizontal: Axis,
        strength: float,
        progress: Progress,
    ) -> tuple[Pixels, Report]:
        shake, progress = self._shake(pixels, progress)
        report = Report(
            tiles=len(vertical.starts) * len(horizontal.starts),
            tile=(min(vertical.tile, vertical.length), min(horizontal.tile, horizontal.length)),
            precision=self.precision,
            device=str(self.device),
            shake=0.0 if shake is None else radius(shake),
        )
        redone = self.corrector.redone
        course = Course(
            pixels,
            vertical,
            horizontal,
            overview=self._overview(pixels, report.tiles),
            shake=shake,
        ).across_the_shorter()
        restored = np.empty(pixels.shape, pixels.dtype)
        result = restored.swapaxes(0, 1) if course.turned else restored
        judge = self.network.judge
        toned = False
        if judge is None:
            self._look(course, result, report, progress)
        else:
            toned = self._look_and_judge(judge, course, result, report, progress)
        # A tone or a shake changes the noise before it is removed.
        mend = self.network.finish
        if mend is not None and mend.is_fitted and not toned and shake is None:
            self._finish(mend, restored, pixels)
        if strength < 1:
            draw_back(restored, pixels, strength, self.device)
        report.change = change_of(restored, pixels)
        report.redone_in_fp32 = self.corrector.redone - redone
        return restored, report

    def _shake(self, pixels: Pixels, progress: Progress) -> tuple[Image | None, Progress]:
        """The kernel of a camera shake, if there is one, and the progress of the remaining work.

        Only for networks that were trained on photographs without shake.
        """
        if not self.network.config.deconvolve:
            return None, progress
        share, done = SEARCH / (SEARCH + pixels.shape[0] * pixels.shape[1]), 0.0

        def searching(searched: float) -> None:
            nonlocal done
            done = share * searched
            progress(done)

        shake = find_shake(pixels, searching)
        return shake, part(progress, done, 1)

    def _look_and_judge(
        self,
        judge: nn.Module,
        course: Course,
        result: Pixels,
        report: Report,
        progress: Progress,
    ) -> bool:
        """Looks without the judge while much is wrong, then with it.

        :mod:`baryir_cli.engine.looks` decides.

        Returns:
            Whether a tone was applied.
        """
        neutral = torch.zeros(1, FIELDS, SHADES, 1, 1, dtype=torch.float32, device=self.device)
        tone, change = self._judged(judge, course.upright)
        slight = looks.is_slight(change)
        # The rest of a shake takes one look.
        if course.shake is not None or self._is_applied(change, course.upright, neutral):
            self._look(replace(course, tone=neutral if slight else tone), result, report, progress)
            return not slight
        course, done = replace(course, tone=neutral), 0.0
        for number in range(looks.MOST):
            # If the judge finds nothing, a look is taken anyway, and shows whether much was wrong.
            came_anyway = slight and number == 0
            # The number of further looks only becomes known afterwards.
            upto = 0.9 if came_anyway else (done + 1) / 2
            self._look(course, result, report, part(progress, done, upto))
            before, course, done = course.upright, replace(course, pixels=result), upto
            enough = came_anyway and not self._was_much(before, course.upright)
            if enough or not self._much_is_wrong(course.upright, neutral):
                break
        toned = False
        if change >= looks.CERTAIN:
            tone, change = self._judged(judge, course.upright)
            toned = change >= looks.CERTAIN
            if toned:
                last = replace(course, tone=tone)
                self._look(last, result, report, part(progress, done, 1))
        progress(1.0)
        return toned

    def _finish(self, mend: Finish, restored: Pixels, pixels: Pixels) -> None:
        """Mends what is left of noise, in place, if there was any."""
        noise = noise_of(self._samples(pixels) - self._samples(restored))
        if noise >= LEAST:
            finish(restored, mend, noise, self.device)

    def _is_applied(self, change: float, pixels: Pixels, neutral: Tensor) -> bool:
        """Whether the first look uses the judge, whose tone changes the image by ``change``."""
        if looks.is_slight(change):
            return False
        return looks.is_doubtful(change) or not self._much_is_wrong(pixels, neutral)

    def _look(self, course: Course, result: Pixels, report: Report, progress: Progress) -> None:
        course.look(self.corrector, result, progress)
        report.looks += 1

    def _much_is_wrong(self, pixels: Pixels, neutral: Tensor) -> bool:
        """Whether the network has much to correct in an image's samples, without the judge."""
        size = pixels.shape[:2]
        places = Places(looks.samples(*size), size, neutral)
        return looks.is_much(self.corrector.correct(self._samples(pixels), places=places))

    def _was_much(self, before: Pixels, after: Pixels) -> bool:
        """Whether a look corrected much."""
        return looks.is_much(self._samples(after) - self._samples(before))

    def _samples(self, pixels: Pixels) -> Tensor:
        """The squares that represent an image, ``(N, 3, h, w)`` float32."""
        boxes = looks.samples(*pixels.shape[:2])
        parts = [pixels[top:bottom, left:right] for top, left, bottom, right in boxes]
        return torch.stack([image_of(part, self.device) for part in parts])

    def _judged(self, judge: nn.Module, pixels: Pixels) -> tuple[Tensor, float]:
        """An image's tone, ``(1, 6, D, h, w)`` float32, and how much it changes the image.

        Always judged on the CPU in float32: it is little work and decides much.
        """
        small = torch.from_numpy(picture_of(pixels, self.network.config.scene))
        picture = small.permute(2, 0, 1)[None] / full_scale(pixels.dtype)
        tone, change = looks.judged(judge, picture)
        return tone.to(self.device), change

    def _overview(self, pixels: Pixels, tiles: int) -> Overview | None:
        """The network's correction of the whole image, shrunk to a tile; None for one tile."""
        if not self.with_overview or tiles == 1:
            return None
        tile = self.tiling.tile or self.corrector.capacity.largest_tile()
        small = image_of(shrunk(pixels, tile), self.device)[None]
        margin = self.tiling.margin
        correction = self.corrector.correct(small, ((margin, margin), (margin, margin)))[0]
        return Overview(correction.cpu(), pixels.shape[:2])
