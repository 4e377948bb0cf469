"""Condenses an evaluation to the lines of its table, which all reports share."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from baryir_cli.benches import Bench, bench, paper_rows
from baryir_cli.evaluation.results import Evaluation, SetScores
from baryir_cli.evaluation.sheet import INTERVAL
from baryir_cli.evaluation.statistics import interval, mean_interval, mean_resamples
from baryir_cli.metrics import METRICS, Metric

Interval = tuple[float, float]

HEADINGS = (
    "set",
    "images",
    "metric",
    "input",
    "restored",
    INTERVAL,
    "paper",
    "minus paper",
)
IF_ANY = {INTERVAL, "paper", "minus paper"}
"""Columns that are left out if all their cells are empty."""
NOT_COMPUTED = "not computed"


@dataclass(frozen=True)
class Line:
    """One set, or the average of all sets, by one metric."""

    set: str
    """Label of the set."""
    images: str
    metric: Metric
    input: float | None = None
    restored: float | None = None
    interval: Interval | None = None
    paper: float | None = None
    """The paper's figure for its own network on this set."""
    computed: bool = True
    """False if the metric is not available for the restored images."""

    @property
    def difference(self) -> float | None:
        """Restored minus paper."""
        return _less(self.restored, self.paper)

    def cells(self) -> tuple[str, ...]:
        """The formatted cells under :data:`HEADINGS`; empty if there is no value."""
        low_high = self.interval and " to ".join(self._text(v) for v in self.interval)
        return (
            self.set,
            self.images,
            self.metric.label,
            self._text(self.input),
            self._text(self.restored) if self.computed else NOT_COMPUTED,
            low_high or "",
            "" if self.paper is None else published(self.metric, self.paper),
            self._text(self.difference, "+"),
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "set": self.set,
            "images": self.images,
            "metric": self.metric.name,
            "input": _json(self.input),
            "restored": _json(self.restored),
            "interval": list(self.interval) if self.interval else None,
            "paper": self.paper,
        }

    def _text(self, value: float | None, sign: str = "") -> str:
        return "" if value is None else f"{value:{sign}.{self.metric.digits}f}"


@dataclass(frozen=True)
class Summary:
    """Everything that a report shows."""

    title: str
    lines: list[Line]
    paper: list[list[str]]
    """The paper's table, headings first, our row last; empty if nothing is comparable."""
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {"lines": [line.to_dict() for line in self.lines], "notes": self.notes}


def summarise(run: Evaluation) -> Summary:
    """Makes the lines, the paper's table and the notes of an evaluation."""
    which = bench(run.bench) if run.bench else None
    lines = [line for scores in run.sets for line in _set_lines(run, scores, which)]
    average = _average(run, which) if which else []
    labels = ", ".join(scores.label for scores in run.sets)
    title = f"Bench {which.id}: {which.title.lower()}" if which else f"Evaluation of {labels}"
    paper = _paper_table(run, which, average) if which else []
    return Summary(title, lines + average, paper, list(_notes(run, which, lines, average)))


def published(metric: Metric, value: float) -> str:
    """Formats a figure of the paper, which has at most three digits."""
    return f"{value:.{min(metric.digits, 3)}f}"


def count(scores: SetScores) -> str:
    """How many images a figure is based on, and of how many."""
    number = str(len(scores.images))
    if scores.stands_for is None and scores.official is not None:
        number += f" of {scores.official}"
    if scores.problems and scores.allow_missing:
        number += f", {len(scores.problems)} left out"
    return number


def _set_lines(run: Evaluation, scores: SetScores, which: Bench | None) -> Iterator[Line]:
    for name in scores.metrics:
        metric = METRICS[name]
        values = scores.values("restored", name) if scores.averaged else []
        names = [image.name for image in scores.images]
        restored = scores.mean("restored", name)
        failed = name in run.unavailable or name in scores.not_computed
        yield Line(
            scores.label,
            count(scores),
            metric,
            scores.mean("input", name),
            restored,
            mean_interval(values, names),
            _paper_figure(which, scores, name) if which else None,
            # If only an input fails (too dark for NIQE, say), there still is a mean.
            restored is not None or not failed,
        )


def _paper_figure(which: Bench, scores: SetScores, metric: str) -> float | None:
    name = which.paper_names.get(scores.id, "")
    return _paper_results(which).get(name, {}).get(metric) if scores.comparable else None


def _paper_results(which: Bench) -> dict[str, dict[str, float]]:
    """The paper's figures for its own network, by set, then by metric."""
    (row,) = [row for row in paper_rows(which.table) if row["method"] == which.ours]
    results: dict[str, dict[str, float]] = row["results"]
    return results


def _average(run: Evaluation, which: Bench) -> list[Line]:
    """One line per metric: means over the sets, if the bench is complete and official."""
    if not _is_whole(run, which):
        return []
    return [line for name in run.metrics if (line := _average_line(run, which, name))]


