"""The metrics, compared with the original implementations on real and generated pictures."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from baryir_cli.metrics import METRICS, ImageScorer, MetricUnavailable, SetScorer, scorer
from baryir_cli.metrics.fid import centre, frechet_distance
from models.light import Pixels
from tests.baryir_cli.helpers import ROOT, python

PHOTOGRAPHS = ROOT.parent / "shared" / "data" / "test"
DATA = Path(__file__).parent / "data"
OFFICIAL = json.loads((DATA / "metrics.json").read_text("utf-8"))
GENERATED = json.loads((DATA / "metrics_generated.json").read_text("utf-8"))
PHOTOGRAPHED = [(s, name) for s, images in OFFICIAL["values"].items() for name in images]


def picture(seed: int) -> Pixels:
    """Coarse squares under noise, made of whole numbers and so the same everywhere."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 200, (20, 28, 3)).repeat(13, 0).repeat(13, 1)
    return (coarse + rng.integers(0, 56, coarse.shape)).astype(np.uint8)


def with_genuine_weights(name: str) -> ImageScorer | SetScorer:
    """The scorer, if its weights are in the cache; ``.ci/run`` puts them there."""
    try:
        return scorer(name, download=False)
    except MetricUnavailable as missing:
        pytest.skip(f"{missing}; python -m baryir_cli.metrics fetches them")


@pytest.fixture(scope="module")
def lpips() -> ImageScorer:
    return with_genuine_weights("lpips")  # type: ignore[return-value]


@pytest.fixture(scope="module")
def fid() -> SetScorer:
    return with_genuine_weights("fid")  # type: ignore[return-value]


def photograph(folder: str, name: str) -> Pixels:
    found = list((PHOTOGRAPHS / folder).glob(f"{name}.*"))
    if not found:
        pytest.skip(f"{PHOTOGRAPHS / folder} has no {name}")
    with Image.open(found[0]) as image:
        return np.asarray(image.convert("RGB"))


def photographs(dataset: str, name: str) -> tuple[Pixels, Pixels]:
    """Degraded image and target as in ``metrics.json``, with the same checksums."""
    if dataset == "denoise/bsd68":
        target = photograph(dataset, name)
        seed = list(OFFICIAL["values"][dataset]).index(name)
        noise = np.random.default_rng(seed).normal(0, 25, target.shape)
        degraded = np.clip(np.round(target + noise), 0, 255).astype(np.uint8)
    elif dataset == "lowlight":
        degraded, target = photograph("lowlight/low", name), photograph("lowlight/high", name)
    else:
        degraded = photograph(f"{dataset}/input", name)
        target = photograph(f"{dataset}/target", f"no{name}")
    found = [zlib.crc32(image.tobytes()) for image in (degraded, target)]
    assert found == OFFICIAL["values"][dataset][name]["crc32"]
    return degraded, target


def test_metrics_are_in_the_order_of_tables() -> None:
    assert list(METRICS) == ["psnr", "ssim", "lpips", "fid", "niqe", "piqe"]
    assert [m.name for m in METRICS.values() if not m.per_image] == ["fid"]
    assert [m.name for m in METRICS.values() if not m.needs_target] == ["niqe", "piqe"]
    assert [m.name for m in METRICS.values() if m.better == "higher"] == ["psnr", "ssim"]


