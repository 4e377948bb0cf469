"""A command whose options take several values at once: ``--sources derain dehaze``."""

from __future__ import annotations

from typing import Any

from baryir_cli.shell.syntax import Command


class SpreadCommand(Command):
    """Reads ``--option a b c`` as ``--option a --option b --option c``.

    This applies to options that may be repeated. A command with arguments of its own cannot use
    it, because they would be taken for values.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        repeated = {o for p in self.params if getattr(p, "multiple", False) for o in p.opts}
        return super().parse_args(ctx, spread(args, repeated))


def spread(args: list[str], repeated: set[str]) -> list[str]:
    """Writes the option's name before each further value, for the options in ``repeated``."""
    result: list[str] = []
    option = ""
    wanted = False
    for arg in args:
        if arg.startswith("-") and len(arg) > 1:
            option = arg if arg in repeated else ""
            wanted = bool(option)
        elif option and not wanted:
            result.append(option)
        else:
            wanted = False
        result.append(arg)
    return result
