"""How an image was restored, for ``--json`` and reports; without torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from baryir_cli.batch.results import Result


@dataclass(kw_only=True)
class Report:
    """How an image was restored; without ``tiles``, it was not."""

    photographs: int = 1
    """How many were found in it; each is restored by itself."""
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
        return cls(**_joined([vars(report) for report in reports]))

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


def over_pages(pages: Sequence[tuple[Mapping[str, Any], int]]) -> dict[str, Any]:
    """The entries of ``--json`` for a file, from those of its pages with their pixels.

    Photographs and tiles are added up, ``change`` is over all pixels, ``toned`` is true of one page
    or more, and of the others the largest or last counts.
    """
    joined = _joined([of_page for of_page, _ in pages])
    if "change" in joined:
        squares = sum(entries["change"] ** 2 * pixels for entries, pixels in pages)
        joined["change"] = round((squares / sum(pixels for _, pixels in pages)) ** 0.5, 2)
    return joined


def _joined(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    joined = dict(parts[-1])
    for name in joined.keys() & _OVER_PARTS.keys():
        joined[name] = _OVER_PARTS[name](entries[name] for entries in parts)
    return joined


@dataclass(kw_only=True)
class FileReport(Report):
    """How a file was restored."""

    width: int
    height: int
    """Of the upright image, or the first page."""
    pages: int
    seconds: float
    """Of the restoration, without reading and writing."""
    lost: list[str]
    """What could not be kept, one line each."""

    @classmethod
    def of(cls, result: Result) -> FileReport:
        """The report of a file that was restored."""
        return cls(
            **{**result.facts, "tile": tuple(result.facts["tile"])},
            width=result.width,
            height=result.height,
            pages=result.pages,
            seconds=result.seconds,
            lost=result.lost,
        )
