"""The HTML page: what it contains, and how it works in a browser."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from baryir_cli.evaluation.boxplot import Box, box_plot
from tests.baryir_cli.browser import Browser, chromium
from tests.conftest import Run

NAME = "<i>&\"'"
"""A file name that the page must not take for markup."""


@pytest.fixture
def page(baryir: Run, tiny_weights: Path, tmp_path: Path) -> Path:
    """The page of a set with an awkward file name."""
    for side, offset in (("low", 0), ("high", 9)):
        folder = tmp_path / "lowlight" / side
        folder.mkdir(parents=True)
        for number, name in enumerate(["a", "b", "c", NAME]):
            rng = np.random.default_rng(number + offset)
            pixels = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{name}.png")
    path = tmp_path / "page.html"
    arguments = ["--bench", "5d", "--sets", "lol-v1", "--data", tmp_path, "--html", path]
    assert baryir("eval", *arguments, "--weights", tiny_weights, "--device", "cpu") == 0
    return path


def test_the_page_is_self_contained(page: Path) -> None:
    text = page.read_text()
    assert not re.search(r"""(src|href)=["'](?!data:)""", text)
    assert "http" not in text.replace("http-equiv", "")
    assert "@import" not in text
    assert "<i>" not in text
    assert text.count('class="slider"') == 3
    for rank in ("best", "median", "worst"):
        assert f"<b>{rank}</b>" in text
    assert text.count("<svg") == 2


@pytest.mark.parametrize("spread", [0.0, 0.001, 0.02, 1.0, 30.0])
def test_ticks_have_different_labels(spread: float) -> None:
    values = np.linspace(30 - spread, 30, 5)
    plot = box_plot("PSNR", [Box("restored", values, list("abcde"))], digits=2)
    labels = re.findall(r'class="tick"[^>]*>([^<]*)<', plot)
    assert 1 <= len(labels) == len(set(labels)) <= 10


@pytest.mark.skipif(chromium() is None, reason="Chromium is not installed")
def test_the_page_works_in_a_browser(page: Path) -> None:
    program = chromium()
    assert program is not None
    with Browser(program) as browser:
        browser.open(page)
        assert browser.named("Runtime.exceptionThrown") == []
        assert browser.named("Log.entryAdded") == []
        assert browser.named("Runtime.consoleAPICalled") == []
        urls = [r["request"]["url"] for r in browser.named("Network.requestWillBeSent")]
        asked = [u for u in urls if not u.startswith("data:")]
        assert [u for u in asked if u not in ("about:blank", page.as_uri())] == []
        assert browser.evaluate(
            "[...document.images].every(i => i.complete && i.naturalWidth === 64)"
        )
        assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")

        cut = "getComputedStyle(document.querySelector('.before')).clipPath"
        before = browser.evaluate(cut)
        box = browser.evaluate(
            "(r => [r.x, r.y, r.width, r.height])"
            "((document.querySelector('.slider').scrollIntoView({behavior: 'instant'}),"
            " document.querySelector('.slider')).getBoundingClientRect())"
        )
        x, y, width, height = box
        place = {"x": x + 0.8 * width, "y": y + height / 2, "button": "left", "clickCount": 1}
        browser.call("Input.dispatchMouseEvent", type="mousePressed", **place)
        browser.call("Input.dispatchMouseEvent", type="mouseReleased", **place)
        value = float(browser.evaluate("document.querySelector('.slider input').value"))
        assert value == pytest.approx(80, abs=2)
        assert browser.evaluate(cut) != before

        browser.evaluate("document.querySelector('.slider input').focus()")
        for kind in ("keyDown", "keyUp"):
            browser.call(
                "Input.dispatchKeyEvent", type=kind, key="ArrowRight", windowsVirtualKeyCode=39
            )
        after = float(browser.evaluate("document.querySelector('.slider input').value"))
        assert after == pytest.approx(value + 1)

        phone = {"width": 320, "height": 640, "deviceScaleFactor": 1, "mobile": False}
        browser.call("Emulation.setDeviceMetricsOverride", **phone)
        assert browser.evaluate("document.documentElement.scrollWidth <= 320")
        # The drawing shrinks to the phone's width, and its letters with it.
        shrunk = "parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a"
        assert browser.evaluate(
            f"[...document.querySelectorAll('.boxes text')].every(text => {shrunk} >= 8)"
        )

        colours = []
        for scheme in ("light", "dark"):
            features = [{"name": "prefers-color-scheme", "value": scheme}]
            browser.call("Emulation.setEmulatedMedia", features=features)
            colours.append(
                json.dumps(
                    browser.evaluate(
                        "(s => [s.color, s.backgroundColor])(getComputedStyle(document.body))"
                    )
                )
            )
        assert colours[0] != colours[1]
