"""Checkpoints as people save them, converted to our weights."""

from __future__ import annotations

import io
import sys
import tarfile
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from models.architecture import describe, read_config
from models.config import NetworkConfig
from models.convert import Conversion, convert
from models.network import build
from models.official import UNUSED
from models.presets import PRESETS, preset
from models.weights import WeightsError, check_shapes, expected_shapes, save_weights
from tests.models.checkpoints import (
    SMALL,
    authors_state,
    model_bary,
    module_of,
    our_state,
    saved,
)

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def ours() -> State:
    return our_state()


@pytest.fixture(scope="module")
def theirs(ours: State) -> State:
    return authors_state(ours)


def put(path: Path, value: object, **options: object) -> Path:
    path.write_bytes(saved(value, **options))
    return path


def assert_holds(found: Conversion, state: State, config: NetworkConfig = SMALL) -> None:
    assert found.config == config
    assert found.state.keys() == state.keys()
    assert all(torch.equal(found.state[name], tensor) for name, tensor in state.items())
    assert found.report.kept == len(state)
    assert not found.report.missing
    assert not found.report.unknown


def refused(path: Path, message: str, **options: Any) -> None:
    with pytest.raises(WeightsError, match=message) as caught:
        convert(path, **options)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value).splitlines()) == 1


# --- the authors' file -------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream"])
def test_whole_modules_are_read(
    tmp_path: Path, ours: State, theirs: State, zipped: bool, protocol: int
) -> None:
    path = tmp_path / "model_allBaryNet128__57_1.0.pt"
    with model_bary() as kinds, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the older format looks for the source of the classes
        network = module_of(theirs, kinds, "BaryNet")
        critics = module_of({"potentials.0.3.weight": torch.ones(2, 3)}, kinds, "Potentials")
        critics.add_module("more", nn.Sequential(nn.Flatten(), nn.ReLU(True), nn.PixelShuffle(2)))
        value = {"epoch": 57, "BaryIR": network, "Pots": critics}
        options = {"_use_new_zipfile_serialization": zipped, "pickle_protocol": protocol}
        put(path, value, **options)
    found = convert(path)
    assert_holds(found, ours)
    assert found.report.place == "BaryIR"
    assert sorted(found.report.unused) == sorted(f"{name}weight" for name in UNUSED)
    assert found.report.elsewhere == {"Pots": 1}
    assert found.facts == {"epoch": 57}
    assert found.provenance is None
    assert "model_bary" not in sys.modules


def test_modules_from_several_gpus_are_read(tmp_path: Path, ours: State, theirs: State) -> None:
    with model_bary() as kinds:
        network = nn.DataParallel(module_of(theirs, kinds, "BaryNet"))
        network.src_device_obj = torch.device("cuda", 0)
        path = put(tmp_path / "x.pt", {"BaryIR": network})
    found = convert(path)
    assert_holds(found, ours)
    assert found.report.place == "BaryIR.module"


def test_a_module_in_two_places_needs_a_choice(tmp_path: Path, theirs: State) -> None:
    with model_bary() as kinds:
        network = module_of(theirs, kinds, "BaryNet")
        path = put(tmp_path / "x.pt", {"one": network, "two": network})
    refused(path, r"several networks \(one, two\): name one with --entry")
    assert convert(path, entry="two").report.elsewhere == {"one": len(theirs)}


# --- state dicts and their wrappers ------------------------------------------------------------

Wrap = Callable[[State], object]


def _prefixed(prefix: str) -> Wrap:
    return lambda state: {prefix + name: tensor for name, tensor in state.items()}


def _zeros(state: State) -> State:
    return {name: torch.zeros_like(tensor) for name, tensor in state.items()}


def _lightning(state: State) -> object:
    potentials = {"potentials.features.0.weight": torch.ones(3)}
    return {
        "epoch": 3,
        "global_step": 900,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": {f"net.{k}": v for k, v in state.items()} | potentials,
        "callbacks": {"best": {"score": torch.tensor(31.5), "path": "a.ckpt"}},
        "lr_schedulers": [{"milestones": Counter([3, 4])}],
        "hyper_parameters": {"width": 8, "device": torch.device("cpu"), "kind": torch.float32},
    }


def _optimised(state: State) -> object:
    parameters = [nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(2))]
    optimiser = torch.optim.AdamW(parameters)
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optimiser.step()
    return {"model": state, "optimizer": optimiser.state_dict(), "rng": torch.get_rng_state()}


