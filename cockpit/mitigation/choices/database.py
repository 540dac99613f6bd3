"""Lists what a statement may be about: advised indexes, tables in debt, sessions.

Pure.

What the database has not said lately is not offered: a process id of a minute ago may be another's
now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cockpit.model.reading import believed, if_known

if TYPE_CHECKING:
    from cockpit.model.observed.postgres import Activity, Indexes, TableUpkeep, Vacuum
    from cockpit.model.situation import Situation

Choices = list[tuple[str, str]]

OWN = ("m0-cockpit", "m0-cockpit-step")  # sessions of ours are not ended from here
#: A transaction younger than this holds nobody up, unless it runs.
YOUNG_S = 1.0
_MB = 1 << 20


def choices(kind: str, rest: str, situation: Situation) -> Choices:
    """Return (value, what is known of it), the one that costs most first."""
    if kind == "pg-missing-indexes":
        return _indexes(_data(situation, "indexes"), rest)
    if kind == "pg-tables":
        return _tables(_data(situation, "vacuum"), rest)
    if kind == "pg-sessions":
        return _sessions(_data(situation, "activity"))
    return []


def _data(situation: Situation, topic: str) -> Any:
    return if_known(believed(situation.postgres.get(topic), situation.mono))


def _indexes(seen: Indexes | None, field: str) -> Choices:
    """Return a part of each advised index; all three lists are in the same order."""
    found = []
    for entry in seen.missing if seen is not None else ():
        if entry.cause != "missing":
            continue
        columns = ", ".join(entry.columns)
        value = {"table": entry.table, "columns": columns, "index": entry.index}[field]
        of = "" if field == "table" else f"for {entry.table}: "
        found.append((value, f"{of}{entry.reason}" if field != "index" else f"on {entry.table} ({columns})"))
    return list(dict(reversed(found)).items())[::-1]


def _tables(seen: Vacuum | None, upkeep: str) -> Choices:
    if seen is None:
        return []
    if upkeep == "vacuum":
        tables = sorted(seen.tables, key=lambda table: (-table.dead * table.dead_ratio, table.table))
        return [(table.table, _vacuum_words(table)) for table in tables if table.dead]
    tables = sorted(seen.tables, key=lambda table: (not table.analyze_overdue, -table.changed, table.table))
    return [
        (table.table, f"{table.changed:,} rows changed since it was analysed {_since(table.analyze_age_s)}")
        for table in tables
        if table.changed
    ]


def _vacuum_words(table: TableUpkeep) -> str:
    share = f"{100 * table.dead_ratio:.0f} %"
    words = f"{table.dead:,} dead rows of {table.live + table.dead:,} ({share}), {table.size_bytes / _MB:,.0f} MB"
    words += f", vacuumed {_since(table.vacuum_age_s)}"
    return words + ("" if table.autovacuum else ", autovacuum is OFF")


def _sessions(seen: Activity | None) -> Choices:
    """List the sessions that others wait for, then the oldest transactions.

    Young ones are listed too where a statement runs just now: whoever sends one short statement
    after the other is never old, and still the one to end.
    """
    if seen is None:
        return []
    listed = [
        each
        for each in seen.transactions
        if each.pid and each.application not in OWN and (each.blocks or each.age_s >= YOUNG_S or each.state == "active")
    ]
    listed.sort(key=lambda each: (-each.blocks, -each.age_s))
    found = []
    for each in listed:
        waits = f", {each.blocks} wait for it" if each.blocks else ""
        since = f"{each.age_s:.{0 if each.age_s >= 10 else 1}f} s"
        words = f"{each.application} as {each.user}, {each.state} for {since}{waits}: {each.text[:160]}"
        found.append((str(each.pid), words))
    return found


def _since(age_s: float | None) -> str:
    if age_s is None:
        return "never"
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if age_s >= 2 * size:
            return f"{age_s / size:.0f} {unit} ago"
    return f"{age_s:.0f} s ago"
