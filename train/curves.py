"""Plots of a run's log: errors, the two sides of the game (as in Fig. 11), validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from models.files import replacing
from train.run import Entry

LARGEST = 1e30
"""Largest number that is drawn: matplotlib computes with its powers."""


def have_matplotlib() -> bool:
    """Whether curves can be drawn; the ``train`` extra installs matplotlib."""
    from importlib.util import find_spec

    return find_spec("matplotlib") is not None


def draw(entries: Sequence[Entry], path: Path) -> None:
    """Writes the curves of a log as a PNG.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.5), layout="constrained")
    errors, game, validation = figure.subplots(1, 3)
    _lines(errors, entries, "l1_source", lambda e: e.get("l1_source"))
    errors.set(title="L1 by source", xlabel="step", yscale="log")
    _lines(game, entries, "game", lambda e: {k: e[k] for k in ("map", "potentials") if k in e})
    game.set(title="loss of the map and of the potentials", xlabel="step")
    _lines(validation, entries, "psnr", lambda e: e.get("psnr"))
    _lines(validation, entries, "input", lambda e: e.get("psnr_input"), "--")
    validation.set(title="validation PSNR, dB (dashed: input)", xlabel="step")
    for axes in (errors, game, validation):
        axes.grid(alpha=0.3)
        if axes.has_data():
            axes.legend(fontsize="small")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")


def _lines(
    axes: Any,
    entries: Sequence[Entry],
    name: str,
    values: Callable[[Entry], Any],
    style: str = ".-",
) -> None:
    """Draws a line in its own colour for every key that any entry has.

    ``values`` should find numbers by key; whatever else a damaged log holds is left out.
    """
    points: dict[str, list[tuple[int, float]]] = {}
    for entry in entries:
        found = values(entry)
        for key, value in found.items() if isinstance(found, dict) else ():
            if _can_be_drawn(entry["step"]) and _can_be_drawn(value):
                points.setdefault(key, []).append((entry["step"], value))
    for number, (key, line) in enumerate(points.items()):
        axes.plot(
            *zip(*line, strict=True),
            style,
            color=f"C{number}",
            label=key if style == ".-" else None,
            linewidth=1.2,
            markersize=4,
            gid=f"{name}-{key}",
        )


def _can_be_drawn(value: Any) -> bool:
    """Whether it is a number, and not beyond :data:`LARGEST`."""
    return isinstance(value, (int, float)) and abs(value) <= LARGEST
