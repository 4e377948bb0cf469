"""How much faster the engine is than a plain float32 forward of the same network.

    python scripts/measure_ratio.py [--preset official] [--side 256] [--device cpu] [--rounds 3]

The plain forward is what a few lines of PyTorch do: float32, eager, NCHW, no tiles. Both run in
turn, in their own processes (the engine changes how freed memory is kept), and their medians are
compared. Weights are random, which costs the same. PSNR compares the engine's result with the plain
one.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import skimage.data
import torch

from baryir_cli.engine import Engine
from baryir_cli.metrics import scorer
from models.light import Pixels
from models.network import BaryIR, build
from models.presets import PRESETS

REPEAT = 5
"""Images per round, of which the median counts; one more warms up."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="official", choices=sorted(PRESETS))
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    asked = (options.preset, options.side, options.device)
    ratios, psnr = [], 0.0
    for _ in range(options.rounds):
        plain, expected = alone(plainly, *asked)
        ours, result = alone(by_engine, *asked, options.precision)
        ratios.append(plain / ours)
        psnr = scorer("psnr")(result, expected)
        print(f"plain {plain:.3f} s, engine {ours:.3f} s, {plain / ours:.2f} times", flush=True)
    print(f"{statistics.median(ratios):.2f} times as fast, {psnr:.1f} dB against the plain one")


def alone(way: Callable[..., tuple[float, Pixels]], *asked: object) -> tuple[float, Pixels]:
    """Seconds per image and the result, in a new process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(way, *asked).result()


def plainly(preset: str, side: int, device: str) -> tuple[float, Pixels]:
    network = random_network(preset).to(device)
    pixels = photograph(side)

    @torch.no_grad()
    def restore() -> Pixels:
        x = torch.from_numpy(pixels).to(device).permute(2, 0, 1)[None].float() / 255
        restored = (x + network(x).correction).clamp(0, 1).mul(255).round().byte()
        return np.ascontiguousarray(restored[0].permute(1, 2, 0).cpu().numpy())

    return timed(restore)


def by_engine(preset: str, side: int, device: str, precision: str) -> tuple[float, Pixels]:
    engine = Engine(random_network(preset), device=device, precision=precision)
    pixels = photograph(side)
    return timed(lambda: engine.restore(pixels)[0])


def random_network(preset: str) -> BaryIR:
    torch.manual_seed(0)
    return build(PRESETS[preset]).eval()


def photograph(side: int) -> Pixels:
    """``(side, side, 3)`` uint8, a photograph repeated side by side."""
    clean = skimage.data.astronaut()
    times = -(-side // clean.shape[0])
    return np.ascontiguousarray(np.tile(clean, (times, times, 1))[:side, :side])


def timed(restore: Callable[[], Pixels]) -> tuple[float, Pixels]:
    result, seconds = restore(), []
    for _ in range(REPEAT):
        began = time.perf_counter()
        result = restore()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds), result


if __name__ == "__main__":
    main()
