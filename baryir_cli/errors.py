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


class StoppedError(UserError):
    """Stopped by the user, in a command that says how to continue."""

    exit_code = ExitCode.INTERRUPTED


def told_by_system(error: OSError) -> str:
    """Describes a system error in words, with its file if it names one."""
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror or error}"
