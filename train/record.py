"""What a run writes into its folder: the log, checkpoints, samples, curves."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from train import checkpoint, curves
from train.distributed import Team
from train.images import Skipped
from train.objective import Terms
from train.run import Entry, Run
from train.sources import Batch
from train.trainer import Trainer
from train.validation import Validation

Watch = Callable[[int, Entry | None], None]
"""Called after every step with its number and, if there is one, its entry of the log."""


class DivergedError(RuntimeError):
    """A loss or weight is no longer finite; the message names the last good checkpoint."""


@dataclass(frozen=True)
class Rhythm:
    """Steps between lines of the log and between checkpoints; the newest ``keep`` stay."""

    log: int = 50
    checkpoint: int = 500
    keep: int = 3

    def due(self, step: int, steps: int) -> tuple[bool, bool]:
        """Whether the log and a checkpoint are due after this step; after the last, both are."""
        last = step == steps
        return last or step % self.log == 0, last or step % self.checkpoint == 0


class Record:
    """Writes a run's folder after every step; in a team, only the leading process writes.

    Every checkpoint is followed by a validation of the averaged weights, samples and curves. The
    log's ``skipped`` names images that turned out unusable since the entry before.
    """

    def __init__(
        self,
        trainer: Trainer,
        run: Run,
        rhythm: Rhythm,
        validation: Validation | None,
        skipped: Skipped,
        watch: Watch,
    ) -> None:
        self.trainer = trainer
        self.run = run
        self.rhythm = rhythm
        self.validation = validation
        self.watch = watch
        self.meter = Meter(trainer)
        self.news = News(trainer.team, skipped)

    def add(self, batches: Sequence[Batch], terms: Terms) -> None:
        """Records the trainer's last step; every process of a team must call it.

        Raises:
            DivergedError: a loss or weight is NaN or infinite.
        """
        trainer = self.trainer
        self.meter.add(batches, terms)
        at_log, at_checkpoint = self.rhythm.due(trainer.step, trainer.recipe.steps)
        entry = self._entry(measured=at_log) if at_log or at_checkpoint else None
        if entry and not math.isfinite(entry.get("total", 0)):
            raise self._diverged()
        if at_checkpoint:
            self._check_weights()
        if trainer.team.leads:
            with self.meter.paused():
                if entry:
                    self._write(entry, at_checkpoint)
                self.watch(trainer.step, entry)

    def stop(self) -> None:
        """Makes sure that the last step has a checkpoint.

        Raises:
            DivergedError: as in :meth:`add`.
        """
        trainer = self.trainer
        if self.rhythm.due(trainer.step, trainer.recipe.steps)[1]:
            return
        self._check_weights()
        if trainer.team.leads:
            self._save()

    def _entry(self, *, measured: bool) -> Entry:
        entry = self.meter.flush() if measured else {"step": self.trainer.step}
        return entry | {"skipped": self.news.gather()}

    def _write(self, entry: Entry, at_checkpoint: bool) -> None:
        if at_checkpoint:
            self._save()  # first: a second Ctrl-C may end the validation
            entry |= self._validate()
        self.run.log(entry)
        if at_checkpoint and curves.have_matplotlib():
            curves.draw(self.run.entries(), self.run.path / "curves.png")

    def _save(self) -> None:
        checkpoint.save(self.run.path, self.trainer, self.rhythm.keep, self.run.make_room)

    def _validate(self) -> Entry:
        """PSNR of the averaged weights; also writes the picture."""
        if self.validation is None:
            return {}
        picture = self.run.path / "samples" / f"{self.trainer.step:08d}.png"
        return {
            "psnr": self.validation.psnr(self.trainer.average, picture),
            "psnr_input": self.validation.inputs,
        }

    def _check_weights(self) -> None:
        if not self.trainer.is_finite():
            raise self._diverged()

    def _diverged(self) -> DivergedError:
        last = self.run.last_checkpoint()
        return DivergedError(
            f"a loss or weight is not finite at step {self.trainer.step};"
            f" last good checkpoint: {last or 'none'}"
        )


class Meter:
    """Means of the loss terms and of each source's L1, and patches a second, since the last flush.

    The time is that of making batches and training on them.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self._reset()

    def _reset(self) -> None:
        self.started = time.perf_counter()
        self.terms: list[Terms] = []
        self.sources: list[Tensor] = []

    def add(self, batches: Sequence[Batch], terms: Terms) -> None:
        self.terms.append(terms)
        self.sources += [batch.source for batch in batches]

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leaves out time, for validation, checkpoints and the log."""
        began = time.perf_counter()
        yield
        self.started += time.perf_counter() - began

    def flush(self) -> Entry:
        """The log's entry; every process of a team must call it."""
        trainer, team = self.trainer, self.trainer.team
        errors = team.gather(torch.cat([t["error"] for t in self.terms]))
        sources = team.gather(torch.cat(self.sources))
        means = {
            name: float(team.gather(torch.stack([t[name] for t in self.terms])).mean())
            for name in self.terms[0]
            if name != "error"
        }
        # Only after the values are read has a GPU finished its work.
        seconds = time.perf_counter() - self.started
        entry: Entry = {
            "step": trainer.step,
            "rate": trainer.optimiser.param_groups[0]["lr"],
            "patches_per_second": round(len(errors) / seconds, 2),
            **means,
        }
        entry["l1_source"] = {
            name: float(errors[sources == k].mean())
            for k, name in enumerate(trainer.images)
            if (sources == k).any()
        }
        self._reset()
        return entry


class News:
    """Images that turned out unusable in any process, each named once."""

    def __init__(self, team: Team, skipped: Skipped) -> None:
        self.team = team
        self.skipped = skipped
        self.named: set[str] = set()

    def gather(self) -> list[str]:
        """The new ones since the last call; every process of a team must call it."""
        found = dict.fromkeys(self.team.gather_lines(self.skipped.lines()))
        lines = [line for line in found if line not in self.named]
        self.named.update(lines)
        return lines
