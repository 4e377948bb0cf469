"""``baryir train``: the max-min loop of a recipe whose entries options override."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from baryir_cli.commands import completion
from baryir_cli.engine_options import DEVICES
from baryir_cli.errors import UsageError
from baryir_cli.files.paths import settled_option
from models.wording import numbers

DATA, NETWORK, OBJECTIVE = "Data", "Network", "Objective"
OPTIMISATION, RUN, MACHINE = "Optimisation", "Run", "Machine"


def option(text: str, panel: str, *names: str, default: str = "", **settings: Any) -> Any:
    """An option with the recipe's default; ``default`` shows that of the recipe ``paper``."""
    text += f"  \\[default: {default}]" if default else ""
    return typer.Option(*names, help=text, rich_help_panel=panel, show_default=False, **settings)


def train(
    sources: Annotated[
        list[str] | None,
        option(
            "Degradations to train on: denoise (or denoise_15 ...), derain, dehaze, deblur,"
            " lowlight, single. Takes several. (paper: three of them, or five)",
            DATA,
            default="denoise derain dehaze deblur lowlight",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        option(
            "Folder laid out like the reference's data/Train, which is used if none of --data,"
            " --clean and --single is given. A resumed run has its own three.",
            DATA,
        ),
    ] = None,
    clean: Annotated[
        list[Path] | None,
        option("Folders of clean photographs to synthesise degradations on.", DATA),
    ] = None,
    single: Annotated[
        Path | None,
        option("Folder of the source `single`, holding degraded/ and target/.", DATA),
    ] = None,
    noise: Annotated[
        list[float] | None,
        option("Noise levels in 8-bit steps. (paper: 15 25 50)", DATA, default="15 25 50"),
    ] = None,
    clean_share: Annotated[
        float | None,
        option("Share of synthetic pairs left undegraded. (paper: 0)", DATA, default="0"),
    ] = None,
    recipe: Annotated[
        str | None,
        option(
            "A built-in recipe: paper (the default), reference (what the authors' code does),"
            " small, small-judge, small-rest, small-gpu (parts of the embedded weights' training),"
            " small-trial (short trials).",
            OBJECTIVE,
        ),
    ] = None,
    config: Annotated[Path | None, option("Your own recipe file.", OBJECTIVE)] = None,
    losses: Annotated[
        list[str] | None,
        option(
            "Terms of L_T: mwb irc bro, or none for the pixel loss alone (Table IX).",
            OBJECTIVE,
            default="mwb irc bro",
        ),
    ] = None,
    weights: Annotated[
        Literal["proportion", "inverse", "uniform", "sampling"] | None,
        option(
            "Barycenter weights l_k of the sources, by number of images (Table X). For network"
            " weights, see --init. (paper: proportion)",
            OBJECTIVE,
            default="proportion",
        ),
    ] = None,
    pixel_loss: Annotated[
        Literal["l1", "psnr"] | None,
        option(
            "Pixel loss: L1, or what the PSNR lacks to 40 dB. (paper: l1)", OBJECTIVE, default="l1"
        ),
    ] = None,
    pixel_weight: Annotated[
        float | None,
        option(
            "Weight of the pixel and judge losses. (reference: 10000; paper: unknown)",
            OBJECTIVE,
            default="1",
        ),
    ] = None,
    map_weight: Annotated[
        float | None,
        option("Weight of L_T. (reference: 1; paper: unknown)", OBJECTIVE, default="0.005"),
    ] = None,
    gamma: Annotated[
        float | None,
        option(
            "Weight of IRC and BRO within L_T. (reference: 0.05; paper: unknown)",
            OBJECTIVE,
            default="0.1",
        ),
    ] = None,
    preset: Annotated[
        str | None,
        option(
            "Network by name: official, paper (the paper's Restormer), promptir, small, tiny.",
            NETWORK,
            default="paper",
        ),
    ] = None,
    network: Annotated[
        list[str] | None,
        option(
            "Fields of its configuration: width=32 'heads=\\[1,2]' ... (x=1 lists all fields.)",
            NETWORK,
        ),
    ] = None,
    init: Annotated[
        str | None,
        option(
            "Weights to start from: a name or a file.", NETWORK, autocompletion=completion.weights
        ),
    ] = None,
    steps: Annotated[
        int | None,
        option("Optimiser steps. (paper: unknown)", OPTIMISATION, default="300000", min=1),
    ] = None,
    epochs: Annotated[
        float | None,
        option(
            "Passes over the images, instead of --steps. (reference: 57 to 65; paper: unknown)",
            OPTIMISATION,
        ),
    ] = None,
    batch: Annotated[
        int | None,
        option(
            "Patches per batch, over all processes. (paper: 8 or more make no difference;"
            " reference: 3)",
            OPTIMISATION,
            default="8",
        ),
    ] = None,
    patch: Annotated[
        int | None,
        option("Side of the patches in pixels. (paper: 128)", OPTIMISATION, default="128"),
    ] = None,
    accumulate: Annotated[
        int | None, option("Batches per step. (paper: 1)", OPTIMISATION, default="1")
    ] = None,
    lr: Annotated[
        float | None,
        option(
            "Learning rate of the network. (reference: 1e-4; paper: unknown)",
            OPTIMISATION,
            default="0.0001",
        ),
    ] = None,
    potentials_lr: Annotated[
        float | None,
        option(
            "Learning rate of the potentials. (reference: 1e-4; paper: unknown)",
            OPTIMISATION,
            default="0.0001",
        ),
    ] = None,
    optimiser: Annotated[
        Literal["rmsprop", "adamw", "muon"] | None,
        option("Optimiser of the network. (paper: rmsprop)", OPTIMISATION, default="rmsprop"),
    ] = None,
    schedule: Annotated[
        Literal["step", "cosine", "constant"] | None,
        option("Schedule of the learning rates. (paper: step)", OPTIMISATION, default="step"),
    ] = None,
    warm_up: Annotated[
        int | None, option("Warm-up steps. (paper: none)", OPTIMISATION, default="200")
    ] = None,
    clip: Annotated[
        float | None, option("Largest gradient norm. (paper: none)", OPTIMISATION, default="1")
    ] = None,
    ema: Annotated[
        float | None,
        option(
            "Decay of the averaged weights, 0 for none. (paper: none)",
            OPTIMISATION,
            default="0.999",
        ),
    ] = None,
    seed: Annotated[
        int | None, option("Seed of weights and samples.", OPTIMISATION, default="0")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder of the run.", callback=settled_option, rich_help_panel=RUN)
    ] = Path("runs/baryir"),
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Continue from OUT's last checkpoint.", rich_help_panel=RUN),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the run in OUT.", rich_help_panel=RUN)
    ] = False,
    checkpoint_every: Annotated[
        int,
        typer.Option(
            min=1, help="Steps between checkpoints, with validation.", rich_help_panel=RUN
        ),
    ] = 500,
    keep: Annotated[
        int, typer.Option(min=1, help="Number of checkpoints to keep.", rich_help_panel=RUN)
    ] = 3,
    log_every: Annotated[
        int, typer.Option(min=1, help="Steps between lines of the log.", rich_help_panel=RUN)
    ] = 50,
    holdout: Annotated[
        float | None,
        option("Share of the images held out for validation.", RUN, min=0, max=0.5, default="0.04"),
    ] = None,
    tensorboard: Annotated[
        bool,
        typer.Option(
            "--tensorboard", help="Also write TensorBoard event files.", rich_help_panel=RUN
        ),
    ] = False,
    device: Annotated[str, typer.Option(help=DEVICES, rich_help_panel=MACHINE)] = "auto",
    precision: Annotated[
        Literal["fp32", "bf16", "fp16"] | None,
        option("Precision of the network; losses are always fp32.", MACHINE, default="fp32"),
    ] = None,
    compile: Annotated[
        bool | None,
        option("Use torch.compile.", MACHINE, "--compile/--no-compile", default="no-compile"),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            min=0, help="Processes that prepare patches, per device.", rich_help_panel=MACHINE
        ),
    ] = 1,
) -> None:
    """Train a network with the adversarial barycenter objective.

    Anything not given comes from the recipe; the defaults shown are those of the
    recipe paper. OUT receives checkpoints, a log, samples, curves and
    weights.safetensors, for `baryir restore --weights`.

    In parentheses: the values of the paper and of the authors' code (reference);
    unknown where our copy of the paper's text has lost the number.

    Several devices: torchrun --nproc-per-node N -m baryir_cli train ...
    """
    from baryir_cli.training.folders import folders_of
    from baryir_cli.training.overrides import Overrides, overridden, recipe_file
    from baryir_cli.training.run import Request, conduct
    from train.data_folders import DataFolders

    if epochs is not None and steps is not None:
        raise UsageError("--epochs and --steps both set the length of the run; give only one")
    if epochs is not None and not 0 < epochs < float("inf"):
        raise UsageError(f"--epochs {epochs:g}: use {numbers(above=0)}")
    if resume and overwrite:
        raise UsageError("--resume continues a run, --overwrite replaces it; give only one")
    entries = {
        "noise": noise,
        "clean_share": clean_share,
        "losses": losses,
        "weights": weights,
        "pixel_loss": pixel_loss,
        "pixel_weight": pixel_weight,
        "map_weight": map_weight,
        "gamma": gamma,
        "preset": preset,
        "steps": steps,
        "accumulate": accumulate,
        "learning_rate": lr,
        "potentials_rate": potentials_lr,
        "optimiser": optimiser,
        "schedule": schedule,
        "warm_up": warm_up,
        "clip": clip,
        "ema": ema,
        "seed": seed,
        "precision": precision,
        "compile": compile,
    }
    resumed = out if resume else None
    overrides = Overrides(
        _given(entries),
        stage=_given({"batch": batch, "patch": patch}),
        sources=sources or [],
        network=network or [],
    )
    plan = overridden(recipe_file(recipe, config, resumed), overrides)
    if single and "single" not in plan.sources:
        raise UsageError("--single is only for the source single; add it to --sources")
    if noise and "denoise" not in plan.sources:
        raise UsageError("--noise is only for the source denoise; add it to --sources")
    folders = DataFolders(data, tuple(clean or ()), single)
    if not folders.all:
        folders = folders_of(resumed, list(plan.sources))
    if holdout is not None:
        folders = replace(folders, holdout=holdout)
    conduct(
        Request(
            recipe=plan,
            epochs=epochs,
            folders=folders,
            init=init,
            out=out,
            resume=resume,
            overwrite=overwrite,
            checkpoint_every=checkpoint_every,
            keep=keep,
            log_every=log_every,
            tensorboard=tensorboard,
            device=device,
            workers=workers,
        )
    )


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
