"""What weights say of their origin, as far as it can be believed to be well-formed."""

from __future__ import annotations

from typing import Any

from baryir_cli.console import printable

LACKS = ("missing", "unknown")
"""Tensors that a conversion counts, if there are any."""


def sources(provenance: dict[str, Any]) -> list[str]:
    """Degradations that the weights were trained on."""
    found = provenance.get("sources")
    return [printable(s) for s in found] if isinstance(found, list) else []


def licence(provenance: dict[str, Any]) -> str | None:
    """The licence's name; None where nothing is said."""
    found = provenance.get("licence")
    return printable(found) if isinstance(found, str) and found else None


def caution(provenance: dict[str, Any]) -> str | None:
    """What is wrong with weights that ``weights convert --partial`` made; None of all others."""
    found = provenance.get("converted")
    counts = {what: found.get(what) for what in LACKS} if isinstance(found, dict) else {}
    told = [f"{n} {what}" for what, n in counts.items() if type(n) is int and n > 0]
    if not told:
        return None
    of = ", ".join(told)
    return f"converted from part of a network (tensors: {of}): a start for training, no more"


def runs(provenance: dict[str, Any]) -> list[dict[str, Any]]:
    """What each run that led to the weights says of itself, the newest first."""
    found: list[dict[str, Any]] = []
    run: Any = provenance
    while isinstance(run, dict) and ("recipe" in run or "start" in run):
        found.append(run)
        run = run.get("start")
    return found


PARTS = {"judges": "the scene judge", "rest": "all but the scene judge"}
"""Parts of a network that may each be the mean of several weights, and what people call them."""


def means(provenance: dict[str, Any]) -> dict[str, list[str]]:
    """What each of :data:`PARTS` is the mean of, if it is one: a line each."""
    return {
        part: list(map(_share, found))
        for part in PARTS
        if isinstance(found := provenance.get(part), list)
        and all(isinstance(w, dict) for w in found)
    }


def _share(weights: dict[str, Any]) -> str:
    """Weights that are part of a mean: ``0.6 of r23, 3000 steps, ...``, as far as it is told."""
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
