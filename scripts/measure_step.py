"""How much faster a training step is than one written the reference's way.

    python scripts/measure_step.py [--preset official] [--patch 128] [--batch 3] [--device cpu]

The reference's way is its recipe, with a second forward of the whole network for the potentials and
two steps of them, in PyTorch's own memory format (NCHW) and with the C library's own use of memory.
Ours is the paper's objective as ``baryir train`` takes it. Both are float32 and take turns, each in
its own process. Patches are random, which costs the same, and making them is left out.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace

import torch
from measure_objectives import NAMES, nowhere, random_batch
from measure_ratio import alone

from baryir_cli.memory import keep_freed_memory
from models.presets import PRESETS
from train.recipe import Recipe, SourceRecipe, Stage, shipped
from train.sources import Batch
from train.trainer import Trainer

STEPS = 4
"""Steps per round, of which the median counts; one more warms up."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="official", choices=sorted(PRESETS))
    parser.add_argument("--patch", type=int, default=128)
    parser.add_argument("--batch", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    asked = (options.preset, options.patch, options.batch, options.device)
    ratios = []
    for _ in range(options.rounds):
        reference, _ = alone(step_of, "reference", *asked)
        ours, _ = alone(step_of, "paper", *asked)
        ratios.append(reference / ours)
        print(f"reference {reference:.3f} s, ours {ours:.3f} s, {ratios[-1]:.2f} times", flush=True)
    print(f"{statistics.median(ratios):.2f} times as fast")


def step_of(objective: str, preset: str, patch: int, batch: int, device: str) -> tuple[float, None]:
    """Seconds of a training step by the recipe of one of the objectives."""
    stage = Stage(1.0, patch, batch)
    recipe = replace(
        Recipe.load(shipped()[objective]),
        preset=preset,
        sources={name: SourceRecipe() for name in NAMES},
        stages=(stage,),
    )
    trainer = Trainer(recipe, nowhere(), device)
    given = random_batch(stage, recipe.config().scene)
    if objective == "paper":
        keep_freed_memory()
    else:
        trainer.network.to(memory_format=torch.contiguous_format)
        given = Batch(*(tensor.contiguous() for tensor in given))
    given = Batch(*(tensor.to(device) for tensor in given))
    seconds = []
    for _ in range(STEPS + 1):
        began = time.perf_counter()
        trainer.train_step([given])
        if trainer.device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:]), None


if __name__ == "__main__":
    main()
