"""Runs slow work, such as posting updates or collecting evidence, on a thread and loop of its own.

They begin at the first use.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Background:
    """Runs an event loop in a thread; `submit` returns at once and may be called from any."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._mutex = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._under_way: set[Future[Any]] = set()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        with self._mutex:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_run, args=(self._loop,), name=self._name, daemon=True)
                self._thread.start()
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
            self._under_way.add(future)
        future.add_done_callback(self._under_way.discard)
        return future

    def wait(self, timeout_s: float) -> None:
        """Give the work under way a moment."""
        deadline = time.monotonic() + timeout_s
        for future in list(self._under_way):
            with contextlib.suppress(Exception):
                future.result(max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        """Cancel what is left and end the thread."""
        if self._loop is not None and self._thread is not None and self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(_wind_up(self._loop), self._loop)
            self._thread.join(1.0)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()


async def _wind_up(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel every task; one that ignores it ends with the process."""
    tasks = asyncio.all_tasks() - {task for task in (asyncio.current_task(),) if task is not None}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=0.5)
    loop.call_soon(loop.stop)
