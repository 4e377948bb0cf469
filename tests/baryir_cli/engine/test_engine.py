"""The engine in any size, precision and memory, compared with the network itself."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from torch import Tensor

from baryir_cli.engine import Engine, NotFiniteError, capacity
from baryir_cli.engine.corrector import Corrector
from baryir_cli.engine.visible import restore_visible
from baryir_cli.errors import ArgumentError, UserError
from baryir_cli.metrics.psnr import psnr
from baryir_cli.weights.references import network_of
from models.deconvolution import deconvolved
from models.network import BaryIR, Restoration, build
from models.presets import preset
from models.scene import FIELDS, SHADES, Scene, mean_tone
from models.shake import find_shake, radius
from train import degradations


@pytest.fixture(scope="module")
def network() -> BaryIR:
    torch.manual_seed(0)
    return build(preset("tiny")).eval()


def photo(height: int, width: int, dtype: type = np.uint8, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).random((height, width, 3))
    if dtype is np.float32:
        return values.astype(dtype)
    return (values * np.iinfo(dtype).max).astype(dtype)


class Shift(torch.nn.Module):
    """A stand-in for a network: the same correction at every pixel, after a hook."""

    def __init__(self, correction: float = 0.25) -> None:
        super().__init__()
        self.config = preset("tiny")
        self.judge: torch.nn.Module | None = None
        self.finish = None
        self.value = torch.nn.Parameter(torch.tensor(correction))
        self.calls: list[tuple[torch.dtype, tuple[int, ...]]] = []

    def before(self, image: Tensor) -> None:
        """A hook that may fail or watch."""

    def __deepcopy__(self, memo: dict) -> Shift:
        other = type(self)(float(self.value.detach()))
        other.calls = self.calls
        return other

    def forward(self, image: Tensor, _: Scene | None = None) -> Restoration:
        self.calls.append((image.dtype, tuple(image.shape)))
        self.before(image)
        return Restoration(torch.ones_like(image) * self.value, None)  # type: ignore[arg-type]


def test_a_whole_image_is_the_networks_own_answer(network: BaryIR) -> None:
    pixels = photo(48, 40, np.float32)
    restored, report = Engine(network, device="cpu", precision="fp32", tile=0).restore(pixels)
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    with torch.inference_mode():
        expected = (image + network(image).correction).clamp(0, 1)[0].permute(1, 2, 0)
    np.testing.assert_allclose(restored, expected.numpy(), atol=1e-5)
    assert report.tiles == 1


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (1, 40), (33, 1), (64, 64), (65, 130)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_any_size_keeps_shape_and_type(network: BaryIR, size: tuple[int, int], dtype: type) -> None:
    pixels = photo(*size, dtype)
    restored, _ = Engine(network, device="cpu", tile=32, overlap=8).restore(pixels)
    assert restored.shape == pixels.shape
    assert restored.dtype == pixels.dtype


def test_tiles_are_as_large_as_asked(network: BaryIR) -> None:
    shift = Shift()
    engine = Engine(shift, device="cpu", precision="fp32", tile=50, overlap=10)  # type: ignore[arg-type]
    _, report = engine.restore(photo(90, 170))
    assert report.tiles == 2 * 4
    assert report.tile == (50, 50)
    # 50 pixels, padded to a multiple of 8 for the network.
    assert {shape[-2:] for _, shape in shift.calls} == {(56, 56)}


class Surroundings(Shift):
    """Corrects by 1/8 of the right neighbour minus the left one, black beyond the edges."""

    def forward(self, image: Tensor, _: Scene | None = None) -> Restoration:
        self.calls.append((image.dtype, tuple(image.shape)))
        wide = torch.nn.functional.pad(image, (1, 1))
        return Restoration((wide[..., 2:] - wide[..., :-2]) / 8, None)  # type: ignore[arg-type]


class Brightness(torch.nn.Module):
    """A stand-in for a judge: a tone of one cell, the picture's mean. It keeps the pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures: list[Tensor] = []

    def forward(self, picture: Tensor) -> Tensor:
        self.pictures.append(picture)
        return picture.mean((1, 2, 3)).view(-1, 1, 1, 1, 1).expand(-1, FIELDS, SHADES, 1, 1)


