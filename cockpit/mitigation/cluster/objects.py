"""Reads objects as the API server gives them: plain dictionaries, absent means the default."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from cockpit.kubeapi.client import KubeClient
from cockpit.kubeapi.errors import KubeError, NotFound
from cockpit.mitigation.problem import PlanProblem
from cockpit.model.runbook import Service

RESOURCES = {
    "Deployment": "deployments",
    "StatefulSet": "statefulsets",
    "ConfigMap": "configmaps",
    "CronJob": "cronjobs",
    "Job": "jobs",
    "Pod": "pods",
    "ReplicaSet": "replicasets",
}
#: Kind → API group; the core group is "".
GROUPS = {
    "Deployment": "apps",
    "StatefulSet": "apps",
    "ReplicaSet": "apps",
    "ConfigMap": "",
    "Pod": "",
    "CronJob": "batch",
    "Job": "batch",
}
SHORT = {
    "Deployment": "deploy",
    "StatefulSet": "statefulset",
    "ConfigMap": "configmap",
    "CronJob": "cronjob",
    "Job": "job",
    "Pod": "pod",
}
WORKLOADS = ("Deployment", "StatefulSet")
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


@dataclass(frozen=True, slots=True)
class Subject:
    """Holds the object a step is about, as just read, and what the runbooks say of its service."""

    context: str
    namespace: str
    kind: str
    name: str
    obj: Mapping[str, Any]
    service: Service

    @property
    def uid(self) -> str:
        return str(self.obj["metadata"]["uid"])

    @property
    def resource_version(self) -> str:
        return str(self.obj["metadata"]["resourceVersion"])

    @property
    def generation(self) -> int:
        return int(self.obj["metadata"].get("generation") or 0)

    @property
    def path(self) -> str:
        return object_path(self.kind, self.namespace, self.name)


def collection_path(kind: str, namespace: str) -> str:
    root = f"/apis/{GROUPS[kind]}/v1" if GROUPS[kind] else "/api/v1"
    return f"{root}/namespaces/{quote(namespace, safe='')}/{RESOURCES[kind]}"


def object_path(kind: str, namespace: str, name: str) -> str:
    return f"{collection_path(kind, namespace)}/{quote(name, safe='')}"


def api_version(kind: str) -> str:
    return f"{GROUPS[kind]}/v1" if GROUPS[kind] else "v1"


async def fetch(client: KubeClient, namespace: str, name: str, *kinds: str) -> tuple[str, dict[str, Any]]:
    """Return (kind, object) of the first of `kinds`, one or two, that there is of that name.

    Raises PlanProblem, KubeError.
    """
    first = kinds[0]
    for kind in kinds:
        try:
            return kind, await client.get(object_path(kind, namespace, name))
        except NotFound:
            continue
        except KubeError as error:
            if kind == first:
                raise
            raise PlanProblem(
                f"no {first.lower()} {name} in {namespace}; "
                f"whether there is a {kind.lower()} cannot be told: {error.fault().reason}",
                f"check the namespace (-n), or ask for a role that allows: get {RESOURCES[kind]}",
            ) from error
    raise PlanProblem(
        f"no {' or '.join(kinds).lower()} {name} in {namespace}", "check the namespace (-n) and the step's service"
    )


async def fetch_configmap(client: KubeClient, namespace: str, name: str) -> dict[str, Any]:
    """Raises PlanProblem, KubeError."""
    try:
        found: dict[str, Any] = await client.get(object_path("ConfigMap", namespace, name))
    except NotFound as missing:
        raise PlanProblem(
            f"no configmap {name} in {namespace}", "check the namespace (-n) and the step's configmap"
        ) from missing
    return found


def annotations_of(obj: Mapping[str, Any]) -> Mapping[str, str]:
    return obj["metadata"].get("annotations") or {}


def replicas(obj: Mapping[str, Any]) -> int:
    """Return spec.replicas; absent means 1 on a Deployment or StatefulSet."""
    value = (obj.get("spec") or {}).get("replicas")
    return 1 if value is None else int(value)


def paused(obj: Mapping[str, Any]) -> bool:
    return bool(obj["spec"].get("paused"))


def strategy(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return {"type": …, "rollingUpdate": …} of either kind."""
    return obj["spec"].get("strategy") or obj["spec"].get("updateStrategy") or {"type": "RollingUpdate"}


def selector(obj: Mapping[str, Any]) -> str:
    """Return spec.selector as a labelSelector parameter."""
    spec = obj["spec"].get("selector") or {}
    parts = [f"{key}={value}" for key, value in sorted((spec.get("matchLabels") or {}).items())]
    for term in spec.get("matchExpressions") or []:
        operator, key = term["operator"], term["key"]
        if operator in ("Exists", "DoesNotExist"):
            parts.append(key if operator == "Exists" else f"!{key}")
        else:
            parts.append(f"{key} {'in' if operator == 'In' else 'notin'} ({','.join(term.get('values') or [])})")
    return ",".join(parts)


