"""AVIF and HEIC: what phones store is kept, turned upright, or reported as lost."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from baryir_cli.images import Photo, boxes, encode_photo, heic, heif, read_photo
from tests.baryir_cli.images.samples import (
    XMP,
    assert_refused,
    exif_of,
    noise,
    opened,
    pil_bytes,
    smooth,
    srgb_profile,
    with_exif,
)

FORMATS = ["avif", "heic"]
DISPLAY_P3 = heif.Cicp(12, 13, 6, 1)


def lossless_heic(pixels: np.ndarray, bits: int, **options: object) -> bytes:
    out = io.BytesIO()
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[pixels.shape[2]] + (f";{bits}" if bits > 8 else "")
    pillow_heif.encode(
        mode,
        pixels.shape[1::-1],
        pixels.tobytes(),
        out,
        quality=-1,
        chroma=444,
        matrix_coefficients=0,
        bit_depth=bits,
        **options,
    )
    return out.getvalue()


def named_colours(data: bytes) -> tuple[int, int]:
    at = data.index(b"colrnclx") + 8
    return struct.unpack(">HH", data[at : at + 4])


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("size", [(33, 47), (7, 5), (1, 1)])
def test_a_photograph_stays_close_to_itself(format_name: str, size: tuple[int, int]) -> None:
    photo = Photo(smooth(*size), None, "png", "rgb")
    again = read_photo(encode_photo(photo, format_name))
    assert (again.format, again.layout, again.alpha) == (format_name, "rgb", None)
    assert np.abs(again.pixels.astype(int) - photo.pixels).mean() < 8


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_lower_quality_makes_a_smaller_file(format_name: str) -> None:
    photo = Photo(noise(64, 64), None, "png", "rgb")
    sizes = [len(encode_photo(photo, format_name, quality)) for quality in (1, 50, None)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[1] / 2


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_depth_of_a_heic_is_read_over_the_full_range(bits: int, channels: int) -> None:
    top = (1 << bits) - 1
    stored = noise(channels=channels, bits=bits)
    stored[0, :2] = [[0], [top]]
    photo = read_photo(lossless_heic(stored, bits))
    full = 255 if bits == 8 else 65535
    expected = np.rint(stored / top * full).astype(int)
    colours = min(channels, 3)
    assert photo.layout == ("grey" if channels == 1 else "rgb")
    np.testing.assert_array_equal(photo.pixels[..., :colours], expected[..., :colours])
    if channels == 4:
        np.testing.assert_array_equal(photo.alpha, expected[..., 3])
    assert photo.pixels[0, 1].tolist() == [full] * 3


@pytest.mark.parametrize("bits", [10, 12])
def test_a_deep_heic_keeps_its_depth(bits: int, caplog: pytest.LogCaptureFixture) -> None:
    photo = read_photo(lossless_heic(smooth(top=(1 << bits) - 1), bits))
    again = read_photo(encode_photo(photo))
    assert again.bits == bits
    assert np.abs(again.pixels.astype(int) - photo.pixels).max() < 1500
    assert np.abs(again.pixels.astype(int) - photo.pixels).mean() < 200
    assert not caplog.messages
    encode_photo(photo, "jpeg")
    assert caplog.messages == [f"{bits}-bit depth cannot be kept in JPEG"]


def test_sixteen_bits_become_ten_in_a_heic(caplog: pytest.LogCaptureFixture) -> None:
    photo = Photo(smooth(top=65535), None, "png", "rgb")
    assert read_photo(encode_photo(photo, "heic")).bits == 10
    assert caplog.messages == ["of 16 bits, HEIC keeps 10"]


def test_a_deep_avif_is_read_in_eight_bits_and_that_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = bytearray(pil_bytes(Image.fromarray(smooth()), "avif"))
    assert not read_photo(bytes(data)).bits
    assert not caplog.messages
    for flags, bits in ((0x40, 10), (0x60, 12)):
        at = data.index(b"av1C") + 6
        data[at] = data[at] & 0x1F | flags
        assert heif.properties_of(io.BytesIO(data)).bits == bits


@pytest.mark.parametrize("format_name", FORMATS)
def test_metadata_survives_byte_for_byte(
    format_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    photo = read_photo(with_exif(smooth(24, 40), "jpeg", exif_of(6), XMP))
    photo.icc = srgb_profile()
    once = read_photo(encode_photo(photo, format_name))
    again = read_photo(encode_photo(once))
    for kept in (once, again):
        assert (kept.exif, kept.xmp, kept.icc) == (photo.exif, photo.xmp, photo.icc)
        assert b"MAKERNOTE!" in (kept.exif or b"")
        assert kept.pixels.shape == (40, 24, 3)
    assert not caplog.messages


def test_xmp_has_no_say_in_the_orientation() -> None:
    photo = read_photo(pil_bytes(Image.fromarray(smooth(24, 40)), "avif", xmp=XMP))
    assert photo.pixels.shape == (24, 40, 3)
    assert photo.xmp == XMP.replace(b"6", b"1")


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_subsampling_is_kept(format_name: str, number: int) -> None:
    options: dict[str, object] = {"subsampling": ("4:4:4", "4:2:2", "4:2:0")[number]}
    photo = read_photo(pil_bytes(Image.fromarray(smooth()), format_name, **options))
    assert photo.subsampling == number
    assert read_photo(encode_photo(photo)).subsampling == number


def test_other_pictures_get_the_subsampling_that_viewers_know() -> None:
    photo = Photo(smooth(), None, "png", "rgb")
    assert read_photo(encode_photo(photo, "avif")).subsampling == 0
    assert read_photo(encode_photo(photo, "heic")).subsampling == 2


@pytest.mark.parametrize("format_name", FORMATS)
def test_colours_by_number_are_kept_where_there_is_no_profile(
    format_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    photo = Photo(smooth(), None, format_name, "rgb", cicp=DISPLAY_P3)
    data = encode_photo(photo)
    assert named_colours(data) == (12, 13)
    again = read_photo(data)
    assert again.cicp == DISPLAY_P3
    assert np.abs(again.pixels.astype(int) - photo.pixels).max() <= 12
    assert b"cICP\x0c\x0d\0\1" in encode_photo(again, "png")
    for other in FORMATS:
        assert named_colours(encode_photo(again, other)) == (12, 13)
    assert not caplog.messages
    encode_photo(again, "jpeg")
    assert caplog.messages == ["CICP colour space cannot be kept in JPEG"]
    photo.icc = srgb_profile()
    assert read_photo(encode_photo(photo)).cicp in (None, (2, 2, 6, 1)), "the profile decides"


@pytest.mark.parametrize("format_name", FORMATS)
def test_ordinary_colours_by_number_are_no_loss(
    format_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    photo = read_photo(pil_bytes(Image.fromarray(smooth()), format_name))
    assert photo.cicp is not None
    assert b"cICP" not in encode_photo(photo, "png")
    encode_photo(photo, "jpeg")
    assert not caplog.messages


def test_a_heic_of_several_pictures_is_refused() -> None:
    file = pillow_heif.from_pillow(Image.fromarray(255 - smooth()))
    file.add_from_pillow(Image.fromarray(smooth()))
    out = io.BytesIO()
    file.save(out, primary_index=1, quality=95)
    assert_refused(out.getvalue(), "has 2 pictures")
    # In place of a brand that is not needed: a gain map is no excuse for further photographs.
    assert_refused(out.getvalue().replace(b"mif1", b"tmap"), "has 2 pictures")


def with_second_picture(avif: bytes, flags: int, references: bytes, wide: bool) -> bytes:
    """An AVIF with a second item, of the same data, and a third that is no picture."""
    outer = {kind: avif[first:end] for kind, first, end in boxes.places(io.BytesIO(avif))}
    meta = io.BytesIO(outer[b"meta"])
    inner = {kind: boxes.data_at(meta, at, end) for kind, at, end in boxes.places(meta, 4)}
    version, form = (b"\3", ">I") if wide else (b"\2", ">H")
    kinds = {1: b"av01", 2: b"av01", 3: b"tmap"}
    entries = [
        boxes.box(
            b"infe",
            version + bytes([0, 0, flags if number == 2 else 0]),
            struct.pack(form, number) + b"\0\0" + kind + b"\0",
        )
        for number, kind in kinds.items()
    ]
    inner[b"iinf"] = b"\0\0\0\0" + struct.pack(">H", 3) + b"".join(entries)
    inner[b"iref"] = bytes([wide, 0, 0, 0]) + references
    parts = [boxes.box(kind, data) for kind, data in inner.items()]
    return b"".join(
        [
            boxes.box(b"ftyp", outer[b"ftyp"]),
            boxes.box(b"meta", b"\0\0\0\0", *parts),
            boxes.box(b"mdat", outer[b"mdat"]),
        ]
    )


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize(
    ("flags", "kind", "numbers", "pictures"),
    [
        (0, b"cdsc", (3, 1, 1), 2),  # a photograph of its own
        (1, b"cdsc", (3, 1, 1), 1),  # hidden
        (0, b"auxl", (2, 1, 1), 1),  # a depth map
        (0, b"thmb", (2, 1, 1), 1),
        (0, b"dimg", (3, 2, 1, 2), 1),  # a gain map
    ],
)
def test_parts_of_a_picture_are_no_pictures(
    flags: int, kind: bytes, numbers: tuple[int, ...], pictures: int, wide: bool
) -> None:
    source, count, *targets = numbers
    one = "I" if wide else "H"
    references = boxes.box(kind, struct.pack(f">{one}H{count}{one}", source, count, *targets))
    avif = pil_bytes(Image.fromarray(smooth()), "avif")
    made = with_second_picture(avif, flags, references, wide)
    assert heif.properties_of(io.BytesIO(made)).pictures == pictures


def test_the_brands_tell_of_a_gain_map() -> None:
    data = pil_bytes(Image.fromarray(smooth()), "avif")
    assert not heif.properties_of(io.BytesIO(data)).has_gain_map
    # In place of the last brand.
    assert heif.properties_of(io.BytesIO(data[:28] + b"tmap" + data[32:])).has_gain_map


def test_an_animation_is_refused() -> None:
    frames = [Image.fromarray(noise() // k) for k in (1, 2, 3)]
    data = pil_bytes(frames[0], "avif", save_all=True, append_images=frames[1:])
    assert_refused(data, "has 3 frames")


def test_a_heic_of_many_tiles_is_read() -> None:
    """As phones write it: a grid of tiles of 512 pixels."""
    pixels = smooth(200, 300)
    out = io.BytesIO()
    file = pillow_heif.from_pillow(Image.fromarray(pixels))
    file.save(out, quality=95, tile_size=64)
    assert heif.properties_of(out).size == (300, 200)
    photo = read_photo(out.getvalue())
    assert np.abs(photo.pixels.astype(int) - pixels).mean() < 3


def test_data_behind_the_picture_do_not_matter() -> None:
    """Samsung's phones put their own there."""
    for format_name in FORMATS:
        data = pil_bytes(Image.fromarray(smooth()), format_name)
        assert read_photo(data + b"\0\0\1\0sefd, too short").pixels.shape == (33, 47, 3)


