"""An SQL step against a real server: planned from what is there, typed, run once, read back, taken
back.
"""

from __future__ import annotations

import psycopg
import pytest

from cockpit.drill.postgres import DrillPostgres
from cockpit.journal.entries import entries_of
from cockpit.mitigation.context import Backends
from cockpit.mitigation.problem import PlanProblem
from cockpit.model.plan import Phase, Proof, SqlRun
from cockpit.model.runbook import Param, Step
from tests.support.kube_rig import Rig, carry, ended, plan, yes

NAMES = tuple(Param(name=name, pattern="[a-z_][a-z0-9_., ]*") for name in ("index", "table", "columns"))
ADD = Step(
    id="add-index",
    title="Add an index",
    kind="sql",
    params=NAMES,
    args={
        "statement": "CREATE INDEX CONCURRENTLY IF NOT EXISTS {index} ON {table} ({columns})",
        "timeout": "20",
        "lock-timeout": "1",
    },
)
WANTED = {"index": "features_step_idx", "table": "public.features", "columns": "name, at"}


def statement(text: str, **args: str) -> Step:
    return Step(id="sql", title="sql", kind="sql", args={"statement": text, **args})


@pytest.fixture
def admin(rig: Rig, database: DrillPostgres) -> DrillPostgres:
    rig.backends = Backends(admin_url=lambda: database.admin_url)
    return database


def indexes(database: DrillPostgres) -> list[str]:
    return [
        row[0]
        for row in database.run(None, ("SELECT relname::text FROM pg_class WHERE relname = 'features_step_idx'",))
    ]


@pytest.mark.real
def test_an_index_is_made_read_back_and_dropped_by_its_undo(rig: Rig, admin: DrillPostgres) -> None:
    made = plan(rig.executor(), ADD, None, **WANTED)
    assert isinstance(made.request, SqlRun)
    assert made.request.statement == "CREATE INDEX CONCURRENTLY features_step_idx ON public.features (name, at)"
    assert made.typed == "public.features_step_idx"
    assert any(line.startswith("public.features: ") and "rows" in line for line in made.blast)
    assert admin.cluster.password not in f"{made}"
    with pytest.raises(PlanProblem, match="was not typed"):
        rig.executors[0].carry_out(made, yes(made, typed=None)).result(10)
    carry(rig.executors[0], made)
    final = ended(rig.executors[0], made)
    assert (final.phase, final.proof) == (Phase.DONE, Proof.PASS), final.words
    assert "is valid" in final.words
    assert plan(rig.executors[0], ADD, None, **WANTED).nothing_to_do
    rig.executors[0].close(5)
    undo = rig.executor().plan_undo(1).result(20)
    assert undo.request.statement == "DROP INDEX CONCURRENTLY IF EXISTS public.features_step_idx"  # type: ignore[union-attr]
    carry(rig.executors[-1], undo)
    assert ended(rig.executors[-1], undo).phase is Phase.DONE
    assert indexes(admin) == []
    assert admin.cluster.password not in rig.journal_path.read_text()


@pytest.mark.real
def test_an_invalid_leftover_is_named_with_the_way_to_remove_it(rig: Rig, admin: DrillPostgres) -> None:
    unique = statement("CREATE UNIQUE INDEX CONCURRENTLY features_uq2 ON public.features (name)", timeout="20")
    try:
        made = plan(rig.executor(), unique)
        progress = carry(rig.executors[0], made)
        assert progress.phase is Phase.FAILED
        assert "invalid index features_uq2" in progress.words
        assert "DROP INDEX CONCURRENTLY" in progress.words
        with pytest.raises(PlanProblem, match=r"an invalid index public\.features_uq2 is left over") as problem:
            plan(rig.executors[0], unique)
        assert problem.value.remedy == "first: DROP INDEX CONCURRENTLY public.features_uq2"
        drop = plan(rig.executors[0], statement("DROP INDEX CONCURRENTLY public.features_uq2"))
        assert "invalid" in str(drop.changes[0].before)
        carry(rig.executors[0], drop)
        assert ended(rig.executors[0], drop).phase is Phase.DONE
    finally:
        admin.run(None, ("DROP INDEX IF EXISTS features_uq2",))


