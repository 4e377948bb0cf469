"""Shows how a batch goes: progress, a line per image, the summary."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from baryir_cli.batch.remarks import REMARKS, Remark, remarks_on
from baryir_cli.batch.results import Result
from baryir_cli.files.jobs import Job
from baryir_cli.shell.console import WHOLE_RUN, BarDisplay, columns, draws_bars, printable
from baryir_cli.shell.units import counted, megapixels


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

    bar: Progress

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
        source = escape(printable(result.job.source_in_words))
        if result.status == "failed":
            self.console.print(f"[red]failed[/]  {source}: {escape(printable(result.error))}")
        elif result.status == "done" and not self.quiet:
            self._add_done(result, source)
        for line in result.lost:
            self.note(f"{result.job.source_in_words}: {line}")

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
        target = escape(printable(result.job.target_in_words))
        self.console.print(f"done    {source} -> {target} ({', '.join(facts)})")