WRAPS: dict[str, tuple[Wrap, str]] = {
    "plain": (dict, ""),
    "module": (_prefixed("module."), "module"),
    "compiled": (_prefixed("_orig_mod."), "_orig_mod"),
    "params": (lambda s: {"params": s}, "params"),
    "params_ema": (lambda s: {"params": _zeros(s), "params_ema": s}, "params_ema"),
    "state_dict": (lambda s: {"state_dict": _prefixed("module.")(s)}, "state_dict.module"),
    "ema beside it": (lambda s: {"state_dict": _zeros(s), "state_dict_ema": s}, "state_dict_ema"),
    "lightning": (_lightning, "state_dict.net"),
    "optimiser": (_optimised, "model"),
    "potentials": (lambda s: {**s, "potentials.0.weight": torch.ones(2)}, ""),
    "list": (lambda s: [s], "0"),
}


@pytest.mark.parametrize("names", ["ours", "theirs"])
@pytest.mark.parametrize(("wrap", "place"), WRAPS.values(), ids=WRAPS)
def test_wrappers_are_opened(
    tmp_path: Path, ours: State, theirs: State, names: str, wrap: Wrap, place: str
) -> None:
    found = convert(put(tmp_path / "x.pt", wrap(theirs if names == "theirs" else ours)))
    assert_holds(found, ours)
    assert found.report.place == place


def test_metadata_of_state_dicts_is_ignored(tmp_path: Path) -> None:
    state = build(SMALL).state_dict()
    assert hasattr(state, "_metadata")
    assert_holds(convert(put(tmp_path / "x.pt", state)), state)


def test_a_state_dict_in_the_older_format_is_read(tmp_path: Path, ours: State) -> None:
    path = put(tmp_path / "x.pt", {"params": ours}, _use_new_zipfile_serialization=False)
    assert_holds(convert(path), ours)
    # Which storage comes last, and so how much of it is left, depends on addresses.
    path.write_bytes(path.read_bytes()[:-10])
    refused(path, "cut short")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_floating_types_are_kept(tmp_path: Path, ours: State, dtype: torch.dtype) -> None:
    state = {name: tensor.to(dtype) for name, tensor in ours.items()}
    assert_holds(convert(put(tmp_path / "x.pt", state)), state)


def test_views_and_odd_strides_are_read(tmp_path: Path, ours: State) -> None:
    flat = torch.cat([tensor.flatten() for tensor in ours.values()])
    state, start = {}, 0
    for name, tensor in ours.items():
        state[name] = flat[start : start + tensor.numel()].view(tensor.shape)
        start += tensor.numel()
    name = "encoder.levels.0.0.attention.qkv.weight"
    state[name] = ours[name].to(memory_format=torch.channels_last)
    assert_holds(convert(put(tmp_path / "x.pt", state)), ours)


def test_averaged_weights_are_preferred(tmp_path: Path) -> None:
    config = preset("small")
    state = our_state(config)
    value = {"step": 7, "network": _zeros(state), "average": state}
    found = convert(put(tmp_path / "x.pt", value))
    assert_holds(found, state, config)
    assert found.report.place == "average"
    assert found.report.elsewhere == {"network": len(state)}
    assert found.facts == {"step": 7}
    assert convert(tmp_path / "x.pt", entry="network").report.place == "network"


def test_facts_are_plain_and_few(tmp_path: Path, ours: State) -> None:
    nest: list[Any] = []
    for _ in range(12):
        nest = [nest, nest]
    facts = {"epoch": torch.ones(1), "step": 1 << 70, "start": {"name": "x" * 999}, "iter": 3}
    path = put(tmp_path / "x.pt", {"params": ours, "recipe": nest, **facts})
    assert convert(path).facts == {"iter": 3}


# --- safetensors -------------------------------------------------------------------------------


def test_safetensors_without_our_metadata_are_read(
    tmp_path: Path, ours: State, theirs: State
) -> None:
    for number, state in enumerate((ours, theirs, {f"module.{k}": v for k, v in theirs.items()})):
        path = tmp_path / f"{number}.safetensors"
        safetensors.torch.save_file(state, path, {"format": "pt"})
        assert_holds(convert(path), ours)


def test_safetensors_may_begin_like_a_pickle(tmp_path: Path, ours: State) -> None:
    data = safetensors.torch.save(ours)
    length = int.from_bytes(data[:8], "little")
    longer = length + (0x80 - length) % 256
    header = data[8 : 8 + length].ljust(longer)
    path = tmp_path / "x.safetensors"
    path.write_bytes(longer.to_bytes(8, "little") + header + data[8 + length :])
    assert path.read_bytes()[0] == 0x80
    assert_holds(convert(path), ours)


