"""Size and cost of the presets and of the barycenter maps, as tables for docs/networks.md.

    OMP_NUM_THREADS=1 python scripts/measure_networks.py [--presets tiny small paper] [--repeat 3]
    OMP_NUM_THREADS=1 python scripts/measure_networks.py --memory

Times are CPU seconds of this process, the least of ``--repeat`` passes. Other work on the machine
still affects them, since it shares the caches. Multiplications are counted without running.
"""

from __future__ import annotations

import argparse
import resource
import time
from dataclasses import replace

import torch
from torch import nn

from baryir_cli.evaluation.complexity import multiply_accumulates
from models.barycenter import BarycenterStage
from models.config import NetworkConfig
from models.maps import MAPS, SelfAttention
from models.network import build, parameter_count
from models.presets import PRESETS

TIMED = 128
"""Side of the timed image in pixels."""


def multiplications(config: NetworkConfig) -> float:
    """10^9 multiply-adds of one pass over an image of 256 x 256 pixels."""
    return multiply_accumulates(config) / 1e9


def seconds(module: nn.Module, shape: tuple[int, ...], repeat: int) -> float:
    x = torch.rand(shape).contiguous(memory_format=torch.channels_last)
    least = float("inf")
    with torch.inference_mode():
        for _ in range(repeat):
            started = time.process_time()
            module(x)
            least = min(least, time.process_time() - started)
    return least


def presets(names: list[str], repeat: int) -> None:
    print("| preset | parameters, M | map | prompts | 10^9 MACs at 256 | CPU s at 128 |")
    print("|---|---|---|---|---|---|")
    for name in names:
        config = PRESETS[name]
        network = build(config).eval()
        prompts = sum(parameter_count(level.prompt) for level in network.decoder.levels)
        cells = [
            f"{parameter_count(network) / 1e6:.2f}",
            f"{parameter_count(network.stage.map) / 1e6:.2f}",
            f"{prompts / 1e6:.2f}",
            f"{multiplications(config):.1f}",
            f"{seconds(network, (1, 3, TIMED, TIMED), repeat):.2f}",
        ]
        print(f"| `{name}` | {' | '.join(cells)} |", flush=True)


def maps(repeat: int) -> None:
    """Measures maps of preset ``paper`` on latents of images of 256 x 256 and 512 x 512 pixels."""
    print("| map | parameters, M | 10^9 MACs at 256 | CPU s at 256 | at 512 | first cost |")
    print("|---|---|---|---|---|---|")
    without = multiplications(replace(PRESETS["paper"], map_blocks=0))
    for name in MAPS:
        config = replace(PRESETS["paper"], map=name)
        torch.manual_seed(0)
        stage = BarycenterStage(config)
        with torch.no_grad():
            cost = stage(torch.randn(1, 384, 16, 16)).residual.square().mean().item()
        network = stage.map.to(memory_format=torch.channels_last)
        times = [seconds(network, (1, 384, side, side), repeat) for side in (32, 64)]
        cells = [
            f"{parameter_count(network) / 1e6:.2f}",
            f"{multiplications(config) - without:.2f}",
            *(f"{value:.2f}" for value in times),
            f"{cost:.3f}",
        ]
        print(f"| `{name}` | {' | '.join(cells)} |", flush=True)


def memory() -> None:
    """Measures self-attention on the 16,384 tokens of an image of 1,024 x 1,024 pixels.

    It has one head of 48 channels; the scores alone would be 1024 MiB.
    """
    attention = SelfAttention(48, 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with torch.inference_mode():
        attention(torch.randn(1, 48, 128, 128).contiguous(memory_format=torch.channels_last))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"self-attention on 16,384 tokens: {(peak - before) / 1024:.0f} MiB above the start")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--presets", nargs="*", choices=PRESETS, default=list(PRESETS))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--memory", action="store_true")
    args = parser.parse_args()
    if args.memory:
        memory()
        return
    presets(args.presets, args.repeat)
    print()
    maps(args.repeat)


if __name__ == "__main__":
    main()
