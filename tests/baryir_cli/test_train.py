"""``baryir train`` from the command line: options and recipes, data, errors."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any, get_type_hints
from unittest.mock import Mock

import pytest
import torch
from rich.console import Console

from baryir_cli.commands.train import train as command
from baryir_cli.shell.options import spread
from baryir_cli.shell.patience import SIGNALS, patience
from baryir_cli.training import run as training_run
from baryir_cli.training.panel import LOSSES, TrainingDisplay, roughly
from baryir_cli.weights.references import find_weights
from models.weights import read_weights
from tests.baryir_cli.helpers import failing
from tests.conftest import Run
from tests.train.conftest import write
from train.data_folders import DataFolders
from train.folders import hold_out
from train.recipe import Recipe, shipped
from train.run import Run as RunFolder
from train.sources import Patches
from train.trainer import Trainer
from train.validation import Validation

TOY = ("--preset", "tiny", "--patch", 16, "--batch", 2, "--workers", 0, "--log-every", 1)


@pytest.fixture(autouse=True)
def _only_training(one_thread: None, no_curves: None) -> None:
    """One thread for such small networks, and no plots, which take longer than the training."""


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """Four clean photographs."""
    folder = tmp_path / "photos"
    for i in range(4):
        write(folder / f"{i}.png", i)
    return folder


def recipe_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "recipe.json").read_text())


def test_an_option_takes_several_values() -> None:
    typed = ["--sources", "derain", "dehaze", "--steps", "3", "--sources", "deblur"]
    assert spread(typed, {"--sources"}) == [
        *("--sources", "derain", "--sources", "dehaze"),
        *("--steps", "3", "--sources", "deblur"),
    ]


def test_a_run_resumes_and_its_weights_restore(
    baryir: Run,
    clean: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    asked = ("train", "--sources", "derain", "denoise_15", "denoise_50", "--clean", clean)
    assert baryir(*asked, *TOY, "--steps", 2, "--lr", 0.002, "--out", run) == 0
    table = [line.split() for line in capsys.readouterr().err.splitlines()]
    assert table[0] == ["source", "trained", "on", "held", "out", "drawn", "l_k", "from"]
    for source in ("derain", "denoise"):
        assert [source, "3", "1"] in [row[:3] for row in table]
    recipe = recipe_of(run)
    assert list(recipe["sources"]) == ["derain", "denoise"]
    assert recipe["noise"] == [15.0, 50.0]
    assert recipe["learning_rate"] == 0.002
    assert baryir(*asked, *TOY, "--steps", 3, "--out", run) == 2, "not overwritten unasked"
    capsys.readouterr()
    again = ("--clean", clean, "--workers", 0, "--log-every", 1, "--out", run, "--resume")
    assert baryir("train", *again, "--steps", 3) == 0
    assert "changed since the run began: steps 2 -> 3\n" in capsys.readouterr().err
    assert recipe_of(run) == recipe | {"steps": 3}, "the run's own recipe"
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == [1, 2, 2, 3]
    assert log[2] == {"step": 2, "changes": ["steps 2 -> 3"]}
    provenance = read_weights(run / "weights.safetensors").provenance
    assert provenance["steps"] == 3
    assert provenance["data"][1].startswith("3 photographs in photos, sigma 15, 50")
    assert str(tmp_path) not in json.dumps(provenance), "no private path is published"
    assert baryir("train", *again) == 0
    said = capsys.readouterr().err
    assert "the run is complete, all 3 steps; a larger --steps continues it\n" in said
    assert "continuing from" not in said
    assert not re.search("warm-up|IRC|matplotlib", said), "of steps that do not come"
    assert baryir("train", *again, "--steps", 2) == 2
    assert "run is already at step 3, past 2" in capsys.readouterr().err
    out = tmp_path / "out.png"
    weights = ("--weights", run / "weights.safetensors", "--device", "cpu")
    assert baryir("restore", clean / "0.png", out, *weights) == 0
    assert out.exists()


def test_the_default_folder_is_used_only_without_clean(
    baryir: Run, clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise photographs that merely lie there would get into the weights."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(clean, "data/Train/Denoise")
    asked = ("train", "--sources", "denoise", *TOY, "--steps", 1, "--holdout", 0, "--out")
    assert baryir(*asked, "a", "--clean", clean) == 0
    assert baryir(*asked, "b") == 0
    for run, folder in (("a", "photos"), ("b", "Train/Denoise")):
        (data,) = read_weights(Path(run, "weights.safetensors")).provenance["data"]
        assert data.startswith(f"4 photographs in {folder}, ")


WRONG = [
    (("--recipe", "mine"), "--recipe mine: use paper, reference, small, small-judge"),
    (("--recipe", "paper", "--config", "x.toml"), "give only one"),
    (("--config", "x.toml"), "x.toml: no such file"),
    (("--sources", "snow"), "source 'snow': use denoise, "),
    (("--sources", "denoise_15", "--noise", "25"), "leave out --noise"),
    (("--sources", "derain", "--noise", "25"), "--noise is only for the source denoise; add"),
    (("--losses", "l2"), "--losses l2: use none, or any of mwb irc bro"),
    (("--losses", "none", "irc"), "--losses none irc: use none, or any of mwb irc bro"),
    (("--losses", "irc", "irc"), "--losses names an entry twice"),
    (("--gamma", "-1"), "baryir: --gamma -1: use a number from 0 up"),
    (("--lr", "nan"), "baryir: --lr nan: use a number above 0"),
    (("--patch", "7"), "baryir: --patch 7: use a whole number from 8 to 4096"),
    (("--patch", "20"), "baryir: --patch 20: use a multiple of 8 for this network"),
    (("--out", "photos/0.png"), "photos/0.png is not a folder"),
    (("--single", "photos"), "--single is only for the source single; add"),
    (("--epochs", "1"), "--epochs and --steps both set the length of the run; give only one"),
    (("--sources", "denoise,derain"), "separate --sources with spaces: --sources denoise derain"),
    (("--preset", "huge"), "baryir: --preset 'huge': use official, paper"),
    (("--network", "width"), "--network takes name=value"),
    (("--network", "blocks=2,1"), "blocks '2,1': use a list of whole numbers, such as [2, 1]"),
    (("--network", "heads=" + "[" * 99999), "heads '[[[["),
    (("--network", "width=3"), "baryir: --network cannot be built: width 3: use an even number"),
    (("--data", "nowhere"), "nowhere: no such folder"),
    (("--out", "run", "--resume"), "no checkpoint to resume from"),
    (("--init", "small"), "--init small: weights of another network: width 48, not 8; choose a"),
    (
        ("--resume", "--overwrite"),
        "--resume continues a run, --overwrite replaces it; give only one",
    ),
]


def test_freezing_a_part_needs_init(
    baryir: Run, clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('preset = "tiny"\nfrozen = ["head"]\nsteps = 1\n[sources]\ndenoise = {}\n')
    command = ("train", "--config", recipe, "--clean", clean, "--out", tmp_path / "run", *TOY[2:])
    assert baryir(*command) == 2
    assert "head cannot be frozen without --init" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('stages = "x"', "stages 'x': use a list"),
        ("stages = [3]", "a stage 3: use a table"),
        ("network = [1]", "network [1]: use a table"),
        ('noise = "25"', "noise '25': use a list"),
        ("noise = [true]", "noise True: use a list of numbers"),
        ('noise_range = "15"', "noise_range '15': use a list"),
        ('drops = "01"', "drops '01': use a list"),
        ("losses = { mwb = 1 }", "losses {'mwb': 1}: use a list"),
        ("[sources.denoise_15]", "or single; noise levels belong in noise"),
        ("[sources.Low_Light]", "sources 'Low_Light': use denoise, "),
    ],
)
def test_a_malformed_recipe_is_refused(
    baryir: Run,
    clean: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    entry: str,
    message: str,
) -> None:
    denoise = "" if "denoise" in entry else "[sources.denoise]\n"
    lines = [denoise, entry] if entry.startswith("[") else [entry, denoise]
    (tmp_path / "mine.toml").write_text("\n".join(lines))
    asked = ("--config", tmp_path / "mine.toml", "--clean", clean, "--out", tmp_path / "run")
    assert baryir("train", *asked) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_given_noise_levels_replace_the_range(baryir: Run, clean: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        "noise_range = [5, 55]\njpeg_share = 1.0\n[sources]\ndenoise = {}\n"
    )
    asked = ("train", "--config", tmp_path / "mine.toml", "--clean", clean, *TOY, "--steps", 1)
    for number, levels in enumerate((("--noise", 25), ("--sources", "denoise_25"))):
        assert baryir(*asked, *levels, "--out", tmp_path / str(number)) == 0
        recipe = recipe_of(tmp_path / str(number))
        assert (recipe["noise"], recipe["noise_range"]) == ([25], None)


def test_a_wrong_noise_level_names_its_option(
    baryir: Run, clean: Path, capsys: pytest.CaptureFixture
) -> None:
    for option, blamed in {
        ("--sources", "denoise_300"): "denoise_300: use a number from 0 to 255 as noise level",
        ("--sources", "denoise", "--noise", 300): "--noise 300: use a number from 0 to 255",
    }.items():
        assert baryir("train", *option, "--clean", clean) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert blamed in line


def test_init_is_ignored_on_resuming(
    baryir: Run, clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    asked = ("train", "--sources", "denoise", "--clean", clean, *TOY, "--out", tmp_path / "run")
    assert baryir(*asked, "--steps", 1) == 0
    assert baryir(*asked, "--steps", 2, "--resume", "--init", "small") == 0
    assert "--init is ignored" in capsys.readouterr().err


def test_names_of_folders_are_not_taken_for_markup(
    baryir: Run, clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    folder = clean.rename(tmp_path / "x[") / "y]"
    folder.mkdir()
    write(folder / "z.png", 9)
    asked = ("train", "--sources", "denoise", "--clean", folder, *TOY, "--steps", 1)
    assert baryir(*asked, "--holdout", 0, "--out", tmp_path / "run") == 0
    assert "x[/y]" in "".join(capsys.readouterr().err.split())


def test_a_run_in_the_current_folder_has_its_name(
    baryir: Run, clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    asked = ("train", "--sources", "denoise", "--clean", clean, *TOY, "--steps", 1, "--out", ".")
    assert baryir(*asked) == 0
    written = [*Path().glob("checkpoints/*/*.safetensors"), Path("weights.safetensors")]
    assert [read_weights(path).provenance["name"] for path in written] == ["here"] * 3


def test_a_wrong_recipe_is_named(
    baryir: Run, clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "mine.toml").write_text("gamma = -1\n[sources]\ndenoise = {}")
    options = ("--config", tmp_path / "mine.toml", "--lr", 0.1, "--clean", clean)
    assert baryir("train", *options) == 2
    assert "mine.toml: gamma -1: use" in capsys.readouterr().err


def test_missing_data_asks_for_a_folder(
    baryir: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert baryir("train") == 2
    assert "give --data FOLDER, laid out like it, or --clean" in capsys.readouterr().err
    assert baryir("train", "--sources", "single") == 2
    assert "give --single, the folder of its pairs" in capsys.readouterr().err


def test_changed_images_are_noticed(
    baryir: Run, clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    asked = ("train", "--sources", "denoise", "--clean", clean, *TOY, "--out", tmp_path / "run")
    assert baryir(*asked, "--steps", 1, "--holdout", 0) == 0
    assert "--resume" not in capsys.readouterr().err
    (clean / "0.png").rename(clean / "other.png")
    assert baryir(*asked, "--steps", 1, "--holdout", 0, "--resume") == 0
    said = capsys.readouterr().err
    assert "changed since the run began: images of denoise changed\n" in said
    (clean / "other.png").rename(clean / "0.png")
    assert baryir(*asked, "--steps", 1, "--holdout", 0, "--resume") == 0
    assert "changed since" not in capsys.readouterr().err
    write(clean / "late.png", 9)
    assert baryir(*asked, "--steps", 1, "--holdout", 0, "--resume") == 0
    assert "changed since the run began: images of denoise 4 -> 5\n" in capsys.readouterr().err


def test_overwriting_empties_linked_folders_of_the_run(
    baryir: Run, clean: Path, tmp_path: Path
) -> None:
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    (elsewhere / "00000007").mkdir(parents=True)
    run.mkdir()
    (run / "checkpoints").symlink_to(elsewhere)
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "theirs.txt").write_text("stays")
    (elsewhere / "others").symlink_to(tmp_path / "others")
    (run / "events.out.tfevents.1").write_text("old")
    (run / "recipe.json").write_text('{"objective": "paper"}')
    (run / "mine.txt").write_text("stays")
    asked = ("train", "--sources", "denoise", "--clean", clean, *TOY, "--steps", 1, "--out", run)
    assert baryir(*asked) == 2
    assert baryir(*asked, "--overwrite") == 0
    assert [path.name for path in elsewhere.iterdir()] == ["00000001"]
    assert recipe_of(run)["steps"] == 1
    assert not (run / "events.out.tfevents.1").exists()
    assert (run / "mine.txt").read_text() == "stays"
    assert (tmp_path / "others" / "theirs.txt").read_text() == "stays"


def out_of_memory(*_: object) -> None:
    raise RuntimeError("CUDA out of memory. Tried")


def not_finite(self: Trainer, batches: Any) -> Any:
    return TRAIN_STEP(self, [b._replace(degraded=b.degraded * float("nan")) for b in batches])


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def interrupted_second(self: Trainer, batches: Any) -> Any:
    return interrupted() if self.step else TRAIN_STEP(self, batches)


TRAIN_STEP = Trainer.train_step


@pytest.mark.parametrize(
    ("function", "replacement", "code", "said"),
    [
        ("train.trainer.Trainer.train_step", interrupted, 130, "the old run in {run} is unchanged"),
        ("train.trainer.Trainer.train_step", interrupted_second, 130, "{run} is unchanged"),
        ("train.trainer.Trainer.train_step", out_of_memory, 1, "--patch; the old run in {run} is"),
        ("train.trainer.Trainer.train_step", not_finite, 1, "last good checkpoint: none"),
        ("torch.save", interrupted, 130, "the old run in {run} is unchanged"),
    ],
)
def test_a_run_stays_until_the_next_has_a_checkpoint(
    baryir: Run,
    clean: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    function: str,
    replacement: Any,
    code: int,
    said: str,
) -> None:
    run = tmp_path / "run"
    asked = ("train", "--sources", "denoise", "--clean", clean, *TOY, "--steps", 2, "--out", run)
    assert baryir(*asked, "--seed", 1) == 0

    def files() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}

    before = files()
    with monkeypatch.context() as patch:
        patch.setattr(function, replacement)
        assert baryir(*asked, "--overwrite") == code
    assert said.format(run=run) in capsys.readouterr().err.splitlines()[-1]
    assert files() == before
    assert baryir(*asked, "--overwrite", "--steps", 1, "--holdout", 0) == 0
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["00000001"]
    assert not (run / "samples").exists()
    assert recipe_of(run)["seed"] == 0


def test_an_old_run_that_is_removed_halfway_is_not_resumed(
    baryir: Run, clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    asked = ("train", "--sources", "denoise", "--clean", clean, *TOY, "--out", run)
    assert baryir(*asked, "--steps", 3, "--checkpoint-every", 1, "--seed", 1) == 0
    with monkeypatch.context() as patch:
        patch.setattr("train.run._remove", interrupted)
        assert baryir(*asked, "--steps", 2, "--checkpoint-every", 1, "--overwrite") == 130
    assert recipe_of(run)["seed"] == 0
    assert RunFolder(run).last_checkpoint() == run / "checkpoints" / "00000001"
    assert baryir("train", "--clean", clean, "--out", run, "--resume") == 0
    assert recipe_of(run)["seed"] == 0
    assert RunFolder(run).last_checkpoint() == run / "checkpoints" / "00000002"
    assert not list((run / "checkpoints").glob("*.part"))


def test_a_folder_that_cannot_be_written_is_found_at_once(
    baryir: Run,
    clean: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    run = tmp_path / "run"
    asked = ("train", "--sources", "denoise", "--clean", clean, *TOY, "--steps", 1, "--out", run)
    assert baryir(*asked) == 0
    monkeypatch.setattr("tempfile.TemporaryFile", failing(errno.EACCES))
    monkeypatch.setattr("train.trainer.Trainer.train_step", out_of_memory)
    assert baryir(*asked, "--overwrite") == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"baryir: {run} cannot be written to: Permission denied; choose another folder"


def test_an_interrupted_validation_leaves_its_checkpoint(
    baryir: Run, clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    asked = ("train", "--sources", "denoise", "--clean", clean, *TOY, "--out", run)
    assert baryir(*asked, "--steps", 1, "--seed", 1) == 0
    monkeypatch.setattr(Validation, "psnr", interrupted)
    assert baryir(*asked, "--steps", 2, "--overwrite") == 130
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["00000002"]
    assert recipe_of(run)["seed"] == 0
    (line,) = (run / "log.jsonl").read_text().splitlines()
    assert json.loads(line)["step"] == 1, "held back until then"


def test_tensorboard_waits_for_the_first_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Mock()
    monkeypatch.setattr(training_run, "_summary_writer", lambda: writer)
    (tmp_path / "recipe.json").write_text('{"objective": "paper"}')
    (tmp_path / "log.jsonl").touch()
    folder = RunFolder(tmp_path)
    folder.begin(Recipe(), DataFolders(), overwrite=True)
    folder.listeners.append(training_run._tensorboard(tmp_path, 0))
    folder.log({"step": 1, "total": 0.5, "psnr": {"derain": 30.0}})
    assert not writer.called
    folder.make_room()
    scalars = [call.args for call in writer.return_value.add_scalar.call_args_list]
    assert scalars == [("total", 0.5, 1), ("psnr/derain", 30.0, 1)]


def test_a_disk_that_is_full_from_the_start_is_one_line(
    baryir: Run,
    clean: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    run = tmp_path / "run"
    monkeypatch.setattr(Path, "write_text", failing(errno.ENOSPC))
    asked = ("train", "--sources", "denoise", "--clean", clean, *TOY, "--steps", 1, "--out", run)
    assert baryir(*asked) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"baryir: {run / 'recipe.json'}: No space left on device"


@pytest.mark.parametrize("mark", [None, "for bread", '["flour"]'])
def test_a_folder_that_is_not_a_runs_is_not_overwritten(
    baryir: Run, clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture, mark: str | None
) -> None:
    folder = tmp_path / "project"
    (folder / "samples").mkdir(parents=True)
    if mark:
        (folder / "recipe.json").write_text(mark)
    before = sorted(folder.iterdir())
    asked = ("--sources", "denoise", "--clean", clean, *TOY, "--steps", 1, "--out")
    for options in ([folder], [folder, "--overwrite"], [tmp_path / "new" / ".." / folder.name]):
        assert baryir("train", *asked, *options) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"{folder} is not a run's folder" in line
        assert "samples in it would be overwritten" in line
    assert sorted(folder.iterdir()) == before


def test_a_run_stopped_before_its_first_step_begins_again(
    baryir: Run, clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("train", "--sources", "denoise", "--clean", clean, *TOY, "--steps", 1)
    with monkeypatch.context() as patch:
        patch.setattr(Patches, "__getitem__", interrupted)
        assert baryir(*asked, "--holdout", 0, "--out", tmp_path / "run") == 130
    assert (tmp_path / "run" / "recipe.json").exists()
    assert baryir(*asked, "--out", tmp_path / "run") == 0


def test_a_checkpoint_of_mixed_parts_is_refused(
    baryir: Run, clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    asked = ("train", "--sources", "denoise", "--clean", clean, *TOY, "--out", tmp_path / "run")
    assert baryir(*asked, "--steps", 1) == 0
    first, second = (tmp_path / "run" / "checkpoints" / f"0000000{i}" for i in (1, 2))
    shutil.copy(find_weights("small").path, first / "average.safetensors")
    assert baryir(*asked, "--steps", 3, "--resume") == 1
    said = "belongs to another network than state.pt; there is no other checkpoint"
    assert capsys.readouterr().err.splitlines()[-1].endswith(said)
    shutil.copytree(first, second)
    (second / "state.pt").write_bytes(b"cut")
    assert baryir(*asked, "--steps", 3, "--resume") == 1
    said = f"remove {second}, and --resume continues from {first}"
    assert capsys.readouterr().err.splitlines()[-1].endswith(said)


@pytest.mark.parametrize("function", ["torch.save", "json.dumps"])
def test_a_full_disk_leaves_a_checkpoint(
    baryir: Run,
    clean: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    function: str,
) -> None:
    """Whether a checkpoint's state or a line of the log could not be written."""

    def full(*_: object, **__: object) -> None:
        if function == "torch.save":
            raise RuntimeError("[enforce fail at inline_container.cc:672]")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def step(self: Trainer, batches: Any) -> Any:
        if self.step == 1:
            monkeypatch.setattr(function, full)
        return genuine(self, batches)

    genuine = Trainer.train_step
    monkeypatch.setattr(Trainer, "train_step", step)
    asked = ("train", "--sources", "denoise", "--clean", clean, *TOY, "--out", tmp_path / "run")
    assert baryir(*asked, "--steps", 2, "--checkpoint-every", 1) == 1
    first = tmp_path / "run" / "checkpoints" / "00000001"
    assert f"; --resume continues from {first}" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("number", SIGNALS)
