"""Runs one reviewed statement on a writer's session of its own.

It also says what became of the index that the statement made.

CREATE INDEX CONCURRENTLY runs in no transaction block, waits for older transactions, and leaves an
*invalid* index behind when it fails: so success is read back from the catalog, never assumed.
Nothing is sent a second time.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

from cockpit.errors import CockpitError
from cockpit.sources.postgres.session import PgProblem, Session, conninfo, driver, fault_of, first_line, secrets_of
from cockpit.sources.postgres.sql_text import Token, quoted, tokens, unquoted
from cockpit.text import safe

APPLICATION = "m0-cockpit-step"


class SqlProblem(CockpitError):
    """One safe line.

    `sent`: the statement may have had its effect, or part of it; read what happened before trying
    again. `answered`: the server itself said that it failed.
    """

    usual_remedy = "read what is there now before you try again"

    def __init__(self, reason: str, remedy: str = "", *, sent: bool = False, answered: bool = False) -> None:
        super().__init__(reason, remedy)
        self.answered = answered
        self.sent = sent


async def run_statement(
    url: str,
    statement: str,
    *,
    timeout_s: float,
    lock_timeout_s: float,
    started: Callable[[int], None] | None = None,
    stop: asyncio.Event | None = None,
) -> str:
    """Run one statement outside any transaction and say what became of it, in one line.

    `timeout_s` bounds the statement on the server; `lock_timeout_s` each wait for a lock, so that
    nobody queues behind us. `started(pid)` is called with the backend's pid just before the
    statement is sent (`pg_cancel_backend` ends it). When `stop` is set the server is asked to
    cancel it; what it answers then decides. Raises SqlProblem; its `sent` tells whether the
    statement had been sent.
    """
    words = single(statement)
    psycopg = await _driver()
    try:
        info = conninfo(
            url,
            session={
                "statement_timeout": f"{int(timeout_s * 1000)}ms",
                "lock_timeout": f"{int(lock_timeout_s * 1000)}ms",
            },
        )
    except PgProblem as problem:
        raise SqlProblem(
            problem.fault.reason.replace("[postgres] url", "[postgres] admin-url"), problem.fault.remedy
        ) from None
    secrets = secrets_of(url)
    try:
        connection = await psycopg.AsyncConnection.connect(
            info, autocommit=True, prepare_threshold=None, application_name=APPLICATION
        )
    except (psycopg.Error, OSError, ValueError) as error:
        fault = fault_of(error, secrets)
        raise SqlProblem(fault.reason, fault.remedy) from None
    session = Session(connection, secrets)
    try:
        if started is not None:
            started(connection.info.backend_pid)
        try:
            # The server's own timeout comes first; this one is for a server that no longer answers.
            async with asyncio.timeout(timeout_s + 10.0), _cancelled_by(stop, connection):
                cursor = await connection.execute(statement.encode())
        except TimeoutError:
            raise SqlProblem(
                f"no answer for {timeout_s + 10:g} s", "see Postgres: is it still running?", sent=True
            ) from None
        except (psycopg.Error, OSError) as error:
            reason, remedy = _failure(error, secrets, timeout_s, lock_timeout_s)
            if stop is not None and stop.is_set():
                reason, remedy = f"stopped by the operator: {first_line(error, secrets)}", ""
            state, left = await _left_behind(session, words)
            answered = bool(getattr(error, "sqlstate", None))
            raise SqlProblem(f"{reason}{left}", state or remedy, sent=True, answered=answered) from None
        return await _outcome(session, words, cursor.statusmessage or "done")
    finally:
        await session.close()


@contextlib.asynccontextmanager
async def _cancelled_by(stop: asyncio.Event | None, connection: Any) -> AsyncIterator[None]:
    """Ask the server to cancel what the connection runs, when `stop` is set meanwhile."""

    async def cancel(asked: asyncio.Event) -> None:
        await asked.wait()
        with contextlib.suppress(Exception):  # it ends by its own timeout then
            await connection.cancel_safe(timeout=5.0)

    waiting = asyncio.create_task(cancel(stop)) if stop is not None else None
    try:
        yield
    finally:
        if waiting is not None:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)


async def _driver() -> Any:
    try:
        return await driver()
    except PgProblem as problem:
        raise SqlProblem(problem.fault.reason, problem.fault.remedy) from None


def single(statement: str) -> list[Token]:
    """Return the tokens of exactly one statement.

    Raises SqlProblem for none or several.
    """
    found = tokens(statement)
    while found and found[-1][1] == ";":
        found.pop()
    if not found:
        raise SqlProblem("there is no statement to run")
    if any(text == ";" for _, text in found):
        raise SqlProblem("more than one statement: only one is run at a time", "split the step")
    return found


def created_index(words: list[Token]) -> tuple[str, str] | None:
    """Return (index name, table as SQL) of a CREATE INDEX with a name; None of anything else."""
    texts = [text.lower() for _, text in words]
    if texts[:2] != ["create", "index"] and texts[:3] != ["create", "unique", "index"]:
        return None
    at = texts.index("index") + 1
    at += texts[at : at + 1] == ["concurrently"]
    at += 3 if texts[at : at + 3] == ["if", "not", "exists"] else 0
    if at >= len(words) or texts[at] == "on" or words[at][0] not in ("word", "name"):
        return None
    name = unquoted(*words[at])
    on = texts.index("on", at) + 1 if "on" in texts[at:] else len(words)
    on += texts[on : on + 1] == ["only"]
    table: list[str] = []
    while on < len(words) and (words[on][0] in ("word", "name") or words[on][1] == "."):
        if table and table[-1] != "." and words[on][1] != ".":
            break
        table.append(words[on][1] if words[on][1] == "." else quoted(unquoted(*words[on])))
        on += 1
    return name, "".join(table)


_READ_BACK = """
SELECT i.indisvalid, i.indisready, pg_get_indexdef(i.indexrelid)
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = to_regclass(%s) AND c.relname = %s
"""


async def _outcome(session: Session, words: list[Token], status: str) -> str:
    """Return what the statement did, after reading a new index back.

    Raises SqlProblem when it is not there, or not valid, though the server reported success.
    """
    made = created_index(words)
    if made is None:
        return safe(status, 200)
    name, table = made
    try:
        rows = await session.ask(_READ_BACK, (table, name))
    except PgProblem as problem:
        raise SqlProblem(f"{status}, but it cannot be read back: {problem.fault.reason}", sent=True) from None
    if not rows:
        raise SqlProblem(
            f"{status}, but table {table} has no index {name}: another table's has that name",
            "choose another name",
            sent=True,
        )
    valid, _, definition = rows[0]
    if not valid:
        raise SqlProblem(
            f"index {name} exists but is invalid: it serves no query",
            f"DROP INDEX CONCURRENTLY {quoted(name)}, then again",
            sent=True,
        )
    return f"{safe(status, 60)}: index {safe(name, 63)} on {safe(table, 130)} is valid: {safe(definition, 240)}"


async def _left_behind(session: Session, words: list[Token]) -> tuple[str, str]:
    """Return (remedy, more words) when a failed concurrent build left an invalid index."""
    made = created_index(words)
    if made is None:
        return "", ""
    name, table = made
    try:
        rows = await session.ask(_READ_BACK, (table, name))
    except PgProblem:
        return "see Postgres for an invalid index", "; whether an invalid index was left behind cannot be read"
    if rows and not rows[0][0]:
        return f"DROP INDEX CONCURRENTLY {quoted(name)}, then again", f"; it left the invalid index {name} behind"
    return "", ""


_DUPLICATE = re.compile(r"already exists")


def _failure(
    error: BaseException, secrets: tuple[str, ...], timeout_s: float, lock_timeout_s: float
) -> tuple[str, str]:
    state = getattr(error, "sqlstate", None) or ""
    if state == "55P03":
        return f"a lock was not free within {lock_timeout_s:g} s", "see who holds it: Postgres, transactions and locks"
    if state == "57014":
        return f"cancelled, or not done within {timeout_s:g} s", "raise the step's timeout, or try at a quieter time"
    if state == "42501":
        return f"insufficient privilege: {first_line(error, secrets)}", "admin-url needs the role that owns the table"
    if state == "25006":
        return "the session is read-only: a standby, or a read-only role", "point admin-url at the primary and an owner"
    words = first_line(error, secrets)
    return words, "drop it or choose another name" if _DUPLICATE.search(words) else ""
