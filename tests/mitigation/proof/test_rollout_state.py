"""A rollout is judged by what the request did, and pods count by owner."""

from __future__ import annotations

from typing import Any

import pytest

from cockpit.mitigation.cluster.rollout_state import owned, snapshot, stood_at
from tests.mitigation.proof.test_rollout import deployment, statefulset

EXCEEDED = {
    "type": "Progressing",
    "status": "False",
    "reason": "ProgressDeadlineExceeded",
    "lastTransitionTime": "2026-11-30T10:00:00Z",
    "lastUpdateTime": "2026-11-30T10:00:00Z",
}


def pod(
    name: str,
    owner: str = "x-5d9",
    kind: str = "ReplicaSet",
    *,
    made_for: str = "5d9",
    ready: bool = True,
    ending: bool = False,
    revision: str = "",
    waiting: str = "",
    uid: str = "",
) -> dict[str, Any]:
    labels = {"app": "x", **({"pod-template-hash": made_for} if made_for else {})}
    if revision:
        labels["controller-revision-hash"] = revision
    metadata: dict[str, Any] = {
        "name": name,
        "uid": name,
        "labels": labels,
        "ownerReferences": [{"kind": kind, "name": owner, "controller": True, "uid": uid or owner}],
    }
    if ending:
        metadata["deletionTimestamp"] = "2026-11-30T12:00:00Z"
    state = {"waiting": {"reason": waiting}} if waiting else {"running": {}}
    return {
        "metadata": metadata,
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": [{"name": "x", "ready": ready, "state": state}],
        },
    }


@pytest.mark.parametrize("paused", [True, False])
def test_the_kill_switch_on_a_stuck_deployment_is_judged_by_pods_alone(paused: bool) -> None:
    """P2: the real controller keeps ProgressDeadlineExceeded, while paused too."""
    obj = deployment(0, paused=paused, replicas=0, updatedReplicas=0, availableReplicas=0, conditions=[EXCEEDED])
    now = snapshot(obj, 5, [], scaled=True)
    assert (now.done, now.failed, now.words) == (True, False, "stopped: no pod is left")
    left = snapshot(obj, 5, [pod("a", ending=True)], scaled=True)
    assert not left.done and not left.failed


def test_a_scale_up_waits_for_ready_pods_whatever_the_conditions_say() -> None:
    """P2: a scale is judged by replicas and pods alone."""
    obj = deployment(2, paused=True, updatedReplicas=0, conditions=[EXCEEDED])
    assert snapshot(obj, 5, [pod("a"), pod("b", ready=False)], scaled=True).words == "1 of 2 pods ready"
    assert snapshot(obj, 5, [pod("a"), pod("b")], scaled=True).done
    assert snapshot(obj, 5, [pod("a"), pod("b"), pod("c")], scaled=True).words == "1 pod to end"


def test_what_is_being_deleted_is_not_waited_for() -> None:
    """P6: its controller makes and ends no pod any more; that was waited for ten minutes."""
    going = {"deletionTimestamp": "2026-11-30T12:00:00Z"}
    for scaled in (True, False):
        obj = deployment(2, updatedReplicas=0)
        obj["metadata"] |= going
        now = snapshot(obj, 5, [pod("a")], scaled=scaled)
        assert now.failed and "being deleted" in now.words
    stop = deployment(0, replicas=1)
    stop["metadata"] |= going
    now = snapshot(stop, 5, [pod("a")], scaled=True)
    assert not now.failed and "its controller ends none" in now.words


def test_a_condition_that_stood_before_the_request_says_nothing_about_it() -> None:
    """P2: it counts only if it is not the one that stood before."""
    obj = deployment(2, updatedReplicas=1, conditions=[EXCEEDED])
    assert snapshot(obj, 5, []).failed
    now = snapshot(obj, 5, [], stood=stood_at(obj))
    assert not now.failed and "1 of 2 new pods made" in now.words
    later = {**EXCEEDED, "lastTransitionTime": "2026-11-30T10:30:00Z", "lastUpdateTime": "2026-11-30T10:30:00Z"}
    assert snapshot(deployment(2, conditions=[later]), 5, [], stood=stood_at(obj)).failed


