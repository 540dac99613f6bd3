"""kubectl's own conditions, in kubectl's own order; then no pod may be terminating."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from cockpit.drill.kubernetes import Behaviour
from cockpit.mitigation.cluster.objects import owner_of, selector, surge_of
from cockpit.mitigation.cluster.rollout import reason_of, timeout_of
from cockpit.mitigation.cluster.rollout_state import snapshot
from cockpit.model.plan import Phase, Proof
from tests.support.kube_rig import OTHER_URL, Rig, carry, ended, plan, rig, step
from tests.support.paths import ROOT
from tests.support.waiting import wait_for

RECORDINGS = ROOT / "tests" / "fixtures" / "kube-apiserver"
SWITCH = step("set-env", "m0-submitter", env={"SOLANA_RPC_URL": OTHER_URL})


def recording(name: str) -> Any:
    return json.loads(next(RECORDINGS.glob(f"{name}-*.json")).read_text())["response"]["body"]


def deployment(desired: int = 2, generation: int = 5, *, paused: bool = False, **status: Any) -> dict[str, Any]:
    good = {
        "observedGeneration": generation,
        "replicas": desired,
        "updatedReplicas": desired,
        "availableReplicas": desired,
    }
    return {
        "kind": "Deployment",
        "metadata": {"name": "x", "generation": generation},
        "spec": {"replicas": desired, "paused": paused},
        "status": {**good, **status},
    }


def pod(name: str = "p", *, terminating: bool = False, phase: str = "Running") -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "uid": name, "labels": {"pod-template-hash": "5d9"}}
    metadata["ownerReferences"] = [{"kind": "ReplicaSet", "name": "x-5d9", "controller": True}]
    if terminating:
        metadata["deletionTimestamp"] = "2026-11-23T12:00:00Z"
    return {"metadata": metadata, "status": {"phase": phase}}


EXCEEDED = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]


@pytest.mark.parametrize(
    ("obj", "generation", "words"),
    [
        (deployment(observedGeneration=4), 5, "to be observed"),
        (deployment(generation=4), 5, "to be observed"),
        (deployment(observedGeneration=4, conditions=EXCEEDED), 5, "to be observed"),
        (deployment(updatedReplicas=1, conditions=EXCEEDED), 5, "progress deadline"),
        (deployment(updatedReplicas=1, replicas=3, availableReplicas=0), 5, "1 of 2 new pods made"),
        (deployment(replicas=3, availableReplicas=0), 5, "1 old pod to end"),
        (deployment(availableReplicas=1), 5, "1 of 2 new pods available"),
        (deployment(paused=True), 5, "paused"),
        (deployment(0, replicas=0, updatedReplicas=0, availableReplicas=0), 5, "stopped: no pod is left"),
        (deployment(), 5, "rolled out: 2 of 2"),
    ],
)
def test_conditions_in_order(obj: dict[str, Any], generation: int, words: str) -> None:
    now = snapshot(obj, generation, [])
    assert words in now.words
    assert now.done == (words.startswith(("stopped", "rolled out")))
    assert now.failed == (words in ("progress deadline", "paused"))


def test_a_terminating_pod_is_not_done() -> None:
    now = snapshot(deployment(), 5, [pod("a"), pod("b"), pod("old", terminating=True)])
    assert not now.done
    assert now.terminating == 1
    assert snapshot(deployment(), 5, [pod("a"), pod("b"), pod("old", terminating=True, phase="Succeeded")]).done


def test_stopped_is_no_pod_left() -> None:
    stopped = deployment(0, replicas=0, updatedReplicas=0, availableReplicas=0)
    assert snapshot(stopped, 5, [pod(terminating=True)]).words == "1 pod left, terminating"
    assert not snapshot(stopped, 5, [pod()]).done
    unknown = snapshot(stopped, 5, None, "403")
    assert not unknown.done
    assert "not known: 403" in unknown.words
    assert snapshot({**stopped, "status": {**stopped["status"], "terminatingReplicas": 0}}, 5, None).done


def test_scaling_goes_on_while_paused() -> None:
    assert snapshot(deployment(paused=True, readyReplicas=2), 5, None, "403", scaled=True).done


def statefulset(**status: Any) -> dict[str, Any]:
    good = {
        "observedGeneration": 5,
        "replicas": 2,
        "readyReplicas": 2,
        "updatedReplicas": 2,
        "currentRevision": "r2",
        "updateRevision": "r2",
    }
    return {
        "kind": "StatefulSet",
        "metadata": {"name": "x", "generation": 5},
        "spec": {"replicas": 2, "updateStrategy": {"type": "RollingUpdate"}},
        "status": {**good, **status},
    }


def test_statefulsets_too() -> None:
    assert snapshot(statefulset(), 5, []).done
    assert "1 of 2 pods ready" in snapshot(statefulset(readyReplicas=1), 5, []).words
    assert "1 of 2 pods updated" in snapshot(statefulset(currentRevision="r1", updatedReplicas=1), 5, []).words
    on_delete = copy.deepcopy(statefulset())
    on_delete["spec"]["updateStrategy"] = {"type": "OnDelete"}
    assert snapshot(on_delete, 5, []).failed


def test_a_recorded_stuck_rollout_is_not_done() -> None:
    obj = recording("59")
    now = snapshot(obj, int(obj["metadata"]["generation"]), [])
    assert not now.done
    pods = recording("58")["items"]
    reasons = [reason_of(p) for p in pods]
    assert any("CrashLoopBackOff" in r for r in reasons)
    assert any("ImagePull" in r or "ErrImage" in r for r in reasons)


def test_reading_recorded_deployments() -> None:
    obj = recording("36")
    assert owner_of(obj, ["env SOLANA_RPC_URL"]) == "m0-cockpit at 2026-11-23T14:15:37Z"
    assert selector(obj) == "app=m0-submitter"
    assert timeout_of(obj) >= 600
    surge = surge_of(obj, 1)
    assert (surge.surge, surge.unavailable) == (1, 0)
    assert (surge_of(obj, 7).surge, surge_of(obj, 7).unavailable) == (2, 1)


def test_pods_in_the_way_are_explained_with_their_log(tmp_path: Path) -> None:
    crashing = Behaviour(
        startup_s=0.2,
        ready=False,
        crash_after_s=1.0,
        exit_code=3,
        log=("boot \x1b[31m", "cannot reach postgres://u:hunter2@db/x"),
    )
    with rig(tmp_path) as world:
        world.do(lambda: setattr(world.world, "behaviour", lambda *_: crashing))
        made = plan(world.executor(), SWITCH)
        carry(world.executors[0], made)

        def explained() -> str | None:
            now = world.executors[0].progress[0].rollout
            lines = " ".join(now.blocking) if now is not None else ""
            return lines if "log:" in lines and "exit 3" in lines else None

        words = wait_for(explained)
        assert "m0-submitter-" in words
        assert "hunter2" not in words
        assert "\x1b" not in words


def test_a_value_that_a_pod_repeats_stays_hidden(tmp_path: Path) -> None:
    """A key too short to look like one: only we know that it is secret."""
    secret = "https://rpc-c.example/a1"
    crashing = Behaviour(startup_s=0.2, ready=False, crash_after_s=1.0, log=(f"dialling {secret}",))
    with rig(tmp_path) as world:
        world.do(lambda: setattr(world.world, "behaviour", lambda *_: crashing))
        made = plan(world.executor(), step("set-env", "m0-submitter", env={"SOLANA_RPC_URL": secret}))
        carry(world.executors[0], made)

        def explained() -> str | None:
            now = world.executors[0].progress[0].rollout
            lines = " ".join(now.blocking) if now is not None else ""
            return lines if "dialling" in lines else None

        assert secret not in wait_for(explained)
        world.executors[0].stop_watching(made.id)
        ended(world.executors[0], made)
        assert secret not in world.journal_path.read_text()


def test_a_change_by_someone_else_during_the_rollout_is_said(rig: Rig) -> None:
    rig.do(lambda: setattr(rig.world, "behaviour", lambda *_: Behaviour(ready=False)))
    made = plan(rig.executor(), SWITCH)
    carry(rig.executors[0], made)
    body = {
        "spec": {
            "template": {
                "spec": {
                    "containers": [
                        {"name": "m0-submitter", "env": [{"name": "SOLANA_RPC_URL", "value": "https://other.example"}]}
                    ]
                }
            }
        }
    }
    rig.kubectl("PATCH", "m0-submitter", body, kind="strategic-merge-patch")
    final = ended(rig.executors[0], made)
    assert (final.phase, final.proof) == (Phase.FAILED, Proof.FAIL)
    assert "SOLANA_RPC_URL changed since" in final.words


def test_scaling_to_nothing_ends_when_the_last_pod_is_gone(rig: Rig) -> None:
    made = plan(rig.executor(), step("scale", "m0-submitter", replicas=0))
    carry(rig.executors[0], made)
    final = ended(rig.executors[0], made)
    assert final.rollout is not None
    assert final.rollout.words == "stopped: no pod is left"
    assert rig.do(lambda: len(rig.world.pods("m0-submitter"))) == 0


def test_an_outage_during_the_rollout_is_outlived(rig: Rig) -> None:
    runbook = rig.runbooks.runbook("1")
    made = plan(rig.executor(), runbook.mitigations[0], runbook)
    carry(rig.executors[0], made)
    rig.do(lambda: setattr(rig.world.chaos, "server_errors", 5))
    assert ended(rig.executors[0], made).proof is Proof.PASS
