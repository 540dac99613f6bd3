"""R4, R5: odd encodings blind nothing, and an extension that is old or not loaded is named."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit.drill.postgres import DrillPostgres, schema
from cockpit.mitigation.sql.state import reading
from cockpit.model.reading import SourceState
from cockpit.settings import Settings
from cockpit.sources.examination import State
from cockpit.sources.postgres.readable import readable
from cockpit.sources.postgres.session import fault_of
from cockpit.sources.postgres.settings import POSTGRES, PostgresSettings
from cockpit.sources.postgres.source import TOPICS
from cockpit.sources.postgres.statements import version_of
from tests.support.doctor_rig import findings_of
from tests.support.postgres_rig import listening

ODD = b"SELECT 1 AS \xe9t\xe9"  # LATIN1, and its last byte begins a UTF-8 character


@contextmanager
def another(database: DrillPostgres, encoding: str) -> Iterator[str]:
    """A database of its own in this encoding."""
    name = f"odd_{encoding.lower()}"
    database.run(None, (f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LOCALE 'C'",))
    try:
        yield name
    finally:
        database.run(None, (f"DROP DATABASE {name} WITH (FORCE)",))


@contextmanager
def speaking(database: DrillPostgres, name: str) -> Iterator[psycopg.Connection[Any]]:
    """An application in that database that sends bytes as they are."""
    url = f"{database.cluster.own_url(name)}&client_encoding=sql_ascii"
    with psycopg.connect(url, application_name="odd", autocommit=True) as connection:
        yield connection


@pytest.mark.real
@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "EUC_JP"])
async def test_r4_a_database_in_another_encoding_is_read_like_any(database: DrillPostgres, encoding: str) -> None:
    """R4: no bytes on the screen, every topic there, and a table's own name as it is written."""
    with another(database, encoding) as name, speaking(database, name) as app:
        app.execute("CREATE EXTENSION pg_stat_statements")
        if encoding == "LATIN1":
            app.execute(b'CREATE TABLE "caf\xe9" (a int)')
        app.execute("BEGIN")
        app.execute(ODD if encoding != "EUC_JP" else b"SELECT 1 AS \xa4\xa2")
        url = database.cluster.url(schema.WATCHER, database.cluster.password, name)
        async with listening(url) as source:
            for topic in TOPICS:
                await source.data(topic)
            seen = await source.data("activity", lambda data: data.transactions)
            assert "b'" not in source.said
            words = {"SQL_ASCII": "SELECT 1 AS \ufffdt\ufffd", "LATIN1": "SELECT 1 AS été", "EUC_JP": "SELECT 1 AS あ"}
            assert [each.text for each in seen.transactions] == [words[encoding]]
            connections = await source.data("connections")
            assert connections.version.startswith("18")
            if encoding == "LATIN1":
                tables = (await source.data("vacuum")).tables
                assert 'public."café"' in {each.table for each in tables}
        app.execute("ROLLBACK")


@pytest.mark.real
async def test_r4_one_sessions_odd_bytes_blind_no_other(database: DrillPostgres) -> None:
    """R4: a LATIN1 statement of another database leaves everything readable."""
    with another(database, "LATIN1") as name, speaking(database, name) as odd, another_writer(database) as blocked:
        odd.execute("BEGIN")
        odd.execute(ODD)
        async with listening(database.url) as source:
            seen = await source.data("activity", lambda data: len(data.transactions) >= 2)
            assert {each.application for each in seen.transactions} >= {"odd", "blocker"}
            assert "SELECT 1 AS \ufffdt\ufffd" in [each.text for each in seen.transactions]
            queries = await source.data("queries")
            assert queries.tracked
        async with reading(database.cluster.own_url("m0")) as session:
            ((text,),) = await session.ask("SELECT query FROM pg_stat_activity WHERE pid = %s", (odd.info.backend_pid,))
            assert text == "SELECT 1 AS \ufffdt\ufffd"
        odd.execute("ROLLBACK")
        blocked.execute("ROLLBACK")


