"""Writes the degraded images of a bench as files for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from baryir_cli.benches import FoundSet, Item
from baryir_cli.errors import UsageError, UserError
from baryir_cli.evaluation.journal import image_path, write_image
from baryir_cli.evaluation.load import load
from baryir_cli.evaluation.progress import EvaluationDisplay
from baryir_cli.shell.console import messages, printable


def export(sets: Sequence[FoundSet], folder: Path) -> tuple[int, int]:
    """Writes the degraded images of sets to ``folder/SET/NAME.png``, 8-bit RGB.

    Returns:
        How many were written and how many could not be read. Each unreadable one is named.

    Raises:
        UsageError: the folder of a set exists already.
        OSError: a file cannot be written.
    """
    for found in sets:
        if (folder / found.id).exists():
            raise UsageError(f"--export: {folder / found.id} exists already; choose another folder")
    failed = 0
    with EvaluationDisplay(messages(), list(sets)) as display:
        for found in sets:
            display.begin(found)
            for item in found.items:
                problem = _export(found, item, folder)
                failed += bool(problem)
                display.add(problem)
    written = sum(len(found.items) for found in sets) - failed
    messages().print(f"wrote {written} images to {printable(folder)}", markup=False)
    return written, failed


def _export(found: FoundSet, item: Item, folder: Path) -> str:
    """Writes one image. Returns why it could not be read, else an empty text."""
    try:
        degraded = load(item, found.degradation).degraded
    except UserError as error:
        return str(error)
    assert degraded is not None  # noqa: S101 (sets of a bench always have one)
    write_image(image_path(folder, found.id, item.name), degraded)
    return ""
