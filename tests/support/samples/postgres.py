"""What a database may say: a calm one, and one in trouble."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from cockpit.model.observed import postgres as pg
from cockpit.model.reading import Fault, Reading
from cockpit.model.situation import Situation
from tests.support.samples import situations

HOT = "SELECT o.id, o.tick FROM outputs o WHERE o.market_id = $1 AND o.epoch = $2"


def query(text: str, share: float, ms: float, per_s: float = 4.8) -> pg.TopQuery:
    return pg.TopQuery(
        key="1/2/3",
        text=text,
        database="m0",
        user="m0_app",
        calls=1200,
        total_ms=9000.0,
        mean_ms=7.5,
        calls_per_s=per_s,
        ms_per_call=ms,
        share=share,
        load=ms * per_s / 1000,
        blocks_per_call=12.0,
    )


def upkeep(table: str, dead: int = 0, **changes: Any) -> pg.TableUpkeep:
    base = pg.TableUpkeep(
        table=f"public.{table}",
        live=30_000,
        dead=dead,
        size_bytes=3 << 20,
        vacuum_age_s=3600.0,
        analyze_age_s=1800.0,
        changed=12,
        vacuum_overdue=dead > 6000,
        analyze_overdue=False,
    )
    return structs.replace(base, **changes)


def calm() -> dict[str, Any]:
    return {
        "connections": pg.Connections(
            total=12,
            limit=37,
            by_state=(pg.Group("idle", 9), pg.Group("active", 3)),
            by_application=(pg.Group("m0-api-gateway", 8), pg.Group("m0-cockpit", 1)),
            database="m0",
            version="18.6",
            up_s=4e5,
        ),
        "queries": pg.TopQueries(
            window_s=60.0,
            queries=(query(HOT, 0.41, 0.2), query("UPDATE publish_state SET status = $1 WHERE id = $2", 0.2, 0.1)),
            slowest=query(HOT, 0.41, 0.2),
            tracked=31,
            evicted=0,
            load=0.3,
        ),
        "indexes": pg.Indexes(60.0, (), (), 3),
        "vacuum": pg.Vacuum((upkeep("publish_state", 40), upkeep("outputs")), (), 0.01, True, 4e5),
        "replication": pg.Replication(
            False,
            (pg.Replica("replica-1", "streaming", "async", 1024, 0.012),),
            (pg.Slot("replica_1", True, 4096, "reserved"),),
        ),
        "activity": pg.Activity((), ()),
        "archiver": pg.Archiver(
            mode="on",
            commanded=True,
            archived=97,
            failed=0,
            last_archived="000000010000000000000067",
            last_archived_age_s=12.0,
            last_failed="",
            last_failed_age_s=None,
            waiting=0,
            waiting_age_s=None,
            in_recovery=False,
            works=True,
            failing=False,
            verdict="archiving works; that a base backup exists cannot be seen from here",
        ),
    }


def troubled() -> dict[str, Any]:
    statement = (
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS outputs_market_id_epoch_idx ON public.outputs (market_id, epoch)"
    )
    return calm() | {
        "queries": pg.TopQueries(
            window_s=60.0,
            queries=(query(HOT, 0.93, 395.0), query("UPDATE x", 0.02, 0.1)),
            slowest=query(HOT, 0.93, 395.0),
            tracked=31,
            evicted=0,
            load=1.9,
        ),
        "indexes": pg.Indexes(
            60.0,
            (
                pg.MissingIndex(
                    table="public.outputs",
                    rows=160_000,
                    size_bytes=40 << 20,
                    scans_per_s=4.8,
                    rows_per_scan=160_000.0,
                    columns=("market_id", "epoch"),
                    cause="missing",
                    reason="scanned whole 4.8 times a second, 768,000 rows a second; "
                    "a statement filters it by market_id, epoch, "
                    "and no index begins with any of them",
                    statement=statement,
                    index="outputs_market_id_epoch_idx",
                    query=HOT,
                ),
                pg.MissingIndex(
                    table="public.features",
                    rows=80_000,
                    size_bytes=7 << 20,
                    scans_per_s=0.1,
                    rows_per_scan=80_000.0,
                    columns=(),
                    cause="untold",
                    reason="scanned whole 6 times a minute; "
                    "which column cannot be told: no statement that ended lately "
                    "is known to read it so",
                ),
            ),
            (
                pg.IndexTrouble(
                    index="public.features_bad",
                    table="public.features",
                    kind="invalid",
                    size_bytes=1 << 20,
                    reason="a concurrent build failed",
                    statement="DROP INDEX CONCURRENTLY public.features_bad",
                ),
            ),
            3,
        ),
        "vacuum": pg.Vacuum(
            tables=(upkeep("publish_state", 90_000, vacuum_age_s=None, autovacuum=False),),
            running=(pg.VacuumRun(71, "public.outputs", "scanning heap", 0.4),),
            wraparound=0.2,
            autovacuum=True,
            since_s=90_000.0,
            oldest_vacuum_s=90_000.0,
            oldest_analyze_s=0.0,
        ),
        "replication": pg.Replication(False, (), (pg.Slot("gone", False, 9 << 30, "extended"),)),
        "activity": pg.Activity(
            (
                pg.LongTransaction(
                    pid=91,
                    application="psql",
                    user="ops",
                    state="idle in transaction",
                    age_s=700.0,
                    waits="",
                    text="UPDATE publish_state SET status = '…'",
                    blocks=2,
                ),
            ),
            (
                pg.Blocked(
                    pid=92,
                    application="m0-reconciler",
                    waits_s=640.0,
                    lock="ShareLock on transactionid 812",
                    by=(91,),
                    root=91,
                    root_words="psql as ops, idle in transaction for 700 s",
                    text="UPDATE publish_state",
                ),
            ),
            2,
            1,
        ),
        "archiver": pg.Archiver(
            mode="on",
            commanded=True,
            archived=97,
            failed=6,
            last_archived="000000010000000000000067",
            last_archived_age_s=900.0,
            last_failed="000000010000000000000068",
            last_failed_age_s=3.0,
            waiting=40,
            waiting_age_s=890.0,
            in_recovery=False,
            works=False,
            failing=True,
            verdict="the archiver fails at 000000010000000000000068, 40 segments waiting: "
            "recovery ends at the last archived segment",
        ),
    }


def situation_of(
    data: Mapping[str, Any], faults: Mapping[str, Fault] | None = None, *, age_s: float = 2.0, **changes: Any
) -> Situation:
    readings = {
        name: Reading(
            topic=f"postgres/{name}",
            data=value,
            observed_at=None if value is None else situations.MONO - age_s,
            took_s=0.01,
            fault=(faults or {}).get(name),
            max_age_s=30.0,
        )
        for name, value in data.items()
    }
    return structs.replace(situations.calm(), postgres=readings, configured=frozenset({"postgres"}), **changes)
