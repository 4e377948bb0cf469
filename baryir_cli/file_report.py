"""What :meth:`baryir_cli.Restorer.restore_file` tells of a file."""

from __future__ import annotations

from dataclasses import dataclass

from baryir_cli.batch.results import Result
from baryir_cli.report import Report


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
