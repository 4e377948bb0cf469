"""Restores one photograph: shake, passes with and without the judge, what is left of noise."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor, nn

from baryir_cli.engine import passes
from baryir_cli.engine.capacity import SMALLEST_TILE
from baryir_cli.engine.corrector import Corrector, Places
from baryir_cli.engine.finish import LEAST, finish
from baryir_cli.engine.overview import Overview, shrunk
from baryir_cli.engine.pixels import Pixels, change_of, draw_back, image_of
from baryir_cli.engine.tiled_pass import TiledPass, part
from baryir_cli.memory import return_freed_memory
from baryir_cli.report import Report
from models.finish import noise_of
from models.light import Image, full_scale
from models.network import BaryIR
from models.scene import FIELDS, SHADES, picture_of
from models.shake import find_shake, radius

SEARCH = 700_000
"""Pixels that the embedded network restores on a CPU in the time of one search for a shake."""

Progress = Callable[[float], None]
"""Called with the share of the image that is done."""


class Sampled(NamedTuple):
    """The squares that represent an image, ``(N, 3, h, w)`` float32."""

    squares: Tensor
    corrections: Tensor
    """The network's, without the judge."""

    @property
    def left(self) -> Tensor:
        """What a pass leaves of the squares."""
        return self.squares + self.corrections


