"""``baryir weights`` without a network: list, info, verify."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
import torch

from models.network import build
from models.presets import preset
from models.weights import save_weights
from tests.baryir_cli.hub.server import sha256
from tests.conftest import Run

WHOLE = ("reference ", "file ", "SHA-256 ")
"""Lines that begin so may be too long, so that their values can be copied."""


@pytest.fixture(autouse=True)
def _no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))


def test_list_shows_the_embedded(baryir: Run, capsys: pytest.CaptureFixture) -> None:
    assert baryir("weights", "list") == 0
    text = " ".join(capsys.readouterr().out.split())
    for word in ("small", "embedded", "denoise", "MIT", "Rain100L"):
        assert word in text


def test_list_and_info_fit_80_columns(
    baryir: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for command in (["list"], ["info", "small"]):
        assert baryir("weights", *command) == 0
        lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
        assert max(len(line) for line in lines if not line.startswith(WHOLE)) <= 80
        # A clean image compared with itself is no benchmark of denoising.
        (clean,) = [line.split() for line in lines if "bsd68 " in line]
        assert clean[:5] == ["bsd68", "(clean", "input)", "68", "-"]
        assert not any("{" in line or "../" in line for line in lines)


def test_info_fits_narrow_terminals(
    baryir: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    path, config = tmp_path / "x.safetensors", preset("tiny")
    rest = [{"share": 0.6, "name": "r23", "steps": 30, "sha256": "a" * 64}, {"share": 0.4}]
    provenance = {"data": "photographs of all kinds " * 9, "rest": rest}
    save_weights(path, config, build(config).state_dict(), provenance)
    monkeypatch.setenv("COLUMNS", "60")
    assert baryir("weights", "info", path) == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert max(len(line) for line in lines if not line.startswith(WHOLE)) <= 60
    (first,) = [i for i, line in enumerate(lines) if "all but the scene judge" in line]
    assert lines[first + 1].strip() == "0.6 of r23, 30 steps, SHA-256 aaaaaaaaaaaa"
    assert lines[first + 2].strip() == "0.4 of ?"
    monkeypatch.setenv("COLUMNS", "1")
    assert baryir("weights", "info", path) == 0


def test_info_shows_the_runs_behind_the_weights(
    baryir: Run, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    def run(name: str, steps: int, patch: int, **more: object) -> dict[str, object]:
        stages = [{"batch": 4, "patch": patch, "share": 1.0}]
        recipe = {"learning_rate": 0.0003, "stages": stages, "gamma": 0.1}
        return {"name": name, "steps": steps, "recipe": recipe, **more}

    path, config = tmp_path / "x.safetensors", preset("tiny")
    first = run("first", 9000, 128, data=["9 pairs in ../mine"])
    save_weights(path, config, build(config).state_dict(), run("last", 50, 256, start=first))
    assert baryir("weights", "info", path) == 0
    text = capsys.readouterr().out
    rows = [line.split() for line in text.splitlines()]
    last = rows.index(["last", "50", "0.0003", "4", "of", "256"])
    assert rows[last + 1] == ["first", "9000", "0.0003", "4", "of", "128"]
    assert "gamma" not in text
    assert "mine" not in text


@pytest.mark.parametrize("start", [[1], {"recipe": 3}, {"recipe": {"stages": 1}, "start": "x"}])
def test_info_tolerates_a_strange_provenance(baryir: Run, tmp_path: Path, start: object) -> None:
    path, config = tmp_path / "x.safetensors", preset("tiny")
    known = {"start": start, "recipe": {"stages": [1, {"batch": None}]}, "steps": [], "data": {}}
    save_weights(path, config, build(config).state_dict(), known)
    assert baryir("weights", "info", path) == 0


def test_info_shows_hash_config_and_tensors(
    baryir: Run, tiny_weights: Path, capsys: pytest.CaptureFixture
) -> None:
    assert baryir("weights", "info", tiny_weights) == 0
    text = capsys.readouterr().out
    assert sha256(tiny_weights.read_bytes()) in text
    rows = [line.split(maxsplit=1) for line in text.splitlines()]
    for row in (["width", "8"], ["name", "tiny"], ["licence", "not stated"]):
        assert row in rows
    assert "head.project.weight" not in text
    assert baryir("weights", "info", tiny_weights, "--tensors") == 0
    shape = list(build(preset("tiny")).head.project.weight.shape)
    rows = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert ["head.project.weight", f"F32 {shape}"] in rows


def test_info_as_json_is_complete(
    baryir: Run, tiny_weights: Path, capsys: pytest.CaptureFixture
) -> None:
    assert baryir("weights", "info", tiny_weights, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    state = build(preset("tiny")).state_dict()
    assert found["config"] == preset("tiny").to_dict()
    assert found["provenance"] == {"name": "tiny"}
    assert found["sha256"] == sha256(tiny_weights.read_bytes())
    assert found["bytes"] == tiny_weights.stat().st_size
    assert found["parameters"] == sum(t.numel() for t in state.values())
    assert found["tensors"].keys() == state.keys()


def test_text_in_a_file_cannot_colour_the_terminal(
    baryir: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    path, config = tmp_path / "x.safetensors", preset("tiny")
    evil = "\x1b[31mred\nline [bold]"
    provenance = {"licence": evil, "sources": [evil], evil: evil, "figures": {evil: {"psnr": 1}}}
    save_weights(path, config, build(config).state_dict(), provenance)
    assert baryir("weights", "info", path) == 0
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert r"\x1b[31mred\nline [bold]" in text
    monkeypatch.setattr("baryir_cli.weights.catalogue.embedded", lambda: {evil: path})
    monkeypatch.setenv("COLUMNS", "300")
    assert baryir("weights", "list") == 0
    text = capsys.readouterr().out
    assert "\x1b" not in text
    table, _, figures = text.partition("\n\n")
    assert table.count(r"\x1b[31mred\nline [bold]") == 3, "reference, licence, source"
    assert figures.count(r"\x1b[31mred\nline [bold]") == 2, "reference, set"


def test_names_of_files_cannot_colour_the_terminal(
    baryir: Run, tmp_path: Path, tiny_weights: Path, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "x\x1b[31m.safetensors"
    path.write_bytes(tiny_weights.read_bytes())
    for command in (["pull", path], ["push", path, "me/net", "--dry-run"]):
        assert baryir("weights", *command) == 0
        said = capsys.readouterr().err
        assert r"x\x1b[31m.safetensors" in said
        assert "\x1b" not in said


def test_verify_checks_hash_header_values_and_forward(
    baryir: Run, tiny_weights: Path, capsys: pytest.CaptureFixture
) -> None:
    sha = sha256(tiny_weights.read_bytes())
    assert baryir("weights", "verify", tiny_weights) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["ok", name] for name in ("hash", "header", "values", "forward")
    ]
    assert sha in lines[0]
    assert "nothing to compare with" in lines[0]
    assert baryir("weights", "verify", tiny_weights, "--sha256", sha.upper()) == 0
    assert "as given" in capsys.readouterr().out
    assert baryir("weights", "verify", tiny_weights, "--sha256", "0" * 64) == 1
    assert f"its SHA-256 is {sha}, not 000" in capsys.readouterr().err
    assert baryir("weights", "verify", tiny_weights, "--sha256", sha[:8]) == 2
    assert "a hash has 64 hexadecimal digits" in capsys.readouterr().err


def test_verify_compares_embedded_weights_with_the_installed_ones(
    baryir: Run,
    tmp_path: Path,
    tiny_weights: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    path = tmp_path / "models" / "embedded" / "tiny.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(tiny_weights.read_bytes())
    sha = sha256(path.read_bytes())
    noted = base64.urlsafe_b64encode(bytes.fromhex(sha)).decode().rstrip("=")
    installed = tmp_path / "baryir-0.0.1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Name: baryir\nVersion: 0.0.1\n")
    (installed / "RECORD").write_text(f"models/embedded/{path.name},sha256={noted},1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("baryir_cli.weights.references.embedded", lambda: {"tiny": path})
    assert baryir("weights", "verify", "tiny") == 0
    assert f"{sha}, as installed" in capsys.readouterr().out
    save_weights(path, preset("tiny"), build(preset("tiny")).state_dict(), {})
    assert baryir("weights", "verify", "tiny") == 1
    assert f"not {sha} as installed; install baryir again" in capsys.readouterr().err
    changed = sha256(path.read_bytes())
    assert baryir("weights", "verify", "tiny", "--sha256", changed) == 0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: data[:-4] + b"\xff\xff\xff\x7f", "holds NaN or infinite values"),
        (lambda data: data[:-4], "cut short"),
        (lambda data: b"PK\x03\x04" + data, "baryir weights convert"),
        (lambda data: (10 << 30).to_bytes(8, "little") + data[8:], "the header has"),
    ],
)
@pytest.mark.parametrize("command", ["verify", "restore"])
def test_damage_is_one_line(
    baryir: Run,
    tmp_path: Path,
    tiny_weights: Path,
    capsys: pytest.CaptureFixture,
    change: object,
    says: str,
    command: str,
) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(change(tiny_weights.read_bytes()))  # type: ignore[operator]
    (tmp_path / "a.png").touch()
    restore = ("restore", tmp_path / "a.png", tmp_path / "out", "--weights", path)
    assert baryir(*(restore if command == "restore" else ("weights", "verify", path))) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"baryir: {path}: ")
    assert says in line


def test_verify_runs_the_network(
    baryir: Run, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path, config = tmp_path / "x.safetensors", preset("tiny")
    state = build(config).state_dict()
    state["head.project.weight"] = torch.full_like(state["head.project.weight"], 3e38)
    save_weights(path, config, state, {})
    assert baryir("weights", "verify", path) == 1
    said = capsys.readouterr()
    assert "turns noise into NaN or infinity" in said.err
    assert "ok  values" in said.out


@pytest.mark.parametrize("reference", ["nothing", "~nobody-of-that-name/x", "/dev/zero"])
def test_unknown_weights_are_one_line(
    reference: str, baryir: Run, capsys: pytest.CaptureFixture
) -> None:
    assert baryir("weights", "info", reference) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "no such weights; use small, a file or hf:owner/repo[@revision][:file]" in line


def test_a_folder_is_refused_with_advice(
    baryir: Run, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert baryir("weights", "info", tmp_path) == 2
    assert f"{tmp_path}: a folder, not a file; give a file of weights" in capsys.readouterr().err
    (tmp_path / "weights.safetensors").touch()
    assert baryir("weights", "info", tmp_path) == 2
    assert f"use the run's {tmp_path}/weights.safetensors" in capsys.readouterr().err


def test_pull_of_a_local_file_prints_its_path(
    baryir: Run, tiny_weights: Path, capsys: pytest.CaptureFixture
) -> None:
    assert baryir("weights", "pull", tiny_weights) == 0
    said = capsys.readouterr()
    assert said.out == f"{tiny_weights}\n"
    assert "(file)" in said.err
