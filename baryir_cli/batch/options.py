"""The options of commands over files and folders."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class Format(str, Enum):
    """Output formats, under their common names."""

    png = "png"
    jpeg = "jpeg"
    jpg = "jpg"
    webp = "webp"
    tiff = "tiff"
    tif = "tif"
    bmp = "bmp"
    avif = "avif"
    heic = "heic"
    heif = "heif"
    jp2 = "jp2"
    j2k = "j2k"


FILES, SHOW = "Files", "Display"


def path_of(typed: str) -> Path:
    """The path that was typed; ``./-`` is a file of that name, not a standard stream."""
    path = Path(typed)
    return path.absolute() if str(path) == "-" != typed else path


Inputs = Annotated[
    list[Path],
    typer.Argument(
        metavar="INPUT", help="Images and folders; - reads standard input.", parser=path_of
    ),
]
Output = Annotated[
    # Not a Path, which drops the trailing / of a folder.
    str,
    typer.Argument(
        metavar="OUTPUT", help="Folder, or file for one image; - writes standard output."
    ),
]
Recursive = Annotated[
    bool,
    typer.Option(
        "--recursive",
        "-r",
        help="Include subfolders and keep their structure.",
        rich_help_panel=FILES,
    ),
]
OutputFormat = Annotated[
    Format | None,
    typer.Option(
        case_sensitive=False,
        help="Write all images in this format.  \\[default: each keeps its own]",
        show_default=False,
        rich_help_panel=FILES,
    ),
]
Quality = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=100,
        help="JPEG, WebP, AVIF, HEIC and JPEG 2000 quality.  \\[default: 95; HEIC 75]",
        show_default=False,
        rich_help_panel=FILES,
    ),
]
Suffix = Annotated[
    str,
    typer.Option(
        help="Add to every name: photo[SUFFIX].jpg.",
        show_default=False,
        rich_help_panel=FILES,
    ),
]
SkipExisting = Annotated[
    bool,
    typer.Option(
        "--skip-existing",
        help="Keep existing outputs, to continue a run.",
        rich_help_panel=FILES,
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace existing outputs.", rich_help_panel=FILES),
]
InPlace = Annotated[
    bool,
    typer.Option(
        "--in-place",
        help="Let outputs replace their own inputs; OUTPUT is the inputs' folder again.",
        rich_help_panel=FILES,
    ),
]
Compare = Annotated[
    bool,
    typer.Option(
        "--compare",
        help="Also write NAME.EXT.compare.jpg, input and output side by side.",
        rich_help_panel=FILES,
    ),
]
MaxMegapixels = Annotated[
    float,
    typer.Option(help="Refuse larger images before decoding them.", rich_help_panel=FILES),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Show what would be written; do nothing.", rich_help_panel=SHOW),
]
AsJson = Annotated[
    bool,
    typer.Option(
        "--json",
        help="One line of JSON per image on standard output.",
        rich_help_panel=SHOW,
    ),
]
