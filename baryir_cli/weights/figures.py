"""Tables of the figures that weights state in their metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.markup import escape
from rich.table import Table

from baryir_cli.metrics import METRICS, Metric

Figures = Mapping[str, Mapping[str, float]]
"""By test set: ``images``, each metric of the restored images, and ``input_...`` of the inputs."""
COUNT, BEFORE = "images", "input_"


def figures_table(figures: Figures, title: str, metrics: Sequence[str] = tuple(METRICS)) -> Table:
    """One row per test set: images, and every stated metric before and after.

    Args:
        title: heading for the names of the sets.
    """
    names = columns_of(figures, metrics)
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(escape(title), overflow="fold")
    for name in names:
        when = "input" if name.startswith(BEFORE) else "restored"
        lines = name if name == COUNT else f"{_metric(name).label}\n{when}"
        table.add_column(lines, justify="right")
    for set_name, row in figures.items():
        table.add_row(escape(titled(set_name, row)), *(cell(name, row) for name in names))
    return table


def columns_of(figures: Figures, metrics: Sequence[str] = tuple(METRICS)) -> list[str]:
    """The columns that any set has: images, and the metrics before and after."""
    known = [COUNT, *(name for metric in metrics for name in (f"{BEFORE}{metric}", metric))]
    return [name for name in known if any(name in row for row in figures.values())]


def titled(name: str, row: Mapping[str, float]) -> str:
    """A test set's name, marked if its input was not degraded."""
    return f"{name} (clean input)" if row.get(f"{BEFORE}ssim") == 1 else name


def heading(name: str) -> str:
    """The heading of a column, in one line."""
    if name == COUNT:
        return name
    return f"{_metric(name).label}{' of the input' * name.startswith(BEFORE)}"


def cell(name: str, row: Mapping[str, float]) -> str:
    """Formats a figure with its metric's digits; a dash if there is none."""
    if name not in row:
        return "-"
    return f"{row[name]:.{0 if name == COUNT else _metric(name).digits}f}"


def _metric(name: str) -> Metric:
    return METRICS[name.removeprefix(BEFORE)]
