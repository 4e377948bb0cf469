"""Delays Ctrl-C until the current work is complete."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
ECHO = 0.5
"""Seconds in which a repeated signal counts as the same one: timeout and uv run pass it on too."""


@contextmanager
def patience(notify: Callable[[], None] = lambda: None) -> Iterator[Callable[[], bool]]:
    """Records the first Ctrl-C or SIGTERM and lets the second interrupt as usual.

    Yields a function that tells whether to stop. Outside of the main thread, which alone receives
    signals, nothing is changed.

    Args:
        notify: called on the first signal.
    """
    asked: float | None = None

    def note(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        now = time.monotonic()
        if asked is None:
            asked = now
            notify()
        elif now > asked + ECHO:
            raise KeyboardInterrupt

    interruptible = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, note) for number in SIGNALS if interruptible}
    try:
        yield lambda: asked is not None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
