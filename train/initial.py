"""Starting a run from weights instead of random values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from models.network import BaryIR
from models.weights import Weights, WeightsError


def start_from(network: BaryIR, weights: Weights) -> None:
    """Copies weights of the same network into one that is to be trained.

    Raises:
        WeightsError: they are of another network; the first difference in config is named.
    """
    state = {name: tensor.float() for name, tensor in weights.state.items()}
    # How edges are shown to the network is no part of its training.
    config = replace(weights.config, margin=network.config.margin)
    ours, theirs = network.config.to_dict(), config.to_dict()
    for name, value in ours.items():
        if theirs[name] != value:
            raise WeightsError(f"weights of another network: {name} {theirs[name]}, not {value}")
    network.load_state_dict(state)


def ancestry(weights: Weights) -> dict[str, Any]:
    """What the provenance of a run's own weights says of those it started from."""
    kept = ("name", "steps", "date", "recipe", "data", "start")
    provenance = {k: v for k, v in weights.provenance.items() if k in kept}
    return {"sha256": weights.sha256, **provenance}
