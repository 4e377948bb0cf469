"""Makes ``examples/``: five free photographs, each degraded in one way.

    python scripts/make_examples.py

Needs the test extra (scikit-image, whose wheel contains the photographs).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
from skimage import data

from train import degradations
from train.degradations import Image

FOLDER = Path(__file__).resolve().parents[1] / "examples"
Degrade = Callable[[Image, np.random.Generator], Image]


def noise(image: Image, rng: np.random.Generator) -> Image:
    return degradations.gaussian_noise(image, rng, 30)


def rain(image: Image, rng: np.random.Generator) -> Image:
    layer = degradations.rain_layer(
        image.shape[:2], rng, angle=12, length=26, width=0.8, density=2.5e-3
    )
    return image + 0.6 * layer[..., None]


def haze(image: Image, _rng: np.random.Generator) -> Image:
    far = np.linspace(1.1, 0.4, image.shape[0], dtype=np.float32)[:, None]
    depth = np.broadcast_to(far, image.shape[:2])
    return degradations.haze(image, depth, 1.2, 0.86)


def blur(image: Image, rng: np.random.Generator) -> Image:
    blurred = degradations.motion_blur(image, degradations.shake_kernel(rng, 12))
    return degradations.gaussian_noise(blurred, rng, 1)


def dark(image: Image, rng: np.random.Generator) -> Image:
    return degradations.low_light(image, rng, exposure=2**-6, shot=5e-5, read=5e-4)


EXAMPLES: dict[str, tuple[Callable[[], np.ndarray], int, Degrade]] = {
    "noise-cat.png": (data.chelsea, 448, noise),
    "rain-astronaut.png": (data.astronaut, 400, rain),
    "haze-rocket.jpg": (data.rocket, 512, haze),
    "blur-astronaut.png": (data.astronaut, 400, blur),
    "dark-coffee.png": (data.coffee, 448, dark),
}


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    FOLDER.mkdir(exist_ok=True)
    for number, (name, (load, width, degrade)) in enumerate(EXAMPLES.items()):
        photo = load()[..., :3]
        height = round(photo.shape[0] * width / photo.shape[1])
        photo = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)
        rng = np.random.default_rng(number)
        degraded = degradations.quantise(degrade(degradations.floating(photo), rng))
        settings = {"quality": 95} if name.endswith(".jpg") else {"optimize": True}
        PIL.Image.fromarray(degraded).save(FOLDER / name, **settings)
        print(f"{name}: {width} x {height}")


if __name__ == "__main__":
    main()
