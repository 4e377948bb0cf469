"""The config of a network, which travels inside its weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from models.wording import choices, numbers, shown

Block = Literal["transformer", "residual"]
Conditioning = Literal["official", "paper"]
Map = Literal["mdta", "vit", "unet", "mlp"]
Fed = Literal["source", "bary", "source_res", "bary_res"]

CHOICES: dict[str, tuple[str, ...]] = {
    "block": get_args(Block),
    "conditioning": get_args(Conditioning),
    "map": get_args(Map),
    "fed": get_args(Fed),
}
"""The values that these fields can take."""

MAX_BLOCKS = 512
"""Of a network without its decoder, which has fewer than the encoder. A file that asks for more is
refused before anything is built."""
MAX_PROMPTS = 64
"""Limit for the components of a prompt, and for their side at the latent's level."""
SCENE_MULTIPLE = 16
"""Factor by which the scene judge shrinks its picture."""
MAX_SCENE = 1024


class ConfigError(ValueError):
    """A config that cannot be built; the message says which field is wrong, and why."""


@dataclass(frozen=True)
class NetworkConfig:
    """Hyper-parameters of a :class:`models.network.BaryIR` network (DESIGN section 4).

    Level ``i`` (from 0) has ``1 / (unshuffle * 2**i)`` of the image's resolution and
    ``width * 2**i`` channels. The last level holds the barycenter stage.

    Attributes:
        width: channels of the first level.
        blocks: encoder blocks of each level; the last entry is the latent's. Decoder level
            ``i`` has as many blocks as encoder level ``i``.
        heads: attention heads of each level, a divisor of the level's channels. Residual blocks
            ignore them. A barycenter map with attention uses the last entry.
        refinement_blocks: blocks after the decoder, at the first level.
        map: what the barycenter map T is made of (:mod:`models.maps`, Table XI).
        map_blocks: number of blocks of T.
        fed: the embeddings that the decoder gets (Table IX): z (source) or b (barycenter), with
            the residual r or with zeros in its place.
        expansion: hidden channels of a GDFN, relative to its channels.
        block: the backbone's block.
        conditioning: how the residual embedding reaches the decoder: through the decoder of the
            authors' released checkpoint, or through small MLPs as in the paper's text.
        prompts: components of the prompts in the decoder (:mod:`models.prompts`, PromptIR as
            backbone); 0 for no prompts.
        prompt_size: side of a prompt component at the latent's level; it doubles with every
            level up.
        unshuffle: side of the pixel blocks that are folded into channels before level 0.
        resample_kernel: side of the convolutions next to PixelShuffle and PixelUnshuffle between
            levels, 1 or 3; with 3 they cost as much as a residual block.
        scene: side of the square that the whole photograph is shrunk to for the scene judge
            (:mod:`models.scene`); 0 for no judge. It finds an offset and a gain that undo haze
            and darkness.
        deconvolve: whether camera shake is removed before the network sees a photograph
            (:mod:`models.shake`), and from blurred patches in training.
        finish: whether what is left of noise is mended after the network
            (:mod:`models.finish`). Not used in training.
        margin: pixels mirrored around an image before the network sees it. Without them, zero
            padding may show along the edges. Not used in training.
    """

    width: int = 48
    blocks: tuple[int, ...] = (4, 6, 6, 8)
    heads: tuple[int, ...] = (1, 2, 4, 8)
    refinement_blocks: int = 4
    map: Map = "mdta"
    map_blocks: int = 8
    fed: Fed = "bary_res"
    expansion: float = 2.66
    block: Block = "transformer"
    conditioning: Conditioning = "official"
    prompts: int = 0
    prompt_size: int = 16
    unshuffle: int = 1
    resample_kernel: int = 3
    scene: int = 0
    deconvolve: bool = False
    finish: bool = False
    margin: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", _integers("blocks", self.blocks))
        object.__setattr__(self, "heads", _integers("heads", self.heads))
        for name in self._of_type(int):
            value = getattr(self, name)
            whole = type(value) is int and 0 <= value <= 4096
            _require(whole, name, value, numbers(0, 4096, whole=True))
        expansion = self.expansion
        fits = type(expansion) in (int, float) and 0 < expansion <= 64
        _require(fits, "expansion", expansion, numbers(above=0, high=64))
        for name in self._of_type(bool):
            value = getattr(self, name)
            _require(type(value) is bool, name, value, choices(["true", "false"]))
        for name, known in CHOICES.items():
            value = getattr(self, name)
            _require(value in known, name, value, choices(known))
        self._check_shape()

    @classmethod
    def _of_type(cls, kind: type) -> list[str]:
        # Annotations are text only because this module postpones them.
        return [field.name for field in fields(cls) if field.type in (kind, kind.__name__)]

    def _check_shape(self) -> None:
        _require(2 <= self.levels <= 8, "blocks", list(self.blocks), "2 to 8 levels")
        if len(self.heads) != self.levels:
            raise ConfigError(
                f"heads needs {self.levels} entries, as many as blocks, not {len(self.heads)}"
            )
        total = sum(self.blocks) + self.refinement_blocks + self.map_blocks
        if total > MAX_BLOCKS:
            raise ConfigError(f"{total} blocks in all, more than the limit of {MAX_BLOCKS}")
        even = self.width >= 2 and self.width % 2 == 0
        _require(even, "width", self.width, "an even number from 2 to 4096")
        for name, low, high in (
            ("unshuffle", 1, 8),
            ("prompts", 0, MAX_PROMPTS),
            ("prompt_size", 1, MAX_PROMPTS),
        ):
            value = getattr(self, name)
            _require(low <= value <= high, name, value, numbers(low, high, whole=True))
        fits = self.scene % SCENE_MULTIPLE == 0 and self.scene <= MAX_SCENE
        sides = f"0 or a multiple of {SCENE_MULTIPLE} up to {MAX_SCENE}"
        _require(fits, "scene", self.scene, sides)
        kernel = self.resample_kernel
        _require(kernel in (1, 3), "resample_kernel", kernel, choices([1, 3]))
        for level, heads in enumerate(self.heads):
            if heads < 1 or self.channels(level) % heads:
                raise ConfigError(
                    f"heads[{level}] = {heads} does not divide {self.channels(level)} channels"
                )
        if self.conditioning == "official" and self.channels(1) % self.decoder_heads:
            raise ConfigError(
                f"heads[2] = {self.decoder_heads} does not divide {self.channels(1)} channels,"
                " as the official decoder needs"
            )
        if int(self.width * self.expansion) < 1:
            raise ConfigError(
                f"expansion {self.expansion} of width {self.width} leaves no hidden channel"
            )

    @property
    def levels(self) -> int:
        """Number of resolutions, including the latent's."""
        return len(self.blocks)

    @property
    def decoder_heads(self) -> int:
        """Heads of the official decoder's mixing blocks: at every level, those of the third."""
        return self.heads[min(2, self.levels - 1)]

    @property
    def multiple(self) -> int:
        """An input's height and width must be multiples of this; the engine pads."""
        return self.unshuffle * 2 ** (self.levels - 1)

    @property
    def input_channels(self) -> int:
        """Channels of the encoder's input: the image and, with a judge, the image with its tone."""
        return 6 if self.scene else 3

    def channels(self, level: int) -> int:
        """Channels of a level; 0 is the finest."""
        return int(self.width * 2**level)

    def difference(self, other: NetworkConfig) -> tuple[str, Any, Any] | None:
        """The first field in which two networks differ, with its value here and in the other.

        ``margin`` and ``finish`` are left out, since they are not used in training.
        """
        ours, theirs = self.to_dict(), other.to_dict()
        for name, value in ours.items():
            if name not in ("margin", "finish") and theirs[name] != value:
                return name, value, theirs[name]
        return None

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values: numbers, strings and lists."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> NetworkConfig:
        """The inverse of :meth:`to_dict`.

        Raises:
            ConfigError: a field is unknown, has the wrong type or is out of range.
        """
        if not isinstance(values, dict):
            raise ConfigError("a network's config must be a JSON object")
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ConfigError(
                f"unknown config field {shown(unknown[0])}; known are {', '.join(sorted(known))}"
            )
        return cls(**values)


def _integers(name: str, values: Any) -> tuple[int, ...]:
    is_list = isinstance(values, (list, tuple))
    fits = is_list and all(type(v) is int and v >= 0 for v in values)
    _require(fits, name, values, "a list of whole numbers, such as [2, 1]")
    return tuple(values)


def _require(fits: bool, name: str, value: Any, wanted: str) -> None:
    """Raises ConfigError for a field whose value does not fit."""
    if not fits:
        raise ConfigError(f"{name} {shown(value)}: use {wanted}")
