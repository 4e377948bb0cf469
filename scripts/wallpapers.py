"""Downloads 800 free photographs to train on: nights, snow and mist that are not degraded.

    python scripts/wallpapers.py OUT

They are wallpapers of Ubuntu's communities. scripts/wallpapers.txt lists them by package, chosen by
eye, without graphics and duplicates. Each package's usr/share/doc has the licences, mostly CC0 and
CC BY-SA; the photographs are used for training and not shipped. Downloads 2.3 GB from
archive.ubuntu.com and keeps 0.7 GB, 640 pixels on the shorter side. An interrupted download
continues. Needs dpkg-deb. Train with ``--clean OUT``.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import tarfile
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from rich.progress import track

from models.files import replacing

ARCHIVE = "http://archive.ubuntu.com/ubuntu/"
SIDE = 640


def listed() -> dict[str, list[str]]:
    """The photographs' paths, by the package that holds them."""
    packages: dict[str, list[str]] = {}
    paths: list[str] = []
    for line in Path(__file__).with_suffix(".txt").read_text("utf-8").splitlines():
        if line.startswith(" "):
            paths.append(line.strip())
        else:
            paths = packages[line] = []
    return packages


def place(out: Path, package: str, path: str) -> Path:
    """Where a photograph goes."""
    name = package.rsplit("/", 1)[-1].split("_")[0]
    inside = path.removeprefix("usr/share/").replace("/", "-")
    return out / f"{name}-{inside}.png"


def extracted(package: str, paths: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Files of a package, each with its path."""
    with urllib.request.urlopen(ARCHIVE + package, timeout=60) as answer:  # noqa: S310 (it is http)
        command = ["dpkg-deb", "--fsys-tarfile", "-"]
        archive = subprocess.check_output(command, input=answer.read())
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        for path in paths:
            file = files.extractfile(f"./{path}")
            if file is None:
                raise ValueError(f"{package}: {path} is not a file")
            yield path, file.read()


def shrunk(data: bytes) -> bytes:
    """Reduces a photograph to SIDE pixels on its shorter side, if it has more; PNG."""
    image = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
    height, width = image.shape[:2]
    scale = SIDE / min(height, width)
    if scale < 1:
        size = round(scale * width), round(scale * height)
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    return cv2.imencode(".png", image)[1].tobytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for package, paths in track(listed().items(), "Packages"):
        targets = {path: place(out, package, path) for path in paths}
        missing = [path for path, target in targets.items() if not target.exists()]
        if missing:
            for path, data in extracted(package, missing):
                with replacing(targets[path]) as temporary:
                    temporary.write_bytes(shrunk(data))


if __name__ == "__main__":
    main()
