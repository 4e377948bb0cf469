"""Carries out a requested run: data, network, folder, display."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from baryir_cli.engine.device import out_of_memory, resolve_device
from baryir_cli.errors import ExitCode, StoppedError, UsageError, UserError, told_by_system
from baryir_cli.files.atomic import make_folder
from baryir_cli.memory import keep_freed_memory
from baryir_cli.shell.console import messages, printable
from baryir_cli.shell.patience import patience
from baryir_cli.shell.units import counted
from baryir_cli.training.panel import TrainingDisplay, source_table
from baryir_cli.weights.references import find_weights, load
from models.network import parameter_count
from models.weights import WeightsError
from models.wording import choices
from train import checkpoint
from train.checkpoint import CheckpointError
from train.curves import have_matplotlib
from train.data_folders import DataFolders
from train.distributed import Team, TeamError, local_device, team
from train.export import export_weights
from train.loop import train
from train.recipe import Recipe, RecipeError
from train.record import DivergedError, Rhythm
from train.run import Entry, Run, RunError
from train.sources import Source, SourceError, gather, split
from train.trainer import Trainer
from train.validation import Validation

EXTRA = "pip install '.[train]' in baryir's folder"


@dataclass(frozen=True)
class Request:
    """A run as requested; see ``baryir train --help``."""

    recipe: Recipe
    epochs: float | None
    folders: DataFolders
    init: str | None
    out: Path
    resume: bool
    overwrite: bool
    checkpoint_every: int
    keep: int
    log_every: int
    tensorboard: bool
    device: str
    workers: int


def conduct(request: Request) -> None:
    """Trains and writes the run's folder.

    Raises:
        UserError: the request cannot be carried out, or the run failed.
    """
    keep_freed_memory()
    run = Run(request.out)
    try:
        device = resolve_device(local_device(request.device))
        with team(device) as together, _silent_unless(together.leads):
            _conduct(request, str(device), together, run)
    except KeyboardInterrupt:
        raise StoppedError(f"interrupted; {_left(run)}") from None
    except (RecipeError, RunError) as error:  # nothing is written yet
        raise UsageError(str(error)) from None
    except (TeamError, CheckpointError) as error:
        raise UserError(f"{error}; {_left(run)}") from None
    except (SourceError, DivergedError, WeightsError) as error:
        raise UserError(str(error)) from None
    except RuntimeError as error:
        if out_of_memory(error):
            problem = "out of memory: use a smaller --batch or --patch"
        elif "DataLoader worker" in str(error):
            problem = "a process that makes patches was killed"
        else:
            raise
        raise UserError(f"{problem}; {_left(run)}") from None


@contextmanager
def _silent_unless(leads: bool) -> Iterator[None]:
    """Lets only the leading process report an interruption; the others end silently."""
    try:
        yield
    except KeyboardInterrupt:
        if leads:
            raise
        raise SystemExit(ExitCode.INTERRUPTED) from None


def _left(run: Run) -> str:
    """What remains of a run that ended early."""
    if run.holds_another:
        return f"the old run in {run.path} is unchanged"
    last = run.last_checkpoint()
    return (
        f"--resume continues from {last}" if last else "there is no checkpoint to resume from yet"
    )


def _conduct(request: Request, device: str, together: Team, run: Run) -> None:
    sources, held_out = _sources(request)
    recipe = request.recipe
    if request.tensorboard:
        _summary_writer()
    if request.epochs is not None:
        images = sum(source.count for source in sources)
        recipe = replace(recipe, steps=recipe.steps_of(request.epochs, images))
    last = run.to_resume() if request.resume else None
    changes: list[str] = []
    if last:
        trainer = Trainer(recipe, sources, device, team=together)
        changes = _go_on_from(last, trainer, run)
    else:
        trainer = _beginning(request, recipe, sources, device, together)
    validation = None
    if held_out and together.leads:
        validation = Validation(held_out, recipe.config())
    together.wait()
    if together.leads:
        if last:
            run.go_on(recipe, request.folders, trainer.step, changes)
        else:
            run.begin(recipe, request.folders, overwrite=request.overwrite)
            # An old run stays until the first checkpoint, too late to find that it cannot go.
            make_folder(run.path)
        console = messages()
        weights, q = trainer.objective.weights.tolist(), trainer.probabilities.tolist()
        console.print(source_table(sources, held_out, q, weights))
        for line in (_opening(trainer, last), *_notes(request, trainer, changes)):
            console.print(printable(line), markup=False)
    try:
        _follow(request, trainer, sources, validation, run)
        if together.leads:
            target = run.path / "weights.safetensors"
            export_weights(trainer, target, {"data": _data(request, sources)})
            messages().print(f"wrote {printable(target)}", markup=False)
    except OSError as error:  # such as a full disk
        raise UserError(f"{told_by_system(error)}; {_left(run)}") from None


def _beginning(
    request: Request, recipe: Recipe, sources: list[Source], device: str, together: Team
) -> Trainer:
    """A trainer for a new run, with the weights of ``--init`` if given."""
    if recipe.frozen and not request.init:
        raise RecipeError(
            f"{', '.join(recipe.frozen)} cannot be frozen without --init, the weights to keep"
        )
    start = load(find_weights(request.init)) if request.init else None
    try:
        return Trainer(recipe, sources, device, start=start, team=together)
    except WeightsError as error:
        raise UsageError(
            f"--init {request.init}: {error}; choose a matching network with --preset"
        ) from None


def _data(request: Request, sources: list[Source]) -> list[str]:
    """Origins of the sources for publication: without the parents of the given folders."""
    given = {str(folder): folder.name for folder in request.folders.all if folder.name}
    origins = [source.origin for source in sources]
    for path in sorted(given, key=len, reverse=True):  # one may lie in another
        origins = [origin.replace(path, given[path]) for origin in origins]
    return origins


def _go_on_from(last: Path, trainer: Trainer, run: Run) -> list[str]:
    """Loads a run's last checkpoint; returns what has changed, in words."""
    try:
        changes = checkpoint.load(last, trainer)
    except CheckpointError as error:
        way = "there is no other checkpoint"
        if before := checkpoint.checkpoints(run.path)[:-1]:
            way = f"remove {last}, and --resume continues from {before[-1]}"
        raise UserError(f"{error}; {way}") from None
    steps = trainer.recipe.steps
    if trainer.step > steps:
        raise RunError(f"{run.path} is already at step {trainer.step}, past {steps}")
    return changes


