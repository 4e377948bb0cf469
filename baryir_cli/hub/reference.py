"""Names of weights on the Hub, ``hf:owner/repo[@revision][:file]``, and how ours are known."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from baryir_cli.errors import UsageError

PREFIX = "hf:"
FORM = "hf:owner/repo[@revision][:file]"
DEFAULT_FILE = "model.safetensors"
"""The default file of a reference, and the default name for publishing."""
TAG = "baryir"
"""Tag by which ``weights list --hub`` finds repositories."""
MARK = "<!-- Written by `baryir weights push`, which rewrites the page while this line is here. -->"
"""In the pages that this tool has written."""

_NAME = r"\w+(?:[.-]\w+)*"  # neither begins nor ends with a dot or hyphen
_FORM = re.compile(
    rf"(?P<repo>{_NAME}/{_NAME})(@(?P<revision>[^@:\s]+))?(:(?P<file>[^:]+))?", re.ASCII
)


@dataclass(frozen=True)
class HubReference:
    """A file in a repository of the Hub.

    Attributes:
        repo: ``owner/name``.
        revision: a branch, tag or commit; None for the newest commit of the main branch.
        file: its path in the repository.
    """

    repo: str
    revision: str | None = None
    file: str = DEFAULT_FILE

    @classmethod
    def parse(cls, text: str) -> HubReference:
        """Parses a user's reference.

        Raises:
            UsageError: it does not have the form.
        """
        match = _FORM.fullmatch(text.removeprefix(PREFIX))
        if match is None or not text.startswith(PREFIX):
            raise UsageError(f"{text!r} does not have the form {FORM}")
        file = match["file"] or DEFAULT_FILE
        # Both become paths in the cache.
        if not _is_inside(file):
            raise UsageError(f"{text!r}: the file must be inside the repository")
        if not _is_inside(match["revision"] or "main"):
            raise UsageError(f"{text!r}: not a name of a branch, tag or commit")
        return cls(match["repo"], match["revision"], file)

    def at(self, revision: str | None) -> HubReference:
        """The same file at another revision."""
        return replace(self, revision=revision)

    def __str__(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        file = f":{self.file}" if self.file != DEFAULT_FILE else ""
        return f"{PREFIX}{self.repo}{revision}{file}"


def _is_inside(path: str) -> bool:
    """Whether a path is plain and stays inside the folder where it starts."""
    parts = path.split("/")
    return path.isprintable() and "\\" not in path and not {"", ".", ".."} & set(parts)
