"""``baryir weights list`` and ``cache``: what is there, and removing it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.baryir_cli.hub.server import Hub
from tests.baryir_cli.hub.test_download import NAME, error_of, other_weights
from tests.conftest import Run


@pytest.fixture
def full(hub: Hub, tiny_weights: Path, tmp_path: Path, baryir: Run) -> dict[str, str]:
    """A cache with two commits of one repository and one of another, by reference."""
    data = tiny_weights.read_bytes()
    old = hub.add("me/net", {NAME: data}).branches["main"]
    assert baryir("weights", "pull", "hf:me/net") == 0
    new = hub.update("me/net", {NAME: other_weights(tmp_path)})
    assert baryir("weights", "pull", "hf:me/net") == 0
    other = hub.add("you/net", {"a/b.safetensors": data}).branches["main"]
    assert baryir("weights", "pull", "hf:you/net:a/b.safetensors") == 0
    return {"old": old, "new": new, "other": other}


def foreign(cache: Path) -> Path:
    """Weights that another tool keeps in the same cache."""
    from safetensors.numpy import save

    folder = cache / "models--other--thing"
    commit = "0" * 40
    (folder / "blobs").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit)
    (folder / "snapshots" / commit).mkdir(parents=True)
    (folder / "blobs" / "b").write_bytes(save({}))
    link = folder / "snapshots" / commit / "model.safetensors"
    link.symlink_to(Path("../../blobs/b"))
    return link


def test_list_shows_every_cached_commit(
    hub: Hub, cache: Path, full: dict[str, str], baryir: Run, capsys: pytest.CaptureFixture
) -> None:
    foreign(cache)
    capsys.readouterr()
    hub.stop()
    assert baryir("weights", "list", "--json") == 0
    entries = json.loads(capsys.readouterr().out)
    found = {e["reference"]: e for e in entries if e["where"] == "cached"}
    assert found.keys() == {
        "hf:me/net",
        f"hf:me/net@{full['old']}",
        "hf:you/net:a/b.safetensors",
    }
    assert found["hf:me/net"]["commit"] == full["new"]
    assert found["hf:me/net"]["licence"] == "MIT"
    assert found["hf:me/net"]["size"] > 1e6
    (embedded,) = [e for e in entries if e["reference"] == "small"]
    assert embedded["where"] == "embedded"
    assert embedded["figures"]


@pytest.mark.usefixtures("full")
def test_list_shows_the_hub_if_asked(hub: Hub, baryir: Run, capsys: pytest.CaptureFixture) -> None:
    hub.add("they/more", {})
    capsys.readouterr()
    assert baryir("weights", "list", "--hub") == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if line.startswith("hf:they/more ")]
    assert "on the Hub" in line
    # Cached weights are not listed a second time.
    assert len([line for line in lines if line.startswith("hf:me/net ")]) == 1
    hub.stop()
    assert baryir("weights", "list", "--hub") == 1
    assert "does not answer" in error_of(capsys)


def test_cache_shows_sizes_and_their_sum(
    cache: Path, full: dict[str, str], baryir: Run, capsys: pytest.CaptureFixture
) -> None:
    capsys.readouterr()
    assert baryir("weights", "cache") == 0
    where, *entries, total = capsys.readouterr().out.splitlines()
    assert where == str(cache)
    assert len(entries) == 3
    # Equal files of two repositories are two files.
    assert total.split() == ["3.9", "MB", "in", "all"]
    assert any(f"hf:me/net@{full['old']}" in entry for entry in entries)


def test_clean_leaves_what_other_tools_keep(
    hub: Hub, cache: Path, full: dict[str, str], baryir: Run, capsys: pytest.CaptureFixture
) -> None:
    link = foreign(cache)
    capsys.readouterr()
    assert baryir("weights", "cache", "hf:me/net:model.safetensors", "--clean") == 2
    assert "the cache keeps whole commits" in capsys.readouterr().err
    assert baryir("weights", "cache", f"hf:me/net@{full['old']}", "--clean") == 0
    assert "1.3 MB  freed" in capsys.readouterr().out
    assert baryir("weights", "cache", "hf:me/net", "--clean") == 0
    assert not (cache / "models--me--net").exists()
    assert (cache / "models--you--net").exists()
    assert baryir("weights", "cache", "--clean") == 0
    assert not (cache / "models--you--net").exists()
    assert link.is_file()
    capsys.readouterr()
    assert baryir("weights", "cache", "--clean") == 0
    assert capsys.readouterr().out == f"{cache}\nno weights in it\n"


@pytest.mark.usefixtures("hub")
def test_a_cache_that_does_not_exist_is_empty(
    cache: Path, baryir: Run, capsys: pytest.CaptureFixture
) -> None:
    for ref, said in (((), "no weights in it"), (("hf:me/net",), "no weights of hf:me/net in it")):
        assert baryir("weights", "cache", *ref) == 0
        assert capsys.readouterr().out == f"{cache}\n{said}\n"
    assert not cache.exists()


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("command", ["list", "cache"])
def test_a_damaged_cache_is_named(
    command: str, cache: Path, baryir: Run, capsys: pytest.CaptureFixture
) -> None:
    foreign(cache)
    (cache / "models--other--thing" / "refs" / "main").write_bytes(b"\xff")
    assert baryir("weights", command) == 1
    assert f"{cache}: the cache is damaged" in error_of(capsys)
    cache.rename(cache.parent / "elsewhere")
    cache.write_text("a file")
    assert baryir("weights", command) == 1
    assert f"{cache}: the cache is damaged" in error_of(capsys)