def test_an_interruption_between_checkpoints_loses_nothing(
    baryir: Run,
    clean: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    number: signal.Signals,
) -> None:
    asked = ("train", "--sources", "denoise", "--clean", clean, *TOY, "--steps", 4)
    assert baryir(*asked, "--out", tmp_path / "whole") == 0
    step = Trainer.train_step

    def interrupted(self: Trainer, batches: Any) -> Any:
        if self.step == 1:
            os.kill(os.getpid(), number)
        return step(self, batches)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", interrupted)
        handlers = [signal.getsignal(each) for each in SIGNALS]
        assert baryir(*asked, "--out", tmp_path / "run") == 130
        assert [signal.getsignal(each) for each in SIGNALS] == handlers
    said = capsys.readouterr().err
    assert "stopping after this step; Ctrl-C again stops at once" in said
    assert "--resume continues from" in said
    assert "00000002" in said
    assert baryir(*asked, "--out", tmp_path / "run", "--resume") == 0
    whole, parts = (
        read_weights(tmp_path / name / "weights.safetensors").state for name in ("whole", "run")
    )
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_the_second_interruption_acts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[int] = []
    with patience(lambda: heard.append(1)) as asked:
        signal.raise_signal(signal.SIGINT)
        assert asked()
        later = time.monotonic() + 1
        monkeypatch.setattr("time.monotonic", lambda: later)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert heard == [1]


