"""Runbooks 7, 8 and 9 from the first symptom to the undo: the real session and executor on a drill that runs forty times as fast.
Only how long a proof must hold is shortened, for it is measured in real seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from cockpit.config import load_settings
from cockpit.drill.server import DrillThread
from cockpit.model.plan import Phase, Plan, Progress, Proof
from cockpit.model.runbook import Runbooks
from cockpit.runbooks.schema import load
from cockpit.session import Session


def hurried() -> Runbooks:
    """The packaged runbooks, with proofs that hold for three seconds: two real minutes of simulated time."""
    books = load()
    hurry = [
        msgspec.structs.replace(
            book,
            validation=tuple(msgspec.structs.replace(line, hold=3.0, within=120.0) for line in book.validation),
        )
        for book in books.runbooks
    ]
    return msgspec.structs.replace(books, runbooks=tuple(hurry))


def until(true: Callable[[], object], what: str, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("scenario", "number", "step", "parameters"),
    [
        ("source-diverges", 7, "quarantine-connector", {"connector": "sports"}),
        ("bad-model-release", 8, "rollback-model", {"version": "2026.1"}),
        ("gateway-overload", 9, "scale-gateway", {"replicas": "6"}),
    ],
)
def test_from_the_symptoms_to_the_proof_and_back(
    scenario: str, number: int, step: str, parameters: dict[str, str], tmp_path: Path
) -> None:
    books = hurried()
    with DrillThread(scenario, speed=40.0, history_s=1800.0) as drill:
        settings = load_settings(config=drill.config, env={})
        prometheus = msgspec.structs.replace(settings.prometheus, interval=0.5)
        session = Session(replace(settings, state_dir=tmp_path / "state", prometheus=prometheus), books)
        session.start()

        def matched() -> bool:
            situation = session.situation
            best = situation.matches[0] if situation is not None and situation.matches else None
            return best is not None and best.runbook.number == number and best.held == best.total

        def follow(plan: Plan) -> Progress:
            assert not plan.blocked, [(g.guard, g.reason) for g in plan.guards]
            session.carry_out(plan, plan.typed).result(30)

            def mine() -> Progress:
                return next(p for p in session.progress if p.plan.id == plan.id)

            until(lambda: not mine().running, f"{plan.title} settled", 150.0)
            return mine()

        try:
            assert session.ready.wait(30)
            until(matched, "the runbook ranks first, with all its symptoms")
            book, chosen = books.step(str(number), step)
            done = follow(session.plan(book, chosen, parameters).result(30))
            assert (done.phase, done.proof) == (Phase.DONE, Proof.PASS), [(g.text, g.reason) for g in done.gauges]
            assert not matched()
            undone = follow(session.plan_undo(None).result(30))
            assert undone.phase is Phase.DONE
            until(matched, "undone, the symptoms are back")
        finally:
            session.close()
