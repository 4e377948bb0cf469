"""The HTML page: a single file that loads nothing from the network or the disk."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from importlib.resources import files

import numpy as np
from PIL import Image

from baryir_cli.benches.find import FoundSet
from baryir_cli.errors import UserError
from baryir_cli.evaluation.boxplot import Box, box_plot
from baryir_cli.evaluation.results import Evaluation, ImageScores, SetScores
from baryir_cli.evaluation.run import Evaluator
from baryir_cli.evaluation.sheet import Sheet, Table
from baryir_cli.evaluation.summary import Summary, count
from baryir_cli.metrics import METRICS, Metric
from baryir_cli.shell.units import counted
from models.light import Pixels

LARGEST = 1024
"""Longest side of an embedded image in pixels; larger ones are reduced."""
QUALITY = 88

# The page may load only what it embeds.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


@dataclass(frozen=True)
class Example:
    """One image of a set, shown before and after."""

    rank: str
    """Best, median, worst, or the only one."""
    scores: ImageScores
    before: Pixels
    before_label: str
    after: Pixels


def examples(
    run: Evaluation, found: Sequence[FoundSet], evaluator: Evaluator
) -> list[list[Example]]:
    """The best, median and worst image of every set, restored again unless saved."""
    by_id = {one.id: one for one in found}
    return [list(_examples(scores, by_id[scores.id], evaluator)) for scores in run.sets]


def page(run: Evaluation, summary: Summary, shown: list[list[Example]], sheet: Sheet) -> str:
    """The whole page: the sheet that the terminal shows, then plots and images of every set."""
    sections = [
        _section(run, scores, summary, pictures)
        for scores, pictures in zip(run.sets, shown, strict=True)
    ]
    notes = "".join(f"<li>{escape(note)}</li>" for note in sheet.notes)
    body = [
        f'<h1>{escape(sheet.title)}</h1><p class="faint">{escape(sheet.subtitle)}, '
        f"{datetime.fromisoformat(run.settings['date']):%Y-%m-%d %H:%M %Z}</p>",
        *map(_table, sheet.tables),
        f"<ul>{notes}</ul>" if notes else "",
        *sections,
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<title>{escape(sheet.title)}</title>\n'
        f"<style>\n{_asset('page.css')}</style></head>\n<body>\n"
        + "\n".join(filter(None, body))
        + f"\n<script>\n{_asset('page.js')}</script>\n</body></html>\n"
    )


def ranking_metric(scores: SetScores) -> Metric | None:
    """The metric that ranks the images: the first one that every image has."""
    return next((METRICS[m] for m in scores.metrics if scores.values("restored", m)), None)


def _examples(scores: SetScores, found: FoundSet, evaluator: Evaluator) -> Iterator[Example]:
    metric = ranking_metric(scores)
    if metric is None:
        return
    items = {item.name: item for item in found.items}
    ranked = sorted(
        scores.images,
        key=lambda image: image.restored[metric.name],
        reverse=metric.better == "higher",
    )
    places = {0: "best", len(ranked) // 2: "median", len(ranked) - 1: "worst"}
    if len(ranked) == 1:
        places = {0: "the only one"}
    for place, rank in sorted(places.items()):
        image = ranked[place]
        try:
            loaded, after = evaluator.restored(found, items[image.name])
        except UserError:
            continue  # the file has been removed since
        before, label = (
            (loaded.degraded, "input") if loaded.degraded is not None else (loaded.target, "target")
        )
        if before is not None:
            yield Example(rank, image, before, label, after)


def _section(run: Evaluation, scores: SetScores, summary: Summary, pictures: list[Example]) -> str:
    instead = f"; stands in for {scores.stands_for}" if scores.stands_for else ""
    how = f"; {scores.degradation}" if scores.degradation else ""
    title = f"<h2>{escape(scores.label)}</h2>"
    title += f'<p class="faint">{escape(f"images: {count(scores)}{instead}{how}")}</p>'
    metrics = scores.metrics if scores.averaged else []
    plots = [_plot(scores, METRICS[m], summary) for m in metrics]
    figures = "".join(_figure(e, ranking_metric(scores), run.settings["name"]) for e in pictures)
    return f'{title}<div class="plots">{"".join(plots)}</div>' + (
        f'<div class="examples">{figures}</div>' if figures else ""
    )


def _plot(scores: SetScores, metric: Metric, summary: Summary) -> str:
    names = [image.name for image in scores.images]
    figures = {kind: scores.values(kind, metric.name) for kind in ("input", "restored")}
    boxes = [
        Box(kind, np.array(values), names)
        for kind, values in figures.items()
        if values and all(map(math.isfinite, values))
    ]
    infinite = [kind for kind, values in figures.items() if any(map(math.isinf, values))]
    if not boxes and not infinite:
        return ""
    paper = next(
        (x.paper for x in summary.lines if x.set == scores.label and x.metric == metric), None
    )
    title = f"{metric.label} of {counted(len(names), 'image')}"
    legend = [f"{metric.better} is better"]
    if boxes:
        legend.append("cross: the mean")
    if boxes and paper is not None:
        legend.append("dashed: the paper's mean")
    legend += [f"no box of {kind}: infinite for some images" for kind in infinite]
    plot = box_plot(title, boxes, metric.digits, paper) if boxes else ""
    return f'<div><h3>{escape(title)}</h3>{plot}<p class="faint">{"; ".join(legend)}</p></div>'


def _figure(example: Example, metric: Metric | None, name: str) -> str:
    scores = example.scores
    figures = "" if metric is None else _before_after(scores, metric)
    alt = f"{scores.name}, {example.before_label}"
    return (
        '<figure><div class="slider">'
        f'<img class="after" alt="{escape(scores.name)}, restored" src="{_data(example.after)}">'
        f'<img class="before" alt="{escape(alt)}" src="{_data(example.before)}">'
        f'<span class="left">{example.before_label}</span>'
        f'<span class="right">{escape(name)}</span>'
        f'<input type="range" min="0" max="100" value="50" step="any" '
        f'aria-label="{escape(scores.name)}: share of the {example.before_label} shown">'
        f"</div><figcaption><b>{example.rank}</b>: {escape(scores.name)}{figures}</figcaption>"
        "</figure>"
    )


def _before_after(scores: ImageScores, metric: Metric) -> str:
    after = f"{scores.restored[metric.name]:.{metric.digits}f}"
    before = scores.input.get(metric.name)
    change = after if before is None else f"{before:.{metric.digits}f} to {after}"
    return f", {metric.label} {change}"


def _data(pixels: Pixels) -> str:
    image = Image.fromarray(pixels)
    image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _table(table: Table) -> str:
    columns = [
        ["number"] * (n >= table.numbers_from) + ["restored"] * (heading == "restored")
        for n, heading in enumerate(table.headings)
    ]

    def row(tag: str, cells: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{_class(kinds)}>{escape(cell)}</{tag}>"
            for kinds, cell in zip(columns, cells, strict=True)
        )

    rows = []
    for number, cells in enumerate(table.rows):
        ours = table.is_ours(number)
        # A rule above the first row of a set, or above the row in bold.
        first = ours if table.ours is not None else bool(cells[0])
        rows.append(f"<tr{_class(['ours'] * ours + ['first'] * first)}>{row('td', cells)}</tr>")
    title = f"<h3>{escape(table.title)}</h3>" if table.title else ""
    return (
        f'{title}<div class="scroll"><table><thead><tr>{row("th", table.headings)}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _class(names: Sequence[str]) -> str:
    return f' class="{" ".join(names)}"' if names else ""


def _asset(name: str) -> str:
    return files("baryir_cli.evaluation").joinpath(name).read_text("utf-8")
