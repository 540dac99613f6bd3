"""Runbook 14's restore is guided, part by part, each confirmed.

It is refused while writers run; at the end chain and database are aligned.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cockpit.config import load_settings
from cockpit.drill.kubernetes.objects.resources import CRONJOBS
from cockpit.drill.names import MARKETS
from cockpit.mitigation.planning.sequence import parts_of
from cockpit.model.plan import Phase, Progress, Verdict
from cockpit.runbooks.schema import load
from cockpit.session import Session
from tests.support.terminals.paced import PacedDrill, PacedSession

AGO_S = 600.0
PIECE_S, LONGEST_S = 10.0, 1200.0  # simulated


@pytest.fixture
def drill() -> Iterator[PacedDrill]:
    with PacedDrill("calm", history_s=300.0) as running:
        yield running


def test_the_restore_goes_through_its_parts_and_stops_what_writes_first(drill: PacedDrill, tmp_path: Path) -> None:
    settings = replace(load_settings(config=drill.config, env={}), state_dir=tmp_path / "state")
    session = PacedSession(settings, load(None), drill)
    session.start()
    try:
        assert session.ready.wait(30) and session.executor is not None, session.trouble
        runbook, single = session.runbooks.step("14", "restore-db")
        assert single.kind == "command"  # [restore] argv is configured in a drill
        to = datetime.fromtimestamp(drill.call(lambda d: d.world.clock.now()) - AGO_S, UTC).strftime(
            "%Y-%m-%dT%H:%M:%SZ"
        )
        early = session.mitigations.plan(runbook, single, {"time": to}).result(30)
        assert early.typed == "database"
        assert any(g.guard == "writers" and g.verdict is Verdict.CONFIRM for g in early.guards), early.guards
        refused = ended(drill, session, session.mitigations.confirm(early, "database").result(30))
        assert refused.phase is Phase.FAILED and "stop them first" in refused.words

        whole = session.runbooks.step("14", "restore")[1]
        state = session.mitigations.sequence(runbook, whole)
        assert [item.step for item in state.items] == [
            "stop-submitter",
            "stop-quant",
            "stop-aggregator",
            "suspend-reconciler",
            "stop-reconciler",
            "restore-db",
            "start-aggregator",
            "start-quant",
            "start-reconciler",
            "align",
            "resume-reconciler",
            "start-submitter",
        ]
        given = {"restore-db": {"time": to}, "start-quant": {"replicas": "2"}}
        while state.next is not None:
            index = state.next
            step = parts_of(runbook, whole)[index]
            plan = session.mitigations.plan_part(runbook, whole, index, given.get(step.id, {}), state.run).result(30)
            assert not plan.blocked, plan.blocked
            done = ended(drill, session, session.mitigations.confirm(plan, plan.typed).result(60))
            assert plan.part is not None
            state = session.mitigations.sequence(runbook, whole, plan.part.run)
            assert state.items[index].state == "done", (step.id, done.words)
            pods = drill.call(lambda d: {name: len(d.world.kube.pods(name)) for name in ("m0-submitter", "m0-quant")})
            if step.id == "stop-quant":
                assert pods == {"m0-submitter": 0, "m0-quant": 0}, "proven off, terminating ones included"
            (writers,) = [g for g in plan.guards if g.guard == "writers"] if step.id == "restore-db" else [None]
            if writers is not None:
                assert writers.verdict is Verdict.PASS and "m0-reconciler are stopped" in writers.reason
                assert suspended(drill) == {"suspend": True}, "nor does its schedule write"
            if step.id == "restore-db":
                assert drill.call(lambda d: min(d.world.serve.age_s(m) for m in MARKETS)) >= AGO_S, "as it was then"
        assert drill.call(lambda d: max(d.world.serve.age_s(m) for m in MARKETS)) < AGO_S, "aligned with the chain"
        assert session.journal is not None and session.journal.verify() == []
    finally:
        session.close(5)


def suspended(drill: PacedDrill) -> dict[str, bool]:
    stored = drill.call(lambda d: d.world.kube.store.get(CRONJOBS, d.world.kube.namespace, "m0-reconciler"))
    assert stored is not None
    return {"suspend": stored.obj["spec"].get("suspend", False)}


def ended(drill: PacedDrill, session: Session, progress: Progress) -> Progress:
    """Let simulated time pass until it has ended."""
    passed = 0.0
    while progress.running:
        assert passed < LONGEST_S, progress.words
        drill.pass_time(PIECE_S)
        passed += PIECE_S
        progress = next(p for p in session.progress if p.plan.id == progress.plan.id)
    return progress
