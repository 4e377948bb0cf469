"""``baryir eval`` from the command line."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import zlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor, nn

from baryir_cli.benches import FoundSet, Item
from baryir_cli.engine.device import resolve_precision
from baryir_cli.evaluation import score
from baryir_cli.evaluation.complexity import multiply_accumulates
from baryir_cli.evaluation.progress import EvaluationDisplay
from baryir_cli.metrics import MetricUnavailable, scorer
from models.blocks import MDTA
from models.network import BaryIR
from models.presets import preset
from tests.baryir_cli.helpers import picture
from tests.conftest import Run


def put(path: Path, seed: int, **size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed=seed, **size).save(path)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def add_images(root: Path, numbers: Iterable[int]) -> None:
    for number in numbers:
        put(root / "denoise" / "bsd68" / f"{number}.png", number)
        put(root / "lowlight" / "low" / f"{number}.png", number)
        put(root / "lowlight" / "high" / f"{number}.png", number + 10)
        put(root / "deblur" / "input" / f"{number}.png", number)
        put(root / "deblur" / "target" / f"{number}.png", number + 20)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three of five sets: parts of BSD68 and LOL-v1, and a stand-in for GoPro."""
    root = tmp_path / "data"
    add_images(root, range(3))
    entry = {"name": "our blur", "stands_for": "GoPro", "official_count": 1111}
    (root / "deblur" / "set.json").write_text(json.dumps(entry))
    return root


@pytest.fixture
def evaluate(baryir: Run, tiny_weights: Path) -> Run:
    def call(*arguments: object) -> int:
        restores = {"--bench", "--input", "--target", "--complexity"} & set(arguments)
        engine = ("--weights", tiny_weights, "--device", "cpu")
        computes = restores and not {"--restored", "--export"} & set(arguments)
        return baryir("eval", *(engine if computes else ()), *arguments)

    return call


class MeanDistance:
    """A metric of whole sets without weights: the distance of the mean features."""

    def features(self, image: np.ndarray) -> np.ndarray:
        return np.full(2048, image.mean())

    def distance(self, a: np.ndarray, b: np.ndarray) -> float:
        return float(abs(a.mean() - b.mean()))


