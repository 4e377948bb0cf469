"""Varied tones: a photograph still looks like one, and the halves of a pair stay alike."""

from __future__ import annotations

import numpy as np

from train.variety import one_colour, vary_exposure, vary_tone


def gradient() -> np.ndarray:
    ramp = np.linspace(0, 255, 64)
    return np.stack(np.broadcast_arrays(ramp[:, None], ramp, 128.0), -1).astype(np.uint8)


def test_some_photographs_keep_their_tone() -> None:
    photograph = gradient()
    kept = [
        np.array_equal(vary_tone(photograph, np.random.default_rng(seed), 1), photograph)
        for seed in range(100)
    ]
    assert 10 <= sum(kept) <= 40


def test_the_order_and_most_of_the_range_of_brightness_are_kept() -> None:
    grey = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, 2)
    for seed in range(30):
        varied = vary_tone(grey, np.random.default_rng(seed), 1).astype(int)
        assert (np.diff(varied, axis=1) >= 0).all()
        assert np.ptp(varied) > 150


def test_more_variety_changes_more() -> None:
    def distance(amount: float) -> float:
        varied = [vary_tone(gradient(), np.random.default_rng(s), amount) for s in range(40)]
        return float(np.mean([np.abs(v.astype(int) - gradient()).mean() for v in varied]))

    assert 1 < distance(0.3) < 0.6 * distance(1)


def test_filters_leave_one_colour() -> None:
    filters = [one_colour(np.random.default_rng(seed)) for seed in range(60)]
    assert all(np.linalg.matrix_rank(f, tol=1e-4) == 1 for f in filters)
    # White keeps its brightness in one channel and gets no brighter in any.
    np.testing.assert_allclose([f.sum(0).max() for f in filters], 1, atol=1e-5)
    grey = [bool(np.ptp(f.sum(0)) < 1e-5) for f in filters]
    assert 30 <= sum(grey) <= 52
    assert all(np.all(np.diff(f.sum(0)) <= 1e-5) for f in filters)  # never cold


def test_a_pair_is_exposed_on_one_side_and_tinted_on_both() -> None:
    dark, bright = gradient() // 8, gradient()
    ratios = []
    for seed in range(40):
        before, after = vary_exposure(dark, bright, np.random.default_rng(seed), 1)
        ratios.append(before.mean() / dark.mean())
        assert abs(after.mean() / bright.mean() - 1) < 0.06
        # Both sides get the same tint, up to the rounding of 8 bits.
        tints = [part[..., 0].mean() / part[..., 1].mean() for part in (before, after)]
        assert abs(tints[0] / tints[1] - 1) < 0.05
    assert np.std(np.log(ratios)) > 0.05
