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
