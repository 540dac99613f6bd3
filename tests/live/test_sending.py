"""Shows on a real server that what is sent is what was seen."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from cockpit.kubeapi.client import KubeClient
from cockpit.kubeapi.errors import KubeError, Unauthorised
from cockpit.mitigation.problem import PlanProblem
from cockpit.model.plan import DryRunState, Phase, Verdict
from tests.live.cluster.control_plane import ControlPlane
from tests.live.clusters import IMAGE, TestCluster
from tests.live.cockpit import Cockpit, confirmed, program
from tests.live.proxy import between
from tests.support.api_proxy import ApiProxy, Exchange
from tests.support.waiting import HANG_S, wait_for

pytestmark = pytest.mark.live
MERGE = "application/merge-patch+json"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
FLOWS = "/apis/flowcontrol.apiserver.k8s.io/v1"


@contextmanager
def admitted(real: TestCluster, only: str, kind: str, spec: dict[str, Any], binding: dict[str, Any]) -> Iterator[None]:
    """A policy of the server's own on one Deployment of the test's namespace.

    The server takes a moment to put it in force, and to drop it.
    """
    name, paths = f"{real.namespace}-{only}", []
    narrowed = [{"name": "only", "expression": f"request.name == '{only}'"}, *spec.pop("matchConditions", ())]
    spec = {**spec, "matchConditions": narrowed}
    rule = {
        "apiGroups": ["apps"],
        "apiVersions": ["v1"],
        "operations": ["UPDATE"],
        "resources": ["deployments", "deployments/scale"],
    }
    match = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": real.namespace}}}
    bodies = (
        (kind, {"matchConstraints": {"resourceRules": [rule]}, **spec}),
        (f"{kind}Binding", {"policyName": name, "matchResources": match, **binding}),
    )
    for each, body in bodies:
        plural = f"{each.lower()}s" if each.endswith("Binding") else f"{each.lower().removesuffix('y')}ies"
        real.create(ADMISSION, plural, {"kind": each, "metadata": {"name": name}, "spec": body}, namespaced=False)
        paths.append(f"{ADMISSION}/{plural}/{name}")
    try:
        yield
    finally:
        for path in paths:
            real.send("DELETE", path)


def test_guards_are_judged_again_at_the_send(real: TestCluster, cockpit: Cockpit) -> None:
    """S2: an autoscaler that came in between the plan and the send went by without a word."""
    real.deployment("m0-between")
    plan = cockpit.plan("scale", "m0-between", replicas=2)
    assert next(g for g in plan.guards if g.guard == "autoscaler").verdict is Verdict.PASS
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "m0-between"}
    body = {
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "m0-between"},
        "spec": {"scaleTargetRef": target, "maxReplicas": 3},
    }
    real.create("/apis/autoscaling/v2", "horizontalpodautoscalers", body)
    progress = confirmed(cockpit, plan)
    assert progress.phase is Phase.STALE and "autoscal" in progress.words, progress.words
    assert real.get(real.apps("m0-between"))["spec"]["replicas"] == 1


@pytest.fixture
def throttled(real: TestCluster, tmp_path: Path) -> Iterator[tuple[ApiProxy, Cockpit]]:
    """A cockpit of the operator's behind a proxy: the admin's requests are never held back."""
    may_everything(real, {"kind": "User", "name": "operator", "apiGroup": "rbac.authorization.k8s.io"})
    with between(real.kubeconfig, tmp_path / "proxy", "operator") as proxy:
        made = Cockpit(replace(real, kubeconfig=proxy.kubeconfig), tmp_path / "behind")
        yield proxy, made
        made.close()


def may_everything(real: TestCluster, subject: dict[str, str]) -> None:
    base, name = "/apis/rbac.authorization.k8s.io/v1", subject["name"]
    rule = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    real.create(base, "roles", {"kind": "Role", "metadata": {"name": name}, "rules": [rule]})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    binding = {"kind": "RoleBinding", "metadata": {"name": name}, "roleRef": role, "subjects": [subject]}
    real.create(base, "rolebindings", binding)


def test_a_server_that_asks_to_wait_is_waited_for(real: TestCluster, throttled: tuple[ApiProxy, Cockpit]) -> None:
    """S3: one 429 on the kill switch was "rejected"; here by the server's priority and fairness."""
    proxy, behind = throttled
    real.deployment("m0-throttled")
    plan = behind.plan("scale", "m0-throttled", replicas=0)
    struck = threading.Event()

    def notice(exchange: Exchange) -> bool:
        if exchange.status == 429 and "m0-throttled" in exchange.path:
            assert exchange.answer.headers.get("Retry-After")
            struck.set()
        return False

    proxy.lose = notice
    with one_seat(real):
        wait_for(lambda: _throttled(replace(real, kubeconfig=proxy.kubeconfig)))
        sending = behind.executor.carry_out(plan, behind.confirmation(plan))
        assert struck.wait(HANG_S)
    progress = sending.result(90)
    assert progress.phase is Phase.SENT, progress.words
    assert real.get(real.apps("m0-throttled"))["spec"]["replicas"] == 0
    records = behind.journal.records()
    assert [r["kind"] for r in records].count("intent") == 1
    assert any("to wait (429)" in str(r.get("words")) for r in records)


