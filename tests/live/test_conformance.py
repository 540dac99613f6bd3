"""Sends our own requests to an API server: the drill's always, a real one in `make test-live`.

What is asserted holds for an unmodified kube-apiserver; where it matters whether controllers or
kubelets run, the test looks at what the cluster has.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from cockpit.clock import SystemClock
from cockpit.journal.operator import Operator
from cockpit.kubeapi.client import KubeClient
from cockpit.kubeapi.errors import Conflict, Invalid, NotFound, Unauthorised
from cockpit.mitigation.cluster import lease
from cockpit.mitigation.executor import PlanProblem
from cockpit.model.plan import Confirmation, DryRunState, Phase, Plan, Proof, Verdict
from cockpit.model.reading import Reading, SourceState
from cockpit.sources.kubernetes import topic
from cockpit.sources.kubernetes.log_lines import LogLine
from cockpit.sources.kubernetes.logs import LogRequest, read_logs
from cockpit.sources.kubernetes.source import KubernetesSource
from tests.live.clusters import IMAGE, PINNED, TestCluster, drill, until
from tests.live.cockpit import QUICK, Cockpit
from tests.support.readings import data_of, fault_in, kept, seen_at
from tests.support.waiting import HANG_S

MERGE, STRATEGIC, JSON_PATCH = (f"application/{kind}-patch+json" for kind in ("merge", "strategic-merge", "json"))
OPERATOR = Operator(
    name="ops1", os_user="ops1", ssh_user="ops1", ssh_from="10.0.0.9", kube_user="conformance", host="bastion"
)


@pytest.fixture(
    scope="module",
    params=[pytest.param("drill", marks=pytest.mark.real), pytest.param("live", marks=pytest.mark.live)],
)
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCluster]:
    if request.param == "drill":
        with drill(tmp_path_factory.mktemp("drill")) as made:
            yield made
    else:
        yield request.getfixturevalue("real")


# the client alone


async def test_get_404_and_server_time(cluster: TestCluster) -> None:
    async with KubeClient(cluster.access()) as client:
        found = await client.get(f"/api/v1/namespaces/{cluster.namespace}")
        assert found["kind"] == "Namespace" and client.server_time() is not None
        with pytest.raises(NotFound) as missing:
            await client.get(cluster.apps("no-such-thing"))
        assert "no-such-thing" in missing.value.reason and missing.value.body["reason"] == "NotFound"


async def test_a_bad_token_is_unauthorised_for_reads_and_writes(cluster: TestCluster, tmp_path: Path) -> None:
    async with KubeClient(cluster.with_token("not-a-token", tmp_path)) as client:
        with pytest.raises(Unauthorised) as refused:
            await client.get(cluster.core("pods"))
        assert refused.value.status == 401 and refused.value.remedy
        with pytest.raises(Unauthorised):
            await client.send("PATCH", cluster.apps("x") + "/scale", body='{"spec":{"replicas":1}}', content_type=MERGE)


def test_a_stale_version_on_scale_is_a_conflict_and_changes_nothing(cluster: TestCluster) -> None:
    cluster.deployment("stale")
    path = cluster.apps("stale")
    old = cluster.get(path)["metadata"]["resourceVersion"]
    cluster.send("PATCH", path, {"metadata": {"annotations": {"touched": "yes"}}}, MERGE)
    with pytest.raises(Conflict):
        cluster.send("PATCH", f"{path}/scale", {"metadata": {"resourceVersion": old}, "spec": {"replicas": 3}}, MERGE)
    assert cluster.get(path)["spec"]["replicas"] == 1


def test_what_cannot_be_is_refused_with_its_status(cluster: TestCluster) -> None:
    cluster.deployment("refused")
    path = cluster.apps("refused")
    for sub, body, kind, status in (
        ("/scale", {"spec": {"replicas": -1}}, MERGE, 422),
        ("", {"spec": {"template": {"spec": {"containers": [{"name": "refused", "env": []}]}}}}, MERGE, 422),
        ("", [{"op": "test", "path": "/spec/replicas", "value": 99}], JSON_PATCH, 422),
        ("", {"spec": {"replicas": 2}}, "application/json", 415),
        ("/scale", {"spec": {"replicas": 2}}, "text/plain", 415),
    ):
        with pytest.raises(Invalid) as refused:
            cluster.send("PATCH", path + sub, body, kind)
        assert refused.value.status == status, (body, refused.value.reason)
    # a patch list in another order than $setElementOrder names: why set-env sorts what it sends
    variables: list[Any] = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    container = {"name": "refused", "$setElementOrder/env": [{"name": "B"}, {"name": "A"}], "env": variables}
    with pytest.raises(Exception, match="order in patch list"):
        cluster.send("PATCH", path, {"spec": {"template": {"spec": {"containers": [container]}}}}, STRATEGIC)


def test_a_dry_run_answers_as_if_and_changes_nothing(cluster: TestCluster) -> None:
    cluster.deployment("rehearsed")
    path = cluster.apps("rehearsed")
    answer = cluster.send("PATCH", f"{path}/scale", {"spec": {"replicas": 5}}, MERGE, dryRun="All").json()
    assert answer["kind"] == "Scale" and answer["spec"]["replicas"] == 5
    assert cluster.get(path)["spec"]["replicas"] == 1
    nothing = cluster.send("PATCH", f"{path}/scale", {"spec": {"replicas": 0}}, MERGE, dryRun="All").json()
    assert not nothing["spec"].get("replicas")  # absent means 0


async def test_a_continue_token_that_is_none_is_refused(cluster: TestCluster) -> None:
    async with KubeClient(cluster.access()) as client:
        with pytest.raises(Invalid) as bad:
            await client.get(cluster.core("configmaps"), {"limit": "1", "continue": "nonsense"})
        assert bad.value.status == 400


async def test_bookmarks_come_when_asked_for(cluster: TestCluster) -> None:
    """Something that the watch does not show must happen.

    A real server marks only versions newer than where the watch began.
    """
    async with KubeClient(cluster.access()) as client:
        listed = await client.get(cluster.core("configmaps"))
        params = {
            "watch": "1",
            "resourceVersion": listed["metadata"]["resourceVersion"],
            "allowWatchBookmarks": "true",
            "timeoutSeconds": "5",
            "fieldSelector": "metadata.name=no-such-thing",
        }
        async with client.stream(cluster.core("configmaps"), params, read_timeout_s=20) as lines:
            await asyncio.to_thread(cluster.make, "ConfigMap", {"metadata": {"name": "elsewhere"}})
            events = [json.loads(line) async for line in lines if line.strip()]
    assert {e["type"] for e in events} == {"BOOKMARK"}
    assert int(events[-1]["object"]["metadata"]["resourceVersion"]) > int(listed["metadata"]["resourceVersion"])


# the source


async def follow(cluster: TestCluster, *steps: tuple[str, Callable[[Reading[Any]], Any], Callable[[], Any]]) -> None:
    """Wait for each step's condition on its topic (by plural), then act on it, in a thread."""
    todo = list(steps)
    source = KubernetesSource(cluster.access, [cluster.namespace], lambda: {"c3", "late"}, SystemClock(), timings=QUICK)
    async with asyncio.timeout(HANG_S), aclosing(source.readings()) as readings:
        async for reading in readings:
            if reading.topic != f"kubernetes/{todo[0][0]}/{cluster.namespace}" or not todo[0][1](reading):
                continue
            await asyncio.to_thread(todo.pop(0)[2])
            if not todo:
                return