@pytest.fixture
def some_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """FID, NIQE and PIQE that need no weights, and no LPIPS."""

    def make(name: str, device: str = "cpu", *, download: bool = True) -> Any:
        if name == "fid":
            return MeanDistance()
        if name in ("niqe", "piqe"):
            return lambda image, _target: float(image.mean())
        if name == "lpips":
            raise MetricUnavailable("no network here; try again with one")
        return scorer(name, device)

    monkeypatch.setattr(score, "scorer", make)


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def test_bench_5d_reports_sets_gaps_and_the_papers_figures(
    evaluate: Run, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    reports = {kind: tmp_path / "reports" / f"r.{kind}" for kind in ("json", "csv", "markdown")}
    options = [argument for kind, path in reports.items() for argument in (f"--{kind}", path)]
    assert evaluate("--bench", "5d", "--data", data, *options) == 0
    said = capsys.readouterr()
    for text in (
        "BSD68 sigma 25  3 of 68",
        "our blur stands in for GoPro",
        "SOTS is missing: put it in",
        "Rain100L is missing",
        "no average",
        "31.43",  # the paper's BaryIR on BSD68
    ):
        assert text in said.out
    assert "29.51" not in said.out  # the paper's BaryIR on GoPro, which is not here
    assert "30.72" not in said.out  # its average
    assert "our blur: 3 of 3" in said.err
    run = read(reports["json"])
    assert [s["label"] for s in run["sets"]] == ["BSD68 sigma 25", "our blur", "LOL-v1"]
    assert run["settings"]["weights"]["sha256"]
    usual = resolve_precision("auto", torch.device("cpu"))
    assert (run["settings"]["tile"], run["settings"]["precision"]) == ("auto", usual)
    image = run["sets"][2]["images"][0]
    low, high = (pixels(data / "lowlight" / side / "0.png") for side in ("low", "high"))
    assert image["input"]["psnr"] == pytest.approx(peak_signal_noise_ratio(high, low))
    rows = list(csv.DictReader(reports["csv"].read_text().splitlines()))
    assert len(rows) == 9
    assert float(rows[6]["input_psnr"]) == pytest.approx(image["input"]["psnr"], abs=1e-6)
    assert "| LOL-v1 | 3 of 15 | PSNR |" in reports["markdown"].read_text()


def test_a_complete_bench_is_averaged(
    evaluate: Run,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    from baryir_cli.benches import bench

    # As many as an interval needs.
    add_images(data, (3, 4))
    which = bench("levels")
    sets = tuple(replace(s, official=5) for s in which.sets if s.id.startswith("bsd68"))
    shorter = replace(which, sets=sets, metrics=("psnr",))
    monkeypatch.setattr("baryir_cli.benches.bench", lambda _name: shorter)
    monkeypatch.setattr("baryir_cli.evaluation.summary.bench", lambda _name: shorter)
    assert evaluate("--bench", "levels", "--data", data, "--json", tmp_path / "r.json") == 0
    lines = read(tmp_path / "r.json")["summary"]["lines"]
    assert lines[3]["set"] == "average of 3"
    assert lines[3]["restored"] == pytest.approx(np.mean([x["restored"] for x in lines[:3]]))
    low, high = lines[3]["interval"]
    assert low <= lines[3]["restored"] <= high
    assert "no average" not in capsys.readouterr().out


def test_a_bench_without_a_common_metric_is_not_averaged(
    evaluate: Run, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    from baryir_cli.benches import bench

    which = bench("levels")
    one, two, *_ = (replace(s, official=3) for s in which.sets if s.id.startswith("bsd68"))
    without = replace(two, clean=None, reference=False)
    other = replace(which, sets=(one, without), metrics=("psnr", "niqe"))
    monkeypatch.setattr("baryir_cli.benches.bench", lambda _name: other)
    monkeypatch.setattr("baryir_cli.evaluation.summary.bench", lambda _name: other)
    assert evaluate("--bench", "levels", "--data", data) == 0
    assert "no average: no metric covers every set" in capsys.readouterr().out


def test_eval_restores_as_restore_does(
    evaluate: Run, baryir: Run, tiny_weights: Path, data: Path, tmp_path: Path
) -> None:
    low, high = data / "lowlight" / "low", data / "lowlight" / "high"
    out, one, two = tmp_path / "out", tmp_path / "1.json", tmp_path / "2.json"
    assert baryir("restore", low, out, "--weights", tiny_weights, "--device", "cpu") == 0
    assert evaluate("--input", low, "--target", high, "--json", one) == 0
    assert evaluate("--restored", out, "--target", high, "--json", two) == 0
    first, second = (read(path)["sets"][0]["images"] for path in (one, two))
    assert [i["restored"] for i in first] == [i["restored"] for i in second]
    assert [i["crc32"]["restored"] for i in first] == [i["crc32"]["restored"] for i in second]
    assert second[0]["input"] == {}


@pytest.mark.usefixtures("some_metrics")
def test_a_folder_without_targets_takes_only_metrics_that_need_none(
    evaluate: Run, data: Path, capsys: pytest.CaptureFixture
) -> None:
    low = data / "lowlight" / "low"
    for metrics in ([], ["--metrics", "niqe,piqe"]):
        assert evaluate("--input", low, *metrics) == 0
        said = capsys.readouterr()
        assert "NIQE" in said.out
        assert "PSNR" not in said.out
        assert ("--target FOLDER" in said.err) == (not metrics)
    for asked, lacking in (("psnr,fid", "PSNR, FID need"), ("psnr,niqe", "PSNR needs")):
        assert evaluate("--input", low, "--metrics", asked) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line == (
            f"baryir: low has no targets, which {lacking}: "
            "give --target FOLDER, or use --metrics niqe,piqe"
        )


@pytest.mark.usefixtures("some_metrics")
def test_unavailable_metrics_are_named(
    evaluate: Run, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    put(data / "underwater" / "input" / "1.png", 1)
    put(data / "underwater" / "input" / "2.png", 2)
    put(data / "underwater" / "target" / "1.png", 3)
    put(data / "underwater" / "target" / "2.png", 4)
    assert evaluate("--bench", "ood", "--data", data, "--json", tmp_path / "r.json") == 0
    out = capsys.readouterr().out
    assert "not computed" in out
    assert "LPIPS is not computed: no network here; try again with one" in out
    assert "BSD68 JPEG 10 stands in for BSD500 JPEG 10" in out
    jpeg, uieb = read(tmp_path / "r.json")["sets"]
    target = np.mean([pixels(data / "underwater" / "target" / f"{n}.png").mean() for n in (1, 2)])
    before = np.mean([pixels(data / "underwater" / "input" / f"{n}.png").mean() for n in (1, 2)])
    assert uieb["whole"]["fid"]["input"] == pytest.approx(abs(before - target))
    assert jpeg["stands_for"] == "BSD500 JPEG 10"


def spoilt(data: Path, how: str) -> str:
    """Spoils one image of LOL-v1 and returns the message that must name it."""
    low, high = data / "lowlight" / "low", data / "lowlight" / "high"
    if how == "unpaired":
        (high / "1.png").unlink()
        return "1.png has no partner"
    if how == "size":
        put(high / "1.png", 1, height=25)
        return "differ in size: 32 x 24 and 32 x 25"
    if how == "unreadable":
        whole = (low / "1.png").read_bytes()
        (low / "1.png").write_bytes(whole[: len(whole) // 2])
        return "1.png cannot be decoded"
    (low / "1.png").write_text("no image")
    return "1.png is not a PNG"


@pytest.mark.parametrize("how", ["unpaired", "size", "unreadable", "text"])
def test_bad_files_are_named_and_not_averaged_over(
    evaluate: Run, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture, how: str
) -> None:
    said = spoilt(data, how)
    arguments = ["--bench", "5d", "--data", data, "--sets", "lol-v1", "--json", tmp_path / "r"]
    code = evaluate(*arguments)
    shown = capsys.readouterr()
    assert said in shown.err
    assert code == (1 if how == "unpaired" else 3)
    if code == 3:
        (psnr, _) = read(tmp_path / "r")["summary"]["lines"]
        assert psnr["restored"] is None
        assert "nothing is averaged" in shown.out
    assert evaluate(*arguments, "--allow-missing", "--overwrite") == 0
    shown = capsys.readouterr()
    assert said in shown.out
    assert "2 of 15, 1 left out" in shown.out
    run = read(tmp_path / "r")
    values = [image["restored"]["psnr"] for image in run["sets"][0]["images"]]
    assert len(values) == 2
    assert run["summary"]["lines"][0]["restored"] == pytest.approx(np.mean(values))


def test_all_formats_that_can_be_restored_are_evaluated(evaluate: Run, tmp_path: Path) -> None:
    for folder, format_name in (("a", "avif"), ("b", "jp2")):
        (tmp_path / folder).mkdir()
        for name in ("x", "y"):
            image = picture(40, 32).convert("L")
            image.save(tmp_path / folder / f"{name}.{format_name}", quality=90)
    folders = ("--restored", tmp_path / "a", "--target", tmp_path / "b")
    assert evaluate(*folders, "--metrics", "psnr", "--json", tmp_path / "r.json") == 0
    (line,) = read(tmp_path / "r.json")["summary"]["lines"]
    assert line["images"] == "2"
    assert line["restored"] > 30


def test_an_empty_folder_is_refused(
    evaluate: Run, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "a").mkdir()
    put(tmp_path / "b" / "1.png", 1)
    assert evaluate("--input", tmp_path / "a") == 2
    assert f"--input: no images in {tmp_path / 'a'}" in capsys.readouterr().err
    assert evaluate("--input", tmp_path / "b", "--target", tmp_path / "a", "--allow-missing") == 2
    assert f"--target: no images in {tmp_path / 'a'}" in capsys.readouterr().err


def test_a_run_without_usable_pairs_fails(
    evaluate: Run, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    put(tmp_path / "a" / "1.png", 1)
    put(tmp_path / "b" / "2.png", 2)
    folders = ["--input", tmp_path / "a", "--target", tmp_path / "b", "--allow-missing"]
    assert evaluate(*folders) == 1
    assert "nothing is left to evaluate" in capsys.readouterr().err
    put(tmp_path / "b" / "1.png", 2, height=25)
    assert evaluate(*folders) == 1
    shown = capsys.readouterr().out
    assert "nothing is averaged" in shown
    assert "averaged without" not in shown


@pytest.mark.usefixtures("some_metrics")
def test_a_set_with_a_gap_has_no_figure_of_the_whole(
    evaluate: Run, data: Path, tmp_path: Path
) -> None:
    spoilt(data, "unreadable")
    arguments = ["--bench", "5d", "--data", data, "--sets", "lol-v1", "--metrics", "psnr,fid"]
    arguments += ["--json", tmp_path / "r", "--html", tmp_path / "page.html"]
    assert evaluate(*arguments) == 3
    assert read(tmp_path / "r")["sets"][0]["whole"] == {}
    assert "<svg" not in (tmp_path / "page.html").read_text()  # its cross is the mean
    assert evaluate(*arguments, "--allow-missing", "--overwrite") == 0
    assert read(tmp_path / "r")["sets"][0]["whole"]["fid"]["restored"] > 0
    assert "<svg" in (tmp_path / "page.html").read_text()


def test_fid_needs_two_images(
    evaluate: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from baryir_cli.metrics.fid import frechet_distance

    whole = MeanDistance()
    monkeypatch.setattr(whole, "distance", frechet_distance, raising=False)
    monkeypatch.setattr(score, "scorer", lambda *_: whole)
    put(tmp_path / "a" / "1.png", 1)
    put(tmp_path / "b" / "1.png", 2)
    assert evaluate("--restored", tmp_path / "a", "--target", tmp_path / "b", "--metrics=fid") == 0
    assert "FID is not computed: FID needs at least two images" in capsys.readouterr().out


def on_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes rich treat standard output as a terminal of that many columns."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(columns))


def plain_lines(text: str) -> list[str]:
    return [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in text.splitlines()]


@pytest.mark.parametrize("columns", [110, 80, 60])
def test_no_figure_is_broken_on_a_narrow_terminal(
    evaluate: Run,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    columns: int,
) -> None:
    add_images(data, (3, 4))
    entry = {"name": "camera-shake blur on CID22", "stands_for": "GoPro"}
    (data / "deblur" / "set.json").write_text(json.dumps(entry))
    on_terminal(columns, monkeypatch)
    assert evaluate("--bench", "5d", "--data", data, "--sets", "lol-v1,gopro") == 0
    lines = plain_lines(capsys.readouterr().out)
    table = lines[: lines.index("The paper's table")]
    assert max(map(len, table)) <= columns
    figure = r" +-?\d\.\d{4}"
    whole = re.compile(f"SSIM{figure}{figure}{figure} to{figure}")
    assert len([line for line in table if whole.search(line)]) == 2
    assert any("camera-shake" in line for line in table)


def test_a_terminal_without_bars_gets_lines(
    evaluate: Run, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Such as the shell inside Emacs."""
    on_terminal(80, monkeypatch)
    monkeypatch.setenv("TERM", "dumb")
    assert (
        evaluate("--input", data / "lowlight" / "low", "--target", data / "lowlight" / "high") == 0
    )
    assert "low: 3 of 3" in plain_lines(capsys.readouterr().err)


def test_own_folders_are_not_compared_with_the_paper(
    evaluate: Run, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    folders = ["--input", data / "lowlight" / "low", "--target", data / "lowlight" / "high"]
    page, document = tmp_path / "r.html", tmp_path / "r.md"
    assert evaluate(*folders, "--html", page, "--markdown", document) == 0
    for text in (capsys.readouterr().out, document.read_text(), page.read_text()):
        assert "restored" in text
        assert "paper" not in text.replace("--paper", "").replace(".paper", "")


@pytest.mark.usefixtures("some_metrics")
def test_the_paper_is_not_mentioned_without_a_common_metric(
    evaluate: Run, data: Path, capsys: pytest.CaptureFixture
) -> None:
    chosen = ("--sets", "lol-v1", "--metrics", "niqe")
    assert evaluate("--bench", "5d", "--data", data, *chosen) == 0
    assert "BaryIR (Restormer)" not in capsys.readouterr().out


def test_a_report_on_standard_output_replaces_the_table(
    evaluate: Run,
    two_equal: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    folders = ["--restored", two_equal.parent / "a", "--target", two_equal.parent / "b"]
    assert evaluate(*folders, "--json", "-", "--csv", "r.csv") == 0
    assert json.loads(capsys.readouterr().out)["sets"] == read(two_equal)["sets"]
    assert evaluate("--compare", two_equal, two_equal, "--markdown", "-") == 0
    assert capsys.readouterr().out.startswith("## Comparison\n")
    assert evaluate(*folders, "--json", "-", "--csv", "-") == 2
    assert "--json and --csv name the same file, -" in capsys.readouterr().err
    assert not (tmp_path / "-").exists()


AWKWARD = ["a,b", "new\nline", "\x1b[31mred", "<b>*x*</b> |", "[red]", "=1+2", "\udcff"]
"""Stems that mean something to a spreadsheet, Markdown, HTML or a terminal."""


def test_awkward_names_are_harmless_in_every_report(
    evaluate: Run, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for number, name in enumerate(AWKWARD):
        for side in ("a", "b"):
            # Pillow will not write a name that is not Unicode.
            put(tmp_path / side / "new.png", number, height=24 if side == "a" else 25)
            (tmp_path / side / "new.png").rename(tmp_path / side / f"{name.replace('/', '')}.png")
    for side in ("a", "b"):
        put(tmp_path / side / "fine.png", 50)
    reports = {kind: tmp_path / f"r.{kind}" for kind in ("json", "csv", "markdown", "html")}
    options = [argument for kind, path in reports.items() for argument in (f"--{kind}", path)]
    folders = ["--restored", tmp_path / "a", "--target", tmp_path / "b"]
    assert evaluate(*folders, "--allow-missing", *options) == 0
    shown = capsys.readouterr()
    assert "\x1b" not in shown.out + shown.err
    assert "new\\nline" in shown.err
    markdown = reports["markdown"].read_text()
    assert "<b>" not in markdown.replace("\\<b>", "")
    assert markdown.count("\n- ") == 1
    assert json.loads(reports["json"].read_text())["sets"][0]["problems"]


def test_names_that_are_not_unicode_are_evaluated(evaluate: Run, tmp_path: Path) -> None:
    for number, folder in enumerate(["denoise/bsd68", "lowlight/low", "lowlight/high"]):
        for name in ("a", "\udcff"):
            put(tmp_path / folder / "new.png", number)
            (tmp_path / folder / "new.png").rename(tmp_path / folder / f"{name}.png")
    reports = {kind: tmp_path / f"r.{kind}" for kind in ("json", "csv", "markdown", "html")}
    options = [argument for kind, path in reports.items() for argument in (f"--{kind}", path)]
    run = ["--bench", "5d", "--data", tmp_path, "--save", tmp_path / "save", *options]
    assert evaluate(*run) == 0
    rows = list(csv.DictReader(reports["csv"].read_text().splitlines()))
    assert [row["image"] for row in rows] == ["a", "\\udcff"] * 2
    assert evaluate("--compare", reports["json"], reports["json"]) == 0


def test_an_image_too_small_for_a_metric_is_named(
    evaluate: Run, data: Path, capsys: pytest.CaptureFixture
) -> None:
    for side in ("low", "high"):
        put(data / "lowlight" / side / "2.png", 5, height=5)
    folders = ["--input", data / "lowlight" / "low", "--target", data / "lowlight" / "high"]
    assert evaluate(*folders) == 0
    out = capsys.readouterr().out
    assert "SSIM is not computed: 2:" in out
    assert out.count("not computed") == 2


def test_a_metric_may_be_missing_for_an_input_alone(
    evaluate: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    put(tmp_path / "in" / "dark.png", 1)

    def niqe(image: np.ndarray, _target: object) -> float:
        if np.array_equal(image, pixels(tmp_path / "in" / "dark.png")):
            raise ValueError("no structure")
        return 7.25

    monkeypatch.setattr(score, "scorer", lambda *_, **__: niqe)
    assert evaluate("--input", tmp_path / "in", "--metrics", "niqe") == 0
    out = capsys.readouterr().out
    assert re.search(r"NIQE +- +7\.25", out)
    assert "NIQE is not computed: dark: for the input, no structure" in " ".join(out.split())


def counting(monkeypatch: pytest.MonkeyPatch, stop_after: int | None = None) -> list[int]:
    """Counts restorations; Ctrl-C comes after ``stop_after`` of them."""
    from baryir_cli.engine import Engine

    calls: list[int] = []
    original: Callable[..., Any] = Engine.restore

    def restore(self: Engine, *arguments: Any, **options: Any) -> Any:
        if len(calls) == stop_after:
            raise KeyboardInterrupt
        calls.append(1)
        return original(self, *arguments, **options)

    monkeypatch.setattr(Engine, "restore", restore)
    return calls


def test_a_stopped_run_continues(
    evaluate: Run, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    save, whole, resumed = tmp_path / "save", tmp_path / "whole.json", tmp_path / "resumed.json"
    arguments = ["--bench", "5d", "--data", data, "--save", save]
    assert evaluate("--bench", "5d", "--data", data, "--json", whole) == 0
    with pytest.MonkeyPatch.context() as patch:
        counting(patch, stop_after=4)
        assert evaluate(*arguments) == 130
    assert "the same command continues" in capsys.readouterr().err
    with (save / "scores.jsonl").open("a") as file:
        file.write('{"set": "lol-v1", "na')  # as a kill would leave it
    with pytest.MonkeyPatch.context() as patch:
        calls = counting(patch)
        assert evaluate(*arguments, "--json", resumed) == 0
        assert len(calls) == 5
        # Another report on the same images restores nothing again.
        assert evaluate(*arguments, "--html", tmp_path / "page.html") == 0
        assert len(calls) == 5
    first, second = read(whole), read(resumed)
    assert first["summary"] == second["summary"]
    assert pixels(save / "lol-v1" / "0.png").shape == (24, 32, 3)


def test_changed_images_are_restored_again(evaluate: Run, data: Path, tmp_path: Path) -> None:
    save = tmp_path / "save"
    arguments = ["--bench", "5d", "--data", data, "--sets", "lol-v1", "--save", save]
    assert evaluate(*arguments) == 0
    put(data / "lowlight" / "low" / "0.png", 77)
    put(save / "lol-v1" / "1.png", 78)
    (save / "lol-v1" / "2.png").unlink()
    with pytest.MonkeyPatch.context() as patch:
        calls = counting(patch)
        assert evaluate(*arguments) == 0
        assert len(calls) == 3
        assert evaluate(*arguments) == 0
        assert len(calls) == 3


@pytest.mark.parametrize(
    "damage",
    [
        b"\xff\xfe\n",
        b'[1]\nnull\n"text"\n',
        b'{"set": "lol-v1", "name": ["0"], "input": {}, "restored": {}, "crc32": {}, "tile": []}\n',
        b'{"set": "lol-v1", "name": "0", "width": 1, "height": 1, "input": {}, "restored": {},'
        b' "crc32": [], "tile": []}\n',
        b'{"set": "lol-v1", "name": "0", "input": {}, "restored": {}, "crc32": {"input": 1e999},'
        b' "tile": []}\n',
        b"[" * 100000 + b"\n",
    ],
)
def test_damaged_lines_are_ignored(
    evaluate: Run, data: Path, tmp_path: Path, damage: bytes
) -> None:
    save = tmp_path / "save"
    arguments = ["--bench", "5d", "--data", data, "--sets", "lol-v1", "--save", save]
    assert evaluate(*arguments) == 0
    with (save / "scores.jsonl").open("ab") as file:
        file.write(damage)
    with pytest.MonkeyPatch.context() as patch:
        calls = counting(patch)
        assert evaluate(*arguments) == 0
        assert calls == []


@pytest.mark.parametrize(
    ("spoil", "again"),
    [
        pytest.param(lambda lines: lines[0]["crc32"].pop("restored"), 1, id="no checksum"),
        pytest.param(lambda lines: [line.pop("change") for line in lines], 0, id="older version"),
    ],
)
def test_incomplete_lines_count_if_they_have_checksums(
    evaluate: Run,
    data: Path,
    tmp_path: Path,
    spoil: Callable[[list[dict[str, Any]]], object],
    again: int,
) -> None:
    save = tmp_path / "save"
    arguments = ["--bench", "5d", "--data", data, "--sets", "lol-v1", "--save", save]
    assert evaluate(*arguments) == 0
    lines = [json.loads(line) for line in (save / "scores.jsonl").read_text().splitlines()]
    assert all(line["change"] > 0 for line in lines)
    spoil(lines)
    (save / "scores.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.MonkeyPatch.context() as patch:
        calls = counting(patch)
        assert evaluate(*arguments) == 0
        assert len(calls) == again


def test_a_folder_of_another_run_is_refused(
    evaluate: Run, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    arguments = ["--bench", "5d", "--data", data, "--sets", "lol-v1", "--save", tmp_path / "save"]
    assert evaluate(*arguments) == 0
    assert evaluate(*arguments, "--tile", "32") == 2
    assert "holds a run with tile auto, not 32" in capsys.readouterr().err
    assert evaluate(*arguments, "--keep-tones", "--keep-shake") == 2
    assert "holds a run with keep_shake False, not True" in capsys.readouterr().err
    identity = tmp_path / "save" / "run.json"
    identity.write_text(json.dumps({**read(identity), "baryir": "0.0.1"}))
    assert evaluate(*arguments) == 2
    assert "holds a run with baryir 0.0.1, not" in capsys.readouterr().err
    identity.write_text("[" * 100000)
    assert evaluate(*arguments) == 2
    assert "run.json is damaged" in capsys.readouterr().err
    for folder in (data, data.parent / "new" / ".." / data.name):
        assert evaluate(*arguments[:-1], folder) == 2
        assert "not empty" in capsys.readouterr().err


def test_reports_say_what_was_kept(
    evaluate: Run, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    arguments = ["--bench", "5d", "--data", data, "--sets", "lol-v1"]
    for options in ([], ["--keep-shake"]):
        report = tmp_path / f"{len(options)}.json"
        assert evaluate(*arguments, *options, "--json", report) == 0
        settings = read(report)["settings"]
        assert (settings["keep_tones"], settings["keep_shake"]) == (False, bool(options))
        assert (", shake kept, baryir" in capsys.readouterr().out) == bool(options)


def test_a_file_for_a_folder_points_to_its_folder(
    evaluate: Run, data: Path, capsys: pytest.CaptureFixture
) -> None:
    low = data / "lowlight" / "low"
    assert evaluate("--input", low / "0.png") == 2
    said = f"--input {low / '0.png'}: a file, not a folder; give its folder, {low}\n"
    assert said in capsys.readouterr().err


def test_another_folder_of_the_same_name_is_refused(
    evaluate: Run, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    put(tmp_path / "low" / "0.png", 5)
    low, save = data / "lowlight" / "low", tmp_path / "save"
    assert evaluate("--input", low, "--save", save) == 0
    before = (save / "folder" / "0.png").read_bytes()
    assert evaluate("--input", tmp_path / "low", "--save", save) == 2
    said = f"holds a run with input {low}, not {tmp_path / 'low'}; choose another folder"
    assert said in capsys.readouterr().err
    assert evaluate("--bench", "5d", "--data", data, "--save", save) == 2
    assert f"with input {low}, not of a bench" in capsys.readouterr().err
    assert (save / "folder" / "0.png").read_bytes() == before
    assert evaluate("--input", low, "--save", save) == 0


def test_recalled_images_do_not_shorten_the_time_left() -> None:
    now = [0.0]
    console = Console(file=io.StringIO(), force_terminal=True, get_time=lambda: now[0])
    one = FoundSet("one", "One", Path(), tuple(Item(str(number)) for number in range(40)))
    display = EvaluationDisplay(console, [one, one])
    display.begin(one)
    for number in range(30):
        recalled = number < 20
        now[0] += 0.01 if recalled else 10
        display.add("", recalled=recalled)
    left = [task.time_remaining for task in display.bar.tasks]
    assert left == [pytest.approx(500, rel=0.1), pytest.approx(100, rel=0.1)]


def test_another_program_is_measured_on_a_bench(
    evaluate: Run, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """It gets the same inputs and the same scores as a run of our own."""
    bench = ["--bench", "5d", "--data", data]
    ours, theirs = tmp_path / "ours.json", tmp_path / "theirs.json"
    saved, given = tmp_path / "saved", tmp_path / "given"
    assert evaluate(*bench, "--save", saved, "--json", ours) == 0
    assert evaluate(*bench, "--export", given) == 0
    for image in (i for s in read(ours)["sets"] for i in s["images"]):
        assert image["crc32"]["input"]
    noisy = pixels(given / "bsd68-25" / "0.png")
    seed = [zlib.crc32(b"0"), 25]
    noise = np.random.default_rng(seed).normal(0, 25, noisy.shape)
    clean = pixels(data / "denoise" / "bsd68" / "0.png")
    assert (noisy == (clean + noise).round().clip(0, 255)).all()
    assert (pixels(given / "lol-v1" / "1.png") == pixels(data / "lowlight/low/1.png")).all()
    assert evaluate(*bench, "--restored", saved, "--json", theirs) == 0
    for a, b in zip(read(ours)["sets"], read(theirs)["sets"], strict=True):
        assert [(i["input"], i["restored"]) for i in a["images"]] == [
            (i["input"], i["restored"]) for i in b["images"]
        ]
        for image in b["images"]:
            assert {image[k] for k in ("seconds", "tiles", "tile", "passes", "change")} == {None}
    capsys.readouterr()
    assert evaluate("--compare", ours, theirs) == 0
    assert "identical" in capsys.readouterr().out


def test_missing_and_extra_images_of_another_program_are_named(
    evaluate: Run, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    theirs, report = tmp_path / "theirs", tmp_path / "r.json"
    shutil.copytree(data / "lowlight" / "high", theirs / "lol-v1")
    (theirs / "lol-v1" / "2.png").rename(theirs / "lol-v1" / "two.png")
    bench = ["--bench", "5d", "--data", data, "--restored", theirs]
    assert evaluate(*bench) == 1
    said = capsys.readouterr().err
    assert f"{theirs / 'lol-v1' / '2'}.png is missing" in said
    assert f"{theirs / 'lol-v1' / 'two.png'} is not an image of LOL-v1" in said
    assert evaluate(*bench, "--allow-missing", "--json", report) == 0
    run = read(report)
    assert [len(s["images"]) for s in run["sets"]] == [2]
    assert run["missing"]["BSD68 sigma 25"] == str(theirs / "bsd68-25")
    assert evaluate(*bench, "--sets", "bsd68-25") == 2
    assert evaluate(*bench[:-1], tmp_path / "none") == 2


@pytest.mark.parametrize("whole", [False, True])
def test_another_program_is_measured_on_some_images(
    evaluate: Run, data: Path, tmp_path: Path, *, whole: bool
) -> None:
    """On those of a run of our own, whether or not it restored the others."""
    given, report = tmp_path / "given", tmp_path / "r.json"
    bench = ["--bench", "5d", "--data", data, "--sets", "lol-v1", "--limit", 2]
    put(data / "lowlight" / "low" / "3.png", 3)
    put(data / "lowlight" / "high" / "3.png", 13)
    assert evaluate(*(bench[:-2] if whole else bench), "--export", given) == 0
    assert evaluate(*bench, "--restored", given, "--json", report) == 0
    (lol,) = read(report)["sets"]
    assert [image["name"] for image in lol["images"]] == ["0", "2"]
    (given / "lol-v1" / "2.png").unlink()
    assert evaluate(*bench, "--restored", given) == 1
    # No other image takes its place, so that both runs stay comparable.
    assert evaluate(*bench, "--restored", given, "--allow-missing", "--json", tmp_path / "2") == 0
    (lol,) = read(tmp_path / "2")["sets"]
    assert [image["name"] for image in lol["images"]] == ["0"]


def test_two_restored_images_of_one_name_are_refused(
    evaluate: Run, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    theirs = tmp_path / "theirs"
    shutil.copytree(data / "lowlight" / "high", theirs / "lol-v1")
    Image.open(theirs / "lol-v1" / "2.png").save(theirs / "lol-v1" / "2.bmp")
    assert evaluate("--bench", "5d", "--data", data, "--restored", theirs) == 1
    assert f"{theirs / 'lol-v1' / '2.png'} and 2.bmp have the same name" in capsys.readouterr().err


def test_exported_images_replace_nothing(
    evaluate: Run, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    put(tmp_path / "out" / "lol-v1" / "0.png", 5)
    before = (tmp_path / "out" / "lol-v1" / "0.png").read_bytes()
    for out in (tmp_path / "out", tmp_path / "new" / ".." / "out"):
        assert evaluate("--bench", "5d", "--data", data, "--export", out) == 2
        assert f"{tmp_path / 'out' / 'lol-v1'} exists already" in capsys.readouterr().err
    assert (tmp_path / "out" / "lol-v1" / "0.png").read_bytes() == before
    assert not (tmp_path / "out" / "bsd68-25").exists()


def test_an_interrupted_export_asks_for_another_folder(
    evaluate: Run,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    """Another export to the same folder would be refused."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("baryir_cli.evaluation.export.write_image", interrupted)
    assert evaluate("--bench", "5d", "--data", data, "--export", tmp_path / "out") == 130
    assert f"{tmp_path / 'out'} is incomplete: export to another" in capsys.readouterr().err


def test_export_of_the_rest_is_offered(
    evaluate: Run, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (data / "lowlight" / "high" / "1.png").unlink()
    arguments = ["--bench", "5d", "--data", data, "--sets", "lol-v1"]
    assert evaluate(*arguments, "--export", tmp_path / "out") == 1
    assert "; --allow-missing exports the rest" in capsys.readouterr().err
    assert evaluate(*arguments) == 1
    assert "; --allow-missing evaluates the rest" in capsys.readouterr().err
    assert evaluate(*arguments, "--export", tmp_path / "out", "--allow-missing") == 0
    assert len(list((tmp_path / "out" / "lol-v1").iterdir())) == 2


def test_export_goes_on_past_bad_files(evaluate: Run, data: Path, tmp_path: Path) -> None:
    (data / "lowlight" / "low" / "1.png").write_bytes(b"no image")
    export = ["--bench", "5d", "--data", data, "--sets", "lol-v1", "--export"]
    assert evaluate(*export, tmp_path / "a") == 3
    assert sorted(p.name for p in (tmp_path / "a" / "lol-v1").iterdir()) == ["0.png", "2.png"]
    assert evaluate(*export, tmp_path / "b", "--allow-missing") == 0


def test_limit_takes_some_images_of_each_set(
    evaluate: Run, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    report = tmp_path / "r.json"
    assert evaluate("--bench", "5d", "--data", data, "--limit", 2, "--json", report) == 0
    assert "LOL-v1          2 of 15" in capsys.readouterr().out
    assert [[i["name"] for i in s["images"]] for s in read(report)["sets"]] == [["0", "1"]] * 3
    folders = ["--input", data / "lowlight" / "low", "--target", data / "lowlight" / "high"]
    assert evaluate(*folders, "--limit", 9, "--json", report, "--overwrite") == 0
    assert len(read(report)["sets"][0]["images"]) == 3
    # A set without an official count does not pass for complete either.
    assert evaluate(*folders, "--limit", 1) == 0
    assert "at most 1 image per set; weights" in capsys.readouterr().out
    assert read(report)["settings"]["limit"] == 9


def test_compare_finds_the_better_run(
    evaluate: Run, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    a, b, out = tmp_path / "a.json", tmp_path / "b.json", tmp_path / "c.json"
    for number in range(3, 6):
        for side, offset in (("low", 0), ("high", 10)):
            put(data / "lowlight" / side / f"{number}.png", number + offset)
        put(data / "denoise" / "bsd68" / f"{number}.png", number)
    sets = ["--bench", "5d", "--data", data, "--sets", "lol-v1,bsd68"]
    assert evaluate(*sets, "--json", a) == 0
    assert evaluate(*sets, "--json", b) == 0
    better = read(b)
    for image in better["sets"][1]["images"]:
        image["restored"]["psnr"] += 1.0
    b.write_text(json.dumps(better))
    capsys.readouterr()
    assert evaluate("--compare", a, b, "--json", out) == 0
    shown = capsys.readouterr().out
    assert "B better" in shown
    assert "identical" in shown
    lines = {(d["set"], d["metric"]): d for d in read(out)["differences"]}
    assert lines["LOL-v1", "psnr"]["difference"] == pytest.approx(1)
    assert lines["LOL-v1", "psnr"]["interval"] == pytest.approx([1, 1])
    assert lines["LOL-v1", "psnr"]["b_better_on"] == 6
    assert lines["BSD68 sigma 25", "ssim"]["difference"] == 0

    better["sets"][1]["images"][0]["crc32"]["input"] += 1
    b.write_text(json.dumps(better))
    assert evaluate("--compare", a, b) == 1
    assert "0 differs between the runs (its input)" in capsys.readouterr().err
    del better["sets"][1]["images"][0]
    b.write_text(json.dumps(better))
    assert evaluate("--compare", a, b) == 1
    assert "--allow-missing" in capsys.readouterr().err
    assert evaluate("--compare", a, b, "--allow-missing") == 0
    b.write_text("{}")
    assert evaluate("--compare", a, b) == 1


def test_few_images_are_no_proof(
    evaluate: Run, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    assert evaluate("--bench", "5d", "--data", data, "--sets", "lol-v1", "--json", a) == 0
    better = read(a)
    for image in better["sets"][0]["images"]:
        image["restored"]["psnr"] += 1.0
    b.write_text(json.dumps(better))
    capsys.readouterr()
    assert evaluate("--compare", a, b) == 0
    assert re.search(r"PSNR .* 3 of 3 +too few images", capsys.readouterr().out)
    assert evaluate("--compare", a, a, "--json", tmp_path / "c.json") == 0
    same, *_ = read(tmp_path / "c.json")["differences"]
    assert (same["interval"], same["verdict"]) == (None, "identical")


@pytest.fixture
def two_equal(evaluate: Run, tmp_path: Path) -> Path:
    """A run of three images; two equal their targets, so their PSNR is infinite."""
    for number in range(3):
        put(tmp_path / "a" / f"{number}.png", number)
        put(tmp_path / "b" / f"{number}.png", number % 2)
    out = tmp_path / "a.json"
    assert evaluate("--restored", tmp_path / "a", "--target", tmp_path / "b", "--json", out) == 0
    return out


def test_metrics_that_one_run_lacks_are_named(
    evaluate: Run, two_equal: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    more = tmp_path / "more.json"
    run = read(two_equal)
    run["sets"][0]["metrics"] += ["niqe"]
    more.write_text(json.dumps(run))
    label = run["sets"][0]["label"]
    for pair, where in (((two_equal, more), "B"), ((more, two_equal), "A")):
        capsys.readouterr()
        assert evaluate("--compare", *pair, "--allow-missing") == 0
        assert f"{label}: NIQE only in {where}" in capsys.readouterr().out
    run["sets"][0]["metrics"] = ["niqe"]
    more.write_text(json.dumps(run))
    assert evaluate("--compare", two_equal, more) == 1
    assert "NIQE only in B" in capsys.readouterr().err


def test_infinite_figures_are_compared_if_asked(
    evaluate: Run, two_equal: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "c.json"
    assert evaluate("--compare", two_equal, two_equal, "--json", out) == 0
    assert [d["metric"] for d in read(out)["differences"]] == ["ssim"]
    said = "PSNR is infinite or not computed for 2 of 3 images, first 0"
    assert f"{said}: not compared; --allow-missing" in capsys.readouterr().out
    again = ("--allow-missing", "--json", out, "--overwrite")
    assert evaluate("--compare", two_equal, two_equal, *again) == 0
    assert [d["images"] for d in read(out)["differences"]] == [1, 3]
    assert f"{said}: compared without them" in capsys.readouterr().out


def test_the_page_says_why_there_is_no_box(evaluate: Run, two_equal: Path, tmp_path: Path) -> None:
    folders = ["--restored", two_equal.parent / "a", "--target", two_equal.parent / "b"]
    assert evaluate(*folders, "--html", tmp_path / "page.html") == 0
    text = (tmp_path / "page.html").read_text()
    assert text.count("<svg") == 1  # SSIM's
    assert "PSNR of 3 images</h3>" in text
    assert "no box of restored: infinite for some images" in text


def test_an_incomplete_run_is_compared_if_asked(
    evaluate: Run, two_equal: Path, capsys: pytest.CaptureFixture
) -> None:
    run = read(two_equal)
    run["sets"][0]["problems"] = ["9.png cannot be decoded"]
    two_equal.write_text(json.dumps(run))
    assert evaluate("--compare", two_equal, two_equal) == 1
    assert "incomplete in A: 9.png cannot be decoded; --allow-missing" in capsys.readouterr().err
    assert evaluate("--compare", two_equal, two_equal, "--allow-missing") == 0
    assert "incomplete in B: 9.png" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("metrics",), ["mse"]),
        (("metrics",), 3),
        (("id",), []),
        (("problems",), 5),
        (("images",), 3),
        (("images", 0, "name"), ["0"]),
        (("images", 0, "crc32"), []),
        (("images", 0, "restored"), {"psnr": "much"}),
        (("images", 0, "restored"), {"psnr": 10**400}),
        (("images", 0, "restored"), {"psnr": float("nan")}),
    ],
)
def test_damaged_json_is_refused(
    evaluate: Run,
    two_equal: Path,
    capsys: pytest.CaptureFixture,
    place: tuple[Any, ...],
    value: object,
) -> None:
    run = read(two_equal)
    *path, last = place
    at = run["sets"][0]
    for key in path:
        at = at[key]
    at[last] = value
    two_equal.write_text(json.dumps(run))
    capsys.readouterr()
    assert evaluate("--compare", two_equal, two_equal) == 1
    assert "--compare takes what --json wrote" in capsys.readouterr().err


def test_list_shows_found_and_missing_sets(
    evaluate: Run, data: Path, capsys: pytest.CaptureFixture
) -> None:
    assert evaluate("--list", "--data", data) == 0
    out = capsys.readouterr().out
    for text in ("5d: five degradations", "3 of 68", "stand-in: our blur", "missing: goes to"):
        assert text in out
    assert out.startswith(f"folders below {data}\n")
    assert "missing: goes to real/LOL-v2-real/{low,high}" in out


def counted(network: BaryIR) -> int:
    """Multiply-accumulates at 256 x 256, counted by hooks: convolutions and MDTA's products."""
    total = 0

    def convolution(layer: nn.Conv2d, _arguments: object, out: Tensor) -> None:
        nonlocal total
        total += out.numel() * layer.weight[0].numel()

    def attention(layer: MDTA, arguments: tuple[Tensor], _out: Tensor) -> None:
        nonlocal total
        _, channels, height, width = arguments[0].shape
        pixels = height * width
        # q k^T; its product with the projection, which no module computes; the product with v.
        total += channels**2 // layer.heads * pixels
        total += channels**3 // layer.heads
        total += channels**2 * pixels

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(convolution)
        elif isinstance(layer, MDTA):
            layer.register_forward_hook(attention)
    network(torch.empty(1, 3, 256, 256, device="meta"))
    return total


def test_multiply_accumulates_match_an_independent_count() -> None:
    with torch.device("meta"):
        network = BaryIR(preset("tiny"))
    assert multiply_accumulates(network.config) == counted(network)


def test_a_scene_judge_counts_too() -> None:
    plain, judged = (replace(preset("tiny"), scene=side) for side in (0, 32))
    assert multiply_accumulates(judged) > multiply_accumulates(plain)


def test_complexity_says_what_requested_weights(
    baryir: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("BARYIR_WEIGHTS", "huge")
    assert baryir("eval", "--complexity", "--device", "cpu") == 2
    said = capsys.readouterr().err
    assert said.startswith("baryir: huge: no such weights; ")
    assert said.endswith("tiny) (requested by BARYIR_WEIGHTS)\n")
    monkeypatch.setenv("BARYIR_WEIGHTS", "tiny")
    assert baryir("eval", "--complexity", "--device", "cpu") == 0
    assert "tiny, a preset with random weights: cpu" in capsys.readouterr().out


def test_complexity_reports_parameters_and_time(
    evaluate: Run, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert evaluate("--complexity", "--json", tmp_path / "r.json") == 0
    assert "26.1M + 8.3M" in capsys.readouterr().out
    cost = read(tmp_path / "r.json")
    with torch.device("meta"):
        network = BaryIR(preset("tiny"))
    assert cost["parameters"] == sum(p.numel() for p in network.parameters())
    assert cost["seconds"] > 0
    assert not cost["random"]
    again = ("--json", tmp_path / "r.json", "--overwrite")
    assert evaluate("--complexity", "--weights", "tiny", *again) == 0
    assert "tiny, a preset with random weights: cpu" in capsys.readouterr().out
    assert read(tmp_path / "r.json")["random"]
    assert evaluate("--complexity", "--weights", "huge") == 2
    assert "or a preset (official, paper, promptir, small, tiny)" in capsys.readouterr().err
    assert evaluate("--complexity", "--csv", tmp_path / "r.csv") == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give one of"),
        (["--bench", "5d", "--list"], "--bench and --list do not go together: give one of"),
        (["--bench", "7d"], "use 3d, 5d, ood, levels, real or mixed"),
        (["--sets", "lol-v1", "--list"], "--sets does not go with --list"),
        (["--input", "none"], "--input none: no such folder; check the path"),
        (["--compare", "none.json", "none.json"], "--compare none.json: no such file; check"),
        (["--input", ".", "--data", "test"], "--data does not go with --input"),
        (["--target", "."], "--input or --restored"),
        (["--input", ".", "--restored", "."], "give one of them"),
        (["--bench", "5d", "--target", "."], "--target does not go with --bench"),
        (["--complexity", "--keep-shake"], "--keep-shake does not go with --complexity"),
        (
            ["--bench", "5d", "--metrics", "mse"],
            "--metrics mse: use psnr, ssim, lpips, fid, niqe or piqe",
        ),
        (["--list", "--json", "r.json"], "--json does not apply here"),
        (["--list", "--save", "r"], "--save does not go with --list"),
        (["--bench", "5d", "--export", "x", "--metrics", "psnr"], "--metrics does not go with"),
        (["--bench", "5d", "--restored", ".", "--tile", "0"], "--tile does not go with"),
        (["--export", "x"], "give --bench too"),
        (["--complexity", "--metrics", "psnr"], "--metrics does not go with --complexity"),
        (["--bench", "5d", "--json", "r", "--csv", "r"], "--json and --csv name the same file, r"),
    ],
)
def test_wrong_usage_is_refused(
    evaluate: Run, data: Path, capsys: pytest.CaptureFixture, arguments: list[str], said: str
) -> None:
    where = ["--data", data] if {"--bench", "--list"} & set(arguments) else []
    assert evaluate(*where, *arguments) == 2
    assert said in capsys.readouterr().err


def test_a_missing_data_folder_is_named(
    evaluate: Run, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert evaluate("--bench", "5d", "--data", tmp_path / "none") == 2
    assert (
        f"--data {tmp_path / 'none'}: no such folder; baryir eval --list" in capsys.readouterr().err
    )


def test_a_report_that_cannot_be_written_is_named(
    evaluate: Run, two_equal: Path, capsys: pytest.CaptureFixture
) -> None:
    inside = two_equal / "r.json"
    folders = ["--restored", two_equal.parent / "a", "--target", two_equal.parent / "b"]
    assert evaluate(*folders, "--json", inside) == 1
    assert f"--json {inside}: cannot create {two_equal}" in capsys.readouterr().err


def test_a_report_replaces_no_input(
    evaluate: Run, two_equal: Path, capsys: pytest.CaptureFixture
) -> None:
    before = two_equal.read_bytes()
    assert evaluate("--compare", two_equal, two_equal, "--json", two_equal) == 2
    assert f"{two_equal} is an input and would be overwritten" in capsys.readouterr().err
    assert two_equal.read_bytes() == before
    restored, target = two_equal.parent / "a", two_equal.parent / "b"
    image = next(target.iterdir())
    assert evaluate("--restored", restored, "--target", target, "--csv", image) == 2
    assert pixels(image).ndim == 3


def test_a_report_is_not_overwritten_unasked(
    evaluate: Run, two_equal: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    report = tmp_path / "notes.md"
    report.write_text("mine")
    asked = ("--compare", two_equal, two_equal, "--markdown")
    assert evaluate(*asked, report) == 2
    assert f"--markdown {report} exists already; --overwrite" in capsys.readouterr().err
    assert evaluate(*asked, tmp_path / "new" / ".." / report.name) == 2
    assert f"--markdown {report} exists already; --overwrite" in capsys.readouterr().err
    assert report.read_text() == "mine"
    assert evaluate(*asked, report, "--overwrite") == 0
    assert report.read_text() != "mine"
    assert evaluate(*asked, "/dev/null") == 0
    assert evaluate(*asked[:-1], "--overwrite") == 2
    assert "--overwrite needs a report: --json, --markdown" in capsys.readouterr().err


def test_a_write_protected_report_is_found_before_anything_is_computed(
    evaluate: Run,
    two_equal: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    report = tmp_path / "notes.md"
    report.write_text("mine")
    report.chmod(0o444)
    asked = ("--compare", two_equal, two_equal, "--markdown", report, "--overwrite")
    assert evaluate(*asked) == 1
    printed = capsys.readouterr()
    assert f"--markdown {report}: is write-protected; make it writable" in printed.err
    assert not printed.out
    assert report.read_text() == "mine"


def test_sets_of_a_bench_without_targets_are_skipped(
    evaluate: Run, data: Path, capsys: pytest.CaptureFixture
) -> None:
    put(data / "mixed" / "CDD-11" / "haze" / "a.png", 3)
    put(data / "mixed" / "CDD-11" / "clear" / "a.png", 4)
    put(data / "mixed" / "rain_haze" / "a.png", 5)
    assert evaluate("--bench", "mixed", "--data", data, "--metrics", "psnr") == 0
    assert "real rain + haze has no targets and is skipped" in capsys.readouterr().err
    only = ("--bench", "mixed", "--data", data, "--metrics", "psnr", "--sets", "real-rain-haze")
    assert evaluate(*only) == 2
    assert "which PSNR needs: use --metrics niqe,piqe" in capsys.readouterr().err


def test_a_missing_set_asked_for_by_name_is_an_error(
    evaluate: Run, data: Path, capsys: pytest.CaptureFixture
) -> None:
    assert evaluate("--bench", "5d", "--data", data, "--sets", "sots,lol-v1") == 2
    assert f"SOTS is missing; put it in {data / 'dehaze'}" in capsys.readouterr().err


def test_inputs_that_are_their_targets_are_pointed_out(
    evaluate: Run, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for number in range(2):
        put(tmp_path / "a" / f"{number}.png", number)
        put(tmp_path / "b" / f"{number}.png", number)
    asked = ("--input", tmp_path / "a", "--target", tmp_path / "b")
    note = "every input equals its target"
    assert evaluate(*asked) == 0
    assert capsys.readouterr().out.count(note) == 1
    put(tmp_path / "b" / "1.png", 7)
    assert evaluate(*asked) == 0
    assert note not in capsys.readouterr().out
