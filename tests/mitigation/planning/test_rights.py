"""deploy/rbac.yaml is enough for all that the cockpit does, and holds no right in vain."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any

import pytest
import yaml
from msgspec.structs import replace

from cockpit.clock import SystemClock
from cockpit.drill.kubernetes import Behaviour, Rule, User, write_kubeconfig
from cockpit.drill.kubernetes.api import authz
from cockpit.drill.kubernetes.objects.resources import PODS
from cockpit.kubeapi.access import load_access
from cockpit.kubeapi.client import KubeClient
from cockpit.model.plan import Phase, Progress, Verdict
from cockpit.model.reading import Reading, SourceState
from cockpit.model.runbook import Step
from cockpit.sources.kubernetes.log_lines import LogLine
from cockpit.sources.kubernetes.logs import LogRequest, read_logs
from cockpit.sources.kubernetes.source import KubernetesSource
from cockpit.sources.timing import Timings
from tests.support.kube_rig import DIGEST, NAMESPACE, Rig, carry, ended, guard, plan, step, yes
from tests.support.paths import ROOT
from tests.support.readings import fault_in, kept
from tests.support.waiting import HANG_S, wait_for

RBAC = ROOT / "deploy" / "rbac.yaml"
QUICK = Timings(publish_s=0.02, refresh_s=0.1, watch_s=2, silence_s=4, probe_s=0.2, denied_s=0.2, backoff_s=0.05)
STEPS = (
    step("scale", "m0-ingestor", replicas=5),
    step("set-env", "m0-quant", env={"M0_GUARDRAIL_POLICY_LEVEL": "STRICT", "NEW": "1"}),
    step("set-image", "m0-quant", image=DIGEST),
    step("restart", "m0-signer-agent"),
    step("scale", "m0-db", replicas=3),
    step("restart", "m0-db"),
    step("undo-rollout", "m0-quant"),
    step("undo-rollout", "m0-db"),
    Step(id="set", title="set", kind="set-config", args={"configmap": "m0-engine-config", "key": "A", "value": "2"}),
    Step(id="h", title="h", kind="suspend", args={"cronjob": "m0-reconciler", "suspend": "true"}),
)
JOB = Step(id="job", title="job", kind="run-job", args={"cronjob": "m0-reconciler"})
DELETE = Step(id="delete", title="delete", kind="delete-pod", args={"pod": "m0-db-1"})
#: Of a Deployment: "{pod}" is one of m0-ingestor, see `of_deployment`.
DELETE_ANY = Step(id="delete-any", title="delete", kind="delete-pod", args={"pod": "{pod}"})
Used = set[tuple[str, str, str, str]]


def rules(*roles: str) -> tuple[Rule, ...]:
    """The rules of these ClusterRoles, bound in the namespace as deploy/rbac.yaml binds them."""
    documents = list(yaml.safe_load_all(RBAC.read_text()))
    bound = [d["roleRef"]["name"] for d in documents if d["kind"] == "RoleBinding"]
    assert set(bound) == {d["metadata"]["name"] for d in documents if d["kind"] == "ClusterRole"}
    return tuple(
        Rule(
            tuple(r["verbs"]),
            tuple(r["apiGroups"]),
            tuple(r["resources"]),
            tuple(r.get("resourceNames") or ()),
            (NAMESPACE,),
        )
        for d in documents
        if d["kind"] == "ClusterRole" and d["metadata"]["name"] in roles
        for r in d["rules"]
    )


def of_deployment(rig: Rig) -> Step:
    """Name one pod of m0-ingestor in the step that deletes one."""
    found = rig.do(lambda: [one.key[1] for one in rig.world.store.select(PODS, NAMESPACE)])
    pod = next(name for name in found if name.startswith("m0-ingestor-"))
    return replace(DELETE_ANY, args={"pod": pod})


def without(all_rules: tuple[Rule, ...], *resources: str) -> tuple[Rule, ...]:
    kept = []
    for rule in all_rules:
        rest = tuple(r for r in rule.resources if r not in resources)
        if rest:
            kept.append(Rule(rule.verbs, rule.groups, rest, rule.names, rule.namespaces))
    return tuple(kept)


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> Iterator[Used]:
    """(verb, group, resource, name) of every request that was allowed."""
    found: Used = set()
    really = authz.allowed

    def allowed(user: User, verb: str, group: str, resource: str, namespace: str, name: str) -> bool:
        good = really(user, verb, group, resource, namespace, name)
        if good and user.name == "ops":
            found.add((verb, group, resource, name))
        return good

    monkeypatch.setattr(authz, "allowed", allowed)
    yield found


def become(rig: Rig, *granted: Rule) -> None:
    rig.world.users["ops"] = User("ops", granted, ("m0-oncall", "system:authenticated"))
    rig.token = "ops"


def act(rig: Rig, made: Any) -> Progress:
    executor = rig.executors[-1]
    carry(executor, made)
    return ended(executor, made)


async def read_all(rig: Rig) -> dict[str, Reading[Any]]:
    """One good look at every topic, and a pod's log."""
    access = load_access(str(write_kubeconfig(rig.directory / "looking", rig.served, token="ops")))
    source = KubernetesSource(lambda: access, [NAMESPACE], lambda: {"m0-engine-config"}, SystemClock(), timings=QUICK)
    seen: dict[str, Reading[Any]] = {}
    began: float | None = None
    async with asyncio.timeout(HANG_S), aclosing(source.readings()) as readings:
        async for reading in readings:
            seen[reading.topic] = reading
            began = began or SystemClock().mono()
            # longer than a watch lasts, so that the watch was allowed too
            if len(seen) == len(source.topics) and SystemClock().mono() - began > QUICK.watch_s + 0.5:
                break
    async with KubeClient(access) as client:
        name = next(p.name for p in rig.world.running("m0-ingestor"))
        request = LogRequest(NAMESPACE, ((name, "m0-ingestor"),), follow=False)
        async with asyncio.timeout(HANG_S), aclosing(read_logs(client, request)) as lines:
            assert all([isinstance(line, LogLine) async for line in lines])
        await client.get(f"/api/v1/namespaces/{NAMESPACE}/pods/{name}")  # as a followed log does when it ends
    return seen


