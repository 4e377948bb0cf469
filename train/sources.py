"""Training sources: where degraded patches and their targets come from.

A source is one degradation type k of the barycenter problem. Every sample has its own seeded
generator, so sample ``i`` of a run is the same on every machine and after a resume.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from models.light import Pixels
from models.wording import choices, no_such, numbers
from train import degradations
from train.deblurred import random_deblurred
from train.degradations import Image
from train.folders import SourceError as SourceError
from train.folders import (
    find_folder,
    hold_out,
    images_below,
    match_pairs,
    photograph,
    photographs,
    plain,
)
from train.images import ImageCache, Skipped, UnusableError
from train.mixtures import (
    Degrade,
    Dimmed,
    Followed,
    Instead,
    NoiseLevels,
    NoiseRange,
    WhiteNoise,
    in_words,
)
from train.parts import Pair, Paired, Part, Synthesised, Window
from train.recipe import Recipe, SourceRecipe
from train.surroundings import surround
from train.variety import one_colour

ADDED_NOISE = NoiseRange(2, 25)
"""White noise on top of another degradation, weaker than where noise is the only one."""
BLUR_MARGIN = 28
"""Pixels around a patch that a blur kernel may reach."""
RETRIES = 100
"""Draws of one sample before its source counts as having no usable image."""


@dataclass(frozen=True)
class Source:
    """One degradation type: its name and where its pairs come from.

    Attributes:
        parts: its origins, each with its share of the samples; the shares add up to 1.
        grey_share: share of its pairs in one colour (:func:`train.variety.one_colour`).
        flat_share: share of its pairs whose scene has a flat part
            (:func:`train.surroundings.surround`).
    """

    name: str
    parts: tuple[tuple[float, Part], ...]
    grey_share: float = 0.0
    flat_share: float = 0.0

    @property
    def count(self) -> int:
        """Number of its pairs and clean photographs."""
        return sum(part.count for _, part in self.parts)

    @property
    def origin(self) -> str:
        """Where its pairs come from, in words."""
        several = len(self.parts) > 1
        return "; ".join(
            (f"{share:.0%} of samples: " if several else "") + f"{part.count} {part.origin}"
            for share, part in self.parts
        )

    @property
    def files(self) -> Iterable[Path]:
        return (path for _, part in self.parts for path in part.files)

    @property
    def digest(self) -> str:
        """Hash of its images' names in order; it tells other images of the same number apart."""
        names = "/".join(path.name for path in self.files)
        return hashlib.sha256(os.fsencode(names)).hexdigest()[:16]

    def draw(self, rng: np.random.Generator, window: Window, images: ImageCache) -> Pair:
        """A random pair of patches.

        Raises:
            train.images.UnusableError: the drawn image cannot be used.
        """
        which = 0
        if len(self.parts) > 1:
            which = int(rng.choice(len(self.parts), p=[share for share, _ in self.parts]))
        pair = self.parts[which][1].draw(rng, window, images)
        if self.grey_share and rng.random() < self.grey_share:
            pair = pair.through(one_colour(rng))
        if self.flat_share and rng.random() < self.flat_share:
            pair = surround(pair, rng)
        return pair

    def changed(self, change: Callable[[Part], Part]) -> Source:
        """The same with every part changed."""
        return replace(self, parts=tuple((share, change(part)) for share, part in self.parts))


@dataclass(frozen=True)
class Task:
    """The official folders of a source (the reference README's ``data/Train``).

    ``degrade`` is its model if no option changes it (see :func:`_model`), and ``margin`` how many
    pixels around a patch the model needs.
    """

    folder: str
    degraded: str = ""
    target: str = ""
    degrade: Degrade | None = None
    margin: int = 0


TASKS: dict[str, Task] = {
    "denoise": Task("Denoise"),
    "derain": Task("Derain", "rainy", "gt", degradations.random_rain),
    "dehaze": Task("Dehaze", "synthetic", "original", degradations.random_haze),
    "deblur": Task("Deblur", "blur", "sharp", degradations.random_motion_blur, BLUR_MARGIN),
    "lowlight": Task("low_light", "low", "high"),
    "single": Task("single", "degraded", "target"),
}


def canonical(names: Sequence[str]) -> tuple[list[str], tuple[float, ...]]:
    """The names in :data:`TASKS` of sources, each once, and the noise levels in their names.

    >>> canonical(["derain", "denoise_15", "denoise_50"])
    (['derain', 'denoise'], (15.0, 50.0))

    Raises:
        SourceError: a name is unknown, or ``denoise`` occurs with and without levels.
    """
    found: dict[str, None] = {}
    levels: dict[float, None] = {}
    bare = False
    for name in names:
        key = plain(name)
        if level := re.fullmatch(r"denoise(\d+(?:\.\d+)?)", key):
            if (sigma := float(level[1])) > 255:
                raise SourceError(f"{name}: use {numbers(0, 255)} as noise level")
            levels[sigma] = None
            key = "denoise"
        elif key not in TASKS:
            raise SourceError(f"source {name!r}: use {choices([*TASKS, 'denoise_SIGMA'])}")
        else:
            bare |= key == "denoise"
        found[key] = None
    if bare and levels:
        raise SourceError("denoise is given with and without noise levels in its name; choose one")
    return list(found), tuple(levels)


