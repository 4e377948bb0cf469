"""The folder of ``--save``: restored images and scores, from which a stopped run continues.

``run.json`` identifies the run: hash of the weights, version of this program, precision in use,
requested tile and overlap, what is kept, and the folder of ``--input``. ``scores.jsonl`` has one
line per finished image, ``SET/NAME.png`` is the image. A line counts only if its checksums match
the input pixels (noise included) and the saved pixels. Sets of other benches may share the folder.
"""

from __future__ import annotations

import json
import threading
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from baryir_cli.errors import UsageError, UserError
from baryir_cli.evaluation.results import MALFORMED, ImageScores
from baryir_cli.files.atomic import make_folder, write_atomically
from baryir_cli.images import ImageError, Photo, encode_photo, read_photo
from models.jsontext import parsed
from models.light import Pixels


class Journal:
    """The finished images of a folder.

    Args:
        identity: JSON values that must equal those of the run to continue.

    Raises:
        UsageError: the folder holds another run, or something else.
        UserError: the folder cannot be created.
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
        """Returns scores and restored pixels of an image if its inputs have these checksums."""
        scores = self._known.get((group, name))
        if scores is None or any(scores.crc32.get(kind) != sums[kind] for kind in sums):
            return None
        try:
            restored = read_photo(image_path(self.folder, group, name)).pixels
        except ImageError:
            return None
        return (scores, restored) if checksum(restored) == scores.crc32.get("restored") else None

    def save_image(self, group: str, name: str, restored: Pixels) -> None:
        """Writes a restored image with :func:`write_image`."""
        write_image(image_path(self.folder, group, name), restored)

    def save_scores(self, group: str, scores: ImageScores) -> None:
        """Records that an image is done. Call it after saving the pixels."""
        line = json.dumps({"set": group, **scores.to_dict()}) + "\n"
        with self._lock, self._lines.open("a", encoding="utf-8") as file:
            file.write(line)

    def _check(self, identity: dict[str, Any]) -> None:
        path = self.folder / "run.json"
        if not path.exists():
            if self.folder.is_dir() and any(self.folder.iterdir()):
                raise UsageError(f"--save {self.folder}: not empty, and not a run of this program")
            try:
                make_folder(self.folder)
                write_atomically(path, (json.dumps(identity, indent=1) + "\n").encode())
            except UserError as error:
                raise UserError(f"--save {self.folder}: {error}") from None
            return
        try:
            stored = parsed(path.read_text("utf-8"))
            different = {k for k in {*identity, *stored} if identity.get(k) != stored.get(k)}
        except (OSError, *MALFORMED):
            raise UsageError(f"--save {self.folder}: run.json is damaged") from None
        if different:
            key = min(different)
            there, asked = (run.get(key, "of a bench") for run in (stored, identity))
            raise UsageError(
                f"--save {self.folder}: holds a run with {key} {there}, not {asked};"
                " choose another folder"
            )

    def _read(self) -> dict[tuple[str, str], ImageScores]:
        known = {}
        try:
            lines = self._lines.read_bytes().split(b"\n")
        except FileNotFoundError:
            return {}
        for line in lines:
            try:
                entry = parsed(line)
                group = entry.pop("set")
                scores = ImageScores.from_dict(entry)
                known[group, scores.name] = scores
            except MALFORMED:
                continue  # cut short when the run was killed, or damaged since
        if lines[-1]:
            # Keep the next line apart from the incomplete one.
            with self._lines.open("a", encoding="utf-8") as file:
                file.write("\n")
        return known


def image_path(folder: Path, group: str, name: str) -> Path:
    """The path of a set's image below a folder of several sets."""
    # Not with_suffix: names of hazy photographs contain dots.
    return folder / group / f"{name}.png"


def write_image(path: Path, pixels: Pixels) -> None:
    """Writes a PNG atomically.

    Raises:
        OSError: writing failed. A full disk ends the run; it is not a problem of one image.
    """
    data = encode_photo(Photo(pixels, None, "png", "rgb"))
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_atomically(path, data)
    except UserError as error:
        raise OSError(None, str(error), str(path)) from None


def checksum(pixels: Pixels) -> int:
    """``zlib.crc32`` of the pixels' bytes."""
    return zlib.crc32(np.ascontiguousarray(pixels).data)