def test_our_safetensors_keep_config_and_provenance(tmp_path: Path) -> None:
    # Only the metadata tells details such as the heads of residual blocks.
    config = replace(preset("small"), heads=(1, 1, 8))
    path = tmp_path / "x.safetensors"
    save_weights(path, config, our_state(config), {"name": "x", "licence": "MIT"})
    found = convert(path)
    assert_holds(found, our_state(config), config)
    assert found.provenance == {"name": "x", "licence": "MIT"}


def test_damaged_safetensors_are_refused(tmp_path: Path, ours: State) -> None:
    path = tmp_path / "x.safetensors"
    safetensors.torch.save_file(ours, path)
    path.write_bytes(path.read_bytes()[:-4])
    refused(path, "cut short: only .* bytes of tensors")
    safetensors.torch.save_file({**ours, "count": torch.tensor(3)}, path)
    refused(path, "count is I64, not one of")


# --- the architecture, from the shapes ---------------------------------------------------------

UNTOLD = replace(preset("small"), deconvolve=False, margin=0)
"""Unless the shapes are a preset's, whatever they do not tell is off."""
VARIED = {
    **PRESETS,
    "three levels": replace(preset("tiny"), blocks=(1, 2, 3), heads=(2, 2, 4)),
    "wide": replace(preset("tiny"), expansion=2.0, resample_kernel=1, scene=128),
    "odd ratios": replace(UNTOLD, expansion=1.5, unshuffle=4),
    "no judge": replace(UNTOLD, scene=0),
    "vit": replace(preset("tiny"), map="vit"),
    "one-block unet": replace(preset("tiny"), map="unet", map_blocks=1),
    "five-block unet": replace(preset("tiny"), map="unet", map_blocks=5),
    "mlp": replace(preset("tiny"), map="mlp", map_blocks=3),
    "prompts": replace(preset("tiny"), prompts=3, prompt_size=8),
    "official prompts": replace(preset("tiny"), conditioning="official", prompts=2),
    "empty levels": replace(preset("tiny"), blocks=(0, 1, 0, 1), refinement_blocks=0),
    "two levels, official": NetworkConfig(
        width=8, blocks=(1, 1), heads=(1, 2), refinement_blocks=1, map_blocks=1
    ),
}


@pytest.mark.parametrize("config", VARIED.values(), ids=VARIED)
def test_shapes_tell_the_architecture(config: NetworkConfig) -> None:
    assert read_config(expected_shapes(config)) == config
    assert f"width {config.width}" in describe(config)


@pytest.mark.parametrize(
    "config",
    [replace(preset("small"), map="vit"), replace(preset("tiny"), map="vit", blocks=(1, 1, 1, 0))],
)
def test_heads_that_matter_are_not_guessed(config: NetworkConfig) -> None:
    with pytest.raises(WeightsError, match="heads of the vit map"):
        read_config(expected_shapes(config))


STEM = "encoder.stem.1.weight"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({STEM: None}, "no tensor encoder.stem"),
        ({STEM: (8,)}, "missing or not the weight of a convolution"),
        ({STEM: (8, 5, 3, 3)}, "has shape"),
        ({STEM: (7, 3, 3, 3)}, "use an even number"),
        ({STEM: (1 << 40, 3, 3, 3)}, "use a whole number"),
        ({STEM: (8, 0, 3, 3)}, "unshuffle 0: use"),
        ({"stage.norm.weight": None}, "missing tensors: 1, first stage.norm.weight"),
        (
            {name: None for name in expected_shapes(SMALL) if name.startswith("stage.")},
            "without a barycenter stage, such as a plain Restormer",
        ),
        ({"encoder.levels.0.99999.norm1.weight": (8,)}, "more than the limit of 512"),
        ({"encoder.levels.0.0.attention.temperature": (3, 1, 1)}, "does not divide"),
        ({"encoder.levels.0.0.feed_forward.project.weight": (8, 3, 1, 1)}, "no single expansion"),
        ({"stage.norm.bias": (7,)}, r"stage.norm.bias has shape \[7\]"),
    ],
)
def test_shapes_of_no_network_are_refused(
    changes: dict[str, tuple[int, ...] | None], message: str
) -> None:
    changed = {**expected_shapes(SMALL), **changes}
    shapes = {name: shape for name, shape in changed.items() if shape is not None}
    with pytest.raises(WeightsError, match=message):
        check_shapes(shapes, expected_shapes(read_config(shapes)))


