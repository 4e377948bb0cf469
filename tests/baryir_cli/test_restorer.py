"""The Python interface returns the kind of image that it was given."""

from __future__ import annotations

import io
import json
import pickle
import re
import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from baryir_cli import Restorer
from baryir_cli.engine import Engine
from baryir_cli.errors import UserError
from baryir_cli.images import read_photo
from baryir_cli.images.colour import cmyk_of
from models.weights import read_weights, save_weights
from tests.baryir_cli.images.samples import cmyk_profile
from tests.conftest import Run


@pytest.fixture(scope="module")
def restorer(tiny_weights: Path) -> Restorer:
    return Restorer.from_weights(str(tiny_weights), device="cpu", precision="fp32")


def values(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_weights_of_an_incomplete_network_are_told_of(
    tiny_weights: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights, path = read_weights(tiny_weights), tmp_path / "part.safetensors"
    save_weights(path, weights.config, weights.state, {"converted": {"missing": 1}})
    Restorer.from_weights(path, device="cpu")
    (said,) = caplog.messages
    assert "an incomplete network (tensors: 1 missing): only a start for training" in said


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16"])
def test_pillow_images_keep_size_mode_and_values(restorer: Restorer, mode: str) -> None:
    image = Image.fromarray(values(20, 30, 3)).convert("L" if mode == "I;16" else mode)
    image = image.convert("I").convert("I;16") if mode == "I;16" else image
    for strength in (0, 1):
        restored = restorer.restore(image, strength)
        assert restored.size == image.size
        assert restored.mode == image.mode
    unchanged = restorer.restore(image, 0)
    if mode == "I;16":
        np.testing.assert_array_equal(unchanged, image)
    else:
        before, after = (np.asarray(i.convert("RGBA"), float) for i in (image, unchanged))
        # YCbCr is rounded on its way to RGB and back.
        assert np.abs(before - after).max() <= (4 if mode == "YCbCr" else 1)


@pytest.mark.parametrize(
    ("mode", "way"),
    [("I", "uint16"), ("F", "floats"), ("HSV", "RGB"), ("LAB", "RGB"), ("La", "LA")],
)
def test_modes_that_would_lose_values_are_refused_with_a_way(
    restorer: Restorer, mode: str, way: str
) -> None:
    with pytest.raises(ValueError, match=f"mode {mode}; convert .*{way}"):
        restorer.restore(Image.new(mode, (8, 8)))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "TIFF", "WEBP"])
def test_several_frames_are_refused(restorer: Restorer, kind: str) -> None:
    image = several(kind)
    with pytest.raises(ValueError, match="3 frames; give one"):
        restorer.restore(image)
    image.seek(1)
    assert restorer.restore(image.copy()).size == (30, 20)


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP"])
def test_an_image_whose_file_is_closed_is_restored(
    restorer: Restorer, tmp_path: Path, kind: str
) -> None:
    """A GIF then cannot tell how many frames it has."""
    Image.fromarray(values(20, 30, 3)).save(tmp_path / "image", kind)
    with Image.open(tmp_path / "image") as image:
        image.load()
    assert restorer.restore(image).size == (30, 20)


def test_the_photograph_of_an_mpo_is_restored(restorer: Restorer) -> None:
    assert restorer.restore(several("MPO")).size == (30, 20)


