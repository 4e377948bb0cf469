"""``baryir eval``: measures restoration on benches and folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from baryir_cli.commands import completion
from baryir_cli.engine_options import (
    PANEL,
    DeviceOption,
    EngineOptions,
    KeepShakeOption,
    KeepTonesOption,
    OverlapOption,
    PrecisionOption,
    TileOption,
)
from baryir_cli.errors import ExitCode, StoppedError, UsageError
from baryir_cli.files.paths import settled_option
from models.wording import choices

if TYPE_CHECKING:
    from baryir_cli.evaluation.files import ReportFiles
    from baryir_cli.evaluation.session import Session

WHAT, REPORT = "What is measured", "Reports"
_BENCH = {"--data", "--sets", "--limit", "--allow-missing"}
_ENGINE = {
    "--weights",
    "--keep-tones",
    "--keep-shake",
    "--device",
    "--precision",
    "--tile",
    "--overlap",
}
TAKES: dict[str, set[str]] = {
    "--bench": {*_BENCH, "--metrics", "--save", *_ENGINE},
    "--bench --restored": {*_BENCH, "--metrics"},
    "--bench --export": _BENCH,
    "--input": {"--target", "--metrics", "--limit", "--save", "--allow-missing", *_ENGINE},
    "--restored": {"--target", "--metrics", "--limit", "--allow-missing"},
    "--compare": {"--allow-missing"},
    "--complexity": {"--weights", "--device", "--precision"},
    "--list": {"--data"},
}
"""Which options have an effect in each mode."""


def evaluate(
    bench: Annotated[
        str | None,
        typer.Option(help="3d, 5d, ood, levels, real or mixed.", rich_help_panel=WHAT),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder laid out like the reference's data/test.  \\[default: data/test]",
            show_default=False,
            rich_help_panel=WHAT,
        ),
    ] = None,
    sets: Annotated[
        str,
        typer.Option(
            help="Only these sets of the bench, separated by commas.",
            show_default=False,
            rich_help_panel=WHAT,
        ),
    ] = "",
    show_list: Annotated[
        bool,
        typer.Option(
            "--list",
            help="List benches and sets: what you have, where the rest goes.",
            rich_help_panel=WHAT,
        ),
    ] = False,
    input: Annotated[
        Path | None,
        typer.Option(help="A folder of degraded images, to be restored.", rich_help_panel=WHAT),
    ] = None,
    target: Annotated[
        Path | None,
        typer.Option(
            help="Folder of their targets, matched by name; only niqe and piqe need none.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    restored: Annotated[
        Path | None,
        typer.Option(
            help="A folder of images already restored; SET/NAME.png for --bench.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            help="Write the bench's degraded images as SET/NAME.png for other programs.",
            callback=settled_option,
            rich_help_panel=WHAT,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Only so many images of each set, evenly spread.",
            show_default=False,
            rich_help_panel=WHAT,
        ),
    ] = None,
    metrics: Annotated[
        str,
        typer.Option(
            help="Any of psnr,ssim,lpips,fid,niqe,piqe.  \\[default: the bench's; of folders,"
            " psnr,ssim with targets, else niqe,piqe]",
            show_default=False,
            rich_help_panel=WHAT,
        ),
    ] = "",
    allow_missing: Annotated[
        bool,
        typer.Option(
            "--allow-missing",
            help="Average without the bad and unpaired files.",
            rich_help_panel=WHAT,
        ),
    ] = False,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="A.json B.json",
            help="Paired differences of two runs.",
            show_default=False,
            rich_help_panel=WHAT,
        ),
    ] = None,
    complexity: Annotated[
        bool,
        typer.Option(
            "--complexity",
            help="Parameters, multiply-accumulates and seconds of a network.",
            rich_help_panel=WHAT,
        ),
    ] = False,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Embedded name, hf:owner/repo\\[@revision]\\[:file], or a file; a preset for"
            " --complexity.  \\[default: small; see baryir config]",
            show_default=False,
            autocompletion=completion.weights,
            rich_help_panel=PANEL,
        ),
    ] = None,
    keep_tones: KeepTonesOption = False,
    keep_shake: KeepShakeOption = False,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    tile: TileOption = None,
    overlap: OverlapOption = None,
    save: Annotated[
        Path | None,
        typer.Option(
            help="Keep restored images and scores here, and continue a stopped run.",
            callback=settled_option,
            rich_help_panel=REPORT,
        ),
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option(
            help="Write everything, image by image; - is standard output.",
            callback=settled_option,
            rich_help_panel=REPORT,
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            help="Write a line per image.", callback=settled_option, rich_help_panel=REPORT
        ),
    ] = None,
    markdown: Annotated[
        Path | None,
        typer.Option(
            help="Write the tables, for documents.", callback=settled_option, rich_help_panel=REPORT
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            help="Write a page with tables, plots and pictures, for any browser.",
            callback=settled_option,
            rich_help_panel=REPORT,
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace existing reports.", rich_help_panel=REPORT),
    ] = False,
) -> None:
    """Measure restoration on the paper's benches or any folders.

    Missing sets are named and never averaged over.
    """
    modes = {
        "--bench": bench is not None,
        "--list": show_list,
        "--input": input is not None,
        "--restored": restored is not None,
        "--compare": compare is not None,
        "--complexity": complexity,
        "--export": export is not None,
    }
    # A target alone gets the error that names what is missing beside it.
    modes["--input"] |= target is not None and not any(modes.values())
    given = {
        "--target": target is not None,
        "--data": data is not None,
        "--sets": bool(sets),
        "--limit": limit is not None,
        "--metrics": bool(metrics),
        "--save": save is not None,
        "--allow-missing": allow_missing,
        "--weights": weights is not None,
        "--keep-tones": keep_tones,
        "--keep-shake": keep_shake,
        "--device": device != "auto",
        "--precision": precision != "auto",
        "--tile": tile is not None,
        "--overlap": overlap is not None,
    }
    _check_options(modes, given)
    data = data or Path("data/test")

    from baryir_cli.evaluation.files import ReportFiles

    reports = ReportFiles(json, csv, markdown, html, overwrite)
    if show_list:
        return _list(data, reports)
    if compare is not None:
        return _compare(compare, reports, allow_missing=allow_missing)
    if complexity:
        return _complexity(weights, device, precision, reports)

    from baryir_cli.benches import bench as bench_of
    from baryir_cli.benches import folder_set, limited
    from baryir_cli.evaluation.session import Session, find_sets

    engine = EngineOptions(weights, device, precision, tile, overlap, keep_tones, keep_shake)
    if bench is not None:
        which = bench_of(bench)
        found, missing = find_sets(which, data, _names(sets), limit, restored)
    else:
        which, missing = None, {}
        found = [limited(folder_set(degraded=input, target=target, restored=restored), limit)]
    session = Session(
        found,
        _metrics(metrics),
        bench=which,
        missing=missing,
        engine=None if restored or export else engine,
        save=save,
        limit=limit,
        allow_missing=allow_missing,
        purpose="export" if export else "evaluate",
    )
    if export is not None:
        return _export(session, export, reports)
    return _run(session, reports)


def _check_options(modes: dict[str, bool], given: dict[str, bool]) -> None:
    """Checks that the options choose one mode and all apply to it.

    Raises:
        UsageError: no mode or several, or an option without effect; names the first one.
    """
    chosen = [mode for mode, wanted in modes.items() if wanted]
    if chosen == ["--input", "--restored"]:
        raise UsageError("--input gets restored, --restored already is: give one of them")
    if chosen == ["--export"]:
        raise UsageError("--export writes the images of a bench: give --bench too")
    what = " ".join(chosen)
    if what not in TAKES:
        several = f"{' and '.join(chosen)} do not go together: " if chosen else ""
        raise UsageError(
            f"{several}give one of {', '.join(mode for mode in modes if mode in TAKES)}"
        )
    for option, wanted in given.items():
        if wanted and option not in TAKES[what]:
            raise UsageError(f"{option} does not go with {what}")


def _list(data: Path, reports: ReportFiles) -> None:
    from baryir_cli.evaluation.listing import listing
    from baryir_cli.evaluation.terminal import show

    reports.check()
    show(listing(data), wide=False)


def _run(session: Session, reports: ReportFiles) -> None:
    from baryir_cli.evaluation.page import examples, page
    from baryir_cli.evaluation.report import sheet, to_csv, to_json
    from baryir_cli.evaluation.session import settings_line
    from baryir_cli.evaluation.summary import summarise
    from baryir_cli.memory import keep_freed_memory

    reports.check("json", "csv", "markdown", "html", inputs=session.files)
    keep_freed_memory()
    with session.stoppable():
        run, evaluator = session.run()
        summary = summarise(run)
        answer = sheet(summary, settings_line(run.settings))
        reports.answer(
            answer,
            json=lambda: to_json(run, summary),
            csv=lambda: to_csv(run),
            html=lambda: page(run, summary, examples(run, session.sets, evaluator), answer),
        )
    if not any(scores.images for scores in run.sets):
        raise typer.Exit(ExitCode.FAILED)
    if not session.allow_missing and any(scores.problems for scores in run.sets):
        raise typer.Exit(ExitCode.SOME_FAILED)


def _export(session: Session, folder: Path, reports: ReportFiles) -> None:
    from baryir_cli.evaluation.export import export

    reports.check()
    try:
        written, failed = export(session.sets, folder)
    except KeyboardInterrupt:
        raise StoppedError(
            f"interrupted; {folder} is incomplete: export to another folder"
        ) from None
    if not written:
        raise typer.Exit(ExitCode.FAILED)
    if failed and not session.allow_missing:
        raise typer.Exit(ExitCode.SOME_FAILED)


def _compare(paths: tuple[Path, Path], reports: ReportFiles, *, allow_missing: bool) -> None:
    from baryir_cli.evaluation.compare import compare
    from baryir_cli.evaluation.results import Evaluation

    reports.check("json", "markdown", inputs=paths)
    a, b = (Evaluation.load(path) for path in paths)
    result = compare(a, b, allow_missing=allow_missing)
    reports.answer(result.sheet(*map(str, paths)), json=result.to_json)


def _complexity(weights: str | None, device: str, precision: str, reports: ReportFiles) -> None:
    from baryir_cli.evaluation.complexity import measure
    from baryir_cli.memory import keep_freed_memory

    reports.check("json", "markdown")
    keep_freed_memory()
    cost = measure(weights, device, precision)
    reports.answer(cost.sheet(), json=cost.to_json)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _metrics(text: str) -> tuple[str, ...]:
    from baryir_cli.metrics import METRICS

    names = [name.lower() for name in _names(text)]
    for name in names:
        if name not in METRICS:
            raise UsageError(f"--metrics {name}: use {choices(METRICS)}")
    return tuple(m for m in METRICS if m in names)
