"""Draws the pages of the Postgres view: all that one topic tells, with reasons and statements."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from cockpit.model.reading import NOTHING_READ
from cockpit.model.situation import Situation
from cockpit.text import counted
from panels.dashboard.facts.database import data, live, since, size, table_name
from panels.kit.spans import BLANK, Column, Line, Span, table
from panels.kit.words import age, count, duration, percent

if TYPE_CHECKING:  # a start without a database need not define them
    from cockpit.model.observed.postgres import (
        Activity,
        Archiver,
        Connections,
        Indexes,
        MissingIndex,
        Replication,
        TopQueries,
        Vacuum,
    )

#: Page (what `show` may be in runbooks.toml) → topic of the source.
TOPICS: Mapping[str, str] = {
    "top-queries": "queries",
    "missing-indexes": "indexes",
    "vacuum": "vacuum",
    "activity": "activity",
    "connections": "connections",
    "replication": "replication",
    "archiver": "archiver",
}


def page(situation: Situation, show: str, width: int) -> list[Line]:
    """Return the lines of one page.

    What is stale or partly hidden is shown; the bar above says so.
    """
    topic = TOPICS[show]
    seen = data(situation, topic)
    if seen is None:
        return [((NOTHING_READ, "unknown"),)]
    lines = _MAKE[topic](seen, width, since(situation, topic))
    if live(situation, topic):
        return lines
    return [tuple((text, "unknown" if role in ("text", "bold") else role) for text, role in line) for line in lines]


def _wrapped(text: str, width: int, role: str, indent: int = 2) -> list[Line]:
    room = max(20, width - indent)
    return [((" " * indent, "text"), (part, role)) for part in wrap(text, room, break_long_words=True) or [""]]


def _queries(seen: TopQueries, width: int, since_s: float) -> list[Line]:
    del since_s
    load = "?" if seen.load is None else f"{seen.load:.2f}"
    over = "since statistics began" if seen.window_s is None else f"over the last {seen.window_s:.0f} s"
    head: list[Span] = [
        ("busy sessions ", "dim"),
        (load, "bold"),
        (f"   {over}   {seen.tracked:,} statements tracked", "dim"),
    ]
    if seen.evicted:
        head.append((f"   {seen.evicted:,} times some were forgotten: raise pg_stat_statements.max", "warn"))
    if not seen.queries:
        return [tuple(head), BLANK, (("no statement ended in this time", "text"),)]
    columns = (
        Column("share", 6, ">"),
        Column("ms/call", 8, ">"),
        Column("calls/s", 8, ">"),
        Column("busy", 5, ">"),
        Column("user", 6, grow=1, most=14, drop=1),
        Column("statement", 24, grow=8),
    )
    rows: list[list[Span]] = []
    for query in seen.queries:
        now = query.ms_per_call is not None
        rows.append(
            [
                ("?" if query.share is None else percent(query.share), "bold"),
                (
                    count(query.ms_per_call if query.ms_per_call is not None else query.mean_ms),
                    "text" if now else "dim",
                ),
                ("?" if query.calls_per_s is None else count(query.calls_per_s), "text"),
                ("?" if query.load is None else f"{query.load:.2f}", "text"),
                (query.user, "dim"),
                (query.text, "text"),
            ]
        )
    lines = [tuple(head), BLANK, *table(columns, rows, width), BLANK, (("in full", "heading"),)]
    for query in seen.queries[:5]:
        lines += _wrapped(query.text, width, "text")
        lines.append(
            (
                (
                    f"    {query.calls:,} calls, {query.mean_ms:.1f} ms each since statistics began; "
                    f"database {query.database}",
                    "dim",
                ),
            )
        )
    return lines


def _indexes(seen: Indexes, width: int, since_s: float) -> list[Line]:
    del since_s
    lines: list[Line] = [
        ((f"{seen.tables} large tables watched, scans over the last {seen.window_s:.0f} s", "dim"),),
        BLANK,
    ]
    heads = (
        ("missing", "lacks an index", "warn"),
        ("untold", "scanned whole, column unknown", "unknown"),
        ("building", "an index is being built", "text"),
        ("whole", "scanned whole, and no index would help", "dim"),
    )
    for cause, words, role in heads:
        for entry in (entry for entry in seen.missing if entry.cause == cause):
            lines += _missing(entry, words, role, width)
    if not seen.missing:
        lines += [(("no large table is scanned whole", "text"),), BLANK]
    for trouble in seen.troubles:
        role = "warn" if trouble.kind == "invalid" else "dim"
        lines.append(
            (
                (f"{trouble.kind:<9}", role),
                (trouble.index, "bold"),
                (f"  on {table_name(trouble.table)}  {size(trouble.size_bytes)}", "dim"),
            )
        )
        lines += _wrapped(trouble.reason, width, "text")
        if trouble.statement:
            lines += _wrapped(trouble.statement, width, "accent")
    return lines


def _missing(entry: MissingIndex, words: str, role: str, width: int) -> list[Line]:
    lines: list[Line] = [
        (
            (table_name(entry.table), "bold"),
            (f"  {words}", role),
            (f"  {counted(entry.rows, 'row')}, {size(entry.size_bytes)}", "dim"),
        ),
        *_wrapped(entry.reason, width, "text"),
    ]
    if entry.query:
        lines += _wrapped(entry.query, width, "dim", 4)
    if entry.statement:
        lines += _wrapped(entry.statement, width, "accent")
    return [*lines, BLANK]


def _vacuum(seen: Vacuum, width: int, since_s: float) -> list[Line]:
    lines: list[Line] = [
        (
            ("autovacuum ", "dim"),
            ("on" if seen.autovacuum else "OFF", "text" if seen.autovacuum else "warn"),
            ("   transaction ids used ", "dim"),
            (percent(seen.wraparound), "text"),
            ("   statistics reach back ", "dim"),
            (age(seen.since_s + since_s), "text"),
        )
    ]
    for run in seen.running:
        done = "" if run.done is None else f" {percent(run.done)}"
        lines.append((("running    ", "dim"), (f"{table_name(run.table)}  {run.phase}{done}  pid {run.pid}", "text")))
    columns = (
        Column("", 7),
        Column("table", 12, grow=1, middle=True),
        Column("dead", 6, ">"),
        Column("rows dead", 9, ">", drop=2),
        Column("vacuumed", 9, ">"),
        Column("analysed", 9, ">"),
        Column("changed", 8, ">", drop=3),
        Column("size", 9, ">", drop=4),
        Column("autovacuum", 10, drop=1),
    )

    def ago(seconds: float | None) -> str:
        return "never" if seconds is None else age(seconds + since_s)

    rows: list[list[Span]] = []
    for entry in seen.tables:
        due = "OVERDUE" if entry.vacuum_overdue else "analyse" if entry.analyze_overdue else ""
        rows.append(
            [
                (due, "warn"),
                (table_name(entry.table), "bold" if due else "text"),
                (percent(entry.dead_ratio), "text"),
                (f"{entry.dead:,}", "text"),
                (ago(entry.vacuum_age_s), "text"),
                (ago(entry.analyze_age_s), "text"),
                (count(float(entry.changed)), "text"),
                (size(entry.size_bytes), "dim"),
                ("on" if entry.autovacuum else "OFF", "dim" if entry.autovacuum else "warn"),
            ]
        )
    return [*lines, BLANK, *table(columns, rows, width)] if rows else [*lines, BLANK, (("no tables", "text"),)]


def _activity(seen: Activity, width: int, since_s: float) -> list[Line]:
    lines: list[Line] = [
        (
            (
                f"{counted(seen.blocked_total, 'session')} waiting for a lock, "
                f"{counted(seen.deadlocks, 'deadlock')} since statistics began",
                "dim",
            ),
        ),
        BLANK,
    ]
    for entry in seen.blocked:
        waits = "?" if entry.waits_s is None else age(entry.waits_s + since_s)
        by = ", ".join(str(pid) if pid else "a prepared transaction" for pid in entry.by) or "?"
        lines.append(
            (
                (f"{entry.pid}", "bold"),
                (f" {entry.application}  waits {waits} for ", "text"),
                (entry.lock, "text"),
                ("  held by ", "dim"),
                (by, "bold"),
            )
        )
        lines.append(
            (
                ("  at the end of the chain: ", "dim"),
                (f"{entry.root if entry.root else '?'} {entry.root_words}", "warn"),
            )
        )
        lines += _wrapped(entry.text, width, "dim")
    if seen.blocked:
        lines.append(BLANK)
    if not seen.transactions:
        return [*lines, (("no transaction is open", "text"),)]
    columns = (
        Column("pid", 7, ">"),
        Column("open for", 8, ">"),
        Column("blocks", 6, ">"),
        Column("state", 8, grow=1, most=22),
        Column("application", 8, grow=1, most=20),
        Column("user", 6, grow=1, most=14, drop=1),
        Column("waits for", 9, grow=1, most=26, drop=2),
        Column("statement", 16, grow=4),
    )
    rows: list[list[Span]] = [
        [
            (str(t.pid) if t.pid else "–", "text"),
            (age(t.age_s + since_s), "bold"),
            (str(t.blocks) if t.blocks else "", "warn"),
            (t.state, "text"),
            (t.application, "text"),
            (t.user, "dim"),
            (t.waits, "text"),
            (t.text, "dim"),
        ]
        for t in seen.transactions
    ]
    return [*lines, *table(columns, rows, width)]


def _connections(seen: Connections, width: int, since_s: float) -> list[Line]:
    up = "?" if seen.up_s is None else age(seen.up_s + since_s)
    lines: list[Line] = [
        (
            (f"{seen.total} of {seen.limit}", "bold"),
            (f"  {percent(seen.share)} of what ordinary roles may open", "text"),
        ),
        ((f"database {seen.database}, PostgreSQL {seen.version}, up {up}", "dim"),),
        BLANK,
    ]
    for title, groups in (("state", seen.by_state), ("application", seen.by_application)):
        rows: list[list[Span]] = [[(group.name, "text"), (str(group.count), "bold")] for group in groups]
        lines += [*table((Column(title, 12, grow=1, most=40), Column("sessions", 8, ">")), rows, width), BLANK]
    return lines


def _replication(seen: Replication, width: int, since_s: float) -> list[Line]:
    del since_s
    lines: list[Line] = []
    if seen.in_recovery:
        lag = "?" if seen.replay_lag_s is None else duration(seen.replay_lag_s)
        lines += [(("this server is a standby, behind by ", "text"), (lag, "bold")), BLANK]
    if seen.replicas:
        columns = (
            Column("replica", 12, grow=1),
            Column("state", 10),
            Column("sync", 8),
            Column("lag", 8, ">"),
            Column("bytes", 10, ">"),
        )
        rows: list[list[Span]] = [
            [
                (r.name, "bold"),
                (r.state, "text"),
                (r.sync, "dim"),
                ("?" if r.lag_s is None else duration(r.lag_s), "text"),
                (size(r.lag_bytes), "text"),
            ]
            for r in seen.replicas
        ]
        lines += [*table(columns, rows, width), BLANK]
    else:
        lines += [(("no replica streams from this server", "text"),), BLANK]
    if seen.slots:
        heads = (Column("slot", 12, grow=1), Column("active", 7), Column("keeps", 10, ">"), Column("status", 10))
        slots: list[list[Span]] = [
            [
                (s.name, "text"),
                ("yes" if s.active else "NO", "text" if s.active else "warn"),
                (size(s.retained_bytes), "text"),
                (s.status, "dim"),
            ]
            for s in seen.slots
        ]
        lines += table(heads, slots, width)
    return lines


def _archiver(seen: Archiver, width: int, since_s: float) -> list[Line]:
    def ago(seconds: float | None) -> str:
        return "never" if seconds is None else f"{age(seconds + since_s)} ago"

    word, role = {True: ("WORKS", "ok"), False: ("NO", "crit"), None: ("UNKNOWN", "unknown")}[seen.works]
    waiting = "?" if seen.waiting is None else f"{seen.waiting:,}"
    rows = (
        ("archive_mode", seen.mode),
        ("archived", f"{seen.archived:,}, last {seen.last_archived or '–'} {ago(seen.last_archived_age_s)}"),
        ("failed", f"{seen.failed:,}, last {seen.last_failed or '–'} {ago(seen.last_failed_age_s)}"),
        (
            "waiting",
            waiting + ("" if seen.waiting_age_s is None else f", the oldest for {age(seen.waiting_age_s + since_s)}"),
        ),
    )
    lines: list[Line] = [
        (("point-in-time recovery: ", "text"), (word, role)),
        *_wrapped(seen.verdict, width, "text", 0),
        BLANK,
    ]
    return [*lines, *(((f"{name:<14}", "dim"), (text, "text")) for name, text in rows)]


_MAKE: Mapping[str, Callable[[Any, int, float], list[Line]]] = {
    "queries": _queries,
    "indexes": _indexes,
    "vacuum": _vacuum,
    "activity": _activity,
    "connections": _connections,
    "replication": _replication,
    "archiver": _archiver,
}
