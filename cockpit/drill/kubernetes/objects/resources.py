"""Lists the kinds that the embedded API serves.

Routes, discovery and access rules are read from this one table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: A Kubernetes object as decoded JSON, stored without `kind` and `apiVersion` (lists carry them
#: once, at the top).
Obj = dict[str, Any]

_ALL = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_SUB = ("get", "patch", "update")


@dataclass(frozen=True)
class Subresource:
    name: str
    kind: str
    verbs: tuple[str, ...] = _SUB
    group: str = ""
    version: str = ""


@dataclass(frozen=True)
class Resource:
    """Describes one served resource.

    `storage`: the key of its objects in the store; two views may share one (events).
    """

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = _ALL
    subresources: tuple[Subresource, ...] = ()
    storage_hash: str = ""
    stored_as: str = ""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """Return `deployments.apps`, or `pods` in the core group, as error messages name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def storage(self) -> str:
        return self.stored_as or self.qualified

    def subresource(self, name: str) -> Subresource | None:
        return next((s for s in self.subresources if s.name == name), None)


_SCALE = Subresource("scale", "Scale", group="autoscaling", version="v1")


def _status(kind: str) -> Subresource:
    return Subresource("status", kind)


PODS = Resource(
    "",
    "v1",
    "pods",
    "pod",
    "Pod",
    short=("po",),
    categories=("all",),
    subresources=(Subresource("log", "Pod", ("get",)), _status("Pod")),
    storage_hash="xPOwRZ+Yhw8=",
)
CONFIGMAPS = Resource("", "v1", "configmaps", "configmap", "ConfigMap", short=("cm",), storage_hash="qFsyl6wFWjQ=")
EVENTS = Resource("", "v1", "events", "event", "Event", short=("ev",), storage_hash="r2yiGXH7wu8=")
NAMESPACES = Resource(
    "",
    "v1",
    "namespaces",
    "namespace",
    "Namespace",
    namespaced=False,
    short=("ns",),
    verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
    subresources=(_status("Namespace"),),
    storage_hash="Q3oi5N2YM8M=",
)
NODES = Resource(
    "",
    "v1",
    "nodes",
    "node",
    "Node",
    namespaced=False,
    short=("no",),
    subresources=(_status("Node"),),
    storage_hash="XwShjMxG9Fs=",
)
SECRETS = Resource("", "v1", "secrets", "secret", "Secret", storage_hash="S6u1pOWzb84=")
SERVICES = Resource(
    "",
    "v1",
    "services",
    "service",
    "Service",
    short=("svc",),
    categories=("all",),
    subresources=(_status("Service"),),
    storage_hash="0/CO1lhkEBI=",
)
DEPLOYMENTS = Resource(
    "apps",
    "v1",
    "deployments",
    "deployment",
    "Deployment",
    short=("deploy",),
    categories=("all",),
    subresources=(_SCALE, _status("Deployment")),
    storage_hash="8aSe+NMegvE=",
)
REPLICASETS = Resource(
    "apps",
    "v1",
    "replicasets",
    "replicaset",
    "ReplicaSet",
    short=("rs",),
    categories=("all",),
    subresources=(_SCALE, _status("ReplicaSet")),
    storage_hash="P1RzHs8/mWQ=",
)
STATEFULSETS = Resource(
    "apps",
    "v1",
    "statefulsets",
    "statefulset",
    "StatefulSet",
    short=("sts",),
    categories=("all",),
    subresources=(_SCALE, _status("StatefulSet")),
    storage_hash="H+vl74LkKdo=",
)
CONTROLLERREVISIONS = Resource(
    "apps",
    "v1",
    "controllerrevisions",
    "controllerrevision",
    "ControllerRevision",
    storage_hash="85nkx63pcBU=",
)
EVENTS_K8S_IO = Resource(
    "events.k8s.io",
    "v1",
    "events",
    "event",
    "Event",
    short=("ev",),
    storage_hash="r2yiGXH7wu8=",
    stored_as="events",
)
AUTOSCALERS = Resource(
    "autoscaling",
    "v2",
    "horizontalpodautoscalers",
    "horizontalpodautoscaler",
    "HorizontalPodAutoscaler",
    short=("hpa",),
    categories=("all",),
    subresources=(_status("HorizontalPodAutoscaler"),),
    storage_hash="qwQve8ut294=",
)
CRONJOBS = Resource(
    "batch",
    "v1",
    "cronjobs",
    "cronjob",
    "CronJob",
    short=("cj",),
    categories=("all",),
    subresources=(_status("CronJob"),),
    storage_hash="sd5LIXh4Fjs=",
)
JOBS = Resource(
    "batch",
    "v1",
    "jobs",
    "job",
    "Job",
    categories=("all",),
    subresources=(_status("Job"),),
    storage_hash="mudhfqk/qZY=",
)
LEASES = Resource(
    "coordination.k8s.io",
    "v1",
    "leases",
    "lease",
    "Lease",
    storage_hash="/sY7hl8ol1U=",
)
BUDGETS = Resource(
    "policy",
    "v1",
    "poddisruptionbudgets",
    "poddisruptionbudget",
    "PodDisruptionBudget",
    short=("pdb",),
    subresources=(_status("PodDisruptionBudget"),),
)
NETWORKPOLICIES = Resource(
    "networking.k8s.io",
    "v1",
    "networkpolicies",
    "networkpolicy",
    "NetworkPolicy",
    short=("netpol",),
    storage_hash="YpfwF18m1G8=",
)
ACCESS_REVIEWS = Resource(
    "authorization.k8s.io",
    "v1",
    "selfsubjectaccessreviews",
    "selfsubjectaccessreview",
    "SelfSubjectAccessReview",
    namespaced=False,
    verbs=("create",),
)
RULES_REVIEWS = Resource(
    "authorization.k8s.io",
    "v1",
    "selfsubjectrulesreviews",
    "selfsubjectrulesreview",
    "SelfSubjectRulesReview",
    namespaced=False,
    verbs=("create",),
)
SELF_REVIEWS = Resource(
    "authentication.k8s.io",
    "v1",
    "selfsubjectreviews",
    "selfsubjectreview",
    "SelfSubjectReview",
    namespaced=False,
    verbs=("create",),
)

RESOURCES: tuple[Resource, ...] = (
    CONFIGMAPS,
    EVENTS,
    NAMESPACES,
    NODES,
    PODS,
    SECRETS,
    SERVICES,
    CONTROLLERREVISIONS,
    DEPLOYMENTS,
    REPLICASETS,
    STATEFULSETS,
    EVENTS_K8S_IO,
    SELF_REVIEWS,
    ACCESS_REVIEWS,
    RULES_REVIEWS,
    AUTOSCALERS,
    CRONJOBS,
    JOBS,
    LEASES,
    NETWORKPOLICIES,
    BUDGETS,
)

#: (group, version) in the order in which a real server lists its groups.
GROUP_VERSIONS: tuple[tuple[str, str], ...] = tuple(dict.fromkeys((r.group, r.version) for r in RESOURCES))

_BY_PATH = {(r.group, r.version, r.plural): r for r in RESOURCES}


def find(group: str, version: str, plural: str) -> Resource | None:
    return _BY_PATH.get((group, version, plural))
