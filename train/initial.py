"""Starts a run from weights instead of random values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from models.blocks import ResidualBlock, TransformerBlock
from models.config import NetworkConfig
from models.network import BaryIR
from models.weights import Weights, WeightsError

DETAILED = 12
"""The newest runs whose whole recipes the provenance keeps."""
SUMMARY = ("name", "sha256", "steps", "date")
DETAILS = ("recipe", "data", "judges", "rest")
RECIPE_SUMMARY = ("learning_rate", "stages")


def start_from(network: BaryIR, weights: Weights) -> None:
    """Copies weights into a network that is to be trained.

    The network may have more blocks per level than the weights. The additional blocks come last
    and begin as the identity, so the deeper network begins with the same output.

    Raises:
        WeightsError: the weights belong to another network; the message names the first difference.
    """
    config, built = weights.config, network.config
    if _is_deeper(built, config):
        config = replace(config, blocks=built.blocks)
    if difference := config.difference(built):
        name, theirs, ours = difference
        raise WeightsError(f"weights of another network: {name} {theirs}, not {ours}")
    for name, module in network.named_modules():
        new = not any(tensor.startswith(f"{name}.") for tensor in weights.state)
        if new and isinstance(module, ResidualBlock | TransformerBlock):
            module.make_identity()
    state = {name: tensor.float() for name, tensor in weights.state.items()}
    own = network.state_dict()
    # Either may have a finish that the other lacks.
    network.load_state_dict(own | {name: state[name] for name in own.keys() & state.keys()})


def _is_deeper(ours: NetworkConfig, theirs: NetworkConfig) -> bool:
    """Whether our network has as many levels as theirs, and at least as many blocks at each."""
    pairs = zip(ours.blocks, theirs.blocks, strict=False)
    return ours.levels == theirs.levels and all(a >= b for a, b in pairs)


def ancestry(weights: Weights) -> dict[str, Any]:
    """What the provenance of a run's weights says about the weights it started from.

    Of runs long before, it keeps a summary, so the metadata stay small however long the chain.
    """
    return _kept({"sha256": weights.sha256, **weights.provenance}, DETAILED)


def _kept(run: dict[str, Any], detailed: int) -> dict[str, Any]:
    """A run and those before it; only so many of the newest in detail."""
    names = SUMMARY + DETAILS if detailed > 0 else SUMMARY
    kept = {name: run[name] for name in names if name in run}
    recipe = run.get("recipe")
    if detailed <= 0 and isinstance(recipe, dict):
        kept["recipe"] = {name: recipe[name] for name in RECIPE_SUMMARY if name in recipe}
    if "start" in run:
        start = run["start"]
        kept["start"] = _kept(start, detailed - 1) if isinstance(start, dict) else start
    return kept
