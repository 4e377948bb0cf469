"""Motion blur: a scene's light summed along the path of a shaken camera."""

from __future__ import annotations

import cv2
import numpy as np

from models.light import Image, to_linear, to_srgb
from train.degradations.draws import given_or, log_uniform
from train.degradations.noise import gaussian_noise

STEPS = 96
"""Number of pushes by the hand while the shutter is open."""


def shake_path(rng: np.random.Generator, extent: float) -> Image:
    """Where the camera points during the exposure: ``(N, 2)`` rows and columns, in pixels.

    A random walk with momentum and mean 0 (after the trajectories of Boracchi and Foi, "Modeling
    the performance of image restoration from motion blur", TIP 2012).

    Args:
        extent: the longer side of its bounding box, in pixels.
    """
    momentum = rng.uniform(0.7, 0.97)
    pushes = (1 - momentum) * 2 * rng.standard_normal((STEPS, 2), dtype=np.float32)
    start = rng.standard_normal(2, dtype=np.float32)
    # velocity[i] = momentum velocity[i - 1] + pushes[i], in closed form.
    age = np.subtract.outer(np.arange(STEPS), np.arange(STEPS))
    decay = np.where(age >= 0, momentum ** np.maximum(age, 0), 0)
    velocity = decay @ pushes + momentum ** np.arange(1, STEPS + 1)[:, None] * start
    path = np.cumsum(velocity, 0)
    path *= extent / max(float(np.ptp(path, axis=0).max()), 1e-3)
    # Points half a pixel apart, or a long path would become a row of dots.
    length = float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())
    times = np.linspace(0, STEPS - 1, max(STEPS, int(2 * length)))
    points = [np.interp(times, np.arange(STEPS), path[:, axis]) for axis in (0, 1)]
    path = np.stack(points, 1).astype(np.float32)
    return path - path.mean(0)


def path_kernel(path: Image) -> Image:
    """The point spread function of a path: a square of odd size and sum 1.

    All points have equal weight, shared among their four neighbouring pixels.
    """
    size = int(np.ceil(2 * np.abs(path).max())) + 5 | 1
    kernel = np.zeros((size, size), np.float32)
    path = path + size // 2
    corner = np.floor(path).astype(int)
    part = path - corner
    for dy in (0, 1):
        for dx in (0, 1):
            weight = np.abs(1 - dy - part[:, 0]) * np.abs(1 - dx - part[:, 1])
            np.add.at(kernel, (corner[:, 0] + dy, corner[:, 1] + dx), weight)
    kernel = np.asarray(cv2.GaussianBlur(kernel, (3, 3), 0.5), np.float32)
    return kernel / kernel.sum()


def shake_kernel(rng: np.random.Generator, extent: float) -> Image:
    """The blur kernel of a shaken camera, ``extent`` pixels across."""
    return path_kernel(shake_path(rng, extent))


def motion_blur(image: Image, kernel: Image) -> Image:
    """Camera shake: linear light convolved with ``kernel``, with mirrored borders."""
    turned = kernel[::-1, ::-1]  # OpenCV correlates.
    light = cv2.filter2D(to_linear(image), -1, turned, borderType=cv2.BORDER_REFLECT_101)
    return to_srgb(np.asarray(light, np.float32))


def random_motion_blur(
    image: Image,
    rng: np.random.Generator,
    *,
    extent: float | None = None,
    sigma: float | None = None,
) -> Image:
    """Camera shake of 3 to 26 pixels, half of it below 9, and a little sensor noise.

    Args:
        sigma: level of that noise, in 8-bit steps.
    """
    return random_shake(image, rng, extent=extent, sigma=sigma)[0]


def random_shake(
    image: Image,
    rng: np.random.Generator,
    *,
    extent: float | None = None,
    sigma: float | None = None,
) -> tuple[Image, Image]:
    """Like :func:`random_motion_blur`, but also returns the kernel."""
    extent = given_or(extent, log_uniform(rng, 3, 26))
    kernel = shake_kernel(rng, extent)
    blurred = motion_blur(image, kernel)
    return gaussian_noise(blurred, rng, given_or(sigma, rng.uniform(0, 2))), kernel
