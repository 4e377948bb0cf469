"""``baryir config``: the user's defaults."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from baryir_cli.settings import SETTINGS, config_file, store, value_of
from baryir_cli.shell.syntax import Tool

config = Tool(name="config", help="Set defaults for every command.")

Name = Annotated[str, typer.Argument(help=f"Setting: {', '.join(SETTINGS)}.", show_default=False)]


@config.command("get")
def get_setting(
    name: Annotated[
        str | None, typer.Argument(help="Setting; without it, all of them and their origins.")
    ] = None,
) -> None:
    """Show the current value: from the environment variable, the file, or the default."""
    if name is not None:
        typer.echo(value_of(name).text)
        return
    for known, setting in SETTINGS.items():
        value = value_of(known)
        typer.echo(f"{known} = {value.text}  ({value.origin}; {setting.meaning})")


@config.command("set")
def set_setting(
    name: Name, value: Annotated[str, typer.Argument(help="Its value.", show_default=False)]
) -> None:
    """Set a default, such as: weights hf:owner/repo."""
    _store(name, _weights(value) if name == "weights" else value)


@config.command("unset")
def unset_setting(name: Name) -> None:
    """Go back to the default."""
    _store(name, None)


@config.command("path")
def show_path() -> None:
    """Show where the settings file is, or would be."""
    typer.echo(config_file())


def _store(name: str, value: str | None) -> None:
    """Writes a setting to the file, with a note if the environment overrides it."""
    from baryir_cli.shell.console import messages, note

    store(name, value)
    if value_of(name).origin == SETTINGS[name].variable:
        note(messages(), f"{SETTINGS[name].variable} is set and overrides the file")


def _weights(reference: str) -> str:
    """Turns a reference into one that works from every folder."""
    from baryir_cli.hub.reference import PREFIX, HubReference
    from baryir_cli.weights.references import find_weights

    if reference.startswith(PREFIX):
        return str(HubReference.parse(reference))
    found = find_weights(reference)
    return reference if found.origin == "embedded" else os.path.abspath(found.path)
