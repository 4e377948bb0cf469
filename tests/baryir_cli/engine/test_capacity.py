"""The size of tiles and batches follows the free memory."""

from __future__ import annotations

import pytest
import torch

from baryir_cli.engine import capacity
from baryir_cli.engine.capacity import Capacity
from models.presets import preset

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    memory = {"cpu": 64 << 30, "cuda": 64 << 30}
    monkeypatch.setattr(capacity, "free_memory", lambda device: memory[device.type])
    return memory


def test_a_tile_fills_the_budget_and_no_more(free: dict[str, int]) -> None:
    small = Capacity(preset("small"), CPU, "fp32")
    side = small.largest_tile()
    assert side % (2 * preset("small").multiple) == 0
    assert small.pixel_bytes * side**2 <= 384 << 20
    assert small.pixel_bytes * (side + 16) ** 2 > 384 << 20
    free["cpu"] = 300 << 20
    assert small.pixel_bytes * small.largest_tile() ** 2 <= 100 << 20


def test_tiles_of_a_large_network_are_not_mostly_overlap(free: dict[str, int]) -> None:
    official = Capacity(preset("official"), CPU, "fp32")
    assert official.largest_tile() == 256
    free["cpu"] = 900 << 20
    assert official.pixel_bytes * official.largest_tile() ** 2 <= 300 << 20


def test_a_second_image_takes_from_the_tiles_on_a_cpu_alone(free: dict[str, int]) -> None:
    small = Capacity(preset("small"), CPU, "fp32")
    assert small.pixel_bytes * small.largest_tile(300 << 20) ** 2 <= 84 << 20
    assert small.largest_tile(9 << 30) == 256
    gpu = Capacity(preset("small"), GPU, "fp32")
    free["cuda"] = 1 << 30
    assert gpu.largest_tile(300 << 20) == gpu.largest_tile() < 2048


def test_half_precision_takes_larger_tiles(free: dict[str, int]) -> None:
    sides = [Capacity(preset("small"), CPU, p).largest_tile() for p in ("fp32", "bf16")]
    assert sides[0] < sides[1]


def test_tiles_stay_between_the_smallest_and_the_largest(free: dict[str, int]) -> None:
    gpu = Capacity(preset("small"), GPU, "fp16")
    assert gpu.largest_tile() == 2048
    free["cuda"] = 0
    assert gpu.largest_tile() == 64


def test_a_gpu_takes_as_many_tiles_as_fit(free: dict[str, int]) -> None:
    gpu = Capacity(preset("small"), GPU, "fp16")
    tile = 512**2
    assert gpu.batch(tile) == 8
    free["cuda"] = int(3.5 * tile * gpu.pixel_bytes / 0.7)
    assert gpu.batch(tile) == 3
    free["cuda"] = 0
    assert gpu.batch(tile) == 1
    assert Capacity(preset("small"), CPU, "fp32").batch(tile) == 1
