"""One reviewed statement against a real server: what became of it is read back, and what failed
leaves a word on how to clean up.
"""

from __future__ import annotations

import asyncio
import time

import psycopg
import pytest

from cockpit.drill.postgres import DrillPostgres
from cockpit.mitigation.sql.session import SqlProblem, created_index, run_statement, single
from cockpit.sources.postgres.sql_text import tokens

CREATE = "CREATE INDEX CONCURRENTLY IF NOT EXISTS features_name_at_idx ON public.features (name, at)"


async def run(database: DrillPostgres, statement: str, **limits: float) -> str:
    return await run_statement(
        database.admin_url,
        statement,
        timeout_s=limits.get("timeout_s", 20),
        lock_timeout_s=limits.get("lock_timeout_s", 2),
    )


def until(database: DrillPostgres, query: str, there: bool) -> None:
    deadline = time.monotonic() + 10
    while bool(database.run(None, (query,))) is not there:
        assert time.monotonic() < deadline, query


@pytest.mark.real
async def test_an_index_is_made_outside_a_transaction_and_read_back(database: DrillPostgres) -> None:
    pids: list[int] = []
    try:
        done = await run_statement(database.admin_url, CREATE, timeout_s=20, lock_timeout_s=2, started=pids.append)
        assert done.startswith("CREATE INDEX: index features_name_at_idx on public.features is valid: CREATE INDEX")
        assert len(pids) == 1 and pids[0] > 0
        assert "is valid" in await run(database, CREATE), "a second time finds it"
    finally:
        database.run(None, ("DROP INDEX IF EXISTS features_name_at_idx",))


@pytest.mark.real
async def test_a_failed_build_says_what_it_left_behind(database: DrillPostgres) -> None:
    try:
        with pytest.raises(SqlProblem) as problem:
            await run(database, "CREATE UNIQUE INDEX CONCURRENTLY features_uq ON features (name)")
        assert "could not create unique index" in problem.value.reason and problem.value.sent
        assert "left the invalid index features_uq behind" in problem.value.reason
        assert problem.value.remedy == "DROP INDEX CONCURRENTLY features_uq, then again"
        again = "CREATE INDEX CONCURRENTLY IF NOT EXISTS features_uq ON features (name)"
        with pytest.raises(SqlProblem, match="exists but is invalid"):  # the server says CREATE INDEX, and did nothing
            await run(database, again)
        with pytest.raises(SqlProblem, match="another table's has that name"):
            await run(database, again.replace("ON features (name)", "ON public.markets (domain)"))
    finally:
        database.run(None, ("DROP INDEX IF EXISTS features_uq",))


@pytest.mark.real
async def test_limits_and_rights_are_said_in_words(database: DrillPostgres) -> None:
    with psycopg.connect(database.cluster.own_url("m0")) as holder:
        holder.execute("LOCK TABLE features IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(SqlProblem, match=r"a lock was not free within 0\.2 s") as problem:
            await run(database, CREATE, lock_timeout_s=0.2)
        assert problem.value.sent
    with pytest.raises(SqlProblem, match=r"not done within 0\.2 s"):
        await run(database, "SELECT pg_sleep(20)", timeout_s=0.2)
    with pytest.raises(SqlProblem, match=r"must be owner|permission denied") as problem:
        await run_statement(database.app_url, CREATE, timeout_s=5, lock_timeout_s=1)
    assert "admin-url needs the role" in problem.value.remedy
    with pytest.raises(SqlProblem, match="password authentication failed") as problem:
        await run_statement(
            database.admin_url.replace(database.cluster.password, "wrong-pw-123"), CREATE, timeout_s=5, lock_timeout_s=1
        )
    assert not problem.value.sent and "wrong-pw" not in str(problem.value)
    with pytest.raises(SqlProblem, match="admin-url is no PostgreSQL address"):
        await run_statement("wrong-pw-123", CREATE, timeout_s=5, lock_timeout_s=1)


@pytest.mark.real
async def test_a_step_that_is_given_up_ends_in_the_database_too(database: DrillPostgres) -> None:
    started = asyncio.Event()
    pids: list[int] = []

    def note(pid: int) -> None:
        pids.append(pid)
        started.set()

    task = asyncio.create_task(
        run_statement(database.admin_url, "SELECT pg_sleep(60)", timeout_s=60, lock_timeout_s=1, started=note)
    )
    await started.wait()
    active = f"SELECT 1 FROM pg_stat_activity WHERE pid = {pids[0]} AND state = 'active'"
    await asyncio.to_thread(until, database, active, True)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gone = f"SELECT 1 FROM pg_stat_activity WHERE pid = {pids[0]}"
    await asyncio.to_thread(until, database, gone, False)


def test_only_one_statement_is_let_through() -> None:
    assert [text for _, text in single("SELECT 1;;")] == ["SELECT", "1"]
    assert len(single("SELECT ';'")) == 2
    for several in ("SELECT 1; DROP TABLE outputs", "SELECT 1;--\nDROP TABLE outputs"):
        with pytest.raises(SqlProblem, match="more than one"):
            single(several)
    with pytest.raises(SqlProblem, match="no statement"):
        single("  /* nothing */ ;")


@pytest.mark.parametrize(
    ("statement", "made"),
    [
        (CREATE, ("features_name_at_idx", "public.features")),
        ('CREATE UNIQUE INDEX "I x" ON ONLY "T" USING btree (a)', ("I x", '"T"')),
        ("CREATE INDEX ON t (a)", None),
        ("DROP INDEX CONCURRENTLY i", None),
    ],
)
def test_which_index_a_statement_makes(statement: str, made: tuple[str, str] | None) -> None:
    assert created_index(tokens(statement)) == made


@pytest.mark.real
async def test_one_that_the_operator_stops_is_cancelled_by_the_server(database: DrillPostgres) -> None:
    stop, started = asyncio.Event(), asyncio.Event()
    pids: list[int] = []

    def note(pid: int) -> None:
        pids.append(pid)
        started.set()

    task = asyncio.create_task(
        run_statement(
            database.admin_url, "SELECT pg_sleep(60)", timeout_s=60, lock_timeout_s=1, started=note, stop=stop
        )
    )
    await started.wait()
    active = f"SELECT 1 FROM pg_stat_activity WHERE pid = {pids[0]} AND state = 'active'"
    await asyncio.to_thread(until, database, active, True)
    stop.set()
    with pytest.raises(SqlProblem, match="stopped by the operator") as problem:
        await task
    assert problem.value.sent and problem.value.answered
