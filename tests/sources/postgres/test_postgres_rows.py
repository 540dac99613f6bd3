"""H2: whatever rows a server answers with, each topic gives bounded, printable data or says why;
an answer without end is broken off; statistics that stand still are as old as they are.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cockpit.clock import ManualClock
from cockpit.drill.postgres import DrillPostgres
from cockpit.model.reading import Fault, Reading, believed
from cockpit.sources.postgres import session as pg
from cockpit.sources.postgres.activity import activity
from cockpit.sources.postgres.health import Server, archiver, connections, replication, server, vacuum
from cockpit.sources.postgres.indexes import Scans
from cockpit.sources.postgres.session import PgProblem, Row, Session
from cockpit.sources.postgres.settings import PostgresSettings
from cockpit.sources.postgres.source import OF_STATISTICS, TOPICS, PostgresSource
from cockpit.sources.postgres.statements import Statements
from tests.support.readings import fault_in, kept

SERVER = Server("ops", "m0", 160_000, "16", True, "public", "1.10", 60.0)
TEXTS = st.text(max_size=40) | st.sampled_from(["\x1b[2J", "\u202e", "a" * 6000, "\0", "password='hunter2'", ""])
CELLS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats()
    | TEXTS
    | st.lists(st.integers(0, 9), max_size=3)
)


class Answers:
    """A server that answers each question with the next of these tables, whatever was asked."""

    def __init__(self, tables: list[list[tuple[Any, ...]]]) -> None:
        self.tables = tables
        self.asked = 0

    async def __call__(self, statement: str, parameters: Sequence[Any] | None = None) -> list[Row]:
        table = self.tables[self.asked % len(self.tables)]
        self.asked += 1
        return list(table)


def polls(answers: Answers) -> dict[str, Any]:
    statements, scans = Statements(), Scans()
    return {
        "connections": lambda: connections(answers, SERVER),
        "queries": lambda: statements.poll(answers, SERVER, 1.0),
        "indexes": lambda: scans.poll(answers, SERVER, statements, 1.0),
        "vacuum": lambda: vacuum(answers, SERVER),
        "replication": lambda: replication(answers, SERVER),
        "activity": lambda: activity(answers, SERVER),
        "archiver": lambda: archiver(answers, SERVER),
    }


def texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, msgspec.Struct):
        return texts(list(msgspec.structs.asdict(value).values()))
    if isinstance(value, dict):
        return texts([*value, *value.values()])
    return [text for one in value for text in texts(one)] if isinstance(value, list | tuple) else []


@given(
    st.integers(1, 12).flatmap(
        lambda width: st.lists(st.lists(st.tuples(*[CELLS] * width), max_size=4), min_size=1, max_size=4)
    )
)
@settings(max_examples=60, deadline=None)
def test_any_rows_give_data_that_can_be_shown_or_a_reason(tables: list[list[tuple[Any, ...]]]) -> None:
    source = PostgresSource(PostgresSettings(url="postgresql:///x"), ManualClock())

    async def read() -> None:
        for name in TOPICS:
            reading = await source._one(name, SERVER, polls(Answers(tables))[name])
            if reading is None:
                continue
            fault = fault_in(reading)
            data = kept(reading)
            assert data is not None or (fault is not None and fault.reason)
            for text in texts(data) + ([fault.reason, fault.remedy] if fault is not None else []):
                assert text.isprintable() and len(text) < 6000 and "hunter2" not in text, (name, text)

    asyncio.run(read())


def test_a_text_is_no_number() -> None:
    """H2: a replica's lag that is a text went through to the screen as it came."""
    rows: list[list[tuple[Any, ...]]] = [[(False, None)], [("a", "streaming", "async", "\x1b[2J", None)], []]
    source = PostgresSource(PostgresSettings(url="postgresql:///x"), ManualClock())
    reading = asyncio.run(source._one("replication", SERVER, polls(Answers(rows))["replication"]))
    assert reading is not None and kept(reading) is None
    fault = fault_in(reading)
    assert fault is not None and "cannot read" in fault.reason


@given(st.lists(CELLS, min_size=0, max_size=12))
@settings(max_examples=60, deadline=None)
def test_a_server_that_says_strange_things_of_itself_is_said_to(row: list[Any]) -> None:
    try:
        found = asyncio.run(server(Answers([[tuple(row)]])))
    except (PgProblem, ValueError, TypeError):
        return
    assert isinstance(found, Server)


async def test_an_answer_without_end_is_broken_off(database: DrillPostgres) -> None:
    """A real server that sends a hundred million rows: read no further than the bound."""
    for statement in (
        "SELECT generate_series(1, 100000000)",
        "SELECT repeat('x', 1000000) FROM generate_series(1, 100000)",
    ):
        session = await Session.open(database.url)
        try:
            with pytest.raises(PgProblem) as caught:
                async with asyncio.timeout(30):
                    await session.ask(statement)
            assert caught.value.lost and "too long" in caught.value.fault.reason
        finally:
            await session.close()


async def test_as_many_rows_as_may_come_are_read(database: DrillPostgres) -> None:
    session = await Session.open(database.url)
    try:
        rows = await session.ask(f"SELECT generate_series(1, {pg.MOST_ROWS})")
        assert len(rows) == pg.MOST_ROWS
        with pytest.raises(PgProblem) as caught:
            await session.ask("SELECT 1/0")
        assert not caught.value.lost and caught.value.sqlstate == "22012"
        assert await session.ask("SELECT 1") == [(1,)], "one that failed costs the session nothing"
    finally:
        await session.close()


@pytest.mark.parametrize("age", [None, 0.4, 130.0])
def test_statistics_that_stand_still_are_said_with_their_age(age: float | None) -> None:
    """PostgreSQL 13 and 14 go on answering with what their collector wrote last."""
    clock = ManualClock()
    source = PostgresSource(PostgresSettings(url="postgresql:///x"), clock)
    known = msgspec_replace(SERVER, age)

    async def seen() -> tuple[Any, Fault | None]:
        return ("data", None)

    for name in TOPICS:
        reading = asyncio.run(source._one(name, known, seen))
        assert isinstance(reading, Reading)
        found = believed(reading, clock.mono())
        old = age if age is not None and name in OF_STATISTICS else 0.0
        assert found.age_s is not None and math.isclose(found.age_s, old, abs_tol=0.01)
        assert found.live is (old < 15.0)
        if not found.live:
            assert "2:10 ago" in found.reason and found.stale


def msgspec_replace(known: Server, age: float | None) -> Server:
    from dataclasses import replace

    return replace(known, statistics_age_s=age)


async def test_the_real_server_tells_how_old_its_statistics_are(database: DrillPostgres) -> None:
    session = await Session.open(database.url)
    try:
        known = await server(session.ask)
        assert known.statistics_age_s is None or known.statistics_age_s < 15.0
    finally:
        await session.close()
