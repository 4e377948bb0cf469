"""The work of ``baryir restore`` on one photograph, also for the Python interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from baryir_cli.batch.picture import Work
from baryir_cli.engine import Engine
from baryir_cli.engine.visible import restore_visible
from baryir_cli.files.jobs import Job
from baryir_cli.images import Photo


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
