"""R9: a service whose pods may not be created says why, in its row and in `explain`."""

from __future__ import annotations

from typing import Any

import pytest

from cockpit.assessment.explain.workload import explain_workload
from cockpit.model.observed.cluster import Condition, KubeEvent, Workload
from cockpit.model.situation import Situation
from tests.assessment.test_situation import Room, pod, workload

QUOTA = "exceeded quota: budget, requested: pods=1, used: pods=2, limited: pods=2"
REFUSED = Condition("ReplicaFailure", "True", "FailedCreate", f'pods "m0-quant-1-x" is forbidden: {QUOTA}')


def situation(own: Workload, pods: list[Any], *events: KubeEvent) -> Situation:
    room = Room()
    room.cluster(pods, [own], server_time=1_790_000_000.0)
    room.put("events", {e.uid: e for e in events})
    return room.situation()


def event(reason: str, at: float, message: str = "", name: str = "m0-quant") -> KubeEvent:
    return KubeEvent(f"{reason}{at}", "n", "Warning", reason, message, "StatefulSet", name, 1, at)


@pytest.mark.parametrize(
    ("desired", "level", "why"),
    [
        (4, "warn", f"2 of 4 refused: {QUOTA}"),
        (2, "warn", f"new pods refused: {QUOTA}"),  # a rolling update that cannot begin, all old pods ready
        (0, "crit", "scaled to 0"),
    ],
)
def test_a_deployment_says_what_its_condition_says(desired: int, level: str, why: str) -> None:
    """R9: "2 of 4 missing" did not say that a quota was used up."""
    pods = [pod("a"), pod("b")] if desired else []
    (status,) = situation(workload(desired=desired, conditions=(REFUSED,)), pods).services
    assert (status.level, status.why) == (level, why)


def test_a_refusal_that_is_over_is_not_named() -> None:
    """R9: the condition goes to False or away."""
    over = Condition("ReplicaFailure", "False", "FailedCreate", REFUSED.message)
    (status,) = situation(workload(conditions=(over,)), [pod("a"), pod("b")]).services
    assert (status.level, status.why) == ("ok", "")


def test_a_statefulset_says_what_its_events_say() -> None:
    """R9: a StatefulSet has no condition for it."""
    message = f'Create Pod m0-quant-1 in StatefulSet m0-quant failed error: pods "m0-quant-1" is forbidden: {QUOTA}'
    own = workload(kind="StatefulSet")
    failed, made = event("FailedCreate", 1_789_999_990.0, message), event("SuccessfulCreate", 1_789_999_995.0)
    seen = situation(own, [pod("a")], failed)
    assert seen.services[0].why == f"1 of 2 refused: {QUOTA}"
    assert f"Pods cannot be created: {QUOTA}" in explain_workload(seen.cluster, own, seen.cluster_now)
    for events in (
        (failed, made),
        (event("FailedCreate", 1_789_990_000.0, message),),
        (event("FailedCreate", 1_789_999_990.0, message, "x"),),
    ):
        assert "refused" not in situation(own, [pod("a")], *events).services[0].why
    assert "refused" not in situation(own, [pod("a"), pod("b")], failed).services[0].why
