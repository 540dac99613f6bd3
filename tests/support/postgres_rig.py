"""A real PostgreSQL for tests, and ways to hear the source until something is so."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from typing import Any

import psycopg

from cockpit.assessment.board import Board
from cockpit.clock import SystemClock
from cockpit.drill.postgres import DrillPostgres
from cockpit.model.reading import Fault, Reading, SourceState
from cockpit.sources.postgres.settings import PostgresSettings
from cockpit.sources.postgres.source import PostgresSource
from cockpit.sources.timing import Timings
from tests.support.readings import fault_in, kept
from tests.support.waiting import HANG_S

QUICK = Timings(backoff_s=0.05, backoff_cap_s=0.2)


class Listener:
    """Runs a source in the background and keeps what it says, as the engine does."""

    def __init__(self, source: PostgresSource) -> None:
        self.board = Board()
        self.heard: list[Reading[Any]] = []
        self._source = source
        self._news = asyncio.Event()

    async def run(self) -> None:
        async with aclosing(self._source.readings()) as readings:
            async for reading in readings:
                self.board.put(reading)
                self.heard.append(reading)
                self._news.set()

    async def until(self, is_so: Callable[[Board], Any], within_s: float = HANG_S) -> Any:
        """What `is_so` returned when it was first true of the board.

        Raises TimeoutError.
        """
        async with asyncio.timeout(within_s):
            while not (found := is_so(self.board)):
                self._news.clear()
                await self._news.wait()
        return found

    async def data(self, topic: str, is_so: Callable[[Any], Any] = lambda data: True) -> Any:
        """The topic's newest live data of which `is_so` holds."""

        def answered(board: Board) -> Any:
            reading = board.get(f"postgres/{topic}")
            live = reading is not None and fault_in(reading) is None and kept(reading) is not None
            return kept(reading) if live and reading is not None and is_so(kept(reading)) else None

        return await self.until(answered)

    async def fault(self, topic: str, *states: SourceState) -> Fault:
        def answered(board: Board) -> Fault | None:
            reading = board.get(f"postgres/{topic}")
            fault = fault_in(reading) if reading is not None else None
            return fault if fault is not None and fault.state in (states or tuple(SourceState)) else None

        found = await self.until(answered)
        assert isinstance(found, Fault)
        return found

    @property
    def said(self) -> str:
        return "\n".join(repr(reading) for reading in self.heard)


@asynccontextmanager
async def listening(url: str, **options: Any) -> AsyncIterator[Listener]:
    settings = options.pop("settings", None) or PostgresSettings(url=url, interval=0.5)
    source = PostgresSource(settings, SystemClock(), timings=QUICK, **options)
    listener = Listener(source)
    task = asyncio.create_task(listener.run())
    try:
        yield listener
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextmanager
def session(
    database: DrillPostgres, *, application: str = "test", admin: bool = True
) -> Iterator[psycopg.Connection[Any]]:
    url = database.cluster.own_url("m0") if admin else database.app_url
    with psycopg.connect(url, autocommit=True, application_name=application) as connection:
        yield connection


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """A process that neither answers nor ends."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
