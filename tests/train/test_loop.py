"""The loop: a resumed run equals an uninterrupted one, and a diverged one is not kept."""

from __future__ import annotations

import json
import os
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from train import checkpoint, loop
from train.checkpoint import CheckpointError
from train.curves import draw
from train.data_folders import HOLDOUT, DataFolders
from train.parts import Window
from train.recipe import Recipe, RecipeError, SourceRecipe, Stage
from train.record import DivergedError, Rhythm
from train.run import Run, RunError
from train.sources import Batch, Patches, gather
from train.trainer import Trainer
from train.validation import Validation

RECIPE = Recipe(
    optimiser="adamw",
    schedule="cosine",
    preset="tiny",
    steps=10,
    sources={"denoise": SourceRecipe(0.6, 2.0), "derain": SourceRecipe(0.4, 1.0, 0.5)},
    stages=(Stage(0.7, 16, 4), Stage(0.3, 24, 2)),
    warm_up=2,
)
RHYTHM = Rhythm(log=5, checkpoint=500, keep=3)


class Stop(Exception):  # noqa: N818 (not an error: the run is interrupted)
    pass


def follow(
    data: Path, folder: Path, recipe: Recipe = RECIPE, *, validate: bool = False, **rhythm: int
) -> Trainer:
    """Trains to the end, from the last checkpoint if there is one."""
    sources = gather(recipe, data)
    trainer, run = Trainer(recipe, sources), Run(folder)
    folder.mkdir(exist_ok=True)
    if last := run.last_checkpoint():
        changes = checkpoint.load(last, trainer)
        run.go_on(recipe, DataFolders(), trainer.step, changes)
    validation = Validation(sources, recipe.config(), size=32, each=2) if validate else None
    loop.train(trainer, sources, validation, run, replace(RHYTHM, **rhythm), workers=0)
    return trainer


def everything(trainer: Trainer) -> dict[str, Any]:
    modules = {"network": trainer.network, "average": trainer.average}
    return trainer.state() | {name: dict(m.state_dict()) for name, m in modules.items()}


