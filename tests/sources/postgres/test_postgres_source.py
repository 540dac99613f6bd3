"""The Postgres source against a real server: what it sees, what hides from it, and what happens
when the server does not answer.
"""

from __future__ import annotations

import asyncio
import importlib
import re
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cockpit.assessment.board import Board
from cockpit.drill.postgres import DrillPostgres, schema
from cockpit.drill.postgres.workload import READ
from cockpit.mitigation.sql.session import run_statement
from cockpit.model.observed.postgres import Activity, Archiver, Connections, Indexes, TopQueries, Vacuum
from cockpit.model.reading import SourceState
from cockpit.sources.postgres import session as postgres_session
from cockpit.sources.postgres.settings import POSTGRES, PostgresSettings
from cockpit.sources.postgres.source import TOPICS
from tests.support.paths import ROOT
from tests.support.postgres_rig import frozen, listening, session
from tests.support.readings import data_of, fault_in, kept
from tests.support.waiting import HANG_S

pytestmark = pytest.mark.real


def reads(connection: psycopg.Connection[Any], times: int = 5) -> None:
    for epoch in range(times):
        connection.execute(READ, ("market-3", epoch)).fetchall()


async def test_every_topic_is_read_and_no_secret_is_said(database: DrillPostgres) -> None:
    async with listening(database.url) as source:
        with session(database, admin=False, application="m0-api-gateway") as api:
            queries = await source.data("queries", lambda data: data.window_s)
            reads(api)
            queries = await source.data("queries", lambda data: any("outputs o" in q.text for q in data.queries))
            assert isinstance(queries, TopQueries) and queries.load is not None
            mine = next(q for q in queries.queries if "outputs o" in q.text)
            assert (
                (mine.user, mine.database) == ("m0_app", "m0") and mine.calls_per_s and mine.ms_per_call and mine.share
            )
            assert not [q for q in queries.queries if "pg_stat" in q.text], "its own statements are left out"
            connections = await source.data("connections", lambda data: data.total >= 2)
            assert (
                isinstance(connections, Connections)
                and connections.limit == 37
                and connections.version.startswith("18")
            )
            assert {"m0-cockpit", "m0-api-gateway"} <= {group.name for group in connections.by_application}
        for topic in TOPICS:
            await source.data(topic)
        assert database.cluster.password not in source.said and "postgresql://" not in source.said


async def test_a_missing_index_is_reported_with_its_cure_and_the_cure_shows(database: DrillPostgres) -> None:
    database.missing_index()
    try:
        async with listening(database.url) as source:
            await source.data("indexes")
            with session(database, admin=False) as api:
                reads(api)
            seen = await source.data("indexes", lambda data: data.missing)
            assert isinstance(seen, Indexes)
            (missing,) = seen.missing
            assert (missing.table, missing.columns, missing.cause) == (
                "public.outputs",
                ("market_id", "epoch"),
                "missing",
            )
            assert missing.statement == (
                "CREATE INDEX CONCURRENTLY IF NOT EXISTS outputs_market_id_epoch_idx ON public.outputs (market_id, epoch)"
            )
            assert (
                "rows a second" in missing.reason and "market_id, epoch" in missing.reason and "WHERE" in missing.query
            )
            done = await run_statement(database.admin_url, missing.statement, timeout_s=20, lock_timeout_s=2)
            assert "is valid" in done
            await source.data("indexes", lambda data: not data.missing)
    finally:
        database.missing_index(False)


async def test_a_report_that_no_index_serves_asks_for_none(database: DrillPostgres) -> None:
    async with listening(database.url) as source:
        await source.data("indexes")
        with session(database, admin=False) as app:
            for _ in range(3):
                app.execute("SELECT count(*), max(md5(payload)) FROM outputs WHERE payload LIKE '%a%'").fetchall()
        seen = await source.data("indexes", lambda data: data.missing)
        assert [(m.table, m.cause, m.statement) for m in seen.missing] == [("public.outputs", "whole", "")]


async def test_an_invalid_index_is_reported(database: DrillPostgres) -> None:
    with session(database) as admin:
        with pytest.raises(psycopg.errors.UniqueViolation):
            admin.execute("CREATE UNIQUE INDEX CONCURRENTLY features_bad ON features (name)")
        try:
            async with listening(database.url) as source:
                seen = await source.data("indexes", lambda data: [t for t in data.troubles if t.kind == "invalid"])
                trouble = next(t for t in seen.troubles if t.kind == "invalid")
                assert trouble.statement == "DROP INDEX CONCURRENTLY public.features_bad"
        finally:
            admin.execute("DROP INDEX features_bad")


