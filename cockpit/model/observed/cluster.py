"""Holds what is known of Kubernetes objects: few fields, every text already cleaned and redacted.

Times are unix seconds (None when absent). Names follow the Kubernetes API reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

ContainerPhase = Literal["running", "waiting", "terminated", "unknown"]


class Condition(msgspec.Struct, frozen=True, gc=False):
    type: str
    status: str  # "True" | "False" | "Unknown"
    reason: str = ""
    message: str = ""
    changed_at: float | None = None


class EnvVar(msgspec.Struct, frozen=True, gc=False):
    """Describes one variable of a container.

    `value` is None when it comes from a reference, named in `source` ("secret x/key").
    """

    name: str
    value: str | None = None
    source: str = ""


class Container(msgspec.Struct, frozen=True, gc=False):
    """Describes a container's spec and status in one.

    `phase` is "unknown" when the status does not list it yet.
    """

    name: str
    image: str = ""
    image_id: str = ""
    init: bool = False
    ready: bool = False
    restarts: int = 0
    phase: ContainerPhase = "unknown"
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    started_at: float | None = None
    finished_at: float | None = None
    last_reason: str = ""  # of lastState.terminated
    last_message: str = ""
    last_exit_code: int | None = None
    last_finished_at: float | None = None


class Pod(msgspec.Struct, frozen=True, gc=False):
    uid: str
    namespace: str
    name: str
    resource_version: str
    created_at: float | None
    deleted_at: float | None  # metadata.deletionTimestamp: terminating when set
    labels: Mapping[str, str]
    owner_kind: str  # of the controller: "ReplicaSet", "StatefulSet", "Job", ...
    owner_name: str
    service: str  # the deployment or statefulset it belongs to, else the pod's own name
    phase: str
    reason: str  # what kubectl's STATUS column says: "Running", "CrashLoopBackOff", "Terminating", ...
    message: str
    ready: int
    total: int
    restarts: int
    node: str
    containers: tuple[Container, ...]
    conditions: tuple[Condition, ...]

    @property
    def terminating(self) -> bool:
        return self.deleted_at is not None

    @property
    def serving(self) -> bool:
        """Return whether its condition Ready is True, as Services and controllers see it.

        A node that is lost leaves its containers "ready" and takes the condition back; a readiness
        gate holds it back. Only a pod that nobody has given conditions is judged by its containers.
        """
        if self.phase == "Unknown":
            return False
        if not self.conditions:
            return self.total > 0 and self.ready == self.total
        return any(c.type == "Ready" and c.status == "True" for c in self.conditions)

    @property
    def held_back(self) -> str:
        """Say why a pod whose containers are all ready is not; "" when they are what is wrong."""
        if self.serving or self.total == 0 or self.ready < self.total or self.phase in ("Succeeded", "Failed"):
            return ""
        ready = next((c for c in self.conditions if c.type == "Ready"), None)
        if ready is None:
            return "phase Unknown" if self.phase == "Unknown" else "no condition Ready"
        return ready.reason or f"Ready is {ready.status}"

    @property
    def healthy(self) -> bool:
        """Return whether it is ready and nothing terminates, or it completed."""
        return self.deleted_at is None and (self.phase == "Succeeded" or self.serving)


class EnvSource(msgspec.Struct, frozen=True, gc=False):
    """Names what gives a container all its keys as variables; of several the last counts."""

    kind: str  # "configmap", "secret"
    name: str
    prefix: str = ""  # in front of each key


class ContainerTemplate(msgspec.Struct, frozen=True, gc=False):
    name: str
    image: str
    env: tuple[EnvVar, ...] = ()
    env_from: tuple[EnvSource, ...] = ()


class Written(msgspec.Struct, frozen=True, gc=False):
    """Says who wrote which fields of an object last, as its managedFields tell.

    `fields`: "image", "env", "replicas", "bounds", "spec". The subresource `scale` bears no time.
    """

    manager: str
    at: float | None
    fields: frozenset[str]
    subresource: str = ""


class Workload(msgspec.Struct, frozen=True, gc=False):
    """Describes a Deployment or a StatefulSet."""

    kind: Literal["Deployment", "StatefulSet"]
    uid: str
    namespace: str
    name: str
    resource_version: str
    generation: int
    observed_generation: int
    created_at: float | None
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    selector: Mapping[str, str]
    desired: int
    replicas: int
    ready: int
    updated: int
    available: int
    unavailable: int
    paused: bool
    strategy: str  # "RollingUpdate" | "Recreate" | "OnDelete"
    max_surge: str
    max_unavailable: str
    containers: tuple[ContainerTemplate, ...]
    conditions: tuple[Condition, ...]
    claims: tuple[str, ...] = ()  # persistent volumes that its pods share
    written: tuple[Written, ...] = ()
    applied_replicas: int | None = None  # as kubectl applied it last

    def env(self, name: str) -> EnvVar | None:
        """Return the variable in the container of the workload's name, else in any.

        Of two entries of one name the last counts, as it does for the kubelet.
        """
        return next((found[-1] for c in self._own if (found := [v for v in c.env if v.name == name])), None)

    @property
    def env_from(self) -> tuple[EnvSource, ...]:
        """Return what else may set a variable, in the containers that `env` looks in."""
        return tuple(source for c in self._own for source in c.env_from)

    def named_twice(self, name: str) -> bool:
        """Return whether the container of `env` names it more than once: the last entry wins."""
        first = next((c for c in self._own if any(v.name == name for v in c.env)), None)
        return first is not None and sum(v.name == name for v in first.env) > 1

    @property
    def _own(self) -> tuple[ContainerTemplate, ...]:
        """Return the container of the workload's name, else all of them."""
        return tuple(c for c in self.containers if c.name == self.name) or self.containers


