"""Text for Markdown, as in tables of figures and the pages of weights."""

from __future__ import annotations

import re

from baryir_cli.shell.console import printable


def as_markdown(text: str) -> str:
    """Escapes text for Markdown. An underscore inside a word is harmless and stays."""
    return re.sub(r"[\\`*<\[|]|\b_|_\b", r"\\\g<0>", printable(text))