@pytest.mark.real
async def test_r4_a_statement_of_another_encoding_hides_texts_not_figures(database: DrillPostgres) -> None:
    """R4: pg_stat_statements converts all its texts or none; calls and times are shown still."""
    with another(database, "SQL_ASCII") as name, speaking(database, name) as odd:
        odd.execute(ODD)
        with another_writer(database) as app:
            async with listening(database.url) as source:
                await source.data("queries", lambda data: data.window_s)
                app.execute("SELECT count(*) FROM outputs")
                seen = await source.data("queries", lambda data: any(q.user == "postgres" for q in data.queries))
                assert all("of another encoding" in each.text for each in seen.queries) and seen.load is not None
                odd.execute("SELECT 1")
                database.run(None, ("SELECT pg_stat_statements_reset()",))
                await source.data("queries", lambda data: data.window_s)
                app.execute("SELECT max(epoch) FROM outputs")
                await source.data("queries", lambda data: any("max" in q.text for q in data.queries))


@contextmanager
def another_writer(database: DrillPostgres) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database.cluster.own_url("m0"), application_name="blocker", autocommit=True) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT 1")
        yield connection


@pytest.mark.parametrize(
    ("raw", "encoding", "text"),
    [
        (b"caf\xc3\xa9", "LATIN1", "café"),
        (b"caf\xe9", "LATIN1", "café"),
        (b"\x80", "WIN1252", "€"),
        (b"\xc1", "KOI8R", "а"),
        (b"\xe9", "SQL_ASCII", "\ufffd"),
        (b"\xe9", "MULE_INTERNAL", "\ufffd"),
        (b"\xe9", "", "\ufffd"),
    ],
)
def test_r4_bytes_are_read_as_what_they_are(raw: bytes, encoding: str, text: str) -> None:
    """R4: UTF-8 where it is, else the server's encoding, else a replacement."""
    assert readable(raw, encoding) == text


@given(st.binary(max_size=40), st.sampled_from(["", "UTF8", "LATIN1", "SQL_ASCII", "EUC_TW", "idna", "rot13", "zlib"]))
def test_r4_any_bytes_become_text(raw: bytes, encoding: str) -> None:
    """R4: whatever the bytes and whatever encoding the server names."""
    assert codecs.decode(readable(raw, encoding).encode("utf-8", "replace"), "utf-8") is not None


@pytest.mark.real
async def test_r5_an_extension_from_before_the_upgrade_is_named_with_its_cure(
    database: DrillPostgres, tmp_path: Path
) -> None:
    """R5: as pg_upgrade leaves it; the doctor reads the view as the source does."""
    database.run(None, ("DROP EXTENSION pg_stat_statements", "CREATE EXTENSION pg_stat_statements VERSION '1.7'"))
    try:
        async with listening(database.url) as source:
            fault = await source.fault("queries")
            assert "version 1.7" in fault.reason and fault.remedy == "ALTER EXTENSION pg_stat_statements UPDATE"
            await source.data("activity")
        settings = Settings(state_dir=tmp_path).having(POSTGRES, PostgresSettings(url=database.url))
        found = findings_of(settings, "postgres")["postgres", "pg_stat_statements"]
        assert (found.state, found.remedy) == (State.WARN, "ALTER EXTENSION pg_stat_statements UPDATE")
    finally:
        database.run(None, ("DROP EXTENSION pg_stat_statements", "CREATE EXTENSION pg_stat_statements"))


def test_r5_an_answer_of_the_server_is_never_called_a_wrong_address() -> None:
    """R5: not preloaded has its own cure; what else the server says no to is not the address."""
    loaded = psycopg.errors.ObjectNotInPrerequisiteState(
        'pg_stat_statements must be loaded via "shared_preload_libraries"'
    )
    assert "restart" in fault_of(loaded, ()).remedy and fault_of(loaded, ()).state is SourceState.DOWN
    for error in (psycopg.errors.UndefinedColumn("no total_exec_time"), psycopg.errors.UndefinedFunction("f()")):
        remedy = fault_of(error, ()).remedy
        assert "address" not in remedy and error.sqlstate is not None and error.sqlstate in remedy
    assert "address" in fault_of(psycopg.OperationalError("connection refused"), ()).remedy


@pytest.mark.parametrize(("text", "version"), [("1.7", (1, 7)), ("1.10", (1, 10)), ("", (99,)), ("x", (99,))])
def test_r5_versions_are_compared_as_numbers(text: str, version: tuple[int, ...]) -> None:
    """R5: 1.10 is newer than 1.8."""
    assert version_of(text) == version