async def test_the_source_lists_in_pages_watches_and_outlives_its_watches(
    cluster: TestCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topic, "_PAGE", 2)

    def fill() -> None:
        for number in range(5):
            cluster.make("ConfigMap", {"metadata": {"name": f"c{number}"}, "data": {"M0": str(number)}})

    await asyncio.to_thread(fill)
    await asyncio.to_thread(
        cluster.deployment, "watched", {"name": "watched", "image": IMAGE, "env": [{"name": "A", "value": "1"}]}
    )
    key, name = (cluster.namespace, "late"), (cluster.namespace, "watched")
    began: list[float] = []

    def later(reading: Reading[Any]) -> bool:
        """Longer than one watch lasts: it was resumed, and the age stays honest in between."""
        if not began:
            began.append(seen_at(reading) or 0.0)
        assert fault_in(reading) is None, fault_in(reading)
        return (seen_at(reading) or 0.0) - began[0] > QUICK.watch_s

    def make_late() -> None:
        cluster.make("ConfigMap", {"metadata": {"name": "late"}, "data": {"M0": "x"}})

    def change_late() -> None:
        cluster.send("PATCH", cluster.core("configmaps", "late"), {"data": {"M0": "y"}}, MERGE)

    def delete_late() -> None:
        cluster.send("DELETE", cluster.core("configmaps", "late"))

    def scale() -> None:
        cluster.send("PATCH", cluster.apps("watched") + "/scale", {"spec": {"replicas": 2}}, MERGE)

    def autoscalers(reading: Reading[Any]) -> bool:
        """Listed, or said to be absent where the server is too old for autoscaling/v2."""
        if cluster.autoscaling:
            return fault_in(reading) is None and kept(reading) is not None
        return fault_in(reading) is not None and fault_in(reading).state is SourceState.OFF

    await follow(
        cluster,
        ("configmaps", lambda r: kept(r) and kept(r)[(cluster.namespace, "c3")].data["M0"] == "3", make_late),
        ("configmaps", lambda r: key in data_of(r), change_late),
        ("configmaps", lambda r: data_of(r)[key].data["M0"] == "y", lambda: None),
        ("configmaps", later, delete_late),
        ("configmaps", lambda r: key not in data_of(r) and fault_in(r) is None, lambda: None),
        (
            "deployments",
            lambda r: kept(r) and name in kept(r) and kept(r)[name].env("A").value == "1",
            scale,
        ),
        ("deployments", lambda r: data_of(r)[name].desired == 2, lambda: None),
        ("events", lambda r: fault_in(r) is None and kept(r) is not None, lambda: None),
        ("statefulsets", lambda r: fault_in(r) is None and kept(r) is not None, lambda: None),
        ("horizontalpodautoscalers", autoscalers, lambda: None),
    )
    if cluster.controllers:
        await follow(
            cluster,
            (
                "replicasets",
                lambda r: any(v.owner_name == "watched" for v in (kept(r) or {}).values()),
                lambda: None,
            ),
            ("pods", lambda r: sum(p.service == "watched" for p in (kept(r) or {}).values()) == 2, lambda: None),
        )


