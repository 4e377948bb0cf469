"""The metrics of a run, and why some cannot be computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from baryir_cli.evaluation.results import Scores
from baryir_cli.metrics import (
    METRICS,
    Features,
    ImageScorer,
    MetricUnavailable,
    SetScorer,
    scorer,
)
from models.light import Pixels

FeaturesByMetric = dict[str, Features]
"""Features of one image, by metric of whole sets."""


@dataclass
class Scorers:
    """Scorers of the requested metrics; ``unavailable`` says why some are missing."""

    image: dict[str, ImageScorer] = field(default_factory=dict)
    whole: dict[str, SetScorer] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, names: Sequence[str], device: str) -> Scorers:
        """Creates them, fetching weights that are not cached."""
        made = cls()
        for name in names:
            try:
                found = scorer(name, device)
            except MetricUnavailable as reason:
                made.unavailable[name] = str(reason)
                continue
            if METRICS[name].per_image:
                made.image[name] = cast(ImageScorer, found)
            else:
                made.whole[name] = cast(SetScorer, found)
        return made

    def only(self, names: Sequence[str]) -> Scorers:
        """The scorers of these metrics."""
        return Scorers(
            {name: self.image[name] for name in names if name in self.image},
            {name: self.whole[name] for name in names if name in self.whole},
        )

    def scores(
        self, pixels: Pixels, target: Pixels | None, known: Scores, failures: dict[str, str]
    ) -> Scores:
        """Computes the metrics of an image, except those already ``known``.

        A metric that cannot be computed for this image (smaller than its window, say) is left out,
        and ``failures`` gets the reason.
        """
        scores = {}
        for name, score in self.image.items():
            if name in known:
                scores[name] = known[name]
                continue
            with _noting(failures, name):
                scores[name] = float(score(pixels, target))
        return scores

    def features(self, pixels: Pixels, failures: dict[str, str]) -> FeaturesByMetric:
        """Computes the features for metrics of whole sets; ``failures`` as in :meth:`scores`."""
        found = {}
        for name, whole in self.whole.items():
            with _noting(failures, name):
                found[name] = whole.features(pixels)
        return found

    def distances(
        self, features: Sequence[dict[str, FeaturesByMetric]], failures: dict[str, str]
    ) -> dict[str, Scores]:
        """Computes the metrics of a whole set against its targets.

        Args:
            features: of every image, by ``input``, ``restored`` and ``target``.
            failures: as in :meth:`scores`.
        """
        found = {}
        for name in self.whole:
            with _noting(failures, name):
                found[name] = dict(self._distances(name, features))
        return found

    def _distances(
        self, name: str, features: Sequence[dict[str, FeaturesByMetric]]
    ) -> Iterator[tuple[str, float]]:
        def stacked(kind: str) -> Features:
            return np.stack([entry[kind][name] for entry in features])

        def has(kind: str) -> bool:
            return all(name in entry.get(kind, {}) for entry in features)

        if not has("target"):
            return
        for kind in ("input", "restored"):
            if has(kind):
                yield kind, float(self.whole[name].distance(stacked(kind), stacked("target")))


@contextmanager
def _noting(failures: dict[str, str], metric: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, MetricUnavailable) as error:
        failures[metric] = " ".join(str(error).split())
