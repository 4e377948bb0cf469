"""Flat parts laid over training patches."""

from __future__ import annotations

import numpy as np
import pytest

from train.parts import Pair
from train.surroundings import surround

SIDE, PATCH, TOP, LEFT = 96, 64, 16, 32
PLACE = (TOP / SIDE, LEFT / SIDE, (TOP + PATCH) / SIDE, (LEFT + PATCH) / SIDE)


def pair(rng: np.random.Generator) -> Pair:
    """A noisy patch of a scene, which is shown at its full size."""
    target, noise = rng.integers(100, 156, (SIDE, SIDE, 3)), rng.integers(-40, 41, (SIDE, SIDE, 3))
    patch = slice(TOP, TOP + PATCH), slice(LEFT, LEFT + PATCH)
    scenes = [scene.astype(np.float32) for scene in (target + noise, target)]
    degraded, clean = (scene[patch].astype(np.uint8) for scene in scenes)
    return Pair(degraded, clean, *scenes, PLACE)


def drawn() -> list[tuple[Pair, Pair]]:
    """Pairs before and after."""
    rngs = [np.random.default_rng(seed) for seed in range(60)]
    pairs = [pair(rng) for rng in rngs]
    return [(each, surround(each, rng)) for each, rng in zip(pairs, rngs, strict=True)]


def test_patch_and_scene_get_the_same_flat_part_degraded_and_as_target() -> None:
    for before, after in drawn():
        patch = np.s_[TOP : TOP + PATCH, LEFT : LEFT + PATCH]
        for seen, scene, was in (
            (after.degraded, after.scene, before.degraded),
            (after.target, after.scene_target, before.target),
        ):
            assert seen.dtype == np.uint8
            # A patch may be grainy where it is flat; scenes are means, without grain.
            assert np.abs(seen - scene[patch]).max() < 9
            unchanged = (scene[patch] == was).all(2)
            np.testing.assert_array_equal(seen[unchanged], was[unchanged])
        flat = (after.scene == after.scene_target).all(2) & (
            before.scene != before.scene_target
        ).any(2)
        assert (after.degraded == after.target).all(2)[flat[patch]].all()
        assert after.place == PLACE


def test_flat_parts_are_of_all_sizes_and_mostly_black_or_white() -> None:
    shares, extreme = [], 0
    for _, after in drawn():
        flat = (after.scene == after.scene_target).all(2)
        shares.append(flat.mean())
        if flat.any():
            colour = np.median(after.scene[flat], axis=0)
            extreme += colour.max() < 30 or colour.min() > 225
    quarter, half, most = np.quantile(shares, [0.25, 0.5, 0.9])
    assert 0.02 < quarter < half < 0.7
    assert most > 0.4
    assert 35 <= extreme <= 55


def test_a_pair_without_a_scene_gets_a_flat_part_too() -> None:
    before = pair(np.random.default_rng(0))
    none = np.zeros((0, 0, 3), np.float32)
    alone = surround(before._replace(scene=none, scene_target=none), np.random.default_rng(1))
    assert alone.scene.shape == (0, 0, 3)
    both = surround(before, np.random.default_rng(1))
    np.testing.assert_array_equal(alone.degraded, both.degraded)
    assert (alone.degraded != before.degraded).mean() > 0.05


@pytest.mark.parametrize("seed", range(3))
def test_the_same_draw_gives_the_same_pixels(seed: int) -> None:
    first, again = (
        surround(pair(np.random.default_rng(0)), np.random.default_rng(seed)) for _ in range(2)
    )
    np.testing.assert_array_equal(first.degraded, again.degraded)
    np.testing.assert_array_equal(first.scene, again.scene)