class PhotographRestorer:
    """Takes one photograph through a network, and decides on the way what to do.

    Args:
        network: has the judge and the finish, if any.
        corrector: the same network on its device.
        first_pass: over the photograph as it is, not yet turned.
        restored: what to write the result to, of the photograph's shape and type.
        keep_tones: ask no judge.
        keep_shake: search for no shake.
        with_overview: let an overview of the photograph decide on haze and darkness in every pass,
            not just where a tone is applied.
    """

    def __init__(
        self,
        network: BaryIR,
        corrector: Corrector,
        first_pass: TiledPass,
        restored: Pixels,
        *,
        keep_tones: bool,
        keep_shake: bool,
        with_overview: bool,
    ) -> None:
        self.network = network
        self.corrector = corrector
        self.first_pass = first_pass
        self.pixels = first_pass.pixels
        self.restored = restored
        self.keep_tones = keep_tones
        self.keep_shake = keep_shake
        self.with_overview = with_overview
        self.neutral = torch.zeros(1, FIELDS, SHADES, 1, 1, device=corrector.device)
        self.report = Report(
            tiles=first_pass.tiles,
            tile=(first_pass.along.largest, first_pass.across.largest),
            precision=corrector.precision,
            device=str(corrector.device),
        )

    def restore(self, strength: float, progress: Progress) -> Report:
        """Restores the photograph; arguments as those of :meth:`Engine.restore`."""
        redone = self.corrector.redone
        shake, progress = self._shake(progress)
        tiled = replace(self.first_pass, shake=shake).across_the_shorter()
        if self.network.judge is None:
            self._pass(tiled, progress)
            if shake is None:
                self._finish()
        else:
            self.report.toned = self._judge_in_passes(self.network.judge, tiled, progress)
        if strength == 0:
            self.report.shake = 0.0
        if strength < 1:
            draw_back(self.restored, self.pixels, strength, self.corrector.device)
        self.report.toned &= strength > 0
        self.report.change = change_of(self.restored, self.pixels)
        self.report.redone_in_fp32 = self.corrector.redone - redone
        return self.report

    def _shake(self, progress: Progress) -> tuple[Image | None, Progress]:
        """The kernel of a camera shake, if there is one, and the progress of the remaining work.

        Only for networks that were trained on photographs without shake.
        """
        if self.keep_shake or not self.network.config.deconvolve:
            return None, progress
        height, width = self.pixels.shape[:2]
        share, done = SEARCH / (SEARCH + height * width), 0.0

        def searching(searched: float) -> None:
            nonlocal done
            done = share * searched
            progress(done)

        shake = find_shake(self.pixels, searching)
        self.report.shake = 0.0 if shake is None else radius(shake)
        return shake, part(progress, done, 1)

    def _judge_in_passes(self, judge: nn.Module, tiled: TiledPass, progress: Progress) -> bool:
        """Passes without the judge while much is wrong, then with it.

        :mod:`baryir_cli.engine.passes` decides.

        Returns:
            Whether a tone was applied.
        """
        tone, change = self.neutral, 0.0
        if not self.keep_tones:
            tone, change = self._judged(judge, self.pixels)
        if not passes.is_slight(change) and passes.is_patterned(self._at_first.left):
            change = 0.0
        slight = passes.is_slight(change)
        # The rest of a shake takes one pass.
        if tiled.shake is not None or self._is_applied(change):
            self._pass(replace(tiled, tone=self.neutral if slight else tone), progress)
            return not slight
        tiled, done = replace(tiled, tone=self.neutral), 0.0
        for number in range(passes.MOST):
            # If the judge finds nothing, a pass is taken anyway, and shows whether much was wrong.
            came_anyway = slight and number == 0
            # The number of further passes only becomes known afterwards.
            upto = 0.9 if came_anyway else (done + 1) / 2
            self._pass(tiled, part(progress, done, upto))
            tiled, done = replace(tiled, pixels=tiled.turn(self.restored)), upto
            enough = came_anyway and not self._was_much()
            if enough or not passes.is_much(self._sampled(self.restored).corrections):
                break
        # Before a tone, which would make what is left of noise stronger.
        self._finish()
        toned = False
        if change >= passes.CERTAIN:
            tone, change = self._judged(judge, self.restored)
            toned = change >= passes.CERTAIN and not passes.is_patterned(
                self._sampled(self.restored).left
            )
            if toned:
                self._pass(replace(tiled, tone=tone), part(progress, done, 1))
        progress(1.0)
        return toned

    def _is_applied(self, change: float) -> bool:
        """Whether the first pass uses the judge, whose tone changes the image by ``change``."""
        if passes.is_slight(change):
            return False
        return passes.is_doubtful(change) or not passes.is_much(self._at_first.corrections)

    def _pass(self, tiled: TiledPass, progress: Progress) -> None:
        has_tone = tiled.tone is not None and bool(tiled.tone.any())
        if tiled.tiles > 1 and (has_tone or self.with_overview):
            tiled = replace(tiled, overview=self._overview(tiled))
        return_freed_memory(self.pixels.nbytes)
        tiled.run(self.corrector, tiled.turn(self.restored), progress)
        self.report.passes += 1

    def _overview(self, tiled: TiledPass) -> Overview:
        """The network's correction of the whole photograph, shrunk to a tile."""
        pixels = tiled.turn(tiled.pixels)
        side = max(SMALLEST_TILE, math.isqrt(tiled.along.tile * tiled.across.tile))
        small = shrunk(pixels, side)
        image = image_of(small, self.corrector.device)[None]
        size = small.shape[:2]
        places = None if tiled.tone is None else Places([(0, 0, *size)], size, tiled.tone)
        ends = (self.corrector.config.margin,) * 2
        correction = self.corrector.correct(image, (ends, ends), places)[0]
        overview = Overview(correction.cpu(), pixels.shape[:2])
        return overview.turned() if tiled.turned else overview

    def _was_much(self) -> bool:
        """Whether much has been corrected so far."""
        return passes.is_much(self._squares(self.restored) - self._squares(self.pixels))

    @cached_property
    def _at_first(self) -> Sampled:
        return self._sampled(self.pixels)

    def _sampled(self, pixels: Pixels) -> Sampled:
        squares, size = self._squares(pixels), pixels.shape[:2]
        places = Places(passes.samples(*size), size, self.neutral)
        return Sampled(squares, self.corrector.correct(squares, places=places))

    def _squares(self, pixels: Pixels) -> Tensor:
        boxes = passes.samples(*pixels.shape[:2])
        squares = [pixels[top:bottom, left:right] for top, left, bottom, right in boxes]
        return torch.stack([image_of(square, self.corrector.device) for square in squares])

    def _judged(self, judge: nn.Module, pixels: Pixels) -> tuple[Tensor, float]:
        """An image's tone, ``(1, 6, D, h, w)`` float32, and how much it changes the image.

        Always judged on the CPU in float32: it is little work and decides much.
        """
        small = torch.from_numpy(picture_of(pixels, self.network.config.scene))
        picture = small.permute(2, 0, 1)[None] / full_scale(pixels.dtype)
        tone, change = passes.judged(judge, picture)
        return tone.to(self.corrector.device), change

    def _finish(self) -> None:
        """Mends what is left of noise, if there was any; only without a tone or a shake, which
        change noise before it is removed."""
        mend = self.network.finish
        if mend is None or not mend.is_fitted:
            return
        noise = noise_of(self._squares(self.pixels) - self._squares(self.restored))
        if noise >= LEAST:
            finish(self.restored, mend, noise, self.corrector.device)
