"""Three stages that run at the same time."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from baryir_cli.errors import UserError
from baryir_cli.stages import in_stages


def test_results_come_in_order() -> None:
    def finish(n: int) -> int:
        time.sleep(0.02 * (3 - n))
        return n

    assert list(in_stages(range(4), str, lambda n, _: n, finish)) == [0, 1, 2, 3]


def test_results_being_finished_at_an_interrupt_still_come_out() -> None:
    begun = threading.Semaphore(0)

    def work(n: int, _: Any) -> int:
        if n == 2:
            begun.acquire()
            begun.acquire()
            raise KeyboardInterrupt
        return n

    def finish(n: int) -> int:
        begun.release()
        time.sleep(0.2)
        return n

    results = in_stages(range(4), str, work, finish)
    found = [next(results), next(results)]
    with pytest.raises(KeyboardInterrupt):
        next(results)
    assert found == [0, 1]


@pytest.mark.parametrize("stage", ["prepare", "finish"])
def test_a_thread_that_cannot_start_is_one_line(
    monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    start = threading.Thread.start

    def lack(thread: threading.Thread) -> None:
        if thread.name.startswith(stage):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", lack)
    with pytest.raises(UserError, match="to start a thread$"):
        list(in_stages(range(4), str, lambda n, _: n, str))
