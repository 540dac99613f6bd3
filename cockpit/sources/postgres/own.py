"""Reads the operator's own tables by queries of the configuration: publish state, migrations.

Each query stands within a SELECT, so that it can change nothing whatever the role may.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cockpit.model.observed.postgres import Migration, Migrations, Published, PublishState
from cockpit.model.reading import Fault, SourceState
from cockpit.sources.postgres.health import Ask, Seen
from cockpit.sources.postgres.session import PgProblem, Row
from cockpit.sources.postgres.sql_text import MARK
from cockpit.text import safe

#: Rows that are read; of migrations the newest few are enough.
MOST = 5000
NO_TABLE = "42P01"  # undefined_table; the session looks in no schema but pg_catalog
PUBLISH_STATE, MIGRATIONS = "publish-state", "migrations"


async def publish_state(ask: Ask, query: str) -> Seen:
    """Read market, epoch and sequence of what the submitter published last.

    Raises PgProblem.
    """
    rows = await _asked(ask, query)
    try:
        found = [Published(safe(str(market), 64), int(epoch), int(sequence)) for market, epoch, sequence in rows]
    except (TypeError, ValueError):
        raise _shape(PUBLISH_STATE, "market, epoch, sequence") from None
    return PublishState(tuple(found)), None


async def migrations(ask: Ask, query: str) -> Seen:
    """Read version, whether it succeeded, and when it was applied, of each migration.

    Raises PgProblem.
    """
    rows = await _asked(ask, query)
    try:
        found = tuple(_migration(row) for row in rows)
    except (TypeError, ValueError, IndexError):
        raise _shape(MIGRATIONS, "version, success, and when it was applied") from None
    return Migrations(found), None


def _migration(row: Row) -> Migration:
    version, success, *rest = row
    if not isinstance(success, bool):
        raise TypeError
    return Migration(safe(str(version), 80), success, _unix(rest[0]) if rest else None)


def _unix(value: Any) -> float | None:
    return value.timestamp() if isinstance(value, datetime) else float(value) if value is not None else None


async def _asked(ask: Ask, query: str) -> list[Row]:
    try:
        return await ask(f"SELECT {MARK} * FROM ({query}) AS own LIMIT {MOST}", None)
    except PgProblem as problem:
        if problem.lost or problem.sqlstate != NO_TABLE:
            raise
        fault = Fault(SourceState.DOWN, problem.fault.reason, "name its schema in the query too: public.TABLE")
        raise PgProblem(fault, lost=False, sqlstate=NO_TABLE) from None


def _shape(name: str, columns: str) -> PgProblem:
    reason = f"the query of [postgres] {name} does not answer {columns}"
    return PgProblem(Fault(SourceState.DOWN, reason, "correct the query"), lost=False)
