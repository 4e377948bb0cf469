"""The name map, and parity with the reference code's fixtures (DESIGN section 4)."""

from __future__ import annotations

import json
import math
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from models.network import BaryIR
from models.official import UNUSED, from_official, is_unused, official_name, our_name
from models.presets import preset
from models.weights import WeightsError, check_shapes, expected_shapes, skeleton

DATA = Path(__file__).parent / "data"
SHAPES = {k: tuple(v) for k, v in json.loads((DATA / "manifest.json").read_text())["state_dict"]}
IN_USE = {name: shape for name, shape in SHAPES.items() if not is_unused(name)}
CONFIG = preset("official")


pytestmark = pytest.mark.usefixtures("one_thread")


def rule(key: str, shape: tuple[int, ...], salt: int) -> Tensor:
    """One tensor of the fixtures' weights (DESIGN section 4)."""
    generator = np.random.default_rng([salt, zlib.crc32(key.encode())])
    g = generator.standard_normal(shape)
    if key.endswith("temperature") or (key.endswith("body.weight") and len(shape) == 1):
        return torch.from_numpy(1 + 0.1 * g)
    if len(shape) == 1:
        return torch.from_numpy(0.1 * g)
    return torch.from_numpy(g / np.sqrt(np.prod(shape[1:])))


@lru_cache(maxsize=1)
def salted_state(salt: int) -> dict[str, Tensor]:
    return {key: rule(key, shape, salt) for key, shape in SHAPES.items()}


def filled(salt: int, dtype: torch.dtype, memory: torch.memory_format) -> BaryIR:
    network = skeleton(CONFIG)
    ours = from_official(salted_state(salt))
    network.load_state_dict({k: v.to(dtype) for k, v in ours.items()}, assign=True)
    return network.to(memory_format=memory).eval()


def test_names_and_shapes_are_the_authors() -> None:
    ours = expected_shapes(CONFIG)
    assert {official_name(name): shape for name, shape in ours.items()} == IN_USE
    assert len(ours) == len(IN_USE) == len(SHAPES) - 6
    assert sum(map(math.prod, IN_USE.values())) == 53_549_774


def test_six_modules_are_unused() -> None:
    assert sorted(f"{prefix}weight" for prefix in UNUSED) == sorted(set(SHAPES) - set(IN_USE))


def test_names_map_both_ways() -> None:
    ours = skeleton(CONFIG).state_dict()
    assert [our_name(official_name(name)) for name in ours] == list(ours)
    theirs = {official_name(name): tensor for name, tensor in ours.items()}
    back = from_official(theirs)
    assert back.keys() == ours.keys()
    assert all(back[name] is ours[name] for name in ours)


def test_unknown_and_missing_names_are_reported() -> None:
    expected = expected_shapes(CONFIG)
    state = {name: torch.empty(shape, device="meta") for name, shape in SHAPES.items()}
    state["prompt.weight"] = torch.empty(1)
    ours = {k: tuple(v.shape) for k, v in from_official(state).items()}
    with pytest.raises(WeightsError, match=r"unknown tensors: 1, first prompt\.weight"):
        check_shapes(ours, expected)
    del ours["prompt.weight"], ours["head.project.weight"]
    with pytest.raises(WeightsError, match=r"missing tensors: 1, first head\.project\.weight"):
        check_shapes(ours, expected)


def test_unknown_names_do_not_change() -> None:
    assert official_name("decoder.join.weight") == "decoder.join.weight"
    assert our_name("prompt1.prompt_param") == "prompt1.prompt_param"


def check_parity(salt: int, name: str, dtype: torch.dtype, memory: torch.memory_format) -> None:
    """Compares output and latents with the reference code's, within the contract's bounds."""
    output, latent = (1e-9, 1e-9) if dtype == torch.float64 else (5e-4, 1e-4)
    fixture = load_file(DATA / f"parity_{name}.safetensors")
    image = fixture["input"].to(dtype).contiguous(memory_format=memory)
    with torch.inference_mode():
        correction, latents, _ = filled(salt, dtype, memory)(image)
    bounds = {
        "restored": (image + correction, output),
        "source_latent": (latents.source, latent),
        "barycenter_latent": (latents.barycenter, latent),
        "residual_latent": (latents.residual, latent),
    }
    for key, (found, bound) in bounds.items():
        error = (found.double() - fixture[key]).abs().max().item()
        assert error < bound, f"{key}: {error:.1e}"


FIXTURES = [pytest.param(1, "64x64", id="64x64"), pytest.param(2, "48x96", id="48x96")]
FORMATS = [
    pytest.param(torch.contiguous_format, id="contiguous"),
    pytest.param(torch.channels_last, id="channels_last"),
]


@pytest.mark.parametrize("memory", FORMATS)
@pytest.mark.parametrize(("salt", "name"), FIXTURES)
def test_parity_float32(salt: int, name: str, memory: torch.memory_format) -> None:
    check_parity(salt, name, torch.float32, memory)


@pytest.mark.slow
@pytest.mark.parametrize("memory", FORMATS)
@pytest.mark.parametrize(("salt", "name"), FIXTURES)
def test_parity_float64(salt: int, name: str, memory: torch.memory_format) -> None:
    check_parity(salt, name, torch.float64, memory)