@pytest.mark.parametrize("brand", [b"mif1", b"msf1"])
def test_the_further_brands_tell_what_a_general_one_does_not(brand: bytes) -> None:
    for format_name in FORMATS:
        data = bytearray(pil_bytes(Image.fromarray(smooth()), format_name))
        own = bytes(data[8:12])
        data[8:12], at = brand, data.index(b"mif1", 12)
        data[at : at + 4] = own
        assert heif.content_of(bytes(data[: heif.HEAD])) == format_name


def test_without_pillow_heif_a_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.heic"
    path.write_bytes(pil_bytes(Image.fromarray(smooth()), "heic"))
    assert read_photo(path).format == "heic"
    monkeypatch.setattr(heic, "is_installed", lambda: False)
    assert_refused(path, "is a HEIC image; to read and write HEIC, pip install pillow-heif")


@pytest.mark.parametrize("format_name", FORMATS)
def test_the_video_and_the_credentials_are_reported_as_left_out(
    format_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    data = pil_bytes(Image.fromarray(smooth()), format_name)
    data += boxes.box(b"mpvd", b"film") + boxes.box(b"uuid", boxes.C2PA, b"signed")
    assert read_photo(data).pixels.shape == (33, 47, 3)
    name = format_name.upper()
    assert caplog.messages == [
        f"the video of a motion photo in the {name} cannot be kept",
        f"the content credentials (C2PA) in the {name} cannot be kept",
    ]


def test_a_cropped_avif_is_refused() -> None:
    """Pillow would show what has been cut away."""
    data = pil_bytes(Image.fromarray(smooth()), "avif")
    assert_refused(data.replace(b"pixi", b"clap"), "is cropped by its container")


@pytest.mark.parametrize("format_name", FORMATS)
def test_colours_of_unknown_numbers_are_ignored(format_name: str) -> None:
    for cicp in ((200, 13, 6, 1), (12, 300, 6, 1), (12, 13, 15, 1)):
        assert not heif.Cicp(*cicp).is_known
    data = bytearray(pil_bytes(Image.fromarray(smooth()), format_name))
    at = data.index(b"colrnclx") + 8
    data[at : at + 4] = struct.pack(">HH", 200, 200)
    if format_name == "avif":
        assert read_photo(bytes(data)).cicp is None


@pytest.mark.parametrize("exif", [b"junk", b"II*\0", b"MM\0*\0\0\0\x08\0"])
@pytest.mark.parametrize("format_name", FORMATS)
def test_damaged_exif_is_left_out(
    format_name: str, exif: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    photo = Photo(smooth(), None, "png", "rgb", exif=exif)
    assert read_photo(encode_photo(photo, format_name)).exif is None
    assert caplog.messages == ["EXIF is damaged and left out"]


def test_what_we_write_is_what_others_read() -> None:
    for format_name in FORMATS:
        image = opened(encode_photo(Photo(smooth(), None, "png", "rgb"), format_name))
        assert np.abs(np.asarray(image).astype(int) - smooth()).max() <= 12
