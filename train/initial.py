"""Starts a run from weights instead of random values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from models.blocks import ResidualBlock, TransformerBlock
from models.config import NetworkConfig
from models.network import BaryIR
from models.weights import Weights, WeightsError


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
    network.load_state_dict(network.state_dict() | state)


def _is_deeper(ours: NetworkConfig, theirs: NetworkConfig) -> bool:
    """Whether our network has as many levels as theirs, and at least as many blocks at each."""
    pairs = zip(ours.blocks, theirs.blocks, strict=False)
    return ours.levels == theirs.levels and all(a >= b for a, b in pairs)


def ancestry(weights: Weights) -> dict[str, Any]:
    """What the provenance of a run's weights says about the weights it started from."""
    kept = ("name", "steps", "date", "recipe", "data", "judges", "rest", "start")
    provenance = {k: v for k, v in weights.provenance.items() if k in kept}
    return {"sha256": weights.sha256, **provenance}
