"""``baryir weights push``: repository, weights and card in one commit, and what can fail."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from huggingface_hub import constants

from models.network import build
from models.presets import preset
from models.weights import save_weights
from tests.baryir_cli.hub.server import TOKEN, Hub, sha256
from tests.baryir_cli.hub.test_download import error_of
from tests.conftest import Run

# Without xet, the library sends large files in a way that its HTTP client warns about.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

PROVENANCE = {
    "name": "mine",
    "sources": ["denoise", "derain"],
    "licence": "MIT",
    "data": ["5 photographs in Denoise", "3 pairs in Derain"],
    "date": "2026-11-21",
    "steps": 20,
    "start": {"recipe": {}, "steps": 10},
    "recipe": {},
    "figures": {
        "Rain100L": {"images": 100, "psnr": 29.5551, "ssim": 0.8831},
        "bsd68 | 25": {"input_psnr": 20.5, "psnr": 28.65},
    },
}


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "mine.safetensors"
    save_weights(path, preset("tiny"), build(preset("tiny")).state_dict(), PROVENANCE)
    return path


@pytest.fixture
def logged_in(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)


def writes(hub: Hub) -> list[str]:
    return [line for line, _ in hub.requests if line.startswith(("POST", "PUT"))]


def card_of(hub: Hub, branch: str = "main") -> str:
    repo = hub.repos["me/net"]
    return repo.commits[repo.branches[branch]]["README.md"].decode()


@pytest.mark.usefixtures("logged_in")
def test_push_creates_the_repository(
    hub: Hub, weights: Path, baryir: Run, capsys: pytest.CaptureFixture
) -> None:
    assert baryir("weights", "push", weights, "me/net") == 0
    repo, said = hub.repos["me/net"], capsys.readouterr()
    assert not repo.private
    assert len(repo.commits) == 2  # the Hub's first and ours
    commit = repo.branches["main"]
    assert said.out == f"hf:me/net@{commit}\n"
    assert f"published: {hub.url}/me/net/commit/{commit}" in said.err
    assert "%" not in said.err  # no bars without a terminal
    tree = repo.commits[commit]
    assert sorted(tree) == [".gitattributes", "README.md", "model.safetensors"]
    assert tree["model.safetensors"] == weights.read_bytes()


@pytest.mark.usefixtures("logged_in")
def test_the_card_shows_use_figures_and_provenance(hub: Hub, weights: Path, baryir: Run) -> None:
    assert baryir("weights", "push", weights, "me/net") == 0
    card = card_of(hub)
    _, head, text = card.split("---\n", 2)
    head = yaml.safe_load(head)
    assert head["license"] == "mit"
    assert head["library_name"] == "baryir"
    assert "baryir" in head["tags"]
    assert "\n    baryir restore in/ out/ --weights hf:me/net\n" in text
    assert "| set | images | PSNR of the input | PSNR | SSIM |" in text
    assert "| Rain100L | 100 | - | 29.56 | 0.8831 |" in text
    assert "| steps | 20, after 1 earlier run |" in text
    assert r"| bsd68 \| 25 | - | 20.50 | 28.65 | - |" in text
    assert "| trained on | denoise, derain |" in text
    assert "| data | denoise: 5 photographs in Denoise; derain: 3 pairs in Derain |" in text
    assert "BaryIR weights: they restore noisy and rainy photographs, blind." in text
    assert "| width | 8 |" in text
    assert sha256(weights.read_bytes()) in text


@pytest.mark.usefixtures("logged_in")
def test_pushed_weights_can_be_pulled(
    hub: Hub, weights: Path, baryir: Run, capsys: pytest.CaptureFixture
) -> None:
    assert baryir("weights", "push", weights, "hf:me/net", "--private") == 0
    assert hub.repos["me/net"].private
    pinned = capsys.readouterr().out.strip()
    assert baryir("weights", "verify", pinned) == 0
    assert "as on the Hub" in capsys.readouterr().out


@pytest.mark.usefixtures("logged_in")
def test_branch_and_name_are_used(hub: Hub, weights: Path, baryir: Run) -> None:
    options = ("--revision", "v2", "--name", "tiny.safetensors")
    assert baryir("weights", "push", weights, "me/net", *options) == 0
    repo = hub.repos["me/net"]
    assert "tiny.safetensors" in repo.commits[repo.branches["v2"]]
    assert "tiny.safetensors" not in repo.commits[repo.branches["main"]]
    assert "--weights hf:me/net@v2:tiny.safetensors\n" in card_of(hub, "v2")
    assert baryir("weights", "pull", "hf:me/net@v2:tiny.safetensors") == 0


@pytest.mark.usefixtures("logged_in")
def test_new_weights_replace_the_old(hub: Hub, weights: Path, baryir: Run) -> None:
    assert baryir("weights", "push", weights, "me/net") == 0
    first = hub.repos["me/net"].branches["main"]
    torch.manual_seed(5)
    save_weights(weights, preset("tiny"), build(preset("tiny")).state_dict(), {"licence": "MIT"})
    assert baryir("weights", "push", weights, "me/net") == 0
    repo = hub.repos["me/net"]
    assert repo.branches["main"] != first
    assert repo.commits[repo.branches["main"]]["model.safetensors"] == weights.read_bytes()
    assert sha256(weights.read_bytes()) in card_of(hub)


@pytest.mark.usefixtures("logged_in")
def test_the_same_weights_make_no_new_commit(
    hub: Hub, weights: Path, baryir: Run, capsys: pytest.CaptureFixture
) -> None:
    assert baryir("weights", "push", weights, "me/net") == 0
    first = capsys.readouterr().out
    assert baryir("weights", "push", weights, "me/net") == 0
    assert capsys.readouterr().out == first
    assert len(hub.repos["me/net"].commits) == 2


@pytest.mark.usefixtures("logged_in")
def test_a_card_written_by_hand_is_kept(
    hub: Hub, weights: Path, baryir: Run, capsys: pytest.CaptureFixture
) -> None:
    hub.add("me/net", {"README.md": b"# Mine\n"})
    assert baryir("weights", "push", weights, "me/net") == 0
    assert card_of(hub) == "# Mine\n"
    assert "written by hand" in capsys.readouterr().err


@pytest.mark.usefixtures("logged_in")
def test_a_card_written_by_hand_is_kept_even_if_unreadable(
    hub: Hub, weights: Path, baryir: Run
) -> None:
    assert baryir("weights", "push", weights, "me/net") == 0
    commits = len(hub.repos["me/net"].commits)
    hub.update("me/net", {"README.md": b"# Mine\n"})
    where = "HEAD /me/net/resolve/main/README.md"
    hub.fail(where, lambda handler: handler.refuse(503, "", "out of order"), 99)
    assert baryir("weights", "push", weights, "me/net") == 1
    assert len(hub.repos["me/net"].commits) == commits + 1
    assert card_of(hub) == "# Mine\n"


def test_a_dry_run_asks_nobody(
    hub: Hub, weights: Path, baryir: Run, capsys: pytest.CaptureFixture
) -> None:
    assert baryir("weights", "push", weights, "me/net", "--dry-run") == 0
    said = capsys.readouterr()
    assert hub.requests == []
    assert "| Rain100L | 100 | - | 29.56 | 0.8831 |" in said.out
    assert f"would send {weights} (1.3 MB) to hf:me/net" in said.err
    assert "nothing was sent" in said.err


def test_a_dry_run_shows_the_card_that_push_sends(
    hub: Hub,
    weights: Path,
    baryir: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    assert baryir("weights", "push", weights, "me/net", "--dry-run") == 0
    shown = capsys.readouterr().out
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert baryir("weights", "push", weights, "me/net") == 0
    assert shown.strip() == card_of(hub).strip()


def test_push_without_a_token_says_how_to_log_in(
    hub: Hub, weights: Path, baryir: Run, capsys: pytest.CaptureFixture
) -> None:
    assert baryir("weights", "push", weights, "me/net") == 1
    line = error_of(capsys)
    assert "hf auth login" in line
    assert "HF_TOKEN" in line
    assert hub.repos == {}


@pytest.mark.usefixtures("logged_in")
def test_a_namespace_of_somebody_else_is_refused(
    hub: Hub, weights: Path, baryir: Run, capsys: pytest.CaptureFixture
) -> None:
    assert baryir("weights", "push", weights, "you/net") == 1
    assert "the token lacks the permission" in error_of(capsys)
    assert hub.repos == {}


@pytest.mark.usefixtures("logged_in")
@pytest.mark.parametrize("where", ["PUT /lfs/", "POST /api/models/me/net/commit/"])
def test_a_failure_on_the_way_commits_nothing(
    hub: Hub, weights: Path, baryir: Run, capsys: pytest.CaptureFixture, where: str
) -> None:
    hub.fail(where, lambda handler: handler.refuse(500, "", "out of order"), 99)
    assert baryir("weights", "push", weights, "me/net") == 1
    assert "the Hub answered 500 (out of order)" in error_of(capsys)
    assert list(hub.repos["me/net"].commits.values())[-1].keys() == {".gitattributes"}


@pytest.mark.usefixtures("logged_in")
def test_push_needs_a_network(
    hub: Hub,
    weights: Path,
    baryir: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert baryir("weights", "push", weights, "me/net") == 1
    assert "HF_HUB_OFFLINE" in error_of(capsys)


@pytest.mark.usefixtures("logged_in")
def test_damaged_weights_are_not_published(
    hub: Hub, weights: Path, baryir: Run, capsys: pytest.CaptureFixture
) -> None:
    weights.write_bytes(weights.read_bytes()[:-4] + b"\xff\xff\xff\x7f")
    assert baryir("weights", "push", weights, "me/net") == 1
    assert "holds NaN" in error_of(capsys)
    assert hub.requests == []


def test_wrong_usage_is_refused(
    hub: Hub, weights: Path, baryir: Run, capsys: pytest.CaptureFixture
) -> None:
    assert baryir("weights", "push", weights, "net") == 2
    assert "use OWNER/net" in error_of(capsys)
    assert baryir("weights", "push", weights, "me/net", "--name", "x.pt") == 2
    assert "must end in .safetensors" in error_of(capsys)
    assert hub.requests == []


def test_the_card_states_the_licence(
    hub: Hub, tmp_path: Path, baryir: Run, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "x.safetensors"
    save_weights(path, preset("tiny"), build(preset("tiny")).state_dict(), {})
    assert baryir("weights", "push", path, "me/net", "--dry-run") == 0
    said = capsys.readouterr()
    assert "license: unknown" in said.out
    assert "| licence | not stated |" in said.out
    assert "no licence is stated" in said.err
    options = ("--licence", "My own: ask first", "--dry-run")
    assert baryir("weights", "push", path, "me/net", *options) == 0
    head = yaml.safe_load(capsys.readouterr().out.split("---\n")[1])
    assert (head["license"], head["license_name"]) == ("other", "My own: ask first")


@pytest.mark.parametrize(
    ("sources", "data", "restored", "told"),
    [
        (["lowlight"], "3 of all", "dark photographs", "3 of all"),
        (["denoise", "dehaze", "deblur"], ["3 of all"], "noisy, hazy and blurred", "3 of all"),
        (["single", "x"], ["3 pairs", "4"], "they restore photographs", "single: 3 pairs; x: 4"),
        (7, {"a": 1}, "they restore photographs", "{'a': 1}"),
    ],
)
def test_a_card_says_no_more_than_the_provenance(
    hub: Hub,
    tmp_path: Path,
    baryir: Run,
    capsys: pytest.CaptureFixture,
    sources: object,
    data: object,
    restored: str,
    told: str,
) -> None:
    path = tmp_path / "x.safetensors"
    known = {"sources": sources, "data": data}
    save_weights(path, preset("tiny"), build(preset("tiny")).state_dict(), known)
    assert baryir("weights", "push", path, "me/net", "--dry-run") == 0
    card = capsys.readouterr().out
    assert restored in card
    assert f"| data | {told} |" in card


def test_a_card_names_the_file_that_was_converted(
    hub: Hub, tmp_path: Path, baryir: Run, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "x.safetensors"
    origin = {"converted": {"file": "BaryIR.pt", "sha256": "12ab", "date": "2026-11-29"}}
    save_weights(path, preset("tiny"), build(preset("tiny")).state_dict(), origin)
    assert baryir("weights", "push", path, "me/net", "--dry-run") == 0
    assert "| converted from | BaryIR.pt, SHA-256 12ab |" in capsys.readouterr().out
