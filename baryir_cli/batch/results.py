"""What became of an image."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from baryir_cli.errors import UserError
from baryir_cli.files.atomic import DiskFullError
from baryir_cli.files.jobs import Job
from baryir_cli.images import TooLargeError


@dataclass
class Result:
    """What became of one image."""

    job: Job
    status: Literal["done", "skipped", "failed"]
    width: int = 0
    height: int = 0
    """Of the upright image, or the first page; 0 until it is read."""
    seconds: float = 0.0
    """Of the work alone, 0 until it is done; decoding and encoding run beside it."""
    pages: int = 0
    pixels: int = 0
    """Of all pages."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What the work reports."""
    lost: list[str] = field(default_factory=list)
    """What could not be kept, one line each."""
    error: str = ""
    details: str = ""
    """The traceback of an unforeseen failure."""
    disk_full: bool = False
    """Whether this is why it failed."""
    too_large: bool = False
    """Whether it failed because it has more pixels than ``max_megapixels`` allows."""

    def to_dict(self, otherwise: Mapping[str, Any]) -> dict[str, Any]:
        """One line of ``--json``.

        Args:
            otherwise: facts for an image that was not worked on.
        """
        comparison = self.job.comparison if self.status == "done" else None
        return {
            "status": self.status,
            "input": str(self.job.source),
            "output": str(self.job.target),
            "comparison": str(comparison) if comparison else None,
            "error": self.error or None,
            "width": self.width or None,
            "height": self.height or None,
            "pages": self.pages or None,
            "seconds": round(self.seconds, 4) if self.seconds else None,
            "lost": self.lost,
            **otherwise,
            **self.facts,
        }

    def fail(self, error: Exception) -> None:
        """Notes why it failed."""
        self.status = "failed"
        self.disk_full = isinstance(error, DiskFullError)
        self.too_large = isinstance(error, TooLargeError)
        if isinstance(error, UserError):
            self.error = str(error)
        elif isinstance(error, OSError):
            self.error = error.strerror or str(error)
        else:
            self.error = f"{type(error).__name__}: {error}".splitlines()[0]
            self.details = "".join(traceback.format_exception(error))