def interrupt_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills the run at the start of the step after ``steps``."""
    genuine = Trainer.train_step

    def step(self: Trainer, *batch: Any) -> Any:
        if self.step == steps:
            raise Stop
        return genuine(self, *batch)

    monkeypatch.setattr(Trainer, "train_step", step)


def assert_equal(a: Any, b: Any, where: str = "state") -> None:
    if isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_equal(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_equal(x, y, f"{where}.{i}")
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    else:
        assert a == b, where


def test_patches_per_second_leave_out_the_validation(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    def taking(seconds: float, genuine: Any) -> Any:
        def call(*arguments: Any) -> Any:
            nonlocal now
            now += seconds
            return genuine(*arguments)

        return call

    monkeypatch.setattr("time.perf_counter", lambda: now)
    monkeypatch.setattr(Trainer, "train_step", taking(1, Trainer.train_step))
    monkeypatch.setattr(Validation, "psnr", taking(1000, Validation.psnr))
    follow(data, tmp_path / "run", validate=True, checkpoint=3)
    rates = [e.get("patches_per_second") for e in Run(tmp_path / "run").entries()]
    # Seven steps of four patches, three of two.
    assert [rate for rate in rates if rate] == [4.0, 2.8]


VARIANTS = {
    "paper": RECIPE,
    "reference": replace(RECIPE, objective="reference", optimiser="rmsprop", fresh_latents=True),
    "accumulated": replace(RECIPE, accumulate=2, schedule="step", weights="inverse"),
    "bf16": replace(RECIPE, precision="bf16"),
    "plain": replace(RECIPE, losses=()),
}


def test_bf16_is_not_used_where_it_is_slower(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: False)
    monkeypatch.setattr("models.hardware._made_by_intel", lambda: False)
    for multiplies, precision in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: multiplies)  # noqa: B023
        recipe = replace(VARIANTS["bf16"], steps=1)
        assert follow(data, tmp_path / precision, recipe).precision == precision


# 5 is in the first stage, 7 is its last step, 8 is in the second.
@pytest.mark.parametrize(
    ("variant", "steps"),
    [("paper", 5), ("paper", 7), ("paper", 8), ("reference", 5), ("accumulated", 5), ("bf16", 5)],
)
def test_a_resumed_run_equals_an_uninterrupted_one(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variant: str, steps: int
) -> None:
    recipe = VARIANTS[variant]
    whole = everything(follow(data, tmp_path / "whole", recipe))
    with monkeypatch.context() as patch:
        interrupt_after(steps, patch)
        with pytest.raises(Stop):
            follow(data, tmp_path / "parts", recipe, checkpoint=steps)
    torch.manual_seed(99)
    assert_equal(whole, everything(follow(data, tmp_path / "parts", recipe)))


def test_a_stop_in_the_last_step_comes_too_late(data: Path, tmp_path: Path) -> None:
    recipe = replace(RECIPE, steps=2)
    sources = gather(recipe, data)
    for steps in (1, 2):
        trainer, run = Trainer(recipe, sources), Run(tmp_path / str(steps))
        run.path.mkdir()

        def wanted(trainer: Trainer = trainer, steps: int = steps) -> bool:
            return trainer.step == steps

        with pytest.raises(KeyboardInterrupt) if steps < 2 else nullcontext():
            loop.train(trainer, sources, None, run, RHYTHM, stop=wanted, workers=0)
        assert trainer.step == steps


@pytest.mark.parametrize("variant", VARIANTS)
def test_everything_learns(data: Path, tmp_path: Path, variant: str) -> None:
    recipe = VARIANTS[variant]
    trainer = follow(data, tmp_path / "run", recipe)
    entries = Run(tmp_path / "run").entries()
    assert [e["step"] for e in entries] == [5, 10]
    assert set(entries[-1]["l1_source"]) == set(RECIPE.sources)
    fresh = Trainer(recipe, gather(recipe, data))
    parts = {
        "network": (fresh.network, trainer.network),
        "average": (fresh.average, trainer.average),
    }
    if recipe.losses:
        parts["potentials"] = (fresh.objective.potentials, trainer.objective.potentials)
    for name, (before, after) in parts.items():
        pairs = zip(before.named_parameters(), after.parameters(), strict=True)
        same = [n for (n, p), q in pairs if torch.equal(p, q)]
        # Congruence cancels the constant of every critic.
        assert not [n for n in same if n != "features.7.bias"], name


def test_the_log_of_a_resumed_run_has_every_step_once(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    follow(data, run, replace(RECIPE, steps=6), log=2, checkpoint=4)
    (run / "checkpoints" / "00000006").rename(run / "checkpoints" / "gone")
    follow(data, run, log=2)
    entries = Run(run).entries()
    assert [e["step"] for e in entries if "rate" in e] == [2, 4, 6, 8, 10]
    assert [e for e in entries if "rate" not in e] == [{"step": 4, "changes": ["steps 6 -> 10"]}]


def test_validation_writes_samples_and_curves(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("train.curves.draw", draw)
    run = tmp_path / "run"
    follow(data, run, validate=True, checkpoint=5)
    psnr = [e["psnr"] for e in Run(run).entries()]
    assert all(set(p) == set(RECIPE.sources) for p in psnr)
    assert psnr[0] != psnr[1]
    assert sorted(p.name for p in (run / "samples").iterdir()) == ["00000005.png", "00000010.png"]
    assert (run / "curves.png").stat().st_size > 1000


def test_only_the_last_checkpoints_are_kept(data: Path, tmp_path: Path) -> None:
    follow(data, tmp_path / "run", checkpoint=2, keep=2)
    kept = checkpoint.checkpoints(tmp_path / "run")
    assert [p.name for p in kept] == ["00000008", "00000010"]


def test_the_last_checkpoint_is_that_of_the_most_steps(tmp_path: Path) -> None:
    for name in ("100000000", "00000500", "99999999", "100000500.part", "mine"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    found = [p.name for p in checkpoint.checkpoints(tmp_path)]
    assert found == ["00000500", "99999999", "100000000"]


def spoil(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Makes the L1 of one step NaN."""
    genuine = Trainer.train_step

    def step(self: Trainer, batches: Any) -> Any:
        factor = float("nan") if self.step == at else 1.0
        return genuine(self, [b._replace(degraded=b.degraded * factor) for b in batches])

    monkeypatch.setattr(Trainer, "train_step", step)


