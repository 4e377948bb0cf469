"""The user's settings: environment variables and a small TOML file."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import typer

from baryir_cli.errors import UsageError, UserError
from baryir_cli.files.atomic import make_folder, write_atomically
from models.wording import choices

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Setting:
    """A setting that applies to the whole tool."""

    default: str
    variable: str
    """Environment variable that overrides the file."""
    meaning: str


SETTINGS = {
    "weights": Setting("small", "BARYIR_WEIGHTS", "weights for commands that name none"),
}


@dataclass(frozen=True)
class Value:
    """The current value of a setting and its origin: a variable, the file, or ``default``."""

    text: str
    origin: str


class NoHomeError(UserError):
    """The system knows no home folder for this user."""


def home() -> Path:
    """The user's home folder.

    Raises:
        NoHomeError: there is none, as for a container's made-up users.
    """
    try:
        return Path.home()
    except RuntimeError:
        raise NoHomeError("this user has no home folder: set HOME to one") from None


def config_file() -> Path:
    """The path of the settings file, which need not exist.

    Raises:
        NoHomeError: the system has no folder for this user's settings.
    """
    folder = Path(typer.get_app_dir("baryir"))
    if not folder.is_absolute():  # from an empty XDG_CONFIG_HOME, which counts as unset
        folder = home() / ".config" / "baryir"
    return folder / "config.toml"


def value_of(name: str) -> Value:
    """The environment variable's value, else the file's, else the default.

    Raises:
        UsageError: no such setting, or the file is damaged.
    """
    setting = _known(name)
    if text := os.environ.get(setting.variable):
        return Value(text, setting.variable)
    if text := stored().get(name):
        return Value(text, str(config_file()))
    return Value(setting.default, "default")


def stored() -> dict[str, str]:
    """The settings in the file; empty if there is no file.

    Raises:
        UsageError: it is not TOML, cannot be read, or contains something other than settings.
    """
    try:
        path = config_file()
        values = tomllib.loads(path.read_text("utf-8-sig"))  # Windows editors mark UTF-8
    except (FileNotFoundError, NotADirectoryError, NoHomeError):
        return {}
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; make it readable, or set HOME") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not TOML ({error}); correct or delete it") from None
    for name, value in values.items():
        if name not in SETTINGS:
            raise UsageError(f"{path}: {_unknown(name)}; correct or delete it")
        if not isinstance(value, str):
            example = f'{name} = "{SETTINGS[name].default}"'
            raise UsageError(
                f"{path}: {name} must be text in quotes, as in {example}; correct or delete it"
            )
    return values


def store(name: str, text: str | None) -> None:
    """Sets a value in the file, or removes it. The file is replaced atomically.

    Raises:
        UsageError: no such setting, a value of several lines, or the file is damaged.
        UserError: the file cannot be written.
    """
    _known(name)
    if text is not None and not (text and text.isprintable()):
        raise UsageError(f"{name}: the value must be one line of printable text")
    before = stored()
    if text is None and name not in before:
        return
    values = {key: value for key, value in before.items() if key != name}
    if text is not None:
        values[name] = text
    # For printable text, JSON strings are valid TOML.
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items()]
    path = config_file()
    try:
        make_folder(path.parent)
        write_atomically(path, "".join(lines).encode())
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _known(name: str) -> Setting:
    if name not in SETTINGS:
        raise UsageError(_unknown(name))
    return SETTINGS[name]


def _unknown(name: str) -> str:
    several = len(SETTINGS) > 1
    return f"no setting {name!r}; {'use' if several else 'the only one is'} {choices(SETTINGS)}"
