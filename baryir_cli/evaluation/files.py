"""Report files: checked before the run, written after it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from baryir_cli.errors import UsageError, UserError
from baryir_cli.evaluation.sheet import Sheet, markdown
from baryir_cli.evaluation.terminal import show
from baryir_cli.files.atomic import is_protected, make_folder, write_atomically
from baryir_cli.files.jobs import STANDARD
from baryir_cli.shell import stdout
from baryir_cli.shell.console import messages, printable

KINDS = ("json", "csv", "markdown", "html")


@dataclass(frozen=True)
class ReportFiles:
    """Where each kind of report goes: a file, ``-`` for standard output, or None for nowhere.

    Attributes:
        overwrite: whether existing files may be replaced.
    """

    json: Path | None = None
    csv: Path | None = None
    markdown: Path | None = None
    html: Path | None = None
    overwrite: bool = False

    @property
    def asked(self) -> dict[str, Path]:
        """The requested reports, by kind."""
        return {kind: path for kind in KINDS if (path := getattr(self, kind)) is not None}

    def check(self, *kinds: str, inputs: Iterable[Path] = ()) -> None:
        """Refuses reports that cannot be written, before anything is computed.

        Creates missing folders.

        Args:
            kinds: the kinds that this command offers.
            inputs: files that the command reads.

        Raises:
            UsageError: a requested kind is not offered, two reports share a file, a report would
                replace an input or an existing file, or ``overwrite`` has no report to apply to.
            UserError: a file cannot be written.
        """
        if self.overwrite and not self.asked:
            raise UsageError(f"--overwrite needs a report: --{', --'.join(kinds or KINDS)}")
        taken: dict[str, str] = {}
        read = {os.path.realpath(path) for path in inputs}
        for kind, path in self.asked.items():
            if kind not in kinds:
                offered = f"; use --{', --'.join(kinds)}" if kinds else ""
                raise UsageError(f"--{kind} does not apply here{offered}")
            other = taken.setdefault(os.path.realpath(path), kind)
            if other != kind:
                raise UsageError(f"--{other} and --{kind} name the same file, {path}")
            if path == STANDARD:
                if sys.stdout is None:
                    raise UsageError(f"--{kind} -: standard output is closed")
                continue
            if os.path.realpath(path) in read:
                raise UsageError(f"--{kind} {path} is an input and would be overwritten")
            if path.is_file() and not self.overwrite:
                raise UsageError(f"--{kind} {path} exists already; --overwrite replaces it")
            _check_place(f"--{kind} {path}", path)

    def answer(self, sheet: Sheet, **contents: Callable[[], str]) -> None:
        """Shows a sheet and writes the requested reports.

        A report on standard output replaces the sheet there.

        Args:
            contents: functions that make the reports, by kind. Markdown comes from the sheet.
        """
        if STANDARD not in self.asked.values():
            show(sheet)
        contents["markdown"] = lambda: markdown(sheet)
        for kind, path in self.asked.items():
            # File names need not be Unicode.
            data = contents[kind]().encode(errors="backslashreplace")
            if path == STANDARD:
                stdout.write_bytes(data)
            else:
                _write(f"--{kind} {path}", path, data)


def _check_place(said: str, path: Path) -> None:
    # Devices and pipes are written to, other files are replaced.
    if path.exists() and not path.is_file():
        if path.is_dir() or not os.access(path, os.W_OK):
            raise UserError(f"{said}: cannot be written")
        return
    try:
        make_folder(path.parent)
    except UserError as error:
        raise UserError(f"{said}: {error}") from None
    if is_protected(path):
        raise UserError(f"{said}: is write-protected; make it writable, or choose another file")


def _write(said: str, path: Path, data: bytes) -> None:
    try:
        write_atomically(path, data)
    except UserError as error:
        raise UserError(f"{said}: {error}") from None
    messages().print(f"wrote {printable(path)}", markup=False)
