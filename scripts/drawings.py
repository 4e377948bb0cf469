"""Draws pictures of what a network that knows photographs alone takes for rain, noise or darkness.

    python scripts/drawings.py ../shared/data/Train/Denoise OUT

They are cloth, walls, wires before a photograph, engravings and halftones of one, letters, starry
skies and scenes under water. Train with ``--clean OUT``: all of it is to stay as it is. Takes two
minutes.
"""

from __future__ import annotations

import argparse
import string
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont
from rich.progress import track

from models.light import Image
from train import degradations
from train.degradations.draws import log_uniform
from train.folders import SourceError, photographs
from train.images import decode

SIDE, FINER = 416, 3
"""Pixels of a picture's side, and how many times finer it is drawn."""
Rng = np.random.Generator
Motif = Callable[[], Image]
"""Draws a photograph, ``(SIDE, SIDE, 3)``, 0 to 1."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=480)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    args = parser.parse_args()
    try:
        found = photographs([args.photographs])
    except SourceError as error:
        parser.error(str(error))
    args.out.mkdir(parents=True, exist_ok=True)
    for number in track(range(args.count), "Drawings"):
        kind = args.kinds[number % len(args.kinds)]
        rng = np.random.default_rng([args.seed, number])
        drawn = KINDS[kind](rng, partial(motif, found, rng))
        picture = Pillow.fromarray(degradations.quantise(drawn.clip(0, 1)))
        picture.save(args.out / f"{kind}-{args.seed}-{number:04}.png")


def motif(files: Sequence[Path], rng: Rng) -> Image:
    """A part of one of the photographs in these files."""
    whole = degradations.floating(decode(files[int(rng.integers(len(files)))]))
    scale = max(SIDE / min(whole.shape[:2]), 0.5) * 1.001
    sized = resized(whole, scale, cv2.INTER_AREA)
    top, left = (rng.integers(0, side - SIDE + 1) for side in sized.shape[:2])
    return sized[top : top + SIDE, left : left + SIDE]


def cloth(rng: Rng, photograph: Motif) -> Image:
    """Woven threads, nets, stripes and tiles, whole or as a part of a photograph."""
    across, down = folded(rng, log_uniform(rng, 2.2, 12))
    warp, weft = ridge(across), ridge(down * rng.uniform(0.7, 1.4))
    weave = rng.choice(["woven", "net", "stripes", "tiles", "dots"])
    if weave == "woven":
        over = np.sign(np.sin(np.pi * across) * np.sin(np.pi * down)) / 2 + 0.5
        cover = np.maximum(warp * (0.6 + 0.4 * over), weft * (1 - 0.4 * over))
    elif weave == "net":
        cover = np.maximum(warp, weft) ** rng.uniform(2, 8)
    elif weave == "stripes":
        cover = warp
    elif weave == "tiles":
        rows = np.floor(down / 2)
        cover = np.maximum(ridge(across / 3 + rows * 0.5), ridge(down / 2)) ** rng.uniform(6, 20)
    else:
        cover = (warp * weft) ** rng.uniform(0.5, 3)
    image = between(rng, shrunk(cover)) * light(rng)
    if rng.random() < 0.6:
        where = patch_of(rng)
        image = image * where + photograph() * (1 - where)
    return image


def walls(rng: Rng, _photograph: Motif) -> Image:
    """Bricks, slabs and plaster of little contrast, as wide as the picture."""
    across, down = folded(rng, log_uniform(rng, 15, 90), folds=rng.uniform(0, 0.2))
    down = down * rng.uniform(1, 3)
    row = np.floor(down).astype(int)
    across = across + rng.choice([0, 0.5]) * (row % 2)
    shades = rng.normal(0, 1, (997, 3)) * rng.uniform(0, 0.3) + rng.normal(0, 1, (997, 1))
    shade = shades[(np.floor(across).astype(int) * 31 + row * 57) % 997].astype(np.float32)
    joint = np.maximum(ridge(across), ridge(down))[..., None] ** np.float32(rng.uniform(15, 80))
    faces = np.concatenate([shrunk(plane) for plane in np.moveaxis(shade, 2, 0)], 2)
    strength = np.float32(log_uniform(rng, 0.01, 0.12))
    ground = colour(rng, shade=rng.uniform(0.25, 0.8))
    rough = grain(rng) * np.float32(log_uniform(rng, 0.01, 0.1))
    joints = shrunk(joint[..., 0]) * np.float32(rng.normal(0, 0.15))
    return (ground + faces * strength + rough + joints) * light(rng)


def grain(rng: Rng) -> Image:
    """Roughness at all scales, of deviation 1, ``(SIDE, SIDE, 1)``."""
    total = np.zeros((SIDE, SIDE), np.float32)
    for size in (1, 2, 4, 8, 16, 32):
        coarse = rng.standard_normal((SIDE // size + 1,) * 2).astype(np.float32)
        layer = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        total += layer * np.float32(size ** rng.normal(0.3, 0.2) if size > 1 else 0.3)
    return (total / total.std())[..., None]


def wires(rng: Rng, photograph: Motif) -> Image:
    """Wires, ropes, twigs and bars, single and in rows, before a photograph or a plain wall."""
    image = photograph() if rng.random() < 0.75 else colour(rng) * light(rng)
    for _ in range(rng.integers(1, 6)):
        lines = bundle(rng)
        image = image + lines * (colour(rng, shade=rng.choice([0.1, 0.5, 0.9])) - image)
    return image


def bundle(rng: Rng) -> Image:
    """How much a few parallel lines cover of each pixel, ``(SIDE, SIDE, 1)``."""
    canvas = np.zeros((SIDE * FINER, SIDE * FINER), np.uint8)
    angle, sag = rng.uniform(0, np.pi), rng.normal(0, 0.1)
    direction = np.array([np.cos(angle), np.sin(angle)])
    normal = np.array([-direction[1], direction[0]])
    width = max(1, round(FINER * log_uniform(rng, 0.5, 3)))
    count, gap = (1, 0.0) if rng.random() < 0.4 else (rng.integers(2, 30), log_uniform(rng, 4, 40))
    start, reach = rng.uniform(0, 1, 2), rng.uniform(0.2, 1.5)
    along = np.linspace(-reach, reach, 60)[:, None]
    for number in range(count):
        curve = start + along * direction + (sag * (along**2 - 1) + number * gap / SIDE) * normal
        points = np.round(curve * SIDE * FINER * 16).astype(np.int32)
        cv2.polylines(canvas, [points], False, 255, width, cv2.LINE_AA, shift=4)
    return shrunk(canvas / np.float32(255)) * np.float32(rng.uniform(0.3, 1))


def prints(rng: Rng, photograph: Motif) -> Image:
    """A photograph as an engraving or a halftone shows it: lines or dots of ink on paper."""
    fine = resized(photograph(), FINER, cv2.INTER_LINEAR)
    tones = np.asarray(cv2.GaussianBlur(fine, (0, 0), FINER * rng.uniform(0.5, 3)), np.float32)
    paper = colour(rng, shade=0.9)
    period, harshness = log_uniform(rng, 3, 9), rng.uniform(3, 10)
    in_colour = rng.random() < 0.3
    has_dots, folds = in_colour or rng.random() < 0.5, rng.choice([0.0, 0.3])

    def inked(tone: Image) -> Image:
        across, down = folded(rng, period, folds)
        screen = (ridge(across) + ridge(down)) / 2 if has_dots else ridge(across)
        return shrunk(np.clip((screen - (0.1 + 0.8 * tone)) * harshness + 0.5, 0, 1))

    if in_colour:  # cyan, magenta, yellow: each ink takes its own colour from the paper
        inks = [inked(tones[..., channel]) for channel in range(3)]
        return paper * (1 - np.concatenate(inks, 2) * np.float32(rng.uniform(0.6, 0.95)))
    return paper + inked(tones.mean(2)) * (colour(rng, shade=0.1) - paper)


def letters(rng: Rng, photograph: Motif) -> Image:
    """Lines of letters, dark on light or light on dark, or upon a photograph."""
    canvas = Pillow.new("L", (SIDE * FINER, SIDE * FINER))
    draw, top, size = ImageDraw.Draw(canvas), 0.0, 0.0
    while top < SIDE:
        if rng.random() < 0.3 or not size:
            size = log_uniform(rng, 7, 60)
        font = ImageFont.load_default(size * FINER)
        words = "".join(rng.choice(list(string.ascii_letters + string.digits + "     .,-"), 120))
        draw.text((rng.uniform(-20, 60) * FINER, top * FINER), words, fill=255, font=font)
        top += size * rng.uniform(1.1, 1.6)
    ink = shrunk(np.asarray(canvas, np.float32) / 255)
    shade, other = rng.permutation([rng.uniform(0, 0.15), rng.uniform(0.7, 1)])
    ground = colour(rng, shade=shade) * light(rng)
    if rng.random() < 0.25:
        ground = photograph()
    return ground + ink * (colour(rng, shade=other) - ground)


def stars(rng: Rng, photograph: Motif) -> Image:
    """A starry sky, at times behind the dark outline of a photograph."""
    sky = colour(rng, shade=rng.uniform(0, 0.12)) * light(rng)
    points = np.zeros((SIDE, SIDE, 3), np.float32)
    for _ in range(3):
        count = int(log_uniform(rng, 20, 1500))
        layer = np.zeros_like(points)
        rows, columns = rng.integers(0, SIDE, (2, count))
        light_of = rng.pareto(1.5, count).clip(0, 20) * rng.uniform(0.05, 0.3)
        layer[rows, columns] = light_of[:, None]
        layer *= 0.7 + 0.3 * rng.random((SIDE, SIDE, 3), dtype=np.float32)
        size = rng.uniform(0.5, 1.6)
        points += cv2.GaussianBlur(layer, (0, 0), size) * np.float32(6 * size**2)
    image = sky + points.clip(0, 1)
    if rng.random() < 0.4:
        below = np.arange(SIDE)[:, None, None] > rng.uniform(0.5, 0.9) * SIDE
        image = np.where(below, photograph() * 0.1, image)
    return image


def waters(rng: Rng, photograph: Motif) -> Image:
    """A scene under water: its veil and its colours are no haze."""
    return degradations.random_underwater(photograph(), rng)


KINDS = {
    "cloth": cloth,
    "wall": walls,
    "wires": wires,
    "print": prints,
    "letters": letters,
    "stars": stars,
    "water": waters,
}


def folded(rng: Rng, period: float, folds: float = 1.0) -> tuple[Image, Image]:
    """Coordinates in periods of threads, turned and unevenly stretched, on the finer grid."""
    side = SIDE * FINER
    down, across = np.mgrid[:side, :side].astype(np.float32) / FINER
    angle = rng.uniform(0, np.pi) if rng.random() < 0.6 else rng.normal(0, 0.05)
    bend = [smooth(rng, side) * np.float32(folds * rng.uniform(0, 25)) for _ in range(2)]
    across, down = across + bend[0], down + bend[1]
    cosine, sine = np.float32(np.cos(angle) / period), np.float32(np.sin(angle) / period)
    return across * cosine + down * sine, down * cosine - across * sine


def smooth(rng: Rng, side: int) -> Image:
    """A random smooth field of deviation 1 or so."""
    coarse = rng.standard_normal((rng.integers(2, 7),) * 2).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC))


def ridge(phase: NDArray[Any]) -> Image:
    """1 in the middle of each thread, 0 between two."""
    return np.asarray(0.5 + 0.5 * np.cos(2 * np.pi * phase), np.float32)


def light(rng: Rng) -> Image:
    """Uneven light to multiply by, ``(SIDE, SIDE, 1)``."""
    return np.exp(smooth(rng, SIDE) * np.float32(rng.uniform(0, 0.3)))[..., None]


def patch_of(rng: Rng) -> Image:
    """Where a part of the picture lies, with soft edges, ``(SIDE, SIDE, 1)``."""
    return np.clip(smooth(rng, SIDE) * 30 + rng.normal(0, 5), 0, 1)[..., None]


def between(rng: Rng, cover: Image) -> Image:
    """From one colour to another that differs slightly or greatly."""
    first = colour(rng)
    second = first + rng.normal(0, log_uniform(rng, 0.04, 0.4)) + rng.normal(0, 0.03, 3)
    return np.asarray(first + cover * (second - first), np.float32)


def colour(rng: Rng, shade: float | None = None) -> Image:
    """A colour, mostly nearly grey, of about the given brightness."""
    grey = rng.uniform(0.05, 0.95) if shade is None else shade + rng.normal(0, 0.05)
    return (grey * np.exp(rng.normal(0, rng.choice([0.02, 0.2]), 3))).clip(0, 1).astype(np.float32)


def shrunk(fine: NDArray[Any]) -> Image:
    """To the picture's own pixels, ``(SIDE, SIDE, 1)``."""
    return resized(fine.astype(np.float32), 1 / FINER, cv2.INTER_AREA)[..., None]


def resized(image: Image, scale: float, interpolation: int) -> Image:
    """An image enlarged or shrunk."""
    found = cv2.resize(image, None, fx=scale, fy=scale, interpolation=interpolation)
    return np.asarray(found, np.float32)


if __name__ == "__main__":
    main()
