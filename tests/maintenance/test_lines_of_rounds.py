"""Lines of the rounds and checklists that stand on more than the sources: prices, tables, dates."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cockpit.maintenance.costs import Price, costs
from cockpit.maintenance.deploy import Deploying, deploy_lines
from cockpit.model.maintenance import RoundLine
from cockpit.model.observed.postgres import Migration, Migrations
from cockpit.model.reading import Fault, Reading, SourceState
from tests.maintenance.test_maintenance import NOW, RUNBOOKS, WEEK, Prometheus, ready, series, situation


def spent(*prices: Price, **answers: Any) -> tuple[list[tuple[str, str]], bool]:
    found, unpriced = asyncio.run(costs(prices, RUNBOOKS, Prometheus(**answers), WEEK))
    return [(one.state, one.words) for one in found], unpriced


def test_what_an_endpoint_costs_is_worked_out_and_an_unknown_price_is_asked() -> None:
    """15.weekly.4: requests of the week by price, and its part of a monthly fee."""
    asked = {"m0_rpc_requests": [series([600.0] * 336, endpoint="rpc-a"), series([60.0] * 48, endpoint="rpc-b")]}
    (line,), unpriced = spent(Price("rpc-a", 10.0, 30.0), **asked)
    assert line == ("ok", "cost of rpc-a: 67.48 in 7 d (6,048,000 requests at 10 a million, 30 a month)")
    assert not unpriced
    lines, unpriced = spent(Price("rpc-b", 10.0, None), Price("rpc-c", None, None), **asked)
    assert [state for state, _ in lines] == ["unknown", "unknown"] and unpriced
    assert "requests known for 24 h of the time" in lines[0][1]
    assert spent(Price("rpc-a", None, None), **asked) == ([], True)


def migrated(reading: Reading[Any] | None) -> RoundLine:
    now = situation(postgres={} if reading is None else {"migrations": reading})
    lines = deploy_lines(Deploying(situation=now, runbooks=RUNBOOKS, records=(), wall=NOW))
    return next(line for line in lines if line.item == "16.deploy.1")


@pytest.mark.parametrize(
    ("applied", "state", "words"),
    [
        (
            (Migration("7", True, NOW - 7200.0), Migration("6", True)),
            "ask",
            "2, none failed; newest 7, applied 2 h ago",
        ),
        ((Migration("7", False), Migration("6", True)), "attention", "7 FAILED"),
        ((), "attention", "none is recorded"),
    ],
)
def test_migrations_are_read_from_their_table(applied: tuple[Migration, ...], state: str, words: str) -> None:
    """16.deploy.1: what is recorded is said; whether that is all of this release is asked."""
    line = migrated(ready("postgres/migrations", Migrations(applied)))
    assert line.state == state and words in line.findings[0].words


def test_a_migration_table_that_cannot_be_read_is_unknown() -> None:
    denied = Reading[Any]("postgres/migrations", fault=Fault(SourceState.DENIED, "permission denied", ""))
    assert "permission denied" in migrated(denied).findings[0].words
    assert migrated(None).findings == ()
