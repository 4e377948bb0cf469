"""The loop: feeds batches to the trainer and its loss terms to the record."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, cast

import torch
from torch.utils.data import DataLoader

from train.images import Skipped
from train.parts import Window
from train.recipe import SAMPLES_A_BATCH, Recipe, Stage
from train.record import Record, Rhythm, Watch
from train.run import Run
from train.sources import Batch, Patches, Source, skipped_of
from train.trainer import Trainer
from train.validation import Validation


def train(
    trainer: Trainer,
    sources: Sequence[Source],
    validation: Validation | None,
    run: Run,
    rhythm: Rhythm,
    watch: Watch = lambda _, __: None,
    stop: Callable[[], bool] = lambda: False,
    *,
    workers: int = 1,
) -> None:
    """Follows the trainer's recipe from its current step to the end.

    Args:
        stop: asked after every step whether to write a checkpoint and end. A team ends together,
            after the step in which the first of its processes wants to stop.
        workers: processes that make patches.

    Raises:
        KeyboardInterrupt: ``stop`` returned true.
        train.record.DivergedError: a loss or weight is NaN or infinite; the run's checkpoints are
            good.
        train.sources.SourceError: training data cannot be read.
    """
    skipped = skipped_of(sources)
    record = Record(trainer, run, rhythm, validation, skipped, watch)
    while trainer.step < trainer.recipe.steps:
        for batches in _steps(trainer, sources, workers, skipped):
            record.add(batches, trainer.train_step(batches))
            # After the last step there is nothing left to stop.
            if trainer.step < trainer.recipe.steps and trainer.team.any(stop()):
                record.stop()
                # When one process ends, torchrun kills the others.
                trainer.team.wait()
                raise KeyboardInterrupt


def _steps(
    trainer: Trainer, sources: Sequence[Source], workers: int, skipped: Skipped
) -> Iterator[list[Batch]]:
    """The batches of every step, from the current one to the end of its stage."""
    recipe = trainer.recipe
    stage, end = recipe.stage_at(trainer.step)
    patches = patches_of(recipe, stage, sources, skipped)
    # A fixed stride between batches, so that sample numbers do not depend on earlier stages.
    first, last = trainer.step * recipe.accumulate, end * recipe.accumulate
    numbers = (
        [number * SAMPLES_A_BATCH + i for i in trainer.team.share(stage.batch)]
        for number in range(first, last)
    )
    batches: list[Batch] = []
    for drawn in loader_of(patches, numbers, workers, trainer.device):
        batches.append(drawn.ready(trainer.device))
        if len(batches) == recipe.accumulate:
            yield batches
            batches = []


def loader_of(
    patches: Patches, numbers: Iterable[list[int]], workers: int, device: torch.device
) -> Iterable[Batch]:
    """Batches of the samples with these numbers, made by ``workers`` processes."""
    return DataLoader(
        patches,
        batch_sampler=cast(Any, numbers),  # typed with a length, which is never used
        num_workers=workers,
        prefetch_factor=8 if workers else None,
        worker_init_fn=_leave_signals_to_the_owner,
        pin_memory=device.type == "cuda",
        # Not the global generator: its state would depend on how often the run was interrupted.
        generator=torch.Generator(),
    )


def patches_of(
    recipe: Recipe, stage: Stage, sources: Sequence[Source], skipped: Skipped | None = None
) -> Patches:
    """The samples of a stage; ``skipped`` as in :class:`train.sources.Patches`."""
    settings = [recipe.sources[source.name] for source in sources]
    side = recipe.config().scene
    windows = [Window(stage.patch, stage.scene, zoom=s.zoom, picture=side) for s in settings]
    probabilities = [s.probability for s in settings]
    return Patches(sources, probabilities, windows, recipe.seed, skipped=skipped)


def _leave_signals_to_the_owner(_: int) -> None:
    """Keeps workers alive when a signal reaches the group: a last step may need their patches."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The owner ends workers that hang with this signal.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(os, "setpgrp"):
        os.setpgrp()
