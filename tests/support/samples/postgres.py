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
        "1/2/3", text, "m0", "m0_app", 1200, 9000.0, 7.5, calls_per_s=per_s, ms_per_call=ms, share=share, load=ms * per_s / 1000,
        blocks_per_call=12.0,
    )  # fmt: skip


def upkeep(table: str, dead: int = 0, **changes: Any) -> pg.TableUpkeep:
    base = pg.TableUpkeep(f"public.{table}", 30_000, dead, 3 << 20, 3600.0, 1800.0, 12, dead > 6000, False)
    return structs.replace(base, **changes)


def calm() -> dict[str, Any]:
    return {
        "connections": pg.Connections(12, 37, (pg.Group("idle", 9), pg.Group("active", 3)), (pg.Group("m0-api-gateway", 8), pg.Group("m0-cockpit", 1)), "m0", "18.6", 4e5),
        "queries": pg.TopQueries(60.0, (query(HOT, 0.41, 0.2), query("UPDATE publish_state SET status = $1 WHERE id = $2", 0.2, 0.1)), query(HOT, 0.41, 0.2), 31, 0, 0.3),
        "indexes": pg.Indexes(60.0, (), (), 3),
        "vacuum": pg.Vacuum((upkeep("publish_state", 40), upkeep("outputs")), (), 0.01, True, 4e5),
        "replication": pg.Replication(False, (pg.Replica("replica-1", "streaming", "async", 1024, 0.012),), (pg.Slot("replica_1", True, 4096, "reserved"),)),
        "activity": pg.Activity((), ()),
        "archiver": pg.Archiver("on", True, 97, 0, "000000010000000000000067", 12.0, "", None, 0, None, False, True, False, "archiving works; that a base backup exists cannot be seen from here"),
    }  # fmt: skip


def troubled() -> dict[str, Any]:
    statement = (
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS outputs_market_id_epoch_idx ON public.outputs (market_id, epoch)"
    )
    return calm() | {
        "queries": pg.TopQueries(60.0, (query(HOT, 0.93, 395.0), query("UPDATE x", 0.02, 0.1)), query(HOT, 0.93, 395.0), 31, 0, 1.9),
        "indexes": pg.Indexes(60.0, (
            pg.MissingIndex("public.outputs", 160_000, 40 << 20, 4.8, 160_000.0, ("market_id", "epoch"), "missing", "scanned whole 4.8 times a second, 768,000 rows a second; a statement filters it by market_id, epoch, and no index begins with any of them", statement, "outputs_market_id_epoch_idx", HOT),
            pg.MissingIndex("public.features", 80_000, 7 << 20, 0.1, 80_000.0, (), "untold", "scanned whole 6 times a minute; which column cannot be told: no statement that ended lately is known to read it so"),
        ), (pg.IndexTrouble("public.features_bad", "public.features", "invalid", 1 << 20, "a concurrent build failed", "DROP INDEX CONCURRENTLY public.features_bad"),), 3),
        "vacuum": pg.Vacuum((upkeep("publish_state", 90_000, vacuum_age_s=None, autovacuum=False),), (pg.VacuumRun(71, "public.outputs", "scanning heap", 0.4),), 0.2, True, 90_000.0, 90_000.0, 0.0),
        "replication": pg.Replication(False, (), (pg.Slot("gone", False, 9 << 30, "extended"),)),
        "activity": pg.Activity(
            (pg.LongTransaction(91, "psql", "ops", "idle in transaction", 700.0, "", "UPDATE publish_state SET status = '…'", 2),),
            (pg.Blocked(92, "m0-reconciler", 640.0, "ShareLock on transactionid 812", (91,), 91, "psql as ops, idle in transaction for 700 s", "UPDATE publish_state"),), 2, 1),
        "archiver": pg.Archiver("on", True, 97, 6, "000000010000000000000067", 900.0, "000000010000000000000068", 3.0, 40, 890.0, False, False, True, "the archiver fails at 000000010000000000000068, 40 segments waiting: recovery ends at the last archived segment"),
    }  # fmt: skip


def told(
    data: Mapping[str, Any], faults: Mapping[str, Fault] | None = None, *, age_s: float = 2.0, **changes: Any
) -> Situation:
    readings = {
        name: Reading(f"postgres/{name}", value, None if value is None else situations.MONO - age_s, 0.01, (faults or {}).get(name), 30.0)
        for name, value in data.items()
    }  # fmt: skip
    return structs.replace(situations.calm(), postgres=readings, configured=frozenset({"postgres"}), **changes)
