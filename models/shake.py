"""Camera shake: estimates the blur kernel of a photograph blindly, from its edges.

A hand that moves while the shutter is open blurs a photograph the same way everywhere. A network
with a small receptive field cannot undo that, but the whole photograph reveals the kernel. Coarse
to fine, two steps alternate: a picture with as few edges as possible (Xu, Zheng, Jia, "Unnatural L0
sparse representation for natural image deblurring", CVPR 2013), and the kernel that turns its
strongest edges into the blurred ones, in closed form (Cho, Lee, "Fast motion deblurring", SIGGRAPH
Asia 2009). Nothing is learned. A photograph that is not certainly shaken is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise, product
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.deconvolution import (
    Spectrum,
    deconvolved_light,
    periodic,
    plane,
    slopes,
    spectrum,
    transfer,
)
from models.light import Image, floating, to_linear

SIDE = 29
"""Side of the largest kernel, in pixels."""
COARSEST = 5
"""Side of the first kernel, on a photograph shrunk by as much as the kernel."""
WINDOW = 512
"""Side of the part of a photograph in which the kernel is searched."""
MIN_SIDE = 192
"""A photograph with a shorter side tells too little."""
CELL = 64
"""Side of the squares that are tested for sharpness."""
STRONG = 0.3
"""Energy of the slopes from which a cell counts, relative to the cell with the most."""
SHARP = 0.3
"""Correlation of neighbouring slopes below which a cell is sharp."""
ROUNDS = 5
"""Alternations of picture and kernel at every size."""
SPARSITIES = (0.004, 0.012)
"""Two prices of an edge, whose kernels must agree. Xu, Zheng and Jia use 0.002 to 0.008."""
SPARSITY_DECAY = 1.1
"""A price is divided by this after every round."""
MAX_EDGE_WEIGHT = 100.0
"""Limit for the weight of the auxiliary edges, which doubles with every step."""
EDGE_SHARE = 0.1
"""Share of the pixels, those with the strongest edges, from which a kernel is computed."""
KERNEL_PENALTY = 0.01
"""Weight of the kernel's squares, relative to the mean energy of the edges."""
FAINT = 0.05
"""Weights of a kernel below this share of the largest become 0, as do specks below twice this
share of the sum."""
SMOOTH = 0.4
"""Correlation of neighbouring slopes below which a photograph is sharp or noisy."""
MIN_RADIUS, MAX_RADIUS = 1.9, 10.0
"""Pixels (:func:`radius`) of kernels that are believed. A narrower one means that the photograph
is not shaken; a wider one fills the square and is an artefact."""
ALIKE = 0.8
"""Likeness from which two kernels agree."""
TRIAL_NOISE = 0.03
"""The noise (:func:`models.deconvolution.deconvolved_light`) for a trial, high enough not to
amplify any."""
OUT_OF_RANGE_WEIGHT = 10.0
"""Weight of values that a trial makes darker than black or brighter than white."""
SURE = 0.97
"""Likeness from which a wide kernel is believed whatever the trials say."""
WIDE = 3.0
"""Radius of such a kernel; artefacts of sharp photographs are narrower."""
SUREST, BEARABLE = 0.99, 1.03
"""Likeness from which kernels are believed although their trials make the photograph as much less
natural (:func:`_unnaturalness`), or a search at half its size finds none."""
WIDER = 1.33
"""Factor by which the width found at half size may exceed half the width."""
BEGUN_SPARSITY = 0.003
"""Price of an edge in a search that begins at a kernel, at half the photograph's size."""
KEPT = 0.99
"""Likeness from which such a search has kept its kernel."""
HALVINGS = 1
"""How often a photograph may be halved in size to find a wider blur."""


def find_shake(
    pixels: NDArray[Any], progress: Callable[[float], None] = lambda _share: None
) -> Image | None:
    """The blur kernel of a shaken photograph, for :func:`models.deconvolution.deconvolved`.

    Args:
        pixels: ``(H, W, 3)`` sRGB: uint8, uint16 or floating in [0, 1].
        progress: called with the share of the search that is done, if the photograph looks blurred.
            A search that ends early does not reach 1.

    Returns:
        ``(29, 29)``, or ``(57, 57)`` if found at half the size, of sum 1, its centre of mass in the
        middle; None if the photograph is not shaken, or not certainly.
    """
    rounds = ROUNDS * sum((side / SIDE) ** 2 for side in _sides())
    sizes = [[length >> halving for length in pixels.shape[:2]] for halving in range(HALVINGS + 1)]
    windows = [np.minimum(size, WINDOW).prod() for size in sizes if min(size) >= MIN_SIDE]
    # A search at the size, and one at half of it.
    total, seen = 1.25 * rounds * sum(windows), 0

    def count(pixels: int) -> None:
        nonlocal seen
        seen += pixels
        progress(min(seen / total, 1.0))

    return _search(pixels, HALVINGS, count)


