"""Errors that a user can cause: one line that says what to do, and an exit code."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the tool tells the shell."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    SOME_FAILED = 3
    INTERRUPTED = 130


class UserError(Exception):
    """Something the user can mend; shown as one line, never as a traceback."""

    exit_code = ExitCode.FAILED


class UsageError(UserError):
    """The command line asks for something that cannot be."""

    exit_code = ExitCode.USAGE


class StoppedError(UserError):
    """Stopped by the user, in a command that has more to say of it than that."""

    exit_code = ExitCode.INTERRUPTED


def told_by_system(error: OSError) -> str:
    """An error of the system in words, with the file if it names one."""
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror or error}"
