"""Orientation, resolution, profiles and metadata: kept, adapted, or reported as lost."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from baryir_cli.images import FORMATS, Photo, encode_photo, ifd, losses, read_photo
from tests.baryir_cli.images.samples import (
    SOURCES,
    XMP,
    deep_png,
    deep_tiff,
    exif_of,
    grey_profile,
    iptc_in,
    noise,
    opened,
    pil_bytes,
    resource,
    shallow_png,
    smooth,
    srgb_profile,
    turned,
    with_exif,
    with_values,
)

LOSSY = ("jpeg", "avif", "heic")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_name", ["jpeg", "png", "webp", "tiff", "avif", "heic"])
def test_orientation_is_applied_and_reset(format_name: str, orientation: int) -> None:
    stored = smooth(24, 40)
    xmp = XMP.replace(b"6", str(orientation).encode())
    photo = read_photo(with_exif(stored, format_name, exif_of(orientation), xmp))
    expected = turned(stored, orientation)
    assert photo.pixels.shape == expected.shape
    assert np.abs(photo.pixels.astype(int) - expected).max() <= (25 if format_name in LOSSY else 0)
    data = encode_photo(photo)
    again = opened(data)
    assert again.size == expected.shape[1::-1]
    assert again.getexif().get(274, 1) == 1
    assert again.getexif()[271] == "Acme Co"
    assert b'tiff:Orientation="1"' in data
    np.testing.assert_array_equal(read_photo(data).pixels.shape, expected.shape)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_also_turns_alpha_and_sixteen_bits(orientation: int) -> None:
    data = noise(12, 17, channels=4, bits=16)
    expected = turned(data, orientation)
    png = read_photo(deep_png(data, (b"eXIf", exif_of(orientation))))
    tiff = read_photo(
        deep_tiff(data, extrasamples=["unassalpha"], extratags=[(274, 3, 1, orientation, True)])
    )
    for photo in (png, tiff):
        np.testing.assert_array_equal(photo.pixels, expected[..., :3])
        np.testing.assert_array_equal(photo.alpha, expected[..., 3])
        np.testing.assert_array_equal(read_photo(encode_photo(photo)).pixels, expected[..., :3])


@pytest.mark.parametrize("format_name", ["jpeg", "png", "webp", "tiff"])
@pytest.mark.parametrize(("exif", "shape"), [(b"", (40, 24, 3)), (exif_of(1), (24, 40, 3))])
def test_xmp_gives_the_orientation_where_exif_does_not(
    format_name: str, exif: bytes, shape: tuple[int, int, int]
) -> None:
    photo = read_photo(with_exif(smooth(24, 40), format_name, exif, XMP))
    assert photo.pixels.shape == shape
    assert photo.xmp == XMP.replace(b"6", b"1")


@pytest.mark.parametrize("format_name", ["jpeg", "png", "tiff"])
def test_the_resolution_is_turned_with_the_pixels(format_name: str) -> None:
    exif = Image.Exif()
    exif[274], exif[282], exif[283], exif[296] = 6, 204.0, 98.0, 2
    out = io.BytesIO()
    Image.fromarray(smooth(24, 40)).save(out, format_name, exif=exif.tobytes(), dpi=(204, 98))
    photo = read_photo(out.getvalue())
    assert photo.dpi == pytest.approx((98, 204), abs=0.1)
    again = opened(encode_photo(photo))
    assert again.info["dpi"] == pytest.approx((98, 204), abs=0.1)
    if format_name != "tiff":
        assert (again.getexif()[282], again.getexif()[283]) == (98, 204)


@pytest.mark.parametrize("format_name", ["jpeg", "png"])
def test_the_files_own_resolution_comes_before_its_exif(format_name: str) -> None:
    exif = Image.Exif()
    exif[282], exif[283], exif[296] = 72.0, 72.0, 2
    out = io.BytesIO()
    Image.fromarray(smooth()).save(out, format_name, exif=exif.tobytes(), dpi=(300, 300))
    for target in ("jpeg", "png", "tiff"):
        again = opened(encode_photo(read_photo(out.getvalue()), target))
        assert again.info["dpi"] == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize("format_name", ["jpeg", "png", "webp"])
@pytest.mark.parametrize(
    ("tags", "dpi"),
    [
        ({282: 204.0, 283: 98.0, 296: 2}, (204, 98)),
        ({282: 100.0, 283: 50.0, 296: 3}, (254, 127)),
        ({282: 2.0, 283: 1.0, 296: 1}, None),
        ({271: "Acme"}, None),
    ],
    ids=["inches", "centimetres", "no unit", "none"],
)
def test_exif_gives_the_resolution_where_the_file_does_not(
    format_name: str, tags: dict[int, object], dpi: tuple[float, float] | None
) -> None:
    exif = Image.Exif()
    exif.update(tags)
    photo = read_photo(pil_bytes(Image.fromarray(smooth()), format_name, exif=exif.tobytes()))
    assert photo.dpi == dpi
    bmp = read_photo(encode_photo(photo, "bmp")).dpi
    assert bmp == (None if dpi is None else pytest.approx(dpi, abs=0.1))


@pytest.mark.parametrize("number", [0, 0xFFFFFFFF])
def test_an_absurd_resolution_of_a_png_is_ignored(number: int) -> None:
    resolution = struct.pack(">IIB", number, number, 1)
    photo = read_photo(shallow_png(20, (b"pHYs", resolution)))
    assert photo.dpi is None
    for format_name in FORMATS:
        encode_photo(photo, format_name)


def test_sizes_in_exif_are_those_of_the_upright_image() -> None:
    """Some phones write them in addition to those of the EXIF directory."""
    size = {tag: ifd.Value(ifd.LONG, 1, struct.pack("<I", n)) for tag, n in ((256, 64), (257, 48))}
    turn = ifd.Value(ifd.SHORT, 1, struct.pack("<H", 6))
    exif = ifd.exif_block({**size, ifd.ORIENTATION: turn})
    assert exif is not None
    kept = read_photo(with_exif(smooth(48, 64), "jpeg", exif)).exif
    assert kept is not None
    (tags,) = ifd.read_directories(io.BytesIO(kept))
    found = {tag: value.numbers() for tag, value in tags.items() if isinstance(value, ifd.Value)}
    assert found == {256: (48,), 257: (64,), ifd.ORIENTATION: (1,)}


@pytest.mark.parametrize("format_name", ["jpeg", "png", "webp"])
def test_exif_stays_byte_for_byte_except_for_stale_entries(format_name: str) -> None:
    thumbnail = b"\xff\xd8" + b"STALE" * 20 + b"\xff\xd9"
    exif = exif_of(6, thumbnail)
    photo = read_photo(with_exif(smooth(24, 40), format_name, exif))
    data = encode_photo(photo)
    assert b"STALE" not in data
    assert b"MAKERNOTE!" in data
    kept = read_photo(data).exif
    assert kept is not None
    expected = bytearray(exif_of(1, thumbnail)[: -len(thumbnail)])
    struct.pack_into(">I", expected, 58, 0)
    for at, number in (
        (expected.index(b"\0\0\x27\x0f"), 24),
        (expected.index(b"\0\0\x22\xb8"), 40),
    ):
        struct.pack_into(">I", expected, at, number)
    assert kept == bytes(expected)


def test_exif_and_gps_survive_a_tiff() -> None:
    photo = read_photo(with_exif(smooth(24, 40), "jpeg", exif_of(1)))
    tiff = encode_photo(photo, "tiff")
    exif = opened(tiff).getexif()
    assert exif[271] == "Acme Co"
    assert exif.get_ifd(0x8769)[0x927C] == b"MAKERNOTE!"
    assert exif.get_ifd(0x8825)[1] == "N"
    jpeg = encode_photo(read_photo(tiff), "jpeg")
    assert opened(jpeg).getexif().get_ifd(0x8825)[1] == "N"
    deep = Photo(noise(bits=16), None, "tiff", "rgb", exif=exif_of(1))
    assert opened(encode_photo(deep)).getexif().get_ifd(0x8769)[0x927C] == b"MAKERNOTE!"


@pytest.mark.parametrize(
    ("kind", "size", "count"),
    [(1, 1, 1), (3, 2, 2), (8, 2, 1), (9, 4, 1), (13, 4, 1), (16, 8, 1), (3, 2, 3), (16, 8, 2)],
)
def test_orientation_is_reset_whatever_its_type(kind: int, size: int, count: int) -> None:
    """Otherwise viewers would turn the picture a second time."""
    numbers = (6).to_bytes(size, "little") * count
    exif = ifd.exif_block({ifd.ORIENTATION: ifd.Value(kind, count, numbers)})
    assert exif is not None
    once = encode_photo(read_photo(with_exif(smooth(24, 40), "jpeg", exif)))
    assert read_photo(once).pixels.shape == (40, 24, 3)


def test_exif_is_read_whatever_follows_its_first_directory() -> None:
    """Some writers leave nonsense in the offset of the thumbnail's directory."""
    exif = bytearray(exif_of(6))
    struct.pack_into(">I", exif, 58, 0xFFFF)
    photo = read_photo(with_exif(smooth(24, 40), "jpeg", bytes(exif)))
    assert photo.pixels.shape == (40, 24, 3)
    assert opened(encode_photo(photo, "tiff")).getexif()[271] == "Acme Co"


