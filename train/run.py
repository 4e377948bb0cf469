"""The folder of a run: recipe, data folders, log, checkpoints, samples, curves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from models.files import named_errors, replacing
from models.jsontext import parsed
from train import checkpoint
from train.data_folders import DataFolders
from train.recipe import Recipe

Entry = dict[str, Any]
"""One line of the log: a step and what was measured there."""

OF_STEPS = ("weights.safetensors", "checkpoints", "samples", "curves.png", "log.jsonl")
"""What a run's steps write into its folder."""
OF_BEGINNING = ("events.out.tfevents.*", "data.json", "recipe.json")
"""What exists before the first step. The last entry marks a folder as a run's.

Overwriting a run replaces the last two, then removes the rest.
"""

GIVE_AGAIN = "give --data, --clean or --single as at the start"
"""What to do if a run's folders are not known any more."""


class RunError(ValueError):
    """The folder cannot be used as requested; the message says what to do."""


class Run:
    """The folder that a run writes to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._successor: tuple[Recipe, DataFolders] | None = None
        self._held: list[Entry] = []
        self.listeners: list[Callable[[Entry], None]] = []

    @property
    def recipe_file(self) -> Path:
        """The recipe that the run follows, as JSON."""
        return self.path / "recipe.json"

    @property
    def data_file(self) -> Path:
        """The :class:`DataFolders` that the run trains on, as JSON."""
        return self.path / "data.json"

    @property
    def holds_another(self) -> bool:
        """Whether the folder still holds the run that this one is to overwrite."""
        return self._successor is not None

    def begin(self, recipe: Recipe, folders: DataFolders, *, overwrite: bool) -> None:
        """Prepares the folder for a new run.

        An old run that is to be overwritten stays until :meth:`make_room`.

        Raises:
            RunError: the folder holds a run of at least one step and ``overwrite`` is false, or it
                holds something else.
        """
        if self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path} is not a folder")
        of_steps = self._found(OF_STEPS)
        there = of_steps + self._found(OF_BEGINNING)
        if there and not self._is_marked():
            raise RunError(
                f"{self.path} is not a run's folder (it has no recipe.json of one), and"
                f" {there[0].name} in it would be overwritten; choose another folder"
            )
        if of_steps and not overwrite:
            way = "--resume continues it, " if self.last_checkpoint() else ""
            raise RunError(f"{self.path} holds a run: {way}--overwrite replaces it")
        self._successor = recipe, folders
        if not of_steps:
            self.make_room()

    def make_room(self, first: Path | None = None, put: checkpoint.Put = lambda: None) -> None:
        """Removes the run that is to be overwritten, if it is still there.

        Args:
            first: the new run's first checkpoint. A run that ends before it has one leaves the old
                run.
            put: puts it in its place, when the old run's checkpoints have lost theirs and the
                recipe is the new one: a kill leaves no mixture of both.
        """
        if self._successor is None:
            put()
            return
        (recipe, folders), self._successor = self._successor, None
        # At once, so that --resume finds only the new run even if the removal is interrupted.
        for old in checkpoint.checkpoints(self.path):
            old.rename(old.with_suffix(f".old{checkpoint.UNFINISHED}"))
        self.path.mkdir(parents=True, exist_ok=True)
        self._write_beginning(recipe, folders)
        put()
        for path in self._found(OF_STEPS + OF_BEGINNING):
            if path not in (self.recipe_file, self.data_file):
                _remove(path, first)
        if self._held:
            self.log(*self._held)

    def go_on(self, recipe: Recipe, folders: DataFolders, step: int, changes: list[str]) -> None:
        """Prepares the folder to continue after ``step``; later lines of the log are dropped.

        Args:
            changes: what differs from here on, for the log.
        """
        self._write_beginning(recipe, folders)
        text = "".join(json.dumps(e) + "\n" for e in self.entries() if e["step"] <= step)
        _replace(self.path / "log.jsonl", text)
        if changes:
            self.log({"step": step, "changes": changes})

    def folders(self) -> DataFolders | None:
        """The folders that the run trains on; None if it has not noted any.

        Raises:
            RunError: the file with them is damaged.
        """
        try:
            return DataFolders.from_json(self.data_file.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            raise RunError(f"{self.data_file} is damaged; {GIVE_AGAIN}") from None

    def to_resume(self) -> Path:
        """The checkpoint to resume from.

        Raises:
            RunError: there is none.
        """
        last = self.last_checkpoint()
        if last is None:
            raise RunError(
                f"{self.path} has no checkpoint to resume from; leave out --resume to begin a run"
            )
        return last

    def last_checkpoint(self) -> Path | None:
        """The newest complete checkpoint."""
        if self.holds_another:
            return None
        return next(reversed(checkpoint.checkpoints(self.path)), None)

    def log(self, *entries: Entry) -> None:
        """Adds lines to the log and calls the listeners with them.

        While another run is in the folder, they are held back.
        """
        if self.holds_another:
            self._held += entries
            return
        path = self.path / "log.jsonl"
        with named_errors(path), open(path, "a", encoding="utf-8") as file:
            file.writelines(json.dumps(entry) + "\n" for entry in entries)
        for entry in entries:
            for listener in self.listeners:
                listener(entry)

    def entries(self) -> list[Entry]:
        """The log so far, without broken lines such as one that a kill cut short."""
        path = self.path / "log.jsonl"
        entries = []
        # As bytes: a line that is not UTF-8 is broken, the others are not.
        for line in path.read_bytes().splitlines() if path.exists() else []:
            try:
                entry = parsed(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and isinstance(entry.get("step"), int):
                entries.append(entry)
        return entries

    def _is_marked(self) -> bool:
        """Whether the folder holds the recipe of a run, from any version of this program."""
        try:
            recipe = parsed(self.recipe_file.read_text("utf-8"))
        except (OSError, ValueError):
            return False
        return isinstance(recipe, dict) and "objective" in recipe

    def _found(self, names: Sequence[str]) -> list[Path]:
        return [path for name in names for path in self.path.glob(name)]

    def _write_beginning(self, recipe: Recipe, folders: DataFolders) -> None:
        # The recipe first: it marks the folder, even if a kill leaves nothing else.
        _replace(self.recipe_file, json.dumps(recipe.to_dict(), indent=1) + "\n")
        _replace(self.data_file, folders.to_json())


def _remove(path: Path, spared: Path | None) -> None:
    """Removes a file or folder, but not what is ``spared`` in it; a link to a folder is emptied."""
    if not path.is_dir():
        path.unlink()
        return
    for one in list(path.iterdir()):
        if one != spared:
            shutil.rmtree(one) if one.is_dir() and not one.is_symlink() else one.unlink()
    if not path.is_symlink() and not any(path.iterdir()):
        path.rmdir()


def _replace(path: Path, text: str) -> None:
    """Writes a file that a resumed run needs: a crash leaves the old one or the new one."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
