"""The scene judge: one judgement for a photograph, whichever part of it is restored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.config import SCENE_MULTIPLE
from models.network import BaryIR, build
from models.presets import preset
from models.scene import (
    FIELDS,
    SHADES,
    STRIDE,
    WIDTHS,
    Scene,
    SceneJudge,
    mean_tone,
    picture_of,
    tone_change,
    whole_place,
    whole_scene,
)

CONFIG = replace(
    preset("small"), width=8, blocks=(1, 1, 1), heads=(1, 1, 2), map_blocks=1, scene=32, margin=0
)


def places(*rows: tuple[float, float, float, float]) -> Tensor:
    return torch.tensor(rows)


def judging_network() -> BaryIR:
    """A network whose judge changes the tone."""
    torch.manual_seed(0)
    network = build(CONFIG)
    assert network.judge is not None
    for parameter in network.judge.tone[-1].parameters():
        nn.init.normal_(parameter, std=0.3)
    return network.requires_grad_(False)


def test_a_new_judge_changes_nothing() -> None:
    tone = SceneJudge()(torch.rand(2, 3, 64, 64))
    assert tone.shape == (2, FIELDS, SHADES, 4, 4)
    assert not tone.any()


def test_tone_is_an_offset_and_a_gain() -> None:
    tone = torch.zeros(1, FIELDS, SHADES, 2, 2)
    tone[:, 0], tone[:, 5] = 0.25, 2.0
    image = torch.rand(1, 3, 6, 4)
    change = tone_change(tone, image, whole_place(image))
    torch.testing.assert_close(change[:, 0], torch.full((1, 6, 4), 0.25))
    torch.testing.assert_close(change[:, 1], torch.zeros(1, 6, 4))
    torch.testing.assert_close(change[:, 2], 2 * image[:, 2])


def test_tone_follows_brightness() -> None:
    tone = torch.zeros(1, FIELDS, SHADES, 1, 1)
    tone[:, 0] = torch.arange(4.0).view(1, 4, 1, 1)
    # The middles of the four shades, which are even in the root of brightness.
    values = ((torch.arange(4) + 0.5) / 4).square()
    image = values.view(1, 1, 1, 4).expand(1, 3, 2, 4)
    change = tone_change(tone, image, whole_place(image))
    torch.testing.assert_close(change[0, 0, 0], torch.arange(4.0))


@pytest.mark.parametrize("scale", [1, 2])
def test_a_part_gets_the_tone_of_its_place(scale: int) -> None:
    torch.manual_seed(0)
    tone, image = torch.randn(1, FIELDS, 1, 3, 5), torch.rand(1, 3, 40, 80)
    complete = tone_change(tone, image, whole_place(image), scale)
    part = tone_change(tone, image[..., 8:24, 40:72], places((0.2, 0.5, 0.6, 0.9)), scale)
    inner = slice(scale, -scale), slice(scale, -scale)
    torch.testing.assert_close(
        part[..., inner[0], inner[1]], complete[..., 8:24, 40:72][..., inner[0], inner[1]]
    )


@pytest.mark.parametrize("scale", [1, 2])
def test_the_lookup_is_trilinear(scale: int) -> None:
    torch.manual_seed(0)
    tone, image = torch.randn(2, FIELDS, SHADES, 3, 5), torch.rand(2, 3, 8, 12)
    place = places((-0.1, 0.3, 0.8, 1.2), (0.0, 0.0, 1.0, 1.0))
    shade = F.avg_pool2d(image.mean(1), scale).sqrt()
    height, width = shade.shape[1:]
    axes = [
        first[:, None] + (last - first)[:, None] * (torch.arange(count) + 0.5) / count
        for first, last, count in zip(place.T[:2], place.T[2:], (height, width), strict=True)
    ]
    down = axes[0][:, :, None].expand(-1, -1, width)
    across = axes[1][:, None].expand(-1, height, -1)
    grid = 2 * torch.stack([across, down, shade], -1) - 1
    fields = F.grid_sample(tone, grid[:, None], padding_mode="border", align_corners=False)[:, :, 0]
    fields = F.interpolate(fields, scale_factor=scale, mode="bilinear")
    expected = fields[:, :3] + fields[:, 3:] * image
    torch.testing.assert_close(tone_change(tone, image, place, scale), expected)


@pytest.mark.parametrize("size", [(100, 6400), (1, 1), (7, 300), (64, 64), (2500, 3000)])
def test_the_picture_averages_images_of_any_shape(size: tuple[int, int]) -> None:
    stripes = np.zeros((*size, 3), np.uint8)
    stripes[:, 1::2] = 200
    picture = picture_of(stripes, 32)
    assert picture.shape == (32, 32, 3)
    assert picture.dtype == np.float32
    wide = size[1] >= 64
    assert picture.mean() == pytest.approx(stripes.mean(), abs=4)
    if wide:
        assert picture.std() < 16, "no stripe is left"


def test_the_config_knows_the_judges_multiple() -> None:
    assert STRIDE * 2 ** (len(WIDTHS) - 1) == SCENE_MULTIPLE


def test_places_beyond_the_photograph_get_the_tone_of_its_edge() -> None:
    tone, image = torch.randn(1, FIELDS, 1, 2, 2), torch.ones(1, 3, 4, 4)
    outside = tone_change(tone, image, places((-2.0, -2.0, -1.0, -1.0)))
    torch.testing.assert_close(outside, outside[..., :1, :1].expand_as(outside))


def test_every_image_of_a_batch_has_its_own_scene() -> None:
    network = judging_network()
    image = torch.rand(2, 3, 16, 16)
    scene = Scene(torch.rand(2, 3, 32, 32), places((0, 0, 0.5, 0.5), (0.25, 0.5, 0.75, 1)))
    both = network(image, scene).correction
    for i in range(2):
        one = Scene(*(part[i : i + 1] for part in scene))
        alone = network(image[i : i + 1], one).correction
        torch.testing.assert_close(both[i : i + 1], alone, rtol=1e-4, atol=1e-5)


class Means(nn.Module):
    """A stand-in for the judge: the picture's mean in each of 4 x 4 cells, twice."""

    def forward(self, picture: Tensor) -> Tensor:
        means = F.adaptive_avg_pool2d(picture, 4)
        return torch.cat([means, means], 1).unsqueeze(2)


