"""Progress of an evaluation: two bars on a terminal, elsewhere a line for every tenth of a set."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from baryir_cli.benches import FoundSet
from baryir_cli.shell.console import WHOLE_RUN, BarDisplay, draws_bars, label_column, printable


class EvaluationDisplay(BarDisplay):
    """Shows the progress of the current set and of the whole run."""

    bar: Progress

    def __init__(self, console: Console, sets: list[FoundSet]) -> None:
        self.console = console
        self.live = draws_bars(console)
        self.bar = Progress(
            label_column(28),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not self.live,
            transient=True,
            speed_estimate_period=WHOLE_RUN,
        )
        total = sum(len(found.items) for found in sets)
        self.all = self.bar.add_task(f"{len(sets)} sets" if len(sets) > 1 else "all", total=total)
        self.set = self.bar.add_task("", total=0)
        self.label, self.size, self.done, self.all_done = "", 0, 0, 0

    def begin(self, found: FoundSet) -> None:
        """Starts a set."""
        self.label, self.size, self.done = printable(found.label), len(found.items), 0
        self.bar.reset(self.set, total=self.size, description=self.label)

    def add(self, problem: str, *, recalled: bool = False) -> None:
        """Counts an image; ``problem`` says why it failed, if it did.

        Args:
            recalled: whether it came from an earlier run. Such images take no time and must not
                enter the estimate of the time left.
        """
        self.done += 1
        self.all_done += 1
        for task, done in ((self.set, self.done), (self.all, self.all_done)):
            if recalled:
                self.bar.reset(task, completed=done)
            else:
                self.bar.update(task, completed=done)
        if problem:
            self.console.print(f"[red]failed[/]  {escape(printable(problem))}")
        tenth = max(self.size // 10, 1)
        if not self.live and (self.done % tenth == 0 or self.done == self.size):
            self.console.print(f"{escape(self.label)}: {self.done} of {self.size}")
