"""Output for people: messages on standard error, progress, the summary."""

from __future__ import annotations

import math
from collections import Counter
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

from baryir_cli.shell.remarks import REMARKS, Remark, remarks_on
from baryir_cli.shell.units import counted, megapixels

if TYPE_CHECKING:
    from typing_extensions import Self

    from baryir_cli.batch.results import Result
    from baryir_cli.files.jobs import Job

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
    """A bar, shown on terminals, with notes beside it."""

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
        """Prints a note while the run continues."""
        note(self.console, text)


def note(console: Console, text: str) -> None:
    """Prints a line that the user should know; outside text in it is made safe."""
    console.print(f"[yellow]note[/]    {escape(printable(text))}")


@dataclass
class Tally:
    """The counts and times of a run."""

    counts: dict[str, int] = field(default_factory=lambda: {"done": 0, "skipped": 0, "failed": 0})
    remarks: Counter[Remark] = field(default_factory=Counter)
    """Number of images done, by what is remarkable about them."""
    pixels: int = 0
    """Pixels of the finished images."""
    seconds: float = 0.0
    """Time spent on them."""

    @property
    def images(self) -> int:
        return sum(self.counts.values())

    @property
    def worked(self) -> int:
        """Number of images done or failed."""
        return self.images - self.counts["skipped"]

    @property
    def rate(self) -> str:
        """Megapixels per second of work; empty at first."""
        return f"{megapixels(self.pixels / self.seconds)}/s" if self.seconds else ""

    def add(self, result: Result) -> None:
        """Adds an image."""
        self.counts[result.status] += 1
        if result.status == "done":
            self.pixels += result.pixels
            self.seconds += result.seconds
            self.remarks.update(remarks_on(result.facts))

    def summary(self, seconds: float) -> str:
        """One line: done, skipped, failed, and the speed over all ``seconds``."""
        counts = {name: f"{number} {name}" for name, number in self.counts.items()}
        of_these = [
            f"{self.remarks[remark]} {remark.counted}" for remark in REMARKS if self.remarks[remark]
        ]
        if of_these:
            counts["done"] += f" ({', '.join(of_these)})"
        text = ", ".join(counts.values())
        if not self.counts["done"]:
            return text
        rate = megapixels(self.pixels / seconds)
        return f"{text}; {megapixels(self.pixels)} in {seconds:.2f} s, {rate}/s"


class Display(BarDisplay):
    """Shows a run: a progress bar on a terminal, one line per image elsewhere.

    Images that may want a look have a line on a terminal too.

    Args:
        images: number of images, with those that will be skipped; the bar leaves these out.
    """

    def __init__(self, console: Console, images: int, *, quiet: bool = False) -> None:
        self.console = console
        self.images = images
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
        """Shows that ``share`` of an image is done."""
        self.bar.update(
            self.task,
            completed=self.tally.worked + share,
            description=printable(job.source.name),
        )

    def add(self, result: Result) -> None:
        """Adds an image that was written, skipped or failed."""
        self.tally.add(result)
        self.bar.update(
            self.task,
            total=self.images - self.tally.counts["skipped"],
            completed=self.tally.worked,
            rate=self.tally.rate,
        )
        source = escape(printable(result.job.source))
        if result.status == "failed":
            self.console.print(f"[red]failed[/]  {source}: {escape(printable(result.error))}")
        elif result.status == "done" and not self.quiet:
            self._add_done(result, source)
        for line in result.lost:
            self.note(f"{result.job.source}: {line}")

    def _add_done(self, result: Result, source: str) -> None:
        remarks = remarks_on(result.facts)
        if self.live and not any(remark.is_risky for remark in remarks):
            return
        size = f"{result.width} x {result.height}"
        if result.pages > 1:
            size = counted(result.pages, "page")
        photographs = result.facts.get("photographs", 1)
        several = photographs > max(result.pages, 1)
        found = [counted(photographs, "photograph")] if several else []
        texts = [remark.text for remark in remarks]
        facts = [size, *found, f"{result.seconds:.2f} s", *texts]
        target = escape(printable(result.job.target))
        self.console.print(f"done    {source} -> {target} ({', '.join(facts)})")