def gather(
    recipe: Recipe,
    data: Path | None = None,
    clean: Sequence[Path] = (),
    single: Path | None = None,
) -> list[Source]:
    """The sources of a recipe, from official folders and clean photographs.

    Args:
        data: a folder laid out like the reference README's ``data/Train``; pairs match by name
            (:func:`train.folders.match_pairs`), and its ``Denoise`` holds clean photographs.
        clean: more folders of clean photographs, subfolders included.
        single: folder of the source ``single``, with subfolders ``degraded`` and ``target``.

    Raises:
        SourceError: files do not pair, or a source has no data; the message says where it was
            looked for.
    """
    for folder in (data, single):
        if folder is not None and not folder.is_dir():
            raise SourceError(no_such(folder, "folder"))
    folders = list(clean)
    official = find_folder(data, "Denoise") if data is not None else None
    if official is not None and images_below(official):
        folders.insert(0, official)
    found = tuple(photographs(folders))
    where = ", ".join(map(str, {os.path.realpath(f): f for f in folders}.values()))
    sources = []
    for name, settings in recipe.sources.items():
        share = settings.paired_share
        if share is None:
            share = 0.5 if clean else 1.0
        paired = _paired(name, settings, data, single) if share > 0 else None
        synthesised = _synthesised(name, recipe, found, where)
        if paired is not None and synthesised is not None and share < 1:
            parts: tuple[tuple[float, Part], ...] = ((share, paired), (1 - share, synthesised))
        elif only := paired or synthesised:
            parts = ((1.0, only),)
        else:
            raise SourceError(f"source {name} has no data: {_looked_for(name, data, share)}")
        sources.append(Source(name, parts, recipe.grey_share, recipe.flat_share))
    return sources


def _synthesised(
    name: str, recipe: Recipe, clean: tuple[Path, ...], where: str
) -> Synthesised | None:
    """Pairs made from clean photographs; None without photographs or without a model."""
    degrade = _model(name, recipe)
    if degrade is None or not clean:
        return None
    return Synthesised(
        clean,
        degrade,
        TASKS[name].margin,
        recipe.clean_share,
        ", ".join(filter(None, (f"photographs in {where}", in_words(degrade)))),
        recipe.sources[name].variety,
    )


def _model(name: str, recipe: Recipe) -> Degrade | None:
    """The model that degrades a source's clean photographs; None if it has only pairs."""
    if name == "deblur" and recipe.config().deconvolve:
        return random_deblurred
    degrade = TASKS[name].degrade
    if name == "denoise":
        if recipe.noise_range is None:  # levels are all its noise
            return WhiteNoise(NoiseLevels(recipe.noise))
        white = WhiteNoise(NoiseRange(*recipe.noise_range))
        degrade = _or_grain(white, recipe)
    elif name == "lowlight":
        degrade = _or_camera(degradations.random_low_light, degradations.random_night, recipe)
    if degrade and (share := recipe.sources[name].noise_share):
        noise = Dimmed(_or_grain(WhiteNoise(ADDED_NOISE), recipe))
        degrade = Followed(degrade, noise, share, "noise")
    if degrade and recipe.jpeg_share:
        degrade = Followed(degrade, degradations.stored_jpeg, recipe.jpeg_share, "JPEGs")
    return degrade


def _or_grain(white: Degrade, recipe: Recipe) -> Degrade:
    """White noise, or for ``film_share`` film grain, and for ``camera_share`` of the rest a
    camera's noise."""
    degrade = _or_camera(white, degradations.random_camera_noise, recipe)
    share = recipe.film_share
    return (
        Instead(degrade, degradations.random_film_grain, share, "film grain") if share else degrade
    )


def _or_camera(usual: Degrade, noisy: Degrade, recipe: Recipe) -> Degrade:
    """A model, and for ``camera_share`` of the photographs one with a camera's noise."""
    share = recipe.camera_share
    return Instead(usual, noisy, share, "a camera's noise") if share else usual


def _paired(
    name: str, settings: SourceRecipe, data: Path | None, single: Path | None
) -> Paired | None:
    """The pairs of the official folders, or of the one given for ``single``."""
    task = TASKS[name]
    if name == "single" and single is not None:
        folder: Path | None = single
    else:
        folder = find_folder(data, task.folder) if data is not None and task.degraded else None
    if folder is None:
        return None
    first, second = find_folder(folder, task.degraded), find_folder(folder, task.target)
    if first is None or second is None:
        missing = task.degraded if first is None else task.target
        raise SourceError(
            f"source {name}: {folder} has no folder {missing}; "
            f"it needs {task.degraded}/ and {task.target}/"
        )
    origin = f"pairs in {folder} ({first.name} ~ {second.name})"
    return Paired(tuple(match_pairs(first, second)), origin, settings.variety)


