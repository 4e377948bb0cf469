"""How commands are typed: groups and flags, and messages for lines that cannot be parsed."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from itertools import takewhile
from typing import Any, TypeVar, get_args

import typer
from typer.core import TyperCommand, TyperGroup

from baryir_cli.errors import UsageError
from models.wording import choices, numbers

Function = TypeVar("Function", bound=Callable[..., Any])

USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]
"""A line that cannot be parsed, from whichever click Typer uses: newer ones have their own."""


class Command(TyperCommand):
    """A command with flags that show no type, and with clearer messages for wrong usage."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types_of_flags(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        typed = list(args)
        try:
            rest = super().parse_args(ctx, args)
        except USAGE_ERROR as error:
            self._check_names(ctx, typed)
            if isinstance(error, typer.BadParameter):
                self._check_last_argument(ctx, typed)
            error.ctx = ctx  # type: ignore[attr-defined]
            raise
        if not ctx.resilient_parsing:  # set while a shell completes a word
            self._check_empty(ctx, typed)
        return rest

    def _check_empty(self, ctx: Any, typed: list[str]) -> None:
        """Refuses empty values: as a path, one would be the current folder.

        Raises:
            UsageError: a parameter is empty and its default is not; names it.
        """
        values = self._values(ctx, typed)
        for param in self.params:
            given = values.get(param.name)
            several = given if isinstance(given, list | tuple) else [given]
            if "" in several and param.default != "":
                raise UsageError(f"{_called(param)} is empty, perhaps a variable that is not set")

    def _check_names(self, ctx: Any, typed: list[str]) -> None:
        """Explains file names that begin with -, which a shell's * may produce."""
        for word in takewhile(lambda word: word != "--", typed):
            if word.startswith("-") and word != "-" and os.path.isfile(word):
                ctx.fail(f"{word} begins with - and is read as options; write ./{word}")

    def _check_last_argument(self, ctx: Any, typed: list[str]) -> None:
        """If ``INPUT... OUTPUT`` got one value, says that OUTPUT is missing; click means INPUT."""
        arguments = [p for p in self.params if p.param_type_name == "argument"]
        if len(arguments) > 1 and arguments[0].nargs == -1:
            values = self._values(ctx, typed)
            only = values[arguments[-1].name]
            if not values[arguments[0].name] and only:
                twice = f"{ctx.command_path} {shlex.quote(only)} {shlex.quote(only)} --in-place"
                way = f"; give the inputs' folder again: {twice}" if values.get("in_place") else ""
                ctx.fail(f"missing argument '{_called(arguments[-1])}'{way}")

    def _values(self, ctx: Any, typed: list[str]) -> dict[str, Any]:
        """The typed texts by parameter."""
        values: dict[str, Any]
        values, _, _ = self.make_parser(ctx).parse_args(args=typed)
        return values


class Group(TyperGroup):
    """A group of commands. Without one it shows its help."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types_of_flags(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args or ["--help"])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            ctx.fail(f"no such command {args[0]!r}; use {choices(self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)


class Tool(typer.Typer):
    """A group of this tool."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(cls=Group, **settings)

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Function], Function]:
        return super().command(name, **{"cls": Command, **settings})


def explain(error: Any) -> str:
    """Says in one line what is wrong with the typed line."""
    from baryir_cli.shell.console import printable

    message = printable(" ".join((_wrong_value(error) or error.format_message()).split()))
    return message[:1].lower() + message[1:].rstrip(".")


def show_help(error: Any) -> None:
    """Prints the help of the typed command on standard error."""
    if error.ctx:
        # Typer prints the help itself or returns it, depending on rich.
        with redirect_stdout(sys.stderr):
            typer.echo(error.ctx.get_help())


def _wrong_value(error: Any) -> str | None:
    """Says which values an option takes. Typer's own message only speaks of "input"."""
    described = getattr(getattr(error, "param", None), "type_descriptor", None)
    found: list[Any] = getattr(error.__cause__, "errors", list)()
    if described is None or not found:
        return None
    kind = (*get_args(described.annotation), described.annotation)[0]
    if described.choices:
        wanted = choices(getattr(c, "value", c) for c in described.choices)
    elif kind in (int, float):
        limits = described.parameter_info
        wanted = numbers(limits.min, limits.max, whole=kind is int)
    else:
        return None
    return f"{error.param.opts[0]} {found[0]['input']}: use {wanted}"


def _called(param: Any) -> str:
    """A parameter's name in the usage line."""
    option = param.param_type_name == "option"
    return str(param.opts[0] if option else param.metavar or param.name)


def _without_types_of_flags(params: list[Any]) -> list[Any]:
    for param in params:
        if getattr(param, "is_flag", False):
            # Typer shows <bool> beside them, as if they took a value.
            param.display_type_rich = lambda ctx: None  # noqa: ARG005
    return params
