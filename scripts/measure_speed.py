"""Seconds per megapixel of photographs in memory, by size and precision.

    python scripts/measure_speed.py [--device cuda] [--megapixels 1 12 50] [--precision fp16 fp32]

Restores a photograph with noise of sigma 25 like ``baryir restore`` with the embedded weights, but
without files: the best of three, after one to warm up.
"""

from __future__ import annotations

import argparse
import time

import cv2
import numpy as np
import skimage.data

from baryir_cli.engine import Engine
from baryir_cli.weights.references import network_of
from train.degradations import floating, gaussian_noise, quantise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--megapixels", type=float, nargs="+", default=[1, 12, 50])
    parser.add_argument("--precision", nargs="+", default=["auto", "fp32"])
    options = parser.parse_args()
    network = network_of("small")
    for precision in options.precision:
        engine = Engine(network, device=options.device, precision=precision)
        for megapixels in options.megapixels:
            pixels = photograph(megapixels)
            times = []
            for _ in range(4):
                began = time.perf_counter()
                _, report = engine.restore(pixels)
                times.append(time.perf_counter() - began)
            print(
                f"{report.device} {report.precision} {megapixels:g} MP, {report.passes} passes,"
                f" {report.tiles} tiles: {min(times[1:]) / megapixels:.3f} s a megapixel",
                flush=True,
            )


def photograph(megapixels: float) -> np.ndarray:
    """A photograph of format 3:2, ``(H, W, 3)`` uint8."""
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    clean = cv2.resize(skimage.data.astronaut(), (round(1.5 * height), height))
    return quantise(gaussian_noise(floating(clean), np.random.default_rng(0), 25))


if __name__ == "__main__":
    main()
