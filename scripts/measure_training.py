"""The speed of training steps and of making their patches, to see which limits a run.

    python scripts/measure_training.py DATA [--recipe small-rest] [--device cuda] [--workers 14]

DATA is a folder like data/Train. For every size it prints patches per second of the network alone,
on a repeated batch, and of the loader alone. ``--parts profile`` shows where the network spends its
time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch.profiler import profile
from torch.utils.data import default_collate

from baryir_cli.weights.references import find_weights, load
from train.loop import loader_of, patches_of
from train.recipe import Recipe, Stage, shipped
from train.sources import Batch, Patches, Source, gather
from train.trainer import Trainer

SECONDS = 3.0
"""Seconds measured for every figure, after as many to warm up."""
PARTS = ["network", "loader", "profile"]
WARM_UP = 3
"""Steps before the profiled ones."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--recipe", default="small-rest", choices=shipped())
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--workers", type=int, default=14)
    parser.add_argument("--sizes", nargs="+", default=["64x128", "64x192"], metavar="BATCHxPATCH")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS[:2])
    options = parser.parse_args()
    recipe = replace(Recipe.load(shipped()[options.recipe]), compile=options.compile)
    sources = gather(recipe, options.data)
    for size in options.sizes:
        batch, patch = map(int, size.split("x"))
        stage = Stage(1.0, patch, batch, max(patch, recipe.stages[0].scene))
        sized = replace(recipe, stages=(stage,))
        patches = patches_of(sized, stage, sources)
        if "network" in options.parts:
            rate = per_second(network_step(sized, sources, patches, options.device))
            print(f"{size}: network {rate:.0f} patches/s", flush=True)
        if "profile" in options.parts:
            print(profiled(network_step(sized, sources, patches, options.device), options.device))
        if "loader" in options.parts:
            rate = loader_rate(patches, batch, options.workers, options.device)
            print(f"{size}: loader {rate:.0f} patches/s", flush=True)


def network_step(
    recipe: Recipe, sources: list[Source], patches: Patches, device: str
) -> Callable[[], int]:
    """Returns a function that takes a step and returns its number of patches."""
    trainer = Trainer(recipe, sources, device, start=load(find_weights("small")))
    count = recipe.stages[0].batch
    drawn: Batch = default_collate([patches[i] for i in range(16)])
    again = Batch(*(torch.cat([t] * (-(-count // 16)))[:count] for t in drawn))
    ready = again.ready(trainer.device)

    def step() -> int:
        trainer.train_step([ready])
        if trainer.step % 20 == 0:
            float(ready.source.sum())  # waits for the GPU
        return count

    return step


def profiled(step: Callable[[], int], device: str) -> str:
    """The most expensive operations of some steps, one line each."""
    kind = device.split(":")[0]
    for _ in range(WARM_UP):
        step()
    with profile() as found:
        for _ in range(3):
            step()
    return str(found.key_averages().table(sort_by=f"self_{kind}_time_total", row_limit=25))


def loader_rate(patches: Patches, batch: int, workers: int, device: str) -> float:
    def numbers() -> Iterator[list[int]]:
        for first in range(0, 1 << 30, batch):
            yield list(range(first, first + batch))

    batches = iter(loader_of(patches, numbers(), workers, torch.device(device)))
    return per_second(lambda: len(next(batches).source))


def per_second(step: Callable[[], int]) -> float:
    """The rate of ``step`` per second, once warm."""
    rate = 0.0
    for _ in range(2):
        began, done = time.perf_counter(), 0
        while time.perf_counter() - began < SECONDS:
            done += step()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        rate = done / (time.perf_counter() - began)
    return rate


if __name__ == "__main__":
    main()
