"""The work of ``baryir restore`` on one photograph, and that of ``Restorer.restore_file``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from baryir_cli.engine import Engine
from baryir_cli.images import Photo
from baryir_cli.jobs import Job
from baryir_cli.picture import Work


def restoring(engine: Engine, strength: float, facts: Mapping[str, Any]) -> Work:
    """Restores a photograph.

    Args:
        facts: further entries for the photograph's line of ``--json``.
    """

    def work(
        _job: Job, photo: Photo, progress: Callable[[float], None]
    ) -> tuple[np.ndarray, dict[str, Any]]:
        pixels, report = engine.restore(photo.pixels, strength=strength, progress=progress)
        return pixels, {**report.to_dict(), **facts}

    return work
