"""PSNR and SSIM of the degraded and of the restored images of every test set.

    python scripts/score.py --data ../shared/data/test [--weights small] [--json FILE]

Whole sets, uint8 RGB, no border cut; SSIM is scikit-image's with its 7 x 7 window. Noise is
``round(image + numpy.random.default_rng(i).normal(0, sigma))`` for the i-th file by name, as
uint8. ``clean`` is bsd68 without degradation: what the network does to a photograph that needs
nothing, against itself.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from baryir_cli.device import keep_freed_memory
from baryir_cli.engine import Engine
from baryir_cli.references import network_of
from train.folders import image_files

Pair = tuple[np.ndarray, np.ndarray]


def noisy(folder: Path, sigma: float) -> Iterator[Pair]:
    for index, path in enumerate(image_files(folder)):
        clean = read(path)
        noise = np.random.default_rng(index).normal(0, sigma, clean.shape)
        yield np.clip(np.round(clean + noise), 0, 255).astype(np.uint8), clean


def pairs(degraded: Path, target: Path) -> Iterator[Pair]:
    """Pairs by name: rain-X ~ norain-X, NNNN_A_beta ~ NNNN, else the same stem."""
    targets = {p.stem.removeprefix("norain-"): p for p in image_files(target)}
    for path in image_files(degraded):
        stem = path.stem.removeprefix("rain-")
        partner = targets.get(stem) or targets[stem.split("_")[0]]
        yield read(path), read(partner)


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def sets(data: Path, limit: int | None) -> Iterator[tuple[str, list[Pair]]]:
    bsd = data / "denoise" / "bsd68"
    for sigma in (15, 25, 50):
        yield f"bsd68 sigma {sigma}", list(noisy(bsd, sigma))[:limit]
    folders = {
        "Rain100L": data / "derain" / "Rain100L",
        "lowlight (LOL-v1)": data / "lowlight",
        "dehaze (stand-in)": data / "dehaze",
        "deblur (stand-in)": data / "deblur",
    }
    for name, folder in folders.items():
        names = ("low", "high") if folder.name == "lowlight" else ("input", "target")
        yield name, list(pairs(folder / names[0], folder / names[1]))[:limit]
    yield "clean (bsd68)", [(clean, clean) for _, clean in noisy(bsd, 0)][:limit]


def score(image: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    with np.errstate(divide="ignore"):
        psnr = peak_signal_noise_ratio(target, image, data_range=255)
    return psnr, structural_similarity(target, image, channel_axis=2, data_range=255)


@dataclass
class Row:
    """Means over one set."""

    name: str
    images: int
    input_psnr: float
    input_ssim: float
    psnr: float
    ssim: float
    seconds_per_megapixel: float

    def markdown(self) -> str:
        gain = self.psnr - self.input_psnr
        cells = [
            f"{value:{style}}" if math.isfinite(value) else "-"
            for value, style in [
                (self.input_psnr, ".2f"),
                (self.input_ssim, ".3f"),
                (self.psnr, ".2f"),
                (self.ssim, ".3f"),
                (gain, "+.2f"),
                (self.seconds_per_megapixel, ".2f"),
            ]
        ]
        return f"| {self.name} | {self.images} | {' | '.join(cells)} |"

    def to_dict(self) -> dict[str, float | None]:
        """Rounded, and None where a figure is infinite, which JSON cannot say."""
        values = asdict(self)
        del values["name"]
        return {k: round(v, 4) if math.isfinite(v) else None for k, v in values.items()}


def measure(name: str, images: list[Pair], engine: Engine, pool: ThreadPoolExecutor) -> Row:
    scored, seconds, pixels = [], 0.0, 0
    console = Console(stderr=True)
    for degraded, target in track(images, name, console=console, transient=True):
        started = time.perf_counter()
        restored, _ = engine.restore(degraded)
        seconds += time.perf_counter() - started
        pixels += target.shape[0] * target.shape[1]
        scored.append((pool.submit(score, degraded, target), pool.submit(score, restored, target)))
    before, after = (np.mean([s[i].result() for s in scored], 0) for i in (0, 1))
    return Row(name, len(images), *map(float, (*before, *after)), seconds / pixels * 1e6)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", default="small")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--tile", type=int)
    parser.add_argument("--overlap", type=int)
    parser.add_argument("--limit", type=int, help="only the first images of each set")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    keep_freed_memory()
    engine = Engine(
        network_of(args.weights),
        device=args.device,
        precision=args.precision,
        tile=args.tile,
        overlap=args.overlap,
    )
    print(f"{args.weights}, {engine.device}, {engine.precision}, tile {args.tile or 'auto'}\n")
    print("| set | images | input PSNR | SSIM | restored PSNR | SSIM | gain | s/MP |")
    print("|---|---|---|---|---|---|---|---|")
    rows = []
    with ThreadPoolExecutor() as pool:
        for name, images in sets(args.data, args.limit):
            rows.append(measure(name, images, engine, pool))
            print(rows[-1].markdown(), flush=True)
    if args.json:
        args.json.write_text(json.dumps({r.name: r.to_dict() for r in rows}, indent=1))


if __name__ == "__main__":
    main()
