"""All that is known of some weights without running them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from baryir_cli import provenance
from baryir_cli.console import printable
from baryir_cli.references import WeightsFile, describe_file
from models.digest import hexdigest
from models.header import Header


@dataclass(frozen=True)
class Inspection:
    """A file, what its header says, and its hash."""

    file: WeightsFile
    header: Header
    sha256: str

    @classmethod
    def of(cls, file: WeightsFile) -> Inspection:
        """Reads the header, and the rest for the hash alone.

        Raises:
            baryir_cli.errors.UserError: the file does not hold weights of ours.
        """
        header = describe_file(file)
        with open(file.path, "rb") as opened:
            return cls(file, header, hexdigest(opened))

    def to_dict(self) -> dict[str, Any]:
        """The object of ``--json``."""
        tensors = self.header.tensors.items()
        return {
            **self.file.to_dict(self.sha256),
            "path": str(self.file.path),
            "origin": self.file.origin,
            "bytes": self.file.path.stat().st_size,
            "parameters": self.header.parameters,
            "config": self.header.config.to_dict(),
            "provenance": self.header.provenance,
            "tensors": {n: {"dtype": t.dtype, "shape": list(t.shape)} for n, t in tensors},
        }

    def lines(self, *, every_tensor: bool = False) -> Iterator[str]:
        """The same for people."""
        header = self.header
        types = Counter(entry.dtype for entry in header.tensors.values())
        yield from _section("", self._file())
        yield from _section(
            "tensors",
            {
                "parameters": f"{header.parameters} in {len(header.tensors)} tensors",
                "stored as": ", ".join(types),
            },
        )
        yield from _section("config", header.config.to_dict())
        yield from _section("provenance", self._origin())
        rows = provenance.figures(header.provenance)
        yield from _section(
            "figures",
            {name: ", ".join(f"{m} {v:.4g}" for m, v in row.items()) for name, row in rows.items()},
        )
        if every_tensor:
            entries = header.tensors.items()
            yield from _section(
                "every tensor", {n: f"{t.dtype} {list(t.shape)}" for n, t in entries}
            )

    def _file(self) -> dict[str, Any]:
        return {
            "reference": self.file.pinned,
            "file": self.file.path,
            "size": f"{self.file.path.stat().st_size / 1e6:.2f} MB",
            "SHA-256": self.sha256,
        }

    def _origin(self) -> dict[str, Any]:
        known = self.header.provenance
        return {
            "licence": provenance.licence(known) or "not stated",
            **{name: _plain(v) for name, v in known.items() if name not in ("figures", "licence")},
        }


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _section(title: str, rows: dict[str, Any]) -> Iterator[str]:
    if title and rows:
        yield f"\n{title}"
    margin = "  " if title else ""
    width = max([16, *map(len, rows)])
    for name, value in rows.items():
        yield f"{margin}{printable(name):{width}}  {printable(value)}"
