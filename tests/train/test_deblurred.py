"""Blurred patches for a network that sees deconvolved photographs."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from skimage.metrics import peak_signal_noise_ratio

from models.shake import likeness
from train import degradations
from train.deblurred import mistaken, random_deblurred
from train.degradations import Image
from train.parts import Synthesised
from train.recipe import Recipe, SourceRecipe
from train.sources import gather

psnr = partial(peak_signal_noise_ratio, data_range=1)


@pytest.fixture(scope="module")
def sharp() -> Image:
    return degradations.floating(skimage.data.astronaut()[100:228, 150:278])


def test_many_patches_get_sharper(sharp: Image) -> None:
    gains = []
    for seed in range(30):
        before = degradations.random_motion_blur(sharp, np.random.default_rng(seed))
        after = random_deblurred(sharp, np.random.default_rng(seed))
        assert after.shape == sharp.shape
        assert np.isfinite(after).all()
        gains.append(psnr(after, sharp) - psnr(before, sharp))
    assert sum(gain > 1 for gain in gains) >= 8, "deconvolved"
    assert sum(abs(gain) < 1 for gain in gains) >= 5, "left unchanged"


def test_a_mistaken_kernel_is_nearly_the_true_one() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        kernel = degradations.shake_kernel(rng, 14)
        other = mistaken(kernel, rng)
        assert other.shape == kernel.shape
        assert other.sum() == pytest.approx(1, abs=1e-5)
        assert other.min() >= 0
        assert 0.6 < likeness(kernel, other) < 0.9999


@pytest.mark.parametrize("deconvolve", [False, True])
def test_the_source_follows_the_network(tmp_path: Path, deconvolve: bool) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((64, 64, 3), np.uint8))
    sources = {"deblur": SourceRecipe()}
    recipe = Recipe(preset="tiny", network={"deconvolve": deconvolve}, sources=sources)
    (source,) = gather(recipe, None, [tmp_path])
    ((_, part),) = source.parts
    assert isinstance(part, Synthesised)
    assert (part.degrade is random_deblurred) == deconvolve
