"""Weights from the Hub: fetched, cached, pinned, and every way that can fail."""

from __future__ import annotations

import errno
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.baryir_cli.helpers import ROOT, failing, picture, python
from tests.baryir_cli.hub.server import TOKEN, Handler, Hub, sha256
from tests.conftest import Run

NAME = "model.safetensors"


@pytest.fixture
def data(tiny_weights: Path) -> bytes:
    return tiny_weights.read_bytes()


def files(folder: Path) -> list[str]:
    """The files of a cache, without its locks and the tag for backups."""
    found = [p for p in folder.rglob("*") if p.is_file() or p.is_symlink()]
    names = [p.relative_to(folder).as_posix() for p in found]
    return sorted(n for n in names if not n.startswith(".locks/") and n != "CACHEDIR.TAG")


def error_of(capsys: pytest.CaptureFixture) -> str:
    """The one line that says what failed, after any notes."""
    *notes, line = capsys.readouterr().err.splitlines()
    assert all(note.startswith(("note ", "fetching ", "sending ")) for note in notes)
    assert line.startswith("baryir: ")
    return line


def test_a_first_pull_fetches_and_pins(
    hub: Hub, cache: Path, data: bytes, baryir: Run, capsys: pytest.CaptureFixture
) -> None:
    commit = hub.add("me/net", {NAME: data}).branches["main"]
    assert baryir("weights", "pull", "hf:me/net") == 0
    said = capsys.readouterr()
    path = Path(said.out.strip())
    assert path.read_bytes() == data
    assert path.is_relative_to(cache)
    fetching, pinned = said.err.splitlines()
    assert fetching == f"fetching hf:me/net, {len(data) / 1e6:.1f} MB"
    assert pinned == f"hf:me/net@{commit} (hub)"


