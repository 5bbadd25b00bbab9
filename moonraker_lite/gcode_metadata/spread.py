"""Work on many items in several processes, in order, with few items under way at a time."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import TypeVar

_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
_AHEAD = 3  # items for each process

T = TypeVar("T")
R = TypeVar("R")


def end_with_parent(parent: int | None = None) -> None:
    """Have this process killed when whoever has started it goes away, however that happens; at once if the process
    with the number `parent` has gone already."""
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:
        os._exit(1)


def spread(work: Callable[[T], R], items: Iterable[T], processes: int) -> Iterator[R]:
    """As `map(work, items)`. For a process with one thread: it is forked. What `work` or `items` raise is raised."""
    forked = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(processes, forked, initializer=end_with_parent, initargs=(os.getpid(),))
    under_way: deque[Future[R]] = deque()
    try:
        for item in items:
            under_way.append(pool.submit(work, item))
            if len(under_way) >= processes * _AHEAD:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
