"""``baryir train``: the max-min loop over the paper's objective, from a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from baryir_cli.errors import UsageError, UserError


def train(
    recipe: Annotated[
        str, typer.Option(help="Recipe that ships with the tool, or a TOML file.")
    ] = "small",
    data: Annotated[Path, typer.Option(help="Folder laid out as data/Train.")] = Path("data/Train"),
    out: Annotated[Path, typer.Option(help="Folder of the run; an unfinished one goes on.")] = Path(
        "runs/small"
    ),
    init: Annotated[
        str | None,
        typer.Option(help="Weights to begin from: a name, hf:owner/repo, or a file."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Another length than the recipe's.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    workers: Annotated[int, typer.Option(min=0, help="Processes that make patches.")] = 1,
) -> None:
    """Train a network with the adversarial barycenter objective.

    Writes OUT/last.pt, OUT/log.jsonl and, at the end, OUT/weights.safetensors.
    """
    from baryir_cli.console import messages
    from baryir_cli.device import keep_freed_memory, resolve_device
    from baryir_cli.references import find_weights
    from models.weights import WeightsError, read_weights
    from train.checkpoint import CheckpointError
    from train.export import export_weights
    from train.loop import DivergedError, with_steps
    from train.loop import train as follow
    from train.recipe import Recipe, RecipeError
    from train.sources import SourceError

    keep_freed_memory()
    console = messages()

    def show(entry: dict[str, Any]) -> None:
        errors = "  ".join(f"{name} {value:.4f}" for name, value in entry["l1_source"].items())
        speed = f"{entry['patches_per_second']:.0f} patches/s"
        console.print(f"step {entry['step']}/{plan.steps}  {errors}  {speed}", markup=False)

    try:
        plan = with_steps(Recipe.load(_recipe_file(recipe)), steps)
        weights = None if init is None else read_weights(find_weights(init).path)
        resolved = str(resolve_device(device))
        trainer = follow(plan, data, out, log=show, device=resolved, start=weights, workers=workers)
    except (RecipeError, SourceError, DivergedError, CheckpointError, WeightsError) as error:
        raise UserError(str(error)) from None
    if trainer.team.leads:
        export_weights(out / "last.pt", out / "weights.safetensors", {"data": str(data)})
        console.print(f"wrote {out / 'weights.safetensors'}", markup=False)


def _recipe_file(name: str) -> Path:
    from importlib.resources import files

    folder = Path(str(files("train"))) / "recipes"
    for path in (folder / f"{name}.toml", Path(name)):
        if path.is_file():
            return path
    names = ", ".join(sorted(p.stem for p in folder.glob("*.toml")))
    raise UsageError(f"no recipe {name!r}: neither one that ships ({names}) nor a file")