def several(kind: str) -> Image.Image:
    """An image of three frames, opened from a file."""
    first, *others = (Image.fromarray(values(20, 30, 3) // k) for k in (1, 2, 3))
    file = io.BytesIO()
    first.save(file, kind, save_all=True, append_images=others)
    return Image.open(file)


def test_a_transparent_colour_becomes_alpha(restorer: Restorer) -> None:
    image = Image.fromarray(values(20, 30, 3))
    image.info["transparency"] = image.getpixel((0, 0))
    restored = restorer.restore(image)
    assert restored.mode == "RGBA"
    assert restored.getpixel((0, 0))[3] == 0


def test_pillow_alpha_passes_through(restorer: Restorer) -> None:
    image = Image.fromarray(values(20, 30, 4))
    restored = restorer.restore(image)
    np.testing.assert_array_equal(restored.getchannel("A"), image.getchannel("A"))
    assert np.any(np.asarray(restored)[..., :3] != np.asarray(image)[..., :3])


def test_the_fourth_channel_of_rgbx_passes_through(restorer: Restorer) -> None:
    planes = [Image.fromarray(plane) for plane in values(4, 20, 30)]
    image = Image.merge("RGBX", planes)
    restored = restorer.restore(image)
    assert restored.mode == "RGBX"
    np.testing.assert_array_equal(restored.getchannel("X"), planes[3])


def test_alpha_of_an_array_is_not_rounded(restorer: Restorer) -> None:
    array = np.random.default_rng(0).random((20, 30, 4))
    np.testing.assert_array_equal(restorer.restore(array)[..., 3], array[..., 3])


def test_black_ink_stays_in_its_own_plate(restorer: Restorer) -> None:
    image = Image.new("CMYK", (24, 16), (0, 0, 0, 200))
    assert restorer.restore(image, 0).getpixel((3, 3)) == (0, 0, 0, 200)


def test_inks_follow_their_profile(restorer: Restorer) -> None:
    image = Image.new("CMYK", (24, 16), (0, 0, 0, 128))
    image.info["icc_profile"] = profile = cmyk_profile()
    restored = restorer.restore(image, 0)
    assert restored.info["icc_profile"] == profile
    file = io.BytesIO()
    image.save(file, "TIFF", icc_profile=profile)
    photo = read_photo(file.getvalue())
    np.testing.assert_array_equal(np.asarray(restored), cmyk_of(photo.pixels, profile))


@pytest.mark.parametrize("clear", [0, 1])
def test_a_transparent_colour_of_black_and_white_becomes_alpha(
    restorer: Restorer, clear: int
) -> None:
    white = values(20, 30) > 127
    image = Image.fromarray(white)
    image.info["transparency"] = clear
    alpha = np.asarray(restorer.restore(image).getchannel("A"))
    np.testing.assert_array_equal(alpha, np.where(white == bool(clear), 0, 255))


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3), (20, 30, 4)])
def test_the_order_of_bytes_does_not_matter(restorer: Restorer, shape: tuple[int, ...]) -> None:
    array = values(*shape).astype(np.uint16) * 257
    swapped = restorer.restore(array.astype(">u2"))
    assert swapped.dtype == np.dtype(">u2")
    np.testing.assert_array_equal(swapped, restorer.restore(array))


def test_transparent_palette_stays_transparent(restorer: Restorer) -> None:
    image = Image.fromarray(values(20, 30, 4)).quantize(16, Image.Quantize.FASTOCTREE)
    image.info["dpi"] = (300, 300)
    restored = restorer.restore(image)
    before, after = (np.asarray(i.convert("RGBA"))[..., 3] for i in (image, restored))
    assert np.abs(before.astype(int) - after).mean() < 16
    assert restored.info["dpi"] == (300, 300)


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 1), (20, 30, 3), (20, 30, 4), (1, 1, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32, np.float64])
def test_arrays_keep_shape_and_type(restorer: Restorer, shape: tuple, dtype: type) -> None:
    array = values(*shape).astype(dtype)
    if array.dtype.kind == "f":
        array = array / array.dtype.type(255)
    restored = restorer.restore(array)
    assert restored.shape == array.shape
    assert restored.dtype == array.dtype


@pytest.mark.parametrize("shape", [(3, 20, 30), (1, 20, 30), (2, 3, 20, 30)])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float16])
def test_tensors_keep_shape_and_type(restorer: Restorer, shape: tuple, dtype: torch.dtype) -> None:
    tensor = torch.from_numpy(values(*shape))
    tensor = tensor.to(dtype) / 255 if dtype.is_floating_point else tensor
    restored = restorer.restore(tensor)
    assert restored.shape == tensor.shape
    assert restored.dtype == dtype


def test_a_matrix_is_restored_like_an_array(restorer: Restorer) -> None:
    array = values(20, 30)
    np.testing.assert_array_equal(restorer.restore(array.view(np.matrix)), restorer.restore(array))


def test_all_kinds_of_images_agree(restorer: Restorer) -> None:
    array = values(20, 30, 3)
    restored = restorer.restore(array)
    assert np.any(restored != array)
    np.testing.assert_array_equal(np.asarray(restorer.restore(Image.fromarray(array))), restored)
    tensor = torch.from_numpy(array).permute(2, 0, 1)
    np.testing.assert_array_equal(restorer.restore(tensor).permute(1, 2, 0), restored)
    floating = restorer.restore((array / 255).astype(np.float32))
    np.testing.assert_allclose(floating * 255, restored, atol=0.51)


def test_strength_zero_is_the_input(restorer: Restorer) -> None:
    array = values(20, 30, 3)
    np.testing.assert_array_equal(restorer.restore(array, strength=0), array)


