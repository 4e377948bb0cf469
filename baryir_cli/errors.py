"""Errors that users can cause: one line that says what to do, and an exit code."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the tool."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    SOME_FAILED = 3
    INTERRUPTED = 130


class UserError(Exception):
    """An error that the user can correct, shown as one line without a traceback."""

    exit_code = ExitCode.FAILED


class UsageError(UserError):
    """The command line asks for something impossible."""

    exit_code = ExitCode.USAGE


class ArgumentError(UsageError, ValueError):
    """An argument has a value that it does not take: ``tile=7``, or ``--tile 7`` as an option.

    Args:
        name: of the argument, and of the option.
        problem: what to do about it.
    """

    def __init__(self, name: str, value: object, problem: str) -> None:
        super().__init__(f"{name}={value!r}: {problem}")
        self.as_option = f"--{name.replace('_', '-')} {value}: {problem}"


class StoppedError(UserError):
    """Stopped by the user, in a command that says how to continue."""

    exit_code = ExitCode.INTERRUPTED


def told_by_system(error: OSError) -> str:
    """Describes a system error in words, with its file if it names one."""
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror or error}"
