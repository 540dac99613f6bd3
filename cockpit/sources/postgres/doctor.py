"""Examines the session that the source will have: its role, its rights and their excess."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from cockpit.model.reading import Fault, SourceState
from cockpit.settings import ConfigProblem, secret_of
from cockpit.sources.examination import Examination, Finding, State, bounded, found, skew
from cockpit.sources.postgres.health import server
from cockpit.sources.postgres.session import PgProblem, Session
from cockpit.sources.postgres.settings import POSTGRES
from cockpit.sources.postgres.statements import Statements
from cockpit.sources.registry import configured

AREA = "postgres"
_OLDEST = 130000  # PostgreSQL 13
_WHO = """
SELECT current_user, r.rolsuper, pg_has_role(current_user, 'pg_monitor', 'USAGE'), current_setting('server_version'),
       current_setting('server_version_num')::int, coalesce((SELECT ssl FROM pg_stat_ssl
         WHERE pid = pg_backend_pid()), false),
       inet_server_addr() IS NULL OR host(inet_server_addr()) IN ('127.0.0.1', '::1'),
       extract(epoch FROM clock_timestamp())::float8
FROM pg_roles r WHERE r.rolname = current_user
"""
_WRITES = """
SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND n.nspname NOT LIKE 'pg\\_%%'
  AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
"""


async def examine(exam: Examination) -> list[Finding]:
    if "postgres" not in configured(exam.settings):
        return [
            found(
                AREA,
                "server",
                State.OFF,
                "not configured",
                "url-file in [postgres]; `m0-cockpit files postgres-role.sql` prints what makes the role",
            )
        ]
    return await bounded(exam, AREA, "server", lambda: _examine_session(exam))


async def _examine_session(exam: Examination) -> Sequence[Finding]:
    own = exam.settings.of(POSTGRES)
    try:
        url = await asyncio.to_thread(secret_of, own.url, own.url_file, "the Postgres URL")
        session = await Session.open(url or "")
    except ConfigProblem as problem:
        return [found(AREA, "server", State.FAIL, problem.reason, problem.remedy)]
    except PgProblem as problem:
        return [found(AREA, "server", State.FAIL, problem.fault.reason, problem.fault.remedy)]
    try:
        return await _asked(exam, session)
    except PgProblem as problem:
        return [found(AREA, "server", State.FAIL, problem.fault.reason, problem.fault.remedy)]
    except asyncio.CancelledError:
        session.break_off()  # a frozen backend ends with its socket only
        raise
    finally:
        await session.close()


async def _asked(exam: Examination, session: Session) -> list[Finding]:
    ((role, super_user, monitor, version, number, tls, local, now),) = await session.ask(_WHO)
    findings = [_server(str(version), int(number)), _transport(bool(tls), bool(local))]
    findings.append(skew(AREA, float(now) - exam.clock.wall(), "the database's", 0.0))
    findings.append(_role(str(role), super_user=bool(super_user), monitor=bool(monitor)))
    if not super_user:
        findings.append(await _writes(session, str(role)))
    findings.append(await _statements(session))
    return findings


def _server(version: str, number: int) -> Finding:
    if number < _OLDEST:
        return found(AREA, "server", State.FAIL, f"PostgreSQL {version}", "PostgreSQL 13 is the oldest that is read")
    return found(AREA, "server", State.OK, f"PostgreSQL {version}")


def _transport(tls: bool, local: bool) -> Finding:
    if tls:
        return found(AREA, "transport", State.OK, "TLS")
    if local:
        return found(AREA, "transport", State.OK, "on this machine, without TLS")
    return found(
        AREA, "transport", State.WARN, "the password travels without TLS", "add sslmode=verify-full to the URL"
    )


def _role(role: str, *, super_user: bool, monitor: bool) -> Finding:
    if super_user:
        return found(
            AREA,
            "role",
            State.WARN,
            f"{role} is a superuser: only the role's grants keep a reader from writing",
            "use a role of its own: `m0-cockpit files postgres-role.sql`",
        )
    if not monitor:
        return found(
            AREA,
            "role",
            State.FAIL,
            f"{role} has no pg_monitor: what others do is hidden from it",
            f"GRANT pg_monitor TO {role}",
        )
    return found(AREA, "role", State.OK, f"{role}, with pg_monitor")


async def _writes(session: Session, role: str) -> Finding:
    rows: list[Any] = await session.ask(_WRITES)
    count = int(rows[0][0])
    if count:
        words = f"{role} may write {count} table{'s' if count > 1 else ''}"
        return found(AREA, "grants", State.WARN, words, f"REVOKE what {role} need not have: it only reads statistics")
    return found(AREA, "grants", State.OK, f"{role} may write no table")


async def _statements(session: Session) -> Finding:
    """Read the view as the source does: that the extension is there says little."""
    try:
        known = await server(session.ask)
        _, fault = await Statements().poll(session.ask, known, 0.0)
        ((track,),) = await session.ask("SELECT current_setting('pg_stat_statements.track', true)")
    except PgProblem as problem:
        if problem.lost:
            raise
        fault = problem.fault
    else:
        if fault is None and track == "none":
            fault = Fault(SourceState.DOWN, "it counts nothing", "pg_stat_statements.track = 'top', then reload")
    if fault is None:
        return found(AREA, "pg_stat_statements", State.OK, f"version {known.statements_version}")
    return found(AREA, "pg_stat_statements", State.WARN, f"top queries stay unknown: {fault.reason}", fault.remedy)