def test_a_nan_loss_ends_the_run(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, 0)
    with pytest.raises(DivergedError, match="step 5; last good checkpoint: none"):
        follow(data, tmp_path / "run")


def test_nan_never_reaches_the_checkpoint(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, 3)
    # The log at step 10 would come too late for the checkpoint at step 4.
    with pytest.raises(DivergedError, match=r"step 4; last good checkpoint: .*00000002"):
        follow(data, tmp_path / "run", log=10, checkpoint=2)
    assert [p.name for p in checkpoint.checkpoints(tmp_path / "run")] == ["00000002"]


OTHERS: list[tuple[Recipe, str]] = [
    (replace(RECIPE, network={"width": 16}), r"began with another network \(width\): 8, not 16"),
    (
        replace(RECIPE, sources={"denoise": SourceRecipe(1.0)}),
        r"another list of sources: \[denoise, derain\], not \[denoise\]",
    ),
    (replace(RECIPE, optimiser="rmsprop"), "began with another optimiser: adamw, not rmsprop"),
]


def test_a_different_run_is_not_continued(data: Path, tmp_path: Path) -> None:
    follow(data, tmp_path / "run", replace(RECIPE, steps=1))
    for recipe, message in OTHERS:
        with pytest.raises(RecipeError, match=message):
            follow(data, tmp_path / "run", recipe)


def test_the_margin_may_change(data: Path, tmp_path: Path) -> None:
    follow(data, tmp_path / "run", replace(RECIPE, steps=1))
    wider = replace(RECIPE, steps=2, network={"margin": RECIPE.config().margin + 8})
    assert follow(data, tmp_path / "run", wider).step == 2


def test_a_run_is_not_overwritten_unasked(data: Path, tmp_path: Path) -> None:
    follow(data, tmp_path / "run", replace(RECIPE, steps=1))
    (tmp_path / "run" / "notes.txt").touch()
    run = Run(tmp_path / "run")
    run.go_on(RECIPE, DataFolders(), 1, [])
    with pytest.raises(RunError, match="--resume continues it, --overwrite replaces it"):
        run.begin(RECIPE, DataFolders(), overwrite=False)
    run.begin(RECIPE, DataFolders(data), overwrite=True)
    assert run.last_checkpoint() is None
    assert run.folders() == DataFolders(), "the old run's"
    run.make_room()
    assert run.last_checkpoint() is None
    assert sorted(p.name for p in run.path.iterdir()) == ["data.json", "notes.txt", "recipe.json"]
    assert run.folders() == DataFolders(data)
    assert Recipe.from_dict(json.loads((run.path / "recipe.json").read_text())) == RECIPE


@pytest.mark.parametrize(
    "broken", [b"\xff\xfe", b"\0\0\0\0", b'{"step": 2, "psnr": 3', b"[]", b"[" * 100000]
)
def test_broken_lines_of_the_log_are_skipped(tmp_path: Path, broken: bytes) -> None:
    whole = [{"step": 1, "psnr": 2.0}, {"step": 3, "psnr": 4.0}]
    first, last = (json.dumps(entry).encode() for entry in whole)
    (tmp_path / "log.jsonl").write_bytes(b"\n".join([first, broken, last, b""]))
    assert Run(tmp_path).entries() == whole


