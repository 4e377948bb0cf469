"""Reports of an evaluation: sheet, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
import math

from baryir_cli.evaluation.results import Evaluation, ImageScores
from baryir_cli.evaluation.sheet import Sheet, Table, grouped
from baryir_cli.evaluation.summary import HEADINGS, IF_ANY, Summary
from baryir_cli.metrics import METRICS


def sheet(summary: Summary, settings: str) -> Sheet:
    """Our table, the paper's table and the notes."""
    rows = [line.cells() for line in summary.lines]
    used = [n for n, h in enumerate(HEADINGS) if h not in IF_ANY or any(row[n] for row in rows)]
    cells = [[row[n] or "-" for n in used] for row in rows]
    tables = [grouped([HEADINGS[n] for n in used], cells, 3, 2)]
    if summary.paper:
        headings, *methods = summary.paper
        tables.append(Table(headings, methods, 1, "The paper's table", ours=-1))
    return Sheet(tables, summary.title, settings, summary.notes)


def to_json(run: Evaluation, summary: Summary) -> str:
    """Everything, image by image."""
    return json.dumps(run.to_dict(summary.to_dict()), indent=1, allow_nan=False) + "\n"


def to_csv(run: Evaluation) -> str:
    """One line per image, without the metrics of whole sets."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    names = [m for m in run.metrics if METRICS[m].per_image]
    metrics = [(kind, m) for m in names for kind in ("input", "restored")]
    first = ["set", "stands_for", "image", "width", "height"]
    first += ["seconds", "tile", "precision", "device"]
    writer.writerow([*first, *(f"{kind}_{metric}" for kind, metric in metrics)])
    for scores in run.sets:
        for image in scores.images:
            figures = [_figure(image, kind, metric) for kind, metric in metrics]
            writer.writerow([scores.label, scores.stands_for, *_how(image), *figures])
    return buffer.getvalue()


def _how(image: ImageScores) -> list[object]:
    height, width = image.tile
    tile = f"{width}x{height}" if image.tiles else ""
    seconds = f"{image.seconds:.4f}" if image.tiles else ""
    return [image.name, image.width, image.height, seconds, tile, image.precision, image.device]


def _figure(image: ImageScores, kind: str, metric: str) -> str:
    value = getattr(image, kind).get(metric)
    if value is None:
        return ""
    return f"{value:.6f}" if math.isfinite(value) else "inf"