async def test_an_unknown_namespace_is_said(cluster: TestCluster) -> None:
    source = KubernetesSource(cluster.access, ["no-such-namespace"], tuple, SystemClock(), timings=QUICK)
    async with asyncio.timeout(HANG_S), aclosing(source.readings()) as readings:
        async for reading in readings:
            if fault_in(reading) is not None and fault_in(reading).state is not SourceState.OFF:
                assert "no-such-namespace" in fault_in(reading).reason and "does not exist" in fault_in(reading).reason
                return


async def test_logs_of_a_running_pod(cluster: TestCluster) -> None:
    if not cluster.kubelet:
        pytest.skip("no kubelet: no pod runs")
    await asyncio.to_thread(cluster.deployment, "talker")
    async with KubeClient(cluster.access()) as client:
        await until(client, cluster.apps("talker"), lambda o: o.get("status", {}).get("readyReplicas"))
        pods = await client.get(cluster.core("pods"), {"labelSelector": "app=talker"})
        request = LogRequest(
            cluster.namespace, ((pods["items"][0]["metadata"]["name"], "talker"),), follow=False, tail=10
        )
        async with asyncio.timeout(HANG_S), aclosing(read_logs(client, request)) as lines:
            got = [line async for line in lines]
    faults = [line for line in got if not isinstance(line, LogLine)]
    if cluster.name == "live" and faults:
        pytest.skip(f"its kubelet gives no logs: {faults[0]}")
    assert not faults  # on a real server pause says nothing: no line, and no fault either
    if cluster.name == "drill":
        assert [line.text for line in got if isinstance(line, LogLine)] == ["talker starts", "ready"]