def _follow(
    request: Request,
    trainer: Trainer,
    sources: list[Source],
    validation: Validation | None,
    run: Run,
) -> None:
    rhythm = Rhythm(request.log_every, request.checkpoint_every, request.keep)
    if not trainer.team.leads:
        with patience() as stop:
            train(trainer, sources, None, run, rhythm, stop=stop, workers=request.workers)
        return
    console = messages()
    display = TrainingDisplay(console, trainer.step, trainer.recipe.steps)
    if request.tensorboard:
        run.listeners.append(_tensorboard(run.path, trainer.step))
    if validation:
        display.skip(validation.skipped)
    # In a team, the other processes may have ended; then there is no such step.
    alone = trainer.team.size == 1
    said = "stopping after this step; Ctrl-C again stops at once" if alone else "asked to stop"
    held = patience(lambda: console.print(said))
    with display, held as stop:
        train(
            trainer, sources, validation, run, rhythm, display.update, stop, workers=request.workers
        )
    if display.skipped:
        console.print(f"unusable images skipped: {display.skipped}")


def _sources(request: Request) -> tuple[list[Source], list[Source]]:
    """The sources to train on and those to validate with.

    Raises:
        UsageError: a source has no data.
    """
    try:
        folders = request.folders
        sources = gather(request.recipe, folders.data, folders.clean, folders.single)
        return split(sources, folders.holdout) if folders.holdout else (sources, [])
    except SourceError as error:
        raise UsageError(str(error)) from None


