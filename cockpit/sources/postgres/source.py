"""Reads what the database says of itself, over one session that lives in a task of its own.

A frozen backend answers nothing and refuses nothing: the session's task then hangs, the source's
own does not. It hears nothing for `SILENCE_S`, says so on every topic, shuts the socket and
connects anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any

import msgspec

from cockpit.clock import Clock
from cockpit.model.reading import Fault, Reading, SourceState
from cockpit.settings import ConfigProblem, secret_of
from cockpit.sources.postgres.activity import activity
from cockpit.sources.postgres.health import Ask, Seen, Server, archiver, connections, replication, server, vacuum
from cockpit.sources.postgres.indexes import Scans
from cockpit.sources.postgres.own import MIGRATIONS, PUBLISH_STATE, migrations, publish_state
from cockpit.sources.postgres.session import PgProblem, Row, Session
from cockpit.sources.postgres.settings import PostgresSettings
from cockpit.sources.postgres.sql_text import MARK
from cockpit.sources.postgres.statements import Statements
from cockpit.sources.timing import Timings

#: Seconds between two signs of life of a healthy session, and how long its silence is borne.
PING_S = 3.0
SILENCE_S = 9.0
LEAST_INTERVAL_S = 0.5
#: The second poll comes soon, for rates need two.
SECOND_POLL_S = 2.0
TOPICS = ("connections", "queries", "indexes", "vacuum", "replication", "activity", "archiver")
#: What is read by queries of the configuration, where there are any.
OWN_TOPICS = (PUBLISH_STATE, MIGRATIONS)
#: What is read of the server's statistics: as old as they are, where their collector stands still.
OF_STATISTICS = frozenset({"indexes", "vacuum", "archiver"})

Heard = Reading[Any] | None  # None: a sign of life


class PostgresSource:
    """Publishes `postgres/NAME` for each of TOPICS, each with faults of its own."""

    def __init__(
        self,
        settings: PostgresSettings,
        clock: Clock,
        *,
        timings: Timings | None = None,
        rng: random.Random | None = None,
        silence_s: float = SILENCE_S,
        ping_s: float = PING_S,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._timings = timings or Timings()
        self._rng = rng or random.Random()
        self._silence_s = silence_s
        self._ping_s = min(ping_s, silence_s / 3)
        self._interval_s = max(LEAST_INTERVAL_S, settings.interval)
        own = {PUBLISH_STATE: settings.publish_state, MIGRATIONS: settings.migrations}
        self._topics = (*TOPICS, *(name for name in OWN_TOPICS if own[name] is not None))
        self._statements = Statements()
        self._scans = Scans()
        self._session: Session | None = None
        self._leaving: set[asyncio.Task[None]] = set()  # sessions that were given up and have not ended yet

    async def readings(self) -> AsyncGenerator[Reading[Any], None]:
        """Yield readings for ever.

        Not configured is for the caller to know: this connects, or says why it cannot.
        """
        attempt = 0
        while True:
            heard: asyncio.Queue[Heard] = asyncio.Queue()
            task = asyncio.create_task(self._live(heard), name="postgres-session")
            fault: Fault | None = None
            try:
                while fault is None:
                    try:
                        async with asyncio.timeout(self._silence_s):
                            news = await _next(heard, task)
                    except TimeoutError:
                        fault = self._silent()
                    except PgProblem as problem:
                        fault = problem.fault
                    else:
                        if news is not None:
                            attempt = 0
                            yield news
            finally:
                await self._give_up(task)
            for name in self._topics:
                yield self._reading(name, None, fault, 0.0)
            await asyncio.sleep(self._timings.backoff(attempt, self._rng))
            attempt += 1

    def _silent(self) -> Fault:
        words = "answered nothing" if self._session is not None else "accepted no session"
        return Fault(
            SourceState.DOWN,
            f"the database {words} for {self._silence_s:g} s: it is frozen, or the network is gone",
            "the cockpit connects anew by itself; is the server's host alive?",
        )

    async def _give_up(self, task: asyncio.Task[None]) -> None:
        """End the session's task without waiting for a frozen backend.

        The statement in flight ends with its socket.
        """
        session, self._session = self._session, None
        if task.done():
            return
        if session is None:
            task.cancel()
        else:
            session.break_off()
        self._leaving.add(task)
        task.add_done_callback(self._left)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({task}, timeout=0.2)
        if not task.done():
            task.cancel()

    def _left(self, task: asyncio.Task[None]) -> None:
        self._leaving.discard(task)
        if not task.cancelled():
            task.exception()

    # --- in the session's own task -------------------------------------------------------------

    async def _live(self, heard: asyncio.Queue[Heard]) -> None:
        """Live one session from its connection to its end, which is a PgProblem."""
        session = await Session.open(await asyncio.to_thread(self._url))
        self._session = session
        try:
            heard.put_nowait(None)

            async def ask(statement: str, parameters: Sequence[Any] | None = None) -> list[Row]:
                """Take every answer as a sign of life: a poll of a busy database may take long."""
                rows = await session.ask(statement, parameters)
                heard.put_nowait(None)
                return rows

            polls = 0
            while True:
                started = self._clock.mono()
                known = await server(ask)
                session.role = known.role
                await self._poll(ask, known, heard)
                wait = min(SECOND_POLL_S, self._interval_s) if polls == 0 else self._interval_s
                polls += 1
                while (left := started + wait - self._clock.mono()) > 0:
                    await asyncio.sleep(min(left, self._ping_s))
                    await ask(f"SELECT {MARK} 1")
        finally:
            if self._session is session:
                self._session = None
            await session.close()

    def _url(self) -> str:
        """Return the address; it blocks.

        Read anew for each connection: a file may have been rotated. Raises PgProblem.
        """
        own = self._settings
        try:
            url = secret_of(own.url, own.url_file, "the Postgres address")
        except ConfigProblem as problem:
            raise PgProblem(Fault(SourceState.DOWN, problem.reason, problem.remedy), lost=True) from None
        if not url:
            raise PgProblem(
                Fault(SourceState.DOWN, "[postgres] url is empty", "give url or url-file in [postgres]"), lost=True
            )
        return url

    async def _poll(self, ask: Ask, known: Server, heard: asyncio.Queue[Heard]) -> None:
        """Poll every topic once.

        One that fails leaves the rest standing; only a lost connection raises.
        """
        now = self._clock.mono()
        pollers: dict[str, Callable[[], Awaitable[Seen | None]]] = {
            "connections": lambda: connections(ask, known),
            "queries": lambda: self._statements.poll(ask, known, now),
            "indexes": lambda: self._scans.poll(ask, known, self._statements, now),
            "vacuum": lambda: vacuum(ask, known),
            "replication": lambda: replication(ask, known),
            "activity": lambda: activity(ask, known),
            "archiver": lambda: archiver(ask, known),
            PUBLISH_STATE: lambda: publish_state(ask, self._settings.publish_state or ""),
            MIGRATIONS: lambda: migrations(ask, self._settings.migrations or ""),
        }
        for name in self._topics:
            heard.put_nowait(await self._one(name, known, pollers[name]))

    async def _one(self, name: str, known: Server, poll: Callable[[], Awaitable[Seen | None]]) -> Heard:
        started = self._clock.mono()
        try:
            seen = await poll()
            data, fault = (_typed(seen[0]), seen[1]) if seen is not None else (None, None)
        except PgProblem as problem:
            if problem.lost:
                raise
            return self._reading(name, None, problem.fault, self._clock.mono() - started)
        except Exception as error:  # whatever shape a server's rows have: the other topics go on
            reason = f"PostgreSQL {known.version} answered what the cockpit cannot read ({type(error).__name__})"
            return self._reading(name, None, Fault(SourceState.DOWN, reason, "report it, with the version"), 0.0)
        if seen is None:
            return None
        old_s = (known.statistics_age_s or 0.0) if name in OF_STATISTICS else 0.0
        return self._reading(name, data, fault, self._clock.mono() - started, old_s)

    def _reading(self, name: str, data: Any, fault: Fault | None, took_s: float, old_s: float = 0.0) -> Reading[Any]:
        at = self._clock.mono() if data is not None else None
        return Reading(
            topic=f"postgres/{name}",
            data=data,
            observed_at=at - old_s if at is not None else None,
            asked_at=at,
            took_s=took_s,
            fault=fault,
            max_age_s=max(15.0, 3 * self._interval_s),
        )


def _typed(data: Any) -> Any:
    """Hold what was made of rows against its types: a text is no number, whatever the server says.

    Raises msgspec.ValidationError.
    """
    return msgspec.convert(msgspec.to_builtins(data), type(data)) if isinstance(data, msgspec.Struct) else data


async def _next(heard: asyncio.Queue[Heard], task: asyncio.Task[None]) -> Heard:
    """Return what the session's task says next.

    Raises what ended it, when all it had said was heard.
    """
    if not heard.empty():
        return heard.get_nowait()
    getting = asyncio.ensure_future(heard.get())
    try:
        await asyncio.wait({getting, task}, return_when=asyncio.FIRST_COMPLETED)
        if getting.done():
            return getting.result()
    finally:
        getting.cancel()
    if not heard.empty():
        return heard.get_nowait()
    task.result()
    raise AssertionError("a session never ends by itself")