@pytest.mark.parametrize("quadrant", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_views_are_put_back_where_they_came_from(quadrant: tuple[int, int]) -> None:
    picture = torch.zeros(1, 3, 32, 32)
    down, across = quadrant
    picture[..., 16 * down : 16 * (down + 1), 16 * across : 16 * (across + 1)] = 1
    tone = mean_tone(Means(), picture)[0, 0, 0]
    inner = F.avg_pool2d(tone[None, None], 2)[0, 0]
    assert inner[down, across] > 0.85
    assert inner[1 - down, 1 - across] < 0.05
    assert inner[1 - down, across] < 0.25
    assert inner[down, 1 - across] < 0.25


def test_views_include_closer_and_mirrored_ones() -> None:
    seen: list[Tensor] = []

    class Watching(Means):
        def forward(self, picture: Tensor) -> Tensor:
            seen.extend(picture.split(1))
            return super().forward(picture)

    picture = torch.rand(1, 3, 32, 32)
    mean_tone(Watching(), picture)
    assert len(seen) == 18
    for one, other in zip(seen[:9], seen[9:], strict=True):
        assert torch.equal(one.flip(3), other)
    for corner in (picture[..., :22, 10:], picture[..., :29, 3:]):
        enlarged = F.interpolate(corner, size=(32, 32), mode="bilinear")
        assert sum(torch.equal(view, enlarged) for view in seen) == 1


def test_the_whole_counts_as_much_as_the_corners_of_one_size() -> None:
    class Knowing(nn.Module):
        """Answers 1 for the whole picture and 0 for its corners."""

        def forward(self, views: Tensor) -> Tensor:
            whole = [picture[0], picture[0].flip(2)]
            known = [any(torch.equal(view, one) for one in whole) for view in views]
            return torch.tensor(known).float().view(-1, 1, 1, 1, 1).expand(-1, 6, 1, 4, 4)

    picture = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(mean_tone(Knowing(), picture), torch.full((1, 6, 1, 4, 4), 1 / 3))


def test_without_a_scene_the_image_is_its_own() -> None:
    network, image = judging_network(), torch.rand(1, 3, 48, 32)
    expected = network(image, whole_scene(image, 32))
    torch.testing.assert_close(network(image).correction, expected.correction)
    assert expected.tone is not None
    picture = whole_scene(image, 16).picture
    torch.testing.assert_close(picture, F.avg_pool2d(image, (3, 2)))


@pytest.mark.parametrize("size", [(20, 12), (32, 32), (20, 96), (64, 96)])
def test_a_whole_scene_has_the_picture_that_the_engine_takes(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).random((*size, 3), np.float32)
    picture = whole_scene(torch.from_numpy(pixels).permute(2, 0, 1)[None], 32).picture[0]
    np.testing.assert_allclose(picture.permute(1, 2, 0), picture_of(pixels, 32), atol=1e-6)


def test_a_network_without_a_judge_ignores_the_scene() -> None:
    network = build(replace(CONFIG, scene=0))
    image = torch.rand(1, 3, 16, 16)
    alone, given = network(image), network(image, whole_scene(image, 32))
    assert alone.tone is None
    torch.testing.assert_close(given.correction, alone.correction)
