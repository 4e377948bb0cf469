"""Sources: where pairs come from, samples by number, photographs held out, unusable images."""

from __future__ import annotations

import pickle
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from tests.train.conftest import write
from train.degradations import Image as Floats
from train.images import ImageCache
from train.mixtures import Dimmed, NoiseRange, WhiteNoise
from train.parts import Synthesised, Window
from train.recipe import Recipe, SourceName, SourceRecipe
from train.sources import (
    TASKS,
    Batch,
    Patches,
    Source,
    SourceError,
    canonical,
    gather,
    skipped_of,
    split,
)

ALL = ["denoise", "derain", "dehaze", "deblur", "lowlight"]


def recipe_of(*names: str, **entries: Any) -> Recipe:
    """A recipe of some sources; a source's entries, such as ``variety``, apply to all of them."""
    own = {name: entries.pop(name) for name in SourceRecipe().__dict__ if name in entries}
    sources = {name: SourceRecipe(**own) for name in names}
    return Recipe(sources=sources, **{"noise_range": (15, 50)} | entries)


def sample(source: Source, seed: int, size: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Degraded and target, ``(size, size, 3)``."""
    return source.draw(np.random.default_rng(seed), Window(size), ImageCache())[:2]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["derain", "dehaze", "denoise"], (["derain", "dehaze", "denoise"], ())),
        (["denoise_15", "derain", "Denoise-25"], (["denoise", "derain"], (15.0, 25.0))),
        (["low_light", "LOWLIGHT", "single"], (["lowlight", "single"], ())),
        (["denoise_7.5"], (["denoise"], (7.5,))),
    ],
)
def test_names_of_sources_and_noise_levels(
    names: list[str], expected: tuple[list[str], tuple[float, ...]]
) -> None:
    assert canonical(names) == expected


@pytest.mark.parametrize("names", [["denoise", "denoise_15"], ["snow"], ["denoise_x"], ["derain5"]])
def test_unknown_names_are_refused(names: list[str]) -> None:
    with pytest.raises(SourceError, match="source '.*': use denoise, derain|denoise is given with"):
        canonical(names)


def test_every_source_that_a_recipe_may_name_has_its_folders() -> None:
    assert tuple(TASKS) == get_args(SourceName)


def test_official_folders_and_clean_photographs_are_found(data: Path) -> None:
    sources = {s.name: s for s in gather(recipe_of(*ALL), data)}
    assert list(sources) == ALL
    assert sources["derain"].count == 2
    assert sources["derain"].origin == f"2 pairs in {data / 'Derain'} (rainy ~ gt)"
    photographs = f"3 photographs in {data / 'Denoise'}"
    assert sources["denoise"].origin == f"{photographs}, sigma 15 to 50"
    assert sources["dehaze"].origin == photographs
    (again,) = gather(recipe_of("dehaze"), data, [data / "Denoise"])
    assert again.origin == photographs, "one folder, named twice"
    assert sources["dehaze"].count == 3


def test_clean_folders_need_no_official_ones(data: Path, tmp_path: Path) -> None:
    deep = tmp_path / "more" / "a" / "b"
    for i in range(4):
        write(deep / f"{i}.png", 30 + i)
    write(tmp_path / "more" / ".hidden" / "x.png", 1)
    (denoise,) = gather(recipe_of("denoise"), None, [tmp_path / "more", deep])
    assert denoise.count == 4, "each photograph once, whichever folder names it"
    (denoise,) = gather(recipe_of("denoise"), data, [tmp_path / "more"])
    assert denoise.count == 3 + 4


def test_circular_links_end(tmp_path: Path) -> None:
    write(tmp_path / "clean" / "a.png", 0)
    try:
        (tmp_path / "clean" / "again").symlink_to(tmp_path / "clean")
    except OSError:
        pytest.skip("links are not allowed here")
    assert gather(recipe_of("denoise"), None, [tmp_path / "clean"])[0].count == 1


def test_pairs_and_clean_photographs_mix(data: Path, tmp_path: Path) -> None:
    def shares(clean: list[Path], paired: float | None = None) -> list[float]:
        (derain,) = gather(recipe_of("derain", paired_share=paired), data, clean)
        assert derain.origin.count("%") == (2 if len(derain.parts) == 2 else 0)
        return [share for share, _ in derain.parts]

    more = [write(tmp_path / "more" / "a.png", 0).parent]
    assert shares([]) == [1]
    assert shares(more) == [0.5, 0.5]
    assert shares([], 0.25) == [0.25, 0.75]
    assert shares([], 0) == [1]
    assert shares(more, 1) == [1]


def test_a_mixed_source_draws_both(data: Path) -> None:
    (derain,) = gather(recipe_of("derain", paired_share=0.5), data)
    shares = [0, 0]
    _, synthesised = (part for _, part in derain.parts)
    cache = ImageCache()
    for seed in range(60):
        target = derain.draw(np.random.default_rng(seed), Window(8), cache).target
        shares[_inside(target, [cache.read(p) for p in synthesised.files])] += 1
    assert min(shares) > 15


def _inside(patch: np.ndarray, images: list[np.ndarray]) -> bool:
    turned = [np.rot90(f, k) for f in (patch, patch[:, ::-1]) for k in range(4)]
    windows = [
        np.lib.stride_tricks.sliding_window_view(i, patch.shape).reshape(-1, patch.size)
        for i in images
    ]
    return any((w == t.reshape(-1)).all(1).any() for w in windows for t in turned)


def test_single_is_any_pair_of_folders(data: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    for i in (1, 2):
        write(mine / "Degraded" / f"{i}.png", i)
        write(mine / "target" / f"{i}.png", i)
        write(data / "Single" / "degraded" / f"{i}.png", i)
        write(data / "Single" / "target" / f"{i}.png", i)
    assert str(mine) in gather(recipe_of("single"), data, single=mine)[0].origin
    assert gather(recipe_of("single"), data)[0].count == 2


def test_missing_data_names_the_folder(data: Path, tmp_path: Path) -> None:
    def said(name: str, root: Path | None, *clean: Path) -> str:
        with pytest.raises(SourceError) as caught:
            gather(recipe_of(name), root, clean)
        return str(caught.value)

    (tmp_path / "empty" / "Denoise").mkdir(parents=True)
    assert (
        said("dehaze", tmp_path / "none") == f"{tmp_path / 'none'}: no such folder; check the path"
    )
    assert str(tmp_path / "empty" / "Dehaze") in said("dehaze", tmp_path / "empty")
    assert str(tmp_path / "empty" / "Denoise") in said("denoise", tmp_path / "empty")
    assert "--clean" in said("derain", None)
    assert said("derain", None, tmp_path / "empty") == f"no images in {tmp_path / 'empty'}"
    assert str(tmp_path / "nowhere") in said("derain", None, tmp_path / "nowhere")
    assert str(data / "single") in said("single", data)
    with pytest.raises(SourceError, match=re.escape(f"{tmp_path / 'none'}: no such folder")):
        gather(recipe_of("single"), single=tmp_path / "none")


def test_a_missing_folder_of_pairs_is_an_error(data: Path, tmp_path: Path) -> None:
    (data / "Derain" / "gt").rename(data / "Derain" / "target")
    said = f"source derain: {data / 'Derain'} has no folder gt; it needs rainy/ and gt/"
    with pytest.raises(SourceError, match=re.escape(said)):
        gather(recipe_of("derain"), data)
    said = f"source single: {tmp_path} has no folder degraded; it needs degraded/ and target/"
    with pytest.raises(SourceError, match=re.escape(said)):
        gather(recipe_of("single"), single=tmp_path)


def test_a_share_of_the_noise_is_camera_noise(data: Path) -> None:
    (source,) = gather(recipe_of("denoise", camera_share=0.5), data)
    assert source.origin.endswith("sigma 15 to 50, a camera's noise in 50%")
    correlated = []
    for seed in range(60):
        pair = source.draw(np.random.default_rng(seed), Window(48), ImageCache())
        noise = pair.degraded.astype(float) - pair.target
        correlated.append(np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())[0, 1])
    assert 0.3 < np.mean(np.array(correlated) > 0.1) < 0.7


def test_a_share_of_the_noise_is_film_grain(data: Path) -> None:
    (source,) = gather(recipe_of("denoise", film_share=0.5), data)
    assert source.origin.endswith("sigma 15 to 50, film grain in 50%")
    in_black = np.array([np.ptp(noisy) for noisy in made_of_grey(source, 0.0, 60)])
    assert 0.3 < np.mean(in_black == 0) < 0.7


def test_shares_of_the_noise_are_told_of_all_of_it(data: Path) -> None:
    recipe = recipe_of("denoise", "lowlight", camera_share=0.8, film_share=0.5)
    denoise, lowlight = gather(recipe, data)
    assert denoise.origin.endswith("sigma 15 to 50, a camera's noise in 40%, film grain in 50%")
    assert lowlight.origin.endswith("a camera's noise in 80%")
    in_black = np.array([np.ptp(noisy) for noisy in made_of_grey(denoise, 0.0, 60)])
    assert 0.3 < np.mean(in_black == 0) < 0.7


def test_added_noise_may_be_film_grain(data: Path) -> None:
    def share_without_colour(**entries: float) -> float:
        """Share of hazy greys whose noise is the same in all channels, as half of the grain."""
        (source,) = gather(recipe_of("dehaze", noise_share=1, **entries), data)
        hazy = made_of_grey(source, 0.5, 60)
        colour = [np.abs(np.diff(image[..., 0] - image[..., 1])).mean() * 255 for image in hazy]
        return float(np.mean(np.array(colour) < 0.3))

    assert share_without_colour() == 0
    assert 0.3 < share_without_colour(film_share=1) < 0.7
    shares = recipe_of("dehaze", noise_share=0.5, jpeg_share=0.5, camera_share=0.25, film_share=0.5)
    said = "noise in 50% (sigma 2 to 25, a camera's noise in 12.5%, film grain in 50%)"
    assert gather(shares, data)[0].origin.endswith(f", {said}, JPEGs in 50%")


def test_a_share_of_synthesised_images_are_jpegs(data: Path) -> None:
    def share_of_jpegs(name: str, **entries: Any) -> float:
        """Recognised by their colour noise, which JPEG keeps at half the resolution."""
        (source,) = gather(recipe_of(name, **entries), data)
        smooth = []
        for seed in range(60):
            pair = source.draw(np.random.default_rng(seed), Window(48), ImageCache())
            change = pair.degraded.astype(float) - pair.target
            colour = change[..., 0] - change[..., 1]
            smooth.append(np.abs(np.diff(colour[:, ::2])).mean() / np.abs(np.diff(colour)).mean())
        return float(np.mean(np.array(smooth) > 1.3))

    assert share_of_jpegs("denoise") == 0
    assert 0.3 < share_of_jpegs("denoise", jpeg_share=0.5) < 0.7
    levels = recipe_of("denoise", noise=(25,), noise_range=None, jpeg_share=1, camera_share=1)
    assert gather(levels, data)[0].origin.endswith("sigma 25")
    deconvolving = recipe_of(*ALL, preset="small", jpeg_share=0.5)
    told = {s.name: s.origin for s in gather(deconvolving, data)}
    assert told["denoise"].endswith("sigma 15 to 50, JPEGs in 50%")
    assert "JPEGs" not in told["deblur"]


def made_of_grey(source: Source, value: float, count: int) -> list[Floats]:
    """A flat grey after a source's degradation, once per seed."""
    part = source.parts[0][1]
    assert isinstance(part, Synthesised)
    grey = np.full((64, 64, 3), value, np.float32)
    return [part.degrade(grey, np.random.default_rng(seed)) for seed in range(count)]


def test_a_share_of_dark_images_has_camera_noise(data: Path) -> None:
    (source,) = gather(recipe_of("lowlight", camera_share=0.5), data)
    assert source.origin.endswith("a camera's noise in 50%")
    correlated = []
    for dark in made_of_grey(source, 0.6, 60):
        neighbours = dark[:, :-1, 1].ravel(), dark[:, 1:, 1].ravel()
        if all(map(np.ptp, neighbours)):  # in the darkest, rounding may leave no noise
            correlated.append(np.corrcoef(*neighbours)[0, 1])
    assert 0.3 < np.mean(np.array(correlated) > 0.1) < 0.7


def test_a_share_of_hazy_images_is_noisy_too(data: Path) -> None:
    (source,) = gather(recipe_of("dehaze", noise_share=0.5), data)
    assert source.origin.endswith("noise in 50% (sigma 2 to 25)")
    hazy = made_of_grey(source, 0.5, 60)
    rough = [np.abs(np.diff(image, axis=1)).mean() * 255 for image in hazy]
    assert 0.3 < np.mean(np.array(rough) > 1) < 0.7
    assert max(rough) < 30


@pytest.mark.parametrize(("value", "sigma"), [(0.9, 18), (0.45, 18), (0.05, 6)])
def test_added_noise_is_weaker_in_the_dark(value: float, sigma: float) -> None:
    grey = np.full((96, 96, 3), value, np.float32)
    noisy = Dimmed(WhiteNoise(NoiseRange(18, 18)))(grey, np.random.default_rng(2))
    assert (noisy - grey).std() * 255 == pytest.approx(sigma, rel=0.02)
    assert noisy.dtype == np.float32


def test_dark_images_do_not_drown_in_noise(data: Path) -> None:
    (source,) = gather(recipe_of("lowlight", noise_share=1), data)
    drowned = [dark.std() > dark.mean() for dark in made_of_grey(source, 0.5, 60)]
    assert np.mean(drowned) < 0.1


def test_noise_levels_are_a_list_or_a_range(data: Path) -> None:
    def sigmas(source: Source) -> set[float]:
        return {round(float((d - 0.5).std() * 255)) for d in made_of_grey(source, 0.5, 12)}

    listed = recipe_of("denoise", noise=(15, 50), noise_range=None)
    assert sigmas(gather(listed, data)[0]) == {15, 50}
    ranged = sigmas(gather(recipe_of("denoise"), data)[0])
    assert len(ranged) > 4
    assert min(ranged) >= 14
    assert max(ranged) <= 51


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Sixty clean photographs, and rainy pairs of ten of them."""
    root = tmp_path / "many"
    for i in range(60):
        write(root / "Denoise" / f"{i}.png", i)
    for i in range(10):
        write(root / "Derain" / "rainy" / f"rain-{i}.png", i)
        write(root / "Derain" / "gt" / f"norain-{i}.png", i)
    return root


def stems(sources: Sequence[Source]) -> dict[str, set[str]]:
    """Names of every source's target photographs."""
    return {
        s.name: {p.stem.removeprefix("norain-") for _, part in s.parts for p in part.targets}
        for s in sources
    }


def test_held_out_photographs_are_never_trained_on(many: Path) -> None:
    sources = gather(recipe_of("denoise", "derain"), many)
    for holdout in (0.04, 0.3):
        train, held = map(stems, split(sources, holdout))
        everything = set.union(*train.values())
        for name, count in (("denoise", 60), ("derain", 10)):
            assert held[name]
            assert len(train[name] | held[name]) == count
            assert not held[name] & everything, "by any source"
    assert 8 <= len(held["denoise"]) <= 30


def test_more_photographs_do_not_change_which_are_held_out(many: Path) -> None:
    def held() -> set[str]:
        _, validation = split(gather(recipe_of("denoise"), many), 0.2)
        return stems(validation)["denoise"]

    before = held()
    for i in range(60, 80):
        write(many / "Denoise" / f"{i}.png", i)
    assert before <= held()


def test_validation_pairs_are_always_degraded(many: Path) -> None:
    train, validation = split(gather(recipe_of("denoise", clean_share=1.0), many), 0.04)
    for (source,), clean in ((train, True), (validation, False)):
        degraded, target = sample(source, 0)
        assert np.array_equal(degraded, target) == clean


def test_one_photograph_is_too_few(tmp_path: Path) -> None:
    write(tmp_path / "a.png", 0)
    with pytest.raises(SourceError, match="a single photograph cannot be held out"):
        split(gather(recipe_of("denoise"), None, [tmp_path]), 0.04)


def test_holding_out_all_of_a_source_is_an_error(tmp_path: Path) -> None:
    """Every source holds out at least one photograph, however small the share."""
    for name in ("one", "two", "three"):
        write(tmp_path / "Denoise" / f"{name}.png", 0)
    for name in ("one", "two"):
        write(tmp_path / "Derain" / "rainy" / f"{name}.png", 0)
        write(tmp_path / "Derain" / "gt" / f"{name}.png", 0)
    for name in ("one", "three"):
        write(tmp_path / "Dehaze" / "synthetic" / f"{name}.png", 0)
        write(tmp_path / "Dehaze" / "original" / f"{name}.png", 0)
    with pytest.raises(SourceError, match="--holdout 0 trains on them"):
        split(gather(recipe_of("denoise", "derain", "dehaze"), tmp_path), 1e-9)


def test_zoom_shows_more_of_the_scene(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(120, dtype=np.uint8)[None, :, None], (60, 1, 3))
    for name in ("a.png", "b.png"):
        Image.fromarray(ramp).save(tmp_path / name)
    (source,) = gather(recipe_of("dehaze"), None, [tmp_path])

    def reach(zoom: float, seed: int) -> int:
        """How many columns of the photograph a patch spans, whichever way it is turned."""
        rng, images = np.random.default_rng(seed), ImageCache()
        drawn = source.draw(rng, Window(20, zoom=zoom), images)
        return int(np.ptp(drawn.target.astype(int)))

    assert {reach(1, seed) for seed in range(20)} == {19}
    reaches = [reach(8, seed) for seed in range(60)]
    assert min(reaches) < 25
    assert 50 < max(reaches) < 60, "the photograph's shorter side, and no more"


def test_samples_depend_only_on_number_and_seed(data: Path) -> None:
    sources = gather(recipe_of(*ALL), data)
    first, again = (Patches(sources, [1.0] * 5, Window(24), 9) for _ in range(2))
    seen = set()
    for index in range(30):
        degraded, target, k, *_ = first[index]
        assert degraded.shape == target.shape == (3, 24, 24)
        assert degraded.dtype == target.dtype == torch.uint8
        other = again[index]
        assert torch.equal(degraded, other[0])
        assert torch.equal(target, other[1])
        assert k == other[2]
        seen.add(int(k))
    assert seen == set(range(5))
    assert not torch.equal(first[0][1], Patches(sources, [1.0] * 5, Window(24), 10)[0][1])


def test_a_patch_has_its_place_in_its_scene(tmp_path: Path) -> None:
    shades = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    Image.fromarray(np.repeat(shades[..., None], 3, 2)).save(tmp_path / "a.png")
    Image.fromarray(np.repeat(shades[..., None], 3, 2)).save(tmp_path / "b.png")
    for source in gather(recipe_of("denoise", "deblur"), None, [tmp_path]):
        for seed in range(5):
            window = Window(16, scene=32, picture=32)
            pair = source.draw(np.random.default_rng(seed), window, ImageCache())
            top, left, bottom, right = (round(32 * share) for share in pair.place)
            assert (bottom - top, right - left) == (16, 16)
            for patch, scene in zip(pair[:2], pair[2:4], strict=True):
                assert scene.shape == (32, 32, 3)
                assert np.array_equal(patch, scene[top:bottom, left:right])


def test_scenes_are_upright(tmp_path: Path) -> None:
    sky = np.zeros((40, 40, 3), np.uint8)
    sky[:20] = 200
    for name in ("a.png", "b.png"):
        Image.fromarray(sky).save(tmp_path / name)
    (source,) = gather(recipe_of("dehaze"), None, [tmp_path])

    def above(picture: int) -> set[bool]:
        window, images = Window(40, picture=picture), ImageCache()
        drawn = (source.draw(np.random.default_rng(i), window, images) for i in range(12))
        return {pair.target[:10].mean() == 200 for pair in drawn}

    assert above(16) == {True}
    assert above(0) == {True, False}


def test_a_scene_is_shown_at_the_size_asked_for(data: Path) -> None:
    (source,) = gather(recipe_of("dehaze"), data)
    pair = source.draw(np.random.default_rng(0), Window(16, 40, picture=8), ImageCache())
    assert pair.scene.shape == pair.scene_target.shape == (8, 8, 3)
    means = pair.scene.reshape(-1, 3).mean(0) % 1
    assert means.any(), "not rounded to 8 bits, which are few in the dark"
    nothing = source.draw(np.random.default_rng(0), Window(16), ImageCache())
    assert nothing.scene.size == 0
    assert nothing.place == (0, 0, 1, 1)


def test_zoom_is_set_by_source(data: Path) -> None:
    sources = gather(recipe_of("denoise", "dehaze"), data)
    plain = Patches(sources, [1, 1], Window(8), 0)
    zoomed = Patches(sources, [1, 1], [Window(8), Window(8, zoom=4)], 0)
    same = {0: True, 1: True}
    for i in range(20):
        first, second = plain[i], zoomed[i]
        assert first.source == second.source
        same[int(first.source)] &= torch.equal(first.target, second.target)
    assert same == {0: True, 1: False}


@pytest.mark.parametrize("name", ["dehaze", "derain"])
def test_variety_is_for_training_only(data: Path, name: str) -> None:
    """It applies to photographs and pairs of the named source."""

    def drawn(kind: int, **variety: float) -> list[bytes]:
        sources = {n: SourceRecipe(variety=variety.get(n, 0)) for n in (name, "denoise")}
        source, _ = split(gather(Recipe(sources=sources), data), 0.5)[kind]
        draws = (
            source.draw(np.random.default_rng(seed), Window(16), ImageCache()) for seed in range(8)
        )
        return [pair.degraded.tobytes() + pair.target.tobytes() for pair in draws]

    train, validation = 0, 1
    assert drawn(train, **{name: 1.0}) != drawn(train)
    assert drawn(train, denoise=1.0) == drawn(train)
    assert drawn(validation, **{name: 1.0}) == drawn(validation)


def test_a_share_of_all_pairs_has_one_colour(data: Path) -> None:
    """In both halves: their pixels, as vectors, all point one way, up to rounding."""

    def colours(images: Sequence[np.ndarray]) -> int:
        pixels = np.concatenate([image.reshape(-1, 3) for image in images]).astype(float)
        return int(np.linalg.matrix_rank(pixels, tol=60))

    def found(share: float) -> list[int]:
        rngs = [np.random.default_rng(seed) for seed in range(20)]
        sources = gather(recipe_of("derain", "dehaze", grey_share=share), data)
        pairs = [s.draw(rng, Window(16, picture=16), ImageCache()) for s in sources for rng in rngs]
        return [colours(pair[:4]) for pair in pairs]

    assert set(found(1)) == {1}
    assert 10 <= found(0.5).count(1) <= 30
    assert 1 not in found(0)


def test_a_share_of_all_pairs_has_a_flat_part_but_none_to_validate_on(data: Path) -> None:
    """Where it is flat, degraded and target are the same."""

    def found(share: float, kind: int = 0) -> int:
        sources = split(gather(recipe_of("dehaze", flat_share=share), data), 0.5)[kind]
        rngs = [np.random.default_rng(seed) for seed in range(20)]
        pairs = [s.draw(rng, Window(32), ImageCache()) for s in sources for rng in rngs]
        return sum((pair.degraded == pair.target).all(2).mean() > 0.03 for pair in pairs)

    assert found(1) >= 16
    assert 3 <= found(0.5) <= 15
    assert found(0) == found(1, kind=1) == 0


def test_a_ready_batch_holds_floats_from_0_to_1(data: Path) -> None:
    patches = Patches(gather(recipe_of("denoise"), data), [1], Window(8, 16, picture=16), 0)
    ready = Batch(*map(torch.stack, zip(patches[0], patches[1], strict=True))).ready(
        torch.device("cpu")
    )
    for image in (ready.degraded, ready.target, ready.scene, ready.scene_target):
        assert image.dtype == torch.float32
        assert 0.1 < image.mean() < 0.9
        assert image.max() <= 1
        assert image.is_contiguous(memory_format=torch.channels_last)
    assert ready.source.tolist() == [0, 0]
    assert ready.place.shape == (2, 4)


def test_sampling_follows_the_probabilities(data: Path) -> None:
    patches = Patches(gather(recipe_of("denoise", "dehaze"), data), [3.0, 1.0], Window(8), 0)
    share = np.mean([patches[i][2] == 0 for i in range(400)])
    assert share == pytest.approx(0.75, abs=0.08)


def test_patches_may_be_larger_than_the_images(data: Path) -> None:
    for source in gather(recipe_of(*ALL), data):
        degraded, target = sample(source, 0, 200)
        assert degraded.shape == target.shape == (200, 200, 3)


def test_sources_can_be_pickled_for_workers(data: Path) -> None:
    """Spawned processes receive the whole dataset pickled."""
    for source in gather(recipe_of(*ALL), data):
        degraded, target = sample(pickle.loads(pickle.dumps(source)), 3)  # noqa: S301
        expected = sample(source, 3)
        assert np.array_equal(degraded, expected[0])
        assert np.array_equal(target, expected[1])


def test_an_unusable_image_is_skipped_and_named_once(data: Path) -> None:
    bad = data / "Denoise" / "1.png"
    bad.write_bytes(bad.read_bytes()[:60])
    sources = gather(recipe_of("denoise", "dehaze"), data)
    first, again = (Patches(sources, [1.0, 1.0], Window(16), 0) for _ in range(2))
    order = list(range(24))
    samples = [first[i] for i in order]
    for i in reversed(order):
        other = again[i]
        assert torch.equal(samples[i][0], other[0]), "whatever was drawn before"
        assert samples[i][2] == other[2]
    assert len(first.skipped) == 1
    assert first.skipped.reasons() == {bad: "is cut off"}
    assert first.skipped.lines() == [f"{bad} is cut off"]


def test_only_samples_of_the_bad_image_change(data: Path) -> None:
    sources = gather(recipe_of("denoise"), data)
    whole = [Patches(sources, [1.0], Window(16), 0)[i] for i in range(30)]
    (data / "Denoise" / "1.png").write_bytes(b"")
    damaged = [Patches(sources, [1.0], Window(16), 0)[i] for i in range(30)]
    same = sum(torch.equal(a[1], b[1]) for a, b in zip(whole, damaged, strict=True))
    assert 14 <= same <= 28


def test_pairs_that_differ_in_size_are_skipped(data: Path) -> None:
    write(data / "Derain" / "gt" / "norain-1.png", 0, (50, 50))
    patches = Patches(gather(recipe_of("derain"), data), [1.0], Window(16), 0)
    for i in range(10):
        assert patches[i][0].shape == (3, 16, 16)
    rainy = data / "Derain" / "rainy" / "rain-1.png"
    assert patches.skipped.reasons() == {rainy: "differs in size from its partner"}


def test_a_source_with_only_unusable_images_is_an_error(data: Path) -> None:
    sources = gather(recipe_of("derain"), data)
    for path in sources[0].files:
        path.write_bytes(b"no image")
    with pytest.raises(SourceError, match="source derain: 100 unusable images in a row"):
        Patches(sources, [1.0], Window(16), 0)[0]


FORKS = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@FORKS
def test_workers_give_the_same_samples_and_report_to_their_owner(data: Path) -> None:
    bad = data / "Denoise" / "2.png"
    bad.write_bytes(b"no image")
    sources = gather(recipe_of("denoise", "derain"), data)
    alone = Patches(sources, [1.0, 1.0], Window(16), 4)
    shared = skipped_of(sources)
    patches = Patches(sources, [1.0, 1.0], Window(16), 4, skipped=shared)
    loader = DataLoader(patches, batch_sampler=[range(16), range(16, 32)], num_workers=2)
    got = torch.cat([batch[0] for batch in loader])
    assert torch.equal(got, torch.stack([alone[i][0] for i in range(32)]))
    assert shared.reasons() == alone.skipped.reasons()
    assert list(shared.reasons()) == [bad]


@FORKS
def test_an_error_in_a_worker_is_one_line(data: Path) -> None:
    sources = gather(recipe_of("derain"), data)
    for path in sources[0].files:
        path.unlink()
    patches = Patches(sources, [1.0], Window(16), 0)
    with pytest.raises(SourceError) as caught:
        list(DataLoader(patches, batch_sampler=[range(2)], num_workers=1))
    assert re.fullmatch(r"source derain: 100 unusable images .*cannot be opened", str(caught.value))
