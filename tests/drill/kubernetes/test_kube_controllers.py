"""Tests controllers and kubelet on the simulated clock: what an operator sees of a rollout."""

from __future__ import annotations

from typing import Any

import pytest

from cockpit.drill.clock import SimClock
from cockpit.drill.kubernetes import Behaviour, KubernetesWorld
from cockpit.drill.kubernetes.controllers.deployment import bounds
from cockpit.drill.kubernetes.objects.resources import AUTOSCALERS, DEPLOYMENTS, EVENTS, PODS, REPLICASETS
from cockpit.drill.kubernetes.tables.printers import pod_status


class Sick:
    """Chooses a behaviour by image tag."""

    def __call__(self, service: str, image: str, env: Any) -> Behaviour:
        tag = image.rpartition(":")[2]
        if tag == "crash":
            return Behaviour(startup_s=5, crash_after_s=2, exit_code=137, log=("boom",))
        if tag == "missing":
            return Behaviour(pull_error="manifest unknown")
        if tag == "unready":
            return Behaviour(startup_s=1, ready=False)
        return Behaviour(startup_s=2, stop_s=3)


@pytest.fixture
def world() -> KubernetesWorld:
    return KubernetesWorld(SimClock(1_795_000_000.0), 7, behaviour=Sick())


def advance(world: KubernetesWorld, seconds: float, dt: float = 0.5) -> None:
    for _ in range(int(seconds / dt)):
        world.clock.advance(dt)
        world.step()


def change(world: KubernetesWorld, name: str, **spec: Any) -> None:
    """Change a deployment's spec as a write would; `image` changes the template."""
    stored = world.store.get(DEPLOYMENTS, "m0-prod", name)
    assert stored is not None
    obj = stored.copy()
    if image := spec.pop("image", None):
        obj["spec"]["template"]["spec"]["containers"][0]["image"] = image
    obj["spec"].update(spec)
    obj["metadata"]["generation"] += 1
    world.store.replace(DEPLOYMENTS, stored, obj)


def condition(world: KubernetesWorld, name: str, kind: str) -> tuple[str, str]:
    found = world.workload(name)
    assert found is not None
    return next((c["status"], c["reason"]) for c in found["status"]["conditions"] if c["type"] == kind)


def reasons(world: KubernetesWorld) -> set[str]:
    return {e["reason"] for e in world.store.objects(EVENTS)}