def pod_spec(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    spec: Mapping[str, Any] = obj["spec"]["template"]["spec"]
    return spec


def grace_s(obj: Mapping[str, Any]) -> int:
    value = pod_spec(obj).get("terminationGracePeriodSeconds")
    return 30 if value is None else int(value)


def container_names(obj: Mapping[str, Any], field: str = "containers") -> list[str]:
    return [str(c["name"]) for c in pod_spec(obj).get(field) or []]


def find_container(obj: Mapping[str, Any], name: str) -> tuple[str, Mapping[str, Any]] | None:
    """Find ("containers" or "initContainers", the container)."""
    for field in ("containers", "initContainers"):
        for container in pod_spec(obj).get(field) or []:
            if container["name"] == name:
                return field, container
    return None


def own_container(obj: Mapping[str, Any], wanted: str | None, service: str) -> str:
    """Choose the container that a step changes.

    The one it names, else the service's own, else the one that the template says is the default (as
    kubectl logs and exec take it), else the only one. Raises PlanProblem.
    """
    names = container_names(obj)
    if wanted is not None:
        if find_container(obj, wanted) is None:
            raise PlanProblem(f"{service} has no container {wanted}", f"it has: {', '.join(names)}")
        return wanted
    if service in names:
        return service
    default = ((obj["spec"]["template"].get("metadata") or {}).get("annotations") or {}).get(DEFAULT_CONTAINER)
    if default in names:
        return str(default)
    if len(names) == 1:
        return names[0]
    raise PlanProblem(f"{service} has no container of its own name", f"name one of: {', '.join(names)}")


def env_entries(container: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return container.get("env") or []


@dataclass(frozen=True, slots=True)
class Surge:
    """Says how a RollingUpdate replaces pods at the present scale.

    `surge` more at most, `unavailable` fewer at most.
    """

    surge: int
    unavailable: int
    words: str


def surge_of(obj: Mapping[str, Any], count: int) -> Surge:
    """Resolve percentages of `count`: surge rounds up, unavailable down.

    Both 0 means unavailable 1 (apps/v1 ResolveFenceposts).
    """
    if "updateStrategy" in obj["spec"] or strategy(obj).get("type") == "Recreate":
        return Surge(0, count, "")
    rolling = strategy(obj).get("rollingUpdate") or {}
    raw_surge, raw_unavailable = rolling.get("maxSurge", "25%"), rolling.get("maxUnavailable", "25%")
    surge, unavailable = _resolve(raw_surge, count, math.ceil), _resolve(raw_unavailable, count, math.floor)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Surge(surge, unavailable, f"maxSurge {raw_surge}, maxUnavailable {raw_unavailable}")


def _resolve(value: Any, count: int, rounding: Any) -> int:
    match = re.fullmatch(r"(\d+)%", str(value))
    if match:
        return int(rounding(int(match[1]) * count / 100))
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0


def owner_of(obj: Mapping[str, Any], fields: Sequence[str]) -> str:
    """Say which manager owns these relevant fields, as managedFields has it.

    "" for none, or several. Like "kubectl at 2026-…"; an entry of a subresource bears no time.
    The names of fields are those of `PatchStep.relevant`.
    """
    found: set[str] = set()
    for entry in obj["metadata"].get("managedFields") or []:
        if entry.get("subresource") == "status" or not isinstance(entry.get("fieldsV1"), Mapping):
            continue
        owned = list(_owned(entry["fieldsV1"]))
        if any(_within(_path_of(name), path) for name in fields for path in owned):
            when = f" at {entry['time']}" if entry.get("time") else ""
            found.add(f"{entry.get('manager') or 'someone'}{when}")
    return found.pop() if len(found) == 1 else ""


def _owned(fields: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the paths of the leaves of a fieldsV1."""
    for key, value in fields.items():
        if isinstance(value, Mapping) and any(name != "." for name in value):
            yield from _owned(value, (*path, str(key)))
        elif key != ".":
            yield (*path, str(key))


def _path_of(name: str) -> tuple[str, ...]:
    """Return what a path in fieldsV1 must have in it, in this order, to be of a relevant field."""
    kind, _, rest = name.partition(" ")
    if kind == "env" and rest and rest != "order":
        return ("f:env", f'k:{{"name":{json.dumps(rest)}}}')
    if kind == "data" and rest:
        return ("f:data", f"f:{rest}")
    if name == "restartedAt":
        return ("f:template", "f:kubectl.kubernetes.io/restartedAt")
    if name == "env order":
        return ("f:env",)
    return tuple(f"f:{part}" for part in name.split("."))


def _within(wanted: Sequence[str], path: Sequence[str]) -> bool:
    rest = iter(path)
    return all(part in rest for part in wanted)
