"""Decides when one pass over a photograph is not enough.

A scene judge recognises haze and darkness badly through noise and rain. A network that learned one
degradation at a time takes noise for all that is wrong with a noisy photograph. So the network
first removes what it finds by itself, as long as that is much; then the judge sees the rest.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baryir_cli.engine.tiles import Box
from models.scene import mean_tone, tone_change, whole_place

MOST = 2
"""The most passes without the judge, before the one with it."""
MUCH = 2 / 255
"""RMS of the network's correction, in [0, 1] (docs/networks.md, "Several passes"). Clean, hazy,
dark and JPEG photographs are mostly below, noise from sigma 3 and nearly all rain above."""
SLIGHT, DOUBTFUL, CERTAIN = 8 / 255, 12 / 255, 48 / 255
"""RMS of a tone's change. A slight tone may be a false alarm and is dropped, as is one below the
doubtful if there is much to correct without it. So is a tone in black and white, if that of a print
is below the doubtful. In noise and rain the tone is applied if it is certain both before the passes
without it and after them. In doubt there is one pass only, in which the network sees noise, rain
and tone at once."""
COLOURLESS = 0.02
"""How far colours may vary, relative to brightness, in a photograph of one colour. Haze would lower
their saturation, so that is not used."""
FLAT = 2 / 255
"""Standard deviation of a picture that shows too little to be judged. The darkest of LOL has 5
steps."""
BLOCK, SPREAD = 8, 48 / 255
"""Side of a block of pixels, and the spread of brightness that three in four blocks of an engraving
or halftone have at least, after a pass. Hazy and dark photographs of the test sets reach 36."""
PRINT = (0.93, 1.0, 1.1)
"""The tint in which a colourless picture is judged again. A judge that has seen few of them takes
every fourth clean one for hazy or dark, but hardly any print in this tone, and still finds real
haze and darkness."""
SIDE = 128
"""Side of a sample in pixels."""


def samples(height: int, width: int) -> list[Box]:
    """Squares that represent an image: four around its middle, fewer in a small one."""
    tops, tall = _starts(height)
    lefts, wide = _starts(width)
    return [(top, left, top + tall, left + wide) for top in tops for left in lefts]


def _starts(length: int) -> tuple[list[int], int]:
    side = min(SIDE, length)
    rest = length - side
    return ([rest // 5, rest - rest // 5] if length >= 2 * SIDE else [rest // 2]), side


def is_much(corrections: Tensor) -> bool:
    """Whether the corrections of an image's samples, ``(N, 3, h, w)``, call for a pass."""
    return bool(corrections.square().mean().sqrt() >= MUCH)


def is_slight(change: float) -> bool:
    """Whether a tone changes a photograph so little that it is better ignored."""
    return change < SLIGHT


def is_doubtful(change: float) -> bool:
    """Whether a tone that changes a photograph this much may be right or wrong."""
    return DOUBTFUL <= change < CERTAIN


def is_flat(picture: Tensor) -> bool:
    """Whether a photograph, ``(1, 3, S, S)`` in [0, 1], shows nothing, as a blank frame."""
    return bool(picture.std((2, 3)).max() < FLAT)


def is_patterned(squares: Tensor) -> bool:
    """Whether dark and light lie side by side nearly everywhere in samples ``(N, 3, h, w)``.

    Haze would have lifted the dark, and darkness lowered the light. The small picture that a judge
    sees has neither any more. So has white noise, which must be gone: the same in all channels, it
    is like this from sigma 21 on, else from 38.
    """
    grey = squares.mean(1, keepdim=True)
    if min(grey.shape[2:]) < BLOCK:
        return False
    spread = nn.functional.max_pool2d(grey, BLOCK) + nn.functional.max_pool2d(-grey, BLOCK)
    return bool(spread.flatten().quantile(0.25) >= SPREAD)


def is_colourless(picture: Tensor) -> bool:
    """Whether a photograph, ``(1, 3, S, S)`` in [0, 1], is black and white or in one tint."""
    *others, main = torch.linalg.eigvalsh(torch.cov(picture[0].flatten(1).double()))
    return bool(sum(others) < COLOURLESS**2 * main)


def as_print(picture: Tensor) -> Tensor:
    """The picture of a black and white photograph, toned like a print."""
    tint = picture.new_tensor(PRINT).view(1, 3, 1, 1)
    return (picture.mean(1, keepdim=True) * tint).clamp(max=1)


def judged(judge: nn.Module, picture: Tensor) -> tuple[Tensor, float]:
    """The tone of a photograph's picture, and how much it changes it (:func:`change_by`).

    Nothing is changed where there is nothing to see. In black and white, a tone counts as none if
    that of a print is below the doubtful.

    Args:
        picture: ``(1, 3, S, S)`` in [0, 1].

    Returns:
        The tone as from :func:`models.scene.mean_tone`.
    """
    tone = mean_tone(judge, picture)
    change = 0.0 if is_flat(picture) else change_by(tone, picture)
    if not is_slight(change) and is_colourless(picture):
        toned = as_print(picture)
        if change_by(mean_tone(judge, toned), toned) < DOUBTFUL:
            change = 0.0
    return tone, change


def change_by(tone: Tensor, picture: Tensor) -> float:
    """How much a tone changes the picture of its photograph: RMS, in [0, 1].

    Args:
        tone: ``(1, 6, D, h, w)`` from :func:`models.scene.mean_tone`.
        picture: ``(1, 3, S, S)`` in [0, 1].
    """
    change = tone_change(tone, picture, whole_place(picture))
    return float(change.square().mean().sqrt())
