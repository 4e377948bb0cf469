"""What weights state about their origin. Malformed entries are ignored."""

from __future__ import annotations

from typing import Any

from baryir_cli.shell.console import printable

LACKS = ("missing", "unknown")
"""Counts of tensors that a partial conversion records."""


def sources(provenance: dict[str, Any]) -> list[str]:
    """The degradations that the weights were trained on."""
    found = provenance.get("sources")
    return [printable(s) for s in found] if isinstance(found, list) else []


def data(provenance: dict[str, Any]) -> list[str]:
    """Where the weights' data came from, one line per source if each has one."""
    found = provenance.get("data", [])
    lines = [printable(line) for line in (found if isinstance(found, list) else [found])]
    names = sources(provenance)
    if not isinstance(found, list) or len(names) != len(lines):
        return lines
    return [f"{name}: {line}" for name, line in zip(names, lines, strict=True)]


def licence(provenance: dict[str, Any]) -> str | None:
    """The licence's name; None if not stated."""
    found = provenance.get("licence")
    return printable(found) if isinstance(found, str) and found else None


def caution(provenance: dict[str, Any]) -> str | None:
    """A caution about weights from ``weights convert --partial``; None for all others."""
    found = provenance.get("converted")
    counts = {what: found.get(what) for what in LACKS} if isinstance(found, dict) else {}
    told = [f"{n} {what}" for what, n in counts.items() if type(n) is int and n > 0]
    if not told:
        return None
    of = ", ".join(told)
    return f"converted from an incomplete network (tensors: {of}): only a start for training"


def runs(provenance: dict[str, Any]) -> list[dict[str, Any]]:
    """The training runs behind the weights, the newest first."""
    found: list[dict[str, Any]] = []
    run: Any = provenance
    while isinstance(run, dict) and ("recipe" in run or "start" in run):
        found.append(run)
        run = run.get("start")
    return found


PARTS = {"judges": "the scene judge", "rest": "all but the scene judge"}
"""Parts of a network that may each be a mean of several weights, and their names for people."""


def means(provenance: dict[str, Any]) -> dict[str, list[str]]:
    """For each of :data:`PARTS` that is a mean, one line per set of weights in it."""
    return {
        part: list(map(_share, found))
        for part in PARTS
        if isinstance(found := provenance.get(part), list)
        and all(isinstance(w, dict) for w in found)
    }


def _share(weights: dict[str, Any]) -> str:
    """Describes weights in a mean, as far as stated: ``0.6 of r23, 3000 steps, ...``."""
    forms = {"steps": "{} steps", "date": "{}", "sha256": "SHA-256 {:.12}"}
    told = [form.format(str(weights[name])) for name, form in forms.items() if name in weights]
    return ", ".join([f"{weights.get('share', '?')} of {weights.get('name', '?')}", *told])


def figures(provenance: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Figures by test set and by metric: ``{"Rain100L": {"psnr": 29.6, "ssim": 0.88}}``."""
    found = provenance.get("figures")
    if not isinstance(found, dict):
        return {}
    return {
        printable(name): {printable(metric): v for metric, v in row.items() if _number(v)}
        for name, row in found.items()
        if isinstance(row, dict)
    }


def _number(value: Any) -> bool:
    return type(value) in (int, float)
