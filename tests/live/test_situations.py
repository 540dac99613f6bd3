"""Shows on a real server what the operator is answer of pods that are lost, done or refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cockpit.model.situation import ServiceStatus, Situation
from tests.live.cluster.kubelet import NODES, Kubelet
from tests.live.clusters import IMAGE, TestCluster
from tests.live.cockpit import program, seen, service
from tests.support.waiting import wait_for

pytestmark = pytest.mark.live
POLICIES = "/apis/admissionregistration.k8s.io/v1"
#: 600 characters, of which the last ones matter.
FREEZE = "The change freeze of the settlement window is on, and no pod is made while it lasts. " * 6 + (
    "Ask the release team whether yours may go all the same: +41 44 555 01 23, room 4.12."
)


def said(situation: Situation, name: str, words: str) -> ServiceStatus | None:
    found = service(situation, name)
    return found if found is not None and words in found.why else None


def test_pods_of_a_lost_node_are_not_ready(real: TestCluster, kubelet: Kubelet) -> None:
    """P3: the node controller sets the condition Ready to False, and no container's `ready`."""
    node = NODES[-1]
    real.deployment(
        "m0-gateway", replicas=3, metadata={"labels": {"app": "m0-gateway"}, "annotations": {"live/node": node}}
    )
    real.until(real.apps("m0-gateway"), lambda o: (o.get("status") or {}).get("readyReplicas") == 3)
    kubelet.lose(node)
    try:

        def lost(situation: Situation) -> ServiceStatus | None:
            found = service(situation, "m0-gateway")
            return found if found is not None and found.ready == 0 else None

        found = seen(real, lost)
        assert (found.level, found.desired) == ("crit", 3) and found.why
        pods = real.get(real.core("pods"), labelSelector="app=m0-gateway")["items"]
        assert all(c["ready"] for pod in pods for c in pod["status"]["containerStatuses"]), "it is as it was seen"
    finally:
        kubelet.find(node)
    seen(real, lambda s: (found := service(s, "m0-gateway")) is not None and found.ready == 3)


@pytest.mark.parametrize(
    ("state", "level", "why"),
    [
        ("fail-once", "ok", "Completed, 1 retry"),
        ("succeed", "ok", "Completed"),
        ("fail", "crit", "failed: BackoffLimitExceeded"),
    ],
)
def test_a_job_is_what_became_of_it(real: TestCluster, kubelet: Kubelet, state: str, level: str, why: str) -> None:
    """R2: a finished Job with one failed pod was CRIT for as long as it existed."""
    name = f"m0-sweep-{state}"
    template = {
        "metadata": {"annotations": {"live/state": state}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "sweep", "image": IMAGE}]},
    }
    spec = {"backoffLimit": 0 if state == "fail" else 3, "template": template}
    real.create("/apis/batch/v1", "jobs", {"kind": "Job", "metadata": {"name": name}, "spec": spec})
    found = seen(real, lambda s: said(s, name, why))
    assert found.why == why
    assert found.level == level
    if state == "fail-once":
        pods = real.get(real.core("pods"), labelSelector=f"job-name={name}")["items"]
        assert sorted(pod["status"]["phase"] for pod in pods) == ["Failed", "Succeeded"]


# R9: why pods may not be created


@contextmanager
def quota(real: TestCluster, pods: int) -> Iterator[None]:
    real.create(
        "/api/v1",
        "resourcequotas",
        {"kind": "ResourceQuota", "metadata": {"name": "budget"}, "spec": {"hard": {"pods": str(pods)}}},
    )
    path = real.core("resourcequotas", "budget")
    real.until(path, lambda o: (o.get("status") or {}).get("used"))
    try:
        yield
    finally:
        real.send("DELETE", path)


@contextmanager
def limits(real: TestCluster) -> Iterator[None]:
    limit = {"type": "Container", "max": {"cpu": "100m"}}
    real.create(
        "/api/v1", "limitranges", {"kind": "LimitRange", "metadata": {"name": "sizes"}, "spec": {"limits": [limit]}}
    )
    try:
        yield
    finally:
        real.send("DELETE", real.core("limitranges", "sizes"))


