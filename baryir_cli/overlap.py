"""Three stages at the same time: images are prepared ahead, worked on, and finished behind."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Prepared = TypeVar("Prepared")
Worked = TypeVar("Worked")
Done = TypeVar("Done")

WORKERS = min(4, os.cpu_count() or 1)
"""Threads that prepare, and as many that finish."""


def overlap(
    items: Iterable[Item],
    prepare: Callable[[Item], Prepared],
    work: Callable[[Item, Future[Prepared]], Worked],
    finish: Callable[[Worked], Done],
    ahead: Callable[[], int] = lambda: WORKERS,
) -> Iterator[Done]:
    """What ``finish`` returns, in order.

    Items are drawn, and the work is done, in the caller's thread, the one that can be interrupted;
    threads prepare and finish. What ``work`` or ``finish`` raises ends it; what ``prepare`` raises
    comes out of the future. Where the work is interrupted, what is being finished still comes out.

    Args:
        ahead: how many may wait prepared beside the one at work, and as many unfinished.
    """
    waiting = iter(items)
    prepared: deque[tuple[Item, Future[Prepared]]] = deque()
    finishing: deque[Future[Done]] = deque()
    with _pool("prepare") as before, _pool("finish") as behind:
        try:
            while True:
                for item in islice(waiting, max(0, ahead() + 1 - len(prepared))):
                    prepared.append((item, before.submit(prepare, item)))
                if not prepared:
                    break
                item, future = prepared.popleft()
                finishing.append(behind.submit(finish, work(item, future)))
                del item, future  # images, which the caller need not wait with
                yield from _finished(finishing, ahead())
            yield from _finished(finishing, 0)
        except KeyboardInterrupt:
            yield from (future.result() for future in finishing if not future.cancel())
            raise
        finally:
            # What has not begun is dropped; what has is waited for as the pools are left.
            for pool in (before, behind):
                pool.shutdown(wait=False, cancel_futures=True)


def _finished(finishing: deque[Future[Done]], at_most: int) -> Iterator[Done]:
    """Results in order, waiting while more than ``at_most`` are unfinished."""
    while finishing and (len(finishing) > at_most or finishing[0].done()):
        yield finishing.popleft().result()


def _pool(name: str) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(WORKERS, thread_name_prefix=name)
