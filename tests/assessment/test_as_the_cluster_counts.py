"""What counts is what the cluster goes by: a pod's condition Ready, a variable's last entry."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from cockpit.assessment.explain.workload import explain_pod
from cockpit.assessment.services import services
from cockpit.assessment.toggles import TWICE, toggles
from cockpit.model.observed.cluster import Cluster, ConfigMap, Pod, Workload
from cockpit.model.reading import Reading
from cockpit.model.runbook import Runbooks, Service, Toggle
from cockpit.model.situation import ServiceStatus, ToggleStatus
from cockpit.sources.inventory import Inventory
from cockpit.sources.kubernetes.kinds import KINDS

NOW = 1_790_000_000.0
BY_PLURAL = {kind.plural: kind for kind in KINDS}


def read(plural: str, obj: dict[str, Any]) -> Any:
    kind = BY_PLURAL[plural]
    return kind.convert(kind.decoder.decode(json.dumps(obj).encode()))


def workload(env: list[dict[str, Any]] = [], **more: Any) -> Workload:  # noqa: B006
    containers = [{"name": "m0-quant", "image": "m0/quant", "env": env, "envFrom": more.pop("env_from", [])}]
    containers += more.pop("beside", [])
    found: Workload = read(
        "deployments",
        {
            "metadata": {"name": "m0-quant", "namespace": "m0-prod", "uid": "w", "resourceVersion": "1"},
            "spec": {
                "replicas": 3,
                "selector": {"matchLabels": {"app": "m0-quant"}},
                "template": {"metadata": {"labels": {"app": "m0-quant"}}, "spec": {"containers": containers}},
            },
            "status": {"replicas": 3, "readyReplicas": 3},
        },
    )
    return found


def pod(number: int, status: dict[str, Any]) -> Pod:
    """A pod of m0-quant whose containers all say that they are ready."""
    ready = {
        "name": "m0-quant",
        "ready": True,
        "restartCount": 0,
        "state": {"running": {}},
        "image": "x",
        "imageID": "",
    }
    found: Pod = read(
        "pods",
        {
            "metadata": {
                "name": f"m0-quant-5d4f-{number}",
                "namespace": "m0-prod",
                "uid": f"p{number}",
                "resourceVersion": "1",
                "labels": {"app": "m0-quant", "pod-template-hash": "5d4f"},
                "ownerReferences": [{"kind": "ReplicaSet", "name": "m0-quant-5d4f", "uid": "r", "controller": True}],
            },
            "spec": {"containers": [{"name": "m0-quant", "image": "x"}], "nodeName": "n1"},
            "status": {"phase": "Running", "containerStatuses": [ready], **status},
        },
    )
    return found


def condition(status: str, reason: str = "", kind: str = "Ready", message: str = "") -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


WELL = {"conditions": [condition("True")]}


def judged(pods: list[Pod]) -> ServiceStatus:
    one = workload()
    cluster = Cluster(pods={each.uid: each for each in pods}, workloads={("m0-prod", "m0-quant"): one})
    inventory = Inventory()
    inventory.update(cluster, 0.0)
    (found,) = services(cluster, inventory, {"m0-quant": Service()}, NOW)
    return found


@pytest.mark.parametrize(
    "status",
    [
        {"conditions": [condition("False", "NodeStatusUnknown", message="Kubelet stopped posting node status.")]},
        {"conditions": [condition("Unknown", "NodeStatusUnknown")]},
        {"conditions": [condition("False", "ReadinessGatesNotReady"), condition("False", kind="x/lb")]},
        {"conditions": [condition("False")]},
        {"conditions": [condition("True", kind="ContainersReady"), condition("True", kind="Initialized")]},
        {"phase": "Unknown", "conditions": [condition("True")]},
        {"conditions": [condition("true")]},
    ],
    ids=["lost node", "unknown", "readiness gate", "no reason", "no Ready", "phase Unknown", "no True"],
)
def test_containers_that_say_ready_make_no_pod_ready(status: dict[str, Any]) -> None:
    """P3: a lost node was "3/3 OK"; kubectl says 0/3."""
    found = judged([pod(number, status) for number in range(3)])
    assert (found.ready, found.desired, found.level) == (0, 3, "crit") and found.why
    one = judged([pod(0, WELL), pod(1, WELL), pod(2, status)])
    assert (one.ready, one.level) == (2, "warn") and one.why


@pytest.mark.parametrize("reason", ["NodeStatusUnknown", "ReadinessGatesNotReady", "SomethingNew"])
def test_why_a_pod_is_not_ready_is_shown(reason: str) -> None:
    """P3: its reason is shown, in the row and by explain."""
    lost = pod(0, {"conditions": [condition("False", reason)]})
    found = judged([lost, pod(1, WELL), pod(2, WELL)])
    assert reason in found.why or "NotReady" in found.why or "node" in found.why.lower(), found.why
    cluster = Cluster(pods={lost.uid: lost}, workloads={("m0-prod", "m0-quant"): workload()})
    assert reason in " ".join(explain_pod(cluster, lost, NOW))


def test_pods_that_are_ready_are() -> None:
    found = judged([pod(number, WELL) for number in range(3)])
    assert (found.ready, found.level, found.why) == (3, "ok", "")


LEVEL = Toggle(deployments=("m0-quant",), values=("STRICT", "NORMAL", "FAST"), safest="STRICT", usual="NORMAL")


def of_map(name: str) -> dict[str, Any]:
    return {"configMapRef": {"name": name}}


def toggle(
    one: Workload,
    name: str = "M0_LEVEL",
    kept: Toggle = LEVEL,
    *,
    configmaps: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> ToggleStatus:
    runbooks = Runbooks(queries={}, signals={}, stages=(), services={}, toggles={name: kept}, runbooks=())
    maps = {("m0-prod", key): ConfigMap("m0-prod", key, "1", data) for key, data in configmaps.items()}
    cluster = Cluster(workloads={("m0-prod", "m0-quant"): one}, configmaps=maps)
    kinds: dict[str, Reading[Any]] = {"deployments/m0-prod": Reading("kubernetes/deployments/m0-prod", {}, 0.0)}
    (found,) = toggles(runbooks, cluster, kinds, 0.0)
    return found


def env(*values: Any, name: str = "M0_LEVEL") -> list[dict[str, Any]]:
    return [{"name": name, **(value if isinstance(value, dict) else {"value": value})} for value in values]


FROM_FIELD = {"valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
FROM_SECRET = {"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}


@pytest.mark.parametrize(
    ("entries", "value", "level"),
    [
        (env("STRICT", "NORMAL"), "NORMAL", "usual"),
        (env("NORMAL", "STRICT"), "STRICT", "safest"),
        (env("STRICT", "NORMAL", "FAST"), "FAST", "differs"),
        ([*env("STRICT"), {"name": "OTHER", "value": "x"}, *env("FAST")], "FAST", "differs"),
        (env("STRICT", ""), None, "unset"),
        (env("STRICT", FROM_SECRET), None, "unknown"),
        (env(FROM_SECRET, "FAST"), "FAST", "differs"),
        (env("STRICT", FROM_FIELD), None, "unknown"),
    ],
)
def test_the_last_of_two_entries_counts_and_is_marked(entries: list[Any], value: str | None, level: str) -> None:
    """P11: the panel showed STRICT, "safest", while the pods ran NORMAL."""
    found = toggle(workload(entries))
    assert (found.value, found.level) == (value, level)
    assert found.reason.endswith(TWICE)


def test_a_pattern_of_toggles_goes_by_the_last_entry_too() -> None:
    """P11: `M0_MARKET_PAUSE_*` is read variable by variable."""
    paused = Toggle(deployments=("m0-quant",), values=("true", "false"), safest="true", usual="false")
    found = toggle(workload(env("true", "false", name="M0_MARKET_PAUSE_A")), "M0_MARKET_PAUSE_*", paused)
    assert (found.name, found.value) == ("M0_MARKET_PAUSE_A", "false") and TWICE in found.reason


def test_what_a_container_beside_it_names_twice_is_not_its_own() -> None:
    """P11: the container of the service's name decides, and is the one that is marked."""
    beside = [{"name": "sidecar", "image": "x", "env": env("FAST", "STRICT")}]
    found = toggle(workload(env("NORMAL"), beside=beside))
    assert (found.value, found.level, found.reason) == ("NORMAL", "usual", "")


