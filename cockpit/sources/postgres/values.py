"""Gives values of the database by name (`postgres.blocked`), or says why they are unknown."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from cockpit.model.reading import Unknown, believed
from cockpit.sources.values import Family, Snapshot, Value, broken, unknown

if TYPE_CHECKING:  # a start without a database need not define them
    from cockpit.model.observed.postgres import (
        Activity,
        Archiver,
        Connections,
        Indexes,
        PublishState,
        Replication,
        TopQueries,
        Vacuum,
    )

PREFIX = "postgres/"
#: While all statements together keep fewer sessions busy than this, no statement weighs on the
#: database.
IDLE_LOAD = 0.05
#: From here on, the lag of one replica is told although another tells none.
LAG_S = 1.0
#: Dead rows below this number are no debt, whatever their share: small queues are emptied all the
#: time.
FEW_DEAD = 1000
_HOUR = 3600.0
ANSWERS = "postgres.answers"
APART = "postgres.publish-state-apart"
#: What is said where nobody answers; not what a server says of a role, a password or a database.
_NOBODY = re.compile(
    r"(?i)connection refused|no connection (?:in time|within)|timed? ?out|no route to host|network is unreachable|"
    r"closed the connection|connection (?:reset|was lost)|answered nothing|accepted no session|"
    r"starting up|shutting down"
)
_WRITES = ("insert", "update", "delete", "merge", "copy")


class PostgresValues:
    """Reads values from one snapshot; made for each evaluation, cheap."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._source = snapshot.board.get(f"{PREFIX}source")

    def get(self, name: str) -> Value:
        """Return the value called `name`; the schema has checked that there is such a one."""
        if name == ANSWERS:
            return self._answers()
        if name == APART:
            return self._apart()
        topic, read = _VALUES[name.partition(".")[2]]
        reading = self._snapshot.board.get(PREFIX + topic)
        if reading is None and self._source is not None:
            return broken(self._source, "postgres", self._snapshot.mono)
        found = believed(reading, self._snapshot.mono)
        if isinstance(found, Unknown):
            return unknown(found, f"postgres {topic}")
        number, reason, labels = read(found.data, found.age_s)
        return Value(number, reason, found.age_s, labels)

    def _answers(self) -> Value:
        """Return 1 while the server takes our session, 0 while nobody does: an answer too."""
        reading = self._snapshot.board.get(f"{PREFIX}connections")
        if reading is None and self._source is not None:
            return broken(self._source, "postgres", self._snapshot.mono)
        found = believed(reading, self._snapshot.mono)
        if isinstance(found, Unknown):
            if not found.starting and _NOBODY.search(found.reason):
                return Value(0.0, found.reason, found.age_s)
            return unknown(found, "postgres connections")
        return Value(1.0, "", found.age_s)

    def _apart(self) -> Value:
        """Return how far the store's publish state is from the chain's, of the worst market.

        5.cause.2: what a submitter takes from its store is that much off.
        """
        reading = self._snapshot.board.get(f"{PREFIX}publish-state")
        if reading is None and self._source is not None:
            return broken(self._source, "postgres", self._snapshot.mono)
        if reading is None and self._snapshot.board.get(f"{PREFIX}connections") is not None:
            return Value(None, "[postgres] publish-state is not configured", off=True)
        found = believed(reading, self._snapshot.mono)
        chain = believed(self._snapshot.board.get("solana/markets"), self._snapshot.mono)
        if isinstance(found, Unknown):
            return unknown(found, "postgres publish-state")
        if isinstance(chain, Unknown):
            return unknown(chain, "solana markets")
        state: PublishState = found.data
        stored = {each.market: each for each in state.markets}
        both = [(each, stored[each.market_id]) for each in chain.data.values() if each.market_id in stored]
        if not both:
            return Value(None, "postgres publish-state: no market of it is on the chain", found.age_s)
        held, own = max(both, key=lambda pair: abs(pair[0].last_sequence - pair[1].sequence))
        labels = {
            "market": held.market_id,
            "chain": f"chain epoch {held.current_epoch_id} sequence {held.last_sequence:,}",
            "store": f"store epoch {own.epoch} sequence {own.sequence:,}",
        }
        return Value(float(abs(held.last_sequence - own.sequence)), "", found.age_s, labels)


Read = tuple[float | None, str, Mapping[str, str] | None]


def _connections_share(seen: Connections, age: float) -> Read:
    del age
    most = seen.by_application[0].name if seen.by_application else ""
    return 100.0 * seen.share, "", {"sessions": f"{seen.total} of {seen.limit}", "most": most}


def _top_share(seen: TopQueries, age: float) -> Read:
    del age
    if seen.window_s is None or seen.load is None:
        return None, "postgres queries: read once only, no rates yet", None
    if not seen.queries or seen.load < IDLE_LOAD:
        return 0.0, "", None
    top = seen.queries[0]
    return 100.0 * (top.share or 0.0), "", {"query": top.text[:120], "user": top.user}


def _write_share(seen: TopQueries, age: float) -> Read:
    """Return writes' share of the execution time of the top statements, in the window."""
    del age
    if seen.window_s is None or seen.load is None:
        return None, "postgres queries: read once only, no rates yet", None
    if seen.load < IDLE_LOAD:
        return 0.0, "", None
    writes = [query for query in seen.queries if query.text.split(" ", 1)[0].lower() in _WRITES]
    labels = {"query": writes[0].text[:120], "user": writes[0].user} if writes else None
    return 100.0 * sum(query.share or 0.0 for query in writes), "", labels


def _slowest(seen: TopQueries, age: float) -> Read:
    del age
    if seen.window_s is None:
        return None, "postgres queries: read once only, no rates yet", None
    if seen.slowest is None:
        return 0.0, "", None
    return seen.slowest.ms_per_call or 0.0, "", {"query": seen.slowest.text[:120], "user": seen.slowest.user}