def _search(pixels: NDArray[Any], halvings: int, count: Callable[[int], None]) -> Image | None:
    """As :func:`find_shake`; what is not found is searched for at half the size, so many times."""
    if min(pixels.shape[:2]) < MIN_SIDE:
        return None
    part = _strongest(pixels)
    if part is None or smoothness(part) < SMOOTH:
        return None
    light = to_linear(part).mean(2)
    kernels = [kernel for kernel in _at_all_prices(light, count) if kernel is not None]
    if len(kernels) < len(SPARSITIES):
        return None
    agreement = min(likeness(a, b) for a, b in pairwise(kernels))
    best = _best(part, kernels, agreement)
    if best is not None:
        half = _at_half_size(light)
        if _is_found(half, best, count) or (agreement >= SUREST and _is_kept(half, best, count)):
            return best
    if halvings == 0:
        return None
    found = _search(_at_half_size(pixels), halvings - 1, count)
    return None if found is None else _enlarged(found)


def _best(part: Image, kernels: Sequence[Image], agreement: float) -> Image | None:
    """The best of the kernels that were found at all prices; None if it is doubtful."""
    if max(map(radius, kernels)) > MAX_RADIUS:
        return None
    scores = [_unnaturalness(part, kernel) for kernel in kernels]
    best, worst = kernels[int(np.argmin(scores))], max(scores)
    is_sure = (
        (agreement >= ALIKE and worst < 1)
        or (agreement >= SURE and radius(best) >= WIDE)
        or (agreement >= SUREST and worst < BEARABLE)
    )
    return best if is_sure else None


def _at_all_prices(light: Image, count: Callable[[int], None]) -> list[Image | None]:
    """What :func:`estimate` finds at all prices of an edge, at the same time.

    The first is searched for by the caller's thread, which alone calls ``count``.
    """
    first, *others = SPARSITIES
    with ThreadPoolExecutor(len(others)) as pool:
        alongside = [pool.submit(estimate, light, price, MIN_RADIUS) for price in others]
        return [estimate(light, first, MIN_RADIUS, count), *(one.result() for one in alongside)]


def _is_found(half: Image, kernel: Image, count: Callable[[int], None]) -> bool:
    """Whether a search in the photograph at half its size finds a kernel no wider than this one.

    If the blur is wider than the largest kernel, a narrow kernel may explain the finest edges. At
    half the size, the wide one is found.
    """
    width = radius(kernel) / 2
    found = estimate(half, SPARSITIES[-1], width / WIDER, count)
    return found is not None and radius(found) <= WIDER * width


def _is_kept(half: Image, kernel: Image, count: Callable[[int], None]) -> bool:
    """The same for a search that begins at the kernel; one from nothing sometimes goes astray."""
    begun = _halved(kernel)
    grown = _centred(_Edges(periodic(half, SIDE)).alternated(begun, BEGUN_SPARSITY, count))
    return radius(grown) <= WIDER * radius(begun) and likeness(grown, begun) >= KEPT


def radius(kernel: Image) -> float:
    """A kernel's width: the root mean square distance from the middle, in pixels."""
    far = np.arange(len(kernel)) - len(kernel) // 2
    return float(np.sqrt((kernel * (far[:, None] ** 2 + far**2)).sum()))


def smoothness(image: Image) -> float:
    """Correlation between the slopes of neighbouring pixels, averaged over down and across.

    About 0.1 in sharp photographs, -0.5 in noise, 0.6 and more where everything is blurred.
    """
    grey = image.mean(2)
    found = []
    for turned in (grey, grey.T):
        slope = np.diff(turned, axis=0)
        slope -= slope.mean()
        energy = float((slope * slope).mean())
        found.append(float((slope[1:] * slope[:-1]).mean()) / energy if energy > 0 else 0.0)
    return sum(found) / len(found)


def likeness(first: Image, second: Image) -> float:
    """Correlation of two kernels, slightly smoothed, shifted by up to a pixel to match best."""
    a, b = (cv2.GaussianBlur(kernel, (0, 0), 0.7) for kernel in (first, second))
    best = max(
        float((a * np.roll(b, (y, x), (0, 1))).sum()) for y in (-1, 0, 1) for x in (-1, 0, 1)
    )
    return best / float(np.sqrt((a * a).sum() * (b * b).sum()))