class ReplicaSet(msgspec.Struct, frozen=True, gc=False):
    uid: str
    namespace: str
    name: str
    owner_name: str
    revision: int
    created_at: float | None
    desired: int
    ready: int
    images: tuple[str, ...]
    conditions: tuple[Condition, ...] = ()
    containers: tuple[ContainerTemplate, ...] = ()
    restarted_at: str = ""  # kubectl's annotation of a restart, on the template


class KubeEvent(msgspec.Struct, frozen=True, gc=False):
    uid: str
    namespace: str
    type: str  # "Normal" | "Warning"
    reason: str
    message: str
    object_kind: str
    object_name: str
    count: int
    last_seen: float | None
    first_seen: float | None = None


class Autoscaler(msgspec.Struct, frozen=True, gc=False):
    namespace: str
    name: str
    target_kind: str
    target_name: str
    min_replicas: int
    max_replicas: int
    desired: int
    created_at: float | None = None
    written: tuple[Written, ...] = ()
    applied_bounds: tuple[int, int] | None = None  # as kubectl applied them last


class Job(msgspec.Struct, frozen=True, gc=False):
    """Describes a Job; `failed` counts its pods that did, `cronjob` is "" when nobody made it."""

    namespace: str
    name: str
    created_at: float | None
    cronjob: str
    active: int
    succeeded: int
    failed: int
    suspended: bool
    conditions: tuple[Condition, ...] = ()

    def ended(self, kind: str) -> Condition | None:
        """Return the condition "Complete" or "Failed" where it is true."""
        return next((c for c in self.conditions if c.type == kind and c.status == "True"), None)


class ConfigMap(msgspec.Struct, frozen=True, gc=False):
    namespace: str
    name: str
    resource_version: str
    data: Mapping[str, str]
    created_at: float | None = None
    #: what `kubectl apply` wrote last, where nothing of it is hidden
    applied: Mapping[str, str] = msgspec.field(default_factory=dict)
    #: key → when it was written last (unix seconds), and by which field manager
    written: Mapping[str, tuple[float, str]] = msgspec.field(default_factory=dict)


class LabelSelector(msgspec.Struct, frozen=True, gc=False):
    """Selects by labels; an empty one selects everything.

    `expressions`: (key, operator, values).
    """

    labels: Mapping[str, str]
    expressions: tuple[tuple[str, str, tuple[str, ...]], ...] = ()

    def selects(self, labels: Mapping[str, str]) -> bool:
        return all(labels.get(key) == value for key, value in self.labels.items()) and all(
            _meets(labels, *each) for each in self.expressions
        )


def _meets(labels: Mapping[str, str], key: str, operator: str, values: tuple[str, ...]) -> bool:
    match operator:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return False


class PolicyPeer(msgspec.Struct, frozen=True, gc=False):
    """Describes who a rule is about; `elsewhere`: by namespace or address, which cannot be told."""

    pods: LabelSelector | None = None
    elsewhere: bool = False


class NetworkPolicy(msgspec.Struct, frozen=True, gc=False):
    """Describes a NetworkPolicy.

    `admits` and `reaches`: the peers of each rule of ingress and egress, None where it does not
    speak of that direction; a rule without peers is about everybody.
    """

    namespace: str
    name: str
    selector: LabelSelector
    changed_at: float | None
    admits: tuple[tuple[PolicyPeer, ...], ...] | None = None
    reaches: tuple[tuple[PolicyPeer, ...], ...] | None = None
    created_at: float | None = None
    written: tuple[Written, ...] = ()


class Cluster(msgspec.Struct, frozen=True):
    """Holds everything read from Kubernetes, merged over the watched namespaces.

    Keys: uid for pods, (namespace, name) else.
    """

    pods: Mapping[str, Pod] = msgspec.field(default_factory=dict)
    workloads: Mapping[tuple[str, str], Workload] = msgspec.field(default_factory=dict)
    replicasets: Mapping[tuple[str, str], ReplicaSet] = msgspec.field(default_factory=dict)
    events: Mapping[str, KubeEvent] = msgspec.field(default_factory=dict)
    autoscalers: Mapping[tuple[str, str], Autoscaler] = msgspec.field(default_factory=dict)
    jobs: Mapping[tuple[str, str], Job] = msgspec.field(default_factory=dict)
    policies: Mapping[tuple[str, str], NetworkPolicy] = msgspec.field(default_factory=dict)
    configmaps: Mapping[tuple[str, str], ConfigMap] = msgspec.field(default_factory=dict)

    def pods_of(self, namespace: str, service: str) -> list[Pod]:
        return [p for p in self.pods.values() if p.service == service and p.namespace == namespace]
