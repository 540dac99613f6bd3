"""One pod is deleted, that very one, only where another takes its place, and proven by that one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cockpit.drill.kubernetes import Behaviour
from cockpit.drill.kubernetes.objects.resources import BUDGETS, PODS, REPLICASETS, STATEFULSETS, Resource
from cockpit.mitigation.problem import PlanProblem
from cockpit.mitigation.steps.budgets import fits as selects
from cockpit.model.plan import Phase, Plan, Proof, Verdict
from cockpit.model.runbook import Param, Runbook, Step
from tests.support.kube_rig import NAMESPACE, Rig, carry, ended, guard, plan, step
from tests.support.waiting import wait_for

DELETE = Step(
    id="delete-pod",
    title="Delete a pod",
    kind="delete-pod",
    args={"pod": "{pod}"},
    holds=True,
    params=(Param(name="pod", type="string", choices_from="stuck-pods"),),
)
GOOD, BAD = ("m0/db@sha256:" + digit * 64 for digit in "12")


def pods(rig: Rig, service: str) -> dict[str, dict[str, Any]]:
    def read() -> str:
        found = rig.world.store.select(PODS, NAMESPACE)
        mine = [one.obj for one in found if one.obj["metadata"]["name"].startswith(f"{service}-")]
        return json.dumps({one["metadata"]["name"]: one for one in mine})

    found: dict[str, dict[str, Any]] = json.loads(rig.do(read))
    return found


def is_ready(pod: dict[str, Any]) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions") or [])


def statefulset(rig: Rig) -> None:
    usual = rig.world.behaviour

    def behave(service: str, image: str, env: Any) -> Behaviour:
        return Behaviour(pull_error="not found") if image == BAD else usual(service, image, env)

    rig.world.behaviour = behave
    rig.do(lambda: rig.world.deploy("m0-db", image=GOOD, replicas=2, kind="StatefulSet"))
    wait_for(lambda: len(pods(rig, "m0-db")) == 2 and all(map(is_ready, pods(rig, "m0-db").values())))


def change(rig: Rig, res: Resource, name: str, what: Any) -> None:
    def work() -> None:
        stored = rig.world.store.get(res, NAMESPACE, name)
        assert stored is not None
        obj = stored.copy()
        what(obj)
        rig.world.store.replace(res, stored, obj)

    rig.do(work)


def set_image(rig: Rig, image: str) -> None:
    def what(obj: dict[str, Any]) -> None:
        obj["spec"]["template"]["spec"]["containers"][0]["image"] = image
        obj["metadata"]["generation"] += 1

    change(rig, STATEFULSETS, "m0-db", what)


def deletes(rig: Rig) -> list[dict[str, Any]]:
    return [s.body for s in rig.seen if s.method == "DELETE" and "/pods/" in s.path and "dryRun" not in s.params]


def test_asking_for_a_dry_run_deletes_nothing(rig: Rig) -> None:
    """S5: the real server reads the options of a DELETE in its body alone, and not its query."""
    statefulset(rig)
    planned(rig, "m0-db-1")
    (asked,) = [s for s in rig.seen if s.method == "DELETE"]
    assert asked.body["dryRun"] == ["All"] and asked.params["dryRun"] == "All"
    assert "deletionTimestamp" not in pods(rig, "m0-db")["m0-db-1"]["metadata"]


def planned(rig: Rig, pod: str) -> Plan:
    return plan(rig.executor(), DELETE, pod=pod)


def test_the_pod_that_keeps_the_old_revision_is_deleted_and_replaced(rig: Rig) -> None:
    """P7: OrderedReady waits for it for ever; the rollout names the step that does it."""
    statefulset(rig)
    old = pods(rig, "m0-db")["m0-db-1"]["metadata"]["uid"]
    set_image(rig, BAD)
    wait_for(lambda: pods(rig, "m0-db")["m0-db-1"]["metadata"]["uid"] != old)
    set_image(rig, GOOD)
    stuck = pods(rig, "m0-db")["m0-db-1"]["metadata"]["uid"]
    made = planned(rig, "m0-db-1")
    assert (made.target.kind, made.target.name, made.target.uid) == ("Pod", "m0-db-1", stuck)
    assert made.kubectl == "kubectl --context drill -n m0-prod delete pod m0-db-1"
    assert [(c.field, c.before, c.after) for c in made.changes] == [("pod", "m0-db-1", None)]
    assert "m0-db-1 ends: 1 of 2 pods of m0-db" in made.blast and made.inverse is None
    assert guard(made, "owner").reason == "StatefulSet m0-db makes another"
    assert guard(made, "budget").verdict is Verdict.PASS and not made.blocked
    carry(rig.executors[0], made)
    final = ended(rig.executors[0], made)
    assert (final.phase, final.proof) == (Phase.DONE, Proof.PASS), final.words
    assert final.words.startswith("m0-db-1 is gone; a new one is ready in its place")
    now = pods(rig, "m0-db")["m0-db-1"]
    assert now["metadata"]["uid"] != stuck and is_ready(now)
    assert now["spec"]["containers"][0]["image"] == GOOD
    bound = [one["preconditions"] for one in deletes(rig)]
    assert all(one["uid"] == stuck and one["resourceVersion"] for one in bound)


def test_a_pod_of_a_deployment_is_proven_by_a_ready_one_that_was_not_there(rig: Rig) -> None:
    """P7: its other pods are ready all the time, and prove nothing."""
    before = pods(rig, "m0-ingestor")
    name = min(before)
    made = planned(rig, name)
    assert made.dangerous
    carry(rig.executors[0], made)
    final = ended(rig.executors[0], made)
    assert (final.phase, final.proof) == (Phase.DONE, Proof.PASS), final.words
    now = pods(rig, "m0-ingestor")
    assert name not in now and len(now) == 4
    (new,) = set(now) - set(before)
    assert f"{new} is ready in its place" in final.words


def test_one_that_never_gets_ready_proves_nothing(rig: Rig) -> None:
    usual = rig.world.behaviour
    broken: list[bool] = []
    rig.world.behaviour = lambda s, i, e: Behaviour(pull_error="gone") if broken and s == "m0-quant" else usual(s, i, e)
    made = planned(rig, min(pods(rig, "m0-quant")))
    broken.append(True)
    carry(rig.executors[0], made)
    wait_for(lambda: "another is made: ErrImagePull" in rig.executors[0].progress[0].words)
    assert rig.executors[0].progress[0].proof is Proof.PENDING


def _orphan(obj: dict[str, Any]) -> None:
    del obj["metadata"]["ownerReferences"]


def _of(kind: str, uid: str = "x") -> Any:
    def what(obj: dict[str, Any]) -> None:
        obj["metadata"]["ownerReferences"][0].update({"kind": kind, "uid": uid})

    return what


@pytest.mark.parametrize(
    ("what", "why"),
    [
        (_orphan, "has no controller: nothing would take its place"),
        (_of("DaemonSet"), "is of a DaemonSet: what would take its place is not known here"),
        (_of("Job"), "is of a Job"),
        (_of("StatefulSet", "another"), "is gone: nothing would take its place"),
        (lambda obj: obj["metadata"]["ownerReferences"][0].update({"name": "m0-gone"}), "is gone"),
    ],
)
def test_what_nothing_would_replace_is_not_deleted(rig: Rig, what: Any, why: str) -> None:
    """P7: the controller that owns it must be there."""
    statefulset(rig)
    change(rig, PODS, "m0-db-1", what)
    with pytest.raises(PlanProblem, match=why):
        planned(rig, "m0-db-1")


def test_a_controller_that_is_being_deleted_replaces_nothing(rig: Rig) -> None:
    """P7: "makes another" was said of one that had let go."""
    statefulset(rig)
    made = planned(rig, "m0-db-1")
    change(rig, STATEFULSETS, "m0-db", lambda obj: obj["metadata"].update(deletionTimestamp="2026-11-30T12:00:00Z"))
    progress = carry(rig.executors[0], made)
    assert progress.phase is Phase.STALE and "being deleted" in progress.words, progress.words
    assert not deletes(rig)


@pytest.mark.parametrize("name", ["", "-n", "../pods", "a b", "A", "x" * 300, "m0-nothing"])
def test_a_name_that_is_none_is_refused(rig: Rig, name: str) -> None:
    with pytest.raises(PlanProblem):
        planned(rig, name)
    assert not any("/pods/" in s.path and s.method == "DELETE" for s in rig.seen)


def test_what_a_scaled_down_controller_no_longer_wants_goes_by_itself(rig: Rig) -> None:
    name = min(pods(rig, "m0-quant"))
    owner = pods(rig, "m0-quant")[name]["metadata"]["ownerReferences"][0]["name"]
    rig.world.chaos.before = lambda method, path: (
        change_now(rig, owner) if method == "GET" and path.endswith(f"/replicasets/{owner}") else None
    )
    with pytest.raises(PlanProblem, match="is scaled to 0: nothing would take the pod's place"):
        planned(rig, name)


def change_now(rig: Rig, owner: str) -> None:
    stored = rig.world.store.get(REPLICASETS, NAMESPACE, owner)
    assert stored is not None
    obj = stored.copy()
    obj["spec"]["replicas"] = 0
    rig.world.store.replace(REPLICASETS, stored, obj)


def test_one_leader_is_never_two(rig: Rig) -> None:
    """The other would start before this one has ended."""
    made = planned(rig, min(pods(rig, "m0-submitter")))
    assert guard(made, "singleton").verdict is Verdict.BLOCK and made.blocked


def _not_ready(obj: dict[str, Any]) -> None:
    for condition in obj["status"]["conditions"]:
        condition["status"] = "False" if condition["type"] == "Ready" else condition["status"]


@pytest.mark.parametrize("healed", [True, False])
def test_a_pod_that_got_ready_since_is_not_deleted_one_that_crashed_again_is(rig: Rig, healed: bool) -> None:
    statefulset(rig)

    def hook(method: str, path: str) -> None:
        if method == "GET" and path.endswith("/pods/m0-db-1"):
            stored = rig.world.store.get(PODS, NAMESPACE, "m0-db-1")
            assert stored is not None
            obj = stored.copy()
            _not_ready(obj)
            rig.world.store.replace(PODS, stored, obj)

    executor = rig.executor()
    if healed:
        rig.do(lambda: setattr(rig.world.chaos, "before", hook))
    made = plan(executor, DELETE, pod="m0-db-1")
    rig.do(lambda: setattr(rig.world.chaos, "before", None if healed else hook))
    wait_for(lambda: not healed or is_ready(pods(rig, "m0-db")["m0-db-1"]))
    last = carry(executor, made)
    assert (last.phase is Phase.STALE) is healed, last.words
    assert ("it is ready now" in last.words) is healed


def _remove(rig: Rig, name: str) -> None:
    stored = rig.world.store.get(PODS, NAMESPACE, name)
    assert stored is not None
    rig.world.store.remove(PODS, stored)


def test_what_changed_since_it_was_shown_stops_it_and_what_does_not_matter_does_not(rig: Rig) -> None:
    statefulset(rig)
    made = planned(rig, "m0-db-1")
    change(rig, PODS, "m0-db-1", lambda obj: obj["metadata"].setdefault("annotations", {}).update(seen="1"))
    assert carry(rig.executors[0], made).phase is not Phase.STALE
    ended(rig.executors[0], made)
    made = planned(rig, "m0-db-0")
    other = pods(rig, "m0-db")["m0-db-0"]["metadata"]["uid"]
    rig.do(lambda: _remove(rig, "m0-db-0"))
    wait_for(lambda: pods(rig, "m0-db").get("m0-db-0", {}).get("metadata", {}).get("uid", other) != other)
    last = carry(rig.executors[-1], made)
    assert last.phase is Phase.STALE and "another pod bears its name now" in last.words
    assert len(deletes(rig)) == 1


def test_a_pod_that_changes_while_it_is_sent_is_read_again(rig: Rig) -> None:
    statefulset(rig)
    made = planned(rig, "m0-db-1")
    left = [1]

    def hook(method: str, path: str) -> None:
        if method == "DELETE" and left[0]:
            left[0] -= 1
            stored = rig.world.store.get(PODS, NAMESPACE, "m0-db-1")
            assert stored is not None
            obj = stored.copy()
            obj["metadata"].setdefault("annotations", {})["seen"] = "1"
            rig.world.store.replace(PODS, stored, obj)

    rig.do(lambda: setattr(rig.world.chaos, "before", hook))
    carry(rig.executors[0], made)
    assert ended(rig.executors[0], made).proof is Proof.PASS
    assert len({one["preconditions"]["resourceVersion"] for one in deletes(rig)}) == 2


@pytest.mark.parametrize("lost", [True, False])
def test_a_lost_answer_is_read_never_sent_twice(rig: Rig, lost: bool) -> None:
    statefulset(rig)
    made = planned(rig, "m0-db-1")
    chaos = rig.world.chaos

    def hook(method: str, path: str) -> None:
        if method == "DELETE":
            setattr(chaos, "lost_answers" if lost else "cut_writes", 1)

    rig.do(lambda: setattr(chaos, "before", hook))
    progress = carry(rig.executors[0], made)
    assert (progress.phase is Phase.FAILED) is not lost, progress.words
    assert len(deletes(rig)) == 1


@pytest.mark.parametrize(("left", "ready"), [(0, True), (1, True), (0, False)])
def test_a_disruption_budget_is_kept(rig: Rig, left: int, ready: bool) -> None:
    """P7: as an eviction would; a pod that is not ready takes nothing of it."""
    statefulset(rig)
    labels = pods(rig, "m0-db")["m0-db-1"]["metadata"]["labels"]
    budget = {
        "metadata": {"name": "m0-db", "namespace": NAMESPACE},
        "spec": {"selector": {"matchLabels": {"app": labels["app"]}}},
        "status": {"disruptionsAllowed": left},
    }
    rig.do(lambda: rig.world.store.create(BUDGETS, budget))
    if not ready:
        usual = rig.world.behaviour
        rig.world.behaviour = lambda s, i, e: Behaviour(ready=False) if s == "m0-db" else usual(s, i, e)
        wait_for(lambda: not is_ready(pods(rig, "m0-db")["m0-db-1"]))
    made = planned(rig, "m0-db-1")
    verdict = Verdict.BLOCK if ready and not left else Verdict.PASS
    assert guard(made, "budget").verdict is verdict, guard(made, "budget")
    if verdict is Verdict.BLOCK:
        assert guard(made, "budget").reason == "the disruption budget m0-db has none left"


def test_a_budget_that_was_used_up_since_stops_it(rig: Rig) -> None:
    statefulset(rig)
    made = planned(rig, "m0-db-1")
    none_left = {
        "metadata": {"name": "m0-db", "namespace": NAMESPACE},
        "spec": {"selector": {}},
        "status": {"disruptionsAllowed": 0},
    }
    rig.do(lambda: rig.world.store.create(BUDGETS, none_left))
    last = carry(rig.executors[0], made)
    assert last.phase is Phase.STALE and "has none left" in last.words
    assert not deletes(rig)


def test_budgets_that_cannot_be_read_any_more_stop_it(rig: Rig) -> None:
    """S2: "no disruption budget is about it" was shown; at the send nobody could tell."""
    statefulset(rig)
    made = planned(rig, "m0-db-1")
    rig.do(lambda: rig.world.chaos.forbidden.add("list poddisruptionbudgets"))
    last = carry(rig.executors[0], made)
    assert last.phase is Phase.STALE and "cannot be read" in last.words
    assert not deletes(rig)
    assert guard(planned(rig, "m0-db-1"), "budget").verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("selector", "fits"),
    [
        (None, False),
        ({}, True),
        ({"matchLabels": {"app": "x"}}, True),
        ({"matchLabels": {"app": "y"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["x", "y"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["x"]}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "Newer"}]}, True),
    ],
)
def test_which_budgets_are_about_a_pod(selector: Any, fits: bool) -> None:
    assert selects(selector, {"app": "x"}) is fits


def test_a_rollout_that_waits_for_ever_names_the_step(rig: Rig) -> None:
    """P7: what must be done is offered, not only said."""
    statefulset(rig)
    rig.runbooks = _with_delete(rig)
    old = pods(rig, "m0-db")["m0-db-1"]["metadata"]["uid"]
    set_image(rig, BAD)
    wait_for(lambda: pods(rig, "m0-db")["m0-db-1"]["metadata"]["uid"] != old)
    wait_for(lambda: "ImagePull" in json.dumps(pods(rig, "m0-db")["m0-db-1"]["status"]))
    made = plan(rig.executor(), step("set-env", "m0-db", env={"A": "1"}))
    carry(rig.executors[0], made)
    final = ended(rig.executors[0], made)
    assert "m0-db-1 keeps the old revision" in final.words and "(step 11 delete-pod does it)" in final.words


def _with_delete(rig: Rig) -> Any:
    from msgspec.structs import replace

    own = Runbook(id="rollback-release", number=11, title="x", mitigations=(DELETE,))
    return replace(rig.runbooks, runbooks=(*rig.runbooks.runbooks, own))
