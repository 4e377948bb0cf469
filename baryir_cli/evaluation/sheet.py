"""Tables with their notes, for the terminal and for Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from rich import box
from rich.markup import escape
from rich.table import Table as RichTable

from baryir_cli.console import answers, printable

Cells = Sequence[str]
INTERVAL = "95 % interval"
"""A column's heading."""


@dataclass(frozen=True)
class Table:
    """Headings and rows."""

    headings: Cells
    rows: Sequence[Cells]
    numbers_from: int
    """Column from which on cells are figures, to be set flush right."""
    title: str = ""
    ours: int | None = None
    """Row to be set in bold; negative ones count from the end."""

    def is_ours(self, row: int) -> bool:
        """Whether a row is the one in bold."""
        return self.ours is not None and row == self.ours % len(self.rows)


@dataclass(frozen=True)
class Sheet:
    """What a command answers."""

    tables: Sequence[Table]
    title: str = ""
    subtitle: str = ""
    notes: Sequence[str] = field(default_factory=list)


def show(sheet: Sheet, *, wide: bool = True) -> None:
    """Prints a sheet on standard output; ``wide`` where that is no terminal."""
    console = answers(wide=wide)

    def line(text: str, style: str = "") -> None:
        # Lines that a program reads stay whole.
        console.print(_for_rich(text), style=style, soft_wrap=not console.is_terminal)

    if sheet.title:
        line(sheet.title, "bold")
    if sheet.subtitle:
        line(sheet.subtitle)
    for table in sheet.tables:
        if table.title:
            line(table.title, "bold")
        console.print(_rich(table))
    for note in sheet.notes:
        line(f"- {note}")


def markdown(sheet: Sheet) -> str:
    """A sheet as Markdown."""
    parts = [f"## {as_markdown(sheet.title)}" if sheet.title else "", as_markdown(sheet.subtitle)]
    for table in sheet.tables:
        parts += [f"### {as_markdown(table.title)}" if table.title else "", _markdown(table)]
    parts.append("\n".join(f"- {as_markdown(note)}" for note in sheet.notes))
    return "\n\n".join(filter(None, parts)) + "\n"


def without_repeats(rows: Sequence[Cells], columns: int) -> list[Cells]:
    """Rows whose first ``columns`` cells are empty where they repeat those of the row above."""
    shown: list[Cells] = []
    before: Cells = ()
    for row in rows:
        repeated = list(row[:columns]) == list(before[:columns])
        shown.append([*([""] * columns), *row[columns:]] if repeated else row)
        before = row
    return shown


def _rich(table: Table) -> RichTable:
    made = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for number, heading in enumerate(table.headings):
        justify: Literal["left", "right"] = "right" if number >= table.numbers_from else "left"
        # Where a terminal is narrow, names go on in the next line, intervals never.
        whole = heading == INTERVAL
        made.add_column(escape(heading), justify=justify, overflow="fold", no_wrap=whole)
    for number, row in enumerate(table.rows):
        made.add_row(*map(_for_rich, row), style="bold" if table.is_ours(number) else "")
    return made


def _markdown(table: Table) -> str:
    rule = ["---:" if n >= table.numbers_from else "---" for n in range(len(table.headings))]
    rows = [list(map(as_markdown, row)) for row in table.rows]
    for number, row in enumerate(rows):
        if table.is_ours(number):
            row[:] = (f"**{cell}**" if cell else "" for cell in row)
    lines = [list(map(as_markdown, table.headings)), rule, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _for_rich(text: str) -> str:
    return escape(printable(text))


def as_markdown(text: str) -> str:
    """Text that Markdown shows as it is; an underscore within a word is harmless there."""
    return re.sub(r"[\\`*<\[|]|\b_|_\b", r"\\\g<0>", printable(text))
