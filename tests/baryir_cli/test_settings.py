"""``baryir config`` and the settings behind it."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from baryir_cli.settings import config_file, store, stored, value_of
from tests.baryir_cli.helpers import ROOT, failing, picture, python
from tests.conftest import Run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder for settings, which does not exist yet."""
    path = tmp_path / "settings" / "baryir"
    monkeypatch.setattr("typer.get_app_dir", lambda _: str(path))
    return path


def test_the_variable_overrides_the_file_and_the_file_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (value_of("weights").text, value_of("weights").origin) == ("small", "default")
    store("weights", "hf:me/net")
    assert value_of("weights").text == "hf:me/net"
    assert value_of("weights").origin == str(config_file())
    monkeypatch.setenv("BARYIR_WEIGHTS", "other")
    assert (value_of("weights").text, value_of("weights").origin) == ("other", "BARYIR_WEIGHTS")
    monkeypatch.setenv("BARYIR_WEIGHTS", "")
    assert value_of("weights").text == "hf:me/net"


@pytest.mark.parametrize("text", ['a "b" \\ c', "日本/ü😀.safetensors", "C:\\x", "'"])
def test_any_text_can_be_stored(text: str, folder: Path) -> None:
    store("weights", text)
    assert stored() == {"weights": text}
    assert [p.name for p in folder.iterdir()] == ["config.toml"]
    store("weights", None)
    assert stored() == {}


def test_config_sets_shows_and_unsets(baryir: Run, capsys: pytest.CaptureFixture) -> None:
    assert baryir("config", "path") == 0
    assert capsys.readouterr().out.strip() == str(config_file())
    assert baryir("config", "set", "weights", "hf:me/net@v1") == 0
    assert baryir("config", "get", "weights") == 0
    assert capsys.readouterr().out == "hf:me/net@v1\n"
    assert baryir("config", "get") == 0
    assert f"weights = hf:me/net@v1  ({config_file()}" in capsys.readouterr().out
    assert baryir("config", "unset", "weights") == 0
    assert baryir("config", "get", "weights") == 0
    assert capsys.readouterr().out == "small\n"


def test_a_relative_path_is_stored_in_full(
    baryir: Run, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_weights.parent)
    assert baryir("config", "set", "weights", tiny_weights.name) == 0
    assert value_of("weights").text == str(tiny_weights)


def test_a_variable_that_overrides_the_file_is_mentioned(
    baryir: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert baryir("config", "set", "weights", "hf:me/net") == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("BARYIR_WEIGHTS", "small")
    for command in (("set", "weights", "hf:me/net"), ("unset", "weights")):
        assert baryir("config", *command) == 0
        assert "BARYIR_WEIGHTS is set and overrides the file" in capsys.readouterr().err


def test_a_link_stays_one(baryir: Run, tmp_path: Path, tiny_weights: Path) -> None:
    """Such as a link to the newest of several runs."""
    link = tmp_path / "newest.safetensors"
    link.symlink_to(tiny_weights)
    assert baryir("config", "set", "weights", link) == 0
    assert value_of("weights").text == str(link)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("set", "weights", "nothing"), "nothing: no such weights"),
        (("set", "weights", "hf:net"), "'hf:net' does not have the form"),
        (("set", "colour", "blue"), "no setting 'colour'; the only one is weights"),
        (("get", "colour"), "no setting 'colour'; the only one is weights"),
        (("unset", "colour"), "no setting 'colour'; the only one is weights"),
    ],
)
def test_wrong_usage_is_refused(
    baryir: Run, capsys: pytest.CaptureFixture, arguments: tuple[str, ...], says: str
) -> None:
    assert baryir("config", *arguments) == 2
    assert says in capsys.readouterr().err
    assert not config_file().exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("weights = ", "not TOML"),
        ("\xff", "not TOML"),
        ("colour = 'x'", "no setting 'colour'; the only one is weights"),
        ("weights = 3", 'weights must be text in quotes, as in weights = "small"'),
        ("[weights]", "weights must be text in quotes"),
    ],
)
def test_a_damaged_file_is_named(
    baryir: Run, tmp_path: Path, capsys: pytest.CaptureFixture, text: str, says: str
) -> None:
    config_file().parent.mkdir(parents=True)
    config_file().write_bytes(text.encode("latin-1"))
    picture().save(tmp_path / "a.png")
    assert baryir("restore", tmp_path / "a.png", tmp_path / "out") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"baryir: {config_file()}: {says}")
    assert line.endswith("; correct or delete it")


def test_without_a_home_there_are_no_settings(
    baryir: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("typer.get_app_dir", lambda _: "~/.config/baryir")
    monkeypatch.setattr(Path, "home", nowhere)
    assert value_of("weights").origin == "default"
    assert baryir("config", "path") == 1
    assert capsys.readouterr().err == "baryir: this user has no home folder: set HOME to one\n"


def test_a_home_that_is_not_a_folder_has_no_settings(folder: Path) -> None:
    """Service accounts have the home /dev/null."""
    folder.parent.touch()
    assert value_of("weights").origin == "default"


def test_a_full_disk_leaves_the_old_file(
    baryir: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    store("weights", "hf:me/net")
    monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC))
    assert baryir("config", "set", "weights", "small") == 1
    said = capsys.readouterr().err
    assert said == f"baryir: {config_file()}: cannot be written: No space left on device\n"
    assert stored() == {"weights": "hf:me/net"}


@pytest.mark.parametrize("by", ["variable", "file", "request"])
def test_restore_uses_the_setting_and_says_whose_it_is(
    baryir: Run,
    tmp_path: Path,
    tiny_weights: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    by: str,
) -> None:
    picture().save(tmp_path / "a.png")
    options: list[object] = ["--device", "cpu", "--verbose"]
    if by == "variable":
        monkeypatch.setenv("BARYIR_WEIGHTS", str(tiny_weights))
    elif by == "file":
        store("weights", str(tiny_weights))
    else:
        monkeypatch.setenv("BARYIR_WEIGHTS", "none such")
        options += ["--weights", tiny_weights]
    by_whom = {
        "variable": " (chosen by BARYIR_WEIGHTS)",
        "file": f" (chosen by {config_file()})",
        "request": " (chosen by --weights)",
    }
    assert baryir("restore", tmp_path / "a.png", tmp_path / "out", *options) == 0
    said = capsys.readouterr().err
    assert f"weights {tiny_weights}{by_whom[by]}\n" in said
    assert "device cpu, precision " in said


def test_a_wrong_setting_is_blamed_on_its_origin(
    baryir: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("BARYIR_WEIGHTS", "nothing")
    picture().save(tmp_path / "a.png")
    assert baryir("restore", tmp_path / "a.png", tmp_path / "out") == 2
    line = capsys.readouterr().err
    assert "nothing: no such weights" in line
    assert "(requested by BARYIR_WEIGHTS)" in line


@pytest.mark.skipif(os.name != "posix", reason="XDG folders")
@pytest.mark.parametrize(("config", "folder"), [("x", "x/baryir"), ("", "h/.config/baryir")])
def test_settings_are_where_the_system_keeps_them(tmp_path: Path, config: str, folder: str) -> None:
    home = str(tmp_path / config) if config else ""
    folders = {"XDG_CONFIG_HOME": home, "HOME": str(tmp_path / "h")}
    done = python("-m", "baryir_cli", "config", "path", cwd=ROOT, **folders)
    path = Path(done.stdout.strip())
    assert path.is_relative_to(tmp_path)
    assert path.name == "config.toml"
    if sys.platform == "linux":
        assert path.parent == tmp_path / folder
