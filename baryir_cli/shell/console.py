"""Output for people: messages on standard error, answers, bars."""

from __future__ import annotations

import math
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column

if TYPE_CHECKING:
    from rich.live import Live
    from typing_extensions import Self

ROOMY = 66
"""Columns that a terminal needs for a bar with details."""
WHOLE_RUN = math.inf
"""Seconds that estimates of the time left look back. Rich's 30 would forget longer steps."""


def messages() -> Console:
    """The console on standard error, for everything but the answer itself."""
    return Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def answers(*, wide: bool = False) -> Console:
    """The console on standard output. Off a terminal it has 200 columns if ``wide``, else 80."""
    console = Console(highlight=False, emoji=False)
    if wide and not console.is_terminal:
        return Console(highlight=False, emoji=False, width=200)
    return console


def printable(text: object) -> str:
    """Makes outside text safe to print: it cannot break the line or control the terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))


def draws_bars(console: Console) -> bool:
    """Whether output goes to a terminal that can draw bars."""
    return console.is_terminal and not console.is_dumb_terminal


def label_column(width: int | None = None) -> TextColumn:
    """The label of a bar, cut to a width. File names in it are not parsed as markup."""
    column = Column(max_width=width, no_wrap=True, overflow="ellipsis")
    return TextColumn("{task.description}", markup=False, table_column=column)


def columns(width: int) -> list[ProgressColumn]:
    """Columns of a bar for a terminal's width. Nothing wraps; narrow terminals lose details.

    Tasks have a field ``rate``, in words.
    """
    # Columns that must not wrap are not cut either: the bar shrinks instead.
    whole = Column(no_wrap=True)
    few = [
        label_column(min(24, width // 4)),
        BarColumn(),
        MofNCompleteColumn(table_column=whole),
    ]
    left = TimeRemainingColumn(table_column=whole)
    if width < ROOMY:
        return [*few, left]
    rate = TextColumn("{task.fields[rate]}")
    so_far = TimeElapsedColumn(table_column=whole)
    return [*few, TaskProgressColumn(), rate, so_far, left, TextColumn("left")]


def transfer_bar(console: Console) -> Progress:
    """A bar for downloads, hidden if none can be drawn."""
    return Progress(
        label_column(),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not draws_bars(console),
        transient=True,
    )


class BarDisplay:
    """A bar, or what contains one, shown on terminals, with notes beside it."""

    console: Console
    bar: Progress | Live

    def __enter__(self) -> Self:
        if draws_bars(self.console):
            self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.stop()

    def note(self, text: str) -> None:
        """Prints a note while the run continues."""
        note(self.console, text)


def note(console: Console, text: str) -> None:
    """Prints a line that the user should know; outside text in it is made safe."""
    console.print(f"[yellow]note[/]    {escape(printable(text))}")
