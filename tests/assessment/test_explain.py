"""Explain: why a pod or deployment is not well, in words; from what a real API server recorded, and
from hand-made cases.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from cockpit.assessment.explain.workload import explain_pod, explain_workload
from cockpit.kubeapi import convert, wire
from cockpit.model.observed.cluster import (
    Autoscaler,
    Cluster,
    Condition,
    Container,
    KubeEvent,
    Pod,
    ReplicaSet,
    Workload,
)
from tests.support.paths import ROOT
from tests.support.samples.cluster import sample_pod, sample_workload

RECORDINGS = ROOT / "tests" / "fixtures" / "kube-apiserver"
NOW = 1_795_000_000.0


def recorded(name: str) -> Any:
    body = json.loads((RECORDINGS / name).read_text())["response"]["body"]
    return json.loads(body) if isinstance(body, str) else body


@pytest.fixture(scope="module")
def stuck() -> tuple[Cluster, Workload]:
    pods = [
        convert.pod(msgspec.convert(p, wire.PodW)) for p in recorded("58-pods-crashloop-and-imagepull.json")["items"]
    ]
    deployment = convert.deployment(msgspec.convert(recorded("59-deployment-stuck-rollout.json"), wire.WorkloadW))
    key = (deployment.namespace, deployment.name)
    return Cluster(pods={p.uid: p for p in pods}, workloads={key: deployment}), deployment


def test_a_recorded_crash_loop(stuck: tuple[Cluster, Workload]) -> None:
    cluster, _ = stuck
    pod = next(p for p in cluster.pods.values() if p.name == "m0-api-gateway-6868c97fc5-87h4m")
    lines = explain_pod(cluster, pod, NOW)
    assert lines[0].startswith("CrashLoopBackOff: container m0-api-gateway restarted 7×")
    assert "back-off 5m0s restarting failed container" in lines[0]
    assert lines[-1].startswith("next: read the previous container's log")


def test_a_recorded_image_that_cannot_be_pulled(stuck: tuple[Cluster, Workload]) -> None:
    cluster, _ = stuck
    pod = next(p for p in cluster.pods.values() if p.name == "m0-realtime-5dbb464d54-29h9x")
    lines = explain_pod(cluster, pod, NOW)
    assert lines[0].startswith("ImagePullBackOff: container m0-realtime cannot pull ghcr.io/m0club/m0-realtime")
    assert "pull secret" in lines[-1]


def test_a_recorded_rollout_that_does_not_finish(stuck: tuple[Cluster, Workload]) -> None:
    cluster, deployment = stuck
    lines = explain_workload(cluster, deployment, NOW)
    assert lines[0].startswith("Rollout not finished: 1 of 2")
    assert any("CrashLoopBackOff" in line and "87h4m" in line for line in lines)
    assert "last good image" in lines[-1]


def test_a_recorded_pod_that_is_well(stuck: tuple[Cluster, Workload]) -> None:
    cluster, _ = stuck
    pod = next(p for p in cluster.pods.values() if p.name == "m0-realtime-865ff5f9b5-6glx2")
    (line,) = explain_pod(cluster, pod, NOW)
    assert line.startswith("All well: 1 of 1 containers ready")


# --- hand-made ------------------------------------------------------------


def pod(container: Container | None = None, **more: Any) -> Pod:
    usual = {"namespace": "n", "name": "m0-a-1", "created_at": NOW - 720, "owner_name": "m0-a-new", "service": "m0-a"}
    ready = int(container is not None and container.ready)
    return sample_pod(**{**usual, "ready": ready, "containers": (container,) if container else (), **more})


def deployment(**more: Any) -> Workload:
    counts = dict.fromkeys(("desired", "replicas", "ready", "updated", "available"), 2)
    usual = {"uid": "d", "namespace": "n", "name": "m0-a", "created_at": 0.0, "strategy": "RollingUpdate", **counts}
    return sample_workload(**{**usual, **more})


C = Container


@pytest.mark.parametrize(
    ("case", "begins", "holds"),
    [
        (
            pod(
                C(
                    "m0-a",
                    phase="waiting",
                    reason="CrashLoopBackOff",
                    restarts=4,
                    last_exit_code=1,
                    last_reason="Error",
                    last_finished_at=NOW - 90,
                )
            ),
            "CrashLoopBackOff: container m0-a restarted 4×, last exit 1 90 s ago",
            "previous container's log",
        ),
        (
            pod(
                C(
                    "m0-a",
                    phase="waiting",
                    reason="CrashLoopBackOff",
                    restarts=4,
                    last_exit_code=137,
                    last_reason="OOMKilled",
                    last_finished_at=NOW - 600,
                )
            ),
            "CrashLoopBackOff",
            "OOMKilled: out of memory, last exit 137 killed (SIGKILL) 10 min ago",
        ),
        (
            pod(
                phase="Pending",
                reason="Pending",
                total=1,
                conditions=(
                    Condition("PodScheduled", "False", "Unschedulable", "0/3 nodes are available: insufficient cpu"),
                ),
            ),
            "Pending for 12 min, no node takes it: 0/3 nodes are available",
            "add capacity",
        ),
        (
            pod(C("m0-a", phase="running", started_at=NOW - 300)),
            "Not ready: container m0-a runs for 5 min, but its readiness probe fails",
            "readiness endpoint",
        ),
        (
            pod(C("m0-a", phase="running", ready=True), deleted_at=NOW - 1560),
            "Terminating: its grace period ended 26 min ago: longer than it was given",
            "finalizers",
        ),
        (
            pod(C("m0-a", phase="running", ready=True), deleted_at=NOW + 20),
            "Terminating: 20 s of its grace period are left",
            "grace period",
        ),
        (
            pod(C("m0-a", phase="waiting", reason="CreateContainerConfigError", message='secret "x" not found')),
            'CreateContainerConfigError: container m0-a cannot be made: secret "x" not found',
            "ConfigMaps and Secrets",
        ),
        (
            pod(
                C("m0-a", phase="terminated", exit_code=143, reason="Error", finished_at=NOW - 5),
                phase="Failed",
                reason="Evicted",
                message="low on memory",
            ),
            "Failed: Evicted: low on memory",
            "SIGTERM",
        ),
        (
            pod(C("init", init=True, phase="waiting", reason="PodInitializing"), phase="Pending", reason="Init:0/1"),
            "PodInitializing: init container init has not started",
            "",
        ),
        (
            pod(C("m0-a", phase="running", ready=True, restarts=2, last_exit_code=1, last_finished_at=NOW - 60)),
            "Restarted: container m0-a 2×, last exit 1 60 s ago",
            "",
        ),
        (pod(phase="Pending", reason="Pending"), "Pending, 12 min old", ""),
    ],
)
def test_a_pod_is_explained(case: Pod, begins: str, holds: str) -> None:
    lines = explain_pod(Cluster(pods={"u": case}), case, NOW)
    assert lines[0].startswith(begins)
    assert holds in "\n".join(lines)


def test_warnings_of_the_last_hour_are_reported_once() -> None:
    def event(uid: str, at: float, kind: str = "Warning", name: str = "m0-a-1") -> KubeEvent:
        return KubeEvent(
            uid=uid,
            namespace="n",
            type=kind,
            reason="BackOff",
            message="Back-off restarting",
            object_kind="Pod",
            object_name=name,
            count=9,
            last_seen=at,
        )

    events = {
        "1": event("1", NOW - 30),
        "2": event("2", NOW - 60),
        "3": event("3", NOW - 9000),
        "4": event("4", NOW, "Normal"),
        "5": event("5", NOW, name="other"),
    }
    lines = explain_pod(Cluster(events=events), pod(), NOW)
    assert [line for line in lines if line.startswith("event")] == ["event BackOff ×9 30 s ago: Back-off restarting"]


def test_a_stuck_rollout_names_the_new_and_the_old_revision() -> None:
    sets = {
        ("n", "m0-a-old"): ReplicaSet(
            uid="1",
            namespace="n",
            name="m0-a-old",
            owner_name="m0-a",
            revision=4,
            created_at=NOW - 90000,
            desired=2,
            ready=2,
            images=("m0-a@sha256:aaa",),
        ),
        ("n", "m0-a-new"): ReplicaSet(
            uid="2",
            namespace="n",
            name="m0-a-new",
            owner_name="m0-a",
            revision=5,
            created_at=NOW - 700,
            desired=1,
            ready=0,
            images=("m0-a@sha256:bbb",),
        ),
    }
    late = Condition("Progressing", "False", "ProgressDeadlineExceeded", "has timed out progressing", NOW - 100)
    broken = pod(C("m0-a", phase="waiting", reason="ImagePullBackOff"), reason="ImagePullBackOff")
    own = deployment(replicas=3, updated=1, conditions=(late,))
    lines = explain_workload(Cluster(pods={"u": broken}, replicasets=sets), own, NOW)
    assert lines[0] == "Rollout stuck for 100 s: has timed out progressing"
    assert lines[1].startswith("Rollout not finished: revision 5 (m0-a-new) has 0 of 1 ready: ImagePullBackOff")
    assert lines[2] == "Old revision 4 (m0-a-old) still serves with 2 of 2, image m0-a@sha256:aaa → m0-a@sha256:bbb"
    assert lines[-1].startswith("next: ")


def test_an_autoscaler_is_mentioned() -> None:
    scaler = {
        ("n", "h"): Autoscaler(
            namespace="n",
            name="h",
            target_kind="Deployment",
            target_name="m0-a",
            min_replicas=2,
            max_replicas=9,
            desired=4,
        )
    }
    lines = explain_workload(Cluster(autoscalers=scaler), deployment(), NOW)
    assert lines == (
        "All well: 2 of 2 ready, 2 up to date",
        "Autoscaler h keeps it at 2 to 9, now 4: it undoes a manual scale",
    )


def test_pods_that_are_left_at_zero_are_counted() -> None:
    left = pod(C("m0-a", phase="running", ready=True), deleted_at=NOW - 5)
    zero = deployment(desired=0, replicas=0, ready=0, updated=0, available=0)
    lines = explain_workload(Cluster(pods={"u": left}), zero, NOW)
    assert lines[0] == "Scaled to 0: 1 pod is still there"


def test_alike_pods_are_listed_once() -> None:
    many = {
        str(i): pod(
            C("m0-a", phase="waiting", reason="ErrImagePull"), uid=str(i), name=f"m0-a-{i}", reason="ErrImagePull"
        )
        for i in range(4)
    }
    lines = explain_workload(Cluster(pods=many), deployment(ready=0, available=0), NOW)
    alike = [line for line in lines if "ErrImagePull" in line]
    assert len(alike) == 1 and "(and 3 more alike)" in alike[0]


def test_a_paused_deployment_is_said() -> None:
    lines = explain_workload(Cluster(), deployment(paused=True), NOW)
    assert lines[0].startswith("Paused") and "rollout resume" in lines[-1]
