"""Box plots as SVG, drawn in the page's own colours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

WIDTH, LEFT, RIGHT, ROW, AXIS = 480, 72, 16, 32, 26
"""Pixels: width of the plot, margins of the boxes, height of a row, height of the axis."""


@dataclass(frozen=True)
class Box:
    """The data of one row."""

    kind: str
    """``input`` or ``restored``, which sets label and colour."""
    values: NDArray[np.float64]
    names: Sequence[str]
    """Names of the images, shown for outliers."""


def box_plot(title: str, boxes: Sequence[Box], digits: int, paper: float | None = None) -> str:
    """Draws horizontal boxes of quartiles, with whiskers to the last value within 1.5 interquartile
    ranges, outliers as points, the mean as a cross and the paper's figure as a dashed line."""
    everything = np.concatenate([box.values for box in boxes])
    if paper is not None:
        everything = np.append(everything, paper)
    low, high = float(everything.min()), float(everything.max())
    ticks = _ticks(low, high, digits)
    low, high = min(low, ticks[0]), max(high, ticks[-1])

    def x(value: float) -> float:
        share = (value - low) / (high - low) if high > low else 0.5
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    height = ROW * len(boxes) + AXIS
    parts = [_axis(tick, x(tick), height - AXIS, digits) for tick in ticks]
    for row, box in enumerate(boxes):
        parts += _box(box, ROW * row + ROW / 2, x, digits)
    if paper is not None:
        parts.append(
            f'<line class="paper" x1="{x(paper):.1f}" x2="{x(paper):.1f}" y1="0" '
            f'y2="{height - AXIS}"><title>paper {paper:.{digits}f}</title></line>'
        )
    return (
        f'<svg class="boxes" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )


def _box(box: Box, y: float, x: Callable[[float], float], digits: int) -> list[str]:
    first, middle, third = (float(q) for q in np.percentile(box.values, [25, 50, 75]))
    reach = 1.5 * (third - first)
    inside = box.values[(box.values >= first - reach) & (box.values <= third + reach)]
    low, high, mean = float(inside.min()), float(inside.max()), float(box.values.mean())
    summary = ", ".join(
        f"{name} {value:.{digits}f}"
        for name, value in (("median", middle), ("mean", mean), ("from", low), ("to", high))
    )
    parts = [
        f'<text class="row" x="0" y="{y + 4:.1f}">{escape(box.kind)}</text>',
        f'<g class="box {escape(box.kind)}"><title>{escape(box.kind)}: {summary}</title>',
        f'<line x1="{x(low):.1f}" x2="{x(first):.1f}" y1="{y}" y2="{y}"/>',
        f'<line x1="{x(third):.1f}" x2="{x(high):.1f}" y1="{y}" y2="{y}"/>',
        f'<rect x="{x(first):.1f}" y="{y - 9}" width="{x(third) - x(first):.1f}" height="18"/>',
        f'<line class="median" x1="{x(middle):.1f}" x2="{x(middle):.1f}" '
        f'y1="{y - 9}" y2="{y + 9}"/>',
        f'<path class="mean" d="M{x(mean) - 4:.1f} {y - 4}l8 8m0-8l-8 8"/></g>',
    ]
    for name, value in zip(box.names, box.values, strict=True):
        if not low <= value <= high:
            parts.append(
                f'<circle class="{escape(box.kind)}" cx="{x(value):.1f}" cy="{y}" r="3">'
                f"<title>{escape(name)}: {value:.{digits}f}</title></circle>"
            )
    return parts


def _axis(tick: float, x: float, bottom: float, digits: int) -> str:
    text = f"{tick:.{digits}f}".rstrip("0").rstrip(".") if digits else f"{tick:.0f}"
    return (
        f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{bottom}"/>'
        f'<text class="tick" x="{x:.1f}" y="{bottom + 18}">{text}</text>'
    )


def _ticks(low: float, high: float, digits: int) -> list[float]:
    """At most ten round numbers around a range that differ in the digits shown."""
    span = max(high - low, 5 * 10**-digits)
    power = 10 ** np.floor(np.log10(span / 5))
    step = float(next(m * power for m in (1, 2, 5, 10) if span / (m * power) <= 8))
    first = np.floor(low / step)
    return [float(step * n) for n in np.arange(first, np.ceil(high / step) + 1)]
