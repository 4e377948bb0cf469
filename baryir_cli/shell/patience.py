"""Delays Ctrl-C until the current work is complete."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from baryir_cli.shell.stdout import discard

SIGNALS = (
    signal.SIGINT,
    signal.SIGTERM,
    *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []),  # not under Windows
)
"""The signals that end a run in order."""
ECHO = 0.5
"""Seconds in which a repeated signal counts as the same one: timeout and uv run pass it on too."""


def leave_lost_terminal() -> None:
    """Lets messages to a terminal that is gone lead nowhere: they would fail in the clean-up."""
    for stream in (1, 2):
        try:
            os.write(stream, b"")
        except OSError:
            discard(stream)


@contextmanager
def patience(notify: Callable[[], None] = lambda: None) -> Iterator[Callable[[], bool]]:
    """Records the first of :data:`SIGNALS` and lets the second interrupt as usual.

    Yields a function that tells whether to stop. Outside of the main thread, which alone receives
    signals, nothing is changed.

    Args:
        notify: called on the first signal.
    """
    asked: float | None = None

    def note(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        leave_lost_terminal()
        now = time.monotonic()
        if asked is None:
            asked = now
            notify()
        # A terminal hangs up more than once; only people are impatient.
        elif now > asked + ECHO and signal.Signals(number).name != "SIGHUP":
            raise KeyboardInterrupt

    interruptible = threading.current_thread() is threading.main_thread()
    # nohup, for one, ignores SIGHUP.
    heeded = [n for n in SIGNALS if interruptible and signal.getsignal(n) != signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in heeded}
    try:
        yield lambda: asked is not None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
