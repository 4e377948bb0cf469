"""Two evaluations of the same images: paired differences."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from baryir_cli.errors import UserError
from baryir_cli.evaluation.results import Evaluation, ImageScores, SetScores
from baryir_cli.evaluation.sheet import INTERVAL, Sheet, Table, without_repeats
from baryir_cli.evaluation.statistics import mean_interval
from baryir_cli.metrics import METRICS, Metric

HEADINGS = ("set", "images", "metric", "A", "B", "B - A", INTERVAL, "B better", "verdict")


@dataclass(frozen=True)
class Difference:
    """A set by one metric, the same images in both runs."""

    set: str
    images: int
    metric: Metric
    a: float
    b: float
    interval: tuple[float, float] | None = None
    """Of the mean difference, paired; none for metrics of whole sets."""
    wins: int | None = None
    """Images on which B is better."""

    @property
    def difference(self) -> float:
        """B less A."""
        return self.b - self.a

    @property
    def verdict(self) -> str:
        """Which is better, where the interval leaves no doubt."""
        if self.interval is None:
            return ""
        low, high = self.interval
        if low <= 0 <= high:
            return "no clear difference"
        return "B better" if (low > 0) == (self.metric.better == "higher") else "A better"

    def cells(self) -> tuple[str, ...]:
        """As :data:`HEADINGS` has them, formatted."""
        digits = self.metric.digits
        low_high = self.interval and " to ".join(f"{v:+.{digits}f}" for v in self.interval)
        return (
            self.set,
            str(self.images),
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
            "metric": self.metric.name,
            "a": self.a,
            "b": self.b,
            "difference": self.difference,
            "interval": list(self.interval) if self.interval else None,
            "b_better_on": self.wins,
        }


@dataclass(frozen=True)
class Comparison:
    """All that two evaluations share, and what is left out."""

    differences: list[Difference]
    notes: list[str]

    def sheet(self, a: str, b: str) -> Sheet:
        """As a table; ``a`` and ``b`` are what the runs are called."""
        rows = without_repeats([d.cells() for d in self.differences], 2)
        return Sheet([Table(HEADINGS, rows, 3)], "Comparison", f"A: {a}, B: {b}", self.notes)

    def to_json(self) -> str:
        """All of it."""
        entries = [d.to_dict() for d in self.differences]
        return json.dumps({"differences": entries, "notes": self.notes}, indent=1) + "\n"


def compare(a: Evaluation, b: Evaluation, *, allow_missing: bool = False) -> Comparison:
    """B against A, set by set, image by image.

    Raises:
        UserError: they share no set, or an image is in one of them only and ``allow_missing`` is
            not given, or an image has other pixels in one than in the other.
    """
    others = {s.id: s for s in b.sets}
    notes = [f"{s.label} is only in {'A' if s.id not in others else 'B'}" for s in _apart(a, b)]
    differences: list[Difference] = []
    for one in a.sets:
        if one.id in others:
            pairs, note = _paired(one, others[one.id], allow_missing=allow_missing)
            notes += [note] if note else []
            differences += _differences(one, others[one.id], pairs)
    if not differences:
        raise UserError("the two evaluations share no set and metric")
    return Comparison(differences, notes)


def _apart(a: Evaluation, b: Evaluation) -> list[SetScores]:
    ids = [{s.id for s in run.sets} for run in (a, b)]
    return [s for s in (*a.sets, *b.sets) if s.id not in ids[0] & ids[1]]


Pairs = list[tuple[ImageScores, ImageScores]]


def _paired(one: SetScores, other: SetScores, *, allow_missing: bool) -> tuple[Pairs, str]:
    first, second = ({image.name: image for image in s.images} for s in (one, other))
    shared = [name for name in first if name in second]
    alone = sorted(first.keys() ^ second.keys())
    note = ""
    if alone:
        note = f"{one.label}: {len(alone)} images are only in one run, first {alone[0]}"
        if not allow_missing:
            raise UserError(f"{note}; --allow-missing compares the rest")
    for name in shared:
        for kind in ("input", "target"):
            sums = {run[name].crc32.get(kind) for run in (first, second)} - {None}
            if len(sums) > 1:
                raise UserError(
                    f"{one.label}: {name} is not the same image in both ({kind} differs)"
                )
    return [(first[name], second[name]) for name in shared], note


def _differences(one: SetScores, other: SetScores, pairs: Pairs) -> Iterator[Difference]:
    for name in [m for m in one.metrics if m in other.metrics]:
        metric = METRICS[name]
        whole = [s.whole.get(name, {}).get("restored") for s in (one, other)]
        if whole[0] is not None and whole[1] is not None:
            # Of all images of each run, which must be the same ones.
            if len(pairs) == len(one.images) == len(other.images):
                yield Difference(one.label, len(pairs), metric, whole[0], whole[1])
            continue
        values = [
            (image.name, a, b)
            for image, partner in pairs
            if math.isfinite(a := image.restored.get(name, math.nan))
            and math.isfinite(b := partner.restored.get(name, math.nan))
        ]
        if values:
            yield _difference(one.label, metric, values)


def _difference(label: str, metric: Metric, values: list[tuple[str, float, float]]) -> Difference:
    differences = [b - a for _, a, b in values]
    sign = 1 if metric.better == "higher" else -1
    return Difference(
        label,
        len(values),
        metric,
        sum(a for _, a, _ in values) / len(values),
        sum(b for _, _, b in values) / len(values),
        mean_interval(differences, [name for name, _, _ in values]),
        sum(sign * d > 0 for d in differences),
    )