# the guarded way


@pytest.fixture
def cockpit(cluster: TestCluster, tmp_path: Path) -> Iterator[Cockpit]:
    made = Cockpit(cluster, tmp_path)
    yield made
    made.close()


def containers(obj: Any) -> dict[str, Any]:
    return {c["name"]: c for c in obj["spec"]["template"]["spec"]["containers"]}


def pairs(container: Any) -> list[tuple[str, Any]]:
    return [(e["name"], e.get("valueFrom") or e.get("value", "")) for e in container.get("env") or []]


def guard(plan: Plan, name: str) -> Any:
    return next(g for g in plan.guards if g.guard == name)


def test_scale_is_planned_rehearsed_sent_and_undone(cluster: TestCluster, cockpit: Cockpit) -> None:
    cluster.deployment("scaled")
    plan = cockpit.plan("scale", "scaled", replicas=2)
    assert plan.dry_run.state is DryRunState.OK and plan.dry_run.changed == ("spec.replicas",), plan.dry_run
    assert guard(plan, "permission").verdict is Verdict.PASS
    assert guard(plan, "autoscaler").verdict is (Verdict.PASS if cluster.autoscaling else Verdict.UNKNOWN)
    assert guard(plan, "lease").verdict is Verdict.PASS
    progress = cockpit.carry(plan)
    assert cluster.get(cluster.apps("scaled"))["spec"]["replicas"] == 2
    undo = cockpit.undo(progress.journal)
    assert [(c.before, c.after) for c in undo.changes] == [("2", "1")]
    done = cockpit.carry(undo)
    assert cluster.get(cluster.apps("scaled"))["spec"]["replicas"] == 1
    if cluster.kubelet:
        assert done.proof is Proof.NONE  # the fields are back: nothing else was to be proven
    assert not cockpit.journal.verify()


def test_scale_to_nothing_ends_only_when_no_pod_is_left(cluster: TestCluster, cockpit: Cockpit) -> None:
    cluster.deployment("emptied", replicas=2)
    if cluster.kubelet:
        cluster.until(cluster.apps("emptied"), lambda o: o.get("status", {}).get("readyReplicas") == 2)
    plan = cockpit.plan("scale", "emptied", replicas=0)
    done = cockpit.carry(plan)
    if cluster.kubelet:
        assert "stopped: no pod is left" in done.words
        assert not cluster.get(cluster.core("pods"), labelSelector="app=emptied")["items"]


def test_set_env_keeps_the_order_adds_at_the_end_and_replaces_a_reference(
    cluster: TestCluster, cockpit: Cockpit
) -> None:
    field = {"fieldRef": {"fieldPath": "metadata.name"}}
    cluster.deployment(
        "tuned",
        {"name": "sidecar", "image": IMAGE, "env": [{"name": "B", "value": "not ours"}]},
        {
            "name": "tuned",
            "image": IMAGE,
            "env": [
                {"name": "A", "value": "1"},
                {"name": "REF", "valueFrom": field},
                {"name": "B", "value": "2"},
                {"name": "E"},
            ],
        },
    )
    before = cluster.get(cluster.apps("tuned"))
    # the step's own order is another than the container's: the server wants the container's
    plan = cockpit.plan("set-env", "tuned", env={"NEW": "n", "E": "x", "REF": "literal", "A": "one", "LAST": ""})
    assert plan.dry_run.state is DryRunState.OK and not plan.dry_run.reason, plan.dry_run
    own = [p for p in plan.dry_run.changed if not p.startswith("metadata.annotations")]
    assert own and all(p.startswith("spec.template.spec.containers[tuned].env") for p in own), plan.dry_run.changed
    progress = cockpit.carry(plan)
    after = cluster.get(cluster.apps("tuned"))
    assert pairs(containers(after)["tuned"]) == [
        ("A", "one"),
        ("REF", "literal"),
        ("B", "2"),
        ("E", "x"),
        ("NEW", "n"),
        ("LAST", ""),
    ]
    assert [c["name"] for c in after["spec"]["template"]["spec"]["containers"]] == ["sidecar", "tuned"]
    assert containers(after)["sidecar"] == containers(before)["sidecar"]
    assert "m0-cockpit" in after["metadata"]["annotations"]["kubernetes.io/change-cause"]
    managers = {m["manager"] for m in after["metadata"].get("managedFields") or ()}  # the drill keeps none here
    assert not managers or "m0-cockpit" in managers

    cockpit.carry(cockpit.undo(progress.journal))
    back = cluster.get(cluster.apps("tuned"))
    assert pairs(containers(back)["tuned"]) == pairs(containers(before)["tuned"])
    assert back["spec"]["template"] == before["spec"]["template"]


