"""Reads JSON of unknown origin."""

from __future__ import annotations

import json
from typing import Any


def parsed(text: str | bytes, **hooks: Any) -> Any:
    """What a JSON text says; ``hooks`` as for ``json.loads``.

    Raises:
        ValueError: it is not JSON, or nested too deeply for Python.
    """
    try:
        return json.loads(text, **hooks)
    except RecursionError:
        raise ValueError("nested too deeply") from None
