"""Every step of the packaged runbooks 1 and 6 that changes something can be planned, carried out
and taken back.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cockpit.drill import changes
from cockpit.mitigation.steps.workload import set_env
from cockpit.model.plan import DryRunState, Phase, Verdict
from cockpit.model.situation import ConditionStatus
from cockpit.model.step_kinds import STEP_KINDS
from cockpit.runbooks.schema import load
from tests.support.kube_rig import Rig, carry, ended, plan, status

PACKAGED = load()
STEPS = [
    (runbook, s)
    for runbook in PACKAGED.runbooks
    for s in runbook.mitigations
    if runbook.number in (1, 6) and STEP_KINDS[s.kind].patches
]
GIVEN = {
    "url": "https://rpc-b.drill.m0club.example/v2/KEYLIKE123456789abc",
    "connector": "sports",
    "limits": "sports=2",
}


@pytest.mark.parametrize(("runbook", "step"), STEPS, ids=[f"{b.number}.{s.id}" for b, s in STEPS])
def test_step(rig: Rig, runbook: object, step: object) -> None:
    rig.runbooks = PACKAGED
    rig.signals = {name: status(name) for name in PACKAGED.signals}
    allowed = {name: name not in step.unless for name in PACKAGED.conditions}  # type: ignore[attr-defined]
    rig.conditions = {name: ConditionStatus(held) for name, held in allowed.items()}
    rig.do(lambda: changes.set_env(rig.world, "m0-ingestor", {"M0_POLL_INTERVAL_MS": "1000", "M0_CACHE_TTL_MS": "500"}))
    rig.settle()
    given = {p.name: GIVEN[p.name] for p in step.params if p.default is None}  # type: ignore[attr-defined]
    if step.id == "enable-publishing":  # type: ignore[attr-defined]
        rig.do(lambda: changes.set_env(rig.world, "m0-submitter", {"M0_PUBLISH_ENABLED": "false"}))
        rig.settle()
    made = plan(rig.executor(), step, runbook, **given)  # type: ignore[arg-type]
    assert made.dry_run.state is DryRunState.OK
    assert not made.blocked, made.blocked
    unasked = [found for found in made.overrides if found.guard != "left"]  # no Prometheus here: no live list
    assert not unasked, unasked
    assert made.changes
    answered = carry(rig.executors[0], made)
    assert answered.phase not in (Phase.FAILED, Phase.STALE, Phase.UNCERTAIN), answered.words
    rig.executors[0].stop_watching(made.id)
    ended(rig.executors[0], made)
    rig.settle()
    if made.inverse is not None:
        undo = rig.executors[0].plan_undo(1).result(20)
        assert [(c.field, c.after) for c in undo.changes] == [(c.field, c.before) for c in made.changes]


def test_a_change_of_a_list_says_what_comes_out_of_it_and_what_is_not_known() -> None:
    known = {"M0_CONNECTORS_DISABLED": ("sports", "macro")}
    setting: Any = SimpleNamespace(runbooks=PACKAGED, secrets=frozenset(), known=known)

    def note(before: str, after: str) -> str:
        name = "M0_CONNECTORS_DISABLED"
        (change,) = set_env._changes(setting, {name: {"value": after}}, {name: {"value": before}}, {})
        return change.note

    assert note("", "sports") == note("politics", "politics,sports") == ""
    assert note("politics", "sports") == "politics not in it any more"
    assert note("", "spots") == "not among those known now"


@pytest.mark.parametrize(
    ("known", "value", "verdict", "words"),
    [
        (("macro", "sports"), "sports", Verdict.PASS, "macro stay on"),
        (("macro", "sports"), "macro,sports", Verdict.CONFIRM, "all that there are (2): none is left"),
        (("macro", "sports"), "macro,sports,foo", Verdict.CONFIRM, "none is left"),
        (None, "macro", Verdict.UNKNOWN, "not known now"),
    ],
)
def test_the_last_of_them_is_not_switched_off_unseen(
    known: tuple[str, ...] | None, value: str, verdict: Verdict, words: str
) -> None:
    """B12: every connector could be disabled by an ordinary y: nothing is ingested any more."""
    name = "M0_CONNECTORS_DISABLED"
    setting: Any = SimpleNamespace(adds=True, known={name: known} if known is not None else {})
    (found,) = set_env._left(setting, {name: {"value": value}})
    assert found.verdict is verdict and words in found.reason
    assert not list(set_env._left(SimpleNamespace(adds=False, known={}), {name: {"value": value}}))  # type: ignore[arg-type]


def test_there_are_such_steps() -> None:
    assert {s.kind for _, s in STEPS} == {"set-env", "restart", "scale"}
