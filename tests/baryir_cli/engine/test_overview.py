"""Tiles are corrected to agree with an overview of the whole image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from baryir_cli.engine import Engine
from baryir_cli.engine.capacity import Capacity
from baryir_cli.engine.overview import Overview, shrunk
from models.network import Restoration
from models.presets import preset
from models.scene import Scene, SceneJudge


def ramp(height: int, width: int) -> Tensor:
    """From 0 to 1, rightwards in red and downwards in green; 0.5 in blue."""
    down = (torch.arange(height)[:, None] + 0.5) / height
    right = (torch.arange(width)[None] + 0.5) / width
    both = torch.broadcast_tensors(right, down, torch.tensor(0.5))
    return torch.stack(both)


@pytest.mark.parametrize("turned", [False, True])
def test_a_tile_takes_the_values_of_its_place_in_the_overview(turned: bool) -> None:
    overview, wanted = Overview(ramp(60, 100), (600, 1000)), ramp(600, 1000)
    if turned:
        overview, wanted = overview.turned(), wanted.transpose(1, 2)
    rows, columns = slice(160, 400), slice(320, 560)
    held = overview.hold(torch.zeros(1, 3, 240, 240), rows, columns)[0]
    difference = (held - wanted[:, rows, columns])[:, 40:-40, 40:-40]
    assert difference.abs().max() < 0.01


def test_tiles_keep_small_differences_and_details() -> None:
    overview = Overview(torch.zeros(3, 50, 50), (500, 500))
    noise = torch.randn(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    held = overview.hold(noise * 0.1, slice(0, 256), slice(128, 384))
    assert (held - noise * 0.1).abs().max() < 0.01
    off = overview.hold(noise * 0.1 + 0.2, slice(0, 256), slice(128, 384))
    assert (off - noise * 0.1).abs().mean() < 0.01


@pytest.mark.parametrize("size", [(900, 1200), (40, 90_000), (90_000, 40), (3, 500_000)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_an_overview_is_no_larger_than_a_tile(size: tuple[int, int], kind: type) -> None:
    small = shrunk(np.ones((*size, 3), kind), 256)
    assert small.dtype == kind
    assert max(small.shape[:2]) <= 512
    assert small.shape[0] * small.shape[1] <= 1.05 * 256**2
    np.testing.assert_allclose(small, 1, rtol=1e-4)


class Judge(torch.nn.Module):
    """A stand-in for a network: brightens an image by 0.2 if it is dark on average."""

    def __init__(self) -> None:
        super().__init__()
        self.config = preset("tiny")
        self.judge: torch.nn.Module | None = None
        self.finish = None
        self.value = torch.nn.Parameter(torch.tensor(0.2))
        self.calls = 0

    def forward(self, image: Tensor, _: Scene | None = None) -> Restoration:
        self.calls += 1
        dark = image.mean((1, 2, 3), keepdim=True) < 0.3
        return Restoration(self.value * dark * torch.ones_like(image), None)  # type: ignore[arg-type]

    def with_tone(self, image: Tensor, _tone: Tensor, _place: Tensor) -> Restoration:
        return self(image)


@pytest.mark.parametrize("size", [(300, 900), (900, 300)])
def test_tiles_that_judge_differently_show_no_seam(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Capacity, "largest_tile", lambda *_: 192)
    pixels = np.full((*size, 3), 0.1, np.float32)
    pixels[-300:, -300:] = 0.5
    judge = Judge()
    engine = Engine(judge, device="cpu", precision="fp32")  # type: ignore[arg-type]
    restored, report = engine.restore(pixels)
    assert report.tiles > 4
    assert judge.calls == report.tiles + 1
    # The whole is dark, so all of it is brightened, even the bright end.
    np.testing.assert_allclose(restored - pixels, 0.2, atol=0.01)


@pytest.mark.parametrize("size", [(300, 900), (900, 300)])
def test_tiles_of_a_toned_photograph_show_no_seam(size: tuple[int, int]) -> None:
    pixels = np.full((*size, 3), 0.1, np.float32)
    pixels[-300:, -300:] = 0.5
    judge, tones = Judge(), SceneJudge()
    judge.config, judge.judge = replace(judge.config, scene=64), tones
    torch.nn.init.constant_(tones.tone[-1].bias, 0.1)  # type: ignore[arg-type]
    engine = Engine(judge, device="cpu", precision="fp32", tile=192)  # type: ignore[arg-type]
    restored, report = engine.restore(pixels)
    assert report.toned
    np.testing.assert_allclose(restored - pixels, 0.2, atol=0.01)


def test_a_judge_that_finds_nothing_needs_no_overview(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Capacity, "largest_tile", lambda *_: 192)
    judge = Judge()
    judge.config, judge.judge = replace(judge.config, scene=64), SceneJudge()
    engine = Engine(judge, device="cpu", precision="fp32")  # type: ignore[arg-type]
    _, report = engine.restore(np.full((300, 900, 3), 0.1, np.float32))
    assert report.tiles > 1
    # One pass, and one pass over the samples that show whether it was enough.
    assert (report.passes, judge.calls) == (1, report.tiles + 1)


def test_a_pass_that_changes_little_needs_no_samples() -> None:
    judge = Judge()
    judge.config, judge.judge = replace(judge.config, scene=64), SceneJudge()
    engine = Engine(judge, device="cpu", precision="fp32")  # type: ignore[arg-type]
    _, report = engine.restore(np.full((80, 90, 3), 0.5, np.float32))
    assert (report.passes, report.tiles, judge.calls) == (1, 1, 1)


def test_tiles_asked_for_need_no_overview() -> None:
    judge = Judge()
    engine = Engine(judge, device="cpu", precision="fp32", tile=192)  # type: ignore[arg-type]
    _, report = engine.restore(np.full((300, 900, 3), 0.1, np.float32))
    assert judge.calls == report.tiles
