"""Muon: orthogonalised momentum for the matrices of a network, AdamW for the rest.

After Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024
(kellerjordan.github.io/posts/muon), scaled to AdamW's step sizes as in Liu et al., "Muon is
scalable for LLM training", 2025.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from models.hardware import gains_by_bf16

SMALLEST_SIDE = 8
"""A smaller matrix has too few directions to equalise."""
STEP = 0.2
"""Root mean square of an update at a learning rate of 1, about that of AdamW."""
QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients of a x + b x^3 + c x^5, whose iterates bring all of (0, 1] close to 1."""
ITERATIONS = 5


def matrices(network: nn.Module) -> list[Tensor]:
    """The weights of linear layers and of convolutions that mix channels."""
    layers = (m for m in network.modules() if isinstance(m, (nn.Linear, nn.Conv2d)))
    weights = (m.weight for m in layers if getattr(m, "groups", 1) == 1)
    return [w for w in weights if min(len(w), w[0].numel()) >= SMALLEST_SIDE]


def orthogonal(matrices: Tensor) -> Tensor:
    """Approximate orthogonal factors of ``(k, m, n)``, by Newton-Schulz; bfloat16 suffices."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    if gains_by_bf16(x.device):
        x = x.bfloat16()
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    a, b, c = QUINTIC
    for _ in range(ITERATIONS):
        square = x @ x.mT
        # Three products and nothing between: on a GPU, launches cost more than the arithmetic.
        factor = torch.baddbmm(square, square, square, beta=b, alpha=c)
        x = torch.baddbmm(x, factor, x, beta=a)
    # In the memory layout of the weights, or they are not updated in one call.
    return x.mT.contiguous() if tall else x


def steps_along(directions: Sequence[Tensor]) -> list[Tensor]:
    """The orthogonal factor of every weight's direction, scaled to :data:`STEP`.

    Weights of one shape are computed together: one by one, such small products leave a GPU idle.
    """
    alike: dict[torch.Size, list[int]] = {}
    for i, direction in enumerate(directions):
        alike.setdefault(direction.shape, []).append(i)
    steps = list(directions)
    for members in alike.values():
        # Channels last, as in memory; the order of columns does not matter.
        stacked = torch.stack([directions[i].movedim(1, -1) for i in members])
        matrices = stacked.flatten(2)
        scale = STEP * max(matrices.shape[1:]) ** 0.5
        found = (scale * orthogonal(matrices)).to(stacked.dtype).view(stacked.shape)
        for i, step in zip(members, found.movedim(-1, 2), strict=True):
            steps[i] = step
    return steps


class Muon(torch.optim.Optimizer):
    """Steps along the orthogonal factor of the gradient's Nesterov momentum.

    Args:
        network: its :func:`matrices` take such steps, its other parameters those of AdamW.
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
            parameters = [p for p in group["params"] if p.grad is not None]
            if parameters:
                updates = update(parameters, [p.grad for p in parameters], group)
                torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(parameters, updates, alpha=-group["lr"])

    def _orthogonal(
        self, parameters: list[Tensor], gradients: list[Tensor], group: dict[str, Any]
    ) -> list[Tensor]:
        means = self._kept("mean", parameters)
        torch._foreach_lerp_(means, gradients, 1 - group["momentum"])
        return steps_along(torch._foreach_lerp(gradients, means, group["momentum"]))

    def _adam(
        self, parameters: list[Tensor], gradients: list[Tensor], group: dict[str, Any]
    ) -> list[Tensor]:
        first, second = group["betas"]
        means, squares = self._kept("mean", parameters), self._kept("square", parameters)
        torch._foreach_lerp_(means, gradients, 1 - first)
        torch._foreach_lerp_(squares, torch._foreach_mul(gradients, gradients), 1 - second)
        steps = [self._count(parameter) for parameter in parameters]
        levels = torch._foreach_div(squares, [1 - second**n for n in steps])
        torch._foreach_sqrt_(levels)
        torch._foreach_add_(levels, 1e-8)
        updates = torch._foreach_div(means, [1 - first**n for n in steps])
        torch._foreach_div_(updates, levels)
        return list(updates)

    def _count(self, parameter: Tensor) -> int:
        """Counts a parameter's steps, this one included."""
        state = self.state[parameter]
        state["step"] = state.get("step", 0) + 1
        return int(state["step"])

    def _kept(self, name: str, parameters: list[Tensor]) -> list[Tensor]:
        """A running mean for every parameter, which starts at 0."""
        for parameter in parameters:
            if name not in self.state[parameter]:
                self.state[parameter][name] = torch.zeros_like(parameter)
        return [self.state[parameter][name] for parameter in parameters]