def estimate(
    light: Image,
    sparsity: float,
    narrowest: float,
    count: Callable[[int], None] = lambda _pixels: None,
) -> Image | None:
    """The kernel by which a picture is blurred.

    Args:
        light: ``(H, W)``, linear.
        sparsity: price of an edge in the first round.
        narrowest: smallest radius of interest. The radius is tested at every size, so sharp and
            soft pictures stop before the last, expensive sizes.
        count: called with the pixels of the picture after every round.

    Returns:
        ``(29, 29)`` of sum 1, its centre of mass in the middle; None if it is narrower.
    """
    kernel = np.zeros((COARSEST, COARSEST), np.float32)
    kernel[COARSEST // 2, COARSEST // 2 - 1 : COARSEST // 2 + 1] = 0.5
    for side in _sides():
        kernel = _resized(kernel, (side, side), cv2.INTER_CUBIC)
        kernel = _in_the_middle(_scaled(np.maximum(kernel, 0)))
        scale = side / SIDE
        size = round(scale * light.shape[1]), round(scale * light.shape[0])
        blurred = periodic(_resized(light, size, cv2.INTER_AREA), side)
        edges = _Edges(blurred)
        kernel = _in_the_middle(edges.alternated(kernel, sparsity, count))
        sparsity /= SPARSITY_DECAY**ROUNDS
        if radius(kernel) < narrowest * scale:
            return None
    return _centred(kernel)


class _Edges:
    """The two steps at one size, on a blurred picture that is assumed to be periodic."""

    def __init__(self, blurred: Image) -> None:
        self.shape = blurred.shape[0], blurred.shape[1]
        self.blurred = spectrum(blurred)
        self.slopes = slopes(self.shape)
        self.energy = sum(np.abs(slope) ** 2 for slope in self.slopes)

    def alternated(self, kernel: Image, sparsity: float, count: Callable[[int], None]) -> Image:
        """The kernel after some rounds of the two steps."""
        for _ in range(ROUNDS):
            kernel = self.kernel(self.sharpened(kernel, sparsity), len(kernel))
            sparsity /= SPARSITY_DECAY
            count(self.shape[0] * self.shape[1])
        return kernel

    def sharpened(self, kernel: Image, sparsity: float) -> Spectrum:
        """The picture x with few edges that the kernel k blurs to y: min over x of
        |k * x - y|^2 + sparsity |edges of x|_0, by half-quadratic splitting."""
        blur = transfer(kernel, self.shape)
        data, power = blur.conj() * self.blurred, np.abs(blur) ** 2
        sharp, weight = self.blurred, 2 * sparsity
        while weight < MAX_EDGE_WEIGHT:
            edges = _edges(plane(sharp, self.shape))
            edges *= edges[0] * edges[0] + edges[1] * edges[1] >= sparsity / weight
            edges *= weight
            sharp = data + spectrum(_divergence(edges))
            sharp *= 1 / (power + np.float32(weight) * self.energy)
            weight *= 2
        return sharp

    def kernel(self, sharp: Spectrum, side: int) -> Image:
        """The kernel that blurs the strongest sharp edges as observed, by least squares."""
        edges = _edges(plane(sharp, self.shape))
        strength = edges[0] ** 2 + edges[1] ** 2
        strong = strength >= np.quantile(strength, 1 - EDGE_SHARE)
        spectra = [spectrum(edge * strong) for edge in edges]
        both = zip(spectra, self.slopes, strict=True)
        shared = sum(edge.conj() * slope * self.blurred for edge, slope in both)
        energy = np.abs(spectra[0]) ** 2 + np.abs(spectra[1]) ** 2
        whole = plane(shared / (energy + np.float32(KERNEL_PENALTY) * energy.mean()), self.shape)
        return _cleaned(np.roll(whole, (side // 2, side // 2), (0, 1))[:side, :side])


def _edges(picture: Image) -> Image:
    """Differences to the next pixel of a periodic picture, down and across: ``(2, H, W)``."""
    return np.stack([np.roll(picture, -1, axis) - picture for axis in (0, 1)])


def _divergence(edges: Image) -> Image:
    """The adjoint of :func:`_edges`."""
    down, across = edges
    return np.asarray(np.roll(down, 1, 0) - down + np.roll(across, 1, 1) - across)


def _sides() -> list[int]:
    """Sides of the kernels, coarse to fine, each about 1.4 times the one before."""
    sides = [SIDE]
    while sides[-1] > COARSEST:
        sides.append(max(round(sides[-1] / np.sqrt(2)) | 1, COARSEST))
    return sides[::-1]


def _cleaned(kernel: Image) -> Image:
    """A kernel without negative and faint weights, and without isolated specks."""
    kernel = np.where(kernel < FAINT * kernel.max(), 0, np.maximum(kernel, 0))
    count, labels = cv2.connectedComponents((kernel > 0).astype(np.uint8), connectivity=8)
    masses = np.bincount(labels.ravel(), kernel.ravel(), count)
    # The heaviest speck always stays: a regular pattern gives many equal ones.
    least = min(2 * FAINT * masses.sum(), masses.max())
    return _scaled(np.where(masses[labels] < least, 0, kernel))


def _at_half_size(pixels: NDArray[Any]) -> NDArray[Any]:
    size = pixels.shape[1] // 2, pixels.shape[0] // 2
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def _halved(kernel: Image) -> Image:
    """The kernel of a photograph at half its size, on as large a square."""
    side = len(kernel) // 2 + 1
    small = _resized(kernel, (side, side), cv2.INTER_AREA)
    return _centred(_scaled(np.pad(small, (len(kernel) - side) // 2)))


def _enlarged(kernel: Image) -> Image:
    """The kernel of a photograph twice the size."""
    side = 2 * len(kernel) - 1
    onto = np.array([[2, 0, 0], [0, 2, 0]], np.float32)
    return _scaled(np.asarray(cv2.warpAffine(kernel, onto, (side, side)), np.float32))


def _resized(values: Image, size: tuple[int, int], interpolation: int) -> Image:
    return np.asarray(cv2.resize(values, size, interpolation=interpolation), np.float32)


def _scaled(kernel: Image) -> Image:
    """A kernel scaled to sum 1; a single point if its sum is not positive."""
    total = kernel.sum()
    if total > 0:
        return np.asarray(kernel / total, np.float32)
    point = np.zeros(kernel.shape, np.float32)
    point[kernel.shape[0] // 2, kernel.shape[1] // 2] = 1
    return point


def _offset(kernel: Image) -> tuple[float, float]:
    """Offset of the centre of mass from the middle: down, across."""
    far = np.arange(len(kernel)) - len(kernel) // 2
    return float(kernel.sum(1) @ far), float(kernel.sum(0) @ far)


def _in_the_middle(kernel: Image) -> Image:
    """A kernel centred to the nearest pixel."""
    down, across = _offset(kernel)
    return np.roll(kernel, (-round(down), -round(across)), (0, 1))


def _centred(kernel: Image) -> Image:
    """A kernel centred exactly: a blur does not tell where things stood, only their mean place."""
    down, across = _offset(kernel)
    shift = np.array([[1, 0, -across], [0, 1, -down]], np.float32)
    moved = cv2.warpAffine(kernel, shift, kernel.shape[::-1], flags=cv2.INTER_LINEAR)
    return _scaled(np.asarray(moved, np.float32))


def _unnaturalness(image: Image, kernel: Image) -> float:
    """How unnatural a photograph is after deconvolution; below 1, it is more natural than before.

    The sum of two terms: the roughness relative to before, and the mean excess beyond black and
    white relative to the contrast.
    """
    light = to_linear(image)
    without = deconvolved_light(light, kernel, TRIAL_NOISE)
    beyond = float((np.maximum(-without, 0) + np.maximum(without - 1, 0)).mean())
    excess = OUT_OF_RANGE_WEIGHT * beyond / float(light.std())
    return _roughness(without) / _roughness(light) + excess


def _roughness(light: Image) -> float:
    """Mean slope over root mean square slope, which ringing raises and sharp edges lower
    (Krishnan, Tay, Fergus, "Blind deconvolution using a normalized sparsity measure", CVPR 2011).
    """
    grey = light.mean(2)
    squares = np.diff(grey, axis=0)[:, 1:] ** 2 + np.diff(grey, axis=1)[1:] ** 2
    return float(np.sqrt(squares).mean() / np.sqrt(squares.mean()))


def _strongest(pixels: NDArray[Any]) -> Image | None:
    """The window with the strongest slopes; None if any cell with strong slopes is sharp.

    All cells of the photograph are tested, since one that is sharp anywhere was not shaken.
    """
    rows, columns = (length // CELL for length in pixels.shape[:2])
    cells = [
        pixels[CELL * row : CELL * (row + 1), CELL * column : CELL * (column + 1)]
        for row, column in product(range(rows), range(columns))
    ]
    energy = np.array([_slope_energy(floating(cell)) for cell in cells]).reshape(rows, columns)
    strong = np.flatnonzero(energy >= STRONG * energy.max())
    if any(smoothness(floating(cells[n])) < SHARP for n in strong):
        return None
    shown = min(rows, WINDOW // CELL), min(columns, WINDOW // CELL)
    sums = np.lib.stride_tricks.sliding_window_view(energy, shown).sum((2, 3))
    top, left = (CELL * int(n) for n in np.unravel_index(sums.argmax(), sums.shape))
    return floating(pixels[top : top + WINDOW, left : left + WINDOW])


def _slope_energy(image: Image) -> float:
    grey = image.mean(2)
    return sum(float((np.diff(grey, axis=axis) ** 2).mean()) for axis in (0, 1))
