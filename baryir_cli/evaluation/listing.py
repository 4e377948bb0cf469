"""``baryir eval --list``: benches and sets, what is on disk and where the rest goes."""

from __future__ import annotations

from pathlib import Path

from baryir_cli.benches import Bench, BenchSet, FoundSet, benches, find_set
from baryir_cli.evaluation.sheet import Sheet, Table
from baryir_cli.metrics import METRICS

HEADINGS = ("set", "images", "state")


def listing(data: Path) -> Sheet:
    """One table per bench, one row per set, with paths below ``data``."""
    tables = [_table(which, data) for which in benches().values()]
    return Sheet(tables, title=f"folders below {data}")


def _table(which: Bench, data: Path) -> Table:
    metrics = " ".join(METRICS[name].label for name in which.metrics)
    rows = [_row(wanted, data) for wanted in which.sets]
    return Table(HEADINGS, rows, len(HEADINGS), f"{which.id}: {which.title.lower()}; {metrics}")


def _row(wanted: BenchSet, data: Path) -> tuple[str, str, str]:
    found = find_set(wanted, data)
    official = f" of {wanted.official}" if wanted.official else ""
    where = wanted.where
    if found is None:
        return wanted.id, f"0{official}", f"missing: goes to {where}"
    if found.stands_for is not None:
        state = f"stand-in: {found.label}; the set goes to {where}"
        return wanted.id, str(len(found.items)), state
    return wanted.id, f"{len(found.items)}{official}", _state(found, data)


def _state(found: FoundSet, data: Path) -> str:
    if found.problems:
        more = f" (and {len(found.problems) - 1} more)" if len(found.problems) > 1 else ""
        return f"{found.problems[0]}{more}"
    folder = found.folder.relative_to(data)
    if found.official is not None and len(found.items) != found.official:
        return f"partial, in {folder}"
    return f"complete, in {folder}" if found.official else f"in {folder}"