@pytest.mark.parametrize("tags", [{}, {"software": "Scan"}], ids=["resolution", "more"])
def test_a_resolution_alone_is_no_exif_that_is_lost(
    tags: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    photo = read_photo(pil_bytes(Image.fromarray(smooth()), "tiff", dpi=(300, 300), **tags))
    assert read_photo(encode_photo(photo, "bmp")).dpi == pytest.approx((300, 300), abs=0.1)
    assert caplog.messages == (["EXIF cannot be kept in BMP"] if tags else [])


def test_damaged_exif_does_no_harm() -> None:
    far_away = b"II+\0\x08\0\0\0" + b"\xff" * 8
    for exif in (b"MM\0*\0\0\xff\xff", b"junk", exif_of(3)[:40], far_away):
        photo = read_photo(with_exif(smooth(), "png", exif))
        assert photo.pixels.shape == (33, 47, 3)
        for format_name in FORMATS:
            encode_photo(photo, format_name)


@pytest.mark.parametrize("shift", [4, 100_000], ids=["overlapping", "beyond the end"])
def test_a_resolution_with_a_wrong_offset_is_not_turned(shift: int) -> None:
    ratios = (ifd.Value(ifd.RATIONAL, 1, struct.pack("<II", number, 1)) for number in (204, 98))
    exif = ifd.exif_block(dict(zip((ifd.X_RESOLUTION, ifd.Y_RESOLUTION), ratios, strict=True)))
    assert exif is not None
    damaged = bytearray(exif)
    # The second entry's offset; the first one's is 38.
    struct.pack_into("<I", damaged, 30, 38 + shift)
    assert ifd.upright_exif(bytes(damaged), 9, 9, on_its_side=True) == damaged


@pytest.mark.parametrize("format_name", ["jpeg", "png", "webp", "tiff", "avif", "heic"])
def test_the_profile_and_the_resolution_are_kept(format_name: str) -> None:
    icc = srgb_profile()
    options: dict[str, object] = (
        {} if format_name in ("webp", "avif", "heic") else {"dpi": (200, 200)}
    )
    image = Image.fromarray(smooth())
    photo = read_photo(pil_bytes(image, format_name, icc_profile=icc, **options))
    again = opened(encode_photo(photo))
    assert again.info["icc_profile"] == icc
    if options:
        assert [round(float(v)) for v in again.info["dpi"]] == [200, 200]


def test_png_text_and_colour_space_are_kept() -> None:
    text = PngInfo()
    text.add_text("Author", "Ansel")
    text.add_text("Title", "Ümlaut", zip=True)
    text.add_itxt("Description", "Zwölf Eulen", "de")
    text.add(b"gAMA", struct.pack(">I", 45455))
    text.add_text("Raw profile type exif", "\nexif\n    4\n" + exif_of(6).hex())
    image = opened(
        encode_photo(read_photo(pil_bytes(Image.fromarray(smooth(24, 40)), "png", pnginfo=text)))
    )
    assert image.size == (24, 40)
    assert image.text["Author"] == "Ansel"
    assert image.text["Title"] == "Ümlaut"
    assert image.text["Description"] == "Zwölf Eulen"
    assert image.info["gamma"] == pytest.approx(0.45455)
    assert "Raw profile type exif" not in image.text
    assert image.getexif()[274] == 1


@pytest.mark.parametrize("kind", [ifd.UNDEFINED, ifd.LONG])
@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(
    "resources",
    [
        b"",
        resource(1005, b"odd"),
        resource(1028, b"\x1colder"),
        resource(1005, b"odd") + b"8BIM, damaged",
        b"no resources",
    ],
)
def test_captions_survive_a_jpeg_a_tiff_and_a_png(
    kind: int, swapped: bool, resources: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caption = b"\x1c\x02\x78\0\x06An owl\0"
    stored = np.frombuffer(caption, "<u4").byteswap().tobytes() if swapped else caption
    source = with_values(
        pil_bytes(Image.fromarray(smooth()), "tiff"),
        {
            33723: ifd.Value(kind, len(stored) // (4 if kind == ifd.LONG else 1), stored),
            34377: ifd.Value(ifd.UNDEFINED, len(resources), resources),
        },
    )
    photo = read_photo(source)
    jpeg = encode_photo(photo, "jpeg")
    again = encode_photo(read_photo(jpeg), "tiff")
    for data in (jpeg, encode_photo(photo), again):
        assert iptc_in(data) == {(2, 120): b"An owl"}
        assert b"older" not in data
        for kept in (b"odd", b"damaged"):
            assert (kept in data) == (kept in resources)
    png = encode_photo(photo, "png")
    assert iptc_in(encode_photo(read_photo(png), "jpeg")) == {(2, 120): b"An owl"}
    assert not caplog.messages
    encode_photo(photo, "webp")
    others = ", Photoshop resources" if b"odd" in resources or resources[:2] == b"no" else ""
    assert caplog.messages == [f"IPTC{others} cannot be kept in WEBP"]


@pytest.mark.parametrize("name", ["iptc", "8bim"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("bare", [False, True])
def test_captions_that_other_programs_write_into_a_png_are_read(
    name: str, packed: bool, bare: bool
) -> None:
    """As Photoshop's resources or IPTC alone; in lines of 72 digits below name and length."""
    caption = b"\x1c\x02\x78\0\x06An owl"
    stored = caption if bare else resource(1028, caption) + resource(1036, b"STALETHUMB")
    digits = stored.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    text = PngInfo()
    keyword = f"Raw profile type {name}"
    text.add_text(keyword, f"\n{name}\n{len(stored):8}\n{lines}\n", zip=packed)
    photo = read_photo(pil_bytes(Image.fromarray(smooth()), "png", pnginfo=text))
    assert iptc_in(encode_photo(photo, "jpeg")) == {(2, 120): b"An owl"}
    kept = opened(encode_photo(photo)).text
    resources = resource(1028, caption)
    wanted = f"\niptc\n{len(resources):8}\n{resources.hex()}\n"
    assert kept == {"Raw profile type iptc": wanted}


def test_a_png_with_many_captions_opens_in_other_programs() -> None:
    resources = resource(1028, b"\x1c\x02\x78" + bytes(600_000)) + resource(1005, b"odd")
    photo = Photo(smooth(), None, "png", "rgb", photoshop=resources)
    data = encode_photo(photo)
    assert opened(data).size == (47, 33)
    assert read_photo(data).photoshop == resources


def test_damaged_captions_of_a_png_are_reported_as_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    text = b"Raw profile type iptc\0\niptc\n       4\n1c0z"
    assert read_photo(shallow_png(20, (b"tEXt", text))).photoshop is None
    assert caplog.messages == ["the PNG's iptc text is damaged and left out"]


def test_a_loss_is_reported_once() -> None:
    with losses() as lines:
        read_photo(shallow_png(20, (b"tEXt", b"Raw profile type APP1\0\nAPP1\n       4\n1c0z")))
    assert lines == ["the PNG's APP1 text is damaged and left out"]


@pytest.mark.parametrize("name", ["exif", "APP1"])
def test_exif_in_the_text_of_a_png_is_read(name: str) -> None:
    exif = b"Exif\0\0" + exif_of(6)
    photo = read_photo(shallow_png(20, raw_profile(name, exif)))
    assert photo.pixels.shape == (30, 20, 3)
    assert opened(encode_photo(photo)).getexif()[271] == "Acme Co"


@pytest.mark.parametrize("name", ["xmp", "APP1"])
@pytest.mark.parametrize("exif", [b"", exif_of(1)], ids=["alone", "after EXIF"])
def test_xmp_in_the_text_of_a_png_is_read(name: str, exif: bytes) -> None:
    start = b"http://ns.adobe.com/xap/1.0/\0" if name == "APP1" else b""
    before = [raw_profile("APP1", b"Exif\0\0" + exif)] if exif else []
    photo = read_photo(shallow_png(20, *before, raw_profile(name, start + XMP)))
    assert photo.pixels.shape == ((20, 30, 3) if exif else (30, 20, 3))
    for format_name in ("png", "jpeg", "tiff"):
        again = read_photo(encode_photo(photo, format_name))
        assert again.xmp == XMP.replace(b"6", b"1")
        assert (again.exif is not None) == bool(exif)


def raw_profile(name: str, data: bytes) -> tuple[bytes, bytes]:
    """A PNG chunk with metadata as ImageMagick writes it."""
    text = f"Raw profile type {name}\0\n{name}\n{len(data):8}\n{data.hex()}\n"
    return b"tEXt", text.encode()


def test_jpeg_keeps_subsampling_progression_comment_and_captions() -> None:
    body = b"Photoshop 3.0\0" + resource(1028, b"CAPTION") + resource(1036, b"STALETHUMB")
    segment = b"\xff\xed" + struct.pack(">H", len(body) + 2) + body
    source = pil_bytes(
        Image.fromarray(smooth()),
        "jpeg",
        subsampling=2,
        progressive=True,
        comment=b"hello",
        extra=segment,
    )
    photo = read_photo(source)
    data = encode_photo(photo)
    again = opened(data)
    assert again.layer == opened(source).layer
    assert again.info["progressive"]
    assert again.info["comment"] == b"hello"
    assert b"CAPTION" in data
    assert b"STALETHUMB" not in data


def test_metadata_too_long_for_a_jpeg_is_reported_as_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    photo = read_photo(pil_bytes(Image.fromarray(smooth()), "png"))
    photo.xmp, photo.exif = b"x" * 70_000, exif_of() + bytes(70_000)
    assert "exif" not in opened(encode_photo(photo, "jpeg")).info
    assert "EXIF of" in caplog.text
    assert "XMP of" in caplog.text


def test_other_parts_of_a_jpeg_are_reported_as_left_out(caplog: pytest.LogCaptureFixture) -> None:
    def segment(kind: int, body: bytes) -> bytes:
        return b"\xff" + bytes([kind]) + struct.pack(">H", len(body) + 2) + body

    plain = pil_bytes(Image.fromarray(smooth()), "jpeg", comment=b"hello")
    read_photo(plain)
    assert not caplog.messages
    more = (
        segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(40)),
        segment(0xE2, b"MPF\0" + bytes(40)),
        segment(0xEB, b"JP" + bytes(40)),
        segment(0xFE, b"another"),
    )
    video = b"\0\0\0\x18ftypmp42" + bytes(500)
    read_photo(plain[:2] + b"".join(more) + plain[2:] + video)
    assert len(caplog.messages) == 5
    for word in ("comments", "gain map", "XMP", "credentials", "video"):
        assert word in caplog.text


def test_metadata_that_a_format_cannot_hold_is_reported_as_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    photo = read_photo(pil_bytes(Image.fromarray(smooth()), "png", icc_profile=srgb_profile()))
    encode_photo(photo, "webp")
    assert not caplog.messages
    photo.comment, photo.photoshop = b"hello", resource(1028, b"\x1cowl") + resource(1005, b"odd")
    photo.chunks = ((b"sRGB", b"\0"), (b"tEXt", b"Title\0Owl"))
    encode_photo(photo, "bmp")
    encode_photo(photo, "tiff")
    assert caplog.messages == [
        "IPTC, Photoshop resources, comment, PNG text cannot be kept in BMP",
        "comment, PNG text cannot be kept in TIFF",
    ]


@pytest.mark.parametrize(
    ("name", "format_name", "lost"),
    [
        ("rgb16+alpha", "jpeg", "16-bit depth, transparency"),
        ("rgb16+alpha", "webp", "16-bit depth"),
        ("grey16", "tiff", ""),
        ("grey+alpha", "jpeg", "transparency"),
        ("palette+alpha", "webp", ""),
        ("cmyk", "png", "CMYK"),
        ("cmyk", "jpeg", ""),
        ("1 bit", "jpeg", ""),
    ],
)
def test_what_another_format_takes_from_the_picture_is_reported(
    name: str, format_name: str, lost: str, caplog: pytest.LogCaptureFixture
) -> None:
    encode_photo(read_photo(SOURCES[name]()), format_name)
    said = [f"{lost} cannot be kept in {format_name.upper()}"] if lost else []
    assert caplog.messages == said


def test_an_opaque_alpha_is_no_loss_and_the_profile_of_grey_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    opaque = np.full(smooth().shape[:2], 255, np.uint8)
    encode_photo(Photo(smooth(), opaque, "png", "rgb"), "jpeg")
    assert not caplog.messages, "nothing is lost"
    grey = Photo(smooth(), None, "png", "grey", icc=grey_profile())
    encode_photo(grey, "webp")
    assert caplog.messages == ["the grey profile cannot be kept in WEBP"]


@pytest.mark.parametrize("header", [14, 0], ids=["bmp", "dib"])
@pytest.mark.parametrize("name", ["grey", "rgb", "rgb+alpha", "palette", "1 bit"])
def test_the_profile_of_a_bmp_is_kept(name: str, header: int) -> None:
    photo = read_photo(SOURCES[name]())
    plain = encode_photo(photo, "bmp")
    photo.icc = srgb_profile()
    data = encode_photo(photo, "bmp")
    assert data[14] == 124
    assert data.endswith(photo.icc)
    np.testing.assert_array_equal(np.asarray(opened(data)), np.asarray(opened(plain)))
    again = read_photo(data[14 - header :])
    assert again.icc == photo.icc
    assert read_photo(encode_photo(again)).icc == photo.icc
    for damaged in (data[:-1], data.replace(b"DEBM", b"KNIL")):
        assert read_photo(damaged[14 - header :]).icc is None


@pytest.mark.parametrize(
    ("place", "number"),
    [(126, 0), (126, 0xFFFFFFFF), (130, 0), (130, 0xFFFFFFFF)],
    ids=["in the header", "after the end", "empty", "too long"],
)
def test_a_damaged_profile_of_a_bmp_is_reported_as_left_out(
    caplog: pytest.LogCaptureFixture, place: int, number: int
) -> None:
    data = bytearray(encode_photo(Photo(smooth(), None, "bmp", "rgb", icc=srgb_profile())))
    struct.pack_into("<I", data, place, number)
    photo = read_photo(bytes(data))
    np.testing.assert_array_equal(photo.pixels, smooth())
    assert photo.icc is None
    assert caplog.messages == ["the BMP's profile is damaged or too long and left out"]


def test_a_deep_geotiff_reports_no_loss(caplog: pytest.LogCaptureFixture) -> None:
    absurd = ifd.Value(2, 6, b"-9999\0")
    photo = read_photo(with_values(deep_tiff(noise(bits=16)), {42113: absurd}))
    assert photo.geotiff is not None
    assert not caplog.messages


def test_geotiff_tags_are_kept_only_in_a_tiff(caplog: pytest.LogCaptureFixture) -> None:
    scale = ifd.Value(12, 3, struct.pack("<3d", 0.5, 0.5, 0))
    artist = ifd.Value(2, 6, b"Ansel\0")
    source = with_values(pil_bytes(Image.fromarray(smooth()), "tiff"), {33550: scale, 315: artist})
    photo = read_photo(source)
    again = read_photo(encode_photo(photo))
    assert opened(encode_photo(again)).tag_v2[33550] == (0.5, 0.5, 0)
    assert not caplog.messages
    exif = opened(encode_photo(photo, "jpeg")).getexif()
    assert (exif.get(315), exif.get(33550)) == ("Ansel", None)
    assert caplog.messages == ["GeoTIFF cannot be kept in JPEG"]


def test_a_profile_goes_only_where_its_colours_go() -> None:
    cmyk = read_photo(SOURCES["cmyk"]())
    assert read_photo(encode_photo(cmyk, "png")).icc is None
    assert read_photo(encode_photo(cmyk, "jpeg")).icc == cmyk.icc
    grey = Photo(smooth(), None, "png", "grey", icc=grey_profile())
    assert read_photo(encode_photo(grey, "png")).icc == grey.icc
    assert read_photo(encode_photo(grey, "webp")).icc is None