@contextmanager
def one_seat(real: TestCluster) -> Iterator[None]:
    """Let the server carry out one scale of the operator's at a time, and keep it busy with one."""
    name = real.namespace
    limited = {
        "nominalConcurrencyShares": 0,
        "lendablePercent": 0,
        "borrowingLimitPercent": 0,
        "limitResponse": {"type": "Reject"},
    }
    rule = {"verbs": ["patch"], "apiGroups": ["apps"], "resources": ["deployments/scale"], "namespaces": [name]}
    subjects = [{"kind": "User", "user": {"name": "operator"}}]
    flow = {
        "priorityLevelConfiguration": {"name": name},
        "matchingPrecedence": 2,
        "rules": [{"subjects": subjects, "resourceRules": [rule]}],
    }
    level = {"type": "Limited", "limited": limited}
    for kind, plural, spec in (
        ("PriorityLevelConfiguration", "prioritylevelconfigurations", level),
        ("FlowSchema", "flowschemas", flow),
    ):
        real.create(FLOWS, plural, {"kind": kind, "metadata": {"name": name}, "spec": spec}, namespaced=False)
    access, path = real.access(), real.apps("no-such-thing") + "/scale"
    address = urlsplit(access.server)
    assert address.hostname and address.port and access.tls
    begun = f"PATCH {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ControlPlane.token('operator')}\r\n"
    begun += f"Content-Type: {MERGE}\r\nContent-Length: 100\r\n\r\n{{"  # its body never comes
    try:
        with (
            socket.create_connection((address.hostname, address.port)) as plain,
            access.tls.wrap_socket(plain, server_hostname=address.hostname) as held,
        ):
            held.sendall(begun.encode())
            yield
    finally:
        real.send("DELETE", f"{FLOWS}/flowschemas/{name}")
        real.send("DELETE", f"{FLOWS}/prioritylevelconfigurations/{name}")


def _throttled(real: TestCluster) -> bool:
    """Ask without our client, which would wait."""
    access, path = real.access(), real.apps("no-such-thing") + "/scale"
    headers = {**access.credentials.headers(), "Content-Type": MERGE}
    answer = httpx.patch(f"{access.server}{path}", content='{"spec":{"replicas":1}}', headers=headers)
    return answer.status_code == 429


def test_what_the_server_warns_of_is_in_the_plan_and_in_the_journal(real: TestCluster, cockpit: Cockpit) -> None:
    """S4: the `Warning:` headers of a policy that warns were dropped."""
    real.deployment("m0-warned")
    spec = {"validations": [{"expression": "false", "message": "no change without the release team: +41 44 555 01 23"}]}
    with admitted(real, "m0-warned", "ValidatingAdmissionPolicy", spec, {"validationActions": ["Warn"]}):
        plan = wait_for(
            lambda: ((p := cockpit.plan("set-env", "m0-warned", env={"A": "1"})).dry_run.warnings and p) or None
        )
        assert any("+41 44 555 01 23" in each for each in plan.dry_run.warnings)
        progress = confirmed(cockpit, plan)
    assert any("+41 44 555 01 23" in each for each in progress.warnings)
    intent = next(r for r in cockpit.journal.records() if r["kind"] == "intent")
    assert any("+41 44 555 01 23" in each for each in intent["warnings"])


def test_a_policy_that_refuses_is_read_to_its_end_before_anything_is_sent(real: TestCluster, cockpit: Cockpit) -> None:
    """R9: a message of 600 characters was cut at 400, and whom to ask was lost."""
    real.deployment("m0-frozen")
    message = (
        "The change freeze of the settlement window is on. " * 11 + "Ask the release team: +41 44 555 01 23, room 4.12"
    )
    with admitted(
        real,
        "m0-frozen",
        "ValidatingAdmissionPolicy",
        {"validations": [{"expression": "false", "message": message}]},
        {"validationActions": ["Deny"]},
    ):
        plan = wait_for(
            lambda: (
                ((p := cockpit.plan("set-env", "m0-frozen", env={"A": "1"})).dry_run.state is DryRunState.FAILED and p)
                or None
            )
        )
        assert "room 4.12" in plan.dry_run.reason
        assert any("room 4.12" in g.reason for g in plan.blocked)