# --- parts of networks -------------------------------------------------------------------------


def test_partial_fills_in_what_is_missing(tmp_path: Path, ours: State, theirs: State) -> None:
    state = dict(theirs)
    del state["latent.0.attn.qkv.weight"], state["LN.body.bias"]
    state["prompt1.prompt_param"] = torch.ones(5)
    path = put(tmp_path / "x.pt", {"params": state})
    refused(
        path,
        r"missing tensors: 2, first latent\.0\.attn\.qkv\.weight; "
        r"unknown tensors: 1, first prompt1\.prompt_param: .*--partial",
    )
    before = torch.get_rng_state()
    found = convert(path, partial=True)
    assert torch.equal(torch.get_rng_state(), before)
    assert found.config == SMALL
    assert found.report.missing == ("latent.0.attn.qkv.weight", "LN.body.bias")
    assert found.report.unknown == ("prompt1.prompt_param",)
    assert found.state.keys() == ours.keys()
    fresh = {"encoder.levels.3.0.attention.qkv.weight", "stage.norm.bias"}
    assert {n for n in ours if not torch.equal(found.state[n], ours[n])} == fresh
    again = convert(path, partial=True)
    assert all(torch.equal(again.state[name], found.state[name]) for name in fresh)


def test_less_than_half_a_network_is_refused(tmp_path: Path, ours: State) -> None:
    state = {n: t for n, t in ours.items() if not n.startswith(("decoder.levels.", "stage.map"))}
    path = put(tmp_path / "x.pt", state)
    refused(path, "less than half of the network", partial=True)


def test_whole_numbers_are_refused(tmp_path: Path, ours: State) -> None:
    state = {**ours, "stage.norm.bias": torch.zeros(64, dtype=torch.int64)}
    refused(put(tmp_path / "x.pt", state), "stage.norm.bias is torch.int64")


def test_checkpoints_without_our_network_are_refused(tmp_path: Path, ours: State) -> None:
    refused(put(tmp_path / "x.pt", {"fc.weight": torch.ones(3)}), "no BaryIR network")
    refused(put(tmp_path / "x.pt", {"params": ours}), "no network in swin", entry="swin")
    restormer = {
        name: tensor
        for name, tensor in authors_state(ours).items()
        if not name.startswith(("LN", "bary", "noise", "res"))
    }
    refused(put(tmp_path / "x.pt", {"params": restormer}), "without a barycenter stage")


# --- files that are not checkpoints ------------------------------------------------------------


def _tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        file.addfile(tarfile.TarInfo("pickle"))
    return buffer.getvalue()


def _npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(3))
    return buffer.getvalue()


def _script() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py"):
            file.writestr(f"net/{name}", b"\x80\x02}.")
    return buffer.getvalue()


STRANGERS: list[tuple[bytes, str]] = [
    (b"", "neither a checkpoint of torch.save .* nor safetensors"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "a Git LFS pointer"),
    (b"<!DOCTYPE html><title>Google Drive - Virus scan warning</title>", "a web page"),
    (b"\x1f\x8b\x08\0\0\0\0\0", "compressed with gzip"),
    (_tar(), "a tar archive"),
    (_npz(), "not a PyTorch checkpoint: it has no data.pkl"),
    (_script(), "a TorchScript program"),
    (b"PK\x03\x04" + b"\0" * 100, "damaged archive"),
    (b"\x80", "damaged pickle"),
    (b"\x80\x04K\x07.", "damaged pickle"),
    (b"\x80\x02}.\x80\x02}.\x80\x02}.\x80\x02}.\x80\x02}.", "not one from torch.save"),
    (b"\x89PNG\r\n\x1a\n" + b"\0" * 30, "neither a checkpoint of torch.save"),
    (b"\xff\xd8\xff\xe0\0\x10JFIF" + b"\0" * 30, "neither a checkpoint of torch.save"),
    (b"\x09" + b"\0" * 7 + b'{"a":NaN}', "not a safetensors file: its header is not JSON"),
]


@pytest.mark.parametrize(("data", "message"), STRANGERS)
def test_other_kinds_of_files_are_recognised(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(data)
    refused(path, message)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.pt", "no such file; check the path")
    refused(tmp_path, "a folder, not a file")
