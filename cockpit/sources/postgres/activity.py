"""Reads transactions that are open for long, and who waits for whom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cockpit.model.observed.postgres import Activity, Blocked, LongTransaction
from cockpit.sources.postgres.health import Ask, Seen, Server, hidden_from
from cockpit.sources.postgres.sql_text import MARK, relation, shown
from cockpit.text import safe

_MOST = 50
_TEXT = 4800  # bytes of a statement that are read

_TRANSACTIONS = f"""
SELECT {MARK} pid, application_name, usename, state, extract(epoch FROM clock_timestamp() - xact_start)::float8,
  wait_event_type, wait_event, substring(textsend(query) FOR {_TEXT})
FROM pg_stat_activity WHERE backend_type = 'client backend' AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
UNION ALL
SELECT 0, 'prepared transaction', owner, 'prepared', extract(epoch FROM clock_timestamp() - prepared)::float8,
  NULL, NULL, textsend(gid)
FROM pg_prepared_xacts WHERE database = current_database()
ORDER BY 5 DESC LIMIT 20
"""
_HIDDEN = f"""
SELECT {MARK} count(*) FILTER (WHERE query = '<insufficient privilege>')::int, count(*)::int,
  (SELECT deadlocks::int8 FROM pg_stat_database WHERE datname = current_database()) FROM pg_stat_activity
"""
#: `waitstart` is read through JSON: PostgreSQL 13 has no such column.
_WAITING = f"""
SELECT {MARK} a.pid, a.application_name,
  extract(epoch FROM clock_timestamp() - coalesce((l.whole->>'waitstart')::timestamptz, a.query_start))::float8,
  l.whole->>'mode', l.whole->>'locktype', n.nspname, c.relname,
    coalesce(l.whole->>'transactionid', l.whole->>'classid'),
  pg_blocking_pids(a.pid), substring(textsend(a.query) FOR {_TEXT}), count(*) OVER ()::int
FROM pg_stat_activity a
  LEFT JOIN LATERAL (SELECT to_jsonb(k) AS whole, k.relation, k.database FROM pg_locks k WHERE k.pid = a.pid
    AND NOT k.granted LIMIT 1) l ON true
  LEFT JOIN pg_class c ON c.oid = l.relation AND l.database = (SELECT oid FROM pg_database
    WHERE datname = current_database())
  LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE a.wait_event_type = 'Lock' ORDER BY 3 DESC NULLS LAST LIMIT {_MOST}
"""
_BLOCKERS = f"""
SELECT {MARK} pid, application_name, usename, coalesce(state, backend_type),
  extract(epoch FROM clock_timestamp() - coalesce(xact_start, backend_start))::float8
FROM pg_stat_activity WHERE pid = ANY(%s)
"""


async def activity(ask: Ask, server: Server) -> Seen:
    rows = await ask(_TRANSACTIONS, None)
    waiting = await ask(_WAITING, None)
    ((hidden, total, deadlocks),) = await ask(_HIDDEN, None)
    by = {row[0]: tuple(dict.fromkeys(row[8] or ())) for row in waiting}
    roots = {pid: root_of(pid, by) for pid in by}
    who = await _who(ask, {pid for pid in roots.values() if pid})
    blocked = tuple(_blocked(row, by[row[0]], roots[row[0]], who) for row in waiting)
    held = _held(by)
    transactions = tuple(_transaction(row, held.get(row[0], 0)) for row in rows)
    seen = Activity(transactions, blocked, waiting[0][10] if waiting else 0, deadlocks or 0)
    return seen, hidden_from(server, f"{hidden} of {total} sessions are") if hidden else None


def root_of(pid: int, by: Mapping[int, tuple[int, ...]]) -> int | None:
    """Return the session at the end of the chain, which waits for no lock.

    None in a ring (a deadlock not broken yet).
    """
    seen: set[int] = set()
    while by.get(pid):
        if pid in seen:
            return None
        seen.add(pid)
        pid = by[pid][0]
    return pid if seen else None


def _held(by: Mapping[int, tuple[int, ...]]) -> dict[int, int]:
    """Return, by pid, how many sessions wait for it, directly or through others."""
    counts: dict[int, int] = {}
    for pid in by:
        reached: set[int] = set()
        front = list(by[pid])
        while front:
            blocker = front.pop()
            if blocker not in reached and blocker != pid:
                reached.add(blocker)
                front.extend(by.get(blocker, ()))
        for blocker in reached:
            counts[blocker] = counts.get(blocker, 0) + 1
    return counts


async def _who(ask: Ask, pids: set[int]) -> dict[int, str]:
    if not pids:
        return {}
    rows = await ask(_BLOCKERS, (sorted(pids),))
    return {
        pid: f"{safe(application or '(no name)', 40)} as {safe(user or '?', 40)}, "
        f"{safe(state or '?', 40)} for {age or 0:.0f} s"
        for pid, application, user, state, age in rows
    }


def _transaction(row: tuple[Any, ...], blocks: int) -> LongTransaction:
    pid, application, user, state, age, wait, event, text = row
    waits = f"{safe(wait, 30)}: {safe(event or '', 40)}" if wait and wait != "Client" else ""
    return LongTransaction(
        pid=pid,
        application=safe(application or "(no name)", 40),
        user=safe(user or "?", 63),
        state=safe(state or "?", 40),
        age_s=age,
        waits=waits,
        text=shown(text or ""),
        blocks=blocks,
    )


def _blocked(row: tuple[Any, ...], by: tuple[int, ...], root: int | None, who: Mapping[int, str]) -> Blocked:
    pid, application, waits_s, mode, kind, schema, name, number, _, text, _ = row
    what = relation(schema, name) if name is not None else f"{kind or 'lock'} {number or ''}".strip()
    words = (
        "in a ring: a deadlock"
        if root is None and by
        else who.get(root or 0, "a prepared transaction" if root == 0 else "it has ended meanwhile")
    )
    lock = f"{mode or 'lock'} on {what}"
    return Blocked(
        pid=pid,
        application=safe(application or "(no name)", 40),
        waits_s=waits_s,
        lock=safe(lock, 160),
        by=by,
        root=root,
        root_words=words,
        text=shown(text or ""),
    )
