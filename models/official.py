"""Names of the authors' released checkpoint and of the ``official`` preset, both ways.

The names on the authors' side are facts about their file (its list of keys and shapes).
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

UNUSED = tuple(
    f"{name}{i}." for name in ("chnl_reduce", "reduce_noise_channel_") for i in (1, 2, 3)
)
"""Prefixes of the six modules that the checkpoint holds and no forward uses."""

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
"""Parts of a transformer block, ours to theirs."""


def _decoder_modules(index: int) -> dict[str, str]:
    """Modules of our decoder level ``index``, which they number from the finest, 1."""
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
    """Modules above the transformer blocks, ours to theirs."""
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


def official_name(name: str) -> str:
    """What the authors' state dict calls a tensor of ours, e.g. ``latent.0.attn.qkv.weight``.

    Raises:
        KeyError: ``name`` is no tensor of the ``official`` preset's.
    """
    # The longest module that fits: mix.0 is a block by itself, blocks.0 one of a run.
    module = max((m for m in _MODULES if name.startswith(m + ".")), key=len, default=None)
    if module is None:
        raise KeyError(name)
    theirs, rest = _MODULES[module], name.removeprefix(module)
    for part, their_part in _BLOCK_PARTS.items():
        head, found, tail = rest.partition(f".{part}")
        if found:
            return f"{theirs}{head}.{their_part}{tail}"
    return theirs + rest


def is_unused(official: str) -> bool:
    """Whether a tensor of the authors' belongs to a module that they never call."""
    return official.startswith(UNUSED)


def to_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of ours under the authors' names, the unused modules left out."""
    return {official_name(name): tensor for name, tensor in state.items()}


def from_official(state: Mapping[str, Tensor], names: Mapping[str, object]) -> dict[str, Tensor]:
    """The authors' state dict under our names, the unused modules dropped.

    Names without a counterpart stay as they are, and missing ones are left out, for
    :func:`models.weights.check_shapes` to name both.

    Args:
        names: mapping or state dict whose keys are the ``official`` preset's tensors.
    """
    ours = {official_name(name): name for name in names}
    return {ours.get(key, key): tensor for key, tensor in state.items() if not is_unused(key)}
