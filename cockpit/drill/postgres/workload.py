"""Sends what the services ask of the drill's database, each in a session and thread of its own."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

READ = (
    "SELECT o.id, o.tick, o.payload FROM outputs o WHERE o.market_id = %s AND o.epoch = %s "
    "ORDER BY o.tick DESC LIMIT 20"
)
WRITE = "UPDATE publish_state SET status = %s, attempts = attempts + 1, updated_at = now() WHERE id = %s"
APPEND = "INSERT INTO features (market_id, name, at, value) VALUES (%s, %s, now(), %s)"
RECENT = "SELECT name, avg(value) FROM features WHERE market_id = %s AND at > now() - interval '1 hour' GROUP BY name"
#: How much is queued, and for how long: the table is small while what was taken from it is vacuumed
#: away.
QUEUE = "SELECT count(*), min(queued_at) FROM publish_queue"
#: A publisher's whole state, at every tick: the rows that the reconciler wants too, and many new
#: ones.
CHECKPOINT = (
    "UPDATE publish_state SET attempts = attempts + 1, updated_at = now() WHERE id <= 1000",
    "INSERT INTO features (market_id, name, at, value) SELECT 'market-' || i % 40, 'checkpoint', "
    "now() - interval '1 day', i FROM generate_series(1, 4000) i",
    "UPDATE publish_state SET status = 'checkpoint' WHERE id <= 1000",
)
#: Behind the statements of one message: how long they took in the server since the message came.
#: What the client's own threads wait for, in a process or on a machine that is busy otherwise, is
#: not in it.
TOOK = "SELECT extract(epoch FROM clock_timestamp() - statement_timestamp())::float8"
#: A report that somebody runs on the primary: every output joined with every feature of its market,
#: hashed.
HEAVY = """
SELECT m.domain, count(*), avg(f.value), max(md5(o.payload || f.name)) FROM outputs o
JOIN markets m ON m.id = o.market_id
JOIN features f ON f.market_id = o.market_id AND f.at >= o.created_at - interval '40 s' AND f.at < o.created_at
GROUP BY m.domain
"""
SOON_S = 0.5
HESITATION_S = 0.08
HANGS_S = 1.0  # work under way for longer than this counts before it has ended
LEAST_S = 0.0003  # what takes less is noise


#: One round on a session; the seconds that it took in the server, 0 where nobody asks.
Work = Callable[["psycopg.Connection[Any]", random.Random], float]


class WorkTimer:
    """Measures how long one kind of work takes now, against what it took when all was well.

    Of the last few the second fastest counts: a machine that was busy for a moment is no slow
    database.
    """

    def __init__(self, last: int = 5) -> None:
        self._lock = threading.Lock()
        self._usual: float | None = None
        self._took: deque[float] = deque(maxlen=last)
        self._begun: float | None = None

    def learn(self, work: Callable[[], float], times: int = 25) -> None:
        """Do it a few times and keep the second fastest, before there is any trouble."""
        took = sorted(work() for _ in range(times))
        with self._lock:
            self._usual = max(took[1], LEAST_S)
            self._took.extend([self._usual] * (self._took.maxlen or 1))

    def begin(self) -> None:
        with self._lock:
            self._begun = time.monotonic()

    def end(self, took_s: float | None) -> None:
        """Record how long it took; None: it failed, however long it took."""
        with self._lock:
            self._begun = None
            if took_s is not None:
                self._took.append(took_s)

    @property
    def slowdown(self) -> float:
        """Return times the usual duration, the work under way included; 1 while unknown."""
        with self._lock:
            if self._usual is None:
                return 1.0
            under_way = time.monotonic() - self._begun if self._begun is not None else 0.0
            felt = max(sorted(self._took)[1], under_way if under_way > HANGS_S else 0.0)
            return max(1.0, felt / self._usual)


class Client:
    """Works in a session until `stop`, and connects again when it was cut off.

    Unless `by_hand`: then somebody sits at it, whom the end of the session stops.
    """

    def __init__(
        self,
        url: str,
        application: str,
        work: Work,
        every_s: float,
        gauge: WorkTimer | None = None,
        seed: int = 0,
        *,
        by_hand: bool = False,
    ) -> None:
        self._by_hand = by_hand
        self._url = url
        self._application = application
        self._work = work
        self._every_s = every_s
        self._gauge = gauge
        self._rng = random.Random(seed)
        self._stop = threading.Event()
        self._connection: psycopg.Connection[Any] | None = None
        self._thread = threading.Thread(target=self._run, name=f"drill-{application}", daemon=True)
        self._thread.start()

    @property
    def works(self) -> bool:
        return not self._stop.is_set()

    def stop(self) -> None:
        """End it, the statement under way included."""
        self._stop.set()
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.cancel_safe(timeout=1.0)
        self._thread.join(5.0)

    def _run(self) -> None:
        import psycopg

        while not self._stop.is_set():
            try:
                with self._connect() as connection:
                    self._connection = connection
                    self._go_on(connection)
            except psycopg.errors.QueryCanceled:
                pass  # it took too long, or `stop` ended it
            except (psycopg.Error, OSError):
                # The session was ended, or the server is away. pg_terminate_backend between two
                # statements is no AdminShutdown but a mere loss of the connection, so any loss
                # counts.
                if self._by_hand and self._connection is not None:
                    self._stop.set()
            self._connection = None
            self._stop.wait(SOON_S)

    def _connect(self) -> psycopg.Connection[Any]:
        import psycopg

        return psycopg.connect(
            self._url, autocommit=True, application_name=self._application, connect_timeout=2, prepare_threshold=None
        )

    def _go_on(self, connection: psycopg.Connection[Any]) -> None:
        while not self._stop.is_set():
            took_s: float | None = None
            if self._gauge is not None:
                self._gauge.begin()
            try:
                took_s = self._work(connection, self._rng)
            finally:
                if self._gauge is not None:
                    self._gauge.end(took_s)
            self._stop.wait(self._every_s)


def _timed(connection: psycopg.Connection[Any], statements: str, values: tuple[object, ...] = ()) -> float:
    """Run statements as one message; return the seconds that they took, as the server says.

    Raises psycopg.Error.
    """
    import psycopg

    # The values are bound here: only so may a message hold several statements.
    cursor = psycopg.ClientCursor(connection)
    cursor.execute(f"{statements}; {TOOK}".encode(), values)
    while cursor.nextset():
        pass
    return float(cursor.fetchall()[0][0])


def read(connection: psycopg.Connection[Any], rng: random.Random) -> float:
    """Ask, as the API does, for the newest outputs of a market."""
    return _timed(connection, READ, (f"market-{rng.randrange(40)}", rng.randrange(600)))


def write(connection: psycopg.Connection[Any], rng: random.Random) -> float:
    """Write, as the reconciler does, one publish state and a feature."""
    state = ("revealed", 1 + rng.randrange(1000))
    feature = (f"market-{rng.randrange(40)}", f"f{rng.randrange(25)}", rng.random())
    return _timed(connection, f"{WRITE}; {APPEND}; {RECENT}", (*state, *feature, f"market-{rng.randrange(40)}"))


def queue(connection: psycopg.Connection[Any], rng: random.Random) -> float:
    """Queue, as the submitter does, what waits to be published."""
    del rng
    return _timed(connection, QUEUE)


def checkpoint(connection: psycopg.Connection[Any], rng: random.Random) -> float:
    """Write one publisher's tick: one transaction, which computes between its statements."""
    del rng
    with connection.transaction():
        for statement in CHECKPOINT:
            connection.execute(statement.encode())
            time.sleep(HESITATION_S)
    return 0.0


def report(connection: psycopg.Connection[Any], rng: random.Random) -> float:
    del rng
    connection.execute("SET statement_timeout = '20s'")
    connection.execute("SET max_parallel_workers_per_gather = 0")
    connection.execute(HEAVY).fetchall()
    return 0.0