def _opening(trainer: Trainer, resumed: Path | None) -> str:
    recipe = trainer.recipe
    parts = [f"continuing from {resumed}"] if resumed and not _is_complete(trainer) else []
    parts += [
        f"{recipe.objective} objective" if recipe.losses else f"{recipe.pixel_loss.upper()} alone",
        f"network {recipe.preset}, {parameter_count(trainer.network) / 1e6:.1f} M parameters",
        *([f"frozen: {' '.join(recipe.frozen)}"] if recipe.frozen else []),
        f"{recipe.optimiser}, {recipe.schedule} schedule",
        str(trainer.device),
    ]
    if trainer.team.size > 1:
        parts.append(f"{trainer.team.size} processes")
    return ", ".join(parts)


def _is_complete(trainer: Trainer) -> bool:
    return trainer.step == trainer.recipe.steps


def _notes(request: Request, trainer: Trainer, changes: list[str]) -> Iterator[str]:
    """Notes on what the user may not have intended."""
    if request.resume and request.init:
        yield "--init is ignored: it applies only when a run begins"
    if changes:
        yield f"changed since the run began: {', '.join(changes)}"
    if _is_complete(trainer):
        yield f"the run is complete, all {trainer.step} steps; a larger --steps continues it"
    else:
        yield from _doubts(trainer)


def _doubts(trainer: Trainer) -> Iterator[str]:
    """Notes on settings that may do nothing, or not what was meant, in the steps to come."""
    recipe = trainer.recipe
    if trainer.precision != recipe.precision:
        yield f"using {trainer.precision}: {recipe.precision} would be slower on this processor"
    if 2 * recipe.warm_up > recipe.steps:
        yield (
            f"the warm-up takes {counted(recipe.warm_up, 'step')} and the whole run "
            f"{recipe.steps}; "
            "shorten it with --warm-up"
        )
    if len(recipe.sources) == 1 and recipe.losses:
        yield "with one source there is no barycenter to find: IRC and the potentials do nothing"
    elif recipe.objective == "paper" and "irc" in recipe.losses:
        yield from _contrast_notes(trainer)
    yield from _noise_notes(recipe)
    if not have_matplotlib():
        yield f"no curves.png without matplotlib: {EXTRA}"


def _noise_notes(recipe: Recipe) -> Iterator[str]:
    """Whether shares of the recipe do nothing for ``denoise``, since its noise has levels."""
    if recipe.noise_range is not None or "denoise" not in recipe.sources:
        return
    shares = ("film_share", "camera_share", "jpeg_share")
    if unused := [name for name in shares if getattr(recipe, name)]:
        yield (
            f"denoise takes no {choices(unused)} while its noise has levels;"
            " set noise_range instead of them"
        )


def _contrast_notes(trainer: Trainer) -> Iterator[str]:
    """Whether batches are too small for the paper's IRC."""
    q = trainer.probabilities
    batch = min(stage.batch for stage in trainer.recipe.stages)
    alone = float((q * (1 - q) ** (batch - 1)).sum())
    if batch < 3:
        yield (
            f"IRC is always 0 in batches of {batch}: it compares two patches of one source with"
            " another source's; use a --batch of 3 or more"
        )
    elif alone > 0.5:
        yield (
            f"{alone:.0%} of the patches are the only ones of their source in a batch of {batch},"
            " so IRC teaches little; use a larger --batch"
        )


def _summary_writer() -> Callable[..., Any]:
    """TensorBoard's writer of event files.

    Raises:
        UserError: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UserError(f"--tensorboard needs TensorBoard: {EXTRA}") from None
    writer: Callable[..., Any] = SummaryWriter
    return writer


def _tensorboard(folder: Path, step: int) -> Callable[[Entry], None]:
    """Writes the log's entries as scalars; replaces those that are there from after ``step``."""
    events = None

    def write(entry: Entry) -> None:
        nonlocal events
        # Not sooner: a run that is to be overwritten may still be there.
        events = events or _summary_writer()(str(folder), purge_step=step + 1)
        for name, value in entry.items():
            if isinstance(value, dict):
                for key, part in value.items():
                    events.add_scalar(f"{name}/{key}", part, entry["step"])
            elif isinstance(value, (int, float)) and name != "step":
                events.add_scalar(name, value, entry["step"])
        events.flush()

    return write