def test_pods_of_others_with_the_same_label_are_named_and_not_counted() -> None:
    """P8: a canary deployment and a job kept the kill switch at "2 pods left"."""
    obj = deployment(0, replicas=0, updatedReplicas=0, availableReplicas=0)
    others = [pod("c", "x-canary-77f", made_for="77f"), pod("j", "x-migrate", "Job", made_for="")]
    now = snapshot(obj, 5, others, scaled=True)
    assert now.done
    assert "not counted: 2 pods with its labels (1 of ReplicaSet x-canary-77f, 1 of Job x-migrate)" in now.words
    assert not snapshot(obj, 5, [*others, pod("a")], scaled=True).done


@pytest.mark.parametrize(
    ("one", "its"),
    [
        (pod("a", "x-5d9"), True),
        (pod("a", "x-5d9", made_for=""), True),
        (pod("a", "x-y-5d9"), False),
        (pod("a", "x", "StatefulSet", made_for=""), False),
        (pod("a", "x", "DaemonSet", made_for=""), False),
        ({"metadata": {"name": "bare", "labels": {"app": "x", "pod-template-hash": "5d9"}}}, True),  # it is taken over
        ({"metadata": {"name": "bare", "labels": {"app": "x"}}, "status": {}}, False),  # nobody ever ends it
    ],
)
def test_who_owns_a_pod(one: dict[str, Any], its: bool) -> None:
    """P8: by owner references."""
    assert owned(one, deployment()) is its


def update(kind: str = "RollingUpdate", partition: int = 0, **status: Any) -> dict[str, Any]:
    obj = statefulset(**status)
    obj["metadata"]["uid"] = "u"
    obj["spec"] = {"replicas": 3, "updateStrategy": {"type": kind, "rollingUpdate": {"partition": partition}}}
    obj["status"] |= {"replicas": 3, "readyReplicas": 3, **status}
    return obj


@pytest.mark.parametrize(
    ("obj", "done", "words"),
    [
        (update("OnDelete", updatedReplicas=0), False, "OnDelete"),
        (update(partition=3, updatedReplicas=0), False, "0 of 3 pods updated: partition 3 holds every one back"),
        (update(partition=5, updatedReplicas=0), False, "partition 5 holds every one back"),
        (update(partition=2, updatedReplicas=0), False, "0 of 1 pods of the partition updated"),
        (update(partition=2, updatedReplicas=1), True, "rolled out: 1 of 3 pods; partition 2 holds 2 back"),
    ],
)
def test_a_statefulset_is_never_rolled_out_with_nothing_updated(obj: dict[str, Any], done: bool, words: str) -> None:
    """P6: the effect counts partition and OnDelete."""
    now = snapshot(obj, 5, [])
    assert now.done is done and words in now.words
    assert now.failed is (not done and "of the partition" not in words)


def test_a_broken_pod_of_the_old_revision_is_named_it_must_be_deleted() -> None:
    """P7: OrderedReady waits for it for ever."""
    obj = update(readyReplicas=2, updatedReplicas=0, currentRevision="r1", updateRevision="r2")
    mine: dict[str, Any] = {"owner": "x", "kind": "StatefulSet", "made_for": "", "uid": "u"}
    pods = [pod("x-0", revision="r1", **mine), pod("x-2", revision="r1", ready=False, waiting="ErrImagePull", **mine)]
    now = snapshot(obj, 5, pods)
    assert now.failed and now.words.startswith("x-2 keeps the old revision")
    starting = [pods[0], pod("x-2", revision="r1", ready=False, waiting="ContainerCreating", **mine)]
    assert not snapshot(obj, 5, starting).failed
    newer = [pods[0], pod("x-2", revision="r2", ready=False, waiting="ErrImagePull", **mine)]
    assert not snapshot(obj, 5, newer).failed
    parallel = {**obj, "spec": {**obj["spec"], "podManagementPolicy": "Parallel"}}
    assert not snapshot(parallel, 5, pods).failed