def _is_whole(run: Evaluation, which: Bench) -> bool:
    """Whether every set of a bench of several is there, complete and official."""
    everything = len(run.sets) >= max(len(which.sets), 2)
    return everything and all(s.comparable and not s.partial for s in run.sets)


def _average_line(run: Evaluation, which: Bench, metric: str) -> Line | None:
    before, after = (_mean_of_sets(run, kind, metric) for kind in ("input", "restored"))
    if after is None:
        return None
    resamples = [
        mean_resamples(values, [image.name for image in s.images])
        for s in run.sets
        if (values := s.values("restored", metric))
    ]
    smallest = min(len(s.images) for s in run.sets)
    mean = sum(resamples[1:], resamples[0]) / len(resamples) if resamples else None
    return Line(
        f"average of {len(run.sets)}",
        str(sum(len(s.images) for s in run.sets)),
        METRICS[metric],
        before,
        after,
        None if mean is None else interval(mean, smallest),
        _paper_results(which).get("average", {}).get(metric),
    )


def _mean_of_sets(run: Evaluation, kind: str, metric: str) -> float | None:
    means = [mean for s in run.sets if (mean := s.mean(kind, metric)) is not None]
    return sum(means) / len(means) if len(means) == len(run.sets) else None


def _paper_table(run: Evaluation, which: Bench, average: list[Line]) -> list[list[str]]:
    """Methods by sets, with figures joined by slashes as in the paper."""

    def both(scores: SetScores, metric: str) -> bool:
        figures = scores.mean("restored", metric), _paper_figure(which, scores, metric)
        return None not in figures

    shown = [s for s in run.sets if any(both(s, m) for m in run.metrics)]
    metrics = [m for m in run.metrics if any(both(s, m) for s in shown)]
    if not shown:
        return []
    headings = [" / ".join(METRICS[m].label for m in metrics)]
    headings += [s.label + (f", {count(s)}" if s.partial else "") for s in shown]
    rows = []
    for row in paper_rows(which.table):
        results = [row["results"].get(which.paper_names[s.id], {}) for s in shown]
        rows.append([row["method"], *(_joined(metrics, r) for r in results)])
    ours = [{m: s.mean("restored", m) for m in metrics} for s in shown]
    rows.append([run.settings["name"], *(_joined(metrics, r) for r in ours)])
    if average:
        headings.append("average")
        means = [row["results"].get("average", {}) for row in paper_rows(which.table)]
        means.append({line.metric.name: line.restored for line in average})
        for cells, mean in zip(rows, means, strict=True):
            cells.append(_joined(metrics, mean))
    return [headings, *rows]


def _joined(metrics: list[str], figures: dict[str, Any]) -> str:
    """Figures in the paper's format and precision."""
    values = [(METRICS[m], figures.get(m)) for m in metrics]
    if all(value is None for _, value in values):
        return ""
    return " / ".join("-" if v is None else published(metric, v) for metric, v in values)


def _notes(
    run: Evaluation, which: Bench | None, lines: list[Line], average: list[Line]
) -> Iterator[str]:
    for label, where in run.missing.items():
        yield f"{label} is missing: put it in {where}"
    for scores in run.sets:
        yield from _set_notes(scores)
    for name, reason in run.unavailable.items():
        yield f"{METRICS[name].label} is not computed: {reason}"
    if which is None:
        return
    if not _is_whole(run, which):
        yield "no average: it needs every set of the bench, complete and official"
    elif not average:
        yield "no average: no metric covers every set"
    if any(line.paper is not None for line in lines):
        yield f'"paper" is the paper\'s {which.ours}, as published'
    if which.note:
        yield which.note


def _set_notes(scores: SetScores) -> Iterator[str]:
    if scores.stands_for:
        yield (f"{scores.label} stands in for {scores.stands_for}; the paper's rows do not apply")
    elif scores.partial:
        yield (
            f"{scores.label}: {len(scores.images)} of {scores.official} images; the paper's row "
            "covers all"
        )
    if scores.degradation:
        yield f"{scores.label}: {scores.degradation}"
    if _inputs_equal_targets(scores):
        yield (
            f"{scores.label}: every input equals its target, so the figures tell how well clean "
            "images are kept"
        )
    for metric, reason in scores.not_computed.items():
        yield f"{scores.label}: {METRICS[metric].label} is not computed: {reason}"
    if scores.problems:
        what = "averaged without them" if scores.averaged else "nothing is averaged"
        listed = "; ".join(scores.problems[:3])
        more = len(scores.problems) - 3
        yield f"{scores.label}: {listed}{f'; {more} more' if more > 0 else ''}: {what}"


def _inputs_equal_targets(scores: SetScores) -> bool:
    sums = [image.crc32 for image in scores.images]
    return bool(sums) and all("input" in s and s["input"] == s.get("target") for s in sums)


def _less(a: float | None, b: float | None) -> float | None:
    if a is None or b is None or not (math.isfinite(a) and math.isfinite(b)):
        return None
    return a - b


def _json(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
