"""Asks about connections, upkeep, replication and the archiver.

Written for PostgreSQL 13 and newer. No statement takes a lock on a user's table (sizes come from
pg_class, not from pg_relation_size), so that a table under an exclusive lock never holds a look up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from cockpit.model.observed.postgres import (
    Archiver,
    Connections,
    Group,
    Replica,
    Replication,
    Slot,
    TableUpkeep,
    Vacuum,
    VacuumRun,
)
from cockpit.model.reading import Fault, SourceState
from cockpit.sources.postgres.session import PgProblem, Row
from cockpit.sources.postgres.sql_text import MARK, relation
from cockpit.text import safe

Ask = Callable[[str, Sequence[Any] | None], Awaitable[list[Row]]]
#: What one poll gives: data, and a fault when part of it is hidden from the role.
Seen = tuple[Any, Fault | None]

OLDEST_VERSION = 130_000
#: A segment that waits longer than this for the archiver is late, whatever the archiver says of
#: itself.
ARCHIVE_LATE_S = 300.0
_SYSTEM = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"


@dataclass(frozen=True, slots=True)
class Server:
    """Holds what every poll needs to know of the server and of our role."""

    role: str
    database: str
    version_num: int
    version: str
    sees_all: bool  # pg_read_all_stats, by pg_monitor or otherwise
    statements_schema: str | None  # where the extension pg_stat_statements lives; None: not in this database
    statements_version: str  # "" without it
    up_s: float | None
    #: How old the server's statistics are; None where they are always of now (PostgreSQL 15 on).
    statistics_age_s: float | None = None


def hidden_from(server: Server, what: str) -> Fault:
    """Return whether others' texts and states read `<insufficient privilege>`."""
    reason = f"insufficient privilege: {what} hidden, the role {safe(server.role, 63)} lacks pg_read_all_stats"
    return Fault(SourceState.DENIED, reason, f"GRANT pg_monitor TO {safe(server.role, 63)}")


_SERVER = f"""
SELECT {MARK} current_user, current_database(), current_setting('server_version_num')::int,
  current_setting('server_version'),
  pg_has_role('pg_read_all_stats', 'USAGE'),
  (SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'pg_stat_statements'),
  (SELECT extversion FROM pg_extension WHERE extname = 'pg_stat_statements'),
  extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::float8,
  extract(epoch FROM clock_timestamp() - pg_stat_get_snapshot_timestamp())::float8
"""


async def server(ask: Ask) -> Server:
    """Ask what every poll needs to know.

    Raises PgProblem, also for a server that is too old.
    """
    ((role, database, number, version, sees_all, schema, extension, up_s, stats_age),) = await ask(_SERVER, None)
    if number < OLDEST_VERSION:
        fault = Fault(
            SourceState.DOWN, f"PostgreSQL {safe(version, 20)} is too old", "PostgreSQL 13 or newer is needed"
        )
        raise PgProblem(fault, lost=False)
    return Server(
        role=role,
        database=database,
        version_num=number,
        version=safe(str(version).split(" ")[0], 20),
        sees_all=bool(sees_all),
        statements_schema=schema,
        statements_version=extension or "",
        up_s=up_s,
        statistics_age_s=None if stats_age is None else max(0.0, float(stats_age)),
    )


_CONNECTIONS = f"""
SELECT {MARK} coalesce(state, CASE WHEN query = '<insufficient privilege>' THEN 'hidden' ELSE 'starting' END),
  coalesce(application_name, ''), count(*)::int, count(*) FILTER (WHERE query = '<insufficient privilege>')::int
FROM pg_stat_activity
WHERE backend_type = 'client backend' OR (backend_type IS NULL AND usesysid IS NOT NULL)
GROUP BY 1, 2
"""
_LIMIT = f"""
SELECT {MARK} current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
  - coalesce(current_setting('reserved_connections', true), '0')::int
"""


async def connections(ask: Ask, server: Server) -> Seen:
    ((limit,),) = await ask(_LIMIT, None)
    rows = await ask(_CONNECTIONS, None)
    states: dict[str, int] = {}
    applications: dict[str, int] = {}
    for state, application, count, _ in rows:
        states[safe(state, 40)] = states.get(safe(state, 40), 0) + count
        name = safe(application, 40) or ("hidden" if state == "hidden" else "(no name)")
        applications[name] = applications.get(name, 0) + count
    total, hidden = sum(row[2] for row in rows), sum(row[3] for row in rows)
    seen = Connections(
        total=total,
        limit=int(limit),
        by_state=_groups(states),
        by_application=_groups(applications)[:20],
        database=safe(server.database, 63),
        version=server.version,
        up_s=server.up_s,
    )
    return seen, hidden_from(server, f"{hidden} of {total} sessions are") if hidden else None


