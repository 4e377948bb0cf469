"""The folders to train on, for a run that is given none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from baryir_cli.errors import UsageError
from models.wording import no_such
from train.data_folders import DataFolders
from train.run import GIVE_AGAIN, Run, RunError

USUAL = Path("data/Train")
"""The reference's folder."""


def folders_of(resumed: Path | None, sources: Sequence[str]) -> DataFolders:
    """The folders of the run to resume, else ``data/Train``.

    Args:
        resumed: the run to resume, if any.
        sources: names of the sources to train on.

    Raises:
        UsageError: there are none, or some are gone.
    """
    if resumed and (known := _remembered(resumed)):
        return known
    if USUAL.is_dir():
        return DataFolders(data=USUAL)
    if list(sources) == ["single"]:  # a later error names what is missing
        return DataFolders()
    if resumed:
        raise UsageError(
            f"{resumed} does not say which folders it trained on, and there is no {USUAL} here;"
            f" {GIVE_AGAIN}"
        )
    raise UsageError(
        f"nothing to train on: there is no {USUAL} here; give --data FOLDER, laid out like it,"
        " or --clean FOLDER of photographs and --sources derain dehaze denoise"
    )


def _remembered(resumed: Path) -> DataFolders | None:
    """The folders of the run to resume; None if it names none."""
    run = Run(resumed)
    try:
        run.to_resume()
        known = run.folders()
    except RunError as error:
        raise UsageError(str(error)) from None
    for folder in known.all if known else []:
        if not folder.is_dir():
            raise UsageError(f"the run trained on {no_such(folder, 'folder', GIVE_AGAIN)}")
    return known
