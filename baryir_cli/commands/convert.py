"""``baryir weights convert``: turns a checkpoint into safetensors."""

from __future__ import annotations

from datetime import date
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from baryir_cli.errors import UsageError, UserError
from baryir_cli.files.atomic import is_protected, make_folder
from baryir_cli.files.paths import settled_option
from baryir_cli.shell.units import counted
from models.header import quoted
from models.wording import choices, no_such

if TYPE_CHECKING:
    from models.convert import Conversion

Provenance = dict[str, Any]


class Dtype(str, Enum):
    """Types in which tensors can be stored."""

    fp32 = "fp32"
    fp16 = "fp16"


def convert(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="File written by torch.save, or safetensors.")
    ],
    target: Annotated[
        Path,
        typer.Argument(
            metavar="OUT", help="File with the suffix .safetensors.", callback=settled_option
        ),
    ],
    dtype: Annotated[
        Dtype, typer.Option(case_sensitive=False, help="fp16 halves the file.")
    ] = Dtype.fp32,
    name: Annotated[
        str | None,
        typer.Option(
            help="Name of the weights.  \\[default: theirs, or OUT's]", show_default=False
        ),
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="Licence of the weights, noted in the file.")
    ] = None,
    entry: Annotated[
        str | None, typer.Option(help="Which network, if the file has several.")
    ] = None,
    partial: Annotated[
        bool,
        typer.Option(
            "--partial", help="Accept missing or unknown tensors, to start training from."
        ),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
) -> None:
    """Convert a checkpoint to safetensors, without running anything in it.

    Takes the authors' .pt, state dicts and trainers' checkpoints.
    """
    _check_files(source, target, overwrite)
    make_folder(target.parent)

    import torch

    from baryir_cli.shell.console import messages, printable
    from models.convert import convert as read
    from models.weights import WeightsError, save_weights

    console = messages()
    try:
        with console.status("reading"):
            found = read(source, entry=entry, partial=partial)
    except WeightsError as error:
        raise UserError(f"{error}{_beside(source)}") from None
    for line in _report(found):
        console.print(line, markup=False)
    provenance = {"name": target.stem, **_provenance(found, source.name, name, licence)}
    stored = torch.float16 if dtype is Dtype.fp16 else torch.float32
    try:
        save_weights(target, found.config, found.state, provenance, stored)
    except WeightsError as error:
        raise UserError(f"{source}: {error}") from None
    size = target.stat().st_size / 1e6
    console.print(f"wrote    {printable(target)} ({size:.1f} MB, {dtype.value})", markup=False)
    if "licence" not in provenance:
        console.print("licence  not stated; find out before you publish", markup=False)


def _check_files(source: Path, target: Path, overwrite: bool) -> None:
    """Refuses wrong paths before anything is imported or read."""
    if target.suffix.lower() != ".safetensors":
        raise UsageError(f"{target}: must end in .safetensors")
    if not source.is_file():
        raise UsageError(no_such(source, "file"))
    if target.is_dir():
        raise UsageError(f"{target} is a folder")
    if target.exists():
        if target.samefile(source):
            raise UsageError(f"{target}: the output would replace the input")
        if not overwrite:
            raise UsageError(f"{target} exists already; --overwrite replaces it")
    if is_protected(target):
        raise UserError(f"{target} is write-protected; make it writable, or choose another file")


def _beside(source: Path) -> str:
    """Where the weights are if ``source`` is the ``state.pt`` of one of our checkpoints."""
    names = ("average.safetensors", "network.safetensors")
    files = [source.with_name(name) for name in names if source.with_name(name).is_file()]
    if source.name != "state.pt" or not files:
        return ""
    return f"; the weights of this checkpoint are in {choices(files)}"


def _report(found: Conversion) -> list[str]:
    """Lines on what was kept, dropped and missing."""
    from models.architecture import describe

    report = found.report
    numbers = sum(tensor.numel() for tensor in found.state.values())
    place = f" of {quoted(report.place)}" if report.place else ""
    lines = [
        f"network  {describe(found.config)}",
        f"kept     {report.kept} tensors{place}; the network has {numbers:,} parameters",
    ]
    if report.unused:
        lines.append(f"dropped  {_modules(report.unused)}: never used by the authors' network")
    if report.elsewhere:
        others = [
            f"{quoted(n)} ({counted(count, 'tensor')})" for n, count in report.elsewhere.items()
        ]
        lines.append(f"dropped  {_some(others)}: not part of the network")
    if report.unknown:
        lines.append(f"dropped  {_some([quoted(n) for n in report.unknown])}: unknown")
    if report.missing:
        lines.append(f"missing  {_some(list(report.missing))}: initialised afresh")
    if report.missing or report.unknown:
        lines.append("caution  an incomplete network restores nothing; only train from it")
    return lines


def _modules(names: tuple[str, ...]) -> str:
    """The modules that hold these tensors."""
    return ", ".join(dict.fromkeys(quoted(name.rpartition(".")[0]) for name in names))


def _some(names: list[str], most: int = 6) -> str:
    more = [f"and {len(names) - most} more"] if len(names) > most else []
    return ", ".join([*names[:most], *more])


def _provenance(found: Conversion, file: str, name: str | None, licence: str | None) -> Provenance:
    """The weights' origin: the file's own provenance, and which file it was."""
    from baryir_cli.weights.provenance import LACKS

    known = found.facts if found.provenance is None else found.provenance
    today = date.today().isoformat()
    converted: Provenance = {"file": file, "sha256": found.sha256, "date": today}
    if found.report.missing or found.report.unknown:
        converted |= {"missing": len(found.report.missing), "unknown": len(found.report.unknown)}
    elif isinstance(earlier := known.get("converted"), dict):
        converted |= {what: earlier[what] for what in LACKS if what in earlier}
    return {
        "date": today,
        **known,
        **({"name": name} if name else {}),
        **({"licence": licence} if licence else {}),
        "converted": converted,
    }
