"""Shows the database in seven lines.

Connections, top query, missing index, vacuum, transactions and locks, replicas, archive.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cockpit.model.signal import Level
from cockpit.model.situation import Situation
from panels.dashboard.facts import database
from panels.dashboard.facts.database import data, live, milliseconds, since, table_name
from panels.dashboard.facts.metrics import Trouble, state
from panels.dashboard.frame.panel import LinesPanel
from panels.kit.spans import Line, Span
from panels.kit.theme import MARK
from panels.kit.words import age, count, duration, percent

if TYPE_CHECKING:  # a start without a database need not define them
    from cockpit.model.observed.postgres import (
        Activity,
        Archiver,
        Connections,
        Indexes,
        Replication,
        TopQueries,
        Vacuum,
    )

TopicWords = tuple[list[Span], Level]  # what a line says, and its level where no signal judges it

#: Signals by the line that they judge. What the runbooks do not define is not judged.
JUDGED: dict[str, tuple[str, ...]] = {
    "connections": ("pg-connections",),
    "queries": ("pg-top-query", "pg-slowest-query"),
    "indexes": ("pg-missing-indexes",),
    "vacuum": ("pg-vacuum-debt", "pg-vacuum-age", "pg-analyze-age", "pg-wraparound"),
    "activity": ("pg-blocked", "pg-long-transaction"),
    "replication": ("pg-replication-lag",),
    "archiver": ("pg-archive-failing", "pg-pitr", "pg-archive-age"),
}


class PostgresPanel(LinesPanel):
    signals = tuple(name for names in JUDGED.values() for name in names)

    def trouble(self, situation: Situation) -> list[Trouble]:
        return database.trouble(situation)

    def age_s(self, situation: Situation) -> float | None:
        return database.oldest(situation)

    def aside(self, situation: Situation) -> Line:
        seen = data(situation, "connections")
        return () if seen is None else ((f"{seen.database} {seen.version}", "dim"),)

    def content(self, situation: Situation, width: int) -> list[Line]:
        if "postgres" not in situation.configured or not situation.postgres:
            return []
        return [
            _line(situation, width, "sessions", "connections", _connections),
            _line(situation, width, "top query", "queries", _queries),
            _line(situation, width, "indexes", "indexes", _indexes),
            _line(situation, width, "vacuum", "vacuum", _vacuum),
            _line(situation, width, "locks", "activity", _activity),
            _line(situation, width, "replicas", "replication", _replication),
            _line(situation, width, "archive", "archiver", _archiver),
        ]


def _line(situation: Situation, width: int, label: str, topic: str, words: Callable[[Any, float], TopicWords]) -> Line:
    """Return mark, label and words, so that the colour is not needed."""
    seen = data(situation, topic)
    unread: TopicWords = ([("nothing read", "unknown")], Level.UNKNOWN)
    spans, calm = unread if seen is None else words(seen, since(situation, topic))
    level = database.level_of(situation, topic, JUDGED[topic], calm)
    role = "unknown" if not live(situation, topic) else None
    shown = [(text, role if role and kind in ("text", "bold") else kind) for text, kind in spans]
    word = state(level)[0] if width >= 44 else MARK[level]
    return ((f"{word:<10}" if width >= 44 else f"{word} ", level.value), (f"{label:<10}", "dim"), *shown)


def _connections(seen: Connections, since_s: float) -> TopicWords:
    del since_s
    states = {group.name: group.count for group in seen.by_state}
    spans: list[Span] = [(f"{seen.total} of {seen.limit}", "bold"), (f"  {percent(seen.share)}", "text")]
    for name, role in (("active", "text"), ("idle in transaction", "text"), ("idle in transaction (aborted)", "warn")):
        if states.get(name):
            spans.append((f"  {states[name]} {name}", role))
    return spans, Level.OK


def _queries(seen: TopQueries, since_s: float) -> TopicWords:
    del since_s
    if seen.window_s is None:
        return [("read once only: no rates yet", "unknown")], Level.UNKNOWN
    if not seen.queries:
        return [("none ended in the last minute", "text")], Level.OK
    top = seen.queries[0]
    spans: list[Span] = [
        (percent(top.share or 0.0), "bold"),
        (f"  {milliseconds(top.ms_per_call or 0.0)} × {count(top.calls_per_s or 0.0)}/s  ", "text"),
        (top.text, "dim"),
    ]
    return spans, Level.OK


def _indexes(seen: Indexes, since_s: float) -> TopicWords:
    del since_s
    missing = [entry for entry in seen.missing if entry.cause == "missing"]
    if missing:
        first = missing[0]
        more = f"  and {len(missing) - 1} more" if len(missing) > 1 else ""
        where = f"{table_name(first.table)} ({', '.join(first.columns)})"
        return [("lacks one: ", "text"), (where, "bold"), (more, "text")], Level.WARN
    others = {"untold": "scanned whole, column unknown", "building": "being built", "whole": "scanned whole"}
    for cause, words in others.items():
        found = next((entry for entry in seen.missing if entry.cause == cause), None)
        if found is not None:
            return [(f"{table_name(found.table)}: {words}", "text")], Level.UNKNOWN if cause == "untold" else Level.OK
    invalid = sum(entry.kind == "invalid" for entry in seen.troubles)
    if invalid:
        return [(f"{invalid} invalid", "bold")], Level.WARN
    return [("none is missing", "text")], Level.OK


def _vacuum(seen: Vacuum, since_s: float) -> TopicWords:
    overdue = [table for table in seen.tables if table.vacuum_overdue]
    if not seen.autovacuum:
        return [("autovacuum is off", "warn")], Level.WARN
    if not overdue:
        running = f"  {len(seen.running)} running" if seen.running else ""
        return [("nothing overdue", "text"), (running, "dim")], Level.OK
    worst = max(overdue, key=lambda table: table.dead)
    last = "never" if worst.vacuum_age_s is None else f"{age(worst.vacuum_age_s + since_s)} ago"
    spans: list[Span] = [
        (table_name(worst.table), "bold"),
        (f" {percent(worst.dead_ratio)} dead, vacuumed {last}", "text"),
    ]
    if not worst.autovacuum:
        spans.append((", autovacuum off", "warn"))
    return spans, Level.OK


def _activity(seen: Activity, since_s: float) -> TopicWords:
    spans: list[Span] = []
    if seen.blocked:
        first = seen.blocked[0]
        spans += [
            (f"{seen.blocked_total} blocked", "bold"),
            (f" by {first.root if first.root else '?'} {first.root_words}", "text"),
        ]
        return spans, Level.WARN
    if seen.transactions:
        oldest = seen.transactions[0]
        return [
            ("none; oldest transaction ", "text"),
            (age(oldest.age_s + since_s), "bold"),
            (f" {oldest.application}", "dim"),
        ], Level.OK
    return [("none, no transaction open", "text")], Level.OK


def _replication(seen: Replication, since_s: float) -> TopicWords:
    del since_s
    if seen.in_recovery:
        lag = "?" if seen.replay_lag_s is None else duration(seen.replay_lag_s)
        return [("this is a standby, behind by ", "text"), (lag, "bold")], Level.OK
    if not seen.replicas:
        idle = sum(not slot.active for slot in seen.slots)
        return [
            ("none streams", "text"),
            (f", {idle} idle slot{'s keep' if idle > 1 else ' keeps'} WAL" if idle else "", "warn"),
        ], Level.OK
    worst = max(seen.replicas, key=lambda replica: (replica.lag_s is None, replica.lag_s or 0.0))
    lag = "?" if worst.lag_s is None else duration(worst.lag_s)
    return [
        (f"{len(seen.replicas)}", "bold"),
        (", slowest ", "text"),
        (worst.name, "text"),
        (f" {lag}", "bold"),
    ], Level.OK


def _archiver(seen: Archiver, since_s: float) -> TopicWords:
    last = "never" if seen.last_archived_age_s is None else f"{age(seen.last_archived_age_s + since_s)} ago"
    word, calm = {
        True: ("works", Level.OK),
        False: ("off" if seen.mode == "off" else "FAILING", Level.WARN),
        None: ("unknown", Level.UNKNOWN),
    }[seen.works]
    role = "bold" if seen.works else "warn" if seen.works is False else "unknown"
    spans: list[Span] = [(word, role), (f", last {last}", "text")]
    if seen.waiting:
        spans.append((f", {seen.waiting:,} waiting", "text"))
    return spans, calm
