"""TIFFs of several pages: every page is read by itself, and all are joined again."""

from __future__ import annotations

import io
import logging

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from baryir_cli.images import Binder, ImageError, count_pages, encode_photo, read_photo
from tests.baryir_cli.images.samples import (
    cmyk_profile,
    deep_tiff,
    noise,
    pil_bytes,
    smooth,
    srgb_profile,
    with_tags,
)


def joined(*pages: bytes) -> bytes:
    out = io.BytesIO()
    binder = Binder(out)
    for page in pages:
        binder.add(page)
    return out.getvalue()


def chain(*pages: np.ndarray, **options: object) -> bytes:
    """Pages written by tifffile, each with its own entry of every option."""
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as tiff:
        for number, page in enumerate(pages):
            tiff.write(page, **{name: values[number] for name, values in options.items()})
    return out.getvalue()


def mixed() -> list[Image.Image]:
    rgb = Image.fromarray(smooth())
    bilevel = Image.fromarray(smooth(21, 40)[..., 0] > 128)
    return [rgb.convert("CMYK"), bilevel, rgb.quantize(200), rgb, rgb.convert("L")]


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_every_page_is_read_like_a_file_of_its_own(compression: str) -> None:
    first, *others = mixed()
    options = {"compression": compression, "icc_profile": cmyk_profile()}
    source = pil_bytes(first, "tiff", save_all=True, append_images=others, **options)
    assert count_pages(source) == 5
    for number, image in enumerate(mixed()):
        found = read_photo(source, page=number)
        alone = read_photo(pil_bytes(image, "tiff", **options))
        np.testing.assert_array_equal(found.pixels, alone.pixels)
        assert (found.layout, found.page) == (alone.layout, number)


def test_a_page_has_no_profile_of_another() -> None:
    """The first page's would change the colours of the second."""
    inks = noise(channels=4)
    profile = [(34675, 7, len(cmyk_profile()), cmyk_profile(), True)]
    source = chain(inks, inks, photometric=["separated"] * 2, extratags=[profile, []])
    alone = chain(inks, photometric=["separated"])
    second = read_photo(source, page=1)
    assert second.icc is None
    np.testing.assert_array_equal(second.pixels, read_photo(alone).pixels)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_pages_of_sixteen_bits_are_read(compression: str | None) -> None:
    data = [noise(bits=16), noise(20, 30, 1, bits=16)[..., 0], noise()]
    kinds = ["rgb", "minisblack", "rgb"]
    source = chain(*data, photometric=kinds, compression=[compression] * 3)
    for number, page in enumerate(data):
        pixels = read_photo(source, page=number).pixels
        assert pixels.dtype == page.dtype
        shown = page if page.ndim == 3 else page[..., None]
        np.testing.assert_array_equal(pixels, np.broadcast_to(shown, pixels.shape))


def test_pages_that_opencv_reads_are_read_each() -> None:
    data = [noise(bits=16), noise(20, 30, bits=16) // 2]
    _, source = cv2.imencodemulti(
        ".tif", [page[..., ::-1].copy() for page in data], [cv2.IMWRITE_TIFF_COMPRESSION, 5]
    )
    for number, page in enumerate(data):
        np.testing.assert_array_equal(read_photo(source.tobytes(), page=number).pixels, page)


@pytest.mark.parametrize("tag", [(254, 1), (255, 2)], ids=["new", "old"])
def test_thumbnails_are_no_pages(tag: tuple[int, int]) -> None:
    pages, small = [noise(), noise() // 2], noise(4, 6)
    thumbnail = [(tag[0], 3, 1, tag[1], True)]
    source = chain(
        pages[0], small, pages[1], photometric=["rgb"] * 3, extratags=[[], thumbnail, []]
    )
    assert count_pages(source) == 2
    np.testing.assert_array_equal(read_photo(source, page=1).pixels, pages[1])


@pytest.mark.parametrize(
    ("kind", "match"), [(4, "transparency mask beside its pictures"), (16, "kind 16")]
)
def test_images_that_are_no_pages_are_refused(kind: int, match: str) -> None:
    data = [noise(), noise()[..., 0] > 128]
    source = chain(*data, photometric=["rgb", "minisblack"], subfiletype=[0, kind])
    for read in (count_pages, read_photo):
        with pytest.raises(ImageError, match=match):
            read(source)


@pytest.mark.parametrize(
    ("page", "match"),
    [
        (noise(40, 40), "page 2: announces 40 x 40 pixels"),
        (noise().astype("f4"), "page 2: has 32-bit floating"),
    ],
)
def test_a_page_that_cannot_be_read_is_found_before_any_is_decoded(
    page: np.ndarray, match: str
) -> None:
    source = chain(noise(), page, photometric=["rgb"] * 2)
    with pytest.raises(ImageError, match=match):
        count_pages(source, max_megapixels=0.00159)


def test_other_formats_have_one_page() -> None:
    assert count_pages(pil_bytes(mixed()[3], "png")) == 1
    assert count_pages(b"no image") == 1


def test_joined_pages_keep_what_each_has() -> None:
    icc = srgb_profile()
    tags = [(315, 2, 0, "Ansel", True), (285, 2, 0, "recto", True), (34675, 7, len(icc), icc, True)]
    tagged = deep_tiff(noise(bits=16), resolution=(300, 300), resolutionunit="INCH", extratags=tags)
    turned = with_tags(pil_bytes(mixed()[4], "tiff"), {274: 6})
    photos = [read_photo(page) for page in (tagged, turned, pil_bytes(mixed()[1], "tiff"))]
    source = joined(*(encode_photo(photo) for photo in photos))
    for number, photo in enumerate(photos):
        page = read_photo(source, page=number)
        np.testing.assert_array_equal(page.pixels, photo.pixels)
        assert (page.layout, page.icc, page.dpi) == (photo.layout, photo.icc, photo.dpi)
    with tifffile.TiffFile(io.BytesIO(source)) as tiff:
        assert [page.tags["NewSubfileType"].value for page in tiff.pages] == [2, 2, 2]
        assert tiff.pages[0].tags["Artist"].value == "Ansel"
        assert tiff.pages[0].tags["PageName"].value == "recto"
        assert "Artist" not in tiff.pages[1].tags


def test_pages_of_more_than_four_gibibytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    page = encode_photo(read_photo(pil_bytes(mixed()[3], "tiff")))
    monkeypatch.setattr("baryir_cli.images.tiff._LARGEST_OFFSET", 2 * len(page) - 10)
    with pytest.raises(ValueError, match="larger than 4 GiB; split it"):
        joined(page, page)


def test_tifffile_and_pillow_read_joined_pages_without_a_complaint(
    caplog: pytest.LogCaptureFixture,
) -> None:
    photos = [read_photo(pil_bytes(image, "tiff")) for image in mixed()]
    source = joined(*(encode_photo(photo) for photo in photos))
    with caplog.at_level(logging.WARNING), tifffile.TiffFile(io.BytesIO(source)) as tiff:
        assert len([page.asarray() for page in tiff.pages]) == 5
    assert not caplog.messages
    image = Image.open(io.BytesIO(source))
    modes = []
    for number in range(5):
        image.seek(number)
        image.load()
        modes.append(image.mode)
    assert modes == ["CMYK", "1", "P", "RGB", "L"]
