"""Holds what the database says of itself: plain values that panels and signals read.

Ages and durations are in seconds by the server's own clock at the moment of the look. Texts are
cleaned, redacted and without literals where they come in. Relations are `schema.name`, quoted as
SQL needs them.
"""

from __future__ import annotations

import msgspec


class Group(msgspec.Struct, frozen=True):
    """Counts sessions that have something in common.

    A state ("active", "idle in transaction") or an application.
    """

    name: str
    count: int


class Connections(msgspec.Struct, frozen=True):
    """Holds `postgres/connections`: all databases' client sessions against the server's limit."""

    total: int
    limit: int  # max_connections less what is reserved for superusers
    by_state: tuple[Group, ...] = ()  # most first
    by_application: tuple[Group, ...] = ()
    database: str = ""
    version: str = ""
    up_s: float | None = None  # since the server started

    @property
    def share(self) -> float:
        """Return the share of the limit, 0..1."""
        return self.total / self.limit if self.limit > 0 else 1.0


class TopQuery(msgspec.Struct, frozen=True):
    """Describes one normalised statement.

    Rates are over `TopQueries.window_s`; None before the second look.
    """

    key: str
    text: str
    database: str
    user: str
    calls: int  # since statistics began
    total_ms: float
    mean_ms: float
    calls_per_s: float | None = None
    ms_per_call: float | None = None  # in the window; None when it was not called there
    share: float | None = None  # 0..1 of all execution time in the window
    load: float | None = None  # sessions kept busy on average: seconds of execution a second
    blocks_per_call: float | None = None  # 8 kB pages touched, in the window


class TopQueries(msgspec.Struct, frozen=True):
    """Holds `postgres/queries`, from pg_stat_statements: what takes most time, most first."""

    window_s: float | None  # None at the first look
    queries: tuple[TopQuery, ...]
    slowest: TopQuery | None  # by mean time in the window, of those that were called
    tracked: int = 0
    evicted: int = 0  # statements that pg_stat_statements had to forget
    load: float | None = None  # of all statements together


class MissingIndex(msgspec.Struct, frozen=True):
    """Describes a table that is read whole, often, while it is large.

    `cause`: "missing" (an index would serve: `statement` adds it), "building" (one is under way),
    "whole" (no ordinary index would serve), "untold" (which column cannot be told).
    """

    table: str
    rows: int
    size_bytes: int
    scans_per_s: float
    rows_per_scan: float
    columns: tuple[str, ...]
    cause: str
    reason: str
    statement: str = ""
    index: str = ""  # the name in the statement
    query: str = ""  # the statement that reads it so, when it can be told


class IndexTrouble(msgspec.Struct, frozen=True):
    """Describes an index that is invalid (a build failed, or is under way) or that nothing uses."""

    index: str
    table: str
    kind: str  # "invalid", "building", "unused"
    size_bytes: int
    reason: str
    statement: str = ""


class Indexes(msgspec.Struct, frozen=True):
    """Holds `postgres/indexes` of the connected database.

    `window_s`: what scan rates were measured over.
    """

    window_s: float
    missing: tuple[MissingIndex, ...]  # most rows read in vain first
    troubles: tuple[IndexTrouble, ...]
    tables: int = 0


class TableUpkeep(msgspec.Struct, frozen=True):
    """Describes vacuum and analyse of one table.

    Ages None: never.
    """

    table: str
    live: int
    dead: int
    size_bytes: int
    vacuum_age_s: float | None
    analyze_age_s: float | None
    changed: int  # rows changed since the last analyse
    vacuum_overdue: bool  # more dead rows than autovacuum's own threshold
    analyze_overdue: bool
    autovacuum: bool = True  # False: switched off for this table

    @property
    def dead_ratio(self) -> float:
        """Return the share of the rows that are there, 0..1."""
        return self.dead / (self.live + self.dead) if self.live + self.dead else 0.0