class Placed(Shift):
    """Corrects by an eighth of each pixel's place, rows in red and columns in green.

    Without a tone, it corrects nothing.
    """

    def __init__(self, correction: float = 0.0) -> None:
        super().__init__(correction)
        self.config = replace(self.config, scene=16)
        self.judge = self.brightness = Brightness()
        self.tones: list[Tensor] = []

    def with_tone(self, image: Tensor, tone: Tensor, place: Tensor) -> Restoration:
        self.calls.append((image.dtype, tuple(image.shape)))
        self.tones.append(tone)
        correction = torch.zeros_like(image)
        if not tone.any():
            return Restoration(correction, None)  # type: ignore[arg-type]
        for channel, axis in ((0, 2), (1, 3)):
            count = image.shape[axis]
            middles = (torch.arange(count) + 0.5) / count
            first, last = place[:, channel, None], place[:, channel + 2, None]
            shares = (first + (last - first) * middles) / 8
            correction[:, channel] = shares[:, :, None] if axis == 2 else shares[:, None]
        return Restoration(correction, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(90, 170), (170, 90), (30, 30)])
def test_tiles_get_their_place_in_the_whole_scene(size: tuple[int, int]) -> None:
    network = Placed()
    network.config = replace(network.config, margin=8)
    pixels = np.full((*size, 3), 0.25, np.float32)
    pixels[: size[0] // 2] = 0.5
    engine = Engine(network, device="cpu", precision="fp32", tile=50, overlap=10)  # type: ignore[arg-type]
    restored, report = engine.restore(pixels)
    # One call is for the samples that show whether a pass was enough, one for the overview.
    assert len(network.calls) == report.tiles + 1 + (report.tiles > 1)
    for channel, (count, axis) in enumerate(zip(size, "hw", strict=True)):
        wanted = (np.arange(count) + 0.5) / count / 8
        found = (restored - pixels)[..., channel]
        wanted = np.broadcast_to(wanted[:, None] if axis == "h" else wanted, size)
        # The overview has pixels of its own.
        np.testing.assert_allclose(found, wanted, atol=1e-3)
    picture = network.brightness.pictures[0][:1]  # the rest are closer views
    torch.testing.assert_close(picture[..., :7, :], torch.full((1, 3, 7, 16), 0.5))
    torch.testing.assert_close(picture[..., 9:, :], torch.full((1, 3, 7, 16), 0.25))
    wanted = mean_tone(network.brightness, picture)
    assert all(torch.equal(tone, wanted) for tone in network.tones[1:])


def test_the_scene_of_a_large_image_averages_all_of_it() -> None:
    network = Placed()
    rows = np.random.default_rng(0).integers(0, 4, (1024, 768, 3)).astype(np.uint8)
    engine = Engine(network, device="cpu", precision="fp32", tile=0)  # type: ignore[arg-type]
    engine.restore(rows)
    wanted = rows.reshape(16, 64, 16, 48, 3).mean((1, 3)) / 255
    found = network.brightness.pictures[0][0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(found, wanted, atol=0.25 / 255)


@pytest.mark.parametrize(
    ("size", "seen"),
    [
        ((32, 96), {(64, 56), (64, 40)}),
        ((96, 32), {(56, 64), (40, 64)}),
        ((10, 12), {(48, 48)}),
    ],
)
def test_margins_are_mirrored_where_the_image_ends(
    size: tuple[int, int], seen: set[tuple[int, int]]
) -> None:
    network = Surroundings()
    network.config = replace(network.config, margin=16)
    pixels = photo(*size, np.float32) / 2 + 0.25
    engine = Engine(network, device="cpu", precision="fp32", tile=40, overlap=16)
    restored, _ = engine.restore(pixels)
    wide = np.pad(pixels, ((0, 0), (1, 1), (0, 0)), mode="reflect")
    expected = pixels + (wide[:, 2:] - wide[:, :-2]) / 8
    np.testing.assert_allclose(restored[:, [0, -1]], expected[:, [0, -1]], atol=1e-6)
    assert {shape[2:] for _, shape in network.calls} == seen


@pytest.mark.parametrize(("height", "options"), [(6, {}), (72, {"tile": 64, "overlap": 4})])
def test_thin_images_and_last_tiles_lose_their_noise(height: int, options: dict[str, int]) -> None:
    """When their last pixels were repeated, noise became streaks that stayed."""
    clean = skimage.data.astronaut()[60 : 60 + height, 150:350]
    steps = degradations.parse("noise:25")
    noisy = degradations.degrade(degradations.floating(clean), steps, np.random.default_rng(0))
    engine = Engine(network_of("small"), device="cpu", precision="fp32", **options)
    restored, _ = engine.restore(degradations.quantise(noisy))
    assert psnr(restored[-4:], clean[-4:]) > 28


def test_blended_tiles_of_a_constant_correction_show_no_seam() -> None:
    pixels = np.full((150, 170, 3), 0.25, np.float32)
    engine = Engine(Shift(0.5), device="cpu", tile=40, overlap=13)  # type: ignore[arg-type]
    restored, _ = engine.restore(pixels)
    np.testing.assert_allclose(restored, 0.75, atol=1e-6)


def shaken(height: int, width: int, kernel: np.ndarray) -> np.ndarray:
    """A photograph blurred by a shake."""
    part = skimage.data.astronaut()[60:, 90:][:height, :width]
    return degradations.quantise(degradations.motion_blur(degradations.floating(part), kernel))


def slanted() -> np.ndarray:
    """The kernel of a straight shake."""
    kernel = np.zeros((13, 13), np.float32)
    cv2.line(kernel, (1, 3), (11, 9), 1.0)
    return kernel / kernel.sum()


@pytest.mark.parametrize("size", [(240, 330), (330, 240)])
def test_a_shake_is_removed_from_tiles_as_from_the_whole(size: tuple[int, int]) -> None:
    """The network sees the deconvolved image."""
    pixels = shaken(*size, slanted())
    found = find_shake(pixels)
    assert found is not None
    network = Shift(0.0)
    network.config = replace(network.config, deconvolve=True)
    seen: list[Tensor] = []
    network.before = seen.append  # type: ignore[method-assign]
    whole, report = Engine(network, tile=0, precision="fp32").restore(pixels)  # type: ignore[arg-type]
    assert report.shake == radius(found)
    expected = deconvolved(pixels.astype(np.float32) / 255, found)
    assert np.abs(whole - 255 * expected).max() < 0.51
    shown = seen[0][0, :, : size[0], : size[1]].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(shown, expected, atol=1e-3)
    tiled, _ = Engine(network, tile=128).restore(pixels)  # type: ignore[arg-type]
    inside = slice(30, -30), slice(30, -30)
    apart = tiled[inside].astype(float) - whole[inside]
    assert 20 * np.log10(255 / apart.std()) > 45
    half, _ = Engine(network, tile=0, precision="fp32").restore(pixels, strength=0.5)  # type: ignore[arg-type]
    # Both are rounded.
    assert np.abs(half - (pixels / 2 + 255 * expected / 2)).max() < 0.76


def test_without_strength_no_shake_is_removed() -> None:
    network = Shift(0.0)
    network.config = replace(network.config, deconvolve=True)
    pixels = shaken(240, 330, slanted())
    restored, report = Engine(network).restore(pixels, strength=0)  # type: ignore[arg-type]
    np.testing.assert_array_equal(restored, pixels)
    assert report.shake == 0


def test_a_shake_is_kept_if_asked_for() -> None:
    network = Shift(0.0)
    network.config = replace(network.config, deconvolve=True)
    pixels, said = shaken(240, 330, slanted()), list[str]()
    engine = Engine(network, keep_shake=True, notify=said.append)  # type: ignore[arg-type]
    restored, report = engine.restore(pixels)
    np.testing.assert_array_equal(restored, pixels)
    assert report.shake == 0
    assert not said


def test_a_sharp_image_is_not_deconvolved() -> None:
    network = Shift(0.0)
    network.config = replace(network.config, deconvolve=True)
    pixels = skimage.data.astronaut()[60:300, 90:420]
    restored, report = Engine(network).restore(pixels)  # type: ignore[arg-type]
    assert report.shake == 0
    np.testing.assert_array_equal(restored, pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_no_correction_keeps_every_bit(dtype: type, precision: str) -> None:
    pixels = photo(61, 77, dtype)
    engine = Engine(Shift(0.0), device="cpu", precision=precision, tile=32, overlap=8)  # type: ignore[arg-type]
    restored, _ = engine.restore(pixels)
    np.testing.assert_array_equal(restored, pixels)


def test_strength_blends_with_the_input() -> None:
    pixels = np.full((16, 16, 3), 0.5, np.float32)
    engine = Engine(Shift(0.4), device="cpu", precision="fp32")  # type: ignore[arg-type]
    for strength in (0.0, 0.25, 1.0):
        restored, _ = engine.restore(pixels, strength=strength)
        np.testing.assert_allclose(restored, 0.5 + 0.4 * strength, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_the_change_is_reported_in_steps_of_8_bits(dtype: type) -> None:
    """After the strength, and over an image of several strips."""
    top = 1 if dtype is np.float32 else np.iinfo(dtype).max
    pixels = np.full((150, 20, 3), 0.2 * top).astype(dtype)
    pixels[:75] = top
    pixels[100, 10] = 0  # a third colour: the tones of two would stay
    engine = Engine(Shift(0.4), device="cpu", precision="fp32")  # type: ignore[arg-type]
    _, report = engine.restore(pixels, strength=0.5)
    # White pixels stay white.
    assert report.change == pytest.approx(0.2 * 255 / 2**0.5, abs=0.5)
    assert engine.restore(pixels, strength=0.0)[1].change == 0


def test_the_result_is_clipped() -> None:
    engine = Engine(Shift(3.0), device="cpu")  # type: ignore[arg-type]
    assert (engine.restore(photo(9, 9))[0] == 255).all()


class HalfFails(Shift):
    def forward(self, image: Tensor, _: Scene | None = None) -> Restoration:
        answer = super().forward(image)
        if image.dtype != torch.float32:
            answer.correction[0, 0, 0, 0] = torch.nan
        return answer


def test_a_tile_that_half_precision_breaks_is_redone_in_float32() -> None:
    engine = Engine(HalfFails(0.25), device="cpu", precision="bf16", tile=32, overlap=0)  # type: ignore[arg-type]
    restored, report = engine.restore(np.zeros((32, 96, 3), np.float32))
    np.testing.assert_allclose(restored, 0.25)
    assert report.redone_in_fp32 == 3


def test_nan_in_float32_fails() -> None:
    engine = Engine(Shift(float("nan")), device="cpu", precision="bf16")  # type: ignore[arg-type]
    with pytest.raises(NotFiniteError, match="NaN or infinity"):
        engine.restore(photo(16, 16))


class OutOfMemory(Shift):
    largest = 64

    def before(self, image: Tensor) -> None:
        if image.shape[-1] > self.largest:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")


def test_out_of_memory_takes_smaller_tiles_and_says_so_once() -> None:
    said: list[str] = []
    engine = Engine(OutOfMemory(0.25), device="cpu", tile=256, notify=said.append)  # type: ignore[arg-type]
    for _ in range(2):
        restored, report = engine.restore(np.zeros((300, 300, 3), np.float32))
        np.testing.assert_allclose(restored, 0.25, atol=1e-6)
        assert report.tile == (64, 64)
    assert len(said) == 2
    assert "128" in said[0]
    assert "64" in said[1]


def test_out_of_memory_takes_smaller_tiles_than_the_image() -> None:
    said: list[str] = []
    engine = Engine(OutOfMemory(0.25), device="cpu", tile=2048, notify=said.append)  # type: ignore[arg-type]
    engine.restore(np.zeros((100, 130, 3), np.float32))
    assert [s.split(": ")[1] for s in said] == ["continuing with tiles of 64 pixels"]


def test_out_of_memory_everywhere_is_an_error_not_a_loop() -> None:
    class Never(OutOfMemory):
        largest = 1

    engine = Engine(Never(), device="cpu", notify=lambda _text: None)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="not enough memory"):
        engine.restore(photo(100, 100))


def test_an_image_too_large_for_any_tile_leaves_the_others_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lack(*_arguments: object) -> object:
        raise MemoryError("Unable to allocate 30 GiB")

    engine = Engine(Shift(), device="cpu", tile=256, notify=lambda _text: None)  # type: ignore[arg-type]
    with monkeypatch.context() as patched:
        patched.setattr(engine, "_restored", lack)
        with pytest.raises(UserError, match="Unable to allocate"):
            engine.restore(photo(300, 300))
    assert engine.restore(photo(300, 300))[1].tile == (256, 256)


MEMORY_SCRIPT = """
import sys
import numpy as np
from baryir_cli.engine import Engine
from tests.baryir_cli.engine.test_engine import Shift
from tests.peak import peak_memory
height, width = map(int, sys.argv[1:])
engine = Engine(Shift(0.1), device="cpu", precision="fp32", tile=64, overlap=16)
engine.restore(np.zeros((64, 64, 3), np.uint8))
pixels = np.ones((height, width, 3), np.uint8)
before = peak_memory()
engine.restore(pixels)
print((peak_memory() - before) / pixels.nbytes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is counted in kB on Linux")
@pytest.mark.parametrize(("height", "width"), [(160_000, 64), (64, 160_000), (3200, 3200)])
def test_memory_is_bounded_by_the_tile_not_the_image(height: int, width: int) -> None:
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-c", MEMORY_SCRIPT, str(height), str(width)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    # The result is as large as the image; a copy in float32 would be four times that.
    assert float(done.stdout) < 2


SURROUNDED_SCRIPT = """
import sys
import numpy as np
from baryir_cli.engine import Engine, continuation
from baryir_cli.engine.visible import restore_visible
from tests.baryir_cli.engine.test_engine import Shift, on_white
from tests.peak import peak_memory
continuation.SEARCHED = 1 << 20
engine = Engine(Shift(0.1), device="cpu", precision="fp32", tile=64, overlap=16)
engine.restore(on_white(100)[0])
pixels, alpha = on_white(4000)
if sys.argv[1] == "hidden":
    pixels[:] = 100
before = peak_memory()
restore_visible(engine, pixels, alpha if sys.argv[1] == "hidden" else None, 1.0)
print((peak_memory() - before) / pixels.nbytes)
"""


def on_white(side: int) -> tuple[np.ndarray, np.ndarray]:
    """A slanted photograph on white, and alpha that hides the white."""
    corners = np.array([(0.06, 0.03), (0.97, 0.06), (0.94, 0.97), (0.03, 0.94)]) * side
    alpha = cv2.fillConvexPoly(np.zeros((side, side), np.uint8), corners.astype(np.int32), 255)
    tones = cv2.resize(photo(20, 20), (side, side), interpolation=cv2.INTER_CUBIC) // 2
    return np.where(alpha[..., None] > 0, tones, np.uint8(255)), np.asarray(alpha)


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is counted in kB on Linux")
@pytest.mark.parametrize(("around", "most"), [("ground", 4), ("hidden", 2.5)])
def test_memory_is_bounded_for_photographs_on_a_ground_and_cut_out(
    around: str, most: float
) -> None:
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-c", SURROUNDED_SCRIPT, around]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    # What the network sees, its result, the whole with that (on a ground), and masks.
    assert float(done.stdout) < most


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        cv2.error("(-4:Insufficient memory) Failed to allocate 400000000 bytes"),
    ],
    ids=["numpy", "OpenCV"],
)
@pytest.mark.parametrize(
    "place",
    [
        "baryir_cli.engine.engine.regions",
        "baryir_cli.engine.regions.Region.put_into",
        "baryir_cli.engine.visible.continued",
        "baryir_cli.engine.restoration.find_shake",
    ],
)
def test_lack_of_memory_is_one_line_wherever_it_is(
    monkeypatch: pytest.MonkeyPatch, place: str, error: Exception, network: BaryIR
) -> None:
    def lack(*_arguments: object, **_more: object) -> object:
        raise error

    monkeypatch.setattr(place, lack)
    monkeypatch.setattr(network, "config", replace(network.config, deconvolve=True))
    engine = Engine(network, device="cpu", tile=32, notify=lambda _text: None)
    pixels, alpha = on_white(100)
    with pytest.raises(UserError, match="^not enough memory"):
        restore_visible(engine, pixels, alpha if place.endswith("continued") else None, 1.0)


def test_wide_and_tall_images_are_restored_alike(network: BaryIR) -> None:
    engine = Engine(network, device="cpu", precision="fp32", tile=0)
    tiled = Engine(network, device="cpu", precision="fp32", tile=32, overlap=16)
    for size in [(40, 120), (120, 40)]:
        pixels = photo(*size, np.float32)
        whole, parts = engine.restore(pixels)[0], tiled.restore(pixels)[0]
        # Bands left turned would differ by the image's own contrast.
        assert np.abs(whole - parts).mean() < 0.1 * np.abs(whole - pixels).mean() + 1e-3


def test_out_of_gpu_memory_ends_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    engine = Engine(
        Shift(0.25),  # type: ignore[arg-type]
        device="cpu",
        precision="fp32",
        tile=128,
        notify=said.append,
    )
    # The meta device stands in for a GPU that has no memory at all.
    engine.corrector = Corrector(engine.network, torch.device("meta"), "fp16")
    restored_by = engine._restored

    def without_memory(*arguments: object) -> object:
        if engine.device.type == "meta":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return restored_by(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(engine, "_restored", without_memory)
    restored, report = engine.restore(np.zeros((200, 200, 3), np.float32))
    np.testing.assert_allclose(restored, 0.25, atol=1e-6)
    assert (report.device, report.precision) == ("cpu", "fp32")
    assert [s.split(": ")[1] for s in said] == [
        "continuing with tiles of 64 pixels",
        "continuing on the CPU in fp32",
    ]


def test_a_gpu_without_memory_for_its_context_is_replaced_by_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(device: torch.device) -> int:
        if device.type == "meta":
            raise torch.OutOfMemoryError("CUDA error: out of memory")
        return 1 << 30

    monkeypatch.setattr(capacity, "free_memory", full)
    said: list[str] = []
    engine = Engine(Shift(0.25), device="cpu", notify=said.append)  # type: ignore[arg-type]
    engine.corrector = Corrector(engine.network, torch.device("meta"), "fp16")
    restored, report = engine.restore(np.zeros((20, 20, 3), np.float32))
    np.testing.assert_allclose(restored, 0.25, atol=1e-6)
    assert (report.device, len(said)) == ("cpu", 1)


def test_progress_moves_within_a_band() -> None:
    shares: list[float] = []
    engine = Engine(Shift(), device="cpu", tile=32, overlap=8)  # type: ignore[arg-type]
    report = engine.restore(photo(100, 100), progress=shares.append)[1]
    assert report.tiles == 16
    assert len(set(shares)) >= 16


def test_progress_moves_while_a_shake_is_searched_for() -> None:
    network = Shift(0.0)
    network.config = replace(network.config, deconvolve=True)
    shares: list[float] = []
    before: list[list[float]] = []
    network.before = lambda _tiles: before.append(list(shares))  # type: ignore[method-assign]
    engine = Engine(network, device="cpu", precision="fp32")  # type: ignore[arg-type]
    assert engine.restore(shaken(240, 330, slanted()), progress=shares.append)[1].shake
    assert len(set(before[0])) > 30
    assert max(np.diff(before[0])) < 0.15
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_progress_reaches_the_end() -> None:
    shares: list[float] = []
    engine = Engine(Shift(), device="cpu", tile=32, overlap=8)  # type: ignore[arg-type]
    engine.restore(photo(100, 40), progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"device": "tpu"}, "device='tpu': use auto, cpu, cuda, cuda:N or mps"),
        ({"device": "cuda:99"}, "device='cuda:99': this PyTorch sees"),
        ({"device": "cpu:1"}, "device="),
        ({"device": "cuda:²"}, "device="),
        ({"device": "cpu:"}, "device='cpu:': use auto"),
        ({"device": "cuda:"}, "device='cuda:': use auto"),
        ({"precision": "fp8"}, "precision='fp8': use auto, fp32, bf16 or fp16"),
        ({"tile": -1}, "tile=-1: use 0 for the whole image, or a whole number from 32 up"),
        ({"tile": 7}, "tile=7: use 0 for"),
        ({"tile": 32, "overlap": 17}, "overlap=17: use a whole number from 0 to 16, half of"),
        ({"overlap": -1}, "overlap=-1: use a whole number from 0 up"),
        ({"tile": 0, "overlap": 8}, "overlap=8: one tile, the whole image, has"),
    ],
)
def test_settings_out_of_range_are_refused(network: BaryIR, settings: dict, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Engine(network, **{"device": "cpu"} | settings)


def test_bf16_is_close_to_fp32(network: BaryIR) -> None:
    pixels = photo(64, 64, np.float32)
    exact, _ = Engine(network, device="cpu", precision="fp32").restore(pixels)
    half, report = Engine(network, device="cpu", precision="bf16").restore(pixels)
    assert report.precision == "bf16"
    assert np.abs(exact - half).mean() < 0.01


def test_slow_bf16_is_pointed_out(network: BaryIR, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("models.hardware._made_by_intel", lambda: False)
    for multiplies in (True, False):
        monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: multiplies)  # noqa: B023
        monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: False)
        asked = Engine(network, device="cpu", precision="bf16", notify=said.append)
        usual = Engine(network, device="cpu", precision="auto", notify=said.append)
        assert (asked.precision, usual.precision) == ("bf16", "bf16" if multiplies else "fp32")
        assert len(said) == (not multiplies)
    assert "precision auto" in said[0]


@pytest.mark.parametrize("hardware", [{}, {"amx_fp16": True}], ids=["none", "AMX"])
def test_slow_fp16_is_pointed_out(
    network: BaryIR, monkeypatch: pytest.MonkeyPatch, hardware: dict[str, bool]
) -> None:
    said: list[str] = []
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: hardware, raising=False)
    Engine(network, device="cpu", precision="fp16", notify=said.append)
    wanted = "fp16 is slower than fp32 on this cpu; precision auto is better"
    assert said == ([] if hardware else [wanted])
