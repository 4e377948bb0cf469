"""Translates names between the authors' released checkpoint and the ``official`` preset.

The authors' names are facts about their file (its list of keys and shapes).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")

UNUSED = tuple(
    f"{name}{i}." for name in ("chnl_reduce", "reduce_noise_channel_") for i in (1, 2, 3)
)
"""Prefixes of the six modules that the checkpoint holds and never uses."""

DECODER_LEVELS = 3

_BLOCK_PARTS = {
    "norm1": "norm1.body",
    "norm2": "norm2.body",
    "attention.temperature": "attn.temperature",
    "attention.qkv": "attn.qkv",
    "attention.depthwise": "attn.qkv_dwconv",
    "attention.project": "attn.project_out",
    "feed_forward.expand": "ffn.project_in",
    "feed_forward.depthwise": "ffn.dwconv",
    "feed_forward.project": "ffn.project_out",
}
"""Parts of a transformer block: our name to theirs."""


def _decoder_modules(index: int) -> dict[str, str]:
    """Modules of our decoder level ``index``; the authors count from 1, the finest."""
    ours, level = f"decoder.levels.{index}", DECODER_LEVELS - index
    modules = {
        f"{ours}.mix.0": f"noise_level{level}",
        f"{ours}.mix.1": f"reduce_noise_level{level}",
        f"{ours}.up.0": f"up{level + 1}_{level}.body.0",
        f"{ours}.residual_mix": f"resreduce_noise_level{level}",
        f"{ours}.residual_up.0": f"resup{level + 1}_{level}.body.0",
        f"{ours}.blocks": f"decoder_level{level}",
    }
    if level > 1:
        modules |= {
            f"{ours}.reduce": f"reduce_chan_level{level}",
            f"{ours}.residual_reduce": f"resreduce_chan_level{level}",
            f"{ours}.residual_blocks": f"resdecoder_level{level}",
        }
    return modules


def _modules() -> dict[str, str]:
    """Modules above and beside the transformer blocks: our name to theirs."""
    modules = {
        "encoder.stem.1": "patch_embed.proj",
        f"encoder.levels.{DECODER_LEVELS}": "latent",
        "stage.norm": "LN.body",
        "stage.map": "barylatent",
        "decoder.refinement": "refinement",
        "head.project": "output",
    }
    for i in range(DECODER_LEVELS):
        modules[f"encoder.levels.{i}"] = f"encoder_level{i + 1}"
        modules[f"encoder.down.{i}.0"] = f"down{i + 1}_{i + 2}.body.0"
        modules |= _decoder_modules(i)
    return modules


_MODULES = _modules()
_OUR_MODULES = {theirs: ours for ours, theirs in _MODULES.items()}
_OUR_BLOCK_PARTS = {theirs: ours for ours, theirs in _BLOCK_PARTS.items()}


def official_name(name: str) -> str:
    """The authors' name for a tensor of ours, e.g. ``latent.0.attn.qkv.weight``.

    A name outside the modules of the ``official`` preset is returned unchanged.
    """
    return _renamed(name, _MODULES, _BLOCK_PARTS)


def our_name(official: str) -> str:
    """The inverse of :func:`official_name`, for any number of blocks."""
    return _renamed(official, _OUR_MODULES, _OUR_BLOCK_PARTS)


def _renamed(name: str, modules: Mapping[str, str], parts: Mapping[str, str]) -> str:
    # The longest match: mix.0 is a block by itself, blocks.0 one of a sequence.
    module = max((m for m in modules if name.startswith(m + ".")), key=len, default=None)
    if module is None:
        return name
    rest = name.removeprefix(module) + "."
    for part, renamed in parts.items():
        rest = rest.replace(f".{part}.", f".{renamed}.")
    return modules[module] + rest.removesuffix(".")


def is_unused(official: str) -> bool:
    """Whether a tensor of the authors' belongs to a module that they never use."""
    return official.startswith(UNUSED)


def from_official(state: Mapping[str, T]) -> dict[str, T]:
    """The authors' state dict, or its shapes, under our names and without the unused modules.

    Names without a counterpart stay the same, and nothing is added for missing ones.
    :func:`models.weights.check_shapes` reports both.
    """
    return {our_name(key): value for key, value in state.items() if not is_unused(key)}