class VacuumRun(msgspec.Struct, frozen=True):
    """Describes a vacuum under way."""

    pid: int
    table: str
    phase: str
    done: float | None  # 0..1 of the heap scanned


class Vacuum(msgspec.Struct, frozen=True):
    """Holds `postgres/vacuum` of the connected database: the tables that need it most, first."""

    tables: tuple[TableUpkeep, ...]
    running: tuple[VacuumRun, ...]
    wraparound: float  # 0..1: age of the oldest transaction id of any database against the 2^31 that end it
    autovacuum: bool
    since_s: float  # how far back the statistics reach at least: what "never" means
    oldest_vacuum_s: float = 0.0  # of the tables that are overdue; 0 when none is
    oldest_analyze_s: float = 0.0


class Replica(msgspec.Struct, frozen=True):
    name: str
    state: str
    sync: str
    lag_bytes: int | None
    lag_s: float | None


class Slot(msgspec.Struct, frozen=True):
    """Describes a replication slot: while inactive it keeps WAL on the server's disk."""

    name: str
    active: bool
    retained_bytes: int | None
    status: str


class Replication(msgspec.Struct, frozen=True):
    """Holds `postgres/replication`.

    `replay_lag_s`: of this server, when it is a standby.
    """

    in_recovery: bool
    replicas: tuple[Replica, ...] = ()
    slots: tuple[Slot, ...] = ()
    replay_lag_s: float | None = None


class LongTransaction(msgspec.Struct, frozen=True):
    pid: int  # 0: a prepared transaction, which no session holds
    application: str
    user: str
    state: str
    age_s: float
    waits: str  # "Lock: transactionid", "" when it runs
    text: str
    blocks: int = 0  # sessions that wait for it, directly or not


class Blocked(msgspec.Struct, frozen=True):
    """Describes a session that waits for a lock.

    `root`: the session at the chain's end that waits for no lock itself.
    """

    pid: int
    application: str
    waits_s: float | None
    lock: str  # "ShareLock on transaction 812", "AccessExclusiveLock on public.outputs"
    by: tuple[int, ...]  # 0 stands for a prepared transaction
    root: int | None
    root_words: str  # who that is and what it does
    text: str


class Activity(msgspec.Struct, frozen=True):
    """Holds `postgres/activity`: transactions by age, oldest first, and who waits for whom."""

    transactions: tuple[LongTransaction, ...]
    blocked: tuple[Blocked, ...]  # longest first, bounded
    blocked_total: int = 0
    deadlocks: int = 0  # since statistics began, of this database


class Archiver(msgspec.Struct, frozen=True):
    """Holds `postgres/archiver`.

    `works`: True, False, or None when it cannot be told; `verdict` says it in words.
    """

    mode: str  # "on", "off", "always"
    commanded: bool  # an archive_command or archive_library is set
    archived: int
    failed: int
    last_archived: str
    last_archived_age_s: float | None
    last_failed: str
    last_failed_age_s: float | None
    waiting: int | None  # segments ready and not archived; None without the right to count them
    waiting_age_s: float | None  # of the oldest of them
    in_recovery: bool
    works: bool | None
    failing: bool
    verdict: str


class Published(msgspec.Struct, frozen=True):
    """Holds what the store says that was published last of one market."""

    market: str
    epoch: int
    sequence: int


class PublishState(msgspec.Struct, frozen=True):
    """Holds `postgres/publish-state`, by a query of the configuration."""

    markets: tuple[Published, ...]


class Migration(msgspec.Struct, frozen=True):
    version: str
    success: bool
    at: float | None = None  # unix seconds; None: the query does not say


class Migrations(msgspec.Struct, frozen=True):
    """Holds `postgres/migrations`, by a query of the configuration, in its order."""

    applied: tuple[Migration, ...]

    @property
    def failed(self) -> tuple[Migration, ...]:
        return tuple(each for each in self.applied if not each.success)
