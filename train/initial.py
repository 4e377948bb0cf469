"""Starting a run from weights instead of random values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from models.network import AFFINE_FIELDS, BaryIR
from models.weights import Weights, WeightsError


def start_from(network: BaryIR, weights: Weights) -> None:
    """Copies weights of the same network into one that is to be trained.

    Weights without a gain (``affine`` false) fit a network with one; gain and offset start at 0.

    Raises:
        WeightsError: they are of another network; the first difference in config is named.
    """
    state = {name: tensor.float() for name, tensor in weights.state.items()}
    # How edges are shown to the network is no part of its training.
    config = replace(weights.config, margin=network.config.margin)
    if network.config.affine and not config.affine:
        config = replace(config, affine=True)
        state["head.project.weight"] = _with_gain(state["head.project.weight"])
    ours, theirs = network.config.to_dict(), config.to_dict()
    for name, value in ours.items():
        if theirs[name] != value:
            raise WeightsError(f"weights of another network: {name} {theirs[name]}, not {value}")
    network.load_state_dict(state)


def _with_gain(detail: Tensor) -> Tensor:
    return torch.cat([detail, detail.new_zeros(AFFINE_FIELDS, *detail.shape[1:])])


def ancestry(weights: Weights) -> dict[str, Any]:
    """What the provenance of a run's own weights says of those it started from."""
    kept = ("name", "steps", "date", "recipe", "data", "start")
    provenance = {k: v for k, v in weights.provenance.items() if k in kept}
    return {"sha256": weights.sha256, **provenance}
