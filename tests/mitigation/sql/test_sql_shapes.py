"""Only these shapes, and nothing of a statement but its names and numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit.mitigation.problem import PlanProblem
from cockpit.mitigation.sql.shapes import parse


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        (
            "create index concurrently if not exists Idx on Public.features (name, at desc nulls last);",
            "CREATE INDEX CONCURRENTLY idx ON public.features (name, at DESC NULLS LAST)",
        ),
        (
            'CREATE UNIQUE INDEX CONCURRENTLY i ON "Order" USING btree ("user")',
            'CREATE UNIQUE INDEX CONCURRENTLY i ON "Order" USING btree ("user")',
        ),
        ("DROP INDEX CONCURRENTLY IF EXISTS public.i", "DROP INDEX CONCURRENTLY IF EXISTS public.i"),
        ("analyze public.features -- now", "ANALYZE public.features"),
        ("vacuum (analyze) features", "VACUUM (ANALYZE) features"),
        ("VACUUM ANALYZE features", "VACUUM (ANALYZE) features"),
        ("select pg_terminate_backend(4711)", "SELECT pg_terminate_backend(4711)"),
        ("select /* hm */ pg_cancel_backend( 4711 );", "SELECT pg_cancel_backend(4711)"),
    ],
)
def test_an_allowed_statement_is_put_together_anew(text: str, sql: str) -> None:
    assert parse(text).sql == sql
    assert parse(parse(text).sql).sql == sql


@pytest.mark.parametrize(
    "text",
    [
        "ALTER SYSTEM SET fsync = off",
        "DROP TABLE features",
        "CREATE INDEX i ON features (name)",
        "CREATE INDEX CONCURRENTLY i ON features (name); DROP TABLE features",
        "CREATE INDEX CONCURRENTLY i ON features (name) WHERE pg_sleep(9) IS NULL",
        "CREATE INDEX CONCURRENTLY i ON features (lower(name))",
        "CREATE INDEX CONCURRENTLY i ON features (name) TABLESPACE x",
        "CREATE INDEX CONCURRENTLY i ON features USING evil (name)",
        "DROP INDEX i",
        "VACUUM FULL features",
        "VACUUM (FULL) features",
        "ANALYZE",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity",
        "SELECT pg_terminate_backend(1), pg_sleep(9)",
        "SELECT pg_terminate_backend('1')",
        "SELECT pg_terminate_backend(1e9)",
        "SELECT 1",
        "",
        "CREATE INDEX CONCURRENTLY i ON features (name",
        'ANALYZE "a"";DROP TABLE x"',
        "ANALYZE " + "x" * 64,
    ],
)
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(PlanProblem):
        parse(text)


@given(st.text(max_size=60))
def test_a_name_can_never_become_more_than_a_name(name: str) -> None:
    """Whatever stands in for a parameter: either it is refused, or the statement is still one index
    on one column.
    """
    try:
        made = parse(f"CREATE INDEX CONCURRENTLY {name} ON features (name)")
    except PlanProblem:
        return
    assert made.sql == f"CREATE INDEX CONCURRENTLY {made.index} ON features (name)"
    assert ";" not in made.sql
    assert "'" not in made.sql
