"""Shows on a real server that what is proven is so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cockpit.kubeapi.errors import KubeError
from cockpit.mitigation.problem import PlanProblem
from cockpit.model.plan import Phase, Proof
from cockpit.model.runbook import Step
from tests.live.clusters import IMAGE, PINNED, TestCluster
from tests.live.cockpit import Cockpit, condition, confirmed, ended, ready, template
from tests.support.api_proxy import ApiProxy, Exchange
from tests.support.waiting import wait_for

pytestmark = pytest.mark.live
MERGE = "application/merge-patch+json"


def test_the_kill_switch_on_a_stuck_and_paused_deployment_is_judged_by_its_pods(
    real: TestCluster, cockpit: Cockpit
) -> None:
    """P2: real controllers keep ProgressDeadlineExceeded while paused; it said "rollout failed"."""
    path = real.apps("m0-submitter")
    real.deployment("m0-submitter", metadata={**template("notready"), "labels": {"app": "m0-submitter"}})
    real.send("PATCH", path, {"spec": {"progressDeadlineSeconds": 1}}, MERGE)
    real.until(path, lambda o: condition(o, "Progressing").get("reason") == "ProgressDeadlineExceeded")
    real.send("PATCH", path, {"spec": {"paused": True}}, MERGE)
    plan = cockpit.plan("scale", "m0-submitter", replicas=0)
    assert confirmed(cockpit, plan).phase is Phase.SENT
    progress = ended(cockpit, plan)
    assert progress.phase is Phase.DONE and "stopped: no pod is left" in progress.words, progress.words
    assert "scale back to 1" not in progress.words
    assert condition(real.get(path), "Progressing").get("reason") == "ProgressDeadlineExceeded", "it stands still"


def test_a_restart_that_reaches_no_pod_is_said_before_it_is_sent(real: TestCluster, cockpit: Cockpit) -> None:
    """P6: with `partition: 3` or OnDelete it said "rolled out: 0 of 3 pods", and went on."""
    real.statefulset("m0-parted", replicas=3)
    path = real.apps("m0-parted", "statefulsets")
    ready(real, "m0-parted", 3, "statefulsets")
    for update, why in (
        ({"rollingUpdate": {"partition": 3}}, "partition 3 holds 3 back"),
        ({"type": "OnDelete", "rollingUpdate": None}, "OnDelete"),
    ):
        real.send("PATCH", path, {"spec": {"updateStrategy": update}}, MERGE)
        with pytest.raises(PlanProblem, match=why):
            cockpit.plan("restart", "m0-parted")
    real.send(
        "PATCH", path, {"spec": {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}}}, MERGE
    )
    plan = cockpit.plan("restart", "m0-parted")
    assert confirmed(cockpit, plan).phase is Phase.SENT
    assert "1 of 3" in ended(cockpit, plan).words


def test_a_broken_pod_that_nothing_replaces_is_named(real: TestCluster, cockpit: Cockpit) -> None:
    """P7: OrderedReady waits for ever for the pod of the revision that was taken back."""
    real.statefulset("m0-ordered", {"name": "m0-ordered", "image": IMAGE}, replicas=2)
    path = real.apps("m0-ordered", "statefulsets")
    ready(real, "m0-ordered", 2, "statefulsets")
    broken = {"spec": {"template": {"metadata": {"annotations": {"live/state": "imagepull"}}}}}
    real.send("PATCH", path, broken, MERGE)
    pod = real.core("pods", "m0-ordered-1")
    wait_for(lambda: _waits(real, pod, "ImagePullBackOff"))
    mended = {"spec": {"template": {"metadata": {"annotations": {"live/state": "ready"}}}}}
    real.send("PATCH", path, mended, MERGE)
    plan = cockpit.plan("set-env", "m0-ordered", env={"A": "1"})
    assert confirmed(cockpit, plan).phase is Phase.SENT
    progress = ended(cockpit, plan)
    assert progress.phase is Phase.FAILED and "m0-ordered-1" in progress.words, progress.words
    assert "keeps the old revision" in progress.words and "delete" in progress.words
    stuck = real.get(pod)["metadata"]["uid"]
    step = Step(id="delete-pod", title="x", kind="delete-pod", args={"pod": "m0-ordered-1"}, holds=True)
    deleting = cockpit.planned(step)
    sent = confirmed(cockpit, deleting)
    assert sent.phase is Phase.SENT, sent.words
    last = ended(cockpit, deleting)
    assert last.proof is Proof.PASS and "a new one is ready in its place" in last.words, last.words
    assert real.get(pod)["metadata"]["uid"] != stuck
    ready(real, "m0-ordered", 2, "statefulsets")


def _waits(real: TestCluster, pod: str, reason: str) -> bool:
    try:
        statuses = real.get(pod)["status"].get("containerStatuses") or ()
    except KubeError:
        return False
    return any(((each.get("state") or {}).get("waiting") or {}).get("reason") == reason for each in statuses)


def test_pods_of_others_with_the_same_label_are_not_counted(real: TestCluster, cockpit: Cockpit) -> None:
    """P8: a canary and a Job with its label kept the kill switch at "2 pods left" for ever."""
    labels = {"app": "m0-shared"}
    real.deployment("m0-shared")
    ready(real, "m0-shared", 1)
    container = {"name": "x", "image": IMAGE}
    canary = {
        "replicas": 1,
        "selector": {"matchLabels": {**labels, "track": "canary"}},
        "template": {"metadata": {"labels": {**labels, "track": "canary"}}, "spec": {"containers": [container]}},
    }
    real.make("Deployment", {"metadata": {"name": "m0-shared-canary"}, "spec": canary})
    ready(real, "m0-shared-canary", 1)
    job = {"template": {"metadata": {"labels": labels}, "spec": {"restartPolicy": "Never", "containers": [container]}}}
    real.create("/apis/batch/v1", "jobs", {"kind": "Job", "metadata": {"name": "m0-migrate"}, "spec": job})
    wait_for(lambda: len(real.get(real.core("pods"), labelSelector="app=m0-shared")["items"]) >= 3)
    plan = cockpit.plan("scale", "m0-shared", replicas=0)
    assert confirmed(cockpit, plan).phase is Phase.SENT
    progress = ended(cockpit, plan)
    assert progress.phase is Phase.DONE and "stopped: no pod is left" in progress.words, progress.words
    assert "m0-shared-canary" in progress.words and "m0-migrate" in progress.words


def test_a_step_whose_answer_was_lost_and_that_was_put_back_is_both(
    real: TestCluster, proxy: ApiProxy, tmp_path: Path
) -> None:
    """P9: the journal had `outcome: sent` and then `judged: not applied`, and undo refused."""
    real.deployment("m0-lost")
    ready(real, "m0-lost", 1)
    lost: list[Exchange] = []

    def lose(exchange: Exchange) -> bool:
        mine = exchange.method == "PATCH" and not exchange.dry and "m0-lost" in exchange.path
        if mine and not lost:
            lost.append(exchange)
            return True
        return False

    proxy.lose = lose
    made = Cockpit(replace(real, kubeconfig=proxy.kubeconfig), tmp_path / "behind")
    try:
        plan = made.plan("scale", "m0-lost", replicas=2)
        progress = confirmed(made, plan)
        assert lost and lost[0].status == 200
        assert progress.phase in (Phase.SENT, Phase.UNCERTAIN, Phase.DONE), progress.words
        ready(real, "m0-lost", 2)
        real.send("PATCH", real.apps("m0-lost") + "/scale", {"spec": {"replicas": 1}}, MERGE, fieldManager="kubectl")
        ended(made, plan)
        kinds = [(r["kind"], r.get("outcome") or r.get("judgement")) for r in made.journal.records()]
        assert ("judged", "not applied") not in kinds, kinds
        assert not made.journal.verify()
    finally:
        made.close()


def test_undo_of_a_stuck_surge_is_judged_by_what_would_start(real: TestCluster, cockpit: Cockpit) -> None:
    """P10: it was BLOCKED ("would run 2 at once"), though it only ends the stuck pod."""
    real.deployment("m0-submitter", {"name": "m0-submitter", "image": IMAGE})
    ready(real, "m0-submitter", 1)
    path = real.apps("m0-submitter")
    notes = {"annotations": {"live/state": "imagepull"}}
    own = [{"name": "m0-submitter", "image": PINNED}]
    strategic = "application/strategic-merge-patch+json"
    real.send("PATCH", path, {"spec": {"template": {"metadata": notes, "spec": {"containers": own}}}}, strategic)
    real.until(path, lambda o: (o.get("status") or {}).get("unavailableReplicas") == 1)
    wait_for(lambda: len(real.get(real.core("pods"), labelSelector="app=m0-submitter")["items"]) == 2)
    plan = cockpit.plan("undo-rollout", "m0-submitter")
    assert not plan.blocked, [g.reason for g in plan.blocked]
    assert confirmed(cockpit, plan).phase is Phase.SENT
    progress = ended(cockpit, plan)
    assert progress.phase is Phase.DONE, progress.words
    ready(real, "m0-submitter", 1)
