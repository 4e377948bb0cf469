"""``baryir train`` from the command line: options over recipes, data, what goes wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from baryir_cli.options import spread
from models.weights import read_weights
from tests.conftest import Run
from tests.train.conftest import write

TOY = ("--preset", "tiny", "--patch", 16, "--batch", 2, "--workers", 0, "--log-every", 1)


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """Four clean photographs."""
    folder = tmp_path / "photos"
    for i in range(4):
        write(folder / f"{i}.png", i)
    return folder


def recipe_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "recipe.json").read_text())


def test_several_values_in_one_go() -> None:
    typed = ["--sources", "derain", "dehaze", "--steps", "3", "--sources", "deblur"]
    assert spread(typed, {"--sources"}) == [
        *("--sources", "derain", "--sources", "dehaze"),
        *("--steps", "3", "--sources", "deblur"),
    ]


def test_run_resume_restore(
    baryir: Run, clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    asked = ("train", "--sources", "derain", "denoise_15", "denoise_50", "--clean", clean)
    assert baryir(*asked, *TOY, "--steps", 2, "--lr", 0.002, "--out", run) == 0
    recipe = recipe_of(run)
    assert list(recipe["sources"]) == ["derain", "denoise"]
    assert recipe["noise"] == [15.0, 50.0]
    assert recipe["learning_rate"] == 0.002
    assert baryir(*asked, *TOY, "--steps", 3, "--out", run) == 1, "not overwritten unasked"
    assert baryir(*asked, *TOY, "--steps", 3, "--lr", 0.002, "--out", run, "--resume") == 0
    steps = [json.loads(line)["step"] for line in (run / "log.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3]
    assert read_weights(run / "weights.safetensors").provenance["steps"] == 3
    out = tmp_path / "out.png"
    weights = ("--weights", run / "weights.safetensors", "--device", "cpu")
    assert baryir("restore", clean / "0.png", out, *weights) == 0
    assert out.exists()


WRONG = [
    (("--recipe", "mine"), 2, "no recipe 'mine'; there are paper"),
    (("--recipe", "paper", "--config", "x.toml"), 2, "give one of them"),
    (("--config", "x.toml"), 1, "x.toml: No such file"),
    (("--sources", "snow"), 2, "no source 'snow'"),
    (("--sources", "denoise_15", "--noise", "25"), 2, "leave out --noise"),
    (("--losses", "l2"), 1, "losses must be one of mwb, irc, bro"),
    (("--network", "width"), 2, "--network takes name=value"),
    (("--network", "width=3"), 1, "network: width must be even"),
    (("--data", "nowhere"), 1, "nowhere: no such folder"),
    (("--out", "run", "--resume"), 1, "no checkpoint to resume from"),
]


@pytest.mark.parametrize(("options", "code", "message"), WRONG)
def test_wrong(
    baryir: Run,
    clean: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    options: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    sources = () if "--sources" in options else ("--sources", "denoise")
    assert baryir("train", *sources, "--clean", clean, *TOY, "--steps", 1, *options) == code
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in last
    assert last.startswith("baryir: ")
