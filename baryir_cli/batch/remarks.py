"""What the line of an image remarks on, and a summary counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

HARDLY = 0.5
"""A photograph is "hardly changed" below this many steps of 8 bits."""


@dataclass(frozen=True)
class Remark:
    """Something that is remarkable about some images."""

    text: str
    counted: str
    """Follows the number of such images in a summary."""
    applies: Callable[[Mapping[str, Any]], bool]
    """Whether it is true of an image, by the facts that the work reports; not all reports any."""
    is_risky: bool = True
    """Whether such images may want a look."""


REMARKS = (
    Remark(
        "two colours at most, left as it is",
        "with two colours at most, left as they are",
        lambda facts: facts.get("photographs") == 0,
        is_risky=False,
    ),
    Remark(
        "hardly changed",
        "hardly changed",
        lambda facts: facts.get("change", HARDLY) < HARDLY and facts.get("photographs") != 0,
        is_risky=False,
    ),
    Remark("tones changed", "with changed tones", lambda facts: bool(facts.get("toned"))),
    Remark("shake removed", "with shake removed", lambda facts: bool(facts.get("shake"))),
)


def remarks_on(facts: Mapping[str, Any]) -> list[Remark]:
    """The remarks on an image with these facts."""
    return [remark for remark in REMARKS if remark.applies(facts)]
