"""The degradations and their parameters by name, as in ``haze,noise:25``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models.light import Image
from models.wording import choices, numbers
from train.degradations.compression import random_jpeg
from train.degradations.errors import DegradationError
from train.degradations.exposure import random_low_light
from train.degradations.film import random_film_grain
from train.degradations.noise import random_noise
from train.degradations.scattering import random_haze
from train.degradations.sensor import random_camera_noise
from train.degradations.shake import random_motion_blur
from train.degradations.streaks import random_rain
from train.degradations.water import JERLOV, random_underwater


@dataclass(frozen=True)
class Parameter:
    """A numeric parameter of a degradation.

    Attributes:
        meaning: what it is, and its unit.
        low: smallest allowed value; ``high`` is the largest.
        drawn: the values drawn if it is not given, in words.
        kind: ``float``, ``int`` or ``bool`` (0 or 1).
        default: the value for whole photographs, instead of a draw.
    """

    name: str
    meaning: str
    low: float
    high: float
    drawn: str
    kind: type = float
    default: float | None = None

    @property
    def allowed(self) -> str:
        """The allowed values, in a few words."""
        if self.kind is bool:
            return self.wanted
        return ("whole, " if self.kind is int else "") + f"{self.low:g} to {self.high:g}"

    @property
    def wanted(self) -> str:
        """The allowed values, for a message."""
        if self.kind is bool:
            return choices([0, 1])
        return numbers(self.low, self.high, whole=self.kind is int)

    def parse(self, text: str) -> Any:
        """The value of a text; ValueError if it is not allowed."""
        value = float(text)
        if not self.low <= value <= self.high or (self.kind is not float and value % 1):
            raise ValueError(text)
        return self.kind(value)


@dataclass(frozen=True)
class Choice:
    """A parameter of a degradation that is a name; attributes as in :class:`Parameter`."""

    name: str
    meaning: str
    choices: tuple[str, ...]
    drawn: str
    default: None = None

    @property
    def allowed(self) -> str:
        return ", ".join(self.choices)

    @property
    def wanted(self) -> str:
        return choices(self.choices)

    def parse(self, text: str) -> str:
        """The choice of a text in any case; ValueError if there is none."""
        for choice in self.choices:
            if choice.lower() == text.lower():
                return choice
        raise ValueError(text)


@dataclass(frozen=True)
class Kind:
    """A degradation: its summary, its random model, its parameters."""

    name: str
    summary: str
    draw: Callable[..., Image] = field(repr=False)
    parameters: tuple[Parameter | Choice, ...]


_SCENE = (
    Parameter("window", "visible share of the scene", 0.05, 1, "1", default=1.0),
    Parameter("relief", "share of noise in the depth", 0, 1, "0.1", default=0.1),
)

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "noise",
            "white Gaussian noise",
            random_noise,
            (Parameter("sigma", "level, in 8-bit steps", 0, 255, "15 to 50"),),
        ),
        Kind(
            "camera",
            "sensor noise, demosaiced, often JPEG",
            random_camera_noise,
            (
                Parameter("shot", "noise variance at light 1", 0, 1, "0.0002 to 0.08"),
                Parameter("read", "noise sigma without light", 0, 1, "follows shot, to 0.2"),
                Parameter("grain", "size of a sensor pixel, pixels", 0.25, 8, "0.5 to 2.2"),
                Parameter("quality", "of JPEG, 0 none", 0, 100, "50 to 98 in 70 %, or 0", int),
            ),
        ),
        Kind(
            "film",
            "film grain, strongest in middle tones",
            random_film_grain,
            (
                Parameter("sigma", "level in middle grey, in 8-bit steps", 0, 255, "3 to 25"),
                Parameter("size", "of a grain, pixels", 0, 20, "0.3 to 1.5"),
                Parameter("colour", "share of it that is coloured", 0, 1, "0 in 50 %, or to 1"),
            ),
        ),
        Kind(
            "rain",
            "streaks; in 55 % a shower (values after semicolons); fog",
            random_rain,
            (
                Parameter("angle", "from the vertical, degrees", -90, 90, "0 +- 18"),
                Parameter("length", "of a streak, pixels", 1, 500, "5 to 60; 20 to 140"),
                Parameter("width", "sigma across, pixels", 0.1, 50, "0.4 to 2; 0.35 to 1"),
                Parameter("density", "drops per pixel", 0, 0.2, "0.00003 to 0.07"),
                Parameter("strength", "brightness of streaks", 0, 1, "0.1 to 0.8; 0.08 to 0.5"),
                Parameter("layers", "number of layers", 1, 16, "1 to 3", int),
                Parameter("depth", "farthest layer's distance", 1, 16, "1", default=1.0),
                Parameter("screen", "1 screens, 0 adds", 0, 1, "1 in 85 %", bool),
                Parameter("fog", "share of fog", 0, 1, "0 in 90 %, or to 0.25"),
                Parameter("cover", "share covered by a shower", 0, 0.9, "0.1 to 0.45, or 0"),
            ),
        ),
        Kind(
            "haze",
            "scattering over a depth field",
            random_haze,
            (
                Parameter("beta", "scattering per unit of depth", 0, 20, "0.2 to 2.1"),
                Parameter("airlight", "brightness of the haze", 0, 1, "0.7 to 1"),
                Parameter("exposure", "factor on all values", 0.1, 1, "1", default=1.0),
                *_SCENE,
            ),
        ),
        Kind(
            "blur",
            "camera shake, in linear light",
            random_motion_blur,
            (
                Parameter("extent", "of the camera path, pixels", 1, 500, "3 to 26"),
                Parameter("sigma", "noise, in 8-bit steps", 0, 255, "0 to 2"),
            ),
        ),
        Kind(
            "lowlight",
            "underexposure with noise and a cast",
            random_low_light,
            (
                Parameter("stops", "of underexposure", 0, 16, "1 to 7"),
                Parameter("gamma", "exponent on linear light", 0.1, 10, "1", default=1.0),
                Parameter("cast", "spread of the log gains", 0, 1, "0.06", default=0.06),
                Parameter("shot", "noise variance at light 1", 0, 1, "0.00001 to 0.0003"),
                Parameter("read", "noise sigma without light", 0, 1, "0.0001 to 0.001"),
                Parameter("backlit", "1 keeps bright parts", 0, 1, "0", bool, default=False),
            ),
        ),
        Kind(
            "jpeg",
            "compression",
            random_jpeg,
            (Parameter("quality", "libjpeg quality", 1, 100, "10 to 40", int),),
        ),
        Kind(
            "underwater",
            "colours faded by water of Jerlov's types",
            random_underwater,
            (
                Choice("water", "type", tuple(JERLOV), "IB to 5C"),
                Parameter("distance", "to the farthest things, metres", 0, 100, "1 to 10"),
                Parameter("depth", "below the surface, metres", 0, 100, "0.8 to 12"),
                Parameter("scatter", "brightness of open water", 0, 1, "0.3 to 0.7"),
                *_SCENE,
            ),
        ),
    )
}


@dataclass(frozen=True)
class Step:
    """A degradation with some parameters given; the others are drawn."""

    kind: Kind
    given: dict[str, Any]

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:
        return self.kind.draw(image, rng, **self.given)


def degrade(image: Image, steps: Sequence[Step], rng: np.random.Generator) -> Image:
    """The image after all steps in turn; each gets values in [0, 1]."""
    for step in steps:
        image = np.clip(step(image, rng), 0, 1)
    return image


def parse(text: str) -> list[Step]:
    """The steps of a text like ``haze,noise:25`` or ``rain:angle=20:length=40``.

    Commas separate steps, colons parameters. A parameter without a name is identified by its place.

    Raises:
        DegradationError: a part of the text is invalid.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        way = ",".join(filter(None, parts)) or "a degradation"
        raise DegradationError(f"nothing stands before or after a comma; write {way}")
    return [_step(part) for part in parts]


def _step(text: str) -> Step:
    name, *arguments = text.split(":")
    kind = KINDS.get(name.lower())
    if kind is None:
        raise DegradationError(
            f"degradation {name!r}: use {choices(KINDS)}; parameters follow after colons:"
            " rain:angle=20:length=40"
        )
    parameters = {p.name: p for p in kind.parameters}
    given: dict[str, Any] = {}
    for place, argument in enumerate(arguments):
        key, equals, value = argument.partition("=")
        if not equals:
            key, value = list(parameters)[min(place, len(parameters) - 1)], argument
        if place >= len(parameters) and not equals:
            raise DegradationError(
                f"{kind.name} has no parameter for {argument!r}, only {', '.join(parameters)}"
            )
        if key not in parameters:
            raise DegradationError(f"{kind.name} parameter {key!r}: use {choices(parameters)}")
        if key in given:
            raise DegradationError(f"{kind.name}: {key} is given twice")
        try:
            given[key] = parameters[key].parse(value)
        except (ValueError, OverflowError):
            raise DegradationError(
                f"{kind.name} {key} {value!r}: use {parameters[key].wanted}"
            ) from None
    usual = {p.name: p.default for p in kind.parameters if p.default is not None}
    return Step(kind, usual | given)
