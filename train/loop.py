"""The loop: batches to the trainer, what it says to the log, checkpoints, validation."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from train import checkpoint, curves
from train.distributed import Team
from train.images import Skipped
from train.objective import Terms
from train.parts import Window
from train.recipe import SAMPLES_A_STEP, Recipe, Stage
from train.run import Entry, Run
from train.sources import Batch, Patches, Source, skipped_of
from train.trainer import Trainer
from train.validation import Validation

Watch = Callable[[int, Entry | None], None]
"""Called after every step with its number, and with the log's entry where there is one."""


class DivergedError(RuntimeError):
    """A loss or a weight is no longer finite; the message names the last good checkpoint."""


@dataclass(frozen=True)
class Rhythm:
    """How often things happen, in steps; how many checkpoints stay, and who makes the patches.

    Attributes:
        keep: checkpoints, the newest.
        workers: processes that make patches.
    """

    log: int = 50
    checkpoint: int = 500
    keep: int = 3
    workers: int = 1

    def due(self, step: int, steps: int) -> tuple[bool, bool]:
        """Whether the log and a checkpoint are written after this step; both after the last."""
        last = step == steps
        return last or step % self.log == 0, last or step % self.checkpoint == 0


def train(
    trainer: Trainer,
    sources: Sequence[Source],
    validation: Validation | None,
    run: Run,
    rhythm: Rhythm,
    watch: Watch = lambda _, __: None,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Follows the trainer's recipe from where it stands to its end.

    At every checkpoint the averaged weights are validated, and samples and curves are drawn.
    Entries of the log name, as ``skipped``, images that turned out unusable since the last one.

    Args:
        stop: asked after every step whether to write a checkpoint and end; a team ends together,
            after the step in which the first of its processes is to stop.

    Raises:
        KeyboardInterrupt: it was to stop.
        DivergedError: a loss or a weight is NaN or infinite; the run's checkpoints are good.
        train.sources.SourceError: training data cannot be read.
    """
    recipe, leads = trainer.recipe, trainer.team.leads
    skipped = skipped_of(sources)
    meter, news = Meter(trainer), News(trainer.team, skipped)
    while trainer.step < recipe.steps:
        for batches in _steps(trainer, sources, rhythm.workers, skipped):
            meter.add(batches, trainer.train_step(batches))
            at_log, at_checkpoint = rhythm.due(trainer.step, recipe.steps)
            entry: Entry | None = None
            if at_log or at_checkpoint:
                entry = meter.flush() if at_log else {"step": trainer.step}
                entry["skipped"] = news.gather()
            if entry and not math.isfinite(entry.get("total", 0)):
                raise _diverged(trainer, run)
            if at_checkpoint and not trainer.is_finite():
                raise _diverged(trainer, run)
            if leads:
                with meter.paused():
                    if entry and at_checkpoint:
                        entry |= _validate(trainer, validation, run)
                        checkpoint.save(run.path, trainer, rhythm.keep)
                    if entry:
                        run.log(entry)
                    if at_checkpoint and curves.have_matplotlib():
                        curves.draw(run.entries(), run.path / "curves.png")
                    watch(trainer.step, entry)
            if trainer.team.any(stop()):
                if not at_checkpoint:
                    _save_unforeseen(trainer, run, rhythm)
                # Who ends first has torchrun end the others.
                trainer.team.wait()
                raise KeyboardInterrupt


def _save_unforeseen(trainer: Trainer, run: Run, rhythm: Rhythm) -> None:
    """A checkpoint between two that were due."""
    if not trainer.is_finite():
        raise _diverged(trainer, run)
    if trainer.team.leads:
        checkpoint.save(run.path, trainer, rhythm.keep)


def _validate(trainer: Trainer, validation: Validation | None, run: Run) -> Entry:
    """PSNR of the averaged weights, and the picture of it."""
    if validation is None:
        return {}
    picture = run.path / "samples" / f"{trainer.step:08d}.png"
    return {
        "psnr": validation.psnr(trainer.average, picture),
        "psnr_input": validation.inputs,
    }


def _steps(
    trainer: Trainer, sources: Sequence[Source], workers: int, skipped: Skipped
) -> Iterator[list[Batch]]:
    """What every step from the current one to the end of its stage trains on."""
    recipe = trainer.recipe
    stage, end = recipe.stage_at(trainer.step)
    patches = patches_of(recipe, stage, sources, skipped)
    # A fixed stride between batches: sample numbers do not depend on the stages before.
    first, last = trainer.step * recipe.accumulate, end * recipe.accumulate
    indices = [
        [number * SAMPLES_A_STEP + i for i in trainer.team.share(stage.batch)]
        for number in range(first, last)
    ]
    loader: DataLoader[Any] = DataLoader(
        patches,
        batch_sampler=indices,
        num_workers=workers,
        prefetch_factor=8 if workers else None,
        worker_init_fn=_leave_signals_to_the_owner,
        pin_memory=trainer.device.type == "cuda",
        # Not the global generator, which would then depend on how often the run was interrupted.
        generator=torch.Generator(),
    )
    batches: list[Batch] = []
    for drawn in loader:
        batches.append(drawn.ready(trainer.device))
        if len(batches) == recipe.accumulate:
            yield batches
            batches = []


def patches_of(
    recipe: Recipe, stage: Stage, sources: Sequence[Source], skipped: Skipped | None = None
) -> Patches:
    """The samples of a stage; ``skipped`` as of :class:`train.sources.Patches`."""
    settings = [recipe.sources[source.name] for source in sources]
    side = recipe.config().scene
    windows = [Window(stage.patch, stage.scene, zoom=s.zoom, picture=side) for s in settings]
    probabilities = [s.probability for s in settings]
    return Patches(sources, probabilities, windows, recipe.seed, skipped=skipped)


def _leave_signals_to_the_owner(_: int) -> None:
    """What ends a run reaches its group of processes, whose patches a last step may still need."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # By this their owner ends those that hang, and by nothing else.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(os, "setpgrp"):
        os.setpgrp()


def _diverged(trainer: Trainer, run: Run) -> DivergedError:
    last = run.last_checkpoint()
    return DivergedError(
        f"not finite at step {trainer.step}; last good checkpoint: {last or 'none'}"
    )


class Meter:
    """Means of the loss terms and of every source's L1, and patches a second, since last flushed.

    The seconds are those of making batches and of training on them.
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
        """Time that does not count: for validation, checkpoints, the log."""
        began = time.perf_counter()
        yield
        self.started += time.perf_counter() - began

    def flush(self) -> Entry:
        """The entry of the log; every process of a team has to take part."""
        trainer, team = self.trainer, self.trainer.team
        errors = team.gather(torch.cat([t["error"] for t in self.terms]))
        sources = team.gather(torch.cat(self.sources))
        means = {
            name: float(team.gather(torch.stack([t[name] for t in self.terms])).mean())
            for name in self.terms[0]
            if name != "error"
        }
        # Only now has a GPU done what it was asked for.
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
    """Images that turned out unusable, whichever process met them, each named once."""

    def __init__(self, team: Team, skipped: Skipped) -> None:
        self.team = team
        self.skipped = skipped
        self.named: set[str] = set()

    def gather(self) -> list[str]:
        """What is new since the last call; every process of a team has to take part."""
        found = dict.fromkeys(self.team.gather_lines(self.skipped.news()))
        lines = [line for line in found if line not in self.named]
        self.named.update(lines)
        return lines
