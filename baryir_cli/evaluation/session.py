"""One evaluation from its options to its results."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy
import torch

from baryir_cli import __version__
from baryir_cli.benches import (
    Bench,
    FoundSet,
    chosen_sets,
    find_set,
    limited,
    restored_elsewhere,
)
from baryir_cli.engine import Engine
from baryir_cli.engine_options import EngineOptions
from baryir_cli.errors import StoppedError, UsageError, UserError
from baryir_cli.evaluation.journal import Journal
from baryir_cli.evaluation.progress import EvaluationDisplay
from baryir_cli.evaluation.results import Evaluation
from baryir_cli.evaluation.run import Evaluator
from baryir_cli.evaluation.score import Scorers
from baryir_cli.metrics import METRICS
from baryir_cli.shell.console import messages
from baryir_cli.shell.units import counted
from baryir_cli.weights.references import find_weights, load
from models.wording import no_such

NAMED = 10
"""How many bad files an error lists."""
NO_REFERENCE = tuple(name for name, metric in METRICS.items() if not metric.needs_target)
"""Metrics of images without targets."""


@dataclass
class Session:
    """What to evaluate, and how.

    Args:
        metrics: requested by name; empty for the bench's, or for what the folders allow.
        missing: sets of the bench that are not there: the folder for each, by label.
        engine: None if the images are restored already.
        save: folder for restored images, from which a stopped run continues.
        limit: the number of images per set that was asked for, noted in reports; None for all.
        purpose: what is done with the images, a verb for messages.
    """

    sets: list[FoundSet]
    metrics: tuple[str, ...] = ()
    bench: Bench | None = None
    missing: dict[str, str] = field(default_factory=dict)
    engine: EngineOptions | None = field(default_factory=EngineOptions)
    save: Path | None = None
    limit: int | None = None
    allow_missing: bool = False
    purpose: str = "evaluate"
    skipped: list[str] = field(default_factory=list, init=False)
    """Sets of the bench that none of the metrics can measure."""

    def __post_init__(self) -> None:
        # A bench may lose sets; the user's own folder must be measured.
        suitable = [found for found in self.sets if self._metrics_of(found)]
        if self.bench is not None and suitable:
            self.skipped = [found.label for found in self.sets if found not in suitable]
            self.sets = suitable
        there = any(found.items for found in self.sets)
        problems = [problem for found in self.sets for problem in found.problems]
        if problems and not self.allow_missing:
            more = [f"and {len(problems) - NAMED} more"] if len(problems) > NAMED else []
            listed = "; ".join([*problems[:NAMED], *more])
            rest = f"; --allow-missing {self.purpose}s the rest" if there else ""
            raise UserError(f"{listed}{rest}")
        if not there:
            raise UserError("; ".join([f"nothing is left to {self.purpose}", *problems[:NAMED]]))
        for found in self.sets:
            self._check_metrics(found)

    def _check_metrics(self, found: FoundSet) -> None:
        """Refuses metrics that need targets which a set does not have."""
        usable = self._metrics_of(found)
        lacking = [METRICS[name].label for name in self.metrics if name not in usable]
        if lacking if self.bench is None else not usable:
            way = "give --target FOLDER, or use" if self.bench is None else "use"
            raise UsageError(
                f"{found.label} has no targets, which {', '.join(lacking)} "
                f"need{'s' * (len(lacking) == 1)}: {way} --metrics {','.join(NO_REFERENCE)}"
            )

    @property
    def files(self) -> list[Path]:
        """Files that are read: the images, and weights given by path."""
        items = [item for found in self.sets for item in found.items]
        images = [path for i in items for path in (i.degraded, i.target, i.restored) if path]
        weights = self.engine.weights if self.engine else None
        return [*images, Path(weights)] if weights else images

    def run(self) -> tuple[Evaluation, Evaluator]:
        """Restores and scores all sets; also returns the evaluator, which can make pictures."""
        display = EvaluationDisplay(messages(), self.sets)
        engine, settings = self._engine(display)
        if self.limit is not None:
            settings["limit"] = self.limit
        wanted = [m for m in METRICS if any(m in self._metrics_of(s) for s in self.sets)]
        journal = self._journal(settings)
        scorers = Scorers.of(wanted, str(engine.device) if engine else "cpu")
        evaluator = Evaluator(engine, scorers, journal)
        result = Evaluation(
            self.bench.id if self.bench else None,
            wanted,
            settings,
            missing=self.missing,
            unavailable=scorers.unavailable,
        )
        with display:
            if self.bench is None and not (self.metrics or self.sets[0].reference):
                display.note("PSNR, SSIM, LPIPS and FID need targets: --target FOLDER gives them")
            for label in self.skipped:
                display.note(f"{label} has no targets and is skipped")
            for found in self.sets:
                display.begin(found)
                result.sets.append(
                    evaluator.run(
                        found,
                        self._metrics_of(found),
                        display.add,
                        allow_missing=self.allow_missing,
                    )
                )
        return result, evaluator

    @contextmanager
    def stoppable(self) -> Iterator[None]:
        """Tells a user who stops the run how to continue it.

        Raises:
            StoppedError: instead of KeyboardInterrupt.
        """
        try:
            yield
        except KeyboardInterrupt:
            how = "the same command continues the run"
            if self.save is None:
                how = "--save DIR makes a run resumable" if self.engine else "start it again"
            raise StoppedError(f"interrupted; {how}") from None

    def _metrics_of(self, found: FoundSet) -> list[str]:
        """The requested metrics, else the bench's, else the field's usual ones, if computable."""
        asked = self.metrics or (self.bench.metrics if self.bench else ())
        if not found.reference:
            return [m for m in asked or NO_REFERENCE if m in NO_REFERENCE]
        if self.metrics:
            return list(self.metrics)
        return [m for m in asked or ("psnr", "ssim") if METRICS[m].needs_target]

    def _engine(self, display: EvaluationDisplay) -> tuple[Engine | None, dict[str, Any]]:
        """The engine, and the settings that a reader must know."""
        settings: dict[str, Any] = {"name": "restored", "baryir": __version__, **_environment()}
        if self.engine is None:
            return None, settings
        options = self.engine
        file = find_weights(options.weights)
        weights = load(file)
        engine = options.build(weights, display.note)
        settings["name"] = str(weights.provenance.get("name", file.path.stem))
        settings["weights"] = file.to_dict(weights.sha256)
        settings["device"] = str(engine.device)
        settings["precision"] = engine.precision
        settings["tile"] = "auto" if options.tile is None else options.tile
        settings["overlap"] = "auto" if options.overlap is None else options.overlap
        settings["keep_tones"] = options.keep_tones
        settings["keep_shake"] = options.keep_shake
        return engine, settings

    def _journal(self, settings: dict[str, Any]) -> Journal | None:
        if self.save is None:
            return None
        same = ("baryir", "precision", "tile", "overlap", "keep_tones", "keep_shake")
        identity = {name: settings[name] for name in same}
        if self.bench is None:
            # A bench's sets have unique names; folders may share one.
            identity["input"] = str(self.sets[0].folder.resolve())
        return Journal(self.save, {"weights": settings["weights"]["sha256"], **identity})


def find_sets(
    which: Bench,
    data: Path,
    names: Sequence[str],
    limit: int | None = None,
    restored: Path | None = None,
) -> tuple[list[FoundSet], dict[str, str]]:
    """Finds the sets of a bench.

    Args:
        names: of the sets; empty for all.
        limit: how many images of each set are wanted; None for all.
        restored: folder where another program put its restorations, as ``SET/NAME``.

    Returns:
        The sets that are there, and the folders of the others, by label.

    Raises:
        UsageError: ``data`` or ``restored`` is not a folder, no set is there, or one that was
            requested by name is missing.
        UserError: a ``set.json`` cannot be read.
    """
    if not data.is_dir():
        way = "baryir eval --list shows what belongs in it"
        raise UsageError(f"--data {no_such(data, 'folder', way)}")
    if restored is not None and not restored.is_dir():
        raise UsageError(f"--restored {no_such(restored, 'folder')}")
    found, missing = [], {}
    for wanted in chosen_sets(which, list(names)):
        one = find_set(wanted, data)
        if one is None:
            missing[wanted.label] = str(data / wanted.where)
        elif restored is None:
            found.append(limited(one, limit))
        elif (restored / one.id).is_dir():
            found.append(restored_elsewhere(one, restored / one.id, limit))
        else:
            missing[wanted.label] = str(restored / one.id)
    if missing and (names or not found):
        label, where = next(iter(missing.items()))
        raise UsageError(f"{label} is missing; put it in {where} (baryir eval --list shows all)")
    return found, missing


def settings_line(settings: dict[str, Any]) -> str:
    """How the images were restored, in one line."""
    which = (
        f"at most {counted(settings['limit'], 'image')} per set; " if "limit" in settings else ""
    )
    if "weights" not in settings:
        return f"{which}restored by another program; baryir {settings['baryir']}"
    weights = settings["weights"]
    tile, overlap = settings["tile"], settings["overlap"]
    left_alone = [what for what in ("tones", "shake") if settings[f"keep_{what}"]]
    kept = f"{' and '.join(left_alone)} kept, " if left_alone else ""
    return (
        f"{which}weights {weights['reference']} (sha256 {weights['sha256'][:12]}), "
        f"{settings['device']}, {settings['precision']}, "
        f"tile {'whole image' if tile == 0 else tile}, overlap {overlap}, {kept}"
        f"baryir {settings['baryir']}"
    )


def _environment() -> dict[str, str]:
    return {
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
