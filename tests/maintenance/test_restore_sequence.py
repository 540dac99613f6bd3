"""Runbook 14's restore is guided, part by part, each confirmed.

It is refused while writers run; at the end chain and database are aligned.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cockpit.config import load_settings
from cockpit.drill.names import MARKETS
from cockpit.drill.server import DrillThread
from cockpit.mitigation.planning.sequence import parts_of
from cockpit.model.plan import Phase, Progress
from cockpit.runbooks.schema import load
from cockpit.session import Session

QUICK = """
[[runbook]]
id = "backup-restore"
validation = [{ text = "nothing is left half-way", signal = "pods-unready", expect = "ok", hold = 0.2, within = 30.0 }]
"""
AGO_S = 600.0


@pytest.fixture
def drill() -> Iterator[DrillThread]:
    with DrillThread("calm", speed=20.0, history_s=300.0) as running:
        yield running


def test_the_restore_goes_through_its_parts_and_stops_what_writes_first(drill: DrillThread, tmp_path: Path) -> None:
    quick = tmp_path / "quick.toml"
    quick.write_text(QUICK)
    settings = replace(load_settings(config=drill.config, env={}), runbooks=quick, state_dir=tmp_path / "state")
    session = Session(settings, load(quick))
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
        refused = ended(session, session.mitigations.confirm(early, "database").result(30))
        assert refused.phase is Phase.FAILED and "stop them first" in refused.words

        whole = session.runbooks.step("14", "restore")[1]
        state = session.mitigations.sequence(runbook, whole)
        assert [item.step for item in state.items] == [
            "stop-submitter",
            "stop-quant",
            "restore-db",
            "start-quant",
            "start-submitter",
            "align",
        ]
        given = {"restore-db": {"time": to}, "start-quant": {"replicas": "2"}}
        while state.next is not None:
            index = state.next
            step = parts_of(runbook, whole)[index]
            plan = session.mitigations.plan_part(runbook, whole, index, given.get(step.id, {}), state.run).result(30)
            assert not plan.blocked, plan.blocked
            done = ended(session, session.mitigations.confirm(plan, plan.typed).result(60))
            assert plan.part is not None
            state = session.mitigations.sequence(runbook, whole, plan.part.run)
            assert state.items[index].state == "done", (step.id, done.words)
            pods = drill.call(lambda d: {name: len(d.world.kube.pods(name)) for name in ("m0-submitter", "m0-quant")})
            if step.id == "stop-quant":
                assert pods == {"m0-submitter": 0, "m0-quant": 0}, "proven off, terminating ones included"
            if step.id == "restore-db":
                assert drill.call(lambda d: min(d.world.serve.age_s(m) for m in MARKETS)) >= AGO_S, "as it was then"
        assert drill.call(lambda d: max(d.world.serve.age_s(m) for m in MARKETS)) < AGO_S, "aligned with the chain"
        assert session.journal is not None and session.journal.verify() == []
    finally:
        session.close(5)


def ended(session: Session, progress: Progress) -> Progress:
    deadline = time.monotonic() + 60
    while progress.running:
        assert time.monotonic() < deadline, progress.words
        time.sleep(0.05)
        progress = next(p for p in session.progress if p.plan.id == progress.plan.id)
    return progress
