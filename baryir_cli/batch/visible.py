"""The work of ``baryir restore`` on one photograph, also for the Python interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baryir_cli.batch.picture import Work
from baryir_cli.engine import Engine
from baryir_cli.engine.continuation import continued
from baryir_cli.engine.pixels import Pixels, change_of
from baryir_cli.files.jobs import Job
from baryir_cli.images import Photo
from baryir_cli.report import Report


def restoring(engine: Engine, strength: float, facts: Mapping[str, Any]) -> Work:
    """Restores a photograph.

    Args:
        facts: further entries for the photograph's line of ``--json``.
    """

    def work(
        _job: Job, photo: Photo, progress: Callable[[float], None]
    ) -> tuple[np.ndarray, dict[str, Any]]:
        pixels, report = restore_visible(engine, photo.pixels, photo.alpha, strength, progress)
        return pixels, {**report.to_dict(), **facts}

    return work


def restore_visible(
    engine: Engine,
    pixels: Pixels,
    alpha: Pixels | None,
    strength: float,
    progress: Callable[[float], None] = lambda _share: None,
) -> tuple[Pixels, Report]:
    """An image restored where it can be seen; what transparency hides stays as it is.

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
