"""Deconvolution: removes the blur of a photograph whose kernel is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from models.light import Image, to_linear, to_srgb

Spectrum = NDArray[np.complex64]
"""The ``scipy.fft.rfft2`` of a plane."""

NOISE = 4e-3
"""Energy of the noise in a photograph's linear light, relative to that of its slopes."""


def deconvolved(image: Image, kernel: Image) -> Image:
    """A photograph without its blur, as far as its noise allows.

    Args:
        image: ``(H, W, 3)`` sRGB values in [0, 1].
        kernel: ``(n, n)``, n odd, of sum 1. The sharp photograph's linear light, convolved with
            it, gives that of ``image``.

    Returns:
        An image of the same shape and range.
    """
    return to_srgb(deconvolved_light(to_linear(image), kernel, NOISE))


def deconvolved_light(light: Image, kernel: Image, noise: float) -> Image:
    """The Wiener filter, for images whose slopes have a white spectrum; not clipped.

    The image is assumed to continue beyond its edges as its mirror image.

    Args:
        light: ``(H, W, 3)``, linear.
        kernel: as in :func:`deconvolved`.
        noise: energy of the noise, relative to that of the slopes.
    """
    margin = 2 * len(kernel)
    padded = periodic(light, margin)
    shape = padded.shape[0], padded.shape[1]
    blur = transfer(kernel, shape)
    energy = sum(np.abs(slope) ** 2 for slope in slopes(shape))
    inverse = blur.conj() / (np.abs(blur) ** 2 + np.float32(noise) * energy)
    channels = [plane(inverse * spectrum(padded[..., c]), shape) for c in range(3)]
    inner = slice(margin, margin + light.shape[0]), slice(margin, margin + light.shape[1])
    return np.stack([channel[inner] for channel in channels], 2)


def spectrum(values: Image) -> Spectrum:
    """The spectrum of a plane ``(H, W)``, which is assumed to be periodic."""
    return np.asarray(scipy.fft.rfft2(values))


def plane(values: Spectrum, shape: tuple[int, int]) -> Image:
    """The inverse of :func:`spectrum`."""
    return np.asarray(scipy.fft.irfft2(values, s=shape))


def transfer(kernel: Image, shape: tuple[int, int]) -> Spectrum:
    """The spectrum of a kernel centred at the origin of a plane of this shape."""
    values = np.zeros(shape, np.float32)
    rows, columns = kernel.shape
    values[:rows, :columns] = kernel
    return spectrum(np.roll(values, (-(rows // 2), -(columns // 2)), (0, 1)))


def slopes(shape: tuple[int, int]) -> tuple[Spectrum, Spectrum]:
    """The spectra of the operators that take differences to the next pixel, down and across."""
    rows = np.exp(2j * np.pi * np.fft.fftfreq(shape[0])) - 1
    columns = np.exp(2j * np.pi * np.fft.rfftfreq(shape[1])) - 1
    return rows[:, None].astype(np.complex64), columns[None].astype(np.complex64)


def periodic(image: Image, margin: int) -> Image:
    """An image made periodic: continued as its mirror image, which fades into the opposite one.

    Args:
        image: ``(H, W)`` or ``(H, W, C)``.
        margin: pixels to add above and on the left. As many are added below and on the right, and
            a few more for sides on which a Fourier transform is fast.
    """
    return _periodic_down(_periodic_down(image, margin).swapaxes(0, 1), margin).swapaxes(0, 1)


def _periodic_down(image: NDArray[Any], margin: int) -> NDArray[Any]:
    length = len(image)
    gap = scipy.fft.next_fast_len(length + 2 * margin, real=True) - length
    beyond = np.pad(image, [(gap, gap), *[(0, 0)] * (image.ndim - 1)], mode="reflect")
    share = (np.arange(gap, dtype=np.float32) + 0.5) / gap
    fading = (0.5 + 0.5 * np.cos(np.pi * share)).reshape(-1, *[1] * (image.ndim - 1))
    between = fading * beyond[gap + length :] + (1 - fading) * beyond[:gap]
    return np.concatenate([between[gap - margin :], image, between[: gap - margin]])
