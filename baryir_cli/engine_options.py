"""The engine's options, shared by the commands that restore, and the engine they describe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from baryir_cli.limits import Precision, check_device, check_tiles

if TYPE_CHECKING:
    from baryir_cli.engine import Engine
    from models.weights import Weights

PANEL = "Engine"
DEVICES = "auto, cpu, cuda, cuda:N or mps."


DeviceOption = Annotated[str, typer.Option(help=DEVICES, rich_help_panel=PANEL)]
PrecisionOption = Annotated[
    Precision,
    typer.Option(help="auto: half precision where the hardware has it.", rich_help_panel=PANEL),
]
TileOption = Annotated[
    int | None,
    typer.Option(
        help="Side of a tile in pixels; 0 is the whole image.  \\[default: by free memory]",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
OverlapOption = Annotated[
    int | None,
    typer.Option(
        help="Pixels that neighbouring tiles share.  \\[default: 32, less for small tiles]",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
KeepTonesOption = Annotated[
    bool,
    typer.Option(
        "--keep-tones", help="Leave haze and darkness as they are.", rich_help_panel=PANEL
    ),
]
KeepShakeOption = Annotated[
    bool,
    typer.Option("--keep-shake", help="Do not deconvolve camera shake.", rich_help_panel=PANEL),
]


@dataclass(frozen=True)
class EngineOptions:
    """What was asked for; ``weights`` None is the user's default."""

    weights: str | None = None
    device: str = "auto"
    precision: str = "auto"
    tile: int | None = None
    overlap: int | None = None
    keep_tones: bool = False
    keep_shake: bool = False

    def __post_init__(self) -> None:
        check_device(self.device)
        check_tiles(self.tile, self.overlap)

    def build(self, weights: Weights, notify: Callable[[str], None]) -> Engine:
        """The engine for ``weights``, which :attr:`weights` refers to."""
        from baryir_cli.engine import Engine
        from baryir_cli.weights import provenance
        from models.weights import load_network

        if caution := provenance.caution(weights.provenance):
            notify(caution)
        return Engine(
            load_network(weights),
            device=self.device,
            precision=self.precision,
            tile=self.tile,
            overlap=self.overlap,
            keep_tones=self.keep_tones,
            keep_shake=self.keep_shake,
            notify=notify,
        )
