"""On an NVIDIA GPU: the CPU's results, too little memory, training."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from skimage.metrics import peak_signal_noise_ratio as psnr
from torch.utils.data import default_collate

from baryir_cli.engine import Engine
from baryir_cli.weights.references import find_weights, load, network_of
from models.network import BaryIR, build
from models.presets import preset
from tests.conftest import Run
from train import degradations
from train.degradations import quantise
from train.parts import Window
from train.recipe import Precision, Recipe, SourceRecipe, Stage
from train.sources import Batch, Patches, Source, gather
from train.trainer import Trainer

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
    # The libraries of some GPUs give warnings that we cannot help.
    pytest.mark.filterwarnings("default"),
]

CLOSE = {"fp32": 60, "fp16": 48, "bf16": 38}
"""PSNR in dB between 8-bit results of GPU and CPU; 60 is one step of difference in 15 pixels."""
RECIPE = Recipe(
    optimiser="muon",
    preset="small",
    steps=4,
    pixel_loss="psnr",
    precision="fp32",
    sources={"denoise": SourceRecipe(0.6, toneless=0.5), "dehaze": SourceRecipe(0.4)},
    stages=(Stage(1.0, 32, 6),),
    warm_up=1,
)
"""For a short run from the embedded weights."""


@pytest.fixture(scope="module")
def small() -> BaryIR:
    return network_of("small")


def picture(kind: str) -> np.ndarray:
    """A degraded photograph, ``(320, 352, 3)`` uint8."""
    rng = np.random.default_rng(3)
    clean = degradations.floating(skimage.data.astronaut()[60:380, 90:442])
    made = {
        "clean": lambda: clean,
        "noise": lambda: degradations.gaussian_noise(clean, rng, 25),
        "rain": lambda: degradations.random_rain(clean, rng),
        "haze": lambda: degradations.random_haze(clean, rng, beta=1.5, airlight=0.9),
        "dark": lambda: degradations.random_low_light(clean, rng, stops=3),
        "shake": lambda: degradations.random_motion_blur(clean, rng),
    }
    return quantise(made[kind]())


@pytest.mark.parametrize("kind", ["clean", "noise", "rain", "haze", "dark", "shake"])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_the_gpu_gives_the_cpus_result(small: BaryIR, kind: str, precision: str) -> None:
    pixels = picture(kind)
    exact, expected = Engine(small, device="cpu", precision="fp32").restore(pixels)
    found, report = Engine(small, device="cuda", precision=precision).restore(pixels)
    assert (report.device, report.precision, report.passes) == ("cuda", precision, expected.passes)
    assert psnr(exact, found) > CLOSE[precision]


def test_tiles_give_the_result_of_the_whole(small: BaryIR) -> None:
    pixels = picture("rain")
    whole, _ = Engine(small, device="cuda", tile=0).restore(pixels)
    tiled, report = Engine(small, device="cuda", tile=160, overlap=48).restore(pixels)
    assert report.tiles > 4
    assert psnr(whole, tiled) > 45


@pytest.mark.parametrize("name", ["paper", "promptir", "official"])
def test_half_precision_is_close_in_large_networks(name: str) -> None:
    torch.manual_seed(0)
    network = build(preset(name)).eval()
    pixels = picture("clean")[:96, :128]
    exact, _ = Engine(network, device="cpu", precision="fp32").restore(pixels)
    half, report = Engine(network, device="cuda").restore(pixels)
    assert report.precision == "fp16"
    assert psnr(exact, half) > 40


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Limits this process to 300 MB of the GPU."""
    torch.cuda.empty_cache()
    share = 3e8 / torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(share)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)
    torch.cuda.empty_cache()


def test_out_of_memory_takes_smaller_tiles(small: BaryIR, little_memory: None) -> None:
    said: list[str] = []
    pixels = np.tile(picture("noise"), (6, 6, 1))
    engine = Engine(small, device="cuda", tile=0, notify=said.append)
    restored, report = engine.restore(pixels)
    assert "out of memory on cuda: continuing with tiles of" in said[0]
    assert report.device == "cuda"
    assert report.tiles > 1
    part = slice(320, 640), slice(352, 704)
    exact, _ = Engine(small, device="cpu", precision="fp32").restore(pixels[part])
    inner = slice(48, -48), slice(48, -48)
    assert psnr(exact[inner], restored[part][inner]) > 40


def test_restore_runs_on_the_gpu(
    baryir: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in ("noise", "haze"):
        assert cv2.imwrite(str(tmp_path / f"{kind}.png"), picture(kind)[..., ::-1])
    out = tmp_path / "out"
    assert baryir("restore", tmp_path, out, "--device", "cuda", "--json") == 0
    assert sorted(p.name for p in out.iterdir()) == ["haze.png", "noise.png"]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["device"] for line in lines] == ["cuda", "cuda"]
    assert psnr(picture("clean"), cv2.imread(str(out / "noise.png"))[..., ::-1]) > 28


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three photographs, laid out like ``data/Train``."""
    folder = tmp_path / "Train" / "Denoise"
    folder.mkdir(parents=True)
    for i in range(3):
        part = skimage.data.astronaut()[40 * i :, 40 * i : 40 * i + 300]
        assert cv2.imwrite(str(folder / f"{i}.png"), part[..., ::-1])
    return folder.parent


@pytest.fixture
def sources(data: Path) -> list[Source]:
    return gather(RECIPE, data)


@pytest.fixture
def drawn(sources: list[Source]) -> Batch:
    patches = Patches(sources, [0.6, 0.4], Window(32, 64, picture=128), 0)
    return default_collate([patches[i] for i in range(6)])


def test_training_has_the_losses_of_the_cpu(sources: list[Source], drawn: Batch) -> None:
    totals, potentials = {}, None
    for device in ("cpu", "cuda"):
        trainer = Trainer(RECIPE, sources, device, start=load(find_weights("small")))
        # Each device draws other random numbers, so they start from the same potentials.
        potentials = potentials or deepcopy(trainer.objective.potentials.state_dict())
        trainer.objective.potentials.load_state_dict(potentials)
        torch.manual_seed(0)
        batch = drawn.ready(trainer.device)
        totals[device] = [float(trainer.train_step([batch])["total"]) for _ in range(4)]
    np.testing.assert_allclose(totals["cuda"], totals["cpu"], rtol=0.02)
    assert len(set(totals["cuda"])) == 4


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_step_does_not_wait_for_the_gpu(
    sources: list[Source], drawn: Batch, precision: Precision
) -> None:
    recipe = replace(RECIPE, precision=precision)
    trainer = Trainer(recipe, sources, "cuda", start=load(find_weights("small")))
    batch = drawn.ready(trainer.device)
    trainer.train_step([batch])
    torch.cuda.set_sync_debug_mode("error")
    try:
        trainer.train_step([batch])
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_training_on_the_gpu_resumes(
    baryir: Run, data: Path, tmp_path: Path, precision: str
) -> None:
    run = tmp_path / "run"
    common = ("--data", data, "--out", run)
    begin = ("--preset", "tiny", "--sources", "denoise", "--batch", 4, "--patch", 32)
    precise = ("--precision", precision, "--device", "cuda", "--log-every", 5)
    muon = ("--optimiser", "muon")
    assert baryir("train", *common, *begin, *muon, *precise, "--steps", 10) == 0
    assert baryir("train", *common, *precise, "--resume", "--steps", 20) == 0
    entries = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [e["step"] for e in entries if "total" in e] == [5, 10, 15, 20]
