"""Several processes on one batch: what torchrun started, and what they share.

Alone, every function does nothing. Together, each process holds an equal part of the batch, and
losses and gradients are those of one process with the whole batch.
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
    """Every rank's tensor, joined; gradients go home and are summed over the ranks' losses."""

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
    """The processes of a run; this one is ``rank`` of ``size``."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def share(self, batch: int) -> range:
        """Which samples of a batch are this process's."""
        return range(self.rank, batch, self.size)

    def wait(self) -> None:
        """Until all have come this far."""
        if self.size > 1:
            dist.barrier()

    def average_gradients(self, module: nn.Module) -> None:
        """Gradients of one process with the whole batch, in every process.

        All at once and in one order: DDP sums in another after its first step, so that a run would
        depend on how often it was interrupted.
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
        """The whole batch of a tensor, differentiable, rank by rank."""
        if self.size == 1:
            return tensor
        return _AllGather.apply(tensor)

    def any(self, here: bool) -> bool:
        """Whether it is so in one of the processes; all have to take part."""
        if self.size == 1:
            return here
        # On the CPU: a GPU's queue need not run empty for it.
        answer = torch.tensor(here, dtype=torch.uint8)
        dist.all_reduce(answer, dist.ReduceOp.MAX)
        return bool(answer)

    def gather_lines(self, lines: list[str]) -> list[str]:
        """The lines of every process; all have to take part."""
        if self.size == 1:
            return lines
        parts: list[list[str]] = [[] for _ in range(self.size)]
        dist.all_gather_object(parts, lines)
        return [line for part in parts for line in part]


class TeamError(RuntimeError):
    """Another process of the run has ended."""


def local_device(name: str) -> str:
    """The device of this process where torchrun started one for each: ``cuda`` is ``cuda:N``."""
    local = os.environ.get("LOCAL_RANK")
    if local and name in ("auto", "cuda") and torch.cuda.is_available():
        return f"cuda:{local}"
    return name


@contextmanager
def team(device: torch.device) -> Iterator[Team]:
    """Joins the processes that torchrun started with this one, if it did.

    Raises:
        TeamError: another process ended before this one.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Team()
        return
    # An optimiser imports it. Where there is a group by then, it keeps it: its threads then outlive
    # the interpreter, and now and then abort a process that has done its work.
    import torch._dynamo

    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    try:
        yield Team(dist.get_rank(), size)
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or "gloo" in str(error):
            raise TeamError("another process of the run ended") from error
        raise
    finally:
        dist.destroy_process_group()
