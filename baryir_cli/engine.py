"""The tiled engine: any image, any size, on whatever memory there is."""

from __future__ import annotations

import copy
import gc
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.fft
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from baryir_cli import looks
from baryir_cli.device import DTYPES, free_memory, resolve_device, resolve_precision
from baryir_cli.errors import UsageError, UserError
from baryir_cli.overview import Overview, shrunk
from baryir_cli.tiles import Axis, Box, even_axis
from models.deconvolution import deconvolved
from models.hardware import multiplies_bf16
from models.light import Image, floating
from models.network import BaryIR, channels_last
from models.scene import FIELDS, SHADES, considered, picture_of
from models.shake import find_shake, radius

Pixels = NDArray[Any]
"""``(H, W, 3)`` uint8, uint16 or float32 in [0, 1]."""

Ends = tuple[int, int]
"""Of an axis: pixels before its first one and after its last."""

OVERLAP = 64
"""Pixels that neighbouring tiles share, where nobody asks for another number."""
SMALLEST_TILE = 64
SMALLEST_ASKED = 32
LARGEST_TILE = 2048
LARGEST_BATCH = 8
CPU_BUDGET = 384 << 20
"""Bytes that a forward pass may take on a CPU, however much is free."""
STRIP = 64
"""Rows of a band that are turned into pixels at a time."""
GPU_SHARE = 0.7
"""Share of a GPU's free memory that a forward pass may take."""

log = logging.getLogger("baryir")


class NotFiniteError(UserError):
    """The network gave NaN or infinity, in float32 as well."""


@dataclass(frozen=True)
class Places:
    """Where tiles are in their image, and its tone, for a network that judges whole scenes.

    Attributes:
        boxes: of every tile.
        size: height and width of the image.
        tone: ``(1, 6, D, h, w)`` float32 on the device: what the judge made of the image.
    """

    boxes: Sequence[Box]
    size: tuple[int, int]
    tone: Tensor

    def chosen(self, tiles: Tensor) -> Places:
        """Those of some tiles, by a mask."""
        chosen = zip(self.boxes, tiles.tolist(), strict=True)
        return replace(self, boxes=tuple(box for box, wanted in chosen if wanted))

    def of_padded(self, vertical: Ends, horizontal: Ends) -> Tensor:
        """The ``place`` of :class:`models.scene.Scene`, of tiles padded by so many pixels."""
        (top, bottom), (left, right) = vertical, horizontal
        (height, width), device = self.size, self.tone.device
        padded = [(b[0] - top, b[1] - left, b[2] + bottom, b[3] + right) for b in self.boxes]
        place = torch.tensor(padded, dtype=torch.float32, device=device)
        place /= torch.tensor([height, width, height, width], device=device)
        return place


@dataclass
class Report:
    """How an image was restored."""

    tiles: int = 0
    tile: tuple[int, int] = (0, 0)
    """Height and width of a tile."""
    precision: str = ""
    device: str = ""
    redone: int = 0
    """Tiles that half precision could not hold and float32 did again."""
    shake: float = 0.0
    """Radius in pixels of the camera shake that was taken out first."""
    looks: int = 0
    """How often the network went over the image (:mod:`baryir_cli.looks`)."""

    def to_dict(self) -> dict[str, Any]:
        """Its entries of a line of ``--json``."""
        return {
            "tiles": self.tiles,
            "tile": list(self.tile),
            "precision": self.precision,
            "device": self.device,
            "redone_in_fp32": self.redone,
            "shake": round(self.shake, 2),
            "looks": self.looks,
        }


@dataclass(frozen=True)
class _Course:
    """How the engine goes through an image: bands of tiles that run along its shorter side.

    Of a wide image they are columns of tiles, and everything but the network sees it turned.

    Attributes:
        pixels: the image, turned if ``turned``.
        along: of the bands, one after the other.
        across: of the tiles of a band.
        tone: of the image, for a network that judges whole scenes (:class:`Places`).
        overview: what the tiles are held to, if anything.
        shake: the kernel of a blur that is taken out before the network sees the image.
    """

    pixels: Pixels
    along: Axis
    across: Axis
    turned: bool = False
    tone: Tensor | None = None
    overview: Overview | None = None
    shake: Image | None = None

    def across_the_shorter(self) -> _Course:
        """The same, turned where its bands would run along the longer side."""
        if self.across.length <= self.along.length:
            return self
        return replace(
            self,
            pixels=self.pixels.swapaxes(0, 1),
            along=self.across,
            across=self.along,
            turned=True,
            overview=self.overview and self.overview.turned(),
            shake=None if self.shake is None else self.shake.T,
        )

    @property
    def upright(self) -> Pixels:
        """The image as it was before it was turned."""
        return self.pixels.swapaxes(0, 1) if self.turned else self.pixels