@pytest.mark.parametrize(
    ("sources", "value", "level", "reason"),
    [
        ([of_map("a")], "NORMAL", "usual", "from configmap a"),
        ([of_map("a"), of_map("b")], "STRICT", "safest", "from configmap b"),
        ([of_map("a"), {"secretRef": {"name": "s"}}], "NORMAL", "usual", "from configmap a; secret s may override it"),
        ([of_map("other")], None, "unknown", "not known: configmap other may set it"),
        ([{"secretRef": {"name": "s"}, "prefix": "X_"}], None, "unset", ""),
        ([{"prefix": "M0_", **of_map("c")}], "FAST", "differs", "from configmap c"),
    ],
)
def test_what_whole_configmaps_and_secrets_set_is_not_unset(
    sources: list[Any], value: str | None, level: str, reason: str
) -> None:
    """P11: by `envFrom` the pods ran NORMAL; the panel said that nothing was set."""
    maps = {"a": {"M0_LEVEL": "NORMAL"}, "b": {"M0_LEVEL": "STRICT"}, "c": {"LEVEL": "FAST"}}
    found = toggle(workload([], env_from=sources), configmaps=maps)
    assert (found.value, found.level, found.reason) == (value, level, reason)


def test_one_entry_is_not_marked() -> None:
    assert toggle(workload(env("STRICT"))).reason == ""
