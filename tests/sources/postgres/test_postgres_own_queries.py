"""Queries of the configuration: the publish state and the migrations, read and never written."""

from __future__ import annotations

from typing import Any

import pytest

from cockpit.assessment.board import Board
from cockpit.drill.postgres import DrillPostgres, schema
from cockpit.model.observed.chain import MarketState
from cockpit.model.observed.cluster import Cluster
from cockpit.model.observed.postgres import Migrations, Published, PublishState
from cockpit.model.reading import Fault, Reading, SourceState
from cockpit.sources.inventory import Inventory
from cockpit.sources.postgres.settings import PostgresSettings
from cockpit.sources.postgres.values import APART, PostgresValues
from cockpit.sources.values import Snapshot, Value
from panels.screens.compare import publish_state
from tests.support.postgres_rig import listening, session
from tests.support.samples.cluster import sample_situation


@pytest.mark.real
async def test_what_the_submitter_keeps_is_read_and_a_query_can_change_nothing(database: DrillPostgres) -> None:
    """5.mitigation.2, 16.deploy.1: by the watching role, within a SELECT."""
    database.keep_state([("NBA_A", 3, 70), ("NBA_B", 4, 71)])
    own = PostgresSettings(
        url=database.url, interval=0.5, publish_state=schema.PUBLISH_STATE, migrations=schema.MIGRATIONS
    )
    async with listening(database.url, settings=own) as source:
        state = await source.data("publish-state", lambda found: isinstance(found, PublishState))
        assert set(state.markets) == {Published("NBA_A", 3, 70), Published("NBA_B", 4, 71)}
        applied = await source.data("migrations", lambda found: isinstance(found, Migrations))
        assert [each.success for each in applied.applied] == [True, True] and applied.applied[0].at is not None
    writes = "WITH gone AS (DELETE FROM public.publish_cursor RETURNING 1) SELECT 'a', 1, 1 FROM gone"
    owner = PostgresSettings(url=database.admin_url, interval=0.5, publish_state=writes, migrations="SELECT 1, 2")
    async with listening(database.admin_url, settings=owner) as source:
        assert "top level" in (await source.fault("publish-state")).reason
        assert "does not answer version, success" in (await source.fault("migrations")).reason
    with session(database) as connection:
        assert connection.execute("SELECT count(*) FROM publish_cursor").fetchone() == (2,)


@pytest.mark.parametrize("query", ["DELETE FROM x", "SELECT 1; DROP TABLE x", "", "EXPLAIN SELECT 1"])
def test_what_is_no_single_select_is_refused_in_the_configuration(query: str) -> None:
    with pytest.raises(ValueError, match="publish-state: expected one SELECT"):
        PostgresSettings(publish_state=query)


def markets(**sequences: int) -> Reading[dict[str, MarketState]]:
    held = {name: MarketState(name, name, "sports", True, 9, last) for name, last in sequences.items()}
    return Reading("solana/markets", held, 1.0)


def apart(*readings: Reading[Any]) -> Value:
    board = Board()
    for reading in readings:
        board.put(reading)
    return PostgresValues(Snapshot(board, Cluster(), Inventory(), 1.0, 1.0)).get(APART)


def test_the_store_is_held_against_the_chain_market_by_market() -> None:
    """5.cause.2, 5.mitigation.2: how far apart, of which market; unknown is said as unknown."""
    store = Reading("postgres/publish-state", PublishState((Published("A", 8, 70_000), Published("B", 9, 20))), 1.0)
    found = apart(store, markets(A=120_000, B=21, C=5))
    assert found.number == 50_000 and found.labels == {
        "market": "A",
        "chain": "chain epoch 9 sequence 120,000",
        "store": "store epoch 8 sequence 70,000",
    }
    connected: Reading[Any] = Reading("postgres/connections", None, 1.0)
    assert apart(connected, markets(A=1)).off, "not configured is no failure"
    blind = apart(store, Reading("solana/markets", fault=Fault(SourceState.DOWN, "refused", "")))
    assert blind.number is None and "solana markets: refused" in blind.reason
    situation = sample_situation(
        wall=1.0,
        mono=1.0,
        solana={"markets": markets(A=120_000, B=21, C=5)},
        postgres={"publish-state": store},
        configured=frozenset({"solana", "postgres"}),
    )
    lines = ["".join(text for text, *_ in line) for line in publish_state(situation, 80)]
    assert lines[1].split()[-5:] == ["9", "120,000", "8", "70,000", "50,000"], "the furthest apart first"
    assert len(lines) == 4
    bare = sample_situation(wall=1.0, mono=1.0, solana={"markets": markets(A=5)}, configured=frozenset({"solana"}))
    lines = ["".join(text for text, *_ in line) for line in publish_state(bare, 80)]
    assert "publish-state is not configured" in lines[0] and any(" 9 " in line for line in lines)