def _missing_indexes(seen: Indexes, age: float) -> Read:
    """Count tables that lack an index.

    One whose column cannot be told leaves the number unknown, unless another is known to lack one.
    """
    del age
    missing = [entry for entry in seen.missing if entry.cause == "missing"]
    if missing:
        return float(len(missing)), "", {"table": missing[0].table, "columns": ", ".join(missing[0].columns)}
    unclear = next((entry for entry in seen.missing if entry.cause == "untold"), None)
    if unclear is not None:
        return None, f"{unclear.table}: {unclear.reason}", None
    return 0.0, "", None


def _vacuum_debt(seen: Vacuum, age: float) -> Read:
    del age
    indebted = [table for table in seen.tables if table.dead >= FEW_DEAD]
    if not indebted:
        return 0.0, "", None
    worst = max(indebted, key=lambda table: table.dead_ratio)
    labels = {"table": worst.table, "dead": f"{worst.dead:,}"} | ({} if worst.autovacuum else {"autovacuum": "off"})
    return 100.0 * worst.dead_ratio, "", labels


def _vacuum_age(seen: Vacuum, age: float) -> Read:
    return (seen.oldest_vacuum_s + age if seen.oldest_vacuum_s else 0.0) / _HOUR, "", None


def _analyze_age(seen: Vacuum, age: float) -> Read:
    return (seen.oldest_analyze_s + age if seen.oldest_analyze_s else 0.0) / _HOUR, "", None


def _wraparound(seen: Vacuum, age: float) -> Read:
    del age
    return 100.0 * seen.wraparound, "", None


def _replication_lag(seen: Replication, age: float) -> Read:
    """Return the lag of the slowest replica, or of this server when it is a standby."""
    del age
    if seen.in_recovery:
        reason = "" if seen.replay_lag_s is not None else "postgres replication: nothing was replayed yet"
        return seen.replay_lag_s, reason, None
    if not seen.replicas:
        return None, "postgres replication: no replica streams from this server", None
    unclear = next((replica for replica in seen.replicas if replica.lag_s is None), None)
    known = [replica for replica in seen.replicas if replica.lag_s is not None]
    worst = max(known, key=lambda replica: replica.lag_s or 0.0, default=None)
    if worst is None or (unclear is not None and (worst.lag_s or 0.0) < LAG_S):
        return None, f"postgres replication: {unclear.name if unclear else '?'} tells no lag", None
    return worst.lag_s, "", {"replica": worst.name}


def _slot_retained(seen: Replication, age: float) -> Read:
    del age
    kept = [slot for slot in seen.slots if not slot.active and slot.retained_bytes is not None]
    worst = max(kept, key=lambda slot: slot.retained_bytes or 0, default=None)
    return (float(worst.retained_bytes or 0), "", {"slot": worst.name}) if worst is not None else (0.0, "", None)


def _long_transaction(seen: Activity, age: float) -> Read:
    if not seen.transactions:
        return 0.0, "", None
    oldest = seen.transactions[0]
    return oldest.age_s + age, "", {"pid": str(oldest.pid), "application": oldest.application, "state": oldest.state}


def _blocked(seen: Activity, age: float) -> Read:
    del age
    if not seen.blocked:
        return float(seen.blocked_total), "", None
    first = seen.blocked[0]
    return float(seen.blocked_total), "", {"by": f"{first.root or '?'} {first.root_words}"}


def _archive_failing(seen: Archiver, age: float) -> Read:
    del age
    if seen.mode not in ("on", "always"):
        return None, f"postgres archiver: {seen.verdict}", None
    return float(seen.failing or seen.works is False), "", None


def _archive_age(seen: Archiver, age: float) -> Read:
    if seen.last_archived_age_s is None:
        return None, f"postgres archiver: {seen.verdict}", None
    return seen.last_archived_age_s + age, "", None


def _archive_waiting(seen: Archiver, age: float) -> Read:
    del age
    if seen.waiting is None:
        return None, f"postgres archiver: {seen.verdict}", None
    return float(seen.waiting), "", None


def _pitr(seen: Archiver, age: float) -> Read:
    del age
    if seen.works is None:
        return None, f"postgres archiver: {seen.verdict}", None
    return float(seen.works), "", None


#: Name → the topic that it stands on, and how it is read.
_VALUES: Mapping[str, tuple[str, Callable[[Any, float], Read]]] = {
    "connections-share": ("connections", _connections_share),  # %
    "top-query-share": ("queries", _top_share),  # %
    "slowest-query-ms": ("queries", _slowest),
    "write-share": ("queries", _write_share),  # %
    "missing-indexes": ("indexes", _missing_indexes),
    "vacuum-debt": ("vacuum", _vacuum_debt),  # % of the worst table's rows that are dead
    "vacuum-age-hours": ("vacuum", _vacuum_age),  # of tables past autovacuum's threshold; 0 when none is
    "analyze-age-hours": ("vacuum", _analyze_age),
    "wraparound": ("vacuum", _wraparound),  # %
    "replication-lag": ("replication", _replication_lag),  # s
    "slot-retained": ("replication", _slot_retained),  # bytes kept for the worst inactive slot
    "long-transaction": ("activity", _long_transaction),  # s
    "blocked": ("activity", _blocked),  # sessions
    "archive-failing": ("archiver", _archive_failing),  # 0 or 1
    "archive-age": ("archiver", _archive_age),  # s
    "archive-waiting": ("archiver", _archive_waiting),  # segments
    "pitr": ("archiver", _pitr),  # 1 while archiving works
}

FAMILY = Family(PostgresValues, plain=(ANSWERS, APART, *(f"postgres.{name}" for name in _VALUES)))
