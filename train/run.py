"""The folder of a run: recipe, log, checkpoints, samples, curves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.files import naming, replacing
from train import checkpoint
from train.recipe import Recipe

Entry = dict[str, Any]
"""One line of the log: a step and what was measured there."""

OF_STEPS = ("weights.safetensors", "checkpoints", "samples", "curves.png", "log.jsonl")
"""What a run's steps leave in its folder."""
OF_BEGINNING = ("events.out.tfevents.*", "recipe.json")
"""What is there before the first step; by the last, its mark, a folder is known to be a run's.

Overwriting a run removes all of either, in this order.
"""


class RunError(ValueError):
    """The folder cannot be used as asked; the message says what to do."""


class Run:
    """A folder that a run is written to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._successor: Recipe | None = None

    @property
    def recipe_file(self) -> Path:
        """The recipe that the run follows, as JSON."""
        return self.path / "recipe.json"

    @property
    def holds_another(self) -> bool:
        """Whether what is there is still the run that is to be overwritten."""
        return self._successor is not None

    def begin(self, recipe: Recipe, *, overwrite: bool) -> None:
        """Makes the folder ready for a new run.

        A run that is to be overwritten stays until :meth:`make_room`.

        Raises:
            RunError: there is a run already, of at least a step, and it is not to be overwritten;
                or something else is there.
        """
        if self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path} is no folder")
        of_steps = self._found(OF_STEPS)
        there = of_steps + self._found(OF_BEGINNING)
        if there and not self._is_marked():
            raise RunError(
                f"{self.path} is no run's folder, there is no recipe.json of one, and"
                f" {there[0].name} in it would be overwritten; choose another"
            )
        if of_steps and not overwrite:
            way = "--resume goes on, " if self.last_checkpoint() else ""
            raise RunError(f"{self.path} holds a run: {way}--overwrite begins anew")
        self._successor = recipe
        if not of_steps:
            self.make_room()

    def make_room(self) -> None:
        """Removes the run that is to be overwritten, if it is still there.

        To be called before anything is written: so late, that what ends a run before its first
        steps are done leaves the old one.
        """
        if self._successor is None:
            return
        recipe, self._successor = self._successor, None
        for path in self._found(OF_STEPS + OF_BEGINNING):
            _remove(path)
        self.path.mkdir(parents=True, exist_ok=True)
        self._write_recipe(recipe)

    def go_on(self, recipe: Recipe, step: int, changes: list[str]) -> None:
        """Makes the folder ready to continue after ``step``: what was logged later is dropped.

        Args:
            changes: what is otherwise from here on, for the log.
        """
        self._write_recipe(recipe)
        text = "".join(json.dumps(e) + "\n" for e in self.entries() if e["step"] <= step)
        _replace(self.path / "log.jsonl", text)
        if changes:
            self.log({"step": step, "changes": changes})

    def last_checkpoint(self) -> Path | None:
        """The newest whole checkpoint."""
        if self.holds_another:
            return None
        return next(reversed(checkpoint.checkpoints(self.path)), None)

    def log(self, entry: Entry) -> None:
        """Adds a line to the log."""
        path = self.path / "log.jsonl"
        with naming(path), open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def entries(self) -> list[Entry]:
        """The log so far; a line that is no entry, as one that a kill cut short, is left out."""
        path = self.path / "log.jsonl"
        entries = []
        for line in path.read_text("utf-8").splitlines() if path.exists() else []:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and isinstance(entry.get("step"), int):
                entries.append(entry)
        return entries

    def _is_marked(self) -> bool:
        """Whether there is the recipe of a run, of whatever version of this program."""
        try:
            recipe = json.loads(self.recipe_file.read_text("utf-8"))
        except (OSError, ValueError):
            return False
        return isinstance(recipe, dict) and "objective" in recipe

    def _found(self, names: Sequence[str]) -> list[Path]:
        return [path for name in names for path in self.path.glob(name)]

    def _write_recipe(self, recipe: Recipe) -> None:
        _replace(self.recipe_file, json.dumps(recipe.to_dict(), indent=1) + "\n")


def _remove(path: Path) -> None:
    """A file, or a folder; one that a link leads to, on another disk maybe, is emptied."""
    linked = path.is_dir() and path.is_symlink()
    for one in list(path.iterdir()) if linked else [path]:
        shutil.rmtree(one) if one.is_dir() and not one.is_symlink() else one.unlink()


def _replace(path: Path, text: str) -> None:
    """Writes a file that a resumed run cannot do without: the old one or the new one is whole."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