async def test_a_vacuum_debt_is_reported(database: DrillPostgres) -> None:
    database.vacuum_debt()
    try:
        async with listening(database.url) as source:
            seen = await source.data("vacuum", lambda data: data.tables[0].vacuum_overdue)
            assert isinstance(seen, Vacuum)
            worst = seen.tables[0]
            assert worst.table == "public.publish_queue" and not worst.autovacuum and worst.dead_ratio > 0.5
            assert seen.oldest_vacuum_s > 0 and seen.autovacuum
    finally:
        database.vacuum_debt(False)


async def test_a_failing_archiver_ends_recovery_and_a_mended_one_brings_it_back(database: DrillPostgres) -> None:
    async with listening(database.url) as source:
        works = await source.data("archiver", lambda data: data.works)
        assert isinstance(works, Archiver) and works.last_archived_age_s is not None
        database.fail_archiver()
        try:
            bad = await source.data("archiver", lambda data: data.failing)
            assert bad.works is False and bad.verdict.startswith("the archiver fails at 0000")
            assert (await source.data("archiver", lambda data: data.waiting)).failed > works.failed
        finally:
            database.fail_archiver(False)
        await source.data("archiver", lambda data: data.works and data.archived > works.archived)


async def test_who_blocks_whom_is_followed_to_the_end_of_the_chain(database: DrillPostgres) -> None:
    row = "UPDATE markets SET active = active WHERE id = 'market-{}'"
    async with listening(database.url) as source, asyncio.TaskGroup() as group:
        with session(database, application="psql") as root, session(database, application="middle") as middle:
            pids = root.info.backend_pid, middle.info.backend_pid
            root.execute("BEGIN")
            root.execute(row.format(1))
            middle.execute("BEGIN")
            middle.execute(row.format(2))
            waits = group.create_task(asyncio.to_thread(middle.execute, row.format(1)))
            with session(database, application="last") as last:
                behind = group.create_task(asyncio.to_thread(last.execute, row.format(2)))
                seen = await source.data("activity", lambda data: data.blocked_total == 2)
                assert isinstance(seen, Activity)
                chain = {b.application: (b.by, b.root) for b in seen.blocked}
                assert chain == {"middle": ((pids[0],), pids[0]), "last": ((pids[1],), pids[0])}
                assert all(b.root_words.startswith("psql as postgres, idle in transaction for") for b in seen.blocked)
                assert "transaction" in seen.blocked[0].lock
                holder = next(t for t in seen.transactions if t.application == "psql")
                assert holder.blocks == 2 and "market-1" not in holder.text
                root.execute("ROLLBACK")
                await waits
                middle.execute("ROLLBACK")
                await behind
        await source.data("activity", lambda data: not data.blocked_total)


async def test_a_role_without_rights_reads_which_grant_is_missing(database: DrillPostgres) -> None:
    password = database.cluster.password
    database.run(None, (f"CREATE ROLE blind LOGIN PASSWORD '{password}'", "GRANT CONNECT ON DATABASE m0 TO blind"))
    try:
        with session(database, application="other"):
            async with listening(database.cluster.url("blind", password, "m0")) as source:
                for topic in ("connections", "queries", "activity"):
                    fault = await source.fault(topic)
                    assert fault.state is SourceState.DENIED and fault.remedy == "GRANT pg_monitor TO blind", topic
                    assert "insufficient privilege" in fault.reason and "hidden" in fault.reason
                for topic in ("vacuum", "replication", "archiver"):
                    await source.data(topic)
                archiver = await source.data("archiver")
                assert archiver.waiting is None and "GRANT pg_monitor" in archiver.verdict
                # The grant takes effect without a new connection.
                database.run(None, ("GRANT pg_monitor TO blind",))
                await source.data("activity")
    finally:
        database.run(None, ("REVOKE CONNECT ON DATABASE m0 FROM blind", "DROP ROLE blind"))


async def test_a_frozen_backend_is_noticed_and_blocks_nothing(database: DrillPostgres) -> None:
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.01)
            beats += 1

    pulse = asyncio.create_task(beat())
    async with listening(database.url, silence_s=1.2) as source:
        await source.data("archiver")
        with session(database) as admin:
            ((pid,),) = admin.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'm0-cockpit'"
            ).fetchall()
            with frozen(pid):
                fault = await source.fault("connections", SourceState.DOWN)
                assert "answered nothing for 1.2 s" in fault.reason and beats > 20
                held = source.board.get("postgres/connections")
                assert held is not None and kept(held) is not None, "the last good data are kept"
                # A new session works, for only that backend is frozen.
                fresh = await source.data("connections")
                assert fresh.total >= 2
            assert admin.execute("SELECT 1").fetchall() == [(1,)]
    pulse.cancel()


