"""What people see: messages on standard error, progress, the summary."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
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
    from typing_extensions import Self

    from baryir_cli.pipeline import Result
    from baryir_cli.plan import Job

ROOMY = 66
"""Columns of a terminal from which on a bar shows details."""
HARDLY = 0.5
"""Steps of 8 bits by which a photograph is changed at least, for nothing to be said of it."""
WHOLE_RUN = math.inf
"""Seconds that an estimate of the time left looks back: rich's 30 forget steps that take longer."""


def messages() -> Console:
    """The console of everything that is not the answer itself."""
    return Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def answers(*, wide: bool = False) -> Console:
    """The console of what was asked for; where nobody looks at it ``wide``, or of 80 columns."""
    console = Console(highlight=False, emoji=False)
    if wide and not console.is_terminal:
        return Console(highlight=False, emoji=False, width=200)
    return console


def printable(text: object) -> str:
    """Text from outside for people: it must not be able to end the line or colour the terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))


def counted(number: int, noun: str) -> str:
    """So many of what ``noun`` names one of."""
    return f"{number} {noun}{'s' * (number != 1)}"


def draws_bars(console: Console) -> bool:
    """Whether somebody looks on, at a terminal that a bar can be drawn on; else lines must do."""
    return console.is_terminal and not console.is_dumb_terminal


def label_column(width: int | None = None) -> TextColumn:
    """What a bar is about, cut to a width; names in it are no markup."""
    column = Column(max_width=width, no_wrap=True, overflow="ellipsis")
    return TextColumn("{task.description}", markup=False, table_column=column)


def columns(width: int) -> list[ProgressColumn]:
    """Those of a bar for a terminal's width: nothing wraps, details go first.

    Its tasks have a field ``rate``, in words.
    """
    # What must not wrap is not cut either: the bar gives way.
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
    """A bar for files on their way here, where one can be drawn."""
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
    """A bar that shows while a terminal looks on, and notes beside it."""

    console: Console
    bar: Progress

    def __enter__(self) -> Self:
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
        """Something the user should know while the run goes on."""
        note(self.console, text)


def note(console: Console, text: str) -> None:
    """A line that the user should know of."""
    console.print(f"[yellow]note[/]    {escape(text)}")


def pixels(number: float) -> str:
    """A number of pixels, in megapixels from a hundredth of one on."""
    return f"{number:,.0f} pixels" if number < 1e4 else f"{number / 1e6:,.2f} MP"


@dataclass
class Tally:
    """What a run has come to."""

    counts: dict[str, int] = field(default_factory=lambda: {"done": 0, "skipped": 0, "failed": 0})
    pixels: int = 0
    """Of the images that are done."""
    seconds: float = 0.0
    """Of the work on them."""

    @property
    def images(self) -> int:
        return sum(self.counts.values())

    @property
    def worked(self) -> int:
        """Images that are done or failed."""
        return self.images - self.counts["skipped"]

    @property
    def rate(self) -> str:
        """Pixels a second of work; empty before there is any."""
        return f"{pixels(self.pixels / self.seconds)}/s" if self.seconds else ""

    def add(self, result: Result) -> None:
        """One more image."""
        self.counts[result.status] += 1
        if result.status == "done":
            self.pixels += result.width * result.height
            self.seconds += result.seconds

    def summary(self, seconds: float) -> str:
        """One line: done, skipped, failed, and how fast, of ``seconds`` altogether."""
        text = ", ".join(f"{number} {name}" for name, number in self.counts.items())
        if not self.counts["done"]:
            return text
        return (
            f"{text}; {pixels(self.pixels)} in {seconds:.2f} s, {pixels(self.pixels / seconds)}/s"
        )


class Display(BarDisplay):
    """Shows a run: a progress bar on a terminal, a line an image elsewhere.

    Args:
        images: that are to be worked on, which those that are skipped are not.
    """

    def __init__(self, console: Console, images: int, *, quiet: bool = False) -> None:
        self.console = console
        self.quiet = quiet
        self.live = draws_bars(console) and not quiet
        self.tally = Tally()
        self.bar = Progress(
            *columns(console.width),
            console=console,
            disable=not self.live,
            transient=True,
            speed_estimate_period=WHOLE_RUN,
        )
        self.task = self.bar.add_task("", total=images, rate="")

    def working(self, job: Job, share: float) -> None:
        """An image is ``share`` done."""
        self.bar.update(
            self.task,
            completed=self.tally.worked + share,
            description=printable(job.source.name),
        )

    def add(self, result: Result) -> None:
        """An image is written, skipped or failed."""
        self.tally.add(result)
        self.bar.update(self.task, completed=self.tally.worked, rate=self.tally.rate)
        source = escape(printable(result.job.source))
        if result.status == "failed":
            self.console.print(f"[red]failed[/]  {source}: {escape(result.error)}")
        elif not self.live and not self.quiet and result.status == "done":
            target = escape(printable(result.job.target))
            facts = f"{result.width} x {result.height}, {result.seconds:.2f} s"
            if result.facts.get("change", HARDLY) < HARDLY:
                facts += ", hardly changed"
            self.console.print(f"done    {source} -> {target} ({facts})")
        for line in result.lost:
            self.note(f"{printable(result.job.source)}: {line}")
