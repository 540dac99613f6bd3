"""`run` prints of a plan, before it asks, all that the dialog says of a change."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from cockpit.commands import run
from cockpit.commands.run import describe
from cockpit.mitigation.problem import PlanProblem
from cockpit.model.plan import Change, Plan
from cockpit.model.runbook import Runbook, Step
from cockpit.runbooks.schema import load


def test_a_change_is_reported_with_what_is_empty_or_absent_and_with_its_note() -> None:
    changes = (
        Change("OFF", "politics", "sports", "politics not in it any more"),
        Change("TTL", "", "5000"),
        Change("NEW", None, "1"),
    )
    plan: Any = SimpleNamespace(
        title="t",
        target=SimpleNamespace(words="x"),
        changes=changes,
        request=None,
        harmless=True,
        blast=(),
        staged="",
        guards=(),
        danger_reasons=(),
        inverse=None,
        kubectl="",
    )
    assert describe(plan).splitlines()[2:] == [
        "  change   OFF: politics -> sports   (politics not in it any more)",
        "  change   TTL: (empty) -> 5000",
        "  change   NEW: (absent) -> 1",
    ]


def test_a_dry_run_shows_every_part(capsys: pytest.CaptureFixture[str]) -> None:
    """S: of a sequence the later parts were not shown; now as planned before the first is done."""
    runbook, step = load().step("5", "realign")
    state = SimpleNamespace(next=0, items=(1, 2), run="")
    asked: list[str] = []

    def planned(_: Runbook, one: Step, own: dict[str, str]) -> Future[Plan]:
        asked.append(one.id)
        found: Future[Plan] = Future()
        found.set_exception(PlanProblem("the pods cannot be counted", "again"))
        return found

    part: Future[Any] = Future()
    part.set_result(SimpleNamespace(part=SimpleNamespace(run="r")))
    mitigations = SimpleNamespace(sequence=lambda *_: state, plan_part=lambda *_: part, plan=planned)
    args: Any = SimpleNamespace(json=False, dry_run=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "Carrier", lambda *_: SimpleNamespace(carry=lambda plan: 0))
        assert run._sequence(SimpleNamespace(mitigations=mitigations), args, runbook, step, {}) == 0
    said = capsys.readouterr().out
    assert asked == ["restart-submitter"] and "part 2, planned as things are now" in said
    assert "no plan now: the pods cannot be counted" in said
