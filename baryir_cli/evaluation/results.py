"""What an evaluation found, and its JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from baryir_cli.errors import UserError
from baryir_cli.metrics import METRICS
from baryir_cli.report import Report

FORMAT = 1
"""Version of the JSON; a reader refuses newer ones."""

Scores = dict[str, float]
"""By metric."""
MALFORMED = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
"""What comes of reading JSON that is of another form."""


@dataclass
class ImageScores(Report):
    """One image: how it was restored and what the metrics say."""

    name: str
    width: int
    height: int
    input: Scores = field(default_factory=dict)
    restored: Scores = field(default_factory=dict)
    crc32: dict[str, int] = field(default_factory=dict)
    """``zlib.crc32`` of the bytes of ``input``, ``target`` and ``restored``, as far as there."""
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
            raise TypeError("a name is text")
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
    """Metrics of the set as a whole (FID), by metric; then of ``input`` and ``restored``."""
    not_computed: dict[str, str] = field(default_factory=dict)
    """Why a metric cannot be computed of an image, and so of the set."""
    problems: list[str] = field(default_factory=list)
    """Why images of it are not here, a sentence each."""
    allow_missing: bool = False

    @property
    def averaged(self) -> bool:
        """Whether its means may be shown: nothing is averaged over a gap unasked."""
        return bool(self.images) and (self.allow_missing or not self.problems)

    @property
    def partial(self) -> bool:
        """Whether it has another number of images than the official set."""
        return self.official is not None and len(self.images) != self.official

    @property
    def comparable(self) -> bool:
        """Whether the paper's row may stand beside it."""
        return self.stands_for is None and self.averaged

    def values(self, kind: str, metric: str) -> list[float]:
        """A metric's figures of all images; ``kind`` is ``input`` or ``restored``.

        Empty if any image lacks it.
        """
        found = [getattr(image, kind).get(metric) for image in self.images]
        return [v for v in found if v is not None] if None not in found else []

    def mean(self, kind: str, metric: str) -> float | None:
        """The mean over the images, or the figure of the whole set; None where there is none."""
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
    """Weights and their hash, device, precision, tile, overlap as asked for, versions, date."""
    sets: list[SetScores] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    """Label of every set that is not there, and the folder to put it in."""
    unavailable: dict[str, str] = field(default_factory=dict)
    """Why a metric was not computed."""

    def to_dict(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """JSON values; ``summary`` goes along for readers, :meth:`from_dict` makes it anew."""
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
            UserError: it is none, or too new.
        """
        try:
            entry = json.loads(path.read_text("utf-8"), parse_constant=_refuse)
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}") from None
        except (ValueError, RecursionError):
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
            raise UserError(f"{path}: no evaluation; --compare takes what --json wrote") from None


def _set_scores(entry: dict[str, Any]) -> SetScores:
    images = [ImageScores.from_dict(image) for image in entry["images"]]
    whole = {metric: _with_infinite(scores) for metric, scores in entry["whole"].items()}
    if not {*entry["metrics"], *whole} <= METRICS.keys():
        raise ValueError("a metric that this version does not know")
    if not all(isinstance(text, str) for text in [entry["id"], entry["label"], *entry["problems"]]):
        raise ValueError("a name that is no text")
    return SetScores(**{**entry, "images": images, "whole": whole})


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _finite(scores: Mapping[str, float]) -> dict[str, float | None]:
    return {metric: value if math.isfinite(value) else None for metric, value in scores.items()}


def _with_infinite(scores: Mapping[str, float | None]) -> Scores:
    return {m: math.inf if value is None else float(value) for m, value in scores.items()}