def _looked_for(name: str, data: Path | None, share: float) -> str:
    """Where a source's data was looked for, or the option to give."""
    task = TASKS[name]
    if data is None and name == "single":
        return "give --single, the folder of its pairs, or --data, a folder with single/ in it"
    if data is None:
        return "give --data, the official folders, or --clean, folders of photographs"
    places = []
    if task.degraded and share > 0:
        places.append(f"no folders {task.degraded} and {task.target} in {data / task.folder}")
    if name != "single":
        places.append(f"no photographs in {data / 'Denoise'}, and no --clean")
    return "; ".join(places)


def split(sources: Sequence[Source], share: float) -> tuple[list[Source], list[Source]]:
    """The sources to train on, and the same sources with the held-out photographs.

    A photograph that one part holds out is held out of all, so no source trains on it. Validation
    pairs are always degraded, and their tones unchanged.

    Args:
        share: of every part's photographs, chosen by name; at least one is held out.

    Raises:
        SourceError: a source has too few photographs.
    """
    held: set[str] = set()
    for part in (part for source in sources for _, part in source.parts):
        held |= hold_out([photograph(path) for path in part.targets], share)

    def trained(part: Part) -> Part:
        return part.keep(lambda path: photograph(path) not in held)

    def validated(part: Part) -> Part:
        return part.keep(lambda path: photograph(path) in held).unvaried()

    train = [source.changed(trained) for source in sources]
    for source in train:
        if not all(part.count for _, part in source.parts):
            raise SourceError(
                f"source {source.name}: all of its photographs would be held out;"
                " --holdout 0 trains on them"
            )
    unvaried = [replace(source, grey_share=0.0, flat_share=0.0) for source in sources]
    return train, [source.changed(validated) for source in unvaried]


class Batch(NamedTuple):
    """What a step trains on, or one sample of it, without the axis N.

    ``degraded`` and ``target`` are ``(N, 3, size, size)``, ``source`` is ``(N,)``, the number of
    every sample's source. ``scene``, ``scene_target`` and ``place`` are as in
    :class:`train.parts.Pair`, of side 0 for a network without a judge. As drawn, patches are uint8
    and scenes float, 0 to 255; :meth:`ready` makes both float in [0, 1].
    """

    degraded: Tensor
    target: Tensor
    source: Tensor
    scene: Tensor
    scene_target: Tensor
    place: Tensor

    def ready(self, device: torch.device) -> Batch:
        """The batch for a network: on its device, images in [0, 1], channels last."""
        moved = (tensor.to(device, non_blocking=True) for tensor in self)
        return Batch(*(_floating(tensor) if tensor.ndim == 4 else tensor for tensor in moved))


def _floating(images: Tensor) -> Tensor:
    return images.to(torch.float32, memory_format=torch.channels_last) / 255


class Patches(Dataset[Batch]):
    """The samples of a run; each is a :class:`Batch`.

    An unusable image is noted in ``skipped``, and another sample of the same source is drawn from
    the next generator. It is the same in whichever process draws it.

    Args:
        probabilities: how often each source is drawn, on any scale.
        window: one for all patches, or one per source.
        images: the cache to read through.
        skipped: where to note images; several data sets may share it.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        probabilities: Sequence[float],
        window: Window | Sequence[Window],
        seed: int,
        *,
        images: ImageCache | None = None,
        skipped: Skipped | None = None,
    ) -> None:
        self.sources = sources
        self.probabilities = np.asarray(probabilities) / sum(probabilities)
        self.windows = [window] * len(sources) if isinstance(window, Window) else window
        self.seed = seed
        self.images = ImageCache() if images is None else images
        self.skipped = skipped_of(sources) if skipped is None else skipped

    def __getitem__(self, index: int) -> Batch:
        rng = np.random.default_rng([self.seed, index])
        k = int(rng.choice(len(self.sources), p=self.probabilities))
        for attempt in range(1, RETRIES + 1):
            try:
                pair = self.sources[k].draw(rng, self.windows[k], self.images)
                return Batch(
                    _tensor(pair.degraded),
                    _tensor(pair.target),
                    torch.tensor(k),
                    _tensor(pair.scene),
                    _tensor(pair.scene_target),
                    torch.tensor(pair.place, dtype=torch.float32),
                )
            except UnusableError as error:
                self.skipped.add(error)
                last = error
                rng = np.random.default_rng([self.seed, index, attempt])
        raise SourceError(
            f"source {self.sources[k].name}: {RETRIES} unusable images in a row, the last: {last}"
        )


def skipped_of(sources: Sequence[Source]) -> Skipped:
    """An empty note of unusable images, for all images of some sources."""
    return Skipped(path for source in sources for path in source.files)


def _tensor(patch: Pixels | Image) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(patch.transpose(2, 0, 1)))
