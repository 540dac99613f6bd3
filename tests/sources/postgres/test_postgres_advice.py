"""Statements as they are shown, and which columns an index for them would begin with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit.sources.postgres.activity import root_of
from cockpit.sources.postgres.index_advice import create_statement, filtered, index_name, reads
from cockpit.sources.postgres.session import hide
from cockpit.sources.postgres.sql_text import quoted, shown, tokens

COLUMNS = ("id", "market_id", "epoch", "payload", "at")


@pytest.mark.parametrize(
    ("statement", "columns"),
    [
        ("SELECT * FROM outputs WHERE market_id = $1 AND epoch = $2 ORDER BY id LIMIT $3", ("market_id", "epoch")),
        ("SELECT * FROM public.outputs AS o WHERE o.at > now() - $1 AND o.market_id = $2", ("market_id", "at")),
        ("SELECT 1 FROM outputs WHERE market_id = ANY ($1) AND epoch >= $2", ("market_id", "epoch")),
        ("SELECT 1 FROM outputs WHERE market_id IN ($1, $2)", ("market_id",)),
        ("SELECT 1 FROM outputs WHERE $1 < epoch", ("epoch",)),
        ('SELECT 1 FROM outputs WHERE "epoch" BETWEEN $1 AND $2', ("epoch",)),
        ("UPDATE outputs SET payload = $1, epoch = $2 WHERE id = $3", ("id",)),
        ("DELETE FROM ONLY outputs WHERE at < $1", ("at",)),
        # a join: only where something narrows the rows at all
        ("SELECT 1 FROM outputs o JOIN markets m ON m.id = o.market_id WHERE m.domain = $1", ("market_id",)),
        ("SELECT 1 FROM outputs o JOIN markets m ON m.id = o.market_id", ()),
        # nothing that an ordinary index serves
        ("SELECT 1 FROM outputs WHERE lower(payload) = $1", ()),
        ("SELECT 1 FROM outputs WHERE epoch::text = $1", ()),
        ("SELECT 1 FROM outputs WHERE epoch + 1 = $1", ()),
        ("SELECT 1 FROM outputs WHERE payload LIKE $1", ()),
        ("SELECT 1 FROM outputs WHERE epoch NOT IN ($1)", ()),
        ("SELECT count(*) FROM outputs", ()),
        # whose column a bare name is cannot be told beside another table
        ("SELECT 1 FROM outputs, markets WHERE epoch = $1", ()),
        ("SELECT 1 FROM outputs o, markets m WHERE m.epoch = $1", ()),
    ],
)
def test_the_columns_that_a_statement_filters_by(statement: str, columns: tuple[str, ...]) -> None:
    assert filtered(tokens(statement), "public", "outputs", COLUMNS).columns == columns
    assert reads(tokens(statement), "public", "outputs")
    assert not reads(tokens(statement), "other", "output")


def test_another_schema_is_another_table() -> None:
    assert not reads(tokens("SELECT * FROM archive.outputs WHERE id = $1"), "public", "outputs")


def test_a_name_is_quoted_where_sql_needs_it_and_never_taken() -> None:
    name, statement = create_statement("public", "Order", ("user", "at"), {"Order_user_at_idx"})
    assert name == "Order_user_at_idx1"
    assert statement == 'CREATE INDEX CONCURRENTLY IF NOT EXISTS "Order_user_at_idx1" ON public."Order" ("user", at)'
    assert len(index_name("t" * 80, ("é" * 20,), ()).encode()) <= 63
    assert quoted('a"b') == '"a""b"'


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("ALTER ROLE x PASSWORD 'hunter2'", "ALTER ROLE x PASSWORD '…'"),
        ("SELECT 'it''s', E'a\\'b', $q$ boo $q$, $1", "SELECT '…', '…', '…', $1"),
        ("SELECT 1 -- secret\n/* a /* nested */ secret */ FROM  t", "SELECT 1 FROM t"),
        ("SELECT 'cut off in the midd", "SELECT '…'"),
        ("SELECT 1 /* cut off", "SELECT 1"),
        (
            'SELECT a->>$1, count(*) FROM "W e" WHERE x IN ($2,$3)',
            'SELECT a ->> $1, count(*) FROM "W e" WHERE x IN ($2, $3)',
        ),
    ],
)
def test_literals_and_comments_are_not_shown(statement: str, expected: str) -> None:
    assert shown(statement) == expected


@given(st.text(alphabet=st.sampled_from("ab'\"$/*-\\Ee \n\x1b\u202e1.;("), max_size=200))
def test_whatever_a_client_wrote_is_one_printable_line(statement: str) -> None:
    line = shown(statement)
    assert line.isprintable() and len(line) <= 600
    assert all(text for _, text in tokens(statement))


@given(st.text(max_size=30), st.text("xyz'", max_size=20))
def test_no_word_inside_a_literal_survives(before: str, secret: str) -> None:
    literal = "'" + secret.replace("'", "''") + "hunter2'"
    head = before.translate(dict.fromkeys(map(ord, "'\"$/-*eE\\"))) or "x"
    assert "hunter2" not in shown(f"{head} {literal}")


def test_chains_of_blockers_end_at_a_root_and_rings_have_none() -> None:
    assert root_of(3, {3: (2,), 2: (1,)}) == 1
    assert root_of(3, {3: (0,)}) == 0
    assert root_of(1, {1: (2,), 2: (1,)}) is None
    assert root_of(9, {}) is None


def test_every_spelling_of_a_password_is_hidden() -> None:
    from cockpit.sources.postgres.session import secrets_of

    secrets = secrets_of("postgresql://u:p%40ss%2Fword@h/d")
    assert hide("p@ss/word p%40ss%2Fword", secrets) == "*** ***"
    broken = secrets_of("postgresql://u:p@ssword@h/d")
    assert hide("u:p@ssword@h", broken) == "u:***@h"
    assert hide("failed to resolve host 'ssword@h'", broken) == "failed to resolve host '***@h'"