class Engine:
    """Runs a network over images tile by tile.

    Args:
        network: float32, on the CPU; copied where another device or precision is asked for.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        tile: side of a tile in pixels, 0 for the whole image, None to let free memory decide;
            then what the tiles say of haze and darkness is held to an overview of the image,
            unless the network judges whole scenes by itself.
        overlap: pixels that neighbouring tiles share; None for the default.
        notify: told, in a sentence, of every step down to less memory, and of a slow precision.

    Raises:
        UsageError: a setting is out of range or there is no such device.
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
        self.device = resolve_device(device)
        self.precision = resolve_precision(precision, self.device)
        if tile and tile < SMALLEST_ASKED:
            raise UsageError(
                f"--tile {tile}: at least {SMALLEST_ASKED} pixels, 0 means the whole image"
            )
        if overlap is not None and (overlap < 0 or (tile and overlap > tile // 2)):
            raise UsageError(f"--overlap {overlap}: must be from 0 to half of the tile's side")
        self.tile = tile
        self.overlap = overlap
        # A network that judges whole scenes needs nobody to hold its tiles together.
        self.with_overview = tile is None and network.judge is None
        self.notify = notify
        self.master = network
        self.config = network.config
        self._networks: dict[str, BaryIR] = {}
        if self.precision == "bf16" and not multiplies_bf16(self.device):
            notify("this processor only emulates bf16, a hundred times slower: --precision auto")

    def restore(
        self,
        pixels: Pixels,
        *,
        strength: float = 1.0,
        progress: Callable[[float], None] = lambda _share: None,
    ) -> tuple[Pixels, Report]:
        """Restores one RGB image.

        Args:
            pixels: ``(H, W, 3)`` uint8, uint16 or float32 in [0, 1]; any H and W.
            strength: share of the network's correction that is added, 0 to 1.
            progress: called with the share of the image that is done.

        Returns:
            An array of the same shape and kind, and how it was made.

        Raises:
            NotFiniteError: the network's answer is NaN or infinite even in float32.
            UserError: not even the smallest tile fits into memory.
        """
        while True:
            axes = self._axes(*pixels.shape[:2])
            failure = ""
            try:
                with scipy.fft.set_workers(torch.get_num_threads()):
                    return self._restored(pixels, *axes, strength, progress)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                failure = str(error) or "out of memory"
            # Outside of the handler, whose traceback would keep the tensors alive.
            self._step_down(max(axis.tile for axis in axes), failure)

    def _axes(self, height: int, width: int) -> tuple[Axis, Axis]:
        whole = Axis(height, height, 0), Axis(width, width, 0)
        if self.tile == 0:
            return whole
        if self.tile is not None:
            overlap = self._overlap(self.tile)
            return Axis(height, self.tile, overlap), Axis(width, self.tile, overlap)
        largest = self._largest_tile()
        if self._seen(height) * self._seen(width) <= self._seen(largest) ** 2:
            return whole
        overlap = self._overlap(largest)
        largest, multiple = max(largest, 2 * overlap), self.config.multiple
        return (
            even_axis(height, largest, overlap, multiple),
            even_axis(width, largest, overlap, multiple),
        )

    def _seen(self, length: int) -> int:
        """What the network sees of ``length`` pixels along an axis: margins and filling too."""
        multiple = self.config.multiple
        return -(-(length + 2 * self.config.margin) // multiple) * multiple

    def _overlap(self, tile: int) -> int:
        """The overlap asked for, or one that does not make small tiles compute all twice."""
        if self.overlap is not None:
            return self.overlap
        multiple = self.config.multiple
        wanted = max(min(OVERLAP, tile // 6) // multiple * multiple, multiple)
        return wanted if wanted <= tile // 2 else 0

    def _budget(self) -> int:
        free = free_memory(self.device)
        if self.device.type == "cuda":
            return int(free * GPU_SHARE)
        return min(CPU_BUDGET, free // 3)

    def _largest_tile(self) -> int:
        """Side of the largest square tile whose forward pass fits the budget."""
        side = int((self._budget() / pixel_bytes(self)) ** 0.5)
        multiple = 2 * self.config.multiple
        return max(min(side, LARGEST_TILE) // multiple * multiple, SMALLEST_TILE)

    def _batch(self, tile_pixels: int) -> int:
        """Tiles of one forward pass: as many as fit on a GPU, one on a CPU."""
        if self.device.type == "cpu":
            return 1
        fits = int(self._budget() / (pixel_bytes(self) * tile_pixels))
        return max(1, min(LARGEST_BATCH, fits))

    def _step_down(self, tile: int, failure: str) -> None:
        """Smaller tiles after running out of memory, then the CPU; each said once."""
        smaller = tile // 2 // self.config.multiple * self.config.multiple
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if smaller >= SMALLEST_TILE:
            self.tile = smaller
            self.overlap = None
            self.notify(f"out of memory on {self.device}: going on with tiles of {smaller} pixels")
        elif self.device.type != "cpu":
            self.notify(f"out of memory on {self.device}: going on with the CPU")
            self._networks.clear()
            self.device = torch.device("cpu")
            self.precision = resolve_precision("auto", self.device)
            self.tile = None
            torch.cuda.empty_cache()
        else:
            raise UserError(f"not enough memory, even for tiles of {tile} pixels ({failure[:120]})")

    @torch.inference_mode()
    def _restored(
        self,
        pixels: Pixels,
        vertical: Axis,
        horizontal: Axis,
        strength: float,
        progress: Callable[[float], None],
    ) -> tuple[Pixels, Report]:
        report = Report(
            tiles=len(vertical.starts) * len(horizontal.starts),
            tile=(min(vertical.tile, vertical.length), min(horizontal.tile, horizontal.length)),
            precision=self.precision,
            device=str(self.device),
        )
        course = _Course(
            pixels,
            vertical,
            horizontal,
            overview=self._overview(pixels, report),
            shake=self._shake(pixels, report),
        ).across_the_shorter()
        restored = np.empty(pixels.shape, pixels.dtype)
        result = restored.swapaxes(0, 1) if course.turned else restored
        judge = self.master.judge
        if judge is None:
            self._look(course, result, report, progress)
        else:
            self._look_and_judge(judge, course, result, report, progress)
        if strength < 1:
            self._mix(pixels, restored, strength)
        return restored, report

    def _look_and_judge(
        self,
        judge: nn.Module,
        course: _Course,
        result: Pixels,
        report: Report,
        progress: Callable[[float], None],
    ) -> None:
        """Looks without the judge while much is wrong, then with it (:mod:`baryir_cli.looks`)."""
        neutral = torch.zeros(1, FIELDS, SHADES, 1, 1, device=self.device)
        tone, change = self._judged(judge, course.upright)
        course, done = replace(course, tone=neutral), 0.0
        while (
            not looks.is_doubtful(change)
            and report.looks < looks.MOST
            and course.shake is None  # what is left of it takes one look
            and self._much_is_wrong(course.upright, neutral, report)
        ):
            # How many more there will be shows only afterwards.
            self._look(course, result, report, _part(progress, done, (done + 1) / 2))
            done = (done + 1) / 2
            course = replace(course, pixels=result)
        if report.looks and change >= looks.CERTAIN:
            tone, change = self._judged(judge, course.upright)
        if not report.looks or change >= looks.CERTAIN:
            course = replace(course, tone=neutral if looks.is_slight(change) else tone)
            self._look(course, result, report, _part(progress, done, 1))
        progress(1.0)

    def _much_is_wrong(self, pixels: Pixels, neutral: Tensor, report: Report) -> bool:
        """Whether the network has much to correct in an image's samples without the judge."""
        size = pixels.shape[:2]
        boxes = looks.samples(*size)
        tiles = [self._image(pixels[top:bottom, left:right]) for top, left, bottom, right in boxes]
        places = Places(boxes, size, neutral)
        return looks.is_much(self._correct(torch.stack(tiles), ((0, 0), (0, 0)), places, report))

    def _look(
        self, course: _Course, result: Pixels, report: Report, progress: Callable[[float], None]
    ) -> None:
        """Restores band by band; only one band of tiles is ever held in float32.

        Args:
            result: where to, turned as the image is; may be the image itself, since no band is read
                after it has been written.
        """
        along = course.along
        carried: Tensor | None = None
        starts = [*along.starts, along.length]
        for row, weight in enumerate(along.weights()):
            rows = along.span(row)
            band = self._band(course, rows, report)
            band *= self._on_device(weight)[None, :, None]
            if carried is not None:
                band[:, : carried.shape[1]] += carried
            final = starts[row + 1] - starts[row]
            for top in range(0, final, STRIP):
                strip = slice(top, min(top + STRIP, final))
                done = slice(rows.start + strip.start, rows.start + strip.stop)
                image = self._image(course.pixels[done]) + band[:, strip]
                result[done] = self._pixels(image, result.dtype)
            carried = band[:, final:].clone()
            progress((rows.start + final) / along.length)
        report.looks += 1

    def _mix(self, pixels: Pixels, restored: Pixels, strength: float) -> None:
        """Draws a restored image back to the one that it was made of."""
        for top in range(0, len(pixels), STRIP):
            rows = slice(top, top + STRIP)
            before, after = self._image(pixels[rows]), self._image(restored[rows])
            restored[rows] = self._pixels(torch.lerp(before, after, strength), pixels.dtype)

    def _band(self, course: _Course, rows: slice, report: Report) -> Tensor:
        """Blended corrections of one run of tiles, ``(3, rows, across)`` float32 on the device."""
        across = course.across
        height = rows.stop - rows.start
        band = torch.zeros(3, height, across.length, device=self.device)
        weights = across.weights()
        for batch in _alike(across, self._batch(height * across.tile)):
            spans = [across.span(i) for i in batch]
            corrections = self._alongside(course, rows, spans, report)
            for i, span, correction in zip(batch, spans, corrections, strict=True):
                if course.overview:
                    correction = course.overview.hold(correction[None], rows, span)[0]
                band[:, :, span] += correction * self._on_device(weights[i])
        return band

    def _alongside(
        self, course: _Course, rows: slice, spans: list[slice], report: Report
    ) -> Tensor:
        """Corrections of tiles that lie alongside and are alike, turned as the image is."""
        along, across = course.along, course.across
        tiles = torch.stack([self._image(course.pixels[rows, span]) for span in spans])
        seen = tiles
        if course.shake is not None:
            parts = [_steadied(course.pixels, course.shake, rows, span) for span in spans]
            seen = torch.stack([self._image(part) for part in parts])
        ends = self._margins(along, rows), self._margins(across, spans[0])
        boxes = tuple((rows.start, span.start, rows.stop, span.stop) for span in spans)
        size = along.length, across.length
        if course.turned:
            boxes = tuple((left, top, right, bottom) for top, left, bottom, right in boxes)
            ends, size = ends[::-1], size[::-1]
        places = None if course.tone is None else Places(boxes, size, course.tone)
        upright = seen.transpose(2, 3) if course.turned else seen
        corrections = self._correct(upright, ends, places, report)
        if course.turned:
            corrections = corrections.transpose(2, 3)
        return corrections if course.shake is None else corrections + (seen - tiles)

    def _judged(self, judge: nn.Module, pixels: Pixels) -> tuple[Tensor, float]:
        """An image's tone, ``(1, 6, D, h, w)`` float32, and how much it changes.

        Judged on the CPU and in float32 whatever the tiles are restored on: it is little and
        decides much.
        """
        picture = torch.from_numpy(picture_of(pixels, self.config.scene)).permute(2, 0, 1)[None]
        picture = picture / _full_scale(pixels.dtype)
        tone = considered(judge, picture)
        return tone.to(self.device), looks.change_by(tone, picture)

    def _shake(self, pixels: Pixels, report: Report) -> Image | None:
        """The kernel of the image's shake, for a network that is spared it."""
        if not self.config.deconvolve:
            return None
        shake = find_shake(pixels)
        report.shake = 0.0 if shake is None else radius(shake)
        return shake

    def _overview(self, pixels: Pixels, report: Report) -> Overview | None:
        """What the network makes of the whole image, made as small as a tile; None for one tile."""
        if not self.with_overview or report.tiles == 1:
            return None
        small = self._image(shrunk(pixels, self.tile or self._largest_tile()))[None]
        ends = self.config.margin, self.config.margin
        correction = self._correct(small, (ends, ends), None, report)[0]
        return Overview(correction.cpu(), pixels.shape[:2])

    def _margins(self, axis: Axis, span: slice) -> Ends:
        """Pixels to be mirrored at a tile's ends: where the image ends as well."""
        margin = self.config.margin
        return margin * (span.start == 0), margin * (span.stop == axis.length)

    def _correct(
        self, tiles: Tensor, margins: tuple[Ends, Ends], places: Places | None, report: Report
    ) -> Tensor:
        """The network's corrections of ``(N, 3, H, W)`` float32 tiles, float32, finite.

        Args:
            margins: pixels to be mirrored at the tiles' vertical and horizontal ends.
            places: for a network with a judge.
        """
        correction = self._forward(tiles, margins, places, self.precision)
        broken = ~torch.isfinite(correction).flatten(1).all(1)
        if bool(broken.any()):
            if self.precision != "fp32":
                again = places and places.chosen(broken)
                correction[broken] = self._forward(tiles[broken], margins, again, "fp32")
                report.redone += int(broken.sum())
            if not bool(torch.isfinite(correction).all()):
                raise NotFiniteError("the network's answer is not finite; nothing was written")
        return correction

    def _forward(
        self, tiles: Tensor, margins: tuple[Ends, Ends], places: Places | None, precision: str
    ) -> Tensor:
        height, width = tiles.shape[-2:]
        (top, bottom), (left, right) = margins
        multiple = self.config.multiple
        bottom += -(top + height + bottom) % multiple
        right += -(left + width + right) % multiple
        # Mirroring needs more pixels than it adds.
        mirrored = max(top, bottom) < height and max(left, right) < width
        sides = (left, right, top, bottom)
        padded = F.pad(tiles, sides, mode="reflect" if mirrored else "replicate")
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
            network = self.master
            if self.device.type != "cpu" or precision != "fp32":
                network = copy.deepcopy(network).to(self.device, DTYPES[precision])
            self._networks[precision] = channels_last(network)
        return self._networks[precision]

    def _image(self, pixels: Pixels) -> Tensor:
        """``(H, W, 3)`` of any kind as ``(3, H, W)`` float32 in [0, 1] on the device."""
        if pixels.dtype == np.uint8:
            image = self._on_device(pixels).permute(2, 0, 1).float()
        else:
            image = self._on_device(pixels.astype(np.float32)).permute(2, 0, 1)
        return image / _full_scale(pixels.dtype)

    def _pixels(self, image: Tensor, kind: np.dtype) -> Pixels:
        """``(3, H, W)`` float32, clipped, as ``(H, W, 3)`` of an image's kind."""
        scale = _full_scale(kind)
        image = image.clamp(0, 1).permute(1, 2, 0)
        if scale != 1:
            image = image.mul_(scale).round_()
        if kind == np.uint8:
            return image.to(torch.uint8).cpu().numpy()
        return image.cpu().numpy().astype(kind)

    def _on_device(self, array: NDArray) -> Tensor:
        # A read-only array, as Pillow gives, would make torch warn.
        return torch.from_numpy(np.require(array, requirements=("C", "W"))).to(self.device)


