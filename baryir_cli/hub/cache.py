"""Our weights in the Hub's shared cache."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import constants, scan_cache_dir
from huggingface_hub.errors import CacheNotFound
from huggingface_hub.utils import CachedRevisionInfo, HFCacheInfo

from baryir_cli.errors import UserError
from baryir_cli.hub.reference import HubReference
from baryir_cli.shell.console import printable
from models.header import Header, WeightsError, header_of


@dataclass(frozen=True)
class CachedWeights:
    """A weights file in the cache."""

    reference: HubReference
    """Pinned to its commit."""
    branches: tuple[str, ...]
    """Branches and tags that last pointed to this commit."""
    path: Path
    size: int
    header: Header

    def is_of(self, wanted: HubReference) -> bool:
        """Whether it belongs to that repository and, if one is given, that revision."""
        revisions = (None, self.reference.revision, *self.branches)
        return self.reference.repo == wanted.repo and wanted.revision in revisions


def folder() -> Path:
    """The cache's folder: ``HF_HUB_CACHE``, else below ``HF_HOME``."""
    return Path(constants.HF_HUB_CACHE)


def cached_weights() -> list[CachedWeights]:
    """Lists our weights in the cache, by repository and commit; skips files of other tools.

    Raises:
        OSError: the cache cannot be read.
        UserError: it is damaged.
    """
    cache = _scan()
    repos = cache.repos if cache else ()
    models = [repo for repo in repos if repo.repo_type == "model"]
    return [
        weights
        for repo in sorted(models, key=lambda r: r.repo_id)
        for revision in sorted(repo.revisions, key=lambda r: r.commit_hash)
        for weights in _weights_of(repo.repo_id, revision)
    ]


def _weights_of(repo: str, revision: CachedRevisionInfo) -> Iterator[CachedWeights]:
    branches = tuple(sorted(revision.refs))
    for file in sorted(revision.files, key=lambda f: f.file_path):
        name = file.file_path.relative_to(revision.snapshot_path).as_posix()
        try:
            header = header_of(file.file_path)
        except WeightsError:
            continue
        reference = HubReference(repo, revision.commit_hash, name)
        yield CachedWeights(reference, branches, file.file_path, file.size_on_disk, header)


def size_of(weights: list[CachedWeights]) -> int:
    """Bytes on disk. Files shared by several commits count once."""
    return sum({w.path.resolve(): w.size for w in weights}.values())


def clean(weights: list[CachedWeights]) -> int:
    """Removes the commits of these weights and returns the bytes freed."""
    cache = _scan()
    if cache is None or not weights:
        return 0
    plan = cache.delete_revisions(*{str(w.reference.revision) for w in weights})
    plan.execute()
    return plan.expected_freed_size


def _scan() -> HFCacheInfo | None:
    try:
        return scan_cache_dir(folder())
    except CacheNotFound:
        return None
    except ValueError as error:  # it is a file, or a commit's name in it is not text
        reason = printable(error).partition(". ")[0]
        raise UserError(f"{folder()}: the cache is damaged ({reason}): remove it") from None
