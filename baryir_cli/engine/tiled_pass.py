"""One pass over an image: band after band of tiles, blended into the result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from baryir_cli.bands import bands
from baryir_cli.engine.corrector import Corrector, Ends, Places
from baryir_cli.engine.overview import Overview
from baryir_cli.engine.pixels import Pixels, image_of, on_device, pixels_of
from baryir_cli.engine.tiles import Axis
from models.deconvolution import deconvolved
from models.light import Image, floating


@dataclass(frozen=True)
class TiledPass:
    """A pass over an image: in bands of tiles along its shorter side.

    In a wide image the bands are columns of tiles, so everything but the network sees it turned.

    Attributes:
        pixels: the image, turned if ``turned``.
        along: the axis along which the bands follow each other.
        across: the axis of the tiles in a band.
        tone: the image's tone, for a network with a scene judge (:class:`Places`).
        overview: what the tiles must agree with, if anything.
        shake: the kernel of a blur to remove before the network sees the image.
    """

    pixels: Pixels
    along: Axis
    across: Axis
    turned: bool = False
    tone: Tensor | None = None
    overview: Overview | None = None
    shake: Image | None = None

    @property
    def tiles(self) -> int:
        """The number of tiles."""
        return len(self.along.starts) * len(self.across.starts)

    def across_the_shorter(self) -> TiledPass:
        """The same, turned if its bands would run along the longer side."""
        if self.across.length <= self.along.length:
            return self
        return replace(
            self,
            pixels=self.pixels.swapaxes(0, 1),
            along=self.across,
            across=self.along,
            turned=True,
            shake=None if self.shake is None else self.shake.T,
        )

    def turn(self, pixels: Pixels) -> Pixels:
        """Another image, turned if this one was."""
        return pixels.swapaxes(0, 1) if self.turned else pixels

    def run(self, corrector: Corrector, result: Pixels, progress: Callable[[float], None]) -> None:
        """Restores band by band; only one band of tiles is ever held in float32.

        Args:
            result: the output, turned like the image. Without a shake it may be the image itself,
                because no band is read after it was written; deshaking reads beyond its band.
            progress: called with the share of the image that is done.
        """
        along = self.along
        carried: Tensor | None = None
        starts = [*along.starts, along.length]
        for row, weight in enumerate(along.weights()):
            rows = along.span(row)
            upto = part(progress, starts[row] / along.length, starts[row + 1] / along.length)
            band = self._band(corrector, rows, upto)
            band *= on_device(weight, corrector.device)[None, :, None]
            if carried is not None:
                band[:, : carried.shape[1]] += carried
            final = starts[row + 1] - starts[row]
            for strip in bands(final, self.across.length):
                done = slice(rows.start + strip.start, rows.start + strip.stop)
                image = image_of(self.pixels[done], corrector.device) + band[:, strip]
                result[done] = pixels_of(image, result.dtype)
            carried = band[:, final:].clone()

    def _band(self, corrector: Corrector, rows: slice, progress: Callable[[float], None]) -> Tensor:
        """Blended corrections of one band of tiles, ``(3, rows, across)`` float32 on the device."""
        across = self.across
        height = rows.stop - rows.start
        band = torch.zeros(3, height, across.length, device=corrector.device)
        weights = across.weights()
        for batch in _alike(across, corrector.capacity.batch(height * across.tile)):
            spans = [across.span(i) for i in batch]
            corrections = self._alongside(corrector, rows, spans)
            for i, span, correction in zip(batch, spans, corrections, strict=True):
                if self.overview:
                    correction = self.overview.hold(correction[None], rows, span)[0]
                band[:, :, span] += correction * on_device(weights[i], corrector.device)
            progress((batch[-1] + 1) / len(weights))
        return band

    def _alongside(self, corrector: Corrector, rows: slice, spans: list[slice]) -> Tensor:
        """Corrections of similar tiles of one band, turned like the image."""
        tiles = torch.stack([image_of(self.pixels[rows, span], corrector.device) for span in spans])
        seen = tiles
        if self.shake is not None:
            steadied = [_steadied(self.pixels, self.shake, rows, span) for span in spans]
            seen = torch.stack([image_of(image, corrector.device) for image in steadied])
        margin = corrector.config.margin
        ends = _margins(self.along, rows, margin), _margins(self.across, spans[0], margin)
        boxes = tuple((rows.start, span.start, rows.stop, span.stop) for span in spans)
        size = self.along.length, self.across.length
        if self.turned:
            boxes = tuple((left, top, right, bottom) for top, left, bottom, right in boxes)
            ends, size = ends[::-1], size[::-1]
        places = None if self.tone is None else Places(boxes, size, self.tone)
        upright = seen.transpose(2, 3) if self.turned else seen
        corrections = corrector.correct(upright, ends, places)
        if self.turned:
            corrections = corrections.transpose(2, 3)
        return corrections if self.shake is None else corrections + (seen - tiles)


def part(progress: Callable[[float], None], first: float, last: float) -> Callable[[float], None]:
    """Progress of one part of the work, from ``first`` to exactly ``last``."""
    return lambda share: progress(first * (1 - share) + last * share)


def _steadied(pixels: Pixels, shake: Image, rows: slice, span: slice) -> Image:
    """A part of an image without its shake; the pixels around it are taken into account."""
    reach = 4 * len(shake)
    top, left = max(rows.start - reach, 0), max(span.start - reach, 0)
    around = pixels[top : rows.stop + reach, left : span.stop + reach]
    inner = slice(rows.start - top, rows.stop - top), slice(span.start - left, span.stop - left)
    return deconvolved(floating(around), shake)[inner]


def _margins(axis: Axis, span: slice, margin: int) -> Ends:
    """Pixels to mirror at a tile's ends: only where the image ends too."""
    return margin * (span.start == 0), margin * (span.stop == axis.length)


def _alike(axis: Axis, limit: int) -> Iterator[list[int]]:
    """Runs of at most ``limit`` tile numbers: equally wide, at the same ends of the image."""
    run: list[int] = []
    kind = None
    for index in range(len(axis.starts)):
        span = axis.span(index)
        before, kind = kind, (span.stop - span.start, span.start == 0, span.stop == axis.length)
        if run and (len(run) == limit or kind != before):
            yield run
            run = []
        run.append(index)
    yield run
