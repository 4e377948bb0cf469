"""Peak memory and time of ``baryir restore`` on large images.

    python scripts/measure_memory.py --megapixels 1 24 100 [--shaken PHOTO] [--ground]

Makes a photograph-like image of each size, or tiles it from a sharp PHOTO, mirrored and shaken, and
lays it slanted on white with ``--ground``.
Restores it in its own process and prints that process's peak resident memory beside the decoded
image's size. The difference between sizes is the cost of an image. The promise is 1.5 GiB above the
decoded image's own size at 100 megapixels.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from train.degradations import floating, quantise
from train.degradations.shake import motion_blur, shake_kernel


def make_image(path: Path, megapixels: float, photo: Path | None, *, on_ground: bool) -> None:
    side = max(8, round((megapixels * 1e6) ** 0.5))
    image = smooth(side) if photo is None else shaken(photo, side)
    if on_ground:
        corners = side * np.array([(0.06, 0.03), (0.97, 0.06), (0.94, 0.97), (0.03, 0.94)])
        part = cv2.fillConvexPoly(np.zeros((side, side), np.uint8), corners.astype(np.int32), 1)
        image[part == 0] = 255
    cv2.imwrite(str(path), image, [cv2.IMWRITE_PNG_COMPRESSION, 1])


def smooth(side: int) -> NDArray[np.uint8]:
    coarse = np.random.default_rng(0).integers(
        0, 256, (side // 64 + 2, side // 64 + 2, 3), np.uint8
    )
    return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)


def shaken(photo: Path, side: int) -> NDArray[np.uint8]:
    """A sharp photograph, repeated with mirror images beside and below, all shaken alike."""
    image = cv2.imread(str(photo))
    if image is None:
        raise SystemExit(f"{photo} cannot be read")
    block = np.concatenate([image, image[:, ::-1]], 1)
    block = np.concatenate([block, block[::-1]], 0)
    reach = 32
    around = np.pad(block, [(reach, reach), (reach, reach), (0, 0)], "wrap")
    kernel = shake_kernel(np.random.default_rng(0), extent=16)
    block = quantise(motion_blur(floating(around), kernel))[reach:-reach, reach:-reach]
    times = [-(-side // length) for length in block.shape[:2]]
    return np.tile(block, (*times, 1))[:side, :side]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megapixels", type=float, nargs="+", default=[1, 24, 100])
    parser.add_argument("--shaken", type=Path, metavar="PHOTO")
    parser.add_argument("--ground", action="store_true")
    parser.add_argument("--weights", default="small")
    parser.add_argument("--tile")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    options = ["--weights", args.weights, "--device", args.device]
    if args.tile is not None:
        options += ["--tile", args.tile]
    print("| megapixels | decoded, MiB | peak | above it | tile | tiles | shake | s | s wall |")
    print("|---|---|---|---|---|---|---|---|---|")
    for megapixels in args.megapixels:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "in.png"
            make_image(source, megapixels, args.shaken, on_ground=args.ground)
            print(row(source, Path(folder) / "out.png", options), flush=True)


def row(source: Path, target: Path, options: list[str]) -> str:
    command = [sys.executable, "-m", "baryir_cli", "restore", str(source), str(target), "--json"]
    answer = source.with_suffix(".json")
    started = time.perf_counter()
    with answer.open("wb") as out:
        process = subprocess.Popen(command + options, stdout=out)
        # wait4 gives this child's own peak; getrusage would give the largest of all children.
        _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    if status:
        raise SystemExit(f"baryir restore failed with status {status}")
    line = json.loads(answer.read_text())
    decoded = line["width"] * line["height"] * 3 / 2**20
    peak = usage.ru_maxrss / 1024
    size = line["width"] * line["height"] / 1e6
    tile = f"{line['tile'][0]} x {line['tile'][1]}"
    return (
        f"| {size:.1f} | {decoded:.0f} | {peak:.0f} | {peak - decoded:.0f} | {tile} "
        f"| {line['tiles']} | {line['shake']:.1f} | {line['seconds']:.1f} | {wall:.1f} |"
    )


if __name__ == "__main__":
    main()