def test_what_only_the_real_request_was_changed_by_is_said(real: TestCluster, cockpit: Cockpit) -> None:
    """S6: an admission that mutates only the real request: "sent … rolled out"."""
    real.deployment("m0-mutated", {"name": "m0-mutated", "image": IMAGE})
    mutation = {
        "patchType": "ApplyConfiguration",
        "applyConfiguration": {
            "expression": "Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{"
            'priorityClassName: "system-cluster-critical"}}}}'
        },
    }
    spec = {
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "matchConditions": [{"name": "real", "expression": "!has(request.dryRun) || !request.dryRun"}],
        "mutations": [mutation],
    }
    with admitted(real, "m0-mutated", "MutatingAdmissionPolicy", spec, {}):
        wait_for(lambda: _mutates(real))
        plan = cockpit.plan("set-env", "m0-mutated", env={"A": "1"})
        progress = confirmed(cockpit, plan)
    assert any("priorityClassName" in each for each in progress.beyond), progress
    outcome = next(r for r in cockpit.journal.records() if r["kind"] == "outcome")
    assert "priorityClassName" in json.dumps(outcome)


def _mutates(real: TestCluster) -> bool:
    path = real.apps("m0-mutated")
    real.send("PATCH", path, {"metadata": {"annotations": {"tried": "yes"}}}, MERGE)
    if "priorityClassName" not in real.get(path)["spec"]["template"]["spec"]:
        return False
    real.deployment("m0-mutated", {"name": "m0-mutated", "image": IMAGE})
    return True


def test_a_change_never_goes_out_as_another_user(real: TestCluster, tmp_path: Path) -> None:
    """S7: a token that was revoked, the kubeconfig written anew with another user's."""
    real.deployment("m0-pinned")
    real.create("/api/v1", "serviceaccounts", {"kind": "ServiceAccount", "metadata": {"name": "shift"}})
    subject = {"kind": "ServiceAccount", "name": "shift", "namespace": real.namespace}
    may_everything(real, subject)
    asked = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": {}}
    token = real.send("POST", real.core("serviceaccounts", "shift") + "/token", asked).json()["status"]["token"]
    config = json.loads(real.kubeconfig.read_text())
    mine = tmp_path / "kubeconfig"

    def write(name: str, user: dict[str, str]) -> None:
        context = {"name": "shift", "context": {"cluster": "live", "user": name, "namespace": real.namespace}}
        users = [{"name": name, "user": user}]
        mine.write_text(json.dumps({**config, "users": users, "contexts": [context], "current-context": "shift"}))

    write("shift", {"token": token})
    cockpit = Cockpit(replace(real, kubeconfig=mine), tmp_path / "state")
    try:
        plan = cockpit.plan("scale", "m0-pinned", replicas=2)
        real.send("DELETE", real.core("serviceaccounts", "shift"))
        write("admin", next(u["user"] for u in config["users"] if u["name"] == "admin"))
        wait_for(lambda: _refused(real, token, tmp_path))
        try:
            words = confirmed(cockpit, plan).words
        except PlanProblem as problem:
            words = problem.line()
    finally:
        cockpit.close()
    assert real.get(real.apps("m0-pinned"))["spec"]["replicas"] == 1, words
    assert "no longer as shift" in words or "401" in words, words  # the kubeconfig is not read again at once


def _refused(real: TestCluster, token: str, directory: Path) -> bool:
    """Return whether the server has forgotten that it had accepted the token."""

    async def ask() -> bool:
        async with KubeClient(real.with_token(token, directory)) as client:
            try:
                await client.get(real.apps("m0-pinned"))
            except Unauthorised:
                return True
            except KubeError:
                return False
        return False

    return asyncio.run(ask())


def test_who_wrote_last_is_the_manager_of_the_field(real: TestCluster, cockpit: Cockpit) -> None:
    """S8: managedFields of `/scale` bear no time: it said m0-cockpit, and it was kubectl."""
    real.deployment("m0-managed", {"name": "m0-managed", "image": IMAGE})
    cockpit.carry(cockpit.plan("set-env", "m0-managed", env={"A": "1"}))
    plan = cockpit.plan("scale", "m0-managed", replicas=3)
    path = real.apps("m0-managed")
    real.send("PATCH", f"{path}/scale", {"spec": {"replicas": 2}}, MERGE, fieldManager="kubectl")
    progress = confirmed(cockpit, plan)
    assert progress.phase is Phase.STALE and "kubectl" in progress.words, progress.words
    assert "last written by m0-cockpit" not in progress.words


def test_a_read_only_cockpit_only_reads(real: TestCluster, proxy: ApiProxy, tmp_path: Path) -> None:
    """S5: `--read-only run 5 reconcile` sent POST …/jobs?dryRun=All."""
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "m0-reconciler", "image": IMAGE}]}}
    cron = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": template}}}
    real.create("/apis/batch/v1", "cronjobs", {"kind": "CronJob", "metadata": {"name": "m0-reconciler"}, "spec": cron})
    real.deployment("m0-submitter")
    through = replace(real, kubeconfig=proxy.kubeconfig)
    for words in (
        ("run", "5", "reconcile"),
        ("run", "13", "13.step.1", "--confirm", "m0-submitter"),
        ("doctor",),
        ("status",),
    ):
        program(through, tmp_path / words[0], "--read-only", *words).communicate(timeout=90)
    assert proxy.exchanges
    written = [
        f"{each.method} {each.path}"
        for each in proxy.exchanges
        if each.method not in ("GET", "HEAD") and "reviews" not in each.path
    ]
    assert not written
