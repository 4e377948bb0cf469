"""The cost of a training step: potentials on the network's own latents, on fresh ones, plain L1.

    python scripts/measure_objectives.py [--patch 96] [--batch 6] [--steps 12]

Measures processor time on one thread, without making patches. The three take their steps in turn,
so other work on the machine affects them alike.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace
from pathlib import Path

import torch

from models.scene import whole_place
from train.parts import Paired
from train.recipe import Recipe, SourceRecipe, Stage
from train.sources import Batch, Source
from train.trainer import Trainer

NAMES = ("denoise", "derain", "dehaze", "deblur", "lowlight")


def random_batch(stage: Stage, picture: int) -> Batch:
    degraded, target, scene, scene_target = (
        torch.rand(stage.batch, 3, side, side).contiguous(memory_format=torch.channels_last)
        for side in (stage.patch, stage.patch, picture, picture)
    )
    source = torch.randint(len(NAMES), (stage.batch,))
    return Batch(degraded, target, source, scene, scene_target, whole_place(scene))


def nowhere() -> list[Source]:
    """Sources of the five degradations, none of which is ever read."""
    pair = (Path("degraded.png"), Path("target.png"))
    return [Source(name, ((1.0, Paired((pair,), "nowhere")),)) for name in NAMES]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patch", type=int, default=96)
    parser.add_argument("--batch", type=int, default=6)
    parser.add_argument("--steps", type=int, default=12)
    args = parser.parse_args()
    torch.set_num_threads(1)
    stage = Stage(1.0, args.patch, args.batch)
    recipe = Recipe(
        preset="small", sources={name: SourceRecipe() for name in NAMES}, stages=(stage,)
    )
    recipes = {
        "plain L1": replace(recipe, losses=()),
        "latents of the network's own forward": recipe,
        "fresh latents": replace(recipe, fresh_latents=True),
    }
    trainers = {name: Trainer(each, nowhere()) for name, each in recipes.items()}
    seconds: dict[str, list[float]] = {name: [] for name in recipes}
    for _ in range(args.steps + 2):
        batch = random_batch(stage, recipe.config().scene)
        for name, trainer in trainers.items():
            began = time.process_time()
            trainer.train_step([batch])
            seconds[name].append(time.process_time() - began)
    medians = {name: statistics.median(values[2:]) for name, values in seconds.items()}
    print("| objective | s a step | relative |")
    print("|---|---|---|")
    for name, median in medians.items():
        print(f"| {name} | {median:.3f} | {median / medians['plain L1']:.2f} |")


if __name__ == "__main__":
    main()
