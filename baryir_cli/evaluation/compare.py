"""Paired differences between two evaluations of the same images."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from baryir_cli.errors import UserError
from baryir_cli.evaluation.results import Evaluation, ImageScores, SetScores
from baryir_cli.evaluation.sheet import INTERVAL, Sheet, grouped
from baryir_cli.evaluation.statistics import FEWEST, mean_interval
from baryir_cli.metrics import METRICS, Metric

HEADINGS = ("set", "images", "metric", "A", "B", "B - A", INTERVAL, "B better", "verdict")


@dataclass(frozen=True)
class Difference:
    """One set by one metric, over the same images in both runs."""

    set: str
    images: int
    metric: Metric
    a: float
    b: float
    official: int | None = None
    """Number of images in the official set; None for stand-ins and other folders."""
    interval: tuple[float, float] | None = None
    """Interval of the paired mean difference; None for few images and metrics of whole sets."""
    wins: int | None = None
    """Number of images on which B is better."""
    identical: bool = False
    """Whether both runs have the same figures for every image."""

    @property
    def difference(self) -> float:
        """B minus A."""
        return self.b - self.a

    @property
    def verdict(self) -> str:
        """Which run is better, if the interval leaves no doubt."""
        if self.identical:
            return "identical"
        if self.wins is not None and self.images < FEWEST:
            return "too few images"
        if self.interval is None:
            return ""
        low, high = self.interval
        if low <= 0 <= high:
            return "no clear difference"
        return "B better" if (low > 0) == (self.metric.better == "higher") else "A better"

    def cells(self) -> tuple[str, ...]:
        """The formatted cells under :data:`HEADINGS`."""
        digits = self.metric.digits
        low_high = self.interval and " to ".join(f"{v:+.{digits}f}" for v in self.interval)
        return (
            self.set,
            str(self.images) if self.official is None else f"{self.images} of {self.official}",
            self.metric.label,
            f"{self.a:.{digits}f}",
            f"{self.b:.{digits}f}",
            f"{self.difference:+.{digits}f}",
            low_high or "",
            "" if self.wins is None else f"{self.wins} of {self.images}",
            self.verdict,
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "set": self.set,
            "images": self.images,
            "official_count": self.official,
            "metric": self.metric.name,
            "a": self.a,
            "b": self.b,
            "difference": self.difference,
            "interval": list(self.interval) if self.interval else None,
            "b_better_on": self.wins,
            "verdict": self.verdict or None,
        }


@dataclass(frozen=True)
class Comparison:
    """Everything that two evaluations share, and notes on what they do not."""

    differences: list[Difference]
    notes: list[str]

    def sheet(self, a: str, b: str) -> Sheet:
        """The comparison as a table; ``a`` and ``b`` name the runs."""
        table = grouped(HEADINGS, [d.cells() for d in self.differences], 3, 2)
        return Sheet([table], "Comparison", f"A: {a}, B: {b}", self.notes)

    def to_json(self) -> str:
        """The comparison as JSON."""
        entries = [d.to_dict() for d in self.differences]
        content = {"differences": entries, "notes": self.notes}
        return json.dumps(content, indent=1, allow_nan=False) + "\n"


def compare(a: Evaluation, b: Evaluation, *, allow_missing: bool = False) -> Comparison:
    """Compares B with A, set by set and image by image.

    Raises:
        UserError: they share no set, an image is in only one of them (without
            ``allow_missing``), or an image has different pixels in the two.
    """
    others = {s.id: s for s in b.sets}
    notes = [f"{s.label} is only in {'A' if s.id not in others else 'B'}" for s in _apart(a, b)]
    differences: list[Difference] = []
    for one in a.sets:
        if one.id in others:
            pair = _Pair(one, others[one.id], allow_missing)
            differences += pair.differences()
            notes += pair.notes
    if not differences:
        raise UserError("; ".join(["the two evaluations share no set and metric", *notes]))
    return Comparison(differences, notes)


def _apart(a: Evaluation, b: Evaluation) -> list[SetScores]:
    ids = [{s.id for s in run.sets} for run in (a, b)]
    return [s for s in (*a.sets, *b.sets) if s.id not in ids[0] & ids[1]]


class _Pair:
    """One set in both runs, with notes on it."""

    def __init__(self, one: SetScores, other: SetScores, allow_missing: bool) -> None:
        self.one, self.other, self.allow_missing = one, other, allow_missing
        self.notes: list[str] = []
        if one.stands_for is not None:
            self.notes.append(f"{one.label} stands in for {one.stands_for}")
        self._check_gaps()
        partners = {image.name: image for image in other.images}
        self.images = [(i, partners[i.name]) for i in one.images if i.name in partners]
        for pair in self.images:
            self._check_same(*pair)

    def differences(self) -> Iterator[Difference]:
        """One difference per metric that both runs have; names those that only one has."""
        for name, scores, lacking in (("A", self.one, self.other), ("B", self.other, self.one)):
            if alone := [METRICS[m].label for m in scores.metrics if m not in lacking.metrics]:
                self.notes.append(f"{self.one.label}: {', '.join(alone)} only in {name}")
        for metric in (METRICS[m] for m in self.one.metrics if m in self.other.metrics):
            by_metric = self._by_images if metric.per_image else self._by_sets
            found = by_metric(metric)
            if found is not None:
                yield found

    def _check_gaps(self) -> None:
        """Names images that a run could not measure or does not have."""
        label = self.one.label
        first, second = ({image.name for image in s.images} for s in (self.one, self.other))
        gaps = []
        if alone := sorted(first ^ second):
            more = f" and {len(alone) - 1} more" if len(alone) > 1 else ""
            gaps.append(f"{label}: {alone[0]}{more} in only one run")
        for name, scores in (("A", self.one), ("B", self.other)):
            if scores.problems:
                gaps.append(f"{label}: incomplete in {name}: {scores.problems[0]}")
        if gaps and not self.allow_missing:
            raise UserError(f"{gaps[0]}; --allow-missing compares the rest")
        self.notes += gaps

    def _check_same(self, image: ImageScores, partner: ImageScores) -> None:
        for kind in ("input", "target"):
            if len({image.crc32.get(kind), partner.crc32.get(kind)} - {None}) > 1:
                raise UserError(
                    f"{self.one.label}: {image.name} differs between the runs (its {kind})"
                )

    def _by_sets(self, metric: Metric) -> Difference | None:
        """The difference of a metric of whole sets, which must hold the same images."""
        a, b = (s.whole.get(metric.name, {}).get("restored") for s in (self.one, self.other))
        same = len(self.images) == len(self.one.images) == len(self.other.images)
        if same and a is not None and b is not None and math.isfinite(a + b):
            return self._difference(metric, a, b, len(self.images))
        why = "not computed in both runs" if same else "the runs have different images"
        self.notes.append(f"{self.one.label}: {metric.label} is not compared: {why}")
        return None

    def _by_images(self, metric: Metric) -> Difference | None:
        """The difference over images with finite figures in both runs.

        None if others exist and may not be left out.
        """
        figures = {
            image.name: tuple(i.restored.get(metric.name, math.inf) for i in (image, partner))
            for image, partner in self.images
        }
        finite = {name: ab for name, ab in figures.items() if all(map(math.isfinite, ab))}
        if left := [name for name in figures if name not in finite]:
            without = "compared without them" if self.allow_missing else "not compared"
            rest = "" if self.allow_missing else "; --allow-missing compares the rest"
            self.notes.append(
                f"{self.one.label}: {metric.label} is infinite or not computed for {len(left)} of "
                f"{len(figures)} images, first {left[0]}: {without}{rest}"
            )
        if not finite or (left and not self.allow_missing):
            return None
        differences = [b - a for a, b in finite.values()]
        sign = 1 if metric.better == "higher" else -1
        return self._difference(
            metric,
            sum(a for a, _ in finite.values()) / len(finite),
            sum(b for _, b in finite.values()) / len(finite),
            len(finite),
            mean_interval(differences, list(finite)),
            sum(sign * d > 0 for d in differences),
            identical=not any(differences),
        )

    def _difference(
        self,
        metric: Metric,
        a: float,
        b: float,
        images: int,
        interval: tuple[float, float] | None = None,
        wins: int | None = None,
        *,
        identical: bool = False,
    ) -> Difference:
        official = self.one.official if self.one.stands_for is None else None
        return Difference(self.one.label, images, metric, a, b, official, interval, wins, identical)
