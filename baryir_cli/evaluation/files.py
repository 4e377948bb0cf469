"""The report files that a user asks for."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from baryir_cli.atomic import is_protected, make_folder, write_atomically
from baryir_cli.console import messages, printable
from baryir_cli.errors import UsageError, UserError
from baryir_cli.evaluation.sheet import Sheet, markdown
from baryir_cli.evaluation.terminal import show
from baryir_cli.pipeline import to_standard_output
from baryir_cli.plan import STANDARD

KINDS = ("json", "csv", "markdown", "html")


@dataclass(frozen=True)
class ReportFiles:
    """Where each kind of report goes, ``-`` being standard output; None for those not asked for.

    Attributes:
        overwrite: files that are there may be replaced.
    """

    json: Path | None = None
    csv: Path | None = None
    markdown: Path | None = None
    html: Path | None = None
    overwrite: bool = False

    @property
    def asked(self) -> dict[str, Path]:
        """Those asked for, by their kind."""
        return {kind: path for kind in KINDS if (path := getattr(self, kind)) is not None}

    def check(self, *kinds: str, inputs: Iterable[Path] = ()) -> None:
        """Refuses what cannot be written, before anything is computed; makes missing folders.

        Args:
            kinds: that there are of this report.
            inputs: files that the command reads.

        Raises:
            UsageError: a kind that is asked for is none of these, two go to one file, or one to an
                input or to a file that is there; or nothing is asked for that could overwrite.
            UserError: a file cannot be written there.
        """
        if self.overwrite and not self.asked:
            raise UsageError(f"--overwrite replaces reports: --{', --'.join(kinds or KINDS)}")
        taken: dict[str, str] = {}
        read = {os.path.realpath(path) for path in inputs}
        for kind, path in self.asked.items():
            if kind not in kinds:
                there = f"; there are {', '.join(kinds)}" if kinds else ""
                raise UsageError(f"--{kind} is not for this{there}")
            other = taken.setdefault(os.path.realpath(path), kind)
            if other != kind:
                raise UsageError(f"--{other} and --{kind} name one file, {path}")
            if path == STANDARD:
                if sys.stdout is None:
                    raise UsageError(f"--{kind} -: standard output is closed")
                continue
            if os.path.realpath(path) in read:
                raise UsageError(f"--{kind} {path} is an input and would be overwritten")
            if path.is_file() and not self.overwrite:
                raise UsageError(f"--{kind} {path} is there already; say --overwrite to replace it")
            _check_place(f"--{kind} {path}", path)

    def answer(self, sheet: Sheet, **contents: Callable[[], str]) -> None:
        """Shows a sheet and writes the reports asked for, each made only if it is.

        One that goes to standard output takes the sheet's place there.

        Args:
            contents: of the reports, by their kind; Markdown is the sheet's.
        """
        if STANDARD not in self.asked.values():
            show(sheet)
        contents["markdown"] = lambda: markdown(sheet)
        for kind, path in self.asked.items():
            # Names of files need not be Unicode.
            data = contents[kind]().encode(errors="backslashreplace")
            if path == STANDARD:
                to_standard_output(data)
            else:
                _write(f"--{kind} {path}", path, data)


def _check_place(said: str, path: Path) -> None:
    # A device or a pipe is written into, other files are replaced.
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
