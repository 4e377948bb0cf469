"""The loop over a set: decodes, restores and scores in parallel."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Protocol

from baryir_cli.benches.find import FoundSet, Item
from baryir_cli.engine import Engine
from baryir_cli.engine.visible import restore_visible
from baryir_cli.errors import UserError
from baryir_cli.evaluation.journal import Journal, checksum
from baryir_cli.evaluation.load import Loaded, load
from baryir_cli.evaluation.results import ImageScores, Scores, SetScores
from baryir_cli.evaluation.score import FeaturesByMetric, Scorers
from baryir_cli.stages import in_stages
from models.light import Pixels


class Progress(Protocol):
    """Called for every finished image."""

    def __call__(self, problem: str, *, recalled: bool) -> None:
        """``problem``: why it failed, if so; ``recalled``: whether an earlier run restored it."""
        ...


@dataclass(frozen=True)
class Scored:
    """One image: its scores, and the features that metrics of the whole set need."""

    scores: ImageScores
    features: dict[str, FeaturesByMetric]
    failures: dict[str, str]
    """Metrics that were not computed, and why."""
    recalled: bool
    """Whether an earlier run restored it."""


@dataclass(frozen=True)
class Prepared:
    """One decoded image, already restored if another program or an earlier run did it."""

    loaded: Loaded
    restored: Pixels | None
    scores: ImageScores
    """From an earlier run, or still empty."""


class Evaluator:
    """Restores and scores sets.

    Args:
        engine: None if another program restored the images.
        journal: keeps restored images and scores, and returns those of an earlier run.
    """

    def __init__(
        self, engine: Engine | None, scorers: Scorers, journal: Journal | None = None
    ) -> None:
        self.engine = engine
        self.scorers = scorers
        self.journal = journal

    def run(
        self, found: FoundSet, metrics: Sequence[str], progress: Progress, *, allow_missing: bool
    ) -> SetScores:
        """Evaluates all images of a set. Failures are recorded and stop no other image."""
        scorers = self.scorers.only(metrics)
        result = SetScores(
            found.id,
            found.label,
            list(metrics),
            official=found.official,
            stands_for=found.stands_for,
            degradation=str(found.degradation or ""),
            problems=list(found.problems),
            allow_missing=allow_missing,
        )
        features = []
        for item, outcome in self._outcomes(found, scorers):
            problem, recalled = "", False
            if isinstance(outcome, Scored):
                result.images.append(outcome.scores)
                recalled = outcome.recalled
                features.append(outcome.features)
                for metric, reason in outcome.failures.items():
                    result.not_computed.setdefault(metric, f"{item.name}: {reason}")
            else:
                problem = str(outcome)
                result.problems.append(problem)
            progress(problem, recalled=recalled)
        if result.averaged:
            distances = scorers.distances(features, result.not_computed)
            result.whole = {m: s for m, s in distances.items() if s}
        return result

    def restored(self, found: FoundSet, item: Item) -> tuple[Loaded, Pixels]:
        """One image and its restoration, for pages: from an earlier run, or restored now."""
        prepared = self._prepare(found, item)
        pixels, _ = self._restore(prepared)
        return prepared.loaded, pixels

    def _outcomes(
        self, found: FoundSet, scorers: Scorers
    ) -> Iterator[tuple[Item, Scored | UserError]]:
        """Yields the outcomes in order. The engine works in the caller's thread."""

        def restore(item: Item, future: Future[Prepared]) -> tuple[Item, Prepared | UserError]:
            try:
                prepared = future.result()
                pixels, scores = self._restore(prepared)
            except UserError as error:
                return item, error
            return item, replace(prepared, restored=pixels, scores=scores)

        def score(worked: tuple[Item, Prepared | UserError]) -> tuple[Item, Scored | UserError]:
            item, prepared = worked
            if isinstance(prepared, UserError):
                return item, prepared
            try:
                return item, self._score(found, prepared, scorers)
            except UserError as error:
                return item, error

        return in_stages(found.items, lambda item: self._prepare(found, item), restore, score)

    def _prepare(self, found: FoundSet, item: Item) -> Prepared:
        loaded = load(item, found.degradation)
        sums = loaded.checksums()
        if self.journal is not None:
            recalled = self.journal.recall(found.id, item.name, sums)
            if recalled is not None:
                return Prepared(loaded, recalled[1], recalled[0])
        height, width = loaded.shown.shape[:2]
        return Prepared(loaded, loaded.restored, ImageScores(item.name, width, height, crc32=sums))

    def _restore(self, prepared: Prepared) -> tuple[Pixels, ImageScores]:
        if prepared.restored is not None:
            return prepared.restored, prepared.scores
        degraded = prepared.loaded.degraded
        if self.engine is None or degraded is None:
            raise UserError(f"{prepared.loaded.name}: there is nothing to restore")
        started = time.perf_counter()
        try:
            pixels, report = restore_visible(self.engine, degraded, None)
        except UserError as error:
            raise UserError(f"{prepared.loaded.name}: {error}") from None
        seconds = time.perf_counter() - started
        return pixels, replace(prepared.scores, seconds=seconds, **vars(report))

    def _score(self, found: FoundSet, prepared: Prepared, scorers: Scorers) -> Scored:
        loaded, pixels, known = prepared.loaded, prepared.restored, prepared.scores
        assert pixels is not None  # noqa: S101 (restored by now)
        images = {"restored": pixels, "input": loaded.degraded, "target": loaded.target}
        there = {kind: image for kind, image in images.items() if image is not None}
        failures: dict[str, str] = {}
        restored = scorers.scores(pixels, loaded.target, known.restored, failures)
        before: Scores = {}
        if loaded.degraded is not None:
            of_input: dict[str, str] = {}
            before = scorers.scores(loaded.degraded, loaded.target, known.input, of_input)
            failures = {m: f"for the input, {why}" for m, why in of_input.items()} | failures
        wanted = there if loaded.target is not None else {}
        features = {kind: scorers.features(image, failures) for kind, image in wanted.items()}
        sums = {**known.crc32, "restored": checksum(pixels)}
        scores = replace(known, input=before, restored=restored, crc32=sums)
        if self.journal is not None:
            _note(self.journal, found.id, known, scores, pixels)
        return Scored(scores, features, failures, recalled="restored" in known.crc32)


def _note(journal: Journal, group: str, known: ImageScores, new: ImageScores, p: Pixels) -> None:
    """Saves what an earlier run did not."""
    if "restored" not in known.crc32:
        journal.save_image(group, new.name, p)
    both = replace(
        new,
        input={**known.input, **new.input},
        restored={**known.restored, **new.restored},
    )
    if both != known:
        journal.save_scores(group, both)