async def test_a_frozen_server_lets_nobody_in_and_is_noticed(database: DrillPostgres) -> None:
    pid = database.cluster.pid
    assert pid is not None
    with frozen(pid):
        async with listening(database.url, silence_s=1.0) as source:
            fault = await source.fault("connections", SourceState.DOWN)
            assert "accepted no session for 1 s" in fault.reason


async def test_a_server_that_stops_is_down_and_is_found_again(database: DrillPostgres) -> None:
    async with listening(database.url) as source:
        await source.data("archiver")
        database.down()
        try:
            fault = await source.fault("connections", SourceState.DOWN)
            assert {t: fault_in(r) is not None for t, r in source.board.under("postgres/").items()} == dict.fromkeys(
                (f"postgres/{name}" for name in TOPICS), True
            )
            assert fault.remedy
        finally:
            await asyncio.to_thread(database.down, False)
        await source.data("connections")


async def test_hostile_texts_reach_nobody(database: DrillPostgres) -> None:
    evil = "SELECT /* \x1b[2J\x1b]52;c;cm0=\x07 \u202e */ 'hunter2secret', count(*) FROM \"mar\x1bkets\u202e\""
    with session(database, application="\x1b[31mevil\u202e") as app:
        app.execute('CREATE TABLE "mar\x1bkets\u202e" AS SELECT 1 AS one')
        app.execute("BEGIN")
        app.execute(evil)
        async with listening(database.url) as source:
            seen = await source.data("activity", lambda data: data.transactions)
            await source.data("queries", lambda data: any("kets" in q.text for q in data.queries))
            await source.data("archiver")
            texts = [seen.transactions[0].text, seen.transactions[0].application]
            texts += [q.text for q in (await source.data("queries")).queries]
            texts += [t.table for t in (await source.data("vacuum")).tables]
        app.execute("ROLLBACK")
        app.execute('DROP TABLE "mar\x1bkets\u202e"')
    assert all(text.isprintable() for text in texts) and "hunter2" not in source.said
    assert any('"mar\\ekets\\u202e"' in text for text in texts)


async def test_a_database_without_the_extension_says_so(database: DrillPostgres) -> None:
    database.run(None, ("DROP EXTENSION pg_stat_statements",))
    try:
        async with listening(database.url) as source:
            fault = await source.fault("queries")
            assert "pg_stat_statements is missing in database m0" in fault.reason and "CREATE EXTENSION" in fault.remedy
            await source.data("archiver")
    finally:
        database.run(None, ("CREATE EXTENSION pg_stat_statements",))


@pytest.mark.parametrize(
    ("change", "state", "words"),
    [
        (
            lambda url, d: url.replace(d.cluster.password, "wrong-pw-123"),
            SourceState.UNAUTHORISED,
            "password authentication failed",
        ),
        (lambda url, d: url.replace("/m0", "/nowhere"), SourceState.DOWN, '"nowhere" does not exist'),
        (lambda url, d: url.replace(str(d.cluster.port), "1"), SourceState.DOWN, "Connection refused"),
        (lambda url, d: "postgresql://u@no.such.host.invalid/x", SourceState.DOWN, "Name or service not known"),
        (lambda url, d: "postgresql://u@/x?host=/no-such-place", SourceState.DOWN, "No such file or directory"),
        (lambda url, d: "postgresql://u:wrong-pw-123%zz@h/x", SourceState.DOWN, "is no PostgreSQL address"),
        (lambda url, d: "wrong-pw-123", SourceState.DOWN, "is no PostgreSQL address"),
        (lambda url, d: f"{url}?options=-c%20nonsense%3D1", SourceState.DOWN, "nonsense"),
    ],
)
async def test_an_address_that_does_not_work_says_why_and_keeps_the_secret(
    database: DrillPostgres, change: Any, state: SourceState, words: str
) -> None:
    async with listening(change(database.url, database)) as source:
        fault = await source.fault("connections")
        assert fault.state is state and words in fault.reason and fault.remedy
        assert not re.search(r"Errno|connection is bad|psycopg", fault.reason)  # R13: no library's words
    assert "wrong-pw-123" not in source.said and database.cluster.password not in source.said


async def test_a_url_file_is_read_again_when_it_was_mended(database: DrillPostgres, tmp_path: Path) -> None:
    path = tmp_path / "url"
    async with listening("", settings=PostgresSettings(url_file=str(path), interval=0.5)) as source:
        assert "cannot read the Postgres address" in (await source.fault("queries")).reason
        path.write_text(database.url + "\n", "utf-8")
        await source.data("connections")


async def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(importlib, "import_module", absent)
    async with listening("postgresql://cockpit@localhost/m0") as source:
        fault = await source.fault("connections")
        assert fault.remedy == "pip install 'm0-cockpit[postgres]'"