def test_set_env_where_there_was_none_and_the_service_has_another_container_name(
    cluster: TestCluster, cockpit: Cockpit
) -> None:
    cluster.deployment("bare", {"name": "app", "image": IMAGE})
    progress = cockpit.carry(cockpit.plan("set-env", "bare", env={"B": "2", "A": "1"}))
    assert pairs(containers(cluster.get(cluster.apps("bare")))["app"]) == [("B", "2"), ("A", "1")]
    assert cockpit.plan("set-env", "bare", env={"A": "1", "B": "2"}).nothing_to_do
    cockpit.carry(cockpit.undo(progress.journal))
    assert not pairs(containers(cluster.get(cluster.apps("bare")))["app"])


def test_the_template_may_say_which_container_is_the_services_own(cluster: TestCluster, cockpit: Cockpit) -> None:
    two = ({"name": "proxy", "image": IMAGE}, {"name": "main", "image": IMAGE})
    cluster.deployment("pair", *two)
    with pytest.raises(PlanProblem, match="no container of its own"):
        cockpit.plan("set-env", "pair", env={"A": "1"})
    cluster.deployment("pair", *two, metadata={"annotations": {"kubectl.kubernetes.io/default-container": "main"}})
    assert cockpit.plan("set-env", "pair", env={"A": "1"}).target.container == "main"


def test_set_image_by_digest_and_back(cluster: TestCluster, cockpit: Cockpit) -> None:
    cluster.deployment(
        "imaged",
        {"name": "sidecar", "image": IMAGE},
        {"name": "imaged", "image": IMAGE},
        initContainers=[{"name": "init", "image": IMAGE}] if not cluster.kubelet else [],
    )
    before = cluster.get(cluster.apps("imaged"))
    assert guard(cockpit.plan("set-image", "imaged", image="nginx:latest"), "digest").verdict is Verdict.BLOCK
    plan = cockpit.plan("set-image", "imaged", image=PINNED)
    own = [p for p in plan.dry_run.changed if not p.startswith("metadata.annotations")]
    assert own == ["spec.template.spec.containers[imaged].image"]
    progress = cockpit.carry(plan)
    after = cluster.get(cluster.apps("imaged"))
    assert containers(after)["imaged"]["image"] == PINNED and containers(after)["sidecar"]["image"] == IMAGE
    cockpit.carry(cockpit.undo(progress.journal))
    assert cluster.get(cluster.apps("imaged"))["spec"]["template"] == before["spec"]["template"]


