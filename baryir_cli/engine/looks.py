"""When one look at a photograph is not enough: what of it is measured, and what decides.

A scene judge tells haze and darkness badly through noise and rain, and a network that learnt one
degradation at a time takes noise for all that is wrong with a noisy photograph. So what it finds by
itself is taken away first, as long as it is much; then the judge sees what is left.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baryir_cli.engine.tiles import Box
from models.scene import mean_tone, tone_change, whole_place

MOST = 2
"""Looks without the judge, before that with it."""
MUCH = 2 / 255
"""RMS of the network's correction, in [0, 1] (docs/networks.md, "Several looks"): that of clean,
hazy, dark and JPEG photographs is mostly below, of noise from sigma 3 and nearly all rain above."""
SLIGHT, DOUBTFUL, CERTAIN = 8 / 255, 12 / 255, 48 / 255
"""RMS of a tone's change. Slight ones may be false alarms and are left out, as are those up to the
doubtful where there is much to correct without. In noise and rain the judge is heeded where it is
certain, before the looks without it and after them. In doubt one look has to do, at which the
network sees noise, rain and tone at once."""
COLOURLESS = 0.02
"""What colours may differ by, over what brightness does, in a photograph of one colour. Not their
saturation, which haze takes away."""
FLAT = 1 / 255
"""Deviation of a picture that shows nothing to tell colours by."""
PRINT = (0.93, 1.0, 1.1)
"""Tint in which one is judged a second time. A judge that has seen few of them takes every fifth
clean one for hazy or dark, of prints in this tone hardly any, and still finds those that are."""
SIDE = 128
"""Pixels of a sample's side."""


def samples(height: int, width: int) -> list[Box]:
    """Squares that stand for an image: four around its middle, fewer of a small one."""
    tops, tall = _starts(height)
    lefts, wide = _starts(width)
    return [(top, left, top + tall, left + wide) for top in tops for left in lefts]


def _starts(length: int) -> tuple[list[int], int]:
    side = min(SIDE, length)
    rest = length - side
    return ([rest // 5, rest - rest // 5] if length >= 2 * SIDE else [rest // 2]), side


def is_much(corrections: Tensor) -> bool:
    """Whether the corrections of an image's samples, ``(N, 3, h, w)``, ask for a look."""
    return bool(corrections.square().mean().sqrt() >= MUCH)


def is_slight(change: float) -> bool:
    """Whether a tone changes a photograph by so little that it is better left alone."""
    return change < SLIGHT


def is_doubtful(change: float) -> bool:
    """Whether a tone that changes a photograph by so much may be right or wrong."""
    return DOUBTFUL <= change < CERTAIN


def is_colourless(picture: Tensor) -> bool:
    """Whether a photograph, ``(1, 3, S, S)`` in [0, 1], is black and white, or toned alike."""
    *others, main = torch.linalg.eigvalsh(torch.cov(picture[0].flatten(1).double()))
    return bool(main > FLAT**2 and sum(others) < COLOURLESS**2 * main)


def as_print(picture: Tensor) -> Tensor:
    """The picture of a black and white photograph, toned like a print."""
    tint = picture.new_tensor(PRINT).view(1, 3, 1, 1)
    return (picture.mean(1, keepdim=True) * tint).clamp(max=1)


def judged(judge: nn.Module, picture: Tensor) -> tuple[Tensor, float]:
    """The tone of a photograph's picture, and by how much it changes it (:func:`change_by`).

    What is said of a black and white one, but not of a print of it, counts as slight.

    Args:
        picture: ``(1, 3, S, S)`` in [0, 1].

    Returns:
        The tone as of :func:`models.scene.mean_tone`.
    """
    tone = mean_tone(judge, picture)
    change = change_by(tone, picture)
    if not is_slight(change) and is_colourless(picture):
        toned = as_print(picture)
        of_print = change_by(mean_tone(judge, toned), toned)
        change = of_print if is_slight(of_print) else change
    return tone, change


def change_by(tone: Tensor, picture: Tensor) -> float:
    """By how much a tone changes the picture of its photograph: RMS, in [0, 1].

    Args:
        tone: ``(1, 6, D, h, w)`` of :func:`models.scene.mean_tone`.
        picture: ``(1, 3, S, S)`` in [0, 1].
    """
    change = tone_change(tone, picture, whole_place(picture))
    return float(change.square().mean().sqrt())
