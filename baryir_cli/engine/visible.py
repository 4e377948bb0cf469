"""Restores an image where it can be seen, if it may be a photograph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from baryir_cli.engine.continuation import continued
from baryir_cli.engine.device import lack_of_memory_as_user_error
from baryir_cli.engine.engine import Engine
from baryir_cli.engine.pixels import Mask, Pixels, change_of, has_two_colours_at_most
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
    with lack_of_memory_as_user_error():
        seen = _seen(pixels, alpha)
        result, report = engine.restore(seen, strength=strength, progress=progress)
        if alpha is not None and seen is not pixels:
            np.copyto(result, pixels, where=(alpha == 0)[..., None])
            report.change = change_of(result, pixels)
    return result, report


def _seen(pixels: Pixels, alpha: Pixels | None) -> Pixels:
    """What the network sees of an image; the same array if nothing of it is hidden."""
    hidden = hidden_in(alpha)
    return pixels if hidden is None else continued(pixels, hidden)


def hidden_in(alpha: Pixels | None) -> Mask | None:
    """Where ``(H, W)`` alpha is 0; None if that is nowhere or everywhere."""
    if alpha is None:
        return None
    hidden: Mask = alpha == 0
    return hidden if hidden.any() and not hidden.all() else None
