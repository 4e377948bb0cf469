"""The loop: a resumed run is the run, and a spoilt one is not kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from train import checkpoint, loop
from train.checkpoint import CheckpointError
from train.loop import DivergedError, Trainer, train
from train.recipe import Recipe, RecipeError, SourceRecipe, Stage
from train.sources import gather

RECIPE = Recipe(
    preset="tiny",
    steps=10,
    sources={"denoise": SourceRecipe(0.6, 2.0), "derain": SourceRecipe(0.4, 1.0, 0.5)},
    stages=(Stage(0.7, 16, 3), Stage(0.3, 24, 2)),
    warm_up=2,
)


class Stop(Exception):  # noqa: N818 (not an error: the run is interrupted)
    pass


def follow(data: Path, run: Path, recipe: Recipe = RECIPE, **options: Any) -> Trainer:
    settings: dict[str, Any] = {"log": lambda _: None, "workers": 0, "log_every": 5}
    return train(recipe, data, run, **(settings | options))


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


# 5 is within the first stage, 7 is its last step, 8 within the second.
@pytest.mark.parametrize("steps", [5, 7, 8])
def test_resumed_run_is_the_run(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    whole = follow(data, tmp_path / "whole").state()
    with monkeypatch.context() as patch:
        interrupt_after(steps, patch)
        with pytest.raises(Stop):
            follow(data, tmp_path / "parts", checkpoint_every=steps)
    torch.manual_seed(99)
    parts = follow(data, tmp_path / "parts").state()
    for name in ("step", "network", "average", "potentials", "optimiser", "potentials_optimiser"):
        assert_equal(whole[name], parts[name], name)


def test_everything_learns(data: Path, tmp_path: Path) -> None:
    entries: list[dict[str, Any]] = []
    trainer = follow(data, tmp_path / "run", log=entries.append)
    assert [e["step"] for e in entries] == [5, 10]
    assert set(entries[-1]["l1_source"]) <= set(RECIPE.sources)
    fresh = Trainer(RECIPE, trainer.sources)
    for name in ("network", "average", "potentials"):
        pairs = zip(
            getattr(fresh, name).named_parameters(),
            getattr(trainer, name).parameters(),
            strict=True,
        )
        same = [n for (n, p), q in pairs if torch.equal(p, q)]
        # The free constant of every critic is the gauge that congruence takes out.
        assert not [n for n in same if n != "features.7.bias"], name


def spoil(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Makes the L1 of one step NaN."""
    genuine = Trainer.train_step

    def step(self: Trainer, degraded: Any, target: Any, source: Any) -> Any:
        factor = float("nan") if self.step == at else 1.0
        return genuine(self, degraded * factor, target, source)

    monkeypatch.setattr(Trainer, "train_step", step)


def test_nan_loss(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch, 0)
    with pytest.raises(DivergedError, match="step 5; last good checkpoint: none"):
        follow(data, tmp_path / "run")


def test_nan_never_reaches_the_checkpoint(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, 3)
    run = tmp_path / "run"
    # The log, at 10 and no sooner, would come too late for the checkpoint at 4.
    with pytest.raises(DivergedError, match=r"step 4; last good checkpoint: .*last\.pt"):
        follow(data, run, log_every=10, checkpoint_every=2)
    state = checkpoint.load(run / "last.pt")
    assert state["step"] == 2
    assert all(t.isfinite().all() for t in state["network"].values())


def test_other_run_in_the_folder(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    follow(data, run, replace(RECIPE, steps=1))
    with pytest.raises(RecipeError, match="begun with preset tiny, not small"):
        follow(data, run, replace(RECIPE, preset="small"))
    with pytest.raises(RecipeError, match="begun with sources denoise, derain"):
        follow(data, run, replace(RECIPE, sources={"denoise": SourceRecipe(1.0)}))


def test_damaged_checkpoint(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    follow(data, run, replace(RECIPE, steps=1))
    last = run / "last.pt"
    for content in (last.read_bytes()[:1000], b"", b"text"):
        last.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"last\.pt is damaged"):
            follow(data, run)


def test_checkpoint_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "last.pt"
    checkpoint.save(path, {"step": 1})
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(path, {"step": 2})
    assert checkpoint.load(path) == {"step": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_learning_rate(data: Path) -> None:
    trainer = Trainer(RECIPE, gather(list(RECIPE.sources), data))
    rates = []
    for trainer.step in range(11):
        rates.append(trainer.learning_rate() / RECIPE.learning_rate)
    assert rates[:3] == pytest.approx([0.5, 1, 1])
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[10] == pytest.approx(0.01)


def test_with_steps() -> None:
    assert loop.with_steps(RECIPE, None) is RECIPE
    assert loop.with_steps(RECIPE, 3).steps == 3
