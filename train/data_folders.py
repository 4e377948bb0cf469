"""The folders that a run trains on and how much of them, as its own folder remembers it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.jsontext import parsed

HOLDOUT = 0.04
"""Share of the images that is held out for validation unless another is asked for."""


@dataclass(frozen=True)
class DataFolders:
    """What :func:`train.sources.gather` takes beside a recipe, and the share to hold out."""

    data: Path | None = None
    clean: tuple[Path, ...] = ()
    single: Path | None = None
    holdout: float = HOLDOUT

    @property
    def all(self) -> list[Path]:
        """Those that were given."""
        return [folder for folder in (self.data, self.single, *self.clean) if folder]

    def to_json(self) -> str:
        """Absolute paths, which hold wherever a run is resumed on this machine."""
        return json.dumps(vars(self), default=os.path.abspath, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> DataFolders:
        """From what :meth:`to_json` returned.

        Raises:
            ValueError: for anything else.
        """
        try:
            entries: dict[str, Any] = parsed(text)
            if not isinstance(entries["clean"], list):
                raise TypeError("clean is no list")
            data, single = (Path(entries[n]) if entries[n] else None for n in ("data", "single"))
            clean = tuple(map(Path, entries["clean"]))
            # Older runs did not note it.
            holdout = float(entries.get("holdout", HOLDOUT))
            if not 0 <= holdout <= 0.5:
                raise TypeError("holdout is no such share")
            return cls(data, clean, single, holdout)
        except (KeyError, TypeError, OverflowError) as error:
            raise ValueError(str(error)) from None
