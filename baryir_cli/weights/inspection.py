"""Everything known about weights without running them."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from baryir_cli.shell.console import answers, printable
from baryir_cli.weights import provenance
from baryir_cli.weights.figures import figures_table
from baryir_cli.weights.references import WeightsFile, load_header
from models.digest import hexdigest
from models.header import Header

WIDTH = 80
"""Largest width of texts in columns."""
_NARROWEST = 20
"""Smallest width of texts in columns, in any terminal."""


@dataclass(frozen=True)
class Inspection:
    """A file, its header and its hash."""

    file: WeightsFile
    header: Header
    sha256: str

    @classmethod
    def of(cls, file: WeightsFile) -> Inspection:
        """Reads the header, and the rest only for the hash.

        Raises:
            baryir_cli.errors.UserError: the file does not hold our weights.
        """
        header = load_header(file)
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

    def show(self, *, every_tensor: bool = False) -> None:
        """Prints it for people, in at most 80 columns, with only the main entries of recipes."""
        console = answers()
        header = self.header
        types = Counter(entry.dtype for entry in header.tensors.values())
        numbers = f"{header.parameters:,} in {len(header.tensors)} tensors"
        _section(console, "", self._file())
        _section(console, "tensors", {"parameters": numbers, "stored as": ", ".join(types)})
        _section(console, "config", header.config.to_dict())
        _section(console, "provenance", self._origin())
        for part, weights in provenance.means(header.provenance).items():
            _section(console, f"{provenance.PARTS[part]}: the mean of", {"": weights})
        if runs := provenance.runs(header.provenance):
            console.print("\n[bold]training, the newest run first[/] (recipes in full: --json)")
            console.print(Padding(_runs_table(runs), (0, 0, 0, 2)))
        if figures := provenance.figures(header.provenance):
            console.print("\n[bold]figures[/]")
            console.print(Padding(figures_table(figures, "set"), (0, 0, 0, 2)))
        if every_tensor:
            shapes = {n: f"{t.dtype} {list(t.shape)}" for n, t in header.tensors.items()}
            _section(console, "every tensor", shapes)

    def _file(self) -> dict[str, Any]:
        return {
            "reference": self.file.pinned,
            "file": str(self.file.path),
            "size": f"{self.file.path.stat().st_size / 1e6:.2f} MB",
            "SHA-256": self.sha256,
        }

    def _origin(self) -> dict[str, Any]:
        known = self.header.provenance
        elsewhere = ("figures", "licence", "recipe", "start", *provenance.means(known))
        caution = provenance.caution(known)
        return {
            **({"caution": caution} if caution else {}),
            "licence": provenance.licence(known) or "not stated",
            **{name: value for name, value in known.items() if name not in elsewhere},
        }


def _section(console: Console, title: str, rows: dict[str, Any]) -> None:
    """Prints names and values. Long values wrap at spaces only."""
    if title and rows:
        console.print(f"\n[bold]{title}[/]")
    margin = "  " if title else ""
    names = [printable(name) for name in rows]
    columns = max(_NARROWEST, min(WIDTH, console.width))
    width = min(max(map(len, names), default=0), columns // 2)
    for name, value in zip(names, rows.values(), strict=True):
        head = f"{margin}{name:{width}}  " if width else margin
        for line in _plain(value):
            lines = textwrap.wrap(
                printable(line),
                max(columns - len(head), columns // 4),
                break_long_words=False,
                break_on_hyphens=False,
            )
            for part in lines or [""]:
                console.print(head + part, markup=False, soft_wrap=True)
                head = " " * len(head)


def _plain(value: Any) -> list[str]:
    """Formats a JSON value as lines of text."""
    if isinstance(value, dict):
        return [f"{name} {v if isinstance(v, str) else json.dumps(v)}" for name, v in value.items()]
    if isinstance(value, list):
        several = any(isinstance(v, str) and " " in v for v in value)
        return list(map(str, value)) if several else [", ".join(map(str, value))]
    return [value if isinstance(value, str) else json.dumps(value)]


def _runs_table(runs: list[dict[str, Any]]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("run", "steps", "learning rate", "patches per step, side in pixels"):
        table.add_column(name, justify="right" if name == "steps" else "left", overflow="fold")
    for run in runs:
        recipe = run.get("recipe")
        recipe = recipe if isinstance(recipe, dict) else {}
        stages = recipe.get("stages")
        stages = [s for s in stages if isinstance(s, dict)] if isinstance(stages, list) else []
        cells = (
            run.get("name", "-"),
            run.get("steps", "-"),
            recipe.get("learning_rate", "-"),
            ", ".join(
                f"{stage.get('batch', '-')} of {stage.get('patch', '-')}" for stage in stages
            ),
        )
        table.add_row(*(escape(printable(cell)) for cell in cells))
    return table
