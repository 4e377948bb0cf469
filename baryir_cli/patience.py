"""Ctrl-C held back until what is under way is whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Patience:
    """While open, the first Ctrl-C or SIGTERM is noted, and the second acts as ever.

    Outside of the main thread, which alone is interrupted, it does nothing.

    Args:
        notify: called when one is noted.
    """

    def __init__(self, notify: Callable[[], None]) -> None:
        self.notify = notify
        self._asked = False

    def asked(self) -> bool:
        """Whether to stop."""
        return self._asked

    def __enter__(self) -> Patience:
        self._before = {}
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        self.notify()