def _groups(counts: dict[str, int]) -> tuple[Group, ...]:
    return tuple(Group(name, count) for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])))


#: Thresholds as autovacuum computes them:
#: https://www.postgresql.org/docs/current/routine-vacuuming.html#AUTOVACUUM
_UPKEEP = f"""
WITH own AS (
  SELECT s.relid, n.nspname, s.relname, s.n_live_tup, s.n_dead_tup,
    greatest(c.relpages, 0)::bigint * current_setting('block_size')::int AS size,
    greatest(s.last_vacuum, s.last_autovacuum) AS vacuumed,
    greatest(s.last_analyze, s.last_autoanalyze) AS analyzed, s.n_mod_since_analyze,
    greatest(c.reltuples, 0)::float8 AS tuples,
    (SELECT jsonb_object_agg(o.option_name, o.option_value) FROM pg_options_to_table(c.reloptions) o) AS options
  FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relpersistence <> 't'
), judged AS (
  SELECT own.*,
    n_dead_tup > coalesce((options->>'autovacuum_vacuum_threshold')::float8,
      current_setting('autovacuum_vacuum_threshold')::float8)
      + coalesce((options->>'autovacuum_vacuum_scale_factor')::float8,
        current_setting('autovacuum_vacuum_scale_factor')::float8) * tuples AS vacuum_due,
    n_mod_since_analyze > coalesce((options->>'autovacuum_analyze_threshold')::float8,
      current_setting('autovacuum_analyze_threshold')::float8)
      + coalesce((options->>'autovacuum_analyze_scale_factor')::float8,
        current_setting('autovacuum_analyze_scale_factor')::float8) * tuples AS analyze_due
  FROM own
)
SELECT {MARK} nspname, relname, n_live_tup, n_dead_tup, size, extract(epoch FROM now() - vacuumed)::float8,
  extract(epoch FROM now() - analyzed)::float8, n_mod_since_analyze, vacuum_due, analyze_due,
  lower(coalesce(options->>'autovacuum_enabled', 'true')) NOT IN ('false', 'off', 'no', '0', 'f', 'n')
FROM judged ORDER BY vacuum_due DESC, analyze_due DESC, n_dead_tup DESC, relname LIMIT 60
"""
_UPKEEP_WHOLE = f"""
SELECT {MARK} (SELECT max(age(datfrozenxid)) FROM pg_database)::float8 / 2147483648,
  current_setting('autovacuum')::bool AND current_setting('track_counts')::bool,
  extract(epoch FROM now() - coalesce((SELECT stats_reset FROM pg_stat_database
    WHERE datname = current_database()), pg_postmaster_start_time()))::float8
"""
_RUNNING = f"""
SELECT {MARK} p.pid, coalesce(n.nspname, '?'), coalesce(c.relname, p.relid::text), p.phase,
  CASE WHEN p.heap_blks_total > 0 THEN p.heap_blks_scanned::float8 / p.heap_blks_total END
FROM pg_stat_progress_vacuum p LEFT JOIN pg_class c ON c.oid = p.relid
  LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE p.datname = current_database()
"""


async def vacuum(ask: Ask, server: Server) -> Seen:
    del server
    ((wraparound, enabled, since_s),) = await ask(_UPKEEP_WHOLE, None)
    tables = tuple(
        TableUpkeep(
            table=safe(relation(schema, name), 130),
            live=live,
            dead=dead,
            size_bytes=size,
            vacuum_age_s=vacuumed,
            analyze_age_s=analyzed,
            changed=changed,
            vacuum_overdue=bool(v_due),
            analyze_overdue=bool(a_due),
            autovacuum=bool(auto),
        )
        for schema, name, live, dead, size, vacuumed, analyzed, changed, v_due, a_due, auto in await ask(_UPKEEP, None)
    )
    running = tuple(
        VacuumRun(pid, safe(relation(schema, name), 130), safe(phase or "hidden", 40), done)
        for pid, schema, name, phase, done in await ask(_RUNNING, None)
    )

    def oldest(ages: list[float | None]) -> float:
        return max((since_s if age is None else age for age in ages), default=0.0)

    seen = Vacuum(
        tables=tables,
        running=running,
        wraparound=wraparound or 0.0,
        autovacuum=bool(enabled),
        since_s=since_s,
        oldest_vacuum_s=oldest([t.vacuum_age_s for t in tables if t.vacuum_overdue]),
        oldest_analyze_s=oldest([t.analyze_age_s for t in tables if t.analyze_overdue]),
    )
    return seen, None