def test_an_interruption_that_arrives_twice_counts_once() -> None:
    """``timeout`` sends one to its child and one to all of its group, child included."""
    heard: list[int] = []
    with patience(lambda: heard.append(1)) as asked:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert asked()
    assert heard == [1]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no terminal hangs up here")
def test_a_terminal_that_hangs_up_twice_is_not_impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    with patience() as asked:
        signal.raise_signal(signal.SIGHUP)
        assert asked()
        later = time.monotonic() + 1
        monkeypatch.setattr("time.monotonic", lambda: later)
        signal.raise_signal(signal.SIGHUP)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no terminal hangs up here")
def test_nohup_is_respected() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with patience() as asked:
            signal.raise_signal(signal.SIGHUP)
            assert not asked()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_doubtful_settings_are_pointed_out(
    baryir: Run, clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    asked = ("train", "--sources", "denoise", "--clean", clean, *TOY, "--steps", 2)
    assert baryir(*asked, "--out", tmp_path / "a") == 0
    said = capsys.readouterr().err
    assert "the warm-up takes 200 steps and the whole run 2; shorten it with --warm-up\n" in said
    assert "with one source there is no barycenter to find" in said
    assert "paper objective, network tiny, 0.3 M parameters, rmsprop, step schedule, cpu" in said
    assert baryir(*asked, "--warm-up", 1, "--losses", "none", "--out", tmp_path / "b") == 0
    said = capsys.readouterr().err
    assert "the warm-up takes" not in said
    assert "one source" not in said
    assert "L1 alone, network tiny" in said


def test_shares_that_do_nothing_with_noise_levels_are_pointed_out(
    baryir: Run, clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    note = "denoise takes no film_share or jpeg_share while its noise has levels; set noise_range"
    for entries, noted in (("noise = [25]", True), ("noise_range = [5, 50]", False)):
        recipe = tmp_path / "recipe.toml"
        recipe.write_text(
            f"{entries}\nfilm_share = 0.5\njpeg_share = 0.1\n[sources]\ndenoise = {{}}"
        )
        asked = ("train", "--config", recipe, "--clean", clean, *TOY, "--steps", 1)
        assert baryir(*asked, "--out", tmp_path / f"noted {noted}") == 0
        assert (note in capsys.readouterr().err) == noted


def test_names_cannot_forge_lines(
    baryir: Run, clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    run = tmp_path / "r\x1b[31mX\ndone    forged"
    asked = ("train", "--sources", "denoise", "--clean", clean, *TOY, "--out", run)
    assert baryir(*asked, "--steps", 1) == 0
    assert baryir(*asked, "--steps", 2, "--resume") == 0
    said = capsys.readouterr().err
    assert said.count(r"r\x1b[31mX\ndone    forged") == 3, "wrote, continuing from, wrote"
    assert "\x1b" not in said
    assert "\ndone" not in said


def test_slow_bf16_is_replaced_with_a_note(
    baryir: Run,
    clean: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: False)
    asked = ("train", "--sources", "denoise", "--clean", clean, *TOY, "--steps", 1)
    assert baryir(*asked, "--precision", "bf16", "--out", tmp_path / "run") == 0
    assert "using fp32: bf16 would be slower on this processor" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("sources", "batch", "note"),
    [
        ("denoise derain", 2, "IRC is always 0 in batches of 2: "),
        ("denoise derain dehaze deblur", 3, "56% of the patches are the only ones of their source"),
        ("denoise derain", 3, ""),
    ],
)
def test_a_batch_too_small_for_the_contrast_is_pointed_out(
    baryir: Run,
    clean: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    sources: str,
    batch: int,
    note: str,
) -> None:
    asked = ("--sources", *sources.split(), "--clean", clean, *TOY, "--batch", batch)
    assert baryir("train", *asked, "--steps", 1, "--out", tmp_path / "run") == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "IRC" in line]
    assert len(said) == bool(note)
    assert note in "".join(said)


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_wrong_options_are_refused(
    baryir: Run,
    clean: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    options: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    sources = () if "--sources" in options else ("--sources", "denoise")
    assert baryir("train", *sources, "--clean", clean, *TOY, "--steps", 1, *options) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in last
    assert last.startswith("baryir: ")


@pytest.mark.parametrize("epochs", ["nan", "inf", "0", "-1"])
def test_epochs_must_be_positive_and_finite(
    baryir: Run, clean: Path, capsys: pytest.CaptureFixture, epochs: str
) -> None:
    asked = ("train", "--sources", "denoise", "--clean", clean, *TOY, "--epochs", epochs)
    assert baryir(*asked) == 2
    assert f"baryir: --epochs {epochs}: use a number above 0" in capsys.readouterr().err


def test_too_many_epochs_are_refused(
    baryir: Run, clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    asked = ("train", "--sources", "denoise", "--clean", clean, *TOY, "--epochs", "1e308")
    assert baryir(*asked, "--out", tmp_path / "run") == 2
    assert "epochs 1e+308: use a smaller number" in capsys.readouterr().err


def test_a_resumed_run_has_its_own_folders(
    baryir: Run,
    clean: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ("train", "--sources", "denoise", "--clean", clean.name, *TOY, "--out", "run")
    assert baryir(*asked, "--steps", 1, "--holdout", 0) == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    run = tmp_path / "run"
    again = ("train", "--workers", 0, "--out", run, "--resume")
    assert baryir(*again, "--steps", 2) == 0
    assert json.loads((run / "data.json").read_text())["holdout"] == 0
    provenance = read_weights(run / "weights.safetensors").provenance
    assert provenance["steps"] == 2
    assert str(tmp_path) not in json.dumps(provenance), "no private path is published"
    assert str(tmp_path) not in (run / "recipe.json").read_text()
    moved = clean.rename(tmp_path / "moved")
    capsys.readouterr()
    assert baryir(*again, "--steps", 3) == 2
    way = "give --data, --clean or --single as at the start"
    said = f"baryir: the run trained on {clean}: no such folder; {way}\n"
    assert capsys.readouterr().err == said
    assert baryir(*again, "--steps", 3, "--clean", moved, "--holdout", 0.5) == 0
    assert baryir(*again, "--steps", 4) == 0, "the new folder is its own now"
    assert json.loads((run / "data.json").read_text())["holdout"] == 0.5


@pytest.mark.parametrize(
    "damage",
    [
        None,
        '{"clean": ',
        '{"clean": []}',
        "[]",
        '{"data": 5}',
        '{"data": null, "single": null, "clean": "abc", "holdout": 0}',
        '{"data": null, "single": null, "clean": [], "holdout": 2}',
        '{"data": null, "single": null, "clean": [], "holdout": 1' + "0" * 400 + "}",
        "[" * 100_000,
    ],
)
def test_a_run_without_its_folders_asks_for_them(
    baryir: Run,
    clean: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    damage: str | None,
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ("train", "--sources", "denoise", *TOY, "--out", "run")
    assert baryir(*asked, "--resume") == 2
    assert "run has no checkpoint to resume from" in capsys.readouterr().err
    assert baryir(*asked, "--clean", clean, "--steps", 1) == 0
    (tmp_path / "run" / "data.json").unlink()
    if damage:
        (tmp_path / "run" / "data.json").write_text(damage)
    capsys.readouterr()
    assert baryir(*asked, "--steps", 2, "--resume") == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("baryir: run/data.json is damaged" if damage else "baryir: run does")
    assert said.endswith("; give --data, --clean or --single as at the start")
    assert baryir(*asked, "--clean", clean, "--steps", 2, "--resume") == 0


@pytest.mark.parametrize("damage", [None, '{"a": '])
def test_resuming_without_the_recipe_asks_for_one(
    baryir: Run, clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture, damage: str | None
) -> None:
    run = tmp_path / "run"
    asked = ("train", "--sources", "denoise", "--clean", clean, *TOY, "--out", run)
    assert baryir(*asked, "--steps", 1) == 0
    (run / "recipe.json").unlink()
    if damage:
        (run / "recipe.json").write_text(damage)
    capsys.readouterr()
    assert baryir("train", "--clean", clean, "--out", run, "--resume") == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"baryir: {run / 'recipe.json'}")
    if damage is None:
        assert "give the --recipe or --config" in said
    assert baryir(*asked, "--recipe", "paper", "--steps", 2, "--resume") == 0


ENDS: list[tuple[BaseException, int, str]] = [
    (KeyboardInterrupt(), 130, "interrupted; "),
    (RuntimeError("CUDA out of memory. Tried"), 1, "out of memory: use a smaller --batch"),
    (RuntimeError("DataLoader worker (pid 9) is killed"), 1, "a process that makes patches was"),
]


@pytest.mark.parametrize(("error", "code", "message"), ENDS)
def test_a_run_that_ends_too_early_says_what_is_left(
    baryir: Run,
    clean: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    error: BaseException,
    code: int,
    message: str,
) -> None:
    genuine = Trainer.train_step

    def step(self: Trainer, batches: Any) -> Any:
        if self.step == ends:
            raise error
        return genuine(self, batches)

    monkeypatch.setattr(Trainer, "train_step", step)
    run = tmp_path / "run"
    asked = ("train", "--sources", "denoise", "--clean", clean, *TOY, "--out", run, "--steps", 4)

    def last_line() -> str:
        return capsys.readouterr().err.splitlines()[-1]

    ends = 1
    assert baryir(*asked, "--checkpoint-every", 2) == code
    assert last_line().startswith(f"baryir: {message}")
    assert baryir(*asked) == 2
    assert last_line() == f"baryir: {run} holds a run: --overwrite replaces it"
    ends = 3
    assert baryir(*asked, "--checkpoint-every", 2, "--overwrite") == code
    assert last_line().endswith(f"--resume continues from {run / 'checkpoints' / '00000002'}")
    assert baryir(*asked) == 2
    assert last_line().endswith("--resume continues it, --overwrite replaces it")


def test_a_killed_loader_is_one_line(
    baryir: Run,
    clean: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.setattr(Patches, "__getitem__", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    asked = ("--sources", "denoise", "--clean", clean, *TOY, "--holdout", 0, "--steps", 1)
    assert baryir("train", *asked, "--workers", 1, "--out", tmp_path / "run") == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("baryir: a process that makes patches was killed; there is no")


def test_an_unusable_image_that_is_held_out_is_named(
    baryir: Run, clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    held = sorted(hold_out([p.stem for p in clean.iterdir()], 0.5))
    assert len(held) > 1
    (clean / f"{held[0]}.png").write_bytes(b"cut")
    asked = ("--sources", "denoise", "--clean", clean, *TOY, "--holdout", 0.5, "--steps", 1)
    assert baryir("train", *asked, "--out", tmp_path / "run") == 0
    said = capsys.readouterr().err
    assert said.count(f"{held[0]}.png is not an image") == 1
    assert "unusable images skipped: 1\n" in said


def test_training_continues_without_usable_images_to_validate_with(
    baryir: Run, clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (held,) = hold_out([p.stem for p in clean.iterdir()], 0.04)
    (clean / f"{held}.png").write_bytes(b"cut")
    asked = ("--sources", "denoise", "--clean", clean, *TOY, "--holdout", 0.04, "--steps", 1)
    assert baryir("train", *asked, "--out", tmp_path / "run") == 0
    assert f"{held}.png is not an image" in capsys.readouterr().err
    assert not (tmp_path / "run" / "samples").exists()


def test_missing_tensorboard_is_noticed_before_anything_is_written(
    baryir: Run,
    clean: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    asked = ("--sources", "denoise", "--clean", clean, *TOY, "--steps", 1, "--tensorboard")
    assert baryir("train", *asked, "--out", tmp_path / "run") == 1
    assert "--tensorboard needs TensorBoard" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_defaults_in_the_help_are_those_of_the_recipe() -> None:
    recipe = Recipe.load(shipped()["paper"])
    options = get_type_hints(command, include_extras=True)
    said = {}
    for name, hint in options.items():
        text = getattr(getattr(hint, "__metadata__", [None])[0], "help", None) or ""
        if found := re.search(r"\\\[default: (.*)]$", text):
            said[name] = found[1]
    (stage,) = recipe.stages
    values = recipe.to_dict() | {
        "sources": list(recipe.sources),
        "batch": stage.batch,
        "patch": stage.patch,
        "lr": recipe.learning_rate,
        "potentials_lr": recipe.potentials_rate,
        "compile": "compile" if recipe.compile else "no-compile",
        "holdout": DataFolders().holdout,
    }

    def words(value: Any) -> str:
        if isinstance(value, (list, tuple)):
            return " ".join(map(words, value))
        return f"{value}" if isinstance(value, (str, int)) else f"{value:g}"

    assert said == {name: words(values[name]) for name in said}
    assert len(said) > 20


@pytest.mark.parametrize("width", [40, 60, 80])
def test_the_panel_cuts_no_number(width: int) -> None:
    console = Console(width=width, file=io.StringIO(), force_terminal=True, color_system=None)
    display = TrainingDisplay(console, 0, 300000)
    entry = {name: -1234.5 - i for i, name in enumerate(LOSSES)}
    display.update(1, {"step": 1, "l1_source": {"denoise": 0.1}} | entry)
    with console.capture() as shown:
        console.print(display._panel())
    for name, value in entry.items():
        assert name in shown.get()
        assert f"{value:.4g}" in shown.get()


def test_the_panel_tells_the_time_left_of_slow_steps() -> None:
    now = [0.0]
    console = Console(width=80, file=io.StringIO(), force_terminal=True, get_time=lambda: now[0])
    display = TrainingDisplay(console, 500, 1000)
    for step in (501, 502, 503):
        now[0] += 100
        display.update(step, None)
    with console.capture() as shown:
        console.print(display._panel())
    assert "0:05:00 13:48:20 left" in re.sub(r"\x1b\[[0-9;]*m", "", shown.get())


@pytest.mark.parametrize("width", [40, 66, 80])
def test_the_panels_bar_fits_its_terminal(width: int) -> None:
    now = [0.0]
    console = Console(width=width, file=io.StringIO(), force_terminal=True, get_time=lambda: now[0])
    display = TrainingDisplay(console, 0, 300000)
    for step in range(123450, 123457):
        now[0] += 1
        display.update(step, {"step": step, "patches_per_second": 1234.56})
    with console.capture() as shown:
        console.print(display._panel())
    *_, line = re.sub(r"\x1b\[[0-9;]*m", "", shown.get()).splitlines()
    assert len(line) <= width
    assert "123456/300000" in line
    assert re.search(r"\d:\d\d:\d\d( left)?$", line.strip()), "the time left"


def test_a_terminal_without_bars_gets_lines() -> None:
    terminal = io.StringIO()
    console = Console(file=terminal, force_terminal=True, _environ={"TERM": "dumb"})
    with TrainingDisplay(console, 0, 300000) as display:
        display.began -= 10
        display.update(1, None)
        display.update(2, None)
        display.update(3, {"step": 3})
    first, third = terminal.getvalue().splitlines()
    assert first == "step 1/300000  10 s a step, 35 days left"
    assert third.startswith("step 3/300000  ")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (2, "less than a minute"),
        (30, "1 minute"),
        (59, "1 minute"),
        (3540, "59 minutes"),
        (5400, "2 hours"),
        (86400 * 2.6, "3 days"),
    ],
)
def test_durations_are_rounded_to_one_unit(seconds: float, said: str) -> None:
    assert roughly(seconds) == said