def test_listing_the_metrics_imports_nothing_heavy() -> None:
    code = "import sys, baryir_cli.metrics; print(*sys.modules)"
    done = python("-c", code, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert not {"torch", "skimage", "scipy", "cv2", "rich"} & set(done.stdout.split())


@pytest.mark.parametrize(("dataset", "name"), PHOTOGRAPHED)
def test_metrics_of_photographs_agree_with_the_originals(dataset: str, name: str) -> None:
    degraded, target = photographs(dataset, name)
    expected = OFFICIAL["values"][dataset][name]
    for metric in ("psnr", "ssim"):
        found = scorer(metric)(degraded, target)  # type: ignore[call-arg, operator]
        assert found == pytest.approx(expected[metric], rel=0, abs=1e-9), metric
    for side, image in (("input", degraded), ("target", target)):
        assert scorer("niqe")(image, None) == pytest.approx(
            expected[f"niqe_float64_{side}"], rel=0, abs=0.02
        )
        assert scorer("piqe")(image, None) == pytest.approx(
            expected[f"piqe_matlab_{side}"], rel=0, abs=0.01
        )


@pytest.mark.parametrize(("dataset", "name"), PHOTOGRAPHED)
def test_lpips_of_photographs_agrees_with_the_original(
    lpips: ImageScorer, dataset: str, name: str
) -> None:
    found = lpips(*photographs(dataset, name))
    assert found == pytest.approx(OFFICIAL["values"][dataset][name]["lpips"], rel=0, abs=1e-5)


@pytest.mark.slow
def test_fid_of_photographs_agrees_with_the_original(fid: SetScorer) -> None:
    expected = OFFICIAL["fid"]["first_8"]
    pairs = [photographs("derain/Rain100L", f"rain-{n:03}") for n in range(1, 9)]
    degraded, target = (np.stack([fid.features(p[side]) for p in pairs]) for side in (0, 1))
    assert degraded.shape == (8, 2048)
    assert degraded.dtype == np.float64
    assert degraded[0, :4] == pytest.approx(expected["features_first_4_of_first_input"], abs=1e-5)
    distance = fid.distance(degraded, target)
    assert distance == pytest.approx(expected["pytorch_fid"], rel=1e-4)
    assert fid.distance(target, degraded) == pytest.approx(distance, rel=1e-9)


@pytest.fixture
def generated() -> list[Pixels]:
    images = [picture(0), picture(1)]
    assert [zlib.crc32(image.tobytes()) for image in images] == GENERATED["crc32"]
    return images


def test_psnr_and_ssim_equal_those_of_scikit_image(generated: list[Pixels]) -> None:
    a, b = generated
    assert scorer("psnr")(a, b) == pytest.approx(
        peak_signal_noise_ratio(b, a, data_range=255), rel=0, abs=1e-9
    )
    assert scorer("ssim")(a, b) == pytest.approx(
        structural_similarity(b, a, channel_axis=2, data_range=255), rel=0, abs=1e-9
    )


def test_lpips_of_generated_pictures_agrees_with_the_original(
    lpips: ImageScorer, generated: list[Pixels]
) -> None:
    assert lpips(*generated) == pytest.approx(GENERATED["lpips"], rel=0, abs=1e-5)


def test_features_of_generated_pictures_agree_with_the_original(
    fid: SetScorer, generated: list[Pixels]
) -> None:
    for image, expected, mean in zip(
        generated, GENERATED["features"], GENERATED["features_mean"], strict=True
    ):
        features = fid.features(image)
        np.testing.assert_allclose(features[::128], expected, rtol=0, atol=2e-5)
        assert features.mean() == pytest.approx(mean, abs=1e-6)


def test_niqe_of_generated_pictures_agrees_with_the_original(generated: list[Pixels]) -> None:
    # With three equal channels, no grey value needs rounding.
    greys = [image[..., :1].repeat(3, 2) for image in generated]
    found = [scorer("niqe")(image, None) for image in greys]
    assert found == pytest.approx(GENERATED["niqe_grey"], rel=0, abs=1e-6)


def test_piqe_of_generated_pictures_agrees_with_the_original(generated: list[Pixels]) -> None:
    found = [scorer("piqe")(image, None) for image in generated]
    assert found == pytest.approx(GENERATED["piqe"], rel=0, abs=1e-6)


def test_equal_images_have_infinite_psnr_and_an_ssim_of_1() -> None:
    image = picture(0)
    assert scorer("psnr")(image, image) == math.inf
    assert scorer("ssim")(image, image) == 1


def test_equal_images_have_an_lpips_and_fid_of_0(lpips: ImageScorer, fid: SetScorer) -> None:
    image = picture(0)
    assert lpips(image, image.copy()) == 0
    features = np.stack([fid.features(image), fid.features(picture(1))])
    assert fid.distance(features, features) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("count", "other"), [(5, 7), (40, 9), (60, 50)])