_HERE = "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END"
_REPLICATION = f"""
SELECT {MARK} pg_is_in_recovery(), CASE WHEN NOT pg_is_in_recovery() THEN NULL
  WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
  ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8 END
"""
_REPLICAS = f"""
SELECT {MARK} application_name, state, sync_state, pg_wal_lsn_diff({_HERE}, replay_lsn)::bigint,
  extract(epoch FROM replay_lag)::float8
FROM pg_stat_replication ORDER BY 4 DESC NULLS LAST LIMIT 30
"""
_SLOTS = f"""
SELECT {MARK} slot_name, active, pg_wal_lsn_diff({_HERE}, restart_lsn)::bigint, coalesce(wal_status, '')
FROM pg_replication_slots ORDER BY 3 DESC NULLS LAST LIMIT 30
"""


async def replication(ask: Ask, server: Server) -> Seen:
    ((recovering, lag),) = await ask(_REPLICATION, None)
    replicas, hidden = [], 0
    for name, state, sync, behind, seconds in await ask(_REPLICAS, None):
        hidden += state is None
        # No lag is reported once an idle replica has caught up.
        seconds = 0.0 if seconds is None and behind is not None and behind <= 0 else seconds
        replicas.append(
            Replica(safe(name or "hidden", 63), safe(state or "hidden", 30), safe(sync or "", 20), behind, seconds)
        )
    slots = tuple(
        Slot(safe(name, 63), bool(active), kept, safe(status, 20))
        for name, active, kept, status in await ask(_SLOTS, None)
    )
    fault = hidden_from(server, f"{hidden} of {len(replicas)} replicas are") if hidden else None
    return Replication(bool(recovering), tuple(replicas), slots, lag), fault


_ARCHIVER = f"""
SELECT {MARK} current_setting('archive_mode'),
  current_setting('archive_command') NOT IN ('', '(disabled)') OR coalesce(current_setting('archive_library',
    true), '') <> '',
  archived_count, failed_count, last_archived_wal, extract(epoch FROM clock_timestamp() - last_archived_time)::float8,
  last_failed_wal, extract(epoch FROM clock_timestamp() - last_failed_time)::float8, pg_is_in_recovery()
FROM pg_stat_archiver
"""
_WAITING = f"""
SELECT {MARK} count(*)::int, extract(epoch FROM clock_timestamp() - min(modification))::float8
FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'
"""


async def archiver(ask: Ask, server: Server) -> Seen:
    ((mode, commanded, archived, failed, last, last_s, bad, bad_s, recovering),) = await ask(_ARCHIVER, None)
    waiting, waiting_s = None, None
    try:
        ((waiting, waiting_s),) = await ask(_WAITING, None)
    except PgProblem as problem:  # the counters above are open to everyone; this list is not
        if problem.lost or not problem.fault.state.denied:
            raise
    failing = bool(failed) and bad_s is not None and (last_s is None or bad_s < last_s)
    on = mode in ("on", "always")
    seen = Archiver(
        mode=safe(mode, 10),
        commanded=bool(commanded),
        archived=archived,
        failed=failed,
        last_archived=safe(last or "", 60),
        last_archived_age_s=last_s,
        last_failed=safe(bad or "", 60),
        last_failed_age_s=bad_s,
        waiting=waiting,
        waiting_age_s=waiting_s,
        in_recovery=bool(recovering),
        works=None,
        failing=on and failing,
        verdict="",
    )
    works, verdict = _verdict(seen)
    if waiting is None and on:
        verdict += f"; segments that wait cannot be counted: GRANT pg_monitor TO {safe(server.role, 63)}"
    return msgspec.structs.replace(seen, works=works, verdict=verdict), None


def _verdict(seen: Archiver) -> tuple[bool | None, str]:
    """Say whether point-in-time recovery is being kept possible.

    A base backup cannot be seen from here.
    """
    if seen.mode not in ("on", "always"):
        return False, "archive_mode is off: there is no point-in-time recovery"
    if seen.in_recovery and seen.mode == "on":
        return None, "a standby: its primary archives"
    wait = f", {seen.waiting:,} segment{'' if seen.waiting == 1 else 's'} waiting" if seen.waiting else ""
    if not seen.commanded:
        return False, f"neither archive_command nor archive_library is set: WAL piles up{wait}"
    if seen.failing:
        return False, f"the archiver fails at {seen.last_failed}{wait}: recovery ends at the last archived segment"
    if seen.waiting_age_s is not None and seen.waiting_age_s > ARCHIVE_LATE_S:
        return (
            False,
            f"the archiver is late{wait}, the oldest for {seen.waiting_age_s:.0f} s: the command hangs or is too slow",
        )
    if seen.last_archived_age_s is None:
        return None, f"archiving is on, nothing was archived yet{wait}"
    return True, f"archiving works{wait}; that a base backup exists cannot be seen from here"