def test_a_rolling_update_never_leaves_its_bounds_and_completes(world: KubernetesWorld) -> None:
    world.deploy("m0-ingestor", image="i:v1", replicas=4)
    world.settle()
    change(world, "m0-ingestor", image="i:v2")
    seen = set()
    for _ in range(120):
        world.clock.advance(0.25)
        world.step()
        pods = [p for p in world.pods("m0-ingestor") if "deletionTimestamp" not in p["metadata"]]
        assert len(pods) <= 5 and world.ready("m0-ingestor") >= 3
        seen.add(len(pods))
    assert 5 in seen
    assert {p.image for p in world.running("m0-ingestor")} == {"i:v2"}
    assert condition(world, "m0-ingestor", "Progressing") == ("True", "NewReplicaSetAvailable")
    assert world.workload("m0-ingestor")["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"  # type: ignore[index]


def test_recreate_never_runs_two_versions_at_once(world: KubernetesWorld) -> None:
    world.deploy("m0-submitter", image="s:v1", replicas=1, strategy="Recreate")
    world.settle()
    change(world, "m0-submitter", image="s:v2")
    for _ in range(60):
        world.clock.advance(0.25)
        world.step()
        assert len(world.pods("m0-submitter")) <= 1
    assert [p.image for p in world.running("m0-submitter")] == ["s:v2"]


def test_at_one_replica_the_default_strategy_runs_two_pods(world: KubernetesWorld) -> None:
    world.deploy("m0-submitter", image="s:v1", replicas=1)
    world.settle()
    change(world, "m0-submitter", image="s:v2")
    most = 0
    for _ in range(60):
        world.clock.advance(0.25)
        world.step()
        most = max(most, len(world.running("m0-submitter")))
    assert most == 2


def test_scale_to_zero_counts_terminating_pods_until_they_are_gone(world: KubernetesWorld) -> None:
    world.deploy("m0-signer-agent", image="s:v1", replicas=3)
    world.settle()
    change(world, "m0-signer-agent", replicas=0)
    world.step()
    status = world.workload("m0-signer-agent")["status"]  # type: ignore[index]
    assert status.get("replicas", 0) == 0 and status["terminatingReplicas"] == 3
    assert len(world.running("m0-signer-agent")) == 3 and all(p.terminating for p in world.running("m0-signer-agent"))
    advance(world, 4)
    assert world.pods("m0-signer-agent") == []
    assert world.workload("m0-signer-agent")["status"]["terminatingReplicas"] == 0  # type: ignore[index]


def test_a_crashing_image_backs_off_and_the_rollout_gets_stuck(world: KubernetesWorld) -> None:
    world.deploy("m0-quant", image="q:v1", replicas=2)
    world.settle()
    change(world, "m0-quant", image="q:crash", progressDeadlineSeconds=60)
    advance(world, 90)
    bad = next(p for p in world.pods("m0-quant") if p["spec"]["containers"][0]["image"] == "q:crash")
    container = bad["status"]["containerStatuses"][0]
    assert pod_status(bad) in ("CrashLoopBackOff", "Running", "OOMKilled")
    assert container["restartCount"] >= 2 and container["lastState"]["terminated"]["exitCode"] == 137
    assert condition(world, "m0-quant", "Progressing") == ("False", "ProgressDeadlineExceeded")
    assert world.ready("m0-quant") == 2
    assert "BackOff" in reasons(world)
    previous = world.logs.previous(bad["metadata"]["uid"], "m0-quant")
    assert previous is not None and [text for _, text in previous.lines] == ["boom"]


def test_a_missing_image_alternates_between_two_reasons(world: KubernetesWorld) -> None:
    world.deploy("m0-quant", image="q:missing", replicas=1)
    seen = set()
    for _ in range(60):
        world.clock.advance(0.5)
        world.step()
        seen.add(pod_status(dict(world.pods("m0-quant")[0])))
    assert {"ContainerCreating", "ErrImagePull", "ImagePullBackOff"} <= seen
    assert condition(world, "m0-quant", "Available") == ("False", "MinimumReplicasUnavailable")


def test_an_unready_pod_is_reported_with_a_counted_event(world: KubernetesWorld) -> None:
    world.deploy("m0-quant", image="q:unready", replicas=1)
    advance(world, 60)
    event = next(e for e in world.store.objects(EVENTS) if e["reason"] == "Unhealthy")
    assert event["count"] > 2 and event["type"] == "Warning"
    assert world.ready("m0-quant") == 0


def test_undo_raises_the_old_replicaset_to_a_new_revision(world: KubernetesWorld) -> None:
    world.deploy("m0-quant", image="q:v1", replicas=1, annotations={"kubernetes.io/change-cause": "first"})
    world.settle()
    first = world.store.select(REPLICASETS)[0].key
    for image in ("q:v2", "q:v1"):
        change(world, "m0-quant", image=image)
        world.settle()
    assert len(world.store.select(REPLICASETS)) == 2
    notes = world.store.get(REPLICASETS, *first).obj["metadata"]["annotations"]  # type: ignore[union-attr]
    assert notes["deployment.kubernetes.io/revision"] == "3"
    assert notes["kubernetes.io/change-cause"] == "first"


def test_old_revisions_beyond_the_limit_are_removed(world: KubernetesWorld) -> None:
    world.deploy("m0-quant", image="q:v1", replicas=1)
    world.settle()
    change(world, "m0-quant", revisionHistoryLimit=2)
    for i in range(5):
        change(world, "m0-quant", image=f"q:n{i}")
        world.settle()
    assert len(world.store.select(REPLICASETS)) == 3


def test_a_paused_deployment_scales_but_does_not_roll_out(world: KubernetesWorld) -> None:
    world.deploy("m0-quant", image="q:v1", replicas=1)
    world.settle()
    change(world, "m0-quant", paused=True, image="q:v2", replicas=3)
    advance(world, 10)
    assert {p.image for p in world.running("m0-quant")} == {"q:v1"} and world.ready("m0-quant") == 3
    assert condition(world, "m0-quant", "Progressing") == ("Unknown", "DeploymentPaused")


def test_pods_that_cannot_be_created_are_a_replica_failure(world: KubernetesWorld) -> None:
    world.context.create_error = 'pods "x" is forbidden: exceeded quota'
    world.deploy("m0-quant", image="q:v1", replicas=1)
    advance(world, 2)
    assert condition(world, "m0-quant", "ReplicaFailure") == ("True", "FailedCreate")
    world.context.create_error = None
    world.settle()
    assert world.ready("m0-quant") == 1


def test_an_autoscaler_undoes_a_manual_scale_but_not_zero(world: KubernetesWorld) -> None:
    world.deploy("m0-ingestor", image="i:v1", replicas=4)
    world.autoscaler("m0-ingestor", target="m0-ingestor", minimum=2, maximum=8, desired=4)
    world.settle()
    change(world, "m0-ingestor", replicas=8)
    advance(world, 40)
    assert world.replicas("m0-ingestor") == 4 and "SuccessfulRescale" in reasons(world)
    change(world, "m0-ingestor", replicas=0)
    advance(world, 40)
    assert world.replicas("m0-ingestor") == 0
    assert world.store.select(AUTOSCALERS)[0].obj["status"]["desiredReplicas"] == 0


def test_statefulset_pods_come_in_order_and_are_replaced_from_the_top(world: KubernetesWorld) -> None:
    world.deploy("m0-db", image="pg:16", replicas=3, kind="StatefulSet")
    advance(world, 2)
    assert [p["metadata"]["name"] for p in world.pods("m0-db")] == ["m0-db-0"]
    world.settle()
    assert [p["metadata"]["name"] for p in world.pods("m0-db")] == ["m0-db-0", "m0-db-1", "m0-db-2"]


def test_deleting_a_deployment_collects_everything_it_owned(world: KubernetesWorld) -> None:
    world.deploy("m0-quant", image="q:v1", replicas=2)
    world.settle()
    stored = world.store.get(DEPLOYMENTS, "m0-prod", "m0-quant")
    assert stored is not None
    world.store.remove(DEPLOYMENTS, stored)
    advance(world, 6)
    assert world.store.select(REPLICASETS) == [] and world.store.select(PODS) == []


def test_the_same_seed_gives_the_same_cluster() -> None:
    def names(seed: int) -> list[str]:
        world = KubernetesWorld(SimClock(1_795_000_000.0), seed)
        world.deploy("m0-quant", image="q:v1", replicas=3)
        world.settle()
        return [f"{p['metadata']['name']} {p['metadata']['uid']}" for p in world.pods("m0-quant")]

    assert names(7) == names(7) != names(8)


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "wanted"),
    [
        (1, "25%", "25%", (1, 0)),
        (4, "25%", "25%", (1, 1)),
        (10, "25%", "25%", (3, 2)),
        (3, 0, 0, (0, 1)),
        (2, 1, "50%", (1, 1)),
    ],
)
def test_percentages_round_surge_up_and_unavailable_down(
    replicas: int, surge: Any, unavailable: Any, wanted: tuple[int, int]
) -> None:
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    assert bounds({"replicas": replicas, "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling}}) == wanted


def test_a_rollout_goes_on_once_a_pod_was_ready_for_as_long_as_it_must(world: KubernetesWorld) -> None:
    """Counts a pod as available after minReadySeconds, as the real controllers do."""
    world.deploy("m0-signer-agent", image="i:v1", replicas=3)
    world.settle()
    advance(world, 30)
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    change(world, "m0-signer-agent", image="i:v2", minReadySeconds=25, strategy=rolling)
    advance(world, 20)
    found = world.workload("m0-signer-agent")
    assert found is not None and world.ready("m0-signer-agent") == 3
    assert found["status"]["availableReplicas"] == 2 and found["status"]["updatedReplicas"] == 1
    advance(world, 100)
    assert {p.image for p in world.running("m0-signer-agent")} == {"i:v2"}
    assert condition(world, "m0-signer-agent", "Progressing") == ("True", "NewReplicaSetAvailable")