@pytest.mark.parametrize("kind", ["deployment", "statefulset"])
def test_restart_and_scale_reach_both_kinds(cluster: TestCluster, cockpit: Cockpit, kind: str) -> None:
    name = f"turned-{kind}"
    getattr(cluster, kind)(name)
    path = cluster.apps(name, f"{kind}s")
    before = cluster.get(path)
    restart = cockpit.plan("restart", name)
    assert restart.inverse is None and restart.dry_run.state is DryRunState.OK and not restart.dry_run.reason
    cockpit.carry(restart)
    after = cluster.get(path)
    assert after["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"]
    assert after["metadata"]["generation"] > before["metadata"]["generation"]
    progress = cockpit.carry(cockpit.plan("set-env", name, env={"A": "1"}))
    assert pairs(containers(cluster.get(path))[name]) == [("A", "1")]
    cockpit.carry(cockpit.undo(progress.journal))
    cockpit.carry(cockpit.plan("scale", name, replicas=2))
    assert cluster.get(path)["spec"]["replicas"] == 2


def test_what_someone_else_changed_meanwhile_is_not_overwritten(cluster: TestCluster, cockpit: Cockpit) -> None:
    cluster.deployment("contested", {"name": "contested", "image": IMAGE, "env": [{"name": "A", "value": "1"}]})
    plan = cockpit.plan("set-env", "contested", env={"A": "2"})
    theirs = {
        "spec": {"template": {"spec": {"containers": [{"name": "contested", "env": [{"name": "A", "value": "9"}]}]}}}
    }
    cluster.send("PATCH", cluster.apps("contested"), theirs, STRATEGIC)
    confirmation = Confirmation(plan.id, plan.digest, plan.typed, "ops1", SystemClock().mono())
    progress = cockpit.executor.carry_out(plan, confirmation).result(30)
    assert progress.phase is Phase.STALE and "A changed" in progress.words
    assert pairs(containers(cluster.get(cluster.apps("contested")))["contested"]) == [("A", "9")]


def test_the_lease_is_held_while_acting_and_an_event_tells_of_it(cluster: TestCluster, cockpit: Cockpit) -> None:
    made = cluster.deployment("leased", replicas=1)
    # new pods count as available only after a while, so the mitigation is still being watched
    # when the lease is read
    cluster.send("PATCH", cluster.apps("leased"), {"spec": {"minReadySeconds": 60}}, MERGE)
    plan = cockpit.plan("scale", "leased", replicas=3)
    sent = cockpit.send(plan)
    held = cluster.get(lease.path(cluster.namespace, lease.NAME))
    assert held["spec"]["holderIdentity"].startswith("ops1"), (sent.words, cockpit.executor.progress[0].words)
    assert held["spec"]["leaseDurationSeconds"] == lease.DURATION_S
    assert "leased" in held["metadata"]["annotations"][lease.DOING]
    selector = f"involvedObject.uid={made['metadata']['uid']},reason=Mitigation"

    def events() -> Any:
        return cluster.get(cluster.core("events"), fieldSelector=selector)["items"]

    (event,) = cockpit.wait(events, 20)
    assert "1 -> 3" in event["message"] and event["source"]["component"] == "m0-cockpit"
    newer = cluster.get(f"/apis/events.k8s.io/v1/namespaces/{cluster.namespace}/events")["items"]
    assert any(e["regarding"].get("uid") == made["metadata"]["uid"] for e in newer)
    cockpit.executor.stop_watching(plan.id)

    def released() -> bool:
        return not cluster.get(lease.path(cluster.namespace, lease.NAME))["spec"].get("holderIdentity")

    cockpit.wait(released, 20)
    (progress,) = [p for p in cockpit.executor.progress if p.plan.id == plan.id]
    assert "no Event" not in progress.words and "lease" not in progress.words


async def test_a_lease_has_one_winner(cluster: TestCluster) -> None:
    async with KubeClient(cluster.access()) as client:
        held = await lease.read(client, cluster.namespace, lambda: client.server_time() or 0.0)
        ours, theirs = (
            lease.Lease(client, cluster.namespace, who, lambda: client.server_time() or 0.0) for who in ("a", "b")
        )
        assert not held.problem and not await ours.acquire("ours")
        assert "someone else is acting: a (ours)" in await theirs.acquire("theirs")
        assert not await ours.renew()
        await ours.release()
        assert not await theirs.acquire("theirs")
        await theirs.release()
