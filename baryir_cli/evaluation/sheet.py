"""Tables with notes, and their Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from baryir_cli.shell.markdown import as_markdown

Cells = Sequence[str]
INTERVAL = "95 % interval"
"""Heading of a column."""


@dataclass(frozen=True)
class Table:
    """Headings and rows."""

    headings: Cells
    rows: Sequence[Cells]
    numbers_from: int
    """First column of figures, which are aligned right."""
    title: str = ""
    ours: int | None = None
    """Row to set in bold; negative ones count from the end."""
    names: int = 0
    """How many leading cells name a group of rows. They are empty in the rows that repeat them."""

    def is_ours(self, row: int) -> bool:
        """Whether a row is set in bold."""
        return self.ours is not None and row == self.ours % len(self.rows)


def grouped(headings: Cells, rows: Sequence[Cells], numbers_from: int, names: int) -> Table:
    """Makes a table whose first ``names`` cells are empty if they repeat those of the row above."""
    shown: list[Cells] = []
    before: Cells = ()
    for row in rows:
        repeated = list(row[:names]) == list(before[:names])
        shown.append([*([""] * names), *row[names:]] if repeated else row)
        before = row
    return Table(headings, shown, numbers_from, names=names)


@dataclass(frozen=True)
class Sheet:
    """The answer of a command: tables, title and notes."""

    tables: Sequence[Table]
    title: str = ""
    subtitle: str = ""
    notes: Sequence[str] = field(default_factory=list)


def markdown(sheet: Sheet) -> str:
    """Formats a sheet as Markdown."""
    parts = [f"## {as_markdown(sheet.title)}" if sheet.title else "", as_markdown(sheet.subtitle)]
    for table in sheet.tables:
        parts += [f"### {as_markdown(table.title)}" if table.title else "", _markdown(table)]
    parts.append("\n".join(f"- {as_markdown(note)}" for note in sheet.notes))
    return "\n\n".join(filter(None, parts)) + "\n"


def _markdown(table: Table) -> str:
    rule = ["---:" if n >= table.numbers_from else "---" for n in range(len(table.headings))]
    rows = [list(map(as_markdown, row)) for row in table.rows]
    for number, row in enumerate(rows):
        if table.is_ours(number):
            row[:] = (f"**{cell}**" if cell else "" for cell in row)
    lines = [list(map(as_markdown, table.headings)), rule, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