def test_the_token_goes_to_the_hub_alone(
    hub: Hub, data: bytes, baryir: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("me/net", {NAME: data}, private=True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert baryir("weights", "pull", "hf:me/net") == 0
    assert hub.asked("HEAD /me/net")[0]["authorization"] == f"Bearer {TOKEN}"
    (elsewhere,) = hub.asked("GET /cdn/")
    assert "authorization" not in elsewhere
    assert "baryir/" in hub.asked("HEAD /me/net")[0]["user-agent"]


@pytest.mark.parametrize("reference", ["hf:me/net", "hf:me/net@v1", "hf:me/net@{commit}"])
def test_a_second_pull_needs_no_server(
    hub: Hub, data: bytes, baryir: Run, capsys: pytest.CaptureFixture, reference: str
) -> None:
    repo = hub.add("me/net", {NAME: data})
    commit = repo.branches["v1"] = repo.branches["main"]
    reference = reference.format(commit=commit)
    assert baryir("weights", "pull", reference) == 0
    first = capsys.readouterr().out
    hub.stop()
    assert baryir("weights", "pull", reference) == 0
    said = capsys.readouterr()
    assert said.out == first
    assert commit in said.err
    assert "fetching" not in said.err


def test_a_second_pull_fetches_nothing(hub: Hub, data: bytes, baryir: Run) -> None:
    hub.add("me/net", {NAME: data})
    assert baryir("weights", "pull", "hf:me/net") == 0
    assert baryir("weights", "pull", "hf:me/net") == 0
    assert len(hub.asked("GET /cdn/")) == 1


def test_a_branch_that_moved_is_fetched_and_the_old_commit_kept(
    hub: Hub, data: bytes, baryir: Run, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    old = hub.add("me/net", {NAME: data}).branches["main"]
    assert baryir("weights", "pull", "hf:me/net") == 0
    before = Path(capsys.readouterr().out.strip())
    new = hub.update("me/net", {NAME: other_weights(tmp_path)})
    assert baryir("weights", "pull", "hf:me/net") == 0
    said = capsys.readouterr()
    assert new in said.err
    assert Path(said.out.strip()).read_bytes() != before.read_bytes()
    assert baryir("weights", "pull", f"hf:me/net@{old}") == 0
    assert Path(capsys.readouterr().out.strip()) == before


def other_weights(folder: Path) -> bytes:
    import torch

    from models.network import build
    from models.presets import preset
    from models.weights import save_weights

    torch.manual_seed(1)
    config, path = preset("tiny"), folder / "other.safetensors"
    save_weights(path, config, build(config).state_dict(), {"licence": "MIT"})
    return path.read_bytes()


def test_another_file_of_the_repository_is_fetched(
    hub: Hub, data: bytes, baryir: Run, capsys: pytest.CaptureFixture
) -> None:
    commit = hub.add("me/net", {"sets/tiny.safetensors": data}).branches["main"]
    assert baryir("weights", "pull", "hf:me/net:sets/tiny.safetensors") == 0
    assert f"hf:me/net@{commit}:sets/tiny.safetensors" in capsys.readouterr().err


def test_a_missing_file_names_those_that_are_there(
    hub: Hub, cache: Path, data: bytes, baryir: Run, capsys: pytest.CaptureFixture
) -> None:
    hub.add("me/net", {"tiny.safetensors": data, "README.md": b"x"})
    assert baryir("weights", "pull", "hf:me/net") == 1
    assert error_of(capsys).endswith("no such file; there is hf:me/net:tiny.safetensors")
    hub.add("me/empty", {"README.md": b"x"})
    assert baryir("weights", "pull", "hf:me/empty") == 1
    assert "no safetensors file at all" in error_of(capsys)
    assert not [name for name in files(cache) if "blobs" in name]


def broken(status: int, code: str = "", message: str = "") -> Callable[[Handler], None]:
    return lambda handler: handler.refuse(status, code, message)


def test_an_unknown_repository_is_named(
    hub: Hub, cache: Path, baryir: Run, capsys: pytest.CaptureFixture
) -> None:
    assert baryir("weights", "pull", "hf:me/none") == 1
    line = error_of(capsys)
    assert line.startswith("baryir: hf:me/none: no such repository on http://127.0.0.1:")
    assert "hf auth login" in line
    assert files(cache) == []


def test_a_wrong_token_is_named_but_not_shown(
    hub: Hub,
    cache: Path,
    data: bytes,
    baryir: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    hub.add("me/net", {NAME: data})
    monkeypatch.setenv("HF_TOKEN", "hf_bad")
    assert baryir("weights", "pull", "hf:me/net") == 1
    line = error_of(capsys)
    assert "needs a valid token" in line
    assert "HF_TOKEN" in line
    assert "hf_bad" not in line
    assert files(cache) == []


def test_a_gated_repository_says_how_to_get_access(
    hub: Hub, data: bytes, baryir: Run, capsys: pytest.CaptureFixture
) -> None:
    hub.add("me/net", {NAME: data}, gated=True)
    assert baryir("weights", "pull", "hf:me/net") == 1
    assert "access is on request" in error_of(capsys)


def test_an_unknown_revision_is_named(
    hub: Hub, cache: Path, data: bytes, baryir: Run, capsys: pytest.CaptureFixture
) -> None:
    hub.add("me/net", {NAME: data})
    assert baryir("weights", "pull", "hf:me/net@v9") == 1
    assert "hf:me/net@v9: no such branch, tag or commit" in error_of(capsys)
    assert files(cache) == []


@pytest.mark.parametrize("where", ["HEAD /me/net/resolve", "GET /cdn/"])
def test_too_many_requests_are_tried_again(
    hub: Hub,
    data: bytes,
    baryir: Run,
    naps: list[float],
    capsys: pytest.CaptureFixture,
    where: str,
) -> None:
    hub.add("me/net", {NAME: data})
    hub.fail(where, lambda handler: handler.refuse(429, Retry_After="7"), 2)
    assert baryir("weights", "pull", "hf:me/net") == 0
    said = capsys.readouterr()
    assert Path(said.out.strip()).read_bytes() == data
    assert max(naps) >= 7
    assert any(line.startswith("note") and "429" in line for line in said.err.splitlines())


@pytest.mark.parametrize(
    ("status", "says"), [(429, "too many requests: try again in"), (503, "the Hub answered 503")]
)
def test_a_hub_that_stays_busy_is_named(
    hub: Hub,
    cache: Path,
    data: bytes,
    baryir: Run,
    capsys: pytest.CaptureFixture,
    status: int,
    says: str,
) -> None:
    hub.add("me/net", {NAME: data})
    hub.fail("HEAD /me/net/resolve", broken(status), 99)
    assert baryir("weights", "pull", "hf:me/net") == 1
    assert says in error_of(capsys)
    assert files(cache) == []


def test_a_wrong_hash_is_refused_and_removed(
    hub: Hub, cache: Path, data: bytes, baryir: Run, capsys: pytest.CaptureFixture
) -> None:
    hub.add("me/net", {NAME: data})
    hub.fail("GET /cdn/", lambda handler: handler.answer(200, data[:-1] + b"!"))
    assert baryir("weights", "pull", "hf:me/net") == 1
    line = error_of(capsys)
    assert "differs from the Hub" in line
    assert line.endswith("it was removed from the cache: try again")
    assert [n for n in files(cache) if "refs" not in n] == []
    assert baryir("weights", "pull", "hf:me/net") == 0


def test_damage_in_the_cache_is_noticed(
    hub: Hub, data: bytes, baryir: Run, capsys: pytest.CaptureFixture
) -> None:
    hub.add("me/net", {NAME: data})
    assert baryir("weights", "pull", "hf:me/net") == 0
    path = Path(capsys.readouterr().out.strip())
    path.resolve().write_bytes(data[:-1] + b"!")
    assert baryir("weights", "pull", "hf:me/net") == 1
    assert "removed from the cache" in error_of(capsys)
    assert baryir("weights", "pull", "hf:me/net") == 0
    assert path.read_bytes() == data


def test_a_broken_download_resumes_where_it_stopped(
    hub: Hub, data: bytes, baryir: Run, capsys: pytest.CaptureFixture
) -> None:
    hub.add("me/net", {NAME: data})
    hub.fail("GET /cdn/", lambda handler: handler.cut(data, 3 << 16))
    assert baryir("weights", "pull", "hf:me/net") == 0
    said = capsys.readouterr()
    assert Path(said.out.strip()).read_bytes() == data
    first, second = hub.asked("GET /cdn/")
    assert "range" not in first
    begin = int(second["range"].removeprefix("bytes=").removesuffix("-"))
    assert 0 < begin <= 3 << 16
    assert "resume" in said.err


def test_a_download_that_breaks_again_and_again_is_given_up(
    hub: Hub, cache: Path, data: bytes, baryir: Run, capsys: pytest.CaptureFixture
) -> None:
    hub.add("me/net", {NAME: data})
    hub.fail("GET /cdn/", lambda handler: handler.cut(data, 1000), 99)
    assert baryir("weights", "pull", "hf:me/net") == 1
    assert "check network, proxy and HF_ENDPOINT" in error_of(capsys)
    assert [n for n in files(cache) if "refs" not in n] == []
    assert len(hub.asked("GET /cdn/")) < 10


def test_a_body_that_is_too_short_is_refused(
    hub: Hub, cache: Path, data: bytes, baryir: Run, capsys: pytest.CaptureFixture
) -> None:
    hub.add("me/net", {NAME: data})
    hub.fail("GET /cdn/", lambda handler: handler.answer(200, data[:1000]), 99)
    assert baryir("weights", "pull", "hf:me/net") == 1
    assert "file should be of size" in error_of(capsys)
    assert [n for n in files(cache) if "refs" not in n] == []


@pytest.mark.parametrize("command", ["pull hf:me/net", "list --hub", "push small me/net"])
def test_without_a_network_the_error_comes_soon(
    hub: Hub,
    cache: Path,
    baryir: Run,
    naps: list[float],
    capsys: pytest.CaptureFixture,
    command: str,
) -> None:
    hub.stop()
    assert baryir("weights", *command.split()) == 1
    assert sum(naps) <= 2, "a user without a network does not wait"
    line = error_of(capsys)
    assert f"{hub.url} does not answer" in line
    assert "check network" in line
    assert files(cache) == []


def test_one_lost_connection_is_retried(
    hub: Hub, data: bytes, baryir: Run, capsys: pytest.CaptureFixture
) -> None:
    hub.add("me/net", {NAME: data})
    hub.fail("HEAD /", lambda handler: setattr(handler, "close_connection", True))
    assert baryir("weights", "pull", "hf:me/net") == 0
    assert [line for line, _ in hub.requests].count("HEAD /") == 2
    assert "note" not in capsys.readouterr().err


def test_a_server_that_is_not_a_hub_is_named(
    hub: Hub, baryir: Run, capsys: pytest.CaptureFixture
) -> None:
    hub.fail("HEAD /", lambda handler: handler.answer(200, b"<html>"), 99)
    assert baryir("weights", "pull", "hf:me/net") == 1
    assert "does not answer as a Hub does: check HF_ENDPOINT" in error_of(capsys)


def test_offline_asks_nobody(
    hub: Hub,
    cache: Path,
    data: bytes,
    baryir: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    hub.add("me/net", {NAME: data})
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert baryir("weights", "pull", "hf:me/net") == 1
    assert "HF_HUB_OFFLINE" in error_of(capsys)
    assert hub.requests == []
    assert files(cache) == []


def test_weights_of_another_program_are_refused(
    hub: Hub, baryir: Run, capsys: pytest.CaptureFixture
) -> None:
    from safetensors.numpy import save

    hub.add("me/net", {NAME: save({})})
    assert baryir("weights", "pull", "hf:me/net") == 1
    assert "no BaryIR metadata" in error_of(capsys)


@pytest.mark.parametrize("reference", ["hf:net", "hf:me/net@", "hf:a/b/c", "hf:me/net:../x", "hf:"])
def test_a_malformed_reference_asks_nobody(
    hub: Hub, baryir: Run, capsys: pytest.CaptureFixture, reference: str
) -> None:
    assert baryir("weights", "pull", reference) == 2
    assert reference in error_of(capsys)
    assert hub.requests == []


def test_a_full_disk_leaves_nothing(
    hub: Hub,
    cache: Path,
    data: bytes,
    baryir: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    hub.add("me/net", {NAME: data})
    monkeypatch.setattr("huggingface_hub.file_download._chmod_and_move", failing(errno.ENOSPC))
    assert baryir("weights", "pull", "hf:me/net") == 1
    assert "No space left on device" in error_of(capsys)
    assert [n for n in files(cache) if "refs" not in n] == []


def test_restore_reports_pinned_weights_of_the_hub(
    hub: Hub, data: bytes, baryir: Run, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    commit = hub.add("me/net", {NAME: data}).branches["main"]
    picture().save(tmp_path / "a.png")
    asked = ("restore", tmp_path / "a.png", tmp_path / "out", "--weights", "hf:me/net")
    assert baryir(*asked, "--json", "--device", "cpu") == 0
    line = json.loads(capsys.readouterr().out)
    pinned = {"reference": f"hf:me/net@{commit}", "revision": commit, "sha256": sha256(data)}
    assert line["weights"] == pinned
    # The reported reference gives the same weights again.
    hub.update("me/net", {NAME: other_weights(tmp_path)})
    assert baryir(*asked[:-1], pinned["reference"], "--json", "--overwrite") == 0
    assert json.loads(capsys.readouterr().out)["weights"] == pinned


def test_nothing_is_written_without_the_weights(hub: Hub, baryir: Run, tmp_path: Path) -> None:
    picture().save(tmp_path / "a.png")
    out = tmp_path / "out"
    assert baryir("restore", tmp_path / "a.png", out, "--weights", "hf:me/none") == 1
    assert not out.exists()


def test_the_environment_of_huggingface_hub_is_used(hub: Hub, data: bytes, tmp_path: Path) -> None:
    """In a process of its own, where huggingface_hub reads its variables as usual."""
    commit = hub.add("me/net", {NAME: data}, private=True).branches["main"]
    own = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": TOKEN}

    def pull(**more: str) -> subprocess.CompletedProcess[str]:
        command = ("-m", "baryir_cli", "weights", "pull", "hf:me/net")
        return python(*command, cwd=ROOT, **own, **more)

    offline = pull(HF_HUB_OFFLINE="1")
    assert (offline.returncode, hub.requests) == (1, [])
    assert "HF_HUB_OFFLINE" in offline.stderr
    done = pull()
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(tmp_path / "home" / "hub")
    assert commit in done.stderr
    hub.stop()
    assert pull(HF_HUB_OFFLINE="1").stdout == done.stdout


def test_a_hash_that_leads_out_of_the_cache_is_refused(
    hub: Hub, cache: Path, data: bytes, baryir: Run, capsys: pytest.CaptureFixture
) -> None:
    """The library writes the file where a hostile HF_ENDPOINT's hash says."""

    def mislead(handler: Handler) -> None:
        handler.answer(
            302,
            X_Repo_Commit="a" * 40,
            X_Linked_Etag='"../../../stray"',
            X_Linked_Size=str(len(data)),
            Location=f"http://localhost:{hub.port}/cdn/{sha256(data)}",
        )

    hub.add("me/net", {NAME: data})
    hub.fail("HEAD /me/net/resolve", mislead)
    assert baryir("weights", "pull", "hf:me/net") == 1
    line = error_of(capsys)
    # A later version of the library may refuse by itself.
    stray = cache.parent / "stray"
    assert not stray.exists() or f"outside of the cache, {stray}: delete it" in line
    assert not list(cache.rglob(NAME))
