"""The report files that a user asks for."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

from baryir_cli.errors import UsageError, UserError


@dataclass(frozen=True)
class ReportFiles:
    """Where each kind of report goes; None for those not asked for."""

    json: Path | None = None
    csv: Path | None = None
    markdown: Path | None = None
    html: Path | None = None

    def check(self, *kinds: str) -> None:
        """Makes their folders, before anything is computed.

        Args:
            kinds: that there are of this report.

        Raises:
            UsageError: a kind that is asked for is none of these.
            UserError: a file cannot be written there.
        """
        for field in fields(self):
            path = getattr(self, field.name)
            if path is None:
                continue
            if field.name not in kinds:
                raise UsageError(f"--{field.name} is not for this; there are {', '.join(kinds)}")
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir() or not os.access(path.parent, os.W_OK):
                raise UserError(f"--{field.name} {path}: cannot be written")

    def write(self, **contents: Callable[[], str]) -> None:
        """Writes those asked for, each made only if it is, and says so."""
        from baryir_cli.console import messages, shown
        from baryir_cli.images import write_atomically

        for kind, content in contents.items():
            path = getattr(self, kind)
            if path is not None:
                write_atomically(path, content().encode())
                messages().print(f"wrote {shown(path)}", markup=False)
