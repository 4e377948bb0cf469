"""How an image was restored, for ``--json`` and reports; without torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any


@dataclass(kw_only=True)
class Report:
    """How an image was restored; without ``tiles``, it was not."""

    photographs: int = 1
    """How many were found in it, none in a picture of one or two colours; each is restored by
    itself."""
    tiles: int = 0
    tile: tuple[int, int] = (0, 0)
    """Height and width of a tile."""
    precision: str = ""
    device: str = ""
    redone_in_fp32: int = 0
    """Tiles that overflowed in half precision and were done again in float32."""
    shake: float = 0.0
    """Radius in pixels of the camera shake that was removed first."""
    passes: int = 0
    """How often the network went over the image (:mod:`baryir_cli.engine.passes`)."""
    toned: bool = False
    """Whether a scene judge has found haze or darkness, which was removed."""
    change: float = 0.0
    """RMS of the result less the input, in steps of 8 bits."""

    @classmethod
    def of_parts(cls, reports: Sequence[Report]) -> Report:
        """The report of an image whose photographs were restored one by one, but its change."""
        return cls(**over_parts([vars(report) for report in reports]))

    def to_dict(self) -> dict[str, Any]:
        """The entries for a line of ``--json``."""
        rounded = {"shake": round(self.shake, 2), "change": round(self.change, 2)}
        return {**vars(self), "tile": list(self.tile), **rounded}


_OVER_PARTS: dict[str, Callable[..., Any]] = {
    "photographs": sum,
    "tiles": sum,
    "tile": partial(max, key=math.prod),
    "redone_in_fp32": sum,
    "shake": max,
    "passes": max,
    "toned": any,
}


def over_parts(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The entries of an image or file from those of its parts.

    Photographs and tiles are added up, ``toned`` is true of one part or more, and of the others the
    largest or last counts.
    """
    joined = dict(parts[-1])
    for name in joined.keys() & _OVER_PARTS.keys():
        joined[name] = _OVER_PARTS[name](entries[name] for entries in parts)
    return joined
