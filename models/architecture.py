"""Reads a network's config off the names and shapes of its tensors, for files without a config.

Shapes do not tell what the decoder is fed, the margin, deconvolution, the side of the scene judge's
picture, and the heads of blocks without attention, which ignore them. These come from the preset
with the same shapes, otherwise they are the defaults.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace

from models.config import MAX_BLOCKS, Block, ConfigError, Map, NetworkConfig
from models.presets import PRESETS
from models.weights import Shapes, WeightsError

STEM = "encoder.stem.1.weight"
"""A tensor that every network has."""
SCENE = 128
"""Side of the scene judge's picture, if no preset has the same shapes."""


def read_config(shapes: Shapes) -> NetworkConfig:
    """The config of a network with these tensors, under our names.

    :func:`models.weights.check_shapes` then checks that every tensor of the network is there and
    has the right shape.

    Raises:
        WeightsError: no network has these shapes, or they do not tell how it computes.
    """
    if STEM not in shapes:
        raise WeightsError(f"no tensor {STEM}")
    if not any(name.startswith("stage.") for name in shapes):
        raise WeightsError("a network without a barycenter stage, such as a plain Restormer")
    defaults = NetworkConfig()
    levels = 1 + _count(shapes, "encoder.down.")
    judges = any(name.startswith("judge.") for name in shapes)
    prompts, prompt_size = _prompts(shapes, defaults.prompt_size)
    try:
        config = NetworkConfig(
            width=_size(shapes, STEM, 0),
            blocks=tuple(_count(shapes, f"encoder.levels.{i}.") for i in range(levels)),
            heads=_heads(shapes, levels),
            refinement_blocks=_count(shapes, "decoder.refinement."),
            map=_map(shapes),
            map_blocks=_map_blocks(shapes),
            prompts=prompts,
            prompt_size=prompt_size,
            expansion=_ratio(_widths(shapes), defaults.expansion),
            block=_block(shapes),
            conditioning="paper" if "decoder.join.weight" in shapes else "official",
            unshuffle=math.isqrt(_size(shapes, STEM, 1) // (6 if judges else 3)),
            resample_kernel=_size(shapes, "encoder.down.0.0.weight", -1),
            scene=SCENE if judges else 0,
            finish="finish.left" in shapes,
        )
    except ConfigError as error:
        raise WeightsError(f"no network has these shapes: {error}") from None
    alike = (p for p in PRESETS.values() if bool(p.scene) == judges)
    return next((p for p in alike if _visible(p, config.scene) == config), config)


def _visible(config: NetworkConfig, scene: int) -> NetworkConfig:
    """What the shapes tell of a config, with a given side of the judge's picture."""
    return replace(config, margin=0, deconvolve=False, scene=scene)


def describe(config: NetworkConfig) -> str:
    """A network in one line, for people."""
    blocks, heads = (" ".join(map(str, values)) for values in (config.blocks, config.heads))
    extras = ", scene judge" * bool(config.scene) + ", deconvolution" * config.deconvolve
    return (
        f"{config.conditioning} decoder, {config.block} blocks, width {config.width}, "
        f"blocks {blocks}, heads {heads}{extras}"
    )


def _size(shapes: Shapes, name: str, axis: int) -> int:
    shape = shapes.get(name, ())
    if len(shape) != 4:
        raise WeightsError(f"{name} is missing or not the weight of a convolution")
    return shape[axis]


def _count(shapes: Shapes, prefix: str) -> int:
    """Number of modules behind a prefix, which are numbered from 0."""
    numbers = {name[len(prefix) :].partition(".")[0] for name in shapes if name.startswith(prefix)}
    known = [int(n) for n in numbers if n.isascii() and n.isdigit() and len(n) < 8]
    count = 1 + max(known, default=-1)
    if count > MAX_BLOCKS:
        raise WeightsError(f"{count} modules {prefix}*, more than the limit of {MAX_BLOCKS}")
    return count


def _map(shapes: Shapes) -> Map:
    """The kind of the barycenter map, by a tensor that only this kind has."""
    marks: dict[Map, str] = {
        "mdta": "0.attention.temperature",
        "mlp": "0.mlp.0.weight",
        "vit": "0.feed_forward.mlp.0.weight",
    }
    for kind, name in marks.items():
        if f"stage.map.{name}" in shapes:
            return kind
    unet = any(name.startswith(("stage.map.down.", "stage.map.bottom.")) for name in shapes)
    return "unet" if unet else "mdta"


def _map_blocks(shapes: Shapes) -> int:
    parts = ("down.", "bottom.", "up.", "")
    return sum(_count(shapes, f"stage.map.{part}") for part in parts)


def _prompts(shapes: Shapes, usual: int) -> tuple[int, int]:
    """Number of components of the prompts, and their side at the latent's level."""
    name = "decoder.levels.0.prompt.generation.components"
    shape = shapes.get(name, ())
    return (shape[0], shape[-1]) if len(shape) == 4 else (0, usual)


def _heads(shapes: Shapes, levels: int) -> tuple[int, ...]:
    """From the temperatures, one per head; without them, half the heads of the level below."""
    latent = f"encoder.levels.{levels - 1}."
    last = _temperature(shapes, "stage.map.") or _temperature(shapes, latent)
    if last is None and _map(shapes) == "vit":
        raise WeightsError(
            "the shapes do not tell the heads of the vit map, and the file has no config"
        )
    heads = [last or 1]
    for level in reversed(range(levels - 1)):
        found = _temperature(shapes, f"encoder.levels.{level}.")
        heads.insert(0, found or max(1, heads[0] // 2))
    return tuple(heads)


def _block(shapes: Shapes) -> Block:
    residual = re.compile(r"(encoder|decoder)\..*\d\.first\.weight\Z")
    return "residual" if any(map(residual.match, shapes)) else "transformer"


def _temperature(shapes: Shapes, prefix: str) -> int | None:
    shape = shapes.get(f"{prefix}0.attention.temperature")
    return shape[0] if shape else None


def _widths(shapes: Shapes) -> list[tuple[int, int]]:
    """Channels and hidden channels of all feed-forward networks, except those of prompts."""
    found = (
        shape
        for name, shape in shapes.items()
        if name.endswith(".feed_forward.project.weight") and ".prompt." not in name
    )
    return sorted({(shape[0], shape[1]) for shape in found if len(shape) == 4 and shape[0]})


def _ratio(widths: list[tuple[int, int]], usual: float) -> float:
    """The expansion e with int(e c) = h for all (c, h): the usual one, else the shortest number."""
    if all(int(c * usual) == h for c, h in widths):
        return usual
    for digits in range(7):
        unit = 10**digits
        lowest = max(-(-h * unit // c) for c, h in widths) / unit
        if all(int(c * lowest) == h for c, h in widths):
            return lowest
    raise WeightsError("no single expansion gives the hidden channels of all blocks")