@contextmanager
def pod_security(real: TestCluster) -> Iterator[None]:
    path, label = f"/api/v1/namespaces/{real.namespace}", "pod-security.kubernetes.io/enforce"
    kind = "application/merge-patch+json"
    real.send("PATCH", path, {"metadata": {"labels": {label: "restricted"}}}, kind)
    try:
        yield
    finally:
        real.send("PATCH", path, {"metadata": {"labels": {label: None}}}, kind)


@contextmanager
def policy(
    real: TestCluster, resource: str = "pods", group: str = "", message: str = FREEZE, **more: Any
) -> Iterator[None]:
    """Refuse what is made or changed of a resource in the test's namespace."""
    name = f"{real.namespace}-{resource}"
    rule = {"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": [resource]}
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": "false", "message": message}],
    }
    match = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": real.namespace}}}
    bound = {"policyName": name, "validationActions": ["Deny"], "matchResources": match, **more}
    paths = []
    for kind, body in (("ValidatingAdmissionPolicy", spec), ("ValidatingAdmissionPolicyBinding", bound)):
        plural = "validatingadmissionpolicies" if kind.endswith("Policy") else "validatingadmissionpolicybindings"
        real.create(POLICIES, plural, {"kind": kind, "metadata": {"name": name}, "spec": body}, namespaced=False)
        paths.append(f"{POLICIES}/{plural}/{name}")
    try:
        yield
    finally:
        for path in paths:
            real.send("DELETE", path)


#: What stands in the way, what is to be read of it.
REFUSALS: dict[str, tuple[Callable[[TestCluster], Any], str]] = {
    "quota": (lambda real: quota(real, 0), "exceeded quota: budget"),
    "limits": (limits, "maximum cpu usage per Container is 100m"),
    "security": (pod_security, 'violates PodSecurity "restricted:latest"'),
    "policy": (policy, FREEZE[-40:]),
}


@pytest.mark.parametrize("kind", ["deployment", "statefulset"])
@pytest.mark.parametrize("cause", REFUSALS)
def test_a_service_whose_pods_are_refused_says_why(real: TestCluster, kind: str, cause: str) -> None:
    """R9: `status` said only "2 of 2 missing"."""
    obstacle, words = REFUSALS[cause]
    name = f"m0-{kind[:5]}-{cause}"
    big = {"name": name, "image": IMAGE, "resources": {"limits": {"cpu": "200m"}}}
    with obstacle(real):
        if cause == "policy":  # it is compiled within moments
            wait_for(lambda: _refuses(real))
        getattr(real, kind)(name, big, replicas=2)
        found = seen(real, lambda s: said(s, name, "refused"))
        assert words in found.why and (found.level, found.ready) == ("crit", 0)
    real.send("DELETE", real.apps(name, f"{kind}s"))


def _refuses(real: TestCluster) -> bool:
    pod = {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"generateName": "try-"},
        "spec": {"containers": [{"name": "x", "image": IMAGE}]},
    }
    try:
        real.send("POST", real.core("pods"), pod, dryRun="All")
    except Exception as error:
        return "denied request" in str(error)
    return False


def test_run_and_status_say_why_at_once(real: TestCluster, tmp_path: Path) -> None:
    """R9: `run` said only "2 of 4 new pods made", until it gave up after ten minutes."""
    real.deployment("m0-ingestor", replicas=2)
    real.until(real.apps("m0-ingestor"), lambda o: (o.get("status") or {}).get("readyReplicas") == 2)
    lines: list[str] = []
    with quota(real, 0):
        words = ("run", "6", "scale-ingestors", "--param", "replicas=4", "--confirm", "m0-ingestor")
        running = program(real, tmp_path, *words)

        def listen() -> None:
            assert running.stdout is not None
            lines.extend(iter(running.stdout.readline, ""))

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        wait_for(lambda: any("2 of 4 pods made: exceeded quota: budget" in line for line in list(lines)))
        status = program(real, tmp_path / "status", "--read-only", "status", "--json")
        answer = json.loads(status.communicate(timeout=60)[0])
        (row,) = [each for each in answer["deployments"] if each["name"] == "m0-ingestor"]
        assert "2 of 4 refused: exceeded quota: budget" in row["reason"] and (row["ready"], row["desired"]) == (2, 4)
        running.kill()  # its controller tries again ever more seldom
        running.wait(10)
    listener.join(10)