@pytest.mark.real
def test_a_backend_is_terminated_and_a_namesake_is_not(rig: Rig, admin: DrillPostgres) -> None:
    with psycopg.connect(admin.admin_url, autocommit=True) as victim:
        made = plan(rig.executor(), statement(f"SELECT pg_terminate_backend({victim.info.backend_pid})"))
        assert made.target.kind == "Backend"
        carry(rig.executors[0], made)
        final = ended(rig.executors[0], made)
        assert (final.phase, final.proof) == (Phase.DONE, Proof.UNKNOWN), final.words
        with pytest.raises(psycopg.OperationalError):
            victim.execute("SELECT 1")
    with psycopg.connect(admin.cluster.own_url("m0"), autocommit=True) as other:
        refused = carry(
            rig.executors[0], plan(rig.executors[0], statement(f"SELECT pg_cancel_backend({other.info.backend_pid})"))
        )
        assert (refused.phase, "insufficient privilege" in refused.words) == (Phase.FAILED, True)
    with pytest.raises(PlanProblem, match="there is no backend 999999"):
        plan(rig.executors[0], statement("SELECT pg_terminate_backend(999999)"))


@pytest.mark.real
def test_a_lock_that_is_held_is_given_up_and_said(rig: Rig, admin: DrillPostgres) -> None:
    made = plan(rig.executor(), statement("ANALYZE public.features", **{"lock-timeout": "0.2"}))
    with psycopg.connect(admin.cluster.own_url("m0")) as holder:
        holder.execute("LOCK TABLE features IN ACCESS EXCLUSIVE MODE")
        progress = carry(rig.executors[0], made)
    assert progress.phase in (Phase.FAILED, Phase.UNCERTAIN), progress.words
    assert "a lock was not free within 0.2 s" in progress.words


@pytest.mark.real
def test_what_a_crash_left_is_read_back_where_it_can_be(rig: Rig, admin: DrillPostgres) -> None:
    executor = rig.executor()
    made = plan(executor, ADD, None, **WANTED)
    try:
        carry(executor, made)
        ended(executor, made)
        intent = dict(entries_of(rig.journal.records())[1].intent)
        intent["process"] = {"host": intent["process"]["host"], "pid": 2**22 + 1, "started": "1"}
        for key in ("seq", "hash", "number", "at", "intents"):
            intent.pop(key, None)
        rig.journal.append(intent)
        (found,) = executor.judge_unfinished().result(20)
        assert (found.judgement, found.explanation) == ("applied", "index public.features_step_idx is valid")
        analysed = {**intent, "scope": {"statement": "ANALYZE public.features"}}
        rig.journal.append(analysed)
        (found,) = executor.judge_unfinished().result(20)
        assert (found.judgement, "it may have run" in found.explanation) == ("unknown", True)
    finally:
        admin.run(None, ("DROP INDEX IF EXISTS features_step_idx",))


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (statement("ALTER SYSTEM SET fsync = off"), "none of the shapes"),
        (statement("CREATE INDEX i ON t (c)"), "without CONCURRENTLY"),
        (statement(""), "none of the shapes"),
    ],
)
def test_a_shape_that_is_not_allowed_is_refused_before_anything_is_asked(rig: Rig, made: Step, words: str) -> None:
    rig.backends = Backends(admin_url=lambda: "postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(PlanProblem, match=words):
        plan(rig.executor(), made)


def test_without_an_admin_url_or_a_server_it_says_so(rig: Rig) -> None:
    with pytest.raises(PlanProblem, match="no role that may change the database is configured"):
        plan(rig.executor(), statement("ANALYZE t"))
    rig.backends = Backends(admin_url=lambda: "postgresql://ops:hunter2secret@127.0.0.1:1/m0")
    with pytest.raises(PlanProblem) as problem:
        plan(rig.executor(), statement("ANALYZE t"))
    assert "hunter2secret" not in f"{problem.value.reason}{problem.value.remedy}"
