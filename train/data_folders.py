"""The folders that a run trains on, as its own folder remembers them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class DataFolders:
    """What :func:`train.sources.gather` takes beside a recipe."""

    data: Path | None = None
    clean: tuple[Path, ...] = ()
    single: Path | None = None

    @property
    def all(self) -> list[Path]:
        """Those that were given."""
        return [folder for folder in (self.data, self.single, *self.clean) if folder]

    def to_json(self) -> str:
        """Absolute paths, which hold wherever a run is resumed on this machine."""
        entries = {"data": self.data, "clean": self.clean, "single": self.single}
        return json.dumps(entries, default=os.path.abspath, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> DataFolders:
        """From what :meth:`to_json` returned.

        Raises:
            ValueError: for anything else.
        """
        try:
            entries: dict[str, Any] = json.loads(text)
            if not isinstance(entries["clean"], list):
                raise TypeError("clean is no list")
            data, single = (Path(entries[n]) if entries[n] else None for n in ("data", "single"))
            return cls(data, tuple(map(Path, entries["clean"])), single)
        except (KeyError, TypeError, RecursionError) as error:
            raise ValueError(str(error)) from None
