"""The cost of a network: parameters, multiply-accumulates and seconds, as in Table XII."""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import dataclass

import torch

from baryir_cli.benches import paper_rows
from baryir_cli.engine.device import DTYPES, resolve_device, resolve_precision
from baryir_cli.errors import UsageError
from baryir_cli.evaluation.sheet import Sheet, Table
from baryir_cli.weights.references import embedded, network_of, resolved
from models.config import NetworkConfig
from models.network import BaryIR, build, channels_last, parameter_count
from models.presets import PRESETS, preset
from models.weights import skeleton

SIDE = 256
"""Side of the input in pixels, as in the paper."""
RUNS = 5
PATIENCE = 60.0
"""Seconds after which no further run starts."""
HEADINGS = ("network", "parameters", "multiply-accumulates", "seconds")
CONVENTION = (
    f"at {SIDE} x {SIDE}; only multiply-accumulates of convolutions and matrix products (half of "
    "what torch.utils.flop_counter counts); seconds are the median of a forward pass"
)


@dataclass(frozen=True)
class Complexity:
    """Cost of a network for one image of 256 x 256 pixels."""

    name: str
    parameters: int
    macs: int
    seconds: float
    runs: int
    device: str
    precision: str
    random: bool = False
    """Whether it is a preset with random weights."""

    def cells(self) -> tuple[str, ...]:
        """The formatted cells under :data:`HEADINGS`."""
        return (
            self.name,
            f"{self.parameters / 1e6:.2f}M",
            f"{self.macs / 1e9:.2f}G",
            f"{self.seconds:.3f}",
        )

    def sheet(self) -> Sheet:
        """The cost below the paper's table."""
        paper = [tuple(row.values()) for row in paper_rows("complexity")]
        what = f"{self.name}, a preset with random weights" if self.random else self.name
        how = f"{what}: {self.device}, {self.precision}, passes: {self.runs}; {CONVENTION}"
        notes = [
            how,
            "The paper names neither the machine of its seconds nor how it counts operations; its "
            "BaryIR is written as backbone + barycenter's share",
        ]
        table = Table(HEADINGS, [*paper, self.cells()], 1, ours=-1)
        return Sheet([table], "Complexity, with the paper's Table XII", notes=notes)

    def to_json(self) -> str:
        """The cost as JSON."""
        return json.dumps({**self.__dict__, "side": SIDE}, indent=1) + "\n"


def measure(
    reference: str | None = None, device: str = "auto", precision: str = "auto"
) -> Complexity:
    """Counts and times weights, or a preset with random weights.

    Args:
        reference: to weights, or the name of a preset; None for the user's default.

    Raises:
        UsageError: no such weights or preset, or no such device.
        UserError: the weights cannot be read.
    """
    (name, network, random), _ = resolved(reference, _found)
    where = resolve_device(device)
    kind = resolve_precision(precision, where)
    image = torch.rand(1, 3, SIDE, SIDE)
    parameters = parameter_count(network)
    macs = multiply_accumulates(network.config)
    network = channels_last(network.to(where, DTYPES[kind]))
    times = _times(network, image.to(where, DTYPES[kind], memory_format=torch.channels_last))
    return Complexity(
        name, parameters, macs, statistics.median(times), len(times), str(where), kind, random
    )


def multiply_accumulates(config: NetworkConfig) -> int:
    """Counts convolutions and matrix products of one forward pass of 256 x 256 pixels.

    Only shapes are used; nothing is computed.
    """
    from torch.utils.flop_counter import FlopCounterMode

    network = skeleton(config)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.empty(1, 3, SIDE, SIDE, device="meta"))
    return counter.get_total_flops() // 2


def _found(name: str) -> tuple[str, BaryIR, bool]:
    """The name, its network, and whether that is a preset with random weights."""
    if name in PRESETS and name not in embedded():
        return name, build(preset(name)).eval().requires_grad_(False), True
    return name, _weights(name), False


def _weights(name: str) -> BaryIR:
    try:
        return network_of(name)
    except UsageError as error:
        raise UsageError(f"{error}, or a preset ({', '.join(PRESETS)})") from None


@torch.inference_mode()
def _times(network: BaryIR, image: torch.Tensor) -> list[float]:
    """Seconds of each forward pass, after one to warm up."""

    def once() -> float:
        started = time.perf_counter()
        network(image)
        if image.device.type == "cuda":
            torch.cuda.synchronize(image.device)
        elif image.device.type == "mps":
            torch.mps.synchronize()
        return time.perf_counter() - started

    began = time.perf_counter()
    first = once()
    times: list[float] = []
    while len(times) < RUNS and time.perf_counter() - began + first < PATIENCE:
        times.append(once())
    return times or [first]
