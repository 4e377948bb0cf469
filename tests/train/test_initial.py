"""Training from existing weights, of the same network or of one with fewer blocks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from models.config import NetworkConfig
from models.network import BaryIR, build
from models.presets import preset
from models.weights import Weights, WeightsError, read_weights, save_weights
from train.initial import DETAILED, ancestry, start_from

RESIDUAL = replace(preset("tiny"), block="residual", blocks=(1, 2, 1, 1))
OFFICIAL = replace(preset("tiny"), conditioning="official")


def weights_of(network: BaryIR, folder: Path) -> Weights:
    path = folder / "w.safetensors"
    save_weights(path, network.config, network.state_dict(), {})
    return read_weights(path)


def shaken(config: NetworkConfig) -> BaryIR:
    """A network in which every part matters, as after some training."""
    torch.manual_seed(0)
    network = build(config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return network.eval()


@pytest.mark.parametrize("config", [preset("tiny"), RESIDUAL, OFFICIAL])
@pytest.mark.parametrize("blocks", [(0, 0, 0, 0), (2, 0, 1, 1)])
def test_a_deeper_network_starts_with_the_same_output(
    config: NetworkConfig, blocks: tuple[int, ...], tmp_path: Path
) -> None:
    started = shaken(config)
    more = tuple(a + b for a, b in zip(config.blocks, blocks, strict=True))
    deeper = build(replace(config, blocks=more)).eval()
    start_from(deeper, weights_of(started, tmp_path))
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(deeper(image).correction, started(image).correction)


def test_added_blocks_learn(tmp_path: Path) -> None:
    deeper = build(replace(RESIDUAL, blocks=(2, 2, 1, 1)))
    start_from(deeper, weights_of(shaken(RESIDUAL), tmp_path))
    added = deeper.encoder.levels[0][1]
    torch.autograd.backward(deeper(torch.rand(1, 3, 32, 32)).correction.square().mean())
    assert added.second.weight.grad.abs().max() > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"blocks": (1, 1, 1, 1)}, r"blocks \[1, 2, 1, 1\], not \[1, 1, 1, 1\]"),
        ({"blocks": (1, 2, 1), "heads": (1, 2, 4)}, r"blocks \[1, 2, 1, 1\], not"),
        ({"width": 16}, "width 8, not 16"),
        ({"blocks": (2, 2, 1, 1), "width": 16}, "width 8, not 16"),
    ],
)
def test_weights_of_another_network_are_refused(
    change: dict[str, object], message: str, tmp_path: Path
) -> None:
    weights = weights_of(shaken(RESIDUAL), tmp_path)
    with pytest.raises(WeightsError, match=message):
        start_from(build(replace(RESIDUAL, **change)), weights)  # type: ignore[arg-type]


@pytest.mark.parametrize("had", [True, False])
@pytest.mark.parametrize("has", [True, False])
def test_a_finish_goes_where_there_is_one(had: bool, has: bool, tmp_path: Path) -> None:
    started = shaken(replace(RESIDUAL, finish=had))
    if started.finish is not None:
        started.finish.left.fill_(0.5)
    network = build(replace(RESIDUAL, finish=has))
    start_from(network, weights_of(started, tmp_path))
    assert (network.finish is not None) == has
    if network.finish is not None:
        assert float(network.finish.left.mean()) == (0.5 if had else 0)
    torch.testing.assert_close(network.head.project.weight, started.head.project.weight)


def test_ancestry_is_the_provenance_of_the_weights(tmp_path: Path) -> None:
    """With their hash, their start and the weights averaged in, but without figures."""
    path = tmp_path / "w.safetensors"
    network = build(preset("tiny"))
    said = {"name": "a", "steps": 3, "rest": [{"share": 0.5}], "start": {"name": "b"}}
    save_weights(path, network.config, network.state_dict(), said | {"figures": {}})
    weights = read_weights(path)
    assert ancestry(weights) == {"sha256": weights.sha256, **said}


def test_earlier_runs_are_summarised(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    network = build(preset("tiny"))
    recipe = {"seed": 1, "learning_rate": 2e-4, "stages": []}
    run: dict[str, Any] = {}
    for steps in range(DETAILED + 3):
        run = {"steps": steps, "recipe": recipe, "data": [], **({"start": run} if run else {})}
    save_weights(path, network.config, network.state_dict(), run)
    found: Any = ancestry(read_weights(path))
    for steps in reversed(range(DETAILED + 3)):
        assert found["steps"] == steps
        in_detail = steps >= 3
        assert ("data" in found) == ("seed" in found["recipe"]) == in_detail
        assert found["recipe"]["learning_rate"] == 2e-4
        found = found.get("start")
    assert found is None
