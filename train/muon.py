"""Muon: momentum, made orthogonal, for the matrices of a network; AdamW for the rest of it.

After Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024
(kellerjordan.github.io/posts/muon), scaled to AdamW's step sizes as in Liu et al., "Muon is
scalable for LLM training", 2025.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from models.hardware import multiplies_bf16

SMALLEST_SIDE = 8
"""Below, a matrix has too few directions to make them equal."""
STEP = 0.2
"""Root mean square of an update, for a learning rate of 1: about AdamW's."""
QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients of a x + b x^3 + c x^5, whose iterates send all of (0, 1] near 1."""
ITERATIONS = 5


def matrices(network: nn.Module) -> list[Tensor]:
    """The weights of linear layers and of convolutions that mix channels."""
    layers = (m for m in network.modules() if isinstance(m, (nn.Linear, nn.Conv2d)))
    weights = (m.weight for m in layers if getattr(m, "groups", 1) == 1)
    return [w for w in weights if min(len(w), w[0].numel()) >= SMALLEST_SIDE]


def orthogonal(matrix: Tensor) -> Tensor:
    """Nearly the orthogonal factor of ``(m, n)``, by Newton-Schulz; bfloat16 is exact enough."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    if multiplies_bf16(x.device):
        x = x.bfloat16()
    x = x / (x.norm() + 1e-7)
    a, b, c = QUINTIC
    for _ in range(ITERATIONS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """Steps along the orthogonal factor of the gradient's momentum (Nesterov's).

    Args:
        network: its :func:`matrices` take such steps, its other parameters AdamW's.
        lr: learning rate of both.
        weight_decay: of both, decoupled.
    """

    def __init__(
        self,
        network: nn.Module,
        lr: float,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
    ) -> None:
        mixing = matrices(network)
        known = {id(parameter) for parameter in mixing}
        others = [p for p in network.parameters() if id(p) not in known]
        groups = [
            {"params": mixing, "orthogonal": True},
            {"params": others, "orthogonal": False},
        ]
        defaults = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "betas": betas}
        super().__init__([group for group in groups if group["params"]], defaults)

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            update = self._orthogonal if group["orthogonal"] else self._adam
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.sub_(group["lr"] * update(parameter, parameter.grad, group))

    def _orthogonal(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["mean"] = torch.zeros_like(parameter)
        mean = state["mean"].lerp_(gradient, 1 - group["momentum"])
        ahead = gradient.lerp(mean, group["momentum"])
        matrix = ahead.reshape(len(ahead), -1)
        scale = STEP * max(matrix.shape) ** 0.5
        return (scale * orthogonal(matrix)).to(parameter.dtype).view(parameter.shape)

    def _adam(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
        state, (first, second) = self.state[parameter], group["betas"]
        if not state:
            state |= {"step": 0, "mean": torch.zeros_like(parameter)}
            state["square"] = torch.zeros_like(parameter)
        state["step"] += 1
        mean = state["mean"].lerp_(gradient, 1 - first) / (1 - first ** state["step"])
        square = state["square"].lerp_(gradient.square(), 1 - second)
        return mean / ((square / (1 - second ** state["step"])).sqrt() + 1e-8)
