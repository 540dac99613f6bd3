"""Values of the database by name: numbers with the object that decided, and unknown with the
reason.
"""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from cockpit.assessment.board import Board
from cockpit.model.observed import postgres as pg
from cockpit.model.observed.cluster import Cluster
from cockpit.model.reading import Fault, Reading, SourceState
from cockpit.sources.families import FAMILIES
from cockpit.sources.inventory import Inventory
from cockpit.sources.values import Snapshot, Value
from tests.support.samples.postgres import calm, troubled

POSTGRES = FAMILIES["postgres"]


def value(name: str, data: dict[str, Any], fault: Fault | None = None, age_s: float = 5.0) -> Value:
    board = Board()
    for topic, one in data.items():
        board.put(
            Reading(
                topic=f"postgres/{topic}",
                data=one,
                observed_at=100.0 - age_s,
                took_s=0.0,
                fault=fault,
                max_age_s=30.0,
            )
        )
    return POSTGRES.values(Snapshot(board, Cluster(), Inventory(), 0.0, 100.0)).get(f"postgres.{name}")


@pytest.mark.parametrize(
    ("name", "well", "bad", "label"),
    [
        ("connections-share", 100 * 12 / 37, 100 * 12 / 37, "m0-api-gateway"),
        ("top-query-share", 41.0, 93.0, "outputs o"),
        ("slowest-query-ms", 0.2, 395.0, "outputs o"),
        ("missing-indexes", 0.0, 1.0, "market_id, epoch"),
        ("vacuum-debt", 0.0, 75.0, "publish_state"),
        ("vacuum-age-hours", 0.0, 90_005 / 3600, None),
        ("analyze-age-hours", 0.0, 0.0, None),
        ("wraparound", 1.0, 20.0, None),
        ("replication-lag", 0.012, None, None),
        ("slot-retained", 0.0, float(9 << 30), "gone"),
        ("long-transaction", 0.0, 705.0, "psql"),
        ("blocked", 0.0, 2.0, "psql as ops"),
        ("archive-failing", 0.0, 1.0, None),
        ("archive-age", 17.0, 905.0, None),
        ("archive-waiting", 0.0, 40.0, None),
        ("pitr", 1.0, 0.0, None),
    ],
)
def test_each_value_well_and_in_trouble(name: str, well: float, bad: float | None, label: str | None) -> None:
    assert value(name, calm()).number == pytest.approx(well)
    found = value(name, troubled())
    assert found.number == (None if bad is None else pytest.approx(bad))
    assert found.age_s == 5.0
    if label is not None:
        assert label in " ".join((found.labels or {}).values())
    if bad is None:
        assert found.reason


@pytest.mark.parametrize("name", [name for name in POSTGRES.plain if name != "postgres.publish-state-apart"])
def test_nothing_is_known_without_a_live_reading(name: str) -> None:
    short = name.removeprefix("postgres.")
    assert value(short, {}).number is None and "nothing read yet" in value(short, {}).reason
    down = value(short, calm(), Fault(SourceState.DOWN, "connection refused"))
    assert down.number == (0.0 if short == "answers" else None) and "connection refused" in down.reason
    assert value(short, calm(), age_s=31.0).number is None, "stale"


def test_a_refused_connection_is_an_answer_and_a_refused_role_is_none() -> None:
    """9.triage.2: whether there is a database is known where nobody takes a connection."""
    assert value("answers", calm()).number == 1.0
    for words in ("10.0.0.7:5432: connection refused", "no connection within 8 s", "the connection was lost"):
        assert value("answers", calm(), Fault(SourceState.DOWN, words)).number == 0.0, words
    for state, words in (
        (SourceState.UNAUTHORISED, 'role "m0" does not exist'),
        (SourceState.DOWN, "[postgres] url is empty"),
        (SourceState.DOWN, "PostgreSQL needs an extra that is not installed"),
    ):
        assert value("answers", calm(), Fault(state, words)).number is None, words


def test_what_the_database_cannot_tell_is_unknown_not_zero() -> None:
    once = calm() | {"queries": pg.TopQueries(None, (), None)}
    assert value("top-query-share", once).number is None and value("slowest-query-ms", once).number is None
    untold = calm() | {"indexes": structs.replace(troubled()["indexes"], missing=troubled()["indexes"].missing[1:])}
    assert (
        value("missing-indexes", untold).number is None and "cannot be told" in value("missing-indexes", untold).reason
    )
    whole = structs.replace(troubled()["indexes"].missing[1], cause="whole")
    assert value("missing-indexes", calm() | {"indexes": pg.Indexes(60.0, (whole,), ())}).number == 0.0
    never = calm() | {
        "archiver": structs.replace(
            calm()["archiver"], works=None, last_archived_age_s=None, verdict="nothing was archived yet"
        )
    }
    assert value("pitr", never).number is None and value("archive-age", never).reason.endswith(
        "nothing was archived yet"
    )
    off = calm() | {
        "archiver": structs.replace(calm()["archiver"], mode="off", works=False, verdict="archive_mode is off")
    }
    assert value("pitr", off).number == 0.0 and value("archive-failing", off).number is None


def test_an_idle_database_has_no_top_query() -> None:
    idle = calm() | {"queries": structs.replace(calm()["queries"], load=0.001)}
    assert value("top-query-share", idle).number == 0.0


def test_a_replica_that_tells_no_lag_is_not_well() -> None:
    replicas = (*calm()["replication"].replicas, pg.Replica("hidden", "hidden", "", None, None))
    mute = calm() | {"replication": pg.Replication(False, replicas)}
    assert (
        value("replication-lag", mute).number is None and "hidden tells no lag" in value("replication-lag", mute).reason
    )
    slow = structs.replace(replicas[0], lag_s=30.0)
    known = value("replication-lag", calm() | {"replication": pg.Replication(False, (slow, replicas[1]))})
    assert known.number == 30.0, "what is known to be bad counts"
    standby = calm() | {"replication": pg.Replication(True, (), (), 4.0)}
    assert value("replication-lag", standby).number == 4.0