ARRAYS, TENSORS = "(H, W, C) with C of 1, 3 or 4, not (", "(N, C, H, W) with C of 1 or 3, not ("


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (values(20, 30, 2), ValueError, f"{ARRAYS}20, 30, 2)"),
        (values(2, 20, 30, 3), ValueError, f"{ARRAYS}2, 20, 30, 3)"),
        (values(20, 30, 3).astype(np.int32), ValueError, "floating, not int32"),
        (values(20, 30, 3).astype(np.float32), ValueError, "floating values must be from 0 to 1"),
        (values(0, 30, 3), ValueError, "an image of 0 x 30 x 3 has no pixels"),
        (torch.zeros(3, 0, 5), ValueError, "an image of 3 x 0 x 5 has no pixels"),
        (Image.new("RGB", (0, 5)), ValueError, "an image of 0 x 5 has no pixels"),
        (torch.zeros(2, 20, 30), ValueError, f"{TENSORS}2, 20, 30)"),
        (torch.zeros(4, 2, 20, 30), ValueError, f"{TENSORS}4, 2, 20, 30)"),
        (torch.zeros(20, 30), ValueError, f"{TENSORS}20, 30)"),
        ("photo.jpg", TypeError, "the name of a file; restore_file takes it"),
        (Path("photo.jpg"), TypeError, "restore_file takes it"),
        (None, TypeError, "cannot restore a NoneType"),
        (np.ma.masked_less(values(20, 30), 9), TypeError, "mask would be lost; fill it first"),
    ],
)
def test_unsuitable_images_are_refused(
    restorer: Restorer, image: object, error: type, message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)):
        restorer.restore(image)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"tile": 7}, "tile=7: use 0 for the whole image, or a whole number from 32 up"),
        ({"tile": "64"}, "tile='64': use 0 for the whole image, or a whole number from 32 up"),
        ({"tile": 64.5}, "tile=64.5: use 0 for the whole image, or a whole number from 32 up"),
        ({"overlap": "3"}, "overlap='3': use a whole number from 0 up"),
        ({"overlap": -1}, "overlap=-1: use"),
        ({"device": "tpu"}, "device='tpu': use auto, cpu,"),
        ({"precision": "fp8"}, "precision='fp8': use auto, fp32,"),
    ],
)
def test_a_wrong_setting_is_a_value_error_that_names_it(
    tiny_weights: Path, setting: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        Restorer.from_weights(tiny_weights, **setting)


def test_a_strength_out_of_range_is_refused(restorer: Restorer) -> None:
    with pytest.raises(ValueError, match=r"^strength=1.5: use a number from 0 to 1$"):
        restorer.restore(values(4, 4, 3), strength=1.5)
    for strength in ("half", "0.5", b"1", None, [0.5], np.nan, np.ones(2)):
        with pytest.raises(ValueError, match=r"^strength=.*: use a number from 0 to 1$"):
            restorer.restore(values(4, 4, 3), strength=strength)


@pytest.mark.parametrize("half", [0.5, np.float32(0.5), torch.tensor(0.5), Fraction(1, 2)])
def test_any_number_is_a_strength(restorer: Restorer, half: Any) -> None:
    image = values(9, 9, 3)
    np.testing.assert_array_equal(restorer.restore(image, half), restorer.restore(image, 0.5))


def test_unknown_weights_are_refused() -> None:
    with pytest.raises(UserError, match="nothing: no such weights"):
        Restorer.from_weights("nothing")


def test_paths_and_devices_need_not_be_text(tiny_weights: Path) -> None:
    assert Restorer.from_weights(Path(tiny_weights), device=torch.device("cpu"))


def test_what_a_network_keeps_anyway_is_logged(
    tiny_weights: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Restorer.from_weights(tiny_weights, device="cpu", keep_tones=True, keep_shake=True)
    assert [line.split()[0] for line in caplog.messages] == ["tones", "shake"]


def test_the_default_type_of_tensors_does_not_matter() -> None:
    small = Restorer.from_weights("small", device="cpu", precision="fp32")
    colours, dark = values(64, 64, 3), values(64, 64) // 8  # a grey image is judged once more
    wanted = [small.restore(pixels) for pixels in (colours, dark)]
    torch.set_default_dtype(torch.float64)
    try:
        found = [small.restore(pixels) for pixels in (colours, dark)]
    finally:
        torch.set_default_dtype(torch.float32)
    # What is computed in the default type is rounded otherwise.
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one.astype(int), other, atol=1)


def test_transparency_of_deep_grey_is_not_dropped(restorer: Restorer) -> None:
    image = Image.fromarray(np.zeros((8, 8), np.uint16))
    image.info["transparency"] = 500
    with pytest.raises(ValueError, match="transparency"):
        restorer.restore(image)


def test_a_restorer_names_its_weights_device_and_precision(
    restorer: Restorer, tiny_weights: Path
) -> None:
    assert repr(restorer) == f"<Restorer {tiny_weights}, device cpu, precision fp32>"


def test_threads_and_copies_of_a_restorer_agree(restorer: Restorer) -> None:
    images = [values(20, 30 + n, 3) for n in range(4)]
    wanted = [restorer.restore(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        assert all(map(np.array_equal, pool.map(restorer.restore, images), wanted))
    copy = pickle.loads(pickle.dumps(restorer))  # noqa: S301 (our own)
    assert np.array_equal(copy.restore(images[0]), wanted[0])


def test_threads_take_turns(restorer: Restorer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else one's out of memory, and its tiles done again, would be the other's."""
    usual, inside, most = Engine._restored, [], []

    def restored(*arguments: Any) -> Any:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.02)
        inside.pop()
        return usual(*arguments)

    monkeypatch.setattr(Engine, "_restored", restored)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(restorer.restore, [values(20, 30, 3)] * 4))
    assert most == [1] * 4


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A photograph on its side, with a comment that other formats than JPEG cannot hold."""
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "photo.jpg"
    Image.fromarray(values(20, 30, 3)).save(path, exif=exif, comment="by me", quality=95)
    return path


def test_a_file_is_restored_as_the_command_does(
    restorer: Restorer,
    photo: Path,
    tiny_weights: Path,
    baryir: Run,
    capsys: pytest.CaptureFixture,
) -> None:
    target, wanted = photo.with_name("new") / "a.png", photo.with_name("b.png")
    report = restorer.restore_file(photo, target, strength=0.5)
    options = ["--weights", tiny_weights, "--device", "cpu", "--precision", "fp32"]
    assert baryir("restore", photo, wanted, *options, "--strength", "0.5", "--json") == 0
    assert target.read_bytes() == wanted.read_bytes()
    line = json.loads(capsys.readouterr().out)
    told = report.to_dict()
    assert told.pop("seconds") > 0
    assert told == {name: line[name] for name in told}
    assert {"width", "height", "change", "lost"} < set(told)
    assert (report.width, report.height) == (20, 30)
    assert report.lost == ["comment cannot be kept in PNG"]


def test_files_are_not_replaced_unasked(restorer: Restorer, photo: Path) -> None:
    before = photo.read_bytes()
    with pytest.raises(UserError, match=r"photo.jpg exists already; overwrite=True replaces it"):
        restorer.restore_file(photo, photo)
    assert photo.read_bytes() == before
    restorer.restore_file(photo, photo, overwrite=True, quality=30)
    assert len(photo.read_bytes()) < len(before)


@pytest.mark.parametrize(
    ("source", "target", "options", "message"),
    [
        ("photo.jpg", "a.xyz", {}, "a.xyz: use a name that ends in .png, .jpg"),
        ("photo.jpg", "a", {}, "a: use a name that ends in .png"),
        ("none.jpg", "a.png", {}, "none.jpg: cannot be opened: No such file"),
        (
            "photo.jpg",
            "a.png",
            {"max_megapixels": 1e-6},
            "photo.jpg: announces 30 x 20 pixels, 0.00060 MP, above the limit of 1e-06 MP; "
            "max_megapixels raises it",
        ),
        ("photo.jpg", "photo.jpg/a.png", {}, "photo.jpg: File exists; choose another folder"),
        ("photo.jpg", "new/../photo.jpg", {}, "photo.jpg exists already"),
        ("photo.jpg", "a.jpg", {"quality": 0}, "quality=0: use a whole number from 1 to 100"),
        ("photo.jpg", "a.jpg", {"quality": 50.5}, "quality=50.5: use a whole number"),
        ("photo.jpg", "a.jpg", {"quality": 90.0}, "quality=90.0: use a whole number"),
        ("photo.jpg", "a.jpg", {"quality": True}, "quality=True: use a whole number"),
        ("photo.jpg", "a.jpg", {"max_megapixels": "9"}, "max_megapixels='9': use a number"),
        ("photo.jpg", "a.jpg", {"max_megapixels": None}, "max_megapixels=None: use a number"),
        ("photo.jpg", "a.png", {"quality": 90}, "quality=90: .png has none; use None"),
        ("photo.jpg", "a.jpg", {"max_megapixels": 0}, "max_megapixels=0: use a number above 0"),
        ("photo.jpg", "a.jpg", {"strength": 2}, "strength=2: use a number from 0 to 1"),
    ],
)
def test_files_that_cannot_be_restored_are_named(
    restorer: Restorer, photo: Path, source: str, target: str, options: dict, message: str
) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        restorer.restore_file(photo.parent / source, photo.parent / target, **options)
    assert list(photo.parent.iterdir()) == [photo]


def test_a_folder_is_not_replaced_by_a_file(restorer: Restorer, photo: Path) -> None:
    (photo.parent / "a.png").mkdir()
    with pytest.raises(UserError, match="is a folder; name a file in it"):
        restorer.restore_file(photo, photo.parent / "a.png", overwrite=True)
