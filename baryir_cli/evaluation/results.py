"""Results of an evaluation, and their JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from baryir_cli.errors import UsageError, UserError
from baryir_cli.metrics import METRICS
from baryir_cli.report import Report
from models.jsontext import parsed
from models.wording import no_such

FORMAT = 1
"""Version of the JSON; newer ones are refused."""

Scores = dict[str, float]
"""Figures by metric."""
MALFORMED = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
"""Exceptions that malformed JSON causes."""


@dataclass
class ImageScores(Report):
    """One image: how it was restored, and its scores."""

    name: str
    width: int
    height: int
    input: Scores = field(default_factory=dict)
    restored: Scores = field(default_factory=dict)
    crc32: dict[str, int] = field(default_factory=dict)
    """``zlib.crc32`` of the pixels of ``input``, ``target`` and ``restored``, if present."""
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """JSON values. Infinite figures (the PSNR of equal images) become None, and so does
        everything about the restoration if another program did it."""
        found = {
            "name": self.name,
            **super().to_dict(),
            "input": _finite(self.input),
            "restored": _finite(self.restored),
            "seconds": round(self.seconds, 4),
        }
        if not self.tiles:
            found |= dict.fromkeys(["seconds", *(f.name for f in fields(Report))])
        return found

    @classmethod
    def from_dict(cls, entry: dict[str, Any]) -> ImageScores:
        """From what :meth:`to_dict` returned.

        Raises one of :data:`MALFORMED` for anything else.
        """
        known = {
            **{key: value for key, value in entry.items() if value is not None},
            "input": _with_infinite(entry["input"]),
            "restored": _with_infinite(entry["restored"]),
            "crc32": {str(kind): int(value) for kind, value in entry["crc32"].items()},
            "tile": tuple(entry["tile"] or (0, 0)),
        }
        if not isinstance(entry["name"], str):
            raise TypeError("a name must be text")
        return cls(**known)


@dataclass
class SetScores:
    """One set."""

    id: str
    label: str
    metrics: list[str]
    images: list[ImageScores] = field(default_factory=list)
    official: int | None = None
    stands_for: str | None = None
    degradation: str = ""
    whole: dict[str, Scores] = field(default_factory=dict)
    """Metrics of the whole set (FID): by metric, then by ``input`` and ``restored``."""
    not_computed: dict[str, str] = field(default_factory=dict)
    """Why a metric cannot be computed for an image, and so for the set."""
    problems: list[str] = field(default_factory=list)
    """Why images are missing from it, a sentence each."""
    allow_missing: bool = False

    @property
    def averaged(self) -> bool:
        """Whether its means may be shown. Without ``allow_missing``, gaps forbid it."""
        return bool(self.images) and (self.allow_missing or not self.problems)

    @property
    def partial(self) -> bool:
        """Whether its number of images differs from the official set's."""
        return self.official is not None and len(self.images) != self.official

    @property
    def comparable(self) -> bool:
        """Whether the paper's row may stand beside it."""
        return self.stands_for is None and self.averaged

    def values(self, kind: str, metric: str) -> list[float]:
        """One metric of all images; ``kind`` is ``input`` or ``restored``.

        Empty if any image lacks it.
        """
        found = [getattr(image, kind).get(metric) for image in self.images]
        return [v for v in found if v is not None] if None not in found else []

    def mean(self, kind: str, metric: str) -> float | None:
        """The mean over the images, or the figure of the whole set; None if there is neither."""
        if not self.averaged:
            return None
        if metric in self.whole:
            return self.whole[metric].get(kind)
        values = self.values(kind, metric)
        return sum(values) / len(values) if values else None


@dataclass
class Evaluation:
    """A whole run."""

    bench: str | None
    metrics: list[str]
    settings: dict[str, Any]
    """Weights and their hash, device, precision, requested tile and overlap, versions, date."""
    sets: list[SetScores] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    """Missing sets: the folder to put each in, by label."""
    unavailable: dict[str, str] = field(default_factory=dict)
    """Metrics that were not computed, and why."""

    def to_dict(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """JSON values. ``summary`` is included for readers; :meth:`load` ignores it."""
        return {
            "format": FORMAT,
            "bench": self.bench,
            "metrics": self.metrics,
            "settings": self.settings,
            "unavailable": self.unavailable,
            "missing": self.missing,
            "summary": dict(summary),
            "sets": [
                {
                    **s.__dict__,
                    "whole": {m: _finite(v) for m, v in s.whole.items()},
                    "images": [image.to_dict() for image in s.images],
                }
                for s in self.sets
            ],
        }

    @classmethod
    def load(cls, path: Path) -> Evaluation:
        """Reads the JSON of an evaluation.

        Raises:
            UsageError: no such file.
            UserError: it is not an evaluation, or too new.
        """
        try:
            entry = parsed(path.read_text("utf-8"), parse_constant=_refuse)
        except (FileNotFoundError, IsADirectoryError):
            raise UsageError(f"--compare {no_such(path, 'file')}") from None
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}") from None
        except ValueError:
            raise UserError(f"{path}: not JSON; --compare takes what --json wrote") from None
        try:
            if entry["format"] > FORMAT:
                raise UserError(f"{path}: written by a newer version of this program")
            sets = [_set_scores(s) for s in entry["sets"]]
            return cls(
                entry["bench"],
                entry["metrics"],
                entry["settings"],
                sets,
                entry["missing"],
                entry["unavailable"],
            )
        except MALFORMED:
            raise UserError(
                f"{path}: not an evaluation; --compare takes what --json wrote"
            ) from None


def _set_scores(entry: dict[str, Any]) -> SetScores:
    images = [ImageScores.from_dict(image) for image in entry["images"]]
    whole = {metric: _with_infinite(scores) for metric, scores in entry["whole"].items()}
    if not {*entry["metrics"], *whole} <= METRICS.keys():
        raise ValueError("unknown metric")
    if not all(isinstance(text, str) for text in [entry["id"], entry["label"], *entry["problems"]]):
        raise ValueError("a name must be text")
    return SetScores(**{**entry, "images": images, "whole": whole})


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _finite(scores: Mapping[str, float]) -> dict[str, float | None]:
    return {metric: value if math.isfinite(value) else None for metric, value in scores.items()}


def _with_infinite(scores: Mapping[str, float | None]) -> Scores:
    return {m: math.inf if value is None else float(value) for m, value in scores.items()}
