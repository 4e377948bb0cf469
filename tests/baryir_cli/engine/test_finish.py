"""What is left of noise after the network."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
import torch
from torch import Tensor, nn

from baryir_cli.engine import Engine
from baryir_cli.engine.finish import finish
from baryir_cli.engine.restoration import PhotographRestorer
from baryir_cli.metrics.psnr import psnr
from models.finish import Finish, noise_of
from models.network import Restoration
from models.presets import preset
from tests.baryir_cli.engine.test_passes import Peels, quartered

CPU = torch.device("cpu")


def fitted() -> Finish:
    """A finish for a network that leaves a tenth of the noise."""
    mend = Finish()
    mend.left.fill_(0.1)
    return mend


def slanted() -> tuple[Finish, Finish]:
    """One that treats what goes down and across differently, and the same for turned images."""
    mend, turned = fitted(), fitted()
    mend.amplified.copy_(torch.linspace(0, 1, 3 * 8 * 8).view(3, 8, 8))
    turned.amplified.copy_(mend.amplified.transpose(1, 2))
    return mend, turned


def noise(shape: tuple[int, ...], sigma: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sigma, shape).astype(np.float32)


def photograph() -> np.ndarray:
    return skimage.data.astronaut()[:203, :161].astype(np.float32) / 255


def test_noise_is_measured_where_streaks_were_removed_too() -> None:
    removed = torch.from_numpy(noise((4, 3, 128, 128), 0.1))
    assert noise_of(removed) == pytest.approx(0.1, rel=0.03)
    removed[..., ::20] += 0.5
    assert noise_of(removed) == pytest.approx(0.1, rel=0.15)
    streaks = torch.zeros(1, 3, 128, 128)
    streaks[..., ::20] += 0.5
    assert noise_of(streaks) == 0


def test_samples_too_small_to_measure_have_no_noise() -> None:
    assert noise_of(torch.ones(1, 3, 1, 9)) == 0


@pytest.mark.parametrize("trace", [0.0, 0.01])
def test_a_trace_of_the_noise_is_removed(trace: float) -> None:
    """And not much of a photograph without one."""
    clean = photograph()
    restored = np.clip(clean + noise(clean.shape, trace, 1), 0, 1)
    before = psnr(restored, clean)
    finish(restored, fitted(), 0.1, CPU)
    assert psnr(restored, clean) > (before + 0.3 if trace else 35)


def test_before_it_is_fitted_it_changes_nothing() -> None:
    before = photograph()
    after = before.copy()
    finish(after, Finish(), 0.1, CPU)
    np.testing.assert_allclose(after, before, atol=1e-6)


def test_little_noise_changes_little() -> None:
    before = photograph()
    after = before.copy()
    finish(after, fitted(), 1e-3, CPU)
    assert np.abs(after - before).max() < 0.02


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("size", [(1, 1), (2, 90), (64, 64), (67, 5), (150, 131), (129, 64)])
def test_bands_are_mended_as_the_whole_and_turned_images_as_upright_ones(
    size: tuple[int, int], dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    scale = 1 if dtype is np.float32 else np.iinfo(dtype).max
    banded = (np.random.default_rng(0).random((*size, 3)) * scale).astype(dtype)
    before, whole, turned = banded.copy(), banded.copy(), banded.swapaxes(0, 1).copy()
    mend, mend_turned = slanted()
    finish(whole, mend, 0.1, CPU)
    monkeypatch.setattr("baryir_cli.bands.PIXELS", 1000)
    finish(banded, mend, 0.1, CPU)
    finish(turned, mend_turned, 0.1, CPU)
    for other in (banded, turned.swapaxes(0, 1)):
        np.testing.assert_allclose(other, whole, atol=1e-5 if scale == 1 else 1)
    assert size == (1, 1) or (whole != before).any()


class Denoises(nn.Module):
    """A stand-in for a network that takes nearly all noise away."""

    def __init__(self, removed: np.ndarray, *, mends: bool) -> None:
        super().__init__()
        self.config = preset("tiny")
        self.judge = None
        self.finish = fitted() if mends else None
        self.removed = nn.Parameter(torch.from_numpy(removed).permute(2, 0, 1)[None])

    def forward(self, image: Tensor) -> Restoration:
        correction = torch.zeros_like(image)
        _, _, height, width = self.removed.shape
        correction[..., :height, :width] = -self.removed
        return Restoration(correction, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(("sigma", "mended"), [(0.1, True), (0.005, False), (0.0, False)])
def test_only_what_was_noisy_is_mended(sigma: float, mended: bool) -> None:
    clean = photograph()
    removed = noise(clean.shape, sigma)
    noisy = clean + 1.1 * removed
    results = []
    for mends in (True, False):
        network = Denoises(removed, mends=mends)
        engine = Engine(network, device="cpu", precision="fp32", tile=0)  # type: ignore[arg-type]
        results.append(engine.restore(noisy)[0])
    assert (results[0] != results[1]).any() == mended
    if mended:
        assert psnr(results[0], clean) > psnr(results[1], clean) + 0.3


@pytest.mark.parametrize(
    ("colour", "passes", "mended_after"),
    [
        ((0.7, 0.5, 0.6), 1, [1]),  # no tone
        ((0.5, 0.5, 0.3), 1, []),  # one pass with a tone
        ((0.7, 0.5, 0.3), 2, [1]),  # another pass with a tone
    ],
)
def test_what_is_left_of_noise_is_mended_before_a_tone(
    colour: tuple[float, float, float],
    passes: int,
    mended_after: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(
        PhotographRestorer, "_finish", lambda each: calls.append(each.report.passes)
    )
    engine = Engine(Peels(), device="cpu", precision="fp32")  # type: ignore[arg-type]
    _, report = engine.restore(quartered((40, 60), colour))
    assert (report.passes, calls) == (passes, mended_after)
