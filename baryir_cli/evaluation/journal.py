"""A run's folder: restored images and their scores, from which a stopped run goes on.

``run.json`` holds what makes two runs the same: the hash of the weights, the version of this
program, precision, tile and overlap as asked for, and an ``--input``'s folder. ``scores.jsonl`` has
a line for every image that is done, ``SET/NAME.png`` the image. A line counts only if the pixels
that went in (noise included) and the saved pixels have the checksums it names; images of another
set or bench may come to the same folder.
"""

from __future__ import annotations

import json
import threading
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from baryir_cli.atomic import write_atomically
from baryir_cli.benches.degrade import Pixels
from baryir_cli.errors import UsageError, UserError
from baryir_cli.evaluation.results import MALFORMED, ImageScores
from baryir_cli.images import ImageError, Photo, encode_photo, read_photo


class Journal:
    """Images that are done, in a folder.

    Args:
        identity: JSON values that a run shares with the one it continues.

    Raises:
        UsageError: the folder holds a run of another identity, or other things.
        UserError: it cannot be made.
    """

    def __init__(self, folder: Path, identity: dict[str, Any]) -> None:
        self.folder = folder
        self._lines = folder / "scores.jsonl"
        self._lock = threading.Lock()
        self._check(identity)
        self._known = self._read()

    def recall(
        self, group: str, name: str, sums: dict[str, int]
    ) -> tuple[ImageScores, Pixels] | None:
        """Scores and restored pixels of an image whose inputs have these checksums."""
        scores = self._known.get((group, name))
        if scores is None or any(scores.crc32.get(kind) != sums[kind] for kind in sums):
            return None
        try:
            restored = read_photo(image_path(self.folder, group, name)).pixels
        except ImageError:
            return None
        return (scores, restored) if checksum(restored) == scores.crc32.get("restored") else None

    def save_image(self, group: str, name: str, restored: Pixels) -> None:
        """Writes a restored image (:func:`write_image`)."""
        write_image(image_path(self.folder, group, name), restored)

    def save_scores(self, group: str, scores: ImageScores) -> None:
        """Notes that an image is done; after its pixels are saved."""
        line = json.dumps({"set": group, **scores.to_dict()}) + "\n"
        with self._lock, self._lines.open("a", encoding="utf-8") as file:
            file.write(line)

    def _check(self, identity: dict[str, Any]) -> None:
        path = self.folder / "run.json"
        if not path.exists():
            if self.folder.is_dir() and any(self.folder.iterdir()):
                raise UsageError(f"--save {self.folder}: not empty, and no run of this program")
            try:
                write_atomically(path, (json.dumps(identity, indent=1) + "\n").encode())
            except UserError as error:
                raise UserError(f"--save {self.folder}: {error}") from None
            return
        try:
            stored = json.loads(path.read_text("utf-8"))
            different = {k for k in {*identity, *stored} if identity.get(k) != stored.get(k)}
        except (OSError, ValueError, TypeError, AttributeError):
            raise UsageError(f"--save {self.folder}: run.json is damaged") from None
        if different:
            key = min(different)
            there, asked = (run.get(key, "of a bench") for run in (stored, identity))
            raise UsageError(
                f"--save {self.folder}: holds a run with {key} {there}, not {asked};"
                " take another folder"
            )

    def _read(self) -> dict[tuple[str, str], ImageScores]:
        known = {}
        try:
            lines = self._lines.read_bytes().split(b"\n")
        except FileNotFoundError:
            return {}
        for line in lines:
            try:
                entry = json.loads(line)
                group = entry.pop("set")
                scores = ImageScores.from_dict(entry)
                known[group, scores.name] = scores
            except MALFORMED:
                continue  # cut short when the run was killed, or damaged since
        if lines[-1]:
            # What follows must not be glued to the torn line.
            with self._lines.open("a", encoding="utf-8") as file:
                file.write("\n")
        return known


def image_path(folder: Path, group: str, name: str) -> Path:
    """Where an image of a set is in a folder of several."""
    # Not with_suffix: names of hazy photographs have dots.
    return folder / group / f"{name}.png"


def write_image(path: Path, pixels: Pixels) -> None:
    """Writes a PNG, whole or not at all.

    Raises:
        OSError: it cannot be; a full disk is no fault of the image and ends the run.
    """
    data = encode_photo(Photo(pixels, None, "png", "rgb"))
    try:
        write_atomically(path, data)
    except UserError as error:
        raise OSError(None, str(error), str(path)) from None


def checksum(pixels: Pixels) -> int:
    """``zlib.crc32`` of the pixels' bytes."""
    return zlib.crc32(np.ascontiguousarray(pixels).data)
