"""Several processes that share one batch, as torchrun starts them.

A single process needs none of this, and every function does nothing. In a team, each process holds
an equal part of the batch; losses and gradients equal those of one process with the whole batch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class _AllGather(torch.autograd.Function):
    """Joins every rank's tensor; gradients return to their rank, summed over all ranks' losses."""

    @staticmethod
    def forward(_: Any, tensor: Tensor) -> Tensor:
        tensor = tensor.contiguous()
        parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, tensor)
        return torch.cat(parts)

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        return gradient.chunk(dist.get_world_size())[dist.get_rank()]


@dataclass(frozen=True)
class Team:
    """The processes of a run; this one is number ``rank`` of ``size``."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes the files and messages."""
        return self.rank == 0

    def share(self, batch: int) -> range:
        """This process's samples of a batch."""
        return range(self.rank, batch, self.size)

    def wait(self) -> None:
        """Waits until all processes have come this far."""
        if self.size > 1:
            dist.barrier()

    def average_gradients(self, module: nn.Module) -> None:
        """Gives every process the gradients of the whole batch.

        All in one sum and in a fixed order. DDP changes its order after its first step, so a run
        would depend on how often it was interrupted.
        """
        if self.size == 1:
            return
        found = [p.grad for p in module.parameters() if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in found])
        dist.all_reduce(flat)
        parts = flat.div_(self.size).split([gradient.numel() for gradient in found])
        for gradient, part in zip(found, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def gather(self, tensor: Tensor) -> Tensor:
        """A tensor for the whole batch, rank by rank; differentiable."""
        if self.size == 1:
            return tensor
        return _AllGather.apply(tensor)

    def any(self, here: bool) -> bool:
        """Whether it is true in any process; all must call it."""
        if self.size == 1:
            return here
        # On the CPU, so that a GPU's queue does not have to drain.
        answer = torch.tensor(here, dtype=torch.uint8)
        dist.all_reduce(answer, dist.ReduceOp.MAX)
        return bool(answer)

    def gather_lines(self, lines: list[str]) -> list[str]:
        """The lines of every process; all must call it."""
        if self.size == 1:
            return lines
        parts: list[list[str]] = [[] for _ in range(self.size)]
        dist.all_gather_object(parts, lines)
        return [line for part in parts for line in part]


class TeamError(RuntimeError):
    """Another process of the run has ended."""


def local_device(name: str) -> str:
    """This process's own device: with one process per GPU, ``cuda`` means ``cuda:N``."""
    local = os.environ.get("LOCAL_RANK")
    if local and name in ("auto", "cuda") and torch.cuda.is_available():
        return f"cuda:{local}"
    return name


@contextmanager
def team(device: torch.device) -> Iterator[Team]:
    """Joins the other processes that torchrun started, if any.

    Raises:
        TeamError: another process ended before this one.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Team()
        return
    # An optimiser imports this later. If a group exists by then, it keeps the group alive, whose
    # threads outlive the interpreter and sometimes abort a process that has finished.
    import torch._dynamo

    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    try:
        yield Team(dist.get_rank(), size)
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or "gloo" in str(error):
            raise TeamError("another process of the run has ended") from error
        raise
    finally:
        dist.destroy_process_group()
