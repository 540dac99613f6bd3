"""A Deployment and a StatefulSet that bear one name."""

from __future__ import annotations

from cockpit.model.plan import Phase, Verdict
from tests.mitigation.steps.test_delete_pod import GOOD
from tests.support.kube_rig import Rig, carry, guard, plan, step

SCALE = step("scale", "m0-ingestor", replicas=6)


def a_statefulset(rig: Rig) -> None:
    rig.do(lambda: rig.world.deploy("m0-ingestor", image=GOOD, replicas=3, kind="StatefulSet"))


def test_the_one_that_is_not_touched_is_named(rig: Rig) -> None:
    """R9: the Deployment was taken without a word, and the StatefulSet ran on."""
    executor = rig.executor()
    assert all(found.guard != "namesake" for found in plan(executor, SCALE).guards)
    a_statefulset(rig)
    made = plan(executor, SCALE)
    found = guard(made, "namesake")
    assert made.target.kind == "Deployment" and found.verdict is Verdict.CONFIRM
    assert found.reason == "there is a statefulset m0-ingestor (replicas: 3) too: this changes the deployment alone"


def test_one_that_came_in_between_stops_the_send(rig: Rig) -> None:
    """S2: judged again at the send."""
    executor = rig.executor()
    made = plan(executor, SCALE)
    a_statefulset(rig)
    assert carry(executor, made).phase is Phase.STALE
    assert rig.writes() == []


def test_that_it_cannot_be_known_is_said(rig: Rig) -> None:
    """S2: what may not be read is no "there is none"."""
    rig.do(lambda: rig.world.chaos.forbidden.add("get statefulsets"))
    found = guard(plan(rig.executor(), SCALE), "namesake")
    assert found.verdict is Verdict.NOTE and "whether there is a statefulset" in found.reason


def test_what_is_taken_back_is_what_was_changed(rig: Rig) -> None:
    """R9: the undo of a StatefulSet's step read the Deployment that had come meanwhile."""
    rig.do(lambda: rig.world.deploy("m0-db", image=GOOD, replicas=2, kind="StatefulSet"))
    executor = rig.executor()
    done = carry(executor, plan(executor, step("scale", "m0-db", replicas=1)))
    rig.do(lambda: rig.world.deploy("m0-db", image=GOOD, replicas=5))
    assert done.journal is not None
    made = executor.plan_undo(done.journal).result(20)
    assert made.target.kind == "StatefulSet"
    assert [(change.before, change.after) for change in made.changes] == [("1", "2")]
