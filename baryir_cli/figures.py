"""Tables of the figures that weights say of themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.markup import escape
from rich.table import Table

from baryir_cli.metrics import METRICS

Figures = Mapping[str, Mapping[str, float]]
"""By test set: ``images``, and each metric of the restored images and, as ``input_...``, before."""


def figures_table(figures: Figures, title: str, metrics: Sequence[str] = tuple(METRICS)) -> Table:
    """A row a test set: images, and each of the metrics that is there, before and after.

    Args:
        title: heading of the sets' names.
    """
    rows = figures.values()
    columns = [
        (name, heading)
        for metric in metrics
        for name, heading in ((f"input_{metric}", "input"), (metric, "restored"))
        if any(name in row for row in rows)
    ]
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(escape(title), overflow="fold")
    counted = any("images" in row for row in rows)
    if counted:
        table.add_column("images", justify="right")
    for name, heading in columns:
        label = METRICS[name.removeprefix("input_")].label
        table.add_column(f"{label}\n{heading}", justify="right")
    for set_name, row in figures.items():
        cells = [escape(titled(set_name, row))]
        cells += [f"{row['images']:.0f}" if "images" in row else "-"] if counted else []
        table.add_row(*cells, *(cell(name, row) for name, _ in columns))
    return table


def titled(name: str, row: Mapping[str, float]) -> str:
    """A test set's name; one that was not degraded says so."""
    return f"{name} (clean input)" if row.get("input_ssim") == 1 else name


def cell(name: str, row: Mapping[str, float]) -> str:
    """A figure as it is shown, with its metric's digits; a dash where there is none."""
    digits = METRICS[name.removeprefix("input_")].digits
    return f"{row[name]:.{digits}f}" if name in row else "-"