def _steadied(pixels: Pixels, shake: Image, rows: slice, span: slice) -> Image:
    """A part of an image without its shake, which the parts around it tell too."""
    reach = 4 * len(shake)
    top, left = max(rows.start - reach, 0), max(span.start - reach, 0)
    around = pixels[top : rows.stop + reach, left : span.stop + reach]
    inner = slice(rows.start - top, rows.stop - top), slice(span.start - left, span.stop - left)
    return deconvolved(floating(around), shake)[inner]


def pixel_bytes(engine: Engine) -> int:
    """Estimated peak memory of a forward pass for every pixel of the input, in bytes.

    Proportional to the channels of the widest block, its hidden ones counted nine times: that is
    what ``scripts/measure_memory.py --tile 0`` showed of transformer blocks (``official`` 8 to 15
    kB). A residual block counts as if it hid twice its channels, which is more than it needs
    (``small``: 0.65 kB in bf16, measured 0.39) and leaves room for the bands of wide images.
    """
    config = engine.config
    finest = config.width * (2 if config.conditioning == "official" else 1)
    expansion = config.expansion if config.block == "transformer" else 2.0
    channels = finest * (9 * expansion + 8) / config.unshuffle**2
    return int(channels * DTYPES[engine.precision].itemsize) + 24


def _part(progress: Callable[[float], None], first: float, last: float) -> Callable[[float], None]:
    """The progress of what makes only a part of it all."""
    return lambda share: progress(first + (last - first) * share)


def _full_scale(dtype: np.dtype) -> float:
    return 1.0 if dtype.kind == "f" else float(np.iinfo(dtype).max)


def _alike(axis: Axis, limit: int) -> Iterator[list[int]]:
    """Tile numbers in runs of at most ``limit``: equally wide, at the same ends of the image."""
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


def out_of_memory(error: BaseException) -> bool:
    """Whether an error is the device's or the machine's lack of memory, however PyTorch puts it."""
    text = str(error).lower()
    return (
        isinstance(error, (torch.OutOfMemoryError, MemoryError))
        or "out of memory" in text
        or "can't allocate memory" in text
        or "could not create a primitive" in text  # oneDNN
        or "could not create a memory" in text
        or "bad_alloc" in text
        or "status_alloc_failed" in text  # cuBLAS, cuDNN
    )
