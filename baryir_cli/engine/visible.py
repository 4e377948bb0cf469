"""Restores an image where it can be seen, if it may be a photograph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from baryir_cli.engine.continuation import continued
from baryir_cli.engine.engine import Engine
from baryir_cli.engine.pixels import Pixels, change_of, has_two_colours_at_most
from baryir_cli.report import Report


def restore_visible(
    engine: Engine,
    pixels: Pixels,
    alpha: Pixels | None,
    strength: float = 1.0,
    progress: Callable[[float], None] = lambda _share: None,
) -> tuple[Pixels, Report]:
    """Restores an image; what transparency hides stays as it is.

    So does an image of one or two colours, which is no photograph.

    Args:
        pixels: ``(H, W, 3)`` as for :meth:`Engine.restore`.
        alpha: ``(H, W)`` of any type.
    """
    if has_two_colours_at_most(pixels):
        progress(1.0)
        return pixels.copy(), Report(photographs=0)
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
