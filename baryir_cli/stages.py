"""Runs three stages at the same time: prepare the next images, work on one, finish the last."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from baryir_cli.errors import UserError

Item = TypeVar("Item")
Prepared = TypeVar("Prepared")
Worked = TypeVar("Worked")
Done = TypeVar("Done")

WORKERS = min(4, os.cpu_count() or 1)
"""Threads that prepare, and as many that finish."""


def in_stages(
    items: Iterable[Item],
    prepare: Callable[[Item], Prepared],
    work: Callable[[Item, Future[Prepared]], Worked],
    finish: Callable[[Worked], Done],
    ahead: Callable[[], int] = lambda: WORKERS,
) -> Generator[Done, None, None]:
    """Yields what ``finish`` returns, in order.

    The caller's thread, which can be interrupted, draws items and does the work; other threads
    prepare and finish. Exceptions from ``work`` and ``finish`` end the run; those from ``prepare``
    come out of the future. If the work ends in one, what is being finished still comes out.

    Args:
        ahead: how many may wait prepared besides the current one, and how many unfinished.

    Raises:
        UserError: there is no memory for the threads.
    """
    waiting = iter(items)
    prepared: deque[tuple[Item, Future[Prepared]]] = deque()
    finishing: deque[Future[Done]] = deque()
    with _pool("prepare") as before, _pool("finish") as behind:
        try:
            while True:
                for item in islice(waiting, max(0, ahead() + 1 - len(prepared))):
                    prepared.append((item, _submitted(before, prepare, item)))
                if not prepared:
                    break
                item, future = prepared.popleft()
                finishing.append(_submitted(behind, finish, work(item, future)))
                del item, future  # frees the images before the caller goes on
                yield from _finished(finishing, ahead())
            yield from _finished(finishing, 0)
        except (Exception, KeyboardInterrupt):
            yield from (future.result() for future in finishing if not future.cancel())
            raise
        finally:
            # Drops what has not begun; leaving the pools waits for the rest.
            for pool in (before, behind):
                pool.shutdown(wait=False, cancel_futures=True)


def _submitted(
    pool: ThreadPoolExecutor, call: Callable[[Item], Done], argument: Item
) -> Future[Done]:
    """The result of a call in a pool, which may start a thread for it."""
    try:
        return pool.submit(call, argument)
    except RuntimeError as error:
        if "start new thread" not in str(error):
            raise
        raise UserError("not enough memory, or too many processes, to start a thread") from error


def _finished(finishing: deque[Future[Done]], at_most: int) -> Iterator[Done]:
    """Results in order; waits while more than ``at_most`` are unfinished."""
    while finishing and (len(finishing) > at_most or finishing[0].done()):
        yield finishing.popleft().result()


def _pool(name: str) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(WORKERS, thread_name_prefix=name)
