"""The last step for a photograph that was noisy: mends what the network leaves of the noise.

The embedded network leaves a trace of noise in small details, most of it in colour, and makes the
finest details a little too weak. Both are mended in overlapping blocks of 8 x 8 pixels, in the
frequencies of brightness and colour (an empirical Wiener filter).
"""

from __future__ import annotations

import numpy as np
import scipy.fft
import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIDE, STEP = 8, 4
"""Pixels of a block, and between the starts of two."""
BROAD = 8 / 255
"""Noise at which half of the amplification is applied."""
# Brightness, red against blue, green against both; rows of length 1.
COLOURS = ((3**-0.5,) * 3, (2**-0.5, 0.0, -(2**-0.5)), (6**-0.5, -2 * 6**-0.5, 6**-0.5))


class Finish(nn.Module):
    """Weakens and amplifies the frequencies of a restored image.

    What it holds belongs to the network's weights: ``scripts/fit_finish.py`` fits it to what the
    network leaves. At first it changes nothing, and training does not move it.

    Attributes:
        amplified: ``(3, 8, 8)``, for each colour and each frequency down and across, the
            amplification of what is far above the noise.
        left: ``(3, 8, 8)``, the noise that the network leaves, relative to that of the photograph.
    """

    amplified: Tensor
    left: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("amplified", torch.zeros(3, SIDE, SIDE))
        self.register_buffer("left", torch.zeros(3, SIDE, SIDE))

    @property
    def is_fitted(self) -> bool:
        """Whether it changes anything."""
        return bool(self.amplified.any() or self.left.any())

    def forward(self, image: Tensor, noise: float) -> Tensor:
        """The image mended, without ``STEP`` pixels all around.

        Args:
            image: ``(3, H, W)`` in [0, 1], sides multiples of ``STEP`` and at least ``SIDE``.
            noise: standard deviation of the noise that was in the photograph, in [0, 1].
        """
        colours = image.new_tensor(COLOURS)[..., None, None]
        analysis, synthesis = (kernels.to(image) for kernels in _KERNELS)
        # On the image's device, whatever the rest of the network is on.
        amplified, left = (
            constants.to(image).flatten(1)[..., None, None]
            for constants in (self.amplified, self.left)
        )
        amplified = 1 + amplified * (noise / (noise + BROAD))
        left = (left * noise).square().clamp(min=1e-12)
        planes = F.conv2d(image[None], colours)[0, :, None]
        blocks = F.conv2d(planes, analysis, stride=STEP)
        # amplified * power / (power + left) - 1, in as few passes over memory as possible
        change = torch.addcdiv(
            amplified - 1, -amplified * left, torch.addcmul(left, blocks, blocks)
        )
        changed = F.pixel_shuffle(F.conv2d(blocks * change, synthesis), STEP)[:, 0]
        inner = image[:, STEP:-STEP, STEP:-STEP]
        return inner + F.conv2d(changed[None], colours.transpose(0, 1))[0]


def noise_of(removed: Tensor) -> float:
    """Standard deviation of the noise, in [0, 1], from what a network removed.

    Args:
        removed: parts of the image less those of the result, ``(N, 3, h, w)``; 0 if they are less
            than two pixels high or wide.
    """
    colours = torch.einsum("ij,njhw->inhw", removed.new_tensor(COLOURS), removed)
    across = colours[..., 1:] - colours[..., :-1]
    # The finest frequency: the network knows nothing of it, so noise is removed as a whole.
    fine = (across[..., 1:, :] - across[..., :-1, :]).flatten(1) / 2
    return float(fine.abs().median(1).values.mean() / 0.6745) if fine.numel() else 0.0


def _kernels() -> tuple[Tensor, Tensor]:
    """The cosine transform of a block and its inverse, as convolutions.

    Returns:
        ``(64, 1, 8, 8)``, from pixels to the frequencies of blocks, and ``(16, 64, 2, 2)``, from
        the frequencies of the four blocks over a square of ``STEP`` pixels to their mean there.
    """
    axis = scipy.fft.dct(np.eye(SIDE), axis=0, norm="ortho")
    basis = torch.from_numpy(np.kron(axis, axis)).float()
    # Of the first of two neighbouring blocks, the square is the second half.
    halves = basis.view(-1, 2, STEP, 2, STEP).flip(1, 3)
    synthesis = halves.permute(2, 4, 0, 1, 3).flatten(0, 1) * (STEP / SIDE) ** 2
    return basis.view(-1, 1, SIDE, SIDE), synthesis


_KERNELS = _kernels()