def test_frechet_distance_equals_the_textbooks(count: int, other: int) -> None:
    """With more and fewer images than features; the root's trace comes from eigenvalues."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(count, 12)), 0.5 + 2 * rng.normal(size=(other, 12))
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    roots = np.sqrt(np.maximum(np.linalg.eigvals(first @ second).real, 0))
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(first + second) - 2 * roots.sum()
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


def test_one_image_has_no_frechet_distance() -> None:
    with pytest.raises(MetricUnavailable, match="at least two images"):
        frechet_distance(np.zeros((1, 4)), np.zeros((5, 4)))


@pytest.mark.parametrize(
    ("height", "width", "top", "left", "side"),
    [
        (321, 481, 32, 112, 256),
        (256, 256, 0, 0, 256),
        (183, 275, 0, 46, 183),
        (300, 200, 50, 0, 200),
    ],
)
def test_crops_are_the_middle_square(
    height: int, width: int, top: int, left: int, side: int
) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    image[top, left] = 1
    image[top + side - 1, left + side - 1] = 2
    crop = centre(image)
    assert crop.shape == (side, side, 3)
    assert (crop[0, 0, 0], crop[-1, -1, 0]) == (1, 2)


def test_features_of_a_small_image_are_those_of_its_square(fid: SetScorer) -> None:
    image = picture(0)[:120, :90]
    np.testing.assert_array_equal(fid.features(image), fid.features(image[15:105]))


@pytest.mark.parametrize(
    ("name", "height", "width", "message"),
    [
        ("ssim", 6, 40, "at least 7 x 7 pixels, the image has 40 x 6"),
        ("niqe", 191, 191, "two blocks of 96 x 96 pixels, the image has 191 x 191"),
        ("niqe", 200, 200, "not flat"),
    ],
)
def test_unsuitable_images_have_no_figure(name: str, height: int, width: int, message: str) -> None:
    image = np.full((height, width, 3), 9, np.uint8)
    with pytest.raises(MetricUnavailable, match=message) as caught:
        scorer(name)(image, image)  # type: ignore[operator, call-arg]
    assert "\n" not in str(caught.value)


def test_lpips_takes_images_of_31_pixels_and_more(lpips: ImageScorer) -> None:
    image = picture(0)
    assert lpips(image[:31, :31], image[31:62, :31]) > 0
    with pytest.raises(MetricUnavailable, match="at least 31 x 31 pixels"):
        lpips(image[:30, :40], image[:30, :40])


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (16, 17), (100, 1)])
def test_piqe_takes_any_size(shape: tuple[int, int]) -> None:
    assert 0 <= scorer("piqe")(np.full((*shape, 3), 77, np.uint8), None) <= 100


@pytest.mark.parametrize(
    ("restored", "target"),
    [
        (np.zeros((8, 8, 3)), np.zeros((8, 8, 3))),
        (np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8)),
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9, 3), np.uint8)),
        (np.zeros((8, 8, 3), np.uint8), None),
    ],
)
def test_arrays_of_another_kind_are_refused(restored: Any, target: Any) -> None:
    with pytest.raises(ValueError, match=r"uint8|sizes differ|needs a target"):
        scorer("psnr")(restored, target)


def test_an_unknown_metric_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        scorer("mse")


Scored = Callable[[Pixels], Any]


def test_threads_share_a_scorer(lpips: ImageScorer, fid: SetScorer) -> None:
    from concurrent.futures import ThreadPoolExecutor

    image, other = picture(0), picture(1)
    calls: list[Scored] = [
        lambda x: lpips(x, other),
        lambda x: scorer("niqe")(x, None),
        lambda x: fid.features(x).sum(),
    ]
    with ThreadPoolExecutor(4) as pool:
        at_once = [pool.submit(call, image) for call in calls * 2]
        found = [f.result() for f in at_once]
    assert found == [call(image) for call in calls] * 2
