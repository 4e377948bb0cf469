"""Public files, fetched by hash: the cache folder, downloads, and messages if they fail."""

from __future__ import annotations

import hashlib
import http.client
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from baryir_cli.metrics.base import MetricUnavailable
from baryir_cli.settings import NoHomeError, home
from models.digest import CHUNK, hexdigest

TIMEOUT = 30.0
"""Seconds without an answer after which a server counts as unreachable."""


class StoreError(Exception):
    """A file is not available. The message is a clause that names the place and the reason."""


@dataclass(frozen=True)
class PublicFile:
    """A file that never changes, and its public address."""

    url: str
    sha256: str
    size: int
    """In bytes."""

    @property
    def name(self) -> str:
        return urlsplit(self.url).path.rpartition("/")[2]

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or self.url


class _Advance(Protocol):
    def __call__(self, received: int) -> None: ...


def cache_folder() -> Path:
    """``BARYIR_CACHE``, or ``baryir`` in the user's cache (``XDG_CACHE_HOME``, ``~/.cache``).

    Raises:
        MetricUnavailable: the user has no home folder for a cache, and the variables name none.
    """
    if own := os.environ.get("BARYIR_CACHE"):
        return Path(os.path.expanduser(own))
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "baryir"
    try:
        return home() / ".cache" / "baryir"
    except NoHomeError as error:
        raise MetricUnavailable(f"{error}, or set BARYIR_CACHE to a folder for weights") from None


def is_offline() -> bool:
    """Whether ``HF_HUB_OFFLINE`` forbids downloads, as it does for weights from the Hub."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


@contextmanager
def put_by_hand(file: PublicFile) -> Iterator[BinaryIO]:
    """Opens a file that somebody put into the cache folder.

    Raises:
        StoreError: it is missing, or another file of that name.
    """
    path = cache_folder() / file.name
    try:
        with path.open("rb") as found:
            if hexdigest(found) != file.sha256:
                raise StoreError(f"{path} is not the expected file (wrong hash)")
            found.seek(0)
            yield found
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror or error}") from None


@contextmanager
def fetched(file: PublicFile) -> Iterator[BinaryIO]:
    """Downloads a file, for as long as the context lasts.

    It has no name on disk, so nothing is left behind however the program ends.

    Raises:
        StoreError: unreachable, refused, cut short, wrong hash, or disk full.
    """
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed below)
    except OSError as error:
        raise StoreError(f"{folder} cannot be written to: {error.strerror or error}") from None
    with temporary:
        with _progress(file) as advance:
            _receive(file, temporary, advance)
        temporary.seek(0)
        yield temporary


def _receive(file: PublicFile, target: BinaryIO, advance: _Advance) -> None:
    digest = hashlib.sha256()
    received = 0
    try:
        # One byte too many is enough to recognise another file.
        for chunk in _body(file, file.size + 1):
            digest.update(chunk)
            target.write(chunk)
            received += len(chunk)
            advance(received)
        target.flush()
    except HTTPError as error:
        raise StoreError(f"{file.host} answers {error.code} {error.reason}") from None
    except URLError as error:
        reason = error.reason
        text = reason.strerror if isinstance(reason, OSError) and reason.strerror else reason
        raise StoreError(f"{file.host} cannot be reached ({text})") from None
    except http.client.IncompleteRead as error:
        received += len(error.partial)
    except http.client.HTTPException as error:
        raise StoreError(f"{file.host} gave an invalid answer ({type(error).__name__})") from None
    except TimeoutError:
        raise StoreError(f"{file.host} stopped answering for {TIMEOUT:.0f} s") from None
    except OSError as error:
        raise StoreError(f"{file.name} from {file.host}: {error.strerror or error}") from None
    if received < file.size:
        raise StoreError(
            f"{file.host} broke off after {received} of {file.size} bytes of {file.name}"
        )
    if digest.hexdigest() != file.sha256:
        raise StoreError(f"{file.host} sent a different {file.name} (wrong hash)")


def _body(file: PublicFile, limit: int) -> Iterator[bytes]:
    with urlopen(file.url, timeout=TIMEOUT) as answer:  # noqa: S310 (our constants)
        while limit > 0 and (chunk := answer.read(min(CHUNK, limit))):
            limit -= len(chunk)
            yield chunk


@contextmanager
def _progress(file: PublicFile) -> Iterator[_Advance]:
    """Shows a bar on a terminal, one line elsewhere."""
    from baryir_cli.shell.console import draws_bars, messages, transfer_bar

    console = messages()
    if not draws_bars(console):
        size = f"{file.size / 1e6:.0f} MB"
        console.print(f"fetching {file.name} ({size}) from {file.host}", markup=False)
    with transfer_bar(console) as bar:
        task = bar.add_task(f"fetching {file.name}", total=file.size)

        def advance(received: int) -> None:
            bar.update(task, completed=received)

        yield advance
