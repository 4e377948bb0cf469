"""What a network sees of an image: neither its frame nor its ground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from baryir_cli.engine.frame import Inside, inside
from baryir_cli.engine.outline import Mask, ground
from baryir_cli.engine.pixels import Pixels
from baryir_cli.hidden import continued


@dataclass(frozen=True)
class Sight:
    """A part of an image, ``pixels``, in which photographs are continued where there is ground."""

    box: Inside
    ground: Mask | None
    """Within the box; None if there is none."""
    pixels: Pixels
    is_all: bool
    """Whether this is the whole image, unchanged."""

    @classmethod
    def of(cls, pixels: Pixels) -> Sight:
        """The sight of an image ``(H, W, 3)``."""
        box = inside(pixels)
        around = ground(pixels[box])
        if around is None:
            return cls(box, None, pixels[box], pixels[box].shape == pixels.shape)
        box, around = _around_the_photographs(box, around)
        return cls(box, around, continued(pixels[box], around), False)

    def put_into(self, pixels: Pixels, restored: Pixels) -> Pixels:
        """A copy of the image with a restored sight in place of what was seen."""
        whole = pixels.copy()
        if self.ground is not None:
            restored = np.where(self.ground[..., None], pixels[self.box], restored)
        whole[self.box] = restored
        return whole


def _around_the_photographs(box: Inside, around: Mask) -> tuple[Inside, Mask]:
    """The least box within another that has all photographs, and their ground in it."""
    (rows,), (columns,) = ((~around).any(axis).nonzero() for axis in (1, 0))
    part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    top, left = box[0].start, box[1].start
    smaller = (
        slice(top + part[0].start, top + part[0].stop),
        slice(left + part[1].start, left + part[1].stop),
    )
    return smaller, around[part]
