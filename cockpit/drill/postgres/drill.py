"""Runs the drill's database: real tables, a small workload, and switches for real troubles."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from cockpit.drill.postgres import schema
from cockpit.drill.postgres.cluster import Cluster
from cockpit.drill.postgres.workload import Client, WorkTimer, checkpoint, queue, read, report, write

if TYPE_CHECKING:
    import psycopg

#: What the network's services would feel: each statement of the small workload stands for many of
#: theirs.
AMPLIFIED = 2.0
REPORT_WEIGHT = 25.0  # each report that runs over and over counts as so many times the usual query time
NOISE = 5.0  # a machine that is busy otherwise is no incident
MOST_SLOWDOWN = 200.0
PUBLISHERS = 4  # whose checkpoints are too much


class DrillPostgres:
    """Runs the server and its workload.

    `start()` blocks for about 1.5 s, `start_soon()` does it in a thread; `url` and `admin_url` are
    known at once.

    Every switch takes effect in the server itself and may be thrown before it is up; none of them
    touches a metric.
    """

    def __init__(self, *, workload: bool = True) -> None:
        self.cluster = Cluster()
        self.ready = threading.Event()
        self.problem: Exception | None = None  # why it did not come up
        self._workload = workload
        self._clients: list[Client] = []
        self._reports: list[Client] = []
        self._publishers: list[Client] = []
        self._reads, self._writes, self._queue = WorkTimer(), WorkTimer(), WorkTimer()
        self._wanted: list[tuple[str, bool]] = []  # switches thrown before the server was up
        self._locker: psycopg.Connection[Any] | None = None
        self._lock = threading.RLock()
        self._closed = False

    @property
    def url(self) -> str:
        """Return the watching role's address: pg_monitor, no writes."""
        return self.cluster.url(schema.WATCHER, self.cluster.password, schema.DATABASE)

    @property
    def admin_url(self) -> str:
        """Return the address of the tables' owner, as whom a reviewed statement runs."""
        return self.cluster.url(schema.OWNER, self.cluster.password, schema.DATABASE)

    @property
    def app_url(self) -> str:
        return self.cluster.url(schema.APP, self.cluster.password, schema.DATABASE)

    @property
    def slowdown(self) -> float:
        """Return roughly how many times slower the services' queries are than usual.

        1.0 while all is well.
        """
        felt = max(gauge.slowdown for gauge in (self._reads, self._writes, self._queue))
        felt = AMPLIFIED * felt if felt > NOISE else 1.0
        return min(MOST_SLOWDOWN, max(felt, 1.0 + REPORT_WEIGHT * sum(client.works for client in self._reports)))

    # life

    def start_soon(self) -> None:
        threading.Thread(target=self._start_quietly, name="drill-postgres", daemon=True).start()

    def start(self) -> None:
        """Start the server, its tables and its workload.

        Raises ClusterProblem or psycopg.Error.
        """
        self.cluster.start()
        import psycopg

        with psycopg.connect(self.cluster.own_url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {schema.UNFINISHED}".encode())
        with psycopg.connect(self.cluster.own_url(schema.UNFINISHED), autocommit=True) as connection:
            for script in (schema.EXTENSION, schema.roles(self.cluster.password), schema.TABLES, *schema.SETTLE):
                connection.execute(script.encode())
        with psycopg.connect(self.cluster.own_url("postgres"), autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {schema.UNFINISHED} RENAME TO {schema.DATABASE}".encode())
        with psycopg.connect(self.app_url, autocommit=True, prepare_threshold=None) as connection:
            for gauge, work in ((self._reads, read), (self._writes, write), (self._queue, queue)):
                gauge.learn(partial(work, connection, Random(3)))
        self.run(None, ("SELECT pg_stat_statements_reset()",))
        with self._lock:
            if self._closed:
                return
            if self._workload:
                self._clients = [
                    Client(self.app_url, "m0-api-gateway", read, 0.2, self._reads, seed=1),
                    Client(self.app_url, "m0-reconciler", write, 0.4, self._writes, seed=2),
                    Client(self.app_url, "m0-submitter", queue, 0.5, self._queue, seed=3),
                ]
            self.ready.set()
            wanted, self._wanted = self._wanted, []
        for name, on in wanted:
            getattr(self, name)(on)

    def stop(self) -> None:
        """End the workload and the server; nothing is left behind."""
        with self._lock:
            self._closed = True
            # The server first: its sessions end with it, whatever they are doing.
            self.cluster.stop()
            self._let_go()
            for client in (*self._clients, *self._reports, *self._publishers):
                client.stop()
            self._clients, self._reports, self._publishers = [], [], []

    def down(self, on: bool = True) -> None:
        """Kill the server, and let nothing listen at its port; off: bring it back there.

        A promoted replica is behind the same name too.

        Raises ClusterProblem.
        """
        if on:
            self.cluster.kill(signal.SIGQUIT)
        else:
            self.cluster.start()

    def _start_quietly(self) -> None:
        try:
            self.start()
        except Exception as problem:  # the drill goes on without a database, and the cockpit shows it as down
            self.problem = problem

    # troubles

    def slow_query(self, on: bool = True) -> None:
        """Run a report that takes a core, over and over, on two sessions.

        Somebody sits at them, and stops when they are ended.
        """
        if self._later("slow_query", on):
            return
        with self._lock:
            if on and not self._reports:
                self._reports = [
                    Client(self.app_url, "m0-report", report, 0.05, seed=10 + i, by_hand=True) for i in range(2)
                ]
            elif not on:
                reports, self._reports = self._reports, []
                for client in reports:
                    client.stop()

    def missing_index(self, on: bool = True) -> None:
        """Drop the index of the API's query (a release "forgot" it).

        CREATE INDEX CONCURRENTLY by anyone cures it.
        """
        if not self._later("missing_index", on):
            statements = (f"DROP INDEX IF EXISTS {schema.HOT_INDEX}",) if on else (_again(schema.HOT_INDEX_SQL),)
            self.run(schema.OWNER, statements)

    def vacuum_debt(self, on: bool = True) -> None:
        """Turn autovacuum off for publish_queue, and leave its dead rows there.

        VACUUM by anyone cures it.
        """
        if not self._later("vacuum_debt", on):
            debt = (
                "ALTER TABLE publish_queue SET (autovacuum_enabled = false)",
                "INSERT INTO publish_queue (market_id, queued_at) SELECT 'market-1', now() "
                f"FROM generate_series(1, {schema.QUEUE_DEBT})",
                f"DELETE FROM publish_queue WHERE id > {schema.QUEUE_ROWS}",
            )
            cure = ("ALTER TABLE publish_queue RESET (autovacuum_enabled)", "VACUUM (ANALYZE) publish_queue")
            self.run(schema.OWNER, debt if on else cure)

    def write_volume(self, on: bool = True) -> None:
        """Let publishers write their whole state at every tick, all of them the same rows.

        The reconciler waits its turn.
        """
        if self._later("write_volume", on):
            return
        with self._lock:
            if on and not self._publishers:
                self._publishers = [
                    Client(self.app_url, "m0-submitter", checkpoint, 0.02, seed=20 + i) for i in range(PUBLISHERS)
                ]
            elif not on:
                publishers, self._publishers = self._publishers, []
                for client in publishers:
                    client.stop()

    def fail_archiver(self, on: bool = True) -> None:
        """Fill the archive's disk: archive_command fails from the next segment on."""
        if self._later("fail_archiver", on):
            return
        full = self.cluster.directory / "archive-full"
        if on:
            full.touch()
        else:
            full.unlink(missing_ok=True)
        # A finished segment wakes the archiver, which after three failures would sleep for a
        # minute.
        self.run(None, ("SELECT pg_logical_emit_message(false, 'drill', 'x')", "SELECT pg_switch_wal()"))

    def hold_lock(self, on: bool = True) -> None:
        """Update publish_state in a transaction that never ends: the reconciler waits for it."""
        if self._later("hold_lock", on):
            return
        self._let_go()
        if on:
            import psycopg

            locker = psycopg.connect(self.app_url, application_name="psql")
            locker.execute("UPDATE publish_state SET status = 'manual fix' WHERE id <= 1000")
            self._locker = locker

    def run(self, role: str | None, statements: Sequence[str]) -> list[tuple[Any, ...]]:
        """Run statements as this role (None: the superuser), each on its own; return the last rows.

        Raises psycopg.Error.
        """
        import psycopg

        url = (
            self.cluster.own_url(schema.DATABASE)
            if role is None
            else self.cluster.url(role, self.cluster.password, schema.DATABASE)
        )
        with psycopg.connect(url, autocommit=True, application_name="drill") as connection:
            cursor = None
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor is not None and cursor.description else []

    def keep_state(self, rows: Sequence[tuple[str, int, int]]) -> None:
        """Write market, epoch and sequence as the submitter does, while the database is up."""
        import psycopg

        statement = (
            "INSERT INTO publish_cursor VALUES (%s, %s, %s, now()) ON CONFLICT (market_id) DO UPDATE "
            "SET epoch = excluded.epoch, sequence = excluded.sequence, updated_at = now()"
        )
        with (
            contextlib.suppress(psycopg.Error, OSError),
            psycopg.connect(self.app_url, application_name="m0-submitter", connect_timeout=2) as connection,
        ):
            connection.cursor().executemany(statement, rows)

    @property
    def archive(self) -> Path:
        return self.cluster.archive

    def _later(self, name: str, on: bool) -> bool:
        """Remember a switch until the server is up; return whether that is still to come."""
        with self._lock:
            if not self.ready.is_set():
                self._wanted.append((name, on))
                return True
            return False

    def _let_go(self) -> None:
        locker, self._locker = self._locker, None
        if locker is not None:
            with contextlib.suppress(Exception):
                locker.close()


def _again(statement: str) -> str:
    return statement.replace("CREATE INDEX ", "CREATE INDEX IF NOT EXISTS ", 1)
