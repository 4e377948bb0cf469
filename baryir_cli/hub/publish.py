"""Publishes weights on the Hub: repository, file and model card in one commit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import (
    EntryNotFoundError,
    LocalEntryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import (
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
)
from rich.console import Console

from baryir_cli.hub.reference import MARK, HubReference
from baryir_cli.hub.session import api, check_reachable, visit
from baryir_cli.shell.console import draws_bars

CARD = "README.md"


@dataclass(frozen=True)
class Publication:
    """What to publish, and where.

    Attributes:
        target: repository, branch (created if needed; None is the main one) and file.
        path: the weights.
        card: their page.
        private: whether a new repository is private; None leaves that to the account.
    """

    target: HubReference
    path: Path
    card: str
    private: bool | None = None


@dataclass(frozen=True)
class Published:
    """The result: a reference pinned to the commit, its page, and whether the card was written."""

    pinned: HubReference
    url: str
    card_written: bool


def publish(publication: Publication, console: Console) -> Published:
    """Creates the repository if needed, and commits file and card together.

    A card written by hand (without :data:`baryir_cli.hub.reference.MARK`) is not changed.

    Raises:
        UserError: the Hub refused or is unreachable. Nothing is committed by halves.
    """
    target = publication.target
    hub = api()
    with visit(str(target), console), _plain_without_bars(console):
        check_reachable()
        hub.create_repo(target.repo, private=publication.private, exist_ok=True)
        if target.revision:
            hub.create_branch(target.repo, branch=target.revision, exist_ok=True)
        write_card = _card_is_ours(hub, target)
        files = [CommitOperationAdd(target.file, publication.path)]
        if write_card:
            files.append(CommitOperationAdd(CARD, publication.card.encode()))
        commit = hub.create_commit(
            target.repo, files, commit_message=f"Add {target.file}", revision=target.revision
        )
    pinned = HubReference(target.repo, commit.oid, target.file)
    return Published(pinned, commit.commit_url, write_card)


def _card_is_ours(hub: HfApi, target: HubReference) -> bool:
    """Whether the page may be written: it is missing, or was written by this tool."""
    # Not from the cache, which may hold the page as it was before somebody edited it.
    with TemporaryDirectory() as folder:
        try:
            path = hub.hf_hub_download(
                target.repo, CARD, revision=target.revision, cache_dir=folder
            )
        except LocalEntryNotFoundError:  # the Hub did not answer
            raise
        except (EntryNotFoundError, RevisionNotFoundError):
            return True
        return MARK in Path(path).read_text("utf-8", errors="replace")


@contextmanager
def _plain_without_bars(console: Console) -> Iterator[None]:
    """Hides the library's upload bars unless a terminal shows them."""
    if draws_bars(console) or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()