def test_a_recipe_nested_too_deeply_marks_no_run(tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text("[" * 100000)
    with pytest.raises(RunError, match="is not a run's folder"):
        Run(tmp_path).begin(RECIPE, DataFolders(), overwrite=True)


def test_a_run_that_did_not_note_its_share_has_the_usual_one(tmp_path: Path) -> None:
    folders = DataFolders(tmp_path / "a", (tmp_path / "b",), holdout=0.2)
    noted = json.loads(folders.to_json())
    del noted["holdout"]
    (tmp_path / "data.json").write_text(json.dumps(noted))
    assert Run(tmp_path).folders() == replace(folders, holdout=HOLDOUT)


def test_a_run_killed_while_it_overwrites_another_leaves_no_mixture(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the old run's checkpoint of the same step, and of its log, nothing is left."""
    trainer = follow(data, tmp_path / "run", replace(RECIPE, steps=1))
    run = Run(tmp_path / "run")
    run.go_on(RECIPE, DataFolders(), 1, [])
    run.begin(replace(RECIPE, steps=1, seed=5), DataFolders(), overwrite=True)
    before = run.path / "checkpoints" / "00000001"
    there: list[bool] = []

    def kill(path: Path, *_args: object, **_named: object) -> None:
        there.append(before.exists())
        raise KeyboardInterrupt

    def save() -> None:
        checkpoint.save(run.path, trainer, 1, run.make_room)

    with monkeypatch.context() as patched:
        patched.setattr("train.checkpoint.provenance", kill)
        with pytest.raises(KeyboardInterrupt):
            save()
    assert there == [True], "the old run stays until the new checkpoint is complete"
    with monkeypatch.context() as patched:
        patched.setattr("train.checkpoint.shutil.rmtree", kill)
        with pytest.raises(KeyboardInterrupt):
            save()
    assert json.loads(run.recipe_file.read_text())["seed"] == 5
    assert run.last_checkpoint() is None


def test_half_written_checkpoints_of_a_killed_run_are_removed(data: Path, tmp_path: Path) -> None:
    left = tmp_path / "run" / "checkpoints" / "00000099.part"
    left.mkdir(parents=True)
    follow(data, tmp_path / "run", replace(RECIPE, steps=1))
    assert [path.name for path in left.parent.iterdir()] == ["00000001"]


def test_a_log_of_another_shape_is_drawn_as_far_as_it_can_be(tmp_path: Path) -> None:
    odd: list[dict[str, Any]] = [
        {"step": 1, "psnr": 3, "psnr_input": None, "l1_source": [1]},
        {"step": 2, "l1_source": {"denoise": [1, 2], "derain": "low", "dehaze": 0.5}},
        {"step": 3, "map": {}, "potentials": 10**400},
        {"step": 10**400, "map": 1.0, "psnr": {"denoise": 30.0}},
    ]
    draw(odd, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 1000


@pytest.mark.parametrize("name", ["state.pt", "network.safetensors", "average.safetensors"])
def test_a_damaged_checkpoint_is_named(data: Path, tmp_path: Path, name: str) -> None:
    run = tmp_path / "run"
    follow(data, run, replace(RECIPE, steps=1))
    file = run / "checkpoints" / "00000001" / name
    for content in (file.read_bytes()[:1000], b"", b"text"):
        file.write_bytes(content)
        with pytest.raises(CheckpointError, match=name) as caught:
            follow(data, run)
        assert "\n" not in str(caught.value)


def test_a_file_that_is_not_a_training_state_is_refused(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    follow(data, run, replace(RECIPE, steps=1))
    file = run / "checkpoints" / "00000001" / "state.pt"
    state = torch.load(file, weights_only=True)
    others = ({}, [1, 2], {"recipe": state["recipe"]}, state | {"optimiser": {"state": 3}})
    for other in others:
        torch.save(other, file)
        with pytest.raises(CheckpointError, match="state.pt is damaged or not a training state"):
            follow(data, run)


def test_a_checkpoint_is_complete_or_absent(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    run = tmp_path / "run"
    trainer = follow(data, run, replace(RECIPE, steps=1))
    monkeypatch.setattr("torch.save", full)
    trainer.step = 2
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(run, trainer, keep=1)
    assert [p.name for p in (run / "checkpoints").iterdir()] == ["00000001"]


def test_epochs_are_counted_in_steps() -> None:
    # Mean batch 3.4, so 100 images are 29 steps.
    assert RECIPE.steps_of(1, 100) == 29
    assert replace(RECIPE, accumulate=2).steps_of(1, 100) == 15
    assert RECIPE.steps_of(0.001, 10) == 1


def test_a_resumed_run_uses_its_changed_recipe(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    follow(data, run, replace(RECIPE, steps=1))
    trainer = follow(data, run, replace(RECIPE, steps=2, precision="fp16", weight_decay=0.3))
    assert trainer.scaler.is_enabled()
    assert [group["weight_decay"] for group in trainer.optimiser.param_groups] == [0.3]
    follow(data, run, replace(RECIPE, steps=3))


@pytest.mark.parametrize("name", ["recipe.json", "log.jsonl"])
def test_a_kill_while_resuming_loses_nothing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    run = tmp_path / "run"
    follow(data, run, replace(RECIPE, steps=1))
    Run(run).go_on(RECIPE, DataFolders(), 1, [])
    before = (run / name).read_bytes()
    genuine = os.replace

    def kill(source: Any, target: Any) -> None:
        if Path(target).name == name:
            raise Stop
        genuine(source, target)

    monkeypatch.setattr("os.replace", kill)
    with pytest.raises(Stop):
        Run(run).go_on(RECIPE, DataFolders(), 0, [])
    assert (run / name).read_bytes() == before


def test_a_state_that_does_not_fit_the_disk_is_named(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0")

    monkeypatch.setattr("torch.save", full)
    with pytest.raises(CheckpointError, match="state.pt could not be written completely"):
        follow(data, tmp_path / "run")
    assert not list((tmp_path / "run" / "checkpoints").iterdir())


JUDGED = replace(
    RECIPE,
    preset="small",
    network={"width": 8, "blocks": (1, 1, 1), "heads": (1, 1, 2), "map_blocks": 1, "scene": 32},
    stages=(Stage(1.0, 16, 4, 32),),
    weight_decay=0.1,
    steps=3,
)


@pytest.mark.parametrize("optimiser", ["muon", "adamw", "rmsprop"])
@pytest.mark.parametrize(
    ("frozen", "others"),
    [(("judge",), ("encoder", "decoder")), (("encoder", "stage", "decoder", "head"), ("judge",))],
)
def test_frozen_parts_stay_and_others_learn(
    data: Path, tmp_path: Path, frozen: Any, others: Any, optimiser: Any
) -> None:
    losses: Any = () if "stage" in frozen else ("mwb", "irc", "bro")
    recipe = replace(JUDGED, frozen=frozen, losses=losses, optimiser=optimiser)
    before = Trainer(recipe, gather(recipe, data)).network.state_dict()
    after = follow(data, tmp_path / "run", recipe)
    for network in (after.network.state_dict(), after.average.state_dict()):
        for name, value in network.items():
            if name.startswith(frozen):
                assert torch.equal(value, before[name]), name
        for part in others:
            assert any(
                not torch.equal(value, before[name])
                for name, value in network.items()
                if name.startswith(part)
            ), part


@pytest.mark.parametrize("pixel_loss", ["l1", "psnr"])
def test_the_total_adds_up_the_weighted_losses(data: Path, tmp_path: Path, pixel_loss: Any) -> None:
    recipe = replace(JUDGED, pixel_loss=pixel_loss, pixel_weight=3.0, map_weight=0.5)
    follow(data, tmp_path / "run", recipe)
    (entry,) = [e for e in Run(tmp_path / "run").entries() if "total" in e]
    pixels = entry["psnr_loss" if pixel_loss == "psnr" else "l1"]
    expected = 3 * (pixels + entry["scene"]) + 0.5 * entry["map"]
    assert entry["total"] == pytest.approx(expected, rel=1e-5)


def drawn(recipe: Recipe, data: Path) -> Batch:
    """Some samples for a network with a judge."""
    sources = gather(recipe, data)
    patches = Patches(sources, [1.0] * len(sources), Window(16, scene=32, picture=32), seed=3)
    batch = Batch(*map(torch.stack, zip(*(patches[i] for i in range(8)), strict=True)))
    return batch.ready(torch.device("cpu"))


def test_fresh_latents_have_the_tone_of_the_same_samples(data: Path) -> None:
    half = {name: replace(source, toneless=0.5) for name, source in JUDGED.sources.items()}
    recipe = replace(JUDGED, sources=half, fresh_latents=True, accumulate=2)
    trainer = Trainer(recipe, gather(recipe, data))
    genuine, toned = trainer.forward, []

    def forward(*arguments: Any) -> Any:
        toned.append(arguments[-1])
        return genuine(*arguments)

    trainer.forward = forward
    trainer.train_step([drawn(recipe, data)] * 2)
    first, second, *again = toned
    assert not torch.equal(first, second)
    assert_equal(again, [first, second])


def test_toneless_patches_are_restored_without_their_tone(data: Path) -> None:
    """Their scenes are still judged."""
    names = list(JUDGED.sources)
    toneless = replace(JUDGED.sources[names[0]], toneless=1.0)
    trainers = []
    for recipe in (JUDGED, replace(JUDGED, sources=JUDGED.sources | {names[0]: toneless})):
        trainer = Trainer(recipe, gather(recipe, data))
        assert trainer.network.judge is not None
        for parameter in trainer.network.judge.tone[-1].parameters():
            torch.nn.init.constant_(parameter, 0.1)
        trainers.append(trainer)
    batch = drawn(JUDGED, data)
    usual, without = (trainer.train_step([batch]) for trainer in trainers)
    assert usual["scene"] == without["scene"] != 0
    changed = usual["error"] != without["error"]
    assert torch.equal(changed, batch.source == 0)
    assert changed.any()
    assert not changed.all()
    with torch.no_grad():
        nothing = torch.zeros(8, 6, 4, 1, 1)
        fresh = Trainer(JUDGED, gather(JUDGED, data)).network
        correction = fresh.with_tone(batch.degraded, nothing, batch.place).correction
    error = (batch.degraded + correction - batch.target).abs().flatten(1).mean(1)
    torch.testing.assert_close(without["error"][changed], error[changed])


@pytest.mark.parametrize("pixel_loss", ["l1", "psnr"])
def test_scenes_are_judged_by_the_square_or_by_the_decibel(data: Path, pixel_loss: Any) -> None:
    """A new judge changes nothing, so its first loss is that of the unchanged scenes."""
    recipe = replace(JUDGED, pixel_loss=pixel_loss)
    trainer, batch = Trainer(recipe, gather(recipe, data)), drawn(recipe, data)
    squares = (batch.scene - batch.scene_target).square().flatten(1).mean(1)
    by_decibel = 0.5 * (squares / 10 ** (-31 / 10) + 1).log()
    expected = squares if pixel_loss == "l1" else by_decibel
    terms = trainer.train_step([batch])
    assert float(terms["scene"]) == pytest.approx(float(expected.mean()), rel=1e-5)


def test_a_missing_part_cannot_be_frozen(data: Path) -> None:
    recipe = replace(RECIPE, frozen=("judge",))
    with pytest.raises(RecipeError, match="judge cannot be frozen: this network has none"):
        Trainer(recipe, gather(recipe, data))
    recipe = replace(RECIPE, frozen=("encoder", "stage", "decoder", "head"))
    with pytest.raises(RecipeError, match="nothing is left to learn"):
        Trainer(recipe, gather(recipe, data))


@pytest.mark.parametrize("unshuffle", [3, 8])
def test_validation_patches_fit_the_network(data: Path, unshuffle: int) -> None:
    network = {"unshuffle": unshuffle}
    multiple = 8 * unshuffle
    recipe = replace(RECIPE, network=network, stages=(Stage(1.0, multiple, 1),))
    trainer = Trainer(recipe, gather(recipe, data))
    validation = Validation(gather(recipe, data), recipe.config(), each=2)
    assert set(validation.psnr(trainer.average)) == set(RECIPE.sources)
