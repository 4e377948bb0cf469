"""Downloads weights from the Hub into its shared cache."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

from huggingface_hub import constants, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from rich.console import Console

from baryir_cli.errors import UserError
from baryir_cli.hub.reference import HubReference
from baryir_cli.hub.session import api, check_reachable, download_bar, visit
from baryir_cli.shell.console import printable
from models.digest import hexdigest


@dataclass(frozen=True)
class Download:
    """A file from the Hub on this machine."""

    path: Path
    pinned: HubReference
    """The reference with a commit as revision, which always means this file."""
    etag: str | None
    """The file's hash on the Hub, which has been checked; None if unknown."""


def fetch(reference: HubReference, console: Console) -> Download:
    """Returns the file behind a reference, downloading it if it is not cached.

    Branches and tags are looked up each time. Without a network, or with ``HF_HUB_OFFLINE``, the
    commit they last pointed to is used, if cached.

    Raises:
        UserError: the file is not available, or differs from what the Hub promised. The cache
            stays clean.
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
    """Returns the target of a link in the cache. Its name is the hash that the server stated.

    Raises:
        UserError: it is outside of the cache: huggingface_hub (2.4) makes a path of any hash.
    """
    blob = Path(os.path.normpath(link.parent / os.readlink(link)))
    if blob.parent == repo / "blobs":
        return blob
    link.unlink()
    raise UserError(
        f"{reference}: {constants.ENDPOINT} caused a file outside of the cache,"
        f" {printable(blob)}: delete it, and check HF_ENDPOINT"
    )


def _others(reference: HubReference) -> str:
    """The message for a file that is not in its repository."""
    files = api().list_repo_files(reference.repo, revision=reference.revision)
    there = [name for name in files if name.endswith(".safetensors")]
    if not there:
        return "no such file; the repository has no safetensors file at all"
    return "no such file; there is " + ", ".join(
        str(replace(reference, file=name)) for name in sorted(there)[:5]
    )


def _check_hash(path: Path, etag: str | None, reference: HubReference) -> None:
    """Compares a file with its hash on the Hub, which is its name in the cache.

    Raises:
        UserError: they differ; the file is removed.
    """
    if etag is None or _hash_of(path, etag) == etag:
        return
    for link in (path, *_targets(path)):
        link.unlink(missing_ok=True)
    raise UserError(
        f"{reference}: the file differs from the Hub's (hash {etag[:12]}...); it was removed from"
        " the cache: try again"
    )


def _targets(link: Path) -> list[Path]:
    """The targets of a chain of links, down to the file itself."""
    found = []
    while link.is_symlink():
        link = link.parent / os.readlink(link)
        found.append(link)
    return found


def _hash_of(path: Path, etag: str) -> str:
    """The hash of the etag's kind: SHA-256 (large files), git's SHA-1 (small), else the etag."""
    if len(etag) == 64:
        digest = hashlib.sha256()
    elif len(etag) == 40:
        digest = hashlib.sha1(usedforsecurity=False)
        digest.update(b"blob %d\0" % path.stat().st_size)
    else:
        return etag
    with open(path, "rb") as file:
        return hexdigest(file, digest)