def test_the_example_roles_are_enough_and_not_more(rig: Rig, used: Used) -> None:
    granted = rules("m0-cockpit-view", "m0-cockpit-act")
    become(rig, *granted)
    rig.do(lambda: rig.world.configmap("m0-engine-config", {"A": "1"}))
    rig.do(lambda: rig.world.deploy("m0-db", image="postgres:16", replicas=2, kind="StatefulSet"))
    rig.settle()
    seen = asyncio.run(read_all(rig))
    assert not [r for r in seen.values() if fault_in(r) is not None]
    assert all(kept(r) is not None for r in seen.values())

    executor = rig.executor()
    for made in STEPS:
        planned = plan(executor, made)
        assert not planned.blocked, (made.kind, planned.blocked)
        for name in (
            ("permission", "autoscaler", "lease")
            if made.kind not in ("set-config", "suspend")
            else ("permission", "lease")
        ):
            assert guard(planned, name).verdict in (Verdict.PASS, Verdict.NOTE), (made.kind, guard(planned, name))
        progress = act(rig, planned)
        assert progress.phase is Phase.DONE, progress.words
        assert "lease" not in progress.words and "Event" not in progress.words
        if planned.inverse is not None:
            undone = act(rig, executor.plan_undo(progress.journal or 0).result(10))
            assert undone.phase is Phase.DONE, undone.words

    for made in (DELETE, of_deployment(rig)):
        assert act(rig, plan(executor, made)).phase is Phase.DONE

    rig.world.behaviour = lambda _service, _image, _env: Behaviour(crash_after_s=1e9)
    job = plan(executor, JOB)
    assert not job.blocked, job.blocked
    carry(executor, job)
    wait_for(lambda: "1 active" in executor.progress[0].words)
    assert act(rig, executor.plan_undo(executor.progress[0].journal or 0).result(10)).phase is Phase.DONE

    for rule in granted:  # each right was needed
        for verb in rule.verbs:
            for resource in rule.resources:
                uses = {u for u in used if u[:3] == (verb, rule.groups[0], resource)}
                assert uses, f"{verb} {resource} was never used"
                assert not rule.names or {u[3] for u in uses} <= {*rule.names, ""}


def test_who_may_only_read_is_named_by_the_permission_guard(rig: Rig) -> None:
    readable = Rule(("get",), ("apps",), ("deployments",), (), (NAMESPACE,))
    become(rig, *rules("m0-cockpit-view"), readable)
    planned = plan(rig.executor(), STEPS[0])
    verdict = guard(planned, "permission")
    assert verdict.verdict is Verdict.BLOCK
    assert verdict.reason.startswith("you may not patch deployments/scale m0-ingestor")
    with pytest.raises(Exception, match="blocked by permission"):
        rig.executors[-1].carry_out(planned, yes(planned)).result(10)
    assert not rig.writes()


def test_without_the_right_to_scale_only_scaling_is_blocked(rig: Rig) -> None:
    become(rig, *without(rules("m0-cockpit-view", "m0-cockpit-act"), "deployments/scale"))
    executor = rig.executor()
    assert guard(plan(executor, STEPS[0]), "permission").verdict is Verdict.BLOCK
    assert guard(plan(executor, STEPS[2]), "permission").verdict is Verdict.PASS


def test_without_leases_and_events_a_step_goes_on_and_says_so(rig: Rig) -> None:
    become(rig, *without(rules("m0-cockpit-act"), "leases", "events"), *rules("m0-cockpit-view"))
    rig.world.users["ops"] = User("ops", tuple(r for r in rig.world.users["ops"].rules if r.verbs != ("create",)))
    planned = plan(rig.executor(), STEPS[0])
    assert guard(planned, "lease").verdict is Verdict.UNKNOWN and planned.typed == "m0-ingestor"
    progress = act(rig, planned)
    assert progress.phase is Phase.DONE
    assert "the lease cannot be read" in progress.words and "no Event" in progress.words
    assert rig.obj("m0-ingestor")["spec"]["replicas"] == 5


def test_a_kind_that_may_not_be_listed_is_denied_and_the_others_go_on(rig: Rig) -> None:
    become(rig, *without(rules("m0-cockpit-view"), "replicasets"))
    rig.do(lambda: rig.world.configmap("m0-engine-config", {"A": "1"}))
    seen = asyncio.run(read_all(rig))
    faults = {r.topic: fault_in(r) for r in seen.values() if fault_in(r) is not None}
    assert list(faults) == [f"kubernetes/replicasets/{NAMESPACE}"]
    fault = faults[f"kubernetes/replicasets/{NAMESPACE}"]
    assert fault.state is SourceState.DENIED and "replicasets" in fault.reason