def test_a_poll_waits_for_no_lock_and_its_session_is_bounded(database: DrillPostgres) -> None:
    async def query() -> None:
        with session(database) as admin:
            admin.execute("BEGIN")
            admin.execute("LOCK TABLE outputs, features IN ACCESS EXCLUSIVE MODE")
            async with listening(database.url) as source:
                await source.data("indexes")
                await source.data("vacuum")
                mine = admin.execute("SELECT 1 FROM pg_stat_activity WHERE application_name = 'm0-cockpit'").fetchall()
                assert len(mine) == 1, "one session, no more"
            admin.execute("ROLLBACK")

    asyncio.run(query())
    info = postgres_session.conninfo(database.url)
    names = ("statement_timeout", "lock_timeout", "default_transaction_read_only", "search_path", "application_name")
    with psycopg.connect(info) as own:
        set_to = [own.execute("SELECT current_setting(%s)", (name,)).fetchone() for name in names]
    assert set_to == [("4s",), ("1s",), ("on",), ("pg_catalog",), ("m0-cockpit",)]
    limits = psycopg.conninfo.conninfo_to_dict(info)
    assert (limits["connect_timeout"], limits["tcp_user_timeout"], limits["keepalives"]) == ("4", "8000", "1")


def test_the_role_of_deploy_may_watch_and_nothing_else(database: DrillPostgres) -> None:
    script = (ROOT / "deploy" / "postgres-role.sql").read_text("utf-8")
    password = database.cluster.password
    with session(database) as admin:
        for _ in range(2):  # twice does no harm
            admin.execute(script.encode())
        admin.execute(f"ALTER ROLE m0_cockpit PASSWORD '{password}'".encode())
        try:
            with psycopg.connect(database.cluster.url("m0_cockpit", password, "m0"), autocommit=True) as role:
                role.execute("SET default_transaction_read_only = off")
                for statement in (
                    "SELECT * FROM outputs",
                    "DELETE FROM outputs",
                    "CREATE TABLE t (a int)",
                    "CREATE SCHEMA s",
                    "CREATE ROLE r",
                    "ALTER SYSTEM SET work_mem = '1MB'",
                    "SELECT pg_read_file('PG_VERSION')",
                    "SELECT pg_switch_wal()",
                ):
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        role.execute(statement.encode())
                hidden = role.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE query = '<insufficient privilege>'"
                ).fetchone()
                assert hidden == (0,)
                assert role.execute("SELECT count(*) FROM pg_ls_archive_statusdir()").fetchone() is not None
            ours = re.sub(r"\s+", " ", schema.roles("pw"))
            assert f"GRANT pg_monitor TO {schema.WATCHER}" in ours, "the drill's role is the same"
            mine = "SELECT roleid::regrole::text FROM pg_auth_members WHERE member = '{}'::regrole"
            granted = [admin.execute(mine.format(r).encode()).fetchall() for r in ("m0_cockpit", schema.WATCHER)]
            assert granted == [[("pg_monitor",)]] * 2
        finally:
            admin.execute("REVOKE CONNECT ON DATABASE m0 FROM m0_cockpit")
            admin.execute("DROP ROLE m0_cockpit")


async def test_statistics_that_are_reset_begin_anew(database: DrillPostgres) -> None:
    async with listening(database.url) as source:
        await source.data("queries", lambda data: data.window_s)
        database.run(None, ("SELECT pg_stat_statements_reset()", "SELECT pg_stat_reset()"))
        before = time.monotonic()
        await source.data("queries", lambda data: data.window_s and data.window_s < 1.9 + time.monotonic() - before)
        for query in (await source.data("queries")).queries:
            assert query.share is None or 0.0 <= query.share <= 1.0


async def test_the_engine_draws_it_beside_everything_else(database: DrillPostgres) -> None:
    from cockpit.clock import SystemClock
    from cockpit.engine import Engine
    from cockpit.runbooks.schema import load
    from cockpit.settings import Settings

    settings = Settings(kubeconfig="/nonexistent/kubeconfig").having(
        POSTGRES, PostgresSettings(url=database.url, interval=0.5)
    )
    engine = Engine(settings, load, SystemClock())
    engine.start()
    try:
        async with asyncio.timeout(HANG_S):
            while (situation := engine.situation) is None or "archiver" not in situation.postgres:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    finally:
        await asyncio.to_thread(engine.close)
    assert "postgres" in situation.configured and data_of(situation.postgres["archiver"]).mode == "on"
    (light,) = (light for light in situation.sources if light.name == "pg")
    assert light.state is SourceState.LIVE


def test_nothing_is_read_when_it_is_not_configured() -> None:
    from cockpit.assessment.lights import lights

    (light,) = (light for light in lights(Board(), 0.0, frozenset({"kubernetes"})) if light.name == "pg")
    assert light.state is SourceState.OFF and "[postgres] url" in light.remedy
