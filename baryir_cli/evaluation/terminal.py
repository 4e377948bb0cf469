"""Prints sheets on a terminal of any width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from baryir_cli.evaluation.sheet import INTERVAL, Sheet, Table
from baryir_cli.shell.console import answers, printable

GAP = 2
"""Spaces between columns."""


def show(sheet: Sheet, *, wide: bool = True) -> None:
    """Prints a sheet on standard output; if that is not a terminal, ``wide`` lifts its width."""
    console = answers(wide=wide)

    def line(text: str, style: str = "") -> None:
        # Programs read unbroken lines.
        console.print(_for_rich(text), style=style, soft_wrap=not console.is_terminal)

    if sheet.title:
        line(sheet.title, "bold")
    if sheet.subtitle:
        line(sheet.subtitle)
    for table in sheet.tables:
        line("")
        if table.title:
            line(table.title, "bold")
        _print(console, table)
    if sheet.notes:
        line("")
    for note in sheet.notes:
        line(f"- {note}")


def _print(console: Console, table: Table) -> None:
    """Prints a table. If it is too wide, names stand above their rows instead of beside them."""
    widths = _widths(table, console.width)
    if _total(widths) <= console.width or not table.names:
        _print_rows(console, table, widths)
        return
    split = table.names
    rows = [row[split:] for row in table.rows]
    rest = Table(table.headings[split:], rows, table.numbers_from - split)
    widths = _widths(rest, console.width)
    _print_rows(console, replace(rest, rows=[]), widths)
    for named, row in zip(table.rows, rest.rows, strict=True):
        first, *more = map(printable, named[:split])
        if first:
            named_cells = (f"{h}: {c}" for h, c in zip(table.headings[1:], more, strict=False))
            console.print(escape(", ".join([first, *named_cells])), style="bold")
        _print_rows(console, replace(rest, rows=[row]), widths, headings=False)


def _widths(table: Table, room: int) -> list[int]:
    """Widths of the columns, reduced to fit ``room`` without breaking a word or figure."""
    rows = [list(map(printable, row)) for row in (table.headings, *table.rows)]
    columns = list(zip(*rows, strict=True))
    widths = [max(map(cell_len, cells)) for cells in columns]
    least = [
        width if cells[0] == INTERVAL else max(map(cell_len, " ".join(cells).split()), default=0)
        for cells, width in zip(columns, widths, strict=True)
    ]
    while _total(widths) > room and widths != least:
        spare = [n for n, width in enumerate(widths) if width > least[n]]
        widths[max(spare, key=widths.__getitem__)] -= 1
    return widths


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _print_rows(
    console: Console, table: Table, widths: Sequence[int], *, headings: bool = True
) -> None:
    made = RichTable(
        box=box.SIMPLE_HEAD,
        width=_total(widths),
        show_edge=False,
        show_header=headings,
        pad_edge=False,
        padding=(0, GAP - 1, 0, 0),
    )
    for number, (heading, width) in enumerate(zip(table.headings, widths, strict=True)):
        justify: Literal["left", "right"] = "right" if number >= table.numbers_from else "left"
        made.add_column(escape(heading), justify=justify, overflow="fold", width=width)
    for number, row in enumerate(table.rows):
        made.add_row(*map(_for_rich, row), style="bold" if table.is_ours(number) else "")
    # An even narrower terminal breaks the lines itself.
    console.print(made, width=max(_total(widths), console.width), crop=False)


def _for_rich(text: str) -> str:
    return escape(printable(text))
