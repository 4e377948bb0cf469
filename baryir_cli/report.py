"""How an image was restored, for ``--json`` and reports; without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(kw_only=True)
class Report:
    """How an image was restored; the defaults mean that it was not."""

    tiles: int = 0
    tile: tuple[int, int] = (0, 0)
    """Height and width of a tile."""
    precision: str = ""
    device: str = ""
    redone_in_fp32: int = 0
    """Tiles that overflowed in half precision and were done again in float32."""
    shake: float = 0.0
    """Radius in pixels of the camera shake that was removed first."""
    looks: int = 0
    """How often the network went over the image (:mod:`baryir_cli.engine.looks`)."""
    change: float = 0.0
    """RMS of the result less the input, in steps of 8 bits."""

    def to_dict(self) -> dict[str, Any]:
        """The entries for a line of ``--json``."""
        rounded = {"shake": round(self.shake, 2), "change": round(self.change, 2)}
        return {**vars(self), "tile": list(self.tile), **rounded}
