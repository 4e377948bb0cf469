"""Restores an image where it can be seen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from baryir_cli.engine.continuation import continued
from baryir_cli.engine.engine import Engine
from baryir_cli.engine.pixels import Pixels, change_of
from baryir_cli.report import Report


def restore_visible(
    engine: Engine,
    pixels: Pixels,
    alpha: Pixels | None,
    strength: float,
    progress: Callable[[float], None] = lambda _share: None,
) -> tuple[Pixels, Report]:
    """Restores an image; what transparency hides stays as it is.

    Args:
        pixels: ``(H, W, 3)`` as for :meth:`Engine.restore`.
        alpha: ``(H, W)`` of any type.
    """
    hidden = hidden_in(alpha)
    if hidden is None:
        return engine.restore(pixels, strength=strength, progress=progress)
    result, report = engine.restore(continued(pixels, hidden), strength=strength, progress=progress)
    result[hidden] = pixels[hidden]
    report.change = change_of(result, pixels)
    return result, report


def hidden_in(alpha: Pixels | None) -> NDArray[np.bool_] | None:
    """Where ``(H, W)`` alpha is 0; None if that is nowhere or everywhere."""
    if alpha is None:
        return None
    hidden: NDArray[np.bool_] = alpha == 0
    return hidden if hidden.any() and not hidden.all() else None
