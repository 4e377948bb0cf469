"""What users see of a training run: its sources, then a live panel or lines."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from rich.columns import Columns
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from baryir_cli.shell.console import WHOLE_RUN, BarDisplay, columns, draws_bars, printable
from baryir_cli.shell.units import counted

if TYPE_CHECKING:
    from train.run import Entry
    from train.sources import Source

LOSSES = (
    "total",
    "l1",
    "psnr_loss",
    "scene",
    "map",
    "mwb",
    "irc",
    "bro",
    "potentials",
    "congruence",
)


def source_table(
    sources: Sequence[Source],
    held_out: Sequence[Source],
    probabilities: Sequence[float],
    weights: Sequence[float],
) -> Table:
    """The sources that were found, a row each.

    Args:
        sources: the images to train on.
        held_out: the same sources with the images held out for validation, if any.
        probabilities: how often each source is drawn.
        weights: the barycenter weights l_k.
    """
    kept = {source.name: source.count for source in held_out}
    table = Table(box=None, pad_edge=False)
    for heading in ("source", "trained on", "held out", "drawn", "l_k", "from"):
        side: Literal["left", "right"] = "left" if heading in ("source", "from") else "right"
        table.add_column(heading, justify=side, overflow="fold")
    for source, q, weight in zip(sources, probabilities, weights, strict=True):
        counts = str(source.count), str(kept.get(source.name, 0))
        origin = escape(printable(source.origin))
        table.add_row(source.name, *counts, f"{q:.0%}", f"{weight:.3f}", origin)
    return table


class TrainingDisplay(BarDisplay):
    """A live panel on a terminal, a line per log entry elsewhere."""

    def __init__(self, console: Console, first: int, steps: int) -> None:
        self.console = console
        self.steps = steps
        self.entry: Entry = {}
        self.psnr: dict[str, float] = {}
        self.before: dict[str, float] = {}
        self.progress = Progress(
            *columns(console.width),
            console=console,
            speed_estimate_period=WHOLE_RUN,
        )
        self.task = self.progress.add_task("step", total=steps, completed=first, rate="")
        self.bar = Live(console=console, get_renderable=self._panel, refresh_per_second=2)
        self.skipped = 0
        self.first, self.began = first, time.monotonic()

    def update(self, step: int, entry: Entry | None) -> None:
        """Called after every step, with the log's entry if there is one."""
        if entry:
            if "psnr" in entry:
                self.before, self.psnr = self.psnr, entry["psnr"]
            self.entry |= entry
            self.skip(entry.get("skipped", ()))
        # One line right away, to show how long the run will take.
        if not draws_bars(self.console) and (entry or step == self.first + 1):
            self.console.print(self._line(step, entry or {}), markup=False)
        rate = self.entry.get("patches_per_second")
        self.progress.update(self.task, completed=step, rate=f"{rate} patches/s" if rate else "")

    def skip(self, lines: Sequence[str]) -> None:
        """Prints a line for each image that turned out unusable."""
        self.skipped += len(lines)
        for line in lines:
            self.console.print(f"[yellow]skipped[/] {escape(printable(line))}")

    def _line(self, step: int, entry: Entry) -> str:
        parts = [f"step {step}/{self.steps}"]
        if "total" in entry:
            parts += [f"{name} {entry[name]:.4g}" for name in LOSSES if name in entry]
            parts.append(f"{entry['patches_per_second']} patches/s")
        if step < self.steps:
            each = (time.monotonic() - self.began) / (step - self.first)
            pace = f"{each:.2g}" if each < 10 else f"{each:.0f}"
            parts.append(f"{pace} s a step, {roughly(each * (self.steps - step))} left")
        before = entry.get("psnr_input", {})
        parts += [
            f"{name} {value:.2f} dB (input {before[name]:.2f})"
            for name, value in entry.get("psnr", {}).items()
        ]
        return "  ".join(parts)

    def _panel(self) -> Group:
        names = [name for name in LOSSES if name in self.entry]
        # A table too wide for the terminal would cut numbers.
        losses = Columns((f"{name}\n{self.entry[name]:.4g}" for name in names), (0, 2))
        return Group(losses, self._sources(), self.progress)

    def _sources(self) -> Table:
        table = Table(box=None, pad_edge=False)
        for heading in ("source", "L1", "input PSNR", "validation PSNR"):
            table.add_column(heading, justify="left" if heading == "source" else "right")
        errors: dict[str, Any] = self.entry.get("l1_source", {})
        inputs: dict[str, float] = self.entry.get("psnr_input", {})
        for name in {**self.psnr, **errors}:
            change = ""
            if name in self.before:
                change = f" ({self.psnr[name] - self.before[name]:+.2f})"
            error = f"{errors[name]:.4f}" if name in errors else ""
            psnr = f"{self.psnr[name]:.2f} dB{change}" if name in self.psnr else ""
            given = f"{inputs[name]:.2f} dB" if name in inputs else ""
            table.add_row(printable(name), error, given, psnr)
        return table


def roughly(seconds: float) -> str:
    """A length of time in days, hours or minutes."""
    if seconds < 30:
        return "less than a minute"
    for unit, length in (("day", 86400), ("hour", 3600)):
        if seconds >= 1.5 * length:
            return counted(round(seconds / length), unit)
    return counted(max(1, round(seconds / 60)), "minute")
