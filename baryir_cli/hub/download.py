"""Weights from the Hub into the cache that all of its tools share."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

from huggingface_hub import constants, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from rich.console import Console

from baryir_cli.console import printable
from baryir_cli.errors import UserError
from baryir_cli.hub.reference import HubReference
from baryir_cli.hub.session import api, check_reachable, download_bar, visit
from models.digest import hexdigest


@dataclass(frozen=True)
class Download:
    """A file of the Hub on this machine."""

    path: Path
    pinned: HubReference
    """The same file for ever: its revision is a commit."""
    etag: str | None
    """The hash that the Hub knows it by, which it was found to have; None where unknown."""


def fetch(reference: HubReference, console: Console) -> Download:
    """The file behind a reference, downloaded if the cache has not got it.

    A branch or a tag is looked up anew each time. Without a network, or with ``HF_HUB_OFFLINE``,
    the commit it last stood for is used, if that is cached.

    Raises:
        UserError: it cannot be had, or is not what the Hub promised; the cache keeps no trace.
    """
    with visit(str(reference), console):
        if not _is_cached(reference):
            check_reachable()
        try:
            with download_bar(str(reference), console) as bar:
                path = Path(
                    api().hf_hub_download(
                        reference.repo,
                        reference.file,
                        revision=reference.revision,
                        tqdm_class=bar,
                    )
                )
        except LocalEntryNotFoundError:
            raise
        except EntryNotFoundError:
            raise UserError(f"{reference}: {_others(reference)}") from None
    # The cache's layout: snapshots/COMMIT/FILE.
    snapshot = path.parents[reference.file.count("/")]
    commit = snapshot.name
    etag = _blob(path, snapshot.parents[1], reference).name if path.is_symlink() else None
    _check_hash(path, etag, reference)
    return Download(path, reference.at(commit), etag)


def _is_cached(reference: HubReference) -> bool:
    found = try_to_load_from_cache(reference.repo, reference.file, revision=reference.revision)
    return isinstance(found, str)


def _blob(link: Path, repo: Path, reference: HubReference) -> Path:
    """What a file of the cache is a link to, whose name is the hash that the server stated.

    Raises:
        UserError: it lies elsewhere: huggingface_hub (2.4) makes a path of whatever was stated.
    """
    blob = Path(os.path.normpath(link.parent / os.readlink(link)))
    if blob.parent == repo / "blobs":
        return blob
    link.unlink()
    raise UserError(
        f"{reference}: {constants.ENDPOINT} had the file written outside of the cache, to"
        f" {printable(blob)}: delete it, and check HF_ENDPOINT"
    )


def _others(reference: HubReference) -> str:
    """What to say of a file that is not in its repository."""
    files = api().list_repo_files(reference.repo, revision=reference.revision)
    there = [name for name in files if name.endswith(".safetensors")]
    if not there:
        return "no such file, and no safetensors file at all in the repository"
    return "no such file; there is " + ", ".join(
        str(replace(reference, file=name)) for name in sorted(there)[:5]
    )


def _check_hash(path: Path, etag: str | None, reference: HubReference) -> None:
    """Holds a file against its name in the cache, which is its hash on the Hub.

    Raises:
        UserError: they differ; the file has been removed.
    """
    if etag is None or _hash_of(path, etag) == etag:
        return
    for link in (path, *_targets(path)):
        link.unlink(missing_ok=True)
    raise UserError(
        f"{reference}: the file is not the one that the Hub names (hash {etag[:12]}...); it was"
        " removed from the cache: try again"
    )


def _targets(link: Path) -> list[Path]:
    """What a link points at, and so on to the file itself."""
    found = []
    while link.is_symlink():
        link = link.parent / os.readlink(link)
        found.append(link)
    return found


def _hash_of(path: Path, etag: str) -> str:
    """SHA-256 of a large file, git's SHA-1 of a small one; an etag of another kind as it is."""
    if len(etag) == 64:
        digest = hashlib.sha256()
    elif len(etag) == 40:
        digest = hashlib.sha1(usedforsecurity=False)
        digest.update(b"blob %d\0" % path.stat().st_size)
    else:
        return etag
    with open(path, "rb") as file:
        return hexdigest(file, digest)
