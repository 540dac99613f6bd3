"""Reads what a statement is about from the database, on a read-only session of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from cockpit.mitigation.problem import PlanProblem
from cockpit.mitigation.sql.shapes import Statement
from cockpit.sources.postgres.session import PgProblem, Session, conninfo, driver, fault_of, secrets_of
from cockpit.sources.postgres.sql_text import shown
from cockpit.text import clean, safe

_CONNECT_S = 8.0
#: The writer's own search path is kept: an unqualified name must mean the same here and where the
#: statement runs.
_SESSION = {"statement_timeout": "5s", "lock_timeout": "1s", "default_transaction_read_only": "on"}
_INDEX = "SELECT i.indisvalid FROM pg_catalog.pg_index i WHERE i.indexrelid = to_regclass(%s)"
#: From the catalog's own figures: the functions that measure wait for whoever holds the table.
_TABLE = """SELECT pg_catalog.pg_size_pretty(c.relpages::bigint * current_setting('block_size')::bigint),
       c.reltuples::bigint
FROM pg_catalog.pg_class c WHERE c.oid = to_regclass(%s) AND c.relkind IN ('r', 'm', 'p')"""
_BACKEND = """SELECT usename, application_name, state, query, extract(epoch FROM now() - query_start),
       backend_start::text
FROM pg_catalog.pg_stat_activity WHERE pid = %s"""


@dataclass(frozen=True, slots=True)
class State:
    """Holds in `mark` what the plan depends on: it is compared again just before.

    `words`: as it is now.

    `done`: what the statement is for is so already. `problem`: why it cannot be run as things are.
    """

    mark: str
    words: str
    done: bool = False
    problem: str = ""
    remedy: str = ""


def server_of(url: str) -> str:
    """Return host, database and role, never the password."""
    try:
        parts = urlsplit(url)
        host, user, name = parts.hostname or "", parts.username or "", parts.path.lstrip("/")
    except ValueError:
        return "the database"
    return clean(f"{host or 'local socket'}/{name or user}" + (f" as {user}" if user else ""), 160)


@asynccontextmanager
async def reading(url: str) -> AsyncIterator[Session]:
    """Raises PlanProblem when there is no session to be had."""
    try:
        psycopg = await driver()
        secrets = secrets_of(url)
        try:
            async with asyncio.timeout(_CONNECT_S):
                info = conninfo(url, session=_SESSION)
                connection = await psycopg.AsyncConnection.connect(info, autocommit=True, prepare_threshold=None)
        except TimeoutError:
            raise PlanProblem(
                f"the database did not answer within {_CONNECT_S:g} s", "check it, then plan again"
            ) from None
        except (psycopg.Error, OSError, ValueError) as error:
            fault = fault_of(error, secrets)
            raise PlanProblem(fault.reason, fault.remedy) from None
    except PgProblem as problem:
        raise PlanProblem(
            problem.fault.reason.replace("[postgres] url", "[postgres] admin-url"), problem.fault.remedy
        ) from None
    session = Session(connection, secrets)
    try:
        yield session
    except PgProblem as problem:
        raise PlanProblem(f"the database cannot be read: {problem.fault.reason}", problem.fault.remedy) from None
    finally:
        await session.close()


async def state_of(session: Session, statement: Statement) -> State:
    """Raises PgProblem."""
    if statement.kind == "Backend":
        return await _backend(session, statement)
    if statement.kind == "Table":
        return await _table(session, statement.name)
    found = await session.ask(_INDEX, (statement.name,))
    valid = bool(found[0][0]) if found else None
    if statement.verb == "drop":
        words = (
            "there is no such index" if valid is None else "valid" if valid else "invalid: a leftover of a failed build"
        )
        return State(str(valid), words, done=valid is None)
    table = await _table(session, statement.table)
    if valid is False:
        return State(
            "invalid",
            "an invalid index of that name is there",
            problem=f"an invalid index {statement.name} is left over from a build that failed",
            remedy=f"first: {statement.inverse.replace(' IF EXISTS', '')}",
        )
    return State(
        str(valid),
        table.words if valid is None else "valid",
        done=valid is True,
        problem=table.problem,
        remedy=table.remedy,
    )


async def _table(session: Session, name: str) -> State:
    found = await session.ask(_TABLE, (name,))
    if not found:
        return State("", "", problem=f"there is no table {name}", remedy="name it with its schema")
    size, rows = found[0]
    return State("there", f"{name}: {clean(str(size), 40)}" + (f", about {rows:,} rows" if rows >= 0 else ""))


async def _backend(session: Session, statement: Statement) -> State:
    found = await session.ask(_BACKEND, (int(statement.name),))
    if not found:
        return State("", "", problem=f"there is no backend {statement.name}", remedy="it has ended; look again")
    user, application, state, query, age_s, started = found[0]
    words = f"{safe(user or '?', 63)} ({safe(application or 'unnamed', 63)}), {state or 'unknown'}"
    if age_s is not None:
        words += f" for {float(age_s):.0f} s"
    return State(str(started), f"{words}: {shown(str(query or ''), 160)}")
